"""Likelihoods: a mixture of normal distributions, a Gaussian process, a hidden Markov model, a Kalman filter."""

from __future__ import annotations

import math
from typing import Any

from ..workload import Workload, repeat, sizes


def _half_log_determinant(np: Any, k: Any, eye: Any) -> Any:
    return np.sum(np.log(np.sum(np.linalg.cholesky(k) * eye, axis=1)))


def _log_sum_exp(np: Any, x: Any, axis: int) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    return np.sum(top, axis=axis) + np.log(np.sum(np.exp(x - top), axis=axis))


# --- a mixture of normal distributions -----------------------------------------------------------


def mixture(np: Any, alpha: Any, mean: Any, log_diagonal: Any, below: Any, x: Any, mask: Any) -> Any:
    """Of n points in d dimensions under k normal distributions, whose precisions have the Cholesky factors
    ``exp(log_diagonal)`` and, below the diagonal, ``below``."""
    d = x[:, None, :] - mean
    whitened = np.exp(log_diagonal) * d + np.einsum("kij,nkj->nki", below * mask, d)
    inner = alpha + np.sum(log_diagonal, axis=1) - 0.5 * np.sum(whitened * whitened, axis=2)
    return np.sum(_log_sum_exp(np, inner, 1)) - x.shape[0] * _log_sum_exp(np, alpha, 0)


def mixture_by_hand(
    np: Any, alpha: Any, mean: Any, log_diagonal: Any, below: Any, x: Any, mask: Any
) -> tuple[Any, ...]:
    n = x.shape[0]
    diagonal, below = np.exp(log_diagonal), below * mask
    d = np.swapaxes(x[:, None, :] - mean, 0, 1)  # (k, n, d), for products of matrices
    whitened = diagonal[:, None] * d + d @ np.swapaxes(below, 1, 2)
    inner = alpha + np.sum(log_diagonal, axis=1) - 0.5 * np.sum(whitened * whitened, axis=2).T
    top = np.max(inner, axis=1, keepdims=True)
    e = np.exp(inner - top)
    s = np.sum(e, axis=1, keepdims=True)
    share = e / s
    a = np.exp(alpha - np.max(alpha))
    value = np.sum(top[:, 0] + np.log(s[:, 0])) - n * (np.max(alpha) + np.log(np.sum(a)))
    weight = np.sum(share, axis=0)
    g = -share.T[:, :, None] * whitened
    g_d = g * diagonal[:, None] + g @ below
    g_log_diagonal = weight[:, None] + np.sum(g * d, axis=1) * diagonal
    return value, weight - n * a / np.sum(a), -np.sum(g_d, axis=1), g_log_diagonal, (np.swapaxes(g, 1, 2) @ d) * mask


def _mixture(rng: Any, n: int, d: int, k: int, dtype: str = "float64") -> list[Any]:
    import numpy

    parts = [rng.normal(size=k), rng.normal(size=(k, d)), 0.1 * rng.normal(size=(k, d))]
    mask = numpy.tril(numpy.ones((d, d)), -1)
    return [*parts, 0.1 * rng.normal(size=(k, d, d)), rng.normal(size=(n, d)), mask]


# --- a Gaussian process --------------------------------------------------------------------------


def gaussian_process(np: Any, log_scale: Any, logs: Any, x: Any, y: Any, eye: Any) -> Any:
    """Minus the logarithm of the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8, but for a constant)."""
    z = x * np.exp(-log_scale)
    square = np.sum(z * z, axis=1)
    distance = square[:, None] + square[None, :] - 2.0 * (z @ z.T)
    k = np.exp(2.0 * logs[0] - 0.5 * distance) + np.exp(2.0 * logs[1]) * eye
    return 0.5 * np.sum(y * np.linalg.solve(k, y)) + _half_log_determinant(np, k, eye)


def gaussian_process_by_hand(np: Any, log_scale: Any, logs: Any, x: Any, y: Any, eye: Any) -> tuple[Any, ...]:
    """Rasmussen and Williams 2006, eq. 5.9."""
    z = x * np.exp(-log_scale)
    square = np.sum(z * z, axis=1)
    kernel = np.exp(2.0 * logs[0] - 0.5 * (square[:, None] + square[None, :] - 2.0 * (z @ z.T)))
    noise = np.exp(2.0 * logs[1])
    k = kernel + noise * eye
    inverse = np.linalg.inv(k)
    a = inverse @ y
    value = 0.5 * np.sum(y * a) + _half_log_determinant(np, k, eye)
    g = 0.5 * (inverse - a[:, None] * a)
    weighted = g * kernel
    rows = np.sum(weighted, axis=1)
    # of sum_ij weighted_ij (z_i - z_j)^2 in every direction
    g_scale = 2.0 * (rows @ (z * z)) - 2.0 * np.sum(z * (weighted @ z), axis=0)
    g_logs = np.stack([2.0 * np.sum(weighted), 2.0 * noise * np.trace(g)])
    return value, g_scale, g_logs


def _process(rng: Any, n: int, d: int) -> list[Any]:
    import numpy

    scale, logs = numpy.log(rng.uniform(1, 2, d)), numpy.log(numpy.array([1.0, 0.3]))
    return [scale, logs, rng.normal(size=(n, d)), rng.normal(size=n), numpy.eye(n)]


# --- a hidden Markov model -----------------------------------------------------------------------


def markov(np: Any, start: Any, change: Any, mean: Any, seen: Any) -> Any:
    """The forward algorithm with logarithms; normal emissions."""
    log_change = change - _log_sum_exp(np, change, 1)[:, None]
    emitted = -0.5 * (seen[:, None] - mean) ** 2
    a = start - _log_sum_exp(np, start, 0) + emitted[0]
    steps = seen.shape[0] - 1
    (a,) = repeat(np, lambda t, a: (_log_sum_exp(np, a[:, None] + log_change, 0) + emitted[t + 1],), (a,), steps)
    return _log_sum_exp(np, a, 0)


def markov_by_hand(np: Any, start: Any, change: Any, mean: Any, seen: Any) -> tuple[Any, ...]:
    """Baum and Welch: the gradients are expected counts."""
    log_change = change - _log_sum_exp(np, change, 1)[:, None]
    emitted = -0.5 * (seen[:, None] - mean) ** 2
    first = np.exp(start - _log_sum_exp(np, start, 0))
    steps, matrix = len(seen), np.exp(log_change)
    # Scaled: every row of a sums to one, the value is the sum of the logarithms of the scales.
    top = np.max(emitted, axis=1, keepdims=True)
    likely = np.exp(emitted - top)
    a, scales = np.empty_like(emitted), np.empty_like(seen)
    now = first * likely[0]
    for t in range(steps):
        if t:
            now = (a[t - 1] @ matrix) * likely[t]
        scales[t] = np.sum(now)
        a[t] = now / scales[t]
    b, counts = np.ones_like(start), np.zeros_like(change)
    posterior = np.empty_like(emitted)
    for t in range(steps - 1, -1, -1):
        posterior[t] = a[t] * b
        if t:
            onward = likely[t] * b / scales[t]
            counts += a[t - 1][:, None] * matrix * onward
            b = matrix @ onward
    value = np.sum(np.log(scales)) + np.sum(top)
    g_change = counts - matrix * np.sum(counts, axis=1, keepdims=True)
    return value, posterior[0] - first, g_change, np.sum(posterior * (seen[:, None] - mean), axis=0)


def _markov(rng: Any, steps: int, states: int) -> list[Any]:
    normal = rng.normal
    return [normal(size=states), normal(size=(states, states)), 2 * normal(size=states), 2 * normal(size=steps)]


# --- a Kalman filter -----------------------------------------------------------------------------


def kalman(np: Any, move: Any, look: Any, jitter: Any, noise: Any, seen: Any, mean: Any, cov: Any, eye: Any) -> Any:
    """Minus the log likelihood; the covariances of motion and of measurement are squares, so that they are positive."""
    q, r = jitter @ jitter.T, noise @ noise.T

    def step(t: Any, loss: Any, mean: Any, cov: Any) -> tuple[Any, Any, Any]:
        mean, cov = move @ mean, move @ cov @ move.T + q
        error = seen[t] - look @ mean
        spread = look @ cov @ look.T + r
        gain = np.linalg.solve(spread, look @ cov).T
        fit = 0.5 * np.sum(error * np.linalg.solve(spread, error))
        loss = loss + fit + _half_log_determinant(np, spread, eye)
        return loss, mean + gain @ error, cov - gain @ look @ cov

    loss, _, _ = repeat(np, step, (0.0, mean, cov), seen.shape[0])
    return loss + 0.5 * math.log(2 * math.pi) * seen.shape[0] * seen.shape[1]


def _kalman(rng: Any, steps: int, state: int, seen: int) -> list[Any]:
    import numpy

    eye = numpy.eye(state)
    move = 0.9 * eye + 0.05 * rng.normal(size=(state, state))
    jitter, noise = 0.3 * eye + 0.05 * rng.normal(size=(state, state)), 0.5 * numpy.eye(seen)
    weights = [move, rng.normal(size=(seen, state)), jitter, noise]
    return [*weights, rng.normal(size=(steps, seen)), numpy.zeros(state), eye, numpy.eye(seen)]


_BOTH = ("float32", "float64")

WORKLOADS = [
    Workload(
        "programs", "mixture of normals", mixture, _mixture,
        sizes({"n": 1000, "d": 10, "k": 10}, {"n": 1000, "d": 64, "k": 50}, {"n": 10000, "d": 32, "k": 10}),
        sizes({"n": 1000, "d": 10, "k": 10}),
        differentiated=4, by_hand=mixture_by_hand,
    ),
    Workload(
        "programs", "Gaussian process", gaussian_process, _process, sizes({"n": 500, "d": 4}),
        sizes({"n": 100, "d": 4}), differentiated=2, by_hand=gaussian_process_by_hand,
    ),
    Workload(
        "programs", "hidden Markov model", markov, _markov, sizes({"steps": 200, "states": 16}),
        differentiated=3, by_hand=markov_by_hand, loops=True,
    ),
    Workload(
        "programs", "Kalman filter", kalman, _kalman, sizes({"steps": 50, "state": 4, "seen": 2}), differentiated=4,
        loops=True,
    ),
]  # fmt: skip

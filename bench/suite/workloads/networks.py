"""Networks: softmax regression, a perceptron of several layers, an LSTM, a convolutional network, attention."""

from __future__ import annotations

import itertools
from typing import Any

from ..workload import Workload, repeat, sizes


def _one_hot(rng: Any, n: int, classes: int) -> Any:
    import numpy

    return numpy.eye(classes)[rng.integers(0, classes, n)]


def cross_entropy(np: Any, z: Any, onehot: Any) -> Any:
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * onehot, axis=1))


def _cross_entropy_by_hand(np: Any, z: Any, onehot: Any) -> tuple[Any, Any]:
    z = z - np.max(z, axis=1, keepdims=True)
    e = np.exp(z)
    s = np.sum(e, axis=1, keepdims=True)
    value = np.mean(np.log(s[:, 0]) - np.sum(z * onehot, axis=1))
    e /= s
    e -= onehot
    e /= len(z)
    return value, e


# --- softmax regression --------------------------------------------------------------------------


def softmax_regression(np: Any, w: Any, b: Any, x: Any, onehot: Any) -> Any:
    return cross_entropy(np, x @ w + b, onehot)


def softmax_regression_by_hand(np: Any, w: Any, b: Any, x: Any, onehot: Any) -> tuple[Any, ...]:
    value, g = _cross_entropy_by_hand(np, x @ w + b, onehot)
    return value, x.T @ g, np.sum(g, axis=0)


def _regression(rng: Any, examples: int, features: int, classes: int, dtype: str = "float64") -> list[Any]:
    w, b = 0.1 * rng.normal(size=(features, classes)), 0.1 * rng.normal(size=classes)
    return [w, b, rng.normal(size=(examples, features)), _one_hot(rng, examples, classes)]


# --- a perceptron --------------------------------------------------------------------------------


def perceptron(np: Any, *inputs: Any) -> Any:
    *weights, x, onehot = inputs
    for k in range(0, len(weights) - 2, 2):
        x = np.tanh(x @ weights[k] + weights[k + 1])
    return cross_entropy(np, x @ weights[-2] + weights[-1], onehot)


def perceptron_by_hand(np: Any, *inputs: Any) -> tuple[Any, ...]:
    *weights, x, onehot = inputs
    layers = [x]
    for k in range(0, len(weights) - 2, 2):
        x = x @ weights[k]
        x += weights[k + 1]
        layers.append(np.tanh(x, out=x))
    value, g = _cross_entropy_by_hand(np, x @ weights[-2] + weights[-1], onehot)
    gradients: list[Any] = []
    for k in range(len(weights) - 2, -2, -2):
        h = layers[k // 2]
        gradients[:0] = [h.T @ g, np.sum(g, axis=0)]
        if k:
            g = g @ weights[k].T
            g *= 1.0 - h * h
    return value, *gradients


def layers(rng: Any, widths: list[int], batch: int) -> list[Any]:
    arrays = []
    for n, m in itertools.pairwise(widths):
        arrays += [rng.normal(size=(n, m)) / n**0.5, 0.1 * rng.normal(size=m)]
    return [*arrays, rng.normal(size=(batch, widths[0])), _one_hot(rng, batch, widths[-1])]


def _digits(rng: Any, hidden: int, batch: int, dtype: str = "float64") -> list[Any]:
    return layers(rng, [784, hidden, hidden, 10], batch)


# --- an LSTM -------------------------------------------------------------------------------------


def lstm(np: Any, w: Any, u: Any, b: Any, h: Any, c: Any, xs: Any) -> Any:
    n = h.shape[1]

    def step(t: Any, h: Any, c: Any) -> tuple[Any, Any]:
        gates = xs[t] @ w + h @ u + b
        i, f, o = (0.5 + 0.5 * np.tanh(0.5 * gates[:, k * n : (k + 1) * n]) for k in range(3))
        c = f * c + i * np.tanh(gates[:, 3 * n :])
        return o * np.tanh(c), c

    h, _ = repeat(np, step, (h, c), xs.shape[0])
    return np.sum(h * h)


def lstm_by_hand(np: Any, w: Any, u: Any, b: Any, h: Any, c: Any, xs: Any) -> tuple[Any, ...]:
    n = h.shape[1]
    steps = []
    inputs = xs @ w + b
    for t in range(len(xs)):
        gates = inputs[t] + h @ u
        s = 0.5 + 0.5 * np.tanh(0.5 * gates[:, : 3 * n])
        new = np.tanh(gates[:, 3 * n :])
        before = h, c
        c = s[:, n : 2 * n] * c + s[:, :n] * new
        squashed = np.tanh(c)
        h = s[:, 2 * n :] * squashed
        steps.append((*before, s, new, squashed))
    value = np.sum(h * h)
    gh, gc, gu = 2.0 * h, np.zeros_like(c), np.zeros_like(u)
    g_inputs = np.empty_like(inputs)
    for t in range(len(xs) - 1, -1, -1):
        h_before, c_before, s, new, squashed = steps[t]
        i, f, o = s[:, :n], s[:, n : 2 * n], s[:, 2 * n :]
        gc = gc + gh * o * (1.0 - squashed * squashed)
        g = g_inputs[t]
        g[:, :n] = gc * new
        g[:, n : 2 * n] = gc * c_before
        g[:, 2 * n : 3 * n] = gh * squashed
        g[:, : 3 * n] *= s * (1.0 - s)
        g[:, 3 * n :] = gc * i * (1.0 - new * new)
        gu += h_before.T @ g
        gh = g @ u.T
        gc = gc * f
    flat = g_inputs.reshape(-1, 4 * n)
    return value, xs.reshape(len(flat), -1).T @ flat, gu, np.sum(flat, axis=0)


def _lstm(rng: Any, steps: int, hidden: int, batch: int, dtype: str = "float64") -> list[Any]:
    normal, n = rng.normal, hidden
    weights = [normal(size=(n, 4 * n)) / n**0.5, normal(size=(n, 4 * n)) / n**0.5, normal(size=4 * n)]
    return [*weights, normal(size=(batch, n)), normal(size=(batch, n)), normal(size=(steps, batch, n))]


# --- a convolutional network ---------------------------------------------------------------------


def _convolve(x: Any, w: Any) -> Any:
    """Images with channels last; the sum over the window is written out as products of matrices."""
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    return sum(x[:, i : i + high, j : j + wide] @ w[i, j] for i in range(rows) for j in range(columns))


def _pool(np: Any, x: Any) -> Any:
    n, high, wide, channels = x.shape
    return np.mean(np.reshape(x, (n, high // 2, 2, wide // 2, 2, channels)), axis=(2, 4))


def convolutional(np: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, x: Any, onehot: Any) -> Any:
    h = _pool(np, np.tanh(_convolve(x, w1) + b1))
    h = _pool(np, np.tanh(_convolve(h, w2) + b2))
    return cross_entropy(np, np.reshape(h, (x.shape[0], -1)) @ w3 + b3, onehot)


def _convolve_back(np: Any, g: Any, x: Any, w: Any, *, input_too: bool) -> tuple[Any, Any]:
    gw, gx = np.empty_like(w), np.zeros_like(x) if input_too else None
    high, wide = g.shape[1:3]
    flat = g.reshape(-1, g.shape[3])
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            gw[i, j] = x[:, i : i + high, j : j + wide].reshape(-1, x.shape[3]).T @ flat
            if gx is not None:
                gx[:, i : i + high, j : j + wide] += g @ w[i, j].T
    return gw, gx


def _pool_back(np: Any, g: Any) -> Any:
    return np.repeat(np.repeat(g, 2, axis=1), 2, axis=2) * 0.25


def convolutional_by_hand(np: Any, *inputs: Any) -> tuple[Any, ...]:
    w1, b1, w2, b2, w3, b3, x, onehot = inputs
    t1 = np.tanh(_convolve(x, w1) + b1)
    h1 = _pool(np, t1)
    t2 = np.tanh(_convolve(h1, w2) + b2)
    h2 = _pool(np, t2)
    flat = h2.reshape(len(x), -1)
    value, g = _cross_entropy_by_hand(np, flat @ w3 + b3, onehot)
    g_w3, g_b3 = flat.T @ g, np.sum(g, axis=0)
    g = _pool_back(np, (g @ w3.T).reshape(h2.shape)) * (1.0 - t2 * t2)
    g_w2, back = _convolve_back(np, g, h1, w2, input_too=True)
    g_b2 = np.sum(g, axis=(0, 1, 2))
    g = _pool_back(np, back) * (1.0 - t1 * t1)
    g_w1, _ = _convolve_back(np, g, x, w1, input_too=False)
    return value, g_w1, np.sum(g, axis=(0, 1, 2)), g_w2, g_b2, g_w3, g_b3


def _images(rng: Any, batch: int, dtype: str = "float64") -> list[Any]:
    normal = rng.normal
    first, second = 0.2 * normal(size=(5, 5, 1, 8)), 0.1 * normal(size=(5, 5, 8, 16))
    last = 0.1 * normal(size=(4 * 4 * 16, 10))
    biases = [0.1 * normal(size=n) for n in (8, 16, 10)]
    weights = [first, biases[0], second, biases[1], last, biases[2]]
    return [*weights, normal(size=(batch, 28, 28, 1)), _one_hot(rng, batch, 10)]


# --- attention -----------------------------------------------------------------------------------


def attention(np: Any, wq: Any, wk: Any, wv: Any, wo: Any, x: Any, target: Any) -> Any:
    """Self-attention; the weights are (heads, features, width of a head), the last one (heads, width, features)."""
    q, k, v = (np.einsum("btd,hde->bhte", x, w) for w in (wq, wk, wv))
    scores = np.einsum("bhse,bhte->bhst", q, k) * (q.shape[3] ** -0.5)
    e = np.exp(scores - np.max(scores, axis=3, keepdims=True))
    mixed = np.einsum("bhst,bhte->bhse", e / np.sum(e, axis=3, keepdims=True), v)
    error = x + np.einsum("bhte,hed->btd", mixed, wo) - target
    return np.mean(error * error)


def attention_by_hand(np: Any, wq: Any, wk: Any, wv: Any, wo: Any, x: Any, target: Any) -> tuple[Any, ...]:
    x_ = x[:, None]
    q, k, v = x_ @ wq, x_ @ wk, x_ @ wv
    scale = q.shape[3] ** -0.5
    scores = (q @ np.swapaxes(k, 2, 3)) * scale
    p = np.exp(scores - np.max(scores, axis=3, keepdims=True))
    p /= np.sum(p, axis=3, keepdims=True)
    mixed = p @ v
    error = x + np.sum(mixed @ wo, axis=1) - target
    g = (2.0 / error.size) * error
    g_ = g[:, None]
    g_wo = np.sum(np.swapaxes(mixed, 2, 3) @ g_, axis=0)
    g_mixed = g_ @ np.swapaxes(wo, 1, 2)
    g_v = np.swapaxes(p, 2, 3) @ g_mixed
    g_p = g_mixed @ np.swapaxes(v, 2, 3)
    g_scores = p * (g_p - np.sum(g_p * p, axis=3, keepdims=True)) * scale
    g_q, g_k = g_scores @ k, np.swapaxes(g_scores, 2, 3) @ q
    g_wq, g_wk, g_wv = (np.sum(np.swapaxes(x_, 2, 3) @ g, axis=0) for g in (g_q, g_k, g_v))
    return np.mean(error * error), g_wq, g_wk, g_wv, g_wo


def _attention(rng: Any, tokens: int, batch: int, dtype: str = "float64") -> list[Any]:
    heads, features, width = 4, 64, 16
    weights = [rng.normal(size=(heads, features, width)) / 8 for _ in range(3)]
    weights.append(rng.normal(size=(heads, width, features)) / 8)
    return [*weights, rng.normal(size=(batch, tokens, features)), rng.normal(size=(batch, tokens, features))]


_SINGLE = ("float32",)
_BOTH = ("float32", "float64")

WORKLOADS = [
    Workload(
        "programs", "softmax regression", softmax_regression, _regression,
        sizes({"examples": 20000, "features": 784, "classes": 10}, dtypes=_BOTH),
        sizes({"examples": 2000, "features": 784, "classes": 10}, dtypes=_SINGLE),
        differentiated=2, by_hand=softmax_regression_by_hand,
    ),
    Workload(
        "programs", "MLP", perceptron, _digits, sizes({"hidden": 512, "batch": 256}, dtypes=_BOTH),
        sizes({"hidden": 128, "batch": 128}, dtypes=_SINGLE), differentiated=6, by_hand=perceptron_by_hand,
    ),
    Workload(
        "programs", "LSTM", lstm, _lstm, sizes({"steps": 100, "hidden": 32, "batch": 16}, dtypes=_BOTH),
        sizes({"steps": 20, "hidden": 32, "batch": 16}, dtypes=_SINGLE), differentiated=3, by_hand=lstm_by_hand,
        loops=True,
    ),
    Workload(
        "programs", "convolutional network", convolutional, _images, sizes(64, name="batch", dtypes=_BOTH),
        differentiated=6, by_hand=convolutional_by_hand,
    ),
    Workload(
        "programs", "attention", attention, _attention, sizes({"tokens": 128, "batch": 8}, dtypes=_BOTH),
        sizes({"tokens": 32, "batch": 4}, dtypes=_SINGLE), differentiated=4, by_hand=attention_by_hand,
    ),
]  # fmt: skip

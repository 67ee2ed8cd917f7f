"""Jacobians, Hessians, Hessians times vectors, and the gradient for each of many examples."""

from __future__ import annotations

from typing import Any

from ..workload import Workload, sizes


def three_layers(np: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.tanh(c @ np.tanh(b @ np.tanh(a @ x)))


def three_layers_by_hand(np: Any, x: Any, a: Any, b: Any, c: Any) -> tuple[Any, ...]:
    j = None
    for w in (a, b, c):
        x = np.tanh(w @ x)
        j = (1.0 - x * x)[:, None] * (w if j is None else w @ j)
    return (j,)


def rosenbrock(np: Any, x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_hessian_by_hand(np: Any, x: Any) -> tuple[Any, ...]:
    diagonal = np.zeros_like(x)
    diagonal[:-1] = 2.0 - 400.0 * (x[1:] - 3.0 * x[:-1] * x[:-1])
    diagonal[1:] += 200.0
    beside = -400.0 * x[:-1]
    return (np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1),)


def rosenbrock_hvp_by_hand(np: Any, x: Any, v: Any) -> tuple[Any, ...]:
    left, right = x[:-1], x[1:]
    out = np.zeros_like(x)
    out[:-1] = (2.0 - 400.0 * (right - 3.0 * left * left)) * v[:-1] - 400.0 * left * v[1:]
    out[1:] += 200.0 * v[1:] - 400.0 * left * v[:-1]
    return (out,)


def one_example(np: Any, w: Any, x: Any, y: Any) -> Any:
    e = np.tanh(w @ x) - y
    return np.sum(e * e)


def one_example_by_hand(np: Any, w: Any, x: Any, y: Any) -> tuple[Any, ...]:
    t = np.tanh(x @ w.T)
    return ((2.0 * (t - y) * (1.0 - t * t))[:, :, None] * x[:, None, :],)


WORKLOADS = [
    Workload(
        "transformations", "Jacobian of three layers", three_layers,
        lambda rng, n: [rng.normal(size=n), *(rng.normal(size=(3, n, n)) / n**0.5)],
        sizes(100, 400), sizes(100), kind="jacobian", by_hand=three_layers_by_hand,
    ),
    Workload(
        "transformations", "Hessian of Rosenbrock", rosenbrock, lambda rng, n: [rng.normal(size=n)],
        sizes(500), sizes(100), kind="hessian", by_hand=rosenbrock_hessian_by_hand,
    ),
    Workload(
        "transformations", "Hessian times vector", rosenbrock, lambda rng, n: rng.normal(size=(2, n)),
        sizes(10**6), sizes(10**5), kind="hvp", by_hand=rosenbrock_hvp_by_hand,
    ),
    Workload(
        "transformations", "gradient of each example", one_example,
        lambda rng, n, examples: [rng.normal(size=(n, n)) / n**0.5, *rng.normal(size=(2, examples, n))],
        sizes({"n": 32, "examples": 512}), sizes({"n": 32, "examples": 256}), kind="examples",
        by_hand=one_example_by_hand,
    ),
]  # fmt: skip

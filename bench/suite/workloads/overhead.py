"""Tiny arrays and long programs: what recording and sweeping cost."""

from __future__ import annotations

from typing import Any

from ..workload import Workload, repeat, sizes


def chain(np: Any, x: Any, y: Any) -> Any:
    """100 operations and a sum."""
    for _ in range(20):
        x = np.sin(x)
        x = x * 1.1
        x = x + y
        x = np.tanh(x)
        x = x - 0.1
    return np.sum(x)


def chain_by_hand(np: Any, x: Any, y: Any) -> tuple[Any, ...]:
    sin, cos, tanh = np.sin, np.cos, np.tanh
    saved = []
    for _ in range(20):
        a = x
        t = tanh(sin(x) * 1.1 + y)
        saved.append((a, t))
        x = t - 0.1
    value = x.sum()
    gx, gy = np.ones_like(x), np.zeros_like(y)
    for a, t in reversed(saved):
        gx = gx * (1.0 - t * t)
        gy = gy + gx
        gx = (gx * 1.1) * cos(a)
    return value, gx, gy


def entries(np: Any, x: Any) -> Any:
    """Reads ``x`` entry by entry. An adjoint that makes a whole array of each entry takes n² steps."""
    return repeat(np, lambda i, y: (y + x[i] * x[i],), (0.0,), x.shape[0])[0]


def entries_by_hand(np: Any, x: Any) -> tuple[Any, ...]:
    y, g = 0.0, np.empty_like(x)
    for i in range(len(x)):
        a = x[i]
        y = y + a * a
        g[i] = 2.0 * a
    return y, g


def logistic(np: Any, x: Any, count: Any) -> Any:
    """The number of steps is the length of ``count``, since inputs are arrays."""
    return np.sum(repeat(np, lambda t, x: (3.0 * x * (1.0 - x),), (x,), count.shape[0])[0])


def logistic_by_hand(np: Any, x: Any, count: Any) -> tuple[Any, ...]:
    slope = np.ones_like(x)
    for _ in range(count.shape[0]):
        slope = slope * (3.0 - 6.0 * x)
        x = 3.0 * x * (1.0 - x)
    return np.sum(x), slope


def tiny_network(np: Any, w1: Any, b1: Any, w2: Any, b2: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w1 + b1)
    e = h @ w2 + b2 - y
    return np.sum(e * e)


def tiny_network_by_hand(np: Any, w1: Any, b1: Any, w2: Any, b2: Any, x: Any, y: Any) -> tuple[Any, ...]:
    h = np.tanh(x @ w1 + b1)
    e = h @ w2 + b2 - y
    value = np.sum(e * e)
    g = 2.0 * e
    back = (g @ w2.T) * (1.0 - h * h)
    return value, x.T @ back, np.sum(back, axis=0), h.T @ g, np.sum(g, axis=0)


def _tiny(rng: Any, batch: int) -> list[Any]:
    shapes = [(8, 16), (16,), (16, 4), (4,), (batch, 8), (batch, 4)]
    return [rng.normal(size=s) for s in shapes]


WORKLOADS = [
    Workload(
        "overhead", "100 tiny operations", chain, lambda rng, n: rng.normal(size=(2, n)),
        sizes(10, 1000), sizes(10), differentiated=2, by_hand=chain_by_hand,
    ),
    Workload(
        "overhead", "entry by entry", entries, lambda rng, n: [rng.normal(size=n)],
        sizes(1000), sizes(200), by_hand=entries_by_hand, loops=True,
    ),
    Workload(
        "overhead", "logistic map", logistic,
        lambda rng, steps: [rng.uniform(0.3, 0.6, 4), rng.integers(0, 2, steps)],
        sizes(1000, name="steps"), sizes(200, name="steps"), by_hand=logistic_by_hand,
        tolerances=(1e-6, 1e-2), loops=True,
    ),
    Workload(
        "overhead", "tiny network", tiny_network, _tiny,
        sizes(32, name="batch"), sizes(32, name="batch"), differentiated=4, by_hand=tiny_network_by_hand,
    ),
]  # fmt: skip

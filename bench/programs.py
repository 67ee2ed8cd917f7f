"""The programs that are measured, each written once, for any namespace that has NumPy's names."""

import itertools
import math
from typing import Any

import numpy


def chain(np: Any, x: Any, y: Any, blocks: int = 20) -> Any:
    """``5 * blocks`` operations and a sum."""
    for _ in range(blocks):
        x = np.sin(x)
        x = x * 1.1
        x = x + y
        x = np.tanh(x)
        x = x - 0.1
    return np.sum(x)


def chain_by_hand(x: Any, y: Any, blocks: int = 20) -> tuple[Any, Any, Any]:
    """Value and both gradients of ``chain``, as somebody with patience would write them."""
    sin, cos, tanh = numpy.sin, numpy.cos, numpy.tanh
    saved = []
    for _ in range(blocks):
        a = x
        x = sin(x)
        x = x * 1.1
        x = x + y
        t = tanh(x)
        saved.append((a, t))
        x = t - 0.1
    value = x.sum()
    gx, gy = numpy.ones_like(x), numpy.zeros_like(y)
    for a, t in reversed(saved):
        gx = gx * (1.0 - t * t)
        gy = gy + gx
        gx = (gx * 1.1) * cos(a)
    return value, gx, gy


def elementwise_chain(np: Any, x: Any, operations: int = 200) -> Any:
    """Of every two operations the derivative of one needs a saved array, so half are a tape's least."""
    for _ in range(operations // 2):
        x = np.sin(x)
        x = x * 1.01
    return np.sum(x)


def mlp_weights(widths: list[int], dtype: Any = "float32") -> list[Any]:
    rng = numpy.random.default_rng(0)
    weights = []
    for n, m in itertools.pairwise(widths):
        weights.append((rng.normal(size=(n, m)) / n**0.5).astype(dtype))
        weights.append((0.1 * rng.normal(size=m)).astype(dtype))
    return weights


def mlp(np: Any, weights: Any, x: Any) -> Any:
    for k in range(0, len(weights) - 2, 2):
        x = np.tanh(x @ weights[k] + weights[k + 1])
    return x @ weights[-2] + weights[-1]


def mlp_loss(np: Any, weights: Any, x: Any, onehot: Any) -> Any:
    """Cross entropy of a classifier."""
    z = mlp(np, weights, x)
    logsum = np.log(np.sum(np.exp(z), axis=1))
    return np.sum(logsum - np.sum(z * onehot, axis=1)) * (1.0 / x.shape[0])


def mlp_by_hand(weights: Any, x: Any, onehot: Any) -> tuple[Any, ...]:
    """Value and gradients of ``mlp_loss``, by hand."""
    inputs = [x]
    for k in range(0, len(weights) - 2, 2):
        x = x @ weights[k]
        x += weights[k + 1]
        inputs.append(numpy.tanh(x, out=x))
    z = x @ weights[-2]
    z += weights[-1]
    e = numpy.exp(z)
    s = e.sum(axis=1, keepdims=True)
    n = x.shape[0]
    value = (numpy.log(s[:, 0]) - (z * onehot).sum(axis=1)).sum() / n
    g = (e / s - onehot) / n
    gradients: list[Any] = []
    for k in range(len(weights) - 2, -2, -2):
        h = inputs[k // 2]
        gradients[:0] = [h.T @ g, g.sum(axis=0)]
        if k:
            g = g @ weights[k].T
            h = h * h
            g *= numpy.subtract(1.0, h, out=h)
    return value, *gradients


def mlp_forward_by_hand(weights: Any, x: Any, onehot: Any) -> Any:
    for k in range(0, len(weights) - 2, 2):
        x = x @ weights[k]
        x += weights[k + 1]
        numpy.tanh(x, out=x)
    z = x @ weights[-2]
    z += weights[-1]
    return (numpy.log(numpy.exp(z).sum(axis=1)) - (z * onehot).sum(axis=1)).sum() / x.shape[0]


def normal_cdf(np: Any, x: Any) -> Any:
    """Within 2e-4 of the normal distribution function. NumPy has no erf, so no library gets to use its own."""
    return 0.5 + 0.5 * np.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x))


def black_scholes(np: Any, spot: Any, vol: Any, strike: Any, rate: float, time: float) -> Any:
    """The sum of the prices of many call options."""
    spread = vol * time**0.5
    d1 = (np.log(spot / strike) + (rate + 0.5 * vol * vol) * time) / spread
    d2 = d1 - spread
    discounted = strike * math.exp(-rate * time)
    return np.sum(spot * normal_cdf(np, d1) - discounted * normal_cdf(np, d2))


def gelu(np: Any, x: Any, times: int = 2) -> Any:
    for _ in range(times):
        x = 0.5 * x * (1.0 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return np.sum(x)


def gelu_of_products(np: Any, x: Any, times: int = 2) -> Any:
    """The same without a power, on which NumPy spends most of its time above."""
    for _ in range(times):
        x = 0.5 * x * (1.0 + np.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x)))
    return np.sum(x)


def add_entries(x: Any, n: int) -> Any:
    """Reads ``x`` entry by entry. An adjoint that makes a whole array of each entry takes n² steps."""
    y = 0.0
    for i in range(n):
        y = y + x[i]
    return y


def write_entries(np: Any, x: Any) -> Any:
    """Writes a recurrence entry by entry, and reads what it wrote. A copy for every write would take n² steps."""
    out = np.zeros_like(x)
    view = out[:]
    for i in range(1, len(x)):
        out[i] = 0.5 * out[i - 1] + x[i]
        view[i] *= 0.9
    return np.sum(out)


def write_rows(np: Any, x: Any, n: int) -> Any:
    """The same with the rows of a matrix."""
    out = np.zeros_like(x, shape=(n, len(x)))
    for i in range(1, n):
        out[i] = 0.5 * out[i - 1] + x
    return np.sum(out)


def rosenbrock(x: Any) -> Any:
    """Its Hessian has three diagonals. Without functions, so that every library's arrays can do it."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

"""Random programs of elementwise operations, broadcasting, sums, views and writes, on arrays of few entries.

A program is drawn once, from a seed; which numbers it meets doesn't change what it does. So it can be run fused and
operation by operation, and differentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpuad.numpy as gnp

SHAPES = [
    (), (1,), (12,), (12, 12), (1, 12), (12, 1), (5, 12), (2, 1, 12), (2, 12, 12), (9, 9), (0,), (3, 0), (2, 3, 4, 5),
    (1, 3, 1, 5), (4, 5), (8, 16),
]  # fmt: skip
#: Which dtypes arrays of one program have: mostly one.
DTYPES = [
    ["float64"], ["float64"], ["float64"], ["float32"], ["float64", "float32"], ["float64", "complex128"],
    ["float32", "float16"], ["float32", "complex64"], ["float64", "float32", "int64"],
]  # fmt: skip

#: Each keeps numbers of moderate size, and away from where a rounding would turn into something else.
UNARY = [
    gnp.tanh, gnp.sin, gnp.cos, gnp.negative, gnp.positive, gnp.absolute,
    lambda x: gnp.exp(gnp.tanh(x)),
    lambda x: gnp.log(gnp.absolute(x) + 1.5),
    lambda x: gnp.sqrt(gnp.absolute(x) ** 2 + 1.0),
    lambda x: 1 / (1 + gnp.exp(-gnp.tanh(x))),
    lambda x: 1.0 / (gnp.absolute(x) ** 2 + 2),
    lambda x: x + gnp.floor(gnp.real(x) + 0.1),
    lambda x: gnp.square(x) * 0.1,
]  # fmt: skip
BINARY = [
    gnp.add, gnp.subtract,
    lambda x, y: gnp.tanh(x * y),
    lambda x, y: x / (gnp.absolute(y) + 1.0),
    lambda x, y: gnp.maximum(gnp.real(x), gnp.real(y)),
    lambda x, y: gnp.minimum(gnp.real(x), gnp.real(y)),
    lambda x, y: gnp.arctan2(gnp.real(x), gnp.real(y)),
    lambda x, y: gnp.hypot(gnp.real(x), gnp.real(y)),
    lambda x, y: gnp.where(gnp.real(x) > 0.3, x, y),
    lambda x, y: gnp.where(gnp.real(x) > 0.2, gnp.log(gnp.real(x)), y),
]  # fmt: skip
EXPONENTS = [2, 3, 0.5, -1, 1.7, 4, 0, -2]


def _written(x: Any) -> Any:
    y = x.copy()
    y[0:1] = 0.7
    return y


def _updated(x: Any) -> Any:
    y = x + 0.0
    y *= 0.9
    y += x.real
    return y


REARRANGED = [
    lambda x: x.T,
    lambda x: x.reshape(-1),
    lambda x: x[::-1],
    lambda x: x[..., None],
    lambda x: gnp.broadcast_to(x, (2, *x.shape)),
    lambda x: x[..., :1] + x[..., :1] * 0.5,
    lambda x: x.astype("float32") if np.dtype(x.dtype).kind == "f" else x.real,
    lambda x: x.astype("float64") if np.dtype(x.dtype).kind == "f" else x.imag,
    _written,
    _updated,
]  # fmt: skip


def _real(x: Any) -> Any:
    return gnp.real(x) + gnp.imag(x) if np.dtype(x.dtype).kind == "c" else x


class Program:
    """``program(*args)`` is a list of arrays, ``program.loss(*args)`` a number; ``args`` are arguments for it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        whole = SHAPES[rng.integers(len(SHAPES))]
        self.dtypes = DTYPES[rng.integers(len(DTYPES))]
        shapes = [whole, whole[-1:], whole[:-1] + (1,) * bool(whole)]
        for _ in range(4):
            shape = [1 if rng.random() < 0.35 else n for n in whole]
            shapes.append(tuple(shape[min(rng.geometric(0.7) - 1, len(shape)) :]))
        draw = [int(k) for k in rng.integers(len(shapes), size=5)]
        self.args = [self._array(shapes[k], varies=True) for k in [0, *draw[: rng.integers(3)]]]
        self.constants = [self._array(shapes[k]) for k in draw[3:]]
        self.steps = [(rng.random(), rng.integers(1 << 30, size=4).tolist()) for _ in range(rng.integers(3, 25))]
        self.numbers = [float(rng.normal()), np.float32(0.7), 2, np.array(-0.4), -3.5]

    def _array(self, shape: tuple[int, ...], varies: bool = False) -> Any:
        rng = self.rng
        dtype = self.dtypes[rng.integers(len(self.dtypes))]
        a: Any = rng.normal(size=shape)
        if dtype == "int64":
            a = a if varies else np.round(3 * a)
            dtype = "float64" if varies else dtype
        elif dtype.startswith("complex"):
            a = a + 1j * rng.normal(size=shape)
        a = np.asarray(a).astype(dtype)
        layout = rng.integers(5) if a.ndim else 0
        if layout == 1:
            return np.asfortranarray(a)
        if layout == 2:
            return a[::-1]
        return np.repeat(a, 2, axis=-1)[..., ::2] if layout == 3 else a

    def __call__(self, *xs: Any) -> list[Any]:
        pool = list(xs)
        for kind, (a, b, c, d) in self.steps:
            x = pool[-1 - a % min(len(pool), 6)]
            if kind < 0.3:
                y = UNARY[b % len(UNARY)](x)
            elif kind < 0.6:
                y = self._two(x, self._other(pool, c, d), b)
            elif kind < 0.85:
                y = self._reduced(x, b, c) if x.ndim else x
            else:
                y = REARRANGED[b % len(REARRANGED)](x) if 0 < x.ndim < 5 else x * 0.8
            if np.size(y) <= 2000:
                pool.append(y)
        return pool[-4:]

    def _other(self, pool: list[Any], c: int, d: int) -> Any:
        if d % 5 == 0:
            return self.constants[c % 2]
        return self.numbers[c % 5] if d % 5 == 1 else pool[-1 - c % min(len(pool), 6)]

    @staticmethod
    def _two(x: Any, y: Any, b: int) -> Any:
        if b % 11 == 10:
            return (gnp.absolute(x) + 0.5) ** EXPONENTS[b // 11 % 8]
        try:
            np.broadcast_shapes(np.shape(x), np.shape(y))
        except ValueError:
            return x
        return BINARY[b // 22 % len(BINARY)](*((x, y) if b // 11 % 2 else (y, x)))

    @staticmethod
    def _reduced(x: Any, b: int, c: int) -> Any:
        n = x.ndim
        axis = [None, -1, 0, (0,), tuple(range(n)), tuple(range(n - 1)) or None, n - 1, tuple(range(1, n)) or None][
            b % 8
        ]
        if c % 5 == 0 and x.size:  # meets its array again
            d = x - gnp.mean(x, axis=axis, keepdims=True)
            return d / gnp.sqrt(gnp.mean(gnp.absolute(d) ** 2, axis=axis, keepdims=True) + 1.0)
        if c % 5 == 1 and x.size and np.dtype(x.dtype).kind == "f":
            e = gnp.exp(x - gnp.max(x, axis=axis, keepdims=True))
            return e / gnp.sum(e, axis=axis, keepdims=True)
        if c % 5 == 2 and x.size:
            return gnp.mean(x, axis=axis, keepdims=c % 2 == 0)
        return gnp.sum(x, axis=axis, keepdims=c % 3 > 0) * 0.1

    def loss(self, *xs: Any) -> Any:
        total: Any = 0.0
        for y in self(*xs):
            total = total + gnp.sum(_real(y) * 0.37)
        return total

"""Convolutions in any number of dimensions, and filters that run along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.primitive import Primitive
from .batching import filled, front, looped, of_one
from .contract import matmul
from .declare import fit, operation
from .index import getitem
from .shape import flip, pad, stack
from .windows import windows

Axes = tuple[int, ...]


# -- of two arrays ----------------------------------------------------------------------------------------
def _convolve(xp: Any, x: Any, y: Any, *, mode: str, method: str, axes: Axes) -> Any:
    signal = xp.scipy.signal
    if method in ("fft", "oa"):
        return (signal.fftconvolve if method == "fft" else signal.oaconvolve)(x, y, mode, axes=axes)
    return signal.convolve(x, y, mode, method)


def _convolve_vjp_x(g: Any, ans: Any, x: Any, y: Any, *, mode: str, method: str, axes: Axes) -> Any:
    other = "valid" if mode == "full" else "full"
    return convolve(g, flip(y, axes=axes), mode=other, method=method, axes=axes)


def _convolve_vjp_y(g: Any, ans: Any, x: Any, y: Any, *, mode: str, method: str, axes: Axes) -> Any:
    x = flip(x, axes=axes)
    x, g = (g, x) if mode == "full" else (x, g)
    return convolve(x, g, mode="valid", method=method, axes=axes)


def _convolve_batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    inner = tuple(i + 1 for i in params["axes"])
    if params["method"] in ("fft", "oa"):
        x, y = (v if m else v[None] for v, m in zip(values, mapped, strict=True))
        return prim(x, y, **{**params, "axes": inner})
    if all(mapped) or (mapped[1] and params["mode"] == "valid"):
        return convolved_in_pairs(prim, n, mapped, values, params)
    # SciPy has no axes here. Along that of the examples one of the two is of length 1, which changes nothing.
    x, y = (v if m else v[None] for v, m in zip(values, mapped, strict=True))
    return prim(x, y, **{**params, "axes": (0, *inner)})


#: Of so many weights the products are computed one by one, faster than by Fourier transforms.
FEW = 128


def convolved_in_pairs(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    """Where both arrays differ from example to example."""
    x, y = filled(values, mapped, n)
    if params["mode"] == "full" and math.prod(x.shape) < math.prod(y.shape):
        x, y = y, x
    if math.prod(y.shape[1:]) > FEW:
        if params["method"] == "auto":
            return convolve(x, y, **{**params, "method": "fft", "axes": tuple(i + 1 for i in params["axes"])})
        return looped(prim, n, mapped, values, params)
    if params["mode"] == "full":
        x = pad(x, widths=((0, 0), *((m - 1, m - 1) for m in y.shape[1:])), constant_values=0.0)
    y = flip(y, axes=tuple(range(1, len(y.shape))))
    return _sliding_products_batched(sliding_products, n, [True, True], [y[:, None, None], x[:, None, None]], {})[
        :, 0, 0
    ]


#: Along ``axes``, counted from the front, broadcast along the others. ``mode`` is ``"full"``, or ``"valid"``, where
#: no axis of ``y`` is longer than that of ``x``; ``method`` is SciPy's, or ``"oa"`` for its ``oaconvolve``.
convolve: Primitive = operation(
    "scipy.signal.convolve",
    _convolve,
    _convolve_vjp_x,
    _convolve_vjp_y,
    linear=True,
    finish=fit,
    batch=_convolve_batched,
)


# -- of two stacks of arrays ------------------------------------------------------------------------------
def _sliding_products(xp: Any, k: Any, x: Any) -> Any:
    p, (q, d) = k.shape[0], x.shape[:2]
    window = k.shape[2:]
    places = tuple(n - m + 1 for n, m in zip(x.shape[2:], window, strict=True))
    if math.prod(places) < math.prod(window):  # few large windows: one after the other
        out, k = xp.empty((p, q, *places), np.result_type(k.dtype, x.dtype)), k.reshape(p, -1)
        for place in np.ndindex(*places):
            part = x[(..., *(slice(i, i + m) for i, m in zip(place, window, strict=True)))]
            out[(..., *place)] = xp.dot(k, part.reshape(q, -1).T)
        return out
    # many small ones: as in (D, *window, Q, *places), of which the copy is made that the product needs
    batch, feature, *inner = x.strides
    shape, strides = (d, *window, q, *places), (feature, *inner, batch, *inner)
    windows = xp.lib.stride_tricks.as_strided(x, shape, strides).reshape(d * math.prod(window), -1)
    return xp.matmul(k.reshape(p, -1), windows).reshape(p, q, *places)


def _swap(x: Any) -> Any:
    return x.swapaxes(0, 1)


def _sliding_products_vjp_x(g: Any, ans: Any, k: Any, x: Any) -> Any:
    around = ((0, 0), (0, 0), *((m - 1, m - 1) for m in k.shape[2:]))
    flipped = flip(k, axes=tuple(range(2, len(k.shape))))
    return _swap(sliding_products(_swap(flipped), _swap(pad(g, widths=around, constant_values=0.0))))


def _sliding_products_batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    if all(mapped):
        k, x = values
        (p, d, *size), q = k.shape[1:], x.shape[1]
        axes = tuple(range(3, len(x.shape)))
        found = windows(x, window=tuple(size), axes=axes)  # (n, Q, D, *places, *size)
        places = found.shape[3 : 3 + len(size)]
        order = (0, 2, *range(3 + len(size), 3 + 2 * len(size)), 1, *range(3, 3 + len(size)))
        found = found.transpose(order).reshape((n, d * math.prod(size), q * math.prod(places)))
        return matmul(k.reshape((n, p, -1)), found).reshape((n, p, q, *places))
    k, x = (v.reshape((-1, *v.shape[2:])) if m else v for v, m in zip(values, mapped, strict=True))
    found = prim(k, x)
    if mapped[0]:
        return found.reshape((n, -1, *found.shape[1:]))
    return front(found.reshape((found.shape[0], n, -1, *found.shape[2:])), 1)


#: Every ``k[p, :, …]`` laid on every ``x[q, :, …]`` wherever it fits inside, multiplied and summed: of shape
#: ``(P, Q, *places)``. What undoes either argument is the same with other arguments.
sliding_products: Primitive = operation(
    "sliding_products",
    _sliding_products,
    lambda g, ans, k, x: sliding_products(g, _swap(x)),
    _sliding_products_vjp_x,
    linear=True,
    finish=fit,
    batch=_sliding_products_batched,
)


# -- recursive filters ------------------------------------------------------------------------------------
def _along(x: Any, axis: int, part: slice) -> Any:
    return getitem(x, (slice(None),) * axis + (part,))


def _undo_recursive(g: Any, a: Any, axis: int) -> Any:
    return flip(recursive_filter(a, flip(g, axes=(axis,)), axis=axis), axes=(axis,))


def _recursive_vjp_a(g: Any, ans: Any, a: Any, u: Any, *, axis: int) -> Any:
    h, n = _undo_recursive(g, a, axis), u.shape[axis]
    lags = [
        (_along(h, axis, slice(k, None)) * _along(ans, axis, slice(max(n - k, 0)))).sum() for k in range(a.shape[0])
    ]
    return -stack(*lags, axis=0)


#: ``y`` for which ``Σ a[k] y[n - k] = u[n]`` along ``axis``.
recursive_filter: Primitive = operation(
    "recursive_filter",
    lambda xp, a, u, *, axis: xp.scipy.signal.lfilter(xp.ones(1, a.dtype), a, u, axis=axis),
    _recursive_vjp_a,
    lambda g, ans, a, u, *, axis: _undo_recursive(g, a, axis),
    finish=fit,
    batch=of_one(1),
)

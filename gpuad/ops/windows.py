"""Windows onto an array that overlap: views, undone by adding up."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import make_spec, sample, spec_of
from ..core.memory import View
from ..core.primitive import Primitive
from .batching import over_axes
from .declare import operation, view
from .index import ARRAY, Arrays, scatter_add
from .shape import reshape

Shape = tuple[int, ...]


def _windows(xp: Any, x: Any, *, window: Shape, axes: Shape) -> Any:
    # CuPy's sliding_window_view wants the axes in order.
    lengths = list(x.shape)
    for axis, n in zip(axes, window, strict=True):
        lengths[axis] -= n - 1
    strides = (*x.strides, *(x.strides[axis] for axis in axes))
    return xp.lib.stride_tricks.as_strided(x, (*lengths, *window), strides)


def _overlap_add(xp: Any, g: Any, *, shape: Shape, window: Shape, axes: Shape) -> Any:
    out = xp.zeros(shape, g.dtype)
    ndim = len(shape)
    if math.prod(window) <= math.prod(g.shape[i] for i in axes):
        for place in itertools.product(*map(range, window)):
            index = [slice(None)] * ndim
            for axis, start in zip(axes, place, strict=True):
                index[axis] = slice(start, start + g.shape[axis])
            out[tuple(index)] += g[(..., *place)]
        return out
    # Fewer windows than places in one: window by window.
    order = (*axes, *(i for i in range(ndim) if i not in axes), *range(ndim, g.ndim))
    g, inner = g.transpose(order), xp.moveaxis(out, axes, range(ndim - len(axes), ndim))
    for place in itertools.product(*map(range, g.shape[: len(axes)])):
        spans = tuple(slice(start, start + n) for start, n in zip(place, window, strict=True))
        inner[(..., *spans)] += g[place]
    return out


def _overlap_add_batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    axes = tuple(i + 1 for i in params["axes"])
    return prim(values[0], **{**params, "shape": (n, *params["shape"]), "axes": axes})


#: The windows of a size, ``window``, that fit along each of ``axes``, which are distinct; a view.
windows: View = view(
    "windows",
    _windows,
    lambda g, ans, x, *, window, axes: overlap_add(g, shape=x.shape, window=window, axes=axes),
    writable=False,
    batch=over_axes,
)
#: What undoes ``windows``.
overlap_add: Primitive = operation(
    "overlap_add",
    _overlap_add,
    lambda g, ans, x, *, shape, window, axes: windows(g, window=window, axes=axes),
    linear=True,
    batch=_overlap_add_batched,
)


# -- any steps through memory -------------------------------------------------------------------------
def _places(shape: Shape, steps: Shape) -> Any:
    """The places in memory of the entries of an array of that shape, one after the other."""
    places = np.zeros(shape, np.intp)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        places += (np.arange(n) * step).reshape((n,) + (1,) * (len(shape) - 1 - axis))
    return places.ravel()


def _as_strided(xp: Any, x: Any, *, shape: Shape, steps: Shape) -> Any:
    strides = tuple(step * x.dtype.itemsize for step in steps)
    return xp.lib.stride_tricks.as_strided(xp.ascontiguousarray(x), shape, strides)


def _as_strided_vjp(g: Any, ans: Any, x: Any, *, shape: Shape, steps: Shape) -> Any:
    places = backend_of((sample(g),)).asarray(_places(shape, steps))
    flat = make_spec((x.size,), spec_of(g).dtype)
    total = scatter_add(reshape(g, shape=(-1,), order="C"), indices=(Arrays((ARRAY,), (places,)),), spec=flat)
    return reshape(total, shape=x.shape, order="C")


def _as_strided_batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    (x,) = values
    steps = (math.prod(spec_of(x).shape[1:]), *params["steps"])
    return prim(x, shape=(n, *params["shape"]), steps=steps)


#: An array of a shape whose entries lie in the memory of ``x``, written row by row, at multiples of ``steps``.
as_strided: View = view("as_strided", _as_strided, _as_strided_vjp, writable=False, batch=_as_strided_batched)

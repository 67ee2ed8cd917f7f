"""NumPy's functions that choose entries."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..backend import owner_of_type
from ..core.box import Box, apart, spec_of
from ..errors import UnsupportedError
from ..ops import declare
from ..ops import elementwise as e
from ..ops import shape as s
from ..ops.index import ARRAY, Arrays, getitem, scattered
from .creation import as_array, as_arrays, convert, copied, dtype_or_number, home
from .elementwise import no_options
from .frontend import numpy_function
from .shapes import ravel
from .writing import along_axis


def _axis_of(a: Any, axis: Any) -> tuple[Any, int]:
    """The array and the axis that are meant: without one, the flat array."""
    a = as_array(a)
    return (ravel(a), 0) if axis is None else (a, normalize_axis_index(axis, len(spec_of(a).shape)))


def _constant(x: Any, like: Any, dtype: Any = None) -> Any:
    """An array of integers or booleans on the backend of ``like``."""
    if type(x) is Box or owner_of_type(type(x)) is not None:
        return x
    x = np.asarray(x, dtype)
    return home(like).asarray(x if x.size or dtype else x.astype(np.intp))


# -- by number ----------------------------------------------------------------------------------------
def _in_range(indices: Any, n: int, mode: str) -> Any:
    """``indices`` by NumPy's ``mode`` for those out of bounds."""
    if mode == "wrap":
        return indices % n
    if mode == "clip":
        return home(indices).function("clip")(indices, 0, n - 1)
    if mode != "raise":
        raise ValueError(f"mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    return indices


@numpy_function("take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    no_options("take", out=out)
    a, axis = _axis_of(a, axis)
    if not isinstance(indices, int):
        indices = _constant(indices, a)
    return copied(getitem(a, (slice(None),) * axis + (_in_range(indices, spec_of(a).shape[axis], mode),)), "C")


@numpy_function("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr, axis = _axis_of(arr, axis)
    return getitem(arr, along_axis(arr, indices, axis))


@numpy_function("choose")
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    no_options("choose", out=out)
    if type(a) is Box and a.spec.differentiable:
        raise UnsupportedError(
            f"choose: the first argument says which array is meant, and must be of integers, got {a.spec}: "
            "write gpuad.stop_gradient(a).astype(int)"
        )
    arrays = as_arrays(choices)
    which = _in_range(_constant(a, arrays), len(arrays), mode)
    shape = np.broadcast_shapes(which.shape, *(spec_of(c).shape for c in arrays))
    table = s.stack(*(declare.broadcast_to(c, shape=shape) for c in arrays), axis=0)
    return getitem(take_along_axis(table, declare.broadcast_to(which, shape=shape)[None], 0), 0)


# -- by condition -------------------------------------------------------------------------------------
@numpy_function("compress")
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    no_options("compress", out=out)
    a, axis = _axis_of(a, axis)
    condition = _constant(condition, a, bool)
    if condition.ndim != 1:
        raise UnsupportedError(
            f"compress: condition must have one axis, got shape {condition.shape}; with condition.ravel() it has"
        )
    (chosen,) = home(condition).function("nonzero")(condition)
    return getitem(a, (slice(None),) * axis + (chosen,))


@numpy_function("extract")
def extract(condition: Any, arr: Any) -> Any:
    return compress(_constant(condition, arr, bool).ravel(), arr)


@numpy_function("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    dtype = np.result_type(*map(dtype_or_number, (*choicelist, default)))
    *choices, chosen = (convert(v, dtype) for v in as_arrays([*choicelist, default]))
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        chosen = e.where(_constant(condition, choice), choice, chosen)
    return chosen


@numpy_function("piecewise")
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    x = as_array(x)
    spec = spec_of(x)
    if np.isscalar(condlist) or (np.ndim(condlist[0]) == 0 and spec.shape):
        condlist = [condlist]
    masks = [apart(_constant(c, x, bool)) for c in condlist]
    for mask in masks:
        if mask.shape != spec.shape:
            raise UnsupportedError(
                f"piecewise: a condition has shape {mask.shape}, and x has {spec.shape}; gpuad wants them alike"
            )
    if len(funclist) == len(masks) + 1:
        anywhere = masks[0]
        for mask in masks[1:]:
            anywhere = anywhere | mask
        masks.append(~anywhere)
    elif len(funclist) != len(masks):
        raise ValueError(
            f"with {len(masks)} condition(s), either {len(masks)} or {len(masks) + 1} functions are expected"
        )
    # Each function sees its own entries alone, for it may be undefined on the others. Where several
    # conditions hold, the last one counts.
    y = home(x).function("zeros")(spec.shape, spec.dtype)
    for mask, f in zip(masks, funclist, strict=True):
        part = getitem(x, mask)
        values = convert(as_array(f(part, *args, **kw) if callable(f) else f, home(x)), spec.dtype)
        values = declare.broadcast_to(values, shape=spec_of(part).shape)
        y = e.where(mask, scattered(values, Arrays((ARRAY,), (mask,)), spec), y)
    return y


# -- diagonals and triangles --------------------------------------------------------------------------
@numpy_function("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = as_array(a)
    ndim = len(spec_of(a).shape)
    first, second = normalize_axis_index(axis1, ndim), normalize_axis_index(axis2, ndim)
    return s.diagonal(a, offset=operator.index(offset), axis1=first, axis2=second)


@numpy_function("diag")
def diag(v: Any, k: int = 0) -> Any:
    v, k = as_array(v), operator.index(k)
    shape = spec_of(v).shape
    if len(shape) == 2:
        return s.diagonal(v, offset=k, axis1=0, axis2=1)
    if len(shape) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = shape[0] + abs(k)
    return s.from_diagonal(v, shape=(n, n), offset=k, axis1=0, axis2=1)


@numpy_function("diagflat")
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(v), k)


def _triangle(name: str, prim: Callable[..., Any]) -> None:
    @numpy_function(name)
    def triangle(m: Any, k: int = 0) -> Any:
        m = as_array(m)
        shape = spec_of(m).shape
        if len(shape) < 2:  # NumPy takes a vector for the rows of a square matrix
            m = declare.broadcast_to(m, shape=(shape[0] if shape else 1,) * 2)
        return prim(m, k=operator.index(k))


_triangle("triu", s.triu)
_triangle("tril", s.tril)


def _indices_from(name: str) -> None:
    @numpy_function(f"{name}_from")
    def indices(arr: Any, k: int = 0) -> Any:
        if len(spec_of(arr).shape) != 2:
            raise ValueError("input array must be 2-d")
        rows, columns = spec_of(arr).shape
        return home(arr).function(name)(rows, k=k, m=columns)


_indices_from("triu_indices")
_indices_from("tril_indices")


@numpy_function("diag_indices_from")
def diag_indices_from(arr: Any) -> Any:
    shape = spec_of(arr).shape
    if len(shape) < 2 or len(set(shape)) != 1:
        raise ValueError(f"diag_indices_from: all axes must have one length and be two at least, got shape {shape}")
    return home(arr).function("diag_indices")(shape[0], len(shape))

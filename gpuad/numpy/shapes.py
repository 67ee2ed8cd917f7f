"""NumPy's functions that rearrange, join, split, repeat and pad."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.box import Box, sample, spec_of
from ..core.memory import lying
from ..fused.pending import Pending
from ..ops import declare
from ..ops import shape as s
from ..ops.index import getitem
from .creation import as_array, as_arrays, as_shape, convert, copied, home, laid_out, order_of
from .elementwise import no_options
from .frontend import numpy_function


def shape_of(x: Any) -> tuple[int, ...]:
    return spec_of(x).shape


def _along(axis: int, i: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (i,)


# -- another shape ------------------------------------------------------------------------------------
@numpy_function("reshape")
def reshape(a: Any, /, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    a = as_array(a)
    wanted = newshape if shape is None else shape
    if wanted is None:
        raise TypeError("reshape: no shape was given")
    return s.reshape(a, shape=as_shape(wanted), order=order_of(a, order))


@numpy_function("ravel")
def ravel(a: Any, order: Any = "C") -> Any:
    a = as_array(a)
    if order in ("K", "k"):  # as it lies in memory
        strides = getattr(lying(a) if type(a) is Box else a, "strides", ())
        a, order = s.transpose(a, axes=tuple(sorted(range(len(strides)), key=lambda i: -abs(strides[i])))), "C"
    found = s.reshape(a, shape=(-1,), order=order_of(a, order))
    return found if isinstance(sample(found), Pending) else laid_out(found, "C")  # what waits will lie so


@numpy_function("expand_dims")
def expand_dims(a: Any, axis: Any) -> Any:
    a = as_array(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = normalize_axis_tuple(axis, len(shape_of(a)) + count)
    lengths = iter(shape_of(a))
    shape = tuple(1 if i in axes else next(lengths) for i in range(len(shape_of(a)) + count))
    return s.reshape(a, shape=shape, order="C")


@numpy_function("squeeze")
def squeeze(a: Any, axis: Any = None) -> Any:
    a = as_array(a)
    shape = shape_of(a)
    if axis is None:
        return s.reshape(a, shape=tuple(n for n in shape if n != 1), order="C")
    axes = normalize_axis_tuple(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ValueError(f"squeeze: an axis of length 1 can be left out; got axis={axis} of shape {shape}")
    return s.reshape(a, shape=tuple(n for i, n in enumerate(shape) if i not in axes), order="C")


def _at_least(name: str, reshaped: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Callable[..., Any]:
    @numpy_function(name)
    def at_least(*arys: Any) -> Any:
        found = tuple(s.reshape(a, shape=reshaped(shape_of(a)), order="C") for a in as_arrays(arys))
        return found[0] if len(found) == 1 else found

    return at_least


atleast_1d = _at_least("atleast_1d", lambda shape: shape or (1,))
atleast_2d = _at_least("atleast_2d", lambda shape: shape if len(shape) > 1 else (1, *(shape or (1,))))
atleast_3d = _at_least(
    "atleast_3d", lambda shape: {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape)
)


@numpy_function("broadcast_to")
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return declare.broadcast_to(as_array(array), shape=as_shape(shape))


@numpy_function("broadcast_arrays")
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    arrays = as_arrays(args)
    shape = np.broadcast_shapes(*map(shape_of, arrays))
    return tuple(a if shape_of(a) == shape else declare.broadcast_to(a, shape=shape) for a in arrays)


# -- another order of the axes ------------------------------------------------------------------------
@numpy_function("transpose")
def transpose(a: Any, axes: Any = None) -> Any:
    a = as_array(a)
    if axes is None:
        return s.transpose(a, axes=None)
    order = normalize_axis_tuple(axes, len(shape_of(a)))
    if len(order) != len(shape_of(a)):
        raise ValueError(f"transpose: axes={axes} aren't the axes of an array of shape {shape_of(a)}")
    return s.transpose(a, axes=order)


@numpy_function("permute_dims")
def permute_dims(a: Any, axes: Any = None) -> Any:
    return transpose(a, axes)


@numpy_function("matrix_transpose")
def matrix_transpose(x: Any, /) -> Any:
    if len(shape_of(x)) < 2:
        raise ValueError(f"matrix_transpose: needs at least 2 axes, got shape {shape_of(x)}")
    return swapaxes(x, -1, -2)


@numpy_function("swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = as_array(a)
    order = list(range(len(shape_of(a))))
    i, j = normalize_axis_index(axis1, len(order)), normalize_axis_index(axis2, len(order))
    order[i], order[j] = j, i
    return s.transpose(a, axes=tuple(order))


@numpy_function("moveaxis")
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = as_array(a)
    ndim = len(shape_of(a))
    sources = normalize_axis_tuple(source, ndim, "source")
    destinations = normalize_axis_tuple(destination, ndim, "destination")
    if len(sources) != len(destinations):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [i for i in range(ndim) if i not in sources]
    for to, moved in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, moved)
    return s.transpose(a, axes=tuple(order))


@numpy_function("rollaxis")
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    a = as_array(a)
    ndim = len(shape_of(a))
    axis = normalize_axis_index(axis, ndim)
    start = normalize_axis_index(start, ndim + 1) if start >= 0 else normalize_axis_index(start, ndim)
    return moveaxis(a, axis, start - (axis < start))


# -- another order of the entries ---------------------------------------------------------------------
@numpy_function("flip")
def flip(m: Any, axis: Any = None) -> Any:
    m = as_array(m)
    ndim = len(shape_of(m))
    return s.flip(m, axes=tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim))


@numpy_function("fliplr")
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@numpy_function("flipud")
def flipud(m: Any) -> Any:
    return flip(m, 0)


@numpy_function("rot90")
def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    m = as_array(m)
    first, second = normalize_axis_tuple(axes, len(shape_of(m)))
    turns = k % 4
    if turns == 0:
        return m
    if turns == 2:
        return s.flip(m, axes=(first, second))
    if turns == 1:
        return swapaxes(s.flip(m, axes=(second,)), first, second)
    return s.flip(swapaxes(m, first, second), axes=(second,))


@numpy_function("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    a = as_array(a)
    if axis is None:
        total = sum(int(n) for n in (shift if np.iterable(shift) else [shift]))
        return s.reshape(s.roll(ravel(a), shifts=(total,), axes=(0,)), shape=shape_of(a), order="C")
    if type(shift) is int and type(axis) is int and 0 <= axis < len(shape_of(a)):  # as in most calls
        return s.roll(a, shifts=(shift,), axes=(axis,))
    axes = normalize_axis_tuple(axis, len(shape_of(a)), allow_duplicate=True)
    pairs = [(int(n), int(i)) for n, i in np.broadcast(shift, axes)]
    return s.roll(a, shifts=tuple(n for n, _ in pairs), axes=tuple(i for _, i in pairs))


# -- joining ------------------------------------------------------------------------------------------
def _joined(arrays: list[Any], axis: int) -> Any:
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    ndim = len(shape_of(arrays[0]))
    if not all(shape_of(a) for a in arrays):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis_index(axis, ndim)
    lengths = (shape_of(a)[axis] if len(shape_of(a)) == ndim else 0 for a in arrays)
    return s.concatenate(*arrays, axis=axis, starts=(0, *itertools.accumulate(lengths)))


def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    no_options("concatenate", out=out)
    parts = as_arrays(arrays)
    if axis is None:
        parts, axis = [ravel(a) for a in parts], 0
    whole = _joined(parts, axis)
    return whole if dtype is None else convert(whole, dtype)


@numpy_function("concatenate")
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    return _concatenate(arrays, axis, out, dtype=dtype, casting=casting)


@numpy_function("concat")
def concat(arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return _concatenate(arrays, axis, out, dtype=dtype, casting=casting)


@numpy_function("stack")
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    no_options("stack", out=out)
    parts = as_arrays(arrays)
    if not parts:
        raise ValueError("need at least one array to stack")
    whole = s.stack(*parts, axis=normalize_axis_index(axis, len(shape_of(parts[0])) + 1))
    return whole if dtype is None else convert(whole, dtype)


def _stacker(name: str, prepare: Callable[[list[Any]], tuple[list[Any], int]]) -> None:
    @numpy_function(name)
    def stacked(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
        parts, axis = prepare(as_arrays(tup))
        return _concatenate(parts, axis, dtype=dtype)


def _hstack(arrays: list[Any]) -> tuple[list[Any], int]:
    return [atleast_1d(a) for a in arrays], int(bool(arrays) and len(shape_of(arrays[0])) > 1)


def _column(a: Any) -> Any:
    n = shape_of(a)
    return a if len(n) > 1 else s.reshape(a, shape=(*n, 1) if n else (1, 1), order="C")


_stacker("vstack", lambda arrays: ([atleast_2d(a) for a in arrays], 0))
_stacker("row_stack", lambda arrays: ([atleast_2d(a) for a in arrays], 0))
_stacker("hstack", _hstack)
_stacker("dstack", lambda arrays: ([atleast_3d(a) for a in arrays], 2))
_stacker("column_stack", lambda arrays: ([_column(a) for a in arrays], 1))


@numpy_function("block")
def block(arrays: Any) -> Any:
    backend = home(arrays)
    depths, sizes = set(), [0]

    def look(tree: Any, depth: int) -> None:
        if type(tree) is not list:
            depths.add(depth)
            sizes.append(len(shape_of(as_array(tree, backend))))
        elif not tree:
            raise ValueError("block: a list is empty")
        else:
            for part in tree:
                look(part, depth + 1)

    look(arrays, 0)
    if len(depths) != 1:
        raise ValueError(f"block: lists must be nested equally deep, got depths {sorted(depths)}")
    depth = depths.pop()
    ndim = max(depth, *sizes)

    def build(tree: Any, below: int) -> Any:
        if type(tree) is list:
            return _joined([build(part, below - 1) for part in tree], -below)
        a = as_array(tree, backend)
        return s.reshape(a, shape=(1,) * (ndim - len(shape_of(a))) + shape_of(a), order="C")

    return copied(build(arrays, depth))


@numpy_function("append")
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return _concatenate([arr, values], axis)


# -- splitting ----------------------------------------------------------------------------------------
def _bounds(n: int, indices_or_sections: Any, name: str) -> list[int]:
    """Where the parts of an axis of length ``n`` begin, and where the last ends."""
    try:
        return [0, *map(operator.index, indices_or_sections), n]
    except TypeError:
        count = operator.index(indices_or_sections)
    if count <= 0:
        raise ValueError("number sections must be larger than 0.")
    if name == "split" and n % count:
        raise ValueError("array split does not result in an equal division")
    longer = n % count
    return [i * (n // count) + min(i, longer) for i in range(count + 1)]


def _split(ary: Any, indices_or_sections: Any, axis: int, name: str = "split") -> list[Any]:
    ary = as_array(ary)
    axis = normalize_axis_index(axis, len(shape_of(ary)))
    bounds = _bounds(shape_of(ary)[axis], indices_or_sections, name)
    return [getitem(ary, _along(axis, slice(i, j))) for i, j in itertools.pairwise(bounds)]


@numpy_function("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return _split(ary, indices_or_sections, axis)


@numpy_function("array_split")
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return _split(ary, indices_or_sections, axis, "array_split")


def _splitter(name: str, least: int, axis: int) -> None:
    @numpy_function(name)
    def splitter(ary: Any, indices_or_sections: Any) -> list[Any]:
        ndim = len(shape_of(as_array(ary)))
        if ndim < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        return _split(ary, indices_or_sections, min(axis, ndim - 1))


_splitter("hsplit", 1, 1)
_splitter("vsplit", 2, 0)
_splitter("dsplit", 3, 2)


@numpy_function("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    axis = normalize_axis_index(axis, len(shape_of(x)))
    return tuple(getitem(x, _along(axis, i)) for i in range(shape_of(x)[axis]))


# -- repeating ----------------------------------------------------------------------------------------
@numpy_function("tile")
def tile(A: Any, reps: Any) -> Any:
    a = as_array(A)
    times = as_shape(reps)
    ndim = max(len(times), len(shape_of(a)))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - len(shape_of(a))) + shape_of(a)
    pairs = list(zip(times, shape, strict=True))
    spread = s.reshape(a, shape=tuple(i for _, n in pairs for i in (1, n)), order="C")
    spread = declare.broadcast_to(spread, shape=tuple(i for pair in pairs for i in pair))
    return copied(s.reshape(spread, shape=tuple(r * n for r, n in pairs), order="C"), "C")


@numpy_function("repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    a = as_array(a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis_index(axis, len(shape_of(a)))
    shape = shape_of(a)
    times = np.asarray(repeats)
    if times.size != 1:
        return getitem(a, _along(axis, home(a).asarray(np.repeat(np.arange(shape[axis]), times))))
    count = operator.index(times.item())
    if count < 0:
        raise ValueError("repeats may not contain negative values.")
    before, n, after = shape[:axis], shape[axis], shape[axis + 1 :]
    spread = s.reshape(a, shape=(*before, n, 1, *after), order="C")
    spread = declare.broadcast_to(spread, shape=(*before, n, count, *after))
    return copied(s.reshape(spread, shape=(*before, n * count, *after), order="C"))


@numpy_function("resize")
def resize(a: Any, new_shape: Any) -> Any:
    shape = as_shape(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    a = ravel(a)
    have, want = shape_of(a)[0], math.prod(shape)
    if have == 0:
        return home(a).function("zeros")(shape, spec_of(a).dtype)
    times = -(-want // have)
    return copied(s.reshape(getitem(tile(a, times) if times > 1 else a, slice(0, want)), shape=shape, order="C"))


# -- inserting, deleting ------------------------------------------------------------------------------
def _axis_of(arr: Any, axis: Any) -> tuple[Any, int]:
    """The array and the axis that are meant: without one, the flat array."""
    arr = as_array(arr)
    return (ravel(arr), 0) if axis is None else (arr, normalize_axis_index(axis, len(shape_of(arr))))


@numpy_function("delete")
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr, axis = _axis_of(arr, axis)
    kept = np.delete(np.arange(shape_of(arr)[axis]), obj)
    return laid_out(getitem(arr, _along(axis, home(arr).asarray(kept))), order_of(arr))


@numpy_function("insert")
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, values = as_arrays([arr, values])
    arr, axis = _axis_of(arr, axis)
    shape, n = shape_of(arr), shape_of(arr)[axis]
    places = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    missing = len(shape) - len(shape_of(values))
    values = s.reshape(values, shape=(1,) * missing + shape_of(values), order="C")
    if places.ndim == 0:
        values = moveaxis(values, 0, axis)
    several = places.size != 1  # at one place all values go in, at several one each
    count = places.size if several else shape_of(values)[axis]
    values = declare.broadcast_to(values, shape=(*shape[:axis], count, *shape[axis + 1 :]))
    both = _joined([arr, convert(values, spec_of(arr).dtype)], axis)
    order = np.insert(np.arange(n), places.astype(np.intp) if several else places.item(), n + np.arange(count))
    return laid_out(getitem(both, _along(axis, home(both).asarray(order))), order_of(arr))

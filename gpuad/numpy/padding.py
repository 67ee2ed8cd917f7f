"""``numpy.pad`` in all its modes: axis after axis, as NumPy goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..core.box import spec_of
from ..errors import UnsupportedError
from ..ops import shape as s
from ..ops.declare import broadcast_to
from ..ops.filter import extend
from ..ops.index import getitem
from .creation import as_array, convert, home
from .frontend import functions, is_traced, numpy_function

Width = tuple[int, int]


@numpy_function("pad")
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    array = as_array(array)
    ndim = len(spec_of(array).shape)
    widths = _widths(pad_width, ndim)
    if any(n < 0 for width in widths for n in width):
        raise ValueError("index can't contain negative values")
    if not isinstance(mode, str):
        raise UnsupportedError("pad of a traced array isn't supported with a function for a mode")
    allowed = _OPTIONS.get(mode)
    if allowed is None:
        raise ValueError(f"mode '{mode}' is not supported")
    if set(kwargs) - {allowed}:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {set(kwargs) - {allowed}}")
    option = kwargs.get(allowed)
    if mode in ("constant", "empty") and not is_traced([option]):
        return s.pad(array, widths=widths, constant_values=0 if option is None else option)
    if mode in ("edge", "wrap", "reflect", "symmetric"):
        if option != "odd":
            return extend(array, widths=widths, mode=mode)
        for axis, width in enumerate(widths):
            if any(width):
                array = _reflected(array, axis, width, mode)
        return array
    for axis, (width, given) in enumerate(zip(widths, _for_axes(option, ndim), strict=True)):
        if any(width):
            array = _joined(array, axis, *_sides(array, axis, width, mode, given))
    return array


_OPTIONS = {
    "constant": "constant_values", "empty": "", "edge": "", "wrap": "", "reflect": "reflect_type",
    "symmetric": "reflect_type", "linear_ramp": "end_values", "maximum": "stat_length", "minimum": "stat_length",
    "mean": "stat_length", "median": "stat_length",
}  # fmt: skip


def _widths(pad_width: Any, ndim: int) -> tuple[Width, ...]:
    if isinstance(pad_width, dict):
        by_axis = {normalize_axis_index(axis, ndim): width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(by_axis.get(i, 0), 2) for i in range(ndim)]
    return tuple((int(i), int(j)) for i, j in np.broadcast_to(pad_width, (ndim, 2)))


def _for_axes(option: Any, ndim: int) -> Sequence[Any]:
    """What an option says of both sides of every axis."""
    if option is None:
        return [None] * ndim
    return [broadcast_to(as_array(option), shape=(ndim, 2))[i] for i in range(ndim)]


def _part(array: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return getitem(array, (slice(None),) * axis + (slice(start, stop),))


def _joined(array: Any, axis: int, before: Any, after: Any) -> Any:
    dtype = spec_of(array).dtype
    return functions["concatenate"]([convert(before, dtype), array, convert(after, dtype)], axis=axis)


# -- entries of the array itself --------------------------------------------------------------------
def _reflected(array: Any, axis: int, width: Width, mode: str) -> Any:
    """With what is reflected at the point where the curve ends."""
    n = spec_of(array).shape[axis]
    index = (slice(None),) * axis
    if n == 1:
        return extend(
            array, widths=(*((0, 0),) * axis, width, *((0, 0),) * (len(spec_of(array).shape) - axis - 1)), mode=mode
        )
    # Point by point reflected at the ends, the curve repeats itself every `period`, shifted by twice its rise.
    period = 2 * n if mode == "symmetric" else 2 * n - 2
    turns, place = np.divmod(np.arange(-width[0], n + width[1]), period)
    back = place >= n
    sources = np.where(back, (period if mode == "reflect" else period - 1) - place, place)
    shape = (-1,) + (1,) * (len(spec_of(array).shape) - axis - 1)
    dtype = np.empty(0, spec_of(array).dtype).real.dtype
    sign, rises, lasts = (
        home(array).asarray(c.reshape(shape).astype(dtype)) for c in (np.where(back, -1, 1), 2 * turns, 2 * back)
    )
    first, last = _part(array, axis, 0, 1), _part(array, axis, n - 1, None)
    return getitem(array, (*index, home(array).asarray(sources))) * sign + (last - first) * rises + last * lasts


# -- other values -----------------------------------------------------------------------------------
def _sides(array: Any, axis: int, width: Width, mode: str, given: Any) -> tuple[Any, Any]:
    """What comes before and after."""
    if mode in ("maximum", "minimum", "mean", "median"):
        return _statistics(array, axis, width, mode, given)
    edges = _part(array, axis, None, 1), _part(array, axis, -1, None)
    ends = (0.0, 0.0) if given is None else (given[0], given[1])
    if mode == "linear_ramp":
        before, after = (_ramp(edge, end, axis, n) for edge, end, n in zip(edges, ends, width, strict=True))
        return before, functions["flip"](after, axis)
    shape = spec_of(array).shape
    return tuple(
        broadcast_to(as_array(end), shape=(*shape[:axis], n, *shape[axis + 1 :]))
        for end, n in zip(ends, width, strict=True)
    )


def _ramp(edge: Any, end: Any, axis: int, n: int) -> Any:
    """From ``end`` until before ``edge`` in ``n`` steps."""
    ndim = len(spec_of(edge).shape)
    t = (np.arange(n) / max(n, 1)).reshape((-1,) + (1,) * (ndim - axis - 1))
    t = home(edge).asarray(t.astype(np.empty(0, spec_of(edge).dtype).real.dtype))
    return (1.0 - t) * end + t * edge


def _statistics(array: Any, axis: int, width: Width, mode: str, given: Any) -> tuple[Any, Any]:
    n = spec_of(array).shape[axis]
    statistic = functions["max" if mode == "maximum" else "min" if mode == "minimum" else mode]
    lengths = [n, n] if given is None else [min(int(given[0]), n), min(int(given[1]), n)]
    if 0 in lengths and mode in ("maximum", "minimum"):
        raise ValueError("stat_length of 0 yields no value for padding")
    parts = _part(array, axis, None, lengths[0]), _part(array, axis, n - lengths[1], None)
    shape = spec_of(array).shape
    return tuple(
        broadcast_to(statistic(part, axis=axis, keepdims=True), shape=(*shape[:axis], m, *shape[axis + 1 :]))
        for part, m in zip(parts, width, strict=True)
    )

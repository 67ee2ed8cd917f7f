"""NumPy's functions that call a function of the program's, on rows or on axes, or go from entry to entry."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from ..core.box import spec_of
from ..ops.index import getitem
from .creation import as_array
from .frontend import functions, numpy_function


@numpy_function("apply_along_axis")
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = as_array(arr)
    axis = normalize_axis_index(axis, len(spec_of(arr).shape))
    rows = functions["moveaxis"](arr, axis, -1)
    outer = spec_of(rows).shape[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    places = itertools.product(*map(range, outer))
    results = [as_array(func1d(getitem(rows, (*place, ...)), *args, **kwargs)) for place in places]
    inner = spec_of(results[0]).shape
    whole = functions["reshape"](functions["stack"](results), (*outer, *inner))
    before, after = range(axis), range(axis, len(outer))
    return functions["transpose"](whole, (*before, *range(len(outer), len(outer) + len(inner)), *after))


@numpy_function("apply_over_axes")
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    a = as_array(a)
    ndim = len(spec_of(a).shape)
    for axis in axes if isinstance(axes, (tuple, list)) else (axes,):
        axis = normalize_axis_index(axis, ndim)
        result = func(a, axis)
        if len(spec_of(result).shape) != ndim:
            result = functions["expand_dims"](result, axis)
        if len(spec_of(result).shape) != ndim:
            raise ValueError("function is not returning an array of the correct shape")
        a = result
    return a


@numpy_function("ndenumerate")
def ndenumerate(arr: Any) -> Any:
    arr = as_array(arr)
    return ((place, getitem(arr, place)) for place in itertools.product(*map(range, spec_of(arr).shape)))

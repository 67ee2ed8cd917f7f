"""NumPy's functions of sets. Which entries are in the result is constant; of equal ones it is the first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..core.box import innermost, spec_of
from ..ops import elementwise as e
from ..ops.index import getitem
from .creation import as_array, as_arrays, home
from .frontend import functions, numpy_function


def _places(x: Any, **options: Any) -> tuple[Any, ...]:
    """Where the entries of a set are in ``x``, and what else NumPy's ``unique`` tells of them."""
    x = innermost(e.stop_gradient(x))
    return home(x).function("unique")(x, return_index=True, **options)[1:]  # type: ignore[no-any-return]


@numpy_function("unique")
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None, *,
    equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    ar = as_array(ar)
    place, *others = _places(
        ar, return_inverse=return_inverse, return_counts=return_counts, axis=axis, equal_nan=equal_nan
    )
    if axis is None:
        values = getitem(functions["ravel"](ar), place)
    else:
        axis = normalize_axis_index(axis, len(spec_of(ar).shape))
        values = getitem(ar, (slice(None),) * axis + (place,))
    found = (values, *([place] if return_index else []), *others)
    return found if len(found) > 1 else values


def _results(name: str, **asked: bool) -> None:
    """A function of the Array API, whose results have names."""
    if not hasattr(np, name):
        return
    kind = type(getattr(np, name)(np.zeros(1)))

    @numpy_function(name)
    def function(x: Any, /) -> Any:
        return kind(*unique(x, equal_nan=False, **asked))


_results("unique_all", return_index=True, return_inverse=True, return_counts=True)
_results("unique_counts", return_counts=True)
_results("unique_inverse", return_inverse=True)


@numpy_function("unique_values")
def unique_values(x: Any, /) -> Any:
    return unique(x, equal_nan=False)


@numpy_function("union1d")
def union1d(ar1: Any, ar2: Any) -> Any:
    return unique(functions["concatenate"](as_arrays([ar1, ar2]), axis=None))


@numpy_function("setdiff1d")
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1, ar2 = as_arrays([ar1, ar2])
    ar1 = functions["ravel"](ar1) if assume_unique else unique(ar1)
    return getitem(ar1, functions["isin"](e.stop_gradient(ar1), e.stop_gradient(ar2), invert=True))


@numpy_function("setxor1d")
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1, ar2 = as_arrays([ar1, ar2])
    if not assume_unique:
        ar1, ar2 = unique(ar1), unique(ar2)
    both = functions["concatenate"]([ar1, ar2], axis=None)
    place, counts = _places(both, return_counts=True)
    return getitem(both, place[counts == 1])

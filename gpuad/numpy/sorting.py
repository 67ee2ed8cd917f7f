"""NumPy's functions of order: sorting and searching."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from ..core.box import innermost, spec_of
from ..ops import elementwise as e
from ..ops import sort as s
from .creation import as_array, as_arrays, convert, home, laid_out, order_of
from .elementwise import no_options
from .frontend import functions, numpy_function


def _flattened(a: Any, axis: Any) -> tuple[Any, int]:
    """The array and the axis to sort along; with ``axis=None`` the flat array."""
    a = as_array(a)
    if axis is None:
        return functions["reshape"](a, (-1,)), 0
    return a, normalize_axis_index(axis, len(spec_of(a).shape))


@numpy_function("sort")
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    no_options("sort", order=order)
    a, axis = _flattened(a, axis)
    return laid_out(s.reorder(a, s.argsort(a, axis=axis, kind="stable" if stable else kind), axis=axis), order_of(a))


@numpy_function("argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    no_options("argsort", order=order)
    a, axis = _flattened(a, axis)
    return s.argsort(a, axis=axis, kind="stable" if stable else kind)


@numpy_function("partition")
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    no_options("partition", order=order)
    a, axis = _flattened(a, axis)
    return laid_out(s.reorder(a, s.argpartition(a, kth=kth, axis=axis), axis=axis), order_of(a))


@numpy_function("argpartition")
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    no_options("argpartition", order=order)
    a, axis = _flattened(a, axis)
    return s.argpartition(a, kth=kth, axis=axis)


@numpy_function("sort_complex")
def sort_complex(a: Any) -> Any:
    return convert(sort(a), complex)


@numpy_function("lexsort")
def lexsort(keys: Any, axis: Any = -1) -> Any:
    rows = functions["stack"]([innermost(e.stop_gradient(k)) for k in as_arrays(keys)])
    return home(rows).function("lexsort")(rows, axis=axis)


@numpy_function("searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return s.searchsorted(*as_arrays([a, v]), side=side, sorter=sorter)


@numpy_function("digitize")
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    return s.digitize(*as_arrays([x, bins]), right=right)

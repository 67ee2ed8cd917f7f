"""NumPy's functions of order: sorting, searching, quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..backend import numpy_backend, owner_of_type
from ..core.box import spec_of
from ..errors import UnsupportedError
from ..ops import elementwise as e
from ..ops import reduce as r
from ..ops import sort as s
from ..ops.declare import astype
from .creation import as_array, as_arrays
from .elementwise import no_options
from .frontend import functions, is_traced, numpy_function
from .reductions import axes_of, flag, mean


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
    return s.reorder(a, s.argsort(a, axis=axis, kind="stable" if stable else kind), axis=axis)


@numpy_function("argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    no_options("argsort", order=order)
    a, axis = _flattened(a, axis)
    return s.argsort(a, axis=axis, kind="stable" if stable else kind)


@numpy_function("partition")
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    no_options("partition", order=order)
    a, axis = _flattened(a, axis)
    return s.reorder(a, s.argpartition(a, kth=kth, axis=axis), axis=axis)


@numpy_function("argpartition")
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    no_options("argpartition", order=order)
    a, axis = _flattened(a, axis)
    return s.argpartition(a, kth=kth, axis=axis)


@numpy_function("searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return s.searchsorted(*as_arrays([a, v]), side=side, sorter=sorter)


@numpy_function("digitize")
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    return s.digitize(*as_arrays([x, bins]), right=right)


# -- quantiles ------------------------------------------------------------------------------------
def _last_axis(a: Any, axis: Any) -> tuple[Any, r.Axes]:
    """``a`` with the axes to reduce moved to the end and made one, and these axes."""
    ndim = len(spec_of(a).shape)
    axes = axes_of(axis, ndim)
    if axes is None:
        return functions["reshape"](a, (-1,)), None
    if len(axes) == 1:
        return functions["moveaxis"](a, axes[0], -1), axes
    a = functions["moveaxis"](a, axes, tuple(range(ndim - len(axes), ndim)))
    lengths = spec_of(a).shape
    split = ndim - len(axes)
    return functions["reshape"](a, (*lengths[:split], r.count_of(lengths[split:], None))), axes


def _partly_sorted(a: Any, places: set[int]) -> Any:
    """``a`` with the right entries at ``places`` along the last axis; at its end a NaN, if there is one."""
    last = len(spec_of(a).shape) - 1
    n = spec_of(a).shape[last]
    return s.reorder(a, s.argpartition(a, kth=tuple(sorted(places | {n - 1})), axis=last), axis=last)


def _unless_nan(result: Any, ordered: Any) -> Any:
    largest = ordered[..., -1]
    return e.where(e.isnan(largest), largest, result)


@numpy_function("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    no_options("median", out=out)
    a = as_array(a)
    lengths = spec_of(a).shape
    a, axes = _last_axis(a, axis)
    n = spec_of(a).shape[-1]
    if n:
        low, high = (n - 1) // 2, n // 2
        ordered = _partly_sorted(a, {low, high})
        middle = ordered[..., low] if low == high else 0.5 * ordered[..., low] + 0.5 * ordered[..., high]
        result = _unless_nan(middle, ordered)
    else:
        result = mean(a, axis=-1)  # NumPy's warning and NaN
    return functions["reshape"](result, r.kept(lengths, axes)) if flag(keepdims) else result


#: α and β of the methods that interpolate: the quantile q of n entries is at α + q (n + 1 - α - β) - 1.
_INTERPOLATING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1.0 / 3.0, 1.0 / 3.0),
    "normal_unbiased": (3.0 / 8.0, 3.0 / 8.0),
}
_ROUNDING: dict[str, Callable[[float], int]] = {"lower": math.floor, "higher": math.ceil, "nearest": round}


def _position(q: float, n: int, method: str) -> tuple[int, int, float]:
    """The places of the two entries of a sorted array between which the quantile lies, and how far on."""
    if method in _INTERPOLATING:
        alpha, beta = _INTERPOLATING[method]
        at = min(max(alpha + q * (n + 1.0 - alpha - beta) - 1.0, 0.0), n - 1.0)
    elif method in _ROUNDING:
        at = float(_ROUNDING[method](q * (n - 1)))
    elif method == "midpoint":
        at = 0.5 * (math.floor(q * (n - 1)) + math.ceil(q * (n - 1)))
    else:
        known = ", ".join([*_INTERPOLATING, *_ROUNDING, "midpoint"])
        raise UnsupportedError(
            f"quantile of a traced array isn't supported with method={method!r}; methods are {known}"
        )
    low = int(at)
    return low, min(low + 1, n - 1), at - low


def _between(low: Any, high: Any, t: float) -> Any:
    if not t:
        return low
    return low + (high - low) * t if t < 0.5 else high - (high - low) * (1.0 - t)


def _quantile(name: str, a: Any, q: Any, unit: float, axis: Any, method: str, keepdims: Any) -> Any:
    if is_traced((q,)) or owner_of_type(type(q)) not in (None, numpy_backend):
        raise UnsupportedError(f"{name}: q must be a number or a list of numbers on the host, not {type(q).__name__}")
    if not is_traced((a,)):
        raise UnsupportedError(f"{name}: only a can be traced")
    a = as_array(a)
    if isinstance(q, (int, float)):
        dtype, host = spec_of(a).dtype, np.asarray(q, float) / unit
    else:
        host = np.asarray(q) / unit
        dtype = np.result_type(spec_of(a).dtype, host.dtype)
    if host.size and not (host.min() >= 0.0 and host.max() <= 1.0):
        raise ValueError(f"{name}: q must be in the range [0, {unit:g}]")
    lengths = spec_of(a).shape
    a, axes = _last_axis(a, axis)
    n = spec_of(a).shape[-1]
    if not n:
        raise ValueError(f"{name} of no entries: the array has shape {lengths}")
    positions = [_position(float(p), n, method) for p in host.ravel()]
    ordered = _partly_sorted(a, {place for low, high, _ in positions for place in (low, high)})
    found = [_unless_nan(_between(ordered[..., low], ordered[..., high], t), ordered) for low, high, t in positions]
    rest = r.kept(lengths, axes) if flag(keepdims) else spec_of(ordered).shape[:-1]
    result = functions["stack"](found) if host.ndim else found[0]
    result = functions["reshape"](result, (*host.shape, *rest))
    return astype(result, dtype=dtype) if dtype != spec_of(result).dtype else result


def _in_units(name: str, unit: float) -> None:
    @numpy_function(name)
    def function(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        no_options(name, out=out, weights=weights)
        return _quantile(name, a, q, unit, axis, method, keepdims)


_in_units("quantile", 1.0)
_in_units("percentile", 100.0)

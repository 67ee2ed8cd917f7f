"""Medians, quantiles and percentiles, with and without NaNs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import numpy_backend, owner_of_type
from ..core.box import spec_of
from ..errors import UnsupportedError
from ..ops import elementwise as e
from ..ops import reduce as r
from ..ops import sort as s
from ..ops.declare import astype, broadcast_to
from ..ops.index import getitem
from .creation import as_array, home
from .elementwise import no_options
from .frontend import functions, is_traced, numpy_function
from .indexing import take_along_axis
from .reductions import axes_of, flag, mean


# -- the entries in order, along the last axis ----------------------------------------------------------
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


def _no_whole_numbers(a: Any) -> Any:
    """What lies between two whole numbers is none."""
    return astype(a, dtype=np.dtype(float)) if spec_of(a).dtype.kind in "biu" else a


def _partly_sorted(a: Any, places: set[int]) -> Any:
    """``a`` with the right entries at ``places`` along the last axis; at its end a NaN, if there is one."""
    last = len(spec_of(a).shape) - 1
    n = spec_of(a).shape[last]
    return s.reorder(a, s.argpartition(a, kth=tuple(sorted(places | {n - 1})), axis=last), axis=last)


def _unless_nan(result: Any, largest: Any) -> Any:
    return e.where(e.isnan(largest), largest, result)


# -- the median -----------------------------------------------------------------------------------------
@numpy_function("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    no_options("median", out=out)
    a = _no_whole_numbers(as_array(a))
    lengths = spec_of(a).shape
    a, axes = _last_axis(a, axis)
    n = spec_of(a).shape[-1]
    if n:
        low, high = (n - 1) // 2, n // 2
        ordered = _partly_sorted(a, {low, high})
        middle = ordered[..., low] if low == high else 0.5 * ordered[..., low] + 0.5 * ordered[..., high]
        result = _unless_nan(middle, ordered[..., -1])
        result = result if spec_of(result).shape else getitem(result, ())  # a number, as NumPy's
    else:
        result = mean(a, axis=-1)  # NumPy's warning and NaN
    return functions["reshape"](result, r.kept(lengths, axes)) if flag(keepdims) else result


@numpy_function("nanmedian")
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    return _quantile("nanmedian", a, 0.5, 1.0, axis, "linear", keepdims, nan=True, out=out)


# -- where a quantile lies ------------------------------------------------------------------------------
#: α and β of the methods that interpolate: the quantile q of n entries is at α + q (n + 1 - α - β) - 1.
_INTERPOLATING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1.0 / 3.0, 1.0 / 3.0),
    "normal_unbiased": (3.0 / 8.0, 3.0 / 8.0),
}


def _averaged(at: Any) -> Any:
    low = e.floor(at)
    return e.where(e.equal(at, low), low + 0.5, low + 1.0)


def _closest(at: Any) -> Any:
    low = e.floor(at - 0.5)
    return low + e.where(e.logical_and(e.equal(at - 0.5, low), e.equal(e.remainder(low, 2.0), 1.0)), 0.0, 1.0)


#: The place of the quantile q of n entries by the others, which jump from entry to entry. [Hyndman & Fan 1996]
_JUMPING: dict[str, Callable[[Any, Any], Any]] = {
    "lower": lambda q, n: e.floor(q * (n - 1.0)),
    "higher": lambda q, n: e.ceil(q * (n - 1.0)),
    "nearest": lambda q, n: e.rint(q * (n - 1.0)),
    "midpoint": lambda q, n: 0.5 * (e.floor(q * (n - 1.0)) + e.ceil(q * (n - 1.0))),
    "inverted_cdf": lambda q, n: e.ceil(q * n - 1.0),
    "averaged_inverted_cdf": lambda q, n: _averaged(q * n - 1.0),
    "closest_observation": lambda q, n: _closest(q * n - 1.0),
}


def _position(q: Any, n: Any, method: str) -> Any:
    """The place in a sorted array of ``n`` entries, which need not be a whole number."""
    if method in _INTERPOLATING:
        alpha, beta = _INTERPOLATING[method]
        at = alpha + q * (n + (1.0 - alpha - beta)) - 1.0
    elif method in _JUMPING:
        at = _JUMPING[method](q, n)
    else:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {', '.join([*_INTERPOLATING, *_JUMPING])}")
    # Beyond the ends the quantile is constant. In between, not even on them, is a bound's half derivative wanted.
    return e.where(e.less(at, 0.0), 0.0, e.where(e.greater(at, n - 1.0), n - 1.0, at))


def _between(low: Any, high: Any, t: Any) -> Any:
    return low + (high - low) * t if t < 0.5 else high - (high - low) * (1.0 - t)


# -- quantiles ------------------------------------------------------------------------------------------
def _quantile(
    name: str, a: Any, q: Any, unit: float, axis: Any, method: str, keepdims: Any, *, nan: bool = False,
    out: Any = None, weights: Any = None,
) -> Any:  # fmt: skip
    no_options(name, out=out)
    if is_traced((weights,)):
        raise UnsupportedError(f"{name}: the weights can't be traced; pass gpuad.stop_gradient(weights)")
    a = as_array(a)
    on_host = not is_traced((q,)) and owner_of_type(type(q)) in (None, numpy_backend)
    if on_host:
        weak = isinstance(q, (int, float)) and not isinstance(q, np.generic)
        q = np.asarray(q) / unit
        if q.size and not (q.min() >= 0.0 and q.max() <= 1.0):
            raise ValueError(f"{name}: q must be in the range [0, {unit:g}]")
    else:
        weak = False
        q = as_array(q) / unit
    if method in _INTERPOLATING:
        a = _no_whole_numbers(a)
    real_dtype = spec_of(a).dtype
    dtype = real_dtype if weak else np.result_type(real_dtype, spec_of(q).dtype)
    lengths = spec_of(a).shape
    if weights is not None:
        weights = _weights(name, weights, lengths, axis, method)
    a, axes = _last_axis(a, axis)
    if not spec_of(a).shape[-1]:
        raise ValueError(f"{name} of no entries: the array has shape {lengths}")
    flat_q = functions["reshape"](q, (-1,))
    if on_host and (nan or weights is not None):
        flat_q = home(a).asarray(flat_q)
    if weights is not None:
        found = _weighted(a, _last_axis(weights, axis)[0], flat_q, nan)
    elif on_host and not nan:
        found = _at_known_places(a, flat_q, method)
    else:
        found = _at_places(a, flat_q, method, nan)
    rest = r.kept(lengths, axes) if flag(keepdims) else spec_of(a).shape[:-1]
    shape = (*spec_of(q).shape, *rest)
    result = functions["reshape"](found, shape) if shape else getitem(functions["reshape"](found, (1,)), 0)
    return astype(result, dtype=dtype) if dtype != spec_of(result).dtype else result


def _at_known_places(a: Any, q: Any, method: str) -> Any:
    """The quantiles along the last axis, one after the other; only a few entries need to be in order."""
    n = spec_of(a).shape[-1]
    at = [float(p) for p in _position(q, float(n), method)]
    ordered = _partly_sorted(a, {i for p in at for i in (int(p), min(int(p) + 1, n - 1))})

    def value(p: float) -> Any:
        low = int(p)
        t = p - low
        return _between(ordered[..., low], ordered[..., min(low + 1, n - 1)], t) if t else ordered[..., low]

    return functions["stack"]([_unless_nan(value(p), ordered[..., -1]) for p in at])


def _in_order(a: Any) -> tuple[Any, Any]:
    """``a`` sorted along its last axis, NaNs at the end; and the order."""
    axis = len(spec_of(a).shape) - 1
    order = s.argsort(a, axis=axis)
    return s.reorder(a, order, axis=axis), order


def _take(ordered: Any, places: Any) -> Any:
    """The entries of the last axis at ``places``, of shape (quantiles, \\*rest); also that shape."""
    places = functions["moveaxis"](places.astype(np.intp), 0, -1)
    return functions["moveaxis"](take_along_axis(ordered, places, -1), -1, 0)


def _at_places(a: Any, q: Any, method: str, nan: bool) -> Any:
    """The same where ``q`` varies, or how many entries are numbers does."""
    ordered, _ = _in_order(a)
    *rest, length = spec_of(a).shape
    n: Any = float(length)
    if nan:
        n = r.count(e.logical_not(e.isnan(a)), shape=spec_of(a).shape, axis=(len(rest),), keepdims=False, dtype=float)
    q = functions["reshape"](q, (-1,) + (1,) * len(rest))
    at = broadcast_to(_position(q, n, method), shape=(*spec_of(q).shape[:1], *rest))
    low = e.floor(at)
    first = _take(ordered, e.maximum(e.stop_gradient(low), 0.0))
    second = _take(ordered, e.maximum(e.minimum(low + 1.0, n - 1.0), 0.0))
    t = astype(at - low, dtype=spec_of(a).dtype) if not is_traced((q,)) else at - low
    result = first + (second - first) * t
    if nan:
        return e.where(e.equal(n, 0.0), np.nan, result)
    return _unless_nan(result, ordered[..., -1])


def _weights(name: str, weights: Any, lengths: tuple[int, ...], axis: Any, method: str) -> Any:
    """The weights of all entries."""
    if method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    axes = axes_of(axis, len(lengths))
    weights = as_array(weights)
    have = spec_of(weights).shape
    if have == lengths:
        return weights
    if axes is None or have != tuple(lengths[i] for i in axes):
        raise ValueError(f"{name}: weights of shape {have} don't fit an array of shape {lengths} along {axis}")
    order = sorted(range(len(axes)), key=axes.__getitem__)
    weights = functions["transpose"](weights, tuple(order))
    weights = functions["reshape"](weights, tuple(n if i in axes else 1 for i, n in enumerate(lengths)))
    return functions["broadcast_to"](weights, lengths)


def _weighted(a: Any, weights: Any, q: Any, nan: bool) -> Any:
    """The first entry up to which the weights make up the share ``q`` of all."""
    ordered, order = _in_order(a)
    number = e.logical_not(e.isnan(ordered))
    weights = take_along_axis(weights, order, -1)
    if nan:
        weights = e.where(number, weights, 0.0)
    share = functions["cumsum"](weights, axis=-1, dtype=np.float64)
    share = share / share[..., -1:]
    share = e.where(e.equal(share, 0.0), -1.0, share)
    rest = spec_of(a).shape[:-1]
    q = e.stop_gradient(functions["reshape"](q, (-1, *(1,) * (len(rest) + 1))))
    before = functions["sum"](e.less(share, q), axis=-1)
    result = _take(ordered, e.minimum(before, spec_of(a).shape[-1] - 1))
    if nan:
        return e.where(functions["any"](number, axis=-1), result, np.nan)
    return _unless_nan(result, ordered[..., -1])


def _in_units(name: str, unit: float) -> None:
    @numpy_function(name)
    def function(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        nan = name.startswith("nan")
        return _quantile(name, a, q, unit, axis, method, keepdims, nan=nan, out=out, weights=weights)


_in_units("quantile", 1.0)
_in_units("percentile", 100.0)
_in_units("nanquantile", 1.0)
_in_units("nanpercentile", 100.0)

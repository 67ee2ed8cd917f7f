"""The methods of NumPy's ufuncs on traced arrays: ``reduce``, ``accumulate``, ``reduceat``, ``outer``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..backend import owner_of_type
from ..core.box import has_derivatives, innermost, make_spec, spec_of
from ..core.primitive import Primitive
from ..errors import UnsupportedError
from ..ops import contract
from ..ops import elementwise as e
from ..ops.declare import astype
from ..ops.index import ARRAY, Arrays, getitem, scatter_add
from .creation import as_array, as_arrays, home
from .frontend import functions
from .reductions import NO, axes_of, is_given, prepared

Binary = Callable[[Any, Any], Any]


def _cast(ufunc: np.ufunc, x: Any, dtype: Any) -> Any:
    """``x`` in the dtype that is asked for."""
    if ufunc in (np.add, np.multiply):
        return prepared("sum" if ufunc is np.add else "prod", x, dtype)
    return as_array(x) if dtype is None else astype(as_array(x), dtype=np.dtype(dtype))


def _along(axis: int, i: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (i,)


def _log_of_sum(x: Any, axis: Any, keepdims: bool, exp: Callable[..., Any], log: Callable[..., Any]) -> Any:
    """The logarithm of the sum of exponentials, without overflow; that of none, or of zeros, is -inf."""
    if not spec_of(x).size:
        return functions["sum"](x, axis=axis, keepdims=keepdims) - np.inf
    largest = e.stop_gradient(functions["max"](x, axis=axis, keepdims=True))
    largest = e.where(e.isfinite(largest), largest, 0.0)
    total = functions["sum"](exp(x - largest), axis=axis, keepdims=keepdims)
    nothing = e.equal(total, 0.0)
    sums = e.where(nothing, -np.inf, log(e.where(nothing, 1.0, total)))
    return sums + (largest if keepdims else functions["reshape"](largest, spec_of(total).shape))


#: Reductions in one go, with NumPy's arguments.
_REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda x, **options: functions["sum"](x, **options),
    np.multiply: lambda x, **options: functions["prod"](x, **options),
    np.maximum: lambda x, **options: functions["max"](x, **options),
    np.minimum: lambda x, **options: functions["min"](x, **options),
    np.fmax: lambda x, **options: functions["nanmax"](x, **options),
    np.fmin: lambda x, **options: functions["nanmin"](x, **options),
}
#: Reductions in one go along axes, kept or not.
_ALONG: dict[np.ufunc, Callable[[Any, Any, bool], Any]] = {
    np.logaddexp: lambda x, axes, kept: _log_of_sum(x, axes, kept, e.exp, e.log),
    np.logaddexp2: lambda x, axes, kept: _log_of_sum(x, axes, kept, e.exp2, e.log2),
    np.hypot: lambda x, axes, kept: contract.euclidean_norm(
        x, axis=tuple(range(len(spec_of(x).shape))) if axes is None else axes, keepdims=kept
    ),
}
#: What is left of the first entry after the others have been taken from it is the first, and their reduction.
_INVERSES: dict[np.ufunc, tuple[str, str]] = {np.subtract: ("sum", "cumsum"), np.divide: ("prod", "cumprod")}
_ASSOCIATIVE = frozenset({np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot})


def _unsupported(ufunc: np.ufunc, method: str) -> UnsupportedError:
    return UnsupportedError(f"{ufunc.__name__}.{method} of a traced array isn't supported; write the loop out")


def _is_constant(known: Any) -> bool:
    return isinstance(known, Primitive) and known.piecewise_constant


def reduce(
    ufunc: np.ufunc, known: Binary, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
    keepdims: bool = False, initial: Any = NO, where: Any = True,
) -> Any:  # fmt: skip
    x = _cast(ufunc, x, dtype)
    given = {k: v for k, v in (("initial", initial), ("where", where)) if is_given(v) and v is not True}
    if _is_constant(known):
        return _constant(ufunc, "reduce", x, axis=axis, keepdims=keepdims, **given)
    if ufunc in _REDUCE:
        return _REDUCE[ufunc](x, axis=axis, keepdims=keepdims, **given)
    if "where" in given:
        raise UnsupportedError(f"{ufunc.__name__}.reduce of a traced array isn't supported with where")
    axes = axes_of(axis, len(spec_of(x).shape))
    if ufunc in _ALONG:
        result = _ALONG[ufunc](x, axes, bool(keepdims))
        return known(result, initial) if given else result
    if ufunc not in _INVERSES:
        raise _unsupported(ufunc, "reduce")
    at = 0 if axes is None else axes[0]
    if (len(spec_of(x).shape) if axes is None else len(axes)) != 1:
        raise ValueError(f"reduction operation {ufunc.__name__!r} is not reorderable, so at most one axis may be given")
    first, rest = (initial, x) if given else (getitem(x, _along(at, 0)), getitem(x, _along(at, slice(1, None))))
    result = known(first, functions[_INVERSES[ufunc][0]](rest, axis=at))
    return functions["expand_dims"](result, at) if keepdims else result


def accumulate(ufunc: np.ufunc, known: Binary, x: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    x = _cast(ufunc, x, dtype)
    if _is_constant(known):
        return _constant(ufunc, "accumulate", x, axis=axis)
    if ufunc in (np.add, np.multiply):
        return functions["cumsum" if ufunc is np.add else "cumprod"](x, axis=axis)
    at = normalize_axis_index(axis, len(spec_of(x).shape))
    n = spec_of(x).shape[at]
    if ufunc in _ASSOCIATIVE:
        step = 1
        while step < n:  # entries tell of the `step` places up to theirs
            more = known(getitem(x, _along(at, slice(step, None))), getitem(x, _along(at, slice(None, -step))))
            x = functions["concatenate"]([getitem(x, _along(at, slice(None, step))), more], axis=at)
            step *= 2
        return x
    if ufunc not in _INVERSES:
        raise _unsupported(ufunc, "accumulate")
    first, rest = getitem(x, _along(at, slice(None, 1))), getitem(x, _along(at, slice(1, None)))
    rest = known(first, functions[_INVERSES[ufunc][1]](rest, axis=at))
    return functions["concatenate"]([first, rest], axis=at)


def reduceat(
    ufunc: np.ufunc, known: Binary, x: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None
) -> Any:
    x = _cast(ufunc, x, dtype)
    owner = owner_of_type(type(indices))
    starts = np.asarray(indices if owner is None else owner.to_numpy(indices))
    if not starts.size:
        starts = starts.astype(np.intp)  # of an empty list
    at = normalize_axis_index(axis, len(spec_of(x).shape))
    n = spec_of(x).shape[at]
    if starts.size and not (starts.min() >= 0 and starts.max() < n):
        raise IndexError(f"index out-of-bounds in {ufunc.__name__}.reduceat [0, {n})")
    stops = np.append(starts[1:], n)
    stops = np.where(stops > starts, stops, starts + 1)
    lengths = stops - starts
    if ufunc is np.add and has_derivatives(spec_of(x).dtype):
        number = np.repeat(np.arange(len(starts)), lengths)
        rows = np.arange(len(number)) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        rows, number = (home(x).asarray(i) for i in (rows, number))
        shape = (*spec_of(x).shape[:at], len(starts), *spec_of(x).shape[at + 1 :])
        key = _along(at, ARRAY)
        index = Arrays(key, (number,))
        return scatter_add(getitem(x, _along(at, rows)), indices=(index,), spec=make_spec(shape, spec_of(x).dtype))
    found, places = [], []
    for length in np.unique(lengths):  # those of one length in one go
        (those,) = np.nonzero(lengths == length)
        rows = home(x).asarray(starts[those, None] + np.arange(length))
        found.append(reduce(ufunc, known, getitem(x, _along(at, rows)), axis=at + 1))
        places.append(those)
    if len(found) < 2:
        return found[0] if found else getitem(x, _along(at, slice(0)))
    order = home(x).asarray(np.argsort(np.concatenate(places)))
    return getitem(functions["concatenate"](found, axis=at), _along(at, order))


def outer(ufunc: np.ufunc, known: Binary, a: Any, b: Any, /, *, dtype: Any = None, out: Any = None) -> Any:
    a, b = as_arrays([a, b])
    if dtype is not None:
        a, b = astype(a, dtype=np.dtype(dtype)), astype(b, dtype=np.dtype(dtype))
    return known(functions["reshape"](a, spec_of(a).shape + (1,) * len(spec_of(b).shape)), b)


def _constant(ufunc: np.ufunc, method: str, x: Any, **options: Any) -> Any:
    """A method of a ufunc without derivative."""
    x = innermost(e.stop_gradient(x))
    return getattr(home(x).function(ufunc.__name__), method)(x, **options)


METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce, "accumulate": accumulate, "reduceat": reduceat, "outer": outer,
}  # fmt: skip

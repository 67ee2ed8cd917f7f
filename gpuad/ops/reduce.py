"""Reductions and cumulations, each with its derivative.

``axis`` is ``None`` (all) or a tuple of axes counted from the front; for what goes along one axis, a
number. A reduced value goes back to its array by ``spread``, the adjoint of ``sum``; where an elementwise
operation follows, ``keep`` suffices, for that broadcasts by itself.
"""

from __future__ import annotations

import math
from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive
from ..fused.pending import lift
from ..fused.staging import composed, staged_count, staged_extremum, staged_mean, staged_sum, staged_view
from .batching import chosen_along, counted, data_dependent, into_shape, over_axis
from .declare import constant, operation, shape, sum_to
from .elementwise import conjugate, equal, sqrt, where

Axes = tuple[int, ...] | None


def kept(lengths: tuple[int, ...], axis: Axes) -> tuple[int, ...]:
    """The shape of a reduced array with ``keepdims``."""
    return tuple(1 if axis is None or i in axis else n for i, n in enumerate(lengths))


def count_of(lengths: tuple[int, ...], axis: Axes) -> int:
    """How many entries become one."""
    return math.prod(lengths if axis is None else [lengths[i] for i in axis])


# -- sums -----------------------------------------------------------------------------------------
def _spread(xp: Any, y: Any, *, shape: tuple[int, ...], axis: Axes) -> Any:
    if axis is not None and len(axis) < len(shape):  # else y has no axes to put in place
        y = y.reshape(kept(shape, axis))
    return lift(xp.broadcast_to(y, shape))  # lest the next operation make all the entries that are one


#: ``y``, from which ``axis`` of an array of shape ``shape`` has been reduced, repeated along it.
#: With ``axis=None`` it has been reduced to a number, or with ``keepdims``.
spread: Primitive = operation(
    "spread",
    _spread,
    lambda g, ans, y, *, shape, axis: sum_to(g, shape=y.shape) if axis is None else sum_(g, axis=axis, keepdims=False),
    linear=True,
    batch=into_shape,
    deferred=staged_view,
)

sum_: Primitive = operation(
    "sum",
    # Of NumPy's and CuPy's ways to a sum this is the shortest.
    lambda xp, x, *, axis, keepdims: xp.add.reduce(x, axis, None, None, keepdims),
    lambda g, ans, x, *, axis, keepdims: spread(g, shape=x.shape, axis=None if keepdims else axis),
    linear=True,
    batch=over_axis,
    deferred=staged_sum,
)

mean: Primitive = operation(
    "mean",
    lambda xp, x, *, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims),
    lambda g, ans, x, *, axis, keepdims: spread(
        g * _inverse(count_of(x.shape, axis)), shape=x.shape, axis=None if keepdims else axis
    ),
    linear=True,
    batch=over_axis,
    deferred=staged_mean,
)


def _inverse(n: float) -> float:
    """``1 / n``; for no entries NaN, as the mean of none."""
    return 1.0 / n if n > 0 else math.nan


def keep(y: Any, lengths: tuple[int, ...], axis: Axes, keepdims: bool) -> Any:
    """The reduced value ``y`` with axes of length 1 where it needs them to meet its array."""
    if keepdims or axis is None or len(axis) == len(lengths):
        return y
    return spread(y, shape=kept(lengths, axis), axis=axis)


# -- variance -------------------------------------------------------------------------------------
def _deviation(x: Any, axis: Axes) -> Any:
    d = x - mean(x, axis=axis, keepdims=axis is not None)
    return conjugate(d) if spec_of(x).dtype.kind == "c" else d


def _var_vjp(g: Any, ans: Any, x: Any, *, axis: Axes, ddof: float, keepdims: bool) -> Any:
    # That the mean moves too makes no difference, for the deviations add up to zero.
    scale = 2.0 * _inverse(count_of(shape(x), axis) - ddof)
    return keep(g, shape(x), axis, keepdims) * scale * _deviation(x, axis)


def _std_vjp(g: Any, ans: Any, x: Any, *, axis: Axes, ddof: float, keepdims: bool) -> Any:
    # Entries that are all equal have no derivative; 0 is a subgradient.
    g = g / where(equal(ans, 0.0), 1.0, ans)
    return keep(g, shape(x), axis, keepdims) * _inverse(count_of(shape(x), axis) - ddof) * _deviation(x, axis)


def _composed_var(x: Any, *, axis: Axes, ddof: float, keepdims: bool) -> Any:
    d = _deviation(x, axis)
    n = count_of(shape(x), axis) - ddof
    return sum_(d * d, axis=axis, keepdims=keepdims) / (float(n) if n > 0 else 0.0)


var = operation(
    "var",
    lambda xp, x, *, axis, ddof, keepdims: xp.var(x, axis=axis, ddof=ddof, keepdims=keepdims),
    _var_vjp,
    batch=over_axis,
    deferred=composed(_composed_var),
)
std = operation(
    "std",
    lambda xp, x, *, axis, ddof, keepdims: xp.std(x, axis=axis, ddof=ddof, keepdims=keepdims),
    _std_vjp,
    batch=over_axis,
    deferred=composed(lambda x, **params: sqrt(_composed_var(x, **params))),
)


# -- extrema --------------------------------------------------------------------------------------
def _count(xp: Any, chosen: Any, *, shape: tuple[int, ...], axis: Axes, keepdims: bool, dtype: Any) -> Any:
    return xp.sum(xp.broadcast_to(chosen, shape), axis=axis, keepdims=keepdims).astype(dtype)


#: How many entries of ``chosen``, broadcast to ``shape``, are true: as floating-point numbers.
count = constant("count", _count, batch=counted)
count.deferred = staged_count


def _extremum_vjp(g: Any, ans: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """Entries that are equal share the cotangent equally."""
    lengths, dtype = spec_of(x).shape, spec_of(x).dtype
    chosen = equal(x, keep(ans, lengths, axis, keepdims))
    n = count(chosen, shape=lengths, axis=axis, keepdims=axis is not None, dtype=dtype)
    n = where(equal(n, 0.0), math.nan, n)  # the extremum is NaN, which equals nothing: NaN is its gradient
    return where(chosen, keep(g, lengths, axis, keepdims) / n, n * 0.0)


def _extremum(name: str, deferred: Any = None) -> Any:
    return operation(
        name,
        lambda xp, x, *, axis, keepdims: getattr(xp, name)(x, axis=axis, keepdims=keepdims),
        _extremum_vjp,
        batch=over_axis,
        deferred=deferred,
    )


max_ = _extremum("max", staged_extremum("maximum"))
min_ = _extremum("min", staged_extremum("minimum"))
nanmax = _extremum("nanmax")
nanmin = _extremum("nanmin")

argmax, argmin, nanargmax, nanargmin = (
    constant(name, batch=chosen_along) for name in ("argmax", "argmin", "nanargmax", "nanargmin")
)
any_, all_, count_nonzero = (constant(name, batch=over_axis) for name in ("any", "all", "count_nonzero"))
nonzero, argwhere, flatnonzero = (
    constant(name, batch=data_dependent) for name in ("nonzero", "argwhere", "flatnonzero")
)


# -- cumulations: along one axis, from its end if `reverse` ---------------------------------------------
def _cumulation(name: str) -> Any:
    def forward(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        cumulate = getattr(xp, name)
        return xp.flip(cumulate(xp.flip(x, axis), axis=axis), axis) if reverse else cumulate(x, axis=axis)

    return forward


cumsum: Primitive = operation(
    "cumsum",
    _cumulation("cumsum"),
    lambda g, ans, x, *, axis, reverse: cumsum(g, axis=axis, reverse=not reverse),
    linear=True,
    batch=over_axis,
)


def _along(ndim: int, axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if i == axis else slice(None) for i in range(ndim))


def _shift(xp: Any, x: Any, *, axis: int, back: bool, fill: float) -> Any:
    out = xp.empty_like(x)
    head, tail = _along(x.ndim, axis, None, -1), _along(x.ndim, axis, 1, None)
    first, last = _along(x.ndim, axis, None, 1), _along(x.ndim, axis, -1, None)
    if back:
        out[head], out[last] = x[tail], fill
    else:
        out[tail], out[first] = x[head], fill
    return out


#: Every entry moved to the next place along ``axis`` (the place before, if ``back``), ``fill`` moved in.
shift: Primitive = operation(
    "shift",
    _shift,
    lambda g, ans, x, *, axis, back, fill: shift(g, axis=axis, back=not back, fill=0.0),
    linear=True,  # but for what is moved in
    jvp=lambda tangents, ans, x, *, axis, back, fill: shift(tangents[0], axis=axis, back=back, fill=0.0),
    batch=over_axis,
)


def _recurrence(xp: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    y = xp.flip(b, axis).copy() if reverse else b.copy()
    a = xp.flip(a, axis).copy() if reverse else a.copy()
    # After each round y and a tell how an entry depends on the one `step` places before.
    step = 1
    while step < y.shape[axis]:
        head, tail = _along(y.ndim, axis, None, -step), _along(y.ndim, axis, step, None)
        y[tail] = y[tail] + a[tail] * y[head]
        a[tail] = a[tail] * a[head]
        step *= 2
    return xp.flip(y, axis) if reverse else y


#: ``y[i] = b[i] + a[i] * y[i - 1]`` along ``axis``, with ``y[i + 1]`` if ``reverse``; in log n rounds. What
#: undoes it is one again, the other way.
recurrence: Primitive = operation(
    "recurrence",
    _recurrence,
    lambda g, ans, a, b, *, axis, reverse: (
        _undo_recurrence(g, a, axis, reverse) * shift(ans, axis=axis, back=reverse, fill=0.0)
    ),
    lambda g, ans, a, b, *, axis, reverse: _undo_recurrence(g, a, axis, reverse),
    batch=over_axis,
)


def _undo_recurrence(g: Any, a: Any, axis: int, reverse: bool) -> Any:
    return recurrence(shift(a, axis=axis, back=not reverse, fill=0.0), g, axis=axis, reverse=not reverse)


def _cumprod_vjp(g: Any, ans: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    # The entry i is a factor of all products from i on: what stands before it, times Σ g[k] x[i+1] … x[k].
    # No division, so zeros do no harm.
    after = recurrence(shift(x, axis=axis, back=not reverse, fill=0.0), g, axis=axis, reverse=not reverse)
    return after * shift(ans, axis=axis, back=reverse, fill=1.0)


cumprod = operation("cumprod", _cumulation("cumprod"), _cumprod_vjp, batch=over_axis)


def _prod_vjp(g: Any, ans: Any, x: Any, *, axis: int) -> Any:
    """The product of all other entries is that of those before and those after; right with zeros."""
    before = shift(cumprod(x, axis=axis, reverse=False), axis=axis, back=False, fill=1.0)
    after = shift(cumprod(x, axis=axis, reverse=True), axis=axis, back=True, fill=1.0)
    return keep(g, shape(x), (axis,), False) * (before * after)


prod = operation("prod", lambda xp, x, *, axis: xp.prod(x, axis=axis), _prod_vjp, batch=over_axis)

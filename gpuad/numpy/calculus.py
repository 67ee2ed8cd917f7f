"""NumPy's functions of sampled curves: differences, integrals, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.box import has_derivatives, spec_of
from ..ops import elementwise as e
from ..ops import sort as s
from ..ops.declare import broadcast_to
from ..ops.index import getitem
from .creation import as_array, as_arrays, convert, home
from .frontend import functions, numpy_function
from .reductions import NO, is_given


def _part(axis: int, ndim: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if i == axis else slice(None) for i in range(ndim))


def _along(x: Any, axis: int, ndim: int) -> Any:
    """A vector in a shape that broadcasts along ``axis``."""
    return functions["reshape"](x, tuple(-1 if i == axis else 1 for i in range(ndim)))


# -- differences ----------------------------------------------------------------------------------
def _plain_diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = NO, append: Any = NO) -> Any:
    # None for no end is the array API standard's; NumPy doesn't know it.
    ends = {name: v for name, v in (("prepend", prepend), ("append", append)) if is_given(v)}
    return home(a, *ends.values()).function("diff")(a, n, axis, **ends)


@numpy_function("diff", on_plain=_plain_diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = NO, append: Any = NO) -> Any:
    if n < 0:
        raise ValueError(f"diff: order must be non-negative but got {n!r}")
    if n == 0:
        return a
    a, *ends = as_arrays(v for v in (a, prepend, append) if is_given(v))
    lengths = spec_of(a).shape
    if not lengths:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, len(lengths))
    if ends:
        edge = tuple(1 if i == axis else m for i, m in enumerate(lengths))
        parts = [v if spec_of(v).shape else broadcast_to(v, shape=edge) for v in ends]
        parts.insert(1 if is_given(prepend) else 0, a)
        a = functions["concatenate"](parts, axis=axis)
    later, earlier = _part(axis, len(lengths), 1, None), _part(axis, len(lengths), None, -1)
    for _ in range(n):
        a = a[later] - a[earlier]
    return a


@numpy_function("ediff1d")
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary, *ends = as_arrays(v for v in (ary, to_begin, to_end) if v is not None)
    flat, *ends = (functions["reshape"](v, (-1,)) for v in (ary, *ends))
    steps = flat[1:] - flat[:-1]
    ends.insert(0 if to_begin is None else 1, steps)
    return functions["concatenate"](ends) if len(ends) > 1 else steps


@numpy_function("gradient")
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """As :func:`numpy.gradient`; differentiable, in the spacings and the places too."""
    f, *spacings = as_arrays([f, *varargs])
    if not has_derivatives(spec_of(f).dtype):
        f = convert(f, float)
    lengths = spec_of(f).shape
    axes = normalize_axis_tuple(range(len(lengths)) if axis is None else axis, len(lengths))
    if not spacings:
        spacings = [1.0] * len(axes)
    elif len(spacings) == 1 and not spec_of(spacings[0]).shape:
        spacings = spacings * len(axes)
    elif len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    slopes = tuple(_slope(f, h, k, edge_order) for h, k in zip(spacings, axes, strict=True))
    return slopes[0] if len(axes) == 1 else slopes


def _slope(f: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    """The derivative along one axis: central differences, and one-sided ones at the ends."""
    spec, places = spec_of(f), spec_of(spacing).shape
    n, ndim = spec.shape[axis], len(spec.shape)
    if n < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
            "required."
        )
    if len(places) > 1:
        raise ValueError("distances must be either scalars or 1d")
    if places and places != (n,):
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    but_first, but_last = _part(axis, ndim, 1, None), _part(axis, ndim, None, -1)
    rises = f[but_first] - f[but_last]
    if places:
        h = _along(diff(spacing), axis, ndim)
        slopes, weight = rises / h, h[but_first] / (h[but_first] + h[but_last])
        # The parabola through three points has, at the middle one, a mean of the two slopes; the nearer counts more.
        middle = weight * slopes[but_last] + (1.0 - weight) * slopes[but_first]
    else:
        slopes, weight = rises / spacing, 0.5
        middle = (f[_part(axis, ndim, 2, None)] - f[_part(axis, ndim, None, -2)]) / (2.0 * spacing)
    at_first, at_last = _part(axis, ndim, None, 1), _part(axis, ndim, -1, None)
    first, last = slopes[at_first], slopes[at_last]
    if edge_order == 2:  # its slope at the ends
        before, after = (weight[at_first], weight[at_last]) if places else (weight, weight)
        second, last_but_one = slopes[_part(axis, ndim, 1, 2)], slopes[_part(axis, ndim, -2, -1)]
        first, last = first + (first - second) * (1.0 - before), last + (last - last_but_one) * after
    return convert(functions["concatenate"]([first, middle, last], axis=axis), spec.dtype)


# -- integrals ------------------------------------------------------------------------------------
@numpy_function("trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y, *places = as_arrays([y] if x is None else [y, x])
    ndim = len(spec_of(y).shape)
    at = normalize_axis_index(axis, ndim)  # x may have more axes, so elsewhere the axis stays as it was given
    if places:
        x = places[0]
        dx = diff(x, axis=axis if len(spec_of(x).shape) > 1 else 0)
        if len(spec_of(x).shape) == 1:
            dx = _along(dx, at, ndim)
    heights = y[_part(at, ndim, 1, None)] + y[_part(at, ndim, None, -1)]
    return functions["sum"](dx * heights * 0.5, axis=axis)


# -- interpolation --------------------------------------------------------------------------------
@numpy_function("interp")
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """As :func:`numpy.interp`; differentiable in all but ``period``. At a knot the slope is the one to its right."""
    x, xp, fp = as_arrays([x, xp, fp])
    kind = "complex128" if spec_of(fp).dtype.kind == "c" else "float64"
    x, xp, fp = convert(x, "float64"), convert(xp, "float64"), convert(fp, kind)
    if len(spec_of(xp).shape) != 1 or spec_of(xp).shape != spec_of(fp).shape or not spec_of(xp).shape[0]:
        raise ValueError("interp: xp and fp must be vectors of one length, not empty")
    if period is not None:
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, period)
    n = spec_of(xp).shape[0]
    clip = home(x, xp).function("clip")
    knot = clip(s.searchsorted(xp, x, side="right") - 1, 0, n - 1)  # the last one that isn't to the right of x
    inside = e.logical_and(e.greater_equal(x, xp[0]), e.less_equal(x, xp[-1]))
    y = getitem(fp, knot)
    if n > 1:
        start = clip(knot, 0, n - 2)
        run = getitem(xp, start + 1) - getitem(xp, start)
        rise = getitem(fp, start + 1) - getitem(fp, start)
        # Beyond the ends, which may be infinitely far, nothing must be multiplied by 0 to be left out.
        y = y + e.where(inside, x - getitem(xp, knot), 0.0) * (rise / e.where(e.equal(run, 0.0), 1.0, run))
    y = e.where(e.less(x, xp[0]), fp[0] if left is None else left, y)
    y = e.where(e.greater(x, xp[-1]), fp[-1] if right is None else right, y)
    y = e.where(e.isnan(x), x, y)
    return y if spec_of(y).shape else getitem(y, ())  # a number, as NumPy's


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """``x``, and one period of knots in order, with the next on either side."""
    period = abs(period)
    x, xp = e.remainder(x, period), e.remainder(xp, period)
    order = s.argsort(xp, axis=-1)
    xp, fp = getitem(xp, order), getitem(fp, order)
    xp = functions["concatenate"]([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, functions["concatenate"]([fp[-1:], fp, fp[:1]])


@numpy_function("unwrap")
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2.0 * np.pi) -> Any:
    p = as_array(p)
    ndim = len(spec_of(p).shape)
    axis = normalize_axis_index(axis, ndim)
    steps = diff(p, axis=axis)
    low = 0.5 * period
    wrapped = e.remainder(steps + low, period) - low
    # A step of exactly half a period keeps its sign.
    wrapped = e.where(e.logical_and(e.equal(wrapped, -low), e.greater(steps, 0.0)), low, wrapped)
    jumps = e.where(e.less(e.absolute(steps), low if discont is None else discont), 0.0, wrapped - steps)
    first, rest = p[_part(axis, ndim, None, 1)], p[_part(axis, ndim, 1, None)]
    return functions["concatenate"]([first, rest + functions["cumsum"](jumps, axis=axis)], axis=axis)

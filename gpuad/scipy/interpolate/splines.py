"""Splines as sums of B-splines, by the recurrence of de Boor and Cox: Piegl and Tiller, The NURBS Book, section 2."""

from __future__ import annotations

import math
import operator
from typing import Any

import scipy.interpolate as theirs
from numpy.lib.array_utils import normalize_axis_index

from ...backend import backend_of
from ...core.box import innermost, make_spec, sample
from ...errors import UnsupportedError
from ...numpy.creation import home
from ...numpy.frontend import functions, numpy_function
from ...ops.elementwise import isnan, logical_or, where
from ...ops.index import ARRAY, Arrays, scatter_add
from ...ops.reduce import cumsum
from ...ops.structured import solve_banded
from .piecewise import between, column, floating, interval, into_place, is_periodic, is_plain, outside, periodic


def basis(t: Any, points: Any, j: Any, k: int, nu: int = 0) -> list[Any]:
    """At points between ``t[j]`` and ``t[j + 1]``, the B-splines ``j - k`` to ``j`` of degree k, differentiated."""
    values = [points * 0.0 + 1.0]
    if nu > k:
        return [values[0] * 0.0] * (k + 1)
    knots = {i: t[j + i] for i in range(1 - k, k + 1)}
    for d in range(1, k - nu + 1):
        rest, longer = 0.0, []
        for r, value in enumerate(values):
            low, high = knots[1 - d + r], knots[r + 1]
            share = value / (high - low)
            longer.append(rest + (high - points) * share)
            rest = (points - low) * share
        values = [*longer, rest]
    for d in range(k - nu + 1, k + 1):  # a slope is the difference of two of the degree below
        shares = [value / (knots[r + 1] - knots[1 - d + r]) * float(d) for r, value in enumerate(values)]
        values = [b - a for a, b in zip([*shares, 0.0], [0.0, *shares], strict=True)]
    return values


class Spline:
    """A spline as :class:`scipy.interpolate.BSpline`, of traced knots or coefficients, or at traced points."""

    def __init__(self, t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> None:
        self.t, self.c, self.k, self.extrapolate, self.axis = t, c, k, extrapolate, axis

    @property
    def tck(self) -> tuple[Any, Any, int]:
        return self.t, self.c, self.k

    def _ends(self) -> tuple[Any, Any]:
        return self.t[self.k], self.t[self.t.shape[0] - self.k - 1]

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        points = floating(x, self.c, self.t)
        shape, (start, end) = tuple(points.shape), self._ends()
        points = points.reshape(-1)
        if extrapolate == "periodic":
            points = periodic(points, start, end)
        j = interval(self.t, points, self.k, self.t.shape[0] - self.k - 2)
        value, ndim = 0.0, len(self.c.shape)
        for r, weight in enumerate(basis(self.t, points, j, self.k, nu)):
            value = value + self.c[j - self.k + r] * column(weight, ndim)
        missing = isnan(points)
        if not extrapolate:
            missing = logical_or(missing, outside(points, start, end))
        return into_place(where(column(missing, ndim), math.nan, value), shape, self.axis)

    def derivative(self, nu: int = 1) -> Spline:
        if nu < 0:
            return self.antiderivative(-nu)
        t, c, k = self.t, self.c, self.k
        if nu > k:
            raise ValueError(f"Order of derivative (n = {nu}) must be <= order of spline (k = {k})")
        for _ in range(nu):
            n = t.shape[0] - k - 1
            steps = t[k + 1 : n + k] - t[1:n]
            slopes = (c[1:n] - c[: n - 1]) / column(where(steps == 0.0, 1.0, steps), len(c.shape))
            t, c, k = t[1:-1], slopes * float(k), k - 1
        return Spline(t, c, k, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> Spline:
        if nu < 0:
            return self.derivative(-nu)
        t, c, k = self.t, self.c, self.k
        for _ in range(nu):
            n = t.shape[0] - k - 1
            until = cumsum(c[:n] * column(t[k + 1 :] - t[:n], len(c.shape)), axis=0, reverse=False)
            c = functions["concatenate"]([until[:1] * 0.0, until * (1.0 / (k + 1))])
            t, k = functions["concatenate"]([t[:1], t, t[-1:]]), k + 1
        return Spline(t, c, k, False if self.extrapolate == "periodic" else self.extrapolate, self.axis)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        start, end = self._ends()
        if not extrapolate:  # nothing is added beyond the ends
            a, b = (functions["clip"](x, start, end) for x in (a, b))
        return between(self.antiderivative(), start, end, a, b, extrapolate or True)


class BSpline(theirs.BSpline):  # type: ignore[misc]
    """As SciPy's; of traced knots or coefficients, and at traced points, differentiable."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if is_plain(*args, *options.values()):
            return super().__new__(cls)
        return _spline(*args, **options)

    def _spline(self) -> Spline:
        return Spline(self.t, self.c, self.k, self.extrapolate, self.axis)

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        return (super().__call__ if is_plain(x) else self._spline())(x, nu, extrapolate)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        return (super().integrate if is_plain(a, b) else self._spline().integrate)(a, b, extrapolate)


def _spline(t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> Spline:
    t, c, k = floating(t, c), floating(c, t), operator.index(k)
    axis = normalize_axis_index(axis, len(c.shape))
    if len(t.shape) != 1 or t.shape[0] < 2 * k + 2:
        raise ValueError(f"Need at least {2 * k + 2} knots for degree {k}")
    values = innermost(t)
    if bool((values[1:] < values[:-1]).any()):
        raise ValueError("Knots must be in a non-decreasing order.")
    c = functions["moveaxis"](c, axis, 0) if axis else c
    if c.shape[0] < t.shape[0] - k - 1:
        raise ValueError("Knots, coefficients and degree are inconsistent.")
    return Spline(t, c, k, extrapolate, axis)


# -- interpolation --------------------------------------------------------------------------------------------------
def _of_plain_data(*args: Any, **options: Any) -> Any:
    if not is_plain(*args, *options.values()):
        return _of_other_backends(*args, **options)
    made = theirs.make_interp_spline(*args, **options)
    return BSpline.construct_fast(made.t, made.c, made.k, made.extrapolate, made.axis)


def _of_other_backends(*args: Any, **options: Any) -> Spline:
    made = home(*args, *options.values()).function("scipy.interpolate.make_interp_spline")(*args, **options)
    return Spline(made.t, made.c, made.k, made.extrapolate, made.axis)


@numpy_function("scipy.interpolate.make_interp_spline", on_plain=_of_plain_data)
def make_interp_spline(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> Spline:
    """As :func:`scipy.interpolate.make_interp_spline`; the spline is differentiable in the data and their places."""
    x, y, k = floating(x, y), floating(y, x), operator.index(k)
    axis = normalize_axis_index(axis, len(y.shape))
    y = functions["moveaxis"](y, axis, 0) if axis else y
    if is_periodic(bc_type):
        raise UnsupportedError(
            "make_interp_spline of traced data isn't supported with bc_type='periodic'; CubicSpline is"
        )
    _check(x, y, k)
    if k < 2 and t is None:
        t = functions["concatenate"]([x[:1]] * k + [x, x[-1:]])
        return Spline(t, y, k, True, axis)
    ends = _conditions(bc_type, y)
    if t is None:
        t = _knots(x, k, any(ends))
    t, n, count = floating(t, x), x.shape[0], sum(map(len, ends))
    if t.shape[0] - k - 1 != n + count:
        raise ValueError(f"{t.shape[0] - k - 1 - n} conditions at the ends are needed, got {count}")
    c = solve_banded(
        _collocation(x, t, k, [[order for order, _ in end] for end in ends]),
        functions["concatenate"]([*(v for _, v in ends[0]), y, *(v for _, v in ends[1])]).reshape((n + count, -1)),
        bands=(k, k),
    )
    return Spline(t, c.reshape((n + count, *y.shape[1:])), k, True, axis)


def _check(x: Any, y: Any, k: int) -> None:
    if k < 0:
        raise ValueError("Expect non-negative k.")
    if len(x.shape) != 1 or x.shape[0] != y.shape[0]:
        raise ValueError(f"Shapes of x {tuple(x.shape)} and y {tuple(y.shape)} are incompatible")
    values = innermost(x)
    if not bool((values[1:] > values[:-1]).all()):
        raise ValueError("Expect x to be a 1D strictly increasing sequence.")


def _knots(x: Any, k: int, conditions: bool) -> Any:
    inner = x[1:-1] if conditions else x[(k + 1) // 2 : -((k + 1) // 2)]
    if not conditions and k % 2 == 0:
        inner = ((x[1:] + x[:-1]) * 0.5)[k // 2 : -(k // 2)]
    return functions["concatenate"]([x[:1]] * (k + 1) + [inner] + [x[-1:]] * (k + 1))


def _conditions(bc_type: Any, y: Any) -> list[list[tuple[int, Any]]]:
    """At either end, the orders of the derivatives that are given, and their values."""
    if bc_type is None or isinstance(bc_type, str):
        bc_type = (bc_type, bc_type)
    orders = {"clamped": 1, "natural": 2}
    found: list[list[tuple[int, Any]]] = []
    for end in bc_type:
        if end is None or (isinstance(end, str) and end == "not-a-knot"):
            found.append([])
        elif isinstance(end, str):
            if end not in orders:
                raise ValueError(f"Unknown boundary condition : {end}")
            found.append([(orders[end], y[:1] * 0.0)])
        else:
            found.append([(order, floating(value, y).reshape((1, *y.shape[1:]))) for order, value in end])
    return found


def _collocation(x: Any, t: Any, k: int, ends: list[list[int]]) -> Any:
    """The diagonals of the matrix that takes coefficients to values and to the derivatives at the ends."""
    size = t.shape[0] - k - 1
    xp = backend_of((sample(x),)).functions
    parts = [
        *((i, x[:1], order) for i, order in enumerate(ends[0])),
        (len(ends[0]), x, 0),
        *((len(ends[0]) + x.shape[0] + i, x[-1:], order) for i, order in enumerate(ends[1])),
    ]
    entries, places = [], []
    for row, points, order in parts:
        j = interval(t, points, k, size - 1)
        rows = xp.arange(row, row + points.shape[0])
        for r, value in enumerate(basis(t, points, j, k, order)):
            entries.append(value)
            places.append(Arrays((ARRAY, ARRAY), (k + rows - (j - k + r), j - k + r)))
    return scatter_add(*entries, indices=tuple(places), spec=make_spec((2 * k + 1, size), entries[0].dtype))

"""Piecewise polynomials: cubic splines, Hermite's, and those that don't overshoot."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.interpolate as theirs
from numpy.lib.array_utils import normalize_axis_index

from ...backend import owner_of_type
from ...backend.numpy_backend import NumpyBackend
from ...core.box import innermost, spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_array, convert, home
from ...numpy.frontend import arrays_in, functions, is_traced, numpy_function
from ...ops.elementwise import absolute, isnan, logical_and, logical_or, sign, stop_gradient, where
from ...ops.index import getitem
from ...ops.reduce import cumsum
from ...ops.shape import stack
from ...ops.structured import solve_banded


# -- evaluation ---------------------------------------------------------------------------------------------------
def floating(x: Any, *others: Any) -> Any:
    """``x`` as an array of double precision, as SciPy takes all that it interpolates."""
    x = as_array(x, home(x, *others))
    return convert(x, "complex128" if spec_of(x).dtype.kind == "c" else "float64")


def interval(x: Any, points: Any, first: int, last: int) -> Any:
    """For each point the last breakpoint before it, among those numbered from ``first`` to ``last``."""
    found = functions["searchsorted"](stop_gradient(x), stop_gradient(points), "right")
    return functions["clip"](found - 1, first, last)


def column(x: Any, ndim: int) -> Any:
    """A vector, so that it broadcasts along the first of ``ndim`` axes."""
    return x.reshape((-1,) + (1,) * (ndim - 1))


def into_place(y: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Values at points of this shape, one after the other, with the points where the interpolated axis was."""
    ndim = len(shape)
    y = y.reshape(shape + tuple(y.shape[1:]))
    order = list(range(len(y.shape)))
    return functions["transpose"](y, order[ndim : ndim + axis] + order[:ndim] + order[ndim + axis :]) if axis else y


def outside(points: Any, start: Any, end: Any) -> Any:
    points = stop_gradient(points)
    return logical_or(points < stop_gradient(start), points > stop_gradient(end))


def periodic(points: Any, start: Any, end: Any) -> Any:
    return start + (points - start) % (end - start)


class Pieces:
    """A piecewise polynomial as :class:`scipy.interpolate.PPoly`, of traced data or at traced points.

    ``c[k, i]`` is the coefficient of ``(x - x[i]) ** (K - k)`` in the i-th interval.
    """

    def __init__(self, c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> None:
        self.c, self.x, self.axis = c, x, axis
        self.extrapolate = True if extrapolate is None else extrapolate

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        points = floating(x, self.c, self.x)
        shape = tuple(points.shape)
        points = points.reshape(-1)
        start, end = self.x[0], self.x[-1]
        if extrapolate == "periodic":
            points = periodic(points, start, end)
        value = self._at(points, nu)
        missing = isnan(points)
        if not extrapolate:
            missing = logical_or(missing, outside(points, start, end))
        return into_place(where(column(missing, len(value.shape)), math.nan, value), shape, self.axis)

    def _at(self, points: Any, nu: int) -> Any:
        pieces, degree = self.c.shape[1], self.c.shape[0] - 1
        i = interval(self.x, points, 0, pieces - 1)
        t = column(points - self.x[i], len(self.c.shape) - 1)
        if nu > degree:
            return getitem(self.c, (0, i)) * (t * 0.0)
        value = None
        for k in range(degree - nu + 1):
            term = getitem(self.c, (k, i)) * float(math.perm(degree - k, nu))
            value = term if value is None else value * t + term
        return value

    def derivative(self, nu: int = 1) -> Pieces:
        if nu < 0:
            return self.antiderivative(-nu)
        degree = self.c.shape[0] - 1
        terms = [self.c[k] * float(math.perm(degree - k, nu)) for k in range(degree - nu + 1)]
        return Pieces(stack(*(terms or [self.c[0] * 0.0]), axis=0), self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> Pieces:
        if nu < 0:
            return self.derivative(-nu)
        c, dx = self.c, column(functions["diff"](self.x), len(self.c.shape) - 1)
        for _ in range(nu):
            terms = [c[k] * (1.0 / (c.shape[0] - k)) for k in range(c.shape[0])]
            over = terms[0]
            for term in terms[1:]:
                over = over * dx + term
            until = cumsum(over * dx, axis=0, reverse=False)
            c = stack(*terms, functions["concatenate"]([until[:1] * 0.0, until[:-1]]), axis=0)
        extrapolate = False if self.extrapolate == "periodic" else self.extrapolate
        return Pieces(c, self.x, extrapolate, self.axis)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        return between(self.antiderivative(), self.x[0], self.x[-1], a, b, extrapolate)

    def _no_roots(self, *args: Any, **options: Any) -> Any:
        raise UnsupportedError(
            "the roots of a traced piecewise polynomial aren't differentiated; find them with plain data, and refine "
            "them by a step of Newton's method, x - p(x) / p(x, 1)"
        )

    solve = roots = _no_roots


def between(whole: Callable[..., Any], start: Any, end: Any, a: Any, b: Any, extrapolate: Any) -> Any:
    """The integral from ``a`` to ``b``, by what it is up to any point of the interval."""
    if extrapolate != "periodic":
        return whole(b, extrapolate=extrapolate) - whole(a, extrapolate=extrapolate)
    turns = functions["floor"](stop_gradient((b - start) / (end - start)))
    turns = turns - functions["floor"](stop_gradient((a - start) / (end - start)))
    in_one = whole(periodic(b, start, end)) - whole(periodic(a, start, end))
    return in_one + turns * (whole(end) - whole(start))


# -- SciPy's classes ----------------------------------------------------------------------------------------------
def is_plain(*args: Any) -> bool:
    """Whether SciPy can take these: nothing traced, nothing of another backend."""
    return not is_traced(args) and all(isinstance(owner_of_type(type(a)), NumpyBackend) for a in arrays_in(args))


def _of_other_backends(name: str, args: Any, options: Any) -> Any:
    """The piecewise polynomial that a backend's own class makes of its arrays."""
    made = home(*args, *options.values()).function(f"scipy.interpolate.{name}")(*args, **options)
    return Pieces(made.c, made.x, made.extrapolate, made.axis)


class _Plain:
    """One of SciPy's piecewise polynomials, that takes traced points."""

    __slots__ = ()
    #: Makes a ``Pieces`` of what the class is called with.
    traced: Callable[..., Pieces]

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if is_plain(*args, *options.values()):
            return super().__new__(cls)
        if is_traced(args) or is_traced(options.values()):
            return cls.traced(*args, **options)
        return _of_other_backends(cls.__name__, args, options)

    def _pieces(self) -> Pieces:
        p: Any = self
        return Pieces(p.c, p.x, p.extrapolate, p.axis)

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        call = super().__call__ if is_plain(x) else self._pieces()  # type: ignore[misc]
        return call(x, nu, extrapolate)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        integrate = super().integrate if is_plain(a, b) else self._pieces().integrate  # type: ignore[misc]
        return integrate(a, b, extrapolate)


def _from_coefficients(c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> Pieces:
    c, x = floating(c, x), floating(x, c)
    if len(c.shape) < 2 or c.shape[1 + axis] != x.shape[0] - 1:
        raise ValueError(f"PPoly: coefficients of shape (k, {x.shape[0] - 1}, …) are needed, got {tuple(c.shape)}")
    _need_ascending(x)
    return Pieces(functions["moveaxis"](c, (axis, axis + 1), (0, 1)) if axis else c, x, extrapolate, axis)


def _need_ascending(x: Any) -> None:
    values = innermost(x)
    if x.shape[0] > 1 and not bool((values[1:] > values[:-1]).all()):
        raise ValueError("`x` must be strictly increasing sequence.")


def _prepared(x: Any, y: Any, axis: int, *others: Any) -> tuple[Any, ...]:
    """As SciPy checks and arranges them: x, the steps (that they broadcast), and what is interpolated, axis first."""
    x, arrays = floating(x, y), [floating(a, x) for a in (y, *others)]
    axis = normalize_axis_index(axis, len(arrays[0].shape))
    if len(x.shape) != 1 or x.shape[0] < 2:
        raise ValueError("`x` must be 1-dimensional and contain at least 2 elements.")
    if any(a.shape != arrays[0].shape for a in arrays):
        raise ValueError("The shapes of `y` and `dydx` must be identical.")
    if arrays[0].shape[axis] != x.shape[0]:
        raise ValueError(f"The length of `y` along `axis`={axis} doesn't match the length of `x`")
    for name, a in zip(("x", "y", "dydx"), (x, *arrays), strict=False):
        if not bool(functions["isfinite"](innermost(a)).all()):
            raise ValueError(f"`{name}` must contain only finite values.")
    _need_ascending(x)
    arrays = [functions["moveaxis"](a, axis, 0) for a in arrays]
    return x, column(functions["diff"](x), len(arrays[0].shape)), axis, *arrays


def _hermite(x: Any, dx: Any, y: Any, dydx: Any, axis: int, extrapolate: Any) -> Pieces:
    slope = (y[1:] - y[:-1]) / dx
    t = (dydx[:-1] + dydx[1:] - 2.0 * slope) / dx
    return Pieces(stack(t / dx, (slope - dydx[:-1]) / dx - t, dydx[:-1], y[:-1], axis=0), x, extrapolate, axis)


def _hermite_spline(x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> Pieces:
    x, dx, axis, y, dydx = _prepared(x, y, axis, dydx)
    return _hermite(x, dx, y, dydx, axis, extrapolate)


# -- cubic splines --------------------------------------------------------------------------------------------------
def _cubic_spline(x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> Pieces:
    x, dx, axis, y = _prepared(x, y, axis)
    if isinstance(bc_type, str):
        bc_type = (bc_type, bc_type)
    if len(bc_type) != 2 or (is_periodic(bc_type[0]) != is_periodic(bc_type[1])):
        raise ValueError("`bc_type` must be one condition for both ends, or two; 'periodic' holds for both.")
    if is_periodic(bc_type[0]):
        ends = innermost(y)
        if not bool((abs(ends[0] - ends[-1]) <= 1e-15 + 1e-15 * abs(ends[-1])).all()):
            raise ValueError("The first and last `y` must be identical when bc_type='periodic'.")
        extrapolate = "periodic" if extrapolate is None else extrapolate
    return _hermite(x, dx, y, _slopes(dx, y, bc_type), axis, extrapolate)


def is_periodic(bc: Any) -> bool:
    return isinstance(bc, str) and bc == "periodic"


def _joined(*parts: Any) -> Any:
    return functions["concatenate"](list(parts))


def _slopes(dx: Any, y: Any, bc: Any) -> Any:
    """The slopes at the breakpoints, with which the second derivative is continuous."""
    n, slope = y.shape[0], (y[1:] - y[:-1]) / dx
    inner = 3.0 * (dx[1:] * slope[:-1] + dx[:-1] * slope[1:])
    between = 2.0 * (dx[:-1] + dx[1:])
    if is_periodic(bc[0]) and n > 2:
        if n == 3:
            all_same = (slope / dx).sum(0, keepdims=True) / (1.0 / dx).sum(0, keepdims=True)
            return _joined(all_same, all_same, all_same)
        return _periodic_slopes(dx, slope, inner, between)
    if n == 3 and all(isinstance(end, str) and end == "not-a-knot" for end in bc):  # a parabola
        first, last = ((dx[:1] * 0.0 + 1.0, dx[:1] * 0.0 + 1.0, 2.0 * s) for s in (slope[:1], slope[1:]))
    else:
        first = _end(bc[0], dx, slope, y, 1.0)
        last = _end(bc[1], dx[::-1], slope[::-1], y[::-1], -1.0)
    upper = _joined(dx[:1] * 0.0, first[1], dx[:-1])
    main = _joined(first[0], between, last[0])
    lower = _joined(dx[1:], last[1], dx[:1] * 0.0)
    return _tridiagonal(upper, main, lower, _joined(first[2], inner, last[2]))


def _tridiagonal(upper: Any, main: Any, lower: Any, b: Any) -> Any:
    ab = stack(upper.reshape(-1), main.reshape(-1), lower.reshape(-1), axis=0)
    return solve_banded(ab, b.reshape((b.shape[0], -1)), bands=(1, 1)).reshape(b.shape)


def _end(bc: Any, dx: Any, slope: Any, y: Any, way: float) -> tuple[Any, Any, Any]:
    """The equation at an end: coefficients of the slopes there and next to it, and what they add up to.

    All is given from that end on; ``way`` is -1 for the last.
    """
    here, zero = dx[:1], dx[:1] * 0.0
    if isinstance(bc, str):
        if bc not in ("clamped", "natural", "not-a-knot", "periodic"):
            raise ValueError(f"bc_type={bc} is not allowed.")
        if bc in ("clamped", "natural"):
            bc = (1 if bc == "clamped" else 2, slope[0] * 0.0)
        elif y.shape[0] == 2:
            bc = (1, slope[0])
    if isinstance(bc, str):
        beyond = dx[:1] + dx[1:2]
        b = ((here + 2.0 * beyond) * dx[1:2] * slope[:1] + here * here * slope[1:2]) / beyond
        return dx[1:2], beyond, b
    order, value = bc
    value = floating(value, y)
    if order not in (1, 2) or tuple(value.shape) != tuple(y.shape[1:]):
        raise ValueError(f"bc_type: (order 1 or 2, value of shape {tuple(y.shape[1:])}) is needed, got {bc}")
    value = value.reshape((1, *value.shape))
    if order == 1:
        return zero + 1.0, zero, zero + value
    return 2.0 * here, here, 3.0 * here * slope[:1] - 0.5 * way * value * here * here


def _periodic_slopes(dx: Any, slope: Any, inner: Any, between: Any) -> Any:
    """Without the last unknown the equations are tridiagonal; it is found by the equation that is left."""
    m = dx.shape[0]
    first = 3.0 * (dx[:1] * slope[-1:] + dx[-1:] * slope[:1])
    b = _joined(first, inner)
    zero = dx[:1] * 0.0
    upper = _joined(zero, dx[-1:], dx[: m - 3])
    main = _joined(2.0 * (dx[-1:] + dx[:1]), between[: m - 2])
    lower = _joined(dx[1 : m - 1], zero)
    of_last = _joined(-dx[:1], *[zero] * (m - 3), -dx[m - 3 : m - 2])
    one = _tridiagonal(upper, main, lower, b[:-1])
    two = _tridiagonal(upper, main, lower, of_last)
    last = (b[-1:] - dx[m - 2 : m - 1] * one[:1] - dx[m - 1 :] * one[-1:]) / (
        2.0 * (dx[m - 1 :] + dx[m - 2 : m - 1]) + dx[m - 2 : m - 1] * two[:1] + dx[m - 1 :] * two[-1:]
    )
    slopes = one + last * two
    return _joined(slopes, last, slopes[:1])


# -- shape-preserving -------------------------------------------------------------------------------------------------
def _pchip(x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Pieces:
    x, dx, axis, y = _prepared(x, y, axis)
    m = (y[1:] - y[:-1]) / dx
    if y.shape[0] == 2:
        return _hermite(x, dx, y, _joined(m, m), axis, extrapolate)
    flat = logical_or(sign(m[1:]) != sign(m[:-1]), logical_or(m[1:] == 0.0, m[:-1] == 0.0))
    w1, w2 = 2.0 * dx[1:] + dx[:-1], dx[1:] + 2.0 * dx[:-1]
    mean = (w1 / where(flat, 1.0, m[:-1]) + w2 / where(flat, 1.0, m[1:])) / (w1 + w2)
    inner = where(flat, 0.0, 1.0 / where(flat, 1.0, mean))
    ends = [_pchip_end(dx[:1], dx[1:2], m[:1], m[1:2]), _pchip_end(dx[-1:], dx[-2:-1], m[-1:], m[-2:-1])]
    return _hermite(x, dx, y, _joined(ends[0], inner, ends[1]), axis, extrapolate)


def _pchip_end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    d = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    steep = logical_and(sign(m0) != sign(m1), absolute(d) > 3.0 * absolute(m0))
    return where(sign(d) != sign(m0), 0.0, where(steep, 3.0 * m0, d))


def _akima(x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None) -> Pieces:
    if method not in ("akima", "makima"):
        raise NotImplementedError(f"`method`={method} is unsupported.")
    x, dx, axis, y = _prepared(x, y, axis)
    m = (y[1:] - y[:-1]) / dx
    extrapolate = False if extrapolate is None else extrapolate
    if y.shape[0] == 2:
        return _hermite(x, dx, y, _joined(m, m), axis, extrapolate)
    for _ in range(2):
        m = _joined(2.0 * m[:1] - m[1:2], m, 2.0 * m[-1:] - m[-2:-1])
    turns = absolute(m[1:] - m[:-1])
    if method == "makima":
        turns = turns + 0.5 * absolute(m[1:] + m[:-1])
    before, after = turns[:-2], turns[2:]
    both = before + after
    bent = both > 1e-9 * functions["max"](stop_gradient(both))
    weighed = m[1:-2] + before / where(bent, both, 1.0) * (m[2:-1] - m[1:-2])
    return _hermite(x, dx, y, where(bent, weighed, 0.5 * (m[3:] + m[:-3])), axis, extrapolate)


class PPoly(_Plain, theirs.PPoly):  # type: ignore[misc]
    traced = staticmethod(_from_coefficients)


class CubicHermiteSpline(_Plain, theirs.CubicHermiteSpline):  # type: ignore[misc]
    traced = staticmethod(_hermite_spline)


class CubicSpline(_Plain, theirs.CubicSpline):  # type: ignore[misc]
    traced = staticmethod(_cubic_spline)


class PchipInterpolator(_Plain, theirs.PchipInterpolator):  # type: ignore[misc]
    traced = staticmethod(_pchip)


class Akima1DInterpolator(_Plain, theirs.Akima1DInterpolator):  # type: ignore[misc]
    traced = staticmethod(_akima)


@numpy_function("scipy.interpolate.pchip_interpolate")
def pchip_interpolate(xi: Any, yi: Any, x: Any, der: Any = 0, axis: int = 0) -> Any:
    p = PchipInterpolator(xi, yi, axis=axis)
    return p(x, nu=der) if np.isscalar(der) else [p(x, nu=nu) for nu in der]

"""Interpolation on a line or a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import scipy.interpolate as theirs
from numpy.lib.array_utils import normalize_axis_index

from ...core.box import innermost, spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_array, as_arrays, home
from ...numpy.frontend import functions, numpy_function
from ...ops.elementwise import isnan, logical_or, stop_gradient, where
from ...ops.index import getitem
from .piecewise import column, floating, interval, into_place, is_plain, outside
from .splines import basis, make_interp_spline

_DEGREES = {"zero": 0, "slinear": 1, "quadratic": 2, "cubic": 3}


def _inexact(x: Any, *others: Any) -> Any:
    """``x`` as an array of floating-point numbers, in the precision that they have."""
    x = as_array(x, home(x, *others))
    return x if spec_of(x).dtype.kind in "fc" else floating(x)


# -- a line ---------------------------------------------------------------------------------------------------------
class Line:
    """As :class:`scipy.interpolate.interp1d`, of traced data or at traced points."""

    def __init__(
        self, x: Any, y: Any, kind: Any = "linear", axis: int = -1, copy: Any = True, bounds_error: bool | None = None,
        fill_value: Any = math.nan, assume_sorted: bool = False,
    ) -> None:  # fmt: skip
        x, y = _inexact(x, y), _inexact(y, x)
        self.axis = normalize_axis_index(axis, len(y.shape))
        y = functions["moveaxis"](y, self.axis, 0)
        if len(x.shape) != 1 or x.shape[0] != y.shape[0]:
            raise ValueError(f"x of shape {tuple(x.shape)} and y, {y.shape[0]} long along axis {axis}, don't fit")
        if not assume_sorted:
            order = functions["argsort"](stop_gradient(x), kind="stable")
            x, y = x[order], y[order]
        self.x, self._y = x, y
        self.extrapolate = isinstance(fill_value, str) and fill_value == "extrapolate"
        if self.extrapolate and bounds_error:
            raise ValueError("Cannot extrapolate and raise at the same time.")
        self.bounds_error = not self.extrapolate if bounds_error is None else bounds_error
        self.fill_value = fill_value
        degree = _DEGREES.get(kind, kind)
        if kind not in ("linear", "nearest", "nearest-up", "previous", "next") and not isinstance(degree, int):
            raise NotImplementedError(f"{kind} is unsupported: Use fitpack routines for other types.")
        self._kind = kind
        self._spline = make_interp_spline(x, y, degree) if isinstance(degree, int) else None
        if self.extrapolate and kind in ("previous", "next"):
            self.fill_value = (math.nan, y[-1]) if kind == "previous" else (y[0], math.nan)

    def __call__(self, x: Any) -> Any:
        points = _inexact(x, self._y, self.x)
        shape = tuple(points.shape)
        points = points.reshape(-1)
        value = self._spline(points) if self._spline is not None else self._at(points)
        if not self.extrapolate or self._kind in ("previous", "next"):
            value = self._filled(value, points)
        return into_place(value, shape, self.axis)

    def _filled(self, value: Any, points: Any) -> Any:
        values, places = stop_gradient(points), stop_gradient(self.x)
        below, above = values < places[0], values > places[-1]
        if self.bounds_error and bool(innermost(logical_or(below, above)).any()):
            raise ValueError("A value in x_new is outside the interpolation range.")
        ndim = len(value.shape)
        fill = self.fill_value
        low, high = fill if isinstance(fill, tuple) and len(fill) == 2 else (fill, fill)
        value = where(column(below, ndim), low, value)
        return where(column(above, ndim), high, value)

    def _at(self, points: Any) -> Any:
        x, y, n = self.x, self._y, self.x.shape[0]
        if self._kind == "linear":
            # what lies at a place of the data belongs to the interval before it, as for SciPy
            found = functions["searchsorted"](stop_gradient(x), stop_gradient(points))
            high = functions["clip"](found, 1, n - 1)
            share = (points - x[high - 1]) / (x[high] - x[high - 1])
            return y[high - 1] + (y[high] - y[high - 1]) * column(share, len(y.shape))
        places, values = stop_gradient(x), stop_gradient(points)
        if self._kind in ("nearest", "nearest-up"):
            places = places[:-1] / 2.0 + places[1:] / 2.0
            found = functions["searchsorted"](places, values, "left" if self._kind == "nearest" else "right")
        elif self._kind == "previous":
            found = functions["searchsorted"](places, values, "right") - 1
        else:
            found = functions["searchsorted"](places, values, "left")
        return y[functions["clip"](found, 0, n - 1)]


class interp1d(theirs.interp1d):  # type: ignore[misc]
    """As SciPy's; of traced data and at traced points, differentiable. ``fill_value`` may be traced, too."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return super().__new__(cls) if is_plain(*args, *options.values()) else Line(*args, **options)

    def __init__(self, x: Any, y: Any, *args: Any, **options: Any) -> None:
        super().__init__(x, y, *args, **options)
        self._given = (x, y, *args), options

    def __call__(self, x: Any) -> Any:
        if is_plain(x):
            return super().__call__(x)
        args, options = self._given
        return Line(*args, **options)(x)


# -- a grid ---------------------------------------------------------------------------------------------------------
_METHODS = {"linear": None, "nearest": None, "slinear": 1, "cubic": 3, "quintic": 5}


class Grid:
    """As :class:`scipy.interpolate.RegularGridInterpolator`, of traced values or at traced points."""

    def __init__(
        self, points: Any, values: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = math.nan,
        *, solver: Any = None, solver_args: Any = None,
    ) -> None:  # fmt: skip
        values = _inexact(values, *points)
        if len(points) > len(values.shape):
            raise ValueError(f"There are {len(points)} point arrays, but values has {len(values.shape)} dimensions")
        self.grid = []
        for axis, p in enumerate(points):
            p = floating(p, values)
            if len(p.shape) != 1 or p.shape[0] != values.shape[axis]:
                raise ValueError(f"There are {p.shape[0]} points and {values.shape[axis]} values in dimension {axis}")
            raw = innermost(p)
            if bool((raw[1:] < raw[:-1]).all()) and p.shape[0] > 1:
                p, values = p[::-1], functions["flip"](values, axis)
            elif not bool((raw[1:] > raw[:-1]).all()):
                raise ValueError(f"The points in dimension {axis} must be strictly ascending or descending")
            self.grid.append(p)
        self.values, self.method, self.bounds_error, self.fill_value = values, method, bounds_error, fill_value

    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        method = self.method if method is None else method
        short = method.removesuffix("_legacy")
        if short not in _METHODS:
            known = ", ".join(_METHODS)
            raise UnsupportedError(f"interpolation of traced data isn't supported with method={method!r}; {known} are")
        if nu is not None and _METHODS[short] is None:
            raise ValueError(f"Can only compute derivatives for splines, got method={method!r}")
        xi = _coordinates(xi, len(self.grid), home(self.values))
        if xi.shape[-1] != len(self.grid):
            raise ValueError(f"xi has dimension {xi.shape[-1]}, but the grid has {len(self.grid)}")
        shape = tuple(xi.shape[:-1])
        xi = xi.reshape((-1, len(self.grid)))
        points = [xi[:, axis] for axis in range(len(self.grid))]
        beyond = missing = False
        for p, x in zip(self.grid, points, strict=True):
            beyond = logical_or(beyond, outside(x, p[0], p[-1]))
            missing = logical_or(missing, isnan(x))
        if self.bounds_error and bool(innermost(logical_or(beyond, missing)).any()):
            raise ValueError("One of the requested xi is out of bounds")
        degree = _METHODS[short]
        if degree is not None:
            value = self._spline(points, degree, nu or (0,) * len(points))
        else:
            value = self._linear(points) if short == "linear" else self._nearest(points)
        ndim = len(value.shape)
        if not self.bounds_error and self.fill_value is not None:
            value = where(column(beyond, ndim), self.fill_value, value)
        return where(column(missing, ndim), math.nan, value).reshape(shape + tuple(self.values.shape[len(points) :]))

    def _cells(self, points: list[Any]) -> list[tuple[Any, Any, Any]]:
        """Along each axis the grid lines before and after, and how much of the way lies behind."""
        cells = []
        for p, x in zip(self.grid, points, strict=True):
            if p.shape[0] == 1:
                i = interval(p, x, 0, 0)
                cells.append((i, i, x * 0.0))
                continue
            i = interval(p, x, 0, p.shape[0] - 2)
            cells.append((i, i + 1, (x - p[i]) / (p[i + 1] - p[i])))
        return cells

    def _linear(self, points: list[Any]) -> Any:
        corners = [((i, 1.0 - share), (j, share)) for i, j, share in self._cells(points)]
        return _sum(self.values, corners)

    def _nearest(self, points: list[Any]) -> Any:
        chosen = [where(stop_gradient(share) <= 0.5, i, j) for i, j, share in self._cells(points)]
        return getitem(self.values, tuple(chosen))

    def _spline(self, points: list[Any], degree: int, nu: Sequence[int]) -> Any:
        values, taps = self.values, []
        for axis, (p, x) in enumerate(zip(self.grid, points, strict=True)):
            if p.shape[0] <= degree:
                raise ValueError(
                    f"There are {p.shape[0]} points in dimension {axis}, but at least {degree + 1} are needed"
                )
            fitted = make_interp_spline(p, values, degree, axis=axis)
            values = functions["moveaxis"](fitted.c, 0, axis)
            j = interval(fitted.t, x, degree, fitted.t.shape[0] - degree - 2)
            taps.append([(j - degree + r, w) for r, w in enumerate(basis(fitted.t, x, j, degree, nu[axis]))])
        return _sum(values, taps)


def _sum(values: Any, taps: Sequence[Sequence[tuple[Any, Any]]]) -> Any:
    """The values at all combinations of places along the axes, weighed by the products of their weights."""
    total, ndim = 0.0, len(values.shape) - len(taps) + 1
    for combination in itertools.product(*taps):
        weight = combination[0][1]
        for _, w in combination[1:]:
            weight = weight * w
        total = total + getitem(values, tuple(i for i, _ in combination)) * column(weight, ndim)
    return total


def _coordinates(xi: Any, ndim: int, backend: Any) -> Any:
    """Points as one array, whose last axis has their coordinates."""
    if isinstance(xi, tuple) and len(xi) == 1:
        xi = xi[0]
    if isinstance(xi, tuple):
        parts = functions["broadcast_arrays"](*[floating(x) for x in as_arrays(xi)])
        return functions["stack"](list(parts), axis=-1)
    xi = floating(as_array(xi, backend))
    return xi.reshape((-1, ndim)) if len(xi.shape) == 1 else xi


class RegularGridInterpolator(theirs.RegularGridInterpolator):  # type: ignore[misc]
    """As SciPy's; of traced values (and grid lines) and at traced points, differentiable.

    Of traced data the methods are linear, nearest, slinear, cubic and quintic.
    """

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return super().__new__(cls) if is_plain(*args, *options.values()) else Grid(*args, **options)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._given = args, options

    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        if is_plain(xi):
            return super().__call__(xi, method, nu=nu)
        args, options = self._given
        return Grid(*args, **options)(xi, method, nu=nu)


@numpy_function("scipy.interpolate.interpn")
def interpn(
    points: Any, values: Any, xi: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = math.nan
) -> Any:
    return Grid(points, values, method, bounds_error, fill_value)(xi)

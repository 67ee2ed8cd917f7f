"""Images between their pixels: sums of B-splines at any coordinates, by SciPy's rules at the edge.

Unser, "Splines: a perfect fit for signal and image processing", 1999.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
from numpy.polynomial import polynomial

from ..backend import backend_of
from ..core.primitive import Primitive
from .batching import filled, over_axis
from .declare import fit, operation
from .fft import weighed_ends
from .shape import stack

Shape = tuple[int, ...]


# -- B-splines ----------------------------------------------------------------------------------------------
@functools.cache
def _pieces(order: int, derivative: int) -> tuple[tuple[float, ...], ...]:
    """The polynomials in 0 ≤ t < 1 by which the B-splines around a point weigh it, from the left.

    The slope of a B-spline is the difference of two of the order below, one step apart.
    """
    pieces: list[Any] = [np.ones(1)]
    for _ in range(order):
        longer, at = [], 0.0
        for left, right in itertools.pairwise([np.zeros(1), *pieces, np.zeros(1)]):
            longer.append(polynomial.polyint(polynomial.polysub(right, left), k=at))
            at = float(polynomial.polyval(1.0, longer[-1]))
        pieces = longer
    return tuple(tuple(map(float, polynomial.polyder(p, derivative))) for p in reversed(pieces))


def _horner(coefficients: tuple[float, ...], t: Any) -> Any:
    value = t * 0.0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value = value * t + c
    return value


# -- the edge -------------------------------------------------------------------------------------------------
def _into_range(xp: Any, x: Any, n: int, mode: str) -> tuple[Any, Any]:
    """Coordinates as those within the image where it has the same value; the slope of that, 0 where it is zero."""
    one = x * 0.0 + 1.0
    if mode in ("grid-constant", "nearest"):
        return x, one
    if mode == "constant":
        inside = ((x >= 0.0) & (x <= n - 1.0)).astype(x.dtype)
        return xp.clip(x, 0.0, n - 1.0), inside
    if mode == "grid-wrap":
        return x % float(n), one
    if n == 1:
        return x * 0.0, x * 0.0
    if mode == "wrap":
        period = n - 1.0
        low, high = xp.trunc(-x / period) + 1.0, -xp.trunc(x / period)
        turns = xp.where(x < 0.0, low, xp.where(x > n - 1.0, high, 0.0))
        return x + period * turns, one
    half = n - 1.0 if mode == "mirror" else float(n)  # from one mirror to the next
    start = 0.0 if mode == "mirror" else -0.5
    x = (x - start) % (2.0 * half)
    back = x > half
    return xp.where(back, 2.0 * half - x, x) + start, xp.where(back, -1.0, 1.0).astype(x.dtype)


def _places(xp: Any, i: Any, n: int, mode: str) -> tuple[Any, Any]:
    """Where the coefficients lie that are numbered ``i``; and which of them are there at all, if some aren't."""
    if mode == "grid-constant":
        return xp.clip(i, 0, n - 1), (i >= 0) & (i < n)
    if mode == "nearest" or n == 1:
        return xp.clip(i, 0, n - 1), None
    if mode == "grid-wrap":
        return i % n, None
    if mode in ("reflect", "grid-mirror"):
        i = i % (2 * n)
        return xp.minimum(i, 2 * n - 1 - i), None
    i = i % (2 * n - 2)
    return xp.minimum(i, 2 * n - 2 - i), None


def _taps(xp: Any, x: Any, n: int, order: int, derivative: int, mode: str) -> list[tuple[Any, Any]]:
    """Along one axis: the places of the coefficients that a point needs, and their weights."""
    x, slope = _into_range(xp, x, n, "reflect" if mode == "grid-mirror" else mode)
    shifted = x + 0.5 * (1 - order % 2)
    low = xp.floor(shifted)
    t, start = shifted - low, low.astype(np.int64) - order // 2
    taps = []
    for k, piece in enumerate(_pieces(order, derivative)):
        place, there = _places(xp, start + k, n, mode)
        weight = _horner(piece, t)
        if derivative % 2 or mode == "constant" or (derivative and n == 1):
            weight = weight * slope
        taps.append((place, weight if there is None else weight * there.astype(weight.dtype)))
    return taps


def _all_taps(xp: Any, x: Any, shape: Shape, order: int, derivatives: Shape, mode: str) -> Any:
    """Flat places and weights, for every combination of taps along the axes."""
    taps = [_taps(xp, x[k], n, order, d, mode) for k, (n, d) in enumerate(zip(shape, derivatives, strict=True))]
    steps = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    for combination in itertools.product(*taps):
        place, weight = combination[0][0] * steps[0], combination[0][1]
        for (i, w), step in zip(combination[1:], steps[1:], strict=True):
            place, weight = place + i * step, weight * w
        yield place, weight


# -- the sum ----------------------------------------------------------------------------------------------------
def _of_each(xp: Any, place: Any, shape: Shape, stack: Shape) -> Any:
    """Places in one image as those in the image that belongs to a point, of the ones that lie one after the other."""
    numbers = xp.arange(math.prod(stack)).reshape(stack + (1,) * (place.ndim - len(stack)))
    return place + math.prod(shape) * numbers


def _spline_sum(
    xp: Any, c: Any, x: Any, *, shape: Shape, order: int, derivatives: Shape, mode: str, images: Shape = ()
) -> Any:
    if not any(derivatives) and not images:
        return xp.scipy.ndimage.map_coordinates(c, x, order=order, mode=mode, prefilter=False)
    total, flat = xp.zeros(x.shape[1:], c.dtype), c.reshape(-1)
    if max(derivatives) <= order:
        for place, weight in _all_taps(xp, x, shape, order, derivatives, mode):
            total += (flat[_of_each(xp, place, shape, images)] * weight).astype(c.dtype)
    return total


def _spline_spread(
    xp: Any, g: Any, x: Any, *, shape: Shape, order: int, derivatives: Shape, mode: str, images: Shape = ()
) -> Any:
    out = xp.zeros(math.prod(images + shape), g.dtype)
    if max(derivatives) <= order:
        for place, weight in _all_taps(xp, x, shape, order, derivatives, mode):
            place = _of_each(xp, place, shape, images)
            backend_of((out,)).add_at(out, place.reshape(-1), (g * weight).astype(g.dtype).reshape(-1))
    return out.reshape(images + shape)


def _slopes(g: Any, c: Any, x: Any, derivatives: Shape, params: dict[str, Any]) -> Any:
    up = [tuple(d + (i == k) for i, d in enumerate(derivatives)) for k in range(len(derivatives))]
    return stack(*(g * spline_sum(c, x, derivatives=d, **params) for d in up), axis=0)


def _batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    images = params.get("images", ())
    one_image = prim is spline_sum and not (mapped[0] or images)
    c, x = filled(values, mapped, n)
    x = x.swapaxes(0, 1)
    return prim(values[0], x, **params) if one_image else prim(c, x, **{**params, "images": (n, *images)})


#: The spline with coefficients ``c``, of the shape ``shape``, at coordinates ``x`` (an axis of the image each),
#: differentiated as often along each as ``derivatives`` say; and the transposed operation. With ``images`` there are
#: so many images, along first axes, and the points of each along the same ones.
spline_sum: Primitive = operation(
    "scipy.ndimage.map_coordinates",
    _spline_sum,
    lambda g, ans, c, x, **params: spline_spread(g, x, **params),
    lambda g, ans, c, x, *, derivatives, **params: _slopes(g, c, x, derivatives, params),
    finish=fit,
    batch=_batched,
)
spline_spread: Primitive = operation(
    "spline_spread",
    _spline_spread,
    lambda g, ans, h, x, **params: spline_sum(g, x, **params),
    lambda g, ans, h, x, *, derivatives, **params: _slopes(h, g, x, derivatives, params),
    finish=fit,
    batch=_batched,
)


# -- coefficients -----------------------------------------------------------------------------------------------
#: From so many numbers on, SciPy's coefficients are those of its mode "reflect" to the last bit.
_MANY = 32


def _spline_filter(xp: Any, x: Any, *, order: int, axis: int, mode: str, transposed: bool) -> Any:
    filtered, n = xp.scipy.ndimage.spline_filter1d, x.shape[axis]
    if not transposed:
        return filtered(x, order, axis, x.dtype, mode)
    if mode in ("reflect", "grid-mirror", "nearest") and n < _MANY:
        matrix = filtered(xp.eye(n, dtype=x.dtype), order, 1, x.dtype, mode)
        return xp.moveaxis(xp.tensordot(matrix, x, (1, axis)), 0, axis)
    if mode in ("reflect", "grid-mirror", "nearest", "grid-wrap"):  # each number counts once: the matrix is symmetric
        return filtered(x, order, axis, x.dtype, mode)
    # mirrored at the first and the last number, of which there is one then, and two of the others
    x = weighed_ends(xp, x, axis=axis, first=2.0, inner=1.0, last=2.0)
    x = filtered(x, order, axis, x.dtype, mode)
    return weighed_ends(xp, x, axis=axis, first=0.5, inner=1.0, last=0.5)


#: The coefficients of the spline that goes through the numbers along ``axis``; or the transposed operation.
spline_filter: Primitive = operation(
    "scipy.ndimage.spline_filter1d",
    _spline_filter,
    lambda g, ans, x, *, order, axis, mode, transposed: spline_filter(
        g, order=order, axis=axis, mode=mode, transposed=not transposed
    ),
    linear=True,
    batch=over_axis,
)

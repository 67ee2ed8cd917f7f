"""Integrals of functions known at samples: weighted sums of these."""

from __future__ import annotations

from typing import Any

from ...core.box import spec_of
from ...numpy.creation import as_arrays
from ...numpy.frontend import functions, numpy_function
from ...ops import elementwise as e


def _moved(a: Any, axis: int, to: int) -> Any:
    return functions["moveaxis"](a, axis, to)


def _joined(first: Any, rest: Any) -> Any:
    return functions["concatenate"]([first, rest], axis=-1)


def _samples(y: Any, x: Any, dx: Any, axis: int, *others: Any) -> tuple[Any, ...]:
    """``y`` with its axis last, the spacings along it, and the ``others`` as arrays beside them.

    The spacings are an array along the last axis if ``x`` is given, else ``dx``.
    """
    y, *rest = as_arrays([y, *([] if x is None else [x]), *others])
    n = spec_of(y).shape[axis]
    if x is None:
        return (_moved(y, axis, -1), dx, *rest)
    x, *rest = rest
    have = spec_of(x)
    if have.ndim != 1 and have.ndim != spec_of(y).ndim:
        raise ValueError("If given, shape of x must be 1-D or the same as y.")
    x = x if have.ndim == 1 else _moved(x, axis, -1)
    if spec_of(x).shape[-1] != n:
        raise ValueError("If given, length of x along axis must be the same as y.")
    return (_moved(y, axis, -1), functions["diff"](x), *rest)


def _ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient, 0 where the denominator is: points that coincide span no area."""
    zero = e.equal(denominator, 0.0)
    return e.where(zero, 0.0, numerator / e.where(zero, 1.0, denominator))


@numpy_function("scipy.integrate.trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    return functions["trapezoid"](y, x, dx, axis)


@numpy_function("scipy.integrate.cumulative_trapezoid")
def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    if initial is not None and initial != 0:
        raise ValueError("`initial` must be `None` or `0`.")
    y, d = _samples(y, x, dx, axis)
    if not spec_of(y).shape[-1]:
        raise ValueError("At least one point is required along `axis`.")
    areas = functions["cumsum"](d * (y[..., 1:] + y[..., :-1]) * 0.5, axis=-1)
    if initial is not None:
        areas = _joined(functions["zeros_like"](y[..., :1], areas.dtype), areas)
    return _moved(areas, -1, axis)


# -- Simpson's rule -----------------------------------------------------------------------------------
@numpy_function("scipy.integrate.simpson")
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """As :func:`scipy.integrate.simpson`; differentiable.

    Of an even number of samples the last interval is integrated by the parabola through the last three
    (Cartwright, J. Math. Sci. Math. Educ. 12, 2017, eq. 8).
    """
    y, d = _samples(y, x, dx, axis)
    n = spec_of(y).shape[-1]
    if n == 2:
        return 0.5 * (d if x is None else d[..., 0]) * (y[..., 0] + y[..., 1])
    whole = n - 1 + n % 2  # so many samples are the ends and middles of pairs of intervals
    left, middle, right = y[..., : whole - 2 : 2], y[..., 1 : whole - 1 : 2], y[..., 2:whole:2]
    if x is None:
        total = functions["sum"](left + 4.0 * middle + right, axis=-1) * (dx / 3.0)
        return total if n % 2 or not n else total + (5.0 * y[..., -1] + 8.0 * y[..., -2] - y[..., -3]) * (dx / 12.0)
    h0, h1 = d[..., : whole - 2 : 2], d[..., 1 : whole - 1 : 2]
    both, ratio = h0 + h1, _ratio(h0, h1)
    middles = middle * (both * _ratio(both, h0 * h1))
    weighted = left * (2.0 - _ratio(1.0, ratio)) + middles + right * (2.0 - ratio)
    total = functions["sum"](both * weighted / 6.0, axis=-1)
    if n % 2 or not n:
        return total
    h0, h1 = d[..., -2], d[..., -1]
    return (
        total
        + _ratio(h1 * (2.0 * h1 + 3.0 * h0), 6.0 * (h0 + h1)) * y[..., -1]
        + _ratio(h1 * (h1 + 3.0 * h0), 6.0 * h0) * y[..., -2]
        - _ratio(h1 * h1 * h1, 6.0 * h0 * (h0 + h1)) * y[..., -3]
    )


@numpy_function("scipy.integrate.cumulative_simpson")
def cumulative_simpson(y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """As :func:`scipy.integrate.cumulative_simpson`; differentiable.

    Each interval is integrated by the parabola through its ends and a neighbour: the next sample for the
    intervals of even number, the one before for the others and the last (Cartwright, J. Math. Sci. Math.
    Educ. 12, 2017, eq. 8).
    """
    if len(spec_of(as_arrays([y])[0]).shape) == 0:
        raise ValueError(f"`axis={axis}` is not valid for `y` with `y.ndim=0`.")
    y, d, *first = _samples(y, x, dx, axis, *([] if initial is None else [initial]))
    if x is None and spec_of(dx).shape:  # a spacing for each row
        d = _moved(dx, axis, -1)
    n = spec_of(y).shape[-1]
    if n < 3:
        areas = functions["cumsum"](d * (y[..., 1:] + y[..., :-1]) * 0.5, axis=-1)
    else:
        if x is not None and (e.stop_gradient(d) <= 0.0).any():
            raise ValueError("Input x must be strictly increasing.")
        rule = _with_next_of_equals if x is None else _with_next
        ahead, behind = rule(y, d), rule(y[..., ::-1], d if x is None else d[..., ::-1])[..., ::-1]
        pairs = (n - 1) // 2
        both = functions["stack"]([ahead[..., : 2 * pairs : 2], behind[..., : 2 * pairs : 2]], axis=-1)
        parts = functions["reshape"](both, (*spec_of(both).shape[:-2], 2 * pairs))
        if n % 2 == 0:
            parts = _joined(parts, behind[..., -1:])
        areas = functions["cumsum"](parts, axis=-1)
    if first:
        start = _moved(first[0], axis, -1) if spec_of(first[0]).shape else first[0]
        start = functions["broadcast_to"](start, (*spec_of(y).shape[:-1], 1))
        areas = _joined(start, areas + start)
    return _moved(areas, -1, axis)


def _with_next(y: Any, d: Any) -> Any:
    """The integral over each interval but the last, of the parabola through its ends and the sample after it."""
    h, after = d[..., :-1], d[..., 1:]
    ratio = h / (h + after)
    other = ratio * h / after
    return h / 6.0 * ((3.0 - ratio) * y[..., :-2] + (3.0 + other + ratio) * y[..., 1:-1] - other * y[..., 2:])


def _with_next_of_equals(y: Any, h: Any) -> Any:
    return h / 3.0 * (1.25 * y[..., :-2] + 2.0 * y[..., 1:-1] - 0.25 * y[..., 2:])


@numpy_function("scipy.integrate.romb")
def romb(y: Any, dx: Any = 1.0, axis: int = -1, show: bool = False) -> Any:
    """As :func:`scipy.integrate.romb`; differentiable. Nothing is shown for traced arrays."""
    y, _ = _samples(y, None, dx, axis)
    step = intervals = spec_of(y).shape[-1] - 1
    if intervals < 1 or intervals & (intervals - 1):
        raise ValueError("Number of samples must be one plus a non-negative power of 2.")
    h = dx * float(intervals)
    row = [(y[..., 0] + y[..., -1]) * 0.5 * h]
    while step > 1:
        new = [0.5 * (row[0] + h * functions["sum"](y[..., step // 2 :: step], axis=-1))]
        for j, before in enumerate(row, start=1):  # Richardson's extrapolation
            new.append(new[-1] + (new[-1] - before) / (4.0**j - 1.0))
        row, h, step = new, h * 0.5, step // 2
    return row[-1]

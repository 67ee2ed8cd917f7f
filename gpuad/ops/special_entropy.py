"""Entropies, power transformations, losses, and functions that avoid cancellation."""

from __future__ import annotations

import math
from typing import Any

from ..core.primitive import Binary, Primitive, Unary
from .batching import elementwise
from .declare import binary, constant, fit, operation, unary
from .elementwise import (
    absolute,
    equal,
    exp,
    hypot,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    power,
    sign,
    sin,
    where,
)
from .special_rules import or_else, zero_at

LN2, LN10 = math.log(2.0), math.log(10.0)
DEGREE = math.pi / 180.0

# -- under SciPy's names ----------------------------------------------------------------------------
cbrt: Unary = unary("scipy.special.cbrt", lambda g, ans, x: g / (3.0 * ans * ans), plain=False, scalar="cbrt({0})")
exp2: Unary = unary("scipy.special.exp2", lambda g, ans, x: g * ans * LN2, plain=False, scalar="exp2({0})")
exp10: Unary = unary("scipy.special.exp10", lambda g, ans, x: g * ans * LN10, plain=False)
expm1: Unary = unary("scipy.special.expm1", lambda g, ans, x: g * exp(x), plain=False, scalar="expm1({0})")
log1p_: Unary = unary("scipy.special.log1p", lambda g, ans, x: g / (x + 1.0), plain=False, scalar="log1p({0})")
cosm1: Unary = unary("scipy.special.cosm1", lambda g, ans, x: -g * sin(x), plain=False)
sindg: Unary = unary("scipy.special.sindg", lambda g, ans, x: g * DEGREE * cosdg(x), plain=False)
cosdg: Unary = unary("scipy.special.cosdg", lambda g, ans, x: g * -DEGREE * sindg(x), plain=False)
tandg: Unary = unary("scipy.special.tandg", lambda g, ans, x: g * DEGREE * (1.0 + ans * ans), plain=False)
cotdg: Unary = unary("scipy.special.cotdg", lambda g, ans, x: g * -DEGREE * (1.0 + ans * ans), plain=False)
round_ = constant("scipy.special.round", batch=elementwise)
powm1: Binary = binary(
    "scipy.special.powm1",
    lambda g, ans, x, y: g * y * power(x, y - 1.0),
    lambda g, ans, x, y: g * (ans + 1.0) * log(where(equal(x, 0.0), 1.0, x)),
    or_else("powm1", lambda xp, x, y: xp.where(x > 0.0, xp.expm1(y * xp.log(xp.abs(x))), x**y - 1.0)),
    plain=False,
)


# -- (exp(x) - 1) / x, and what its derivatives are made of ------------------------------------------------
#: Below this, the recurrence would cancel.
_NEAR = 1.0


def _exprel_moment(xp: Any, x: Any, *, order: int) -> Any:
    x = xp.asarray(x)
    near = xp.abs(x) < _NEAR
    inner, outer = xp.where(near, x, xp.zeros_like(x)), xp.where(near, xp.ones_like(x), x)
    series = xp.zeros_like(x)
    for n in range(17 + order, -1, -1):  # Σ x^n / (n! (n + order + 1)): that of exp, with integrated powers
        series = series * (inner / float(n + 1)) + 1.0 / (n + order + 1.0)
    power_of_e = xp.exp(outer)
    moment = xp.expm1(outer) / outer
    for k in range(1, order + 1):
        moment = (power_of_e - k * moment) / outer
    return xp.where(near, series, moment)


#: ∫ t^order exp(x t) dt from 0 to 1: the derivative of that order of ``exprel``.
exprel_moment: Primitive = operation(
    "exprel_moment",
    _exprel_moment,
    lambda g, ans, x, *, order: g * exprel_moment(x, order=order + 1),
    finish=fit,
    elementwise=True,
)
exprel: Unary = unary("scipy.special.exprel", lambda g, ans, x: g * exprel_moment(x, order=1), plain=False)

# -- entropies --------------------------------------------------------------------------------------


def _quotient(x: Any, y: Any) -> Any:
    """``x / y``, and 0 for 0 / 0."""
    return zero_at(logical_and(equal(x, 0.0), equal(y, 0.0)), lambda x, y: x / y, x, y)


def _log_quotient(xp: Any, x: Any, y: Any) -> Any:
    quotient = x / y
    plain = xp.logical_and(quotient > 0.0, xp.isfinite(quotient))
    return xp.where(plain, xp.log(xp.where(plain, quotient, 1.0)), xp.log(x) - xp.log(y))


#: log(x / y), where the quotient overflows too.
log_quotient: Binary = binary(
    "log_quotient", lambda g, ans, x, y: g / x, lambda g, ans, x, y: -g / y, _log_quotient, plain=False
)

xlogy: Binary = binary(
    "scipy.special.xlogy",
    lambda g, ans, x, y: g * log(y),
    lambda g, ans, x, y: g * _quotient(x, y),
    plain=False,
    scalar="xlogy({0}, {1})",
)
xlog1py: Binary = binary(
    "scipy.special.xlog1py",
    lambda g, ans, x, y: g * log1p(y),
    lambda g, ans, x, y: g * _quotient(x, 1.0 + y),
    plain=False,
    scalar="xlog1py({0}, {1})",
)
entr: Unary = unary("scipy.special.entr", lambda g, ans, x: g * (-1.0 - log(x)), plain=False, scalar="entr({0})")
rel_entr: Binary = binary(
    "scipy.special.rel_entr",
    lambda g, ans, x, y: g * (log_quotient(x, y) + 1.0),
    lambda g, ans, x, y: -g * _quotient(x, y),
    plain=False,
)
kl_div: Binary = binary(
    "scipy.special.kl_div",
    lambda g, ans, x, y: g * log_quotient(x, y),
    # 1 - x / y, the difference taken first
    lambda g, ans, x, y: (
        g * where(logical_and(equal(x, 0.0), equal(y, 0.0)), 1.0, (y - x) / where(equal(y, 0.0), 1.0, y))
    ),
    plain=False,
)

# -- losses -----------------------------------------------------------------------------------------
huber: Binary = binary(
    "scipy.special.huber",
    lambda g, ans, delta, r: g * where(less_equal(absolute(r), delta), 0.0, absolute(r) - delta),
    lambda g, ans, delta, r: g * where(less_equal(absolute(r), delta), r, delta * sign(r)),
    plain=False,
)


def _pseudo_huber_slope(delta: Any, r: Any) -> Any:
    # delta (s - 1)² / s for s = sqrt(1 + (r / delta)²), in which nothing cancels or overflows
    h = hypot(delta, r)
    h = where(equal(h, 0.0), 1.0, h)
    q = r / (h + delta)
    return r * q * (q * (r / h))


pseudo_huber: Binary = binary(
    "scipy.special.pseudo_huber",
    lambda g, ans, delta, r: g * _pseudo_huber_slope(delta, r),
    lambda g, ans, delta, r: g * r * zero_at(equal(hypot(delta, r), 0.0), lambda d, r: d / hypot(d, r), delta, r),
    plain=False,
)

# -- power transformations --------------------------------------------------------------------------


def _boxcox_slope(lmbda: Any, logarithm: Any, ans: Any, weighted: Any) -> Any:
    """The derivative of ``(x**lmbda - 1) / lmbda`` in ``lmbda``; ``weighted`` is ``x**lmbda * log(x)``."""
    u = lmbda * logarithm
    near = less(absolute(u), 1.0)
    logarithm = where(near, logarithm, 0.0)
    series = logarithm * logarithm * exprel_moment(where(near, u, 0.0), order=1)
    return where(near, series, (weighted - ans) / where(near, 1.0, lmbda))


def _slope_at(x: Any, lmbda: Any, ans: Any) -> Any:
    return _boxcox_slope(lmbda, log(x), ans, xlogy(power(x, lmbda), x))


def _slope_at_1p(x: Any, lmbda: Any, ans: Any) -> Any:
    logarithm = log1p(x)
    return _boxcox_slope(lmbda, logarithm, ans, xlog1py(exp(lmbda * logarithm), x))


boxcox: Binary = binary(
    "scipy.special.boxcox",
    lambda g, ans, x, lmbda: g * power(x, lmbda - 1.0),
    lambda g, ans, x, lmbda: g * _slope_at(x, lmbda, ans),
    plain=False,
)
boxcox1p: Binary = binary(
    "scipy.special.boxcox1p",
    lambda g, ans, x, lmbda: g * exp((lmbda - 1.0) * log1p(x)),
    lambda g, ans, x, lmbda: g * _slope_at_1p(x, lmbda, ans),
    plain=False,
)
inv_boxcox: Binary = binary(
    "scipy.special.inv_boxcox",
    lambda g, ans, y, lmbda: g * power(ans, 1.0 - lmbda),
    lambda g, ans, y, lmbda: -g * power(ans, 1.0 - lmbda) * _slope_at(ans, lmbda, y),
    plain=False,
)
inv_boxcox1p: Binary = binary(
    "scipy.special.inv_boxcox1p",
    lambda g, ans, y, lmbda: g * exp((1.0 - lmbda) * log1p(ans)),
    lambda g, ans, y, lmbda: -g * exp((1.0 - lmbda) * log1p(ans)) * _slope_at_1p(ans, lmbda, y),
    plain=False,
)

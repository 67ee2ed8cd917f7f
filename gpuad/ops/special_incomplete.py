"""The incomplete gamma and beta functions, with derivatives in all their arguments.

Those in x are the densities. Those in the parameters are integrals, of the density times how its logarithm
moves: ∂P(a, x)/∂a = ∫ p(a, t) (log t - ψ(a)) dt from 0 to x. That factor changes its sign once, and the integral
from 0 to ∞ vanishes, so the side is taken on which all is of one sign: nothing cancels. The recurrences
DLMF 8.8.5 and 8.17.20 lead from small parameters, where the integrand has a long tail, to moderate ones, without
cancellation too. What remains is smooth on a logarithmic scale, and Gauss and Legendre's rule takes it to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.primitive import Binary, Primitive
from .declare import binary, fit, operation
from .elementwise import log
from .special_gamma import compute_psi_rise, psi, psi_rise
from .special_rules import arrays_of_one_dtype, horner, of_number, or_else, refuse

#: So many steps of a recurrence: parameters are at least this in the integrals.
_STEPS = 10
#: Where the integrand is exp(-36) of what it was at its start, the integral is cut off.
_CUT = 36.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
#: Those of Gauss and Legendre's rule on [0, 1].
_RULE = [(0.5 + 0.5 * float(x), 0.5 * float(w)) for x, w in zip(_NODES, _WEIGHTS, strict=True)]


# -- densities: powers of large parameters would lose digits, so large factors are taken out first ------------
def _log1p_less(xp: Any, u: Any) -> Any:
    """``log(1 + u) - u``, also for small ``u``: 2 artanh(z) - u with z = u / (2 + u), and 2 z - u = -u z."""
    z = u / (2.0 + u)
    w = z * z
    series = horner([1.0 / (2 * k + 3) for k in range(12)], w)
    return xp.where(xp.abs(u) < 0.4, 2.0 * z * w * series - u * z, xp.log1p(u) - u)


#: B_2k / (2k (2k - 1)), the coefficients of Stirling's series: DLMF 5.11.1.
_STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156]
_LARGE = 15.0


def _stirling(a: Any) -> Any:
    """``gammaln(a)`` less its leading terms, for large ``a``."""
    return horner(_STIRLING, 1.0 / (a * a)) / a


def _gamma_density(xp: Any, a: Any, x: Any) -> Any:
    a, x = arrays_of_one_dtype(xp, a, x)
    special = xp.scipy.special
    small = xp.exp(special.xlogy(a - 1.0, x) - x - special.gammaln(a))
    large = xp.logical_and(a > _LARGE, x > 0.0)
    b, y = xp.where(large, a, _LARGE), xp.where(large, x, _LARGE)
    exponent = b * _log1p_less(xp, (y - b) / b) - _stirling(b)
    far = xp.abs(y - b) > 0.4 * b
    exponent = xp.where(far, b * xp.log(y / b) - (y - b) - _stirling(b), exponent)
    return xp.where(large, xp.sqrt(b * (0.5 / math.pi)) / y * xp.exp(exponent), small)


#: x^(a-1) exp(-x) / Γ(a)
gamma_density: Binary = binary(
    "gamma_density",
    lambda g, ans, a, x: g * ans * (log(x) - of_number(psi, a)),
    lambda g, ans, a, x: g * (ans * (a - 1.0) / x - ans),
    _gamma_density,
    plain=False,
)


def _beta_density(xp: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    a, b, x, y = arrays_of_one_dtype(xp, a, b, x, y)
    special = xp.scipy.special
    # Of x and y = 1 - x the smaller one is exact.
    log_x = xp.where(y < 0.5, special.xlog1py(a - 1.0, -xp.minimum(y, 0.5)), special.xlogy(a - 1.0, x))
    log_y = xp.where(x < 0.5, special.xlog1py(b - 1.0, -xp.minimum(x, 0.5)), special.xlogy(b - 1.0, y))
    small = xp.exp(log_x + log_y - special.betaln(a, b))
    large = (a > _LARGE) & (b > _LARGE) & (x > 0.0) & (y > 0.0)
    a, b, x, y = (xp.where(large, v, fill) for v, fill in ((a, _LARGE), (b, _LARGE), (x, 0.5), (y, 0.5)))
    # x is compared with a / (a + b), y with b / (a + b); the linear terms of the two logarithms cancel.
    off = x * b - y * a
    exponent = _stirling(a + b) - _stirling(a) - _stirling(b)
    for c, u, v in ((a, off / a, x), (b, -off / b, y)):
        far = c * xp.log(v * (a + b) / c) - c * u
        exponent = exponent + xp.where(xp.abs(u) < 0.4, c * _log1p_less(xp, u), far)
    return xp.where(large, xp.sqrt(a / (a + b) * b * (0.5 / math.pi)) / (x * y) * xp.exp(exponent), small)


#: x^(a-1) y^(b-1) / B(a, b) for y = 1 - x, which moves with x: the derivative in x is the whole one
beta_density: Primitive = operation(
    "beta_density",
    _beta_density,
    lambda g, ans, a, b, x, y: g * ans * (log(x) + psi_rise(a, b)),
    lambda g, ans, a, b, x, y: g * ans * (log(y) + psi_rise(b, a)),
    lambda g, ans, a, b, x, y: g * ans * ((a - 1.0) / x - (b - 1.0) / y),
    None,
    finish=fit,
    elementwise=True,
)


# -- derivatives in the parameters ------------------------------------------------------------------
Height = Callable[[Any], tuple[Any, Any]]


def _integral(xp: Any, height: Height, slope: Any, curvature: Any, factor: Callable[[Any], Any]) -> Any:
    """∫ exp(-height(s)) factor(s) ds from 0 to where the height is ``_CUT``.

    ``height`` gives values and slopes; it is convex, and at 0 it is 0 and has this slope and curvature.
    """
    end = 2.0 * _CUT / (slope + xp.sqrt(slope * slope + 2.0 * _CUT * curvature))
    for _ in range(6):  # Newton's iteration
        h, dh = height(end)
        end = end + (_CUT - h) / dh
    total = 0.0 * end
    for node, weight in _RULE:
        s = end * node
        total = total + weight * xp.exp(-height(s)[0]) * factor(s)
    return end * total


def _expm1_less(xp: Any, u: Any) -> tuple[Any, Any]:
    """``exp(u) - 1 - u`` and ``exp(u) - 1``, also for small ``u``."""
    e = xp.expm1(u)
    return xp.where(xp.abs(u) < 0.1, u * u * horner([1.0 / math.factorial(k + 2) for k in range(8)], u), e - u), e


def _psi_over(xp: Any, a: Any, x: Any) -> Any:
    """``ψ(a) - log(x)``, also where both are large."""
    b = xp.maximum(a, _LARGE)
    near = xp.abs(x - b) < 0.4 * b
    logarithm = xp.where(near, -xp.log1p(xp.where(near, x - b, 0.0 * x) / b), xp.log(b / x))
    w = 1.0 / (b * b)
    series = horner([-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760], w) * w
    return xp.where(a >= _LARGE, logarithm - 0.5 / b + series, xp.scipy.special.psi(a) - xp.log(x))


def _gamma_slope(xp: Any, a: Any, x: Any) -> Any:
    a, x = arrays_of_one_dtype(xp, a, x)
    given, x = x, xp.where(x > 0.0, x, 1.0 + 0.0 * a)
    below = _psi_over(xp, a + 1.0, x)  # ψ(a + 1) - log(x)
    left = below > 0.0
    # With t = x exp(s), s < 0 on the left: first the recurrence in a there, then the integral.
    term, total, rise = 1.0 / a, 0.0 * x, below
    y = xp.minimum(x, a + 1.0)  # which x is on the left, where this counts
    for n in range(_STEPS):
        total = total + term * rise
        term = term * y / (a + (n + 1.0))
        rise = rise + 1.0 / (a + (n + 1.0)) if n < _STEPS - 1 else rise
    term = term * (a + float(_STEPS))
    sign = xp.where(left, -1.0 + 0.0 * x, 1.0 + 0.0 * x)
    c = xp.where(left, a + float(_STEPS), a)
    offset = xp.where(left, rise, 1.0 / a - below)

    def height(s: Any) -> tuple[Any, Any]:
        u = sign * s
        less, e = _expm1_less(xp, u)
        return x * less + (x - c) * u, sign * (x * e + (x - c))

    rest = _integral(xp, height, sign * (x - c), x, lambda s: offset + s)
    return xp.where(given > 0.0, x * xp.where(left, total + term * rest, rest), 0.0 * x)


#: -(∂P/∂a) / (∂P/∂x) for P = gammainc(a, x): how x moves with a where P stays.
gamma_slope: Binary = binary(
    "gamma_slope",
    refuse("gammainc", "a", "the second derivative in a isn't known to gpuad"),
    lambda g, ans, a, x: g * (of_number(psi, a) - log(x) + ans - ans * (a - 1.0) / x),
    _gamma_slope,
    plain=False,
)


def _beta_slope(xp: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    a, b, x, y = arrays_of_one_dtype(xp, a, b, x, y)
    inside = xp.logical_and(x > 0.0, y > 0.0)
    x, y = xp.where(inside, x, 0.5 + 0.0 * x), xp.where(inside, y, 0.5 + 0.0 * y)
    logarithm = xp.where(y < 0.5, xp.log1p(-xp.minimum(y, 0.5)), xp.log(x))
    below = -compute_psi_rise(xp, a + 1.0, b) - logarithm  # ψ(a + 1) - ψ(a + b + 1) - log(x)
    left = below > 0.0
    # On a logistic scale, from x down to 0 on the left, up to 1 on the right; p is the variable that goes to 0.
    p, c = xp.where(left, x, y), xp.where(left, a, b)
    total, term = 0.0 * x, 1.0 / c
    above = b / (a * (a + b)) - below  # log(x) - ψ(a) + ψ(a + b)
    for n in range(_STEPS):
        total = total + term * xp.where(left, below + 1.0 / (a + b + float(n)), above)
        term = term * p * (a + b + float(n)) / (c + (n + 1.0))
        above = above + 1.0 / (a + b + float(n))
        if n < _STEPS - 1:
            below = below + b / ((a + (n + 1.0)) * (a + b + (n + 1.0)))
    c, both = c + float(_STEPS), a + b + float(_STEPS)
    term = term * c
    offset = xp.where(left, below, above)

    def height(s: Any) -> tuple[Any, Any]:
        e = p * xp.expm1(-s)
        return c * s + both * xp.log1p(e), c - both * (e + p) / (1.0 + e)

    def factor(s: Any) -> Any:
        less = xp.log1p(p * xp.expm1(-s))
        return offset + xp.where(left, s + less, -less)

    rest = _integral(xp, height, c - both * p, both * x * y, factor)
    return xp.where(inside, x * y * (total + term * rest), 0.0 * x)


#: -(∂I/∂a) / (∂I/∂x) for I = betainc(a, b, x) and y = 1 - x, which moves with x.
beta_slope: Primitive = operation(
    "beta_slope",
    _beta_slope,
    refuse("betainc", "a", "the second derivatives in a and b aren't known to gpuad"),
    refuse("betainc", "b", "the second derivatives in a and b aren't known to gpuad"),
    lambda g, ans, a, b, x, y: g * (ans * ((b - 1.0) / y - (a - 1.0) / x) - log(x) - psi_rise(a, b)),
    None,
    finish=fit,
    elementwise=True,
)


# -- the functions ----------------------------------------------------------------------------------
gammainc: Binary = binary(
    "scipy.special.gammainc",
    lambda g, ans, a, x: -g * gamma_density(a, x) * gamma_slope(a, x),
    lambda g, ans, a, x: g * gamma_density(a, x),
    plain=False,
)
gammaincc: Binary = binary(
    "scipy.special.gammaincc",
    lambda g, ans, a, x: g * gamma_density(a, x) * gamma_slope(a, x),
    lambda g, ans, a, x: -g * gamma_density(a, x),
    plain=False,
)
gammaincinv: Binary = binary(
    "scipy.special.gammaincinv",
    lambda g, ans, a, p: g * gamma_slope(a, ans),
    lambda g, ans, a, p: g / gamma_density(a, ans),
    plain=False,
)
gammainccinv: Binary = binary(
    "scipy.special.gammainccinv",
    lambda g, ans, a, p: g * gamma_slope(a, ans),
    lambda g, ans, a, p: -g / gamma_density(a, ans),
    plain=False,
)


def _betainc(name: str, sign: float, otherwise: Callable[..., Any]) -> Primitive:
    return operation(
        f"scipy.special.{name}",
        or_else(name, otherwise),
        lambda g, ans, a, b, x: -sign * g * beta_density(a, b, x, 1.0 - x) * beta_slope(a, b, x, 1.0 - x),
        lambda g, ans, a, b, x: sign * g * beta_density(a, b, x, 1.0 - x) * beta_slope(b, a, 1.0 - x, x),
        lambda g, ans, a, b, x: sign * g * beta_density(a, b, x, 1.0 - x),
        finish=fit,
        elementwise=True,
    )


def _betaincinv(name: str, sign: float, otherwise: Callable[..., Any]) -> Primitive:
    return operation(
        f"scipy.special.{name}",
        or_else(name, otherwise),
        lambda g, ans, a, b, p: g * beta_slope(a, b, ans, 1.0 - ans),
        lambda g, ans, a, b, p: -g * beta_slope(b, a, 1.0 - ans, ans),
        lambda g, ans, a, b, p: sign * g / beta_density(a, b, ans, 1.0 - ans),
        finish=fit,
        elementwise=True,
    )


def _other_tail(xp: Any, a: Any, b: Any, x: Any) -> Any:
    return xp.scipy.special.betainc(b, a, 1.0 - x)


def _from_other_tail(xp: Any, a: Any, b: Any, p: Any) -> Any:
    return 1.0 - xp.scipy.special.betaincinv(b, a, p)


betainc, betaincc = _betainc("betainc", 1.0, _other_tail), _betainc("betaincc", -1.0, _other_tail)
betaincinv = _betaincinv("betaincinv", 1.0, _from_other_tail)
betainccinv = _betaincinv("betainccinv", -1.0, _from_other_tail)

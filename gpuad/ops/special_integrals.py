"""Exponential, trigonometric and elliptic integrals, the dilogarithm, Lambert's W, hypergeometric functions.

Derivatives: DLMF 6.2, 7.2, 4.13, 13.3, 15.5, 16.3, 19.4, 19.25, 22.13, 25.12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.primitive import Binary, Primitive, Unary
from .batching import elementwise
from .declare import binary, fit, operation, unary
from .elementwise import absolute, cos, cosh, equal, exp, less, log, maximum, rint, sin, sinc, sinh, sqrt, where
from .special_entropy import exprel
from .special_rules import horner, is_complex, or_else, refuse

PI = math.pi


def _sum(g: Sequence[Any], slopes: Sequence[Any]) -> Any:
    """The cotangent of the argument of a function with several results; ``None`` stands for one that nobody used."""
    return sum(h * slope() for h, slope in zip(g, slopes, strict=True) if h is not None)


# -- exponential, sine and cosine integrals ---------------------------------------------------------------
exp1: Unary = unary("scipy.special.exp1", lambda g, ans, x: -g * exp(-x) / x, plain=False)
expi: Unary = unary("scipy.special.expi", lambda g, ans, x: g * exp(x) / x, plain=False)


def _expn_slope(n: Any, x: Any, ans: Any) -> Any:
    return where(equal(n, 0), -ans * (1.0 + 1.0 / x), -expn(maximum(n - 1, 0), x))


expn: Binary = binary(
    "scipy.special.expn",
    refuse("expn", "n", "it is an integer"),
    lambda g, ans, n, x: g * _expn_slope(n, x, ans),
    plain=False,
)


def _sine_quotient(x: Any) -> Any:
    """``sin(x) / x``, smooth at 0."""
    near = less(absolute(x), 1.0)
    return where(near, sinc(where(near, x, 0.0) * (1.0 / PI)), sin(x) / where(near, 1.0, x))


def _sinh_quotient(x: Any) -> Any:
    return sinh(x) / x if is_complex(x) else 0.5 * (exprel(x) + exprel(-x))


sici: Primitive = operation(
    "scipy.special.sici",
    None,
    lambda g, ans, x: _sum(g, (lambda: _sine_quotient(x), lambda: cos(x) / x)),
    finish=fit,
    batch=elementwise,
)
shichi: Primitive = operation(
    "scipy.special.shichi",
    None,
    lambda g, ans, x: _sum(g, (lambda: _sinh_quotient(x), lambda: cosh(x) / x)),
    finish=fit,
    batch=elementwise,
)
fresnel: Primitive = operation(
    "scipy.special.fresnel",
    None,
    lambda g, ans, x: _sum(g, (lambda: sin(PI / 2.0 * x * x), lambda: cos(PI / 2.0 * x * x))),
    finish=fit,
    batch=elementwise,
)


# -- dilogarithm and Lambert's W --------------------------------------------------------------------------
def _spence_slope(x: Any) -> Any:
    # log(x) / (1 - x), and near 1 its series
    near = less(absolute(x - 1.0), 0.03)
    t = 1.0 - where(near, x, 1.0)
    return where(near, -horner([1.0 / (k + 1.0) for k in range(12)], t), log(x) / where(near, 1.0, 1.0 - x))


spence: Unary = unary("scipy.special.spence", lambda g, ans, x: g * _spence_slope(x), plain=False)
lambertw: Primitive = operation(
    "scipy.special.lambertw",
    lambda xp, z, k, *, tol: xp.scipy.special.lambertw(z, k, tol),
    lambda g, ans, z, k, *, tol: g * exp(-ans) / (1.0 + ans),
    refuse("lambertw", "k", "it is an integer"),
    finish=fit,
    elementwise=True,
)
wrightomega: Unary = unary("scipy.special.wrightomega", lambda g, ans, z: g * ans / (1.0 + ans), plain=False)


# -- complete elliptic integrals ----------------------------------------------------------------------------
#: Squares of (2n - 1)!! / (2n)!!: K = π/2 Σ c_n m^n, E = π/2 Σ c_n m^n / (1 - 2n).
_SQUARES = [(math.comb(2 * n, n) / 4.0**n) ** 2 for n in range(18)]
_OF_K = [PI / 2.0 * n * c for n, c in enumerate(_SQUARES)][1:]
_OF_E = [PI / 2.0 * n * c / (1.0 - 2.0 * n) for n, c in enumerate(_SQUARES)][1:]


def _near_zero(m: Any, coefficients: list[float], far: Any) -> Any:
    """A quotient by ``m``, ``far(m)``; near 0, where that cancels, the series."""
    near = less(absolute(m), 0.1)
    return where(near, horner(coefficients, where(near, m, 0.0)), far(where(near, 0.5, m)))


def _ellipk_slope(m: Any) -> Any:
    return _near_zero(m, _OF_K, lambda m: (ellipe(m) - (1.0 - m) * ellipk(m)) / (2.0 * m * (1.0 - m)))


def _ellipe_slope(m: Any) -> Any:
    return _near_zero(m, _OF_E, lambda m: (ellipe(m) - ellipk(m)) / (2.0 * m))


def _ellipkm1_slope(p: Any) -> Any:
    # of K(1 - p); in terms of p, which may be tiny
    near_one = less(absolute(1.0 - p), 0.1)
    q = where(near_one, 0.5, p)
    far = (ellipe(1.0 - q) - q * ellipkm1(q)) / (-2.0 * q * (1.0 - q))
    return where(near_one, -horner(_OF_K, where(near_one, 1.0 - p, 0.0)), far)


ellipk: Unary = unary("scipy.special.ellipk", lambda g, ans, m: g * _ellipk_slope(m), plain=False)
ellipkm1: Unary = unary("scipy.special.ellipkm1", lambda g, ans, p: g * _ellipkm1_slope(p), plain=False)
ellipe: Unary = unary(
    "scipy.special.ellipe",
    lambda g, ans, m: g * _ellipe_slope(m),
    or_else("ellipe", lambda xp, m: xp.scipy.special.ellipeinc(0.5 * PI, m)),
    plain=False,
)

# -- incomplete ones, and Jacobi's elliptic functions -----------------------------------------------------------
_TWICE = "second derivatives in m aren't known to gpuad"
elliprd: Primitive = operation(
    "scipy.special.elliprd",
    None,
    refuse("elliprd", "x", _TWICE),
    refuse("elliprd", "y", _TWICE),
    refuse("elliprd", "z", _TWICE),
    finish=fit,
    elementwise=True,
)


def _delta(phi: Any, m: Any) -> Any:
    return sqrt(1.0 - m * sin(phi) * sin(phi))


def _in_periods(phi: Any) -> tuple[Any, Any]:
    """How many times π there is in ``phi``, and what remains, in [-π/2, π/2]."""
    k = rint(phi * (1.0 / PI))
    return k, phi - k * PI


def _ellipkinc_slope(phi: Any, m: Any) -> Any:
    """∂F/∂m = 1/2 ∫ sin² / Δ³, which is Carlson's R_D: DLMF 19.25.11 with its arguments exchanged."""
    k, rest = _in_periods(phi)
    s, c = sin(rest), cos(rest)
    return 2.0 * k * _ellipk_slope(m) + s * s * s * elliprd(c * c, 1.0, 1.0 - m * s * s) * (1.0 / 6.0)


def _ellipeinc_slope(phi: Any, m: Any) -> Any:
    """∂E/∂m = -1/2 ∫ sin² / Δ."""
    k, rest = _in_periods(phi)
    s, c = sin(rest), cos(rest)
    return 2.0 * k * _ellipe_slope(m) - s * s * s * elliprd(c * c, 1.0 - m * s * s, 1.0) * (1.0 / 6.0)


ellipkinc: Binary = binary(
    "scipy.special.ellipkinc",
    lambda g, ans, phi, m: g / _delta(phi, m),
    lambda g, ans, phi, m: g * _ellipkinc_slope(phi, m),
    plain=False,
)
ellipeinc: Binary = binary(
    "scipy.special.ellipeinc",
    lambda g, ans, phi, m: g * _delta(phi, m),
    lambda g, ans, phi, m: g * _ellipeinc_slope(phi, m),
    plain=False,
)


def _ellipj_in_u(g: Any, ans: Any, u: Any, m: Any) -> Any:
    sn, cn, dn, _ = ans
    return _sum(g, (lambda: cn * dn, lambda: -sn * dn, lambda: -m * sn * cn, lambda: dn))


def _ellipj_in_m(g: Any, ans: Any, u: Any, m: Any) -> Any:
    # The amplitude is the inverse of F(phi, m) = u, the others are functions of it.
    sn, cn, dn, phi = ans
    moved = -dn * _ellipkinc_slope(phi, m)
    of_dn = (-0.5 * sn * sn - m * sn * cn * moved) / dn
    return _sum(g, (lambda: cn * moved, lambda: -sn * moved, lambda: of_dn, lambda: moved))


#: sn, cn, dn and the amplitude.
ellipj: Primitive = operation("scipy.special.ellipj", None, _ellipj_in_u, _ellipj_in_m, finish=fit, batch=elementwise)

# -- hypergeometric -------------------------------------------------------------------------------------------
_PARAMETER = "no derivative with respect to the parameters is known to gpuad"
hyp0f1: Binary = binary(
    "scipy.special.hyp0f1",
    refuse("hyp0f1", "v", _PARAMETER),
    lambda g, ans, v, z: g * hyp0f1(v + 1.0, z) / v,
    plain=False,
)
hyp1f1: Primitive = operation(
    "scipy.special.hyp1f1",
    None,
    refuse("hyp1f1", "a", _PARAMETER),
    refuse("hyp1f1", "b", _PARAMETER),
    lambda g, ans, a, b, x: g * hyp1f1(a + 1.0, b + 1.0, x) * (a / b),
    finish=fit,
    elementwise=True,
)
hyp2f1: Primitive = operation(
    "scipy.special.hyp2f1",
    None,
    refuse("hyp2f1", "a", _PARAMETER),
    refuse("hyp2f1", "b", _PARAMETER),
    refuse("hyp2f1", "c", _PARAMETER),
    lambda g, ans, a, b, c, z: g * hyp2f1(a + 1.0, b + 1.0, c + 1.0, z) * (a * b / c),
    finish=fit,
    elementwise=True,
)
hyperu: Primitive = operation(
    "scipy.special.hyperu",
    None,
    refuse("hyperu", "a", _PARAMETER),
    refuse("hyperu", "b", _PARAMETER),
    lambda g, ans, a, b, x: g * hyperu(a + 1.0, b + 1.0, x) * -a,
    finish=fit,
    elementwise=True,
)

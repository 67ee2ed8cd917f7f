"""The gamma function and its kin. Derivatives: DLMF 5.2, 5.12, 5.15, 25.11."""

from __future__ import annotations

import math
from typing import Any

from ..core.primitive import Binary, Primitive, Unary
from .batching import elementwise
from .declare import binary, constant, fit, operation, real, unary
from .elementwise import cos, exp, less, log, sin, where
from .special_rules import arrays_of_one_dtype, is_complex, of_number, refuse

PI = math.pi


# -- zeta, of which the polygamma functions are made --------------------------------------------------
#: B_2j / (2j)!: the coefficients of the Euler-Maclaurin formula.
_EULER_MACLAURIN = [
    b / math.factorial(2 * j + 2)
    for j, b in enumerate(
        [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]
    )
]
_TERMS = 10


def _zeta_slope(s: Any, q: Any) -> Any:
    """∂ζ(s, q)/∂s for s > 1, q > 0 by the Euler-Maclaurin formula, DLMF 25.11.7, term by term."""
    total: Any = 0.0
    for k in range(_TERMS):
        logarithm = log(q + float(k))
        total = total - logarithm * exp(-s * logarithm)
    n = q + float(_TERMS)
    logarithm = log(n)
    end = exp(-s * logarithm)  # n^-s
    above = s - 1.0
    total = total - n * end * (logarithm + 1.0 / above) / above - 0.5 * logarithm * end
    # The j-th term is c_j s (s + 1) … (s + 2j) n^(-s - 2j - 1): `rising` is its product, `slope` that one's derivative.
    rising, slope, scale = s, 1.0, end / n
    for j, c in enumerate(_EULER_MACLAURIN):
        total = total + c * scale * (slope - logarithm * rising)
        a, b = s + (2.0 * j + 1.0), s + (2.0 * j + 2.0)
        slope = slope * a * b + rising * (a + b)
        rising = rising * a * b
        scale = scale / (n * n)
    return total


#: Hurwitz's zeta function Σ (q + k)^-s.
zeta: Binary = binary(
    "scipy.special.zeta",
    lambda g, ans, s, q: g * _zeta_slope(s, q),
    lambda g, ans, s, q: -g * s * zeta(s + 1.0, q),
    plain=False,
)


def _trigamma(x: Any) -> Any:
    if is_complex(x):
        refuse("psi", "a complex argument", "SciPy has no trigamma function of one")(None, None)
    return zeta(2.0, x)


#: ψ(x), and its derivatives.
psi: Unary = unary("scipy.special.psi", lambda g, ans, x: g * _trigamma(x), plain=False, scalar="digamma({0})")

polygamma: Primitive = operation(
    "scipy.special.polygamma",
    lambda xp, n, x: xp.scipy.special.polygamma(xp.asarray(n), x),
    refuse("polygamma", "n", "it is an integer"),
    lambda g, ans, n, x: g * polygamma(n + 1, x),
    finish=fit,
    elementwise=True,
)

# -- gamma ------------------------------------------------------------------------------------------
gamma: Unary = unary("scipy.special.gamma", lambda g, ans, x: g * ans * psi(x), plain=False, scalar="gamma({0})")
gammaln: Unary = unary("scipy.special.gammaln", lambda g, ans, x: g * psi(x), plain=False, scalar="gammaln({0})")
loggamma: Unary = unary("scipy.special.loggamma", lambda g, ans, x: g * psi(x), plain=False)
gammasgn = constant("scipy.special.gammasgn", batch=elementwise)


def _rgamma_slope(x: Any, ans: Any) -> Any:
    # It is smooth at the poles of psi; left of 1/2 by reflection: 1/Γ(x) = Γ(1 - x) sin(πx)/π.
    left = less(real(x) if is_complex(x) else x, 0.5)
    y = where(left, x, 0.0)
    reflected = gamma(1.0 - y) * (cos(PI * y) - sin(PI * y) / PI * psi(1.0 - y))
    return where(left, reflected, -ans * psi(where(left, 1.0, x)))


rgamma: Unary = unary("scipy.special.rgamma", lambda g, ans, x: g * _rgamma_slope(x, ans), plain=False)

multigammaln: Primitive = operation(
    "scipy.special.multigammaln",
    lambda xp, a, *, d: xp.scipy.special.multigammaln(a, d),
    lambda g, ans, a, *, d: g * sum(psi(a - 0.5 * j) for j in range(d)),
    finish=fit,
    elementwise=True,
)


# -- zeta of one argument ----------------------------------------------------------------------------
def _riemann_slope(s: Any) -> Any:
    if is_complex(s):
        refuse("zeta", "a complex argument")(None, None)
    # The formula holds left of 1 too, but far left its terms cancel: there by reflection, DLMF 25.4.1,
    # ζ(s) = 2 (2π)^(s - 1) sin(πs/2) Γ(1 - s) ζ(1 - s).
    left = less(s, -2.0)
    t = 1.0 - where(left, s, -2.0)
    half = sin(0.5 * PI * (1.0 - t))
    inner = half * (math.log(2.0 * PI) - psi(t)) + 0.5 * PI * cos(0.5 * PI * (1.0 - t))
    scale = 2.0 * exp(gammaln(t) - t * math.log(2.0 * PI))
    reflected = scale * (inner * zeta(t, 1.0) - half * _zeta_slope(t, 1.0))
    return where(left, reflected, _zeta_slope(where(left, 2.0, s), 1.0))


def _riemann_zeta(xp: Any, s: Any) -> Any:
    hurwitz = xp.scipy.special.zeta
    # CuPy's takes two arguments, always, and is not defined left of 1.
    return hurwitz(s) if getattr(hurwitz, "nin", 1) == 1 else xp.scipy.special.zetac(s) + 1.0


riemann_zeta: Unary = unary("riemann_zeta", lambda g, ans, s: g * _riemann_slope(s), _riemann_zeta, plain=False)


# -- differences of psi: what the derivatives of quotients of gamma functions are ------------------------------
#: B_2k / 2k, the coefficients of ψ(x) ~ log(x) - 1/2x - Σ B_2k / (2k x^2k): DLMF 5.11.2.
_STIRLING = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]
_SHIFT = 10


def compute_psi_rise(xp: Any, a: Any, b: Any) -> Any:
    a, b = arrays_of_one_dtype(xp, a, b)
    c = a + b
    positive = xp.logical_and(a > 0.0, c > 0.0)
    x, y = xp.where(positive, a, 1.0 + 0.0 * a), xp.where(positive, c, 1.0 + 0.0 * c)
    d = xp.where(positive, b, 0.0 * b)
    # ψ(x) = ψ(x + 1) - 1/x up to where the series holds; its terms are subtracted before they are added up.
    total = 0.0 * d
    for k in range(_SHIFT):
        total = total + 1.0 / ((x + float(k)) * (y + float(k)))
    x, y = x + float(_SHIFT), y + float(_SHIFT)
    p, q = 1.0 / (x * x), 1.0 / (y * y)
    difference = (1.0 / x + 1.0 / y) / (x * y)  # (p - q) / d
    total = total + 0.5 / (x * y)
    powers, of_q = difference, q
    for c_k in _STIRLING:
        total = total + c_k * powers
        powers, of_q = p * powers + of_q * difference, of_q * q
    special = xp.scipy.special
    return xp.where(positive, d * total + xp.log1p(d / x), special.psi(c) - special.psi(a))


#: ψ(a + b) - ψ(a), exact also where both are nearly the same.
psi_rise: Binary = binary(
    "psi_rise",
    lambda g, ans, a, b: g * (zeta(2.0, a + b) - of_number(_trigamma, a)),
    lambda g, ans, a, b: g * zeta(2.0, a + b),
    compute_psi_rise,
    plain=False,
)


beta: Binary = binary(
    "scipy.special.beta",
    lambda g, ans, a, b: -g * ans * psi_rise(a, b),
    lambda g, ans, a, b: -g * ans * psi_rise(b, a),
    plain=False,
)
betaln: Binary = binary(
    "scipy.special.betaln",
    lambda g, ans, a, b: -g * psi_rise(a, b),
    lambda g, ans, a, b: -g * psi_rise(b, a),
    plain=False,
)
binom: Binary = binary(
    "scipy.special.binom",
    lambda g, ans, n, k: g * ans * psi_rise(n - k + 1.0, k),
    lambda g, ans, n, k: g * ans * psi_rise(k + 1.0, n - 2.0 * k),
    plain=False,
)
poch: Binary = binary(
    "scipy.special.poch",
    lambda g, ans, z, m: g * ans * psi_rise(z, m),
    lambda g, ans, z, m: g * ans * psi(z + m),
    plain=False,
)

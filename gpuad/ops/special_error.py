"""The error function and its kin. Derivatives: DLMF 7.2, 7.10, and for large arguments 7.12."""

from __future__ import annotations

import math
from typing import Any

from ..core.primitive import Unary
from .declare import real, unary
from .elementwise import absolute, exp, greater, imag, less, logical_and, where
from .special_rules import horner, is_complex

SQRT_PI = math.sqrt(math.pi)
SQRT_2PI = math.sqrt(2.0 * math.pi)

# Results of SciPy's ufuncs may have another dtype than their argument: float16 becomes float32.
erf: Unary = unary(
    "scipy.special.erf", lambda g, ans, x: g * (2.0 / SQRT_PI * exp(-x * x)), plain=False, scalar="erf({0})"
)
erfc: Unary = unary(
    "scipy.special.erfc", lambda g, ans, x: g * (-2.0 / SQRT_PI * exp(-x * x)), plain=False, scalar="erfc({0})"
)
erfi: Unary = unary("scipy.special.erfi", lambda g, ans, x: g * (2.0 / SQRT_PI * exp(x * x)), plain=False)
erfinv: Unary = unary(
    "scipy.special.erfinv", lambda g, ans, x: g * (SQRT_PI / 2.0 * exp(ans * ans)), plain=False, scalar="erfinv({0})"
)
erfcinv: Unary = unary(
    "scipy.special.erfcinv", lambda g, ans, x: g * (-SQRT_PI / 2.0 * exp(ans * ans)), plain=False, scalar="erfcinv({0})"
)


# -- scaled: their derivatives are small differences of large numbers far out, so a series is taken there ------
#: (2n + 1)!!, the coefficients of the asymptotic series of the derivatives (DLMF 7.12.1, term by term).
_SERIES = [float(math.prod(range(1, 2 * n + 2, 2))) for n in range(11)]
#: From here on the series is right to 1e-14.
_FAR = 10.0


def _slope(z: Any, near: Any, sign: float, scale: Any) -> tuple[Any, Any]:
    """``near``, and where ``z`` is large ``scale * t * (1 + 3 t + 15 t² + …)`` with ``t = sign / 2 z²``; and which."""
    far = greater(absolute(z), _FAR)
    z = where(far, z, _FAR)
    t = sign * 0.5 / (z * z)
    return where(far, scale * t * horner(_SERIES, t), near), far


def _recessive(there: Any, factor: Any, z: Any, sign: float) -> Any:
    """``factor * z * exp(sign * z²)`` where ``there`` is true, else 0: what the series leaves out for complex z."""
    z = where(there, z, 0.0)
    return factor * z * exp(sign * (z * z))


def _erfcx_slope(x: Any, ans: Any) -> Any:
    if not is_complex(x):
        # On the left the function is as large as the terms of its derivative.
        right = where(greater(x, 0.0), x, 0.0)
        return _slope(right, 2.0 * x * ans - 2.0 / SQRT_PI, -1.0, 2.0 / SQRT_PI)[0]
    slope, far = _slope(x, 2.0 * x * ans - 2.0 / SQRT_PI, -1.0, 2.0 / SQRT_PI)
    return slope + _recessive(logical_and(far, less(real(x), 0.0)), 4.0, x, 1.0)


def _dawsn_slope(x: Any, ans: Any) -> Any:
    slope, far = _slope(x, 1.0 - 2.0 * x * ans, 1.0, -1.0)
    if not is_complex(x):
        return slope
    above = _recessive(logical_and(far, greater(imag(x), 0.0)), -1j * SQRT_PI, x, -1.0)
    below = _recessive(logical_and(far, less(imag(x), 0.0)), 1j * SQRT_PI, x, -1.0)
    return slope + above + below


def _wofz_slope(z: Any, ans: Any) -> Any:
    slope, far = _slope(z, 2j / SQRT_PI - 2.0 * z * ans, 1.0, -2j / SQRT_PI)
    return slope + _recessive(logical_and(far, less(imag(z), 0.0)), -4.0, z, -1.0) if is_complex(z) else slope


erfcx: Unary = unary("scipy.special.erfcx", lambda g, ans, x: g * _erfcx_slope(x, ans), plain=False)
dawsn: Unary = unary("scipy.special.dawsn", lambda g, ans, x: g * _dawsn_slope(x, ans), plain=False)
wofz: Unary = unary("scipy.special.wofz", lambda g, ans, x: g * _wofz_slope(x, ans), plain=False)


# -- the normal distribution ----------------------------------------------------------------------------------
def _hazard_vjp(g: Any, ans: Any, x: Any) -> Any:
    # -h (h + x). On the left h is close to -x: with u = -x/√2, their sum is -erfcx'(u) / (√2 erfcx(u)).
    left = less(real(x) if is_complex(x) else x, 0.0)
    u = where(left, x, 0.0) * -math.sqrt(0.5)
    e = erfcx(u)
    return -g * ans * where(left, -math.sqrt(0.5) * _erfcx_slope(u, e) / e, ans + where(left, 0.0, x))


#: The derivative of ``log_ndtr``: density over distribution function, which is finite where both underflow.
normal_hazard: Unary = unary(
    "normal_hazard",
    _hazard_vjp,
    lambda xp, x: math.sqrt(2.0 / math.pi) / xp.scipy.special.erfcx(x * -math.sqrt(0.5)),
    plain=False,
)

ndtr: Unary = unary(
    "scipy.special.ndtr", lambda g, ans, x: g * (exp(-0.5 * x * x) * (1.0 / SQRT_2PI)), plain=False, scalar="ndtr({0})"
)
log_ndtr: Unary = unary(
    "scipy.special.log_ndtr", lambda g, ans, x: g * normal_hazard(x), plain=False, scalar="log_ndtr({0})"
)
ndtri: Unary = unary(
    "scipy.special.ndtri", lambda g, ans, x: g * (SQRT_2PI * exp(0.5 * ans * ans)), plain=False, scalar="ndtri({0})"
)
ndtri_exp: Unary = unary("scipy.special.ndtri_exp", lambda g, ans, x: g / normal_hazard(ans), plain=False)

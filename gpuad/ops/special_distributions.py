"""Distribution functions under SciPy's old names: incomplete gamma and beta functions of other arguments.

SciPy computes the values; the derivatives are those of ``special_incomplete``, by the chain rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..core.primitive import Binary, Primitive
from .declare import binary, fit, operation
from .elementwise import floor
from .special_incomplete import beta_density, beta_slope, gamma_density, gamma_slope
from .special_rules import refuse


def _two(name: str, in_first: Callable[..., Any] | None, in_second: Callable[..., Any]) -> Binary:
    """A function of two arguments by its derivatives, functions of both and of the result."""
    return binary(
        f"scipy.special.{name}",
        None if in_first is None else lambda g, ans, p, x: g * in_first(p, x, ans),
        lambda g, ans, p, x: g * in_second(p, x, ans),
        plain=False,
    )


def _three(name: str, *slopes: Callable[..., Any]) -> Primitive:
    def rule(slope: Callable[..., Any]) -> Callable[..., Any]:
        return lambda g, ans, p, q, x: g * slope(p, q, x, ans)

    return operation(f"scipy.special.{name}", None, *map(rule, slopes), finish=fit, elementwise=True)


# -- of gamma distributions -------------------------------------------------------------------------
def _in_shape(a: Any, x: Any) -> Any:
    return -gamma_density(a, x) * gamma_slope(a, x)


def _chi_squared(name: str, tail: float) -> Binary:
    return _two(
        name,
        lambda v, x, ans: (0.5 * tail) * _in_shape(0.5 * v, 0.5 * x),
        lambda v, x, ans: (0.5 * tail) * gamma_density(0.5 * v, 0.5 * x),
    )


def _gamma(name: str, tail: float) -> Primitive:
    return _three(
        name,
        lambda a, b, x, ans: tail * x * gamma_density(b, a * x),
        lambda a, b, x, ans: tail * _in_shape(b, a * x),
        lambda a, b, x, ans: tail * a * gamma_density(b, a * x),
    )


def _whole(k: Any) -> Any:
    return float(math.floor(k)) if type(k) in (int, float) else floor(k)


chdtr, chdtrc = _chi_squared("chdtr", 1.0), _chi_squared("chdtrc", -1.0)
chdtri = _two(
    "chdtri",
    lambda v, p, ans: gamma_slope(0.5 * v, 0.5 * ans),
    lambda v, p, ans: -2.0 / gamma_density(0.5 * v, 0.5 * ans),
)
gdtr, gdtrc = _gamma("gdtr", 1.0), _gamma("gdtrc", -1.0)
# Constant in k but for jumps, as all that count successes.
pdtr = _two("pdtr", None, lambda k, m, ans: -gamma_density(_whole(k) + 1.0, m))
pdtrc = _two("pdtrc", None, lambda k, m, ans: gamma_density(_whole(k) + 1.0, m))


# -- of F distributions: betainc(m/2, n/2, w) with w = m x / (n + m x) -----------------------------------------
def _f_in_x(m: Any, n: Any, x: Any) -> Any:
    total = n + m * x
    return beta_density(0.5 * m, 0.5 * n, m * x / total, n / total) * (m / total) * (n / total)


def _f_in_m(m: Any, n: Any, x: Any) -> Any:
    total = n + m * x
    w, v = m * x / total, n / total
    return beta_density(0.5 * m, 0.5 * n, w, v) * (x * v / total - 0.5 * beta_slope(0.5 * m, 0.5 * n, w, v))


def _f_in_n(m: Any, n: Any, x: Any) -> Any:
    total = n + m * x
    w, v = m * x / total, n / total
    return beta_density(0.5 * m, 0.5 * n, w, v) * (0.5 * beta_slope(0.5 * n, 0.5 * m, v, w) - w / total)


def _f(name: str, tail: float) -> Primitive:
    return _three(
        name,
        lambda m, n, x, ans: tail * _f_in_m(m, n, x),
        lambda m, n, x, ans: tail * _f_in_n(m, n, x),
        lambda m, n, x, ans: tail * _f_in_x(m, n, x),
    )


fdtr, fdtrc = _f("fdtr", 1.0), _f("fdtrc", -1.0)
fdtri = _three(
    "fdtri",
    lambda m, n, p, ans: -_f_in_m(m, n, ans) / _f_in_x(m, n, ans),
    lambda m, n, p, ans: -_f_in_n(m, n, ans) / _f_in_x(m, n, ans),
    lambda m, n, p, ans: 1.0 / _f_in_x(m, n, ans),
)

# -- of counts ----------------------------------------------------------------------------------------
nbdtr, nbdtrc = (
    operation(
        f"scipy.special.{name}",
        None,
        None,
        refuse(name, "n", "it is an integer"),
        lambda g, ans, k, n, p, sign=sign: g * sign * beta_density(n, _whole(k) + 1.0, p, 1.0 - p),
        finish=fit,
        elementwise=True,
    )
    for name, sign in (("nbdtr", 1.0), ("nbdtrc", -1.0))
)

"""Bessel functions of any real order, spherical ones, Airy's and Struve's: derivatives in the argument.

DLMF 10.6, 10.29, 10.51, 9.2, 11.4. Those with respect to the order are refused: no formula for them is both exact
and fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..core.primitive import Binary, Primitive, Unary
from .batching import elementwise
from .declare import binary, fit, operation, unary
from .elementwise import absolute, exp, greater, maximum, power, sign, where
from .special_gamma import rgamma
from .special_rules import is_complex, of_number, or_else, refuse

Slope = Callable[[Any, Any, Any], Any]


def _of_order(
    name: str, slope: Slope, order: str = "v", otherwise: Callable[[Any, int, Any], Any] | None = None
) -> Binary:
    """A function of an order and an argument ``z``; ``slope(v, z, ans)`` is its derivative in ``z``.

    ``otherwise(xp, n, z)`` is that of whole order n where the backend lacks the function.
    """

    def of_whole_order(xp: Any, v: Any, z: Any) -> Any:
        if otherwise is None or not isinstance(v, (int, float)) or v != int(v):
            raise NotImplementedError(
                f"scipy.special.{name} isn't available on this backend"
                + (f" but for a whole number {order}, not an array of them" if otherwise is not None else "")
            )
        return otherwise(xp, int(v), z)

    return binary(
        f"scipy.special.{name}",
        refuse(name, order, "no derivative with respect to the order is known to gpuad"),
        lambda g, ans, v, z: g * slope(v, z, ans),
        or_else(name, of_whole_order),
        plain=False,
    )


def _first_kind(turn: float) -> Callable[[Any, int, Any], Any]:
    """I of whole order, or J."""

    def of_order(xp: Any, n: int, z: Any) -> Any:
        return turn ** max(-n, 0) * z ** abs(n) * _bessel_quotient(xp, z, n=abs(n), turn=turn)

    return of_order


def _second_kind(turn: float) -> Callable[[Any, int, Any], Any]:
    """K of whole order, or Y: by recurrence in the order, which is stable upwards."""

    def of_order(xp: Any, n: int, z: Any) -> Any:
        special = xp.scipy.special
        before, found = (special.k0(z), special.k1(z)) if turn > 0 else (special.y0(z), special.y1(z))
        for k in range(1, abs(n)):
            before, found = found, turn * before + (2.0 * k) / z * found
        return turn ** max(-n, 0) * (found if n else before)

    return of_order


def _only_real(name: str, slope: Slope) -> Slope:
    """``slope``, of a function that isn't holomorphic, for it is scaled with the real or imaginary part."""

    def of_real(v: Any, z: Any, ans: Any) -> Any:
        if is_complex(z):
            refuse(name, "z", "it isn't holomorphic in a complex argument")(None, None)
        return slope(v, z, ans)

    return of_real


# -- of order v ---------------------------------------------------------------------------------------
jv: Binary = _of_order("jv", lambda v, z, ans: 0.5 * (jv(v - 1, z) - jv(v + 1, z)), otherwise=_first_kind(-1.0))
yv: Binary = _of_order("yv", lambda v, z, ans: 0.5 * (yv(v - 1, z) - yv(v + 1, z)), otherwise=_second_kind(-1.0))
yn: Binary = _of_order("yn", lambda n, z, ans: 0.5 * (yn(n - 1, z) - yn(n + 1, z)), "n")
iv: Binary = _of_order("iv", lambda v, z, ans: 0.5 * (iv(v - 1, z) + iv(v + 1, z)), otherwise=_first_kind(1.0))
kv: Binary = _of_order("kv", lambda v, z, ans: -0.5 * (kv(v - 1, z) + kv(v + 1, z)), otherwise=_second_kind(1.0))
kn: Binary = _of_order(
    "kn", lambda n, z, ans: -0.5 * (kn(abs(n - 1), z) + kn(n + 1, z)), "n", otherwise=_second_kind(1.0)
)
hankel1: Binary = _of_order("hankel1", lambda v, z, ans: 0.5 * (hankel1(v - 1, z) - hankel1(v + 1, z)))
hankel2: Binary = _of_order("hankel2", lambda v, z, ans: 0.5 * (hankel2(v - 1, z) - hankel2(v + 1, z)))
jve: Binary = _of_order("jve", _only_real("jve", lambda v, z, ans: 0.5 * (jve(v - 1, z) - jve(v + 1, z))))
yve: Binary = _of_order("yve", _only_real("yve", lambda v, z, ans: 0.5 * (yve(v - 1, z) - yve(v + 1, z))))

# -- scaled: far out their derivatives are small differences, so a series is taken there -----------------------
_FAR = 50.0


def _scaled(v: Any, z: Any, ans: Any, turn: complex, near: Any) -> Any:
    """``near``, and for large ``z`` the derivative of ``z^-1/2 Σ a_k(v) (turn / z)^k``, by ``ans``.

    DLMF 10.40, 10.17.
    """
    far = greater(absolute(z), _FAR + v * v)
    w = 1.0 / where(far, z, _FAR)
    square, term, total, slope = 4.0 * v * v, 1.0, 1.0, 0.5
    for k in range(1, 13):
        term = term * (turn * (0.125 / k)) * (square - (2.0 * k - 1.0) ** 2) * w
        total, slope = total + term, slope + (k + 0.5) * term
    return where(far, -w * slope / total * ans, near)


def _ive_slope(v: Any, z: Any, ans: Any, near: Any) -> Any:
    return _scaled(v, absolute(z), sign(z) * ans, -1.0, near)


ive: Binary = _of_order(
    "ive",
    _only_real(
        "ive",
        lambda v, z, ans: _ive_slope(v, z, ans, 0.5 * (ive(v - 1, z) + ive(v + 1, z)) - sign(z) * ans),
    ),
)
kve: Binary = _of_order("kve", lambda v, z, ans: _scaled(v, z, ans, 1.0, ans - 0.5 * (kve(v - 1, z) + kve(v + 1, z))))
hankel1e: Binary = _of_order(
    "hankel1e",
    lambda v, z, ans: _scaled(v, z, ans, 1j, 0.5 * (hankel1e(v - 1, z) - hankel1e(v + 1, z)) - 1j * ans),
)
hankel2e: Binary = _of_order(
    "hankel2e",
    lambda v, z, ans: _scaled(v, z, ans, -1j, 0.5 * (hankel2e(v - 1, z) - hankel2e(v + 1, z)) + 1j * ans),
)


# -- of orders 0 and 1 ----------------------------------------------------------------------------------
def _bessel_quotient(xp: Any, x: Any, *, n: int, turn: float) -> Any:
    """``I_n(x) / x**n``; with ``turn`` -1 that of J."""
    special, x = xp.scipy.special, xp.asarray(x)
    before, first = (special.i0, special.i1) if turn > 0 else (special.j0, special.j1)
    if n == 0:
        return before(x)
    # The recurrence cancels where x is below n; the quotient itself only needs a value at 0.
    limit, terms = (0.1, 5) if n == 1 else (n + 2.0, n + 20)
    near = xp.abs(x) < limit
    inner, outer = xp.where(near, x, xp.zeros_like(x)), xp.where(near, xp.full_like(x, limit), x)
    t = inner * inner * (0.25 * turn)
    series = xp.ones_like(t)
    for k in range(terms, 0, -1):
        series = 1.0 + series * t * (1.0 / (k * (k + n)))
    found = first(outer) / outer
    if n > 1:
        below = before(outer)
        for k in range(1, n):
            below, found = found, (below - 2.0 * k * found) * turn / (outer * outer)
    return xp.where(near, series * (0.5**n / math.factorial(n)), found)


#: Smooth at 0, where ``i1(x) / x`` isn't defined.
bessel_quotient: Primitive = operation(
    "bessel_quotient",
    _bessel_quotient,
    lambda g, ans, x, *, n, turn: g * x * turn * bessel_quotient(x, n=n + 1, turn=turn),
    finish=fit,
    elementwise=True,
)


def _i1e_slope(x: Any, ans: Any) -> Any:
    inner = where(greater(absolute(x), _FAR + 1.0), 0.0, x)
    near = i0e(x) - sign(x) * ans - exp(-absolute(inner)) * bessel_quotient(inner, n=1, turn=1.0)
    return _ive_slope(1.0, x, ans, near)


j0: Unary = unary("scipy.special.j0", lambda g, ans, x: -g * j1(x), plain=False)
j1: Unary = unary("scipy.special.j1", lambda g, ans, x: g * (j0(x) - bessel_quotient(x, n=1, turn=-1.0)), plain=False)
y0: Unary = unary("scipy.special.y0", lambda g, ans, x: -g * y1(x), plain=False)
y1: Unary = unary("scipy.special.y1", lambda g, ans, x: g * (y0(x) - ans / x), plain=False)
i0: Unary = unary("scipy.special.i0", lambda g, ans, x: g * i1(x), plain=False)
i1: Unary = unary("scipy.special.i1", lambda g, ans, x: g * (i0(x) - bessel_quotient(x, n=1, turn=1.0)), plain=False)
k0: Unary = unary("scipy.special.k0", lambda g, ans, x: -g * k1(x), plain=False)
k1: Unary = unary("scipy.special.k1", lambda g, ans, x: -g * (k0(x) + ans / x), plain=False)
i0e: Unary = unary(
    "scipy.special.i0e", lambda g, ans, x: g * _ive_slope(0.0, x, ans, i1e(x) - sign(x) * ans), plain=False
)
i1e: Unary = unary("scipy.special.i1e", lambda g, ans, x: g * _i1e_slope(x, ans), plain=False)
k0e: Unary = unary("scipy.special.k0e", lambda g, ans, x: g * _scaled(0.0, x, ans, 1.0, ans - k1e(x)), plain=False)
k1e: Unary = unary(
    "scipy.special.k1e", lambda g, ans, x: g * _scaled(1.0, x, ans, 1.0, ans - k0e(x) - ans / x), plain=False
)


# -- spherical ------------------------------------------------------------------------------------------
def _spherical(name: str, sign_below: float, sign_above: float) -> tuple[Primitive, Callable[[Any, Any], Any]]:
    """The primitive, and its derivative in ``z``: the weighted mean of the neighbours, DLMF 10.51."""

    def slope(n: Any, z: Any) -> Any:
        below = max(n - 1, 0) if type(n) is int else maximum(n - 1, 0)
        weight = 1.0 / (2.0 * n + 1.0)
        return (sign_below * n * weight) * prim(below, z) + (sign_above * (n + 1) * weight) * prim(n + 1, z)

    prim = operation(
        f"scipy.special.{name}",
        None,
        refuse(name, "n", "it is an integer"),
        lambda g, ans, n, z: g * slope(n, z),
        finish=fit,
        elementwise=True,
    )
    return prim, slope


#: The primitives, and what ``derivative=True`` gives.
spherical = {
    "spherical_jn": _spherical("spherical_jn", 1.0, -1.0),
    "spherical_yn": _spherical("spherical_yn", 1.0, -1.0),
    "spherical_in": _spherical("spherical_in", 1.0, 1.0),
    "spherical_kn": _spherical("spherical_kn", -1.0, -1.0),
}


# -- Airy's and Struve's ----------------------------------------------------------------------------------
def _airy_vjp(g: Any, ans: Any, z: Any) -> Any:
    a, da, b, db = ans
    slopes = (da, z * a, db, z * b)
    return sum(h * slope for h, slope in zip(g, slopes, strict=True) if h is not None)


airy: Primitive = operation("scipy.special.airy", None, _airy_vjp, finish=fit, batch=elementwise)


def _struve_term(v: Any, x: Any) -> Any:
    return power(0.5 * x, v) * of_number(rgamma, v + 1.5) * (1.0 / math.sqrt(math.pi))


struve: Binary = _of_order(
    "struve", lambda v, x, ans: 0.5 * (struve(v - 1.0, x) - struve(v + 1.0, x) + _struve_term(v, x))
)
modstruve: Binary = _of_order(
    "modstruve", lambda v, x, ans: 0.5 * (modstruve(v - 1.0, x) + modstruve(v + 1.0, x) + _struve_term(v, x))
)

"""Elementwise primitives: NumPy's ufuncs and the like, each with its derivative.

A rule is ordinary code on whatever arrays it gets, so it is differentiable in turn. Its constants are
Python floats: they take the dtype of the array beside them, and NumPy converts an int more slowly.
Derivatives: any table; complex arguments follow the convention of autograd and JAX, by which rules of
holomorphic functions read as they do for real ones (see docs/conventions.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.box import Box, Spec, spec_of
from ..core.cotangent import Chosen
from ..core.primitive import Binary, Primitive, Unary, passes
from ..fused.staging import staged_power
from .batching import elementwise
from .declare import astype, binary, constant, fit, fit_tangent, operation, real, register, unary

LN2, LN10 = math.log(2.0), math.log(10.0)
PI = math.pi


# -- piecewise constant ---------------------------------------------------------------------------
def _constant(name: str, scalar: str) -> Primitive:
    return constant(name, batch=elementwise, scalar=scalar)


equal = _constant("equal", "{0} == {1}")
not_equal = _constant("not_equal", "{0} != {1}")
less = _constant("less", "{0} < {1}")
less_equal = _constant("less_equal", "{0} <= {1}")
greater = _constant("greater", "{0} > {1}")
greater_equal = _constant("greater_equal", "{0} >= {1}")
logical_and = _constant("logical_and", "{0} && {1}")
logical_or = _constant("logical_or", "{0} || {1}")
logical_xor = _constant("logical_xor", "!{0} != !{1}")
logical_not = _constant("logical_not", "!{0}")
isfinite = _constant("isfinite", "isfinite({0})")
isinf = _constant("isinf", "isinf({0})")
isnan = _constant("isnan", "isnan({0})")
signbit = _constant("signbit", "signbit({0})")
floor = _constant("floor", "floor({0})")
ceil = _constant("ceil", "ceil({0})")
trunc = _constant("trunc", "trunc({0})")
rint = _constant("rint", "rint({0})")
floor_divide = _constant("floor_divide", "floor_divide({0}, {1})")
_sign = _constant("sign", "sign({0})")
#: The value alone: no transformation sees where it comes from.
stop_gradient = constant("stop_gradient", lambda xp, x: x, batch=elementwise, scalar="{0}")


def _of_whole_numbers(name: str) -> Primitive:
    """What whole numbers and truth values alone have, which are traced under vmap only."""
    prim = Primitive(name)
    prim.piecewise_constant, prim.batch = True, elementwise
    return prim


bitwise_and, bitwise_or, bitwise_xor = map(_of_whole_numbers, ("bitwise_and", "bitwise_or", "bitwise_xor"))
invert, left_shift, right_shift = map(_of_whole_numbers, ("invert", "left_shift", "right_shift"))


# -- choosing -------------------------------------------------------------------------------------
def _where() -> Primitive:
    prim = Primitive("where", lambda xp, c, x, y: xp.where(c, x, y))
    prim.define_vjps(
        [
            None,
            lambda g, ans, c, x, y: Chosen(where(c, g, 0.0), c, True),
            lambda g, ans, c, x, y: Chosen(where(c, 0.0, g), c, False),
        ],
        finish=_fit_chosen,
    )
    prim.plain_vjps, prim.jvp, prim.batch, prim.scalar = False, _where_jvp, elementwise, "{0} ? {1} : {2}"
    return register(prim)


def _fit_chosen(h: Chosen, spec: Spec, prim: Primitive, k: int) -> Any:
    """For an argument that wasn't broadcast it stays known what was chosen."""
    condition = spec_of(h.condition)
    if spec_of(h.array) is spec and condition.shape == spec.shape:
        return h
    return fit(h.array, spec)


def _where_jvp(tangents: Any, ans: Any, c: Any, x: Any, y: Any) -> Any:
    t = where(c, *(0.0 if t is None else t for t in tangents[1:]))
    return fit_tangent(t, spec_of(ans))


where = _where()
Chosen.choose = staticmethod(where)


def _share(g: Any, mine: Any, other: Any, chosen: Any) -> Any:
    """The cotangent of what was chosen of two: all of it, none, or half where they are equal."""
    return where(mine == other, 0.5 * g, where(chosen, g, 0.0))


maximum: Binary = binary(
    "maximum",
    lambda g, ans, x, y: _share(g, x, y, x > y),
    lambda g, ans, x, y: _share(g, y, x, y > x),
    scalar="maximum({0}, {1})",
)
minimum: Binary = binary(
    "minimum",
    lambda g, ans, x, y: _share(g, x, y, x < y),
    lambda g, ans, x, y: _share(g, y, x, y < x),
    scalar="minimum({0}, {1})",
)
fmax: Binary = binary(
    "fmax",
    lambda g, ans, x, y: _share(g, x, y, logical_or(x > y, isnan(y))),
    lambda g, ans, x, y: _share(g, y, x, logical_or(y > x, isnan(x))),
    scalar="fmax({0}, {1})",
)
fmin: Binary = binary(
    "fmin",
    lambda g, ans, x, y: _share(g, x, y, logical_or(x < y, isnan(y))),
    lambda g, ans, x, y: _share(g, y, x, logical_or(y < x, isnan(x))),
    scalar="fmin({0}, {1})",
)

#: At 0 it is the second argument.
heaviside: Binary = binary("heaviside", None, lambda g, ans, x, y: where(x == 0, g, 0.0), scalar="heaviside({0}, {1})")

# -- arithmetic -----------------------------------------------------------------------------------
add: Binary = binary("add", passes, passes, scalar="{0} + {1}")
subtract: Binary = binary("subtract", passes, lambda g, ans, x, y: -g, scalar="{0} - {1}")
multiply: Binary = binary("multiply", lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x, scalar="{0} * {1}")
divide: Binary = binary("divide", lambda g, ans, x, y: g / y, lambda g, ans, x, y: -g * ans / y, scalar="{0} / {1}")
negative: Unary = unary("negative", lambda g, ans, x: -g, scalar="-{0}")
positive: Unary = unary("positive", passes, scalar="{0}")
reciprocal: Unary = unary("reciprocal", lambda g, ans, x: -g * ans * ans, scalar="1 / {0}")
square: Unary = unary("square", lambda g, ans, x: 2.0 * g * x, scalar="{0} * {0}")
sqrt: Unary = unary("sqrt", lambda g, ans, x: 0.5 * g / ans, scalar="sqrt({0})")
cbrt: Unary = unary("cbrt", lambda g, ans, x: g / (3.0 * ans * ans), scalar="cbrt({0})")
fmod: Binary = binary("fmod", lambda g, ans, x, y: g, lambda g, ans, x, y: -g * trunc(x / y), scalar="fmod({0}, {1})")
remainder: Binary = binary(
    "remainder", lambda g, ans, x, y: g, lambda g, ans, x, y: -g * floor_divide(x, y), scalar="modulo({0}, {1})"
)
hypot: Binary = binary(
    "hypot",
    lambda g, ans, x, y: g * x / where(ans == 0, 1.0, ans),
    lambda g, ans, x, y: g * y / where(ans == 0, 1.0, ans),
    scalar="hypot({0}, {1})",
)
copysign: Binary = binary(
    "copysign", lambda g, ans, x, y: where(signbit(x) == signbit(y), g, -g), None, scalar="copysign({0}, {1})"
)
nextafter: Binary = binary("nextafter", lambda g, ans, x, y: g, None, scalar="nextafter({0}, {1})")
ldexp: Binary = binary("ldexp", lambda g, ans, x, y: ldexp(g, y), None)


def _log_of_base(x: Any) -> Any:
    """The logarithm, with 0 for that of 0; of a Python number one again, which takes the dtype of what it meets."""
    if type(x) in (int, float) and x >= 0:
        return math.log(x) if x else 0.0
    return log(where(x == 0, 1.0, x))


_power: Binary = binary(
    "power",
    lambda g, ans, x, y: g * y * _power(x, where(y == 0, 1.0, y - 1.0)),
    lambda g, ans, x, y: g * ans * _log_of_base(x),
    plain=False,  # the short way of the tape would make an array of an exponent, and NumPy knows 2 and 0.5 as such
    scalar="power({0}, {1})",
)
_POWERS = {2: square, 1: positive, -1: reciprocal, 0.5: sqrt}


def power(x: Any, y: Any) -> Any:
    """``x ** y``; the usual exponents as the functions they are."""
    if (
        type(x) is Box
        and x.spec.dtype.kind not in "fc"
        and (type(y) is not int or y < 0 or (x.spec.dtype == bool and y != 2))
    ):
        return _power(x, y)  # of whole numbers these functions give others
    if type(y) in (int, float):
        known = _POWERS.get(y)
        if known is not None:
            return known(x)
        return _power_of_number(x, exponent=y)
    return _power(x, y)


def _to_a_number(xp: Any, x: Any, *, exponent: float) -> Any:
    # NumPy's power of an array takes as long as ten products and more; these agree with it to rounding.
    if exponent == 3:
        return x * x * x
    if exponent == 4:
        x = x * x
        return x * x
    return x**exponent


_power_of_number: Primitive = operation(
    "power_of_number",
    _to_a_number,
    lambda g, ans, x, *, exponent: g * exponent * power(x, exponent - 1.0) if exponent else g * 0.0,
    elementwise=True,
    deferred=staged_power,
)


def float_power(x: Any, y: Any) -> Any:
    """``power`` in float64 (complex128) at least."""
    return power(_widened(x), _widened(y))


def _widened(x: Any) -> Any:
    if type(x) in (bool, int, float, complex):
        return x  # it takes the dtype of what stands beside it
    return astype(x, dtype="complex128" if spec_of(x).dtype.kind == "c" else "float64")


_exponent = constant("frexp", lambda xp, x: xp.frexp(x)[1], batch=elementwise)


def frexp(x: Any) -> tuple[Any, Any]:
    exponent = _exponent(x)
    return ldexp(x, -exponent), exponent


def divmod_(x: Any, y: Any) -> tuple[Any, Any]:
    return floor_divide(x, y), remainder(x, y)


def modf(x: Any) -> tuple[Any, Any]:
    whole = trunc(x)
    return x - whole, whole


# -- exponentials and logarithms ------------------------------------------------------------------
exp: Unary = unary("exp", lambda g, ans, x: g * ans, scalar="exp({0})")
exp2: Unary = unary("exp2", lambda g, ans, x: g * ans * LN2, scalar="exp2({0})")
expm1: Unary = unary("expm1", lambda g, ans, x: g * (ans + 1.0), scalar="expm1({0})")
log: Unary = unary("log", lambda g, ans, x: g / x, scalar="log({0})")
log2: Unary = unary("log2", lambda g, ans, x: g / (x * LN2), scalar="log2({0})")
log10: Unary = unary("log10", lambda g, ans, x: g / (x * LN10), scalar="log10({0})")
log1p: Unary = unary("log1p", lambda g, ans, x: g / (x + 1.0), scalar="log1p({0})")


def _softened(x: Any, ans: Any) -> Any:
    """``x - ans`` for the logarithm ``ans`` of a sum that has ``exp(x)`` in it; also where both are infinite."""
    largest = equal(x, math.inf)
    return where(largest, 0.0, x) - where(logical_or(largest, equal(ans, -math.inf)), 0.0, ans)


logaddexp: Binary = binary(
    "logaddexp",
    lambda g, ans, x, y: g * exp(_softened(x, ans)),
    lambda g, ans, x, y: g * exp(_softened(y, ans)),
    scalar="logaddexp({0}, {1})",
)
logaddexp2: Binary = binary(
    "logaddexp2",
    lambda g, ans, x, y: g * exp2(_softened(x, ans)),
    lambda g, ans, x, y: g * exp2(_softened(y, ans)),
    scalar="logaddexp2({0}, {1})",
)

# -- trigonometric and hyperbolic -----------------------------------------------------------------
sin: Unary = unary("sin", lambda g, ans, x: g * _cos(x), scalar="sin({0})")
cos: Unary = unary("cos", lambda g, ans, x: -g * _sin(x), scalar="cos({0})")
_sin: Callable[[Any], Any] = sin.as_function()
_cos: Callable[[Any], Any] = cos.as_function()
tan: Unary = unary("tan", lambda g, ans, x: g + g * ans * ans, scalar="tan({0})")
arcsin: Unary = unary("arcsin", lambda g, ans, x: g / sqrt(1.0 - x * x), scalar="asin({0})")
arccos: Unary = unary("arccos", lambda g, ans, x: -g / sqrt(1.0 - x * x), scalar="acos({0})")
arctan: Unary = unary("arctan", lambda g, ans, x: g / (1.0 + x * x), scalar="atan({0})")
arctan2: Binary = binary(
    "arctan2",
    # The length has the dtype of the result: the square of a constant of small integers would overflow.
    lambda g, ans, y, x: g * x / square(hypot(y, x)),
    lambda g, ans, y, x: -g * y / square(hypot(y, x)),
    scalar="atan2({0}, {1})",
)
sinh: Unary = unary("sinh", lambda g, ans, x: g * cosh(x), scalar="sinh({0})")
cosh: Unary = unary("cosh", lambda g, ans, x: g * sinh(x), scalar="cosh({0})")
tanh: Unary = unary("tanh", lambda g, ans, x: g - g * ans * ans, scalar="tanh({0})")
arcsinh: Unary = unary("arcsinh", lambda g, ans, x: g / sqrt(x * x + 1.0), scalar="asinh({0})")
arccosh: Unary = unary("arccosh", lambda g, ans, x: g / (sqrt(x - 1.0) * sqrt(x + 1.0)), scalar="acosh({0})")
arctanh: Unary = unary("arctanh", lambda g, ans, x: g / (1.0 - x * x), scalar="atanh({0})")
deg2rad: Unary = unary("deg2rad", lambda g, ans, x: g * (PI / 180.0), scalar="deg2rad({0})")
rad2deg: Unary = unary("rad2deg", lambda g, ans, x: g * (180.0 / PI), scalar="rad2deg({0})")


def _sinc_slope(x: Any, ans: Any) -> Any:
    # (cos πx - sinc x) / x cancels near 0, so its series is taken there; both branches are differentiable.
    near = absolute(x) < 0.02
    t = PI * PI * x * x
    series = -(PI * PI / 3.0) * x * (1.0 - t / 10.0 * (1.0 - t / 28.0 * (1.0 - t / 54.0)))
    return where(near, series, (cos(PI * x) - ans) / where(near, 1.0, x))


sinc: Unary = unary("sinc", lambda g, ans, x: g * _sinc_slope(x, ans), scalar="sinc({0})")

# -- complex numbers ------------------------------------------------------------------------------
conjugate: Unary = unary("conjugate", lambda g, ans, x: conjugate(g), scalar="conjugate({0})")
imag: Unary = unary(
    "imag",
    lambda g, ans, x: g * -1j if spec_of(x).dtype.kind == "c" else g * 0.0,
    lambda xp, x: xp.imag(x),
    plain=False,
    scalar="imag({0})",
)


def _with_parts(xp: Any, x: Any, y: Any) -> Any:
    z = xp.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x.dtype, np.complex64))
    z.real, z.imag = x, y
    return z


#: ``x + 1j * y`` of two arrays of one real dtype; that product would be NaN where ``y`` is infinite.
with_parts: Binary = binary("with_parts", lambda g, ans, x, y: g, lambda g, ans, x, y: g * 1j, _with_parts, plain=False)


def _abs_vjp(g: Any, ans: Any, x: Any) -> Any:
    if spec_of(x).dtype.kind != "c":
        return g * _sign(x)
    return g * (conjugate(x) / where(ans == 0, 1.0, ans))


absolute: Unary = unary("absolute", _abs_vjp, plain=False, scalar="absolute({0})")
fabs: Unary = unary("fabs", lambda g, ans, x: g * _sign(x), scalar="fabs({0})")


def sign(x: Any) -> Any:
    """Constant for real ``x``; for complex ``x`` the direction ``x / |x|``, which is not."""
    if spec_of(x).dtype.kind != "c":
        return _sign(x)
    size = absolute(x)
    return x / where(size == 0, 1.0, size)


def angle(z: Any, deg: bool = False) -> Any:
    radians = arctan2(imag(z), real(z)) if spec_of(z).dtype.kind == "c" else arctan2(0, z)
    return radians * (180.0 / PI) if deg else radians

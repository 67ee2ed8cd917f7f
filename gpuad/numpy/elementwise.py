"""NumPy's elementwise functions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import Box, innermost, spec_of
from ..core.memory import derive
from ..core.primitive import Unary
from ..errors import UnsupportedError
from ..ops import declare
from ..ops import elementwise as e
from .creation import as_array, as_arrays, copied, home
from .frontend import functions, is_traced, numpy_function, plain_backend
from .ufuncs import define
from .writing import setitem

#: NumPy's ufuncs under the names of their primitives, and under other names.
_SAME = (
    "add subtract multiply divide negative positive reciprocal square sqrt cbrt fmod remainder hypot copysign "
    "nextafter ldexp exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sin cos tan arcsin arccos arctan "
    "arctan2 sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg maximum minimum fmax fmin conjugate absolute "
    "fabs equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
    "isfinite isinf isnan signbit floor ceil trunc rint floor_divide heaviside "
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift"
).split()
_OTHER: dict[str, Callable[..., Any]] = {
    "power": e.power,
    "float_power": lambda x, y: e.float_power(*as_arrays([x, y])),
    "sign": e.sign,
    "divmod": e.divmod_,
    "frexp": e.frexp,
    "modf": e.modf,
}
defined = {name: define(name, getattr(e, name)) for name in _SAME} | {
    name: define(name, f) for name, f in _OTHER.items()
}
# radians and degrees are ufuncs of their own in NumPy; the others are further names of the same ufunc.
defined |= {"radians": define("radians", e.deg2rad), "degrees": define("degrees", e.rad2deg)}
_ALIASES = {
    "abs": "absolute", "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "conj": "conjugate", "mod": "remainder",
    "pow": "power", "true_divide": "divide",
}  # fmt: skip
defined |= {alias: defined[name] for alias, name in _ALIASES.items()}
functions.update(defined)


def _plain_where(condition: Any, *args: Any, **named: Any) -> Any:
    # autograd takes x and y by keyword, too, which NumPy doesn't.
    args += tuple(named.pop(name) for name in ("x", "y") if name in named)
    return plain_backend("where", (condition, *args)).function("where")(condition, *args, **named)


@numpy_function("where", on_plain=_plain_where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return functions["nonzero"](condition)
    if x is None or y is None:
        raise ValueError("where: give both x and y, or neither")
    if isinstance(condition, (list, tuple)):
        condition = as_array(condition, home(x, y))
    return e.where(condition, x, y)


@numpy_function("real_if_close")
def real_if_close(a: Any, tol: float = 100) -> Any:
    if spec_of(a).dtype.kind != "c":
        return a
    # Which of the two it is depends on the values, as in NumPy.
    plain = innermost(a)
    backend = backend_of((plain,))
    close = backend.function("real_if_close")(plain, tol).dtype.kind != "c"
    return functions["real"](a) if close else a


@numpy_function("clip")
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **options: Any,
) -> Any:
    no_options("clip", out=out, **options)
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None and high is None:
        return copied(as_array(a))
    if low is not None:
        a = e.maximum(a, low)
    return a if high is None else e.minimum(a, high)


@numpy_function("real")
def real(val: Any) -> Any:
    return _half(declare.real, val) if spec_of(val).dtype.kind == "c" else val


@numpy_function("imag")
def imag(val: Any) -> Any:
    return _half(e.imag, val)


def _half(prim: Unary, z: Any) -> Any:
    """The real or imaginary part of a complex array: a view, which we don't write into."""
    part = prim(z)
    if type(part) is Box and type(z) is Box:
        derive(part, z, prim, {})
    return part


@numpy_function("angle")
def angle(z: Any, deg: bool = False) -> Any:
    return e.angle(z, deg)


@numpy_function("sinc")
def sinc(x: Any) -> Any:
    return e.sinc(x)


@numpy_function("i0")
def i0(x: Any) -> Any:
    importlib.import_module("gpuad.scipy.special")  # whose i1 is the derivative
    return functions["scipy.special.i0"](x)


@numpy_function("nan_to_num")
def nan_to_num(
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Any:
    given, limits = x, np.finfo(spec_of(x).dtype)
    x = e.where(e.isnan(x), nan, x)
    x = e.where(e.logical_and(e.isinf(x), x > 0), float(limits.max) if posinf is None else posinf, x)
    x = e.where(e.logical_and(e.isinf(x), x < 0), float(limits.min) if neginf is None else neginf, x)
    if copy or type(given) is not Box:
        return x
    setitem(given, Ellipsis, x)
    return given


@numpy_function("around")
@numpy_function("round")
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    no_options("round", out=out)
    dtype = spec_of(a).dtype
    if dtype.kind in "iu":
        return e.positive(a) if decimals >= 0 else declare.astype(round(a * 1.0, decimals), dtype=dtype)
    return e.rint(a) if not decimals else e.rint(a * 10.0**decimals) / 10.0**decimals


def no_options(name: str, **options: Any) -> None:
    """Refuse options that a traced array can't honour: those that aren't None."""
    for option, value in options.items():
        if value is not None:
            raise UnsupportedError(f"{name} on a traced array isn't supported with {option}={value!r}")


def _constant(name: str) -> None:
    """A function whose answer is constant: comparisons, orders, the text of an array."""

    @numpy_function(name)
    def answer(*args: Any, **options: Any) -> Any:
        values = [innermost(e.stop_gradient(a)) if type(a) is Box else a for a in args]
        return plain_backend(name, values).function(name)(*values, **options)


for _name in "allclose array_equal array_equiv array_repr array_str array2string isfortran".split():
    _constant(_name)


@numpy_function("isclose")
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    a, b, rtol, atol = (e.stop_gradient(x) if type(x) is Box else x for x in (a, b, rtol, atol))
    if not is_traced((a, b, rtol, atol)):
        return plain_backend("isclose", (a, b)).function("isclose")(a, b, rtol, atol, equal_nan)
    finite = e.logical_and(e.isfinite(a), e.isfinite(b))
    near = e.less_equal(e.absolute(e.where(finite, a, 0.0) - e.where(finite, b, 0.0)), atol + rtol * e.absolute(b))
    found = e.logical_or(e.logical_and(finite, near), e.equal(a, b))
    return e.logical_or(found, e.logical_and(e.isnan(a), e.isnan(b))) if equal_nan else found


@numpy_function("isposinf")
def isposinf(x: Any, out: Any = None) -> Any:
    no_options("isposinf", out=out)
    return e.logical_and(e.isinf(x), e.greater(x, 0))


@numpy_function("isneginf")
def isneginf(x: Any, out: Any = None) -> Any:
    no_options("isneginf", out=out)
    return e.logical_and(e.isinf(x), e.less(x, 0))


@numpy_function("fix")
def fix(x: Any, out: Any = None) -> Any:
    no_options("fix", out=out)
    return e.trunc(x)

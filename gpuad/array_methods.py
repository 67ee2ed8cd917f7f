"""What a traced array can do: NumPy's operators, attributes and methods, from one table each."""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np

from .core.box import Box, answer, apart, innermost, is_recorded
from .core.memory import base_of, current, lying, owner_of
from .core.tape import operators
from .core.untraced import settled
from .errors import UnsupportedError
from .fused.pending import Pending, settle
from .numpy.contractions import matmul
from .numpy.creation import copied
from .numpy.frontend import constants, functions, handler_of
from .numpy.ufuncs import array_ufunc
from .numpy.writing import flat, in_place, reshaped_in_place, set_part, setitem
from .ops import elementwise as e
from .ops.index import getitem


def _reflected(apply: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: apply(other, self)


_ARITHMETIC = {"add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.divide, "mod": e.remainder}
for _name, _prim in _ARITHMETIC.items():
    _of_first, _of_second = operators(_prim)
    setattr(Box, f"__{_name}__", _of_first)
    setattr(Box, f"__r{_name}__", _of_second)

_OPERATORS: dict[str, Callable[..., Any]] = {
    "__pow__": lambda x, y: e.power(x, y),
    "__rpow__": lambda x, y: e.power(y, x),
    "__floordiv__": lambda x, y: e.floor_divide(x, y),
    "__rfloordiv__": lambda x, y: e.floor_divide(y, x),
    "__divmod__": lambda x, y: e.divmod_(x, y),
    "__rdivmod__": lambda x, y: e.divmod_(y, x),
    "__neg__": lambda x: e.negative(x),
    "__pos__": lambda x: e.positive(x),
    "__abs__": lambda x: e.absolute(x),
    "__eq__": lambda x, y: e.equal(x, y),
    "__ne__": lambda x, y: e.not_equal(x, y),
    "__lt__": lambda x, y: e.less(x, y),
    "__le__": lambda x, y: e.less_equal(x, y),
    "__gt__": lambda x, y: e.greater(x, y),
    "__ge__": lambda x, y: e.greater_equal(x, y),
    "__and__": lambda x, y: e.bitwise_and(x, y),
    "__rand__": lambda x, y: e.bitwise_and(y, x),
    "__or__": lambda x, y: e.bitwise_or(x, y),
    "__ror__": lambda x, y: e.bitwise_or(y, x),
    "__xor__": lambda x, y: e.bitwise_xor(x, y),
    "__rxor__": lambda x, y: e.bitwise_xor(y, x),
    "__invert__": lambda x: e.invert(x),
    "__lshift__": lambda x, y: e.left_shift(x, y),
    "__rshift__": lambda x, y: e.right_shift(x, y),
    "__matmul__": matmul,
    "__rmatmul__": lambda x, y: matmul(y, x),
    "__getitem__": getitem,
    "__setitem__": setitem,
    "__array_ufunc__": array_ufunc,
}
for _name, _function in _OPERATORS.items():
    setattr(Box, _name, _function)

# What isn't computed yet meets operators in rules only.
for _name, _prim in _ARITHMETIC.items():
    setattr(Pending, f"__{_name}__", lambda x, y, apply=_prim: apply(x, y))
    setattr(Pending, f"__r{_name}__", _reflected(_prim))
for _name, _function in _OPERATORS.items():
    if _name not in ("__getitem__", "__setitem__", "__array_ufunc__"):
        setattr(Pending, _name, _function)
_IN_PLACE: dict[str, Callable[..., Any]] = {
    "add": e.add.apply,
    "sub": e.subtract.apply,
    "mul": e.multiply.apply,
    "truediv": e.divide.apply,
    "mod": e.remainder.apply,
    "pow": e.power,
    "floordiv": e.floor_divide,
    "matmul": matmul,
}
for _name, _apply in _IN_PLACE.items():
    setattr(Box, f"__i{_name}__", in_place(_name, _apply))
setattr(Box, "__hash__", None)  # noqa: B010 - as NumPy's arrays, for == works element by element


# -- what a program may ask of the value ------------------------------------------------------------
def _define(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(Box, name, function)
        return function

    return put


@_define("__array_function__")
def _array_function(self: Box, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    handler = handler_of(func)
    if handler is None:
        args, kwargs = constants(f"{func.__module__}.{func.__name__}", args, kwargs)
        return func(*args, **kwargs)
    return handler(*args, **kwargs)


@_define("__len__")
def _len(self: Box) -> int:
    if not self.spec.shape:
        raise TypeError("len() of unsized object: a traced array of shape ()")
    return self.spec.shape[0]


@_define("__iter__")
def _iter(self: Box) -> Iterator[Any]:
    if not self.spec.shape:
        raise TypeError("iteration over a 0-d array: a traced array of shape ()")
    return (getitem(self, i) for i in range(self.spec.shape[0]))


@_define("__bool__")
def _bool(self: Box) -> bool:
    return answer(self, bool)  # type: ignore[no-any-return]  # a branch is constant, but for jumps


@_define("__int__")
def _int(self: Box) -> int:
    return answer(self, int)  # type: ignore[no-any-return]


@_define("__index__")
def _index(self: Box) -> int:
    if self.spec.shape or self.spec.dtype.kind not in "biu":
        raise TypeError("only integer scalar arrays can be converted to a scalar index")
    return answer(self, operator.index)  # type: ignore[no-any-return]


@_define("__contains__")
def _contains(self: Box, value: Any) -> bool:
    return bool((e.equal(self, value)).any())


@_define("__round__")
def _round(self: Box, ndigits: int | None = None) -> Any:
    if ndigits is not None and is_recorded(self) and type(self.value) in (bool, int, float):
        return answer(self, _rounded(ndigits))
    return int(self.round()) if ndigits is None else self.round(ndigits)  # type: ignore[attr-defined]


@functools.cache
def _rounded(ndigits: int) -> Callable[[Any], Any]:
    """What Python makes of its own numbers: other ones than NumPy does."""
    return lambda x: round(x, ndigits)


def _as_number(convert: Callable[..., Any]) -> Callable[..., Any]:
    def number(self: Box, *index: Any) -> Any:
        x = settled(self)
        if index:
            at = index if len(index) > 1 else index[0]
            x = self[at] if type(at) is tuple else self.reshape(-1)[at]  # type: ignore[attr-defined, index]
        if type(x) is not Box or x.level.recorded:
            return answer(x, convert)
        _refuse_scipys()
        raise UnsupportedError(
            "a traced array can't become a Python number: its derivative would be lost in silence. Use gpuad.numpy "
            "functions instead of those of math; or take float(gpuad.stop_gradient(x)) if it is meant as a constant. "
            "A plain array can't hold it either: instead of numpy.zeros write gpuad.numpy.zeros, which makes arrays "
            "that can, or put @gpuad.lift above the function"
        )

    return number


#: What turns an array into Python's numbers, by the name of the method. Only a recording can answer.
AS_NUMBERS: dict[str, Callable[..., Any]] = {
    "__float__": float,
    "__complex__": complex,
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
}
for _name, _convert in AS_NUMBERS.items():
    setattr(Box, _name, _as_number(_convert))


@_define("__array__")
def _array(self: Box, dtype: Any = None, copy: Any = None) -> Any:
    x = settled(self)
    if type(x) is not Box:
        plain = np.array(x, dtype)
        if not copy:
            plain.flags.writeable = False  # what is written into it wouldn't be seen here
            base_of(owner_of(self)).exported.append(weakref.ref(plain))
        return plain
    if x.level.recorded:
        plain = np.array(innermost(x), dtype)
        if not copy and plain.dtype == x.spec.dtype:
            plain.flags.writeable = False  # nor here
        return plain
    if dtype is not None and np.dtype(dtype).kind in "biu":
        return np.asarray(innermost(x)).astype(dtype)  # whole numbers are constant, but for jumps
    if x.level.batched and x.spec.dtype.kind in "biu":
        raise UnsupportedError(
            "vmap: what differs from example to example can't index a plain NumPy array; write gpuad.numpy.take(a, i, "
            "axis=0) instead of a[i], or give a as an argument (in_axes=None), not from outside"
        )
    _refuse_scipys()
    raise UnsupportedError(
        "a traced array can't become a plain NumPy array: its derivative would be lost in silence. To make an array of "
        "traced numbers, write gpuad.numpy.array([a, b]) or numpy.stack([a, b]) instead of numpy.array([a, b]), and "
        "to write traced values into an array, make that with gpuad.numpy.zeros; or put @gpuad.lift above the "
        "function. Functions of compiled code can't be differentiated by tracing; state their derivative with "
        "gpuad.primitive and gpuad.defvjp, or pass gpuad.stop_gradient(x) if it is meant as a constant"
    )


def _refuse_scipys() -> None:
    """An error where a function of SciPy's asks: gpuad's of that name, or, if the frames don't tell it, all of them."""
    frame: FrameType | None = sys._getframe(2)
    running = None
    while frame is not None and (module := frame.f_globals.get("__name__", "")).startswith(
        ("scipy.", "numpy.", "gpuad.")
    ):
        if module.startswith("scipy."):
            public = ".".join(part for part in module.split(".") if not part.startswith("_"))
            with contextlib.suppress(ImportError):
                importlib.import_module(f"gpuad.{public}")
            name = f"{public}.{frame.f_code.co_name}"
            running = f"gpuad.{name}" if name in functions else running or "gpuad.scipy's of the same name"
        frame = frame.f_back
    if running is not None:
        raise UnsupportedError(f"SciPy's own functions can't be differentiated by tracing; call {running} instead")


def _sorter(name: str) -> Callable[..., None]:
    """The method that sorts in place, by the function that doesn't."""

    def sort(self: Box, *args: Any, **kwargs: Any) -> None:
        setitem(self, Ellipsis, functions[name](self, *args, **kwargs))

    sort.__name__ = name
    return sort


for _name in ("sort", "partition"):
    setattr(Box, _name, _sorter(_name))
setattr(Box, "fill", lambda self, value: setitem(self, Ellipsis, value))  # noqa: B010


@_define("__repr__")
def _repr(self: Box) -> str:
    return repr(innermost(self)) if self.level.recorded else f"Traced({settle(self.value)!r})"


@_define("__str__")
def _str(self: Box) -> str:
    return str(innermost(self)) if self.level.recorded else repr(self)


@_define("__format__")
def _format(self: Box, spec: str) -> str:
    return format(innermost(self), spec)


@_define("__copy__")
def _copy(self: Box) -> Box:
    return copied(self)  # type: ignore[no-any-return]


@_define("__deepcopy__")
def _deepcopy(self: Box, memo: Any) -> Box:
    return copied(self)  # type: ignore[no-any-return]


@_define("__reduce_ex__")
def _reduce(self: Box, protocol: Any) -> Any:
    x = settled(self)
    if type(x) is not Box:
        return x.__reduce_ex__(protocol)
    raise UnsupportedError(
        "a traced array can't be pickled, nor sent to another process: its derivative would be lost in silence. If it "
        "is meant as a constant, pickle gpuad.stop_gradient(x)"
    )


# -- attributes -------------------------------------------------------------------------------------
_ATTRIBUTES: dict[str, Callable[[Box], Any]] = {
    "shape": lambda x: x.spec.shape,
    "dtype": lambda x: x.spec.dtype,
    "ndim": lambda x: len(x.spec.shape),
    "size": lambda x: x.spec.size,
    "itemsize": lambda x: x.spec.dtype.itemsize,
    "nbytes": lambda x: x.spec.size * x.spec.dtype.itemsize,
    "T": lambda x: functions["transpose"](x),
    "flags": lambda x: lying(x).flags,
    "strides": lambda x: lying(x).strides,
    "mT": lambda x: functions["matrix_transpose"](x),
    "real": lambda x: functions["real"](x),
    "imag": lambda x: functions["imag"](x),
    "_value": lambda x: innermost(x) if is_recorded(x) else apart(current(x).value),  # autograd's name
    "flat": lambda x: flat(x),
}
_SETTERS: dict[str, Callable[[Box, Any], None]] = {
    "shape": reshaped_in_place,
    "real": lambda x, v: set_part(x, v, imaginary=False),
    "imag": lambda x, v: set_part(x, v, imaginary=True),
    "flat": lambda x, v: setitem(x, Ellipsis, functions["reshape"](v, x.spec.shape)),
}
for _name, _get in _ATTRIBUTES.items():
    setattr(Box, _name, property(_get, _SETTERS.get(_name)))

# -- methods, which are the functions of the same name ------------------------------------------------
_METHODS = (
    "all any argmax argmin argpartition argsort astype clip cumprod cumsum diagonal dot max mean min nonzero "
    "prod put ravel repeat round searchsorted squeeze std sum swapaxes take trace var"
).split()


def _method(name: str) -> Callable[..., Any]:
    def method(self: Box, *args: Any, **kwargs: Any) -> Any:
        return functions[name](self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in _METHODS:
    setattr(Box, _name, _method(_name))


@_define("conj")
@_define("conjugate")
def _conjugate(self: Box, out: Any = None) -> Any:
    if out is not None:
        return functions["conjugate"](self, out=out)
    return e.conjugate(self) if self.spec.dtype.kind == "c" else self  # the array itself, as NumPy's method gives


@_define("reshape")
def _reshape(self: Box, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return functions["reshape"](self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)


@_define("transpose")
def _transpose(self: Box, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes or None
    return functions["transpose"](self, order)


@_define("copy")
def _copy_in_order(self: Box, order: str = "C") -> Any:
    return copied(self, order)


@_define("flatten")
def _flatten(self: Box, order: str = "C") -> Any:
    return copied(functions["ravel"](self, order=order))


@_define("compress")
def _compress(self: Box, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return functions["compress"](condition, self, axis=axis, out=out)


# -- what it can't do ---------------------------------------------------------------------------------
def _missing(name: str) -> property:
    def say(self: Box) -> Any:
        raise AttributeError(
            f"a traced array has no {name!r}, of which no derivative could be known. If its result is meant as a "
            f"constant, write gpuad.stop_gradient(x).{name}"
        )

    return property(say)


for _name in {*dir(np.ndarray), *dir(np.float64)}:
    if not _name.startswith("_") and not hasattr(Box, _name):
        setattr(Box, _name, _missing(_name))

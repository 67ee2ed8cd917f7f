"""Arrays from other arrays, from lists and from numbers; and what an array is."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..backend import Backend, owner_of_type
from ..core.box import Box, has_derivatives, sample, spec_of, twin
from ..core.memory import current, lying
from ..core.primitive import Primitive
from ..core.untraced import fresh
from ..fused.pending import settle
from ..ops import declare
from ..ops import elementwise as e
from ..ops import shape as s
from .frontend import is_traced, numpy_function, plain_backend


# -- arrays from anything -----------------------------------------------------------------------------
def home(*args: Any) -> Backend:
    """The backend of the arrays, traced or raw, among ``args`` and in lists there; else that of the switch."""
    return plain_backend("this operation", args)


def as_array(x: Any, backend: Backend | None = None) -> Any:
    """``x`` as an array, traced or raw; what isn't one yet is made one on ``backend``, or beside the arrays in it."""
    if type(x) is Box or owner_of_type(type(x)) is not None:
        return x
    backend = backend or home(x)
    if isinstance(x, (list, tuple)) and is_traced(x):
        return s.stack(*(a if isinstance(a, (int, float, complex)) else as_array(a, backend) for a in x), axis=0)
    return backend.function("asarray")(x)


def as_arrays(xs: Iterable[Any]) -> list[Any]:
    """All of ``xs`` as arrays, where the arrays among them are."""
    xs = list(xs)
    backend = home(xs)
    return [as_array(x, backend) for x in xs]


def dtype_or_number(x: Any) -> Any:
    """What counts when NumPy looks for a common dtype: that of an array; of a Python number only its kind."""
    return x if type(x) in (bool, int, float, complex) else spec_of(as_array(x)).dtype


def convert(x: Any, dtype: Any) -> Any:
    """``x`` with that dtype; a constant where that dtype has no derivatives."""
    dtype = np.dtype(dtype)
    if spec_of(x).dtype == dtype:
        return x
    if not has_derivatives(dtype):
        x = e.stop_gradient(x)
    return declare.astype(x, dtype=dtype)


def _asarray(x: Any, dtype: Any, ndmin: int = 0) -> Any:
    x = _no_number(as_array(x))
    if dtype is not None:
        x = convert(x, dtype)
    missing = ndmin - len(spec_of(x).shape)
    return s.reshape(x, shape=(1,) * missing + spec_of(x).shape, order="C") if missing > 0 else x


def _no_number(x: Any) -> Any:
    """A number as an array of shape (), which can be written into."""
    if type(x) is Box and not x.spec.shape and isinstance(sample(x), (np.generic, bool, int, float, complex)):
        if x.level.recorded:
            return x.level.process(laid, (x,), {"order": "K"})
        x = twin(x)
        x.value = _no_number(x.value) if type(x.value) is Box else np.asarray(x.value)
    return x


def copied(x: Any, order: Any = "K") -> Any:
    """``x`` as an array that shares no memory with it, and lies in memory in that order, as NumPy's copy would.

    A tuple as order has the axes from the one with the longest steps in memory to the one with the shortest.
    """
    return _copied(current(x), order) if type(x) is Box else x


def _lay(xp: Any, x: Any, *, order: Any) -> Any:
    if not hasattr(x, "copy") or isinstance(x, np.generic):
        return np.asarray(x)
    return x.transpose(order).copy().transpose(np.argsort(order)) if type(order) is tuple else x.copy(order=order)


#: An array that lies in memory in that order, as an operation: a record has to do it again.
laid = Primitive("copied", _lay)


def _copied(x: Box, order: Any) -> Box:
    if x.level.recorded and (len(order) == len(x.spec.shape) if type(order) is tuple else not _lies(x.value, order)):
        return x.level.process(laid, (x,), {"order": order})  # type: ignore[no-any-return]
    y = twin(x)  # nobody sees that it is the same memory: the first to write will copy
    if type(x.value) is Box:
        y.value = _copied(x.value, order)
    elif type(order) is tuple:
        if x.value.ndim == len(order):  # of one example; many at once have an axis more
            y.value = x.value.transpose(order).copy().transpose(np.argsort(order))
    elif not _lies(x.value, order):
        y.value = x.value.copy(order=order)
    return y


def _lies(raw: Any, order: Any) -> bool:
    """Whether a raw array lies in memory as a copy in that order would."""
    flags = getattr(raw, "flags", None)
    if flags is None:
        return True
    c, f = flags.c_contiguous, flags.f_contiguous
    order = (order or "K").upper()
    return bool(c if order == "C" or (order == "A" and not f) else f if order in "FA" else c or f)


def order_of(a: Any, order: Any = "A") -> str:
    """``"C"`` or ``"F"``; ``"A"`` means the latter for what lies in memory like that alone."""
    order = "C" if order is None else order.upper()
    if order != "A":
        return str(order)
    flags = getattr(lying(a) if type(a) is Box else a, "flags", None)
    return "F" if flags is not None and flags.f_contiguous and not flags.c_contiguous else "C"


def laid_out(x: Any, order: Any) -> Any:
    """``x``, or a copy if it doesn't lie in memory in that order."""
    return x if order in (None, "K") or type(x) is not Box or _lies(lying(x), order) else copied(x, order)


@numpy_function("array")
def array(
    object: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K", subok: bool = False, ndmin: int = 0,
    like: Any = None,
) -> Any:  # fmt: skip
    x = _asarray(object, dtype, ndmin)
    return copied(x, order) if copy else laid_out(x, order)


@numpy_function("asarray")
def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None, like: Any = None
) -> Any:
    return copied(_asarray(a, dtype), order) if copy else laid_out(_asarray(a, dtype), order)


@numpy_function("asanyarray")
def asanyarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None, like: Any = None
) -> Any:
    return laid_out(_asarray(a, dtype), order)


def _contiguous(name: str, order: str) -> None:
    """What gives the array itself, if it lies in memory in that order, or else a copy."""

    @numpy_function(name)
    def as_contiguous(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
        return laid_out(_asarray(a, dtype, 1), order)


_contiguous("ascontiguousarray", "C")
_contiguous("asfortranarray", "F")


@numpy_function("copy")
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    return copied(_asarray(a, None), order)


@numpy_function("astype")
def astype(
    x: Any, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True, *,
    device: Any = None,
) -> Any:  # fmt: skip
    if not np.can_cast(spec_of(x).dtype, dtype, casting):
        raise TypeError(f"Cannot cast array data from {spec_of(x).dtype} to {np.dtype(dtype)} by the rule {casting!r}")
    converted = convert(x, dtype)
    return copied(x, order) if copy and converted is x else laid_out(converted, order)


# -- filled with one value ----------------------------------------------------------------------------
def _like(name: str, a: Any, *fill: Any, shape: Any, **options: Any) -> Any:
    """NumPy's function ``name``, of the array that a traced one is: it looks at shape, dtype and order in memory."""
    backend = home(a)
    raw = settle(sample(as_array(a)))
    return fresh(backend.function(name)(raw, *fill, shape=None if shape is None else as_shape(shape), **options))


@numpy_function("full")
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    return copied(declare.broadcast_to(_asarray(fill_value, dtype), shape=as_shape(shape)), order)


@numpy_function("full_like")
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    if not is_traced([fill_value]):
        return _like("full_like", a, fill_value, dtype=dtype, order=order, shape=shape)
    like = _like("empty_like", a, dtype=dtype, order=order, shape=shape)
    fill = declare.broadcast_to(_asarray(fill_value, spec_of(like).dtype), shape=spec_of(like).shape)
    return copied(fill, "F" if _lies(sample(like), "F") else "C")


def _filled_like(name: str) -> None:
    @numpy_function(f"{name}_like")
    def like(
        a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        return _like(f"{name}_like", a, dtype=dtype, order=order, shape=shape)


for _name in ("zeros", "ones", "empty"):
    _filled_like(_name)


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape as NumPy takes it: a number, or a sequence of numbers."""
    if type(shape) is tuple:
        return tuple(map(operator.index, shape))
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(map(operator.index, shape))


# -- spaced -------------------------------------------------------------------------------------------
def _between(start: Any, stop: Any, num: int, endpoint: bool) -> tuple[Any, Any, Any]:
    """``start`` and ``stop`` as arrays, and their weights: ``num`` numbers from 0 to 1, along a first axis."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    arrays = as_arrays([start, stop])
    dtype = np.result_type(dtype_or_number(start), dtype_or_number(stop), 1.0)
    start, stop = arrays
    shape = np.broadcast_shapes(spec_of(start).shape, spec_of(stop).shape)
    weights = np.arange(num) / max(num - 1 if endpoint else num, 1)
    weights = weights.reshape((num,) + (1,) * len(shape)).astype(np.zeros(0, dtype).real.dtype)
    return convert(start, dtype), convert(stop, dtype), home(start, stop).asarray(weights)


def _spaced(y: Any, dtype: Any, axis: int) -> Any:
    ndim = len(spec_of(y).shape)
    axis = normalize_axis_index(axis, ndim)
    if axis:
        y = s.transpose(y, axes=(*range(1, axis + 1), 0, *range(axis + 1, ndim)))
    if dtype is None:
        return y
    return convert(e.floor(y) if np.issubdtype(dtype, np.integer) else y, dtype)


@numpy_function("linspace")
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop, t = _between(start, stop, num, endpoint)
    y = _spaced(start * (1.0 - t) + stop * t, dtype, axis)
    if not retstep:
        return y
    gaps = num - 1 if endpoint else num
    return y, (stop - start) / gaps if gaps > 0 else (stop - start) * np.nan


@numpy_function("logspace")
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop, t = _between(start, stop, num, endpoint)
    return _spaced(e.power(base, start * (1.0 - t) + stop * t), dtype, axis)


@numpy_function("geomspace")
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    start, stop, t = _between(start, stop, num, endpoint)
    return _spaced(start * e.power(stop / start, t), dtype, axis)


@numpy_function("meshgrid")
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    order = list(range(len(xi)))  # the axis of each
    if indexing == "xy" and len(xi) > 1:
        order[:2] = 1, 0
    flat = [
        s.reshape(x, shape=tuple(-1 if axis == i else 1 for i in range(len(xi))), order="C")
        for axis, x in zip(order, as_arrays(xi), strict=True)
    ]
    if not sparse:
        shape = np.broadcast_shapes(*(spec_of(x).shape for x in flat))
        flat = [declare.broadcast_to(x, shape=shape) for x in flat]
    return tuple(copied(x, "C") if copy else x for x in flat)


# -- what an array is ---------------------------------------------------------------------------------
@numpy_function("shape")
def shape(a: Any) -> tuple[int, ...]:
    return spec_of(as_array(a)).shape


@numpy_function("ndim")
def ndim(a: Any) -> int:
    return spec_of(as_array(a)).ndim


@numpy_function("size")
def size(a: Any, axis: Any = None) -> int:
    spec = spec_of(as_array(a))
    if axis is None:
        return spec.size
    n = 1
    for i in normalize_axis_tuple(axis, spec.ndim):
        n *= spec.shape[i]
    return n


@numpy_function("isscalar")
def isscalar(element: Any) -> bool:
    return False


@numpy_function("iscomplexobj")
def iscomplexobj(x: Any) -> bool:
    return spec_of(as_array(x)).dtype.kind == "c"


@numpy_function("isrealobj")
def isrealobj(x: Any) -> bool:
    return spec_of(as_array(x)).dtype.kind != "c"


@numpy_function("iscomplex")
def iscomplex(x: Any) -> Any:
    x = e.stop_gradient(as_array(x))
    return e.not_equal(e.imag(x), 0.0) if type(x) is Box else home(x).function("iscomplex")(x)


@numpy_function("isreal")
def isreal(x: Any) -> Any:
    x = e.stop_gradient(as_array(x))
    return e.equal(e.imag(x), 0.0) if type(x) is Box else home(x).function("isreal")(x)


def _of_dtypes(name: str, stand_in: Callable[[Any], Any]) -> None:
    """A function of NumPy's that only asks for dtypes."""
    theirs = getattr(np, name)

    @numpy_function(name)
    def function(*args: Any, **options: Any) -> Any:
        return theirs(*(stand_in(a) if type(a) is Box else a for a in args), **options)


_of_dtypes("result_type", lambda a: spec_of(a).dtype)
_of_dtypes("can_cast", lambda a: spec_of(a).dtype)
_of_dtypes("common_type", lambda a: np.empty(0, spec_of(a).dtype))
_of_dtypes("min_scalar_type", lambda a: spec_of(a).dtype)

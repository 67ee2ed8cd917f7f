"""Writing into arrays: ``x[i] = v``, ``x += v``, ``out=``, and NumPy's functions that write."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.box import Box, move, sample, spec_of, twin
from ..core.level import innermost_level
from ..core.memory import (
    STALE,
    Derived,
    Step,
    View,
    Window,
    base_of,
    current,
    memory_of,
    owner_of,
    was_written,
    window,
)
from ..errors import UnsupportedError
from ..ops import declare
from ..ops import elementwise as e
from ..ops import shape as s
from ..ops.index import ARRAY, Arrays, gather, getitem, parsed, part
from ..ops.writing import Place, Sum, write
from .creation import as_array, as_shape, home
from .frontend import numpy_function

_NUMBERS = (np.generic, bool, int, float, complex)
#: What gives a view of a half of each number.
_PARTS = (declare.real, e.imag)


def is_number(x: Box) -> bool:
    """Whether it stands for a number, as NumPy's reductions return: nothing can be written into that."""
    return not x.spec.shape and isinstance(sample(x), _NUMBERS)


# -- x[index] = v -------------------------------------------------------------------------------------
def setitem(x: Box, index: Any, v: Any) -> None:
    """``x[index] = v``. What shares the memory of ``x`` sees it."""
    if is_number(x):
        raise TypeError(f"'{type(sample(x)).__name__}' object does not support item assignment: it is a number")
    half, steps = _half_of(x) if type(memory_of(x)) is Derived else (None, [])
    if half is not None:
        (prim, _), z, half = half.memory.step, half.memory.parent, twin(current(half))
        seen = half
        for view, params in steps:
            seen = view(seen, **params)
        setitem(seen, index, v)
        set_part(z, half, imaginary=prim is e.imag)
        return
    key, arrays = parsed(x, index)
    if key == (ARRAY,) and type(arrays[0]) is Box and arrays[0].spec.dtype == bool and not spec_of(v).shape:
        # Under vmap every example has a mask of its own.
        (mask,) = arrays
        chosen = e.where(mask[(..., *[None] * (len(x.spec.shape) - len(mask.spec.shape)))], v, x)
        key, arrays, v = Ellipsis, (), declare.astype(chosen, dtype=x.spec.dtype)
    if type(v) is Box:
        if _is_there_already(x, key, arrays, v):
            return
        if v is not x and v.spec is x.spec and _is_all(key) and _lie_alike(sample(x), sample(v)):
            base = _base(x)
            if base is x:
                move(x, current(v))
                was_written(x)
                return
        if v is not x and arrays and Arrays(key, arrays).may_repeat():
            v = _last_of_each(x, key, arrays, v)
    elif isinstance(v, (list, tuple)):
        v = as_array(v, home(x))
    if type(v) is Box and x.spec.dtype.kind in "biu" and v.spec.dtype.kind in "fc":
        v = declare.astype(v, dtype=x.spec.dtype)  # what is cut off to a whole number has no derivative
    _write(x, v, Place, key, arrays)


def _half_of(x: Box) -> tuple[Box | None, list[Step]]:
    """The real or imaginary part that ``x`` is or is a view of, and the steps from there; ``None`` if it is neither."""
    steps: list[Step] = []
    while type(memory := memory_of(x)) is Derived:
        prim, params = memory.step
        if prim in _PARTS:
            return x, steps[::-1]
        if not isinstance(prim, View) or not prim.writable:
            break
        steps.append((prim, params))
        x = memory.parent
    return None, []


def _write(x: Box, v: Any, kind: type[Place], key: Any, arrays: tuple[Any, ...]) -> None:
    """Write ``v`` into ``x`` where the index says, or add it there, as the ``kind`` of place has it."""
    memory = memory_of(x)
    base = _base(x)
    level = innermost_level((base, current(v) if type(v) is Box else v, *arrays))
    assert level is not None and level is not STALE
    level.write(base, v, kind(memory.steps if isinstance(memory, Window) else (), key, arrays))
    was_written(base)


def _base(x: Box) -> Box:
    """The array that owns the memory of ``x``; an error if that can't be written into."""
    memory = memory_of(x)
    if type(memory) is Derived:
        raise ValueError(
            "assignment destination is read-only: the array was made from another one by "
            f"{memory.step[0].name}, and writing into it wouldn't reach that one. Write into a copy, or the other one"
        )
    base = owner_of(x)
    if any(plain() is not None for plain in base_of(base).exported):
        raise UnsupportedError(
            "this array can't be written into any more: numpy.asarray made a plain array of it, which wouldn't see "
            "that. Use gpuad.numpy.asarray, or numpy.array, which makes a copy"
        )
    return base


def _is_all(key: Any) -> bool:
    return key is Ellipsis or (type(key) is slice and key == slice(None))


def _lie_alike(x: Any, v: Any) -> bool:
    """Whether two raw arrays of one shape lie in memory alike: what is a view of the one is one of the other."""
    return not isinstance(v, _NUMBERS) and x.strides == v.strides


def _is_there_already(x: Box, key: Any, arrays: Any, v: Box) -> bool:
    """Whether ``v`` is the view ``x[key]`` itself, as in the second half of ``x[key] += 1``."""
    memory = memory_of(v)
    if arrays or type(memory) is not Window or memory.base is not owner_of(x):
        return False
    return memory.steps == window(x, part, {"key": key}).steps


def _last_of_each(x: Box, key: Any, arrays: tuple[Any, ...], v: Box) -> Any:
    """``v`` for an index that may name entries twice: of these the last counts, and gets the derivative."""
    backend = home(x)
    xp = backend.functions
    nobody = xp.zeros(x.spec.shape, np.intp)
    shape = spec_of(gather(nobody, *arrays, key=key)).shape
    number = xp.arange(int(np.prod(shape))).reshape(shape)
    who = write(nobody, number, *arrays, steps=(), key=key)
    last = gather(who, *arrays, key=key)  # the number of what is there in the end
    flat = s.reshape(declare.broadcast_to(_without_ones(v, len(shape)), shape=shape), shape=(-1,), order="C")
    chosen = gather(flat, last, key=(ARRAY,))
    return e.where(last == number, chosen, e.stop_gradient(chosen))


def _without_ones(v: Box, ndim: int) -> Box:
    """``v`` without axes of length 1 in front that are too many, as NumPy takes it."""
    extra = len(v.spec.shape) - ndim
    return s.reshape(v, shape=v.spec.shape[extra:], order="C") if extra > 0 else v


# -- x += v -------------------------------------------------------------------------------------------
def in_place(name: str, apply: Callable[..., Any]) -> Callable[[Box, Any], Any]:
    """The operator that writes ``apply(x, v)`` into ``x``; for a number a new one, as NumPy's are."""

    def operate(x: Box, v: Any) -> Any:
        result = apply(x, v)
        if result is NotImplemented or is_number(x):
            return result
        write_all(x, result, name)
        return x

    return operate


def write_all(x: Any, result: Any, name: str, casting: str = "same_kind") -> None:
    """Write the result of the function ``name`` into ``x``, which was given for it: ``out=``."""
    if type(x) is not Box:
        raise cannot_hold(name)
    spec = spec_of(result)
    if not np.can_cast(spec.dtype, x.spec.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(
            f"Cannot cast ufunc '{name}' output from {spec.dtype!r} to {x.spec.dtype!r} with casting rule '{casting}'"
        )
    if spec.shape != x.spec.shape and np.broadcast_shapes(spec.shape, x.spec.shape) != x.spec.shape:
        raise ValueError(
            f"{name}: the result has shape {spec.shape}, and the array it is to be written into has {x.spec.shape}"
        )
    setitem(x, Ellipsis, result)


def write_where(name: str, apply: Callable[..., Any], inputs: tuple[Any, ...], where: Any, out: Any) -> Any:
    """Write ``apply(*inputs)`` into ``out`` where the mask ``where`` holds; elsewhere it isn't even computed."""
    if type(out) is not Box:
        raise cannot_hold(name)
    backend, shape = home(out), out.spec.shape
    mask = backend.functions.broadcast_to(backend.asarray(where), shape)
    setitem(out, mask, apply(*(getitem(declare.broadcast_to(as_array(a, backend), shape=shape), mask) for a in inputs)))
    return out


def cannot_hold(name: str) -> UnsupportedError:
    """The error for writing what is traced into a plain array."""
    return UnsupportedError(
        f"{name}: a plain array can't hold a traced value, whose derivative would be lost in silence. Make the array "
        "with gpuad.numpy (zeros, empty, array, ...) inside the differentiated function, where such arrays take "
        "traced values; or put @gpuad.lift above the function, and its own numpy does so with the text unchanged"
    )


def at(ufunc: np.ufunc, known: Callable[..., Any], x: Any, indices: Any, *operands: Any) -> None:
    """``ufunc.at(x, indices, v)``: as often as an entry is named."""
    if type(x) is not Box:
        raise cannot_hold(f"{ufunc.__name__}.at")
    key, arrays = parsed(x, indices)
    if not arrays or not Arrays(key, arrays).may_repeat():
        setitem(x, indices, known(getitem(x, indices), *operands))
        return
    if ufunc in (np.add, np.subtract):
        v = as_array(operands[0], home(x))
        if not np.can_cast(spec_of(v).dtype, x.spec.dtype, "same_kind"):
            raise TypeError(f"{ufunc.__name__}.at: {spec_of(v).dtype} can't be added to an array of {x.spec.dtype}")
        _write(x, v if ufunc is np.add else e.negative(v), Sum, key, arrays)
        return
    region = home(x).functions.empty(x.spec.shape, bool)[Arrays(key, arrays).whole()].shape
    # Round k takes what an entry is named for the k-th time.
    xp = home(x).functions
    places = xp.arange(x.spec.size).reshape(x.spec.shape)[Arrays(key, arrays).whole()].ravel()
    flat = [
        s.reshape(declare.broadcast_to(as_array(v, home(x)), shape=region), shape=(-1,), order="C") for v in operands
    ]
    order = xp.argsort(places, kind="stable")
    ordered = places[order]
    rank = xp.arange(len(ordered)) - xp.searchsorted(ordered, ordered)
    for k in range(int(rank.max()) + 1 if len(ordered) else 0):
        chosen = order[rank == k]
        where = xp.unravel_index(places[chosen], x.spec.shape)
        setitem(x, where, known(getitem(x, where), *(getitem(v, chosen) for v in flat)))


# -- NumPy's functions that write ---------------------------------------------------------------------
def _target(x: Any, name: str) -> Box:
    if type(x) is not Box:
        raise cannot_hold(name)
    return x


@numpy_function("copyto")
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    dst, src = _target(dst, "copyto"), as_array(src, home(dst))
    if not np.can_cast(spec_of(src).dtype, dst.spec.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(
            f"copyto: can't cast array data from {spec_of(src).dtype!r} to {dst.spec.dtype!r} by the rule '{casting}'"
        )
    if where is True:
        setitem(dst, Ellipsis, src)
        return
    setitem(dst, Ellipsis, e.where(where, src, dst))


def _put(a: Box, places: Any, values: Any, chosen: Any = None) -> None:
    """Write ``values``, over and over again, at ``places`` of the flat array: of them, those that are ``chosen``."""
    xp = home(a).functions
    values = s.reshape(as_array(values, home(a)), shape=(-1,), order="C")
    if len(places):
        chosen = (xp.arange(len(places)) if chosen is None else chosen) % spec_of(values).size
        setitem(a, xp.unravel_index(places, a.spec.shape), getitem(values, chosen))


@numpy_function("put")
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    a = _target(a, "put")
    xp = home(a).functions
    places, n = xp.atleast_1d(xp.asarray(ind)).ravel().astype(np.intp), a.spec.size
    if mode == "clip":
        places = xp.clip(places, 0, n - 1)
    elif mode == "raise" and isinstance(places, np.ndarray) and ((places < -n) | (places >= n)).any():
        raise IndexError(f"put: an index is out of bounds for an array of {n} entries")
    _put(a, places % n, v)


def _masked(a: Box, mask: Any) -> Any:
    xp = home(a).functions
    return xp.nonzero(xp.broadcast_to(xp.asarray(mask), a.spec.shape).ravel())[0]


@numpy_function("place")
def place(arr: Any, mask: Any, vals: Any) -> None:
    arr = _target(arr, "place")
    _put(arr, _masked(arr, mask), vals)


@numpy_function("putmask")
def putmask(a: Any, mask: Any, values: Any) -> None:
    a = _target(a, "putmask")
    places = _masked(a, mask)
    _put(a, places, values, places)


@numpy_function("put_along_axis")
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    arr = _target(arr, "put_along_axis")
    if axis is None:
        setitem(arr, home(arr).functions.unravel_index(indices, arr.spec.shape), values)
        return
    axis = range(len(arr.spec.shape))[operator.index(axis)]
    setitem(arr, along_axis(arr, indices, axis), values)


def along_axis(arr: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    """The index that takes ``indices`` along an axis, and each of the others as it goes."""
    shape = spec_of(arr).shape
    if indices.ndim != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    asarray = home(arr).asarray
    index = [asarray(np.arange(n).reshape((n,) + (1,) * (len(shape) - i - 1))) for i, n in enumerate(shape)]
    index[axis] = indices
    return tuple(index)


@numpy_function("fill_diagonal")
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    a = _target(a, "fill_diagonal")
    shape = a.spec.shape
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    places = np.zeros(shape, bool)
    np.fill_diagonal(places, True, wrap)
    _put(a, home(a).asarray(np.flatnonzero(places)), val)


def flat(x: Box) -> Any:
    """``x.flat``: the entries in one axis, a view. One that can't be written into if they don't lie in that order."""
    y = s.reshape(x, shape=(-1,), order="C")
    if memory_of(y) is None and not is_number(x):
        y.memory = Derived(x, (s.reshape, {"shape": (-1,), "order": "C"}))
    return y


def set_part(x: Box, value: Any, *, imaginary: bool) -> None:
    """``x.real = value``, or ``x.imag = value``."""
    if x.spec.dtype.kind != "c":
        if imaginary:
            raise TypeError("array does not have imaginary part to set")
        setitem(x, Ellipsis, value)
        return
    prim, other = _PARTS[::-1] if imaginary else _PARTS
    memory = memory_of(value) if type(value) is Box else None
    if type(memory) is Derived and memory.parent is x and memory.step[0] is prim:
        return  # it is there already, as in the second half of x.real *= 2
    stays = other(x)
    value = declare.astype(as_array(value, home(x)), dtype=stays.spec.dtype)
    setitem(x, Ellipsis, e.with_parts(stays, value) if imaginary else e.with_parts(value, stays))


def reshaped_in_place(x: Box, shape: Any) -> None:
    """``x.shape = shape``, for an array that shares its memory with none."""
    if memory_of(x) is not None:
        raise UnsupportedError("x.shape = ... on a traced array with views isn't supported; write x = x.reshape(shape)")
    move(x, s.reshape(x, shape=as_shape(shape), order="C"))

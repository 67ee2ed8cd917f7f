"""The traced array: a value, the transformation that watches it, and its place there.

A ``Box`` wraps a raw array, or a ``Box`` of a transformation further out. Its operators and methods
are installed by ``gpuad.array_methods``, once the primitives that they call exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import owner_of_type
from ..errors import UnsupportedError
from ..fused.pending import Pending, settle

if TYPE_CHECKING:
    from .level import Level


class Spec:
    """Shape and dtype of an array. Equal specs are one object, so they are compared with ``is``."""

    __slots__ = ("differentiable", "dtype", "item", "numbers", "shape", "size")
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int
    differentiable: bool
    #: What ``number`` has made.
    numbers: dict[float, np.ndarray[Any, Any]]
    #: The spec of ``x[i]`` for an integer, once that was needed.
    item: Spec | None

    def number(self, y: float) -> Any:
        """A Python number as a 0-d NumPy array of this dtype.

        NumPy makes one at every call, which takes longer than multiplying ten entries by it.
        """
        if not y:  # 0.0 and -0.0 are one key, but not one number
            return y
        if len(self.numbers) >= _NUMBERS_KEPT:
            self.numbers.clear()
        ready = np.array(y, self.dtype)
        ready.flags.writeable = False
        self.numbers[y] = ready
        return ready

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


_specs: dict[tuple[tuple[int, ...], np.dtype[Any]], Spec] = {}
_NUMBERS_KEPT = 64
_SPECS_KEPT = 4096  # a program whose shapes vary without end must not grow this table without end


def has_derivatives(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of this dtype vary smoothly: the floating-point and the complex ones."""
    return dtype.kind in "fc" or dtype.name == "bfloat16"  # which NumPy takes for a kind of bytes


def make_spec(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Spec:
    """The one ``Spec`` of this shape and dtype."""
    found = _specs.get((shape, dtype))
    if found is None:
        found = Spec()
        found.shape, found.dtype, found.size = shape, dtype, math.prod(shape)
        found.numbers, found.item = {}, None
        found.differentiable = has_derivatives(dtype)
        if len(_specs) >= _SPECS_KEPT:
            _specs.clear()  # specs that are still in use merely cease to be identical to new ones
        found = _specs.setdefault((shape, dtype), found)
    return found


_SCALAR_DTYPES = {
    bool: np.dtype(bool),
    int: np.dtype(int),
    float: np.dtype(float),
    complex: np.dtype(complex),
}


def c_strides(spec: Spec) -> tuple[int, ...]:
    """The strides, in bytes, of an array in C order."""
    strides, size = [], spec.dtype.itemsize
    for n in reversed(spec.shape):
        strides.append(size)
        size *= n
    return tuple(reversed(strides))


def spec_of(x: Any) -> Spec:
    """Shape and dtype of a traced or raw array, a scalar, or a spec."""
    kind = type(x)
    if kind is Box:
        return x.spec  # type: ignore[no-any-return]
    if kind is Spec:
        return x  # type: ignore[no-any-return]
    if kind in _SCALAR_DTYPES:
        return make_spec((), _SCALAR_DTYPES[kind])
    try:
        return _specs.get((x.shape, x.dtype)) or make_spec(x.shape, x.dtype)
    except AttributeError:
        raise TypeError(f"expected an array or a number, got {kind.__name__}") from None


class Box:
    """An array that a running transformation traces. Programs meet it as an ordinary array."""

    __slots__ = ("__weakref__", "index", "level", "memory", "spec", "value")
    value: Any
    level: Level
    #: What the level knows of it: a tape the place of its cotangent, forward mode its tangent.
    index: Any
    spec: Spec
    #: How it shares memory with others: see ``core.memory``. Not set while nothing does.
    memory: Any

    #: What ``isinstance`` goes by: a program that asks goes the way that it goes with the plain array.
    __class__ = property(lambda self: _class_of(self))


def _class_of(x: Any) -> type:
    raw = sample(x)
    cls = type(raw)
    backend = owner_of_type(cls)
    if backend is None or not backend.lends_its_class:
        return cls if backend is None else Box
    if isinstance(raw, Pending):
        return backend.eager.array_types[0] if raw.shape else raw.dtype.type
    return cls


def make_box(value: Any, level: Level, index: Any, spec: Spec) -> Box:
    box = Box()
    box.value = value
    box.level = level
    box.index = index
    box.spec = spec
    return box


def twin(x: Box) -> Box:
    """Another box of the same array, at the place where it is now."""
    return make_box(x.value, x.level, x.index, x.spec)


def apart(x: Any) -> Any:
    """``x`` as a program may have it that writes into what it has, while rules still read ``x``."""
    if type(x) is Box:
        return twin(x)
    return x.copy(order="K") if owner_of_type(type(x)) is not None and not isinstance(x, np.generic) else x


def move(x: Box, y: Box) -> None:
    """Let the box ``x`` be the array ``y`` from now on."""
    x.value, x.level, x.index, x.spec = y.value, y.level, y.index, y.spec


def innermost(x: Any) -> Any:
    """The raw value at the bottom of a traced array (itself, if it isn't traced)."""
    return answer(x, itself)


def is_recorded(x: Any) -> bool:
    """Whether nothing but a record watches ``x``: its value may be had, and will be asked for again."""
    return type(x) is Box and x.level.recorded


def itself(x: Any) -> Any:
    return x


def answer(x: Any, question: Callable[[Any], Any]) -> Any:
    """``question(innermost(x))``: what a program learns of a value, by which it may go another way."""
    while type(x) is Box:
        if x.level.batched:
            raise UnsupportedError(
                "a program under gpuad.vmap asked for the value of an array, as a branch, a Python number or a length "
                "does, but that differs from example to example. Choose with numpy.where(condition, a, b) or "
                "gpuad.numpy.select instead of if; or call the function example by example"
            )
        if x.level.recorded:
            return x.level.answer(x, question)
        x = x.level.constant(x) if x.level.stale else x.value
    return question(settle(x) if isinstance(x, Pending) else x)


def bottom(x: Any) -> Any:
    """The same for what is asked about all examples together: under ``vmap`` it is all of them."""
    while type(x) is Box:
        if x.level.recorded:
            return x.level.answer(x, itself)
        x = x.level.constant(x) if x.level.stale else x.value
    return settle(x) if isinstance(x, Pending) else x


def sample(x: Any) -> Any:
    """A raw array like the one at the bottom of ``x``: for its backend, its class and how it lies in memory.

    It is that array itself (which may not be computed yet), but where ``x`` is one of many examples it is the first
    of them.
    """
    examples = 0
    while type(x) is Box:
        examples += x.level.batched
        x = x.level.constant(x) if x.level.stale else x.value
    if not examples:
        return settle(x) if isinstance(x, Pending) and x.value is not None else x
    if 0 in x.shape[:examples]:
        return x.sum(axis=tuple(range(examples)), dtype=x.dtype)
    return x[(0,) * examples]

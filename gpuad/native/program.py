"""A small program as the C backend sees it: statements on strided views of memory.

Every value is a ``Ref``, a view of a ``Storage``; what only looks at an array in another way (a slice, a transpose,
broadcasting) is a ``Ref`` and no statement. All lengths and strides are known. Statements run as if one after another.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..fused.pending import Apply

DType = np.dtype[Any]


class Storage:
    """Memory with entries of one dtype.

    ``kind``: ``"array"`` or ``"number"``, the ``index``-th that the caller gives; ``"constant"``, at the ``index``-th
    byte of those; ``"result"``, the ``index``-th; or ``"inner"``, which nobody sees.
    """

    __slots__ = ("dtype", "index", "kind", "number", "size")

    def __init__(self, number: int, kind: str, dtype: DType, size: int, index: int = 0) -> None:
        self.number, self.kind, self.dtype, self.size, self.index = number, kind, dtype, size, index


class Ref(NamedTuple):
    """A view: of the ``storage`` of that number, with offset and strides in entries."""

    storage: int
    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...]

    def spread(self, shape: tuple[int, ...]) -> Ref:
        """Broadcast. Along an axis of length 1 the stride is 0: so equal views are equal."""
        new = len(shape) - len(self.shape)
        strides = tuple([s if n != 1 else 0 for s, n in zip(self.strides, self.shape, strict=True)])
        return Ref(self.storage, self.offset, (0,) * new + strides, shape)

    def has_strides(self, strides: tuple[int, ...]) -> bool:
        """Whether it goes through memory like that; strides along axes of length 1 don't count."""
        return all(n == 1 or a == b for a, b, n in zip(self.strides, strides, self.shape, strict=True))


class Map(NamedTuple):
    """``out[i] = apply(*[x[i] for x in ins])`` for all ``i``; all of one shape."""

    apply: Apply
    out: Ref
    ins: tuple[Ref, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.out.shape

    @property
    def reads(self) -> tuple[Ref, ...]:
        return self.ins


class Fold(NamedTuple):
    """``x`` summed up (``how`` is ``"add"``), or its largest or smallest entries (``"maximum"``, ``"minimum"``): over
    the axes along which ``out``, of the same shape, has the stride 0."""

    how: str
    x: Ref
    out: Ref

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    @property
    def reads(self) -> tuple[Ref, ...]:
        return (self.x,)


class Product(NamedTuple):
    """The matrix product of the last two axes, for each index of those before."""

    x: Ref
    y: Ref
    out: Ref

    @property
    def reads(self) -> tuple[Ref, ...]:
        return self.x, self.y


class At(NamedTuple):
    """An axis along which a place is told by whole numbers in memory: from its end if they are negative.

    ``length`` and ``step`` are those of the axis, and ``axis`` its number, for the error if a place is outside.
    """

    numbers: Ref
    length: int
    step: int
    axis: int


class Indexed(NamedTuple):
    """Entry by entry, one after another: ``out = x``, or ``out += x`` if ``how`` is ``"add"``.

    ``at`` says where, from what is given: ``x`` is read there if ``how`` is ``"read"``, else ``out`` is written there.
    """

    how: str
    x: Ref
    out: Ref
    at: tuple[At, ...]

    @property
    def reads(self) -> tuple[Ref, ...]:
        return (self.x, *[at.numbers for at in self.at])


class Running(NamedTuple):
    """Along ``axis`` the first entry of ``out`` is that of ``ins[0]``, and every other one is made by ``scalar`` of the
    one before and of the entries of ``ins``."""

    scalar: str
    out: Ref
    ins: tuple[Ref, ...]
    axis: int

    @property
    def reads(self) -> tuple[Ref, ...]:
        return self.ins


Statement = Map | Fold | Product | Indexed | Running


class Program:
    """Statements, and the memory that they are about."""

    def __init__(self) -> None:
        self.storages: list[Storage] = []
        self.statements: list[Statement] = []
        #: The bytes of all constants.
        self.constants = bytearray()
        self._numbers: dict[Any, Ref] = {}

    def storage(self, kind: str, dtype: DType, size: int, index: int = 0) -> int:
        self.storages.append(Storage(len(self.storages), kind, dtype, size, index))
        return len(self.storages) - 1

    def array(self, shape: tuple[int, ...], dtype: DType, strides: tuple[int, ...] | None = None) -> Ref:
        """A new inner array, in rows unless the strides (in entries) say how else it lies without gaps."""
        number = self.storage("inner", dtype, math.prod(shape))
        return Ref(number, 0, strides if strides is not None else rows(shape), shape)

    def constant(self, x: Any, dtype: DType) -> Ref:
        """A constant array or number."""
        entries = np.asarray(x, dtype)
        key = (dtype, entries.tobytes()) if not entries.ndim else None
        if key in self._numbers:
            return self._numbers[key]
        self.constants += bytes(-len(self.constants) % 64 if entries.ndim else -len(self.constants) % dtype.itemsize)
        at = len(self.constants)
        self.constants += entries.tobytes()
        ref = Ref(self.storage("constant", dtype, entries.size, at), 0, rows(entries.shape), entries.shape)
        if key is not None:
            self._numbers[key] = ref
        return ref

    def dtype(self, ref: Ref) -> DType:
        return self.storages[ref.storage].dtype


def rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in entries, of an array in rows."""
    strides, size = [], 1
    for n in reversed(shape):
        strides.append(size)
        size *= n
    return tuple(reversed(strides))


def is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the entries lie in memory without gaps, and each once."""
    size = 1
    for stride, n in sorted((s, n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if stride != size:
            return False
        size *= n
    return True


def ends(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Where the lowest and the highest entry lie, from the one at index 0."""
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return sum(s for s in steps if s < 0), sum(s for s in steps if s > 0)

"""Memory for the arrays in between: which step writes into which buffer, by how long its result is needed."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..core.record import Step, Value

#: Smaller results are left to NumPy's own allocator, which is as fast.
LEAST = 4096


class Buffer(NamedTuple):
    """The array ``number``: a part of the memory block ``block`` from its start."""

    number: int
    block: int
    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...]


class Sharing:
    """Which values lie in the same memory: every value goes back to those that own it."""

    def __init__(self, values: dict[int, Value], find: Callable[[int], int]) -> None:
        self.values, self.find = values, find
        self._owners: dict[int, frozenset[int]] = {}

    def owners(self, place: int) -> frozenset[int]:
        known = self._owners.get(place)
        if known is not None:
            return known
        # Chains of views may be long: no recursion.
        stack = [place]
        while stack:
            here = stack[-1]
            shares = [self.find(s) for s in self.values[here].shares]
            open_ones = [s for s in shares if s not in self._owners and s != here]
            if open_ones:
                stack += open_ones
                continue
            found = frozenset().union(*(self._owners[s] for s in shares if s != here))
            self._owners[here] = found or frozenset((here,))
            stack.pop()
        return self._owners[place]


class Plan:
    """Buffers for the results of ``steps``; those in ``kept`` outlive the call, and those of ``able`` steps alone
    can be written into a given array."""

    def __init__(
        self, steps: list[Step], values: dict[int, Value], sharing: Sharing, kept: Iterable[int],
        able: Callable[[Step], bool], elementwise: Callable[[Step], bool], retains: Callable[[Step], bool],
    ) -> None:  # fmt: skip
        self.buffers: list[Buffer] = []
        self.of: dict[int, int] = {}
        self.sizes: list[int] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self.last = self._last_uses(steps, sharing)
        held = {owner for place in kept for owner in sharing.owners(place)}
        for step in steps:
            if retains(step):
                held |= {owner for place in (*step.args, *step.outs) for owner in sharing.owners(place)}
        free: list[tuple[int, int]] = []
        ends: dict[int, list[int]] = {}
        block_of: dict[int, int] = {}
        for i, step in enumerate(steps):
            (out, *more) = step.outs
            value = values[out]
            wanted = not more and out not in held and able(step) and _is_compact(value) and not value.shares
            gone = ends.pop(i, [])
            reused = None
            if wanted and elementwise(step):
                for owner in gone:
                    mine = values[owner]
                    if owner in step.args and mine.spec is value.spec and mine.strides == value.strides:
                        reused = owner
                        break
            if reused is not None:
                gone.remove(reused)
                block: int | None = block_of.pop(reused)
            else:
                block = self._take(free, value.spec.size * value.spec.dtype.itemsize) if wanted else None
            for owner in gone:
                insort(free, (self.sizes[block_of[owner]], block_of.pop(owner)))
            if block is not None and wanted:
                self.of[out] = self._number(block, value)
                block_of[out] = block
                end = self.last.get(out, i)
                if end > i:
                    ends.setdefault(end, []).append(out)
                else:
                    insort(free, (self.sizes[block], block_of.pop(out)))

    @staticmethod
    def _last_uses(steps: list[Step], sharing: Sharing) -> dict[int, int]:
        last: dict[int, int] = {}
        for i, step in enumerate(steps):
            for a in step.args:
                for owner in sharing.owners(a):
                    last[owner] = i
        return last

    def _take(self, free: list[tuple[int, int]], size: int) -> int:
        """A free block, of those sorted by size: the smallest that is large enough, else the largest, made larger."""
        k = bisect_left(free, (size, 0))
        if not free:
            self.sizes.append(size)
            return len(self.sizes) - 1
        _, block = free.pop(min(k, len(free) - 1))
        self.sizes[block] = max(size, self.sizes[block])
        return block

    def _number(self, block: int, value: Value) -> int:
        assert value.strides is not None
        key = block, value.spec, value.strides
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self.buffers)
            self.buffers.append(Buffer(known, block, value.spec.shape, value.spec.dtype, value.strides))
        return known

    @property
    def nbytes(self) -> int:
        return sum(self.sizes)

    def make(self) -> tuple[Any, ...]:
        """The arrays, in fresh memory. They belong to one call at a time."""
        blocks = [np.empty(size, np.uint8) for size in self.sizes]
        return tuple([np.ndarray(b.shape, b.dtype, blocks[b.block], 0, b.strides) for b in self.buffers])


def _is_compact(value: Value) -> bool:
    """Whether an array is large, and lies in memory without gaps."""
    spec, strides = value.spec, value.strides
    if strides is None or spec.size * spec.dtype.itemsize < LEAST or spec.dtype.hasobject:
        return False
    size = spec.dtype.itemsize
    for stride, n in sorted((s, n) for s, n in zip(strides, spec.shape, strict=True) if n != 1):
        if stride != size:
            return False
        size *= n
    return size == math.prod(spec.shape) * spec.dtype.itemsize

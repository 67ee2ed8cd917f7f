"""Which kernels a stretch of a recorded program has on a device: found out once, before it is replayed.

A replay does the same every time, so what waits in it always comes to the same kernels. To learn which, the stretch is
gone through with arrays of the right shapes that hold nothing in particular, and no kernel is run. What a kernel would
read and write is told by the memory in which its arrays lie.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ..backend import cupy_backend
from ..backend.cupy_backend import CupyBackend
from ..core.record import PythonOperator, Step, Value
from ..fused import launch
from ..fused.pending import DevicePending, Pending, leaf, rehearsing, replaying, settle, settle_all
from ..fused.plan import Call

_backend = cast(CupyBackend, cupy_backend)


class Unknown(Exception):
    """It can't be found out beforehand what is done: something comes from nowhere that is known."""


class Where(NamedTuple):
    """An array by what it lies in: a value's memory, by its number, or that of a kernel's output; and how."""

    base: int | tuple[str, int]
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]


class Launch(NamedTuple):
    """A kernel and what it is run on; a number is a Python number, or ``Given``. ``outputs`` lie in memory of theirs,
    which is called as in ``Where``."""

    kernel: Any
    lengths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    reads: tuple[Where, ...]
    numbers: tuple[Any, ...]
    outputs: tuple[Where, ...]


class Given(NamedTuple):
    """The number that a value is."""

    place: int


def lying(shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...]) -> Any:
    """An array that lies so, with anything in it."""
    reach = [s * (n - 1) for s, n in zip(strides, shape, strict=True)] if 0 not in shape else []
    before = -sum(r for r in reach if r < 0)
    memory = _backend.xp.cuda.alloc(before + sum(r for r in reach if r > 0) + dtype.itemsize)
    return _backend.xp.ndarray(shape, dtype, memory + before, strides)


def as_lying(x: Any, strides: tuple[int, ...]) -> Any:
    """``x``, copied if it doesn't lie so."""
    if x.strides == strides:
        return x
    y = lying(x.shape, x.dtype, strides)
    y[...] = x
    return y


class Rehearsal:
    """What ``steps`` do if the values ``waits`` wait to be computed.

    ``at``: the kernels before each step, and in the end. ``where``: what of it others need. ``done``: results that
    should have waited, but which the library computes. ``given`` are the inputs and what other stretches have handed
    on, by number: of these the kinds count alone.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        values: dict[int, Value],
        waits: set[int],
        kept: set[int],
        given: dict[int, Any],
    ) -> None:
        self.values, self.waits, self.given = values, waits, given
        self.at: list[list[Launch]] = [[] for _ in range(len(steps) + 1)]
        self.where: dict[int, Where] = {}
        self.done: set[int] = set()
        #: How the values lie in whose memory something is.
        self.lies: dict[int, tuple[int, ...]] = {}
        self._now = 0
        self._outputs = 0
        self._numbers: dict[Any, int] = {}
        self._env: dict[int, Any] = {}
        last = {a: i for i, step in enumerate(steps) for a in step.args}
        tokens = rehearsing.set(True), replaying.set(True), launch.rehearsal.set(self._note)
        try:
            with _backend.knowing_memory():
                for i, step in enumerate(steps):
                    self._now = i
                    self._go(step)
                    for a in dict.fromkeys((*step.args, *step.outs)):
                        if last.get(a, -1) <= i and a not in kept:
                            self._env.pop(a, None)
                self._now = len(steps)
                self._settle(sorted(kept))
        finally:
            launch.rehearsal.reset(tokens[2])
            replaying.reset(tokens[1])
            rehearsing.reset(tokens[0])
            self._env.clear()

    def _go(self, step: Step) -> None:
        out = step.outs[0]
        if out not in self.waits:
            self._settle(step.args)
            for out in step.outs:
                self._env[out] = self._standin(out, step.backend is _backend, type(step.prim) is PythonOperator)
            return
        ans = step.prim(*[self._value(a) for a in step.args], **step.params)
        if not isinstance(ans, Pending):
            ans = leaf(DevicePending, ans)
        if ans.value is not None and self._find(ans.value) is None:
            self._settle(step.args)  # for the library computes it
            self.done.add(out)
            self._name(ans.value, out)
            self.where[out] = self._known(ans.value)
        self._env[out] = ans

    # -- what stands in for values
    def _value(self, place: int) -> Any:
        found = self._env.get(place)
        if place not in self._env:
            raw = self.values[place].raw
            if raw is not None and self.values[place].strides is None:
                return raw
            given = raw if raw is not None else self.given[place]
            on_device = not isinstance(given, (np.ndarray, np.generic, int, float, complex))
            found = self._env[place] = self._standin(place, on_device, type(given) in (float, complex))
        if found is None:
            raise Unknown
        return found

    def _standin(self, place: int, on_device: bool, pythons: bool) -> Any:
        """``None`` for what kernels can't be told of: arrays of NumPy's, whole numbers, those of few digits."""
        spec, strides, *_ = self.values[place]
        if strides is not None:
            if not on_device:
                return None
            x = lying(spec.shape, spec.dtype, strides)
            self._name(x, place)
            return leaf(DevicePending, x)
        if spec.dtype.char not in "dD":
            return None
        # A number that the program has nowhere else, so that it is known again.
        number: Any = random.random() + 1
        if spec.dtype.char == "D":
            number = complex(number, random.random() + 1)
        self._numbers[number] = place
        return number if pythons else spec.dtype.type(number)

    # -- what lies where
    def _name(self, x: Any, base: int | tuple[str, int]) -> None:
        memory = _backend.memory_of(x)
        if memory is None or memory.name is not None:
            raise Unknown
        memory.name = base, x.data.ptr
        if isinstance(base, int):
            self.lies[base] = x.strides

    def _find(self, x: Any) -> Where | None:
        memory = _backend.memory_of(x)
        if memory is None or memory.name is None:
            return None
        base, start = memory.name
        return Where(base, x.data.ptr - start, x.shape, x.dtype, x.strides)

    def _known(self, x: Any) -> Where:
        found = self._find(x)
        if found is None:
            raise Unknown
        return found

    def _settle(self, places: Sequence[int]) -> None:
        waiting = [place for place in places if place in self._env and place in self.waits]
        settle_all([self._env[place] for place in waiting])
        for place in waiting:
            self.where.setdefault(place, self._known(settle(self._env[place])))

    def _note(self, kernel: Any, call: Call) -> None:
        """Of a kernel that would be run."""
        reads = tuple([self._known(a) for a in call.arrays])
        numbers = tuple([Given(self._numbers[n]) if n in self._numbers else n for n in call.numbers])
        for out in call.outputs:
            memory = _backend.memory_of(out)
            if memory is None or memory.size != out.nbytes:
                raise Unknown  # it is a part of something
            self._name(out, ("m", self._outputs))
            self._outputs += 1
        outputs = tuple([self._known(out) for out in call.outputs])
        self.at[self._now].append(Launch(kernel.run, call.lengths, call.strides, reads, numbers, outputs))

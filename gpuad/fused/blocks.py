"""Plans run on the CPU by NumPy, where there is no compiler or too little work for one.

The grid is cut into blocks that the cache has room for, and for each the steps are calls of NumPy's functions that
write into scratch memory used over and over (``block_code``). So large arrays are read and written once. How the
grid is cut follows from the plan and the lengths of the loops alone: the same call gives the same bits.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from .block_code import Namespace, Register, generate
from .plan import Call, Operand, Plan

#: Bytes of an array's part in a block: few enough that what is read, written and in between stays in a cache, and so
#: many that NumPy's 0.3 µs for a call are little beside the work. A quarter of it costs 1.3 to 2 times as much.
BLOCK = 1 << 17
#: A thread keeps no more scratch memory than this for the next call; what rows longer than a block need beyond it is
#: given back.
KEPT = 1 << 23

_Array = np.ndarray[Any, Any]


def compile(plan: Plan, namespace: Namespace) -> Blocks:
    """What runs ``plan`` on NumPy arrays: call it with a ``Call``, and its outputs have been written.

    ``namespace`` gives the function of a primitive's name. Ufuncs write where they are told; what others return is
    copied. Nothing is warned of that NumPy would warn of, as divisions by zero. Sums are added up in pairs within a
    block, float16 and float32 in float64.
    """
    return Blocks(plan, namespace)


class Blocks:
    """A plan for NumPy. ``code.text`` is the Python that runs."""

    def __init__(self, plan: Plan, namespace: Namespace) -> None:
        self.plan = plan
        self.code = generate(plan, namespace)
        folds = any(step.fold is not None for step in plan.steps)
        self._rows = folds or any(output.per_row for output in plan.outputs)

    def __call__(self, call: Call) -> None:
        lengths, code = call.lengths, self.code
        operands = [_view(*given, lengths) for given in zip(self.plan.operands, call.arrays, call.strides, strict=True)]
        # What is written into an operand's own memory mustn't be read as the operand by a later step.
        memory = {_address(array) for array in call.arrays}
        outputs: list[Any] = []
        for target, how in zip(call.outputs, code.sums, strict=True):
            if how is None:
                outputs.append(np.empty_like(target) if _address(target) in memory else target)
            else:
                outputs.append(np.zeros(target.shape, how) if target.ndim else [])
        with np.errstate(all="ignore"):
            numbers = [np.asarray(n).astype(dtype) for n, dtype in zip(call.numbers, self.plan.numbers, strict=True)]
            code.function(self._blocks(lengths), operands, numbers, outputs)
            for target, output, how in zip(call.outputs, outputs, code.sums, strict=True):
                if output is not target:
                    total = np.add.reduce(np.array(output, how)) if type(output) is list else output
                    real = target.dtype.kind != "c" and total.dtype.kind == "c"
                    np.copyto(target, total.real if real else total, casting="unsafe")

    def _blocks(self, lengths: tuple[int, ...]) -> Iterator[Any]:
        """One entry at a time of the loops before ``split``, ``step`` of that, all of the others."""
        split, step = self._cut(lengths)
        rest = (slice(None),) * (len(lengths) - split - 1)
        if split < 0:
            with _scratch(self.code.registers, lengths) as registers:
                yield rest, lengths, registers
            return
        n, before, after = lengths[split], (1,) * split, lengths[split + 1 :]
        with _scratch(self.code.registers, (*before, step, *after)) as registers:
            fewer = [r[(slice(None),) * split + (slice(n % step),)] for r in registers]
            for outer in itertools.product(*map(range, lengths[:split])):
                head = tuple([slice(i, i + 1) for i in outer])
                for i in range(0, n, step):
                    size = min(step, n - i)
                    here = registers if size == step else fewer
                    yield (*head, slice(i, i + size), *rest), (*before, size, *after), here

    def _cut(self, lengths: tuple[int, ...]) -> tuple[int, int]:
        """Where to cut: a block takes as many loops whole as it has room for, and a row where rows have values."""
        dtypes = [*(o.dtype for o in self.plan.operands), *(r.dtypes[0] for r in self.code.registers)]
        room = BLOCK // max([dtype.itemsize for dtype in dtypes], default=1)
        inner, split = 1, len(lengths) - 1
        while split >= 0 and (inner * lengths[split] <= room or (self._rows and split == len(lengths) - 1)):
            inner *= lengths[split]
            split -= 1
        if split < 0:
            return split, 0
        parts = -(-lengths[split] // max(room // inner, 1))
        return split, -(-lengths[split] // parts)


def _address(array: _Array) -> Any:
    return array.__array_interface__["data"][0]


def _view(operand: Operand, array: _Array, strides: tuple[int, ...], lengths: tuple[int, ...]) -> _Array:
    """An operand over the loops, of length 1 along those that it is broadcast along."""
    shape = tuple([n if stride != 0 else 1 for n, stride in zip(lengths, operand.strides, strict=True)])
    if 0 in lengths:
        return np.zeros(shape, array.dtype)  # an array without entries may be broadcast, so that one would be read
    size = array.dtype.itemsize
    in_bytes = tuple([stride * size for stride in strides])
    if array.shape == shape and array.strides == in_bytes:
        return array if type(array) is np.ndarray else array.view(np.ndarray)
    if array.flags.c_contiguous and array.dtype.kind in "biufc":  # as_strided takes several times as long
        return np.ndarray(shape, array.dtype, array, 0, in_bytes)
    return np.lib.stride_tricks.as_strided(array, shape, in_bytes, writeable=False)


# -- scratch memory ----------------------------------------------------------------------------------
class _Kept(threading.local):
    memory: _Array | None = None


_kept = _Kept()
#: Registers begin so many bytes after a multiple of a page, in turn: the cache has few places for equal addresses.
_APART = 256


@contextlib.contextmanager
def _scratch(registers: list[Register], shape: tuple[int, ...]) -> Iterator[list[_Array]]:
    """The registers for blocks of that shape, each once for every dtype that it holds."""
    shapes = [tuple([n if along else 1 for n, along in zip(shape, r.extent, strict=True)]) for r in registers]
    places = [0]
    for r, its_shape in zip(registers, shapes, strict=True):
        size = math.prod(its_shape) * r.dtypes[0].itemsize
        places.append(places[-1] + -(-size // _APART) * _APART + _APART)
    memory, _kept.memory = _kept.memory, None  # so that a call from a signal handler gets its own
    if memory is None or memory.nbytes < places[-1]:
        memory = np.empty(places[-1], np.uint8)
    try:
        yield [
            np.ndarray(its_shape, dtype, memory, place)
            for r, its_shape, place in zip(registers, shapes, places, strict=False)
            for dtype in r.dtypes
        ]
    finally:
        if memory.nbytes <= KEPT:
            _kept.memory = memory

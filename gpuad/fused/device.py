"""Runs plans on a CUDA device.

Everything that follows from lengths, strides and alignment is decided when they are first seen: which variant of which
kernels, grids of threads, the constants in the kernels' parameters. A later launch looks that up, writes pointers and
numbers into the parameter, and hands it to the driver: two dictionary look-ups, one ``pack_into`` and one call of CuPy.

Kernels are compiled by CuPy when they are first needed, which keeps the machine code in files: ``CUPY_CACHE_DIR``, by
default ``~/.cupy/kernel_cache``, under a hash of the source, the options, the device's architecture and the version
of NVRTC. The source has all headers in it, so that a change of one makes it another.
"""

from __future__ import annotations

import functools
import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ..backend import cupy_backend
from ..backend.cupy_backend import CupyBackend
from . import cuda_source
from .cuda_parts import Part, parts, sum_dtype, totals
from .cuda_text import Variant
from .cuda_types import check
from .plan import Call, DType, Plan

#: Places in arrays below this are counted in 32 bits, with room for a stride of the whole grid.
SHORT = (1 << 31) - (1 << 25)
#: Threads of a block, and at most where there are folds.
THREADS, ROW_THREADS = 256, 512
#: Blocks of THREADS that a multiprocessor has at once, and so many times that for work that isn't split into sums.
AT_ONCE, WAVES = 8, 4
#: A sum is split among blocks, at most so many, when threads would have more points than this: a second kernel costs
#: some microseconds. Both are such that partial sums are added up by one kernel.
SPLITS, POINTS_PER_THREAD = 1024, 32
#: So many 4-byte registers of a thread may hold its share of a row.
HELD_REGISTERS = 64
#: Prepared launches of a plan, and compiled plans, that are remembered.
SHAPES, PLANS = 64, 512

_backend = cast(CupyBackend, cupy_backend)

Lengths = tuple[int, ...]
Strides = tuple[tuple[int, ...], ...]


def compile(plan: Plan, cupy: Any) -> Kernel:
    """What runs ``plan`` on the arrays of ``cupy``: call it with a ``Call``, and its outputs will have been written
    when work that is enqueued later on the current stream begins.

    The same for equal plans. An output may be the memory of an operand that lies there in the same way, if the plan
    has neither folds nor sums. ``NotImplementedError`` for a dtype or a function that the kernels haven't.
    """
    return _compiled(plan, cupy.cuda.alloc)


@functools.lru_cache(PLANS)
def _compiled(plan: Plan, alloc: Any) -> Kernel:
    return Kernel(plan, alloc)


@functools.lru_cache(4 * PLANS)
def _loaded(part: Part, variant: Variant) -> tuple[Any, tuple[str, ...]]:
    kernel = cuda_source.source(part, variant)
    return _backend.load_kernel(kernel.source, kernel.name), kernel.fields


class Kernel:
    """A plan, ready to be run."""

    def __init__(self, plan: Plan, alloc: Any) -> None:
        self.plan, self.alloc = plan, alloc
        self.parts = parts(plan)
        for part in self.parts:
            check(part.plan)
        #: Operands that may be read many entries at a time.
        self._wide = [k for k, o in enumerate(plan.operands) if o.strides[-1] == 1]
        self._plain = all(d.kind == "f" for d in plan.numbers)  # which `struct` takes as they are
        self._prepared: dict[tuple[Lengths, Strides, bool], list[Launch]] = {}

    def __call__(self, call: Call) -> None:
        pointers, outputs = [a.data.ptr for a in call.arrays], [o.data.ptr for o in call.outputs]
        self.at(call.lengths, call.strides)(pointers, call.numbers, outputs)

    def at(self, lengths: Lengths, strides: Strides) -> Callable[[list[int], Sequence[Any], list[int]], None]:
        """What runs it on arrays that lie so: of pointers to these, Python numbers, and pointers to the outputs."""
        if self._plain:
            return functools.partial(self.run, lengths, strides)
        dtypes = self.plan.numbers
        return lambda pointers, numbers, outputs: self.run(lengths, strides, pointers, _flat(numbers, dtypes), outputs)

    def run(
        self, lengths: Lengths, strides: Strides, pointers: list[int], numbers: Sequence[Any], outputs: list[int]
    ) -> None:
        """The same with addresses in place of arrays; ``numbers`` as they stand in the kernel's parameter."""
        bits = 0
        for k in self._wide:
            bits |= pointers[k]
        for pointer in outputs:
            bits |= pointer
        key = (lengths, strides, not bits & 15)
        launches = self._prepared.get(key)
        if launches is None:
            if len(self._prepared) >= SHAPES:
                self._prepared.clear()
            launches = self._prepared[key] = [Launch(part, self.plan, self.alloc, *key) for part in self.parts]
        for launch in launches:
            launch(pointers, numbers, outputs)


def _flat(numbers: Sequence[Any], dtypes: Sequence[DType]) -> list[Any]:
    """Numbers as ``struct`` takes them: a complex one is two."""
    flat: list[Any] = []
    for number, dtype in zip(numbers, dtypes, strict=True):
        if dtype.kind == "c":
            number = complex(number)
            flat += (number.real, number.imag)
        else:
            flat.append(int(number) if dtype.kind in "biu" else float(number))
    return flat


def _code(dtype: DType) -> str:
    return {"c": "dd", "b": "q", "i": "q", "u": "Q"}.get(dtype.kind, "d")


class _Total(NamedTuple):
    """The second kernel: its plan, what it reads of the partial sums' memory, and which outputs it writes."""

    kernel: Kernel
    lengths: Lengths
    strides: Strides
    offsets: tuple[int, ...]
    outputs: tuple[int, ...]


class Launch:
    """One kernel of a plan for arrays of known lengths, strides and alignment."""

    def __init__(self, part: Part, plan: Plan, alloc: Any, lengths: Lengths, strides: Strides, aligned: bool) -> None:
        strides = tuple(strides[k] for k in part.operands)
        shape = _Shape(part, lengths, strides, aligned)
        self._alloc = alloc
        self._grid, self._block = shape.grid, shape.block
        self._needed = not shape.empty
        self._operands, self._outputs = part.operands, part.outputs
        self._numbers = _slots(part.numbers, plan.numbers)
        self._see_partial_sums(part, shape)
        #: Whether all that is given is handed on as it is.
        counts = (len(part.operands), len(part.numbers), len(part.outputs))
        everything = counts == (len(plan.operands), len(plan.numbers), len(plan.outputs))
        self._whole = everything and self._needed and not self._scratch

        codes = "Q" * (len(part.operands) + len(part.outputs)) + "".join(map(_code, part.plan.numbers))
        self._pack_into = struct.Struct("=" + codes).pack_into
        self._raw, fields = _loaded(part, shape.variant)
        constants = [n for field in fields for n in shape.field(field)]
        packed = struct.pack("=" + ("q" if shape.variant.long else "i") * len(constants), *constants)
        size = struct.calcsize("=" + codes)
        # The parameter, of 8-byte words; pointers and numbers, at its beginning, are written at every launch.
        parameter = np.zeros((size + len(packed) + 15) // 8, np.uint64)
        self._memory = parameter.data.cast("B")
        self._memory[size : size + len(packed)] = packed
        self._arguments = (_backend.argument(parameter),)
        self._lock = threading.Lock()

    def _see_partial_sums(self, part: Part, shape: _Shape) -> None:
        """Where partial sums go, and what adds them up."""
        wanted, self._partial, size = [], [], 0
        for k, output in enumerate(part.plan.outputs):
            loops = shape.partial(k)
            if loops is None:
                continue
            have = sum_dtype(part.plan.dtype_of(output.value), output.dtype)
            wanted.append((k, have, output.dtype, loops))
            self._partial.append((k, size))
            size += -(-math.prod(n for n, _ in loops) * have.itemsize // 512) * 512
        self._scratch = max(size, 512) if wanted else 0
        offsets = dict(self._partial)
        self._totals = []
        for total in totals(wanted):
            strides = _contiguous(total.lengths)
            kernel = _compiled(total.plan, self._alloc)
            places = tuple(offsets[k] for k in total.outputs)
            mine = tuple(part.outputs[k] for k in total.outputs)
            self._totals.append(_Total(kernel, total.lengths, (strides,) * len(places), places, mine))

    def __call__(self, pointers: list[int], numbers: Sequence[Any], outputs: list[int]) -> None:
        if self._whole:
            self._enqueue(pointers, outputs, numbers)
            return
        mine = [outputs[k] for k in self._outputs]
        start = 0
        if self._scratch:
            # Freed when this returns, to be used again by what is enqueued on the stream later.
            memory = self._alloc(self._scratch)
            start = memory.ptr
            for k, offset in self._partial:
                mine[k] = start + offset
        if self._needed:
            self._enqueue([pointers[k] for k in self._operands], mine, [numbers[k] for k in self._numbers])
        for total in self._totals:
            read = [start + offset for offset in total.offsets]
            total.kernel.run(total.lengths, total.strides, read, (), [outputs[k] for k in total.outputs])

    def _enqueue(self, pointers: list[int], outputs: list[int], numbers: Sequence[Any]) -> None:
        with self._lock:  # the driver copies the parameter before it returns
            self._pack_into(self._memory, 0, *pointers, *outputs, *numbers)
            self._raw.kernel(self._grid, self._block, self._arguments)


def _slots(chosen: tuple[int, ...], dtypes: tuple[DType, ...]) -> list[int]:
    """Which entries of all numbers, as ``struct`` takes them, belong to those that are chosen."""
    starts = [0]
    for dtype in dtypes:
        starts.append(starts[-1] + len(_code(dtype)))
    return [slot for k in chosen for slot in range(starts[k], starts[k + 1])]


def _contiguous(lengths: Lengths) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(lengths):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _power_of_two(n: int, most: int) -> int:
    """The least one that isn't smaller than ``n``; ``most``, itself one, if that is smaller."""
    return min(most, 1 << max(n - 1, 0).bit_length())


class _Shape:
    """The variant of a kernel for such arrays, how many threads it is launched with, and its constants."""

    def __init__(self, part: Part, lengths: Lengths, strides: Strides, aligned: bool) -> None:
        self.part, self.lengths, self.strides = part, lengths, strides
        self.last = len(lengths) - 1
        self.width = cuda_source.width_of(part.plan) if aligned and self._in_line(part.plan) else 1
        #: How many pieces each loop has: entries, and WIDTH of them along the last.
        self.pieces = (*lengths[:-1], -(-lengths[-1] // self.width))
        self.empty = False
        self.held = 0
        getattr(self, f"_{part.form}")()
        self.variant = Variant(self.width, self._far(), self.held)

    def _in_line(self, plan: Plan) -> bool:
        """Whether all that lies side by side along the last loop starts where a vector may."""
        width = cuda_source.width_of(plan)
        if self.lengths[-1] < width:
            return False
        for operand, strides in zip(plan.operands, self.strides, strict=True):
            if operand.strides[-1] == 1:
                for length, stride in zip(self.lengths[:-1], strides, strict=False):
                    if length > 1 and stride % width:
                        return False
        stored = any(not o.per_row and not any(o.summed) for o in plan.outputs)
        return not (stored and self.lengths[-1] % width and any(n > 1 for n in self.lengths[:-1]))

    def _far(self) -> bool:
        """Whether any place needs 64 bits."""
        reach = [math.prod(self.lengths)]
        reach += [sum(abs(s) * (n - 1) for s, n in zip(row, self.lengths, strict=True)) for row in self.strides]
        reach += [math.prod(n for n, _ in self.partial(k) or ()) for k in range(len(self.part.plan.outputs))]
        return max(reach) >= SHORT

    # -- how work is shared out
    def _elementwise(self) -> None:
        points = self.points = math.prod(self.pieces)
        self.empty = points == 0
        blocks = min(-(-points // THREADS), _backend.multiprocessors() * AT_ONCE * WAVES)
        self.grid, self.block = (max(blocks, 1), 1, 1), (THREADS, 1, 1)

    def _reduce(self) -> None:
        mask = self.part.mask
        self.kept = math.prod(n for n, gone in zip(self.pieces, mask, strict=True) if not gone)
        self.summed = math.prod(n for n, gone in zip(self.pieces, mask, strict=True) if gone)
        self.kept_entries = math.prod(n for n, gone in zip(self.lengths, mask, strict=True) if not gone)
        self.empty = self.kept == 0
        if mask[-1]:
            summed_lanes = _power_of_two(self.summed, THREADS)
            kept_lanes = THREADS // summed_lanes
            self.block = (summed_lanes, kept_lanes, 1)
        else:
            # Neighbours read 64 bytes or more that lie side by side; the rest of the threads share sums.
            kept_lanes = _power_of_two(self.kept, max(4, 16 // self.width))
            summed_lanes = THREADS // kept_lanes
            self.block = (kept_lanes, summed_lanes, 1)
        at_once = _backend.multiprocessors() * AT_ONCE
        blocks = max(1, min(-(-self.kept // kept_lanes), at_once * WAVES))
        enough = -(-self.summed // (summed_lanes * POINTS_PER_THREAD))
        self.grid = (blocks, max(1, min(at_once // blocks, enough, SPLITS)), 1)

    def _rows(self) -> None:
        plan, mask = self.part.plan, self.part.mask
        leading = self.lengths[:-1]
        summing = any(mask)
        self.kept = math.prod(n for n, gone in zip(leading, mask, strict=False) if summing and not gone)
        self.rows = math.prod(n for n, gone in zip(leading, mask, strict=False) if not summing or gone)
        self.empty = self.kept == 0 or (self.rows == 0 and not summing)
        lanes = _power_of_two(self.pieces[-1], ROW_THREADS)
        times = _power_of_two(-(-self.pieces[-1] // lanes), 1 << 30)
        held = sum(o.dtype.itemsize for o in plan.operands if o.strides[-1] != 0)
        held += sum(16 if o.dtype.kind == "c" else 8 for o in plan.outputs if any(o.summed) and not o.per_row)
        self.held = times if times * self.width * held <= 4 * HELD_REGISTERS else 0
        groups = max(1, THREADS // lanes)
        self.block = (lanes, groups, 1)
        at_once = _backend.multiprocessors() * AT_ONCE * THREADS // (lanes * groups)
        down = max(1, min(self.kept, 65535))
        across = -(-at_once // down) if summing else at_once * WAVES
        self.grid = (max(1, min(-(-self.rows // groups), across)), down, 1)

    # -- partial sums
    def partial(self, k: int) -> list[tuple[int, bool]] | None:
        """The loops over an output's partial sums, with which of them are still to be summed over; ``None`` if the
        kernel makes the output itself."""
        part = self.part
        output = part.plan.outputs[k]
        if part.form == "reduce" and any(output.summed) and (k in part.partial or self.grid[1] > 1):
            loops = zip(self.lengths, part.mask, output.summed, strict=True)
            return [(self.grid[1], True), *((n, summed) for n, gone, summed in loops if not gone)]
        if part.form == "rows" and k in part.partial:
            if output.per_row:
                return list(zip(self.lengths[:-1], output.summed, strict=False))
            loops = zip(self.lengths, part.mask, output.summed, strict=True)
            return [(self.grid[0] * self.block[1], True), *((n, summed) for n, gone, summed in loops if not gone)]
        return None

    # -- constants
    def field(self, name: str) -> tuple[int, ...]:
        """The value of a field of a kernel's parameter, see ``cuda_source.Kernel``."""
        if name.startswith("by"):
            return _divider(max(1, self.pieces[int(name[2:])]), 64 if self.variant.long else 32)
        if name.startswith("length"):
            return (self.lengths[int(name[6:])],)
        if name.startswith("a"):
            operand, loop = name[1:].split("_s")
            return (self.strides[int(operand)][int(loop)],)
        return (getattr(self, name),)


def _divider(divisor: int, bits: int) -> tuple[int, int, int]:
    """Multiplier, as a signed number, and shift that divide by ``divisor``, see ``kernels/memory.cuh``."""
    shift = (divisor - 1).bit_length()
    multiplier = (((1 << shift) - divisor) << bits) // divisor + 1
    return multiplier - (1 << bits) if multiplier >= 1 << (bits - 1) else multiplier, shift, divisor

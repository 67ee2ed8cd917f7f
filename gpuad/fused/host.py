"""Plans run on the CPU, through C that is compiled for this machine.

The work is cut into chunks by the lengths of the loops alone, and sums are added up chunk by chunk in their order:
the same call gives the same bits however many threads there are.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import c_source, compiler
from .plan import Call, DType, Plan

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: Entries of a grid in one chunk, at least; handing a chunk to another thread takes as long as about 50 000 of them.
CHUNK = 1 << 17
#: Chunks of a call, at most.
CHUNKS = 64
#: The last loop is cut at multiples of this.
STRETCH = 512

# With AVX-512 compilers would use half of it; the whole makes exp and its kin 1.5 times as fast.
_X86 = platform.machine().lower() in ("x86_64", "amd64")
_MACHINE = ("-march=native", "-mprefer-vector-width=512") if _X86 else ("-mcpu=native",)
#: Strict IEEE arithmetic, but for what nobody can see: errno, and exceptions as flags of the processor. Products and
#: sums stay two roundings, as NumPy has them; where one is better, the headers say so (``fma``). Whole numbers wrap.
FLAGS = (
    "-std=gnu11",
    "-O3",
    *_MACHINE,
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fopenmp-simd",
    "-fwrapv",
    "-w",
    "-lm",
)
#: GCC takes half the time with these, which come after ``-O3``, and the kernels run as fast, within 3 %: loops that are
#: said to be vectors become so at any level. What is left over at their end isn't done in vectors of other widths.
_QUICKER_IN_GCC = (
    "-O1",
    "-fexpensive-optimizations",
    "-ftree-pre",
    "-ftree-loop-vectorize",
    "--param=vect-epilogues-nomask=0",
)


def compile(plan: Plan) -> Kernel:
    """What runs ``plan``: call it with a ``Call`` on NumPy arrays, and its outputs have been written.

    No output shares memory with an operand. Raises ``c_types.CannotCompile`` (a ``NotImplementedError``) if the plan
    can't be had in C, and ``compiler.CompilerUnavailable``.
    """
    source = c_source.prelude() + c_source.function(plan, "kernel")
    return Kernel(plan, compiler.shared_library(source, flags()))


def flags() -> tuple[str, ...]:
    """Those with which the compiler at hand makes kernels; raises ``compiler.CompilerUnavailable`` if there is none."""
    return (*FLAGS, *_QUICKER_IN_GCC) if compiler.is_gcc() else FLAGS


class _Chunks(NamedTuple):
    """How a grid is cut: which loop, where, and the bytes in which each output adds up its sums."""

    split: int
    bounds: tuple[tuple[int, int], ...]
    sums: tuple[int, ...]
    parts: bool  # whether a sum goes over the loop that is cut


class Kernel:
    """A compiled plan."""

    def __init__(self, plan: Plan, library: Any, name: str = "kernel") -> None:
        import ctypes

        self.plan = plan
        self._run = getattr(library, name)
        self._run.argtypes = [ctypes.c_char_p, *[ctypes.c_int64] * 4]
        self._run.restype = ctypes.c_int
        self._add_up = getattr(library, f"{name}_sums")
        self._add_up.argtypes = [ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64]
        self._add_up.restype = None
        self._open = [[k for k, s in enumerate(o.strides) if s is None] for o in plan.operands]
        self._pitched = [[k for k, s in enumerate(o.strides or ()) if s is None] for o in plan.outputs]
        self._sums = [c_source.sum_of(output) for output in plan.outputs]
        self._folds = any(step.fold is not None for step in plan.steps)
        self._summed = [s is not None for s in self._sums]
        converted = any(dtype.kind != "f" for dtype in plan.numbers)
        self._numbers = [_number(dtype) for dtype in plan.numbers] if converted else None
        self._address = _address()
        self._pack = struct.Struct(
            "q" * plan.ndim
            + "".join("Q" + "q" * len(loops) for loops in self._open)
            + "".join({"f": "d", "c": "dd", "u": "Q"}.get(dtype.kind, "q") for dtype in plan.numbers)
            + "".join(
                "Q" + "q" * len(loops) + "Q" * summed for loops, summed in zip(self._pitched, self._summed, strict=True)
            )
        ).pack
        #: How a grid of certain lengths is cut.
        self.chunks = functools.lru_cache(64)(self._cut)

    def __call__(self, call: Call) -> None:
        chunks = self.chunks(call.lengths)
        address = self._address
        slots: list[Any] = [*call.lengths]
        for array, strides, loops in zip(call.arrays, call.strides, self._open, strict=True):
            slots.append(address(array))
            for k in loops:
                slots.append(strides[k])
        if self._numbers is None:
            slots += call.numbers
        else:
            for number, convert in zip(call.numbers, self._numbers, strict=True):
                slots.extend(convert(number))
        kept = []
        for output, loops, summed, size in zip(call.outputs, self._pitched, self._summed, chunks.sums, strict=True):
            slots.append(address(output))
            for k in loops:
                slots.append(output.strides[k] // output.itemsize)
            if size:
                kept.append(np.zeros(size, np.uint8))
                slots.append(address(kept[-1]))
            elif summed:
                slots.append(0)
        frame = self._pack(*slots)
        split, bounds = chunks.split, chunks.bounds
        if len(bounds) == 1:
            failed = self._run(frame, -1, 0, 0, 0)
        else:
            failed = self._in_threads(frame, chunks) if threads() > 1 else self._alone(frame, chunks)
        if failed:
            raise MemoryError("there is no memory for a row's buffers in a fused kernel")
        if kept:
            self._add_up(frame, split, len(bounds))

    def _alone(self, frame: bytes, chunks: _Chunks) -> bool:
        if not chunks.parts:
            return bool(self._run(frame, -1, 0, 0, 0))
        failed = False
        for k, bounds in enumerate(chunks.bounds):
            failed |= bool(self._run(frame, chunks.split, *bounds, k))
        return failed

    def _in_threads(self, frame: bytes, chunks: _Chunks) -> bool:
        run, split, bounds = self._run, chunks.split, chunks.bounds
        failed = [False] * len(bounds)

        def work(k: int) -> None:
            failed[k] = bool(run(frame, split, *bounds[k], k))

        spread(work, len(bounds))
        return any(failed)

    def _cut(self, lengths: tuple[int, ...]) -> _Chunks:
        outputs = list(zip(self.plan.outputs, self._sums, strict=True))
        sizes = []  # of the sums of each output, in bytes
        for output, way in outputs:
            size = 0
            if way is not None:
                size = (16 if output.dtype.kind == "c" else 8) * (2 if way.pairs else 1)
                for n, gone in zip(lengths[: len(lengths) - output.per_row], output.summed, strict=False):
                    size *= 1 if gone else n
            sizes.append(size)
        points = math.prod(lengths)
        split, step, parts = -1, 0, [False] * len(sizes)
        count = 1
        for k, n in enumerate(lengths[:-1] if self._folds or self.plan.row is not None else lengths):
            in_parts = [way is not None and output.summed[k] for output, way in outputs]
            # The sums of all chunks together are never larger than what is read, or nearly so.
            room = points // (sum(itertools.compress(sizes, in_parts)) or 1)
            its_step = -(-n // max(min(points // CHUNK, CHUNKS, room), 1))
            if k == len(lengths) - 1:
                its_step = -(-its_step // STRETCH) * STRETCH
            if its_step and -(-n // its_step) > count:
                split, step, count, parts = k, its_step, -(-n // its_step), in_parts
        bounds = [(at, min(at + step, lengths[split])) for at in range(0, lengths[split], step)] if step else [(0, 0)]
        sums = []
        for size, way, part in zip(sizes, self._sums, parts, strict=True):
            stored_at_once = way is None or (way.first is not None and not part)
            sums.append(0 if stored_at_once else size * (count if part else 1))
        return _Chunks(split, tuple(bounds), tuple(sums), any(parts))


@functools.cache
def head() -> int | None:
    """How many bytes of an array object stand before the address of its entries; ``None`` where that isn't known.

    In NumPy's C interface it stands right behind the head of the object; read there, it costs a tenth of what
    ``array.ctypes.data`` does, and that would be most of a small call.
    """
    import ctypes

    probe, size = np.empty(1), object.__basicsize__
    if sys.implementation.name != "cpython":
        return None
    return size if ctypes.c_void_p.from_address(id(probe) + size).value == probe.ctypes.data else None


@functools.cache
def _address() -> Callable[[Any], int]:
    """What gives the address of an array's entries."""
    import ctypes

    cell, before = ctypes.c_void_p.from_address, head()
    if before is None:
        return lambda array: int(array.ctypes.data)
    return lambda array: cell(id(array) + before).value or 0


def _number(dtype: DType) -> Callable[[Any], tuple[Any, ...]]:
    """How a number of that dtype goes into its slots."""
    if dtype.kind == "c":
        return lambda number: (complex(number).real, complex(number).imag)
    if dtype.kind == "f":
        return lambda number: (number,)
    return lambda number: (int(number),)


# -- threads -----------------------------------------------------------------------------------------
@functools.cache
def threads() -> int:
    """How many threads share a large kernel: ``GPUAD_NUM_THREADS``, else ``OMP_NUM_THREADS``, else one per processor
    that this process may run on, and no more than that."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("GPUAD_NUM_THREADS", "")
    if asked:
        if not asked.isascii() or not asked.isdigit() or int(asked) < 1:
            raise ValueError(f"GPUAD_NUM_THREADS={asked}: expected a number of threads, 1 or more")
        return min(int(asked), processors)
    # A list is for nested regions, of which there are none.
    usual = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(int(usual), processors) if usual.isascii() and usual.isdigit() and int(usual) else processors


def spread(work: Callable[[int], None], count: int) -> None:
    """Call ``work(k)`` for every ``k`` below ``count``, by as many threads as are of use."""
    following = itertools.count().__next__

    def some() -> None:
        while (k := following()) < count:
            work(k)

    futures = []
    try:
        for _ in range(min(threads(), count) - 1):
            futures.append(_pool().submit(some))
    except RuntimeError:  # the interpreter is about to end, and starts no threads any more
        pass
    some()
    for future in futures:
        if not future.cancel():  # one that waits for a thread isn't needed now
            future.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(threads() - 1, 1), thread_name_prefix="gpuad")


if hasattr(os, "register_at_fork"):
    # A forked child has none of the threads; it makes its own when it needs them.
    os.register_at_fork(after_in_child=_pool.cache_clear)

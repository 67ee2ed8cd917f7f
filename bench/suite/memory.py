"""Bytes that a call needs above what there was before it, at the peak."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .adapters import Adapter, Call, OnCuPy, cupy
from .workload import Case

#: What the system counts is in pages, and its counters lag by some of them.
_LEAST_RESIDENT = 4 << 20


def peak(adapter: Adapter, case: Case, arrays: Sequence[Any], call: Call) -> tuple[int | None, str]:
    """The peak, and who counted it; ``None``, and why it couldn't be.

    Where allocations are seen one by one, it is that of the second call of a function made anew, above what there was
    before it was made: buffers that a compiled function keeps from one call to the next are its memory, too.
    """
    gc.collect()
    if isinstance(adapter, OnCuPy) and adapter.device == "gpu":
        return _of_pool(lambda: adapter.prepare(case), arrays), "CuPy's memory pool"
    if adapter.allocates_with_numpy:
        return _traced(lambda: adapter.prepare(case), arrays), "tracemalloc, which sees NumPy's arrays"

    def once() -> None:
        adapter.wait(call(*arrays))

    if adapter.device == "cpu":
        return _resident(once)
    if not adapter.name.startswith("torch"):
        return None, "JAX's allocator knows the peak of the whole process only"
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    once()
    return torch.cuda.max_memory_allocated() - before, "PyTorch's allocator"


def _traced(prepare: Callable[[], Call], arrays: Sequence[Any]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call = prepare()
        call(*arrays)
        tracemalloc.reset_peak()
        call(*arrays)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _of_pool(prepare: Callable[[], Call], arrays: Sequence[Any]) -> int:
    class Hook(cupy().cuda.MemoryHook):  # type: ignore[misc]
        name = "peak"
        sizes: dict[int, int]  # what was there before isn't in it, so its end doesn't count
        used = most = 0

        def malloc_postprocess(self, *, mem_size: int, mem_ptr: int, **rest: Any) -> None:
            self.sizes[mem_ptr] = mem_size
            self.used += mem_size
            self.most = max(self.most, self.used)

        def free_postprocess(self, *, mem_ptr: int, **rest: Any) -> None:
            self.used -= self.sizes.pop(mem_ptr, 0)

    hook = Hook()
    hook.sizes = {}
    with hook:
        call = prepare()
        call(*arrays)
        hook.most = hook.used
        call(*arrays)
    return int(hook.most)


def _resident(call: Callable[[], Any]) -> tuple[int | None, str]:
    """What the system has given the process: for libraries with allocators of their own."""
    if not sys.platform.startswith("linux"):
        return None, "only Linux tells the peak of a part of a run"
    try:
        # What was freed goes back to the system, or the call would take it unseen.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use (proc(5))
        before = _status("VmRSS")
        call()
        found = _status("VmHWM") - before
    except (OSError, AttributeError, KeyError) as why:
        return None, f"the system doesn't tell: {why}"
    if found < _LEAST_RESIDENT:
        return None, "too little for the system's count of pages"
    return found, "resident memory, counted by the system"


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int({k: v for k, _, v in (line.partition(":") for line in lines)}[name].split()[0])

"""What a call does, counted and not timed: operations, multiply-adds, bytes, kernels."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gpuad.core.box import spec_of
from gpuad.core.primitive import Primitive
from gpuad.transforms.cost import Count

from .adapters import Gpuad, cupy
from .workload import Case


class Work(Count):
    """What ``gpuad.cost`` counts, and the entries that elementwise operations compute."""

    __slots__ = ("elements",)

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        ans = super().process(prim, args, params)
        if prim.elementwise:
            self.elements += spec_of(ans).size
        return ans


def work(call: Callable[..., Any], inputs: Sequence[Any]) -> dict[str, Any]:
    """What gpuad does in a call, operation by operation, whatever it fuses.

    ``operations``, ``multiply_adds``, and ``bytes_unfused``, what they would read and write if each were on its own,
    are those of ``gpuad.cost``. ``flops``: two for a multiply-add, one for each entry that an elementwise operation
    computes, be it a sum or an exponential.
    """
    level = Work()
    call(*map(level.watch, inputs))
    by_operation: Counter[str] = Counter()
    for part, tally in level.cost.parts.items():
        by_operation[part.primitive] += tally.calls
    return {
        "operations": level.cost.calls,
        "by_operation": dict(by_operation.most_common()),
        "multiply_adds": level.cost.multiply_adds,
        "bytes_unfused": level.cost.bytes,
        "flops": 2 * level.cost.multiply_adds + level.elements,
    }


def describe(case: Case, inputs: Sequence[Any], results: Sequence[Any]) -> dict[str, Any]:
    """What is the same for all contestants: the fewest bytes that a call can move, and how much it computes.

    The fewest are every input read once and every result written once.
    """
    fewest = sum(x.nbytes for x in inputs) + sum(x.nbytes for x in results)
    try:
        counted = work(Gpuad().prepare(case), inputs)
    except Exception as error:  # the counts are left out, then; that gpuad can't do it is said where it is timed
        counted = {"not_counted": f"{type(error).__name__}: {error}"}
    return {"bytes_fewest": fewest, **counted}


def launches(call: Callable[[], Any]) -> tuple[int | None, str]:
    """Kernels that a call launches on the GPU, of whatever library; ``None``, and why they weren't counted."""
    if emulated():
        import cupy_on_cpu  # type: ignore[import-not-found, unused-ignore]

        call()
        with cupy_on_cpu.count() as counted:
            call()
        return counted.launches + counted.blas, "the emulated device"
    if importlib.util.find_spec("torch") is None:
        return None, "PyTorch's profiler counts them, and it isn't installed"
    import torch
    from torch.profiler import ProfilerActivity, profile

    if not torch.cuda.is_available():
        return None, "PyTorch's profiler counts them, and this PyTorch sees no GPU"
    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        call()
        cupy().cuda.runtime.deviceSynchronize()
    copied = ("Memcpy", "Memset")
    kernels = [e for e in seen.events() if "CUDA" in str(e.device_type) and not e.name.startswith(copied)]
    return len(kernels) or None, "PyTorch's profiler (CUPTI)"


def emulated() -> bool:
    """Whether CuPy's device is the one of ``tests/cupy_on_cpu``, on which nothing should be timed."""
    module = sys.modules.get("cupy_on_cpu")
    return module is not None and bool(module.installed())

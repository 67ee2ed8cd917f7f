"""What a call does, counted and not timed: operations, multiply-adds, bytes, kernels."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gpuad.core.box import make_box, spec_of
from gpuad.core.level import Level
from gpuad.core.primitive import Primitive

from .adapters import Gpuad, cupy
from .workload import Case


class Work(Level):
    """Evaluates primitives one level further out, as ``gpuad.cost`` does, and counts all of them."""

    __slots__ = ("bytes", "elements", "multiply_adds", "operations")

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.bytes = self.elements = self.multiply_adds = 0

    def watch(self, x: Any) -> Any:
        spec = spec_of(x)
        return make_box(x, self, 0, spec) if spec.differentiable else x

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values = self.opened(args)
        ans = prim(*values, **params)
        self.operations[prim.name] += 1
        results = ans if isinstance(ans, (tuple, list)) else [ans]
        self.bytes += sum(_bytes(v) for v in (*values, *results))
        if prim.multiply_adds is not None:
            self.multiply_adds += prim.multiply_adds(spec_of(ans), *map(spec_of, values), **params)
        elif prim.elementwise:
            self.elements += spec_of(ans).size
        if prim.piecewise_constant:  # a program may turn it into a number, or branch on it
            return ans
        boxed = tuple(map(self.watch, results))
        return boxed if isinstance(ans, (tuple, list)) else boxed[0]


def _bytes(x: Any) -> int:
    if isinstance(x, (bool, int, float, complex)):
        return 0
    spec = spec_of(x)
    return spec.size * spec.dtype.itemsize


def work(call: Callable[..., Any], inputs: Sequence[Any]) -> dict[str, Any]:
    """What gpuad does in a call, operation by operation, whatever it fuses.

    ``operations``: primitives that a differentiated input, or what came of one, takes part in. ``bytes_unfused``: what
    they would read and write if each were on its own. ``flops``: two for a multiply-add, one for each entry that an
    elementwise operation computes, be it a sum or an exponential.
    """
    level = Work()
    call(*map(level.watch, inputs))
    return {
        "operations": level.operations.total(),
        "by_operation": dict(level.operations.most_common()),
        "multiply_adds": level.multiply_adds,
        "bytes_unfused": level.bytes,
        "flops": 2 * level.multiply_adds + level.elements,
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
    import sys

    module = sys.modules.get("cupy_on_cpu")
    return module is not None and bool(module.installed())

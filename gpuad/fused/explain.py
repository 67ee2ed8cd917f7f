"""What was fused, and what it cost."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from . import blocks, c_source, host
from .launch import Kernel, watched
from .plan import Plan

#: Under what name an executor is known, by its module.
_RUN_BY = {"host": "compiled C", "blocks": "NumPy, block by block", "device": "CUDA"}


class Region(NamedTuple):
    """One kernel that was run: its plan, its loops' lengths, who ran it, and the seconds that compiling took once."""

    plan: Plan
    lengths: tuple[int, ...]
    run_by: str
    seconds: float
    source: str

    @property
    def bytes_read(self) -> int:
        """Every operand once: what a kernel can't do without."""
        return sum(self._entries([s != 0 for s in o.strides]) * o.dtype.itemsize for o in self.plan.operands)

    @property
    def bytes_written(self) -> int:
        return sum(
            self._entries([not gone for gone in o.summed][: -1 if o.per_row else None]) * o.dtype.itemsize
            for o in self.plan.outputs
        )

    @property
    def bytes_one_by_one(self) -> int:
        """What the same operations would read and write one at a time."""
        plan, size = self.plan, math.prod(self.lengths)
        numbers = range(len(plan.operands), len(plan.operands) + len(plan.numbers))
        read = sum(plan.dtype_of(a).itemsize for step in plan.steps for a in step.args if a not in numbers)
        written = sum(step.dtype.itemsize for step in plan.steps if step.fold is None)
        sums = sum(plan.dtype_of(o.value).itemsize for o in plan.outputs if any(o.summed))
        return (read + written + sums) * size

    def _entries(self, loops: list[bool]) -> int:
        return math.prod(n for n, counts in zip(self.lengths, loops, strict=False) if counts)

    def __str__(self) -> str:
        plan = self.plan
        names = [f"x{i}" for i in range(len(plan.operands))] + [f"c{i}" for i in range(len(plan.numbers))]
        steps = []
        for i, step in enumerate(plan.steps):
            called = f"{step.fold} along the row" if step.fold else step.name
            steps.append(f"    t{i} = {called}({', '.join(names[a] for a in step.args)})")
            names.append(f"t{i}")
        stored = ", ".join(
            names[o.value] + (" (one per row)" if o.per_row else " summed" if any(o.summed) else "")
            for o in plan.outputs
        )
        moved = self.bytes_read + self.bytes_written
        return "\n".join(
            [
                f"loops {' x '.join(map(str, self.lengths))}, {self.run_by}, ready after {self.seconds * 1e3:.0f} ms",
                f"  reads {_size(self.bytes_read)} in {len(plan.operands)} arrays, writes {_size(self.bytes_written)} "
                f"in {len(plan.outputs)}: {_size(moved)}, the least there is to move",
                f"  one operation at a time: {_size(self.bytes_one_by_one)} in {len(plan.steps)} operations",
                *steps,
                f"    store {stored}",
                *[f"  | {line}" for line in self.source.splitlines()],
            ]
        )


class Explanation:
    """The kernels of a run, in order. ``print`` it."""

    def __init__(self, regions: list[Region]) -> None:
        self.regions = regions

    def __repr__(self) -> str:
        if not self.regions:
            return "no kernels: nothing was large enough to be fused, or fusion is off"
        total = len(self.regions)
        return "\n\n".join(f"kernel {i} of {total}: {region}" for i, region in enumerate(self.regions, 1))


def explain(f: Callable[..., Any]) -> Callable[..., Explanation]:
    """A function that calls ``f`` and tells which fused kernels ran: an ``Explanation``, to be printed.

    For each kernel it says what was fused, who ran it, the bytes that it reads and writes (every array once, the
    least that it can) and what the same operations would move one at a time, the time it took to have it compiled,
    or found in a cache, when it was first met, and its source. ``regions`` has the same as numbers.

    >>> import numpy as np
    >>> from gpuad import explain, grad
    >>> found = explain(grad(lambda x: np.sum(np.tanh(x) ** 2)))(np.ones(200_000))
    >>> len(found.regions), found.regions[0].bytes_read, found.regions[0].bytes_written
    (1, 1600000, 1600000)
    """

    if not callable(f):
        raise TypeError(f"explain: expected a function, got {type(f).__name__}; write explain(f)(x), not explain(f(x))")

    @functools.wraps(f)
    def explained(*args: Any, **kwargs: Any) -> Explanation:
        seen: list[tuple[Kernel, tuple[int, ...]]] = []
        token = watched.set(seen)
        try:
            f(*args, **kwargs)
        finally:
            watched.reset(token)
        return Explanation([_region(kernel, lengths) for kernel, lengths in seen])

    return explained


def _region(kernel: Kernel, lengths: tuple[int, ...]) -> Region:
    run = kernel.run
    run_by = _RUN_BY[type(run).__module__.rpartition(".")[2]]
    return Region(kernel.plan, lengths, run_by, kernel.seconds, _source(run, kernel.plan))


def _source(run: Any, plan: Plan) -> str:
    if isinstance(run, host.Kernel):
        return c_source.function(plan, "kernel")
    if isinstance(run, blocks.Blocks):
        return str(run.code.text)
    from . import cuda_source, cuda_text

    # As for arrays that lie one entry after another; the functions that all kernels share aren't repeated.
    variants = [cuda_text.Variant(cuda_source.width_of(part.plan), False) for part in run.parts]
    texts = [cuda_source.source(part, variant).source for part, variant in zip(run.parts, variants, strict=True)]
    return "\n".join(text[text.rindex('extern "C"') :] for text in texts)


def _size(n: int) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000  # type: ignore[assignment]
    return f"{n:.3g} GB"

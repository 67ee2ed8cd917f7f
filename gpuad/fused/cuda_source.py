"""Plan to CUDA: fills the templates in ``kernels/``.

A kernel has one parameter, a struct by value: first the pointers of operands and outputs, then the numbers, then
what follows from lengths and strides. Everything in it is as long as an index or 8 bytes, so that it has no gaps.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from .. import kernel_sources
from .cuda_parts import Part
from .cuda_sums import Reduce, Rows
from .cuda_text import Elementwise, Text, Variant
from .cuda_types import check
from .plan import Plan


class Kernel(NamedTuple):
    """CUDA source, the kernel's name, and what its parameter holds after pointers and numbers: a name per field.

    ``"by3"`` is the divider for the third loop, of three fields; the rest are single integers: ``"length3"``,
    ``"a0_s3"`` (a stride), ``"points"``, ``"kept"``, ``"summed"``, ``"rows"``, ``"kept_entries"``.
    """

    source: str
    name: str
    fields: tuple[str, ...]


def width_of(plan: Plan) -> int:
    """How many entries are 16 bytes of the longest dtype that the kernel moves."""
    moved = [o.dtype for o in plan.operands if o.strides[-1] != 0]
    moved += [o.dtype for o in plan.outputs if not any(o.summed) and not o.per_row]
    return max(1, 16 // max((d.itemsize for d in moved), default=16))


def source(part: Part, variant: Variant) -> Kernel:
    """The kernel of a part of a plan. ``NotImplementedError`` for what CUDA has no dtype or function for."""
    check(part.plan)
    texts: dict[str, type[Text]] = {"elementwise": Elementwise, "reduce": Reduce, "rows": Rows}
    text = texts[part.form](part, variant)
    filled = _fill(_template(f"fused_{part.form}.cu"), text.regions())
    special = any(re.search(r"\w\(", step.scalar) for step in part.plan.steps)
    headers = _inlined("memory.cuh", "special_math.cuh") if special else _inlined("memory.cuh")
    return Kernel(headers + filled, f"gpuad_{part.form}", tuple(text.fields))


# --- templates -----------------------------------------------------------------------------------
_REGION = re.compile(r"^ *//\[(\w+)\n.*?^ *//\]\n", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r'^#include "(\S+)"\n', re.MULTILINE)


def _fill(template: str, regions: dict[str, list[str]]) -> str:
    return _REGION.sub(lambda m: "".join(f"{line}\n" for line in regions[m[1]]), template)


@cache
def _template(name: str) -> str:
    return _INCLUDE.sub("", kernel_sources.read(name))


@cache
def _inlined(*names: str) -> str:
    """Headers with those that they include, each once: CuPy knows a compiled kernel again by its source alone."""
    seen: list[str] = []
    text: list[str] = []

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.append(name)
        for inner in _INCLUDE.findall(kernel_sources.read(name)):
            visit(inner)
        text.append(_INCLUDE.sub("", kernel_sources.read(name)))

    for name in names:
        visit(name)
    return "".join(text)

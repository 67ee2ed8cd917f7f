"""Arrays that are rolled, with a margin on either side that repeats what lies on the other.

Then ``roll`` is a look at the same memory from another place. A step of the heat equation, which adds up four shifted
arrays, is one nest of loops over the whole, and two short ones that fill the margins of what it made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.record import Step, Value
from ..fused.pending import Apply
from .program import DType, Map, Program, Ref

#: Along shorter axes there are no margins: what is left of rows after whole vectors takes longer than copies do.
SHORT = 32
#: Rows of so many lines of the cache begin where one does.
_LONG = 4
_LINE = 64


def shifts(params: Mapping[str, Any], shape: tuple[int, ...]) -> list[int]:
    """By how many entries ``roll`` shifts along each axis, the shorter way round."""
    total = [0] * len(shape)
    for shift, axis in zip(params["shifts"], params["axes"], strict=True):
        total[axis] += shift
    return [(shift + n // 2) % n - n // 2 for shift, n in zip(total, shape, strict=True)]


def reaches(steps: Iterable[Step], values: Mapping[int, Value]) -> dict[int, list[int]]:
    """How wide margins have to be along each axis, by the value that is rolled."""
    found: dict[int, list[int]] = {}
    for step in steps:
        if getattr(step.prim, "name", "") == "roll" and values[step.args[0]].spec.size:
            shape = values[step.args[0]].spec.shape
            wanted = [abs(k) if n >= SHORT else 0 for k, n in zip(shifts(step.params, shape), shape, strict=True)]
            if any(wanted):
                before = found.get(step.args[0], wanted)
                found[step.args[0]] = [max(pair) for pair in zip(before, wanted, strict=True)]
    return found


def array(
    program: Program, shape: tuple[int, ...], dtype: DType, strides: tuple[int, ...], reach: Sequence[int]
) -> Ref:
    """A new array inside margins of ``reach``, whose axes follow each other in memory as ``strides`` say."""
    size, offset = 1, 0
    found = [0] * len(shape)
    for k in sorted(range(len(shape)), key=lambda k: strides[k]):
        is_row = size == 1 and reach[k] and shape[k] * dtype.itemsize >= _LONG * _LINE
        line = _LINE // dtype.itemsize if is_row else 1
        before = -(-reach[k] // line) * line
        found[k] = size
        offset += before * size
        size *= -(-(before + shape[k] + reach[k]) // line) * line
    return Ref(program.storage("inner", dtype, size), offset, tuple(found), shape)


def fillings(program: Program, ref: Ref, reach: Sequence[int]) -> Iterable[Map]:
    """What copies the ends of an array into its margins: both of an axis at once, then those of the next with these."""
    dtype = program.dtype(ref)
    for k in sorted(range(len(reach)), key=lambda k: ref.strides[k]):
        r, n, stride = reach[k], ref.shape[k], ref.strides[k]
        if r:
            shape = (2, *ref.shape[:k], r, *ref.shape[k + 1 :])
            there = Ref(ref.storage, ref.offset - r * stride, ((n + r) * stride, *ref.strides), shape)
            here = Ref(ref.storage, ref.offset + (n - r) * stride, ((r - n) * stride, *ref.strides), shape)
            yield Map(Apply("", "{0}", (dtype,), dtype), there.spread(shape), (here.spread(shape),))
            wider = (*ref.shape[:k], n + 2 * r, *ref.shape[k + 1 :])
            ref = Ref(ref.storage, ref.offset - r * stride, ref.strides, wider)

"""Plans with rows of a few entries: with the row written out, so that the loop before it becomes the inner one.

A loop of four entries costs more than what is done in it. Written out, a step is one for each entry of the row, a fold
is a few additions, and vectors go along the rows: each of their lanes does one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .block_code import sum_dtype
from .plan import Call, DType, Operand, Output, Plan, Step

#: Rows of so many entries at most, and so many steps when they are written out: a compiler takes long for more.
SHORT, STEPS = 16, 320
_EXTREMES = {"maximum": "maximum({0}, {1})", "minimum": "minimum({0}, {1})"}


class WrittenOut(NamedTuple):
    """The plan, and of what its operands and outputs are made: each of one that was given, and of which entry of a row,
    ``None`` where it has none."""

    plan: Plan
    operands: tuple[tuple[int, int | None], ...]
    outputs: tuple[tuple[int, int | None], ...]

    def call(self, call: Call) -> Call:
        """A call of the plan that was given, as one of this one."""
        whole = [_over(a, strides, call.lengths) for a, strides in zip(call.arrays, call.strides, strict=True)]
        arrays = tuple([call.arrays[k] if j is None else whole[k][..., j] for k, j in self.operands])
        strides = tuple([call.strides[k][:-1] for k, _ in self.operands])
        outputs = tuple([call.outputs[k] if j is None else call.outputs[k][..., j] for k, j in self.outputs])
        return Call(call.lengths[:-1], arrays, strides, call.numbers, outputs)


def _over(array: Any, strides: tuple[int, ...], lengths: tuple[int, ...]) -> Any:
    """An operand over the loops of a call."""
    in_bytes = tuple([n * array.itemsize for n in strides])
    if array.shape == lengths and array.strides == in_bytes:
        return array
    return np.lib.stride_tricks.as_strided(array, lengths, in_bytes, writeable=False)


def written_out(plan: Plan, length: int) -> WrittenOut | None:
    """A plan whose rows have that length; ``None`` where that would be too long, or sums keep entries of it apart."""
    if plan.ndim < 2 or not 2 <= length <= SHORT:
        return None
    folds = any(step.fold is not None for step in plan.steps)
    if not folds and not any(output.summed[-1] for output in plan.outputs):
        return None
    for output in plan.outputs:
        if any(output.summed) and not output.summed[-1] and not output.per_row and not all(output.summed[:-1]):
            return None
    made = _Written(plan, length)
    return made.result() if len(made.steps) <= STEPS else None


class _Written:
    def __init__(self, plan: Plan, length: int) -> None:
        self.plan, self.length = plan, length
        self.operands: list[tuple[int, int | None]] = []
        self.steps: list[Step] = []
        #: Of every value what it is called for each entry of a row: the same for all where it doesn't vary along it.
        self.values: list[list[int]] = []
        for k, operand in enumerate(plan.operands):
            entries: Iterable[int | None] = [None] if operand.strides[-1] == 0 else range(length)
            places = []
            for j in entries:
                places.append(len(self.operands))
                self.operands.append((k, j))
            self.values.append(places * (length // len(places)))
        self.given = len(self.operands) + len(plan.numbers)
        self.values += [[len(self.operands) + k] * length for k in range(len(plan.numbers))]
        for step in plan.steps:
            self.values.append(self._written(step))

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        return self.given + len(self.steps) - 1

    def _written(self, step: Step) -> list[int]:
        args = [self.values[a] for a in step.args]
        if step.fold is not None:
            return [self._folded(args[0], step.takes[0], step.dtype, step.fold)] * self.length
        varies = any(a[0] != a[-1] for a in args)
        found = [
            self._add(step._replace(args=tuple([a[j] for a in args]))) for j in range(self.length if varies else 1)
        ]
        return found if varies else found * self.length

    def _folded(self, values: list[int], takes: DType, dtype: DType, how: str) -> int:
        """One number for a row; sums are added up in as many digits as others."""
        wide = sum_dtype(takes) if how == "add" else takes
        scalar = _EXTREMES.get(how, "{0} + {1}")
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            last = values[-1:] if len(values) % 2 else []
            values = [self._add(Step(how, scalar, pair, (wide, wide), wide)) for pair in pairs] + last
        if wide == dtype:
            return values[0]
        return self._add(Step("astype", "{0}", (values[0],), (dtype,), dtype))

    def result(self) -> WrittenOut:
        plan, outputs = self.plan, []
        places: list[tuple[int, int | None]] = []
        for k, output in enumerate(plan.outputs):
            values, summed = self.values[output.value], output.summed[:-1]
            if output.per_row:
                outputs.append(Output(values[0], output.dtype, summed))
                places.append((k, None))
            elif output.summed[-1]:
                dtype = plan.dtype_of(output.value)
                outputs.append(Output(self._folded(values, dtype, sum_dtype(dtype), "add"), output.dtype, summed))
                places.append((k, None))
            else:
                strides = None if any(summed) else (None,) * len(summed)
                outputs += [Output(value, output.dtype, summed, strides=strides) for value in values]
                places += [(k, j) for j in range(self.length)]
        operands = tuple([Operand(plan.operands[k].dtype, plan.operands[k].strides[:-1]) for k, _ in self.operands])
        written = Plan(plan.ndim - 1, operands, plan.numbers, tuple(self.steps), tuple(outputs))
        return WrittenOut(written, tuple(self.operands), tuple(places))

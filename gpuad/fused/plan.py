"""A plan: what one fused kernel does, without the arrays. Every executor makes code of the same plan.

A kernel goes over a grid of ``ndim`` loops, the last of which runs fastest. At every point it reads the operands,
takes the steps, one after another, and stores or adds up the outputs. Values are numbered: the operands first,
then the numbers, then the results of the steps.

Where there are folds, the last loop is a *row*. The result of a fold is one value per row, and the steps that
need it see it as it is when the whole row has been folded: so softmax and layer normalisation are one plan.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

DType = np.dtype[Any]


class Operand(NamedTuple):
    """An array that is read. Its strides count entries: 0 along a loop that it is broadcast along, 1 where entries
    lie side by side, ``None`` where the call says."""

    dtype: DType
    strides: tuple[int | None, ...]


class Step(NamedTuple):
    """One operation on the entries at a point: a primitive's ``scalar``, with the values of ``args`` filled in.

    Every argument is converted to the dtype in ``takes`` before, as NumPy's promotion has it; the result is of
    ``dtype``. A cast is a step whose scalar is ``{0}``. ``fold``: instead, the argument is added up along the
    row (``"add"``), or its largest or smallest entry is taken (``"maximum"``, ``"minimum"``; NaN if there is one).
    """

    name: str
    scalar: str
    args: tuple[int, ...]
    takes: tuple[DType, ...]
    dtype: DType
    fold: str | None = None


class Output(NamedTuple):
    """A value that is stored, in an array over the loops that are left when those in ``summed`` are summed over.

    ``per_row``: the value is one per row, and its array hasn't the last loop, which isn't summed over. The sum of
    float16 and float32 has more digits inside than the array has. ``strides``: as those of an operand, where its array
    isn't C-contiguous; only where nothing is summed.
    """

    value: int
    dtype: DType
    summed: tuple[bool, ...]
    per_row: bool = False
    strides: tuple[int | None, ...] | None = None


class Plan(NamedTuple):
    """A kernel. Equal plans are equal keys: whoever compiles one looks it up first.

    ``row``: how long the last loop always is, where that is said; a compiler then needs no loop for a few entries.
    """

    ndim: int
    operands: tuple[Operand, ...]
    numbers: tuple[DType, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    row: int | None = None

    def dtype_of(self, value: int) -> DType:
        operands, numbers = len(self.operands), len(self.numbers)
        if value < operands:
            return self.operands[value].dtype
        if value < operands + numbers:
            return self.numbers[value - operands]
        return self.steps[value - operands - numbers].dtype


class Call(NamedTuple):
    """What a compiled plan is run on: lengths of the loops, raw arrays with their strides per loop in entries, Python
    numbers, and the arrays to write over the loops that they have, C-contiguous if the plan doesn't say otherwise."""

    lengths: tuple[int, ...]
    arrays: tuple[Any, ...]
    strides: tuple[tuple[int, ...], ...]
    numbers: tuple[Any, ...]
    outputs: tuple[Any, ...]

"""A plan for the GPU, cut into kernels.

Most plans are one kernel. A second one follows where blocks leave partial sums, and sums that have no loops in common
are kernels of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .plan import DType, Operand, Output, Plan, Step

Mask = tuple[bool, ...]


class Part(NamedTuple):
    """One kernel of a plan.

    ``form`` is a template's: ``"elementwise"``, ``"reduce"`` or ``"rows"``. ``plan`` reads the ``operands`` and
    ``numbers`` of the whole plan that are named here and makes its ``outputs``. ``mask``: the loops that it sums over.
    ``partial``: outputs that always need a second kernel.
    """

    form: str
    plan: Plan
    operands: tuple[int, ...]
    numbers: tuple[int, ...]
    outputs: tuple[int, ...]
    mask: Mask
    partial: frozenset[int]


def parts(plan: Plan) -> list[Part]:
    """The kernels that make all outputs of ``plan``, which has a loop at least."""
    folds = any(step.fold for step in plan.steps) or any(output.per_row for output in plan.outputs)
    if folds:
        plan = _with_folded_rows(plan)
    masks = [_mask(output, folds) for output in plan.outputs]
    least = [m for m in dict.fromkeys(masks) if any(m) and not any(any(o) and o != m and _within(o, m) for o in masks)]
    none = (False,) * plan.ndim
    made = []
    for number, group in enumerate(least or [none]):
        # What isn't summed, and sums over more loops, come with the first sum that they can come with.
        chosen = [
            k for k, m in enumerate(masks) if next((i for i, g in enumerate(least) if _within(g, m)), 0) == number
        ]
        form = "rows" if folds else "reduce" if any(group) else "elementwise"
        made.append(_part(form, plan, chosen, group, folds))
    return made


def _mask(output: Output, folds: bool) -> Mask:
    """The loops that a kernel sums ``output`` over. Of what is one per row it stores the rows."""
    return (False,) * len(output.summed) if folds and output.per_row else output.summed


def _within(smaller: Mask, larger: Mask) -> bool:
    return all(b or not a for a, b in zip(smaller, larger, strict=True))


def _with_folded_rows(plan: Plan) -> Plan:
    """Where there are folds, a sum along the rows is one more of them."""
    steps, outputs = list(plan.steps), []
    first = len(plan.operands) + len(plan.numbers)
    for output in plan.outputs:
        if output.summed[-1]:
            dtype = plan.dtype_of(output.value)
            wide = sum_dtype(dtype, output.dtype)
            steps.append(Step("add", "{0}", (output.value,), (wide,), wide, "add"))
            output = Output(first + len(steps) - 1, output.dtype, (*output.summed[:-1], False), per_row=True)
        outputs.append(output)
    return plan._replace(steps=tuple(steps), outputs=tuple(outputs))


def sum_dtype(dtype: DType, into: DType) -> DType:
    """What sums of ``dtype`` that end up as ``into`` are taken in."""
    if "c" in (dtype.kind, into.kind):
        return np.dtype(np.complex128)
    return np.dtype(np.int64 if dtype.kind in "biu" and into.kind in "biu" else np.float64)


def _part(form: str, plan: Plan, chosen: list[int], mask: Mask, folds: bool) -> Part:
    """The plan of the outputs ``chosen``, with what they need."""
    operands, numbers = len(plan.operands), len(plan.numbers)
    first = operands + numbers
    needed = {plan.outputs[k].value for k in chosen}
    for number in reversed(range(len(plan.steps))):
        if first + number in needed:
            needed.update(plan.steps[number].args)
    order = sorted(needed)
    new = {value: k for k, value in enumerate(order)}
    kept_operands = tuple(v for v in order if v < operands)
    kept_numbers = tuple(v - operands for v in order if operands <= v < first)
    steps = tuple(plan.steps[v - first] for v in order if v >= first)
    outputs = tuple(plan.outputs[k] for k in chosen)
    smaller = Plan(
        plan.ndim,
        tuple(plan.operands[v] for v in kept_operands),
        tuple(plan.numbers[v] for v in kept_numbers),
        tuple(step._replace(args=tuple(new[a] for a in step.args)) for step in steps),
        tuple(output._replace(value=new[output.value]) for output in outputs),
    )
    partial = frozenset(k for k, o in enumerate(outputs) if any(o.summed) and (folds or o.summed != mask))
    return Part(form, smaller, kept_operands, kept_numbers, tuple(chosen), mask, partial)


class Total(NamedTuple):
    """Sums of partial sums: a plan of one contiguous array for each output, and the lengths of its loops."""

    plan: Plan
    lengths: tuple[int, ...]
    outputs: tuple[int, ...]


def totals(wanted: list[tuple[int, DType, DType, list[tuple[int, bool]]]]) -> list[Total]:
    """What adds up partial sums.

    For each output its number, the dtypes of its partial sums and of itself, and the lengths of the loops over them,
    with which are summed over. Outputs with the same loops are added up together.
    """
    by_loops: dict[tuple[tuple[int, bool], ...], list[tuple[int, DType, DType]]] = {}
    for number, have, want, given in wanted:
        joined: list[tuple[int, bool]] = []
        for length, summed in given:
            if joined and joined[-1][1] == summed:
                joined[-1] = (joined[-1][0] * length, summed)
            else:
                joined.append((length, summed))
        by_loops.setdefault(tuple(joined), []).append((number, have, want))
    return [_total(loops, members) for loops, members in by_loops.items()]


def _total(loops: tuple[tuple[int, bool], ...], members: list[tuple[int, DType, DType]]) -> Total:
    summed = tuple(s for _, s in loops)
    strides = (*(None for _ in loops[1:]), 1)
    operands = tuple(Operand(have, strides) for _, have, _ in members)
    outputs = tuple(Output(k, want, summed) for k, (_, _, want) in enumerate(members))
    plan = Plan(len(loops), operands, (), (), outputs)
    return Total(plan, tuple(n for n, _ in loops), tuple(n for n, _, _ in members))

"""Which steps of a recording go to C: stretches between those that can't, each as one step of its own."""

from __future__ import annotations

from collections.abc import Callable

from ..backend import numpy_backend
from ..core.record import Step, Value
from . import indices, margins, operations  # noqa: F401
from .kernel import Kernel, Signature
from .lowering import Lowering, NotHere
from .stretch import Stretch

#: A stretch of fewer statements takes as long in Python.
LEAST = 3


def grouped(
    steps: list[Step], values: dict[int, Value], kept: frozenset[int], stays: Callable[[Step], bool]
) -> list[Step]:
    """``steps`` with stretches in C for those that can be, in an order that may be another.

    ``kept``: values that are needed after them. ``stays``: whether a step has to be done in Python. The
    ``values`` of what a stretch makes for others are replaced: these are arrays of their own.
    """
    last_use = {a: i for i, step in enumerate(steps) for a in step.args}
    found: list[Step | tuple[Lowering, list[Step]]] = []
    reaches = margins.reaches([step for step in steps if not stays(step)], values)
    lowering, members, made = Lowering(values, last_use, kept, reaches), [], set()  # type: ignore[var-annotated]

    def close() -> None:
        nonlocal lowering, members, made
        if len(lowering.program.statements) >= LEAST:
            found.append((lowering, members))
        else:
            found.extend(members)
        lowering, members, made = Lowering(values, last_use, kept, reaches), [], set()

    for i, step in enumerate(steps):
        if not stays(step):
            try:
                lowering.take(step, i)
            except NotHere:
                pass
            else:
                members.append(step)
                made.update(step.outs)
                continue
        if not made.isdisjoint(step.args):
            close()
        found.append(step)
    close()
    return _linked(found, values, kept)


def _linked(
    found: list[Step | tuple[Lowering, list[Step]]], values: dict[int, Value], kept: frozenset[int]
) -> list[Step]:
    """The stretches as steps, which make what others read."""
    wanted = set(kept)
    linked: list[Step] = []
    for entry in reversed(found):
        if isinstance(entry, Step):
            linked.append(entry)
            wanted.update(entry.args)
            continue
        lowering, steps = entry
        outs = tuple([out for step in steps for out in step.outs if out in wanted])
        if not outs:
            continue
        signature = Signature(
            list(lowering.arrays.values()),
            [values[place].spec.dtype for place in lowering.numbers],
            lowering.finish(outs),
            [values[place].strides is None for place in outs],
        )
        args = (*lowering.arrays, *lowering.numbers)
        stretch = Stretch(steps, Kernel(lowering.program, signature))
        linked.append(Step(stretch, args, {}, outs, True, numpy_backend, None, steps[-1].line))
        wanted.update(args)
        for out in outs:
            values[out] = _own(values[out])
    linked.reverse()
    return linked


def _own(value: Value) -> Value:
    """As an array that shares memory with none."""
    if value.strides is None:
        return value._replace(shares=())
    strides = Lowering.lying(value)
    return value._replace(shares=(), strides=tuple([s * value.spec.dtype.itemsize for s in strides]))

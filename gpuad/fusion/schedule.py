"""Computing what waits: which operations become one kernel, and what that kernel is.

Arrays of one shape that are connected by elementwise operations, and sums over them, are one kernel. It reads what
is there and stores what was asked for. What lies between is computed in passing, and once more if another kernel
needs it; then it is stored, if anybody still holds it. So nothing is computed three times.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import numpy_backend, recycle
from . import executors
from .pending import Apply, Pending, Sum, View, region_of
from .plan import Call, Operand, Output, Plan, Step

#: Plans and what was compiled of them, by structure.
_compiled: dict[Any, Any] = {}
_KEPT = 1 << 12


def compute(waiting: Sequence[Pending]) -> None:
    """Compute pending arrays, together where they belong together."""
    stages: dict[int, dict[Any, list[Pending]]] = {}
    views: list[Pending] = []
    for x, before in _needed(waiting).items():
        if type(x.op) is View:
            views.append(x)
        else:
            source = _source(x)
            belongs = id(source) if source.value is not None or type(source.op) is not Apply else id(region_of(source))
            stages.setdefault(before, {}).setdefault(belongs, []).append(x)
    for before in sorted(stages):
        for group in stages[before].values():
            _look(views)
            _compute_together(group)
    _look(views)


Pending.compute = staticmethod(compute)


def _needed(waiting: Sequence[Pending]) -> dict[Pending, int]:
    """What has to be stored so that ``waiting`` can be computed, these included: and after how many others each."""
    found = {x: 0 for x in waiting if x.value is None}
    stages: dict[Pending, int] = {}  # of every array on the way
    stack = list(found)
    while stack:
        x = stack[-1]
        inside = [] if x in stages else [a for a in x.args if isinstance(a, Pending) and a.value is None]
        missing = [a for a in inside if a not in stages]
        if missing:
            stack += missing
            continue
        stack.pop()
        if x in stages:
            continue
        stage = 0
        for a in inside:
            together = type(a.op) is Apply and (type(x.op) is Sum or (type(x.op) is Apply and a.shape == x.shape))
            if not together:
                found.setdefault(a, 0)
            stage = max(stage, stages[a] + (not together and type(x.op) is not View))
        stages[x] = stage
    return {x: stages[x] for x in found}


def _look(views: list[Pending]) -> None:
    """Make the views of what has been computed."""
    for x in views:
        if x.value is None and x.args[0].value is not None:
            _put(x, x.op.function(x.args[0].value))  # type: ignore[union-attr]


def _source(x: Pending) -> Pending:
    """What goes over the same grid: the array itself, or what it is the sum of."""
    return x.args[0] if type(x.op) is Sum else x


def _put(x: Pending, value: Any) -> None:
    x.value, x.op, x.args, x.region = value, None, (), None


def _compute_together(roots: list[Pending]) -> None:
    """Pending arrays of one region, in one kernel."""
    nodes = _gather(roots)
    if nodes:
        region, asked = region_of(next(iter(nodes))), set(map(id, roots))
        waiting = [s for s in [r() for r in region.sums] if s is not None and s.value is None]
        region.sums = list(map(weakref.ref, waiting))
        for s in waiting:
            if id(s) not in asked and _within_reach(s.args[0], nodes):
                roots.append(s)
        for s in roots:
            if type(s.op) is Sum and s.args[0] in nodes:
                nodes[s.args[0]] += 1
        waiting.clear()
    _launch(roots + _worth_storing(nodes, set(map(id, roots))), sorted(nodes, key=_serial_of))


def _serial_of(x: Pending) -> int:
    return x.serial  # type: ignore[no-any-return]


def _gather(roots: list[Pending]) -> dict[Pending, int]:
    """What must be computed for ``roots`` on their grid, and how often each is read there."""
    nodes: dict[Pending, int] = {s: 0 for s in map(_source, roots) if s.value is None}
    stack = list(nodes)
    while stack:
        for a in stack.pop().args:
            if isinstance(a, Pending) and a.value is None:
                if a not in nodes:
                    nodes[a] = 0
                    stack.append(a)
                nodes[a] += 1
    return nodes


def _within_reach(x: Pending, nodes: dict[Pending, int]) -> bool:
    """Whether ``x`` is among ``nodes``, or follows from them in few steps, which are added to them then."""
    more: dict[Pending, int] = {}
    stack = [] if x in nodes else [x]
    while stack:
        found = stack.pop()
        more[found] = more.get(found, 0)
        for a in found.args:
            if isinstance(a, Pending) and a.value is None:
                if type(a.op) is not Apply or a.shape != x.shape or len(more) > _FEW:
                    return False
                if a not in nodes and a not in more:
                    more[a] = 0
                    stack.append(a)
    for found in more:
        nodes.setdefault(found, 0)
        for a in found.args:
            if isinstance(a, Pending) and a.value is None:
                nodes[a] = nodes.get(a, 0) + 1
    return True


#: A sum that takes so many steps more is computed along the way.
_FEW = 8


def _worth_storing(nodes: dict[Pending, int], asked: set[int]) -> list[Pending]:
    """What has been computed before in passing, and is held by others than what is computed here."""
    return [x for x in nodes if x.times and id(x) not in asked and sys.getrefcount(x) > nodes[x] + _HELD_HERE]


#: By how many a node is referred to there: the table, the variable, and the argument.
_HELD_HERE = 3


# -- from arrays to a plan ---------------------------------------------------------------------------------
def _launch(targets: list[Pending], nodes: list[Pending]) -> None:
    """Compute ``targets`` by way of ``nodes``, all on one grid, and store them."""
    shape = _source(targets[0]).shape
    backend = targets[0].backend
    operands: list[Any] = []
    numbers: list[Any] = []
    takes: list[Any] = []
    place: dict[Any, int] = {}  # operands from 0 on, numbers from -1 down, steps by the identity of their arrays
    steps: list[Any] = []
    merged: dict[Any, int] = {}

    def operand(a: Any) -> int:
        found = place.get(id(a))
        if found is None:
            found = place[id(a)] = len(operands)
            operands.append(a)
        return found

    at: dict[int, int] = {}
    for x in nodes:
        op = x.op
        args = []
        for a, dtype in zip(x.args, op.takes, strict=True):  # type: ignore[union-attr]
            if not isinstance(a, Pending):
                key = (type(a), a if a else str(a), dtype)
                found = merged.get(key)
                if found is None:
                    numbers.append(a)
                    takes.append(dtype)
                    found = merged[key] = -len(numbers)
                args.append(found)
            elif a.value is None:
                args.append(_STEP + at[id(a)])
            else:
                args.append(operand(a.value))
        step = (op, *args)
        k = merged.get(step)
        if k is None:
            k = merged[step] = len(steps)
            steps.append(step)
        at[id(x)] = k

    outputs: list[Any] = []
    for x in targets:
        source = _source(x)
        value = _STEP + at[id(source)] if source.value is None else operand(source.value)
        outputs.append((value, x.dtype, x.op.axes if type(x.op) is Sum else ()))

    lengths, layout, order, summed, arrays = _layout(shape, operands, [axes for _, _, axes in outputs])
    work = max(len(steps), 1)
    for n in lengths:
        work *= n
    structure = (
        backend.name,
        work >= executors.WORTH_COMPILING,
        tuple([(a.dtype, classes) for a, (classes, _) in zip(arrays, layout, strict=True)]),
        tuple(takes),
        tuple(steps),
        tuple([(value, dtype, sums) for (value, dtype, _), sums in zip(outputs, summed, strict=True)]),
        len(lengths),
    )
    run = _compiled.get(structure)
    if run is None:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        run = _compiled[structure] = _compile(backend, _plan(structure), work)
    buffers = [_buffer(backend, lengths, sums, dtype) for (_, dtype, _), sums in zip(outputs, summed, strict=True)]
    run(Call(lengths, tuple(arrays), tuple([strides for _, strides in layout]), tuple(numbers), tuple(buffers)))
    for x in nodes:
        x.times += 1
    for x, buffer, (_, _, gone) in zip(targets, buffers, outputs, strict=True):
        _put(x, _shaped(buffer, x.shape, shape, order, gone))


#: Where the numbers of steps begin, in what the arguments of steps are called while they are collected.
_STEP = 1 << 20


def _plan(key: Any) -> Plan:
    _, _, operands, numbers, steps, outputs, ndim = key

    def place(code: int) -> int:
        if code < 0:
            return len(operands) - 1 - code
        return len(operands) + len(numbers) + code - _STEP if code >= _STEP else code

    return Plan(
        ndim,
        tuple(Operand(*o) for o in operands),
        numbers,
        tuple(Step(op.name, op.scalar, tuple(map(place, args)), op.takes, op.dtype) for op, *args in steps),
        tuple(Output(place(value), dtype, sums) for value, dtype, sums in outputs),
    )


def _layout(shape: tuple[int, ...], operands: list[Any], axes: list[tuple[int, ...]]) -> Any:
    """Loops over the grid: their lengths, how operands lie along them, the axes that they are, what is summed."""
    whole = not any(0 < len(a) < len(shape) for a in axes)
    if whole:
        for a in operands:
            if a.shape != shape or not a.flags.c_contiguous:
                break
        else:
            n = 1
            for length in shape:
                n *= length
            return (n,), [((1,), (1,))] * len(operands), None, [(bool(a),) for a in axes], operands
    operands = [a if all(n % a.itemsize == 0 for n in a.strides) else a.copy() for a in operands]
    strides = []
    for a in operands:
        extra = len(shape) - a.ndim
        own = [0 if m == 1 else n // a.itemsize for m, n in zip(a.shape, a.strides, strict=True)]
        strides.append([0] * extra + own)
    order = list(range(len(shape)))
    full = next((s for a, s in zip(operands, strides, strict=True) if a.shape == shape), None)
    if full is not None:
        order.sort(key=lambda i: -abs(full[i]))
    loops: list[int] = []  # the last axis of each
    lengths: list[int] = []
    for i in order:
        if shape[i] == 1:
            continue
        if (
            loops
            and all(s[loops[-1]] == s[i] * shape[i] for s in strides)
            and all((loops[-1] in a) == (i in a) for a in axes)
        ):
            lengths[-1] *= shape[i]
            loops[-1] = i
        else:
            lengths.append(shape[i])
            loops.append(i)
    if not loops:
        loops, lengths = [0], [1]
        strides = [[0] for _ in operands]
    layout: list[Any] = []
    for s in strides:
        told = tuple([s[i] for i in loops])
        classes = tuple([n if n == 0 or (n == 1 and k == len(told) - 1) else None for k, n in enumerate(told)])
        layout.append((classes, told))
    summed = [tuple([i in a for i in loops]) for a in axes]
    return tuple(lengths), layout, None if order == sorted(order) else order, summed, operands


def _buffer(backend: Any, lengths: tuple[int, ...], summed: tuple[bool, ...], dtype: Any) -> Any:
    kept = tuple([n for n, gone in zip(lengths, summed, strict=True) if not gone])
    if backend is numpy_backend:
        return recycle.take(kept, dtype) if kept == lengths else np.empty(kept, dtype)
    return backend.xp.empty(kept, dtype)


def _shaped(
    buffer: Any, shape: tuple[int, ...], grid: tuple[int, ...], order: list[int] | None, axes: tuple[int, ...]
) -> Any:
    """What was written along the loops, as the array that it is."""
    if order is not None:
        left = [i for i in order if i not in axes]
        inverse = sorted(range(len(left)), key=left.__getitem__)
        buffer = buffer.reshape([grid[i] for i in left]).transpose(inverse)
    return buffer if buffer.shape == shape else buffer.reshape(shape)


def _compile(backend: Any, plan: Plan, work: int) -> Any:
    if backend is numpy_backend:
        return executors.compile_host(plan, work)
    from . import device

    return device.compile(plan, backend.xp)

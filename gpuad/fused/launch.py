"""From arrays to a plan, and from the plan to a kernel that is run on them."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..backend import numpy_backend
from ..backend.interface import Backend
from . import executors, memory_order, pool
from .pending import LARGE, Apply, Pending, Sum, View, planning
from .plan import Call, Operand, Output, Plan, Step
from .short_rows import SHORT, written_out


class Kernel:
    """A plan, what runs it (``None``: the library's functions, one by one), and the seconds that it took to get it.

    On the host NumPy runs it at first. When it has had so much to do that a compiler would have paid, the plan is
    compiled: ``worked`` counts points times operations, so that a program takes the same way every time it is run.
    ``written_out``: how its calls are those of another plan, if its rows are ``short``, of so many entries.
    """

    __slots__ = ("operations", "plan", "run", "seconds", "worked", "written_out")

    def __init__(self, backend: Backend, plan: Plan, short: int | None) -> None:
        self.written_out = written_out(plan, short) if short is not None else None
        self.plan, self.operations, self.worked = plan, executors.operations(plan), 0
        self.run: Any = None
        start = time.perf_counter()
        if backend is not numpy_backend:
            from . import device

            with contextlib.suppress(NotImplementedError):  # of a dtype or a function that the kernels don't have
                self.run = device.compile(plan, backend.xp)
        self.seconds = time.perf_counter() - start

    def on_host(self, points: int) -> Any:
        """What runs it on the host, on a grid of so many ``points``."""
        before = self.worked
        self.worked += points * self.operations
        if self.run is None or before < executors.WORTH_COMPILING <= self.worked:
            start = time.perf_counter()
            plan = self.plan if self.written_out is None else self.written_out.plan
            self.run = executors.compile_host(plan, self.worked)
            self.seconds = time.perf_counter() - start
        return self.run


#: Plans and what was compiled of them, by structure.
_compiled: dict[Any, Kernel] = {}
#: The kernels that are run in this thread or task and the lengths of their loops, while somebody wants to know.
watched: ContextVar[list[tuple[Kernel, tuple[int, ...]]] | None] = ContextVar("gpuad_kernels", default=None)
#: Who takes note of kernels and what they are called with, in this thread or task, in the place of having them run.
rehearsal: ContextVar[Callable[[Kernel, Call], None] | None] = ContextVar("gpuad_rehearsal", default=None)
#: Where results are to be written, in this thread or task: contiguous arrays that share no memory with what is read.
destinations: ContextVar[dict[Pending, Any] | None] = ContextVar("gpuad_destinations", default=None)
_KEPT = 1 << 12
#: Where the numbers of steps begin, in what the arguments of steps are called while they are collected.
_STEP = 1 << 20

Shape = tuple[int, ...]


class Collected:
    """Operands, numbers and steps, as they are found.

    Arguments of steps are called by a number: operands from 0 on, Python's numbers from -1 down, steps from ``_STEP``.
    """

    def __init__(self, grid: Shape, row: int) -> None:
        self.grid, self.row = grid, row
        self.operands: list[Any] = []
        self.numbers: list[Any] = []
        self.dtypes: list[Any] = []
        self.steps: list[tuple[Any, ...]] = []
        self._known: dict[Any, int] = {}

    def enter(self, x: Pending) -> None:
        """Take the step that makes ``x``, unless one like it was taken before."""
        op, known = x.op, self._known
        if type(op) is View:
            known[x] = self.number_of(x.args[0], None, x)
            return
        if type(op) is Sum:
            op = Apply("sum", "{0}", (x.dtype,), x.dtype, op.how)
            shape: Shape = x.args[0].shape
        else:
            shape = x.shape
        assert type(op) is Apply
        step: list[Any] = [op]
        whole = shape == self.grid
        for a, dtype in zip(x.args, op.takes, strict=True):
            place = None
            if isinstance(a, Pending):  # the short way of `number_of`
                if a.value is None:
                    place = known[a]
                elif whole:
                    place = known.get((id(a.value), False))
            step.append(self.number_of(a, dtype, x, shape) if place is None else place)
        key = tuple(step)
        found = known.get(key)
        if found is None:
            found = known[key] = _STEP + len(self.steps)
            self.steps.append(key)
        known[x] = found

    def number_of(self, a: Any, dtype: Any, user: Pending, shape: Shape | None = None) -> int:
        """What the argument ``a`` of ``user`` is called, which takes it as ``dtype``."""
        if not isinstance(a, Pending):
            key = (type(a), a if a else str(a), dtype)  # 0.0 and -0.0 are equal
            found = self._known.get(key)
            if found is None:
                self.numbers.append(a)
                self.dtypes.append(dtype)
                found = self._known[key] = -len(self.numbers)
            return found
        if a.value is None:
            return self._known[a]
        return self.operand(a.value, shape is not None and shape != self.grid and a.shape == shape)

    def operand(self, raw: Any, per_row: bool = False) -> int:
        """What an array is called; one with a number ``per_row`` lies along the rows."""
        key = (id(raw), per_row)
        found = self._known.get(key)
        if found is None:
            alike = _lies(raw, per_row)  # parts that were taken twice are two objects
            found = self._known.get(alike)
            if found is None:
                found = self._known[alike] = len(self.operands)
                self.operands.append(raw.reshape(self.grid[: -self.row] + (1,) * self.row) if per_row else raw)
            self._known[key] = found
        return found

    def output(self, x: Pending, per_row: bool) -> tuple[Any, ...]:
        """What to store as ``x``: the value, its dtype, the axes that it hasn't, and whether they are a row."""
        if type(x.op) is Sum and not per_row:
            source = x.args[0]
            value = self._known[source] if source.value is None else self.operand(source.value)
            return value, x.dtype, x.op.axes, False
        return self._known[x], x.dtype, tuple(range(len(self.grid)))[-self.row :] if per_row else (), per_row


def _lies(raw: Any, per_row: bool) -> Any:
    """The same for arrays that are the same entries in memory."""
    if type(raw) is not np.ndarray or raw.base is None:
        return id(raw), raw.strides, per_row
    return raw.__array_interface__["data"][0], raw.strides, raw.shape, raw.dtype, per_row


def launch(targets: list[Pending], nodes: list[Pending], grid: Shape, per_row: set[Pending], row: int) -> None:
    """Compute ``targets`` by way of ``nodes``, all on one grid, and store them.

    ``row``: how many of the last axes are a row, over which there are sums on the way, or 0; ``per_row``: which of
    ``targets`` have one number for each.
    """
    backend = targets[0].backend
    if backend is numpy_backend and not row and _is_short(grid, targets):
        with np.errstate(all="ignore"):
            _one_by_one(backend, targets, nodes)
        return
    collected = Collected(grid, row)
    for x in nodes:
        collected.enter(x)
    outputs = [collected.output(x, x in per_row) for x in targets]
    wanted: dict[Pending, memory_order.Order] = {}
    ours = backend is numpy_backend and len(grid) > 1 and not targets[0].stands_in
    if ours and not all(map(memory_order.in_c_order, collected.operands)):
        wanted = memory_order.orders([*nodes, *targets])
    preferred = next((wanted[x] for x in targets if x in wanted and x.shape == grid), None)
    lengths, layout, order, summed, arrays = _layout(
        backend, grid, collected.operands, [gone for _, _, gone, _ in outputs], row, preferred
    )
    structure = (
        backend.name,
        tuple([(a.dtype, classes) for a, (classes, _) in zip(arrays, layout, strict=True)]),
        tuple(collected.dtypes),
        tuple(collected.steps),
        tuple([(value, dtype, gone, rows) for (value, dtype, _, rows), gone in zip(outputs, summed, strict=True)]),
        len(lengths),
        lengths[-1] if backend is numpy_backend and len(lengths) > 1 and lengths[-1] <= SHORT else None,
    )
    kernel = _compiled.get(structure)
    if kernel is None:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        kernel = _compiled[structure] = Kernel(backend, _plan(structure), structure[-1])
    run = kernel.on_host(math.prod(lengths)) if backend is numpy_backend else kernel.run
    if run is None:
        _one_by_one(backend, targets, nodes)
        return
    buffers = [_buffer(backend, lengths, gone, dtype) for (_, dtype, _, _), gone in zip(outputs, summed, strict=True)]
    there = destinations.get()
    if there is not None:
        for k, x in enumerate(targets):
            if x in there and x not in wanted and order is None and buffers[k].size == there[x].size:
                buffers[k] = there[x].reshape(buffers[k].shape)
    strides = tuple([told for _, told in layout])
    call = Call(lengths, tuple(arrays), strides, tuple(collected.numbers), tuple(buffers))
    noted = rehearsal.get()
    if noted is not None:
        noted(kernel, call)
    else:
        planning.release()
        try:
            run(call if kernel.written_out is None else kernel.written_out.call(call))
        finally:
            planning.acquire()
    seen = watched.get()
    if seen is not None:
        seen.append((kernel, lengths))
    for x in nodes:
        x.times += 1
    for x, buffer, (_, _, gone, _) in zip(targets, buffers, outputs, strict=True):
        value = _shaped(buffer, x.shape, grid, order, gone)
        x.put(memory_order.put_in_order(value, wanted[x]) if x in wanted else value)


def _plan(structure: Any) -> Plan:
    _, operands, numbers, steps, outputs, ndim, _ = structure

    def place(code: int) -> int:
        if code < 0:
            return len(operands) - 1 - code
        return len(operands) + len(numbers) + code - _STEP if code >= _STEP else code

    return Plan(
        ndim,
        tuple(Operand(*o) for o in operands),
        numbers,
        tuple(Step(op.name, op.scalar, tuple(map(place, args)), op.takes, op.dtype, op.fold) for op, *args in steps),
        tuple(
            Output(place(value), dtype, (*gone[:-1], False) if per_row else gone, per_row)
            for value, dtype, gone, per_row in outputs
        ),
    )


#: A kernel on the host takes some 60 µs of Python and 3 for a step, a function of NumPy's one or two. So what is this
#: part of a large array is done one by one, such as what follows from sums.
_SHORT = 1 / 16


def _is_short(grid: Shape, targets: list[Pending]) -> bool:
    """Whether NumPy's functions do it in less time than a kernel."""
    most = _SHORT * LARGE[numpy_backend]
    return (
        math.prod(grid) * targets[0].dtype.itemsize < most
        and not targets[0].stands_in
        # Sums of these are added up in more digits than they have.
        and not any(type(x.op) is Sum and x.dtype.char in "efF" for x in targets)
    )


def _one_by_one(backend: Any, targets: list[Pending], nodes: list[Pending]) -> None:
    """Compute pending arrays with the library's functions."""
    functions = backend.functions
    for x in [*nodes, *targets]:
        if x.value is not None:
            continue
        op = x.op
        args = [a.value if isinstance(a, Pending) else a for a in x.args]
        if type(op) is View:
            x.put(op.function(*args))
        elif type(op) is Sum:
            name = {"add": "sum", "maximum": "max", "minimum": "min"}[op.how]
            x.put(functions.asarray(getattr(functions, name)(*args, axis=op.axes)).reshape(x.shape))
        elif type(op) is Apply:
            taken = [
                a.astype(t, copy=False) if hasattr(a, "astype") else a for a, t in zip(args, op.takes, strict=True)
            ]
            if op.scalar != "{0}":
                value = backend.function(op.name)(*taken)
            else:
                value = taken[0].copy() if taken[0] is args[0] else taken[0]
            value = functions.asarray(value, op.dtype)
            x.put(value if value.shape == x.shape else functions.broadcast_to(value, x.shape))


# -- loops ---------------------------------------------------------------------------------------------------
def _layout(
    backend: Any, grid: Shape, operands: list[Any], axes: list[Shape], row: int, preferred: memory_order.Order | None
) -> Any:
    """Loops over the grid: their lengths, how operands lie along them, their order among the axes, which of them each
    output hasn't, and the operands."""
    if not row and not any(0 < len(a) < len(grid) for a in axes):
        alike: list[Any] = []
        for a in operands:
            if a.shape == grid and a.flags.c_contiguous:
                alike.append(((1,), (1,)))
            elif not any(a.strides):
                alike.append(((0,), (0,)))  # one number
            else:
                break
        else:
            return (math.prod(grid),), alike, None, [(bool(a),) for a in axes], operands
    operands = [a if all(n % a.itemsize == 0 for n in a.strides) else a.copy() for a in operands]
    strides = [_strides(a, len(grid)) for a in operands]
    order = list(range(len(grid)))
    if row:
        for i, (a, s) in enumerate(zip(operands, strides, strict=True)):
            if not _is_one_loop(s[-row:], grid[-row:]):
                wide = (*((1,) * (len(grid) - a.ndim) + a.shape)[:-row], *grid[-row:])
                operands[i] = a = backend.functions.broadcast_to(a, wide).copy()
                strides[i] = _strides(a, len(grid))
    else:
        whole = (s for a, s in zip(operands, strides, strict=True) if a.shape == grid and 0 not in a.strides)
        full = preferred or next(whole, None)
        if full is not None:
            order.sort(key=lambda i: -abs(full[i]))
    loops: list[int] = []  # the last axis of each
    lengths: list[int] = []
    rows_from = len(grid) - row
    for i in order:
        if grid[i] == 1:
            continue
        if (
            loops
            and (loops[-1] < rows_from) == (i < rows_from)
            and all(s[loops[-1]] == s[i] * grid[i] for s in strides)
            and all((loops[-1] in a) == (i in a) for a in axes)
        ):
            lengths[-1] *= grid[i]
            loops[-1] = i
        else:
            lengths.append(grid[i])
            loops.append(i)
    if not loops:
        loops, lengths, strides = [0], [1], [[0] for _ in operands]
    layout: list[Any] = []
    for s in strides:
        told = tuple([s[i] for i in loops])
        classes = tuple([n if n == 0 or (n == 1 and k == len(told) - 1) else None for k, n in enumerate(told)])
        layout.append((classes, told))
    gone = [tuple([i in a for i in loops]) for a in axes]
    return tuple(lengths), layout, None if order == sorted(order) else order, gone, operands


def _strides(a: Any, ndim: int) -> list[int]:
    """How far apart entries are along the axes of the grid, in entries."""
    own = [0 if m == 1 else n // a.itemsize for m, n in zip(a.shape, a.strides, strict=True)]
    return [0] * (ndim - a.ndim) + own


def _is_one_loop(strides: list[int], lengths: Shape) -> bool:
    """Whether entries along several axes are a step apart that stays the same."""
    axes = [i for i, n in enumerate(lengths) if n != 1]
    return all(strides[i] == strides[j] * lengths[j] for i, j in itertools.pairwise(axes))


def _buffer(backend: Any, lengths: Shape, gone: tuple[bool, ...], dtype: Any) -> Any:
    kept = tuple([n for n, is_gone in zip(lengths, gone, strict=True) if not is_gone])
    if backend is numpy_backend:
        return pool.take(kept, dtype) if kept == lengths else np.empty(kept, dtype)
    return backend.xp.empty(kept, dtype)


def _shaped(buffer: Any, shape: Shape, grid: Shape, order: list[int] | None, gone: Shape) -> Any:
    """What was written along the loops, as the array that it is."""
    if order is not None:
        left = [i for i in order if i not in gone]
        inverse = sorted(range(len(left)), key=left.__getitem__)
        buffer = buffer.reshape([grid[i] for i in left]).transpose(inverse)
    return buffer if buffer.shape == shape else buffer.reshape(shape)

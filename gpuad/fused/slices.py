"""Slices of arrays that wait, and the sums that undo them, in the kernels that read them.

A slice of what few cheap operations make is what they make of slices, and a slice of an array that is there is a view.
So ``x[1:] - x[:-1]`` reads its operands twice, a step apart, where they lie. What takes longer to compute than to store
and to read is computed once, and its slices are views.

The cotangent of a slice is zero around it. That of ``x[1:] - x[:-1]``, where both meet, is ``g[i - 1] - g[i]`` with
zeros beyond the ends of ``g``. So what is added up is computed with zeros around it, once however many slices it comes
from, and the sum reads that at several places: it is an elementwise operation and waits like others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import numpy_backend
from . import pool
from .c_order import instructions
from .launch import destinations
from .pending import (
    Apply,
    Pending,
    View,
    apply,
    backwards,
    is_part,
    large,
    leaf,
    lift,
    running,
    settle,
    settle_all,
    viewed,
)

#: One slice for every axis, from a start to a stop; steps are positive.
Box = tuple[slice, ...]

#: Instructions of what is computed for each of its slices anew: fewer than it takes to store it and to read it.
_CHEAP = 8


def box_of(key: Any, shape: tuple[int, ...]) -> Box | None:
    """The key as a slice for every axis; ``None`` where it has others than slices, or goes backwards."""
    key = key if type(key) is tuple else (key,)
    if not all(type(i) in (slice, type(Ellipsis)) for i in key) or key.count(Ellipsis) > 1:
        return None
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key = (*key[:at], *[slice(None)] * (len(shape) - len(key) + 1), *key[at + 1 :])
    if len(key) > len(shape):
        return None
    found = [slice(*i.indices(n)) for i, n in zip(key, shape, strict=False)]
    found += [slice(0, n, 1) for n in shape[len(found) :]]
    return tuple(found) if all(i.start <= i.stop and i.step > 0 for i in found) else None


def _lengths(box: Box) -> tuple[int, ...]:
    return tuple([-(-(i.stop - i.start) // i.step) for i in box])


# -- reading ---------------------------------------------------------------------------------------------------
def sliced(x: Pending, key: Any) -> Any:
    """``x[key]`` of what waits, as an array that waits, too; ``None`` if ``x`` is better computed."""
    box = box_of(key, x.shape)
    if box is None:
        return None
    shape = _lengths(box)
    if x.dtype.itemsize * math.prod(shape) >= max(large(x.backend), 1):
        return viewed(x, View(lambda raw: raw[box], box=box), shape)
    if backwards.on and not running.on and not x.times and 0 not in shape:
        # A program could write into ``x`` and see it in its part; now nobody can.
        found = _of_slices(x, box)
        if found is not None:
            x.times += 1
            return lift(settle(found))
    return None


def through(x: Pending) -> Pending:
    """A slice that waits, as something that operations can be fused with."""
    assert type(x.op) is View and x.op.box is not None
    (whole,) = x.args
    if whole.value is None:
        found = _of_slices(whole, x.op.box)
        if found is not None:
            return found
        settle(whole)
    x.put(x.op.function(whole.value))
    return x


def _of_slices(x: Pending, box: Box) -> Pending | None:
    """``x[box]``, as the operations that make ``x`` on slices of what they read, if they are cheap."""
    if is_part(x):
        x = through(x)
    order: dict[Pending, None] = {}
    stack: list[Any] = [x]
    left = _CHEAP
    while stack:
        y = stack.pop()
        if not isinstance(y, Pending) or y.value is not None or y in order or (not y.shape and y is not x):
            continue
        if type(y.op) is not Apply or y.shape != x.shape:
            return None
        left -= instructions(y.op.scalar)
        if left < 0:
            return None
        order[y] = None
        stack += y.args
    made: dict[Pending, Pending] = {}

    def part(a: Any) -> Any:
        if not isinstance(a, Pending) or not a.shape:
            return a
        if a in made:
            return made[a]
        own = [slice(None) if n == 1 else i for n, i in zip(a.shape, box[len(box) - len(a.shape) :], strict=True)]
        return leaf(type(a), a.value[tuple(own)])

    for y in sorted(order, key=lambda y: y.serial):
        assert type(y.op) is Apply
        made[y] = apply(y.op, type(y), tuple(map(part, y.args)), _lengths(box))
    return part(x)  # type: ignore[no-any-return]


# -- adding up -------------------------------------------------------------------------------------------------
def added_up(
    terms: Sequence[Any], boxes: Sequence[Box], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Pending | None:
    """Zeros of that shape, to which each term is added in its box, as an array that waits.

    ``None`` where the terms don't wait or don't overlap: then it is as well to write them where they belong.
    """
    waiting = next((g for g in terms if isinstance(g, Pending) and g.value is None), None)
    fit = [_is_large(g, box, shape, dtype) for g, box in zip(terms, boxes, strict=True)]
    if waiting is None or len(terms) < 2 or not all(fit):
        return None
    kind = type(waiting)
    made = _Sums([g if isinstance(g, Pending) else leaf(kind, g) for g in terms])
    starts: dict[Pending, list[tuple[int, ...]]] = {}
    for k, box in enumerate(boxes):
        for source in made.sources(k):
            starts.setdefault(source, []).append(tuple([i.start for i in box]))
    padded = {source: _Padded(source, places, shape) for source, places in starts.items()}
    token = destinations.set({source: p.window for source, p in padded.items() if p.in_place})
    try:
        settle_all(list(padded))
    finally:
        destinations.reset(token)
    for p in padded.values():
        p.fill()
    addition, total = Apply("add", "{0} + {1}", (dtype, dtype), dtype), None
    for k, box in enumerate(boxes):
        start = tuple([i.start for i in box])
        term = made.term(k, {source: p.seen_from(start) for source, p in padded.items()}, shape)
        total = term if total is None else apply(addition, kind, (total, term), shape)
    return apply(addition, kind, (total, 0.0), shape) if made.negative else total


def _is_large(g: Any, box: Box, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether a term has most of the entries of what it is added to."""
    lengths = _lengths(box)
    return (
        all(i.step == 1 for i in box)
        and g.shape == lengths
        and g.dtype == dtype
        and 2 * math.prod(lengths) > math.prod(shape)
    )


class _Padded:
    """An array with zeros around it, so many that it can be read from all ``places``: the first entry of each."""

    def __init__(self, source: Pending, places: list[tuple[int, ...]], shape: tuple[int, ...]) -> None:
        self.source, self.shape = source, shape
        self.most = [max(starts) for starts in zip(*places, strict=True)]
        least = [min(starts) for starts in zip(*places, strict=True)]
        whole = tuple([n + b - a for n, a, b in zip(shape, least, self.most, strict=True)])
        backend = source.backend
        if backend is numpy_backend:
            self.array = pool.take(whole, source.dtype)
            for axis, (start, m) in enumerate(zip(self.most, source.shape, strict=True)):
                before = (slice(None),) * axis
                self.array[*before, :start] = 0
                self.array[*before, start + m :] = 0
        else:
            self.array = backend.functions.zeros(whole, source.dtype)
        self.window = self.array[tuple([slice(a, a + n) for a, n in zip(self.most, source.shape, strict=True)])]
        self.in_place = bool(self.window.flags.c_contiguous)

    def fill(self) -> None:
        value = settle(self.source)
        if not (self.in_place and value.base is self.array):
            self.window[...] = value

    def seen_from(self, start: tuple[int, ...]) -> Pending:
        """The term that begins there, with the zeros around it."""
        at = [slice(most - i, most - i + n) for most, i, n in zip(self.most, start, self.shape, strict=True)]
        return leaf(type(self.source), self.array[tuple(at)])


class _Sums:
    """Terms as sums and multiples of *sources*, which are zero where these are; so one source is computed for several
    terms."""

    def __init__(self, terms: list[Pending]) -> None:
        #: Whether a zero may have become -0.0.
        self.negative = False
        self.terms = terms
        cores = {self._core(g) for g in terms}
        #: What isn't a source though it could be: the others add up to it.
        self.sums: set[Pending] = set()
        for core in cores:
            if _is_sum(core) and all(self._core(a) in cores for a in core.args):
                self.sums.add(core)

    @staticmethod
    def _core(g: Pending) -> Pending:
        while (a := _multiplied(g)) is not None:
            g = a
        return g

    def sources(self, k: int) -> list[Pending]:
        found: dict[Pending, None] = {}
        stack: list[Any] = [self.terms[k]]
        while stack:
            g = self._core(stack.pop())
            if g in self.sums:
                stack += g.args
            else:
                found[g] = None
        return list(found)

    def term(self, k: int, there: dict[Pending, Pending], shape: tuple[int, ...]) -> Pending:
        made: dict[Pending, Pending] = {}

        def make(g: Any) -> Any:
            if not isinstance(g, Pending):
                return g
            if g not in made:
                if _multiplied(g) is None and g not in self.sums:
                    return there[g]
                assert type(g.op) is Apply
                self.negative = True
                made[g] = apply(g.op, type(g), tuple(map(make, g.args)), shape)
            return made[g]

        return make(self.terms[k])  # type: ignore[no-any-return]


def _is_linear(g: Pending, names: frozenset[str]) -> bool:
    op = g.op
    return g.value is None and type(op) is Apply and op.name in names and all(t == g.dtype for t in op.takes)


_SUMS, _MULTIPLES = frozenset({"add", "subtract"}), frozenset({"negative", "multiply", "divide"})


def _is_sum(g: Pending) -> bool:
    return _is_linear(g, _SUMS) and all(isinstance(a, Pending) and a.shape == g.shape for a in g.args)


def _multiplied(g: Pending) -> Pending | None:
    """What ``g`` is a multiple of, by a number that leaves zeros as they are."""
    if not _is_linear(g, _MULTIPLES):
        return None
    assert type(g.op) is Apply
    arrays = [a for a in g.args if isinstance(a, Pending)]
    numbers = [a for a in g.args if not isinstance(a, Pending)]
    if len(arrays) != 1 or arrays[0].shape != g.shape or (g.op.name == "divide" and g.args[0] is not arrays[0]):
        return None
    with np.errstate(all="ignore"):
        # As the kernel takes it: 1e39 is infinite in float32.
        factors = [1 / g.dtype.type(n) if g.op.name == "divide" else g.dtype.type(n) for n in numbers]
    return arrays[0] if np.isfinite(factors).all() else None

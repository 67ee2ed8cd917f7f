"""Sums of shifted large arrays, as the gradient of what reads ``x[1:]`` and ``x[:-1]`` is: computed stretch by stretch.

``scatter_add`` puts each term where it belongs, so every term is computed by itself, stored, read and added. Between
two places where a term begins or ends the sum is an elementwise operation on parts of the terms; and a part of what
elementwise operations make is what they make of parts. So the long stretch in the middle is one fused kernel that reads
the inputs and writes the result. The terms are added in the same order.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.box import make_spec
from ..core.primitive import Elementwise
from ..core.record import PythonOperator, Step, Value
from ..fused import switch
from ..fused.pending import LARGE
from ..ops.declare import registry
from ..ops.elementwise import add
from ..ops.index import part
from ..ops.shape import concatenate

if TYPE_CHECKING:
    from .simplify import Simplifier

#: So many stretches are worth it, with so many operations behind their terms.
STRETCHES, STEPS = 5, 64


def scatter_in_stretches(s: Simplifier, step: Step) -> bool:
    """Replace a ``scatter_add``, if its terms are what elementwise operations make."""
    spec, indices = step.params["spec"], step.params["indices"]
    if step.backend.name != "numpy" or step.errstate is not None or not switch.on() or len(indices) < 2:
        return False
    if spec.ndim != 1 or spec.dtype.kind != "f":
        return False
    spans = [_span(index, spec.size) for index in indices]
    if any(s.spec(a).dtype != spec.dtype for a in step.args):
        return False
    where = [span for span in spans if span is not None]
    ends = sorted({end for span in where for end in span})
    if len(where) < len(spans) or ends[0] != 0 or ends[-1] != spec.size or len(ends) - 1 > STRETCHES:
        return False
    longest = max(b - a for a, b in itertools.pairwise(ends))
    parts = _Parts(s, step)
    if longest * 2 < spec.size or longest * spec.dtype.itemsize < LARGE[step.backend]:
        return False
    if not all(parts.worth_it(a) for a in step.args):
        return False
    if min(len(_covering(where, a)) for a in ends[:-1]) == 0:
        return False
    stretches = []
    for a, b in itertools.pairwise(ends):
        first, *more = _covering(where, a)
        total = parts.of(step.args[first], a - where[first][0], b - where[first][0])
        if first:  # zeros were there before
            total = parts.sum(total, s.constant(0.0), b - a)
        for k in more:
            total = parts.sum(total, parts.of(step.args[k], a - where[k][0], b - where[k][0]), b - a)
        stretches.append(total)
    params = {"axis": 0, "starts": tuple(ends)}
    s.add(Step(concatenate, tuple(stretches), params, step.outs, False, step.backend, None, step.line, step.units))
    return True


def _span(index: Any, n: int) -> tuple[int, int] | None:
    """From where to where an index goes, one by one."""
    if type(index) is tuple and len(index) == 1:
        (index,) = index
    if type(index) is not slice:
        return None
    start, stop, by = index.indices(n)
    return (start, stop) if by == 1 and start < stop else None


def _covering(spans: list[tuple[int, int]], place: int) -> list[int]:
    return [k for k, (a, b) in enumerate(spans) if a <= place < b]


class _Parts:
    """Parts of vectors, made of parts of what these were made of."""

    def __init__(self, s: Simplifier, like: Step) -> None:
        self.s, self.like = s, like
        self.known: dict[tuple[int, int, int], int] = {}

    def worth_it(self, place: int) -> bool:
        """Whether a vector is made by a few elementwise operations."""
        seen, stack = {place}, [place]
        while stack:
            step = self._made(stack.pop())
            if step is None:
                continue
            for a in step.args:
                if a not in seen:
                    seen.add(a)
                    stack.append(a)
            if len(seen) > STEPS:
                return False
        return self._made(place) is not None

    def _made(self, place: int) -> Step | None:
        """The elementwise operation that made a vector, if kernels have it."""
        step = self.s.made.get(place)
        if step is None or isinstance(step.prim, PythonOperator) or not isinstance(step.prim, Elementwise):
            return None
        spec = self.s.spec(place)
        fits = all(self.s.spec(a).shape in (spec.shape, (), (1,)) for a in step.args)
        fusible = step.prim.scalar is not None and registry.get(step.prim.name) is step.prim
        return step if spec.ndim == 1 and fits and fusible and step.errstate is None else None

    def of(self, place: int, a: int, b: int) -> int:
        """``x[a:b]``."""
        s = self.s
        (n,) = s.spec(place).shape
        if (a, b) == (0, n):
            return place
        stack = [place]
        while stack:  # chains may be long: no recursion
            here = stack[-1]
            step = self._made(here)
            inside = [] if step is None else [x for x in step.args if s.spec(x).shape == (n,)]
            missing = [x for x in inside if (x, a, b) not in self.known]
            if missing and (here, a, b) not in self.known:
                stack += missing
                continue
            stack.pop()
            if (here, a, b) in self.known:
                continue
            if step is None:
                self.known[here, a, b] = self._cut(here, a, b)
            else:
                args = tuple([self.known[x, a, b] if s.spec(x).shape == (n,) else x for x in step.args])
                self.known[here, a, b] = self._emit(step.prim, args, b - a, s.spec(here).dtype, **step.params)
        return self.known[place, a, b]

    def _cut(self, place: int, a: int, b: int) -> int:
        s = self.s
        value = s.values[place]
        if value.raw is not None:
            return s.constant(np.array(value.raw[a:b]))
        made = s.made.get(place)
        if made is not None and made.prim is part:
            span = _span(made.params["key"], s.spec(made.args[0]).shape[0]) if s.spec(made.args[0]).ndim == 1 else None
            if span is not None:
                place, a, b = made.args[0], span[0] + a, span[0] + b
        view = Value(make_spec((b - a,), value.spec.dtype), value.strides, (place,))
        return s.step(part, (place,), self.like, view, key=slice(a, b, None))

    def sum(self, x: int, y: int, n: int) -> int:
        """The sum of two vectors of ``n`` numbers."""
        return self._emit(add, (x, y), n, self.s.spec(x).dtype)

    def _emit(self, prim: Any, args: tuple[int, ...], n: int, dtype: Any, **params: Any) -> int:
        return self.s.step(prim, args, self.like, Value(make_spec((n,), dtype), (dtype.itemsize,)), **params)

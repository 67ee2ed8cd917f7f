"""Arrays that are zero but along a few lines, as the rows of a Jacobian are at first: computed on these lines alone.

The sweeps of ``jacobian`` and ``hessian`` start with all unit vectors at once, an identity matrix. Elementwise
operations and slices leave it diagonal, or with few diagonals, so that almost all they compute is zero. Of such an
array we keep its entries on each diagonal, as a vector; the operations are done to these. The array itself is put
together from them where something else reads it, and is dropped with all that nobody reads.

A *line* is a set of entries whose numbers, in C order, are evenly spaced. What isn't on a line is zero, whatever it is
multiplied by: 0 times infinity isn't NaN there. That is so in the sweep of a Jacobian only (``Step.units``), where
zeros mean that there is no dependence; a program's own zeros are multiplied like other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.box import c_strides, make_spec
from ..core.record import Step, Value
from ..ops.declare import registry
from ..ops.elementwise import add, multiply, negative
from ..ops.index import Arrays, Region, part, scatter_add
from ..ops.shape import reshape

if TYPE_CHECKING:
    from .simplify import Simplifier

#: Arrays of fewer entries are computed as fast whole, and larger ones aren't looked at.
LEAST, MOST = 1 << 12, 1 << 22
#: An array has so many lines at most, and at least so many entries for each on a line.
LINES, SPARSE = 8, 8


class Line(NamedTuple):
    """The entries number ``start``, ``start + step``, ...: ``size`` of them."""

    start: int
    step: int
    size: int

    @property
    def numbers(self) -> Any:
        """Those of its entries."""
        return self.start + self.step * np.arange(self.size)

    @property
    def key(self) -> slice:
        """The line as an index of the flat array."""
        return slice(self.start, self.start + self.step * (self.size - 1) + 1, self.step)


#: The numbers of vectors, by the lines that they lie on; no two of them have an entry in common.
Lines = dict[Line, int]


def line_of(numbers: Any) -> Line | None:
    """The line that ``numbers``, in this order, are."""
    if len(numbers) == 1:
        return Line(int(numbers[0]), 1, 1)
    step = int(numbers[1] - numbers[0])
    return Line(int(numbers[0]), step, len(numbers)) if step > 0 and (np.diff(numbers) == step).all() else None


def pieces(numbers: Any, order: Any) -> Iterator[tuple[int, Line]]:
    """``numbers`` as lines, each with the place of its first one; ``order`` says where in turn they stand."""
    turn = np.argsort(order)
    numbers, order = numbers[turn], order[turn]
    start = 0
    while start < len(numbers):
        steps, turns = np.diff(numbers[start:]), np.diff(order[start:])
        count = 1
        if len(steps) and steps[0] > 0 and turns[0] == 1:
            odd = np.flatnonzero((steps != steps[0]) | (turns != 1))
            count = 1 + (int(odd[0]) if len(odd) else len(steps))
        yield int(order[start]), Line(int(numbers[start]), int(steps[0]) if count > 1 else 1, count)
        start += count


def lines_of(raw: Any) -> list[Line] | None:
    """The lines on which a constant isn't zero; ``None`` if it has too many."""
    if not isinstance(raw, np.ndarray) or not LEAST <= raw.size <= MOST or raw.dtype.kind not in "fc" or not raw.ndim:
        return None
    if 0 in raw.strides or np.count_nonzero(raw) * SPARSE > raw.size:
        return None
    numbers = np.flatnonzero(raw)
    step = raw.size // raw.shape[0] + 1  # from (i, j) to (i + 1, j + 1)
    found: list[Line] = []
    for first in np.unique(numbers % step):
        mine = numbers[numbers % step == first]
        parts = np.split(mine, np.flatnonzero(np.diff(mine) != step) + 1)
        if len(found) + len(parts) > LINES:
            return None
        found += [Line(int(part[0]), step if len(part) > 1 else 1, len(part)) for part in parts]
    return found


class Zeros:
    """What a ``Simplifier`` knows of arrays that are mostly zero."""

    def __init__(self, simplifier: Simplifier) -> None:
        self.s = simplifier
        self.known: dict[int, Lines] = {}
        self._looked_at: dict[int, list[Line] | None] = {}

    def fork(self, other: Simplifier, bound: int, next: int) -> Zeros:
        """As of the moment when values had numbers between these."""
        zeros = Zeros(other)
        zeros.known = {k: v for k, v in self.known.items() if next < k < bound}
        return zeros

    def add(self, step: Step) -> bool:
        """Take a step, if its result has lines; else it is left to others."""
        s = self.s
        name: str = step.prim.name
        rule = _RULES.get(name)
        (out,) = step.outs
        if rule is None or s.values[out].strides is None or registry.get(name) is not step.prim:
            return False
        size = s.spec(out).size
        if not LEAST <= size <= MOST or step.backend.name != "numpy" or step.errstate is not None:
            return False
        if not any(a in self.known or (step.units and self.lines(a, step) is not None) for a in step.args):
            return False
        lines = rule(self, step)
        if not lines or len(lines) > LINES or sum(line.size for line in lines) * SPARSE > size:
            return False
        if name in _VIEWS:
            s.put(step)
        elif _is_c(s.values[out]):
            self._whole(step, lines)
        else:
            return False
        self.known[s.find(out)] = lines
        return True

    def lines(self, place: int, step: Step) -> Lines | None:
        """Those of an operand. A constant has some only in the sweep of a Jacobian."""
        found = self.known.get(place)
        raw = self.s.values[place].raw
        if found is not None or raw is None or not step.units:
            return found
        if place not in self._looked_at:
            self._looked_at[place] = lines_of(raw)
        where = self._looked_at[place]
        if where is None:
            return None
        entries = raw.reshape(-1)
        self.known[place] = {line: self.s.constant(entries[line.key].copy()) for line in where}
        return self.known[place]

    # -- steps that are added --
    def emit(self, prim: Any, args: tuple[int, ...], like: Step, value: Value, **params: Any) -> int:
        """A step, simplified as any other; returns the number of its result."""
        out = self.s.new(value)
        self.s.add(Step(prim, args, params, (out,), False, like.backend, like.errstate, like.line, like.units))
        return self.s.find(out)

    def vector(self, prim: Any, args: tuple[int, ...], like: Step, count: int, dtype: Any, **params: Any) -> int:
        """A step whose result is a vector."""
        return self.emit(prim, args, like, Value(make_spec((count,), dtype), (dtype.itemsize,)), **params)

    def _whole(self, step: Step, lines: Lines) -> None:
        """The result of ``step`` itself, from its lines."""
        s, (out,) = self.s, step.outs
        spec = s.spec(out)
        flat = self.vector(
            scatter_add, tuple(lines.values()), step, spec.size, spec.dtype,
            indices=tuple(line.key for line in lines), spec=make_spec((spec.size,), spec.dtype),
        )  # fmt: skip
        params = {"shape": spec.shape, "order": "C"}
        s.values[out] = s.values[out]._replace(shares=(flat,))
        s.put(Step(reshape, (flat,), params, (out,), False, step.backend, step.errstate, step.line))

    # -- what stands on a line --
    def along(self, place: int, line: Line, shape: tuple[int, ...], step: Step) -> int | None:
        """The entries of an operand, broadcast to ``shape``, on a line: a vector, or a number if they are all one."""
        s = self.s
        value = s.values[place]
        own = value.spec.shape
        if value.strides is None or not own:
            return place
        where = np.unravel_index(line.numbers, shape)[len(shape) - len(own) :]
        numbers = np.zeros(line.size, np.intp)
        for n, k in zip(own, where, strict=True):
            numbers = numbers * n + (k if n != 1 else 0)
        if value.raw is not None:
            return self.s.constant(value.raw.reshape(-1)[numbers])
        mine = line_of(numbers)
        if mine is None or not (_is_c(value) or len(own) == 1):
            return None
        flat, stride = place, value.strides[0]
        if len(own) > 1:
            stride = value.spec.dtype.itemsize
            view = Value(make_spec((value.spec.size,), value.spec.dtype), (stride,), (place,))
            flat = self.emit(reshape, (place,), step, view, shape=(value.spec.size,), order="C")
        if mine == Line(0, 1, value.spec.size):
            return flat
        view = Value(make_spec((mine.size,), value.spec.dtype), (stride * mine.step,), (flat,))
        return self.emit(part, (flat,), step, view, key=mine.key)

    def union(self, terms: Sequence[tuple[Line, int]], step: Step, dtype: Any) -> Lines | None:
        """The sum of arrays with one line each, added up in this order."""
        groups: list[list[tuple[Line, int]]] = []
        for line, place in terms:
            meets = [g for g in groups if any(_meet(line, other) for other, _ in g)]
            if len(meets) > 1:
                return None
            if meets:
                meets[0].append((line, place))
            else:
                groups.append([(line, place)])
        found: Lines = {}
        for group in groups:
            (line, place), *rest = group
            if all(other == line for other, _ in rest):
                for _, other in rest:
                    place = self.vector(add, (place, other), step, line.size, dtype)
                found[line] = place
                continue
            steps = {line.step for line, _ in group if line.size > 1}
            if len(steps) != 1:
                return None
            (by,) = steps
            start = min(line.start for line, _ in group)
            last = max(line.start + (line.size - 1) * by for line, _ in group)
            if any((line.start - start) % by for line, _ in group):
                return None
            whole = Line(start, by, (last - start) // by + 1)
            firsts = [(line.start - start) // by for line, _ in group]
            found[whole] = self.vector(
                scatter_add, tuple(place for _, place in group), step, whole.size, dtype,
                indices=tuple(slice(k, k + line.size, None) for k, (line, _) in zip(firsts, group, strict=True)),
                spec=make_spec((whole.size,), dtype),
            )  # fmt: skip
        return found


def _meet(a: Line, b: Line) -> bool:
    if a.start > b.start + b.step * (b.size - 1) or b.start > a.start + a.step * (a.size - 1):
        return False
    return bool(np.intersect1d(a.numbers, b.numbers, assume_unique=True).size)


def _is_c(value: Value) -> bool:
    """Whether an array lies in C order."""
    steps = zip(value.spec.shape, value.strides or (), c_strides(value.spec), strict=True)
    return all(n == 1 or have == want for n, have, want in steps)


# -- what operations do with lines ----------------------------------------------------------------------
def _product(z: Zeros, step: Step) -> Lines | None:
    """Of ``multiply``, where the other factor may be anything, and ``divide``, whose divisor may."""
    if not step.units:
        return None
    spec = z.s.spec(step.outs[0])
    sides = range(2) if step.prim is multiply else range(1)
    k = next((k for k in sides if z.s.spec(step.args[k]) is spec and z.lines(step.args[k], step) is not None), None)
    if k is None:
        return None
    mine, other = z.lines(step.args[k], step) or {}, step.args[1 - k]
    others = z.lines(other, step) if z.s.spec(other).shape == spec.shape else None
    found: Lines = {}
    for line, place in mine.items():
        beside: int | None
        if others is None:
            beside = z.along(other, line, spec.shape, step)
        else:
            beside = others.get(line)
            if beside is None and not any(_meet(line, o) for o in others):
                continue
        if beside is None:
            return None
        args = (place, beside) if k == 0 else (beside, place)
        found[line] = z.vector(step.prim, args, step, line.size, spec.dtype)
    return found


def _same(z: Zeros, step: Step) -> Lines | None:
    """Of what is done to entries one by one, zeros staying zeros."""
    dtype = z.s.spec(step.outs[0]).dtype
    lines = z.lines(step.args[0], step) or {}
    return {line: z.vector(step.prim, (v,), step, line.size, dtype, **step.params) for line, v in lines.items()}


def _sum(z: Zeros, step: Step) -> Lines | None:
    """Of ``add`` and ``subtract``."""
    spec = z.s.spec(step.outs[0])
    if any(z.s.spec(a) is not spec for a in step.args):
        return None
    x, y = (z.lines(a, step) for a in step.args)
    if x is None or y is None:
        return None
    rest = dict(y)
    terms = []
    for line, place in x.items():
        other = rest.pop(line, None)
        if other is not None:
            place = z.vector(step.prim, (place, other), step, line.size, spec.dtype)
        terms.append((line, place))
    for line, place in rest.items():
        if step.prim is not add:
            place = z.vector(negative, (place,), step, line.size, spec.dtype)
        terms.append((line, place))
    return z.union(terms, step, spec.dtype)


def _reshape(z: Zeros, step: Step) -> Lines | None:
    return z.known.get(step.args[0]) if step.params["order"] == "C" else None


def _moved(z: Zeros, step: Step) -> Lines | None:
    """Of what gives some of the entries elsewhere."""
    (x,) = step.args
    spec = z.s.spec(x)
    found: Lines = {}
    for line, place in (z.lines(x, step) or {}).items():
        marks = np.zeros(spec.size, np.int32)
        marks[line.key] = np.arange(1, line.size + 1)
        moved = step.prim.evaluate([marks.reshape(spec.shape)], step.params).reshape(-1)
        there = np.flatnonzero(moved)
        for first, to in pieces(there, moved[there] - 1):
            if to.size != line.size:
                view = Value(make_spec((to.size,), spec.dtype), z.s.values[place].strides, (place,))
                found[to] = z.emit(part, (place,), step, view, key=slice(first, first + to.size, None))
            else:
                found[to] = place
            if len(found) > LINES:
                return None
    return found


def _scattered(z: Zeros, step: Step) -> Lines | None:
    spec = step.params["spec"]
    numbers = np.arange(spec.size).reshape(spec.shape)
    terms = []
    for a, index in zip(step.args, step.params["indices"], strict=True):
        lines = z.lines(a, step)
        if lines is None or type(index) in (Arrays, Region) or z.s.spec(a).dtype != spec.dtype:
            return None
        there = numbers[index].reshape(-1)
        for line, place in lines.items():
            to = line_of(there[line.key])
            if to is None:
                return None
            terms.append((to, place))
    return z.union(terms, step, spec.dtype)


def _joined(z: Zeros, step: Step) -> Lines | None:
    """Of ``concatenate`` along the first axis."""
    found: Lines = {}
    start = 0
    for a in step.args:
        lines = z.lines(a, step)
        if lines is None or step.params["axis"] != 0 or z.s.spec(a).dtype != z.s.spec(step.outs[0]).dtype:
            return None
        found.update({line._replace(start=line.start + start): place for line, place in lines.items()})
        start += z.s.spec(a).size
    return found


_RULES: dict[str, Callable[[Zeros, Step], Lines | None]] = {
    "add": _sum,
    "astype": _same,
    "concatenate": _joined,
    "divide": _product,
    "multiply": _product,
    "negative": _same,
    "part": _moved,
    "reshape": _reshape,
    "roll": _moved,
    "scatter_add": _scattered,
    "subtract": _sum,
    "transpose": _moved,
}
_VIEWS = frozenset({"part", "reshape", "transpose"})


def scaled_rows(z: Zeros, step: Step) -> bool:
    """A diagonal matrix, or some of its rows, times another one: the rows of that times the entries of the diagonal.

    Of ``matmul`` and ``einsum``, of two matrices. Entries of the sums that are left out are zeros.
    """
    s, (x, y), (out,) = z.s, step.args, step.outs
    terms = step.params.get("subscripts", "ab,bc->ac")
    a, b, c = terms.replace("->", ",").split(",")
    if not step.units or step.backend.name != "numpy" or step.errstate is not None:
        return False
    if a[-1:] != b[:1] or c != a[:1] + b[1:] or len(set(a + b)) != 3 or len(a) != 2 or len(b) != 2:
        return False
    lines, spec = z.lines(x, step), s.spec(out)
    if lines is None or len(lines) != 1 or s.spec(y).dtype != spec.dtype or not _is_c(s.values[y]):
        return False
    ((line, diagonal),) = lines.items()
    rows, columns = s.spec(x).shape
    if line != Line(line.start, columns + 1, rows) or line.start + rows > columns or not _is_c(s.values[out]):
        return False
    if rows != columns:
        some = Value(make_spec((rows, s.spec(y).shape[1]), spec.dtype), s.values[y].strides, (y,))
        y = z.emit(part, (y,), step, some, key=slice(line.start, line.start + rows, None))
    tall = Value(make_spec((rows, 1), s.spec(x).dtype), (s.spec(x).dtype.itemsize,) * 2, (diagonal,))
    upright = z.emit(reshape, (diagonal,), step, tall, shape=(rows, 1), order="C")
    s.add(Step(multiply, (upright, y), {}, step.outs, False, step.backend, step.errstate, step.line, True))
    return True

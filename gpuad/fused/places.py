"""Where arrays lie that are connected by views: of which factors their axes are made.

Those of ``(6, 4)`` and ``(2, 3, 4)`` are made of 2, 3 and 4. While one finds how shapes fit, some factors turn out to
be products of others. An array whose axes don't fit has a place of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .pending import Apply, Pending, Sum, View

Shape = tuple[int, ...]
#: Of every axis of an array the factors that it is made of, by number, the outermost first. None of length 1.
Place = tuple[tuple[int, ...], ...]


class Factors:
    """Lengths of factors, some of which turn out to be products of others while one finds how axes fit."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.parts: dict[int, tuple[int, int]] = {}

    def new(self, length: int) -> int:
        """The number of a new factor."""
        self.lengths.append(length)
        return len(self.lengths) - 1

    def axes(self, shape: Shape) -> Place:
        """New factors, one for every axis."""
        return tuple([(self.new(n),) if n != 1 else () for n in shape])

    def split(self, factor: int, outer: int) -> tuple[int, int]:
        """Make two factors of one, the first of length ``outer``."""
        found = self.parts[factor] = self.new(outer), self.new(self.lengths[factor] // outer)
        return found

    def flat(self, place: Sequence[Sequence[int]]) -> list[int]:
        """All factors, those that weren't split."""
        found: list[int] = []
        stack = [f for group in reversed(place) for f in reversed(group)]
        while stack:
            f = stack.pop()
            if f in self.parts:
                stack += reversed(self.parts[f])
            else:
                found.append(f)
        return found

    def settled(self, place: Place) -> Place:
        """A place by factors that aren't split."""
        return tuple([tuple(self.flat((group,))) for group in place])

    def reshaped(self, place: Place, shape: Shape) -> Place | None:
        """Of what is reshaped to ``shape``; ``None`` if axes have no common factors."""
        rest = self.flat(place)[::-1]
        found = []
        for n in shape:
            group: list[int] = []
            while n != 1:
                if not rest:
                    return None
                f = rest.pop()
                length = self.lengths[f]
                if n % length:
                    if length % n:
                        return None
                    f, inner = self.split(f, n)
                    rest.append(inner)
                    length = n
                group.append(f)
                n //= length
            found.append(tuple(group))
        return tuple(found)


class Layout:
    """Where arrays lie that are connected: the place of each, as far as they agree."""

    def __init__(self, nodes: Sequence[Pending]) -> None:
        self.factors = Factors()
        self.nodes = nodes
        self.number = {id(x): i for i, x in enumerate(nodes)}
        self.places: list[Any] = [None] * len(nodes)
        beside: list[list[int]] = [[] for _ in nodes]
        for i, x in enumerate(nodes):
            for a in x.args:
                k = self.number.get(id(a))
                if k is not None and _related(x, a):
                    beside[k].append(i)
                    beside[i].append(k)
        for seed in reversed(range(len(nodes))):
            if self.places[seed] is None:
                self.places[seed] = self.factors.axes(nodes[seed].shape)
                self._spread(seed, beside)
        settled = {id(place): self.factors.settled(place) for place in self.places}
        self.places = [settled[id(place)] for place in self.places]

    def _spread(self, seed: int, beside: list[list[int]]) -> None:
        """Find the places of all that are connected with ``seed``: of those of its size first, of larger ones last, for
        other ways may tell more of these."""
        alike = [seed]
        smaller: list[tuple[int, int]] = []
        larger: list[tuple[int, int]] = []
        while alike or smaller or larger:
            if alike:
                i = alike.pop()
            else:
                i, k = (smaller or larger).pop()
                if self.places[k] is not None or not self._find(i, k):
                    continue
                i = k
            for k in beside[i]:
                if self.places[k] is not None:
                    continue
                if self.nodes[k].size != self.nodes[i].size:
                    (smaller if self.nodes[k].size < self.nodes[i].size else larger).append((i, k))
                elif self._find(i, k):
                    alike.append(k)

    def _find(self, i: int, k: int) -> bool:
        """The place of one array by that of another."""
        x, y = self.nodes[i], self.nodes[k]
        is_argument = any(a is y for a in x.args)
        self.places[k] = self.of_argument(x, y, self.places[i]) if is_argument else self.of_user(y, x, self.places[i])
        return self.places[k] is not None

    def place(self, x: Pending) -> Place:
        found: Place = self.places[self.number[id(x)]]
        return found

    def of_argument(self, x: Pending, a: Pending, place: Place) -> Place | None:
        """Where ``a`` lies if ``x``, which is made of it, lies at ``place``."""
        op = x.op
        if type(op) is Apply:
            return place if x.shape == a.shape else self.broadcast(place, x.shape, a.shape)
        if type(op) is Sum:
            kept = iter([group for group in place if group])
            return tuple(
                [
                    (self.factors.new(n),) if i in op.axes and n != 1 else next(kept) if n != 1 else ()
                    for i, n in enumerate(a.shape)
                ]
            )
        assert type(op) is View
        if op.axes is not None:
            return tuple([place[i] for i in sorted(range(len(op.axes)), key=op.axes.__getitem__)])
        if op.aligned is None:
            return self.factors.reshaped(place, a.shape)
        kept = iter([group for group, n in zip(place, op.aligned, strict=True) if n != 1])
        return tuple([next(kept) if n != 1 else () for n in a.shape])

    def of_user(self, x: Pending, a: Pending, place: Place) -> Place | None:
        """Where ``x`` lies if ``a``, which it is made of, lies at ``place``."""
        op = x.op
        new = self.factors.new
        if type(op) is Apply:
            if x.shape == a.shape:
                return place
            extra = len(x.shape) - len(a.shape)
            given = [()] * extra + [group if n != 1 else () for group, n in zip(place, a.shape, strict=True)]
            return tuple([g or ((new(n),) if n != 1 else ()) for g, n in zip(given, x.shape, strict=True)])
        if type(op) is Sum:
            kept = iter([group for i, group in enumerate(place) if group and i not in op.axes])
            return tuple([next(kept) if n != 1 else () for n in x.shape])
        assert type(op) is View
        if op.axes is not None:
            return tuple([place[i] for i in op.axes])
        if op.aligned is None:
            return self.factors.reshaped(place, x.shape)
        kept = iter([group for group in place if group])
        lengths = zip(x.shape, op.aligned, strict=True)
        return tuple([next(kept) if m != 1 else (new(n),) if n != 1 else () for n, m in lengths])

    @staticmethod
    def broadcast(place: Place, shape: Shape, other: Shape) -> Place:
        """Of an array of the shape ``other`` that is broadcast to ``shape``."""
        extra = len(shape) - len(other)
        return tuple([place[i + extra] if n != 1 else () for i, n in enumerate(other)])

    def agrees(self, x: Pending, a: Pending) -> bool:
        """Whether ``a`` lies where ``x`` reads it."""
        if id(a) not in self.number or not _related(x, a):
            return False
        have, place, op = self.place(a), self.place(x), x.op
        if type(op) is Apply and have is place:
            return True
        if type(op) is Sum:
            kept = [group for i, group in enumerate(have) if group and i not in op.axes]
            return kept == [group for group in place if group]
        if type(op) is View and op.axes is None and op.aligned is None:
            return [f for group in have for f in group] == [f for group in place for f in group]
        return have == self.of_argument(x, a, place)


def _related(x: Pending, a: Pending) -> bool:
    """Whether the place of ``a`` says something of that of ``x``, which is made of it."""
    if a.size == 1:
        return False
    return type(x.op) is not View or x.op.rearranges or x.op.aligned is not None

"""Cotangents that aren't plain arrays, and how cotangents add up.

Most cotangents are arrays and add as arrays do. Two kinds would cost too much as such: that of ``x[i]``,
which touches a few entries of ``x``, and that of one among several results of an operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .box import Box, Spec


class Lazy:
    """A cotangent whose array hasn't been made yet."""

    __slots__ = ()

    def dense(self) -> Any:
        """What the sweep hands to a rule: an array, or a tuple with one per result."""
        raise NotImplementedError


class Indexed(Lazy):
    """Zeros of shape and dtype ``spec``, with ``g`` added at ``index`` for every term (index, g).

    Terms are only collected, so that n reads of single entries cost O(n) in all. When more numbers wait
    than the array has entries they are added up, so that memory stays within twice the array.
    ``scatter(spec, indices, gs, base)`` adds terms up: to zeros, or into ``base``.
    """

    __slots__ = ("base", "scatter", "size", "spec", "terms", "waiting")

    def __init__(self, spec: Spec, index: Any, g: Any, count: int, scatter: Callable[..., Any]) -> None:
        self.spec = spec
        self.size = spec.size
        self.scatter = scatter
        self.base: Any = None  # an array of our own, or None
        self.terms = [(index, g)]
        self.waiting = count

    def add_term(self, other: Indexed) -> None:
        if other.base is not None:
            self.base = other.base if self.base is None else self.base + other.base
        self.terms += other.terms
        self.waiting += other.waiting
        if self.waiting > self.size:
            self.base = self.dense()
            self.terms, self.waiting = [], 0

    def dense(self) -> Any:
        if not self.terms:
            return self.base
        return self.scatter(self.spec, [i for i, _ in self.terms], [g for _, g in self.terms], self.base)


class Parts(Lazy):
    """Cotangents of the results of one operation, by number; those that nobody used are zero."""

    __slots__ = ("parts", "specs", "zeros")

    def __init__(self, k: int, g: Any, specs: tuple[Spec, ...]) -> None:
        self.parts = {k: g}
        self.specs = specs

    @staticmethod
    def one(g: Any, k: int, specs: tuple[Spec, ...]) -> Parts:
        """The rule that takes a result back to the operation: its cotangent is the k-th part."""
        return Parts(k, g, specs)

    def add_parts(self, other: Parts) -> None:
        for k, g in other.parts.items():
            self.parts[k] = self.parts[k] + g if k in self.parts else g

    def dense(self) -> tuple[Any, ...]:
        return tuple(self.parts.get(k) for k in range(len(self.specs)))


LAZY = frozenset({Indexed, Parts})


def add(c: Any, h: Any, owned: bool) -> tuple[Any, bool]:
    """``c + h``, and whether the sum is a buffer that nobody else refers to.

    ``owned`` says that of ``c``; then the sum is written into it.
    """
    if type(c) in LAZY or type(h) in LAZY:
        return _add_lazy(c, h, owned)
    if owned:
        c += h
        return c, True
    total = c + h
    return total, type(total) is not Box


def _add_lazy(c: Any, h: Any, owned: bool) -> tuple[Any, bool]:
    if type(c) is Parts:
        c.add_parts(h)
        return c, True
    if type(c) is Indexed and type(h) is Indexed:
        if not owned:  # the first sum makes a cotangent of our own, that later ones can grow
            mine = Indexed(c.spec, None, None, 0, c.scatter)
            mine.base, mine.terms, mine.waiting = c.base, list(c.terms), c.waiting
            c = mine
        c.add_term(h)
        return c, True
    if type(c) is Indexed:
        c, h, owned = h, c, False
    terms = [g for _, g in h.terms]
    if not owned or type(c) is Box or any(type(g) is Box for g in terms):
        return add(c, h.dense(), False)
    return h.scatter(h.spec, [i for i, _ in h.terms], terms, c if h.base is None else c + h.base), True

"""Cotangents that aren't plain arrays, and how cotangents add up.

Most cotangents are arrays and add as arrays do. Two kinds would cost too much as such: that of ``x[i]``,
which touches a few entries of ``x``, and that of one among several results of an operation. A third, that of
what ``where`` chooses from, would be nan in entries that weren't chosen.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..fused.pending import Pending, added, settle
from .box import Box, Spec


class Lazy:
    """A cotangent whose array hasn't been made yet."""

    __slots__ = ()

    def dense(self) -> Any:
        """What the sweep hands to a rule: an array, or a tuple with one per result."""
        raise NotImplementedError


class Indexed(Lazy):
    """Zeros of shape and dtype ``spec``, with ``gs[k]`` added at ``indices[k]`` for every k.

    Terms are only collected, so that n reads of single entries cost O(n) in all. When more numbers wait
    than the array has entries they are added up, so that memory stays within twice the array.
    """

    __slots__ = ("base", "beside", "gs", "indices", "spec", "waiting")
    #: ``scatter(spec, indices, gs, base)`` adds terms up: to zeros, or into ``base``. ``ops.index`` gives it.
    scatter: ClassVar[Any]
    #: ``add_to(c, terms, owned)`` adds them to a cotangent, where one of these is traced. ``ops.writing`` gives it.
    add_to: ClassVar[Any]

    def __init__(self, g: Any, spec: Spec, index: Any, count: int) -> None:
        # The arguments come in the order in which the tape records them: this is the rule of x[index].
        self.spec = spec
        self.indices = [index]
        self.gs = [g]
        self.waiting = count
        self.base: Any = None  # an array of our own, or None
        self.beside: Any = None  # a cotangent of others, to be added when all terms are there, or None

    def add_terms(self, other: Indexed) -> None:
        if other.base is not None:
            self.base = other.base if self.base is None else self.base + other.base
        if other.beside is not None:
            self.put_beside(other.beside)
        self.indices += other.indices
        self.gs += other.gs
        self.waiting += other.waiting
        if self.waiting > self.spec.size and len(self.gs) > _FEW:
            self.base = self.dense()
            self.beside = None
            self.indices, self.gs, self.waiting = [], [], 0

    def put_beside(self, c: Any) -> None:
        self.beside = c if self.beside is None else added(self.beside + c, self.beside)

    def dense(self) -> Any:
        total = self.scatter(self.spec, self.indices, self.gs, self.base) if self.gs else self.base
        return total if self.beside is None else added(total + self.beside, total)


#: An array with fewer entries for each term is added up faster as a whole, if it is traced.
_DENSE = 2048
#: So many terms may wait, whatever they hold: to add them up one by one would take long.
_FEW = 16


class Parts(Lazy):
    """Cotangents of the results of one operation, by number; those that nobody used are zero."""

    __slots__ = ("parts", "specs")

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

    def dense(self) -> Results:
        parts, self.parts = self.parts, {}
        found = Results(g.dense() if isinstance(g, Lazy) else g for g in map(parts.get, range(len(self.specs))))
        found.indices = {k: g.indices for k, g in parts.items() if type(g) is Indexed and g.base is g.beside is None}
        return found


class Results(list[Any]):
    """Cotangents of several results: ``None`` for one that nobody used. A rule that takes them all may take them out.

    ``indices``: for one of which nothing but parts were read, by which indices. A zero elsewhere isn't one that
    something was multiplied by.
    """

    indices: dict[int, list[Any]]


class Chosen(Lazy):
    """A cotangent that is zero where a condition chose something else, whatever is computed from it.

    Where ``log(x)`` isn't chosen because ``x`` is 0, its derivative is infinite, and 0 times that is nan. Such
    entries stay where they are as long as operations work element by element; then they are cleared.
    """

    __slots__ = ("array", "clear", "condition", "when")
    #: ``choose(condition, a, b)``. ``ops.elementwise`` gives it.
    choose: ClassVar[Any]

    def __init__(self, array: Any, condition: Any, when: bool, clear: bool = True) -> None:
        self.array = array
        self.condition, self.when = condition, when
        self.clear = clear  # whether entries that weren't chosen are known to be zero

    def become(self, array: Any) -> Chosen:
        """The same of what was computed from it, element by element."""
        return Chosen(array, self.condition, self.when, False)

    @property
    def chosen(self) -> Any:
        """Where it counts, as an array of booleans."""
        return (self.condition != 0) == self.when

    def narrow(self, other: Chosen) -> Chosen:
        """The same where that of an outer choice was chosen, too."""
        return Chosen(self.array, self.chosen & other.chosen, True)

    def plus(self, other: Chosen) -> Chosen:
        """The sum, which is zero where both are."""
        if self.condition is other.condition and self.when == other.when:
            return Chosen(self.array + other.array, self.condition, self.when, self.clear and other.clear)
        return Chosen(self.dense() + other.dense(), self.chosen | other.chosen, True)

    def dense(self) -> Any:
        if self.clear:
            return self.array
        return self.choose(self.condition, *((self.array, 0.0) if self.when else (0.0, self.array)))


LAZY = frozenset({Indexed, Parts, Chosen})
_NO_BUFFERS = (Box, Pending)


def add(c: Any, h: Any, owned: bool) -> tuple[Any, bool]:
    """``c + h``, and whether the sum is a buffer that nobody else refers to.

    ``owned`` says that of ``c``; then the sum is written into it.
    """
    if type(c) in LAZY or type(h) in LAZY:
        return _add_lazy(c, h, owned)
    # Nothing traced can be written into a plain buffer, and what isn't computed yet isn't one.
    if owned and not isinstance(c, _NO_BUFFERS) and not isinstance(h, _NO_BUFFERS):
        c += h
        return c, True
    return added(c + h, c), True


def _add_lazy(c: Any, h: Any, owned: bool) -> tuple[Any, bool]:
    if type(c) is Chosen and type(h) is Chosen:
        return c.plus(h), False
    if type(c) is Chosen:
        return add(c.dense(), h, False)
    if type(h) is Chosen:
        return add(c, h.dense(), owned)
    if type(c) is Parts:
        c.add_parts(h)
        return c, True
    if type(c) is Indexed and type(h) is Indexed:
        c.add_terms(h)  # in place: the rule that made it made it for us
        return c, True
    if type(c) is Indexed:
        c, h, owned = h, c, False
    if type(c) is Box or any(type(g) is Box for g in h.gs):
        if h.base is not None or h.beside is not None or len(h.gs) * _DENSE > h.spec.size:
            return add(c, h.dense(), owned)
        return h.add_to(c, h, owned), True
    if h.beside is not None or (c.shape and any(isinstance(g, Pending) and g.value is None for g in h.gs)):
        if owned and h.base is h.beside is None:
            h.base = c  # until all terms are there, which may share kernels
        else:
            h.put_beside(c)
        return h, True
    if owned:
        c = settle(c)  # a sum that hasn't been computed yet: from now on it's a buffer
    if not owned or isinstance(c, np.generic):
        return add(c, h.dense(), False)
    return h.scatter(h.spec, h.indices, h.gs, c if h.base is None else c + h.base), True

"""Reshaped, transposed and broadcast arrays in the kernel that computes what they show.

What is done to an array of one shape and to the same array in another is done at the same points, if the axes of
both are made of common factors: those of ``(6, 4)`` and ``(2, 3, 4)`` of 2, 3 and 4. So arrays that wait and are
connected by views are *placed* on one grid whose axes are the factors: stand-ins for them, of other shapes, are
computed instead, and hand on what they are given. Reading an array at another place costs nothing but its strides.

Where that can't be, as in ``x + x.T``, the array is computed before and its view is taken, as of any other.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from . import memory_order
from .pending import (
    Apply,
    DevicePending,
    HostPending,
    Pending,
    Region,
    Sum,
    View,
    backwards,
    leaf,
    region_of,
    running,
    serial,
)
from .places import Layout, Place, Shape

#: A grid has so many axes at most.
_AXES = 12
#: A sum that takes so many steps more is computed along the way.
_FEW = 8


def placed(waiting: Sequence[Pending]) -> tuple[list[Pending], list[Pending]]:
    """Stand-ins to be computed instead of ``waiting``, which get their values by it; and those to be held meanwhile, of
    arrays that others hold. If they would need too large a grid: ``waiting`` itself."""
    nodes = _reached(waiting)
    layout = Layout(nodes)
    order = _order(layout)
    if len(order) > _AXES:
        return list(waiting), []
    inside = Counter([id(a) for x in nodes for a in x.args])
    wanted = {id(x) for x in waiting if x.value is None}
    for x in nodes:
        if x.value is None and sys.getrefcount(x) > inside[id(x)] + _HELD_HERE:
            wanted.add(id(x))
    making = _Making(layout, order, wanted, _orders(nodes))
    for x in nodes:
        if x.value is None:
            making.made[id(x)] = making.make(x)
    return [making.made[id(x)] for x in waiting if x.value is None], [making.made[i] for i in wanted]


#: By how many an array is referred to there: the list of all, the variable, and the argument.
_HELD_HERE = 3


def _reached(waiting: Sequence[Pending]) -> list[Pending]:
    """What waits and must be computed for ``waiting``, and what is summed up along the way; arguments come before what
    is made of them. Arrays that are there, if they are summed up."""
    found: dict[int, Pending] = {}
    _reach(list(waiting), found, {})
    regions = {id(region): region for region in [region_of(x) for x in found.values() if type(x.op) is Apply]}
    for region in regions.values():
        for s in [r() for r in region.sums]:
            if s is not None and s.value is None and id(s) not in found:
                more: dict[int, Pending] = {}
                _reach([s], more, found)
                if len(more) <= _FEW:
                    found.update(more)
    return sorted(found.values(), key=lambda x: -1 if x.value is not None else x.serial)


def _orders(nodes: Sequence[Pending]) -> dict[Pending, memory_order.Order]:
    """How results are to lie in memory, where that isn't in C order. Nobody writes into what a sweep computes, but
    programs that are run again in it."""
    if nodes[-1].backend is not HostPending.backend or (backwards.on and not running.on):
        return {}
    leaves = [a.value for x in nodes for a in x.args if isinstance(a, Pending) and a.value is not None]
    if all(map(memory_order.in_c_order, leaves)) and not any(type(x.op) is View and x.op.axes for x in nodes):
        return {}
    return memory_order.orders([x for x in nodes if x.value is None])


def _reach(stack: list[Pending], found: dict[int, Pending], known: dict[int, Pending]) -> None:
    while stack:
        x = stack.pop()
        if id(x) in found or id(x) in known:
            continue
        if type(x.op) is View and x.args[0].value is not None:
            x.put(x.op.function(x.args[0].value))
            continue
        found[id(x)] = x
        stack += [a for a in x.args if isinstance(a, Pending) and (a.value is None or type(x.op) is Sum)]


def _order(layout: Layout) -> list[int]:
    """All factors, in the order of the axes of a grid. Those of rows come last."""
    best: list[int] = []
    for x in layout.nodes:
        if type(x.op) is Sum:
            (a,), axes = x.args, x.op.axes
            whole, n = len(a.shape), len(x.op.axes)
            if n < whole and axes == tuple(range(whole - n, whole)) and layout.agrees(x, a):
                flat = layout.factors.flat(layout.place(a))
                best = flat if len(flat) > len(best) else best
    order = dict.fromkeys(best)
    for place in {id(place): place for place in reversed(layout.places)}.values():
        order.update(dict.fromkeys([f for group in place for f in group]))
    return list(order)


class _StandIn(Pending):
    """What is computed instead of ``origin``, and hands its value on to those that it ``shows``, each by a function."""

    __slots__ = ()
    stands_in = True
    origin: Pending
    shows: list[tuple[Pending, Callable[[Any], Any]]]

    @property
    def times(self) -> int:
        return self.origin.times

    @times.setter
    def times(self, times: int) -> None:
        if type(self.op) is not View:  # of what it was made from then
            self.origin.times = times

    def put(self, value: Any) -> None:
        for x, back in self.shows:
            if x.value is None:
                x.put(back(value))
        super().put(value)


class _OnHost(_StandIn, HostPending):
    __slots__ = ("origin", "shows")


class _OnDevice(_StandIn, DevicePending):
    __slots__ = ("origin", "shows")


_STAND_INS = {HostPending.backend: _OnHost, DevicePending.backend: _OnDevice}


class _Making:
    """The stand-ins, by the identity of what they stand in for, as they are made."""

    def __init__(
        self, layout: Layout, order: list[int], wanted: set[int], orders: dict[Pending, memory_order.Order]
    ) -> None:
        self.layout, self.wanted, self.orders = layout, wanted, orders
        self.grid = tuple([layout.factors.lengths[f] for f in order])
        rank = {f: i for i, f in enumerate(order)}
        #: As those of the layout, but with the axes of the grid.
        ranked = {id(place): tuple([tuple([rank[f] for f in group]) for group in place]) for place in layout.places}
        self.places: list[Place] = [ranked[id(place)] for place in layout.places]
        self.made: dict[int, Pending] = {}
        self.leaves: dict[Any, Pending] = {}
        self.regions: dict[int, tuple[Region, Region]] = {}

    def place(self, x: Pending) -> Place:
        return self.places[self.layout.number[id(x)]]

    def make(self, x: Pending) -> Pending:
        op, place = x.op, self.place(x)
        shape = _shape(self.grid, place)
        if type(op) is Apply:
            args = tuple([self.operand(a, x, place) if isinstance(a, Pending) else a for a in x.args])
            return self.stand_in(x, op, args, shape, self.region(x))
        (a,) = x.args
        assert op is not None
        if self.layout.agrees(x, a):
            source = self.made[id(a)] if a.value is None else self.leaf(a.value, a, self.place(a))
            if type(op) is Sum:
                return self.sum_of(source, x, op, shape)
            if shape == source.shape:
                self.show(source, x)
                return source
            broadcast = x.backend.functions.broadcast_to
            wide = View(lambda raw: broadcast(raw, shape), source.shape)
            return self.stand_in(x, wide, (source,), shape)
        # Done to the array as it is, and laid on the grid then.
        source = self.as_it_is(a)
        lay = _onto_grid(self.grid, x.shape, place)
        if type(op) is Sum:
            source = self.bare(x, op, source, shape=x.shape)
            function = lay
        else:
            own = op.function  # type: ignore[union-attr]
            function = lambda raw: lay(own(raw))  # noqa: E731
        return self.stand_in(x, View(function), (source,), shape)

    def sum_of(self, source: Pending, x: Pending, op: Sum, shape: Shape) -> Pending:
        """The sum over the axes of the grid that ``shape`` hasn't, and over those behind that ``source`` hasn't either:
        so it may be one along rows."""
        left = shape or (1,) * len(self.grid)
        axes = [i for i, (n, m) in enumerate(zip(source.shape, left, strict=True)) if n != m]
        behind = range(axes[-1] + 1, len(self.grid)) if axes else range(0)
        if all(source.shape[i] == 1 for i in behind):
            axes += behind
        found = self.stand_in(x, Sum(tuple(axes), op.how), (source,), shape)
        if op.how == "add" and type(source.op) is Apply:
            source.region.sums.append(weakref.ref(found))
        return found

    def operand(self, a: Pending, x: Pending, place: Place) -> Pending:
        """What stands in for ``a`` where ``x``, which lies at ``place``, reads it."""
        if a.value is not None:
            return self.leaf(a.value, x, place)
        if a.size == 1 or self.layout.agrees(x, a):
            return self.made[id(a)]
        back, lay = _from_grid(a.shape, self.place(a)), _onto_grid(self.grid, x.shape, place)
        shape = _shape(self.grid, self.layout.broadcast(place, x.shape, a.shape))
        return self.bare(a, View(lambda raw: lay(back(raw))), self.made[id(a)], shape=shape)

    def as_it_is(self, a: Pending) -> Pending:
        """``a`` in its own shape."""
        if a.value is not None:
            return a
        return self.bare(a, View(_from_grid(a.shape, self.place(a))), self.made[id(a)], shape=a.shape)

    def leaf(self, raw: Any, x: Pending, place: Place) -> Pending:
        """An array that is there, as ``x`` reads it, which lies at ``place``."""
        key = id(raw), x.shape, place
        found = self.leaves.get(key)
        if found is None:
            found = self.leaves[key] = leaf(type(x), _onto_grid(self.grid, x.shape, place)(raw))
        return found

    def stand_in(
        self, x: Pending, op: Any, args: tuple[Any, ...], shape: Shape, region: Region | None = None
    ) -> Pending:
        found = self.bare(x, op, *args, shape=shape)
        if region is not None:
            found.region = region
        self.show(found, x)
        return found

    def bare(self, x: Pending, op: Any, *args: Any, shape: Shape) -> Pending:
        found: Any = _STAND_INS[x.backend]()
        found.shape, found.dtype, found.value = shape, x.dtype, None
        found.op, found.args, found.depth = op, args, x.depth
        found.region, found.serial, found.small = Region(), serial(), False
        found.origin, found.shows = x, []
        return found  # type: ignore[no-any-return]

    def show(self, found: Any, x: Pending) -> None:
        if id(x) in self.wanted or type(x.op) is not View:
            found.shows.append((x, _from_grid(x.shape, self.place(x), self.orders.get(x))))

    def region(self, x: Pending) -> Region:
        region = region_of(x)
        if id(region) not in self.regions:
            self.regions[id(region)] = Region(), region
            self.regions[id(region)][0].simple = False
        return self.regions[id(region)][0]


def _shape(grid: Shape, place: Place) -> Shape:
    """Of what lies at ``place`` on a grid; a single number has no axes."""
    axes = {i for group in place for i in group}
    return tuple([n if i in axes else 1 for i, n in enumerate(grid)]) if axes else ()


def _onto_grid(grid: Shape, shape: Shape, place: Place) -> Callable[[Any], Any]:
    """A function that lays an array on the grid which can be broadcast to ``shape``, which lies at ``place``."""

    def lay(raw: Any) -> Any:
        groups = place[len(shape) - raw.ndim :]
        axes = [i for n, group in zip(raw.shape, groups, strict=True) if n != 1 for i in group]
        raw = raw.reshape([grid[i] for i in axes]).transpose(sorted(range(len(axes)), key=axes.__getitem__))
        return raw.reshape(_shape(grid, (tuple(axes),)))

    return lay


def _from_grid(shape: Shape, place: Place, order: memory_order.Order | None = None) -> Callable[[Any], Any]:
    """A function that makes of an array on the grid the array of ``shape`` that lies at ``place``, in memory in a
    certain ``order``."""

    def back(raw: Any) -> Any:
        axes = [i for group in place for i in group]
        inverse = [sorted(axes).index(i) for i in axes]
        found = raw.reshape([n for n in raw.shape if n != 1]).transpose(inverse).reshape(shape)
        return found if order is None else memory_order.put_in_order(found, order)

    return back

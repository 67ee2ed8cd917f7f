"""Computing what waits: which operations become one kernel.

Arrays of one shape that are connected by elementwise operations, and sums over them, are one kernel. It reads what
is there and stores what was asked for. What lies between is computed in passing, and once more if another kernel
needs it; then it is stored, if anybody still holds it. So nothing is computed more than three times.

A sum along the last axes is one number per row, and so is what is computed from it; where the row meets it again,
as in a normalisation, both passes over the row are one kernel.
"""

from __future__ import annotations

import functools
import operator
import sys
import weakref
from collections.abc import Sequence
from typing import Any

from .launch import launch
from .pending import FORWARD, Apply, Pending, Region, Sum, View, is_row, region_of


def compute(waiting: Sequence[Pending]) -> None:
    """Compute pending arrays, together where they belong together."""
    needed = _Needed(waiting)
    if needed.rearranged:
        from .rearrange import placed

        del needed
        waiting, _held = placed(waiting)
        needed = _Needed(waiting, whole=True)
    kernels: dict[Any, list[Pending]] = {}
    views: list[Pending] = []
    x = None
    while needed.found:
        x = needed.found.popitem()[0]
        if type(x.op) is View:
            views.append(x)
        else:
            kernels.setdefault((needed.stages[x], *_belongs(x, needed)), []).append(x)
    rows = needed.rows
    views.sort(key=_serial_of)  # one may show another
    del needed, x  # who holds an array is counted below
    stages = list(kernels) if len(kernels) == 1 else _merged(kernels, rows)
    for key in sorted(stages, key=lambda key: key[0]):
        _look(views)
        roots = [x for x in kernels[key] if x.value is None]  # others came along with what was computed before
        if roots:
            _compute_together(roots, rows)
    _look(views)


def _belongs(x: Pending, needed: _Needed) -> tuple[Any, ...]:
    """What is the same for arrays that one kernel should compute."""
    while x.value is None and (x in needed.rows or type(x.op) is not Apply):
        a = next((a for a in x.args if isinstance(a, Pending) and a.value is None and needed.together(x, a)), None)
        if a is None:  # a sum of what is there, or will be by then
            return id(x.args[0] if x.args[0].value is None else x.args[0].value), x.args[0].shape
        x = a
    return region_of(x), x.shape


def _merged(kernels: dict[Any, list[Pending]], rows: dict[Pending, Any]) -> list[Any]:
    """The keys of ``kernels``, without those whose roots other kernels have taken over, that read the same arrays."""
    found: list[Any] = []
    for key in kernels:
        stage, region, shape = key
        if rows or type(region) is not Region or not region.reads:
            found.append(key)
            continue
        for other in found:
            partner = other[1]
            if (stage, shape) == (other[0], other[2]) and type(partner) is Region:
                alike = region.reads <= partner.reads or partner.reads <= region.reads
                if alike and region.steps + partner.steps <= FORWARD:
                    kernels[other] += kernels[key]
                    break
        else:
            found.append(key)
    return found


class _Needed:
    """What has to be stored so that ``waiting`` can be computed, these included: and after how many other kernels.

    ``rows``: of what is one number per row, the shape of the grid and how many of its axes make a row. If something is
    ``rearranged``, nobody looks for more, but for the ``whole``.
    """

    def __init__(self, waiting: Sequence[Pending], whole: bool = False) -> None:
        self.found: dict[Pending, None] = {}
        for x in waiting:
            self._store(x)
        self.stages: dict[Pending, int] = {}  # of every array on the way
        self.rows: dict[Pending, tuple[tuple[int, ...], int]] = {}
        self._axes: dict[tuple[int, ...], int] = {}  # of a grid, how many axes make a row
        self.rearranged = False  # whether it reads what waits in another shape than it is computed in
        stack = list(self.found)
        while stack and (whole or not self.rearranged):
            x = stack[-1]
            if type(x.op) is Apply and region_of(x).simple:
                self.stages[x] = 0
            inside = [] if x in self.stages else [a for a in x.args if isinstance(a, Pending) and a.value is None]
            missing = [a for a in inside if a not in self.stages]
            if missing:
                stack += missing
                continue
            stack.pop()
            if x not in self.stages:
                self._enter(x, [a for a in inside if a.value is None])

    def _enter(self, x: Pending, inside: list[Pending]) -> None:
        if type(x.op) is View and not inside:
            _look([x])
            self.found.pop(x, None)
            self.stages[x] = 0
            return
        if type(x.op) is not View:
            self.rearranged |= any(type(a.op) is View and a.op.rearranges for a in inside)
        row = self._row(x, inside)
        if row is not None:
            self.rows[x] = row
        stage = 0
        for a in inside:
            together = self.together(x, a)
            if not together:
                self._store(a)
            stage = max(stage, self.stages[a] + (not together and type(x.op) is not View))
        self.stages[x] = stage

    def _store(self, x: Pending) -> None:
        """Of a view, what it shows."""
        while x.value is None and x not in self.found:
            self.found[x] = None
            if type(x.op) is not View:
                break
            (x,) = x.args

    def _row(self, x: Pending, inside: list[Pending]) -> tuple[tuple[int, ...], int] | None:
        if type(x.op) is Sum:
            grid, n = x.args[0].shape, len(x.op.axes)
            if is_row(x.op.axes, grid, x.backend) and self._axes.setdefault(grid, n) == n:
                return grid, n
            if x.op.how != "add":  # along other rows than those of this grid
                x.op = View(functools.partial(_extremum, x.backend, x.op, x.shape), None)
            return None
        found = {self.rows.get(a) for a in inside}
        if len(found) != 1 or (row := found.pop()) is None:
            return None
        grid, n = row
        if type(x.op) is View:
            per_row = grid[:-n] + (1,) * n
            return row if x.op.aligned == per_row and x.shape in (per_row, grid) else None
        rows = 1
        for length in grid[:-n]:
            rows *= length
        alike = all(not isinstance(a, Pending) or a.shape in (x.shape, ()) for a in x.args)
        return row if x.size == rows and alike and x.shape != grid else None

    def together(self, x: Pending, a: Pending) -> bool:
        """Whether the kernel that computes ``x`` can compute ``a``, which it needs, in passing."""
        row = self.rows.get(a)
        if x in self.rows:
            return type(x.op) is not Sum or (type(a.op) is Apply and row is None)
        if type(x.op) is Sum:
            return type(a.op) is Apply and row is None
        if type(x.op) is View:
            return False
        if row is None:
            return type(a.op) is Apply and a.shape == x.shape
        grid, n = row
        aligned = a.op.aligned if type(a.op) is View else (1,) * (len(grid) - a.ndim) + a.shape
        return grid == x.shape and _ends_in_ones(aligned, n) and aligned[:-n] == grid[:-n]  # type: ignore[index]


def _extremum(backend: Any, op: Sum, shape: tuple[int, ...], raw: Any) -> Any:
    """The largest or smallest entries, by the library."""
    find = backend.functions.max if op.how == "maximum" else backend.functions.min
    return find(raw, axis=op.axes).reshape(shape)


def _ends_in_ones(shape: Any, n: int) -> bool:
    return all(length == 1 for length in shape[-n:])


def _look(views: list[Pending]) -> None:
    """Make the views of what has been computed."""
    for x in views:
        if x.value is None and x.args[0].value is not None:
            x.put(x.op.function(x.args[0].value))  # type: ignore[union-attr]


def _compute_together(roots: list[Pending], rows: dict[Pending, tuple[tuple[int, ...], int]]) -> None:
    """Pending arrays of one region, in one kernel."""
    nodes = _gather(roots)
    row = max((rows[x][1] for x in nodes if x in rows), default=0)
    afterwards = [s for s in roots if _splits(s, row)]
    if afterwards:
        sources = [s.args[0] for s in afterwards if s.args[0].value is None]
        roots = list(dict.fromkeys([x for x in roots if not _splits(x, row)] + sources))
    found = next(((x.shape, region_of(x)) for x in nodes if x not in rows), None)
    if found is None:
        grid: tuple[int, ...] = rows[roots[0]][0] if roots[0] in rows else roots[0].args[0].shape
    else:
        grid, region = found
        asked = set(map(id, roots))
        waiting = [s for s in [r() for r in region.sums] if s is not None and s.value is None]
        region.sums = list(map(weakref.ref, waiting))
        for s in waiting:
            new = id(s) not in asked and s not in nodes and s.args[0].shape == grid
            if new and not _splits(s, row) and _within_reach(s.args[0], nodes):
                roots.append(s)
        for s in roots:
            if type(s.op) is Sum and s.args[0] in nodes and s not in nodes:
                nodes[s.args[0]] += 1
        waiting.clear()
    targets = roots + _worth_storing(nodes, set(map(id, roots)), rows)
    per_row = {x for x in targets if x in rows and x in nodes}
    launch(targets, sorted(nodes, key=_serial_of), grid, per_row, row)
    for s in afterwards:
        if s.value is None:
            _compute_together([s], rows)


def _splits(x: Pending, row: int) -> bool:
    """Whether ``x`` is a sum over some of the last ``row`` axes, which a kernel goes along as one, but not over all."""
    if not row or type(x.op) is not Sum:
        return False
    inside = [i for i in x.op.axes if i >= x.args[0].ndim - row]
    return 0 < len(inside) < row


_serial_of = operator.attrgetter("serial")


def _gather(roots: list[Pending]) -> dict[Pending, int]:
    """What must be computed for ``roots`` on their grid, and how often each is read there."""
    nodes: dict[Pending, int] = {}
    for x in roots:
        # The largest entry of a row is found on the way; a sum can be a kernel's last step.
        source = x.args[0] if type(x.op) is Sum and x.op.how == "add" else x
        if source.value is None:
            nodes[source] = 0
    stack = list(nodes)
    while stack:
        for a in stack.pop().args:
            if isinstance(a, Pending) and a.value is None:
                if type(a.op) is View and a.args[0].value is not None:  # another kernel has stored what it shows
                    _look([a])
                    continue
                if a not in nodes:
                    nodes[a] = 0
                    stack.append(a)
                nodes[a] += 1
    return nodes


def _within_reach(x: Pending, nodes: dict[Pending, int]) -> bool:
    """Whether ``x`` is among ``nodes``, or follows from them in few steps, which are added to them then."""
    if x in nodes:
        return True
    if x.value is not None:
        return False
    more: dict[Pending, int] = {}
    stack = [x]
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


def _worth_storing(nodes: dict[Pending, int], asked: set[int], rows: dict[Pending, Any]) -> list[Pending]:
    """What is held by others than what is computed here, if it was computed twice before, is short, or reads much.

    And what has been computed twice, and more often than what is made of it, which isn't stored, but will be needed: in
    a loop with a sum in each step, all steps to come would take it again.
    """
    found: dict[Pending, None] = {}
    needed: set[Pending] = set()  # later, by others
    for x in nodes:
        short = x in rows
        if sys.getrefcount(x) > nodes[x] + (_HELD_HERE + 1 if short else _HELD_HERE):
            if x.times > 1 or short or (x.times and _is_costly(x)) or _reads_much(x):
                found[x.args[0] if type(x.op) is View else x] = None  # the view of that costs nothing then
            elif id(x) not in asked:
                needed.add(x)
    stack = list(needed)
    while stack:
        x = stack.pop()
        if x in found:
            continue
        for a in x.args:
            if isinstance(a, Pending) and a in nodes and a not in needed and a not in found and id(a) not in asked:
                if a.times > max(x.times, not _is_costly(a)) and type(a.op) is not View:
                    found[a] = None
                else:
                    needed.add(a)
                    stack.append(a)
    return [x for x in found if id(x) not in asked]


#: By how many a node is referred to there: the table, the variable, and the argument; one of a row by its table, too.
_HELD_HERE = 3


def _is_costly(x: Pending) -> bool:
    """Whether to compute it takes longer than to store it and to read that, as of an exponential."""
    return type(x.op) is Apply and _takes_long(x.op.scalar)


@functools.cache
def _takes_long(scalar: str) -> bool:
    from .c_order import instructions

    return instructions(scalar) >= _COSTLY


_COSTLY = 25


def _reads_much(x: Pending) -> bool:
    """Whether to compute it again would move more than to store it and to read that."""
    reads: set[int] = set()
    on_the_way = {x}
    stack = [x]
    while stack:
        for a in stack.pop().args:
            if not isinstance(a, Pending) or a in on_the_way:
                continue
            if a.value is None:
                on_the_way.add(a)
                stack.append(a)
            elif 2 * a.value.nbytes >= x.nbytes and 0 not in a.value.strides:
                reads.add(id(a.value))
        if len(reads) > _READS:
            return True
    return False


#: What reads more arrays is stored if it will be needed once more.
_READS = 2

"""Traced arrays that share memory: what is written into one is seen by the others, as NumPy has it.

The values of traced arrays don't change, for rules will read them. Writing makes a new version of the array
that owns the memory, and its box moves on to that. Boxes of views of it turn *stale*: they are made again
from the new version, when something asks for them. So a write costs the same however many views there are.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..backend import backend_of
from ..fused.pending import Pending, settle
from .box import Box, make_box, make_spec, move, sample, spec_of, twin
from .level import Level
from .primitive import Primitive

#: An operation that gives a view, and its parameters.
Step = tuple["View", dict[str, Any]]


class Base:
    """What is known of an array that has views, or was written into."""

    __slots__ = ("exported", "views", "written")

    def __init__(self) -> None:
        self.views: list[weakref.ref[Box]] = []  # those that aren't stale
        self.written = False
        self.exported: list[weakref.ref[Any]] = []  # plain arrays made of it, which don't see what is written

    def enter(self, view: Box) -> None:
        views = self.views
        views.append(weakref.ref(view))
        n = len(views)
        if n >= _MANY and not n & (n - 1):
            views[:] = [r for r in views if r() is not None]


_MANY = 16


class Window:
    """Of a view: the array that owns the memory, and the steps that lead from there to the view."""

    __slots__ = ("base", "steps")

    def __init__(self, base: Box, steps: tuple[Step, ...]) -> None:
        self.base, self.steps = base, steps


class Derived:
    """Of a view that can't be written into: what it was made from, and how."""

    __slots__ = ("parent", "step")

    def __init__(self, parent: Box, step: tuple[Primitive, dict[str, Any]]) -> None:
        self.parent, self.step = parent, step


def memory_of(x: Box) -> Base | Window | Derived | None:
    """How ``x`` shares memory with others; ``None`` as long as nothing shares its memory."""
    return getattr(x, "memory", None)


def owner_of(x: Box) -> Box:
    """The traced array whose memory ``x`` shows."""
    while (memory := memory_of(x)) is not None and type(memory) is not Base:
        x = memory.base if isinstance(memory, Window) else memory.parent  # type: ignore[union-attr]
    return x


def base_of(x: Box) -> Base:
    """What is known of an array that owns its memory."""
    base = memory_of(x)
    if base is None:
        base = x.memory = Base()
    assert type(base) is Base
    return base


class View(Primitive):
    """A primitive whose result is, or may be, a view of its argument."""

    #: Whether what is written into the result goes through to the argument.
    writable = True
    #: Whether it has the entries of the argument, each once.
    rearranges = False

    def __call__(self, x: Any, **params: Any) -> Any:
        return viewed(self, x, params) if type(x) is Box else self.evaluate((x,), params)


def viewed(prim: View, x: Box, params: dict[str, Any]) -> Any:
    """``prim(x)``, that stays a view of ``x``."""
    memory = memory_of(x)
    if memory is None or not (memory if type(memory) is Base else base_of(owner_of(x))).written:
        part = "key" in params and x.spec.shape
        y = x.level.part(prim, x, params["key"]) if part else x.level.process(prim, (x,), params)
        _link(y, x, prim, params)
        return y
    shared = prim.writable and type(memory) is not Derived
    if shared:
        y = _later(prim, x, params)
        if y is not None:
            return y
    x = current(x)
    y = x.level.process(prim, (x,), params)
    if not shared:
        _link(y, x, prim, params)
    return y


def _link(y: Any, x: Box, prim: View, params: dict[str, Any]) -> None:
    """Let ``y``, which is ``prim(x, **params)``, share the memory of ``x``, if it does so."""
    if type(y) is not Box or y is x or not _shares(sample(y), x):
        return
    memory = memory_of(x)
    if not prim.writable or type(memory) is Derived:
        derive(y, x, prim, params)
        return
    y.memory = window(x, prim, params)
    base_of(owner_of(x)).enter(y)


def window(x: Box, prim: View, params: dict[str, Any]) -> Window:
    """Of ``prim(x)``, which is a view: where it is in the array that owns the memory."""
    memory = memory_of(x)
    base, steps = (memory.base, memory.steps) if isinstance(memory, Window) else (x, ())
    key = params.get("key")
    if type(key) is slice:  # a slice of a slice is one slice, lest a program that goes on and on take ever longer
        found = range(x.spec.shape[0])[key] or range(0)
        before = steps[-1][1].get("key") if steps else None
        if type(before) is slice:
            steps = steps[:-1]
            start, step = before.start + found.start * before.step, before.step * found.step
        else:
            start, step = found.start, found.step
        stop = start + len(found) * step
        params = {"key": slice(start, stop if stop >= 0 else None, step)}
    return Window(base, (*steps, (prim, params)))


def derive(y: Box, x: Box, prim: Primitive, params: dict[str, Any]) -> None:
    """Let ``y``, which is ``prim(x, **params)``, see what is written into ``x``; it can't be written into itself."""
    y.memory = Derived(x, (prim, params))
    base_of(owner_of(x)).enter(y)


def _shares(raw: Any, x: Box) -> bool:
    """Whether the array ``raw``, which was made from ``x``, is a view of it: it may be a number, or a copy."""
    base = getattr(raw, "base", None)
    if base is None:
        return False
    origin = sample(x)
    return base is origin or base is getattr(origin, "base", None) or _root(base) is _root(origin)


def _root(raw: Any) -> Any:
    """The array whose memory a raw array is, or is a part of."""
    while (base := getattr(raw, "base", None)) is not None:
        raw = base
    return raw


def _later(prim: View, x: Box, params: dict[str, Any]) -> Any:
    """The view ``prim(x)`` of an array that is being written into, to be made when its values are needed.

    ``None`` where a copy is made instead of a view. A single entry is read at once.
    """
    seen = window(x, prim, params)
    base, steps = seen.base, seen.steps
    raw = look(sample(base), steps)
    if isinstance(raw, np.generic):
        return Stale.read(base, steps=steps)
    if not _shares(raw, base):
        return None
    y = make_box(None, STALE, -1, make_spec(raw.shape, raw.dtype))
    y.memory = seen
    return y


def look(raw: Any, steps: Sequence[Step]) -> Any:
    """The view of a raw array to which ``steps`` lead."""
    if not steps:
        return raw
    xp = backend_of((raw,)).functions
    for prim, params in steps:
        assert prim.forward is not None
        raw = prim.forward(xp, raw, **params)
    return raw


def lying(x: Box) -> Any:
    """The raw array that ``x`` is, as it lies in memory; a view that is made anew is a copy, which lies otherwise."""
    memory = memory_of(x)
    return look(sample(memory.base), memory.steps) if isinstance(memory, Window) else sample(x)


def change(raw: Any, steps: Sequence[Step], update: Callable[[Any], None]) -> None:
    """``update`` the view of a raw array to which ``steps`` lead, in place."""
    if not steps:
        update(raw)
        return
    prim, params = steps[0]
    assert prim.forward is not None
    part = prim.forward(backend_of((raw,)).functions, raw, **params)
    change(part, steps[1:], update)
    if prim.rearranges and _root(part) is not _root(raw):
        # A cotangent may lie in memory in another order than its array, so that its reshape is a copy.
        raw[...] = prim.vjps[0](part, None, spec_of(raw), **params)  # type: ignore[misc]


class Stale(Level):
    """The level of a view whose memory was written into since it was made. It sees an operation first."""

    __slots__ = ()
    stale = True
    #: The primitive that reads through a window. ``ops.writing`` gives it.
    read: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.depth = sys.maxsize

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return prim(*(current(a) if type(a) is Box else a for a in args), **params)

    def constant(self, x: Box) -> Any:
        return current(x).level.constant(x)


STALE = Stale()


def current(x: Box) -> Box:
    """``x``, brought up to date."""
    if x.level is STALE:
        memory = memory_of(x)
        if isinstance(memory, Window):
            y = Stale.read(memory.base, steps=memory.steps)
        else:
            assert isinstance(memory, Derived)
            prim, params = memory.step
            parent = current(memory.parent)
            y = parent.level.process(prim, (parent,), params)
        move(x, y)
        base_of(owner_of(x)).enter(x)
    return x


def was_written(x: Box) -> None:
    """Note that the array ``x``, which owns its memory, has a new version: its views are stale."""
    base = base_of(x)
    base.written = True
    for r in base.views:
        view = r()
        if view is not None:
            view.level, view.value = STALE, None
    base.views.clear()


# -- values that nobody else can see --------------------------------------------------------------------
# Without the global lock a reference count may lag behind.
_counts_are_exact = getattr(sys, "_is_gil_enabled", lambda: True)()


def _count(x: Box, slot: str) -> int:
    value = getattr(x, slot)
    return sys.getrefcount(value)


_ALONE = _count(make_box(np.empty(1), STALE, 0, make_spec((1,), np.dtype(float))), "value")


def exclusive(x: Box, slot: str = "value") -> Any:
    """The value of ``x``, or its tangent, copied if anything but ``x`` refers to it: a record, a view, a variable of
    the program.

    A copy costs as much as whatever made it necessary, which had gone through the whole array.
    """
    value = getattr(x, slot)
    if isinstance(value, Pending):
        value = np.array(settle(value)) if not value.shape else copy_alike(settle(value))
    elif isinstance(value, np.generic):
        value = np.array(value)
    elif not (_counts_are_exact and sys.getrefcount(value) == _ALONE and _has_its_own_memory(value)):
        value = twin(value) if type(value) is Box else copy_alike(value)
    setattr(x, slot, value)
    return value


def _has_its_own_memory(value: Any) -> bool:
    base = getattr(value, "base", None)
    if base is None:
        return True
    if type(base) is not type(value) or base.base is not None or sys.getrefcount(base) != _BASE_ALONE:
        return False
    return 0 not in value.strides and getattr(value.flags, "writeable", True)  # unlike what was broadcast


def _base_count(part: Any) -> int:
    base = part.base
    return sys.getrefcount(base)


_BASE_ALONE = _base_count(np.empty(2)[:1])


def copy_alike(raw: Any) -> Any:
    """A copy of a raw array that lies in memory as that does, with gaps if it has some: what is a view of the one is
    a view of the other."""
    if raw.flags.c_contiguous or raw.flags.f_contiguous:
        return raw.copy(order="K")
    shape, strides = raw.shape, [abs(n) for n in raw.strides]
    order = sorted(range(raw.ndim), key=lambda i: (shape[i] != 1, -strides[i]))
    whole = [shape[i] for i in order]
    for k, (i, j) in enumerate(itertools.pairwise(order)):
        whole[k + 1] += shape[i] != 1 and strides[i] != shape[j] * strides[j]
    spread = strides[order[-1]] != raw.itemsize
    out = backend_of((raw,)).functions.empty((*whole, 1 + spread), raw.dtype)[..., 0]
    out = out[tuple(slice(shape[i]) if raw.strides[i] >= 0 else slice(shape[i] - 1, None, -1) for i in order)]
    out = out.transpose(sorted(range(raw.ndim), key=order.__getitem__))
    out[...] = raw
    return out

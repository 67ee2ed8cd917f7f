"""One call of a function under a record, and whether it can be replayed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core.box import Box
from ..core.constants import fingerprint
from ..core.level import running
from ..core.pytree import is_leaf, leaves, parts_of, rest, tree_map
from ..core.record import Line, Record, Refused, is_array, recording, user_line
from ..core.untraced import settled
from ..fused import pool
from ..graph.contents import differs
from ..graph.draws import GENERATORS, Draws, opened, put_back_everywhere
from ..graph.kinds import twice
from ..graph.replay import Result
from ..graph.surroundings import Surroundings
from .gradients import owner

_RETURNED = (bool, int, float, complex, str, bytes, np.generic, np.dtype, range, type(Ellipsis))


class Run:
    """One call of a function under a record."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.record = Record()
        self.effect_was_lost = False
        self.watch: list[tuple[Any, bytes]] = []
        #: The containers that the function is given, and what is in them.
        self.containers: list[Any] = []
        self.draws = Draws(self.record, around.generators)
        self.line = user_line()

    def call(self, flat: list[Any], with_boxes: Callable[[Iterator[Any], list[Any]], Any]) -> Any:
        """The function's result, and how it is made of what was recorded."""
        record = self.record
        boxes = [self.draws.input(x) for x in flat]
        args, kwargs = with_boxes(iter([boxes[k] for k in twice(flat)]), self.containers)
        f = self.around.inside(self.draws.input)
        tokens = recording.set(True), running.set(True)
        try:
            result = tree_map(lambda leaf: settled(opened(leaf)), f(*args, **kwargs))
            record.check()
        finally:
            record.close()
            pool.drain()
            recording.reset(tokens[0])
            running.reset(tokens[1])
        places: list[int | None] = []
        raws: list[Any] = []
        taken = {id(owner(x)) for x in (*flat, *[x for _, x in self.around.arrays])}
        found = []
        if _attributes_vary(result):
            raise Refused("it returns an object with arrays in attributes that aren't fields")
        for _, leaf in leaves(result):
            place = record.outside(leaf)
            if place is None and type(leaf) is Box:
                raise Refused("it returns a traced array of another transformation")
            if place is None and not is_array(leaf) and not isinstance(leaf, _RETURNED):
                raise Refused(f"it returns an object of type {type(leaf).__name__}")
            if place is None and is_array(leaf):
                record.hold(leaf, ("result", len(raws)))
            raw = leaf.value if place is not None else leaf
            places.append(place)
            raws.append(None if place is not None else leaf)
            found.append(raw.copy(order="K") if place is None and is_array(raw) else _own(raw, taken))
        self.template = Result(tree_map(lambda leaf: _LEAF, result), places, raws)
        made = iter(found)
        return tree_map(lambda _: next(made), result)

    def generators(self) -> list[int]:
        """Which inputs are random generators."""
        return [k for k, box in enumerate(self.record.given) if type(box.value) in GENERATORS]

    def undo(self) -> None:
        """What can be undone before the function is called once more: traced arrays that it left, random numbers."""
        self.around.restore(self.record)
        put_back_everywhere(self.around.generators, self.draws.before)

    def changed(self) -> tuple[str, Line | None] | None:
        """What the function has done besides computing its result."""
        if self.draws.unseen():
            return (
                "it draws random numbers that would be the same at every call, from a state of its own or a generator "
                "in an object: pass it a numpy.random.Generator as an argument"
            ), self.line
        if any(differs(container, before) for container, before in self.containers):
            self.effect_was_lost = True
            return "it changes a container that it was given", self.line
        if self.around.wrote_into_copies():
            self.effect_was_lost = True
            return "it changes a container of arrays from around it", self.line
        now = self.around.read()
        if type(now) is str:
            self.around.restore(self.record)
            return f"it changes {now}", self.line
        return None

    def unknown_array(self) -> tuple[str, Line | None] | None:
        """An array that takes part, may change, and isn't found from the function."""
        line = self._held_elsewhere()
        if line is not None:
            import gc

            gc.collect()
            line = self._held_elsewhere()
        if line is None:
            return None
        return "it uses an array that is kept where jit doesn't find it, and may change: pass it as an argument", line

    def _held_elsewhere(self) -> Line | None:
        """Where an array came in that something else than the record refers to."""
        held = self.record.held
        views = [id(owner(x)) for x, _, _ in held.values() if owner(x) is not x]
        for entry in held.values():
            raw, line, containers = entry
            known = not self.around.watched.isdisjoint((id(raw), id(owner(raw))))
            own = owner(raw) is raw
            del raw
            if not known and _counts_are_exact:
                others = _others(entry, len(containers), views)
                if (others or (not own and _others_of_base(entry, held, views))) and not self._is_cached(entry[0]):
                    return line
        return None

    def _is_cached(self, raw: Any) -> bool:
        """Whether a function under ``functools.cache`` keeps the array. It is compared at every call, then."""
        if not isinstance(raw, np.ndarray) or id(raw) not in {id(x) for x in self.around.cached()}:
            return False
        self.watch.append((raw, fingerprint(raw)))
        return True

    def read(self) -> Callable[[], Any]:
        """``Surroundings.read``, which looks at these arrays, too."""
        read, watch = self.around.read, self.watch
        if not watch:
            return read

        def read_more() -> Any:
            return "what a cache keeps" if any(fingerprint(x) != before for x, before in watch) else read()

        return read_more


def _others(entry: tuple[Any, ...], containers: int, views: list[int]) -> bool:
    """Whether an array can be changed, by somebody else who refers to it."""
    ours = containers + views.count(id(entry[0]))
    return _is_writable(entry[0]) and _count(entry) > _ALONE + ours


def _others_of_base(entry: tuple[Any, ...], held: dict[int, tuple[Any, Line, set[Any]]], views: list[int]) -> bool:
    """The same of the memory that a view shows."""
    base = owner(entry[0])
    if not is_array(base) or not _is_writable(base):
        return False
    itself = held.get(id(base))
    ours = views.count(id(base)) + (1 + len(itself[2]) if itself else 0)
    return _count_base(entry) - 1 > _BASE_ALONE + ours


def _is_writable(raw: Any) -> bool:
    return bool(getattr(getattr(raw, "flags", None), "writeable", True))


# Without the global lock a reference count may lag behind.
_counts_are_exact = getattr(sys, "_is_gil_enabled", lambda: True)()


def _count(entry: tuple[Any, ...]) -> int:
    return sys.getrefcount(entry[0])


def _count_base(entry: tuple[Any, ...]) -> int:
    base = owner(entry[0])
    return sys.getrefcount(base)


_ALONE, _BASE_ALONE = _count((np.empty(1),)), _count_base((np.empty(2)[:1],)) - 1
_LEAF = object()


def _attributes_vary(tree: Any) -> bool:
    """Whether a container, or one in it, has arrays besides its parts."""
    if is_leaf(tree):
        return False
    more = rest(tree)
    if more is not None and any(type(x) is Box or is_array(x) for _, x in leaves(more)):
        return True
    return any(map(_attributes_vary, parts_of(tree) or ()))


def _own(x: Any, taken: set[int]) -> Any:
    """A result that shares its memory with nobody."""
    if not is_array(x):
        return x
    if x.base is None and id(x) not in taken:
        taken.add(id(x))
        return x
    return x.copy(order="K")

"""Running transformations. Each interprets primitives in its own way; nesting is their order of birth."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..fused.pending import running as running
from .box import Box, move, twin

if TYPE_CHECKING:
    from .primitive import Primitive

_birth = itertools.count().__next__


class Level:
    """One running transformation. A level born later is further in, and sees an operation first."""

    __slots__ = ("depth",)
    #: Whether the value of a box of this level must be made anew before it is looked at.
    stale = False
    #: Whether a box of this level stands for one of many examples, which differ.
    batched = False
    #: Whether this level writes down what a program learns of a value: see ``core.record``.
    recorded = False
    #: What an open tape has, see ``core.tape``: other levels have no short way.
    unused: Any = None

    def __init__(self) -> None:
        self.depth = _birth()

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Interpret ``prim(*args, **params)``; some argument is a ``Box`` of this level."""
        raise NotImplementedError

    def answer(self, x: Box, question: Callable[[Any], Any]) -> Any:
        """``question(value)`` of a box of this level, where it is ``recorded``."""
        raise NotImplementedError

    # The same for x[key]; a level may have a shorter way for it.
    def part(self, prim: Primitive, x: Box, key: Any) -> Any:
        return self.process(prim, (x,), {"key": key})

    def write(self, x: Box, v: Any, place: Any) -> None:
        """Let ``x`` be what it is with ``v`` written at ``place``; one of the two, or both, are boxes of this level."""
        move(x, place.apply(x, v))

    def constant(self, x: Box) -> Any:
        """What a level further in keeps of a box of this one, which may be written into later."""
        return twin(x)

    def opened(self, args: Sequence[Any]) -> list[Any]:
        """``args`` with the boxes of this level opened, and those of others as constants."""
        return [(a.value if a.level is self else a.level.constant(a)) if type(a) is Box else a for a in args]


def innermost_level(args: tuple[Any, ...]) -> Level | None:
    """The innermost transformation that any of ``args`` belongs to."""
    level = None
    for a in args:
        if type(a) is Box and (level is None or a.level.depth > level.depth):
            level = a.level
    return level

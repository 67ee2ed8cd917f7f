"""Running transformations. Each interprets primitives in its own way; nesting is their order of birth."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .box import Box

if TYPE_CHECKING:
    from .primitive import Primitive

_birth = itertools.count().__next__


class Level:
    """One running transformation. A level born later is further in, and sees an operation first."""

    __slots__ = ("depth",)

    def __init__(self) -> None:
        self.depth = _birth()

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Interpret ``prim(*args, **params)``; some argument is a ``Box`` of this level."""
        raise NotImplementedError

    # The same for x[key]; a level may have a shorter way for it.
    def part(self, prim: Primitive, x: Box, key: Any) -> Any:
        return self.process(prim, (x,), {"key": key})


def innermost_level(args: tuple[Any, ...]) -> Level | None:
    """The innermost transformation that any of ``args`` belongs to."""
    level = None
    for a in args:
        if type(a) is Box and (level is None or a.level.depth > level.depth):
            level = a.level
    return level

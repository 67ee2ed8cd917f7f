"""Arrays that no transformation traces yet, but that take traced writes.

Inside a differentiated function ``gpuad.numpy.zeros`` and its like give such an array. It is a constant until
something traced is written into it; then it belongs to the transformation that what was written belongs to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fused.pending import settle
from .box import Box, make_box, spec_of
from .level import Level, innermost_level, running
from .memory import current, exclusive
from .primitive import Primitive


class Untraced(Level):
    """The level of such arrays, further out than any transformation. It evaluates primitives."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.depth = -1

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        ans = prim(*self.opened(args), **params)
        return tuple(map(untraced, ans)) if type(ans) is tuple or type(ans) is list else untraced(ans)

    def write(self, x: Box, v: Any, place: Any) -> None:
        place.put(exclusive(x), settle(v.value if type(v) is Box else v))

    def constant(self, x: Box) -> Any:
        return x.value


UNTRACED = Untraced()


def untraced(value: Any) -> Any:
    """An array of floating-point numbers as one that takes traced writes. Anything else is as it is."""
    if type(value) is Box or isinstance(value, (np.generic, bool, int, float, complex)):
        return value
    spec = spec_of(value)
    return make_box(value, UNTRACED, -1, spec) if spec.differentiable else value


def settled(x: Any) -> Any:
    """What a program hands out: a view brought up to date, and the raw array where nothing is traced."""
    if type(x) is Box:
        x = current(x)
        if x.level is UNTRACED:
            return x.value
    return x


def fresh(value: Any) -> Any:
    """An array that was just made from nothing: inside a differentiated function it takes traced writes."""
    return untraced(value) if running.on else value


def written(content: Any, v: Any, place: Any) -> Any:
    """``content``, which nobody else refers to, with ``v`` written at ``place``; it is written into if it is raw."""
    if type(content) is not Box:
        if type(v) is not Box and Box not in map(type, place.arrays):
            place.put(content, settle(v))
            return content
        content = untraced(content)
    level = innermost_level((content, v, *place.arrays))
    assert level is not None
    level.write(content, v, place)
    return settled(content)

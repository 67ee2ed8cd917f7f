"""A function and what it reads from around it.

A function that is to be run again later may read traced arrays that aren't among its arguments. They are found by
running it under a level of its own, which sees every operation that an argument, or what was computed from one,
takes part in, and is asked there what is to stand for a traced array from elsewhere. The first time that is its
plain value, and it is noted which array was met; when the function is run again, whatever its caller has put in
place of that array, in the order of the first run.

What a function computes from arrays around it alone goes to the transformations that these belong to, as ever. In a
later run these may have ended, and take no notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import UnsupportedError
from ..fused.pending import lift, settle
from .box import Box, make_box, spec_of, twin
from .forward import Forward
from .level import Level
from .memory import exclusive
from .primitive import Primitive
from .tape import Tape, leaked, rerunning
from .untraced import UNTRACED, settled, written


class Closure(Level):
    """Evaluates primitives further out, without a record, with something in place of traced arrays from around.

    Levels up to the depth ``floor`` are left alone.
    """

    __slots__ = ("closed", "floor", "take")

    def __init__(self, floor: int, take: Callable[[Box], Any]) -> None:
        super().__init__()
        self.floor = floor
        self.take = take
        self.closed = False

    def watch(self, value: Any) -> Any:
        """A stand-in for ``value``; what isn't floating-point stays as it is."""
        spec = spec_of(value)
        if not spec.differentiable:
            return value
        return make_box(lift(value), self, 0, spec)

    def inside(self, x: Any) -> Any:
        """What ``x`` is to this level."""
        if type(x) is not Box:
            return x
        if x.level is self:
            return x.value
        return self.take(x) if x.level.depth > self.floor else x.level.constant(x)

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            leaked()
        ans = prim(*[a.value if type(a) is Box and a.level is self else self.inside(a) for a in args], **params)
        if prim.piecewise_constant:
            return ans
        return tuple(map(self.watch, ans)) if type(ans) is tuple or type(ans) is list else self.watch(ans)

    def write(self, x: Box, v: Any, place: Any) -> None:
        if self.closed:
            leaked()
        if x.level is not self and x.level is not UNTRACED:
            raise UnsupportedError(
                "a checkpointed function writes into a traced array from around it, which would be done a second time "
                "when it is run again. Let it return what it computes"
            )
        content = exclusive(x)
        x.value, x.level, x.index = written(content, self.inside(v), place), self, 0

    def result(self, x: Any) -> Any:
        """What a leaf of the function's result is outside.

        It is computed now: who runs a function again wants its result kept, not what that was made from.
        """
        return settle(self.inside(settled(x)))


class Deeper(Exception):
    """A level that must be left alone was met."""

    def __init__(self, floor: int) -> None:
        self.floor = floor


def floor_of(x: Any) -> int:
    """The depth of the innermost level of ``x`` that does more than to differentiate: batches, say. -1 if none does."""
    while type(x) is Box:
        if x.level.stale:
            x = x.level.constant(x)
        elif isinstance(x.level, (Tape, Forward, Closure)) or x.level is UNTRACED:
            x = x.value
        else:
            return x.level.depth
    return -1


def beneath(x: Any, floor: int) -> Any:
    """``x`` without the levels that are further in than ``floor``."""
    while type(x) is Box and (x.level.depth > floor or x.level is UNTRACED):
        x = x.level.constant(x) if x.level.stale else x.value
    return x


class Surroundings:
    """The traced arrays from around a function that its run met: each once, and in which order."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.boxes: list[Box] = []
        self.met: list[int] = []
        self._numbers: dict[tuple[int, ...], int] = {}

    def take(self, x: Box) -> Any:
        if (floor := floor_of(x)) > self.floor:
            raise Deeper(floor)
        place: Any = x.index  # a number, or in forward mode a tangent
        key = id(x.level), id(x.value), place if type(place) is int else id(place)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.boxes)
            self.boxes.append(twin(x))  # which keeps alive what has these identities
        self.met.append(number)
        return beneath(x, self.floor)


class Standing:
    """In a later run, ``values[met[k]]`` stands for the k-th array from around that is met."""

    def __init__(self, values: Sequence[Any], met: Sequence[int]) -> None:
        self.values = values
        self.numbers = iter(met)

    def take(self, x: Box) -> Any:
        number = next(self.numbers, None)
        value = x if number is None else self.values[number]
        if number is None or (spec_of(value) is not x.spec and spec_of(value).shape != x.spec.shape):
            raise unlike()
        return value


def unlike() -> UnsupportedError:
    return UnsupportedError(
        "a checkpointed function computed something else when it was run again, so its derivative can't be had. It "
        "must depend on its arguments alone: draw random numbers outside and pass them in, and don't write into what "
        "it reads"
    )


@contextmanager
def again() -> Iterator[None]:
    """While a function is run again, for the derivative: transformations that have ended take no notice."""
    token = rerunning.set(True)
    try:
        yield
    finally:
        rerunning.reset(token)

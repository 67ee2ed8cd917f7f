"""Writing into an array, as an operation that gives a new one; and how a tape does it in place."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..core.box import Box, Spec, spec_of
from ..core.filled import zeros_like
from ..core.memory import Step, change, look
from .declare import fit, variadic
from .index import Arrays, gather, getitem
from .shape import reshape


class Place:
    """Where a write goes: by steps of views, and then by an index that may have arrays in it."""

    __slots__ = ("arrays", "key", "steps")

    def __init__(self, steps: tuple[Step, ...], key: Any, arrays: tuple[Any, ...]) -> None:
        self.steps, self.key, self.arrays = steps, key, arrays

    @property
    def params(self) -> dict[str, Any]:
        return {"steps": self.steps, "key": self.key}

    @property
    def write(self) -> Any:
        """The primitive that does it, called with ``(x, v, *arrays, **params)``."""
        return write

    @property
    def index(self) -> Any:
        return Arrays(self.key, self.arrays).whole() if self.arrays else self.key

    def put(self, x: Any, v: Any) -> None:
        """Write into the raw array ``x``."""
        change(x, self.steps, lambda there: operator.setitem(there, self.index, v))

    @staticmethod
    def clear(g: Any, place: Place, owned: bool) -> Any:
        """The rule of what had been there before: its cotangent is that of the whole, without the place."""
        if type(g) is Box:
            return write(g, 0.0, *place.arrays, **place.params)
        if not owned:
            g = g.copy()
        place.put(g, 0.0)
        return g

    @staticmethod
    def take(g: Any, ans: Any, packed: tuple[Place, Spec]) -> Any:
        """The rule of what is written: its cotangent is that of the place. A copy, for ``g`` will be cleared."""
        place, spec = packed
        if type(g) is Box:
            return _fit(place.read_off(g), spec)
        found = look(g, place.steps)[place.index]
        h = _fit(found, spec)
        return h.copy() if getattr(h, "base", None) is not None else h

    def read_off(self, g: Any) -> Any:
        """The part of ``g`` at this place."""
        for prim, params in self.steps:
            g = prim(g, **params)
        return gather(g, *self.arrays, key=self.key) if self.arrays else getitem(g, self.key)


def _fit(h: Any, spec: Spec) -> Any:
    missing = len(spec.shape) - len(spec_of(h).shape)
    if missing > 0:  # NumPy lets what is written have more axes, of length 1
        h = reshape(h, shape=(1,) * missing + spec_of(h).shape, order="C")
    return fit(h, spec)


def _write(xp: Any, x: Any, v: Any, *arrays: Any, steps: tuple[Step, ...], key: Any) -> Any:
    out = x.copy(order="K")
    Place(steps, key, arrays).put(out, v)
    return out


def _write_vjp(k: int, g: Any, ans: Any, x: Any, v: Any, *arrays: Any, steps: tuple[Step, ...], key: Any) -> Any:
    if k == 0:
        return write(g, 0.0, *arrays, steps=steps, key=key)
    return _fit(Place(steps, key, arrays).read_off(g), spec_of(v))


def _write_jvp(tangents: Sequence[Any], ans: Any, x: Any, v: Any, *arrays: Any, steps: Any, key: Any) -> Any:
    dx, dv = (zeros_like(a) if t is None else t for t, a in zip(tangents, (x, v), strict=False))
    return write(dx, dv, *arrays, steps=steps, key=key)


#: ``x`` with ``v`` at the place that ``steps``, ``key`` and ``arrays`` name; no entry may be named twice, unless
#: with the same value and all but one of them constant.
write = variadic("write", _write, _write_vjp, linear=True, jvp=_write_jvp)

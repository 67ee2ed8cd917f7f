"""Writing into an array, as an operation that gives a new one; and how a tape does it in place."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.batch import filled
from ..core.box import Box, Spec, spec_of, twin
from ..core.cotangent import Chosen, Indexed
from ..core.filled import zeros_like
from ..core.memory import Step, change
from ..core.untraced import written
from ..fused.pending import Pending, settle
from .declare import fit, variadic
from .index import (
    ARRAY,
    Arrays,
    Layout,
    Region,
    add_into,
    behind,
    behind_arrays,
    examples,
    gather,
    gather_batched,
    part,
    places,
    read,
    scatter_add,
    scattered,
)
from .shape import reshape


class Place:
    """Where a write goes: by steps of views, and then by an index that may have arrays in it."""

    __slots__ = ("arrays", "key", "steps")

    def __init__(self, steps: tuple[Step, ...], key: Any, arrays: tuple[Any, ...]) -> None:
        self.steps, self.key, self.arrays = steps, key, arrays

    def keeping(self, keep: Callable[[Any], Any]) -> Place:
        """The same with index arrays that the program can't change any more."""
        return type(self)(self.steps, self.key, tuple(map(keep, self.arrays))) if self.arrays else self

    @property
    def index(self) -> Any:
        return Arrays(self.key, self.arrays) if self.arrays else self.key

    def put(self, x: Any, v: Any) -> None:
        """Write into the raw array ``x``."""
        where = Arrays(self.key, self.arrays).whole() if self.arrays else self.key
        change(x, self.steps, lambda there: operator.setitem(there, where, v))

    def put_into(self, x: Any, v: Any) -> Any:
        """Write into ``x``, traced or raw, which nobody else refers to; returns what ``x`` is then."""
        return written(x, v, self)

    def apply(self, x: Any, v: Any) -> Any:
        """The same as an operation that gives a new array."""
        return write(x, v, *self.arrays, steps=self.steps, key=self.key)

    def __call__(self, g: Any, owned: bool) -> Any:
        """The rule of what had been there before: its cotangent is that of the whole, without the place.

        What a mask chose to be overwritten doesn't count, whatever its derivative would be: as with ``where``.
        """
        g = self.put_into(_mine(g, owned), 0.0)
        mask = self.arrays[0] if len(self.arrays) == 1 and not self.steps else None
        whole = mask is not None and type(mask) is not Box and mask.dtype == bool and mask.shape == spec_of(g).shape
        return Chosen(g, mask, False) if whole else g

    def batched(self, x: Any, v: Any, of_v: bool, arrays: Sequence[Any], mapped: Sequence[bool]) -> tuple[Place, Any]:
        """This place in an example as one in the batch ``x``, and what to write there.

        ``arrays`` are those of the index; ``mapped`` says which of them differ from example to example, and ``of_v``
        whether ``v`` does.
        """
        n, *shape = spec_of(x).shape
        key = self.key if type(self.key) is tuple else (self.key,)
        if self.steps or any(mapped):  # by numbers of the entries
            where = places(tuple(shape), self.steps, x)
            index: tuple[Any, ...]
            filling: tuple[Any, ...]
            if any(mapped):
                where = gather_batched(gather, n, [False, *mapped], [where, *arrays], {"key": key})
                rank = len(spec_of(where).shape) - 1
                index, filling = (ARRAY, ARRAY), (examples(n, rank, x), where)
            else:
                where = gather(where, *arrays, key=key) if arrays else where[key]
                rank = len(spec_of(where).shape)
                if isinstance(where, np.generic):
                    where = np.asarray(where)
                index, filling = (slice(None), ARRAY), (where,)
            flat = (reshape, {"shape": (n, math.prod(shape)), "order": "C"})
            return type(self)((flat,), index, filling), _region(v, of_v, rank)
        if not arrays:
            rank = np.broadcast_to(np.empty((), bool), shape)[key].ndim
            return type(self)((), behind(key), ()), _region(v, of_v, rank)
        layout = Layout(key, arrays, mapped, len(shape))
        v = _region(v, of_v, layout.rank)
        if of_v:
            v = behind_arrays(v, layout)
        elif not layout.together and len(spec_of(v).shape) > layout.rank - layout.width:
            v = v[(None,) * (layout.rank - len(spec_of(v).shape))]
            v = v[(slice(None),) * layout.width + (None,)]
        return type(self)((), behind(key), tuple(arrays)), v

    @staticmethod
    def take(g: Any, ans: Any, packed: tuple[Place, Spec]) -> Any:
        """The rule of what is written: its cotangent is that of the place. A copy, for ``g`` will be cleared."""
        place, spec = packed
        return _fit(place.read_off(g), spec)

    def read_off(self, g: Any) -> Any:
        """The part of ``g`` at this place, as an array of its own."""
        if not self.arrays:
            return read(g, steps=(*self.steps, (part, {"key": self.key})))
        for prim, params in self.steps:
            g = prim(g, **params)
        return gather(g, *self.arrays, key=self.key)


class Sum(Place):
    """Where something is added, as often as the index names an entry."""

    __slots__ = ()

    @staticmethod
    def of(index: Any) -> Sum:
        """The place of an index of ``Indexed``."""
        if type(index) is Region:
            *steps, (prim, params) = index.steps
            return Sum(tuple(steps), params["key"], ()) if prim is part else Sum(tuple(index.steps), ..., ())
        return Sum((), index.key, index.arrays) if type(index) is Arrays else Sum((), index, ())

    def put(self, x: Any, v: Any) -> None:
        index = self.index
        change(x, self.steps, lambda there: add_into(there, [_as_part(there, v, index)], [index], empty=False))

    def apply(self, x: Any, v: Any) -> Any:
        there = read(x, steps=self.steps) if self.steps else x
        there = there + _scattered(v, self.index, spec_of(there))
        return write(x, there, steps=self.steps, key=...)

    def __call__(self, g: Any, owned: bool) -> Any:
        return _mine(g, owned)


def _scattered(v: Any, index: Any, spec: Spec) -> Any:
    return scattered(v, index, spec) if type(index) is Arrays else scatter_add(v, indices=(index,), spec=spec)


def _region(v: Any, of_v: bool, rank: int) -> Any:
    """What is written into a part of each example, with ``rank`` axes there."""
    if not of_v:
        return v
    shape = spec_of(v).shape[1:]
    if len(shape) < rank:
        return v[(slice(None),) + (None,) * (rank - len(shape))]
    return v if len(shape) == rank else v.reshape((len(v), *shape[len(shape) - rank :]))


def _as_part(x: Any, v: Any, index: Any) -> Any:
    """``v`` in the shape of ``x[index]``, and the dtype of ``x``."""
    backend = backend_of((x,))
    v = v.astype(x.dtype) if hasattr(v, "shape") else backend.asarray(v, x.dtype)
    return backend.functions.broadcast_to(v, x[index.whole() if type(index) is Arrays else index].shape)


def _mine(g: Any, owned: bool) -> Any:
    """A cotangent that may be written into."""
    if type(g) is Box:
        return g if owned else twin(g)
    if isinstance(g, Pending):
        g, owned = settle(g), False
    if isinstance(g, np.generic):
        return np.array(g)
    return g if owned else g.copy()


def _add_terms(c: Any, terms: Indexed, owned: bool) -> Any:
    """``c`` with few terms added, each where it belongs, instead of an array of all of them."""
    c = _mine(c, owned)
    for g, index in zip(terms.gs, terms.indices, strict=True):
        c = Sum.of(index).put_into(c, g)
    return c


Indexed.add_to = staticmethod(_add_terms)


def _fit(h: Any, spec: Spec) -> Any:
    missing = len(spec.shape) - len(spec_of(h).shape)
    if missing > 0:  # NumPy lets what is written have more axes, of length 1
        h = reshape(h, shape=(1,) * missing + spec_of(h).shape, order="C")
    return fit(h, spec)


def _write(xp: Any, x: Any, v: Any, *arrays: Any, steps: tuple[Step, ...], key: Any) -> Any:
    out = np.array(x) if isinstance(x, np.generic) else x.copy(order="K")
    Place(steps, key, arrays).put(out, v)
    return out


def _write_vjp(k: int, g: Any, ans: Any, x: Any, v: Any, *arrays: Any, steps: tuple[Step, ...], key: Any) -> Any:
    if k == 0:
        return write(g, 0.0, *arrays, steps=steps, key=key)
    return _fit(Place(steps, key, arrays).read_off(g), spec_of(v))


def _write_jvp(tangents: Sequence[Any], ans: Any, x: Any, v: Any, *arrays: Any, steps: Any, key: Any) -> Any:
    dx, dv = (zeros_like(a) if t is None else t for t, a in zip(tangents, (x, v), strict=False))
    return write(dx, dv, *arrays, steps=steps, key=key)


def _write_batched(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    x, v, *arrays = values
    (x,) = filled([x], mapped[:1], n)
    place, v = Place(params["steps"], params["key"], tuple(arrays)).batched(x, v, mapped[1], arrays, mapped[2:])
    return prim(x, v, *place.arrays, steps=place.steps, key=place.key)


#: ``x`` with ``v`` at the place that ``steps``, ``key`` and ``arrays`` name; no entry may be named twice, unless
#: with the same value and all but one of them constant.
write = variadic("write", _write, _write_vjp, linear=True, jvp=_write_jvp, batch=_write_batched)

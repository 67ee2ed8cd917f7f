"""Indexing, and its adjoint: adding into zeros."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import backend_of, owner_of_type
from ..core.box import Box, Spec, innermost, spec_of
from ..core.cotangent import Indexed
from ..core.memory import Stale, Step, View, change, look
from ..core.primitive import Primitive
from .declare import operation, variadic, view

# -- what an index is made of -----------------------------------------------------------------------
_SLICING = frozenset({int, slice, type(None), type(Ellipsis)})


class _Array:
    """Stands in an index for an array, that is given as an argument of its own."""

    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _Array()


class Arrays:
    """An index that isn't all slicing: a key with gaps, and the arrays that fill them."""

    __slots__ = ("arrays", "key")

    def __init__(self, key: tuple[Any, ...], arrays: tuple[Any, ...]) -> None:
        self.key = key
        self.arrays = arrays

    def whole(self) -> tuple[Any, ...]:
        rest = iter(self.arrays)
        return tuple(next(rest) if i is ARRAY else i for i in self.key)

    def may_repeat(self) -> bool:
        """Whether an entry can be named twice. Masks name each once, and so do integers of shape ()."""
        return any(a.dtype != bool and a.ndim for a in self.arrays)


class Region:
    """An index of ``Indexed``: where steps of views lead to."""

    __slots__ = ("steps",)

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``, with any index of NumPy's."""
    if type(index) is int and type(x) is Box and len(x.spec.shape) == 1 and type(x.value) is np.ndarray:
        return x.level.part(part, x, index)  # a number, which has no memory to share
    key, arrays = parsed(x, index)
    if arrays or not (type(key) in _SLICING or _SLICING.issuperset(map(type, key))):
        return gather(x, *arrays, key=key)
    return part(x, key=key)


def parsed(x: Any, index: Any) -> tuple[Any, tuple[Any, ...]]:
    """An index of ``x`` as a key with gaps for the arrays in it, and these arrays. Slicing alone is as given."""
    kind = type(index)
    if kind in _SLICING or (kind is tuple and _SLICING.issuperset(map(type, index))):
        return index, ()
    if kind is not tuple:
        index = (_one_index(x, index),)
        if type(index[0]) is int:
            return index[0], ()
    else:
        index = tuple(_one_index(x, i) for i in index)
    return tuple(ARRAY if _is_array(i) else i for i in index), tuple(i for i in index if _is_array(i))


def _is_array(i: Any) -> bool:
    return type(i) is Box or (owner_of_type(type(i)) is not None and not isinstance(i, np.generic))


def _one_index(x: Any, i: Any) -> Any:
    """One entry of an index as an int, a slice, ``None``, ``...``, a bool or an array; others as they are."""
    if type(i) in _SLICING or type(i) is bool:
        return i
    if _is_array(i):
        if type(i) is Box and i.spec.dtype.kind not in "biu":
            _refuse_traced([i])
        host_number = isinstance(i, np.ndarray) and i.ndim == 0
        return i.item() if host_number and i.dtype.kind in "biu" else i
    if isinstance(i, np.bool_):
        return bool(i)
    if isinstance(i, (list, tuple, range)):
        _refuse_traced(i)
        return backend_of((innermost(x),)).asarray(i, None if len(i) else np.intp)
    try:
        return operator.index(i)
    except TypeError:
        found = np.asarray(i)  # of another library, or a sequence of another kind
        return i if found.dtype.kind not in "biu" else backend_of((innermost(x),)).asarray(found)


def _refuse_traced(entries: Iterable[Any]) -> None:
    for i in entries:
        if type(i) is Box:
            raise IndexError(
                f"an index must be of integers or booleans, got a traced array of {i.spec}; it has no derivative: "
                "index with gpuad.stop_gradient(i).astype(int)"
            )
        if isinstance(i, (list, tuple)):
            _refuse_traced(i)


# -- reading and adding -------------------------------------------------------------------------------
def _part(xp: Any, x: Any, *, key: Any) -> Any:
    return (x if hasattr(x, "shape") else xp.asarray(x))[key]


#: ``x[key]`` for a key of integers, slices, ``None`` and ``...``: a view.
part: View = view("part", _part, lambda g, ans, x, *, key: Indexed(g, x, key, spec_of(g).size))
#: ``x[key]`` with ``arrays`` (and booleans) in the key: a copy.
gather: Primitive = variadic(
    "gather",
    lambda xp, x, *arrays, key: _part(xp, x, key=Arrays(key, arrays).whole()),
    lambda k, g, ans, x, *arrays, key: Indexed(g, spec_of(x), Arrays(key, arrays), spec_of(g).size),
    linear=True,
    jvp=lambda tangents, ans, x, *arrays, key: gather(tangents[0], *arrays, key=key),
)


def _read(xp: Any, x: Any, *, steps: tuple[Step, ...]) -> Any:
    found = look(x, steps)
    return found if isinstance(found, np.generic) else found.copy(order="K")  # NumPy's operations keep the order, too


#: The view of ``x`` to which ``steps`` lead, as an array of its own.
read = operation("read", _read, lambda g, ans, x, *, steps: Indexed(g, x, Region(steps), spec_of(g).size), linear=True)
Stale.read = read


def _scatter(spec: Spec, indices: list[Any], gs: list[Any], base: Any) -> Any:
    """The terms added up: into ``base``, which the caller owns, or into zeros."""
    if base is None or type(base) is Box or any(type(g) is Box for g in gs):
        total = scatter_add(*gs, indices=tuple(indices), spec=spec)
        return total if base is None else base + total
    add_into(base, gs, indices, empty=False)
    return base


Indexed.scatter = staticmethod(_scatter)


def add_into(out: Any, gs: Iterable[Any], indices: Iterable[Any], *, empty: bool) -> None:
    """``out[indices[k]] += gs[k]`` for every k. ``empty``: there are only zeros in ``out`` yet."""
    backend = backend_of((out,))
    out = backend.settle(out)
    for g, index in zip(gs, indices, strict=True):
        if type(index) is Region:
            _add_through(out, g, index)
            continue
        gathered = type(index) is Arrays
        where = index.whole() if gathered else index
        if gathered and index.may_repeat():
            backend.add_at(out, where, g)
        elif empty:
            out[where] = g
        else:
            there = out[where]
            if gathered or isinstance(there, np.generic):
                out[where] = there + g
            else:
                there += g  # a view
        empty = False


def _add_through(out: Any, g: Any, region: Region) -> None:
    *steps, (_, params) = region.steps
    if "key" in params:  # it may name a single entry, of which there is no view
        change(out, steps, lambda there: add_into(there, [g], [params["key"]], empty=False))
    else:
        change(out, region.steps, lambda there: there.__iadd__(g))


def _scatter_add(xp: Any, *gs: Any, indices: Any, spec: Spec) -> Any:
    out = xp.zeros(spec.shape, spec.dtype)
    add_into(out, gs, indices, empty=True)
    return out


def _scatter_add_vjp(k: int, g: Any, ans: Any, *, indices: Any, spec: Spec) -> Any:
    index = indices[k]
    if type(index) is Region:
        return read(g, steps=index.steps)
    return gather(g, *index.arrays, key=index.key) if type(index) is Arrays else getitem(g, index)


#: Zeros of shape and dtype ``spec``, with ``gs[k]`` added at ``indices[k]``.
scatter_add = variadic("scatter_add", _scatter_add, _scatter_add_vjp, linear=True)

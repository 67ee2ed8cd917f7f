"""Indexing, and its adjoint: adding into zeros."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import backend_of, owner_of_type
from ..core.batch import aligned, filled, front
from ..core.box import Box, Spec, make_spec, sample, spec_of
from ..core.cotangent import Indexed
from ..core.memory import Stale, Step, View, change, look
from ..core.primitive import Primitive
from ..errors import UnsupportedError
from ..fused.pending import Pending, leaf, settle, settle_all
from ..fused.staging import staged_part
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
    if (key is None or (type(key) is tuple and None in key)) and isinstance(sample(x), Pending):
        shape = _with_new_axes(spec_of(x).shape, key)
        if shape is not None:  # which can wait
            from .shape import reshape

            return reshape(x, shape=shape, order="C")
    return part(x, key=key)


def _with_new_axes(shape: tuple[int, ...], key: Any) -> tuple[int, ...] | None:
    """The shape of ``x[key]``, if that has the axes of ``x`` and new ones; else ``None``."""
    key = key if type(key) is tuple else (key,)
    taken = sum(type(i) is slice for i in key)
    whole = all(i is None or i is Ellipsis or (type(i) is slice and i == slice(None)) for i in key)
    if not whole or taken > len(shape) or key.count(Ellipsis) > 1:
        return None
    found, rest = [], list(shape)
    for i in key:
        if i is None:
            found.append(1)
        else:
            n = 1 if i is not Ellipsis else len(shape) - taken
            found += rest[:n]
            del rest[:n]
    return (*found, *rest)


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
        host_number = type(i) is np.ndarray and i.ndim == 0
        return i.item() if host_number and i.dtype.kind in "biu" else i
    if isinstance(i, np.bool_):
        return bool(i)
    if isinstance(i, (list, tuple, range)):
        _refuse_traced(i)
        return backend_of((sample(x),)).asarray(i, None if len(i) else np.intp)
    try:
        return operator.index(i)
    except TypeError:
        found = np.asarray(i)  # of another library, or a sequence of another kind
        return i if found.dtype.kind not in "biu" else backend_of((sample(x),)).asarray(found)


def _refuse_traced(entries: Iterable[Any]) -> None:
    for i in entries:
        if type(i) is Box:
            raise IndexError(
                f"an index must be of integers or booleans, got a traced array of {i.spec}; it has no derivative: "
                "index with gpuad.stop_gradient(i).astype(int)"
            )
        if isinstance(i, (list, tuple)):
            _refuse_traced(i)


# -- of every example ---------------------------------------------------------------------------------
def behind(key: Any) -> tuple[Any, ...]:
    """An index of an example as that of the batch."""
    return (slice(None), *key) if type(key) is tuple else (slice(None), key)


class Layout:
    """Where the axes of its arrays come in what an index with arrays gives."""

    def __init__(self, key: tuple[Any, ...], arrays: Sequence[Any], mapped: Sequence[bool], ndim: int) -> None:
        if any(m and spec_of(a).dtype == bool for a, m in zip(arrays, mapped, strict=True)):
            raise UnsupportedError(
                "vmap: a mask that differs from example to example chooses other numbers of entries. Use "
                "numpy.where(mask, x, 0.0), or sums with where=mask"
            )
        ndims = [len(spec_of(a).shape) - m for a, m in zip(arrays, mapped, strict=True)]
        masks = [spec_of(a).dtype == bool for a in arrays]
        numbers = [k for k, i in enumerate(key) if i is ARRAY or type(i) in (int, bool)]
        #: How many axes the arrays have together.
        self.width = max(int(bool in map(type, key)), *(1 if m else n for n, m in zip(ndims, masks, strict=True)), 0)
        taken = sum(n if is_mask else 1 for n, is_mask in zip(ndims, masks, strict=True)) + sum(
            type(i) in (int, slice) for i in key
        )
        counts = [ndim - taken if i is Ellipsis else int(i is None or type(i) is slice) for i in key]
        together = numbers[-1] - numbers[0] == len(numbers) - 1
        #: How many axes come before them.
        self.before = sum(counts[: numbers[0]]) if together else 0
        self.together = together
        rest = (
            sum(counts)
            if any(i is Ellipsis for i in key)
            else ndim - taken + key.count(None) + sum(type(i) is slice for i in key)
        )
        #: How many axes there are in all.
        self.rank = self.width + rest

    def to_front(self, x: Any) -> Any:
        """``x`` with the axes of the arrays right after that of the batch."""
        if not self.before or not self.width:
            return x
        moved = range(1 + self.before, 1 + self.before + self.width)
        return x.transpose((0, *moved, *(i for i in range(1, len(spec_of(x).shape)) if i not in moved)))

    def to_place(self, x: Any) -> Any:
        """What undoes ``to_front``."""
        if not self.before or not self.width:
            return x
        before = range(1 + self.width, 1 + self.width + self.before)
        after = range(1 + self.width + self.before, len(spec_of(x).shape))
        return x.transpose((0, *before, *range(1, 1 + self.width), *after))


def examples(n: int, width: int, x: Any) -> Any:
    """The numbers of the examples, with as many axes behind as an index has."""
    return backend_of((sample(x),)).asarray(np.arange(n).reshape((n,) + (1,) * width))


def gather_batched(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    x, *arrays = values
    of_x, *of_arrays = mapped
    key = params["key"]
    layout = Layout(key, arrays, of_arrays, len(spec_of(x).shape) - of_x)
    if not any(of_arrays):
        found = prim(x, *arrays, key=behind(key))
        return found if layout.together else front(found, layout.width)
    if not of_x:
        return front(prim(x, *aligned(arrays, of_arrays, layout.width), key=key), layout.before)
    numbers = [examples(n, layout.width, x), *aligned(arrays, of_arrays, layout.width)]
    return layout.to_place(prim(x, *numbers, key=(ARRAY, *key)))


def scatter_at_batched(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    arrays, of_arrays = values[1:], mapped[1:]
    (g,) = filled(values[:1], mapped[:1], n)
    key, spec = params["key"], params["spec"]
    whole = make_spec((n, *spec.shape), spec.dtype)
    layout = Layout(key, arrays, of_arrays, spec.ndim)
    if not any(of_arrays):
        return prim(behind_arrays(g, layout), *arrays, key=behind(key), spec=whole)
    numbers = [examples(n, layout.width, g), *aligned(arrays, of_arrays, layout.width)]
    return prim(layout.to_front(g), *numbers, key=(ARRAY, *key), spec=whole)


def behind_arrays(g: Any, layout: Layout) -> Any:
    """``g`` with the axis of the batch where an index that is the same for all examples has it."""
    if layout.together or not layout.width:
        return g
    return g.transpose((*range(1, 1 + layout.width), 0, *range(1 + layout.width, len(spec_of(g).shape))))


def scatter_batched(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    spec: Spec = params["spec"]
    whole, flat = (make_spec(shape, spec.dtype) for shape in ((n, *spec.shape), (n, spec.size)))
    terms: list[Any] = []
    indices: list[Any] = []
    total = None
    for g, index in zip(filled(values, mapped, n), params["indices"], strict=True):
        if type(index) is Region:
            where = places(spec.shape, index.steps, g)
            index = Arrays((slice(None), ARRAY), (where,))
            term = prim(g, indices=(index,), spec=flat).reshape(whole.shape)
            total = term if total is None else total + term
        elif type(index) is Arrays:
            layout = Layout(index.key, index.arrays, [False] * len(index.arrays), spec.ndim)
            terms.append(behind_arrays(g, layout))
            indices.append(Arrays(behind(index.key), index.arrays))
        else:
            terms.append(g)
            indices.append(behind(index))
    if terms:
        term = prim(*terms, indices=tuple(indices), spec=whole)
        total = term if total is None else total + term
    return total


def places(shape: tuple[int, ...], steps: Sequence[Step], x: Any) -> Any:
    """Which entries of a flat array of that shape the steps of views lead to; on the backend of ``x``."""
    xp = backend_of((sample(x),)).functions
    return look(xp.arange(math.prod(shape)).reshape(shape), steps)


# -- reading and adding -------------------------------------------------------------------------------
def _part(xp: Any, x: Any, *, key: Any) -> Any:
    x = x if hasattr(x, "shape") else xp.asarray(x)
    rows = type(key) is tuple and len(key) == 1 and type(key[0]) is type(x) is np.ndarray
    if rows and key[0].dtype.kind == "i" and x.ndim and x.flags.c_contiguous:
        return x.take(key[0], 0)  # in a quarter of the time, if rows are short
    return x[key]


#: ``x[key]`` for a key of integers, slices, ``None`` and ``...``: a view.
part: View = view(
    "part",
    _part,
    lambda g, ans, x, *, key: Indexed(g, x, key, spec_of(g).size),
    batch=lambda prim, n, mapped, values, params: prim(values[0], key=behind(params["key"])),
    deferred=staged_part,
)
#: ``x[key]`` with ``arrays`` (and booleans) in the key: a copy.
gather: Primitive = variadic(
    "gather",
    lambda xp, x, *arrays, key: _part(xp, x, key=Arrays(key, arrays).whole()),
    lambda k, g, ans, x, *arrays, key: Indexed(g, spec_of(x), Arrays(key, arrays), spec_of(g).size),
    linear=True,
    jvp=lambda tangents, ans, x, *arrays, key: gather(tangents[0], *arrays, key=key),
    batch=gather_batched,
)


def _read(xp: Any, x: Any, *, steps: tuple[Step, ...]) -> Any:
    found = look(x, steps)
    return found if isinstance(found, np.generic) else found.copy(order="K")  # NumPy's operations keep the order, too


def _rows(x: Any) -> Any:
    """The examples, each in one axis."""
    n, *shape = spec_of(x).shape
    return x.reshape((n, math.prod(shape)))


#: The view of ``x`` to which ``steps`` lead, as an array of its own.
read = operation(
    "read",
    _read,
    lambda g, ans, x, *, steps: Indexed(g, x, Region(steps), spec_of(g).size),
    linear=True,
    batch=lambda prim, n, mapped, values, params: _rows(values[0])[
        :, places(spec_of(values[0]).shape[1:], params["steps"], values[0])
    ],
)
Stale.read = read
part.plain_vjps = gather.plain_vjps = read.plain_vjps = False  # but `Indexed`


def _scatter(spec: Spec, indices: list[Any], gs: list[Any], base: Any) -> Any:
    """The terms added up: into ``base``, which the caller owns, or into zeros."""
    if any(type(a) is Box for i in indices if type(i) is Arrays for a in i.arrays):  # other ones for each example
        for g, index in zip(gs, indices, strict=True):
            if type(index) is Arrays:
                term = scatter_at(g, *index.arrays, key=index.key, spec=spec)
            else:
                term = scatter_add(g, indices=(index,), spec=spec)
            base = term if base is None else base + term
        return base
    if base is None or type(base) is Box or any(type(g) is Box for g in gs):
        total = scatter_add(*gs, indices=tuple(indices), spec=spec)
        return total if base is None else base + total
    total = _waiting_sum(spec, indices, gs, base)
    if total is not None:
        return total
    add_into(base, gs, indices, empty=False)
    return base


Indexed.scatter = staticmethod(_scatter)


def scattered(g: Any, index: Arrays, spec: Spec) -> Any:
    """Zeros of shape and dtype ``spec`` with ``g`` added at an index whose arrays may be traced."""
    return _scatter(spec, [index], [g], None)


def add_into(out: Any, gs: Iterable[Any], indices: Iterable[Any], *, empty: bool) -> None:
    """``out[indices[k]] += gs[k]`` for every k. ``empty``: there are only zeros in ``out`` yet."""
    backend = backend_of((out,))
    gs = list(gs)
    settle_all([out, *gs])  # together: they may share kernels
    out = settle(out)
    for g, index in zip(map(settle, gs), indices, strict=True):
        if type(index) is Region:
            _add_through(out, g, index)
            empty = False
            continue
        gathered = type(index) is Arrays
        where = index.whole() if gathered else index
        if gathered and index.may_repeat():
            from ..fused import scatter  # which most programs never need

            if not scatter.add_at(out, where, g):
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


def _waiting_sum(spec: Spec, indices: Sequence[Any], gs: Sequence[Any], base: Any) -> Any:
    """The terms added up, and ``base``, in kernels of what waits; ``None`` if that gains nothing."""
    if not any(isinstance(g, Pending) and g.value is None for g in gs):
        return None
    from ..fused.slices import added_up, box_of

    boxes = [None if type(index) in (Arrays, Region) else box_of(index, spec.shape) for index in indices]
    large = [k for k, g in enumerate(gs) if boxes[k] is not None and 2 * spec_of(g).size > spec.size]
    total = added_up([gs[k] for k in large], [boxes[k] for k in large], spec.shape, spec.dtype)  # type: ignore[misc]
    if total is None:
        return None
    if base is not None:
        total = base + total
    rest = [k for k in range(len(gs)) if k not in large]
    if rest:
        kind = type(total)
        total = settle(total)
        add_into(total, [gs[k] for k in rest], [indices[k] for k in rest], empty=False)
        total = leaf(kind, total)
    return total


def _staged_scatter(lazy: Any, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    total = _waiting_sum(params["spec"], params["indices"], args, None)
    return NotImplemented if total is None else total


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
scatter_add = variadic("scatter_add", _scatter_add, _scatter_add_vjp, linear=True, batch=scatter_batched)
scatter_add.deferred = _staged_scatter


def _scatter_at_vjp(k: int, g: Any, ans: Any, h: Any, *arrays: Any, key: Any, spec: Spec) -> Any:
    return gather(g, *arrays, key=key)


#: The same for one term, at an index whose arrays are arguments: vmap has other ones for each example.
scatter_at = Primitive(
    "scatter_at", lambda xp, g, *arrays, key, spec: _scatter_add(xp, g, indices=(Arrays(key, arrays),), spec=spec)
)
scatter_at.define_variadic_vjp(_scatter_at_vjp, linear=True)
scatter_at.jvp = lambda tangents, ans, g, *arrays, key, spec: scatter_at(tangents[0], *arrays, key=key, spec=spec)
scatter_at.batch = scatter_at_batched

"""Reading, adding and writing at indices: slices as views, and arrays as statements of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.memory import look as look_along
from ..core.record import Step
from ..ops.index import ARRAY, Arrays, Region
from .lowering import COPY, Lowering, NotHere, at_index, looked, lowers
from .program import At, Indexed, Ref


@lowers("part")
def _part(s: Lowering, step: Step, i: int) -> Ref:
    return s.view(step, at_index(step.params["key"]))


@lowers("read")
def _read(s: Lowering, step: Step, i: int) -> Ref:
    return s.view(step, _along(step.params["steps"]))


def _along(steps: Any) -> Callable[[Any], Any]:
    return lambda x: look_along(x, steps)


# -- arrays in an index ---------------------------------------------------------------------------------
def _addressed(s: Lowering, x: Ref, key: Any, arrays: Sequence[Ref]) -> tuple[Ref, tuple[At, ...]]:
    """``x[key]``, with ``arrays`` for the gaps in the key, as if these were zero; and how they move every entry."""
    gaps = [k for k, i in enumerate(key) if i is ARRAY or type(i) is int]
    together = gaps[-1] - gaps[0] == len(gaps) - 1
    if any(type(i) is bool for i in key):
        raise NotHere
    if any(s.program.dtype(a).kind not in "iu" or s.program.dtype(a) == np.uint64 for a in arrays):
        raise NotHere
    taken = sum(i is ARRAY or type(i) in (int, slice) for i in key)
    if taken == len(x.shape) and not together and any(i is Ellipsis for i in key[gaps[0] : gaps[-1]]):
        raise NotHere  # whether they count as beside each other then is for NumPy to know
    # Where the gaps are among the axes of a view that has all of these, and among those of `x`.
    among, of_x, places, axes = 0, 0, [], []
    for i in key:
        if i is ARRAY or type(i) is int:
            places.append(among)
            axes.append(of_x)
        wide = len(x.shape) - taken if i is Ellipsis else 1
        among, of_x = among + wide, of_x + (0 if i is None else wide)
    view = looked(x, at_index(tuple([slice(None) if k in gaps else i for k, i in enumerate(key)])))
    rest = [k for k in range(len(view.shape)) if k not in places]
    before = [k for k in rest if together and k < places[0]]
    after = rest[len(before) :]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    whole = (*[view.shape[k] for k in before], *shape, *[view.shape[k] for k in after])
    strides = (*[view.strides[k] for k in before], *[0] * len(shape), *[view.strides[k] for k in after])
    offset, given, at = view.offset, iter(arrays), []
    for k, place, axis in zip(gaps, places, axes, strict=True):
        length, step = view.shape[place], view.strides[place]
        if key[k] is ARRAY:
            index = next(given).spread(shape)
            moves = ((0,) * len(before), index.strides, (0,) * len(after))
            at.append(At(index._replace(strides=sum(moves, ()), shape=whole), length, step, axis))
        else:
            offset += key[k] % length * step
    return Ref(x.storage, offset, strides, whole), tuple(at)


def _add_at(s: Lowering, how: str, x: Ref, there: Ref, at: tuple[At, ...]) -> None:
    """``x`` written, or added, where the indices say."""
    dtype = s.program.dtype(there)
    if s.program.dtype(x) != dtype:
        x = s.map(COPY, s.program.array(x.shape, dtype), [x])
    s.program.statements.append(Indexed(how, x.spread(there.shape), there, at))


@lowers("gather")
def _gather(s: Lowering, step: Step, i: int) -> Ref:
    x, *arrays = map(s.operand, step.args)
    there, at = _addressed(s, x, step.params["key"], arrays)
    out = s.new(step)
    if there.shape != out.shape or s.program.dtype(x) != s.program.dtype(out):
        raise NotHere
    s.program.statements.append(Indexed("read", there, out.spread(out.shape), at))
    return out


@lowers("scatter_at")
def _scatter_at(s: Lowering, step: Step, i: int) -> Ref:
    x, *arrays = map(s.operand, step.args)
    out = s.new(step)
    s.map(COPY, out, [s.program.constant(0, s.program.dtype(out))])
    _add_at(s, "add", x, *_addressed(s, out, step.params["key"], arrays))
    return out


@lowers("reorder", "restore")
def _reorder(s: Lowering, step: Step, i: int) -> Ref:
    x, order = map(s.operand, step.args)
    axis, out = step.params["axis"], s.new(step)
    there, here = x.spread(x.shape), out.spread(out.shape)
    moved = there if step.prim.name == "reorder" else here
    at = At(order.spread(x.shape), x.shape[axis], moved.strides[axis], axis)
    still = moved._replace(strides=tuple([0 if k == axis else n for k, n in enumerate(moved.strides)]))
    if moved is there:
        s.program.statements.append(Indexed("read", still, here, (at,)))
    else:
        s.program.statements.append(Indexed("write", there, still, (at,)))
    return out


# -- adding and writing ---------------------------------------------------------------------------------
#: Of larger arrays it isn't found out which entries are filled.
_COUNTED = 1 << 20


@lowers("scatter_add")
def _scatter_add(s: Lowering, step: Step, i: int) -> Ref:
    """Each term where it belongs: as it is where nothing is yet, else added."""
    spec, indices = step.params["spec"], step.params["indices"]
    if spec.size > _COUNTED:
        raise NotHere
    out = s.new(step)
    times = np.zeros(spec.shape, np.int16)
    parts: list[tuple[Ref, Ref, bool, tuple[At, ...]]] = []
    cleared = False
    for a, index in zip(step.args, indices, strict=True):
        if type(index) is Arrays:
            arrays = [s.program.constant(array, array.dtype) for array in index.arrays]
            there, at = _addressed(s, out, index.key, arrays)
            parts.append((there, s.operand(a), False, at))
            cleared = True
            times += 1
            continue
        function = _along(index.steps) if type(index) is Region else at_index(index)
        found = looked(out, function)
        part = function(times)
        first = not part.any()
        cleared |= not first and not part.all()
        part += 1
        if first and (part != 1).any():  # an entry is named twice
            raise NotHere
        parts.append((found, s.operand(a), first, ()))
    if cleared or not times.all():
        s.map(COPY, out, [s.program.constant(0, spec.dtype)])
    for there, ref, first, at in parts:
        if at:
            _add_at(s, "add", ref, there, at)
        elif math.prod(there.shape):
            s.map(COPY if first else "{0} + {1}", there, [ref] if first else [there, ref])
    return out


@lowers("write")
def _write(s: Lowering, step: Step, i: int) -> Ref:
    x, v, *arrays = step.args
    out = (
        s.operand(x) if x not in (v, *arrays) and s.may_overwrite(x, i) else s.copied(s.operand(x), s.new(step).strides)
    )
    given = [s.operand(a) for a in (v, *arrays)]
    term, *numbers = [s.copied(ref) if ref.storage == out.storage else ref for ref in given]
    key, steps = step.params["key"], step.params["steps"]
    at = at_index(Ellipsis if arrays else key)
    there = looked(out, lambda whole: at(look_along(whole, steps)))
    if arrays and s.program.dtype(numbers[0]).kind == "b":
        mask = numbers[0]
        if key != (ARRAY,) or mask.shape != there.shape or term.shape:
            raise NotHere
        dtype = s.program.dtype(out)
        s.map("{0} ? {1} : {2}", there, [mask, term, there], (np.dtype(bool), dtype, dtype))
        return out
    moved: tuple[At, ...] = ()
    if arrays:
        there, moved = _addressed(s, there, key, numbers)
    if math.prod(there.shape):
        while len(term.shape) > len(there.shape) and term.shape[0] == 1:
            term = Ref(term.storage, term.offset, term.strides[1:], term.shape[1:])
        if moved:
            _add_at(s, "write", term, there, moved)
        else:
            s.map(COPY, there, [term])
    return out

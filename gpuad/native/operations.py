"""Operations that aren't element by element, nor views: each as statements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.record import Step
from ..fused.pending import Apply
from ..ops.contract import einsum_plan
from . import blas, margins
from .lowering import COPY, LOWERED, Lowering, NotHere, at_index, check, look, looked, lowers
from .program import DType, Product, Ref, Running


@lowers("power_of_number")
def _power(s: Lowering, step: Step, i: int) -> Ref:
    exponent, (x,) = step.params["exponent"], map(s.operand, step.args)
    scalar = {2: "{0} * {0}", -1: "1 / {0}", 0.5: "sqrt({0})"}.get(exponent)
    dtype = s.values[step.outs[0]].spec.dtype
    if dtype.kind not in "fc" or type(exponent) not in (int, float):
        raise NotHere
    if scalar is None:
        exponent = s.program.constant(exponent, dtype)
        check(Apply("power", "power({0}, {1})", (dtype, dtype), dtype))
        return s.map("power({0}, {1})", s.new(step), [x, exponent])
    return s.map(scalar, s.new(step), [x])


@lowers("astype", "copied")
def _cast(s: Lowering, step: Step, i: int) -> Ref:
    (x,) = map(s.operand, step.args)
    out = s.new(step)
    if s.program.dtype(x).kind == "c" and s.program.dtype(out).kind != "c":
        raise NotHere
    return s.map(COPY, out, [x])


@lowers("reshape")
def _reshape(s: Lowering, step: Step, i: int) -> Ref:
    return s.view(step, lambda x: x.reshape(step.params["shape"], order=step.params["order"]))


@lowers("broadcast_to", "spread")
def _broadcast(s: Lowering, step: Step, i: int) -> Ref:
    (x,), shape, axis = map(s.operand, step.args), step.params["shape"], step.params.get("axis")
    if axis is not None and len(axis) < len(shape):
        kept = tuple([1 if k in axis else n for k, n in enumerate(shape)])
        x = _reshaped(s, x, kept)
    return x.spread(shape)


def _axes(x: Ref, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(range(len(x.shape))) if axis is None else axis


def _shaped(s: Lowering, step: Step, ref: Ref) -> Ref:
    """With or without the axes of length 1, as it should be."""
    shape = s.values[step.outs[0]].spec.shape
    return looked(ref, lambda x: x.reshape(shape))


def _folded(how: str) -> Callable[[Lowering, Step, int], Ref]:
    def lower(s: Lowering, step: Step, i: int) -> Ref:
        (x,), dtype = map(s.operand, step.args), s.values[step.outs[0]].spec.dtype
        if how != "add" and dtype.kind not in "fi":
            raise NotHere
        return _shaped(s, step, s.fold(how, x, _axes(x, step.params["axis"]), dtype))

    return lower


@lowers("mean")
def _mean(s: Lowering, step: Step, i: int) -> Ref:
    (x,), dtype = map(s.operand, step.args), s.values[step.outs[0]].spec.dtype
    if s.program.dtype(x) != dtype or dtype.kind not in "fc":
        raise NotHere
    return _shaped(s, step, _mean_of(s, x, _axes(x, step.params["axis"]), 0.0))


def _mean_of(s: Lowering, x: Ref, axes: tuple[int, ...], ddof: float) -> Ref:
    dtype = s.program.dtype(x)
    total = s.fold("add", x, axes, dtype)
    count = math.prod(x.shape[k] for k in axes) - ddof
    out = s.program.array(total.shape, dtype)
    return s.map("{0} / {1}", out, [total, s.program.constant(count, dtype)])


@lowers("std", "var")
def _var(s: Lowering, step: Step, i: int) -> Ref:
    (x,), dtype = map(s.operand, step.args), s.values[step.outs[0]].spec.dtype
    axes, ddof = _axes(x, step.params["axis"]), float(step.params["ddof"])
    if s.program.dtype(x) != dtype or dtype.kind != "f" or math.prod(x.shape[k] for k in axes) <= ddof:
        raise NotHere
    mean = _mean_of(s, x, axes, 0.0)
    deviation = s.map("{0} - {1}", s.program.array(x.shape, dtype), [x, mean])
    found = _mean_of(s, s.map("{0} * {0}", s.program.array(x.shape, dtype), [deviation]), axes, ddof)
    if step.prim.name == "std":
        found = s.map("sqrt({0})", s.program.array(found.shape, dtype), [found])
    return _shaped(s, step, found)


@lowers("sum_to")
def _sum_to(s: Lowering, step: Step, i: int) -> Ref:
    (x,), shape = map(s.operand, step.args), step.params["shape"]
    extra = len(x.shape) - len(shape)
    axes = [k for k, n in enumerate(x.shape) if k < extra or (shape[k - extra] == 1 and n != 1)]
    return _shaped(s, step, s.fold("add", x, axes, s.values[step.outs[0]].spec.dtype))


@lowers("count")
def _count(s: Lowering, step: Step, i: int) -> Ref:
    (x,), shape = map(s.operand, step.args), step.params["shape"]
    if s.program.dtype(x).kind != "b":
        raise NotHere
    x = x.spread(shape)
    total = s.fold("add", x, _axes(x, step.params["axis"]), np.dtype(np.int64))
    return _shaped(s, step, s.map(COPY, s.program.array(total.shape, s.values[step.outs[0]].spec.dtype), [total]))


@lowers("cumsum", "cumprod")
def _cumulated(s: Lowering, step: Step, i: int) -> Ref:
    (x,), dtype = map(s.operand, step.args), s.values[step.outs[0]].spec.dtype
    sign = "+" if step.prim.name == "cumsum" else "*"
    if dtype.kind not in "fi":
        raise NotHere
    return _running(s, step, f"{{0}} {sign} {{1}}", [x])


@lowers("prod")
def _prod(s: Lowering, step: Step, i: int) -> Ref:
    """The last of the running products."""
    (x,), dtype = map(s.operand, step.args), s.values[step.outs[0]].spec.dtype
    if dtype.kind not in "fi" or type(step.params["axis"]) is not int:
        raise NotHere
    axis = step.params["axis"] % len(x.shape)
    running = s.program.array(x.shape, dtype)
    if s.program.dtype(x) != dtype:
        x = s.map(COPY, s.program.array(x.shape, dtype), [x])
    s.program.statements.append(Running("{0} * {1}", running.spread(x.shape), (x.spread(x.shape),), axis))
    return looked(running, at_index((*(slice(None),) * axis, -1)))


@lowers("recurrence")
def _recurrence(s: Lowering, step: Step, i: int) -> Ref:
    a, b = map(s.operand, step.args)
    if s.values[step.outs[0]].spec.dtype.kind != "f":
        raise NotHere
    return _running(s, step, "{1} + {2} * {0}", [b, a])


def _running(s: Lowering, step: Step, scalar: str, ins: list[Ref]) -> Ref:
    """Along an axis, from its end if ``reverse``."""
    out = s.new(step)
    axis, dtype = step.params["axis"] % len(out.shape), s.program.dtype(out)
    ins = [x if s.program.dtype(x) == dtype else s.map(COPY, s.program.array(x.shape, dtype), [x]) for x in ins]
    turned = [x.spread(out.shape) for x in (out, *ins)]
    if step.params["reverse"]:
        turned = [looked(x, lambda whole: np.flip(whole, axis)) for x in turned]
    s.program.statements.append(Running(scalar, turned[0], tuple(turned[1:]), axis))
    return out


@lowers("shift")
def _shift(s: Lowering, step: Step, i: int) -> Ref:
    (x,), fill, out = map(s.operand, step.args), step.params["fill"], s.new(step)
    axis = step.params["axis"] % len(x.shape)
    before = (slice(None),) * axis
    ends = slice(1, None), slice(-1), slice(1)
    there, here, first = ends if not step.params["back"] else (slice(-1), slice(1, None), slice(-1, None))
    s.put(out, [((*before, first), s.program.constant(fill, s.program.dtype(out)))])
    if x.shape[axis] > 1:
        s.put(out, [((*before, there), looked(x, at_index((*before, here))))])
    return out


@lowers("concatenate")
def _concatenate(s: Lowering, step: Step, i: int) -> Ref:
    before, at, pieces = (slice(None),) * step.params["axis"], 0, []
    for a in step.args:
        ref = s.operand(a)
        if not ref.shape:
            raise NotHere
        n = ref.shape[len(before)]
        pieces.append(((*before, slice(at, at + n)), ref))
        at += n
    return s.put(s.new(step), pieces)


@lowers("stack")
def _stack(s: Lowering, step: Step, i: int) -> Ref:
    along = [slice(None)] * step.params["axis"]
    return s.put(s.new(step), [((*along, k), s.operand(a)) for k, a in enumerate(step.args)])


@lowers("roll")
def _roll(s: Lowering, step: Step, i: int) -> Ref:
    """A look at an array and its margins; along axes without margins, one after another, put together of two parts."""
    x = s.operand(step.args[0])
    reach = s.reaches.get(step.args[0], [0] * len(x.shape))
    shifts = margins.shifts(step.params, x.shape)
    inside = sum(shift * stride for shift, stride, r in zip(shifts, x.strides, reach, strict=True) if r)
    x = x._replace(offset=x.offset - inside)
    for axis, shift in enumerate(shifts):
        if shift and not reach[axis]:
            before = (slice(None),) * axis
            parts = (slice(shift), slice(-shift, None)), (slice(shift, None), slice(-shift))
            pieces = [((*before, there), looked(x, at_index((*before, here)))) for there, here in parts]
            x = s.put(s.program.array(x.shape, s.program.dtype(x)), pieces)
    return x


@lowers("tril", "triu")
def _triangle(s: Lowering, step: Step, i: int) -> Ref:
    (x,), out, k = map(s.operand, step.args), s.new(step), step.params["k"]
    rows, columns = out.shape[-2:]
    lower = step.prim.name == "tril"
    kept = np.tri(rows, columns, k if lower else k - 1, dtype=bool) == lower
    chosen = s.program.constant(kept, kept.dtype), x, s.program.constant(0, s.program.dtype(out))
    return s.map("{0} ? {1} : {2}", out, chosen, (kept.dtype, *[s.program.dtype(out)] * 2))


@lowers("from_diagonal")
def _from_diagonal(s: Lowering, step: Step, i: int) -> Ref:
    out = s.new(step)
    s.map(COPY, out, [s.program.constant(0, s.program.dtype(out))])
    where = {name: step.params[name] for name in ("offset", "axis1", "axis2")}
    there = looked(out, lambda whole: whole.diagonal(**where))
    if math.prod(there.shape):
        s.map(COPY, there, [s.operand(step.args[0])])
    return out


@lowers("pad")
def _pad(s: Lowering, step: Step, i: int) -> Ref:
    (x,), value = map(s.operand, step.args), step.params["constant_values"]
    if type(value) not in (int, float):
        raise NotHere
    out = s.new(step)
    s.map(COPY, out, [s.program.constant(value, s.program.dtype(out))])
    inner = tuple([slice(b, b + n) for (b, _), n in zip(step.params["widths"], x.shape, strict=True)])
    return s.put(out, [(inner, x)])


@lowers("bitwise_and", "bitwise_or", "bitwise_xor")
def _bits(s: Lowering, step: Step, i: int) -> Ref:
    sign = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}[step.prim.name]
    dtype = s.values[step.outs[0]].spec.dtype
    return s.map(f"{{0}} {sign} {{1}}", s.new(step), map(s.operand, step.args), (dtype, dtype))


@lowers("invert")
def _invert(s: Lowering, step: Step, i: int) -> Ref:
    dtype = s.values[step.outs[0]].spec.dtype
    return s.map("!{0}" if dtype.kind == "b" else "~{0}", s.new(step), map(s.operand, step.args), (dtype,))


# -- products -------------------------------------------------------------------------------------------
@lowers("matmul")
def _matmul(s: Lowering, step: Step, i: int) -> Ref:
    x, y = map(s.operand, step.args)
    found = out = s.new(step)
    if len(x.shape) == 1:
        x, out = _with_axis(x, 0), _with_axis(out, len(out.shape) - (len(y.shape) > 1))
    if len(y.shape) == 1:
        y, out = _with_axis(y, 1), _with_axis(out, len(out.shape))
    _product(s, x, y, out)
    return found


def _product(s: Lowering, x: Ref, y: Ref, out: Ref) -> None:
    """The matrix product of the last two axes, with the same axes before them."""
    dtype = s.program.dtype(out)
    if dtype.char not in "fd" or s.program.dtype(x) != dtype or s.program.dtype(y) != dtype:
        raise NotHere
    x, y = (ref if blas.fits(ref) else s.copied(ref) for ref in (x, y))
    if blas.wants_rows(x, y):
        y = s.in_rows(y)
    if not blas.fits(out) or not blas.is_known(x, y, out):
        raise NotHere
    batch = out.shape[:-2]
    x, y = x.spread((*batch, *x.shape[-2:])), y.spread((*batch, *y.shape[-2:]))
    s.program.statements.append(Product(x, y, out.spread(out.shape)))


@lowers("einsum")
def _einsum(s: Lowering, step: Step, i: int) -> Ref:
    subscripts = step.params["subscripts"]
    plan, dtype = einsum_plan(subscripts), s.values[step.outs[0]].spec.dtype
    x, y = (_folded_to(s, s.operand(a), how) for a, how in zip(step.args, plan.folds, strict=True))
    if plan.direct:
        return _outer(s, x, y, plan.direct, dtype)
    if plan.swapped:
        x, y = y, x
    x, y = (looked(ref, _transposed(order)) for ref, order in zip((x, y), plan.orders, strict=True))
    until_rows = plan.batch + plan.rows
    batch, rows, summed = x.shape[: plan.batch], x.shape[plan.batch : until_rows], x.shape[until_rows:]
    columns, n = y.shape[plan.batch + len(summed) :], math.prod(summed)
    out = s.program.array((*batch, math.prod(rows), math.prod(columns)), dtype)
    _product(s, _reshaped(s, x, (*batch, math.prod(rows), n)), _reshaped(s, y, (*batch, n, math.prod(columns))), out)
    return looked(_reshaped(s, out, (*batch, *rows, *columns)), _transposed(plan.order))


def _folded_to(s: Lowering, x: Ref, subscripts: str) -> Ref:
    """Summed over the letters that are missing on the right."""
    if not subscripts:
        return x
    term, left = subscripts.split("->")
    if len(set(term)) != len(term):
        raise NotHere
    total = s.fold("add", x, [k for k, letter in enumerate(term) if letter not in left], s.program.dtype(x))
    return _reshaped(s, total, tuple([n for n, letter in zip(x.shape, term, strict=True) if letter in left]))


def _outer(s: Lowering, x: Ref, y: Ref, subscripts: str, dtype: DType) -> Ref:
    """A product entry by entry, and the sum over the letters that are missing on the right."""
    terms, out = subscripts.split("->")
    a, b = terms.split(",")
    letters = out + "".join([letter for letter in a if letter not in out])
    sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
    x, y = (_along_letters(ref, term, letters) for ref, term in ((x, a), (y, b)))
    found = s.program.array(tuple([sizes[letter] for letter in letters]), dtype)
    s.map("{0} * {1}", found, [x, y])
    if len(letters) == len(out):
        return found
    return _reshaped(s, s.fold("add", found, range(len(out), len(letters)), dtype), found.shape[: len(out)])


def _along_letters(ref: Ref, term: str, letters: str) -> Ref:
    """With an axis for every letter, of length 1 for those that it hasn't."""
    place = {letter: k for k, letter in enumerate(term)}
    strides = tuple([ref.strides[place[letter]] if letter in place else 0 for letter in letters])
    shape = tuple([ref.shape[place[letter]] if letter in place else 1 for letter in letters])
    return Ref(ref.storage, ref.offset, strides, shape)


def _transposed(order: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda x: x.transpose(order) if order else x


def _reshaped(s: Lowering, ref: Ref, shape: tuple[int, ...]) -> Ref:
    """In another shape; copied if it can't be seen so."""
    return look(ref, lambda x: x.reshape(shape)) or looked(s.copied(ref), lambda x: x.reshape(shape))


def _with_axis(ref: Ref, at: int) -> Ref:
    """With an axis of length 1 more."""
    strides, shape = (*ref.strides[:at], 0, *ref.strides[at:]), (*ref.shape[:at], 1, *ref.shape[at:])
    return Ref(ref.storage, ref.offset, strides, shape)


LOWERED.update(max=_folded("maximum"), min=_folded("minimum"), sum=_folded("add"))

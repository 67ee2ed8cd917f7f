"""Recorded steps as statements in C's terms; what has no such counterpart is left to Python."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..core.memory import View
from ..core.record import PythonOperator, Step, Value
from ..fused.c_types import CannotCompile, key_of
from ..fused.c_types import check as check_plan
from ..fused.pending import Apply
from ..fused.plan import Plan
from ..fused.plan import Step as PlanStep
from ..fused.staging import operation_on
from . import margins
from .program import DType, Fold, Map, Program, Ref, Statement, ends, is_dense, rows

COPY = "{0}"


#: How primitives that aren't element by element become statements; ``operations`` and ``indices`` fill it.
LOWERED: dict[str, Callable[[Lowering, Step, int], Ref]] = {}


def lowers(*names: str) -> Callable[[Any], Any]:
    """States how the primitives of these names become statements."""

    def enter(function: Any) -> Any:
        LOWERED.update(dict.fromkeys(names, function))
        return function

    return enter


class NotHere(Exception):
    """A step that the C backend leaves to Python."""


class Lowering:
    """Makes a ``Program`` of steps, which ``take`` is given in their order; ``finish`` says what is wanted of it.

    ``last_use``: by value, the number of the last step that reads it; ``kept``: the values that are needed outside;
    ``reaches``: how wide the margins of values have to be, as ``margins.reaches`` says.
    """

    def __init__(
        self,
        values: dict[int, Value],
        last_use: dict[int, int],
        kept: frozenset[int],
        reaches: dict[int, list[int]],
    ) -> None:
        self.values, self.last_use, self.kept, self.reaches = values, last_use, kept, reaches
        self.program = Program()
        self.refs: dict[int, Ref] = {}
        #: What the caller gives: values, as arrays and as numbers.
        self.arrays: dict[int, Ref] = {}
        self.numbers: list[int] = []
        #: Copies of what is given, and the statements that make them.
        self._in_rows: dict[Ref, tuple[Ref, int]] = {}
        #: Which values are views of a storage, unless they aren't needed any more.
        self.viewers: dict[int, list[int]] = {}

    def take(self, step: Step, i: int) -> None:
        """Add the ``i``-th step, or raise ``NotHere`` and change nothing."""
        if step.several or step.errstate or step.backend.name != "numpy" or type(step.prim) is PythonOperator:
            raise NotHere
        values = [self.values[a] for a in step.args]
        (out,) = step.outs
        if any(_unfit(v) for v in (*values, self.values[out])):
            raise NotHere
        before = len(self.program.statements), len(self.arrays), len(self.numbers)
        try:
            found = self._lowered(step, i)
            spec = self.values[out].spec
            if found.shape != spec.shape or self.program.dtype(found) != spec.dtype:
                raise NotHere
        except (NotHere, CannotCompile):
            self._forget(*before)
            raise NotHere from None
        found = self.refs[out] = self._with_margins(out, found)
        self.viewers.setdefault(found.storage, []).append(out)

    def _forget(self, statements: int, arrays: int, numbers: int) -> None:
        """All beyond so many."""
        del self.program.statements[statements:]
        self._in_rows = {ref: found for ref, found in self._in_rows.items() if found[1] < statements}
        for place in list(self.arrays)[arrays:]:
            del self.refs[place], self.arrays[place]
        for place in self.numbers[numbers:]:
            del self.refs[place]
        del self.numbers[numbers:]

    def finish(self, outs: Sequence[int]) -> list[Ref]:
        """Make results of the values that are wanted: arrays of their own."""
        results = []
        for k, place in enumerate(outs):
            ref, value = self.refs[place], self.values[place]
            storage = self.program.storages[ref.storage]
            strides = self.lying(value)
            whole = ref.offset == 0 and storage.size == value.spec.size and ref.has_strides(strides)
            if storage.kind != "inner" or not whole:
                ref = self.copied(ref, strides)
                storage = self.program.storages[ref.storage]
            storage.kind, storage.index = "result", k
            results.append(ref)
        self._drop_unread()
        return results

    def _drop_unread(self) -> None:
        """Leave out what makes arrays that nobody reads, such as those that are seen as parts of others alone."""
        read = {storage.number for storage in self.program.storages if storage.kind == "result"}
        kept: list[Statement] = []
        for statement in reversed(self.program.statements):
            if statement.out.storage in read:
                kept.append(statement)
                read.update(ref.storage for ref in statement.reads)
        self.program.statements = kept[::-1]

    # -- values --
    def operand(self, place: int) -> Ref:
        ref = self.refs.get(place)
        if ref is not None:
            return ref
        value = self.values[place]
        spec = value.spec
        key_of(spec.dtype)
        if value.raw is not None:
            if not isinstance(value.raw, (np.ndarray, np.generic, int, float, complex)):
                raise NotHere
            ref = self.program.constant(value.raw, spec.dtype)
        elif value.strides is None:
            ref = Ref(self.program.storage("number", spec.dtype, 1, len(self.numbers)), 0, (), ())
            self.numbers.append(place)
        else:
            size = spec.dtype.itemsize
            if any(s % size for s in value.strides):
                raise NotHere
            number = self.program.storage("array", spec.dtype, spec.size, len(self.arrays))
            self.arrays[place] = ref = Ref(number, 0, tuple([s // size for s in value.strides]), spec.shape)
            ref = self._with_margins(place, ref)
        self.refs[place] = ref
        return ref

    def _with_margins(self, place: int, ref: Ref) -> Ref:
        """A value, or a copy of it that can be looked at as if it were rolled."""
        reach = self.reaches.get(place)
        if reach is None:
            return ref
        dtype = self.program.dtype(ref)
        inside = margins.array(self.program, ref.shape, dtype, self.lying(self.values[place]), reach)
        self.map(COPY, inside, [ref])
        self.program.statements += margins.fillings(self.program, inside, reach)
        return inside

    @staticmethod
    def lying(value: Value) -> tuple[int, ...]:
        """The strides, in entries, of a new array of this kind."""
        spec = value.spec
        strides = tuple([s // spec.dtype.itemsize for s in value.strides or ()])
        if len(strides) == len(spec.shape) and is_dense(spec.shape, strides):
            return strides
        return rows(spec.shape)

    def new(self, step: Step) -> Ref:
        value = self.values[step.outs[0]]
        key_of(value.spec.dtype)
        return self.program.array(value.spec.shape, value.spec.dtype, self.lying(value))

    # -- statements --
    def map(self, scalar: str, out: Ref, ins: Iterable[Ref], takes: Sequence[DType] | None = None) -> Ref:
        """``out`` made entry by entry of ``ins``, which are broadcast, and converted to the dtypes ``takes`` before."""
        dtype = self.program.dtype(out)
        out = out.spread(out.shape)
        ins = tuple([ref.spread(out.shape) for ref in ins])
        found = Apply("", scalar, tuple(takes) if takes is not None else (dtype,) * len(ins), dtype)
        for ref, take in zip(ins, found.takes, strict=True):
            if take.kind == "u" and self.program.dtype(ref).kind == "f":
                raise NotHere  # what becomes of negative numbers differs between compilers
        self.program.statements.append(Map(found, out, ins))
        return out

    def copied(self, ref: Ref, strides: tuple[int, ...] | None = None) -> Ref:
        out = self.program.array(ref.shape, self.program.dtype(ref), strides)
        return self.map(COPY, out, [ref])

    def in_rows(self, ref: Ref) -> Ref:
        """A copy in rows: one for all times if nobody writes into what is copied, as weights are given once."""
        if self.program.storages[ref.storage].kind == "inner":
            return self.copied(ref)
        if ref not in self._in_rows:
            self._in_rows[ref] = self.copied(ref), len(self.program.statements) - 1
        return self._in_rows[ref][0]

    def fold(self, how: str, x: Ref, axes: Sequence[int], dtype: DType) -> Ref:
        """``x`` summed up over ``axes``, which are kept with length 1; or its largest or smallest entries."""
        out = self.program.array(tuple([1 if i in axes else n for i, n in enumerate(x.shape)]), dtype)
        spread = Ref(out.storage, 0, tuple([0 if i in axes else s for i, s in enumerate(out.strides)]), x.shape)
        self.program.statements.append(Fold(how, x.spread(x.shape), spread.spread(x.shape)))
        return out

    def _lowered(self, step: Step, i: int) -> Ref:
        prim = step.prim
        special = LOWERED.get(prim.name)
        if special is not None:
            return special(self, step, i)
        forward = prim.forward
        if isinstance(prim, View) and forward is not None:
            return self.view(step, lambda x: forward(np, x, **step.params))
        if prim.scalar is not None and not step.params:
            return self._elementwise(step)
        raise NotHere

    def _elementwise(self, step: Step) -> Ref:
        values = [self.values[a] for a in step.args]
        spec = self.values[step.outs[0]].spec
        tokens = [type(v.raw) if type(v.raw) in (int, float, bool, complex) else v.spec.dtype for v in values]
        ins = list(map(self.operand, step.args))
        found = operation_on(step.prim, tuple(tokens))
        # A number from outside may be Python's, which takes the dtype of what it meets.
        kinds = [self.program.storages[x.storage].kind for x in ins]
        given = [v.raw is None and kind == "number" for v, kind in zip(values, kinds, strict=True)]
        if any(given):
            weak = [_WEAK.get(t.kind, t) if g else t for t, g in zip(tokens, given, strict=True)]
            known = {found, operation_on(step.prim, tuple(weak))}
            fitting = [a for a in known if a is not None and a.dtype == spec.dtype]
            found = fitting[0] if len(fitting) == 1 else None  # else it can't be told which: of a comparison
        if found is None or found.dtype != spec.dtype:
            raise NotHere
        for g, take, value in zip(given, found.takes, values, strict=True):
            if g and take.kind in "iu" and not np.can_cast(value.spec.dtype, take):
                raise NotHere  # NumPy raises for a whole number of Python's that doesn't fit
        check(found)
        return self.map(found.scalar, self.new(step), ins, found.takes)

    # -- views --
    def view(self, step: Step, function: Callable[[Any], Any]) -> Ref:
        """What ``function``, which doesn't look at entries, makes of the operand."""
        ref = self.operand(step.args[0])
        found = look(ref, function)
        if found is None:
            found = looked(self.copied(ref), function)
        return found

    def put(self, target: Ref, pieces: Iterable[tuple[Any, Ref]]) -> Ref:
        """Write into ``target`` at indices; each piece is ``(index, what)``."""
        for index, ref in pieces:
            place = looked(target, at_index(index))
            if math.prod(place.shape):
                self.map(COPY, place, [ref])
        return target

    def may_overwrite(self, place: int, i: int) -> bool:
        """Whether nobody needs the value any more after the ``i``-th step."""
        ref = self.refs.get(place)
        if ref is None or self.program.storages[ref.storage].kind != "inner":
            return False
        if ref.offset or self.program.storages[ref.storage].size != math.prod(ref.shape):
            return False
        viewers = self.viewers[ref.storage]
        while viewers and viewers[-1] not in self.kept and self.last_use.get(viewers[-1], i) <= i:
            viewers.pop()  # who isn't needed any more will not be needed later
        return not viewers


_WEAK = {"f": float, "c": complex, "i": int}


@functools.cache
def check(apply: Apply) -> None:
    """Raise ``CannotCompile`` for what isn't known in C."""
    step = PlanStep(apply.name, apply.scalar, tuple(range(len(apply.takes))), apply.takes, apply.dtype)
    check_plan(Plan(0, (), (), (step,), ()))
    if any(t.char == "e" for t in (*apply.takes, apply.dtype)):
        raise CannotCompile("float16")


def _unfit(value: Value) -> bool:
    dtype = value.spec.dtype
    return not value.spec.size or dtype.kind not in "fciub" or dtype.char in "egG" or not dtype.isnative


def look(ref: Ref, function: Callable[[Any], Any]) -> Ref | None:
    """What ``function`` makes of a view, if that is a view: found out on an array of bytes that lies likewise."""
    first, last = ends(ref.shape, ref.strides)
    memory = np.empty(last - first + 1, np.int8)
    dummy = np.ndarray(ref.shape, np.int8, memory, -first, ref.strides)
    found = function(dummy)
    if not isinstance(found, np.ndarray):
        return None
    offset = found.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    if not 0 <= offset < memory.size:
        return None
    return Ref(ref.storage, ref.offset + first + offset, found.strides, found.shape)


def looked(ref: Ref, function: Callable[[Any], Any]) -> Ref:
    """The same, where nothing else than a view will do."""
    found = look(ref, function)
    if found is None:
        raise NotHere
    return found


def at_index(index: Any) -> Callable[[Any], Any]:
    """Taking a part: as a view, even where it is a single entry."""
    index = index if type(index) is tuple else (index,)
    return lambda x: x[index if Ellipsis in [i for i in index if i is Ellipsis] else (*index, ...)]

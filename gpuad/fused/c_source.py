"""A plan as a function in C, for the CPU.

The function runs over a part of the grid: all of it, or a stretch of one loop, so that threads can share it. Its
text has three layers: loops over all but the last axis, in them what is the same along a row, and the loop along the
row, which the compiler turns into vector instructions. Where there are folds there is one such loop after each, and
what a later one needs of an earlier one is computed again, or kept in a buffer of one row where that costs more. In
long plans these loops are functions of their own (``c_loops``).

Numbers and lengths are arguments: kernels of programs that differ in them alone have the same text.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from .c_loops import Loops
from .c_order import Order, Segment, of_any, takes_angles
from .c_types import (
    cast,
    check,
    from_sum,
    in_complex,
    least,
    load,
    memory_type,
    sum_type,
    value_type,
)
from .plan import DType, Output, Plan, Step


class Sum(NamedTuple):
    """How the sums of an output are added up, which follows from the loops that they go over.

    ``first``: they go over the loops from this one to the last that the value has, so one pair of variables holds
    the sum and its error until that loop ends. Otherwise ``None``: the sums lie in memory, one per entry of the
    output. ``pairs``: with their errors beside them; columns, which the innermost loop doesn't go over, have none.
    """

    first: int | None
    pairs: bool


def sum_of(output: Output) -> Sum | None:
    """The way of an output, ``None`` for one that isn't summed."""
    loops = output.summed[: len(output.summed) - output.per_row]
    if not any(loops):
        return None
    first = loops.index(True)
    if all(loops[first:]):
        return Sum(first, pairs=True)
    return Sum(None, pairs=loops[-1] or output.per_row)


def prelude() -> str:
    """What stands in front of the functions, once in a source."""
    return '#include "host_math.h"\n#include "host_kernel.h"\n'


def function(plan: Plan, name: str) -> str:
    """The text of two functions in C, to stand behind the ``prelude``::

        int name(const gpuad_slot *call, int64_t split, int64_t first, int64_t last, int64_t chunk)
        void name_sums(const gpuad_slot *call, int64_t split, int64_t chunks)

    The first does the grid, where of the loop ``split`` only the entries from ``first`` to ``last`` - 1 count (all
    where ``split`` is -1); it returns 1 if there is no memory, else 0. If that loop is summed over, the call is the
    ``chunk``-th part of the sum. The second adds the parts up in their order, whoever has computed them, and stores
    the sums that don't go straight into an output.

    ``call`` holds: the length of each loop; of each operand the address and, where the plan leaves them open, the
    strides, in entries; the numbers, complex ones in two slots; of each output the address, its strides where the plan
    leaves them open, and if it is summed the address of zeros of its ``sum_type`` (twice as many where there are
    ``pairs``), for each chunk if its sum goes over the split.
    """
    return _Writer(plan, name).text()


class _Adding(NamedTuple):
    """A sum along the row: what holds that of a block, the dtypes of what is added and of the sum, and the sum and the
    error that it goes into."""

    name: str
    dtype: DType
    result: DType
    total: str
    error: str

    @property
    def in_lanes(self) -> bool:
        """Whether there are many sums beside each other, since an entry has as many digits as the sum."""
        return self.dtype.char in "dD"

    @property
    def parts(self) -> list[str]:
        """What the sum is held by; complex ones by two, for then the compiler makes vectors of them."""
        return [f"{self.name}_re", f"{self.name}_im"] if self.result.kind == "c" else [self.name]

    def of(self, value: str) -> list[str]:
        """The addition of a value."""
        values = [f"real({value})", f"imag({value})"] if self.result.kind == "c" else [value]
        index = "[i - start]" if self.in_lanes else ""
        return [f"{part}{index} += {text};" for part, text in zip(self.parts, values, strict=True)]


class _Writer:
    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.name = plan, name
        self.loops = max(plan.ndim, 1)  # a grid without loops is one point
        self.lines: list[str] = []
        self.depth = 1
        check(plan)
        self.order = Order(plan)
        self.apart = Loops(plan, name)
        self.sums = [sum_of(output) for output in plan.outputs]

    # -- text ---------------------------------------------------------------------------------------
    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def text(self) -> str:
        kept = self.order.kept
        self.lines.append(
            f"int {self.name}(const gpuad_slot *call, int64_t split, int64_t first, int64_t last, int64_t chunk) {{"
        )
        self._read_call()
        for k in range(self.loops):
            if self.plan.row is not None and k == self.loops - 1:  # which is never cut
                self.put(f"const int64_t from{k} = 0, to{k} = length{k};")
                continue
            self.put(f"const int64_t from{k} = split == {k} ? first : 0, to{k} = split == {k} ? last : length{k};")
        for value in kept:
            kind = value_type(self.plan.dtype_of(value))
            self.put(f"{kind} *const row{value} = __builtin_malloc((length{self.loops - 1} + 1) * sizeof({kind}));")
        if kept:
            missing = " || ".join(f"!row{value}" for value in kept)
            self.put("int failed = 1;")
            self.put(f"if ({missing}) goto end;")
        for segments in self.order.segments:
            for a in itertools.chain.from_iterable(map(self._adding, segments)):
                if a.in_lanes:
                    self.put(f"double {' = {0}, '.join(f'{name}[GPUAD_BLOCK]' for name in a.parts)} = {{0}};")
        self._outer_loops(0)
        if kept:
            self.put("failed = 0;")
            self.lines.append("end:")
            for value in kept:
                self.put(f"__builtin_free(row{value});")
        self.put("(void)first, (void)last, (void)chunk;")
        self.put(f"return {'failed' if kept else 0};")
        self.lines.append("}")
        self._write_sums()
        return "\n".join([*self.apart.functions(), *self.lines]) + "\n"

    def _read_call(self) -> None:
        slot = 0
        for k in range(self.plan.ndim):
            known = self.plan.row if k == self.plan.ndim - 1 else None
            self.put(f"const int64_t length{k} = {f'call[{slot}].i' if known is None else known};")
            slot += 1
        if not self.plan.ndim:
            self.put("const int64_t length0 = 1;")
        for v, operand in enumerate(self.plan.operands):
            kind = memory_type(operand.dtype)
            self.put(f"const {kind} *const array{v} = call[{slot}].p;")
            slot += 1
            for k, stride in enumerate(operand.strides):
                if stride is None:
                    self.put(f"const int64_t stride{v}_{k} = call[{slot}].i;")
                    slot += 1
        for v, dtype in enumerate(self.plan.numbers, len(self.plan.operands)):
            if dtype.kind == "c":
                self.put(f"const {value_type(dtype)} v{v} = gpuad_pair_c128(call[{slot}].d, call[{slot + 1}].d);")
                slot += 2
            else:
                field = {"f": "d", "u": "u"}.get(dtype.kind, "i")
                text = f"call[{slot}].{field}"
                self.put(f"const {value_type(dtype)} v{v} = {f'GPUAD_HALF({text})' if dtype.char == 'e' else text};")
                slot += 1
        for k, (output, way) in enumerate(zip(self.plan.outputs, self.sums, strict=True)):
            self.put(f"{memory_type(output.dtype)} *const out{k} = call[{slot}].p;")
            slot += 1
            for i, stride in enumerate(output.strides or ()):
                if stride is None:
                    self.put(f"const int64_t pitch{k}_{i} = call[{slot}].i;")
                    slot += 1
            if way is not None:
                self.put(f"{sum_type(output.dtype)} *const sums{k} = call[{slot}].p;")
                slot += 1

    # -- the loops around a row ---------------------------------------------------------------------
    def _outer_loops(self, k: int) -> None:
        """The loop ``k`` and all in it."""
        ending = [o for o, way in enumerate(self.sums) if way is not None and way.first == k]
        for o in ending:
            kind = sum_type(self.plan.outputs[o].dtype)
            self.put(f"{kind} sum{o} = 0, error{o} = 0;")
        if k < self.loops - 1:
            self.put(f"for (int64_t i{k} = from{k}; i{k} < to{k}; ++i{k}) {{")
            self.depth += 1
            self._outer_loops(k + 1)
            self.depth -= 1
            self.put("}")
        else:
            self._row()
        for o in ending:
            output = self.plan.outputs[o]
            place = self._place(o, k)
            total = from_sum(f"GPUAD_TOTAL(sum{o}, error{o})", output.dtype)
            summed = " || ".join(f"split == {j}" for j, s in enumerate(output.summed) if s)
            self.put(f"if ({summed}) {{")
            self.put(f"    {sum_type(output.dtype)} *const part = sums{o} + 2 * (chunk * {self._size(o)} + {place});")
            self.put(f"    part[0] = sum{o}, part[1] = error{o};")
            self.put(f"}} else out{o}[{place}] = {total};")

    def _kept_loops(self, o: int) -> list[int]:
        """The loops that an output has."""
        output = self.plan.outputs[o]
        return [k for k in range(self.plan.ndim - output.per_row) if not output.summed[k]]

    def _size(self, o: int) -> str:
        return " * ".join(f"length{k}" for k in self._kept_loops(o)) or "1"

    def _place(self, o: int, before: int) -> str:
        """Where the entry of an output lies, or its row, in the loops before the ``before``-th."""
        place = ""
        if self.plan.outputs[o].strides is not None:
            return " + ".join([f"i{k} * {self._pitch(o, k)}" for k in range(before)]) or "0"
        for k in self._kept_loops(o):
            index = f"i{k}" if k < before else "0"
            place = f"({place}) * length{k} + {index}" if place else index
        return place or "0"

    def _pitch(self, o: int, k: int) -> str:
        """How far apart entries of an output are along a loop, where it has strides of its own."""
        stride = (self.plan.outputs[o].strides or ())[k]
        return f"pitch{o}_{k}" if stride is None else str(stride)

    # -- a row --------------------------------------------------------------------------------------
    def _row(self) -> None:
        last = self.loops - 1
        for v, operand in enumerate(self.plan.operands):
            terms = [
                f"i{k} * {f'stride{v}_{k}' if stride is None else stride}"
                for k, stride in enumerate(operand.strides[:-1])
                if stride != 0
            ]
            at = " + ".join([f"array{v}", *terms])
            if self.order.in_row[v]:
                self.put(f"const {memory_type(operand.dtype)} *const at{v} = {at};")
            else:
                # A row without entries may belong to an array without entries.
                there = f"length{last} ? {load(f'*({at})', operand.dtype)} : 0"
                self._define(v, there)
        for o, way in enumerate(self.sums):
            output = self.plan.outputs[o]
            if output.per_row or (way is not None and way.first is not None):
                continue
            kind = memory_type(output.dtype) if way is None else sum_type(output.dtype)
            # Columns and stored entries go along the row, at the end of their index.
            start = self._place(o, last)
            if way is None:
                self.put(f"{kind} *const to_out{o} = out{o} + {start};")
            else:
                part = self._part(o)
                self.put(f"{kind} *const to_sum{o} = sums{o} + {2 if way.pairs else 1} * ({part}{start});")
        for phase in range(self.order.phases):
            self._row_values(phase)
            self._row_loop(phase)

    def _part(self, o: int) -> str:
        """The offset of a chunk's sums, where the sums of an output go over the split loop."""
        summed = " || ".join(f"split == {j}" for j, s in enumerate(self.plan.outputs[o].summed) if s)
        return f"(({summed}) ? chunk * {self._size(o)} : 0) + "

    def _define(self, value: int, text: str) -> None:
        self.put(f"const {value_type(self.plan.dtype_of(value))} v{value} = {text};")

    def _row_values(self, phase: int) -> None:
        """What is one value per row, as soon as it is known; and the outputs that are."""
        for v, step in enumerate(self.plan.steps, self.order.steps_from):
            if self.order.in_row[v] or self.order.phase[v] != phase:
                continue
            self._define(v, of_any(self._expression(step)) if step.fold is None else self._folded(v, step))
        for o, output in enumerate(self.plan.outputs):
            if not output.per_row or self.order.phase[output.value] != phase:
                continue
            value = cast(f"v{output.value}", self.plan.dtype_of(output.value), output.dtype)
            place, way = self._place(o, self.loops - 1), self.sums[o]
            if way is None:
                self.put(f"out{o}[{place}] = {value};")
                continue
            value = f"({sum_type(output.dtype)})v{output.value}"
            if way.first is not None:
                self.put(f"GPUAD_ADD_BLOCK(sum{o}, error{o}, {value});")
            else:
                self.put(f"{sum_type(output.dtype)} *const to_sum{o} = sums{o} + 2 * ({self._part(o)}{place});")
                self.put(f"GPUAD_ADD_BLOCK(to_sum{o}[0], to_sum{o}[1], {value});")

    def _expression(self, step: Step) -> str:
        text = in_complex(step.scalar) if step.takes[-1].kind == "c" else step.scalar
        text = text.format(*self._arguments(step))
        return f"GPUAD_HALF({text})" if step.dtype.char == "e" else text

    def _arguments(self, step: Step) -> list[str]:
        return [cast(f"v{a}", self.plan.dtype_of(a), want) for a, want in zip(step.args, step.takes, strict=True)]

    def _row_loop(self, phase: int) -> None:
        """The loops along the row of a phase, over blocks of it where sums are added up or values handed on."""
        segments = self.order.segments[phase]
        for segment in segments:
            self._begin_folds(segment)
        adding = [self._adding(segment) for segment in segments]
        parts = [v for segment in segments for v in segment.computes if v in self.order.parts]
        angles = [v for segment in segments for v in segment.computes if takes_angles(self.order.step(v))]
        blocks = bool(any(adding) or parts or angles)
        start, stop = f"from{self.loops - 1}", f"to{self.loops - 1}"
        if blocks:
            widest = max((self.plan.dtype_of(v) for v in parts), key=lambda dtype: dtype.itemsize, default=None)
            block = "GPUAD_BLOCK" if widest is None else f"GPUAD_BLOCK_OF({value_type(widest)})"
            self.put(f"for (int64_t start = {start}; start < {stop}; start += {block}) {{")
            self.depth += 1
            self.put(f"const int64_t stop = GPUAD_MIN(start + {block}, {stop});")
            if any(a.in_lanes for sums in adding for a in sums):
                self.put(f"const int64_t lanes = GPUAD_MIN({block}, {stop} - {start});")
                self.put(f"const int full = stop == {stop} || GPUAD_ENDS_BLOCKS(stop - {start}, {block});")
            start, stop = "start", "stop"
            for v in parts:
                self.put(f"{value_type(self.plan.dtype_of(v))} part{v}[{block}];")
        for segment, sums in zip(segments, adding, strict=True):
            self._segment(segment, sums, phase, f"for (int64_t i = {start}; i < {stop}; ++i) {{")
        if blocks:
            self.depth -= 1
            self.put("}")

    def _begin_folds(self, segment: Segment) -> None:
        for v in segment.folds:
            step = self._step(v)
            if step.fold == "add":
                self.put(f"{sum_type(step.takes[0])} sum_{v} = 0, error_{v} = 0;")
                continue
            self.put(f"{value_type(step.takes[0])} most_{v} = {least(step)};")
            if step.takes[0].kind == "f":
                self.put(f"int{8 * max(step.takes[0].itemsize, 4)}_t nan_{v} = 0;")

    def _step(self, value: int) -> Step:
        return self.plan.steps[value - self.order.steps_from]

    def _adding(self, segment: Segment) -> list[_Adding]:
        adding = [
            _Adding(f"block_{v}", self._step(v).takes[0], self._step(v).takes[0], f"sum_{v}", f"error_{v}")
            for v in segment.folds
            if self._step(v).fold == "add"
        ]
        for o in segment.outputs:
            way, output = self.sums[o], self.plan.outputs[o]
            if way is not None and way.pairs:
                there = (f"sum{o}", f"error{o}") if way.first is not None else (f"to_sum{o}[0]", f"to_sum{o}[1]")
                adding.append(_Adding(f"block{o}", self.plan.dtype_of(output.value), output.dtype, *there))
        return adding

    def _segment(self, segment: Segment, adding: list[_Adding], phase: int, loop: str) -> None:
        reductions = []
        for v in segment.folds:
            step = self._step(v)
            if step.fold != "add":
                reductions.append(f"{'max' if step.fold == 'maximum' else 'min'}:most_{v}")
                reductions += [f"|:nan_{v}"] * (step.takes[0].kind == "f")
        for a in adding:
            if not a.in_lanes:
                reductions += [f"+:{name}" for name in a.parts]
                self.put(f"{sum_type(a.result).split()[0]} {' = 0, '.join(a.parts)} = 0;")
        points = self._reads(segment.reads, phase) + self._computes(segment.computes) + self._uses(segment)
        apart = self.order.long and not reductions
        angles = [v for v in segment.computes if takes_angles(self.order.step(v))]
        if angles:
            self.put(f"if ({self._look_for_wide(angles, segment, phase, loop)})")
            self._put_loop(_loop(loop, map(of_any, points)), apart)
            self.put("else")
        pragma = "#pragma omp simd" + "".join(f" reduction({r})" for r in reductions)
        self._put_loop([pragma, *_loop(loop, points)], apart)
        for a in adding:
            parts = [f"gpuad_sum_lanes({name}, lanes)" for name in a.parts] if a.in_lanes else a.parts
            block = f"gpuad_pair_c128({', '.join(parts)})" if len(parts) == 2 else parts[0]
            self.put(f"{'if (full) ' * a.in_lanes}GPUAD_ADD_BLOCK({a.total}, {a.error}, {block});")

    def _put_loop(self, lines: list[str], apart: bool) -> None:
        for line in [f"{self.apart.call(lines)};"] if apart else lines:
            self.put(line)

    def _look_for_wide(self, angles: list[int], segment: Segment, phase: int, loop: str) -> str:
        """See whether one of the angles in a block is too large for the functions that vectors are made of; what holds
        the answer."""
        steps = [self._step(v) for v in angles]
        leading, stack = set(), [a for step in steps for a in step.args]
        while stack:
            v = stack.pop()
            leading.add(v)
            if v in segment.computes:
                stack.extend(self._step(v).args)
        kind = f"int{32 if all(step.takes[0].itemsize <= 4 for step in steps) else 64}_t"
        wide = f"wide{angles[0]}"
        body = self._reads(tuple(v for v in segment.reads if v in leading), phase)
        body += self._computes(tuple(v for v in segment.computes if v in leading), store=False)
        body += [f"{wide} |= has_wide_angle({arg});" for step in steps for arg in self._arguments(step)]
        lines = [f"{kind} {wide} = 0;", f"#pragma omp simd reduction(|:{wide})", *_loop(loop, body)]
        if self.order.long:
            lines = [f"const {kind} {wide} = {self.apart.call([*lines, f'return {wide};'], kind)};"]
        self._put_loop(lines, apart=False)
        return wide

    def _reads(self, values: tuple[int, ...], phase: int) -> list[str]:
        lines = []
        for v in values:
            if v < len(self.plan.operands):
                operand = self.plan.operands[v]
                stride = operand.strides[-1]
                index = "i" if stride == 1 else f"i * {f'stride{v}_{self.loops - 1}' if stride is None else stride}"
                text = load(f"at{v}[{index}]", operand.dtype)
            else:
                text = f"row{v}[i]" if v in self.order.kept else f"part{v}[i - start]"
            lines.append(f"const {value_type(self.plan.dtype_of(v))} v{v} = {text};")
        return lines

    def _computes(self, values: tuple[int, ...], *, store: bool = True) -> list[str]:
        lines = []
        for v in values:
            lines.append(f"const {value_type(self.plan.dtype_of(v))} v{v} = {self._expression(self._step(v))};")
            if store and v in self.order.kept:
                lines.append(f"row{v}[i] = v{v};")
            elif store and v in self.order.parts:
                lines.append(f"part{v}[i - start] = v{v};")
        return lines

    def _uses(self, segment: Segment) -> list[str]:
        """Folds, sums and stores at every point."""
        lines, adding = [], self._adding(segment)
        for v in segment.folds:
            step = self._step(v)
            arg = self._arguments(step)[0]
            if step.fold == "add":
                lines += adding.pop(0).of(arg)
                continue
            lines.append(f"most_{v} = most_{v} {'>' if step.fold == 'maximum' else '<'} {arg} ? most_{v} : {arg};")
            if step.takes[0].kind == "f":
                lines.append(f"nan_{v} |= {arg} != {arg};")
        for o in segment.outputs:
            output, way = self.plan.outputs[o], self.sums[o]
            have = self.plan.dtype_of(output.value)
            if way is None:
                along = "i" if self.plan.ndim else "0"
                if output.strides is not None:
                    along = f"i * {self._pitch(o, self.loops - 1)}"
                lines.append(f"to_out{o}[{along}] = {cast(f'v{output.value}', have, output.dtype)};")
            elif way.pairs:
                lines += adding.pop(0).of(f"v{output.value}")
            else:
                lines.append(f"to_sum{o}[i] += v{output.value};")
        return lines

    def _folded(self, value: int, step: Step) -> str:
        if step.fold == "add":
            return cast(from_sum(f"GPUAD_TOTAL(sum_{value}, error_{value})", step.dtype), step.dtype, step.dtype)
        most = f"most_{value}"
        if step.takes[0].kind == "f":
            most = f"(nan_{value} ? ({value_type(step.takes[0])})NAN : {most})"
        return cast(most, step.takes[0], step.dtype)

    # -- the sums of all chunks -----------------------------------------------------------------------
    def _write_sums(self) -> None:
        self.lines.append(f"void {self.name}_sums(const gpuad_slot *call, int64_t split, int64_t chunks) {{")
        self._read_call()
        for o, way in enumerate(self.sums):
            if way is None:
                continue
            output = self.plan.outputs[o]
            kind = sum_type(output.dtype)
            over_split = " || ".join(f"split == {j}" for j, s in enumerate(output.summed) if s)
            if way.first is not None:  # the others are stored already
                self.put(f"if ({over_split})")
            self.put(f"for (int64_t k = 0, size = {self._size(o)}; k < size; ++k) {{")
            self.put(f"    {kind} sum = 0, error = 0;")
            self.put(f"    for (int64_t chunk = 0; chunk < (({over_split}) ? chunks : 1); ++chunk) {{")
            if way.pairs:
                self.put(f"        const {kind} *const part = sums{o} + 2 * (chunk * size + k);")
                self.put("        GPUAD_ADD_BLOCK(sum, error, part[0]);")
                self.put("        error += part[1];")
            else:
                self.put(f"        GPUAD_ADD_BLOCK(sum, error, sums{o}[chunk * size + k]);")
            self.put("    }")
            self.put(f"    out{o}[k] = {from_sum('GPUAD_TOTAL(sum, error)', output.dtype)};")
            self.put("}")
        self.put("(void)split, (void)chunks;")
        self.lines.append("}")


def _loop(head: str, body: Iterable[str]) -> list[str]:
    return [head, *[f"    {line}" for line in body], "}"]

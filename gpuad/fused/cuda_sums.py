"""The texts of kernels with sums, and of those with folds."""

from __future__ import annotations

from collections.abc import Iterable

from .cuda_parts import sum_dtype
from .cuda_text import Text
from .cuda_types import STORED, converted, type_of, written

FOLDS = {"add": "Add", "maximum": "Maximum", "minimum": "Minimum"}


class Reduce(Text):
    """Outputs are summed over the loops of the mask, over more, or not at all."""

    def more_settings(self) -> list[str]:
        return ["enum { KEPT, SUMMED };", f"constexpr int ALONG = {'SUMMED' if self.part.mask[-1] else 'KEPT'};"]

    def body(self) -> dict[str, list[str]]:
        for name in ("kept", "summed", "kept_entries"):
            self.field(name)
        plan, mask = self.plan, self.part.mask
        kept = tuple(loop for loop in range(plan.ndim) if not mask[loop])
        summed = tuple(loop for loop in range(plan.ndim) if mask[loop])
        operands = range(len(plan.operands))
        fixed = [k for k in operands if not self.varies(k, kept) and not self.varies(k, summed)]
        of_kept = [k for k in operands if self.varies(k, kept) and not self.varies(k, summed)]
        moving = [k for k in operands if k not in fixed and k not in of_kept]
        stored = [k for k, o in enumerate(plan.outputs) if not any(o.summed)]
        sums = [k for k, o in enumerate(plan.outputs) if any(o.summed)]
        regions = {
            "once": self.numbers() + [self.single(k) for k in fixed],
            "sums": [f"{self.sum_type(k)} s{k}[{'1' if mask[-1] else 'WIDTH'}] = {{}};" for k in sums],
            "kept": self.places(kept, "k"),
            "point": self.places(summed, "i"),
            "entry": [self.entry(k) for k in (*of_kept, *moving) if self.varies(k, [self.last])] + self.steps(),
            "stores": [self.save(k) for k in stored],
            "totals": [line for k in sums for line in self.total(k, kept)],
        }
        for k in of_kept:
            regions["kept"] += self.read(k)
        for k in moving:
            regions["point"] += self.read(k)
        regions["point"] += [self.declare(k) for k in stored]
        regions["entry"] += [self.collect(k) for k in stored]
        add = "if (j < count) s{0}[0] = s{0}[0] + {1};" if mask[-1] else "s{0}[j] = s{0}[j] + {1};"
        regions["entry"] += [add.format(k, self.for_summing(k)) for k in sums]
        return regions

    def total(self, k: int, kept: tuple[int, ...]) -> list[str]:
        """Add up the threads' sums, and store them: as the result, or as one of several that are left to be added."""
        kind, output = self.sum_type(k), self.plan.outputs[k]
        along = self.part.mask[-1]
        have = sum_dtype(self.plan.dtype_of(output.value), output.dtype)
        total = f"over_x<Add>(s{k}[0], shared)" if along else f"over_y(s{k}[j], shared)"
        lines = ["#pragma unroll", f"for (int j = 0; j < {'1' if along else 'WIDTH'}; ++j) {{"]
        lines.append(f"const {kind} total = {total};")
        if along:
            lines += ["const Index place = k;", "if (summed_lane == 0 && k < p.kept) {"]
        else:
            # The kept loops are numbered by pieces of the last one.
            lines += ["Index place = 0;", "if (summed_lane == 0 && k < p.kept) {", *self.places(kept, "k")]
            lines += [f"place = j < count ? {self.entry_place(kept)} + j : -1;", "}"]
            lines += ["if (summed_lane == 0 && k < p.kept && place >= 0) {"]
        partial = f"(({kind} *)p.o{k})[(Index)blockIdx.y * p.kept_entries + place] = total;"
        if k in self.part.partial:
            lines.append(partial)
        else:
            result = f"store((({STORED[output.dtype.name]} *)p.o{k})[place], {written('total', have, output.dtype)});"
            lines.append(f"if (gridDim.y > 1) {partial} else {result}")
        return [*lines, "}", "}"]


class Rows(Text):
    """There are folds."""

    def more_settings(self) -> list[str]:
        return [f"constexpr int HELD = {self.variant.held};"] if self.variant.held else []

    def body(self) -> dict[str, list[str]]:
        plan, leading = self.plan, tuple(range(self.last))
        for name in ("kept", "rows"):
            self.field(name)
        self._see_levels()
        summing = any(self.part.mask)
        kept = tuple(loop for loop in leading if summing and not self.part.mask[loop])
        rows = tuple(loop for loop in leading if loop not in kept)
        operands = range(len(plan.operands))
        fixed = [k for k in operands if not self.varies(k, range(plan.ndim))]
        self.of_rows = [k for k in operands if k not in fixed and not self.varies(k, [self.last])]
        self.of_entries = [k for k in operands if self.varies(k, [self.last])]
        self.columns = [k for k, o in enumerate(plan.outputs) if not o.per_row and any(o.summed)]
        # Of sums that are added up in memory: whether this thread has had a row of them.
        remembers = bool(self.columns) and not self.variant.held
        return {
            "once": self.numbers() + [self.single(k) for k in fixed],
            "sums": self.places(kept, "k")
            + [line for k in self.columns for line in self.column_sums(k)]
            + ["bool begun = false;"] * remembers,
            "row": self.places(rows, "r") + self.row() + ["begun = true;"] * remembers,
            "totals": [line for k in self.columns for line in self.column_totals(k)],
        }

    def _see_levels(self) -> None:
        """Which values there are one of per row, and after how many rounds of folds each is known."""
        plan = self.plan
        self.level = [0] * (len(plan.operands) + len(plan.numbers))
        self.per_row = [not self.varies(k, [self.last]) for k in range(len(plan.operands))] + [True] * len(plan.numbers)
        for step in plan.steps:
            self.level.append(max((self.level[a] for a in step.args), default=0) + (step.fold is not None))
            self.per_row.append(step.fold is not None or all(self.per_row[a] for a in step.args))

    def row(self) -> list[str]:
        plan = self.plan
        first = len(plan.operands) + len(plan.numbers)
        lines = [self.single(k) for k in self.of_rows]
        if self.variant.held:
            for k in self.of_entries:
                lines.append(f"Vector<{STORED[plan.operands[k].dtype.name]}, WIDTH> a{k}[HELD];")
            reads = [self.vector(k, f"a{k}[h]") for k in self.of_entries]
            lines += self.along(reads, []) if reads else []
        for level in range(max(self.level, default=0) + 1):
            folds = [k for k, s in enumerate(plan.steps) if s.fold and self.level[first + k] == level]
            if folds:
                lines += self.fold(folds)
            of_row = [k for k, s in enumerate(plan.steps) if not s.fold and self.per_row[first + k]]
            lines += [self.step(k) for k in of_row if self.level[first + k] == level]
        return lines + self.results()

    def along(self, before: list[str], entry: list[str], after: Iterable[str] = ()) -> list[str]:
        """The loop of a thread over its share of a row."""
        at = f"at{self.last}"
        if self.variant.held:
            lines = ["#pragma unroll", "for (int h = 0; h < HELD; ++h) {"]
            lines.append(f"const Index {at} = ((Index)threadIdx.x + h * (Index)blockDim.x) * WIDTH;")
        else:
            start, step = "(Index)threadIdx.x * WIDTH", "(Index)blockDim.x * WIDTH"
            lines = [f"for (Index {at} = {start}; {at} < {self.field(f'length{self.last}')}; {at} += {step}) {{"]
        lines += [self.count(), *before]
        if entry:
            lines += ["#pragma unroll", "for (int j = 0; j < WIDTH; ++j) {", *entry, "}"]
        return [*lines, *after, "}"]

    def entries(self, wanted: Iterable[int]) -> tuple[list[str], list[str]]:
        """What the values ``wanted`` need: what is read before the loop over WIDTH entries, and the steps in it."""
        plan = self.plan
        first = len(plan.operands) + len(plan.numbers)
        needed = {v for v in wanted if not self.per_row[v]}
        for v in range(len(self.level) - 1, first - 1, -1):
            if v in needed:
                needed.update(a for a in plan.steps[v - first].args if not self.per_row[a])
        reads, steps = [], []
        for v in sorted(needed):
            if v < first:
                reads += [] if self.variant.held else [self.vector(v)]
                steps.append(self.entry(v, "[h]" if self.variant.held else ""))
            else:
                steps.append(self.step(v - first))
        return reads, steps

    def fold(self, folds: list[int]) -> list[str]:
        """Folds that need no others of these: one pass over the row."""
        plan = self.plan
        first = len(plan.operands) + len(plan.numbers)
        reads, steps = self.entries(a for k in folds for a in plan.steps[k].args)
        lines, results = [], []
        for k in folds:
            step = plan.steps[k]
            (taken,), name = self.taken(step), f"f{first + k}"
            if step.fold == "add":
                wide = sum_dtype(step.takes[0], step.dtype)
                kind, start, value = type_of(wide), "{}", f"cast<{type_of(wide)}>({taken})"
                steps.append(f"if (j < count) {name} = {name} + {value};")
            else:
                wide, kind, value = step.takes[0], type_of(step.takes[0]), taken
                start = f"Extreme<{kind}>::{'smallest' if step.fold == 'maximum' else 'largest'}()"
                steps.append(f"if (j < count) {name} = {step.fold}({name}, {value});")
            lines.append(f"{kind} {name} = {start};")
            total = f"over_x<{FOLDS[step.fold or '']}>({name}, shared)"
            results.append(f"const {type_of(step.dtype)} v{first + k} = {converted(total, wide, step.dtype)};")
        return lines + self.along(reads, steps) + results

    def results(self) -> list[str]:
        outputs = self.plan.outputs
        of_rows = [k for k, o in enumerate(outputs) if o.per_row]
        stored = [k for k, o in enumerate(outputs) if not o.per_row and not any(o.summed)]
        reads, steps = self.entries(outputs[k].value for k in (*stored, *self.columns))
        lines: list[str] = []
        if stored or self.columns:
            reads += [self.declare(k) for k in stored]
            steps += [self.collect(k) for k in stored] + [self.add_to_column(k) for k in self.columns]
            lines += self.along(reads, steps, [f"if (there) {self.save(k)}" for k in stored])
        place = self.entry_place(range(self.last))
        for k in of_rows:
            if any(outputs[k].summed):
                store = f"(({self.sum_type(k)} *)p.o{k})[{place}] = {self.for_summing(k)};"
            else:
                kind = STORED[outputs[k].dtype.name]
                store = f"store((({kind} *)p.o{k})[{place}], {self.for_storing(outputs[k])});"
            lines.append(f"if (there && threadIdx.x == 0) {store}")
        return lines

    # -- sums over rows, entry by entry
    def column_sums(self, k: int) -> list[str]:
        kind, length = self.sum_type(k), self.field(f"length{self.last}")
        mine = "((Index)blockIdx.x * blockDim.y + threadIdx.y) * p.kept + k"
        lines = [f"{kind} *const t{k} = ({kind} *)p.o{k} + ({mine}) * {length};"]
        return [*lines, f"{kind} s{k}[HELD * WIDTH] = {{}};"] if self.variant.held else lines

    def add_to_column(self, k: int) -> str:
        kind = self.sum_type(k)
        if self.variant.held:
            return f"if (there) s{k}[h * WIDTH + j] = s{k}[h * WIDTH + j] + {self.for_summing(k)};"
        place = f"t{k}[at{self.last} + j]"
        value = f"(begun ? {place} : {kind}{{}}) + (there ? {self.for_summing(k)} : {kind}{{}})"
        return f"if (j < count) {place} = {value};"

    def column_totals(self, k: int) -> list[str]:
        if not self.variant.held:
            none = self.along([], [f"if (j < count) t{k}[at{self.last} + j] = {self.sum_type(k)}{{}};"])
            return ["if (!begun) {", *none, "}"]
        return self.along([], [f"if (j < count) t{k}[at{self.last} + j] = s{k}[h * WIDTH + j];"])

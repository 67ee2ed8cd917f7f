"""A nest of loops as a function in C, ``static void nest(char **p)``; ``p`` are the addresses that it works on.

Lengths and strides are numbers in the text. Axes that can be gone through as one are one loop; the innermost loop
becomes vector instructions. Sums are added up in blocks, see kernels/host_kernel.h.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..fused.c_order import of_any, takes_angles
from ..fused.c_types import cast, from_sum, in_complex, least_of, load, memory_type, sum_type, value_type
from .nests import Nest
from .program import DType, Fold, Map, Program, Ref

#: Longer loops that sum up do so in blocks of this many entries.
BLOCK = 512


class Text(NamedTuple):
    """A function's body, and the places in memory that it is given."""

    body: str
    places: tuple[tuple[int, int], ...]  # storages and offsets in them, in entries


def text_of(nest: Nest, program: Program, variables: set[int]) -> Text:
    """The function of a nest; storages in ``variables`` are known in its loops alone."""
    return _Writer(nest, program, variables).text()


class _Writer:
    def __init__(self, nest: Nest, program: Program, variables: set[int]) -> None:
        self.nest, self.program, self.variables = nest, program, variables
        self.places: dict[tuple[int, int], int] = {}
        self.written = {s.out.storage for s in nest.statements}
        self.folds = [s for s in nest.statements if isinstance(s, Fold)]
        self._choose_loops()

    # -- loops --
    def _refs(self) -> list[Ref]:
        """What is accessed in memory; outputs first."""
        refs: list[Ref] = []
        for s in self.nest.statements:
            refs += [s.out, *s.reads]
        outs = [s.out for s in self.nest.statements if isinstance(s, Map)]
        return [ref for ref in dict.fromkeys([*outs, *refs]) if ref.storage not in self.variables]

    def _choose_loops(self) -> None:
        """The lengths of the loops, outermost first, and the strides of every view along them."""
        refs = self._refs()
        axes = [k for k, n in enumerate(self.nest.shape) if n != 1]
        first = next((ref for ref in refs if any(ref.strides)), None)
        if first is not None:  # as its entries lie in memory
            axes.sort(key=lambda k: -abs(first.strides[k]))
        loops: list[list[int]] = []
        for k in axes:
            if loops and all(
                ref.strides[loops[-1][-1]] == ref.strides[k] * self.nest.shape[k]
                for ref in [*refs, *[f.out for f in self.folds]]
            ):
                loops[-1].append(k)
            else:
                loops.append([k])
        self.lengths = []
        for group in loops:
            n = 1
            for k in group:
                n *= self.nest.shape[k]
            self.lengths.append(n)
        self.inner = [group[-1] for group in loops]

    def strides(self, ref: Ref) -> list[int]:
        return [ref.strides[k] for k in self.inner]

    # -- memory --
    def _pointer(self, ref: Ref) -> str:
        key = ref.storage, ref.offset
        return f"p{self.places.setdefault(key, len(self.places))}"

    def _index(self, ref: Ref, upto: int | None = None) -> str:
        terms = []
        for k, stride in enumerate(self.strides(ref)[:upto]):
            if stride:
                terms.append(f"i{k}" if stride == 1 else f"i{k} * {stride}")
        return " + ".join(terms) or "0"

    def _entry(self, ref: Ref) -> str:
        return f"{self._pointer(ref)}[{self._index(ref)}]"

    # -- text --
    def text(self) -> Text:
        angles = any(isinstance(s, Map) and takes_angles(s.apply) for s in self.nest.statements)
        lines = self._loops(examine=angles)
        if angles:
            lines = [
                "int64_t wide = 0;",
                *lines,
                "if (wide) {",
                *_indented(map(of_any, self._loops(examine=False))),
                "}",
            ]
        head = []
        for (storage, _), k in self.places.items():
            const = "" if storage in self.written else "const "
            kind = memory_type(self.program.storages[storage].dtype)
            head.append(f"{const}{kind} *const restrict p{k} = (void *)p[{k}];")
        places = tuple(self.places)
        return Text("\n".join(_indented([*head, *lines])), places)

    def _loops(self, *, examine: bool) -> list[str]:
        """All loops; ``examine``: and whether angles were too wide for them."""
        lines = []
        for fold in self.folds:
            lines += self._cleared(fold)
        return lines + self._loop(0, examine)

    def _depth(self, fold: Fold) -> int:
        """How many loops are around the one variable that holds the sum."""
        strides = self.strides(fold.out)
        return max((k + 1 for k, s in enumerate(strides) if s), default=0)

    def _adds_in_memory(self, fold: Fold) -> bool:
        """Whether an entry of the result is come back to."""
        return any(s == 0 for s in self.strides(fold.out)[: self._depth(fold)])

    def _cleared(self, fold: Fold) -> list[str]:
        if not self._adds_in_memory(fold):
            return []
        kept = [(k, s) for k, s in enumerate(self.strides(fold.out)) if s]
        lines = [f"for (int64_t i{k} = 0; i{k} < {self.lengths[k]}; ++i{k})" for k, _ in kept]
        dtype = self.program.dtype(fold.out)
        return [*lines, f"    {self._entry(fold.out)} = {_start(fold.how, dtype)};"]

    def _loop(self, k: int, examine: bool) -> list[str]:
        """The loops from the ``k``-th on."""
        begun = [j for j, f in enumerate(self.folds) if self._depth(f) == k and k < len(self.lengths)]
        lines = [line for j in begun for line in self._begin(j)]
        if k == len(self.lengths):
            return self._point(examine)
        last = k == len(self.lengths) - 1
        n = self.lengths[k]
        if last:
            inside = [j for j, f in enumerate(self.folds) if self._depth(f) <= k]
            blocks = n > BLOCK and any(self.folds[j].how == "add" for j in inside)
            body = self._point(examine)
            clauses = [self._clause(j) for j in inside] + (["|:wide"] if examine else [])
            pragma = "#pragma omp simd" + "".join(f" reduction({c})" for c in clauses)
            start, stop = ("at", f"GPUAD_MIN(at + {BLOCK}, {n})") if blocks else ("0", str(n))
            parts = [line for j in inside for line in self._part(j)]
            loop = [pragma, f"for (int64_t i{k} = {start}; i{k} < {stop}; ++i{k}) {{", *_indented(body), "}"]
            loop = [*parts, *loop, *[line for j in inside for line in self._add_part(j)]]
            if blocks:
                loop = [f"for (int64_t at = 0; at < {n}; at += {BLOCK}) {{", *_indented(loop), "}"]
            lines += loop if not inside or blocks else ["{", *_indented(loop), "}"]
        else:
            lines += [f"for (int64_t i{k} = 0; i{k} < {n}; ++i{k}) {{", *_indented(self._loop(k + 1, examine)), "}"]
        return lines + [line for j in begun for line in self._end(j)]

    # -- sums --
    def _begin(self, j: int) -> list[str]:
        fold = self.folds[j]
        have = self.program.dtype(fold.x)
        if fold.how == "add":
            return [f"{_sum(fold, self.program)} sum{j} = 0, error{j} = 0;"]
        nan = [f"int{8 * have.itemsize}_t nan{j} = 0;"] if have.kind == "f" else []
        return [f"{value_type(have)} sum{j} = {_start(fold.how, have)};", *nan]

    def _part(self, j: int) -> list[str]:
        fold = self.folds[j]
        if fold.how != "add":
            return []
        kind = _sum(fold, self.program)
        if "_Complex" in kind:
            return [f"double part{j}_re = 0, part{j}_im = 0;"]
        return [f"{kind} part{j} = 0;"]

    def _clause(self, j: int) -> str:
        fold = self.folds[j]
        if fold.how == "add":
            return f"+:part{j}_re,part{j}_im" if "_Complex" in _sum(fold, self.program) else f"+:part{j}"
        nan = f") reduction(|:nan{j}" if self.program.dtype(fold.x).kind == "f" else ""
        return f"{'max' if fold.how == 'maximum' else 'min'}:sum{j}{nan}"

    def _add_part(self, j: int) -> list[str]:
        fold = self.folds[j]
        if fold.how != "add":
            return []
        part = f"gpuad_pair_c128(part{j}_re, part{j}_im)" if "_Complex" in _sum(fold, self.program) else f"part{j}"
        return [f"GPUAD_ADD_BLOCK(sum{j}, error{j}, {part});"]

    def _end(self, j: int) -> list[str]:
        fold = self.folds[j]
        have, want = self.program.dtype(fold.x), self.program.dtype(fold.out)
        there = self._entry(fold.out)
        if fold.how == "add":
            total = from_sum(f"GPUAD_TOTAL(sum{j}, error{j})", want)
            return [f"{there} += {total};" if self._adds_in_memory(fold) else f"{there} = {total};"]
        most = f"(nan{j} ? ({value_type(have)})NAN : sum{j})" if have.kind == "f" else f"sum{j}"
        if self._adds_in_memory(fold):
            return _take_most(fold.how, there, cast(most, have, want), want)
        return [f"{there} = {cast(most, have, want)};"]

    # -- a point --
    def _point(self, examine: bool) -> list[str]:
        """What is done at every index."""
        lines: list[str] = []
        names: dict[Ref, str] = {}
        fold_number = 0
        last = {s.out: k for k, s in enumerate(self.nest.statements) if isinstance(s, Map)}

        def value(ref: Ref) -> str:
            if ref not in names:
                names[ref] = f"v{len(names)}"
                dtype = self.program.dtype(ref)
                lines.append(f"const {value_type(dtype)} {names[ref]} = {load(self._entry(ref), dtype)};")
            return names[ref]

        for k, s in enumerate(self.nest.statements):
            if isinstance(s, Map):
                takes, dtype = s.apply.takes, s.apply.dtype
                values = [
                    cast(value(ref), self.program.dtype(ref), want) for ref, want in zip(s.ins, takes, strict=True)
                ]
                scalar = in_complex(s.apply.scalar) if takes[-1].kind == "c" else s.apply.scalar
                if examine and takes_angles(s.apply):
                    lines += [f"wide |= has_wide_angle({v});" for v in values]
                text = scalar.format(*values)
                if scalar == "{0}":
                    text = cast(values[0], takes[0], dtype)
                name = f"w{k}"
                lines.append(f"const {value_type(dtype)} {name} = {text};")
                names[s.out] = name
                if s.out.storage not in self.variables and last[s.out] == k:
                    lines.append(f"{self._entry(s.out)} = {name};")
                continue
            assert isinstance(s, Fold)
            lines += self._folded(fold_number, s, value(s.x))
            fold_number += 1
        return lines

    def _folded(self, j: int, fold: Fold, x: str) -> list[str]:
        have, want = self.program.dtype(fold.x), self.program.dtype(fold.out)
        if self._depth(fold) == len(self.lengths):  # into memory, here
            there = self._entry(fold.out)
            if not self._adds_in_memory(fold):  # nothing to sum up
                return [f"{there} = {cast(x, have, want)};"]
            if fold.how == "add":
                return [f"{there} += {cast(x, have, want)};"]
            return _take_most(fold.how, there, x, want)
        if fold.how == "add":
            kind = _sum(fold, self.program)
            if "_Complex" in kind:
                return [f"part{j}_re += real({x});", f"part{j}_im += imag({x});"]
            return [f"part{j} += {x};"]
        sign = ">" if fold.how == "maximum" else "<"
        lines = [f"sum{j} = sum{j} {sign} {x} ? sum{j} : {x};"]
        return [*lines, f"nan{j} |= {x} != {x};"] if have.kind == "f" else lines


def _take_most(how: str, there: str, x: str, dtype: DType) -> list[str]:
    """NaN wins."""
    sign = ">" if how == "maximum" else "<"
    nan = f" || {there} != {there}" if dtype.kind == "f" else ""
    return [f"{there} = {there} {sign} {x}{nan} ? {there} : {x};"]


def _start(how: str, dtype: DType) -> str:
    return "0" if how == "add" else least_of(dtype, how == "maximum")


def _sum(fold: Fold, program: Program) -> str:
    """The type of what sums it up."""
    return sum_type(program.dtype(fold.out))


def _indented(lines: Iterable[str]) -> list[str]:
    return [line if line.startswith("#") else f"    {line}" for line in lines]

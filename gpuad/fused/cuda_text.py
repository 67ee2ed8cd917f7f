"""What the texts of all kernels have in common, and those where every output is stored.

Values are called ``v0``, ``v1``, ... as the plan numbers them; arrays ``a0``, ..., outputs ``o0``, ... and places along
the loops ``at0``, ...
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .cuda_parts import Part, sum_dtype
from .cuda_types import HALVES, STORED, converted, number_field, number_value, type_of, written
from .plan import Output, Step


class Variant(NamedTuple):
    """What a kernel is made for beside its plan: how many entries a thread takes at a time, whether places in arrays
    need 64 bits, and, where there are folds, how many times that a thread has of a row (0: any)."""

    width: int
    long: bool
    held: int = 0


class Text:
    """What all forms have in common."""

    def __init__(self, part: Part, variant: Variant) -> None:
        self.part, self.plan, self.variant = part, part.plan, variant
        self.last = self.plan.ndim - 1
        #: The fields of the parameter that the text has asked for.
        self.fields: list[str] = []

    def field(self, name: str) -> str:
        if name not in self.fields:
            self.fields.append(name)
        return f"p.{name}"

    def regions(self) -> dict[str, list[str]]:
        regions = self.body()
        index, count = ("long long", "unsigned long long") if self.variant.long else ("int", "unsigned")
        settings = [
            f"typedef {index} Index;",
            f"typedef {count} Count;",
            f"constexpr int WIDTH = {self.variant.width};",
        ]
        regions["settings"] = settings + self.more_settings()
        regions["arguments"] = self.arguments()  # when all fields have been asked for
        return regions

    def body(self) -> dict[str, list[str]]:
        raise NotImplementedError

    def more_settings(self) -> list[str]:
        return []

    def arguments(self) -> list[str]:
        plan = self.plan
        lines = [f"const {STORED[o.dtype.name]} *a{k};" for k, o in enumerate(plan.operands)]
        lines += [f"void *o{k};" for k in range(len(plan.outputs))]
        lines += [number_field(f"n{k}", d) for k, d in enumerate(plan.numbers)]
        return lines + [f"{'Divider<Count>' if f.startswith('by') else 'Index'} {f};" for f in self.fields]

    def numbers(self) -> list[str]:
        first = len(self.plan.operands)
        numbers = enumerate(self.plan.numbers)
        return [f"const {type_of(d)} v{first + k} = {number_value(f'p.n{k}', d)};" for k, d in numbers]

    # -- places
    def places(self, loops: tuple[int, ...], index: str) -> list[str]:
        """Where in each of ``loops`` the point with the number ``index`` is; of the last loop, WIDTH entries."""
        lines, rest = [], index
        for loop in reversed(loops):
            if loop != loops[0]:
                divider = self.field(f"by{loop}")
                lines.append(f"const Index rest{loop} = quotient((Count){rest}, {divider});")
                at, rest = f"{rest} - rest{loop} * (Index){divider}.divisor", f"rest{loop}"
            else:
                at = rest
            lines.append(f"const Index at{loop} = {f'({at}) * WIDTH' if loop == self.last else at};")
            if loop == self.last:
                lines.append(self.count())
        return lines

    def count(self) -> str:
        left = f"{self.field(f'length{self.last}')} - at{self.last}"
        return f"const int count = {left} < WIDTH ? (int)({left}) : WIDTH;"

    def place(self, operand: int) -> str:
        """Where the entries of an operand start."""
        terms = [f"p.a{operand}"]
        for loop, stride in enumerate(self.plan.operands[operand].strides):
            if stride == 1:
                terms.append(f"at{loop}")
            elif stride is None:
                terms.append(f"at{loop} * {self.field(f'a{operand}_s{loop}')}")
        return " + ".join(terms)

    def entry_place(self, loops: Iterable[int]) -> str:
        """The place of a point in a C-contiguous array over ``loops``."""
        place = ""
        for loop in loops:
            place = f"({place}) * {self.field(f'length{loop}')} + at{loop}" if place else f"at{loop}"
        return place or "0"

    # -- operands
    def varies(self, operand: int, loops: Iterable[int]) -> bool:
        return any(self.plan.operands[operand].strides[loop] != 0 for loop in loops)

    def single(self, operand: int) -> str:
        dtype = self.plan.operands[operand].dtype
        return f"const {type_of(dtype)} v{operand} = value_of(*({self.place(operand)}));"

    def vector(self, operand: int, name: str | None = None) -> str:
        """Read WIDTH entries, into a new variable or into ``name``."""
        dtype, strides = self.plan.operands[operand].dtype, self.plan.operands[operand].strides
        if strides[-1] == 1:
            value = f"load<WIDTH>({self.place(operand)}, count)"
        else:
            value = f"gather<WIDTH>({self.place(operand)}, {self.field(f'a{operand}_s{self.last}')}, count)"
        return f"{name or f'const Vector<{STORED[dtype.name]}, WIDTH> a{operand}'} = {value};"

    def read(self, operand: int) -> list[str]:
        return [self.vector(operand) if self.varies(operand, [self.last]) else self.single(operand)]

    def entry(self, operand: int, held: str = "") -> str:
        """An entry of what ``vector`` has read."""
        return f"const {type_of(self.plan.operands[operand].dtype)} v{operand} = value_of(a{operand}{held}.v[j]);"

    # -- steps
    def step(self, number: int) -> str:
        """The result of a step as a value."""
        step = self.plan.steps[number]
        value = len(self.plan.operands) + len(self.plan.numbers) + number
        kind = type_of(step.dtype)
        computed = step.scalar.format(*self.taken(step))
        if step.dtype.name in HALVES:
            return f"const {kind} v{value} = rounded<{step.dtype.name}>(cast<float>({computed}));"
        return f"const {kind} v{value} = cast<{kind}>({computed});"

    def taken(self, step: Step) -> list[str]:
        given = zip(step.args, step.takes, strict=True)
        return [converted(f"v{a}", self.plan.dtype_of(a), dtype) for a, dtype in given]

    def steps(self) -> list[str]:
        return [self.step(k) for k in range(len(self.plan.steps))]

    # -- outputs
    def declare(self, k: int) -> str:
        return f"Vector<{STORED[self.plan.outputs[k].dtype.name]}, WIDTH> o{k};"

    def collect(self, k: int) -> str:
        return f"store(o{k}.v[j], {self.for_storing(self.plan.outputs[k])});"

    def for_storing(self, output: Output) -> str:
        return written(f"v{output.value}", self.plan.dtype_of(output.value), output.dtype)

    def save(self, k: int) -> str:
        kind = STORED[self.plan.outputs[k].dtype.name]
        return f"save<WIDTH>(({kind} *)p.o{k} + {self.entry_place(range(self.plan.ndim))}, o{k}, count);"

    def sum_type(self, k: int) -> str:
        output = self.plan.outputs[k]
        return type_of(sum_dtype(self.plan.dtype_of(output.value), output.dtype))

    def for_summing(self, k: int) -> str:
        return f"cast<{self.sum_type(k)}>(v{self.plan.outputs[k].value})"


class Elementwise(Text):
    """Every output is stored."""

    def body(self) -> dict[str, list[str]]:
        self.field("points")
        loops = tuple(range(self.plan.ndim))
        operands, outputs = range(len(self.plan.operands)), range(len(self.plan.outputs))
        fixed = [k for k in operands if not self.varies(k, loops)]
        moving = [k for k in operands if k not in fixed]
        point = self.places(loops, "i")
        for k in moving:
            point += self.read(k)
        return {
            "once": self.numbers() + [self.single(k) for k in fixed],
            "point": point + [self.declare(k) for k in outputs],
            "entry": [self.entry(k) for k in moving if self.varies(k, [self.last])]
            + self.steps()
            + [self.collect(k) for k in outputs],
            "stores": [self.save(k) for k in outputs],
        }

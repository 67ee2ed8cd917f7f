"""A plan as a Python function of NumPy calls on one block after another, each into memory that is there already.

Every value has an *extent*: the loops along which it varies. In an array of a block the other loops have length 1:
what is the same along a loop is computed once, and written out where it meets what varies along all of them. Values
that vary along no loop are computed before the first block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np

from .block_functions import EXPANSIONS
from .plan import DType, Output, Plan, Step

Extent = tuple[bool, ...]
Namespace = Callable[[str], Callable[..., Any]]


class Register(NamedTuple):
    """Scratch memory for a block of values of that extent, as entries of dtypes of one size."""

    extent: Extent
    dtypes: list[DType]


class Code(NamedTuple):
    """The function, its text, the scratch memory that it wants, and in what it adds up each output, if it does.

    It is called as ``function(blocks, operands, numbers, outputs)``. Each block is the slices of the loops, their
    lengths, and the registers, once for every dtype. An output that is summed over all its loops is a list, to which
    the sums of the blocks are appended; in others that are summed, zeros at first, they are added up.
    """

    function: Callable[..., None]
    text: str
    registers: list[Register]
    sums: list[DType | None]


def generate(plan: Plan, namespace: Namespace) -> Code:
    """The code of a plan, with the functions that ``namespace`` gives for the names of its steps."""
    return _Writer(plan, namespace).code()


def sum_dtype(dtype: DType) -> DType:
    """In what entries are added up: in more digits than float16 and float32 have."""
    if dtype.kind in "fc":
        return np.promote_types(dtype, np.complex128 if dtype.kind == "c" else np.float64)
    return np.dtype(np.uint64 if dtype.kind == "u" else np.int64)


class _Value:
    """What is computed, or given. ``text``: where it is, known at first of what is given or goes into an output."""

    def __init__(self, dtype: DType, extent: Extent, text: str = "", early: bool = False) -> None:
        self.dtype, self.extent, self.text = dtype, extent, text
        self.early = early  # there before the first block
        self.register = self.last_use = -1


class _Line(NamedTuple):
    """A call. The text names its arguments by ``{0}``, ``{1}``, and what it writes by ``{out}``."""

    text: str
    target: _Value | None
    args: tuple[_Value, ...]
    in_place: bool  # whether it may write into an argument that is of the same size


#: Integers of as many bytes.
_BITS = {n: np.dtype(f"i{n}") for n in (1, 2, 4, 8)}


class _Writer:
    def __init__(self, plan: Plan, namespace: Namespace) -> None:
        self.plan, self.namespace = plan, namespace
        self.bound: dict[str, Any] = {"copyto": np.copyto, "add": np.add, "empty": np.empty, "run": None}
        self.lines: list[_Line] = []
        self.made: dict[Any, _Value] = {}  # casts, masks and copies, each made once
        self.registers: list[Register] = []
        self.values: list[_Value] = []
        for k, operand in enumerate(plan.operands):
            extent = tuple([stride != 0 for stride in operand.strides])
            self.values.append(_Value(operand.dtype, extent, f"a{k}", not any(extent)))
        for k, dtype in enumerate(plan.numbers):
            self.values.append(_Value(dtype, (False,) * plan.ndim, f"n{k}", early=True))

    def code(self) -> Code:
        given = len(self.values)
        needed = self._needed()
        self._gather(needed)
        for v in range(given):
            self._store(v)
        for v, step in enumerate(self.plan.steps, given):
            self.values.append(self._step(step) if v in needed else _Value(step.dtype, ()))
            self._store(v)
        self._place()
        text = "\n".join(self._text()) + "\n"
        exec(compile(text, "<gpuad blocks>", "exec"), self.bound)
        sums = [sum_dtype(self.values[o.value].dtype) if any(o.summed) else None for o in self.plan.outputs]
        return Code(self.bound["run"], text, self.registers, sums)

    def _needed(self) -> set[int]:
        """The values that outputs come from."""
        needed = {output.value for output in self.plan.outputs}
        for v in reversed(range(len(self.plan.steps))):
            if len(self.values) + v in needed:
                needed.update(self.plan.steps[v].args)
        return needed

    # -- calls --------------------------------------------------------------------------------------
    def call(
        self, text: str, dtype: DType, *args: _Value, extent: Extent | None = None, in_place: bool = False
    ) -> _Value:
        """What a call writes that takes ``args``."""
        early = extent is None and all(a.early for a in args)
        if extent is None:
            extent = tuple(map(any, zip(*(a.extent for a in args), strict=True)))
        target = _Value(dtype, extent, early=early)
        self.lines.append(_Line(text, target, args, in_place))
        return target

    def ufunc(self, name: str, function: np.ufunc, *args: _Value) -> _Value:
        """What a ufunc gives for arguments of these dtypes."""
        dtype = function.resolve_dtypes((*(a.dtype for a in args), None))[-1]
        places = ", ".join(f"{{{k}}}" for k in range(len(args)))
        return self.call(f"{self._bind(name, function)}({places}, out={{out}})", dtype, *args, in_place=True)

    def do(self, name: str, *args: Any) -> _Value:
        """The same for one of NumPy's, numbers among the arguments taking the dtype of the others."""
        like = next(a for a in args if isinstance(a, _Value))
        return self.ufunc(name, getattr(np, name), *[a if a is like else self._constant(a, like) for a in args])

    def _constant(self, a: Any, like: _Value) -> _Value:
        if isinstance(a, _Value):
            return a
        text = self._bind(f"c{len(self.bound)}", np.array(a, like.dtype))
        return self._once(
            ("constant", a, like.dtype), lambda: _Value(like.dtype, (False,) * self.plan.ndim, text, True)
        )

    def _bind(self, name: str, what: Any) -> str:
        """The name by which the text knows something."""
        name = plain = re.sub(r"\W", "_", name)
        while self.bound.setdefault(name, what) is not what:
            name = f"{plain}_{len(self.bound)}"
        return name

    def _once(self, key: Any, make: Callable[[], _Value]) -> _Value:
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    # -- the steps ----------------------------------------------------------------------------------
    def _gather(self, needed: set[int]) -> None:
        """Copy operands that are read more than once and whose entries don't lie side by side."""
        users = [set(step.args) for v, step in enumerate(self.plan.steps, len(self.values)) if v in needed]
        for k, operand in enumerate(self.plan.operands):
            if operand.strides and operand.strides[-1] is None and sum(k in args for args in users) > 1:
                self.values[k] = self.call("copyto({out}, {0})", operand.dtype, self.values[k])

    def _step(self, step: Step) -> _Value:
        args = [self._cast(self.values[a], dtype) for a, dtype in zip(step.args, step.takes, strict=True)]
        if step.fold is not None:
            return self._fold(step, args[0])
        if step.scalar == "{0}":
            return self._cast(args[0], step.dtype)
        if any(all(a.extent) for a in args):
            args = [self._whole(a) if any(a.extent) else a for a in args]
        expansion = EXPANSIONS.get((step.name, step.dtype))
        if expansion is not None and args[0].dtype == step.dtype:
            return cast(_Value, expansion(self.do, *args))
        if step.name == "where":
            return self._cast(self._where(*args), step.dtype)
        function = self.namespace(step.name)
        if isinstance(function, np.ufunc):
            return self._cast(self.ufunc(step.name, function, *args), step.dtype)
        places = ", ".join(f"{{{k}}}" for k in range(len(args)))
        return self.call(f"copyto({{out}}, {self._bind(step.name, function)}({places}), 'unsafe')", step.dtype, *args)

    def _cast(self, value: _Value, dtype: DType) -> _Value:
        if value.dtype == dtype:
            return value
        part = ".real" if value.dtype.kind == "c" and dtype.kind not in "cb" else ""
        text = f"copyto({{out}}, {{0}}{part}, 'unsafe')"
        return self._once(("cast", value, dtype), lambda: self.call(text, dtype, value))

    def _whole(self, value: _Value) -> _Value:
        """The value written out along all loops, which takes less time than to broadcast it even once."""
        if all(value.extent):
            return value
        extent = (True,) * self.plan.ndim
        return self._once(("whole", value), lambda: self.call("copyto({out}, {0})", value.dtype, value, extent=extent))

    def _where(self, c: _Value, x: _Value, y: _Value) -> _Value:
        """By the bits of what is chosen from: NumPy's ``where`` branches, and pays 10 ns for a wrong guess."""
        bits = _BITS.get(x.dtype.itemsize)
        if bits is None or c.dtype != bool or x.dtype != y.dtype:
            return self.call("copyto({out}, {2}); copyto({out}, {1}, where={0})", x.dtype, c, x, y)
        b = self._dtype(bits)
        ones = f"copyto({{out}}, {{0}}.view({self._dtype(_BITS[1])}))"
        mask = self._once(("mask", c, bits), lambda: self.do("negative", self.call(ones, bits, c)))  # all bits, or none
        self._bind("bitwise_xor", np.bitwise_xor)
        differing = self.call(f"bitwise_xor({{0}}.view({b}), {{1}}.view({b}), out={{out}})", bits, x, y, in_place=True)
        chosen = self.do("bitwise_and", differing, mask)
        text = f"bitwise_xor({{0}}, {{1}}.view({b}), out={{out}}.view({b}))"
        return self.call(text, x.dtype, chosen, y, in_place=True)

    def _fold(self, step: Step, value: _Value) -> _Value:
        row = "{0}" if value.extent[-1] else self._broadcast("(*{0}.shape[:-1], lengths[-1])")
        if step.fold == "add":
            how = f"dtype={self._dtype(sum_dtype(value.dtype))}"
        elif value.dtype.kind == "f":
            how = f"initial={self._bind('infinity', np.inf if step.fold == 'minimum' else -np.inf)}"
        else:
            how = "initial=None"
        name = self._bind(str(step.fold), getattr(np, str(step.fold)))
        text = f"copyto({{out}}, {name}.reduce({row}, axis=-1, keepdims=True, {how}), 'unsafe')"
        return self.call(text, step.dtype, value, extent=(*value.extent[:-1], False))

    def _broadcast(self, lengths: str) -> str:
        return f"{self._bind('broadcast_to', np.broadcast_to)}({{0}}, {lengths})"

    def _dtype(self, dtype: DType) -> str:
        return self._bind(dtype.name, dtype)

    # -- the outputs --------------------------------------------------------------------------------
    def _store(self, v: int) -> None:
        """Write a value, as soon as it is there, into its outputs; better, have it computed there."""
        for k, output in enumerate(self.plan.outputs):
            if output.value != v:
                continue
            value = self.values[v]
            if any(output.summed):
                self._sum(k, output, value)
            elif value.text or value.early or value.dtype != output.dtype or value.extent != self._loops(output):
                part = ".real" if value.dtype.kind == "c" and output.dtype.kind not in "cb" else ""
                self.lines.append(_Line(f"copyto(o{k}, {{0}}{part}, 'unsafe')", None, (value,), False))
            else:
                value.text = f"o{k}"

    def _loops(self, output: Output) -> Extent:
        return (*([True] * (self.plan.ndim - output.per_row)), *([False] * output.per_row))

    def _sum(self, k: int, output: Output, value: _Value) -> None:
        loops = self._loops(output)
        axes = tuple([i for i, gone in enumerate(output.summed) if gone or not loops[i]])
        entries = "{0}"
        if any(output.summed[i] and not value.extent[i] for i in axes):
            entries = self._broadcast("(*lengths[:-1], 1)" if output.per_row else "lengths")
        part = f"add.reduce({entries}, axis={axes}, dtype={self._dtype(sum_dtype(value.dtype))})"
        text = f"y{k}.append({part})" if len(axes) == self.plan.ndim else f"add(o{k}, {part}, out=o{k})"
        self.lines.append(_Line(text, None, (value,), False))

    # -- where everything goes ----------------------------------------------------------------------
    def _place(self) -> None:
        """Registers for the values, used again once what is in them has been read for the last time."""
        for at, line in enumerate(self.lines):
            for value in line.args:
                value.last_use = at
        free: dict[tuple[Extent, int], list[int]] = {}

        def release(line: _Line, at: int) -> None:
            for value in set(line.args):
                if value.register >= 0 and value.last_use == at:
                    free[value.extent, value.dtype.itemsize].append(value.register)

        for at, line in enumerate(self.lines):
            target = line.target
            if line.in_place:
                release(line, at)
            if target is not None and target.early:
                target.text = f"t{at}"
            elif target is not None and not target.text:
                possible = free.setdefault((target.extent, target.dtype.itemsize), [])
                if not possible:
                    possible.append(len(self.registers))
                    self.registers.append(Register(target.extent, []))
                target.register = possible.pop()
                target.text = f"r{target.register}_{_short(target.dtype)}"
                if target.dtype not in self.registers[target.register].dtypes:
                    self.registers[target.register].dtypes.append(target.dtype)
            if not line.in_place:
                release(line, at)

    def _text(self) -> Iterator[str]:
        """The lines of the function: what is given, what varies along no loop, and the block."""
        plan = self.plan
        varies = [any(stride != 0 for stride in operand.strides) for operand in plan.operands]
        yield "def run(blocks, operands, numbers, outputs):"
        yield from _unpacked("    ", [f"x{k}" if v else f"a{k}" for k, v in enumerate(varies)], "operands")
        yield from _unpacked("    ", [f"n{k}" for k in range(len(plan.numbers))], "numbers")
        yield from _unpacked("    ", [f"y{k}" for k in range(len(plan.outputs))], "outputs")
        for line in self.lines:
            if line.target is not None and line.target.early:
                yield f"    {line.target.text} = empty({(1,) * plan.ndim}, {self._dtype(line.target.dtype)})"
                yield f"    {_filled(line)}"
        yield "    for at, lengths, registers in blocks:"
        yield from _unpacked("        ", [f"i{k}" for k in range(plan.ndim)], "at")
        scratch = [f"r{k}_{_short(dtype)}" for k, r in enumerate(self.registers) for dtype in r.dtypes]
        yield from _unpacked("        ", scratch, "registers")
        for k, operand in enumerate(plan.operands):
            if varies[k]:
                index = [f"i{i}" if stride != 0 else ":" for i, stride in enumerate(operand.strides)]
                yield f"        a{k} = x{k}[{', '.join(index)}]"
        for k, output in enumerate(plan.outputs):
            index = [f"i{i}" for i, loop in enumerate(self._loops(output)) if loop and not output.summed[i]]
            if not any(output.summed):
                index = [*index, *["None"] * output.per_row] or ["..."]
            if index:
                yield f"        o{k} = y{k}[{', '.join(index)}]"
        for line in self.lines:
            if line.target is None or not line.target.early:
                yield f"        {_filled(line)}"


def _unpacked(indent: str, names: list[str], what: str) -> list[str]:
    return [f"{indent}({', '.join(names)},) = {what}"] if names else []


def _filled(line: _Line) -> str:
    return line.text.format(*(a.text for a in line.args), out=line.target.text if line.target is not None else "")


def _short(dtype: DType) -> str:
    """A dtype as part of a name."""
    return re.sub(r"\W", "", dtype.str.replace(">", "swapped_"))

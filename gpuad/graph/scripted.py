"""A stretch of a recorded program on a device: the kernels that it is known to have, and what the library does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import cupy_backend
from ..core.record import Guard, Step, Value
from .captured import PRODUCTS, Captured, asked, may_be_captured
from .rehearsal import Given, Launch, Rehearsal, Unknown, Where, as_lying
from .replay import Result, Segment
from .simplify import is_pure
from .waiting import Waiting


class _Line(NamedTuple):
    """A line of the text, with the names that it makes and those that it reads; if it is needed anyway; and what is
    done in it."""

    text: str
    made: list[str]
    read: set[str]
    always: bool
    work: Step | Launch | None


#: What an array is called: a value's number, or a kernel's output.
Base = int | tuple[str, int]


class Scripted(Segment):
    """The same with no array that waits: what the kernels are is found out once, for arrays of any size.

    ``given``: inputs and what other stretches handed on, as they are now. Raises ``Unknown`` where that can't be done.
    """

    def __init__(
        self,
        steps: list[Step],
        values: dict[int, Value],
        find: Any,
        inputs: int,
        computed_before: set[int],
        exports: list[int],
        end: Guard | Result,
        name: str,
        given: dict[int, Any],
    ) -> None:
        self._given = given
        super().__init__(steps, values, find, inputs, computed_before, exports, end, name)

    def _waiting(self, steps: list[Step], values: dict[int, Value]) -> Waiting:
        waiting = Waiting(steps, values, is_pure, cupy_backend)
        if not waiting.results or any(s.backend is not cupy_backend for s in steps if s.outs[0] in waiting.results):
            raise Unknown
        self.script = Rehearsal(steps, values, waiting.results, self.kept, self._given)
        return waiting

    # -- the text: lines with the names that they make and those that they read
    def _write(self, end: Guard | Result) -> None:
        self._lines: list[_Line] = []
        self._read: set[str] = set()
        self._bases: dict[Any, str] = {}
        self._shapes: dict[Base, Where] = {}
        #: Names of arrays that are to be let go.
        self._ours: set[str] = set()
        done = self.script.done
        for i, step in enumerate(self.steps):
            for launch in self.script.at[i]:
                self._launch(launch)
            (out, *_) = step.outs
            if out in self.waiting.results and out not in done:
                continue
            call = self._call(step)
            made = [f"v{self._fresh(out)}" for out in step.outs]
            if out in done:
                self._bases[out] = made[0]
            text = f"{', '.join(made)}{',' * step.several} = {call}"
            if step.errstate is not None:
                self.env["errstate"] = np.errstate
                text = f"with errstate(**{self.thing('e', step.errstate)}): {text}"
            self._put(text, made, not is_pure(step.prim), step)
        for launch in self.script.at[-1]:
            self._launch(launch)
        for place in self.exports:
            self._put(f"s[{place}] = {self.name(place)}", [], True)
        if isinstance(end, Guard):
            name = self.name(self.find(end.value))
            self._put(f"return {name}", [], True)
            self._asking = f"def ask({name}):\n    return {self._question(end)}\n"
        else:
            self._put(f"return {self._result(end)}", [], True)
            self._asking = ""
        self._finish()

    def _takes_out(self, step: Step) -> bool:
        return False

    def _put(self, text: str, made: list[str], always: bool = False, work: Step | Launch | None = None) -> None:
        self._lines.append(_Line(text, made, self._read, always, work))
        self._ours.update(made)
        self._read = set()

    def _launch(self, launch: Launch) -> None:
        if launch.kernel is None:
            raise Unknown
        function = self.thing("l", launch.kernel.at(launch.lengths, launch.strides))
        pointers = [self._pointer(where) for where in launch.reads]
        numbers = [self.name(n.place) if isinstance(n, Given) else self._number(n) for n in launch.numbers]
        made = [f"m{where.base[1]}" for where in launch.outputs]  # type: ignore[index]
        for name, where in zip(made, launch.outputs, strict=True):
            self._bases[where.base] = name
        new = [f"{name} = {self._new(where)}" for name, where in zip(made, launch.outputs, strict=True)]
        outputs = [f"{name}.data.ptr" for name in made]
        call = f"{function}([{', '.join(pointers)}], ({''.join([n + ', ' for n in numbers])}), [{', '.join(outputs)}])"
        self._put("; ".join([*new, call]), made, work=launch)

    def _number(self, n: Any) -> str:
        return repr(n) if type(n) in (int, float) and n - n == 0 else self.thing("c", n)

    def _new(self, where: Where) -> str:
        """A new array for an output of a kernel: in the shape in which it is wanted, if that is one."""
        found = {w for w in self.script.where.values() if w.base == where.base}
        shown = found.pop() if len(found) == 1 else where
        if not (_is_whole(shown, where) and shown.strides == _contiguous(shown)):
            shown = where
        self._shapes[where.base] = shown
        self.env["ndarray"] = cupy_backend.xp.ndarray
        return f"ndarray({shown.shape}, {self.thing('d', shown.dtype)})"

    def _pointer(self, where: Where) -> str:
        name = self._lying(where.base)
        return f"{name}.data.ptr" + (f" + {where.offset}" if where.offset else "")

    def _lying(self, base: Base) -> str:
        """The text for what something lies in, which lies as it did in the rehearsal."""
        if not isinstance(base, int):
            name = self._bases[base]
        elif (base, "lying") in self._bases:
            name = self._bases[base, "lying"]
        else:
            whole = self._bases[base] if base in self.script.done else super().name(base)
            self._read.add(whole)
            name = self._bases[base, "lying"] = f"y{whole}"
            self.env["as_lying"] = as_lying
            before, self._read = self._read, {whole}
            self._put(f"{name} = as_lying({whole}, {self.script.lies[base]})", [name])
            self._read = before
        self._read.add(name)
        return name

    def name(self, place: int) -> str:
        if place not in self.waiting.results:
            name = super().name(place)
        elif place in self.names:
            name = self.names[place]
        else:
            where = self.script.where[place]
            name = self._lying(where.base)
            if where != self._shape_of(where.base):
                before, self._read = self._read, {name}
                self.env["ndarray"] = cupy_backend.xp.ndarray
                memory = f"{name}.data" + (f" + {where.offset}" if where.offset else "")
                name = f"a{place}" if place >= 0 else f"a_{-place}"
                dtype = self.thing("d", where.dtype)
                self._put(f"{name} = ndarray({where.shape}, {dtype}, {memory}, {where.strides})", [name])
                self._read = before
            self.names[place] = name
        self._read.add(name)
        return name

    def _shape_of(self, base: Base) -> Where:
        """A base as it stands there itself."""
        if not isinstance(base, int):
            return self._shapes[base]
        spec = self.values[base].spec
        return Where(base, 0, spec.shape, spec.dtype, self.script.lies[base])

    def _output(self, place: int, taken: set[Any]) -> str:
        found = self.find(place)
        if found not in self.waiting.results:
            owners = self.sharing.owners(found)
            if self.values[place].strides is None or owners.isdisjoint(self.waiting.results):
                return super()._output(place, taken)
            return f"{self.name(found)}.copy()"
        where = self.script.where[found]
        base, name = where.base, self.name(found)
        own = not isinstance(base, int) or base in self.script.done
        if own and base not in taken and _is_whole(where, self._shape_of(base)):
            taken.add(base)
            return name
        return f"{name}.copy()"

    def _finish(self) -> None:
        """The lines that are needed; what isn't any more is let go."""
        needed: set[str] = set()
        texts, self.work = [], []
        for text, made, read, always, work in reversed(self._lines):
            if always or not needed.isdisjoint(made):
                gone = [name for name in sorted({*made, *read}) if name not in needed and name in self._ours]
                if gone and not text.startswith("return"):
                    texts.append(f"{' = '.join(gone)} = None")
                texts.append(text)
                needed |= read
                if work is not None:
                    self.work.append(work)
        self.body = ["    " + text for text in reversed(texts)]

    def _compile(self, name: str) -> None:
        super()._compile(name)
        if self._asking:
            self.text += self._asking
            exec(compile(self._asking, f"<jit {name}>", "exec"), self.env)
        self._ask = self.env.get("ask")
        replay = self._replay
        self._go: Callable[[Any, dict[int, Any]], Any] = lambda x, s: replay(x, s, None)
        steps = [work for work in self.work if isinstance(work, Step)]
        if asked() and all(map(may_be_captured, steps)):
            inputs = [place for place in self.names if 0 <= place < self.inputs]
            handed = [place for place in self.names if place in self.before and place not in inputs]
            products = self._with_products if any(step.prim.name in PRODUCTS for step in steps) else None
            self._go = Captured(self._go, (inputs, handed), len(self.work), products).run

    def _with_products(self, product: Callable[[Any, Any], Any]) -> Callable[[Any, dict[int, Any]], Any]:
        """What is replayed, with another function in the place of CuPy's ``matmul``."""
        functions = cupy_backend.functions
        instead = {id(functions): _With(functions, product), id(functions.matmul): product}
        other: dict[str, Any] = {name: instead.get(id(x), x) for name, x in self.env.items()}
        exec(compile(self.text, "<jit, captured>", "exec"), other)
        replay = other["replay"]
        return lambda x, s: replay(x, s, None)

    def run(self, x: Any, s: dict[int, Any]) -> Any:
        found = self._go(x, s)
        return found if self._ask is None else self._ask(found)


class _With:
    """CuPy's functions with another ``matmul``."""

    def __init__(self, functions: Any, matmul: Callable[[Any, Any], Any]) -> None:
        self._functions, self.matmul = functions, matmul

    def __getattr__(self, name: str) -> Any:
        return getattr(self._functions, name)


def _contiguous(where: Where) -> tuple[int, ...]:
    strides, step = [], where.dtype.itemsize
    for n in reversed(where.shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _is_whole(where: Where, of: Where) -> bool:
    """Whether an array has all the memory of another, each entry once."""
    size = math.prod(of.shape)
    return where.offset == 0 and math.prod(where.shape) == size and 0 not in where.strides and where.dtype == of.dtype

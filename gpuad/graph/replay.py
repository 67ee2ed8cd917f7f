"""A stretch of a recorded program as the text of a Python function, one line for a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.pytree import tree_map
from ..core.record import Guard, PythonOperator, Step, Value, answer_key, shape_of
from ..fused.pending import replaying, settle, settle_all
from ..native.stretch import Stretch
from ..ops.writing import Place
from .buffers import Plan, Sharing
from .shortcuts import CALLS, FILLINGS, REDUCERS, fills, on_host
from .simplify import is_pure
from .waiting import Waiting, leaf_on, owned

_OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
#: Arrays of so many bytes are let go when they aren't needed any more, before the function ends.
_LARGE = 1 << 15
_NUMBERS = frozenset({int, float, np.float64, np.float32})
#: What isn't elementwise and gives an array of its own.
_FRESH = frozenset("write matmul scatter_add scatter_at gather read concatenate stack pad roll copied".split())


def _is_pure(prim: Any) -> bool:
    return type(prim) is Stretch or is_pure(prim)


class Result:
    """What a program returned: a container with numbers of values and with things that are as they are."""

    def __init__(self, template: Any, places: list[int | None], raws: list[Any]) -> None:
        self.template, self.places, self.raws = template, places, raws


class Segment:
    """The steps up to a guard, or to the end: ``run(inputs, state)`` returns the answer, or the result.

    ``state`` takes the values, by number, that the stretches after this one need. ``in_c``: whether what can be is done
    in C; raises ``CompilerUnavailable`` if that can't be had.
    """

    def __init__(
        self,
        steps: list[Step],
        values: dict[int, Value],
        find: Callable[[int], int],
        inputs: int,
        computed_before: set[int],
        exports: list[int],
        end: Guard | Result,
        name: str,
        in_c: bool = False,
    ) -> None:
        kept = list(exports)
        if isinstance(end, Result):
            kept += [find(p) for p in end.places if p is not None]
        else:
            kept.append(find(end.value))
        self.kept = set(kept)
        self.waiting = self._waiting(steps, values)
        if in_c:
            from ..native.groups import grouped  # which few programs need

            values = dict(values)
            steps = grouped(steps, values, frozenset(kept), self.waiting.stays)
        self.values, self.find, self.inputs = values, find, inputs
        self.before, self.exports, self.end = computed_before, exports, end
        self.sharing = Sharing(values, find)
        self.env: dict[str, Any] = {}
        self._known: dict[tuple[str, int], str] = {}
        self._numbers: dict[Any, Any] = {}
        self.names: dict[int, str] = {}
        self.header: list[str] = []
        self.body: list[str] = []
        self.steps = steps
        self.own = {out for step in steps for out in step.outs}
        self.users = {out for step in steps if not _is_pure(step.prim) for out in step.outs}
        self.last_use = {a: i for i, step in enumerate(steps) for a in step.args}
        #: Arrays of their own, which nobody else can have.
        self.fresh = {out for step in steps if self._makes_fresh(step) for out in step.outs}
        #: Of values that wait or that such read: the names of what else stands for them.
        self.leaves: dict[int, str] = {}
        self.settled: dict[int, str] = {}
        self.extra: list[str] = []
        waiting = [step for step in steps if not self.waiting.results.isdisjoint(step.outs)]
        self.read_later = {owner for step in waiting for a in step.args for owner in self.sharing.owners(a)}
        self.plan = Plan(steps, values, self.sharing, kept, self._takes_out, self._is_elementwise, self._retains)
        self.held = {owner for place in kept for owner in self.sharing.owners(place)}
        self._write(end)
        self._compile(name)
        self.pool: list[tuple[Any, ...]] = []

    def _waiting(self, steps: list[Step], values: dict[int, Value]) -> Waiting:
        return Waiting(steps, values, is_pure)

    # -- steps --
    def _write(self, end: Guard | Result) -> None:
        errstate: Any = None
        for i, step in enumerate(self.steps):
            if step.errstate != errstate:
                errstate = step.errstate
                if errstate is not None:
                    self._line(f"with errstate(**{self.thing('e', errstate)}):")
                    self.env["errstate"] = np.errstate
            indent = "    " if errstate is not None else ""
            text = self._text(step, i)
            for before in self.extra:
                self._line(indent + before)
            self.extra.clear()
            self._line(indent + text)
            gone = [
                name
                for a in dict.fromkeys(step.args)
                if a in self.own and a not in self.kept and self.last_use[a] == i
                for name in self._names_of(a)
                if name != self.names[step.outs[0]]
            ]
            if gone:
                self._line(f"{indent}{' = '.join(gone)} = None")
        together = [self.names[place] for place in sorted(self.kept) if place in self.waiting.results]
        if together:
            self.env["settle_all"] = settle_all
            self._line(f"settle_all(({', '.join(together)},))")
        for place in self.exports:
            self.extra.append(f"s[{place}] = {self.name(place)}")
        text = self._question(end) if isinstance(end, Guard) else self._result(end)
        for before in self.extra:
            self._line(before)
        self._line(f"return {text}")

    def _names_of(self, place: int) -> list[str]:
        """Variables to be let go when a value isn't needed any more."""
        found = [table[place] for table in (self.leaves, self.settled) if place in table]
        if place in self.waiting.results or self._is_large(place):
            found.append(self.names[place])
        return found

    def _is_large(self, place: int) -> bool:
        value = self.values[place]
        return (
            value.strides is not None
            and not any(owner in self.plan.of for owner in self.sharing.owners(place))
            and self.names[place].startswith("v")
            and value.spec.size * value.spec.dtype.itemsize >= _LARGE
        )

    def _line(self, text: str) -> None:
        self.body.append("    " + text)

    def name(self, place: int) -> str:
        """The text for a value, which is there."""
        if place in self.waiting.results:
            name = self.settled.get(place)
            if name is None:
                self.env["settle"] = settle
                name = self.settled[place] = f"r{self.names[place]}"
                self.extra.append(f"{name} = settle({self.names[place]})")
            return name
        name = self.names.get(place)
        if name is None:
            value = self.values[place]
            if 0 <= place < self.inputs:
                name = f"x{place}"
                self.header.append(f"    {name} = x[{place}]")
            elif place in self.before:
                name = f"w{place}" if place >= 0 else f"w_{-place}"
                self.header.append(f"    {name} = s[{place}]")
            else:
                name = self.thing("c", value.raw)
            self.names[place] = name
        return name

    def thing(self, prefix: str, thing: Any) -> str:
        name = self._known.get((prefix, id(thing)))
        if name is None:
            name = self._known[prefix, id(thing)] = f"{prefix}{len(self._known)}"
            self.env[name] = thing
        return name

    def beside(self, step: Step, k: int, function: Any = None) -> str:
        """The k-th operand of an elementwise operation: a number as an array of the dtype that it would take."""
        place = step.args[k]
        raw = self.values[place].raw
        if type(raw) not in _NUMBERS or step.backend.name != "numpy":
            return self.name(place)
        values = [self.values[a] for a in step.args]
        if all(value.strides is None for value in values):
            return self.name(place)
        if isinstance(function, np.ufunc):
            kinds = [type(v.raw) if type(v.raw) in (int, float) else v.spec.dtype for v in values]
            try:
                *takes, gives = function.resolve_dtypes((*kinds, None))
            except TypeError:
                return self.name(place)
            dtype = takes[k] if gives == self.values[step.outs[0]].spec.dtype else None
        else:
            dtype = values[1 if k == 2 else 2].spec.dtype  # of a choice between two
            dtype = dtype if dtype.kind in "fc" and values[1 if k == 2 else 2].strides is not None else None
        if dtype is None or (type(raw) not in (int, float) and raw.dtype != dtype):
            return self.name(place)
        if (place, dtype) not in self._numbers:
            with np.errstate(all="ignore"):
                self._numbers[place, dtype] = np.array(raw, dtype)
        return self.thing("n", self._numbers[place, dtype])

    def _is_elementwise(self, step: Step) -> bool:
        return type(step.prim) is not PythonOperator and step.prim.elementwise

    def _retains(self, step: Step) -> bool:
        """Whether an operation may read its operands later, or what it does with them isn't known."""
        return not _is_pure(step.prim) or not self.waiting.results.isdisjoint(step.outs)

    def _takes_out(self, step: Step) -> bool:
        if step.several or step.backend.name != "numpy" or type(step.prim) is PythonOperator or not is_pure(step.prim):
            return False
        name = step.prim.name
        if name == "matmul":
            return True
        if name == "concatenate":
            return on_host(self, step)
        if name in FILLINGS:
            return fills(self, step)
        if name in REDUCERS:
            return on_host(self, step) and self.values[step.args[0]].spec.dtype.kind in "fc"
        return isinstance(step.prim.implementation(step.backend), np.ufunc)

    def _text(self, step: Step, i: int) -> str:
        """The line for a step."""
        if step.several:
            call = self._call(step)
            names = [f"v{self._fresh(out)}" for out in step.outs]
            return f"{', '.join(names)}, = {call}"
        (out,) = step.outs
        if out in self.waiting.results:
            args = [self._unsettled(a, step) for a in step.args]
            args += [f"{k}={self.thing('k', v)}" for k, v in step.params.items()]
            return f"v{self._fresh(out)} = {self.thing('f', step.prim)}({', '.join(args)})"
        if step.prim.__class__ is not PythonOperator and step.prim.name == "write" and self._may_write(step, i):
            args = [self.name(a) for a in step.args]
            place = Place(step.params["steps"], step.params["key"], ())
            self.names[out] = args[0]
            if len(args) == 2:
                return f"{self.thing('p', place)}.put({args[0]}, {args[1]})"
            self.env["Place"] = Place
            where = f"{self.thing('q', place.steps)}, {self.thing('k', place.key)}, ({', '.join(args[2:])},)"
            return f"Place({where}).put({args[0]}, {args[1]})"
        buffer = self.plan.of.get(out)
        if is_pure(step.prim) and type(step.prim) is not PythonOperator and fills(self, step):
            return self._filling(step, out, buffer)
        if buffer is not None:
            call = self._call(step, f"b{buffer}")
            self.names[out] = f"b{buffer}"
            return call
        call = self._call(step)
        return f"v{self._fresh(out)} = {call}"

    def _filling(self, step: Step, out: int, buffer: int | None) -> str:
        """The statements that fill an array with what a step computes."""
        array = f"b{buffer}" if buffer is not None else f"v{self._fresh(out)}"
        statements = FILLINGS[step.prim.name](self, step, array)
        self.names[out] = array
        if buffer is None:
            spec = self.values[out].spec
            make = f"{self.thing('f', np.empty)}({spec.shape}, {self.thing('k', spec.dtype)})"
            statements.insert(0, f"{array} = {make}")
        return "; ".join(statements)

    def is_last_use(self, step: Step, place: int) -> bool:
        """Whether nobody needs a value after ``step``, which reads it."""
        return place not in self.kept and self.steps[self.last_use[place]] is step

    def _unsettled(self, place: int, step: Step) -> str:
        """The text for an operand of an operation that waits."""
        if place in self.waiting.results:
            return self.names[place]
        if place not in self.waiting.read:
            return self.name(place)
        name = self.leaves.get(place)
        if name is None:
            array = self.name(place)
            name = self.leaves[place] = f"y{array}"
            self.env["leaf"] = leaf_on(step)
            self.extra.append(f"{name} = leaf({array})")
        return name

    def _fresh(self, out: int) -> str:
        text = str(out) if out >= 0 else f"_{-out}"
        self.names[out] = f"v{text}"
        return text

    def _may_write(self, step: Step, i: int) -> bool:
        """Whether nobody needs the array any more as it was before it is written into."""
        x = step.args[0]
        value, made = self.values[x], self.values[step.outs[0]]
        return (
            step.backend.name == "numpy"
            and x in self.own
            and x not in step.args[1:]
            and self.sharing.owners(x) == {x}
            and x not in self.held
            and self.plan.last.get(x) == i
            and value.strides is not None
            and value.spec is made.spec
            and step.outs[0] not in self.plan.of
            and not any(x in self.sharing.owners(a) for a in step.args[1:])
            and x not in self.plan.of  # whose buffer may be given to another step by then
            and x in self.fresh
            and x not in self.read_later
        )

    def _makes_fresh(self, step: Step) -> bool:
        if type(step.prim) is Stretch:
            return True
        if step.several or type(step.prim) is PythonOperator or not is_pure(step.prim):
            return False
        return not self.values[step.outs[0]].shares and (step.prim.elementwise or step.prim.name in _FRESH)

    def _call(self, step: Step, out: str = "") -> str:
        prim, params = step.prim, step.params
        if type(prim) is Stretch:
            return f"{self.thing('f', prim.kernel.call)}({', '.join([self.name(a) for a in step.args])})"
        if type(prim) is PythonOperator:
            sign = _OPERATORS.get(prim.name)
            args = [self.name(a) for a in step.args]
            if sign:
                return f"{args[0]} {sign} {args[1]}"
            args += [f"{k}={self.thing('k', v)}" for k, v in params.items()]
            return f"{self.thing('f', prim.function)}({', '.join(args)})"
        if not is_pure(prim):
            args = [self.name(a) for a in step.args]
            return f"{self.thing('f', prim.evaluate)}(({', '.join(args)},), {self.thing('k', params)})"
        special = CALLS.get(prim.name)
        if special is not None:
            text = special(self, step, out)
            if text is not None:
                return text
        function = prim.implementation(step.backend)
        numbers = isinstance(function, np.ufunc)
        args = [self.beside(step, k, function) if numbers else self.name(a) for k, a in enumerate(step.args)]
        sign = _OPERATORS.get(prim.name)
        if sign and not out and self._numbers_alone(step):
            return f"{self.name(step.args[0])} {sign} {self.name(step.args[1])}"
        if out:
            args.append(out)
        if isinstance(function, np.ufunc):
            return f"{self.thing('f', function)}({', '.join(args)})"
        xp = getattr(function, "args", None)
        if xp is not None and getattr(function, "func", None) is prim.forward:  # `functools.partial` of the declaration
            function = prim.forward
            args = [self.thing("xp", xp[0]), *args]
        keywords = [f"{k}={self.thing('k', v)}" for k, v in params.items()]
        return f"{self.thing('f', function)}({', '.join([*args, *keywords])})"

    def _numbers_alone(self, step: Step) -> bool:
        if step.backend.name != "numpy" or step.prim.name not in _OPERATORS:
            return False
        values = [self.values[place] for place in (*step.args, *step.outs)]
        return all(v.strides is None and v.spec.dtype.kind in "fciu" for v in values)

    # -- the end --
    def _question(self, guard: Guard) -> str:
        name = self.name(self.find(guard.value))
        if guard.question is bool:
            return f"bool({name})"
        if guard.question is shape_of:
            return f"{name}.shape"
        self.env["answer_key"] = answer_key
        return f"answer_key({self.thing('q', guard.question)}({name}))"

    def _result(self, result: Result) -> str:
        taken: set[int] = set()
        texts = []
        for place, raw in zip(result.places, result.raws, strict=True):
            texts.append(self._constant(raw) if place is None else self._output(place, taken))
        leaves = iter(texts)
        return self._tree(result.template, leaves)

    def _constant(self, raw: Any) -> str:
        name = self.thing("r", raw)
        return f"{name}.copy()" if isinstance(raw, np.ndarray) else name

    def _output(self, place: int, taken: set[int]) -> str:
        """A result that shares its memory with nobody."""
        found = self.find(place)
        name, value = self.name(found), self.values[found]
        if found in self.waiting.results:
            self.env["owned"] = owned
            if found in taken:
                return f"{name}.copy()" if value.strides is not None else name
            taken.add(found)
            return f"owned({name}, x)"
        if self.values[place].strides is None:
            return name if value.strides is None else f"{name}[()]"
        owners = self.sharing.owners(found)
        ours = all(o in self.own and o not in self.plan.of and o not in self.users for o in owners)
        if not ours or owners & taken or not self._is_whole(found, owners):
            return f"{name}.copy()" if not self._is_f(value) else f"{name}.copy(order='K')"
        taken |= owners
        return name

    def _is_whole(self, found: int, owners: frozenset[int]) -> bool:
        """Whether it is all of its memory, so that nothing else is kept alive, and can be written into."""
        size = self.values[found].spec.size
        strides = self.values[found].strides
        assert strides is not None
        if found in owners:
            return found in self.fresh or 0 not in strides
        return 0 not in strides and sum(self.values[o].spec.size for o in owners) == size

    @staticmethod
    def _is_f(value: Value) -> bool:
        strides = value.strides or ()
        return len(strides) > 1 and list(strides) != sorted(strides, reverse=True)

    def _tree(self, template: Any, leaves: Any) -> str:
        kind = type(template)
        if kind is tuple or kind is list:
            parts = ", ".join([self._tree(t, leaves) for t in template])
            return f"({parts}{',' * (len(template) == 1)})" if kind is tuple else f"[{parts}]"
        if kind is dict:
            return "{" + ", ".join(f"{self.thing('k', k)}: {self._tree(t, leaves)}" for k, t in template.items()) + "}"
        if template is None:
            return "None"
        found: list[Any] = []
        tree_map(found.append, template)
        if len(found) == 1 and found[0] is template:
            return next(leaves)  # type: ignore[no-any-return]
        self.env["tree_map"] = tree_map
        leaf_texts = [next(leaves) for _ in found]
        return f"tree_map(lambda _, it=iter(({', '.join(leaf_texts)},)): next(it), {self.thing('t', template)})"

    def _compile(self, name: str) -> None:
        buffers = "".join(f"b{b.number}, " for b in self.plan.buffers)
        top = ["def replay(x, s, b):", *self.header, *([f"    {buffers}= b"] if buffers else [])]
        self.text = "\n".join([*top, *self.body, ""])
        exec(compile(self.text, f"<jit {name}>", "exec"), self.env)
        self._replay = self.env["replay"]

    def run(self, x: Any, s: dict[int, Any]) -> Any:
        if not self.waiting.results:
            return self._run(x, s)
        before = replaying.set(True)
        try:
            return self._run(x, s)
        finally:
            replaying.reset(before)

    def _run(self, x: Any, s: dict[int, Any]) -> Any:
        if not self.plan.buffers:
            return self._replay(x, s, None)
        try:
            b = self.pool.pop()
        except IndexError:
            b = self.plan.make()
        try:
            return self._replay(x, s, b)
        finally:
            self.pool.append(b)

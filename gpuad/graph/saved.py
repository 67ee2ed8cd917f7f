"""Recorded ways as data, and gone again from there, step by step.

What is written is what was recorded: steps, questions, constants, results, before anything is made simpler. What values
are like that are computed on the way, shapes and strides and who shares memory with whom, isn't believed but found out
when a way is gone for the first time, operation by operation. Only then is a program made of it, of what was seen.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..array_methods import _NUMBERS as _AS_NUMBERS
from ..backend import backend_of
from ..core.box import itself, spec_of
from ..core.pytree import tree_map
from ..core.record import (
    Guard,
    Line,
    PythonOperator,
    Step,
    Value,
    _shape_varies,
    _sharing,
    answer_key,
    is_array,
    shape_of,
)
from ..errors import NotRecordedError, SavedFileError
from ..fused.pending import settle
from .data import Invalid, Packer, Unpacker, Unsaveable, name_of, operation, text, whole
from .replay import Result
from .tree import Node, Tree

#: What a program asks of a value.
_QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "bool": bool, "int": int, "index": operator.index, "value": itself, "shape": shape_of,
    **{name.strip("_"): question for name, question in _AS_NUMBERS.items()},
}  # fmt: skip
_LEAF = object()


class Tables(dict[str, list[Any]]):
    """What many steps have in common, each written once."""

    def __init__(self) -> None:
        super().__init__(operations=[], parameters=[], specs=[], errors=[], lines=[])
        self._known: dict[Any, int] = {}

    def number(self, name: str, entry: Any) -> int:
        key = name, repr(entry)
        if key not in self._known:
            self._known[key] = len(self[name])
            self[name].append(entry)
        return self._known[key]

    def line(self, line: Line) -> int:
        return self.number("lines", [line[0].replace("\\", "/").rpartition("/")[2], line[1], line[2]])


# -- writing ------------------------------------------------------------------------------------------
def ways_to_data(tree: Tree, pack: Packer, tables: Tables) -> list[Any]:
    """All stretches of a tree, each before those that follow it. Raises ``Unsaveable``."""
    nodes = tree.nodes()
    numbers = {id(node): i for i, node in enumerate(nodes)}
    known: dict[int, set[int]] = {}
    found = []
    for node in nodes:
        mine = known[id(node)] = set(known[id(node.parent)] if node.parent else range(tree.inputs))
        constants: list[Any] = []
        steps = [_step_to_data(node, step, mine, constants, pack, tables) for step in node.raw]
        entry: dict[str, Any] = {"constants": constants, "steps": steps}
        if isinstance(node.end, Guard):
            guard = node.end
            asked = next((name for name, q in _QUESTIONS.items() if q is guard.question), None)
            if asked is None:
                raise Unsaveable(f"a question of the program's own, {_at(guard.line)}")
            entry["ask"] = [guard.value, asked, tables.line(guard.line)]
            entry["answers"] = [[pack.data(key), numbers[id(child)]] for key, child in node.children.items()]
        else:
            entry["result"] = _result_to_data(node.end, pack)
        found.append(entry)
    return found


def _step_to_data(
    node: Node, step: Step, known: set[int], constants: list[Any], pack: Packer, tables: Tables
) -> list[Any]:
    values = node.simplifier.values
    try:
        for a in step.args:
            if a not in known:
                constants.append([a, pack.data(values[a].raw)])
                known.add(a)
        parameters = pack.parameters(step.prim, step.params)
        specs = [tables.number("specs", pack.data(values[out].spec)) for out in step.outs]
        name = name_of(step.prim)
    except Unsaveable as cause:
        raise Unsaveable(f"{cause}, {_at(step.line)}") from None
    known.update(step.outs)
    return [
        tables.number("operations", name), list(step.args), tables.number("parameters", parameters), list(step.outs),
        int(step.several), specs, tables.number("errors", step.errstate), tables.line(step.line),
        int(step.units),
    ]  # fmt: skip


def _result_to_data(result: Result, pack: Packer) -> Any:
    raws = [pack.data(raw) for raw in result.raws]
    return {"template": _template_to_data(result.template, pack), "places": result.places, "raws": raws}


def _template_to_data(x: Any, pack: Packer) -> Any:
    kind = type(x)
    if kind is tuple or kind is list:
        return [kind.__name__, *[_template_to_data(part, pack) for part in x]]
    if kind is dict:
        return ["dict", *[[pack.data(k), _template_to_data(part, pack)] for k, part in x.items()]]
    if x is None:
        return ["none"]
    found: list[Any] = []
    tree_map(found.append, x)
    if len(found) == 1 and found[0] is x:
        return ["leaf"]
    raise Unsaveable(f"a container of type {kind.__qualname__} in the result")


def _at(line: Line) -> str:
    return f"at {line[0]}, line {line[1]}, in {line[2]}"


# -- reading ------------------------------------------------------------------------------------------
class Stretch:
    """The rows of a file's steps up to a question or to the end, checked."""

    __slots__ = ("children", "constants", "end", "forget", "rows")

    def __init__(self, constants: dict[int, Any], rows: list[Any], end: Guard | Result) -> None:
        self.constants, self.rows, self.end = constants, rows, end
        self.children: dict[Any, Stretch] = {}
        #: After each step the values that nobody reads from there on.
        self.forget: list[tuple[int, ...]] = []


class Shared:
    """The tables of a file, read."""

    def __init__(self, tables: dict[str, list[Any]], read: Unpacker) -> None:
        self.read = read
        self.operations = [operation(name) for name in tables["operations"]]
        self.specs = [read.data(x, False) for x in tables["specs"]]
        self.errors = [_errstate(x) for x in tables["errors"]]
        self.lines = [(text(file), whole(number), text(name)) for file, number, name in tables["lines"]]
        self._parameters = tables["parameters"]
        self._read: dict[tuple[int, int], dict[str, Any]] = {}

    def parameters(self, prim: int, number: int) -> dict[str, Any]:
        found = self._read.get((prim, number))
        if found is None:
            found = self.read.parameters(self.operations[prim], self._parameters[number])
            self._read[prim, number] = found
        return found


def _errstate(x: Any) -> dict[str, str] | None:
    if x is None:
        return None
    kinds = ("ignore", "warn", "raise", "print")
    if set(x) != {"divide", "over", "under", "invalid"} or any(how not in kinds for how in x.values()):
        raise Invalid("no state of NumPy's errors")
    return dict(x)


def ways_from_data(entries: list[Any], inputs: int, shared: Shared) -> Stretch:
    """The first stretch, which leads to the others. Raises ``Invalid``, and what Python says of data of other kinds."""
    stretches = [_stretch(entry, shared) for entry in entries]
    above: dict[int, int] = {}
    for i, entry in enumerate(entries):
        for key, child in entry.get("answers", ()):
            if whole(child, i + 1, len(entries) - 1) in above:
                raise Invalid("two ways lead to one stretch")
            above[child] = i
            stretches[i].children[shared.read.data(key)] = stretches[child]
    if set(above) != set(range(1, len(entries))):
        raise Invalid("no way leads to a stretch")
    known: list[set[int]] = []
    for i, stretch in enumerate(stretches):
        known.append(set(known[above[i]]) if i else set(range(inputs)))
        _check_numbers(stretch, known[-1], inputs)
    wanted: list[set[int]] = [set() for _ in stretches]
    for i in reversed(range(len(stretches))):
        _find_last_uses(stretches[i], wanted[i])
        if i:
            wanted[above[i]] |= wanted[i]
    return stretches[0]


def _stretch(entry: dict[str, Any], shared: Shared) -> Stretch:
    rows = []
    for prim, args, parameters, outs, several, specs, errors, line, units in entry["steps"]:
        if len(outs) != len(specs) or not outs or (not several and len(outs) > 1):
            raise Invalid("an operation has another number of results")
        rows.append(
            (
                shared.operations[prim], tuple(args), shared.parameters(prim, parameters), tuple(outs), bool(several),
                [shared.specs[k] for k in specs], shared.errors[errors], shared.lines[line], bool(units),
            )
        )  # fmt: skip
    constants = {number: shared.read.data(x) for number, x in entry["constants"]}
    return Stretch(constants, rows, _end(entry, shared))


def _end(entry: dict[str, Any], shared: Shared) -> Guard | Result:
    if "ask" in entry:
        value, asked, line = entry["ask"]
        return Guard(value, _QUESTIONS[asked], None, shared.lines[whole(line, most=len(shared.lines) - 1)])
    result = entry["result"]
    count = [0]
    template = _template(result["template"], shared.read, count)
    places, raws = result["places"], [shared.read.data(x) for x in result["raws"]]
    if not len(places) == len(raws) == count[0]:
        raise Invalid("a result has another number of parts")
    return Result(template, places, raws)


def _template(x: Any, read: Unpacker, count: list[int]) -> Any:
    head, *rest = x
    if head == "leaf":
        count[0] += 1
        return _LEAF
    if head == "none":
        return None
    if head == "dict":
        return {read.data(k): _template(part, read, count) for k, part in rest}
    return {"tuple": tuple, "list": list}[head]([_template(part, read, count) for part in rest])


def _check_numbers(stretch: Stretch, known: set[int], inputs: int) -> None:
    """That every value is there when it is read, and is made once."""
    read = [number for row in stretch.rows for number in row[1]] + _asked_of(stretch.end)
    made = [*stretch.constants, *[number for row in stretch.rows for number in row[3]]]
    if not {*map(type, read), *map(type, made)} <= {int}:
        raise Invalid("something else stands where the number of a value should")
    if made and (min(made) < inputs or max(made) > 4 * (len(known) + len(made)) + 64):
        raise Invalid("the number of a value is out of bounds")
    if len(made) != len({*made}) or not known.isdisjoint(made):
        raise Invalid("a value is made twice")
    known.update(stretch.constants)
    for row in stretch.rows:
        if not known.issuperset(row[1]):
            raise Invalid("a value is read that isn't there")
        known.update(row[3])
    if not known.issuperset(_asked_of(stretch.end)):
        raise Invalid("a value is asked for that isn't there")


def _asked_of(end: Guard | Result) -> list[int]:
    return [end.value] if isinstance(end, Guard) else [place for place in end.places if place is not None]


def _find_last_uses(stretch: Stretch, wanted: set[int]) -> None:
    """Fill ``forget``; ``wanted`` is what stretches further on read, and becomes what is read from here on."""
    wanted.update(_asked_of(stretch.end))
    for row in reversed(stretch.rows):
        named = (*row[1], *row[3])
        stretch.forget.append(() if wanted.issuperset(named) else tuple({*named} - wanted))
        wanted.update(row[1])
    stretch.forget.reverse()


# -- going --------------------------------------------------------------------------------------------
class Way:
    """A call, gone step by step: what happened, as a record has it, and the result."""

    def __init__(self, start: Stretch, inputs: Iterable[Any], file: str) -> None:
        self.events: list[Step | Guard] = []
        self.values: list[Value] = []
        self.file = file
        self._raws: dict[int, Any] = {}
        #: Values whose shape another call may find otherwise: a program asks for it next.
        self._to_ask: list[int] = []
        for number, x in enumerate(inputs):
            self._enter(number, x, _value(x))
        stretch = start
        while True:
            for number, raw in stretch.constants.items():
                self._enter(number, raw, _value(raw)._replace(raw=raw))
            for row, gone in zip(stretch.rows, stretch.forget, strict=True):
                self._check_asked(not self._to_ask)
                self._step(row)
                for number in gone:
                    del self._raws[number]
            if isinstance(stretch.end, Result):
                self._check_asked(not self._to_ask)
                self.end = stretch.end
                break
            if self._to_ask:
                asked = stretch.end.value, stretch.end.question
                self._check_asked(asked == (self._to_ask.pop(0), shape_of))
            stretch = self._ask(stretch, stretch.end)
        self.result = self._result()

    def _enter(self, number: int, raw: Any, value: Value) -> None:
        self._raws[number] = raw
        while len(self.values) <= number:
            self.values.append(_NO_VALUE)
        self.values[number] = value

    def _step(self, row: Any) -> None:
        prim, args, params, outs, several, expected, errors, line, units = row
        raws = [self._raws[a] for a in args]
        check = _UNCHECKED_BY_NUMPY.get(prim.name)
        try:
            if check is not None:
                check(*raws, **params)
            if errors is None:
                ans = _computed(prim, raws, params)
            else:
                with np.errstate(**errors):
                    ans = _computed(prim, raws, params)
        except Exception as error:
            error.add_note(f"gpuad.load_jit: in {self.file}, recorded of {line[0]}, line {line[1]}, in {line[2]}")
            raise
        found = ans if type(ans) in (tuple, list) else (ans,)
        if (found is ans) is not several or len(found) != len(outs):
            raise self._otherwise(prim, line, f"{len(found)} results", f"{len(outs)}")
        varies = _shape_varies(prim, raws)
        for out, x, spec in zip(outs, found, expected, strict=True):
            raw = settle(x)
            value = _value(raw, _sharing(raw, raws, args))
            if value.spec is not spec and not (varies and value.spec.dtype == spec.dtype):
                raise self._otherwise(prim, line, value.spec, spec)
            self._enter(out, raw, value)
        if varies:
            self._to_ask += outs
        self.events.append(Step(prim, args, params, outs, several, backend_of(raws), errors, line, units))

    def _check_asked(self, right: bool) -> None:
        if not right:
            raise SavedFileError(f"{self.file} isn't as gpuad writes it: it doesn't ask for a shape that may vary")

    def _otherwise(self, prim: Any, line: Line, got: Any, expected: Any) -> SavedFileError:
        return SavedFileError(
            f"{self.file}: {prim.name} gives {got} here, and gave {expected} when the file was written (line {line[1]} "
            f"of {line[0]}, in {line[2]}). Libraries of other versions may be why; save the function again"
        )

    def _ask(self, stretch: Stretch, guard: Guard) -> Stretch:
        key = answer_key(guard.question(self._raws[guard.value]))
        self.events.append(Guard(guard.value, guard.question, key, guard.line))
        further = stretch.children.get(key)
        if further is None:
            asked = next(name for name, question in _QUESTIONS.items() if question is guard.question)
            known = ", ".join([_shown(k) for k in list(stretch.children)[:8]])
            line = guard.line
            raise NotRecordedError(
                f"{self.file}: the program asked for the {asked} of a value (line {line[1]} of {line[0]}, in "
                f"{line[2]}). It is {_shown(key)} now, and {known} alone was recorded. Save the function again after a "
                "call that goes this way"
            )
        return further

    def _result(self) -> Any:
        leaves = [
            _own(self._raws[place] if place is not None else raw)
            for place, raw in zip(self.end.places, self.end.raws, strict=True)
        ]
        made = iter(leaves)
        return tree_map(lambda _: next(made), self.end.template)


def _computed(prim: Any, raws: list[Any], params: dict[str, Any]) -> Any:
    return prim.function(*raws, **params) if type(prim) is PythonOperator else prim.evaluate(raws, params)


def _value(raw: Any, shares: tuple[int, ...] = ()) -> Value:
    """What a record would know of it."""
    return Value(spec_of(raw), getattr(raw, "strides", None) if is_array(raw) else None, shares)


_NO_VALUE = _value(False)


def _own(x: Any) -> Any:
    return x.copy(order="K") if is_array(x) else x


def _shown(key: Any) -> str:
    return "other numbers" if type(key) is bytes else repr(key)[:60]


def _check_reach(x: Any, *, shape: tuple[int, ...], steps: tuple[int, ...]) -> None:
    """That such windows lie in the memory of ``x``."""
    reach = [(n - 1) * step for n, step in zip(shape, steps, strict=True)]
    if all(shape) and (sum(r for r in reach if r < 0) < 0 or sum(r for r in reach if r > 0) >= x.size):
        raise ValueError(f"as_strided: shape {shape} and steps {steps} lead out of an array of {x.size} numbers")


#: Operations that go where they are told to in memory.
_UNCHECKED_BY_NUMPY: dict[str, Callable[..., None]] = {"as_strided": _check_reach}

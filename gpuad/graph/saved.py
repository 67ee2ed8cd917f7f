"""Recorded ways as data, and gone again from there, step by step.

What is written is what was recorded: steps, questions, constants, results, before anything is made simpler. What values
are like that are computed on the way, shapes and strides and who shares memory with whom, isn't believed but found out
when a way is gone for the first time, operation by operation. Only then is a program made of it, of what was seen.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..array_methods import AS_NUMBERS
from ..backend import backend_of, owner_of_type
from ..core.box import Spec, itself, make_spec, spec_of
from ..core.pytree import tree_map
from ..core.record import (
    Guard,
    Line,
    PythonOperator,
    Step,
    Value,
    answer_key,
    is_array,
    shape_of,
    shape_varies,
    sharing,
)
from ..errors import NotRecordedError, SavedFileError
from ..fused.pending import settle
from .data import Invalid, Packer, Unpacker, Unsaveable, name_of, operation, text, whole
from .replay import Result
from .tree import Node, Tree

#: What a program asks of a value.
_QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "bool": bool, "int": int, "index": operator.index, "value": itself, "shape": shape_of,
    **{name.strip("_"): question for name, question in AS_NUMBERS.items()},
}  # fmt: skip
_LEAF = object()
_NUMBERS = frozenset({bool, int, float, complex})


class Tables(dict[str, list[Any]]):
    """What many steps have in common, each written once."""

    def __init__(self) -> None:
        super().__init__(operations=[], parameters=[], specs=[], errors=[], lines=[])
        self._known: dict[Any, int] = {}

    def number(self, name: str, entry: Any) -> int:
        """The place of an entry in the table of that name, where it is put if it is new."""
        key = name, repr(entry)
        if key not in self._known:
            self._known[key] = len(self[name])
            self[name].append(entry)
        return self._known[key]

    def line(self, line: Line) -> int:
        """The place of a line of the program, without the folder of its file."""
        return self.number("lines", [line[0].replace("\\", "/").rpartition("/")[2], line[1], line[2]])


# -- writing ------------------------------------------------------------------------------------------
#: Of the steps of a stretch one after the other: these are as long as there are steps, or as what they name.
_OF_STEPS = ("operations", "arity", "parameters", "results", "errors", "lines")
_COLUMNS = (*_OF_STEPS, "args", "outs", "specs", "several", "units")


def ways_to_data(tree: Tree, pack: Packer, tables: Tables) -> list[Any]:
    """All stretches of a tree, each before those that follow it. Raises ``Unsaveable``."""
    nodes = tree.nodes()
    numbers = {id(node): i for i, node in enumerate(nodes)}
    known: dict[int, set[int]] = {}
    found = []
    for node in nodes:
        mine = known[id(node)] = set(known[id(node.parent)] if node.parent else range(tree.inputs))
        entry: dict[str, Any] = {"constants": [], **{name: [] for name in _COLUMNS}}
        for i, step in enumerate(node.raw):
            try:
                _step_to_data(i, step, node, mine, entry, pack, tables)
            except Unsaveable as cause:
                raise Unsaveable(f"{cause}, {_at(step.line)}") from None
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
    i: int, step: Step, node: Node, known: set[int], entry: dict[str, Any], pack: Packer, tables: Tables
) -> None:
    values = node.simplifier.values
    for a in step.args:
        if a not in known:
            entry["constants"].append([a, pack.data(values[a].raw)])
            known.add(a)
    known.update(step.outs)
    row = (
        tables.number("operations", name_of(step.prim)), len(step.args),
        tables.number("parameters", pack.parameters(step.prim, step.params)), len(step.outs),
        tables.number("errors", step.errstate), tables.line(step.line),
    )  # fmt: skip
    for name, number in zip(_OF_STEPS, row, strict=True):
        entry[name].append(number)
    entry["args"] += step.args
    entry["outs"] += step.outs
    entry["specs"] += [tables.number("specs", pack.data(values[out].spec)) for out in step.outs]
    entry["several"] += [i] * step.several
    entry["units"] += [i] * step.units


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
    """A file's steps up to a question or to the end, checked."""

    __slots__ = ("children", "columns", "constants", "end", "later")

    def __init__(self, constants: dict[int, Any], columns: dict[str, list[int]], end: Guard | Result) -> None:
        self.constants, self.columns, self.end = constants, columns, end
        self.children: dict[Any, Stretch] = {}
        #: What its end, or stretches further on, read.
        self.later = {*_asked_of(end)}


class Shared:
    """The tables of a file, read."""

    def __init__(self, tables: dict[str, list[Any]], read: Unpacker) -> None:
        self.read = read
        self.operations = [operation(name) for name in tables["operations"]]
        self.specs = [read.data(x, False) for x in tables["specs"]]
        if any(type(spec) is not Spec for spec in self.specs):
            raise Invalid("a result isn't described as an array")
        self.errors = [_errstate(x) for x in tables["errors"]]
        self.lines = [(text(file), whole(number), text(name)) for file, number, name in tables["lines"]]
        self._parameters = tables["parameters"]
        self._read: dict[tuple[int, int], dict[str, Any]] = {}

    def parameters(self, prim: int, number: int) -> dict[str, Any]:
        """Those of a row of the table, for that operation."""
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
    for i in reversed(range(1, len(stretches))):
        stretches[above[i]].later |= stretches[i].later.union(stretches[i].columns["args"])
    return stretches[0]


def _stretch(entry: dict[str, Any], shared: Shared) -> Stretch:
    columns = {name: _numbers(entry[name]) for name in _COLUMNS}
    several, results = {*columns["several"]}, columns["results"]
    if (
        any(len(columns[name]) != len(results) for name in _OF_STEPS)
        or len(columns["args"]) != sum(columns["arity"])
        or not len(columns["outs"]) == len(columns["specs"]) == sum(results)
        or any(n != 1 and (not n or i not in several) for i, n in enumerate(results))
    ):
        raise Invalid("its steps are of different numbers")
    for table, name in ((shared.errors, "errors"), (shared.lines, "lines"), (shared.specs, "specs")):
        whole(max(columns[name], default=-1), -1, len(table) - 1)
    for prim, parameters in {*zip(columns["operations"], columns["parameters"], strict=True)}:
        shared.parameters(prim, parameters)
    constants = {whole(number): shared.read.data(x) for number, x in entry["constants"]}
    for constant in constants.values():
        backend_of((constant,))  # raises TypeError for what can't be an operand
    return Stretch(constants, columns, _end(entry, shared))


def _numbers(column: Any) -> list[int]:
    found = np.array(column, np.int64)
    if found.ndim != 1 or (found.size and found.min() < 0):
        raise Invalid("a column isn't of numbers")
    return found.tolist()  # type: ignore[no-any-return]


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
    """That every value is made once, and read after that. ``known`` becomes what is there at the end."""
    args, outs = stretch.columns["args"], stretch.columns["outs"]
    made = [*stretch.constants, *outs]
    if made and not inputs <= min(made) <= max(made) <= 4 * (len(known) + len(made)) + 64:
        raise Invalid("the number of a value is out of bounds")
    if len(made) != len({*made}) or not known.isdisjoint(made):
        raise Invalid("a value is made twice")
    known.update(stretch.constants)
    at = dict.fromkeys(known, -1)
    at.update(zip(outs, _owners(stretch.columns["results"]), strict=True))
    known.update(outs)
    if not all(at.get(a, i) < i for a, i in zip(args, _owners(stretch.columns["arity"]), strict=True)):
        raise Invalid("a value is read that isn't there")
    if not known.issuperset(_asked_of(stretch.end)):
        raise Invalid("a value is asked for that isn't there")


def _owners(counts: list[int]) -> list[int]:
    """Which step each of so many things in a row belongs to."""
    return np.repeat(np.arange(len(counts)), counts).tolist()


def _asked_of(end: Guard | Result) -> list[int]:
    return [end.value] if isinstance(end, Guard) else [place for place in end.places if place is not None]


# -- going --------------------------------------------------------------------------------------------
class Way:
    """A call, gone step by step: what happened, as a record has it, and the result."""

    def __init__(self, start: Stretch, inputs: Iterable[Any], shared: Shared, file: str) -> None:
        self.events: list[Step | Guard] = []
        self.values: list[Value] = []
        self.shared, self.file = shared, file
        self._raws: dict[int, Any] = {}
        #: Values whose shape another call may find otherwise: a program asks for it next.
        self._to_ask: list[int] = []
        for number, x in enumerate(inputs):
            self._enter(number, x, _value(x))
        stretch = start
        while True:
            for number, raw in stretch.constants.items():
                self._enter(number, raw, _value(raw)._replace(raw=raw))
            self._go(stretch)
            if isinstance(stretch.end, Result):
                if self._to_ask:
                    raise self._not_asked()
                self.end = stretch.end
                break
            if self._to_ask and (stretch.end.value, stretch.end.question) != (self._to_ask.pop(0), shape_of):
                raise self._not_asked()
            stretch = self._ask(stretch, stretch.end)
        self.result = self._result()

    def _enter(self, number: int, raw: Any, value: Value) -> None:
        self._raws[number] = raw
        while len(self.values) <= number:
            self.values.append(_NO_VALUE)
        self.values[number] = value

    def _go(self, stretch: Stretch) -> None:
        """The steps up to its end."""
        c, shared, known = stretch.columns, self.shared, self._raws
        last = dict(zip(c["outs"], _owners(c["results"]), strict=True))
        last.update(zip(c["args"], _owners(c["arity"]), strict=True))
        gone: dict[int, list[int]] = {}
        for number, i in last.items():
            if number not in stretch.later:
                gone.setdefault(i, []).append(number)
        several, units = {*c["several"]}, {*c["units"]}
        first = made = 0
        for i, row in enumerate(zip(*[c[name] for name in _OF_STEPS], strict=True)):
            prim, arity, parameters, results, errors, line = row
            args, outs = tuple(c["args"][first : first + arity]), tuple(c["outs"][made : made + results])
            raws = [known[a] for a in args]
            step = Step(
                shared.operations[prim], args, shared.parameters(prim, parameters), outs, i in several,
                backend_of(raws), shared.errors[errors], shared.lines[line], i in units,
            )  # fmt: skip
            self._take(step, raws, [shared.specs[k] for k in c["specs"][made : made + results]])
            first, made = first + arity, made + results
            for number in gone.get(i, ()):
                del known[number]

    def _take(self, step: Step, raws: list[Any], expected: list[Spec]) -> None:
        """One step, of which a file says what the results are like."""
        if self._to_ask:
            raise self._not_asked()
        found = self._results(step, raws)
        if len(found) != len(step.outs):
            raise self._otherwise(step, f"{len(found)} results", f"{len(step.outs)}")
        varies = shape_varies(step.prim, raws)
        for out, x, spec in zip(step.outs, found, expected, strict=True):
            raw = settle(x)
            value = _value(raw, sharing(raw, raws, step.args))
            if value.spec is not spec and (
                value.spec.dtype != spec.dtype or (value.spec.shape != spec.shape and not varies)
            ):
                raise self._otherwise(step, value.spec, spec)
            self._enter(out, raw, value)
        if varies:
            self._to_ask += step.outs
        self.events.append(step)

    def _results(self, step: Step, raws: list[Any]) -> Any:
        prim, params = step.prim, step.params
        try:
            if prim.name in _UNCHECKED_BY_NUMPY:
                _UNCHECKED_BY_NUMPY[prim.name](*raws, **params)
            with np.errstate(**step.errstate) if step.errstate else _NOTHING_ELSE:
                ans = prim.function(*raws, **params) if type(prim) is PythonOperator else prim.evaluate(raws, params)
        except Exception as error:
            self._check_error(error, prim.name, step.line)
            raise
        several = type(ans) is tuple or type(ans) is list
        if several is not step.several:
            raise self._otherwise(step, type(ans).__name__, "several results" if step.several else "one")
        return ans if several else (ans,)

    def _check_error(self, error: Exception, what: str, line: Line) -> None:
        """Say where an error comes from. Some can't come of other numbers than there were when it was recorded."""
        where = f"recorded of {line[0]}, line {line[1]}, in {line[2]}"
        if isinstance(error, _OF_WHAT_IS_WRITTEN):
            raise SavedFileError(
                f"{self.file} isn't as gpuad writes it: {what}, {where}, raises {type(error).__name__}: {error}"
            ) from error
        error.add_note(f"gpuad.load_jit: in {self.file}, {where}")

    def _not_asked(self) -> SavedFileError:
        return SavedFileError(f"{self.file} isn't as gpuad writes it: it doesn't ask for a shape that may vary")

    def _otherwise(self, step: Step, got: Any, expected: Any) -> SavedFileError:
        file, number, name = step.line
        return SavedFileError(
            f"{self.file}: {step.prim.name} gives {got} here, and gave {expected} when the file was written (line "
            f"{number} of {file}, in {name}). Libraries of other versions may be why; save the function again"
        )

    def _ask(self, stretch: Stretch, guard: Guard) -> Stretch:
        try:
            key = answer_key(guard.question(self._raws[guard.value]))
        except Exception as error:
            self._check_error(error, "a question", guard.line)
            raise
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


def _value(raw: Any, shares: tuple[int, ...] = ()) -> Value:
    """What a record would know of it."""
    if type(raw) is np.ndarray:
        return Value(make_spec(raw.shape, raw.dtype), raw.strides, shares)
    known = type(raw) in _NUMBERS or owner_of_type(type(raw)) is not None
    return Value(spec_of(raw if known else False), getattr(raw, "strides", None) if is_array(raw) else None, shares)


_NO_VALUE = _value(False)
_NOTHING_ELSE = contextlib.nullcontext()
#: Errors of operations on what they aren't for.
_OF_WHAT_IS_WRITTEN = (TypeError, AttributeError, KeyError, NameError, AssertionError, RecursionError)


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

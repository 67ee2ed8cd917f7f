"""The ways that a program has gone: a tree, which forks where it asked for a value and was told another answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ..backend import cupy_backend
from ..core.pytree import leaves
from ..core.record import Guard, Line, Step, Value, answer_key, same_thing
from ..native.stretch import turns
from .draws import put_back, state_of
from .replay import Result, Segment
from .simplify import Simplifier, is_pure

#: So many ways are kept; the one not gone for longest is forgotten.
WAYS = 64
#: A question for a number or an array that has had more answers than this is no good for deciding anything.
ANSWERS = 8


class Ungovernable(Exception):
    """The program can't be replayed; says why."""

    def __init__(self, cause: str, line: Line) -> None:
        super().__init__(cause)
        self.line = line


class Node:
    """The stretch from a guard, or the start, to the next one, or the end."""

    __slots__ = (
        "bound",
        "children",
        "end",
        "exports",
        "floor",
        "parent",
        "raw",
        "segment",
        "simplifier",
        "steps",
        "turns",
        "used",
    )

    def __init__(
        self, parent: Node | None, raw: list[Step], end: Guard | Result, values: list[Value], bound: int
    ) -> None:
        self.parent, self.end = parent, end
        #: As recorded. The values known then have numbers below ``bound``.
        self.raw, self.bound = raw, bound
        self.children: dict[Any, Node] = {}
        self.simplifier: Simplifier = _simplifier_after(parent)
        start = parent.bound if parent else 0
        self.simplifier.values.update(enumerate(values[start:bound], start))
        #: Without what is needless; it has added values with numbers above ``floor``.
        self.steps = self.simplifier.take(raw)
        self.floor = self.simplifier.next
        self.simplifier.tip = self
        #: What stretches further on read of what is computed here.
        self.exports: set[int] = set()
        self.segment: Segment | None = None
        #: After how many more replays it is to be done in C; 0 or less if it isn't.
        self.turns = 0
        self.used = 0

    def needed(self) -> tuple[list[Step], set[int]]:
        """The steps that something depends on, and all that is read."""
        find = self.simplifier.find
        ends = [self.end.value] if isinstance(self.end, Guard) else [p for p in self.end.places if p is not None]
        wanted = {*map(find, ends), *self.exports}
        kept = []
        for step in reversed(self.steps):
            if not wanted.isdisjoint(step.outs) or not is_pure(step.prim):
                kept.append(step)
                wanted.update(step.args)
        kept.reverse()
        return kept, wanted


def _simplifier_after(node: Node | None) -> Simplifier:
    if node is None:
        return Simplifier()
    simplifier: Simplifier = node.simplifier
    return simplifier if simplifier.tip is node else simplifier.fork(node.bound, node.floor)


class Tree:
    """All that was recorded for arguments of one kind; ``run`` replays it."""

    def __init__(self, inputs: int, name: str, generators: Sequence[int] = ()) -> None:
        #: How many inputs there are, and which of these are random generators.
        self.inputs, self.generators = inputs, generators
        self.name = name
        self.root: Node | None = None
        self.clock = 0
        self.version = 0

    # -- growing --
    def add(self, events: list[Step | Guard], values: list[Value], result: Result) -> None:
        """Enter a recorded run. Raises ``Ungovernable`` if it wasn't by answers alone that it differs from others."""
        node, parent, key = self.root, None, None
        for steps, end, bound in _stretches(events, result, self.inputs, len(values)):
            if node is None:
                node = Node(parent, steps, end, values, bound)
                node.used = self.clock
                if parent is None:
                    self.root = node
                else:
                    _check_answers(parent, key)
                    parent.children[key] = node
            else:
                _compare(node, steps, end, values)
            parent, key = node, getattr(end, "key", None)
            node = node.children.get(key)
        while len(leaves := [n for n in self.nodes() if not n.children]) > WAYS:
            self._forget(min(leaves, key=lambda n: n.used))
        self._link()
        self.version += 1

    def nodes(self) -> list[Node]:
        """All stretches, each before those that follow it."""
        found = [self.root] if self.root is not None else []
        for node in found:
            found += node.children.values()
        return found

    def _link(self) -> None:
        """Find what every stretch has to hand on."""
        below: dict[int, set[int]] = {}
        for node in reversed(self.nodes()):
            # Sets are changed in place: copies at every stretch would take quadratic time.
            asked, *more = [below.pop(id(child)) for child in node.children.values()] or [set()]
            asked.update(*more)
            made = {out for step in node.steps for out in step.outs}
            exports = asked & made
            if exports != node.exports:
                node.exports, node.segment = exports, None
            asked |= node.needed()[1]
            asked -= made
            below[id(node)] = asked

    def _forget(self, leaf: Node) -> None:
        while leaf.parent is not None and len(leaf.parent.children) == 1:
            leaf = leaf.parent
        if leaf.parent is not None:
            leaf.parent.children = {k: n for k, n in leaf.parent.children.items() if n is not leaf}

    # -- going --
    def run(self, inputs: Any) -> tuple[bool, Any]:
        """Whether this way is known, and the result then. Else, and where an operation raises an error, generators
        are as they were before."""
        drawn_from = [inputs[k] for k in self.generators]
        before = [state_of(g) for g in drawn_from]
        try:
            while (found := self._go(inputs)) is None:
                _put_back(drawn_from, before)
        except Exception:
            _put_back(drawn_from, before)
            raise
        if not found[0]:
            _put_back(drawn_from, before)
        return found

    def _go(self, inputs: Any) -> tuple[bool, Any] | None:
        """The same; ``None`` if another thread has added a way meanwhile: what is handed on may have changed."""
        version, node = self.version, self.root
        state: dict[int, Any] = {}
        while node is not None:
            segment = node.segment or self.compiled(node, inputs, state)
            node.turns -= 1
            if not node.turns:
                segment = self._in_c(node)
            found = segment.run(inputs, state)
            if not isinstance(node.end, Guard):
                self.clock += 1
                node.used = self.clock
                return True, found
            node = node.children.get(found)
            if self.version != version:
                return None
        return False, None

    def way(self, inputs: Any) -> list[Segment]:
        """The stretches that a replay with these inputs goes through; they are run for it."""
        node, state, found = self.root, {}, []  # type: ignore[var-annotated]
        while node is not None:
            found.append(node.segment or self.compiled(node, inputs, state))
            answer = found[-1].run(inputs, state)
            node = node.children.get(answer) if isinstance(node.end, Guard) else None
        return found

    def compiled(self, node: Node, inputs: Any, state: dict[int, Any]) -> Segment:
        """The code of a stretch, to be run on inputs like these."""
        segment = node.segment
        if segment is None:
            segment = node.segment = self._on_device(node, inputs, state)
        if segment is None:
            node.turns = turns(len(node.steps))
            if node.turns == 1:  # at once, without Python's text
                return self._in_c(node)
            segment = node.segment = self._segment(node, in_c=False)
        return segment

    def _in_c(self, node: Node) -> Segment:
        """The code of a stretch, of which what can be is compiled."""
        from ..fused.compiler import CompilerUnavailable

        version = self.version
        node.turns = 0
        try:
            segment = self._segment(node, in_c=True)
        except CompilerUnavailable:  # `gpuad.info` says so
            segment = node.segment or self._segment(node, in_c=False)
        except Exception as error:
            self._mistake("stays in Python (GPUAD_CPU_EXECUTOR=numpy avoids it)", error)
            segment = node.segment or self._segment(node, in_c=False)
        if self.version == version:  # else another thread has added a way, and more may have to be handed on
            node.segment = segment
        return segment

    def _on_device(self, node: Node, inputs: Any, state: dict[int, Any]) -> Segment | None:
        """The code of a stretch whose kernels are known beforehand; ``None`` if they can't be, or there are none."""
        if not any(step.backend is cupy_backend for step in node.steps):
            return None
        from .rehearsal import Unknown
        from .scripted import Scripted

        try:
            return self._segment(node, Scripted, given={**dict(enumerate(inputs)), **state})
        except (Unknown, MemoryError):
            return None
        except Exception as error:
            self._mistake("is replayed in more time than it could be", error)
            return None

    def _segment(self, node: Node, kind: type[Segment] = Segment, **options: Any) -> Segment:
        steps, wanted = node.needed()
        made = node.simplifier.made
        before = {place for place in wanted if place in made}.difference(*[step.outs for step in node.steps])
        values, find = node.simplifier.values, node.simplifier.find
        return kind(
            steps, values, find, self.inputs, before, sorted(node.exports), node.end, self.name, **options
        )  # fmt: skip

    def _mistake(self, what: str, error: Exception) -> None:
        """A mistake of ours, without which the program goes on as well."""
        warnings.warn(
            f"gpuad.jit: {self.name} {what}, for compiling it failed, which is a mistake of gpuad's: "
            f"{type(error).__name__}: {error}. Please report it",
            RuntimeWarning,
            stacklevel=3,
        )


def _put_back(generators: list[Any], states: list[Any]) -> None:
    for g, state in zip(generators, states, strict=True):
        put_back(g, state)


def _check_answers(node: Node, key: Any) -> None:
    guard = node.end
    assert isinstance(guard, Guard)
    if len(node.children) >= ANSWERS and type(key) not in (bool, int, tuple):
        raise Ungovernable("a value that is another at every call became a Python number, an array or text", guard.line)


def _compare(node: Node, steps: list[Step], end: Guard | Result, values: list[Value]) -> None:
    """The same up to the guard, constants too, or something has played a part that can't be seen."""
    same = len(node.raw) == len(steps) and all(a.alike(b) for a, b in zip(node.raw, steps, strict=True))
    if isinstance(node.end, Guard):
        same = same and node.end.alike(end)
    else:
        same = same and isinstance(end, Result) and _same_result(node.end, end)
    step = next((b for a, b in zip(node.raw, steps, strict=False) if not a.alike(b)), None)
    if same:
        known = node.simplifier.values
        step = next((b for b in steps if not all(_equal(known[a], values[a]) for a in b.args)), None)
    if not same or step is not None:
        line = (step or (end if isinstance(end, Guard) else None) or (steps or node.raw)[-1]).line
        raise Ungovernable("it did something else than before, by what can't be seen in its arguments", line)


def _same_result(a: Result, b: Result) -> bool:
    paths = [[path for path, _ in leaves(end.template)] for end in (a, b)]
    return a.places == b.places and paths[0] == paths[1] and all(map(same_thing, a.raws, b.raws))


def _equal(a: Value, b: Value) -> bool:
    return a.raw is b.raw or answer_key(a.raw) == answer_key(b.raw)


def _stretches(
    events: list[Step | Guard], result: Result, inputs: int, known: int
) -> Iterator[tuple[list[Step], Guard | Result, int]]:
    """The steps up to every guard, that guard, and how many values were known then."""
    steps: list[Step] = []
    bound = inputs
    for event in events:
        if isinstance(event, Guard):
            yield steps, event, bound
            steps = []
        else:
            steps.append(event)
            bound = max(bound, *[place + 1 for place in (*event.args, *event.outs)])
    yield steps, result, known

"""jit: a program recorded once, and replayed."""

from __future__ import annotations

import functools
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..backend import current as current_backend
from ..backend import owner_of_type
from ..core.box import Box, spec_of
from ..core.level import running
from ..core.pytree import children, is_leaf, leaves, rebuild, tree_map
from ..core.record import Line, Record, Refused, is_array, recording, user_line
from ..core.untraced import settled
from ..errors import UnsupportedError
from ..fusion.switch import on as fusion_on
from ..graph.replay import Result, Segment
from ..graph.report import Lowered, ReplayCost, count, describe
from ..graph.surroundings import Surroundings, Traced
from ..graph.tree import Tree, Ungovernable
from .gradients import check_function, owner

#: So many kinds of arguments are kept, and of what there is around the function.
_KINDS, _AROUND = 128, 8
#: When so many recordings have been made, and more than were replayed, the function is called as it is.
_PATIENCE = 64

_RETURNED = (bool, int, float, complex, str, bytes, np.generic, np.dtype, range, type(Ellipsis))
_STATIC = frozenset({int, bool, str, bytes, type(None)})
#: Python's numbers that may change without a new recording: at first, and if whole ones do.
_INPUTS, _INPUTS_TOO = frozenset({float, complex}), frozenset({float, complex, int})
#: So many values of whole numbers have recordings of their own.
_VALUES = 4


class _Same:
    """An object in a key: equal to itself alone."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.x is self.x

    def __hash__(self) -> int:
        return id(self.x)


def _sign(x: Any, key: list[Any], flat: list[Any], inputs: frozenset[type]) -> None:
    """Append to ``key`` what ``x`` is like, and to ``flat`` the arrays in it, and numbers of the types ``inputs``."""
    kind = type(x)
    if kind is np.ndarray:
        key += (x.shape, x.dtype, x.strides)
        flat.append(x)
        if x.dtype.hasobject:
            raise Traced
    elif kind is Box:
        raise Traced
    elif kind in inputs:
        key.append(kind)
        flat.append(x)
    elif kind in _STATIC:
        key += (kind, x)
    elif kind is tuple or kind is list:
        key += (kind, len(x))
        for part in x:
            _sign(part, key, flat, inputs)
    elif kind is dict:
        key += (kind, *x, len(x))
        for part in x.values():
            _sign(part, key, flat, inputs)
    elif owner_of_type(kind) is not None:
        key += (kind, x.shape, x.dtype, getattr(x, "strides", None))
        flat.append(x)
    else:
        parts = children(x)
        if parts is None:
            if isinstance(x, np.ndarray):  # a matrix, or a masked array: what an operation means is theirs to say
                raise Traced
            key.append(_Same(x))
            return
        key += (kind, *[step for step, _ in parts], len(parts))
        for _, part in parts:
            _sign(part, key, flat, inputs)


def _without_whole_numbers(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([None if i and key[i - 1] is int and type(k) is int else k for i, k in enumerate(key)])


def _replaced(x: Any, boxes: Iterator[Any], inputs: frozenset[type]) -> Any:
    """``x`` with boxes for what ``_sign`` put into ``flat``."""
    kind = type(x)
    if kind in inputs or owner_of_type(kind) is not None:
        return next(boxes)
    if kind in _STATIC or is_leaf(x):
        return x
    return rebuild(x, [_replaced(part, boxes, inputs) for _, part in children(x) or ()])


class _Recording:
    """What was recorded in surroundings of one kind, which ``read`` looks at. ``doubtful``: whether the next call has
    to show that the same comes of the same arguments."""

    __slots__ = ("doubtful", "read", "tree")

    def __init__(self, read: Callable[[], Any], tree: Tree, doubtful: bool) -> None:
        self.read, self.tree, self.doubtful = read, tree, doubtful


class Jitted:
    """The recordings of a function, and what calls it."""

    holds_recordings = True

    def __init__(self, f: Callable[..., Any], argnums: tuple[int, ...], argnames: tuple[str, ...]) -> None:
        self.f, self.argnums, self.argnames = f, argnums, argnames
        self.name = getattr(f, "__name__", type(f).__name__)
        #: By what the arguments are like: recordings, each for other surroundings.
        #: The text stands where the function is called as it is, and says why.
        self.known: dict[Any, list[_Recording] | str] = {}
        self.lock = threading.Lock()
        self.recorded = self.replayed = 0
        self.inputs = _INPUTS
        self.given_up = False
        self.warned: set[str] = set()

    def sign(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
        key: list[Any] = [current_backend(), fusion_on(), *np.geterr().values()]
        flat: list[Any] = []
        static = self.argnums
        for i, arg in enumerate(args):
            if static and (i in static or i - len(args) in static):
                key.append(_hashable(arg, f"argument {i}"))
            else:
                _sign(arg, key, flat, self.inputs)
        if kwargs:
            for name, arg in kwargs.items():
                key.append(name)
                if name in self.argnames:
                    key.append(_hashable(arg, f"argument {name!r}"))
                else:
                    _sign(arg, key, flat, self.inputs)
        return tuple(key), flat

    def __call__(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if self.given_up or not _enabled or recording.get():
            return self.f(*args, **kwargs)
        try:
            key, flat = self.sign(args, kwargs)
            known = self.known.get(key, ())
        except Traced:
            return self.f(*args, **kwargs)
        if isinstance(known, str):
            return self.f(*args, **kwargs)
        for recording_of in known:
            around = recording_of.read()
            if type(around) is tuple:
                if recording_of.doubtful:
                    recording_of.doubtful = False
                else:
                    done, result = recording_of.tree.run((*flat, *around))
                    if done:
                        self.replayed += 1
                        return result
                return self._record(args, kwargs, key, flat, recording_of.tree)
        return self._record(args, kwargs, key, flat, None)

    # -- recording --
    def _record(self, args: Sequence[Any], kwargs: dict[str, Any], key: Any, flat: list[Any], tree: Tree | None) -> Any:
        self.recorded += 1
        if self.recorded > _PATIENCE and self.recorded > self.replayed:
            self.given_up = True
            self._warn("at almost every call something is new: arguments that aren't arrays, shapes, branches", None)
            return self.f(*args, **kwargs)
        if tree is None and int in key and self._varies(key):
            self.inputs = _INPUTS_TOO
            return self(args, kwargs)
        try:
            around = Surroundings(self.f, self._static_objects(args, kwargs))
        except Traced:
            return self.f(*args, **kwargs)
        except Refused as refusal:
            return self._plainly(args, kwargs, key, str(refusal), None)
        run = _Run(around)
        try:
            result = run.call(flat, self._with_boxes(args, kwargs))
        except Refused as refusal:
            around.restore(run.record)
            return self._plainly(args, kwargs, key, str(refusal), refusal.line)
        except Exception as error:
            around.restore(run.record)
            line = _line_of(error)
            result = self.f(*args, **kwargs)  # an error of the program's own comes from here
            self._refuse(key, f"it raised {type(error).__name__}: {error}", line)
            return result
        cause = run.changed()
        if cause is not None and run.effect_was_lost:
            return self._plainly(args, kwargs, key, *cause)
        cause = cause or run.unknown_array()
        if cause is None:
            try:
                self._enter(key, tree, run)
            except Ungovernable as refusal:
                cause = str(refusal), refusal.line
        if cause is not None:
            self._refuse(key, *cause)
        return result

    def _varies(self, key: tuple[Any, ...]) -> bool:
        """Whether too many recordings differ by whole numbers alone."""
        kind = _without_whole_numbers(key)
        return sum(_without_whole_numbers(known) == kind for known in list(self.known)) >= _VALUES

    def _enter(self, key: Any, tree: Tree | None, run: _Run) -> None:
        with self.lock:
            known = self.known.get(key) or []
            if isinstance(known, str):  # another thread has found out that it can't be replayed
                return
            fresh = tree is None
            tree = tree or Tree(len(run.record.given), self.name)
            tree.add(run.record.events, run.record.values, run.template)
            if fresh:
                known = [*known[-_AROUND + 1 :], _Recording(run.around.read, tree, run.around.doubtful)]
            if len(self.known) >= _KINDS and key not in self.known:
                self.known.pop(next(iter(self.known)), None)
            self.known[key] = known

    def _with_boxes(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[Iterator[Any]], Any]:
        inputs = self.inputs
        static = {i % len(args) for i in self.argnums if -len(args) <= i < len(args)} if args else ()

        def put(boxes: Iterator[Any]) -> Any:
            given = [a if i in static else _replaced(a, boxes, inputs) for i, a in enumerate(args)]
            return given, {k: a if k in self.argnames else _replaced(a, boxes, inputs) for k, a in kwargs.items()}

        return put

    def _static_objects(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What arguments count as constant but may hold what changes."""
        found = {}
        for path, leaf in leaves((list(args), kwargs)):
            if type(leaf) not in _STATIC and type(leaf) not in (float, complex) and owner_of_type(type(leaf)) is None:
                found[f"the argument{path}"] = leaf
        return found

    # -- giving up --
    def _plainly(self, args: Sequence[Any], kwargs: dict[str, Any], key: Any, cause: str, line: Line | None) -> Any:
        self._refuse(key, cause, line)
        return self.f(*args, **kwargs)

    def _refuse(self, key: Any, cause: str, line: Line | None) -> None:
        if len(self.known) >= _KINDS and key not in self.known:
            self.known.pop(next(iter(self.known)), None)
        self.known[key] = self._warn(cause, line)

    def _warn(self, cause: str, line: Line | None) -> str:
        where = f" ({line[0]}, line {line[1]}, in {line[2]})" if line is not None else ""
        text = f"gpuad.jit: {self.name} is called as it is, without a recording, for {cause}{where}"
        if text not in self.warned:
            self.warned.add(text)
            warnings.warn(text, RuntimeWarning, stacklevel=5)
        return text

    def way(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Segment], list[str]]:
        """The stretches that a call with these arguments replays, and what its inputs are called."""
        try:
            key, flat = self.sign(args, kwargs)
        except Traced:
            raise UnsupportedError(
                "jit: there is no recording of traced arrays: the function is called as it is"
            ) from None
        for _ in range(3):  # the first call records, and the second one may have to show that it comes out the same
            self(args, kwargs)
            known = self.known.get(key, "gpuad.jit: it has been given up, or is switched off")
            if isinstance(known, str):
                raise UnsupportedError(known)
            for recorded in known:
                around = recorded.read()
                if type(around) is tuple and not recorded.doubtful:
                    names = [f"argument{path} {spec_of(x)}" for path, x in _named(args, kwargs, flat)]
                    names += [f"from around: {spec_of(x)}" for x in around]
                    return recorded.tree.way((*flat, *around)), names
        raise UnsupportedError("jit: what is around the function changes at every call")


class _Run:
    """One call of a function under a record."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.record = Record()
        self.effect_was_lost = False
        self.line = user_line()

    def call(self, flat: list[Any], with_boxes: Callable[[Iterator[Any]], Any]) -> Any:
        """The function's result, and how it is made of what was recorded."""
        record = self.record
        args, kwargs = with_boxes(iter([record.watch(x) for x in flat]))
        f = self.around.inside(record)
        self.states = _states(self.around.generators)
        tokens = recording.set(True), running.set(True)
        try:
            result = tree_map(settled, f(*args, **kwargs))
        finally:
            record.close()
            recording.reset(tokens[0])
            running.reset(tokens[1])
        places: list[int | None] = []
        raws: list[Any] = []
        taken = {id(owner(x)) for x in (*flat, *[x for _, x in self.around.arrays])}
        found = []
        for _, leaf in leaves(result):
            place = record.outside(leaf)
            if place is None and type(leaf) is Box:
                raise Refused("it returns a traced array of another transformation")
            if place is None and not is_array(leaf) and not isinstance(leaf, _RETURNED):
                raise Refused(f"it returns an object of type {type(leaf).__name__}")
            if place is None and is_array(leaf):
                record.hold(leaf, ("result", len(raws)))
            raw = leaf.value if place is not None else leaf
            places.append(place)
            raws.append(None if place is not None else leaf)
            found.append(raw.copy(order="K") if place is None and is_array(raw) else _own(raw, taken))
        self.template = Result(tree_map(lambda leaf: _LEAF, result), places, raws)
        made = iter(found)
        return tree_map(lambda _: next(made), result)

    def changed(self) -> tuple[str, Line | None] | None:
        """What the function has done besides computing its result."""
        if _states(self.around.generators) != self.states:
            return "it draws random numbers, which would be the same at every call; draw them outside", self.line
        if self.around.wrote_into_copies():
            self.effect_was_lost = True
            return "it changes a container of arrays from around it", self.line
        now = self.around.read()
        if type(now) is str:
            self.around.restore(self.record)
            return f"it changes {now}", self.line
        return None

    def unknown_array(self) -> tuple[str, Line | None] | None:
        """An array that takes part, may change, and isn't found from the function."""
        line = self._held_elsewhere()
        if line is not None:
            import gc

            gc.collect()
            line = self._held_elsewhere()
        if line is None:
            return None
        return "it uses an array that is kept where jit doesn't find it, and may change: pass it as an argument", line

    def _held_elsewhere(self) -> Line | None:
        """Where an array came in that something else than the record refers to."""
        held = self.record.held
        views = [id(owner(x)) for x, _, _ in held.values() if owner(x) is not x]
        for entry in held.values():
            raw, line, containers = entry
            known = not self.around.watched.isdisjoint((id(raw), id(owner(raw))))
            own = owner(raw) is raw
            del raw
            if not known and _counts_are_exact:
                others = _others(entry, len(containers), views) if own else _others_of_base(entry, held, views)
                if others:
                    return line
        return None


def _others(entry: tuple[Any, ...], containers: int, views: list[int]) -> bool:
    """Whether an array can be changed, by somebody else who refers to it."""
    ours = containers + views.count(id(entry[0]))
    return _is_writable(entry[0]) and _count(entry) > _ALONE + ours


def _others_of_base(entry: tuple[Any, ...], held: dict[int, tuple[Any, Line, set[Any]]], views: list[int]) -> bool:
    """The same of the memory that a view shows."""
    base = owner(entry[0])
    if not is_array(base) or not _is_writable(base):
        return False
    itself = held.get(id(base))
    ours = views.count(id(base)) + (1 + len(itself[2]) if itself else 0)
    return _count_base(entry) - 1 > _BASE_ALONE + ours


def _is_writable(raw: Any) -> bool:
    return bool(getattr(getattr(raw, "flags", None), "writeable", True))


# Without the global lock a reference count may lag behind.
_counts_are_exact = getattr(sys, "_is_gil_enabled", lambda: True)()


def _count(entry: tuple[Any, ...]) -> int:
    return sys.getrefcount(entry[0])


def _count_base(entry: tuple[Any, ...]) -> int:
    base = owner(entry[0])
    return sys.getrefcount(base)


_ALONE, _BASE_ALONE = _count((np.empty(1),)), _count_base((np.empty(2)[:1],)) - 1
_LEAF = object()


def _own(x: Any, taken: set[int]) -> Any:
    """A result that shares its memory with nobody."""
    if not is_array(x):
        return x
    if x.base is None and id(x) not in taken:
        taken.add(id(x))
        return x
    return x.copy(order="K")


def _states(generators: list[Any]) -> list[Any]:
    """What random numbers will come next."""
    found: list[Any] = [_bits(np.random.get_state(legacy=False)), random.getstate()]
    for g in generators:
        if isinstance(g, random.Random):
            found.append(g.getstate())
        else:
            state = g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state(legacy=False)
            found.append(_bits(state))
    return found


def _bits(state: Any) -> Any:
    if isinstance(state, dict):
        return [_bits(part) for part in state.values()]
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _line_of(error: BaseException) -> Line | None:
    """The line of the program that an error comes from: the last that isn't ours or NumPy's."""
    from ..core import record

    trace, found = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((record._HERE, record._NUMPYS, "<")):
            found = code.co_filename, trace.tb_lineno, code.co_name
        trace = trace.tb_next
    return found


def _named(args: Sequence[Any], kwargs: dict[str, Any], flat: list[Any]) -> Iterator[tuple[str, Any]]:
    """The inputs with the ways that lead to them."""
    paths = [(f"[{i}]{path}", leaf) for i, a in enumerate(args) for path, leaf in leaves(a)]
    paths += [(f" {name}{path}", leaf) for name, a in kwargs.items() for path, leaf in leaves(a)]
    found = iter(paths)
    for x in flat:
        yield next((path, leaf) for path, leaf in found if leaf is x)


def _hashable(x: Any, what: str) -> Any:
    try:
        hash(x)
    except TypeError:
        raise TypeError(f"jit: {what} is static, so it must be hashable, got {type(x).__name__}") from None
    return type(x), x


_enabled = os.environ.get("GPUAD_JIT", "1") not in ("0", "")


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
) -> Any:
    """``f``, recorded at its first call and replayed at later ones: the same results, in less time.

    The first call with arguments of a kind (containers, shapes, dtypes, numbers that aren't floating-point) runs ``f``
    and writes down what it does to arrays, whatever is inside: ``grad``, ``vmap``, other jitted functions. Later ones
    replay that, without the Python around it. Where the program asked for a value, to branch by it, the replay asks
    again, and if the answer is new ``f`` is recorded once more. Variables that ``f`` reads from around it, arrays and
    others, may change between calls. Results are arrays of their own.

    ``static_argnums`` and ``static_argnames`` name arguments of which every value is a kind of its own; these must be
    hashable. What can't be replayed faithfully, for ``f`` draws random numbers, say, or writes into an argument, is
    called as it is, with one ``RuntimeWarning`` that names the line. docs/jit.md says more. ``GPUAD_JIT=0`` in the
    environment turns recording off.

    ``jit(f).lower(*args)`` shows the recorded program, ``jit(f).cost(*args)`` counts what a replay does.

    >>> import numpy as np
    >>> from gpuad import grad
    >>> @jit
    ... def step(w, x):
    ...     return w - 0.5 * grad(lambda w: np.sum((w - x) ** 2) if x[0] > 0 else np.sum(w))(w)
    >>> step(np.zeros(2), np.ones(2)), step(np.zeros(2), -np.ones(2))
    (array([1., 1.]), array([-0.5, -0.5]))
    """
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    if f is None:
        return functools.partial(jit, static_argnums=numbers, static_argnames=names)
    check_function(f, "jit")
    call = Jitted(f, numbers, names)

    @functools.wraps(f)
    def jitted(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    def lower(*args: Any, **kwargs: Any) -> Lowered:
        return describe(*call.way(args, kwargs))

    def cost(*args: Any, **kwargs: Any) -> ReplayCost:
        return count(call.way(args, kwargs)[0])

    jitted.recordings, jitted.lower, jitted.cost = call, lower, cost  # type: ignore[attr-defined]
    return jitted

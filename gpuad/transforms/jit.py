"""jit: a program recorded once, and replayed."""

from __future__ import annotations

import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..backend import current as current_backend
from ..backend import owner_of_type
from ..core import record
from ..core.box import spec_of
from ..core.pytree import children, rest
from ..core.record import Line, Refused, recording
from ..errors import UnsupportedError
from ..fused.switch import on as fusion_on
from ..graph.draws import everywhere, is_generator, put_back_everywhere
from ..graph.examples import Outline, outlined
from ..graph.kinds import (
    INPUTS,
    INPUTS_TOO,
    STATIC,
    error_state,
    hashable,
    named,
    replaced,
    sign,
    twice,
    without_whole_numbers,
)
from ..graph.replay import Segment
from ..graph.report import Lowered, ReplayCost, count, describe
from ..graph.surroundings import Surroundings, Traced
from ..graph.tree import Tree, Ungovernable
from .gradients import check_function
from .jit_run import Run

#: So many kinds of arguments are kept, and of what there is around the function.
_KINDS, _AROUND = 128, 8
#: When so many recordings have been made, and more than were replayed, the function is called as it is.
_PATIENCE = 64

#: So many values of whole numbers have recordings of their own.
_VALUES = 4


#: Whoever enters what was recorded.
growing = threading.RLock()
if hasattr(os, "register_at_fork"):  # a forked child has none of the other threads, which may be in the middle of it
    os.register_at_fork(before=growing.acquire, after_in_parent=growing.release, after_in_child=growing.release)


class Recording:
    """What was recorded in surroundings of one kind, which ``read`` looks at. ``doubtful``: whether the next call has
    to show that the same comes of the same arguments. ``outline``: what these are like."""

    __slots__ = ("doubtful", "outline", "read", "tree")

    def __init__(self, read: Callable[[], Any], tree: Tree, doubtful: bool, outline: Any) -> None:
        self.read, self.tree, self.doubtful, self.outline = read, tree, doubtful, outline


class Jitted:
    """The recordings of a function, and what calls it."""

    holds_recordings = True

    def __init__(self, f: Callable[..., Any], argnums: tuple[int, ...], argnames: tuple[str, ...]) -> None:
        self.f, self.argnums, self.argnames = f, argnums, argnames
        self.name = getattr(f, "__name__", type(f).__name__)
        #: By what the arguments are like: recordings, each for other surroundings.
        #: The text stands where the function is called as it is, and says why.
        self.known: dict[Any, list[Recording] | str] = {}
        self.recorded = self.replayed = 0
        self.inputs = INPUTS
        self.given_up = False
        self.warned: set[str] = set()

    def sign(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
        key: list[Any] = [current_backend(), fusion_on(), error_state()]
        flat: list[Any] = []
        static = self.argnums
        for i, arg in enumerate(args):
            if static and (i in static or i - len(args) in static):
                key.append(hashable(arg, f"argument {i}"))
            else:
                sign(arg, key, flat, self.inputs)
        if kwargs:
            for name, arg in kwargs.items():
                key.append(name)
                if name in self.argnames:
                    key.append(hashable(arg, f"argument {name!r}"))
                else:
                    sign(arg, key, flat, self.inputs)
        if len(flat) > 1 and len({*map(id, flat)}) < len(flat):
            key.append(twice(flat))
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
        tree = None
        for recording_of in known:
            around = recording_of.read()
            if type(around) is tuple:
                tree = recording_of.tree
                if recording_of.doubtful:
                    recording_of.doubtful = False
                    break
                try:
                    done, result = tree.run((*flat, *around))
                except Exception:  # what comes of that is for the program to say, which may catch it
                    done = None
                if done:
                    self.replayed += 1
                    return result
                if done is None:
                    return self.f(*args, **kwargs)
                break
        return self._record(args, kwargs, key, flat, tree)

    # -- recording --
    def _record(self, args: Sequence[Any], kwargs: dict[str, Any], key: Any, flat: list[Any], tree: Tree | None) -> Any:
        self.recorded += 1
        if self.recorded > _PATIENCE and self.recorded > self.replayed:
            self.given_up = True
            self._warn("at almost every call something is new: arguments that aren't arrays, shapes, branches", None)
            return self.f(*args, **kwargs)
        if tree is None and int in key and self._varies(key):
            self.inputs = INPUTS_TOO
            return self(args, kwargs)
        try:
            around = Surroundings(self.f, self._static_objects(args, kwargs))
        except Traced:
            return self.f(*args, **kwargs)
        except Refused as refusal:
            return self._plainly(args, kwargs, key, str(refusal), None)
        run = Run(around)
        try:
            result = run.call(flat, self._with_boxes(args, kwargs))
        except Refused as refusal:
            run.undo()
            return self._plainly(args, kwargs, key, str(refusal), refusal.line)
        except Exception as error:
            run.undo()
            line = _line_of(error)
            result = self.f(*args, **kwargs)  # an error of the program's own comes from here
            self._refuse(key, f"it raised {type(error).__name__}: {error}", line)
            return result
        cause = run.changed()
        if cause is not None and run.effect_was_lost:
            run.undo()
            return self._plainly(args, kwargs, key, *cause)
        cause = cause or run.unknown_array()
        if cause is None and (run.record.failed or run.around.incomplete):
            return result
        if cause is None:
            try:
                self._enter(key, tree, run, self._outline(args, kwargs))
            except Ungovernable as refusal:
                cause = str(refusal), refusal.line
        if cause is not None:
            self._refuse(key, *cause)
        return result

    def _varies(self, key: tuple[Any, ...]) -> bool:
        """Whether too many recordings differ by whole numbers alone."""
        kind = without_whole_numbers(key)
        return sum(without_whole_numbers(known) == kind for known in list(self.known)) >= _VALUES

    def _enter(self, key: Any, tree: Tree | None, run: Run, outline: Any) -> None:
        with growing:
            known = self.known.get(key) or []
            if isinstance(known, str):  # another thread has found out that it can't be replayed
                return
            fresh = tree is None
            tree = tree or Tree(len(run.record.given), self.name, run.generators())
            tree.add(run.record.events, run.record.values, run.template)
            if fresh:
                known = [*known[-_AROUND + 1 :], Recording(run.read(), tree, run.around.doubtful, outline)]
            if len(self.known) >= _KINDS and key not in self.known:
                self.known.pop(next(iter(self.known)), None)
            self.known[key] = known

    def _with_boxes(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[Iterator[Any], list[Any]], Any]:
        inputs, static = self.inputs, self._static(args)

        def put(boxes: Iterator[Any], made: list[Any]) -> Any:
            given = [a if i in static else replaced(a, boxes, inputs, made) for i, a in enumerate(args)]
            return given, {k: a if k in self.argnames else replaced(a, boxes, inputs, made) for k, a in kwargs.items()}

        return put

    def _static(self, args: Sequence[Any]) -> set[int]:
        return {i % len(args) for i in self.argnums if -len(args) <= i < len(args)} if args else set()

    def _outline(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Outline:
        return outlined(args, kwargs, {*self._static(args), *self.argnames})

    def _static_objects(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What arguments count as constant but may hold what changes, and the classes of containers."""
        found: dict[str, Any] = {}
        stack: list[tuple[str, Any]] = [("", list(args)), ("", kwargs)]
        while stack:
            path, x = stack.pop()
            parts = children(x)
            if parts is not None:
                stack += [(path + step, part) for step, part in parts]
                more = rest(x)
                if more is not None:
                    stack.append((f"{path} beside its parts", more))
                if type(x).__module__ != "builtins":
                    found[f"the class {type(x).__qualname__}"] = type(x)
            elif type(x) not in STATIC and type(x) not in (float, complex) and owner_of_type(type(x)) is None:
                found[f"the argument{path}"] = x
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
            warnings.warn(text, RuntimeWarning, stacklevel=_level_of_program())
        return text

    def way(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Segment], list[str]]:
        """The stretches that a call with these arguments replays, and what its inputs are called. What random numbers
        come next isn't changed by it."""
        try:
            key, flat = self.sign(args, kwargs)
            generators = Surroundings(self.f, self._static_objects(args, kwargs)).generators
        except Traced:
            raise UnsupportedError(
                "jit: there is no recording of traced arrays: the function is called as it is"
            ) from None
        except Refused:
            generators = []  # the call says why
        before = everywhere(generators)
        try:
            return self._way(args, kwargs, key, flat)
        finally:
            put_back_everywhere(generators, before)

    def _way(
        self, args: Sequence[Any], kwargs: dict[str, Any], key: Any, flat: list[Any]
    ) -> tuple[list[Segment], list[str]]:
        for _ in range(3):  # the first call records, and the second one may have to show that it comes out the same
            self(args, kwargs)
            known = self.known.get(key, "gpuad.jit: it has been given up, or is switched off")
            if isinstance(known, str):
                raise UnsupportedError(known)
            for recorded in known:
                around = recorded.read()
                if type(around) is tuple and not recorded.doubtful:
                    names = [f"argument{path} {_kind_of(x)}" for path, x in named(args, kwargs, flat)]
                    names += [f"from around: {_kind_of(x)}" for x in around]
                    return recorded.tree.way((*flat, *around)), names
        raise UnsupportedError("jit: what is around the function changes at every call")


def _kind_of(x: Any) -> str:
    return type(x).__name__ if is_generator(x) else repr(spec_of(x))


def _level_of_program() -> int:
    """How many calls above the function that asks the program is."""
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(record.HERE):
        level, frame = level + 1, frame.f_back
    return level + 1


def _line_of(error: BaseException) -> Line | None:
    """The line of the program that an error comes from: the last that isn't ours or NumPy's."""
    trace, found = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((record.HERE, record.NUMPYS, "<")):
            found = code.co_filename, trace.tb_lineno, code.co_name
        trace = trace.tb_next
    return found


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
    others, may change between calls. A ``numpy.random.Generator`` is drawn from at every call, as by ``f``. Results are
    arrays of their own.

    ``static_argnums`` and ``static_argnames`` name arguments of which every value is a kind of its own; these must be
    hashable. What can't be replayed faithfully, for ``f`` writes into an argument, say, is called as it is, with one
    ``RuntimeWarning`` that names the line. docs/jit.md says more. ``GPUAD_JIT=0`` in the environment turns recording
    off.

    ``jit(f).lower(*args)`` shows the recorded program, ``jit(f).cost(*args)`` counts what a replay does.
    ``jit(f).save(path, *args)`` writes the recordings to a file, which ``gpuad.load_jit`` makes a function of again.

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
    for what, given, kind in (("static_argnums", numbers, int), ("static_argnames", names, str)):
        if not all(isinstance(x, kind) for x in given):
            raise TypeError(f"jit: {what} holds what isn't of type {kind.__name__}: {given!r}")
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

    def save(path: Any, /, *args: Any, **kwargs: Any) -> None:
        from .saved import save

        save(call, path, args, kwargs)

    jitted.recordings, jitted.lower, jitted.cost, jitted.save = call, lower, cost, save  # type: ignore[attr-defined]
    return jitted

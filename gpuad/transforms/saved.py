"""Jitted functions in files: written by ``jit(f).save``, and called again in another process, without ``f``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.record import is_array
from ..errors import NotRecordedError, SavedFileError, UnsupportedError
from ..graph import examples, saved_file
from ..graph.data import Invalid, Packer, Unpacker, Unsaveable, text, whole
from ..graph.kinds import INPUTS, INPUTS_TOO
from ..graph.report import Lowered, ReplayCost, count, describe
from ..graph.saved import Shared, Stretch, Tables, Way, ways_from_data, ways_to_data
from ..graph.surroundings import Traced
from ..graph.tree import Tree
from .jit import Jitted, Recording, growing


# -- saving -------------------------------------------------------------------------------------------
def save(call: Jitted, path: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """What ``jit(f).save(path, *args, **kwargs)`` does."""
    from .. import __version__

    if args or kwargs:
        call.way(args, kwargs)  # which records what isn't yet
    place = Path(os.fspath(path))
    pack, tables = Packer(), Tables()
    try:
        kinds = [_kind_to_data(call, key, pack, tables) for key in list(call.known)]
        program = {
            "gpuad": __version__,
            "numpy": np.__version__,
            "name": call.name,
            "static": [list(call.argnums), list(call.argnames)],
            "whole numbers vary": call.inputs is INPUTS_TOO,
            "kinds": [kind for kind in kinds if kind is not None],
            "tables": tables,
            "arrays": pack.arrays,
        }
    except Unsaveable as cause:
        raise UnsupportedError(f"jit(f).save: {call.name} can't be saved, for a file can't hold {cause}") from None
    if not program["kinds"]:
        raise UnsupportedError(
            f"jit(f).save: nothing is recorded of {call.name} as it is now: call it before, or give the arguments of a "
            "call, as in save(path, x)"
        )
    saved_file.write(place, program, pack.blocks)


def _kind_to_data(call: Jitted, key: Any, pack: Packer, tables: Tables) -> Any:
    known = call.known[key]
    if isinstance(known, str):
        raise UnsupportedError(f"jit(f).save: a file holds recordings, but {known.removeprefix('gpuad.jit: ')}")
    for recording in known:
        around = recording.read()
        if type(around) is not tuple:
            continue
        if recording.doubtful:
            raise UnsupportedError(
                f"jit(f).save: {call.name} reads what may be another at every call (the time, a file, random numbers); "
                "call it once more with the same arguments, which shows whether the same comes of it"
            )
        arguments, inputs = examples.to_data(recording.outline, pack, call.inputs)
        if inputs + len(around) != recording.tree.inputs:  # of a time when whole numbers counted as constant
            return None
        return {
            "backend": key[0].name,
            "arguments": arguments,
            "around": [pack.data(x) for x in around],
            "stretches": ways_to_data(recording.tree, pack, tables),
        }
    return None


# -- loading ------------------------------------------------------------------------------------------
class _Kind:
    """What a file has for one kind of arguments."""

    def __init__(self, start: Stretch, inputs: int, around: tuple[Any, ...], words: str) -> None:
        self.start, self.inputs, self.around, self.words = start, inputs, around, words


class _Replay(Recording):
    """What has been replayed of a kind. ``gone``: ways gone once; of these there is a program from the next call on."""

    __slots__ = ("gone", "start")

    def __init__(self, kind: _Kind, name: str) -> None:
        super().__init__(lambda: kind.around, Tree(kind.inputs, name), False, None)
        self.start, self.gone = kind.start, list[Any]()


class _Loaded(Jitted):
    """A file's recordings, and what calls them. A way is gone step by step at first."""

    def __init__(self, path: Path, program: dict[str, Any], block: bytes) -> None:
        argnums, argnames = program["static"]
        super().__init__(_no_program, tuple([whole(i, -255, 255) for i in argnums]), tuple(map(text, argnames)))
        self.path, self.name = str(path), text(program["name"])
        self.inputs = INPUTS_TOO if program["whole numbers vary"] is True else INPUTS
        #: So many parts of a key are there without an argument: they say in which state of the process a call is made.
        self.state = len(self.sign((), {})[0])
        read = Unpacker(program["arrays"], block)
        self.shared = Shared(program["tables"], read)
        #: By what the arguments are like, and the backend that was chosen when it was recorded.
        self.kinds: dict[Any, dict[str, _Kind]] = {}
        self.replays: dict[Any, _Replay] = {}
        #: Keywords are inputs in the order in which they came when the function was recorded.
        self.orders: set[tuple[str, ...]] = set()
        for kind in program["kinds"]:
            args, kwargs = examples.from_data(kind["arguments"], read)
            key, flat = self.sign(args, kwargs)
            self.orders.add(tuple(kwargs))
            around = tuple([read.data(x) for x in kind["around"]])
            if not all(map(is_array, around)):
                raise Invalid("what is around a function isn't arrays")
            start = ways_from_data(kind["stretches"], len(flat) + len(around), self.shared)
            found = _Kind(start, len(flat) + len(around), around, examples.words(args, kwargs, self.inputs))
            self.kinds.setdefault(key[self.state :], {})[text(kind["backend"])] = found

    def __call__(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        try:
            key, flat = self.sign(args, kwargs)
        except Traced:
            raise UnsupportedError(
                f"{self.name} was loaded from {self.path}, which has its operations as they were recorded. It can't be "
                "differentiated, batched or recorded; do that before, and save jit(grad(f)), say"
            ) from None
        replay = self.replays.get(key) or self._replay(key)
        if replay is None:
            for order in self.orders:
                if {*order} == {*kwargs}:
                    ordered = {name: kwargs[name] for name in order}
                    if self.sign(args, ordered)[0][self.state :] in self.kinds:
                        return self(args, ordered)
            raise self._not_recorded(args, kwargs)
        inputs, tree = (*flat, *replay.read()), replay.tree
        if replay.gone:
            with growing:
                while replay.gone:
                    tree.add(*replay.gone.pop())
        done, result = tree.run(inputs)
        if done:
            self.replayed += 1
            return result
        way = Way(replay.start, inputs, self.shared, self.path)
        with growing:
            self.recorded += 1
            replay.gone.append((way.events, way.values, way.end))
        return way.result

    def _not_recorded(self, args: Sequence[Any], kwargs: dict[str, Any]) -> NotRecordedError:
        words = examples.words(args, kwargs, self.inputs)
        known = "\n".join(f"  {line}" for line in self.words())
        return NotRecordedError(
            f"{self.path} has no recording of {self.name} for a call like\n  {words}\nbut of\n{known}\n"
            "Call it like that, or save it again after a call like this"
        )

    def _replay(self, key: Any) -> _Replay | None:
        found = self.kinds.get(key[self.state :])
        if found is None:
            return None
        # Which backend makes new arrays plays no part any more, but it may have when the function was recorded.
        kind = found.get(key[0].name) or next(iter(found.values()))
        with growing:
            replay = self.replays.setdefault(key, _Replay(kind, self.name))
            self.known[key] = [replay]
        return replay

    def words(self) -> list[str]:
        """What calls the file has recordings of."""
        return list(dict.fromkeys(kind.words for found in self.kinds.values() for kind in found.values()))

    def way(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        self(args, kwargs)
        return super().way(args, kwargs)  # after another call


def _no_program(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a function that was loaded has no program")


def load_jit(path: Any) -> Any:
    """The function that ``gpuad.jit(f).save(path)`` has written, ready to be called without ``f`` and without tracing.

    It takes the arguments that ``f`` took when it was recorded: of the same containers, shapes, dtypes and strides,
    and going the ways that were recorded. Anything else is a ``NotRecordedError``, which says what there is;
    ``loaded.kinds`` lists it. ``loaded.lower(*args)`` and ``loaded.cost(*args)`` are those of ``jit``. Under another
    transformation it can't be used: save ``jit(grad(f))``.

    The first call that goes a way does so operation by operation, and a program is made of it for the next ones. Only
    operations of gpuad's are called, on the numbers of the file and of the arguments: no code is taken from the file,
    which may come from anybody. It may ask for much time or memory, though.

    Raises ``SavedFileError`` if the file is damaged, isn't one of these, or was saved by another version of gpuad;
    ``OSError`` if it can't be read.

    >>> import gpuad, numpy as np, os, tempfile
    >>> step = gpuad.jit(lambda w, x: w - 0.5 * gpuad.grad(lambda w: np.sum((w - x) ** 2))(w))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     step.save(os.path.join(folder, "step.gpuad"), np.zeros(2), np.ones(2))
    ...     loaded = gpuad.load_jit(os.path.join(folder, "step.gpuad"))
    >>> loaded(np.zeros(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    from .. import __version__

    place = Path(os.fspath(path))
    program, block = saved_file.read(place)
    with _as_saved_file_error(place):
        version = text(program["gpuad"])
        if version != __version__:
            raise SavedFileError(
                f"{place} was saved by gpuad {version[:40]}, and this is gpuad {__version__}: save the function again"
            )
        call = _Loaded(place, program, block)

    def loaded(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    def lower(*args: Any, **kwargs: Any) -> Lowered:
        return describe(*call.way(args, kwargs))

    def cost(*args: Any, **kwargs: Any) -> ReplayCost:
        return count(call.way(args, kwargs)[0])

    loaded.__name__ = loaded.__qualname__ = call.name
    loaded.__doc__ = f"{call.name}, loaded from {place}."
    loaded.recordings, loaded.lower, loaded.cost = call, lower, cost  # type: ignore[attr-defined]
    loaded.kinds = call.words()  # type: ignore[attr-defined]
    return loaded


@contextlib.contextmanager
def _as_saved_file_error(place: Path) -> Iterator[None]:
    """Content that isn't what ``save`` writes may be of any kind, and fail in any way."""
    try:
        yield
    except SavedFileError:
        raise
    except (Invalid, Traced) as error:
        raise SavedFileError(f"{place} isn't as gpuad writes it: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise SavedFileError(f"{place} isn't as gpuad writes it: {type(error).__name__}: {error}") from None

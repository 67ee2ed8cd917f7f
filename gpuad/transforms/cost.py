"""Counting multiply-adds and bytes: what backpropagation promises about its cost, in exact numbers."""

from __future__ import annotations

import functools
import math
import os
import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..core import forward, tape
from ..core.box import Box, make_box, sample, spec_of, twin
from ..core.level import Level
from ..core.memory import exclusive, look
from ..core.primitive import Primitive
from ..core.pytree import tree_map
from ..core.sweep import sweep
from ..core.tape import Tape
from ..core.untraced import UNTRACED, written
from ..fused.pending import Pending
from ..ops.writing import Place, Sum
from .counts import Cost, Line, Part
from .gradients import check_function, owner


class Count(Level):
    """Evaluates primitives one level further out, and counts what they do."""

    __slots__ = ("cost", "places")

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()
        self.places = Places(self)

    def watch(self, leaf: Any) -> Any:
        """Floating-point arrays are followed. Integers are left as they are, for they index other arrays."""
        if type(leaf) is not Box and owner_of_type(type(leaf)) is None:
            return leaf
        return self.box(leaf)

    def box(self, value: Any) -> Any:
        spec = spec_of(value)
        return make_box(value, self, 0, spec) if spec.differentiable else value

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values = self.opened(args)
        line, backward = self.places.find()
        ans = prim(*values, **params)
        count = prim.multiply_adds
        multiply_adds = None if count is None else count(spec_of(ans), *map(spec_of, values), **params)
        self.cost.tally(Part(line, prim.name, backward)).add(multiply_adds, bytes_moved(prim, ans, values, params))
        if prim.piecewise_constant:  # a program may turn it into a number, or branch on it
            return ans
        return tuple(map(self.box, ans)) if isinstance(ans, (tuple, list)) else self.box(ans)

    def write(self, x: Box, v: Any, place: Any) -> None:
        line, backward = self.places.find()
        (v,) = self.opened((v,))
        self.cost.tally(Part(line, "write", backward)).add(None, bytes_written(sample(x), v, place))
        content = exclusive(x) if x.level is self or x.level is UNTRACED else twin(x)
        x.value, x.level, x.index = written(content, v, place), self, 0

    def follow(self, seed: Any) -> Any:
        """A cotangent or tangent as one that is followed, whatever levels further in have it.

        What a derivative starts with is a constant, and remains one as far as the program is linear; what is done
        with it counts nevertheless.
        """
        if type(seed) is not Box or seed.level.depth < self.depth:
            return self.box(seed)
        if seed.level is self:
            return seed
        return make_box(self.follow(seed.value), seed.level, seed.index, seed.spec)


# --- how many bytes an operation moves -----------------------------------------------------------


def bytes_moved(prim: Primitive, ans: Any, values: Sequence[Any], params: dict[str, Any]) -> int:
    """What an operation reads and writes: every array once, as much of it as there is in memory.

    A view of an operand takes nothing. An index reads what it takes, and a write touches its place alone.
    """
    operands = [sample(v) for v in values]
    if prim.name == "write":
        x, v, *arrays = operands
        return bytes_written(x, v, Place(params["steps"], params["key"], tuple(arrays)))
    results = [sample(a) for a in (ans if isinstance(ans, (tuple, list)) else (ans,))]
    owners = {id(owner(raw)) for raw in operands}
    written = [_size(r) for r in results if id(owner(r)) not in owners]
    if not written:
        return 0
    if prim.name in _INDEXING:
        operands[0] = results[0]
    return sum(written) + sum(_size(raw) for raw in {id(raw): raw for raw in operands}.values())


def bytes_written(x: Any, v: Any, place: Place) -> int:
    """The same of a write into the raw array ``x``: it reads what is to be written, and where."""
    index = place.index.whole() if place.arrays else place.index
    touched = _whole_size(look(x, place.steps)[index])
    read = _size(sample(v)) + sum(_size(sample(a)) for a in place.arrays)
    return read + touched * (2 if isinstance(place, Sum) else 1)


_INDEXING = frozenset({"part", "gather", "read"})


def _size(raw: Any) -> int:
    """Bytes of an array, without the axes along which it is the same. Python's numbers aren't in memory."""
    if not hasattr(raw, "shape"):
        return 0
    steps = () if isinstance(raw, Pending) else getattr(raw, "strides", ())
    if 0 in steps and 0 not in raw.shape:
        kept: int = math.prod(n for n, step in zip(raw.shape, steps, strict=True) if step)
        return kept * int(raw.dtype.itemsize)
    return _whole_size(raw)


def _whole_size(raw: Any) -> int:
    count: int = math.prod(raw.shape)
    return count * int(raw.dtype.itemsize)


# --- where in the program an operation belongs ---------------------------------------------------


class Places:
    """Which line of the program an operation belongs to, and whether it is part of a backward pass.

    Going there it is the line that calls gpuad. On the way back it is the line whose record is being read: of every
    tape it is noted which line each record came from. Both are found by looking through the functions that are
    running, so nothing else has to know that somebody counts.
    """

    def __init__(self, level: Level) -> None:
        self.level = level
        #: Of each tape: how many records it had, when an operation was called, and from which line.
        self.noted: dict[int, tuple[Tape, list[int], list[Line]]] = {}

    def find(self) -> tuple[Line, bool]:
        line, backward, inside, tapes = None, False, True, []
        frame: FrameType | None = sys._getframe(2)
        last = frame
        while frame is not None and (inside or line is None):
            code = frame.f_code
            if code is sweep.__code__:
                line = line or self.swept(frame)
                # Forward mode transposes with a sweep.
                backward |= inside and (frame.f_back is None or frame.f_back.f_code.co_filename != forward.__file__)
            elif code.co_filename == tape.__file__ and line is None:
                recording = frame.f_locals.get("tape", frame.f_locals.get("self"))
                if type(recording) is Tape:
                    tapes.append(recording)
            elif code.co_name == "counted" and frame.f_locals.get("level") is self.level:
                inside = False
            elif line is None and _is_users(code.co_filename):
                line = Line(code.co_filename, frame.f_lineno, code.co_name)
            last, frame = frame, frame.f_back
        if line is None:  # of a thread that gpuad itself was started in
            assert last is not None
            line = Line(last.f_code.co_filename, last.f_lineno, last.f_code.co_name)
        for recording in tapes:
            self.note(recording, line)
        return line, backward

    def note(self, tape: Tape, line: Line) -> None:
        """What ``tape`` records next comes from ``line``."""
        _, counts, lines = self.noted.setdefault(id(tape), (tape, [], []))
        n = len(tape.records)
        if counts and counts[-1] == n:
            lines[-1] = line
        else:
            counts.append(n)
            lines.append(line)

    def swept(self, frame: FrameType) -> Line | None:
        """The line that the record comes from which a sweep is reading.

        ``None`` where it has read all, and makes arrays of what has come to the inputs: that belongs to the line
        which asked for the gradient.
        """
        _, counts, lines = self.noted.get(id(frame.f_locals["tape"]), (None, [], []))
        k = bisect_right(counts, len(frame.f_locals["records"])) - 1
        return None if k < 0 or frame.f_lineno == _RETURN else lines[k]


_RETURN = max(line for *_, line in sweep.__code__.co_lines() if line is not None)
_LIBRARIES = tuple(os.path.dirname(file) + os.sep for file in (np.__file__, os.path.dirname(__file__)))


@functools.cache
def _is_users(file: str) -> bool:
    """Whether the lines of a file are the program's: not ours, not NumPy's, not the interpreter's."""
    return not file.startswith((*_LIBRARIES, "<frozen", "<__array_function__"))


def cost(f: Callable[..., Any]) -> Callable[..., Cost]:
    """A function that calls ``f`` and returns what that took: multiply-adds, bytes, and where they come from.

    Counted are the operations in which a floating-point array among the arguments, or what was computed from it,
    takes part. Multiply-adds are those of ``matmul``, ``einsum``, ``convolve`` and what is made of them. Bytes are
    those that each operation by itself reads and writes: every array once, views not at all; of an index what it
    takes, of a write its place. So they tell how much fusing operations could save. A primitive of one's own is one
    operation, whatever it does inside. For a gradient the forward and the backward pass are counted.

    ``cost(f)(*args)`` is printed as a table with a row for each primitive on each line of the program; the backward
    pass of a line stands beside its forward pass. The sums are its ``multiply_adds``, ``bytes`` and ``calls``, their
    parts ``by_primitive``, ``bytes_by_primitive`` and ``by_line``; ``forward`` and ``backward`` have the same for the
    two ways.

    >>> import numpy as np, gpuad
    >>> x, w = np.ones((32, 100)), np.ones((100, 10))
    >>> loss = lambda w: np.sum((x @ w) ** 2)
    >>> gpuad.cost(loss)(w).multiply_adds
    32000
    >>> gpuad.cost(gpuad.grad(loss))(w).by_primitive
    {'matmul': 64000}
    >>> gpuad.cost(gpuad.grad(loss))(w).forward
    <Cost: 32,000 multiply-adds, 43,848 bytes, 3 calls>
    """

    check_function(f, "cost")

    @functools.wraps(f)
    def counted(*args: Any, **kwargs: Any) -> Cost:
        level = Count()
        f(*(tree_map(level.watch, a) for a in args), **{k: tree_map(level.watch, a) for k, a in kwargs.items()})
        return level.cost

    return counted

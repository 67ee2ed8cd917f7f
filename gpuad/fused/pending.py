"""Arrays that aren't computed yet.

Large arrays enter a transformation as ``Pending`` ones. An elementwise operation on one isn't done when it is
called: it makes another ``Pending``, which knows the operation and its operands. So does a sum. What a program
needs the numbers of is computed then, in few kernels, see ``schedule``: whatever else wants an array gets it from
``settle``. Values never change, so nobody can tell when they were computed.

An array of the user's that takes part is copied, for the user may write into it before it is read. While a sweep runs,
and no program around it, nobody can.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..backend import cupy_backend, numpy_backend, owner_of_type
from ..backend.interface import Backend
from ..flag import Flag
from . import switch

#: What runs into more operations is computed: in a sweep, and outside of one, where it is what the sweep will have to
#: compute again. So are arrays of which that many sums wait.
STEPS, FORWARD, SUMS = 192, 48, 8
#: So many in a replay, of which it is known that all comes soon: the way back needs no array of the way there then.
REPLAY = 1024
#: So many arrays are read by one kernel at most.
READS = 24
#: Whether a program is running that a transformation watches: it may write into its arrays.
running = Flag()
#: Whether a sweep is running.
backwards = Flag()
#: Whether a recorded program is being replayed.
replaying = Flag()
#: Whether it is found out which kernels a replay on a device will have. Nothing is too small for these then.
rehearsing = Flag()

#: Numbers arrays that wait in the order in which they were made.
serial = itertools.count().__next__


class Apply(NamedTuple):
    """An elementwise primitive on operands of certain dtypes; ``takes`` says what it converts them to."""

    name: str
    scalar: str
    takes: tuple[np.dtype[Any], ...]
    dtype: np.dtype[Any]
    #: As of ``plan.Step``.
    fold: str | None = None


class Sum(NamedTuple):
    """The sum over ``axes``; what is left has the shape of the array that it makes, but for axes of length 1.

    ``how``: as ``fold`` of ``plan.Step``; what isn't a sum is along a row.
    """

    axes: tuple[int, ...]
    how: str = "add"


class View(NamedTuple):
    """Something done to an array when it is there, at no cost. If it is broadcast: what ``aligned`` shape it has."""

    function: Callable[[Any], Any]
    aligned: tuple[int, ...] | None = None
    #: Whether it is reshaped, or its ``axes`` are put in another order: see ``fused.rearrange``.
    rearranges: bool = False
    axes: tuple[int, ...] | None = None
    #: If it is a part: the slice of every axis, see ``fused.slices``.
    box: tuple[slice, ...] | None = None


class Region:
    """A connected stretch of elementwise operations on arrays of one shape."""

    __slots__ = ("joined", "last", "reads", "simple", "steps", "sums", "totals")

    def __init__(self) -> None:
        self.joined: Region | None = None
        #: What was called for last in a sweep.
        self.last: weakref.ref[Pending] | None = None
        self.steps = 0
        #: Whether it reads nothing but what is there.
        self.simple = True
        self.reads: set[int] = set()
        #: Sums of what is computed here: they come for free when it is.
        self.sums: list[weakref.ref[Pending]] = []
        #: Cotangents that others are being added to.
        self.totals: list[weakref.ref[Pending]] = []


def region_of(x: Pending) -> Region:
    region: Region = x.region
    while region.joined is not None:
        region = region.joined
    return region


class Pending:
    """An array with its shape and dtype, and either its ``value`` or the operation that makes it."""

    __slots__ = ("__weakref__", "args", "depth", "dtype", "op", "region", "serial", "shape", "small", "times", "value")
    __array_ufunc__ = None  # NumPy's arrays leave operators to us
    __hash__ = object.__hash__  # tables of them go by identity
    #: Who computes.
    backend: ClassVar[Backend]
    #: Whether it stands in for others: see ``fused.rearrange``.
    stands_in: ClassVar[bool] = False
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    #: ``None`` until it is computed.
    value: Any
    op: Apply | Sum | View | None
    args: tuple[Any, ...]
    #: How many sums are to be computed before, one after another.
    depth: int
    region: Any
    serial: int
    #: Whether it is there, and so short that nothing is gained if operations on it wait.
    small: bool
    #: How often it has been computed inside a kernel that didn't store it.
    times: int

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(settle(self), name)

    def put(self, value: Any) -> None:
        """Let it be ``value``, which has been computed; another thread may have done the same."""
        if self.value is not None:
            return
        if isinstance(value, np.generic):  # of which a kernel couldn't take the address
            value = np.asarray(value)
        self.value, self.op, self.args, self.region = value, None, (), None
        self.small = value.nbytes < large(self.backend)

    @property
    def base(self) -> Any:
        """Whose memory it will share."""
        return (
            self.args[0]
            if self.value is None and type(self.op) is View
            else settle(self.value).base
            if self.value is not None
            else None
        )

    @property
    def size(self) -> int:
        n = 1
        for length in self.shape:
            n *= length
        return n

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(settle(self))

    def __float__(self) -> float:
        return float(settle(self))

    def __int__(self) -> int:
        return int(settle(self))

    def __complex__(self) -> complex:
        return complex(settle(self))

    def __getitem__(self, key: Any) -> Any:
        if self.value is None:
            from .slices import sliced

            found = sliced(self, key)
            if found is not None:
                return found
        return lift(settle(self)[key])

    def __array__(self, *args: Any, **options: Any) -> Any:
        return np.asarray(settle(self), *args, **options)

    def __repr__(self) -> str:
        state = "computed" if self.value is not None else "not computed yet"
        return f"<{self.dtype}{list(self.shape)}, {state}>"


class HostPending(Pending):
    """One that NumPy, or compiled C, will compute."""

    __slots__ = ()
    backend = numpy_backend


class DevicePending(Pending):
    """One that CUDA will compute."""

    __slots__ = ()
    backend = cupy_backend


_KINDS: dict[Backend, type[Pending]] = {numpy_backend: HostPending, cupy_backend: DevicePending}

#: From so many bytes an array is worth a kernel: below, the time goes into Python, with or without one.
LARGE = {numpy_backend: 3 << 19, cupy_backend: 1 << 14}


def large(backend: Backend) -> int:
    """From so many bytes an array is worth a kernel now."""
    return 1 if rehearsing.on else LARGE[backend]


def lift(x: Any) -> Any:
    """A large array as one on which operations wait to be computed; anything else as it is.

    Nobody but gpuad may write into ``x``.
    """
    if type(x) is np.ndarray:
        if x.nbytes < LARGE[numpy_backend]:
            return x  # as most are, in a tenth of the time
        backend: Backend | None = numpy_backend
    elif isinstance(x, np.generic):
        return x
    else:
        backend = owner_of_type(type(x))
    if backend is None or backend not in _KINDS:
        return x
    if x.nbytes < large(backend) or not x.size or x.dtype.kind not in "fc" or not switch.on():
        return x
    if backend is numpy_backend and on_guard():
        return x
    return leaf(_KINDS[backend], x)


def on_guard() -> bool:
    """Whether NumPy is to report invalid operations, as under ``np.errstate(all="raise")``: kernels wouldn't.

    Every operation asks, so what is found is kept as long as NumPy's settings are the same object.
    """
    global _guard
    settings, guarded = _guard
    now = _settings.get() if _settings is not None else None
    if now is None or now is not settings:
        guarded = not _NO_REPORT.issuperset(np.geterr().values())
        _guard = now, guarded
    return guarded


_NO_REPORT = frozenset({"ignore", "warn"})
_settings = getattr(np._core.umath, "_extobj_contextvar", None)  # type: ignore[attr-defined]
_guard: tuple[Any, bool] = None, False


def leaf(kind: type[Pending], x: Any) -> Pending:
    found = kind()
    found.shape, found.dtype, found.value = x.shape, x.dtype, x
    found.op, found.args, found.depth, found.times, found.small = None, (), 0, 0, False
    return found


def settle(x: Any) -> Any:
    """The array itself, computed if it wasn't; anything else as it is."""
    if not isinstance(x, Pending):
        return x
    if x.value is None:
        _compute([x])
    return x.value if x.shape else x.value[()]


def settle_all(xs: Sequence[Any]) -> None:
    """Compute all arrays among ``xs`` that wait for it, together: they may share kernels."""
    waiting = [x for x in xs if isinstance(x, Pending) and x.value is None]
    if waiting:
        _compute(waiting)


#: Who looks at what waits, to compute it, or puts values in; threads may share pending arrays. While a kernel runs,
#: others may.
planning = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A forked child has none of the other threads, so none of them may be in the middle of it.
    os.register_at_fork(before=planning.acquire, after_in_parent=planning.release, after_in_child=planning.release)


def _compute(waiting: Sequence[Pending]) -> None:
    from .schedule import compute  # which a program without large arrays never needs

    with planning:
        compute(waiting)


# -- operations that wait ----------------------------------------------------------------------------------
def apply(op: Apply, kind: type[Pending], args: tuple[Any, ...], shape: tuple[int, ...]) -> Pending:
    """The result of an elementwise operation; ``args`` are pending arrays and Python numbers."""
    depth, simple, steps, sweeping = 0, True, 1, backwards.on
    region: Region | None = None
    others: list[Region] = []
    reads = []
    for a in args:
        if type(a) is kind:
            if a.value is not None:
                reads.append(id(a.value))
                continue
            if a.depth > depth:
                depth = a.depth
            other: Region | None = a.region
            # It is ``None`` if a thread has just computed it.
            if a.shape == shape and other is not None and (type(a.op) is Apply or _rearranged(a)):
                if type(a.op) is not Apply:
                    simple = False
                while other.joined is not None:
                    other = other.joined
                if region is None:
                    region, steps = other, other.steps + 1
                elif other is not region and other not in others:
                    others.append(other)
                    steps += other.steps
            else:
                simple = False
                if type(a.op) is View and a.op.box is not None:
                    from .slices import through

                    return apply(op, kind, tuple([through(b) if is_part(b) else b for b in args]), shape)
    if region is None:
        region = Region()
    elif (steps > FORWARD and steps > _most()) or depth > SUMS or len(region.reads) + len(reads) > READS:
        _make_room(args, [region, *others] if depth <= SUMS else [])
        return apply(op, kind, args, shape)
    for other in others:
        region = _join(region, other)
    region.steps += 1
    if reads:
        region.reads.update(reads)
    if not simple:
        region.simple = False
    found = kind()
    found.shape, found.dtype, found.value = shape, op.dtype, None
    found.op, found.args, found.depth, found.times = op, args, depth, 0
    found.region, found.serial, found.small = region, serial(), False
    if sweeping:
        region.last = weakref.ref(found)
    return found


def _most() -> int:
    return REPLAY if replaying.on else STEPS if backwards.on else FORWARD


def _rearranged(x: Pending) -> bool:
    return type(x.op) is View and x.op.rearranges


def is_part(x: Any) -> bool:
    """Whether ``x`` is a slice of what may wait, see ``fused.slices``."""
    return isinstance(x, Pending) and type(x.op) is View and x.op.box is not None


def _make_room(args: tuple[Any, ...], regions: list[Region]) -> None:
    """Compute what the largest region has last, the cotangent in a sweep; all that waits, if there is none.

    What is left of that region is counted as what a program had there before the sweep.
    """
    if not regions:
        settle_all(args)
        return
    largest = max(regions, key=lambda region: region.steps)
    last = largest.last() if largest.last is not None else None
    if last is None or last.value is not None:
        there = [a for a in args if isinstance(a, Pending) and a.value is None and type(a.op) is not Sum]
        last = max((a for a in there if region_of(a) is largest), key=lambda a: a.serial)
    largest.steps = min(largest.steps, FORWARD // 2)
    totals = [t for t in [r() for r in largest.totals] if t is not None]
    largest.totals.clear()
    inside = _inside([last, *totals])
    waiting = [last, *[t for t in totals if t not in inside]]  # of others the sweep has made other cotangents
    del inside, totals  # who holds an array is counted
    settle_all(waiting)


def _inside(xs: Sequence[Pending]) -> set[Pending]:
    """What ``xs`` will be computed from."""
    stack, found = list(xs), set()
    while stack:
        for a in stack.pop().args:
            if isinstance(a, Pending) and a.value is None and a not in found:
                found.add(a)
                stack.append(a)
    return found


def added(total: Any, before: Any) -> Any:
    """``total``, the sum of a cotangent ``before`` and another: it is computed with what both were made of."""
    if isinstance(total, Pending) and total.value is None and type(total.op) is Apply:
        region = region_of(total)
        region.totals = [r for r in region.totals if r() is not None and r() is not before]
        region.totals.append(weakref.ref(total))
    return total


def _join(a: Region, b: Region) -> Region:
    with planning:
        while a.joined is not None:  # another thread was here
            a = a.joined
        while b.joined is not None:
            b = b.joined
        if a is b:
            return a
        if a.steps < b.steps:
            a, b = b, a
        b.joined = a
        a.steps += b.steps
        a.reads |= b.reads
        a.sums += b.sums
        a.totals += b.totals
        a.simple &= b.simple
        return a


#: Rows shorter than that aren't worth a loop of their own (on the host they are written out, see ``fused.short_rows``),
#: and longer ones don't stay in a cache.
SHORT, LONG = {numpy_backend: 2, cupy_backend: 8}, 1 << 14


def is_row(axes: tuple[int, ...], shape: tuple[int, ...], backend: Backend) -> bool:
    """Whether ``axes`` of an array of ``shape`` are its last ones, and of a length that is worth a loop."""
    n, length = len(axes), 1
    for i in axes:
        length *= shape[i]
    return 0 < n < len(shape) and axes == tuple(range(len(shape) - n, len(shape))) and SHORT[backend] <= length <= LONG


def total(x: Pending, axes: tuple[int, ...], shape: tuple[int, ...], how: str = "add") -> Pending:
    """The sum of ``x`` over ``axes``, as an array of ``shape``; or the largest or smallest entry, see ``Sum``."""
    if is_part(x):
        from .slices import through

        x = through(x)
    found = type(x)()
    found.shape, found.dtype, found.value = shape, x.dtype, None
    found.op, found.args, found.depth, found.times = Sum(axes, how), (x,), x.depth + 1, 0
    found.region, found.serial, found.small = Region(), serial(), False
    if how == "add":
        with planning:
            if x.value is None and type(x.op) is Apply:
                region_of(x).sums.append(weakref.ref(found))
    if found.depth > SUMS:
        settle_all([found])
    return found


def viewed(x: Pending, view: View, shape: tuple[int, ...]) -> Pending:
    """``view`` of ``x``, which has that shape; if ``x`` is there, it is done at once."""
    if x.value is not None:
        return leaf(type(x), view.function(x.value))
    found = type(x)()
    found.shape, found.dtype, found.value = shape, x.dtype, None
    found.op, found.args, found.depth, found.times = view, (x,), x.depth, 0
    found.region, found.serial, found.small = region_of(x) if view.rearranges else Region(), serial(), False
    return found

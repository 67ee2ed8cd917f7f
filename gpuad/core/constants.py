"""Arrays of the program that a rule will read, and that the program may write into before that.

A small one is copied. Of a large constant a fingerprint is taken, and taken again before the sweep: what differs then
would give a wrong gradient, and is an error. So is writing into a large argument while the function runs that is
differentiated by it. A fingerprint would take too long there, for it reads the array as the derivative does; NumPy is
told not to write into it.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..errors import ModifiedConstantError
from ..fused.pending import HostPending, Pending
from ..fused.staging import snapshot
from .memory import copy_alike

#: Up to so many bytes a copy takes no longer than an operation on them.
SMALL = 1 << 15


class Constants:
    """The large constants of a tape, and what they were like when they were first used."""

    __slots__ = ("copies", "found")

    def __init__(self) -> None:
        self.found: dict[int, tuple[Any, bytes]] = {}
        self.copies: dict[int, tuple[Any, bytes, Pending]] = {}

    def copied(self, x: Any) -> Any:
        """A large constant that meets an array which isn't computed yet, as it is now; a small one as it is."""
        if x.nbytes <= SMALL or x.dtype.kind not in "fc":
            return x
        now = fingerprint(x)
        found = self.copies.get(id(x))
        if found is None or found[1] != now:
            found = self.copies[id(x)] = x, now, snapshot(HostPending, x)
        return found[2]

    def keep(self, x: Any) -> Any:
        """``x``, or a copy, fit to be read by a rule later."""
        if isinstance(x, Pending):
            return x
        if type(x) is np.ndarray:
            if not x.flags.writeable and x.base is None:
                return x
            if x.nbytes <= SMALL:
                return x.copy(order="K")
            self.watch(x)
        elif not isinstance(x, (bool, int, float, complex, np.generic)) and getattr(x, "nbytes", SMALL + 1) <= SMALL:
            return x.copy() if owner_of_type(type(x)) is not None else x
        return x

    def watch(self, x: Any) -> None:
        """Have ``check`` see whether ``x`` is written into. On a device it can't: looking would mean to wait for it."""
        if type(x) is np.ndarray and id(x) not in self.found:
            self.found[id(x)] = x, fingerprint(x)

    def check(self) -> None:
        for x, before in self.found.values():
            if fingerprint(x) != before:
                raise ModifiedConstantError(
                    f"an array of shape {x.shape} and dtype {x.dtype} was written into after a differentiated function "
                    "had used it, and before its derivative was computed, which needs it as it was. Let the function "
                    "use a copy: x.copy()"
                )


#: So wide are the rows that are added up: a prime, lest a reordering keep the sums.
_WIDTH = 1021


def fingerprint(x: np.ndarray[Any, Any]) -> bytes:
    """Some bytes that differ when ``x`` does: itself if it is small, else sums of its bits along columns."""
    if x.nbytes <= SMALL:
        return x.tobytes()
    flat: Any = (x if x.flags.c_contiguous else x.T if x.flags.f_contiguous else x.copy()).reshape(-1)
    bits = flat.view(np.uint8)
    words: Any = bits[: bits.size // 8 * 8].view(np.uint64)
    whole = words.size // _WIDTH * _WIDTH
    sums = words[:whole].reshape(-1, _WIDTH).sum(0)
    return bytes(sums.tobytes() + words[whole:].tobytes() + bits[words.size * 8 :].tobytes())


class Arguments:
    """What a function is differentiated by; it runs ``with`` them.

    Large NumPy arrays are read-only as long. What is written by way of another array that shares their memory, and was
    made before, is found by looking at one entry per page afterwards, if not all of these are as they were.
    """

    __slots__ = ("entered", "locked", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entered: list[tuple[Any, int, bytes]] = []
        self.locked = 0

    def enter(self, x: Any, number: int) -> Any:
        """What the function is to be given for ``x``, which is, or is in, its argument ``number``."""
        if type(x) is not np.ndarray:
            return x
        if x.nbytes <= SMALL:
            return _copy(x)
        if x.base is None and not x.flags.writeable:
            return x
        self.entered.append((x, number, _entries(x)))
        return x.view()  # parts of which can be written into later

    def __enter__(self) -> None:
        for x, _, _ in self.entered:
            _lock(x)
            self.locked += 1

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.entered:
            return
        for x, _, _ in self.entered[: self.locked]:
            _unlock(x)
        if error is None:
            changed = [(x, number) for x, number, before in self.entered if _entries(x) != before]
            if changed:
                x, number = changed[0]
                raise ModifiedConstantError(
                    f"{self.name}: argument {number}, an array of shape {x.shape} and dtype {x.dtype}, was written "
                    "into while the function ran that is differentiated by it. Pass a copy: x.copy()"
                )
        elif isinstance(error, ValueError) and "read-only" in str(error):
            numbers = ", ".join(map(str, sorted({number for _, number, _ in self.entered})))
            error.add_note(
                f"{self.name}: the arrays passed as argument {numbers} can't be written into while the function runs "
                "that is differentiated by them, for the derivative needs them as they are. Write into what the "
                "function is given, or pass a copy: x.copy()"
            )


def _copy(x: np.ndarray[Any, Any]) -> Any:
    if x.flags.c_contiguous:
        return x.copy()
    if 0 in x.strides:  # operations on what was broadcast have results in C order
        once = x[tuple([slice(0, 1) if n == 0 else slice(None) for n in x.strides])]
        return np.broadcast_to(copy_alike(once), x.shape)
    return copy_alike(x)


#: The arrays that are read-only for a time, and for how many calls, by identity.
_read_only: dict[int, list[Any]] = {}
_locking = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread that a forked child hasn't may hold it
    os.register_at_fork(before=_locking.acquire, after_in_parent=_locking.release, after_in_child=_locking.release)


def _lock(x: np.ndarray[Any, Any]) -> None:
    with _locking:
        found = _read_only.get(id(x))
        if found is not None:
            found[1] += 1
        elif x.flags.writeable:
            _read_only[id(x)] = [x, 1]
            x.flags.writeable = False


def _unlock(x: np.ndarray[Any, Any]) -> None:
    with _locking:
        found = _read_only.get(id(x))
        if found is None:
            return
        found[1] -= 1
        if found[1]:
            return
        for key, (y, calls) in list(_read_only.items()):
            if not calls:
                try:
                    y.flags.writeable = True
                except ValueError:  # a view, of what is read-only for another call yet
                    continue
                del _read_only[key]


#: An array is looked at in so many places at most, and every so many bytes.
_PLACES, _PAGE = 1024, 4096


def _entries(x: np.ndarray[Any, Any]) -> bytes:
    """The bytes of some of the entries of ``x``."""
    flat: Any = x if x.flags.c_contiguous else x.T if x.flags.f_contiguous else None
    if flat is None:
        step = max(1, len(x) // _PLACES)
        return bytes(x[(slice(None, None, step), *[n // 2 for n in x.shape[1:]])].tobytes())
    step = max(x.size // _PLACES, _PAGE // x.itemsize, 1)
    return bytes(flat.reshape(-1)[::step].tobytes())

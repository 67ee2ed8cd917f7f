"""Constants that a rule will read: arrays of the program, which the program may write into before that.

A small one is copied. Of a large one only a fingerprint is taken, and taken again before the sweep: what
differs then would give a wrong gradient, and is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..errors import ModifiedConstantError
from ..fused.pending import HostPending, Pending
from ..fused.staging import snapshot

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

"""Adding to places that are named by numbers, some many times, in compiled C: the gradient of ``x[index]``.

``kernels/host_scatter.h`` has why and what it gains. NumPy does it until there was so much to do that a compiler would
have paid, and where there is none.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, NamedTuple

import numpy as np

from . import switch
from .executors import WhenWorthIt

#: From so many numbers to be added the call of a kernel is worth its 15 µs.
LARGE = 1 << 14
#: So many make up for the time that a compiler takes: each gains some 2 to 6 ns.
WORTH_COMPILING = 1 << 23

_ENTRIES = {"f": ("float", 1), "d": ("double", 1), "F": ("float", 2), "D": ("double", 2)}


class _Places(NamedTuple):
    """Where an index leads in an array: how many axes come before those that its arrays are for, and the arrays."""

    before: int
    arrays: list[Any]


def add_at(out: Any, index: Any, terms: Any) -> bool:
    """``np.add.at(out, index, terms)`` to the last bit, if a compiled kernel does it sooner; whether it did.

    The index is slices of whole axes, and arrays of integers for axes that lie side by side.
    """
    if type(out) is not np.ndarray or out.dtype.char not in _ENTRIES or not out.flags.c_contiguous:
        return False
    if terms.size < LARGE or terms.dtype != out.dtype or not switch.on():
        return False
    found = _places(index, out.shape)
    if found is None:
        return False
    before, arrays = found
    shape, after = arrays[0].shape, before + len(arrays)
    if terms.shape != (*out.shape[:before], *shape, *out.shape[after:]) or not all(shape):
        return False
    entry, parts = _ENTRIES[out.dtype.char]
    run = _adder(entry).ready(terms.size)
    if run is None:
        return False
    terms = np.ascontiguousarray(terms)
    count, lengths = math.prod(shape), np.array(out.shape[before:after])
    room = np.empty(count, np.int64)
    numbers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    width = math.prod(out.shape[after:]) * parts
    sizes = len(arrays), math.prod(out.shape[:before]), count, width
    data = (out.ctypes.data, terms.ctypes.data, numbers, lengths.ctypes.data)
    return not run(*data, *sizes, room.ctypes.data)  # a number out of bounds is NumPy's to complain of


def _places(index: Any, shape: tuple[int, ...]) -> _Places | None:
    key = index if type(index) is tuple else (index,)
    before = 0
    while before < len(key) and _is_whole(key[before], shape, before):
        before += 1
    rest = key[before:]
    arrays = [a for a in rest if type(a) is np.ndarray and a.dtype.kind in "iu"]
    following = rest[len(arrays) :]
    if not arrays or len(key) > len(shape) or any(a is not b for a, b in zip(arrays, rest, strict=False)):
        return None
    if not all(i is Ellipsis or _is_whole(i, shape, before + len(arrays) + k) for k, i in enumerate(following)):
        return None
    try:
        common = np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        return None
    return _Places(before, [np.ascontiguousarray(np.broadcast_to(a, common), np.int64) for a in arrays])


def _is_whole(i: Any, shape: tuple[int, ...], axis: int) -> bool:
    return type(i) is slice and axis < len(shape) and i.indices(shape[axis]) == (0, shape[axis], 1)


@functools.cache
def _adder(entry: str) -> WhenWorthIt:
    """The kernel for numbers of a type."""
    return WhenWorthIt(functools.partial(_compile, entry), WORTH_COMPILING)


def _compile(entry: str) -> Any:
    from . import compiler, host  # few programs get here

    source = f'#define ENTRY {entry}\n#include "host_scatter.h"\n'
    run = compiler.shared_library(source, host.flags()).scatter_add
    run.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 4 + [ctypes.c_void_p]
    run.restype = ctypes.c_int
    return run

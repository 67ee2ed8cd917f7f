"""Memory of large NumPy arrays that kernels write, used again.

A fresh array of 80 MB costs more in page faults than in arithmetic. A kernel's results go into buffers that nobody
holds any more, if this thread has some of the right kind. What a buffer is used by is read off its reference count: a
view holds its base, so a buffer that only the pool refers to can be seen by no one. The pool is small, of one thread,
and is emptied at the end of every sweep. CuPy has a memory pool of its own.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

#: A pool never keeps more buffers than this; those in use count too.
KEPT = 8

_Array = np.ndarray[Any, Any]


class _Pool(threading.local):
    def __init__(self) -> None:
        self.buffers: list[_Array] = []
        self.next = 0


_pool = _Pool()
# Without the global lock a reference count may lag behind, so buffers would be shared.
_counts_are_exact = getattr(sys, "_is_gil_enabled", lambda: True)()


def _measure_unused(buffers: list[_Array]) -> int:
    """The reference count of a buffer that only the pool holds, as the loop below sees it."""
    for b in buffers:
        return sys.getrefcount(b)
    return 0


_UNUSED = _measure_unused([np.empty(1)])


def take(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
    """An uninitialised array that nobody else can see."""
    if not _counts_are_exact:
        return np.empty(shape, dtype)
    buffers = _pool.buffers
    for b in buffers:
        if sys.getrefcount(b) == _UNUSED and b.shape == shape and b.dtype == dtype:
            return b
    fresh = np.empty(shape, dtype)
    if len(buffers) < KEPT:
        buffers.append(fresh)
    else:
        _pool.next = (_pool.next + 1) % KEPT
        buffers[_pool.next] = fresh
    return fresh


def drain() -> None:
    """Give the memory back."""
    _pool.buffers.clear()

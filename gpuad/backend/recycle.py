"""Memory of large NumPy temporaries, used again.

A fresh array of 80 MB costs more in page faults than in arithmetic. Large arrays that enter a
differentiated function are viewed as ``Recycled``; whatever NumPy computes from them elementwise is
written into a buffer that nobody holds any more, if this thread has one of the right kind, and is
``Recycled`` again. What a buffer is used by is read off its reference count: a view holds its base,
so a buffer that only the pool refers to can be seen by no one. The pool is small, of one thread, and
is emptied at the end of every sweep. CuPy has a memory pool of its own.
"""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

import numpy as np

#: Below this many bytes the allocator recycles well by itself, and a call of ours takes longer than what it saves.
LARGE = 3 << 19
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


class Recycled(np.ndarray[Any, Any]):
    """A large array whose elementwise results are written into recycled buffers."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        raw = [x.view(np.ndarray) if type(x) is Recycled else x for x in inputs]
        if method != "__call__" or ufunc.nout != 1 or kwargs or ufunc.signature is not None:
            if "out" in kwargs:
                kwargs["out"] = tuple(x.view(np.ndarray) if type(x) is Recycled else x for x in kwargs["out"])
            return recyclable(getattr(ufunc, method)(*raw, **kwargs))
        if not (self.flags.c_contiguous and _keeps_dtype(ufunc, self.dtype) and all(map(self._fits, raw))):
            return recyclable(ufunc(*raw))
        return ufunc(*raw, out=take(self.shape, self.dtype)).view(Recycled)

    def _fits(self, x: Any) -> bool:
        """Whether an elementwise operation with ``x`` leaves shape and dtype as they are."""
        if issubclass(type(x), np.ndarray):  # a traced array says to isinstance that it is one
            return bool(x.dtype == self.dtype and (x.ndim == 0 or x.shape == self.shape))
        return type(x) in (bool, int, float)


@functools.cache
def _keeps_dtype(ufunc: np.ufunc, dtype: np.dtype[Any]) -> bool:
    try:
        return bool(ufunc.resolve_dtypes((dtype,) * ufunc.nin + (None,))[-1] == dtype)
    except TypeError:  # the second argument is of another kind, as that of ldexp
        return False


def recyclable(x: Any) -> Any:
    """A large plain array of floats as ``Recycled``, any other ``Recycled`` one as a plain array, else ``x``."""
    if type(x) is np.ndarray:
        if x.nbytes >= LARGE and x.dtype.kind == "f" and _counts_are_exact:
            return x.view(Recycled)
    elif type(x) is Recycled and (x.nbytes < LARGE or x.dtype.kind != "f"):
        return x.view(np.ndarray)
    return x


def settle(x: Any) -> Any:
    """The plain array behind a ``Recycled`` one; the buffer itself where that is the same array."""
    if type(x) is not Recycled:
        return x
    base = x.base
    if type(base) is np.ndarray and base.shape == x.shape and base.strides == x.strides and base.dtype == x.dtype:
        return base
    return x.view(np.ndarray)

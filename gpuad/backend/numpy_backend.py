"""NumPy: the backend that is always there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .interface import Backend

# The allocator of glibc keeps freed memory for later as far as it has seen blocks of such a size freed before
# (mallopt(3), M_MMAP_THRESHOLD); what it gives back instead costs more in page faults than arithmetic does. This block
# is never touched, so it takes no memory.
np.empty((1 << 25) - (1 << 13), np.uint8)


def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """``np.broadcast_to`` in a fraction of its time, for a plain array or scalar."""
    if type(array) is np.ndarray or isinstance(array, np.generic):
        have = array.shape
        if not have and type(shape) is tuple:
            view: Any = np.ndarray(shape, array.dtype, array, 0, (0,) * len(shape))
            view.setflags(write=False)
            return view
        extra = len(shape) - len(have) if type(shape) is tuple else -1
        if extra >= 0 and all(m in (n, 1) for m, n in zip(have, shape[extra:], strict=True)):
            strides = (0,) * extra + tuple(0 if m == 1 else s for m, s in zip(have, array.strides, strict=True))
            try:
                view = np.ndarray(shape, array.dtype, array, 0, strides)
            except (ValueError, TypeError):  # memory with gaps isn't a buffer
                pass
            else:
                view.setflags(write=False)
                return view
    return np.broadcast_to(array, shape, subok=subok)


#: NumPy's where branches at every element. From so many on, the processor can't learn an irregular condition by
#: heart, and each wrong guess costs 5 ns.
_MANY = 1 << 14
_BITS = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def _where(condition: Any, *choices: Any) -> Any:
    """``np.where``, by masking bits instead of branching where there is much to choose."""
    much = isinstance(condition, np.ndarray) and condition.size >= _MANY and condition.dtype == bool
    if much and len(choices) == 2 and all(isinstance(a, (np.ndarray, np.generic, float, int)) for a in choices):
        dtype = np.result_type(*choices)
        x, y = (np.asarray(a, dtype) for a in choices)
        if dtype in _BITS and {x.shape, y.shape} <= {(), condition.shape}:
            return _masked(condition, x.view(_BITS[dtype]), y.view(_BITS[dtype])).view(dtype)
    return np.where(condition, *choices)


def _masked(condition: Any, x: Any, y: Any) -> Any:
    """Of the integers ``x`` and ``y``, those that ``condition`` says."""
    mask: Any = np.negative(condition.view(np.int8), dtype=x.dtype)  # all bits, or none
    if x.ndim and y.ndim == 0 and not y:
        mask &= x
    else:
        chosen = x ^ y
        mask &= chosen
        mask ^= y
    return mask


def _calculates_otherwise(cls: type) -> bool:
    """Whether a class of arrays, such as one with units, has calculations of its own."""
    return issubclass(cls, np.ndarray) and cls.__array_ufunc__ is not np.ndarray.__array_ufunc__


class NumpyBackend(Backend):
    name = "numpy"
    overrides = {"broadcast_to": _broadcast_to, "where": _where}  # noqa: RUF012
    array_types = (np.ndarray, np.generic)
    #: What NumPy's reductions return; CuPy takes them as it takes Python's numbers.
    scalar_types = (np.generic,)
    at_once = 1 << 17

    def owns(self, cls: type) -> bool:
        # What `*` or a sum means for these is not what it means for arrays.
        unlike = issubclass(cls, np.matrix) or any(c.__module__.startswith("numpy.ma") for c in cls.__mro__)
        return super().owns(cls) and not unlike and not _calculates_otherwise(cls)

    @property
    def xp(self) -> Any:
        return np

    @property
    def scipy(self) -> Any:
        try:
            import scipy
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "this function of gpuad needs SciPy, which isn't installed: pip install scipy"
            ) from None
        return scipy

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        return np.asarray(x, dtype)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.asarray(x)

    def add_at(self, out: Any, index: Any, g: Any) -> None:
        if g.size * 4 > out.size > 64 and out.flags.c_contiguous and out.ndim > 1:
            # NumPy is several times as fast where all is flat, and finding the flat places is cheap then.
            index = np.arange(out.size).reshape(out.shape)[index].ravel()
            out, g = out.reshape(-1), g.ravel()
        np.add.at(out, index, g)

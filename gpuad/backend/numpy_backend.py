"""NumPy: the backend that is always there."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import recycle
from .interface import Backend


def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """``np.broadcast_to`` in a fraction of its time, for a plain array or scalar."""
    if type(array) is np.ndarray or isinstance(array, np.generic):
        have = array.shape
        extra = len(shape) - len(have) if type(shape) is tuple else -1
        if extra >= 0 and all(m in (n, 1) for m, n in zip(have, shape[extra:], strict=True)):
            strides = (0,) * extra + tuple(0 if m == 1 else s for m, s in zip(have, array.strides, strict=True))
            try:
                view: Any = np.ndarray(shape, array.dtype, array, 0, strides)
            except (ValueError, TypeError):  # memory with gaps isn't a buffer
                pass
            else:
                view.setflags(write=False)
                return view
    return np.broadcast_to(array, shape, subok=subok)


class NumpyBackend(Backend):
    name = "numpy"
    overrides = {"broadcast_to": _broadcast_to}  # noqa: RUF012
    array_types = (np.ndarray, np.generic)
    #: What NumPy's reductions return; CuPy takes them as it takes Python's numbers.
    scalar_types = (np.generic,)

    @property
    def xp(self) -> Any:
        return np

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        return np.asarray(x, dtype)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.asarray(x)

    def recyclable(self, x: Any) -> Any:
        return recycle.recyclable(x)

    def settle(self, x: Any) -> Any:
        return recycle.settle(x)

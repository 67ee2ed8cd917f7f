"""NumPy: the backend that is always there."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import recycle
from .interface import Backend


class NumpyBackend(Backend):
    name = "numpy"
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

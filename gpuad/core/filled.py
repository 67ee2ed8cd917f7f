"""Zeros and ones like an array, on its backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import backend_of
from .box import sample, spec_of
from .foreign import Foreign


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of ``x``, on its backend; a NumPy scalar for a number."""
    return _filled_like(x, 0, "zeros")


def ones_like(x: Any) -> Any:
    """Ones of the shape and dtype of ``x``, on its backend; a NumPy scalar for a number."""
    return _filled_like(x, 1, "ones")


def _filled_like(x: Any, number: int, make: str) -> Any:
    spec = spec_of(x)
    raw = sample(x)
    if isinstance(raw, (np.generic, bool, int, float, complex)):
        return spec.dtype.type(number)
    if type(raw) is Foreign:
        return raw.zeros()
    return getattr(backend_of((raw,)).xp, make)(spec.shape, spec.dtype)

"""Arrays put together by indexing: ``r_`` and ``c_``; and on a diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Backend, backend_of
from ..core.box import Box, sample, spec_of
from .creation import array
from .frontend import functions, is_traced, numpy_function, plain_backend


class _Concatenator:
    """``r_`` and ``c_``: slices, numbers and arrays in brackets, joined along an axis."""

    def __init__(self, name: str, axis: int, ndmin: int, trans1d: int) -> None:
        self.name = name
        self.defaults = axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        backend = plain_backend(self.name, parts)
        if not is_traced(parts):
            return getattr(backend.xp, self.name)[key]
        axis, ndmin, trans1d = self.defaults
        if isinstance(parts[0], str):
            directive, parts = parts[0], parts[1:]
            if directive in ("r", "c"):
                raise NotImplementedError(f"{self.name}[{directive!r}, ...] makes a np.matrix, which isn't traced")
            given = tuple(map(int, directive.split(",")))
            axis, ndmin, trans1d = (*given, *self.defaults[len(given) :])
        arrays = [self._array(part, backend, ndmin, trans1d) for part in parts]
        return functions["concatenate"](arrays, axis)

    def _array(self, part: Any, backend: Backend, ndmin: int, trans1d: int) -> Any:
        """An array with as many dimensions as are asked for, its own beginning at ``trans1d``."""
        if isinstance(part, slice):
            x = backend.asarray(np.r_[part])  # of plain numbers
        elif type(part) is Box:
            x = part
        else:
            x = array(part) if is_traced((part,)) else backend.asarray(part)
        shape = spec_of(x).shape
        new = max(ndmin, 1) - len(shape)
        if new <= 0:
            return x
        start = new if trans1d == -1 or not shape else trans1d if trans1d >= 0 else trans1d + new + 1
        return functions["reshape"](x, (1,) * start + shape + (1,) * (new - start))


functions["r_"] = _Concatenator("r_", 0, 1, -1)  # type: ignore[assignment]
functions["c_"] = _Concatenator("c_", -1, 2, 0)  # type: ignore[assignment]


@numpy_function("make_diagonal")
def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Matrices with the vectors along the last axis of ``D`` on their diagonals; autograd's."""
    if (offset, axis1, axis2) != (0, -1, -2):
        raise NotImplementedError("make_diagonal takes offset=0, axis1=-1, axis2=-2 and nothing else")
    spec = spec_of(D)
    return D[..., None] * backend_of((sample(D),)).xp.eye(spec.shape[-1], dtype=spec.dtype)

"""NumPy's views by strides and of windows."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ...core.box import sample, spec_of
from ...errors import UnsupportedError
from ...ops import windows as w
from ..creation import as_array, as_shape
from ..frontend import find, numpy_function


@numpy_function("lib.stride_tricks.sliding_window_view")
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    x, window = as_array(x), as_shape(window_shape)
    if writeable:
        raise UnsupportedError("sliding_window_view of a traced array can't be written into: leave writeable=True away")
    shape = spec_of(x).shape
    axes = normalize_axis_tuple(range(len(shape)) if axis is None else axis, len(shape), allow_duplicate=True)
    if len(window) != len(axes):
        raise ValueError(f"window_shape must have one entry per axis; got {window} for the axes {axes}")
    if any(n < 0 for n in window):
        raise ValueError("`window_shape` cannot contain negative values")
    if len(set(axes)) != len(axes):  # windows of windows
        for n, i in zip(window, axes, strict=True):
            x = sliding_window_view(x, n, i)
        return x
    if any(n > shape[i] for n, i in zip(window, axes, strict=True)):
        raise ValueError("window shape cannot be larger than input array shape")
    return w.windows(x, window=window, axes=axes)


@numpy_function("lib.stride_tricks.as_strided")
def as_strided(x: Any, shape: Any = None, strides: Any = None, subok: bool = False, writeable: bool = True) -> Any:
    """As :func:`numpy.lib.stride_tricks.as_strided`; differentiable, also where entries overlap.

    The array must lie in memory row by row, and none may be read from outside of it. The result can't be written into.
    """
    x = as_array(x)
    spec, lies = spec_of(x), sample(x).strides
    if spec.size and any(
        n > 1 and step != spec.dtype.itemsize * math.prod(spec.shape[i + 1 :])
        for i, (n, step) in enumerate(zip(spec.shape, lies, strict=True))
    ):
        raise UnsupportedError(
            f"as_strided needs a traced array that lies row by row in memory; its strides are {lies}"
        )
    shape = spec.shape if shape is None else as_shape(shape)
    strides = lies if strides is None else tuple(map(operator.index, strides))
    if len(shape) != len(strides):
        raise ValueError(f"as_strided: shape {shape} and strides {strides} must be of one length")
    size = spec.dtype.itemsize
    if any(s % size for s in strides):
        raise UnsupportedError(f"as_strided of a traced array: strides must be multiples of {size}, got {strides}")
    steps = tuple(s // size for s in strides)
    reach = [(n - 1) * step for n, step in zip(shape, steps, strict=True)]
    if all(shape) and (sum(r for r in reach if r < 0) < 0 or sum(r for r in reach if r > 0) >= spec.size):
        raise ValueError(f"as_strided: shape {shape} and strides {strides} lead out of an array of {spec}")
    return w.as_strided(x, shape=shape, steps=steps)


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("lib.stride_tricks.", np.lib.stride_tricks, name)
    return found

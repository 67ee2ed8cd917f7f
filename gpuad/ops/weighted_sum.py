"""A weighted sum of arrays of one shape, in one operation: what a Runge-Kutta step is made of."""

from __future__ import annotations

from typing import Any

from ..core.primitive import Primitive
from .batching import elementwise
from .declare import fit, variadic


def _weighted_sum(xp: Any, *arrays: Any, weights: tuple[float, ...]) -> Any:
    total = arrays[0] * weights[0]
    for x, w in zip(arrays[1:], weights[1:], strict=True):
        total = total + x * w
    return total


weighted_sum: Primitive = variadic(
    "weighted_sum",
    _weighted_sum,
    lambda k, g, ans, *arrays, weights: g * weights[k],
    linear=True,
    finish=fit,
    batch=elementwise,
)

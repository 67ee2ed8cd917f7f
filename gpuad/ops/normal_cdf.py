"""The distribution function of a normal distribution of several variables.

What SciPy computes numerically has derivatives in closed form, made of the same function of fewer variables
(Plackett, "A reduction formula for normal multivariate integrals", Biometrika 41, 1954): in the i-th bound it is
the density of that variable times the probability of the others, given it; in a covariance, the density of two.
"""

from __future__ import annotations

import math
from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive
from .batching import one_by_one
from .declare import fit, operation
from .elementwise import exp, sqrt
from .shape import stack
from .special_error import ndtr


def normal_cdf(bounds: Any, cov: Any, **precision: Any) -> Any:
    """The probability that all variables, with mean 0, are below ``bounds`` (..., n); ``cov`` is (n, n)."""
    n = spec_of(cov).shape[-1]
    if n == 0:
        return 1.0
    if n == 1:
        return ndtr(bounds[..., 0] / sqrt(cov[0, 0]))
    return _normal_cdf(bounds, cov, **precision)


def _given(bounds: Any, cov: Any, i: int) -> tuple[Any, Any, Any]:
    """The density of variable ``i`` at its bound, and the distribution of the others, given that."""
    others = [k for k in range(spec_of(cov).shape[-1]) if k != i]
    variance, at = cov[i, i], bounds[..., i]
    density = exp(-0.5 * at * at / variance) / sqrt(2.0 * math.pi * variance)
    slope = cov[others, i] / variance
    rest = cov[others][:, others] - slope[:, None] * cov[i, others]
    return density, bounds[..., others] - at[..., None] * slope, rest


def _bounds_vjp(g: Any, ans: Any, bounds: Any, cov: Any, **precision: Any) -> Any:
    slopes = []
    for i in range(spec_of(cov).shape[-1]):
        density, others, rest = _given(bounds, cov, i)
        slopes.append(density * normal_cdf(others, rest, **precision))
    return g[..., None] * stack(*slopes, axis=len(spec_of(bounds).shape) - 1)


def _cov_vjp(g: Any, ans: Any, bounds: Any, cov: Any, **precision: Any) -> Any:
    n = spec_of(cov).shape[-1]
    rows: list[list[Any]] = [[None] * n for _ in range(n)]
    for i in range(n):
        density, others, rest = _given(bounds, cov, i)
        # Half the second derivative in the bound, since the distribution spreads as heat does.
        second = -bounds[..., i] * density * normal_cdf(others, rest, **precision)
        for j in [k for k in range(n) if k != i]:
            density_j, remaining, left = _given(others, rest, j - (j > i))
            both = density * density_j * normal_cdf(remaining, left, **precision)
            rows[i][j] = 0.5 * (g * both).sum()
            second = second - cov[i, j] * both
        rows[i][i] = 0.5 * (g * second).sum() / cov[i, i]
    return stack(*(stack(*row, axis=0) for row in rows), axis=0)


def _computed(xp: Any, bounds: Any, cov: Any, **precision: Any) -> Any:
    p = xp.scipy.stats.multivariate_normal.cdf(bounds, None, cov, **precision)
    return xp.asarray(p, bounds.dtype).reshape(bounds.shape[:-1])[()]


def _batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    """Any number of bounds go with one covariance."""
    return one_by_one(prim, n, mapped, values, params) if mapped[1] else prim(*values, **params)


_normal_cdf: Primitive = operation("normal_cdf", _computed, _bounds_vjp, _cov_vjp, finish=fit, batch=_batched)

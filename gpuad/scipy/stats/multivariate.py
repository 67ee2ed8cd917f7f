"""Distributions of several variables: their densities and entropies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core.box import Box, spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_arrays, convert
from ...numpy.frontend import functions as gnp
from ...ops.normal_cdf import normal_cdf
from .distribution import Distribution
from .functions import both, exp, gammaln, psi, where, xlogy

LOG_2PI = math.log(2.0 * math.pi)


def _floats(*xs: Any) -> list[Any]:
    return [x if spec_of(x).differentiable else convert(x, "float64") for x in as_arrays(xs)]


def _on_subspace(away: Any, cov: Any) -> Any:
    """The log density of a normal distribution around 0 that has it in the range of a constant ``cov`` alone."""
    variances, directions = gnp["linalg.eigh"](cov)
    # What SciPy takes for zero; see scipy.stats._multivariate._eigvalsh_to_eps.
    dtype = spec_of(cov).dtype
    tiny = gnp["max"](gnp["abs"](variances)) * float((1e3 if dtype.itemsize < 8 else 1e6) * np.finfo(dtype).eps)
    kept = variances > tiny
    along = gnp["matmul"](away, directions) ** 2.0
    inside = gnp["sum"](where(kept, 0.0, along), axis=-1) < tiny**2.0
    variances = where(kept, variances, 1.0)
    terms = where(kept, along / variances + gnp["log"](variances) + LOG_2PI, 0.0)
    return where(inside, -0.5 * gnp["sum"](terms, axis=-1), -math.inf)


# -- normal -----------------------------------------------------------------------------------------
def _normal(x: Any, mean: Any, cov: Any) -> tuple[Any, Any, Any]:
    """The parameters as SciPy takes them: a vector, and a matrix for which its diagonal or one variance may stand."""
    mean, cov, *xs = _floats(0.0 if mean is None else mean, cov, *([] if x is None else [x]))
    shape, n = spec_of(cov).shape, max(spec_of(mean).size, spec_of(cov).shape[-1] if spec_of(cov).shape else 1)
    mean = gnp["broadcast_to"](mean, (n,))
    if len(shape) == 0:
        cov = gnp["diag"](gnp["broadcast_to"](cov, (n,)))
    elif len(shape) == 1:
        cov = gnp["diag"](cov)
    if spec_of(cov).shape != (n, n):
        raise ValueError(f"Array 'cov' must be square, of the {n} variables that 'mean' has; got shape {shape}")
    if not xs:
        return None, mean, cov
    (x,) = xs
    have = spec_of(x).shape
    if len(have) == 0:
        x = gnp["reshape"](x, (1, 1))
    elif len(have) == 1:
        x = x[:, None] if n == 1 else x[None, :]
    return x, mean, cov


def _normal_logpdf(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """As SciPy's; the matrix is taken as it is, and its gradient is symmetric where the matrix is."""
    if allow_singular and type(cov) is Box:
        raise UnsupportedError(
            "multivariate_normal: a density for a singular matrix can't be differentiated with respect to that, for "
            "other directions open up where it changes; leave allow_singular away if the matrix isn't singular"
        )
    x, mean, cov = _normal(x, mean, cov)
    n = spec_of(mean).size
    away = x - mean
    if allow_singular:
        return gnp["squeeze"](_on_subspace(away, cov))
    sign, log_det = gnp["linalg.slogdet"](cov)
    rows = gnp["reshape"](away, (-1, n))
    solved = gnp["linalg.solve"](cov, gnp["swapaxes"](rows, 0, 1))
    squares = gnp["reshape"](gnp["sum"](rows * gnp["swapaxes"](solved, 0, 1), axis=-1), spec_of(away).shape[:-1])
    value = where(sign > 0, -0.5 * (squares + log_det + n * LOG_2PI), math.nan)
    return gnp["squeeze"](value)


def _normal_cdf(
    x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False, maxpts: Any = None, abseps: float = 1e-5,
    releps: float = 1e-5, *, lower_limit: Any = None, rng: Any = None,
) -> Any:  # fmt: skip
    """As SciPy's, with its precision; the derivatives are probabilities that it computes, too."""
    if lower_limit is not None or allow_singular:
        raise UnsupportedError(
            "multivariate_normal.cdf can't be differentiated with lower_limit= or allow_singular=; a probability "
            "between limits is a sum of those below them, with signs"
        )
    x, mean, cov = _normal(x, mean, cov)
    return gnp["squeeze"](normal_cdf(x - mean, cov, maxpts=maxpts, abseps=abseps, releps=releps, rng=rng))


def _normal_logcdf(*args: Any, **options: Any) -> Any:
    return gnp["log"](_normal_cdf(*args, **options))


def _normal_entropy(mean: Any = None, cov: Any = 1) -> Any:
    _, mean, cov = _normal(None, mean, cov)
    return 0.5 * (gnp["linalg.slogdet"](cov)[1] + spec_of(mean).size * (LOG_2PI + 1.0))


def _sums_to_one(p: Any, axis: int) -> Any:
    return abs(gnp["sum"](p, axis=axis) - 1.0) <= (1e-9 if spec_of(p).dtype.itemsize >= 8 else 1e-5)


# -- Dirichlet --------------------------------------------------------------------------------------
def _dirichlet(x: Any, alpha: Any) -> tuple[Any, Any]:
    """``x`` along its first axis is a point of the simplex, whose last entry may be left away."""
    x, alpha = _floats(x, alpha)
    have, n = spec_of(x).shape, spec_of(alpha).size
    if spec_of(alpha).ndim != 1 or not have or have[0] not in (n, n - 1):
        raise ValueError(
            f"dirichlet: 'x' must have as many entries along its first axis as 'alpha', or one less; got the shapes "
            f"{have} and {spec_of(alpha).shape}"
        )
    if have[0] == n - 1:
        x = gnp["concatenate"]([x, 1.0 - gnp["sum"](x, axis=0, keepdims=True)])
    return x, gnp["reshape"](alpha, (n,) + (1,) * (len(have) - 1))


def _dirichlet_logpdf(x: Any, alpha: Any) -> Any:
    x, alpha = _dirichlet(x, alpha)
    total = gnp["sum"]
    within = both((x >= 0.0).all(), _sums_to_one(x, 0).all())
    constant = gammaln(total(alpha, axis=0)) - total(gammaln(alpha), axis=0)
    value = total(xlogy(alpha - 1.0, x), axis=0) + constant
    return where(both(within, (alpha > 0.0).all()), value, math.nan)


def _dirichlet_entropy(alpha: Any) -> Any:
    (alpha,) = _floats(alpha)
    total = gnp["sum"](alpha)
    constant = gnp["sum"](gammaln(alpha)) - gammaln(total)
    return constant + (total - spec_of(alpha).size) * psi(total) - gnp["sum"]((alpha - 1.0) * psi(alpha))


# -- multinomial ------------------------------------------------------------------------------------
def _multinomial_logpmf(x: Any, n: Any, p: Any) -> Any:
    x, n, p = _floats(x, n, p)
    total = gnp["sum"]
    value = gammaln(n + 1.0) + total(xlogy(x, p) - gammaln(x + 1.0), axis=-1)
    possible = both(both((x >= 0.0).all(axis=-1), (x == gnp["floor"](x)).all(axis=-1)), x.sum(axis=-1) == n)
    valid = both(both((p >= 0.0).all(axis=-1), _sums_to_one(p, -1)), n >= 0)
    return where(valid, where(possible, value, -math.inf), math.nan)


class Multivariate(Distribution):
    """A distribution by its log-density, its entropy and its other methods."""

    def __init__(self, name: str, density: str, log_density: Any, entropy: Any = None, **others: Any) -> None:
        def value(*args: Any, **kwds: Any) -> Any:
            return exp(log_density(*args, **kwds))

        super().__init__(name, {density: value, f"log{density}": log_density, "entropy": entropy, **others})


multivariate_normal = Multivariate(
    "multivariate_normal", "pdf", _normal_logpdf, _normal_entropy, cdf=_normal_cdf, logcdf=_normal_logcdf
)
dirichlet = Multivariate("dirichlet", "pdf", _dirichlet_logpdf, _dirichlet_entropy)
multinomial = Multivariate("multinomial", "pmf", _multinomial_logpmf)

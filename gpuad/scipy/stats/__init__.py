"""``scipy.stats``: the usual distributions, differentiable; the rest works on plain arrays unchanged.

A distribution is used as SciPy's: ``norm.logpdf(x, loc, scale)``, ``norm(loc, scale).logpdf(x)``. Derivatives are
with respect to the variable and all continuous parameters. Outside its support a density is 0 and has no gradient.
"""

from __future__ import annotations

import sys
from typing import Any

from ...numpy.frontend import find
from .continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    f,
    gamma,
    gumbel_r,
    halfnorm,
    invgamma,
    laplace,
    logistic,
    lognorm,
    norm,
    pareto,
    t,
    truncnorm,
    uniform,
    weibull_min,
)  # fmt: skip
from .discrete import bernoulli, binom, geom, nbinom, poisson
from .distribution import Distribution
from .multivariate import dirichlet, multinomial, multivariate_normal

__all__ = [
    "bernoulli", "beta", "binom", "cauchy", "chi2", "dirichlet", "expon", "f", "gamma", "geom", "gumbel_r", "halfnorm",
    "invgamma", "laplace", "logistic", "lognorm", "multinomial", "multivariate_normal", "nbinom", "norm", "pareto",
    "poisson", "t", "truncnorm", "uniform", "weibull_min",
]  # fmt: skip

# In autograd each is a module: import autograd.scipy.stats.norm as norm.
_modules: dict[str, Any] = {f"{__name__}.{n}": d for n, d in globals().items() if isinstance(d, Distribution)}
sys.modules.update(_modules)


def __getattr__(name: str) -> Any:
    found = find("scipy.stats.", "scipy.stats", name)
    if not isinstance(found, type) and hasattr(getattr(_scipys(), name), "rvs"):
        found = Distribution(name)
    globals()[name] = found
    return found


def _scipys() -> Any:
    import scipy.stats

    return scipy.stats


def __dir__() -> list[str]:
    return list(_scipys().__all__)

"""The discrete distributions of one variable. Their distribution functions: DLMF 8.4.10 and 8.17.5."""

from __future__ import annotations

from typing import Any

from .distribution import Discrete
from .functions import (
    betainc,
    betaincc,
    both,
    entr,
    exp,
    expm1,
    floor,
    gammainc,
    gammaincc,
    gammaln,
    log,
    log1p,
    xlog1py,
    xlogy,
)  # fmt: skip


def _probability(*shapes: Any) -> Any:
    return both(shapes[-1] >= 0, shapes[-1] <= 1)


poisson = Discrete(
    "poisson", "mu", lambda k, mu: xlogy(k, mu) - gammaln(k + 1.0) - mu, lambda mu: mu >= 0,
    cdf=lambda k, mu: gammaincc(k + 1.0, mu), sf=lambda k, mu: gammainc(k + 1.0, mu),
)  # fmt: skip

binom = Discrete(
    "binom", "n p",
    lambda k, n, p: (
        gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0) + xlogy(k, p) + xlog1py(n - k, -p)
    ),
    lambda n, p: both(both(n >= 0, n == floor(n)), _probability(p)), last=lambda n, p: n, fixed="n",
    cdf=lambda k, n, p: betaincc(k + 1.0, n - k, p), sf=lambda k, n, p: betainc(k + 1.0, n - k, p),
)  # fmt: skip

nbinom = Discrete(
    "nbinom", "n p",
    lambda k, n, p: gammaln(n + k) - gammaln(k + 1.0) - gammaln(n) + n * log(p) + xlog1py(k, -p),
    lambda n, p: both(n > 0, both(p > 0, p <= 1)),
    cdf=lambda k, n, p: betainc(n, k + 1.0, p), sf=lambda k, n, p: betaincc(n, k + 1.0, p),
)  # fmt: skip

bernoulli = Discrete(
    "bernoulli", "p", lambda k, p: xlogy(k, p) + xlog1py(1.0 - k, -p), _probability, last=lambda p: 1.0,
    cdf=lambda k, p: 1.0 - p + 0.0 * k, sf=lambda k, p: p + 0.0 * k, entropy=lambda p: entr(p) + entr(1.0 - p),
)  # fmt: skip

geom = Discrete(
    "geom", "p", lambda k, p: log(p) + xlog1py(k - 1.0, -p), lambda p: both(p > 0, p <= 1), first=1,
    cdf=lambda k, p: -expm1(k * log1p(-p)), sf=lambda k, p: exp(k * log1p(-p)),
)  # fmt: skip

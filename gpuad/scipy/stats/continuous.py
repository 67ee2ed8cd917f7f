"""The continuous distributions, each on the standard scale. Formulas: SciPy's documentation, and any table."""

from __future__ import annotations

import math
from typing import Any

from ...ops import elementwise as e
from ...ops.student import student_cdf, student_logpdf, student_ppf
from .distribution import POSITIVE, UNIT, Continuous
from .functions import (
    arctan2,
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    betaln,
    erf,
    exp,
    expit,
    expm1,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    gammaln,
    log,
    log1p,
    log_expit,
    log_ndtr,
    logit,
    maximum,
    minimum,
    ndtr,
    ndtri,
    power,
    psi,
    tan,
    where,
    xlog1py,
    xlogy,
)  # fmt: skip

LOG_2, LOG_PI, PI = math.log(2.0), math.log(math.pi), math.pi
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
EULER = 0.5772156649015329  # DLMF 5.2.3

norm = Continuous(
    "norm", "", lambda x: -0.5 * x * x - HALF_LOG_2PI,
    cdf=ndtr, sf=lambda x: ndtr(-x), logcdf=log_ndtr, logsf=lambda x: log_ndtr(-x),
    ppf=ndtri, isf=lambda q: -ndtri(q), entropy=lambda: HALF_LOG_2PI + 0.5,
)  # fmt: skip

t = Continuous(
    "t", "df", lambda x, df: student_logpdf(df, x),
    cdf=lambda x, df: student_cdf(df, x), sf=lambda x, df: student_cdf(df, -x),
    ppf=lambda q, df: student_ppf(df, q), isf=lambda q, df: -student_ppf(df, q),
    entropy=lambda df: (
        0.5 * (df + 1.0) * (psi(0.5 * (df + 1.0)) - psi(0.5 * df)) + 0.5 * log(df) + betaln(0.5 * df, 0.5)
    ),
)  # fmt: skip

cauchy = Continuous(
    "cauchy", "", lambda x: -LOG_PI - log1p(x * x),
    cdf=lambda x: arctan2(1.0, -x) / PI, sf=lambda x: arctan2(1.0, x) / PI,
    ppf=lambda q: tan(PI * (q - 0.5)), isf=lambda q: tan(PI * (0.5 - q)), entropy=lambda: math.log(4.0 * PI),
)  # fmt: skip


def _half_exp(x: Any) -> Any:
    """exp(-|x|) / 2, with the derivative that it has from below at 0."""
    return 0.5 * exp(where(x < 0, x, -x))


laplace = Continuous(
    "laplace", "", lambda x: -e.absolute(x) - LOG_2,
    cdf=lambda x: where(x < 0, _half_exp(x), 1.0 - _half_exp(x)),
    sf=lambda x: where(x < 0, 1.0 - _half_exp(x), _half_exp(x)),
    logcdf=lambda x: where(x < 0, x - LOG_2, log1p(-_half_exp(x))),
    logsf=lambda x: where(x < 0, log1p(-_half_exp(x)), -x - LOG_2),
    ppf=lambda q: where(q < 0.5, log(2.0 * minimum(q, 0.5)), -log(2.0 * (1.0 - maximum(q, 0.5)))),
    entropy=lambda: LOG_2 + 1.0,
)  # fmt: skip

logistic = Continuous(
    "logistic", "", lambda x: log_expit(x) + log_expit(-x),
    cdf=expit, sf=lambda x: expit(-x), logcdf=log_expit, logsf=lambda x: log_expit(-x),
    ppf=logit, isf=lambda q: -logit(q), entropy=lambda: 2.0,
)  # fmt: skip

gumbel_r = Continuous(
    "gumbel_r", "", lambda x: -x - exp(-x),
    cdf=lambda x: exp(-exp(-x)), sf=lambda x: -expm1(-exp(-x)), logcdf=lambda x: -exp(-x),
    ppf=lambda q: -log(-log(q)), isf=lambda q: -log(-log1p(-q)), entropy=lambda: EULER + 1.0,
)  # fmt: skip

# -- on the positive numbers --------------------------------------------------------------------------
expon = Continuous(
    "expon", "", lambda x: -x, bounds=POSITIVE,
    cdf=lambda x: -expm1(-x), sf=lambda x: exp(-x), logsf=lambda x: -x,
    ppf=lambda q: -log1p(-q), isf=lambda q: -log(q), entropy=lambda: 1.0,
)  # fmt: skip

gamma = Continuous(
    "gamma", "a", lambda x, a: xlogy(a - 1.0, x) - x - gammaln(a), bounds=POSITIVE,
    cdf=lambda x, a: gammainc(a, x), sf=lambda x, a: gammaincc(a, x),
    ppf=lambda q, a: gammaincinv(a, q), isf=lambda q, a: gammainccinv(a, q),
    entropy=lambda a: a + gammaln(a) + (1.0 - a) * psi(a),
)  # fmt: skip

chi2 = Continuous(
    "chi2", "df",
    lambda x, df: xlogy(0.5 * df - 1.0, x) - 0.5 * x - gammaln(0.5 * df) - 0.5 * LOG_2 * df, bounds=POSITIVE,
    cdf=lambda x, df: gammainc(0.5 * df, 0.5 * x), sf=lambda x, df: gammaincc(0.5 * df, 0.5 * x),
    ppf=lambda q, df: 2.0 * gammaincinv(0.5 * df, q), isf=lambda q, df: 2.0 * gammainccinv(0.5 * df, q),
    entropy=lambda df: 0.5 * df + LOG_2 + gammaln(0.5 * df) + (1.0 - 0.5 * df) * psi(0.5 * df),
)  # fmt: skip

invgamma = Continuous(
    "invgamma", "a", lambda x, a: -(a + 1.0) * log(x) - gammaln(a) - 1.0 / x, bounds=POSITIVE, closed=False,
    cdf=lambda x, a: gammaincc(a, 1.0 / x), sf=lambda x, a: gammainc(a, 1.0 / x),
    ppf=lambda q, a: 1.0 / gammainccinv(a, q), isf=lambda q, a: 1.0 / gammaincinv(a, q),
    entropy=lambda a: a + gammaln(a) - (1.0 + a) * psi(a),
)  # fmt: skip

f = Continuous(
    "f", "dfn dfd",
    lambda x, m, n: (
        0.5 * m * log(m) + 0.5 * n * log(n) + xlogy(0.5 * m - 1.0, x) - 0.5 * (m + n) * log(n + m * x)
        - betaln(0.5 * m, 0.5 * n)
    ),
    bounds=POSITIVE,
    cdf=lambda x, m, n: betainc(0.5 * m, 0.5 * n, m * x / (n + m * x)),
    sf=lambda x, m, n: betainc(0.5 * n, 0.5 * m, n / (n + m * x)),
    ppf=lambda q, m, n: n / m * (1.0 / betainccinv(0.5 * n, 0.5 * m, q) - 1.0),
    isf=lambda q, m, n: n / m * (1.0 / betaincinv(0.5 * n, 0.5 * m, q) - 1.0),
)  # fmt: skip

lognorm = Continuous(
    "lognorm", "s", lambda x, s: -0.5 * e.square(log(x) / s) - log(s * x) - HALF_LOG_2PI, bounds=POSITIVE,
    closed=False, cdf=lambda x, s: ndtr(log(x) / s), sf=lambda x, s: ndtr(-log(x) / s),
    logcdf=lambda x, s: log_ndtr(log(x) / s), logsf=lambda x, s: log_ndtr(-log(x) / s),
    ppf=lambda q, s: exp(s * ndtri(q)), isf=lambda q, s: exp(-s * ndtri(q)),
    entropy=lambda s: 0.5 + HALF_LOG_2PI + log(s),
)  # fmt: skip

weibull_min = Continuous(
    "weibull_min", "c", lambda x, c: log(c) + xlogy(c - 1.0, x) - power(x, c), bounds=POSITIVE,
    cdf=lambda x, c: -expm1(-power(x, c)), sf=lambda x, c: exp(-power(x, c)), logsf=lambda x, c: -power(x, c),
    ppf=lambda q, c: power(-log1p(-q), 1.0 / c), isf=lambda q, c: power(-log(q), 1.0 / c),
    entropy=lambda c: EULER * (1.0 - 1.0 / c) - log(c) + 1.0,
)  # fmt: skip

halfnorm = Continuous(
    "halfnorm", "", lambda x: 0.5 * math.log(2.0 / PI) - 0.5 * x * x, bounds=POSITIVE,
    cdf=lambda x: erf(x * math.sqrt(0.5)), sf=lambda x: 2.0 * ndtr(-x), logsf=lambda x: LOG_2 + log_ndtr(-x),
    ppf=lambda q: ndtri(0.5 * (1.0 + q)), isf=lambda q: -ndtri(0.5 * q), entropy=lambda: 0.5 * math.log(PI / 2.0) + 0.5,
)  # fmt: skip

pareto = Continuous(
    "pareto", "b", lambda x, b: log(b) - (b + 1.0) * log(x), support=lambda b: (1.0, math.inf, 2.0),
    cdf=lambda x, b: -expm1(-b * log(x)), sf=lambda x, b: exp(-b * log(x)), logsf=lambda x, b: -b * log(x),
    ppf=lambda q, b: exp(-log1p(-q) / b), isf=lambda q, b: exp(-log(q) / b),
    entropy=lambda b: 1.0 + 1.0 / b - log(b),
)  # fmt: skip

# -- on an interval ---------------------------------------------------------------------------------
uniform = Continuous(
    "uniform", "", lambda x: 0.0 * x, bounds=UNIT, cdf=lambda x: x, ppf=lambda q: q, entropy=lambda: 0.0
)

beta = Continuous(
    "beta", "a b", lambda x, a, b: xlog1py(b - 1.0, -x) + xlogy(a - 1.0, x) - betaln(a, b), bounds=UNIT,
    cdf=lambda x, a, b: betainc(a, b, x), sf=lambda x, a, b: betaincc(a, b, x),
    ppf=lambda q, a, b: betaincinv(a, b, q), isf=lambda q, a, b: betainccinv(a, b, q),
    entropy=lambda a, b: (
        betaln(a, b) - (a - 1.0) * psi(a) - (b - 1.0) * psi(b) + (a + b - 2.0) * psi(a + b)
    ),
)  # fmt: skip


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the probability that the normal distribution has between ``a`` and ``b``."""
    right = a > 0.0  # there the tails are taken on the other side, where they are small
    a, b = where(right, -b, a), where(right, -a, b)
    below, above = a == -math.inf, b == math.inf
    log_b = where(above, 0.0, log_ndtr(where(above, 0.0, b)))
    log_a = where(below, -math.inf, log_ndtr(where(below, 0.0, a)))
    return log_b + log1p(-exp(log_a - log_b))


def _within(a: Any, b: Any) -> Any:
    """A number between ``a`` and ``b``, of which either may be infinite."""
    return 0.5 * (maximum(a, minimum(b, 0.0) - 2.0) + minimum(b, maximum(a, 0.0) + 2.0))


truncnorm = Continuous(
    "truncnorm", "a b", lambda x, a, b: -0.5 * x * x - HALF_LOG_2PI - _log_mass(a, b),
    support=lambda a, b: (a, b, _within(a, b)), valid=lambda a, b: a < b,
    logcdf=lambda x, a, b: _log_mass(a, x) - _log_mass(a, b), logsf=lambda x, a, b: _log_mass(x, b) - _log_mass(a, b),
    cdf=lambda x, a, b: exp(_log_mass(a, x) - _log_mass(a, b)),
    sf=lambda x, a, b: exp(_log_mass(x, b) - _log_mass(a, b)),
)  # fmt: skip

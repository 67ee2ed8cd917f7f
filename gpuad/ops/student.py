"""Student's distribution: its distribution function and quantiles, with derivatives also in the degrees of freedom."""

from __future__ import annotations

from typing import Any

from ..core.primitive import Binary
from .declare import binary
from .elementwise import equal, exp, log, log1p, square, where
from .special_gamma import betaln
from .special_incomplete import beta_slope


def student_logpdf(df: Any, x: Any) -> Any:
    half = 0.0 * df + 0.5  # of the dtype of df, which SciPy's function keeps then
    return -0.5 * (df + 1.0) * log1p(square(x) / df) - 0.5 * log(df) - betaln(0.5 * df, half)


def _cdf(xp: Any, df: Any, x: Any) -> Any:
    betainc, square = xp.scipy.special.betainc, x * x
    tail = 0.5 * betainc(0.5 * df, 0.5, df / (df + square))
    middle = 0.5 * betainc(0.5, 0.5 * df, square / (df + square))
    return xp.where(square < df, 0.5 + xp.sign(x) * middle, xp.where(x < 0.0, tail, 1.0 - tail))


def _ppf(xp: Any, df: Any, q: Any) -> Any:
    betaincinv = xp.scipy.special.betaincinv
    tail = xp.minimum(q, 1.0 - q)
    far = betaincinv(0.5 * df, 0.5, 2.0 * tail)
    near = betaincinv(0.5, 0.5 * df, 1.0 - 2.0 * tail)
    square = xp.where(tail < 0.25, (1.0 - far) / far, near / (1.0 - near))
    return xp.sign(q - 0.5) * xp.sqrt(df * square)


def _slope_in_df(df: Any, x: Any) -> Any:
    """The derivative of the distribution function in the degrees of freedom.

    Of the tail I(z; df/2, 1/2) / 2 with z = df / (df + x²), where ∂I/∂z is the density of the beta distribution,
    and ∂I/∂a is that times ``-beta_slope``.
    """
    middle = equal(x, 0.0)
    y = where(middle, 1.0, x)
    total = df + square(y)
    z, w = df / total, square(y) / total
    slope = beta_slope(0.5 * df, 0.5, z, w) / (z * w)
    return where(middle, 0.0, -0.5 * y * exp(student_logpdf(df, y)) * (1.0 / df - 0.5 * slope))


student_cdf: Binary = binary(
    "student_cdf",
    lambda g, ans, df, x: g * _slope_in_df(df, x),
    lambda g, ans, df, x: g * exp(student_logpdf(df, x)),
    _cdf,
    plain=False,
)
student_ppf: Binary = binary(
    "student_ppf",
    lambda g, ans, df, q: -g * _slope_in_df(df, ans) / exp(student_logpdf(df, ans)),
    lambda g, ans, df, q: g / exp(student_logpdf(df, ans)),
    _ppf,
    plain=False,
)

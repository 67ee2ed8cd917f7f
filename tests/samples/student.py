"""Samples of Student's distribution, and of the normal distribution of several variables."""

from __future__ import annotations

from gpuad.ops.normal_cdf import normal_cdf
from gpuad.ops.student import student_cdf, student_ppf

from . import sample

# The second derivatives in the degrees of freedom aren't known, so of these there is but the first.
SAMPLES = [
    sample("student_cdf", lambda np, df, x: student_cdf(df, x), (), (3,), low=0.3, high=4.0, order=1),
    sample("student_cdf", lambda np, x: student_cdf(2.5, x), (2, 3), label="student_cdf of x"),
    sample("student_ppf", lambda np, df, q: student_ppf(df * 3.0, q), (2, 1), (3,), low=0.1, high=0.9, order=1),
    sample("student_ppf", lambda np, q: student_ppf(2.5, q), (), low=0.1, high=0.9, label="student_ppf of q"),
    # Of two variables SciPy's value is exact.
    sample("normal_cdf", lambda np, b, a: normal_cdf(b, a @ a.T), (2,), (2, 4)),
    sample("normal_cdf", lambda np, b, a: normal_cdf(b, a @ a.T), (3, 2), (2, 4)),
]

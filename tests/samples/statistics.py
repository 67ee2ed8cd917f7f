"""Samples of quantiles, covariances and histograms."""

from __future__ import annotations

from . import sample

_METHODS = (
    "interpolated_inverted_cdf hazen weibull linear median_unbiased normal_unbiased lower higher nearest midpoint "
    "inverted_cdf averaged_inverted_cdf closest_observation"
).split()


SAMPLES = [
    sample("reorder", lambda np, x: np.median(x), (5,), distinct=True, label="median"),
    sample("reorder", lambda np, x: np.median(x, axis=(0, 2)), (2, 3, 2), distinct=True, label="median axes"),
    sample("reorder", lambda np, x: np.median(x, 0, keepdims=True), (4, 2), distinct=True, label="median kept"),
    sample("reorder", lambda np, x: np.quantile(x, 0.3), (2, 4), distinct=True, label="quantile"),
    sample("reorder", lambda np, x: np.percentile(x, 80, axis=-1), (2, 4), distinct=True, label="percentile"),
    sample("reorder", lambda np, x: np.nanmedian(x, axis=0) ** 2, (4, 2), distinct=True, label="nanmedian"),
    sample("gather", lambda np, x: np.nanpercentile(x, 30, axis=1, keepdims=True), (2, 5), distinct=True,
           label="nanpercentile"),
    *(
        sample("gather", lambda np, x, m=m: np.nanquantile(x, 0.37, axis=0, method=m), (5, 2), distinct=True,
               label=f"nanquantile {m}")
        for m in _METHODS
    ),
    *(
        sample("reorder", lambda np, x, m=m: np.quantile(x, 0.37, axis=0, method=m), (5, 2), distinct=True,
               label=f"quantile {m}")
        for m in _METHODS
    ),
    sample("gather", lambda np, x, q: np.quantile(np.sin(x), q, axis=0), (5, 2), (2,), low=0.1, high=0.9,
           distinct=True, label="quantile of traced q"),
    sample("matmul", lambda np, x: np.cov(x), (3, 5), complex=True, label="cov"),
    sample("matmul", lambda np, x, y: np.cov(x, y, ddof=0), (5,), (5,), label="cov of two"),
    sample("matmul", lambda np, x: np.corrcoef(x), (3, 5), label="corrcoef"),
    sample("scatter_add", lambda np, w: np.bincount(np.asarray([0, 2, 2, 5]), w) ** 2, (4,), label="bincount"),
    sample("scatter_add", lambda np, x, w: np.histogram(x, 3, weights=w * w, density=True)[0], (6,), (6,), low=0.5,
           distinct=True, label="histogram"),
    sample("max", lambda np, x: np.histogram(x, 3)[1] ** 2, (6,), distinct=True, label="histogram edges"),
    sample("scatter_add", lambda np, x, y, w: np.histogram2d(x, y, 2, weights=w * w)[0], (6,), (6,), (6,), low=0.5,
           distinct=True, label="histogram2d"),
]  # fmt: skip

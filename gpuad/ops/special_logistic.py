"""The logistic function, and sums of exponentials."""

from __future__ import annotations

import math
from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive, Unary
from ..fused.staging import composed
from .batching import over_axis
from .declare import astype, operation, unary
from .elementwise import equal, exp, isfinite, log, log1p, where
from .reduce import Axes, count_of, keep, kept, max_, sum_

# 1 - expit(x) would be all rounding where it is small; expit(-x) is not.
expit: Unary = unary("scipy.special.expit", lambda g, ans, x: g * ans * expit(-x), plain=False, scalar="expit({0})")
log_expit: Unary = unary(
    "scipy.special.log_expit", lambda g, ans, x: g * expit(-x), plain=False, scalar="log_expit({0})"
)
logit: Unary = unary("scipy.special.logit", lambda g, ans, x: g / (x * (1.0 - x)), plain=False, scalar="logit({0})")


def _below(xp: Any, x: Any, axis: Axes) -> tuple[Any, Any]:
    """``x`` less its maximum, with which no exponential overflows, and the maximum."""
    top = xp.max(x, axis=axis, keepdims=True)
    return x - xp.where(xp.isfinite(top), top, xp.zeros_like(top)), top


def _logsumexp(xp: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    x = xp.asarray(x)
    if not count_of(x.shape, axis):
        total = xp.full(kept(x.shape, axis), -math.inf, x.dtype)
    else:
        # The largest terms are counted and the others added to them: beside 1 their sum may be too small to be seen.
        below, top = _below(xp, x, axis)
        largest = x == top
        n = xp.sum(largest, axis=axis, keepdims=True, dtype=xp.float64)
        rest = xp.sum(xp.where(largest, xp.zeros_like(x), xp.exp(below)), axis=axis, keepdims=True)
        total = (xp.log1p(rest / n) + xp.log(n) + top).astype(x.dtype)
    return total if keepdims else xp.squeeze(total, axis=axis)[()]


def _logsumexp_vjp(g: Any, ans: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    # From the terms, not from the result: a large one would be too coarse to tell how they compare.
    g = where(equal(ans, -math.inf), 0.0, g)
    return keep(g, spec_of(x).shape, axis, keepdims) * shares(x, axis=axis)


def _composed_logsumexp(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """``_logsumexp`` in primitives, for one pass over each row."""
    lengths = spec_of(x).shape
    top = max_(x, axis=axis, keepdims=keepdims)
    largest = equal(x, keep(top, lengths, axis, keepdims))
    below = x - keep(where(isfinite(top), top, 0.0), lengths, axis, keepdims)
    n = sum_(where(largest, 1.0, 0.0), axis=axis, keepdims=keepdims)
    rest = sum_(where(largest, 0.0, exp(below)), axis=axis, keepdims=keepdims)
    return astype(log1p(rest / n) + log(n) + top, dtype=spec_of(x).dtype)


logsumexp: Primitive = operation(
    "scipy.special.logsumexp",
    _logsumexp,
    _logsumexp_vjp,
    batch=over_axis,
    deferred=composed(_composed_logsumexp),
)


def _normalized(xp: Any, weights: Any, axis: Axes) -> Any:
    return (weights / xp.sum(weights, axis=axis, keepdims=True))[()]


def _shares(xp: Any, x: Any, *, axis: Axes) -> Any:
    x = xp.asarray(x)
    top = xp.max(x, axis=axis, keepdims=True) if x.size else x
    # What equals the maximum is told apart by comparing, for infinite ones have no difference.
    finite = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    below = xp.where(xp.isfinite(top), x - finite, xp.full_like(top, -math.inf))
    return _normalized(xp, xp.exp(xp.where(x == top, xp.zeros_like(below), below)), axis)


def _softmax(xp: Any, x: Any, *, axis: Axes) -> Any:
    x = xp.asarray(x)
    return _normalized(xp, xp.exp(x - xp.max(x, axis=axis, keepdims=True)), axis) if x.size else x


def _softmax_vjp(g: Any, ans: Any, x: Any, *, axis: Axes) -> Any:
    return ans * (g - sum_(g * ans, axis=axis, keepdims=True))


def _composed_softmax(x: Any, *, axis: Axes) -> Any:
    weights = exp(x - max_(x, axis=axis, keepdims=True))
    return weights / sum_(weights, axis=axis, keepdims=True)


def _composed_shares(x: Any, *, axis: Axes) -> Any:
    top = max_(x, axis=axis, keepdims=True)
    below = where(isfinite(top), x - where(isfinite(top), top, 0.0), -math.inf)
    weights = exp(where(equal(x, top), 0.0, below))
    return weights / sum_(weights, axis=axis, keepdims=True)


softmax: Primitive = operation(
    "scipy.special.softmax", _softmax, _softmax_vjp, batch=over_axis, deferred=composed(_composed_softmax)
)
#: ``softmax``; terms that are infinite share equally.
shares: Primitive = operation("shares", _shares, _softmax_vjp, batch=over_axis, deferred=composed(_composed_shares))


def _log_softmax(xp: Any, x: Any, *, axis: Axes) -> Any:
    x = xp.asarray(x)
    if not x.size:
        return x
    below, _ = _below(xp, x, axis)
    return (below - xp.log(xp.sum(xp.exp(below), axis=axis, keepdims=True)))[()]


def _composed_log_softmax(x: Any, *, axis: Axes) -> Any:
    top = max_(x, axis=axis, keepdims=True)
    below = x - where(isfinite(top), top, 0.0)
    return below - log(sum_(exp(below), axis=axis, keepdims=True))


log_softmax: Primitive = operation(
    "scipy.special.log_softmax",
    _log_softmax,
    lambda g, ans, x, *, axis: g - exp(ans) * sum_(g, axis=axis, keepdims=True),
    batch=over_axis,
    deferred=composed(_composed_log_softmax),
)

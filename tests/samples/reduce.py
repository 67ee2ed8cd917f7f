"""Samples of the reductions and cumulations."""

from __future__ import annotations

from . import sample

_CASES = [((), {}), ((3,), {}), ((2, 3), {}), ((2, 3), {"axis": 0}), ((2, 3), {"axis": -1, "keepdims": True})]
_CASES += [((2, 3, 2), {"axis": (2, 0)}), ((2, 3, 2), {"axis": (-1, 1), "keepdims": True})]
_CASES += [((2, 3), {"axis": ()}), ((2, 3), {"keepdims": True}), ((2, 1, 3), {"axis": 1})]
_EMPTY = [((0,), {}), ((2, 0), {"axis": 0}), ((0, 3), {"axis": 0})]


def _label(name, options):
    return name + "".join(f" {k}={v}" for k, v in options.items())


def _reduction(name, options, power=1):
    return lambda np, x: getattr(np, name)(x, **options) ** power


SAMPLES = [
    sample("sum spread", _reduction("sum", o, 2), shape, complex=True, label=_label("sum", o))
    for shape, o in _CASES + _EMPTY
    if not (o.get("keepdims") and "axis" not in o)
]
SAMPLES += [
    sample(name, _reduction(name, o), shape, complex=name in ("mean", "prod"), label=_label(name, o))
    for name in ("mean", "prod", "var", "std")
    for shape, o in _CASES
    if name != "prod" or shape
    if name != "std" or (shape and o.get("axis") != () and shape != (2, 1, 3))
    if not (name == "prod" and o.get("axis") == ())
]
SAMPLES += [
    sample(f"{name} count", _reduction(name, o), shape, distinct=True, label=_label(name, o))
    for name in ("max", "min", "nanmax", "nanmin")
    for shape, o in _CASES
]
SAMPLES += [
    sample("mean", _reduction("mean", {"axis": 1}), (0, 3), label="mean of none"),
    sample("max", _reduction("max", {"axis": 1}), (0, 3), label="max of none"),
    sample("prod", _reduction("prod", {}), (0,), label="prod of none"),
    sample("var", _reduction("var", {"axis": 0, "ddof": 1}), (4, 2), label="var ddof"),
    sample("std", _reduction("std", {"axis": 0, "ddof": 1, "keepdims": True}), (4, 2), label="std ddof"),
    sample("sum", lambda np, x: np.sum(x, -1) * x.sum(axis=0), (3, 3), label="sum positional"),
    sample("max", lambda np, x: np.amax(x, 0) * np.amin(x, axis=1), (3, 3), distinct=True, label="amax"),
    sample("max min", lambda np, x: np.ptp(x, axis=-1), (2, 4), distinct=True, label="ptp"),
    sample("cumsum", lambda np, x: np.cumsum(x) ** 2, (2, 3), complex=True),
    sample("cumsum", lambda np, x: x.cumsum(axis=-1), (2, 3), label="cumsum axis=-1"),
    sample("cumsum", lambda np, x: np.cumsum(x, axis=0), (0, 2)),
    sample("cumprod recurrence shift", lambda np, x: np.cumprod(x), (5,), complex=True),
    sample("cumprod recurrence shift", lambda np, x: np.cumprod(x, axis=-2), (4, 2), label="cumprod axis=-2"),
    sample("cumprod", lambda np, x: np.cumprod(x, axis=0), (1, 2), label="cumprod of one"),
    sample("cumprod", lambda np, x: np.cumprod(x), (0,)),
    # zeros are factors like any other
    sample("prod shift", lambda np, x: np.prod(x * np.arange(4.0).astype(x.dtype), axis=-1), (4,), label="prod zero"),
    sample("prod shift", lambda np, x: np.prod((x - x)[:2]) * np.sum(x), (3,), label="prod zeros"),
    sample("cumprod", lambda np, x: np.cumprod(x * np.arange(-1.0, 3).astype(x.dtype)), (4,), label="cumprod zero"),
    # compositions
    sample("max sum", lambda np, x: _logsumexp(np, x), (2, 3), distinct=True, label="logsumexp"),
    sample("sum", lambda np, x, w: np.average(x, axis=1, weights=w), (2, 3), (3,), low=0.5, label="average"),
    sample("sum", lambda np, x, w: np.average(x, weights=w), (2, 3), (2, 3), low=0.5, label="average of all"),
    # constants
    *(
        sample(name, lambda np, x, name=name: getattr(np, name)(x, axis=0) * 1, (3, 2), order=0, label=name)
        for name in ("argmax", "argmin", "nanargmax", "nanargmin", "any", "all", "count_nonzero")
    ),
    sample("nonzero", lambda np, x: np.nonzero(x)[0], (3,), order=0, label="nonzero"),
    sample("argwhere", lambda np, x: np.argwhere(x), (3, 2), order=0, label="argwhere"),
    sample("flatnonzero", lambda np, x: np.flatnonzero(x), (3, 2), order=0, label="flatnonzero"),
]


def _logsumexp(np, x):
    m = np.max(x, axis=1, keepdims=True)
    return m + np.log(np.sum(np.exp(x - m), axis=1, keepdims=True))

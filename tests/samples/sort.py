"""Samples of sorting."""

from __future__ import annotations

from . import sample

SAMPLES = [
    sample("argsort reorder restore", lambda np, x: np.sort(x) ** 2, (5,), distinct=True),
    sample("reorder", lambda np, x: np.sort(x, axis=0), (4, 3), distinct=True, label="sort axis=0"),
    sample("reorder", lambda np, x: np.sort(x, axis=None), (2, 3), distinct=True, label="sort axis=None"),
    sample("reorder", lambda np, x: np.sort(x, axis=-2), (2, 0), label="sort of none"),
    sample("argsort", lambda np, x: np.argsort(x, axis=0), (3, 2), distinct=True, order=0, label="argsort"),
    sample("argpartition", lambda np, x: np.argpartition(x, 1)[1], (3,), distinct=True, order=0, label="argpartition"),
    sample("argpartition restore", lambda np, x: np.partition(x, 2)[2], (5,), distinct=True, label="partition"),
    sample(
        "searchsorted",
        lambda np, x, v: np.searchsorted(np.sort(x), v),
        (4,),
        (2,),
        distinct=True,
        order=0,
        label="searchsorted",
    ),
    sample(
        "digitize", lambda np, x, b: np.digitize(x, np.sort(b)), (4,), (3,), distinct=True, order=0, label="digitize"
    ),
]

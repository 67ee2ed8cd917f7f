"""Samples of indexing."""

from __future__ import annotations

import numpy as host

from . import sample


def _index(index, *shape, **options):
    """``x[index]``; arrays in the index are made on the backend of ``x``."""
    entries = index if isinstance(index, tuple) else (index,)
    gathers = any(isinstance(i, (list, bool)) for i in entries)
    f = lambda np, x: x[index]  # noqa: E731
    return sample("gather" if gathers else "part", f, shape, complex=True, label=f"x[{index!r}]", **options)


SAMPLES = [
    _index(1, 3),
    _index(-1, 3),
    _index(host.int64(1), 3),
    _index(host.array(1), 3, 2),
    _index((), 3),
    _index((), order=1),
    _index(None),
    _index(Ellipsis),
    _index((1, 2), 2, 3),
    _index((0, Ellipsis), 2, 3),
    _index((Ellipsis, None, 1), 2, 3),
    _index(slice(1, 3), 4),
    _index(slice(None, None, -2), 5),
    _index(slice(3, 1), 4),
    _index((slice(None), None, slice(0, 2)), 2, 3),
    _index((slice(1, None), -1), 3, 2),
    _index(0, 2, 0),
    _index([0, 2, 2], 3),
    _index([], 3),
    _index([[0, 1], [1, -1]], 3),
    _index([0, 0], 2, 3),
    _index(([0, 1, 1], [2, 0, 0]), 2, 3),
    _index(([0, 1, 1], slice(1, None)), 2, 3),
    _index((slice(None), [0, 0, 2]), 2, 3),
    _index(([0, 1], slice(None), [1, 1]), 2, 2, 2),
    _index((0, slice(None), [1, 1]), 2, 2, 2),
    _index((None, [1, 0, 1], Ellipsis), 2, 3),
    _index(([[0], [1]], [0, 2]), 2, 3),
    _index([True, False, True], 3),
    _index([[True, False], [False, True]], 2, 2),
    _index((slice(None), [True, False, True]), 2, 3),
    _index(([True, True], [0, 2]), 2, 3),
    _index(True, 2),
    _index(False, 2),
    sample("gather", lambda np, x: x[np.array([1, 1, 0])] * x[np.array([2, 1, 1])], (3, 2), label="array index"),
    sample("gather", lambda np, x: x[x > 0.0], (4,), order=1, label="mask"),
    # Several reads of one array: terms of all kinds add up, also into a cotangent that is an array.
    sample(
        "part gather scatter_add",
        lambda np, x: x[0] * x[1:] + x[:-1] * x[[1, 1, 2]] + x[2],
        (4,),
        complex=True,
        label="reads",
    ),
    sample("part scatter_add", lambda np, x: (x * x)[::2] + x[0] * x[:2], (4,), label="reads of two"),
    sample(
        "part scatter_add", lambda np, x: sum(x[i] * x[(i * i) % 3] for i in [0, 1, 2] * 10), (3,), label="many reads"
    ),
    sample("part", lambda np, x: sum((r * r[0] for r in x), 0.0), (3, 2), label="rows"),
]

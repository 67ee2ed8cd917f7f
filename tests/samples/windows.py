"""Samples of views of windows and by strides, and of functions that are called on rows."""

from __future__ import annotations

from gpuad.numpy.lib.stride_tricks import as_strided

from . import sample


def _view(np, *args):
    return np.lib.stride_tricks.sliding_window_view(*args)


def _strided(np, x, shape, steps):
    """Through gpuad's namespace, for NumPy lets nobody intercept this one."""
    x = np.stack(list(x))  # written row by row
    return as_strided(x, shape, tuple(x.itemsize * s for s in steps))


SAMPLES = [
    sample("windows overlap_add", lambda np, x: _view(np, x, 3) ** 2, (6,), label="windows"),
    sample("windows", lambda np, x: _view(np, x, 5), (6,), complex=True, label="long windows"),
    sample("windows", lambda np, x: _view(np, x, (2, 2)) ** 2, (3, 4), label="windows along two axes"),
    sample("windows", lambda np, x: _view(np, x, (4, 3), (0, 2)) ** 2, (4, 2, 3), label="long windows along two axes"),
    sample(
        "windows overlap_add", lambda np, x: _view(np, _view(np, x, 2) ** 2, 2, 0) ** 2, (5,), label="windows twice"
    ),
    sample("as_strided scatter_add", lambda np, x: _strided(np, x, (3, 3), (1, 2)) ** 2, (8,), label="as_strided"),
    sample(
        "as_strided", lambda np, x: _strided(np, x, (3, 2), (1, 3)), (2, 3), complex=True, label="as_strided matrix"
    ),
    sample("as_strided", lambda np, x: _strided(np, x, (2, 3), (0, 1)) ** 2, (3,), label="as_strided repeating"),
    sample(
        "stack", lambda np, x: np.apply_along_axis(lambda row: row * row[0], 0, x), (3, 2), label="apply_along_axis"
    ),
    sample("sum", lambda np, x: np.apply_over_axes(np.sum, x * x, (0, 2)), (2, 3, 2), label="apply_over_axes"),
]

"""Linear filters of images, with all that may be thought to lie beyond the edge."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..core.primitive import Primitive
from .batching import filled, of_one, padded
from .convolve import FEW, convolve, convolved_in_pairs, sliding_products
from .declare import fit, operation
from .shape import flip, reshape

Shape = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]


# -- beyond the edge ----------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def _runs(n: int, width: tuple[int, int], mode: str) -> tuple[tuple[slice, slice, bool], ...]:
    """What ``pad`` puts around n numbers, in runs: where, of which numbers, and whether of one alone."""
    sources = np.pad(np.arange(n), width, mode)  # type: ignore[call-overload]
    runs = []
    for i, end in ((0, width[0]), (width[0] + n, n + sum(width))):
        while i < end:
            j, step = i + 1, 0
            if j < end and abs(sources[j] - sources[i]) <= 1:
                step = int(sources[j] - sources[i])
                while j < end and sources[j] - sources[j - 1] == step:
                    j += 1
            first, last = int(sources[i]), int(sources[j - 1])
            stop = last + (step or 1)
            runs.append((slice(i, j), slice(first, None if stop < 0 else stop, step or None), not step))
            i = j
    return tuple(runs)


def _fold(xp: Any, y: Any, *, widths: Widths, mode: str) -> Any:
    axis = next((axis for axis, width in enumerate(widths) if any(width)), None)
    if axis is None:
        return y.copy()
    before, width = (slice(None),) * axis, widths[axis]
    rest = tuple([(0, 0) if i <= axis else w for i, w in enumerate(widths)])
    n = y.shape[axis] - sum(width)
    out = _fold(xp, y[(*before, slice(width[0], width[0] + n))], widths=rest, mode=mode)
    if mode != "constant":
        for there, here, repeated in _runs(n, width, mode):
            run = y[(*before, there)]
            run = _fold(xp, run.sum(axis, keepdims=True) if repeated else run, widths=rest, mode=mode)
            out[(*before, here)] += run
    return out


#: ``x`` with as much around it as ``widths`` say, by one of the modes of NumPy's ``pad``; and what undoes that.
extend: Primitive = operation(
    "extend_edges",
    lambda xp, x, *, widths, mode: xp.pad(x, widths, mode=mode),
    lambda g, ans, x, *, widths, mode: fold(g, widths=widths, mode=mode),
    linear=True,
    batch=padded,
)
fold: Primitive = operation(
    "fold_edges",
    _fold,
    lambda g, ans, y, *, widths, mode: extend(g, widths=widths, mode=mode),
    linear=True,
    batch=padded,
)

#: SciPy's names of what lies beyond the edge, and NumPy's.
PADDING = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}


# -- correlation with weights -------------------------------------------------------------------------------
def _correlate(xp: Any, x: Any, w: Any, *, axes: Shape, origins: Shape, mode: str) -> Any:
    if w.dtype.kind == "c":
        w = w.conj()  # which SciPy's does once more
    if len(axes) == 1:
        return xp.scipy.ndimage.correlate1d(x, w, axes[0], mode=mode, origin=origins[0])
    return xp.scipy.ndimage.correlate(x, _spread(w, axes, x.ndim), mode=mode, origin=per_axis(axes, origins, x.ndim, 0))


def per_axis(axes: Shape, values: Any, ndim: int, default: Any) -> tuple[Any, ...]:
    """``values``, which are for ``axes``, for all axes."""
    by_axis = dict(zip(axes, values, strict=True))
    return tuple(by_axis.get(i, default) for i in range(ndim))


def _spread(w: Any, axes: Shape, ndim: int) -> Any:
    """The weights with an axis of length 1 for every one along which they don't reach."""
    return w.reshape(per_axis(axes, w.shape, ndim, 1))


def reach_of(lengths: Shape, origins: Shape) -> list[tuple[int, int]]:
    """How far the weights reach before and after the place that they are laid on."""
    return [(k // 2 + o, k - 1 - k // 2 - o) for k, o in zip(lengths, origins, strict=True)]


def _correlate_vjp_x(g: Any, ans: Any, x: Any, w: Any, *, axes: Shape, origins: Shape, mode: str) -> Any:
    # What an entry gave to each place comes back from there: the weights the other way round.
    reach = reach_of(w.shape, origins)
    back = tuple(after - k // 2 for k, (_, after) in zip(w.shape, reach, strict=True))
    w = flip(w, axes=tuple(range(len(axes))))
    if PADDING[mode] == "constant":
        return correlate(g, w, axes=axes, origins=back, mode="constant")
    widths = per_axis(axes, reach, len(x.shape), (0, 0))
    g = extend(g, widths=widths, mode="constant")
    return fold(correlate(g, w, axes=axes, origins=back, mode="constant"), widths=widths, mode=PADDING[mode])


def _correlate_vjp_w(g: Any, ans: Any, x: Any, w: Any, *, axes: Shape, origins: Shape, mode: str) -> Any:
    ndim = len(x.shape)
    every = tuple(range(ndim))
    x = extend(x, widths=per_axis(axes, reach_of(w.shape, origins), ndim, (0, 0)), mode=PADDING[mode])
    if w.size <= FEW:
        h = sliding_products(g[None, None], x[None, None])
    else:
        h = convolve(x, flip(g, axes=every), mode="valid", method="auto", axes=every)
    return reshape(h, shape=w.shape, order="C")


def _correlate_batched(prim: Any, n: int, mapped: Any, values: Any, params: Any) -> Any:
    if not mapped[1]:
        return along_image(prim, n, mapped, values, params)
    x, w = filled(values, mapped, n)
    axes, ndim = params["axes"], len(x.shape) - 1
    reach = reach_of(w.shape[1:], params["origins"])
    x = extend(x, widths=((0, 0), *per_axis(axes, reach, ndim, (0, 0))), mode=PADDING[params["mode"]])
    w = reshape(w, shape=(n, *per_axis(axes, w.shape[1:], ndim, 1)), order="C")
    every = tuple(range(ndim))
    w = flip(w, axes=tuple(i + 1 for i in every))
    how = {"mode": "valid", "method": "auto", "axes": every}
    return convolved_in_pairs(convolve, n, [True, True], [x, w], how)


along_image = of_one(0)


#: ``w`` has an axis for each of ``axes``, which are sorted. Beyond the edge of ``x`` comes what ``mode`` says in
#: SciPy's words, where ``"constant"`` means zeros; nothing is conjugated.
correlate: Primitive = operation(
    "scipy.ndimage.correlate",
    _correlate,
    _correlate_vjp_x,
    _correlate_vjp_w,
    linear=True,
    finish=fit,
    batch=_correlate_batched,
)

"""The same numbers in another arrangement. What undoes each of these is another of them, a view where NumPy has one."""

from __future__ import annotations

from typing import Any

from ..core.batch import Batch
from ..core.memory import View
from ..core.primitive import Primitive
from ..fused.staging import staged_reshape, staged_transpose
from .batching import joined, leading, on_diagonal, over_axes, padded, reshaped, transposed
from .declare import fit, operation, variadic, view
from .index import getitem


def _array(xp: Any, x: Any) -> Any:
    return x if hasattr(x, "reshape") else xp.asarray(x)  # a Python number


reshape: View = view(
    "reshape",
    lambda xp, x, *, shape, order: _array(xp, x).reshape(shape, order=order),
    lambda g, ans, x, *, shape, order: reshape(g, shape=x.shape, order=order),
    rearranges=True,
    batch=reshaped,
    deferred=staged_reshape,
)


def _inverse(axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return axes and tuple(sorted(range(len(axes)), key=axes.__getitem__))


#: ``axes`` is a permutation of 0, 1, …; ``None`` reverses them.
transpose: Primitive = view(
    "transpose",
    lambda xp, x, *, axes: _array(xp, x).transpose(axes),
    lambda g, ans, x, *, axes: transpose(g, axes=_inverse(axes)),
    rearranges=True,
    batch=transposed,
    deferred=staged_transpose,
)

#: ``axes`` are numbered from the front, as in all that follows.
flip: Primitive = view(
    "flip",
    lambda xp, x, *, axes: xp.flip(x, axes),
    lambda g, ans, x, *, axes: flip(g, axes=axes),
    rearranges=True,
    batch=over_axes,
)

roll: Primitive = operation(
    "roll",
    lambda xp, x, *, shifts, axes: xp.roll(x, shifts, axes),
    lambda g, ans, x, *, shifts, axes: roll(g, shifts=tuple(-s for s in shifts), axes=axes),
    linear=True,
    batch=over_axes,
)


# -- putting together ---------------------------------------------------------------------------------
def _along(axis: int, i: Any) -> Any:
    """The index that takes ``i`` along an axis, and all of the axes before it."""
    return (slice(None),) * axis + (i,) if axis else i


#: ``starts[k]`` is where the k-th array begins in the result.
concatenate: Primitive = variadic(
    "concatenate",
    lambda xp, *arrays, axis, starts: xp.concatenate(arrays, axis),
    lambda k, g, ans, *, axis, starts: getitem(g, _along(axis, slice(starts[k], starts[k + 1]))),
    linear=True,
    finish=fit,
    batch=joined,
)

stack: Primitive = variadic(
    "stack",
    lambda xp, *arrays, axis: xp.stack([xp.asarray(a) for a in arrays], axis),
    lambda k, g, ans, *, axis: getitem(g, _along(axis, k)),
    linear=True,
    finish=fit,
    batch=joined,
)
Batch.stack = stack

#: ``widths`` are a pair for every axis; around ``x`` comes a constant.
pad: Primitive = operation(
    "pad",
    lambda xp, x, *, widths, constant_values: xp.pad(x, widths, mode="constant", constant_values=constant_values),
    lambda g, ans, x, *, widths, constant_values: getitem(
        g, tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True))
    ),
    jvp=lambda tangents, ans, x, *, widths, constant_values: pad(tangents[0], widths=widths, constant_values=0.0),
    batch=padded,
)


# -- diagonals and triangles --------------------------------------------------------------------------
def _from_diagonal(xp: Any, x: Any, *, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    rows, columns = shape[axis1], shape[axis2]
    batch = tuple(n for axis, n in enumerate(shape) if axis not in (axis1, axis2))
    out = xp.zeros((*batch, rows * columns), x.dtype)
    start, step = (offset if offset >= 0 else -offset * columns), columns + 1
    out[..., start : start + x.shape[-1] * step : step] = x
    return xp.moveaxis(out.reshape((*batch, rows, columns)), (-2, -1), (axis1, axis2))


#: Zeros of a shape, with ``x`` on the diagonal.
from_diagonal: Primitive = operation(
    "from_diagonal",
    _from_diagonal,
    lambda g, ans, x, *, shape, offset, axis1, axis2: diagonal(g, offset=offset, axis1=axis1, axis2=axis2),
    linear=True,
    batch=on_diagonal,
)
diagonal: Primitive = view(
    "diagonal",
    lambda xp, x, *, offset, axis1, axis2: x.diagonal(offset, axis1, axis2),
    lambda g, ans, x, *, offset, axis1, axis2: from_diagonal(g, shape=x.shape, offset=offset, axis1=axis1, axis2=axis2),
    writable=False,
    batch=on_diagonal,
)

triu: Primitive = operation(
    "triu",
    lambda xp, x, *, k: xp.triu(x, k),
    lambda g, ans, x, *, k: triu(g, k=k),
    linear=True,
    batch=leading,
)
tril: Primitive = operation(
    "tril",
    lambda xp, x, *, k: xp.tril(x, k),
    lambda g, ans, x, *, k: tril(g, k=k),
    linear=True,
    batch=leading,
)

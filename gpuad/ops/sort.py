"""Sorting: the order is constant, putting entries into it is linear."""

from __future__ import annotations

from typing import Any

from ..core.primitive import Primitive
from .batching import chosen_along, over_axis, searched
from .declare import constant, operation

argsort = constant("argsort", batch=chosen_along)
argpartition = constant(
    "argpartition", lambda xp, x, *, kth, axis: xp.argpartition(x, kth=kth, axis=axis), batch=chosen_along
)
searchsorted = constant("searchsorted", batch=searched(1))
digitize = constant("digitize", batch=searched(0))


def _place(xp: Any, order: Any, axis: int) -> Any:
    """``order``, whose entries number places along ``axis``, as an index of the whole array."""
    ndim = order.ndim
    if ndim == 1:
        return order
    return tuple(
        order if i == axis else xp.arange(n).reshape((n,) + (1,) * (ndim - 1 - i)) for i, n in enumerate(order.shape)
    )


def _restore(xp: Any, x: Any, order: Any, *, axis: int) -> Any:
    out = xp.empty_like(x)
    out[_place(xp, order, axis)] = x
    return out


#: The entries of ``x`` along ``axis`` in the given order, which names each once.
reorder: Primitive = operation(
    "reorder",
    lambda xp, x, order, *, axis: x[_place(xp, order, axis)],
    lambda g, ans, x, order, *, axis: restore(g, order, axis=axis),
    None,
    linear=True,
    batch=over_axis,
)

#: What undoes ``reorder``.
restore: Primitive = operation(
    "restore",
    _restore,
    lambda g, ans, x, order, *, axis: reorder(g, order, axis=axis),
    None,
    linear=True,
    batch=over_axis,
)

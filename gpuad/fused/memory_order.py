"""How results lie in memory: as NumPy's would. Whether ``y.reshape(-1)`` is a view of ``y``, and shows what is written
into ``y``, depends on it.

A kernel whose operands all lie in C order makes such results. Where one doesn't, every operation on the way has its
order, and a result that the kernel's loops would store in another is copied.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .pending import Pending, Sum, View

#: Of every axis a number, the greater the farther apart entries are along it; 0 where they are one and the same.
Order = tuple[int, ...]


def in_c_order(a: Any) -> bool:
    """Whether operations on an array, among others of which this is true, have results in C order."""
    if a.flags.c_contiguous:
        return True
    strides = [abs(n) for n, length in zip(a.strides, a.shape, strict=True) if n and length > 1]
    return strides == sorted(strides, reverse=True)


def orders(arrays: Iterable[Pending]) -> dict[Pending, Order]:
    """Of arrays that aren't computed yet, in the order of computation, how NumPy's would lie."""
    found: dict[Pending, Order] = {}

    def order_of(a: Pending) -> Order:
        return found[a] if a.value is None else _order(a.shape, a.value.strides)

    for x in arrays:
        if x in found:
            continue
        op, whole = x.op, tuple([min(n, 2) for n in x.shape])
        if type(op) is Sum:
            pairs = zip(x.args[0].shape, order_of(x.args[0]), strict=True)
            kept = iter([k for i, (n, k) in enumerate(pairs) if n != 1 and i not in op.axes])
            found[x] = tuple([0 if n == 1 else next(kept) for n in x.shape])
        elif type(op) is View:
            order = order_of(x.args[0])
            if op.box is not None:
                found[x] = tuple([0 if n == 1 else k for n, k in zip(x.shape, order, strict=True)])
            elif op.axes is not None:
                found[x] = tuple([order[i] for i in op.axes])
            else:
                found[x] = _looked_at(x.args[0].shape, order, op.aligned, x.shape)
        else:
            operands = [(a.shape, order_of(a)) for a in x.args if isinstance(a, Pending)]
            found[x] = _of_result(whole, *[_broadcast(order, shape, x.shape) for shape, order in operands])
    return found


def _order(shape: Sequence[int], strides: Sequence[int]) -> Order:
    steps = [0 if length == 1 else abs(n) for n, length in zip(strides, shape, strict=True)]
    ranks = sorted({0, *steps})
    return tuple([ranks.index(n) for n in steps])


def _broadcast(order: Order, own: tuple[int, ...], shape: tuple[int, ...]) -> Order:
    extra = len(shape) - len(own)
    return (0,) * extra + tuple([0 if n == 1 else k for n, k in zip(own, order, strict=True)])


def _looked_at(own: tuple[int, ...], order: Order, aligned: tuple[int, ...] | None, shape: tuple[int, ...]) -> Order:
    if aligned is None:
        if [n for n in own if n != 1] != [n for n in shape if n != 1]:
            return tuple(range(len(shape), 0, -1))
        aligned = shape
    left = iter([k for n, k in zip(own, order, strict=True) if n != 1])
    return tuple([0 if n == 1 else next(left, 0) for n in aligned])


@functools.lru_cache(1024)
def _of_result(shape: tuple[int, ...], *operands: Order) -> Order:
    """NumPy is asked, with arrays of length 1 and 2. Among operands that disagree C order wins."""
    arrays = [
        np.lib.stride_tricks.as_strided(np.empty(1 + sum(order)), shape, [8 * n for n in order]) for order in operands
    ]
    flags: list[Any] = [*[["readonly"] for _ in arrays], ["writeonly", "allocate"]]
    given: Any = [*arrays, None]
    result = np.nditer(given, ["zerosize_ok"], flags).operands[-1]
    return _order(shape, result.strides)


def axes_of(order: Order) -> list[int]:
    """The axes, from the outermost one to the innermost."""
    return sorted(range(len(order)), key=lambda i: -order[i])


def put_in_order(value: Any, order: Order) -> Any:
    """``value``, copied if its axes lie otherwise."""
    strides = [abs(value.strides[i]) for i in axes_of(order) if value.shape[i] > 1]
    if strides == sorted(strides, reverse=True):
        return value
    axes = axes_of(order)
    found = np.empty([value.shape[i] for i in axes], value.dtype).transpose(np.argsort(axes))
    found[...] = value
    return found

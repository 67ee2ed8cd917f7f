"""Products of two arrays without a sum, such as the gradient of a matrix for each of many examples, in compiled C.

``numpy.einsum`` takes 2 to 4 times as long as it takes to write the result. Arrays that wait are no way to it, for the
factors are small: only their product is large.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from . import switch
from .executors import WORTH_COMPILING, WhenWorthIt
from .plan import Call, Operand, Output, Plan, Step

#: From so many bytes of the result the call of a kernel is worth its 10 µs.
LARGE = 1 << 17
#: Up to so many entries in a row, a kernel is made for rows of that length: others would go entry by entry.
SHORT = 32


def outer(x: Any, y: Any, subscripts: str) -> Any:
    """``einsum(subscripts, x, y)`` to the last bit, where a compiled kernel does it and sooner; else ``None``.

    ``subscripts`` are explicit, without letters that repeat in a term.
    """
    if type(x) is not np.ndarray or type(y) is not np.ndarray or x.dtype != y.dtype or x.dtype.char not in "fd":
        return None
    if not (x.flags.c_contiguous and y.flags.c_contiguous) or not switch.on():
        return None
    grid = _grid(subscripts, x.shape, y.shape)
    if grid is None or grid.size * x.itemsize < LARGE:
        return None
    run = _product(x.dtype, grid.known, None).ready(grid.size)
    if grid.row is not None:
        run = _product(x.dtype, grid.known, grid.row).ready(grid.size) or run
    if run is None:
        return None
    ans = np.empty(grid.lengths, x.dtype)
    run(Call(grid.lengths, (x, y), grid.strides, (), (ans,)))
    return ans


Strides = tuple[tuple[int, ...], ...]
Known = tuple[tuple[int | None, ...], ...]


class _Grid(NamedTuple):
    """The loops of a product of C-contiguous arrays: their lengths, the strides of both factors, those strides and
    the length of a row that a kernel is made for, and how many entries the result has."""

    lengths: tuple[int, ...]
    strides: Strides
    known: Known
    row: int | None
    size: int


@functools.lru_cache(256)
def _grid(subscripts: str, x: tuple[int, ...], y: tuple[int, ...]) -> _Grid | None:
    """That of factors with these shapes; ``None`` if there is a sum, or no loop."""
    axes = _axes(subscripts)
    if axes is None or not axes[0]:
        return None
    lengths = tuple([x[i] if i is not None else y[j or 0] for i, j in zip(*axes, strict=True)])
    strides = tuple([_strides(*factor) for factor in zip((x, y), axes, strict=True)])
    row = lengths[-1] if lengths[-1] <= SHORT else None
    return _Grid(lengths, strides, tuple(map(_known, strides)), row, math.prod(lengths))


Axes = tuple[int | None, ...]


def _axes(subscripts: str) -> tuple[Axes, Axes] | None:
    """Which axis of each factor the letters of the result are; ``None`` if there is a sum.

    Also if a factor has them in another order: then NumPy doesn't lay the result out in C's.
    """
    terms, out = subscripts.split("->")
    a, b = terms.split(",")
    if set(a + b) != set(out) or any(term != "".join(i for i in out if i in term) for term in (a, b)):
        return None
    return tuple([a.index(i) if i in a else None for i in out]), tuple([b.index(i) if i in b else None for i in out])


def _strides(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    return tuple([0 if i is None else math.prod(shape[i + 1 :]) for i in axes])


def _known(strides: tuple[int, ...]) -> tuple[int | None, ...]:
    """Those that a kernel is made for: 0, and 1 along the last loop."""
    return (*[0 if n == 0 else None for n in strides[:-1]], strides[-1] if strides[-1] <= 1 else None)


@functools.lru_cache(256)
def _product(dtype: Any, strides: Known, row: int | None) -> WhenWorthIt:
    """The kernel."""
    operands = tuple(Operand(dtype, told) for told in strides)
    step = Step("multiply", "{0} * {1}", (0, 1), (dtype, dtype), dtype)
    ndim = len(operands[0].strides)
    plan = Plan(ndim, operands, (), (step,), (Output(2, dtype, (False,) * ndim),), row)
    return WhenWorthIt(functools.partial(_compile, plan), WORTH_COMPILING)


def _compile(plan: Plan) -> Any:
    from . import host  # few programs get here

    return host.compile(plan)

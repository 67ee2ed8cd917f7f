"""Products of two arrays without a sum, such as the gradient of a matrix for each of many examples, in compiled C.

``numpy.einsum`` takes 2 to 4 times as long as it takes to write the result. Arrays that wait are no way to it, for the
factors are small: only their product is large.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np

from . import switch
from .executors import WORTH_COMPILING, host_executor
from .plan import Call, Operand, Output, Plan, Step

#: From so many bytes of the result the call of a kernel is worth its 10 µs.
LARGE = 1 << 17


def outer(x: Any, y: Any, subscripts: str) -> Any:
    """``einsum(subscripts, x, y)`` to the last bit, where a compiled kernel does it and sooner; else ``None``.

    ``subscripts`` are explicit, without letters that repeat in a term.
    """
    if type(x) is not np.ndarray or type(y) is not np.ndarray or x.dtype != y.dtype or x.dtype.char not in "fd":
        return None
    found = _axes(subscripts)
    if found is None or not (x.flags.c_contiguous and y.flags.c_contiguous) or not switch.on():
        return None
    lengths = tuple([x.shape[i] if i is not None else y.shape[j] for i, j in zip(*found, strict=True)])
    size = 1
    for n in lengths:
        size *= n
    if size * x.itemsize < LARGE:
        return None
    strides = tuple([_strides(a, axes) for a, axes in zip((x, y), found, strict=True)])
    run = _product(x.dtype, tuple(map(_known, strides))).ready(size)
    if run is None:
        return None
    ans = np.empty(lengths, x.dtype)
    run(Call(lengths, (x, y), strides, (), (ans,)))
    return ans


Axes = tuple[int | None, ...]


@functools.lru_cache(256)
def _axes(subscripts: str) -> tuple[Axes, Axes] | None:
    """Which axis of each factor the letters of the result are; ``None`` if there is a sum.

    Also if a factor has them in another order: then NumPy doesn't lay the result out in C's.
    """
    terms, out = subscripts.split("->")
    a, b = terms.split(",")
    if set(a + b) != set(out) or any(term != "".join(i for i in out if i in term) for term in (a, b)):
        return None
    return tuple([a.index(i) if i in a else None for i in out]), tuple([b.index(i) if i in b else None for i in out])


def _strides(a: Any, axes: Axes) -> tuple[int, ...]:
    return tuple([0 if i is None else a.strides[i] // a.itemsize for i in axes])


def _known(strides: tuple[int, ...]) -> tuple[int | None, ...]:
    """Those that a kernel is made for: 0, and 1 along the last loop."""
    return (*[0 if n == 0 else None for n in strides[:-1]], strides[-1] if strides[-1] <= 1 else None)


class _Product:
    """A kernel, once there has been so much to do that it pays to compile it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.worked = 0
        self.run: Any = None

    def ready(self, size: int) -> Any:
        """The kernel, or ``None`` as long as NumPy is to do products, of which one with ``size`` entries comes now."""
        if self.run is None and self.worked < WORTH_COMPILING:
            self.worked += size
            if self.worked >= WORTH_COMPILING and host_executor() == "c":
                from . import compiler, host

                with contextlib.suppress(compiler.CompilerUnavailable):  # then NumPy goes on
                    self.run = host.compile(self.plan)
        return self.run


@functools.lru_cache(256)
def _product(dtype: Any, strides: tuple[tuple[int | None, ...], ...]) -> _Product:
    operands = tuple(Operand(dtype, told) for told in strides)
    step = Step("multiply", "{0} * {1}", (0, 1), (dtype, dtype), dtype)
    ndim = len(operands[0].strides)
    return _Product(Plan(ndim, operands, (), (step,), (Output(2, dtype, (False,) * ndim),)))

"""Products of a long matrix with a narrow one, as data times the weights of a few classes, and their gradient.

BLAS libraries are made for products whose arithmetic takes longer than fetching the numbers. Here it is the other way
round: the long matrix is read from memory, and all that counts is to read it once. ``kernels/host_narrow.h`` does, in
a third to two thirds of OpenBLAS's time.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from ..core.box import Spec
from ..fused import host
from ..fused.compiler import shared_library
from ..fused.executors import WhenWorthIt

#: How many columns the narrow matrix has.
FEWEST, MOST = 2, 16
#: The long one has so many bytes at least, and rows of so many entries at most: the narrow ones stay in the cache.
LONG, WIDE = 1 << 22, 1 << 12
#: How many bytes of the long matrix are one task for a thread.
TASK = 1 << 23
#: So many multiply-adds make up for the time that a compiler takes.
WORTH_COMPILING = 1 << 27

#: BLAS rounds products and sums once, too.
_FLAGS = (*[flag for flag in host.FLAGS if "contract" not in flag], "-ffp-contract=fast")
_ENTRIES = {"f": "float", "d": "double"}


def fits(x: Spec, y: Spec, strides: tuple[int, ...]) -> bool:
    """Whether ``x @ y`` is such a product; by the strides of ``x`` too."""
    if x.ndim != 2 or y.ndim != 2 or x.dtype != y.dtype or x.dtype.char not in _ENTRIES:
        return False
    if not FEWEST <= y.shape[1] <= MOST or x.size * x.dtype.itemsize < LONG:
        return False
    rows, width = x.shape
    if strides == (x.dtype.itemsize, rows * x.dtype.itemsize):
        rows, width = width, rows
    elif strides != (width * x.dtype.itemsize, x.dtype.itemsize):
        return False
    return width <= WIDE and rows >= width


@functools.cache
def product(dtype: np.dtype[Any], columns: int) -> Product:
    """What computes products with a matrix of so many columns."""
    return Product(dtype, columns)


class Product:
    """``product(x, y)`` is ``x @ y``, and ``product(x, y, out)`` writes it. ``x`` or its transpose is in C order.

    NumPy does it until there was so much to do that a compiler would have paid, and where there is none. The order of
    additions doesn't depend on the number of threads.
    """

    def __init__(self, dtype: np.dtype[Any], columns: int) -> None:
        self.dtype, self.columns = dtype, columns
        self.library = WhenWorthIt(self._compile, WORTH_COMPILING)

    def __call__(self, x: Any, y: Any, out: Any = None) -> Any:
        library = self.library.ready(x.size * self.columns)
        if library is not None:
            if x.flags.c_contiguous and (out is None or out.flags.c_contiguous):
                return self._times(library, x, y, out)
            if x.flags.f_contiguous:
                return self._transposed_times(library, x.T, y, out)
        return np.matmul(x, y, out)

    def _compile(self) -> Any:
        macros = f"#define ENTRY {_ENTRIES[self.dtype.char]}\n#define COLUMNS {self.columns}\n"
        library = shared_library(f'{macros}#include "host_narrow.h"\n', _FLAGS)
        for function, pointers in ((library.times, 3), (library.transposed_times, 4)):
            function.argtypes = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * 2
            function.restype = None
        library.padded.restype = ctypes.c_int64
        self.padded = library.padded()
        return library

    def _times(self, library: Any, x: Any, w: Any, out: Any) -> Any:
        rows, width = x.shape
        if out is None:
            out = np.empty((rows, self.columns), self.dtype)
        wide = np.zeros((width, self.padded), self.dtype)
        wide[:, : self.columns] = w

        def task(first: int, last: int, k: int) -> None:
            library.times(x[first:].ctypes.data, wide.ctypes.data, out[first:].ctypes.data, last - first, width)

        self._in_tasks(task, rows, width)
        return out

    def _transposed_times(self, library: Any, x: Any, g: Any, out: Any) -> Any:
        rows, width = x.shape
        g = np.ascontiguousarray(g)
        sums = np.zeros((self._tasks(rows, width), width, self.padded), self.dtype)

        def task(first: int, last: int, k: int) -> None:
            some = np.empty((width, self.padded), self.dtype)
            library.transposed_times(
                x[first:].ctypes.data, g[first:].ctypes.data, some.ctypes.data, sums[k].ctypes.data, last - first, width
            )  # fmt: skip

        self._in_tasks(task, rows, width)
        if out is None:
            out = np.empty((width, self.columns), self.dtype)
        return np.add.reduce(sums[:, :, : self.columns], 0, None, out)

    def _tasks(self, rows: int, width: int) -> int:
        return min(max(rows * width * self.dtype.itemsize // TASK, 1), rows)

    def _in_tasks(self, task: Any, rows: int, width: int) -> None:
        count = self._tasks(rows, width)
        ends = [rows * k // count for k in range(count + 1)]
        host.spread(lambda k: task(ends[k], ends[k + 1], k), count)

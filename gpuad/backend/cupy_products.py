"""Matrix products while a stream captures a CUDA graph, which CuPy refuses (cupy#6290) and cuBLAS allows.

They are done on a handle that is bound to the stream before, has scratch memory of its own, and reads factors when it
is called.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from typing import Any

import numpy as np

#: Bytes of cuBLAS's scratch memory: what NVIDIA recommends for its largest devices.
WORKSPACE = 32 << 20

_LETTERS = {"f": "S", "d": "D", "F": "C", "D": "Z"}


class Products:
    """``matmul`` on ``stream``; its memory is that of the current allocator. Raises ``TypeError`` for other dtypes than
    float32, float64 and their complex ones, and ``RuntimeError`` if cuBLAS does."""

    def __init__(self, cupy: Any, stream: Any) -> None:
        pathfinder = importlib.import_module("cuda.pathfinder")  # as CuPy does
        self._xp = cupy
        self._library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
        self._handle = ctypes.c_void_p()
        self._memory = cupy.cuda.alloc(WORKSPACE)
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        # In this order: a new stream has cuBLAS go back to scratch memory that it allocates itself.
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream.ptr))
        self._call("cublasSetWorkspace_v2", self._handle, ctypes.c_void_p(self._memory.ptr), ctypes.c_size_t(WORKSPACE))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            with contextlib.suppress(Exception):
                self._call("cublasDestroy_v2", self._handle)

    def _call(self, name: str, *args: Any) -> None:
        status = getattr(self._library, name)(*args)
        if status:
            raise RuntimeError(f"{name}: status {status}")

    def matmul(self, x: Any, y: Any) -> Any:
        """As CuPy's."""
        xp, dtype = self._xp, np.result_type(x.dtype, y.dtype)
        if dtype.char not in _LETTERS:
            raise TypeError(dtype)
        x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
        left, right = x.ndim == 1, y.ndim == 1
        x, y = x[None] if left else x, y[:, None] if right else y
        stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        (m, k), (inner, n) = x.shape[-2:], y.shape[-2:]
        if k != inner:
            raise ValueError(f"matmul: {x.shape} and {y.shape}")
        out = xp.empty((*stack, m, n), dtype) if k else xp.zeros((*stack, m, n), dtype)
        if out.size and k:
            if len(stack) > 1 or (x.ndim, y.ndim) not in ((2, 2), (3, 3), (3, 2), (2, 3)):
                x, y = (xp.broadcast_to(a, stack + a.shape[-2:]).reshape(-1, *a.shape[-2:]) for a in (x, y))
            self._multiply(x, y, out, int(np.prod(stack)), (m, n, k))
        if left:
            out = out[..., 0, :]
        return out[..., 0] if right else out

    def _multiply(self, x: Any, y: Any, out: Any, times: int, sizes: tuple[int, int, int]) -> None:
        """cuBLAS has matrices by columns, so it is told to compute the transposed product of the transposed ones."""
        m, n, k = sizes
        size = out.itemsize
        x, how_x, ld_x = self._laid(x)
        y, how_y, ld_y = self._laid(y)
        steps = [a.strides[0] // size if a.ndim == 3 and a.shape[0] > 1 else 0 for a in (x, y)]
        one, zero = (np.full(1, number, out.dtype) for number in (1, 0))
        letter = _LETTERS[out.dtype.char]
        a, b, c = (ctypes.c_void_p(array.data.ptr) for array in (y, x, out))
        factors = [ctypes.c_void_p(number.ctypes.data) for number in (one, zero)]
        how = (self._handle, how_y, how_x, n, m, k, factors[0])
        if times == 1:
            self._call(f"cublas{letter}gemm_v2", *how, a, ld_y, b, ld_x, factors[1], c, n)
            return
        far = [ctypes.c_longlong(step) for step in (steps[1], steps[0], m * n)]
        name = f"cublas{letter}gemmStridedBatched"
        self._call(name, *how, a, ld_y, far[0], b, ld_x, far[1], factors[1], c, n, far[2], times)

    def _laid(self, a: Any) -> tuple[Any, int, int]:
        """Matrices as cuBLAS can read them, whether it has to transpose them, and how far their rows are apart."""
        rows, columns = a.shape[-2:]
        down, across = (s // a.itemsize for s in a.strides[-2:])
        fits = a.ndim == 2 or a.shape[0] == 1 or a.strides[0] >= 0
        if fits and (across == 1 or columns == 1) and (down >= columns or rows == 1):
            return a, 0, max(down if rows > 1 else columns, 1)
        if fits and (down == 1 or rows == 1) and (across >= rows or columns == 1):
            return a, 1, max(across if columns > 1 else rows, 1)
        return a.copy(order="C"), 0, columns

    def checked(self, x: Any, y: Any) -> Any:
        """The same, compared with CuPy's, which a capture can't be. ``RuntimeError`` if it differs by more than both
        round."""
        found, wanted = self.matmul(x, y), self._xp.matmul(x, y)
        if found.size and x.size:
            size = 4 * x.shape[-1] * np.finfo(found.dtype).eps * abs(x).max() * abs(y).max()
            if found.shape != wanted.shape or not bool(abs(found - wanted).max() <= size):
                raise RuntimeError("a product isn't CuPy's")
        return found

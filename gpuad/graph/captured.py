"""A stretch of a recorded program as a CUDA graph: its kernels, launched with one call.

Where a graph reads and writes is fixed when it is captured. So inputs are copied into memory of its own, and results
out of it, into new arrays: what earlier calls returned is never touched. Numbers are fixed too; when others come, the
stretch is replayed kernel by kernel, as it is on other streams.

Whatever can't be captured, or doesn't give the same bits as the replay, is never tried again. ``GPUAD_JIT_GRAPHS=1``
turns graphs on: what they gain, on which device, has yet to be measured.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import cupy_backend, owner_of_type
from ..backend.cupy_products import Products
from ..core.memory import View
from ..core.primitive import Elementwise
from ..core.pytree import leaves, tree_map
from ..core.record import PythonOperator, Step
from .waiting import REHEARSED

#: A graph is captured at this replay, and of so many launches at least; so many copies it may need for each of them.
TURNS, LAUNCHES, COPIES = 3, 4, 0.5
#: It is given up when it hasn't fitted so often in a row: numbers are others at every call, say.
MISSES = 16
#: So many bytes are copied for each launch, at most; and all memory of a graph. Neither has been measured on a device.
BYTES_PER_LAUNCH, BYTES = 1 << 18, 1 << 28

#: What CuPy does with kernels and copies on the device alone. It refuses to copy from or to the host in a capture.
_CAPTURED = REHEARSED | frozenset(
    "concatenate stack pad roll gather read write scatter_add scatter_at copied cumsum prod".split()
)
#: These are made of CuPy's ``matmul``, which has to be another one then.
PRODUCTS = frozenset({"matmul", "einsum"})
Body = Callable[[Any, dict[int, Any]], Any]


def asked() -> bool:
    """Whether graphs are to be captured."""
    return os.environ.get("GPUAD_JIT_GRAPHS", "0") not in ("0", "")


def may_be_captured(step: Step) -> bool:
    """Whether the library does a step with nothing but work on the device, or with none."""
    prim = step.prim
    if type(prim) is PythonOperator:
        return True
    known = isinstance(prim, (Elementwise, View)) or prim.name in _CAPTURED or prim.name in PRODUCTS
    return known and step.backend is cupy_backend


class Captured:
    """What may become a graph: ``body(x, s)`` returns a container of arrays, and puts others into ``s``.

    ``reads`` says which entries of ``x`` and of ``s`` it reads. ``with_products`` gives the body with another function
    for ``matmul``; ``None`` if there are no products.
    """

    def __init__(
        self,
        body: Body,
        reads: tuple[list[int], list[int]],
        launches: int,
        with_products: Callable[[Callable[[Any, Any], Any]], Body] | None,
    ) -> None:
        self.body, self.reads, self.launches, self.with_products = body, reads, launches, with_products
        self._lock = threading.Lock()
        self._replays = self._misses = 0
        self._graph: Any = None
        self._buffers: list[Any] = []
        self._results: Any = None
        self._handed_on: dict[int, Any] = {}
        self._products: Any = None  # which the graph's products need
        self._pool: Any = None
        self.given_up = launches < LAUNCHES

    def run(self, x: Any, s: dict[int, Any]) -> Any:
        """As ``body`` does."""
        if self.given_up or not self._lock.acquire(blocking=False):  # its memory belongs to one call at a time
            return self.body(x, s)
        try:
            given = [*[x[k] for k in self.reads[0]], *[s[k] for k in self.reads[1]]]
            if self._graph is None:
                self._replays += 1
                if self._replays < TURNS:
                    return self.body(x, s)
                self._try(given)
            if self.given_up or not self._fits(given):
                return self.body(x, s)
            return self._launch(given, s)
        finally:
            self._lock.release()

    # -- capturing --
    def _try(self, given: list[Any]) -> None:
        try:
            worked = self._capture(given)
        except Exception:  # of CUDA, of CuPy, of too little memory: what is to be done can be done without
            worked = False
        if not worked:
            self._give_up()

    def _give_up(self) -> None:
        self._end()
        self.given_up = True
        self._graph = self._results = self._products = self._pool = None
        self._buffers, self._handed_on = [], {}

    def _capture(self, given: list[Any]) -> bool:
        cuda = cupy_backend.xp.cuda
        self._stream, self._device = cuda.get_current_stream(), cuda.Device().id
        if any(isinstance(a, np.ndarray) for a in given) or self._stream.ptr == _PER_THREAD or self._is_capturing():
            return False
        self._numbers = _numbers(given)
        self._pool = cuda.MemoryPool()
        self._pool.set_limit(size=BYTES)
        own = cuda.Stream(non_blocking=True)
        own.wait_event(self._stream.record())
        with own, cuda.using_allocator(self._pool.malloc):
            inputs = [a.copy(order="K") if _on_device(a) else a for a in given]
            self._buffers = [a for a in inputs if _on_device(a)]
            first = body = self.body
            if self.with_products is not None:
                self._products = Products(cupy_backend.xp, own)
                first, body = map(self.with_products, (self._products.checked, self._products.matmul))
            wanted = self._call(first, inputs)  # whatever has to be compiled or loaded is now
            own.begin_capture()
            try:
                self._results, self._handed_on = found = self._call(body, inputs)
            finally:
                self._graph = own.end_capture()
        self._stream.wait_event(own.record())
        copied = [a for _, a in leaves((self._buffers, self._results, self._handed_on)) if _on_device(a)]
        nbytes = sum(a.nbytes for a in copied)
        if len(copied) > COPIES * self.launches or nbytes > BYTES_PER_LAUNCH * self.launches or not self._fits(given):
            return False
        self._graph.launch(self._stream)
        return _same_bits(found, wanted)

    def _call(self, body: Body, inputs: list[Any]) -> tuple[Any, dict[int, Any]]:
        n = len(self.reads[0])
        x = dict(zip(self.reads[0], inputs[:n], strict=True))
        s = dict(zip(self.reads[1], inputs[n:], strict=True))
        before = set(s)
        found = body(x, s)
        return found, {k: v for k, v in s.items() if k not in before}

    # -- replaying --
    def _is_capturing(self) -> bool:
        return bool(self._stream.is_capturing())

    def _fits(self, given: list[Any]) -> bool:
        """Whether the graph does what is to be done now, and where."""
        cuda = cupy_backend.xp.cuda
        here = cuda.get_current_stream().ptr == self._stream.ptr and cuda.Device().id == self._device
        arrays = [a for a in given if _on_device(a)]
        same = all(a.strides == b.strides for a, b in zip(arrays, self._buffers, strict=True))
        fits = here and same and _numbers(given) == self._numbers and not self._is_capturing()
        self._misses = 0 if fits else self._misses + 1
        if self._misses > MISSES:
            self._give_up()
        return fits

    def _launch(self, given: list[Any], s: dict[int, Any]) -> Any:
        for buffer, a in zip(self._buffers, [a for a in given if _on_device(a)], strict=True):
            buffer.data.copy_from_device_async(a.data, a.nbytes, self._stream)
        self._graph.launch(self._stream)
        s.update({k: _copied(v) for k, v in self._handed_on.items()})
        return tree_map(_copied, self._results)

    def _end(self) -> None:
        """Wait for the graph, which may still be running."""
        if self._graph is not None:
            with contextlib.suppress(Exception):  # when Python ends, there may be no device any more
                self._stream.synchronize()

    def __del__(self) -> None:
        self._end()


#: The address that stands for the stream of whichever thread asks.
_PER_THREAD = 2


def _on_device(x: Any) -> bool:
    return owner_of_type(type(x)) is cupy_backend


def _copied(x: Any) -> Any:
    if not _on_device(x):
        return x.copy() if isinstance(x, np.ndarray) else x
    return x.copy(order="K")


def _numbers(given: list[Any]) -> list[Any]:
    """What isn't on a device, so that zeros of either sign differ and a NaN is equal to itself."""
    return [(type(a), repr(a)) for a in given if not _on_device(a)]


def _same_bits(a: Any, b: Any) -> bool:
    """Whether two containers hold the same, to the last bit."""
    pairs = zip([x for _, x in leaves(a)], [x for _, x in leaves(b)], strict=True)
    return all(x.get().tobytes() == y.get().tobytes() for x, y in pairs if _on_device(x))

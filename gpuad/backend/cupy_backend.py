"""CuPy: the GPU. The one place of the library that imports it, when it is first needed."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .cupy_keywords import keywords
from .interface import Backend


def _solve(a: Any, b: Any) -> Any:
    """``linalg.solve`` whose stacks of matrices are broadcast, as NumPy broadcasts them."""
    cupy = _cupy()
    if b.ndim == 1:
        return _solve(a, b[:, None])[..., 0]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (cupy.broadcast_to(x, stack + x.shape[-2:]) for x in (a, b))
    return cupy.linalg.solve(a, b)


def _cupy() -> Any:
    import cupy

    return cupy


def _linalg() -> Any:
    import cupyx.scipy.linalg

    return cupyx.scipy.linalg


def _solve_triangular(a: Any, b: Any, *args: Any, **options: Any) -> Any:
    """``scipy.linalg.solve_triangular``, likewise."""
    theirs = _linalg().solve_triangular
    dtype = np.result_type(a.dtype, b.dtype)  # CuPy's is that of a, whatever of b gets lost
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if a.ndim == 2 and b.ndim <= 2:
        return theirs(a, b, *args, **options)
    if b.ndim == 1:
        return _solve_triangular(a, b[:, None], *args, **options)[..., 0]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return theirs(*(_cupy().broadcast_to(x, stack + x.shape[-2:]) for x in (a, b)), *args, **options)


def _expm(a: Any) -> Any:
    """``scipy.linalg.expm``, of stacks of matrices too."""
    one = _linalg().expm
    if a.ndim == 2 or not a.size:
        return one(a) if a.size else a
    return _cupy().stack([one(m) for m in a.reshape(-1, *a.shape[-2:])]).reshape(a.shape)


def _solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """``scipy.linalg.solve_sylvester`` as one system for all entries: there is no Schur decomposition on the device."""
    cupy = _cupy()
    m, n = q.shape
    system = cupy.kron(a, cupy.eye(n, dtype=a.dtype)) + cupy.kron(cupy.eye(m, dtype=b.dtype), b.T)
    return cupy.linalg.solve(system, q.astype(system.dtype).reshape(-1)).reshape(m, n)


class Memory:
    """What an array lies in, of so many bytes; ``name`` says what it is called, and where that begins, if it has been
    told."""

    __slots__ = ("name", "pointer", "size")

    def __init__(self, pointer: Any, size: int) -> None:
        self.pointer, self.size, self.name = pointer, size, None  # type: tuple[Any, int, tuple[Any, int] | None]


class CupyBackend(Backend):
    name = "cupy"
    overrides = {  # noqa: RUF012
        "linalg.solve": _solve,
        "scipy.linalg.solve_triangular": _solve_triangular,
        "scipy.linalg.expm": _expm,
        "scipy.linalg.solve_sylvester": _solve_sylvester,
        **keywords(_cupy),
    }
    lends_its_class = False  # the `@` of CuPy's arrays fails with what only says that it is one

    @property
    def xp(self) -> Any:
        return _cupy()

    @property
    def scipy(self) -> Any:
        import cupyx.scipy

        return cupyx.scipy

    def owns(self, cls: type) -> bool:
        # Asked by name, so that CuPy isn't imported to learn that a list isn't a CuPy array.
        ours = any(c.__module__.partition(".")[0] == "cupy" and c.__name__ == "ndarray" for c in cls.__mro__)
        if ours:
            _mend_broadcasting()
        return ours

    def unavailable(self) -> str | None:
        return _unavailable()

    def add_at(self, out: Any, index: Any, g: Any) -> None:
        add = self.xp.add.at  # knows real numbers only
        if out.dtype.kind == "c":
            add(out.real, index, g.real)
            add(out.imag, index, g.imag)
        else:
            add(out, index, g)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        return self.xp.asarray(x, dtype)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.asarray(x.get())

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def load_kernel(self, source: str, name: str) -> Any:
        """The kernel ``name`` of a CUDA program, compiled for whichever device is current when it is launched.

        CuPy keeps the machine code in a file, see ``fused.device``. Without the macros of its own headers.
        """
        return self.xp.RawModule(code=source).get_function(name)

    def argument(self, block: np.ndarray[Any, Any]) -> Any:
        """The bytes of ``block``, as they are when a kernel is launched, as its one parameter, a struct by value.

        ``block`` has to outlive it.
        """
        return self.xp.cuda.function.CPointer(block.ctypes.data)

    @contextlib.contextmanager
    def knowing_memory(self) -> Iterator[None]:
        """While inside, ``memory_of`` knows in what new arrays of this thread lie."""
        cuda = self.xp.cuda
        alloc, device = cuda.get_allocator(), self.xp.cuda.Device().id

        def allocate(size: int) -> Any:
            pointer = alloc(size)
            return cuda.MemoryPointer(cuda.UnownedMemory(pointer.ptr, size, Memory(pointer, size), device), 0)

        with cuda.using_allocator(allocate):
            yield

    def memory_of(self, x: Any) -> Memory | None:
        found = getattr(x.data.mem, "_owner", None)
        return found if type(found) is Memory else None

    def multiprocessors(self) -> int:
        """How many blocks of threads the current device works on at the same time, at least."""
        return int(self.xp.cuda.Device().attributes["MultiProcessorCount"])

    def device_name(self) -> str:
        name = self.xp.cuda.runtime.getDeviceProperties(self.xp.cuda.Device().id)["name"]
        return str(name.decode())

    def memory_used(self) -> int | None:
        return int(self.xp.get_default_memory_pool().used_bytes())


@functools.cache
def _mend_broadcasting() -> None:
    """Let ``cupy.broadcast`` see traced arrays, which it would take for scalars in silence.

    Any other function of CuPy asks its arguments what to do, or raises; ``broadcast_arrays``, ``select`` and
    ``array_equiv`` are made of this one.
    """
    cupy = _cupy()
    theirs = cupy.broadcast

    def is_traced(a: Any) -> bool:
        return hasattr(a, "__cupy_override_elementwise_kernel__") and not isinstance(a, cupy.ndarray)

    class Theirs(type):  # theirs can't have a subclass
        def __instancecheck__(cls, x: Any) -> bool:
            return isinstance(x, theirs)

    class broadcast(metaclass=Theirs):
        __doc__ = theirs.__doc__

        def __new__(cls, *arrays: Any) -> Any:
            return super().__new__(cls) if any(map(is_traced, arrays)) else theirs(*arrays)

        def __init__(self, *arrays: Any) -> None:
            places = [i for i, a in enumerate(arrays) if is_traced(a) or isinstance(a, cupy.ndarray)]
            spread = np.broadcast_arrays(*(arrays[i] for i in places))  # NumPy's asks its arguments
            self.values = tuple(dict(zip(places, spread, strict=True)).get(i, a) for i, a in enumerate(arrays))
            self.shape, self.nd, self.size = spread[0].shape, spread[0].ndim, spread[0].size

    dims: Any = importlib.import_module("cupy._manipulation.dims")
    cupy.broadcast = dims.broadcast = broadcast


@functools.cache
def _unavailable() -> str | None:
    try:
        cupy = _cupy()
    except ModuleNotFoundError:
        return "CuPy isn't installed (pip install cupy-cuda12x or cupy-cuda13x, by the driver's CUDA version)"
    except Exception as error:
        return f"importing CuPy failed: {error}".splitlines()[0]
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own kinds, and OSError where no driver is there
        return f"no CUDA device answers: {error}".splitlines()[0]
    return None if count else "no CUDA device is visible"

"""CuPy: the GPU. The one place of the library that imports it, when it is first needed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .interface import Backend


def _solve(a: Any, b: Any) -> Any:
    """``linalg.solve`` whose stacks of matrices are broadcast, as NumPy broadcasts them."""
    cupy = _cupy()
    if b.ndim == 1:
        return _solve(a, b[:, None])[..., 0]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (cupy.broadcast_to(x, stack + x.shape[-2:]) for x in (a, b))
    return cupy.linalg.solve(a, b)


class CupyBackend(Backend):
    name = "cupy"
    overrides = {"linalg.solve": _solve}  # noqa: RUF012

    @property
    def xp(self) -> Any:
        return _cupy()

    @property
    def scipy(self) -> Any:
        import cupyx.scipy

        return cupyx.scipy

    def owns(self, cls: type) -> bool:
        # Asked by name, so that CuPy isn't imported to learn that a list isn't a CuPy array.
        return any(c.__module__.partition(".")[0] == "cupy" and c.__name__ == "ndarray" for c in cls.__mro__)

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

    def device_name(self) -> str:
        name = self.xp.cuda.runtime.getDeviceProperties(self.xp.cuda.Device().id)["name"]
        return str(name.decode())

    def memory_used(self) -> int | None:
        return int(self.xp.get_default_memory_pool().used_bytes())


def _cupy() -> Any:
    import cupy

    return cupy


@functools.cache
def _unavailable() -> str | None:
    try:
        cupy = _cupy()
    except ModuleNotFoundError:
        return "CuPy isn't installed (pip install gpuad[cuda12] or gpuad[cuda13])"
    except Exception as error:
        return f"importing CuPy failed: {error}".splitlines()[0]
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own kinds, and OSError where no driver is there
        return f"no CUDA device answers: {error}".splitlines()[0]
    return None if count else "no CUDA device is visible"

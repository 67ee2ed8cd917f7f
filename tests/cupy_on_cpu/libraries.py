"""What CuPy reaches through libraries.

cuBLAS and cuRAND are in the emulated device, Thrust's sorting is NumPy's, and others aren't there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def serve_libraries(device: ctypes.CDLL, paths: dict[str, Path]) -> None:
    """Answer CuPy's search for CUDA's libraries. None but the emulated ones are to be found."""
    from cuda import pathfinder

    found = {"cudart": pathfinder.LoadedDL("", True, device._handle, "emulated")}
    for name, path in paths.items():
        loaded = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        found[name] = pathfinder.LoadedDL(str(path), True, loaded._handle, "emulated")

    def load(name: str) -> Any:
        if name in found:
            return found[name]
        raise pathfinder.DynamicLibNotFoundError(f"{name} isn't emulated on the CPU")

    pathfinder.load_nvidia_dynamic_lib = load


def sort_with_numpy() -> None:
    """Thrust is compiled for the GPU into CuPy's module. These work in the arrays' own memory."""
    from cupy.cuda import thrust

    thrust.sort, thrust.argsort, thrust.lexsort = _sort, _argsort, _lexsort


def refuse_what_is_compiled_for_gpus() -> None:
    """CUB's functions and the random generators of ``default_rng`` are GPU code inside CuPy's modules. They
    don't look whether their launches succeed, so without a GPU they would leave their results unset.
    """
    from cupy.cuda import cub
    from cupy.random import _generator_api

    for name in ("device_reduce", "device_segmented_reduce", "device_scan", "device_histogram"):
        setattr(cub, name, _refusing(f"cupy.cuda.cub.{name}"))
    _generator_api.init_curand = _refusing("cupy.random.default_rng")


def _refusing(name: str) -> Callable[..., None]:
    def refuse(*args: Any) -> None:
        raise NotImplementedError(f"{name} is not emulated on the CPU")

    return refuse


def _host_view(address: int, dtype: Any, shape: Any) -> np.ndarray:
    _refuse_capture()
    bytes_ = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * bytes_).from_address(address), dtype).reshape(shape)


def _refuse_capture() -> None:
    import cupy

    if cupy.cuda.get_current_stream().is_capturing():
        raise NotImplementedError("sorting while a stream is capturing is not emulated on the CPU")


def _sort(dtype: Any, data: int, keys: int, shape: Any) -> None:
    _host_view(data, dtype, shape).sort(axis=-1, kind="stable")


def _argsort(dtype: Any, indices: int, data: int, keys: int, shape: Any) -> None:
    values = _host_view(data, dtype, shape)
    order = np.argsort(values, axis=-1, kind="stable")
    _host_view(indices, np.intp, shape)[...] = order
    values[...] = np.take_along_axis(values, order, -1)


def _lexsort(dtype: Any, indices: int, keys: int, k: int, n: int) -> None:
    _host_view(indices, np.intp, (n,))[...] = np.lexsort(_host_view(keys, dtype, (k, n)))

"""Real CuPy without a GPU: its own code, with kernels that g++ compiles for the CPU. See README.md.

>>> import cupy_on_cpu
>>> cupy_on_cpu.install()              # before anything imports cupy
>>> import cupy as cp
>>> with cupy_on_cpu.count() as c:
...     y = cp.arange(4.0) * 2
>>> c.launches, c.syncs
(2, 0)
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import build, counting, kernels, libraries
from .build import Unavailable
from .counting import Counts, count, order

__all__ = ["Counts", "Unavailable", "count", "describe", "install", "installed", "order"]

_REPLACED = "cupy_backends.cuda.api.runtime"
_installed = False


def installed() -> bool:
    """Whether the CuPy of this process runs on the CPU."""
    return _installed


def install(say: Callable[[str], None] = lambda line: None) -> None:
    """Make ``import cupy`` give a CuPy that runs on the CPU. Builds it first where that is needed.

    Raises ``Unavailable`` with the reason if it can't be built. ``say`` is told what is being done.
    """
    global _installed
    if _installed:
        return
    if "cupy" in sys.modules:
        raise RuntimeError("cupy_on_cpu.install() must come before the first import of cupy")
    folder = build.build(say)

    # CUB's kernels are compiled into CuPy for the GPU; without an accelerator CuPy uses its own.
    os.environ["CUPY_ACCELERATORS"] = ""
    # Global, because CuPy's runtime module and the compiled kernels find its functions by name.
    device = ctypes.CDLL(str(build.library(folder)), mode=ctypes.RTLD_GLOBAL)
    counting.count_on(device)
    libraries.serve_libraries(device, build.math_libraries(folder))
    path = str(build.runtime_module(folder))

    class Finder:
        @staticmethod
        def find_spec(name: str, path_: Any = None, target: ModuleType | None = None) -> Any:
            if name != _REPLACED:
                return None
            loader = importlib.machinery.ExtensionFileLoader(name, path)
            return importlib.util.spec_from_file_location(name, path, loader=loader)

    sys.meta_path.insert(0, Finder)
    kernels.compile_with(folder)
    libraries.sort_with_numpy()
    libraries.refuse_what_is_compiled_for_gpus()
    _installed = True


def describe() -> str:
    """What this is, for a report."""
    import cupy

    what = f"CuPy {cupy.__version__} on the CPU (kernels built by g++; no GPU was used)"
    if kernels.compiled:
        what += f"; {kernels.compiled} kernels compiled in {kernels.compile_seconds:.0f} s"
    return what

"""SciPy's namespaces, differentiable, on the backend of the arrays that go in.

What SciPy has and gpuad doesn't differentiate works here on plain arrays unchanged. SciPy itself is
imported when one of its functions is called.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ("fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(
        f"gpuad.scipy has no {name!r}; it has {', '.join(_MODULES)}. Use scipy.{name} for what isn't differentiated"
    )


def __dir__() -> list[str]:
    return sorted(_MODULES)

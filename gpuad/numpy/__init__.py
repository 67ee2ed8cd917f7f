"""NumPy's namespace, differentiable, on the backend of the arrays that go in.

What NumPy has and gpuad doesn't differentiate works here on plain arrays unchanged.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any

import numpy as _np

# These fill the table of functions.
from . import (  # noqa: F401
    contractions,
    creation,
    elementwise,
    indexing,
    reductions,
    shapes,
    sorting,
    vectorize,
)
from . import linalg as linalg
from . import random as random
from .frontend import find as _find
from .frontend import functions as _functions
from .frontend import taking_iterators as _taking_iterators
from .standard import __array_api_version__ as __array_api_version__
from .standard import __array_namespace_info__ as __array_namespace_info__

for _name in "concatenate concat stack vstack row_stack hstack dstack column_stack".split():
    _functions[_name] = _taking_iterators(_functions[_name])

_MODULES = frozenset("fft lib numpy_boxes numpy_vjps numpy_vspaces numpy_wrapper".split())


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # imported when it is used: a program without Fourier transforms starts faster
        return _import_module(f"{__name__}.{name}")
    found = globals()[name] = _find("", _np, name)
    return found


def __dir__() -> list[str]:
    return sorted({*dir(_np), *(name for name in _functions if "." not in name)})

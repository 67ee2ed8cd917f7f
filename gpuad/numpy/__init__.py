"""NumPy's namespace, differentiable, on the backend of the arrays that go in.

What NumPy has and gpuad doesn't differentiate works here on plain arrays unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

# These fill the table of functions.
from . import contractions, creation, elementwise, indexing, reductions, shapes, sorting  # noqa: F401
from . import linalg as linalg
from . import random as random
from .frontend import functions as _functions
from .frontend import pass_on as _pass_on


def __getattr__(name: str) -> Any:
    found = _functions.get(name)
    if found is None:
        theirs = getattr(_np, name)
        found = _pass_on(name, theirs) if callable(theirs) and not isinstance(theirs, type) else theirs
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*dir(_np), *(name for name in _functions if "." not in name)})

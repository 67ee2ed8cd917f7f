"""NumPy's namespace, differentiable, on the backend of the arrays that go in.

What NumPy has and gpuad doesn't differentiate works here on plain arrays unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from . import contractions as _contractions
from . import creation as _creation
from . import elementwise as _elementwise
from . import indexing as _indexing
from . import linalg as linalg
from . import random as random
from . import reductions as _reductions
from . import shapes as _shapes
from . import sorting as _sorting
from .frontend import functions as _functions
from .frontend import pass_on as _pass_on

_aliases = _elementwise.defined


def __getattr__(name: str) -> Any:
    found = _functions.get(name) or _aliases.get(name)
    if found is None:
        theirs = getattr(_np, name)
        found = _pass_on(name, theirs) if callable(theirs) and not isinstance(theirs, type) else theirs
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*dir(_np), *_functions, *_aliases})

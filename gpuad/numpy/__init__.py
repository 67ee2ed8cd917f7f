"""NumPy's namespace, differentiable, on the backend of the arrays that go in.

What NumPy has and gpuad doesn't differentiate works here on plain arrays unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from . import elementwise as _elementwise
from . import reductions as _reductions
from . import sorting as _sorting
from .frontend import functions as _functions
from .frontend import is_traced as _is_traced
from .frontend import plain_backend as _plain_backend
from .frontend import unsupported as _unsupported

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


def _pass_on(name: str, theirs: Any) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        if _is_traced(args) or _is_traced(kwargs.values()):
            raise _unsupported(name)
        return _plain_backend(name, (*args, *kwargs.values())).function(name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = getattr(theirs, "__doc__", None)
    return function

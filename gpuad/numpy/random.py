"""``numpy.random`` on the backend that the switch is set to."""

from __future__ import annotations

from typing import Any

import numpy as _np

from .frontend import pass_on as _pass_on


def __getattr__(name: str) -> Any:
    theirs = getattr(_np.random, name)
    found = _pass_on(f"random.{name}", theirs) if callable(theirs) and not isinstance(theirs, type) else theirs
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return list(_np.random.__all__)

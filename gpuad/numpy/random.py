"""``numpy.random`` on the backend that the switch is set to."""

from __future__ import annotations

from typing import Any

import numpy as _np

from .frontend import find as _find


def __getattr__(name: str) -> Any:
    found = globals()[name] = _find("random.", _np.random, name)
    return found


def __dir__() -> list[str]:
    return list(_np.random.__all__)

"""What NumPy keeps in ``numpy.lib``."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..frontend import find as _find
from . import stride_tricks as stride_tricks


def __getattr__(name: str) -> Any:
    found = globals()[name] = _find("lib.", _np.lib, name)
    return found

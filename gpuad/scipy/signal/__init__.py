"""``scipy.signal``, differentiable as far as it is; the rest works on plain arrays unchanged."""

from __future__ import annotations

from typing import Any

from ...numpy.frontend import find
from . import convolutions, filters, windows  # noqa: F401 - these fill the table of functions


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.signal.", "scipy.signal", name)
    return found


def __dir__() -> list[str]:
    import scipy.signal

    return list(scipy.signal.__all__)

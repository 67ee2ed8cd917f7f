"""``scipy.linalg``, differentiable as far as it is; the rest works on plain arrays unchanged."""

from __future__ import annotations

from typing import Any

from ...numpy.frontend import find
from . import decompositions, functions, special_matrices, systems  # noqa: F401 - these fill the table of functions


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.linalg.", "scipy.linalg", name)
    return found


def __dir__() -> list[str]:
    import scipy.linalg

    return list(scipy.linalg.__all__)

"""``scipy.special``, differentiable as far as it is; the rest works on plain arrays unchanged."""

from __future__ import annotations

from typing import Any

from ..numpy.frontend import find


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.special.", "scipy.special", name)
    return found


def __dir__() -> list[str]:
    import scipy.special

    return list(scipy.special.__all__)

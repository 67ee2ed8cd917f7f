"""``scipy.signal.windows`` on either backend: made of numbers that aren't differentiated."""

from __future__ import annotations

from typing import Any

from ...numpy.frontend import find


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.signal.windows.", "scipy.signal.windows", name)
    return found


def __dir__() -> list[str]:
    import scipy.signal.windows

    return list(scipy.signal.windows.__all__)

"""Values of types that gpuad knows nothing of but how to add them: points of a user's vector space."""

from __future__ import annotations

from typing import Any

import numpy as np


class Foreign:
    """Such a value, as something that the core can trace: it has a shape and a dtype, and a sum."""

    __slots__ = ("space", "value")
    shape = ()
    dtype = np.dtype(object)

    def __init__(self, value: Any, space: Any) -> None:
        self.value = value
        self.space = space

    def __add__(self, other: Foreign) -> Foreign:
        return Foreign(self.space.add(self.value, other.value), self.space)

    def zeros(self) -> Foreign:
        return Foreign(self.space.zeros(), self.space)

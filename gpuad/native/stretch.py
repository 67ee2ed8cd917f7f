"""Recorded steps that one compiled program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.record import Step
    from .kernel import Kernel


class Stretch:
    """Stands in a step in the place of a primitive: these ``steps``, done by ``kernel``."""

    name = "in C"
    elementwise = False

    def __init__(self, steps: list[Step], kernel: Kernel) -> None:
        self.steps, self.kernel = steps, kernel

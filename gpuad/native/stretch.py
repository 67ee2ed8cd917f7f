"""Recorded steps that one compiled program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..fused import executors

if TYPE_CHECKING:
    from ..core.record import Step
    from .kernel import Kernel

#: So many steps are replayed in Python before they are compiled: that takes 0.1 to 0.6 s, and one in Python a
#: microsecond. Whoever asks for a function to be compiled means to call it often.
WORTH_COMPILING = 1 << 12


def turns(steps: int) -> int:
    """After how many replays so many steps had better be done in C; 0 for never."""
    forced = executors.asked()
    if not steps or forced in ("numpy", "none") or _listens.intersection(np.geterr().values()):
        return 0
    return 1 if forced == "c" else -(-WORTH_COMPILING // steps)


#: Ways to deal with floating-point errors for which C would have to look out.
_listens = frozenset({"raise", "call", "print", "log"})


class Stretch:
    """Stands in a step in the place of a primitive: these ``steps``, done by ``kernel``."""

    name = "in C"
    elementwise = False

    def __init__(self, steps: list[Step], kernel: Kernel) -> None:
        self.steps, self.kernel = steps, kernel

"""Operations on large arrays in a replay: they wait, as under other transformations, and become fused kernels.

Which operations do is known beforehand, by sizes and dtypes. See ``fused.pending``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend.interface import Backend
from ..core.memory import View
from ..core.record import PythonOperator, Step, Value
from ..fused import switch
from ..fused.pending import LARGE, DevicePending, HostPending, Pending, leaf, settle
from ..native import narrow

_KINDS: dict[Any, type[Pending]] = {kind.backend: kind for kind in (HostPending, DevicePending)}

#: Operations that wait in a way of their own, and do nothing else: no work on the device that a rehearsal doesn't see.
REHEARSED = frozenset(
    """astype broadcast_to count max mean min part power_of_number reshape scipy.special.log_softmax
    scipy.special.logsumexp scipy.special.softmax shares spread std sum sum_to transpose var""".split()
)


class Waiting:
    """Which values of a stretch of steps wait to be computed: of large arrays, or of all on a ``device``."""

    def __init__(
        self, steps: list[Step], values: dict[int, Value], pure: Callable[[Any], bool], device: Backend | None = None
    ) -> None:
        self.values, self.device = values, device
        #: Results of operations that wait.
        self.results: set[int] = set()
        #: Large arrays that such operations read.
        self.read: set[int] = set()
        if switch.on():
            for step in steps:
                if pure(step.prim) and self._waits(step):
                    self.results.update(step.outs)
                    self.read.update(a for a in step.args if a not in self.results and self._large(a, step, "fciub"))

    def _large(self, place: int, step: Step, kinds: str) -> bool:
        value = self.values[place]
        spec = value.spec
        if value.strides is None or spec.dtype.kind not in kinds or spec.dtype.char in "gG" or 0 in value.strides:
            return False
        return spec.size * spec.dtype.itemsize >= (1 if step.backend is self.device else LARGE[step.backend])

    def _waits(self, step: Step) -> bool:
        prim = step.prim
        if type(prim) is PythonOperator or step.several or step.errstate or step.backend not in _KINDS:
            return False
        if prim.scalar is None and prim.deferred is None:
            return False
        if step.backend is self.device:
            if prim.deferred is not None and prim.name not in REHEARSED:
                return False
            if any(self.values[a].spec.size == 0 for a in (*step.args, *step.outs)):
                return False
        if isinstance(prim, View) and not self._large(step.outs[0], step, "fciub"):
            return False
        return any(a in self.results or self._large(a, step, "fc") for a in step.args)

    def stays(self, step: Step) -> bool:
        """Whether a step isn't for small programs in C: it waits, its result is large, or it has C of its own."""
        large = LARGE.get(step.backend)
        specs = [self.values[out].spec for out in step.outs]
        if large is None or any(spec.size * spec.dtype.itemsize >= large for spec in specs):
            return True
        if step.prim.name == "matmul":
            x, y = (self.values[a] for a in step.args)
            if x.strides is not None and narrow.fits(x.spec, y.spec, x.strides):
                return True
        return not self.results.isdisjoint(step.outs)


def leaf_on(step: Step) -> Callable[[Any], Any]:
    """A function that makes of an array one on which operations wait."""
    kind = _KINDS[step.backend]
    return lambda x: leaf(kind, x)


def owned(x: Any, inputs: Any) -> Any:
    """A result that waited, as an array that shares its memory with nobody."""
    x = settle(x)
    if isinstance(x, np.generic):
        return x
    if getattr(x, "base", None) is not None or any(x is given for given in inputs) or 0 in x.strides:
        return x.copy()
    return x


def compute_into(out: Any, x: Any) -> None:
    """Have what waits computed where it belongs; nobody else needs it."""
    from ..fused.launch import destinations  # which a program without large arrays never needs

    token = destinations.set({x: out} if isinstance(x, Pending) else None)  # some operations don't wait after all
    try:
        found = settle(x)
    finally:
        destinations.reset(token)
    if not np.may_share_memory(found, out):
        out[...] = found

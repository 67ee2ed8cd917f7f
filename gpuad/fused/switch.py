"""Whether elementwise operations on large arrays are fused."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any

_here: ContextVar[bool | None] = ContextVar("gpuad_fusion", default=None)
_default: bool | None = None


def on() -> bool:
    """Whether operations wait to be fused, in this thread or task."""
    global _default
    here = _here.get()
    if here is not None:
        return here
    if _default is None:
        asked = os.environ.get("GPUAD_FUSION", "1") or "1"
        if asked not in ("0", "1"):
            raise ValueError(f"GPUAD_FUSION={asked}: expected 1 (elementwise operations are fused) or 0 (they aren't)")
        _default = asked == "1"
    return _default


class fusion:
    """Fuse elementwise operations on large arrays into few kernels (``True``, the default), or do them one by one.

    ``gpuad.fusion(False)`` holds from here on, for the whole process; ``with gpuad.fusion(False):`` inside the
    block, for this thread (or async task) alone. The environment variable ``GPUAD_FUSION=0`` turns it off at the
    start. Results agree to rounding.

    >>> import gpuad
    >>> import numpy as np
    >>> with gpuad.fusion(False):
    ...     gpuad.grad(np.sin)(0.0)
    np.float64(1.0)
    """

    def __init__(self, on: bool) -> None:
        global _default
        if not isinstance(on, bool):
            raise TypeError(f"fusion: expected True or False, got {on!r}")
        self.on = on
        self._before = _default
        _default = on

    def __enter__(self) -> None:
        global _default
        _default = self._before
        self._token = _here.set(self.on)

    def __exit__(self, *exc: Any) -> None:
        _here.reset(self._token)

"""Cosine and sine transforms of types 1 to 4, unnormalised: https://docs.scipy.org/doc/scipy/tutorial/fft.html

Each is a symmetric matrix of cosines or sines whose entries are doubled but for the ends, of its rows or its
columns: what undoes one is a transform again, between weights at the ends.
"""

from __future__ import annotations

from typing import Any

from ..core.primitive import Primitive
from .batching import over_axis
from .declare import fit, operation
from .fft import weigh_ends


def at_end(x: Any, kind: str, axis: int, weight: float) -> Any:
    """``x`` with the entry weighed that stands alone: the first for cosines, the last for sines."""
    first = weight if kind == "dct" or x.shape[axis] == 1 else 1.0
    return weigh_ends(x, axis=axis, first=first, inner=1.0, last=weight if kind == "dst" else 1.0)


def _vjp(g: Any, ans: Any, x: Any, *, kind: str, type: int, axis: int) -> Any:
    if type == 1 and kind == "dct":
        halved = weigh_ends(g, axis=axis, first=2.0, inner=1.0, last=2.0)
        h = cosine_transform(halved, kind=kind, type=1, axis=axis)
        return weigh_ends(h, axis=axis, first=0.5, inner=1.0, last=0.5)
    if type == 2:
        return cosine_transform(at_end(g, kind, axis, 2.0), kind=kind, type=3, axis=axis)
    if type == 3:
        return at_end(cosine_transform(g, kind=kind, type=2, axis=axis), kind, axis, 0.5)
    return cosine_transform(g, kind=kind, type=type, axis=axis)


#: ``kind`` is ``"dct"`` or ``"dst"``.
cosine_transform: Primitive = operation(
    "cosine_transform",
    lambda xp, x, *, kind, type, axis: getattr(xp.scipy.fft, kind)(x, type=type, axis=axis),
    _vjp,
    linear=True,
    finish=fit,
    batch=over_axis,
)

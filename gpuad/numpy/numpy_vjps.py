"""autograd's module of this name: what rules of elementwise functions are written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import numpy as _ours
from ..core.box import make_spec, spec_of
from ..ops.declare import fit
from .numpy_wrapper import metadata


def unbroadcast(x: Any, target_meta: tuple[Any, ...], broadcast_idx: int = 0) -> Any:
    """The cotangent of a broadcast array, as that of the array itself, of which ``metadata`` is given."""
    shape, _, dtype, is_complex = target_meta
    while broadcast_idx == -1 and len(spec_of(x).shape) > len(shape):  # the new axes are the last ones
        x = _ours.sum(x, axis=-1)
    return fit(x, make_spec(tuple(shape), spec_of(x).dtype if is_complex else dtype))


def unbroadcast_f(target: Any, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``f``, a rule, with its result made to fit ``target``, which was broadcast."""
    meta = metadata(target)
    return lambda g: unbroadcast(f(g), meta)


def balanced_eq(x: Any, z: Any, y: Any) -> Any:
    """Where ``x`` equals ``z``: 1, or half where ``y`` does, too."""
    return (x == z) / (1.0 + (x == y))


def replace_zero(x: Any, val: Any) -> Any:
    return _ours.where(x, x, val)


def match_complex(target: Any, x: Any) -> Any:
    """``x`` as a real or complex number, as ``target`` is."""
    target_is, x_is = _ours.iscomplexobj(target), _ours.iscomplexobj(x)
    if x_is and not target_is:
        return _ours.real(x)
    return x + 0j if target_is and not x_is else x

"""Negations, of which derivatives have many, taken into the constants and the sums beside them.

The sign of a product or quotient isn't rounded: ``-(x * 2.0)`` is ``x * -2.0``, and ``x - (-y)`` is ``x + y``, to the
last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.record import PythonOperator, Step
from ..ops.declare import registry
from ..ops.elementwise import add, divide, multiply, negative

if TYPE_CHECKING:
    from .simplify import Simplifier


def _real(s: Simplifier, *places: int) -> bool:
    return all(s.spec(place).dtype.kind == "f" or type(s.values[place].raw) is int for place in places)


def _made_by(s: Simplifier, place: int, prims: tuple[Any, ...], step: Step) -> Step | None:
    """The step that made a value, if it is one of these, and as free of traps for errors as ``step``."""
    made = s.made.get(place)
    if made is None or isinstance(made.prim, PythonOperator) or made.errstate != step.errstate:
        return None
    return made if made.prim in prims and _real(s, *made.args, *made.outs) else None


def _opposite(s: Simplifier, place: int) -> int | None:
    """The number of the constant that is minus another: a number, not zero, which may have no sign."""
    value = s.values[place]
    raw = value.raw
    if raw is None or value.spec.shape or not raw or type(raw) is bool:
        return None
    if type(raw) not in (int, float) and value.spec.dtype.kind != "f":
        return None
    opposite = np.array(-raw) if isinstance(raw, np.ndarray) else -raw
    return s.constant(opposite)


def _step(s: Simplifier, prim: Any, args: tuple[int, ...], like: Step) -> bool:
    s.add(Step(prim, args, {}, like.outs, False, like.backend, like.errstate, like.line, like.units))
    return True


def negated(s: Simplifier, step: Step) -> bool:
    """``-(x * 2.0)``, and quotients."""
    made = _made_by(s, step.args[0], (multiply, divide), step)
    if made is None or s.values[step.outs[0]].strides is None:
        return False
    for k, a in enumerate(made.args):
        opposite = _opposite(s, a)
        if opposite is not None:
            return _step(s, made.prim, (*made.args[:k], opposite, *made.args[k + 1 :]), step)
    return False


def product(s: Simplifier, step: Step) -> bool:
    """``-x * 2.0`` and ``-x * -y``, and quotients."""
    if (
        s.values[step.outs[0]].strides is None
        or registry.get(step.prim.name) is not step.prim
        or not _real(s, *step.outs)
    ):
        return False
    x, y = step.args
    minus = [_made_by(s, a, (negative,), step) for a in (x, y)]
    if minus[0] is not None and minus[1] is not None:
        return _step(s, step.prim, (minus[0].args[0], minus[1].args[0]), step)
    for k, other in ((0, y), (1, x)):
        inner, opposite = minus[k], _opposite(s, other) if minus[k] is not None else None
        if inner is not None and opposite is not None:
            pair = (inner.args[0], opposite)
            return _step(s, step.prim, pair if k == 0 else pair[::-1], step)
    return False


def difference(s: Simplifier, step: Step) -> bool:
    """``x - (-y)``."""
    made = _made_by(s, step.args[1], (negative,), step)
    if made is None or s.values[step.outs[0]].strides is None or not _real(s, *step.args):
        return False
    return _step(s, add, (step.args[0], made.args[0]), step)

"""Samples: for every primitive, programs that use it. ``test_ops.py`` runs its checks over all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

Shape = tuple[int, ...]


class Sample(NamedTuple):
    """A function of arrays, and the inputs to check it on.

    ``f(np, *arrays)`` calls functions of the namespace ``np`` alone (or operators and methods): it is
    run with numpy, with gpuad.numpy, and with the namespace of every backend.
    """

    primitives: tuple[str, ...]  # names in gpuad.ops.declare.registry that it is a sample of
    label: str
    f: Callable[..., Any]
    shapes: tuple[Shape, ...]  # one per argument
    low: float  # inputs are uniform in [low, high)
    high: float
    distinct: bool  # inputs are well apart from each other, as sorting and max need
    complex: bool  # checked with complex inputs too
    order: int  # up to which order derivatives are checked; 0: not at all


def sample(
    primitives: str,
    f: Callable[..., Any],
    *shapes: Shape,
    low: float = -2.0,
    high: float = 2.0,
    distinct: bool = False,
    complex: bool = False,
    order: int = 2,
    label: str = "",
) -> Sample:
    """A sample of the primitives named in ``primitives`` (separated by spaces)."""
    names = tuple(primitives.split())
    what = ",".join("x".join(map(str, s)) or "0d" for s in shapes)
    return Sample(names, f"{label or names[0]}[{what}]", f, shapes, low, high, distinct, complex, order)


def all_samples() -> list[Sample]:
    """The samples of every module beside this one: each has a list ``SAMPLES``."""
    found: list[Sample] = []
    for module in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{module.name}").SAMPLES
    return found

"""Counting multiply-adds: what backpropagation promises about its cost, in exact numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..backend import owner_of_type
from ..core.box import Box, make_box, spec_of
from ..core.level import Level
from ..core.primitive import Primitive
from ..core.pytree import tree_map


@dataclass
class Cost:
    """What a call did. A product of an m×k with a k×n matrix is m·k·n multiply-adds."""

    multiply_adds: int = 0
    by_primitive: dict[str, int] = field(default_factory=dict)


class Count(Level):
    """Evaluates primitives one level further out, and counts what they do."""

    __slots__ = ("cost",)

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()

    def watch(self, leaf: Any) -> Any:
        """Floating-point arrays are followed. Integers are left as they are, for they index other arrays."""
        if type(leaf) is not Box and owner_of_type(type(leaf)) is None:
            return leaf
        return self.box(leaf)

    def box(self, value: Any) -> Any:
        spec = spec_of(value)
        return make_box(value, self, 0, spec) if spec.differentiable else value

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values = self.opened(args)
        ans = prim(*values, **params)
        if prim.piecewise_constant:  # a program may turn it into a number, or branch on it
            return ans
        if prim.multiply_adds is not None:
            n = prim.multiply_adds(spec_of(ans), *map(spec_of, values), **params)
            self.cost.multiply_adds += n
            self.cost.by_primitive[prim.name] = self.cost.by_primitive.get(prim.name, 0) + n
        return tuple(map(self.box, ans)) if isinstance(ans, (tuple, list)) else self.box(ans)


def cost(f: Callable[..., Any]) -> Callable[..., Cost]:
    """A function that calls ``f`` and returns how many multiply-adds that took.

    Counted are those of ``matmul``, ``einsum``, ``convolve`` and what is made of them, where a
    floating-point array among the arguments, or what was computed from it, takes part.
    ``cost(f)(*args)`` has the sum as ``multiply_adds`` and its parts as ``by_primitive``. For a gradient
    it counts the forward and the backward pass.

    >>> import numpy as np, gpuad
    >>> x, w = np.ones((32, 100)), np.ones((100, 10))
    >>> loss = lambda w: np.sum((x @ w) ** 2)
    >>> gpuad.cost(loss)(w).multiply_adds
    32000
    >>> gpuad.cost(gpuad.grad(loss))(w).by_primitive
    {'matmul': 64000}
    """

    @functools.wraps(f)
    def counted(*args: Any, **kwargs: Any) -> Cost:
        level = Count()
        f(*(tree_map(level.watch, a) for a in args), **{k: tree_map(level.watch, a) for k, a in kwargs.items()})
        return level.cost

    return counted

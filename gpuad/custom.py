"""Primitives of your own: an operation that gpuad can't look into, and its derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .core.box import spec_of
from .core.primitive import Elementwise, Primitive, unstated
from .cupy_hooks import is_kernel, kernels
from .custom_calls import Stage, UserPrimitive, checked, no_jvp, plus
from .errors import RuleError
from .fused.pending import settle
from .ops.declare import fit, fit_tangent


def primitive(function: Callable[..., Any]) -> UserPrimitive:
    """Make ``function`` an operation of its own: it gets plain arrays, and is differentiated by its rules.

    What is differentiated are positional arguments: arrays, and containers of arrays. State the derivative
    with ``defvjp``. A CuPy ``ElementwiseKernel`` that is made a primitive, or given to ``defvjp``, is one
    wherever the program calls it, by its old name too.

    >>> import numpy as np, gpuad
    >>> @gpuad.primitive
    ... def cube(x):
    ...     return np.asarray(x) ** 3
    >>> gpuad.defvjp(cube, lambda g, ans, x: g * 3 * x ** 2)
    >>> gpuad.grad(cube)(2.0)
    np.float64(12.0)
    """
    if not callable(function):
        raise TypeError(f"primitive: expected a function, got {function!r}")
    made = UserPrimitive(function)
    if is_kernel(function):
        kernels[function] = made
    return made


def defvjp(prim: Any, *rules: Callable[..., Any] | None, argnums: Sequence[int] | None = None) -> None:
    """State the vector-Jacobian products of a primitive, one rule per positional argument.

    ``rule(g, ans, *args, **params)`` gets the cotangent of the result, the result, and the arguments of
    the call, and returns the cotangent of its argument: an array of that argument's shape. ``None``
    stands for an argument that has no derivative. ``argnums`` names the arguments that the rules are
    for, where they aren't 0, 1, …; rules stated before for other arguments stay.

    A rule must not write into what it is given, nor the function of a primitive into its arguments: others
    still need them. A rule that returns another shape raises ``RuleError`` when it is used.

    >>> import gpuad
    >>> @gpuad.primitive
    ... def scaled(x, k):
    ...     return x * k
    >>> gpuad.defvjp(scaled, lambda g, ans, x, k: g * k, None)
    >>> gpuad.grad(scaled)(2.0, 3.0)
    np.float64(3.0)
    """
    prim, given = stated("defvjp", prim, rules, argnums)
    if isinstance(prim, UserPrimitive):
        prim.vjps |= {k: None if rule is None else Stage.of_rule(rule) for k, rule in given.items()}
        prim.vjp_of_all = None
        return
    rules_by_number = dict(enumerate(prim.vjps)) | given
    count = max(rules_by_number, default=-1) + 1
    prim.define_vjps(
        [rules_by_number.get(k, unstated) for k in range(count)],
        finish=fit if isinstance(prim, Elementwise) else checked,
    )


def defjvp(prim: Any, *rules: Callable[..., Any] | None, argnums: Sequence[int] | None = None) -> None:
    """State the Jacobian-vector products of a primitive, one rule per positional argument.

    ``rule(t, ans, *args, **params)`` gets the tangent of its argument, the result, and the arguments of the
    call, and returns how the result moves: an array of the result's shape. What several arguments that move
    do is added up. ``None`` and ``argnums`` are as in ``defvjp``. A primitive that has a rule by ``defvjp``
    needs none by ``defjvp``: forward mode transposes that one. One of its own may be faster.

    >>> import gpuad
    >>> @gpuad.primitive
    ... def cube(x):
    ...     return x ** 3
    >>> gpuad.defjvp(cube, lambda t, ans, x: t * 3 * x ** 2)
    >>> gpuad.jvp(cube, (2.0,), (1.0,))
    (8.0, np.float64(12.0))
    """
    prim, given = stated("defjvp", prim, rules, argnums)
    if isinstance(prim, UserPrimitive):
        prim.jvps |= given
        prim.jvp_of_all = None
    else:
        prim.jvp = _JVPs(prim, (prim.jvp.rules if isinstance(prim.jvp, _JVPs) else {}) | given)


def stated(
    name: str, prim: Any, rules: Sequence[Any], argnums: Sequence[int] | None
) -> tuple[Any, dict[int, Callable[..., Any] | None]]:
    """The primitive that rules are stated for, and they by argument."""
    if is_kernel(prim):
        prim = kernels.get(prim) or primitive(prim)
    prim = getattr(prim, "primitive", prim)
    if not isinstance(prim, (UserPrimitive, Primitive)):
        raise TypeError(f"{name}: expected a primitive (see gpuad.primitive), got {prim!r}")
    numbers = range(len(rules)) if argnums is None else argnums
    if len(numbers) != len(rules):
        raise TypeError(f"{name}({prim.name}): {len(rules)} rules for {len(numbers)} argnums")
    for rule in rules:
        if rule is not None and not callable(rule):
            raise TypeError(f"{name}({prim.name}): a rule must be a function or None, got {rule!r}")
    return prim, dict(zip(numbers, rules, strict=True))


class _JVPs:
    """The JVPs of the arguments of one of gpuad's own primitives, as one of the call."""

    def __init__(self, prim: Primitive, rules: dict[int, Callable[..., Any] | None]) -> None:
        self.prim = prim
        self.rules = rules

    def __call__(self, tangents: Sequence[Any], ans: Any, *args: Any, **params: Any) -> Any:
        total = None
        for k, t in enumerate(tangents):
            if t is None:
                continue
            if k not in self.rules:
                raise no_jvp(self.prim.name, k)
            rule = self.rules[k]
            if rule is not None:
                moved = self._checked(rule(settle(t), _settled(ans), *map(settle, args), **params), ans, k)
                total = moved if total is None else plus(total, moved)
        return total

    def _checked(self, moved: Any, ans: Any, k: int) -> Any:
        if type(ans) in (tuple, list):
            if type(moved) not in (tuple, list) or len(moved) != len(ans):
                raise RuleError(f"{self.prim.name}: the JVP of argument {k} must return {len(ans)} tangents in a tuple")
            return tuple(self._checked(t, a, k) for t, a in zip(moved, ans, strict=True))
        if isinstance(self.prim, Elementwise) and moved is not None:
            return fit_tangent(moved, spec_of(ans))
        return moved if moved is None else checked(moved, spec_of(ans), self.prim, k, "JVP", "result")


def _settled(ans: Any) -> Any:
    return tuple(map(settle, ans)) if type(ans) in (tuple, list) else settle(ans)

"""Primitives of your own: an operation that gpuad can't look into, and its derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .backend import backend_of, owner_of_type
from .backend.recycle import settle
from .core.box import Box, Spec, spec_of
from .core.primitive import Elementwise, Primitive, Pull, unstated
from .cupy_hooks import is_kernel, kernels
from .errors import MissingRuleError, RuleError, UnsupportedError
from .ops.declare import astype, fit, fit_tangent, real


class UserPrimitive(Primitive):
    """A function that transformations see as one operation."""

    def __init__(self, function: Callable[..., Any]) -> None:
        name = getattr(function, "__name__", type(function).__name__)
        super().__init__(name)
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **params: Any) -> Any:
        for keyword, value in params.items():
            if type(value) is Box:
                raise UnsupportedError(
                    f"{self.name}: {keyword}= is a traced array; arguments that are differentiated must be positional"
                )
        return super().__call__(*args, **params)

    # Neither the function nor its rules are to meet an array that isn't quite a plain one.
    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        backend_of([a if owner_of_type(type(a)) is not None else 0 for a in args], self.name)  # they mustn't be mixed
        return self.function(*map(settle, args), **params)

    def pull(self, k: int) -> Pull | None:
        pull = super().pull(k)
        if pull is None:
            return None

        def on_plain_arrays(g: Any, ans: Any, packed: Any) -> Any:
            args, *rest = packed
            g, ans = (tuple(map(settle, a)) if type(a) is tuple else settle(a) for a in (g, ans))
            return pull(g, ans, (tuple(map(settle, args)), *rest))

        return on_plain_arrays


def primitive(function: Callable[..., Any]) -> UserPrimitive:
    """Make ``function`` an operation of its own: it gets plain arrays, and is differentiated by its rules.

    Arrays are positional arguments. State the derivative with ``defvjp``. A CuPy ``ElementwiseKernel`` that is
    made a primitive, or given to ``defvjp``, is one wherever the program calls it, by its old name too.

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
    prim, given = _stated("defvjp", prim, rules, argnums)
    stated = dict(enumerate(prim.vjps)) | given
    count = max(stated, default=-1) + 1
    prim.define_vjps(
        [stated.get(k, unstated) for k in range(count)],
        finish=fit if isinstance(prim, Elementwise) else _check,
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
    prim, given = _stated("defjvp", prim, rules, argnums)
    stated = (prim.jvp.rules if isinstance(prim.jvp, _JVPs) else {}) | given
    prim.jvp = _JVPs(prim, stated)


def _stated(
    name: str, prim: Any, rules: Sequence[Any], argnums: Sequence[int] | None
) -> tuple[Primitive, dict[int, Callable[..., Any] | None]]:
    """The primitive that rules are stated for, and they by argument."""
    if is_kernel(prim):
        prim = kernels.get(prim) or primitive(prim)
    prim = getattr(prim, "primitive", prim)
    if not isinstance(prim, Primitive):
        raise TypeError(f"{name}: expected a primitive (see gpuad.primitive), got {prim!r}")
    numbers = range(len(rules)) if argnums is None else argnums
    if len(numbers) != len(rules):
        raise TypeError(f"{name}({prim.name}): {len(rules)} rules for {len(numbers)} argnums")
    for rule in rules:
        if rule is not None and not callable(rule):
            raise TypeError(f"{name}({prim.name}): a rule must be a function or None, got {rule!r}")
    return prim, dict(zip(numbers, rules, strict=True))


class _JVPs:
    """The JVPs of a primitive's arguments, as one of the call."""

    def __init__(self, prim: Primitive, rules: dict[int, Callable[..., Any] | None]) -> None:
        self.prim = prim
        self.rules = rules

    def __call__(self, tangents: Sequence[Any], ans: Any, *args: Any, **params: Any) -> Any:
        prim, total = self.prim, None
        for k, t in enumerate(tangents):
            if t is None:
                continue
            if k not in self.rules:
                raise MissingRuleError(
                    f"{prim.name} has no rule of forward mode for argument {k}, while it has for others. State one "
                    f"with gpuad.defjvp({prim.name}, lambda t, ans, *args: ..., argnums=({k},)), or None there if it "
                    "has no derivative"
                )
            rule = self.rules[k]
            if rule is not None:
                moved = self._checked(rule(settle(t), _settled(ans), *map(settle, args), **params), ans, k)
                total = moved if total is None else _plus(total, moved)
        return total

    def _checked(self, moved: Any, ans: Any, k: int) -> Any:
        if type(ans) in (tuple, list):
            if type(moved) not in (tuple, list) or len(moved) != len(ans):
                raise RuleError(f"{self.prim.name}: the JVP of argument {k} must return {len(ans)} tangents in a tuple")
            return tuple(self._checked(t, a, k) for t, a in zip(moved, ans, strict=True))
        if isinstance(self.prim, Elementwise) and moved is not None:
            return fit_tangent(moved, spec_of(ans))
        return moved if moved is None else _check(moved, spec_of(ans), self.prim, k, "JVP", "result")


def _settled(ans: Any) -> Any:
    return tuple(map(settle, ans)) if type(ans) in (tuple, list) else settle(ans)


def _plus(x: Any, y: Any) -> Any:
    """The sum of two tangents, each of which may be ``None`` for zero, or one per result."""
    if x is None or y is None:
        return y if x is None else x
    return tuple(map(_plus, x, y)) if type(x) is tuple else x + y


def _check(h: Any, spec: Spec, prim: Primitive, k: int, what: str = "VJP", whose: str = "argument") -> Any:
    """What a user's rule returned, if it can be the cotangent of its argument (the tangent of the result)."""
    try:
        got = spec_of(h)
    except TypeError:
        raise RuleError(f"{prim.name}: the {what} of argument {k} returned {type(h).__name__}, not an array") from None
    if got.shape != spec.shape:
        raise RuleError(
            f"{prim.name}: the {what} of argument {k} returned shape {got.shape}, but the {whose} has "
            f"shape {spec.shape}"
        )
    if got.dtype == spec.dtype:
        return h
    if got.dtype.kind == "c" and spec.dtype.kind != "c":
        h = real(h)
    return astype(h, dtype=spec.dtype) if spec_of(h).dtype != spec.dtype else h

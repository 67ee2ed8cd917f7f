"""Rules stated as in JAX: custom_vjp and custom_jvp for derivatives, defbatch for vmap."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .core.batch import filled
from .core.box import Box
from .core.filled import zeros_like
from .core.level import innermost_level
from .core.primitive import Pull
from .core.pytree import leaves, tree_map
from .core.tape import Tape
from .custom import stated
from .custom_calls import Application, UserPrimitive, holds_traced
from .errors import MissingRuleError, RuleError, UnsupportedError
from .transforms.batched_calls import BatchRule
from .transforms.gradients import check_function, input_spec, vjp
from .transforms.vmap import vmap


class Ruled(UserPrimitive):
    """A function, and a rule for all its arguments together. Arguments in ``nondiff_argnums`` are constants."""

    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        check_function(function, type(self).__name__)
        super().__init__(function)
        self.signature = inspect.signature(function) if inspect.isfunction(function) else None
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.vjp_of_all = self._back
        self.batch = self._batch

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.signature is not None:  # a rule gets by position what has one
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, {k: v for k, v in bound.kwargs.items() if k in kwargs}
        for i in self.nondiff_argnums:
            if holds_traced(args[i]):
                raise UnsupportedError(
                    f"{self.name}: argument {i}, which is among nondiff_argnums, is being differentiated. Leave it out "
                    "there, and let the rule return its derivative"
                )
        return super().__call__(*args, **kwargs)

    def application(self, slots: list[Any], kwargs: dict[str, Any]) -> Application:
        return RuledCall(self, slots, kwargs)

    def forward(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Callable[[Any], Any]]:
        """The result, and the function that takes its cotangent to those of the arguments that aren't constants."""
        raise NotImplementedError

    def _back(self, argnums: Sequence[int], ans: Any, args: Sequence[Any], kwargs: Any) -> Callable[[Any], Any]:
        return self.pulling(self.forward(args, kwargs)[1], argnums, args)

    def _batch(self, axis_size: int, in_batched: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """Function and rules are ordinary programs: those of many examples are theirs, under vmap."""
        axes = tuple(tree_map(lambda b: 0 if b else None, b) for b in in_batched)
        many = UserPrimitive(vmap(functools.partial(self.function, **kwargs), axes))
        many.name = self.name

        def back(argnums: Sequence[int], ans: Any, args: Sequence[Any], _: Any) -> Callable[[Any], Any]:
            def of_one(g: Any, *args: Any) -> Any:
                return self._back(argnums, None, args, kwargs)(g)

            def pulled(g: Any) -> list[Any]:
                found = vmap(of_one, (0, *axes))(g, *args)
                return [_summed_for(in_batched[i], h) for i, h in zip(argnums, found, strict=True)]

            return pulled

        def push(argnums: Sequence[int], ts: Sequence[Any], ans: Any, args: Sequence[Any], _: Any) -> Any:
            def of_one(ts: Any, *args: Any) -> Any:
                return self.jvp_of_all(argnums, ts, None, args, kwargs)  # type: ignore[misc]

            return vmap(of_one, ([axes[i] for i in argnums], *axes))(list(ts), *args)

        many.vjp_of_all = back
        if self.jvp_of_all is not None:
            many.jvp_of_all = push
        return many(*args), True

    def pulling(self, back: Callable[[Any], Any], argnums: Sequence[int], args: Sequence[Any]) -> Callable[[Any], Any]:
        """What the rule returns, checked, for the arguments ``argnums``."""
        numbers = [i for i in range(len(args)) if i not in self.nondiff_argnums]

        def pulled(g: Any) -> list[Any]:
            found = back(g)
            if not isinstance(found, (tuple, list)) or len(found) != len(numbers):
                raise RuleError(
                    f"{self.name}: the rule must return a tuple with {len(numbers)} cotangents, one for each argument "
                    f"that isn't among nondiff_argnums; it returned {found!r}"
                )
            by_number = dict(zip(numbers, found, strict=True))
            return [_in_containers_of(args[i], by_number[i], self.name, i) for i in argnums]

        return pulled

    def divided(self, args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The arguments that are constants, and the others."""
        constant = [args[i] for i in self.nondiff_argnums]
        return constant, [a for i, a in enumerate(args) if i not in self.nondiff_argnums]


class RuledCall(Application):
    """One call of such a function. A tape has the result and the way back from one run of the rule."""

    user: Ruled

    def __init__(self, user: Ruled, slots: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(user, slots, kwargs)
        #: The way back of the call that is being recorded.
        self.back: Callable[[Any], Any] | None = None

    def __call__(self, *args: Any, **params: Any) -> Any:
        level = innermost_level(args)
        if type(level) is not Tape:
            return super().__call__(*args, **params)
        self.staged = None
        values = level.opened(args)
        whole, self.back = self.user.forward(self.arguments(values), self.kwargs)
        for _, leaf in leaves(whole):
            if type(leaf) is Box and leaf.level.depth >= level.depth:
                raise UnsupportedError(
                    f"{self.name} uses a traced array that isn't among its arguments, for which its rule has no "
                    "derivative: pass it as an argument"
                )
        try:
            return level.record(self, args, values, params, self.taken_apart(whole))
        finally:
            self.back = None

    def pull(self, k: int) -> Pull | None:
        return self._pull

    def vjp_of_all(self, argnums: Sequence[int], ans: Any, args: Sequence[Any]) -> Callable[[Any], Any]:
        return self.user.pulling(self.back, argnums, args) if self.back else super().vjp_of_all(argnums, ans, args)


def _in_containers_of(arg: Any, h: Any, name: str, argnum: int) -> Any:
    """The cotangent ``h`` in the containers of its argument; ``None`` stands for zero there, or for a part of it."""
    found = dict(leaves(h))
    paths = [path for path, _ in leaves(arg)]
    if not found.keys() <= set(paths):
        raise RuleError(
            f"{name}: the cotangent of argument {argnum} must be in that argument's containers, whose leaves are "
            f"{[path or 'the argument itself' for path in paths]}; got {list(found)}"
        )
    path = iter(paths)

    def put(leaf: Any) -> Any:
        c = found.get(next(path))
        return c if c is not None else 0.0 if input_spec(leaf) is None else zeros_like(leaf)

    return tree_map(put, arg)


def _summed_for(batched: Any, h: Any) -> Any:
    """Cotangents of every example; added up where an argument is the same for all of them."""
    flags = iter([flag for _, flag in leaves(batched)])
    return tree_map(lambda leaf: leaf if next(flags) else leaf.sum(axis=0), h)


class custom_vjp(Ruled):
    """A function whose derivative is stated, with JAX's interface.

    ``f.defvjp(fwd, bwd)``: ``fwd(*args)`` returns ``(result, residuals)``, and ``bwd(residuals, g)`` takes the
    cotangent of the result to a tuple with those of the arguments, each in its argument's containers; ``None`` stands
    for zero. ``residuals`` may be anything. Arguments in ``nondiff_argnums`` are constants, functions for example;
    ``bwd`` is given them first. Both are ordinary programs, and are differentiated in turn for higher derivatives.
    Forward mode transposes ``bwd``.

    A cotangent follows gpuad's (and JAX's) convention for complex numbers, without conjugation.

    >>> import numpy as np, gpuad
    >>> @gpuad.custom_vjp
    ... def log1pexp(x):
    ...     return np.log(1.0 + np.exp(x))
    >>> log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, g: (g / (1.0 + np.exp(-x)),))
    >>> gpuad.grad(log1pexp)(0.0)
    np.float64(0.5)

    With ``nondiff_argnums``: ``@functools.partial(gpuad.custom_vjp, nondiff_argnums=(1,))``.
    """

    rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        check_function(fwd, "defvjp", curried=False)
        check_function(bwd, "defvjp", curried=False)
        self.rules = fwd, bwd

    def forward(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Callable[[Any], Any]]:
        if self.rules is None:
            raise MissingRuleError(f"{self.name} has no derivative yet; state it with {self.name}.defvjp(fwd, bwd)")
        fwd, bwd = self.rules
        made = fwd(*args, **kwargs)
        if not (isinstance(made, tuple) and len(made) == 2):
            raise RuleError(f"{self.name}: fwd must return (result, residuals), it returned {made!r}")
        result, residuals = made
        return result, functools.partial(bwd, *self.divided(args)[0], residuals)


class custom_jvp(Ruled):
    """A function whose derivative is stated as a rule of forward mode, with JAX's interface.

    ``f.defjvp(jvp)``: ``jvp(primals, tangents)`` gets two tuples, of the arguments and of their tangents, and returns
    ``(result, tangent)``. It must be linear in the tangents; reverse mode transposes it. The tangent of what doesn't
    move is zeros, that of what isn't floating-point ``None``. ``f.defjvps(*rules)`` states one rule
    ``rule(tangent, result, *args)`` for each argument instead, ``None`` where it is zero. Arguments in
    ``nondiff_argnums`` are constants; ``jvp`` is given them first.

    >>> import numpy as np, gpuad
    >>> @gpuad.custom_jvp
    ... def power(x, y):
    ...     return x ** y
    >>> power.defjvps(lambda t, z, x, y: t * y * z / x, lambda t, z, x, y: t * z * np.log(x))
    >>> gpuad.grad(power, (0, 1))(2.0, 3.0)
    (np.float64(12.0), np.float64(5.545177444479562))
    """

    rule: Callable[..., Any] | None = None

    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(function, nondiff_argnums)
        self.jvp_of_all = self._push

    def defjvp(self, jvp: Callable[..., Any]) -> None:
        check_function(jvp, "defjvp", curried=False)
        self.rule = jvp

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            result = self(*primals)
            moved = [rule(t, result, *primals) for rule, t in zip(rules, tangents, strict=True) if rule is not None]
            return result, sum(moved[1:], moved[0]) if moved else tree_map(zeros_like, result)

        if self.nondiff_argnums:
            raise TypeError(f"{self.name}: defjvps has no place for nondiff_argnums; use defjvp")
        self.rule = jvp

    def _ruled(self, args: Sequence[Any], tangents: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if self.rule is None:
            raise MissingRuleError(f"{self.name} has no derivative yet; state it with {self.name}.defjvp(jvp)")
        constant, primals = self.divided(args)
        made = self.rule(*constant, tuple(primals), tuple(tangents), **kwargs)
        if not (isinstance(made, tuple) and len(made) == 2):
            raise RuleError(f"{self.name}: the rule must return (result, tangent), it returned {made!r}")
        return made

    def _push(self, argnums: Sequence[int], ts: Sequence[Any], ans: Any, args: Sequence[Any], kwargs: Any) -> Any:
        moving = dict(zip(argnums, ts, strict=True))
        numbers = [i for i in range(len(args)) if i not in self.nondiff_argnums]
        return self._ruled(args, [moving[i] if i in moving else _zeros(args[i]) for i in numbers], kwargs)[1]

    def forward(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Callable[[Any], Any]]:
        def of_tangents(tangents: Any) -> tuple[Any, Any]:
            result, moved = self._ruled(args, tangents, kwargs)
            return moved, result

        _, pullback, result = vjp(of_tangents, tuple(map(_zeros, self.divided(args)[1])), has_aux=True)
        return result, lambda g: pullback(g)[0]


def _zeros(tree: Any) -> Any:
    """The tangent of what doesn't move."""
    return tree_map(lambda leaf: None if input_spec(leaf) is None else zeros_like(leaf), tree)


# -- vmap ----------------------------------------------------------------------------------------------
def defbatch(prim: Any, rule: BatchRule) -> None:
    """State how a primitive works on many examples at once, for ``vmap``.

    ``rule(axis_size, in_batched, *args, **params)`` is called as those of ``jax.custom_batching.custom_vmap`` are:
    ``args`` are the arguments of the call, in which an array has ``axis_size`` examples along its first axis where
    ``in_batched`` says ``True``, and is the same for all where it says ``False`` (a list with an entry for each
    argument; for a container one like it). It returns ``(result, out_batched)``: the result, or the container of
    results, and in the same way whether the examples lie along a first axis; one ``True`` may stand for all.

    The rule is an ordinary program. It may call the primitive, whose derivative rules count then as ever, and others.
    Functions of ``custom_vjp`` and ``custom_jvp`` need none, for those are ordinary programs, too. A primitive without
    a rule is evaluated example by example, with a warning.

    Raises ``RuleError`` where a rule returns something else.

    >>> import numpy as np, gpuad
    >>> @gpuad.primitive
    ... def total(x, scale):  # of a vector
    ...     return np.sum(x, axis=-1) * scale
    >>> gpuad.defvjp(total, lambda g, ans, x, scale: (g * scale)[..., None] * np.ones_like(x), None)
    >>> gpuad.defbatch(total, lambda n, in_batched, x, scale: (total(x, scale), True))
    >>> gpuad.vmap(total)(np.array([[1., 2.], [3., 4.]]), np.array([1., 10.]))
    array([ 3., 70.])
    """
    check_function(rule, "defbatch", curried=False)
    prim, _ = stated("defbatch", prim, (rule,), None)
    if isinstance(prim, UserPrimitive):
        prim.batch = rule
        return

    def batch(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
        result, batched = rule(n, list(mapped), *values, **params)
        if type(result) not in (tuple, list):
            return filled([result], [batched], n)[0]
        return tuple(filled(result, [batched] * len(result) if isinstance(batched, bool) else batched, n))

    prim.batch = batch

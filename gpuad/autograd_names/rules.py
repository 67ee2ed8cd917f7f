"""Primitives, and their rules in autograd's form: ``lambda ans, *args: lambda g: …``."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import custom
from ..core.primitive import Primitive
from ..custom_calls import Stage, UserPrimitive
from ..util import subval
from .vspaces import dense, getval, vspace

Maker = Callable[..., Any]


class AutogradPrimitive(UserPrimitive):
    """A primitive that also has the methods by which autograd's rules were stated before 2018."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.fun = function
        self.function = lambda *args, **kwargs: dense(function(*args, **kwargs))

    def defgrad(self, gradfun: Maker, argnum: int = 0) -> None:
        _deprecated("defgrad")
        defvjp(self, gradfun, argnums=(argnum,))

    def defvjp(self, vjpmaker: Callable[..., Any], argnum: int = 0) -> None:
        _deprecated("defvjp")

        def staged(ans: Any, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
            return lambda g: vjpmaker(g, ans, vspace(args[argnum]), vspace(g), *args, **kwargs)

        defvjp(self, staged, argnums=(argnum,))

    def defvjp_is_zero(self, argnums: Sequence[int] = (0,)) -> None:
        _deprecated("defvjp_is_zero")
        defvjp(self, *[None] * len(argnums), argnums=argnums)


def _deprecated(name: str) -> None:
    warnings.warn(f"The method {name} is deprecated: use gpuad.extend.defvjp", stacklevel=3)


def primitive(f_raw: Callable[..., Any]) -> AutogradPrimitive:
    """Make a function one operation, whose derivative is stated with ``defvjp`` and ``defjvp``.

    >>> from gpuad import grad
    >>> @primitive
    ... def cube(x):
    ...     return x ** 3
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x ** 2)
    >>> grad(cube)(2.0)
    np.float64(12.0)
    """
    return AutogradPrimitive(f_raw)


def notrace_primitive(f_raw: Callable[..., Any]) -> Callable[..., Any]:
    """``f_raw`` on the values behind traced arrays: its result is a constant."""

    @functools.wraps(f_raw)
    def on_values(*args: Any, **kwargs: Any) -> Any:
        return f_raw(*map(getval, args), **kwargs)

    return on_values


def register_notrace(trace_type: type, primitive_fun: Any) -> None:
    """Say that what a primitive returns is a constant. ``trace_type``, a kind of node, makes no difference here."""
    found = getattr(primitive_fun, "primitive", primitive_fun)
    if not isinstance(found, (Primitive, UserPrimitive)):
        raise TypeError(f"register_notrace: expected a primitive, got {primitive_fun!r}")
    found.piecewise_constant = True


# -- reverse mode --
def defvjp(fun: Any, *vjpmakers: Maker | None, argnums: Iterable[int] | None = None) -> None:
    """State ``vjpmaker(ans, *args, **kwargs)(g)`` for each argument, or for those in ``argnums``.

    ``None`` stands for an argument that has no derivative. Rules stated before are replaced.
    """
    if not _is_primitive("defvjp", fun):
        return
    numbers = list(itertools.islice(itertools.count() if argnums is None else argnums, len(vjpmakers)))
    prim, given = custom.stated("defvjp", fun, vjpmakers, numbers)
    if not isinstance(prim, UserPrimitive):
        custom.defvjp(prim, *[m and _uncurried(m) for m in vjpmakers], argnums=numbers)
        return
    prim.vjps |= {argnum: None if maker is None else _stage(maker) for argnum, maker in given.items()}
    prim.vjp_of_all = None


def _stage(maker: Maker) -> Stage:
    def stage(ans: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[Any], Any]:
        vjp = maker(ans, *args, **kwargs)
        return lambda g: dense(vjp(g))

    return Stage(stage)


def _uncurried(maker: Maker) -> Callable[..., Any]:
    return lambda g, ans, *args, **kwargs: dense(maker(ans, *args, **kwargs)(g))


def defvjp_argnums(fun: UserPrimitive, vjpmaker: Maker) -> None:
    """State ``vjpmaker(argnums, ans, args, kwargs)(g)``: the cotangents of all these arguments."""
    _users("defvjp_argnums", fun).vjp_of_all = lambda *call: _all_dense(vjpmaker(*call))


def _all_dense(vjp: Callable[[Any], Iterable[Any]]) -> Callable[[Any], list[Any]]:
    return lambda g: [dense(h) for h in vjp(g)]


def defvjp_argnum(fun: UserPrimitive, vjpmaker: Maker) -> None:
    """State ``vjpmaker(argnum, ans, args, kwargs)(g)``: the cotangent of one argument."""

    def of_all(argnums: Sequence[int], *call: Any) -> Callable[[Any], Iterable[Any]]:
        vjps = [vjpmaker(argnum, *call) for argnum in argnums]
        return lambda g: [vjp(g) for vjp in vjps]

    defvjp_argnums(fun, of_all)


# -- forward mode --
def defjvp(fun: Any, *jvpfuns: Any, argnums: Iterable[int] | None = None) -> None:
    """State ``jvpfun(g, ans, *args, **kwargs)``, the tangent of the result, for each argument.

    ``"same"`` says that the function is linear in the argument, ``None`` that it has no derivative.
    """
    if not _is_primitive("defjvp", fun):
        return
    numbers = list(itertools.islice(itertools.count() if argnums is None else argnums, len(jvpfuns)))
    rules = [_linear_in(fun, k) if rule == "same" else rule for k, rule in zip(numbers, jvpfuns, strict=True)]
    custom.defjvp(fun, *rules, argnums=numbers)


def _linear_in(fun: Any, argnum: int) -> Callable[..., Any]:
    return lambda g, ans, *args, **kwargs: fun(*subval(args, argnum, g), **kwargs)


def defjvp_argnums(fun: UserPrimitive, jvpmaker: Callable[..., Any]) -> None:
    """State ``jvpmaker(argnums, gs, ans, args, kwargs)``: the tangent of the result, from those of these arguments."""
    _users("defjvp_argnums", fun).jvp_of_all = jvpmaker


def defjvp_argnum(fun: UserPrimitive, jvpmaker: Callable[..., Any]) -> None:
    """State ``jvpmaker(argnum, g, ans, args, kwargs)``: the tangent of the result, from that of one argument."""

    def of_all(argnums: Sequence[int], gs: Sequence[Any], *call: Any) -> Any:
        return sum_outgrads(jvpmaker(argnum, g, *call) for argnum, g in zip(argnums, gs, strict=True))

    defjvp_argnums(fun, of_all)


def def_linear(fun: UserPrimitive) -> None:
    """Say that a function is linear in each of its arguments, the others held."""
    defjvp_argnum(fun, lambda argnum, g, ans, args, kwargs: fun(*subval(args, argnum, g), **kwargs))


def sum_outgrads(gs: Iterable[Any]) -> Any:
    """The sum of cotangents, or of tangents, that may be containers."""
    first, *rest = map(dense, gs)
    return functools.reduce(lambda x, y: vspace(x).add(x, y), rest, first)


def _is_primitive(name: str, fun: Any) -> bool:
    """Whether rules for ``fun`` have an effect. autograd keeps those of ordinary functions, too, for nothing."""
    known = isinstance(getattr(fun, "primitive", fun), (Primitive, UserPrimitive))
    if not known and callable(fun):
        warnings.warn(f"{name}: {fun!r} isn't a primitive, so its rules have no effect", stacklevel=3)
        return False
    return True


def _users(name: str, fun: Any) -> UserPrimitive:
    if not isinstance(fun, UserPrimitive):
        raise TypeError(f"{name}: expected a function under @primitive, got {fun!r}")
    return fun

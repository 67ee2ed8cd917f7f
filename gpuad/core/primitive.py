"""A primitive: an operation with a name, a way to compute it on raw arrays, and its derivative rules.

Calling one finds the innermost transformation among its arguments and lets that interpret the call;
with no traced argument a backend computes it. That is all the dispatch there is.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import backend_of, goes_along, owner_of_type
from ..backend.interface import Backend
from ..errors import MissingFunctionError, MissingRuleError
from ..fused.staging import Lazy
from .box import Box, Spec
from .level import innermost_level

Rule = Callable[..., Any]
Finish = Callable[[Any, Spec, "Primitive", int], Any]
#: (cotangent, ans, (args, params, place and spec of the argument)) -> cotangent of the argument
Pull = Callable[[Any, Any, tuple[tuple[Any, ...], dict[str, Any], int, Spec]], Any]

#: The place of the result among the values that a rule reads.
ANS = -1
#: The result and all arguments: no operation has as many but those that take any number.
EVERYTHING = frozenset(range(ANS, 1 << 10))


class Primitive:
    """An operation that transformations know how to interpret.

    Arrays are positional arguments, everything else is given by keyword. ``forward(xp, *args,
    **params)`` computes it with the functions of a backend's namespace; where ``forward`` is missing,
    the backend's own function of this name does.
    """

    def __init__(self, name: str, forward: Callable[..., Any] | None = None) -> None:
        self.name = self.__name__ = name
        self.forward = forward
        #: Whether results are constant as far as derivatives go (comparisons, ``argmax``, ``floor``).
        self.piecewise_constant = False
        #: How many multiply-adds a call does, from the specs: ``multiply_adds(ans, *args, **params)``.
        self.multiply_adds: Callable[..., int] | None = None
        #: One VJP per positional argument, ``rule(g, ans, *args, **params)``.
        self.vjps: tuple[Rule | None, ...] = ()
        #: One VJP for all arguments of an operation that takes any number of them.
        self.variadic_vjp: Rule | None = None
        #: Whether they give arrays, and nothing else that ``core.cotangent`` knows.
        self.plain_vjps = True
        #: The JVP where it isn't derived from the VJP: ``jvp(tangents, ans, *args, **params)``, with ``None`` among
        #: the tangents for an argument that stays, is the tangent of the result (``None`` for one that stays).
        self.jvp: Rule | None = None
        #: The batching rule: ``batch(prim, n, mapped, values, params)``, with the examples in front, for these and for
        #: the result. Element by element none is needed. See ``core.batch``.
        self.batch: Rule | None = None
        #: Whether the operation is linear in each argument, the others held.
        self.linear = False
        #: Whether it works element by element, with broadcasting.
        self.elementwise = False
        #: What it does to single entries ``{0}``, ``{1}``, ... of its arguments, in the language that the kernels in C
        #: and in CUDA share: operators, and the functions that both headers of ``kernels/`` define for every dtype.
        self.scalar: str | None = None
        #: What it does with arrays that aren't computed yet, unless ``scalar`` says it: see ``fused.staging``.
        self.deferred: Callable[..., Any] | None = None
        #: What a kernel is told of it, by the dtypes of the arguments.
        self.operations: dict[tuple[Any, ...], Any] = {}
        #: Whether a rule is given the arguments of the call.
        self.rule_takes_args = True
        #: What the tape calls for an argument: ``pull(g, ans, (args, params, spec))``.
        self.pulls: tuple[Pull | None, ...] = ()
        #: Which values the VJP of each argument reads, by position; ``ANS`` is the result.
        self.reads: tuple[frozenset[int], ...] = ()
        #: For an operation of one argument that has a rule: what the tape calls, and whether the rule reads the result
        #: and the argument.
        self.single: tuple[Pull, bool, bool] | None = None
        self._run: dict[Backend, Callable[..., Any]] = {}

    def __call__(self, *args: Any, **params: Any) -> Any:
        for a in args:
            if type(a) is Box:
                level: Any = innermost_level(args)
                return level.process(self, args, params)
        return self.evaluate(args, params)

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Compute on raw arrays."""
        backend = (owner_of_type(type(args[0])) if len(args) == 1 else None) or backend_of(args, self.name)
        run = self._run.get(backend)
        if run is None:
            run = self._run[backend] = self.implementation(backend)
        return run(*args, **params)

    def implementation(self, backend: Backend) -> Callable[..., Any]:
        """The function that computes this primitive on the arrays of ``backend``."""
        if isinstance(backend, Lazy):
            return backend.implementation(self)
        forward = self.forward
        if self.name in backend.overrides or forward is None:
            try:
                return backend.function(self.name)
            except AttributeError:
                raise MissingFunctionError(f"{self.name} isn't available on the {backend.name} backend") from None
        return functools.partial(forward, backend.functions)

    def pull(self, k: int) -> Pull | None:
        """What undoes argument ``k``; ``None`` if nothing does. ``MissingRuleError`` if that was never stated."""
        if self.variadic_vjp is not None:
            return self.pulls[0]
        if k < len(self.vjps) and self.vjps[k] is not unstated:
            return self.pulls[k]
        raise MissingRuleError(
            f"{self.name} has no derivative rule for argument {k}, which is being differentiated. State one with "
            f"gpuad.defvjp({self.name}, lambda g, ans, *args: ...), or None there if it has no derivative; "
            "or cut the argument off with gpuad.stop_gradient(x)"
        )

    def residuals(
        self, k: int, ans: Any, args: Sequence[Any], values: Sequence[Any], keep: Callable[[Any], Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Of ``ans`` and ``values``, what the VJP of argument ``k`` reads.

        Where a value was in a box among ``args`` and isn't read, the box's ``Spec`` takes its place; where it was given
        as it is, ``None``, and ``keep(value)`` if it is read.
        """
        if self.variadic_vjp is not None:
            keeps = self.reads[0]
            if not self.rule_takes_args:
                return (ans if ANS in keeps else None), ()
            if keeps:
                return ans, tuple([keep(v) if v is a else v for a, v in zip(args, values, strict=True)])
            # Whole numbers say where: vmap has them in boxes.
            return None, tuple(
                [
                    keep(v) if v is a else a.spec if a.spec.differentiable else v
                    for a, v in zip(args, values, strict=True)
                ]
            )
        keeps, kept = self.reads[k], []
        for i, (a, v) in enumerate(zip(args, values, strict=True)):
            if v is a:
                kept.append(keep(v) if i in keeps else None)
            else:
                kept.append(v if i in keeps else a.spec)
        return (ans if ANS in keeps else None), tuple(kept)

    def define_vjps(self, vjps: Sequence[Rule | None], *, linear: bool = False, finish: Finish | None = None) -> None:
        """State the VJP of every argument. ``linear``: the operation is so in each, the others held.

        The rule of a linear argument is given that argument's ``Spec`` instead of its value. ``finish(h,
        spec, prim, k)`` gets what the rule of argument ``k`` returned and makes it fit the argument.
        """
        self.vjps, self.linear = tuple(vjps), linear
        self.pulls = tuple(_make_pull(self, rule, finish) if rule is not None else None for rule in vjps)
        self.reads = tuple(
            reads(rule) - ({k} if linear else set()) if rule is not None else frozenset() for k, rule in enumerate(vjps)
        )
        self.single = None
        if len(vjps) == 1 and vjps[0] is not unstated and self.pulls[0] is not None:
            self.single = self.pulls[0], ANS in self.reads[0], 0 in self.reads[0]

    def define_variadic_vjp(self, vjp: Rule, *, linear: bool = False, finish: Finish | None = None) -> None:
        """State one VJP for every argument: ``vjp(k, g, ans, *args, **params)`` is that of the k-th.

        A rule without ``*args`` is given none. That of an operation whose arguments may be thousands must
        be such, for its cost is that of one argument then.
        """
        self.variadic_vjp, self.linear, self.single = vjp, linear, None
        self.rule_takes_args = _takes_any_number(vjp)
        self.pulls = (_make_pull(self, vjp, finish, variadic=True),)
        self.reads = (frozenset() if linear else EVERYTHING,)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _takes_any_number(rule: Rule) -> bool:
    code = getattr(rule, "__code__", None)
    return code is None or bool(code.co_flags & _VARARGS)


_VARARGS = 0x04  # inspect.CO_VARARGS; that module takes longer to import than all of gpuad


def passes(g: Any, ans: Any, x: Any, y: Any = None) -> Any:
    """The rule of an argument whose cotangent is that of the result; the sweep needn't call it."""
    return g


def unstated(*args: Any, **params: Any) -> Any:
    """Stands among the rules of a primitive for one that was never stated."""
    raise AssertionError("the rule of an argument that has none was called")


def _make_pull(prim: Primitive, rule: Rule, finish: Finish | None, variadic: bool = False) -> Pull:
    def pull(g: Any, ans: Any, packed: tuple[tuple[Any, ...], dict[str, Any], int, Spec]) -> Any:
        args, params, place, spec = packed
        h = rule(place, g, ans, *args, **params) if variadic else rule(g, ans, *args, **params)
        return h if finish is None else finish(h, spec, prim, place)

    pull.primitive, pull.finish = prim, finish  # type: ignore[attr-defined]
    return pull


class _Implementations(dict[type, Callable[..., Any]]):
    """What an elementwise primitive does with an argument of each type; filled as types are met."""

    def __init__(self, prim: Elementwise) -> None:
        super().__init__()
        self.prim = prim

    def __missing__(self, cls: type) -> Callable[..., Any]:
        backend = owner_of_type(cls)
        if backend is None and not goes_along(cls):
            return lambda *args: self.prim.evaluate(args, {})  # which says that it is no array
        self[cls] = found = self.prim.implementation(backend or backend_of(()))
        return found


class Elementwise(Primitive):
    """A primitive that works element by element, with broadcasting, of one or two arguments.

    Most operations of a program are of this kind, so what a call does is looked up in one table, by
    the type of an argument: there is an entry for ``Box``, and one for each type of raw array.
    """

    nin = 0
    #: For the tape's short way: each argument's rule, and whether it reads the result and each argument. The rule is
    #: ``None`` where that way can't be taken, for an argument has none, or a result another dtype than its argument.
    short: tuple[tuple[Any, ...], ...]
    #: Applies the primitive where an argument is a ``Box``: what ``recorder`` makes of the primitive.
    apply: Callable[..., Any]

    def __init__(
        self,
        name: str,
        recorder: Callable[[Any], Callable[..., Any]],
        forward: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, forward)
        self.elementwise = True
        self.short = self._no_short_way()
        self._told: list[Callable[[], None]] = []
        self.impl = _Implementations(self)
        #: What ``impl`` has for NumPy's arrays, at hand.
        self.host = self._at_hand()
        self.apply = self.impl[Box] = recorder(self)

    def whenever_stated(self, f: Callable[[], None]) -> None:
        """Call ``f`` now, and whenever the rules are stated anew."""
        self._told.append(f)
        f()

    def _no_short_way(self) -> tuple[tuple[Any, ...], ...]:
        return ((None, *[False] * (1 + self.nin)),) * self.nin

    def _at_hand(self) -> Callable[..., Any]:
        try:
            return self.impl[np.ndarray]
        except ImportError:  # SciPy isn't installed, which is of no concern to CuPy's arrays
            return lambda *args: self.impl[np.ndarray](*args)

    def define_vjps(self, vjps: Sequence[Rule | None], *, plain: bool = False, **how: Any) -> None:
        super().define_vjps(vjps, **how)
        self.short = self._no_short_way()
        if plain and not {None, unstated}.intersection(vjps):
            for rule in vjps:
                rule.entrywise = True  # type: ignore[union-attr]
            values = range(ANS, self.nin)
            self.short = tuple(
                (rule, *(i in read for i in values)) for rule, read in zip(vjps, self.reads, strict=True)
            )
        for restate in self._told:
            restate()


class Unary(Elementwise):
    nin = 1

    def as_function(self) -> Callable[[Any], Any]:
        """The same as a function, for rules: to call an object takes CPython 0.1 us longer."""
        host, impl = self.host, self.impl
        return lambda x: host(x) if type(x) is np.ndarray else impl[type(x)](x)

    def __call__(self, x: Any) -> Any:
        return self.host(x) if type(x) is np.ndarray else self.impl[type(x)](x)


_PYTHON_SCALARS = frozenset({float, int, complex, bool})


class Binary(Elementwise):
    nin = 2

    def __call__(self, x: Any, y: Any) -> Any:
        kind, other = type(x), type(y)
        if kind is Box or other is Box:
            return self.apply(x, y)
        if kind is other or other in _PYTHON_SCALARS:
            return self.impl[kind](x, y)
        if kind in _PYTHON_SCALARS:
            return self.impl[other](x, y)
        return self.evaluate((x, y), {})


#: Instructions that name a variable by its number, but not the one that only stores into it. Some name two, by four
#: bits each.
_OF_VARIABLES = (frozenset(dis.haslocal) | frozenset(dis.hasfree)) - {dis.opmap["STORE_FAST"]}
_OF_TWO = frozenset(op for op in _OF_VARIABLES if dis.opname[op].count("FAST") == 2)


def reads(rule: Rule) -> frozenset[int]:
    """Which values a rule reads: the numbers of its arguments, and ``ANS`` for the result.

    A tape keeps only these. They are read off the rule's bytecode: a parameter that no instruction
    loads can't matter. A rule that isn't a plain function, or collects its arguments, reads them all.
    """
    code = getattr(rule, "__code__", None)
    if code is None or code.co_flags & _VARARGS or getattr(rule, "__wrapped__", None) is not None:
        return EVERYTHING
    # `dis.get_instructions` would take four times as long as all that is left of declaring the primitives.
    found: set[int] = set()
    for op, number in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        if op in _OF_VARIABLES:
            found.update((number >> 4, number & 15) if op in _OF_TWO else (number,))
    return frozenset(i + ANS - 1 for i in found if 0 < i < code.co_argcount)  # g is number 0, and ans comes next

"""A user's function as one operation: its containers taken apart, and its rules called with what they expect."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MethodType
from typing import Any

from .backend import Backend, backend_of, owner_of_type
from .core.batch import Batch
from .core.box import Box, Spec, sample, spec_of
from .core.cotangent import Results
from .core.filled import zeros_like
from .core.level import innermost_level
from .core.primitive import ANS, EVERYTHING, Primitive, Pull, Rule, reads, unstated
from .core.pytree import is_leaf, leaves, tree_map
from .errors import MissingRuleError, RuleError, UnsupportedError
from .fused.pending import settle
from .ops.declare import astype, real
from .transforms.batched_calls import BatchRule, call_batched
from .transforms.gradients import input_spec

#: Stands in a container for what is traced there.
HOLE = type("HOLE", (), {"__repr__": lambda self: "traced"})()


def holds_traced(tree: Any) -> bool:
    """Whether ``tree`` is a traced array or a container of some."""
    return type(tree) is Box or (not is_leaf(tree) and any(type(leaf) is Box for _, leaf in leaves(tree)))


def _fill(tree: Any, values: Iterator[Any]) -> Any:
    return next(values) if tree is HOLE else tree_map(lambda leaf: next(values) if leaf is HOLE else leaf, tree)


class Stage:
    """The derivative with respect to one argument, as it is stated.

    ``stage(ans, args, kwargs)`` is called when the operation is recorded, and returns the function that takes
    the cotangent of the result to that of the argument. What that function closes over is what the tape keeps.
    ``takes_none``: of several results, those that nobody used may be ``None`` in the cotangent instead of zeros.
    ``reads``: the numbers of the arguments that the function may close over.
    """

    __slots__ = ("reads", "stage", "takes_none")

    def __init__(self, stage: Callable[..., Any], takes_none: bool = False, reads: frozenset[int] = EVERYTHING) -> None:
        self.stage = stage
        self.takes_none = takes_none
        self.reads = reads

    @classmethod
    def of_rule(cls, rule: Rule) -> Stage:
        """A rule that gets everything at once: only what it reads is kept."""
        keeps = reads(rule)

        def stage(ans: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[Any], Any]:
            kept_ans = ans if ANS in keeps else None
            kept = [a if i in keeps else None for i, a in enumerate(args)]
            return lambda g: rule(g, kept_ans, *kept, **kwargs)

        return cls(stage, takes_none=True, reads=keeps)


class UserPrimitive:
    """A function that transformations see as one operation.

    Its arguments and results may be arrays, containers of arrays, and anything else, which counts as constant.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = self.__name__ = getattr(function, "__name__", type(function).__name__)
        #: The derivative by argument; ``None`` for an argument that has none.
        self.vjps: dict[int, Stage | None] = {}
        #: Or that of several arguments together: ``f(argnums, ans, args, kwargs)(g)`` is one cotangent for each.
        self.vjp_of_all: Callable[..., Any] | None = None
        #: Whether what it returns is constant as far as derivatives go.
        self.piecewise_constant = False
        #: ``jvp(tangent, ans, *args, **kwargs)`` by argument; ``None`` for one that has no derivative.
        self.jvps: dict[int, Rule | None] = {}
        #: Or that of several together: ``f(argnums, tangents, ans, args, kwargs)``.
        self.jvp_of_all: Callable[..., Any] | None = None
        #: ``batch(axis_size, in_batched, *args, **kwargs)``, as ``defbatch`` has it.
        self.batch: BatchRule | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)  # so that methods can be primitives, too

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for keyword, value in kwargs.items():
            if holds_traced(value):
                raise UnsupportedError(
                    f"{self.name}: {keyword}= is a traced array; arguments that are differentiated must be positional"
                )
        flat: list[Any] = []
        slots: list[Any] = []
        for a in args:
            if is_leaf(a) or not holds_traced(a):
                flat.append(a)
                slots.append(HOLE)
            else:
                flat += [leaf for _, leaf in leaves(a) if type(leaf) is Box]
                slots.append(tree_map(lambda leaf: HOLE if type(leaf) is Box else leaf, a))
        application = self.application(slots, kwargs)
        return application.rebuilt(application.apply(flat))

    def application(self, slots: list[Any], kwargs: dict[str, Any]) -> Application:
        return Application(self, slots, kwargs)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class Application(Primitive):
    """One call of a ``UserPrimitive``, as the operation on arrays that transformations see.

    Containers in which something is traced are taken apart before and put together after.
    """

    def __init__(self, user: UserPrimitive, slots: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(user.name)
        self.user = user
        self.piecewise_constant = user.piecewise_constant
        self.slots = slots
        self.kwargs = kwargs
        #: The number of the argument that each array belongs to, and its place among the leaves of that argument.
        self.places: list[tuple[int, int]] = []
        for argnum, slot in enumerate(slots):
            if slot is HOLE:
                self.places.append((argnum, 0))
            else:
                self.places += [(argnum, i) for i, (_, leaf) in enumerate(leaves(slot)) if leaf is HOLE]
        #: What the result is like; a single array, unless ``evaluate`` says otherwise.
        self.result: Any = HOLE
        self.staged: _Staged | None = None
        if user.jvp_of_all is not None or user.jvps:
            self.jvp = self.push
        self.variadic_vjp = unstated  # the tape's short way for one argument keeps arrays, but we keep closures

    def __call__(self, *args: Any, **params: Any) -> Any:
        self.staged = None  # a batch calls it for one example after the other
        level = innermost_level(args)
        return call_batched(self, level, args, params) if type(level) is Batch else super().__call__(*args, **params)

    @property
    def is_flat(self) -> bool:
        """Whether the arrays are the arguments of the program as they are."""
        return all(slot is HOLE for slot in self.slots)

    def apply(self, flat: list[Any]) -> Any:
        out = self(*flat, **self.kwargs)
        self.staged = None  # by now all transformations have what they need
        return out

    def arguments(self, flat: Sequence[Any]) -> list[Any]:
        """The arguments as the program gave them, from what was taken out of them."""
        # Neither the function nor its rules are to meet an array that isn't quite a plain one.
        return self.in_containers(map(settle, flat))

    def in_containers(self, flat: Iterable[Any]) -> list[Any]:
        values = iter(flat)
        return [_fill(slot, values) for slot in self.slots]

    def rebuilt(self, out: Any) -> Any:
        """The result as the program is to get it."""
        return settle(out) if self.result is HOLE else _fill(self.result, map(settle, out))

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        backend_of([a if owner_of_type(type(a)) is not None else 0 for a in args], self.name)  # they mustn't be mixed
        result = self.user.function(*self.arguments(args), **params)
        if holds_traced(result):
            raise UnsupportedError(
                f"{self.name} uses a traced array that isn't among its arguments, so its derivative would be lost in "
                "silence: pass it as an argument"
            )
        return self.taken_apart(result)

    def taken_apart(self, result: Any) -> Any:
        """What the function returned as the operation is to return it: its arrays, if it is a container of some."""
        kind = type(result)
        if kind is Box or owner_of_type(kind) is not None or isinstance(result, (int, float, complex)):
            return result
        moving: list[Any] = []

        def take(leaf: Any) -> Any:
            if input_spec(leaf) is None:
                return leaf
            moving.append(leaf)
            return HOLE

        self.result = tree_map(take, result)
        return tuple(moving)

    # -- reverse mode --
    def pull(self, k: int) -> Pull | None:
        if self.user.vjp_of_all is not None:
            return self._pull
        argnum = self.places[k][0]
        if argnum not in self.user.vjps:
            raise MissingRuleError(
                f"{self.name} has no derivative rule for argument {argnum}, which is being differentiated. State one "
                f"with gpuad.defvjp({self.name}, lambda g, ans, *args: ...), or None there if it has no derivative; "
                "or cut the argument off with gpuad.stop_gradient(x)"
            )
        return None if self.user.vjps[argnum] is None else self._pull

    def vjp_of_all(self, argnums: Sequence[int], ans: Any, args: Sequence[Any]) -> Callable[[Any], Any]:
        """The derivative with respect to several arguments together, where it is stated so."""
        assert self.user.vjp_of_all is not None
        return self.user.vjp_of_all(tuple(argnums), ans, tuple(args), self.kwargs)  # type: ignore[no-any-return]

    def residuals(
        self, k: int, ans: Any, args: Sequence[Any], values: Sequence[Any], keep: Callable[[Any], Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        level = args[k].level
        if self.staged is None or self.staged.depth != level.depth:
            traced = [i for i, a in enumerate(args) if type(a) is Box and a.level is level]
            self.staged = _Staged(self, traced, ans, self._kept(traced, args, values, keep), level.depth)
        return None, (self.staged,)

    def _kept(
        self, traced: list[int], args: Sequence[Any], values: Sequence[Any], keep: Callable[[Any], Any]
    ) -> list[Any]:
        """``values``, with constants that a rule may read safe from being written into."""
        reads = EVERYTHING
        if self.user.vjp_of_all is None:
            stages = [self.user.vjps.get(self.places[k][0]) for k in traced]
            reads = frozenset().union(*[stage.reads for stage in stages if stage is not None])
        self.slots = [tree_map(keep, slot) if i in reads else slot for i, slot in enumerate(self.slots)]
        return [
            tree_map(keep, v) if v is a and self.places[k][0] in reads else v
            for k, (a, v) in enumerate(zip(args, values, strict=True))
        ]

    def _pull(self, g: Any, ans: Any, packed: tuple[tuple[Any, ...], dict[str, Any], int, Spec]) -> Any:
        args, _, k, spec = packed
        staged = args[0] if args and type(args[0]) is _Staged else _Staged(self, [k], ans, args, -1)
        return checked(staged.cotangent(g, k), spec, self, self.places[k][0])

    # -- forward mode --
    def push(self, tangents: Sequence[Any], ans: Any, *flat: Any, **kwargs: Any) -> Any:
        """The tangent of the result, or one for each of several."""
        args, whole = self.arguments(flat), self.rebuilt(ans)
        moving: dict[int, Any] = {}
        for t, (argnum, _) in zip(tangents, self.places, strict=True):
            if t is not None:
                moving[argnum] = None
        for argnum in moving:
            mine = [(t, x) for t, x, place in zip(tangents, flat, self.places, strict=True) if place[0] == argnum]
            moving[argnum] = _container_of(
                self.slots[argnum], [zeros_like(x) if t is None else settle(t) for t, x in mine]
            )
        of_all = self.user.jvp_of_all
        if of_all is not None:
            return self._pushed(of_all(tuple(moving), tuple(moving.values()), whole, args, kwargs), ans, min(moving))
        total = None
        for argnum, t in moving.items():
            if argnum not in self.user.jvps:
                raise no_jvp(self.name, argnum)
            rule = self.user.jvps[argnum]
            if rule is not None:
                moved = self._pushed(rule(t, whole, *args, **kwargs), ans, argnum)
                total = moved if total is None else plus(total, moved)
        return total if total is not None or self.result is HOLE else [None] * len(ans)

    def _pushed(self, moved: Any, ans: Any, argnum: int) -> Any:
        """What a rule returned, one tangent for each array of the result."""
        if self.result is HOLE:
            return moved if moved is None else checked(moved, spec_of(ans), self, argnum, "JVP", "result")
        parts = [] if moved is None else _parts_of(moved, self.result)
        if len(parts) != len(ans):
            raise RuleError(f"{self.name}: the JVP of argument {argnum} must return the result's containers")
        return [
            t if t is None else checked(t, spec_of(a), self, argnum, "JVP", "result")
            for t, a in zip(parts, ans, strict=True)
        ]


class _Staged:
    """The derivative of one call for one transformation, with the values that it keeps."""

    __slots__ = ("application", "cached", "depth", "first", "like", "vjps")

    def __init__(
        self, application: Application, traced: Sequence[int], ans: Any, values: Sequence[Any], depth: int
    ) -> None:
        user = application.user
        argnums = list(dict.fromkeys(application.places[k][0] for k in traced))
        args, whole = application.arguments(values), application.rebuilt(ans)
        self.application = application
        self.depth = depth
        self.first = traced[0]
        self.cached: tuple[Any, dict[int, Any]] | None = None
        #: Specs and backends of the parts of the result, for zeros.
        parts = [] if application.result is HOLE else ans
        self.like: list[tuple[Spec, Backend]] = [(spec_of(a), backend_of((sample(a),))) for a in parts]
        self.vjps: list[tuple[Sequence[int], bool, Callable[[Any], Any]]] = []
        if user.vjp_of_all is not None:
            self.vjps.append((argnums, False, application.vjp_of_all(argnums, whole, args)))
            return
        for argnum in argnums:
            stage = user.vjps.get(argnum)
            if stage is not None:
                vjp = stage.stage(whole, args, application.kwargs)
                self.vjps.append(((argnum,), stage.takes_none, lambda g, vjp=vjp: (vjp(g),)))  # type: ignore[misc]

    def cotangent(self, g: Any, k: int) -> Any:
        """That of the k-th array among the arguments. All are computed when the sweep asks for the first."""
        cached = self.cached
        if cached is None or cached[0] is not g:
            cached = self.cached = g, self._all(g)
        if k == self.first:  # the sweep goes backwards, so this is the last one
            self.cached = None
        argnum, place = self.application.places[k]
        h, slot = cached[1][argnum], self.application.slots[argnum]
        if slot is HOLE:
            return h
        found = [leaf for _, leaf in leaves(h)]
        if len(found) != sum(1 for _ in leaves(slot)):
            raise RuleError(
                f"{self.application.name}: the VJP of argument {argnum} must return cotangents in its containers"
            )
        return found[place]

    def _all(self, g: Any) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for argnums, takes_none, vjp in self.vjps:
            found |= zip(argnums, vjp(self._in_containers(g, takes_none)), strict=True)
        return found

    def _in_containers(self, g: Any, takes_none: bool) -> Any:
        result = self.application.result
        if result is HOLE:
            return settle(g)
        parts = [
            settle(part) if part is not None else None if takes_none else backend.xp.zeros(spec.shape, spec.dtype)
            for part, (spec, backend) in zip(g, self.like, strict=True)
        ]
        if type(g) is Results and len(self.vjps) == 1:
            g.clear()  # nobody else asks: a rule that lets go of what it is given frees it
        return _container_of(result, parts)


def _container_of(slot: Any, parts: Sequence[Any]) -> Any:
    """Containers like ``slot`` with ``parts`` at the holes, zeros for other arrays, and nothing for anything else."""
    values = iter(parts)

    def put(leaf: Any) -> Any:
        return next(values) if leaf is HOLE else None if input_spec(leaf) is None else zeros_like(leaf)

    return next(values) if slot is HOLE else tree_map(put, slot)


def _parts_of(tree: Any, slot: Any) -> list[Any]:
    """What ``tree`` has where ``slot`` has holes."""
    found = dict(leaves(tree))
    return [found[path] for path, leaf in leaves(slot) if leaf is HOLE and path in found]


def plus(x: Any, y: Any) -> Any:
    """The sum of two tangents, each of which may be ``None`` for zero, or one per result."""
    if x is None or y is None:
        return y if x is None else x
    return tuple(map(plus, x, y)) if type(x) in (tuple, list) else x + y


def no_jvp(name: str, k: int) -> MissingRuleError:
    return MissingRuleError(
        f"{name} has no rule of forward mode for argument {k}, while it has for others. State one with "
        f"gpuad.defjvp({name}, lambda t, ans, *args: ..., argnums=({k},)), or None there if it has no derivative"
    )


def checked(h: Any, spec: Spec, prim: Primitive, k: int, what: str = "VJP", whose: str = "argument") -> Any:
    """What a user's rule returned, if it can be the cotangent of its argument (the tangent of the result)."""
    try:
        got = spec_of(h)
    except TypeError:
        raise RuleError(f"{prim.name}: the {what} of argument {k} returned {type(h).__name__}, not an array") from None
    if got.shape != spec.shape:
        raise RuleError(
            f"{prim.name}: the {what} of argument {k} returned shape {got.shape}, but the {whose} has {spec.shape}"
        )
    if got.dtype == spec.dtype:
        return h
    if got.dtype.kind == "c" and spec.dtype.kind != "c":
        h = real(h)
    return astype(h, dtype=spec.dtype) if spec_of(h).dtype != spec.dtype else h

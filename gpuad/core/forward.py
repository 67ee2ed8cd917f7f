"""Forward mode: beside every value goes its tangent, how the value moves as the inputs move along given directions.

The JVP of a primitive comes from the one statement of its derivative, whichever of these applies first:

- ``prim.jvp``, where one is stated;
- an operation linear in an argument does to its tangent what it does to the argument;
- where an operation works element by element, its Jacobian is diagonal, so its own transpose: what the VJP
  does to a cotangent is what the JVP does to a tangent;
- else the VJP, which is linear in the cotangent, is recorded on a tape and transposed by a sweep. A pullback
  takes u to v with Re Σ v·t = Re Σ u·(J t), for complex numbers too, so its own pullback takes t to J t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..fused.pending import lift, settle
from .box import Box, make_box, spec_of, twin
from .cotangent import Lazy, add
from .filled import zeros_like
from .level import Level
from .memory import exclusive
from .primitive import Primitive, passes, unstated
from .sweep import sweep
from .tape import Tape, leaked, without_derivative
from .untraced import UNTRACED, written

#: One per argument of a call; ``None`` for an argument that stays as it is.
Tangents = Sequence[Any]


class Forward(Level):
    """Evaluates primitives one level further out, and moves the tangents along."""

    __slots__ = ("closed",)
    #: ``fit(t, spec)``: the tangent of an argument as that of a result to which the argument is broadcast and
    #: promoted. ``ops.declare`` gives it.
    fit: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def watch(self, value: Any, tangent: Any) -> Box:
        """A traced stand-in for ``value``, which moves along ``tangent``."""
        return make_box(lift(value), self, lift(tangent), spec_of(value))

    def close(self) -> None:
        """From here on, an operation on a box of this level is an error."""
        self.closed = True

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            leaked()
        values = self.opened(args)
        ans = prim(*values, **params)
        if prim.piecewise_constant:
            return settle(ans)
        tangents = [tangent_of(a) if type(a) is Box and a.level is self else None for a in args]
        if type(ans) is tuple or type(ans) is list:
            moved = push_several(prim, tangents, ans, values, params)
            return tuple(map(self.boxed, ans, moved))
        spec = spec_of(ans)
        if not spec.differentiable:
            return without_derivative(ans, spec)
        return self.boxed(ans, push(prim, tangents, ans, values, params))

    def boxed(self, ans: Any, tangent: Any) -> Any:
        return settle(ans) if tangent is None else self.watch(ans, tangent)

    def part(self, prim: Primitive, x: Box, key: Any) -> Any:
        if self.closed:
            leaked()
        return self.watch(x.value[key], tangent_of(x)[key])

    def write(self, x: Box, v: Any, place: Any) -> None:
        if self.closed:
            leaked()
        ours, theirs = x.level is self, type(v) is Box and v.level is self
        content = exclusive(x) if ours or x.level is UNTRACED else twin(x)
        moved = tangent_of(v) if theirs else 0.0
        if not ours:
            x.index = zeros_like(content)
        elif type(x.index) is _Waiting:
            tangent_of(x)
        tangent = exclusive(x, "index")
        content = written(content, self.opened((v,))[0], place)
        x.index = written(tangent, moved, place)
        x.value, x.level = content, self


class _Waiting:
    """The tangent of one among several results, which isn't computed unless it is used.

    It may be costly, or not exist where that of another result does: of singular vectors, say.
    """

    __slots__ = ("compute", "value")

    def __init__(self, compute: Callable[[], Any], value: Any) -> None:
        self.compute = compute
        self.value = value


def tangent_of(x: Box) -> Any:
    t = x.index
    if type(t) is _Waiting:
        t = t.compute()
        x.index = t = zeros_like(x.value) if t is None else t
    return t


def push(prim: Primitive, tangents: Tangents, ans: Any, values: Sequence[Any], params: dict[str, Any]) -> Any:
    """The tangent of a result; ``None`` if it stays as it is."""
    if prim.jvp is not None:
        return prim.jvp(tangents, ans, *values, **params)
    if prim.linear:
        return _linear(prim, tangents, values, params)
    if prim.elementwise:
        return _elementwise(prim, tangents, ans, values, params)
    return _transposed(prim, tangents, ans, None, values, params)


def push_several(
    prim: Primitive, tangents: Tangents, ans: Sequence[Any], values: Sequence[Any], params: dict[str, Any]
) -> Sequence[Any]:
    """The tangent of each of several results."""
    if prim.jvp is not None:
        return prim.jvp(tangents, ans, *values, **params)  # type: ignore[no-any-return]
    return [
        _Waiting(lambda k=k: _transposed(prim, tangents, ans, k, values, params), a)  # type: ignore[misc]
        for k, a in enumerate(ans)
    ]


def _linear(prim: Primitive, tangents: Tangents, values: Sequence[Any], params: dict[str, Any]) -> Any:
    if prim.variadic_vjp is not None:  # in all arguments together: others stay, and count for nothing
        return prim(*(_zero(v) if t is None else t for t, v in zip(tangents, values, strict=True)), **params)
    total = None
    for k, t in enumerate(tangents):
        if t is not None and _rule(prim, k) is not None:
            moved = prim(*values[:k], t, *values[k + 1 :], **params)
            total = moved if total is None else total + moved
    return total


def _zero(x: Any) -> Any:
    return type(x)(0) if isinstance(x, (bool, int, float, complex)) else zeros_like(x)


def _elementwise(prim: Primitive, tangents: Tangents, ans: Any, values: Sequence[Any], params: dict[str, Any]) -> Any:
    total = None
    for k, t in enumerate(tangents):
        if t is not None:
            rule = _rule(prim, k)
            if rule is not None:
                moved = t if rule is passes else rule(t, ans, *values, **params)
                total = moved if total is None else total + moved
    return total if total is None else Forward.fit(total, spec_of(ans))


def _rule(prim: Primitive, k: int) -> Any:
    """The VJP of argument ``k``; an error if it was never stated."""
    if k >= len(prim.vjps) or prim.vjps[k] is unstated:
        prim.pull(k)  # says so
    return prim.vjps[k]


def _transposed(
    prim: Primitive, tangents: Tangents, ans: Any, part: int | None, values: Sequence[Any], params: dict[str, Any]
) -> Any:
    """The tangent of ``ans``, or of ``ans[part]``."""
    tape = Tape()
    result = ans if part is None else ans[part]
    g = tape.watch(zeros_like(result))
    cotangent = g if part is None else tuple(g if k == part else None for k in range(len(ans)))
    seeds: dict[int, Any] = {}
    for k, t in enumerate(tangents):
        pull = prim.pull(k) if t is not None else None
        if pull is not None:
            h = pull(cotangent, ans, (tuple(values), params, k, spec_of(values[k])))
            if isinstance(h, Lazy):
                h = h.dense()
            if type(h) is Box and h.level is tape:
                seeds[h.index] = add(seeds[h.index], t, False)[0] if h.index in seeds else t
    (found,) = sweep(tape, seeds, [g.index], last=True)
    return found

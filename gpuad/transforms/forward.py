"""Forward mode: jvp, linearize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.box import Box, spec_of
from ..core.constants import Arguments
from ..core.filled import zeros_like
from ..core.forward import Forward, tangent_of
from ..core.pytree import leaves, tree_map
from ..core.untraced import settled
from ..fused.pending import settle
from .gradients import (
    Run,
    Trace,
    check_function,
    describe,
    followed,
    input_spec,
    matching,
    of_dtype,
    own,
    owner,
    refuse_input,
    vjp,
)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of ``f(*primals)``, and its derivative along ``tangents``: the Jacobian times a vector.

    ``primals`` are the arguments, arrays or containers of arrays; ``tangents`` has for each a direction in the
    same containers, shapes and dtypes. Returns ``(value, tangent)``, the tangent like the value; with
    ``has_aux`` ``(value, tangent, aux)`` for an ``f`` that returns ``(value, aux)``.

    One call costs about two to three of ``f``, whatever the number of inputs, and no memory beyond it.

    >>> import numpy as np
    >>> jvp(lambda x, y: x * y, (2.0, np.array([3., 4.])), (1.0, np.array([0., 1.])))
    (array([6., 8.]), array([3., 6.]))
    """
    check_function(f, "jvp", curried=False)
    primals, tangents = _sequence(primals, "primals"), _sequence(tangents, "tangents")
    if len(primals) != len(tangents):
        raise TypeError(f"jvp: {len(primals)} primals, but {len(tangents)} tangents; there must be one for each")
    level, raw = Forward(), Arguments("jvp")
    inputs = [_watched(level, raw, x, t, i) for i, (x, t) in enumerate(zip(primals, tangents, strict=True))]
    with Run(level):
        with raw:
            result = f(*inputs)
        if has_aux:
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TypeError(
                    f"jvp: with has_aux=True the function must return (output, aux), got {describe(result)}"
                )
            result, aux = result
        result = tree_map(settled, result)
        taken = {id(owner(x)) for tree in (primals, tangents) for _, x in leaves(tree)}
        moved = tree_map(lambda x: _tangent(level, x, taken), result)
        value = tree_map(lambda x: _value(level, x), result)
        aux = tree_map(lambda x: _value(level, settled(x)), aux) if has_aux else None
    return (value, moved, aux) if has_aux else (value, moved)


def _sequence(x: Any, what: str) -> Sequence[Any]:
    if not isinstance(x, (tuple, list)):
        raise TypeError(
            f"jvp: {what} must be a tuple with one for each argument, got {describe(x)}; write (x,) for a single one"
        )
    return x


def _watched(level: Forward, raw: Arguments, primal: Any, tangent: Any, i: int) -> Any:
    """The argument number ``i`` as the function is to see it."""
    along = iter(directions("jvp", tangent, f"the tangent of argument {i}", primal, f"argument {i}"))

    def watched(leaf: Any) -> Any:
        return level.watch(raw.enter(as_it_is(leaf), i), followed(raw.enter(as_it_is(next(along)), i), leaf))

    return tree_map(watched, primal)


def directions(name: str, tangent: Any, what: str, primal: Any, whose: str) -> list[Any]:
    """The leaves of a tangent, checked against the argument that it belongs to, which must have derivatives."""
    for path, leaf in leaves(primal):
        if input_spec(leaf) is None:
            refuse_input(leaf, f"{whose}{path}", name)
    return matching(name, tangent, what, primal, whose)


def as_it_is(x: Any) -> Any:
    """``x`` as it is now, whatever is written into it while the function runs."""
    return x.level.constant(x) if type(x) is Box else x


def _value(level: Forward, x: Any) -> Any:
    return settle(x.value if type(x) is Box and x.level is level else x)


def _tangent(level: Forward, x: Any, taken: set[int]) -> Any:
    if type(x) is Box and x.level is level:
        tangent = settle(tangent_of(x))
        return own(of_dtype(tangent, x) if x.spec.dtype.kind == "V" else tangent, taken)
    try:
        spec_of(x)
    except TypeError:
        raise TypeError(f"jvp: the function returned {describe(x)}, which is not an array or a number") from None
    return zeros_like(x)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of ``f(*primals)``, and the linear function that approximates ``f`` there.

    Returns ``(value, f_jvp)``: ``f_jvp(*tangents)`` is the Jacobian times a vector, as by ``jvp``, but without
    calling ``f`` again. It may be called any number of times, and keeps what the derivative needs in memory.

    >>> import numpy as np
    >>> value, f_jvp = linearize(np.sin, np.array([0., np.pi]))
    >>> f_jvp(np.array([1., 1.]))
    array([ 1., -1.])
    """
    check_function(f, "linearize", curried=False)
    value, pullback = vjp(f, *primals)
    # The pullback is linear, and its transpose is what we want: so its own pullback, wherever that is taken.
    trace = Trace(pullback, [tree_map(zeros_like, value)], [0], False, "linearize")

    def f_jvp(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise TypeError(f"linearize: {len(primals)} arguments, but {len(tangents)} tangents")
        seeds = [
            t
            for i, (x, tangent) in enumerate(zip(primals, tangents, strict=True))
            for t in matching("linearize", tangent, f"the tangent of argument {i}", x, f"argument {i}")
        ]
        return trace.pull(seeds, last=False)[0]

    return value, f_jvp

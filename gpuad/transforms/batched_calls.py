"""Users' own primitives under vmap: by the rule that is stated for one, or example by example.

Results may be in containers, beside whole numbers and anything else. What has no derivative is a matter of the
examples, too, so a batch takes a call as a whole, where the other transformations see its floating-point arrays alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..backend import backend_of, owner_of_type
from ..core.batch import Batch, looped, stack_alike, warn_of_loop
from ..core.box import Box, sample, spec_of
from ..core.pytree import leaves, tree_map
from ..core.tape import leaked
from ..errors import RuleError, UnsupportedError

_MAPPED = object()
_NUMBERS = (bool, int, float, complex)


def call_batched(call: Any, level: Batch, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """What an ``Application`` returns under ``vmap``."""
    if level.closed:
        leaked()
    values = level.opened(args)
    mapped = [type(a) is Box and a.level is level for a in args]
    if call.user.batch is not None:
        whole, flags = _by_rule(call, level.size, mapped, values, params)
    else:
        if call.batch is not looped:
            warn_of_loop(call.name)
        whole, flags = _one_by_one(call, level.size, mapped, values, params)
    flag = iter(flags)
    return call.taken_apart(tree_map(lambda leaf: level.watch(leaf) if next(flag) else leaf, whole))


def _by_rule(call: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: Any) -> tuple[Any, list[bool]]:
    """The result by the rule, and which of its leaves are batched."""
    name = call.name
    places = call.in_containers([_MAPPED if m else 0 for m in mapped])
    in_batched = [tree_map(lambda leaf: leaf is _MAPPED, tree) for tree in places]
    given = call.user.batch(n, in_batched, *call.arguments(values), **params)
    if not (isinstance(given, tuple) and len(given) == 2):
        raise RuleError(
            f"{name}: the batching rule must return (result, whether it is batched), got {type(given).__name__}"
        )
    whole, batched = given
    found = [leaf for _, leaf in leaves(whole)]
    said = [leaf for _, leaf in leaves(batched)]
    flags = said * len(found) if isinstance(batched, bool) else said
    if len(flags) != len(found) or not all(isinstance(flag, bool) for flag in flags):
        raise RuleError(
            f"{name}: the batching rule must say True or False for the result, or for each of its {len(found)} arrays "
            f"in their containers; it said {batched!r}"
        )
    for leaf, flag in zip(found, flags, strict=True):
        shape = spec_of(leaf).shape if flag else (n,)
        if shape[:1] != (n,):
            raise RuleError(
                f"{name}: the batching rule returned an array of shape {shape} as batched, whose first axis must be "
                f"that of the {n} examples"
            )
    return whole, flags


def _one_by_one(call: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: Any) -> tuple[Any, Any]:
    """The results of every example, stacked, and which leaves are."""
    if not n:
        raise UnsupportedError(f"vmap: {call.name} can't be evaluated on a batch of no examples")
    examples = [
        call.rebuilt(call(*(v[i] if m else v for v, m in zip(values, mapped, strict=True)), **params)) for i in range(n)
    ]
    columns = zip(*(list(leaves(example)) for example in examples), strict=True)
    backend = backend_of([sample(v) for v, m in zip(values, mapped, strict=True) if m])
    together = [_together(call.name, [leaf for _, leaf in column], backend) for column in columns]
    rest: Iterator[Any] = iter([leaf for leaf, _ in together])
    return tree_map(lambda _: next(rest), examples[0]), [flag for _, flag in together]


def _together(name: str, column: list[Any], backend: Any) -> tuple[Any, bool]:
    """One leaf of the results of all examples."""
    first = column[0]
    if all(type(leaf) is Box or owner_of_type(type(leaf)) is not None for leaf in column):
        return stack_alike(name, column), True
    if all(leaf is first or (type(leaf) is type(first) and leaf == first) for leaf in column[1:]):
        return first, False
    if all(isinstance(leaf, _NUMBERS) for leaf in column):
        return backend.asarray(column), True
    raise UnsupportedError(
        f"vmap: {name} returns what is no array, and differs from example to example: {column[0]!r}, {column[1]!r}"
    )


#: A batching rule as users state it.
BatchRule = Callable[..., tuple[Any, Any]]

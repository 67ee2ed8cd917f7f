"""vmap: a function of one example as one of many."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from ..backend import owner_of_type
from ..core.batch import Batch, front
from ..core.box import Box, spec_of
from ..core.pytree import children, leaves, parts_of, tree_map
from ..core.untraced import settled, untraced
from ..fused.pending import settle
from .gradients import Run, check_function, describe, own, owner

_NUMBERS = (bool, int, float, complex)


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that does what ``f`` does for each of many examples, all at once.

    ``in_axes`` says along which axis of the positional arguments the examples lie: a number for all arguments, or
    a tuple or list with one entry for each; ``None`` for an argument that is the same for all. An entry for a
    container may be a container like it, or like the upper part of it. Keyword arguments have their examples along
    axis 0. ``out_axes`` says likewise where they are to lie in the results; ``None`` for a result that is the same
    for all.

    In ``f`` arrays have the shape of one example. A branch can't be taken by their values, which differ: write
    ``numpy.where`` for it. Random numbers that ``f`` draws are the same for all examples.

    >>> import numpy as np
    >>> from gpuad import grad
    >>> vmap(np.dot)(np.array([[1., 2.], [3., 4.]]), np.array([[1., 1.], [0., 1.]]))
    array([3., 4.])
    >>> per_example = vmap(grad(lambda w, x: np.sum((x * w) ** 2)), in_axes=(None, 0))
    >>> per_example(np.array([1., 1.]), np.array([[1., 2.], [3., 4.]]))
    array([[ 2.,  8.],
           [18., 32.]])
    """
    check_function(f, "vmap")

    @functools.wraps(f)
    def of_batch(*args: Any, **kwargs: Any) -> Any:
        axes = _axes_of_arguments(in_axes, args)
        found = [
            *((f"argument {i}", a, axis) for i, (a, axis) in enumerate(zip(args, axes, strict=True))),
            *((f"argument {name!r}", a, 0) for name, a in kwargs.items()),
        ]
        given = [
            (_Place(where, tree, k), leaf, axis)
            for where, tree, prefix in found
            for k, (leaf, axis) in enumerate(zip(_flat(tree), _spread(prefix, tree, "in_axes", where), strict=True))
        ]
        places = [_axis(where, leaf, axis) for where, leaf, axis in given]
        level = Batch(_common_size(given, places))
        boxes = iter([_watched(level, leaf, k) for (_, leaf, _), k in zip(given, places, strict=True)])
        inputs = [tree_map(lambda _: next(boxes), tree) for _, tree, _ in found]
        named = dict(zip(kwargs, inputs[len(args) :], strict=True))
        with Run(level):
            result = tree_map(settled, f(*inputs[: len(args)], **named))
            taken = {id(owner(leaf)) for _, leaf, _ in given}
            prefixes = enumerate(_spread(out_axes, result, "out_axes", "the result"))

            def result_of(x: Any) -> Any:
                k, axis = next(prefixes)
                return _result(level, x, axis, _Place("output", result, k), taken)

            return tree_map(result_of, result)

    return of_batch


def _axes_of_arguments(in_axes: Any, args: tuple[Any, ...]) -> list[Any]:
    """The entry of ``in_axes`` for each positional argument."""
    if _is_axis(in_axes):
        return [in_axes] * len(args)
    if not isinstance(in_axes, (tuple, list)):
        raise TypeError(f"vmap: in_axes must be a number, None, or a tuple with one entry for each, got {in_axes!r}")
    if len(in_axes) != len(args):
        raise ValueError(f"vmap: in_axes has {len(in_axes)} entries, but there are {len(args)} positional arguments")
    return list(in_axes)


def _is_axis(x: Any) -> bool:
    return x is None or hasattr(x, "__index__")


class _Place(NamedTuple):
    """A leaf of a container by its number: where it is, for who wants to say so."""

    where: str
    tree: Any
    number: int

    def __str__(self) -> str:
        return self.where + [path for path, _ in leaves(self.tree)][self.number]


def _flat(tree: Any) -> list[Any]:
    parts = parts_of(tree)
    return [tree] if parts is None else [leaf for part in parts for leaf in _flat(part)]


def _spread(prefix: Any, tree: Any, name: str, where: str) -> list[int | None]:
    """The axis for every leaf of ``tree``, from containers like the upper part of it."""
    if _is_axis(prefix):
        return [None if prefix is None else operator.index(prefix)] * len(_flat(tree))
    mine, theirs = children(prefix), children(tree)
    if mine is None:
        raise TypeError(f"vmap: {name} holds numbers, None and containers of them, got {describe(prefix)} for {where}")
    if theirs is None or len(mine) != len(theirs) or (isinstance(prefix, dict) and set(prefix) != set(tree)):
        raise ValueError(
            f"vmap: {name} has {prefix!r} for {where}, which is {'an array' if theirs is None else tree!r}"
        )
    keys = dict(mine)
    found: list[int | None] = []
    for k, (step, part) in enumerate(theirs):
        found += _spread(keys[step] if isinstance(prefix, dict) else mine[k][1], part, name, where + step)
    return found


def _axis(where: _Place, leaf: Any, axis: int | None) -> int | None:
    """The axis counted from the front; an error if there is none of that number."""
    if axis is None:
        return None
    if type(leaf) is not Box and owner_of_type(type(leaf)) is None and not isinstance(leaf, _NUMBERS):
        raise TypeError(
            f"vmap: {where} is {describe(leaf)}, not an array. If it is the same for all examples, say so with None "
            "in in_axes"
        )
    ndim = len(spec_of(leaf).shape)
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"vmap: {where} has shape {spec_of(leaf).shape}, and so no axis {axis} along which examples lie. If it is "
            "the same for all of them, say so with None in in_axes"
        )
    return axis % ndim


def _common_size(given: list[Any], places: list[int | None]) -> int:
    sizes = [
        (where, k, spec_of(leaf).shape[k]) for (where, leaf, _), k in zip(given, places, strict=True) if k is not None
    ]
    if not sizes:
        raise ValueError("vmap: no argument has an axis of examples; at least one entry of in_axes must be a number")
    if len({n for _, _, n in sizes}) > 1:
        listed = dict.fromkeys(f"{where} has {n} along axis {k}" for where, k, n in sizes)
        raise ValueError(f"vmap: the numbers of examples differ: {', '.join(listed)}")
    return sizes[0][2]


def _watched(level: Batch, leaf: Any, axis: int | None) -> Any:
    if axis is None:
        # numpy's own arrays can't be indexed with what differs from example to example
        return untraced(leaf) if owner_of_type(type(leaf)) is not None else leaf
    return level.watch(front(leaf.level.constant(leaf) if type(leaf) is Box else leaf, axis))


def _result(level: Batch, x: Any, axis: int | None, where: _Place, taken: set[int]) -> Any:
    """A result as the caller gets it, with its examples along this axis."""
    ours = type(x) is Box and x.level is level
    if not ours and type(x) is not Box and owner_of_type(type(x)) is None and not isinstance(x, _NUMBERS):
        raise TypeError(f"vmap: the function returned {describe(x)} at {where}, which is not an array or a number")
    if axis is None:
        if ours:
            raise ValueError(f"vmap: out_axes is None for {where}, but it differs from example to example")
        return x
    value = settle(x.value) if ours else Batch.broadcast(x, shape=(level.size, *spec_of(x).shape))
    ndim = len(spec_of(value).shape)
    if not -ndim <= axis < ndim:
        raise ValueError(f"vmap: out_axes is {axis} for {where}, which has {ndim} axes with that of the examples")
    axis %= ndim
    if axis:
        value = value.transpose((*range(1, axis + 1), 0, *range(axis + 1, ndim)))
    return own(value, taken)

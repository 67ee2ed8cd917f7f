"""Containers of arrays as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..core.box import spec_of
from ..core.pytree import children, rebuild
from ..numpy.frontend import functions


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All numbers in ``value`` as one vector, and the function that makes such a value of such a vector.

    ``value`` is an array, a number, or a container of them; the entries of a dict are taken in the order of its
    sorted keys. Both ways are differentiable.
    """
    parts = [functions["ravel"](leaf) for leaf in _leaves(value)]
    flat = functions["concatenate"](parts) if parts else functions["array"]([])

    def unflatten(vector: Any) -> Any:
        return _filled(value, _pieces(value, vector))

    return flat, unflatten


def _children(tree: Any) -> list[Any] | None:
    if isinstance(tree, dict):
        return [tree[key] for key in sorted(tree)]
    parts = children(tree)
    return None if parts is None else [part for _, part in parts]


def _leaves(tree: Any) -> Iterator[Any]:
    parts = _children(tree)
    if parts is None:
        yield tree
    else:
        for part in parts:
            yield from _leaves(part)


def _pieces(tree: Any, vector: Any) -> Iterator[Any]:
    start = 0
    for leaf in _leaves(tree):
        spec = spec_of(leaf)
        piece = functions["reshape"](vector[start : start + spec.size], spec.shape)
        start += spec.size
        if spec.differentiable and spec_of(piece).dtype != spec.dtype:
            piece = functions["real"](piece) if spec.dtype.kind != "c" else piece
            piece = piece.astype(spec.dtype)
        yield piece if spec.shape else piece[()]


def _filled(tree: Any, pieces: Iterator[Any]) -> Any:
    parts = _children(tree)
    if parts is None:
        return next(pieces)
    new = [_filled(part, pieces) for part in parts]
    if isinstance(tree, dict):
        by_key = dict(zip(sorted(tree), new, strict=True))
        new = [by_key[key] for key in tree]
    return rebuild(tree, new)


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """``func`` as a function of vectors, the way back to its argument's containers, and ``example`` as a vector."""
    flat_example, unflatten = flatten(example)

    def flat_func(x: Any, *args: Any) -> Any:
        return flatten(func(unflatten(x), *args))[0]

    return flat_func, unflatten, flat_example

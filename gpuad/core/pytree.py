"""Containers of arrays: dict, list, tuple, namedtuple, dataclass, ``None``, in any nesting.

Some 60 lines of our own rather than ``optree``: NumPy stays the only dependency, the import stays light,
dicts keep their order, dataclasses need no registration, and a wrong leaf is reported with its path.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


def children(tree: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container with how each is reached (``"['w']"``, ``"[0]"``, ``".bias"``); ``None`` for a leaf."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [(f"[{key!r}]", value) for key, value in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{name}", value) for name, value in zip(tree._fields, tree, strict=True)]
    if isinstance(tree, (list, tuple)):
        return [(f"[{i}]", value) for i, value in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(f".{f.name}", getattr(tree, f.name)) for f in dataclasses.fields(tree)]
    return None


def rebuild(tree: Any, parts: list[Any]) -> Any:
    """A container like ``tree``, with other parts."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        new = copy.copy(tree)
        new.update(zip(tree, parts, strict=True))
        return new
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*parts)
    if isinstance(tree, (list, tuple)):
        return type(tree)(parts)
    new = copy.copy(tree)
    for field, part in zip(dataclasses.fields(tree), parts, strict=True):
        object.__setattr__(new, field.name, part)  # frozen ones as well
    return new


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path."""
    parts = children(tree)
    if parts is None:
        yield path, tree
    else:
        for step, part in parts:
            yield from leaves(part, path + step)


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    """The same containers with ``f(leaf)`` for every leaf, called in the order of ``leaves``."""
    parts = children(tree)
    if parts is None:
        return f(tree)
    return rebuild(tree, [tree_map(f, part) for _, part in parts])

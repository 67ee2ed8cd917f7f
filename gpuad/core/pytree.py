"""Containers of arrays: dict, list, tuple, namedtuple, dataclass, ``None``, in any nesting.

Some 60 lines of our own rather than ``optree``: NumPy stays the only dependency, the import stays light,
dicts keep their order, dataclasses need no registration, and a wrong leaf is reported with its path.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def children(tree: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container with how each is reached (``"['w']"``, ``"[0]"``, ``".bias"``); ``None`` for a leaf."""
    kind = _kind_of_type(type(tree))
    if kind is _LEAF:
        return None
    if kind is _DICT:
        return [(f"[{key!r}]", value) for key, value in tree.items()]
    if kind is _SEQUENCE:
        return [(f"[{i}]", value) for i, value in enumerate(tree)]
    if kind is _REGISTERED:
        parts = _registered[type(tree)][0](tree)
        return [(f"[{i}]" if len(parts) > 1 else "", part) for i, part in enumerate(parts)]
    return [(f".{name}", getattr(tree, name)) for name in _field_names(tree)]


def parts_of(tree: Any) -> Iterable[Any] | None:
    """``children`` without the ways."""
    kind = _kind_of_type(type(tree))
    if kind is _LEAF:
        return None
    if kind is _DICT:
        return tree.values()  # type: ignore[no-any-return]
    if kind is _SEQUENCE or kind is _NAMEDTUPLE:
        return tree  # type: ignore[no-any-return]
    if kind is _REGISTERED:
        return _registered[type(tree)][0](tree)
    return [getattr(tree, name) for name in _field_names(tree)]


_LEAF, _DICT, _SEQUENCE, _NAMEDTUPLE, _DATACLASS, _NONE, _REGISTERED = range(7)

Parts = Callable[[Any], list[Any]]
Rebuild = Callable[[Any, list[Any]], Any]
_registered: dict[type, tuple[Parts, Rebuild, Callable[[Any], Any]]] = {}


def register(cls: type, parts: Parts, rebuild: Rebuild, rest: Callable[[Any], Any] = lambda tree: None) -> None:
    """Make a type one of containers: ``parts(tree)`` takes one apart, ``rebuild(tree, parts)`` makes another. What
    an object is made of besides its parts is ``rest(tree)``."""
    _registered[cls] = parts, rebuild, rest
    _kinds[cls] = _REGISTERED


def register_container(
    cls: type, flatten: Callable[[Any], tuple[Iterable[Any], Any]], unflatten: Callable[[Any, Sequence[Any]], Any]
) -> None:
    """Make a type of yours a container, as lists, dicts and dataclasses are: of arrays, numbers, other containers.

    ``flatten(x)`` returns ``(parts, aux)``: what is traced, differentiated, batched, and all else that an object is
    made of. ``unflatten(aux, parts)`` makes an object of them; parts may then be anything, such as traced arrays, so
    it had better not check them. It is JAX's ``register_pytree_node``. A subclass is registered on its own.

    >>> import numpy as np, gpuad
    >>> class Poly:
    ...     def __init__(self, coefficients, name):
    ...         self.coefficients, self.name = coefficients, name
    >>> gpuad.register_container(Poly, lambda p: ([p.coefficients], p.name), lambda name, parts: Poly(*parts, name))
    >>> gpuad.grad(lambda p: np.sum(p.coefficients ** 2))(Poly(np.array([1., 2.]), "p")).coefficients
    array([2., 4.])
    """
    if not isinstance(cls, type) or not callable(flatten) or not callable(unflatten):
        raise TypeError(f"register_container: expected a class and two functions, got {(cls, flatten, unflatten)!r}")
    if _find_kind(cls) in (_NONE, _SEQUENCE, _DICT) and cls.__module__ == "builtins":
        raise TypeError(f"register_container: {cls.__name__} is a container already")
    register(
        cls, lambda x: list(flatten(x)[0]), lambda x, parts: unflatten(flatten(x)[1], tuple(parts)),
        lambda x: flatten(x)[1],
    )  # fmt: skip


_kinds: dict[type, int] = {}


def _kind_of_type(cls: type) -> int:
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kinds[cls] = _find_kind(cls)
    return kind


def _find_kind(cls: type) -> int:
    if cls is type(None):
        return _NONE
    if issubclass(cls, dict):
        return _DICT
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _NAMEDTUPLE
    if issubclass(cls, (list, tuple)):
        return _SEQUENCE
    # What dataclasses.is_dataclass looks at; importing that module takes longer than all of gpuad.
    return _DATACLASS if hasattr(cls, "__dataclass_fields__") else _LEAF


def _field_names(tree: Any) -> Sequence[str]:
    if tree is None:
        return ()
    if isinstance(tree, tuple):
        return tree._fields  # type: ignore[attr-defined, no-any-return]
    names = _fields.get(type(tree))
    if names is None:
        import dataclasses  # there is one, so the program has imported it

        names = _fields[type(tree)] = tuple([f.name for f in dataclasses.fields(tree)])
    return names


_fields: dict[type, tuple[str, ...]] = {}


def rest(tree: Any) -> Any:
    """What a container has besides its parts: attributes that aren't fields, or what it was registered with."""
    kind = _kind_of_type(type(tree))
    if kind is _REGISTERED:
        return _registered[type(tree)][2](tree)
    attributes = getattr(tree, "__dict__", None)
    if not attributes or kind is not _DATACLASS:
        return attributes or None
    names = _field_names(tree)
    return {k: v for k, v in attributes.items() if k not in names} if len(names) < len(attributes) else None


def rebuild(tree: Any, parts: list[Any]) -> Any:
    """A container like ``tree``, with other parts."""
    kind = _kind_of_type(type(tree))
    if kind is _NONE:
        return None
    if kind is _SEQUENCE:
        return type(tree)(parts)
    if kind is _NAMEDTUPLE:
        return type(tree)(*parts)
    if kind is _REGISTERED:
        return _registered[type(tree)][1](tree, parts)
    new = copy.copy(tree)
    if kind is _DICT:
        new.update(zip(tree, parts, strict=True))
    else:
        for name, part in zip(_field_names(tree), parts, strict=True):
            object.__setattr__(new, name, part)  # frozen ones as well
    return new


def is_leaf(x: Any) -> bool:
    """Whether ``x`` is no container."""
    return _kind_of_type(type(x)) is _LEAF


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
    parts = parts_of(tree)
    if parts is None:
        return f(tree)
    return rebuild(tree, [f(part) if _kinds.get(type(part)) is _LEAF else tree_map(f, part) for part in parts])

"""What kind of call it is: by containers, shapes, dtypes and whatever else a recording holds for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..core.box import Box
from ..core.constants import fingerprint
from ..core.pytree import children, is_leaf, leaves, parts_of, rebuild, rest
from .contents import content
from .draws import GENERATORS
from .surroundings import Traced

STATIC = frozenset({int, bool, str, bytes, type(None)})
#: Python's numbers that may change without a new recording: at first, and if whole ones do.
INPUTS, INPUTS_TOO = frozenset({float, complex}), frozenset({float, complex, int})


class _Same:
    """An object in a key: equal to itself alone."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.x is self.x

    def __hash__(self) -> int:
        return id(self.x)


def sign(x: Any, key: list[Any], flat: list[Any], inputs: frozenset[type]) -> None:
    """Append to ``key`` what ``x`` is like, and to ``flat`` the arrays and generators in it, and numbers of the types
    ``inputs``."""
    kind = type(x)
    if kind is np.ndarray:
        key += (x.shape, x.dtype, x.strides)
        flat.append(x)
        if x.dtype.hasobject:
            raise Traced
    elif kind is Box:
        raise Traced
    elif kind in inputs:
        key.append(kind)
        flat.append(x)
    elif kind in STATIC:
        key += (kind, x)
    elif kind is tuple or kind is list:
        key += (kind, len(x))
        for part in x:
            sign(part, key, flat, inputs)
    elif kind is dict:
        key += (kind, *x, len(x))
        for part in x.values():
            sign(part, key, flat, inputs)
    elif owner_of_type(kind) is not None:
        key += (kind, x.shape, x.dtype, getattr(x, "strides", None))
        flat.append(x)
    else:
        found = parts_of(x)
        if found is None:
            if isinstance(x, np.ndarray):  # a matrix, or a masked array: what an operation means is theirs to say
                raise Traced
            if kind in GENERATORS:
                key.append(kind)
                flat.append(x)
            else:
                key.append(_Same(x))
            return
        parts = list(found)
        key += (kind, *x, len(parts)) if isinstance(x, dict) else (kind, len(parts))
        more = rest(x)
        if more is not None:
            key.append(frozen(more))
        for part in parts:
            sign(part, key, flat, inputs)


def error_state() -> tuple[Any, ...]:
    """``np.geterr()``, which takes longer than all else there is to find out; while NumPy's object is the same, so is
    this."""
    global _error_state
    now = _numpys.get(None) if _numpys is not None else object()
    known = _error_state
    if known[0] is not now:
        known = _error_state = now, tuple(np.geterr().values())
    return known[1]


_numpys: ContextVar[Any] | None = getattr(sys.modules.get("numpy._core.umath"), "_extobj_contextvar", None)
_error_state: tuple[Any, tuple[Any, ...]] = object(), ()


def without_whole_numbers(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([None if i and key[i - 1] is int and type(k) is int else k for i, k in enumerate(key)])


def frozen(x: Any, other: Callable[[Any], Any] = _Same) -> Any:
    """Something hashable that is equal for what is the same, with types, and signs of zeros; ``other`` makes it of
    what is neither a number, a text, an array nor a container."""
    kind = type(x)
    if kind in STATIC:
        return kind, x
    if kind is float or kind is complex:
        return kind, repr(x)
    if isinstance(x, (tuple, list)):
        return kind, *[frozen(part, other) for part in x]
    if isinstance(x, dict):
        return kind, *[(frozen(k, other), frozen(v, other)) for k, v in x.items()]
    if kind is set or kind is frozenset:
        return kind, frozenset([frozen(part, other) for part in x])
    if isinstance(x, (np.ndarray, np.generic)) and not x.dtype.hasobject:
        return kind, x.shape, x.dtype, fingerprint(x) if isinstance(x, np.ndarray) else x.tobytes()
    return other(x)


def twice(flat: list[Any]) -> tuple[int, ...]:
    """For every input the place of the same array or generator before it, or its own."""
    first: dict[int, int] = {}
    return tuple([k if type(x) in INPUTS_TOO else first.setdefault(id(x), k) for k, x in enumerate(flat)])


def replaced(x: Any, boxes: Iterator[Any], inputs: frozenset[type], made: list[Any]) -> Any:
    """``x`` with boxes for what ``sign`` put into ``flat``. Containers are made anew; ``made`` takes these, with what
    is in them."""
    kind = type(x)
    if kind in inputs or kind in GENERATORS or owner_of_type(kind) is not None:
        return next(boxes)
    if kind in STATIC or is_leaf(x):
        return x
    new = rebuild(x, [replaced(part, boxes, inputs, made) for _, part in children(x) or ()])
    made.append((new, content(new)))
    return new


def named(args: Sequence[Any], kwargs: dict[str, Any], flat: list[Any]) -> Iterator[tuple[str, Any]]:
    """The inputs with the ways that lead to them."""
    paths = [(f"[{i}]{path}", leaf) for i, a in enumerate(args) for path, leaf in leaves(a)]
    paths += [(f" {name}{path}", leaf) for name, a in kwargs.items() for path, leaf in leaves(a)]
    found = iter(paths)
    for x in flat:
        yield next((path, leaf) for path, leaf in found if leaf is x)


def hashable(x: Any, what: str) -> Any:
    try:
        hash(x)
    except TypeError:
        raise TypeError(f"jit: {what} is static, so it must be hashable, got {type(x).__name__}") from None
    return frozen(x, lambda part: (type(part), part))

"""What the arguments of a call are like, without their numbers: as data, in words, and as arguments made of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import backend
from ..backend import owner_of_type
from ..core.box import Spec, spec_of
from ..core.pytree import is_leaf
from ..errors import BackendError
from .data import Invalid, Packer, Unpacker, Unsaveable, text, whole
from .kinds import INPUTS_TOO, STATIC

_PLAIN = STATIC | INPUTS_TOO


class Like(NamedTuple):
    """Stands for an array; one for every array, however often it is among the arguments."""

    spec: Spec
    strides: tuple[int, ...] | None
    type: type


class Other(NamedTuple):
    """Stands for what a file can't hold, in words."""

    what: str


class Outline(NamedTuple):
    """The arguments of a call, with a ``Like`` for every array; the static ones, by place or name, as they are."""

    args: list[Any]
    kwargs: dict[str, Any]
    static: set[int | str]


def outlined(args: Sequence[Any], kwargs: dict[str, Any], static: set[int | str]) -> Outline:
    """What these arguments are like."""
    known: dict[int, Like] = {}

    def node(x: Any) -> Any:
        kind = type(x)
        if kind in _PLAIN:
            return x
        if kind is tuple or kind is list:
            return kind(map(node, x))
        if kind is dict:
            return {k: node(v) for k, v in x.items()}
        if owner_of_type(kind) is not None:
            return known.setdefault(id(x), Like(spec_of(x), getattr(x, "strides", None), kind))
        return Other(f"{'an object' if is_leaf(x) else 'a container'} of type {kind.__qualname__}")

    positional = [a if i in static else node(a) for i, a in enumerate(args)]
    return Outline(positional, {k: a if k in static else node(a) for k, a in kwargs.items()}, static)


# -- as data ------------------------------------------------------------------------------------------
def to_data(outline: Outline, pack: Packer, inputs: frozenset[type]) -> tuple[Any, int]:
    """An outline as JSON, and how many arrays and numbers of types ``inputs`` are in it. Raises ``Unsaveable``."""
    known: dict[int, int] = {}
    count = 0

    def node(x: Any) -> Any:
        nonlocal count
        kind = type(x)
        count += kind is Like or kind in inputs
        if kind is Like:
            if id(x) in known:
                return ["same", known[id(x)]]
            known[id(x)] = len(known)
            return _array(x, pack)
        if kind in inputs:
            return ["number", kind.__name__]
        if kind in _PLAIN:
            return ["value", pack.data(x)]
        if kind is tuple or kind is list:
            return [kind.__name__, *map(node, x)]
        if kind is dict:
            return ["dict", *([pack.data(k), node(v)] for k, v in x.items())]
        raise Unsaveable(f"{x.what} among the arguments")

    def argument(key: int | str, x: Any) -> Any:
        return ["value", pack.data(x)] if key in outline.static else node(x)

    args = [argument(i, a) for i, a in enumerate(outline.args)]
    return [args, [[k, argument(k, a)] for k, a in outline.kwargs.items()]], count


def _array(x: Like, pack: Packer) -> Any:
    owner = owner_of_type(x.type)
    assert owner is not None
    if issubclass(x.type, np.generic):
        return ["scalar", pack.data(x.spec)]
    if owner.name == "numpy":
        if x.type is not np.ndarray:
            raise Unsaveable(f"an array of type {x.type.__qualname__} among the arguments")
        return ["array", pack.data(x.spec), list(x.strides or ()), "numpy"]
    if x.strides is not None and x.strides != np.empty(x.spec.shape, x.spec.dtype).strides:
        raise Unsaveable(f"an array on {owner.name} that doesn't lie row by row in memory, among the arguments")
    return ["array", pack.data(x.spec), [], owner.name]


def from_data(given: Any, read: Unpacker) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of that kind; what the arrays hold isn't theirs and mustn't be read. Raises ``Invalid``."""
    arrays: list[Any] = []

    def node(x: Any) -> Any:
        head, *rest = x
        if head == "same":
            return arrays[whole(rest[0], most=len(arrays) - 1)]
        if head in ("array", "scalar"):
            arrays.append(_made(read.data(rest[0]), rest[1:]))
            return arrays[-1]
        if head == "number":
            return {"float": 0.5, "complex": 0.5j, "int": 1}[rest[0]]
        if head == "value":
            return read.data(rest[0])
        if head == "dict":
            return {read.data(k): node(v) for k, v in rest}
        return {"tuple": tuple, "list": list}[head](map(node, rest))

    args, kwargs = given
    return [node(x) for x in args], {text(k): node(x) for k, x in kwargs}


def _made(spec: Any, lies: list[Any]) -> Any:
    if type(spec) is not Spec:
        raise Invalid("an argument is no array")
    if not lies and not spec.shape:
        return np.zeros((), spec.dtype)[()]
    steps, owner = lies
    if owner != "numpy":
        try:
            return backend.choose(text(owner))[0].asarray(np.zeros(spec.shape, spec.dtype))
        except BackendError as error:
            raise Invalid(str(error)) from None
    strides = tuple([whole(n, -(1 << 48)) for n in steps])
    # An array for its shape alone: it has the memory of one number.
    one = np.zeros(1, spec.dtype)
    return np.lib.stride_tricks.as_strided(one, spec.shape, strides, writeable=False)


# -- in words -----------------------------------------------------------------------------------------
def words(args: Sequence[Any], kwargs: dict[str, Any], inputs: frozenset[type]) -> str:
    """What a call is like: ``({'w': float64[3, 4]}, float64[8], a float)``."""

    def parts() -> Iterator[str]:
        for x in args:
            yield said(x)
        for k, x in kwargs.items():
            yield f"{k}={said(x)}"

    def said(x: Any) -> str:
        kind = type(x)
        if kind in inputs:
            return f"{'an' if kind is int else 'a'} {kind.__name__}"
        if kind is tuple or kind is list:
            inner = ", ".join(map(said, x))
            return f"({inner}{',' * (len(x) == 1)})" if kind is tuple else f"[{inner}]"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {said(v)}" for k, v in x.items()) + "}"
        owner = owner_of_type(kind)
        if owner is None:
            return repr(x) if kind in STATIC else f"an object of type {kind.__qualname__}"
        spec = spec_of(x)
        found = f"{spec.dtype}{list(spec.shape)}" if not isinstance(x, np.generic) else f"{spec.dtype} (a scalar)"
        if owner.name != "numpy":
            return f"{found} on {owner.name}"
        rows = np.empty((0,), spec.dtype).itemsize, *spec.shape[:0:-1]
        expected = tuple(np.cumprod(rows)[::-1].tolist()) if spec.shape else ()
        return found if x.strides == expected or not spec.size else f"{found} with strides {x.strides}"

    return f"({', '.join(parts())})"

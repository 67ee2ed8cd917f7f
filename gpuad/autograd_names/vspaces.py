"""Vector spaces: what values of some type have in common that one can add and scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..backend import backend_of, owner_of_type
from ..core.box import Box, innermost, sample, spec_of
from ..core.pytree import tree_map
from ..numpy.frontend import functions
from ..util import subvals


class VSpace:
    """The space that a value is from. A type of one's own joins by ``register`` on a subclass.

    A subclass states ``zeros``, ``_inner_prod`` and what else it needs. Two spaces are equal if their
    attributes are.
    """

    mappings: ClassVar[dict[type, Callable[[Any], VSpace]]] = {}
    iscomplex = False
    size: Any

    def __init__(self, value: Any) -> None:
        pass

    def zeros(self) -> Any:
        raise NotImplementedError(repr(self))

    def ones(self) -> Any:
        raise NotImplementedError(repr(self))

    def standard_basis(self) -> Iterator[Any]:
        raise NotImplementedError(repr(self))

    def randn(self) -> Any:
        raise NotImplementedError(repr(self))

    def mut_add(self, x_prev: Any, x_new: Any) -> Any:
        return self._mut_add(self.zeros() if x_prev is None else x_prev, x_new)

    def add(self, x_prev: Any, x_new: Any) -> Any:
        return self._add(x_prev, x_new)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        return self._scalar_mul(x, a)

    def inner_prod(self, x: Any, y: Any) -> Any:
        return self._inner_prod(x, y)

    def covector(self, x: Any) -> Any:
        return self._covector(x)

    def _add(self, x: Any, y: Any) -> Any:
        return x + y

    def _mut_add(self, x: Any, y: Any) -> Any:
        return self._add(x, y)

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return x * a

    def _inner_prod(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(repr(self))

    def _covector(self, x: Any) -> Any:
        return x

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}_{self.__dict__}"

    @classmethod
    def register(cls, value_type: type, vspace_maker: Callable[[Any], VSpace] | None = None) -> None:
        VSpace.mappings[value_type] = vspace_maker or cls


def getval(x: Any) -> Any:
    """The raw value behind a traced array; those in a container."""
    return tree_map(innermost, x)


def vspace(value: Any) -> VSpace:
    """The vector space that ``value`` is from: of arrays, or of containers of such."""
    kind = type(value)
    maker = VSpace.mappings.get(kind)
    if maker is not None:
        return maker(value)
    if kind is Box or owner_of_type(kind) is not None or isinstance(value, (float, complex)):
        return ComplexArrayVSpace(value) if spec_of(value).dtype.kind == "c" else ArrayVSpace(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return NamedTupleVSpace(value)
    raw = getval(value)
    if type(raw) is not kind:
        return vspace(raw)
    raise TypeError(f"Can't find vector space for value {value} of type {kind}.")


class ArrayVSpace(VSpace):
    """Arrays of one shape and dtype, on one backend."""

    def __init__(self, value: Any) -> None:
        spec = spec_of(value)
        self.shape, self.dtype = spec.shape, spec.dtype
        self.backend = backend_of((sample(value),))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def zeros(self) -> Any:
        return self.backend.xp.zeros(self.shape, self.dtype)

    def ones(self) -> Any:
        return self.backend.xp.ones(self.shape, self.dtype)

    def standard_basis(self) -> Iterator[Any]:
        for index in np.ndindex(*self.shape):
            vector = self.zeros()
            vector[index] = 1
            yield vector

    def randn(self) -> Any:
        return self.backend.asarray(np.asarray(np.random.randn(*self.shape)).astype(self.dtype))

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return functions["dot"](functions["ravel"](x), functions["ravel"](y))


class ComplexArrayVSpace(ArrayVSpace):
    """Complex arrays, as a space over the reals of twice the dimension."""

    iscomplex = True

    @property
    def size(self) -> int:
        return 2 * math.prod(self.shape)

    def ones(self) -> Any:
        return super().ones() * (1 + 1j)

    def standard_basis(self) -> Iterator[Any]:
        for vector in super().standard_basis():
            yield vector
            yield 1j * vector

    def randn(self) -> Any:
        return super().randn() + 1j * super().randn()

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return functions["real"](super()._inner_prod(functions["conj"](x), y))

    def _covector(self, x: Any) -> Any:
        return functions["conj"](x)


class ContainerVSpace(VSpace):
    """Containers of one kind with parts from given spaces."""

    shape: Any

    def __init__(self, value: Any) -> None:
        self.shape = value
        self.shape = self._map(vspace)

    def _values(self, x: Any) -> Iterable[Any]:
        raise NotImplementedError

    def _kv_pairs(self, x: Any) -> Iterable[tuple[Any, Any]]:
        raise NotImplementedError

    def _map(self, f: Callable[..., Any], *args: Any) -> Any:
        raise NotImplementedError

    def _subval(self, xs: Any, idx: Any, x: Any) -> Any:
        raise NotImplementedError

    @property
    def size(self) -> int:
        return sum(self._values(self._map(lambda vs: vs.size)))

    def zeros(self) -> Any:
        return self._map(lambda vs: vs.zeros())

    def ones(self) -> Any:
        return self._map(lambda vs: vs.ones())

    def randn(self) -> Any:
        return self._map(lambda vs: vs.randn())

    def standard_basis(self) -> Iterator[Any]:
        zero = self.zeros()
        for i, vs in self._kv_pairs(self.shape):
            for x in vs.standard_basis():
                yield self._subval(zero, i, x)

    def _add(self, xs: Any, ys: Any) -> Any:
        return self._map(lambda vs, x, y: vs._add(x, y), xs, ys)

    def _scalar_mul(self, xs: Any, a: Any) -> Any:
        return self._map(lambda vs, x: vs._scalar_mul(x, a), xs)

    def _inner_prod(self, xs: Any, ys: Any) -> Any:
        return sum(self._values(self._map(lambda vs, x, y: vs._inner_prod(x, y), xs, ys)))

    def _covector(self, xs: Any) -> Any:
        return self._map(lambda vs, x: vs._covector(x), xs)


class SequenceVSpace(ContainerVSpace):
    seq_type: Any

    def _values(self, x: Any) -> Iterable[Any]:
        return x  # type: ignore[no-any-return]

    def _kv_pairs(self, x: Any) -> Iterable[tuple[Any, Any]]:
        return enumerate(x)

    def _map(self, f: Callable[..., Any], *args: Any) -> Any:
        return self.seq_type(map(f, self.shape, *args))

    def _subval(self, xs: Any, idx: Any, x: Any) -> Any:
        return self.seq_type(subvals(xs, [(idx, x)]))


class ListVSpace(SequenceVSpace):
    seq_type = list


class TupleVSpace(SequenceVSpace):
    seq_type = tuple


class NamedTupleVSpace(SequenceVSpace):
    def __init__(self, value: Any) -> None:
        self.seq_type = type(value)
        super().__init__(value)

    def _map(self, f: Callable[..., Any], *args: Any) -> Any:
        return self.seq_type(*map(f, self.shape, *args))

    def _subval(self, xs: Any, idx: Any, x: Any) -> Any:
        return self.seq_type(*subvals(xs, [(idx, x)]))


class DictVSpace(ContainerVSpace):
    def _values(self, x: Any) -> Iterable[Any]:
        return x.values()  # type: ignore[no-any-return]

    def _kv_pairs(self, x: Any) -> Iterable[tuple[Any, Any]]:
        return x.items()  # type: ignore[no-any-return]

    def _map(self, f: Callable[..., Any], *args: Any) -> Any:
        return {k: f(vs, *[x[k] for x in args]) for k, vs in self.shape.items()}

    def _subval(self, xs: Any, idx: Any, x: Any) -> Any:
        return {**xs, idx: x}


ListVSpace.register(list)
TupleVSpace.register(tuple)
DictVSpace.register(dict)


class SparseObject:
    """What a rule may return instead of a large array that is mostly zero: ``mut_add(x)`` adds it to ``x``."""

    __slots__ = ("mut_add", "vs")

    def __init__(self, vs: VSpace, mut_add: Callable[[Any], Any]) -> None:
        self.vs = vs
        self.mut_add = mut_add


VSpace.register(SparseObject, lambda x: x.vs)


def dense(x: Any) -> Any:
    """``x``, and a ``SparseObject`` as an array."""
    return x.mut_add(x.vs.zeros()) if type(x) is SparseObject else x

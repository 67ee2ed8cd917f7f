"""Indexing, and its adjoint: adding into zeros."""

from __future__ import annotations

from typing import Any

from ..backend import backend_of, owner_of_type
from ..core.box import Box, Spec, spec_of
from ..core.cotangent import Indexed
from .declare import operation, shape, variadic


class _Array:
    """Stands in an index for an array, that is given as an argument of its own."""

    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _Array()


def _split(index: Any) -> tuple[Any, tuple[Any, ...]]:
    """An index as a key without arrays, and the arrays."""
    if type(index) is tuple:
        arrays = tuple(i for i in index if _is_array(i))
        return (tuple(ARRAY if _is_array(i) else i for i in index), arrays) if arrays else (index, ())
    return (ARRAY, (index,)) if _is_array(index) else (index, ())


def _is_array(i: Any) -> bool:
    if isinstance(i, Box):
        raise IndexError(f"an index must be of integers or booleans, got a traced array of {i.spec}; it has no derivative: "
                         "index with gpuad.stop_gradient(i).astype(int)")
    return isinstance(i, list) or (owner_of_type(type(i)) is not None and getattr(i, "ndim", 0) > 0)


def _join(key: Any, arrays: tuple[Any, ...]) -> Any:
    if not arrays:
        return key
    if key is ARRAY:
        return arrays[0]
    rest = iter(arrays)
    return tuple(next(rest) if i is ARRAY else i for i in key)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``, with any index of NumPy's."""
    key, arrays = _split(index)
    return _getitem(x, *arrays, key=key)


def _getitem_vjp(k: int, g: Any, ans: Any, x: Any, *arrays: Any, key: Any) -> Any:
    return Indexed(spec_of(x), (key, arrays), g, spec_of(g).size, _scatter)


_getitem = variadic("getitem", lambda xp, x, *arrays, key: x[_join(key, arrays)], _getitem_vjp, linear=True)


def _scatter(spec: Spec, indices: list[Any], gs: list[Any], base: Any) -> Any:
    """The terms added up: into ``base``, which the caller owns, or into zeros."""
    if type(base) is Box or any(type(g) is Box for g in gs):
        total = scatter_add(*gs, indices=tuple(indices), spec=spec)
        return total if base is None else base + total
    if base is None:
        return scatter_add(*gs, indices=tuple(indices), spec=spec)
    _add_into(base, gs, indices)
    return base


def _add_into(out: Any, gs: Any, indices: Any) -> None:
    backend = backend_of((out,))
    for g, (key, arrays) in zip(gs, indices, strict=True):
        if arrays:
            backend.add_at(out, _join(key, arrays), g)
        else:
            out[key] += g


def _scatter_add(xp: Any, *gs: Any, indices: Any, spec: Spec) -> Any:
    out = xp.zeros(spec.shape, spec.dtype)
    _add_into(out, gs, indices)
    return out


#: Zeros of shape and dtype ``spec``, with ``gs[k]`` added at ``indices[k]`` (key and arrays).
scatter_add = variadic(
    "scatter_add",
    _scatter_add,
    lambda k, g, ans, *gs, indices, spec: _getitem(g, *indices[k][1], key=indices[k][0]),
    linear=True,
)

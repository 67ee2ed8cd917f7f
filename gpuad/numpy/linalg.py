"""``numpy.linalg``, differentiable as far as it is; the rest works on plain arrays unchanged."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import sample
from ..ops import contract
from ..ops import linalg as systems
from ..ops.declare import astype
from ..ops.elementwise import absolute, power, where
from . import contractions
from .contractions import arrays as as_arrays
from .elementwise import no_options
from .frontend import find, functions, numpy_function


def __getattr__(name: str) -> Any:
    from . import decompositions  # noqa: F401 - a program that doesn't decompose matrices starts faster

    found = globals()[name] = find("linalg.", np.linalg, name)
    return found


def __dir__() -> list[str]:
    return dir(np.linalg)


# -- norms ------------------------------------------------------------------------------------------
@numpy_function("linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """As :func:`numpy.linalg.norm`; differentiable.

    The gradient of a Euclidean norm at the zero vector is taken to be zero.
    """
    x = _array(x)
    every = tuple(range(x.ndim))
    if axis is None and (ord is None or (ord in ("f", "fro") and x.ndim == 2)):
        return contract.euclidean_norm(x, axis=every, keepdims=keepdims)
    axes = every if axis is None else _axes(axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError(
        f"norm: over {len(axes)} axes there is only ord=None with axis=None; got ord={ord!r}, axis={axis!r}"
    )


@numpy_function("linalg.vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = _array(x)
    return _vector_norm(x, ord, tuple(range(x.ndim)) if axis is None else _axes(axis, x.ndim), keepdims)


@numpy_function("linalg.matrix_norm")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    x = _array(x)
    return _matrix_norm(x, ord, _axes((-2, -1), x.ndim), keepdims)


def _array(x: Any) -> Any:
    """``x`` as an array, of floating-point numbers where it was one of whole ones."""
    (x,) = as_arrays(x)
    return astype(x, dtype=np.dtype(float)) if x.dtype.kind in "biu" else x


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for k in axes:
        if not -ndim <= operator.index(k) < ndim:
            raise np.exceptions.AxisError(k, ndim)
    axes = tuple(operator.index(k) % ndim for k in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"norm: axis={axis!r} names an axis twice")
    return axes


def _vector_norm(x: Any, ord: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return contract.euclidean_norm(x, axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} is for matrices; that of a vector is a number")
    total = functools.partial(functions["sum"], axis=axis, keepdims=keepdims)
    size = absolute(x)
    if ord == 0:
        return total(astype(size != 0.0, dtype=size.dtype))
    if ord == 1:
        return total(size)
    if math.isinf(ord):
        return functions["max" if ord > 0 else "min"](size, axis=axis, keepdims=keepdims)
    powers = total(power(size, float(ord)))
    zero = powers == 0.0
    return where(zero, 0.0, power(where(zero, 1.0, powers), 1.0 / ord))


_SUMS = {1: ("max", 0), -1: ("min", 0), math.inf: ("max", 1), -math.inf: ("min", 1)}


def _matrix_norm(x: Any, ord: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord in ("f", "fro"):
        return contract.euclidean_norm(x, axis=axis, keepdims=keepdims)
    if ord in _SUMS:
        choose, along = _SUMS[ord]
        sums = functions["sum"](absolute(x), axis=axis[along], keepdims=True)
        return functions[choose](sums, axis=axis, keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        from .decompositions import svdvals

        values = svdvals(functions["moveaxis"](x, axis, (-2, -1)))
        choose = "sum" if ord == "nuc" else "max" if ord == 2 else "min"
        found = functions[choose](values, axis=-1)
        return functions["expand_dims"](found, axis) if keepdims else found
    raise ValueError(f"norm: ord={ord!r} isn't a norm of matrices")


# -- products ---------------------------------------------------------------------------------------
@numpy_function("linalg.matmul")
def matmul(x1: Any, x2: Any, /) -> Any:
    return contractions.matmul(x1, x2)


@numpy_function("linalg.vecdot")
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return contractions.vecdot(x1, x2, axis=axis)


@numpy_function("linalg.tensordot")
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return functions["tensordot"](x1, x2, axes)


@numpy_function("linalg.outer")
def outer(x1: Any, x2: Any, /) -> Any:
    x1, x2 = as_arrays(x1, x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"linalg.outer: expected two vectors, got arrays of shapes {x1.shape} and {x2.shape}")
    return functions["outer"](x1, x2)


@numpy_function("linalg.cross")
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return functions["cross"](x1, x2, axis=axis)


@numpy_function("linalg.multi_dot")
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Any:
    no_options("linalg.multi_dot", out=out)
    chain = as_arrays(*arrays)
    if len(chain) < 2:
        raise ValueError(f"multi_dot: expected at least two arrays, got {len(chain)}")
    for k, a in enumerate(chain):
        if a.ndim != 2 and not (a.ndim == 1 and k in (0, len(chain) - 1)):
            raise np.linalg.LinAlgError(
                f"multi_dot: array {k} must be a matrix (or a vector at an end), got shape {a.shape}"
            )
    first, last = chain[0], chain[-1]
    sizes = (
        first.shape[0] if first.ndim == 2 else 1,
        *(a.shape[0] for a in chain[1:]),
        last.shape[1] if last.ndim == 2 else 1,
    )
    return _product(chain, sizes)


def _product(chain: list[Any], sizes: tuple[int, ...]) -> Any:
    if len(chain) == 1:
        return chain[0]
    k = _cheapest(sizes)[1]
    return contract.matmul(_product(chain[:k], sizes[: k + 1]), _product(chain[k:], sizes[k:]))


@functools.lru_cache(maxsize=1024)
def _cheapest(sizes: tuple[int, ...]) -> tuple[int, int]:
    """What a product of matrices costs (the k-th is sizes[k] x sizes[k+1]), and where to split it for that."""
    if len(sizes) == 2:
        return 0, 0
    return min(
        (_cheapest(sizes[: k + 1])[0] + _cheapest(sizes[k:])[0] + sizes[0] * sizes[k] * sizes[-1], k)
        for k in range(1, len(sizes) - 1)
    )


@numpy_function("linalg.matrix_power")
def matrix_power(a: Any, n: int) -> Any:
    (a,) = as_arrays(a)
    n = operator.index(n)
    if n == 0:
        xp = backend_of((sample(a),)).xp
        return xp.broadcast_to(xp.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
    if n < 0:
        a, n = functions["linalg.inv"](a), -n
    result = None
    while True:
        if n & 1:
            result = a if result is None else contract.matmul(result, a)
        n >>= 1
        if not n:
            return result
        a = contract.matmul(a, a)


# -- linear systems ---------------------------------------------------------------------------------
@numpy_function("linalg.inv")
def inv(a: Any) -> Any:
    return systems.inv(*as_arrays(a))


@numpy_function("linalg.solve")
def solve(a: Any, b: Any) -> Any:
    return systems.solve(*as_arrays(a, b))


# -- parts ------------------------------------------------------------------------------------------
@numpy_function("linalg.diagonal")
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return functions["diagonal"](x, offset, -2, -1)


@numpy_function("linalg.trace")
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return functions["trace"](x, offset, -2, -1, dtype)


@numpy_function("linalg.matrix_transpose")
def matrix_transpose(x: Any, /) -> Any:
    return functions["swapaxes"](x, -1, -2)


# Two more that programs find under autograd's name of this module.
functions["linalg.T"] = functions["matrix_transpose"]
functions["linalg._dot"] = functools.partial(functions["einsum"], "...ij,...jk->...ik")

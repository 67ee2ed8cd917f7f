"""NumPy's products: matmul, dot, tensordot, einsum and their kin."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.box import Box, spec_of
from ..core.memory import lying
from ..ops import contract
from ..ops.batching import LETTERS
from ..ops.contract import Shape
from ..ops.declare import astype
from ..ops.elementwise import conjugate
from ..ops.shape import transpose
from .creation import as_array, copied, home
from .elementwise import no_options
from .frontend import functions, numpy_function
from .ufuncs import define


def arrays(*args: Any) -> list[Any]:
    """The arguments as arrays; numbers and lists become arrays of the backend that the others are on."""
    if all(type(a) is Box or hasattr(a, "dtype") for a in args):
        return list(args)
    backend = home(*args)
    return [as_array(a, backend) for a in args]


# -- matrix products --------------------------------------------------------------------------------
def matmul(x1: Any, x2: Any, **options: Any) -> Any:
    if options:
        no_options("matmul", **options)
    if type(x1) is list or type(x2) is list:
        x1, x2 = arrays(x1, x2)
    return contract.matmul(x1, x2)


def matvec(x1: Any, x2: Any, **options: Any) -> Any:
    no_options("matvec", **options)
    x1, x2 = arrays(x1, x2)
    _need_matrix("matvec", x1)
    return contract.matmul(x1, x2[..., None])[..., 0]


def vecmat(x1: Any, x2: Any, **options: Any) -> Any:
    no_options("vecmat", **options)
    x1, x2 = arrays(x1, x2)
    _need_matrix("vecmat", x2)
    return contract.matmul(_conjugate(x1)[..., None, :], x2)[..., 0, :]


def vecdot(x1: Any, x2: Any, *, axis: int = -1, **options: Any) -> Any:
    no_options("vecdot", **options)
    x1, x2 = arrays(x1, x2)
    if axis != -1:
        x1, x2 = functions["moveaxis"](x1, axis, -1), functions["moveaxis"](x2, axis, -1)
    if x1.shape[-1:] != x2.shape[-1:]:
        raise ValueError(f"vecdot: vectors of one length are needed, got arrays of shapes {x1.shape} and {x2.shape}")
    return einsum("...i,...i->...", _conjugate(x1), x2)


def _need_matrix(name: str, x: Any) -> None:
    if x.ndim < 2:
        raise ValueError(f"{name}: a matrix is needed, got an array of shape {x.shape}")


def _conjugate(x: Any) -> Any:
    return conjugate(x) if spec_of(x).dtype.kind == "c" else x


for _product in (matmul, vecdot, matvec, vecmat):
    if hasattr(np, _product.__name__):  # the last two came with NumPy 2.2
        define(_product.__name__, _product)


@numpy_function("dot")
def dot(a: Any, b: Any, out: Any = None) -> Any:
    no_options("dot", out=out)
    a, b = arrays(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2 and a.ndim <= 2:
        return contract.matmul(a, b)
    return tensordot(a, b, axes=(-1, -2 if b.ndim > 1 else -1))


@numpy_function("vdot")
def vdot(a: Any, b: Any, /) -> Any:
    a, b = arrays(a, b)
    return contract.matmul(_conjugate(a.reshape(-1)), b.reshape(-1))


@numpy_function("inner")
def inner(a: Any, b: Any, /) -> Any:
    a, b = arrays(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return contract.matmul(a, b) if a.ndim == b.ndim == 1 else tensordot(a, b, axes=(-1, -1))


@numpy_function("outer")
def outer(a: Any, b: Any, out: Any = None) -> Any:
    no_options("outer", out=out)
    a, b = arrays(a, b)
    return contract.einsum(a.reshape(-1), b.reshape(-1), subscripts="a,b->ab")


@numpy_function("kron")
def kron(a: Any, b: Any) -> Any:
    a, b = arrays(a, b)
    ndim = max(a.ndim, b.ndim)
    m, n = ((1,) * (ndim - len(x.shape)) + x.shape for x in (a, b))
    rows, columns = LETTERS[:ndim], LETTERS[ndim : 2 * ndim]
    out = "".join(i + j for i, j in zip(rows, columns, strict=True))
    ans = contract.einsum(a.reshape(m), b.reshape(n), subscripts=f"{rows},{columns}->{out}")
    return ans.reshape(tuple(i * j for i, j in zip(m, n, strict=True)))


@numpy_function("tensordot")
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = arrays(a, b)
    try:
        count = operator.index(axes)
        over_a, over_b = list(range(-count, 0)), list(range(count))
    except TypeError:
        over_a, over_b = ([operator.index(k) for k in (over if np.iterable(over) else (over,))] for over in axes)
    if len(over_a) != len(over_b) or any(
        not (-a.ndim <= i < a.ndim and -b.ndim <= j < b.ndim) or a.shape[i] != b.shape[j]
        for i, j in zip(over_a, over_b, strict=True)
    ):
        raise ValueError(
            f"tensordot: axes {over_a} of shape {a.shape} can't be summed with axes {over_b} of shape {b.shape}; "
            "they must be as many and of the same lengths"
        )
    x, y = list(LETTERS[: a.ndim]), list(LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(over_a, over_b, strict=True):
        y[j] = x[i]
    out = [i for i in x if i not in y] + [i for i in y if i not in x]
    ans = contract.einsum(a, b, subscripts=f"{''.join(x)},{''.join(y)}->{''.join(out)}")
    return ans if out else functions["asarray"](ans)  # no number


@numpy_function("cross")
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = arrays(a, b)
    a, b = functions["moveaxis"](a, axisa, -1), functions["moveaxis"](b, axisb, -1)
    sizes = a.shape[-1], b.shape[-1]
    if not {2, 3}.issuperset(sizes):
        raise ValueError(f"cross: expected vectors of 2 or 3 numbers, got {sizes[0]} and {sizes[1]}")
    if sizes == (2, 2):
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    ans = contract.cross(*(x if x.shape[-1] == 3 else _with_zero(x) for x in (a, b)))
    return ans if axisc == -1 else functions["moveaxis"](ans, -1, axisc)


def _with_zero(x: Any) -> Any:
    return functions["pad"](x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])


@numpy_function("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    no_options("trace", out=out)
    return functions["sum"](functions["diagonal"](a, offset, axis1, axis2), axis=-1, dtype=dtype)


# -- convolution ------------------------------------------------------------------------------------
@numpy_function("convolve")
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = arrays(a, v)
    return _convolve("convolve", a, v, mode)


@numpy_function("correlate")
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = arrays(a, v)
    return _convolve("correlate", a, _conjugate(v)[::-1], mode)


def _convolve(name: str, a: Any, v: Any, mode: str) -> Any:
    a, v = functions["atleast_1d"](a, v)
    whole = contract.convolve(a, v)
    n, m = a.shape[0], v.shape[0]
    longer, shorter = max(n, m), min(n, m)
    # An even number of entries has no middle one; NumPy's two functions differ in which they take.
    middle = shorter // 2 if name == "correlate" and n < m else (shorter - 1) // 2
    spans = {"full": (0, n + m - 1), "same": (middle, longer), "valid": (shorter - 1, longer - shorter + 1)}
    if mode not in spans:
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    start, length = spans[mode]
    return whole if mode == "full" else whole[start : start + length]


# -- einsum -----------------------------------------------------------------------------------------
@numpy_function("einsum")
def einsum(*operands: Any, out: Any = None, dtype: Any = None, optimize: Any = False, **options: Any) -> Any:
    """As :func:`numpy.einsum`; differentiable.

    Arrays are multiplied in pairs, through ``matmul`` where that can be, in the order that ``optimize``
    says; in one that is chosen greedily, where it says none.
    """
    no_options("einsum", out=out)
    subscripts, given = _subscripts_and_arrays(operands)
    stack = list(given)
    if dtype is None and len(stack) > 1:  # nothing is added up in less than the precision of the result
        dtype = np.result_type(*(a.dtype for a in stack))
    if dtype is not None:
        stack = [a if a.dtype == dtype else astype(a, dtype=np.dtype(dtype)) for a in stack]
    if len(stack) == 1 and type(stack[0]) is Box:
        return _einsum_of_one(subscripts, stack[0])
    how = "greedy" if optimize in (True, False, None) else optimize
    for step in _steps(subscripts, tuple(a.shape for a in stack), tuple(how) if isinstance(how, list) else how):
        picked = [stack.pop(k) for k in step.places]
        picked = [a if a.shape == s else a.reshape(s) for a, s in zip(picked, step.shapes, strict=True)]
        product = contract.fold if len(picked) == 1 else contract.einsum
        stack.append(product(*picked, subscripts=step.subscripts))
    return stack[0] if optimize else _lying_as_numpys(stack[0], subscripts, given)


def _lying_as_numpys(y: Any, subscripts: str, arrays: Sequence[Any]) -> Any:
    """``y``, in memory in the order of NumPy's own result: what is written into a reshape of it may depend on that."""
    if type(y) is not Box or y.spec.ndim < 2 or type(raw := lying(y)) is not np.ndarray:
        return y
    wanted = _order_of_numpys(subscripts, tuple(_axes_by_stride(lying(a) if type(a) is Box else a) for a in arrays))
    return y if _axes_by_stride(raw) == wanted else copied(y, wanted)


def _axes_by_stride(raw: Any) -> tuple[int, ...]:
    """The axes from the one with the longest steps in memory to the one with the shortest."""
    if raw.flags.c_contiguous:
        return tuple(range(raw.ndim))
    return tuple(sorted(range(raw.ndim), key=lambda k: -abs(raw.strides[k])))


@functools.lru_cache(maxsize=1024)
def _order_of_numpys(subscripts: str, orders: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """How NumPy lays the result out, for arrays that lie in these orders."""
    small = [np.zeros((2,) * len(order)).transpose(np.argsort(order)) for order in orders]
    return _axes_by_stride(np.einsum(subscripts, *small))


def _einsum_of_one(subscripts: str, x: Box) -> Any:
    """Where nothing is summed up this is a view, as in NumPy."""
    (step,) = _steps(subscripts, (x.spec.shape,), "greedy")
    term, out = step.subscripts.split("->")
    if len(term) == len(out):
        return transpose(x, axes=tuple(map(term.index, out)))
    found = contract.diagonals if set(term) == set(out) else contract.fold
    return found(x, subscripts=step.subscripts)


def _subscripts_and_arrays(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The arguments of einsum as subscripts and arrays, whichever way they were given."""
    if operands and isinstance(operands[0], str):
        return operands[0].replace(" ", ""), arrays(*operands[1:])
    pairs = len(operands) // 2 * 2
    terms = ",".join(_letters(sublist) for sublist in operands[1:pairs:2])
    return terms + (f"->{_letters(operands[-1])}" if len(operands) > pairs else ""), arrays(*operands[:pairs:2])


def _letters(sublist: Any) -> str:
    try:
        return "".join("..." if i is Ellipsis else LETTERS[operator.index(i)] for i in sublist)
    except (TypeError, IndexError):
        raise TypeError(f"einsum: an axis list holds integers from 0 to 51 and Ellipsis, got {sublist!r}") from None


class _Step(NamedTuple):
    """One product: of the one or two arrays that are taken from ``places`` of the stack, one after the other."""

    places: tuple[int, ...]
    shapes: list[Shape]
    subscripts: str


@functools.lru_cache(maxsize=1024)
def _steps(subscripts: str, shapes: tuple[Shape, ...], optimize: Any) -> list[_Step]:
    stand_ins = [np.broadcast_to(np.float64(0.0), shape) for shape in shapes]
    how = list(optimize) if isinstance(optimize, tuple) and optimize[0] == "einsum_path" else optimize
    path, _ = np.einsum_path(subscripts, *stand_ins, optimize=how)  # checks the arguments, too
    terms, out = _explicit(subscripts, [len(shape) for shape in shapes])
    stack = list(zip(terms, shapes, strict=True))
    steps = []
    for group in path[1:]:
        order = tuple(sorted(group, reverse=True))
        for places in [order[:2], *((-1, place) for place in order[2:])]:
            picked = [stack.pop(k) for k in places]
            letters = dict.fromkeys("".join(term for term, _ in picked))
            result = "".join(i for i in letters if i in out or any(i in term for term, _ in stack)) if stack else out
            used, kept = contract.without_broadcast(*zip(*picked, strict=True))
            steps.append(_Step(places, kept, f"{','.join(used)}->{result}"))
            sizes = contract.lengths(*zip(*picked, strict=True))
            stack.append((result, tuple(sizes[i] for i in result)))
    return steps


def _explicit(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The terms and the result, with a letter for every axis."""
    left, arrow, out = subscripts.partition("->")
    terms = left.split(",")
    extra = [n - len(term.replace("...", "")) if "..." in term else 0 for term, n in zip(terms, ndims, strict=True)]
    batch = [i for i in LETTERS if i not in subscripts][: max(extra)]
    terms = [term.replace("...", "".join(batch[len(batch) - n :])) for term, n in zip(terms, extra, strict=True)]
    if not arrow:
        once = sorted(i for i in set(left) - set(".,") if left.count(i) == 1)
        return terms, "".join(batch + once)
    if batch and "..." not in out:
        raise ValueError(f"einsum: the result of {subscripts!r} must have the ellipsis that its arguments have")
    return terms, out.replace("...", "".join(batch))

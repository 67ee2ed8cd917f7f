"""Products that sum over shared axes. All of NumPy's are written with two primitives, ``matmul`` and ``einsum``."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core.memory import View
from ..core.primitive import Primitive
from .batching import LETTERS, leading, lettered, multiplied, over_axis
from .declare import fit, operation, view
from .elementwise import conjugate, where

Shape = tuple[int, ...]


# -- matmul -----------------------------------------------------------------------------------------
def _matmul_vjp_x(g: Any, ans: Any, x: Any, y: Any) -> Any:
    if len(x.shape) == 2 and len(y.shape) == 2:
        return matmul(g, y.T)
    return _matmul_pull(0, g, x, y)


def _matmul_vjp_y(g: Any, ans: Any, x: Any, y: Any) -> Any:
    if len(x.shape) == 2 and len(y.shape) == 2:
        return matmul(x.T, g)
    return _matmul_pull(1, g, x, y)


def _matmul_pull(k: int, g: Any, x: Any, y: Any) -> Any:
    """The VJP of argument ``k`` where there are vectors or batches: a broadcast batch is summed within the product."""
    terms, out, shapes = matmul_as_einsum(x.shape, y.shape)
    mine, other = (x, y) if k == 0 else (y, x)
    if shapes[1 - k] != other.shape:
        other = other.reshape(shapes[1 - k])
    h = _einsum_pull(g, other, terms[k], terms[1 - k], out, shapes[k])
    return h if shapes[k] == mine.shape else h.reshape(mine.shape)


@functools.lru_cache(maxsize=1024)
def matmul_as_einsum(x: Shape, y: Shape) -> tuple[list[str], str, list[Shape]]:
    batch = LETTERS[: max(len(x), len(y), 2) - 2]
    a = batch[len(batch) - len(x) + 2 :] + "mk" if len(x) > 1 else "k"
    b = batch[len(batch) - len(y) + 2 :] + "kn" if len(y) > 1 else "k"
    terms, shapes = without_broadcast([a, b], [x, y])
    return terms, batch + "m" * (len(x) > 1) + "n" * (len(y) > 1), shapes


def without_broadcast(terms: Sequence[str], shapes: Sequence[Shape]) -> tuple[list[str], list[Shape]]:
    """The terms of a product without letters that stand for 1 there and for more elsewhere."""
    sizes = lengths(terms, shapes)
    kept = [
        [(i, n) for i, n in zip(term, shape, strict=True) if n == sizes[i]]
        for term, shape in zip(terms, shapes, strict=True)
    ]
    return ["".join(i for i, _ in pairs) for pairs in kept], [tuple(n for _, n in pairs) for pairs in kept]


def lengths(terms: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """How long the axis of each letter is."""
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for i, n in zip(term, shape, strict=True):
            if sizes.get(i, 1) == 1:
                sizes[i] = n
    return sizes


matmul: Primitive = operation(
    "matmul",
    None,
    _matmul_vjp_x,
    _matmul_vjp_y,
    linear=True,
    finish=fit,  # for arguments of two dtypes
    multiply_adds=lambda ans, x, y: ans.size * x.shape[-1],
    batch=multiplied,
)


# -- einsum of one argument -------------------------------------------------------------------------
def _fold(xp: Any, x: Any, *, subscripts: str) -> Any:
    term, out = subscripts.split("->")
    letters = "".join(dict.fromkeys(term))
    if letters != term:
        x = xp.einsum(f"{term}->{letters}", x)
    summed = tuple(k for k, i in enumerate(letters) if i not in out)
    if summed:
        total = xp.sum(x, axis=summed)
        x = total if total.dtype == x.dtype else total.astype(x.dtype)  # sums of small integers are of larger ones
        letters = "".join(i for i in letters if i in out)
    return x if letters == out else x.transpose([letters.index(i) for i in out])


def _unfold(xp: Any, x: Any, *, subscripts: str, shape: Shape) -> Any:
    have, want = subscripts.split("->")
    x = x.transpose([have.index(i) for i in dict.fromkeys(want) if i in have])
    x = x.reshape(
        [n if i in have and i not in want[:k] else 1 for k, (i, n) in enumerate(zip(want, shape, strict=True))]
    )
    for k, i in enumerate(want):
        first = want.index(i)
        if first != k:
            axes = [1] * len(want)
            axes[first] = axes[k] = shape[k]
            x = xp.where(xp.eye(shape[k], dtype=bool).reshape(axes), x, x.dtype.type(0))
    return x if x.shape == shape else xp.broadcast_to(x, shape)


#: Diagonals (of repeated letters), sums (over letters not in the result) and transposes: ``"aabc->ba"``.
fold: Primitive = operation(
    "fold",
    _fold,
    lambda g, ans, x, *, subscripts: unfold(g, subscripts=_reversed(subscripts), shape=x.shape),
    linear=True,
    batch=lettered,
)

#: The same where nothing is summed up, so that it is a view: ``"aab->ba"``.
diagonals: View = view(
    "diagonals",
    _fold,
    lambda g, ans, x, *, subscripts: unfold(g, subscripts=_reversed(subscripts), shape=x.shape),
    batch=lettered,
)

#: The adjoint of ``fold``: zero off the diagonals of repeated letters, the same along new ones: ``"ba->aab"``.
unfold: Primitive = operation(
    "unfold",
    _unfold,
    lambda g, ans, x, *, subscripts, shape: fold(g, subscripts=_reversed(subscripts)),
    linear=True,
    batch=lettered,
)


def _reversed(subscripts: str) -> str:
    term, out = subscripts.split("->")
    return f"{out}->{term}"


# -- einsum of two arguments ------------------------------------------------------------------------
class _Plan(NamedTuple):
    """How a product of two arrays is brought to the form of a matrix product, which is fastest."""

    folds: tuple[str, str]  # what becomes of each argument alone, before; "" for nothing
    direct: str  # subscripts, where it isn't a matrix product after that
    swapped: bool  # the second argument comes first, and the result is in order more often
    orders: tuple[Shape, Shape]  # transposes to (batch, rows, summed) and (batch, summed, columns); () for none
    batch: int  # how many letters
    rows: int
    order: Shape  # transposes (batch, rows, columns) to the result


@functools.lru_cache(maxsize=1024)
def einsum_plan(subscripts: str) -> _Plan:
    """For explicit subscripts of two arguments, without ellipsis or broadcasting."""
    terms, out = subscripts.split("->")
    a, b = terms.split(",")
    x = "".join(dict.fromkeys(i for i in a if i in b or i in out))
    y = "".join(dict.fromkeys(i for i in b if i in a or i in out))
    folds = (f"{a}->{x}" if a != x else "", f"{b}->{y}" if b != y else "")
    batch = [i for i in out if i in x and i in y]
    free = [i for i in out if i not in batch]
    summed = [i for i in x if i not in out]
    direct = f"{x},{y}->{out}" if not summed or (batch and not free) else ""
    swapped = bool(free) and free[0] in y
    if swapped:
        x, y = y, x
    rows, columns = [i for i in free if i in x], [i for i in free if i in y]
    orders = (_order(x, batch + rows + summed), _order(y, batch + summed + columns))
    return _Plan(folds, direct, swapped, orders, len(batch), len(rows), _order(batch + rows + columns, out))


def _order(have: Sequence[str], want: Sequence[str]) -> Shape:
    order = tuple(have.index(i) for i in want)
    return () if order == tuple(range(len(order))) else order


def _einsum(xp: Any, x: Any, y: Any, *, subscripts: str) -> Any:
    p = einsum_plan(subscripts)
    if p.folds[0]:
        x = _fold(xp, x, subscripts=p.folds[0])
    if p.folds[1]:
        y = _fold(xp, y, subscripts=p.folds[1])
    if p.direct:
        from ..fused.outer import outer  # which most programs never need

        ans = outer(x, y, p.direct)
        return xp.einsum(p.direct, x, y) if ans is None else ans
    if p.swapped:
        x, y = y, x
    if p.orders[0]:
        x = x.transpose(p.orders[0])
    if p.orders[1]:
        y = y.transpose(p.orders[1])
    until_rows = p.batch + p.rows
    batch, rows, summed = x.shape[: p.batch], x.shape[p.batch : until_rows], x.shape[until_rows:]
    columns = y.shape[p.batch + len(summed) :]
    n = math.prod(summed)
    ans = xp.matmul(x.reshape(*batch, math.prod(rows), n), y.reshape(*batch, n, math.prod(columns)))
    ans = ans.reshape(batch + rows + columns)
    if not ans.ndim:
        return ans[()]  # a NumPy scalar, as NumPy's einsum gives
    return ans.transpose(p.order) if p.order else ans


def _einsum_pull(g: Any, other: Any, mine: str, others: str, out: str, shape: Shape) -> Any:
    """The VJP of the argument with letters ``mine``: an einsum again, in which it and the result change places."""
    target = "".join(dict.fromkeys(i for i in mine if i in out or i in others))
    h = einsum(g, other, subscripts=f"{out},{others}->{target}")
    return h if target == mine else unfold(h, subscripts=f"{target}->{mine}", shape=shape)


def _einsum_vjp_x(g: Any, ans: Any, x: Any, y: Any, *, subscripts: str) -> Any:
    a, b, out = _terms(subscripts)
    return _einsum_pull(g, y, a, b, out, x.shape)


def _einsum_vjp_y(g: Any, ans: Any, x: Any, y: Any, *, subscripts: str) -> Any:
    a, b, out = _terms(subscripts)
    return _einsum_pull(g, x, b, a, out, y.shape)


def _terms(subscripts: str) -> list[str]:
    return subscripts.replace("->", ",").split(",")


def _einsum_multiply_adds(ans: Any, x: Any, y: Any, *, subscripts: str) -> int:
    a, b, out = _terms(subscripts)
    # A letter of one argument alone is summed before.
    return math.prod(n for i, n in lengths([a, b], [x.shape, y.shape]).items() if i in out or (i in a and i in b))


#: ``subscripts`` are explicit, without ellipsis or broadcasting: a letter stands for one length.
einsum: Primitive = operation(
    "einsum",
    _einsum,
    _einsum_vjp_x,
    _einsum_vjp_y,
    linear=True,
    finish=fit,
    multiply_adds=_einsum_multiply_adds,
    batch=lettered,
)


# -- others -----------------------------------------------------------------------------------------
#: The cross product of 3-vectors along the last axis. g·(x×y) is also x·(y×g) and y·(g×x).
cross: Primitive = operation(
    "cross",
    lambda xp, x, y: xp.cross(x, y),
    lambda g, ans, x, y: cross(y, g),
    lambda g, ans, x, y: cross(g, x),
    linear=True,
    finish=fit,
    batch=leading,
)


def _convolve_pull(g: Any, other: Any, n: int) -> Any:
    m = other.shape[0]
    return convolve(g, other[::-1])[m - 1 : m - 1 + n]


def _convolve_batched(prim: Any, n: int, mapped: Sequence[bool], values: Sequence[Any], params: Any) -> Any:
    from .shape import pad
    from .windows import windows  # both of which need products

    (x, y), (of_x, of_y) = values, mapped
    if not of_x:
        x, y, of_y = y, x, False
    m = y.shape[-1]
    around = pad(x, widths=((0, 0), (m - 1, m - 1)), constant_values=0.0)
    parts = windows(around, window=(m,), axes=(1,))
    return einsum(parts, y[..., ::-1], subscripts="nij,nj->ni" if of_y else "nij,j->ni")


#: The full convolution of two vectors.
convolve: Primitive = operation(
    "convolve",
    lambda xp, x, y: xp.convolve(x, y),
    lambda g, ans, x, y: _convolve_pull(g, y, x.shape[0]),
    lambda g, ans, x, y: _convolve_pull(g, x, y.shape[0]),
    linear=True,
    finish=fit,
    multiply_adds=lambda ans, x, y: x.size * y.size,
    batch=_convolve_batched,
)


def _euclidean_norm(xp: Any, x: Any, *, axis: Shape, keepdims: bool) -> Any:
    if len(axis) == x.ndim and not keepdims:
        flat = x.reshape(-1)
        return xp.sqrt(xp.real(xp.vdot(flat, flat)))  # needs no memory
    squares = x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x
    return xp.sqrt(xp.sum(squares, axis=axis, keepdims=keepdims))


def _euclidean_norm_vjp(g: Any, ans: Any, x: Any, *, axis: Shape, keepdims: bool) -> Any:
    slope = g / where(ans == 0.0, 1.0, ans)  # at zero, where there is no gradient, we say that it is zero
    if not keepdims:
        slope = slope.reshape([1 if k in axis else n for k, n in enumerate(x.shape)])
    return slope * (conjugate(x) if x.dtype.kind == "c" else x)


#: The root of the sum of squares along ``axis``, a tuple.
euclidean_norm: Primitive = operation("euclidean_norm", _euclidean_norm, _euclidean_norm_vjp, batch=over_axis)

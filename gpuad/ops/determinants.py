"""Determinants. That of a singular matrix has a derivative, too: the cofactors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.box import bottom, spec_of
from ..core.primitive import Primitive
from .batching import leading, stacked
from .contract import matmul
from .declare import constant, operation
from .decompositions import diagonal_matrix, svd
from .elementwise import imag, where
from .linalg import conj, h, inv, t
from .reduce import prod, sum_
from .shape import reshape, tril, triu


def _per_matrix(numbers: Any, x: Any) -> Any:
    return reshape(numbers, shape=(*x.shape[:-2], 1, 1), order="C")


def _vanishes(numbers: Any) -> bool:
    """Whether one of the numbers is zero; a device isn't asked."""
    numbers = bottom(numbers)
    return isinstance(numbers, (np.ndarray, np.generic)) and not np.all(numbers)


# -- determinants -------------------------------------------------------------------------------------
det: Primitive = operation(
    "det", lambda xp, x: xp.linalg.det(x), lambda g, ans, x: _per_matrix(g, x) * cofactors(x, ans), batch=leading
)


def _cofactors(xp: Any, x: Any, value: Any) -> Any:
    if not _vanishes(value):
        return value[..., None, None] * xp.swapaxes(xp.linalg.inv(x), -1, -2)
    u, s, vh = xp.linalg.svd(x)
    others = xp.prod(xp.where(xp.eye(s.shape[-1], dtype=bool), s.dtype.type(1.0), s[..., None, :]), axis=-1)
    return (xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None] * xp.conj(xp.matmul(u * others[..., None, :], vh))


def _cofactors_vjp(g: Any, ans: Any, x: Any, value: Any) -> Any:
    if _regular(x, ans, value):
        total = sum_(g * ans, axis=(len(x.shape) - 2, len(x.shape) - 1), keepdims=True)
        return (total * ans - matmul(ans, matmul(t(g), ans))) / _per_matrix(value, x)
    # The adjugate of a product is the product of the adjugates, and that of a diagonal matrix has products of all
    # but two entries for derivatives.
    u, s, vh = svd(x, full_matrices=False)
    products = prod(where(left_out(s), 1.0, s[..., None, None, :]), axis=len(x.shape))
    products = triu(products, k=1) + tril(products, k=-1)
    slopes = matmul(h(u), matmul(g, h(vh)))
    middle = diagonal_matrix(matmul(products, slopes.diagonal(0, -2, -1)[..., None])[..., 0]) - products * t(slopes)
    return _per_matrix(det(u) * det(vh), x) * matmul(conj(u), matmul(middle, conj(vh)))


def _regular(x: Any, cofactors: Any, value: Any) -> bool:
    """Whether matrices are so far from singular that nothing is lost by dividing by their determinants.

    A device isn't asked: there the answer is no.
    """
    x, cofactors, value = bottom(x), bottom(cofactors), bottom(value)
    if not isinstance(x, np.ndarray):
        return False
    sizes = np.linalg.norm(x, axis=(-2, -1)) * np.linalg.norm(cofactors, axis=(-2, -1))
    return not np.any(sizes >= float(np.finfo(x.dtype).eps) ** -0.25 * np.abs(value))


def _left_out(xp: Any, s: Any) -> Any:
    n = s.shape[-1]
    one = xp.eye(n, dtype=bool)
    return xp.broadcast_to(one[:, None, :] | one[None, :, :], (*s.shape[:-1], n, n, n))


#: For each pair (i, j), which numbers aren't in the product of all others.
left_out = constant("left_out", _left_out, batch=leading)

#: The derivatives of the determinant, which is given too. The rule is for both arguments.
cofactors: Primitive = operation("cofactors", _cofactors, _cofactors_vjp, None, batch=stacked)


# -- logarithms ---------------------------------------------------------------------------------------
def _slogdet_vjp(g: Any, ans: Any, x: Any) -> Any:
    # log det x = log|det x| + i·(the angle of its sign)
    for_sign, slope = g
    if for_sign is not None and spec_of(x).dtype.kind == "c":
        turn = 1j * imag(for_sign * ans[0])
        slope = turn if slope is None else slope + turn
    if slope is None:
        return x * 0.0
    if _vanishes(ans[0]):  # then there is no derivative, which mustn't concern the others of a stack
        x = where(_per_matrix(ans[0], x) == 0.0, np.nan, x)
    return _per_matrix(slope, x) * t(inv(x))


#: The sign of the determinant and the logarithm of its size.
slogdet: Primitive = operation("slogdet", lambda xp, x: tuple(xp.linalg.slogdet(x)), _slogdet_vjp, batch=leading)

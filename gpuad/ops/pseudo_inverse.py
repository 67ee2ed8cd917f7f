"""The pseudo-inverse of what is kept of a matrix where small singular values are cut off.

With ``x = u diag(s) vᴴ``, of which the largest values are kept, the pseudo-inverse ``p`` is ``v diag(1/s) uᴴ`` of
these, and ``c`` is what is cut off, ``u diag(s) vᴴ`` of the others. Both are functions of x by way of its singular
values, whose derivative has a block where kept vectors meet others (Noferini, "A formula for the Fréchet derivative
of a generalized matrix function", SIAM Journal on Matrix Analysis and Applications 38, 2017). That block solves the
equation of ``stein``, which has no singular vectors in it; so equal values do no harm, to any order. Where nothing is
cut off it is known, and the derivative is that of Golub and Pereyra, SIAM Journal on Numerical Analysis 10 (1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Primitive
from .batching import leading
from .contract import matmul
from .declare import operation
from .decompositions import refuse
from .linalg import conj, h, t


def _stein(xp: Any, p: Any, c: Any, q: Any) -> Any:
    epsilon = float(np.finfo(q.dtype).eps)
    if not q.size or (isinstance(q, np.ndarray) and _without(p, c, epsilon)):
        return q
    kept, p_vectors = xp.linalg.svd(p, full_matrices=False)[1:]
    cut, c_vectors = xp.linalg.svd(c, full_matrices=False)[1:]
    quotients = kept[..., :, None] * cut[..., None, :]
    quotients = refuse(
        xp,
        quotients * quotients,
        quotients > 1.0 - 8.0 * epsilon,
        otherwise="pinv, lstsq: of two singular values that are equal, up to rounding, one is cut off and one isn't. "
        "There is no derivative; choose another rcond",
    )
    middle = xp.matmul(xp.matmul(p_vectors, q), _adjoint(xp, c_vectors)) * (quotients / (1.0 - quotients))
    return q + xp.matmul(_adjoint(xp, p_vectors), xp.matmul(middle, c_vectors))


def _without(p: np.ndarray, c: np.ndarray, epsilon: float) -> bool:
    """Whether what is cut off is too small to be seen."""
    sizes = np.linalg.norm(p, axis=(-2, -1)) * np.linalg.norm(c, axis=(-2, -1))
    return bool(np.all(sizes * sizes < epsilon / 16.0))


def _adjoint(xp: Any, x: Any) -> Any:
    return xp.conj(xp.swapaxes(x, -1, -2))


def _pairs(p: Any, c: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Adjoint to ``(dpᴴ p + pᴴ dp) x cᴴ c + pᴴ p x (dcᴴ c + cᴴ dc)`` at ``y``, without the larger of the squares."""
    if x.shape[-2] >= x.shape[-1]:
        px, py, square = matmul(p, x), matmul(p, y), matmul(h(c), c)
        for_p = matmul(matmul(px, square), h(y)) + matmul(matmul(py, square), h(x))
        return for_p, matmul(c, matmul(h(py), px) + matmul(h(px), py))
    xc, yc, square = matmul(x, h(c)), matmul(y, h(c)), matmul(h(p), p)
    for_c = matmul(h(yc), matmul(square, x)) + matmul(h(xc), matmul(square, y))
    return matmul(p, matmul(xc, h(yc)) + matmul(yc, h(xc))), for_c


def _stein_vjp(k: int) -> Any:
    return lambda g, ans, p, c, q: conj(_pairs(p, c, ans, stein(p, c, conj(g)))[k])


#: ``x`` for ``x - pᴴ p x cᴴ c = q``.
stein: Primitive = operation(
    "stein",
    _stein,
    _stein_vjp(0),
    _stein_vjp(1),
    lambda g, ans, p, c, q: conj(stein(p, c, conj(g))),
    batch=leading,
)


def _kept_and_cut(xp: Any, x: Any, *, rcond: Any, atol: Any) -> tuple[Any, Any]:
    if not x.size:
        return xp.swapaxes(x, -1, -2), x
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    keep = s > (rcond[..., None] if hasattr(rcond, "shape") else rcond) * xp.max(s, axis=-1, keepdims=True) + atol
    inverse = xp.where(keep, 1.0 / xp.where(keep, s, s.dtype.type(1.0)), s.dtype.type(0.0))
    p = xp.matmul(_adjoint(xp, vh), inverse[..., None] * _adjoint(xp, u))
    return p, xp.matmul(u * xp.where(keep, s.dtype.type(0.0), s)[..., None, :], vh)


def _kept_and_cut_vjp(g: Any, ans: Any, x: Any, *, rcond: Any, atol: Any) -> Any:
    gp, gc = (None if part is None else conj(part) for part in g)
    p, c = ans
    kept_columns = matmul(p, x)
    total = beside = below = None
    if gp is not None:
        total = -matmul(h(p), matmul(gp, h(p)))
        beside, below = matmul(h(p), matmul(p, h(gp))), matmul(h(gp), matmul(p, h(p)))
    if gc is not None:
        rows, columns = matmul(x, matmul(p, gc)), matmul(gc, kept_columns)
        rest = gc - matmul(rows, kept_columns)
        total = rest if total is None else total + rest
        beside = -rows if beside is None else beside - rows
        below = -columns if below is None else below - columns
    beside, below = stein(p, c, beside), h(stein(h(p), h(c), h(below)))
    total = total + (beside - matmul(beside, kept_columns)) + matmul(c, matmul(h(beside), h(p)))
    return conj(total + (below - matmul(x, matmul(p, below))) + matmul(h(p), matmul(h(below), c)))


#: The pseudo-inverse of what is kept of matrices that aren't wider than high, and what is cut off: singular values up
#: to ``atol`` plus ``rcond`` times the largest.
kept_and_cut: Primitive = operation("pinv", _kept_and_cut, _kept_and_cut_vjp, batch=leading)


def pinv(x: Any, rcond: Any, atol: Any = 0.0) -> Any:
    """The pseudo-inverse, for singular values above ``atol`` plus ``rcond`` times the largest."""
    if x.shape[-1] > x.shape[-2]:
        return t(pinv(t(x), rcond, atol))
    return kept_and_cut(x, rcond=rcond, atol=atol)[0]

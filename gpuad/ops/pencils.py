"""Eigenvalues of two matrices, ``a v = w b v``. Imported for ``scipy.linalg`` alone.

The rules are those of one matrix, for the change ``da - w db`` instead of ``da``.
"""

from __future__ import annotations

from typing import Any

from ..core.primitive import Primitive
from .batching import looped
from .contract import matmul
from .declare import fit, operation, real
from .decompositions import (
    diagonal_matrix,
    eig_jvp,
    eig_vjp,
    eigen_middle,
    eigh_jvp,
    eigh_vjp,
    hermitian,
    moved_in_basis,
    of_triangle,
    repeats,
)
from .linalg import conj, h, solve, t


def _eigh(xp: Any, x: Any, *, lower: bool, driver: Any) -> tuple[Any, Any]:
    try:
        theirs = xp.scipy.linalg.eigh
    except AttributeError:  # of CuPy's namespaces only NumPy's has one
        return tuple(xp.linalg.eigh(x, "L" if lower else "U"))
    return tuple(theirs(x, lower=lower, driver=driver))


#: As ``eigh`` and ``eig``; the signs of the vectors depend on the routine that finds them, which is SciPy's here.
scipy_eigh: Primitive = operation(
    "scipy.linalg.eigh",
    _eigh,
    lambda g, ans, x, *, lower, driver: eigh_vjp(g, ans, x, lower=lower),
    jvp=lambda tangents, ans, x, *, lower, driver: eigh_jvp(tangents, ans, x, lower=lower),
    batch=looped,
)


def _eig(xp: Any, *matrices: Any) -> tuple[Any, Any]:
    """Eigenvalues that are real if the vectors are, and complex if these are. SciPy's are always complex."""
    try:
        theirs = xp.scipy.linalg.eig
    except AttributeError:
        theirs = xp.linalg.eig  # of one matrix
    w, v = theirs(*matrices)
    return (w if v.dtype.kind == "c" else w.real), v


scipy_eig: Primitive = operation("scipy.linalg.eig", _eig, eig_vjp, jvp=eig_jvp, finish=fit, batch=looped)


# -- Hermitian a, positive definite b -----------------------------------------------------------------
def _pair_vjp_a(g: Any, ans: Any, a: Any, b: Any, *, lower: bool) -> Any:
    v = ans[1]
    return of_triangle(matmul(matmul(conj(v), eigen_middle(g, ans, "eigh")), t(v)), lower)


def _pair_vjp_b(g: Any, ans: Any, a: Any, b: Any, *, lower: bool) -> Any:
    w, v = ans
    middle = eigen_middle(g, ans, "eigh") * w[..., None, :]
    if g[1] is not None:  # the vectors have length 1 in the metric of b
        middle = middle + diagonal_matrix(0.5 * matmul(t(v), g[1]).diagonal(0, -2, -1))
    return of_triangle(-matmul(matmul(conj(v), middle), t(v)), lower)


def _pair_jvp(tangents: Any, ans: Any, a: Any, b: Any, *, lower: bool) -> Any:
    w, v = ans
    da, db = (None if d is None else matmul(matmul(h(v), hermitian(d, lower)), v) for d in tangents)
    change = _change(da, None if db is None else db * w[..., None, :])
    turn = moved_in_basis(change, w[..., None, :] - w[..., :, None], repeats(w))
    if db is not None:
        turn = turn - diagonal_matrix(0.5 * db.diagonal(0, -2, -1))
    return real(change.diagonal(0, -2, -1)), matmul(v, turn)


def _change(da: Any, wdb: Any) -> Any:
    return da if wdb is None else -wdb if da is None else da - wdb


#: Eigenvalues, and vectors with ``vᴴ b v = 1``. Of each matrix one triangle is read.
eigh_pair: Primitive = operation(
    "eigh_pair",
    lambda xp, a, b, *, lower: tuple(xp.scipy.linalg.eigh(a, b, lower=lower)),
    _pair_vjp_a,
    _pair_vjp_b,
    jvp=_pair_jvp,
    finish=fit,
    batch=looped,
)


# -- any a and b --------------------------------------------------------------------------------------
def _general_vjp_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    v = ans[1]
    return solve(t(matmul(b, v)), matmul(eigen_middle(g, ans, "eig"), t(v)))


def _general_vjp_b(g: Any, ans: Any, a: Any, b: Any) -> Any:
    w, v = ans
    return -solve(t(matmul(b, v)), matmul(eigen_middle(g, ans, "eig") * w[..., None, :], t(v)))


def _general_jvp(tangents: Any, ans: Any, a: Any, b: Any) -> Any:
    w, v = ans
    da, db = (None if d is None else matmul(d, v) for d in tangents)
    change = solve(matmul(b, v), _change(da, None if db is None else db * w[..., None, :]))
    turn = moved_in_basis(change, w[..., None, :] - w[..., :, None], repeats(w))
    return change.diagonal(0, -2, -1), matmul(v, turn)


#: Eigenvalues and vectors; the derivatives of the vectors are right up to a multiple of each.
eig_pair: Primitive = operation(
    "eig_pair",
    _eig,
    _general_vjp_a,
    _general_vjp_b,
    jvp=_general_jvp,
    finish=fit,
    batch=looped,
)

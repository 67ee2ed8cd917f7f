"""Decompositions of matrices, and of stacks of them.

Where only one triangle of a matrix is read (``cholesky``, ``eigh``), the gradient is zero on the other.

The vectors of an eigenvalue or singular value that repeats are any basis of their space, and have no derivative.
What can't be known for that reason is refused, by ``defined``. Of the phases of complex vectors, which are free
too, the derivative is taken that leaves them, as in JAX and autograd; ``numpy.linalg.eig`` alone fixes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.box import spec_of
from ..core.primitive import Primitive
from ..errors import UnsupportedError
from .batching import leading, of_filled, stacked
from .contract import matmul
from .declare import constant, fit, operation, real
from .elementwise import imag, stop_gradient, where
from .index import Arrays, Region
from .linalg import conj, h, solve, t
from .reduce import sum_
from .shape import concatenate, from_diagonal, tril, triu


# -- triangles and diagonals --------------------------------------------------------------------------
def diagonal_matrix(x: Any) -> Any:
    n = len(x.shape)
    return from_diagonal(x, shape=(*x.shape, x.shape[-1]), offset=0, axis1=n - 1, axis2=n)


def half_lower(x: Any) -> Any:
    """The lower triangle, with half the diagonal."""
    return 0.5 * (tril(x, k=0) + tril(x, k=-1))


def hermitian(x: Any, lower: bool) -> Any:
    """The Hermitian matrix of which one triangle is that of ``x``."""
    half = half_lower(x) if lower else 0.5 * (triu(x, k=0) + triu(x, k=1))
    return half + h(half)


def of_triangle(g: Any, lower: bool) -> Any:
    """The cotangent of a Hermitian matrix as that of the one triangle that stands for it."""
    g = g + h(g)
    return half_lower(g) if lower else 0.5 * (triu(g, k=0) + triu(g, k=1))


# -- what can't be known ------------------------------------------------------------------------------
def refuse(xp: Any, x: Any, bad: Any, *, otherwise: str) -> Any:
    """``x``, unless something is ``bad``: an error that says ``otherwise``; on a device, NaN in these places."""
    if isinstance(bad, (np.ndarray, np.generic)):
        if bad.any():
            raise UnsupportedError(otherwise)
        return x
    return xp.where(bad, x.dtype.type(np.nan), x)  # to ask a device would be to wait for it


#: The same as an operation.
defined: Primitive = operation("defined", refuse, lambda g, ans, x, bad, *, otherwise: g, None, batch=of_filled)


def _close(xp: Any, x: Any, y: Any) -> Any:
    """Whether entries of ``x`` are those of ``y``, as far as rounding lets one see beside the largest of ``x``."""
    size = xp.abs(x)
    tolerance = 4.0 * float(np.finfo(x.dtype).eps)
    return xp.abs(x - y) <= tolerance * xp.max(size, axis=(-2, -1), keepdims=True)


def _repeats(xp: Any, w: Any) -> Any:
    pairs = w[..., :, None] + xp.zeros_like(w)[..., None, :]
    return _close(xp, pairs, xp.swapaxes(pairs, -1, -2)) if w.shape[-1] else xp.zeros(pairs.shape, bool)


#: Which pairs of the numbers are one number, up to rounding; true on the diagonal.
repeats = constant("repeats", _repeats, batch=leading)


def _undecided(xp: Any, same: Any, gaps: Any, *parts: Any, read: tuple[bool, ...] | None) -> Any:
    used = parts[0] != 0.0
    for part in parts[1:]:
        used = used | (part != 0.0)
    single = xp.diagonal(used, 0, -2, -1)
    # A vector that is multiplied by its value, which is zero, has no cotangent; but the value has one.
    used = used | xp.swapaxes(used, -1, -2) | single[..., :, None] | single[..., None, :]
    # Where the numbers are equal to the last bit, a function that is zero there may be hidden in 0 / 0. One that is
    # zero for two that rounding tells apart is flat.
    hidden = gaps == 0.0
    if read is not None:
        ours = xp.asarray(list(read))
        hidden = hidden & (ours[:, None] | ours)
    return same & (used | hidden) & ~xp.eye(same.shape[-1], dtype=bool)


#: The pairs (i, j) of one number about whose vectors or values the entries of ``parts`` say something. Of the vectors,
#: those that were ``read`` count (``None``: all).
undecided = constant("undecided", _undecided, batch=leading)


def over_gaps(numerators: Any, gaps: Any, same: Any, used: tuple[Any, ...], read: Read, name: str, values: str) -> Any:
    """``numerators / gaps``, zero where the gap is none and the vectors weren't ``used``."""
    return defined(
        where(same, 0.0, numerators) / where(same, 1.0, gaps),
        undecided(same, gaps, *used, read=read),
        otherwise=f"{name}: two {values} are equal, up to rounding, so that their vectors are any basis of a plane and "
        f"have no derivative. What has one are functions of the {values} alone, and of vectors of single ones. Take "
        "these from the result itself, as v[:, :k]",
    )


#: Which vectors were read, where one knows it.
Read = tuple[bool, ...] | None


def read_vectors(g: Any, k: int, x: Any, axis: int) -> Read:
    """Which of the vectors in ``x``, the ``k``-th result, were read; they are numbered along ``axis``."""
    indices = getattr(g, "indices", {}).get(k)
    if indices is None:
        return None
    seen = np.zeros(x.shape, bool)
    for index in indices:
        if type(index) is Region or (type(index) is Arrays and not all(map(_on_host, index.arrays))):
            return None
        seen[index.whole() if type(index) is Arrays else index] = True
    others = tuple(i for i in range(seen.ndim) if i != seen.ndim + axis)
    return tuple(np.asarray(seen.any(axis=others)).tolist())


def _on_host(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def any_read(reads: list[Read], k: int) -> Read:
    """Which of the first ``k`` vectors were read, from one of several results."""
    known = [r[:k] for r in reads if r is not None]
    return tuple(map(any, zip(*known, strict=True))) if len(known) == len(reads) else None


def _turns(xp: Any, basis: Any, g: Any) -> Any:
    turn = xp.matmul(xp.swapaxes(basis, -1, -2), g)
    size = xp.max(xp.abs(g), axis=(-2, -1), keepdims=True) if g.size else 0.0
    turning = xp.abs(turn - xp.conj(xp.swapaxes(turn, -1, -2))) > float(np.finfo(g.dtype).eps) ** 0.5 * size
    return xp.any(turning, axis=(-2, -1))[..., None, None]


#: Whether a function with cotangent ``g`` changes when ``basis`` turns within its space.
turns = constant("turns", _turns, batch=leading)


#: Whether anything in a matrix isn't zero.
matters = constant("matters", lambda xp, x: xp.any(x != 0.0, axis=(-2, -1))[..., None, None], batch=leading)


def _of_first_columns(g: Any, q: Any, k: int, name: str) -> Any:
    """The cotangent of the first ``k`` columns of the unitary ``q``, from that of all.

    The others are any basis of what the first leave over. A function may depend on their space only, and then
    the derivative that doesn't turn them is as good as any.
    """
    if q.shape[-1] == k:
        return g
    rest, for_rest = q[..., k:], g[..., k:]
    for_rest = defined(
        for_rest,
        turns(rest, for_rest),
        otherwise=f"{name}: the vectors from number {k} on are any basis of the space that the others leave over, so "
        "that a function of them has no derivative, unless it depends on that space alone, as a projection does",
    )
    # How the others move isn't known to forward mode, which needn't be asked where they don't matter.
    moved = conj(matmul(matmul(rest, t(for_rest)), q[..., :k]))
    return g[..., :k] - where(matters(for_rest), moved, 0.0)


# -- Cholesky -----------------------------------------------------------------------------------------
def _cholesky_vjp(g: Any, ans: Any, x: Any) -> Any:
    # Murray, arXiv:1602.07527 (2016)
    g = solve(t(ans), half_lower(matmul(t(ans), g)))
    return of_triangle(t(solve(h(ans), t(g))), True)


#: The lower triangular factor; of ``x``, the lower triangle is read.
cholesky: Primitive = operation("cholesky", lambda xp, x: xp.linalg.cholesky(x), _cholesky_vjp, batch=leading)


# -- eigenvalues --------------------------------------------------------------------------------------
def eigen_middle(g: Any, ans: Any, name: str, normalised: Any = None) -> Any:
    """The cotangent of ``v⁻¹ dx v``, which has the derivatives of the eigenvalues on its diagonal."""
    gw, gv = g
    w, v = ans
    if gv is None:
        return diagonal_matrix(gw)
    m = matmul(t(v), gv if normalised is None else normalised(gv, v))
    off_diagonal = triu(m, k=1) + tril(m, k=-1)
    gaps = w[..., None, :] - w[..., :, None]
    read = read_vectors(g, 1, v, -1)
    if gw is None:
        return over_gaps(off_diagonal, gaps, repeats(w), (off_diagonal,), read, name, "eigenvalues")
    slopes = diagonal_matrix(gw)
    return over_gaps(off_diagonal, gaps, repeats(w), (off_diagonal, slopes), read, name, "eigenvalues") + slopes


def eigh_vjp(g: Any, ans: Any, x: Any, *, lower: bool) -> Any:
    v = ans[1]
    return of_triangle(matmul(matmul(conj(v), eigen_middle(g, ans, "eigh")), t(v)), lower)


def moved_in_basis(x: Any, gaps: Any, same: Any) -> Any:
    """``x / gaps`` off the diagonal, zero on it; NaN where the gap is none, for the vectors may move anywhere."""
    quotients = where(same, np.nan, x) / where(same, 1.0, gaps)
    return triu(quotients, k=1) + tril(quotients, k=-1)


def eigh_jvp(tangents: Any, ans: Any, x: Any, *, lower: bool) -> Any:
    w, v = ans
    change = matmul(matmul(h(v), hermitian(tangents[0], lower)), v)
    turn = moved_in_basis(change, w[..., None, :] - w[..., :, None], repeats(w))
    return real(change.diagonal(0, -2, -1)), matmul(v, turn)


#: Eigenvalues and vectors of a Hermitian matrix, of which one triangle is read.
eigh: Primitive = operation(
    "eigh",
    lambda xp, x, *, lower: tuple(xp.linalg.eigh(x, "L" if lower else "U")),
    eigh_vjp,
    jvp=eigh_jvp,
    batch=leading,
)


def _largest(xp: Any, v: Any) -> Any:
    if not v.size:
        return v != v
    return xp.arange(v.shape[-2])[:, None] == xp.argmax(xp.abs(v), axis=-2)[..., None, :]


#: Of each column, the entry that is largest.
largest = constant("largest", _largest, batch=leading)


def _of_units(g: Any, v: Any) -> Any:
    """The cotangent of vectors of any length and phase, of which ``v`` are those of length 1 that LAPACK gives.

    Of complex ones it makes the largest entry real.
    """
    if spec_of(v).dtype.kind == "c":
        first = where(largest(v), 1.0 / v, 0.0)
        g = g - 1j * first * imag(_column_sums(g * v))
    return g - conj(v) * real(_column_sums(g * v))


def _units_moved(dv: Any, v: Any) -> Any:
    """How such vectors move, where ones of any length and phase move along ``dv``."""
    if spec_of(v).dtype.kind == "c":
        dv = dv - 1j * v * imag(_column_sums(where(largest(v), dv / v, 0.0)))
    return dv - v * real(_column_sums(conj(v) * dv))


def _column_sums(x: Any) -> Any:
    return sum_(x, axis=(len(x.shape) - 2,), keepdims=True)


def eig_vjp(g: Any, ans: Any, x: Any) -> Any:
    v = ans[1]
    return solve(t(v), matmul(eigen_middle(g, ans, "eig", _of_units), t(v)))


def eig_jvp(tangents: Any, ans: Any, x: Any) -> Any:
    w, v = ans
    change = solve(v, matmul(tangents[0], v))
    turn = moved_in_basis(change, w[..., None, :] - w[..., :, None], repeats(w))
    return change.diagonal(0, -2, -1), _units_moved(matmul(v, turn), v)


#: Eigenvalues and vectors of any matrix.
eig: Primitive = operation(
    "eig", lambda xp, x: tuple(xp.linalg.eig(x)), eig_vjp, jvp=eig_jvp, finish=fit, batch=leading
)


# -- singular values ----------------------------------------------------------------------------------
def _svd_vjp(g: Any, ans: Any, x: Any, *, full_matrices: bool) -> Any:
    # The adjoint of the derivative that JAX takes: Townsend, "Differentiating the singular value decomposition"
    # (2016), with the term for complex phases of Wan and Zhang, arXiv:1909.02659. Here gu, gv and all that is made of
    # them are the conjugates of cotangents, so that the formulas have the adjoints that they have there.
    gu, gs, gvh = g
    read = [read_vectors(g, i, ans[i], axis) for i, axis in ((0, -1), (2, -2)) if g[i] is not None]
    u, s, v = ans[0], ans[1], h(ans[2])
    k = s.shape[-1]
    gu = None if gu is None else conj(_of_first_columns(gu, u, k, "svd"))
    gv = None if gvh is None else conj(_of_first_columns(h(gvh), v, k, "svd"))
    u, v = u[..., :k], v[..., :k]
    middle = None if gs is None else diagonal_matrix(gs)
    if gu is None and gv is None:
        return conj(matmul(matmul(u, middle), h(v)))
    ku = None if gu is None else matmul(h(u), gu)
    kv = None if gv is None else matmul(h(v), gv)
    numerators = None if ku is None else (ku - h(ku)) * s[..., None, :]
    if kv is not None:
        more = s[..., :, None] * (kv - h(kv))
        numerators = more if numerators is None else numerators + more
    off = tuple(triu(m, k=1) + tril(m, k=-1) for m in (ku, kv) if m is not None)
    used = off if middle is None else (*off, middle)
    gaps = (s[..., None, :] - s[..., :, None]) * (s[..., None, :] + s[..., :, None])
    quotients = over_gaps(numerators, gaps, repeats(s), used, any_read(read, k), "svd", "singular values")
    # Vectors that were added are of the same space as those of a value that is zero.
    read_zero = None if any(r is not None and any(r[k:]) for r in read) else any_read(read, k)
    middle = quotients if middle is None else middle + quotients
    if ku is not None and spec_of(ku).dtype.kind == "c":
        phases = imag(ku.diagonal(0, -2, -1))
        middle = middle + diagonal_matrix(1j * _over_values(phases[..., None, :], s, gs, read_zero)[..., 0, :])
    right = matmul(middle, h(v))
    if gv is not None and v.shape[-2] > k:
        right = right + h(_over_values(gv - matmul(v, kv), s, gs, read_zero))
    total = matmul(u, right)
    if gu is not None and u.shape[-2] > k:
        total = total + matmul(_over_values(gu - matmul(u, ku), s, gs, read_zero), h(v))
    return conj(total)


def _unknown_columns(xp: Any, vanish: Any, s: Any, x: Any, *slopes: Any, read: Read) -> Any:
    used = s[..., None, :] == 0.0
    if read is not None:
        used = used & xp.asarray(list(read))
    used = used | xp.any(x != 0.0, axis=-2, keepdims=True)
    if slopes:  # the square of a value that vanishes has a slope that does, up to rounding
        used = used | ~_close(xp, slopes[0][..., None, :], 0.0)
    return vanish & used


#: The columns of ``x`` that are to be divided by a value that vanishes, and that matter; as ``undecided``.
unknown_columns = constant("unknown_columns", _unknown_columns, batch=stacked)


def _vanish(xp: Any, s: Any) -> Any:
    s = s[..., None, :]
    return _close(xp, s, 0.0) if s.shape[-1] else xp.zeros(s.shape, bool)


#: Which of the numbers are zero, up to rounding beside the largest; as a row.
vanish = constant("vanish", _vanish, batch=leading)


def _over_values(x: Any, s: Any, slopes: Any, read: Read) -> Any:
    """The columns of ``x`` over the singular values."""
    zero = vanish(s)
    return defined(
        where(zero, 0.0, x) / where(zero, 1.0, s[..., None, :]),
        unknown_columns(zero, s, x, *(() if slopes is None else (slopes,)), read=read),
        otherwise="svd: a singular value is zero, up to rounding, so that its vectors have no derivative; functions of "
        "the singular values alone, and of the vectors of the other ones, have one",
    )


def _svd_jvp(tangents: Any, ans: Any, x: Any, *, full_matrices: bool) -> Any:
    u_full, s, v_full = ans[0], ans[1], h(ans[2])
    k = s.shape[-1]
    u, v = u_full[..., :k], v_full[..., :k]
    rows, columns = s[..., :, None], s[..., None, :]
    gaps, same, zero = (columns - rows) * (columns + rows), repeats(s), vanish(s)
    moved_v, moved_u = matmul(tangents[0], v), matmul(h(tangents[0]), u)
    change = matmul(h(u), moved_v)
    du = matmul(u, moved_in_basis(change * columns + rows * h(change), gaps, same))
    dv = matmul(v, moved_in_basis(rows * change + h(change) * columns, gaps, same))
    ds = change.diagonal(0, -2, -1)
    if spec_of(ds).dtype.kind == "c":
        du = du + u * (1j * _moved_by_values(imag(ds)[..., None, :], columns, zero))
    if u.shape[-2] > k:
        du = du + _moved_by_values(moved_v - matmul(u, change), columns, zero)
    if v.shape[-2] > k:
        dv = dv + _moved_by_values(moved_u - matmul(v, h(change)), columns, zero)
    return _with_rest(du, u_full, k), real(ds), h(_with_rest(dv, v_full, k))


def _moved_by_values(x: Any, values: Any, zero: Any) -> Any:
    return where(zero, np.nan, x) / where(zero, 1.0, values)


def _with_rest(moved: Any, q: Any, k: int) -> Any:
    """How the columns of ``q`` move of which the first ``k`` are ``moved``: the others may do so in any way."""
    n = q.shape[-1]
    if n == k:
        return moved
    return concatenate(moved, stop_gradient(q[..., k:]) * np.nan, axis=len(q.shape) - 1, starts=(0, k, n))


#: ``u``, ``s`` and ``vᴴ``.
svd: Primitive = operation(
    "svd",
    lambda xp, x, *, full_matrices: tuple(xp.linalg.svd(x, full_matrices)),
    _svd_vjp,
    jvp=_svd_jvp,
    batch=leading,
)


# -- QR -----------------------------------------------------------------------------------------------
def _qr_vjp(g: Any, ans: Any, x: Any, *, mode: str) -> Any:
    # Walter and Lehmann, arXiv:1009.6112 (2010), with the real diagonal of R that LAPACK gives complex matrices
    gq, gr = g
    q, r = ans
    k = x.shape[-1]
    gq = None if gq is None else _of_first_columns(gq, q, k, "qr")
    q, r = q[..., :k], r[..., :k, :]
    m = None if gr is None else matmul(r, t(gr[..., :k, :]))
    if gq is not None:
        overlap = matmul(t(gq), q)
        m = -overlap if m is None else m - overlap
    lower = half_lower(m)
    total = conj(matmul(q, lower + h(lower)))
    return t(solve(r, t(total if gq is None else total + gq)))


def _qr_jvp(tangents: Any, ans: Any, x: Any, *, mode: str) -> Any:
    q_full, r_full = ans
    k = x.shape[-1]
    q, r = q_full[..., :k], r_full[..., :k, :]
    moved = t(solve(t(r), t(tangents[0])))
    change = matmul(h(q), moved)
    # Of Q's part R leaves the diagonal real and nothing below it.
    below = tril(change, k=-1)
    turn = below - h(below)
    if spec_of(change).dtype.kind == "c":
        turn = turn + 1j * diagonal_matrix(imag(change.diagonal(0, -2, -1)))
    dr = matmul(change - turn, r)
    rows = r_full.shape[-2]
    if rows > k:
        dr = concatenate(dr, r_full[..., k:, :] * 0.0, axis=len(r_full.shape) - 2, starts=(0, k, rows))
    return _with_rest(moved + matmul(q, turn - change), q_full, k), dr


#: Q and R of matrices that aren't wider than high; ``mode`` is "reduced" or "complete".
qr: Primitive = operation(
    "qr", lambda xp, x, *, mode: tuple(xp.linalg.qr(x, mode)), _qr_vjp, jvp=_qr_jvp, batch=leading
)

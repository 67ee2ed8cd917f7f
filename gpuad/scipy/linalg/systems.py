"""Systems of equations, inverses, determinants, least squares and norms."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ...core.box import spec_of
from ...errors import UnsupportedError
from ...numpy.contractions import arrays
from ...numpy.decompositions import in_one_dtype, lapacks_cut, matrices, rank_of, svdvals
from ...numpy.frontend import functions, numpy_function
from ...ops import decompositions as d
from ...ops import determinants, structured
from ...ops import linalg as ops
from ...ops.contract import matmul
from ...ops.elementwise import absolute, stop_gradient
from ...ops.pseudo_inverse import pinv as pseudo_inverse
from ...ops.shape import tril, triu


# -- what is assumed of a matrix ----------------------------------------------------------------------
def _as_assumed(a: Any, assume_a: Any, lower: bool) -> Any:
    """The matrix that SciPy sees when it is told what ``a`` is: it doesn't read the rest."""
    if assume_a in (None, "gen", "general", "banded"):
        return a
    if assume_a in ("pos", "positive definite", "her", "hermitian"):
        return d.hermitian(a, lower)
    if assume_a in ("sym", "symmetric"):
        half = d.half_lower(a if lower else ops.t(a))
        return half + ops.t(half)
    if assume_a == "upper triangular":
        return triu(a, k=0)
    if assume_a == "lower triangular":
        return tril(a, k=0)
    widths = {"diagonal": 0, "tridiagonal": 1}
    if assume_a in widths:
        return tril(triu(a, k=-widths[assume_a]), k=widths[assume_a])
    raise ValueError(f"{assume_a} is not a recognized matrix structure")


@numpy_function("scipy.linalg.solve")
def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: Any = None, transposed: bool = False,
) -> Any:  # fmt: skip
    a, b = arrays(a, b)
    (a,) = matrices("solve", a, square=True)
    if transposed and spec_of(a).dtype.kind == "c":
        raise NotImplementedError(
            "scipy.linalg.solve can currently not solve a^T x = b or a^H x = b for complex matrices."
        )
    a = _as_assumed(a, assume_a, lower)
    return ops.solve(ops.t(a) if transposed else a, b)


@numpy_function("scipy.linalg.inv")
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False
) -> Any:
    (a,) = matrices("inv", a, square=True)
    return ops.inv(_as_assumed(a, assume_a, lower))


@numpy_function("scipy.linalg.det")
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    (a,) = matrices("det", a, square=True)
    return determinants.det(a)


# -- triangular, Cholesky, LU -------------------------------------------------------------------------
def _with_columns(solver: Any, b: Any) -> Any:
    """What ``solver`` makes of ``b`` where it takes matrices, and ``b`` may be a vector."""
    return solver(b[:, None])[..., 0] if b.ndim == 1 else solver(b)


@numpy_function("scipy.linalg.solve_triangular")
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    a, b = arrays(a, b)
    matrices("solve_triangular", a, square=True)
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: trans must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}")
    if trans not in (0, "N"):
        a, lower = (ops.t(a) if trans in (1, "T") else ops.h(a)), not lower
    return _triangular(a, b, bool(lower), bool(unit_diagonal))


def _triangular(a: Any, b: Any, lower: bool, unit_diagonal: bool = False) -> Any:
    return _with_columns(lambda c: structured.solve_triangular(a, c, lower=lower, unit_diagonal=unit_diagonal), b)


@numpy_function("scipy.linalg.cho_factor")
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """As :func:`scipy.linalg.cho_factor`; differentiable. The other triangle is zero."""
    return functions["scipy.linalg.cholesky"](a, lower=lower), lower


@numpy_function("scipy.linalg.cho_solve")
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    c, lower = c_and_lower
    c, b = arrays(c, b)
    first, second = (c, ops.h(c)) if lower else (ops.h(c), c)
    return _triangular(second, _triangular(first, b, True), False)


@numpy_function("scipy.linalg.lu")
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    (a,) = matrices("lu", a)
    p, left, right = structured.lu(a)
    p = stop_gradient(p)
    if permute_l:
        return matmul(p, left), right
    return (functions["argmax"](p, axis=-1) if p_indices else p), left, right


@numpy_function("scipy.linalg.lu_factor")
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    (a,) = matrices("lu_factor", a)
    _, left, right = structured.lu(a)
    rows, columns = a.shape[-2:]
    missing = [(0, 0)] * (a.ndim - 2)
    below = functions["pad"](tril(left, k=-1), [*missing, (0, 0), (0, max(columns - rows, 0))])
    above = functions["pad"](right, [*missing, (0, max(rows - columns, 0)), (0, 0)])
    return below + above, structured.lu_pivots(a)


@numpy_function("scipy.linalg.lu_solve")
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    both, pivots = lu_and_piv
    both, b = arrays(both, b)
    matrices("lu_solve", both, square=True)
    if trans not in (0, 1, 2):
        raise ValueError(f"lu_solve: trans must be 0, 1 or 2, got {trans!r}")
    if both.ndim > 2:
        raise UnsupportedError("lu_solve of a stack of traced matrices isn't supported; solve each by itself")
    order = structured.row_order(stop_gradient(both), stop_gradient(pivots))

    def solved(c: Any) -> Any:
        if trans == 0:
            return _triangular(both, _triangular(both, c[..., order, :], True, True), False)
        a = ops.t(both) if trans == 1 else ops.h(both)
        return _triangular(a, _triangular(a, c, True), False, True)[..., functions["argsort"](order), :]

    return _with_columns(solved, b)


# -- banded, Toeplitz ---------------------------------------------------------------------------------
@numpy_function("scipy.linalg.solve_banded")
def solve_banded(
    l_and_u: Any, ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    ab, b = arrays(ab, b)
    below, above = map(operator.index, l_and_u)
    if below + above + 1 != ab.shape[-2]:
        raise ValueError(
            f"invalid values for the number of lower and upper diagonals: l+u+1 ({below + above + 1}) does not equal "
            f"ab.shape[0] ({ab.shape[-2]})"
        )
    return _with_columns(lambda c: structured.solve_banded(ab, c, bands=(below, above)), b)


@numpy_function("scipy.linalg.solveh_banded")
def solveh_banded(
    ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    ab, b = arrays(ab, b)
    n = ab.shape[-2] - 1
    roll = functions["roll"]
    # The other half of the diagonals, each the conjugate of its mirror image.
    if lower:
        others = [roll(ops.conj(ab[..., k, :]), k, -1) for k in range(n, 0, -1)]
        rows = [*others, functions["real"](ab[..., 0, :]), *(ab[..., k, :] for k in range(1, n + 1))]
    else:
        others = [roll(ops.conj(ab[..., k, :]), k - n, -1) for k in range(n - 1, -1, -1)]
        rows = [*(ab[..., k, :] for k in range(n)), functions["real"](ab[..., n, :]), *others]
    return solve_banded((n, n), functions["stack"](rows, axis=-2), b)


@numpy_function("scipy.linalg.solve_toeplitz")
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    c, b = arrays(c, b)
    r = ops.conj(c) if r is None else arrays(r)[0]
    if c.ndim > 1 or r.ndim > 1 or b.ndim > 2:
        return ops.solve(functions["scipy.linalg.toeplitz"](c, r), b)
    values = functions["concatenate"]([r[:0:-1], c])
    return _with_columns(lambda columns: structured.solve_toeplitz(values, columns), b)


# -- least squares ------------------------------------------------------------------------------------
@numpy_function("scipy.linalg.pinv")
def pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True) -> Any:
    """As :func:`scipy.linalg.pinv`; differentiable. How many singular values are cut off is constant."""
    (a,) = matrices("pinv", a)
    atol = 0.0 if atol is None else float(atol)
    rtol = max(a.shape[-2:]) * float(np.finfo(spec_of(a).dtype).eps) if rtol is None else float(rtol)
    if atol < 0.0 or rtol < 0.0:
        raise ValueError("atol and rtol values must be positive.")
    found = pseudo_inverse(a, rtol, atol)
    if not return_rank:
        return found
    s = stop_gradient(svdvals(a))
    return found, functions["sum"](s > atol + rtol * s[..., :1], axis=-1)


@numpy_function("scipy.linalg.pinvh")
def pinvh(
    a: Any, atol: Any = None, rtol: Any = None, lower: bool = True, return_rank: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    (a,) = matrices("pinvh", a, square=True)
    return pinv(d.hermitian(a, bool(lower)), atol=atol, rtol=rtol, return_rank=return_rank)


@numpy_function("scipy.linalg.lstsq")
def lstsq(
    a: Any, b: Any, cond: Any = None, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
    lapack_driver: Any = None,
) -> Any:  # fmt: skip
    """As :func:`scipy.linalg.lstsq`; differentiable. How many singular values are cut off is constant."""
    a, b = in_one_dtype(*arrays(a, b))
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ValueError(f"lstsq: a matrix and right sides of its height are needed, got {a.shape} and {b.shape}")
    epsilon = float(np.finfo(spec_of(a).dtype).eps)
    cond = epsilon if cond is None else float(cond)
    if lapack_driver in (None, "gelsd"):
        cond = lapacks_cut(a, cond)
    elif lapack_driver == "gelss" and cond < 0.0:
        cond = 0.5 * epsilon
    s = svdvals(a)
    rank = rank_of(s, cond)
    if lapack_driver == "gelsy" and rank < min(a.shape):
        raise UnsupportedError(
            "lstsq of a traced matrix that hasn't full rank knows no lapack_driver='gelsy', which cuts off something "
            "else than singular values; leave it out"
        )
    x = matmul(pseudo_inverse(a, cond), b)
    left = s[:0]
    if rank == a.shape[1] < a.shape[0] and lapack_driver != "gelsy":
        miss = absolute(b - matmul(a, x))
        left = functions["sum"](miss * miss, axis=0)
    return x, left, rank, None if lapack_driver == "gelsy" else s


@numpy_function("scipy.linalg.norm")
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:
    return functions["linalg.norm"](a, ord, axis, keepdims)

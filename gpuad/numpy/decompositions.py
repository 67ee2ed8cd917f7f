"""``numpy.linalg`` where it decomposes matrices: imported when a program first uses it on traced arrays."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import bottom, innermost, spec_of
from ..errors import UnsupportedError
from ..ops import decompositions as d
from ..ops import determinants
from ..ops import linalg as systems
from ..ops.contract import matmul
from ..ops.declare import astype
from ..ops.elementwise import absolute, divide, sign, stop_gradient
from ..ops.pseudo_inverse import pinv as pseudo_inverse
from .contractions import arrays
from .frontend import functions, numpy_function, plain_backend

_one = np.eye(1)
_SVDResult: Any = type(np.linalg.svd(_one))
_EigResult: Any = type(np.linalg.eig(_one))
_EighResult: Any = type(np.linalg.eigh(_one))
_QRResult: Any = type(np.linalg.qr(_one))
_SlogdetResult: Any = type(np.linalg.slogdet(_one))


def matrices(name: str, *args: Any, square: bool = False) -> list[Any]:
    """The arguments as stacks of matrices."""
    found = arrays(*args)
    for x in found:
        if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
            raise np.linalg.LinAlgError(
                f"{name}: expected {'square ' if square else ''}matrices, got an array of shape {x.shape}"
            )
    return found


# -- determinants -------------------------------------------------------------------------------------
@numpy_function("linalg.det")
def det(a: Any) -> Any:
    return determinants.det(*matrices("det", a, square=True))


@numpy_function("linalg.slogdet")
def slogdet(a: Any) -> Any:
    """As :func:`numpy.linalg.slogdet`; differentiable. The gradient at singular matrices is NaN."""
    return _SlogdetResult(*determinants.slogdet(*matrices("slogdet", a, square=True)))


# -- Cholesky, QR -------------------------------------------------------------------------------------
@numpy_function("linalg.cholesky")
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    (a,) = matrices("cholesky", a, square=True)
    return systems.h(d.cholesky(systems.h(a))) if upper else d.cholesky(a)


@numpy_function("linalg.qr")
def qr(a: Any, mode: str = "reduced") -> Any:
    (a,) = matrices("qr", a)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: of a traced array, mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    rows, columns = a.shape[-2:]
    # The first columns say what Q is.
    q, r = d.qr(a[..., :rows] if columns > rows else a, mode="reduced" if mode == "r" else mode)
    if columns > rows:
        r = functions["concatenate"]([r, matmul(systems.h(q), a[..., rows:])], axis=-1)
    return r if mode == "r" else _QRResult(q, r)


# -- eigenvalues --------------------------------------------------------------------------------------
def _lower(UPLO: str) -> bool:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f"UPLO argument must be 'L' or 'U', got {UPLO!r}")
    return UPLO.upper() == "L"


@numpy_function("linalg.eigh")
def eigh(a: Any, UPLO: str = "L") -> Any:
    """As :func:`numpy.linalg.eigh`; differentiable. The gradient is that of the triangle that is read.

    Vectors of equal eigenvalues have no derivative, and a function of them is refused. What depends on the
    phases of complex vectors, which are arbitrary, is differentiated as if these stayed.
    """
    (a,) = matrices("eigh", a, square=True)
    return _EighResult(*d.eigh(a, lower=_lower(UPLO)))


@numpy_function("linalg.eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO)[0]


@numpy_function("linalg.eig")
def eig(a: Any) -> Any:
    """As :func:`numpy.linalg.eig`; differentiable.

    Vectors have length 1, and their largest entry is real where they are complex: the derivative knows that.
    """
    (a,) = matrices("eig", a, square=True)
    return _EigResult(*d.eig(a))


@numpy_function("linalg.eigvals")
def eigvals(a: Any) -> Any:
    (a,) = matrices("eigvals", a, square=True)
    return d.eig(a)[0]


# -- singular values ----------------------------------------------------------------------------------
@numpy_function("linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """As :func:`numpy.linalg.svd`; differentiable. Vectors of singular values that are equal or zero are refused.

    With ``full_matrices`` a function may depend on the additional vectors by way of the space alone that they
    span. Phases of complex vectors are taken to stay, as in :func:`eigh`.
    """
    (a,) = matrices("svd", a)
    if hermitian:
        return _svd_of_hermitian(a, compute_uv)
    parts = d.svd(a, full_matrices=bool(full_matrices and compute_uv))
    return _SVDResult(*parts) if compute_uv else parts[1]


def _svd_of_hermitian(a: Any, compute_uv: bool) -> Any:
    w, v = eigh(a)
    size = absolute(w)
    order = functions["argsort"](stop_gradient(size), axis=-1)[..., ::-1]
    s = functions["take_along_axis"](size, order, -1)
    if not compute_uv:
        return s
    signs = functions["take_along_axis"](sign(w), order, -1)
    u = functions["take_along_axis"](v, order[..., None, :], -1)
    return _SVDResult(u, s, systems.h(u * signs[..., None, :]))


@numpy_function("linalg.svdvals")
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


@numpy_function("linalg.cond")
def cond(x: Any, p: Any = None) -> Any:
    (x,) = matrices("cond", x)
    if p is None or p in (2, -2):
        s = svdvals(x)
        return divide(s[..., 0], s[..., -1]) if p != -2 else divide(s[..., -1], s[..., 0])
    size = functions["linalg.matrix_norm"]
    return size(x, ord=p) * size(systems.inv(x), ord=p)


@numpy_function("linalg.matrix_rank")
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    options = {"tol": tol, "rtol": rtol} | ({"hermitian": True} if hermitian else {})
    given = {name: stop_gradient(value) for name, value in options.items() if value is not None}
    A = innermost(stop_gradient(A))
    return plain_backend("matrix_rank", [A]).function("linalg.matrix_rank")(A, **given)


# -- inverses of what has none ------------------------------------------------------------------------
@numpy_function("linalg.pinv")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """As :func:`numpy.linalg.pinv`; differentiable. How many singular values are cut off is constant."""
    (a,) = matrices("pinv", a)
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else rtol
        if rcond is None:
            rcond = _rounding(a)
    elif rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    rcond = stop_gradient(rcond if isinstance(rcond, (float, int)) else arrays(rcond)[0])
    return pseudo_inverse(d.hermitian(a, True) if hermitian else a, rcond)


def _rounding(a: Any) -> float:
    return float(max(a.shape[-2:]) * np.finfo(spec_of(a).dtype).eps)


def lapacks_cut(a: Any, rcond: Any) -> float:
    """What LAPACK's ``gelsd`` makes of ``rcond``: outside of (0, 1) it takes its own rounding, half an ``eps``."""
    return float(rcond) if 0.0 < rcond < 1.0 else 0.5 * float(np.finfo(spec_of(a).dtype).eps)


def in_one_dtype(a: Any, b: Any) -> list[Any]:
    dtypes = [spec_of(x).dtype for x in (a, b)]
    common = np.result_type(*dtypes)
    return [x if dtype == common else astype(x, dtype=common) for x, dtype in zip((a, b), dtypes, strict=True)]


def rank_of(s: Any, cut: float) -> int:
    """How many of the singular values ``s`` count, by their part of the largest."""
    ranks = bottom(functions["sum"](stop_gradient(s) > cut * stop_gradient(s)[:1]))
    found = {*backend_of((ranks,)).to_numpy(ranks).reshape(-1).tolist()}
    if len(found) > 1:
        raise UnsupportedError(
            f"lstsq under gpuad.vmap: the matrices of the examples are of ranks {sorted(found)}, so that the results "
            "have different shapes. Take pinv(a) @ b instead"
        )
    return found.pop() if found else len(s)


@numpy_function("linalg.lstsq")
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = in_one_dtype(*arrays(a, b))
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise np.linalg.LinAlgError(
            f"lstsq: a matrix and right sides of its height are needed, got {a.shape}, {b.shape}"
        )
    rcond = lapacks_cut(a, _rounding(a) if rcond is None else rcond)
    x = matmul(pseudo_inverse(a, rcond), b)
    s = svdvals(a)
    rank = np.int32(rank_of(s, rcond))
    if rank < a.shape[1] or a.shape[0] <= a.shape[1]:
        left = s[:0]
    else:
        miss = absolute(b - matmul(a, x))
        left = functions["sum"](miss * miss, axis=0).reshape(-1)
    return x, left, rank, s


# -- tensors ------------------------------------------------------------------------------------------
@numpy_function("linalg.tensorinv")
def tensorinv(a: Any, ind: int = 2) -> Any:
    (a,) = arrays(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    rows = int(np.prod(a.shape[ind:]))
    return systems.inv(a.reshape((-1, rows) if rows else (0, 0))).reshape(a.shape[ind:] + a.shape[:ind])


@numpy_function("linalg.tensorsolve")
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = arrays(a, b)
    if axes is not None:
        last = [operator.index(k) % a.ndim for k in axes]
        a = functions["transpose"](a, [k for k in range(a.ndim) if k not in last] + last)
    shape = a.shape[b.ndim :]
    n = int(np.prod(shape))
    if a.size != n * n:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return systems.solve(a.reshape((n, n)), b.reshape(-1)).reshape(shape)

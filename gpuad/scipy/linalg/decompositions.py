"""Decompositions: SciPy's signatures for those of NumPy, and the ones that NumPy hasn't."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.box import spec_of
from ...errors import UnsupportedError
from ...numpy.contractions import arrays
from ...numpy.decompositions import matrices
from ...numpy.decompositions import svd as numpys_svd
from ...numpy.frontend import functions, numpy_function
from ...ops import decompositions as d
from ...ops import linalg as ops
from ...ops import matrix_functions, pencils, structured
from ...ops.contract import matmul
from ...ops.declare import astype
from ...ops.elementwise import stop_gradient


@numpy_function("scipy.linalg.cholesky")
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    (a,) = matrices("cholesky", a, square=True)
    return d.cholesky(a) if lower else ops.h(d.cholesky(ops.h(a)))


# -- eigenvalues --------------------------------------------------------------------------------------
@numpy_function("scipy.linalg.eigh")
def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Any = None,
    subset_by_value: Any = None, driver: Any = None,
) -> Any:  # fmt: skip
    """As :func:`scipy.linalg.eigh`; differentiable, for ``type=1`` and without ``subset_by_value``."""
    if subset_by_value is not None or type != 1:
        raise UnsupportedError(
            "eigh of a traced matrix takes no subset_by_value and no type but 1: index what it returns, or make the "
            "matrices such"
        )
    (a,) = matrices("eigh", a, square=True)
    lower = bool(lower)
    if b is None:
        w, v = pencils.scipy_eigh(a, lower=lower, driver=driver)
    else:
        a, b = arrays(a, b)
        w, v = pencils.eigh_pair(a, b, lower=lower)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


@numpy_function("scipy.linalg.eigvalsh")
def eigvalsh(
    a: Any, b: Any = None, *, lower: bool = True, overwrite_a: bool = False, overwrite_b: bool = False, type: int = 1,
    check_finite: bool = True, subset_by_index: Any = None, subset_by_value: Any = None, driver: Any = None,
) -> Any:  # fmt: skip
    return eigh(
        a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index,
        subset_by_value=subset_by_value, driver=driver,
    )  # fmt: skip


@numpy_function("scipy.linalg.eig")
def eig(
    a: Any, b: Any = None, left: bool = False, right: bool = True, overwrite_a: bool = False,
    overwrite_b: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False,
) -> Any:  # fmt: skip
    """As :func:`scipy.linalg.eig`; differentiable: the eigenvalues, and the right vectors of a single matrix."""
    if homogeneous_eigvals or left or (b is not None and right):
        raise UnsupportedError(
            "eig of traced matrices gives no left vectors, no vectors of two matrices and no homogeneous eigenvalues; "
            "eig(a) and eigvals(a, b) are differentiable, and left vectors are eig(a.conj().T)'s"
        )
    if b is not None:
        return _complex(pencils.eig_pair(*matrices("eig", a, b, square=True))[0])
    (a,) = matrices("eig", a, square=True)
    w, v = pencils.scipy_eig(a)
    return (_complex(w), v) if right else _complex(w)


def _complex(w: Any) -> Any:
    return astype(w, dtype=np.result_type(spec_of(w).dtype, np.complex64))


@numpy_function("scipy.linalg.eigvals")
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


# -- singular values ----------------------------------------------------------------------------------
@numpy_function("scipy.linalg.svd")
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    found = numpys_svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@numpy_function("scipy.linalg.svdvals")
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    return numpys_svd(a, compute_uv=False)


def _rank(s: Any, shape: tuple[int, ...], rcond: Any) -> int:
    s = stop_gradient(s)
    if rcond is None:
        rcond = float(np.finfo(s.dtype).eps) * max(shape)
    return int(functions["sum"](s > rcond * s[:1]))


@numpy_function("scipy.linalg.orth")
def orth(A: Any, rcond: Any = None) -> Any:
    u, s, _ = numpys_svd(A, full_matrices=False)
    return u[:, : _rank(s, spec_of(A).shape, rcond)]


@numpy_function("scipy.linalg.null_space")
def null_space(
    A: Any, rcond: Any = None, *, overwrite_a: bool = False, check_finite: bool = True, lapack_driver: str = "gesdd"
) -> Any:
    """As :func:`scipy.linalg.null_space`; differentiable, in functions of the space alone, as a projection on it."""
    _, s, vh = numpys_svd(A, full_matrices=True)
    return ops.h(vh[_rank(s, spec_of(A).shape, rcond) :])


@numpy_function("scipy.linalg.polar")
def polar(a: Any, side: str = "right") -> Any:
    """As :func:`scipy.linalg.polar`; differentiable for matrices of full rank."""
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    (a,) = matrices("polar", a)
    wide = a.shape[-1] > a.shape[-2]
    u = matrix_functions.unitary_factor(ops.h(a) if wide else a)
    u = ops.h(u) if wide else u
    p = matmul(ops.h(u), a) if side == "right" else matmul(a, ops.h(u))
    return u, 0.5 * (p + ops.h(p))


# -- QR -----------------------------------------------------------------------------------------------
_QR_MODES = {"full": "complete", "r": "complete", "economic": "reduced"}


@numpy_function("scipy.linalg.qr")
def qr(
    a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """As :func:`scipy.linalg.qr`; differentiable, but for ``mode="raw"``. The order of pivots is constant."""
    (a,) = matrices("qr", a)
    if mode not in _QR_MODES:
        raise UnsupportedError(f"qr of a traced matrix knows the modes {', '.join(_QR_MODES)}, not {mode!r}")
    order: tuple[Any, ...] = ()
    if pivoting:
        order = (structured.qr_pivots(a),)
        a = functions["take_along_axis"](a, order[0][..., None, :], -1)
    q, r = functions["linalg.qr"](a, _QR_MODES[mode])
    return (r, *order) if mode == "r" else (q, r, *order)


@numpy_function("scipy.linalg.rq")
def rq(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", check_finite: bool = True) -> Any:
    (a,) = matrices("rq", a)
    if mode not in _QR_MODES:
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic']")
    # The QR decomposition, seen from the other corner.
    q, r = functions["linalg.qr"](ops.h(a[..., ::-1, ::-1]), _QR_MODES[mode])
    r = ops.h(r)[..., ::-1, ::-1]
    return r if mode == "r" else (r, ops.h(q)[..., ::-1, ::-1])

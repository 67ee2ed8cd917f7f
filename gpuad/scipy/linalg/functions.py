"""Functions of matrices, and matrix equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.box import Box, spec_of
from ...numpy.contractions import arrays
from ...numpy.decompositions import matrices
from ...numpy.frontend import functions, numpy_function
from ...ops import linalg as ops
from ...ops import matrix_functions as m
from ...ops.contract import matmul
from ...ops.declare import astype, real
from ...ops.elementwise import imag


# -- exponential, logarithm, powers -------------------------------------------------------------------
@numpy_function("scipy.linalg.expm")
def expm(A: Any) -> Any:
    return m.expm(*matrices("expm", A, square=True))


@numpy_function("scipy.linalg.expm_frechet")
def expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True) -> Any:
    # SciPy computes in double precision at least.
    A, E = (
        astype(x, dtype=np.result_type(spec_of(x).dtype, np.float64))
        for x in matrices("expm_frechet", A, E, square=True)
    )
    moved = m.along(m.expm, A, E)
    return (m.expm(A), moved) if compute_expm else moved


@numpy_function("scipy.linalg.logm")
def logm(A: Any) -> Any:
    return m.logm(*matrices("logm", A, square=True))


@numpy_function("scipy.linalg.sqrtm")
def sqrtm(A: Any) -> Any:
    return m.sqrtm(*matrices("sqrtm", A, square=True))


@numpy_function("scipy.linalg.fractional_matrix_power")
def fractional_matrix_power(A: Any, t: Any) -> Any:
    (A,) = matrices("fractional_matrix_power", A, square=True)
    if type(t) is Box:
        return m.expm(t * m.logm(A))
    if t == int(t):
        return functions["linalg.matrix_power"](A, int(t))
    return m.fractional_matrix_power(A, t=float(t))


# -- trigonometric and hyperbolic ---------------------------------------------------------------------
def _is_complex(A: Any) -> bool:
    return bool(spec_of(A).dtype.kind == "c")


@numpy_function("scipy.linalg.cosm")
def cosm(A: Any) -> Any:
    (A,) = matrices("cosm", A, square=True)
    return 0.5 * (m.expm(1j * A) + m.expm(-1j * A)) if _is_complex(A) else real(m.expm(1j * A))


@numpy_function("scipy.linalg.sinm")
def sinm(A: Any) -> Any:
    (A,) = matrices("sinm", A, square=True)
    return -0.5j * (m.expm(1j * A) - m.expm(-1j * A)) if _is_complex(A) else imag(m.expm(1j * A))


@numpy_function("scipy.linalg.tanm")
def tanm(A: Any) -> Any:
    return ops.solve(cosm(A), sinm(A))


@numpy_function("scipy.linalg.coshm")
def coshm(A: Any) -> Any:
    (A,) = matrices("coshm", A, square=True)
    return 0.5 * (m.expm(A) + m.expm(-A))


@numpy_function("scipy.linalg.sinhm")
def sinhm(A: Any) -> Any:
    (A,) = matrices("sinhm", A, square=True)
    return 0.5 * (m.expm(A) - m.expm(-A))


@numpy_function("scipy.linalg.tanhm")
def tanhm(A: Any) -> Any:
    return ops.solve(coshm(A), sinhm(A))


# -- equations ----------------------------------------------------------------------------------------
@numpy_function("scipy.linalg.solve_sylvester")
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    return m.solve_sylvester(*arrays(a, b, q))


@numpy_function("scipy.linalg.solve_continuous_lyapunov")
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    a, q = arrays(a, q)
    return m.solve_sylvester(a, ops.h(a), q)


@numpy_function("scipy.linalg.solve_lyapunov")
def solve_lyapunov(a: Any, q: Any) -> Any:
    return solve_continuous_lyapunov(a, q)


@numpy_function("scipy.linalg.solve_discrete_lyapunov")
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    return m.solve_discrete_lyapunov(*arrays(a, q), method=method)


def _standard(a: Any, b: Any, q: Any, r: Any, e: Any, s: Any) -> list[Any]:
    """The Riccati equation without ``e`` and ``s`` that has the same solution as the one with them."""
    a, b, q, r, e, s = [None if x is None else arrays(a, b, q, r, x)[-1] for x in (a, b, q, r, e, s)]
    if e is not None:
        a, q = ops.t(ops.solve(ops.t(e), ops.t(a))), ops.h(ops.solve(ops.h(e), ops.h(ops.solve(ops.h(e), q))))
        s = None if s is None else ops.solve(ops.h(e), s)
    if s is not None:
        weighted = ops.solve(r, ops.h(s))
        a, q = a - matmul(b, weighted), q - matmul(s, weighted)
    return [a, b, 0.5 * (q + ops.h(q)), r]


@numpy_function("scipy.linalg.solve_continuous_are")
def solve_continuous_are(a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None, balanced: bool = True) -> Any:
    """As :func:`scipy.linalg.solve_continuous_are`; differentiable along Hermitian ``q`` and ``r``."""
    return m.solve_continuous_are(*_standard(a, b, q, r, e, s))


@numpy_function("scipy.linalg.solve_discrete_are")
def solve_discrete_are(a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None, balanced: bool = True) -> Any:
    """As :func:`scipy.linalg.solve_discrete_are`; differentiable along Hermitian ``q`` and ``r``."""
    return m.solve_discrete_are(*_standard(a, b, q, r, e, s))

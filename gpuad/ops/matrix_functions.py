"""Functions of matrices and matrix equations. Imported for ``scipy.linalg`` alone.

For a function f of matrices (exponential, logarithm, powers) the derivative at A along E is the upper right block
of f([[A, E], [0, A]]) (Mathias, SIAM Journal on Matrix Analysis and Applications 17, 1996), and its adjoint is the
derivative at Aᵀ (Al-Mohy and Higham, ibid. 30, 2009). The equations: Kao and Hennequin, arXiv:2011.11430 (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import sample, spec_of
from ..core.primitive import Primitive
from .batching import leading, looped, solved
from .contract import matmul
from .declare import constant, fit, operation
from .decompositions import defined
from .linalg import conj, h, solve, t
from .shape import pad


# -- singular matrices --------------------------------------------------------------------------------
def _singular(xp: Any, a: Any) -> Any:
    if not a.size:
        return xp.zeros((*a.shape[:-2], 1, 1), bool)
    s = xp.linalg.svd(a, compute_uv=False)[..., None]
    return s[..., -1:, :] <= 4.0 * float(np.finfo(a.dtype).eps) * s[..., :1, :]


#: Which matrices haven't full rank, up to rounding.
singular = constant("singular", _singular, batch=leading)


def _of_regular(g: Any, a: Any, name: str) -> Any:
    """``g``, a cotangent or tangent that ``name`` has at regular matrices only."""
    return defined(
        g, singular(a), otherwise=f"{name}: the matrix is singular, up to rounding, and there is no derivative"
    )


# -- functions ----------------------------------------------------------------------------------------
def _size(xp: Any, x: Any) -> Any:
    size = xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)
    return xp.where(size == 0.0, size.dtype.type(1.0), size)


#: The largest entry of each matrix; 1 for a zero one.
size = constant("size", _size, batch=leading)


def along(f: Callable[[Any], Any], a: Any, e: Any) -> Any:
    """The derivative of the matrix function ``f`` at ``a`` along ``e``."""
    n = a.shape[-1]
    if not a.size:
        return e
    scale = size(a) / size(e)  # it is linear in e, which shouldn't rule the algorithm by its size

    def placed(x: Any, row: int, column: int) -> Any:
        widths = ((0, 0),) * (len(x.shape) - 2) + ((n * row, n - n * row), (n * column, n - n * column))
        return pad(x, widths=widths, constant_values=0.0)

    block = placed(a, 0, 0) + placed(a, 1, 1) + placed(e * scale, 0, 1)
    return f(block)[..., :n, n:] / scale


# Logarithm, roots, powers and equations spend their time in Schur decompositions, of which LAPACK does one at a time:
# they are ``looped``.

expm: Primitive = operation(
    "scipy.linalg.expm",
    None,
    lambda g, ans, a: along(expm, t(a), g),
    jvp=lambda tangents, ans, a: along(expm, a, tangents[0]),
    finish=fit,
    batch=leading,
)

logm: Primitive = operation(
    "scipy.linalg.logm",
    None,
    lambda g, ans, a: along(logm, t(a), _of_regular(g, a, "logm")),
    jvp=lambda tangents, ans, a: along(logm, a, _of_regular(tangents[0], a, "logm")),
    finish=fit,
    batch=looped,
)


def _power_vjp(g: Any, ans: Any, a: Any, *, t: float) -> Any:
    g = _of_regular(g, a, "fractional_matrix_power")
    return along(lambda b: fractional_matrix_power(b, t=t), a.swapaxes(-1, -2), g)


fractional_matrix_power: Primitive = operation(
    "scipy.linalg.fractional_matrix_power", None, _power_vjp, finish=fit, batch=looped
)

sqrtm: Primitive = operation(
    "scipy.linalg.sqrtm",
    None,
    lambda g, ans, a: solve_sylvester(t(ans), t(ans), _of_regular(g, a, "sqrtm")),
    finish=fit,
    batch=looped,
)


# -- linear equations ---------------------------------------------------------------------------------
def _sylvester_vjp_a(g: Any, ans: Any, a: Any, b: Any, q: Any) -> Any:
    return -matmul(solve_sylvester(t(a), t(b), g), t(ans))


def _sylvester_vjp_b(g: Any, ans: Any, a: Any, b: Any, q: Any) -> Any:
    return -matmul(t(ans), solve_sylvester(t(a), t(b), g))


def _solve_sylvester(xp: Any, a: Any, b: Any, q: Any) -> Any:
    # SciPy takes the real Schur form of a real matrix for a complex one where the others are complex.
    dtype = np.result_type(a.dtype, b.dtype, q.dtype)
    return xp.scipy.linalg.solve_sylvester(*(x if x.dtype == dtype else x.astype(dtype) for x in (a, b, q)))


#: Up to so many unknowns many equations are solved faster together, as linear systems, than one by one.
_SMALL = 64


def _sylvester_batched(prim: Primitive, n: int, mapped: Any, values: Any, params: Any) -> Any:
    """As ``(a ⊗ 1 + 1 ⊗ bᵀ) x = q``, where x and q are taken row by row."""
    a, b, q = values
    size, xp = a.shape[-1] * b.shape[-1], backend_of([sample(v) for v in values]).xp
    if size > _SMALL:
        return looped(prim, n, mapped, values, params)
    rows, columns = (xp.eye(x.shape[-1], dtype=spec_of(x).dtype) for x in (a, b))
    system = a[..., :, None, :, None] * columns[:, None, :] + rows[:, None, :, None] * t(b)[..., None, :, None, :]
    system = system.reshape((*system.shape[:-4], size, size))
    ans = solved(solve, n, [mapped[0] or mapped[1], mapped[2]], [system, q.reshape((*q.shape[:-2], size))], {})
    return ans.reshape((n, a.shape[-1], b.shape[-1]))


#: ``x`` for ``a @ x + x @ b = q``.
solve_sylvester: Primitive = operation(
    "scipy.linalg.solve_sylvester",
    _solve_sylvester,
    _sylvester_vjp_a,
    _sylvester_vjp_b,
    lambda g, ans, a, b, q: solve_sylvester(t(a), t(b), g),
    finish=fit,
    batch=_sylvester_batched,
)


def _discrete_vjp_a(g: Any, ans: Any, a: Any, q: Any, *, method: Any) -> Any:
    p = solve_discrete_lyapunov(h(a), conj(g), method=method)
    return conj(matmul(matmul(p, a), h(ans)) + matmul(matmul(h(p), a), ans))


#: ``x`` for ``a @ x @ aᴴ - x + q = 0``.
solve_discrete_lyapunov: Primitive = operation(
    "scipy.linalg.solve_discrete_lyapunov",
    None,
    _discrete_vjp_a,
    lambda g, ans, a, q, *, method: conj(solve_discrete_lyapunov(h(a), conj(g), method=method)),
    finish=fit,
    batch=looped,
)


# -- Riccati equations --------------------------------------------------------------------------------
# Both rules solve the linear equation of the closed loop a - b k once for each argument. The solution is Hermitian
# for Hermitian q and r, which SciPy demands, so that only the Hermitian part of a cotangent counts.
def _continuous(g: Any, x: Any, a: Any, b: Any, r: Any) -> tuple[Any, Any]:
    gain = solve(r, matmul(h(b), x))
    loop = a - matmul(b, gain)
    g = conj(g)
    return gain, solve_sylvester(loop, h(loop), -0.5 * (g + h(g)))


def _continuous_vjp_b(g: Any, x: Any, a: Any, b: Any, q: Any, r: Any) -> Any:
    gain, p = _continuous(g, x, a, b, r)
    return -2.0 * conj(matmul(matmul(x, p), h(gain)))


def _for_r(gain: Any, p: Any) -> Any:
    return conj(matmul(matmul(gain, p), h(gain)))


#: ``x`` for ``aᴴ x + x a - x b r⁻¹ bᴴ x + q = 0``.
solve_continuous_are: Primitive = operation(
    "scipy.linalg.solve_continuous_are",
    None,
    lambda g, x, a, b, q, r: 2.0 * conj(matmul(x, _continuous(g, x, a, b, r)[1])),
    _continuous_vjp_b,
    lambda g, x, a, b, q, r: conj(_continuous(g, x, a, b, r)[1]),
    lambda g, x, a, b, q, r: _for_r(*_continuous(g, x, a, b, r)),
    finish=fit,
    batch=looped,
)


def _discrete(g: Any, x: Any, a: Any, b: Any, r: Any) -> tuple[Any, Any, Any]:
    weighted = matmul(h(b), x)
    gain = solve(r + matmul(weighted, b), matmul(weighted, a))
    loop = a - matmul(b, gain)
    g = conj(g)
    return gain, loop, solve_discrete_lyapunov(loop, 0.5 * (g + h(g)), method=None)


def _discrete_are_vjp_a(g: Any, x: Any, a: Any, b: Any, q: Any, r: Any) -> Any:
    _, loop, p = _discrete(g, x, a, b, r)
    return 2.0 * conj(matmul(matmul(x, loop), p))


def _discrete_are_vjp_b(g: Any, x: Any, a: Any, b: Any, q: Any, r: Any) -> Any:
    gain, loop, p = _discrete(g, x, a, b, r)
    return -2.0 * conj(matmul(matmul(matmul(x, loop), p), h(gain)))


#: ``x`` for ``aᴴ x a - x - aᴴ x b (r + bᴴ x b)⁻¹ bᴴ x a + q = 0``.
solve_discrete_are: Primitive = operation(
    "scipy.linalg.solve_discrete_are",
    None,
    _discrete_are_vjp_a,
    _discrete_are_vjp_b,
    lambda g, x, a, b, q, r: conj(_discrete(g, x, a, b, r)[2]),
    lambda g, x, a, b, q, r: _for_r(*_discrete(g, x, a, b, r)[::2]),
    finish=fit,
    batch=looped,
)


# -- polar decomposition ------------------------------------------------------------------------------
def _unitary_factor(xp: Any, a: Any) -> Any:
    u, _, vh = xp.linalg.svd(a, full_matrices=False)
    return xp.matmul(u, vh)


def _unitary_factor_vjp(g: Any, ans: Any, a: Any) -> Any:
    # From dU = U Ω + (1 - U Uᴴ) dA P⁻¹ with P Ω + Ω P = Uᴴ dA - dAᴴ U: Higham, "Functions of Matrices" (2008), ch. 8
    u, g = ans, conj(_of_regular(g, a, "polar"))
    p = matmul(h(u), a)
    overlap = matmul(h(u), g)
    total = matmul(u, solve_sylvester(p, p, overlap - h(overlap)))
    if a.shape[-2] > a.shape[-1]:
        total = total + h(solve(p, h(g - matmul(u, overlap))))
    return conj(total)


#: The matrix with orthonormal columns that is nearest to ``a``, which is not wider than high.
unitary_factor: Primitive = operation("unitary_factor", _unitary_factor, _unitary_factor_vjp, batch=leading)

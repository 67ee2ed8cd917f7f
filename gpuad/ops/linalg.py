"""Linear systems and inverses.

Giles, "Collected matrix derivative results" (2008). Here and in the modules that build on this one, ``g`` is a
cotangent by the convention for complex numbers: it acts as Re Σ g∘dx, so it is the conjugate of the matrix that
the usual formulas write, and products with it have transposes where those have adjoints.
"""

from __future__ import annotations

from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive
from .batching import leading, solved
from .contract import matmul
from .declare import fit, operation
from .elementwise import conjugate


def t(x: Any) -> Any:
    """The matrices of a stack, transposed."""
    return x.swapaxes(-1, -2)


def conj(x: Any) -> Any:
    return conjugate(x) if spec_of(x).dtype.kind == "c" else x


def h(x: Any) -> Any:
    """The adjoint matrices."""
    return conj(t(x))


# -- systems ------------------------------------------------------------------------------------------
def _inv_vjp(g: Any, ans: Any, x: Any) -> Any:
    return -matmul(matmul(t(ans), g), t(ans))


inv: Primitive = operation("inv", lambda xp, x: xp.linalg.inv(x), _inv_vjp, batch=leading)


def _solve_vjp_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    if len(b.shape) == 1:
        g, ans = g[..., None], ans[..., None]
    return -matmul(solve(t(a), g), t(ans))


def _solve_vjp_b(g: Any, ans: Any, a: Any, b: Any) -> Any:
    return solve(t(a), g[..., None])[..., 0] if len(b.shape) == 1 else solve(t(a), g)


def _solve_jvp(tangents: Any, ans: Any, a: Any, b: Any) -> Any:
    da, db = tangents
    if da is None:
        return solve(a, db)
    if len(b.shape) > 1:
        change = matmul(da, ans)
        return solve(a, -change if db is None else db - change)
    change = matmul(da, ans[..., None])
    return solve(a, -change if db is None else db[..., None] - change)[..., 0]


#: ``x`` for ``a @ x = b``; a ``b`` of one axis is a vector.
solve: Primitive = operation(
    "solve",
    lambda xp, a, b: xp.linalg.solve(a, b),
    _solve_vjp_a,
    _solve_vjp_b,
    jvp=_solve_jvp,
    finish=fit,
    batch=solved,
)

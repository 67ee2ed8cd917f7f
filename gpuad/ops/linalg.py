"""Linear systems and determinants."""

from __future__ import annotations

from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive
from ..errors import UnsupportedError
from .contract import matmul
from .declare import fit, operation


def _t(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _inv_vjp(g: Any, ans: Any, x: Any) -> Any:
    t = _t(ans)
    return -matmul(matmul(t, g), t)


inv: Primitive = operation(
    "inv",
    lambda xp, x: xp.linalg.inv(x),
    _inv_vjp,
    jvp=lambda tangents, ans, x: -matmul(matmul(ans, tangents[0]), ans),
)


def _solve_vjp_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    if len(b.shape) == 1:
        g, ans = g[..., None], ans[..., None]
    return -matmul(solve(_t(a), g), _t(ans))


def _solve_vjp_b(g: Any, ans: Any, a: Any, b: Any) -> Any:
    return solve(_t(a), g[..., None])[..., 0] if len(b.shape) == 1 else solve(_t(a), g)


def _solve_jvp(tangents: Any, ans: Any, a: Any, b: Any) -> Any:
    ta, tb = tangents
    vector = len(b.shape) == 1
    if vector:
        ans, tb = ans[..., None], tb if tb is None else tb[..., None]
    right = tb if ta is None else -matmul(ta, ans) if tb is None else tb - matmul(ta, ans)
    t = solve(a, right)
    return t[..., 0] if vector else t


#: ``x`` for ``a @ x = b``; a ``b`` of one axis is a vector.
solve: Primitive = operation(
    "solve",
    lambda xp, a, b: xp.linalg.solve(a, b),
    _solve_vjp_a,
    _solve_vjp_b,
    finish=fit,
    jvp=_solve_jvp,
)


def _det_vjp(g: Any, ans: Any, x: Any) -> Any:
    return (g * ans).reshape((*x.shape[:-2], 1, 1)) * _t(inv(x))


det: Primitive = operation("det", lambda xp, x: xp.linalg.det(x), _det_vjp)


def _slogdet_vjp(g: Any, ans: Any, x: Any) -> Any:
    for_sign, for_logarithm = g
    if for_sign is not None and spec_of(x).dtype.kind == "c":
        raise UnsupportedError("slogdet: the sign of a complex determinant can't be differentiated; det can")
    return for_logarithm.reshape((*x.shape[:-2], 1, 1)) * _t(inv(x)) if for_logarithm is not None else x * 0.0


#: The sign of the determinant and the logarithm of its size.
slogdet: Primitive = operation("slogdet", lambda xp, x: tuple(xp.linalg.slogdet(x)), _slogdet_vjp)

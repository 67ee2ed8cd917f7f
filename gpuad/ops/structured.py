"""Systems that SciPy solves faster than the general one, and the LU decomposition. Imported for ``scipy.linalg`` alone.

Right sides are matrices here.
"""

from __future__ import annotations

from typing import Any

from ..backend import backend_of
from ..core.box import sample, spec_of
from ..core.primitive import Primitive
from .batching import aligned, looped, solved_once
from .contract import convolve, matmul
from .declare import constant, fit, operation
from .linalg import solve, t
from .reduce import sum_
from .shape import concatenate, pad, roll, stack, tril, triu


def _last(x: Any, axis: int) -> int:
    return len(x.shape) + axis


def _rows(*xs: Any) -> Any:
    """Matrices one below the other."""
    return _joined(xs, -2)


def _columns(*xs: Any) -> Any:
    return _joined(xs, -1)


def _joined(xs: tuple[Any, ...], axis: int) -> Any:
    starts = [0]
    for x in xs:
        starts.append(starts[-1] + x.shape[axis])
    return concatenate(*xs, axis=_last(xs[0], axis), starts=tuple(starts))


# -- triangular ---------------------------------------------------------------------------------------
def _triangular(g: Any, lower: bool, unit_diagonal: bool) -> Any:
    return tril(g, k=-int(unit_diagonal)) if lower else triu(g, k=int(unit_diagonal))


def _triangular_vjp_a(g: Any, ans: Any, a: Any, b: Any, *, lower: bool, unit_diagonal: bool) -> Any:
    for_b = solve_triangular(t(a), g, lower=not lower, unit_diagonal=unit_diagonal)
    return _triangular(-matmul(for_b, t(ans)), lower, unit_diagonal)


def _triangular_jvp(tangents: Any, ans: Any, a: Any, b: Any, *, lower: bool, unit_diagonal: bool) -> Any:
    da, db = tangents
    if da is not None:
        change = matmul(_triangular(da, lower, unit_diagonal), ans)
        db = -change if db is None else db - change
    return solve_triangular(a, db, lower=lower, unit_diagonal=unit_diagonal)


#: Up to this size many systems are solved faster together, as general ones, than one by one.
_SMALL = 64


def _triangular_batched(prim: Any, n: int, mapped: Any, values: Any, params: dict[str, Any]) -> Any:
    a, b = values
    size = spec_of(a).shape[-1]
    if not mapped[0] and len(spec_of(a).shape) == 2 and len(spec_of(b).shape) == 3:
        return solved_once(prim, n, mapped, values, params)
    if size > _SMALL:
        return looped(prim, n, mapped, values, params)
    whole = _triangular(a, **params)
    if params["unit_diagonal"]:
        whole = whole + backend_of((sample(a),)).xp.eye(size, dtype=spec_of(a).dtype)
    return solve(*aligned([whole, b], mapped))


#: ``x`` for ``a @ x = b``, where of ``a`` one triangle is read.
solve_triangular: Primitive = operation(
    "solve_triangular",
    lambda xp, a, b, *, lower, unit_diagonal: xp.scipy.linalg.solve_triangular(
        a, b, lower=lower, unit_diagonal=unit_diagonal
    ),
    _triangular_vjp_a,
    lambda g, ans, a, b, *, lower, unit_diagonal: solve_triangular(
        t(a), g, lower=not lower, unit_diagonal=unit_diagonal
    ),
    jvp=_triangular_jvp,
    finish=fit,
    batch=_triangular_batched,
)


# -- LU -----------------------------------------------------------------------------------------------
def _lu_vjp(g: Any, ans: Any, a: Any) -> Any:
    # de Hoog, Anderssen and Lukas, Linear Algebra and its Applications 434 (2011), and the chain rule for what is
    # below or beside the square part. The permutation is constant.
    _, gl, gu = g
    p, l, u = ans  # noqa: E741 - as everyone calls it
    rows, columns = a.shape[-2:]
    k = min(rows, columns)
    square_l, square_u = l[..., :k, :], u[..., :k]
    gl = l * 0.0 if gl is None else gl
    gu = u * 0.0 if gu is None else gu
    for_l, for_u = gl[..., :k, :], gu[..., :k]
    if rows > k:
        below = t(solve(square_u, t(gl[..., k:, :])))
        for_u = for_u - matmul(t(l[..., k:, :]), below)
    if columns > k:
        beside = solve(t(square_l), gu[..., k:])
        for_l = for_l - matmul(beside, t(u[..., k:]))
    middle = tril(matmul(t(square_l), for_l), k=-1) + triu(matmul(for_u, t(square_u)), k=0)
    total = solve(t(square_l), t(solve(square_u, t(middle))))
    if rows > k:
        total = _rows(total, below)
    if columns > k:
        total = _columns(total, beside)
    return matmul(p, total)


#: P, L and U with ``a = P @ L @ U``.
lu: Primitive = operation("lu", lambda xp, a: tuple(xp.scipy.linalg.lu(a)), _lu_vjp, batch=looped)


#: Which rows an LU decomposition exchanged, as LAPACK writes it down.
lu_pivots = constant("lu_pivots", lambda xp, a: xp.scipy.linalg.lu_factor(a)[1], batch=looped)
#: The order of the rows that comes of these exchanges: the identity's LU decomposition is itself.
row_order = constant(
    "row_order",
    lambda xp, a, pivots: xp.rint(
        xp.scipy.linalg.lu_solve((xp.eye(a.shape[-1]), pivots), xp.arange(float(a.shape[-1])))
    ).astype("int64"),
    batch=looped,
)

#: The order in which a QR decomposition with pivoting takes the columns.
qr_pivots = constant("qr_pivots", lambda xp, a: xp.scipy.linalg.qr(a, mode="r", pivoting=True)[-1], batch=looped)


# -- banded -------------------------------------------------------------------------------------------
def _transposed_bands(ab: Any, bands: tuple[int, int]) -> Any:
    """The transpose of a matrix that is given by its diagonals. The diagonal in row k starts u - k to the right."""
    axis = _last(ab, -2)
    shifts = range(-bands[0], bands[1] + 1)
    return stack(*(roll(ab[..., bands[1] - d, :], shifts=(-d,), axes=(axis,)) for d in shifts), axis=axis)


def _banded_vjp_ab(g: Any, ans: Any, ab: Any, b: Any, *, bands: tuple[int, int]) -> Any:
    for_b = solve_banded(_transposed_bands(ab, bands), g, bands=bands[::-1])
    n = ans.shape[-2]
    diagonals = []
    for d in range(bands[1], -bands[0] - 1, -1):  # to the right of the main one
        up, down = min(max(d, 0), n), min(max(-d, 0), n)
        products = for_b[..., down : n - up, :] * ans[..., up : n - down, :]
        entries = sum_(products, axis=(_last(products, -1),), keepdims=False)
        widths = ((0, 0),) * (len(entries.shape) - 1) + ((up, n - up - entries.shape[-1]),)
        diagonals.append(pad(entries, widths=widths, constant_values=0.0))
    return -stack(*diagonals, axis=_last(diagonals[0], 0) - 1)


#: ``x`` for ``a @ x = b``, where the rows of ``ab`` are the diagonals of ``a``: ``bands`` below and above the main one.
solve_banded: Primitive = operation(
    "solve_banded",
    lambda xp, ab, b, *, bands: xp.scipy.linalg.solve_banded(bands, ab, b),
    _banded_vjp_ab,
    lambda g, ans, ab, b, *, bands: solve_banded(_transposed_bands(ab, bands), g, bands=bands[::-1]),
    finish=fit,
    batch=solved_once,
)


# -- Toeplitz -----------------------------------------------------------------------------------------
def _toeplitz_vjp_values(g: Any, ans: Any, values: Any, b: Any) -> Any:
    for_b = solve_toeplitz(values[::-1], g)
    total = None
    for k in range(ans.shape[1]):
        part = convolve(for_b[:, k], ans[::-1, k])
        total = part if total is None else total + part
    return values * 0.0 if total is None else -total


#: ``x`` for ``a @ x = b`` with ``a[i, j] = values[n - 1 + i - j]``.
solve_toeplitz: Primitive = operation(
    "solve_toeplitz",
    lambda xp, values, b: xp.scipy.linalg.solve_toeplitz((values[b.shape[0] - 1 :], values[b.shape[0] - 1 :: -1]), b),
    _toeplitz_vjp_values,
    lambda g, ans, values, b: solve_toeplitz(values[::-1], g),
    finish=fit,
    batch=solved_once,
)

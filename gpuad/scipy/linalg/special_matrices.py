"""Matrices made of vectors and of other matrices."""

from __future__ import annotations

from typing import Any

from ...numpy.contractions import arrays
from ...numpy.creation import home
from ...numpy.frontend import functions, numpy_function


def _sums(x: Any, rows: int, columns: int, sign: int) -> Any:
    """``i + sign * j`` for all rows i and columns j."""
    arange = home(x).function("arange")
    return arange(rows)[:, None] + sign * arange(columns)


@numpy_function("scipy.linalg.toeplitz")
def toeplitz(c: Any, r: Any = None) -> Any:
    c, r = functions["atleast_1d"](*arrays(c, functions["conj"](c) if r is None else r))
    values = functions["concatenate"]([c[..., :0:-1], c[..., :1], r[..., 1:]], axis=-1)
    n, m = c.shape[-1], r.shape[-1]
    return values[..., n - 1 - _sums(c, n, m, -1)]


@numpy_function("scipy.linalg.circulant")
def circulant(c: Any) -> Any:
    (c,) = (functions["atleast_1d"](*arrays(c)),)
    n = c.shape[-1]
    return c[..., _sums(c, n, n, -1) % max(n, 1)]


@numpy_function("scipy.linalg.hankel")
def hankel(c: Any, r: Any = None) -> Any:
    c, r = functions["atleast_1d"](*arrays(c, functions["zeros_like"](c) if r is None else r))
    values = functions["concatenate"]([c, r[..., 1:]], axis=-1)
    return values[..., _sums(c, c.shape[-1], r.shape[-1], 1)]


@numpy_function("scipy.linalg.companion")
def companion(a: Any) -> Any:
    (a,) = arrays(a)
    if a.shape[-1] < 2:
        raise ValueError(f"companion: at least two coefficients are needed, got an array of shape {a.shape}")
    first = -a[..., 1:] / a[..., :1]
    n = a.shape[-1] - 1
    eye = home(a).function("eye")(n - 1, n, dtype=first.dtype)
    rest = functions["broadcast_to"](eye, (*a.shape[:-1], n - 1, n))
    return functions["concatenate"]([first[..., None, :], rest], axis=-2)


@numpy_function("scipy.linalg.block_diag")
def block_diag(*arrs: Any) -> Any:
    blocks = [functions["atleast_2d"](a) for a in arrays(*arrs)]
    width, at, rows = sum(b.shape[-1] for b in blocks), 0, []
    for b in blocks:
        beside = [(0, 0)] * (b.ndim - 1) + [(at, width - at - b.shape[-1])]
        rows.append(functions["pad"](b, beside))
        at += b.shape[-1]
    return functions["concatenate"](rows, axis=-2)


@numpy_function("scipy.linalg.kron")
def kron(a: Any, b: Any) -> Any:
    return functions["kron"](a, b)


@numpy_function("scipy.linalg.khatri_rao")
def khatri_rao(a: Any, b: Any) -> Any:
    a, b = arrays(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError("The number of columns for both arrays should be equal.")
    products = a[..., :, None, :] * b[..., None, :, :]
    return products.reshape((*products.shape[:-3], a.shape[-2] * b.shape[-2], a.shape[-1]))

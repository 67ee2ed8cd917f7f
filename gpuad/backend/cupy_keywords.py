"""Keywords of NumPy and of the array API standard that CuPy's functions of the same name don't know."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

#: Gives CuPy, which isn't imported before one of these is called.
Library = Callable[[], Any]


def _on_device(library: Library, name: str) -> Callable[..., Any]:
    def function(*args: Any, device: Any = None, **options: Any) -> Any:
        with nullcontext() if device is None else device:
            return getattr(library(), name)(*args, **options)

    return function


def _deviation(library: Library, name: str) -> Callable[..., Any]:
    def function(*args: Any, correction: Any = None, **options: Any) -> Any:
        if correction is not None:
            options["ddof"] = correction
        return getattr(library(), name)(*args, **options)

    return function


def _sorting(library: Library, name: str) -> Callable[..., Any]:
    def function(*args: Any, stable: Any = None, **options: Any) -> Any:
        return getattr(library(), name)(*args, **options)  # it is always stable

    return function


def keywords(library: Library) -> dict[str, Callable[..., Any]]:
    """Overrides of CuPy's functions, by name."""

    def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:
        with nullcontext() if device is None else device:
            return x.astype(dtype, copy=copy)

    def take_along_axis(a: Any, indices: Any, axis: Any = -1) -> Any:
        return library().take_along_axis(a, indices, axis)

    def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        return library().sum(a != 0, axis=axis, keepdims=True) if keepdims else library().count_nonzero(a, axis)

    def cholesky(a: Any, /, *, upper: bool = False) -> Any:
        lower = library().linalg.cholesky(a)
        return library().swapaxes(lower, -1, -2).conj() if upper else lower

    def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
        # For hermitian matrices NumPy takes another way to the same result.
        rcond = rtol if rcond is None else rcond
        return library().linalg.pinv(a) if rcond is None else library().linalg.pinv(a, rcond)

    def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
        if rtol is not None:
            tol = rtol * library().linalg.svd(A, compute_uv=False).max(axis=-1)
        return library().linalg.matrix_rank(A, tol)

    creators = "arange asarray empty empty_like eye full full_like linspace ones ones_like zeros zeros_like"
    return {
        **{name: _on_device(library, name) for name in creators.split()},
        **{name: _deviation(library, name) for name in ("std", "var")},
        **{name: _sorting(library, name) for name in ("sort", "argsort")},
        "astype": astype,
        "take_along_axis": take_along_axis,
        "count_nonzero": count_nonzero,
        "linalg.cholesky": cholesky,
        "linalg.pinv": pinv,
        "linalg.matrix_rank": matrix_rank,
    }

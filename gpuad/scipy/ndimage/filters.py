"""Linear filters: with weights of one's own, Gaussian ones, and those that find edges."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ...core.box import Box, has_derivatives, innermost, spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_array, convert, home
from ...numpy.frontend import functions, is_traced, numpy_function
from ...ops import filter as f
from ...ops.contract import euclidean_norm
from ...ops.elementwise import conjugate, exp
from ...ops.shape import flip, stack


def ready(name: str, x: Any, output: Any) -> Any:
    """The input, as an array of the dtype that the result is to have."""
    x = as_array(x)
    if not (output is None or isinstance(output, (str, type, np.dtype))):
        raise UnsupportedError(
            f"{name} of traced arrays can't write into an array: leave output= away, or name a dtype"
        )
    dtype = spec_of(x).dtype if output is None else np.dtype(output)
    if not has_derivatives(dtype):
        raise UnsupportedError(
            f"{name}: its result would be of {dtype}, and so have no derivative; give it an image of floating-point "
            "numbers, or output=float"
        )
    return convert(x, dtype)


def need_finite(name: str, cval: Any) -> None:
    """The operation is linear in what exceeds ``cval``, which must be a number for that."""
    if type(cval) is not Box and not np.isfinite(cval):
        raise UnsupportedError(f"{name} of traced arrays needs a finite cval, got {cval}")


def per_axis(value: Any, n: int) -> list[Any]:
    """A setting for each of n axes: one for all, or a sequence of them."""
    if isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "shape", None) == ():
        return [value] * n
    values = list(value)
    if len(values) != n:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return values


def _correlate(name: str, x: Any, w: Any, axes: tuple[int, ...], origins: tuple[int, ...], mode: str, cval: Any) -> Any:
    if mode not in f.PADDING:
        raise RuntimeError(f"{name}: boundary mode {mode!r} not supported; the modes are {', '.join(f.PADDING)}")
    lengths = spec_of(w).shape
    if not all(lengths):
        raise RuntimeError(f"{name}: no filter weights given")
    if any(not -(k // 2) <= o <= (k - 1) // 2 for k, o in zip(lengths, origins, strict=True)):
        raise ValueError(f"{name}: invalid origin {origins} for weights of shape {lengths}")
    constant = f.PADDING[mode] == "constant" and (type(cval) is Box or cval != 0)
    if constant:
        need_finite(name, cval)
        x = x - cval
    y = f.correlate(x, w, axes=axes, origins=origins, mode=mode)
    return y + functions["sum"](w).astype(spec_of(y).dtype) * cval if constant else y


def _conjugate(w: Any) -> Any:
    return conjugate(w) if spec_of(w).dtype.kind == "c" else w


def _turned(w: Any, origins: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """The weights and origins of a correlation that is the convolution with ``w``."""
    shape = spec_of(w).shape
    return flip(w, axes=tuple(range(len(shape)))), tuple(-o - 1 + k % 2 for k, o in zip(shape, origins, strict=True))


# -- any weights --------------------------------------------------------------------------------------------
def _weighted(name: str, input: Any, weights: Any, output: Any, axes: Any, origin: Any) -> tuple[Any, Any, Any, Any]:
    x = ready(name, input, output)
    ndim = len(spec_of(x).shape)
    axes = tuple(range(ndim)) if axes is None else normalize_axis_tuple(axes, ndim)
    w = as_array(weights, home(x))
    if len(spec_of(w).shape) != len(axes):
        raise RuntimeError(f"{name}: weights must have {len(axes)} axes, got shape {spec_of(w).shape}")
    origins = [operator.index(o) for o in per_axis(origin, len(axes))]
    # SciPy takes the origins as the axes are named, the weights as they lie in the image
    by_axis = dict(zip(axes, origins, strict=True))
    return x, w, tuple(sorted(by_axis)), tuple(by_axis[axis] for axis in sorted(by_axis))


@numpy_function("scipy.ndimage.correlate")
def correlate(
    input: Any, weights: Any, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    x, w, axes, origins = _weighted("correlate", input, weights, output, axes, origin)
    return _correlate("correlate", x, _conjugate(w), axes, origins, mode, cval)


@numpy_function("scipy.ndimage.convolve")
def convolve(
    input: Any, weights: Any, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    x, w, axes, origins = _weighted("convolve", input, weights, output, axes, origin)
    w, origins = _turned(w, origins)
    return _correlate("convolve", x, w, axes, origins, mode, cval)


def _weighted_1d(name: str, input: Any, weights: Any, axis: int, output: Any) -> tuple[Any, Any, tuple[int]]:
    x = ready(name, input, output)
    w = as_array(weights, home(x))
    if len(spec_of(w).shape) != 1:
        raise RuntimeError(f"{name}: no filter weights given")
    return x, w, (normalize_axis_index(axis, len(spec_of(x).shape)),)


@numpy_function("scipy.ndimage.correlate1d")
def correlate1d(
    input: Any, weights: Any, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
    origin: int = 0,
) -> Any:  # fmt: skip
    x, w, axes = _weighted_1d("correlate1d", input, weights, axis, output)
    return _correlate("correlate1d", x, _conjugate(w), axes, (origin,), mode, cval)


@numpy_function("scipy.ndimage.convolve1d")
def convolve1d(
    input: Any, weights: Any, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
    origin: int = 0,
) -> Any:  # fmt: skip
    x, w, axes = _weighted_1d("convolve1d", input, weights, axis, output)
    w, origins = _turned(w, (origin,))
    return _correlate("convolve1d", x, w, axes, origins, mode, cval)


def _along(x: Any, weights: Any, axis: int, mode: str, cval: Any, origin: int = 0) -> Any:
    if type(weights) is not Box:
        weights = home(x).asarray(weights)
    return _correlate("correlate1d", x, weights, (axis,), (origin,), mode, cval)


# -- Gaussian -----------------------------------------------------------------------------------------------
def _gaussian(sigma: Any, order: int, radius: int) -> Any:
    """The weights of a Gaussian's derivative: a polynomial times the Gaussian, whose sum is 1."""
    x = np.arange(-radius, radius + 1.0)
    if is_traced([sigma]):
        x = home(sigma).asarray(x, spec_of(sigma).dtype)
    precision = 1.0 / (sigma * sigma)
    bell = exp(-0.5 * precision * (x * x))
    bell = bell / bell.sum()
    polynomial: list[Any] = [1.0] + [0.0] * order
    for _ in range(order):  # (p e)' = (p' - x p / sigma**2) e
        slopes = [k * p for k, p in enumerate(polynomial[1:], 1)] + [0.0]
        polynomial = [s - precision * p for s, p in zip(slopes, [0.0, *polynomial], strict=False)]
    factor = polynomial[-1]
    for p in reversed(polynomial[:-1]):
        factor = factor * x + p
    return factor * bell if order else bell


@numpy_function("scipy.ndimage.gaussian_filter1d")
def gaussian_filter1d(
    input: Any, sigma: Any, axis: int = -1, order: int = 0, output: Any = None, mode: str = "reflect",
    cval: Any = 0.0, truncate: float = 4.0, *, radius: int | None = None,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.gaussian_filter1d`; differentiable, with respect to ``sigma`` too."""
    x = ready("gaussian_filter1d", input, output)
    axis = normalize_axis_index(axis, len(spec_of(x).shape))
    if order < 0:
        raise ValueError("order must be non-negative")
    reach = int(truncate * float(innermost(sigma)) + 0.5) if radius is None else operator.index(radius)
    if reach < 0:
        raise ValueError("Radius must be a nonnegative integer.")
    weights = _gaussian(sigma, order, reach)
    return _along(x, weights[::-1], axis, mode, cval)


def _settings(n: int, *settings: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(per_axis(s, n) for s in settings), strict=True))


@numpy_function("scipy.ndimage.gaussian_filter")
def gaussian_filter(
    input: Any, sigma: Any, order: Any = 0, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
    truncate: float = 4.0, *, radius: Any = None, axes: Any = None,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.gaussian_filter`; differentiable, with respect to ``sigma`` too."""
    x = ready("gaussian_filter", input, output)
    axes = _axes(x, axes)
    for axis, (s, o, m, r) in zip(axes, _settings(len(axes), sigma, order, mode, radius), strict=True):
        if s > 1e-15:
            x = gaussian_filter1d(x, s, axis, o, None, m, cval, truncate, radius=r)
    return x


def _axes(x: Any, axes: Any) -> tuple[int, ...]:
    ndim = len(spec_of(x).shape)
    return tuple(range(ndim)) if axes is None else normalize_axis_tuple(axes, ndim)


def _derivatives(
    name: str, input: Any, sigma: Any, order: int, output: Any, mode: Any, cval: Any, axes: Any, options: Any
) -> list[Any]:
    """A Gaussian's derivative along each axis in turn, smoothed along all."""
    x = ready(name, input, output)
    along = _axes(x, axes)
    ndim = len(spec_of(x).shape)
    if axes is not None:
        by_axis = dict(zip(along, per_axis(sigma, len(along)), strict=True))
        sigma = [by_axis.get(i, 0.0) for i in range(ndim)]
    modes = per_axis(mode, len(along))
    return [
        gaussian_filter(x, sigma, [order * (i == axis) for i in range(ndim)], None, m, cval, **options)
        for axis, m in zip(along, modes, strict=True)
    ]


@numpy_function("scipy.ndimage.gaussian_laplace")
def gaussian_laplace(
    input: Any, sigma: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    first, *rest = _derivatives("gaussian_laplace", input, sigma, 2, output, mode, cval, axes, kwargs)
    return sum(rest, first)


@numpy_function("scipy.ndimage.gaussian_gradient_magnitude")
def gaussian_gradient_magnitude(
    input: Any, sigma: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """As SciPy's; differentiable. Where it is zero, its derivative is taken to be zero."""
    parts = _derivatives("gaussian_gradient_magnitude", input, sigma, 1, output, mode, cval, axes, kwargs)
    return euclidean_norm(stack(*parts, axis=0), axis=(0,), keepdims=False)


# -- boxes and edges ------------------------------------------------------------------------------------------
@numpy_function("scipy.ndimage.uniform_filter1d")
def uniform_filter1d(
    input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
    origin: int = 0,
) -> Any:  # fmt: skip
    x = ready("uniform_filter1d", input, output)
    if size < 1:
        raise RuntimeError("incorrect filter size")
    return _along(x, np.full(size, 1.0 / size), normalize_axis_index(axis, len(spec_of(x).shape)), mode, cval, origin)


@numpy_function("scipy.ndimage.uniform_filter")
def uniform_filter(
    input: Any, size: Any = 3, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    x = ready("uniform_filter", input, output)
    axes = _axes(x, axes)
    for axis, (k, m, o) in zip(axes, _settings(len(axes), size, mode, origin), strict=True):
        if k > 1:
            x = uniform_filter1d(x, int(k), axis, None, m, cval, o)
    return x


def _edges(name: str, input: Any, axis: int, output: Any, mode: Any, cval: Any, across: list[float]) -> Any:
    x = ready(name, input, output)
    ndim = len(spec_of(x).shape)
    axis = normalize_axis_index(axis, ndim)
    modes = per_axis(mode, ndim)
    x = _along(x, [-1.0, 0.0, 1.0], axis, modes[axis], cval)
    for i in range(ndim):
        if i != axis:
            x = _along(x, across, i, modes[i], cval)
    return x


@numpy_function("scipy.ndimage.prewitt")
def prewitt(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    return _edges("prewitt", input, axis, output, mode, cval, [1.0, 1.0, 1.0])


@numpy_function("scipy.ndimage.sobel")
def sobel(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    return _edges("sobel", input, axis, output, mode, cval, [1.0, 2.0, 1.0])


@numpy_function("scipy.ndimage.laplace")
def laplace(input: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None) -> Any:
    x = ready("laplace", input, output)
    axes = _axes(x, axes)
    first, *rest = [
        _along(x, [1.0, -2.0, 1.0], axis, m, cval) for axis, m in zip(axes, per_axis(mode, len(axes)), strict=True)
    ]
    return sum(rest, first)

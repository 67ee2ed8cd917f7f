"""Images at coordinates between the pixels: moved, turned, stretched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.box import innermost, spec_of
from ...numpy.creation import as_array, convert, home
from ...numpy.frontend import functions, numpy_function
from ...ops import spline as s
from ...ops.elementwise import cos, logical_not, sin, stop_gradient, where
from ...ops.filter import PADDING, extend
from ...ops.shape import stack
from .filters import need_finite, per_axis, ready

#: As many pixels more SciPy looks at beyond the edge, where it knows no exact coefficients for what lies there.
_AROUND = 12


def _coefficients(x: Any, order: int, mode: str) -> Any:
    dtype = "complex128" if x.dtype.kind == "c" else "float64"
    x = convert(x, dtype)
    for axis in range(len(x.shape)):
        x = s.spline_filter(x, order=order, axis=axis, mode=mode, transposed=False)
    return x


def _need_order(name: str, order: int, least: int = 0) -> None:
    if not least <= order <= 5:
        raise RuntimeError(f"{name}: spline order must be one of {least} to 5, got {order}")


def _interpolated(name: str, x: Any, coordinates: Any, order: int, mode: str, cval: Any, prefilter: bool) -> Any:
    _need_order(name, order)
    if mode not in PADDING:
        raise RuntimeError(f"{name}: boundary mode {mode!r} not supported; the modes are {', '.join(PADDING)}")
    shape, dtype = x.shape, x.dtype
    if mode == "grid-constant":
        need_finite(name, cval)
        x = x - cval
    outside = _outside(coordinates, shape) if mode == "constant" else None
    if prefilter and order > 1:
        if mode in ("nearest", "grid-constant"):
            x = extend(x, widths=((_AROUND, _AROUND),) * len(shape), mode=PADDING[mode])
            coordinates = coordinates + float(_AROUND)
        x = _coefficients(x, order, mode)
    y = s.spline_sum(x, coordinates, shape=tuple(x.shape), order=order, derivatives=(0,) * len(shape), mode=mode)
    if y.dtype != dtype:
        y = convert(y, dtype)
    if outside is not None:
        return where(outside, cval, y)
    return y + cval if mode == "grid-constant" else y


def _outside(coordinates: Any, shape: Sequence[int]) -> Any:
    values = stop_gradient(coordinates)
    last = np.reshape([n - 1.0 for n in shape], (-1,) + (1,) * (len(values.shape) - 1))
    inside = (values >= 0.0) & (values <= home(values).asarray(last, values.dtype))
    return logical_not(functions["all"](inside, axis=0))


@numpy_function("scipy.ndimage.map_coordinates")
def map_coordinates(
    input: Any, coordinates: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.map_coordinates`; differentiable with respect to the image and the coordinates.

    Where the interpolated image has a kink, the derivative is that of one side.
    """
    x = ready("map_coordinates", input, output)
    coordinates = as_array(coordinates, home(x))
    dtype = spec_of(coordinates).dtype
    if dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if dtype.kind != "f":
        coordinates = convert(coordinates, float)
    if not x.shape or len(coordinates.shape) < 2:
        raise RuntimeError("input and output rank must be > 0")
    if coordinates.shape[0] != len(x.shape):
        raise RuntimeError("invalid shape for coordinate array")
    return _interpolated("map_coordinates", x, coordinates, order, mode, cval, prefilter)


@numpy_function("scipy.ndimage.spline_filter1d")
def spline_filter1d(input: Any, order: int = 3, axis: int = -1, output: Any = np.float64, mode: str = "mirror") -> Any:
    _need_order("spline_filter1d", order)
    x = ready("spline_filter1d", input, _of_kind(input, output))
    axis = normalize_axis_index(axis, len(x.shape))
    return s.spline_filter(x, order=order, axis=axis, mode=mode, transposed=False) if order > 1 else x


@numpy_function("scipy.ndimage.spline_filter")
def spline_filter(input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror") -> Any:
    _need_order("spline_filter", order, 2)
    x = ready("spline_filter", input, _of_kind(input, output))
    for axis in range(len(x.shape)):
        x = s.spline_filter(x, order=order, axis=axis, mode=mode, transposed=False)
    return x


def _of_kind(x: Any, output: Any) -> Any:
    """The dtype that is meant: of complex numbers, where there are."""
    complex_input = spec_of(as_array(x)).dtype.kind == "c"
    return (
        np.result_type(output, np.complex64) if complex_input and isinstance(output, (str, type, np.dtype)) else output
    )


# -- images moved -----------------------------------------------------------------------------------------------
def _grid(shape: Sequence[int], like: Any) -> list[Any]:
    """The coordinates of the pixels along each axis, so that they broadcast."""
    ndim = len(shape)
    grids = [np.arange(float(n)).reshape([-1 if i == k else 1 for i in range(ndim)]) for k, n in enumerate(shape)]
    return [home(like).asarray(grid) for grid in grids]


def _stacked(parts: list[Any], shape: Sequence[int]) -> Any:
    return stack(*(functions["broadcast_to"](part, tuple(shape)) for part in parts), axis=0)


@numpy_function("scipy.ndimage.shift")
def shift(
    input: Any, shift: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.shift`; differentiable with respect to the image and the shift."""
    x = ready("shift", input, output)
    shifts = per_axis(shift, len(x.shape))
    moved = [i - by for i, by in zip(_grid(x.shape, x), shifts, strict=True)]
    return _interpolated("shift", x, _stacked(moved, x.shape), order, mode, cval, prefilter)


@numpy_function("scipy.ndimage.zoom")
def zoom(
    input: Any, zoom: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True, *, grid_mode: bool = False,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.zoom`; differentiable with respect to the image. Of ``zoom`` only the size depends."""
    x = ready("zoom", input, output)
    factors = [float(innermost(z)) for z in per_axis(zoom, len(x.shape))]
    if all(z == 1 for z in factors) and prefilter:
        return x
    shape = [round(n * z) for n, z in zip(x.shape, factors, strict=True)]
    less = 0 if grid_mode else 1
    steps = [(n - less) / (m - less) if m != less else 1.0 for n, m in zip(x.shape, shape, strict=True)]
    grid = _grid(shape, x)
    moved = [(i + 0.5) * step - 0.5 if grid_mode else i * step for i, step in zip(grid, steps, strict=True)]
    return _interpolated("zoom", x, _stacked(moved, shape), order, mode, cval, prefilter)


@numpy_function("scipy.ndimage.affine_transform")
def affine_transform(
    input: Any, matrix: Any, offset: Any = 0.0, output_shape: Any = None, output: Any = None, order: int = 3,
    mode: str = "constant", cval: Any = 0.0, prefilter: bool = True,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.affine_transform`; differentiable with respect to image, matrix and offset."""
    x = ready("affine_transform", input, output)
    matrix = as_array(matrix, home(x))
    ndim = len(x.shape)
    if len(matrix.shape) == 2 and matrix.shape[1] == ndim + 1 and matrix.shape[0] in (ndim, ndim + 1):
        matrix, offset = matrix[:ndim, :ndim], matrix[:ndim, ndim]
    if len(matrix.shape) not in (1, 2) or matrix.shape[0] != ndim:
        raise RuntimeError(f"affine_transform: a matrix with {ndim} rows is needed, got shape {matrix.shape}")
    shape = x.shape if output_shape is None else tuple(int(n) for n in output_shape)
    if len(matrix.shape) == 2 and matrix.shape[1] != len(shape):
        raise RuntimeError(f"affine_transform: a matrix with {len(shape)} columns is needed, got shape {matrix.shape}")
    offsets, grid = per_axis(offset, ndim), _grid(shape, x)
    if len(matrix.shape) == 1:  # multiplied and added as SciPy does
        moved = [(i + offsets[k] / matrix[k]) * matrix[k] for k, i in enumerate(grid)]
    else:
        moved = [_affine(offsets[k], matrix[k], grid) for k in range(ndim)]
    return _interpolated("affine_transform", x, _stacked(moved, shape), order, mode, cval, prefilter)


def _affine(offset: Any, row: Any, grid: list[Any]) -> Any:
    # in the order in which SciPy adds up: rounding decides what lies inside, and which pixel is nearest
    for k, i in enumerate(grid):
        offset = offset + i * row[k]
    return offset


@numpy_function("scipy.ndimage.rotate")
def rotate(
    input: Any, angle: Any, axes: Any = (1, 0), reshape: bool = True, output: Any = None, order: int = 3,
    mode: str = "constant", cval: Any = 0.0, prefilter: bool = True,
) -> Any:  # fmt: skip
    """As :func:`scipy.ndimage.rotate`; differentiable with respect to image and angle.

    With ``reshape``, the size of the result varies with the angle in jumps, which count as constant.
    """
    from scipy.special import cosdg, sindg  # exact at multiples of 90 degrees

    x = ready("rotate", input, output)
    ndim = len(x.shape)
    if ndim < 2:
        raise ValueError("input array should be at least 2D")
    if len(axes) != 2:
        raise ValueError("axes should contain exactly two values")
    plane = sorted(normalize_axis_index(axis, ndim) for axis in axes)
    degrees = float(innermost(angle))
    c, sn = float(cosdg(degrees)), float(sindg(degrees))
    height, width = (x.shape[axis] for axis in plane)
    size = [height, width]
    if reshape:
        corners = np.array([[c, sn], [-sn, c]]) @ [[0, 0, height, height], [0, width, 0, width]]
        size = [int(n) for n in np.ptp(corners, axis=1) + 0.5]
    turn = (angle - stop_gradient(angle)) * (math.pi / 180.0)  # zero, but its derivative isn't
    c, sn = c * cos(turn) - sn * sin(turn), sn * cos(turn) + c * sin(turn)
    grid, middle = _grid(size, x), [(n - 1) / 2.0 for n in size]
    moved = []
    for n, row in ((height, (c, sn)), (width, (-sn, c))):
        offset = (n - 1) / 2.0 - (row[0] * middle[0] + row[1] * middle[1])
        moved.append(_affine(offset, row, grid))
    coordinates = _stacked(moved, size)
    planes = functions["moveaxis"](x, plane, (-2, -1)).reshape((-1, height, width))
    turned = [
        _interpolated("rotate", planes[k], coordinates, order, mode, cval, prefilter) for k in range(planes.shape[0])
    ]
    others = [n for axis, n in enumerate(x.shape) if axis not in plane]
    return functions["moveaxis"](stack(*turned, axis=0).reshape((*others, *size)), (-2, -1), plane)

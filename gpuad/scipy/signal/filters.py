"""Filters that run along an axis."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.box import innermost, spec_of
from ...errors import UnsupportedError
from ...numpy import fft
from ...numpy.creation import as_array, as_arrays, convert, home
from ...numpy.frontend import functions, numpy_function
from ...ops.convolve import recursive_filter
from ...ops.declare import broadcast_to
from ...ops.fft import resize
from ...ops.filter import correlate
from ...ops.index import getitem
from ...ops.reduce import cumsum
from ...ops.shape import flip
from ..ndimage import filters as images


def _part(x: Any, axis: int, start: int | None, stop: int | None, step: int | None = None) -> Any:
    return getitem(x, (slice(None),) * axis + (slice(start, stop, step),))


def _joined(parts: list[Any], axis: int) -> Any:
    return functions["concatenate"](parts, axis)


# -- linear difference equations --------------------------------------------------------------------------
def _need_scipys_state(name: str, x: Any, zi: Any) -> None:
    if zi is not None and home(x).name == "cupy":
        raise UnsupportedError(
            f"{name} of traced CuPy arrays isn't supported with zi: what CuPy takes for the state isn't what SciPy does"
        )


@numpy_function("scipy.signal.lfilter")
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    _need_scipys_state("lfilter", x, zi)
    return _filtered(b, a, x, axis, zi)


def _filtered(b: Any, a: Any, x: Any, axis: int, zi: Any = None) -> Any:
    b, a, x = as_arrays([b, a, x])
    b, a = functions["atleast_1d"](b), functions["atleast_1d"](a)
    if len(b.shape) != 1 or len(a.shape) != 1 or not b.shape[0] or not a.shape[0]:
        raise ValueError(f"lfilter: b and a must be vectors of one number or more, got shapes {b.shape} and {a.shape}")
    zi = None if zi is None else as_array(zi, home(x))
    dtype = np.result_type(*(spec_of(v).dtype for v in (b, a, x, *(() if zi is None else (zi,)))), np.float32)
    b, a, x = (convert(v, dtype) for v in (b, a, x))
    axis = normalize_axis_index(axis, len(x.shape))
    n = x.shape[axis]
    # a * y = b * x, but for what comes of the state, and up to place n
    whole = _product(x, b, axis)
    order = max(a.shape[0], b.shape[0]) - 1
    if zi is None:
        return _over(a, _part(whole, axis, 0, n), axis)
    state = (*x.shape[:axis], order, *x.shape[axis + 1 :])
    zi = broadcast_to(zi, shape=state)
    # the equation runs on for as long as it takes the state to leave; the state is what is missing then
    whole = resize(whole, {axis: n + order}) + resize(zi, {axis: n + order}) * a[0]
    y = _over(a, _part(whole, axis, 0, n), axis)
    rest = _part(whole - resize(_product(y, a, axis), {axis: n + order}), axis, n, None)
    return y, rest / a[0]


def _product(x: Any, b: Any, axis: int) -> Any:
    """All of the convolution along an axis."""
    after = b.shape[0] - 1
    x = resize(x, {axis: x.shape[axis] + after})
    return correlate(x, flip(b, axes=(0,)), axes=(axis,), origins=(after - b.shape[0] // 2,), mode="constant")


def _over(a: Any, u: Any, axis: int) -> Any:
    return u / a[0] if a.shape[0] == 1 else recursive_filter(a, u, axis=axis)


@numpy_function("scipy.signal.lfilter_zi")
def lfilter_zi(b: Any, a: Any) -> Any:
    _need_scipys_state("lfilter_zi", (b, a), b)
    return _steady_state(b, a)


def _steady_state(b: Any, a: Any) -> Any:
    b, a = as_arrays([b, a])
    n = max(b.shape[0], a.shape[0])
    b, a = resize(b, {0: n}) / a[0], resize(a, {0: n}) / a[0]
    # the state is what the equation still lacks after inputs of 1 for ever, when the output is the gain
    return cumsum(b[1:] - a[1:] * (b.sum() / a.sum()), axis=0, reverse=True)


@numpy_function("scipy.signal.filtfilt")
def filtfilt(
    b: Any, a: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None,
    method: str = "pad", irlen: int | None = None,
) -> Any:  # fmt: skip
    if method != "pad":
        raise UnsupportedError(f"filtfilt on traced arrays isn't supported with method={method!r}; 'pad' is")
    b, a, x = as_arrays([b, a, x])
    b, a = functions["atleast_1d"](b), functions["atleast_1d"](a)
    axis = normalize_axis_index(axis, len(x.shape))
    edge, extended = _extended(x, axis, padtype, padlen, max(b.shape[0], a.shape[0]))
    zi = _steady_state(b, a).reshape([-1 if i == axis else 1 for i in range(len(x.shape))])

    def once(x: Any) -> Any:
        return _filtered(b, a, x, axis, zi * _part(x, axis, 0, 1))[0]

    return _there_and_back(once, extended, edge, axis)


def _there_and_back(once: Any, x: Any, edge: int, axis: int) -> Any:
    y = flip(once(flip(once(x), axes=(axis,))), axes=(axis,))
    return _part(y, axis, edge, -edge or None)


def _extended(x: Any, axis: int, padtype: str | None, padlen: int | None, taps: int) -> tuple[int, Any]:
    """How much was put around ``x``, and ``x`` with it."""
    edge = 0 if padtype is None else 3 * taps if padlen is None else padlen
    if x.shape[axis] <= edge:
        raise ValueError(f"filtfilt: more than padlen={edge} numbers are needed along the axis, got {x.shape[axis]}")
    if not edge:
        return 0, x
    first, last = _part(x, axis, 0, 1), _part(x, axis, -1, None)
    before = _part(x, axis, edge, 0, -1)
    after = _part(x, axis, -2, -edge - 2, -1)
    if padtype == "odd":
        before, after = 2.0 * first - before, 2.0 * last - after
    elif padtype == "constant":
        before, after = broadcast_to(first, shape=before.shape), broadcast_to(last, shape=after.shape)
    elif padtype != "even":
        raise ValueError(f"filtfilt: padtype must be 'even', 'odd', 'constant' or None, got {padtype!r}")
    return edge, _joined([before, x, after], axis)


@numpy_function("scipy.signal.sosfilt")
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    _need_scipys_state("sosfilt", x, zi)
    return _through_sections(sos, x, axis, zi)


def _through_sections(sos: Any, x: Any, axis: int, zi: Any = None) -> Any:
    sos, x = as_arrays([sos, x])
    _need_sections(sos)
    axis = normalize_axis_index(axis, len(x.shape))
    if zi is None:
        for k in range(sos.shape[0]):
            x = _filtered(sos[k, :3], sos[k, 3:], x, axis)
        return x
    zi = as_array(zi, home(x))
    need = (sos.shape[0], *x.shape[:axis], 2, *x.shape[axis + 1 :])
    if spec_of(zi).shape != need:
        raise ValueError(f"sosfilt: zi must have shape {need}, got {spec_of(zi).shape}")
    states = []
    for k in range(sos.shape[0]):
        x, state = _filtered(sos[k, :3], sos[k, 3:], x, axis, zi[k])
        states.append(state)
    return x, functions["stack"](states)


def _need_sections(sos: Any) -> None:
    if len(sos.shape) != 2 or sos.shape[1] != 6:
        raise ValueError(f"sos must be of shape (sections, 6), got {sos.shape}")


@numpy_function("scipy.signal.sosfilt_zi")
def sosfilt_zi(sos: Any) -> Any:
    _need_scipys_state("sosfilt_zi", sos, sos)
    return _steady_states(sos)


def _steady_states(sos: Any) -> Any:
    (sos,) = as_arrays([sos])
    _need_sections(sos)
    states, scale = [], 1.0
    for k in range(sos.shape[0]):
        b, a = sos[k, :3], sos[k, 3:]
        states.append(scale * _steady_state(b, a))
        scale = scale * (b.sum() / a.sum())
    return functions["stack"](states)


@numpy_function("scipy.signal.sosfiltfilt")
def sosfiltfilt(sos: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None) -> Any:
    sos, x = as_arrays([sos, x])
    zi = _steady_states(sos)
    axis = normalize_axis_index(axis, len(x.shape))
    lowest = innermost(sos)  # how many of its coefficients are zero decides how much is put around
    taps = 2 * sos.shape[0] + 1 - min(int((lowest[:, 2] == 0).sum()), int((lowest[:, 5] == 0).sum()))
    edge, extended = _extended(x, axis, padtype, padlen, taps)
    zi = zi.reshape([sos.shape[0], *(2 if i == axis else 1 for i in range(len(x.shape)))])

    def once(x: Any) -> Any:
        return _through_sections(sos, x, axis, zi * _part(x, axis, 0, 1))[0]

    return _there_and_back(once, extended, edge, axis)


# -- trends, envelopes, smoothing ---------------------------------------------------------------------------
@numpy_function("scipy.signal.detrend")
def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False) -> Any:
    x = as_array(data)
    axis = normalize_axis_index(axis, len(spec_of(x).shape))
    if type in ("constant", "c"):
        return x - functions["mean"](x, axis, keepdims=True)
    if type not in ("linear", "l"):
        raise ValueError(f"detrend: type must be 'linear' or 'constant', got {type!r}")
    n = x.shape[axis]
    breaks = sorted({0, n, *(int(i) for i in np.atleast_1d(bp))})
    if breaks[-1] > n:
        raise ValueError(f"detrend: breakpoints must be less than the length {n} along the axis, got {bp}")
    parts = [_part(x, axis, i, j) for i, j in itertools.pairwise(breaks)]
    return _joined([part - _line(part, axis) for part in parts], axis)


def _line(x: Any, axis: int) -> Any:
    """The straight line of least squares."""
    n = x.shape[axis]
    t = (np.arange(n) - (n - 1) / 2.0).reshape([-1 if i == axis else 1 for i in range(len(x.shape))])
    unit = home(x).asarray(t / max(math.sqrt((t * t).sum()), 1e-300), spec_of(x.real).dtype)
    return functions["mean"](x, axis, keepdims=True) + unit * (unit * x).sum(axis, keepdims=True)


@numpy_function("scipy.signal.hilbert")
def hilbert(x: Any, N: int | None = None, axis: int = -1) -> Any:
    x = as_array(x)
    if spec_of(x).dtype.kind == "c":
        raise ValueError("hilbert: x must be real.")
    axis = normalize_axis_index(axis, len(spec_of(x).shape))
    n = x.shape[axis] if N is None else N
    if n <= 0:
        raise ValueError("hilbert: N must be positive.")
    # of the spectrum the half of positive frequencies, twice
    half = fft.rfft(x, n, axis)
    whole = 2.0 * half - resize(_part(half, axis, 0, 1), {axis: half.shape[axis]})
    if n % 2 == 0:
        whole = _joined([_part(whole, axis, 0, -1), _part(half, axis, -1, None)], axis)
    return fft.ifft(whole, n, axis)


@numpy_function("scipy.signal.savgol_filter")
def savgol_filter(
    x: Any, window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, axis: int = -1,
    mode: str = "interp", cval: float = 0.0,
) -> Any:  # fmt: skip
    import scipy.signal  # for the coefficients, which are numbers

    x = as_array(x)
    if mode not in ("mirror", "constant", "nearest", "interp", "wrap"):
        raise ValueError(
            f"savgol_filter: mode must be 'mirror', 'constant', 'nearest', 'wrap' or 'interp', got {mode!r}"
        )
    axis = normalize_axis_index(axis, len(x.shape))
    coefficients = scipy.signal.savgol_coeffs(window_length, polyorder, deriv=deriv, delta=delta)
    smooth = images.convolve1d(
        x, home(x).asarray(coefficients), axis, None, "constant" if mode == "interp" else mode, cval
    )
    if mode != "interp":
        return smooth
    if window_length > x.shape[axis]:
        raise ValueError("savgol_filter: with mode 'interp', window_length can't be more than the length of x")
    half = window_length // 2
    ends = [_part(x, axis, 0, window_length), _part(x, axis, -window_length, None)]
    fits = [_fit(window_length, places, polyorder, deriv, delta) for places in (range(half), range(-half, 0))]
    head, tail = (_times(fit, end, axis) for fit, end in zip(fits, ends, strict=True))
    return _joined([head, _part(smooth, axis, half, -half or None), tail], axis)


def _fit(n: int, places: range, degree: int, deriv: int, delta: float) -> Any:
    """The matrix that takes n values to the polynomial of least squares through them, differentiated, at places."""
    t = np.arange(n) / n
    powers = np.linalg.pinv(np.vander(t, degree + 1, increasing=True))
    slopes = [np.polynomial.polynomial.polyder(row, deriv) for row in np.eye(degree + 1)]
    at = np.stack([np.polynomial.polynomial.polyval(t[list(places)], slope) for slope in slopes], 1)
    return at @ powers / (n * delta) ** deriv


def _times(matrix: Any, x: Any, axis: int) -> Any:
    matrix = home(x).asarray(matrix, spec_of(x).dtype)
    return functions["moveaxis"](functions["tensordot"](matrix, x, (1, axis)), 0, axis)

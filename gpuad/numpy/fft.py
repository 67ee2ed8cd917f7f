"""``numpy.fft``, all of it differentiable. Imported when a program first uses it."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.box import spec_of
from ..ops import fft as f
from ..ops import shape as s_
from ..ops.elementwise import conjugate
from .creation import as_array, convert, home
from .elementwise import no_options
from .frontend import numpy_function


def _length(name: str, n: Any) -> int:
    length: int = operator.index(n)
    if length < 1:
        raise ValueError(f"{name}: invalid number of data points ({length}) specified")
    return length


def _norm(norm: Any) -> Any:
    if norm not in f.OTHER_WAY:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def _axes(name: str, a: Any, s: Any, axes: Any, *, half: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lengths and axes that are meant; ``half``: the last axis of ``a`` is half a spectrum."""
    shape = spec_of(a).shape
    if axes is None:
        if s is not None:
            warnings.warn(
                f"{name}: `axes` should not be `None` if `s` is not `None` (deprecated in NumPy 2.0)",
                DeprecationWarning,
                stacklevel=4,
            )
        axes = range(len(shape)) if s is None else range(-len(s), 0)
    axes = tuple(normalize_axis_index(operator.index(axis), len(shape)) for axis in axes)
    default = [shape[axis] for axis in axes]
    if s is not None and len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    lengths = (
        list(default) if s is None else [n if m is None or m == -1 else m for m, n in zip(s, default, strict=True)]
    )
    if half and axes and (s is None or s[-1] is None):
        lengths[-1] = 2 * (default[-1] - 1)
    return tuple(_length(name, n) for n in lengths), axes


def _complex(transform: Any, a: Any, s: tuple[int, ...], axes: tuple[int, ...], norm: Any) -> Any:
    """An axis that is named twice is transformed twice, the last one first, as NumPy does."""
    if len(set(axes)) == len(axes):
        return transform(a, s=s, axes=axes, norm=norm) if axes else a
    for n, axis in zip(reversed(s), reversed(axes), strict=True):
        a = transform(a, s=(n,), axes=(axis,), norm=norm)
    return a


# -- along one axis ------------------------------------------------------------------------------------
def _one_axis(a: Any, axis: Any) -> tuple[Any, int, int]:
    a = as_array(a)
    axis = normalize_axis_index(axis, len(spec_of(a).shape))
    return a, axis, spec_of(a).shape[axis]


def _define(name: str, transform: Any) -> tuple[Callable[..., Any], ...]:
    @numpy_function(f"fft.{name}")
    def one_dimensional(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        no_options(name, out=out)
        a, axis, length = _one_axis(a, axis)
        return transform(a, s=(_length(name, length if n is None else n),), axes=(axis,), norm=_norm(norm))

    @numpy_function(f"fft.{name}n")
    def n_dimensional(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
        no_options(f"{name}n", out=out)
        a = as_array(a)
        return _complex(transform, a, *_axes(f"{name}n", a, s, axes), _norm(norm))

    @numpy_function(f"fft.{name}2")
    def two_dimensional(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
        return n_dimensional(a, s, axes, norm, out)

    return one_dimensional, n_dimensional, two_dimensional


fft, fftn, fft2 = _define("fft", f.fftn)
ifft, ifftn, ifft2 = _define("ifft", f.ifftn)


@numpy_function("fft.rfft")
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    no_options("rfft", out=out)
    a, axis, length = _one_axis(a, axis)
    return f.rfft(a, n=_length("rfft", length if n is None else n), axis=axis, norm=_norm(norm))


@numpy_function("fft.irfft")
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    no_options("irfft", out=out)
    a, axis, length = _one_axis(a, axis)
    return f.irfft(a, n=_length("irfft", 2 * (length - 1) if n is None else n), axis=axis, norm=_norm(norm))


@numpy_function("fft.hfft")
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return irfft(conjugate(as_array(a)), n, axis, f.OTHER_WAY[_norm(norm)], out)


@numpy_function("fft.ihfft")
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return conjugate(rfft(a, n, axis, f.OTHER_WAY[_norm(norm)], out))


# -- along several ---------------------------------------------------------------------------------------
@numpy_function("fft.rfftn")
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    no_options("rfftn", out=out)
    a = as_array(a)
    s, axes = _axes("rfftn", a, s, axes)
    a = f.rfft(a, n=s[-1], axis=axes[-1], norm=_norm(norm))
    return _complex(f.fftn, a, s[:-1], axes[:-1], norm)


@numpy_function("fft.irfftn")
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    no_options("irfftn", out=out)
    a = as_array(a)
    s, axes = _axes("irfftn", a, s, axes, half=True)
    a = _complex(f.ifftn, a, s[-2::-1], axes[-2::-1], _norm(norm))
    return f.irfft(a, n=s[-1], axis=axes[-1], norm=norm)


@numpy_function("fft.rfft2")
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return rfftn(a, s, axes, norm, out)


@numpy_function("fft.irfft2")
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return irfftn(a, s, axes, norm, out)


# -- around them -----------------------------------------------------------------------------------------
def _shift(x: Any, axes: Any, way: Callable[[int], int]) -> Any:
    x = as_array(x)
    shape = spec_of(x).shape
    axes = tuple(range(len(shape))) if axes is None else normalize_axis_tuple(axes, len(shape), allow_duplicate=True)
    return s_.roll(x, shifts=tuple(way(shape[axis]) for axis in axes), axes=axes)


@numpy_function("fft.fftshift")
def fftshift(x: Any, axes: Any = None) -> Any:
    return _shift(x, axes, lambda n: n // 2)


@numpy_function("fft.ifftshift")
def ifftshift(x: Any, axes: Any = None) -> Any:
    return _shift(x, axes, lambda n: -(n // 2))


def _frequencies(name: str) -> Callable[..., Any]:
    def frequencies(n: int, d: Any = 1.0, dtype: Any = None, device: Any = None) -> Any:
        found = home(d).function(f"fft.{name}")(n) / d
        return found if dtype is None else convert(found, dtype)

    frequencies.__doc__ = f"As :func:`numpy.fft.{name}`; the spacing ``d`` may be traced."
    return numpy_function(f"fft.{name}", on_plain=frequencies)(frequencies)


fftfreq, rfftfreq = _frequencies("fftfreq"), _frequencies("rfftfreq")

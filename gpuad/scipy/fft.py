"""``scipy.fft``, differentiable but for the Hankel transform, which works on plain arrays unchanged."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from ..core.box import spec_of
from ..numpy import fft as numpys
from ..numpy.creation import as_array, convert
from ..numpy.frontend import find, numpy_function
from ..ops.cosine import at_end, cosine_transform
from ..ops.elementwise import conjugate
from ..ops.fft import OTHER_WAY, resize, weigh_ends


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.fft.", "scipy.fft", name)
    return found


def __dir__() -> list[str]:
    import scipy.fft

    return list(scipy.fft.__all__)


def _array(x: Any) -> Any:
    x = as_array(x)
    return convert(x, "float32") if spec_of(x).dtype == "float16" else x


def _integers(given: Any) -> list[int] | None:
    if given is None:
        return None
    return [operator.index(i) for i in (given if isinstance(given, Sequence) else (given,))]


def _lengths_and_axes(x: Any, s: Any, axes: Any) -> tuple[list[int] | None, list[int]]:
    ndim = len(spec_of(x).shape)
    s, axes = _integers(s), _integers(axes)
    if axes is None:
        axes = list(range(ndim) if s is None else range(ndim - len(s), ndim))
    axes = [int(normalize_axis_index(axis, ndim)) for axis in axes]
    if len(set(axes)) != len(axes):
        raise ValueError("all axes must be unique")
    return s, axes


# -- Fourier: as NumPy's, but for the precision of float16 and the ways to name axes -----------------------
def _define(name: str) -> None:
    theirs = getattr(numpys, name)

    @numpy_function(f"scipy.fft.{name}")
    def transform(
        x: Any, n: Any = None, axis: int = -1, norm: Any = None, overwrite_x: bool = False, workers: Any = None, *,
        plan: Any = None,
    ) -> Any:  # fmt: skip
        return theirs(_array(x), n, axis, norm)


def _define_several(name: str) -> None:
    conjugated = name.endswith("hfft")
    theirs = getattr(numpys, name.replace("ihfft", "rfft").replace("hfft", "irfft") + "n")

    def transform(x: Any, s: Any, axes: Any, norm: Any) -> Any:
        x = _array(x)
        s, axes = _lengths_and_axes(x, s, axes)
        if not conjugated:
            return theirs(x, s, axes, norm)
        if name.startswith("i"):
            return conjugate(theirs(x, s, axes, OTHER_WAY.get(norm, norm)))
        return theirs(conjugate(x), s, axes, OTHER_WAY.get(norm, norm))

    @numpy_function(f"scipy.fft.{name}n")
    def n_dimensional(
        x: Any, s: Any = None, axes: Any = None, norm: Any = None, overwrite_x: bool = False, workers: Any = None, *,
        plan: Any = None,
    ) -> Any:  # fmt: skip
        return transform(x, s, axes, norm)

    @numpy_function(f"scipy.fft.{name}2")
    def two_dimensional(
        x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, overwrite_x: bool = False, workers: Any = None,
        *, plan: Any = None,
    ) -> Any:  # fmt: skip
        return transform(x, s, axes, norm)


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _define(_name)
    _define_several(_name)


@numpy_function("scipy.fft.fftshift")
def fftshift(x: Any, axes: Any = None) -> Any:
    return numpys.fftshift(x, axes)


@numpy_function("scipy.fft.ifftshift")
def ifftshift(x: Any, axes: Any = None) -> Any:
    return numpys.ifftshift(x, axes)


# -- cosines and sines -------------------------------------------------------------------------------------
_ROOT2 = math.sqrt(2.0)
_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}


def _real_transform(x: Any, kind: str, type: int, axis: int, norm: Any, orthogonalize: Any) -> Any:
    """Along one axis. ``norm`` is that of the way there; the way back is one with ``OTHER_WAY[norm]``."""
    n = x.shape[axis]
    if n < 1 + (kind == "dct" and type == 1):
        raise ValueError(f"{kind}: invalid number of data points ({n}) specified for type {type}")
    if orthogonalize is None:
        orthogonalize = norm == "ortho"
    ends = {"axis": axis, "inner": 1.0}
    cosines_1 = orthogonalize and kind == "dct" and type == 1
    if cosines_1:
        x = weigh_ends(x, first=_ROOT2, last=_ROOT2, **ends)
    if orthogonalize and type == 3:
        x = at_end(x, kind, axis, _ROOT2)
    y = cosine_transform(x, kind=kind, type=type, axis=axis)
    if cosines_1:
        y = weigh_ends(y, first=1.0 / _ROOT2, last=1.0 / _ROOT2, **ends)
    if orthogonalize and type == 2:
        y = at_end(y, kind, axis, 1.0 / _ROOT2)
    period = 2.0 * (n + (0 if type > 1 else 1 if kind == "dst" else -1))
    return y if norm in (None, "backward") else y * (1.0 / (period if norm == "forward" else math.sqrt(period)))


def _define_real(name: str) -> None:
    inverse, kind = name.startswith("i"), name[-3:]

    def transform(x: Any, type: Any, lengths: Any, axes: list[int], norm: Any, orthogonalize: Any) -> Any:
        if type not in _INVERSE:
            raise ValueError(f"{name}: type must be 1, 2, 3 or 4, got {type!r}")
        if norm not in OTHER_WAY:
            raise ValueError(f'{name}: norm must be "backward", "ortho" or "forward", got {norm!r}')
        if lengths is not None and len(lengths) != len(axes):
            raise ValueError("when given, axes and shape arguments have to be of the same length")
        if lengths is not None:
            x = resize(x, {axis: x.shape[axis] if n == -1 else n for axis, n in zip(axes, lengths, strict=True)})
        if inverse:
            type, norm = _INVERSE[type], OTHER_WAY[norm]
        for axis in axes:
            x = _real_transform(x, kind, type, axis, norm, orthogonalize)
        return x

    @numpy_function(f"scipy.fft.{name}")
    def one_dimensional(
        x: Any, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None, overwrite_x: bool = False,
        workers: Any = None, orthogonalize: bool | None = None,
    ) -> Any:  # fmt: skip
        x = _array(x)
        return transform(x, type, _integers(n), _lengths_and_axes(x, None, axis)[1], norm, orthogonalize)

    @numpy_function(f"scipy.fft.{name}n")
    def n_dimensional(
        x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: Any = None, overwrite_x: bool = False,
        workers: Any = None, *, orthogonalize: bool | None = None,
    ) -> Any:  # fmt: skip
        x = _array(x)
        return transform(x, type, *_lengths_and_axes(x, s, axes), norm, orthogonalize)


for _name in ("dct", "idct", "dst", "idst"):
    _define_real(_name)

"""Convolutions and correlations: SciPy's, and autograd's with axes that are summed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ...core.box import spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_arrays
from ...numpy.frontend import functions, is_traced, numpy_function
from ...ops import convolve as c
from ...ops.elementwise import conjugate
from ...ops.index import getitem
from ...ops.shape import flip, pad

_MODES = ("full", "valid", "same")


def _of_one_dimension(name: str, in1: Any, in2: Any, mode: str) -> tuple[Any, Any]:
    x, y = as_arrays([in1, in2])
    if mode not in _MODES:
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    if len(x.shape) != len(y.shape):
        raise ValueError(f"{name}: arrays of as many dimensions are needed, got shapes {x.shape} and {y.shape}")
    return x, y


def _convolution(name: str, x: Any, y: Any, mode: str, method: str, axes: tuple[int, ...]) -> Any:
    if mode == "valid" and axes:
        fits = [[a.shape[i] >= b.shape[i] for i in axes] for a, b in ((x, y), (y, x))]
        if not all(fits[0]):
            if not all(fits[1]):
                raise ValueError(
                    f"{name}: for 'valid' mode, one must be at least as large as the other along every axis"
                )
            x, y = y, x
        return c.convolve(x, y, mode="valid", method=method, axes=axes)
    whole = c.convolve(x, y, mode="full", method=method, axes=axes) if axes else x * y
    return _middle(whole, x.shape) if mode == "same" else whole


def _middle(x: Any, shape: Sequence[int]) -> Any:
    starts = [(n - m) // 2 for n, m in zip(x.shape, shape, strict=True)]
    return getitem(x, tuple(slice(i, i + m) for i, m in zip(starts, shape, strict=True)))


def _reversed(y: Any) -> Any:
    """What to convolve with instead of correlating with ``y``."""
    y = flip(y, axes=tuple(range(len(y.shape))))
    return conjugate(y) if y.dtype.kind == "c" else y


# -- SciPy's ------------------------------------------------------------------------------------------------
def _of_all_axes(name: str, x: Any, y: Any, mode: str, method: str) -> Any:
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"{name}: method must be 'auto', 'direct' or 'fft', got {method!r}")
    return _convolution(name, x, y, mode, method, tuple(range(len(x.shape))))


@numpy_function("scipy.signal.correlate")
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    x, y = _of_one_dimension("correlate", in1, in2, mode)
    return _of_all_axes("correlate", x, _reversed(y), mode, method)


def _along_axes(name: str, in1: Any, in2: Any, mode: str, axes: Any, method: str) -> Any:
    x, y = _of_one_dimension(name, in1, in2, mode)
    ndim = len(x.shape)
    axes = tuple(range(ndim)) if axes is None else normalize_axis_tuple(axes, ndim)
    # what is 1 long is broadcast
    return _convolution(name, x, y, mode, method, tuple(i for i in sorted(axes) if x.shape[i] != 1 != y.shape[i]))


@numpy_function("scipy.signal.fftconvolve")
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    return _along_axes("fftconvolve", in1, in2, mode, axes, "fft")


@numpy_function("scipy.signal.oaconvolve")
def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    return _along_axes("oaconvolve", in1, in2, mode, axes, "oa")


_PADDING = {"fill": "constant", "pad": "constant", "wrap": "wrap", "circular": "wrap", "symm": "symmetric"}
_PADDING["symmetric"] = "symmetric"


def _planes(name: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> tuple[Any, Any]:
    """The two images, with as much around the first as the second reaches for."""
    x, y = _of_one_dimension(name, in1, in2, mode)
    if len(x.shape) != 2:
        raise ValueError(f"{name}: two matrices are needed, got shapes {x.shape} and {y.shape}")
    if boundary not in _PADDING:
        raise ValueError(f"{name}: boundary must be 'fill', 'wrap' or 'symm', got {boundary!r}")
    if is_traced([fillvalue]):
        raise UnsupportedError(f"{name}: fillvalue can't be traced; pad the image with it, and take mode='valid'")
    if mode == "valid":
        return x, y
    options = {"constant_values": fillvalue} if _PADDING[boundary] == "constant" else {}
    return functions["pad"](x, [(n - 1, n - 1) for n in y.shape], _PADDING[boundary], **options), y


@numpy_function("scipy.signal.convolve2d")
def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    x, y = _planes("convolve2d", in1, in2, mode, boundary, fillvalue)
    whole = _convolution("convolve2d", x, y, "valid", "direct", (0, 1))
    return _middle(whole, spec_of(in1).shape) if mode == "same" else whole


@numpy_function("scipy.signal.correlate2d")
def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    x, y = _planes("correlate2d", in1, in2, mode, boundary, fillvalue)
    whole = _convolution("correlate2d", x, _reversed(y), "valid", "direct", (0, 1))
    if mode == "same":
        # of an even number of places, SciPy takes those after the middle here, those before it elsewhere
        starts = [n // 2 for n in y.shape]
        return getitem(whole, tuple(slice(i, i + n) for i, n in zip(starts, spec_of(in1).shape, strict=True)))
    swapped = any(m < n for m, n in zip(x.shape, y.shape, strict=True))
    return conjugate(whole) if swapped and mode == "valid" else whole  # as SciPy, which conjugates the smaller one


# -- autograd's ---------------------------------------------------------------------------------------------
def convolve(in1: Any, in2: Any, *args: Any, **options: Any) -> Any:
    """As :func:`scipy.signal.convolve` or as ``autograd.scipy.signal.convolve``; differentiable.

    That is ``convolve(in1, in2, mode='full', method='auto')``, or ``convolve(A, B, axes=None,
    dot_axes=[(), ()], mode='full')``: along the pairs of axes that ``axes`` lists, summed over those that
    ``dot_axes`` lists, for every pair of places on the axes that remain. The result has these axes of A, then
    these of B, then those along which it was convolved.
    """
    if "axes" in options or "dot_axes" in options or (args and not isinstance(args[0], str)):
        return _of_stacks(in1, in2, *args, **options)
    return _scipys(in1, in2, *args, **options)


@numpy_function("scipy.signal.convolve")
def _scipys(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    x, y = _of_one_dimension("convolve", in1, in2, mode)
    return _of_all_axes("convolve", x, y, mode, method)


functions["scipy.signal.convolve"] = convolve


def _of_stacks(A: Any, B: Any, axes: Any = None, dot_axes: Any = ((), ()), mode: str = "full") -> Any:
    if axes is None:
        A, B = _of_one_dimension("convolve", A, B, mode)
        if not any(map(len, dot_axes)):
            return convolve(A, B, mode)
        axes = [range(len(A.shape))] * 2
    a, b = as_arrays([A, B])
    if mode not in _MODES:
        raise ValueError(f"convolve: mode must be 'full', 'same' or 'valid', got {mode!r}")
    (a, free_a), (b, free_b) = _sorted_axes(a, axes[0], dot_axes[0]), _sorted_axes(b, axes[1], dot_axes[1])
    if a.ndim != b.ndim or a.shape[1] != b.shape[1]:
        raise ValueError(f"convolve: axes={axes} and dot_axes={dot_axes} don't pair axes of {A.shape} and {B.shape}")
    m, n = a.shape[2:], b.shape[2:]
    if mode == "valid":
        swapped = not all(i <= j for i, j in zip(m, n, strict=True))
        if swapped and not all(i >= j for i, j in zip(m, n, strict=True)):
            raise ValueError("convolve: for 'valid' mode, one must be at least as large as the other along every axis")
    else:
        swapped = math.prod(m) > math.prod(n)  # the smaller one is laid on the larger one
    if swapped:
        a, b = b, a
    if mode != "valid":
        b = pad(b, widths=((0, 0), (0, 0), *((i - 1, i - 1) for i in a.shape[2:])), constant_values=0.0)
    ans = c.sliding_products(flip(a, axes=tuple(range(2, a.ndim))), b)
    if swapped:
        ans = ans.swapaxes(0, 1)
    if mode == "same":
        ans = _middle(ans, (*ans.shape[:2], *m))
    return ans.reshape(free_a + free_b + tuple(ans.shape[2:]))


def _sorted_axes(x: Any, along: Any, dot: Any) -> tuple[Any, tuple[int, ...]]:
    """``x`` as (all that is free, all that is summed, what is convolved along), and the shape of what is free."""
    along, dot = ([normalize_axis_index(int(i), x.ndim) for i in axes] for axes in (along, dot))
    free = [i for i in range(x.ndim) if i not in along and i not in dot]
    shape = tuple(x.shape[i] for i in free)
    x = functions["transpose"](x, (*free, *dot, *along))
    inner = math.prod(x.shape[len(free) : len(free) + len(dot)])
    return x.reshape((math.prod(shape), inner, *x.shape[len(free) + len(dot) :])), shape

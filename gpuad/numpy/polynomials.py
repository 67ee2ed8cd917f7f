"""NumPy's polynomials, by their coefficients from the highest power down."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.box import has_derivatives, spec_of
from ..errors import UnsupportedError
from ..ops import contract
from ..ops import elementwise as e
from ..ops import polynomials as prims
from .creation import as_array, as_arrays, convert, home
from .frontend import functions, numpy_function


def _coefficients(*polys: Any) -> list[Any]:
    """Vectors of coefficients; a ``poly1d`` is what it holds."""
    arrays = as_arrays(c.coeffs if isinstance(c, np.poly1d) else c for c in polys)
    arrays = [functions["atleast_1d"](c) for c in arrays]
    if any(len(spec_of(c).shape) != 1 for c in arrays):
        raise UnsupportedError("the traced coefficients of a polynomial must be a vector")
    return arrays


def _divisible(*polys: Any) -> list[Any]:
    """The same, of floating-point numbers."""
    return [c if has_derivatives(spec_of(c).dtype) else convert(c, float) for c in _coefficients(*polys)]


@numpy_function("polyval")
def polyval(p: Any, x: Any) -> Any:
    if isinstance(x, np.poly1d):
        raise UnsupportedError("polyval of a traced polynomial at a poly1d isn't supported; give an array")
    (p,), x = _coefficients(p), as_array(x)
    y = functions["zeros_like"](x)
    for k in range(spec_of(p).shape[0]):
        y = y * x + p[k]
    return y


def _sum(name: str, add: Any) -> None:
    @numpy_function(name)
    def function(a1: Any, a2: Any) -> Any:
        a, b = _coefficients(a1, a2)
        n = max(spec_of(a).shape[0], spec_of(b).shape[0])
        return add(*(functions["pad"](c, ((n - spec_of(c).shape[0], 0),)) for c in (a, b)))


_sum("polyadd", e.add)
_sum("polysub", e.subtract)


@numpy_function("polymul")
def polymul(a1: Any, a2: Any) -> Any:
    return contract.convolve(*map(_without_leading_zeros, _coefficients(a1, a2)))


def _without_leading_zeros(c: Any) -> Any:
    trimmed = trim_zeros(c, "f")
    return trimmed if spec_of(trimmed).shape[0] else c[:1] * 0


@numpy_function("trim_zeros")
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    filt = as_array(filt)
    if len(spec_of(filt).shape) != 1:
        raise UnsupportedError("trim_zeros of a traced array is supported for vectors; slice the array otherwise")
    (there,) = functions["nonzero"](filt)
    n = spec_of(filt).shape[0]
    if not there.size:
        return filt[:0] if "b" not in trim.lower() else filt[n:]
    first = int(there[0]) if "f" in trim.lower() else 0
    return filt[first : int(there[-1]) + 1 if "b" in trim.lower() else n]


@numpy_function("polydiv")
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    u, v = _divisible(u, v)
    m, n = spec_of(u).shape[0] - 1, spec_of(v).shape[0] - 1
    rest, scale = u + v[0] * 0.0, 1.0 / v[0]
    parts = [rest[0] * 0.0] if m < n else []
    for k in range(m - n + 1):
        parts.append(scale * rest[k])
        rest = rest - functions["pad"](parts[-1] * v, ((k, m - n - k),))
    while spec_of(rest).shape[0] > 1 and bool(e.less_equal(e.absolute(rest[0]), 1e-8)):  # as NumPy's allclose
        rest = rest[1:]
    return functions["stack"](parts), rest


@numpy_function("polyder")
def polyder(p: Any, m: int = 1) -> Any:
    p = as_array(p)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        n = spec_of(p).shape[0] - 1
        p = p[:-1] * home(p).asarray(np.arange(n, 0, -1))
    return p


@numpy_function("polyint")
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    p, constants = as_arrays([p, 0.0 if k is None else k])
    constants = functions["atleast_1d"](constants)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    if spec_of(constants).shape[0] < m and spec_of(constants).shape[0] != 1:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        n = spec_of(p).shape[0]
        constant = constants[i : i + 1] if spec_of(constants).shape[0] > 1 else constants
        p = functions["concatenate"]([p / home(p).asarray(np.arange(n, 0, -1)), constant])
    return p


@numpy_function("vander")
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = as_array(x)
    if len(spec_of(x).shape) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    x = convert(x, np.promote_types(spec_of(x).dtype, int))
    n = spec_of(x).shape[0] if N is None else N
    powers = [functions["ones_like"](x)]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    return functions["stack"](powers if increasing else powers[::-1], axis=1) if n else powers[0][:, None][:, :0]


@numpy_function("poly")
def poly(seq_of_zeros: Any) -> Any:
    """As :func:`numpy.poly`; differentiable. Complex roots give complex coefficients, even where they are all real."""
    zeros = functions["atleast_1d"](as_array(seq_of_zeros))
    lengths = spec_of(zeros).shape
    if len(lengths) == 2 and lengths[0] == lengths[1]:
        zeros = functions["linalg.eigvals"](zeros)
    elif len(lengths) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    zeros = convert(zeros, np.dtype(np.mintypecode(spec_of(zeros).dtype.char)))
    coefficients = functions["ones_like"](zeros[:1])
    for k in range(lengths[0]):
        behind, before = (functions["pad"](coefficients, width) for width in ((0, 1), (1, 0)))
        coefficients = behind - zeros[k] * before
    return coefficients


@numpy_function("roots")
def roots(p: Any) -> Any:
    (p,) = _divisible(p)
    return prims.roots(p)


@numpy_function("polyfit")
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    if full:
        raise UnsupportedError("polyfit of traced arrays isn't supported with full=True; without it and with cov it is")
    x, y, *weights = as_arrays([x, y] if w is None else [x, y, w])
    n, columns, order = spec_of(x).shape[0], len(spec_of(y).shape), int(deg) + 1
    if spec_of(y).shape[0] != n:
        raise TypeError("expected x and y to have same length")
    left, right = vander(x + 0.0, order), y + 0.0
    if weights:
        left = left * weights[0][:, None]
        right = right * (weights[0][:, None] if columns == 2 else weights[0])
    scale = e.sqrt(functions["sum"](left * left, axis=0))
    left = left / scale
    if rcond is None:
        rcond = n * float(np.finfo(spec_of(left).dtype).eps)
    found = functions["linalg.lstsq"](left, right, rcond)[0]
    c = found / (scale[:, None] if columns == 2 else scale)
    if not cov:
        return c
    variance = functions["linalg.inv"](contract.matmul(left.T, left)) / (scale[:, None] * scale)
    if cov != "unscaled":
        if n <= order:
            raise ValueError("the number of data points must exceed order to scale the covariance matrix")
        misses = right - contract.matmul(left, found)
        factor = functions["sum"](misses * misses, axis=0) / float(n - order)
        variance = (variance[:, :, None] if columns == 2 else variance) * factor
    elif columns == 2:
        variance = variance[:, :, None]
    return c, variance

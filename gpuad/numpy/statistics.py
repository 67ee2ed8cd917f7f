"""Covariances and histograms."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.box import Box, apart, is_recorded, make_spec, spec_of
from ..core.memory import current
from ..errors import UnsupportedError
from ..ops import contract
from ..ops import elementwise as e
from ..ops import sort as s
from ..ops.declare import real
from ..ops.index import ARRAY, Arrays, scattered
from .calculus import diff
from .creation import as_array, as_arrays, convert, home, linspace
from .frontend import functions, is_traced, numpy_function


# -- covariances ----------------------------------------------------------------------------------------
@numpy_function("cov")
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    arrays = as_arrays(v for v in (m, y) if v is not None)
    if any(len(spec_of(v).shape) > 2 for v in arrays):
        raise ValueError("m has more than 2 dimensions" if len(arrays) == 1 else "m and y have at most 2 dimensions")
    if dtype is None:
        dtype = np.result_type(*(spec_of(v).dtype for v in arrays), np.float64)
    x, *others = (functions["atleast_2d"](convert(v, dtype)) for v in arrays)
    if not rowvar:
        x = x.T if len(spec_of(arrays[0]).shape) == 2 else x
        others = [v.T if spec_of(v).shape[0] != 1 else v for v in others]
    if others:
        x = functions["concatenate"]([x, *others], axis=0)
    if ddof is None:
        ddof = 0 if bias else 1
    weights = [convert(as_array(w, home(x)), float) for w in (fweights, aweights) if w is not None]
    if any(spec_of(w).shape != spec_of(x).shape[1:] for w in weights):
        raise RuntimeError("incompatible numbers of samples and weights")
    if not weights:
        x = x - functions["mean"](x, axis=1, keepdims=True)
        products, freedom = _products(x, x), float(spec_of(x).shape[1] - ddof)
        return functions["squeeze"](products * (1.0 / freedom if freedom > 0 else np.inf))
    w = weights[0] if len(weights) == 1 else weights[0] * weights[1]
    total = functions["sum"](w)
    x = x - functions["sum"](x * w, axis=1, keepdims=True) / total
    freedom = total
    if ddof:
        freedom = total - float(ddof) * (1.0 if aweights is None else functions["sum"](w * weights[-1]) / total)
    return functions["squeeze"](_products(x, x * w) / e.where(e.less(freedom, 0.0), 0.0, freedom))


def _products(x: Any, y: Any) -> Any:
    """The products of all rows of ``x`` with all of ``y``."""
    return contract.matmul(x, (e.conjugate(y) if spec_of(y).dtype.kind == "c" else y).T)


@numpy_function("corrcoef")
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if not spec_of(c).shape:
        return c / c
    is_complex = spec_of(c).dtype.kind == "c"
    deviations = e.sqrt(real(functions["diagonal"](c)) if is_complex else functions["diagonal"](c))
    c = c / deviations[:, None] / deviations
    if is_complex:
        return functions["clip"](real(c), -1.0, 1.0) + 1j * functions["clip"](e.imag(c), -1.0, 1.0)
    return functions["clip"](c, -1.0, 1.0)


# -- histograms: the counts are constant, the weights add up, the edges may move -----------------------------
def _histogram_of(places: Any, n: int, weights: Any) -> Any:
    """How many of ``places`` are 0, 1, …, n - 1, or the sum of their weights."""
    if weights is None and type(places) is Box:
        ones = np.ones(spec_of(places).shape, np.intp)
        return scattered(home(places).asarray(ones), Arrays((ARRAY,), (places,)), make_spec((n,), np.dtype(np.intp)))
    if weights is None:
        return home(places).function("bincount")(places, minlength=n)
    index = Arrays((ARRAY,), (places,))
    return scattered(weights, index, make_spec((n,), spec_of(weights).dtype))


@numpy_function("bincount")
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """As :func:`numpy.bincount`; differentiable in the weights."""
    if is_traced((x,)) and not is_recorded(x := current(x)):
        raise TypeError("bincount: numbers of places are integers, which are never traced; only weights can be")
    x, *others = as_arrays([x] if weights is None else [x, weights])
    if others and spec_of(others[0]).shape != spec_of(x).shape:
        raise ValueError("The weights and list don't have the same length.")
    n = minlength
    if is_recorded(x):
        if len(spec_of(x).shape) != 1 or not np.can_cast(spec_of(x).dtype, np.intp) or minlength < 0:
            raise UnsupportedError("bincount under jit takes a vector of integers that intp can hold")
        if spec_of(x).size:
            if int(functions["min"](x)) < 0:
                raise ValueError("'list' argument must have no negative elements")
            n = max(n, int(functions["max"](x)) + 1)
    else:
        n = home(x).function("bincount")(x, minlength=minlength).shape[0]  # checks them, too
    return _histogram_of(apart(x), n, convert(others[0], float) if others else None)


def _edges(a: Any, bins: Any, span: Any) -> Any:
    """The edges of bins; those that span the data ``a`` move with its ends."""
    if isinstance(bins, str):
        fixed = home(a).function("histogram_bin_edges")(e.stop_gradient(a), bins, span)
        bins = fixed.shape[0] - 1
    if isinstance(bins, (list, tuple, np.ndarray)) or len(spec_of(bins).shape):
        edges = as_array(bins, home(a))
        if len(spec_of(edges).shape) != 1:
            raise ValueError("`bins` must be 1d, when an array")
        return edges
    count = operator.index(bins)
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    if span is not None:
        first, last = span
    elif not spec_of(a).size:
        first, last = 0.0, 1.0
    else:
        first, last = functions["min"](a), functions["max"](a)
    if bool(e.equal(first, last)):
        first, last = first - 0.5, last + 0.5
    dtype = np.result_type(*(v if isinstance(v, (int, float)) else spec_of(v).dtype for v in (first, last)))
    dtype = np.result_type(dtype, spec_of(a).dtype)
    return linspace(first, last, count + 1, dtype=dtype if dtype.kind in "fc" else float)


def _bins(a: Any, edges: Any) -> tuple[Any, Any]:
    """The bin that each entry of ``a`` falls into, and whether it falls into one; the last includes its end."""
    a, edges = e.stop_gradient(a), e.stop_gradient(edges)
    last = edges.shape[0] - 2
    place = s.searchsorted(edges, a, side="right") - 1
    inside = e.logical_and(e.greater_equal(a, edges[0]), e.less_equal(a, edges[-1]))
    return home(a).function("clip")(place, 0, last), inside


@numpy_function("histogram_bin_edges")
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    return _edges(functions["ravel"](as_array(a)), bins, range)


@numpy_function("histogram")
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> tuple[Any, Any]:
    """As :func:`numpy.histogram`; differentiable in the weights, and in the edges where the data or ``bins`` move
    them. The counts are constant."""
    a, *given = (functions["ravel"](v) for v in as_arrays([a] if weights is None else [a, weights]))
    if given and spec_of(given[0]).shape != spec_of(a).shape:
        raise ValueError("weights should have the same shape as a.")
    edges = _edges(a, bins, range)
    places, inside = _bins(a, edges)
    n = _histogram_of(places[inside], spec_of(edges).shape[0] - 1, given[0][inside] if given else None)
    if not density:
        return n, edges
    return n / convert(diff(edges), float) / functions["sum"](n), edges


@numpy_function("histogramdd")
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, tuple[Any, ...]]:
    """As :func:`numpy.histogramdd`; differentiable as :func:`histogram` is."""
    columns: Sequence[Any]
    if isinstance(sample, (list, tuple)) or len(spec_of(sample).shape) != 2:
        columns = list(functions["atleast_2d"](as_array(sample)))
    else:
        columns = list(sample.T)
    try:
        each = list(bins)
    except TypeError:
        each = [bins] * len(columns)
    spans = [None] * len(columns) if range is None else list(range)
    if len(each) != len(columns) or len(spans) != len(columns):
        raise ValueError("The dimension of bins and of range must be equal to the dimension of the sample x.")
    edges = [_edges(c, b, span) for c, b, span in zip(columns, each, spans, strict=True)]
    shape = tuple(spec_of(x).shape[0] - 1 for x in edges)
    place: Any = 0
    inside: Any = True
    for column, bounds, n in zip(columns, edges, shape, strict=True):
        places, within = _bins(column, bounds)
        place, inside = place * n + places, within & inside
    if weights is not None:
        weights = convert(as_array(weights, home(place)), float)[inside]
    hist = functions["reshape"](_histogram_of(place[inside], int(np.prod(shape)), weights), shape)
    hist = convert(hist, float)
    if density:
        total = functions["sum"](hist)
        for k, bounds in enumerate(edges):
            hist = hist / functions["reshape"](diff(bounds), tuple(-1 if i == k else 1 for i in range_(len(edges))))
        hist = hist / total
    return hist, tuple(edges)


range_ = range  # NumPy's argument has the name


@numpy_function("histogram2d")
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    if len(as_array(x).shape) != 1 or as_array(x).shape != as_array(y).shape:
        raise ValueError("x and y must have the same length.")
    if not isinstance(bins, (int, np.integer)) and len(bins) not in (1, 2):
        bins = [bins, bins]
    hist, (first, second) = histogramdd([x, y], bins, range, density, weights)
    return hist, first, second

"""NumPy's reductions and cumulations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.box import Box, has_derivatives, spec_of
from ..errors import UnsupportedError
from ..ops import elementwise as e
from ..ops import reduce as r
from ..ops.declare import astype, broadcast_to, real
from .creation import as_array, as_arrays, home
from .elementwise import no_options
from .frontend import functions, numpy_function

#: NumPy's mark of an argument that wasn't given.
NO: Any = getattr(np, "_NoValue")  # noqa: B009 - NumPy's types don't know it


# -- arguments ------------------------------------------------------------------------------------
def axes_of(axis: Any, ndim: int) -> r.Axes:
    """``axis`` as NumPy's reductions take it, counted from the front; ``None`` for all."""
    if axis is None:
        return None
    if type(axis) is int and 0 <= axis < ndim:
        return (axis,)
    if not ndim and axis in (0, -1):
        return None  # a reduction takes a number for an array of one entry
    return normalize_axis_tuple(axis, ndim)


def is_given(option: Any) -> bool:
    return option is not NO and option is not None


def flag(keepdims: Any) -> bool:
    return keepdims is not NO and bool(keepdims)


def prepared(name: str, a: Any, dtype: Any = None, out: Any = None, where: Any = NO, neutral: float = 0) -> Any:
    """The array to reduce: cast to ``dtype``, and ``neutral`` where the mask ``where`` is false."""
    no_options(name, out=out)
    a = as_array(a)
    if dtype is not None and np.dtype(dtype) != _dtype_of(name, spec_of(a).dtype):
        if not has_derivatives(np.dtype(dtype)):
            raise UnsupportedError(
                f"{name} of a traced array to dtype={np.dtype(dtype).name} has no derivative; "
                "call it on gpuad.stop_gradient(x) if the result should count as a constant"
            )
        a = astype(a, dtype=np.dtype(dtype))
    return e.where(as_array(where, home(a)), a, neutral) if is_given(where) and where is not True else a


def _dtype_of(name: str, dtype: Any) -> Any:
    """In which dtype entries are added up, and the like, unless another one is asked for."""
    return dtype if has_derivatives(dtype) else getattr(np, name)(np.ones(1, dtype)).dtype


# -- sums, products, means -----------------------------------------------------------------------
@numpy_function("sum")
def sum_(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO, initial: Any = NO, where: Any = NO
) -> Any:
    if type(a) is not Box or dtype is not None or out is not None or where is not NO:
        a = prepared("sum", a, dtype, out, where)
    total = r.sum_(a, axis=axes_of(axis, len(spec_of(a).shape)), keepdims=flag(keepdims))
    return total + initial if is_given(initial) else total


@numpy_function("prod")
def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO, initial: Any = NO, where: Any = NO
) -> Any:
    a = prepared("prod", a, dtype, out, where, 1)
    lengths = spec_of(a).shape
    axes = axes_of(axis, len(lengths))
    if axes is None:
        product = r.prod(functions["reshape"](a, (-1,)), axis=0)
    else:
        product = a
        for i in sorted(axes, reverse=True):
            product = r.prod(product, axis=i)
    if flag(keepdims):
        product = functions["reshape"](product, r.kept(lengths, axes))
    return product * initial if is_given(initial) else product


@numpy_function("mean")
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO, *, where: Any = NO) -> Any:
    a = prepared("mean", a, dtype, out, where)
    axes, keepdims = axes_of(axis, len(spec_of(a).shape)), flag(keepdims)
    if not is_given(where):
        return r.mean(a, axis=axes, keepdims=keepdims)
    return r.sum_(a, axis=axes, keepdims=keepdims) / _count(a, axes, keepdims, where)


def _count(a: Any, axes: r.Axes, keepdims: bool, where: Any) -> Any:
    """How many entries of ``a`` a reduction of those at ``where`` is of."""
    spec = spec_of(a)
    if not is_given(where):
        return float(r.count_of(spec.shape, axes))
    dtype = np.empty(0, spec.dtype).real.dtype
    return r.count(where, shape=spec.shape, axis=axes, keepdims=keepdims, dtype=dtype)


def _variance(
    name: str, a: Any, axis: Any, dtype: Any, out: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any
) -> Any:
    a = prepared(name, a, dtype, out, where)
    axes, keepdims = axes_of(axis, len(spec_of(a).shape)), flag(keepdims)
    if correction is not NO:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    if not is_given(where) and mean is NO:
        return (r.var if name == "var" else r.std)(a, axis=axes, ddof=ddof, keepdims=keepdims)
    n = _count(a, axes, keepdims, where)
    if mean is NO:
        mean = r.sum_(a, axis=axes, keepdims=True) / _count(a, axes, True, where)
    d = a - mean
    squares = real(d * e.conjugate(d)) if spec_of(d).dtype.kind == "c" else d * d
    if is_given(where):
        squares = e.where(where, squares, 0.0)
    variance = r.sum_(squares, axis=axes, keepdims=keepdims) / e.maximum(n - ddof, 0.0)
    return variance if name == "var" else _root(variance)


def _root(x: Any) -> Any:
    """The square root, with the derivative 0 at 0, as that of the standard deviation."""
    zero = e.equal(x, 0.0)
    return e.where(zero, 0.0, e.sqrt(e.where(zero, 1.0, x)))


@numpy_function("var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = NO,
    *, where: Any = NO, mean: Any = NO, correction: Any = NO,
) -> Any:  # fmt: skip
    return _variance("var", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


@numpy_function("std")
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = NO,
    *, where: Any = NO, mean: Any = NO, correction: Any = NO,
) -> Any:  # fmt: skip
    return _variance("std", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


@numpy_function("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NO) -> Any:
    """As :func:`numpy.average`; differentiable, in the weights too. Weights that add up to zero give
    infinity or NaN, where NumPy raises: to see them would mean to wait for the device."""
    a, *given = as_arrays([a] if weights is None else [a, weights])
    lengths = spec_of(a).shape
    axes, keepdims = axes_of(axis, len(lengths)), flag(keepdims)
    if not given:
        result = r.mean(a, axis=axes, keepdims=keepdims)
        total = float(r.count_of(lengths, axes))
    else:
        (weights,) = given
        dtypes = [spec_of(x).dtype for x in (a, weights)]
        if not all(map(has_derivatives, dtypes)):
            weights = astype(weights, dtype=np.result_type(*dtypes, *[] if has_derivatives(dtypes[0]) else ["f8"]))
        if spec_of(weights).shape != lengths:
            weights = _along_axes(weights, lengths, axes)
        total = r.sum_(weights, axis=axes, keepdims=keepdims)
        result = r.sum_(a * weights, axis=axes, keepdims=keepdims) / total
    if not returned:
        return result
    return result, broadcast_to(e.stop_gradient(result) * 0.0 + total, shape=spec_of(result).shape)


def _along_axes(weights: Any, lengths: tuple[int, ...], axes: r.Axes) -> Any:
    """Weights of the reduced axes alone, in a shape that broadcasts."""
    have = spec_of(weights).shape
    if axes is None:
        raise TypeError("average: axis must be given when the shapes of a and weights differ")
    if have != tuple(lengths[i] for i in axes):
        raise ValueError(f"average: weights of shape {have} don't fit the axes {axes} of an array of shape {lengths}")
    weights = functions["transpose"](weights, tuple(int(i) for i in np.argsort(axes)))
    return functions["reshape"](weights, tuple(n if i in axes else 1 for i, n in enumerate(lengths)))


# -- extrema --------------------------------------------------------------------------------------
def _extremum(name: str, prim: Any, larger: Any) -> Any:
    def extremum(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO, initial: Any = NO, where: Any = NO
    ) -> Any:
        masked = is_given(where) and where is not True
        if masked and not is_given(initial):
            raise ValueError(f"{name} has no identity, so to use a where mask one has to specify initial")
        a = prepared(name, a, None, out, where, initial)
        lengths = spec_of(a).shape
        axes, keepdims = axes_of(axis, len(lengths)), flag(keepdims)
        if not is_given(initial):
            return prim(a, axis=axes, keepdims=keepdims)
        if not r.count_of(lengths, axes):  # the sum of nothing is a zero of the right shape
            return r.sum_(a, axis=axes, keepdims=keepdims) + initial
        return larger(prim(a, axis=axes, keepdims=keepdims), initial)

    return numpy_function(name)(extremum)


max_, amax = (_extremum(name, r.max_, e.maximum) for name in ("max", "amax"))
min_, amin = (_extremum(name, r.min_, e.minimum) for name in ("min", "amin"))
nanmax = _extremum("nanmax", r.nanmax, e.fmax)
nanmin = _extremum("nanmin", r.nanmin, e.fmin)


@numpy_function("ptp")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO) -> Any:
    a = prepared("ptp", a, None, out)
    axes, keepdims = axes_of(axis, len(spec_of(a).shape)), flag(keepdims)
    return r.max_(a, axis=axes, keepdims=keepdims) - r.min_(a, axis=axes, keepdims=keepdims)


# -- the same without NaNs: only what isn't NaN is let in -------------------------------------------------
def _without_nan(name: str, like: Any) -> Any:
    def function(a: Any, axis: Any = None, *args: Any, where: Any = NO, **kwargs: Any) -> Any:
        a = as_array(a)
        if spec_of(a).dtype.kind in "biu":  # where there is no NaN
            return like(a, axis, *args, where=where, **kwargs)
        number = e.logical_not(e.isnan(a))
        return like(a, axis, *args, where=e.logical_and(number, where) if is_given(where) else number, **kwargs)

    return numpy_function(name)(function)


nansum = _without_nan("nansum", sum_)
nanprod = _without_nan("nanprod", prod)
nanmean = _without_nan("nanmean", mean)
nanvar = _without_nan("nanvar", var)
nanstd = _without_nan("nanstd", std)


# -- constants ------------------------------------------------------------------------------------
def _arg(name: str, prim: Any) -> Any:
    def arg(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO) -> Any:
        a = prepared(name, a, None, out)
        if axis is not None:
            axis = normalize_axis_index(axis, len(spec_of(a).shape))
        return prim(a, axis=axis, keepdims=flag(keepdims))

    return numpy_function(name)(arg)


argmax, argmin, nanargmax, nanargmin = (
    _arg(prim.name, prim) for prim in (r.argmax, r.argmin, r.nanargmax, r.nanargmin)
)


@numpy_function("any")
def any_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO, *, where: Any = NO) -> Any:
    a = prepared("any", a, None, out, where)
    return r.any_(a, axis=axes_of(axis, len(spec_of(a).shape)), keepdims=flag(keepdims))


@numpy_function("all")
def all_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO, *, where: Any = NO) -> Any:
    a = prepared("all", a, None, out, where, 1)
    return r.all_(a, axis=axes_of(axis, len(spec_of(a).shape)), keepdims=flag(keepdims))


@numpy_function("count_nonzero")
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    a = as_array(a)
    axes = axes_of(axis, len(spec_of(a).shape))
    if keepdims:
        return functions["sum"](e.not_equal(a, 0.0), axis=axes, keepdims=True)
    return r.count_nonzero(a, axis=axes)


@numpy_function("nonzero")
def nonzero(a: Any) -> Any:
    return r.nonzero(as_array(a))


@numpy_function("argwhere")
def argwhere(a: Any) -> Any:
    return r.argwhere(as_array(a))


@numpy_function("flatnonzero")
def flatnonzero(a: Any) -> Any:
    return r.flatnonzero(as_array(a))


# -- cumulations ----------------------------------------------------------------------------------
def _cumulation(name: str, prim: Any) -> Any:
    def cumulation(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        a = prepared(name, a, dtype, out)
        ndim = len(spec_of(a).shape)
        if axis is None or not ndim:
            a, axis = functions["reshape"](a, (-1,)), 0
        else:
            axis = normalize_axis_index(axis, ndim)
        return prim(a, axis=axis, reverse=False)

    return numpy_function(name)(cumulation)


cumsum = _cumulation("cumsum", r.cumsum)
cumprod = _cumulation("cumprod", r.cumprod)


def _nan_cumulation(name: str, like: Any, neutral: float) -> Any:
    def cumulation(a: Any, *args: Any, **kwargs: Any) -> Any:
        a = as_array(a)
        return like(a if spec_of(a).dtype.kind in "biu" else e.where(e.isnan(a), neutral, a), *args, **kwargs)

    return numpy_function(name)(cumulation)


nancumsum = _nan_cumulation("nancumsum", cumsum, 0.0)
nancumprod = _nan_cumulation("nancumprod", cumprod, 1.0)


def _cumulative(name: str, like: Any, start: float) -> Any:
    def cumulative(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        x = as_array(x)
        ndim = len(spec_of(x).shape)
        if axis is None and ndim != 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        y = like(x, axis, dtype, out)
        if not include_initial:
            return y
        axis = normalize_axis_index(-1 if axis is None else axis, ndim)
        before = tuple((1, 0) if i == axis else (0, 0) for i in range(ndim))
        return functions["pad"](y, before, constant_values=start)

    return numpy_function(name)(cumulative)


if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    cumulative_sum = _cumulative("cumulative_sum", cumsum, 0.0)
    cumulative_prod = _cumulative("cumulative_prod", cumprod, 1.0)

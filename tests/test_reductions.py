"""What the samples of reductions and sorting can't show: ties, zeros, NaNs, options, errors, synchronisations."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, vjp
from gpuad.backend.numpy_backend import NumpyBackend
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

X = np.array([[0.3, -1.2, 0.7, 2.0], [1.1, 0.4, -0.6, -2.3], [0.9, 1.6, -0.2, 0.1]])
MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]], bool)
AXES = [None, 0, -1, (1, 0)]


def pulled(f, x):
    """The gradient of the sum of ``f(x)``."""
    return grad(lambda x: np.sum(f(x)))(x)


def same(f, *args):
    """What a traced array gives for ``f`` is what NumPy gives, and its derivatives are right."""
    want, got = f(*args), vjp(f, *args)[0]
    np.testing.assert_allclose(got, want, rtol=1e-14)
    assert got.dtype == np.asarray(want).dtype
    check_grads(f, args)


# -- ties, zeros, NaNs --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["max", "min", "nanmax", "nanmin"])
def test_equal_extrema_share_the_gradient(name):
    x = np.array([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    share = [[0, 0.5, 0.5, 0], [0.25] * 4] if name.endswith("max") else [[0.5, 0, 0, 0.5], [0.25] * 4]
    np.testing.assert_array_equal(pulled(lambda x: getattr(np, name)(x, axis=1), x), share)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_many_equal_extrema_are_counted_right(dtype):
    g = grad(np.max)(np.zeros(5000, dtype))
    np.testing.assert_array_equal(g, np.full(5000, 1 / 5000, dtype))


def test_extremum_of_nan_has_gradient_nan_there_alone():
    x = np.array([[1.0, np.nan], [2.0, 1.0]])
    np.testing.assert_array_equal(pulled(lambda x: np.max(x, axis=1), x), [[np.nan, np.nan], [1, 0]])
    np.testing.assert_array_equal(pulled(lambda x: np.nanmax(x, axis=1), x), [[1, 0], [1, 0]])


@pytest.mark.parametrize("zeros", [1, 2, 3])
@pytest.mark.parametrize("f", [np.prod, np.cumprod])
def test_products_with_zeros(f, zeros):
    x = np.array([2.0, -3.0, 0.5, 4.0])
    x[1 : 1 + zeros] = 0.0
    check_grads(lambda x: f(x) * np.sum(np.cos(x)), [x])


def test_second_derivative_of_a_product_with_zeros():
    x = np.array([0.0, 0.0, 3.0])
    rows = [grad(lambda x, i=i: grad(np.prod)(x)[i])(x) for i in range(3)]
    np.testing.assert_array_equal(rows, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_deviation_of_equal_numbers_has_gradient_zero():
    for f in (np.std, lambda x: np.std(x, where=np.array([True, True, False])), np.nanstd):
        np.testing.assert_array_equal(grad(f)(np.ones(3)), np.zeros(3))


def test_logsumexp_of_large_numbers():
    def logsumexp(x, m):
        return m + np.log(np.sum(np.exp(x - m), axis=-1, keepdims=True))

    x = np.array([[1000.0, 1001.0, -1000.0], [-2000.0, -2000.0, -2003.0]])
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    softmax = shifted / shifted.sum(axis=-1, keepdims=True)
    traced = pulled(lambda x: logsumexp(x, np.max(x, axis=-1, keepdims=True)), x)
    stopped = pulled(lambda x: logsumexp(x, gpuad.stop_gradient(np.max(x, axis=-1, keepdims=True))), x)
    np.testing.assert_allclose(traced, softmax, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(stopped, softmax, rtol=1e-15, atol=1e-15)


# -- options --------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min"])
def test_where(name, axis):
    options = {"initial": 0.6} if name in ("max", "min") else {}
    same(lambda x: getattr(np, name)(x, axis=axis, where=MASK, **options), X)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_initial(name):
    same(lambda x: getattr(np, name)(x, axis=0, initial=0.95, keepdims=True), X)


def test_initial_may_be_traced():
    assert grad(lambda c: gnp.max(X, initial=c))(5.0) == 1.0
    assert grad(lambda c: gnp.sum(X, initial=c))(5.0) == 1.0
    assert grad(lambda c: gnp.max(np.zeros((0,)), initial=c))(5.0) == 1.0


def test_options_of_the_variance():
    same(lambda x: np.var(x, axis=1, correction=1), X)
    same(lambda x: np.std(x, axis=1, ddof=1), X)
    same(lambda x: np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)), X)
    z = X + 1j * X[::-1]
    np.testing.assert_allclose(
        vjp(lambda z: np.var(z, mean=np.mean(z), where=MASK), z)[0], np.var(z, where=MASK, mean=z.mean())
    )
    with pytest.raises(ValueError, match="simultaneously"):
        grad(lambda x: np.var(x, ddof=1, correction=1))(X)


def test_dtype_of_the_result():
    g = grad(lambda x: np.sum(x, dtype=np.float64))(np.ones(3, np.float32))
    assert g.dtype == np.float32
    assert vjp(lambda x: np.mean(x, dtype=np.float64), np.ones(3, np.float32))[0].dtype == np.float64


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("name", "nansum nanprod nanmean nanvar nanstd nanmax nanmin nancumsum nancumprod".split())
def test_nans_are_left_out(name, axis):
    x = X.copy()
    x[0, 1] = x[2, 3] = np.nan
    hole = np.isnan(x)
    f = getattr(np, name)
    np.testing.assert_allclose(vjp(lambda x: f(x, axis=axis), x)[0], f(x, axis=axis))
    g = pulled(lambda x: f(x, axis=axis), x)
    assert not g[hole].any()
    same(lambda y: f(np.where(hole, np.nan, y), axis=axis), X)


def test_average():
    w = np.array([0.5, 1.0, 2.0, 0.3])
    same(lambda x, w: np.average(x, axis=1, weights=w, keepdims=True), X, w)
    same(lambda x: np.average(x, axis=(0, 1), weights=np.abs(X)), X)
    same(lambda w: np.average([1, 2, 3, 4], weights=w), w)
    deep = np.arange(24.0).reshape(2, 3, 4)
    same(lambda x, w: np.average(x, axis=(2, 0), weights=w), deep, np.abs(X[:, :2]).T[[0, 1, 0, 1]][:, :2] + 1)
    value, total = vjp(lambda x: np.average(x, axis=1, weights=w, returned=True), X)[0]
    np.testing.assert_allclose((value, total), np.average(X, axis=1, weights=w, returned=True))
    with pytest.raises(TypeError, match="axis"):
        grad(lambda x: np.average(x, weights=w))(X)
    with pytest.raises(ValueError, match=r"\(4,\)"):
        grad(lambda x: np.average(x, axis=0, weights=w))(X)


def test_cumulative_and_differences():
    same(lambda x: np.cumulative_sum(x, axis=1, include_initial=True), X)
    same(lambda x: np.cumulative_prod(x, axis=0, include_initial=True), X)
    same(lambda x: np.cumsum(x), np.array(2.0))
    same(lambda x: np.diff(x, n=2, axis=0, prepend=1.0, append=x[:1]), X)
    same(lambda x, y: np.ediff1d(x, to_end=y, to_begin=[1.0, 2.0]), X, np.array(3.0))
    same(lambda x: np.trapezoid([1.0, 2.0, 4.0, 8.0], x), X)


def test_lists_of_traced_arrays():
    np.testing.assert_array_equal(grad(lambda x: gnp.sum([x, 2.0 * x]))(np.ones(3)), np.full(3, 3.0))
    np.testing.assert_array_equal(grad(lambda x: gnp.max([x[0], 2.0 * x[1]]))(np.ones(3)), [0, 2, 0])


def test_empty_arrays():
    with pytest.raises(ValueError, match="zero-size array to reduction operation maximum"):
        grad(lambda x: np.sum(np.max(x, axis=0)))(np.zeros((0, 3)))
    np.testing.assert_array_equal(vjp(lambda x: np.max(x, axis=0, initial=2.0), np.zeros((0, 3)))[0], np.full(3, 2.0))
    for f in (np.sum, np.prod, lambda x: np.sum(np.sort(x)), lambda x: np.sum(np.cumprod(x))):
        assert grad(f)(np.zeros(0)).shape == (0,)


# -- sorting ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_median_and_quantiles(axis, keepdims):
    same(lambda x: np.median(x, axis=axis, keepdims=keepdims), X)
    same(lambda x: np.quantile(x, [[0.2, 0.9], [0.0, 1.0]], axis=axis, keepdims=keepdims), X)
    for method in (
        "linear lower higher nearest midpoint hazen weibull median_unbiased normal_unbiased interpolated_inverted_cdf"
    ).split():
        same(lambda x, m=method: np.percentile(x, (0, 13, 50, 77, 100), axis=axis, method=m), X)


def test_median_of_nan_is_nan():
    x = np.array([[1.0, np.nan, 2.0], [1.0, 5.0, 2.0]])
    np.testing.assert_array_equal(vjp(lambda x: np.median(x, axis=1), x)[0], [np.nan, 2])


def test_large_constants_are_plain_arrays():
    seen = []

    def f(x):
        seen.extend([np.argsort(x, axis=0), np.argmax(x, axis=1), x.argpartition(3)])
        return np.sum(x)

    grad(f)(np.random.default_rng(0).normal(size=(100_000, 2)).repeat(4, axis=1))
    assert [type(i) for i in seen] == [np.ndarray] * 3


# -- errors -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "error", "says"),
    [
        (lambda x: np.sum(x, dtype=int), UnsupportedError, "dtype=int64"),
        (lambda x: np.sum(x, out=np.zeros(())), UnsupportedError, "plain array"),
        (lambda x: np.sum(x, axis=2), IndexError, "axis 2 is out of bounds"),
        (lambda x: np.max(x, axis=(0, 0)), ValueError, "repeated axis"),
        (lambda x: np.max(x, where=MASK), ValueError, "initial"),
        (lambda x: np.sort(x, order="f"), UnsupportedError, "order="),
        (lambda x: np.diff(x, n=-1), ValueError, "non-negative"),
        (lambda x: np.cumulative_sum(x), ValueError, "axis"),
        (lambda x: np.quantile(x, 1.5), ValueError, r"\[0, 1\]"),
        (lambda x: np.percentile(x, -1), ValueError, r"\[0, 100\]"),
        (lambda x: np.quantile(x, 0.5, weights=x, method="inverted_cdf"), UnsupportedError, "weights can't be traced"),
        (lambda x: np.quantile(x, 0.5, method="middle"), ValueError, "middle.*hazen"),
        (lambda x: np.quantile(x[:0], 0.5), ValueError, "no entries"),
    ],
)
def test_errors(f, error, says):
    with pytest.raises(error, match=says):
        grad(lambda x: np.sum(f(x)))(X)


# -- devices ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        lambda x: gnp.prod(x, axis=1),
        lambda x: gnp.cumprod(x, axis=0),
        lambda x: gnp.max(x, axis=1) + gnp.nanmin(x, axis=1),
        lambda x: gnp.std(x, axis=0) + gnp.nanvar(x, axis=0),
        lambda x: gnp.sort(x, axis=0),
        lambda x: gnp.median(x, axis=0),
        lambda x: gnp.quantile(x, (0.3, 0.6), axis=0),
        lambda x: gnp.average(x, axis=1, weights=x[0]),
        lambda x: gnp.trapezoid(x, x, axis=0),
    ],
)
def test_nothing_waits_for_the_device(f, backend):
    if backend.name != "strict":
        pytest.skip("counted on the strict stand-in alone")
    from strict_backend import counts

    x = backend.asarray(X)
    counts.clear()
    grad(lambda x: gnp.sum(grad(lambda x: gnp.sum(f(x)))(x) * x))(x)
    assert not {"sync", "to_host", "to_device"} & set(counts)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 1), (0, 3, 1), (1, 1, 1)])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(4.0),
        np.arange(12.0).reshape(3, 4).T[:, :1],
        np.ones((3, 1), "F"),
        np.float32(2),
        np.ones((3, 8))[:, ::2],
    ],
)
def test_broadcasting_is_numpys(array, shape):
    ours = NumpyBackend.overrides["broadcast_to"]
    try:
        want = np.broadcast_to(array, shape)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:20]):
            ours(array, shape)
    else:
        got = ours(array, shape)
        np.testing.assert_array_equal(got, want)
        assert (got.dtype, got.shape, got.flags.writeable) == (want.dtype, want.shape, False)

"""Functions of NumPy called as `numpy.f` on traced arrays: values as NumPy's, gradients as central differences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import gpuad.numpy as gnp
from gpuad import grad, vjp
from gpuad.core.box import Box
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

RNG = np.random.default_rng(0)
V, W = RNG.normal(size=7), RNG.normal(size=7)
A, B = RNG.normal(size=(3, 5)), RNG.uniform(0.5, 1.5, (4, 5))
T = RNG.normal(size=(2, 3, 4))
KNOTS = np.sort(RNG.normal(size=6))
NUMBERS = RNG.permutation(np.linspace(-2, 2, 35)).reshape(5, 7)
GAPS = NUMBERS.copy()
GAPS[0, 2] = GAPS[3, 3] = GAPS[3, 4] = np.nan
WEIGHTS = RNG.uniform(0, 1, (5, 7))
FREQUENCIES = np.array([1, 2, 1, 0, 3])


def leaves(found):
    return [x for f in found for x in leaves(f)] if isinstance(found, (tuple, list)) else [found]


def checked(f, *args, order=1):
    want, got = leaves(f(*args)), leaves(vjp(lambda *a: leaves(f(*a)), *args)[0])
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g), np.asarray(w)
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-13)
    check_grads(lambda *a: [x for x in leaves(f(*a)) if x.dtype.kind in "fc"], args, order=order)


def with_gaps(f):
    return lambda a: f(np.where(np.isnan(GAPS), np.nan, a))


# -- curves -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, xp, fp: np.interp(x * 0.5, xp, fp), (V, KNOTS, V[:6])),
        (lambda x, fp, a, b: np.interp(x * 3, KNOTS, fp, left=a, right=b), (V, V[:6], np.array(1.0), np.array(2.0))),
        (lambda x, xp, fp: np.interp(x * 3, xp, fp, period=2.5), (V, KNOTS * 1.3, V[:6])),
        (lambda x, fp: np.interp(x, [0.5], fp), (V, V[:1])),
        (lambda x, fp: np.interp(x, [0.0, 1.0, 2.0], fp + 1j * fp**2), (A, V[:3])),
        (lambda f, h: np.gradient(f, h, np.array([0.0, 0.1, 0.5, 0.6, 1.0]), edge_order=2), (B, np.array(0.7))),
        (lambda f, x: np.gradient(f, x, axis=-1), (B, np.cumsum(B[0]))),
        (lambda h: np.gradient(np.arange(5) ** 2, h), (np.array(0.3),)),
        (lambda f: np.gradient(f), (V[:2],)),
        (lambda p, t: np.unwrap(p * 4, period=t), (np.cumsum(V), np.array(3.0))),
        (lambda p: np.unwrap(p * 5, axis=0, discont=4.0), (np.cumsum(B, axis=0),)),
        (lambda a, p, q: np.diff(a, prepend=p, append=q), (A, np.array(1.0), A[:, :2])),
    ],
)
def test_curves(f, args):
    checked(f, *args)


def test_interpolation_at_infinity_and_nan():
    x = np.array([-np.inf, 0.5, np.inf, np.nan])
    value, pullback = vjp(lambda x, fp: np.interp(x, [0.0, 1.0], fp), x, np.array([2.0, 5.0]))
    np.testing.assert_array_equal(value, [2, 3.5, 5, np.nan])
    g, g_fp = pullback(np.array([1.0, 1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(g, [0, 3, 0, 0])
    np.testing.assert_array_equal(g_fp, [1.5, 1.5])


def test_interpolation_between_equal_knots():
    fp = np.array([1.0, 2.0, 5.0, 7.0])
    assert np.all(
        np.isfinite(grad(lambda x: np.sum(np.interp(x, [0.0, 1.0, 1.0, 1.0], fp)))(np.array([0.5, 1.0, 2.0])))
    )


# -- polynomials --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda c, x: np.polyval(c, x), (V[:4], A)),
        (lambda c: np.polyval(c, [1, 2, 3]), (V[:4],)),
        (lambda c, x: np.polydiv(x, c), (V[:3], W)),
        (lambda c: np.polydiv([1.0, 2.0], c), (V[:4],)),
        (lambda x: np.polymul([0, 0, 1, 2], x), (V,)),
        (lambda c: np.polyint(c, 3, k=1.5), (V[:4],)),
        (lambda c: np.poly(c), (V[:4],)),
        (lambda c: np.roots(c), (np.array([1.0, 2, 3.5, 1]),)),
        (lambda c, x: np.poly1d(c)(x) * np.poly1d(c).deriv()(x), (V[:4], A)),
        (lambda c, x: (np.poly1d(c) * np.poly1d([1.0, 2.0]))(x), (V[:4], A)),
        (lambda x: np.polynomial.chebyshev.chebval(x, [1.0, 2, 3]), (A,)),
    ],
)
def test_polynomials(f, args):
    checked(f, *args)


# -- statistics ---------------------------------------------------------------------------------------
METHODS = (
    "interpolated_inverted_cdf hazen weibull linear median_unbiased normal_unbiased lower higher nearest midpoint "
    "inverted_cdf averaged_inverted_cdf closest_observation"
).split()


@pytest.mark.parametrize("method", METHODS)
def test_quantiles(method):
    for q in (0.3, [0.0, 0.1, 0.55, 1.0], [0.2, 0.4, 0.5, 0.6, 0.8]):
        checked(lambda a, q=q: np.quantile(a, q, axis=1, method=method), NUMBERS)
        checked(with_gaps(lambda a, q=q: np.nanquantile(a, q, axis=1, method=method)), NUMBERS)
    checked(lambda a, q: np.quantile(a, q, axis=1, method=method), NUMBERS, np.array([0.13, 0.57, 0.91]))
    checked(lambda q: np.percentile(NUMBERS, q, axis=(0, 1), keepdims=True, method=method), np.array(31.3))


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (with_gaps(lambda a: np.nanmedian(a, axis=(0, 1), keepdims=True)), (NUMBERS,)),
        (with_gaps(lambda a: np.nanpercentile(a, [10, 50.0])), (NUMBERS,)),
        (lambda a: np.quantile(a, [0.0, 0.3, 1.0], weights=WEIGHTS, axis=1, method="inverted_cdf"), (NUMBERS,)),
        (lambda a: np.quantile(a, 0.3, weights=WEIGHTS[0], axis=1, method="inverted_cdf"), (NUMBERS,)),
        (
            with_gaps(lambda a: np.nanquantile(a, 0.4, weights=WEIGHTS, axis=1, method="inverted_cdf")),
            (NUMBERS,),
        ),
        (lambda a, b: np.cov(a, b), (V, W)),
        (lambda a, b: np.cov(a, b, rowvar=False, bias=True), (A, A[:, :2] ** 2)),
        (lambda a, w: np.cov(a, fweights=FREQUENCIES, aweights=w), (A, B[0])),
        (lambda w: np.cov(A, aweights=w, ddof=0), (B[0],)),
        (lambda a: np.cov(a, ddof=2), (A,)),
        (lambda a: np.corrcoef(a, rowvar=False), (RNG.normal(size=(8, 3)),)),
        (lambda w: np.bincount([0, 1, 1, 4, 2, 0, 1], w, minlength=9), (V,)),
        (lambda a, w: np.histogram(a, bins=4, weights=w, density=True), (V, W + 3)),
        (lambda w: np.histogram(V, bins=[-1, 0, 0.3, 2], weights=w), (W,)),
        (lambda a: np.histogram(a, bins=5), (V,)),
        (lambda a: np.histogram(a, bins="auto"), (V,)),
        (lambda b: np.histogram(V, bins=b, density=True), (np.array([-1, 0, 0.3, 2]),)),
        (lambda a, b, w: np.histogram2d(a, b, bins=[3, 2], weights=w, density=True), (V, W, V**2)),
        (lambda a, w: np.histogramdd(a, bins=2, range=[(-1, 1)] * 3, weights=w), (RNG.normal(size=(7, 3)), W)),
    ],
)
def test_statistics(f, args):
    checked(f, *args)


# -- fits and sets ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, y, w: np.polyfit(x, y, 2, w=w), (V, W, V**2 + 0.5)),
        (lambda x, y: np.polyfit(x, y, 2), (V, B.reshape(-1)[:14].reshape(7, 2))),
        (lambda x, y: np.polyfit(x, y, 2, cov=True), (V, W)),
        (lambda x, y: np.polyfit(x, y, 1, cov="unscaled"), (V, B.reshape(-1)[:14].reshape(7, 2))),
        (lambda a: np.poly(a).real, (A[:, :3],)),
        (lambda a: np.unique(a, return_index=True, return_counts=True), (V,)),
        (lambda a: np.unique(a, axis=0), (A,)),
        (lambda a: tuple(np.unique_all(a)), (V,)),
        (lambda a, b: np.union1d(a, b), (V, A)),
        (lambda a: np.setdiff1d(a, [5.0, V[2]]), (np.delete(V, 2),)),
        (lambda a: np.setxor1d(a, [5.0, 3.0]), (V,)),
        (lambda a: np.frexp(a * 5), (V,)),
        (lambda a: np.sum(a, where=[True, False, True]) + np.mean(a, where=[True, False, True]), (V[:3],)),
        (lambda a: np.select([[True, False, True]], [a], a**2), (V[:3],)),
        (lambda a: np.where([True, False, True], a, a**2), (V[:3],)),
        (lambda a: np.i0(a), (V,)),
        (lambda a: np.sort_complex(a), (V,)),
        (lambda a: np.float_power([1.0, 2.0, 3.0], a), (V[:3],)),
        (lambda a: np.roll(a, [1, 3]), (V,)),
        (lambda a: np.lexsort((a, a**2)) * np.sum(a), (V,)),
    ],
)
def test_fits_and_sets(f, args):
    if f.__code__.co_names[1] == "i0":
        pytest.importorskip("scipy")
    checked(f, *args)


def test_equal_entries_of_a_set_count_as_the_first():
    assert grad(lambda x: np.sum(np.unique(x)))(np.array([3.0, 1.0, 3.0, 3.0])).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("name", "sqrt log log2 log10 arctanh".split())
def test_beyond_the_real_line(name):
    f = getattr(np.emath, name)
    checked(f, V)
    checked(f, np.abs(V) / 4)


def test_beyond_the_real_line_with_options():
    checked(lambda x: np.emath.power(x, 2.5), V)
    checked(lambda x: np.emath.logn(3, x), V)
    checked(lambda x: np.emath.arccos(x) + np.emath.arcsin(x) ** 2, V / 4)
    with pytest.raises(UnsupportedError, match="arccos"):
        grad(lambda x: np.sum(np.abs(np.emath.arccos(x))))(V * 3)


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda a: np.piecewise(a, [a < -0.5, a > 0.5], [lambda t: t**2, 3.0, lambda t: -t]), (V,)),
        (lambda a, k: np.piecewise(a, [a > 0], [lambda t, k: k * t, lambda t, k: k], k), (V, np.array(2.0))),
        (lambda a, k: np.piecewise(a, [a > 0], [k, np.sin]), (V, np.array(2.0))),
        (lambda a: np.piecewise(a, a > 0, [np.sin, np.cos]), (V,)),
        (lambda a, d: np.select([a > 1, a < -0.2], [a**2, np.sin(a)], d), (V, np.array(2.0))),
        (lambda a, b: [np.convolve(a, b, m) for m in ("full", "same", "valid")], (V, W[:4])),
        (lambda a, b: [np.correlate(b, a, m) for m in ("full", "same", "valid")], (V, W[:4])),
        (lambda a, b: np.linspace(a, b, 4, endpoint=False, retstep=True), (V[:2], A[:, :2])),
        (lambda a, b, c: np.logspace(a, b, 4, base=c), (np.array(1.0), np.array(2.0), np.array(3.0))),
        (lambda a, b: np.geomspace(a, b, 4), (np.array(-1.0), np.array(-20.0))),
        (lambda a, b: np.block([[a, b[:, None]], [b, 1.0]]), (A[:, :3], V[:3])),
    ],
)
def test_choices_and_products(f, args):
    checked(f, *args)


# -- windows and rows ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda a: np.median(sliding_window_view(a, 3), axis=-1), (V,)),
        (lambda a: sliding_window_view(a, (2, 2), axis=(1, 1)) ** 2, (A,)),
        (lambda a: sliding_window_view(a, (2, 3), axis=(2, 1)) ** 2, (T,)),
        (lambda a: sliding_window_view(a, (4, 3), axis=(2, 1)) ** 2, (T,)),
        (lambda a, k: np.einsum("ijkl,kl->ij", sliding_window_view(a, k.shape), k), (A, B[:2, :2])),
        (lambda a: np.apply_along_axis(lambda row, k, p=1: np.outer(row, row) * k**p, 1, a, 3.0, p=2), (T,)),
        (lambda a: np.apply_over_axes(np.mean, a, [0, 2]), (T,)),
    ],
)
def test_windows_and_rows(f, args):
    checked(f, *args)


def test_covariance_with_weights_on_a_device(backend):
    """CuPy's own isn't NumPy's there, so the samples don't have it."""
    a, w = backend.asarray(A), backend.asarray(B[0])
    value, pullback = vjp(lambda a, w: np.cov(a, aweights=w), a, w)
    np.testing.assert_allclose(backend.to_numpy(value), np.cov(A, aweights=B[0]), rtol=1e-12)
    want = vjp(lambda a, w: np.cov(a, aweights=w), A, B[0])[1](np.ones((3, 3)))
    for g, e in zip(pullback(backend.asarray(np.ones((3, 3)))), want, strict=True):
        np.testing.assert_allclose(backend.to_numpy(g), e, rtol=1e-9, atol=1e-12)


def test_what_as_strided_refuses():
    x = np.arange(9.0)
    for shape, strides, error in [
        ((6,), (16,), ValueError),
        ((2,), (-8,), ValueError),
        ((2,), (4,), UnsupportedError),
        ((2, 2), (8,), ValueError),
    ]:
        with pytest.raises(error, match="as_strided"):
            grad(lambda x, n=shape, s=strides: np.sum(gnp.lib.stride_tricks.as_strided(x, n, s)))(x)
    with pytest.raises(UnsupportedError, match="row by row"):
        grad(lambda x: np.sum(gnp.lib.stride_tricks.as_strided(x.reshape(3, 3).T, (2,), (8,))))(x)


# -- vectorize ----------------------------------------------------------------------------------------
@np.vectorize
def decorated(a, b=1.0):
    return a * b + b if a > 0 else a - b


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (np.vectorize(lambda t: t**2 if t > 0 else np.sin(t)), (A,)),
        (np.vectorize(lambda t: t**2), (V[0],)),
        (np.vectorize(lambda a, b: a * b), (A, A[0])),
        (np.vectorize(lambda a: (a, a * a)), (V,)),
        (np.vectorize(lambda a: a * 3, otypes=[float]), (V,)),
        (lambda a: np.vectorize(lambda p, q=2.0: p * q)(a, q=a * 2), (V,)),
        (lambda a: np.vectorize(lambda p, q: p * np.sum(q), excluded=[1])(a, a), (V,)),
        (lambda a: np.vectorize(lambda p, q: p * np.sum(q), excluded=["q"])(a, q=a), (V,)),
        (lambda w: np.vectorize(lambda p: p * w)(V), (np.array(2.0),)),
        (np.vectorize(lambda a, b: np.dot(a, b), signature="(n),(n)->()"), (A, A[0])),
        (np.vectorize(lambda a, b: a @ b, signature="(n,m),(m)->(n)"), (T, T[0, 0])),
        (decorated, (V,)),
    ],
)
def test_vectorize(f, args):
    checked(f, *args)


def test_vectorize_takes_the_dtype_of_the_first_result():
    f = np.vectorize(lambda t: 0 if t < 5 else t)
    x = np.array([0.5, 7.7])
    found = []

    def loss(x):
        found.append(f(x))
        return np.sum(found[0] * x)

    np.testing.assert_array_equal(grad(loss)(x), f(x))
    assert found[0].dtype == int


def test_vectorize_of_plain_arrays_is_numpys():
    assert np.vectorize(lambda t: t + 1)(np.arange(3)).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="size 0"):
        np.vectorize(lambda t: t)(np.zeros(0))
    with pytest.raises(ValueError, match="size 0"):
        grad(lambda x: np.sum(np.vectorize(lambda t: t)(x[:0])))(V)


def test_vectorize_refuses():
    with pytest.raises(ValueError, match="core dimension 'n'"):
        grad(lambda x: np.sum(np.vectorize(np.dot, signature="(n),(n)->()")(x, x[:3])))(V)
    with pytest.raises(TypeError, match="expected 2, got 1"):
        grad(lambda x: np.sum(np.vectorize(np.dot, signature="(n),(n)->()")(x)))(V)


# -- what nobody can intercept says so, and gives no array of objects ---------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.array(x),
        lambda x: np.array([x[0], x[1]]),
        lambda x: np.array([[x[0], 1.0], [2.0, x[1]]]),
        lambda x: np.asarray([x[0]]),
        lambda x: np.full(3, x[0]),
        lambda x: np.fromiter((v for v in x), float),
        lambda x: np.fromiter(x, float),
        lambda x: np.array(list(x), dtype=object),
        lambda x: np.frompyfunc(lambda t: t * t, 1, 1)(x),
        lambda x: np.lib.stride_tricks.as_strided(x, (2,), (8,)),
        lambda x: np.r_[x, x],
        lambda x: np.c_[x, x],
        lambda x: np.arange(x[0]),
        lambda x: np.nditer(x),
        lambda x: np.ndenumerate(x),
        lambda x: np.require(x),
        lambda x: np.asarray_chkfinite(x),
        lambda x: np.ma.masked_array(x),
        lambda x: np.float64(x[0]),
        lambda x: np.kaiser(4, x[0]),
        lambda x: np.ix_(x),
    ],
)
def test_no_array_of_objects(f):
    found = []

    def run(x):
        found.append(f(x))
        return np.sum(x)

    with pytest.raises((UnsupportedError, TypeError, ValueError)):
        grad(run)(V)
    assert not found


def test_the_same_through_the_namespace():
    x = np.array([2.0, 3.0])
    assert grad(lambda x: np.sum(gnp.array([[x[0], 1.0], [2.0, x[1]]]) ** 2))(x).tolist() == [4, 6]
    assert grad(lambda x: np.sum(gnp.asarray([x[0], [5.0, x[1]][1]]) ** 2))(x).tolist() == [4, 6]
    assert grad(lambda x: np.sum(gnp.full((2, 2), x[0])))(x).tolist() == [4, 0]
    assert grad(lambda x: np.sum(np.fromfunction(lambda i, j: (i + j) * x[0], (2, 2))))(x).tolist() == [4, 0]
    assert grad(lambda x: np.sum(np.append(x, [x[0], 1.0]) ** 2))(x).tolist() == [8, 6]
    assert grad(lambda x: np.sum(np.where([True, False], x, 5.0)))(x).tolist() == [1, 0]
    assert grad(lambda x: np.insert([1.0, 2.0], 1, x[0])[1])(x).tolist() == [1, 0]


def test_objects_that_a_function_made_of_traced_numbers():
    made = []

    def f(x):
        made.append(np.frompyfunc(lambda t: t * x[0], 1, 1)(np.ones(3)))  # NumPy asks nobody
        return np.sum(made[0])  # which adds up what is in there

    np.testing.assert_array_equal(grad(f)(np.array([2.0, 3.0])), [3, 0])
    with pytest.raises((UnsupportedError, TypeError)):
        grad(lambda x: np.sum(x * np.frompyfunc(lambda t: t * x[0], 1, 1)(np.ones(2))))(np.array([2.0, 3.0]))
    assert type(made[0][0]) is Box

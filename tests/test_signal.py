"""scipy.signal: what the samples can't say."""

import numpy as np
import pytest

import gpuad
from gpuad import grad
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

theirs = pytest.importorskip("scipy.signal")
ours = pytest.importorskip("gpuad.scipy.signal")

rng = np.random.default_rng(0)
SIZES = [((5,), (3,)), ((3,), (4,)), ((4, 5), (3, 2)), ((2, 3), (4, 5)), ((5, 4), (2, 2)), ((1,), (3,))]
MODES = pytest.mark.parametrize("mode", ["full", "same", "valid"])


def compare(name, *args, **options):
    value = gpuad.vjp(lambda *a: getattr(ours, name)(*a, **options), *args)[0]
    want = getattr(theirs, name)(*args, **options)
    assert value.dtype == want.dtype
    np.testing.assert_allclose(value, want, rtol=1e-10, atol=1e-10)


def complex_normal(shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@MODES
@pytest.mark.parametrize("make", [lambda shape: rng.normal(size=shape), complex_normal], ids=["real", "complex"])
def test_values_are_scipys(mode, make):
    for s1, s2 in SIZES:
        for name in ("convolve", "correlate"):
            for method in ("auto", "direct", "fft"):
                compare(name, make(s1), make(s2), mode=mode, method=method)
        for name in ("fftconvolve", "oaconvolve"):
            compare(name, make(s1), make(s2), mode=mode)
        if len(s1) == 2:
            for name in ("convolve2d", "correlate2d"):
                for boundary in ("fill", "wrap", "symm"):
                    compare(name, make(s1), make(s2), mode=mode, boundary=boundary, fillvalue=1.5)


@MODES
def test_what_is_one_long_is_broadcast(mode):
    for s1, s2, axes in [((1, 5), (4, 3), 1), ((4, 1), (4, 3), 1), ((4, 5), (1, 3), None), ((1, 5), (4, 3), None)]:
        for name in ("fftconvolve", "oaconvolve"):
            compare(name, rng.normal(size=s1), rng.normal(size=s2), mode=mode, axes=axes)


def test_autograds_convolution_is_a_layer_of_a_network():
    """As a loop over places, for images (batch, channel, row, column) and filters (channel, feature, …)."""
    images, filters = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(3, 4, 2, 3))
    value, pullback = gpuad.vjp(
        lambda x, w: ours.convolve(x, w, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid"), images, filters
    )
    flipped = filters[:, :, ::-1, ::-1]
    want = np.zeros((2, 4, 4, 2))
    u = rng.normal(size=want.shape)
    of_images, of_filters = np.zeros_like(images), np.zeros_like(filters)
    for i in range(4):
        for j in range(2):
            patch = np.s_[:, :, i : i + 2, j : j + 3]
            want[:, :, i, j] = np.einsum("bcij,cfij->bf", images[patch], flipped)
            of_images[patch] += np.einsum("bf,cfij->bcij", u[:, :, i, j], flipped)
            of_filters[:, :, ::-1, ::-1] += np.einsum("bf,bcij->cfij", u[:, :, i, j], images[patch])
    np.testing.assert_allclose(value, want)
    for got, expected in zip(pullback(u), (of_images, of_filters), strict=True):
        np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(
        ours.convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid"), want
    )


@MODES
def test_autograds_convolution_without_axes_is_scipys(mode):
    a, b = rng.normal(size=(4, 5)), rng.normal(size=(2, 3))
    want = theirs.convolve(a, b, mode)
    for how in ({"axes": None}, {"axes": ([0, 1], [0, 1])}, {"dot_axes": [(), ()]}):
        np.testing.assert_allclose(ours.convolve(a, b, mode=mode, **how), want)
    np.testing.assert_allclose(ours.convolve(a, b, None, [(), ()], mode), want)


def test_lfilter_against_its_definition():
    b, a, x, zi = np.array([0.5, 1.0]), np.array([2.0, -0.3, 0.4]), rng.normal(size=(2, 6)), rng.normal(size=(2, 2))
    options = {"axis": 1}
    (y, zf), pullback = gpuad.vjp(lambda b, a, x, zi: ours.lfilter(b, a, x, zi=zi, **options), b, a, x, zi)
    for got, want in zip((y, zf), theirs.lfilter(b, a, x, zi=zi, **options), strict=True):
        np.testing.assert_allclose(got, want)
    # in two parts, with the state handed on
    first, state = ours.lfilter(b, a, x[:, :4], zi=zi)
    np.testing.assert_allclose(np.concatenate([first, ours.lfilter(b, a, x[:, 4:], zi=state)[0]], 1), y)
    u = [rng.normal(size=y.shape), rng.normal(size=zf.shape)]
    impulses = [theirs.lfilter(b, a, row, zi=np.zeros((1, 2))) for row in np.eye(6)[:, None]]
    want = [sum((g * out[0]).sum() for g, out in zip((u[0][0], u[1][0]), pair, strict=True)) for pair in impulses]
    np.testing.assert_allclose(pullback(u)[2][0], want)


def test_lfilter_of_any_orders():
    for nb, na, shape, axis in [
        (4, 2, (8,), 0),
        (2, 4, (3, 6), 1),
        (3, 1, (6, 2), 0),
        (1, 1, (4,), 0),
        (5, 5, (3,), 0),
    ]:
        b, a, x = rng.normal(size=nb), np.r_[2.0, 0.2 * rng.normal(size=na - 1)], rng.normal(size=shape)
        zi = rng.normal(size=[max(na, nb) - 1 if i == axis else n for i, n in enumerate(shape)])
        compare("lfilter", b, a, x, axis=axis)
        for got, want in zip(
            gpuad.vjp(lambda *c, axis=axis: ours.lfilter(*c[:3], axis, c[3]), b, a, x, zi)[0],
            theirs.lfilter(b, a, x, axis, zi),
            strict=True,
        ):
            np.testing.assert_allclose(got, want)
        if na > 1:
            compare("lfilter_zi", b, a)


def test_filters_there_and_back():
    b, a = theirs.butter(3, 0.3)
    sections = theirs.butter(4, 0.3, output="sos")
    x = rng.normal(size=(2, 40))
    for options in (
        *({"padtype": kind} for kind in ("odd", "even", "constant", None)),
        {"padlen": 4},
        {"axis": 0, "padlen": 1},
    ):
        compare("filtfilt", b, a, x, **options)
        compare("sosfiltfilt", sections, x, **options)
    check_grads(lambda x: ours.filtfilt(b, a, x), [x], order=1)
    compare("sosfilt", sections, x)
    compare("sosfilt_zi", sections)
    state = rng.normal(size=(2, 2, 2))
    for got, want in zip(
        gpuad.vjp(lambda s, x, z: ours.sosfilt(s, x, zi=z), sections, x, state)[0],
        theirs.sosfilt(sections, x, zi=state),
        strict=True,
    ):
        np.testing.assert_allclose(got, want)
    varied = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0])  # SciPy wants ones there
    check_grads(lambda s, x: ours.sosfilt(s * varied + 1.0 - varied, x), [sections, x[:, :6]])


def test_trends_envelopes_and_smoothing():
    x = rng.normal(size=(7, 8))
    for options in ({}, {"axis": 0}, {"bp": [3, 5]}, {"type": "constant"}):
        compare("detrend", x, **options)
    for options in ({}, {"N": 5}, {"N": 12}, {"axis": 0}, {"N": 1}, {"N": 2}):
        compare("hilbert", x, **options)
    for options in ({}, {"deriv": 1, "delta": 0.5}, {"mode": "mirror"}, {"mode": "constant", "cval": 2.0}, {"axis": 0}):
        compare("savgol_filter", x, window_length=5, polyorder=2, **options)
    for options in ({"window_length": 4, "polyorder": 3}, {"window_length": 1, "polyorder": 0}):
        compare("savgol_filter", x, **options)
    for f in (
        lambda x: ours.detrend(x, bp=3),
        lambda x: abs(ours.hilbert(x, axis=0)),
        lambda x: ours.savgol_filter(x, 5, 3, deriv=1),
    ):
        check_grads(f, [x])


def test_single_precision_stays():
    x, k = np.ones(8, "float32"), np.ones(3, "float32")
    for f in (
        lambda x, k: ours.convolve(x, k),
        lambda x, k: ours.fftconvolve(x, k, "same"),
        lambda x, k: ours.lfilter(k, k * 0.1, x),
        lambda x, k: ours.detrend(x) * k[0],
        lambda x, k: abs(ours.hilbert(x)) * k[0],
        lambda x, k: ours.savgol_filter(x, 5, 2) * k[0],
    ):
        value, pullback = gpuad.vjp(f, x, k)
        assert value.dtype == "float32"
        assert all(g.dtype == "float32" for g in pullback(value))


def test_what_is_passed_on():
    np.testing.assert_array_equal(ours.windows.hann(5), theirs.windows.hann(5))
    np.testing.assert_array_equal(ours.get_window("hamming", 5), theirs.get_window("hamming", 5))
    with pytest.raises(UnsupportedError, match="medfilt"):
        grad(lambda x: ours.medfilt(x).sum())(np.ones(5))


def test_errors():
    x = np.ones(5)
    for call in (
        lambda x: ours.convolve(x, np.ones(3), "middle"),
        lambda x: ours.convolve(x, np.ones(3), method="slow"),
        lambda x: ours.convolve(x, np.ones((3, 3))),
        lambda x: ours.convolve(x, np.ones(3), None, [(), ()], "middle"),
        lambda x: ours.convolve(x[None], np.ones((2, 3)), axes=[(1,), (1,)], dot_axes=[(0,), (0,)]),
        lambda x: ours.fftconvolve(x * np.ones((2, 1)), np.ones((3, 2)), "valid"),
        lambda x: ours.lfilter([[1.0]], [1.0], x),
        lambda x: ours.filtfilt([1.0, 1.0], [1.0], x),
        lambda x: ours.convolve2d(x, x),
    ):
        with pytest.raises(ValueError, match=r"\w+: "):
            gpuad.vjp(call, x)
    with pytest.raises(UnsupportedError, match="gust"):
        gpuad.vjp(lambda x: ours.filtfilt([1.0], [1.0], x, method="gust"), x)

"""Fourier transforms: what the samples can't say."""

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, value_and_grad
from gpuad.errors import UnsupportedError
from test_import import imported_by

NAMES = sorted(name for name in np.fft.__all__ if name not in ("fftfreq", "rfftfreq"))


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_differentiated(name):
    x = np.random.default_rng(0).normal(size=(4, 6))
    gradient = grad(lambda x: (abs(getattr(np.fft, name)(x)) ** 2).sum() + x[0, 0])(x)
    assert gradient.shape == x.shape
    assert np.all(np.isfinite(gradient))
    assert abs(gradient).max() > 0.1


def test_parseval():
    x = np.random.default_rng(0).normal(size=8)
    np.testing.assert_allclose(grad(lambda x: (abs(np.fft.fft(x)) ** 2).sum())(x), 16.0 * x)


@pytest.mark.parametrize("n", [6, 7])
def test_a_filter_in_frequency_space(n):
    """irfft(rfft(x) * h) is a circular convolution: its gradient is a circular correlation."""
    rng = np.random.default_rng(0)
    x, kernel, u = rng.normal(size=(3, n))
    h = np.fft.rfft(kernel)
    gradient = grad(lambda x: (np.fft.irfft(np.fft.rfft(x) * h, n) * u).sum())(x)
    np.testing.assert_allclose(gradient, [sum(u[(i + j) % n] * kernel[j] for j in range(n)) for i in range(n)])


@pytest.mark.parametrize("complexity", ["float32", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_single_precision_stays(name, complexity):
    x = np.ones((4, 6), complexity)
    if complexity == "complex64" and name in ("rfft", "rfft2", "rfftn", "ihfft"):
        with pytest.raises(TypeError):
            grad(lambda x: abs(getattr(np.fft, name)(x)).sum())(x)
        return
    value, gradient = value_and_grad(lambda x: abs(getattr(np.fft, name)(x)).sum())(x)
    assert value.dtype == "float32"
    assert gradient.dtype == complexity


def test_frequencies_of_a_traced_spacing():
    for namespace in (np, gnp):
        for name in ("fftfreq", "rfftfreq"):
            f = getattr(namespace.fft, name)
            want = -getattr(np.fft, name)(5) / 0.25
            np.testing.assert_allclose(grad(lambda d, f=f: f(5, d)[2])(0.5), want[2])
    np.testing.assert_array_equal(gnp.fft.fftfreq(6, 0.1), np.fft.fftfreq(6, 0.1))


def test_errors():
    x = np.ones((4, 6))
    with pytest.raises(ValueError, match="norm"):
        grad(lambda x: abs(np.fft.fft(x, norm="unitary")).sum())(x)
    with pytest.raises(ValueError, match="number of data points"):
        grad(lambda x: abs(np.fft.rfft(x, n=0)).sum())(x)
    with pytest.raises(ValueError, match="different lengths"):
        grad(lambda x: abs(np.fft.fftn(x, s=(3,), axes=(0, 1))).sum())(x)
    with pytest.raises(np.exceptions.AxisError):
        grad(lambda x: abs(np.fft.fft(x, axis=2)).sum())(x)
    with pytest.raises(UnsupportedError, match="plain array"):
        grad(lambda x: abs(np.fft.fft(x, out=np.zeros((4, 6), complex))).sum())(x)


def test_plain_arrays_are_transformed_by_the_backend(backend):
    x = backend.asarray(np.arange(6.0))
    got = gpuad.numpy.fft.rfft(x)
    assert backend.owns(type(got))
    np.testing.assert_array_equal(backend.to_numpy(got), np.fft.rfft(np.arange(6.0)))


def test_nothing_of_it_is_imported_before_it_is_used():
    use = "import gpuad, sys; assert 'gpuad.numpy.fft' not in sys.modules and 'numpy.fft' not in sys.modules"
    assert "gpuad" in imported_by(use)


# -- scipy.fft ---------------------------------------------------------------------------------------------
def scipys():
    return pytest.importorskip("scipy.fft"), pytest.importorskip("gpuad.scipy.fft")


@pytest.mark.parametrize("kind", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_scipys_transforms(kind):
    theirs, ours = scipys()
    x = np.random.default_rng(0).normal(size=(4, 5))
    several = [{"s": 3, "axes": 0}, {"s": (2, 7)}, {"axes": (1, 0), "norm": "forward"}, {"s": (-1, 4), "axes": (0, 1)}]
    for name, cases in {
        kind: [{}, {"n": 3, "axis": 0, "norm": "ortho"}],
        f"{kind}n": several,
        f"{kind}2": several[1:],
    }.items():
        for options in cases:
            for dtype in ("float16", "float32", "float64"):
                value, pullback = gpuad.vjp(lambda x, o=options, n=name: getattr(ours, n)(x, **o), x.astype(dtype))
                want = getattr(theirs, name)(x.astype(dtype), **options)
                assert value.dtype == want.dtype
                np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-6)
                assert pullback(value)[0].dtype == dtype
    with pytest.raises(ValueError, match="unique"):
        grad(lambda x: abs(getattr(ours, f"{kind}n")(x, axes=(0, 0))).sum())(x)


@pytest.mark.parametrize("name", ["dct", "idct", "dst", "idst"])
@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_cosine_transforms_have_scipys_values(name, type):
    theirs, ours = scipys()
    x = np.random.default_rng(0).normal(size=(4, 5))
    for norm in (None, "backward", "ortho", "forward"):
        for orthogonalize in (None, True, False):
            for n, axis in [(None, -1), (3, 0), (7, 1)]:
                arguments = (type, n, axis, norm)
                value = gpuad.vjp(
                    lambda x, a=arguments, o=orthogonalize: getattr(ours, name)(x, *a, orthogonalize=o), x
                )[0]
                want = getattr(theirs, name)(x, *arguments, orthogonalize=orthogonalize)
                np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)


def test_errors_of_cosine_transforms():
    _, ours = scipys()
    for wrong in ({"type": 5}, {"norm": "unitary"}, {"n": 1, "type": 1}):
        with pytest.raises(ValueError, match=r"type|norm"):
            grad(lambda x, w=wrong: ours.dct(x, **w).sum())(np.ones(4))
    with pytest.raises(UnsupportedError, match="fht"):
        grad(lambda x: ours.fht(x, 0.1, 0.5).sum())(np.ones(4))
    assert ours.next_fast_len(7) == 7

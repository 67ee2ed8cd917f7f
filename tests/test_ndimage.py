"""scipy.ndimage: what the samples can't say."""

import numpy as np
import pytest

import gpuad
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

theirs = pytest.importorskip("scipy.ndimage")
ours = pytest.importorskip("gpuad.scipy.ndimage")

rng = np.random.default_rng(0)
MODES = ("reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap", "grid-constant")
EVERY_MODE = pytest.mark.parametrize("mode", MODES)


def compare(name, *args, **options):
    value = gpuad.vjp(lambda *a: getattr(ours, name)(*a, **options), *args)[0]
    want = getattr(theirs, name)(*args, **options)
    assert value.dtype == want.dtype
    np.testing.assert_allclose(value, want, rtol=1e-10, atol=1e-10)


@EVERY_MODE
def test_weights(mode):
    for shape, size, origin in [
        *(((5, 4), (3, 2), 0), ((5, 4), (2, 3), (-1, 1)), ((3,), (7,), 2), ((2, 3, 2), (3, 1, 2), 0)),
        *(((1, 4), (5, 3), 0), ((3,), (15,), 0)),
    ]:
        for name in ("correlate", "convolve"):
            x, w = rng.normal(size=shape), rng.normal(size=size)
            compare(name, x, w, mode=mode, origin=origin, cval=1.5)
            check_grads(
                lambda x, w, n=name, o=origin: getattr(ours, n)(x, w, mode=mode, origin=o, cval=1.5), [x, w], order=1
            )
            compare(name, x + 1j * x**2, w - 0.5j, mode=mode, origin=origin, cval=1.5)
    for name in ("correlate", "convolve"):
        compare(name, rng.normal(size=(4, 3, 3)), rng.normal(size=(2, 3)), mode=mode, axes=(2, 0), origin=(0, -1))
        compare(f"{name}1d", rng.normal(size=(4, 3)), rng.normal(size=4), mode=mode, axis=0, origin=1, cval=0.5)


@EVERY_MODE
def test_filters(mode):
    x = rng.normal(size=(9, 8))
    for options in (
        *({"sigma": 1.0}, {"sigma": (0.7, 1.2), "order": (1, 2)}, {"sigma": 0.8, "axes": 0, "order": 3}),
        *({"sigma": 1.0, "radius": 2}, {"sigma": 1.0, "truncate": 2.0, "cval": 3.0}, {"sigma": (0, 1.0)}),
    ):
        compare("gaussian_filter", x, mode=mode, **options)
    compare("gaussian_filter1d", x, np.array(1.1), mode=mode, order=2)
    compare("uniform_filter", x, size=(3, 4), origin=(0, 1), mode=mode)
    for name in ("sobel", "prewitt", "laplace"):
        compare(name, rng.normal(size=(4, 3, 3)), mode=mode)
    for name in ("gaussian_laplace", "gaussian_gradient_magnitude"):
        compare(name, x, sigma=1.0, mode=mode)
    compare("gaussian_laplace", x, sigma=1.0, mode=mode, axes=1)
    check_grads(lambda x: ours.gaussian_laplace(x, 0.7, mode=mode), [x], order=1)


def test_one_mode_per_axis():
    compare("sobel", rng.normal(size=(4, 3)), mode=["wrap", "nearest"], axis=0)
    compare("gaussian_filter", rng.normal(size=(4, 3)), sigma=1.0, mode=["wrap", "nearest"])


def test_the_width_of_a_gaussian_is_differentiated():
    x = rng.normal(size=20)
    for order in range(4):
        check_grads(lambda s, o=order: ours.gaussian_filter1d(x, s, order=o, radius=5), [1.3])


def test_where_an_image_is_flat_its_gradient_has_no_direction():
    gradient = gpuad.grad(lambda x: ours.gaussian_gradient_magnitude(x, 1.0).sum())(np.ones((5, 5)))
    np.testing.assert_array_equal(gradient, 0.0)


def test_dtypes():
    x, w = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(2, 2))
    value, pullback = gpuad.vjp(lambda x, w: ours.correlate(x, w), x, w)
    assert [value.dtype, *(g.dtype for g in pullback(value))] == ["float32", "float32", "float64"]
    assert gpuad.vjp(lambda x: ours.gaussian_filter(x, 1.0), x)[0].dtype == "float32"
    compare("correlate", x, w, output="float64")
    with pytest.raises(UnsupportedError, match="float"):
        gpuad.vjp(lambda w: ours.correlate(np.arange(12).reshape(4, 3), w), w)
    with pytest.raises(UnsupportedError, match="output"):
        gpuad.vjp(lambda x: ours.correlate(x, w, output=np.zeros((4, 3))), x)


def test_errors():
    x = np.ones((3, 3))
    for wrong, error in [({"mode": "far"}, RuntimeError), ({"origin": 4}, ValueError), ({"axes": (0,)}, RuntimeError)]:
        with pytest.raises(error, match="correlate"):
            gpuad.vjp(lambda x, w=wrong: ours.correlate(x, np.ones((3, 3)), **w), x)
    with pytest.raises(UnsupportedError, match="median_filter"):
        gpuad.vjp(lambda x: ours.median_filter(x, 3), x)

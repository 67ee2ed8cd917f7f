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


# -- interpolation -----------------------------------------------------------------------------------------------
ORDERS = pytest.mark.parametrize("order", range(6))


def around(shape, mode):
    """Points in and around an image; where it jumps at the edge, in it, but for some."""
    points = np.stack([rng.uniform(-2.3 * n, 3.1 * n, size=(2, 3)) for n in shape])
    if mode in ("constant", "grid-constant", "wrap"):
        points[..., 1:] = np.stack([rng.uniform(0.05, max(n - 1.05, 0.06), size=(2, 2)) for n in shape])
    return points


@EVERY_MODE
@ORDERS
def test_map_coordinates(mode, order):
    for shape in [(5,), (4, 6), (3, 1), (2, 3, 3), (20,)]:
        x, points = rng.normal(size=shape), around(shape, mode)
        for prefilter in (True, False):
            options = {"order": order, "mode": mode, "cval": 1.5, "prefilter": prefilter}
            compare("map_coordinates", x, points, **options)
            if order:
                check_grads(lambda x, p, o=options: ours.map_coordinates(x, p, **o), [x, points], order=1)
    corners = np.array([[0.0, 3.0, 0.0, 3.0, 2.0], [0.0, 4.0, 4.0, 0.0, 3.0]])
    compare("map_coordinates", rng.normal(size=(4, 5)), corners, order=order, mode=mode)


def test_second_derivatives_of_a_cubic():
    """A spline of order 3 or more reproduces a cubic, away from the edge."""
    i = np.arange(80.0)
    x = np.array([[38.3, 40.0, 41.9]])

    def slope(f):
        return gpuad.grad(lambda x: f(x).sum())

    def at(x):
        return ours.map_coordinates((i - 40) ** 3, x, order=4)

    np.testing.assert_allclose(slope(at)(x), 3 * (x - 40) ** 2, atol=1e-6)
    np.testing.assert_allclose(slope(slope(at))(x), 6 * (x - 40), atol=1e-6)
    np.testing.assert_allclose(slope(slope(slope(at)))(x), 6.0 + 0 * x, atol=1e-6)


@EVERY_MODE
@ORDERS
@pytest.mark.filterwarnings("ignore:It is recommended to use mode")
def test_images_moved(mode, order):
    x = rng.normal(size=(4, 5))
    how = {"order": order, "mode": mode, "cval": 0.7}
    compare("shift", x, np.array([0.4, -1.3]), **how)
    compare("shift", x, np.array(1.3), **how)
    for zoom in (2, (1.5, 0.7), (0.2, 3), 1):
        for grid_mode in (False, True):
            compare("zoom", x, zoom=zoom, grid_mode=grid_mode, **how)
    matrix, offset = np.array([[0.9123, 0.2177], [-0.1318, 1.0871]]), np.array([0.3171, -0.2377])
    with_offset = np.c_[matrix, offset]
    for m, o, options in [
        (matrix, offset, {}),
        (np.array([0.7, 1.3]), offset, {}),
        (with_offset, np.zeros(2), {}),
        (np.r_[with_offset, [[0, 0, 1]]], np.zeros(2), {}),
        (matrix, offset, {"output_shape": (3, 7)}),
    ]:
        compare("affine_transform", x, m, o, **how, **options)
    if order > 1:
        check_grads(lambda x, m, o: ours.affine_transform(x, m, o, **how), [x, matrix, offset], order=1)
        check_grads(lambda x, s: ours.shift(x, s, **how), [x, np.array([0.41, -0.23])], order=1)
    for angle in (0.0, 30.0, 90.0, 180.0, -45.0, 360.0):
        for reshape in (True, False):
            value = gpuad.vjp(lambda x, a, r=reshape: ours.rotate(x, a, reshape=r, **how), x, angle)[0]
            np.testing.assert_allclose(value, theirs.rotate(x, angle, reshape=reshape, **how), atol=1e-10)
    compare("rotate", rng.normal(size=(3, 2, 4)), angle=20.0, axes=(0, 2), **how)


def test_the_angle_is_differentiated():
    x = rng.normal(size=(7, 7))
    for reshape in (True, False):
        check_grads(lambda x, a, r=reshape: ours.rotate(x, a, reshape=r, mode="reflect"), [x, 33.3])


def test_what_lies_outside():
    x = np.arange(4.0)
    points = np.array([[-0.5, 1.5, 3.5]])
    value, pullback = gpuad.vjp(lambda x, p, c: ours.map_coordinates(x, p, order=1, cval=c), x, points, 7.0)
    np.testing.assert_array_equal(value, [7.0, 1.5, 7.0])
    for got, want in zip(pullback(np.ones(3)), ([0, 0.5, 0.5, 0], [[0, 1, 0]], 2), strict=True):
        np.testing.assert_array_equal(got, want)
    value, pullback = gpuad.vjp(lambda x, p: ours.map_coordinates(x, p, order=1, cval=np.nan), x, points)
    np.testing.assert_array_equal(value, [np.nan, 1.5, np.nan])
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [0, 0.5, 0.5, 0])
    with pytest.raises(UnsupportedError, match="finite"):
        gpuad.vjp(lambda x: ours.shift(x, 0.5, mode="grid-constant", cval=np.nan), x)
    with pytest.raises(UnsupportedError, match="finite"):
        gpuad.vjp(lambda x: ours.correlate(x, [1.0, 2.0], mode="constant", cval=np.inf), x)


def test_errors_of_interpolation():
    x = np.ones((3, 3))
    for call, error in [
        (lambda x: ours.map_coordinates(x, np.ones((2, 3)), order=6), RuntimeError),
        (lambda x: ours.map_coordinates(x, np.ones((2, 3)), mode="far"), RuntimeError),
        (lambda x: ours.map_coordinates(x, np.ones((3, 3))), RuntimeError),
        (lambda x: ours.affine_transform(x, np.ones((3, 2))), RuntimeError),
        (lambda x: ours.rotate(x[0], 30.0), ValueError),
    ]:
        with pytest.raises(error):
            gpuad.vjp(call, x)
    with pytest.raises(UnsupportedError, match="float"):
        gpuad.vjp(lambda p: ours.map_coordinates(np.arange(4), p), np.ones((1, 3)))


def test_errors():
    x = np.ones((3, 3))
    for wrong, error in [({"mode": "far"}, RuntimeError), ({"origin": 4}, ValueError), ({"axes": (0,)}, RuntimeError)]:
        with pytest.raises(error, match="correlate"):
            gpuad.vjp(lambda x, w=wrong: ours.correlate(x, np.ones((3, 3)), **w), x)
    with pytest.raises(UnsupportedError, match="median_filter"):
        gpuad.vjp(lambda x: ours.median_filter(x, 3), x)

"""scipy.interpolate: values of SciPy's, derivatives against central differences and closed forms."""

import copy
import pickle

import numpy as np
import pytest

import gpuad
from gpuad import grad
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

theirs = pytest.importorskip("scipy.interpolate")
ours = pytest.importorskip("gpuad.scipy.interpolate")

rng = np.random.default_rng(0)


def places(n):
    return np.cumsum(rng.uniform(0.5, 1.5, n))


def compare(f, *args, order=1):
    """``f(interpolate, *args)`` with SciPy's module and with ours."""
    want = f(theirs, *args)
    got = gpuad.vjp(lambda *a: f(ours, *a), *args)[0]
    assert got.dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)
    if order:
        check_grads(lambda *a: f(ours, *a), args, order=order)


def inside(x):
    """Points well between those of ``x``, where derivatives may jump."""
    i = rng.integers(0, len(x) - 1, (2, 3))
    return x[i] + rng.uniform(0.1, 0.9, (2, 3)) * (x[i + 1] - x[i])


def in_and_out(x):
    points = inside(x)
    points[0] = x[0] - 0.3, x[-1] + 0.4, x[-1] + 0.1
    return points


EITHER_AXIS = pytest.mark.parametrize("axis", [0, 1])


def shape_of(n, axis):
    """One row of data, or two of them along another axis."""
    return (2, n) if axis else (n,)


CONDITIONS = ["not-a-knot", "natural", "clamped", ("clamped", "not-a-knot"), ((1, 0.3), (2, -0.4))]


@EITHER_AXIS
@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_cubic_splines(n, axis):
    x = places(n)
    shape = shape_of(n, axis)
    y, rest = rng.normal(size=shape), shape[:axis]
    for bc in CONDITIONS:
        if isinstance(bc[0], tuple):
            bc = tuple((order, np.full(rest, value)) for order, value in bc)
        for nu in range(5):
            compare(
                lambda i, x, y, p, bc=bc, nu=nu: i.CubicSpline(x, y, axis, bc)(p, nu),
                *(x, y, in_and_out(x)),
                order=1 if nu < 3 else 0,
            )
        ends = x[0] + 0.1, x[-1] + 0.7
        compare(lambda i, x, y, a, b, bc=bc: i.CubicSpline(x, y, axis, bc).integrate(a, b), x, y, *ends)
    check_grads(lambda x, y, p: ours.CubicSpline(x, y)(p), [x, rng.normal(size=n), inside(x)])


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_periodic_cubic_splines(n):
    x = places(n)
    y = rng.normal(size=(n - 1, 2))

    def spline(i, x, y):
        return i.CubicSpline(x, np.concatenate([y, y[:1]]), bc_type="periodic")

    compare(lambda i, x, y, p: spline(i, x, y)(p), x, y, x[0] + rng.uniform(-20, 20, 5))
    for a, b in [(x[0] + 0.1, x[-1] - 0.1), (x[-1] + 0.2, x[0] - 9.3)]:
        compare(lambda i, x, y, a, b: spline(i, x, y).integrate(a, b), x, y, a, b)
    with pytest.raises(ValueError, match="identical"):
        gpuad.vjp(lambda y: ours.CubicSpline(x, y, bc_type="periodic"), np.arange(n * 1.0))


def test_a_cubic_is_reproduced():
    x = places(8)

    def at(p, y):
        return ours.CubicSpline(x, y)(p)

    def slope(f):
        return lambda p: grad(f)(p)

    p = x[3] + 0.2
    f = lambda p: at(p, x**3)  # noqa: E731
    np.testing.assert_allclose([slope(f)(p), slope(slope(f))(p)], [3 * p**2, 6 * p])
    np.testing.assert_allclose(slope(slope(slope(f)))(p), 6.0)
    # exact in the data, so that moving a place along the curve changes nothing
    moved = grad(lambda x: ours.CubicSpline(x, x**3)(p))(x)
    np.testing.assert_allclose(moved, 0.0, atol=1e-9)


@EITHER_AXIS
@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_hermite_pchip_and_akima(n, axis):
    x = places(n)
    shape = shape_of(n, axis)
    y, d = rng.normal(size=(2, *shape))
    compare(lambda i, x, y, d, p: i.CubicHermiteSpline(x, y, d, axis)(p), x, y, d, in_and_out(x))
    for nu in (0, 1):
        compare(lambda i, x, y, p, nu=nu: i.PchipInterpolator(x, y, axis)(p, nu), x, y, inside(x))
        for method in ("akima", "makima"):
            compare(
                lambda i, x, y, p, m=method, nu=nu: i.Akima1DInterpolator(x, y, axis, method=m)(p, nu),
                *(x, y, inside(x)),
            )
    compare(lambda i, x, y, p: i.Akima1DInterpolator(x, y, axis)(p), x, y, in_and_out(x), order=0)
    compare(lambda i, x, y, p: i.CubicSpline(x, y, axis).antiderivative(2)(p), x, y, in_and_out(x))
    compare(lambda i, x, y, p: i.CubicSpline(x, y, axis).derivative(2)(p), x, y, inside(x))
    flat = np.array([0.0, 1.0, 1.0, 0.5])
    assert np.all(np.isfinite(grad(lambda y: ours.PchipInterpolator(np.arange(4), y)([0.5, 1.5, 2.5]).sum())(flat)))
    assert np.all(np.isfinite(grad(lambda y: ours.Akima1DInterpolator(np.arange(4), y)([0.5, 1.5]).sum())(flat * 0)))


def test_piecewise_polynomials():
    c, x = rng.normal(size=(3, 4, 2)), places(5)
    compare(lambda i, c, x, p: i.PPoly(c, x)(p), c, x, inside(x), order=2)
    compare(lambda i, c, x, p: i.PPoly(np.moveaxis(c, 2, 0), x, axis=1)(p), c, x, inside(x))
    for extrapolate in (False, "periodic"):
        compare(lambda i, c, x, p, e=extrapolate: i.PPoly(c, x)(p, 0, e), c, x, in_and_out(x), order=0)
    with pytest.raises(UnsupportedError, match="roots"):
        gpuad.vjp(lambda c: ours.PPoly(c, x).roots(), c)


@EITHER_AXIS
@pytest.mark.parametrize("k", range(6))
def test_splines_of_any_degree(k, axis):
    n = 7
    x = places(n)
    shape = shape_of(n, axis)
    y = rng.normal(size=shape)
    given = ([(1, np.ones(shape[:axis]))], [(2, np.zeros(shape[:axis]))])
    for bc in [None, *(["natural", "clamped", given] if k == 3 else [])]:
        for nu in (0, 1, 3):
            if nu <= k:
                compare(
                    lambda i, x, y, p, bc=bc, nu=nu: i.make_interp_spline(x, y, k, None, bc, axis)(p, nu),
                    *(x, y, inside(x)),
                    order=1 if nu < max(k, 1) else 0,
                )
        if k:
            compare(
                lambda i, x, y, a, b, bc=bc: i.make_interp_spline(x, y, k, None, bc, axis).integrate(a, b),
                *(x, y, x[0] + 0.1, x[-1] + 0.2),
            )


def test_b_splines():
    t, c = np.r_[0, 0, 0, 0, 1, 2, 2.5, 4, 4, 4, 4.0], rng.normal(size=(7, 2))
    compare(lambda i, c, p: i.BSpline(t, c, 3)(p), c, rng.uniform(0, 4, 5), order=2)
    compare(lambda i, t, c, p: i.BSpline(t, c, 3)(p, 1), t, c, rng.uniform(-1, 5, 5), order=0)
    compare(lambda i, t, c, p: i.BSpline(t, c, 2)(p), places(10), c, np.array([5.1, 5.9]))
    compare(lambda i, c, p: i.BSpline(t, c, 3).derivative(2)(p), c, rng.uniform(0, 4, 5), order=0)
    compare(lambda i, c, p: i.BSpline(t, c, 3).antiderivative(2)(p), c, rng.uniform(0, 4, 5))
    for extrapolate in (False, "periodic"):
        compare(lambda i, c, p, e=extrapolate: i.BSpline(t, c, 3)(p, 0, e), c, rng.uniform(-1, 5, 5), order=0)
        compare(lambda i, c, b, e=extrapolate: i.BSpline(t, c, 3).integrate(1.0, b, e), c, 5.5, order=0)


@EITHER_AXIS
@pytest.mark.parametrize(
    "kind", ["linear", "nearest", "nearest-up", "previous", "next", "zero", "slinear", "quadratic", "cubic", 3]
)
def test_interp1d(kind, axis):
    x = places(6)
    shape = shape_of(6, axis)
    y = rng.normal(size=shape)
    compare(lambda i, x, y, p: i.interp1d(x, y, kind, axis)(p), x, y, inside(x))
    compare(lambda i, x, y: i.interp1d(x, y, kind, axis)(x), x, y, order=0)
    for fill in (7.0, (1.0, 2.0), "extrapolate"):
        compare(
            lambda i, x, y, p, f=fill: i.interp1d(x, y, kind, axis, bounds_error=False, fill_value=f)(p),
            *(x, y, in_and_out(x)),
            order=0,
        )
    with pytest.raises(ValueError, match="range"):
        gpuad.vjp(lambda x: ours.interp1d(x, x, kind)(x[0] - 1.0), x)
    shuffled = rng.permutation(6)
    compare(lambda i, x, y, p: i.interp1d(x, y, kind)(p), x[shuffled], rng.normal(size=6), inside(x))


METHODS = pytest.mark.parametrize("method", ["linear", "nearest", "slinear", "cubic", "quintic"])


@METHODS
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_grids(ndim, method):
    lines = (places(6), places(7)[::-1].copy(), places(6))[:ndim]
    values = rng.normal(size=[len(p) for p in lines] + [2])
    points = np.stack([rng.uniform(min(p) + 0.01, max(p) - 0.01, (2, 2)) for p in lines], -1)
    # SciPy solves for splines iteratively, too roughly for differences, unless it is asked for the former way
    exact = method + "_legacy" * (method not in ("linear", "nearest"))

    def at(values, points, **options):
        return ours.RegularGridInterpolator(lines, values, exact, **options)(points)

    want = theirs.RegularGridInterpolator(lines, values, exact)(points)
    np.testing.assert_allclose(gpuad.vjp(at, values, points)[0], want, rtol=1e-8, atol=1e-8)
    check_grads(at, [values, points], 2 if ndim < 3 else 1)
    for fill in (None, 3.0):
        options = {"bounds_error": False, "fill_value": fill}
        want = theirs.RegularGridInterpolator(lines, values, exact, **options)(points * 1.2)
        got = gpuad.vjp(lambda v, p, o=options: at(v, p, **o), values, points * 1.2)[0]
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_interpn():
    lines = (places(5), places(4))
    points = tuple(rng.uniform(min(p) + 0.01, max(p) - 0.01, 3) for p in lines)
    values = rng.normal(size=(5, 4))
    compare(lambda i, a, b, v, p, q: i.RegularGridInterpolator((a, b), v)((p, q)), *lines, values, *points)
    compare(lambda i, v, p, q: i.interpn(lines, v, (p, q)), values, *points)
    with pytest.raises(ValueError, match="bounds"):
        gpuad.vjp(lambda v: ours.interpn(lines, v, (100.0, 100.0)), values)
    with pytest.raises(UnsupportedError, match="pchip"):
        gpuad.vjp(lambda v: ours.interpn(lines, v, points, "pchip"), values)


def test_plain_data_make_scipys_objects_that_take_traced_points():
    x, y = places(9), rng.normal(size=9)
    spline = ours.CubicSpline(x, y)
    assert isinstance(spline, theirs.CubicSpline)
    assert isinstance(spline.derivative(), theirs.PPoly)
    np.testing.assert_array_equal(spline.roots(), theirs.CubicSpline(x, y).roots())
    assert pickle.loads(pickle.dumps(spline))(5.0) == copy.copy(spline)(5.0) == theirs.CubicSpline(x, y)(5.0)
    np.testing.assert_allclose(grad(lambda p: spline(p))(5.0), spline(5.0, 1))
    np.testing.assert_allclose(grad(lambda p: spline.derivative()(p))(5.0), spline(5.0, 2))
    np.testing.assert_allclose(grad(lambda b: spline.integrate(x[0], b))(5.0), spline(5.0))
    for make, cls in [
        (lambda i: i.interp1d(x, y), theirs.interp1d),
        (lambda i: i.make_interp_spline(x, y), theirs.BSpline),
        (lambda i: i.BSpline(np.arange(13.0), y, 3), theirs.BSpline),
        (lambda i: i.RegularGridInterpolator((x,), y), theirs.RegularGridInterpolator),
    ]:
        assert isinstance(make(ours), cls)
        np.testing.assert_array_equal(make(ours)([5.0]), make(theirs)([5.0]))
    h = 1e-6
    for f in (
        ours.interp1d(x, y, "cubic"),
        ours.BSpline(np.arange(13.0), y, 3),
        ours.RegularGridInterpolator((x,), y),
        ours.PchipInterpolator(x, y),
    ):
        slope = (f(np.array([5.0 + h])) - f(np.array([5.0 - h]))) / (2 * h)
        np.testing.assert_allclose(grad(lambda p, f=f: f(p.reshape(1)).sum())(np.array(5.0)), slope[0], rtol=1e-6)


def test_dtypes():
    x, y = places(6), rng.normal(size=6)
    for make in (ours.CubicSpline, ours.interp1d, ours.make_interp_spline):
        gradient = grad(lambda y, m=make: m(x, y)(x[2] + 0.1).sum())(y.astype("float32"))
        assert gradient.dtype == "float32"
    value = gpuad.vjp(lambda y: ours.interp1d(x.astype("f"), y)(np.float32(x[2])), y.astype("f"))[0]
    assert value.dtype == theirs.interp1d(x.astype("f"), y.astype("f"))(np.float32(x[2])).dtype


def test_errors():
    x = places(5)
    for call in (
        lambda y: ours.CubicSpline(x[::-1], y),
        lambda y: ours.CubicSpline(x[:4], y),
        lambda y: ours.CubicSpline(x, y, bc_type="loose"),
        lambda y: ours.CubicSpline(x, y, bc_type=("natural", "periodic")),
        lambda y: ours.CubicSpline(x, y * np.nan),
        lambda y: ours.make_interp_spline(x, y, bc_type="loose"),
        lambda y: ours.make_interp_spline(x[[0, 0, 1, 2, 3]], y),
        lambda y: ours.BSpline(x, y, 3),
        lambda y: ours.interp1d(x[:4], y),
        lambda y: ours.RegularGridInterpolator((x[[0, 2, 1, 3, 4]],), y),
    ):
        with pytest.raises(ValueError):
            gpuad.vjp(call, np.ones(5))
    with pytest.raises(UnsupportedError, match="periodic"):
        gpuad.vjp(lambda y: ours.make_interp_spline(x, y, bc_type="periodic"), np.ones(5))
    with pytest.raises(UnsupportedError, match="griddata"):
        gpuad.vjp(lambda y: ours.griddata(x[:, None], y, x[:, None]), np.ones(5))

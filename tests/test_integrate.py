"""gpuad.scipy.integrate: values against SciPy's, derivatives against closed forms and central differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate as theirs

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, vjp
from gpuad.errors import UnsupportedError
from gpuad.scipy import integrate
from gpuad.test_util import check_grads

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def traced(f, *args):
    """The value of ``f`` for traced arguments."""
    return vjp(f, *args)[0]


# -- samples ------------------------------------------------------------------------------------------
RNG = np.random.default_rng(3)
SAMPLED = {
    "trapezoid": integrate.trapezoid,
    "simpson": integrate.simpson,
    "cumulative_trapezoid": integrate.cumulative_trapezoid,
    "cumulative_simpson": integrate.cumulative_simpson,
}


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_integrals_of_samples(name, n, axis, backend):
    ours, reference = SAMPLED[name], getattr(theirs, name)
    shape = (3, n) if axis else (n, 3)
    y = RNG.normal(size=shape)
    x1, x2 = np.cumsum(RNG.uniform(0.1, 1, n)), np.cumsum(RNG.uniform(0.1, 1, shape), axis=axis)
    for x in (x1, x2):
        got = traced(lambda y, x: ours(y, x=x, axis=axis), *map(backend.asarray, (y, x)))
        want = reference(y, x=x, axis=axis)
        np.testing.assert_allclose(backend.to_numpy(got), want, rtol=1e-12, atol=1e-13)
        check_grads(lambda y, x: ours(y, x=x, axis=axis), [backend.asarray(y), backend.asarray(x)], order=1 + (n == 4))
    got = traced(lambda y: ours(y, dx=0.3, axis=axis), backend.asarray(y))
    np.testing.assert_allclose(backend.to_numpy(got), reference(y, dx=0.3, axis=axis), rtol=1e-12, atol=1e-13)
    check_grads(lambda y, dx: ours(y, dx=dx, axis=axis), [backend.asarray(y), backend.asarray(np.array(0.3))])


def test_initial_values():
    y, first = RNG.normal(size=(2, 5)), RNG.normal(size=(2, 1))
    np.testing.assert_allclose(
        traced(lambda y: integrate.cumulative_trapezoid(y, initial=0), y), theirs.cumulative_trapezoid(y, initial=0)
    )
    for initial in (1.5, first):
        np.testing.assert_allclose(
            traced(lambda y, i=initial: integrate.cumulative_simpson(y, initial=i), y),
            theirs.cumulative_simpson(y, initial=initial),
        )
    check_grads(lambda y, i: integrate.cumulative_simpson(y, initial=i), [y, first])


def test_simpson_of_points_that_coincide():
    y, x = RNG.normal(size=6), np.array([0.0, 0.0, 1.0, 2.0, 2.0, 3.0])
    got, pull = vjp(lambda y, x: integrate.simpson(y, x=x), y, x)
    np.testing.assert_allclose(got, theirs.simpson(y, x=x))
    assert all(np.isfinite(g).all() for g in pull(1.0))


@pytest.mark.parametrize("n", [2, 3, 5, 17])
def test_romb(n, backend):
    y = RNG.normal(size=(n, 3))
    got = traced(lambda y: integrate.romb(y, 0.2, axis=0), backend.asarray(y))
    np.testing.assert_allclose(backend.to_numpy(got), theirs.romb(y, 0.2, axis=0), rtol=1e-12)
    check_grads(lambda y, dx: integrate.romb(y, dx, axis=0), [backend.asarray(y), backend.asarray(np.array(0.2))])


def test_samples_of_wrong_number_are_refused():
    with pytest.raises(ValueError, match="power of 2"):
        traced(integrate.romb, np.ones(4))
    with pytest.raises(ValueError, match="length of x"):
        traced(lambda y: integrate.simpson(y, x=np.arange(3.0)), np.ones(4))
    with pytest.raises(ValueError, match="strictly increasing"):
        traced(lambda y: integrate.cumulative_simpson(y, x=np.zeros(4)), np.ones(4))


def test_single_precision_stays():
    y = RNG.normal(size=9).astype("float32")
    for f in (*SAMPLED.values(), integrate.romb):
        value, pull = vjp(f, y)
        assert value.dtype == "float32"
        assert pull(np.ones_like(value))[0].dtype == "float32"


# -- quadrature ---------------------------------------------------------------------------------------
def wave(x, k, w):
    return gnp.exp(-k * x * x) * gnp.cos(w[0] * x) * w[1]


W = np.array([1.2, 0.7])


@pytest.mark.parametrize(
    "bounds",
    [(0.0, 1.0), (1.0, -0.5), (-np.inf, np.inf), (0.3, np.inf), (-np.inf, 0.2), (np.inf, 0.5), (0.5, 0.5)],
    ids=str,
)  # fmt: skip
def test_quad_by_its_parameters(bounds):
    def given(k, w):
        return integrate.quad(wave, *bounds, (k, w))[0]

    def read(k, w):
        return integrate.quad(lambda x: wave(x, k, w), *bounds)[0]

    for f in (given, read):
        np.testing.assert_allclose(traced(f, 1.1, W), theirs.quad(wave, *bounds, (1.1, W))[0], rtol=1e-9)
        check_grads(f, [1.1, W])


def test_quad_by_its_bounds():
    for f in (
        lambda a, b, k: integrate.quad(wave, a, b, (k, W))[0],
        lambda a, b, k: integrate.quad(lambda x: wave(x, k, W), a, b)[0],
    ):
        check_grads(f, [0.2, 1.3, 0.9])
        check_grads(lambda a, k, f=f: f(a, np.inf, k), [0.2, 0.9])
        check_grads(lambda b, k, f=f: f(-np.inf, b, k), [0.2, 0.9])
    # d/db of the integral of t² from 0 to b is b²
    assert grad(lambda b: integrate.quad(lambda t: t * t, 0.0, b)[0])(3.0) == pytest.approx(9.0)
    assert grad(grad(lambda b: integrate.quad(lambda t: t * t, 0.0, b)[0]))(3.0) == pytest.approx(6.0)


def test_quad_of_difficult_integrands():
    # the integral of x^-k from 0 to 1 is 1 / (1 - k)
    assert grad(lambda k: integrate.quad(lambda x, k: x**-k, 0, 1, (k,))[0])(0.5) == pytest.approx(4.0, rel=1e-8)
    assert grad(lambda k: integrate.quad(lambda x: x**-k, 0, 1)[0])(0.5) == pytest.approx(4.0, rel=1e-8)
    # that of |x - k| is k² - k + 1/2
    assert grad(lambda k: integrate.quad(lambda x: abs(x - k), 0, 1)[0])(0.3) == pytest.approx(-0.4, rel=1e-6)
    with pytest.raises(UnsupportedError, match="diverges"):
        grad(lambda k: integrate.quad(lambda x: k / x, 0.0, 1.0)[0])(1.0)


def test_quad_with_a_weight_and_points():
    check_grads(lambda k: integrate.quad(lambda x, k: gnp.exp(-k * x), 0, 1, (k,), weight="cos", wvar=3)[0], [1.2])
    check_grads(lambda k: integrate.quad(lambda x, k: gnp.exp(-k * x), 0, 1, (k,), points=[0.5])[0], [1.2])
    check_grads(lambda k: integrate.quad(lambda x: gnp.exp(-k * x), 0, 1, points=[0.5])[0], [1.2])
    with pytest.raises(UnsupportedError, match="bounds"):
        grad(lambda b: integrate.quad(gnp.exp, 0, b, weight="cos", wvar=3)[0])(1.0)
    with pytest.raises(UnsupportedError, match="args="):
        grad(lambda k: integrate.quad(lambda x: k * x, 0, 1, weight="cos", wvar=3)[0])(1.0)


def test_quad_of_plain_numbers_is_scipys():
    assert integrate.quad(wave, 0, 1, (1.1, W)) == theirs.quad(wave, 0, 1, (1.1, W))
    assert len(integrate.quad(np.exp, 0, 1, full_output=1)) == 3


def test_fixed_quad(backend):
    w = backend.asarray(W)

    def f(a, b, w):
        return integrate.fixed_quad(lambda x, w: gnp.exp(w[0] * x) + w[1], a, b, (w,), n=7)[0]

    args = [backend.asarray(np.array(v)) for v in (0.1, 1.3)]
    want = theirs.fixed_quad(lambda x: np.exp(W[0] * x) + W[1], 0.1, 1.3, n=7)[0]
    np.testing.assert_allclose(backend.to_numpy(f(*args, w)), want, rtol=1e-13)
    check_grads(f, [*args, w])
    with pytest.raises(ValueError, match="finite"):
        integrate.fixed_quad(np.exp, 0, np.inf)


# -- differential equations ---------------------------------------------------------------------------
def pendulum(y, t, k, w):
    return [y[1], -k * gnp.sin(y[0]) - w * y[1] + np.sin(t)]


Y0, T = np.array([1.0, 0.3]), np.linspace(0.0, 2.0, 5)


@pytest.mark.parametrize("gradient", ["direct", "adjoint"])
def test_odeint(gradient):
    def f(y0, t, k, w):
        return integrate.odeint(pendulum, y0, t, (k, w), gradient=gradient)

    want = theirs.odeint(lambda y, t: [y[1], -1.3 * np.sin(y[0]) - 0.2 * y[1] + np.sin(t)], Y0, T)
    np.testing.assert_allclose(traced(f, Y0, T, 1.3, 0.2), want, rtol=1e-6)
    check_grads(f, [Y0, T, 1.3, 0.2], order=1, rtol=1e-5)
    check_grads(lambda y0, k: f(y0, T[:2], k, 0.2)[-1], [Y0, 1.3], order=2, rtol=1e-5)


def test_odeint_of_a_function_that_reads_what_is_traced():
    # y' = -k y: y = exp(-k t), also where only a plain start and plain times are given
    slope = grad(lambda k: integrate.odeint(lambda y, t: -k * y, 1.0, T, **TIGHT)[-1, 0])(1.3)
    assert slope == pytest.approx(-2 * np.exp(-2.6), rel=1e-7)
    # and where that happens late
    slope = grad(lambda k: integrate.odeint(lambda y, t: -k * y if t > 1 else -y, 1.0, T, **TIGHT)[-1, 0])(1.3)
    assert slope == pytest.approx(-np.exp(-2.3), rel=1e-6)
    second = grad(grad(lambda k: integrate.odeint(lambda y, t: -k * y, 1.0, T, **TIGHT)[-1, 0]))(1.3)
    assert second == pytest.approx(4 * np.exp(-2.6), rel=1e-6)
    with pytest.raises(UnsupportedError, match="adjoint method would lose"):
        grad(lambda k: integrate.odeint(lambda y, t: -k * y, 1.0 * k, T, gradient="adjoint")[-1, 0])(1.3)


def test_a_function_that_writes_into_an_array():
    def f(y, t, k):
        dy = gnp.zeros(2)
        dy[0] = y[1]
        dy[1] = -k * y[0]
        return dy

    def g(t, y, k):
        return gnp.array([y[1], -k * y[0]])

    # y = cos(sqrt(k) t)
    want = -np.sin(np.sqrt(1.3) * 2.0) / np.sqrt(1.3)
    for gradient in ("direct", "adjoint"):
        slope = grad(lambda k, s=gradient: integrate.odeint(f, [1.0, 0.0], T, (k,), gradient=s, **TIGHT)[-1, 0])(1.3)
        assert slope == pytest.approx(want, rel=1e-6)
        slope = grad(
            lambda k, s=gradient: integrate.solve_ivp(g, (0, 2), gnp.eye(2)[0], args=(k,), gradient=s, **TIGHT).y[0, -1]
        )(1.3)
        assert slope == pytest.approx(want, rel=1e-6)
    assert grad(lambda k: k * integrate.quad(lambda x: gnp.ones(1)[0] * x, 0, 1)[0])(2.0) == pytest.approx(0.5)


@pytest.mark.parametrize("gradient", ["direct", "adjoint"])
def test_times_may_fall_and_repeat(gradient):
    t = np.array([1.0, 1.0, 0.5, 0.0])

    def f(t, k):
        return integrate.odeint(lambda y, t, k: -k * y * t, 2.0, t, (k,), gradient=gradient, **TIGHT)[:, 0]

    # y = 2 exp(-k (t² - t0²) / 2)
    value, pull = vjp(f, t, 0.7)
    y = 2 * np.exp(-0.35 * (t**2 - 1))
    np.testing.assert_allclose(value, y, rtol=1e-8)
    for i in range(1, 4):
        t_bar, k_bar = pull(np.eye(4)[i])
        want = np.zeros(4)
        want[0], want[i] = 0.7 * y[i], -0.7 * t[i] * y[i]
        np.testing.assert_allclose(t_bar, want, rtol=1e-6, atol=1e-7)
        assert k_bar == pytest.approx(-0.5 * (t[i] ** 2 - 1) * y[i], rel=1e-6, abs=1e-7)


def test_an_array_among_the_arguments_and_tfirst(backend):
    a = backend.asarray(np.array([[0.1, 1.0], [-1.0, -0.3]]))
    y0 = backend.asarray(Y0)

    def f(y0, a):
        return integrate.odeint(lambda t, y, p: p["a"] @ y, y0, T, ({"a": a, "name": "x"},), tfirst=True, **TIGHT)

    check_grads(f, [y0, a], order=1)
    check_grads(lambda y0: f(y0, a), [y0], order=1)
    host = theirs.odeint(lambda y, t: backend.to_numpy(a) @ y, Y0, T, **TIGHT)
    np.testing.assert_allclose(backend.to_numpy(f(y0, a)), host, rtol=1e-8)


def test_a_stiff_equation():
    def f(t, y, k):
        return -k * (y - gnp.cos(t))

    # y(1) = (k² cos 1 + k sin 1) / (1 + k²), and nothing of the start is left
    k = 200.0
    want = ((1 - k * k) * np.sin(1) + 2 * k * np.cos(1)) / (1 + k * k) ** 2
    for method in ("Radau", "LSODA"):

        def y(k, method=method):
            return integrate.solve_ivp(f, (0, 1), [2.0], method, [1.0], args=(k,), rtol=1e-5, atol=1e-7).y[0, -1]

        assert grad(y)(k) == pytest.approx(want, abs=2e-6)  # as the tolerances allow
    with pytest.raises(UnsupportedError, match="stiff"):
        grad(lambda k: integrate.odeint(f, 2.0, [0.0, 1e3], (k,), tfirst=True, mxstep=100)[-1, 0])(1e3)


def swing(t, y, k, w):
    return pendulum(y, t, k, w)


@pytest.mark.parametrize("method", ["RK45", "RK23"])
@pytest.mark.parametrize("t_eval", [None, T], ids=["steps", "t_eval"])
@pytest.mark.parametrize("dense", [False, True], ids=["", "dense"])
def test_solve_ivp_takes_scipys_steps(method, t_eval, dense):
    def f(y0, k):
        got = integrate.solve_ivp(swing, (0.0, 2.0), y0, method, t_eval, dense, args=(k, 0.2), rtol=1e-6)
        return [got.y, got["t"], *([got.sol(0.7), got.sol(T)] if dense else [])]

    want = theirs.solve_ivp(
        lambda t, y: [y[1], -1.3 * np.sin(y[0]) - 0.2 * y[1] + np.sin(t)], (0.0, 2.0), Y0, method, t_eval, dense,
        rtol=1e-6,
    )  # fmt: skip
    got = traced(f, Y0, 1.3)
    for a, b in zip(got, [want.y, want.t, *([want.sol(0.7), want.sol(T)] if dense else [])], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        assert a.shape == b.shape


@pytest.mark.parametrize("method", ["RK45", "DOP853", "LSODA"])
@pytest.mark.parametrize("gradient", ["direct", "adjoint"])
def test_solve_ivp(method, gradient):
    def f(y0, a, b, t, k):
        return integrate.solve_ivp(swing, (a, b), y0, method, t, args=(k, 0.2), gradient=gradient, **TIGHT)

    def at_the_end(y0, a, b, k):
        found = f(y0, a, b, None, k)
        return found.y[:, -1], found.t[-1]

    if method != "RK45" and gradient == "direct":
        with pytest.raises(UnsupportedError, match="adjoint"):
            traced(lambda y0: f(y0, 0.0, 1.0, None, 1.3).y, Y0)
        return
    check_grads(lambda *args: f(*args).y, [Y0, 0.1, 2.3, T[1:], 1.3], order=1, rtol=1e-5)
    check_grads(at_the_end, [Y0, 0.1, 2.0, 1.3], order=1, rtol=1e-5)
    if method == "DOP853" or gradient == "direct":
        check_grads(lambda y0, k: f(y0, 0.0, 2.0, T[:3], k).y[:, -1], [Y0, 1.3], order=2, rtol=1e-5)


def test_solve_ivp_of_plain_arrays_is_scipys():
    def falls(t, y):
        return y[0] - 0.5

    falls.terminal = True
    got, want = (m.solve_ivp(lambda t, y: -y, (0, 2), [1.0], events=falls) for m in (integrate, theirs))
    np.testing.assert_array_equal(got.t, want.t)
    np.testing.assert_array_equal(got.t_events, want.t_events)
    with pytest.raises(ValueError, match="t_span"):
        traced(lambda y0: integrate.solve_ivp(lambda t, y: -y, (0, 2), y0, t_eval=[1.0, 3.0]).y, Y0)
    with pytest.raises(UnsupportedError, match="events"):
        grad(lambda k: integrate.solve_ivp(lambda t, y: -k * y, (0, 2), [1.0], events=falls).y[0, -1])(1.0)


def test_solve_ivp_of_a_function_that_reads_what_is_traced():
    slope = grad(lambda k: integrate.solve_ivp(lambda t, y: -k * y, (0, 2), [1.0], **TIGHT).y[0, -1])(1.3)
    assert slope == pytest.approx(-2 * np.exp(-2.6), rel=1e-7)
    with pytest.raises(UnsupportedError, match="adjoint method would lose"):
        grad(lambda k: integrate.solve_ivp(lambda t, y: -k * y, (0, 2), [1.0], "Radau").y[0, -1])(1.3)


def test_a_complex_equation():
    # y' = i k y: y = exp(i k t)
    slope = grad(lambda k: integrate.solve_ivp(lambda t, y: 1j * k * y, (0, 2), [1.0 + 0j], **TIGHT).y[0, -1].real)(1.3)
    assert slope == pytest.approx(-2 * np.sin(2.6), rel=1e-7)
    with pytest.raises(UnsupportedError, match="real ODEs"):
        grad(
            lambda k: integrate.odeint(lambda y, t, k: 1j * k * y, [1.0 + 0j], T, (k,), gradient="adjoint")[-1, 0].real
        )(1.3)


def test_what_scipy_has_besides_is_passed_on():
    assert integrate.dblquad(lambda y, x: x * y, 0, 1, 0, 1)[0] == pytest.approx(0.25)
    with pytest.raises(UnsupportedError, match="newton_cotes"):
        gpuad.grad(lambda x: integrate.newton_cotes(x)[0].sum())(np.ones(3))

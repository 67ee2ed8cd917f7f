"""``gpuad.scipy.optimize``: SciPy's answers, derivatives from gpuad, and solutions that are differentiable."""

import dataclasses

import numpy as np
import pytest

import gpuad
from gpuad import grad, jvp
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

theirs = pytest.importorskip("scipy.optimize")
o = pytest.importorskip("gpuad.scipy.optimize")


def close(got, want, rtol=1e-6, atol=1e-8):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def jacobian(f, x):
    return np.stack([jvp(f, (x,), (e,))[1] for e in np.eye(len(x))], -1)


# -- minimize: what SciPy is given -----------------------------------------------------------------------
METHODS = [
    *("Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "COBYLA", "COBYQA", "SLSQP"),
    *("trust-constr", "dogleg", "trust-ncg", "trust-exact", "trust-krylov", None),
]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_minimize(method):
    options = {"maxiter": 2000} if method in ("COBYLA", "Nelder-Mead") else None
    convex = lambda x, a: np.sum(np.cosh(x - a)) + np.sum(x[1:] * x[:-1]) * 0.1  # noqa: E731
    a = np.array([0.5, -0.2, 0.1])
    result = o.minimize(convex, [0.0, 0.0, 0.0], args=(a,), method=method, tol=1e-9, options=options)
    assert isinstance(result, theirs.OptimizeResult)
    assert type(result.x) is np.ndarray
    close(grad(convex)(result.x, a), 0, atol=2e-4)
    moving = jacobian(lambda a: o.minimize(convex, np.zeros(3), (a,), method, tol=1e-9, options=options).x, a)
    hessian = np.diag(np.cosh(result.x - a)) + 0.1 * (np.eye(3, k=1) + np.eye(3, k=-1))
    close(moving, np.linalg.solve(hessian, np.diag(np.cosh(result.x - a))), rtol=1e-3, atol=1e-4)


def test_gradients_come_with_the_value_and_not_by_differences():
    calls = []

    def f(x):
        calls.append(1)
        return rosenbrock(x)

    result = o.minimize(f, np.zeros(5), method="BFGS")
    assert len(calls) == result.nfev == result.njev
    close(result.x, 1, rtol=1e-4)
    differences = theirs.minimize(rosenbrock, np.zeros(5), method="BFGS")
    assert result.nfev < differences.nfev / 4
    assert np.max(np.abs(result.x - 1)) < np.max(np.abs(differences.x - 1))


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg"])
def test_hessians_come_from_gpuad(method):
    start = np.full(4, 1.1)  # where the Hessian is positive definite, as dogleg needs it
    hessian = lambda x: jacobian(grad(rosenbrock), x)  # noqa: E731
    ours = o.minimize(rosenbrock, start, method=method)
    want = theirs.minimize(rosenbrock, start, method=method, jac=grad(rosenbrock), hess=hessian)
    assert ours.nit == want.nit
    close(ours.x, want.x, rtol=1e-9)


def test_what_the_caller_gives_is_used():
    def f(x, k):
        return float(np.sum(k * np.asarray(x) ** 2))  # can't be traced

    slope = lambda x, k: 2 * k * x  # noqa: E731
    close(o.minimize(f, [1.0, 2.0], args=(3.0,), jac=slope).x, 0)
    close(o.minimize(lambda x, k: (f(x, k), slope(x, k)), [1.0, 2.0], args=(3.0,), jac=True).x, 0)
    close(o.minimize(f, [1.0, 2.0], args=3.0, jac="2-point").x, 0, atol=1e-6)
    with pytest.raises(UnsupportedError, match="can't become a"):
        o.minimize(f, [1.0, 2.0], args=(3.0,))
    hessian = lambda x, k: 2 * k * np.eye(2)  # noqa: E731
    close(o.minimize(f, [1.0, 2.0], args=(3.0,), jac=slope, hess=hessian, method="trust-exact").x, 0)


def test_containers_and_other_starts():
    target = {"w": np.arange(6.0).reshape(2, 3), "b": -1.5}

    def f(p):
        return np.sum((p["w"] - target["w"]) ** 2) + (p["b"] - target["b"]) ** 4 + (p["b"] - target["b"]) ** 2

    result = o.minimize(f, {"w": np.zeros((2, 3)), "b": 0.0}, tol=1e-9)
    close(result.x["w"], target["w"], atol=1e-6)
    close(result.x["b"], -1.5)

    @dataclasses.dataclass
    class Weights:
        a: object
        b: object

    result = o.minimize(lambda p: np.sum(p.a**2) + (p.b - 1.0) ** 2, Weights(np.ones(2), 3.0))
    close(result.x.a, 0, atol=1e-6)
    close(result.x.b, 1.0)
    result = o.minimize(lambda p: np.sum(p[0] ** 2) + np.sum((p[1] - 1.0) ** 2), (np.ones(2), np.ones((2, 2))))
    close(result.x[1], np.ones((2, 2)))
    slope = jvp(lambda c: o.minimize(lambda p: np.sum((p["w"] - c) ** 2), {"w": np.zeros(2)}).x["w"], (2.0,), (1.0,))[1]
    close(slope, [1, 1])
    close(o.minimize(lambda x: (x - 2.0) ** 2, 0.0).x, [2.0])  # a result of shape (1,)
    close(o.minimize(lambda x: np.sum((x - 2.0) ** 2), [0, 0]).x, [2.0, 2.0])


# -- minimize: derivatives of the minimum ------------------------------------------------------------------
def by_args(a):
    return o.minimize(lambda x, a: np.sum(np.exp(x) - a * x), np.zeros(1), args=(a,), tol=1e-12).x[0]


def by_closure(a):
    return o.minimize(lambda x: np.sum(np.exp(x) - a * x), np.zeros(1), tol=1e-12).x[0]


@pytest.mark.parametrize("log", [by_args, by_closure])
def test_derivatives_of_any_order(log):
    """The minimum of exp(x) - a x is log a."""
    close(log(2.0), np.log(2.0))
    close(grad(log)(2.0), 1 / 2)
    close(grad(grad(log))(2.0), -1 / 4)
    close(grad(grad(grad(log)))(2.0), 1 / 4)
    close(jvp(log, (2.0,), (1.0,))[1], 1 / 2)
    close(jvp(grad(log), (2.0,), (1.0,))[1], -1 / 4)
    close(grad(lambda a: jvp(log, (a,), (1.0,))[1])(2.0), -1 / 4)


def test_a_quadratic_form():
    rng = np.random.default_rng(0)
    m = rng.normal(size=(4, 4))
    a, b = m @ m.T + np.eye(4), rng.normal(size=4)

    def best(a, b):
        return o.minimize(lambda x: 0.5 * x @ a @ x - b @ x, np.zeros(4), method="Newton-CG", tol=1e-12).x

    check_grads(best, (a, b), order=1, rtol=1e-5)
    x = np.linalg.solve(a, b)
    close(jacobian(lambda b: best(a, b), b), np.linalg.inv(a))
    close(
        grad(lambda a: best(a, b)[0])(a),
        -0.5 * np.linalg.inv(a)[0][:, None] * x - 0.5 * x[:, None] * np.linalg.inv(a)[0],
    )


def test_value_and_gradient_of_the_result_are_traced():
    """The envelope theorem: d min f / da = ∂f/∂a."""
    run = lambda a: o.minimize(lambda x: np.sum((x - a) ** 4 + a**2 * x**2), np.ones(1), tol=1e-12)  # noqa: E731
    x = run(1.5).x[0]
    close(grad(lambda a: run(a).fun)(1.5), -4 * (x - 1.5) ** 3 + 2 * 1.5 * x**2)
    close(grad(lambda a: run(a).jac[0])(1.5), 0, atol=1e-6)
    seen = []
    jvp(lambda a: seen.append(run(a)) or a, (1.5,), (1.0,))
    assert seen[0].success
    assert isinstance(seen[0].nit, int)
    with pytest.raises(KeyError, match="'hess_inv' of a solution that is traced has no derivative"):
        seen[0]["hess_inv"]
    with pytest.raises(AttributeError):
        _ = seen[0].hess_inv


def test_a_start_that_is_traced_counts_for_nothing():
    assert grad(lambda s: o.minimize(lambda x: (x[0] - 3.0) ** 2, np.stack([s, s])).x[0] * s)(2.0) == pytest.approx(3)


def test_dtype_of_what_is_traced_stays():
    g = grad(lambda a: o.minimize(lambda x: np.sum((x - a) ** 2), np.zeros(2)).x[0])(np.ones(2, np.float32))
    assert g.dtype == np.float32
    close(g, [1, 0])


def test_nothing_is_traced_without_need():
    result = o.minimize(rosenbrock, np.zeros(2))
    assert "hess_inv" in result
    assert type(result) is theirs.OptimizeResult
    inside = []
    grad(lambda a: inside.append(o.minimize(rosenbrock, np.zeros(2))) or a)(1.0)
    assert type(inside[0].x) is np.ndarray


def test_minima_without_a_derivative():
    with pytest.raises(UnsupportedError, match=r"minimize: .* isn't determined .* Hessian\) is singular"):
        grad(lambda a: o.minimize(lambda x: (x[0] + x[1] - a) ** 2, np.zeros(2)).x[0])(1.0)
    with pytest.raises(UnsupportedError, match="minimize: the solver didn't converge"):
        stop = {"maxiter": 1}
        grad(lambda a: o.minimize(lambda x: rosenbrock(a * x), np.zeros(2), options=stop).x[0])(1.5)


def test_stopped_by_rounding_is_close_enough():
    """BFGS reports no success where rounding keeps it from an exact zero of the gradient."""
    run = lambda a: o.minimize(lambda x: 1e6 + np.sum((x - a) ** 2 + x**4), np.ones(2), method="BFGS", tol=1e-16)  # noqa: E731
    assert not run(1.5).success
    x = run(1.5).x[0]
    close(grad(lambda a: run(a).x[0])(1.5), 2 / (2 + 12 * x**2), rtol=1e-3)


# -- minimize: with bounds and constraints ---------------------------------------------------------------------
BOUNDED = pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell"])


@BOUNDED
def test_bounds_that_hold_are_constants(method):
    """(x0 - a)² + (x1 - a)² + x0 x1 in x0 ≤ 0.5: x0 stays, and x1 = a - x0 / 2."""
    f = lambda x, a: (x[0] - a) ** 2 + (x[1] - a) ** 2 + x[0] * x[1]  # noqa: E731
    run = lambda a: o.minimize(f, [0.2, 0.2], (a,), method, bounds=[(None, 0.5), (-9, None)], tol=1e-9).x  # noqa: E731
    close(run(2.0), [0.5, 1.75], atol=1e-3)
    close(jvp(run, (2.0,), (1.0,))[1], [0, 1], atol=1e-6)
    run = lambda b: o.minimize(f, [0.2, 0.2], (2.0,), method, bounds=[(None, b), (-9, None)], tol=1e-9).x  # noqa: E731
    close(jvp(run, (0.5,), (1.0,))[1], [1, -0.5], atol=1e-6)


def test_bounds_that_do_not_hold():
    f = lambda x, a: np.sum((x - a) ** 2)  # noqa: E731
    run = lambda a: o.minimize(f, np.zeros(2), (a,), bounds=theirs.Bounds(-10, 10), tol=1e-10).x  # noqa: E731
    close(jvp(run, (2.0,), (1.0,))[1], [1, 1])
    # On the bound, and not pressed against it
    with pytest.raises(UnsupportedError, match="has a kink there"):
        grad(lambda a: o.minimize(f, np.zeros(1), (a,), bounds=[(None, 2.0)], tol=1e-12).x[0])(2.0)


def on_a_circle(r, how):
    """The point nearest to (3, 4) with |x| = r or ≤ r: 3 r / 5, 4 r / 5."""
    f = lambda x: (x[0] - 3.0) ** 2 + (x[1] - 4.0) ** 2  # noqa: E731
    start = np.array([0.5, 0.4])
    if how == "eq":
        c = {"type": "eq", "fun": lambda x: np.sum(x**2) - r**2}
    elif how == "ineq":
        c = {"type": "ineq", "fun": lambda x, r: [r**2 - np.sum(x**2), x[0] + 100.0], "args": (r,)}
    else:
        c = theirs.NonlinearConstraint(lambda x: np.sum(x**2) / r**2, -np.inf, 1.0)
        return o.minimize(f, start, method="trust-constr", constraints=c, tol=1e-10)
    return o.minimize(f, start, constraints=[c], tol=1e-12)


@pytest.mark.parametrize("how", ["eq", "ineq", "nonlinear"])
def test_constraints(how):
    tolerance = 1e-5 if how != "nonlinear" else 1e-3
    close(on_a_circle(2.0, how).x, [1.2, 1.6], rtol=tolerance)
    close(jvp(lambda r: on_a_circle(r, how).x, (2.0,), (1.0,))[1], [0.6, 0.8], rtol=tolerance)
    close(grad(grad(lambda r: on_a_circle(r, how).x[0] ** 3))(2.0), 6 * 2.0 * 0.6**3, rtol=10 * tolerance)
    close(grad(lambda r: on_a_circle(r, how).fun)(2.0), -2 * (5 - 2.0), rtol=tolerance)


def test_jacobians_of_constraints_come_from_gpuad(monkeypatch):
    given = []
    original = theirs.minimize
    monkeypatch.setattr(theirs, "minimize", lambda *a, **k: given.append(k["constraints"]) or original(*a, **k))
    on_a_circle(2.0, "ineq")
    on_a_circle(2.0, "nonlinear")
    x = np.array([1.0, 2.0])
    close(given[0][0]["jac"](x, 2.0), [[-2, -4], [1, 0]])
    close(given[1][0].jac(x), [[0.5, 1]])


def test_linear_constraints():
    """The nearest point to a on the plane x0 + x1 + x2 = 1 is a + (1 - Σ a) / 3."""
    plane = [
        theirs.LinearConstraint(np.ones((1, 3)), 1.0, 1.0),
        theirs.LinearConstraint([1.0, 0.0, 0.0], -np.inf, 50.0),
    ]
    f = lambda x, a: np.sum((x - a) ** 2)  # noqa: E731
    run = lambda a: o.minimize(f, np.zeros(3), (a,), method="SLSQP", constraints=plane, tol=1e-12).x  # noqa: E731
    close(jacobian(run, np.array([1.0, 2.0, 3.0])), np.eye(3) - 1 / 3)


# -- minimize_scalar -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"bracket": (0.1, 1.0)}, {"method": "golden"}, {"bounds": (-5.0, 5.0)}])
def test_minimize_scalar(options):
    run = lambda a: o.minimize_scalar(lambda x, a: np.exp(x) - a * x, args=(a,), **options)  # noqa: E731
    close(run(2.0).x, np.log(2), rtol=1e-5)
    close(grad(lambda a: run(a).x)(2.0), 0.5, rtol=1e-5)
    close(grad(grad(lambda a: run(a).x))(2.0), -0.25, rtol=1e-5)
    close(grad(lambda a: run(a).fun)(2.0), -np.log(2), rtol=1e-5)


def test_minimize_scalar_on_a_bound():
    run = lambda a, b: o.minimize_scalar(lambda x: (x - a) ** 2, bounds=(0.0, b)).x  # noqa: E731
    close(run(3.0, 2.0), 2.0, rtol=1e-5)
    close(grad(run, (0, 1))(3.0, 2.0), (0, 1))


# -- roots -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov", "df-sane"])
def test_root(method):
    """x0² = a, x0 x1 = 1: x1 = a^(-1/2)."""
    f = lambda x, a: [x[0] ** 2 - a, x[0] * x[1] - 1.0]  # noqa: E731
    if method in ("krylov", "df-sane"):
        f = lambda x, a: np.stack([x[0] ** 2 - a, x[0] * x[1] - 1.0])  # noqa: E731
    run = lambda a: o.root(f, [1.9, 0.6], args=(a,), method=method, tol=1e-10).x  # noqa: E731
    close(run(4.0), [2, 0.5])
    close(jvp(run, (4.0,), (1.0,))[1], [1 / 4, -1 / 16])
    close(grad(grad(lambda a: run(a)[1]))(4.0), 0.75 * 4**-2.5)


def test_root_uses_the_jacobian_of_gpuad_and_knows_containers():
    calls = []

    def f(x):
        calls.append(1)
        return np.tanh(x) + 0.1 * x[::-1] - 0.3

    result = o.root(f, np.zeros(6))
    close(f(result.x), 0)
    with_differences = theirs.root(f, np.zeros(6))
    assert result.njev == 1
    assert result.nfev < with_differences.nfev
    pair = o.root(lambda p: {"u": p["u"] ** 2 - 4.0, "v": p["v"] * p["u"] - 1.0}, {"u": np.ones(2), "v": np.ones(2)}).x
    close(pair["v"], [0.5, 0.5])
    shaped = lambda a: o.root(lambda x: x.reshape(2, 2) @ np.diag([1.0, 2.0]) - a, np.zeros((2, 2))).x  # noqa: E731
    close(grad(lambda a: np.sum(shaped(a)))(np.ones((2, 2))), [[1, 0.5], [1, 0.5]])
    given = o.root(lambda x: (x**2 - 2.0, np.diag(2 * x)), [1.0, 1.0], jac=True)
    close(given.x, np.sqrt([2, 2]))


def test_roots_by_closure_and_of_every_order():
    cube = lambda a: o.root(lambda x: x**3 - a, [1.5], tol=1e-13).x[0]  # noqa: E731
    f = cube
    for n, want in enumerate([2.0, 1 / 12, -1 / 144, 5 / 3456]):
        close(f(8.0), want, rtol=1e-6 * 10**n)
        f = grad(f)


def test_fsolve():
    run = lambda a: o.fsolve(lambda x, a: [x[0] ** 2 - a, x[1] - x[0]], [1.0, 1.0], args=(a,))  # noqa: E731
    close(run(4.0), [2, 2])
    close(jvp(run, (4.0,), (1.0,))[1], [1 / 4, 1 / 4])
    _, info, status, message = o.fsolve(lambda x: x**2 - 4.0, [1.0], full_output=True)
    assert status == 1
    assert info["njev"] == 1
    assert isinstance(message, str)
    with pytest.warns(RuntimeWarning, match="not making good progress"):
        o.fsolve(lambda x: x**2 + 1.0, [1.0])
    with pytest.raises(UnsupportedError, match="fsolve: the solver didn't converge"):
        grad(lambda a: o.fsolve(lambda x: x**3 - a, [100.0], maxfev=3)[0])(1.0)


def test_roots_without_a_derivative():
    with pytest.raises(UnsupportedError, match="root: the solution has no derivative"):
        grad(lambda a: o.root(lambda x: np.stack([x[0] + x[1] - a, x[0] + x[1] - a]), [1.0, 1.0], method="lm").x[0])(
            1.0
        )


def test_fixed_point():
    run = lambda a: o.fixed_point(lambda x, a: 0.5 * (x + a / x), [1.0, 2.0], args=(a,))  # noqa: E731
    close(jacobian(run, np.array([4.0, 9.0])), np.diag([1 / 4, 1 / 6]))
    heron = lambda a: o.fixed_point(lambda x: 0.5 * (x + a / x), 1.0)  # noqa: E731
    close(grad(heron)(4.0), 1 / 4)
    close(grad(grad(heron))(4.0), -1 / 32)


BRACKETS = ["bisect", "brenth", "brentq", "ridder", "toms748"]


@pytest.mark.parametrize("name", BRACKETS)
def test_brackets(name):
    solve = getattr(o, name)
    f = lambda x, a: x**3 - a  # noqa: E731
    assert solve(f, 0.0, 5.0, (8.0,)) == getattr(theirs, name)(f, 0.0, 5.0, (8.0,))
    close(grad(lambda a: solve(f, 0.0, 5.0, args=(a,), xtol=1e-12))(8.0), 1 / 12)
    close(grad(grad(lambda a: solve(lambda x: x**3 - a, 0.0, a, xtol=1e-12)))(8.0), -1 / 144)
    _, report = solve(f, 0.0, 5.0, args=(8.0,), full_output=True)
    assert report.converged
    slope = jvp(lambda a: solve(f, 0.0, 5.0, (a,), full_output=True)[1].root, (8.0,), (1.0,))[1]
    close(slope, 1 / 12)


@pytest.mark.parametrize(
    "options",
    [
        {"bracket": (0, 5)},
        {"bracket": (0, 5), "method": "toms748"},
        {"x0": 2.5},
        {"x0": 2.5, "method": "halley"},
        {"x0": 2.5, "x1": 2.2},
    ],
)
def test_root_scalar(options):
    run = lambda a: o.root_scalar(lambda x, a: x**3 - a, args=(a,), xtol=1e-12, **options)  # noqa: E731
    assert isinstance(run(8.0), theirs.RootResults)
    close(run(8.0).root, 2)
    close(grad(lambda a: run(a).root)(8.0), 1 / 12)
    close(grad(grad(lambda a: run(a).root))(8.0), -1 / 144)


def test_root_scalar_with_its_own_derivative():
    run = lambda a: o.root_scalar(lambda x: (x**3 - a, 3 * x**2), x0=2.5, fprime=True).root  # noqa: E731
    close(grad(run)(8.0), 1 / 12)


def test_newton():
    f = lambda x, a: x**3 - a  # noqa: E731
    close(grad(lambda a: o.newton(f, 2.5, args=(a,)))(8.0), 1 / 12)
    a = np.array([1.0, 8.0, 27.0])
    close(o.newton(f, np.full(3, 2.5), args=(a,)), [1, 2, 3])
    close(grad(lambda a: np.sum(o.newton(f, np.full(3, 2.5), args=(a,))))(a), 1 / (3 * np.array([1, 4, 9])))
    _, report = o.newton(f, 2.5, args=(8.0,), full_output=True)
    assert report.method == "newton"
    close(jvp(lambda a: o.newton(f, 2.5, args=(a,), full_output=True)[0], (8.0,), (1.0,))[1], 1 / 12)
    found = o.newton(f, np.full(3, 2.5), args=(a,), full_output=True)
    assert found.converged.all()
    secant = o.newton(f, 2.5, args=(8.0,), x1=2.4, full_output=True)[1]
    assert secant.method == "secant"
    close(o.newton(lambda z: z**2 + 1.0, 0.5 + 0.5j), 1j)


# -- fits ----------------------------------------------------------------------------------------------------------
T = np.linspace(0.0, 2.0, 15)
Y = 2.5 * np.exp(-1.3 * T) + 0.05 * np.sin(17 * T)


def model(t, a, k):
    return a * np.exp(-k * t)


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares(method):
    f = lambda p, y: model(T, p[0], p[1]) - y  # noqa: E731
    run = lambda y: o.least_squares(f, [1.0, 1.0], args=(y,), method=method, xtol=1e-15, ftol=1e-15, gtol=1e-13)  # noqa: E731
    want = theirs.least_squares(f, [1.0, 1.0], args=(Y,), xtol=1e-15, ftol=1e-15, gtol=1e-13)
    got = run(Y)
    close(got.x, want.x)
    close(got.jac, want.jac, atol=1e-6)
    check_grads(lambda y: run(y).x, (Y,), order=2, rtol=1e-5)
    check_grads(lambda y: run(y).cost, (Y,), order=1)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan", "own"])
def test_losses(loss):
    def own(z):
        return np.stack([np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2])

    f = lambda p, y: model(T, p[0], p[1]) - y  # noqa: E731
    how = {"loss": own if loss == "own" else loss, "f_scale": 0.03, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-12}
    start = o.least_squares(f, [1.0, 1.0], args=(Y,)).x
    run = lambda y: o.least_squares(f, start, args=(y,), **how)  # noqa: E731
    close(run(Y).cost, jvp(lambda y: run(y).cost, (Y,), (Y,))[0])
    with pytest.raises(AttributeError):
        jvp(lambda y: run(y).jac, (Y,), (Y,))  # SciPy's isn't the Jacobian then
    check_grads(lambda y: run(y).x, (Y,), order=1, rtol=1e-4, eps=1e-4)


def test_least_squares_on_a_bound():
    f = lambda p, y: model(T, p[0], p[1]) - y  # noqa: E731
    run = lambda b: o.least_squares(f, [1.0, 0.5], args=(Y,), bounds=([0.0, 0.0], [9.0, b]), xtol=1e-14).x  # noqa: E731
    basis = lambda k: np.exp(-k * T)  # noqa: E731
    best = lambda k: basis(k) @ Y / (basis(k) @ basis(k))  # noqa: E731
    close(run(1.0), [best(1.0), 1.0], rtol=1e-5)
    close(jvp(run, (1.0,), (1.0,))[1], [(best(1 + 1e-5) - best(1 - 1e-5)) / 2e-5, 1.0], rtol=1e-4)


def test_curve_fit():
    got, covariance = o.curve_fit(model, T, Y)
    want, their_covariance = theirs.curve_fit(model, T, Y)
    close(got, want)
    close(covariance, their_covariance, rtol=1e-4)
    tight = {"p0": got, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    check_grads(lambda t, y: o.curve_fit(model, t, y, **tight), (T, Y), order=1, rtol=1e-5)
    sigma = 0.1 + 0.05 * T
    check_grads(lambda s: o.curve_fit(model, T, Y, sigma=s, absolute_sigma=True, **tight), (sigma,), order=1, rtol=1e-5)
    full = np.diag(sigma**2) + 0.001
    check_grads(lambda y: o.curve_fit(model, T, y, sigma=full, **tight), (Y,), order=1, rtol=1e-5)
    value, traced = o.curve_fit(model, T, Y), jvp(lambda y: o.curve_fit(model, T, y), (Y,), (Y,))[0]
    close(value[0], traced[0], rtol=0)
    close(value[1], traced[1], rtol=1e-5)
    report = o.curve_fit(model, T, Y, full_output=True)
    assert len(report) == 5


def test_data_in_lists():
    fit = lambda y: o.curve_fit(lambda t, a: a * t, [1, 2, 3], [2, 4.0, y], sigma=[1, 1, 1])[0][0]  # noqa: E731
    close(fit(6.0), 2.0)
    close(grad(fit)(6.0), 3 / 14)


def test_as_many_data_as_parameters():
    fit = lambda y: o.curve_fit(lambda t, a, b: a * t + b, T[:2], y)  # noqa: E731
    with pytest.warns(theirs.OptimizeWarning, match="Covariance"):
        (_, covariance), (moved, _) = jvp(fit, (Y[:2],), (np.ones(2),))
    close(moved, [0, 1], atol=1e-6)
    assert np.isinf(covariance).all()


def test_curve_fit_is_linear_regression_where_the_model_is_linear():
    line = lambda t, a, b: a * t + b  # noqa: E731
    design = np.stack([T, np.ones_like(T)], 1)
    close(jacobian(lambda y: o.curve_fit(line, T, y)[0], Y), np.linalg.pinv(design), atol=1e-7)


# -- what stays on the host, and what is passed on ---------------------------------------------------------------
def test_arrays_of_a_device_are_refused():
    from strict_backend import StrictBackend

    if "strict" not in gpuad.backend.names():
        gpuad.backend.register(StrictBackend())
    device = gpuad.backend.get("strict")
    x = device.asarray(np.ones(2))
    for call in (
        lambda: o.minimize(lambda x: (x**2).sum(), x),
        lambda: o.root(lambda x: x**2 - 1.0, x),
        lambda: o.least_squares(lambda x: x, x),
        lambda: o.minimize(lambda x, a: (x**2).sum(), np.ones(2), args=(x,)),
    ):
        with pytest.raises(UnsupportedError, match="SciPy's solvers run on the host"):
            call()


def test_the_rest_is_scipys():
    assert o.linprog is theirs.linprog
    assert o.Bounds is theirs.Bounds
    assert "differential_evolution" in dir(o)
    with pytest.raises(UnsupportedError):
        grad(lambda a: o.linprog([a, 1.0]).x[0])(1.0)
    with pytest.raises((UnsupportedError, RuntimeError)):
        grad(lambda a: o.differential_evolution(lambda x: (x[0] - a) ** 2, [(-1, 1)]).x[0])(1.0)

"""gpuad.scipy.stats: values against SciPy's, derivatives against central differences, edges."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.stats as theirs

import gpuad.numpy as gnp
import gpuad.scipy.stats as ours
from gpuad import grad, value_and_grad, vjp
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

CONTINUOUS = {
    "norm": [()],
    "t": [(3.7,), (0.6,), (50.0,)],
    "cauchy": [()],
    "laplace": [()],
    "logistic": [()],
    "gumbel_r": [()],
    "expon": [()],
    "gamma": [(2.3,), (0.7,), (30.0,)],
    "chi2": [(3.0,), (1.2,)],
    "invgamma": [(2.5,)],
    "f": [(3.0, 7.0)],
    "lognorm": [(0.8,)],
    "weibull_min": [(1.7,)],
    "halfnorm": [()],
    "pareto": [(2.4,)],
    "uniform": [()],
    "beta": [(2.1, 3.3), (0.6, 0.8)],
    "truncnorm": [(-1.0, 2.0), (1.0, 3.0), (-3.0, -1.0)],
}
DISCRETE = {"poisson": (2.3,), "binom": (7, 0.3), "nbinom": (2.5, 0.4), "bernoulli": (0.3,), "geom": (0.3,)}
CASES = [(name, p) for name, ps in CONTINUOUS.items() for p in ps]
Q = np.array([0.07, 0.2, 0.4, 0.7, 0.93])


@pytest.mark.parametrize(("name", "shapes"), CASES, ids=str)
def test_continuous(name, shapes):
    dist, reference = getattr(ours, name), getattr(theirs, name)
    params = (*shapes, 0.4, 1.7)
    inside = reference(*params).ppf(Q)
    for method in dist._methods:
        f, want = getattr(dist, method), getattr(reference, method)
        first = {"entropy": (), "ppf": (Q,), "isf": (Q,)}.get(method, (inside,))
        np.testing.assert_allclose(vjp(f, *first, *params)[0], want(*first, *params), rtol=1e-10, atol=1e-14)
        check_grads(f, [*first, *params], order=1, rtol=1e-5)
        if method in ("logpdf", "pdf"):
            check_grads(f, [*first, *params], order=2, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "shapes"), [*CASES, ("truncnorm", (-np.inf, 1.0)), ("truncnorm", (1.0, np.inf))], ids=str
)
@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"])
def test_outside_the_support(name, shapes, method):
    dist, reference = getattr(ours, name), getattr(theirs, name)
    low, high = reference(*shapes).support()
    x = np.array([low - 1.0, high + 2.0, -np.inf, np.inf])
    value, pull = vjp(lambda x: getattr(dist, method)(x, *shapes), x)
    want = {"pdf": [0, 0, 0, 0], "cdf": [0, 1, 0, 1], "sf": [1, 0, 1, 0]}[method.removeprefix("log")]
    with np.errstate(divide="ignore"):
        want = np.log(want) if method.startswith("log") else np.asarray(want, float)
    np.testing.assert_array_equal(value, want)
    np.testing.assert_array_equal(pull(np.ones(4))[0], np.zeros(4))
    assert np.isnan(vjp(lambda x: getattr(dist, method)(x, *shapes), np.nan)[0])


def test_at_the_edge_of_the_support():
    assert value_and_grad(ours.expon.logpdf)(0.0) == (0.0, -1.0)
    assert vjp(lambda x: ours.uniform.pdf(x), np.array([0.0, 1.0]))[0].tolist() == [1.0, 1.0]
    assert vjp(lambda x: ours.gamma.logpdf(x, 2.0), 0.0)[0] == -np.inf
    assert vjp(lambda x: ours.lognorm.pdf(x, 0.5), 0.0)[0] == 0.0
    assert grad(ours.laplace.cdf)(0.0) == 0.5
    assert grad(lambda x: ours.t.cdf(x, 3.0))(0.0) == pytest.approx(theirs.t.pdf(0.0, 3.0))
    assert grad(lambda df: ours.t.cdf(0.0, df))(3.0) == 0.0


def test_parameters_that_are_not_allowed():
    for f in (
        lambda a: ours.gamma.logpdf(1.0, a),
        lambda s: ours.norm.logpdf(1.0, 0.0, s),
        lambda s: ours.norm.cdf(1.0, 0.0, s),
        lambda p: ours.binom.logpmf(1, 3, p),
    ):
        with np.errstate(invalid="ignore"):
            value, slope = value_and_grad(f)(-0.5)
        assert np.isnan(value) and np.isnan(slope)
    value, pull = vjp(lambda s: ours.norm.cdf(1.0, 0.0, s), np.array([-1.0, 2.0]))
    assert np.isnan(value).tolist() == np.isnan(pull(np.ones(2))[0]).tolist() == [True, False]


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    dist, reference, params = getattr(ours, name), getattr(theirs, name), DISCRETE[name]
    k = np.array([-1.0, 0, 1, 2, 3, 5, 7, 8, 2.5])
    fixed, free = (params[:1], params[1:]) if name == "binom" else ((), params)
    for method in dist._methods:
        first = () if method == "entropy" else (k,)
        for loc in (0, 1):
            value, pull = vjp(
                lambda *p, m=method, first=first, loc=loc: getattr(dist, m)(*first, *fixed, *p, loc), *free
            )
            want = getattr(reference, method)(*first, *params, loc)
            np.testing.assert_allclose(value, want, rtol=1e-11, atol=1e-14)
            assert all(np.isfinite(g).all() for g in pull(np.ones_like(value)))
        first = () if method == "entropy" else (k[1:4] + (name == "bernoulli") * np.array([0.0, 0.0, -1.0]),)
        if method.startswith("log"):
            first = tuple(x[np.isfinite(getattr(reference, method)(x, *params))] for x in first)
        order = 1 if name == "nbinom" and "mf" not in method else 2
        check_grads(lambda *p, m=method, first=first: getattr(dist, m)(*first, *fixed, *p), free, order=order)


def test_counts_have_no_derivative():
    with pytest.raises(UnsupportedError, match="k counts"):
        grad(lambda k: ours.poisson.logpmf(k, 2.0))(3.0)
    with pytest.raises(UnsupportedError, match="n counts"):
        grad(lambda n: ours.binom.logpmf(1, n, 0.3))(3.0)


# -- several variables ----------------------------------------------------------------------------
RNG = np.random.default_rng(0)
A, MEAN = RNG.normal(size=(3, 3)), RNG.normal(size=3)
COV = A @ A.T + np.eye(3)
mvn = ours.multivariate_normal


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (1, 3)])
def test_multivariate_normal(shape):
    x = RNG.normal(size=shape)
    for method in ("logpdf", "pdf"):
        f = getattr(mvn, method)
        value, want = vjp(f, x, MEAN, COV)[0], getattr(theirs.multivariate_normal, method)(x, MEAN, COV)
        np.testing.assert_allclose(value, want, rtol=1e-12)
        assert np.shape(value) == np.shape(want)
        # SciPy reads half of the matrix, so it must stay symmetric.
        check_grads(lambda x, m, a, f=f: f(x, m, cov=a @ a.T), [x, MEAN, A], order=2 if shape == (4, 3) else 1)


def test_distribution_function_of_several_normal_variables():
    """Between centred variables the probability of an orthant is known, and what Plackett found of its derivative."""

    def orthant(r):
        zero = 0.0 * r
        rows = [[1.0 + zero, r, 0.2 + zero], [r, 1.0 + zero, 0.5 + zero], [0.2 + zero, 0.5 + zero, 1.0 + zero]]
        return gnp.stack([gnp.stack(row) for row in rows])

    for n, slope in ((2, 1 / (2 * np.pi * np.sqrt(1 - 0.09))), (3, 1 / (4 * np.pi * np.sqrt(1 - 0.09)))):
        got = grad(lambda r, n=n: mvn.cdf(np.zeros(n), None, orthant(r)[:n, :n]))(0.3)
        assert got == pytest.approx(slope, rel=1e-12)
    x, cov = np.array([[0.3, -0.5], [1.0, 0.2]]), np.diag([2.0, 0.5])
    one = theirs.norm.cdf(x, 0.1, np.sqrt(np.diag(cov)))
    density = theirs.norm.pdf(x, 0.1, np.sqrt(np.diag(cov)))
    np.testing.assert_allclose(grad(lambda x: mvn.cdf(x, [0.1, 0.1], cov).sum())(x), density * one[:, ::-1], rtol=1e-9)
    np.testing.assert_allclose(grad(lambda x: mvn.logcdf(x, [0.1, 0.1], cov).sum())(x), density / one, rtol=1e-9)
    with pytest.raises(UnsupportedError, match="lower_limit"):
        grad(lambda x: mvn.cdf(x, [0.1, 0.1], cov, lower_limit=[-1.0, -1.0]).sum())(x)


def test_multivariate_normal_of_other_parameters():
    x = RNG.normal(size=(4, 3))
    for args in ((x,), (x, MEAN), (x, MEAN, 2.0), (x, MEAN, np.array([1.0, 2.0, 3.0])), (x[:, 0], 0.3, 1.7)):
        args = args if len(args) > 1 else (x[:, 0],)
        np.testing.assert_allclose(vjp(mvn.logpdf, *args)[0], theirs.multivariate_normal.logpdf(*args), rtol=1e-12)
    g = grad(lambda c: mvn.logpdf(x[0], MEAN, c))(COV)
    s = np.linalg.solve(COV, x[0] - MEAN)
    np.testing.assert_allclose(g, 0.5 * (np.outer(s, s) - np.linalg.inv(COV)), rtol=1e-10)
    check_grads(lambda a: mvn.entropy(MEAN, a @ a.T), [A])
    assert vjp(lambda c: mvn.entropy(MEAN, c), COV)[0] == pytest.approx(theirs.multivariate_normal.entropy(MEAN, COV))
    with pytest.raises(UnsupportedError, match="singular"):
        grad(lambda c: mvn.logpdf(x[0], MEAN, c, allow_singular=True))(COV)
    flat = np.diag([2.0, 1.0, 0.0])
    for y in (np.array([0.3, -0.2, 0.0]), np.array([0.3, -0.2, 1e-3]), np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0]])):
        value, pull = vjp(lambda y: mvn.logpdf(y, np.zeros(3), flat, allow_singular=True), y)
        np.testing.assert_allclose(value, theirs.multivariate_normal.logpdf(y, np.zeros(3), flat, allow_singular=True))
        inside = (y[..., 2] == 0)[..., None]
        np.testing.assert_allclose(pull(np.ones_like(value))[0], np.where(inside, y * [-0.5, -1.0, 0.0], 0.0))
    with pytest.raises(ValueError, match="square"):
        grad(lambda c: mvn.logpdf(x[0], MEAN, c))(COV[:2, :2])


def test_dirichlet():
    alpha = np.array([0.7, 1.5, 3.0])
    p, many = RNG.dirichlet(alpha), RNG.dirichlet(alpha, size=5).T
    for x in (p, many, p[:2]):
        np.testing.assert_allclose(
            vjp(ours.dirichlet.logpdf, x, alpha)[0], theirs.dirichlet.logpdf(x, alpha), rtol=1e-12
        )
    check_grads(lambda a: ours.dirichlet.logpdf(many, a), [alpha])
    check_grads(lambda x, a: ours.dirichlet.pdf(x, a), [p[:2], alpha])
    check_grads(lambda z, a: ours.dirichlet.logpdf(gnp.exp(z) / gnp.exp(z).sum(), a), [np.log(p), alpha])
    check_grads(ours.dirichlet.entropy, [alpha])
    assert vjp(ours.dirichlet.entropy, alpha)[0] == pytest.approx(theirs.dirichlet.entropy(alpha))
    assert np.isnan(vjp(lambda a: ours.dirichlet.logpdf(np.array([0.5, 0.5, 0.5]), a), alpha)[0])


def test_multinomial():
    x, p = np.array([[1, 2, 3], [2, 2, 2], [1, 1, 1], [0, 6, 0]]), np.array([0.25, 0.25, 0.5])
    for method in ("logpmf", "pmf"):
        got = vjp(lambda p, m=method: getattr(ours.multinomial, m)(x, 6, p), p)[0]
        np.testing.assert_allclose(got, getattr(theirs.multinomial, method)(x, 6, p), rtol=1e-12)
    check_grads(lambda z: ours.multinomial.logpmf(x[:2], 6, gnp.exp(z) / gnp.exp(z).sum()), [np.log(p)])
    np.testing.assert_allclose(grad(lambda p: ours.multinomial.logpmf(x[0], 6, p))(p), x[0] / p)
    assert np.isnan(vjp(lambda p: ours.multinomial.logpmf(x[0], 6, p), 2 * p)[0])


# -- how they are called ----------------------------------------------------------------------------
def test_frozen_and_keywords_and_modules():
    import gpuad.scipy.stats.multivariate_normal as module
    import gpuad.scipy.stats.norm as norm
    from gpuad.scipy.stats.t import logpdf

    assert module is mvn
    want = theirs.norm.logpdf(1.0, 0.3, 2.0)
    for f in (
        lambda m: norm.logpdf(1.0, m, 2.0),
        lambda m: norm.logpdf(1.0, scale=2.0, loc=m),
        lambda m: norm(m, scale=2.0).logpdf(1.0),
        lambda m: norm(scale=2.0).logpdf(1.0 - m),
    ):
        value, slope = value_and_grad(f)(0.3)
        assert value == pytest.approx(want)
        assert slope == pytest.approx(0.7 / 4)
    assert logpdf(0.3, 2.0) == theirs.t.logpdf(0.3, 2.0)
    assert grad(lambda c: mvn(MEAN, c * COV).logpdf(MEAN))(2.0) == pytest.approx(-0.75)


def test_the_rest_is_scipys():
    assert ours.norm.rvs(size=3, random_state=0).tolist() == theirs.norm.rvs(size=3, random_state=0).tolist()
    assert ours.norm(1, 2).std() == 2
    assert ours.norm(1, 2).rvs(3, random_state=0).tolist() == theirs.norm(1, 2).rvs(3, random_state=0).tolist()
    assert ours.zscore([1.0, 2.0, 3.0]).tolist() == theirs.zscore([1.0, 2.0, 3.0]).tolist()
    assert ours.norm.shapes is None
    assert ours.skewnorm.pdf(1.0, 2.0) == theirs.skewnorm.pdf(1.0, 2.0)
    for f in (lambda m: ours.norm.rvs(m), lambda m: ours.norm(m).rvs(), lambda m: ours.skewnorm.pdf(1.0, m)):
        with pytest.raises(UnsupportedError):
            grad(f)(1.0)


def test_wrong_parameters():
    for f in (
        lambda m: ours.norm.logpdf(1.0, m, 2.0, 3.0),
        lambda m: ours.norm.logpdf(1.0, local=m),
        lambda m: ours.t.logpdf(1.0, loc=m),
        lambda m: ours.norm.logpdf(1.0, m, loc=2.0),
    ):
        with pytest.raises(TypeError, match=r"parameters|several values"):
            grad(f)(1.0)


@pytest.mark.parametrize(("name", "shapes"), [(name, p) for name, p in CASES if p != (30.0,)], ids=str)
def test_single_precision_stays(name, shapes):
    dist = getattr(ours, name)
    x = np.array([0.3, 0.7], "float32")
    for method in dist._methods:
        if method == "entropy":
            continue
        value, pull = vjp(lambda x, s, m=method: getattr(dist, m)(x, *shapes, 0.1, s), x, np.float32(1.5))
        assert value.dtype == "float32"
        assert [g.dtype for g in pull(np.ones_like(value))] == ["float32", "float32"]


def test_on_another_backend(backend):
    x, s = backend.asarray(np.array([0.3, 0.7])), backend.asarray(np.array(1.5))
    for f, reference in (
        (lambda x, s: ours.norm.logpdf(x, 0.1, s), theirs.norm.logpdf(np.array([0.3, 0.7]), 0.1, 1.5)),
        (lambda x, s: ours.expon.cdf(x, 0.5, s), theirs.expon.cdf(np.array([0.3, 0.7]), 0.5, 1.5)),
        (lambda x, s: ours.uniform(0.5, s).pdf(x), theirs.uniform(0.5, 1.5).pdf(np.array([0.3, 0.7]))),
        (lambda x, s: ours.pareto.logpdf(x + 1.0, 2.0, 0.5, s), theirs.pareto.logpdf([1.3, 1.7], 2.0, 0.5, 1.5)),
    ):
        np.testing.assert_allclose(backend.to_numpy(vjp(f, x, s)[0]), reference, rtol=1e-12)
        np.testing.assert_allclose(backend.to_numpy(f(x, s)), reference, rtol=1e-12)
        assert all(backend.owns(type(g)) for g in vjp(f, x, s)[1](backend.asarray(np.ones(2))))


@pytest.mark.parametrize(("name", "shapes"), [*CASES, *DISCRETE.items()], ids=str)
def test_a_device_gives_what_the_host_gives(name, shapes, backend):
    if backend.name == "numpy":
        pytest.skip("that is the host")
    try:
        backend.function("scipy.special.gammaln")
    except AttributeError:
        pytest.skip("the stand-in for a device has no special functions")
    dist, params = getattr(ours, name), shapes if name in DISCRETE else (*shapes, 0.4, 1.7)
    x = np.array([-1.0, 0, 1, 2, 5]) if name in DISCRETE else getattr(theirs, name)(*params).ppf(Q)
    fixed = (x,) + params[:1] * (name == "binom") if name in DISCRETE else ()
    for method in dist._methods:
        first = {"entropy": (), "ppf": (Q,), "isf": (Q,)}.get(method, (x,))
        held = fixed[: len(first)] + fixed[1:] if name in DISCRETE else ()
        free = [np.asarray(a, float) for a in (*first, *params)[len(held) :]]
        if not free:
            continue
        value, pull = vjp(functools.partial(getattr(dist, method), *held), *free)
        on_device = [backend.asarray(a) for a in free]
        held = [backend.asarray(np.asarray(a, float)) for a in held]
        got, pull_got = vjp(functools.partial(getattr(dist, method), *held), *on_device)
        np.testing.assert_allclose(backend.to_numpy(got), value, rtol=1e-9, atol=1e-13)
        ones = np.ones(np.shape(value))
        for g, h in zip(pull_got(backend.asarray(ones)), pull(ones), strict=True):
            np.testing.assert_allclose(backend.to_numpy(g), h, rtol=1e-8, atol=1e-12)

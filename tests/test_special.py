"""scipy.special: derivatives over the whole of each domain, at its ends, and what is refused."""

from __future__ import annotations

import importlib
import operator
from pathlib import Path

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
import gpuad.scipy.special as s
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

scipy = pytest.importorskip("scipy")
scipy_special = pytest.importorskip("scipy.special")
INF, NAN = float("inf"), float("nan")


def slope(f, *args, k=0):
    """The derivative of a holomorphic (or real) function of numbers in its k-th argument."""
    value, pullback = gpuad.vjp(lambda x: f(*args[:k], x, *args[k + 1 :]), np.asarray(args[k]))
    (found,) = pullback(np.ones_like(value))
    return found


def _known_slopes():
    """By function: the lines of the table."""
    table: dict[str, list] = {}
    for line in (Path(__file__).parent / "special_slopes.txt").read_text().splitlines():
        if not line.startswith("#"):
            call, k, value = line.split("|")
            name, *args = call.split()
            table.setdefault(name, []).append((tuple(map(_number, args)), int(k), _number(value.strip())))
    return table


def _number(text):
    return complex(text) if "j" in text else float(text)


KNOWN = _known_slopes()


@pytest.mark.parametrize("name", KNOWN)
def test_derivatives_are_right_near_and_far(name):
    for args, k, want in KNOWN[name]:
        if isinstance(want, complex):
            args = (*args[:k], complex(args[k]), *args[k + 1 :])
        got = slope(getattr(s, name), *args, k=k)
        assert abs(got - want) <= 2e-11 * abs(want), (args, k, got, want)


# -- where functions end -----------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("f", "args", "k", "want"),
    [
        (s.xlogy, (0.0, 2.0), 0, np.log(2.0)),
        (s.xlogy, (0.0, 2.0), 1, 0.0),
        (s.xlogy, (0.0, 0.0), 1, 0.0),
        (s.xlogy, (0.0, 0.0), 0, -INF),
        (s.xlog1py, (0.0, -1.0), 1, 0.0),
        (s.entr, (0.0,), 0, INF),
        (s.rel_entr, (0.0, 0.0), 1, 0.0),
        (s.rel_entr, (0.0, 2.0), 0, -INF),
        (s.kl_div, (0.0, 2.0), 1, 1.0),
        (s.kl_div, (0.0, 0.0), 1, 1.0),
        (s.pseudo_huber, (0.0, 0.0), 1, 0.0),
        (s.logit, (0.0,), 0, INF),
        (s.logit, (1.0,), 0, INF),
        (s.erfinv, (1.0,), 0, INF),
        (s.erfinv, (-1.0,), 0, INF),
        (s.ndtri, (0.0,), 0, INF),
        (s.expit, (-INF,), 0, 0.0),
        (s.expit, (INF,), 0, 0.0),
        (s.log_expit, (-INF,), 0, 1.0),
        (s.exprel, (0.0,), 0, 0.5),
        (s.j1, (0.0,), 0, 0.5),
        (s.i1, (0.0,), 0, 0.5),
        (s.i1e, (0.0,), 0, 0.5),
        (s.spence, (0.0,), 0, -INF),
        (s.ellipk, (0.0,), 0, np.pi / 8),
        (s.ellipe, (0.0,), 0, -np.pi / 8),
        (s.ellipe, (1.0,), 0, -INF),
        (s.gammaln, (0.0,), 0, -INF),
        (s.gammaln, (-1.0,), 0, NAN),
        (s.gammainc, (1.0, 0.0), 1, 1.0),
        (s.gammainc, (2.0, 0.0), 0, 0.0),
        (s.gammainc, (30.0, 0.0), 1, 0.0),
        (s.betainc, (2.0, 3.0, 0.0), 0, 0.0),
        (s.betainc, (2.0, 3.0, 1.0), 1, 0.0),
        (s.betainc, (1.0, 1.0, 1.0), 2, 1.0),
        (lambda x: s.sici(x)[0], (0.0,), 0, 1.0),
        (lambda x: s.shichi(x)[0], (0.0,), 0, 1.0),
        (s.lambertw, (0.0,), 0, 1.0),
        (s.comb, (1.0, 2.0), 0, 0.0),
        (s.factorial, (-2.5,), 0, 0.0),
    ],
)
def test_at_the_ends_of_domains(f, args, k, want):
    np.testing.assert_allclose(slope(f, *args, k=k), want, rtol=1e-14)


def test_smooth_functions_have_third_derivatives_where_formulas_change():
    x = np.array([-3.0, -1.5, -0.1, 0.0, 0.1, 1.0, 1.5, 3.0])
    for f in (s.j1, s.i1, s.exprel, lambda x: s.sici(x)[0], lambda x: s.shichi(x)[0]):
        check_grads(f, [x], order=3)
    check_grads(s.spence, [np.array([0.97, 0.99, 1.0, 1.005, 1.03])], order=3)
    check_grads(s.rgamma, [np.array([-2.0, -1.0, 0.0, 0.5, 1.5])], order=3)
    check_grads(s.ellipk, [np.array([-0.2, -0.1, 0.0, 0.1, 0.3])], order=3)
    check_grads(lambda x: s.xlogy(x, 2.0 + x), [np.array([0.0, 1.0])], order=3)


def test_the_tail_of_the_normal_distribution_has_second_derivatives():
    curvature = gpuad.elementwise_grad(gpuad.elementwise_grad(s.log_ndtr))
    x = np.array([-1e6, -40.0, 0.0, 40.0])
    np.testing.assert_allclose(curvature(x), [-1.0, -0.99937733162, -2 / np.pi, 0.0], rtol=1e-9)


# -- parameters of the incomplete functions -----------------------------------------------------------
def test_inverses_undo_the_functions_in_all_arguments():
    a, b, p = np.array([0.3, 2.0, 40.0]), np.array([1.5, 0.4, 30.0]), np.array([0.2, 0.7, 0.4])
    one, zero = np.ones(3), np.zeros(3)
    for there, back in ((s.gammainc, s.gammaincinv), (s.gammaincc, s.gammainccinv)):
        _, pullback = gpuad.vjp(lambda a, p, f=there, g=back: f(a, g(a, p)), a, p)
        np.testing.assert_allclose(pullback(one), (zero, one), atol=1e-12)
    for there, back in ((s.betainc, s.betaincinv), (s.betaincc, s.betainccinv)):
        _, pullback = gpuad.vjp(lambda a, b, p, f=there, g=back: f(a, b, g(a, b, p)), a, b, p)
        np.testing.assert_allclose(pullback(one), (zero, zero, one), atol=1e-11)


def test_mixed_derivatives_agree():
    a, b, x = np.array([0.3, 2.0, 40.0]), np.array([1.5, 0.4, 30.0]), np.array([0.2, 0.7, 0.55])

    def mixed(f, i, j, *args):
        first = gpuad.grad(lambda *args: gnp.sum(f(*args)), i)
        return gpuad.grad(lambda *args: gnp.sum(first(*args)), j)(*args)

    np.testing.assert_allclose(mixed(s.gammainc, 0, 1, a, 2 * x), mixed(s.gammainc, 1, 0, a, 2 * x), rtol=1e-12)
    np.testing.assert_allclose(mixed(s.betainc, 0, 2, a, b, x), mixed(s.betainc, 2, 0, a, b, x), rtol=1e-11)
    np.testing.assert_allclose(mixed(s.betainc, 1, 2, a, b, x), mixed(s.betainc, 2, 1, a, b, x), rtol=1e-11)


def test_large_parameters():
    """As for the normal distribution that they tend to: gammainc(a, a + z √a) has slope -φ(z)/√a in a."""
    a = 1e12
    for z in (-3.0, -0.5, 0.0, 2.0):
        x = a + z * np.sqrt(a)
        np.testing.assert_allclose(slope(s.gammainc, a, x), -np.exp(-z * z / 2) / np.sqrt(2 * np.pi * a), rtol=1e-5)


# -- sums of exponentials -----------------------------------------------------------------------------
def test_logsumexp_of_what_is_large_infinite_or_nothing():
    gradient = gpuad.grad(s.logsumexp)
    e = np.exp(-1.0)
    np.testing.assert_allclose(gradient(np.array([1e10, 1e10 - 1])), [1 / (1 + e), e / (1 + e)], rtol=1e-15)
    np.testing.assert_array_equal(gradient(np.array([-INF, 1.0])), [0.0, 1.0])
    np.testing.assert_array_equal(gradient(np.array([INF, 1.0, INF])), [0.5, 0.0, 0.5])
    np.testing.assert_array_equal(gradient(np.array([-INF, -INF])), [0.0, 0.0])
    value, _ = gpuad.vjp(s.logsumexp, np.array([0.0, -40.0]))
    assert value == scipy_special.logsumexp([0.0, -40.0])


def test_logsumexp_with_weights_of_both_signs_and_zero(backend):
    a, b = (backend.asarray(x) for x in (np.array([[1.0, 2.0, 700.0], [0.5, -1.0, 3.0]]), np.array([-2.0, 1.0, 0.0])))

    def f(a, b):
        value, sign = s.logsumexp(a, axis=1, b=b, return_sign=True)
        return value * sign

    value, _ = gpuad.vjp(f, a, b)
    size, sign = scipy_special.logsumexp(backend.to_numpy(a), axis=1, b=backend.to_numpy(b), return_sign=True)
    np.testing.assert_allclose(backend.to_numpy(value), size * sign, rtol=1e-14)
    check_grads(f, [a[1:], b])


def test_softmax_of_large_numbers(backend):
    x = backend.asarray(np.array([1000.0, 999.0, -1000.0]))
    for f in (s.softmax, s.log_softmax):
        check_grads(f, [x])
        value, _ = gpuad.vjp(f, x)
        want = getattr(scipy_special, f.__name__)(backend.to_numpy(x))
        np.testing.assert_allclose(backend.to_numpy(value), want, rtol=1e-14)


# -- ways to call -------------------------------------------------------------------------------------
def test_scipys_own_ufuncs_and_what_is_made_of_them():
    x = np.array([0.7, 1.5, 2.5])
    for name in "gamma erf digamma expit i0e zeta lambertw softplus sinc".split():
        ours, theirs = getattr(s, name), getattr(scipy_special, name)
        got = gpuad.grad(lambda x, f=theirs: gnp.sum(gnp.real(f(x))))(x)
        np.testing.assert_array_equal(got, gpuad.grad(lambda x, f=ours: gnp.sum(gnp.real(f(x))))(x))
    np.testing.assert_allclose(
        gpuad.grad(lambda x: gnp.sum(scipy_special.jn(1, x)))(x), scipy_special.jvp(1, x), rtol=1e-14
    )


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax", "comb", "polygamma", "multigammaln"])
def test_scipys_functions_that_cannot_be_intercepted_name_ours(name):
    args = {"comb": (2.0,), "polygamma": (2.0,), "multigammaln": (2,)}.get(name, ())
    with pytest.raises(UnsupportedError, match=f"gpuad.scipy.special.{name}"):
        gpuad.grad(lambda x: gnp.sum(getattr(scipy_special, name)(x, *args)))(np.array([2.5, 3.5]))


@pytest.mark.parametrize("name", ["linalg.cholesky", "stats.norm.logpdf", "integrate.quad"])
def test_scipys_functions_whose_names_the_frames_do_not_tell(name):
    f = operator.attrgetter(name)(importlib.import_module("scipy." + name.split(".")[0]) and scipy)
    args = {"integrate.quad": lambda x: (lambda t: t * x, 0.0, 1.0)}.get(name, lambda x: (x,))
    x = np.eye(2) if "linalg" in name else 0.5
    with pytest.raises(UnsupportedError, match=r"SciPy's own functions .* call gpuad.scipy's of the same name"):
        gpuad.grad(lambda x: f(*args(x)))(x)


def test_plain_arrays_go_to_scipy_with_all_its_options():
    out = np.zeros(2)
    assert s.erf(np.array([0.1, 0.2]), out=out) is out
    assert s.gammaln(np.float32(2.5)).dtype == np.float32
    np.testing.assert_array_equal(s.jn_zeros(0, 3), scipy_special.jn_zeros(0, 3))
    assert s.comb(5, 2, exact=True) == 10


def test_numbers_beside_float32_leave_it_so():
    x = np.array([0.3, 0.6], np.float32)
    programs = (
        lambda x: s.beta(x, 2.0) + s.binom(3.0, x) + s.poch(x, 2.0) + s.zeta(2.0, x),
        lambda x: s.xlogy(2.0, x) + s.kl_div(x, 2.0) + s.boxcox(x, 0.5) + s.huber(1.0, x) + s.pseudo_huber(1.0, x),
        lambda x: s.gammainc(2.0, x) + s.gammainc(x, 2.0) + s.betainc(2.0, x, 0.3) + s.betaincinv(2.0, 3.0, x),
        lambda x: s.jv(1, x) + s.ive(0.5, x) + s.kve(2, x) + s.hyp1f1(1.0, 2.0, x) + s.ellipkinc(0.5, x),
    )
    for f in programs:
        got = gpuad.elementwise_grad(f)(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, gpuad.elementwise_grad(f)(x.astype(float)), rtol=2e-5)


def test_lists_of_traced_numbers():
    assert gpuad.grad(lambda x: gnp.sum(s.gammaln([x, 2.0 * x])))(1.5) == pytest.approx(
        scipy_special.psi(1.5) + 2 * scipy_special.psi(3.0)
    )


# -- what is refused ----------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("f", "argument"),
    [
        (lambda v: s.jv(v, 2.0), "v"),
        (lambda v: s.kve(v, 2.0), "v"),
        (lambda n: s.expn(n, 2.0), "n"),
        (lambda n: s.polygamma(n, 2.0), "n"),
        (lambda a: s.hyp1f1(a, 2.0, 0.5), "a"),
        (lambda b: s.hyp1f1(1.0, b, 0.5), "b"),
        (lambda c: s.hyp2f1(1.0, 2.0, c, 0.5), "c"),
        (lambda v: s.hyp0f1(v, 0.5), "v"),
        (lambda a: gpuad.grad(lambda a: s.gammainc(a, 2.0))(a), "a"),
        (lambda a: gpuad.grad(lambda a: s.betainc(a, 2.0, 0.4))(a), "a"),
        (lambda z: gnp.real(s.ive(1.0, z + 1j)), "z"),
        (lambda z: gnp.real(gpuad.vjp(s.psi, z + 1j)[1](1.0 + 0j)[0]), "a complex argument"),
    ],
)
def test_derivatives_that_are_not_known_are_refused_by_name(f, argument):
    with pytest.raises(UnsupportedError, match=f"with respect to {argument}"):
        gpuad.grad(f)(1.5)


#: Ways to call a function of the namespace: "x" and "y" are traced vectors.
_CALLS = [("x",), ("x", "y"), (1, "x"), ("x", 1), (0.5, 0.4, "x"), ("x", "y", "y"), (0.5, 0.4, 0.3, "x"), (1, 1, "x")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    # SciPy itself crashes when it calls the spheroidal ones with such orders.
    [n for n in scipy_special.__all__ if n not in ("errstate", "seterr", "geterr") and n[:4] not in ("obl_", "pro_")],
)
def test_every_function_is_right_or_says_no(name):
    """With traced arrays it gives SciPy's values and derivatives, or refuses."""
    ours, theirs = getattr(s, name), getattr(scipy_special, name)
    if isinstance(theirs, type):
        return
    x, y = np.array([0.3, 0.45]), np.array([0.6, 0.7])
    for call in _CALLS:
        if len(call) > getattr(theirs, "nin", 4):
            continue  # the last would be out=

        def run(f, x, y, call=call):
            result = f(*({"x": x, "y": y}.get(a, a) for a in call))
            return [r for r in (result if isinstance(result, (tuple, list)) else [result]) if r is not None]

        try:
            want = run(theirs, x, y)
            numeric = [(f - b) / 2e-6 for f, b in zip(run(theirs, x + 1e-6, y), run(theirs, x - 1e-6, y), strict=True)]
        except Exception:  # not a way to call this function
            continue
        try:
            value, tangent = gpuad.jvp(lambda x, y: run(ours, x, y), (x, y), (np.ones(2), np.zeros(2)))
        except UnsupportedError:
            continue
        for v, t, w, n in zip(value, tangent, want, numeric, strict=True):
            np.testing.assert_allclose(v, w, rtol=1e-12)
            finite = np.isfinite(n)
            np.testing.assert_allclose(np.asarray(t)[finite], n[finite], rtol=1e-5, atol=1e-6)

"""Linear algebra: what samples can't say. Equal and vanishing values, gauges, triangles, errors, plain forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.linalg

import gpuad
from gpuad import grad, jvp
from gpuad.errors import UnsupportedError
from gpuad.scipy import linalg
from gpuad.test_util import check_grads

RNG = np.random.default_rng(0)
W = RNG.normal(size=(4, 4))


def numeric(f, a, h=1e-5):
    """The gradient by central differences, entry by entry."""
    found = np.zeros_like(a)
    for i in np.ndindex(a.shape):
        e = np.zeros_like(a)
        e[i] = h
        found[i] = (8 * (f(a + e) - f(a - e)) - (f(a + 2 * e) - f(a - 2 * e))) / (12 * h)
    return found


def close(a, b, tol=1e-7):
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def turned(values, n=0):
    """A symmetric matrix with these eigenvalues, and vectors in general position."""
    q = np.linalg.qr(np.random.default_rng(n).normal(size=(len(values), len(values))))[0]
    a = (q * values) @ q.T
    return (a + a.T) / 2


# -- one triangle -------------------------------------------------------------------------------------
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    "f",
    [
        lambda a, lower: np.linalg.eigvalsh(a, "L" if lower else "U") @ [1.0, 2.0, 4.0],
        lambda a, lower: (np.linalg.eigh(a, "l" if lower else "u")[1] ** 3).sum(),
        lambda a, lower: (np.linalg.cholesky(a, upper=not lower) * W[:3, :3]).sum(),
        lambda a, lower: (linalg.cholesky(a, lower=lower) * W[:3, :3]).sum(),
        lambda a, lower: (linalg.solve(a, np.ones(3), assume_a="sym", lower=lower) * W[0, :3]).sum(),
        lambda a, lower: (linalg.eigh(a, turned([1.0, 2.0, 3.0]), lower=lower)[1] ** 3).sum(),
        lambda a, lower: (linalg.eigh(turned([1.0, 2.0, 3.0]), a, lower=lower)[1] ** 3).sum(),
    ],
)
def test_the_gradient_is_that_of_the_triangle_that_is_read(f, lower):
    a = turned([3.0, 5.0, 9.0], 1) + 0.1 * W[:3, :3]  # the triangles differ
    found = grad(lambda a: f(a, lower))(a)
    close(found, numeric(lambda a: f(a, lower), a))
    assert not (np.triu(found, 1) if lower else np.tril(found, -1)).any()


# -- equal and vanishing values -----------------------------------------------------------------------
@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 2.0, 5.0], [0.0, 0.0, 3.0]])
def test_sums_of_equal_eigenvalues(values):
    a = turned(values)
    close(grad(lambda a: (np.linalg.eigvalsh(a) ** 2).sum())(a), np.tril(2 * a) + np.tril(2 * a, -1), 1e-12)
    close(grad(lambda a: np.linalg.svd(a, compute_uv=False).sum())(a + np.eye(3)), np.eye(3), 1e-12)
    close(grad(lambda a: np.linalg.eigvals(a).sum().real)(a), np.eye(3), 1e-9)


def test_vectors_of_single_values_beside_equal_ones():
    a = turned([1.0, 2.0, 2.0])
    f = lambda a: (np.linalg.eigh(a)[1][:, 0] ** 2) @ [1.0, 2.0, 4.0]  # noqa: E731
    close(grad(f)(a), numeric(f, a))
    g = lambda a: (np.linalg.svd(a)[0][:, 2] ** 2) @ [1.0, 2.0, 4.0]  # noqa: E731
    close(grad(g)(a), numeric(g, a))


FUNCTIONS_OF_EQUAL = [
    lambda v, w: (v * np.exp(w)) @ v.T,
    lambda v, w: (v * w) @ v.T,
    lambda v, w: (v * np.log(w)) @ v.T,
    lambda v, w: v,
]


@pytest.mark.parametrize("k", range(4))
@pytest.mark.parametrize("a", [np.eye(3), turned([2.0, 2.0, 5.0])], ids=["identity", "turned"])
def test_vectors_of_equal_values_are_refused(k, a):
    """JAX gives NaN, or what rounding makes of it."""

    def f(a):
        w, v = np.linalg.eigh(a)
        return (FUNCTIONS_OF_EQUAL[k](v, w) * W[:3, :3]).sum()

    def g(a):
        u, s, vh = np.linalg.svd(a)
        return (FUNCTIONS_OF_EQUAL[k](u, s) @ u @ vh * W[:3, :3]).sum()

    with pytest.raises(UnsupportedError, match="two eigenvalues are equal"):
        grad(f)(a)
    with pytest.raises(UnsupportedError, match="two singular values are equal"):
        grad(g)(a)


ENTRIES = {
    "eigh": lambda a, i, j, f: _product(np.linalg.eigh(a), f)[i, j],
    "eig": lambda a, i, j, f: _product(np.linalg.eig(a), f)[i, j].real,
    "scipy's eigh": lambda a, i, j, f: _product(linalg.eigh(a), f)[i, j],
    "svd": lambda a, i, j, f: _of_svd(np.linalg.svd(a, full_matrices=False), f)[i, j],
}


def _product(found, f):
    w, v = found
    return (v * f(w)) @ v.T


def _of_svd(found, f):
    u, s, vh = found
    return (u * f(s)) @ vh


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("value", [2.0, 0.0])
def test_a_function_that_is_zero_at_equal_values(name, value):
    """Of diagonal matrices an entry of it has no cotangent with respect to vectors or values: nothing shows."""
    a = np.diag([5.0, value, value])
    with pytest.raises(UnsupportedError, match="are equal"):
        grad(lambda a: ENTRIES[name](a, 1, 2, lambda w: w - value))(a)


def test_a_function_that_is_zero_at_the_singular_value_zero():
    a = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    j = int(np.argmin(abs(np.linalg.svd(a, full_matrices=False)[0][1:, 1]))) + 1
    with pytest.raises(UnsupportedError, match="singular value is zero"):
        grad(lambda a: ENTRIES["svd"](a, j, 1, lambda s: s))(a)


def test_vectors_beside_ones_of_values_equal_to_the_last_bit():
    """Those that weren't read don't matter, however the others are."""
    a = np.diag([5.0, 2.0, 2.0])
    for f in (
        lambda a: (np.linalg.eigh(a)[1][:, 2] ** 2 * W[0, :3]).sum(),
        lambda a: (np.linalg.eigh(a)[1][:, [2]] ** 4 * W[:3, :1]).sum() * np.linalg.eigvalsh(a)[2],
        lambda a: (np.linalg.eig(a)[1][:, 0] ** 2 * W[0, :3]).sum(),
        lambda a: (linalg.eigh(a, subset_by_index=[2, 2])[1] ** 4 * W[:3, :1]).sum(),
        lambda a: (np.linalg.svd(a)[0][:, :1] * np.linalg.svd(a)[2][:1] * W[:3, :3]).sum(),
        lambda a: (np.outer(np.linalg.svd(a)[0][:, 0], W[0, :3]) @ np.linalg.svd(a)[2][0] ** 2).sum() ** 2,
    ):
        close(grad(f)(a), numeric(f, a))


def test_what_is_cut_out_by_a_condition_is_independent():
    """Numbers that rounding alone tells apart are none of those: zero for both is a function that is flat there."""
    q = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    a = (q * [3.0, 2.0, 0.0, 0.0, 0.0]) @ q.T
    a = (a + a.T) / 2
    assert len(set(np.linalg.eigvalsh(a))) == 5

    def inverse(a):
        w, v = np.linalg.eigh(a)
        keep = w > 1e-6
        return ((v * np.where(keep, 1 / np.where(keep, w, 1.0), 0.0)) @ v.T * W[:1, :1]).sum()

    found = grad(inverse)(a)
    want = grad(lambda a: (np.linalg.pinv(a, 1e-6, hermitian=True) * W[:1, :1]).sum())(a)
    close(found, want, 1e-10)


def test_forward_mode_says_nan_where_vectors_may_turn():
    moved = jvp(lambda a: np.linalg.eigh(a)[1], (turned([1.0, 2.0, 2.0]),), (W[:3, :3],))[1]
    assert np.isfinite(moved[:, 0]).all()
    assert np.isnan(moved[:, 1:]).all()
    w_moved = jvp(np.linalg.eigvalsh, (np.eye(3),), (np.eye(3),))[1]
    close(w_moved, [1, 1, 1])


def test_a_device_isn_t_asked_and_gives_nan():
    from strict_backend import StrictBackend, counts

    if "strict" not in gpuad.backend.names():
        gpuad.backend.register(StrictBackend())
    backend = gpuad.backend.get("strict")
    a = backend.asarray(np.eye(2))
    _, pullback = gpuad.vjp(lambda a: gpuad.numpy.linalg.eigh(a)[1], a)
    counts.clear()
    (found,) = pullback(backend.asarray(W[:2, :2]))
    assert not counts["sync"]
    assert np.isnan(backend.to_numpy(found)).any()


def test_vanishing_singular_values():
    rank_1 = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    left = lambda a: (np.linalg.svd(a, full_matrices=False)[0][:, 0] ** 2) @ [1.0, 2.0, 4.0]  # noqa: E731
    close(grad(left)(rank_1), numeric(left, rank_1))
    share = lambda a: left(a) * (lambda s: s[0] ** 2 / np.sum(s**2))(np.linalg.svd(a, full_matrices=False)[1])  # noqa: E731
    close(grad(share)(rank_1), numeric(share, rank_1))  # the slope at zero is zero, up to rounding
    centred = lambda x: (lambda u, s, vh: np.sum(s**2) * np.sum((x @ vh[0]) ** 4))(  # noqa: E731
        *np.linalg.svd(x - x.mean(0), full_matrices=False)
    )
    close(grad(centred)(W[:3, :4]), numeric(centred, W[:3, :4]))
    with pytest.raises(UnsupportedError, match="singular value is zero"):
        grad(lambda a: (np.linalg.svd(a, full_matrices=False)[0] ** 3).sum())(rank_1)


@pytest.mark.parametrize("ord", ["nuc", 2, -2])
def test_norms_of_zero_are_finite(ord):
    assert np.isfinite(grad(lambda a: np.linalg.norm(a, ord))(np.zeros((3, 2)))).all()


# -- bases that are free ------------------------------------------------------------------------------
PROJECTIONS = {
    "svd": lambda a: np.linalg.svd(a)[0][:, 2:],
    "svd of the other side": lambda a: np.linalg.svd(a.T)[2][2:].T,
    "qr": lambda a: np.linalg.qr(a, "complete")[0][:, 2:],
    "null_space": lambda a: linalg.null_space(a.T),
}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_what_a_basis_spans_is_differentiated_and_the_basis_refused(name):
    basis = PROJECTIONS[name]
    a = RNG.normal(size=(4, 2))

    def projection(a):
        q = basis(a)
        return (q @ q.T * W).sum()

    close(grad(projection)(a), numeric(projection, a))
    with pytest.raises(UnsupportedError, match="any basis of the space"):
        grad(lambda a: (basis(a) * W[:, :2]).sum())(a)
    assert np.isnan(jvp(projection, (a,), (a,))[1])


def test_phases_of_eig_are_those_of_lapack():
    """Vectors of length 1 whose largest entry is real: the differences of what NumPy gives, for any function."""
    a = RNG.normal(size=(4, 4))
    for eig in (np.linalg.eig, linalg.eig):
        f = lambda a, eig=eig: (eig(a + 1j * W)[1] * (W + 1j * W.T)).sum().real  # noqa: E731
        close(grad(f)(a), numeric(f, a))


# -- what is cut off ----------------------------------------------------------------------------------
M = np.array([[2, 0.5, 1], [0.3, 0.7, 0.2], [1.5, 0.1, 0.9]])  # singular values 2.9, 0.66, 0.11
B = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("rcond", [0.4, 0.2, 0.01])
@pytest.mark.parametrize(
    "f",
    [
        lambda a, r: np.linalg.pinv(a, r),
        lambda a, r: np.linalg.pinv(a[:2], rtol=r),
        lambda a, r: np.linalg.pinv(a, r, hermitian=True),
        lambda a, r: np.linalg.pinv(np.stack([a, a.T @ a]), [r, 0.001]),
        lambda a, r: np.linalg.lstsq(a, B, r)[0],
        lambda a, r: np.linalg.lstsq(a[:, :2], np.outer(B, B), r)[0],
        lambda a, r: linalg.pinv(a, rtol=r / 2, atol=r),
        lambda a, r: linalg.pinvh(a, rtol=r, lower=False),
        lambda a, r: linalg.lstsq(a, B, r)[0],
        lambda a, r: linalg.lstsq(a, B, r, lapack_driver="gelss")[0],
    ],
)
def test_singular_values_that_are_cut_off(f, rcond):
    g = lambda a: (f(a, rcond) ** 2).sum()  # noqa: E731
    close(grad(g)(M), numeric(g, M))


@pytest.mark.parametrize("values", [[3, 2, 0.5], [3, 3, 0.5], [3, 0.5, 0.5], [3, 0.1, 0], [3, 0, 0], [3, 2, 1]])
def test_cutting_off_to_the_third_order(values):
    """Equal values, and such that are zero, are nothing special."""
    q, r = (np.linalg.qr(RNG.normal(size=(n, n)) + 1j * RNG.normal(size=(n, n)))[0] for n in (4, 3))
    a = (q[:, :3] * values) @ r
    for x in (a, a.T, a.real):
        check_grads(lambda x: gpuad.numpy.linalg.pinv(x, 0.25), (x,), order=3, rtol=1e-4, eps=3e-4)


def test_cutting_through_equal_values_is_an_error():
    a = np.diag([1 + 2**-52, 1.0])
    assert np.linalg.matrix_rank(a, tol=1.0) == 1
    with pytest.raises(UnsupportedError, match="one is cut off and one isn't"):
        grad(lambda a: linalg.pinv(a, rtol=0, atol=1.0).sum())(a)


@pytest.mark.parametrize("rcond", [None, -1, 0, 0.2, 0.4, 1, 7])
def test_what_lapack_takes_rcond_for(rcond):
    found = []
    grad(lambda a: (found.extend([np.linalg.lstsq(a, B, rcond), linalg.lstsq(a, B, rcond)]), (a * 0.0).sum())[1])(M)
    for ours, theirs in zip(found, [np.linalg.lstsq, scipy.linalg.lstsq], strict=True):
        for got, want in zip(ours, theirs(M, B, rcond), strict=True):
            close(gpuad.stop_gradient(got), want, 1e-11)


# -- determinants of singular matrices ----------------------------------------------------------------
def cofactors(a):
    n = len(a)
    minors = [
        [np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) * (-1.0) ** (i + j) for j in range(n)] for i in range(n)
    ]
    return np.array(minors)


SINGULAR = {
    "rank n - 1": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "up to rounding": np.arange(1.0, 10.0).reshape(3, 3),
    "nearly": turned([3.0, 1.0, 1e-6]),
    "rank n - 2": np.outer([1.0, 2.0, 3.0], [2.0, 0.0, 1.0]),
    "zero": np.zeros((3, 3)),
    "one zero": np.zeros((1, 1)),
    "complex": np.array([[1.0, 1j, 2.0], [1j, -1.0, 2j], [0.0, 1.0, 1j]]),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_determinant_of_a_singular_matrix(name):
    a = SINGULAR[name]
    for det in (gpuad.numpy.linalg.det, linalg.det):
        close(grad(lambda a, det=det: det(a).real)(a), cofactors(a), 1e-12)
    check_grads(gpuad.numpy.linalg.det, (a,), order=2, eps=1e-2)


def test_a_singular_matrix_in_a_stack():
    a = np.stack([turned([1.0, 2.0, 3.0]), turned([1.0, 2.0, 2.0]) * [1.0, 1.0, 0.0]])
    close(grad(lambda a: np.linalg.det(a).sum())(a), [cofactors(a[0]), cofactors(a[1])], 1e-12)
    check_grads(gpuad.numpy.linalg.det, (a,), order=2)
    found = grad(lambda a: np.linalg.slogdet(a)[1].sum())(a)
    close(found[0], np.linalg.inv(a[0]).T, 1e-12)
    assert np.isnan(found[1]).all()


# -- functions of singular matrices -------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        linalg.sqrtm,
        linalg.logm,
        lambda a: linalg.fractional_matrix_power(a, 0.3),
        lambda a: linalg.fractional_matrix_power(a, 1.5),
        lambda a: linalg.polar(a)[0],
        lambda a: linalg.polar(a)[1],
        lambda a: linalg.polar(a[:, :2] * [1.0, 0.0])[0],
    ],
)
@pytest.mark.parametrize("a", [np.diag([1.0, 2.0, 0.0]), np.zeros((3, 3)), turned([1.0, 1.0, 0.0])])
@pytest.mark.filterwarnings("ignore")  # of SciPy, that the matrix is singular
def test_functions_of_singular_matrices(f, a):
    with pytest.raises(UnsupportedError, match="the matrix is singular"):
        grad(lambda a: (f(a)[:3, :2] * W[:3, :2]).sum().real)(a)


# -- known in closed form -----------------------------------------------------------------------------
def test_functions_of_matrices_at_diagonal_ones():
    """(f(x) - f(y)) / (x - y) is the derivative of an off-diagonal entry, f' of one on the diagonal."""
    x = np.array([0.5, 2.0])
    for f, slope, of_matrix in [
        (np.exp, np.exp, linalg.expm),
        (np.log, lambda x: 1 / x, linalg.logm),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), linalg.sqrtm),
        (np.sin, np.cos, linalg.sinm),
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2, linalg.tanhm),
        (lambda x: x**0.3, lambda x: 0.3 * x**-0.7, lambda a: linalg.fractional_matrix_power(a, 0.3)),
    ]:
        mixed = (f(x[0]) - f(x[1])) / (x[0] - x[1])
        want = W[:2, :2] * np.array([[slope(x[0]), mixed], [mixed, slope(x[1])]])
        close(grad(lambda a, of_matrix=of_matrix: (of_matrix(a) * W[:2, :2]).sum())(np.diag(x)), want, 1e-10)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_size_of_a_cotangent_doesn_t_matter(scale):
    a = RNG.normal(size=(3, 3))
    exact = scipy.linalg.expm_frechet(a.T, W[:3, :3], compute_expm=False)
    close(grad(lambda a: (linalg.expm(a) * W[:3, :3]).sum() * scale)(a) / scale, exact, 1e-12)


def test_exponent_of_a_matrix_power():
    a = turned([1.0, 2.0, 3.0])
    f = lambda t: (linalg.fractional_matrix_power(a, t) * W[:3, :3]).sum()  # noqa: E731
    close(grad(f)(0.3), (f(0.3 + 1e-6) - f(0.3 - 1e-6)) / 2e-6)


def test_sign_of_a_complex_determinant():
    a = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3))
    f = lambda a: (np.linalg.slogdet(a)[0] * (1 + 2j)).real  # noqa: E731
    g = lambda a: (np.linalg.det(a) / abs(np.linalg.det(a)) * (1 + 2j)).real  # noqa: E731
    close(grad(f)(a), grad(g)(a), 1e-12)


def test_sylvester_s_equation_with_real_and_complex_matrices():
    """SciPy's own answer isn't one here: it takes a real Schur form for a complex one."""
    a, b, q = W[:3, :3] + 3 * np.eye(3), W[:2, :2] + 3j * np.eye(2), W[:3, :2]
    f = lambda a, q: (linalg.solve_sylvester(a, b, q) * W[1:, 2:]).sum().real  # noqa: E731
    seen = []
    for_a, for_q = grad(lambda a, q: (seen.append(linalg.solve_sylvester(a, b, q)), f(a, q))[1], argnum=(0, 1))(a, q)
    x = gpuad.stop_gradient(seen[0])
    close(a @ x + x @ b, q, 1e-12)
    exact = lambda a: np.linalg.solve(np.kron(a, np.eye(2)) + np.kron(np.eye(3), b.T), q.reshape(-1)).reshape(3, 2)  # noqa: E731
    close(for_a, numeric(lambda a: (exact(a) * W[1:, 2:]).sum().real, a))
    close((for_q * q).sum(), (x * W[1:, 2:]).sum().real)


# -- NumPy's and SciPy's forms ------------------------------------------------------------------------
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)


@pytest.mark.parametrize(
    "f",
    [
        lambda n, s, a: n.linalg.svd(a + a.T, hermitian=True),
        lambda n, s, a: n.linalg.pinv(a + a.T, hermitian=True),
        lambda n, s, a: n.linalg.pinv(a, rtol=None),
        lambda n, s, a: n.linalg.matrix_rank(a),
        lambda n, s, a: n.linalg.matrix_rank(a, tol=3.0),
        lambda n, s, a: n.linalg.cond(a, 1),
        lambda n, s, a: n.linalg.lstsq(a[:, :2], a[:, 2])[:2],
        lambda n, s, a: n.linalg.lstsq(a, a[:, :2])[1:3],
        lambda n, s, a: s.lstsq(a[:, :2], a[:, 2]),
        lambda n, s, a: s.lstsq(a, a[:, 2]),
        lambda n, s, a: s.lu(a[::-1], p_indices=True),
        lambda n, s, a: s.lu_factor(a[::-1, :2]),
        lambda n, s, a: s.lu_factor(a[:2, ::-1]),
        lambda n, s, a: s.qr(a[:, :2]),
        lambda n, s, a: s.qr(a[:, :2], mode="r"),
        lambda n, s, a: s.qr(a, pivoting=True),
        lambda n, s, a: s.rq(a[:2]),
        lambda n, s, a: s.rq(a, mode="r"),
        lambda n, s, a: s.eig(a, right=False),
        lambda n, s, a: s.eigvalsh(a + a.T, subset_by_index=[1, 2]),
        lambda n, s, a: s.pinv(a[:2], return_rank=True),
        lambda n, s, a: s.toeplitz(a[0] * 1j),
        lambda n, s, a: s.hankel(a[0]),
        lambda n, s, a: tuple(f(a / 4) for f in (s.cosm, s.sinm, s.coshm, s.sinhm)),
        lambda n, s, a: s.solve_continuous_lyapunov(a, a),
        lambda n, s, a: s.norm(a, 2, axis=(0, 1), keepdims=True),
    ],
)  # fmt: skip
def test_traced_results_have_the_form_of_plain_ones(f):
    seen = []
    grad(lambda a: (seen.append(f(np, linalg, a)), (a * 0.0).sum())[1])(A)
    got, want = seen[0], f(np, scipy.linalg, A)
    assert type(got) is type(want) or not isinstance(want, tuple)
    if not isinstance(want, tuple):
        got, want = (got,), (want,)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        g = gpuad.stop_gradient(g)
        assert np.shape(g) == np.shape(w)
        assert np.asarray(g).dtype.kind == np.asarray(w).dtype.kind
        close(g, w, 1e-12)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda a: np.linalg.qr(a, "raw"), "mode must be"),
        (lambda a: np.linalg.eigh(a, "X"), "UPLO"),
        (lambda a: linalg.eigh(a, subset_by_value=[0, 1]), "subset_by_value"),
        (lambda a: linalg.eig(a, left=True), "left vectors"),
        (lambda a: linalg.pinv(a, atol=-1.0), "atol"),
        (lambda a: linalg.lstsq(a, a, 0.9, lapack_driver="gelsy"), "gelsy"),
        (lambda a: linalg.schur(a), "can't be differentiated"),
        (lambda a: linalg.solve(a, a, assume_a="round"), "structure"),
    ],
)
def test_what_can_t_be_done_is_an_error(f, message):
    with pytest.raises((UnsupportedError, ValueError), match=message):
        grad(lambda a: f(a)[0].sum())(A)


def test_singular_systems_raise_as_they_do_plainly():
    for f in (np.linalg.inv, lambda a: linalg.solve_triangular(a, np.ones(2)), np.linalg.cholesky):
        with pytest.raises(np.linalg.LinAlgError):
            grad(lambda a, f=f: f(a).sum())(np.zeros((2, 2)))


def test_what_stands_in_for_cupy_s_missing_functions(monkeypatch):
    """The formulas alone, on NumPy: no GPU is asked."""
    cupy_backend = sys.modules["gpuad.backend.cupy_backend"]
    monkeypatch.setattr(cupy_backend, "_cupy", lambda: np)
    monkeypatch.setattr(cupy_backend, "_linalg", lambda: scipy.linalg)
    a, b, q = W[:3, :3] + 3 * np.eye(3), W[:2, :2] + 3j * np.eye(2), W[:3, :2]
    x = cupy_backend._solve_sylvester(a, b, q)
    close(a @ x + x @ b, q, 1e-12)
    stack = np.stack([a, a.T])
    close(cupy_backend._expm(stack), scipy.linalg.expm(stack), 1e-12)
    close(cupy_backend._solve_triangular(stack, q)[1], scipy.linalg.solve_triangular(a.T, q), 1e-12)
    close(cupy_backend._solve_triangular(stack, q[:, 0])[0], scipy.linalg.solve_triangular(a, q[:, 0]), 1e-12)

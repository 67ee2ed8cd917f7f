"""Sparse Jacobians and Hessians: patterns, colourings, entries, and what can't be had."""

from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest
import scipy.sparse

import gpuad
import gpuad.numpy as gnp
from gpuad.errors import NotDifferentiableError, UnsupportedError
from gpuad.transforms.colouring import plan_general, plan_symmetric
from samples import all_samples
from test_ops import flat, inputs

RNG = np.random.default_rng(7)


def dense(matrix):
    return matrix.toarray()


def pattern_of(f, x):
    return gpuad.jacobian_sparsity(f)(x).pattern.toarray()


def band(n, below, above):
    i, j = np.indices((n, n))
    return (j - i >= -below) & (j - i <= above)


# -- never an underestimate: the samples of all primitives ------------------------------------------------
SAMPLES = all_samples()


def of_one_vector(s, args):
    """A sample as a function of all its inputs, and with all its real and imaginary results, in one vector."""
    ends = np.cumsum([0, *(a.size for a in args)])

    def f(v):
        parts = [gnp.reshape(v[i:j], a.shape) for i, j, a in zip(ends[:-1], ends[1:], args, strict=True)]
        results = [r for r in flat(s.f(gnp, *parts)) if getattr(r, "dtype", None) in ("float64", "complex128")]
        pieces = [p for r in results for p in ((gnp.real(r), gnp.imag(r)) if r.dtype.kind == "c" else (r,))]
        return gnp.concatenate([gnp.reshape(p, -1) for p in pieces] or [gnp.zeros(0)])

    return f, np.concatenate([np.zeros(0), *(a.reshape(-1) for a in args)])


def by_rows(f, v):
    """The Jacobian, row by row: what it is compared with needs no other transformation."""
    value, pullback = gpuad.vjp(f, v)
    rows = [pullback(e)[0] for e in np.eye(value.size)]
    return np.reshape(rows, (value.size, v.size))


def assert_holds(pattern, matrix, what):
    isnt_zero = np.abs(matrix) > 1e-10 * np.nanmax(np.abs(matrix), initial=0.0)
    missing = isnt_zero & ~pattern
    assert not missing.any(), (what, np.argwhere(missing)[:5])


@pytest.mark.parametrize("primitive", sorted({s.primitives[0] for s in SAMPLES}))
@pytest.mark.filterwarnings("ignore")
def test_patterns_hold_every_entry_of_the_jacobian(primitive):
    with np.errstate(all="ignore"):
        for s in (s for s in SAMPLES if s.primitives[0] == primitive):
            f, v = of_one_vector(s, inputs(s, gpuad.backend.get("numpy")))
            assert_holds(pattern_of(f, v), by_rows(f, v), s.label)


@pytest.mark.parametrize("primitive", sorted({s.primitives[0] for s in SAMPLES if s.order > 1}))
@pytest.mark.filterwarnings("ignore")
def test_patterns_hold_every_entry_of_the_hessian(primitive):
    s = min(
        (s for s in SAMPLES if s.primitives[0] == primitive and s.order > 1), key=lambda s: zlib.crc32(s.label.encode())
    )
    with np.errstate(all="ignore"):
        f, v = of_one_vector(s, inputs(s, gpuad.backend.get("numpy")))

        def total(v):
            return gnp.sum(gnp.square(f(v)))

        assert_holds(gpuad.hessian_sparsity(total)(v).pattern.toarray(), by_rows(gpuad.grad(total), v), s.label)


# -- exact patterns -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f, want",
    [
        (lambda x: np.sin(x) * x, band(6, 0, 0)),
        (lambda x: x[::-1], band(6, 0, 0)[::-1]),
        (np.diff, band(6, 0, 1)[:5]),
        (np.cumsum, band(6, 5, 0)),
        (lambda x: np.convolve(x, [1.0, -2.0, 1.0], "same"), band(6, 1, 1)),
        (lambda x: np.convolve(x, [1.0, 0.0, 1.0], "valid"), (band(6, 0, 2) & ~band(6, -1, 1))[:4]),
        (lambda x: np.diag(np.arange(6.0)) @ x, np.diag(np.arange(6.0)) != 0),
        (lambda x: np.tril(np.ones((6, 6))) @ x, band(6, 5, 0)),
        (lambda x: np.sum(x.reshape(2, 3), axis=1), np.repeat(np.eye(2, dtype=bool), 3, axis=1)),
        (lambda x: np.where(x > 0, x, x[::-1]), band(6, 0, 0) | band(6, 0, 0)[::-1]),
        (lambda x: np.maximum(x, np.roll(x, 1)), np.roll(np.eye(6, dtype=bool), 1, 0) | np.eye(6, dtype=bool)),
        (lambda x: x[np.array([5, 0, 5])], np.eye(6, dtype=bool)[[5, 0, 5]]),
        (
            lambda x: np.concatenate([x[:2], np.ones(1), np.pad(x[4:], 1)]),
            np.eye(6, dtype=bool)[[0, 1, 2, 2, 4, 5, 2]] & (np.arange(6) != 2),
        ),
        (lambda x: x.reshape(2, 3).T.reshape(-1), np.eye(6, dtype=bool)[[0, 3, 1, 4, 2, 5]]),
        (lambda x: np.einsum("ij,kj->ik", x.reshape(2, 3), np.eye(3)).reshape(-1), band(6, 0, 0)),
        (lambda x: np.floor(x) + 1.0, np.zeros((6, 6), bool)),
        (
            lambda x: np.linalg.det(np.stack([np.diag(x[:2]), np.diag(x[2:4]), np.diag(x[4:])])),
            np.arange(6) // 2 == np.arange(3)[:, None],
        ),
        (lambda x: np.mean(x), np.ones((1, 6), bool)),
    ],
)
def test_exact_patterns_of_jacobians(f, want):
    np.testing.assert_array_equal(pattern_of(f, RNG.normal(size=6)), want)


def test_writing_moves_what_is_depended_on():
    def f(x):
        y = gnp.zeros(5)
        y[1:4] = x
        y[2] *= x[0]
        y[0] = 3.0
        return y

    x = RNG.normal(size=3)
    want = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(pattern_of(f, x), want)
    np.testing.assert_allclose(dense(gpuad.jacobian(f, sparsity="detect")(x)), by_rows(f, x))


def test_filters_of_images():
    kernel = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    laplace = lambda x: gpuad.scipy.ndimage.correlate(x.reshape(5, 5), kernel, mode="constant").reshape(-1)  # noqa: E731
    line = np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1)
    want = np.eye(25) + np.kron(line, np.eye(5)) + np.kron(np.eye(5), line)
    np.testing.assert_array_equal(pattern_of(laplace, RNG.normal(size=25)), want != 0)


def test_an_unknown_operation_makes_everything_depend_on_everything():
    mixed = gpuad.primitive(lambda x: np.fft.ifft(np.fft.fft(x)).real)
    gpuad.defvjp(mixed, lambda g, ans, x: g)
    np.testing.assert_array_equal(pattern_of(lambda x: mixed(x[:2]), np.ones(3)), [[1, 1, 0], [1, 1, 0]])


def test_a_factor_that_varies_has_no_zeros_to_count_on():
    def f(x):  # the derivative with respect to `a` of a Jacobian that is zero at a = 0
        return gpuad.grad(lambda a: np.sum((a * np.eye(2)) @ x))(0.0) * np.ones(2)

    np.testing.assert_array_equal(pattern_of(f, np.ones(2)), np.ones((2, 2)))


# -- published functions ----------------------------------------------------------------------------------
def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def brown(x):
    """The generalized function of Brown."""
    a, b = x[:-1] ** 2, x[1:] ** 2
    return np.sum(a ** (b + 1) + b ** (a + 1))


def broyden_tridiagonal(x):
    """Moré, Garbow and Hillstrom, "Testing unconstrained optimization software" (1981), number 30."""
    return (3 - 2 * x) * x - np.concatenate([np.zeros(1), x[:-1]]) - 2 * np.concatenate([x[1:], np.zeros(1)]) + 1


def broyden_banded(x):
    """Number 31 there: five diagonals below the main one, one above."""
    y = np.pad(x * (1 + x), (5, 1))
    return x * (2 + 5 * x**2) + 1 - sum(y[5 + k : len(x) + 5 + k] for k in (-5, -4, -3, -2, -1, 1))


def brown_almost_linear(x):
    """Number 27 there: dense."""
    return np.append(x[:-1] + np.sum(x) - (len(x) + 1), np.prod(x) - 1)


@pytest.mark.parametrize("f", [rosenbrock, brown])
def test_tridiagonal_hessians(f):
    x = RNG.uniform(0.5, 1.5, 30)
    found = gpuad.hessian_sparsity(f)(x)
    np.testing.assert_array_equal(found.pattern.toarray(), band(30, 1, 1))
    assert found.products == 3
    np.testing.assert_allclose(dense(gpuad.hessian(f, sparsity="detect")(x)), gpuad.hessian(f)(x), rtol=1e-12)


@pytest.mark.parametrize(
    "f, below, above", [(broyden_tridiagonal, 1, 1), (broyden_banded, 5, 1), (brown_almost_linear, 30, 30)]
)
def test_banded_jacobians(f, below, above):
    x = RNG.normal(size=30)
    found = gpuad.jacobian_sparsity(f)(x)
    np.testing.assert_array_equal(found.pattern.toarray(), band(30, below, above))
    assert found.products == min(below + above + 1, 30)
    np.testing.assert_allclose(dense(gpuad.jacobian(f, sparsity="detect")(x)), gpuad.jacobian(f)(x), rtol=1e-12)


def test_rosenbrock_with_many_variables():
    x = RNG.normal(size=100_000)
    h = gpuad.hessian(rosenbrock, sparsity="detect")(x)
    assert isinstance(h, scipy.sparse.csr_array)
    assert h.nnz == 3 * len(x) - 2
    main = np.append(1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0.0)
    main[1:] += 200
    want = scipy.sparse.diags_array([-400 * x[:-1], main, -400 * x[:-1]], offsets=[-1, 0, 1])
    np.testing.assert_allclose((h - want).data, 0.0, atol=1e-9)


def test_an_arrow_is_symmetric_or_read_from_both_sides():
    def corner(x):
        return np.sum(x**4) + x[-1] * np.sum(np.sin(x))

    x = RNG.normal(size=40)
    found = gpuad.hessian_sparsity(corner)(x)
    assert found.products == 2
    np.testing.assert_allclose(dense(gpuad.hessian(corner, sparsity="detect")(x)), gpuad.hessian(corner)(x), atol=1e-12)

    def both(x):
        return np.concatenate([np.sum(x, keepdims=True), x[1:] ** 2 + x[0]])

    assert gpuad.jacobian_sparsity(both)(x).products == 3
    np.testing.assert_allclose(dense(gpuad.jacobian(both, sparsity="detect")(x)), gpuad.jacobian(both)(x), atol=1e-12)


def reprojections(cameras, points, of_camera, of_point):
    """Residuals of bundle adjustment: 9 numbers for each camera, 3 for each point."""
    m = 9 * cameras

    def residuals(v):
        camera, point = v[:m].reshape(cameras, 9)[of_camera], v[m:].reshape(points, 3)[of_point]
        turn, shift, focal, k1, k2 = camera[:, :3], camera[:, 3:6], camera[:, 6:7], camera[:, 7:8], camera[:, 8:9]
        angle = np.sqrt(np.sum(turn**2, axis=1, keepdims=True))
        axis = turn / angle
        along = np.sum(axis * point, axis=1, keepdims=True)
        seen = (
            point * np.cos(angle) + np.cross(axis, point) * np.sin(angle) + axis * along * (1 - np.cos(angle)) + shift
        )
        flat = -seen[:, :2] / seen[:, 2:]
        r2 = np.sum(flat**2, axis=1, keepdims=True)
        return (focal * (1 + r2 * (k1 + k2 * r2)) * flat).reshape(-1)

    return residuals


def test_bundle_adjustment():
    of_camera, of_point = np.arange(24) % 4, np.arange(24) // 3
    f = reprojections(4, 8, of_camera, of_point)
    v = RNG.uniform(0.5, 1.5, 9 * 4 + 3 * 8)
    found = gpuad.jacobian_sparsity(f)(v)
    blocks = np.zeros((24, 2, 60), bool)
    for i, (c, p) in enumerate(zip(of_camera, of_point, strict=True)):
        blocks[i, :, 9 * c : 9 * c + 9] = blocks[i, :, 36 + 3 * p : 39 + 3 * p] = True
    np.testing.assert_array_equal(found.pattern.toarray(), blocks.reshape(48, 60))
    assert found.products == 12
    np.testing.assert_allclose(
        dense(gpuad.jacobian(f, sparsity=found)(v)), gpuad.jacobian(f)(v), rtol=1e-10, atol=1e-12
    )


# -- colourings ---------------------------------------------------------------------------------------------
def random_pattern(m, n, rng):
    return scipy.sparse.csr_array(rng.random((m, n)) < rng.uniform(0.0, 0.4))


def read(plan, matrix, pattern):
    """The entries by the plan, with products of a matrix that is known."""
    along = [matrix @ (plan.columns == c) for c in range(plan.forward)]
    across = [matrix.T @ (plan.rows == c) for c in range(plan.backward)]
    numbers = np.concatenate([np.zeros(0), *along, *across])[plan.places]
    return scipy.sparse.csr_array((numbers, pattern.indices, pattern.indptr), shape=pattern.shape).toarray()


@pytest.mark.parametrize("seed", range(40))
def test_every_entry_is_read_off_random_matrices(seed):
    rng = np.random.default_rng(seed)
    pattern = random_pattern(*rng.integers(1, 25, 2), rng)
    if seed % 2 and min(pattern.shape) > 2:  # with a full row and a full column
        full = pattern.toarray()
        full[0], full[:, -1] = True, True
        pattern = scipy.sparse.csr_array(full)
    matrix = pattern.toarray() * rng.normal(size=pattern.shape)
    plan = plan_general(pattern)
    np.testing.assert_allclose(read(plan, matrix, pattern), matrix, atol=1e-12)
    assert plan.products <= min(pattern.shape)


@pytest.mark.parametrize("seed", range(40))
def test_every_entry_is_read_off_random_symmetric_matrices(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 30)
    pattern = random_pattern(n, n, rng)
    pattern = scipy.sparse.csr_array(pattern + pattern.T)
    matrix = pattern.toarray() * rng.normal(size=pattern.shape)
    matrix = matrix + matrix.T
    plan = plan_symmetric(pattern)
    np.testing.assert_allclose(read(plan, matrix, pattern), matrix, atol=1e-12)


# -- what goes in and what comes out ------------------------------------------------------------------------
def test_a_pattern_is_used_again():
    calls = []

    def f(x):
        calls.append(1)
        return np.diff(x) ** 2

    found = gpuad.jacobian_sparsity(f)(np.ones(50))
    j = gpuad.jacobian(f, sparsity=found)
    j(np.ones(50))
    calls.clear()
    x = RNG.normal(size=50)
    matrix = j(x)
    assert len(calls) == 1  # for all products at once
    np.testing.assert_allclose(dense(matrix), gpuad.jacobian(f)(x))
    assert repr(found) == "<sparsity of a 49×50 Jacobian: 98 entries from 2 products>"


@pytest.mark.parametrize(
    "given", [band(5, 1, 1), scipy.sparse.coo_matrix(band(5, 1, 1)), scipy.sparse.csc_array(band(5, 1, 1) * 2.5)]
)
def test_patterns_of_many_kinds(given):
    x = RNG.normal(size=5)
    np.testing.assert_allclose(
        dense(gpuad.jacobian(broyden_tridiagonal, sparsity=given)(x)), gpuad.jacobian(broyden_tridiagonal)(x)
    )


def test_one_triangle_is_enough_for_a_hessian():
    x = RNG.normal(size=6)
    h = gpuad.hessian(rosenbrock, sparsity=band(6, 1, 0))(x)
    np.testing.assert_allclose(dense(h), gpuad.hessian(rosenbrock)(x), rtol=1e-12)


@pytest.mark.parametrize("operator, f", [(gpuad.jacobian, broyden_tridiagonal), (gpuad.hessian, rosenbrock)])
def test_a_pattern_with_too_little_in_it_is_noticed(operator, f):
    with pytest.raises(ValueError, match="outside of the given pattern"):
        operator(f, sparsity=np.eye(9))(RNG.normal(size=9))


def test_the_pattern_may_have_too_much_in_it():
    x = RNG.normal(size=6)
    j = gpuad.jacobian(broyden_tridiagonal, sparsity=band(6, 3, 2))(x)
    np.testing.assert_allclose(dense(j), gpuad.jacobian(broyden_tridiagonal)(x), atol=1e-15)
    assert j.nnz == band(6, 3, 2).sum()


def test_arrays_of_any_shape_in_C_order():
    x = RNG.normal(size=(3, 4))
    f = lambda x: np.cumsum(x, axis=0)[1:] ** 2  # noqa: E731
    want = gpuad.jacobian(f)(x).reshape(8, 12)
    np.testing.assert_allclose(dense(gpuad.jacobian(f, sparsity="detect")(x)), want)
    scalar = gpuad.jacobian(lambda x: x**2, sparsity="detect")(3.0)
    assert scalar.toarray() == 6.0


def test_another_argument_and_keywords():
    f = lambda a, x, *, k: a * x**k  # noqa: E731
    j = gpuad.jacobian(f, 1, sparsity="detect")(2.0, np.array([1.0, 2.0]), k=2)
    np.testing.assert_allclose(dense(j), np.diag([4.0, 8.0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(dtype):
    x = np.ones(4, dtype)
    assert gpuad.jacobian(np.diff, sparsity="detect")(x).dtype == dtype
    assert gpuad.hessian(rosenbrock, sparsity="detect")(x).dtype == dtype


def test_what_does_not_vary_has_no_entries():
    j = gpuad.jacobian(lambda x: np.ones(3), sparsity="detect")(np.ones(2))
    assert j.shape == (3, 2) and j.nnz == 0
    h = gpuad.hessian(np.sum, sparsity="detect")(np.ones(2))
    assert h.shape == (2, 2) and h.nnz == 0
    assert gpuad.jacobian(np.diff, sparsity="detect")(np.zeros(0)).shape == (0, 0)


def test_on_every_backend(backend, monkeypatch):
    def on_host(parts, shape):
        """In place of the library's matrix, which the stand-ins for a device haven't."""
        assert all(backend.owns(type(part)) for part in parts)
        return scipy.sparse.csr_array(tuple(map(backend.to_numpy, parts)), shape=shape)

    monkeypatch.setattr(backend, "overrides", {**backend.overrides, "scipy.sparse.csr_array": on_host})
    x = backend.asarray(RNG.uniform(0.5, 1.5, 8))

    def f(x):
        return gnp.sum((x[1:] - x[:-1] ** 2) ** 2) + gnp.sum(x[backend.asarray([1, 3])] ** 3)

    want = backend.to_numpy(gpuad.hessian(f)(x))
    for sparsity in ("detect", band(8, 1, 1)):
        np.testing.assert_allclose(dense(gpuad.hessian(f, sparsity=sparsity)(x)), want, rtol=1e-10)
    backwards = gpuad.jacobian(lambda x: gnp.sum(x, keepdims=True) + x[:1], sparsity="detect")(x)
    np.testing.assert_allclose(dense(backwards), [[2, 1, 1, 1, 1, 1, 1, 1]])


# -- errors -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: gpuad.jacobian(np.sin, sparsity="auto"), TypeError, "expected 'detect'"),
        (lambda: gpuad.jacobian(np.sin, (0, 1), sparsity="detect"), UnsupportedError, "one argument"),
        (lambda: gpuad.jacobian(np.sin, sparsity="detect")({"a": np.ones(2)}), UnsupportedError, "single array"),
        (
            lambda: gpuad.jacobian(lambda x: [x], sparsity="detect")(np.ones(2)),
            UnsupportedError,
            "return a single array",
        ),
        (lambda: gpuad.jacobian(np.sin, sparsity="detect")(np.ones(2) * 1j), UnsupportedError, "must be real"),
        (
            lambda: gpuad.jacobian(lambda x: x * 1j, sparsity="detect")(np.ones(2)),
            NotDifferentiableError,
            "real numbers",
        ),
        (lambda: gpuad.jacobian(np.sin, sparsity="detect")(np.arange(3)), NotDifferentiableError, "int64"),
        (lambda: gpuad.jacobian(np.sin, sparsity=np.eye(3))(np.ones(2)), ValueError, "3 columns"),
        (lambda: gpuad.jacobian(np.diff, sparsity=np.eye(3))(np.ones(3)), ValueError, "3 rows"),
        (lambda: gpuad.hessian(np.sum, sparsity=np.ones((2, 3))), ValueError, "square"),
        (lambda: gpuad.hessian(np.sin, sparsity="detect")(np.ones(2)), NotDifferentiableError, "real scalar"),
        (lambda: gpuad.jacobian(np.sin, sparsity="detect", mode="forward"), TypeError, "leave out mode"),
        (lambda: gpuad.jacobian(3.0, sparsity="detect"), TypeError, "expected a function"),
        (
            lambda: gpuad.grad(lambda x: gpuad.jacobian(np.sin, sparsity="detect")(x).sum())(np.ones(2)),
            UnsupportedError,
            "can't be traced",
        ),
        (
            lambda: gpuad.grad(lambda a: gpuad.jacobian(lambda x: a * x, sparsity="detect")(np.ones(2)).sum())(1.0),
            UnsupportedError,
            "leave out sparsity",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_is_not_sparse_says_so_before_memory_is_gone():
    with pytest.raises(UnsupportedError, match="isn't sparse: spread"):
        gpuad.hessian(lambda x: np.sum(x) ** 2, sparsity="detect")(np.ones(100_000))


def test_without_scipy():
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "import numpy as np, gpuad\n"
        "try: gpuad.jacobian(np.sin, sparsity='detect')\n"
        "except ImportError as e: assert 'pip install scipy' in str(e), e\n"
        "else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

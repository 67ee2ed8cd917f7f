"""vmap: what it means, and for every sample that the batch is the examples one by one. Jacobians, which are batches."""

from __future__ import annotations

import warnings
import zlib

import numpy
import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, hessian, jacfwd, jacobian, jacrev, jvp, vjp, vmap
from gpuad.core import batch
from gpuad.core.box import Box
from gpuad.errors import LeakedTracerError, NotDifferentiableError, UnsupportedError
from samples import all_samples
from test_ops import flat, inputs

SAMPLES = all_samples()

#: Primitives that are evaluated example by example, with a warning: no other may be.
LOOPED = set(
    "as_strided eig_pair eigh_pair lu lu_pivots normal_cdf qr_pivots quad recursive_filter roots row_order "
    "scipy.linalg.eig "
    "scipy.linalg.eigh scipy.linalg.expm scipy.linalg.fractional_matrix_power scipy.linalg.logm "
    "scipy.linalg.solve_continuous_are scipy.linalg.solve_discrete_are scipy.linalg.solve_discrete_lyapunov "
    "scipy.linalg.solve_sylvester scipy.linalg.sqrtm scipy.ndimage.correlate scipy.ndimage.map_coordinates "
    "scipy.ndimage.spline_filter1d scipy.signal.convolve sliding_products solve_banded solve_toeplitz "
    "spline_spread unitary_factor".split()
)

#: Samples that ask for values, which differ from example to example: how long a result is, a rank, a bound.
REFUSED = (
    "polymul[ polydiv[ unique[ mask[4] quad[0d,0d,0d] adjoint_ode[ nonzero[ argwhere[ flatnonzero[ "
    "orth[ extract[ extract=squared[ histogram[ histogram=edges[ histogram2d["
).split()


def refused(s):
    return any(s.label.startswith(start.replace("=", " ")) for start in REFUSED)


def examples(s, backend, dtype, n):
    """Inputs of a sample, and others near them that suit it as well, along a first axis."""
    rng = numpy.random.default_rng(zlib.crc32(s.label.encode()) + 1)
    return [
        backend.asarray(a * rng.uniform(1 - 1e-3, 1, (n, *a.shape)).astype(a.dtype))
        for a in inputs(s, gpuad.backend.get("numpy"), dtype)
    ]


WEIGHTS = (1.0, 0.5, 0.25, 0.125, 2.0, 3.0, 4.0)


def values_and_gradients(s, args):
    """Results, and gradients of their weighted sum, if any of them has one."""
    value, pullback = vjp(lambda *a: flat(s.f(gnp, *a)), *args)
    if not any(gnp.asarray(v).dtype.kind in "fc" for v in value):
        return value
    return [*value, *pullback([gnp.ones_like(v) * w for v, w in zip(value, WEIGHTS, strict=False)])]


@pytest.mark.filterwarnings("ignore:vmap")
@pytest.mark.parametrize("s", SAMPLES, ids=lambda s: s.label)
def test_batched_as_one_by_one(s, backend, monkeypatch):
    monkeypatch.setattr(batch, "_warned", set())
    args = examples(s, backend, "complex128" if s.complex else "float32", 2)
    choices = [(0,) * len(args)]
    if len(args) > 1 and backend.name == "numpy":
        choices += [tuple(0 if i == k else None for i in range(len(args))) for k in range(len(args))]
    for axes in choices:
        given = [a if axis == 0 else a[0] for a, axis in zip(args, axes, strict=True)]
        with numpy.errstate(all="ignore"):
            if refused(s) and axes == choices[0]:
                with pytest.raises(UnsupportedError):
                    vmap(lambda *a: values_and_gradients(s, a), in_axes=axes)(*given)
                return
            got = vmap(lambda *a: values_and_gradients(s, a), in_axes=axes)(*given)
            want = [
                values_and_gradients(s, [a[i] if axis == 0 else a for a, axis in zip(given, axes, strict=True)])
                for i in range(2)
            ]
        for g, several in zip(got, zip(*want, strict=True), strict=True):
            assert type(g) is not Box
            g, w = backend.to_numpy(g), numpy.stack([backend.to_numpy(v) for v in several])
            assert (g.shape, g.dtype) == (w.shape, w.dtype)
            tolerance = 1e-9 if s.complex else 2e-4
            scale = max(1.0, float(numpy.max(numpy.abs(w[numpy.isfinite(w)]), initial=0)))
            numpy.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale)
    assert batch._warned <= LOOPED


@pytest.mark.filterwarnings("ignore:vmap")
@pytest.mark.parametrize("s", [s for s in SAMPLES if s.order], ids=lambda s: s.label)
def test_a_pullback_of_many_cotangents(s):
    """What Jacobians are made of: the values are the same for all, the cotangents aren't."""
    args = inputs(s, gpuad.backend.get("numpy"))
    with numpy.errstate(all="ignore"):
        value, pullback = vjp(lambda *a: [y for y in flat(s.f(gnp, *a)) if gnp.asarray(y).dtype.kind in "fc"], *args)
        many = [numpy.stack([numpy.cos(y), numpy.ones_like(y)]) for y in value]
        if not many:
            return
        got = vmap(pullback)(many)
        want = [pullback([c[i] for c in many]) for i in range(2)]
    for g, w in zip(got, map(numpy.stack, zip(*want, strict=True)), strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        numpy.testing.assert_allclose(g, w, rtol=1e-7, atol=1e-9 * max(1.0, numpy.max(abs(w), initial=0)))


# -- where examples lie -------------------------------------------------------------------------------
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))


def same(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_axes_in_and_out():
    m = RNG.normal(size=(2, 3, 4))
    for i in range(-3, 3):
        for o in range(-2, 2):
            same(vmap(lambda a: a.sum(0) * 2, i, o)(m), np.moveaxis(np.moveaxis(m, i, 0).sum(1) * 2, 0, o))
    same(vmap(lambda a, b: a + b, (0, None))(X, X[0]), X + X[0])
    same(vmap(lambda a, b: a + b, [1, 0], 1)(X, X.T), X + X)


def test_containers_are_followed_as_far_as_the_axes_go():
    tree = {"w": X, "more": (X[:, 0], 2.0)}

    def f(t, y):
        return {"sum": t["w"].sum() * t["more"][1], "rest": (t["more"][0] + y, y)}

    got = vmap(f, ({"w": 0, "more": (0, None)}, None), {"sum": 0, "rest": (0, None)})(tree, 3.0)
    same(got["sum"], X.sum(1) * 2)
    same(got["rest"][0], X[:, 0] + 3)
    assert got["rest"][1] == 3.0
    same(vmap(lambda t: t["a"] * t["b"])({"a": X, "b": X}), X * X)
    same(vmap(lambda x, scale: x * scale)(X, scale=np.arange(5.0)), X * np.arange(5.0)[:, None])


def test_what_is_the_same_for_all_is_repeated():
    got = vmap(lambda x: (1.0, np.ones(2)))(X)
    same(got[0], np.ones(5))
    same(got[1], np.ones((5, 2)))
    got[1][0, 0] = 2.0  # an array of its own
    same(vmap(lambda x: x)(X), X)
    assert not np.shares_memory(vmap(lambda x: x)(X), X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: vmap(np.sin)(2.0), ValueError, "argument 0 has shape"),
        (lambda: vmap(np.add)(X, X[:3]), ValueError, r"argument 0 has 5 along axis 0, argument 1 has 3 along axis 0"),
        (lambda: vmap(np.add, (0, 1))(X, X), ValueError, "argument 1 has 4 along axis 1"),
        (lambda: vmap(np.sin, 2)(X), ValueError, "no axis 2"),
        (lambda: vmap(np.sin, None)(X), ValueError, "no argument has an axis of examples"),
        (lambda: vmap(np.add, (0,))(X, X), ValueError, "in_axes has 1 entries, but there are 2"),
        (lambda: vmap(np.sin, "x")(X), TypeError, "in_axes"),
        (lambda: vmap(np.sin, ((0, 0),))(X), ValueError, "in_axes has"),
        (lambda: vmap(lambda a: a["x"])({"x": "words"}), TypeError, r"argument 0\['x'\]"),
        (lambda: vmap(np.sin, 0, None)(X), ValueError, "differs from example to example"),
        (lambda: vmap(np.sin, 0, 2)(X), ValueError, "out_axes is 2"),
        (lambda: vmap(lambda a: "words")(X), TypeError, "returned 'words'"),
        (lambda: vmap(3)(X), TypeError, "expected a function"),
    ],
)
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_values_differ_so_they_decide_nothing():
    for f in (lambda x: x if x.sum() > 0 else -x, lambda x: float(x[0]), lambda x: int(x[0]), lambda x: x[x > 0]):
        with pytest.raises((UnsupportedError, TypeError)):
            vmap(f)(X)
    same(vmap(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), x))(X), np.where(X > 0, np.log(abs(X)), X))
    same(vmap(grad(lambda x: np.sum(np.where((x > 0) & ~(x > 1), np.sqrt(x), 0.0))))(abs(X)),
         np.where(abs(X) <= 1, 0.5 / np.sqrt(abs(X)), 0.0))  # fmt: skip


def test_a_leaked_example_is_an_error():
    kept = []
    vmap(lambda x: kept.append(x) or x)(X)
    with pytest.raises(LeakedTracerError):
        np.sin(kept[0])


def test_loops_warn_once(monkeypatch):
    monkeypatch.setattr(batch, "_warned", set())
    square = gpuad.primitive(lambda x: x * x)
    gpuad.defvjp(square, lambda g, ans, x: 2 * g * x)
    with pytest.warns(RuntimeWarning, match="example by example"):
        same(vmap(grad(lambda x: square(x).sum()))(X), 2 * X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(vmap(np.tanh)(X), np.tanh(X))


# -- with other transformations -----------------------------------------------------------------------
def f(w, x):
    return np.sum(np.tanh(w @ x) ** 2 * x[0])


W = RNG.normal(size=(3, 4))


def test_gradients_of_each_example():
    same(vmap(grad(f), (None, 0))(W, X), [grad(f)(W, x) for x in X])
    same(vmap(grad(f, 1), (None, 0))(W, X), [grad(f, 1)(W, x) for x in X])


def test_nested_with_gradients_and_tangents():
    one_by_one = np.array([[f(w, x) for x in X] for w in (W, 2 * W)])
    ws = np.stack([W, 2 * W])
    same(vmap(vmap(f, (None, 0)), (0, None))(ws, X), one_by_one)
    same(vmap(vmap(f, (0, None)), (None, 0))(ws, X), one_by_one.T)
    same(grad(lambda w: vmap(lambda x: f(w, x))(X).sum())(W), sum(grad(f)(W, x) for x in X))
    same(jvp(lambda w: vmap(f, (None, 0))(w, X), (W,), (W,))[1], [np.sum(grad(f)(W, x) * W) for x in X])
    same(vmap(lambda x: jvp(lambda y: f(W, y), (x,), (x,))[1])(X), [grad(f, 1)(W, x) @ x for x in X])
    pullback = vjp(lambda x: np.sin(W @ x), X[0])[1]
    same(vmap(pullback)(np.eye(3))[0], np.cos(W @ X[0])[:, None] * W)
    same(vmap(lambda x: hessian(lambda y: f(W, y))(x))(X), [hessian(lambda y: f(W, y))(x) for x in X])
    same(grad(lambda x: vmap(grad(lambda y, c: np.sum(np.sin(c * y))), (None, 0))(x, X).sum())(X[0]),
         -np.sum(np.sin(X * X[0]) * X * X, 0))  # fmt: skip


def test_what_is_batched_outside_may_be_read_inside():
    same(vmap(lambda x: grad(lambda w: f(w, x))(W))(X), [grad(f)(W, x) for x in X])
    same(vmap(lambda x: vmap(lambda y: x @ y)(X))(X), X @ X.T)


# -- indices and writing ------------------------------------------------------------------------------
A = RNG.normal(size=(3, 3, 3, 3))
FIRST, J = RNG.integers(0, 2, (3, 2)), RNG.integers(-2, 2, (3, 1, 2))
K = RNG.integers(0, 3, 3)
MASK = np.array([True, False, True])
KEYS = {
    "i": lambda i, j, k: i,
    "k": lambda i, j, k: k,
    ":,i": lambda i, j, k: (slice(None), i),
    "i,j": lambda i, j, k: (i, j),
    "i,:,j": lambda i, j, k: (i, slice(None), j),
    ":,i,j": lambda i, j, k: (slice(1, None), i, j),
    "...,i": lambda i, j, k: (Ellipsis, i),
    "i,...,0": lambda i, j, k: (i, Ellipsis, 0),
    "0,i": lambda i, j, k: (0, i),
    "0,:,i": lambda i, j, k: (0, slice(None), i),
    "None,i": lambda i, j, k: (None, i),
    "i,None,j": lambda i, j, k: (i, None, j),
    ":,k": lambda i, j, k: (slice(None), k),
    ":,k,::2": lambda i, j, k: (slice(None), k, slice(None, None, 2)),
    "k,:,k": lambda i, j, k: (k, slice(None), k),
    "mask,i": lambda i, j, k: (MASK, i),
    ":,mask,k": lambda i, j, k: (slice(None), MASK, k),
}


@pytest.mark.parametrize("name", KEYS)
def test_indices_of_each_example(name):
    key = KEYS[name]

    def read(a, i, j, k):
        return np.sin(a[key(i, j, k)])

    def write(a, i, j, k):
        a, b = a * 1.0, a * 2.0
        a[key(i, j, k)] = 1.5
        b[key(i, j, k)] += a[0, 0, 0] * b[key(i, j, k)]
        return a * b

    batches = (A, FIRST, J, K)
    for axes in ((0, 0, 0, 0), (None, 0, 0, 0), (0, None, None, None), (0, 0, None, 0), (None, 0, None, None)):
        given = [x if axis == 0 else x[0] for x, axis in zip(batches, axes, strict=True)]
        each = [[x[n] if axis == 0 else x for x, axis in zip(given, axes, strict=True)] for n in range(3)]
        for g in (read, write):
            if g is write and axes[0] is None:
                continue
            same(vmap(g, axes)(*given), [g(*a) for a in each])
            slope = grad(lambda a, *rest, g=g: np.sum(g(a, *rest) ** 2))
            same(vmap(slope, axes)(*given), [slope(*a) for a in each])
        total = grad(lambda a: np.sum(vmap(read, axes)(a, *given[1:]) ** 2))  # noqa: B023
        parts = [grad(lambda a, *rest: np.sum(read(a, *rest) ** 2))(*a) for a in each]
        same(total(given[0]), np.stack(parts) if axes[0] == 0 else sum(parts))


def test_writes_through_views_and_into_arrays_made_inside():
    def g(x, i):
        y = gnp.zeros((2, 4))
        y[0], y.T[1:3, 1] = x, x[:2]
        y.reshape(-1)[i] = x.sum()
        y[:, ::-1][1, :2] *= x[3]
        z = y.copy()
        z += x
        np.add.at(z, (gnp.array([0, 0]), gnp.array([1, 1])), x[:2])
        return np.sum(z * y)

    i = np.array([0, 7, 3, 4, 4])
    for h in (g, grad(g)):
        same(vmap(h, (0, 0))(X, i), [h(x, k) for x, k in zip(X, i, strict=True)])
        same(vmap(h, (0, None))(X, 3), [h(x, 3) for x in X])
    same(grad(lambda x: vmap(g)(x, i).sum())(X), [grad(g)(x, k) for x, k in zip(X, i, strict=True)])


def test_a_mask_of_each_example_takes_one_number():
    def g(x):
        y, z = x * 2.0, np.outer(x, x)
        y[x > 0] = 3.0
        z[x < 0.5] = x[0]
        return np.sum(y * z.sum(0))

    for h in (g, grad(g)):
        same(vmap(h)(X), [h(x) for x in X])


def test_functions_that_compare():
    for h in (
        lambda x: np.isclose(x, x[::-1], atol=0.5),
        lambda x: np.argsort(x) % 2 | (x > 0),
        lambda x: x[np.argmax(x)],
        lambda x: np.select([x > 0, x < -1], [x, x * x], 0.0),
        lambda x: gnp.take(np.arange(4.0), np.argsort(x)),
        lambda x: np.choose((x > 0).astype(int), [x, 2 * x]),
    ):
        same(vmap(h)(X), [h(x) for x in X])


# -- Jacobians ----------------------------------------------------------------------------------------
def rows(x):
    return np.tanh(W @ x)


def test_jacobians_from_either_side_agree():
    want = (1 - np.tanh(W @ X[0]) ** 2)[:, None] * W
    for mode in ("auto", "forward", "reverse"):
        same(jacobian(rows, mode=mode)(X[0]), want)
    same(jacfwd(rows)(X[0]), want)
    same(jacrev(rows)(X[0]), want)
    wide = {"a": X[0], "b": (2.0, X[:2])}

    def g(t):
        return [t["a"] * t["b"][0], np.sum(t["b"][1]) * t["a"][:2]]

    for by_row, by_column in zip(jacrev(g)(wide), jacfwd(g)(wide), strict=True):
        same(by_row["a"], by_column["a"])
        same(by_row["b"][0], by_column["b"][0])
        same(by_row["b"][1], by_column["b"][1])
    same(jacfwd(jacrev(lambda x: f(W, x)))(X[0]), jacrev(jacfwd(lambda x: f(W, x)))(X[0]))
    same(jacrev(lambda x: x * 2, 0)(np.zeros(0)), np.zeros((0, 0)))


def test_a_large_jacobian_goes_in_pieces(monkeypatch):
    calls = []
    monkeypatch.setattr(type(gpuad.backend.get("numpy")), "at_once", 100)
    monkeypatch.setattr("gpuad.transforms.jacobians._FEW", 1)
    x = RNG.normal(size=50)
    for jac in (jacrev, jacfwd):
        same(jac(lambda x: calls.append(1) or x[::-1] * x)(x), np.diag(x)[:, ::-1] + np.diag(x[::-1]))
    assert len(calls) == 1 + 25


def test_complex_jacobians_by_the_convention():
    z = RNG.normal(size=3) + 1j * RNG.normal(size=3)
    same(jacrev(lambda z: np.abs(z) ** 2)(z), np.diag(2 * z.conj()))
    for jac in (jacrev, jacfwd):
        same(jac(lambda z: z**2, holomorphic=True)(z), np.diag(2 * z))
        with pytest.raises(NotDifferentiableError, match="holomorphic"):
            jac(lambda z: z**2)(z)


def test_least_squares_of_one_rank():
    """How many residuals there are depends on the rank, which has to be one."""
    a, b = numpy.eye(4, 2) + numpy.arange(3.0)[:, None, None] / 9, numpy.ones((3, 4))
    for k, (x, left) in enumerate(zip(*vmap(lambda a, b: np.linalg.lstsq(a, b)[:2])(a, b), strict=True)):
        want = numpy.linalg.lstsq(a[k], b[k])
        numpy.testing.assert_allclose(x, want[0], rtol=1e-12)
        numpy.testing.assert_allclose(left, want[1], rtol=1e-12)
    a[1] = 1.0
    with pytest.raises(UnsupportedError, match=r"ranks \[1, 2\].*pinv"):
        vmap(lambda a, b: np.linalg.lstsq(a, b)[0])(a, b)

"""Forward mode: every primitive against reverse mode, and jvp, linearize and defjvp by themselves."""

import math

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jvp, linearize, vjp
from gpuad.core.box import Box
from gpuad.core.pytree import leaves
from gpuad.ops import elementwise, shape
from gpuad.test_util import _inner, _random_like, check_grads
from samples import all_samples
from test_ops import _differentiable, flat, inputs

SAMPLES = all_samples()
BOTH_KINDS = pytest.mark.parametrize(
    ("s", "dtype"),
    [(s, dtype) for s in SAMPLES for dtype in ["float64"] + ["complex128"] * s.complex],
    ids=lambda p: p if isinstance(p, str) else p.label,
)


def agree(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


# -- every primitive --------------------------------------------------------------------------------
@BOTH_KINDS
def test_forward_and_reverse_are_each_others_transpose(s, dtype, backend):
    """⟨u, jvp(t)⟩ = ⟨vjp(u), t⟩, for the function and, forward over reverse, for its pullback."""
    args = tuple(inputs(s, backend, dtype))

    def f(*a):
        return _differentiable(s.f(gnp, *a))

    rng = np.random.default_rng(1)
    t = _random_like(args, rng)
    value, pullback = vjp(f, *args)
    u = _random_like(value, rng)
    same, moved = jvp(f, args, t)
    for (_, x), (_, y), (_, m) in zip(leaves(value), leaves(same), leaves(moved), strict=True):
        assert type(m) is not Box
        assert type(y) is not Box
        x, y, m = (np.asarray(backend.to_numpy(a) if backend.owns(type(a)) else a) for a in (x, y, m))
        if x.dtype.kind == "c":
            # NumPy's, not ours: it has two loops for squares and products of complex numbers, of which one uses fused
            # multiply-adds and so rounds once less. Which of them runs depends on where memory lies: called twice,
            # np.square(np.complex128(-3.2504860853900133 + 0.14159070019655995j)) may give two results.
            np.testing.assert_allclose(x, y, rtol=1e-15, atol=1e-15 * np.max(np.abs(x), initial=0.0))
        else:
            np.testing.assert_array_equal(x, y)
        assert (m.shape, m.dtype) == (y.shape, y.dtype)
    pulled = pullback(u)
    agree(_inner(u, moved), _inner(pulled, t))
    agree(_inner(u, linearize(f, *args)[1](*t)), _inner(pulled, t))

    if s.order > 1 and backend.name == "numpy":  # nesting is the same on every backend
        v = _random_like(args, rng)
        gradient = lambda *a: vjp(f, *a)[1](u)  # noqa: E731
        over_forward = jvp(gradient, args, t)[1]
        over_reverse = vjp(gradient, *args)[1](v)
        agree(_inner(v, over_forward), _inner(over_reverse, t))
        # Forward over forward: the derivative of ⟨u, jvp(t)⟩ is that of ⟨vjp(u), t⟩.
        tangent = lambda *a: jvp(f, a, t)[1]  # noqa: E731
        agree(_inner(u, jvp(tangent, args, v)[1]), _inner(over_forward, v))


@pytest.mark.parametrize("s", SAMPLES, ids=lambda s: s.label)
def test_tangents_keep_the_dtype(s):
    args = tuple(inputs(s, gpuad.backend.get("numpy"), "float32"))
    tangents = tuple(_random_like(args, np.random.default_rng(0)))
    with np.errstate(all="ignore"):
        value, moved = jvp(lambda *a: flat(s.f(gnp, *a)), args, tangents)
    for v, m in zip(value, moved, strict=True):
        assert m.dtype == v.dtype


# -- jvp ------------------------------------------------------------------------------------------
def test_numbers_and_containers():
    value, t = jvp(
        lambda p, k: {"out": p["w"] * k, "n": 3}, ({"w": np.array([1.0, 2.0])}, 3.0), ({"w": np.array([1.0, 0.0])}, 1)
    )
    agree(value["out"], [3, 6])
    agree(t["out"], [4, 2])
    assert value["n"] == 3
    assert t["n"] == 0
    value, t = jvp(math_free, (2.0,), (1.0,))
    assert type(value) is np.float64 is type(t)
    agree(t, np.cos(2.0))


def math_free(x):
    return np.sin(x)


def test_an_output_that_does_not_move():
    _, t = jvp(lambda x: (np.ones(2), np.floor(x), 1.5), (np.array([1.5]),), (np.array([1.0]),))
    agree(t[0], [0, 0])
    agree(t[1], [0])
    assert t[2] == 0


def test_aux_is_a_value():
    value, t, aux = jvp(lambda x: (x * x, {"x": x}), (3.0,), (1.0,), has_aux=True)
    assert (value, t, aux["x"]) == (9.0, 6.0, 3.0)
    with pytest.raises(TypeError, match=r"jvp: with has_aux=True the function must return \(output, aux\)"):
        jvp(np.sin, (3.0,), (1.0,), has_aux=True)


def test_results_have_memory_of_their_own():
    x, t = np.ones(3), np.ones(3)
    _, moved = jvp(lambda x: (x, x, np.broadcast_to(x, (2, 3))), (x,), (t,))
    for m in moved:
        m[:] = 7.0
    agree(t, 1)
    agree(moved[0], 7)


def test_large_arrays():
    """Large enough for kernels."""
    x = np.random.default_rng(0).normal(size=200_000)
    t = np.random.default_rng(1).normal(size=200_000)
    value, moved = jvp(lambda x: np.exp(-x) * np.sin(3.0 * x), (x,), (t,))
    agree(value, np.exp(-x) * np.sin(3 * x))
    agree(moved, t * np.exp(-x) * (3 * np.cos(3 * x) - np.sin(3 * x)))
    assert type(value) is np.ndarray is type(moved)
    hessian_product = jvp(grad(lambda x: np.sum(x**4)), (x,), (t,))[1]
    agree(hessian_product, 12 * x**2 * t)


@pytest.mark.parametrize(
    ("primals", "tangents", "message"),
    [
        (1.0, (1.0,), "primals must be a tuple"),
        ((1.0,), 1.0, "tangents must be a tuple"),
        ((1.0,), (1.0, 2.0), "1 primals, but 2 tangents"),
        (
            (1.0, np.ones(2)),
            (1.0, np.ones(3)),
            r"tangent of argument 1 has shape \(3,\), but argument 1 has \(2,\)",
        ),
        (({"w": np.ones(2)},), ({"w": np.ones(1)},), r"tangent of argument 0\['w'\] has shape"),
        (({"w": np.ones(2)},), (np.ones(2),), "must have the containers of argument 0"),
        ((1.0,), (1j,), "the tangent of argument 0 is of complex128, but argument 0 of float64"),
        ((3,), (1.0,), "argument 0 is 3, an int"),
        ((np.arange(3),), (np.ones(3),), "argument 0 is an array of int64"),
    ],
)
def test_errors_name_the_argument(primals, tangents, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jvp(lambda *a: a[0] * 1.0, primals, tangents)


def test_a_kept_value_is_an_error():
    kept = []
    jvp(lambda x: kept.append(x) or x, (1.0,), (1.0,))
    for use in (lambda x: x + 1.0, np.sin):
        with pytest.raises(gpuad.errors.LeakedTracerError):
            use(kept[0])
    jvp(lambda x: kept.append(x) or x, (np.ones(3),), (np.ones(3),))
    with pytest.raises(gpuad.errors.LeakedTracerError):
        kept[1][0]


# -- nesting --------------------------------------------------------------------------------------
def test_forward_over_forward_to_the_fourth_derivative():
    f = np.exp
    derivative = lambda f: lambda x: jvp(f, (x,), (1.0,))[1]  # noqa: E731
    for _ in range(4):
        f = derivative(lambda x, f=f: f(2.0 * x))
    agree(f(0.1), 2.0 ** (1 + 2 + 3 + 4) * np.exp(2**4 * 0.1))


def test_closures_over_values_of_another_level():
    """An inner derivative doesn't mistake the outer's motion for its own."""
    inner = lambda x: jvp(lambda y: x + y, (1.0,), (1.0,))[1]  # noqa: E731
    assert jvp(lambda x: x * inner(x), (2.0,), (1.0,))[1] == 1.0
    assert grad(lambda x: x * inner(x))(2.0) == 1.0
    assert jvp(lambda x: grad(lambda y: x * y * y)(3.0), (2.0,), (1.0,))[1] == 6.0
    assert grad(lambda x: jvp(lambda y: x * y * y, (3.0,), (1.0,))[1])(2.0) == 6.0
    # the outer value is the tangent, or in the point
    assert jvp(lambda x: jvp(lambda y: y**3, (2.0,), (x,))[1], (5.0,), (1.0,))[1] == 12.0
    assert grad(lambda x: jvp(lambda y: y**3, (x,), (x,))[1])(2.0) == 36.0


def test_hessian_product_of_rosenbrock():
    x = np.linspace(-1, 1, 6)
    v = np.linspace(2, 1, 6)
    f = lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)  # noqa: E731
    hessian = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    hessian[range(5), range(5)] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    hessian[range(1, 6), range(1, 6)] += 200
    agree(jvp(grad(f), (x,), (v,))[1], hessian @ v)
    agree(grad(lambda x: jvp(f, (x,), (v,))[1])(x), hessian @ v)


# -- linearize --------------------------------------------------------------------------------------
def test_linearize_calls_the_function_once_and_nests():
    calls = []

    def f(x):
        calls.append(1)
        return {"y": np.sin(x) * x[::-1]}

    x = np.array([0.5, 1.5])
    _, f_jvp = linearize(f, x)
    for t in np.eye(2):
        agree(f_jvp(t)["y"], jvp(f, (x,), (t,))[1]["y"])
    assert len(calls) == 3
    agree(grad(lambda x: np.sum(linearize(np.sin, x)[1](np.ones(2))))(x), -np.sin(x))
    with pytest.raises(ValueError, match=r"linearize: the tangent of argument 0 has shape \(3,\)"):
        f_jvp(np.ones(3))
    with pytest.raises(TypeError, match="1 arguments, but 2 tangents"):
        f_jvp(x, x)


# -- rules by hand ------------------------------------------------------------------------------------
def test_a_primitive_with_a_vjp_alone():
    @gpuad.primitive
    def scaled(x, y, *, factor):
        return factor * x * y

    gpuad.defvjp(scaled, lambda g, ans, x, y, factor: factor * g * y, lambda g, ans, x, y, factor: factor * g * x)
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    agree(jvp(lambda x, y: scaled(x, y, factor=2.0), (x, y), (y, x))[1], 2 * (y * y + x * x))
    agree(jvp(grad(lambda x: np.sum(scaled(x, x, factor=2.0))), (x,), (y,))[1], 4 * y)


def test_defjvp():
    seen = []

    @gpuad.primitive
    def power(x, n, *, scale=1.0):
        assert type(x) is np.ndarray
        return scale * x**n

    def rule(t, ans, x, n, scale=1.0):
        seen.append(scale)
        return scale * n * x ** (n - 1.0) * t

    gpuad.defjvp(power, rule, None)
    x = np.array([1.0, 2.0])
    agree(jvp(lambda x: power(x, 3.0, scale=2.0), (x,), (x,))[1], 6 * x**3)
    assert seen == [2.0]
    agree(jvp(lambda n: power(x, n), (3.0,), (1.0,))[1], 0)  # None: it stays
    twice = jvp(lambda x: jvp(lambda x: power(x, 3.0), (x,), (x,))[1], (x,), (np.ones(2),))[1]
    agree(twice, 9 * x**2)


def test_defjvp_of_several_results():
    @gpuad.primitive
    def both(x, y):
        return x * y, x + y

    gpuad.defjvp(both, lambda t, ans, x, y: (t * y, t), lambda t, ans, x, y: (t * x, 0.0 * t))
    _, (product, total) = jvp(both, (2.0, 3.0), (1.0, 10.0))
    assert (product, total) == (23.0, 1.0)


def test_defjvp_argnums_and_errors():
    @gpuad.primitive
    def f(x, y):
        return x * y

    with pytest.raises(gpuad.errors.MissingRuleError, match="f has no derivative rule for argument 0"):
        jvp(f, (1.0, 2.0), (1.0, 1.0))
    gpuad.defjvp(f, lambda t, ans, x, y: x * t, argnums=(1,))
    with pytest.raises(gpuad.errors.MissingRuleError, match=r"argument 0.*\n?.*argnums=\(0,\)"):
        jvp(f, (1.0, 2.0), (1.0, 1.0))
    gpuad.defjvp(f, lambda t, ans, x, y: np.ones(3), argnums=(0,))
    with pytest.raises(gpuad.errors.RuleError, match=r"JVP of argument 0 returned shape \(3,\), but the result has"):
        jvp(f, (1.0, 2.0), (1.0, 1.0))
    with pytest.raises(TypeError, match="defjvp: expected a primitive"):
        gpuad.defjvp(math.sin, lambda t, ans, x: t)
    with pytest.raises(TypeError, match="a rule must be a function or None"):
        gpuad.defjvp(f, 3)


def test_results_that_nobody_uses_have_no_tangent():
    """The tangent of a result may not exist, and that of another one still be asked for."""

    @gpuad.primitive
    def split(x):
        return x[0], x[1]

    def rule(g, ans, x):
        if g[1] is not None:
            raise gpuad.errors.UnsupportedError("no derivative of the second")
        return np.array([1.0, 0.0]) * g[0]

    gpuad.defvjp(split, rule)
    x = np.array([2.0, 3.0])
    assert jvp(lambda x: 2.0 * split(x)[0], (x,), (x,))[1] == 4.0
    with pytest.raises(gpuad.errors.UnsupportedError, match="no derivative of the second"):
        jvp(lambda x: 2.0 * split(x)[1], (x,), (x,))


# -- rules that differ from the VJP -------------------------------------------------------------------
def test_what_is_not_holomorphic():
    z, t = np.array([3.0 + 4.0j]), np.array([1.0 - 2.0j])
    for f, want in [
        (np.abs, (3 * 1 + 4 * -2) / 5),
        (np.real, 1.0),
        (np.imag, -2.0),
        (np.conj, 1 + 2j),
        (np.angle, (3 * -2 - 4 * 1) / 25),
        (lambda z: np.abs(z) ** 2, 2 * (3 * 1 + 4 * -2)),
    ]:
        got = jvp(f, (z,), (t,))[1]
        agree(got, [want])
        assert got.dtype == f(z).dtype


def test_what_is_affine_moves_by_its_linear_part():
    x, t = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    agree(jvp(lambda x: np.pad(x, 1, constant_values=5.0), (x,), (t,))[1], [0, 10, 20, 0])
    agree(jvp(lambda x: np.concatenate([x, np.arange(2)]), (x,), (t,))[1], [10, 20, 0, 0])
    agree(jvp(lambda x: np.stack([x[0], 7.0, 3]), (x,), (t,))[1], [10, 0, 0])
    agree(jvp(lambda x: x[np.array([1, 1])], (x,), (t,))[1], [20, 20])
    agree(jvp(lambda x: np.where(x > 1.5, x, 3.0), (x,), (t,))[1], [0, 20])
    assert shape.pad.jvp is not None
    assert elementwise.where.jvp is not None


def test_against_central_differences():
    """Of a program: what the transposes are compared with elsewhere could be wrong as well."""

    def program(x, w):
        h = np.tanh(x @ w)
        return np.linalg.solve(np.eye(3) + h.T @ h, np.sum(h, axis=0)) / np.linalg.norm(h)

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    tx, tw = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    step = 1e-5
    numeric = (program(x + step * tx, w + step * tw) - program(x - step * tx, w - step * tw)) / (2 * step)
    np.testing.assert_allclose(jvp(program, (x, w), (tx, tw))[1], numeric, rtol=1e-7)
    check_grads(lambda x, w: jvp(program, (x, w), (tx, tw))[1], (x, w), order=1)

"""custom_vjp and custom_jvp: rules stated as in JAX, and what becomes of them under other transformations."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest

import gpuad
from gpuad import custom_jvp, custom_vjp, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from gpuad.core.pytree import leaves
from gpuad.errors import MissingRuleError, RuleError, UnsupportedError

X = np.array([0.3, -0.7, 1.2])
V = np.array([1.0, 0.5, -0.25])


def product(x, y):
    return np.sin(x) * y**2


def by_vjp(scale=1.0):
    """``product``, with gradients times ``scale``, which tells that the rule was used."""
    f = custom_vjp(product)

    def fwd(x, y):
        return f(x, y), (x, y)

    def bwd(residuals, g):
        x, y = residuals
        return scale * g * np.cos(x) * y**2, scale * g * 2.0 * np.sin(x) * y

    f.defvjp(fwd, bwd)
    return f


def by_jvp(scale=1.0):
    f = custom_jvp(product)

    @f.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return f(x, y), scale * (np.cos(x) * y**2 * dx + 2.0 * np.sin(x) * y * dy)

    return f


def by_jvps(scale=1.0):
    f = custom_jvp(product)
    f.defjvps(
        lambda t, ans, x, y: scale * t * np.cos(x) * y**2,
        lambda t, ans, x, y: scale * t * 2.0 * np.sin(x) * y,
    )
    return f


@pytest.mark.parametrize("made", [by_vjp, by_jvp, by_jvps])
def test_derivatives_of_all_orders_and_modes(made):
    f = made()

    def total(f):
        return lambda x: np.sum(f(x, x[0] * x) * V)

    for operator in (
        lambda h: value_and_grad(h)(X),
        lambda h: jvp(h, (X,), (V,)),
        lambda h: hessian(h)(X),
        lambda h: hvp(h)(X, V),
        lambda h: jvp(grad(h), (X,), (V,)),
        lambda h: grad(lambda x: jvp(h, (x,), (V,))[1])(X),
        lambda h: grad(lambda x: np.sum(hvp(h)(x, V) ** 2))(X),
    ):
        for (_, a), (_, b) in zip(leaves(operator(total(f))), leaves(operator(total(product))), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    np.testing.assert_allclose(jacobian(f, 1)(X, V), jacobian(product, 1)(X, V))


@pytest.mark.parametrize("made", [by_vjp, by_jvp, by_jvps])
def test_the_rule_is_what_counts(made):
    f = made(10.0)
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x, V)))(X), 10 * np.cos(X) * V**2)
    np.testing.assert_allclose(jvp(f, (X, V), (V, X))[1], 10 * jvp(product, (X, V), (V, X))[1])
    np.testing.assert_array_equal(f(X, V), product(X, V))
    np.testing.assert_array_equal(f(X, y=V), product(X, V))
    assert f.__name__ == "product"


@pytest.mark.parametrize("made", [by_vjp, by_jvp, by_jvps])
def test_under_vmap_and_around_it(made):
    f, rows = made(10.0), np.stack([X, V, X + V])
    want = 10 * np.cos(rows) * V**2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that it is evaluated example by example
        np.testing.assert_allclose(gpuad.vmap(grad(lambda x: np.sum(f(x, V))))(rows), want)
        np.testing.assert_allclose(grad(lambda r: np.sum(gpuad.vmap(lambda x: f(x, V))(r)))(rows), want)


def test_a_tape_runs_the_rule_once_and_not_the_function():
    calls = []

    @custom_vjp
    def f(x):
        calls.append("f")
        return x * 2.0

    def fwd(x):
        calls.append("fwd")
        return x * 2.0, None

    f.defvjp(fwd, lambda _, g: (g * 2.0,))
    np.testing.assert_array_equal(grad(lambda x: np.sum(f(x)))(X), np.full(3, 2.0))
    assert calls == ["fwd"]


def test_containers_none_and_constants():
    @functools.partial(custom_vjp, nondiff_argnums=(0, 2))
    def apply(g, p, n):
        return {"y": g(p["w"]) * p["b"][0] * n, "n": n}

    def fwd(g, p, n):
        return apply(g, p, n), p

    def bwd(g, n, p, c):
        assert c["n"] is None
        return ({"w": c["y"] * np.cos(p["w"]) * p["b"][0] * n, "b": None, "k": None},)

    apply.defvjp(fwd, bwd)
    p = {"w": X, "b": (2.0, 3), "k": 7}

    def loss(w, b):
        return np.sum(apply(np.sin, {"w": w, "b": (b, 3), "k": 7}, 3)["y"])

    dw, db = grad(loss, (0, 1))(p["w"], 2.0)
    np.testing.assert_allclose(dw, np.cos(X) * 6)
    assert db == 0.0
    with pytest.raises(UnsupportedError, match="nondiff_argnums"):
        grad(lambda n: np.sum(apply(np.sin, p, n)["y"]))(3.0)


def test_containers_and_constants_in_forward_mode():
    @functools.partial(custom_jvp, nondiff_argnums=(1,))
    def f(p, n):
        return p["w"] * n, p["i"]

    @f.defjvp
    def rule(n, primals, tangents):
        (p,), (dp,) = primals, tangents
        assert dp["i"] is None
        return f(p, n), (dp["w"] * n * 10.0, None)

    def loss(w):
        y, i = f({"w": w, "i": np.arange(3)}, 2.0)
        return np.sum(y * i)

    np.testing.assert_allclose(grad(loss)(X), 20.0 * np.arange(3))
    np.testing.assert_allclose(jvp(loss, (X,), (V,))[1], np.sum(20.0 * np.arange(3) * V))


def test_complex_numbers():
    f = custom_vjp(lambda z: z**2)
    f.defvjp(lambda z: (f(z), z), lambda z, g: (2.0 * z * g,))
    j = custom_jvp(lambda z: z**2)
    j.defjvps(lambda t, ans, z: 2.0 * z * t)
    z = np.array([1.0 + 2.0j, -0.5j])
    for g in (f, j):
        want = grad(lambda z: np.sum(np.abs(z**2) ** 2))(z)
        np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(g(z)) ** 2))(z), want)  # noqa: B023
        np.testing.assert_allclose(jvp(g, (z,), (1j * z,))[1], 2j * z * z)


def test_methods():
    class Model:
        k = 3.0

        @custom_vjp
        def f(self, x):
            return x * self.k

    Model.f.defvjp(lambda self, x: (x * self.k, self), lambda self, g: (None, g * self.k))
    assert grad(Model().f)(2.0) == 3.0


def test_outer_values_from_around_are_differentiated_and_inner_ones_refused():
    def loss(w):
        @custom_vjp
        def f(x):
            return x * w

        f.defvjp(lambda x: (x * w, None), lambda _, g: (g * w,))
        return grad(lambda x: np.sum(f(x)))(2.0) ** 2

    assert grad(loss)(3.0) == 6.0

    def lost(w):
        @custom_vjp
        def f(x):
            return x * w

        f.defvjp(lambda x: (x * w, None), lambda _, g: (g * w,))
        return f(w * 1.0)

    with pytest.raises(UnsupportedError, match="isn't among its arguments"):
        grad(lost)(3.0)


def test_what_is_refused():
    f = custom_vjp(lambda x, y: x * y)
    with pytest.raises(MissingRuleError, match="defvjp"):
        grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: x * y, lambda r, g: (g, g))
    with pytest.raises(RuleError, match="residuals"):
        grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, 0), lambda r, g: (g,))
    with pytest.raises(RuleError, match="2 cotangents"):
        grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, 0), lambda r, g: ((g, g), g))
    with pytest.raises(RuleError, match="containers"):
        grad(f)(1.0, 2.0)
    f.defvjp(lambda x, y: (x * y, 0), lambda r, g: (np.ones(3), g))
    with pytest.raises(RuleError, match="shape"):
        grad(f)(1.0, 2.0)
    with pytest.raises(MissingRuleError, match="defjvp"):
        jvp(custom_jvp(np.sin), (1.0,), (1.0,))
    _, pullback = vjp(by_vjp(), X, V)
    assert len(pullback(X)) == 2


def test_a_primitive_under_vmap_in_a_gradient():
    @gpuad.primitive
    def cube(x):
        return np.asarray(x) ** 3

    gpuad.defvjp(cube, lambda g, ans, x: g * 3.0 * x**2)
    with pytest.warns(RuntimeWarning, match="example by example"):
        got = grad(lambda w: np.sum(gpuad.vmap(cube)(w * X)))(2.0)
    np.testing.assert_allclose(got, 12 * np.sum(X**3))


def test_on_every_backend(backend):
    x, v = backend.asarray(X), backend.asarray(V)
    f = custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (f(x), x), lambda x, g: (10.0 * x * g,))
    j = custom_jvp(lambda x: x * x)
    j.defjvps(lambda t, ans, x: 10.0 * x * t)
    for g in (f, j):
        np.testing.assert_allclose(backend.to_numpy(grad(lambda x: (g(x) * v).sum())(x)), 10 * X * V)  # noqa: B023
        np.testing.assert_allclose(backend.to_numpy(jvp(g, (x,), (v,))[1]), 10 * X * V)

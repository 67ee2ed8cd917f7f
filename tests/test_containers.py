"""Containers of the user's own, under every transformation."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import grad, jacobian, jvp, register_container, vjp
from gpuad.errors import NotDifferentiableError


class Mesh:
    """Points and weights, a name, and a part that may be another mesh."""

    def __init__(self, points, weights, name, inner=None):
        self.points, self.weights, self.name, self.inner = points, weights, name, inner


register_container(
    Mesh,
    lambda m: ((m.points, m.weights, m.inner), m.name),
    lambda name, parts: Mesh(parts[0], parts[1], name, parts[2]),
)

X = np.array([0.3, -0.7, 1.2])


def mesh():
    return Mesh(X, {"w": X**2}, "outer", Mesh(2 * X, 3.0, "inner"))


def f(m):
    assert m.name == "outer"
    inner = 0.0 if m.inner is None else np.sum(m.inner.points) * m.inner.weights
    return np.sum(m.points**2 * m.weights["w"]) + inner


def check(g, scale=1.0):
    assert type(g) is Mesh and g.name == "outer" and g.inner.name == "inner"
    np.testing.assert_allclose(g.points, scale * 2 * X**3)
    np.testing.assert_allclose(g.weights["w"], scale * X**2)
    np.testing.assert_allclose(g.inner.points, scale * 3.0)
    np.testing.assert_allclose(g.inner.weights, scale * np.sum(2 * X))


def test_gradients_tangents_and_jacobians():
    check(grad(f)(mesh()))
    value, moved = jvp(lambda m: Mesh(m.points * m.inner.weights, m.inner.points, "made"), (mesh(),), (mesh(),))
    assert type(moved) is Mesh and value.name == "made"
    np.testing.assert_allclose(moved.points, 6.0 * X)
    _, pullback = vjp(lambda m: m, mesh())
    assert pullback(mesh())[0].inner.weights == 3.0
    check(jacobian(f)(mesh()))
    check(grad(lambda m: grad(lambda t: t * t * f(m))(1.0))(mesh()), 2.0)


def test_under_vmap_checkpoint_and_rules_of_one_s_own():
    rows = Mesh(np.stack([X, X]), {"w": np.ones((2, 3))}, "outer")
    np.testing.assert_allclose(gpuad.vmap(f)(rows), [np.sum(X**2)] * 2)
    check(grad(gpuad.checkpoint(f))(mesh()))
    ruled = gpuad.custom_vjp(f)
    ruled.defvjp(lambda m: (f(m), m), lambda m, g: (grad(lambda m: 10.0 * g * f(m))(m),))
    check(grad(ruled)(mesh()), 10.0)

    @gpuad.primitive
    def scaled(m, k):
        return Mesh(m.points * k, m.weights, m.name)

    gpuad.defvjp(scaled, lambda g, ans, m, k: Mesh(g.points * k, g.weights, m.name), None)

    def loss(x):
        out = scaled(Mesh(x, x, "m"), 3.0)
        return np.sum(out.points + out.weights)

    np.testing.assert_allclose(grad(loss)(X), 4.0)


def test_errors_say_where():
    m = Mesh(X, {"w": np.arange(3)}, "outer")
    with pytest.raises(NotDifferentiableError, match=r"argument 0\[1\]\['w'\]"):
        grad(f)(m)
    with pytest.raises(TypeError, match=r"\[2\]\[0\]"):
        jvp(f, (mesh(),), (Mesh(X, {"w": X}, "outer"),))
    for wrong in ((list, 1, 2), (list, f, f), (mesh(), f, f)):
        with pytest.raises(TypeError, match="register_container"):
            register_container(*wrong)


def test_a_class_that_was_a_leaf_until_now():
    class Late:
        def __init__(self, x):
            self.x = x

    with pytest.raises(NotDifferentiableError):
        grad(lambda v: v.x)(Late(1.0))
    register_container(Late, lambda v: ([v.x], None), lambda _, parts: Late(*parts))
    assert grad(lambda v: v.x * 2.0)(Late(1.0)).x == 2.0

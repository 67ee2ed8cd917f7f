"""Gauss-Newton products, Laplacians and divergences against the matrices; what a product with a Hessian costs."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import divergence, ggnvp, grad, hessian, jacobian, laplacian
from gpuad.errors import NotDifferentiableError

X = np.array([0.3, -0.7, 1.2])
V = np.array([1.0, 0.5, -0.25])


def field(x):
    return np.sin(x) * x[0] + x[::-1] ** 2


def test_gauss_newton():
    j = jacobian(field)(X)
    np.testing.assert_allclose(ggnvp(field)(X, V), j.T @ (j @ V))

    def loss(y):
        return np.log(np.sum(np.exp(y)))

    h = hessian(loss)(field(X))
    np.testing.assert_allclose(ggnvp(field, loss)(X, V), j.T @ h @ j @ V)
    got = grad(lambda x: np.sum(ggnvp(field, loss)(x, V) * X))(X)

    def by_matrix(x):
        j = jacobian(field)(x)
        return np.sum(j.T @ hessian(loss)(field(x)) @ j @ V * X)

    np.testing.assert_allclose(got, grad(by_matrix)(X))


def test_gauss_newton_of_several_arguments_and_the_fisher_matrix_of_logits():
    rng = np.random.default_rng(0)
    data, labels = rng.normal(size=(6, 3)), np.array([0, 1, 2, 3, 0, 1])
    p = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    v = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}

    def logits(x, p):
        return x @ p["w"] + p["b"]

    def nll(z):
        return np.sum(np.log(np.sum(np.exp(z), 1)) - z[np.arange(6), labels])

    got = ggnvp(logits, nll, argnums=1)(data, p, v)
    probabilities = np.exp(logits(data, p))
    probabilities /= probabilities.sum(1, keepdims=True)
    want = {"w": 0.0, "b": 0.0}
    for x, row in zip(data, probabilities, strict=True):  # E[g gᵀ] v over labels drawn from the model
        for label, probability in enumerate(row):
            score = np.eye(4)[label] - row
            along = score @ (x @ v["w"] + v["b"])
            want["w"] += probability * along * np.outer(x, score)
            want["b"] += probability * along * score
    np.testing.assert_allclose(got["w"], want["w"])
    np.testing.assert_allclose(got["b"], want["b"])
    both = ggnvp(logits, nll, argnums=(0, 1))(data, p, (data, v))
    assert both[0].shape == data.shape and both[1]["w"].shape == (3, 4)


def test_the_empirical_fisher_matrix():
    def log_likelihoods(x):
        return np.stack([np.sin(x[0] * x[1]), x[2] ** 3, x[0] * x[2]])

    g = jacobian(log_likelihoods)(X)
    np.testing.assert_allclose(ggnvp(log_likelihoods)(X, V), sum(np.outer(row, row) for row in g) @ V)


def test_laplacians():
    def f(x):
        return np.sum(np.sin(x) * x[0]) + np.prod(x)

    np.testing.assert_allclose(laplacian(f)(X), np.trace(hessian(f)(X)))
    np.testing.assert_allclose(laplacian(field)(X), np.trace(hessian(field)(X), axis1=1, axis2=2))
    want = np.trace(jacobian(lambda x: hessian(f)(x))(X), axis1=0, axis2=1)
    np.testing.assert_allclose(grad(laplacian(f))(X), want, atol=1e-12)
    x, y = np.float64(0.3), np.array([[0.1, 0.2]])

    def harmonic(x, y):
        return np.exp(x) * np.cos(y[0, 0]) + y[0, 1] ** 4

    np.testing.assert_allclose(laplacian(harmonic, (0, 1))(x, y), 12 * 0.2**2)
    np.testing.assert_allclose(laplacian(harmonic)(x, y), np.exp(x) * np.cos(0.1))
    assert laplacian(np.sum)(np.zeros(0)) == 0.0
    n = 700  # more than go at once
    np.testing.assert_allclose(laplacian(lambda x: np.sum(x**4))(np.ones(n)), 12.0 * n)


def test_divergences():
    np.testing.assert_allclose(divergence(field)(X), np.trace(jacobian(field)(X)))
    np.testing.assert_allclose(grad(divergence(field))(X), jacobian(lambda x: np.trace(jacobian(field)(x)))(X))
    np.testing.assert_allclose(divergence(lambda t, x: t * field(x), 1)(2.0, X), 2 * np.trace(jacobian(field)(X)))
    got = divergence(lambda p: {"a": p["a"] * p["b"], "b": p["b"] ** 2})({"a": X, "b": 3.0})
    np.testing.assert_allclose(got, 3 * 3.0 + 2 * 3.0)
    np.testing.assert_allclose(divergence(grad(lambda x: np.sum(x**3)))(X), laplacian(lambda x: np.sum(x**3))(X))


def test_under_vmap():
    rows = np.stack([X, V])
    got = gpuad.vmap(laplacian(lambda x: np.sum(x**3) * x[0]))(rows)
    np.testing.assert_allclose(got, [laplacian(lambda x: np.sum(x**3) * x[0])(x) for x in rows])


def test_what_is_refused():
    with pytest.raises(ValueError, match="like its argument"):
        divergence(np.sum)(X)
    with pytest.raises(TypeError, match="argnums"):
        divergence(field, (0, 1))
    for operator in (laplacian, divergence, lambda f: lambda x: ggnvp(f)(x, x)):
        with pytest.raises(NotDifferentiableError, match="real"):
            operator(field)(X + 1j)


@pytest.mark.parametrize("operator", [gpuad.hvp, ggnvp])
def test_errors_name_the_operator_and_the_vector(operator):
    name = operator.__name__
    product = operator(lambda x: np.sum(x**2))
    with pytest.raises(ValueError, match=rf"{name}: the vector has shape \(2,\), but the argument has \(3,\)"):
        product(X, V[:2])
    with pytest.raises(TypeError, match=f"{name}: the vector must have the containers of the argument"):
        product(X, (V,))
    with pytest.raises(NotDifferentiableError, match=f"{name}: the argument is an array of int64"):
        product(np.arange(3), V)


def test_on_every_backend(backend):
    x, v = backend.asarray(X), backend.asarray(V)

    def f(x):
        return x * x * x + x[0] * x

    np.testing.assert_allclose(backend.to_numpy(ggnvp(f)(x, v)), ggnvp(f)(X, V))
    np.testing.assert_allclose(backend.to_numpy(laplacian(lambda x: f(x).sum())(x)), laplacian(lambda x: f(x).sum())(X))
    np.testing.assert_allclose(backend.to_numpy(divergence(f)(x)), divergence(f)(X))

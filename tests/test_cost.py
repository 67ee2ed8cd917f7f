"""Counting multiply-adds: what backpropagation promises, to the last one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import cost, grad, value_and_grad, vjp


def mlp(params, x, y):
    for w, b in params[:-1]:
        x = gnp.tanh(x @ w + b)
    w, b = params[-1]
    logits = x @ w + b
    loss = gnp.log(gnp.sum(gnp.exp(logits), axis=1)) - logits[gnp.arange(len(y)), y]
    return gnp.mean(loss)


def network(widths, examples, dtype="float64"):
    rng = np.random.default_rng(0)
    params = [(rng.normal(size=(m, n)).astype(dtype), np.zeros(n, dtype)) for m, n in itertools.pairwise(widths)]
    return params, rng.normal(size=(examples, widths[0])).astype(dtype), rng.integers(0, widths[-1], examples)


@pytest.mark.parametrize("widths", [(5, 3), (7, 4, 3), (8, 6, 5, 4, 3, 2), (1, 1, 1)])
@pytest.mark.parametrize("examples", [1, 9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backpropagation_costs_one_more_forward_pass_for_each_of_weights_and_inputs(widths, examples, dtype):
    args = network(widths, examples, dtype)
    weights = sum(m * n for m, n in itertools.pairwise(widths))
    first = widths[0] * widths[1]
    forward = cost(mlp)(*args)
    assert forward.multiply_adds == examples * weights
    assert forward.by_primitive == {"matmul": examples * weights}
    both = cost(value_and_grad(mlp, argnums=(0, 1)))(*args).multiply_adds
    assert both - forward.multiply_adds == 2 * examples * weights
    # Nobody needs the error signal of the images for the gradient of the weights.
    training = cost(value_and_grad(mlp))(*args).multiply_adds
    assert training - forward.multiply_adds == examples * (2 * weights - first)


CASES = [
    ("ij,jk->ik", (2, 3), (3, 4), 24),
    ("i,i->", (5,), (5,), 5),
    ("i,j->ij", (2,), (3,), 6),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5), 120),
    ("ij,jk->k", (2, 3), (3, 4), 12),  # i is summed before
    ("ii,ij->ij", (3, 3), (3, 2), 6),
]


@pytest.mark.parametrize(("subscripts", "x", "y", "count"), CASES, ids=[c[0] for c in CASES])
def test_einsum(subscripts, x, y, count):
    f = lambda a, b: np.einsum(subscripts, a, b)  # noqa: E731
    assert cost(f)(np.ones(x), np.ones(y)).by_primitive == {"einsum": count}


@pytest.mark.parametrize(
    ("f", "shapes", "count"),
    [
        (lambda x, y: x @ y, [(2, 3), (3, 4)], 24),
        (lambda x, y: x @ y, [(3,), (3,)], 3),
        (lambda x, y: x @ y, [(5, 2, 3), (3, 4)], 120),
        (lambda x, y: x @ y, [(5, 1, 2, 3), (4, 3, 1)], 5 * 4 * 2 * 3),
        (lambda x, y: x @ y, [(0, 3), (3, 4)], 0),
        (np.dot, [(2, 3), (3,)], 6),
        (np.vdot, [(2, 3), (2, 3)], 6),
        (np.inner, [(2, 3), (4, 3)], 24),
        (np.outer, [(2,), (3,)], 6),
        (np.kron, [(2, 3), (4, 5)], 120),
        (np.tensordot, [(2, 3, 4), (3, 4, 5)], 120),
        (np.convolve, [(5,), (3,)], 15),
        # The cheaper order: (10 x 2)(2 x 30) would come to 600 + 10 * 30 * 2.
        (lambda x, y, z: np.linalg.multi_dot([x, y, z]), [(10, 2), (2, 30), (30, 2)], 2 * 30 * 2 + 10 * 2 * 2),
        (lambda x, y, z: np.einsum("ij,jk,kl->il", x, y, z), [(10, 2), (2, 30), (30, 2)], 2 * 30 * 2 + 10 * 2 * 2),
        (lambda x, y: x * y + np.tanh(x), [(3, 3), (3, 3)], 0),
        (lambda x: np.einsum("ii->", x) + np.einsum("ij->ji", x), [(3, 3)], 0),
    ],
)
def test_products(f, shapes, count):
    assert cost(f)(*(np.ones(s) for s in shapes)).multiply_adds == count


@pytest.mark.parametrize(
    "shapes",
    [[(2, 3), (3, 4)], [(3,), (3,)], [(3,), (3, 4)], [(2, 3), (3,)], [(5, 2, 3), (3, 4)], [(5, 1, 2, 3), (4, 3, 2)]],
)
def test_the_gradient_of_a_product_costs_two_products(shapes):
    args = [np.ones(s) for s in shapes]
    forward = cost(np.matmul)(*args).multiply_adds

    def both(*args):
        value, pullback = vjp(np.matmul, *args)
        return pullback(np.ones(value.shape))

    assert cost(both)(*args).multiply_adds == 3 * forward


def test_second_derivatives_are_counted_too():
    x, w = np.ones((3, 4)), np.ones((4, 5))
    f = lambda x, w: np.sum(np.tanh(x @ w) ** 2)  # noqa: E731
    hvp = grad(lambda x, w: np.sum(grad(f)(x, w) * x))
    once = cost(f)(x, w).multiply_adds
    assert cost(grad(f))(x, w).multiply_adds == 2 * once
    assert cost(hvp)(x, w).multiply_adds == 4 * once


def test_containers_keywords_and_what_is_not_an_array():
    def f(p, name, *, scale):
        assert name == "dense"
        return p["w"] @ p["x"] * scale["by"]

    counted = cost(f)({"w": np.ones((2, 3)), "x": np.ones(3)}, "dense", scale={"by": 2.0})
    assert counted.multiply_adds == 6


def test_counting_within_counting_and_within_a_gradient():
    x = np.ones((3, 3))
    inner = []

    def f(x):
        inner.append(cost(lambda x: x @ x)(x).multiply_adds)
        return np.sum(x @ x)

    assert cost(f)(x).multiply_adds == 2 * 27
    grad(f)(x)
    assert inner == [27, 27]


def test_the_values_are_the_same():
    args = network((5, 4, 3), 6)
    seen = []
    cost(lambda *a: seen.append(gpuad.stop_gradient(mlp(*a))))(*args)
    np.testing.assert_allclose(seen[0], mlp(*args))

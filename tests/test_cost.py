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


def test_linear_in_the_layers_and_quadratic_in_the_width():
    examples, inputs, outputs = 3, 5, 2

    def both(depth, width):
        args = network((inputs, *[width] * depth, outputs), examples)
        counted = cost(value_and_grad(mlp))(*args)
        return counted.forward.multiply_adds, counted.backward.multiply_adds

    for width in (4, 8, 16):
        for depth in (1, 2, 3, 7):
            hidden = (depth - 1) * width * width
            first, last = inputs * width, width * outputs
            # One for each weight, then two; but nobody needs the error signal of the examples.
            assert both(depth, width) == (
                examples * (first + hidden + last),
                examples * (first + 2 * hidden + 2 * last),
            )


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


# --- bytes ----------------------------------------------------------------------------------------

WHERE = np.array([[0, 1], [2, 2]])
N = 8 * 12  # bytes of the argument, 3 x 4 numbers


@pytest.mark.parametrize(
    ("f", "moved"),
    [
        (lambda x: np.tanh(x), {"tanh": 2 * N}),
        (lambda x: x * x, {"multiply": 2 * N}),  # read once
        (lambda x: x * 2.0, {"multiply": 2 * N}),  # numbers of Python's aren't in memory
        (lambda x: x * np.float64(2.0), {"multiply": 2 * N + 8}),
        (lambda x: x * np.ones(4), {"multiply": 2 * N + 32}),
        (lambda x: x * np.broadcast_to(np.ones(4), (3, 4)), {"multiply": 2 * N + 32}),  # as much as there is
        (lambda x: x + np.ones((3, 4)), {"add": 3 * N}),
        (lambda x: x > 0, {"greater": N + 12}),
        (lambda x: np.where(WHERE[0, 0] == 0, x, 0.0), {"where": 2 * N + 1}),
        (lambda x: np.sum(x), {"sum": N + 8}),
        (lambda x: np.sum(x, axis=0), {"sum": N + 32}),
        (lambda x: x @ np.ones((4, 5)), {"matmul": N + 160 + 120}),
        (lambda x: x.T, {"transpose": 0}),
        (lambda x: np.sum(x.reshape(6, 2)[1:], axis=1), {"reshape": 0, "part": 0, "sum": 80 + 40}),
        (lambda x: x.T.reshape(-1), {"transpose": 0, "reshape": 2 * N}),  # a copy
        (lambda x: x[1, 2], {"part": 16}),
        (lambda x: x[WHERE], {"gather": WHERE.nbytes + 2 * 128}),
        (lambda x: x[x > 0], {"greater": N + 12, "gather": 12 + 2 * N}),
        (lambda x: np.concatenate([x, x, np.ones((1, 4))]), {"concatenate": N + 32 + 2 * N + 32}),
        (lambda x: x.astype("float32"), {"astype": N + N // 2}),
        (lambda x: x[:0] + 1.0, {"part": 0, "add": 0}),
    ],
)
def test_bytes(f, moved):
    counted = cost(f)(np.arange(1.0, 13.0).reshape(3, 4))
    assert counted.bytes_by_primitive == moved
    assert counted.bytes == sum(moved.values())
    assert counted.calls == len(moved)


def test_bytes_of_writes_are_those_of_their_places():
    def f(x):
        x[1] = 0.0
        x[:, :2] *= 2.0
        x[WHERE[0]] = np.ones(4)
        x.T[3] = x[0, 0]
        return x

    x = np.ones((3, 4))
    counted = cost(f)(x)
    assert np.all(x == 1)
    assert counted.bytes_by_primitive == {
        "write": 32 + 2 * 48 + (32 + 16 + 64) + (24 + 8),
        "read": 2 * 48 + 16,
        "multiply": 2 * 48,
    }


def test_bytes_of_a_gradient():
    x = np.ones((3, 4))
    f = lambda x: np.sum(np.tanh(x) * x)  # noqa: E731
    counted = cost(grad(f))(x)
    assert counted.forward.bytes_by_primitive == {"tanh": 2 * N, "multiply": 3 * N, "sum": N + 8}
    # g x, g tanh(x), where g is the seed for each entry, one number in memory; g - g tanh(x)^2; their sum
    assert counted.backward.bytes_by_primitive == {"spread": 0, "multiply": 2 * (2 * N + 8) + 6 * N, "subtract": 3 * N,
                                                   "add": 3 * N}  # fmt: skip


def test_the_backward_pass_of_a_linear_program_counts():
    x, w = np.ones((32, 100)), np.ones((100, 10))
    counted = cost(grad(lambda w: np.sum(x @ w)))(w)
    assert counted.forward.multiply_adds == counted.backward.multiply_adds == 32000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_arrays_count_as_small_ones_do(dtype):
    """Operations may wait, and be computed together: they are counted one by one."""

    def f(x):
        y = np.exp(-x) * np.sin(x) + x / 3
        return np.sum(np.where(y > 0, y, 0.5 * y) ** 2)

    small, large = (cost(value_and_grad(f))(np.linspace(-1, 1, n, dtype=dtype)) for n in (1_000, 2_000_000))
    numbers = 3 * np.dtype(dtype).itemsize  # those that aren't as many as the entries
    assert small.calls == large.calls
    for name, n in small.bytes_by_primitive.items():
        assert 0 <= 2000 * n - large.bytes_by_primitive[name] <= 2000 * numbers

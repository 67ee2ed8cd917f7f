"""Random programs: gradients against central differences, and the same on every backend and both namespaces."""

from __future__ import annotations

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuad
import gpuad.numpy as gnp
from gpuad.test_util import check_grads

ROWS, COLUMNS = 3, 4
#: Smooth everywhere and of moderate slope, so that deep programs can be differentiated numerically.
UNARY = ["sin", "cos", "tanh", "arctan", "negative", "square_tanh", "softplus", "roll", "flip"]
UNARY += ["transpose_twice", "cumsum"]
BINARY = ["add", "subtract", "multiply", "divide", "maximum", "logaddexp", "hypot"]
REDUCE = ["row", "column", "all", "product", "index", "concatenate"]

step = st.one_of(
    st.tuples(st.sampled_from(UNARY), st.integers(0, 99)),
    st.tuples(st.sampled_from(BINARY), st.integers(0, 99), st.integers(0, 99)),
    st.tuples(st.sampled_from(REDUCE), st.integers(0, 99)),
    st.tuples(st.just("number"), st.integers(0, 99), st.sampled_from([2, 0.5, -1.5])),
)
programs = st.lists(step, min_size=1, max_size=12)


def run(np, steps, x, y):
    """Values of shape (ROWS, COLUMNS), every step adds one made of earlier ones."""
    values = [x, y]

    def pick(i):
        return values[-1 - i % len(values)]

    for op, *at in steps:
        a = pick(at[0])
        if op == "number":
            new = a * at[1] + 1
        elif op in BINARY:
            b = pick(at[1])
            new = {
                "divide": lambda a, b: a / (1.5 + np.tanh(b)),
                "multiply": lambda a, b: np.tanh(a) * b,
                "hypot": lambda a, b: np.hypot(a, np.exp(np.tanh(b))),
            }.get(op, getattr(np, op))(a, b)
        else:
            new = {
                "square_tanh": lambda a: np.tanh(a) ** 2,
                "softplus": lambda a: np.logaddexp(a, 0.0),
                "roll": lambda a: np.roll(a, 1, axis=1),
                "flip": lambda a: a[::-1, ::-1],
                "transpose_twice": lambda a: (a.T * 1.0).T,
                "cumsum": lambda a: np.cumsum(a, axis=0),
                "row": lambda a: a - np.mean(a, axis=0, keepdims=True),
                "column": lambda a: a * 0.5 + np.sum(np.tanh(a), axis=1)[:, None],
                "all": lambda a: a + np.sum(a) / 12.0,
                "product": lambda a: np.tanh(a) @ np.reshape(a[:, :COLUMNS].T @ a, (COLUMNS, COLUMNS)) * 0.1,
                "index": lambda a: a[[2, 0, 2]] + a[:, :1],
                "concatenate": lambda a: np.concatenate([a[:1], np.tanh(a[1:])], axis=0),
            }.get(op, getattr(np, op, None))(a)
        values.append(np.tanh(new) if len(values) % 4 == 3 else new)
    return np.sum(values[-1]) + np.sum(values[len(values) // 2])


def arrays():
    rng = numpy.random.default_rng(7)
    return [rng.normal(size=(ROWS, COLUMNS)) for _ in range(2)]


@given(programs)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_gradients_of_random_programs(steps):
    x, y = arrays()
    check_grads(lambda x, y: run(gnp, steps, x, y), [x, y], order=2, rtol=1e-5)


@given(programs)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_plain_numpy_gives_the_same_bits(steps):
    x, y = arrays()
    ours = gpuad.value_and_grad(lambda x, y: run(gnp, steps, x, y), (0, 1))(x, y)
    theirs = gpuad.value_and_grad(lambda x, y: run(numpy, steps, x, y), (0, 1))(x, y)
    assert ours[0] == theirs[0]
    numpy.testing.assert_allclose(ours[0], run(numpy, steps, x, y), rtol=1e-13)  # kernels add up in another order
    for a, b in zip(ours[1], theirs[1], strict=True):
        numpy.testing.assert_array_equal(a, b)


def test_random_programs_on_every_backend(backend):
    x, y = arrays()

    @given(programs)
    @settings(max_examples=15, deadline=None, derandomize=True)
    def compare(steps):
        want = gpuad.value_and_grad(lambda x, y: run(gnp, steps, x, y), (0, 1))(x, y)
        there = [backend.asarray(a) for a in (x, y)]
        value, gradients = gpuad.value_and_grad(lambda x, y: run(gnp, steps, x, y), (0, 1))(*there)
        numpy.testing.assert_allclose(backend.to_numpy(value), want[0], rtol=1e-10)
        for g, w in zip(gradients, want[1], strict=True):
            numpy.testing.assert_allclose(backend.to_numpy(g), w, rtol=1e-9, atol=1e-11)

    compare()

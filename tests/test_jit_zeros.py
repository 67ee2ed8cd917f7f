"""Jacobians and Hessians under jit, whose sweeps start with an identity matrix: computed along its diagonals."""

from __future__ import annotations

import numpy as np
import pytest

from gpuad import grad, hessian, jacobian, jit
from gpuad.graph.zeros import Line, lines_of

rng = np.random.default_rng(5)
x100 = rng.normal(size=100)
weights = rng.normal(size=(3, 100, 100)) / 10


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def layers(x):
    for w in weights:
        x = np.tanh(w @ x)
    return x


def second_difference(x):
    return x[2:] * np.sin(x[1:-1]) - x[:-2] / np.exp(x[1:-1])


def rolled(x):
    return np.roll(x, 1) * x - 2.0 * np.roll(x, -2) ** 2


def strided(x):
    return x[::2] * x[1::2][::-1] + x[3] ** 2


def on_a_grid(x):
    y = x.reshape(10, 10)
    inner = y[2:, 1:-1] + y[:-2, 1:-1] - 4.0 * y[1:-1, 1:-1] + y[1:-1, 2:] + y[1:-1, :-2]
    return (inner * y[1:-1, 1:-1]).reshape(-1)


def transposed(x):
    return (x.reshape(4, 25).T * 2.0 - x.reshape(25, 4)).reshape(-1) * x


def added_twice(x):
    return np.concatenate([x[:50] * x[50:], x[1:] * x[:-1] + x[1:]])


def large(f, *args):
    """The operations of the replay whose results have an entry for every pair."""
    text = str(jit(f).lower(*args))
    return [line.split(" = ")[1].split("(")[0] for line in text.split("\n") if "64[100, 100]  " in line]


@pytest.mark.parametrize(
    "f", [rosenbrock, layers, second_difference, rolled, strided, on_a_grid, transposed, added_twice]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_are_those_without_a_recording(f, dtype):
    x = x100.astype(dtype)
    of = hessian(f) if f is rosenbrock else jacobian(f)
    jitted = jit(of)
    with np.errstate(all="ignore"):
        for scale in (1.0, 0.3):
            got, want = jitted(x * dtype(scale)), of(x * dtype(scale))
            assert got.dtype == want.dtype
            assert got.flags.writeable
            np.testing.assert_allclose(got, want, rtol=1e-13 if dtype is np.float64 else 1e-5, atol=1e-6)


def test_a_jacobian_of_a_hessian_and_what_is_made_of_it():
    def f(x):
        h = hessian(rosenbrock)(x)
        return h @ x, np.trace(h), h[3], -h

    for got, want in zip(jit(f)(x100), f(x100), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_hessian_is_computed_along_its_diagonals():
    assert large(hessian(rosenbrock), x100) == ["reshape"]


def test_a_diagonal_matrix_scales_rows():
    found = large(jacobian(layers), x100)
    assert found.count("matmul") == 2
    assert "einsum" not in found


def test_small_ones_are_left_as_they_are():
    text = str(jit(hessian(rosenbrock)).lower(x100[:20]))
    assert "float64[20, 20]" in text
    assert "float64[400]" not in text


def test_zeros_of_a_program_are_numbers_like_others():
    x = x100.copy()
    x[7] = np.inf
    for f in (
        lambda x: np.eye(100) * x,
        lambda x: np.eye(100) @ x,
        lambda x: grad(lambda y: np.sum(np.eye(100) * y))(x),
    ):
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(jit(f)(x), f(x))
    with np.errstate(invalid="ignore"):
        assert np.isnan(jit(lambda x: np.eye(100) * x)(x)).sum() == 99


def test_what_nothing_depends_on_is_zero_whatever_the_derivative():
    x = np.abs(x100)
    x[7] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        jitted = jit(jacobian(np.log))
        jitted(x)  # recorded: computed as without jit
        got = jitted(x)
    assert got[7, 7] == np.inf
    assert (got[~np.eye(100, dtype=bool)] == 0.0).all()


def test_ways_of_a_program_know_what_came_before():
    @jit
    def f(x):
        h = hessian(rosenbrock)(x)
        return h * 2.0 if x[0] > 0 else -h

    for sign in (1.0, -1.0, 1.0):
        x = np.abs(x100) * sign
        h = hessian(rosenbrock)(x)
        np.testing.assert_allclose(f(x), h * 2.0 if sign > 0 else -h, rtol=1e-13)


def test_lines():
    eye = np.eye(100)
    assert lines_of(eye) == [Line(0, 101, 100)]
    assert lines_of(np.eye(100, k=3)) == [Line(3, 101, 97)]
    assert lines_of(np.ones((100, 100))) is None
    assert lines_of(rng.random((100, 100)) > 0.99) is None
    assert lines_of((rng.random((100, 100)) > 0.99) * 1.0) is None
    assert lines_of(np.zeros((100, 100))) == []
    assert lines_of(np.eye(10)) is None
    assert lines_of(np.broadcast_to(np.eye(100)[0], (100, 100))) is None
    lines = lines_of(np.eye(100, k=-20) + np.eye(100, k=40))
    assert lines == [Line(40, 101, 60), Line(2000, 101, 80)]
    entries = np.zeros(10_000)
    for line in lines:
        entries[line.key] = 1.0
        np.testing.assert_array_equal(np.arange(10_000)[line.key], line.numbers)
    np.testing.assert_array_equal(entries.reshape(100, 100), np.eye(100, k=-20) + np.eye(100, k=40))

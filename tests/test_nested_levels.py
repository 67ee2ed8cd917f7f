"""An operation on values of two running transformations goes to the inner one, whichever comes first."""

import numpy as np
import pytest

import gpuad
from gpuad import grad

# The operation, and its mixed second derivative at (1.3, 0.7).
OPERATIONS = {
    "multiply": (lambda x, y: x * y, 1.0),
    "divide": (lambda x, y: x / y, -1 / 0.7**2),
    "power": (lambda x, y: x**y, 1.3 ** (0.7 - 1) * (1 + 0.7 * np.log(1.3))),
    "arctan2": (np.arctan2, (1.3**2 - 0.7**2) / (1.3**2 + 0.7**2) ** 2),
    "hypot": (np.hypot, -1.3 * 0.7 / (1.3**2 + 0.7**2) ** 1.5),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_outer_value_first(name):
    f, expected = OPERATIONS[name]
    mixed = grad(lambda outer: grad(lambda inner: f(outer, inner))(0.7))(1.3)
    np.testing.assert_allclose(mixed, expected, rtol=1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_inner_value_first(name):
    f, expected = OPERATIONS[name]
    mixed = grad(lambda outer: grad(lambda inner: f(inner, outer))(1.3))(0.7)
    np.testing.assert_allclose(mixed, expected, rtol=1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_the_same_while_they_are_counted(name):
    f, _ = OPERATIONS[name]
    seen = []

    def program(x, y):
        seen.append(gpuad.stop_gradient(grad(lambda inner: np.sum(f(x, inner)))(y)))

    x, y = np.full(3, 1.3), np.full(3, 0.7)
    gpuad.cost(program)(x, y)
    np.testing.assert_array_equal(seen[0], grad(lambda inner: np.sum(f(x, inner)))(y))

"""What a program sees of arrays that wait to be fused is what NumPy shows it. Here all wait, however small."""

import numpy as np
import pytest

import gpuad
from gpuad import grad, value_and_grad
from gpuad.backend import numpy_backend
from gpuad.fused import pending


@pytest.fixture(autouse=True)
def everything_waits(monkeypatch):
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")


# -- how results lie in memory ----------------------------------------------------------------------------
def lying_somehow(shape, rng):
    """An array of ``shape``: in C order, in another one, reversed, with gaps, or broadcast."""
    a, kind = rng.normal(size=shape), rng.integers(7)
    if kind == 0:
        return np.asfortranarray(a)
    if kind == 1:
        return a[::-1]
    if kind == 2:
        return np.broadcast_to(a[:1], shape)
    if kind == 3:
        return np.broadcast_to(a[..., :1], shape)
    if kind == 4:
        return np.repeat(a, 2, axis=-1)[..., ::2]
    axes = rng.permutation(len(shape))
    a = np.ascontiguousarray(a.transpose(axes)).transpose(np.argsort(axes))
    return a[..., ::-1] if kind == 5 else a


OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: np.sin(a),
    lambda a, b: a * 2.5,
    lambda a, b: np.where(a > b, a, b),
    lambda a, b: a * b.sum(0),
    lambda a, b: np.maximum(a, b),
    lambda a, b: a - b.mean(-1, keepdims=True),
    lambda a, b: (np.sin(a).T * 2.0).T,
    lambda a, b: np.broadcast_to(np.sin(a), (2, *a.shape)).mean(0),
]
FLAT = [lambda y: y.reshape(-1), lambda y: y.ravel(), lambda y: y.T.reshape(-1), lambda y: y.sum(1).reshape(-1)]


@pytest.mark.parametrize("seeds", range(0, 400, 100))
def test_a_reshape_is_a_view_where_numpys_is(seeds):
    """What is written through it then changes the value."""
    for seed in range(seeds, seeds + 100):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(2, 5, size=rng.integers(2, 4)))
        x, c, d = (lying_somehow(shape, rng) for _ in range(3))
        steps = rng.integers((len(OPERATIONS), 6, 6), size=(4, 3))
        weights, flatten = rng.normal(size=shape), FLAT[rng.integers(len(FLAT))]

        def f(x, c=c, d=d, steps=steps, weights=weights, flatten=flatten):
            values = [x, c, d]
            for k, i, j in steps:
                values.append(OPERATIONS[k](values[i % len(values)], values[j % len(values)]))
            y = values[-1] + x
            v = flatten(y)
            v[0] = 7.0
            v[-1] *= 2.0
            return np.sum(y * weights) + np.sum(v * v)

        value, gradient = value_and_grad(f)(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-9)
        with gpuad.fusion(False):
            unfused_value, unfused = value_and_grad(f)(x)
        np.testing.assert_allclose(unfused_value, value, rtol=1e-9)
        np.testing.assert_allclose(gradient, unfused, rtol=1e-9, atol=1e-9)


def test_a_reshape_of_a_mean_is_a_view_where_numpys_is():
    """The mean lies as what it is the mean of, which has another size."""
    weights = np.arange(12.0).reshape(3, 4)

    def f(x):
        y = np.broadcast_to(np.sin(x), (2, 3, 4)).mean(0) * 2.0
        y.reshape(-1)[0] = 7.0
        return np.sum(y * weights) + y[0, 0]

    for x in (weights / 12, np.asfortranarray(weights / 12)):
        value, gradient = value_and_grad(f)(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-12)
        assert gradient[0, 0] == (0.0 if x.flags.c_contiguous else 2.0)


# -- what is asked of it -----------------------------------------------------------------------------------
def test_a_sum_that_waits_is_a_number():
    found = []

    def f(x):
        y = np.sum(x * x)
        kinds = (float, np.float64, np.ndarray)
        found.append([isinstance(v, kind) for v in (x, y, x[0], np.sin(y)) for kind in kinds])
        assert y > 1.0  # computed now
        found.append([isinstance(v, kind) for v in (x, y, x[0], np.sin(y)) for kind in kinds])
        return y

    x = np.arange(3.0)
    f(x)
    grad(f)(x)
    assert found[1:] == found[:1] * 3


# -- what NumPy is told to report --------------------------------------------------------------------------
def test_errors_that_a_program_tells_numpy_to_raise_for_some_lines():
    def f(x):
        y = np.sin(x) * 2.0  # which waits
        with np.errstate(divide="raise"):
            z = np.sum(x / 2.0)
            try:
                z = z + np.sum(x / (y - y))
            except FloatingPointError:
                z = z * 10.0
        with np.errstate(invalid="call", call=lambda what, flag: called.append(what)):
            np.sqrt(x - 5.0)
        return z + np.sum(np.sqrt(x))

    x = np.arange(1.0, 5.0)
    for on in (True, False):
        called = []
        with gpuad.fusion(on), np.errstate(all="ignore"):
            np.testing.assert_allclose(grad(f)(x), 5.0 + 0.5 / np.sqrt(x))
        assert called


def test_programs_that_are_run_again_in_a_sweep_write_as_they_did():
    weights = np.arange(12.0).reshape(3, 4)

    def f(x):
        y = (np.sin(x) * 2.0 + 1.0) * x
        y.reshape(-1)[0] = 7.0
        z = np.cos(x)[None].reshape(2, 6)
        z[0] *= 2.0
        return np.sum(y * weights) + y[0, 0] + np.sum(z)

    for x in (weights / 12, np.asfortranarray(weights / 12)):
        value, gradient = value_and_grad(gpuad.checkpoint(f))(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-12)
        np.testing.assert_allclose(gradient, grad(f)(x), rtol=1e-12)

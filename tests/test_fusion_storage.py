"""What kernels store, and what isn't worth one: programs whose arrays and sums over them alternate."""

import warnings

import numpy as np
import pytest

import gpuad
from gpuad import grad, value_and_grad
from gpuad.backend import numpy_backend
from gpuad.fused import launch, pending

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    """Arrays of 64 kB are large, NumPy runs the kernels, and this is a list of those that ran."""
    monkeypatch.setitem(pending.LARGE, numpy_backend, 1 << 16)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")
    ran = []
    token = launch.watched.set(ran)
    yield ran
    launch.watched.reset(token)


def log_of_sum(a, axis):
    m = np.max(a, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(a - m), axis=axis)) + np.squeeze(m, axis)


def transport(cost, rounds=6, eps=0.5):
    """Sinkhorn's iteration on logarithms (M. Cuturi, NIPS 2013)."""
    n = len(cost)
    u, v = np.zeros(n), np.zeros(n)
    for _ in range(rounds):
        u = eps * (-np.log(n) - log_of_sum((-cost + v[None, :]) / eps, 1))
        v = eps * (-np.log(n) - log_of_sum((-cost + u[:, None]) / eps, 0))
    return np.sum(np.exp((-cost + u[:, None] + v[None, :]) / eps) * cost)


COST = RNG.uniform(size=(100, 100))


def unfused(function, *args):
    with gpuad.fusion(False):
        return function(*args)


def test_what_nobody_will_need_is_not_stored(kernels):
    value, slope = value_and_grad(transport)(COST)
    most = max(sum(not any(o.summed) and not o.per_row for o in kernel.plan.outputs) for kernel, _ in kernels)
    assert most <= 2, "of what was computed twice, a last kernel stores what no other will read"
    want = unfused(value_and_grad(transport), COST)
    np.testing.assert_allclose(value, want[0], rtol=1e-12)
    np.testing.assert_allclose(slope, want[1], rtol=1e-9, atol=1e-15)


def test_short_arrays_that_wait_for_sums_are_computed_one_by_one(kernels):
    def f(x):
        m = np.sum(x * x, axis=0)  # of 50 entries
        return np.sum(np.log(m) / m * np.sqrt(m) + m * 2.0)

    x = RNG.uniform(1, 2, size=(400, 50))
    got = grad(f)(x)
    assert kernels
    assert {int(np.prod(lengths)) for _, lengths in kernels} == {x.size}
    np.testing.assert_allclose(got, unfused(grad(f), x), rtol=1e-12)


def test_short_results_may_be_written_into_and_give_no_warnings():
    def f(x, y):
        m = np.sum(x * y, axis=0)
        return np.log(m - m), m.astype(np.float32)

    x, y = np.ones((2, 400, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = gpuad.vjp(lambda x, y: f(x, y), x, y)
    for a, dtype in zip(found, (np.float64, np.float32), strict=True):
        assert a.flags.writeable and a.dtype == dtype
        a[:] = 1.0


def test_short_sums_of_float32_keep_their_digits():
    def f(x):
        m = np.sum(x * x, axis=0)
        return np.sum(m * m)

    x = (RNG.uniform(size=(100, 1000)) + 100).astype(np.float32)
    m = np.sum(x.astype(float) ** 2, axis=0)
    assert abs(float(value_and_grad(f)(x)[0]) / np.sum(m * m) - 1) < 1e-6


def test_an_exponential_is_not_computed_in_every_kernel_that_needs_it(kernels):
    grad(transport)(COST)
    found = sum(step.name == "exp" for kernel, _ in kernels for step in kernel.plan.steps)
    assert found <= 26, "38, if each is computed again wherever it is needed"


def test_what_is_added_into_parts_of_a_cotangent_shares_kernels(kernels):
    def f(u, k):
        for _ in range(3):
            inner = u[1:-1]
            new = u.copy()
            new[1:-1] = inner + k * (u[2:] + u[:-2] - 2.0 * inner)
            u = new
        return np.sum(u**2)

    u, k = RNG.normal(size=(102, 100)), RNG.uniform(size=(100, 100))
    got = grad(f, (0, 1))(u, k)
    assert len(kernels) <= 9
    for a, b in zip(got, unfused(grad(f, (0, 1)), u, k), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

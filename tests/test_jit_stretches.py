"""Sums of shifted large arrays under jit: one fused kernel for the long stretch in the middle."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import gpuad
from gpuad import grad, hvp, jit, value_and_grad
from gpuad.fused import compiler
from gpuad.fused.launch import watched

n = 200_000
x = np.linspace(-1.5, 2.0, n)
v = np.cos(np.arange(n))


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def three_points(x):
    return np.sum(np.sin(x[:-2] - 2.0 * x[1:-1] + x[2:]) * x[1:-1])


def far_apart(x):
    return np.sum(np.exp(x[500:]) * x[:-500] + x[500:] * 3.0)


def steps_of(f, *args):
    return [line.split(" = ")[1].split("(")[0] for line in str(jit(f).lower(*args)).split("\n") if " = " in line]


@pytest.mark.parametrize("executor", ["c", "numpy"])
@pytest.mark.parametrize("f", [rosenbrock, three_points, far_apart])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values(f, executor, dtype, monkeypatch):
    if executor == "c" and compiler.unavailable():
        pytest.skip(f"no C: {compiler.unavailable()}")
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", executor)
    of = value_and_grad(f)
    factor = 1 if dtype is np.float64 else 2
    a = np.tile(x, factor).astype(dtype)
    jitted = jit(of)
    jitted(a)
    kept = jitted(a * dtype(0.5))[1].copy()
    value, g = jitted(a)
    want, g_want = of(a)
    rtol = 1e-12 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(value, want, rtol=rtol)
    np.testing.assert_allclose(g, g_want, rtol=rtol, atol=rtol * np.abs(g_want).max())
    assert g.dtype == dtype
    assert g.flags.writeable
    np.testing.assert_array_equal(jitted(a * dtype(0.5))[1], kept)  # results keep their memory


def test_a_hessian_times_a_vector_is_one_kernel():
    def product(x, v):
        return hvp(rosenbrock)(x, v)

    found = steps_of(product, x, v)
    assert "scatter_add" not in found
    assert found.count("concatenate") == 1
    jitted = jit(product)
    jitted(x, v)
    np.testing.assert_allclose(jitted(x, v), product(x, v), rtol=1e-12, atol=1e-9)
    kernels: list = []
    token = watched.set(kernels)
    jitted(x, v)
    watched.reset(token)
    assert len(kernels) == 1


def test_what_is_read_elsewhere_too():
    def f(x):
        g = grad(rosenbrock)(x)
        d = x[1:] - x[:-1] ** 2
        return g * 2.0, d, np.sum(g), g[::2]

    jitted = jit(f)
    jitted(x)
    for got, want in zip(jitted(x), f(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-9)


def test_the_terms_are_added_in_the_same_order():
    of = grad(lambda x: np.sum(x[1:] * 1e16 + x[1:] * v[1:]) - np.sum(x[:-1] * 1e16))
    jitted = jit(of)
    jitted(x)
    with gpuad.fusion(False):
        want = of(x)
    np.testing.assert_array_equal(jitted(x), want)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: grad(rosenbrock)(x[:1000]),  # small
        lambda x: grad(lambda x: np.sum(x[::2] * x[1::2] + x[::2]))(x),  # not side by side
        lambda x: grad(lambda x: np.sum(np.cumsum(x[1:]) * np.cumsum(x[:-1])))(x),  # not elementwise
    ],
)
def test_where_it_isnt_done(f):
    assert "concatenate" not in steps_of(f, x)
    jitted = jit(f)
    jitted(x)
    np.testing.assert_allclose(jitted(x), f(x), rtol=1e-11, atol=1e-6)


def test_nor_without_fusion():
    with gpuad.fusion(False):
        assert "concatenate" not in steps_of(grad(rosenbrock), x)


def test_a_long_chain_keeps_few_arrays(monkeypatch):
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")

    def chain(x):
        for _ in range(100):
            x = x * (1.1 - 0.1 * x)
        return np.sum(x)

    of = value_and_grad(chain)
    long = np.tile(np.abs(x), 4)
    want, g_want = of(long)
    jitted = jit(of)
    jitted(long)
    jitted(long)
    tracemalloc.start()
    value, g = jitted(long)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * long.nbytes  # the gradient, and 20 MB for blocks; without jit it keeps 16
    np.testing.assert_allclose(value, want, rtol=1e-12)
    np.testing.assert_allclose(g, g_want, rtol=1e-11)


@pytest.mark.parametrize("executor", ["c", "numpy"])
def test_a_softmax_and_its_gradient_are_one_kernel(executor, monkeypatch):
    if executor == "c" and compiler.unavailable():
        pytest.skip(f"no C: {compiler.unavailable()}")
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", executor)
    z = np.round(np.random.default_rng(3).normal(size=(2000, 100)), 1)  # with equal largest entries in rows
    w = np.sin(np.arange(z.size)).reshape(z.shape)

    def f(z):
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        return np.sum(w * e / np.sum(e, axis=1, keepdims=True))

    of = value_and_grad(f)
    jitted = jit(of)
    jitted(z)
    kernels: list = []
    token = watched.set(kernels)
    value, g = jitted(z)
    watched.reset(token)
    with gpuad.fusion(False):
        want, g_want = of(z)
    assert sum(lengths == z.shape for _, lengths in kernels) == 1
    np.testing.assert_allclose(value, want, rtol=1e-12)
    np.testing.assert_allclose(g, g_want, rtol=1e-9, atol=1e-15)


def test_while_it_is_recorded_kernels_compute_functions_of_large_arrays():
    """And NumPy the arithmetic between them, whose results are the program's own to the last bit."""

    def f(x):
        y = np.sin(x) * 2.0
        return y, np.sum(np.exp(y) + x)

    kernels: list = []
    token = watched.set(kernels)
    y, total = jit(f)(x)
    watched.reset(token)
    assert [step.scalar for kernel, _ in kernels for step in kernel.plan.steps] == ["sin({0})", "exp({0})"]
    np.testing.assert_allclose(y, np.sin(x) * 2.0, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(total, f(x)[1], rtol=1e-13)
    assert y.flags.owndata and y.flags.writeable

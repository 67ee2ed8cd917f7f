"""Fused kernels on CuPy, run on the CPU: few launches, no waiting, and NumPy's gradients."""

from __future__ import annotations

import numpy as np
import pytest

import cupy_on_cpu
import gpuad
import gpuad.numpy as gnp
from gpuad import explain, grad, value_and_grad
from gpuad.backend import cupy_backend
from gpuad.fused import pending


@pytest.fixture(autouse=True)
def everything_is_large(emulated_cupy, monkeypatch):
    monkeypatch.setitem(pending.LARGE, cupy_backend, 0)


def gelu(x):
    return gnp.sum(0.5 * x * (1.0 + gnp.tanh(0.7978845608 * (x + 0.044715 * x**3))))


def black_scholes(spot, strike, time, rate, vol):
    spread = vol * gnp.sqrt(time)
    d1 = (gnp.log(spot / strike) + (rate + 0.5 * vol * vol) * time) / spread
    cdf = lambda x: 0.5 + 0.5 * gnp.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x))  # noqa: E731
    return gnp.sum(spot * cdf(d1) - strike * gnp.exp(-rate * time) * cdf(d1 - spread))


def normalised(x, gain, bias):
    d = x - gnp.mean(x, axis=-1, keepdims=True)
    y = d / gnp.sqrt(gnp.mean(d * d, axis=-1, keepdims=True) + 1e-5) * gain + bias
    return gnp.sum(y * gnp.tanh(y))


def network(w, b, x):
    h = gnp.tanh(x @ w + b)
    return gnp.mean((gnp.tanh(h @ w + b) - x) ** 2)


def in_groups(x, w):
    h = gnp.tanh(x).reshape(3, 2, 4, 10)
    h = (h - gnp.mean(h, axis=(2, 3), keepdims=True)) / gnp.sqrt(gnp.mean(h * h, axis=(2, 3), keepdims=True))
    return gnp.sum(gnp.tanh(h.reshape(3, 8, 10)).T * w)


def cross_entropy(x, w):
    z = x - gnp.max(x, axis=1, keepdims=True)  # whose gradient counts the largest
    return gnp.mean(gnp.log(gnp.sum(gnp.exp(z), axis=1)) - gnp.sum(z * w, axis=1))


rng = np.random.default_rng(0)
PROGRAMS = {
    "gelu": (gelu, [rng.normal(size=1003)]),
    "black_scholes": (black_scholes, [rng.uniform(0.5, 1.5, 501) for _ in range(5)]),
    "normalised": (normalised, [rng.normal(size=(33, 40)), rng.normal(size=40), rng.normal(size=40)]),
    "cross_entropy": (cross_entropy, [np.round(rng.normal(size=(33, 40)), 1), rng.normal(size=(33, 40))]),
    "in_groups": (in_groups, [rng.normal(size=(3, 8, 10)), rng.normal(size=(10, 8, 3))]),
    "network": (network, [rng.normal(size=(16, 16)) / 4, rng.normal(size=16), rng.normal(size=(20, 16))]),
}


def both(name, dtype, cupy):
    f, args = PROGRAMS[name]
    args = [a.astype(dtype) for a in args]
    return value_and_grad(f, tuple(range(len(args)))), args, [cupy.asarray(a) for a in args]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_those_of_numpy(name, dtype, emulated_cupy):
    f, host, device = both(name, dtype, emulated_cupy)
    value, gradients = f(*device)
    with gpuad.fusion(False):
        expected, wanted = f(*host)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(value.get(), expected, rtol=tolerance)
    for g, w in zip(gradients, wanted, strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_allclose(g.get(), w, rtol=tolerance, atol=tolerance * np.abs(w).max())


# A sum that goes over blocks of threads has a second kernel that adds up what each block found.
@pytest.mark.parametrize(
    ("name", "launches", "products"), [("gelu", 2, 0), ("black_scholes", 2, 0), ("in_groups", 4, 0), ("network", 10, 6)]
)
def test_launches(name, launches, products, emulated_cupy):
    f, _, device = both(name, "float32", emulated_cupy)
    f(*device)
    with cupy_on_cpu.count() as c:
        f(*device)
    assert c.launches <= launches, c.log
    assert (c.blas, c.syncs, c.h2d, c.d2h) == (products, 0, 0, 0)


def test_what_the_kernels_do_not_have_is_done_one_by_one(emulated_cupy):
    x = emulated_cupy.asarray(np.array([0.5, 1.5 - 1j, 2j]))

    def f(x):
        return gnp.sum(gnp.abs(gnp.arctan(x) * x + 1.0) ** 2)

    with gpuad.fusion(False):
        expected = grad(f)(x.get())
    np.testing.assert_allclose(grad(f)(x).get(), expected, rtol=1e-12)


def test_explain_shows_cuda(emulated_cupy):
    found = explain(grad(gelu))(emulated_cupy.asarray(np.linspace(-1.0, 1.0, 64)))
    assert [r.run_by for r in found.regions] == ["CUDA"]
    assert "__global__" in found.regions[0].source


@pytest.mark.parametrize("shape", [(400,), (30, 21), (2, 3, 40)])
def test_slices_that_wait(shape):
    import cupy as cp

    def f(x):
        u = x * x + 0.5 * x
        d = u[..., 2:] - 2.0 * u[..., 1:-1] + u[..., :-2]
        e = gnp.tanh(u[1:] * u[:-1]) if u.ndim > 1 else u[1:] * u[:-1]
        return gnp.sum(d * d) + gnp.sum(e)

    for dtype in ("float64", "float32"):
        x = np.random.default_rng(0).normal(size=shape).astype(dtype)
        with gpuad.fusion(False):
            want = grad(f)(x)
        got = grad(f)(cp.asarray(x))
        np.testing.assert_allclose(got.get(), want, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-3)

"""What a gradient costs on CuPy besides arithmetic: exact counts, the same on every machine (CuPy on the CPU)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import cupy_on_cpu
import gpuad
import gpuad.numpy as gnp


def counted(f, *args):
    """The counts of one call, when all kernels are compiled and the memory pool is warm."""
    f(*args)
    with cupy_on_cpu.count() as c:
        f(*args)
    return c


def kernels(c):
    """How often each kernel was launched, by CuPy's name for the operation."""
    return Counter(name.removeprefix("cupy_").split("__")[0] for name in c.log)


@pytest.fixture
def arrays(emulated_cupy):
    rng = np.random.default_rng(0)
    shapes = [(8, 16), (16,), (16, 4), (4,), (32, 8)]
    *params, x = (emulated_cupy.asarray(rng.normal(size=s).astype("float32")) for s in shapes)
    return params, x, emulated_cupy.asarray(rng.integers(0, 4, 32)), emulated_cupy.arange(32)


def test_a_chain_launches_one_kernel_per_operation(arrays):
    """The yardstick for fusing: 5 operations forward, 7 launches backward."""
    _, x, *_ = arrays
    c = counted(gpuad.grad(lambda x: gnp.sum(gnp.tanh(gnp.sin(x) * 2.0 + 1.0))), x)
    assert kernels(c) == {
        "sin": 1, "add": 1, "tanh": 1, "sum": 1,
        "fill": 1,  # the error signal of the output
        "multiply": 1 + 2 + 1 + 1,  # forward; tanh, the number, sin
        "subtract": 1, "cos": 1,
    }  # fmt: skip
    assert c.launches == 12


def test_training_waits_for_nothing_and_copies_nothing(arrays):
    params, x, labels, rows = arrays

    def loss(params, x):
        w1, b1, w2, b2 = params
        z = gnp.tanh(x @ w1 + b1) @ w2 + b2
        z = z - gnp.max(z, axis=1, keepdims=True)
        return -gnp.mean((z - gnp.log(gnp.sum(gnp.exp(z), axis=1, keepdims=True)))[rows, labels])

    c = counted(gpuad.value_and_grad(loss), params, x)
    assert c.blas == 5  # two products forward; both weights and the hidden layer backward
    assert c.launches > 0
    assert (c.syncs, c.h2d, c.d2h, c.d2d, c.mallocs, c.frees) == (0, 0, 0, 0, 0, 0)


def test_a_second_derivative_waits_for_nothing(arrays):
    _, x, *_ = arrays
    g = gpuad.grad(lambda x: gnp.sum(gpuad.grad(lambda y: gnp.sum(gnp.sin(y) * y[:, ::-1]))(x) ** 2))
    c = counted(g, x)
    assert (c.syncs, c.h2d, c.d2h, c.mallocs) == (0, 0, 0, 0)


def test_views_are_not_copied(arrays, emulated_cupy):
    _, x, *_ = arrays
    pullback = gpuad.vjp(lambda x: gnp.swapaxes(x, 0, 1)[None], x)[1]
    c = counted(pullback, emulated_cupy.ones((1, 8, 32), "float32"))
    # The way back is of views of the cotangent, and what is handed out is a copy of it: nothing else is done.
    assert kernels(c) == {"copy": 1}
    assert c.syncs == 0

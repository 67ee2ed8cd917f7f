"""CUDA graphs of jit, captured by CuPy on a GPU or the CPU: when there is one, what it may touch, what goes without."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import cupy_on_cpu
import gpuad.numpy as gnp
from gpuad import jit, value_and_grad
from gpuad.backend.cupy_products import Products
from gpuad.graph import captured
from gpuad.graph.captured import Captured


@pytest.fixture(autouse=True)
def with_graphs(cupy, monkeypatch):
    monkeypatch.setenv("GPUAD_JIT_GRAPHS", "1")


@pytest.fixture
def tried(monkeypatch):
    """Whether each capture that was tried has given a graph."""
    found = []
    theirs = Captured._try

    def watched(self, given):
        theirs(self, given)
        found.append(not self.given_up)

    monkeypatch.setattr(Captured, "_try", watched)
    return found


def wave(x, v, rate):
    for _ in range(3):
        v = v + rate * (gnp.roll(x, 1) - 2.0 * x + gnp.roll(x, -1))
        x = x + rate * v
    return x, v


def waves(cupy, n=3):
    rng = np.random.default_rng(0)
    return [(cupy.asarray(rng.normal(size=9)), cupy.asarray(rng.normal(size=9))) for _ in range(n)]


def same(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.get(), b.get(), rtol=1e-12)


def test_a_step_is_one_graph(emulated_cupy, tried):
    step, inputs = jit(wave), waves(emulated_cupy)
    for _ in range(5):
        step(*inputs[0], 0.1)
    assert tried == [True]
    with cupy_on_cpu.count() as c:
        step(*inputs[1], 0.1)
    assert c.graph_launches == 1 and c.graph_kernels == 9
    assert (c.launches, c.d2d, c.syncs, c.h2d, c.d2h, c.mallocs) == (2, c.d2d, 0, 0, 0, 0)
    same(step(*inputs[2], 0.1), wave(*inputs[2], 0.1))


def test_earlier_results_stay(cupy, tried):
    step, inputs = jit(wave), waves(cupy, 8)
    kept = [step(x, v, 0.1) for x, v in inputs]
    for (x, v), found in zip(inputs, kept, strict=True):
        same(found, wave(x, v, 0.1))
    x, v = kept[-1]
    x[...], v[...] = 7.0, 7.0  # nobody else's memory either
    same(step(*inputs[0], 0.1), wave(*inputs[0], 0.1))
    assert tried == [True]


def test_other_numbers_go_without(emulated_cupy, tried):
    step, ((x, v), *_) = jit(wave), waves(emulated_cupy)
    for _ in range(5):
        step(x, v, 0.1)
    for rate in (0.2, -0.0, 0.0, float("nan"), 0.1):
        with cupy_on_cpu.count() as c:
            found = step(x, v, rate)
        same(found, wave(x, v, rate))
        assert c.graph_launches == (rate == 0.1)
    for k in range(captured.MISSES + 1):
        step(x, v, 0.3 + k)
    with cupy_on_cpu.count() as c:
        step(x, v, 0.1)
    assert c.graph_launches == 0 and tried == [True]


def test_other_streams_go_without(emulated_cupy, tried):
    step, ((x, v), *_) = jit(wave), waves(emulated_cupy)
    for _ in range(5):
        step(x, v, 0.1)
    with emulated_cupy.cuda.Stream(non_blocking=True), cupy_on_cpu.count() as c:
        found = step(x, v, 0.1)
    same(found, wave(x, v, 0.1))
    assert c.graph_launches == 0


def test_in_a_capture_of_the_program_s_own(cupy, tried):
    step, inputs = jit(wave), waves(cupy)
    stream = cupy.cuda.Stream(non_blocking=True)
    x, v = inputs[0]
    with stream:
        for _ in range(5):
            step(x, v, 0.1)
        stream.begin_capture()
        found = step(x, v, 0.1)
        graph = stream.end_capture()
        x[...], v[...] = inputs[1]
        graph.launch()
    same(found, wave(*inputs[1], 0.1))
    assert tried == [True]


def branched(x, v):
    y = gnp.roll(x, 1) * v + gnp.roll(v, 2)
    z = gnp.cumsum(gnp.roll(y, 1) * 0.5) + v
    if gnp.sum(z) > 0:
        return gnp.roll(gnp.roll(z, 1) * y, 1) + gnp.roll(y, 3), y
    return y, gnp.cumsum(z)


def test_branches_are_graphs_of_their_own(cupy, tried, monkeypatch):
    monkeypatch.setattr(captured, "COPIES", 2)
    step, inputs = jit(branched), waves(cupy, 12)
    for _ in range(3):
        for x, v in inputs:
            found = step(x, v)
            same(found, branched(x, v))
    assert tried.count(True) >= 2


def test_what_can_not_be_captured_is_tried_once(cupy, tried, monkeypatch):
    """CuPy refuses products, which are captured in another way otherwise."""

    def product(x, v):
        return wave(x, v @ (x[:, None] * v), 0.1)

    monkeypatch.setattr(Products, "matmul", lambda self, x, y: self._xp.matmul(x, y))
    step, inputs = jit(product), waves(cupy)
    for x, v in inputs * 3:
        same(step(x, v), product(x, v))
    assert tried == [False]
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:  # nothing is left behind: another capture works
        stream.begin_capture()
        y = inputs[0][0] * 2.0
        stream.end_capture().launch()
    np.testing.assert_array_equal(y.get(), inputs[0][0].get() * 2.0)


def test_a_graph_that_finds_something_else_is_thrown_away(cupy, tried, monkeypatch):
    monkeypatch.setattr(captured, "_same_bits", lambda a, b: False)
    step, inputs = jit(wave), waves(cupy)
    for x, v in inputs * 2:
        same(step(x, v, 0.1), wave(x, v, 0.1))
    assert tried == [False]


def test_too_much_memory_is_not_taken(cupy, tried, monkeypatch):
    monkeypatch.setattr(captured, "BYTES", 2048)
    step, inputs = jit(wave), waves(cupy)
    for x, v in inputs * 2:
        same(step(x, v, 0.1), wave(x, v, 0.1))
    assert tried == [False]


def test_memory_goes_with_the_recording(emulated_cupy, tried):
    step, inputs = jit(wave), waves(emulated_cupy)
    gc.collect()
    with cupy_on_cpu.count() as c:
        for x, v in inputs * 4:
            step(x, v, 0.1)
        after_capture = c.mallocs
        for x, v in inputs * 4:
            step(x, v, 0.1)
        assert c.mallocs == after_capture and tried == [True]
        del step
        gc.collect()
        emulated_cupy.get_default_memory_pool().free_all_blocks()
    assert c.frees >= c.mallocs


def test_small_gains_are_left(cupy, tried):
    """As many copies as kernels."""
    few = jit(lambda x, y, z: (gnp.roll(x, 1), gnp.roll(y, 1) * x, gnp.cumsum(z)))
    x = cupy.arange(5.0)
    for _ in range(6):
        few(x, x + 1, x + 2)
    assert True not in tried


def test_graphs_are_asked_for(cupy, tried, monkeypatch):
    monkeypatch.delenv("GPUAD_JIT_GRAPHS")
    step, inputs = jit(wave), waves(cupy)
    for x, v in inputs * 3:
        step(x, v, 0.1)
    assert not tried


# -- products ----------------------------------------------------------------------------------------------------
SHAPES = [
    ((5, 3), (3, 4)), ((3,), (3, 4)), ((5, 3), (3,)), ((3,), (3,)), ((2, 5, 3), (2, 3, 4)), ((2, 5, 3), (3, 4)),
    ((5, 3), (2, 3, 4)), ((1, 5, 3), (2, 3, 4)), ((2, 1, 5, 3), (3, 3, 4)), ((5, 1), (1, 4)), ((1, 3), (3, 1)),
    ((5, 0), (0, 4)), ((0, 3), (3, 4)), ((2, 1, 1), (2, 1, 1)), ((3,), (2, 3, 4)), ((2, 5, 3), (3,)),
]  # fmt: skip
LAYOUTS = [
    lambda a: a,
    lambda a: a.copy().swapaxes(-1, -2).copy().swapaxes(-1, -2) if a.ndim > 1 else a[::-1].copy()[::-1],
    lambda a: a.repeat(2, axis=-1)[..., ::2],
    lambda a: a.repeat(2, axis=0)[::2],
    lambda a: a[::-1].copy()[::-1],
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_products_are_numpys(cupy, dtype):
    rng = np.random.default_rng(0)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        products = Products(cupy, stream)
        for x, y in SHAPES:
            a, b = (rng.normal(size=(2, *s)).astype(dtype) for s in (x, y))
            a, b = (z[0] + (1j * z[1] if dtype[0] == "c" else 0) for z in (a, b))
            for one in LAYOUTS:
                for other in LAYOUTS:
                    found = products.checked(one(cupy.asarray(a)), other(cupy.asarray(b)))
                    assert (found.dtype, found.shape) == ((a @ b).dtype, (a @ b).shape)
                    np.testing.assert_allclose(
                        found.get(), a @ b, rtol=1e-4 if dtype[-2:] in ("32", "64") else 1e-10, atol=1e-5
                    )
        for dtypes in [("float16", "float16"), ("int64", "int64")]:
            with pytest.raises(TypeError):
                products.matmul(*[cupy.ones((2, 2), d) for d in dtypes])
        with pytest.raises(ValueError, match="matmul"):
            products.matmul(cupy.ones((2, 3)), cupy.ones((2, 3)))


def network(params, x, y):
    (w, b), (v, c) = params
    z = gnp.tanh(x @ w + b) @ v + c
    return gnp.mean((z - y) ** 2) + gnp.sum(gnp.tanh(x @ x.T) ** 2) * 1e-3


def training(params, x, y, rate):
    loss, g = value_and_grad(network)(params, x, y)
    return loss, [(w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(params, g, strict=True)]


@pytest.fixture
def problem(cupy):
    rng = np.random.default_rng(0)
    draw = lambda *shape: cupy.asarray(rng.normal(size=shape) / 4)  # noqa: E731
    return [(draw(8, 16), draw(16)), (draw(16, 10), draw(10))], draw(32, 8), draw(32, 10)


def test_training_is_one_graph(problem, tried, monkeypatch):
    monkeypatch.setattr(captured, "COPIES", 2)
    (params, x, y), step = problem, jit(training)
    ours, theirs = params, params
    for _ in range(8):
        loss, ours = step(ours, x, y, 0.1)
        wanted, theirs = training(theirs, x, y, 0.1)
        same([loss, *ours[0], *ours[1]], [wanted, *theirs[0], *theirs[1]])
    assert tried == [True]


def test_training_launches_nothing_else(problem, tried, monkeypatch, emulated_cupy):
    monkeypatch.setattr(captured, "COPIES", 2)
    (params, x, y), step = problem, jit(training)
    for _ in range(5):
        step(params, x, y, 0.1)
    with cupy_on_cpu.count() as c:
        step(params, x, y, 0.1)
    assert (c.graph_launches, c.launches, c.d2d, c.syncs, c.h2d, c.d2h, c.mallocs) == (1, 5, 6, 0, 0, 0, 0)
    assert c.blas == 6 and c.graph_kernels > 5


def test_a_product_that_is_not_cupys_is_not_captured(problem, tried, monkeypatch):
    theirs = Products.matmul
    monkeypatch.setattr(Products, "matmul", lambda self, x, y: theirs(self, x, y) * 1.0001)
    monkeypatch.setattr(captured, "COPIES", 2)
    (params, x, y), step = problem, jit(training)
    for _ in range(5):
        loss, _ = step(params, x, y, 0.1)
        same([loss], [training(params, x, y, 0.1)[0]])
    assert tried == [False]

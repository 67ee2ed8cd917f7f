"""jit on CuPy, on a GPU or on the CPU: what a replay computes, with how few kernels, and that its results are its own.

Everything is done twice, kernel by kernel and with CUDA graphs, which are captured of whatever can be then.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import cupy_on_cpu
import gpuad
import gpuad.numpy as gnp
from gpuad import jit, value_and_grad
from gpuad.backend import cupy_backend
from gpuad.core.pytree import leaves
from gpuad.graph import captured
from gpuad.graph.scripted import Scripted
from gpuad.graph.tree import Tree
from random_programs import Program


@pytest.fixture(autouse=True, params=["kernels", "graphs"])
def on_cupy(request, cupy, monkeypatch):
    """A replay that raises isn't made up for by a plain call."""
    if request.param == "graphs":
        monkeypatch.setenv("GPUAD_JIT_GRAPHS", "1")
        for name, value in {"TURNS": 1, "LAUNCHES": 1, "COPIES": 100}.items():
            monkeypatch.setattr(captured, name, value)
    raised = []
    run = Tree.run

    def watched(self, inputs):
        try:
            return run(self, inputs)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(Tree, "run", watched)
    yield request.param
    assert not raised


def recordings(jitted):
    """What calls a jitted function."""
    return next(c.cell_contents for c in jitted.__closure__ if hasattr(c.cell_contents, "holds_recordings"))


def stretches(jitted):
    known = recordings(jitted).known.values()
    return [node.segment for kind in known for recorded in kind for node in recorded.tree.nodes()]


def as_cupy(a, cupy):
    """The same array on the device, with the same strides."""
    if isinstance(a, np.ndarray) and 0 in a.strides and a.size:
        once = a[tuple(slice(0, 1) if s == 0 else slice(None) for s in a.strides)]
        return cupy.broadcast_to(cupy.asarray(once), a.shape)
    if a.ndim and a.strides[0] < 0:
        return as_cupy(a[::-1], cupy)[::-1]
    if a.ndim and a.strides[-1] == 2 * a.itemsize:
        return cupy.repeat(cupy.asarray(a), 2, axis=-1)[..., ::2]
    return cupy.asarray(a, order="K")


def assert_alike(got, want, tolerance):
    got, want = list(leaves(got)), list(leaves(want))
    assert len(got) == len(want)
    for (_, a), (_, b) in zip(got, want, strict=True):
        assert type(a) is type(b)
        a, b = (x.get() if hasattr(x, "get") else np.asarray(x) for x in (a, b))
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


def memory_of(x):
    return x.data.mem.ptr, x.data.mem.ptr + x.data.mem.size


TOLERANCE = {"float16": 2e-2, "float32": 1e-3, "complex64": 1e-3}


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed, cupy):
    program = Program(seed)
    inputs, constants = program.args, [as_cupy(a, cupy) for a in program.constants]
    program.args = program.constants = program.rng = None
    program.numbers[3] = -0.4  # an array of NumPy's is none of CuPy's
    tolerance = max(TOLERANCE.get(d, 1e-6) for d in program.dtypes)

    def run(constants, *args):
        drawn = copy.copy(program)
        drawn.constants = constants
        return drawn.loss(*args) if seed % 2 else drawn(*args)

    plain = value_and_grad(run, tuple(range(1, len(inputs) + 1))) if seed % 2 else run
    jitted = jit(plain)
    kept = []
    for k in range(4):
        args = [constants, *[as_cupy(a * a.dtype.type(1 + 0.25 * k), cupy) for a in inputs]]
        got = jitted(*args)
        with gpuad.fusion(False):
            want = plain(*args)
        assert_alike(got, want, tolerance)
        kept.append((got, want))
    for got, want in kept:  # what later calls did hasn't touched it
        assert_alike(got, want, tolerance)
    if recordings(jitted).replayed >= 3:
        ranges = sorted(memory_of(x) for _, x in leaves([got for got, _ in kept]) if hasattr(x, "data") and x.size)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges)), "results share memory"


def network(params, x, y):
    (w, b), (v, c) = params
    z = gnp.tanh(x @ w + b) @ v + c
    z = z - gnp.max(z, axis=1, keepdims=True)
    return gnp.mean(gnp.sum(y * (gnp.log(gnp.sum(gnp.exp(z), axis=1, keepdims=True)) - z), axis=1))


def training(params, x, y, rate):
    loss, g = value_and_grad(network)(params, x, y)
    return loss, [(w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(params, g, strict=True)]


@pytest.fixture
def problem(cupy):
    rng = np.random.default_rng(0)
    draw = lambda *shape: cupy.asarray(rng.normal(size=shape) / 4)  # noqa: E731
    return [(draw(8, 16), draw(16)), (draw(16, 10), draw(10))], draw(32, 8), draw(32, 10)


def test_training_goes_on_as_without_jit(problem):
    params, x, y = problem
    step, plain, ours, theirs = jit(training), training, params, params
    for k in range(6):
        loss, ours = step(ours, x, y, 0.1 / (k + 1))
        wanted, theirs = plain(theirs, x, y, 0.1 / (k + 1))
        assert_alike((loss, ours), (wanted, theirs), 1e-10)
    assert [type(s) for s in stretches(step)] == [Scripted]


def test_a_step_is_few_kernels_and_waits_for_nothing(problem, emulated_cupy, on_cupy):
    params, x, y = problem
    step = jit(training)
    for _ in range(3):
        step(params, x, y, 0.1)
    with cupy_on_cpu.count() as c:
        step(params, x, y, 0.1)
    assert c.launches <= 12, c.log
    copies = len(params) * 2 + 2 if on_cupy == "graphs" else 0
    assert (c.blas, c.syncs, c.h2d, c.d2h, c.d2d, c.mallocs, c.frees) == (5, 0, 0, 0, copies, 0, 0)


def test_small_arrays_are_one_kernel_too(emulated_cupy, on_cupy):
    def chain(x):
        for _ in range(12):
            x = gnp.tanh(x) * 1.1 + 0.1
        return x

    x = emulated_cupy.linspace(-1.0, 1.0, 7)
    f = jit(chain)
    for _ in range(3):
        f(x)
    with cupy_on_cpu.count() as c:
        found = f(x)
    assert (c.launches, c.graph_kernels, c.graph_launches) == ((1, 0, 0) if on_cupy == "kernels" else (1, 1, 1))
    assert_alike(found, chain(x), 1e-12)


def test_numbers_that_are_alike_at_first(cupy):
    def f(x, a, b, c):
        return gnp.tanh(x * a + 0.5) * b + x * 0.5 + c, (x + a * b) * c

    x, jitted = cupy.arange(5.0), jit(f)
    for numbers in [(0.5, 0.5, 0.5)] * 3 + [(0.5, 2.0, 3.0), (-1.0, 0.5, 0.25), (0.5, 0.5, float("inf"))]:
        assert_alike(jitted(x, *numbers), f(x, *numbers), 1e-12)
    for numbers in [(np.float64(0.5),) * 3, (np.float64(0.5), np.float64(2.0), 1.5), (np.float64(0.1), 1.0, 1.5)]:
        assert_alike(jitted(x, *numbers), f(x, *numbers), 1e-12)
    y = x.astype("float32")
    for number in (np.float32(0.5), np.float32(0.1), np.float32(2.0), np.float32(0.1)):
        assert_alike(jitted(y, number, 1.0, 0.5), f(y, number, 1.0, 0.5), 1e-6)


def test_arrays_that_start_anywhere(cupy):
    """Whether many entries can be read at a time depends on where an array starts."""
    f = lambda x, y: gnp.exp(-x * y) + x  # noqa: E731
    whole, jitted = cupy.linspace(0.0, 1.0, 80).astype("float32"), jit(f)
    for start in (0, 1, 2, 4, 3, 0, 8):
        args = whole[start : start + 64], whole[start // 2 : start // 2 + 64]
        assert_alike(jitted(*args), f(*args), 1e-6)


def test_what_is_around_may_lie_in_another_way(cupy):
    w = cupy.asarray(np.random.default_rng(0).normal(size=(6, 6)))
    f = lambda x: gnp.tanh(x * w) + gnp.sum(x * w.T, axis=0)  # noqa: E731
    jitted, x = jit(f), cupy.arange(36.0).reshape(6, 6)
    for layout in (w, w.copy(), w.T, w.copy(order="F"), w[::-1, ::-1], w):
        w = layout
        assert_alike(jitted(x), f(x), 1e-12)


def test_branches(cupy):
    def f(x, y):
        z = gnp.tanh(x) * y + 1.0
        t = z.T * 2.0
        if gnp.sum(z) > 0:
            return gnp.exp(-t) + z.T, t
        u = t @ z
        return gnp.sin(u) + t[0, 0], gnp.sum(u, axis=0)

    x = cupy.asarray(np.random.default_rng(0).normal(size=(4, 4)))
    jitted = jit(f)
    for sign in (1, 1, -9, -9, 1, -9, 1):
        args = x, sign * cupy.ones((4, 4)) * cupy.abs(x)
        args = (cupy.abs(x), args[1])
        assert_alike(jitted(*args), f(*args), 1e-12)
    assert recordings(jitted).recorded == 2
    assert [type(s) for s in stretches(jitted)] == [Scripted] * 3


def test_results_may_be_written_into(cupy):
    def f(x):
        y = gnp.exp(x) * 0.5
        return y, y.T, y.reshape(-1), x, y[0], gnp.sum(y, axis=0), gnp.broadcast_to(y[:1], (3, 3))

    x, jitted = cupy.arange(9.0).reshape(3, 3), jit(f)
    want = [a.copy() for a in f(x)]
    for _ in range(4):
        got = jitted(x)
        assert_alike(got, tuple(want), 1e-12)
        for a in got:
            a[...] = -1.0
    assert_alike(x, cupy.arange(9.0).reshape(3, 3), 0.0)


def test_what_kernels_have_not_is_left_to_the_library(cupy):
    def f(x):
        y = gnp.arctan(x * 2.0) * 1j  # no kernel has it, of complex numbers
        return gnp.max(gnp.abs(y)) + gnp.sum(gnp.sort(gnp.real(y * 1j)) * gnp.real(x)), gnp.cumsum(y)

    x, jitted = cupy.asarray(np.array([0.5, 1.5 - 1j, 2j])), jit(f)
    for k in range(4):
        assert_alike(jitted(x * (k + 1)), f(x * (k + 1)), 1e-12)


def test_memory_does_not_grow(problem, cupy):
    params, x, y = problem
    step, pool = jit(training), cupy.get_default_memory_pool()
    for _ in range(3):
        step(params, x, y, 0.1)
    before = pool.used_bytes()
    for _ in range(20):
        step(params, x, y, 0.1)
    assert pool.used_bytes() == before


def test_without_fusion_nothing_waits(problem):
    params, x, y = problem
    step = jit(training)
    with gpuad.fusion(False):
        for _ in range(3):
            got = step(params, x, y, 0.1)
        assert_alike(got, training(params, x, y, 0.1), 1e-12)
        assert not any(isinstance(s, Scripted) for s in stretches(step))


def test_programs_say_what_they_do(problem):
    params, x, y = problem
    step = jit(training)
    lowered = step.lower(params, x, y, 0.1)
    assert "matmul" in lowered.graph and "ndarray(" in lowered.source
    assert step.cost(params, x, y, 0.1).multiply_adds > 0
    assert cupy_backend.memory_used() is not None


def test_what_is_added_up_in_place(cupy):
    """Of slices that overlap, cotangents are put together in memory that kernels don't know from the beginning."""

    def f(x):
        y = x[1:-1] * 0.5 + (x[2:] + x[:-2]) * 0.25
        z = y[2:] * y[:-2] + y[1:-1]
        return gnp.sum(z * z)

    jitted, plain = jit(gpuad.grad(f)), gpuad.grad(f)
    for shape in [(40,), (40, 3)]:
        x = cupy.asarray(np.random.default_rng(0).normal(size=shape))
        for k in range(4):
            assert_alike(jitted(x * (k + 1)), plain(x * (k + 1)), 1e-12)

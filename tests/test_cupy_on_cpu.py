"""The tool that runs CuPy without a GPU, against NumPy: ``pytest --backend cupy tests/test_cupy_on_cpu.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cupy_on_cpu
from cupy_on_cpu import kernels

RNG = np.random.default_rng(7)
FLOATS = RNG.uniform(0.1, 0.9, (7, 5))


@pytest.fixture
def cp(emulated_cupy):
    return emulated_cupy


def same(got, want, **tolerance):
    np.testing.assert_allclose(got.get(), want, **{"rtol": 1e-12, **tolerance})
    assert got.dtype == want.dtype


# --- values --------------------------------------------------------------------------------------
VALUES = {
    "elementwise": lambda xp, x: xp.tanh(x) * xp.exp(-x) + xp.sqrt(x) / 3 - xp.log1p(x),
    "float32": lambda xp, x: xp.sin(x.astype("float32")) * 2,
    "float16": lambda xp, x: x.astype("float16") * xp.float16(1.5),
    "complex": lambda xp, x: xp.exp(1j * x) * xp.conj(x + 2j),
    "comparison": lambda xp, x: (x > 0.5) & ~(x == x[0]),
    "integers": lambda xp, x: (x * 1000).astype("int64") // 7 % 5,
    "broadcasting": lambda xp, x: x[:, None, :] * x[None, :, 0][..., None],
    "strides": lambda xp, x: x.T[::2, ::-1] + x.T[1::2, :][:1],
    "sum": lambda xp, x: xp.sum(x, axis=1),
    "sum of all": lambda xp, x: xp.asarray(xp.sum(x)),
    "mean, var": lambda xp, x: xp.mean(x, axis=0) + xp.var(x, axis=0, keepdims=True),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "prod, max": lambda xp, x: xp.prod(x, axis=0) + xp.max(x, axis=0),
    "cumsum": lambda xp, x: xp.cumsum(x, axis=1),
    "cumprod of complex": lambda xp, x: xp.cumprod(x + 1j, axis=0),
    "slices": lambda xp, x: x[1:6:2, ::-2],
    "integer index": lambda xp, x: x[xp.asarray([0, 3, 0, -1])],
    "mask": lambda xp, x: x[x > 0.5],
    "where": lambda xp, x: xp.where(x > 0.5, x, -x),
    "take": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "concatenate": lambda xp, x: xp.concatenate([x, x[:2] * 2]),
    "sort": lambda xp, x: xp.sort(x, axis=0),
    "argsort": lambda xp, x: xp.argsort(x, axis=-1),
    "lexsort": lambda xp, x: xp.lexsort(xp.stack([x[:, 0], xp.round(x[:, 1])])),
    "unique": lambda xp, x: xp.unique(xp.round(x, 1)),
    "matmul": lambda xp, x: x.T @ x,
    "matmul of float32": lambda xp, x: x.astype("float32") @ x.T.astype("float32"),
    "matmul of complex": lambda xp, x: (x + 1j) @ (x - 2j).conj().T,
    "batched matmul": lambda xp, x: xp.stack([x, 2 * x]) @ xp.stack([x.T, x.T + 1]),
    "matrix times vector": lambda xp, x: x @ x[0],
    "dot": lambda xp, x: xp.asarray(xp.dot(x[0], x[1])),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=([0], [0])),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, x),
    "empty": lambda xp, x: xp.sum(x[:0], axis=0) + (x[:, :0] @ x.T[:0, :])[0, :5],
}


@pytest.mark.parametrize("what", VALUES)
def test_values_are_numpys(cp, what):
    f = VALUES[what]
    precision = {"float32": 1e-6, "float16": 1e-3, "matmul of float32": 1e-6}.get(what, 1e-12)
    same(f(cp, cp.asarray(FLOATS)), f(np, FLOATS), rtol=precision)


def test_scatter_add_adds_every_duplicate(cp):
    x, y = np.zeros((4, 3)), cp.zeros((4, 3))
    rows = [0, 2, 0, 0]
    np.add.at(x, rows, 1.5)
    cp.add.at(y, cp.asarray(rows), 1.5)
    same(y, x)


def test_writes_through_views(cp):
    x, y = FLOATS.copy(), cp.asarray(FLOATS)
    for a, xp in ((x, np), (y, cp)):
        view = a[::2].T
        view += xp.arange(4.0)
        a[xp.asarray([1, 3])] = 0
        a[a > 2] = -1
    same(y, x)


def test_half_precision_products_accumulate_in_float32(cp):
    ones = cp.ones((1, 4096), dtype="float16")
    assert float((ones @ ones.T)[0, 0]) == 4096


def test_large_product(cp):
    a, b = RNG.standard_normal((1100, 301)).astype("f"), RNG.standard_normal((301, 70)).astype("f")
    same(cp.asarray(a) @ cp.asarray(b), a @ b, rtol=1e-3, atol=1e-4)


def test_special_functions(cp):
    from cupyx.scipy import special

    p = cp.asarray(FLOATS)
    same(special.erf(special.erfinv(p)), FLOATS)
    same(special.erfc(special.erfcinv(p)), FLOATS)
    same(special.ndtr(special.ndtri(p)), FLOATS)


def test_random_numbers(cp):
    cp.random.seed(3)
    first = cp.random.standard_normal(10_000)
    cp.random.seed(3)
    same(cp.random.standard_normal(10_000), first.get())
    assert abs(float(first.mean())) < 0.05
    assert abs(float(first.std()) - 1) < 0.05
    uniform = cp.random.rand(10_000)
    assert 0 < float(uniform.min()) < float(uniform.max()) <= 1


def test_fresh_memory_is_poisoned(cp):
    cp.get_default_memory_pool().free_all_blocks()
    assert bool(cp.isnan(cp.empty(1 << 18)).all())


# --- counts --------------------------------------------------------------------------------------
def test_counts_are_exact(cp):
    x = cp.asarray(FLOATS)
    _ = cp.tanh(x) * x  # so that the pool has what is needed below
    with cupy_on_cpu.count() as c:
        y = cp.tanh(x) * x
    assert (c.launches, c.syncs, c.h2d, c.d2h, c.d2d, c.blas, c.graph_launches) == (2, 0, 0, 0, 0, 0, 0)
    assert c.mallocs == c.frees == 0
    assert c.log == ["cupy_tanh__float64_float64", "cupy_multiply__float64_float64_float64"]

    with cupy_on_cpu.count() as c:
        total = float(y.sum())
    assert total == pytest.approx((np.tanh(FLOATS) * FLOATS).sum())
    assert (c.launches, c.syncs, c.d2h, c.h2d) == (1, 1, 1, 0)

    with cupy_on_cpu.count() as c:
        cp.asarray(FLOATS)
        cp.empty_like(y).data.copy_from_device(y.data, y.nbytes)
        _ = y.T @ y
        cp.cuda.Device().synchronize()
    assert (c.launches, c.syncs, c.h2d, c.d2d, c.blas) == (0, 1, 1, 1, 1)


def test_counts_of_memory(cp):
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    with cupy_on_cpu.count() as c:
        x = cp.empty(1 << 20)
        del x
        _ = cp.empty(1 << 20)
        assert (c.mallocs, c.frees) == (1, 0)
        del _
        pool.free_all_blocks()
    assert (c.mallocs, c.frees) == (1, 1)


def test_counts_nest_and_stay_as_they_were(cp):
    x = cp.asarray(FLOATS)
    with cupy_on_cpu.count() as outer:
        cp.abs(x)
        with cupy_on_cpu.count() as inner:
            cp.negative(x)
        cp.abs(x)
    cp.abs(x)
    assert (outer.launches, inner.launches) == (3, 1)
    assert inner.log == ["cupy_negative__float64_float64"]
    assert len(outer.log) == 3
    assert repr(inner) == "<counts: 1 launches>"


# --- streams and graphs --------------------------------------------------------------------------
def test_a_captured_graph_is_replayed_with_new_data(cp):
    stream = cp.cuda.Stream(non_blocking=True)
    x = cp.asarray(FLOATS)
    with stream:
        _ = cp.tanh(x).sum(axis=0)
        with cupy_on_cpu.count() as c:
            stream.begin_capture()
            y = cp.tanh(x).sum(axis=0)
            graph = stream.end_capture()
        assert (c.launches, c.graph_kernels) == (0, 0)
        x *= 2
        with cupy_on_cpu.count() as c:
            graph.launch()
            stream.synchronize()
    assert (c.launches, c.graph_launches, c.graph_kernels, c.syncs) == (0, 1, 2, 1)
    same(y, np.tanh(2 * FLOATS).sum(axis=0))


def test_capture_is_spoilt_by_work_on_the_default_stream(cp):
    x = cp.asarray(FLOATS)
    stream = cp.cuda.Stream()
    with stream:
        stream.begin_capture()
        _ = x * 2
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="not permitted while a stream is capturing"):
        _ = x * 3
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="Invalidated"):
        stream.end_capture()


# --- kernels of one's own ------------------------------------------------------------------------
SOURCE = r"""
extern "C" __global__ void __launch_bounds__(128) total(const double *x, double *out, int n) {
  __shared__ double part[128];
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  part[threadIdx.x] = sum;
  __syncthreads();
  for (int half = 64; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *out = part[0];
}

extern "C" {
__global__ void warp_total(float *x) {
  float v = x[threadIdx.x];
  for (int step = 16; step > 0; step /= 2) v += __shfl_down_sync(0xffffffffu, v, step);
  if (threadIdx.x == 0) x[0] = v;
}
}

// Reads its neighbour's value without waiting for it to be written.
extern "C" __global__ void no_barrier(float *x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = s[threadIdx.x ^ 1];
}

extern "C" __global__ void torn_barrier(float *x) {
  if (threadIdx.x < 3) return;
  __syncthreads();
  x[threadIdx.x] = 1;
}

template <typename T> __global__ void reversed(T *x, int n) {
  extern __shared__ char bytes[];
  T *s = (T *)bytes;
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[n - 1 - threadIdx.x];
}

__global__ void without_c_linkage(float *x) {}
"""


@pytest.fixture
def module(cp):
    return cp.RawModule(code=SOURCE, name_expressions=("reversed<float>", "reversed<double>"))


@pytest.fixture(params=["forward", "reverse", "shuffle"])
def thread_order(cp, request):
    with cupy_on_cpu.order(request.param, seed=5):
        yield request.param


def test_barriers_and_shuffles(cp, module, thread_order):
    x, out = cp.arange(1000.0), cp.zeros(1)
    module.get_function("total")((1,), (128,), (x, out, np.int32(1000)))
    assert float(out[0]) == 499500
    v = cp.arange(32, dtype="float32")
    module.get_function("warp_total")((1,), (32,), (v,))
    assert float(v[0]) == 496


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_templates_and_dynamic_shared_memory(cp, module, dtype):
    x = cp.arange(64, dtype=dtype)
    kernel = module.get_function({"float32": "reversed<float>", "float64": "reversed<double>"}[dtype])
    kernel((1,), (64,), (x, np.int32(64)), shared_mem=64 * x.itemsize)
    assert x.get().tolist() == list(range(63, -1, -1))


def test_a_missing_barrier_gives_nan(cp, module, thread_order):
    x = cp.arange(64, dtype="float32")
    module.get_function("no_barrier")((1,), (64,), (x,))
    assert bool(cp.isnan(x).any())


def test_misused_kernels_are_errors(cp, module):
    x = cp.zeros(64, dtype="float32")
    error = cp.cuda.driver.CUDADriverError
    with pytest.raises(error, match="the module has no kernel named nowhere"):
        module.get_function("nowhere")
    with pytest.raises(error, match="no kernel named without_c_linkage"):
        module.get_function("without_c_linkage")
    with pytest.raises(error, match="reached by only part of the block"):
        module.get_function("torn_barrier")((1,), (64,), (x,))
    with pytest.raises(error, match="at most 1024 threads"):
        module.get_function("no_barrier")((1,), (2048,), (x,))
    with pytest.raises(error, match="more shared memory"):
        module.get_function("no_barrier")((1,), (64,), (x,), shared_mem=100_000)
    with pytest.raises(cp.cuda.compiler.CompileException, match=r"kernel\.cu:2:1: error: .*oops"):
        cp.RawModule(code='extern "C" __global__ void k(int x) {\noops; }').get_function("k")


def test_what_is_not_emulated_refuses(cp):
    for call in (
        cp.cuda.runtime.profilerStart,
        lambda: cp.fft.fft(cp.ones(4)),
        lambda: cp.linalg.inv(cp.eye(2)),
        lambda: cp.random.default_rng(3),
        lambda: cp.RawKernel(SOURCE, "total", enable_cooperative_groups=True).compile(),
    ):
        with pytest.raises(Exception, match="emulated on the CPU"):
            call()
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="not inside device memory"):
        cp.cuda.runtime.memcpy(FLOATS.ctypes.data, cp.ones(3).data.ptr, 1 << 20, cp.cuda.runtime.memcpyDeviceToHost)


# --- what needs no CuPy --------------------------------------------------------------------------
def test_names_of_kernels_in_a_source():
    assert kernels.c_kernels(SOURCE) == ["total", "warp_total", "no_barrier", "torn_barrier"]
    hidden = '// extern "C" __global__ void a(\n/* extern "C" { */ __global__ void b() { puts("extern }"); }'
    assert kernels.c_kernels(hidden) == []
    assert kernels.c_kernels('extern "C" { void f() {} }\n__global__ void c() {}') == []


@pytest.mark.parametrize(
    "preparation, reason",
    [
        ("os.environ['PATH'] = '/nowhere'", "there is no g++"),
        ("build.WHEEL = 'cupy-cuda99x'", "cupy-cuda99x isn't installed"),
        ("build.SOURCES = {'1.0': ''}; build._installed = lambda name: '2.0'", "2.0 is installed, this needs 1.0"),
    ],
)
def test_why_it_is_not_available_is_said_in_one_line(preparation, reason):
    script = f"import os, cupy_on_cpu; from cupy_on_cpu import build\n{preparation}\ncupy_on_cpu.install()"
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("cupy_on_cpu.build.Unavailable: ")
    assert reason in last

"""The device functions of kernels/scalar_math.cuh give NumPy's values.

The header is compiled twice: by g++ as host code, whose values are compared with NumPy's, and by
nvcc, where there is one, to see that it is CUDA.
"""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from gpuad import kernel_sources

UNARY = ("sign", "sinc", "sigmoid")
BINARY = ("logaddexp",)
C_TYPES = {"float64": "double", "float32": "float"}

HOST_LOOPS = """
#include "scalar_math.cuh"
#define UNARY(name, dtype, T) \\
    extern "C" void name##_##dtype(const T* x, T* out, long n) { \\
        for (long i = 0; i < n; ++i) out[i] = gpuad::name(x[i]); }
#define BINARY(name, dtype, T) \\
    extern "C" void name##_##dtype(const T* x, const T* y, T* out, long n) { \\
        for (long i = 0; i < n; ++i) out[i] = gpuad::name(x[i], y[i]); }
"""

CUDA_KERNELS = """
#include "scalar_math.cuh"
#define UNARY(name, dtype, T) \\
    extern "C" __global__ void name##_##dtype(const T* x, T* out) { \\
        out[threadIdx.x] = gpuad::name(x[threadIdx.x]); }
#define BINARY(name, dtype, T) \\
    extern "C" __global__ void name##_##dtype(const T* x, const T* y, T* out) { \\
        out[threadIdx.x] = gpuad::name(x[threadIdx.x], y[threadIdx.x]); }
"""


def program(head: str) -> str:
    lines = [
        f"{kind}({name}, {dtype}, {c_type})"
        for kind, names in (("UNARY", UNARY), ("BINARY", BINARY))
        for name in names
        for dtype, c_type in C_TYPES.items()
    ]
    return head + "\n".join(lines) + "\n"


def compile_source(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def host_library(tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ on this machine: the kernel header cannot run on the host")
    folder = tmp_path_factory.mktemp("scalar_math")
    source, library = folder / "host.cpp", folder / "host.so"
    source.write_text(program(HOST_LOOPS))
    include = f"-I{kernel_sources.folder()}"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    compile_source([compiler, *flags, include, str(source), "-o", str(library)])
    return ctypes.CDLL(str(library))


def call(library, name, *inputs):
    inputs = [np.ascontiguousarray(x) for x in inputs]
    out = np.empty_like(inputs[0])
    function = getattr(library, f"{name}_{out.dtype}")
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*inputs, out)]
    function(*pointers, ctypes.c_long(out.size))
    return out


def values(dtype) -> np.ndarray:
    """Ordinary values of both signs and many sizes, and every special one."""
    info = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, info.max, -info.max]
    special += [info.tiny, info.smallest_subnormal, info.eps, 88.5, -88.5, 709.5, -709.5]
    random = np.random.default_rng(0)
    ordinary = random.normal(size=500) * 10.0 ** random.integers(-6, 3, size=500)
    return np.concatenate([special, ordinary]).astype(dtype)


def numpy_sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.longdouble)))


# For each function: what NumPy gives, and how many units in the last place may be between them.
# sign is exact; sinc and sigmoid differ by what two mathematical libraries differ.
@pytest.mark.parametrize("dtype", C_TYPES)
@pytest.mark.parametrize(
    ("name", "expected", "ulps"),
    [("sign", np.sign, 0), ("sinc", np.sinc, 8), ("sigmoid", numpy_sigmoid, 4)],
)
def test_unary(host_library, name, expected, ulps, dtype):
    x = values(dtype)
    with np.errstate(all="ignore"):
        want = expected(x).astype(dtype)
    got = call(host_library, name, x)
    assert got.dtype == want.dtype
    info = np.finfo(dtype)
    if name == "sinc":  # the two sines reduce a huge argument each in its own way
        keep = ~(np.abs(x) > 1e6) | np.isinf(x)
        x, want, got = x[keep], want[keep], got[keep]
    np.testing.assert_allclose(got, want, rtol=ulps * info.eps, atol=info.tiny, err_msg=str(x))


@pytest.mark.parametrize("dtype", C_TYPES)
def test_logaddexp(host_library, dtype):
    x, y = (v.ravel().copy() for v in np.meshgrid(values(dtype), values(dtype)))
    with np.errstate(all="ignore"):
        want = np.logaddexp(x, y)
    got = call(host_library, "logaddexp", x, y)
    # Where x + log1p(...) nearly cancels, both keep the absolute error of one rounding.
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(got, want, rtol=4 * eps, atol=2 * eps)


def test_sign_of_zero_is_positive(host_library):
    assert not np.signbit(call(host_library, "sign", np.array([-0.0, 0.0]))).any()


def test_nvcc_accepts_the_header(tmp_path):
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("no nvcc on this machine: the kernel header is not compiled as CUDA")
    source = tmp_path / "kernels.cu"
    source.write_text(program(CUDA_KERNELS))
    include = f"-I{kernel_sources.folder()}"
    out = str(tmp_path / "kernels.o")
    compile_source([compiler, "-arch=sm_90", "-Werror", "all-warnings", include, "-c", str(source), "-o", out])

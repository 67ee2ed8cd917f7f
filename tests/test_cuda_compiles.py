"""Every kind of kernel compiles for every architecture, without spilled registers and with accesses of 16 bytes.

Needs NVRTC, but no GPU: ``pip install nvidia-cuda-nvrtc``; and for registers ptxas: ``pip install nvidia-cuda-nvcc``.
"""

import ctypes
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gpuad.scipy.special  # noqa: F401  its primitives have texts, too
from gpuad.fused import cuda_parts, cuda_source
from gpuad.fused.cuda_text import Variant
from gpuad.fused.plan import Operand, Output, Plan, Step
from test_cuda_source import DTYPES, dtype_named, texts

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
#: What CuPy passes to NVRTC beside the architecture.
OPTIONS = (b"-ftz=true",)


def in_nvidia_packages(*patterns):
    found = importlib.util.find_spec("nvidia")
    for place in (found and found.submodule_search_locations) or ():
        for pattern in patterns:
            for path in sorted(Path(place).glob(pattern)):
                return path
    return None


@pytest.fixture(scope="module")
def nvrtc():
    path = in_nvidia_packages("*/lib/libnvrtc.so.*", "*/bin/nvrtc64_*.dll")
    try:
        return ctypes.CDLL(str(path or "libnvrtc.so"))
    except OSError:
        pytest.skip("there is no NVRTC (pip install nvidia-cuda-nvrtc)")


def text_of(nvrtc, program, what):
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, text)
    return text.value.decode()


def compiled(nvrtc, source, architecture):
    """The PTX of a kernel; NVRTC may say nothing about it."""
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    options = [f"--gpu-architecture={architecture}".encode(), *OPTIONS]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = text_of(nvrtc, program, "ProgramLog")
    ptx = text_of(nvrtc, program, "PTX") if status == 0 else ""
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, log
    assert "warning" not in log, log
    return ptx


def assert_nothing_spilled(ptx, architecture, folder):
    ptxas = in_nvidia_packages("*/bin/ptxas", "*/bin/ptxas.exe") or shutil.which("ptxas")
    if ptxas is None:
        return
    (folder / "kernel.ptx").write_text(ptx)
    command = [str(ptxas), "-v", f"-arch={architecture}", "kernel.ptx", "-o", "kernel.cubin"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spilled = re.findall(r"(\d+) bytes spill", done.stdout + done.stderr)
    assert spilled, "ptxas says nothing of registers"
    assert set(spilled) == {"0"}, done.stderr


#: 16 bytes at once, as PTX has them.
WIDE = r"{}(\.global)?(\.nc)?\.(v4\.[bfu]32|v2\.[bfu]64)"


def step(text, *args, takes, fold=None):
    return Step(text, text, args, (takes,) * len(args), takes, fold)


def plans(dtype):
    """A chain that is stored; sums over the first loop, the last, and both; and a softmax, if there is an order."""
    # CUDA's functions of angles are calls for large ones, which save registers; complex tanh has two.
    curve = step("{0} / {1}", 2, 1, takes=dtype) if dtype.kind == "c" else step("tanh({0})", 2, takes=dtype)
    chain = (step("{0} * {1}", 0, 1, takes=dtype), curve)
    flat = (Operand(dtype, (1,)), Operand(dtype, (1,)))
    yield Plan(1, flat, (), chain, (Output(3, dtype, (False,)),))
    yield Plan(1, flat, (), chain, (Output(2, dtype, (False,)), Output(3, dtype, (True,))))
    for masks in [(True, False), (True, True)], [(False, True), (True, True)]:
        outputs = (Output(2, dtype, (False, False)), *(Output(3, dtype, m) for m in masks))
        yield Plan(2, (Operand(dtype, (None, 1)), Operand(dtype, (0, 1))), (), chain, outputs)
    if dtype.kind != "c":
        steps = (
            step("{0}", 0, takes=dtype, fold="maximum"),
            step("{0} - {1}", 0, 1, takes=dtype),
            step("exp({0})", 2, takes=dtype),
            step("{0}", 3, takes=dtype, fold="add"),
            step("{0} / {1}", 3, 4, takes=dtype),
        )
        outputs = (Output(5, dtype, (False, False)), Output(3, dtype, (True, False)))
        yield Plan(2, (Operand(dtype, (None, 1)),), (), steps, outputs)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_contiguous_kernels_are_wide_and_fit_into_registers(nvrtc, tmp_path, name, architecture):
    for plan in plans(dtype_named(name)):
        (part,) = cuda_parts.parts(plan)
        variants = [Variant(cuda_source.width_of(part.plan), long, 1) for long in (False, True)]
        if part.form == "rows":
            variants.append(Variant(variants[0].width, False, 0))
        for variant in variants:
            ptx = compiled(nvrtc, cuda_source.source(part, variant).source, architecture)
            for way in ("ld", "st"):
                assert re.search(WIDE.format(way), ptx), f"{part.form}, {variant}: no {way} of 16 bytes"
            assert_nothing_spilled(ptx, architecture, tmp_path)


@pytest.mark.parametrize("name", DTYPES)
def test_every_function_compiles(nvrtc, name):
    dtype, bools = dtype_named(name), np.dtype(bool)
    operands = (Operand(dtype, (1,)), Operand(dtype, (1,)), Operand(bools, (1,)))
    steps = []
    for primitive, text, count, result in texts(dtype):
        args, takes = (tuple(range(count)), (dtype,) * count)
        if primitive == "where":
            args, takes = (2, 0, 1), (bools, dtype, dtype)
        made = Step(primitive, text, args, takes, result)
        try:
            cuda_source.check(Plan(1, operands, (), (made,), ()))
        except NotImplementedError:
            continue
        steps.append(made)
    outputs = tuple(Output(3 + k, s.dtype, (False,)) for k, s in enumerate(steps))
    (part,) = cuda_parts.parts(Plan(1, operands, (), tuple(steps), outputs))
    compiled(nvrtc, cuda_source.source(part, Variant(1, False)).source, "sm_90")


def test_float32_is_computed_in_float32(nvrtc):
    """A function that CUDA had for doubles alone would be found, and be slow."""
    dtype = dtype_named("float32")
    operands = (Operand(dtype, (1,)), Operand(dtype, (1,)))
    made = [(name, text, count) for name, text, count, result in texts(dtype) if result == dtype and count < 3]
    #: In float64 on purpose, or by CUDA itself, for some arguments.
    doubled = {"scipy.special.psi", "sin", "cos", "tan", "sinc"}
    for name, text, count in made:
        if name in doubled:
            continue
        steps = (Step(name, text, tuple(range(count)), (dtype,) * count, dtype),)
        (part,) = cuda_parts.parts(Plan(1, operands, (), steps, (Output(2, dtype, (False,)),)))
        ptx = compiled(nvrtc, cuda_source.source(part, Variant(1, False)).source, "sm_90")
        assert ".f64" not in ptx, name


@pytest.mark.parametrize("form", ["elementwise", "reduce", "rows"])
def test_templates_compile_as_they_stand(nvrtc, tmp_path, form):
    """With the example that each has in it."""
    source = cuda_source._inlined("memory.cuh") + cuda_source._template(f"fused_{form}.cu")
    assert_nothing_spilled(compiled(nvrtc, source, "sm_90"), "sm_90", tmp_path)

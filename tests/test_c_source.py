"""Plans as C (gpuad/fusion/c_source.py, host.py) give what plain NumPy gives: all layouts, dtypes, sums and folds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpuad.fusion import c_source, compiler, host
from gpuad.fusion.plan import Call, Operand, Output, Plan, Step
from plan_reference import run_plan

B, I32, I64, F16, F32, F64, C64, C128 = map(np.dtype, "? i4 i8 f2 f4 f8 c8 c16".split())


def kernels(plans, flags=()):
    """The plans as kernels, all of one library."""
    source = c_source.prelude() + "".join(c_source.function(plan, f"f{k}") for k, plan in enumerate(plans))
    try:
        library = compiler.shared_library(source, (*host.FLAGS, *flags))
    except compiler.CompilerUnavailable as unavailable:
        pytest.skip(f"no C: {unavailable.reason}")
    return [host.Kernel(plan, library, f"f{k}") for k, plan in enumerate(plans)]


def outputs_for(plan, lengths):
    made = []
    for output in plan.outputs:
        gone = [*output.summed]
        if output.per_row:
            gone[-1] = True
        shape = [n for n, g in zip(lengths, gone, strict=True) if not g]
        made.append(np.full(shape, 77, output.dtype))
    return made


def agree(plan, kernel, lengths, arrays, strides, numbers, *, exact=False):
    call = Call(tuple(lengths), tuple(arrays), tuple(strides), tuple(numbers), tuple(outputs_for(plan, lengths)))
    expected = run_plan(plan, call)
    kernel(call)
    for got, want, output in zip(call.outputs, expected, plan.outputs, strict=True):
        said = f"{plan}\n{lengths} {strides}\n{got}\n{want}"
        if got.dtype.kind in "biu" or (exact and not any(output.summed)):
            np.testing.assert_array_equal(got, want, said)
            continue
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite], said)
        size = np.abs(want[finite]).max(initial=1e-30)
        assert np.abs(got[finite] - want[finite]).max(initial=0) <= 40 * np.finfo(got.dtype).eps * size, said


# -- random plans -----------------------------------------------------------------------------------
EXACT = {
    1: ["-{0}", "{0} * {0}", "{0}", "absolute({0})"],
    2: ["{0} + {1}", "{0} - {1}", "maximum({0}, {1})", "fmin({0}, {1})"],
}
COMPLEX = {1: ["-{0}", "conjugate({0})"], 2: ["{0} + {1}", "{0} - {1}", "{0} * {1}"]}


def random_layout(rng, lengths):
    """An array with room for a grid, and strides into it, in entries: contiguous, permuted, broadcast, reversed."""
    broadcast = rng.random(len(lengths)) < 0.25
    order = rng.permutation(len(lengths)) if rng.random() < 0.3 else np.arange(len(lengths))
    room = [1 if broadcast[k] else lengths[k] * (2 if rng.random() < 0.15 else 1) for k in order]
    shape = tuple(room)
    steps = np.cumprod([1, *room[::-1]])[:-1][::-1] if room else []
    strides = [0] * len(lengths)
    start = 0
    for place, k in enumerate(order):
        if not broadcast[k]:
            stride = int(steps[place]) * (room[place] // lengths[k] if lengths[k] else 1)
            if rng.random() < 0.15 and lengths[k]:
                start, stride = start + stride * (lengths[k] - 1), -stride
            strides[k] = stride
    return shape, start, tuple(strides)


def entries(rng, dtype, shape):
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(-9, 9, shape).astype(dtype)
    x = rng.normal(size=shape)
    if dtype.kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def random_case(seed):
    rng = np.random.default_rng(seed)
    ndim = int(rng.choice([0, 1, 1, 2, 2, 2, 3, 4]))
    lengths = tuple(
        int(n) for n in rng.choice([0, 1, 2, 3, 5, 17, 33], size=ndim, p=[0.04, 0.11, 0.2, 0.25, 0.2, 0.1, 0.1])
    )
    if ndim == 1 or (ndim == 2 and rng.random() < 0.3):
        lengths = (*lengths[:-1], int(rng.choice([511, 512, 1300])))
    floating = (
        [F16, F32, F64, C64, C128] if rng.random() < 0.3 else [F32, F64] if rng.random() < 0.5 else [F16, F32, F64]
    )
    operands, arrays, strides = [], [], []
    for _ in range(rng.integers(1, 5)):
        dtype = floating[rng.integers(len(floating))] if rng.random() < 0.75 else (B, I32, I64)[rng.integers(3)]
        shape, start, given = random_layout(rng, lengths)
        whole = entries(rng, dtype, max(int(np.prod(shape)), 1))
        # Strides 0 and 1 may be stated or left to the call.
        stated = tuple(s if s in (0, 1) and rng.random() < 0.7 else None for s in given)
        operands.append(Operand(dtype, stated))
        arrays.append(whole[start:])
        strides.append(given)
    numbers = [floating[rng.integers(len(floating))] for _ in range(rng.integers(0, 2))]
    values = [rng.normal() + (1j if d.kind == "c" else 0) for d in numbers]
    dtypes = [o.dtype for o in operands] + numbers
    rough = [False] * len(dtypes)  # whether rounding has entered: such values decide nothing
    steps = []
    row_sized = {k for k, o in enumerate(operands) if ndim == 0 or o.strides[-1] == 0} | set(
        range(len(operands), len(dtypes))
    )
    in_folds = ndim > 0 and rng.random() < 0.4
    for _ in range(rng.integers(1, 7)):
        n = int(rng.integers(1, 3))
        args = [int(rng.integers(len(dtypes))) for _ in range(n)]
        common = np.result_type(*(dtypes[a] for a in args))
        value = len(dtypes)
        kind = rng.random()
        if in_folds and kind < 0.3:
            (arg,) = args[:1]
            dtype = dtypes[arg]
            if dtype.kind in "biu":
                dtype = F64
            how = "add" if dtype.kind == "c" else str(rng.choice(["add", "maximum", "minimum"]))
            steps.append(Step("fold", "", (arg,), (dtype,), dtype, how))
            row_sized.add(value)
            args = [arg]
        elif kind < 0.45 and not any(rough[a] for a in args) and n == 2 and common.kind != "c":
            text = str(rng.choice(["{0} < {1}", "{0} == {1}", "{0} >= {1}"]))
            steps.append(Step("compare", text, tuple(args), (common, common), B))
            dtype = B
        elif kind < 0.6 and n == 2 and any(d == B for d in dtypes):
            c = int(rng.choice([k for k, d in enumerate(dtypes) if d == B]))
            steps.append(Step("where", "{0} ? {1} : {2}", (c, *args), (B, common, common), common))
            args, dtype = [c, *args], common
        elif kind < 0.7 and common.kind != "c":
            dtype = floating[rng.integers(len(floating))]
            steps.append(Step("cast", "{0}", (args[0],), (dtypes[args[0]],), dtype))
            args = args[:1]
        else:
            dtype = common if common.kind in "fc" else F64
            text = str(rng.choice((COMPLEX if dtype.kind == "c" else EXACT)[n]))
            if text.startswith("absolute") and dtype.kind == "c":
                text = "-{0}"
            steps.append(Step("some", text, tuple(args), (dtype,) * n, dtype))
        dtypes.append(dtype)
        rough.append(any(rough[a] for a in args) or steps[-1].fold == "add" or dtype.kind == "c")
        if steps[-1].fold is None and all(a in row_sized for a in args):
            row_sized.add(value)
    outputs = []
    for _ in range(rng.integers(1, 4)):
        value = len(dtypes) - 1 if not outputs else int(rng.integers(len(dtypes)))
        dtype = dtypes[value]
        summed = (
            tuple(bool(s) for s in rng.random(ndim) < (0.4 if rng.random() < 0.6 else 0))
            if dtype != B
            else (False,) * ndim
        )
        per_row = ndim > 0 and value in row_sized and rng.random() < 0.5
        if per_row:
            summed = (*summed[:-1], False)
        outputs.append(Output(value, dtype, summed, bool(per_row)))
    plan = Plan(ndim, tuple(operands), tuple(numbers), tuple(steps), tuple(outputs))
    return plan, (lengths, arrays, strides, values), any(rough)


def check_random_plans(seeds, flags=()):
    """Compare random plans, whole and cut into small chunks, with what NumPy gives."""
    cases = [random_case(seed) for seed in seeds]
    compiled = kernels([plan for plan, _, _ in cases], flags)
    for size in (host.CHUNK, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host, "CHUNK", size)
            patch.setattr(host, "STRETCH", min(size, 512))
            for (plan, call, rough), kernel in zip(cases, compiled, strict=True):
                kernel.chunks.cache_clear()
                agree(plan, kernel, *call, exact=not rough)


def test_random_plans_give_what_numpy_gives():
    check_random_plans(range(100), ("-O1",))


def test_random_plans_read_and_write_nothing_else(tmp_path):
    """Under AddressSanitizer, whose library must be in the process from its beginning."""
    compiler_path = shutil.which("gcc")
    if compiler_path is None:
        pytest.skip("no gcc")
    asked = subprocess.run([compiler_path, "-print-file-name=libasan.so"], capture_output=True, text=True)
    if not os.path.isabs(asked.stdout.strip()):
        pytest.skip("gcc has no AddressSanitizer here")
    here = Path(__file__).parent
    program = "import test_c_source as t; t.check_random_plans(range(100, 130), ('-O1', '-fsanitize=address'))"
    environment = {
        **os.environ,
        "LD_PRELOAD": asked.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        "GPUAD_CC": compiler_path,
        "GPUAD_CACHE_DIR": str(tmp_path),
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]

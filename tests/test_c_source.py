"""Plans as C (gpuad/fused/c_source.py, host.py) give what plain NumPy gives: all layouts, dtypes, sums and folds."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpuad.fused import c_order, c_source, c_types, compiler, host
from gpuad.fused.plan import Call, Operand, Output, Plan, Step
from plan_reference import run_plan

B, I32, I64, F16, F32, F64, C64, C128 = map(np.dtype, "? i4 i8 f2 f4 f8 c8 c16".split())


def kernels(plans, flags=()):
    """The plans as kernels, all of one library."""
    source = c_source.prelude() + "".join(c_source.function(plan, f"f{k}") for k, plan in enumerate(plans))
    try:
        library = compiler.shared_library(source, (*host.flags(), *flags))
    except compiler.CompilerUnavailable as unavailable:
        # Of what there is in C, a compiler may lack float16 alone.
        if "refuses" in unavailable.reason and not re.search("f16|HALF", unavailable.reason):
            raise
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
        said = f"{plan}\n{lengths} {strides}\n{got.ravel()[:20]}\n{want.ravel()[:20]}"
        if got.dtype.kind in "biu" or (exact and not any(output.summed)):
            np.testing.assert_array_equal(got, want, said)
            continue
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite], said)
        size = np.abs(want[finite]).max(initial=1e-30)
        error = np.abs(got[finite] - want[finite]).max(initial=0)
        assert error <= 40 * np.finfo(got.dtype).eps * size, said


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c_order, "LOOP", 4)  # several loops for few steps
        patch.setattr(c_order, "LONG", 3)  # which in some of the plans are functions
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


# -- what random plans don't reach ------------------------------------------------------------------
def simple(dtype, steps, outputs, *, operands=1, ndim=1, numbers=()):
    """A plan on contiguous operands of one dtype, of steps given as texts with the values that they take."""
    made = tuple(Step("some", text, tuple(args), (dtype,) * len(args), dtype) for text, *args in steps)
    ones = (*[None] * (ndim - 1), 1)
    return Plan(ndim, (Operand(dtype, ones),) * operands, tuple(numbers), made, tuple(outputs))


def test_angles_of_any_size():
    rng = np.random.default_rng(0)
    plans = []
    for d in (F32, F64):
        steps = [("{0} * {1}", 0, 0), ("sin({0})", 1), ("cos({0})", 2)]
        plans.append(simple(d, steps, [Output(2, d, (False,)), Output(3, d, (True,))]))
        # The angles come out of functions that cost more than the examination.
        steps = [("exp2({0})", 0), ("log1p({0})", 1), ("sin({0})", 1), ("sinc({0})", 2), ("tan({0})", 0)]
        plans.append(simple(d, steps, [Output(k, d, (False,)) for k in (3, 4, 5)]))
    for plan, kernel in zip(plans, kernels(plans), strict=True):
        dtype = plan.operands[0].dtype
        for largest in (1.5, 40, 1e6, np.inf):  # 40: the power of two is a wide angle, 1e6: the square
            x = rng.uniform(-1.2, 1.2, 1000).astype(dtype)
            x[700], x[701] = largest, -largest
            with np.errstate(all="ignore"):
                agree(plan, kernel, (1000,), [x], [(1,)], [])


@pytest.mark.parametrize("dtype", [F32, F64])
def test_loops_of_a_long_plan_are_shared_functions(dtype, monkeypatch):
    """However often something is repeated it is compiled once; the same bits come out as from loops in their place."""
    steps = []
    for k in range(0, 36, 3):
        steps += [("sin({0})", k and k + 1), ("{0} * {1}", k + 2, 1), ("tanh({0})", k + 3)]
    outputs = [Output(v, dtype, (s,)) for v, s in ((37, True), (37, False), (20, False), (9, True))]
    plan = simple(dtype, steps, outputs, numbers=[dtype])
    text = c_source.function(plan, "f")
    assert 4 <= text.count("noinline") <= 12 < text.count("f_loop")
    (shared,) = kernels([plan])
    monkeypatch.setattr(c_order, "LONG", 10**6)
    assert "noinline" not in c_source.function(plan, "f")
    (in_place,) = kernels([plan])
    x = np.random.default_rng(0).normal(size=3001).astype(dtype)
    x[[5, 700, 701]] = 1e7, np.nan, np.inf
    made = [outputs_for(plan, x.shape) for _ in range(2)]
    for kernel, outputs in zip((shared, in_place), made, strict=True):
        kernel(Call(x.shape, (x,), ((1,),), (0.7,), tuple(outputs)))
    for one, two in zip(*made, strict=True):
        assert one.tobytes() == two.tobytes()
    agree(plan, shared, x[:600].shape, [x[:600]], [(1,)], [0.7])


def test_sums_are_no_worse_than_numpys():
    rng = np.random.default_rng(0)
    plans = [simple(d, [("{0} * {1}", 0, 0)], [Output(0, d, (True,))]) for d in (F32, F64)]
    rows = simple(F64, [("{0} * {1}", 0, 0)], [Output(0, F64, (False, True)), Output(0, F64, (True, False))], ndim=2)
    *flat, in_rows = kernels([*plans, rows])
    for dtype, kernel in zip((F32, F64), flat, strict=True):
        for x in (rng.random(300000), rng.normal(size=300000), np.full(300000, 0.1)):
            x = x.astype(dtype)
            total = np.empty((), dtype)
            kernel(Call((x.size,), (x,), ((1,),), (), (total,)))
            exact = math.fsum(x)
            # Beside NumPy's luck, at worst a few roundings: those of a block, however many there are.
            few = 2 * np.finfo(dtype).eps * (abs(exact) + np.sqrt(np.sum(x.astype(float) ** 2)))
            assert abs(float(total) - exact) <= max(abs(float(x.sum()) - exact), few)
    x = rng.normal(size=(700, 900))
    by_row, by_column = np.empty(700), np.empty(900)
    in_rows(Call(x.shape, (x,), ((900, 1),), (), (by_row, by_column)))
    exact = [math.fsum(row) for row in x]
    assert np.abs(by_row - exact).max() <= max(np.abs(x.sum(axis=1) - exact).max(), 1e-14)
    exact = [math.fsum(column) for column in x.T]
    assert np.abs(by_column - exact).max() <= np.abs(x.sum(axis=0) - exact).max()


def test_sums_of_what_is_not_finite():
    plan = simple(F64, [("{0} * {1}", 0, 0)], [Output(0, F64, (True,)), Output(1, F64, (True,))])
    (kernel,) = kernels([plan])
    for special in ([np.inf], [-np.inf], [np.inf, -np.inf], [np.nan], [1e308, 1e308]):
        x = np.ones(3000)
        x[1000 : 1000 + len(special)] = special
        with np.errstate(all="ignore"):
            agree(plan, kernel, (3000,), [x], [(1,)], [])


def test_the_same_bits_with_any_number_of_threads(monkeypatch):
    x = np.random.default_rng(0).normal(size=(300, 1000))
    outputs = [Output(1, F64, s) for s in ((True, True), (True, False), (False, True), (False, False))]
    plan = simple(F64, [("tanh({0})", 0)], outputs, ndim=2)
    (kernel,) = kernels([plan])
    monkeypatch.setattr(host, "CHUNK", 10000)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(host, "threads", lambda threads=threads: threads)
        host._pool.cache_clear()
        made = outputs_for(plan, x.shape)
        kernel(Call(x.shape, (x,), ((1000, 1),), (), tuple(made)))
        results.append(made)
    host._pool.cache_clear()
    assert len(kernel.chunks(x.shape).bounds) > 5
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_forked_child_computes():
    """The parent's threads aren't there in the child."""
    program = """
import os, numpy as np, test_c_source as t
from gpuad.fused import host
host.CHUNK = 1000
host.threads = lambda: 2
plan = t.simple(t.F64, [("{0} + {1}", 0, 0)], [t.Output(1, t.F64, (False,))])
(kernel,) = t.kernels([plan])
x, out = np.arange(9e3), np.zeros(9000)
call = t.Call((9000,), (x,), ((1,),), (), (out,))
kernel(call)
child = os.fork()
if not child:
    out[:] = 0
    kernel(call)
    os._exit(0 if out[-1] == 17998.0 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    kernels([simple(F64, [("{0} + {1}", 0, 0)], [Output(1, F64, (False,))])])  # skips without a compiler
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


def test_operands_that_lie_anywhere():
    """A field of a packed record begins where no double would."""
    record = np.zeros(100, dtype=[("flag", "u1"), ("x", "f8")])
    packed = np.frombuffer(b"\0" + np.arange(100.0).tobytes(), np.float64, offset=1)
    assert not packed.flags.aligned and record["x"].strides == (9,)
    plan = simple(F64, [("{0} + {1}", 0, 0)], [Output(1, F64, (False,)), Output(0, F64, (True,))])
    agree(plan, kernels([plan])[0], (100,), [packed], [(1,)], [], exact=True)


def test_numbers_of_every_dtype():
    dtypes = [np.dtype(c) for c in "? i1 i8 u4 u8 f2 f4 f8 c8 c16".split()]
    values = [True, -3, -(2**62), 2**32 - 1, 2**64 - 1, 0.1, 0.1, 0.1, 1 - 2j, 0.1 + 2j]
    steps = tuple(Step("cast", "{0}", (k + 1,), (d,), d) for k, d in enumerate(dtypes))
    outputs = tuple(Output(k + 1, d, (False,)) for k, d in enumerate(dtypes))
    plan = Plan(1, (Operand(F64, (1,)),), tuple(dtypes), steps, outputs)
    agree(plan, kernels([plan])[0], (3,), [np.zeros(3)], [(1,)], values, exact=True)


@pytest.mark.parametrize(
    "text, dtype",
    [("{0} * {0}", np.dtype("longdouble")), ("{0} / {1}", I64), ("{0} < {1}", C128), ("maximum({0}, {1})", C64),
     ("airy({0})", F64), ("exp({0})", I32), ("{0} * {0}", np.dtype(">f8")), ("nextafter({0}, {1})", F16)],
)  # fmt: skip
def test_what_c_cannot_do_is_refused(text, dtype):
    plan = simple(dtype, [(text, 0, 0)], [Output(1, dtype, (False,))])
    with pytest.raises(c_types.CannotCompile):
        c_source.function(plan, "f")

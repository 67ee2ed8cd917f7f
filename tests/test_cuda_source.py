"""Plans as CUDA kernels give what they give in plain NumPy: each kernel's own source, run.

On a GPU where one answers; else on the CPU with ``--backend cupy`` (``cupy_on_cpu``), in three orders of threads and
blocks, which must give the same bits.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.special as sp

import cupy_on_cpu
import gpuad.scipy.special  # noqa: F401  its primitives have texts, too
from gpuad.fused import cuda_parts, cuda_source, device
from gpuad.fused.cuda_text import Variant
from gpuad.fused.plan import Call, Operand, Output, Plan, Step
from gpuad.ops.declare import registry
from plan_reference import meaning, run_plan
from random_plans import Case, random_array, random_case

TOLERANCE = {
    "float16": 4e-3,
    "bfloat16": 3e-2,
    "float32": 3e-5,
    "float64": 1e-12,
    "complex64": 3e-5,
    "complex128": 1e-12,
}
F4, F8 = np.dtype("f4"), np.dtype("f8")


def dtype_named(name):
    return np.dtype(getattr(pytest.importorskip("ml_dtypes"), name) if name == "bfloat16" else name)


@pytest.fixture(scope="module")
def cupy():
    """CuPy, on a GPU or on the CPU."""
    if not cupy_on_cpu.installed():
        from conftest import gpu_answers

        if not gpu_answers():
            pytest.skip("no GPU answers, and CuPy on the CPU wasn't asked for with --backend cupy")
    return pytest.importorskip("cupy")


def orders():
    if not cupy_on_cpu.installed():
        return [contextlib.nullcontext()]
    return [cupy_on_cpu.order("forward"), cupy_on_cpu.order("reverse"), cupy_on_cpu.order("shuffle", 1)]


def run(cupy, case):
    """The outputs of a case, the same in all orders."""
    found = []
    for order in orders():
        call = case.call(cupy.asarray, lambda shape, dtype: cupy.full(shape, 77, dtype))
        with order:
            device.compile(case.plan, cupy)(call)
        found.append([o.get() for o in call.outputs])
    for other in found[1:]:
        assert [o.tobytes() for o in other] == [o.tobytes() for o in found[0]], "depends on the order of threads"
    return found[0]


def check(cupy, case, tolerance):
    """A case against plain NumPy. Errors are counted in units of the largest entry of an output."""
    wanted = run_plan(case.plan, case.call(lambda x: x, np.empty))
    for number, (got, want) in enumerate(zip(run(cupy, case), wanted, strict=True)):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        got, want = got.astype(complex), want.astype(complex)
        size = max(1.0, np.abs(want[np.isfinite(want)]).max(initial=0.0))
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * size, err_msg=f"output {number}")


def simple(plan, lengths, arrays, strides, numbers=()):
    return Case(plan, lengths, arrays, [lambda x: x] * len(arrays), strides, numbers)


def step(text, *args, takes=F4, dtype=None, fold=None):
    return Step(text, text, args, (np.dtype(takes),) * len(args), np.dtype(dtype or takes), fold)


# --- random plans ---------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(15))
def test_random_plans(cupy, seed):
    dtype = ("float32", "float64", "float16", "complex64", "complex128")[seed % 5]
    check(cupy, random_case(seed, dtype, folds=seed % 3 == 0), TOLERANCE[dtype])


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_places_in_64_bits(cupy, monkeypatch, seed):
    monkeypatch.setattr(device, "SHORT", 0)
    device._compiled.cache_clear()
    check(cupy, random_case(seed, "float32", folds=seed % 3 == 0, lengths=(5, 3, 9)), 3e-5)
    device._compiled.cache_clear()


# --- sizes ----------------------------------------------------------------------------------------
CHAIN = (step("{0} * {1}", 0, 1), step("tanh({0})", 3), step("{0} + {1}", 4, 2))
FLAT = Plan(1, (Operand(F4, (1,)), Operand(F4, (1,))), (F4,), CHAIN, (Output(5, F4, (False,)),))
#: In every case what is stored, and the sum over all.
FLAT_AND_SUM = FLAT._replace(outputs=(*FLAT.outputs, Output(4, F4, (True,))))


@pytest.mark.parametrize("plan", [FLAT, FLAT_AND_SUM], ids=["stored", "summed"])
def test_sizes_around_vectors_and_blocks(cupy, plan):
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 1027, 4 * 256 * 9 + 1):
        arrays = [rng.uniform(-1, 1, n).astype("f4") for _ in range(2)]
        check(cupy, simple(plan, (n,), arrays, ((1,), (1,)), (0.5,)), 3e-5)


def test_arrays_that_no_vector_may_start_at(cupy):
    x = np.random.default_rng(0).uniform(-1, 1, 1030).astype("f4")
    for first in (0, 1, 2, 3, 4):
        case = Case(FLAT, (1026,), [x, x], [lambda x, f=first: x[f:], lambda x: x], ((1,), (1,)), (0.5,))
        check(cupy, case, 3e-5)


def test_nothing_is_written_beside_an_output(cupy):
    """Outputs of all alignments and odd sizes, in the middle of memory that must stay as it is."""
    rng = np.random.default_rng(0)
    x = cupy.asarray(rng.uniform(-1, 1, 300).astype("f4"))
    for n, first in [(1, 0), (3, 0), (4, 4), (5, 4), (255, 8), (257, 1)]:
        place = cupy.full(300, 77, "f4")
        out = place[first : first + n]
        device.compile(FLAT, cupy)(Call((n,), (x, x), ((1,), (1,)), (0.5,), (out,)))
        beside = np.delete(place.get(), range(first, first + n))
        assert (beside == 77).all()
        assert (out.get() != 77).all()


def test_an_output_may_take_the_place_of_an_operand(cupy):
    x = np.random.default_rng(0).uniform(-1, 1, 1025).astype("f4")
    a, b = cupy.asarray(x), cupy.asarray(x[::-1].copy())
    device.compile(FLAT, cupy)(Call((1025,), (a, b), ((1,), (1,)), (0.5,), (a,)))
    np.testing.assert_allclose(a.get(), np.tanh(x * x[::-1]) + np.float32(0.5), rtol=1e-5)


# --- sums -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("last", [1, 6, 32])
def test_sums_over_any_loops(cupy, last):
    """All sets of three loops at once: some are partial sums of others, and some go to kernels of their own."""
    lengths = (3, 37, last)
    operands = (Operand(F4, (None, None, 1)), Operand(F4, (0, 0, 1)), Operand(F4, (0, None, 0)))
    steps = (step("{0} * {1}", 0, 1), step("{0} + {1}", 3, 2))
    masks = [tuple(bool(bits >> k & 1) for k in range(3)) for bits in range(8)]
    plan = Plan(3, operands, (), steps, tuple(Output(4, F4, mask) for mask in masks))
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, shape).astype("f4") for shape in (lengths, (last,), (37,))]
    strides = ((37 * last, last, 1), (0, 0, 1), (0, 1, 0))
    check(cupy, simple(plan, lengths, arrays, strides), 1e-5)
    for mask in ((True, False, False), (False, False, True), (False, True, False)):
        alone = plan._replace(outputs=(Output(4, F4, mask), Output(3, F4, (False,) * 3)))
        check(cupy, simple(alone, lengths, arrays, strides), 1e-5)


def test_long_sums_are_shared_by_blocks_and_keep_their_digits(cupy):
    """100 001 times 0.1 in float32: one by one, the error would be in the fourth digit."""
    plan = Plan(1, (Operand(F4, (1,)),), (), (), (Output(0, F4, (True,)),))
    case = simple(plan, (100_001,), [np.full(100_001, 0.1, "f4")], ((1,),))
    (total,) = run(cupy, case)
    assert total == np.float32(100_001 * float(np.float32(0.1)))
    (launch,) = next(iter(device.compile(plan, cupy)._prepared.values()))
    assert launch._grid[1] > 1
    assert len(launch._totals) == 1


def test_sums_of_whole_numbers_wrap_and_of_truth_values_count(cupy):
    for dtype, into in [
        ("int64", "int64"),
        ("uint64", "uint64"),
        ("uint8", "uint64"),
        ("bool", "int64"),
        ("int8", "int8"),
    ]:
        dtype, into = np.dtype(dtype), np.dtype(into)
        x = np.ones(999, dtype) if dtype.kind == "b" else np.full(999, np.iinfo(dtype).max - 3, dtype)
        plan = Plan(1, (Operand(dtype, (1,)),), (), (), (Output(0, into, (True,)),))
        (total,) = run(cupy, simple(plan, (999,), [x], ((1,),)))
        with np.errstate(over="ignore"):
            assert total == x.sum(dtype=into)


# --- folds ----------------------------------------------------------------------------------------
SOFTMAX = (
    step("{0}", 0, fold="maximum"),
    step("{0} - {1}", 0, 1),
    step("exp({0})", 2),
    step("{0}", 3, fold="add"),
    step("{0} / {1}", 3, 4),
)


@pytest.mark.parametrize("length", [1, 3, 31, 32, 33, 500, 4096, 4099, 8448, 9001])
def test_folds_of_rows_of_any_length(cupy, length):
    """Rows of one thread, of a warp, of a block, and longer than a block can hold; also summed over rows."""
    outputs = (
        Output(5, F4, (False, False)),
        Output(4, F4, (False, False), per_row=True),
        Output(5, F4, (True, False)),
        Output(1, F4, (True, False), per_row=True),
        Output(5, F4, (False, True)),
    )
    plan = Plan(2, (Operand(F4, (None, 1)),), (), SOFTMAX, outputs)
    x = np.random.default_rng(0).normal(size=(5, length)).astype("f4")
    check(cupy, simple(plan, (5, length), [x], ((length, 1),)), 1e-5)


def test_layer_normalisation_backward_is_one_kernel_and_a_sum(cupy):
    """dx, dgamma and dbeta: folds, rows kept in registers, and sums over rows, all in one pass."""
    n, m = 40, 96
    operands = (Operand(F4, (None, 1)), Operand(F4, (None, 1)), Operand(F4, (0, 1)))  # g, x, gamma
    of_length = 3
    steps = (
        step("{0}", 1, fold="add"),  # 4
        step("{0} / {1}", 4, of_length),  # the mean
        step("{0} - {1}", 1, 5),
        step("{0} * {0}", 6),
        step("{0}", 7, fold="add"),
        step("{0} / {1}", 8, of_length),  # the variance
        step("sqrt({0})", 9),
        step("{0} / {1}", 6, 10),  # 11: normalised
        step("{0} * {1}", 0, 2),  # 12: g * gamma
        step("{0}", 12, fold="add"),
        step("{0} * {1}", 12, 11),
        step("{0}", 14, fold="add"),
        step("{0} / {1}", 13, of_length),
        step("{0} / {1}", 15, of_length),
        step("{0} * {1}", 11, 17),
        step("{0} - {1}", 12, 16),
        step("{0} - {1}", 19, 18),
        step("{0} / {1}", 20, 10),  # 21: dx
        step("{0} * {1}", 0, 11),  # 22: dgamma
    )
    outputs = (Output(21, F4, (False, False)), Output(22, F4, (True, False)), Output(0, F4, (True, False)))
    plan = Plan(2, operands, (F4,), steps, outputs)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype("f4") for shape in ((n, m), (n, m), (m,))]
    case = simple(plan, (n, m), arrays, ((m, 1), (m, 1), (0, 1)), (float(m),))
    check(cupy, case, 1e-5)
    if cupy_on_cpu.installed():
        call = case.call(cupy.asarray, cupy.empty)
        with cupy_on_cpu.count() as c:
            device.compile(plan, cupy)(call)
        assert c.log == ["gpuad_rows", "gpuad_reduce"]
        assert (c.syncs, c.h2d, c.d2h) == (0, 0, 0)


def test_folds_of_nothing_and_of_nan(cupy):
    plan = Plan(2, (Operand(F4, (None, 1)),), (), SOFTMAX, tuple(Output(k, F4, (False, False), True) for k in (1, 4)))
    check(cupy, simple(plan, (3, 0), [np.empty((3, 0), "f4")], ((1, 1),)), 0)
    x = np.zeros((2, 50), "f4")
    x[1, 20] = np.nan
    largest, total = run(cupy, simple(plan, (2, 50), [x], ((50, 1),)))
    assert (largest[0], total[0]) == (0, 50)
    assert np.isnan([largest[1], total[1]]).all()


@pytest.mark.parametrize("lengths", [(0, 4), (4, 0), (0, 0)])
def test_without_entries(cupy, lengths):
    masks = [(False, False), (True, False), (False, True), (True, True)]
    plan = Plan(2, (Operand(F4, (None, 1)),), (), (), tuple(Output(0, F4, mask) for mask in masks))
    check(cupy, simple(plan, lengths, [np.empty(lengths, "f4")], ((lengths[1], 1),)), 0)
    folded = plan._replace(
        steps=(step("{0}", 0, fold="add"),), outputs=(*plan.outputs, Output(1, F4, (True, False), True))
    )
    check(cupy, simple(folded, lengths, [np.empty(lengths, "f4")], ((lengths[1], 1),)), 0)


# --- dtypes ---------------------------------------------------------------------------------------
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
).split()


def test_casts_between_all_dtypes(cupy):
    """NumPy's ``astype``, of values that every dtype has room for."""
    pytest.importorskip("ml_dtypes")
    dtypes = [dtype_named(name) for name in DTYPES]
    n, rng = 37, np.random.default_rng(0)
    arrays = [random_array(rng, n, d) for d in dtypes]
    arrays = [x if x.dtype.kind in "biu" else np.abs(x * 3) if x.dtype.kind in "fV" else x * 0 + 2 for x in arrays]
    arrays = [x.astype(d) for x, d in zip(arrays, dtypes, strict=True)]
    pairs = [(k, into) for k in range(len(dtypes)) for into in dtypes]
    steps = tuple(Step("astype", "{0}", (k,), (into,), into) for k, into in pairs)
    outputs = tuple(Output(len(dtypes) + n, into, (False,)) for n, (_, into) in enumerate(pairs))
    plan = Plan(1, tuple(Operand(d, (1,)) for d in dtypes), (), steps, outputs)
    case = simple(plan, (n,), arrays, ((1,),) * len(dtypes))
    want = run_plan(plan, case.call(lambda x: x, np.empty))
    call = case.call(lambda x: on_device(cupy, x), lambda shape, dtype: on_device(cupy, np.zeros(shape, dtype)))
    device.compile(plan, cupy)(call)
    for (k, into), got, right in zip(pairs, call.outputs, want, strict=True):
        assert off_device(got, into).tobytes() == right.tobytes(), f"{dtypes[k]} to {into}"


def on_device(cupy, x):
    """An array on the device; bfloat16, which not every CuPy knows, as the integers that it is made of."""
    return cupy.asarray(x.view("u2") if x.dtype.name == "bfloat16" else x)


def off_device(x, dtype):
    return x.get().view(dtype)


def test_numbers_of_every_dtype(cupy):
    pytest.importorskip("ml_dtypes")
    dtypes = [dtype_named(name) for name in DTYPES]
    outputs = tuple(Output(k, d, (False,)) for k, d in enumerate(dtypes, 1))
    plan = Plan(1, (Operand(F4, (0,)),), tuple(dtypes), (), outputs)
    given = {"b": True, "i": -3, "u": 200, "f": 0.1, "V": 0.1, "c": 0.1 - 3j}
    numbers = tuple(given[d.kind] for d in dtypes)
    call = Call((2,), (cupy.zeros(1, "f4"),), ((0,),), numbers, tuple(on_device(cupy, np.zeros(2, d)) for d in dtypes))
    device.compile(plan, cupy)(call)
    for number, dtype, out in zip(numbers, dtypes, call.outputs, strict=True):
        assert (off_device(out, dtype) == np.array(number).astype(dtype)).all(), dtype


# --- every function -------------------------------------------------------------------------------
def texts(dtype):
    """The primitives that NumPy or SciPy has for ``dtype``: name, text, number of arguments, dtype of the result."""
    known = np.dtype("f4") if dtype.name == "bfloat16" else dtype
    for name, prim in registry.items():
        if prim.scalar is None or name == "stop_gradient":
            continue
        count = 1 + ("{1}" in prim.scalar) + ("{2}" in prim.scalar)
        if name == "where":
            result = known
        elif name in ("real", "imag"):
            result = np.zeros(1, known).real.dtype
        elif name == "sinc":
            result = known if known.kind in "fc" else None
        else:
            ufunc = getattr(sp, name.removeprefix("scipy.special.")) if name.startswith("scipy") else getattr(np, name)
            try:
                *taken, result = ufunc.resolve_dtypes((known,) * count + (None,))
            except TypeError:
                continue
            result = result if set(taken) == {known} else None
        if result is not None:
            yield name, prim.scalar, count, dtype if result == known else result


def inputs(rng, dtype, n=300):
    if dtype.kind == "b":
        return rng.random(n) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        x = rng.integers(max(info.min, -20), 20, n)
        x[:9] = [0, 1, max(info.min, -1), 2, 3, 0, info.min // 2, info.max // 2, 1]
        return rng.permutation(x).astype(dtype)
    ordinary = [rng.normal(size=n - 100), rng.uniform(0, 1, 50), rng.normal(size=50) * 10.0 ** rng.integers(-4, 3, 50)]
    x = np.concatenate(ordinary)
    if dtype.kind == "c":
        x = x + 1j * rng.permutation(x)
        x.imag[:40:2], x.imag[1:40:2], x.real[40:80:2], x.real[41:80:2] = 0.0, -0.0, 0.0, -0.0  # along the branch cuts
    else:
        x[:12] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -2, 2, 3, 100]
    return rng.permutation(x).astype(dtype)


#: Where the error is counted in units of 1 rather than of the result: next to a zero of the function, or where that
#: of NumPy or SciPy is no better. For ``ndtr`` it grows as the exponent does.
ABSOLUTE = {"scipy.special." + name for name in "psi gammaln erfcinv ndtri log1p log_ndtr".split()} | {"log1p"}


@pytest.mark.parametrize("name", DTYPES)
def test_every_function(cupy, name):
    dtype, rng, bools = dtype_named(name), np.random.default_rng(1), np.dtype(bool)
    x, y, c = inputs(rng, dtype), inputs(rng, dtype), rng.random(300) < 0.5
    operands = (Operand(dtype, (1,)), Operand(dtype, (1,)), Operand(bools, (1,)))
    steps = []
    for primitive, text, count, result in texts(dtype):
        chosen = primitive == "where"
        args, takes = ((2, 0, 1), (bools, dtype, dtype)) if chosen else (tuple(range(count)), (dtype,) * count)
        made = Step(primitive, text, args, takes, result)
        try:
            cuda_source.check(Plan(1, operands, (), (made,), ()))
        except NotImplementedError:
            assert dtype.kind == "c" or primitive == "nextafter"
            continue
        steps.append(made)
    assert len(steps) > 20
    outputs = tuple(Output(3 + k, s.dtype, (False,)) for k, s in enumerate(steps))
    if dtype.kind in "iu":  # what NumPy gives for these isn't defined, or an error
        x[x == 0] = 1
        y = np.abs(y)
    plan = Plan(1, operands, (), tuple(steps), outputs)
    arrays = tuple(on_device(cupy, a) for a in (x, y, c))
    written = tuple(on_device(cupy, np.zeros(300, s.dtype)) for s in steps)
    device.compile(plan, cupy)(Call((300,), arrays, ((1,),) * 3, (), written))
    half = name in ("float16", "bfloat16")
    x, y = (a.astype("f4") if half else a for a in (x, y))  # both compute in float32
    for made, out in zip(steps, written, strict=True):
        got = off_device(out, made.dtype)
        with np.errstate(all="ignore"):
            want = np.asarray(meaning(made.scalar, *((x, y, c)[a] for a in made.args))).astype(made.dtype)
        compare(made.name, got, want, x)


def compare(name, got, want, x):
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want, err_msg=name)
        return
    half = want.dtype.name in ("float16", "bfloat16")
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[want.dtype.name] if half else np.finfo(want.dtype).eps
    wide = complex if want.dtype.kind == "c" else float
    got, want = got.astype(wide), want.astype(wide)
    with np.errstate(all="ignore"):
        if wide is complex:
            got, want = (np.where(np.isfinite(a), a, np.nan) for a in (got, want))
        size = np.abs(want)
        if name in ABSOLUTE:
            size = np.maximum(size, 1)
        if name == "scipy.special.psi":  # next to its poles, SciPy's has the error of a tangent of pi x
            size = np.where(x < 0, size * (1 + np.abs(x) * size), size)
        if name == "scipy.special.ndtr":
            size = size * (1 + x.astype(float) ** 2 / 4)
        tiny = np.finfo("f4" if eps > 1e-10 else "f8").tiny  # what is smaller may have become 0
        error = np.abs(got - want) / np.maximum(size, tiny)
        same = (np.abs(got - want) <= tiny) | (got == want) | (np.isnan(got) & np.isnan(want))
    limit = (32 if wide is complex else 8) * eps
    wrong = ~same & ~(error <= limit)
    assert not wrong.any(), f"{name}: {got[wrong][:5]} where NumPy has {want[wrong][:5]}, for {x[wrong][:5]}"


def test_what_the_kernels_cannot_do_is_said():
    wide = np.dtype("g")
    for dtype, text in [(wide, "exp({0})"), (np.dtype("c16"), "erf({0})"), (np.dtype("f2"), "nextafter({0}, {0})")]:
        plan = Plan(1, (Operand(dtype, (1,)),), (), (step(text, 0, takes=dtype),), (Output(1, dtype, (False,)),))
        with pytest.raises(NotImplementedError):
            cuda_source.source(cuda_parts.parts(plan)[0], Variant(1, False))


# --- parts of it ----------------------------------------------------------------------------------
def test_division_by_a_product_is_exact():
    rng = np.random.default_rng(0)
    for bits in (32, 64):
        most = 1 << (bits - 1)
        divisors = [1, 2, 3, 5, 7, 10, 641, most - 1, most // 2, most // 2 + 1, *map(int, rng.integers(1, most, 50))]
        for divisor in divisors:
            multiplier, shift, stated = device._divider(divisor, bits)
            assert stated == divisor
            for n in [
                0,
                1,
                divisor - 1,
                divisor,
                most - 1,
                most // divisor * divisor - 1,
                *map(int, rng.integers(0, most, 20)),
            ]:
                high = n * (multiplier % (1 << bits)) >> bits
                assert (high + n) >> shift == n // divisor


def test_a_launch_asks_the_device_for_nothing_but_memory_of_partial_sums(cupy):
    if not cupy_on_cpu.installed():
        pytest.skip("counts are those of CuPy on the CPU")
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, 50_000).astype("f4") for _ in range(2)]
    for plan, log in [(FLAT, ["gpuad_elementwise"]), (FLAT_AND_SUM, ["gpuad_reduce", "gpuad_reduce"])]:
        case = simple(plan, (50_000,), arrays, ((1,), (1,)), (0.5,))
        call = case.call(cupy.asarray, cupy.empty)
        device.compile(plan, cupy)(call)
        with cupy_on_cpu.count() as c:
            device.compile(plan, cupy)(call)
        assert c.log == log
        assert (c.mallocs, c.syncs, c.h2d, c.d2h, c.d2d, c.memsets) == (0,) * 6


def test_no_kernel_leaves_its_arrays(cupy):
    """Under AddressSanitizer, in a process of its own, which a planted mistake ends."""
    if not cupy_on_cpu.installed():
        pytest.skip("on a GPU, run the tests under compute-sanitizer")
    script = Path(__file__).parent / "cuda_bounds.py"
    for what, status in [("plans", 0), ("mistake", 1)]:
        done = subprocess.run([sys.executable, str(script), what], capture_output=True, text=True)
        if done.returncode == 77:
            pytest.skip(done.stdout)
        assert (done.returncode != 0) == status, done.stderr[-3000:]
        if status:
            assert "heap-buffer-overflow" in done.stderr
        else:
            assert "kernels checked" in done.stdout

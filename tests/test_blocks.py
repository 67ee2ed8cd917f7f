"""Plans run by NumPy block by block, against the same plans one step at a time (plan_reference).

Steps that NumPy rounds correctly must agree to the last bit; functions, complex products and sums to a few roundings.
Blocks are made small, so that small arrays have many of them.
"""

from __future__ import annotations

import concurrent.futures
import math

import numpy as np
import pytest

import gpuad.scipy.special  # noqa: F401 - enters the special functions into the registry
from gpuad.backend import numpy_backend
from gpuad.fused import blocks
from gpuad.fused.plan import Call, Operand, Output, Plan, Step
from gpuad.ops.declare import registry
from plan_reference import meaning, run_plan

BOOL, F2, F4, F8 = (np.dtype(c) for c in "?efd")
I4, I8, C8, C16 = (np.dtype(c) for c in "iqFD")


@pytest.fixture(autouse=True)
def quiet():
    """The references divide by zero, too."""
    with np.errstate(all="ignore"):
        yield


def step(name, *args, dtype=F8, takes=None, fold=None):
    scalar = "{0}" if name in ("cast", "fold") else registry[name].scalar
    return Step(name, scalar, args, takes or (dtype,) * len(args), dtype, fold)


def one_loop(steps, outputs, operands=1, dtype=F8, numbers=()):
    return Plan(1, (Operand(dtype, (1,)),) * operands, numbers, tuple(steps), tuple(outputs))


def call_of(plan, arrays, lengths=None, numbers=()):
    """A call on arrays that are broadcast to ``lengths`` as NumPy does."""
    lengths = arrays[0].shape if lengths is None else lengths
    strides = []
    for a in arrays:
        own = [0 if n == 1 and m != 1 else s // a.itemsize for n, m, s in zip(a.shape, lengths, a.strides, strict=True)]
        strides.append(tuple(own))
    outputs = []
    for output in plan.outputs:
        shape = [n for n, gone in zip(lengths, output.summed, strict=True) if not gone]
        outputs.append(np.full(shape[: len(shape) - output.per_row], 77, output.dtype))
    return Call(tuple(lengths), tuple(arrays), tuple(strides), tuple(numbers), tuple(outputs))


def run(plan, call, namespace=numpy_backend.function):
    blocks.compile(plan, namespace)(call)
    return call.outputs


# -- random plans ----------------------------------------------------------------------------------
UNARY = ("negative", "absolute", "square", "sign", "cast", "positive")
REAL_UNARY = ("floor", "ceil", "rint", "isnan", "signbit", "isfinite")
BINARY = ("add", "subtract", "multiply")
REAL_BINARY = ("maximum", "minimum", "fmax", "less", "greater_equal", "equal", "logical_and", "copysign")


class RandomPlan:
    """A plan and a call of it; whatever can be chosen is."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        rng = self.rng
        ndim = int(rng.choice([0, 1, 1, 2, 2, 2, 3]))
        self.lengths = tuple(int(n) for n in rng.choice([1, 2, 3, 5, 40, 90], ndim))
        if rng.random() < 0.08 and ndim:
            self.lengths = tuple(0 if k == rng.integers(ndim) else n for k, n in enumerate(self.lengths))
        self.dtypes, self.extents, self.steps = [], [], []
        operands = [self.operand() for _ in range(rng.integers(1, 5))]
        numbers = [(rng.choice([F8, F4, I8, C16]), x) for x in rng.choice([0, 1, -2.5, 3], rng.integers(0, 3))]
        for dtype, _ in numbers:
            self.value(dtype, (False,) * ndim)
        folds = 0
        for _ in range(rng.integers(0, 25)):
            if ndim and rng.random() < 0.12 and folds < 2 and 0 not in self.lengths:
                folds += 1
                self.fold()
            else:
                self.step()
        outputs = [self.output() for _ in range(rng.integers(1, 5))]
        made = [(Operand(a.dtype, told), a, strides) for a, told, strides in operands]
        dtypes = tuple(np.dtype(d) for d, _ in numbers)
        self.plan = Plan(ndim, tuple(m[0] for m in made), dtypes, tuple(self.steps), tuple(outputs))
        values = tuple(
            (int if d.kind == "i" else float)(x) for d, x in zip(dtypes, (x for _, x in numbers), strict=True)
        )
        self.call = call_of(self.plan, [], self.lengths, values)
        self.call = self.call._replace(arrays=tuple(m[1] for m in made), strides=tuple(m[2] for m in made))

    def value(self, dtype, extent):
        self.dtypes.append(np.dtype(dtype))
        self.extents.append(tuple(extent))

    def operand(self):
        """An array that lies in memory in any way: broadcast, transposed, backwards, with gaps."""
        rng = self.rng
        dtype = rng.choice([F8, F8, F4, F4, F2, I4, I8, C16, C8, BOOL])
        extent = [bool(rng.random() < 0.75) for _ in self.lengths]
        shape = [n if e else 1 for n, e in zip(self.lengths, extent, strict=True)]
        order = rng.permutation(len(shape)) if rng.random() < 0.3 else range(len(shape))
        gaps = [int(rng.choice([1, 1, 1, 2])) * int(rng.choice([1, 1, 1, -1])) for _ in shape]
        if rng.random() < 0.5:
            order, gaps = range(len(shape)), [1] * len(shape)
        a = rng.normal(0, 3, [max(shape[k] * abs(gaps[k]), 1) for k in order])
        a = (a + 1j * a[..., ::-1] if dtype.kind == "c" and a.ndim else a).astype(dtype)
        if a.size and rng.random() < 0.3 and dtype.kind == "f":
            a.ravel()[: 1 + a.size // 9] = rng.choice([np.nan, np.inf, -0.0])
        a = a.transpose(np.argsort(order))[tuple(slice(None, None, g) for g in gaps)]
        a = a[tuple(slice(n) for n in shape)]
        strides = tuple(s // a.itemsize if e else 0 for s, e in zip(a.strides, extent, strict=True))
        extent = [e and s != 0 for e, s in zip(extent, strides, strict=True)]
        last = len(strides) - 1
        told = tuple(s if s == 0 or (s == 1 and k == last) else None for k, s in enumerate(strides))
        self.value(dtype, extent)
        return (a.reshape(-1) if a.flags.c_contiguous and rng.random() < 0.3 else a), told, strides

    def pick(self, kinds="biufc"):
        found = [v for v, dtype in enumerate(self.dtypes) if dtype.kind in kinds]
        return int(self.rng.choice(found[-4:] if self.rng.random() < 0.5 else found)) if found else None

    def step(self):
        rng = self.rng
        v = self.pick()
        if rng.random() < 0.15:
            args = (self.pick(), v, self.pick())
            dtype = np.result_type(*(self.dtypes[a] for a in args[1:]))
            self.add("where", args, (BOOL, dtype, dtype), dtype)
            return
        args = (v,) if rng.random() < 0.4 else (v, self.pick())
        dtype = np.result_type(*(self.dtypes[a] for a in args))
        if dtype == BOOL or (dtype.kind in "iu" and rng.random() < 0.5):
            dtype = np.result_type(dtype, rng.choice([F4, F8, I8]))
        names = (
            (UNARY + REAL_UNARY * (dtype.kind == "f")) if len(args) == 1 else BINARY + REAL_BINARY * (dtype.kind == "f")
        )
        name = str(rng.choice(names))
        if name == "sign" and dtype.kind == "c":
            name = "conjugate"
        takes = (dtype,) * len(args)
        if name in ("cast", "positive"):
            result = np.result_type(dtype, rng.choice([F4, F8])) if name == "cast" else dtype
            if name == "cast" and rng.random() < 0.3:
                result = rng.choice([F4, BOOL, F2] if dtype.kind in "fc" else [F4, BOOL, I4])
        else:
            result = numpy_backend.function(name).resolve_dtypes((*takes, None))[-1]
        self.add(name, args, takes, np.dtype(result))

    def add(self, name, args, takes, dtype):
        self.steps.append(step(name, *args, dtype=dtype, takes=takes))
        self.value(dtype, map(any, zip(*(self.extents[a] for a in args), strict=True)))

    def fold(self):
        how = str(self.rng.choice(["add", "maximum", "minimum"]))
        v = self.pick("f")
        if v is None:
            return
        self.steps.append(step("fold", v, dtype=self.dtypes[v], fold=how))
        self.value(self.dtypes[v], (*self.extents[v][:-1], False))

    def output(self):
        rng = self.rng
        v = self.pick()
        dtype = self.dtypes[v]
        if rng.random() < 0.2 and dtype.kind in "fc":
            dtype = rng.choice([F4, F8, C16])
        per_row = bool(self.lengths and not self.extents[v][-1] and rng.random() < 0.7)
        summed = [bool(rng.random() < 0.5) for _ in self.lengths] if rng.random() < 0.5 else [False] * len(self.lengths)
        if per_row:
            summed[-1] = False
        if any(summed) and dtype == BOOL:
            dtype = I8
        return Output(v, np.dtype(dtype), tuple(summed), per_row)


def agree(plan, call, expected, hint):
    floats = [d for d in [F8, *(o.dtype for o in plan.outputs), *(s.dtype for s in plan.steps)] if d.kind in "fc"]
    inexact = any(s.dtype.kind == "c" or s.fold == "add" for s in plan.steps)
    rounding = 32 * max(np.finfo(d).eps for d in floats)
    size = largest(plan, call) if inexact or any(any(o.summed) for o in plan.outputs) else None
    for output, have, want in zip(plan.outputs, call.outputs, expected, strict=True):
        assert have.dtype == want.dtype and have.shape == want.shape
        if want.dtype.kind in "fc" and (inexact or any(output.summed)):
            np.testing.assert_allclose(have, want, rtol=rounding, atol=float(rounding * size), err_msg=hint)
        elif not (inexact and any(s.dtype.kind == "b" for s in plan.steps)):  # a rounding may turn a comparison
            np.testing.assert_array_equal(have, want, err_msg=hint)


def largest(plan, call):
    """The largest finite number on the way, times how many are added up at most."""
    dtypes = [plan.dtype_of(v) for v in range(len(plan.operands) + len(plan.numbers) + len(plan.steps))]
    outputs = tuple(Output(v, d, (False,) * plan.ndim) for v, d in enumerate(dtypes))
    size = 0.0
    for values in run_plan(plan._replace(outputs=outputs), call):
        values = np.abs(values)
        size = max(size, np.max(values, where=np.isfinite(values), initial=0))
    return float(size) * max(math.prod(call.lengths), 1)


@pytest.mark.parametrize("block", [64, 1 << 9, 1 << 17])
def test_random_plans(monkeypatch, block):
    monkeypatch.setattr(blocks, "BLOCK", block)
    for seed in range(100):
        made = RandomPlan([seed, block])
        expected = run_plan(made.plan, made.call)
        run(made.plan, made.call)
        agree(made.plan, made.call, expected, f"seed {seed}")


# -- every function --------------------------------------------------------------------------------
SAMPLES = np.concatenate([np.linspace(0.02, 0.98, 400), [0.0, -0.0, 1.0, 0.5, -0.3, 2.5, -7.25, 30.0]])


def scalars():
    return sorted(name for name, prim in registry.items() if prim.scalar is not None)


@pytest.mark.parametrize("name", scalars())
@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
def test_every_function(monkeypatch, name, dtype):
    monkeypatch.setattr(blocks, "BLOCK", 1 << 9)
    text = registry[name].scalar
    count = 1 + max(k for k in range(3) if f"{{{k}}}" in text)
    takes = (BOOL, dtype, dtype) if name == "where" else (dtype,) * count
    arrays = [SAMPLES.astype(dtype), SAMPLES[::-1].astype(dtype), SAMPLES[5:].repeat(2)[: SAMPLES.size].astype(dtype)]
    natural = meaning(text, *(a.astype(t) for a, t in zip(arrays, takes, strict=False))).dtype
    dtype_out = natural if natural.kind in "biu" else dtype
    made = one_loop(
        [step(name, *range(count), dtype=dtype_out, takes=takes)], [Output(3, dtype_out, (False,))], 3, dtype
    )
    call = call_of(made, arrays)
    (have,), (want,) = run(made, call), run_plan(made, call)
    np.testing.assert_allclose(have, want, rtol=8 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
def test_erf_needs_no_scipy(dtype):
    tiny = np.log10(np.finfo(dtype).smallest_subnormal)
    special_cases = [0.0, -0.0, np.inf, -np.inf, np.nan]
    x = np.concatenate([np.linspace(-7, 7, 100_001), np.linspace(0.2, 0.25, 30_001), np.logspace(tiny, 1, 30_001)])
    x = np.concatenate([x, special_cases]).astype(dtype)
    made = one_loop([step("scipy.special.erf", 0, dtype=dtype)], [Output(1, dtype, (False,))], dtype=dtype)

    def without_scipy(name):
        return {}[name] if name.startswith("scipy") else numpy_backend.function(name)

    (have,) = run(made, call_of(made, [x]), without_scipy)
    want = np.array([math.erf(v) for v in x.tolist()]).astype(dtype)  # the C library's errs by less than 1 unit
    np.testing.assert_array_equal(np.signbit(have), np.signbit(want))
    np.testing.assert_array_max_ulp(have, want, 4)
    assert np.all(have[x > 6] == 1.0)


# -- sums ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [F2, F4, F8], ids=str)
@pytest.mark.parametrize("summed", [(True, True), (True, False), (False, True)])
def test_sums_are_as_good_as_those_of_numpy(dtype, summed):
    x = np.random.default_rng(0).uniform(0, 1, (3000, 90)).astype(dtype)
    made = Plan(2, (Operand(dtype, (None, 1)),), (), (), (Output(0, F8, summed),))
    axes = tuple(k for k, s in enumerate(summed) if s)
    (have,) = run(made, call_of(made, [x]))
    exact = np.sum(x, axis=axes, dtype=np.longdouble)
    theirs = np.sum(x, axis=axes).astype(np.longdouble)
    assert np.max(np.abs(have - exact)) <= np.max(np.abs(theirs - exact))
    np.testing.assert_allclose(have, exact.astype(F8), rtol=1e-13)


def test_the_same_call_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200_003)
    made = one_loop([step("exp", 0), step("sin", 1)], [Output(2, F8, (True,)), Output(1, F8, (False,))])
    kernel = blocks.compile(made, numpy_backend.function)
    calls = [call_of(made, [x]) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(kernel, calls))
    for call in calls:
        assert all(np.array_equal(a, b) for a, b in zip(call.outputs, calls[0].outputs, strict=True))


# -- memory ----------------------------------------------------------------------------------------
def test_a_chain_needs_little_scratch_memory():
    steps = [step("multiply" if k % 2 else "add", k, max(k - 1, 0)) for k in range(40)]
    made = one_loop(steps, [Output(40, F8, (False,)), Output(20, F8, (False,))])
    kernel = blocks.compile(made, numpy_backend.function)
    assert len(kernel.code.registers) <= 3
    choices = [step("where", k, k, 0, takes=(BOOL, F8, F8)) for k in range(40)]
    chosen = blocks.compile(one_loop(choices, [Output(40, F8, (False,))]), numpy_backend.function)
    assert len(chosen.code.registers) <= 4
    # Results are computed where they belong.
    assert "copyto" not in kernel.code.text
    assert "out=o0" in kernel.code.text


def test_scratch_memory_is_kept_and_bounded(monkeypatch):
    monkeypatch.setattr(blocks, "_kept", blocks._Kept())
    made = one_loop([step("exp", 0), step("exp", 1)], [Output(2, F8, (True,))])
    run(made, call_of(made, [np.zeros(100_000)]))
    kept = blocks._kept.memory
    assert kept is not None
    run(made, call_of(made, [np.zeros(100_000)]))
    assert blocks._kept.memory is kept
    # A row as a whole, since it is folded.
    folded = one_loop([step("exp", 0), step("fold", 1, fold="add"), step("subtract", 1, 2)], [Output(3, F8, (False,))])
    run(folded, call_of(folded, [np.zeros(blocks.KEPT // 4)]))
    assert blocks._kept.memory is None or blocks._kept.memory.nbytes <= blocks.KEPT


def test_a_kernel_within_a_kernel():
    inner = one_loop([step("exp", 0), step("square", 1), step("negative", 2)], [Output(3, F8, (True,))])
    x = np.linspace(0, 1, 1000)

    def function(name):
        if name != "real":
            return numpy_backend.function(name)

        def real(a):
            run(inner, call_of(inner, [np.full(1000, 5.0)]))
            return a

        return real

    made = one_loop([step("exp", 0), step("real", 0), step("add", 1, 2)], [Output(3, F8, (False,))])
    (have,) = run(made, call_of(made, [x]), function)
    np.testing.assert_array_equal(have, np.exp(x) + x)


def test_an_output_may_be_the_memory_of_an_operand():
    x = np.linspace(0, 1, 50_000)
    made = one_loop([step("exp", 0), step("add", 0, 1)], [Output(1, F8, (False,)), Output(2, F8, (False,))])
    mine, other = x.copy(), np.empty_like(x)
    blocks.compile(made, numpy_backend.function)(Call(x.shape, (mine,), ((1,),), (), (mine, other)))
    np.testing.assert_array_equal(mine, np.exp(x))
    np.testing.assert_array_equal(other, x + np.exp(x))


# -- odds and ends ---------------------------------------------------------------------------------
def test_nothing_is_warned_of():
    x = np.array([0.0, -1.0, np.inf, np.nan, 1e300])
    made = one_loop(
        [step("divide", 0, 0), step("log", 0), step("square", 0)], [Output(k, F8, (False,)) for k in (1, 2, 3)]
    )
    call = call_of(made, [x])
    with np.errstate(all="raise"):
        have = run(made, call)
    for a, b in zip(have, run_plan(made, call), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["f", "d", "e", "F", "D", "g", "?", "b", "q", ">f8", ">i4"])
def test_where_takes_the_bits_as_they_are(monkeypatch, dtype):
    monkeypatch.setattr(blocks, "BLOCK", 256)
    rng = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    x, y = (rng.normal(0, 9, 100).astype(dtype) for _ in "xy")
    if dtype.kind == "f":
        x[:9], y[3:12] = np.nan, -0.0
    c = rng.random(100) < 0.5
    made = Plan(
        1,
        (Operand(BOOL, (1,)), Operand(dtype, (1,)), Operand(dtype, (1,))),
        (),
        (Step("where", "{0} ? {1} : {2}", (0, 1, 2), (BOOL, dtype, dtype), dtype),),
        (Output(3, dtype, (False,)),),
    )
    (have,) = run(made, call_of(made, [c, x, y]))
    assert have.tobytes() == np.where(c, x, y).astype(dtype).tobytes() or dtype.char == "g"
    np.testing.assert_array_equal(have, np.where(c, x, y))


def test_what_no_output_needs_is_not_computed():
    made = one_loop([step("exp", 0), step("scipy.special.gammaln", 0), step("add", 1, 1)], [Output(3, F8, (False,))])
    assert "gammaln" not in blocks.compile(made, numpy_backend.function).code.text


def test_constants_alone():
    made = Plan(0, (Operand(F8, ()),), (F8,), (step("multiply", 0, 1),), (Output(2, F8, ()), Output(1, F4, ())))
    call = Call((), (np.array(3.0),), ((),), (2.5,), (np.empty(()), np.empty((), F4)))
    assert [float(a) for a in run(made, call)] == [7.5, 2.5]


def test_rows_without_entries():
    steps = (step("fold", 0, fold="add"), step("fold", 0, fold="maximum"))
    outputs = (*(Output(v, F8, (False, False), True) for v in (1, 2, 3)), Output(1, F8, (False, True)))
    made = Plan(2, (Operand(F8, (None, 1)), Operand(F8, (None, 0))), (), steps, outputs)
    nothing = np.full(9, 7.0)[:0]  # with something behind it, which mustn't be read
    call = Call((3, 0), (nothing, nothing), ((1, 1), (1, 0)), (), tuple(np.full(3, 77.0) for _ in outputs))
    have = [list(a) for a in run(made, call)]
    assert have == [list(a) for a in run_plan(made, call)] == [[0] * 3, [0] * 3, [-np.inf] * 3, [0] * 3]


def test_a_plan_without_steps():
    made = Plan(2, (Operand(F4, (None, None)),), (), (), (Output(0, F8, (False, False)), Output(0, F4, (True, True))))
    x = np.arange(12, dtype=F4).reshape(3, 4).T
    have = run(made, call_of(made, [x]))
    np.testing.assert_array_equal(have[0], x)
    assert have[1] == 66

"""kernels/host_math.h: every function that a primitive names, against NumPy, SciPy and C's long double.

The bounds are those that the headers state, in units of the last place of the exact value.
"""

from __future__ import annotations

import ctypes
import importlib
import pkgutil
import re

import numpy as np
import pytest
import scipy.special as sp

import gpuad.ops
from gpuad.fused import c_source, c_types, compiler, host
from gpuad.fused.plan import Call, Operand, Output, Plan, Step
from gpuad.ops.declare import registry
from plan_reference import meaning
from test_c_source import kernels

#: Functions, and the largest error of the float64 and the float32 one in ulp, over the arguments of a sort below.
BOUNDS = {
    "exp": (1.25, 1.25, "exponents"),
    "exp2": (1.25, 1.25, "exponents"),
    "expm1": (2.5, 2.5, "exponents"),
    "sinh": (3, 3, "exponents"),
    "cosh": (1.5, 1.5, "exponents"),
    "tanh": (3, 3, "exponents"),
    "expit": (2.5, 2.5, "exponents"),
    "log_expit": (2, 2, "exponents"),
    "log": (1, 1, "positive"),
    "log2": (1, 1, "positive"),
    "log10": (1, 1, "positive"),
    "log1p": (1.5, 1.5, "above -1"),
    "entr": (2, 2, "positive"),
    "logit": (2.5, 3.5, "below 1"),
    "asinh": (2.5, 2.5, "all"),
    "acosh": (2.5, 2.5, "above 1"),
    "atanh": (2.5, 2.5, "in 1"),
    "sin": (1, 1.5, "angles"),
    "cos": (1, 1.5, "angles"),
    "tan": (2.5, 3, "angles"),
    "atan": (2, 2, "all"),
    "asin": (2.5, 2.5, "in 1"),
    "acos": (1.5, 1.5, "in 1"),
    "erf": (1.5, 1.5, "all"),
    "erfc": (4, 0.6, "exponents"),
    "ndtr": (4.5, 0.6, "exponents"),
    "log_ndtr": (5.5, 0.6, "normal"),
}
INVERSES = ("erfinv", "erfcinv", "ndtri")
TWO = {"power": (1.2, 1.2), "hypot": (1.5, 1.5), "atan2": (2.5, 2.5)}
#: What C's library has in long double under another name, or not at all.
EXACT = {
    "expit": "1 / (1 + expl(-x))",
    "log_expit": "x < 0 ? x - log1pl(expl(x)) : -log1pl(expl(-x))",
    "entr": "-x * logl(x)",
    "logit": "x > 0.25L && x < 0.75L ? log1pl((2 * x - 1) / (1 - x)) : logl(x) - log1pl(-x)",
    "ndtr": "erfcl(-x * 0.707106781186547524400844362104849039L) / 2",
    "log_ndtr": "x < -1 ? logl(erfcl(-x * 0.707106781186547524400844362104849039L) / 2)"
    " : log1pl(-erfcl(x * 0.707106781186547524400844362104849039L) / 2)",
    "power": "powl(x, y)",
    "logaddexp": "(x > y ? x : y) + log1pl(expl(-fabsl(x - y)))",
    # One of Newton's steps from the value y that is to be examined.
    "erfinv": "y - (fabsl(x) < 0.5L ? erfl(y) - x : copysignl((1 - fabsl(x)) - erfcl(fabsl(y)), x))"
    " * expl(y * y) * 0.886226925452758013649083741670572592L",
    "erfcinv": "y + (x < 0.5L ? erfcl(y) - x : x > 1.5L ? (2 - x) - erfcl(-y) : (1 - x) - erfl(y))"
    " * expl(y * y) * 0.886226925452758013649083741670572592L",
    "ndtri": "y - ((x < 0.25L ? erfcl(-y * 0.707106781186547524400844362104849039L) / 2 - x : x > 0.75L ?"
    " (1 - x) - erfcl(y * 0.707106781186547524400844362104849039L) / 2 :"
    " (x - 0.5L) * -1 + erfl(y * 0.707106781186547524400844362104849039L) / 2))"
    " * expl(y * y / 2) * 2.50662827463100050241576528481104525L",
}
REALS = {"f64": ("double", np.float64), "f32": ("float", np.float32)}
PRELUDE = c_source.prelude()


def arguments(sort, dtype, rng, n=20000):
    """Arguments of all sizes that a function of that sort has, and of usual ones."""
    info = np.finfo(dtype)
    usual = rng.normal(size=n) * 2
    sizes = rng.choice([-1, 1], n) * np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp - 1, n))
    both = np.concatenate([usual, sizes])
    if sort == "exponents":
        x = np.concatenate([both, rng.uniform(-1, 1, n) * np.log(float(info.max)) * 1.1])
    elif sort == "angles":
        nearest = rng.integers(-600000, 600000, n) * (np.longdouble(np.pi) / 2 + np.longdouble(6.123233995736766e-17))
        x = np.concatenate([both, rng.uniform(-(2**20), 2**20, n), nearest.astype(float)])
        x = x[np.abs(x) <= 2**20]
    elif sort == "normal":
        x = np.concatenate([usual, rng.uniform(-100, 30, n)])
    elif sort == "positive":
        x = np.abs(np.concatenate([both, 1 + rng.normal(size=n) / 10]))
    elif sort == "above -1":
        x = both[both > -1]
    elif sort == "above 1":
        x = np.concatenate([1 + np.abs(both), 1 + np.exp2(rng.uniform(-50, 0, n))])
    elif sort in ("below 1", "in 1"):
        near = 1 - np.exp2(rng.uniform(-50, -1, n))
        x = np.concatenate([rng.uniform(0, 1, n), near, 1 - near])
        x = np.concatenate([x, -x]) if sort == "in 1" else x
    else:
        x = both
    x = x.astype(dtype)
    if sort in ("above 1", "positive", "below 1"):
        x = x[(x > (1 if sort == "above 1" else 0)) & ((x < 1) | (sort != "below 1"))]
    if sort == "in 1":
        x = x[np.abs(x) < 1]
    return np.concatenate([x, [dtype(0.5), dtype(0.75)]])


def loop(name, text, inside, out, arguments=2):
    inputs = ", ".join(f"const {inside} *p{k}" for k in range(arguments))
    loads = " ".join(f"const {inside} {v} = p{k}[i];" for k, v in enumerate("xyz"[:arguments]))
    return (
        f"void {name}({inputs}, {out} *out, int64_t n) {{\n#pragma omp simd\n"
        f"for (int64_t i = 0; i < n; ++i) {{ {loads} out[i] = {text}; }} }}\n"
    )


@pytest.fixture(scope="module")
def library():
    source = PRELUDE
    for name in (*BOUNDS, *INVERSES):
        source += "".join(loop(f"{name}_{s}", f"{name}(x)", t, t) for s, (t, _) in REALS.items())
    for name in (*TWO, "logaddexp"):
        source += "".join(loop(f"{name}_{s}", f"{name}(x, y)", t, t) for s, (t, _) in REALS.items())
    exact = "#include <math.h>\n#include <stdint.h>\n"
    for name in (*BOUNDS, *INVERSES, *TWO, "logaddexp"):
        text = EXACT.get(name, f"{name}l(x, y)" if name in TWO else f"{name}l(x)")
        for s, (t, _) in REALS.items():
            exact += f"void exact_{name}_{s}(const {t} *p, const {t} *q, long double *out, int64_t n) {{\n"
            exact += (
                f"for (int64_t i = 0; i < n; ++i) {{ const long double x = p[i], y = q[i]; out[i] = {text}; }} }}\n"
            )
    return build(source), build(exact)


def build(source):
    try:
        return compiler.shared_library(source, host.flags())
    except compiler.CompilerUnavailable as unavailable:
        pytest.skip(f"no C: {unavailable.reason}")


def call(function, dtype, *inputs):
    n = len(inputs[0])
    out = np.empty(n, dtype)
    function(*(ctypes.c_void_p(a.ctypes.data) for a in (*inputs, out)), ctypes.c_int64(n))
    return out


def errors(got, exact):
    """In units of the last place of what is exact, rounded; of denormal numbers that of the smallest normal one."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        exponent = np.maximum(np.frexp(np.abs(exact))[1], info.minexp + 1)
        error = np.ldexp(np.abs(got - exact), info.nmant + 1 - exponent)
    fine = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    # What just overflows may be the largest number, and the other way round.
    largest = (np.abs(got) >= info.max) & (np.abs(exact) >= info.max * (1 - 4 * info.eps))
    brim = largest & (np.isinf(rounded) != np.isinf(got)) & (np.sign(got) == np.sign(rounded))
    return np.where(fine | brim, 0, np.where(np.isfinite(error), error, np.inf)).astype(float)


def worst(name, suffix, library, *inputs):
    ours, exact = library
    dtype = REALS[suffix][1]
    second = inputs[1] if len(inputs) > 1 else inputs[0]
    got = call(getattr(ours, f"{name}_{suffix}"), dtype, inputs[0], second)
    want = call(getattr(exact, f"exact_{name}_{suffix}"), np.longdouble, inputs[0], second)
    error = errors(got, want)
    at = int(np.argmax(error))
    return error[at], f"{name}({', '.join(repr(a[at]) for a in inputs)}) = {got[at]!r}, not {want[at]!r}"


needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="long double is no longer than double"
)


@needs_long_double
@pytest.mark.parametrize("suffix", REALS)
@pytest.mark.parametrize("name", BOUNDS)
def test_errors_of_one_argument(name, suffix, library):
    x = arguments(BOUNDS[name][2], REALS[suffix][1], np.random.default_rng(0))
    error, said = worst(name, suffix, library, x)
    assert error <= BOUNDS[name][suffix == "f32"], said


@needs_long_double
@pytest.mark.parametrize("suffix", REALS)
@pytest.mark.parametrize("name", TWO)
def test_errors_of_two_arguments(name, suffix, library):
    dtype, rng = REALS[suffix][1], np.random.default_rng(0)
    x, y = arguments("all", dtype, rng), arguments("all", dtype, rng)[::-1].copy()
    if name == "power":
        x = np.abs(x)
        usual = np.isfinite(x) & (x > 0) & (x != 1)
        # Results of all sizes, not only those that overflow.
        with np.errstate(all="ignore"):
            y = np.where(usual, rng.uniform(-1.05, 1.05, len(x)) * np.log(float(np.finfo(dtype).max)) / np.log(x), y)
        y = y.astype(dtype)
    error, said = worst(name, suffix, library, x, y)
    assert error <= TWO[name][suffix == "f32"], said


@pytest.mark.parametrize("suffix", REALS)
def test_powers_by_exact_arithmetic(suffix, library):
    """Where an error of the logarithm counts most: results near the ends of what there is, bases near 1."""
    mpmath = pytest.importorskip("mpmath")
    dtype, rng = REALS[suffix][1], np.random.default_rng(1)
    info = np.finfo(dtype)
    x = np.concatenate(
        [rng.uniform(0.5, 2, 700), 1 + rng.normal(size=300) / 1000, np.exp2(rng.uniform(-140, 127, 300))]
    )
    x = x.astype(dtype)
    x = x[x != 1]
    y = (rng.uniform(-0.98, 0.99, len(x)) * np.log(float(info.max)) / np.log(x.astype(float))).astype(dtype)
    got = call(getattr(library[0], f"power_{suffix}"), dtype, x, y)
    with mpmath.workprec(200):
        for a, b, z in zip(x.tolist(), y.tolist(), got.tolist(), strict=True):
            exact = mpmath.mpf(a) ** mpmath.mpf(b)
            place = mpmath.mpf(2) ** (max(mpmath.frexp(exact)[1], info.minexp + 1) - info.nmant - 1)
            assert abs(z - exact) <= 1.2 * place, (a, b, z)


@pytest.mark.parametrize("suffix", REALS)
def test_powers_of_special_values(suffix, library):
    """All that C11, F.10.4.4 says of them: of zeros with their signs, infinities, nan, negative numbers."""
    dtype = REALS[suffix][1]
    info = np.finfo(dtype)
    past_whole = 2.0 ** (info.nmant + 1)  # from here on there are whole numbers only, then even ones
    around_1 = [0.3, 0.5, 1 - info.epsneg, 1, 1 + info.eps, 1.5, 2, 3, 4, 7, 1e3, 1023]
    large = [past_whole / 2 - 0.5, past_whole / 2 + 1, past_whole - 1, past_whole + 2, info.max, np.inf]
    one = np.array([0, info.smallest_subnormal, info.tiny, *around_1, *large], dtype)
    one = np.concatenate([one, -one, np.array([np.nan], dtype)])
    x, y = (a.ravel().copy() for a in np.meshgrid(one, one))
    got = call(getattr(library[0], f"power_{suffix}"), dtype, x, y)
    exact = call(getattr(library[1], f"exact_power_{suffix}"), np.longdouble, x, y)
    with np.errstate(all="ignore"):
        references = {"C's powl": exact.astype(dtype), "NumPy": np.power(x, y)}
    for reference, want in references.items():
        with np.errstate(all="ignore"):
            same = (got == want) | (np.isnan(got) & np.isnan(want)) | (errors(got, want.astype(np.longdouble)) <= 2)
        same &= np.isnan(want) | (np.signbit(got) == np.signbit(want))
        wrong = [(x[k], y[k], got[k], want[k]) for k in np.flatnonzero(~same)]
        assert not wrong, (reference, wrong[:8])


@needs_long_double
@pytest.mark.parametrize("suffix", REALS)
def test_errors_of_logaddexp(suffix, library):
    """They are a matter of the largest of arguments and result, which may cancel."""
    dtype, rng = REALS[suffix][1], np.random.default_rng(0)
    x, y = (rng.normal(size=20000) * 4).astype(dtype), (rng.normal(size=20000) * 4).astype(dtype)
    got = call(getattr(library[0], f"logaddexp_{suffix}"), dtype, x, y)
    want = call(getattr(library[1], f"exact_logaddexp_{suffix}"), np.longdouble, x, y)
    size = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(want))
    assert np.max(np.abs(got - want) / size) <= 2 * np.finfo(dtype).eps


@needs_long_double
@pytest.mark.parametrize("name", INVERSES)
def test_errors_of_inverses(name, library):
    """By the functions that they invert."""
    p = arguments("in 1" if name == "erfinv" else "below 1", np.float64, np.random.default_rng(0))
    if name != "erfinv":
        p = np.concatenate([p, 2.0 ** -np.arange(2.0, 1022.0)])
    p = np.concatenate([p, 2 - p[p > 1e-15]]) if name == "erfcinv" else p
    got = call(getattr(library[0], f"{name}_f64"), np.float64, p, p)
    want = call(getattr(library[1], f"exact_{name}_f64"), np.longdouble, p, got)
    error = errors(got, want)
    at = int(np.argmax(error))
    assert error[at] <= 5, (p[at], got[at], want[at])


def test_errors_of_digamma():
    x = np.concatenate([np.geomspace(1e-300, 1e300, 999), np.linspace(0.01, 30, 999), -np.linspace(0.013, 9.987, 700)])
    step = Step("psi", "digamma({0})", (0,), (np.dtype("f8"),), np.dtype("f8"))
    plan = Plan(1, (Operand(np.dtype("f8"), (1,)),), (), (step,), (Output(1, np.dtype("f8"), (False,)),))
    got, want = np.empty_like(x), sp.psi(x)
    kernels([plan])[0](Call((len(x),), (x,), ((1,),), (), (got,)))
    slope = np.abs(np.minimum(x, -1e-9)) / np.sin(np.pi * np.minimum(x, -1e-9)) ** 2
    size = np.maximum(np.maximum(np.abs(want), 1), np.where(x < 0, slope, 0))
    assert np.max(np.abs(got - want) / size) <= 6 * np.finfo(float).eps  # of which SciPy has its share


# -- every text of every primitive ------------------------------------------------------------------
def texts():
    for module in pkgutil.iter_modules(gpuad.ops.__path__):
        importlib.import_module(f"gpuad.ops.{module.name}")
    return sorted({prim.scalar for prim in registry.values() if prim.scalar} | {"{0}"})


DTYPES = [np.dtype(c) for c in "? i1 i4 i8 u1 u8 f2 f4 f8 c8 c16".split()]
#: What NumPy has for complex numbers and C hasn't, or in another sense; NumPy does it then.
NOT_OF_COMPLEX = re.compile(
    r"(maximum|minimum|fmax|fmin|sign|rint|exp2|expm1|log2|log10|log1p|sinc|erf|erfc|entr|digamma|gamma|gammaln"
    r"|logit|expit|log_expit|ndtr|log_ndtr|xlogy|xlog1py)\(|[<>]"
)


def values(dtype, count):
    """Special and usual values, for two arguments every pair of them."""
    if dtype.kind == "b":
        one = np.array([True, False])
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        one = np.array([0, 1, 2, 3, 7, 100, info.max, info.min] + [-1, -2, -7] * (dtype.kind == "i"), dtype)
    else:
        real = np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype
        info = np.finfo(real)
        some = [0.0, 0.25, 0.5, 0.7, 1, 1.5, 2, 3, 4, 10, 33.3, 300, info.max, info.tiny, info.smallest_subnormal]
        some = np.array([*some, np.inf], real)
        one = np.concatenate([some, -some, [np.nan]]).astype(real)
        if dtype.kind == "c":
            parts = np.array([0.0, 0.3, -1.2, 2.5, -0.4], real)
            one = (parts[:, None] + 1j * parts).astype(dtype).ravel()
    return [a.ravel().copy() for a in np.meshgrid(*[one] * count, indexing="ij")]


def test_every_text_means_what_numpy_means():
    cases = {}  # by the dtypes that are taken: arguments, and per text what NumPy makes of them
    for text in texts():
        count = len(set(re.findall(r"\{\d\}", text)))
        for dtype in DTYPES:
            args = values(dtype, count - ("?" in text))
            args = [args[0].astype(bool) & (args[0] == args[0]), *args] if "?" in text else args
            takes = tuple(a.dtype for a in args)
            with np.errstate(all="ignore"):
                try:
                    want = np.asarray(meaning(text, *args))
                    if dtype == np.float16 and (want.dtype != bool):  # SciPy gives float32, and sinc rounds on the way
                        want = np.asarray(meaning(text, *(a.astype(np.float32) for a in args))).astype(dtype)
                except (TypeError, ValueError):  # ValueError: whole numbers to negative powers
                    continue
            if want.dtype.kind not in "biu" and dtype.kind in "biu":
                continue  # it takes something else, converted
            step = Step("text", text, tuple(range(count)), takes, want.dtype)
            try:
                c_types.check(Plan(1, (), (), (step,), ()))
            except c_types.CannotCompile:
                whole = dtype.kind in "biu" and ("/" in text or re.match(r"power|signbit|heaviside|fabs", text))
                half = dtype == np.float16 and "nextafter" in text
                assert whole or half or (dtype.kind == "c" and NOT_OF_COMPLEX.search(text)), (text, dtype)
                continue
            cases.setdefault(takes, (args, []))[1].append((step, want))
    assert sum(len(steps) for _, steps in cases.values()) > 400
    plans = [
        Plan(
            1,
            tuple(Operand(d, (1,)) for d in takes),
            (),
            tuple(step for step, _ in steps),
            tuple(Output(len(takes) + k, step.dtype, (False,)) for k, (step, _) in enumerate(steps)),
        )
        for takes, (_, steps) in cases.items()
    ]
    for kernel, (args, steps) in zip(kernels(plans, ("-O1",)), cases.values(), strict=True):
        outputs = [np.empty_like(want) for _, want in steps]
        kernel(Call((len(args[0]),), tuple(args), ((1,),) * len(args), (), tuple(outputs)))
        for (step, want), got in zip(steps, outputs, strict=True):
            compare(step.scalar, args, got, want)


def compare(text, args, got, want):
    if got.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want, f"{text} {args[0].dtype}")
        return
    info = np.finfo(got.dtype)
    bound = 12 * info.eps
    if "ndtr(" in text:
        bound = max(bound, 1e-13 * 34**2)  # the error of SciPy's, which rounds the argument of an exponential
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(want), 1 if "digamma" in text else 0)
        if "logaddexp" in text:  # arguments and logarithm may cancel
            size = np.maximum(size, np.where(np.isfinite(want), np.maximum(*map(np.abs, args)), 0))
        same = np.abs(got - want) <= bound * size + 4 * info.smallest_subnormal
        same |= (got == want) | (np.isnan(got) & np.isnan(want))
        # The sign of zero is left open for equal arguments of these, and SciPy has another for its own.
        if got.dtype.kind == "f" and not re.match("f?max|f?min|maximum|minimum|erfc?inv", text):
            same &= (want != 0) | (np.signbit(got) == np.signbit(want))
    wrong = [(*(a[k] for a in args), got[k], want[k]) for k in np.flatnonzero(~same)]
    assert not wrong, (text, args[0].dtype, wrong[:8])

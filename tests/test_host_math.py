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
from plan_reference import meaning

import gpuad.ops
from gpuad.fusion import c_source, c_types, compiler, host
from gpuad.ops.declare import registry

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
}
TWO = {"power": (1.25, 0.6), "hypot": (1.5, 1.5), "atan2": (2.5, 2.5)}
#: What C's library has in long double under another name, or not at all.
EXACT = {
    "expit": "1 / (1 + expl(-x))",
    "log_expit": "x < 0 ? x - log1pl(expl(x)) : -log1pl(expl(-x))",
    "entr": "-x * logl(x)",
    "logit": "x > 0.25L && x < 0.75L ? log1pl((2 * x - 1) / (1 - x)) : logl(x) - log1pl(-x)",
    "ndtr": "erfcl(-x * 0.707106781186547524400844362104849039L) / 2",
    "power": "powl(x, y)",
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
    for name in BOUNDS:
        source += "".join(loop(f"{name}_{s}", f"{name}(x)", t, t) for s, (t, _) in REALS.items())
    for name in TWO:
        source += "".join(loop(f"{name}_{s}", f"{name}(x, y)", t, t) for s, (t, _) in REALS.items())
    exact = "#include <math.h>\n#include <stdint.h>\n"
    for name in (*BOUNDS, *TWO):
        text = EXACT.get(name, f"{name}l(x, y)" if name in TWO else f"{name}l(x)")
        for s, (t, _) in REALS.items():
            exact += f"void exact_{name}_{s}(const {t} *p, const {t} *q, long double *out, int64_t n) {{\n"
            exact += (
                f"for (int64_t i = 0; i < n; ++i) {{ const long double x = p[i], y = q[i]; out[i] = {text}; }} }}\n"
            )
    return build(source), build(exact)


def build(source):
    try:
        return compiler.shared_library(source, host.FLAGS)
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

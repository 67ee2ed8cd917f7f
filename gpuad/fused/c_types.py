"""NumPy's dtypes in C: which there are, what is known for each, and how values are converted."""

from __future__ import annotations

import re

import numpy as np

from .plan import DType, Plan, Step


class CannotCompile(NotImplementedError):
    """The plan has something in it that has no counterpart in C; another executor must take it."""


#: Of each dtype: what holds a value, what holds it in memory, and what adds it up.
_C_TYPES = {
    "?": ("_Bool", "stored_bool", "int64_t"),
    "e": ("float", "stored_f16", "double"),
    "f": ("float", "stored_f32", "double"),
    "d": ("double", "stored_f64", "double"),
    "F": ("float _Complex", "stored_c64", "double _Complex"),
    "D": ("double _Complex", "stored_c128", "double _Complex"),
    **{f"i{n}": (f"int{8 * n}_t", f"stored_i{8 * n}", "int64_t") for n in (1, 2, 4, 8)},
    **{f"u{n}": (f"uint{8 * n}_t", f"stored_u{8 * n}", "uint64_t") for n in (1, 2, 4, 8)},
}

#: The functions of kernels/host_math.h, by what they take.
OF_INTEGERS = frozenset(
    "absolute ceil conjugate floor floor_divide fmax fmin fmod imag isfinite isinf isnan maximum minimum modulo real "
    "rint sign trunc".split()
)
OF_COMPLEX = frozenset(
    "absolute acos acosh asin asinh atan atanh conjugate cos cosh exp imag isfinite isinf isnan log power real sin "
    "sinh sqrt tan tanh".split()
)
OF_REALS = OF_INTEGERS | frozenset(
    "acos acosh asin asinh atan atan2 atanh cbrt copysign cos cosh deg2rad digamma entr erf erfc erfcinv erfinv exp "
    "exp2 expit expm1 fabs gamma gammaln heaviside hypot log log10 log1p log2 log_expit log_ndtr logaddexp logaddexp2 "
    "logit ndtr ndtri nextafter power rad2deg signbit sin sinc sinh sqrt tan tanh xlog1py xlogy".split()
)


def key_of(dtype: DType) -> str:
    """The entry of a dtype in ``_C_TYPES``; ``long`` and ``long long`` are the same."""
    key = dtype.char if dtype.kind in "?bfc" else f"{dtype.kind}{dtype.itemsize}"
    if key not in _C_TYPES or not dtype.isnative:
        raise CannotCompile(f"arrays of dtype {dtype} aren't known to the kernels in C")
    return key


def value_type(dtype: DType) -> str:
    return _C_TYPES[key_of(dtype)][0]


def memory_type(dtype: DType) -> str:
    return _C_TYPES[key_of(dtype)][1]


def sum_type(dtype: DType) -> str:
    return _C_TYPES[key_of(dtype)][2]


def cast(text: str, have: DType, want: DType) -> str:
    """An expression converted as NumPy does it."""
    if have == want:
        return text
    if want.kind == "b":
        return f"({text} != 0)"
    if want.char == "e":
        return f"GPUAD_HALF({text})" if have.kind != "c" else f"GPUAD_HALF(({value_type(have).split()[0]}){text})"
    return f"(({value_type(want)}){text})"


def names_in(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w*", text)


def check(plan: Plan) -> None:
    """See that every dtype is known, and every function for the dtypes that it is given."""
    for dtype in [o.dtype for o in plan.operands] + list(plan.numbers) + [o.dtype for o in plan.outputs]:
        key_of(dtype)
    for step in plan.steps:
        for dtype in (*step.takes, step.dtype):
            key_of(dtype)
        if step.fold is not None:
            if step.fold != "add" and step.takes[0].kind == "c":
                raise CannotCompile("complex numbers have no largest entry in C")
            continue
        kinds = {d.kind for d in (step.takes[1:] if "?" in step.scalar else step.takes)}
        known = OF_COMPLEX if "c" in kinds else OF_REALS if "f" in kinds else OF_INTEGERS
        for name in names_in(step.scalar):
            if name not in known:
                raise CannotCompile(f"{step.scalar!r} isn't known in C for {', '.join(map(str, step.takes))}")
        if step.takes[0].char == "e" and "nextafter" in step.scalar:
            raise CannotCompile("values of float16 are computed as float32, whose neighbours are nearer")
        if "c" in kinds and re.search("[<>]", step.scalar):
            raise CannotCompile("complex numbers have no order in C")
        if "/" in step.scalar and not kinds & set("fc"):
            raise CannotCompile("division of whole numbers stops the program in C if one is zero")


def in_complex(text: str) -> str:
    """With complex products and quotients as NumPy's, which aren't C's."""
    text = re.sub(r"(\S+) \* (\S+)", r"times(\1, \2)", text)
    return re.sub(r"(\S+) / (\S+)", r"quotient(\1, \2)", text)


def load(text: str, dtype: DType) -> str:
    return f"{text} != 0" if dtype.kind == "b" else text


def wide(dtype: DType) -> DType:
    """The dtype of a ``sum_type``."""
    return np.dtype({"b": "i8", "i": "i8", "u": "u8", "f": "f8", "c": "c16"}[dtype.kind])


def from_sum(text: str, dtype: DType) -> str:
    """A total, which has the ``sum_type``, as an entry."""
    return cast(text, wide(dtype), dtype)


def least(step: Step) -> str:
    """With what a search for the largest entry, or the smallest, begins."""
    return least_of(step.takes[0], step.fold == "maximum")


def least_of(dtype: DType, largest: bool) -> str:
    """The same, by the dtype of the entries."""
    if dtype.kind == "f":
        return "-INFINITY" if largest else "INFINITY"
    if dtype.kind == "b":
        return "0" if largest else "1"
    sign, bits = ("U" if dtype.kind == "u" else ""), 8 * dtype.itemsize
    if not largest:
        return f"{sign}INT{bits}_MAX"
    return "0" if sign else f"INT{bits}_MIN"

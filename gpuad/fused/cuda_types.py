"""Dtypes in CUDA kernels, conversions between them, and what the kernels can't do."""

from __future__ import annotations

import re

from .plan import DType, Plan

#: How arrays of a dtype are stored; float16 and bfloat16 are floats that have been rounded, once they are read.
STORED = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned", "uint64": "unsigned long long",
    "float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double",
    "complex64": "complex<float>", "complex128": "complex<double>",
}  # fmt: skip
HALVES = ("float16", "bfloat16")

#: Functions without a version for complex numbers.
OF_REAL_NUMBERS = frozenset(
    "sign signbit floor ceil trunc floor_divide fmod modulo heaviside cbrt hypot copysign nextafter logaddexp "
    "logaddexp2 sinc deg2rad rad2deg fabs atan2 digamma gamma gammaln entr erf erfc erfinv erfcinv ndtr log_ndtr "
    "ndtri expit log_expit logit".split()
)


def check(plan: Plan) -> None:
    dtypes = [o.dtype for o in plan.operands] + list(plan.numbers) + [s.dtype for s in plan.steps]
    dtypes += [o.dtype for o in plan.outputs] + [d for s in plan.steps for d in s.takes]
    for dtype in dtypes:
        if dtype.name not in STORED:
            raise NotImplementedError(f"CUDA kernels have no {dtype}")
    for step in plan.steps:
        names = set(re.findall(r"\w+(?=\()", step.scalar))
        if any(d.kind == "c" for d in step.takes) and names & OF_REAL_NUMBERS:
            raise NotImplementedError(f"CUDA kernels have {step.name} for real numbers only")
        if "nextafter" in names and any(d.name in HALVES for d in step.takes):
            raise NotImplementedError("CUDA kernels have no nextafter for 16 bits")


def type_of(dtype: DType) -> str:
    """What a value of that dtype is in a kernel."""
    return "float" if dtype.name in HALVES else STORED[dtype.name]


def converted(text: str, have: DType, want: DType) -> str:
    """A value as one of another dtype."""
    if have == want:
        return text
    if want.name in HALVES:
        inexact = have.kind == "f" or have.name in HALVES
        return f"rounded<{want.name}>({text if inexact else f'cast<float>({text})'})"
    return f"cast<{type_of(want)}>({text})"


def written(text: str, have: DType, want: DType) -> str:
    """A value as ``store`` takes it to an array of ``want``; it rounds by itself."""
    if want.name in HALVES:
        return text if have.kind == "f" or have.name in HALVES else f"cast<float>({text})"
    return converted(text, have, want)


def number_field(name: str, dtype: DType) -> str:
    """How a number is passed, in 8 bytes, or in twice 8."""
    if dtype.kind == "c":
        return f"double {name}[2];"
    kind = "long long" if dtype.kind in "bi" else "unsigned long long" if dtype.kind == "u" else "double"
    return f"{kind} {name};"


def number_value(field: str, dtype: DType) -> str:
    """A number that was passed so, as a value."""
    if dtype.kind == "c":
        part = type_of(dtype).removeprefix("complex<").removesuffix(">")
        return f"{type_of(dtype)}{{({part}){field}[0], ({part}){field}[1]}}"
    return f"rounded<{dtype.name}>({field})" if dtype.name in HALVES else f"cast<{type_of(dtype)}>({field})"

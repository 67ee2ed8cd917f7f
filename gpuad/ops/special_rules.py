"""What the rules of SciPy's special functions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.box import spec_of
from ..core.primitive import Rule
from ..errors import UnsupportedError
from .elementwise import where


def refuse(function: str, argument: str, reason: str = "no accurate formula is known") -> Rule:
    """The rule of an argument with respect to which there is no derivative to be had."""

    def rule(g: Any, ans: Any, *args: Any, **params: Any) -> Any:
        raise UnsupportedError(
            f"scipy.special.{function} can't be differentiated with respect to {argument}: {reason}. "
            f"If {argument} should count as a constant, pass gpuad.stop_gradient({argument})"
        )

    return rule


def is_complex(x: Any) -> bool:
    return spec_of(x).dtype.kind == "c"


def of_number(f: Callable[[Any], Any], x: Any) -> Any:
    """``f(x)``, which for a Python number is one again: beside an array it takes the array's dtype."""
    return float(f(float(x))) if type(x) in (int, float) else f(x)


def or_else(name: str, fallback: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of SciPy's function ``name``; ``fallback(xp, *args)`` on a backend that lacks it, as CuPy does."""

    def forward(xp: Any, *args: Any) -> Any:
        theirs = getattr(xp.scipy.special, name, None)
        return fallback(xp, *args) if theirs is None else theirs(*args)

    return forward


def horner(coefficients: Sequence[float], t: Any) -> Any:
    """The polynomial with these coefficients, that of the highest power last."""
    *lower, total = coefficients
    for c in reversed(lower):
        total = total * t + c
    return total


def zero_at(there: Any, f: Callable[..., Any], *args: Any) -> Any:
    """``f`` of ``args``, and 0 where ``there`` is true: what ``f`` gives there does no harm, nor its derivative."""
    return where(there, 0.0, f(*(where(there, 1.0, a) for a in args)))


def arrays_of_one_dtype(xp: Any, *args: Any) -> list[Any]:
    """Numbers as arrays of the dtype of the arrays beside them, so that functions of them alone keep it."""
    dtype = xp.result_type(*args)
    if dtype.kind not in "fc":
        dtype = xp.result_type(dtype, xp.float64)
    return [xp.asarray(a, dtype=dtype) for a in args]

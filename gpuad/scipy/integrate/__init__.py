"""``scipy.integrate``, differentiable as far as it is; the rest works on plain arrays unchanged."""

from __future__ import annotations

from typing import Any

from ...numpy.frontend import find
from .ode import odeint, solve_ivp
from .quadrature import fixed_quad, quad
from .sampled import cumulative_simpson, cumulative_trapezoid, romb, simpson, trapezoid

__all__ = [
    "cumulative_simpson", "cumulative_trapezoid", "fixed_quad", "odeint", "quad", "romb", "simpson", "solve_ivp",
    "trapezoid",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.integrate.", "scipy.integrate", name)
    return found


def __dir__() -> list[str]:
    import scipy.integrate

    return list(scipy.integrate.__all__)

"""``scipy.optimize``: solvers that take derivatives from gpuad, and whose solutions are differentiable.

They run on the host, in SciPy. What else SciPy has is passed on.
"""

from __future__ import annotations

from typing import Any

from .fits import curve_fit as curve_fit
from .fits import least_squares as least_squares
from .minima import minimize as minimize
from .minima import minimize_scalar as minimize_scalar
from .roots import bisect as bisect
from .roots import brenth as brenth
from .roots import brentq as brentq
from .roots import fixed_point as fixed_point
from .roots import fsolve as fsolve
from .roots import newton as newton
from .roots import ridder as ridder
from .roots import root as root
from .roots import root_scalar as root_scalar
from .roots import toms748 as toms748


def __getattr__(name: str) -> Any:
    import scipy.optimize

    return getattr(scipy.optimize, name)  # which refuse what is traced, since they make plain arrays of it


def __dir__() -> list[str]:
    import scipy.optimize

    return list(scipy.optimize.__all__)

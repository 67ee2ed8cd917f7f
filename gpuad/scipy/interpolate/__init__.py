"""``scipy.interpolate``, differentiable as far as it is; the rest works on plain arrays unchanged.

Its classes are SciPy's own where all that they are given is plain. Of traced data they make objects that are
called in the same way: differentiable with respect to the data, the places of the data, and the points.
"""

from __future__ import annotations

from typing import Any

from ...numpy.frontend import find
from .grids import RegularGridInterpolator as RegularGridInterpolator
from .grids import interp1d as interp1d
from .piecewise import Akima1DInterpolator as Akima1DInterpolator
from .piecewise import CubicHermiteSpline as CubicHermiteSpline
from .piecewise import CubicSpline as CubicSpline
from .piecewise import PchipInterpolator as PchipInterpolator
from .piecewise import PPoly as PPoly
from .splines import BSpline as BSpline


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.interpolate.", "scipy.interpolate", name)
    return found


def __dir__() -> list[str]:
    import scipy.interpolate

    return list(scipy.interpolate.__all__)

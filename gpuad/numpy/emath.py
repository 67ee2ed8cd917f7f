"""``numpy.emath``: elementary functions that leave the real line where their arguments ask for it.

Whether they do is asked of the values, as NumPy does; on a device that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.box import spec_of
from ..errors import UnsupportedError
from ..ops import elementwise as e
from .creation import as_array, convert
from .frontend import numpy_function


def _complex(x: Any) -> Any:
    return convert(x, np.result_type(spec_of(x).dtype, np.complex64))


def _below_zero(x: Any) -> Any:
    """``x``; complex, if a number in it is negative."""
    x = as_array(x)
    return _complex(x) if spec_of(x).dtype.kind != "c" and bool(e.less(x, 0.0).any()) else x


def _beyond_one(x: Any) -> Any:
    x = as_array(x)
    return _complex(x) if spec_of(x).dtype.kind != "c" and _is_beyond_one(x) else x


def _within_one(x: Any) -> Any:
    x = as_array(x)
    if spec_of(x).dtype.kind != "c" and _is_beyond_one(x):
        # On the branch cut the sign of a zero says which side is meant, and rules don't see it.
        raise UnsupportedError("emath.arccos and arcsin of traced numbers beyond -1 and 1 aren't supported")
    return x


def _is_beyond_one(x: Any) -> bool:
    return bool(e.greater(e.absolute(x), 1.0).any())


def _on(domain: Callable[[Any], Any], name: str, function: Callable[..., Any]) -> None:
    @numpy_function(f"emath.{name}")
    def extended(x: Any) -> Any:
        return function(domain(x))


for _name in ("sqrt", "log", "log2", "log10"):
    _on(_below_zero, _name, getattr(e, _name))
for _name in ("arccos", "arcsin"):
    _on(_within_one, _name, getattr(e, _name))
_on(_beyond_one, "arctanh", e.arctanh)


@numpy_function("emath.logn")
def logn(n: Any, x: Any) -> Any:
    return e.log(_below_zero(x)) / e.log(_below_zero(n))


@numpy_function("emath.power")
def power(x: Any, p: Any) -> Any:
    return e.power(_below_zero(x), p)

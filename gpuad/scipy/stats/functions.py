"""The functions that densities are written with. Of Python numbers they are numbers again, without a dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import elementwise as e
from .. import special

NUMBERS = frozenset({int, float, bool})


def _of_numbers(f: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        return float(f(*map(float, args))) if NUMBERS.issuperset(map(type, args)) else f(*args)

    return function


def _special(name: str) -> Callable[..., Any]:
    return _of_numbers(lambda *args: getattr(special, name)(*args))


log, exp, log1p, expm1 = _of_numbers(e.log), _of_numbers(e.exp), _of_numbers(e.log1p), _of_numbers(e.expm1)
tan, arctan2, power = _of_numbers(e.tan), _of_numbers(e.arctan2), _of_numbers(e.power)
floor, maximum, minimum = _of_numbers(e.floor), _of_numbers(e.maximum), _of_numbers(e.minimum)
gammaln, betaln, psi, xlogy, xlog1py, entr = map(_special, "gammaln betaln psi xlogy xlog1py entr".split())
ndtr, log_ndtr, ndtri, erf = map(_special, "ndtr log_ndtr ndtri erf".split())
expit, log_expit, logit = map(_special, "expit log_expit logit".split())
gammainc, gammaincc, gammaincinv, gammainccinv = map(_special, "gammainc gammaincc gammaincinv gammainccinv".split())
betainc, betaincc, betaincinv, betainccinv = map(_special, "betainc betaincc betaincinv betainccinv".split())


# -- conditions, which may be Python's or arrays ----------------------------------------------------
def both(p: Any, q: Any) -> Any:
    if p is True or q is False:
        return q
    return p if q is True or p is False else e.logical_and(p, q)


def either(p: Any, q: Any) -> Any:
    if p is False or q is True:
        return q
    return p if q is False or p is True else e.logical_or(p, q)


def where(condition: Any, x: Any, y: Any) -> Any:
    """``x``, of at least the shape of ``y``, where the condition holds, else ``y``."""
    if isinstance(condition, (bool, np.bool_)):
        if condition:
            return x
        return y if NUMBERS.issuperset((type(x), type(y))) else e.where(np.bool_(False), x, y)
    return e.where(condition, x, y)

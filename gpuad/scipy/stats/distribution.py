"""What distributions of one variable have in common: location and scale, bounds of the support, SciPy's calls.

A distribution states its functions on the standard scale, as formulas that need only hold within the support.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.box import spec_of
from ...errors import UnsupportedError
from ...numpy.creation import as_array, convert, home
from ...numpy.frontend import find, is_traced, numpy_function, unsupported
from ...ops import elementwise as e
from .functions import NUMBERS, both, either, exp, log, where

Formula = Callable[..., Any]
Bounds = tuple[float, float]

REAL, POSITIVE, UNIT = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)


def positive(*shapes: Any) -> Any:
    """Whether all parameters are: what most distributions ask of them."""
    return functools.reduce(both, [a > 0 for a in shapes], True)


class Distribution:
    """A distribution by the name it has in SciPy: gpuad's formulas for traced arrays, SciPy for all else."""

    def __init__(self, name: str, methods: dict[str, Formula | None] | None = None) -> None:
        self.name = name
        known = {method: formula for method, formula in (methods or {}).items() if formula is not None}
        #: The methods that we differentiate, by SciPy's names.
        self._methods = tuple(known)
        for method, formula in known.items():
            setattr(self, method, numpy_function(f"scipy.stats.{name}.{method}")(_function(formula)))

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_") or method == "name":
            raise AttributeError(method)
        return find(f"scipy.stats.{self.name}.", self._theirs, method)

    @property
    def _theirs(self) -> Any:
        return getattr(importlib.import_module("scipy.stats"), self.name)

    def __dir__(self) -> list[str]:
        return dir(self._theirs)

    def __call__(self, *args: Any, **kwds: Any) -> Frozen:
        return Frozen(self, args, kwds)

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"


def _function(formula: Formula) -> Formula:
    # A partial would lend its documentation.
    return lambda *args, **kwds: formula(*args, **kwds)


class Frozen:
    """A distribution with its parameters."""

    def __init__(self, dist: Distribution, args: tuple[Any, ...], kwds: dict[str, Any]) -> None:
        self.dist, self.args, self.kwds = dist, args, kwds

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_") or method in ("dist", "args", "kwds"):
            raise AttributeError(method)
        if method in self.dist._methods:
            function = getattr(self.dist, method)
            return lambda *first, **more: function(*first, *self.args, **self.kwds, **more)
        if is_traced([*self.args, *self.kwds.values()]):
            raise unsupported(f"scipy.stats.{self.dist.name}.{method}")
        return getattr(self.dist._theirs(*self.args, **self.kwds), method)


class Continuous(Distribution):
    """A family on the standard scale, from its log-density, and from what is more accurate than what follows from it.

    ``bounds`` of the support, and whether the density has a value there; for a support that depends on
    the parameters ``support`` gives its bounds and a point inside. ``valid`` says which parameters are allowed.
    """

    def __init__(
        self, name: str, shapes: str, logpdf: Formula, *, bounds: Bounds = REAL, closed: bool = True,
        support: Formula | None = None, valid: Formula = positive, pdf: Formula | None = None,
        cdf: Formula | None = None, sf: Formula | None = None, logcdf: Formula | None = None,
        logsf: Formula | None = None, ppf: Formula | None = None, isf: Formula | None = None,
        entropy: Formula | None = None,
    ) -> None:  # fmt: skip
        self._shapes = tuple(shapes.split())
        self._closed, self._valid = closed, valid
        self._everywhere = support is None and bounds == REAL
        within = 1.0 if bounds == POSITIVE else 0.5
        self._support = support or (lambda *shapes: (*bounds, within))
        if cdf is not None:
            sf = sf or (lambda x, *shapes: 1.0 - cdf(x, *shapes))
            logcdf = logcdf or (lambda x, *shapes: log(cdf(x, *shapes)))
            logsf = logsf or (lambda x, *shapes: log(sf(x, *shapes)))
        if ppf is not None:
            isf = isf or (lambda q, *shapes: ppf(1.0 - q, *shapes))
        methods: dict[str, Formula | None] = {
            "pdf": functools.partial(self._density, pdf or (lambda x, *shapes: exp(logpdf(x, *shapes))), False),
            "logpdf": functools.partial(self._density, logpdf, True),
            "cdf": cdf and functools.partial(self._distribution, cdf, 0.0, 1.0),
            "sf": sf and functools.partial(self._distribution, sf, 1.0, 0.0),
            "logcdf": logcdf and functools.partial(self._distribution, logcdf, -math.inf, 0.0),
            "logsf": logsf and functools.partial(self._distribution, logsf, 0.0, -math.inf),
            "ppf": ppf and functools.partial(self._quantile, ppf),
            "isf": isf and functools.partial(self._quantile, isf),
            "entropy": entropy and functools.partial(self._entropy, entropy),
        }
        super().__init__(name, methods)

    def _standard(self, x: Any, args: Sequence[Any], kwds: dict[str, Any]) -> tuple[Any, tuple[Any, ...], Any, Any]:
        """``x`` on the standard scale, the shape parameters, the scale, and where the parameters are valid."""
        *given, loc, scale = bind(self.name, (*self._shapes, "loc", "scale"), args, kwds)
        x = _floating(x, (*given, loc, scale))
        shapes = _typed(given, x, loc, scale)
        y = x if _is(loc, 0.0) else x - loc
        y = y if _is(scale, 1.0) else y / scale
        return y, shapes, scale, both(self._valid(*shapes), True if _is(scale, 1.0) else scale > 0)

    def _density(self, formula: Formula, logarithm: bool, x: Any, *args: Any, **kwds: Any) -> Any:
        y, shapes, scale, valid = self._standard(x, args, kwds)
        low, high, within = self._support(*shapes)
        outside = e.isinf(y)
        if not self._everywhere:
            outside = either(outside, either(y < low, y > high))
        if not self._closed:
            outside = either(outside, either(y == low, y == high))
        value = formula(where(outside, within, y), *shapes)
        if not _is(scale, 1.0):
            value = value - log(scale) if logarithm else value / scale
        return _masked(value, valid, (outside, -math.inf if logarithm else 0.0))

    def _distribution(self, formula: Formula, before: float, after: float, x: Any, *args: Any, **kwds: Any) -> Any:
        y, shapes, _, valid = self._standard(x, args, kwds)
        low, high, within = self._support(*shapes)
        below, above = y <= low, y >= high
        value = formula(where(either(below, above), within, y), *shapes)
        return _masked(value, valid, (below, before), (above, after))

    def _quantile(self, formula: Formula, q: Any, *args: Any, **kwds: Any) -> Any:
        *given, loc, scale = bind(self.name, (*self._shapes, "loc", "scale"), args, kwds)
        q = _floating(q, (*given, loc, scale))
        shapes = _typed(given, q, loc, scale)
        valid = both(both(self._valid(*shapes), scale > 0), both(q >= 0.0, q <= 1.0))
        return _masked(formula(q, *shapes) * scale + loc, valid)

    def _entropy(self, formula: Formula, *args: Any, **kwds: Any) -> Any:
        *given, loc, scale = bind(self.name, (*self._shapes, "loc", "scale"), args, kwds)
        shapes = _typed(given, loc, scale)
        return _masked(formula(*shapes) + log(scale) + 0.0 * loc, both(self._valid(*shapes), scale > 0))


class Discrete(Distribution):
    """A family on the integers from 0 on, or up to what ``last`` gives; its parameters vary smoothly, its values don't.

    ``fixed`` are parameters that are integers too.
    """

    def __init__(
        self, name: str, shapes: str, logpmf: Formula, valid: Formula, *, cdf: Formula, sf: Formula,
        first: int = 0, last: Formula | None = None, fixed: str = "", entropy: Formula | None = None,
    ) -> None:  # fmt: skip
        self._shapes, self._fixed = shapes.split(), fixed.split()
        self._valid, self._first, self._last = valid, first, last or (lambda *shapes: math.inf)
        mass, distribution = self._mass, self._distribution
        super().__init__(
            name,
            {
                "pmf": functools.partial(mass, lambda k, *shapes: exp(logpmf(k, *shapes)), 0.0),
                "logpmf": functools.partial(mass, logpmf, -math.inf),
                "cdf": functools.partial(distribution, cdf, 0.0, 1.0),
                "sf": functools.partial(distribution, sf, 1.0, 0.0),
                "logcdf": functools.partial(distribution, lambda k, *shapes: log(cdf(k, *shapes)), -math.inf, 0.0),
                "logsf": functools.partial(distribution, lambda k, *shapes: log(sf(k, *shapes)), 0.0, -math.inf),
                "entropy": entropy and functools.partial(self._entropy, entropy),
            },
        )

    def _standard(self, k: Any, args: Sequence[Any], kwds: dict[str, Any]) -> tuple[Any, tuple[Any, ...], Any]:
        *given, loc = bind(self.name, (*self._shapes, "loc"), args, kwds)
        whole = {"k": k, "loc": loc} | {n: a for n, a in zip(self._shapes, given, strict=True) if n in self._fixed}
        for name, value in whole.items():
            if is_traced([value]):
                raise UnsupportedError(
                    f"scipy.stats.{self.name}: {name} counts, so there is no derivative with respect to it; pass "
                    f"gpuad.stop_gradient({name}) if it is meant as a constant"
                )
        k = _floating(k, given)
        shapes = _typed(given, k)
        return (k if _is(loc, 0.0) else k - loc), shapes, self._valid(*shapes)

    def _mass(self, formula: Formula, nothing: float, k: Any, *args: Any, **kwds: Any) -> Any:
        k, shapes, valid = self._standard(k, args, kwds)
        outside = either(either(k < self._first, k > self._last(*shapes)), either(k > e.floor(k), e.isinf(k)))
        value = formula(where(outside, float(self._first), k), *shapes)
        return _masked(value, valid, (outside, nothing))

    def _distribution(self, formula: Formula, before: float, after: float, k: Any, *args: Any, **kwds: Any) -> Any:
        k, shapes, valid = self._standard(k, args, kwds)
        below, above = k < self._first, k >= self._last(*shapes)
        value = formula(e.floor(where(either(below, above), float(self._first), k)), *shapes)
        return _masked(value, valid, (below, before), (above, after))

    def _entropy(self, formula: Formula, *args: Any, **kwds: Any) -> Any:
        *given, _ = bind(self.name, (*self._shapes, "loc"), args, kwds)
        shapes = _typed(given)
        return _masked(formula(*shapes), self._valid(*shapes))


def bind(name: str, names: Sequence[str], args: Sequence[Any], kwds: dict[str, Any]) -> list[Any]:
    """The parameters in the order of ``names``, of which ``loc`` and ``scale`` have values by default."""
    if len(args) > len(names):
        raise TypeError(f"{name} takes the parameters {', '.join(names)}; got {len(args)} values")
    given = dict(zip(names, args, strict=False))
    if twice := given.keys() & kwds.keys():
        raise TypeError(f"{name} got several values for {', '.join(twice)}")
    given = {"loc": 0.0, "scale": 1.0} | given | kwds
    missing, strange = [n for n in names if n not in given], kwds.keys() - set(names)
    if missing or strange:
        raise TypeError(f"{name} takes the parameters {', '.join(names)}; got {', '.join(kwds)}, without {missing}")
    backend = home(*given.values())
    return [given[n] if type(given[n]) in NUMBERS else as_array(given[n], backend) for n in names]


def _typed(shapes: Sequence[Any], *beside: Any) -> tuple[Any, ...]:
    """Parameters of which those that are Python's numbers have the dtype of the arrays: SciPy's functions want that."""
    dtypes = [spec_of(x).dtype for x in (*shapes, *beside) if type(x) not in NUMBERS]
    dtype = np.result_type(*dtypes) if dtypes else np.dtype(float)
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    return tuple([dtype.type(a) if type(a) in NUMBERS else a for a in shapes])


def _is(parameter: Any, number: float) -> bool:
    return type(parameter) in NUMBERS and parameter == number


def _floating(x: Any, parameters: Sequence[Any]) -> Any:
    """``x`` as an array, or a number, of floating-point numbers."""
    if type(x) in NUMBERS:
        return x
    x = as_array(x, home(x, *parameters))
    return x if spec_of(x).differentiable else convert(x, "float64")


def _masked(value: Any, valid: Any, *known: tuple[Any, float]) -> Any:
    """``value`` but where another is known, which has no gradient there; where parameters aren't valid, no number."""
    for condition, constant in known:
        if isinstance(condition, (bool, np.bool_)):
            value = where(not condition, value, constant)
        else:
            value = e.where(condition, constant, value)
    if isinstance(valid, (bool, np.bool_)):
        return value if valid else value * math.nan
    return value * e.where(valid, spec_of(value).dtype.type(1.0), math.nan)  # so that the gradient is none either

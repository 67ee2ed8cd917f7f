"""Integrals of functions: SciPy's ``quad`` (QUADPACK) and ``fixed_quad``."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...backend import numpy_backend
from ...core.box import Box, innermost, spec_of
from ...core.primitive import Primitive
from ...core.pytree import leaves, tree_map
from ...errors import UnsupportedError
from ...numpy.creation import convert, home
from ...numpy.frontend import functions as gnp
from ...numpy.frontend import is_traced
from ...ops.declare import fit, variadic
from ...ops.weighted_sum import weighted_sum
from ...transforms.gradients import vjp
from .plainly import ReadsTraced, opened, plainly


def fixed_quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), n: int = 5) -> tuple[Any, None]:
    """As :func:`scipy.integrate.fixed_quad`, on any backend; differentiable with respect to all that ``func`` reads.

    >>> from gpuad import grad
    >>> round(float(grad(lambda k: fixed_quad(lambda x: x ** k, 0.0, 1.0)[0])(2.0)), 3)
    -0.111
    """
    if any(map(math.isinf, (innermost(a), innermost(b)))):
        raise ValueError("Gaussian quadrature is only available for finite limits.")
    nodes, weights = map(home(a, b, args).asarray, np.polynomial.legendre.leggauss(n))
    half = (b - a) * 0.5
    return half * (weights * func(half * (nodes + 1.0) + a, *args)).sum(-1), None


class Integral:
    """∫ func(x, *args) dx as a function of the bounds and of the traced leaves of args."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.func, self.args, self.options = func, args, options
        self.report: tuple[Any, ...] = ()  # what SciPy said beside the value

    def integrand(self, x: Any, *traced: Any) -> Any:
        rest = iter(traced)
        return self.func(x, *tree_map(lambda leaf: next(rest) if type(leaf) is Box else leaf, self.args))

    def value(self, a: Any, b: Any, *traced: Any) -> Any:
        import scipy.integrate as theirs

        value, *self.report = theirs.quad(plainly(self.integrand), float(a), float(b), traced, **self.options)
        backend = home(a, b, traced)
        return np.asarray(value)[()] if backend is numpy_backend else backend.asarray(value)

    def end(self, g: Any, x: Any, traced: tuple[Any, ...]) -> Any:
        """The cotangent of the upper bound ``x``: the integrand there."""
        if self.options["weight"] is not None:
            raise UnsupportedError("quad: with weight= the bounds can't be differentiated")
        return g * 0.0 if math.isinf(innermost(x)) else g * self.integrand(x, *traced)

    def parameter(self, k: int, g: Any, a: Any, b: Any, traced: tuple[Any, ...]) -> Any:
        """The cotangent of a traced leaf: the integrals of the integrand's derivatives by its entries."""
        known: dict[float, Any] = {}  # QUADPACK asks at much the same places for each entry
        known_for: tuple[Any, ...] = ()

        def derivative(x: Any, *traced: Any) -> Any:
            nonlocal known_for
            usual = type(x) is float and not is_traced(traced)
            if usual and not all(map(operator.is_, traced, known_for)):  # another example of vmap
                known.clear()
            known_for = traced
            if usual and x in known:
                return known[x]
            before, after = traced[:k], traced[k + 1 :]
            f, pull = vjp(lambda theta: self.integrand(x, *before, theta, *after), traced[k])
            slope = gnp["ravel"](pull(gnp["ones_like"](f))[0])
            if usual:
                known[x] = slope
            return slope

        shape, size = spec_of(traced[k]).shape, spec_of(traced[k]).size
        parts = [
            quad(lambda x, *traced, j=j: derivative(x, *traced)[j], a, b, traced, **self.options)[0]
            for j in range(size)
        ]
        return g * gnp["reshape"](gnp["stack"](parts), shape) if parts else traced[k] * 0.0


def _vjp(k: int, g: Any, ans: Any, a: Any, b: Any, *traced: Any, integral: Integral) -> Any:
    """Leibniz's rule."""
    if k == 0:
        return -integral.end(g, a, traced)
    return integral.end(g, b, traced) if k == 1 else integral.parameter(k - 2, g, a, b, traced)


integrate: Primitive = variadic(
    "quad", lambda xp, a, b, *traced, integral: integral.value(a, b, *traced), _vjp, finish=fit
)


def quad(
    func: Callable[..., Any], a: Any, b: Any, args: Any = (), full_output: Any = 0, epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8, limit: int = 50, points: Any = None, weight: Any = None, wvar: Any = None,
    wopts: Any = None, maxp1: int = 50, limlst: int = 50, complex_func: bool = False,
) -> Any:  # fmt: skip
    """As :func:`scipy.integrate.quad`; differentiable with respect to the bounds, ``args``, and what ``func`` reads.

    By Leibniz's rule: derivatives by ``args`` are integrals that QUADPACK computes to the same tolerances.
    A ``func`` that reads traced arrays without being given them is integrated by Gauss's rule instead, which
    is differentiated.
    """
    a, b, args = opened((a, b, args if isinstance(args, tuple) else (args,)))
    options = {
        "full_output": full_output, "epsabs": epsabs, "epsrel": epsrel, "limit": limit, "points": points,
        "weight": weight, "wvar": wvar, "wopts": wopts, "maxp1": maxp1, "limlst": limlst, "complex_func": complex_func,
    }  # fmt: skip
    # In double precision as QUADPACK is: to its tolerances, what is rounded to single precision looks rough.
    traced = [
        convert(leaf, "complex128" if spec_of(leaf).dtype.kind == "c" else "float64")
        for _, leaf in leaves(args)
        if type(leaf) is Box
    ]
    if is_traced([points, wvar]):
        raise UnsupportedError("quad: points= and wvar= can't be differentiated")
    if complex_func and (traced or is_traced([a, b])):
        raise UnsupportedError("quad: take the integrals of the real and the imaginary part, to differentiate them")
    integral = Integral(func, args, options)
    try:
        value = integrate(a, b, *traced, integral=integral)
    except ReadsTraced:
        if weight is not None or complex_func or full_output:
            raise UnsupportedError(
                "quad: with weight=, complex_func= or full_output= the integrand may read traced arrays only from its "
                "arguments: pass them in args="
            ) from None
        return _through_nodes(lambda x: opened(func(x, *args)), a, b, points)
    return (value, *integral.report)


@functools.cache
def _gauss(n: int) -> tuple[list[float], list[float]]:
    """Nodes and weights of Gauss and Legendre, on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return ((nodes + 1.0) / 2.0).tolist(), (weights / 2.0).tolist()


_MOST = 1000


def _through_nodes(f: Callable[[Any], Any], a: Any, b: Any, points: Any) -> tuple[Any, float]:
    """The integral of an ``f`` that reads traced arrays: Gauss's rule on intervals that are halved while that matters.

    The value is made much more accurate than asked for, since a kink costs the derivative more than the value.
    """
    low, high = float(innermost(a)), float(innermost(b))
    if low > high:
        total, error = _through_nodes(f, b, a, points)
        return -total, error
    ends = [low, *sorted(points if points is not None else ()), high]
    if math.isinf(low) or math.isinf(high):
        ends = [0.0, 1.0]
    nodes, weights = _gauss(21)

    def rule(start: float, end: float) -> tuple[list[Any], list[float], float]:
        """The terms of Gauss's sum and their weights, and the sum."""
        places = [(p, (end - start) * w) for t, w in zip(nodes, weights, strict=True)
                  for p in _places(start + (end - start) * t, a, b, low, high)]  # fmt: skip
        terms, factors = [f(x) * rate for (x, rate), _ in places], [w for _, w in places]
        return terms, factors, sum(float(innermost(v)) * w for v, w in zip(terms, factors, strict=True))

    todo = [(start, end, rule(start, end)) for start, end in itertools.pairwise(ends)]
    sums = [zip(terms, factors, strict=True) for _, _, (terms, factors, _) in todo]
    scale = sum(abs(float(innermost(v)) * w) for v, w in itertools.chain(*sums))
    kept, weighing, error, count = [], [], 0.0, 0
    while todo:
        start, end, (_, _, whole) = todo.pop()
        middle, count = 0.5 * (start + end), count + 1
        halves = [(start, middle, rule(start, middle)), (middle, end, rule(middle, end))]
        off = abs(sum(value for _, _, (_, _, value) in halves) - whole)
        if not math.isfinite(off) or count > _MOST:
            raise UnsupportedError(
                "quad: an integrand that reads traced arrays is too singular, or its integral diverges; if it doesn't, "
                "pass what the integrand reads in args="
            )
        if off > 2e-15 * scale:
            todo += halves
            continue
        error += off
        for _, _, (terms, factors, _) in halves:
            kept += terms
            weighing += factors
    return weighted_sum(*kept, weights=tuple(weighing)), error


def _places(t: float, a: Any, b: Any, low: float, high: float) -> list[tuple[Any, Any]]:
    """Where the variable ``t`` is on the way from ``a`` to ``b``, and how fast; two places for a whole line.

    Half a line is a + (1 - t) / t or b - (1 - t) / t, of t in (0, 1] (R. Piessens and others, QUADPACK, 1983, QAGI).
    """
    if not math.isinf(low) and not math.isinf(high):
        part, width = (t - low) / (high - low) if high != low else 0.0, b - a
        return [(a + part * width, width / (high - low) if high != low else width)]
    way, rate = (1.0 - t) / t, 1.0 / (t * t)
    if math.isinf(high) and math.isinf(low):
        return [(way, rate), (-way, rate)]
    return [(a + way if math.isinf(high) else b - way, rate)]

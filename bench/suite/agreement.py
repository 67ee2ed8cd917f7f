"""Nothing wrong is worth timing: results are checked before a clock is started.

The judge is no contestant. It knows the plain program alone, run in float64 by NumPy, and takes central differences in
random directions. Whoever passes in all of them is the reference for the entries of everyone else's result; who differs
is refused, by name. What the judge's differences can't resolve (second derivatives, to some 1e-4), the comparison
between contestants does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from .workload import Case

Arrays = Sequence[numpy.ndarray[Any, Any]]


def judge(case: Case, inputs: Arrays, results: Mapping[str, Arrays]) -> dict[str, str]:
    """Of the contestants in ``results``, those that are wrong, and in what."""
    wrong: dict[str, str] = {}
    reference: tuple[str, Arrays] | None = None
    referee = Referee(case, inputs)
    for name, result in results.items():
        # With a reference in hand, its entries say more than the differences, and take less time.
        why = referee.objection(result) if reference is None else _difference(case, result, *reference)
        if why is not None:
            wrong[name] = why
        elif reference is None:
            reference = name, result
    return wrong


def _difference(case: Case, result: Arrays, name: str, reference: Arrays) -> str | None:
    if len(result) != len(reference):
        return f"it returned {len(result)} arrays, {name} {len(reference)}"
    for k, (got, want) in enumerate(zip(result, reference, strict=True)):
        what = _part(case, k)
        if got.shape != want.shape:
            return f"its {what} has the shape {got.shape}, that of {name} {want.shape}"
        scale = float(numpy.max(numpy.abs(want), initial=0.0))
        error = float(numpy.max(numpy.abs(numpy.asarray(got, "float64") - want), initial=0.0))
        if not error <= case.rtol * scale:  # not the other way round: nan is an error
            return f"its {what} differs from that of {name} by {error:.1e}, and the largest entry is {scale:.1e}"
    return None


def _part(case: Case, k: int) -> str:
    kind = case.workload.kind
    if kind in ("gradient", "checkpointed", "pullback"):
        return "value" if k == 0 else f"gradient in input {k - 1}"
    return {"forward": "value", "hvp": "Hessian times the vector", "examples": "gradients"}.get(kind, kind)


class Referee:
    """What the plain program says, in float64."""

    def __init__(self, case: Case, inputs: Arrays) -> None:
        self.case, self.kind = case, case.workload.kind
        arrays = [x.astype("float64") if x.dtype.kind == "f" else x for x in inputs]
        taken = self.kind in ("pullback", "hvp")
        self.direction = arrays.pop() if taken else None
        self.arrays = arrays
        self.rng = numpy.random.default_rng(7)
        program = case.workload.program
        if self.kind == "checkpointed":
            program = functools.partial(program, checkpoint=lambda part: part)
        self.program = program

    def f(self, arrays: Arrays) -> Any:
        if self.kind != "examples":
            return self.program(numpy, *arrays)
        shared, *each = arrays
        return sum(self.program(numpy, shared, *one) for one in zip(*each, strict=True))

    def objection(self, result: Arrays) -> str | None:
        """What is wrong with a result; ``None`` if nothing is seen."""
        if any(not numpy.all(numpy.isfinite(r)) for r in result):
            return "its result isn't finite"
        if self.kind in ("gradient", "checkpointed", "pullback", "forward"):
            value = numpy.asarray(self.f(self.arrays))
            if (why := self._unlike(result[0], value, self.case.rtol, "value")) or self.kind == "forward":
                return why
            return self._first(result[1:])
        if self.kind == "examples":
            return self._first([result[0].sum(axis=0)])
        if self.kind == "jacobian":
            return self._columns(result[0])
        return self._second(result[0])

    def _moved(self, steps: Arrays, h: float) -> list[Any]:
        n = len(steps)
        return [x + h * s for x, s in zip(self.arrays[:n], steps, strict=True)] + list(self.arrays[n:])

    def _step(self, x: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        """A random direction, as large as the entries are."""
        return self.rng.normal(size=x.shape) * float(numpy.mean(numpy.abs(x)) or 1.0)

    def _slope(self, steps: Arrays, h: float = 1e-6) -> Any:
        ends = [numpy.asarray(self.f(self._moved(steps, s * h))) for s in (1.0, -1.0)]
        return (ends[0] - ends[1]) / (2 * h)

    def _first(self, gradients: Arrays) -> str | None:
        """Each gradient in a direction of its own, so that none can hide behind a large one."""
        n = self.case.workload.differentiated
        if len(gradients) != n:
            return f"it returned {len(gradients)} gradients, not {n}"
        for k, g in enumerate(gradients):
            x = self.arrays[k]
            if g.shape != x.shape:
                return f"its gradient in input {k} has the shape {g.shape}, not {x.shape}"
            steps = [self._step(x) if j == k else numpy.zeros_like(y) for j, y in enumerate(self.arrays[:n])]
            slope = self._slope(steps)
            if self.direction is not None:
                slope = numpy.sum(slope * self.direction)
            want, got = float(slope), float(numpy.sum(g.astype("float64") * steps[k]))
            # As large as the sum would be if its terms didn't cancel by chance.
            scale = float(numpy.linalg.norm(g.astype("float64") * steps[k])) + abs(want)
            if not abs(got - want) <= self._rtol() * scale:
                return f"its gradient in input {k} along a random direction is {got:.6g}, differences say {want:.6g}"
        return None

    def _columns(self, jacobian: numpy.ndarray[Any, Any]) -> str | None:
        x = self.arrays[0]
        step = self._step(x)
        want = self._slope([step])
        if jacobian.shape != want.shape + x.shape:
            return f"its Jacobian has the shape {jacobian.shape}, not {want.shape + x.shape}"
        return self._unlike(jacobian.astype("float64") @ step, want, self._rtol(), "Jacobian times a random vector")

    def _second(self, result: numpy.ndarray[Any, Any]) -> str | None:
        """v H v for the Hessian, or for its product with v."""
        x = self.arrays[0]
        shape = x.shape * (2 if self.kind == "hessian" else 1)
        if result.shape != shape:
            return f"its result has the shape {result.shape}, not {shape}"
        v = self._step(x) if self.direction is None else self.direction
        product = result.astype("float64") @ v if self.kind == "hessian" else result.astype("float64")
        h = 1e-3
        ends = [float(self.f(self._moved([v], s * h))) for s in (1.0, 0.0, -1.0)]
        want, got = (ends[0] - 2 * ends[1] + ends[2]) / h**2, float(numpy.sum(product * v))
        scale = float(numpy.linalg.norm(product * v)) + abs(want)
        if not abs(got - want) <= 10 * self._rtol() * scale:
            return f"its second derivative along a direction is {got:.6g}, differences say {want:.6g}"
        return None

    def _rtol(self) -> float:
        return max(1e-4, self.case.rtol)

    def _unlike(self, got: Any, want: Any, rtol: float, what: str) -> str | None:
        got, want = numpy.asarray(got, "float64"), numpy.asarray(want, "float64")
        if got.shape != want.shape:
            return f"its {what} has the shape {got.shape}, not {want.shape}"
        error, scale = float(numpy.max(numpy.abs(got - want), initial=0)), float(numpy.max(numpy.abs(want), initial=0))
        return None if error <= rtol * scale else f"its {what} is off by {error:.1e}, and the largest entry {scale:.1e}"

"""Nothing wrong is worth timing: results are checked before a clock is started.

The judge is no contestant. It knows the plain program alone, run in float64 by NumPy, and takes central differences in
random directions. Whoever passes is compared, entry by entry, with the first who did; where two differ, a difference in
the worst entry alone decides who is wrong. Who is wrong is refused, by name.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy

from .workload import Case

Arrays = Sequence[numpy.ndarray[Any, Any]]


def judge(case: Case, inputs: Arrays, results: Mapping[str, Arrays]) -> dict[str, str]:
    """Of the contestants in ``results``, those that are wrong, and in what."""
    referee = Referee(case, inputs)
    wrong: dict[str, str] = {}
    right: list[str] = []
    for name, result in results.items():
        # Beside a reference, the entries say more than random directions, and take less time.
        if why := _unlike_dtype(case, result):
            pass
        elif not right:
            why = referee.objection(result)
        else:
            found = _difference(case, result, results[right[0]])
            if isinstance(found, Entry) and referee.sides_with(result, results[right[0]], found):
                # The reference is wrong, and whoever agreed with it.
                wrong |= dict.fromkeys(right, f"its {found}, and differences of the plain program side with {name}")
                right, found = [], None
            why = None if found is None else f"its {found}, compared with {right[0]}"
        if why is None:
            right.append(name)
        else:
            wrong[name] = why
    return {name: wrong[name] for name in results if name in wrong}


class Entry(NamedTuple):
    """Where two results differ most."""

    part: str
    place: tuple[int, ...]
    error: float
    scale: float
    array: int

    def __str__(self) -> str:
        return (
            f"{self.part} is off by {self.error:.1e} at {list(self.place)}, where the largest entry is {self.scale:.1e}"
        )


def _difference(case: Case, result: Arrays, reference: Arrays) -> Entry | str | None:
    if len(result) != len(reference):
        return f"result has {len(result)} arrays instead of {len(reference)}"
    for k, (got, want) in enumerate(zip(result, reference, strict=True)):
        part = _part(case, k)
        if got.shape != want.shape:
            return f"{part} has the shape {got.shape} instead of {want.shape}"
        if not got.size:
            continue
        scale = float(numpy.max(numpy.abs(want)))
        errors = numpy.abs(numpy.asarray(got, "float64") - want)
        place = numpy.unravel_index(int(numpy.argmax(errors)), errors.shape)  # of nan, if there is any
        if not errors[place] <= case.rtol * scale:
            return Entry(part, tuple(map(int, place)), float(errors[place]), scale, k)
    return None


def _unlike_dtype(case: Case, result: Arrays) -> str | None:
    """Who computes in another precision than was asked for does less, or more, than the others."""
    for k, r in enumerate(result):
        if r.dtype != case.dtype:
            return f"its {_part(case, k)} is of {r.dtype}, not {case.dtype}"
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

    def sides_with(self, one: Arrays, other: Arrays, entry: Entry) -> bool:
        """Whether the plain program says that ``one`` is right in this entry, rather than ``other``."""
        k, place = entry.array, entry.place
        values = [float(r[k][place]) for r in (one, other)]
        if not numpy.all(numpy.isfinite(values)):
            return bool(numpy.isfinite(values[0]))
        truth = self._entry(k, place)
        return abs(values[0] - truth) < abs(values[1] - truth)

    def _entry(self, k: int, place: tuple[int, ...]) -> float:
        """One entry of the right result, by differences in that entry."""
        gradients = self.kind in ("gradient", "checkpointed", "pullback")
        if self.kind == "forward" or (gradients and k == 0):
            return float(numpy.asarray(self.f(self.arrays))[place])
        if gradients:
            steps = [numpy.zeros_like(x) for x in self.arrays[: self.case.workload.differentiated]]
            steps[k - 1][place] = size = self._size(self.arrays[k - 1])
            slope = self._slope(steps)
            return float(numpy.sum(slope if self.direction is None else slope * self.direction)) / size
        x = self.arrays[0]
        size, unit = self._size(x), numpy.zeros_like(x)
        if self.kind == "examples":
            unit[place[1:]] = size
            one = [a[place[0]] for a in self.arrays[1:]]
            ends = [float(self.program(numpy, x + h * unit, *one)) for h in (1e-6, -1e-6)]
            return (ends[0] - ends[1]) / 2e-6 / size
        if self.kind == "jacobian":
            rows = len(place) - x.ndim
            unit[place[rows:]] = size
            return float(self._slope([unit])[place[:rows]]) / size
        unit[place[: x.ndim]] = size
        if self.direction is not None:
            other, scale = self.direction, size
        else:
            other, scale = numpy.zeros_like(x), size * size
            other[place[x.ndim :]] = size
        h = 1e-3
        corners = [float(self.f(self._moved([a * unit + b * other], h))) for a in (1, -1) for b in (1, -1)]
        return (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h) / scale

    def _moved(self, steps: Arrays, h: float) -> list[Any]:
        n = len(steps)
        return [x + h * s for x, s in zip(self.arrays[:n], steps, strict=True)] + list(self.arrays[n:])

    def _step(self, x: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        """A random direction, as large as the entries are."""
        return self.rng.normal(size=x.shape) * self._size(x)

    def _size(self, x: numpy.ndarray[Any, Any]) -> float:
        return float(numpy.mean(numpy.abs(x))) or 1.0

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

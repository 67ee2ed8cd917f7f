"""Explicit Runge-Kutta methods whose steps are differentiated, on any backend.

The steps are those of SciPy's RK45 and RK23 (choice of the first one, control of the error, interpolation), so
the values are SciPy's to rounding. How long a step is taken is a constant: the derivative is that of the
solution at the steps that were taken, exact for it at every order of differentiation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ...backend import backend_of
from ...core.box import innermost, sample, spec_of
from ...errors import UnsupportedError
from ...ops.weighted_sum import weighted_sum

Weights = tuple[float, ...]


class Tableau(NamedTuple):
    """Coefficients of a method, in SciPy's letters."""

    stages: tuple[Weights, ...]  # A without its first row, of which there is nothing to say
    times: Weights  # C, likewise
    result: Weights  # B
    error: Weights  # E: the result less that of the embedded method
    dense: tuple[Weights, ...]  # P: of each stage, a polynomial in the part of the step that has passed
    error_order: int  # that of the embedded method


TABLEAUS = {
    # J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19; interpolation: L. F. Shampine, Math. Comp. 46
    # (1986) 135, with the c6 that is optimal by its measure.
    "RK45": Tableau(
        (
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        ),
        (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40),
        (
            (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
            (0.0, 0.0, 0.0, 0.0),
            (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
            (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
            (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
            (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
            (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
        ),
        4,
    ),
    # P. Bogacki, L. F. Shampine, Appl. Math. Lett. 2 (1989) 321
    "RK23": Tableau(
        ((1 / 2,), (0.0, 3 / 4)),
        (1 / 2, 3 / 4),
        (2 / 9, 1 / 3, 4 / 9),
        (5 / 72, -1 / 12, -1 / 9, 1 / 8),
        ((1.0, -4 / 3, 5 / 9), (0.0, 1.0, -2 / 3), (0.0, 4 / 3, -8 / 9), (0.0, -1.0, 1.0)),
        2,
    ),
}

Rhs = Callable[[Any, Any], Any]


class Control(NamedTuple):
    """How long steps may be, and how far off."""

    rtol: Any
    atol: Any
    first_step: float | None = None
    max_step: float = math.inf
    min_step: float = 0.0
    max_steps: float = math.inf


class Step(NamedTuple):
    """One step that was taken: where it began and ended, and the slopes that it saw."""

    tableau: Tableau
    t_old: float
    t: float
    y_old: Any
    y: Any
    slopes: list[Any]

    def at(self, t: float) -> Any:
        """The solution at a time within the step."""
        if t == self.t:
            return self.y
        h = self.t - self.t_old
        part = (t - self.t_old) / h
        powers = [part**k for k in range(1, len(self.tableau.dense[0]) + 1)]
        weights = [h * sum(w * p for w, p in zip(row, powers, strict=True)) for row in self.tableau.dense]
        return _moved(self.y_old, self.slopes, weights)


def _moved(y: Any, slopes: Sequence[Any], weights: Sequence[float]) -> Any:
    """``y`` plus the weighted slopes."""
    used = [(k, w) for k, w in zip(slopes, weights, strict=True) if w]
    return weighted_sum(y, *[k for k, _ in used], weights=(1.0, *[w for _, w in used]))


def _norm(x: Any) -> float:
    """The root of the mean square, as a number of the host: on a device, one synchronisation."""
    x = abs(x)
    return math.sqrt(float((x * x).sum() / x.size))


def steps(f: Rhs, t0: float, y0: Any, t_end: float, tableau: Tableau, control: Control) -> Iterator[tuple[Step, float]]:
    """Solve y' = f(t, y) from ``t0`` to ``t_end``, step by step, each with the length proposed for the next."""
    if not spec_of(y0).size or t_end == t0:
        return
    xp = backend_of((sample(y0),)).functions
    direction = math.copysign(1.0, t_end - t0)
    t, y, slope, count = t0, y0, f(t0, y0), 0
    h_abs = control.first_step or _first_step(f, t0, y0, t_end, slope, tableau, control)
    exponent = -1.0 / (tableau.error_order + 1)
    while direction * (t - t_end) < 0:
        smallest = max(10.0 * abs(math.nextafter(t, direction * math.inf) - t), control.min_step)
        h_abs = min(max(h_abs, smallest), control.max_step)
        rejected = False
        while True:
            count += 1
            if not h_abs >= smallest or count > control.max_steps:
                raise _stuck(t, h_abs, count, control)
            t_new = t + h_abs * direction
            if direction * (t_new - t_end) > 0:
                t_new = t_end
            h = t_new - t
            h_abs = abs(h)
            slopes = [slope]
            for row, c in zip(tableau.stages, tableau.times, strict=True):
                slopes.append(f(t + c * h, _moved(y, slopes, [w * h for w in row])))
            y_new = _moved(y, slopes, [w * h for w in tableau.result])
            slopes.append(f(t_new, y_new))
            old, new, *raw = map(innermost, (y, y_new, *slopes))
            scale = control.atol + xp.maximum(abs(old), abs(new)) * control.rtol
            wrong = _norm(weighted_sum(*raw, weights=tuple([w * h for w in tableau.error])) / scale)
            if wrong < 1.0:
                factor = 10.0 if wrong == 0.0 else min(10.0, 0.9 * wrong**exponent)
                h_abs *= min(1.0, factor) if rejected else factor
                break
            h_abs *= max(0.2, 0.9 * wrong**exponent) if math.isfinite(wrong) else 0.2
            rejected = True
        yield Step(tableau, t, t_new, y, y_new, slopes), h_abs
        t, y, slope = t_new, y_new, slopes[-1]


def _stuck(t: float, h: float, count: int, control: Control) -> Exception:
    why = f"took {count} steps" if count > control.max_steps else f"needs steps of {h:.3g}"
    return UnsupportedError(
        f"an ODE that is differentiated through its steps {why} at t = {t:.6g}: it is stiff, or its solution ends. For "
        "a stiff one say gradient='adjoint' (of solve_ivp with method='Radau', 'BDF' or 'LSODA')"
    )


def _first_step(f: Rhs, t0: float, y0: Any, t_end: float, f0: Any, tableau: Tableau, control: Control) -> float:
    """A length to begin with (Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, II.4)."""
    y0, f0 = innermost(y0), innermost(f0)
    span, direction = abs(t_end - t0), math.copysign(1.0, t_end - t0)
    scale = control.atol + abs(y0) * control.rtol
    d0, d1 = _norm(y0 / scale), _norm(f0 / scale)
    h0 = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, span)
    f1 = innermost(f(t0 + h0 * direction, y0 + h0 * direction * f0))
    d2 = _norm((f1 - f0) / scale) / h0
    flat = d1 <= 1e-15 and d2 <= 1e-15
    h1 = max(1e-6, h0 * 1e-3) if flat else (0.01 / max(d1, d2)) ** (1.0 / (tableau.error_order + 1))
    return min(100.0 * h0, h1, span, control.max_step)


def solution_at(f: Rhs, y0: Any, times: Sequence[float], tableau: Tableau, control: Control) -> list[Any]:
    """The solution at ``times`` (rising, or falling), of which the first is that of ``y0``; interpolated."""
    found = [y0]
    for step, _ in steps(f, times[0], y0, times[-1], tableau, control):
        forward = step.t > step.t_old
        while len(found) < len(times) and (times[len(found)] <= step.t if forward else times[len(found)] >= step.t):
            at = times[len(found)]
            found.append(step.y_old if at == step.t_old else step.at(at))
    return found + found[-1:] * (len(times) - len(found))  # times that are all the same


def solution_at_traced(f: Rhs, y0: Any, times: Sequence[Any], tableau: Tableau, control: Control) -> list[Any]:
    """The same for times that are traced: a stretch between two of them is mapped to [0, 1], and ends at a step."""
    found, h = [y0], control.first_step
    for start, end in itertools.pairwise(times):
        span = abs(float(innermost(end)) - float(innermost(start)))
        scaled = control
        if span:
            scaled = control._replace(
                first_step=min(h / span, 1.0) if h else None,
                max_step=control.max_step / span,
                min_step=control.min_step / span,
            )
        y = found[-1]
        for step, proposed in steps(stretched(f, start, end), 0.0, y, 1.0, tableau, scaled):
            y, h = step.y, proposed * span or None
        found.append(y)
    return found


def stretched(f: Rhs, start: Any, end: Any) -> Rhs:
    """The right-hand side in the time that goes from 0 at ``start`` to 1 at ``end``."""
    span = end - start
    return lambda s, y: f(start + s * span, y) * span

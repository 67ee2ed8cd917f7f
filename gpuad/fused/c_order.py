"""In which order a plan in C computes its values: along a row there may be several loops, and each does a part.

What varies along the row is computed in loops along it, all else once per row. A fold ends a *phase*: what needs its
result comes in a later loop over the whole row. Within a phase, blocks of a row go through several short loops, one
after another: a processor works on the next entries while it waits for the last ones, but looks only some hundred
instructions ahead, and a long chain of functions would leave it idle.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .c_types import names_in
from .plan import Plan, Step

if TYPE_CHECKING:
    from .pending import Apply

#: Functions of a few instructions, and how many the others have, about.
_CHEAP = frozenset(
    "absolute ceil conjugate copysign deg2rad fabs floor fmax fmin heaviside imag isfinite isinf isnan maximum minimum "
    "rad2deg real rint sign signbit sqrt trunc".split()
)
_INSTRUCTIONS = {
    "exp": 25,
    "exp2": 25,
    "expm1": 30,
    "cosh": 35,
    "expit": 35,
    "log": 35,
    "hypot": 20,
    "erf": 70,
    "erfc": 90,
    "ndtr": 90,
    "log_expit": 70,
    "logaddexp": 75,
    "power": 120,
    "erfinv": 250,
    "erfcinv": 250,
    "ndtri": 250,
}
_OF_A_FUNCTION, _OF_A_QUOTIENT = 45, 4
#: Instructions in one loop, beyond which another is begun.
LOOP = 50
#: Instructions in a plan beyond which loops are better compiled one by one, as functions: a compiler then takes 0.3 s
#: for what took seconds. Below it that gains nothing, and short rows would pay for the calls.
LONG = 250
#: What is computed again in another phase, rather than kept in a row's buffer, may cost as much as this.
_CHEAPER_THAN_A_BUFFER = 8

#: Functions that take angles, up to a certain size if they are to be fast.
ANGLES = re.compile(r"\b(sin|cos|tan|sinc)\(")


class Segment(NamedTuple):
    """One loop along the row: values that it reads and those that it computes, in order, all of which vary along the
    row; folds and outputs (by number) that they go into."""

    reads: tuple[int, ...]
    computes: tuple[int, ...]
    folds: tuple[int, ...]
    outputs: tuple[int, ...]


class Order:
    """Which values vary along the row, the phases that they belong to, and the loops of each phase."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.long = sum(instructions(step.scalar) for step in plan.steps) > LONG
        self.steps_from = len(plan.operands) + len(plan.numbers)
        #: Of each value: whether it varies along the row; the phase in which it is first known.
        self.in_row = [v < len(plan.operands) and self._varies(v) for v in range(self.steps_from)]
        self.phase = [0] * self.steps_from
        for step in plan.steps:
            known = max((self.phase[a] for a in step.args), default=0)
            self.in_row.append(step.fold is None and any(self.in_row[a] for a in step.args))
            self.phase.append(known if step.fold is None else known + 1)
        self.phases = max(self.phase, default=0) + 1
        #: Values that a later phase reads from a buffer of one row, and the phase that computes them.
        self.kept: dict[int, int] = {}
        needed = {phase: self._leading_to(self._roots(phase), phase) for phase in reversed(range(self.phases))}
        #: Values that a later loop of the same phase reads from a buffer of one block.
        self.parts: list[int] = []
        self.segments = [self._segments(needed[phase], phase) for phase in range(self.phases)]

    def _varies(self, operand: int) -> bool:
        strides = self.plan.operands[operand].strides
        return bool(strides) and strides[-1] != 0

    def step(self, value: int) -> Step | None:
        return self.plan.steps[value - self.steps_from] if value >= self.steps_from else None

    def folds(self, phase: int) -> list[int]:
        """The folds that the loops of a phase take."""
        steps = enumerate(self.plan.steps, self.steps_from)
        return [v for v, step in steps if step.fold is not None and self.phase[v] == phase + 1]

    def outputs(self, phase: int) -> list[int]:
        """The outputs with an entry at every point, or sums of these, that a phase takes."""
        return [o for o, out in enumerate(self.plan.outputs) if not out.per_row and self.phase[out.value] == phase]

    # -- phases -------------------------------------------------------------------------------------
    def _roots(self, phase: int) -> list[int]:
        folded = [self.plan.steps[v - self.steps_from].args[0] for v in self.folds(phase)]
        stored = [self.plan.outputs[o].value for o in self.outputs(phase)]
        return folded + stored + [v for v, when in self.kept.items() if when == phase]

    def _leading_to(self, roots: list[int], phase: int) -> list[int]:
        """What a phase reads or computes for these values, in order; enters into ``kept`` what is to be kept for it."""
        needed: set[int] = set()
        stack = list(roots)
        while stack:
            v = stack.pop()
            if v in needed or not self.in_row[v]:
                continue
            needed.add(v)
            step = self.step(v)
            if step is None:
                continue
            if self.phase[v] < phase and self._cost(v) > _CHEAPER_THAN_A_BUFFER:
                self.kept[v] = self.phase[v]
            else:
                stack.extend(step.args)
        return sorted(needed)

    def _cost(self, value: int) -> int:
        """Of computing a value from the operands, in instructions."""
        seen: set[int] = set()
        stack, cost = [value], 0
        while stack:
            v = stack.pop()
            step = self.step(v)
            if v in seen or step is None or not self.in_row[v]:
                continue
            seen.add(v)
            cost += instructions(step.scalar)
            stack.extend(step.args)
        return cost

    # -- loops of a phase -----------------------------------------------------------------------------
    def reads(self, value: int, phase: int) -> bool:
        """Whether a phase finds a value in memory: an operand, or what an earlier phase has kept."""
        return self.step(value) is None or self.kept.get(value, phase) < phase

    def _segments(self, needed: list[int], phase: int) -> list[Segment]:
        folds, outputs = self.folds(phase), self.outputs(phase)
        if not folds and not outputs and phase not in self.kept.values():
            return []
        groups: list[list[int]] = [[]]
        cost, made_here = 0, 0
        for v in needed:
            step = self.step(v)
            if step is None or self.reads(v, phase):
                continue
            here = instructions(step.scalar)
            # Angles are examined first, in a loop of their own: what leads to them had better be there already.
            examined = takes_angles(step) and made_here > _CHEAPER_THAN_A_BUFFER
            if groups[-1] and (cost + here > LOOP or examined):
                groups.append([])
                cost = made_here = 0
            groups[-1].append(v)
            cost += here
            made_here += 0 if takes_angles(step) else here
        where = {v: k for k, group in enumerate(groups) for v in group}
        last = len(groups) - 1
        segments = []
        for k, group in enumerate(groups):
            # What is in memory anyway may be read by any of the loops.
            its_folds = [v for v in folds if where.get(self.plan.steps[v - self.steps_from].args[0], last) == k]
            its_outputs = [o for o in outputs if where.get(self.plan.outputs[o].value, last) == k]
            used = {a for v in group for a in self.plan.steps[v - self.steps_from].args}
            used |= {self.plan.steps[v - self.steps_from].args[0] for v in its_folds}
            used |= {self.plan.outputs[o].value for o in its_outputs}
            reads = sorted(v for v in used if self.in_row[v] and v not in group)
            self.parts += [v for v in reads if v in where and v not in self.kept and v not in self.parts]
            segments.append(Segment(tuple(reads), tuple(group), tuple(its_folds), tuple(its_outputs)))
        return segments


def instructions(scalar: str) -> int:
    """About how many a step has."""
    named = sum(_INSTRUCTIONS.get(name, _OF_A_FUNCTION) for name in names_in(scalar) if name not in _CHEAP)
    return named + (_OF_A_QUOTIENT if "/" in scalar or "sqrt" in scalar else 1)


def takes_angles(step: Step | Apply | None) -> bool:
    return step is not None and bool(ANGLES.search(step.scalar)) and step.takes[0].kind == "f"


def of_any(text: str) -> str:
    """With functions that take angles of any size; of complex numbers they all do."""
    return ANGLES.sub(r"\1_of_any(", text)

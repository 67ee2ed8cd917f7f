"""What a replay does, in words and in numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.box import Spec
from ..core.record import Guard, PythonOperator, Step
from ..native.stretch import Stretch
from .replay import Segment


@dataclass(frozen=True)
class Lowered:
    """A recorded program. ``str()`` of it is a line for every operation, with the line of the program behind it;
    ``source`` the Python that is run, with what the short names in it stand for left out; ``kernels`` the C that it
    calls, once there has been work enough to compile some."""

    graph: str
    source: str
    kernels: tuple[str, ...]

    def __str__(self) -> str:
        return self.graph


@dataclass(frozen=True)
class ReplayCost:
    """What one replay does. ``multiply_adds`` are those of products; ``bytes_moved`` what operations read and write, in
    bytes, with nothing for views; ``peak_bytes`` the most that arrays in between and results take at a time."""

    steps: int
    multiply_adds: int
    bytes_moved: int
    peak_bytes: int


def describe(segments: list[Segment], inputs: list[str]) -> Lowered:
    """The way through ``segments``; the inputs are called as given."""
    lines = [f"{_place(k)} = {name}" for k, name in enumerate(inputs)]
    for segment in segments:
        for step in _recorded(segment):
            lines.append(_line(segment, step))
        end = segment.end
        if isinstance(end, Guard):
            asked = getattr(end.question, "__name__", "value")
            lines.append(_beside(f"ask {asked}({_place(segment.find(end.value))})", end.line))
        else:
            found = [
                _place(segment.find(p)) if p is not None else repr(r) for p, r in zip(end.places, end.raws, strict=True)
            ]
            lines.append(f"return {', '.join(found)}")
    kernels = [s.prim.kernel.source.text for segment in segments for s in segment.steps if type(s.prim) is Stretch]
    return Lowered("\n".join(lines), "\n".join(segment.text for segment in segments), tuple(kernels))


def _recorded(segment: Segment) -> Iterator[Step]:
    """The steps, those that are done in C one by one."""
    for step in segment.steps:
        yield from step.prim.steps if type(step.prim) is Stretch else (step,)


def _place(k: int) -> str:
    return f"%{k}" if k >= 0 else f"%{-k}'"


def _line(segment: Segment, step: Step) -> str:
    def shown(place: int) -> str:
        value = segment.values[place]
        is_number = value.raw is not None and not value.spec.shape
        return f"{value.raw}" if is_number else _place(place) if value.raw is None else f"constant {value.spec}"

    given = [shown(a) for a in step.args] + [f"{k}={_short(v)}" for k, v in step.params.items()]
    made = ", ".join(_place(out) for out in step.outs)
    kinds = ", ".join(repr(segment.values[out].spec) for out in step.outs)
    return _beside(f"{made} = {step.prim.name}({', '.join(given)})  {kinds}", step.line)


def _short(x: Any) -> str:
    text = str(x) if isinstance(x, (tuple, str, int, float, slice, type(None), Spec)) else type(x).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def _beside(text: str, line: tuple[str, int, str]) -> str:
    return f"{text:<72}# {os.path.basename(line[0])}:{line[1]} {line[2]}"


def count(segments: list[Segment]) -> ReplayCost:
    """The cost of the way through ``segments``."""
    steps = multiply_adds = moved = peak = kept = 0
    for segment in segments:
        for step in _recorded(segment):
            steps += 1
            if any(_owns(segment, out) for out in step.outs):
                moved += sum(_size(segment, place) for place in (*step.args, *step.outs))
            counting = getattr(step.prim, "multiply_adds", None)
            if counting is not None and type(step.prim) is not PythonOperator:
                specs = [segment.values[a].spec for a in step.args]
                multiply_adds += counting(segment.values[step.outs[0]].spec, *specs, **step.params)
        live, ends = 0, _ends(segment)
        for i, step in enumerate(segment.steps):
            live += sum(_size(segment, out) for out in step.outs if _owns(segment, out) and out not in segment.plan.of)
            inner = step.prim.kernel.source.inner_bytes if type(step.prim) is Stretch else 0
            peak = max(peak, kept + live + inner + segment.plan.nbytes)
            live -= ends.get(i, 0)
        kept += live
    return ReplayCost(steps, multiply_adds, moved, peak)


def _size(segment: Segment, place: int) -> int:
    spec = segment.values[place].spec
    return spec.size * spec.dtype.itemsize


def _owns(segment: Segment, place: int) -> bool:
    return segment.values[place].strides is not None and segment.sharing.owners(place) == {place}


def _ends(segment: Segment) -> dict[int, int]:
    """How many bytes of arrays outside of buffers are let go after each step."""
    found: dict[int, int] = {}
    for step in segment.steps:
        for out in step.outs:
            if _owns(segment, out) and out not in segment.plan.of and out not in segment.held:
                i = segment.plan.last.get(out)
                if i is not None:
                    found[i] = found.get(i, 0) + _size(segment, out)
    return found

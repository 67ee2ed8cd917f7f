"""One run: the cases in turn, each found right and then timed, and the file of results kept up to date."""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy

from . import agreement, counting, machine, memory, timing
from .adapters import Adapter, NotOffered
from .results import OURS, SCHEMA, as_json
from .workload import Case
from .workloads import ALL

#: A budget is for everybody: first calls of one peer may take this share of it.
_SHARE = 0.3
#: A call that takes longer is not repeated to see its memory.
_TOO_LONG = 5.0


class Progress:
    """One line with a bar that says what runs, and how long is left; on a terminal it is rewritten."""

    WIDTH = 20

    def __init__(self, cases: int, budget: float | None, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.cases, self.done, self.title = cases, 0, ""
        self.start = time.monotonic()
        self.budget = budget
        self.rewritten = self.stream.isatty()
        self._last = 0.0

    @property
    def left(self) -> float:
        """Seconds, going by the cases so far; never more than the budget has."""
        passed = time.monotonic() - self.start
        guess = passed / self.done * (self.cases - self.done) if self.done else math.inf
        return min(guess, math.inf if self.budget is None else max(0.0, self.budget - passed))

    def begin(self, title: str) -> None:
        self.title = title
        self.say("preparing", always=True)
        if not self.rewritten:
            print(self._line(), file=self.stream, flush=True)

    def _line(self, what: str = "") -> str:
        left = self.left
        clock = "" if left == math.inf else f", {int(left) // 60}:{int(left) % 60:02} left"
        filled = self.WIDTH * self.done // max(self.cases, 1)
        bar = f"{'#' * filled}{'.' * (self.WIDTH - filled)} " if self.rewritten else ""
        return f"{bar}[{self.done + 1}/{self.cases}{clock}] {self.title}" + (f" {what}" if what else "")

    def say(self, what: str, *, always: bool = False) -> None:
        now = time.monotonic()
        if self.rewritten and (always or now - self._last > 0.1):  # a terminal must not cost what is measured
            self._last = now
            line = self._line(what)[: shutil.get_terminal_size().columns - 1]  # a longer one would take two lines
            print(f"\r\x1b[2K{line}", end="", file=self.stream, flush=True)

    def clear(self) -> None:
        if self.rewritten:
            print("\r\x1b[2K", end="", file=self.stream, flush=True)


@dataclass
class Session:
    """A run of some cases with some contestants."""

    adapters: Sequence[Adapter]
    plan: timing.Plan
    threads: int = 1
    budget: float | None = None
    quick: bool = False
    target: Path | None = None
    #: Seconds that a peer's first call may take.
    limit: float | None = None
    progress: Progress = field(default_factory=lambda: Progress(0, None))
    document: dict[str, Any] = field(default_factory=dict)

    def run(self, cases: Sequence[Case]) -> dict[str, Any]:
        """Measure; an interrupt ends it, and what was measured until then is kept."""
        self.progress = Progress(len(cases), self.budget)
        self.order = {name: k for k, name in enumerate(c.name for w in ALL for c in (*w.cases(True), *w.cases(False)))}
        self.first_calls: dict[str, list[float]] = {a.label: [] for a in self.adapters}
        missing = {a.label: why for a in self.adapters if (why := a.missing()) is not None}
        self.there = [a for a in self.adapters if a.label not in missing]
        self.document = {
            "schema": SCHEMA,
            "finished": False,
            "interrupted": False,
            "run": {
                **machine.about(self.threads),
                "emulated": any(a.device == "gpu" for a in self.there) and counting.emulated(),
                "quick": self.quick,
                "budget_s": self.budget,
            },
            "contestants": {a.label: {"device": a.device, "missing": missing.get(a.label)} for a in self.adapters},
            "ceilings": {},
            "left_out": [],
            "cases": [],
        }
        try:
            self._run(cases)
            self.document["finished"] = not self.document["left_out"]
        except KeyboardInterrupt:
            self.document["interrupted"] = True
        self.progress.clear()
        self.write()
        return self.document

    def _run(self, cases: Sequence[Case]) -> None:
        self.progress.begin("what the machine can do at best")
        emulated = self.document["run"]["emulated"]  # how fast such a device is means nothing
        for device in sorted({a.device for a in self.there if a.device == "cpu" or not emulated}):
            self.document["ceilings"][device] = machine.ceilings(device, self.quick, self.threads)
        for a in self.there:
            self.progress.say(f"{a.label}: importing", always=True)
            a.load(self.threads)
        for case in cases:
            self.progress.begin(case.name)
            if self.budget is not None and time.monotonic() - self.progress.start > self.budget:
                self.document["left_out"].append(case.name)
            else:
                self.document["cases"].append(self.measure(case))
                self.write()
            self.progress.done += 1

    def write(self) -> None:
        """In full under another name, then renamed: the file is never seen half-written."""
        self.document["cases"].sort(key=lambda record: self.order.get(record["name"], 0))
        if self.target is not None:
            part = self.target.with_name(f".{self.target.name}.part")
            part.write_text(as_json(self.document))
            part.replace(self.target)

    # --- one case ----------------------------------------------------------------------------------

    def measure(self, case: Case) -> dict[str, Any]:
        inputs = case.inputs(seed=0)
        record: dict[str, Any] = {
            "name": case.name,
            "group": case.workload.group,
            "workload": case.workload.name,
            "kind": case.workload.kind,
            "size": case.size,
            "params": dict(case.params),
            "dtype": case.dtype,
            "scale": case.workload.scale,
            "contestants": {},
        }
        contestants: dict[str, dict[str, Any]] = record["contestants"]
        results: dict[str, Any] = {}
        calls: dict[str, Any] = {}
        with quiet():
            for a in self.there:
                contestants[a.label] = entry = {"status": "timed"}
                try:
                    calls[a.label], results[a.label] = self._first(a, case, inputs, entry)
                except NotOffered as why:
                    entry.update(status="not offered", why=str(why))
                except Exception as error:
                    entry.update(status="failed", why=f"{type(error).__name__}: {error}"[:500])
            self.progress.say("comparing results", always=True)
            for label, objection in agreement.judge(case, inputs, results).items():
                contestants[label] = {"status": "refused", "why": objection}
            right = [a for a in self.there if contestants[a.label]["status"] == "timed"]
            if right:
                record |= counting.describe(case, inputs, results[right[0].label])
            results.clear()
            with timing.little_garbage():
                self._time(case, inputs, {a.label: a for a in right}, calls, contestants)
        return record

    def _first(self, a: Adapter, case: Case, inputs: Sequence[Any], entry: dict[str, Any]) -> tuple[Any, Any]:
        """The call, and its result when it was called for the first time: with compiling, which is timed by itself."""
        seen = self.first_calls[a.label]
        guess = statistics.median(seen) if seen else a.first_call_guess
        budget = math.inf if self.budget is None or a.name in OURS else self.budget
        if sum(seen) + guess > _SHARE * budget:
            raise NotOffered(f"left out: its first call takes some {guess:.0f} s, and the run is to be short")
        self.progress.say(f"{a.label}: first call", always=True)
        arrays = [a.array(x) for x in inputs]
        start = time.perf_counter()
        with time_limit(None if a.name in OURS else self.limit):
            call = a.prepare(case)
            result = call(*arrays)
            a.wait(result)
        took = time.perf_counter() - start
        seen.append(took)
        entry["first_call_s"] = _rounded(took)
        return call, a.to_host(result)

    def _time(
        self,
        case: Case,
        inputs: Sequence[Any],
        right: Mapping[str, Adapter],
        calls: Mapping[str, Any],
        contestants: dict[str, dict[str, Any]],
    ) -> None:
        size = sum(x.nbytes for x in inputs)
        sets = [
            inputs,
            *(case.inputs(seed) for seed in range(1, min(8, max(2, math.ceil(2 * machine.caches() / size))))),
        ]
        runners = {}
        for label, a in right.items():
            clock_name, clock = timing.clock_for(a, self.threads)
            contestants[label]["clock"] = clock_name
            runners[label] = timing.Runner(a, calls[label], [[a.array(x) for x in s] for s in sets], clock)
        timing.take_turns(runners, self.plan, lambda what: self.progress.say(what))
        for label, r in runners.items():
            samples = numpy.array(r.samples)
            contestants[label] |= {
                "seconds": {
                    "min": _rounded(samples.min()),
                    "median": _rounded(numpy.median(samples)),
                    "spread": _rounded(timing.spread(r.samples)),
                    "halves": _rounded(timing.halves(r.samples)),
                    "calls": r.calls,
                    "samples": [_rounded(s) for s in r.samples],
                },
                **self._seen(case, r, float(samples.min())),
            }

    def _seen(self, case: Case, r: timing.Runner, seconds: float) -> dict[str, Any]:
        """What isn't a time: memory, and on a GPU kernels."""
        found: dict[str, Any] = {}
        if seconds < _TOO_LONG:
            self.progress.say(f"{r.adapter.label}: memory")
            found["peak_bytes"], found["peak_by"] = memory.peak(r.adapter, case, r.sets[0], r.call)
            if r.adapter.device == "gpu":
                call = lambda: r.adapter.wait(r.call(*r.sets[0]))  # noqa: E731
                found["launches"], found["launches_by"] = counting.launches(call)
        return found


def _rounded(number: float) -> float:
    """To what a clock can tell: a file of results is read by people, too."""
    return float(f"{number:.4g}")


class _TimeIsUp(BaseException):
    """Not an ``Exception``, which compilers catch to try something else."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """``NotOffered`` when what is inside takes longer. What runs outside Python, as XLA does, can't be stopped before
    it returns. Where the system has no such clock (Windows), there is no limit."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*rest: Any) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TimeIsUp:
        raise NotOffered(f"left out: its first call takes more than {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the libraries warn of is theirs: overflow in autograd's rule of tanh, say. What matters shows in results."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield

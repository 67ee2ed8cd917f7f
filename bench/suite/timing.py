"""Seconds of one call of each contestant, taken in turns.

In every round each contestant has one turn, and the order is rotated, so that a slow moment of the machine touches all,
and nobody always follows the same one, whose freed memory it inherits. A turn repeats the call until it takes some
milliseconds, going round several sets of inputs, so that no cache holds what a program would have to fetch.

On the CPU with one thread the clock counts the processor time of this process: what other processes do meanwhile isn't
in it, though they still show through caches and memory bandwidth. With more threads it is the time that passes. On a
GPU it is the time between two events of the device where the library has events (CuPy, PyTorch), else the time that
passes until the last result is there.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .adapters import Adapter, Call, OnCuPy, cupy


@dataclass
class Plan:
    """How long to measure."""

    rounds: int
    turn: float  # seconds that a turn should take
    most: float  # seconds for all turns of one contestant, if three turns fit into them
    warm: float = 0.0  # processor seconds of calls before, of who compiles late: by then that is done

    def shape(self, one_call: float) -> tuple[int, int]:
        """Calls in a turn, and rounds."""
        calls = max(1, round(self.turn / max(one_call, 1e-9)))
        return calls, max(3, min(self.rounds, int(self.most / max(calls * one_call, 1e-9))))


#: Processor seconds of calls before, of the others.
_SETTLED = 0.01

FULL = Plan(rounds=15, turn=0.02, most=3.0, warm=0.3)
QUICK = Plan(rounds=7, turn=0.008, most=0.3, warm=0.2)


@dataclass
class Runner:
    """A contestant that has been found right, with its inputs on its device."""

    adapter: Adapter
    call: Call
    sets: Sequence[Sequence[Any]]
    clock: Clock
    samples: list[float] = field(default_factory=list)
    calls: int = 1
    rounds: int = 3

    def turn(self, calls: int) -> float:
        """Seconds of one call, from so many."""
        call, sets = self.call, itertools.cycle(self.sets)
        result = None
        with self.clock(lambda: self.adapter.wait(result)) as took:
            for _ in range(calls):
                result = call(*next(sets))
        seconds: float = took()
        return seconds / calls


#: A context that measures what happens in it. It is told how to wait for the results; the seconds are asked for after.
Clock = Callable[[Callable[[], None]], Any]


def _of_host(now: Callable[[], float]) -> Clock:
    @contextmanager
    def clock(wait: Callable[[], None]) -> Iterator[Callable[[], float]]:
        ends = [now()]
        yield lambda: ends[1] - ends[0]
        wait()
        ends.append(now())

    return clock


def _of_events(event: Callable[[], Any], seconds: Callable[[Any, Any], float]) -> Clock:
    @contextmanager
    def clock(wait: Callable[[], None]) -> Iterator[Callable[[], float]]:
        wait()
        start, end = event(), event()
        start.record()
        yield lambda: seconds(start, end)
        end.record()
        end.synchronize()

    return clock


def clock_for(adapter: Adapter, threads: int) -> tuple[str, Clock]:
    """The clock of a contestant, and what it is called in the results."""
    if adapter.device == "cpu":
        return ("processor time", _of_host(time.process_time)) if threads == 1 else passing_time()
    if isinstance(adapter, OnCuPy):
        return "device events", _of_events(
            cupy().cuda.Event, lambda a, b: 1e-3 * float(cupy().cuda.get_elapsed_time(a, b))
        )
    if adapter.name.startswith("torch"):
        import torch

        return "device events", _of_events(
            lambda: torch.cuda.Event(enable_timing=True), lambda a, b: 1e-3 * float(a.elapsed_time(b))
        )
    return passing_time()


def passing_time() -> tuple[str, Clock]:
    return "time until the result is there", _of_host(time.perf_counter)


@contextmanager
def little_garbage() -> Iterator[None]:
    """What the libraries have loaded isn't searched for garbage in here: PyTorch's alone would slow down the others."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def take_turns(runners: Mapping[str, Runner], plan: Plan, say: Callable[[str], None]) -> None:
    """Fill ``samples`` of every runner. What is compiled or cached at a first call has been already."""
    for name, r in runners.items():
        say(f"{name}: warming up")
        end = time.process_time() + (plan.warm if r.adapter.compiles_late else _SETTLED)
        calls = [r.turn(1)]
        while time.process_time() < end:
            calls.append(r.turn(1))
        r.calls, r.rounds = plan.shape(statistics.median(calls))  # a clock may stand still for one of them
    order = list(runners.items())
    for k in range(max((r.rounds for _, r in order), default=0)):
        order.append(order.pop(0))
        for name, r in order:
            if k < r.rounds:
                say(f"{name}: round {k + 1} of {r.rounds}")
                gc.collect()
                r.samples.append(r.turn(r.calls))


def spread(samples: Sequence[float]) -> float:
    """The standard error of the median, relative to it, from the median absolute deviation.

    1.4826 makes that deviation the standard deviation of normal numbers, and the median of n of them varies by
    1.2533 / sqrt(n) of that.
    """
    middle = statistics.median(samples)
    deviation = statistics.median(abs(s - middle) for s in samples)
    return 1.4826 * 1.2533 * deviation / middle / len(samples) ** 0.5 if middle else 0.0


def halves(samples: Sequence[float]) -> float:
    """How much the median of every other round differs from that of the rest, relatively: the same program twice."""
    if len(samples) < 4:
        return 0.0
    even, odd = statistics.median(samples[::2]), statistics.median(samples[1::2])
    return abs(even - odd) / min(even, odd) if min(even, odd) else 0.0

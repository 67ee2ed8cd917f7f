"""How things are measured: in turns, by CPU time, and judged by the median."""

import datetime
import gc
import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Contestants = Mapping[str, Callable[[], object]]


@dataclass
class Check:
    """One number that a goal is stated for."""

    what: str
    measured: float
    goal: str
    ok: bool
    #: What it is made of.
    about: str = ""

    def __str__(self) -> str:
        line = f"{self.what:<70} {self.measured:>9.3g}   {self.goal:<14} {'ok' if self.ok else 'NOT REACHED'}"
        return f"{line:<110} {self.about}" if self.about else line


def at_most(what: str, measured: float, goal: float) -> Check:
    return Check(what, measured, f"<= {goal:g}", measured <= goal)


def near(what: str, measured: float, goal: float, share: float) -> Check:
    ok = abs(measured - goal) <= share * goal
    return Check(what, measured, f"{goal:g} +- {100 * share:g} %", ok)


@dataclass
class Result:
    """What one benchmark found: its goals, and the figures they come from."""

    title: str
    unit: str
    figures: dict[str, float]
    checks: list[Check]
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [self.title]
        lines += [f"  {name:<44} {x:>10.4g} {self.unit}" for name, x in self.figures.items()]
        lines += [f"  {check}" for check in self.checks]
        lines += [f"  ({remark})" for remark in self.remarks]
        return "\n".join(lines)


def seconds(contestants: Contestants, *, rounds: int = 15, sample: float = 0.02) -> dict[str, float]:
    """Median CPU seconds of one call of each.

    They take turns, so that a slow moment of the machine hits all. A turn repeats a call until it takes
    ``sample`` seconds. CPU time counts what this process did, and the kernel did for it, but not what
    other processes did meanwhile.
    """
    gc.collect()
    gc.freeze()  # what the other libraries have loaded isn't to be searched for garbage during a turn
    try:
        return _take_turns(contestants, rounds, sample)
    finally:
        gc.unfreeze()


def _take_turns(contestants: Contestants, rounds: int, sample: float) -> dict[str, float]:
    repeats = {}
    for name, call in contestants.items():
        call()
        start = time.process_time()
        call()
        repeats[name] = max(1, round(sample / max(time.process_time() - start, 1e-9)))
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants.items())
    for _ in range(rounds):
        order.append(order.pop(0))  # nobody always follows the same one, whose freed memory it inherits
        for name, call in order:
            n = repeats[name]
            gc.collect()
            start = time.process_time()
            for _ in range(n):
                call()
            samples[name].append((time.process_time() - start) / n)
    return {name: statistics.median(s) for name, s in samples.items()}


def peak_bytes(call: Callable[[], object]) -> tuple[int, int]:
    """Bytes allocated above what there was before: at the peak of a call, and with its result in hand."""
    call()  # caches are filled
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        after, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return peak - before, after - before


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The exponent p of the power law y ~ x^p that fits best (least squares of the logarithms)."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def agree(results: Mapping[str, Sequence[object]], rtol: float) -> None:
    """Stop unless all contestants found the same: nothing wrong is worth timing.

    ``rtol`` is relative to the largest entry of an array.
    """
    (first, want), *others = results.items()
    for name, got in others:
        for k, (a, b) in enumerate(zip(want, got, strict=True)):
            a, b = np.asarray(a, float), np.asarray(b, float)
            scale = np.max(np.abs(a), initial=0.0)
            if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=rtol * scale):
                raise AssertionError(f"{name} and {first} disagree in result {k}")


def about_this_run() -> dict[str, object]:
    """Machine, versions and commit, without names of hosts or paths."""
    versions = {"python": platform.python_version()}
    for package in ("numpy", "autograd", "torch", "gpuad"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    if versions["gpuad"] == "not installed":
        import gpuad

        versions["gpuad"] = gpuad.__version__
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": 1,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions,
        "commit": _commit(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../gpuad", ".")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

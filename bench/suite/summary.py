"""What a run found, as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .results import BY_HAND, OURS, base, geometric_mean, noise_of_run, on_gpu, ratio, ratios, refused, timed


def seconds_text(s: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if s >= size:
            return f"{s / size:.3g} {unit}"
    return f"{s * 1e9:.3g} ns"


def print_summary(document: Mapping[str, Any], target: Path) -> None:
    """A line for each case and each of gpuad's ways: its time, that of the best peer, the ratio, by hand."""
    rows = []
    for case in document["cases"]:
        for label in timed(case):
            if base(label) in OURS:
                rows.append(_row(case, label))
    widths = [max(len(row[k]) for row in [_HEAD, *rows]) for k in range(len(_HEAD))]
    for row in [_HEAD, *rows] if rows else []:
        print(
            "  ".join(
                text.ljust(w) if k < 2 else text.rjust(w) for k, (text, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    for device in (False, True):
        for way in OURS:
            found = [r.value for case in document["cases"] for r in ratios(case) if _is(r.ours, way, device)]
            mean = geometric_mean(found)
            if mean is not None:
                name = way + " (GPU)" * device
                print(f"geometric mean over {len(found)}: {name} takes {mean:.2f} × the best peer's time")
    if document["run"]["emulated"]:
        print("CuPy ran on the CPU (tests/cupy_on_cpu): counts are right, times mean nothing")
    noise = noise_of_run(document)
    if noise:
        print(
            f"noise: the same program differs from itself by {noise['typical']:.1%}, and in one case of ten by more "
            f"than {noise['often']:.1%}; ~ marks ratios that are one within the noise"
        )
    for label, about in document["contestants"].items():
        if about["missing"]:
            print(f"{label} took no part: {about['missing']}")
    for name, label, why in refused(document):
        print(f"NOT TIMED  {name}: {label} was {why}")
    if document["interrupted"]:
        print(f"interrupted; the {len(document['cases'])} cases until then are kept")
    elif document["left_out"]:
        print(f"time was up: {len(document['left_out'])} cases left out")
    print(f"written: {target}")


_HEAD = ("workload", "", "time", "best peer", "its time", "ratio", "÷ by hand")


def _is(label: str, way: str, gpu: bool) -> bool:
    return base(label) == way and on_gpu(label) == gpu


def _row(case: Mapping[str, Any], label: str) -> tuple[str, ...]:
    there = timed(case)
    mine = seconds_text(there[label]["seconds"]["median"])
    by_hand = BY_HAND + " (GPU)" * on_gpu(label)
    hand = f"{ratio(case, label, by_hand).value:.2f}" if by_hand in there else ""
    for r in ratios(case):
        if r.ours == label:
            other = seconds_text(there[r.other]["seconds"]["median"])
            return case["name"], label, mine, r.other, other, f"{'' if r.clear else '~'}{r.value:.2f}", hand
    return case["name"], label, mine, "", "", "", hand

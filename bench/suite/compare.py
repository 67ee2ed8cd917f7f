"""Two files of results: did gpuad become slower, beyond what the machine did to all?

What the peers' times changed by, of the same versions, is the machine's doing, and is divided out, case by case. A
regression is what then is beyond the tolerance and the noise of both runs. Counts have no noise: more operations, more
kernels or more memory are regressions as well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from .results import OURS, base, noise_of, timed
from .summary import seconds_text

_PACKAGES = {
    "autograd": "autograd",
    "JAX jit": "jax",
    "JAX unrolled": "jax",
    "torch": "torch",
    "torch.compile": "torch",
}


class Change(NamedTuple):
    case: str
    contestant: str
    before: float
    after: float
    #: After over before, with the machine's share divided out.
    factor: float
    #: What the factor must be beyond.
    bound: float

    @property
    def slower(self) -> bool:
        return self.factor > self.bound

    @property
    def faster(self) -> bool:
        return self.factor < 1 / self.bound


def compare(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float) -> int:
    """Print what changed; 1 if anything regressed, 2 if there is nothing in common."""
    changes = times(before, after, tolerance)
    counts = more(before, after)
    if not changes:
        print("nothing of gpuad's is in both files")
        return 2
    if before["run"]["machine"] != after["run"]["machine"]:
        print("the machines differ, so times are judged by what the peers took on each")
    for c in sorted(changes, key=lambda c: -c.factor):
        if c.slower or c.faster:
            what = "SLOWER" if c.slower else "faster"
            print(
                f"{what}  × {c.factor:.2f} (noise up to {c.bound:.2f})  {c.case}: {c.contestant}, "
                f"{seconds_text(c.before)} before, {seconds_text(c.after)} after"
            )
    for line in counts:
        print(f"MORE    {line}")
    slower = sum(c.slower for c in changes)
    faster = sum(c.faster for c in changes)
    print(f"{len(changes)} times compared: {slower} slower, {faster} faster, the others unchanged within the noise")
    return 1 if slower or counts else 0


def times(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float) -> list[Change]:
    """Of everything of gpuad's that both files have."""
    old = {case["name"]: case for case in before["cases"]}
    pairs = [(old[case["name"]], case) for case in after["cases"] if case["name"] in old]
    same = _same_versions(before, after)
    drifts = [_drift(a, b, same) for a, b in pairs]
    overall = statistics.median(found) if (found := [d for d, _ in filter(None, drifts)]) else 1.0
    changes = []
    for (a, b), seen in zip(pairs, drifts, strict=True):
        drift, uncertain = seen or (overall, 0.0)
        for label in timed(a).keys() & timed(b).keys():
            if base(label) in OURS:
                was, now = timed(a)[label], timed(b)[label]
                noise = math.hypot(noise_of(was), noise_of(now), uncertain)
                first, then = was["seconds"]["median"], now["seconds"]["median"]
                changes.append(Change(b["name"], label, first, then, then / first / drift, 1 + tolerance + 2 * noise))
    return changes


def _same_versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Contestants that are no part of gpuad, and didn't change."""
    a, b = before["run"]["versions"], after["run"]["versions"]
    numpy = a.get("numpy") == b.get("numpy")
    return {p for p, package in _PACKAGES.items() if a.get(package) == b.get(package)} | (
        {"by hand"} if numpy else set()
    )


def _drift(a: Mapping[str, Any], b: Mapping[str, Any], same: set[str]) -> tuple[float, float] | None:
    """What the machine did to the others in a case, and how much they disagree on it."""
    factors = [
        timed(b)[label]["seconds"]["median"] / timed(a)[label]["seconds"]["median"]
        for label in timed(a).keys() & timed(b).keys()
        if base(label) in same
    ]
    if len(factors) < 2:
        return None
    middle = statistics.median(factors)
    return middle, statistics.median(abs(math.log(f / middle)) for f in factors)


def more(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Counts of gpuad's that grew."""
    old = {case["name"]: case for case in before["cases"]}
    lines = []
    for case in after["cases"]:
        was = old.get(case["name"], {})
        for key in ("operations", "multiply_adds"):
            if case.get(key, 0) > was.get(key, math.inf):
                lines.append(f"{case['name']}: {was[key]} {key.replace('_', '-')} before, {case[key]} after")
        for label, c in timed(case).items():
            then = was.get("contestants", {}).get(label, {})
            if base(label) not in OURS:
                continue
            if (c.get("launches") or 0) > (then.get("launches") or math.inf):
                lines.append(
                    f"{case['name']}: {label} launched {then['launches']} kernels before, {c['launches']} after"
                )
            # A little is Python's own objects.
            if (c.get("peak_bytes") or 0) > 1.05 * (then.get("peak_bytes") or math.inf) + 65536:
                lines.append(
                    f"{case['name']}: {label} needed {then['peak_bytes']} bytes before, {c['peak_bytes']} after"
                )
    return lines

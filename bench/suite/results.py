"""A file of results: reading it, ratios, and what of them is noise."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = "gpuad-bench/1"
OURS = ("gpuad", "gpuad jit", "gpuad unfused")
#: A yardstick, not a peer: nobody wants to write gradients.
BY_HAND = "by hand"
#: Two runs of the same program differ by as much, however quiet the machine.
FLOOR = 0.03


class BadResults(Exception):
    """A file that isn't one of results. The text is the whole message."""


def load(path: str | Path) -> dict[str, Any]:
    """The document in a file that ``gpuad bench`` wrote."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise BadResults(f"{path}: not JSON: {error}") from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise BadResults(f"{path}: its schema is {found!r}; this gpuad reads {SCHEMA!r}, as written by `gpuad bench`")
    if missing := {"run", "contestants", "ceilings", "cases"} - document.keys():
        raise BadResults(f"{path}: it has no {', '.join(sorted(missing))}; is it cut short?")
    return dict(document)


def as_json(document: Mapping[str, Any]) -> str:
    """The document as JSON, a line for each case, so that files of results can be compared line by line."""
    about = json.dumps({k: v for k, v in document.items() if k != "cases"}, indent=1)
    cases = ",\n".join(json.dumps(case) for case in document["cases"])
    return f'{about[:-2]},\n "cases": [\n{cases}\n]}}\n'


def on_gpu(label: str) -> bool:
    return label.endswith(" (GPU)")


def base(label: str) -> str:
    return label.removesuffix(" (GPU)")


def timed(case: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The contestants of a case that were timed."""
    return {label: c for label, c in case["contestants"].items() if "seconds" in c}


class Ratio(NamedTuple):
    """One time over another, and how far it is to be believed."""

    ours: str
    other: str
    value: float
    #: Relative: the ratio may as well be as much larger or smaller.
    noise: float

    @property
    def clear(self) -> bool:
        """Whether it differs from one by more than noise."""
        return abs(math.log(self.value)) > math.log1p(self.noise)


def noise_of(*contestants: Mapping[str, Any]) -> float:
    """Relative, of a ratio of these: twice the standard errors together, and not less than what the same program
    differed by from one half of the rounds to the other."""
    errors = 2.0 * math.hypot(*(c["seconds"]["spread"] for c in contestants))
    return max(FLOOR, errors, *(c["seconds"]["halves"] for c in contestants))


def ratio(case: Mapping[str, Any], ours: str, other: str) -> Ratio:
    a, b = case["contestants"][ours], case["contestants"][other]
    return Ratio(ours, other, a["seconds"]["median"] / b["seconds"]["median"], noise_of(a, b))


def best_peer(case: Mapping[str, Any], gpu: bool) -> str | None:
    """The fastest of the others on the same device, but for what was written by hand."""
    there = timed(case)
    peers = [p for p in there if on_gpu(p) == gpu and base(p) not in (*OURS, BY_HAND)]
    return min(peers, key=lambda p: there[p]["seconds"]["median"], default=None)


def ratios(case: Mapping[str, Any]) -> list[Ratio]:
    """Of each of gpuad's ways to the best peer on its device."""
    found = []
    for ours in timed(case):
        if base(ours) in OURS and (peer := best_peer(case, on_gpu(ours))) is not None:
            found.append(ratio(case, ours, peer))
    return found


def geometric_mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def refused(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(case, contestant, reason) of all that weren't timed because they were wrong, or broke."""
    return [
        (case["name"], label, f"{c['status']}: {c['why']}")
        for case in document["cases"]
        for label, c in case["contestants"].items()
        if c["status"] in ("refused", "failed")
    ]


def rates(document: Mapping[str, Any], case: Mapping[str, Any], label: str) -> dict[str, float]:
    """``bandwidth``: the fewest bytes over the time, as a share of a copy's; ``product``: two operations for each
    multiply-add over the time, as a share of a product of matrices'."""
    ceilings = document["ceilings"].get("gpu" if on_gpu(label) else "cpu")
    seconds = case["contestants"][label]["seconds"]["min"]
    if not ceilings or not seconds or "bytes_fewest" not in case:
        return {}
    found = {"bandwidth": case["bytes_fewest"] / seconds / ceilings["copy_bytes_per_s"]}
    peak = ceilings.get(f"product_{case['dtype']}_flops_per_s")
    if case.get("multiply_adds") and peak:
        found["product"] = 2 * case["multiply_adds"] / seconds / peak
    return found


def noise_of_run(document: Mapping[str, Any]) -> dict[str, float]:
    """How much the same program differed from itself, over all that was timed: half of the cases by less than
    ``typical``, nine of ten by less than ``often``."""
    seconds = [c["seconds"] for case in document["cases"] for c in timed(case).values()]
    # Of three rounds there are no halves to compare.
    all_halves = sorted(s["halves"] for s in ([s for s in seconds if len(s["samples"]) > 3] or seconds))
    if not all_halves:
        return {}
    return {"typical": statistics.median(all_halves), "often": all_halves[int(0.9 * (len(all_halves) - 1))]}

"""The pictures of a file of results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .plots import LOOKS, Plot, Series, si
from .results import FLOOR, OURS, base, best_peer, geometric_mean, noise_of_run, on_gpu, ratio, timed
from .summary import seconds_text

Document = Mapping[str, Any]
_MOST_ROWS = 40


def figures(document: Document) -> list[Plot]:
    """All that there is data for."""
    devices = False, True
    memory = [plot for gpu in devices if (plot := _memory(document, gpu))]
    if document["run"]["emulated"]:  # times would mean nothing
        return memory
    times = [plot for gpu in devices for plot in (*_ratios(document, gpu), _roofline(document, gpu)) if plot]
    return times + memory + _scalings(document)


def _labels(document: Document) -> list[str]:
    """The contestants, in the order of the tables; gpuad is drawn last, above the others."""
    labels = [label for label in document["contestants"] if any(label in timed(c) for c in document["cases"])]
    order = list(LOOKS)
    return sorted(labels, key=lambda label: -order.index(base(label)) if base(label) in order else 0)


def _where(gpu: bool) -> str:
    return "on the GPU" if gpu else "on the CPU"


def _ratios(document: Document, gpu: bool) -> Iterator[Plot]:
    """One for each group but those that other pictures are of."""
    typical = max(FLOOR, noise_of_run(document)["often"])
    for group in dict.fromkeys(c["group"] for c in document["cases"]):
        cases = [c for c in document["cases"] if c["group"] == group and not c["scale"] and best_peer(c, gpu)]
        # Where there are many, a row is a workload at all its sizes.
        whole = len(cases) > _MOST_ROWS
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for case in cases:
            rows.setdefault(case["workload"] if whole else case["name"].partition("/")[2], []).append(case)
        series = []
        for label in [x for x in _labels(document) if on_gpu(x) == gpu]:
            points = [
                (found[0], float(k), f"{name}: {label}, {found[1]}")
                for k, (name, inside) in enumerate(rows.items())
                if (found := _mean_ratio(inside, label, gpu))
            ]
            if points:
                series.append(Series(label, label, points))
        if rows:
            yield Plot(
                f"ratios-{'gpu' if gpu else 'cpu'}-{group}",
                f"{group}: time {_where(gpu)} over that of the best peer",
                "× the best peer's time (left is faster)",
                "",
                series,
                x_text=lambda v: f"{v:g}",
                rows=list(rows),
                note="Geometric means over sizes. The band is noise." if whole else "The band is noise.",
                band=(1 / (1 + typical), 1 + typical),
            )


def _mean_ratio(cases: Sequence[Mapping[str, Any]], label: str, gpu: bool) -> tuple[float, str] | None:
    """Of the contestant's time to that of the best peer, and in words."""
    found = [ratio(case, label, str(best_peer(case, gpu))) for case in cases if label in timed(case)]
    mean = geometric_mean(r.value for r in found)
    if mean is None:
        return None
    if len(cases) > 1:
        return mean, f"{mean:.2f} × the best peer's time, over {len(found)} sizes"
    time = seconds_text(timed(cases[0])[label]["seconds"]["median"])
    return mean, f"{time}, {mean:.2f} × {found[0].other}"


def _roofline(document: Document, gpu: bool) -> Plot | None:
    roof = document["ceilings"].get("gpu" if gpu else "cpu")
    points: dict[str, list[tuple[float, float, str]]] = {}
    for case in document["cases"]:
        if not case.get("flops") or not case.get("bytes_fewest"):
            continue
        x = case["flops"] / case["bytes_fewest"]
        peer = best_peer(case, gpu)
        for label, c in timed(case).items():
            if on_gpu(label) == gpu and (base(label) in OURS or label == peer):
                y = case["flops"] / c["seconds"]["min"]
                points.setdefault(label, []).append((x, y, f"{case['name']}: {label}, {si(y, 'flop/s')}"))
    if not roof or not points:
        return None
    xs = [p[0] for found in points.values() for p in found]
    low, high = min(xs) / 1.5, max(*xs, 1.0) * 1.5
    series = []
    for dtype in ("float32", "float64"):
        peak, bandwidth = roof[f"product_{dtype}_flops_per_s"], roof["copy_bytes_per_s"]
        knee = min(max(peak / bandwidth, low), high)
        corners = sorted({low, knee, high})
        line = [(x, min(x * bandwidth, peak), "") for x in corners]
        series.append(Series(f"roof, {dtype}", "by hand", line, line=True, marks=False, dashed=dtype == "float64"))
    series += [Series(label, label, points[label]) for label in _labels(document) if label in points]
    return Plot(
        f"roofline-{'gpu' if gpu else 'cpu'}",
        f"Roofline {_where(gpu)}: under the bandwidth of a copy, and the rate of a product of matrices",
        "operations per byte that must move",
        "operations per second",
        series,
        y_text=lambda v: si(v, ""),
        note="The roofs are NumPy's, or CuPy's. Operations are those of the program as gpuad runs it: who does fewer, "
        "or has faster products, may stand above.",
    )


def _memory(document: Document, gpu: bool) -> Plot | None:
    cases = [c for c in document["cases"] if c["group"] == "memory"]
    series = []
    for label in _labels(document):
        points = [
            (c["peak_bytes"] / 2**20, float(k), f"{label}: {c['peak_bytes'] / 2**20:.1f} MiB by {c['peak_by']}")
            for k, case in enumerate(cases)
            if on_gpu(label) == gpu and (c := timed(case).get(label)) and c.get("peak_bytes")
        ]
        if points:
            series.append(Series(label, label, points))
    if not series:
        return None
    rows = [case["name"].partition("/")[2] for case in cases]
    title = f"Memory {_where(gpu)} above the inputs, at the peak of a call"
    return Plot(f"memory-{'gpu' if gpu else 'cpu'}", title, "MiB", "", series, rows=rows)


def _scalings(document: Document) -> list[Plot]:
    """One for each workload that goes over a parameter; with the slopes, fitted to the larger half of the sizes."""
    found = []
    for name in dict.fromkeys(c["workload"] for c in document["cases"] if c["scale"]):
        cases = [c for c in document["cases"] if c["workload"] == name]
        scale = cases[0]["scale"]
        series = []
        for label in _labels(document):
            points = sorted(
                (float(c["params"][scale]), t[label]["seconds"]["median"], f"{c['name']}: {label}")
                for c in cases
                if label in (t := timed(c))
            )
            if len(points) > 1:
                points = [(x, y, f"{said} {seconds_text(y)}") for x, y, said in points]
                slope = _slope(points[len(points) // 2 - (len(points) == 2) :])
                series.append(Series(f"{label} (^{slope:.2f})", label, points, line=True))
        if series:
            title = f"{name}: in brackets the power of {scale} that the larger sizes grow by"
            marks = sorted({float(c["params"][scale]) for c in cases})
            found.append(
                Plot(f"scaling-{scale}", title, scale, "seconds", series, _number, seconds_text, x_ticks=marks)
            )
    return found


def _number(v: float) -> str:
    return f"{v:g}" if v < 1e4 else f"{v:.0e}".replace("e+0", "e")


def _slope(points: list[tuple[float, float, str]]) -> float:
    xs, ys = [math.log(p[0]) for p in points], [math.log(p[1]) for p in points]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)

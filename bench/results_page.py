"""The page ``docs/benchmarks.md`` and its pictures, from a file that ``gpuad bench`` wrote:

python -m bench.results_page bench/results/FILE.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .suite import results
from .suite.figures import figures
from .suite.plots import svg
from .suite.results import BY_HAND, Ratio, best_peer, geometric_mean, ratio, timed
from .suite.summary import seconds_text
from .suite.workloads import GROUPS

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("gpuad", "gpuad jit")
OTHERS = (BY_HAND, "autograd", "JAX jit", "torch", "torch.compile")
BEST = "best peer"
WIDTH = 960

Document = Mapping[str, Any]

_OPENING = """\
# Beside other libraries

Every program below was run by every library on the same inputs, and timed only after its result was found right.
[bench/README.md](../bench/README.md) says what the programs are, how they are timed, and how noise is treated.
`gpuad bench --quick` measures your own machine in less than two minutes.
"""
_SHORT = """
`gpuad` is what one gets without asking for more: operations are done as the program comes to them, elementwise ones on
large arrays in fused kernels. `gpuad jit` is the same program under `gpuad.jit`. The best peer is the fastest of
autograd, JAX jit, PyTorch and torch.compile in that case. By hand is a gradient that somebody wrote in NumPy.

## In short

Times over those of others, geometric means over the cases (how many, in brackets) that both have. Below one, gpuad is
faster.
"""
_GROUPS = """
By groups of programs, over the best peer's time; and in how many cases `gpuad jit` is faster than the best peer, as
fast within the noise, or slower:
"""


def write(path: Path, docs: Path) -> Path:
    """``benchmarks.md`` in the folder ``docs``, and the pictures in ``docs/benchmarks``. What was there goes."""
    document = results.load(path)
    pictures = docs / "benchmarks"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    shown = {}
    for plot in figures(document):
        (pictures / f"{plot.name}.svg").write_text(svg(plot, WIDTH, alone=True) + "\n", encoding="utf-8")
        shown[plot.name] = f"![{plot.title}](benchmarks/{plot.name}.svg)"
    page = docs / "benchmarks.md"
    page.write_text("\n".join(_page(document, path.name, shown)) + "\n", encoding="utf-8")
    return page


def _page(document: Document, name: str, shown: Mapping[str, str]) -> Iterator[str]:
    run, machine = document["run"], document["run"]["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in run["versions"].items() if k != "cupy")
    noise = results.noise_of_run(document)
    yield _OPENING
    yield f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}; threads: {run['threads']}"
    yield f"- versions: {versions}; gpuad's commit {run['commit']}"
    yield f"- when: {run['date'][:10]}, {'a quick run, of small sizes' if run['quick'] else 'all sizes'}"
    yield f"- noise: the same program, timed twice, differs by {noise['typical']:.1%} in the median, and in one case of"
    yield f"  ten by more than {noise['often']:.1%}; **~** marks ratios that are one within the noise of their own case"
    yield f"- all figures, first calls and memory among them: `bench/results/{name}`"
    yield "- **nothing was measured on a GPU**" if machine["gpu"] is None else f"- GPU: {machine['gpu']}"
    if not document["finished"]:
        yield f"- it was cut short: these are the {len(document['cases'])} cases measured until then"
    yield _SHORT
    there = [o for o in (*OTHERS, BEST) if any(_ratio(c, WAYS[0], o) for c in document["cases"])]
    yield from _table(["", *there], [[f"**{w}**", *(_mean(document["cases"], w, o) for o in there)] for w in WAYS])
    yield _GROUPS
    yield from _table(["", *WAYS, "faster", "same", "slower"], list(_by_group(document)))
    for group, about in GROUPS.items():
        cases = [c for c in document["cases"] if c["group"] == group]
        if not cases:
            continue
        yield ""
        yield f"## {group.capitalize()}"
        yield ""
        yield f"{about[0].upper()}{about[1:]}."
        for plot, picture in shown.items():
            if plot.endswith(f"-{group}") or plot.startswith(f"{group}-"):
                yield ""
                yield picture
        if group != "primitives":
            yield ""
            head = ["", *WAYS, BY_HAND, BEST, "who", *(f"{w} ÷ best" for w in WAYS)]
            yield from _table(head, [_row(c) for c in cases])
    yield ""
    yield "## Share of what the machine can do"
    yield ""
    yield from (picture for plot, picture in shown.items() if plot.startswith("roofline"))
    yield ""
    yield "## Where `gpuad jit` is slower"
    yield ""
    slower = sorted(_slower(document), key=lambda found: -found[1].value)
    if not slower:
        yield "In no case beyond the noise."
        return
    yield "All cases but those of primitives in which the best peer is faster beyond the noise:"
    yield ""
    yield from _table(["", "÷ best peer", "who"], [[c, f"{r.value:.2f}", r.other] for c, r in slower])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for k, row in enumerate([head, ["---"] * len(head), *rows]):
        yield f"|{'|'.join(row)}|" if k == 1 else f"| {' | '.join(row)} |"


def _ratio(case: Mapping[str, Any], way: str, other: str) -> Ratio | None:
    who = best_peer(case, False) if other == BEST else other
    return ratio(case, way, who) if who in timed(case) and way in timed(case) else None


def _mean(cases: Sequence[Mapping[str, Any]], way: str, other: str) -> str:
    found = [r.value for c in cases if (r := _ratio(c, way, other))]
    mean = geometric_mean(found)
    return "" if mean is None else f"{mean:.2f} ({len(found)})"


def _by_group(document: Document) -> Iterator[list[str]]:
    for group in [*GROUPS, "all"]:
        cases = [c for c in document["cases"] if group in ("all", c["group"])]
        found = [r for c in cases if (r := _ratio(c, "gpuad jit", BEST))]
        if found:
            faster = sum(r.clear and r.value < 1 for r in found)
            slower = sum(r.clear and r.value > 1 for r in found)
            counts = [faster, len(found) - faster - slower, slower]
            yield [group, *(_mean(cases, w, BEST) for w in WAYS), *map(str, counts)]


def _row(case: Mapping[str, Any]) -> list[str]:
    def time(label: str | None) -> str:
        there = timed(case)
        return seconds_text(there[label]["seconds"]["median"]).replace(" ", "\u00a0") if label in there else ""

    def over(way: str) -> str:
        r = _ratio(case, way, BEST)
        return "" if r is None else f"{'' if r.clear else '~'}{r.value:.2f}"

    best = best_peer(case, False)
    name = f"{case['workload']}, {case['size']}"
    return [name, *map(time, (*WAYS, BY_HAND, best)), best or "", *map(over, WAYS)]


def _slower(document: Document) -> Iterator[tuple[str, Ratio]]:
    for case in document["cases"]:
        r = _ratio(case, "gpuad jit", BEST)
        if r is not None and r.clear and r.value > 1 and case["group"] != "primitives":
            yield f"{case['workload']}, {case['size']}", r


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(f"written: {write(Path(sys.argv[1]), ROOT / 'docs')}")
    except results.BadResults as error:
        sys.exit(f"bench.results_page: {error}")

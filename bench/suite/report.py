"""One self-contained page of HTML from files of results: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .figures import figures
from .plots import DRAWN, STYLE, png, si, svg
from .results import OURS, base, best_peer, geometric_mean, noise_of_run, rates, ratios, refused, timed
from .summary import seconds_text

Document = Mapping[str, Any]

_WIDE, _NARROW = 960, 360

_CSS = """
:root{color-scheme:light dark;--ink:#202124;--soft:#5f6368;--faint:#dadce0;--band:#e8eaed;--paper:#fff;--good:#137333;
--bad:#b3261e;--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa0a6;--faint:#3c4043;--band:#303134;--paper:#202124;
--good:#81c995;--bad:#f28b82;--link:#8ab4f8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;padding:1rem;
max-width:1100px}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .4rem}h3{font-size:1rem;margin:1.6rem 0 .3rem}
p{margin:.4rem 0}a{color:var(--link)}.soft{color:var(--soft)}svg{font:12px system-ui,sans-serif;display:block;
max-width:100%;height:auto}.narrow{display:none}
.scroll{overflow-x:auto;border:1px solid var(--faint);border-radius:6px}
table{border-collapse:collapse;font-size:13px;width:100%}
th,td{padding:.25rem .55rem;text-align:right;white-space:nowrap}
thead th{white-space:normal;border-bottom:2px solid var(--faint);vertical-align:bottom}
tbody tr{border-top:1px solid var(--faint)}
th:first-child{text-align:left;position:sticky;left:0;background:var(--paper);font-weight:500}
tbody th .soft{display:block;font-weight:400}
.group th{background:var(--band);font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}.best{font-weight:700}
@media(max-width:600px){body{padding:.6rem}.wide{display:none}.narrow{display:block}
tbody th{min-width:7.6rem;max-width:9.5rem;white-space:normal!important;overflow-wrap:break-word}}
"""


def page(documents: Sequence[tuple[str, Document]]) -> str:
    """The page, from (name, document) of each file."""
    body = ["<h1>What gpuad costs</h1>"]
    body.append(
        "<p>Each program was run by every library on the same inputs, and timed only after its result was found right. "
        "Ratios are times over that of the fastest other library; below one, gpuad is faster. "
        "<b>~</b> marks a ratio that is one within the noise of the measurement.</p>"
    )
    if len(documents) > 1:
        body += _overview(documents)
    for name, document in documents:
        body += _section(name, document)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>What gpuad costs</title>'
        f"<style>{_CSS}{STYLE}{DRAWN}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def write_figures(documents: Sequence[tuple[str, Document]], folder: Path) -> list[Path]:
    """Every picture as SVG, and as PNG where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in documents:
        for plot in figures(document):
            path = folder / f"{name}-{plot.name}.svg"
            path.write_text(svg(plot, _WIDE, alone=True), encoding="utf-8")
            written.append(path)
            if importlib.util.find_spec("matplotlib") is not None:
                png(plot, path.with_suffix(".png"))
                written.append(path.with_suffix(".png"))
    return written


# --- the parts of the page -----------------------------------------------------------------------


def _section(name: str, document: Document) -> Iterator[str]:
    run, machine = document["run"], document["run"]["machine"]
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2>'
    gpu = f", {machine['gpu']}" if machine["gpu"] else ", no GPU: nothing here was measured on one"
    versions = ", ".join(f"{k} {v}" for k, v in run["versions"].items())
    kind = "a quick run" if run["quick"] else "a full run"
    date, threads = run["date"][:16].replace("T", " "), f"{run['threads']} thread{'s' * (run['threads'] > 1)}"
    yield (
        f"<p>{escape(machine['cpu'])}, {machine['cores']} cores, {escape(machine['system'])}{escape(gpu)}; "
        f"{threads}; {escape(date)} UTC; {kind}; commit {escape(str(run['commit']))}.<br>"
        f"<span class=soft>{escape(versions)}.</span></p>"
    )
    if run["emulated"]:
        yield "<p><b>CuPy ran on the CPU, not on a GPU: counts are right, times mean nothing.</b></p>"
    noise = noise_of_run(document)
    if noise:
        yield (
            f"<p>Noise: the same program, timed twice, differs by {noise['typical']:.1%} in the median, and in one "
            f"case of ten by more than {noise['often']:.1%}.</p>"
        )
    if not document["finished"]:
        left_out = len(document["left_out"])
        why = f"Time was up, {left_out} cases left out" if left_out else "It was interrupted"
        yield f"<p><b>{why}; these are the {len(document['cases'])} cases measured until then.</b></p>"
    wrong = refused(document)
    if wrong:
        yield "<h3>Not timed, for it was wrong or broke</h3><ul>"
        for case, label, why in wrong:
            yield f"<li><span class=bad>{escape(label)}</span> in {escape(case)}: {escape(why)}</li>"
        yield "</ul>"
    yield from _means(document)
    for plot in figures(document):
        yield f"<h3>{escape(plot.title)}</h3><p class=soft>{escape(plot.note)}</p>"
        yield f'<div class="wide">{svg(plot, _WIDE)}</div><div class="narrow">{svg(plot, _NARROW)}</div>'
    if not run["emulated"]:
        yield from _times(document)
    yield from _work(document)
    absent = {label: c["missing"] for label, c in document["contestants"].items() if c["missing"]}
    if absent:
        yield "<h3>Who took no part</h3><ul>"
        yield from (f"<li>{escape(label)}: {escape(why)}</li>" for label, why in absent.items())
        yield "</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Of cells that are HTML; a row of one cell is a heading. Columns that nothing stands in are left out."""
    used = [k for k in range(len(head)) if k == 0 or any(row[k] for row in rows if len(row) > 1)]
    head = [head[k] for k in used]
    rows = [[row[k] for k in used] if len(row) > 1 else row for row in rows]
    columns = "".join(f"<th scope=col>{h}</th>" for h in head)
    yield f'<div class="scroll" tabindex=0><table><thead><tr>{columns}</tr></thead><tbody>'
    for first, *rest in rows:
        if rest:
            yield f"<tr><th scope=row>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        else:
            yield f'<tr class=group><th scope=rowgroup colspan="{len(head)}">{first}</th></tr>'
    yield "</tbody></table></div>"


def _overview(documents: Sequence[tuple[str, Document]]) -> Iterator[str]:
    """Files side by side: the geometric mean of the ratios in each."""
    yield "<h2>Side by side</h2>"
    ways = [w + g for g in ("", " (GPU)") for w in OURS]
    there = [w for w in ways if any(_mean(d, w, None) for _, d in documents)]
    rows = []
    for name, d in documents:
        about = f"{d['run']['machine']['gpu'] or d['run']['machine']['cpu']}, {d['run']['commit']}"
        link = f'<a href="#{escape(name)}">{escape(name)}</a> <span class=soft>{escape(about)}</span>'
        rows.append([link, *(_mean(d, w, None) for w in there)])
    yield from _table(["", *map(escape, there)], rows)


def _mean(document: Document, way: str, group: str | None) -> str:
    found = [
        r.value for c in document["cases"] if group in (None, c["group"]) for r in ratios(c) if r.ours == way
    ]  # fmt: skip
    mean = geometric_mean(found)
    return "" if mean is None else f"{mean:.2f} <span class=soft>of {len(found)}</span>"


def _means(document: Document) -> Iterator[str]:
    ways = [label for label in document["contestants"] if base(label) in OURS and _mean(document, label, None)]
    if ways:
        yield "<h3>Time over that of the best peer, geometric means</h3>"
        groups = list(dict.fromkeys(c["group"] for c in document["cases"]))
        rows = [[escape(g), *(_mean(document, w, g) for w in ways)] for g in groups]
        yield from _table(["", *map(escape, ways)], [*rows, ["<b>all</b>", *(_mean(document, w, None) for w in ways)]])


def _named(case: Mapping[str, Any]) -> str:
    return f"{escape(case['workload'])} <span class=soft>{escape(case['size'])}</span>"


def _bytes(n: float | None) -> str:
    if n is None:
        return ""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} B"


def _grouped(document: Document, row: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    group = None
    for case in document["cases"]:
        if case["group"] != group:
            group = case["group"]
            rows.append([escape(group)])
        rows.append(row(case))
    return rows


def _times(document: Document) -> Iterator[str]:
    labels = [label for label, c in document["contestants"].items() if not c["missing"]]
    ways = [label for label in labels if base(label) in OURS]

    def row(case: Mapping[str, Any]) -> list[str]:
        cells = [_named(case)]
        for way in ways:
            r = next((r for r in ratios(case) if r.ours == way), None)
            kind = "" if r is None or not r.clear else " class=good" if r.value < 1 else " class=bad"
            said = "" if r is None else f' title="over {escape(r.other)}; noise {r.noise:.0%}"'
            cells.append("" if r is None else f"<span{kind}{said}>{'' if r.clear else '~'}{r.value:.2f}</span>")
        there = timed(case)
        best = {best_peer(case, gpu) for gpu in (False, True)}
        for label in labels:
            c = case["contestants"].get(label, {"status": "", "why": ""})
            if label not in there:
                status = c["status"].replace("not offered", "–")
                cells.append(f'<span class=soft title="{escape(c["why"])}">{escape(status)}</span>')
                continue
            first = c["first_call_s"]
            text = f'<span title="first call {seconds_text(first)}">{seconds_text(c["seconds"]["median"])}</span>'
            cells.append(f"<span class=best>{text}</span>" if label in best else text)
        return cells

    yield "<h3>Times</h3><p>Medians; the best peer's in bold.</p>"
    head = ["", *(f"{escape(w)} ÷ best peer" for w in ways), *map(escape, labels)]
    yield from _table(head, _grouped(document, row))
    yield "<h3>First calls</h3><p>With recording and compiling, as one waits for it.</p>"

    def first(case: Mapping[str, Any]) -> list[str]:
        there = timed(case)
        return [_named(case), *(seconds_text(there[x]["first_call_s"]) if x in there else "" for x in labels)]

    yield from _table(["", *map(escape, labels)], _grouped(document, first))


def _work(document: Document) -> Iterator[str]:
    labels = [label for label, c in document["contestants"].items() if not c["missing"]]
    ways = [label for label in labels if base(label) in OURS]
    launched = [x for x in labels if any(timed(c).get(x, {}).get("launches") for c in document["cases"])]

    def row(case: Mapping[str, Any]) -> list[str]:
        there = timed(case)
        fewest = case.get("bytes_fewest")
        moved = case.get("bytes_unfused")
        cells = [
            _named(case), str(case.get("operations", "")), si(case.get("multiply_adds") or 0, ""), _bytes(fewest),
            f"{moved / fewest:.1f} ×" if moved and fewest else "",
        ]  # fmt: skip
        for way in ways:
            found = rates(document, case, way) if way in there and not document["run"]["emulated"] else {}
            cells += [f"{found[k]:.0%}" if k in found else "" for k in ("bandwidth", "product")]
        cells += [str(there.get(x, {}).get("launches") or "") for x in launched]
        return [*cells, *(_bytes(there.get(x, {}).get("peak_bytes")) for x in labels)]

    yield (
        "<h3>Work</h3><p>Operations that gpuad records and sweeps; multiply-adds; the fewest bytes (inputs read once, "
        "results written once), and how many times that moves if every operation is on its own. Then shares of the "
        "bandwidth of a copy, by the fewest bytes, and of the rate of a product of matrices; kernels launched on a "
        "GPU; memory above the inputs at the peak.</p>"
    )
    head = ["", "operations", "multiply-adds", "fewest bytes", "unfused"]
    for w in map(escape, ways):
        head += [f"{w}: share of a copy", f"{w}: share of a product"]
    head += [f"{escape(x)}: kernels" for x in launched] + [f"{escape(x)}: memory" for x in labels]
    yield from _table(head, _grouped(document, row))

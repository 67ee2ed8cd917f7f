"""Pictures as data, drawn as SVG by a few lines of our own, and as PNG by matplotlib where it is installed.

Colours are names of CSS variables, so that a page can be light or dark; every contestant has a shape of its own as
well, for those who don't tell the colours apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

#: Contestant: (its CSS variable, shape, colour on white, colour on black).
LOOKS = {
    "gpuad": ("gpuad", "circle", "#0b57d0", "#7cacf8"),
    "gpuad jit": ("jit", "diamond", "#8430ce", "#d7aefb"),
    "gpuad unfused": ("unfused", "ring", "#0b57d0", "#7cacf8"),
    "by hand": ("hand", "bar", "#5f6368", "#bdc1c6"),
    "autograd": ("autograd", "square", "#b06000", "#fdd663"),
    "JAX jit": ("jax", "triangle", "#137333", "#81c995"),
    "JAX unrolled": ("jaxu", "triangle", "#7c9a85", "#5c8a6b"),
    "torch": ("torch", "cross", "#c5221f", "#f28b82"),
    "torch.compile": ("compile", "down", "#a50e5b", "#ff8bcb"),
    "torch.compile unrolled": ("compileu", "down", "#b07a95", "#a0607f"),
}
OTHER = ("other", "square", "#3c4043", "#e8eaed")

STYLE = (
    "".join(f".c-{name}{{--c:{light}}}" for name, _, light, _ in (*LOOKS.values(), OTHER))
    + "@media(prefers-color-scheme:dark){"
    + "".join(f".c-{name}{{--c:{dark}}}" for name, _, _, dark in (*LOOKS.values(), OTHER))
    + "}"
)
#: What a picture needs when it is no part of the page.
ALONE = (
    "svg{font:12px system-ui,sans-serif;--ink:#202124;--faint:#dadce0;--band:#e8eaed;--paper:#fff;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e8eaed;--faint:#3c4043;--band:#303134;--paper:#202124;background:#202124}}"
)


@dataclass
class Series:
    """Points ``(x, y, what it says when pointed at)``; ``look`` is the contestant whose colour and shape it has."""

    name: str
    look: str
    points: list[tuple[float, float, str]]
    line: bool = False
    marks: bool = True
    dashed: bool = False


@dataclass
class Plot:
    """Both axes are logarithmic. With ``rows``, y is the number of a row instead."""

    name: str
    title: str
    x: str
    y: str
    series: list[Series]
    x_text: Callable[[float], str] = lambda v: f"{v:g}"
    y_text: Callable[[float], str] = lambda v: f"{v:g}"
    rows: list[str] = field(default_factory=list)
    note: str = ""
    #: Between these x lies what can't be told from one.
    band: tuple[float, float] | None = None
    #: What the x axis is marked at, where that isn't 1, 2, 5, 10, ...
    x_ticks: list[float] = field(default_factory=list)


def look(label: str) -> tuple[str, str, str, str]:
    return LOOKS.get(label.removesuffix(" (GPU)"), OTHER)


# --- axes ----------------------------------------------------------------------------------------


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high / low < 1.5:
        low, high = low / 1.5, high * 1.5
    pad = (high / low) ** 0.04
    return low / pad, high * pad


def ticks(low: float, high: float, most: int) -> list[float]:
    """1, 2, 5, 10, ...; fewer of them where they would be more than ``most``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [s * 10.0**e for e in range(first, last + 1) for s in steps if low <= s * 10.0**e <= high]
        if len(found) <= most:
            return found
    every = math.ceil(len(found) / most)
    return found[::every]


def _x_ticks(plot: Plot, low: float, high: float, most: int) -> list[float]:
    return plot.x_ticks if 0 < len(plot.x_ticks) <= most else ticks(low, high, most)


# --- SVG -----------------------------------------------------------------------------------------

_ROW, _LINE = 22, 16


def svg(plot: Plot, width: int, *, alone: bool = False) -> str:
    """The picture, ``width`` pixels wide. Where that is little, names of rows stand above their rows."""
    narrow = width < 500
    longest = max(map(len, plot.rows), default=0)
    left = 14 + min(400, int(6.9 * longest)) if plot.rows and not narrow else 12 if plot.rows else 62
    legend = _legend(plot, width)
    top = 10 + _LINE * (legend[1] + 1)
    row = _ROW + (14 if narrow else 0)
    high = row * len(plot.rows) if plot.rows else int(min(360, 0.62 * width))
    xs = [p[0] for s in plot.series for p in s.points] + list(plot.band or ())
    x_low, x_high = _ends(xs)
    ys = [p[1] for s in plot.series for p in s.points]
    y_low, y_high = (0.0, 1.0) if plot.rows else _ends(ys)
    inner = width - left - 14

    def at_x(v: float) -> float:
        return left + inner * math.log(v / x_low) / math.log(x_high / x_low)

    def at_y(v: float) -> float:
        if plot.rows:
            return top + row * (v + 1) - _ROW / 2
        return top + high * (1 - math.log(v / y_low) / math.log(y_high / y_low))

    parts = [legend[0]]
    if plot.band:
        a, b = map(at_x, plot.band)
        parts.append(f'<rect class="band" x="{a:.1f}" y="{top}" width="{b - a:.1f}" height="{high}"/>')
    bottom = top + high
    for v in _x_ticks(plot, x_low, x_high, inner // 62):
        x = at_x(v)
        parts.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>')
        parts.append(_text(x, bottom + 15, plot.x_text(v), "middle"))
    for v in [] if plot.rows else ticks(y_low, y_high, high // 30):
        y = at_y(v)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - 14}"/>')
        parts.append(_text(left - 6, y + 4, plot.y_text(v), "end"))
    for k, name in enumerate(plot.rows):
        y = at_y(k)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - 14}"/>')
        fits = int((width - 16 if narrow else left - 14) / 6.6)
        short = name if len(name) <= fits else name[: fits - 1] + "…"
        parts.append(_text(left, y - 12, short, "start") if narrow else _text(left - 6, y + 4, short, "end"))
    for s in plot.series:
        parts.append(f'<g class="c-{look(s.look)[0]}">')
        if s.line:
            path = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y, _ in s.points)
            parts.append(f'<path class="{_line_class(s)}" d="M{path}"/>')
        if s.marks:
            parts += [_mark(look(s.look)[1], at_x(x), at_y(y), said) for x, y, said in s.points]
        parts.append("</g>")
    parts.append(_text(left + inner / 2, bottom + 34, plot.x, "middle"))
    if plot.y and not plot.rows:
        parts.append(_text(8, top - 8, plot.y, "start"))
    total = bottom + 44
    style = f"<style>{STYLE}{ALONE}{DRAWN}</style>" if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {total}" width="{width}" '
        f'height="{total}"><title>{escape(plot.title)}</title>{style}{"".join(parts)}</svg>'
    )


DRAWN = (
    "svg text{fill:var(--ink)}svg .grid{stroke:var(--faint);fill:none}svg .band{fill:var(--band)}"
    "svg .line{stroke:var(--c);fill:none;stroke-width:1.5}svg .mark{fill:var(--c);stroke:var(--c);stroke-width:1.5}"
    "svg .open{fill:var(--paper)}svg .dashed{stroke-dasharray:5 4}"
)


def _line_class(s: Series) -> str:
    return "line dashed" if s.dashed else "line"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(plot: Plot, width: int) -> tuple[str, int]:
    """The names of the series, and on how many lines they stand."""
    parts, x, line = [], 10.0, 0
    for s in plot.series:
        wide = 26 + 6.6 * len(s.name)
        if x + wide > width and x > 10:
            x, line = 10.0, line + 1
        y = 12 + _LINE * line
        shown = _mark(look(s.look)[1], x + 5, y, "") if s.marks else f'<path class="{_line_class(s)}" d="M{x} {y}h12"/>'
        parts.append(f'<g class="c-{look(s.look)[0]}">{shown}</g>{_text(x + 15, y + 4, s.name, "start")}')
        x += wide
    return "".join(parts), line + 1


_SHAPES = {
    "square": "M{l} {t}h8v8h-8z",
    "diamond": "M{x} {u}l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
    "triangle": "M{x} {u}l5 9h-10z",
    "down": "M{x} {d}l5 -9h-10z",
    "cross": "M{l} {t}l8 8m0 -8l-8 8",
    "bar": "M{x} {u}v11",
}


def _mark(shape: str, x: float, y: float, said: str) -> str:
    hover = f"<title>{escape(said)}</title>" if said else ""
    if shape in ("circle", "ring"):
        kind = "mark open" if shape == "ring" else "mark"
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">{hover}</circle>'
    numbers = {"x": x, "l": x - 4, "t": y - 4, "u": y - 5.5, "d": y + 5.5}
    path = _SHAPES[shape].format(**{k: f"{v:.1f}" for k, v in numbers.items()})
    return f'<path class="mark" d="{path}">{hover}</path>'


# --- PNG -----------------------------------------------------------------------------------------

_MARKERS = dict(circle="o", ring="o", square="s", diamond="D", triangle="^", down="v", cross="x", bar="|")  # noqa: C408


def png(plot: Plot, path: Path) -> None:
    """The same by matplotlib."""
    import matplotlib

    matplotlib.use("Agg")  # no display is needed
    import matplotlib.pyplot as plt

    high = 1.2 + 0.24 * len(plot.rows) if plot.rows else 4.2
    figure, axes = plt.subplots(figsize=(8, high), layout="constrained")
    for s in plot.series:
        _, shape, colour, _ = look(s.look)
        xs, ys = [p[0] for p in s.points], [p[1] for p in s.points]
        inside: dict[str, Any] = {"markerfacecolor": "none"} if shape == "ring" else {}
        marker, line = _MARKERS[shape] if s.marks else "", "--" if s.dashed else "-" if s.line else ""
        axes.plot(xs, ys, marker=marker, linestyle=line, color=colour, label=s.name, **inside)
    axes.set_xscale("log")
    axes.set_xticks(_x_ticks(plot, *axes.get_xlim(), 12))
    axes.minorticks_off()
    if plot.band:
        axes.axvspan(*plot.band, color="0.92", zorder=0)
    if plot.rows:
        axes.set_yticks(range(len(plot.rows)), plot.rows, fontsize=7)
        axes.invert_yaxis()
    else:
        axes.set_yscale("log")
        axes.set_yticks(ticks(*axes.get_ylim(), 12))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda v, _: plot.y_text(v))
        axes.set_ylabel(plot.y)
    axes.xaxis.set_major_formatter(lambda v, _: plot.x_text(v))
    axes.set_xlabel(plot.x)
    axes.grid(color="0.9")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.9 / high))
    axes.set_title(plot.title, fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def si(v: float, unit: str) -> str:
    """A large number with a prefix: 12 Gflop/s."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if v >= size:
            return f"{v / size:.3g} {prefix}{unit}"
    return f"{v:.3g} {unit}"

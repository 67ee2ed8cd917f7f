"""The picture of how the time of a gradient grows with a network."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt

from . import goals
from .measure import Result


def plot_scaling(result: Result, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for axes, name, xs, names, power in (
        (left, "depth", goals.DEPTHS, [goals.shape_name(d, goals.WIDTH) for d in goals.DEPTHS], 1),
        (right, "width", goals.WIDTHS, [goals.shape_name(goals.DEPTH, w) for w in goals.WIDTHS], 2),
    ):
        ys = [result.figures[n] for n in names]
        axes.loglog(xs, [ys[-1] * (x / xs[-1]) ** power for x in xs], color="0.75", label=f"slope {power}")
        axes.loglog(xs, ys, "o-", color="C0", label="measured")
        axes.set_xticks(xs, [str(x) for x in xs])
        axes.minorticks_off()
        axes.set_yticks([y for y in (1, 2, 5, 10, 20, 50, 100) if 0.8 * min(ys) <= y <= 1.3 * max(ys)])
        axes.yaxis.set_major_formatter("{x:g}")
        fixed = f"width {goals.WIDTH}" if name == "depth" else f"depth {goals.DEPTH}"
        axes.set_xlabel(f"{name} ({fixed}, batch {goals.BATCH})")
        axes.set_ylabel("value and gradient, ms")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)

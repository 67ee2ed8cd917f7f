"""What backpropagation costs in a multilayer perceptron, counted and timed: the figures of ``docs/textbook.md``.

python -m bench.textbook    prints tables, and draws docs/textbook_work.png and docs/textbook_growth.png (two minutes)
"""

import itertools
import statistics
import time
from pathlib import Path

import numpy as np

import gpuad
from gpuad import value_and_grad

DOCS = Path(__file__).parent.parent / "docs"
CLASSES, EXAMPLES = 10, 128
DEPTHS, WIDTH = (1, 2, 4, 8, 16, 32), 512  # of hidden layers; there are as many inputs as a layer has units
WIDTHS, DEPTH = (32, 64, 128, 256, 512, 1024, 2048), 4
#: Where matrix products are the work: slopes of times are fitted from here on.
DEEP, WIDE = 2, 512
ROUNDS = 15


def loss(weights, x, onehot):
    for w, b in weights[:-1]:
        x = np.tanh(x @ w + b)
    w, b = weights[-1]
    logits = x @ w + b
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - np.sum(logits * onehot, axis=1))


gradient = value_and_grad(loss)
gradient_and_error = value_and_grad(loss, (0, 1))  # the error signal of the examples, too


def network(depth, width):
    rng = np.random.default_rng(0)
    sizes = [*[width] * (depth + 1), CLASSES]
    weights = [
        (rng.normal(0, m**-0.5, (m, n)).astype("float32"), np.zeros(n, "float32")) for m, n in itertools.pairwise(sizes)
    ]
    x = rng.normal(size=(EXAMPLES, width)).astype("float32")
    return weights, x, np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, EXAMPLES)]


def counts(depth, width):
    """The number of weights, and the multiply-adds forward, backward, and backward to the examples, too."""
    arguments = network(depth, width)
    number = sum(w.size for w, _ in arguments[0])
    cost = gpuad.cost(gradient)(*arguments)
    to_examples = gpuad.cost(gradient_and_error)(*arguments).backward
    return number, cost.forward.multiply_adds, cost.backward.multiply_adds, to_examples.multiply_adds


def seconds(networks):
    """Median CPU seconds of a forward pass and of a backward pass, of each network.

    All take turns, so that a slow moment of the machine touches all. The backward pass is what a gradient takes
    beyond a forward pass that records nothing.
    """
    calls = {
        (name, way): (lambda f=f, arguments=arguments: f(*arguments))
        for name, arguments in networks.items()
        for way, f in (("forward", loss), ("both", gradient))
    }
    samples = {name: [] for name in calls}
    for repetition in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if repetition:  # the first one warms up
                samples[name].append(time.process_time() - start)
    medians = {name: statistics.median(s) for name, s in samples.items()}
    return {name: (medians[name, "forward"], medians[name, "both"] - medians[name, "forward"]) for name in networks}


def slope(xs, ys):
    """The exponent p of the power law y ~ x^p that fits best."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def main():
    import matplotlib

    matplotlib.use("Agg")  # no display is needed

    shapes = list(dict.fromkeys([(d, WIDTH) for d in DEPTHS] + [(DEPTH, w) for w in WIDTHS]))
    counted = {shape: counts(*shape) for shape in shapes}
    times = seconds({shape: network(*shape) for shape in shapes})
    print("| hidden layers | units | weights | forward | backward | with inputs | forward, ms | backward, ms | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (depth, width), (number, *work) in counted.items():
        each = "".join(f" {n / (EXAMPLES * number):.4g} |" for n in work)
        there, back = times[depth, width]
        print(f"| {depth} | {width} | {number:,} |{each} {1e3 * there:.3g} | {1e3 * back:.3g} | {back / there:.2f} |")
    deep, wide = [(d, WIDTH) for d in DEPTHS if d >= DEEP], [(DEPTH, w) for w in WIDTHS if w >= WIDE]
    for name, fitted, sizes in (("layers", deep, [d for d, _ in deep]), ("width", wide, [w for _, w in wide])):
        for way, k in (("forward", 0), ("backward", 1)):
            counted_slope = slope(sizes, [counted[shape][1 + k] for shape in fitted])
            timed_slope = slope(sizes, [times[shape][k] for shape in fitted])
            print(
                f"{way}, {name} from {sizes[0]}: multiply-adds ~ {name}^{counted_slope:.3f}, time ~ ^{timed_slope:.2f}"
            )
    draw_work(counted)
    draw_growth(counted, times)


FORWARD, BACKWARD, INPUTS_TOO = "#1b6ca8", "#c8553d", "#7a7a7a"


def draw_work(counted):
    """Multiply-adds of each weight, over the depth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for name, k, colour, style in (
        ("backward, to the examples too", 3, INPUTS_TOO, "s--"),
        ("backward", 2, BACKWARD, "o-"),
        ("forward", 1, FORWARD, "o-"),
    ):
        each = [counted[d, WIDTH][k] / (EXAMPLES * counted[d, WIDTH][0]) for d in DEPTHS]
        axes.plot(DEPTHS, each, style, color=colour, label=name)
    axes.set(xscale="log", ylim=(0, 2.25), yticks=(0, 1, 2), ylabel="multiply-adds per weight and example")
    axes.set_xticks(DEPTHS, list(map(str, DEPTHS)))
    axes.minorticks_off()
    axes.set_xlabel(f"hidden layers of {WIDTH} units")
    axes.legend(frameon=False, loc="lower right")
    finish(figure, axes, "textbook_work.png")


def draw_growth(counted, times):
    """Multiply-adds above, seconds below; over the depth on the left, over the width on the right."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(8.6, 6.2), layout="constrained", sharex="col", sharey="row")
    for column, (xs, shape_of, name, power, guide) in enumerate(
        (
            (DEPTHS, lambda d: (d, WIDTH), f"hidden layers of {WIDTH} units", 1, DEEP),
            (WIDTHS, lambda w: (DEPTH, w), f"units in each of {DEPTH} hidden layers", 2, WIDE),
        )
    ):
        shapes = [shape_of(x) for x in xs]
        for row, (what, values) in enumerate(
            (
                ("multiply-adds", {s: counted[s][1:3] for s in shapes}),
                ("CPU time, ms", {s: [1e3 * t for t in times[s]] for s in shapes}),
            )
        ):
            axes = panels[row, column]
            last = values[shapes[-1]][1]
            guided = [x for x in xs if x >= guide]
            axes.loglog(guided, [2 * last * (x / xs[-1]) ** power for x in guided], color="0.7", label=f"slope {power}")
            for way, k, colour in (("backward", 1, BACKWARD), ("forward", 0, FORWARD)):
                axes.loglog(xs, [values[s][k] for s in shapes], "o-", color=colour, label=way)
            axes.set_xticks(xs, list(map(str, xs)))
            axes.minorticks_off()
            if not column:
                axes.set_ylabel(what)
            if row:
                axes.set_xlabel(name)
        panels[0, column].legend(frameon=False, loc="upper left")
    finish(figure, panels.flat, "textbook_growth.png")


def finish(figure, panels, name):
    import matplotlib.pyplot as plt

    for axes in np.atleast_1d(panels):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / name, dpi=120)
    plt.close(figure)
    print(f"written: docs/{name}")


if __name__ == "__main__":
    main()

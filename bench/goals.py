"""The goals, one function each: who takes part, that all agree, what was measured, whether it is reached."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

import gpuad
import gpuad.numpy as gnp

from . import derivatives, peer_goals, programs
from .measure import Contestants, Result, agree, at_most, near, peak_bytes, seconds, slope

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None  # type: ignore[assignment]

NO_TORCH = "PyTorch isn't installed, so it takes no part"


def _torch(f: Callable[..., Any], *differentiated: Any, rest: Iterable[Any] = ()) -> Contestants:
    """PyTorch as a contestant, where there is one: value and gradients of ``f(*differentiated, *rest)``."""
    if torch is None:
        return {}
    inputs = [torch.tensor(x, requires_grad=True) for x in differentiated]
    others = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in rest]

    def run() -> Any:
        value = f(*inputs, *others)
        return value.detach(), *torch.autograd.grad(value, inputs)

    return {"torch": run}


def _check_agreement(contestants: Contestants, rtol: float) -> None:
    agree({name: call() for name, call in contestants.items()}, rtol)  # type: ignore[misc]


def overhead() -> Result:
    """Recording and sweeping: a chain of 100 operations on ten numbers."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=10), rng.normal(size=10)

    def ours(namespace: Any) -> Callable[[], Any]:
        both = gpuad.value_and_grad(lambda x, y: programs.chain(namespace, x, y), (0, 1))

        def run() -> Any:
            value, gradients = both(x, y)
            return value, *gradients

        return run

    theirs = autograd.value_and_grad(lambda p: programs.chain(anp, *p))

    def autograds() -> Any:
        value, gradients = theirs((x, y))
        return value, *gradients

    contestants = {
        "by hand": lambda: programs.chain_by_hand(x, y),
        "gpuad, through gpuad.numpy": ours(gnp),
        "gpuad, through plain numpy": ours(np),
        "autograd": autograds,
    } | _torch(lambda x, y: programs.chain(torch, x, y), x, y)
    _check_agreement(contestants, 1e-10)
    per_operation = {name: 1e6 * s / 100 for name, s in seconds(contestants, rounds=25).items()}
    ours_, plain = (per_operation[name] for name in contestants if name.startswith("gpuad"))
    checks = [at_most("chain of 100 operations, gpuad / autograd", ours_ / per_operation["autograd"], 0.2)]
    remarks = [f"through plain numpy: {plain / per_operation['autograd']:.3f} x autograd"]
    if torch is not None:
        checks.append(at_most("chain of 100 operations, gpuad / torch", ours_ / per_operation["torch"], 0.35))
        remarks[0] += f", {plain / per_operation['torch']:.3f} x torch"
    remarks.append(f"{ours_ / per_operation['by hand']:.2f} x the time by hand")
    return Result(
        "A chain of 100 operations on 10 numbers, value and gradients, per operation",
        "us",
        per_operation,
        checks,
        remarks if torch else [*remarks, NO_TORCH],
    )


def network() -> Result:
    """A gradient beside a forward pass, where matrix products are the work."""
    weights = programs.mlp_weights([784, 512, 512, 10])
    rng = np.random.default_rng(1)
    x = rng.normal(size=(256, 784)).astype("float32")
    onehot = np.eye(10, dtype="float32")[rng.integers(0, 10, 256)]
    ours = gpuad.value_and_grad(lambda w: programs.mlp_loss(gnp, w, x, onehot))
    theirs = autograd.value_and_grad(lambda w: programs.mlp_loss(anp, w, x, onehot))
    tx, tonehot = (torch.tensor(x), torch.tensor(onehot)) if torch else (None, None)
    contestants = {
        "by hand": lambda: programs.mlp_by_hand(weights, x, onehot),
        "gpuad": lambda: _flat(ours(weights)),
        "autograd": lambda: _flat(theirs(weights)),
    } | _torch(lambda *w: programs.mlp_loss(torch, w, tx, tonehot), *weights)
    _check_agreement(contestants, 1e-4)
    times = seconds(
        {"forward pass by hand": lambda: programs.mlp_forward_by_hand(weights, x, onehot)} | contestants,
        rounds=21,
        sample=0.05,
    )
    milliseconds = {name: 1e3 * s for name, s in times.items()}
    forward = times.pop("forward pass by hand")
    remarks = [f"{name}: {s / forward:.2f} x the forward pass" for name, s in times.items()]
    return Result(
        "MLP 784-512-512-10, batch 256, float32: value and gradient",
        "ms",
        milliseconds,
        [at_most("network, gpuad / forward pass by hand", times["gpuad"] / forward, 2.7)],
        remarks if torch else [*remarks, NO_TORCH],
    )


def _flat(pair: Any) -> tuple[Any, ...]:
    value, gradients = pair
    return value, *gradients


def large(n: int = 10_000_000) -> list[Result]:
    """Elementwise work on arrays that no cache holds."""
    rng = np.random.default_rng(2)
    spot, vol = rng.uniform(80, 120, n), rng.uniform(0.1, 0.5, n)
    strike = rng.uniform(80, 120, n)
    x = rng.normal(size=n)
    cases: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "Black-Scholes": (
            lambda np, s, v: programs.black_scholes(np, s, v, strike, 0.02, 0.7),
            (spot, vol),
        ),
        "GELU twice": (programs.gelu, (x,)),
        "GELU twice, x**3 as products": (programs.gelu_of_products, (x,)),
    }
    results = []
    for title, (program, inputs) in cases.items():
        ours = gpuad.value_and_grad(lambda *a, program=program: program(gnp, *a), range(len(inputs)))
        theirs = autograd.value_and_grad(lambda a, program=program: program(anp, *a))
        contestants = {
            "gpuad": lambda ours=ours, inputs=inputs: _flat(ours(*inputs)),
            "autograd": lambda theirs=theirs, inputs=inputs: _flat(theirs(inputs)),
        }
        _check_agreement(contestants, 1e-9)
        times = seconds(contestants, rounds=15, sample=0.0)
        results.append(
            Result(
                f"{title}, {n:.0e} float64: value and gradient",
                "s",
                times,
                [at_most(f"{title}, gpuad / autograd", times["gpuad"] / times["autograd"], 0.5)],
            )
        )
    return results


def entries() -> Result:
    """n steps of ``y = y + x[i]``."""
    counts = [1_000, 10_000, 100_000]
    figures = {}
    for n in counts:
        x = np.arange(n, dtype=float)
        both = gpuad.value_and_grad(lambda x, n=n: programs.add_entries(x, n))
        _, g = both(x)
        assert np.array_equal(g, np.ones(n))
        figures[f"gpuad, n = {n}"] = seconds({"": lambda both=both, x=x: both(x)}, rounds=5)[""]
    p = slope(counts, list(figures.values()))
    n = counts[0]
    x = np.arange(n, dtype=float)
    theirs = autograd.value_and_grad(lambda x: programs.add_entries(x, n))
    figures[f"autograd, n = {n}"] = seconds({"": lambda: theirs(x)}, rounds=5)[""]
    return Result(
        "n steps of y = y + x[i], value and gradient",
        "s",
        figures,
        [near("n steps of y = y + x[i], slope over n", p, 1, 0.15)],
    )


def writes() -> Result:
    """n writes into an array, of entries and of rows."""
    counts = [1_000, 10_000, 100_000]
    figures, checks = {}, []

    def measure(name: str, program: Callable[[Any, int], Any], input_of: Callable[[int], Any]) -> None:
        times = []
        for n in counts:
            x = input_of(n)
            both = gpuad.value_and_grad(lambda x, n=n: program(x, n))
            assert np.allclose(both(x)[0], program(x.copy(), n))
            times.append(seconds({"": lambda both=both, x=x: both(x)}, rounds=3)[""])
            figures[f"{name}, n = {n}"] = times[-1]
        checks.append(near(f"n writes of {name}, slope over n", slope(counts, times), 1, 0.15))

    measure("entries", lambda x, n: programs.write_entries(np, x), lambda n: np.linspace(0.0, 1.0, n))
    measure("rows", lambda x, n: programs.write_rows(np, x, n), lambda n: np.linspace(0.0, 1.0, 10))
    return Result("n writes into an array, value and gradient", "s", figures, checks)


def sparse() -> Result:
    """The tridiagonal Hessian of Rosenbrock's function; where it isn't zero is found anew at every call."""
    small, large = np.random.default_rng(0).normal(size=500), np.random.default_rng(0).normal(size=100_000)
    ours = gpuad.hessian(programs.rosenbrock, sparsity="detect")
    known = gpuad.hessian(programs.rosenbrock, sparsity=gpuad.hessian_sparsity(programs.rosenbrock)(large))
    theirs = autograd.hessian(programs.rosenbrock)
    agree({"autograd": [theirs(small)], "gpuad": [ours(small).toarray()]}, 1e-10)
    figures = {
        **seconds({"gpuad, n = 500": lambda: ours(small), "autograd, dense, n = 500": lambda: theirs(small)}, rounds=7),
        **seconds({"gpuad, n = 10^5": lambda: ours(large), "the same, pattern given": lambda: known(large)}, rounds=7),
    }
    at_500 = figures["gpuad, n = 500"] / figures["autograd, dense, n = 500"]
    return Result(
        "The sparse Hessian of Rosenbrock's function",
        "s",
        figures,
        [
            at_most("sparse Hessian, n = 500, gpuad / autograd, dense", at_500, 0.05),
            at_most("sparse Hessian, n = 10^5, seconds", figures["gpuad, n = 10^5"], 0.5),
        ],
    )


def words() -> Result:
    """What it costs to say ``numpy`` instead of ``gpuad.numpy``: single functions of a 4 x 4 matrix."""
    x = np.random.default_rng(5).uniform(0.5, 1.5, (4, 4)) + np.eye(4)
    calls = {
        "sin": lambda n, x: n.sin(x),
        "multiply": lambda n, x: n.multiply(x, x),
        "sum": lambda n, x: n.sum(x, axis=0),
        "mean": lambda n, x: n.mean(x),
        "concatenate": lambda n, x: n.concatenate([x, x]),
        "where": lambda n, x: n.where(x > 1.0, x, 0.0),
        "reshape": lambda n, x: n.reshape(x, (2, 8)),
        "matmul": lambda n, x: n.matmul(x, x),
        "einsum": lambda n, x: n.einsum("ij,jk->ik", x, x),
        "sort": lambda n, x: n.sort(x),
        "inv": lambda n, x: n.linalg.inv(x),
    }

    def ours(namespace: Any, f: Callable[..., Any]) -> Callable[[], Any]:
        def total(x: Any) -> Any:
            y = 0.0
            for _ in range(20):  # so that the fixed cost of a gradient doesn't hide theirs
                y = y + f(namespace, x)
            return y.sum()

        both = gpuad.value_and_grad(total)
        return lambda: both(x)

    ratios = {}
    for name, f in calls.items():
        times = seconds({"numpy": ours(np, f), "gpuad.numpy": ours(gnp, f)})
        ratios[name] = times["numpy"] / times["gpuad.numpy"]
    mean = float(np.exp(np.mean(np.log(list(ratios.values())))))
    return Result(
        "a function of a 4 x 4 matrix, value and gradient: through numpy / through gpuad.numpy",
        "",
        ratios,
        [at_most("numpy / gpuad.numpy, mean of the functions", mean, 1.2)],
    )


def memory(n: int = 1_000_000) -> Result:
    """What a tape holds: a chain of 200 elementwise operations."""
    x = np.random.default_rng(3).normal(size=n)
    contestants = {
        "gpuad": gpuad.value_and_grad(lambda x: programs.elementwise_chain(gnp, x)),
        "autograd": autograd.value_and_grad(lambda x: programs.elementwise_chain(anp, x)),
    }
    _check_agreement({name: lambda f=f: f(x) for name, f in contestants.items()}, 1e-9)
    figures = {}
    for name, f in contestants.items():
        peak, after = peak_bytes(lambda f=f: f(x))
        figures[f"{name}, at the peak"] = peak / x.nbytes
        figures[f"{name}, after the sweep"] = after / x.nbytes
    return Result(
        "200 elementwise operations on 1e6 float64: memory above the input",
        "arrays of 8 MB",
        figures,
        [
            at_most("200 operations on 1e6: arrays at the peak", figures["gpuad, at the peak"], 105),
            at_most("200 operations on 1e6: arrays after the sweep", figures["gpuad, after the sweep"], 3),
        ],
    )


DEPTHS = [2, 4, 8, 16, 32, 64]
WIDTHS = [128, 256, 512, 1024]
WIDTH, DEPTH, BATCH = 256, 4, 256


def scaling() -> Result:
    """How the time of a gradient grows with a network."""
    shapes = [(d, WIDTH) for d in DEPTHS] + [(DEPTH, w) for w in WIDTHS if w != WIDTH]
    calls: dict[str, Callable[[], object]] = {}
    for depth, width in shapes:
        weights = programs.mlp_weights([width] * (depth + 1))
        rng = np.random.default_rng(4)
        x = rng.normal(size=(BATCH, width)).astype("float32")
        onehot = np.eye(width, dtype="float32")[rng.integers(0, width, BATCH)]
        both = gpuad.value_and_grad(lambda w, x=x, onehot=onehot: programs.mlp_loss(gnp, w, x, onehot))
        calls[shape_name(depth, width)] = lambda both=both, weights=weights: both(weights)
    times = seconds(calls, rounds=9, sample=0.02)
    by_depth = [times[shape_name(d, WIDTH)] for d in DEPTHS]
    by_width = [times[shape_name(DEPTH, w)] for w in WIDTHS]
    # Below these, what is done once per call, or once per number, still shows beside the products.
    depths, widths = DEPTHS[2:], WIDTHS[1:]
    return Result(
        f"MLP of depth d and width w, batch {BATCH}, float32: value and gradient",
        "ms",
        {name: 1e3 * s for name, s in times.items()},
        [
            near(f"MLP, slope over depth {depths[0]} to {depths[-1]}", slope(depths, by_depth[2:]), 1, 0.15),
            near(f"MLP, slope over width {widths[0]} to {widths[-1]}", slope(widths, by_width[1:]), 2, 0.15),
        ],
        [
            f"over all depths {slope(DEPTHS, by_depth):.2f}",
            f"over all widths {slope(WIDTHS, by_width):.2f}",
        ],
    )


def shape_name(depth: int, width: int) -> str:
    return f"depth {depth}, width {width}"


ALL: dict[str, Callable[[], Result | list[Result]]] = {
    "overhead": overhead,
    "network": network,
    "large": large,
    "entries": entries,
    "writes": writes,
    "sparse": sparse,
    "words": words,
    "memory": memory,
    "scaling": scaling,
    "derivatives": derivatives.run,
    **{name: functools.partial(peer_goals.run, name) for name in peer_goals.GROUPS},
}


def run(name: str, only: str = "") -> list[Result]:
    """``only`` chooses rows of the groups of ``peer_goals``."""
    found = peer_goals.run(name, only) if only else ALL[name]()
    return found if isinstance(found, list) else [found]

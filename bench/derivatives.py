"""The goals of the other derivatives: Jacobians, Hessians, per-example gradients, checkpoints; one run beside all.

JAX is compiled (``jit``), PyTorch is ``torch.func``; each takes part where it is installed. All on one thread.
"""

import os
from collections.abc import Callable
from math import comb
from typing import Any

# Read when JAX is imported, which takes all cores otherwise.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import autograd
import autograd.numpy as anp
import numpy as np

import gpuad
import gpuad.numpy as gnp

from . import programs
from .measure import Check, Result, agree, at_most, peak_bytes, seconds

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None  # type: ignore[assignment]

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None  # type: ignore[assignment]

Call = Callable[[], Any]


def _compiled(f: Callable[..., Any], *args: Any) -> dict[str, Call]:
    """JAX as a contestant, where there is one: ``f(*args)`` compiled."""
    if jax is None:
        return {}
    g, given = jax.jit(f), jax.tree.map(jnp.asarray, args)
    return {"JAX jit": lambda: jax.block_until_ready(g(*given))}


def _functional(f: Callable[..., Any], *args: Any) -> dict[str, Call]:
    """PyTorch as a contestant: ``f(*args)`` with tensors in place of the arrays."""
    if torch is None:
        return {}
    given = [[torch.tensor(x) for x in a] if isinstance(a, list) else torch.tensor(a) for a in args]
    return {"torch.func": lambda: f(*given)}


def _agree(contestants: dict[str, Call], rtol: float = 1e-9) -> None:
    def arrays(found: Any) -> list[Any]:
        return list(found) if isinstance(found, (list, tuple)) else [found]

    agree({name: [np.asarray(x) for x in arrays(call())] for name, call in contestants.items()}, rtol)


def _milliseconds(contestants: dict[str, Call], **how: Any) -> dict[str, float]:
    return {name: 1e3 * s for name, s in seconds(contestants, **how).items()}


def jacobian() -> Result:
    """R¹⁰⁰ → R¹⁰⁰, three layers tanh(W x + b)."""
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(100, 100)) / 10, rng.normal(size=100)) for _ in range(3)]
    x = rng.normal(size=100)

    def chain(tanh: Any, x: Any, layers: Any = layers) -> Any:
        for w, b in layers:
            x = tanh(w @ x + b)
        return x

    def by_hand() -> Any:
        y, j = x, None
        for w, b in layers:
            y = np.tanh(w @ y + b)
            d = (1.0 - y * y)[:, None] * w
            j = d if j is None else d @ j
        return j

    ours, theirs = gpuad.jacobian(lambda x: chain(np.tanh, x)), autograd.jacobian(lambda x: chain(anp.tanh, x))
    contestants = {"by hand": by_hand, "gpuad": lambda: ours(x), "autograd": lambda: theirs(x)}
    if jax is not None:
        contestants |= _compiled(jax.jacrev(lambda x: chain(jnp.tanh, x)), x)
    if torch is not None:
        tensors = [(torch.tensor(w), torch.tensor(b)) for w, b in layers]
        contestants |= _functional(torch.func.jacrev(lambda x: chain(torch.tanh, x, tensors)), x)
    _agree(contestants)
    times = _milliseconds(contestants)
    ratio = times["gpuad"] / times["autograd"]
    return Result(
        "Jacobian of a chain of three layers, R^100 -> R^100",
        "ms",
        times,
        [at_most("Jacobian R^100 -> R^100, gpuad / autograd", ratio, 0.1)],
    )


def hessian() -> Result:
    """Rosenbrock's, dense."""
    x = np.random.default_rng(0).normal(size=500)
    ours, theirs = gpuad.hessian(programs.rosenbrock), autograd.hessian(programs.rosenbrock)
    contestants = {"gpuad": lambda: ours(x), "autograd": lambda: theirs(x)}
    if jax is not None:
        contestants |= _compiled(jax.hessian(programs.rosenbrock), x)
    if torch is not None:
        contestants |= _functional(torch.func.hessian(programs.rosenbrock), x)
    _agree(contestants)
    times = _milliseconds(contestants)
    ratio = times["gpuad"] / times["autograd"]
    return Result(
        "Hessian of Rosenbrock's function, n = 500, dense",
        "ms",
        times,
        [at_most("dense Hessian, n = 500, gpuad / autograd", ratio, 0.05)],
        ["the sparse one is in `python -m bench.check_goals sparse`"],
    )


def hvp(n: int = 1_000_000) -> Result:
    """A product with a Hessian beside a gradient."""
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=n), rng.normal(size=n)
    f = programs.rosenbrock
    product, gradient = gpuad.hvp(f), gpuad.grad(f)
    theirs = autograd.hessian_vector_product(f)
    contestants = {"gpuad": lambda: product(x, v), "autograd": lambda: theirs(x, v)}
    gradients = {"gpuad, gradient": lambda: gradient(x)}
    if jax is not None:
        contestants |= _compiled(lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1], x, v)
        gradients |= {"JAX jit, gradient": _compiled(jax.grad(f), x)["JAX jit"]}
    if torch is not None:
        contestants |= _functional(lambda x, v: torch.func.jvp(torch.func.grad(f), (x,), (v,))[1], x, v)
        gradients |= {"torch.func, gradient": _functional(torch.func.grad(f), x)["torch.func"]}
    _agree(contestants)
    times = _milliseconds(contestants | gradients, rounds=9, sample=0.0)
    ratios = {name: times[name] / times[f"{name}, gradient"] for name in contestants if f"{name}, gradient" in times}
    return Result(
        f"Hessian of Rosenbrock's function times a vector, n = {n:.0e}",
        "ms",
        times,
        [at_most("Hessian times a vector, n = 10^6, time / gradient", ratios["gpuad"], 3.0)],
        [f"{name}: {ratio:.2f} x its gradient" for name, ratio in ratios.items()],
    )


def examples() -> list[Result]:
    """The gradients of every example beside that of their mean."""
    return [_examples([64, 64, 64, 10]), _examples([784, 128, 10])]


def _examples(widths: list[int], n: int = 256) -> Result:
    weights = programs.mlp_weights(widths)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, widths[0])).astype("float32")
    onehot = np.eye(widths[-1], dtype="float32")[rng.integers(0, widths[-1], n)]

    def loss(xp: Any, w: Any, x: Any, onehot: Any) -> Any:
        z = programs.mlp(xp, w, x)
        return xp.log(xp.exp(z).sum()) - (z * onehot).sum()

    def by_hand() -> list[Any]:
        inputs, y = [x], x
        for k in range(0, len(weights) - 2, 2):
            y = np.tanh(y @ weights[k] + weights[k + 1])
            inputs.append(y)
        e = np.exp(y @ weights[-2] + weights[-1])
        g = e / e.sum(axis=1, keepdims=True) - onehot
        found: list[Any] = []
        for k in range(len(weights) - 2, -2, -2):
            h = inputs[k // 2]
            found[:0] = [np.einsum("ni,nj->nij", h, g), g]
            if k:
                g = (g @ weights[k].T) * (1.0 - h * h)
        return found

    mean = gpuad.grad(lambda w: programs.mlp_loss(gnp, w, x, onehot))
    ours = gpuad.vmap(gpuad.grad(lambda w, x, t: loss(gnp, w, x, t)), (None, 0, 0))
    contestants = {"gpuad": lambda: ours(weights, x, onehot), "by hand": by_hand}
    means = {"gpuad, their mean": lambda: mean(weights)}
    if jax is not None:
        theirs = jax.vmap(jax.grad(lambda w, x, t: loss(jnp, w, x, t)), (None, 0, 0))
        contestants |= _compiled(theirs, weights, x, onehot)
        of_mean = jax.grad(lambda w, x, t: programs.mlp_loss(jnp, w, x, t))
        means |= {"JAX jit, their mean": _compiled(of_mean, weights, x, onehot)["JAX jit"]}
    if torch is not None:
        gradients = torch.func.vmap(torch.func.grad(lambda w, x, t: loss(torch, w, x, t)), (None, 0, 0))
        contestants |= _functional(gradients, weights, x, onehot)
        mean_of = torch.func.grad(lambda w, x, t: programs.mlp_loss(torch, w, x, t))
        means |= {"torch.func, their mean": _functional(mean_of, weights, x, onehot)["torch.func"]}
    _agree(contestants, 1e-4)
    for _ in range(40):  # by then what is worth a compiler is compiled
        contestants["gpuad"]()

    def written() -> list[Any]:
        """As large arrays as the results are, which are new ones at every call."""
        found = [np.empty((n, *w.shape), w.dtype) for w in weights]
        for r in found:
            r.fill(1.0)
        return found

    times = _milliseconds({**contestants, **means, "writing as many numbers": written}, rounds=9)
    ratios = {
        name: times[name] / times[f"{name}, their mean"] for name in contestants if f"{name}, their mean" in times
    }
    floor = times["writing as many numbers"]
    megabytes = sum(n * w.nbytes for w in weights) / 1e6
    shape = "-".join(map(str, widths))
    return Result(
        f"MLP {shape}, float32: gradients of each of {n} examples",
        "ms",
        times,
        [
            at_most(f"MLP {shape}, of each example / of their mean", ratios["gpuad"], 2.0)
            if floor < times["gpuad, their mean"]
            else at_most(f"MLP {shape}, of each example / writing as much", times["gpuad"] / floor, 1.5),
            at_most(f"MLP {shape}, of each example, gpuad / by hand", times["gpuad"] / times["by hand"], 1.5),
        ],
        [
            f"the results are {megabytes:.0f} MB: to write them takes {floor / times['gpuad, their mean']:.2f} x "
            f"gpuad's gradient of the mean, and gpuad takes {times['gpuad'] / floor:.1f} x as long",
            *(f"{name}: {ratio:.2f} x its gradient of the mean" for name, ratio in ratios.items()),
        ],
    )


def evaluations(n: int, memory: int) -> int:
    """How many single steps without a record a gradient takes, beside n with one (Griewank and Walther 2000)."""
    r = 1
    while comb(memory + r, memory) < n:
        r += 1
    return r * n - comb(memory + r, memory + 1)


def checkpoints() -> list[Result]:
    """The heat equation on a periodic square, 1000 steps, through ``checkpoint_sequence``."""
    rate = 0.1

    def explicit(u: Any, i: int, k: Any) -> Any:
        around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
        return u + rate * k * (around - 4.0 * u)

    waves = np.fft.fftfreq(256)[:, None] ** 2 + np.fft.rfftfreq(256) ** 2

    def exact(u: Any, i: int, k: Any) -> Any:
        return np.fft.irfft2(np.fft.rfft2(u) * np.exp(-rate * k * (2.0 * np.pi) ** 2 * waves))

    return [_checkpoints(explicit, "differences"), _checkpoints(exact, "Fourier transforms")]


def _checkpoints(step: Any, how: str, size: int = 256, steps: int = 1000, memory: int = 10) -> Result:
    u, k = np.random.default_rng(2).normal(size=(size, size)), 1.0
    run = gpuad.checkpoint_sequence(step, steps, memory=memory)
    gradient = gpuad.grad(lambda u, k: np.sum(run(u, k) ** 2), (0, 1))
    of_one = gpuad.grad(lambda u, k: np.sum(step(u, 0, k) ** 2), (0, 1))
    calls = 0

    def counted(u: Any, i: int, k: Any) -> Any:
        nonlocal calls
        calls += 1
        return u * k

    gpuad.grad(lambda u: gpuad.checkpoint_sequence(counted, steps, memory=memory)(u, k))(1.0)

    states = [u] * (memory + 1)  # those which are kept aren't in the cache, as that of a simple loop is

    def some() -> None:
        for i in range(99):
            states[i % len(states)] = step(states[i % len(states) - 1], i, k)

    def of_some() -> None:
        for state in states:
            of_one(state, k)

    times = seconds({"gradient": lambda: gradient(u, k), "steps": some, "of some": of_some}, rounds=5)
    each, of_each = times["steps"] / 99, times["of some"] / len(states)
    predicted = evaluations(steps, memory) * each + steps * of_each
    peak, peak_of_one = (peak_bytes(f)[0] / u.nbytes for f in (lambda: gradient(u, k), lambda: of_one(u, k)))
    title = f"{steps} steps of the heat equation by {how}"
    more = calls - steps - evaluations(steps, memory)
    return Result(
        f"{title}, {size} x {size}, {memory} states kept: gradient",
        "",
        {
            "seconds": times["gradient"],
            "seconds, predicted": predicted,
            "milliseconds of a step": 1e3 * each,
            "milliseconds of a step's gradient": 1e3 * of_each,
            "evaluations of a step": calls,
            "memory at the peak, in states": peak,
            "memory of a step's gradient, in states": peak_of_one,
        },
        [
            Check(f"{title}: evaluations beyond the schedule's", more, "0", more == 0),
            at_most(f"{title}: time / predicted", times["gradient"] / predicted, 1.05),
            at_most(f"{title}: states at the peak", peak, memory + 1 + peak_of_one + 0.5),
        ],
        [
            f"predicted are {evaluations(steps, memory)} evaluations and {steps} gradients of a single step",
            "at the peak there are the states kept, a cotangent, what the gradient of a step needs, and small objects",
        ],
    )


def run() -> list[Result]:
    return [jacobian(), hessian(), hvp(), *examples(), *checkpoints()]

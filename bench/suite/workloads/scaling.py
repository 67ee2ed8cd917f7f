"""How time grows with size, depth and width; and memory, with and without checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..workload import Workload, sizes
from .chains import gelu, gelu_by_hand
from .networks import layers, perceptron, perceptron_by_hand


def _square_network(rng: Any, depth: int, width: int, dtype: str = "float64") -> list[Any]:
    return layers(rng, [width] * (depth + 1), 256)


def _networks(scale: str, name: str, full: list[dict[str, int]], quick: list[dict[str, int]]) -> list[Workload]:
    """The number of arrays depends on the depth, so each depth is a workload of its own, under one name."""

    def of(params: dict[str, int], *, in_quick: bool, in_full: bool) -> Workload:
        there = sizes(params, dtypes=("float32",))
        return Workload(
            "scaling", name, perceptron, _square_network, there if in_full else (), there if in_quick else (),
            differentiated=2 * params["depth"], by_hand=perceptron_by_hand, scale=scale,
        )  # fmt: skip

    both = [p for p in full if p in quick]
    only = [of(p, in_quick=False, in_full=True) for p in full if p not in both]
    return only + [of(p, in_quick=True, in_full=p in both) for p in quick]


def _rounds(x: Any, np: Any, steps: int) -> Any:
    for _ in range(steps):
        x = np.sin(x)
        x = x * 1.01
    return x


def long_chain(np: Any, x: Any, count: Any) -> Any:
    """Of every two operations the derivative of one needs a saved array, so half are a tape's least."""
    return np.sum(_rounds(x, np, count.shape[0] // 2))


def checkpointed_chain(np: Any, x: Any, count: Any, *, checkpoint: Callable[..., Any]) -> Any:
    """The same in pieces of which only the ends are kept."""
    part = checkpoint(lambda x: _rounds(x, np, 10))
    for _ in range(count.shape[0] // 20):
        x = part(x)
    return np.sum(x)


def _chain(rng: Any, n: int, operations: int) -> list[Any]:
    return [rng.normal(size=n), rng.integers(0, 2, operations)]


_DEPTHS = [{"depth": d, "width": 256} for d in (2, 4, 8, 16, 32)]
_WIDTHS = [{"depth": 4, "width": w} for w in (128, 256, 512, 1024)]
_LONG = {"n": 10**6, "operations": 200}

WORKLOADS = [
    Workload(
        "scaling", "GELU by size", gelu, lambda rng, n: [rng.normal(size=n)],
        sizes(*(10**k for k in range(1, 8))), sizes(10, 1000, 10**5), by_hand=gelu_by_hand, scale="n",
    ),
    *_networks("depth", "MLP by depth", _DEPTHS, [{"depth": d, "width": 128} for d in (2, 4, 8)]),
    *_networks("width", "MLP by width", _WIDTHS, [{"depth": 2, "width": w} for w in (64, 128, 256)]),
    Workload("memory", "a chain", long_chain, _chain, sizes(_LONG), sizes({"n": 10**5, "operations": 100})),
    Workload(
        "memory", "a chain with checkpoints", checkpointed_chain, _chain,
        sizes(_LONG), sizes({"n": 10**5, "operations": 100}), kind="checkpointed",
    ),
]  # fmt: skip

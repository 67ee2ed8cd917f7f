"""A workload: one program over ``np``, its inputs, and the sizes it is measured at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

Program = Callable[..., Any]
Params = Mapping[str, Any]

#: What is computed of a program ``f``. Its first inputs are the differentiated ones.
KINDS = {
    "forward": "f(*inputs)",
    "gradient": "the scalar f(*inputs), and its gradients",
    "checkpointed": "the same, where f(*inputs, checkpoint=...) says what is computed again instead of kept",
    "pullback": "the array f(*inputs), and the gradients of its product with a cotangent, which is the last input",
    "jacobian": "the Jacobian of f: R^n -> R^m in its first input",
    "hessian": "the Hessian of the scalar f in its first input",
    "hvp": "the Hessian of f in its first input, times the last one, which f isn't given",
    "examples": "the gradient in the first input for each example in the first axis of the others, of one each",
}


@dataclass(frozen=True)
class Workload:
    """A program and what is computed of it.

    ``program(np, *inputs)`` uses operators, and functions that all namespaces of NumPy's names have.
    ``inputs(rng, **params)`` makes its arrays; the first ``differentiated`` of them are differentiated.
    ``by_hand(np, *inputs)`` returns what ``kind`` asks for as a tuple of arrays, as somebody with patience would write
    it in NumPy or CuPy; ``None`` where nobody has.
    ``sizes`` are the parameters of a full run, ``quick`` those of a quick one (none: it takes no part there).
    ``scale`` names the parameter that a plot goes over.
    """

    group: str
    name: str
    program: Program
    inputs: Callable[..., Sequence[Any]]
    sizes: tuple[Params, ...]
    quick: tuple[Params, ...] = ()
    differentiated: int = 1
    kind: str = "gradient"
    by_hand: Program | None = None
    scale: str | None = None
    #: Whether the program is a loop, by ``repeat``.
    loops: bool = False
    #: Of float64 and float32; relative to the largest entry of a result.
    tolerances: tuple[float, float] = (1e-8, 2e-4)

    def cases(self, quick: bool) -> list[Case]:
        return [Case(self, params) for params in (self.quick if quick else self.sizes)]


@dataclass(frozen=True)
class Case:
    """A workload at one size."""

    workload: Workload
    params: Params

    @property
    def size(self) -> str:
        def text(value: Any) -> str:
            return f"{value:.0e}".replace("e+0", "e") if isinstance(value, int) and value >= 10_000 else str(value)

        return ", ".join(v if k == "dtype" else f"{k} {text(v)}" for k, v in self.params.items())

    @property
    def name(self) -> str:
        """Unique: ``chains/GELU [n 1e6, float32]``."""
        return f"{self.workload.group}/{self.workload.name} [{self.size}]"

    @property
    def dtype(self) -> str:
        return str(self.params.get("dtype", "float64"))

    @property
    def rtol(self) -> float:
        return self.workload.tolerances[self.dtype == "float32"]

    def inputs(self, seed: int) -> list[numpy.ndarray[Any, Any]]:
        """Fresh arrays. A pullback's last one is the cotangent."""
        rng = numpy.random.default_rng(seed)
        arrays = [self._cast(x) for x in self.workload.inputs(rng, **self.params)]
        if self.workload.kind == "pullback":
            ans = self.workload.program(numpy, *arrays)
            arrays.append(self._cast(rng.normal(size=ans.shape)))
        return arrays

    def _cast(self, x: Any) -> numpy.ndarray[Any, Any]:
        x = numpy.asarray(x)
        return x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x


def repeat(np: Any, step: Callable[..., Any], state: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """``state = step(t, *state)`` for t = 0, 1, ...: a Python loop, but for who has, and needs, another kind.

    JAX writes a Python loop out, and compiles 20 steps of a stencil in a minute, so its users write ``lax.scan``.
    """
    loop = getattr(np, "loop", None)
    if loop is not None:
        return tuple(loop(step, state, count))
    for t in range(count):
        state = step(t, *state)
    return state


def sizes(*values: Any, dtypes: Sequence[str] = ("float64",), name: str = "n") -> tuple[Params, ...]:
    """``{name: value, "dtype": dtype}`` for all of them; a value may be a dictionary of several parameters."""
    return tuple(
        {**(v if isinstance(v, dict) else {name: v}), **({"dtype": d} if dtypes != ("float64",) else {})}
        for v in values
        for d in dtypes
    )

"""Who computes: one adapter for each contestant. Here are gpuad, by hand, and autograd; ``peers.py`` has the compilers.

An adapter is given a case once, and returns a function of its own kind of arrays. One that can't take part says why,
and that is reported instead of a time.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from .workload import Case

Call = Callable[..., Any]


class NotOffered(Exception):
    """This contestant has nothing for this case. The text is the reason."""


class Adapter:
    """A contestant on one device."""

    #: As it is called in tables, and chosen with ``--peers``.
    name: str
    #: ``"cpu"`` or ``"gpu"``.
    device = "cpu"
    #: Whether all its memory passes through NumPy, whose allocations Python's ``tracemalloc`` sees.
    allocates_with_numpy = True
    #: Whether it compiles what has been called often, so that it must be called for a while before it is timed.
    compiles_late = False
    #: A guess at the seconds of its first call, before one was seen: what a run that is short of time leaves out.
    first_call_guess = 0.5

    @property
    def label(self) -> str:
        return self.name if self.device == "cpu" else f"{self.name} (GPU)"

    def missing(self) -> str | None:
        """Why it can't take part at all; ``None`` if it can. Doesn't import anything large."""
        return None

    def load(self, threads: int) -> None:
        """Import what is needed, and let it have so many threads."""

    def array(self, x: numpy.ndarray[Any, Any]) -> Any:
        """An input as this contestant's kind of array, on its device."""
        return x

    def prepare(self, case: Case) -> Call:
        """A function of such arrays that computes what the case asks for. Raises ``NotOffered``."""
        raise NotImplementedError

    def wait(self, result: Any) -> None:
        """Return when ``result`` has been computed."""

    def to_host(self, result: Any) -> list[numpy.ndarray[Any, Any]]:
        """What the call returned, as NumPy arrays."""
        return [numpy.asarray(x) for x in result]


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def version(*packages: str) -> str | None:
    """Of the first of these distributions that is installed."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def with_value(pair: Any) -> tuple[Any, ...]:
    value, gradients = pair
    return value, *gradients


def fed(program: Callable[..., Any], np: Any, constants: Sequence[Any]) -> Call:
    """``program`` as a function of its differentiated inputs alone."""
    return lambda *inputs: program(np, *inputs, *constants)


class OnCuPy(Adapter):
    """What runs on NumPy and on CuPy alike: the arrays that go in decide."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.allocates_with_numpy = device == "cpu"

    def missing(self) -> str | None:
        return None if self.device == "cpu" else no_gpu()

    def array(self, x: numpy.ndarray[Any, Any]) -> Any:
        return x if self.device == "cpu" else cupy().asarray(x)

    def wait(self, result: Any) -> None:
        if self.device == "gpu":
            cupy().cuda.get_current_stream().synchronize()

    def to_host(self, result: Any) -> list[numpy.ndarray[Any, Any]]:
        return [numpy.asarray(x) if self.device == "cpu" else cupy().asnumpy(x) for x in result]


@functools.cache
def cupy() -> Any:
    import cupy

    return cupy


@functools.cache
def no_gpu() -> str | None:
    import gpuad

    return gpuad.backend.get("cupy").unavailable()


class ByHand(OnCuPy):
    """The gradient as somebody with patience would write it in NumPy, or CuPy."""

    name = "by hand"

    def prepare(self, case: Case) -> Call:
        if case.workload.by_hand is None:
            raise NotOffered("nobody has written this one by hand")
        return functools.partial(case.workload.by_hand, numpy if self.device == "cpu" else cupy())


class Gpuad(OnCuPy):
    """gpuad, operation by operation: what one gets without asking for more."""

    name = "gpuad"
    compiles_late = True

    def load(self, threads: int) -> None:
        pass

    def prepare(self, case: Case) -> Call:
        import gpuad
        import gpuad.numpy as np

        w = case.workload
        argnums = tuple(range(w.differentiated))
        f = functools.partial(w.program, np)
        if w.kind == "forward":
            return lambda *inputs: (f(*inputs),)
        if w.kind in ("gradient", "checkpointed"):
            if w.kind == "checkpointed":
                f = functools.partial(f, checkpoint=gpuad.checkpoint)
            both = gpuad.value_and_grad(f, argnums)
            return lambda *inputs: with_value(both(*inputs))
        if w.kind == "pullback":

            def pullback(*inputs: Any) -> Any:
                *arrays, g = inputs
                n = w.differentiated
                value, pull = gpuad.vjp(fed(w.program, np, arrays[n:]), *arrays[:n])
                return value, *pull(g)

            return pullback
        if w.kind == "jacobian":
            jacobian = gpuad.jacobian(f)
            return lambda *inputs: (jacobian(*inputs),)
        if w.kind == "hessian":
            hessian = gpuad.hessian(f)
            return lambda *inputs: (hessian(*inputs),)
        if w.kind == "hvp":

            def product(*inputs: Any) -> Any:
                x, *constants, v = inputs
                return (gpuad.hvp(fed(w.program, np, constants))(x, v),)

            return product
        one = gpuad.grad(f)
        return lambda *inputs: (gpuad.vmap(one, in_axes=(None, *[0] * (len(inputs) - 1)))(*inputs),)


class GpuadUnfused(Gpuad):
    """The same with every operation on its own, to see what fusing gains."""

    name = "gpuad unfused"

    def prepare(self, case: Case) -> Call:
        import gpuad

        call = super().prepare(case)

        def unfused(*inputs: Any) -> Any:
            with gpuad.fusion(False):
                return call(*inputs)

        return unfused


class GpuadJit(Gpuad):
    """The whole call, recorded once and replayed."""

    name = "gpuad jit"
    first_call_guess = 2.0

    def prepare(self, case: Case) -> Call:
        import gpuad

        return gpuad.jit(super().prepare(case))


class Autograd(Adapter):
    """HIPS autograd, for NumPy."""

    name = "autograd"
    first_call_guess = 1.0

    def missing(self) -> str | None:
        return None if installed("autograd") else "autograd isn't installed (pip install autograd)"

    def load(self, threads: int) -> None:
        import autograd.numpy  # noqa: F401

    def prepare(self, case: Case) -> Call:
        import autograd
        import autograd.numpy as np
        from autograd.differential_operators import checkpoint

        w = case.workload
        n = w.differentiated
        program = w.program
        f = functools.partial(program, np)
        if w.kind == "forward":
            return lambda *inputs: (f(*inputs),)
        if w.kind in ("gradient", "checkpointed"):
            if w.kind == "checkpointed":
                program = functools.partial(program, checkpoint=checkpoint)

            def gradient(*inputs: Any) -> Any:
                both = autograd.value_and_grad(lambda chosen: program(np, *chosen, *inputs[n:]))
                return with_value(both(inputs[:n]))

            return gradient
        if w.kind == "pullback":

            def pullback(*inputs: Any) -> Any:
                *arrays, g = inputs
                pull, value = autograd.make_vjp(lambda chosen: program(np, *chosen, *arrays[n:]))(tuple(arrays[:n]))
                return value, *pull(g)

            return pullback
        if w.kind == "jacobian":
            jacobian = autograd.jacobian(f)
            return lambda *inputs: (jacobian(*inputs),)
        if w.kind == "hessian":
            hessian = autograd.hessian(f)
            return lambda *inputs: (hessian(*inputs),)
        if w.kind == "hvp":

            def product(*inputs: Any) -> Any:
                x, *constants, v = inputs
                return (autograd.hessian_vector_product(fed(program, np, constants))(x, v),)

            return product
        raise NotOffered("autograd has no vmap")

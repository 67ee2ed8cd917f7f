"""The contestants that compile, or have arrays of their own: JAX and PyTorch. And the list of all contestants."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy

from .adapters import Adapter, Autograd, ByHand, Call, Gpuad, GpuadJit, GpuadUnfused, NotOffered, installed, with_value
from .workload import Case


class Jax(Adapter):
    """JAX, compiled, with its own loops. Products in full float32 on a GPU too, as everywhere else here."""

    name = "JAX jit"
    allocates_with_numpy = False
    first_call_guess = 2.0

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def missing(self) -> str | None:
        if not installed("jax"):
            return "JAX isn't installed (pip install jax)"
        return "this JAX sees no GPU" if self.device == "gpu" and self._device() is None else None

    def _device(self) -> Any:
        return _jax_device(self.device)

    def load(self, threads: int) -> None:
        self._device()

    def array(self, x: numpy.ndarray[Any, Any]) -> Any:
        return _jax().device_put(x, self._device())

    def namespace(self, case: Case) -> Any:
        return JaxNumpy()

    def prepare(self, case: Case) -> Call:
        jax = _jax()
        w = case.workload
        n = w.differentiated
        f = functools.partial(w.program, self.namespace(case))
        if w.kind == "checkpointed":
            f = functools.partial(f, checkpoint=jax.checkpoint)
        calls: dict[str, Call] = {
            "forward": lambda *inputs: (f(*inputs),),
            "gradient": lambda *inputs: with_value(jax.value_and_grad(f, tuple(range(n)))(*inputs)),
            "jacobian": lambda *inputs: (jax.jacrev(f)(*inputs),),
            "hessian": lambda *inputs: (jax.hessian(f)(*inputs),),
            "examples": lambda *inputs: (jax.vmap(jax.grad(f), (None, *[0] * (len(inputs) - 1)))(*inputs),),
        }
        calls["checkpointed"] = calls["gradient"]

        def pullback(*inputs: Any) -> Any:
            *arrays, g = inputs
            value, pull = jax.vjp(lambda *chosen: f(*chosen, *arrays[n:]), *arrays[:n])
            return value, *pull(g)

        def product(*inputs: Any) -> Any:
            x, *constants, v = inputs
            return (jax.jvp(jax.grad(lambda x: f(x, *constants)), (x,), (v,))[1],)

        compiled: Call = jax.jit({**calls, "pullback": pullback, "hvp": product}[w.kind])
        if self.device == "gpu":
            return compiled
        # On the CPU calls overlap; on a GPU they queue, and the last result is waited for.
        return lambda *inputs: jax.block_until_ready(compiled(*inputs))

    def wait(self, result: Any) -> None:
        _jax().block_until_ready(result)


class JaxUnrolled(Jax):
    """The same with loops written out, as the program has them. Compiling may take minutes."""

    name = "JAX unrolled"
    first_call_guess = 60.0

    def namespace(self, case: Case) -> Any:
        if not case.workload.loops:
            raise NotOffered("there is no loop to write out")
        return _jax().numpy


class JaxNumpy:
    """``jax.numpy``, and a loop that isn't written out."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_jax().numpy, name)

    @staticmethod
    def loop(step: Callable[..., Any], state: tuple[Any, ...], count: int) -> Any:
        jax = _jax()
        return jax.lax.scan(lambda carry, t: (step(t, *carry), None), state, jax.numpy.arange(count))[0]


@functools.cache
def _jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)  # else float64 in is float32 out
    jax.config.update("jax_default_matmul_precision", "highest")
    return jax


@functools.cache
def _jax_device(kind: str) -> Any:
    try:
        return _jax().devices(kind)[0]
    except RuntimeError:
        return None


class Torch(Adapter):
    """PyTorch, operation by operation."""

    name = "torch"
    allocates_with_numpy = False
    first_call_guess = 1.0

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def missing(self) -> str | None:
        if not installed("torch"):
            return "PyTorch isn't installed (pip install torch)"
        if self.device == "gpu" and not _torch().cuda.is_available():
            return "this PyTorch sees no GPU"
        return None

    def load(self, threads: int) -> None:
        _torch().set_num_threads(threads)

    def array(self, x: numpy.ndarray[Any, Any]) -> Any:
        return _torch().as_tensor(numpy.asarray(x, order="C"), device="cuda" if self.device == "gpu" else "cpu")

    def program(self, case: Case) -> Callable[..., Any]:
        """Of tensors, all of them positional."""
        f = functools.partial(case.workload.program, TorchNumpy())
        if case.workload.kind == "checkpointed":
            from torch.utils.checkpoint import checkpoint

            kept = functools.partial(checkpoint, use_reentrant=False)
            f = functools.partial(f, checkpoint=lambda part: functools.partial(kept, part))
        return f

    def prepare(self, case: Case) -> Call:
        torch = _torch()
        f, w = self.program(case), case.workload
        n = w.differentiated

        def gradient(*inputs: Any) -> Any:
            chosen = [x.detach().requires_grad_() for x in inputs[:n]]
            value = f(*chosen, *inputs[n:])
            return value.detach(), *torch.autograd.grad(value, chosen)

        def pullback(*inputs: Any) -> Any:
            *arrays, g = inputs
            chosen = [x.detach().requires_grad_() for x in arrays[:n]]
            value = f(*chosen, *arrays[n:])
            return value.detach(), *torch.autograd.grad(value, chosen, g)

        def forward(*inputs: Any) -> Any:
            with torch.no_grad():
                return (f(*inputs),)

        def product(*inputs: Any) -> Any:
            x, *constants, v = inputs
            return (torch.func.jvp(torch.func.grad(lambda x: f(x, *constants)), (x,), (v,))[1],)

        def examples(*inputs: Any) -> Any:
            return (torch.func.vmap(torch.func.grad(f), (None, *[0] * (len(inputs) - 1)))(*inputs),)

        return {
            "forward": forward,
            "gradient": gradient,
            "checkpointed": gradient,
            "pullback": pullback,
            "jacobian": lambda *inputs: (torch.func.jacrev(f)(*inputs),),
            "hessian": lambda *inputs: (torch.func.hessian(f)(*inputs),),
            "hvp": product,
            "examples": examples,
        }[w.kind]

    def wait(self, result: Any) -> None:
        if self.device == "gpu":
            _torch().cuda.synchronize()

    def to_host(self, result: Any) -> list[numpy.ndarray[Any, Any]]:
        return [x.detach().cpu().numpy() for x in result]


class TorchCompile(Torch):
    """PyTorch, compiled by Inductor."""

    name = "torch.compile"
    first_call_guess = 15.0
    unrolls = False

    def program(self, case: Case) -> Callable[..., Any]:
        if case.workload.kind not in ("forward", "gradient", "pullback"):
            raise NotOffered("compiled, it is measured on gradients and on single operations only")
        if case.workload.loops and not self.unrolls:
            raise NotOffered("it writes loops out, and compiles for minutes (--peers 'torch.compile unrolled')")
        if self.unrolls and not case.workload.loops:
            raise NotOffered("there is no loop to write out")
        torch = _torch()
        torch.compiler.reset()  # or the cases before count against its limit of compilations
        return torch.compile(super().program(case), dynamic=False)  # type: ignore[no-any-return]


class TorchCompileUnrolled(TorchCompile):
    """The same where the program is a loop. Compiling may take minutes."""

    name = "torch.compile unrolled"
    first_call_guess = 60.0
    unrolls = True


@functools.cache
def _torch() -> Any:
    import torch

    return torch


class TorchNumpy:
    """NumPy's names for PyTorch's functions: those that differ, and for all others PyTorch itself.

    PyTorch takes ``axis`` and ``keepdims`` for its own ``dim`` and ``keepdim`` in most functions.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(_torch(), name)

    @staticmethod
    def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return x.amax() if axis is None else x.amax(axis, keepdims)

    @staticmethod
    def roll(x: Any, shift: int, axis: int) -> Any:
        return _torch().roll(x, shift, axis)

    @staticmethod
    def cumsum(x: Any, axis: int) -> Any:
        return _torch().cumsum(x, axis)

    @staticmethod
    def diagonal(x: Any) -> Any:
        return _torch().diagonal(x)


def contestants() -> list[Adapter]:
    """All of them, in the order of the tables."""
    on_both = (Gpuad, GpuadUnfused, GpuadJit, ByHand), (Jax, JaxUnrolled, Torch, TorchCompile, TorchCompileUnrolled)
    ours, theirs = ([kind(device) for device in ("cpu", "gpu") for kind in kinds] for kinds in on_both)
    return [*ours, Autograd(), *theirs]


#: Who takes part only when asked for by name: in a quick run (the first call takes up to a minute), and in any
#: (every first call may take minutes).
SLOW = frozenset({TorchCompile.name})
ON_REQUEST = frozenset({JaxUnrolled.name, TorchCompileUnrolled.name})


def settings(threads: int) -> dict[str, str]:
    """Environment variables that must be set before any of the libraries is imported."""
    n = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "GPUAD_NUM_THREADS")
    flags = os.environ.get("XLA_FLAGS", "")
    if threads == 1 and "multi_thread_eigen" not in flags:
        flags = f"{flags} --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1".strip()
    # JAX takes three quarters of a GPU's memory otherwise, and leaves the others short.
    jax = {"XLA_FLAGS": flags, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_ENABLE_X64": "1"}
    # A pool of processes would compile, whose processor time isn't seen.
    return dict.fromkeys(names, n) | jax | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}


def slowed() -> str | None:
    """A warning if the environment tells NumPy's OpenBLAS to take other kernels than it would."""
    found = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    return f"{' and '.join(found)} may slow down NumPy's products; unset to measure" if found else None

"""Who runs a plan on the host: generated C, or NumPy block by block.

``GPUAD_CPU_EXECUTOR`` forces one: ``c``, ``numpy``, or ``none``, by which nothing is fused at all. Without it a plan
is compiled once there is work enough to make up for the wait. Where C can't be had, NumPy does it, and says so once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from ..backend import numpy_backend
from ..errors import BackendError
from .plan import Call, Plan

#: Operations on entries after which a plan is compiled. C gains some 0.14 ns in each (0.1 to 0.25 ns in usual programs,
#: more where NumPy has no vector instructions for a function), so that a compiler, which takes 60 to 150 ms, isn't
#: waited for before NumPy has lost 20 ms.
WORTH_COMPILING = 1 << 27
#: So many compiled plans are remembered.
REMEMBERED = 512

Runner = Callable[[Call], None]


class Choice(NamedTuple):
    executor: str
    reason: str


def host_choice() -> Choice:
    """Which executor runs large plans on the host, ``"c"``, ``"numpy"`` or ``"none"``, and why."""
    forced = asked()
    if forced in ("numpy", "none"):
        return Choice(forced, f"asked for by GPUAD_CPU_EXECUTOR={forced}")
    from . import compiler

    reason = compiler.unavailable()
    if reason is not None:
        return Choice("numpy", reason)
    return Choice("c", "asked for by GPUAD_CPU_EXECUTOR=c" if forced else "NumPy does what isn't worth compiling")


def host_executor() -> str:
    """Which executor runs large plans on the host: ``"c"``, ``"numpy"`` or ``"none"``."""
    return host_choice().executor


def enabled() -> bool:
    """Whether anything may be fused on the host."""
    return asked() != "none"


def operations(plan: Plan) -> int:
    """What a plan has to do at a point, an addition being 1, an exponential 7, an error function 18."""
    from .c_order import instructions

    return sum(3 + instructions(step.scalar) for step in plan.steps) // 4 or 1


def compile_host(plan: Plan, work: int) -> Runner:
    """What runs ``plan`` on NumPy arrays. ``work``: how many points, times its ``operations``, it has had to do.

    Plans are remembered: asking again for one costs a look-up.
    """
    forced = asked()
    in_c = forced == "c" or (forced == "" and work >= WORTH_COMPILING)
    return _compiled(plan, in_c)


def asked() -> str:
    """The executor that ``GPUAD_CPU_EXECUTOR`` forces, or nothing."""
    name = os.environ.get("GPUAD_CPU_EXECUTOR", "")
    if name not in ("", "c", "numpy", "none"):
        raise BackendError(f"GPUAD_CPU_EXECUTOR={name}: expected c, numpy or none, or nothing for the best at hand")
    return name


@functools.lru_cache(REMEMBERED)
def _compiled(plan: Plan, in_c: bool) -> Runner:
    if in_c:
        from . import host
        from .compiler import CompilerUnavailable

        try:
            return host.compile(plan)
        except CompilerUnavailable as unavailable:
            _warn_once(unavailable.reason)
        except NotImplementedError:  # a plan that C can't do, of float16 or long double, say
            pass
        return _compiled(plan, False)
    from . import blocks

    return blocks.compile(plan, numpy_backend.function)


class WhenWorthIt:
    """What ``make`` compiles, once there was so much to do that the time of a compiler is made up for."""

    def __init__(self, make: Callable[[], Any], worth_compiling: int) -> None:
        self._make, self._worth_compiling = make, worth_compiling
        self._worked = 0
        self._made: Any = None

    def ready(self, work: int) -> Any:
        """It, or ``None`` where NumPy is to do it: until then, and without a compiler. ``work`` is what comes now."""
        if self._made is None and self._worked < self._worth_compiling:
            self._worked += work
            if self._worked >= self._worth_compiling and host_executor() == "c":
                from .compiler import CompilerUnavailable

                with contextlib.suppress(CompilerUnavailable):
                    self._made = self._make()
        return self._made


_warned = False


def _warn_once(reason: str) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"gpuad runs fused kernels in NumPy instead of C, which is slower: {reason}. Name a C compiler with GPUAD_CC; "
        "with GPUAD_CPU_EXECUTOR=numpy none is looked for, and this isn't said",
        RuntimeWarning,
        stacklevel=2,
    )

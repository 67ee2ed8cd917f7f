"""CuPy's own functions on traced arrays: what CuPy asks an argument before it launches a kernel.

Every ufunc and every ``ElementwiseKernel`` calls ``__cupy_override_elementwise_kernel__`` of an argument
that has it, and CuPy's own reductions ``__cupy_override_reduction_kernel__``; most other functions of CuPy
call a method of their argument. What goes neither way, such as ``cupy.concatenate``, asks nobody: CuPy
raises some error of its own then, for which ``explain`` raises one that says what to do.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from . import array_methods  # noqa: F401 - some of the methods that it gives to traced arrays are replaced here
from .core.box import Box
from .errors import UnsupportedError
from .numpy.frontend import functions, is_traced, unsupported

#: What stands for a kernel of CuPy's or a user's where an argument is traced. Kernels are known by identity, for a
#: program's own may be called as CuPy's are.
kernels: dict[Any, Callable[..., Any]] = {}

#: The kernels behind functions of CuPy that aren't ufuncs themselves, by the names in CuPy's source.
_BEHIND = {"cupy_where": "where", "cupy_clip": "clip", "cupy_angle": "angle"}
_REDUCTIONS = ("cupy_count_nonzero", "cupy_nanmax", "cupy_nanmin")
_NAMESPACES = {"cupy": "", "cupyx": "", "cupyx.scipy.special": "scipy.special."}
#: What CuPy has and NumPy hasn't.
_OF_CUPY: dict[str, Callable[..., Any]] = {"rsqrt": lambda x: 1.0 / functions["sqrt"](x)}


def is_kernel(x: Any) -> bool:
    """Whether ``x`` is a kernel of a program's own that is called with arrays, not with a grid of threads."""
    return any(
        c.__name__ in ("ElementwiseKernel", "ReductionKernel") and c.__module__.partition(".")[0] == "cupy"
        for c in type(x).__mro__
    )


def _elementwise(self: Box, kernel: Any, *args: Any, **kwargs: Any) -> Any:
    known = kernels.get(kernel)
    if known is None:
        known = kernels[kernel] = _meaning(kernel)
    if len(args) > kernel.nin and (kernel.nout > 1 or not hasattr(known, "primitive")):
        raise UnsupportedError(f"{kernel.name} can't write what is traced into an array: leave the last argument away")
    return known(*args, **kwargs)


def _reduction(self: Box, kernel: Any, axis: Any, dtype: Any, out: Any, keepdims: bool) -> Any:
    if kernel.name not in _REDUCTIONS or dtype is not None or out is not None:
        raise unsupported(kernel.name.replace("_", ".", 1))
    return functions[kernel.name.removeprefix("cupy_")](self, axis=axis, keepdims=keepdims)


def _meaning(kernel: Any) -> Callable[..., Any]:
    """What stands for a kernel of CuPy's."""
    names = list(_public_names(kernel))
    if any(name.startswith("scipy.") for name in names):
        importlib.import_module("gpuad.scipy.special")  # not before a program uses SciPy's
    if not names and not is_kernel(kernel) and kernel.name in _BEHIND:
        names = [_BEHIND[kernel.name]]
    for name in names:
        with contextlib.suppress(KeyError):
            return _OF_CUPY.get(name) or functions[name]
    if kernel.name == "cupy_copy":  # what `a[index] = x` and copyto end in
        raise UnsupportedError(
            "a plain CuPy array can't hold a traced one: its derivative would be lost in silence. Make the array that "
            "is written into with gpuad.numpy.zeros, or decorate the function with gpuad.lift, under which its "
            "cupy.zeros is that of gpuad; or collect the parts in a list and gpuad.numpy.stack them"
        )
    if is_kernel(kernel):
        raise UnsupportedError(
            f"the CuPy kernel {kernel.name!r} met a traced array, and has no derivative. State one with "
            "gpuad.defvjp(kernel, lambda g, ans, *args: ...), a rule for each argument; or pass gpuad.stop_gradient(x)"
        )
    name = names[0] if names else kernel.name.removeprefix("cupy_")
    raise unsupported(f"cupyx.{name}" if name.startswith("scipy.") else f"cupy.{name}")


def _public_names(kernel: Any) -> Iterator[str]:
    """The names under which CuPy offers a ufunc; that in its source may be another's (those of ``ellipk`` are)."""
    for module, prefix in _NAMESPACES.items():
        for name, member in vars(sys.modules[module]).items() if module in sys.modules else ():
            if member is kernel:
                yield prefix + name


# -- methods that CuPy's functions call -----------------------------------------------------------------
def _method(name: str) -> Callable[..., Any]:
    def method(self: Box, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
        result: Any = functions[name](self, *args, **kwargs)
        return result if dtype is None else result.astype(dtype)

    method.__name__ = name
    return method


def _get(self: Box, *args: Any, **kwargs: Any) -> Any:
    raise UnsupportedError(
        "x.get() would take a traced array to the host and lose its derivative in silence. If it is meant as a "
        "constant, write gpuad.stop_gradient(x).get()"
    )


for _attribute, _value in {
    "__cupy_override_elementwise_kernel__": _elementwise,
    "__cupy_override_reduction_kernel__": _reduction,
    "get": _get,
    **{name: _method(name) for name in ("argmax", "argmin", "choose", "ptp")},
}.items():
    setattr(Box, _attribute, _value)


# -- what CuPy lets nobody intercept --------------------------------------------------------------------
def explain(error: BaseException) -> None:
    """Raise ``UnsupportedError`` if a function of CuPy raised ``error`` for it was given a traced array."""
    if "cupy" not in sys.modules:
        return
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    theirs = [frame for frame in frames if _is_cupys(frame)]
    if isinstance(error, UnsupportedError):
        if not theirs or theirs[0].f_code.co_filename.endswith(".pyx"):
            return  # a kernel or an operator, about which there is no more to say
    elif not (theirs and theirs[-1] is frames[-1]) and "_ndarray_base, got Box" not in str(error):
        return  # a program's own
    elif "Box" not in str(error) and not any(is_traced(frame.f_locals.values()) for frame in theirs):
        return  # of untraced arrays, too
    name = _name(theirs[0].f_code.co_name, theirs[0]) if theirs else "a method of CuPy's arrays"
    said = "" if isinstance(error, UnsupportedError) else f" CuPy said: {type(error).__name__}: {error}"
    raise UnsupportedError(
        f"{name} can't take a traced array, and CuPy lets nobody step in. Use {_instead(name)}gpuad.lift(f), a "
        f"decorator under which the function's cupy is gpuad.numpy.{said}"
    ) from error


def _is_cupys(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in ("cupy", "cupyx", "cupy_backends")


def _name(code: str, frame: FrameType) -> str:
    """The function of CuPy that a frame runs, as users call it."""
    module, name = str(frame.f_globals["__name__"]), code.rpartition(".")[2]
    if name == "__call__":
        if code != name:  # compiled, as cupy._core._reduction.ReductionKernel.__call__
            return f"a CuPy {code.split('.')[-2]}"
        called = frame.f_locals.get("self")
        name = getattr(called, "__name__", type(called).__name__)
    public = getattr(getattr(sys.modules["cupy"], name, None), "__module__", None) == module
    return f"cupy.{name}" if public else f"{module.split('._')[0]}.{name}"


def _instead(name: str) -> str:
    """What to use instead of a function of CuPy, before the last resort."""
    if name.endswith("Kernel"):
        return (
            "gpuad.primitive(f), f being the kernel or a function that launches it, whose derivative "
            "gpuad.defvjp states, or "
        )
    ours = name.removeprefix("cupyx.").removeprefix("cupy.")
    try:
        functions[ours]
    except KeyError:
        known = ""
    else:
        known = f"gpuad.{ours if ours.startswith('scipy.') else 'numpy.' + ours}, or "
    return "x @ y, or " + known if ours in ("matmul", "dot") else known

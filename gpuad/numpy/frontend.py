"""How NumPy's names reach the primitives: called as ``gpuad.numpy.f``, or as ``numpy.f`` on a traced array.

A function of this namespace has NumPy's signature and two ways to go. With no traced argument it is
the backend's own function, called with just what it was given. With one, it is the function below the
decorator, written with primitives. NumPy finds the latter through ``__array_function__``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..backend import backend_of, current, owner_of_type
from ..backend.interface import Backend
from ..core.box import Box, innermost, is_recorded, sample
from ..core.pytree import tree_map
from ..core.untraced import fresh, settled
from ..errors import UnsupportedError

#: What a function of NumPy does when it meets a traced array.
handlers: dict[Any, Callable[..., Any]] = {}


class _Functions(dict[str, Callable[..., Any]]):
    """What few programs need is found when it is asked for."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        _import_more(f"numpy.{name}".rpartition(".")[0])
        if name not in self:
            raise KeyError(name)
        return self[name]


#: The functions of gpuad's namespaces, by NumPy's dotted name or SciPy's: ``"linalg.inv"``, ``"scipy.linalg.expm"``.
functions = _Functions()


def numpy_function(
    name: str, *, on_plain: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the decorated function what NumPy's function ``name`` means for traced arrays.

    A function of SciPy is named in full, ``"scipy.special.erf"``; SciPy isn't imported for it before it is called.
    ``on_plain`` is called instead of the backend's own function when no argument is traced.
    """

    def decorate(traced: Callable[..., Any]) -> Callable[..., Any]:
        traced = _taking_out(name, traced)
        ours = functools.partial(_plain, name, traced) if on_plain is None else on_plain

        def function(*args: Any, **kwargs: Any) -> Any:
            if is_traced(args) or (kwargs and is_traced(kwargs.values())):
                return traced(*args, **kwargs)
            return ours(*args, **kwargs)

        theirs = _numpys(name)
        functools.update_wrapper(function, traced)
        function.__name__ = function.__qualname__ = name.rpartition(".")[2]
        if not function.__doc__:
            function.__doc__ = f"As :func:`{in_full(name)}`; differentiable."
        if theirs is not None:
            handlers[theirs] = traced
        functions[name] = function
        return function

    return decorate


#: What few programs need, by the namespace of NumPy: our modules, imported when a function isn't found without them.
_LATER = {
    "numpy.fft": ("fft",),
    "numpy.linalg": ("decompositions",),
    "numpy": ("assembling", "calculus", "mapping", "padding", "polynomials", "quantiles", "sets", "statistics"),
    "numpy.lib.stride_tricks": ("lib.stride_tricks",),
    "numpy.lib.scimath": ("emath",),
}


def _import_more(namespace: str) -> None:
    for module in _LATER.get(namespace, ()):
        importlib.import_module(f"gpuad.numpy.{module}")


def handler_of(function: Any) -> Callable[..., Any] | None:
    """What a function of NumPy does when it meets a traced array; ``None`` if that isn't known."""
    found = handlers.get(function)
    if found is None:
        _import_more(function.__module__)
        found = handlers.get(function)
    return found


def _taking_out(name: str, traced: Callable[..., Any]) -> Callable[..., Any]:
    """``traced``, with ``out=`` if NumPy's function has that: the result is written into it."""
    code = traced.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if "out" not in names:
        return traced
    place = names.index("out")

    @functools.wraps(traced)
    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= place and "out" not in kwargs:
            return traced(*args, **kwargs)
        out = kwargs.pop("out", None)
        if len(args) > place and place < code.co_argcount:
            out, args = args[place], (*args[:place], None, *args[place + 1 :])
        result = traced(*args, **kwargs)
        if out is None:
            return result
        from .writing import write_all

        (out,) = out if type(out) is tuple else (out,)
        write_all(out, result, name)
        return out

    return function


def taking_iterators(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of a sequence, which may also be an iterator, as autograd allows where NumPy doesn't."""

    @functools.wraps(function)
    def of_any(*args: Any, **kwargs: Any) -> Any:
        if args and hasattr(args[0], "__next__"):
            args = (list(args[0]), *args[1:])
        return function(*args, **kwargs)

    return of_any


def in_full(name: str) -> str:
    """The name by which NumPy's or SciPy's users import a function."""
    return name if name.startswith("scipy.") else f"numpy.{name}"


def _numpys(name: str) -> Any:
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def is_traced(args: Iterable[Any]) -> bool:
    """Whether a traced array is among ``args``, or in a list or tuple among them."""
    for a in args:
        kind = type(a)
        if kind is Box or ((kind is list or kind is tuple) and is_traced(a)):
            return True
    return False


def arrays_in(args: Iterable[Any]) -> Iterable[Any]:
    """The raw arrays among ``args``, in lists and tuples and in traced arrays too."""
    for a in args:
        if type(a) is Box:
            yield sample(a)
        elif isinstance(a, (list, tuple)):
            yield from arrays_in(a)
        elif owner_of_type(type(a)) is not None:
            yield a


def plain_backend(name: str, args: Iterable[Any]) -> Backend:
    """The backend of the arrays in ``args``; that of the switch, if there is none."""
    arrays = list(arrays_in(args))
    return backend_of(arrays, name) if arrays else current()


def _plain(name: str, traced: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    backend = plain_backend(name, (*args, *kwargs.values()))
    try:
        function = backend.function(name)
    except AttributeError:
        function = traced  # what this backend lacks can be written with primitives that it has
    result = function(*args, **kwargs)
    return fresh(result) if _makes(name, args) else result


#: What gives an array that nobody else has yet. Inside a differentiated function it takes traced writes.
_MAKERS = frozenset(
    "zeros ones empty full zeros_like ones_like empty_like full_like array copy arange linspace logspace geomspace eye "
    "identity tri fromfunction astype tile repeat vander diagflat random.rand random.randn random.random random.normal "
    "random.standard_normal random.uniform".split()
)


def _makes(name: str, args: tuple[Any, ...]) -> bool:
    """Whether the function ``name`` gives an array that nobody else has, also where it would pass an array on."""
    return name in _MAKERS or (name in ("asarray", "asanyarray") and bool(args) and type(args[0]) in (list, tuple))


def find(prefix: str, module: Any, name: str) -> Any:
    """What a namespace has under ``name``: gpuad's function, or that of NumPy's or SciPy's ``module`` passed on.

    A module given by its name is imported only when gpuad has no function of its own.
    """
    found = functions.get(prefix + name)
    if found is None and not prefix:
        _import_more("numpy")
        found = functions.get(name)
    if found is None:
        found = getattr(importlib.import_module(module) if isinstance(module, str) else module, name)
        if callable(found) and not isinstance(found, type):
            found = _pass_on(prefix + name, found)
    return found


def _pass_on(name: str, theirs: Any) -> Any:
    """NumPy's or SciPy's function ``name``, for which gpuad has no derivative, on plain arrays of any backend."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if is_traced(args) or is_traced(kwargs.values()):
            args, kwargs = constants(name, args, kwargs)
        result = plain_backend(name, (*args, *kwargs.values())).function(name)(*args, **kwargs)
        return fresh(result) if _makes(name, args) else result

    function.__name__ = function.__qualname__ = name.rpartition(".")[2]
    function.__doc__ = getattr(theirs, "__doc__", None)
    return function


def constants(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a function that has no derivative, if all of them are constants after all; else an error."""
    args, kwargs = tree_map(lambda x: innermost(x) if is_recorded(x := settled(x)) else x, (args, kwargs))
    if is_traced(args) or is_traced(kwargs.values()):
        raise unsupported(name)
    return args, kwargs


def unsupported(name: str) -> UnsupportedError:
    """The error of a function that has no meaning for traced arrays, with the nearest that have."""
    import difflib  # only for a message

    short = name.rpartition(".")[2]
    near = difflib.get_close_matches(short, {n.rpartition(".")[2]: None for n in functions}, n=3, cutoff=0.5)
    hint = f" Nearest differentiable functions: {', '.join(near)}." if near else ""
    return UnsupportedError(
        f"{name} can't be differentiated by gpuad.{hint} If its result should count as a constant, "
        "call it on gpuad.stop_gradient(x)"
    )

"""NumPy's ufuncs: what they do to a traced array, and the functions of ``gpuad.numpy`` that stand for them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..core.box import Box
from ..core.primitive import Elementwise, Unary
from ..core.tape import unary_recorder
from ..errors import UnsupportedError
from ..ops import declare
from .frontend import constants, functions, plain_backend

#: The primitive (or function of primitives) that a NumPy ufunc is.
ufuncs: dict[np.ufunc, Callable[..., Any]] = {}
#: The same, where it is known that an argument is traced.
_traced: dict[np.ufunc, Callable[..., Any]] = {}


def array_ufunc(self: Box, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``__array_ufunc__``: NumPy asks what its ufunc does with a traced array."""
    if method == "__call__" and not kwargs:
        known = _traced.get(ufunc)
        if known is not None:
            return known(*inputs)
    return apply(ufunc, method, inputs, kwargs)


def apply(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The less common ways to call a ufunc on traced arrays."""
    known = ufuncs.get(ufunc) or _scipys(ufunc)
    if known is None:
        inputs, kwargs = constants(ufunc.__name__, inputs, kwargs)
        return getattr(ufunc, method)(*inputs, **kwargs)
    options = {k: v for k, v in kwargs.items() if not _is_default(k, v)}
    if method == "at":
        from .writing import at

        return at(ufunc, known, *inputs)
    if "out" in options:
        return _into(ufunc, method, inputs, options)
    if method == "__call__":
        dtype = options.pop("dtype", None)
        if not options:
            if dtype is None:
                return known(*inputs)
            return known(*(declare.astype(x, dtype=np.dtype(dtype)) for x in inputs))
        if ufunc.signature is not None and dtype is None:  # of a product, such as vecdot's axis
            return known(*inputs, **options)
    elif method in ("reduce", "accumulate", "reduceat", "outer"):
        from .ufunc_methods import METHODS  # not before a program uses one

        return METHODS[method](ufunc, known, *inputs, **options)
    what = f"{ufunc.__name__}.{method}" if method != "__call__" else ufunc.__name__
    raise UnsupportedError(
        f"{what} on a traced array isn't supported"
        + (f" with {', '.join(options)}" if options else "")
        + ("; its other entries would be undefined: say with out= what they are" if "where" in options else "")
    )


def _into(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The result written into the arrays given as ``out``; with ``where``, that much of it."""
    from .writing import write_all, write_where

    outs = options.pop("out")
    outs = outs if type(outs) is tuple else (outs,)
    where, casting = options.pop("where", True), options.pop("casting", "same_kind")
    if where is not True and method == "__call__":
        return write_where(ufunc.__name__, ufuncs[ufunc], inputs, where, *outs)
    if where is not True:
        options["where"] = where
    results = apply(ufunc, method, inputs, options)
    given = []
    for out, result in zip(outs, results if len(outs) > 1 else (results,), strict=True):
        if out is not None:
            write_all(out, result, ufunc.__name__, casting)
        given.append(result if out is None else out)
    return tuple(given) if len(given) > 1 else given[0]


def _scipys(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What stands for a ufunc of SciPy. Those of a program's own may have like names, but aren't the same object."""
    homes = map(
        sys.modules.get, ("scipy.special", "scipy.special._ufuncs")
    )  # the latter: what zeta calls, and lambertw
    if all(getattr(home, ufunc.__name__, None) is not ufunc for home in homes):
        return None
    importlib.import_module("gpuad.scipy.special")  # not before a program uses SciPy's
    known = functions.get(f"scipy.special.{ufunc.__name__}")
    if known is not None:
        ufuncs[ufunc] = _traced[ufunc] = known
    return known


_DEFAULTS = {
    "out": None,
    "where": True,
    "casting": "same_kind",
    "order": "K",
    "dtype": None,
    "subok": True,
    "keepdims": False,
}


def _is_default(name: str, value: Any) -> bool:
    return name in _DEFAULTS and (value is _DEFAULTS[name] or (isinstance(value, str) and value == _DEFAULTS[name]))


def define(name: str, primitive: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``primitive`` stand for NumPy's ufunc ``name``; returns the function of ``gpuad.numpy``."""
    ufunc = getattr(np, name)
    ufuncs[ufunc] = primitive
    _traced[ufunc] = primitive.apply if isinstance(primitive, Elementwise) else primitive
    function = _unary(name, primitive) if type(primitive) is Unary else _any(name, ufunc, primitive)
    function.__name__ = function.__qualname__ = name
    function.__module__ = "gpuad.numpy"
    function.__doc__ = f"As :data:`numpy.{name}`; differentiable."
    function.primitive = primitive  # type: ignore[attr-defined]
    for method in _METHODS:
        setattr(function, method, _method(ufunc, method))
    functions[name] = function
    return function


_METHODS = ("at", "reduce", "accumulate", "reduceat", "outer")


def _method(ufunc: np.ufunc, method: str) -> Callable[..., Any]:
    """The method of a ufunc: ``gpuad.numpy.add.at``."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if Box in map(type, args) or Box in map(type, kwargs.values()):
            return apply(ufunc, method, args, kwargs)
        return getattr(plain_backend(ufunc.__name__, args).function(ufunc.__name__), method)(*args, **kwargs)

    return function


def _unary(name: str, prim: Unary) -> Callable[..., Any]:
    ufunc = getattr(np, name)

    def untraced(x: Any, /, *out: Any, **options: Any) -> Any:
        if not out and not options and owner_of_type(type(x)) is not None:
            return prim.impl[type(x)](x)
        return _with_options(name, ufunc, (x, *out), options)

    return unary_recorder(prim, untraced)


def _any(name: str, ufunc: np.ufunc, primitive: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if not kwargs and len(args) == ufunc.nin and Box in map(type, args):
            return primitive(*args)
        return _with_options(name, ufunc, args, kwargs)

    return function


def _with_options(name: str, ufunc: np.ufunc, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) == ufunc.nin + 1:
        args, kwargs = args[: ufunc.nin], {**kwargs, "out": args[ufunc.nin]}
    options = {k: v for k, v in kwargs.items() if not _is_default(k, v)}
    if any(type(a) is Box for a in (*args, *options.values())):
        return apply(ufunc, "__call__", args, options)
    try:
        function = plain_backend(name, (*args, *options.values())).function(name)
    except AttributeError:
        function = ufuncs[ufunc]  # what this backend lacks may be written with primitives that it has
    return function(*args, **options)

"""``lift``: a function whose NumPy, CuPy and SciPy are gpuad's, with its text unchanged."""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from .backend import use

#: Where the names of a library are gpuad's, from the longest to the shortest.
_COUNTERPARTS = {
    "numpy": "gpuad.numpy",
    "scipy": "gpuad.scipy",
    "cupy": "gpuad.numpy",
    "cupyx.scipy": "gpuad.scipy",
}


def lift(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` with what it calls ``np``, ``cp`` and ``scipy`` replaced by gpuad's namespaces.

    That lets it write traced values into arrays that it makes, and call what neither NumPy nor CuPy lets anyone
    intercept (``np.array`` of traced numbers, ``np.asarray``, ``cp.concatenate``, ``cp.einsum``). Replaced are the
    names that ``f`` finds in its module, closure and imports, whether modules or functions of theirs. Functions of the
    same module that it calls, and those defined in it, are lifted with it; others aren't.

    A program for CuPy makes its arrays on the GPU, as it would without ``lift``.

    >>> import numpy as np
    >>> from gpuad import grad, lift
    >>> @lift
    ... def running_product(x):
    ...     out = np.zeros(3)
    ...     out[0] = x
    ...     for i in range(1, 3):
    ...         out[i] = out[i - 1] * x
    ...     return np.sum(out)
    >>> grad(running_product)(2.0)
    np.float64(17.0)
    """
    if not isinstance(f, types.FunctionType):
        if not callable(f):
            raise TypeError(f"lift: expected a function, got {f!r} ({type(f).__name__})")
        if isinstance(f, types.MethodType):
            return types.MethodType(lift(f.__func__), f.__self__)
        return _counterpart(f)  # type: ignore[no-any-return]
    return _lifted(f)


class _Names(dict[str, Any]):
    """The names of a module, as its lifted functions see them. What they set goes into the module."""

    def __init__(self, names: dict[str, Any], module: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.names = names
        #: The names that functions of that module have which aren't lifted.
        self.theirs = (names,) if module is None else (names, module)
        _names[id(names)] = self
        # Looked up in the dict itself, by the interpreter:
        builtin = names.get("__builtins__", builtins)
        builtin = vars(builtin) if isinstance(builtin, types.ModuleType) else builtin
        super().__setitem__("__builtins__", {**builtin, "__import__": _import})

    def __getitem__(self, name: str) -> Any:
        if len(self) > 1:
            self.settle()
        return _counterpart(self.names[name], self.theirs)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def instead(self, names: dict[str, Any]) -> _Names:
        """The same with other values: ``jit`` puts traced arrays there."""
        return _Names(names, self.names)

    def settle(self) -> None:
        """Pass on what a ``global`` statement set: the interpreter writes it past ``__setitem__``."""
        for name in self.keys() - {"__builtins__"}:
            self.names[name] = self.pop(name)


#: The names of each module, by its dict's identity, as long as there are lifted functions of it: what one sets, the
#: next one finds. Each keeps that dict alive.
_names: weakref.WeakValueDictionary[int, _Names] = weakref.WeakValueDictionary()
_lifted_functions: weakref.WeakKeyDictionary[types.FunctionType, Callable[..., Any]] = weakref.WeakKeyDictionary()


def _lifted(f: types.FunctionType) -> Callable[..., Any]:
    known = _lifted_functions.get(f)
    if known is not None:
        return known
    names = _names.get(id(f.__globals__))
    if names is None:
        names = _Names(f.__globals__)

    @functools.wraps(f)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        try:
            return inner(*args, **kwargs)
        finally:
            if len(names) > 1:
                names.settle()

    _lifted_functions[f] = lifted  # before its closure is looked at, where it may find itself
    cells = tuple(_cell(c, names.theirs) for c in f.__closure__ or ())
    inner = types.FunctionType(f.__code__, names, f.__name__, f.__defaults__, cells)
    inner.__kwdefaults__ = f.__kwdefaults__
    return lifted


def _cell(cell: types.CellType, names: tuple[dict[str, Any], ...]) -> types.CellType:
    try:
        content = cell.cell_contents
    except ValueError:  # not filled yet
        return cell
    replaced = _counterpart(content, names)
    return cell if replaced is content else types.CellType(replaced)


def _counterpart(x: Any, names: tuple[dict[str, Any], ...] = ()) -> Any:
    """What stands for a module, or a function of one, in a lifted function of the module with these names; anything
    else as it is."""
    if isinstance(x, types.ModuleType):
        return _namespace(x.__name__) or x
    if isinstance(x, types.FunctionType) and any(x.__globals__ is theirs for theirs in names):
        return _lifted(x)
    if callable(x) and not isinstance(x, type):
        name = getattr(x, "__name__", None) or getattr(x, "name", None)  # as SciPy's distributions have it
        home = str(getattr(x, "__module__", None)).partition("._")[0]  # scipy.linalg of scipy.linalg._basic
        for module in (home, "numpy", "cupy", "scipy.special", "cupyx.scipy.special"):
            if isinstance(name, str) and getattr(sys.modules.get(module), name, None) is x:
                namespace = _namespace(module)
                return x if namespace is None else getattr(namespace, name, x)
    return x


@functools.cache
def _namespace(module: str) -> Any:
    """gpuad's namespace for a module of NumPy's, CuPy's or SciPy's; ``None`` if there is none."""
    for theirs, ours in _COUNTERPARTS.items():
        if module == theirs or module.startswith(theirs + "."):
            try:
                found = importlib.import_module(ours + module[len(theirs) :])
            except ModuleNotFoundError:
                return None
            return _OnCupy(found) if theirs.startswith("cupy") else found
    return None


class _OnCupy:
    """A namespace of gpuad's whose functions make arrays on the GPU."""

    def __init__(self, namespace: types.ModuleType) -> None:
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._namespace, name)
        if isinstance(found, types.ModuleType):
            return _OnCupy(found)
        if not callable(found) or isinstance(found, type):
            return found

        @functools.wraps(found)
        def function(*args: Any, **kwargs: Any) -> Any:
            with use("cupy"):
                return found(*args, **kwargs)

        return function


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``import`` within a lifted function."""
    found = builtins.__import__(name, globals, locals, fromlist, level)
    return _counterpart(found)

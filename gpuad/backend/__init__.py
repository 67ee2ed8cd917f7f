"""Which library does the arithmetic. The arrays that go in decide; the switch decides for new ones.

>>> import gpuad
>>> with gpuad.use("numpy"):
...     gpuad.numpy.zeros(3)
array([0., 0., 0.])
"""

from __future__ import annotations

import functools
import os
from contextvars import ContextVar
from typing import Any

from ..errors import BackendError, MixedBackendError
from .cupy_backend import CupyBackend
from .interface import Backend
from .numpy_backend import NumpyBackend

__all__ = ["Backend", "backend_of", "choose", "current", "get", "names", "register", "use"]

_backends: dict[str, Backend] = {}
_owner_of_type: dict[type, Backend | None] = {}
#: Of the types of some arrays, the backend that all of them belong to.
_owner_of_types: dict[frozenset[type], Backend] = {}


def register(backend: Backend) -> Backend:
    """Make ``backend`` known, under its name. A backend of the same name is replaced."""
    if not isinstance(backend, Backend) or not backend.name:
        raise TypeError(f"register: expected an instance of gpuad.backend.Backend with a name, got {backend!r}")
    if backend.name == "auto":
        raise ValueError("register: 'auto' means the best backend at hand and can't name one")
    _backends[backend.name] = backend
    _forget()
    return backend


def _forget() -> None:
    _owner_of_type.clear()
    _owner_of_types.clear()


#: Of the types of arrays that aren't computed yet, the backend that they are on. See ``fused.staging``.
_lazy: dict[type, Backend] = {}


def register_lazy(backend: Backend) -> None:
    """Make a backend known whose arrays are computed later, by ``backend.eager``."""
    _lazy.update(dict.fromkeys(backend.array_types, backend))
    _forget()


def names() -> list[str]:
    """The names of all known backends, whether or not they can run here."""
    return list(_backends)


def get(name: str) -> Backend:
    """The backend of that name, whether or not it can run here."""
    try:
        return _backends[name]
    except (KeyError, TypeError):
        known = ", ".join(repr(n) for n in ["auto", *_backends])
        raise BackendError(f"unknown backend {name!r}; the known ones are {known}") from None


numpy_backend = register(NumpyBackend())
cupy_backend = register(CupyBackend())


def choose(name: str = "auto") -> tuple[Backend, str]:
    """The backend that ``name`` stands for, and why in a few words.

    ``"auto"`` is CuPy where a CUDA device answers, else NumPy. Raises ``BackendError`` if the backend
    that was named can't run here.
    """
    if name == "auto":
        why_not = cupy_backend.unavailable()
        if why_not is None:
            return cupy_backend, f"a CUDA device answers: {cupy_backend.device_name()}"
        return numpy_backend, f"CuPy can't be used: {why_not}"
    backend = get(name)
    why_not = backend.unavailable()
    if why_not is not None:
        raise BackendError(
            f"backend {name!r} can't be used: {why_not}. "
            "gpuad.use('numpy') works everywhere; gpuad.use('auto') takes the best one at hand"
        )
    return backend, "asked for by name"


_override: ContextVar[Backend | None] = ContextVar("gpuad_backend", default=None)
_default: Backend | None = None


def current() -> Backend:
    """The backend on which new arrays are made (``zeros``, ``arange``, ``random``)."""
    global _default
    here = _override.get()
    if here is not None:
        return here
    if _default is None:
        asked = os.environ.get("GPUAD_BACKEND", "auto") or "auto"
        try:
            _default = choose(asked)[0]
        except BackendError as error:
            raise BackendError(f"GPUAD_BACKEND={asked}: {error}") from None
    return _default


class use:
    """Choose the backend of new arrays: ``"numpy"``, ``"cupy"``, ``"auto"`` or a registered one.

    ``gpuad.use("cupy")`` holds from here on, for the whole process. ``with gpuad.use("cupy"):`` holds
    inside the block, for this thread (or async task) alone.

    Raises ``BackendError`` if that backend is unknown or can't run here.
    """

    def __init__(self, name: str) -> None:
        global _default
        self.backend = choose(name)[0]
        self._default_before = _default
        _default = self.backend

    def __enter__(self) -> Backend:
        global _default
        _default = self._default_before
        self._token = _override.set(self.backend)
        return self.backend

    def __exit__(self, *exc: object) -> None:
        _override.reset(self._token)


def owner_of_type(cls: type) -> Backend | None:
    """The backend whose raw arrays are of this type; ``None`` for anything else."""
    try:
        return _owner_of_type[cls]
    except KeyError:
        # Python scalars go anywhere, so they belong nowhere. NumPy's scalars are NumPy's results.
        found = _lazy.get(cls)
        if found is None and (not issubclass(cls, (int, float, complex)) or issubclass(cls, numpy_backend.array_types)):
            found = next((b for b in _backends.values() if b.owns(cls)), None)
        _owner_of_type[cls] = found
        return found


def backend_of(args: Any, operation: str = "this operation") -> Backend:
    """The backend that all raw arrays in ``args`` belong to; NumPy if there is none.

    NumPy scalars and 0-d results of NumPy reductions go anywhere, as Python's numbers do. Anything
    else of two backends raises ``MixedBackendError``.
    """
    kinds = frozenset(map(type, args))
    found = _owner_of_types.get(kinds)
    if found is None:
        found = _owner_of_types[kinds] = _find_owner(args, operation)
    return found


def _find_owner(args: Any, operation: str) -> Backend:
    found: Backend | None = None
    at = 0
    for i, a in enumerate(args):
        backend = owner_of_type(type(a))
        if backend is None:
            cls: Any = type(a)
            if not goes_along(cls):
                raise TypeError(
                    f"{operation}: argument {i} is of type {cls.__module__}.{cls.__qualname__}, which is no array of "
                    "any backend, nor a number or a list of numbers. Convert it before, as with numpy.asarray(x)"
                )
            continue
        if backend is found or (found is not None and found.eager is backend):
            continue
        if found is None or backend.eager is found or (found is numpy_backend and goes_anywhere(args[at])):
            found, at = backend, i
        elif not (backend is numpy_backend and goes_anywhere(a)):
            raise MixedBackendError(
                f"{operation}: argument {at} is on the {found.name} backend ({type(args[at]).__name__}) and "
                f"argument {i} on the {backend.name} backend ({type(a).__name__}). gpuad never copies between "
                f"devices by itself: move one with gpuad.to_backend(x, {found.name!r}) or gpuad.to_numpy(x)"
            )
    return found or numpy_backend


@functools.cache
def goes_along(cls: type) -> bool:
    """Whether things of this type, which belong to no backend, may stand beside arrays of any."""
    return issubclass(cls, (int, float, complex, list, tuple, range))


def goes_anywhere(x: Any) -> bool:
    return isinstance(x, NumpyBackend.scalar_types)

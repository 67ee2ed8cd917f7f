"""What a backend offers. A third one is a subclass of ``Backend``, given to ``register``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import MissingFunctionError


def _member(module: Any, name: str) -> Any:
    """What ``module`` has under ``name``; a module in it is imported, if that hasn't happened."""
    try:
        return getattr(module, name)
    except AttributeError:
        path = f"{getattr(module, '__name__', '')}.{name}"
        if not isinstance(module, ModuleType) or importlib.util.find_spec(path) is None:
            raise
        return importlib.import_module(path)


class Functions:
    """A backend's functions as attributes, its overrides first: the ``xp`` that primitives compute with."""

    def __init__(self, backend: Backend, prefix: str = "") -> None:
        self._backend, self._prefix = backend, prefix

    def __getattr__(self, name: str) -> Any:
        dotted = self._prefix + name
        try:
            found: Any = self._backend.function(dotted)
        except AttributeError:
            message = f"{dotted} isn't available on the {self._backend.name} backend"
            raise MissingFunctionError(message, name=name) from None
        if isinstance(found, ModuleType):
            found = Functions(self._backend, dotted + ".")
        setattr(self, name, found)  # looked up once
        return found


class Backend:
    """Raw arrays of one library, and what gpuad needs of that library.

    A subclass sets ``name`` and ``array_types`` and gives ``xp``, ``asarray`` and ``to_numpy``. The
    rest has defaults. A function that the library lacks, or that behaves unlike NumPy's, goes into
    ``overrides`` under NumPy's name; ``function`` looks there first.
    """

    name: str = ""
    #: Types of the raw arrays. Subclasses of them belong to the backend too.
    array_types: tuple[type, ...] = ()
    #: Of a backend whose arrays aren't computed yet: that which will compute them.
    eager: Any = None
    #: Whether ``isinstance`` may take a traced array for one of these types; not where the library then reads memory.
    lends_its_class: bool = True
    #: So many numbers are best worked on at a time: as many as keep a device busy, or a cache has room for.
    at_once: int = 1 << 24
    #: Functions that replace those of ``xp``, by NumPy's dotted name (``"linalg.norm"``).
    overrides: dict[str, Callable[..., Any]] = {}  # noqa: RUF012

    @property
    def xp(self) -> Any:
        """The namespace with NumPy's functions."""
        raise NotImplementedError

    def owns(self, cls: type) -> bool:
        """Whether arrays of this type belong here. Must not import the library."""
        return issubclass(cls, self.array_types)

    def unavailable(self) -> str | None:
        """Why the backend can't run here, in a few words; ``None`` if it can."""
        return None

    @property
    def scipy(self) -> Any:
        """The package with SciPy's functions on this backend's arrays. Imported when first asked for."""
        raise AttributeError(f"the {self.name} backend has no counterpart of SciPy")

    def function(self, name: str) -> Callable[..., Any]:
        """The function that NumPy calls ``name``, or SciPy ``scipy.name``; ``AttributeError`` where there is none."""
        found: Any = self.overrides.get(name)
        if found is None:
            parts = name.split(".")
            found = self.xp
            if parts[0] == "scipy":
                found, parts = self.scipy, parts[1:]
            for part in parts:
                found = _member(found, part)
        return found  # type: ignore[no-any-return]

    @functools.cached_property
    def functions(self) -> Functions:
        return Functions(self)

    def add_at(self, out: Any, index: Any, g: Any) -> None:
        """``out[index] += g`` that adds once for every time an entry is named by ``index``."""
        self.function("add.at")(out, index, g)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """An array of this backend from host data: a NumPy array, a number, a list of numbers."""
        raise NotImplementedError

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """A NumPy array with the values of ``x``."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait until the device has done all its work."""

    def device_name(self) -> str:
        return "CPU"

    def version(self) -> str:
        return str(getattr(self.xp, "__version__", "unknown"))

    def memory_used(self) -> int | None:
        """Bytes of device memory in use by arrays; ``None`` where that isn't known."""
        return None

    def __repr__(self) -> str:
        return f"<gpuad backend {self.name!r}>"

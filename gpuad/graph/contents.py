"""What is in containers and objects: compared, and cleared of traced arrays."""

from __future__ import annotations

import collections
import sys
import types
from typing import Any

import numpy as np

from ..core.box import Box
from ..core.pytree import parts_of, rebuild
from ..core.record import Record
from ..core.untraced import settled
from .draws import opened

_LIBRARIES = frozenset({"numpy", "scipy", "cupy", "cupyx", "builtins", *sys.stdlib_module_names}) - {"__main__"}
#: What is compared by its value.
NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, type(Ellipsis), slice, range)


def is_library(module: Any) -> bool:
    """Whether a module of this name isn't looked into: nor are Cython's types, as of ``numpy.random``'s functions."""
    return isinstance(module, str) and (module.partition(".")[0] in _LIBRARIES or module.startswith("_cython_"))


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, texts and such are the same, bit by bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.generic):
        return bool(a.tobytes() == b.tobytes())
    return bool(a == b and repr(a) == repr(b)) or (a != a and b != b)


def without_boxes(x: Any, record: Record, seen: set[int]) -> Any:
    """``x`` with plain arrays for traced ones, which are replaced in containers and attributes."""
    x = opened(x)
    if type(x) is Box:
        x = settled(x)
        return x.value if type(x) is Box and x.level is record else x
    if id(x) in seen or isinstance(x, (types.ModuleType, types.FunctionType, type, *NUMBERS, np.ndarray)):
        return x
    seen.add(id(x))
    if isinstance(x, tuple):
        parts = [without_boxes(part, record, seen) for part in x]
        return x if all(a is b for a, b in zip(x, parts, strict=True)) else rebuild(x, parts)
    items: list[tuple[Any, Any]] = []
    if isinstance(x, (dict, list, collections.deque)):
        items = list(x.items() if isinstance(x, dict) else enumerate(x))
    for k, part in items:
        new = without_boxes(part, record, seen)
        if new is not part:
            x[k] = new
    slots = [name for cls in type(x).__mro__ for name in slots_of(cls) if hasattr(x, name)]
    for name, part in [*getattr(x, "__dict__", {}).items(), *[(name, getattr(x, name)) for name in slots]]:
        new = without_boxes(part, record, seen)
        if new is not part:
            object.__setattr__(x, name, new)
    return x


def slots_of(cls: type) -> list[str]:
    """The attributes that its objects have places for."""
    found = getattr(cls, "__slots__", ()) if not is_library(cls.__module__) else ()
    names = (found,) if isinstance(found, str) else found
    return [name for name in names if isinstance(name, str) and not name.startswith("__")]


def content(container: Any) -> list[Any]:
    """What is in a container, and in its attributes."""
    found = list(container) if isinstance(container, (list, tuple, dict)) else []
    if isinstance(container, dict):
        found += container.values()
    attributes = getattr(container, "__dict__", None)
    if attributes is not None:
        found += [*attributes, *attributes.values()]
    elif not found:
        found = list(parts_of(container) or ())
    return found


def differs(container: Any, before: list[Any]) -> bool:
    """Whether something else is in it than before."""
    now = content(container)
    return len(now) != len(before) or any(a is not b for a, b in zip(now, before, strict=True))

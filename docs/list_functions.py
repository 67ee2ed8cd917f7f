"""The page functions.md, from what gpuad has:

    python3 docs/list_functions.py > docs/functions.md

Needs SciPy. ``tests/test_documentation.py`` fails when the page says something else.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import textwrap
from operator import attrgetter
from typing import Any

import numpy as np

import gpuad
import gpuad.scipy
from gpuad.numpy.frontend import functions

NUMPYS = [f"numpy.{name}".rstrip(".") for name in ("", "linalg", "fft", "emath", "lib.stride_tricks")]
SCIPYS = [f"scipy.{name}" for name in dir(gpuad.scipy)]

HEAD = """\
# Functions

What may be called on traced arrays, by NumPy's and SciPy's names: as `gpuad.numpy.f` and `gpuad.scipy.special.f`, and
NumPy's own through plain `numpy`, too. What NumPy and SciPy have besides works on plain arrays through `gpuad.numpy`
and `gpuad.scipy` unchanged, and on traced ones is an error that names the nearest functions. Where a function has no
derivative with respect to one of its arguments, it says so when that derivative is asked for; results that are whole
numbers, truth values or positions (`argmax`, `floor`, `isnan`, `searchsorted`) count as constant.

This page is written by `docs/list_functions.py`.
"""


def import_everything() -> None:
    """What is found only when it is asked for."""
    for package in (gpuad.numpy, gpuad.scipy):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)


def theirs(namespace: str) -> Any:
    """NumPy's or SciPy's own module, by its name in full."""
    root, _, path = namespace.partition(".")
    return importlib.import_module(namespace) if root == "scipy" else attrgetter(path)(np) if path else np


def numpys(namespace: str) -> list[str]:
    """What gpuad has of a namespace of NumPy's."""
    return _existing(namespace, _stated(namespace))


def scipys(namespace: str) -> list[str]:
    """What gpuad has of a namespace of SciPy's."""
    found = _stated(namespace)
    ours = importlib.import_module(f"gpuad.{namespace}")
    for name, thing in vars(ours).items():
        own = getattr(thing, "__module__", "gpuad") != "gpuad.numpy.frontend"  # else it is SciPy's, passed on
        if own and thing is not getattr(theirs(namespace), name, thing) and not inspect.ismodule(thing):
            found.add(name)
    return _existing(namespace, found)


def _stated(namespace: str) -> set[str]:
    """The names that gpuad's functions of a namespace are stated under."""
    path = namespace.removeprefix("numpy").lstrip(".")  # NumPy's are stated without it
    prefix = f"{path}." if path else ""
    return {name.removeprefix(prefix) for name in functions if name.startswith(prefix)}


def _existing(namespace: str, names: set[str]) -> list[str]:
    module = theirs(namespace)
    return sorted(name for name in names if name.isidentifier() and name[0] != "_" and hasattr(module, name))


def page() -> str:
    import_everything()
    parts = [HEAD, *(_section(name, numpys(name)) for name in NUMPYS)]
    parts.append("## numpy.random\n\nEverything, on the backend of the switch; what is drawn counts as constant.\n")
    parts += [_section(name, scipys(name)) for name in SCIPYS]
    return "\n".join(parts)


def _section(title: str, names: list[str]) -> str:
    words = [f"`{name}`" for name in names]
    return f"## {title}\n\n" + textwrap.fill(", ".join(words), 120, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    print(page(), end="")

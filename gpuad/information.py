"""What gpuad runs on here, and why: for bug reports, and for whoever wonders which executor it was."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from . import backend
from .backend import Backend
from .cache_folder import cache_folder, is_writable
from .fused import compiler, executors, host, library_cache, switch


class Information(dict[str, Any]):
    """A dict that prints as lines, a name and a value each."""

    def __str__(self) -> str:
        lines = []
        for name, value in self.items():
            if isinstance(value, dict):
                lines += [name, *(f"  {key:<6} {entry}" for key, entry in value.items())]
            else:
                lines.append(f"{name:<8} {value}")
        return "\n".join(lines)

    __repr__ = __str__


def info() -> Information:
    """Versions, backends, devices, and who runs fused kernels on the host: a dict of texts, printed as lines.

    Nothing is compiled and no folder is made for it; CuPy is imported, if it is installed.

    >>> import gpuad
    >>> gpuad.info()["gpuad"] == gpuad.__version__
    True
    """
    found = gather()
    chosen = backend.current()
    found["chosen"] = f"{chosen.name} on {chosen.device_name()}"
    return found


def gather() -> Information:
    """All but the backend of new arrays, which the command line may choose otherwise."""
    import numpy

    from . import __version__

    choice = executors.host_choice()
    return Information(
        gpuad=__version__,
        python=platform.python_version(),
        numpy=numpy.__version__,
        cupy=_cupy_version(),
        backends={name: _state(backend.get(name)) for name in backend.names()},
        fusion=_answer(lambda: "on" if switch.on() and executors.enabled() else "off"),
        executor=f"{choice.executor}; {choice.reason}",
        compiler=compiler.describe(),
        threads=_answer(lambda: str(host.threads())),
        cache=_cache(),
    )


def _state(found: Backend) -> str:
    why_not = found.unavailable()
    return f"available on {found.device_name()}" if why_not is None else f"no: {why_not}"


def _cupy_version() -> str:
    try:
        return backend.get("cupy").version()
    except ModuleNotFoundError:
        return "not installed"
    except Exception as error:  # whatever a broken installation raises
        return f"installed, but can't be imported: {error}".splitlines()[0]


def _answer(ask: Callable[[], str]) -> str:
    """What is answered, or what is wrong with the environment variable that it depends on."""
    try:
        return ask()
    except ValueError as error:
        return str(error)


def _cache() -> str:
    folder = cache_folder()
    exists = "" if folder.exists() else ", not made yet"
    others = library_cache.untrusted(library_cache.folder())
    unused = "" if others is None else f"; kernels aren't kept there, since {others}"
    return f"{folder} ({'writable' if is_writable(folder) else 'NOT writable'}{exists}){unused}"

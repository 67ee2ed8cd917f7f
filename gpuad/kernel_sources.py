"""Where the CUDA sources of ``kernels/`` are, in every kind of install.

In the source tree they stand beside the package, in ``kernels/``; a wheel carries a copy inside
it, in ``gpuad/kernels/``. The sources are read as text and compiled at run time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "kernels", _PACKAGE.parent / "kernels")
# The folder is known by this file: any directory named "kernels" could stand beside a package.
_MARK = "scalar_math.cuh"


class KernelSourceNotFound(FileNotFoundError):
    """A kernel source is missing from this installation."""

    def __init__(self, name: str) -> None:
        places = " and ".join(str(place) for place in _PLACES)
        super().__init__(
            f"kernel source {name!r} not found; looked in {places}. "
            "The installation is incomplete: install gpuad again."
        )


@cache
def folder() -> Path:
    """The folder with the kernel sources; compilers take it as an include folder."""
    for place in _PLACES:
        if (place / _MARK).is_file():
            return place
    raise KernelSourceNotFound(_MARK)


@cache
def read(name: str) -> str:
    """The text of one source, for example ``read("scalar_math.cuh")``."""
    path = folder() / name
    if not path.is_file():
        raise KernelSourceNotFound(name)
    return path.read_text(encoding="utf-8")

"""``python -m tests.cupy_on_cpu``: build it, saying what is done. A run of the tests builds it too."""

from __future__ import annotations

import functools
import sys

from .build import Unavailable, build

try:
    print(build(functools.partial(print, flush=True)))
except Unavailable as why:
    sys.exit(f"CuPy can't be run on the CPU here: {why}")

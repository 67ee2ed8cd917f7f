"""Running ``python -m gpuad`` as a user would, for the tests of the command line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "gpuad"]


def environment(changes=None):
    """This process's environment, with the source tree on the path and nothing else chosen."""
    fixed = {"PYTHONPATH": str(ROOT), "GPUAD_BACKEND": "", "PYTHONUNBUFFERED": ""}
    return {**os.environ, **fixed, **(changes or {})}


def run_gpuad(*args, env=None, timeout=120):
    """Run the command to its end, from another folder; its output is captured as text."""
    return subprocess.run(
        [*COMMAND, *args],
        env=environment(env),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=timeout,
    )

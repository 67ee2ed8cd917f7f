"""Importing gpuad is light: it imports no library but NumPy.

How long it takes is measured by bench/import_time.py.
"""

import subprocess
import sys

from command_line import environment

HEAVY = ["cupy", "cupyx", "scipy", "jax", "torch", "matplotlib", "autograd"]


def imported_by(statement):
    """The names of the top-level modules that a fresh Python has after the statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_imports_no_heavy_library():
    assert "gpuad" in (modules := imported_by("import gpuad, gpuad.numpy"))
    assert modules.isdisjoint(HEAVY)


def test_a_gradient_of_numpy_arrays_imports_no_heavy_library():
    modules = imported_by("import numpy as np\nfrom gpuad import grad\ngrad(lambda x: np.sum(np.tanh(x)))(np.ones(3))")
    assert modules.isdisjoint(HEAVY)

"""Importing gpuad is light: it imports no library but NumPy.

How long it takes is measured by bench/import_time.py.
"""

import builtins
import subprocess
import sys
import types

import gpuad
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


def test_star_takes_the_public_functions_alone():
    """Neither modules nor autograd's ``list`` and ``isinstance``, which would hide those that the program has."""
    before = dict(vars(builtins))
    names = {}
    exec("from gpuad import *", names)
    found = names.keys() - {"__builtins__"}
    assert found == set(gpuad.__all__)
    assert not [name for name in found if name in before or isinstance(names[name], types.ModuleType)]
    later = {name for name in dir(gpuad) if callable(getattr(gpuad, name)) and not name.startswith("_")}
    autograds = {*gpuad.differential_operators.__dict__, *gpuad.builtins.__dict__}
    assert later - found - autograds == {"Sparsity", "hessian_sparsity", "jacobian_sparsity"}  # these need SciPy
    assert imported_by("from gpuad import *").isdisjoint(HEAVY)

"""gpuad: gradients of NumPy and CuPy programs.

>>> import numpy as np
>>> from gpuad import grad
>>> grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(3))
array([0., 0., 0.])
"""

from typing import Any as _Any

from . import array_api as _array_api  # noqa: F401 - and what the array API standard asks of arrays
from . import array_methods as _array_methods  # noqa: F401 - gives traced arrays their methods
from . import backend as backend
from . import cupy_hooks as _cupy_hooks  # noqa: F401 - lets CuPy's functions find them
from . import numpy as numpy
from . import test_util as test_util
from .backend import use as use
from .extend import defjvp as defjvp
from .extend import defvjp as defvjp
from .extend import primitive as primitive
from .transforms.cost import cost as cost
from .transforms.forward import jvp as jvp
from .transforms.forward import linearize as linearize
from .transforms.gradients import elementwise_grad as elementwise_grad
from .transforms.gradients import grad as grad
from .transforms.gradients import value_and_grad as value_and_grad
from .transforms.gradients import vjp as vjp
from .values import stop_gradient as stop_gradient
from .values import to_backend as to_backend
from .values import to_numpy as to_numpy

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    if name == "scipy":  # what few programs need isn't imported for all
        import importlib

        return importlib.import_module(f"{__name__}.scipy")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

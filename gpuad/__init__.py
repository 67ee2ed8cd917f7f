"""gpuad: gradients of NumPy and CuPy programs.

>>> import numpy as np
>>> from gpuad import grad
>>> grad(lambda x: np.sum(np.tanh(x) ** 2))(np.zeros(3))
array([0., 0., 0.])
"""

from typing import TYPE_CHECKING
from typing import Any as _Any

from . import array_api as _array_api  # noqa: F401 - and what the array API standard asks of arrays
from . import array_methods as _array_methods  # noqa: F401 - gives traced arrays their methods
from . import backend as backend
from . import cupy_hooks as _cupy_hooks  # noqa: F401 - lets CuPy's functions find them
from . import numpy as numpy
from .backend import use as use
from .fused.switch import fusion as fusion
from .transforms.gradients import elementwise_grad as elementwise_grad
from .transforms.gradients import grad as grad
from .transforms.gradients import value_and_grad as value_and_grad
from .transforms.gradients import vjp as vjp
from .values import stop_gradient as stop_gradient
from .values import to_backend as to_backend
from .values import to_numpy as to_numpy

if TYPE_CHECKING:
    from . import test_util as test_util
    from .checkpointing import checkpoint as checkpoint
    from .checkpointing import checkpoint_sequence as checkpoint_sequence
    from .core.pytree import register_container as register_container
    from .custom import defjvp as defjvp
    from .custom import defvjp as defvjp
    from .custom import primitive as primitive
    from .custom_rules import custom_jvp as custom_jvp
    from .custom_rules import custom_vjp as custom_vjp
    from .custom_rules import defbatch as defbatch
    from .fused.explain import explain as explain
    from .implicit import fixed_point as fixed_point
    from .implicit import root as root
    from .information import info as info
    from .lifting import lift as lift
    from .transforms.cost import cost as cost
    from .transforms.forward import jvp as jvp
    from .transforms.forward import linearize as linearize
    from .transforms.jacobians import hessian as hessian
    from .transforms.jacobians import hvp as hvp
    from .transforms.jacobians import jacfwd as jacfwd
    from .transforms.jacobians import jacobian as jacobian
    from .transforms.jacobians import jacrev as jacrev
    from .transforms.jit import jit as jit
    from .transforms.products import divergence as divergence
    from .transforms.products import ggnvp as ggnvp
    from .transforms.products import laplacian as laplacian
    from .transforms.saved import load_jit as load_jit
    from .transforms.sparse import Sparsity as Sparsity
    from .transforms.sparse import hessian_sparsity as hessian_sparsity
    from .transforms.sparse import jacobian_sparsity as jacobian_sparsity
    from .transforms.vmap import vmap as vmap

__version__ = "0.1.0"

#: What `from gpuad import *` takes: no modules, which would hide NumPy's and SciPy's; none of autograd's names, some of
#: which are Python's; nothing that imports SciPy.
__all__ = [
    "checkpoint", "checkpoint_sequence", "cost", "custom_jvp", "custom_vjp", "defbatch", "defjvp", "defvjp",
    "divergence", "elementwise_grad", "explain", "fixed_point", "fusion", "ggnvp", "grad", "hessian", "hvp", "info",
    "jacfwd", "jacobian", "jacrev", "jit", "jvp", "laplacian", "lift", "linearize", "load_jit", "primitive",
    "register_container", "root", "stop_gradient", "to_backend", "to_numpy", "use", "value_and_grad", "vjp", "vmap",
]  # fmt: skip


# What few programs need is imported when it is asked for: modules, and names from theirs, autograd's among them.
_MODULES = frozenset("builtins core differential_operators extend misc scipy test_util tracer util wrap_util".split())
_LATER = {
    "core.pytree": "register_container",
    "custom": "defjvp defvjp primitive",
    "lifting": "lift",
    "transforms.cost": "cost",
    "transforms.forward": "jvp linearize",
    "transforms.jit": "jit",
    "transforms.saved": "load_jit",
    "transforms.jacobians": "hessian hvp jacfwd jacobian jacrev",
    "transforms.vmap": "vmap",
    "checkpointing": "checkpoint checkpoint_sequence",
    "custom_rules": "custom_jvp custom_vjp defbatch",
    "transforms.sparse": "Sparsity hessian_sparsity jacobian_sparsity",
    "implicit": "fixed_point root",
    "information": "info",
    "fused.explain": "explain",
    "transforms.products": "divergence ggnvp laplacian",
    "builtins": "dict isinstance list tuple type",
    "differential_operators": "deriv grad_and_aux grad_named hessian_tensor_product hessian_vector_product "
    "holomorphic_grad make_ggnvp make_hvp make_jvp make_vjp multigrad_dict tensor_jacobian_product "
    "vector_jacobian_product",
}


def __getattr__(name: str) -> _Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    for module, names in _LATER.items():
        if name in names.split():
            found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *(name for names in _LATER.values() for name in names.split())})

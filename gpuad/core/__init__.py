"""What a primitive is, which transformation sees it, how it is recorded and swept."""

import sys as _sys
from types import ModuleType as _ModuleType
from typing import Any as _Any

#: What autograd's ``core`` offers, and where it is; imported when a program asks for it.
_FROM_AUTOGRAD = {
    "nodes": "Box JVPNode Node VJPNode backward_pass isbox primitive_jvps primitive_vjps trace",
    "rules": "def_linear defjvp defjvp_argnum defjvp_argnums defvjp defvjp_argnum defvjp_argnums sum_outgrads",
    "vspaces": "SparseObject VSpace getval vspace",
}
_UNDER_OTHER_NAMES = {"make_jvp": "jvp_of", "make_vjp": "vjp_of"}


def __getattr__(name: str) -> _Any:
    import importlib

    if name in _UNDER_OTHER_NAMES:
        return getattr(importlib.import_module("gpuad.autograd_names.operators"), _UNDER_OTHER_NAMES[name])
    if name in ("func", "subval", "subvals", "toposort"):
        return getattr(importlib.import_module("gpuad.util"), name)
    for module, names in _FROM_AUTOGRAD.items():
        if name in names.split():
            return getattr(importlib.import_module(f"gpuad.autograd_names.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Core(_ModuleType):
    """autograd's decorator has the name of a module of ours: an import of the name from here means the decorator."""

    @property
    def primitive(self) -> _Any:
        from ..autograd_names.rules import primitive

        return primitive

    @primitive.setter
    def primitive(self, module: _ModuleType) -> None:
        """The import system hands the module over, which others find by its full name."""


_sys.modules[__name__].__class__ = _Core

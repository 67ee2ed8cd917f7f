"""autograd's module of this name: NumPy's functions, and how a module of functions is made primitives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import numpy as _ours
from ..autograd_names.rules import notrace_primitive, primitive

numpy_version = np.__version__


def wrap_namespace(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Put what a module has into ``new``: each function as a primitive, each constant as it is.

    A function of NumPy's that gpuad differentiates is gpuad's.
    """
    wrapped: dict[int, Any] = {}
    for name, value in old.items():
        if callable(value) and not isinstance(value, type):
            if id(value) not in wrapped:
                ours = getattr(value, "__module__", None) == "numpy" and getattr(_ours, value.__name__, None)
                wrapped[id(value)] = ours or primitive(value)
            new[name] = wrapped[id(value)]
        elif isinstance(value, (float, int, type, type(None))):
            new[name] = value


def array_from_args(array_args: tuple[Any, ...], array_kwargs: dict[str, Any], *args: Any) -> Any:
    return _ours.array(args, *array_args, **array_kwargs)


def concatenate_args(axis: int, *args: Any) -> Any:
    return _ours.concatenate(args, axis)


def _metadata(A: Any) -> tuple[Any, ...]:
    return np.shape(A), np.ndim(A), np.result_type(A), np.iscomplexobj(A)


#: Shape, number of dimensions, dtype, and whether it is complex.
metadata: Callable[[Any], tuple[Any, ...]] = notrace_primitive(_metadata)


def __getattr__(name: str) -> Any:
    return getattr(_ours, name)

"""The Python array API standard on traced arrays: what code that isn't written for one library asks of an array.

https://data-apis.org/array-api/2025.12. The namespace is ``gpuad.numpy``.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, NoReturn

from . import cupy_hooks
from .core.box import Box, sample
from .errors import UnsupportedError
from .numpy.standard import EDITIONS


def _namespace(self: Box, /, *, api_version: str | None = None) -> ModuleType:
    if api_version is not None and api_version not in EDITIONS:
        raise ValueError(
            f"the array API standard of {api_version!r} isn't known; the editions are {', '.join(EDITIONS)}"
        )
    return importlib.import_module("gpuad.numpy")


def _device(self: Box) -> Any:
    return getattr(sample(self), "device", "cpu")  # a Python number has none


def _to_device(self: Box, device: Any, /, *, stream: Any = None) -> Box:
    if device != _device(self):
        raise UnsupportedError(
            f"a traced array can't be moved from device {_device(self)} to {device}; move the arguments before "
            "differentiating, with gpuad.to_backend(x, name)"
        )
    return self


def _no_dlpack(self: Box, *args: Any, **kwargs: Any) -> NoReturn:
    raise UnsupportedError(
        "a traced array can't be handed to another library by DLPack: its derivative would be lost in silence. Pass "
        "gpuad.stop_gradient(x) if it is meant as a constant; or make the call a primitive, with gpuad.primitive and "
        "gpuad.defvjp"
    )


for _name, _value in {
    "__array_namespace__": _namespace,
    "device": property(_device),
    "to_device": _to_device,
    "__dlpack__": _no_dlpack,
    "__dlpack_device__": _no_dlpack,
}.items():
    setattr(Box, _name, _value)


def explain(error: BaseException) -> None:
    """Raise ``UnsupportedError`` where a library raised ``error`` for it was given a traced array."""
    if isinstance(error, TypeError) and "Multiple namespaces" in str(error) and "gpuad.numpy" in str(error):
        raise UnsupportedError(
            "a function that works by the array API standard met a traced array beside a plain one. Make constants "
            "with gpuad.numpy.array(...) inside the differentiated function. If it makes the other one itself, such "
            f"as a mask, it can't be differentiated. ({error})"
        ) from error
    cupy_hooks.explain(error)

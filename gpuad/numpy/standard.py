"""What the Python array API standard has beyond NumPy: keywords, and the version that is conformed to.

https://data-apis.org/array-api/2025.12
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..backend import current
from ..core.box import innermost, spec_of
from ..ops import elementwise as e
from .creation import as_array, as_arrays, home
from .frontend import functions, numpy_function
from .shapes import flip, ravel

#: The edition whose names and signatures this namespace has, and those that it contains.
__array_api_version__ = "2025.12"
EDITIONS = ("2021.12", "2022.12", "2023.12", "2024.12", __array_api_version__)


# -- sorting downwards --------------------------------------------------------------------------------
def _descending(name: str) -> None:
    ascending = functions[name]

    @functools.wraps(ascending)
    def function(a: Any, axis: Any = -1, *args: Any, descending: bool = False, **options: Any) -> Any:
        if not descending:
            return ascending(a, axis, *args, **options)
        a = as_array(a)
        a, axis = (ravel(a), 0) if axis is None else (a, axis)
        found = flip(ascending(flip(a, axis), axis, kind="stable"), axis)  # turned around, equals keep their order
        return spec_of(a).shape[axis] - 1 - found if name == "argsort" else found

    functions[name] = function


_descending("sort")
_descending("argsort")


# -- membership -----------------------------------------------------------------------------------------
@numpy_function("isin")
def isin(element: Any, test_elements: Any, *options: Any, **keywords: Any) -> Any:
    elements = [innermost(e.stop_gradient(a)) for a in as_arrays([element, test_elements])]
    return home(*elements).function("isin")(*elements, *options, **keywords)


# -- inspection ---------------------------------------------------------------------------------------
_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


class Inspection:
    """What the backend of new arrays can do, as the standard asks for it."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        return getattr(current().asarray(0.0), "device", "cpu")

    def devices(self) -> list[Any]:
        return [self.default_device()]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        return {
            "real floating": np.dtype(float),
            "complex floating": np.dtype(complex),
            "integral": np.dtype(int),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        if unknown := [k for k in kinds if k not in _KINDS]:
            raise ValueError(f"unsupported kinds of dtypes: {unknown}; the kinds are {', '.join(_KINDS)}")
        return {name: np.dtype(name) for k in kinds for name in _KINDS[k]}


def __array_namespace_info__() -> Inspection:
    return Inspection()

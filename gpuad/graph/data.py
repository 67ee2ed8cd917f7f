"""What a recording is made of as JSON, and back: numbers, slices, dtypes, specs, index arrays, operations by name.

The numbers of arrays lie in one block of bytes, beside the JSON. What is read back may come from anybody: only what is
listed here can come of it, an operation takes no parameters but its own, and no text where its parameters are numbers,
for these become a part of the text of a function.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend
from ..backend import owner_of_type
from ..core.box import Spec, make_spec
from ..core.memory import View
from ..core.record import OF_NUMBERS, PythonOperator, is_array
from ..errors import BackendError
from ..numpy.creation import laid
from ..ops import elementwise
from ..ops.declare import registry
from ..ops.index import ARRAY, Arrays, Region, scatter_at

_NUMBERS: dict[str, type] = {t.__name__: t for t in (bool, int, float, complex)}
_DTYPE = re.compile(r"[<>|][biufc]\d{1,2}")
#: Parameters that are texts: none of them is ever a part of a program's text.
_TEXTS = frozenset("driver kind method mode norm order otherwise side subscripts".split())
#: Parameters of operations that are a library's function as it is.
_LIBRARYS = ("axis", "keepdims", "kind", "method", "right", "side", "sorter")
_INNER = {
    prim.name: prim
    for prim in (
        laid, scatter_at, elementwise.bitwise_and, elementwise.bitwise_or, elementwise.bitwise_xor, elementwise.invert,
        elementwise.left_shift, elementwise.right_shift,
    )
}  # fmt: skip
#: Modules whose operations are declared when a program first uses one, those that take no time to import first.
_LATER = (
    "fft convolve cosine decompositions determinants filter matrix_functions pencils polynomials pseudo_inverse spline "
    "structured weighted_sum windows special_logistic special_error special_entropy special_gamma special_incomplete "
    "special_distributions special_integrals special_bessel student normal_cdf"
).split()


class Unsaveable(Exception):
    """Something that a file can't hold; the message names it."""


class Invalid(Exception):
    """The content of a file isn't what gpuad writes; says what is wrong with it."""


# -- operations ---------------------------------------------------------------------------------------
def name_of(prim: Any) -> str:
    """The name under which ``operation`` finds it again."""
    name = f"python:{prim.name}" if type(prim) is PythonOperator else str(prim.name)
    found = OF_NUMBERS.get(prim.name) if type(prim) is PythonOperator else registry.get(name, _INNER.get(name))
    if found is not prim:
        raise Unsaveable(f"{name} is an operation of the program's own, and a file has no code")
    return name


def operation(name: Any) -> Any:
    """The operation of that name."""
    if type(name) is not str:
        raise Invalid(f"{name!r} is no name of an operation")
    kind, _, rest = name.partition(":")
    if kind == "python" and rest in OF_NUMBERS:
        return OF_NUMBERS[rest]
    found = registry.get(name, _INNER.get(name))
    for module in _LATER:
        if found is not None:
            return found
        try:
            importlib.import_module(f"gpuad.ops.{module}")
        except ImportError:  # SciPy isn't installed
            continue
        found = registry.get(name)
    if found is None:
        raise Invalid(f"there is no operation {name[:80]!r} here (SciPy's are there where SciPy is installed)")
    return found


@functools.cache
def _parameters_of(prim: Any) -> tuple[str, ...]:
    code = getattr(prim.function if type(prim) is PythonOperator else prim.forward, "__code__", None)
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount] if code else _LIBRARYS


# -- writing ------------------------------------------------------------------------------------------
def _dtype_text(dtype: Any) -> str:
    if dtype.kind not in "biufc" or np.dtype(dtype.str) != dtype:
        raise Unsaveable(f"an array of dtype {dtype}")
    return str(dtype.str)


class Packer:
    """Makes JSON of things; ``arrays`` describes the arrays that it met, and ``blocks`` are their bytes."""

    def __init__(self) -> None:
        self.arrays: list[dict[str, Any]] = []
        self.blocks: list[bytes] = []
        self.size = 0
        self._known: dict[int, tuple[int, Any]] = {}

    def data(self, x: Any) -> Any:
        """``x`` as JSON. Raises ``Unsaveable``."""
        kind = type(x)
        if x is None or kind in (bool, int, str) or (kind is float and math.isfinite(x)):
            return x
        write = _WRITERS.get(kind)
        if write is not None:
            return write(self, x)
        if isinstance(x, np.dtype):
            return ["dtype", _dtype_text(x)]
        if isinstance(x, np.generic):
            return ["scalar", self._array(np.asarray(x), x)]
        if is_array(x):
            return ["array", self._array(x, x)]
        if x is ARRAY:
            return ["gap"]
        raise Unsaveable(f"an object of type {kind.__module__}.{kind.__qualname__}")

    def _array(self, x: Any, key: Any) -> int:
        known = self._known.get(id(key))
        if known is None:
            known = self._known[id(key)] = len(self.arrays), key
            owner = owner_of_type(type(x))
            assert owner is not None
            raw = owner.to_numpy(x)
            # Where nothing but a broadcast was, one row is kept; the axes come by their steps in memory.
            same = [n > 1 and step == 0 for n, step in zip(raw.shape, raw.strides, strict=True)]
            order = sorted(range(raw.ndim), key=lambda i: -abs(raw.strides[i]))
            kept = raw[tuple(slice(1) if s else slice(None) for s in same)].transpose(order)
            block = np.ascontiguousarray(kept).tobytes()
            self.arrays.append(
                {
                    "dtype": _dtype_text(raw.dtype), "shape": raw.shape, "order": order, "kept": kept.shape,
                    "at": self.size, "backend": owner.name,
                }
            )  # fmt: skip
            block += bytes(-len(block) % 16)
            self.blocks.append(block)
            self.size += len(block)
        return known[0]

    def parameters(self, prim: Any, params: dict[str, Any]) -> list[Any]:
        """Those of an operation, as pairs."""
        own = _parameters_of(prim)
        for k, v in params.items():
            if k not in own or (k not in _TEXTS and _has_text(v)):
                raise Unsaveable(f"the parameter {k!r} of {prim.name}")
        return [[k, self.data(v)] for k, v in params.items()]

    def steps(self, steps: Any) -> list[Any]:
        """Views of views."""
        return [[name_of(prim), self.parameters(prim, params)] for prim, params in steps]


def _has_text(x: Any) -> bool:
    return type(x) is str or (type(x) in (tuple, list) and any(map(_has_text, x)))


def _is_steps(x: tuple[Any, ...]) -> bool:
    return bool(x) and all(type(p) is tuple and len(p) == 2 and isinstance(p[0], View) for p in x)


def _tuple(pack: Packer, x: tuple[Any, ...]) -> list[Any]:
    return ["steps", *pack.steps(x)] if _is_steps(x) else ["tuple", *map(pack.data, x)]


_WRITERS: dict[type, Callable[[Packer, Any], Any]] = {
    float: lambda pack, x: ["float", repr(x)],
    complex: lambda pack, x: ["complex", pack.data(x.real), pack.data(x.imag)],
    bytes: lambda pack, x: ["bytes", x.hex()],
    tuple: _tuple,
    list: lambda pack, x: ["list", *map(pack.data, x)],
    slice: lambda pack, x: ["slice", *map(pack.data, (x.start, x.stop, x.step))],
    type(...): lambda pack, x: ["..."],
    type: lambda pack, x: _class(x),
    Spec: lambda pack, x: ["spec", list(x.shape), _dtype_text(x.dtype)],
    Arrays: lambda pack, x: ["arrays", pack.data(x.key), pack.data(x.arrays)],
    Region: lambda pack, x: ["region", *pack.steps(x.steps)],
}


def _class(x: type) -> list[str]:
    if _NUMBERS.get(x.__name__) is not x:
        raise Unsaveable(f"the class {x.__qualname__}")
    return ["type", x.__name__]


# -- reading ------------------------------------------------------------------------------------------
def whole(x: Any, least: int = 0, most: int = 1 << 48) -> int:
    """``x``, if it is an integer within these bounds."""
    if type(x) is not int or not least <= x <= most:
        raise Invalid(f"{str(x)[:40]} stands where a number from {least} to {most} should")
    return x


def shape(x: Any) -> tuple[int, ...]:
    """``x``, if it is a list of lengths."""
    if type(x) is not list or len(x) > 64:
        raise Invalid("a shape is no list of at most 64 numbers")
    return tuple([whole(n) for n in x])


def dtype(text: Any) -> np.dtype[Any]:
    """The dtype, of numbers, that a text names."""
    if type(text) is not str or not _DTYPE.fullmatch(text):
        raise Invalid(f"{str(text)[:40]!r} is no dtype of numbers")
    try:
        return np.dtype(text)
    except TypeError:
        raise Invalid(f"there is no dtype {text!r} on this machine") from None


def text(x: Any, longest: int = 4096) -> str:
    """``x``, if it is a text of so many characters at most."""
    if type(x) is not str or len(x) > longest:
        raise Invalid(f"{str(x)[:40]!r} stands where a text should")
    return x


class Unpacker:
    """Makes things of JSON; ``arrays`` and ``block`` as a ``Packer`` wrote them. Raises ``Invalid``."""

    def __init__(self, arrays: list[Any], block: bytes) -> None:
        self._arrays = [self._array(row, block) for row in arrays]

    def data(self, x: Any, texts: bool = True) -> Any:
        """What ``x`` stands for. ``texts``: whether there may be texts in it."""
        kind = type(x)
        if x is None or kind in (bool, int, float):
            return x
        if kind is str and texts:
            return x
        if kind is not list or not x or type(x[0]) is not str or x[0] not in _READERS:
            raise Invalid(f"{str(x)[:40]!r} stands where a value should")
        return _READERS[x[0]](self, x[1:], texts)

    def many(self, xs: list[Any], texts: bool) -> list[Any]:
        """``data`` of each."""
        return [self.data(x, texts) for x in xs]

    @staticmethod
    def _array(row: Any, block: bytes) -> Any:
        kind, full, kept, at = dtype(row["dtype"]), shape(row["shape"]), shape(row["kept"]), whole(row["at"])
        order = [whole(i, most=len(full) - 1) for i in row["order"]]
        if sorted(order) != list(range(len(full))) or len(kept) != len(full):
            raise Invalid("the axes of an array aren't in an order")
        if any(n not in (full[i], 1) for n, i in zip(kept, order, strict=True)):
            raise Invalid(f"an array of shape {full} can't be one of {kept}")
        size = math.prod(kept)
        if at + size * kind.itemsize > len(block):
            raise Invalid("an array is longer than the file")
        numbers = np.frombuffer(block, kind, size, at).copy().reshape(kept).transpose(np.argsort(order).tolist())
        raw = np.broadcast_to(numbers, full) if numbers.shape != full else numbers
        owner = row["backend"]
        if owner == "numpy":
            return raw
        try:
            return backend.choose(text(owner))[0].asarray(raw)
        except BackendError as error:
            raise Invalid(str(error)) from None

    def array(self, number: Any) -> Any:
        """The array of that number."""
        return self._arrays[whole(number, most=len(self._arrays) - 1)]

    def parameters(self, prim: Any, pairs: list[Any]) -> dict[str, Any]:
        """Those of an operation, if they are its own."""
        own = _parameters_of(prim)
        found = {}
        for k, v in pairs:
            if k not in own:
                raise Invalid(f"{prim.name} has no parameter {str(k)[:40]!r}")
            found[k] = self.data(v, k in _TEXTS)
        return found

    def steps(self, pairs: list[Any]) -> tuple[Any, ...]:
        """Views of views, into which a program may write."""
        found = []
        for name, params in pairs:
            prim = operation(name)
            if not isinstance(prim, View) or not prim.writable:
                raise Invalid(f"{prim.name} isn't a view that can be written into")
            found.append((prim, self.parameters(prim, params)))
        return tuple(found)


def _slice(read: Unpacker, x: list[Any], texts: bool) -> slice:
    start, stop, step = (i if i is None else whole(i, -(1 << 62), 1 << 62) for i in x)
    return slice(start, stop, step)


def _complex(read: Unpacker, x: list[Any], texts: bool) -> complex:
    real, imag = (read.data(part, False) for part in x)
    if type(real) is not float or type(imag) is not float:
        raise Invalid("a complex number is made of two others")
    return complex(real, imag)


_READERS: dict[str, Callable[[Unpacker, list[Any], bool], Any]] = {
    "float": lambda read, x, texts: float({"nan": "nan", "inf": "inf", "-inf": "-inf"}[x[0]]),
    "complex": _complex,
    "bytes": lambda read, x, texts: bytes.fromhex(x[0]),
    "tuple": lambda read, x, texts: tuple(read.many(x, texts)),
    "list": lambda read, x, texts: read.many(x, texts),
    "slice": _slice,
    "...": lambda read, x, texts: ...,
    "type": lambda read, x, texts: _NUMBERS[x[0]],
    "dtype": lambda read, x, texts: dtype(x[0]),
    "spec": lambda read, x, texts: make_spec(shape(x[0]), dtype(x[1])),
    "gap": lambda read, x, texts: ARRAY,
    "arrays": lambda read, x, texts: Arrays(read.data(x[0], False), read.data(x[1], False)),
    "region": lambda read, x, texts: Region(read.steps(x)),
    "steps": lambda read, x, texts: read.steps(x),
    "array": lambda read, x, texts: read.array(x[0]),
    "scalar": lambda read, x, texts: read.array(x[0])[()],
}

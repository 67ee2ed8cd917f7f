"""A strict stand-in for a device array, to catch every habit of NumPy in the shared code where there is no GPU.

Its arrays live in NumPy's memory but hide it: they refuse to become NumPy arrays, refuse to meet NumPy
arrays and lists in an operation, give 0-d arrays where NumPy gives scalars, and count what would cost
time on a device: synchronisations, copies from and to the host, and launches. Where CuPy lacks a function
or an option, so does this. It is also the proof that a backend is one class.
"""

from __future__ import annotations

import types
import weakref
from collections import Counter

import numpy as np

from gpuad.backend import Backend

#: What was done since the last `counts.clear()`: "sync", "to_host", "to_device", "launch".
counts: Counter[str] = Counter()

#: Functions that NumPy has and CuPy 14 hasn't; the ones that gpuad comes near.
MISSING = frozenset(
    "block insert geomspace unstack frompyfunc vecdot matvec vecmat spacing nanpercentile fill_diagonal_ "
    "linalg.multi_dot linalg.vector_norm linalg.matrix_norm linalg.vecdot linalg.matrix_transpose "
    "matrix_transpose permute_dims concat astype".split()
)
#: Ufuncs take no where=, and the only ufunc methods are these.
METHODS = frozenset({"add.at", "maximum.at", "minimum.at", "add.reduce", "multiply.reduce", "add.outer"})


_owners: weakref.WeakValueDictionary[int, DeviceArray] = weakref.WeakValueDictionary()


class DeviceArray:
    """An array that stays where it is."""

    __slots__ = ("__weakref__", "_base", "_host")
    __array_ufunc__ = None  # NumPy's ufuncs and operators raise
    __hash__ = None

    def __init__(self, host):
        self._host = host
        # One array stands for the memory that others are views of, and they hold it, as NumPy's and CuPy's do.
        base = host.base if isinstance(host.base, np.ndarray) else None  # else a capsule or so, of compiled code
        self._base = None if base is None else _owners.get(id(base))
        if self._base is None and base is not None:
            self._base = DeviceArray(base)
        _owners[id(host)] = self

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion of a device array to NumPy")

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"numpy.{func.__name__} called on a device array")

    # what needs the value on the host waits for the device
    def _read(self):
        counts["sync"] += 1
        counts["to_host"] += 1
        return self._host

    def get(self):
        return self._read().copy()

    def __bool__(self):
        return bool(self._read())

    def __float__(self):
        return float(self._read())

    def __int__(self):
        return int(self._read())

    def __complex__(self):
        return complex(self._read())

    def __index__(self):
        return self._read().__index__()

    def item(self):
        return self._read().item()

    def __repr__(self):
        return f"DeviceArray({self._host!r})"

    # what doesn't
    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    base = property(lambda self: self._base)
    T = property(lambda self: DeviceArray(self._host.T))
    real = property(lambda self: DeviceArray(self._host.real), lambda self, v: setattr(self._host, "real", _unwrap(v)))
    imag = property(lambda self: DeviceArray(self._host.imag), lambda self, v: setattr(self._host, "imag", _unwrap(v)))

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        index = _index(index)
        found = self._host[index]
        if isinstance(found, np.generic):  # a device gives a view here, too
            found = self._host[(*index, ...) if type(index) is tuple else (index, ...)]
        return _wrap(found)

    def __setitem__(self, index, value):
        self._host[_index(index)] = _unwrap(value)

    def _method(name):
        def method(self, *args, **kwargs):
            counts["launch"] += 1
            return _wrap(getattr(self._host, name)(*map(_unwrap, args), **{k: _unwrap(v) for k, v in kwargs.items()}))

        return method

    for _name in (
        "sum mean prod max min var std any all argmax argmin cumsum cumprod reshape transpose swapaxes ravel flatten "
        "squeeze astype copy take repeat diagonal trace dot clip round conj conjugate argsort nonzero".split()
    ):
        locals()[_name] = _method(_name)

    def _operator(name):
        def operator(self, *others):
            # By type, as C code asks: a traced array says to isinstance that it is one of these.
            kinds = (DeviceArray, np.ndarray, np.generic, int, float, complex)
            if not all(issubclass(type(o), kinds) for o in others):
                return NotImplemented
            counts["launch"] += 1
            others = [_unwrap(o) for o in others]
            return _wrap(getattr(self._host, name)(*others))

        return operator

    for _name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
        locals()[f"__{_name}__"] = _operator(f"__{_name}__")
        locals()[f"__r{_name}__"] = _operator(f"__r{_name}__")
    for _name in "neg pos abs invert eq ne lt le gt ge".split():
        locals()[f"__{_name}__"] = _operator(f"__{_name}__")

    def __iadd__(self, other):
        counts["launch"] += 1
        self._host += _unwrap(other)
        return self

    del _method, _operator, _name


def _unwrap(x):
    """The host array of a device array; scalars as they are; an error for what a device can't take."""
    if issubclass(type(x), DeviceArray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError("a NumPy array was mixed with device arrays")
    if isinstance(x, (list, tuple)):
        inner = [_unwrap(i) for i in x]
        return inner if isinstance(x, list) else tuple(inner)
    return x


def _index(index):
    if isinstance(index, tuple):
        return tuple(_index(i) for i in index)
    if isinstance(index, DeviceArray):
        if index.dtype == bool:
            counts["sync"] += 1  # the size of the result must be known
        return index._host
    if isinstance(index, (list, np.ndarray)):
        counts["to_device"] += 1
    return index


def _wrap(x):
    if isinstance(x, np.generic):
        return DeviceArray(np.asarray(x))
    if isinstance(x, np.ndarray):
        return DeviceArray(x)
    if isinstance(x, (list, tuple)):
        return type(x)(map(_wrap, x)) if type(x) in (list, tuple) else tuple(map(_wrap, x))
    return x


class Namespace:
    """NumPy's functions on device arrays, but those that CuPy lacks."""

    def __init__(self, theirs=np, prefix=""):
        self._theirs, self._prefix = theirs, prefix

    def __getattr__(self, name):
        dotted = self._prefix + name
        theirs = getattr(self._theirs, name)
        if dotted in MISSING:
            raise AttributeError(f"CuPy has no {dotted}")
        if isinstance(self._theirs, np.ufunc) and dotted not in METHODS:
            raise AttributeError(f"CuPy has no {dotted}")
        if isinstance(theirs, types.ModuleType):
            return Namespace(theirs, dotted + ".")
        if isinstance(theirs, type) or not callable(theirs):
            return theirs
        return Function(theirs, dotted)


class Function(Namespace):
    def __init__(self, theirs, name):
        super().__init__(theirs, name + ".")
        self._name = name

    def __call__(self, *args, **kwargs):
        if isinstance(self._theirs, np.ufunc) and "where" in kwargs:
            raise TypeError(f"{self._name}() got an unexpected keyword argument 'where'")
        if self._name in ("sum", "prod", "mean", "max", "min") and "where" in kwargs:
            raise TypeError(f"{self._name}() got an unexpected keyword argument 'where'")
        counts["launch"] += 1
        if self._name not in ("array", "asarray", "full"):
            for a in args:
                if isinstance(a, list) and not any(isinstance(i, DeviceArray) for i in a) and a:
                    raise TypeError(f"{self._name}: a list where a device array is needed")
        if self._name in ("array", "asarray") and not isinstance(args[0], DeviceArray):
            counts["to_device"] += 1
        return _wrap(self._theirs(*map(_unwrap, args), **{k: _unwrap(v) for k, v in kwargs.items()}))


class StrictBackend(Backend):
    name = "strict"
    array_types = (DeviceArray,)
    _xp = Namespace()

    @property
    def xp(self):
        return self._xp

    @property
    def scipy(self):
        import scipy

        return Namespace(scipy, "scipy.")

    def asarray(self, x, dtype=None):
        counts["to_device"] += 1
        return DeviceArray(np.array(x, dtype))

    def to_numpy(self, x):
        return np.asarray(x.get())

    def synchronize(self):
        counts["sync"] += 1

    def device_name(self):
        return "strict stand-in for a device, on the CPU"

    def version(self):
        return np.__version__

"""``numpy.vectorize`` on traced arrays.

It is the one function of NumPy's that is a class, and asks no argument of its calls what to do: it would make an
array of objects of a traced one. So its instances get a way for these, beside their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.box import spec_of
from ..errors import UnsupportedError
from ..ops.declare import broadcast_to
from ..ops.index import getitem
from .creation import as_arrays, convert, home
from .frontend import functions, is_traced

_theirs = np.vectorize.__call__


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    if is_traced(args) or is_traced(kwargs.values()):
        return _traced(self, args, kwargs)
    try:
        return _theirs(self, *args, **kwargs)
    except UnsupportedError:  # the function gave traced numbers by itself
        return _traced(self, args, kwargs)


_call.__name__, _call.__doc__ = _theirs.__name__, _theirs.__doc__
np.vectorize.__call__ = _call  # type: ignore[method-assign]


def _traced(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call after call, the results stacked."""
    given: dict[int | str, Any] = dict(enumerate(args)) | kwargs
    varied = [k for k in given if k not in self.excluded]
    arrays = as_arrays(given[k] for k in varied)
    inner, outer = self._in_and_out_core_dims or ([()] * len(arrays), None)
    if len(inner) != len(arrays):
        raise TypeError(f"wrong number of positional arguments: expected {len(inner)!r}, got {len(arrays)!r}")
    batch = _check_core(arrays, inner)
    arrays = [broadcast_to(a, shape=(*batch, *_core(a, names))) for a, names in zip(arrays, inner, strict=True)]
    results: list[tuple[Any, ...]] = []
    several = False
    for place in itertools.product(*map(range, batch)):
        values = given | {
            k: getitem(a, (*place, ...) if names else place) for k, a, names in zip(varied, arrays, inner, strict=True)
        }
        result = self.pyfunc(
            *(v for k, v in values.items() if isinstance(k, int)),
            **{k: v for k, v in values.items() if isinstance(k, str)},
        )
        several = isinstance(result, tuple)
        results.append(tuple(result) if several else (result,))
    if not results:
        return _of_none(self, batch, arrays)
    if outer is not None and len(outer) != len(results[0]):
        raise ValueError(f"wrong number of outputs from pyfunc: expected {len(outer)!r}, got {len(results[0])!r}")
    dtypes = list(self.otypes or (spec_of(r).dtype for r in as_arrays(results[0])))
    found = tuple(
        _joined(column, batch, dtype) for column, dtype in zip(zip(*results, strict=True), dtypes, strict=True)
    )
    return found if several else found[0]


def _core(a: Any, names: Sequence[str]) -> tuple[int, ...]:
    shape = spec_of(a).shape
    return shape[len(shape) - len(names) :]


def _check_core(arrays: Sequence[Any], inner: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """What the arrays broadcast to, without the axes that the function gets whole."""
    lengths: dict[str, int] = {}
    for a, names in zip(arrays, inner, strict=True):
        if len(spec_of(a).shape) < len(names):
            raise ValueError(f"an array of shape {spec_of(a).shape} doesn't have all core dimensions {tuple(names)}")
        for name, n in zip(names, _core(a, names), strict=True):
            if lengths.setdefault(name, n) != n:
                raise ValueError(f"inconsistent size for core dimension {name!r}: {n!r} vs {lengths[name]!r}")
    shapes = (spec_of(a).shape for a in arrays)
    return np.broadcast_shapes(*(s[: len(s) - len(names)] for s, names in zip(shapes, inner, strict=True)))


def _joined(column: Sequence[Any], batch: tuple[int, ...], dtype: Any) -> Any:
    whole = functions["stack"](list(column))
    whole = functions["reshape"](whole, (*batch, *spec_of(whole).shape[1:]))
    return convert(whole, dtype)


def _of_none(self: Any, batch: tuple[int, ...], arrays: Sequence[Any]) -> Any:
    if self.otypes is None:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    found = tuple(home(arrays).function("zeros")(batch, dtype) for dtype in self.otypes)
    return found if len(found) > 1 else found[0]

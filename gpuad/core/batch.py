"""Batches: a function of one example, run on all of them at once.

A box of this level stands for one example. Its spec is that of the example; its value holds all of them, along
an axis in front. What an operation does with that axis its batching rule says, ``prim.batch``, stated where the
operation is; the rules that many share are in ``ops.batching``. An operation without one is evaluated example
by example, and says so once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import UnsupportedError
from .box import Box, make_box, make_spec, spec_of, twin
from .level import Level
from .memory import exclusive
from .primitive import Primitive
from .tape import leaked
from .untraced import UNTRACED, written


class Batch(Level):
    """Evaluates primitives one level further out, for all examples at once."""

    __slots__ = ("closed", "size")
    batched = True
    #: ``broadcast(x, shape=...)`` and ``stack(*xs, axis=...)``, which ``ops`` gives.
    broadcast: ClassVar[Any]
    stack: ClassVar[Any]

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.closed = False

    def watch(self, value: Any) -> Box:
        """One example, of the examples along the first axis of ``value``."""
        shape = value.shape
        if not shape or shape[0] != self.size:
            raise AssertionError(f"a batch of {self.size} examples has the shape {shape}")
        return make_box(value, self, 0, make_spec(shape[1:], value.dtype))

    def close(self) -> None:
        """From here on, an operation on a box of this level is an error."""
        self.closed = True

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            leaked()
        if prim.elementwise and prim.batch is None and len(args) < 3:
            return self._elementwise(prim, args, params)
        values = self.opened(args)
        mapped = [type(a) is Box and a.level is self for a in args]
        rule = prim.batch or (elementwise if prim.elementwise else one_by_one)
        ans = rule(prim, self.size, mapped, values, params)
        return tuple(map(self.watch, ans)) if type(ans) is tuple or type(ans) is list else self.watch(ans)

    def _elementwise(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Box:
        """``process`` in half the time, for what most operations of a program are."""
        if len(args) == 1:
            (one,) = args
            ans = prim(one.value, **params)
        else:
            values = self.opened(args)
            mapped = [type(a) is Box and a.level is self for a in args]
            one = args[not mapped[0]]
            mine, theirs = len(one.spec.shape), len(spec_of(args[mapped[0]]).shape)
            if theirs > mine or (theirs < mine and all(mapped)):
                values = aligned(values, mapped)
            ans = prim(*values, **params)
        spec = one.spec
        same = ans.dtype is spec.dtype and ans.shape == one.value.shape
        return make_box(ans, self, 0, spec) if same else self.watch(ans)

    def write(self, x: Box, v: Any, place: Any) -> None:
        if self.closed:
            leaked()
        ours, theirs = x.level is self, type(v) is Box and v.level is self
        if ours:
            content = exclusive(x)
        else:
            whole = x.value if x.level is UNTRACED else twin(x)
            content = self.broadcast(whole, shape=(self.size, *x.spec.shape)).copy()
        v_value = self.opened((v,))[0]
        arrays = self.opened(place.arrays)
        mapped = [type(a) is Box and a.level is self for a in place.arrays]
        there, v_value = place.batched(content, v_value, theirs, arrays, mapped)
        x.value, x.level, x.index = written(content, v_value, there), self, 0


def front(x: Any, axis: int) -> Any:
    """``x`` with this axis as its first."""
    if not axis:
        return x
    order = [axis, *(i for i in range(len(spec_of(x).shape)) if i != axis)]
    return x.transpose(order)


def aligned(values: Sequence[Any], mapped: Sequence[bool], least: int = 0) -> list[Any]:
    """The values, with axes of length 1 after that of the batch where broadcasting wants them.

    Examples have ``least`` axes at least.
    """
    ndims = [len(spec_of(v).shape) - m for v, m in zip(values, mapped, strict=True)]
    most = max(*ndims, least)
    return [
        v[(slice(None),) + (None,) * (most - ndim)] if m and ndim < most else v
        for v, m, ndim in zip(values, mapped, ndims, strict=True)
    ]


def filled(values: Sequence[Any], mapped: Sequence[bool], n: int) -> list[Any]:
    """The values, all of them batched: what is one for all examples is repeated."""
    return [v if m else Batch.broadcast(v, shape=(n, *spec_of(v).shape)) for v, m in zip(values, mapped, strict=True)]


def elementwise(prim: Primitive, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    """The rule of what works element by element, with broadcasting."""
    return prim(*aligned(values, mapped), **params)


def one_by_one(prim: Primitive, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    """Where there is no rule."""
    warn_of_loop(prim.name)
    return looped(prim, n, mapped, values, params)


def warn_of_loop(name: str) -> None:
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"vmap: {name} is evaluated example by example, for it has no batching rule; that takes longer. For one of "
            "your own, gpuad.defbatch states a rule",
            RuntimeWarning,
            stacklevel=3,
        )


_warned: set[str] = set()


def looped(prim: Primitive, n: int, mapped: Sequence[bool], values: Sequence[Any], params: dict[str, Any]) -> Any:
    """Example by example, without a word."""
    if not n:
        raise UnsupportedError(f"vmap: {prim.name} can't be evaluated on a batch of no examples")
    results = [prim(*(v[i] if m else v for v, m in zip(values, mapped, strict=True)), **params) for i in range(n)]
    several = type(results[0]) is tuple or type(results[0]) is list
    parts = list(zip(*results, strict=True)) if several else [results]
    stacked = tuple(stack_alike(prim.name, part) for part in parts)
    return stacked if several else stacked[0]


def stack_alike(name: str, results: Sequence[Any]) -> Any:
    """What ``name`` gave for each example along a first axis."""
    shapes = {spec_of(r).shape for r in results}
    if len(shapes) > 1:
        raise UnsupportedError(
            f"vmap: the results of {name} have shapes that differ from example to example: "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    return Batch.stack(*results, axis=0)

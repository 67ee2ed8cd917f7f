"""Batching rules: what operations do with an axis of examples in front. One function for each kind of operation.

A rule is called as ``rule(prim, n, mapped, values, params)``: there are ``n`` examples, and those of argument k lie
along the first axis of ``values[k]`` where ``mapped[k]`` says that it has any. It returns the results of all
examples, along a first axis. Where ``core.batch`` has a rule for everything that works element by element, these
are for the rest: most of them call the primitive again, with axes numbered one higher.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core.batch import aligned, elementwise, filled, front, looped, one_by_one
from ..core.box import spec_of
from ..errors import UnsupportedError

Rule = Callable[..., Any]
Mapped = Sequence[bool]
Values = Sequence[Any]
Params = dict[str, Any]

__all__ = ["aligned", "elementwise", "filled", "front", "looped", "one_by_one"]


def ndim(x: Any) -> int:
    return len(spec_of(x).shape)


# -- along axes ---------------------------------------------------------------------------------------
def shifted(axis: Any, rank: int) -> Any:
    """An axis of an example, or several, or ``None`` for all, as that of the batch; examples have ``rank`` axes."""
    if axis is None:
        return tuple(range(1, rank + 1))
    if isinstance(axis, (tuple, list)):
        return tuple(i % rank + 1 if rank else i + 1 for i in axis)
    return axis % rank + 1


def along(*names: str) -> Rule:
    """The rule of what goes along the axes that these parameters number, or all; of several arrays, alike in shape."""

    def rule(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
        values = filled(values, mapped, n) if len(values) > 1 else values
        rank = ndim(values[0]) - 1
        return prim(*values, **{k: shifted(v, rank) if k in names else v for k, v in params.items()})

    return rule


over_axis = along("axis")
over_axes = along("axes")


def chosen_along(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of ``argmax`` and its like: along one axis, or among all entries."""
    (x,) = values
    rank = ndim(x) - 1
    if params.get("axis") is not None:
        return prim(x, **{**params, "axis": shifted(params["axis"], rank)})
    found = prim(x.reshape((n, math.prod(spec_of(x).shape[1:]))), **{**params, "axis": 1})
    return found.reshape((n,) + (1,) * rank) if params.get("keepdims") else found


#: The rule of what works on the last axes, and on stacks of such arrays by itself, with broadcasting.
leading = elementwise


def stacked(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The same for several arguments that have the same stack in front of different numbers of axes."""
    return prim(*filled(values, mapped, n), **params)


def of_filled(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of what works element by element, but gives as many entries as its first argument has."""
    return prim(*aligned(filled(values, mapped, n), [True] * len(values)), **params)


def data_dependent(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    raise UnsupportedError(
        f"vmap: how many results {prim.name} has depends on the values, which differ from example to example. "
        "Use numpy.where(condition, a, b) with three arguments, or sums with where="
    )


# -- shapes -------------------------------------------------------------------------------------------
def to_shape(x: Any, n: int, rank: int) -> Any:
    """Batched ``x`` with axes of length 1 after that of the batch, so that examples have ``rank`` axes."""
    missing = rank + 1 - ndim(x)
    return x[(slice(None),) + (None,) * missing] if missing > 0 else x


def into_shape(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of what broadcasts to ``shape``, along the axes ``axis`` or from the right."""
    shape = params["shape"]
    params = {**params, "shape": (n, *shape)}
    axis = params.get("axis")
    if axis is not None:
        params["axis"] = shifted(axis, len(shape))
        return prim(values[0], **params)
    return prim(to_shape(values[0], n, len(shape)), **params)


def counted(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of ``count``, which broadcasts and reduces."""
    shape = params["shape"]
    x = to_shape(values[0], n, len(shape))
    return prim(x, **{**params, "shape": (n, *shape), "axis": shifted(params["axis"], len(shape))})


def summed_to(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    shape = params["shape"]
    missing = ndim(values[0]) - 1 - len(shape)
    total = prim(values[0], shape=(n,) + (1,) * missing + shape)
    return total.reshape((n, *shape)) if missing else total


def reshaped(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    (x,) = values
    shape, order = params["shape"], params["order"]
    if -1 in shape:
        known = -math.prod(shape)
        rest = math.prod(spec_of(x).shape[1:]) // known if known else 0
        shape = tuple(rest if i == -1 else i for i in shape)
    if order != "F":
        return prim(x, shape=(n, *shape), order=order)
    # In Fortran's order the first axis varies fastest: the same as in C's with all axes reversed.
    x = x.transpose((0, *range(ndim(x) - 1, 0, -1))).reshape((n, *reversed(shape)))
    return x.transpose((0, *range(len(shape), 0, -1)))


def transposed(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    rank = ndim(values[0]) - 1
    axes = params["axes"]
    axes = range(rank - 1, -1, -1) if axes is None else [i % rank for i in axes]
    return prim(values[0], axes=(0, *(i + 1 for i in axes)))


def joined(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of ``concatenate`` and ``stack``."""
    return prim(*filled(values, mapped, n), **{**params, "axis": params["axis"] + 1})


def of_one(k: int) -> Rule:
    """The rule of what goes along axes of argument ``k``, if that alone differs from example to example."""

    def rule(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
        if any(m for i, m in enumerate(mapped) if i != k):
            return looped(prim, n, mapped, values, params)
        rank = ndim(values[k]) - 1
        return prim(*values, **{name: shifted(v, rank) if name in _AXES else v for name, v in params.items()})

    return rule


_AXES = ("axis", "axes")


def padded(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    if not isinstance(params.get("constant_values", 0.0), (bool, int, float, complex)):
        return one_by_one(prim, n, mapped, values, params)
    return prim(values[0], **{**params, "widths": ((0, 0), *params["widths"])})


def on_diagonal(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    rank = len(params["shape"]) if "shape" in params else ndim(values[0]) - 1
    moved = {k: shifted(v, rank) if k.startswith("axis") else v for k, v in params.items()}
    if "shape" in params:
        moved["shape"] = (n, *params["shape"])
    return prim(values[0], **moved)


# -- products -----------------------------------------------------------------------------------------
def multiplied(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of ``matmul``: one large product instead of many, where one factor is the same for all examples."""
    x, y = values
    of_x, of_y = ndim(x) - mapped[0], ndim(y) - mapped[1]
    if mapped[0] and not mapped[1] and of_y <= 2:
        if of_x == 1 or (of_x > 1 and of_y == 1):
            return prim(x, y)
        rows = spec_of(x).shape[:-1]
        return prim(x.reshape((math.prod(rows), spec_of(x).shape[-1])), y).reshape((*rows, spec_of(y).shape[-1]))
    if mapped[1] and not mapped[0] and of_y == 1 and of_x == 2:
        return prim(y, x.T)
    if mapped[1] and not mapped[0] and of_x == 1 and of_y == 1:
        return prim(y, x)
    if of_x == 1:
        x = x[:, None, :] if mapped[0] else x[None, :]
    if of_y == 1:
        y = y[..., None]
    ans = prim(*aligned([x, y], mapped))
    if of_y == 1:
        ans = ans[..., 0]
    return ans[..., 0, :] if of_x == 1 and of_y > 1 else ans[..., 0] if of_x == 1 else ans


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def lettered(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of what subscripts describe: one more letter."""
    subscripts = _with_letter(params["subscripts"], tuple(mapped))
    if subscripts is None:
        return looped(prim, n, mapped, values, params)
    params = {**params, "subscripts": subscripts}
    if "shape" in params:
        params["shape"] = (n, *params["shape"])
    return prim(*values, **params)


@functools.lru_cache(1024)
def _with_letter(subscripts: str, mapped: Mapped) -> str | None:
    """The subscripts with a letter for the axis of examples; ``None`` if all letters are taken."""
    free = next((i for i in LETTERS if i not in subscripts), None)
    if free is None:
        return None
    terms, out = subscripts.split("->")
    new = ",".join(free * m + term for m, term in zip(mapped, terms.split(","), strict=True))
    return f"{new}->{free}{out}"


def solved(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of ``solve``: a matrix that is the same for all examples is factored once."""
    a, b = values
    of_a, of_b = ndim(a) - mapped[0], ndim(b) - mapped[1]
    if not mapped[0] and of_a == 2 and of_b <= 2:
        return solved_once(prim, n, mapped, values, params)
    if of_b > 1:
        return prim(*aligned(values, mapped), **params)
    return prim(*aligned([a, b[..., None]], mapped), **params)[..., 0]


def solved_once(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
    """The rule of solvers that know no stacks: with one matrix for all examples, the right sides side by side."""
    a, b = values
    of_b = ndim(b) - mapped[1]
    if mapped[0] or ndim(a) > 2 or of_b > 2:
        return looped(prim, n, mapped, values, params)
    if of_b == 1:
        return prim(a, b.T, **params).T
    rows, columns = spec_of(b).shape[1:]
    together = b.transpose((1, 0, 2)).reshape((rows, n * columns))
    return prim(a, together, **params).reshape((-1, n, columns)).transpose((1, 0, 2))


# -- searching ----------------------------------------------------------------------------------------
def searched(k: int) -> Rule:
    """The rule of what looks every entry of argument ``k`` up in the other one."""

    def rule(prim: Any, n: int, mapped: Mapped, values: Values, params: Params) -> Any:
        if mapped[1 - k]:
            return looped(prim, n, mapped, values, params)
        return prim(*values, **params)

    return rule

"""How operations hand on what their arguments depend on: for ``core.pattern``.

Most of it is read off the operations themselves, by letting them, or what undoes them, move the numbers of entries
instead of the entries. Imported when a sparse derivative is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import vstack

from ..backend import owner_of_type
from ..core.box import Spec, innermost, spec_of
from ..core.pattern import Dependence, Sets, check_size, collected, everywhere, linked, taken
from ..core.primitive import Primitive
from .contract import lengths, matmul_as_einsum
from .declare import registry
from .index import Arrays, Region, gather, getitem, read
from .reduce import kept

Shape = tuple[int, ...]
#: (level, primitive, sets of the arguments, spec of the result, values, params) -> sets of the result
Rule = Callable[[Dependence, Primitive, Sequence[Sets], Spec, Sequence[Any], dict[str, Any]], Sets]


def _rule(
    level: Dependence, prim: Primitive, sets: Sequence[Sets], out: Spec, values: Sequence[Any], params: dict[str, Any]
) -> Sets:
    known = _RULES.get(prim.name) if registry.get(prim.name) is prim else None
    if known is None:
        known = _entrywise if prim.elementwise else _unknown
    return known(level, prim, sets, out, values, params)


Dependence.rule = _rule


def _unknown(level: Any, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    return everywhere(sets, out.size)


def _numbers(shape: Shape) -> Any:
    return np.arange(math.prod(shape)).reshape(shape)


def _on_host(x: Any) -> Any:
    """An index as a NumPy array, wherever it is."""
    x = innermost(x)
    backend = owner_of_type(type(x))
    return x if backend is None else backend.to_numpy(x)


# -- element by element -------------------------------------------------------------------------------
def _broadcast(sets: Sets, have: Shape, want: Shape) -> Sets:
    return sets if have == want else taken(sets, np.broadcast_to(_numbers(have), want))


def _entrywise(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Sequence[Any], _: Any) -> Sets:
    total = None
    for s, x in zip(sets, values, strict=True):
        if s is not None:
            total = level.union(total, _broadcast(s, spec_of(x).shape, out.shape))
    return total


# -- entries that are moved ---------------------------------------------------------------------------
def _moving(data: int | None = None, **fill: Any) -> Rule:
    """The rule of what moves the entries of its first ``data`` arguments (of all). ``fill``: what comes beside them."""

    def rule(level: Any, prim: Primitive, sets: Sequence[Sets], out: Spec, values: Sequence[Any], params: Any) -> Sets:
        numbers, first = [], 1  # 0 stands for what no input is in
        for s, x in zip(sets[:data], values[:data], strict=True):
            shape = spec_of(x).shape
            numbers.append(np.zeros(shape, np.intp) if s is None else _numbers(shape) + first)
            first += 0 if s is None else s.shape[0]
        others = map(_on_host, values[len(numbers) :])
        moved = np.asarray(prim(*numbers, *others, **{**params, **fill}))
        moving = [s for s in sets[:data] if s is not None]
        return taken(moving[0] if len(moving) == 1 else vstack(moving, format="csr"), moved - 1)

    return rule


def _reshaped(level: Any, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    return sets[0] if params["order"] == "C" else _moving()(level, prim, sets, out, values, params)


# -- entries that are added up ------------------------------------------------------------------------
def _adding(level: Any, prim: Primitive, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    """The rule of a linear operation that is undone by moving entries: its own tells where they come from."""
    numbers = np.asarray(prim.vjps[0](_numbers(out.shape) + 1, None, spec_of(values[0]), **params))  # type: ignore[misc]
    return _put(sets[0], numbers.reshape(-1) - 1, out.size)


def _put(sets: Sets, places: Any, size: int) -> Sets:
    """``collected``; -1 is nowhere."""
    origins = np.flatnonzero(places >= 0)
    return linked(sets, places[origins], origins, size)


def _scattered(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    total, numbers = None, _numbers(out.shape)
    for s, g, index in zip(sets, values, params["indices"], strict=True):
        if s is not None:
            if type(index) is Arrays:
                there = gather(numbers, *map(_on_host, index.arrays), key=index.key)
            else:
                there = read(numbers, steps=index.steps) if type(index) is Region else getitem(numbers, index)
            there = np.broadcast_to(there, spec_of(g).shape)
            total = level.union(total, collected(s, there, out.size))
    return total


# -- entries that depend on all along some axes ---------------------------------------------------------
def _axes(params: dict[str, Any], ndim: int) -> Shape:
    axes = params["axes"] if "axes" in params else params["axis"]
    if axes is None:
        return tuple(range(ndim))
    return tuple(axis % ndim for axis in (axes if isinstance(axes, tuple) else (axes,)))


def _reducing(level: Any, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    return _reduced(sets[0], spec_of(values[0]).shape, params)[0]


def _reduced(sets: Sets, shape: Shape, params: dict[str, Any]) -> tuple[Sets, Shape]:
    """The sets of a reduced array, with its shape where axes are kept."""
    short = kept(shape, _axes(params, len(shape)))
    return collected(sets, np.broadcast_to(_numbers(short), shape), math.prod(short)), short


def _mixing(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    """The rule of what mixes entries along some axes, of which the lengths may change."""
    total = None
    for s, x in zip(sets, values, strict=True):
        if s is not None:
            total = level.union(total, _broadcast(*_reduced(s, spec_of(x).shape, params), out.shape))
    return total


def _cumulating(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    """The rule of what goes along an axis: what an entry depends on, all after it do (before it, if ``reverse``)."""
    total = _entrywise(level, prim, sets, out, values, params)
    numbers = np.moveaxis(_numbers(out.shape), params["axis"], 0)
    step = 1
    while step < len(numbers):
        neighbours = np.full(out.shape, -1)
        along = np.moveaxis(neighbours, params["axis"], 0)
        if params["reverse"]:
            along[:-step] = numbers[step:]
        else:
            along[step:] = numbers[:-step]
        total = level.union(total, taken(total, neighbours))
        step *= 2
    return total


def _per_matrix(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    """The rule of what mixes the entries of every matrix of a stack."""
    batch = spec_of(values[0]).shape[:-2]
    if not batch or out.shape[: len(batch)] != batch or any(spec_of(x).shape[:-2] != batch for x in values):
        return everywhere(sets, out.size)
    numbers = _numbers(batch)
    per_matrix = None
    for s, x in zip(sets, values, strict=True):
        if s is not None:
            places = np.broadcast_to(numbers[..., None, None], spec_of(x).shape)
            per_matrix = level.union(per_matrix, collected(s, places, numbers.size))
    inner = (1,) * (len(out.shape) - len(batch))
    return taken(per_matrix, np.broadcast_to(numbers.reshape(batch + inner), out.shape))


# -- products -----------------------------------------------------------------------------------------
def _einsum(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    x, y, result = params["subscripts"].replace("->", ",").split(",")
    return _product(level, sets, values, (x, y), result, [spec_of(v).shape for v in values])


def _matmul(level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Any, params: Any) -> Sets:
    terms, result, shapes = matmul_as_einsum(spec_of(values[0]).shape, spec_of(values[1]).shape)
    return _product(level, sets, values, terms, result, shapes)


def _product(
    level: Dependence,
    sets: Sequence[Sets],
    values: Sequence[Any],
    terms: Sequence[str],
    result: str,
    shapes: Sequence[Shape],
) -> Sets:
    sizes = lengths(terms, shapes)
    total = None
    for s, mine, k in zip(sets, terms, (1, 0), strict=True):
        if s is not None:
            factor = _nonzero(sets[k], values[k])
            factor = None if factor is None else factor.reshape(shapes[k])
            total = level.union(total, _along(s, mine, terms[k], result, sizes, factor))
    return total


def _nonzero(sets: Sets, x: Any) -> Any:
    """Which entries of the other factor aren't zero; ``None`` where that may change, even at another level."""
    return _on_host(x) != 0 if sets is None and owner_of_type(type(x)) is not None else None


def _along(sets: Sets, mine: str, other: str, result: str, sizes: dict[str, int], factor: Any) -> Sets:
    """What a product depends on through the factor with letters ``mine``."""
    if factor is None or factor.all():
        # Whatever the summed letters are: so they are gone before the sets are copied along the other's letters.
        shared = "".join(dict.fromkeys(i for i in mine if i in result))
        short = tuple(sizes[i] for i in shared)
        count = math.prod(short)
        sums = collected(sets, _laid_out(shared, mine, sizes), count) if len(shared) < len(mine) else sets
        return taken(sums, _laid_out(shared, result, sizes))
    free = "".join(i for i in dict.fromkeys(mine) if i not in other)
    shape = tuple(sizes[i] for i in free)
    nonzero = np.nonzero(factor)
    check_size(len(nonzero[0]) * math.prod(shape))
    grid = np.indices(shape).reshape(len(free), 1, math.prod(shape))
    places: dict[str, Any] = dict(zip(free, grid, strict=True))
    agree = np.ones(len(nonzero[0]), bool)
    for i, at in zip(other, nonzero, strict=True):
        if i in places:
            agree &= places[i][:, 0] == at
        places[i] = at[:, None]
    whole = (len(agree), grid.shape[2])
    there, here = (np.broadcast_to(_ravelled(term, places, sizes), whole)[agree].ravel() for term in (result, mine))
    return linked(sets, there, here, math.prod(sizes[i] for i in result))


def _laid_out(shared: str, term: str, sizes: dict[str, int]) -> Any:
    """For every entry of an array with letters ``term``, its place in one with the letters ``shared``."""
    shape = tuple(sizes[i] for i in term)
    places = dict(zip(term, np.indices(shape, sparse=True), strict=True))
    return np.broadcast_to(_ravelled(shared, places, sizes), shape)


def _ravelled(term: str, places: dict[str, Any], sizes: dict[str, int]) -> Any:
    total: Any = np.zeros((), np.intp)
    for i in term:
        total = total * sizes[i] + places[i]
    return total


# -- convolutions -------------------------------------------------------------------------------------
def _convolved(
    level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Sequence[Any], params: dict[str, Any]
) -> Sets:
    shapes = [spec_of(x).shape for x in values]
    ndim = len(out.shape)
    if len(shapes[0]) != ndim or len(shapes[1]) != ndim or set(params.get("axes", range(ndim))) != set(range(ndim)):
        return everywhere(sets, out.size)
    # Where only whole overlaps count, the first is that many places in.
    cut = [min(m, n) - 1 for m, n in zip(*shapes, strict=True)] if params.get("mode") == "valid" else [0] * ndim
    total = None
    for s, shape, k in zip(sets, shapes, (1, 0), strict=True):
        if s is not None:
            factor = _nonzero(sets[k], values[k])
            steps = np.nonzero(np.ones(shapes[k], bool) if factor is None else factor)
            check_size(s.shape[0] * len(steps[0]))
            here = np.indices(shape).reshape(ndim, -1, 1)
            there = [i + step - first for i, step, first in zip(here, steps, cut, strict=True)]
            inside = np.logical_and.reduce([(i >= 0) & (i < n) for i, n in zip(there, out.shape, strict=True)])
            origins = np.broadcast_to(np.arange(s.shape[0])[:, None], inside.shape)[inside]
            places = np.ravel_multi_index([i[inside] for i in there], out.shape)
            total = level.union(total, linked(s, places, origins, out.size))
    return total


def _correlated(
    level: Dependence, prim: Any, sets: Sequence[Sets], out: Spec, values: Sequence[Any], params: dict[str, Any]
) -> Sets:
    from .filter import PADDING, extend, per_axis, reach_of

    weights = spec_of(values[1]).shape
    if sets[1] is not None:
        return everywhere(sets, out.size)
    axes, ndim = params["axes"], len(out.shape)
    widths = per_axis(axes, reach_of(weights, params["origins"]), ndim, (0, 0))
    numbers = extend(_numbers(out.shape) + 1, widths=widths, mode=PADDING[params["mode"]])
    seen = np.lib.stride_tricks.sliding_window_view(numbers, per_axis(axes, weights, ndim, 1)).reshape(out.size, -1)
    factor = _nonzero(None, values[1])
    seen = seen if factor is None else seen[:, factor.reshape(-1)]
    check_size(seen.size)
    inside = seen > 0
    places = np.broadcast_to(np.arange(out.size)[:, None], seen.shape)
    return linked(sets[0], places[inside], seen[inside] - 1, out.size)


# -- which rule is whose --------------------------------------------------------------------------------
def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Rule] = {
    **_named("where astype weigh_ends weighted_sum defined", _entrywise),
    **_named(" ".join(f"scipy.special.{name}" for name in ("airy", "sici", "shichi", "fresnel", "ellipj")), _entrywise),
    **_named("broadcast_to spread part read transpose flip roll concatenate stack from_diagonal", _moving()),
    **_named("diagonal triu tril unfold windows as_strided extend_edges", _moving()),
    "reshape": _reshaped,
    **_named("gather reorder restore", _moving(1)),
    "write": _moving(2),
    "pad": _moving(constant_values=0),
    "shift": _moving(fill=0),
    **_named("sum_to fold overlap_add fold_edges", _adding),
    "scatter_add": _scattered,
    **_named("sum mean var std max min nanmax nanmin prod euclidean_norm scipy.special.logsumexp", _reducing),
    **_named("cumsum cumprod recurrence", _cumulating),
    **_named("recursive_filter cosine_transform", _mixing),
    **_named("fft.fftn fft.ifftn fft.rfft fft.irfft", _mixing),
    **_named("scipy.special.softmax scipy.special.log_softmax shares scipy.ndimage.spline_filter1d", _mixing),
    "cross": lambda level, prim, sets, out, values, _: _mixing(level, prim, sets, out, values, {"axis": -1}),
    **_named("inv pinv det slogdet cholesky solve solve_triangular eigh svd qr scipy.linalg.expm", _per_matrix),
    "matmul": _matmul,
    "einsum": _einsum,
    "scipy.ndimage.correlate": _correlated,
    **_named("convolve scipy.signal.convolve", _convolved),
}

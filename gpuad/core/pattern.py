"""Which inputs every entry of every value depends on: a level that carries sets of inputs instead of derivatives.

The sets of the entries of an array, in C order, are the rows of a sparse boolean matrix with a column for each input.
How an operation hands them on is a rule of its own, see ``ops.dependence``. Where none is known, every entry of the
result depends on everything that an argument depends on: a pattern may have too much in it, but never too little.

This module needs SciPy, so it is imported when a sparse derivative is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array, eye_array, vstack

from ..errors import UnsupportedError
from .box import Box, make_box, spec_of
from .level import Level
from .primitive import Primitive
from .tape import leaked, without_derivative

#: The sets of the entries of a value: a ``csr_array`` of booleans; ``None`` for a constant.
Sets = Any
#: More entries (of four bytes each) aren't what anybody calls sparse.
MOST = 1 << 28


class Dependence(Level):
    """Evaluates primitives one level further out, and notes which inputs the results depend on."""

    __slots__ = ("closed", "known")
    #: ``sets(prim, sets of the arguments, spec of the result, values, params)``. ``ops.dependence`` gives it.
    rule: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        #: Unions that were computed, by the identity of the two sets, which are kept so that it stays theirs.
        self.known: dict[tuple[int, int], tuple[Sets, Sets, Sets]] = {}

    def watch(self, value: Any) -> Box:
        """A traced stand-in for the input."""
        spec = spec_of(value)
        return make_box(value, self, eye_array(spec.size, dtype=bool, format="csr"), spec)

    def close(self) -> None:
        """From here on, an operation on a box of this level is an error."""
        self.closed = True

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if self.closed:
            leaked()
        values = self.opened(args)
        ans = prim(*values, **params)
        if prim.piecewise_constant:
            return ans
        sets = [
            a.index if type(a) is Box and a.level is self and not _constant_in(prim, k) else None
            for k, a in enumerate(args)
        ]
        if type(ans) is tuple or type(ans) is list:
            return tuple(self.result(prim, sets, a, values, params) for a in ans)
        return self.result(prim, sets, ans, values, params)

    def result(self, prim: Primitive, sets: Sequence[Sets], ans: Any, values: Sequence[Any], params: Any) -> Any:
        spec = spec_of(ans)
        if not spec.differentiable:
            return without_derivative(ans, spec)
        if all(s is None for s in sets):
            return ans
        try:
            return make_box(ans, self, self.rule(prim, sets, spec, values, params), spec)
        except TooMany as error:
            raise UnsupportedError(
                f"the derivative isn't sparse: {prim.name} makes a result of {spec} that depends on {error} pairs of "
                "an entry and an input. Leave out sparsity=, or give the pattern if it is known: sparsity=pattern"
            ) from None

    def union(self, a: Sets, b: Sets) -> Sets:
        """Entry by entry, what either depends on."""
        if a is None or b is None or a is b:
            return a if b is None else b
        found = self.known.get((id(a), id(b)))
        if found is None:
            both = a + b
            # One that holds the other goes on in its place, so that unions with it will be known.
            both = a if both.nnz == a.nnz else b if both.nnz == b.nnz else both
            found = self.known[id(a), id(b)] = (a, b, both)
        return found[2]


def _constant_in(prim: Primitive, k: int) -> bool:
    """Whether it is stated that results don't vary with argument ``k``."""
    return k < len(prim.vjps) and prim.vjps[k] is None


class TooMany(Exception):
    """Sets with more entries than memory should hold."""


def check_size(entries: int) -> None:
    if entries > MOST:
        raise TooMany(f"{entries:,}")


def taken(sets: Sets, places: Any) -> Sets:
    """The sets number ``places``, an array; the empty one for -1."""
    places = places.reshape(-1)
    if len(places) and places.min() < 0:
        starts = np.append(sets.indptr, sets.indptr[-1])
        sets = csr_array((sets.data, sets.indices, starts), shape=(sets.shape[0] + 1, sets.shape[1]))
        places = np.where(places < 0, sets.shape[0] - 1, places)
    check_size(int(np.diff(sets.indptr)[places].sum(dtype=np.int64)))
    return sets[places]


def collected(sets: Sets, places: Any, size: int) -> Sets:
    """So many sets, of which number ``places[k]`` holds the set number ``k``, and whatever else goes there."""
    places = places.reshape(-1)
    return linked(sets, places, np.arange(len(places)), size)


def linked(sets: Sets, places: Any, origins: Any, size: int) -> Sets:
    """So many sets, of which number ``places[k]`` holds the set number ``origins[k]``, for every k."""
    if size == 1:
        return _all_of(sets if len(origins) == sets.shape[0] else sets[np.unique(origins)])
    check_size(int(np.diff(sets.indptr)[origins].sum(dtype=np.int64)))
    links = csr_array((np.ones(len(places), bool), (places, origins)), shape=(size, sets.shape[0]))
    return links @ sets


def _all_of(sets: Sets) -> Sets:
    """One set that holds all of these."""
    held = np.zeros(sets.shape[1], bool)
    held[sets.indices] = True
    inputs = np.flatnonzero(held)
    return csr_array((np.ones(len(inputs), bool), inputs, np.array([0, len(inputs)])), shape=(1, sets.shape[1]))


def everywhere(all_sets: Sequence[Sets], size: int) -> Sets:
    """So many sets, each of which holds all of these."""
    whole = _all_of(vstack([s for s in all_sets if s is not None], format="csr"))
    return taken(whole, np.zeros(size, np.intp))

"""Which columns of a sparse matrix can share a product, and where its entries are found in the products then.

Columns of one colour are added up: J times the sum of their unit vectors holds the entries of all of them, if no two
have an entry in the same row (Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices", 1974). Of a
symmetric matrix every entry is there twice, so that fewer colours do (Powell and Toint, "On the estimation of sparse
Hessian matrices", 1979). Gebremedhin, Manne and Pothen, "What color is your Jacobian?", SIAM Review 47 (2005), has
the theory; the greedy algorithms here are those of its sections 4 and 6, with sets of colours as bits of integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import block_array


class Plan(NamedTuple):
    """The products to compute, and where the entries of the matrix, in the order of its pattern, are among them.

    First come products of the matrix with vectors, then those of its transpose. The vectors are sums of unit vectors.
    """

    columns: Any  # the number of the product that a column takes part in; -1 for none
    forward: int  # how many products with the matrix
    rows: Any
    backward: int  # how many with its transpose
    places: Any  # of an entry, in all products written one after the other

    @property
    def products(self) -> int:
        return self.forward + self.backward


def plan_general(pattern: Any) -> Plan:
    """For a matrix of any kind; ``pattern`` is its ``csr_array``, sorted and with no entry twice."""
    m, n = pattern.shape
    transposed = pattern.T.tocsr()
    # There are at least as many colours of columns as there are entries in a row: the better side comes first.
    if _most(pattern) <= _most(transposed):
        columns = _colours(pattern, transposed)
        rows = _colours(transposed, pattern) if _most(transposed) < _count(columns) else None
    else:
        rows = _colours(transposed, pattern)
        columns = _colours(pattern, transposed) if _most(pattern) <= _count(rows) else None
    at = _rows_of(pattern)
    if rows is None or (columns is not None and _count(columns) <= _count(rows)):
        places = columns[pattern.indices].astype(np.int64) * m + at
        plan = Plan(columns, _count(columns), np.full(m, -1), 0, places)
    else:
        places = rows[at].astype(np.int64) * n + pattern.indices
        plan = Plan(np.full(n, -1), 0, rows, _count(rows), places)
    if plan.products * min(m, n) > 2 * pattern.nnz:  # a few full rows and columns may be all that is in the way
        both = _plan_both_ways(pattern, at)
        return both if both.products < plan.products else plan
    return plan


def _plan_both_ways(pattern: Any, at: Any) -> Plan:
    """Products with the matrix for some entries, with the transpose for others.

    The matrix with the zeros and the transpose that make it a symmetric one is coloured; then only those colours
    count that an entry is read from.
    """
    m, n = pattern.shape
    to = pattern.indices
    colours = _symmetric_colours(block_array([[None, pattern], [pattern.T, None]], format="csr"))
    of_rows, of_columns = colours[:m], colours[m:]
    by_column = of_columns[to] < of_rows[at]
    columns, forward = _renumbered(of_columns, of_columns[to[by_column]])
    rows, backward = _renumbered(of_rows, of_rows[at[~by_column]])
    by_row = forward * m + rows[at].astype(np.int64) * n + to
    return Plan(columns, forward, rows, backward, np.where(by_column, columns[to].astype(np.int64) * m + at, by_row))


def _renumbered(colours: Any, used: Any) -> tuple[Any, int]:
    """The ``used`` ones of these colours as 0, 1, 2, ... and the others as -1; and how many are used."""
    numbers = np.full(_count(colours) + 1, -1)
    used = np.unique(used)
    numbers[used] = np.arange(len(used))
    return numbers[colours], len(used)


def plan_symmetric(pattern: Any) -> Plan:
    """For a symmetric matrix: products alone, without the transpose."""
    n = pattern.shape[0]
    at, to = _rows_of(pattern), pattern.indices
    colours = _band(pattern)
    if colours is not None and _count(colours) * n < 2 * pattern.nnz:
        places = colours[to].astype(np.int64) * n + at
    else:
        colours = _symmetric_colours(pattern)
        # Of an entry off the diagonal, the side with the lower colour is alone in the row of the other.
        lower = colours[to] <= colours[at]
        places = np.where(lower, colours[to].astype(np.int64) * n + at, colours[at].astype(np.int64) * n + to)
    return Plan(colours, _count(colours), np.full(n, -1), 0, places)


def _rows_of(pattern: Any) -> Any:
    return np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))


def _count(colours: Any) -> int:
    return int(colours.max(initial=-1)) + 1


def _most(pattern: Any) -> int:
    """The entries of the row that has most."""
    return int(np.diff(pattern.indptr).max(initial=0))


def _band(pattern: Any) -> Any:
    """The colours 0, 1, ..., w - 1, 0, 1, ... where all entries of a row are within w columns, and fill them once."""
    filled = np.flatnonzero(np.diff(pattern.indptr))
    if not len(filled):
        return np.full(pattern.shape[1], -1)
    first, last = pattern.indices[pattern.indptr[filled]], pattern.indices[pattern.indptr[filled + 1] - 1]
    width = int((last - first).max()) + 1
    return np.arange(pattern.shape[1]) % width if width == _most(pattern) else None


def _colours(pattern: Any, transposed: Any) -> Any:
    """Colours of columns, so that no row has entries in two columns of one colour."""
    band = _band(pattern)
    if band is not None:
        return band
    best = _greedy(pattern, transposed, range(pattern.shape[1]))
    if _count(best) > _most(pattern):  # which is the least that there can be
        other = _greedy(pattern, transposed, _largest_first(transposed))
        best = other if _count(other) < _count(best) else best
    return best


def _largest_first(pattern: Any) -> list[int]:
    return np.argsort(-np.diff(pattern.indptr), kind="stable").tolist()  # type: ignore[no-any-return]


def _greedy(pattern: Any, transposed: Any, order: Iterable[int]) -> Any:
    """Every column in turn gets the first colour that no row of it has yet."""
    used = [0] * pattern.shape[0]  # in every row
    starts, indices = transposed.indptr.tolist(), transposed.indices.tolist()
    colours = np.full(pattern.shape[1], -1)
    found = colours.tolist()
    for column in order:
        rows = indices[starts[column] : starts[column + 1]]
        if rows:
            taken = 0
            for i in rows:
                taken |= used[i]
            bit = ~taken & (taken + 1)
            for i in rows:
                used[i] |= bit
            found[column] = bit.bit_length() - 1
    colours[:] = found
    return colours


def _symmetric_colours(pattern: Any) -> Any:
    """Colours such that neighbours differ, and ends of a path u, v, w too, unless v has a lower colour than they.

    An entry in row i and column k with the higher colour at i is then alone in row i with the colour of k.
    """
    starts, indices = pattern.indptr.tolist(), pattern.indices.tolist()
    n = pattern.shape[0]
    around = [0] * n  # the colours of the neighbours
    bits = [0] * n  # the own one
    for v in _largest_first(pattern):
        neighbours = indices[starts[v] : starts[v + 1]]
        taken = 0
        for w in neighbours:
            bit = bits[w]
            # Through one that has no colour yet, or a higher one, no colour may be seen twice.
            taken |= (around[w] & (bit - 1)) | bit if bit else around[w]
        bit = ~taken & (taken + 1)
        if neighbours:
            bits[v] = bit
        for w in neighbours:
            around[w] |= bit
    return np.array([bit.bit_length() - 1 for bit in bits], dtype=np.int64)

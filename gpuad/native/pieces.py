"""Arrays that consist of parts of others, as those of ``roll`` and ``concatenate``, without putting them together.

What reads such an array element by element can as well read the parts, each in a box of the grid. So a step of the
heat equation, which adds up four shifted arrays, copies none of them: it is one nest of loops for the inside, and
short ones for the edges.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from .program import Ref

#: Arrays of fewer entries are put together: many short loops would take longer.
LEAST = 2048
#: So many boxes at most.
MOST = 27

#: Where a part begins and ends along each axis.
Box = tuple[tuple[int, int], ...]


class Pieces:
    """Of which parts arrays consist, by the storage that each of them has to itself."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Ref, list[tuple[Box, Ref]]]] = {}
        #: By shape, where arrays have been cut along each axis: cut alike, they share loops.
        self._cuts: dict[tuple[int, ...], list[set[int]]] = {}

    def enter(self, whole: Ref, parts: Iterable[tuple[Box, Ref]]) -> None:
        """State that ``whole`` has the entries of ``parts``, which fill it."""
        if math.prod(whole.shape) >= LEAST:
            self._known[whole.storage] = whole.spread(whole.shape), list(parts)

    def forget(self, storage: int) -> None:
        """An array is written into, so it isn't what its parts are any more."""
        self._known.pop(storage, None)

    def sources(self, storage: int) -> list[int]:
        """The storages that an array's parts lie in."""
        return [ref.storage for _, ref in self.of(storage)]

    def of(self, storage: int) -> list[tuple[Box, Ref]]:
        return self._known[storage][1] if storage in self._known else []

    def boxes(self, ins: Sequence[Ref]) -> list[Box]:
        """Boxes that fill the grid, in each of which every operand is one view; none if nothing is put together."""
        found = [box for ref in ins if self._is_whole(ref) for box, _ in self.of(ref.storage)]
        if not found:
            return []
        cuts = [{end for box in found for end in box[k]} for k in range(len(ins[0].shape))]
        before = self._cuts.setdefault(ins[0].shape, cuts)
        together = [a | b for a, b in zip(before, cuts, strict=True)]
        if _count(together) <= MOST:
            self._cuts[ins[0].shape] = cuts = together
        if _count(cuts) > MOST:
            return []
        return list(itertools.product(*[itertools.pairwise(sorted(ends)) for ends in cuts]))

    def part(self, ref: Ref, box: Box) -> Ref:
        """An operand in a box: that of the array's part which lies there."""
        start = [first for first, _ in box]
        if self._is_whole(ref):
            around, ref = next(
                (its, part)
                for its, part in self.of(ref.storage)
                if all(a <= first and last <= b for (a, b), (first, last) in zip(its, box, strict=True))
            )
            start = [first - begin for first, (begin, _) in zip(start, around, strict=True)]
        offset = ref.offset + sum(k * stride for k, stride in zip(start, ref.strides, strict=True))
        shape = tuple([last - first for first, last in box])
        return Ref(ref.storage, offset, ref.strides, shape).spread(shape)

    def _is_whole(self, ref: Ref) -> bool:
        return ref.storage in self._known and self._known[ref.storage][0] == ref


def _count(cuts: list[set[int]]) -> int:
    """The boxes that an array is cut into."""
    return math.prod(len(ends) - 1 for ends in cuts)

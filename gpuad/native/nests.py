"""Which statements share a nest of loops, and where inner arrays lie.

A statement joins a nest of its shape if nobody can tell: what it reads is read at the very index at which the nest
writes it. Values that only one nest knows are no arrays at all, but variables in its loops.
"""

from __future__ import annotations

from ..fused.c_order import instructions, takes_angles
from .program import Fold, Map, Program, Ref, Statement

#: A nest takes no more statements when it has so many instructions, about: compilers take long for long loops.
LONG = 200
#: From so many on it ends where it would begin again: so the rounds of a user's loop become the same nests.
ROUND = 40
#: So many nests back is looked for one that a statement can join.
_BACK = 24


class Nest:
    """Statements that are done in the same loops, over ``shape``; or a single one that has loops of its own."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.statements: list[Statement] = []
        self.instructions = 0
        self.read: set[Ref] = set()
        #: Whether it writes over what it has read: then it can't be run again.
        self.overwrites = False
        self.takes_angles = False

    def has_room(self, statement: Map | Fold, angles: bool) -> bool:
        if self.instructions >= ROUND and _kind(statement) == _kind(self.statements[0]):
            return False
        if (self.takes_angles or angles) and (self.overwrites or self.is_overwritten_by(statement)):
            return False
        return self.instructions < LONG

    def is_overwritten_by(self, statement: Map | Fold) -> bool:
        return isinstance(statement, Map) and (statement.out in statement.ins or statement.out in self.read)


def _kind(statement: Statement) -> object:
    return statement.apply if isinstance(statement, Map) else type(statement)


class _Latest:
    """The last nest that writes, or reads, a storage, and the last that does so through another view than that."""

    __slots__ = ("before", "nest", "ref")

    def __init__(self) -> None:
        self.nest, self.before = -1, -1
        self.ref: Ref | None = None

    def note(self, nest: int, ref: Ref | None) -> None:
        if ref is not None and ref == self.ref:
            self.nest = max(self.nest, nest)
        elif nest > self.nest:
            self.before, self.nest, self.ref = self.nest, nest, ref
        else:
            self.before = max(self.before, nest)

    def after(self, same: Ref | None) -> int:
        """The first nest that a statement may be in which touches the storage, too, at ``same``."""
        return max(self.nest, self.before + 1) if same is not None and same == self.ref else self.nest + 1


class _Uses:
    """What is known of a storage: the nests that touch it, and the view if all is done in one nest through that."""

    __slots__ = ("first", "last", "only", "reads", "writes")

    def __init__(self, nest: int, ref: Ref | None) -> None:
        self.first = self.last = nest
        self.only = ref
        self.writes, self.reads = _Latest(), _Latest()

    def note(self, nest: int, ref: Ref | None) -> None:
        self.first, self.last = min(self.first, nest), max(self.last, nest)
        if self.first != self.last or ref != self.only:
            self.only = None


class Nests:
    """The nests of a program, in the order in which they run."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nests: list[Nest] = []
        self._uses: dict[int, _Uses] = {}
        for statement in program.statements:
            self._place(statement)
        #: The inner storages that need no memory.
        self.variables = {
            n for n, uses in self._uses.items() if uses.only is not None and program.storages[n].kind == "inner"
        }

    def _place(self, statement: Statement) -> None:
        if not isinstance(statement, Map | Fold):
            self.nests.append(Nest(()))
            self.nests[-1].statements.append(statement)
            self._note(len(self.nests) - 1, [(ref, None) for ref in statement.reads], (statement.out, None))
            return
        ins = statement.ins if isinstance(statement, Map) else (statement.x,)
        # The entries of a sum are there when its loops have ended.
        same = statement.out if isinstance(statement, Map) else None
        angles = isinstance(statement, Map) and takes_angles(statement.apply)
        earliest = 0
        for ref in ins:
            if ref.storage in self._uses:
                earliest = max(earliest, self._uses[ref.storage].writes.after(ref))
        if statement.out.storage in self._uses:
            uses = self._uses[statement.out.storage]
            earliest = max(earliest, uses.writes.after(same), uses.reads.after(same))
        at = len(self.nests)
        for k in range(at - 1, max(earliest, at - _BACK) - 1, -1):
            nest = self.nests[k]
            if nest.shape == statement.shape and nest.has_room(statement, angles) and nest.instructions:
                at = k
                break
        if at == len(self.nests):
            self.nests.append(Nest(statement.shape))
        nest = self.nests[at]
        nest.statements.append(statement)
        nest.instructions += instructions(statement.apply.scalar) if isinstance(statement, Map) else 2
        nest.overwrites |= nest.is_overwritten_by(statement)
        nest.read.update(ins)
        nest.takes_angles |= angles
        self._note(at, [(ref, ref) for ref in ins], (statement.out, same))

    def _note(self, at: int, ins: list[tuple[Ref, Ref | None]], out: tuple[Ref, Ref | None]) -> None:
        for ref, same in ins:
            self._used(ref, at, same).reads.note(at, same)
        self._used(out[0], at, out[1]).writes.note(at, out[1])

    def _used(self, ref: Ref, at: int, same: Ref | None) -> _Uses:
        uses = self._uses.get(ref.storage)
        if uses is None:
            uses = self._uses[ref.storage] = _Uses(at, same)
        uses.note(at, same)
        return uses

    def offsets(self) -> tuple[dict[int, int], int]:
        """Where inner arrays lie in one block of memory, in bytes, and how large that is.

        An array that isn't needed any more makes room for others.
        """
        ends: dict[int, list[int]] = {}
        begins: dict[int, list[int]] = {}
        for number, uses in self._uses.items():
            if self.program.storages[number].kind == "inner" and number not in self.variables:
                begins.setdefault(uses.first, []).append(number)
                ends.setdefault(uses.last, []).append(number)
        offsets: dict[int, int] = {}
        free: dict[int, list[int]] = {}
        top = 0
        for k in range(len(self.nests)):
            for number in begins.get(k, ()):
                size = self._size(number)
                if free.get(size):
                    offsets[number] = free[size].pop()
                else:
                    offsets[number] = top
                    top += size
            for number in ends.get(k, ()):
                free.setdefault(self._size(number), []).append(offsets[number])
        return offsets, top

    def _size(self, number: int) -> int:
        """In bytes, in whole lines of the cache."""
        storage = self.program.storages[number]
        return -(-storage.size * storage.dtype.itemsize // 64) * 64

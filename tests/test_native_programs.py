"""Random programs of statements: in C and in nests of loops, against NumPy doing one statement after another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gpuad.fused import compiler
from gpuad.fused.pending import Apply
from gpuad.native import groups  # noqa: F401, which knows all operations
from gpuad.native.kernel import Kernel, Signature
from gpuad.native.nests import Nests
from gpuad.native.program import At, Fold, Indexed, Map, Product, Program, Ref, Running, rows

F8 = np.dtype(np.float64)
SCALARS = ["{0}", "{0} * 0.5 + {1}", "{0} - {1}", "{0} * 0.25", "sin({0})", "-{0}"]
FOLDS = {"add": np.add, "maximum": np.maximum, "minimum": np.minimum}
SHAPES = [(4, 3), (3, 4), (4,), (3,), (2, 3, 4), (1, 3), (4, 1), (), (12,), (3, 3), (600,)]


class Drawn:
    """A program; every array is large enough for views of each shape, from any of its places."""

    def __init__(self, seed: int, length: int) -> None:
        self.rng = np.random.default_rng(seed)
        #: Few, so that many statements can share a nest.
        self.shapes = [SHAPES[k] for k in self.rng.choice(len(SHAPES), 3)]
        self.program = Program()
        self.arrays = [self.whole("array", k, step) for k, step in enumerate((1, -1, 2))]
        self.program.storage("number", F8, 1, 0)
        self.program.constant(self.rng.normal(size=700), F8)  # the storage number 4
        # Inner memory that is written as a whole before it is read, and in parts after.
        self.begun: list[int] = [s.number for s in self.program.storages]
        self.written: list[int] = []
        self.whole_numbers = self.program.constant(self.rng.integers(-1, 1, 700), np.dtype(np.int64)).storage
        for _ in range(length):
            self.statement()
        results = [number for number in self.written if self.rng.random() < 0.5] or self.written[:1]
        for k, number in enumerate(results):
            storage = self.program.storages[number]
            storage.kind, storage.index = "result", k
        self.results = [Ref(number, 0, (1,), (self.program.storages[number].size,)) for number in results]

    def whole(self, kind: str, index: int, step: int) -> Ref:
        return Ref(self.program.storage(kind, F8, 700, index), 0, (step,), (700,))

    def view(self, number: int, shape: tuple[int, ...], *, target: bool = False) -> Ref:
        """Of any place and with any strides; ``target``: without a place in memory twice."""
        storage = self.program.storages[number]
        if storage.kind == "number":
            return Ref(number, 0, (), ()).spread(shape)
        step = next((a.strides[0] for a in self.arrays if a.storage == number), 1)
        room = storage.size - int(np.prod(shape))
        if room >= 0 and self.rng.random() < 0.8:
            offset = int(self.rng.integers(min(room, 1) + 1))
            return Ref(number, offset * step, tuple([s * step for s in rows(shape)]), shape).spread(shape)
        order = self.rng.permutation(len(shape))
        strides, reach = [0] * len(shape), 1
        for k in order:
            strides[k] = reach * (-1 if self.rng.random() < 0.3 else 1)
            reach *= shape[k]
        if not target:
            strides = [0 if self.rng.random() < 0.2 else s for s in strides]
        low = sum(min(s * (n - 1), 0) for s, n in zip(strides, shape, strict=True))
        high = sum(max(s * (n - 1), 0) for s, n in zip(strides, shape, strict=True))
        if high - low >= storage.size:
            return Ref(number, 0, (0,) * len(shape), shape)
        offset = int(self.rng.integers(0, min(storage.size - (high - low), 3))) - low
        return Ref(number, offset * step, tuple([s * step for s in strides]), shape).spread(shape)

    def operand(self, shape: tuple[int, ...], beside: int) -> Ref:
        near = [n for n in self.begun[-4:] if n != beside]
        if self.rng.random() < 0.8 and near:
            return self.view(int(self.rng.choice(near)), shape)
        return self.view(int(self.rng.choice([n for n in self.begun if n != beside])), shape)

    def fresh(self, shape: tuple[int, ...]) -> Ref:
        ref = self.program.array(shape, F8)
        self.begun.append(ref.storage)
        self.written.append(ref.storage)
        return ref.spread(shape)

    def statement(self) -> None:
        rng, shape = self.rng, self.shapes[self.rng.integers(len(self.shapes))]
        what, add = rng.random(), self.program.statements.append
        if what < 0.1:
            m, k, n = (int(size) for size in rng.integers(1, 6, 3))
            x, y = self.operand((2, m, k), -1), self.view(4, (2, k, n))
            add(Product(x, y, self.fresh((2, m, n))))
        elif what < 0.2 and shape:
            add(self.indexed(shape, int(rng.integers(len(shape)))))
        elif what < 0.25 and shape:
            axis, out = int(rng.integers(len(shape))), self.fresh(shape)
            if rng.random() < 0.5:  # from the end on
                turned = [-s if k == axis else s for k, s in enumerate(out.strides)]
                out = Ref(out.storage, out.offset + (shape[axis] - 1) * out.strides[axis], tuple(turned), shape)
            scalar = str(rng.choice(["{0} + {1}", "{1} - 0.5 * {0} * {2}"]))
            ins = [self.operand(shape, out.storage) for _ in range(2 if "{2}" in scalar else 1)]
            add(Running(scalar, out, tuple(ins), axis))
        elif what < 0.4:
            kept = [bool(rng.integers(2)) for _ in shape]
            x = self.operand(shape, -1)
            out = self.fresh(tuple([n if keep else 1 for n, keep in zip(shape, kept, strict=True)]))
            add(Fold(str(rng.choice(list(FOLDS))), x, out._replace(shape=shape)))
        else:
            scalar = str(rng.choice(SCALARS))
            if what < 0.8 and self.written:
                fitting = [n for n in self.written[-4:] if self.program.storages[n].size >= np.prod(shape)]
                if not fitting:
                    return
                number = int(rng.choice(fitting))
                out = self.view(number, shape, target=True)
                maps = [s for s in self.program.statements[-6:] if isinstance(s, Map)]
                read = [r for s in maps for r in s.ins if r.storage in self.written and _is_apart(r)]
                if read and rng.random() < 0.5:  # what has just been read is written over
                    out = read[rng.integers(len(read))]
                    number, shape = out.storage, out.shape
                ins = [self.operand(shape, number) for _ in range(2)]
                if "sin" not in scalar and rng.random() < 0.4:
                    ins[0] = out
            else:
                ins = [self.operand(shape, -1) for _ in range(2)]
                out = self.fresh(shape)
            ins = ins[: 2 if "{1}" in scalar else 1]
            add(Map(Apply("", scalar, (F8,) * len(ins), F8), out, tuple(ins)))

    def indexed(self, shape: tuple[int, ...], axis: int) -> Indexed:
        """Entries read, written or added where whole numbers say: along one axis, at its first or last place."""
        how = str(self.rng.choice(["read", "write", "add"]))
        fitting = [n for n in self.written[-4:] if self.program.storages[n].size >= np.prod(shape)]
        if how == "read" or not fitting:
            how, x, out = "read", self.operand(shape, -1), self.fresh(shape)
        else:
            number = int(self.rng.choice(fitting))
            x, out = self.operand(shape, number), self.view(number, shape, target=True)
        moved = x if how == "read" else out
        at = At(self.view(self.whole_numbers, shape), shape[axis], moved.strides[axis], axis)
        still = moved._replace(strides=tuple([0 if k == axis else s for k, s in enumerate(moved.strides)]))
        return Indexed(how, still, out, (at,)) if how == "read" else Indexed(how, x, still, (at,))

    def inputs(self, scale: float) -> list[np.ndarray]:
        return [scale * self.rng.normal(size=(1400))[: 700 * abs(a.strides[0])][:: a.strides[0]] for a in self.arrays]


def _is_apart(ref: Ref) -> bool:
    """Whether every entry has a place of its own."""
    return len(np.unique(places(ref))) == np.prod(ref.shape)


def places(ref: Ref) -> np.ndarray:
    """Where in a storage the entries of a view lie."""
    found = np.full(ref.shape, ref.offset)
    for axis, (n, s) in enumerate(zip(ref.shape, ref.strides, strict=True)):
        found += (np.arange(n) * s).reshape([-1 if k == axis else 1 for k in range(len(ref.shape))])
    return found


class TooWide(Exception):
    """The sine of what has been rounded to no digit after the point."""


def sine(x: np.ndarray) -> np.ndarray:
    if np.nanmax(np.abs(x), initial=0.0) > 1e8:
        raise TooWide
    return np.sin(x)


def interpreted(drawn: Drawn, arrays: list[np.ndarray], number: float) -> list[np.ndarray]:
    program, memory, steps = drawn.program, {}, {a.storage: a.strides[0] for a in drawn.arrays}
    for s in program.storages:
        if s.kind == "array":
            memory[s.number] = arrays[s.index].copy()
        elif s.kind == "number":
            memory[s.number] = np.array([number])
        elif s.kind == "constant":
            memory[s.number] = np.frombuffer(bytes(program.constants), s.dtype, s.size, s.index)
        else:
            memory[s.number] = np.full(s.size, np.nan)

    def entries(ref: Ref) -> np.ndarray:
        return memory[ref.storage][places(ref) // steps.get(ref.storage, 1)]

    for s in program.statements:
        if isinstance(s, Map):
            text = s.apply.scalar.format(*[f"x[{k}]" for k in range(len(s.ins))])
            memory[s.out.storage][places(s.out)] = eval(text, {"x": [entries(r) for r in s.ins], "sin": sine})
        elif isinstance(s, Fold):
            there, x = places(s.out).reshape(-1), entries(s.x).reshape(-1)
            for at in np.unique(there):
                memory[s.out.storage][at] = FOLDS[s.how].reduce(x[there == at])
        elif isinstance(s, Running):
            for k in range(s.out.shape[s.axis]):
                here, before = ([slice(None)] * s.axis + [n] for n in (k, k - 1))
                x = [entries(r)[tuple(here)] for r in s.ins]
                text = s.scalar.format("before", *[f"x[{n}]" for n in range(len(x))])
                then = memory[s.out.storage][places(s.out)[tuple(before)]]
                made = eval(text, {"before": then, "x": x}) if k else x[0]
                memory[s.out.storage][places(s.out)[tuple(here)]] = made
        elif isinstance(s, Indexed):
            (at,) = s.at
            moves = entries(at.numbers) % at.length * at.step
            if s.how == "read":
                x = memory[s.x.storage][(places(s.x) + moves) // steps.get(s.x.storage, 1)]
                memory[s.out.storage][places(s.out)] = x
            else:
                there, x = (places(s.out) + moves).reshape(-1), entries(s.x).reshape(-1)
                for place, entry in zip(there, x, strict=True):
                    memory[s.out.storage][place] = entry + (memory[s.out.storage][place] if s.how == "add" else 0)
        else:
            memory[s.out.storage][places(s.out)] = entries(s.x) @ entries(s.y)
    return [memory[r.storage] for r in drawn.results]


def accesses(statement) -> list[tuple[Ref, bool, bool]]:
    """Views, whether they are written, and whether each entry is done with at one index of the loops."""
    if isinstance(statement, Map):
        return [(statement.out, True, True), *[(r, False, True) for r in statement.ins]]
    if isinstance(statement, Fold):
        return [(statement.out, True, False), (statement.x, False, True)]
    out, reads = statement.out, list(statement.reads)
    if isinstance(statement, Indexed):  # all that can be meant
        (at,) = statement.at
        x, out = (
            r._replace(strides=tuple([at.step if k == at.axis else s for k, s in enumerate(r.strides)])) if moved else r
            for r, moved in ((statement.x, statement.how == "read"), (out, statement.how != "read"))
        )
        reads = [x, at.numbers]
    return [(out, True, False), *[(r, False, False) for r in reads]]


def check_nests(program: Program) -> None:
    """That all lies within its memory, that nests keep the order of what depends on another, and that inner arrays
    share no memory while they are needed."""
    nests = Nests(program)
    where = {id(s): k for k, nest in enumerate(nests.nests) for s in nest.statements}
    order = {id(s): k for k, s in enumerate(s for nest in nests.nests for s in nest.statements)}
    touched = [[(ref, places(ref), *how) for ref, *how in accesses(s)] for s in program.statements]
    offsets, size = nests.offsets()
    spans: dict[int, tuple[int, int]] = {}
    for s, refs in zip(program.statements, touched, strict=True):
        for ref, at, _, _ in refs:
            storage = program.storages[ref.storage]
            if storage.kind != "array":
                assert at.min() >= 0 and at.max() < storage.size
            k = where[id(s)]
            first, last = spans.get(ref.storage, (k, k))
            spans[ref.storage] = min(first, k), max(last, k)
    for (a, ours), (b, theirs) in itertools.combinations(zip(program.statements, touched, strict=True), 2):
        for (x, at_x, writes, by_index), (y, at_y, also, by_index_too) in itertools.product(ours, theirs):
            if x.storage != y.storage or not (writes or also) or not np.intersect1d(at_x, at_y).size:
                continue
            assert order[id(a)] < order[id(b)]
            if where[id(a)] == where[id(b)]:
                assert by_index and by_index_too and x == y
    for number in nests.variables:
        assert spans[number][0] == spans[number][1]
    inner = [n for n in spans if program.storages[n].kind == "inner" and n not in nests.variables]
    for n in inner:
        assert offsets[n] + program.storages[n].size * 8 <= size
    for n, m in itertools.combinations(inner, 2):
        apart = max(spans[n][0], spans[m][0]) > min(spans[n][1], spans[m][1])
        ends = [offsets[k] + program.storages[k].size * 8 for k in (n, m)]
        assert apart or ends[0] <= offsets[m] or ends[1] <= offsets[n]


@pytest.mark.parametrize("seed", range(1, 5))
def test_random_programs(seed):
    check_random_program(seed)


def check_random_program(seed: int, length: int = 60) -> None:
    drawn = Drawn(seed, length)
    check_nests(drawn.program)
    if compiler.unavailable() is not None:
        pytest.skip("there is no C compiler")
    kernel = Kernel(drawn.program, Signature(drawn.arrays, [F8], drawn.results, [False] * len(drawn.results)))
    for scale in (1.0, 1.0, 1e6):
        arrays = drawn.inputs(scale)
        got = kernel.call(*arrays, 0.7)
        try:
            want = interpreted(drawn, arrays, 0.7)
        except TooWide:
            continue
        for x, y in zip(got, want, strict=True):
            ok = np.isfinite(y)
            np.testing.assert_allclose(x[ok], y[ok], rtol=1e-6, atol=1e-6 * max(1, np.abs(y[ok]).max(initial=0)))

"""NumPy's random generators in a recorded program: inputs, from which a replay draws what the program drew, in order.

A program that is recorded has a stand-in for a generator. What it draws comes from the generator itself, and is written
down as an operation with an effect: never merged, dropped or moved past another. What else is done with a generator, or
with one that has no stand-in, isn't seen; that something was shows in what numbers would come next.
"""

from __future__ import annotations

import functools
import inspect
import operator
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import backend_of
from ..core.box import Box, answer
from ..core.primitive import Primitive
from ..core.record import Record, Refused, is_array
from ..core.untraced import settled

#: What may be an input. Subclasses may draw in ways of their own.
GENERATORS = frozenset({np.random.Generator, np.random.RandomState})


# -- what comes next ----------------------------------------------------------------------------------
def is_generator(x: Any) -> bool:
    return isinstance(x, (np.random.Generator, np.random.RandomState, random.Random))


def state_of(g: Any) -> Any:
    """What a generator will draw, and spawn, next."""
    if isinstance(g, random.Random):
        return g.getstate()
    if not isinstance(g, np.random.Generator):
        return g.get_state(legacy=False)
    bits = g.bit_generator
    return bits.state, _spawned(bits)


def _spawned(bits: Any) -> int | None:
    """How many children its seed has had."""
    seed = bits.seed_seq
    return seed.n_children_spawned if type(seed) is np.random.SeedSequence else None


def put_back(g: Any, state: Any) -> None:
    """Let a generator go on from ``state``."""
    if isinstance(g, random.Random):
        g.setstate(state)
    elif not isinstance(g, np.random.Generator):
        g.set_state(state)
    else:
        bits: Any = g.bit_generator
        seed = bits.seed_seq
        bits.state, spawned = state
        if _spawned(bits) != spawned:  # this number can't be set
            before = np.random.SeedSequence(
                seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size, n_children_spawned=spawned
            )
            bits.__setstate__((bits.state, before))


def everywhere(generators: Sequence[Any]) -> list[Any]:
    """The same of Python's numbers, NumPy's, and those of generators."""
    return [random.getstate(), np.random.get_state(legacy=False), *map(state_of, generators)]


def put_back_everywhere(generators: Sequence[Any], states: list[Any]) -> None:
    if same_state(everywhere(generators), states):
        return
    python, numpys, *others = states
    random.setstate(python)
    np.random.set_state(numpys)
    for g, state in zip(generators, others, strict=True):
        put_back(g, state)


def same_state(a: Any, b: Any) -> bool:
    return bool(_bits(a) == _bits(b))


def _bits(state: Any) -> Any:
    if isinstance(state, (list, tuple, dict)):
        return [_bits(part) for part in (state.values() if isinstance(state, dict) else state)]
    return state.tobytes() if isinstance(state, np.ndarray) else state


# -- drawing ------------------------------------------------------------------------------------------
class Draw(Primitive):
    """A method of a generator: the first operand is that, the others are its arguments called ``names``."""

    def __init__(self, method: str, names: tuple[str, ...]) -> None:
        super().__init__(f"random.{method}")
        self.method, self.names = method, names

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        generator, *operands = args
        given = dict(zip(self.names, operands, strict=True), **params)
        if self.method == "shuffle":  # what it shuffles is a value like others, which the program then writes
            given["x"] = given["x"].copy(order="K")
        drawn = getattr(generator, self.method)(**given)
        return given["x"] if self.method == "shuffle" else drawn


_draw = functools.cache(Draw)
_signature = functools.cache(inspect.signature)


class Draws:
    """What one record draws. ``generators``: those of which it is known whether something else drew from them."""

    def __init__(self, record: Record, generators: Sequence[Any]) -> None:
        self.record, self.generators = record, generators
        self.before = everywhere(generators)
        #: The state of each generator after what was drawn last, by who has that state.
        self._expected = {_owner(g): state for g, state in zip(generators, self.before[2:], strict=True)}

    def unseen(self) -> bool:
        """Whether random numbers were drawn otherwise."""
        python, numpys, *others = everywhere(self.generators)
        expected = [self._expected[_owner(g)] for g in self.generators]
        return not same_state([python, numpys, *others], [*self.before[:2], *expected])

    def input(self, raw: Any) -> Any:
        """An array, number or generator as an input of the record."""
        return self.stand_in(self.record.watch(raw))

    def stand_in(self, box: Box) -> Any:
        """What the program has in place of a generator; a box of something else is that box."""
        kind = _STAND_INS.get(type(box.value))
        return box if kind is None else kind(box, self)

    def draw(self, box: Box, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call that method of a generator, and write it down."""
        raw, record = box.value, self.record
        method = getattr(type(raw), name)
        if record.closed:
            return method(raw, *args, **kwargs)
        operands: dict[str, Any] = {}
        params: dict[str, Any] = {}
        for key, x in list(_signature(method).bind(raw, *args, **kwargs).arguments.items())[1:]:
            kind, x = _kind_of(name, key, x, record)
            if kind is None:
                return method(raw, *args, **kwargs)  # which says that it can't
            (operands if kind else params)[key] = x
        if name == "spawn" and _spawned(raw.bit_generator) is None:
            raise Refused("it spawns generators from a seed that isn't NumPy's")
        expected = self._expected.get(_owner(raw))  # children that it spawned itself are nobody else's
        if expected is not None and not same_state(state_of(raw), expected):
            raise Refused("it draws random numbers in more ways than one from one generator")
        prim = _draw(name, tuple(operands))
        boxes = [box, *operands.values()]
        places = tuple([x.index if type(x) is Box else record.number(x) for x in boxes])
        raws = [x.value if type(x) is Box else x for x in boxes]
        try:
            drawn = prim.evaluate(raws, params)
        except Exception:
            record.failed = True
            raise
        if expected is not None:
            self._expected[_owner(raw)] = state_of(raw)
        parts = drawn if type(drawn) is list else [drawn]
        if not all(type(part) in GENERATORS or _is_number(part) for part in parts):
            raise Refused(f"it draws what isn't numbers ({type(drawn).__name__}) from a generator")
        made = record.enter(prim, places, raws, params, drawn, backend_of(raws[1:]))
        return list(map(self.stand_in, made)) if type(drawn) is list else made


def _owner(g: Any) -> int:
    return id(g.bit_generator) if isinstance(g, np.random.Generator) else id(g)


def _is_number(x: Any) -> bool:
    return type(x) in (bool, int, float) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc")


def _kind_of(method: str, key: str, x: Any, record: Record) -> tuple[bool | None, Any]:
    """Whether an argument is an operand, ``None`` if it is nothing to draw with, and what the record has for it."""
    x = settled(x)
    traced = type(x) is Box
    if traced and x.level is not record:
        return None, x
    if key == "out" and x is not None:
        raise Refused(f"it draws random numbers into an array: x = {method}(...), without out=")
    if key == "x" and method == "shuffle" and not (traced or is_array(x)):
        return None, x
    if key == "size" or (key == "x" and traced and not x.spec.shape):  # the result has as many entries
        return False, tuple(map(_whole, x)) if isinstance(x, (tuple, list)) else _whole(x)
    if isinstance(x, (tuple, list)):
        x = np.asarray(x)
        if x.dtype.hasobject:
            raise Refused("it draws random numbers by a list of traced arrays: gpuad.numpy.stack makes an array of it")
    return traced or is_array(x), x


def _whole(x: Any) -> Any:
    return answer(x, operator.index) if type(x) is Box else x


# -- the stand-ins ------------------------------------------------------------------------------------
class _StandIn:
    """What the stand-ins for generators have in common. NumPy's own code takes them for generators, too, so they have
    the bits of those that they stand for."""

    def __init__(self, box: Box, draws: Draws) -> None:
        raw = box.value
        super().__init__(raw.bit_generator if type(raw) is np.random.Generator else raw._bit_generator)  # type: ignore[call-arg]
        self.box, self.draws = box, draws

    def shuffle(self, x: Any, *axis: Any, **given: Any) -> None:
        if not self.draws.record.closed and type(x) is not Box:
            raise Refused("it shuffles a plain list or array; permutation(x) gives another one instead")
        mixed = self.draws.draw(self.box, "shuffle", (x, *axis), given)
        if mixed is not None:
            x[...] = mixed

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.draws.record.closed:
            return self.box.value.__reduce_ex__(protocol)
        raise Refused("it copies a random generator")


def _drawn_with(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.draws.draw(self.box, name, args, kwargs)

    return method


def _of_sizes(name: str) -> Any:
    def method(self: Any, *size: Any) -> Any:
        return self.draws.draw(self.box, name, (size or None,), {})

    return method


def _refused(name: str) -> Any:
    def get(self: Any) -> Any:
        if self.draws.record.closed:
            return getattr(self.box.value, name)
        raise Refused(f"it takes {name} of a random generator")

    return property(get)


def _stand_in(cls: type) -> Any:
    names = {name for name in dir(cls) if not name.startswith("_")} - {"shuffle"}
    special = {"rand": _of_sizes("random_sample"), "randn": _of_sizes("standard_normal")}
    special |= {name: _refused(name) for name in ("bit_generator", "bytes", "get_state", "set_state", "seed")}
    return type(cls.__name__, (_StandIn, cls), {name: special.get(name) or _drawn_with(name) for name in names})


_STAND_INS = {cls: _stand_in(cls) for cls in GENERATORS}


def opened(x: Any) -> Any:
    """The box of a stand-in; anything else is as it is."""
    return x.box if isinstance(x, _StandIn) else x

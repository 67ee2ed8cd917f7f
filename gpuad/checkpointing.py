"""Gradients in less memory: values are computed a second time instead of being kept."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from math import comb
from typing import Any

import numpy as np

from .backend import owner_of_type
from .core.box import Box
from .core.closure import Closure, Deeper, Standing, Surroundings, again, beneath, floor_of, unlike
from .core.cotangent import add
from .core.filled import zeros_like
from .core.level import innermost_level, running
from .core.pytree import leaves, tree_map
from .core.untraced import settled
from .custom_calls import HOLE, Application, UserPrimitive
from .errors import UnsupportedError
from .fused import pool
from .fused.pending import settle
from .transforms.forward import jvp
from .transforms.gradients import Trace, check_function, input_spec

Leaves = Sequence[Any]


# -- a function as an operation whose derivative is computed by running it again ------------------------
class Recomputed(Application):
    """One call of a function, whose results are known, as an operation on the arrays in ``flat``.

    ``pull(argnums, args)`` is called when the operation is recorded, and returns the function that takes the
    cotangents of the results to those of the arguments ``argnums``. ``push(argnums, tangents, args)`` returns the
    tangents of the results.
    """

    def __init__(self, name: str, count: int, results: Leaves, floor: int, pull: Any, push: Any) -> None:
        user = UserPrimitive(pull)
        user.name = name
        user.vjp_of_all = lambda argnums, ans, args, kwargs: pull(argnums, args)
        user.jvp_of_all = lambda argnums, tangents, ans, args, kwargs: push(argnums, tangents, args)
        super().__init__(user, [HOLE] * count, {})
        self.floor = floor
        self.known = self.taken_apart(list(results))

    def __call__(self, *args: Any, **params: Any) -> Any:
        level = innermost_level(args)
        return level.process(self, args, params) if level is not None and level.depth > self.floor else self.known

    def apply(self, flat: list[Any]) -> Any:
        results = super().apply(flat)
        self.known = None  # from here on they are the caller's, who may let go of them
        self.jvp = None  # which refers to this operation, and all it knows would stay until garbage is collected
        return results


class Leafy:
    """A container whose floating-point arrays can be taken out and replaced."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree_map(lambda leaf: leaf if input_spec(leaf) is None else HOLE, tree)

    def filled(self, values: Iterable[Any]) -> Any:
        it = iter(values)
        return tree_map(lambda leaf: next(it) if leaf is HOLE else leaf, self.tree)


def arrays_of(tree: Any) -> list[Any]:
    """The leaves of a container that have a derivative."""
    return [leaf for _, leaf in leaves(tree) if input_spec(leaf) is not None]


def _depth(x: Any) -> int:
    return x.level.depth if type(x) is Box else -1


class Watched:
    """Stand-ins for arrays that a function is given, and whether it wrote into them.

    Plain arrays get one only where nothing else does: a program may make Python numbers of them.
    """

    def __init__(self, level: Closure, values: Leaves, which: Sequence[bool]) -> None:
        self.boxes = [level.watch(v) if w else v for v, w in zip(values, which, strict=True)]
        self.values = [b.value if type(b) is Box else None for b in self.boxes]

    def check(self, name: str) -> None:
        for box, value in zip(self.boxes, self.values, strict=True):
            if type(box) is Box and value is not None and box.value is not value:
                raise UnsupportedError(
                    f"{name}: the function writes into an argument, whose caller wouldn't see it. Let it write into a "
                    "copy, and return that"
                )


def _to_watch(flat: Leaves, floor: int) -> list[bool]:
    traced = [_depth(x) > floor for x in flat]
    return traced if any(traced) else [not isinstance(x, (float, complex)) for x in flat]


def deepening(run: Callable[[int], Any], flat: Leaves) -> Any:
    """``run(floor)``, with a floor that leaves alone what has to be."""
    floor = max(map(floor_of, flat), default=-1)
    while True:
        try:
            return run(floor)
        except Deeper as deeper:
            floor = deeper.floor


# -- checkpoint --------------------------------------------------------------------------------------
def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, whose intermediate values aren't kept for the derivative, but computed a second time then.

    A gradient through the new function needs memory for the arguments and results of ``f``, and on the way back for
    one run of ``f``; it takes the time of one more run of ``f``. Arguments and results may be containers, and ``f``
    may read traced arrays from around it: they count as arguments, but what it computes from such alone is kept.
    It nests, with itself and with everything else.

    ``f`` is run twice, so it must compute the same both times: random numbers are drawn outside. If the results differ,
    that is an ``UnsupportedError``; on a device, which isn't asked, it isn't noticed. ``f`` must not write into its
    arguments. Under ``vmap`` inside a gradient values are kept.

    >>> import numpy as np, gpuad
    >>> layer = gpuad.checkpoint(lambda x: np.sin(np.exp(np.cos(x))))
    >>> gpuad.grad(lambda x: np.sum(layer(layer(x))))(np.zeros(1))
    array([0.])
    """
    check_function(f, "checkpoint")

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if not running.on:
            return f(*args, **kwargs)
        call = args, kwargs
        return deepening(lambda floor: _checkpointed(f, call, floor), arrays_of(call))

    return checkpointed


def _checkpointed(f: Callable[..., Any], call: Any, floor: int) -> Any:
    name = f"checkpoint of {getattr(f, '__name__', 'a function')}"
    flat, whole = arrays_of(call), Leafy(call)
    which = _to_watch(flat, floor)

    def run(level: Closure, values: Leaves) -> Any:
        given = Watched(level, values, which)
        try:
            args, kwargs = whole.filled(given.boxes)
            result = tree_map(level.result, f(*args, **kwargs))
        finally:
            level.closed = True
        given.check(name)
        return result

    around = Surroundings(floor)
    result = run(Closure(floor, around.take), [beneath(x, floor) for x in flat])
    results, form = arrays_of(result), Leafy(result)
    known = [sketch(x) for x in results]
    count = len(flat)

    def again_with(*values: Any) -> list[Any]:
        with again():
            return arrays_of(run(Closure(floor, Standing(values[count:], around.met).take), values[:count]))

    def pull(argnums: Sequence[int], args: Leaves) -> Callable[[Any], Leaves]:
        def pulled(g: list[Any]) -> Leaves:
            trace = Trace(again_with, args, argnums, False, "checkpoint")
            compare(known, trace.result)
            return trace.hand_over(g)

        return pulled

    def push(argnums: Sequence[int], tangents: Leaves, args: Leaves) -> Leaves:
        moving = _moving(again_with, argnums, args)
        return jvp(moving, [args[i] for i in argnums], tangents)[1]  # type: ignore[no-any-return]

    inputs = [*flat, *around.boxes]
    operation = Recomputed(name, len(inputs), results, floor, pull, push)
    return form.filled(operation.rebuilt(operation.apply(inputs)))


def _moving(f: Callable[..., Any], argnums: Sequence[int], args: Leaves) -> Callable[..., Any]:
    """``f`` as a function of these arguments."""

    def moving(*values: Any) -> Any:
        full = list(args)
        for i, v in zip(argnums, values, strict=True):
            full[i] = v
        return f(*full)

    return moving


_COLUMNS = 1021  # a prime, lest a reordering keep the sums


def sketch(x: Any) -> Any:
    """A few numbers that differ when ``x`` does, but for rounding: itself, if it is small. ``None`` on a device."""
    while type(x) is Box:
        x = x.value
    x = settle(x)
    if not isinstance(x, (np.ndarray, np.generic)):
        return None
    flat = np.ravel(x)
    if flat.dtype.kind == "V":  # bfloat16, of which NumPy knows no precision
        flat = flat.astype(np.float32)
    whole = flat.size // _COLUMNS * _COLUMNS
    return flat.copy() if whole < 2 * _COLUMNS else np.append(flat[:whole].reshape(-1, _COLUMNS).sum(0), flat[whole:])


def compare(known: Leaves, results: Leaves) -> None:
    """An error if the results of a second run aren't those of the first."""
    if len(known) != len(results):
        raise unlike()
    for before, x in zip(known, results, strict=True):
        after = None if before is None else sketch(x)
        if before is None or after is None:
            continue
        scale = np.max(np.abs(before), initial=0.0, where=np.isfinite(before))
        tolerance = float(np.finfo(before.dtype).eps) ** 0.5 * scale
        if before.shape != after.shape or not np.allclose(before, after, rtol=0.0, atol=tolerance, equal_nan=True):
            raise unlike()


# -- checkpoint_sequence -------------------------------------------------------------------------------
def checkpoint_sequence(step: Callable[..., Any], n: int, *, memory: int) -> Callable[..., Any]:
    """A loop of ``n`` steps, ``state = step(state, i, *params)``, that keeps ``memory`` states for the derivative.

    Returns ``run(state, *params)``, the last state. A gradient through it takes as few evaluations of ``step`` as can
    be with so many states in memory, the first one among them, and the values of a single step: beside ``n`` of them
    r·n - β(memory + 1, r - 1), where β(s, r) = (s + r)!/(s! r!) and r is the least number with n ≤ β(memory, r)
    (Griewank & Walther, Algorithm 799: Revolve, ACM Trans. Math. Softw. 26, 2000). So with 10 states for 1000 steps
    each is evaluated 4.6 times on average, and with 30 states 3.5 times.

    ``state`` and ``params`` may be containers; ``step`` may read traced arrays from around it, as with ``checkpoint``,
    and must compute the same whenever it is called. It may write into the state that it is given, not into ``params``;
    the ``state`` that ``run`` is called with stays as it is.

    >>> import numpy as np, gpuad
    >>> run = gpuad.checkpoint_sequence(lambda x, i, dt: x + dt * np.sin(x), 100, memory=5)
    >>> gpuad.grad(run, (0, 1))(1.0, 0.01)
    (np.float64(1.1064331618523573), np.float64(92.80586143972388))
    """
    check_function(step, "checkpoint_sequence", curried=False)
    n, memory = operator.index(n), operator.index(memory)
    if n < 0 or memory < 1:
        raise ValueError(f"checkpoint_sequence: {n} steps with {memory} states; there must be 0 or more, and 1 or more")
    return lambda state, *params: _sequence(step, 0, n, memory, state, params)


def split(n: int, memory: int) -> int:
    """After how many of ``n`` steps the next state is to be kept, with room for ``memory``, the first included."""
    repetitions = 1
    while comb(memory + repetitions, memory) < n:
        repetitions += 1
    fewest = comb(memory + repetitions - 2, memory) if repetitions > 1 else 1
    return max(1, fewest, n - comb(memory - 1 + repetitions, memory - 1))


def _sequence(step: Callable[..., Any], start: int, end: int, memory: int, state: Any, params: Any) -> Any:
    """The steps number ``start`` to ``end``. All but the last are one operation; that is recorded as any program."""
    if running.on and end - start > 1:
        given = arrays_of((state, params))
        state = deepening(lambda floor: Steps(step, start, end, memory, state, params, floor).result(given), given)
        start = end - 1
    else:
        state = tree_map(_copy, state)
    for i in range(start, end):
        state = step(state, i, *params)
    return state


def _copy(leaf: Any) -> Any:
    leaf = settle(leaf)
    return leaf.copy() if type(leaf) is Box or owner_of_type(type(leaf)) is not None else leaf


def _to_read(leaf: Any) -> Any:
    """What a step may read but not write into, without a copy of NumPy's arrays."""
    leaf = settle(leaf)
    if type(leaf) is not np.ndarray:
        return _copy(leaf)
    leaf = leaf.view()
    leaf.flags.writeable = False
    return leaf


def _untraced(leaf: Any) -> Any:
    leaf = settled(leaf)
    if type(leaf) is Box:
        raise unlike()
    return leaf


class Steps:
    """The steps from ``start`` until the last but one before ``end``, run without a record, as one operation."""

    def __init__(
        self, step: Callable[..., Any], start: int, end: int, memory: int, state: Any, params: Any, floor: int
    ) -> None:
        self.step, self.start, self.end, self.memory, self.floor = step, start, end, memory, floor
        self.state, self.params = Leafy(state), Leafy(params)
        self.count = len(arrays_of(state))
        #: Whether a step is known to need a state of its own.
        self.writes = False
        #: The arrays from around that each step met, by number.
        self.met: dict[int, tuple[int, ...]] = {}

    def result(self, flat: Leaves) -> Any:
        """The state before the last step; ``flat`` are the arrays in state and parameters."""
        floor = self.floor
        around = Surroundings(floor)
        self.which = [_depth(x) > floor for x in flat[self.count :]]
        values = [beneath(x, floor) for x in flat]
        params = values[self.count :]

        def first_time(state: Any, lo: int, hi: int) -> Any:
            for i in range(lo, hi):
                around.met.clear()
                state = self._one(state, i, params, around.take)
                met = tuple(around.met)
                self.met[i] = before if (before := self.met.get(i - 1)) == met else met
            return state

        kept = [(self.start, self.memory, self.state.filled(values[: self.count]))]
        last = self._march(kept, self.end, first_time)
        pool.drain()
        self.known = [sketch(x) for x in arrays_of(last)]
        inputs = [*flat, *around.boxes]

        def pull(argnums: Sequence[int], args: Leaves) -> Callable[[Any], Leaves]:
            return lambda g: self._pull(argnums, args, g, kept)

        operation = Recomputed("checkpoint_sequence", len(inputs), arrays_of(last), floor, pull, self._push)
        return Leafy(last).filled(operation.rebuilt(operation.apply(inputs)))

    def _one(self, state: Any, i: int, params: Leaves, take: Callable[[Box], Any]) -> Any:
        """The state after step ``i``."""
        level = Closure(self.floor, take)
        watched = tree_map(lambda leaf: _copy(leaf) if input_spec(leaf) is None else level.watch(leaf), state)
        given = Watched(level, params, self.which)
        try:
            result = tree_map(level.result, self.step(watched, i, *self.params.filled(given.boxes)))
        finally:
            level.closed = True
        given.check("checkpoint_sequence")
        return result

    def _again(self, state: Any, i: int, rest: Leaves) -> Any:
        """The same in a later run; ``rest`` are the arrays in the parameters, and those from around."""
        count = len(self.which)
        with again():
            if not self.met[i] and not any(type(x) is Box for x in (*arrays_of(state), *rest)):
                return self._plainly(state, i, self.params.filled(map(settle, rest)))
            return self._one(state, i, rest[:count], Standing(rest[count:], self.met[i]).take)

    def _plainly(self, state: Any, i: int, params: Any) -> Any:
        """The same where nothing is traced, as fast as the step is by itself."""
        token = running.set(False)
        try:
            if not self.writes:
                try:
                    return tree_map(_untraced, self.step(tree_map(_to_read, state), i, *params))
                except Exception:  # it may write into the state, and then has a copy from here on
                    self.writes = True
            return tree_map(_untraced, self.step(tree_map(_copy, state), i, *params))
        finally:
            running.reset(token)

    def _march(self, kept: list[tuple[int, int, Any]], hi: int, advance: Callable[[Any, int, int], Any]) -> Any:
        """The state before step ``hi - 1``, from the last one in ``kept``.

        That is taken out, unless it will be needed again. ``kept`` holds (step, room from there on, state), and gets
        the states that are to be kept on the way.
        """
        lo, room, state = kept.pop()
        while hi - lo > 1:
            kept.append((lo, room, state))
            there = lo + split(hi - lo, room)
            state = advance(state, lo, there)
            lo, room = there, room - 1
        return state

    # -- backwards --
    def _pull(self, argnums: Sequence[int], args: Leaves, g: list[Any], kept: list[tuple[int, int, Any]]) -> Leaves:
        """The cotangents of the arguments ``argnums``; takes the states in ``kept``, and the cotangents in ``g``."""
        traced = any(_depth(x) > self.floor for x in args)
        rest = args[self.count :]
        pool.drain()
        numbers = [k - self.count for k in argnums if k >= self.count]
        totals: list[tuple[Any, bool]] = [(None, False)] * len(numbers)  # and whether nobody else has it
        plain = not any(type(x) is Box for x in args)
        params = self.params.filled(map(settle, rest)) if plain else None

        # Where the cotangents are differentiated in turn, runs and steps are operations, too, that keep little.
        def advance(state: Any, lo: int, hi: int) -> Any:
            if traced:
                return _sequence(lambda s, i, *r: self._again(s, i, r), lo, hi, self.memory, state, tuple(rest))
            for i in range(lo, hi):
                quickly = plain and not self.met[i]
                state = self._plainly(state, i, params) if quickly else self._again(state, i, rest)
            return state

        if traced or not kept:  # else they are here from the run itself
            kept[:] = [(self.start, self.memory, self.state.filled(args[: self.count]))]
        for i in reversed(range(self.start, self.end - 1)):
            take_back = functools.partial(self._back_one, i, numbers)
            # Nothing here refers to the state: neither it nor the cotangents outlive their use in the step.
            run: Any = checkpoint(take_back) if traced else take_back
            found = run(self._march(kept, i + 1, advance), rest, g)
            for k, h in enumerate(found[self.count :]):
                total, ours = totals[k]
                totals[k] = (h, False) if total is None else add(total, h, ours)
            g = found[: self.count]
            del found
        sums = iter([total for total, _ in totals])
        return [g[k] if k < self.count else next(sums) for k in argnums]

    def _back_one(self, i: int, numbers: Sequence[int], state: Any, rest: Leaves, g: list[Any]) -> Leaves:
        """The cotangents of the state before step ``i``, and of those of ``rest`` with these numbers."""
        flat, form = arrays_of(state), Leafy(state)

        def one(*values: Any) -> list[Any]:
            state, rest = form.filled(values[: len(flat)]), values[len(flat) :]
            if not alone:
                return arrays_of(self._again(state, i, rest))
            state = tree_map(lambda leaf: _copy(leaf) if input_spec(leaf) is None else leaf, state)
            with again():
                return arrays_of(self.step(state, i, *self.params.filled(rest)))

        # Then the tape sees all there is to see.
        alone = not self.met[i] and not any(type(x) is Box for x in (*flat, *rest))
        chosen = [*range(len(flat)), *(len(flat) + k for k in numbers)]
        trace = Trace(one, [*flat, *rest], chosen, False, "checkpoint_sequence")
        if alone and not all(
            type(x) is not Box or (trace.is_ours(x) and type(x.value) is not Box) for x in trace.result
        ):
            raise unlike()
        if i == self.end - 2:
            compare(self.known, trace.result)
        return trace.hand_over(g)

    # -- forwards --
    def _push(self, argnums: Sequence[int], tangents: Leaves, args: Leaves) -> Leaves:
        """The tangents of the last state: those of every state are carried along with it."""
        given = dict(zip(argnums, tangents, strict=True))
        state, rest = args[: self.count], args[self.count :]
        numbers = [k - self.count for k in argnums if k >= self.count]

        def both(pair: Any, i: int, rest: Any, directions: Any) -> Any:
            state, moved = pair
            flat, form = arrays_of(state), Leafy(state)

            def one(*values: Any) -> Any:
                here = list(rest)
                for k, v in zip(numbers, values[len(flat) :], strict=True):
                    here[k] = v
                state = self._again(form.filled(values), i, here)
                return arrays_of(state), state

            _, moved, state = jvp(one, [*flat, *(rest[k] for k in numbers)], [*moved, *directions], has_aux=True)
            return state, moved

        start = self.state.filled(state), [given.get(k, zeros_like(x)) for k, x in enumerate(state)]
        directions = [given[k + self.count] for k in numbers]
        return _sequence(both, self.start, self.end - 1, self.memory, start, (rest, directions))[1]  # type: ignore[no-any-return]

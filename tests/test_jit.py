"""jit: the same results as the plain program, whatever changes between calls."""

from __future__ import annotations

import functools
import itertools
import threading
import types
import warnings
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuad
import gpuad.numpy as gnp
import test_plain_programs
import test_plain_simulations
import test_programs_that_write
from gpuad import grad, hessian, jacobian, jit, jvp, value_and_grad, vjp, vmap
from gpuad.core.pytree import leaves

RNG = np.random.default_rng(20261123)


def normal(*shape):
    return RNG.normal(size=shape)


def assert_same(got, want, rtol=1e-10):
    got, want = dict(leaves(got)), dict(leaves(want))
    assert got.keys() == want.keys()
    for path, b in want.items():
        a = got[path]
        assert type(a) is type(b), (path, type(a), type(b))
        if isinstance(b, (np.ndarray, np.generic)):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * (1 + np.abs(b).max(initial=0.0)))
        else:
            assert a == b


def counts(f):
    """How often a jitted function was recorded, and replayed."""
    return f.recordings.recorded, f.recordings.replayed


def check(f, *calls, records=None):
    """``jit(f)`` is ``f``, at the first call of a kind and at later ones, without a warning."""
    jitted = jit(f)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for args in calls:
            for _ in range(2):
                assert_same(jitted(*args), f(*args))
    recorded, replayed = counts(jitted)
    assert replayed >= len(calls)
    assert records is None or recorded == records
    return jitted


# -- programs -----------------------------------------------------------------------------------------
PROGRAMS = [
    (f, args) for program in (test_plain_programs.program, test_plain_simulations.program) for f, args in program
]
WRITERS = [(gpuad.lift(f), args) for f, args in test_programs_that_write.program]


def nearby(args):
    return [args, tuple(1.001 * a for a in args), tuple(0.9995 * a for a in args)]


def copied(args):
    return [a.copy(order="K") if a.ndim else a for a in args]


@pytest.mark.parametrize(("f", "args"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_plain_programs(f, args):
    both = value_and_grad(f, tuple(range(len(args))))
    for plain in (f, both):
        jitted = jit(plain)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            for call in (args, *nearby(args)):
                assert_same(jitted(*call), plain(*call), rtol=1e-9)
        assert counts(jitted)[1]


@pytest.mark.parametrize(("f", "args"), WRITERS, ids=[f.__name__ for f, _ in WRITERS])
def test_gradients_of_programs_that_write(f, args):
    both = value_and_grad(f, tuple(range(len(args))))
    jitted = jit(both)
    for call in nearby(args):
        assert_same(jitted(*copied(call)), both(*copied(call)), rtol=1e-9)
        assert_same(jitted(*copied(call)), both(*copied(call)), rtol=1e-9)
    assert counts(jitted)[1]


UNARY = [np.sin, np.tanh, np.exp, np.negative, lambda x: x * 1.0, lambda x: x - 0.0, lambda x: x.T.T, lambda x: x**3]
BINARY = [np.add, np.multiply, np.subtract, lambda x, y: x @ y.T @ x, lambda x, y: np.where(x > y, x, y)]
steps = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=14
)


def run(program, x, y, scale):
    """A random program with branches, loops, and reductions that are broadcast again."""
    known = [x, y, x * scale, y.sum(axis=0), x[1:2], np.float64(0.5) * y]
    for kind, which, i, j in program:
        a, b = known[i], known[j]
        if kind == 0:
            new = UNARY[which](0.3 * a)
        elif kind == 1 and np.shape(a) == np.shape(b) == (3, 4):
            new = BINARY[which % len(BINARY)](0.5 * a, b)
        elif kind == 2:
            new = a + 1.0 if np.sum(b) > 0 else a - b.mean()
        elif kind == 3:
            new = a
            for _ in range(int(np.ceil(np.abs(b).max())) % 3):
                new = new * 0.5 - b[..., :1]
        else:
            new = a - a.mean(axis=-1, keepdims=True) + b.max()
        known[which % len(known)] = np.tanh(new)
    return sum(np.sum(k) for k in known), known[-1]


@settings(max_examples=20, deadline=None)
@given(steps, st.integers(0, 1 << 30))
def test_random_programs(program, seed):
    rng = np.random.default_rng(seed)
    calls = [(rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), 0.5 + k) for k in range(3)]
    plain, gradient = (lambda x, y, s: run(program, x, y, s)), grad(lambda x, y, s: run(program, x, y, s)[0], (0, 1))
    for f in (plain, gradient):
        jitted = jit(f)
        for call in (*calls, *calls):
            assert_same(jitted(*call), f(*call), rtol=1e-9)
        assert counts(jitted)[1] >= len(calls)


# -- kinds of arguments ---------------------------------------------------------------------------------
def test_shapes_dtypes_and_layouts_are_kinds_of_their_own():
    x = normal(4, 6)
    calls = [(x,), (x[:3],), (x.astype(np.float32),), (np.asfortranarray(x),), (x[:, ::2],), (x > 0,), (x + 1j,)]
    jitted = check(lambda x: x.reshape(-1)[1:] * 2 + x.sum(), *calls)
    assert counts(jitted) == (7, 7)


class Pair(NamedTuple):
    left: object
    right: object


@dataclass
class Layer:
    w: object
    name: str = "layer"


def test_containers():
    def f(p, layer):
        y = np.tanh(layer.w @ p["a"][0]) + p["b"].left
        return {"y": y, "pair": Pair(y.sum(), [p["n"], None]), "layer": Layer(2 * layer.w, layer.name)}

    calls = [
        ({"a": [normal(3)], "b": Pair(normal(2), 1), "n": n}, Layer(normal(2, 3), name))
        for n in (1, 2)
        for name in ("one", "two")
    ]
    check(f, *calls, records=4)


def test_numbers_keep_no_dtype_of_their_own():
    x = normal(3).astype(np.float32)

    def f(x, rate):
        return x * rate, x - (1 - rate) ** 2 / 3, rate * 2, np.exp(-rate) * x

    check(f, (x, 0.1), (x, 0.7), records=1)
    check(grad(lambda rate, x: np.sum(x * rate * rate)), (0.5, x), (0.1, x), records=1)


def test_whole_numbers_that_keep_changing_become_inputs():
    x = normal(6)

    def adam(x, t, n):
        x = x - (1 - 0.9**t) * x / (t + 1) * (t % 3)
        return np.sqrt(abs(x) / np.sqrt(1 - 0.99**t)), x[:n], x[n], sum(x[i] for i in range(n)), t // 2

    jitted = check(adam, *[(x, t, 2) for t in range(1, 12)], (x, 3, 1), (x, 3, 4))
    assert counts(jitted)[0] <= 8


def test_computed_slices():
    def f(x):
        n = np.argmax(x)
        y = x * 2
        y[: n + 1] = 0.0
        return x[:n], np.sum(x[n:] * x[n]), y

    calls = [(np.roll(np.array([1.0, 5.0, 2.0, 3.0]), k),) for k in (0, 1, 2, 0)]
    check(f, *calls)
    check(grad(lambda x: f(x)[1] + np.sum(f(x)[2] ** 2)), *calls)


def test_keywords_and_static_arguments():
    def f(x, n=2, *, mode="sum", scale=1.0):
        for _ in range(n):
            x = x * scale
        return getattr(np, mode)(x)

    jitted = jit(f, static_argnames="mode")
    x = normal(5)
    for n, mode, scale in [(2, "sum", 0.5), (3, "mean", 0.5), (2, "sum", 2.0)]:
        assert_same(jitted(x, n, mode=mode, scale=scale), f(x, n, mode=mode, scale=scale))
    assert counts(jitted) == (2, 1)
    power = jit(lambda x, e: x**e, static_argnums=1)
    assert_same(power(x, 2.0), x**2.0)
    assert_same(power(x, 3.0), x * x * x)
    assert counts(power) == (2, 0)
    with pytest.raises(TypeError, match="must be hashable"):
        power(x, [1])


def test_it_is_a_decorator_and_keeps_the_name():
    @jit
    def shrink(x):
        """Half of it."""
        return x / 2

    assert shrink.__name__ == "shrink" and shrink.__doc__ == "Half of it."
    with pytest.raises(TypeError, match=r"jit: static_argnums holds what isn't of type int: \('x',\)"):
        jit(np.sin, static_argnums="x")
    with pytest.raises(TypeError, match=r"jit: static_argnames holds what isn't of type str: \(0,\)"):
        jit(np.sin, static_argnames=(0,))
    with pytest.raises(TypeError, match="expected a function"):
        jit(3)


# -- transformations ------------------------------------------------------------------------------------
def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)


def test_inside_and_outside_of_other_transformations():
    w, x, v = normal(3), normal(5, 3), normal(3)
    calls = [(w, x), (2 * w, x)]
    check(hessian(loss), *calls)
    check(jacobian(lambda w, x: np.tanh(x @ w)), *calls)
    check(vmap(grad(lambda w, x: np.sum((x * w) ** 2)), in_axes=(None, 0)), *calls)
    check(lambda w, x: jvp(grad(loss), (w, x), (v, x)), *calls)
    check(lambda w, x: vjp(lambda w: np.tanh(x @ w), w)[1](np.ones(5)), *calls)
    check(lambda w, x: jit(grad(jit(loss)))(w, x) * 2, *calls)
    jitted = jit(loss)
    assert_same(grad(jitted)(w, x), grad(loss)(w, x))
    assert_same(vmap(jitted, in_axes=(0, None))(normal(2, 3), x).shape, (2,))
    assert_same(jvp(jitted, (w, x), (v, x)), jvp(loss, (w, x), (v, x)))
    assert_same(grad(lambda w: jit(lambda x: np.sum(x @ w))(x))(w), x.sum(axis=0))


def test_checkpoints_and_rules_of_ones_own():
    @gpuad.custom_vjp
    def clipped(x):
        return x * 1.0

    clipped.defvjp(lambda x: (clipped(x), x), lambda x, g: (np.clip(g, -0.1, 0.1),))
    calls = [(normal(3),), (normal(3),)]
    check(grad(lambda x: np.sum(clipped(x) ** 2)), *calls)
    check(grad(lambda x: np.sum(gpuad.checkpoint(lambda x: np.sin(x) * x)(x))), *calls)


# -- guards ---------------------------------------------------------------------------------------------
def test_branches_and_loops():
    def f(x):
        n = 0
        while np.abs(x).max() > 0.1:
            x, n = x * (0.5 if x.sum() > 0 else 0.7), n + 1
        if x[0] > 0 and n % 2:
            return {"x": x[:1], "n": n}
        return {"x": x, "n": n, "more": x @ x}

    x = normal(4)
    check(f, *[(x * s,) for s in (1, -1, 10, 0.01, 3, 1)])


def test_loops_to_convergence_share_what_they_do():
    def root(a):
        x = a
        while abs(x * x - a) > 1e-12 * a:
            x = 0.5 * (x + a / x)
        return x

    jitted = check(root, *[(np.float64(a),) for a in (2.0, 3.0, 100.0, 1e6, 2.5, 50.0)])
    (recording,) = next(iter(jitted.recordings.known.values()))
    stretches = recording.tree.nodes()
    assert len(stretches) <= 2 * 20 + 6  # one chain, with an end for every length


def test_indices_counts_and_lengths():
    table = normal(6, 2)

    def f(x):
        best = np.argmax(x)
        return table[best] * x[best], x[x > 0].sum(), np.zeros(int(x[0] > 0) + 1) + x[:1], list(range(np.sum(x > 0)))

    check(f, *[(normal(6),) for _ in range(4)])


def test_python_numbers_texts_and_printing(capsys):
    def f(x):
        level = float(np.floor(x.max()))
        print(f"{level:.1f}", x.item() if x.size == 1 else x.sum() > 0)
        return x * level, str(level)

    check(f, (np.array([1.5, 1.2]),), (np.array([1.75, 1.0]),), (np.array([2.75, 1.0]),))


def test_a_number_that_is_always_another_ends_in_plain_calls():
    def f(x):
        return x * float(x.sum())

    jitted = jit(f)
    with pytest.warns(RuntimeWarning, match=r"jit: f is called as it is.*became a Python number.*test_jit.py, line"):
        for k in range(12):
            assert_same(jitted(np.full(3, 1.0 + k)), f(np.full(3, 1.0 + k)))
    assert all(type(known) is str for known in jitted.recordings.known.values())


def test_the_way_not_gone_for_longest_is_forgotten(monkeypatch):
    import gpuad.graph.tree

    monkeypatch.setattr(gpuad.graph.tree, "WAYS", 4)
    f = jit(lambda x: x * int(x[0]))
    for n in (1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 1, 6):
        assert_same(f(np.array([n + 0.5])), np.array([n * (n + 0.5)]))
    (recording,) = next(iter(f.recordings.known.values()))
    assert sum(not node.children for node in recording.tree.nodes()) == 4
    assert counts(f) == (7, 5)


def test_what_is_always_new_is_called_as_it_is(monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["gpuad.transforms.jit"], "_PATIENCE", 5)
    f = jit(lambda x, n: x * n)
    with pytest.warns(RuntimeWarning, match="at almost every call something is new"):
        for n in range(8):
            assert_same(f(np.ones(2), n), np.full(2, float(n)))
    assert counts(f)[0] == 6


# -- what is around the function --------------------------------------------------------------------------
weights = normal(3)
rate = 0.5
layers = {"w": normal(3, 3), "more": [normal(3), 2.0]}


def model(x):
    return np.tanh(layers["w"] @ x + layers["more"][0]) * layers["more"][1]


def with_globals(x):
    return np.sum(model(x) * weights * 2) * rate


def test_variables_of_the_module():
    global weights, rate
    f, x = jit(grad(with_globals)), normal(3)

    def same():
        for _ in range(2):
            assert_same(f(x), grad(with_globals)(x))

    same()
    weights *= 2  # in place
    same()
    weights = normal(3)
    same()
    layers["more"][0] = normal(3)
    same()
    assert counts(f) == (1, 7)
    rate = 0.25
    same()
    layers["more"][1] = 3.0
    same()
    layers["w"] = layers["w"].astype(np.float32)
    same()
    assert counts(f)[0] == 4


def test_variables_of_enclosing_functions_and_defaults():
    w, scale = normal(3), 2.0

    def helper(x, b=normal(3)):  # noqa: B008
        return x * w + b

    def f(x):
        return helper(x) * scale + np.sum(w * 3)

    jitted, x = jit(f), normal(3)
    for _ in range(2):
        assert_same(jitted(x), f(x))
        w[0] += 1
        assert_same(jitted(x), f(x))
        w = w * 2
        assert_same(jitted(x), f(x))
    helper.__defaults__[0][:] = 1.0
    assert_same(jitted(x), f(x))
    assert counts(jitted)[0] == 1
    scale = 3.0
    assert_same(jitted(x), f(x))
    helper = lambda x: x - 1  # noqa: E731
    assert_same(jitted(x), f(x))
    assert counts(jitted)[0] == 3


def test_one_array_under_two_names_that_part():
    a = normal(3)
    b = a

    def f(x):
        return x * a + b

    jitted, x = jit(f), normal(3)
    assert_same(jitted(x), f(x))
    b = normal(3)
    assert_same(jitted(x), f(x))
    assert_same(jitted(x), f(x))


class Model:
    factor = 2.0

    def __init__(self):
        self.w = normal(3)
        self.names = deque(["a"])

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        return x * self.w * self.factor + len(self.names)


@pytest.mark.parametrize("of", [lambda m: m.forward, lambda m: m, lambda m: lambda x: m.forward(x), None])
def test_objects(of):
    m, x = Model(), normal(3)
    call = jit(of(m) if of else lambda m, x: m.forward(x))
    jitted = call if of else lambda x: call(m, x)

    def same():
        for _ in range(2):
            assert_same(jitted(x), m.forward(x))

    same()
    m.w[0] = 5.0
    same()
    m.w = normal(3)
    same()
    m.factor = 3.0
    same()
    m.names.append("b")
    same()


def test_a_method_under_jit():
    class Scaled:
        def __init__(self, by):
            self.by = by

        @jit
        def apply(self, x):
            return x * self.by

    for s in (Scaled(2.0), Scaled(3.0)):
        assert_same(s.apply(np.ones(2)), np.full(2, s.by))
        assert_same(s.apply(np.ones(2)), np.full(2, s.by))


@functools.cache
def grid(n):
    return np.linspace(0, 1, n)


@functools.lru_cache(maxsize=2)
def grids(n):
    return [np.linspace(0, 1, n), {"more": np.arange(n) * 1.0}]


def test_arrays_that_a_cache_keeps():
    def f(x):
        return x * grid(3) + grids(3)[0] - grids(3)[1]["more"]

    jitted = check(f, (normal(3),), (normal(3),), records=1)
    grid(3)[0] = 7.0
    assert_same(jitted(np.ones(3)), f(np.ones(3)))
    assert_same(jitted(np.ones(3)), f(np.ones(3)))


def test_an_array_that_is_kept_where_nobody_looks():
    kept = itertools.repeat(np.ones(3))
    jitted = jit(lambda x: x * next(kept))
    with pytest.warns(RuntimeWarning, match="kept where jit doesn't find it"):
        assert_same(jitted(np.ones(3)), np.ones(3))
    next(kept)[:] = 2.0
    assert_same(jitted(np.ones(3)), np.full(3, 2.0))


def test_counts_of_numbers_that_are_inputs():
    places = np.array([0, 2, 2, 5])
    others = places[::-1].copy(), places // 2, places[:0]
    check(lambda x: (np.bincount(x), np.bincount(x, minlength=9) * 0.5), (places,), *[(x,) for x in others])
    check(lambda x, w: np.bincount(x, w * 2, 3), (places, np.ones(4)), (places, -np.ones(4)), (places * 0, np.ones(4)))
    check(lambda w: np.bincount(places, w) / (1 + np.bincount(places)), (np.ones(4),), (-np.ones(4),))
    with pytest.raises(ValueError, match="negative"):
        jit(np.bincount)(-places)


# -- faithful or plain ------------------------------------------------------------------------------------
def test_random_numbers_arent_frozen():
    holder = types.SimpleNamespace(rng=np.random.default_rng(0))
    for f in (
        lambda x: x + np.random.normal(size=3),
        lambda x: x + holder.rng.normal(size=3),
        lambda x: x * gnp.random.rand(3),
    ):
        jitted = jit(f)
        with pytest.warns(RuntimeWarning, match="draws random numbers"):
            first = jitted(np.zeros(3) + 1)
        assert not np.array_equal(first, jitted(np.zeros(3) + 1))


def test_random_numbers_without_a_seed_are_noticed_at_the_second_call():
    f = jit(lambda x: x + np.random.default_rng().normal(size=3))
    x = np.zeros(3)
    seen = [f(x)]
    with pytest.warns(RuntimeWarning, match="can't be seen in its arguments"):
        seen.append(f(x))
    seen += [f(x), f(x)]
    assert len({s.tobytes() for s in seen}) == 4
    check(lambda x: x + np.random.default_rng(7).normal(size=3), (x,), (x + 1,), (x + 2,))


def test_effects_on_what_is_around_go_on():
    count, seen, state = [0], [], {"m": np.zeros(3)}

    def counting(x):
        count[0] += 1
        return x * 2

    def appending(x):
        seen.append(x * 2)
        return x

    def keeping(x):
        state["m"] = 0.9 * state["m"] + x
        return state["m"] * 2

    x = np.ones(3)
    for f, says in ((counting, "changes the variable 'count'"), (appending, "'seen'"), (keeping, "changes")):
        jitted = jit(f)
        with pytest.warns(RuntimeWarning, match=says):
            jitted(x)
        jitted(x)
        jitted(x)
    assert count == [3]
    assert [type(s) for s in seen] == [np.ndarray] * 3
    np.testing.assert_allclose(state["m"], (1 + 0.9 + 0.81) * x)


def test_outer_variables_that_are_assigned_to():
    total = 0

    def f(x):
        nonlocal total
        total += 1
        return x

    with pytest.warns(RuntimeWarning, match="assigns to the variable 'total'"):
        jit(f)(np.ones(2))
    assert total == 1


def test_writing_into_an_argument():
    def f(x):
        x[0] = 7.0
        return x * 2

    jitted = jit(f)
    for k in range(3):
        x = normal(3)
        if k:
            y = jitted(x)
        else:
            with pytest.warns(RuntimeWarning, match=r"writes into an array that it was given.*line \d+, in f"):
                y = jitted(x)
        assert x[0] == 7.0 and y[0] == 14.0


def test_writing_into_a_part_chosen_by_a_computed_number():
    def f(x):
        y = x * 2
        row = y[np.argmax(y[:, 0])]
        row[:] = 0.0
        return y

    jitted, x = jit(f), normal(3, 2)
    with pytest.warns(RuntimeWarning, match="chosen by a number"):
        assert_same(jitted(x), f(x))
    assert_same(jitted(-x), f(-x))


def test_writing_into_what_it_made():
    def f(x):
        out = gnp.zeros(6)
        view = out[::2]
        view[:] = x
        out[1] = x[0] * view[2]
        x = x.copy()
        x += 1
        x[x > 1.5] = 0.0
        return out * 2, x

    check(f, (normal(3),), (normal(3),))
    check(grad(lambda x: np.sum(f(x)[0] ** 2)), (normal(3),), (normal(3),))


def test_errors_pass_and_nothing_is_kept():
    def f(x):
        if x[0] > 0:
            raise KeyError("no")
        return np.linalg.inv(x * np.ones((1, 1)))

    jitted = jit(f)
    with pytest.raises(KeyError, match="no"):
        jitted(np.ones(1))
    assert not jitted.recordings.known
    assert_same(jitted(-np.ones(1)), f(-np.ones(1)))
    assert_same(jitted(-np.ones(1)), f(-np.ones(1)))
    with pytest.raises(KeyError):
        jitted(np.ones(1))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        jitted(np.zeros(1))
    assert any("np.linalg.inv" in str(entry) for entry in caught.traceback)  # it comes from the program
    assert counts(jitted)[1] == 1


@pytest.mark.unfused
def test_warnings_and_error_states_are_numpys():
    def f(x):
        with np.errstate(divide="ignore"):
            y = np.log(x)
        return y, 1 / x

    jitted = jit(f)
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="divide by zero encountered in divide") as seen:
            jitted(np.zeros(2))
        assert len(seen) == 1
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide"):
            jitted(np.zeros(2))


def test_objects_that_are_returned():
    f = jit(lambda x: lambda y: x * y)
    with pytest.warns(RuntimeWarning, match="returns an object of type function"):
        assert_same(f(np.ones(2))(2.0), np.full(2, 2.0))
    assert_same(f(np.ones(2))(3.0), np.full(2, 3.0))


def test_masked_arrays_and_objects_are_left_alone():
    f = jit(lambda x: x * x)
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    assert f(masked).mask.tolist() == [True, False]
    assert f(np.array([2, "a"][:1], dtype=object))[0] == 4
    assert counts(f) == (0, 0)


def test_switched_off(monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["gpuad.transforms.jit"], "_enabled", False)
    f = jit(lambda x: x * 2)
    assert_same(f(np.ones(2)), np.full(2, 2.0))
    assert counts(f) == (0, 0)


def test_nothing_is_given_out_twice():
    x, big = normal(40, 40), normal(3000)

    def f(x, big):
        y = np.tanh(x)
        z = big * 2
        return x, x.T, y, y, y[1:], z, z + 1, z[::-1], np.broadcast_to(z[:1], (4,)), big

    jitted = jit(f)
    held = [jitted(x, big) for _ in range(3)]
    arrays = [a for result in held for a in result] + [x, big]
    for i, a in enumerate(arrays):
        assert not any(np.may_share_memory(a, b) for b in arrays[i + 1 :])
        assert a.flags.writeable
    assert_same(held[2], f(x, big))
    for a in held[2]:
        a[...] = np.nan
    assert_same(jitted(x, big), f(x, big))


def test_threads():
    def f(x):
        for _ in range(20):
            x = np.sin(x) * 2 + x[::-1]
            if x.sum() > 0:
                x = x - 1
        return x

    jitted = jit(f)
    inputs = [np.linspace(-k, k + 1, 2000) for k in range(8)]
    wrong = []

    def work(k):
        for _ in range(10):
            if not np.allclose(jitted(inputs[k]), f(inputs[k]), rtol=1e-12):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert counts(jitted)[1]


def test_a_function_that_calls_itself_and_others_under_jit():
    @jit
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    x = normal(3)
    for n in (1, 3, 5, 3):
        assert_same(power(x, n), x**n)


def on_backend(backend):
    """Programs with branches, closures, writes and products, on arrays of a backend."""
    w, around = (backend.asarray(normal(3, 3)) for _ in range(2))

    def smooth(x):
        y = np.tanh(x @ w) * 2 + x.sum(axis=0)
        return np.sum(y * y * around[0])

    def forked(x):
        x = x * 2 if gnp.sum(x) > 0 else x - around[1]
        return gnp.concatenate([x[1:], x[:1] ** 3]), gnp.max(x, axis=1)

    def written(x):
        out = gnp.zeros_like(x)
        out[1:] = x[:-1] * w[0]
        out[0] = 1.0
        return gnp.where(out > 0.5, out, x), gnp.roll(out, 1, axis=0)

    return value_and_grad(smooth), forked, written


@pytest.mark.parametrize("which", [0, 1, 2])
def test_other_backends(backend, which):
    f = on_backend(backend)[which]
    x, jitted = backend.asarray(normal(5, 3)), jit(f)
    with gpuad.use(backend.name):
        for call in (x, x + 1, -x, x):
            got, want = jitted(call), f(call)
            for a, b in zip(got, want, strict=True):
                assert type(a) is type(b)
                np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=1e-12)
    assert counts(jitted)[1] >= 2

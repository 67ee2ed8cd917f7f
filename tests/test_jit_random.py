"""jit: random generators as inputs. Numbers, and the generator's state, are the plain program's at every call."""

from __future__ import annotations

import copy
import pickle
import types
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuad.numpy as gnp
from gpuad import grad, jacobian, jit, value_and_grad, vmap
from gpuad.core.pytree import leaves
from gpuad.errors import UnsupportedError

X = np.arange(1.0, 7.0).reshape(3, 2) / 4


def state(g):
    """What comes next, as something to compare."""
    return pickle.dumps(g.bit_generator if isinstance(g, np.random.Generator) else g.get_state())


def assert_same(a, b):
    a, b = list(leaves(a)), list(leaves(b))
    assert [path for path, _ in a] == [path for path, _ in b]
    for (_, x), (_, y) in zip(a, b, strict=True):
        if isinstance(x, str):
            assert x == y
        elif isinstance(x, (np.random.Generator, np.random.RandomState)):
            assert type(x) is type(y) and state(x) == state(y)
        else:
            assert type(x) is type(y)
            np.testing.assert_allclose(x, y, rtol=1e-13)


def check(f, *args, make=np.random.default_rng, calls=12, replays=1, warns=None):
    """``f(rng, *args)`` plain and jitted; the recorder replays at least ``replays`` calls, and warns if so told."""
    plain, ours, jitted = make(7), make(7), jit(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(calls):
            assert_same(jitted(ours, *args), f(plain, *args))
            assert state(ours) == state(plain)
    told = [str(w.message) for w in caught if "gpuad.jit" in str(w.message)]
    assert len(told) == (warns is not None) and (warns is None or warns in told[0]), told
    assert jitted.recordings.replayed >= replays if warns is None else not jitted.recordings.replayed
    return jitted


DRAWN = {
    "normal": lambda g, x: g.normal(size=3),
    "one number": lambda g, x: x * g.normal(),
    "scaled": lambda g, x: g.normal(loc=1.0, scale=x),
    "by position": lambda g, x: g.uniform(0.0, x, x.shape),
    "uniform": lambda g, x: g.uniform(-x, x) + g.uniform(),
    "standard_normal": lambda g, x: x + g.standard_normal(x.shape),
    "exponential": lambda g, x: g.exponential(x).sum(),
    "gamma": lambda g, x: g.gamma(x + 1, size=(4, 3, 2)),
    "beta": lambda g, x: g.beta(x, 2 * x),
    "binomial": lambda g, x: g.binomial(10, x / 4),
    "poisson": lambda g, x: g.poisson(lam=x),
    "several": lambda g, x: (g.normal(size=2), x, g.uniform(size=2), g.normal(size=2)),
    "unused": lambda g, x: (g.normal(size=2), g.uniform(size=2), g.normal(size=2))[1],
    "equal draws": lambda g, x: g.normal(size=2) + g.normal(size=2),
    "permutation of a number": lambda g, x: x[g.permutation(3)],
    "permutation of a list": lambda g, x: g.permutation([1, 2, 3, 4]),
    "choice": lambda g, x: x[g.choice(3, size=5), 0],
    "choice by chance": lambda g, x: g.choice(3, size=4, p=x[:, 0] / x[:, 0].sum()),
    "choice by a list": lambda g, x: g.choice(3, size=4, p=[0.25, 0.5, 0.25]),
    "multivariate": lambda g, x: g.multivariate_normal(x[0], np.eye(2), size=3),
    "dirichlet": lambda g, x: g.dirichlet(x[:, 0]),
    "shuffled": lambda g, x: shuffled(g, x * 1.0),
    "a loop": lambda g, x: sum(g.normal(0.1 * i, size=2) for i in range(8)),
    "helper": lambda g, x: noisy(x, g) + noisy(2 * x, rng=g),
    "branch": lambda g, x: x * g.normal() if g.random() < 0.5 else x + g.normal(size=2),
    "branch after draws": lambda g, x: x + noisy(x, g) if np.sum(g.normal(x)) > 5 else x - 1,
    "a loop by chance": lambda g, x: by_chance(g, x),
}
OF_GENERATORS = {
    "integers": lambda g, x: x[g.integers(0, 3, size=4)],
    "one integer": lambda g, x: x[g.integers(3)] * 2,
    "float32": lambda g, x: g.random((2, 3), dtype=np.float32),
    "permutation": lambda g, x: g.permutation(x, 0),
    "choice of rows": lambda g, x: g.choice(x, 2, replace=False),
    "permuted": lambda g, x: g.permuted(x, axis=1),
    "spawn": lambda g, x: [child.normal(size=2) * x[0] for child in g.spawn(2)],
    "spawn and more": lambda g, x: x * g.normal() + g.spawn(1)[0].normal() + g.spawn(1)[0].normal(),
    "spawn before a branch": lambda g, x: (g.spawn(3)[2].random() < 0.5 and x * 2) + g.spawn(1)[0].normal(),
    "returned": lambda g, x: (g, x * g.normal()),
    "children returned": lambda g, x: g.spawn(2),
    "default_rng of it": lambda g, x: np.random.default_rng(g).normal(size=3) * x[0, 0],
}  # fmt: skip
OF_STATES = {
    "permutation": lambda g, x: g.permutation(x),
    "choice of entries": lambda g, x: g.choice(x[:, 0], 2, replace=False),
    "rand": lambda g, x: g.rand(3, 2) * x + g.rand(),
    "randn": lambda g, x: g.randn(3, 1) + g.randn(),
    "randint": lambda g, x: x[g.randint(0, 3, size=4)],
    "random_sample": lambda g, x: g.random_sample((3, 2)) + g.random_sample(),
}


def shuffled(g, x):
    g.shuffle(x)
    return x


def noisy(x, rng):
    return x + 0.1 * rng.standard_normal(x.shape)


def by_chance(g, x):
    n = 0
    while g.random() < 0.4:
        x, n = x * g.uniform(1, 2), n + 1
    return x, n


@pytest.mark.parametrize("name", [*DRAWN, *OF_GENERATORS])
def test_generator(name):
    check((DRAWN | OF_GENERATORS)[name], X, calls=24)


@pytest.mark.parametrize("name", [*DRAWN, *OF_STATES])
def test_random_state(name):
    check((DRAWN | OF_STATES)[name], X, make=np.random.RandomState)


@pytest.mark.parametrize("name", DRAWN)
def test_in_c(name, monkeypatch):
    """With C between the draws, where there is a compiler."""
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "c")

    def f(g, x):
        y = np.tanh(x) * 2 + np.sin(x) / 3
        drawn = DRAWN[name](g, y)
        return drawn, np.exp(-y) * g.normal(y) + y * g.normal(size=2)

    check(f, X)


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_other_bits(bits):
    def f(g, x):
        return x * g.random(dtype=np.float32) + g.integers(0, 9, dtype=np.int32) if g.normal() > 0 else g.spawn(2)

    check(f, X, make=lambda seed: np.random.Generator(bits(seed)))


_DRAWS = ("normal", "random", "integers", "shuffle", "spawn", "normal of", "ask", "choice", "standard_exponential")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_DRAWS), st.integers(0, 3)), min_size=1, max_size=9), st.integers(0, 1000))
def test_any_order(program, seed):
    def f(gs, x):
        gs = list(gs)
        for what, k in program:
            g = gs[k % len(gs)]
            if what == "spawn":
                gs += g.spawn(1)
            elif what == "ask":
                x = x * 2 if g.random() < 0.5 else x - g.normal(size=3)
            elif what == "normal of":
                x = x + g.normal(x, 0.5)
            elif what == "shuffle":
                x = x * 1
                g.shuffle(x)
            elif what == "integers":
                x = x[g.integers(0, 3, size=3)]
            elif what == "choice":
                x = g.choice(x, 3)
            else:
                x = x + getattr(g, what)(size=3)
        return x

    both = [[np.random.default_rng(seed + i) for i in range(2)] for _ in range(2)]
    jitted = jit(f)
    for _ in range(6):
        x = np.arange(3.0)
        assert_same(jitted(both[0], x), f(both[1], x))
        assert list(map(state, both[0])) == list(map(state, both[1]))


# -- where a generator comes from --------------------------------------------------------------------------
def test_another_generator_at_every_call():
    f = jit(lambda g, x: x * g.normal(size=2))
    for seed in range(5):
        assert_same(f(np.random.default_rng(seed), X), X * np.random.default_rng(seed).normal(size=2))
    assert f.recordings.recorded == 1


def test_in_containers_and_by_keyword():
    def f(parts, *, more):
        return parts["rng"].normal(size=2) * parts["w"], more[0].normal(), more[1].normal()

    plain, ours = ([np.random.default_rng(i) for i in range(3)] for _ in range(2))
    jitted = jit(f)
    for _ in range(4):
        got = jitted({"rng": ours[0], "w": X}, more=[ours[1], ours[2]])
        assert_same(got, f({"rng": plain[0], "w": X}, more=[plain[1], plain[2]]))
    assert jitted.recordings.recorded == 1


def test_one_generator_twice():
    f = jit(lambda a, b: (a.normal(), b.normal(), a.normal(), a is b))
    for _ in range(3):
        for same in (True, False):
            plain, ours = ([np.random.default_rng(1), np.random.default_rng(2)] for _ in range(2))
            if same:
                plain[1], ours[1] = plain[0], ours[0]
            assert_same(f(*ours), (plain[0].normal(), plain[1].normal(), plain[0].normal(), same))
    assert f.recordings.recorded == 2


def test_two_generators_on_the_same_bits():
    def f(g, h):
        return g.normal(), h.normal(), g.random(dtype=np.float32), h.random(dtype=np.float32)

    def two():
        g = np.random.default_rng(1)
        return g, np.random.Generator(g.bit_generator)

    plain, ours, jitted = two(), two(), jit(f)
    for _ in range(4):
        assert_same(jitted(*ours), f(*plain))
    assert jitted.recordings.replayed == 3 - 1  # the word random asks for a second recording


GENERATOR = np.random.default_rng(3)


def test_in_variables(monkeypatch):
    inner = np.random.default_rng(4)

    def helper(x, rng=np.random.default_rng(5)):  # noqa: B008
        return x * rng.normal() + GENERATOR.normal()

    def f(x):
        return helper(x) + inner.normal(size=2) if inner.random() < 0.5 else helper(x)

    generators = inner, GENERATOR, helper.__defaults__[0]
    plain, ours = ([copy.deepcopy(g.bit_generator.state) for g in generators] for _ in range(2))
    jitted = jit(f)
    for _ in range(8):
        found = []
        for states, call in ((plain, f), (ours, jitted)):
            for g, s in zip(generators, states, strict=True):
                g.bit_generator.state = s
            found.append(call(X))
            states[:] = [g.bit_generator.state for g in generators]
        assert_same(*found)
        assert plain == ours
    assert jitted.recordings.replayed >= 4
    inner = np.random.default_rng(8)  # another one there is an input as well
    before = jitted.recordings.recorded
    GENERATOR.bit_generator.state, helper.__defaults__[0].bit_generator.state = plain[1:]
    found = jitted(X)
    inner = np.random.default_rng(8)
    GENERATOR.bit_generator.state, helper.__defaults__[0].bit_generator.state = plain[1:]
    assert_same(found, f(X))
    assert jitted.recordings.recorded == before


# -- with other transformations ----------------------------------------------------------------------------
def dropout_loss(w, x, rng):
    h = np.tanh(x @ w)
    kept = rng.random(h.shape) < 0.75
    return np.mean((np.where(kept, h / 0.75, 0.0) + 0.1 * rng.normal(size=h.shape)) ** 2)


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacobian])
def test_dropout_in_a_training_step(transform):
    def step(rng, w):
        found = transform(dropout_loss)(w, X, rng)
        return w - 0.1 * (found[1] if type(found) is tuple else found)

    check(step, np.ones((2, 4)) / 3)


def test_minibatches():
    def epoch(rng, w, x, y):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 4):
            batch = order[i : i + 4]
            w = w - 0.1 * grad(lambda w, b=batch: np.mean((x[b] @ w - y[b]) ** 2))(w)
        return w

    check(epoch, np.zeros(2), np.arange(24.0).reshape(12, 2) / 24, np.arange(12.0))


def hmc(rng, q):
    """Two steps of a Hamiltonian sampler, which takes or leaves what it proposes."""

    def energy(q):
        return np.sum(q**4 / 4 - q**2 / 2) + 0.1 * q[0] * q[1]

    taken = 0
    for _ in range(2):
        p = rng.standard_normal(q.shape)
        x, before = q, energy(q) + np.sum(p**2) / 2
        p = p - 0.3 * grad(energy)(x)
        for i in range(3):
            x = x + 0.6 * p
            p = p - (0.6 if i < 2 else 0.3) * grad(energy)(x)
        if np.log(rng.uniform()) < before - energy(x) - np.sum(p**2) / 2:
            q, taken = x, taken + 1
    return q, taken


def particles(rng, y):
    """The likelihood of a state space model by particles that are drawn again, by their weights, at every step."""
    x, total = rng.normal(size=32), 0.0
    for t in range(len(y)):
        x = 0.7 * x + 0.5 * rng.normal(size=32)
        w = np.exp(-0.5 * (y[t] - x) ** 2)
        total = total + np.log(w.mean())
        at = (rng.random() + np.arange(32)) / 32
        x = x[np.searchsorted(np.cumsum(w / w.sum()), at).clip(0, 31)]
    return total, x


def ising(rng, s):
    """Metropolis on a torus, one site after the other."""
    for i in rng.integers(0, 16, size=3):
        r, c = i // 4, i % 4
        around = s[(r + 1) % 4, c] + s[r - 1, c] + s[r, (c + 1) % 4] + s[r, c - 1]
        flip = rng.random() < np.exp(-0.8 * s[r, c] * around)
        s = np.where((np.arange(16).reshape(4, 4) == i) & flip, -s, s)
    return s


@pytest.mark.parametrize(
    ("f", "x"),
    [(hmc, X[0]), (particles, np.cos(np.arange(5.0))), (ising, np.sign(np.sin(np.arange(16.0)).reshape(4, 4)))],
)
def test_samplers(f, x):
    check(f, x, replays=5)


def test_under_other_transformations():
    f = jit(lambda w, rng: np.sum(w**2 * rng.normal(size=2)))
    for transform in (grad, jacobian):
        assert_same(transform(f)(X[0], np.random.default_rng(1)), 2 * X[0] * np.random.default_rng(1).normal(size=2))
    together = jit(lambda rng, x: vmap(lambda row: row * rng.normal(size=2))(x))
    for seed in range(3):  # the same for all examples
        assert_same(together(np.random.default_rng(seed), X), X * np.random.default_rng(seed).normal(size=2))


def test_nested():
    inner = jit(lambda rng, x: x * rng.normal(size=2))
    check(lambda rng, x: inner(rng, x) + rng.normal() + inner(rng, x), X)


def test_traced_parameters_under_a_derivative_are_refused_as_without_jit():
    def f(rng, w):
        return grad(lambda w: np.sum(rng.normal(w)))(w)

    with pytest.raises(UnsupportedError, match="stop_gradient") as plain:
        f(np.random.default_rng(0), X)
    with pytest.raises(UnsupportedError) as ours:
        jit(f)(np.random.default_rng(0), X)
    assert str(plain.value) == str(ours.value)


# -- what goes wrong ---------------------------------------------------------------------------------------
def test_errors_in_a_replay():
    def f(rng, scale):
        first = rng.normal(size=2)
        try:
            return first + rng.normal(0.0, scale), "drawn"
        except ValueError:
            return first * 2 + rng.normal(), "refused"

    plain, ours, jitted = np.random.default_rng(1), np.random.default_rng(1), jit(f)
    for scale in (np.ones(2), 2 * np.ones(2), -np.ones(2), np.ones(2), -np.ones(2)):
        assert_same(jitted(ours, scale), f(plain, scale))
        assert state(ours) == state(plain)


def test_an_error_that_the_program_raises():
    def f(rng, x):
        y = x + rng.normal(size=2)
        if y.sum() > 0:
            raise ValueError("too much")
        return y

    plain, ours, jitted = np.random.default_rng(1), np.random.default_rng(1), jit(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for offset in (-9.0, -9.0, 9.0, -9.0):
            for rng, call in ((plain, f), (ours, jitted)):
                try:
                    call(rng, np.full(2, offset))
                except ValueError:
                    assert offset == 9.0
            assert state(ours) == state(plain)


REFUSED = {
    "bytes": (lambda g, x: x * len(g.bytes(4)), "takes bytes"),
    "state": (lambda g, x: x * g.bit_generator.state["has_uint32"], "takes bit_generator"),
    "copied": (lambda g, x: x * copy.deepcopy(g).normal(), "copies a random generator"),
    "a list shuffled": (lambda g, x: x[shuffled(g, [0, 1, 2])], "permutation"),
    "an array shuffled": (lambda g, x: x[shuffled(g, np.arange(3))], "permutation"),
    "an argument shuffled": (lambda g, x: (g.normal(), shuffled(g, x))[1] * 0, "writes into"),
    "out": (lambda g, x: x[:2, 0] * g.random(out=np.zeros(2)), "without out="),
    "not numbers": (lambda g, x: (x, "ab"[g.choice(["a", "b"]) == "b"])[0], "isn't numbers"),
    "on the same bits": (
        lambda g, x: x * np.random.RandomState(g.bit_generator).normal() + g.normal(), "takes bit_generator"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    f, why = REFUSED[name]
    if name == "an argument shuffled":  # which is another one at every call
        check(lambda g, parts: f(g, parts["x"]), {"x": X.copy()}, warns=why)
    else:
        check(f, X, warns=why)


def test_the_generator_in_an_object_too():
    """Draws from one that is an input, and from the same one that isn't seen."""
    held = types.SimpleNamespace(rng=None)

    def f(g, x):
        return x * held.rng.normal() + g.normal()

    plain, ours, jitted = np.random.default_rng(1), np.random.default_rng(1), jit(f)
    with pytest.warns(RuntimeWarning, match="draws random numbers"):
        for _ in range(3):
            held.rng = ours
            got = jitted(ours, X)
            held.rng = plain
            assert_same(got, f(plain, X))


def test_kept_in_an_object():
    held = types.SimpleNamespace()

    def f(g, x):
        held.rng = g
        return x * g.normal()

    plain, ours = np.random.default_rng(1), np.random.default_rng(1)
    with pytest.warns(RuntimeWarning, match="changes"):
        assert_same(jit(f)(ours, X), f(plain, X))
    f(ours, X)
    assert type(held.rng) is np.random.Generator


def test_static():
    rng = np.random.default_rng(1)
    with pytest.warns(RuntimeWarning, match="draws random numbers"):
        found = jit(lambda g, x: x * g.normal(), static_argnums=0)(rng, X)
    assert_same(found, X * np.random.default_rng(1).normal())


# -- what is shown, and kept -------------------------------------------------------------------------------
def test_lowered():
    f = jit(lambda rng, x: x * rng.normal(size=2) if rng.random() < 2 else x)
    rng = np.random.default_rng(1)
    before = state(rng)
    text = str(f.lower(rng, X))
    assert "argument[0] Generator" in text and "random.normal(%0, size=2)" in text and "random.random(%0)" in text
    assert f.cost(rng, X).multiply_adds == 0
    assert state(rng) == before


def test_a_file_has_no_generators(tmp_path):
    f = jit(lambda rng, x: x * rng.normal(size=2))
    with pytest.raises(UnsupportedError, match="Generator"):
        f.save(tmp_path / "f", np.random.default_rng(0), X)
    around = np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match="Generator"):
        jit(lambda x: x * around.normal(size=2)).save(tmp_path / "f", X)


def test_written_into():
    """A draw's result is an array of the program's own."""

    def f(rng, x):
        y = rng.normal(size=(3, 2))
        y[1] += x[0]
        z = gnp.zeros(3)
        z[1:] = rng.normal(size=2)
        return y, z, rng.normal(size=2) * y

    check(f, X)


def test_sizes_that_are_traced_whole_numbers():
    jitted = jit(lambda rng, n, x: x.sum() * rng.normal(size=n) + rng.permutation(n))
    plain, ours = np.random.default_rng(1), np.random.default_rng(1)
    for n in (2, 3, 4, 5, 6, 7, 7, 3, 9):
        assert_same(jitted(ours, n, X), X.sum() * plain.normal(size=n) + plain.permutation(n))


def test_generators_of_cupys(backend):
    if backend.name != "cupy":
        pytest.skip("CuPy's own generators")
    import cupy

    rng = cupy.random.RandomState(0)
    f = jit(lambda g, x: x * g.normal(size=2))
    with pytest.warns(RuntimeWarning, match="CuPy's"):
        first = f(rng, cupy.asarray(X))
    assert not np.array_equal(cupy.asnumpy(first), cupy.asnumpy(f(rng, cupy.asarray(X))))

"""Checkpointing: the same derivatives in less memory, with as few evaluations as can be."""

from __future__ import annotations

import functools
import gc
import math
import tracemalloc

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import checkpoint, checkpoint_sequence, grad, hessian, hvp, jacobian, jvp, vjp
from gpuad.checkpointing import split
from gpuad.core.pytree import leaves
from gpuad.errors import UnsupportedError

X = np.linspace(0.1, 1.0, 4)
W = np.array([0.3, 0.5, 0.7, 0.2])


def flat(tree):
    return np.hstack([np.ravel(leaf) for _, leaf in leaves(tree)])


def same(with_all, with_less):
    for a, b in zip(with_all, with_less, strict=True):
        np.testing.assert_allclose(flat(a), flat(b), rtol=1e-11, atol=1e-12)


def everything(loss, x, v):
    return [
        grad(loss)(x),
        hessian(loss)(x),
        jvp(loss, (x,), (v,)),
        hvp(loss)(x, v),
        jvp(grad(loss), (x,), (v,)),
        grad(lambda y: np.sum(grad(loss)(y) ** 2))(x),
    ]


def plain(f):
    return f


def compare(program, x=X, v=W):
    same(everything(program(plain), x, v), everything(program(checkpoint), x, v))


# -- checkpoint --------------------------------------------------------------------------------------
def test_all_derivatives_through_a_checkpointed_function():
    compare(lambda keep: lambda x: np.sum(keep(lambda y: np.sin(np.exp(np.cos(y))))(keep(np.tanh)(x)) * W))


def test_a_function_that_reads_traced_arrays_from_around_it():
    def program(keep):
        def loss(w):
            layer = keep(lambda x: np.tanh(x * w) * np.sin(w) + w)
            return np.sum(layer(layer(X * w)))

        return loss

    compare(program)


def test_a_function_of_constants_that_reads_traced_arrays_from_around_it():
    compare(lambda keep: lambda w: np.sum(keep(lambda x: np.tanh(x * w) * np.sin(w))(X)))
    compare(lambda keep: lambda w: np.sum(keep(lambda: np.sin(w) * w)()))


def test_around_a_gradient_and_inside_it():
    def program(keep):
        def inner(w):
            return lambda x: np.sum(keep(lambda x: np.tanh(x * w) * np.sin(w * x) + w * np.cos(w))(x))

        return lambda w: np.sum(keep(lambda w: grad(inner(w))(X) * w)(w) ** 2)

    compare(program)


def test_nested_with_itself():
    def program(keep):
        def loss(w):
            def inner(x):
                return np.tanh(x * w) * np.sin(w * x)

            outer = keep(lambda x: keep(inner)(keep(inner)(x)) * w)
            return np.sum(outer(outer(X)))

        return loss

    compare(program)


def test_containers_keywords_and_writes_inside():
    def program(keep):
        def parts(p, *, scale, n):
            y = gnp.zeros(4)
            y[1:] = p["a"][:3] * scale
            y[0] += p["b"] * W[0]
            y *= 2
            y[1:3] *= y[0:2]
            return {"y": y, "n": n, "z": (p["b"] ** 2, None)}

        def loss(p):
            out = keep(parts)(p, scale=np.sin(p["b"]), n=3)
            return np.sum(out["y"] ** 2) * out["n"] + out["z"][0]

        return loss

    p, v = {"a": X, "b": np.float64(2.0)}, {"a": W, "b": 1.0}
    for operator in (lambda f: grad(f)(p), lambda f: jvp(f, (p,), (v,)), lambda f: hvp(f)(p, v)):
        same([operator(program(plain))], [operator(program(checkpoint))])


def test_what_is_written_later_doesn_t_matter():
    def program(keep):
        def loss(x):
            w = np.sin(x)
            y = keep(lambda x: x * w)(x)
            w[0] = 7.0 * x[1]
            x = x.copy()
            x[1] = 0.0
            return np.sum(y * w * x)

        return loss

    compare(program)


def test_branches_on_values_and_integers():
    def f(x, i):
        return x[i] * x if x[0] < 0.5 else x * 3.0

    compare(lambda keep: lambda x: np.sum(keep(f)(x, np.array([1, 0, 2, 2])) ** 2))


def test_it_computes_again_and_keeps_less():
    calls = []

    def f(x):
        calls.append(1)
        for _ in range(10):
            x = np.sin(x) * 1.1
        return x

    def peak(keep):
        def loss(x):
            for _ in range(5):
                x = keep(f)(x)
            return np.sum(x)

        calls.clear()
        tracemalloc.start()
        grad(loss)(np.linspace(0, 1, 100_000))
        most = tracemalloc.get_traced_memory()[1] / 800_000
        tracemalloc.stop()
        return most, len(calls)

    with gpuad.fusion(False):  # which keeps less by itself
        everything, once = peak(plain)
    less, twice = peak(checkpoint)
    assert (once, twice) == (5, 10)
    assert everything > 50
    assert less < 5 + 10 + 8  # arguments, one run, and the buffers of temporaries


def test_untraced_calls_are_calls():
    assert checkpoint(lambda x, k=2: x * k)(3, k=4) == 12
    assert checkpoint(np.sin).__name__ == "sin"


@pytest.mark.parametrize("size", [4, 5000])
def test_a_function_that_computes_something_else_the_second_time_is_refused(size):
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match="something else"):
        grad(lambda x: np.sum(checkpoint(lambda x: x * rng.normal(size=size))(x)))(np.ones(size))


def test_a_cache_is_noticed():
    cache = []

    def f(x, w):
        if not cache:
            cache.append(np.sin(w))
        return x * cache[0]

    with pytest.raises(UnsupportedError, match="something else"):
        grad(lambda w: np.sum(checkpoint(f)(w, w)))(X)


def test_writes_into_arguments_and_into_what_is_around_are_refused():
    def first(x):
        x[0] = 1.0
        return x

    with pytest.raises(UnsupportedError, match="writes into an argument"):
        grad(lambda x: np.sum(checkpoint(first)(x)))(X)

    def loss(w):
        buffer = w * 1.0

        def f(x):
            buffer[0] = x[0]
            return x * buffer

        return np.sum(checkpoint(f)(w))

    with pytest.raises(UnsupportedError, match="from around"):
        grad(loss)(X)


def test_under_vmap_values_are_right():
    def loss(keep):
        return lambda w: np.sum(gpuad.vmap(keep(lambda x: np.tanh(x * w) * w))(np.stack([X, 2 * X])))

    same(everything(loss(plain), W, X), everything(loss(checkpoint), W, X))

    def per_example(keep):
        return lambda w: np.sum(
            gpuad.vmap(grad(lambda x: np.sum(keep(lambda x: np.tanh(x * w) * w)(x))))(np.stack([X, W]))
        )

    same(everything(per_example(plain), W, X), everything(per_example(checkpoint), W, X))


# -- checkpoint_sequence --------------------------------------------------------------------------------
def beta(s, r):
    return math.comb(s + r, s) if r >= 0 else 0


def optimum(n, memory):
    """The extra evaluations of Griewank & Walther (2000)."""
    r = 0
    while beta(memory, r) < n:
        r += 1
    return r * n - beta(memory + 1, r - 1)


@functools.cache
def by_search(n, memory):
    """The same by dynamic programming."""
    if n == 1:
        return 0
    if memory == 1:
        return n * (n - 1) // 2
    return min(m + by_search(n - m, memory - 1) + by_search(m, memory) for m in range(1, n))


def by_split(n, memory):
    if n == 1:
        return 0
    m = split(n, memory)
    return m + by_split(n - m, memory - 1) + by_split(m, memory)


def test_the_schedule_is_the_best_there_is():
    for n in range(1, 60):
        for memory in range(1, 8):
            assert by_split(n, memory) == optimum(n, memory) == by_search(n, memory), (n, memory)
    assert optimum(1000, 10) == 3636  # as in the docstring, 4.6 evaluations each


@pytest.mark.parametrize("n, memory", [(1, 1), (2, 1), (7, 1), (10, 2), (17, 3), (30, 4), (56, 5), (12, 20)])
def test_as_many_evaluations_as_the_schedule_says(n, memory):
    calls = []

    def step(x, i):
        calls.append(i)
        return np.sin(x)

    run = checkpoint_sequence(step, n, memory=memory)
    assert run(X).shape == X.shape
    assert calls == list(range(n))
    calls.clear()
    grad(lambda x: np.sum(run(x)))(X)
    assert len(calls) == n + optimum(n, memory)


def simply(step, n, *, memory):
    def run(state, *params):
        for i in range(n):
            state = step(state, i, *params)
        return state

    return run


SIZES = [(0, 1), (1, 1), (2, 1), (7, 2), (6, 1), (7, 9)]


@pytest.mark.parametrize("n, memory", SIZES)
def test_derivatives_with_respect_to_state_and_parameters(n, memory):
    def step(x, i, w):
        return np.tanh(x * w * (i + 1) * 0.3) + w * x

    def found(sequence):
        run = sequence(step, n, memory=memory)

        def loss(x, w):
            return np.sum(run(x, w) ** 2)

        return [
            grad(loss, (0, 1))(X, W),
            hessian(loss, 1)(X, W),
            jacobian(run, 1)(X, W),
            jvp(run, (X, W), (W, X)),
            hvp(loss)(X, W, X),
            hvp(loss, 1)(X, W, X),
            grad(lambda w: np.sum(jvp(lambda x: run(x, w), (X,), (W,))[1]))(W),
        ]

    same(found(simply), found(checkpoint_sequence))


@pytest.mark.parametrize("n, memory", SIZES)
def test_derivatives_with_respect_to_what_the_step_reads_from_around_it(n, memory):
    def found(sequence):
        def loss(w):
            return np.sum(sequence(lambda x, i: np.tanh(x * w * 0.3) + np.sin(w) * x, n, memory=memory)(X))

        def nested(w):
            def inner(x):
                run = sequence(lambda s, i, q: np.tanh(s * w * q) + np.sin(w) * s, n, memory=memory)
                return np.sum(run(x, x[0]))

            return np.sum(grad(inner)(X) ** 2)

        return [*everything(loss, W, X), *everything(nested, W, X)[:4]]

    same(found(simply), found(checkpoint_sequence))


def test_states_are_copied_for_steps_that_write_into_them():
    table = np.ones((3, 4))

    def step(x, i, w):
        if i % 3 == 1:
            x *= w
        return table if i == 4 else np.sin(x) + w

    def loss(sequence):
        return lambda x, w: np.sum(sequence(step, 9, memory=2)(x, w) ** 2)

    x = np.linspace(0.1, 1.0, 12).reshape(3, 4)
    start = x.copy()
    got = grad(loss(checkpoint_sequence), (0, 1))(x, 0.5)
    same(table, np.ones((3, 4)))
    same(x, start)
    same(got, grad(loss(simply), (0, 1))(x.copy(), 0.5))


@pytest.mark.parametrize("n, memory", SIZES)
def test_states_in_containers_that_are_written_into(n, memory):
    def step(state, i, p):
        u = state["u"]
        u[1:-1] += p["dt"] * (u[2:] - 2 * u[1:-1] + u[:-2])
        state["count"][0] += 1
        return {"u": u, "t": state["t"] + p["dt"] * i, "count": state["count"]}

    def loss(sequence):
        def f(p):
            out = sequence(step, n, memory=memory)({"u": p["u"] * 1.0, "t": 0.0, "count": np.zeros(1, int)}, p)
            assert out["count"][0] == n
            return np.sum(out["u"] ** 2) * (int(out["count"][0]) + 1) + out["t"] ** 2

        return f

    p, v = {"u": X, "dt": np.float64(0.1)}, {"u": W, "dt": 1.0}
    for operator in (lambda f: grad(f)(p), lambda f: jvp(f, (p,), (v,)), lambda f: hvp(f)(p, v)):
        same([operator(loss(simply))], [operator(loss(checkpoint_sequence))])


def test_a_pullback_may_be_called_again():
    run = checkpoint_sequence(lambda x, i: np.sin(x), 9, memory=3)
    _, pullback = vjp(run, X)
    np.testing.assert_array_equal(pullback(W)[0], pullback(W)[0])


def test_the_state_given_stays_as_it_is():
    def step(x, i):
        x *= 2.0
        return x

    x = X.copy()
    np.testing.assert_array_equal(checkpoint_sequence(step, 3, memory=2)(x), 8 * X)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(grad(lambda x: np.sum(checkpoint_sequence(step, 3, memory=2)(x) * x))(X), 16 * X)


def test_memory_of_a_loop():
    def peak(sequence, memory):
        run = sequence(lambda x, i: np.sin(x) * 1.1, 60, memory=memory)
        tracemalloc.start()
        grad(lambda x: np.sum(run(x)))(np.linspace(0, 1, 70_000))
        most = tracemalloc.get_traced_memory()[1] / 560_000
        tracemalloc.stop()
        return most

    with gpuad.fusion(False):
        assert peak(simply, 1) > 60
    few, more = peak(checkpoint_sequence, 2), peak(checkpoint_sequence, 12)
    assert few < 2 + 11  # states, values of one step, and the buffers of temporaries
    assert few + 6 < more < 12 + 11


@pytest.mark.parametrize("size", [60_000, 200_000])  # of which the larger ones wait for kernels
def test_memory_is_the_states_kept_and_what_one_step_needs(size):
    def step(x, i, k):
        return x + 0.1 * k * (np.roll(x, 1) + np.roll(x, -1) - 2.0 * x)

    def peak(loss):
        gradient = grad(loss, (0, 1))
        gradient(x, 1.0)
        tracemalloc.start()
        gradient(x, 1.0)
        most = tracemalloc.get_traced_memory()[1] / x.nbytes
        tracemalloc.stop()
        return most

    x = np.linspace(0, 1, size)
    run = checkpoint_sequence(step, 40, memory=5)
    with gpuad.fusion(False):  # fused kernels keep values of a step, too, but not the same ones
        one = peak(lambda x, k: np.sum(step(x, 0, k) ** 2))
        many = peak(lambda x, k: np.sum(run(x, k) ** 2))
    # The first of the states is the caller's. Beside one step there are the state it starts from, and a cotangent.
    assert many < 4 + one + 2 + 0.5


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_large_states_are_computed_in_fused_kernels(dtype):
    def step(x, i, k):
        return x + 0.1 * k * (np.roll(x, 1) + np.roll(x, -1) - 2.0 * x * x)

    x = np.linspace(0, 1, 300_000).astype(dtype)
    run = checkpoint_sequence(step, 7, memory=2)

    def found(sequence):
        return grad(lambda x, k: np.sum(sequence(x, k) ** 2).real, (0, 1))(x, 1.0)

    with gpuad.fusion(False):
        wanted = found(simply(step, 7, memory=2))
    for a, b in zip(found(run), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3 if dtype == "f4" else 1e-9, atol=1e-5 if dtype == "f4" else 0)


def test_nothing_waits_for_the_garbage_collector():
    run = checkpoint_sequence(lambda x, i, w: np.tanh(x * w), 9, memory=3)
    layer = checkpoint(lambda x: np.sin(x) * x)
    grad(lambda x, w: np.sum(layer(run(x, w))), (0, 1))(X, W)
    gc.collect()
    gc.disable()
    try:
        grad(lambda x, w: np.sum(layer(run(x, w))), (0, 1))(X, W)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match="something else"):
        grad(lambda x: np.sum(checkpoint_sequence(lambda x, i: x * rng.normal(), 5, memory=2)(x)))(X)

    def writes(x, i, p):
        p[0] = 1.0
        return x * p

    with pytest.raises(UnsupportedError, match="writes into an argument"):
        grad(lambda p: np.sum(checkpoint_sequence(writes, 5, memory=2)(X, p)))(X)
    with pytest.raises(ValueError, match="0 or more, and 1 or more"):
        checkpoint_sequence(writes, 5, memory=0)


def test_on_every_backend(backend, xp):
    x, w = backend.asarray(X), backend.asarray(W)

    def host(tree):
        return [backend.to_numpy(leaf) for _, leaf in leaves(tree)]

    def step(x, i, w):
        return gnp.tanh(x * w) + w * x

    def found(keep, sequence, x, w):
        run = sequence(step, 6, memory=2)
        layer = keep(lambda x: gnp.tanh(x * w) * x)
        return [
            *grad(lambda x, w: gnp.sum(run(x, w) ** 2), (0, 1))(x, w),
            grad(lambda x: gnp.sum(layer(layer(x))))(x),
            hvp(lambda x: gnp.sum(run(layer(x), w)))(x, w),
        ]

    same([host(found(checkpoint, checkpoint_sequence, x, w))], [found(plain, simply, X, W)])


def test_a_step_that_reads_a_traced_array_only_when_it_is_run_again():
    calls = []

    def loss(x, w):
        def step(x, i):
            calls.append(i)
            return np.sin(x) * w if len(calls) > 4 else np.sin(x)

        return np.sum(checkpoint_sequence(step, 4, memory=4)(x))

    with pytest.raises(UnsupportedError, match="computed something else when it was run again"):
        grad(loss, (0, 1))(np.ones(3), 2.0)


def test_a_step_that_writes_into_its_state_and_counts():
    def step(state, i, k):
        x, count = state
        x[1:] += k * x[:-1]
        count[0] += 1
        return np.sin(x), count

    def plainly(x, k):
        state = x.copy(), np.zeros(1, int)
        for i in range(7):
            state = step(state, i, k)
        return np.sum(state[0] * state[1])

    def in_sequence(x, k):
        state = checkpoint_sequence(step, 7, memory=2)((x, np.zeros(1, int)), k)
        return np.sum(state[0] * state[1])

    x = np.array([0.3, 0.8, -0.4])
    for found, wanted in zip(grad(in_sequence, (0, 1))(x, 0.7), grad(plainly, (0, 1))(x, 0.7), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)

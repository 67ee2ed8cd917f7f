"""Arrays that wait, reshaped, transposed and broadcast: in one kernel with what they show. Here all wait."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import explain, grad, jvp, value_and_grad
from gpuad.backend import numpy_backend
from gpuad.fused import memory_order, pending, places, rearrange

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def everything_waits(monkeypatch):
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, (tuple, list)) else [np.asarray(x)]


def agree(compute):
    got = flat(compute())
    with gpuad.fusion(False):
        want = flat(compute())
    for a, b in zip(got, want, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9 * (1 + np.abs(b).max(initial=0)))


# -- what becomes one kernel --------------------------------------------------------------------------------
W = RNG.normal(size=(16, 24))


def sums_of_parts(x):
    return gnp.sum(gnp.sqrt(gnp.exp(x).reshape(16, -1).sum(1)))


def transposed(x):
    return (gnp.tanh(x).T * W).sum()


def softmax(x):
    s = (x * 0.5 + 0.1).reshape(-1, 12)
    e = gnp.exp(s - gnp.sum(s, -1, keepdims=True))
    return gnp.sum((e / gnp.sum(e, -1, keepdims=True)).reshape(x.shape) * x)


def group_norm(x):
    h = gnp.tanh(x).reshape(2, 4, 6, 8)
    h = (h - h.mean((2, 3), keepdims=True)) / gnp.sqrt(h.var((2, 3), keepdims=True) + 1e-5)
    return gnp.sum(gnp.tanh(h.reshape(2, 24, 8) * W[:1, :, None]))


def channels_first(x):
    y = gnp.transpose(gnp.tanh(x), (0, 3, 1, 2))
    return gnp.sum((y - y.mean((2, 3), keepdims=True)) ** 2)


def of_rows(x):
    y = gnp.tanh(x)
    s = gnp.sum(y, axis=1)
    return gnp.sum(gnp.cos(y / s.reshape(-1, 1)) + y / s[:, None] + y * s[..., None])


def axes_of_length_one(x):
    y = gnp.expand_dims(gnp.tanh(x), 1)
    return gnp.sum(gnp.squeeze(y * y, 1).ravel() * x.ravel())


@pytest.mark.parametrize(
    ("f", "shape", "kernels"),
    [
        (sums_of_parts, (384,), 2),  # more on rows alone
        (transposed, (24, 16), 1),
        (softmax, (4, 4, 12), 1),
        (group_norm, (2, 24, 8), 1),
        (channels_first, (2, 4, 5, 3), 1),
        (of_rows, (16, 24), 1),
        (axes_of_length_one, (16, 24), 1),
    ],
)
def test_one_kernel(f, shape, kernels):
    x = RNG.normal(size=shape)
    agree(lambda: (value_and_grad(f)(x), jvp(f, (x,), (x,))))
    found = [r for r in explain(value_and_grad(f))(x).regions if np.prod(r.lengths) == x.size]
    assert len(found) == kernels
    assert sum(r.bytes_read + r.bytes_written for r in found) <= 4.5 * x.nbytes


def test_what_has_no_common_grid_is_computed_before():
    x = RNG.normal(size=(12, 12))
    for f in (
        lambda x: gnp.sum(gnp.sin(x) * gnp.sin(x).T.reshape(12, 12)),
        lambda x: gnp.sum(gnp.sin(gnp.tanh(x) + gnp.tanh(x).T)),
        lambda x: gnp.sum(gnp.tanh(x).reshape(9, 16) * gnp.tanh(x).reshape(16, 9).T),
        lambda x: gnp.sum(gnp.tanh(x)[:, None] * gnp.tanh(x)[None]),
    ):
        agree(lambda f=f: (value_and_grad(f)(x), grad(lambda x, f=f: gnp.sum(gnp.sin(grad(f)(x))))(x)))


def test_factors():
    factors = places.Factors()
    place = factors.axes((6, 1, 4))
    assert factors.reshaped(place, (24,)) == ((0, 1),)
    assert factors.flat(factors.reshaped(place, (3, 8))) == [2, 3, 1]  # 6 = 3 * 2
    assert factors.settled(place) == ((2, 3), (), (1,))
    assert factors.reshaped(place, (2, 12)) is None  # 3 isn't made of 2 and something
    assert factors.reshaped(place, (5, 5)) is None


# -- what a program sees of it --------------------------------------------------------------------------------
def test_values_that_a_program_holds_are_handed_on():
    """A stand-in was computed; all that show it have their values, and computed once."""
    kept = []

    def f(x):
        y = gnp.tanh(x)
        z = y.reshape(16, 24).T
        s = gnp.sum(z * W.T, axis=0)
        kept.append((y, z, s))
        return gnp.sum(s * s) + gnp.sum(y)

    x = RNG.normal(size=384)
    _, pullback, (y, z, s) = gpuad.vjp(lambda x: (f(x), kept[-1]), x, has_aux=True)
    np.testing.assert_allclose(y, np.tanh(x))
    np.testing.assert_allclose(z, np.tanh(x).reshape(16, 24).T)
    np.testing.assert_allclose(s, (np.tanh(x).reshape(16, 24) * W).sum(1))
    agree(lambda: (value_and_grad(f)(x), pullback(1.0)))


def test_writes_through_views():
    def f(x):
        y = gnp.tanh(x)
        v = y.reshape(-1, 4)
        w = v.T
        t = gnp.sum(w * w)
        w[0] = 0.5
        v *= 2.0
        u = (y.T * 1.5).reshape(-1)  # a copy
        u[:5] = 0.0
        return t + gnp.sum(y * x) + gnp.sum(v * v * v) + gnp.sum(u) * gnp.sum(y.T * y.T)

    x = RNG.normal(size=(6, 8))
    agree(lambda: (value_and_grad(f)(x), value_and_grad(f)(np.asfortranarray(x)), jvp(f, (x,), (x,))))


def test_sums_that_leave_out_some_axes_and_keep_others():
    y = pending.lift(np.asfortranarray(RNG.normal(size=(3, 4, 5, 6)))) * 2.0
    s = pending.total(y, (0, 1), (1, 5, 6))
    assert memory_order.orders([y, s])[s] == (0, 3, 4)  # farthest apart along the last axis


def test_arrays_without_entries():
    x = RNG.normal(size=(1, 12))
    agree(lambda: grad(lambda x: gnp.sum(gnp.broadcast_to(gnp.tanh(x)[None], (0, 1, 12)).reshape(0, 12) * 2.0))(x))


def test_nothing_is_computed_many_times(monkeypatch):
    """Though stand-ins are made anew."""
    most, put = [], rearrange._StandIn.times.fset
    counted = property(rearrange._StandIn.times.fget, lambda x, n: (most.append(n), put(x, n)))
    monkeypatch.setattr(rearrange._StandIn, "times", counted)

    def f(x):
        for _ in range(30):
            x = gnp.tanh(x.reshape(3, -1) + gnp.sum(x) * 1e-3).reshape(x.shape).T
        return gnp.sum(x)

    x = RNG.normal(size=(6, 4))
    agree(lambda: grad(f)(x))
    assert 1 <= max(most) <= 3


def test_programs_and_pullbacks_in_several_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # they take turns all the time
    try:
        x = RNG.normal(size=(12, 12))

        def f(x):
            h = gnp.tanh(x)
            parts, turned = h.reshape(2, 6, -1), h.T

            def work(k):
                s = gnp.sum(gnp.sin(parts * k) * gnp.mean(parts, axis=-1, keepdims=True))
                return s + gnp.sum(turned * turned.sum(1)[:, None] * k)

            with ThreadPoolExecutor(4) as pool:
                return sum(pool.map(work, range(4)))

        for _ in range(5):
            agree(lambda: value_and_grad(f)(x))
            pullback = gpuad.vjp(lambda x: f(x) * x, x)[1]
            with ThreadPoolExecutor(4) as pool:
                found = list(pool.map(lambda k, pull=pullback: pull(np.full_like(x, k))[0], range(4)))
            for k in range(4):
                np.testing.assert_allclose(found[k], k * found[1], rtol=1e-9, atol=1e-12)
    finally:
        sys.setswitchinterval(before)


# -- random programs ------------------------------------------------------------------------------------------
def lengths(n, rng):
    found = []
    while n > 1:
        found.append(int(rng.choice([d for d in range(2, n + 1) if n % d == 0])))
        n //= found[-1]
    if rng.random() < 0.3:
        found.insert(rng.integers(len(found) + 1), 1)
    return tuple(found) or (1,)


def combined(x, y):
    if x.size == y.size:
        return x * gnp.reshape(y, x.shape) - gnp.cos(x)
    try:
        return x + y * 0.5
    except ValueError:
        return x


def normalised(x, axes):
    m = gnp.max(x, axis=axes, keepdims=True)
    e = gnp.exp(0.1 * (x - m))
    return e / gnp.sum(e, axis=axes, keepdims=True)


def times_row_sums(x):
    s = gnp.sum(x, axis=-1)
    return x * s.reshape(*s.shape, 1)


def step(kind, x, y, rng):
    if kind < 5 or not np.ndim(x):
        return [gnp.sin(x), gnp.tanh(x) + 1.0, combined(x, y), combined(y, x), x * 0.5][kind % 5]
    n = np.ndim(x)
    return [
        lambda: gnp.reshape(x, lengths(x.size, rng)),
        lambda: gnp.transpose(x, rng.permutation(n)),
        lambda: x.T,
        lambda: gnp.expand_dims(x, int(rng.integers(n + 1))),
        lambda: [x[None], x[..., None], x[:, None], x[None, ..., None]][rng.integers(4)],
        lambda: gnp.squeeze(x),
        lambda: gnp.broadcast_to(x, (2, *x.shape)) if x.size < 200 else x,
        lambda: gnp.sum(x, axis=int(rng.integers(n)), keepdims=bool(rng.random() < 0.5)),
        lambda: normalised(x, tuple(range(n))[-2:]) if n > 1 else x,
        lambda: (x - gnp.mean(x, axis=-1, keepdims=True)) / (1 + gnp.sum(x * x, axis=-1, keepdims=True)),
        lambda: times_row_sums(x),
    ][kind - 5]()


def program(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.choice([12, 16, 24, 36, 60, 64]))
    args, constants = ([rng.normal(size=lengths(n, rng)) for _ in range(2)] for _ in range(2))
    if rng.random() < 0.4:
        args[0], constants[0] = np.asfortranarray(args[0]), np.asfortranarray(constants[0])
    steps = [(int(rng.integers(16)), rng.random(2) ** 0.5, int(rng.integers(1 << 30))) for _ in range(16)]

    def f(*xs):
        values, total = [*xs, *[c.copy(order="K") for c in constants]], 0.0  # which it writes into
        for kind, which, chance in steps:
            x, y = (values[int(u * len(values))] for u in which)
            z = step(kind, x, y, np.random.default_rng(chance))
            if chance % 7 == 0:
                total = total + gnp.sum(z * z) * 0.1
            if chance % 13 == 0 and np.size(z) > 1 and not isinstance(z, np.generic) and z is not x:
                shown = z.reshape(-1)
                shown[0] = 0.3
            values.append(z)
        return total + sum(gnp.sum(gnp.sin(v)) for v in values[-3:])

    return f, args


@pytest.mark.filterwarnings("ignore:gpuad.jit")
@pytest.mark.parametrize("seeds", range(0, 60, 10))
def test_random_programs(seeds):
    for seed in range(seeds, seeds + 10):
        f, args = program(seed)

        def modes(f=f, args=args, seed=seed):
            gradient = grad(f, (0, 1))
            yield value_and_grad(f, (0, 1))(*args)
            yield jvp(f, tuple(args), tuple(args))
            if seed % 3 == 0:
                yield grad(lambda *xs: sum(gnp.sum(gnp.sin(g)) for g in gradient(*xs)), (0, 1))(*args)
            elif seed % 3 == 1:
                recorded = gpuad.jit(gradient)
                recorded(*args)
                yield recorded(*[a * 1.1 for a in args])
            else:
                yield gpuad.vmap(gradient)(*[np.stack([a, a * 0.5]) for a in args])

        agree(lambda modes=modes: list(modes()))

"""Slices of arrays that wait, and cotangents that are added up from several places. Here all wait."""

import itertools

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jvp, value_and_grad
from gpuad.backend import numpy_backend
from gpuad.fused import pending, slices
from gpuad.fused.launch import watched

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 8))


@pytest.fixture(autouse=True)
def everything_waits(monkeypatch):
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")


@pytest.fixture
def kernels():
    found: list = []
    token = watched.set(found)
    yield found
    watched.reset(token)


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, (tuple, list)) else [np.asarray(x)]


def agree(compute, rtol=1e-7):
    got = flat(compute())
    with gpuad.fusion(False):
        want = flat(compute())
    for a, b in zip(got, want, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * (1 + np.abs(b).max(initial=0)))


# -- what becomes one kernel --------------------------------------------------------------------------------
def second_differences(x):
    u = x * x + 0.5 * x
    d = u[2:] - 2.0 * u[1:-1] + u[:-2]
    return np.sum(d * d)


def laplacian(x):
    return np.sum((x[1:-1, 2:] + x[1:-1, :-2] + x[2:, 1:-1] + x[:-2, 1:-1] - 4.0 * x[1:-1, 1:-1]) ** 3)


def total_variation(x):
    a, b = x[1:, :-1] - x[:-1, :-1], x[:-1, 1:] - x[:-1, :-1]
    return np.sum(np.sqrt(a * a + b * b + 1e-3)) + 0.5 * np.sum((x - 0.3) ** 2)


def burgers(x):
    u = x
    for _ in range(3):
        inner = u[1:-1] - 0.1 * u[1:-1] * (u[2:] - u[:-2]) + 0.05 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return np.sum(u * u)


PROGRAMS = [second_differences, laplacian, total_variation, burgers]


@pytest.mark.parametrize("f", PROGRAMS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_programs_of_shifted_slices(f, dtype):
    x = X.astype(dtype)
    agree(lambda: value_and_grad(f)(x), 1e-5 if dtype == "float32" else 1e-9)
    agree(lambda: jvp(f, (x,), (x,)), 1e-4 if dtype == "float32" else 1e-9)
    hessian = gpuad.hvp(f)
    agree(lambda: hessian(x, x), 1e-3 if dtype == "float32" else 1e-8)


@pytest.mark.parametrize("f", PROGRAMS)
def test_against_complex_steps(f):
    """The imaginary part of f(x + ih) / h, by NumPy alone."""
    g, h = grad(f)(X), 1e-30
    for i in itertools.product((0, 1, 4, 8), (0, 3, 7)):
        x = X.astype(complex)
        x[i] += 1j * h
        np.testing.assert_allclose(g[i], f(x).imag / h, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("f", "most"), [(second_differences, 2), (laplacian, 2), (total_variation, 3)])
def test_a_cotangent_is_computed_once_and_read_at_several_places(kernels, f, most):
    value_and_grad(f)(X)
    assert len(kernels) <= most


def test_what_is_cheap_is_not_stored_for_its_slices(kernels):
    def f(x):
        y = x * x + 1.0
        return y[1:] * y[:-1]

    f_of = gpuad.vjp(f, X)[0]
    assert [kernel.plan.outputs[0].value for kernel, _ in kernels] != []
    assert len(kernels) == 1
    np.testing.assert_allclose(f_of, f(X))


def test_what_is_costly_is_computed_once_for_all_its_slices(kernels):
    def f(x):
        y = np.tanh(x)
        return np.sum(y[2:] * y[1:-1] * y[:-2])

    grad(f)(X)
    assert sum(step.name == "tanh" for kernel, _ in kernels for step in kernel.plan.steps) == 1


def test_the_same_slice_taken_twice_is_read_once(kernels):
    gpuad.vjp(lambda x: x[1:] * 2.0 - x[:-1] + x[1:] * x[:-1], X)
    assert [len(kernel.plan.operands) for kernel, _ in kernels] == [2]


def test_zeros_around_a_cotangent_are_not_negative():
    g = grad(lambda x: np.sum(x[1:-1] - x[2:] * 3.0))(np.ones(8))
    np.testing.assert_array_equal(g, [0, 1, -2, -2, -2, -2, -2, -3])
    assert not np.signbit(g[0])


def test_infinite_multiples_of_a_cotangent_do_not_reach_its_surroundings():
    def f(x):
        return np.sum(x[1:-1] * np.inf + x[2:] + x[:-2])

    np.testing.assert_array_equal(grad(f)(np.ones(8)), [1, *[np.inf] * 6, 1])


@pytest.mark.parametrize("f", [lambda d: d * 1e39, lambda d: d / 1e-46])
def test_nor_do_those_that_are_infinite_in_fewer_digits(f):
    """1e39 is finite as a Python number, and infinite in float32."""
    g = grad(lambda x: np.sum(f(x[1:] - x[:-1]) * np.arange(1, 8, dtype="f")))(np.ones(8, "f"))
    np.testing.assert_array_equal(g, [-np.inf, *[np.nan] * 6, np.inf])


def test_a_replay_writes_into_nothing_that_an_operation_which_waits_has_to_read(monkeypatch):
    """A cotangent of slices that don't overlap is added to another, of which a sum waits."""
    monkeypatch.setitem(pending.LARGE, numpy_backend, 3 << 19)

    def f(x):
        y = x - x.mean()
        return np.sum(np.sin(x[2::2])) + np.sum(y[:-3] ** 2)

    x = RNG.normal(size=200_000)
    jitted = gpuad.jit(value_and_grad(f))
    with gpuad.fusion(False):
        value, slope = value_and_grad(f)(x)
    for _ in range(3):
        got = jitted(x)
        np.testing.assert_allclose(got[0], value)
        np.testing.assert_allclose(got[1], slope, atol=1e-12)


# -- slices are views ---------------------------------------------------------------------------------------
def seen_through(x):
    y = x * 2.0
    shown, before = y[1:], y[:-1] * 1.0
    y[:3] = 0.25
    return np.sum(shown * before) + np.sum(y * y)


def written_through(x):
    y = x * 2.0
    shown = y[1:]
    shown[:2] *= y[:2]
    return np.sum(y[:-1] * shown) + np.sum(y * y)


def reshaped_copy(x):
    y = x * 2.0
    shown = y[:, 1:]
    apart = shown.reshape(-1)  # a copy, for NumPy's slice has gaps
    apart[:3] = 0.5
    return np.sum(shown**2) + np.sum(apart**3)


@pytest.mark.parametrize("f", [seen_through, written_through, reshaped_copy])
def test_what_is_written_shows_where_numpy_shows_it(f):
    agree(lambda: value_and_grad(f)(X))
    np.testing.assert_allclose(value_and_grad(f)(X)[0], f(X))


def test_keys():
    for shape in [(7,), (4, 5), (2, 3, 4)]:
        a = np.arange(np.prod(shape)).reshape(shape)
        for key in [np.s_[1:], np.s_[...], np.s_[..., 1:], np.s_[-2:], np.s_[:1, ...], np.s_[::2], np.s_[5:100]]:
            np.testing.assert_array_equal(a[slices.box_of(key, shape)], a[key])
        for key in [0, None, np.s_[::-1], np.s_[..., 0], np.s_[..., ...], (slice(None),) * 4, True, np.array([1])]:
            assert slices.box_of(key, shape) is None


# -- random programs ----------------------------------------------------------------------------------------
UNARY = [
    lambda x: x * x * 0.3, gnp.tanh, gnp.negative, lambda x: x * 0.5 + 1, lambda x: x / 2.0, lambda x: x.T,
    lambda x: x.reshape(-1), lambda x: x.copy(), lambda x: x - gnp.mean(x),
    lambda x: x - gnp.sum(x, -1, keepdims=True) * 0.1, lambda x: x.astype("float32").astype("float64"),
    lambda x: gnp.concatenate([x[:1], x[1:] * 0.5]),
]  # fmt: skip
BINARY = [
    gnp.add, gnp.subtract, gnp.multiply, lambda x, y: x / (1 + y * y), lambda x, y: gnp.where(x > y, x, y * 2),
    lambda x, y: y - 2 * x,
]  # fmt: skip


def some_key(rng, shape):
    draws = [
        lambda n: slice(int(rng.integers(3)), n - int(rng.integers(3))),
        lambda n: slice(int(rng.integers(3)), n - int(rng.integers(3))),
        lambda n: slice(None),
        lambda n: slice(int(rng.integers(2)), None, 2),
        lambda n: slice(-int(rng.integers(2, 5)), None),
        lambda n: slice(None, max(1, n // 2)),
    ]
    found = tuple(draws[rng.integers(6)](n) for n in shape)
    return found[:1] if rng.random() < 0.2 else (..., found[-1]) if rng.random() < 0.2 else found


def program(seed):
    rng = np.random.default_rng(seed)
    shape = [(17,), (9, 8), (5, 6, 7), (24,)][rng.integers(4)]
    seeds = rng.integers(1 << 30, size=rng.integers(3, 14))

    def f(x, c):
        pool, total = [x, x * c], 0.0
        for s in seeds:
            r = np.random.default_rng(s)
            a, kind = pool[r.integers(len(pool))], r.random()
            if kind < 0.3:
                y = UNARY[r.integers(len(UNARY))](a)
            elif kind < 0.85:
                p = a[some_key(r, a.shape)]
                at = [int(r.integers(n - m + 1)) for n, m in zip(a.shape, p.shape, strict=True)]
                q = a[tuple(slice(i, i + m) for i, m in zip(at, p.shape, strict=True))]
                y = BINARY[r.integers(len(BINARY))](p, q)
            else:
                y, shown = a.copy(), a[1:]
                y[some_key(r, a.shape)] += 0.3
                seen = y[1:]
                y[:1] = 0.25
                total = total + gnp.sum(seen * shown) * 0.01
            if 0 < np.size(y) < 1000 and min(y.shape) > 1:
                pool.append(y)
        return total + sum(gnp.sum(gnp.sin(y)) for y in pool[-3:])

    return f, (rng.normal(size=shape), rng.normal(size=shape))


@pytest.mark.filterwarnings("ignore:gpuad.jit")
@pytest.mark.parametrize("large", [0, 300])
@pytest.mark.parametrize("seeds", range(0, 60, 10))
def test_random_programs(seeds, large, monkeypatch):
    monkeypatch.setitem(pending.LARGE, numpy_backend, large)
    for seed in range(seeds, seeds + 10):
        f, args = program(seed)

        def modes(f=f, args=args, seed=seed):
            gradient = grad(f, (0, 1))
            yield value_and_grad(f, (0, 1))(*args)
            yield jvp(f, args, args)
            if seed % 3 == 0:
                yield grad(lambda *xs: sum(gnp.sum(gnp.sin(g)) for g in gradient(*xs)), (0, 1))(*args)
            elif seed % 3 == 1:
                recorded = gpuad.jit(gradient)
                recorded(*args)
                yield recorded(*[a * 1.1 for a in args])
            else:
                yield gpuad.vmap(gradient)(*[np.stack([a, a * 0.5]) for a in args])

        agree(lambda modes=modes: list(modes()), 1e-6)

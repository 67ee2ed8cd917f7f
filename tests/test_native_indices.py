"""Indices that are arrays, and running sums, in small programs in C: as NumPy has them, its errors included."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import grad, jit, value_and_grad, vmap
from gpuad.fused import compiler
from gpuad.native.stretch import Stretch
from test_native import check, kernels, steps_of

pytestmark = pytest.mark.skipif(compiler.unavailable() is not None, reason="there is no C compiler")

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "c")


def normal(*shape):
    return rng.normal(size=shape)


def drawn(*shape, of, dtype=np.int64, negative=True):
    return rng.integers(-of if negative else 0, of, shape).astype(dtype)


def taken(x, i, j, k):
    return (
        x[i] * 2,
        x[:, j],
        x[i, 2],
        x[2, j],
        x[i[:3], j[:3]],
        x[i[:3], :, k],
        x[i[:, None], j],
        x[..., k, None],
        x[1:, j[:2], 1:],
        x[None, i[:3], ..., j[:3] % 3],
        x[::-1].T[k, ::2],
        np.take(x, j, axis=1),
        np.take_along_axis(x[:5, :, 0], j[:, None] + np.array([[0, 0, 0, 0, 0]]), axis=1),
        x[:, :, 0][i] @ x[0],
        x.reshape(-1)[i * 3],
    )


def indices(dtype=np.int64, negative=True):
    sizes = ((12, 7), (5, 5), (3, 3))
    return [drawn(n, of=of, dtype=dtype, negative=negative) for n, of in sizes]


@pytest.mark.parametrize("dtype", ["i8", "i2", "u4"])
def test_reading(dtype):
    calls = [(normal(7, 5, 3), *indices(dtype, negative=dtype[0] == "i")) for _ in range(3)]
    check(taken, *calls, (np.asfortranarray(normal(7, 5, 3)), *calls[0][1:]))


def test_derivatives_of_reading():
    def f(x, i, j, k):
        return sum(np.sum(np.sin(y) * y) for y in taken(x, i, j, k))

    calls = [(normal(7, 5, 3), *indices()) for _ in range(2)]
    check(value_and_grad(f), *calls, rtol=1e-12)
    check(grad(lambda x, *of: np.sum(grad(f)(x, *of) ** 2)), *calls, rtol=1e-11)
    i = np.array([3, 0, -1, 3, 3])
    check(value_and_grad(lambda x: np.sum(np.exp(x[i] * x[0]))), (normal(5),))  # i is constant
    check(vmap(grad(lambda x, i: np.sum(x[i] ** 3))), (normal(4, 6), drawn(4, 9, of=6)))


@pytest.mark.parametrize("kind", ["f4", "c16", "i4", "?"])
def test_dtypes_of_what_is_read(kind):
    check(
        lambda x, i: (x[i], x.T[:, i], np.where(x[i] == x[0], 1.0, 2.0)),
        ((normal(6, 4) * 3).astype(kind), drawn(9, of=6)),
    )


def random_program(seed):
    """Entries that are read, added and written at random places, in between operations."""

    def f(x, y, i, j):
        choose = np.random.default_rng(seed)
        values = [x * 1.0, y + 1.0]
        for _ in range(12):
            a, b = (values[n] for n in choose.integers(len(values), size=2))
            p, q = (i, j) if choose.integers(2) else (i[::-1], j)
            match choose.integers(8):
                case 0:
                    new = a[p % 6] + b[j[: len(p)] % 6]
                    new = new[:6]
                case 1:
                    new = np.sin(a)[p, q % 6][:6, None] * b
                case 2:
                    new = a.copy()
                    new[p] = b[0] * 0.5
                    new[p[0]] = 0.25
                case 3:
                    new = a.copy()
                    np.add.at(new, (p, q % 6), b[0, 0])
                case 4:
                    new = a - 0.5 * np.cumsum(b, axis=int(choose.integers(2)))
                case 5:
                    new = a.copy()
                    new[b > 0.5] = 0.125
                case 6:
                    new = np.take_along_axis(a, np.argsort(b, axis=1), axis=1) + np.sort(a, axis=0)
                case _:
                    a[1:][p % 5] = 0.75  # what was made of it before isn't changed by that
                    new = np.cumprod(np.tanh(a.T), axis=0) * b
            values.append(new)
        return tuple(values[-4:])

    return f


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed):
    f = gpuad.lift(random_program(seed))
    # Of entries that are written twice the last counts: these are alike.
    calls = [(normal(6, 6), normal(6, 6), drawn(8, of=6), drawn(8, of=6)) for _ in range(3)]
    check(f, *calls, rtol=1e-12, whole=False)
    g = value_and_grad(lambda x, y, i, j: sum(np.sum(z * z) for z in f(x, y, i, j)), (0, 1))
    check(g, *calls, rtol=1e-10, whole=False)


OUTSIDE = [
    (lambda x, i: np.sum(x[i] * 2 + 1), (7,)),
    (lambda x, i: np.sum(x[:, i] * 2 + 1), (5,)),
    (lambda x, i: x[None, :, :, i] * x[0, 0, 0] + 1, (3,)),
    (lambda x, i: grad(lambda x: np.sum(x[1, i] ** 2))(x), (5,)),
    (lambda x, i: gpuad.lift(written)(x, i), (7,)),
]


def written(x, i):
    y = x * 2.0
    y[i] = 1.0
    return np.sin(y)


@pytest.mark.parametrize("by", [0, -1])
@pytest.mark.parametrize(("f", "length"), OUTSIDE)
def test_indices_outside(f, length, by, tmp_path):
    x, i = normal(7, 5, 3), np.array([0, 1, 2])
    wrong = np.array([0, length[0] if by == 0 else -length[0] - 1, 2])
    jitted = jit(f)
    for _ in range(3):
        jitted(x, i)
    assert [type(step.prim) for step in steps_of(jitted)] == [Stretch]
    with pytest.raises(IndexError) as expected:
        f(x, wrong)
    (kernel,) = kernels(jitted)
    with pytest.raises(IndexError) as own:  # which the jitted function doesn't show: it calls f
        kernel.call(*[wrong if kind == i.dtype else x for kind in arguments(kernel, x, i)])
    assert str(own.value) == str(expected.value)
    with pytest.raises(IndexError) as found:
        jitted(x, wrong)
    assert str(found.value) == str(expected.value)
    np.testing.assert_allclose(jitted(x, i), f(x, i), rtol=1e-14)


def arguments(kernel, x, i):
    """The dtypes of a program's arrays, one of each."""
    count = kernel.call.__code__.co_argcount
    assert count == 2
    return [x.dtype, i.dtype]


def test_a_mask_chooses_what_is_overwritten():
    def f(x, y):
        z = x * y
        z[z > 0] = 0.5
        z[:, 0][y[:, 0] < 0] = y[0, 1]
        return z * 2

    check(gpuad.lift(f), (normal(6, 4), normal(6, 4)))
    check(value_and_grad(lambda x, y: np.sum(gpuad.lift(f)(x, y) ** 2), (0, 1)), (normal(6, 4), normal(6, 4)))


def cumulated(x):
    return (
        np.cumsum(x, axis=0),
        np.cumsum(x[:, ::-1], axis=1) * 2,
        np.cumsum(x),
        np.cumsum(x.T, axis=1)[::-1],
        np.cumprod(x[:3], axis=1),
        np.cumsum(x > 0, axis=0),
        np.cumsum(x[:1], axis=0),
        np.cumsum(x, axis=-1),
        np.prod(x[:3], axis=-1),
        np.prod(x.T[:, ::2], axis=1, keepdims=True),
        np.prod(x > -9, axis=0),
    )


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_running_sums(dtype):
    x = (3 * normal(6, 9)).astype(dtype)
    check(cumulated, (x,), (np.asfortranarray(x),), rtol=0.0)
    jitted = check(lambda x: np.cumsum(np.where(x > 0, x, -0.0) * 0) + 0, (normal(4),), rtol=0.0)
    assert np.signbit(jit(lambda x: np.cumsum(-x * 0) * 1.0)(np.ones(3))).all()
    assert kernels(jitted)


def test_derivatives_of_running_sums_and_products():
    def f(x):
        products = np.cumprod(x, axis=1) + np.cumprod(x, axis=0)
        return np.sum(np.cumsum(np.cos(x), axis=0) * products) + np.sum(np.prod(x, axis=1))

    x = normal(5, 4)
    x[1, 2] = x[3, 0] = 0.0
    check(value_and_grad(f), (x,), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["f8", "c8", "i4"])
def test_triangles_and_diagonals(dtype):
    def f(x):
        y, z = x[0], x[:, :3, :4]
        triangles = np.tril(z, -1), np.triu(z, 2) * 2, np.tril(y.T, 1), np.triu(y[0]), np.tril(x, 9), np.triu(y, -9)
        return *triangles, np.diag(y[0], -1) * 2, np.diag(y[:2, 0], 2), np.diag(y) + y[0], np.trace(y)

    x = (3 * normal(2, 5, 5)).astype(dtype)
    check(gpuad.lift(f), (x,), rtol=1e-6)
    if dtype == "f8":
        check(value_and_grad(lambda x: sum(np.sum(y * y) for y in gpuad.lift(f)(x))), (x,), rtol=1e-12)

"""Small recorded programs as one function in C: the same results, in arrays like those of the plain program."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import gpuad
from gpuad import grad, hessian, jit, value_and_grad, vmap
from gpuad.core.pytree import leaves
from gpuad.fused import compiler
from gpuad.native import blas, margins, stretch
from gpuad.native.kernel import lying
from gpuad.native.stretch import Stretch, turns

pytestmark = pytest.mark.skipif(compiler.unavailable() is not None, reason="there is no C compiler")

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float64):
    return rng.normal(size=shape).astype(dtype)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing is replayed in Python first."""
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "c")


def steps_of(jitted):
    recordings = next(iter(jitted.recordings.known.values()))
    return recordings[0].tree.root.segment.steps


def check(f, *calls, whole=True, rtol=1e-13):
    """``jit(f)``, in C, is ``f``. ``whole``: no step is left to Python."""
    jitted = jit(f)
    for args in calls * 2:
        jitted(*args)
    for args in calls:
        got, want = list(leaves(jitted(*args))), list(leaves(f(*args)))
        assert len(got) == len(want)
        for (path, x), (_, y) in zip(got, want, strict=True):
            assert type(x) is type(y), (path, type(x), type(y))
            assert x.dtype == y.dtype, path
            assert x.shape == y.shape, path
            if isinstance(x, np.ndarray):
                same_order = x.flags.c_contiguous == y.flags.c_contiguous or y.base is not None
                assert same_order, (path, x.strides, y.strides)
                assert x.flags.writeable
                assert not any(isinstance(a, np.ndarray) and np.may_share_memory(a, x) for a in args)
            scale = np.max(np.abs(y), where=np.isfinite(y), initial=0.0) if y.dtype.kind in "fc" else 0
            np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * scale, err_msg=str(path))
    kinds = [type(step.prim) is Stretch for step in steps_of(jitted)]
    assert all(kinds) if whole else any(kinds), [step.prim.name for step in steps_of(jitted)]
    return jitted


def kernels(jitted):
    return [step.prim.kernel for step in steps_of(jitted) if type(step.prim) is Stretch]


# -- operations -----------------------------------------------------------------------------------------
def elementwise(x, y, k):
    return (
        np.sin(x) * y + np.cos(x) / (2 + y * y),
        np.exp(-abs(x)) ** 0.5,
        x**3 - 2 / (x * x + 1),
        np.tanh(x) @ y,
        np.where(x > y, x, -y),
        np.maximum(x, y),
        np.minimum(x, 0.1),
        (x > 0) & (y < 1),
        np.sign(x) * k,
        k // 2 + k % 3,
        np.arctan2(x, y),
        np.hypot(x, 1.0),
        np.log1p(x * x),
        -x + 3,
        abs(k) - 1,
        (x * k).astype(np.float32),
        x**-1.0,
        ~(x > y),
    )


def test_elementwise():
    check(elementwise, (normal(7), normal(7), np.arange(-3, 4)), (1e3 * normal(7), normal(7), np.arange(7)))


def test_wide_angles_and_what_comes_beside_them():
    x = np.array([0.5, 1e300, -1e17, 3.0, np.pi])
    jitted = check(lambda x: (np.sin(x) + np.cos(2 * x), np.sum(np.sin(x)), np.tan(x) * 2), (x,), (x * 0 + 1,))
    with np.errstate(invalid="ignore"):
        assert np.isnan(jitted(np.array([np.inf, 1, 2, 3, 4.0]))[0][0])


def test_wide_angles_in_what_is_written_over():
    def f(x, one):
        y = x @ one
        y[1:] = np.sin(y[1:])
        return y

    check(f, (normal(4, 4), np.eye(4)), (1e18 * normal(4, 4), np.eye(4)))


def test_numbers_of_python_and_of_numpy():
    def f(x, t):
        return x > t, x == t, x + t, x * 2 + 1, np.exp(x), np.where(x < t, x, -x)

    x = np.array([0.1, 0.2, 0.3], np.float32)
    for calls in ([(x, 0.1), (x, 0.2)], [(x, np.float64(0.1)), (x, 0.1), (x, np.float32(0.1))]):
        check(f, *calls, whole=False, rtol=1e-6)


def test_parts_of_a_number():
    def f(x, z):
        return x * z.real + z.imag, np.real(z), np.conj(z) * x, x * 2 + z

    check(f, (normal(3), np.complex128(1 + 2j)), (normal(3), np.complex128(-3 + 1j)), whole=False)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64])
def test_whole_numbers_that_do_not_fit(dtype):
    jitted = check(lambda x, t: (x + t, x * 2, x + x, x * x), (np.arange(3).astype(dtype), 3), whole=False)
    with pytest.raises(OverflowError):
        jitted(np.arange(3).astype(dtype), -300)


def test_negative_numbers_as_unsigned_ones():
    def f(x):
        return (x.astype(np.uint64), x.astype(np.uint8), x.astype(np.int8), x * 2 + 1, x > 0, x - 3, x * x)

    check(f, (np.array([2.9, -1.4, -2.6, 0.0, -7.7]),), whole=False)


def dtypes(x, z, i, u, b):
    return (
        x * 2.5,
        x + i,
        z * z.conj() + x,
        abs(z),
        z / (1 + z),
        i * 3 - u,
        i / 7,
        b * x,
        b + b,
        (u + i) ** 2,
        z.real * x,
        x / i,
    )


def test_dtypes():
    args = (
        normal(5, dtype=np.float32),
        normal(5) + 1j * normal(5),
        np.array([3, -1, 2, 7, 5], np.int32),
        np.arange(5, dtype=np.uint8),
        np.array([True, False, True, True, False]),
    )
    check(dtypes, args, rtol=2e-7)


def test_numbers_take_the_dtype_beside_them():
    x = normal(4, dtype=np.float32)

    def f(x, rate, n):
        return x * rate + 1, np.exp(x / 3) * rate, x * np.float32(rate), (x + 1) * n, np.sum(x * x) * rate

    check(f, (x, 0.3, np.float64(2.0)), (x, 1e-3, np.float64(0.1)), whole=False, rtol=1e-6)


def views(x):
    y = x * 1.5 + 1
    flat = y.reshape(-1)
    return (
        y[1:, ::-1] * 2,
        y.T @ y,
        flat[::7] + 1,
        y[:, None] - y[None, :, :],
        np.diagonal(y) * 2,
        y[-1] * y[0],
        np.flip(y, 0) + y,
        np.moveaxis(y[None], 0, 2) * 3,
        (y.T + 1).reshape(-1),
        y[..., 2:3] / y,
        np.broadcast_to(y[0], (2, 8)) * 2,
        y[2, 3] * y,
        y.T[1:3, ::2] - 1.0,
    )


def test_views():
    check(views, (normal(6, 8),), (np.asfortranarray(normal(6, 8)),))


def moved(x, y):
    z = x * 2
    return (
        np.roll(z, 1, 0),
        np.roll(z, (2, -3), (0, 1)),
        np.roll(z, 0, 1) + 1,
        np.concatenate([z, y, z[:1]], axis=0),
        np.stack([z, x], axis=1),
        np.pad(z, ((1, 2), (0, 1))),
        np.pad(z, 1, constant_values=3.5),
        np.concatenate([z.T, z.T * 2], axis=1),
        z.reshape(4, 5) @ y.reshape(4, 5).T,
        z.copy(),
    )


def test_moved():
    check(moved, (normal(5, 4), normal(5, 4)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_reductions(dtype):
    def f(x):
        axes = [None, 0, 1, 2, (0, 1), (1, 2), (0, 2), -1]
        found = [np.sum(x * x, axis=a) for a in axes] + [np.max(x + 1, axis=a) for a in axes]
        found += [np.min(np.sin(x), axis=a, keepdims=True) for a in axes] + [np.mean(x, axis=a) for a in axes]
        found += [np.var(x, axis=a, ddof=1) for a in (None, 0, (1, 2))] + [np.std(x * 3, axis=1)]
        return [*found, x - np.mean(x, axis=-1, keepdims=True), np.sum(x > 0.5).astype(float) * 2]

    check(f, (normal(4, 3, 5, dtype=dtype),), rtol=1e-13 if dtype is np.float64 else 3e-6, whole=False)


def test_sums_are_exact_to_their_length():
    for n in (3, 512, 513, 5000):
        x = normal(n) * 10.0 ** rng.integers(-8, 8, n)
        jitted = jit(lambda x: (np.sum(x * 1.0 - 0.0), np.sum(x * 2.0)))
        jitted(x)
        total = jitted(x)[0]
        assert abs(total - math.fsum(x)) <= 1e-15 * math.fsum(abs(x))


def test_special_values():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e308, 5e-324, -1.0])

    def f(x):
        return (
            x + 1,
            x * 10,
            np.maximum(x, 0),
            np.minimum(x, 1),
            x / x,
            np.sqrt(x),
            np.log(x),
            np.exp(x),
            np.where(x > 0, x, -x),
            np.max(x[:4] * 1),
            np.max(x * 1),
            np.min(x * 1),
            np.sum(x[:2] * 1),
            np.sum(x * 1),
            x == 0,
            np.sum(x[2:4] * 1),
        )

    with np.errstate(all="ignore"):
        jitted = check(f, (x,))
        assert np.signbit(jitted(x)[8][1]) == np.signbit(f(x)[8][1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("known", [True, False], ids=["BLAS", "no BLAS"])
def test_matrix_products(dtype, known, monkeypatch):
    monkeypatch.setattr(blas, "SMALL", 2000)
    if known:
        assert blas.find() is not None, "NumPy's BLAS isn't found"
    else:
        monkeypatch.setattr(blas, "find", lambda: None)

    def f(a, b, v, w, batch, large):
        return (
            a @ b,
            (a * 1) @ v,
            w @ (b + 1),
            v @ v,
            a.T @ a[:, ::2],
            (b.T @ a.T) * 2,
            batch @ b,
            batch @ np.swapaxes(batch, 1, 2),
            large @ (large.T * 2),
            large[::2, ::3] @ large[:11, :4],
            large[:, :5] @ b,
            large.T[:40] @ (large + 0.0),
            batch[0] @ b,
        )

    args = (normal(6, 5), normal(5, 4), normal(5), normal(5), normal(3, 6, 5), normal(32, 33))
    args = [x.astype(dtype) for x in args]
    args[5] = np.concatenate([args[5]] * 2)[:, :33]
    check(f, args, rtol=1e-13 if dtype is np.float64 else 1e-5, whole=known)


def shuffled(seed):
    """A random program of arrays that are put together of parts, and written into, in between."""

    def f(x, y):
        choose = np.random.default_rng(seed)
        values = [x * 1.0, y + 1.0]
        for _ in range(14):
            a, b = (values[i] for i in choose.integers(len(values), size=2))
            k, axis = int(choose.integers(1, 5)), int(choose.integers(2))
            match choose.integers(7):
                case 0:
                    new = np.roll(a, k, axis)
                case 1:
                    new = np.roll(a, (k, -1), (0, 1))
                case 2:
                    cut = (slice(k, None), slice(None)) if axis == 0 else (slice(None), slice(k, None))
                    rest = (slice(-k, None), slice(None)) if axis == 0 else (slice(None), slice(-k, None))
                    new = np.concatenate([a[cut], b[rest]], axis)
                case 3:
                    new = np.sin(a) * b - a
                case 4:
                    new = a + 0.5 * b * a[:1]
                case 5:
                    new = a.copy()
                    new[k : k + 2, axis:] = b[1, axis:] * 2
                    new[:, 0] += 1.0
                case _:
                    a[k] = 0.25  # what was made of it before isn't changed by that
                    new = a.T.T - np.sum(b, axis=axis, keepdims=True)
            values.append(new)
        return tuple(values[-4:])

    return f


@pytest.mark.parametrize("seed", range(12))
def test_arrays_that_are_shifted_and_written_into(seed, monkeypatch):
    monkeypatch.setattr(margins, "SHORT", (1, 8, 10)[seed % 3])
    monkeypatch.setattr(stretch, "WORTH_COMPILING", 1)
    f = gpuad.lift(shuffled(seed))
    check(f, (normal(9, 7), normal(9, 7)), rtol=1e-12)
    g = value_and_grad(lambda x, y: sum(np.sum(z * z) for z in f(x, y)), (0, 1))
    check(g, (normal(9, 7), normal(9, 7)), rtol=1e-10, whole=False)


def test_shifted_arrays_arent_copied():
    def heat(u):
        for _ in range(6):
            u = u + 0.1 * (np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4 * u)
        return u

    (kernel,) = kernels(check(heat, (normal(64, 64),)))
    # A round is one nest, and two that fill margins along rows and columns: those of what is given, too, and of the
    # last round's result none.
    assert kernel.source.calls == 6 * 3 + 1


def rolled(x):
    return (
        np.roll(x, 1, 0) - np.roll(x, -3, 0) * x,
        np.roll(x, (2, -5), (0, 1)) + np.roll(x, 33, 1),
        np.roll(x, (1, 1, 1), (0, 1, 0)),
        np.roll(x.T, 4, 0)[::2] + x.T[:1],
        np.roll(np.roll(x, 1, 1), 1, 1) + np.roll(x, 0, 0),
        np.roll(x, 7) + x,
        np.sum(np.roll(x + x, 1, 1), axis=0),
    )


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i4", "?"])
@pytest.mark.parametrize("shape", [(40, 33), (3, 150), (150, 3)])
def test_rolls(shape, dtype):
    x = (4 * normal(*shape)).astype(dtype)
    if dtype == "?":
        check(lambda x: (np.roll(x, 1, 0) & np.roll(x, -3, 1), np.roll(x, 5) | x), (x,))
        return
    check(rolled, (x,), (np.asfortranarray(x),), (x[::-1],), rtol=1e-5 if dtype in ("f4", "c8") else 1e-13)


@pytest.mark.parametrize("shape", [(0, 40), (40, 0)])
def test_rolls_of_nothing(shape):
    def f(x, y):
        return np.roll(x, 1, 0), np.roll(x, 3), np.sin(y) + y[0], y * 2

    check(f, (np.zeros(shape), normal(4)), whole=False)


def test_large_arrays_that_python_rolls_arent_copied():
    def f(x):
        return np.roll(x, 1, 0), np.sin(x[0]) * x[1] + np.cumsum(x[2])

    (kernel,) = kernels(check(f, (normal(600, 600),), whole=False))
    assert kernel.source.inner_bytes < 600 * 8 * 10


def test_one_array_rolled_by_everything():
    def circular(x, w):
        return sum(w[k] * np.roll(x, k) for k in range(40))

    check(circular, (normal(40), normal(40)), rtol=1e-12)
    check(value_and_grad(lambda x, w: np.sum(circular(x, w) ** 2), (0, 1)), (normal(40), normal(40)), rtol=1e-11)


def summed(a, b, c, v, z):
    return (
        np.einsum("ij,jk->ik", a, b),
        np.einsum("ij,kj->ki", a, c),
        np.einsum("nij,njk->nik", z, z),
        np.einsum("i,j->ji", v, v * 2),
        np.einsum("nij,nij->n", z, z * 3),
        np.einsum("nij,j->ni", z, v),
        np.einsum("nij,j->in", z, v),
        np.einsum("ij,kl->", a, b),
        np.einsum("nij,kij->nk", z, z + 1),
        np.outer(v, v[1:]) + 1,
        np.tensordot(z, z, ((0, 1), (0, 1))),
        np.inner(a, c),
    )


def test_products_by_letters():
    check(summed, (normal(4, 3), normal(3, 5), normal(6, 3), normal(3), normal(2, 3, 3)), rtol=1e-12)


def writes(x):
    y = x * 2
    early = y[1:3] + 0.0
    y[0] = 5.0
    y[1:3] *= y[2:4]
    z = y[::-1]
    z[:2] = x[:2]
    kept = y + 0.0
    y[...] = y * y
    out = np.zeros((4, 3))
    out[1] = y[:3]
    out[:, 2] += 1
    return y, early, kept, z * 1, out


def test_writes():
    check(writes, (normal(6),), (normal(6),))


def program(x):
    for _ in range(3):
        y = np.concatenate([x[:1], x[1:-1] + 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2]), x[-1:]])
        x = np.where(y > 0.3, np.tanh(y), y * y) + np.roll(x, 2)
    return np.sum(x * x) + np.sum(np.exp(-x[::2]))


def net(p, x):
    for w, b in p[:-1]:
        x = np.tanh(x @ w + b)
    z = x @ p[-1][0] + p[-1][1]
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(z[:, 0] - np.log(np.sum(np.exp(z), axis=1)))


def test_derivatives():
    x = normal(9)
    check(value_and_grad(program), (x,), (x * 1.1,))
    check(hessian(program), (x,), whole=False, rtol=1e-11)
    p = [(normal(4, 5), normal(5)), (normal(5, 3), normal(3))]
    check(value_and_grad(net), (p, normal(6, 4)))
    check(vmap(grad(lambda w, x: np.sum(np.sin(w * x) ** 2)), in_axes=(None, 0)), (normal(4), normal(5, 4)))


# -- how it is done ---------------------------------------------------------------------------------------
def rounds(n):
    def f(x, w):
        for _ in range(n):
            x = np.tanh(x @ w) + 0.5 * np.roll(x, 1)
        return np.sum(x)

    return f


@pytest.mark.parametrize("change", [lambda f: f, grad], ids=["program", "gradient"])
def test_code_doesnt_grow_with_the_rounds_of_a_loop(change):
    args = normal(8), normal(8, 8) / 4
    (few,), (many,) = (kernels(check(change(rounds(n)), args, rtol=1e-11)) for n in (20, 60))
    assert many.source.functions == few.source.functions
    assert many.source.calls > 2.5 * few.source.calls
    assert len(many.source.text) == len(few.source.text)


def test_values_that_one_loop_knows_take_no_memory():
    (kernel,) = kernels(check(lambda x: np.sum(np.exp(np.sin(x) * 2 + 1) - x), (normal(100),)))
    assert kernel.source.calls == 1
    assert kernel.source.inner_bytes == 0


def test_python_does_what_c_cant():
    def f(x):
        y = np.sort(x * 2 + 1)
        z = np.exp(y) - y
        return np.cumsum(z * z + 1), np.linalg.inv(z[:4].reshape(2, 2) + np.eye(2)) * 2

    jitted = check(f, (normal(6),), whole=False)
    assert {"inv", "argsort"} <= {step.prim.name for step in steps_of(jitted)}


def test_large_arrays_arent_for_small_programs():
    def f(x, w):
        y = np.tanh(w @ w) * 2 + 1
        return np.concatenate([x[1:], x[:1]]) + x[::-1], y, x[:4] * y[0]

    jitted, args = jit(f), (normal(300_000), normal(4, 4))
    for _ in range(2):
        for got, want in zip(jitted(*args), f(*args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)
    (stretch,) = [step for step in steps_of(jitted) if type(step.prim) is Stretch]
    assert {step.prim.name for step in stretch.prim.steps} >= {"matmul", "tanh"}
    assert "concatenate" in [step.prim.name for step in steps_of(jitted)]


def test_steps_that_dont_need_it_go_before_a_stretch():
    def f(x):
        y = np.exp(x) + 1
        order = np.sort(x)
        return y * y - order

    names = [step.prim.name for step in steps_of(check(f, (normal(6),), whole=False))]
    assert names[-1] == "in C"
    assert names.count("in C") == 1


def test_arrays_that_lie_otherwise_than_before_are_copied():
    x = np.arange(12.0).reshape(3, 4)
    found = lying(x, (8, 24))
    assert found.strides == (8, 24)
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(lying(x, (32, -8)), x)
    f = lambda x: (x * 2 + 1) * x  # noqa: E731
    check(f, (x[:, ::-1],))
    check(f, (x[::2, 1:],))
    unaligned = np.frombuffer(bytes(1) + x.tobytes(), np.float64, offset=1).reshape(3, 4)
    check(f, (unaligned,))


def test_after_how_many_calls(monkeypatch):
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "")
    assert turns(0) == 0
    assert turns(1) > turns(100) > turns(10**6) == 1
    with np.errstate(over="raise"):
        assert turns(100) == 0
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")
    assert turns(100) == 0
    jitted = jit(rounds(5))
    args = normal(8), normal(8, 8)
    for _ in range(5):
        jitted(*args)
    assert not kernels(jitted)


def test_errors_that_are_asked_for_are_raised():
    f = lambda x: np.sum(1 / (x * x - x)) + 1  # noqa: E731
    with np.errstate(divide="raise"):
        jitted = jit(f)
        jitted(np.full(3, 2.0))
        jitted(np.full(3, 2.0))
        with pytest.raises(FloatingPointError):
            jitted(np.ones(3))


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("GPUAD_CC", "/nowhere/cc")
    jitted, args = jit(rounds(5)), (normal(8), normal(8, 8))
    for _ in range(3):
        np.testing.assert_allclose(jitted(*args), rounds(5)(*args), rtol=1e-13)
    assert not kernels(jitted)


def test_a_mistake_in_compiling_is_said_and_does_no_harm(monkeypatch):
    from gpuad.native import lowering

    def mistaken(*args):
        raise KeyError("a mistake")

    monkeypatch.setattr(lowering.Lowering, "map", mistaken)
    jitted, args = jit(rounds(5)), (normal(8), normal(8, 8))
    jitted(*args)
    with pytest.warns(RuntimeWarning, match="stays in Python.*KeyError: 'a mistake'"):
        found = jitted(*args)
    np.testing.assert_allclose(found, rounds(5)(*args), rtol=1e-13)
    np.testing.assert_allclose(jitted(*args), rounds(5)(*args), rtol=1e-13)
    assert not kernels(jitted)


def test_branches():
    def f(x):
        y = np.sin(x) * 2 + x
        if np.sum(y) > 0:
            return np.exp(y) * x - 1
        z = y * y - 1
        return z + 1 if z[0] > 0 else np.cos(z) + y

    jitted = jit(f)
    for _ in range(2):
        for x in (np.ones(3), -np.ones(3), -0.1 * np.ones(3), normal(3)):
            np.testing.assert_allclose(jitted(x), f(x), rtol=1e-13)
    assert "in C" in [step.prim.name for step in steps_of(jitted)]


def test_threads_share_a_kernel():
    f = value_and_grad(lambda x: rounds(30)(x, weights))
    weights = normal(8, 8) / 4
    jitted = jit(f)
    inputs = [normal(8) for _ in range(40)]
    wanted = [f(x) for x in inputs]
    jitted(inputs[0])
    wrong = []

    def work():
        for x, (value, g) in zip(inputs * 5, wanted * 5, strict=True):
            found = jitted(x)
            if not (np.allclose(found[0], value, 1e-12) and np.allclose(found[1], g, 1e-11)):
                wrong.append(x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_results_are_arrays_of_their_own():
    jitted = jit(lambda x: (x * 2, x * 2 + 1, (x * 2)[1:]))
    x = normal(5)
    jitted(x)
    a, b, c = jitted(x)
    again = jitted(x)
    a[...] = 0
    assert not np.may_share_memory(a, c)
    np.testing.assert_array_equal(again[0], x * 2)
    np.testing.assert_array_equal(c, x[1:] * 2)
    np.testing.assert_array_equal(b, x * 2 + 1)


def test_lower_shows_the_program_and_the_c():
    jitted, args = jit(rounds(3)), (normal(8), normal(8, 8))
    jitted(*args)
    before = str(jitted.lower(*args))
    lowered = jitted.lower(*args)
    assert str(lowered) == before
    assert lowered.graph.count("tanh") == 3
    (text,) = lowered.kernels
    assert "tanh(" in text
    cost = jitted.cost(*args)
    assert cost.steps >= 3 * 4
    assert cost.multiply_adds == 3 * 64
    assert cost.peak_bytes > 0

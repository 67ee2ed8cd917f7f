"""Memory that kernels write: used again, and never while somebody can see it."""

import threading

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, stop_gradient, value_and_grad, vjp
from gpuad.backend import numpy_backend
from gpuad.fused import pool
from gpuad.fused.pending import LARGE

N = 2 * LARGE[numpy_backend] // 8  # float64 entries, well above the limit


def chain(np, x, n=12):
    for _ in range(n):
        x = np.tanh(x) * 1.5 + 0.25
    return np.sum(x)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=N)


def one_by_one(f, *args):
    """What a program gives without kernels."""
    with gpuad.fusion(False):
        return f(*args)


def clobber(x):
    """Run programs that write into every buffer that is handed out."""
    for _ in range(3):
        grad(lambda x: gnp.sum(gnp.sin(x) * x * x + gnp.exp(-x * x)))(x)


def memory(a):
    while getattr(a, "base", None) is not None:
        a = a.base
    return id(a)


def test_values_are_those_without_kernels(x):
    f = value_and_grad(lambda x: chain(gnp, x))
    value, g = f(x)
    value_one_by_one, g_one_by_one = one_by_one(f, x)
    assert np.isclose(value, value_one_by_one, rtol=1e-12)
    assert np.allclose(g, g_one_by_one, rtol=1e-12, atol=0)


def test_buffers_are_used_again(x, monkeypatch):
    take, taken = pool.take, []

    def noted(shape, dtype):
        buffer = take(shape, dtype)
        taken.append(id(buffer))  # the pool keeps it
        return buffer

    def f(x):
        for _ in range(pool.KEPT // 2):
            x = gnp.sort(gnp.sin(x))  # what a kernel can't do stands between
        return gnp.sum(x)

    monkeypatch.setattr(pool, "take", noted)
    grad(f)(x)
    assert len(set(taken)) <= pool.KEPT
    assert len(set(taken)) < len(taken)


def test_results_are_plain_arrays_with_memory_of_their_own(x):
    value, pullback = vjp(lambda x: (gnp.tanh(x), x * 2.0), x)
    gradients = [pullback(value)[0] for _ in range(2)]
    found = [*value, *gradients]
    assert all(type(a) is np.ndarray for a in found)
    assert len({memory(a) for a in [x, *found]}) == 1 + len(found)
    copies = [a.copy() for a in found]
    clobber(x)
    assert all(map(np.array_equal, found, copies))


def test_aux_keeps_its_values(x):
    def f(x):
        h = gnp.tanh(x)
        return gnp.sum(h * h), {"whole": h, "view": h[3:9], "matrix": h.reshape(2, -1).T}

    (_, aux), g = value_and_grad(f, has_aux=True)(x)
    copies = {name: a.copy() for name, a in aux.items()}
    g_copy = g.copy()
    g[:] = 0.0  # a gradient is the user's, too
    clobber(x)
    assert np.array_equal(aux["whole"], np.tanh(x))
    for name, a in aux.items():
        assert type(a) is np.ndarray
        assert np.array_equal(a, copies[name]), name
    assert not np.array_equal(g, g_copy)


def test_constants_that_a_program_keeps(x):
    kept = []

    def f(x):
        h = gnp.sin(x)
        kept.append(stop_gradient(h))
        kept.append(stop_gradient(h)[::2])
        kept.append(stop_gradient(h) * 2.0)
        return chain(gnp, h * stop_gradient(h))

    grad(f)(x)
    clobber(x)
    assert np.array_equal(kept[0], np.sin(x))
    assert np.array_equal(kept[1], np.sin(x)[::2])
    assert np.array_equal(kept[2], np.sin(x) * 2.0)


def test_a_view_in_a_closure(x):
    """A view is all that is left of a buffer: the buffer isn't free."""
    views = []

    def f(x):
        views.append(stop_gradient(gnp.cos(x))[10:20])
        return chain(gnp, x)

    grad(f)(x)
    clobber(x)
    assert np.array_equal(views[0], np.cos(x)[10:20])


def test_a_memory_view_holds_its_buffer(x):
    held = []

    def f(x):
        held.append(memoryview(stop_gradient(gnp.cos(x))))
        return chain(gnp, x)

    grad(f)(x)
    clobber(x)
    assert np.array_equal(np.asarray(held[0]), np.cos(x))


def test_input_is_left_alone(x):
    before = x.copy()
    x.flags.writeable = False
    grad(lambda x: chain(gnp, x + x) + gnp.sum(x * x))(x)
    assert np.array_equal(x, before)


def test_gradient_of_an_input_used_as_it_is(x):
    g = grad(lambda x: gnp.sum(x))(x)
    g += 1.0
    assert np.array_equal(g, np.full(N, 2.0))


def test_nested_gradients(x):
    def f(x):
        inner = grad(lambda y: chain(gnp, y * x, 3))(x)
        return gnp.sum(inner * gnp.sin(x))

    assert np.allclose(grad(f)(x), one_by_one(grad(f), x), rtol=1e-12, atol=0)


def test_inner_gradient_of_a_constant_between_operations(x):
    """The inner sweep empties the pool while the outer program still holds buffers."""

    def f(x):
        h = gnp.exp(-x * x)
        slope = grad(lambda y: chain(gnp, y, 2))(stop_gradient(h))
        return gnp.sum(h * slope * h)

    assert np.allclose(grad(f)(x), one_by_one(grad(f), x), rtol=1e-12, atol=0)


def test_threads_do_not_share_buffers(x):
    wants = [grad(lambda x, k=k: chain(gnp, x * k))(x) for k in (1.0, 2.0)]
    found = {}

    def work(k):
        found[k] = [grad(lambda x: chain(gnp, x * k))(x) for _ in range(4)]

    threads = [threading.Thread(target=work, args=(k,)) for k in (1.0, 2.0)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, want in zip((1.0, 2.0), wants, strict=True):
        assert all(np.allclose(got, want, rtol=1e-6, atol=0) for got in found[k])


def test_traced_values_go_to_another_thread(x):
    def f(x):
        h = gnp.tanh(x)
        parts = {}
        thread = threading.Thread(target=lambda: parts.update(a=chain(gnp, h)))
        thread.start()
        b = chain(gnp, gnp.sin(h))
        thread.join()
        return parts["a"] + b

    assert np.allclose(grad(f)(x), one_by_one(grad(f), x), rtol=1e-12, atol=0)


def test_an_exception_in_the_middle(x):
    kept = []

    def f(x):
        h = gnp.tanh(x)
        kept.append(stop_gradient(h))
        raise KeyError("stop")

    with pytest.raises(KeyError):
        grad(f)(x)
    assert pool._pool.buffers == []
    want = grad(lambda x: chain(gnp, x))(x)
    assert np.array_equal(kept[0], np.tanh(x))
    assert np.array_equal(grad(lambda x: chain(gnp, x))(x), want)


def test_the_pool_is_empty_afterwards(x):
    value_and_grad(lambda x: chain(gnp, x))(x)
    assert pool._pool.buffers == []
    _, pullback = vjp(lambda x: gnp.tanh(x) * 2.0, x)
    assert pool._pool.buffers == []
    pullback(x)
    assert pool._pool.buffers == []


def test_what_a_program_keeps_takes_nothing_outside(x):
    """A constant that outlives its program is an ordinary array."""
    kept = []

    def f(x):
        kept.append(stop_gradient(gnp.tanh(x)))
        return gnp.sum(x)

    grad(f)(x)
    kept[0] * 2.0 + 1.0
    assert pool._pool.buffers == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(x, dtype):
    x = x.astype(dtype)
    g = grad(lambda x: gnp.sum(gnp.tanh(x) * 2.0 + x**3 + x * np.float32(0.5)))(x)
    assert g.dtype == dtype


def test_layouts_other_than_plain(x):
    a = x.reshape(64, -1)
    for view in (a.T, a[:, ::2], a[::-1]):
        f = grad(lambda a, view=view: gnp.sum(gnp.tanh(a) * view * gnp.sin(a)))
        assert np.allclose(f(view), one_by_one(f, view), rtol=1e-12, atol=0)


def test_updates_in_place_of_what_a_rule_returned(x):
    """The sweep adds into buffers of its own; here an input has many uses, and one cotangent goes to two."""

    def f(x, y):
        s = x + y
        return gnp.sum(s * s + x * s + s * y + x + y)

    for got, want in zip(grad(f, (0, 1))(x, x), one_by_one(grad(f, (0, 1)), x, x), strict=True):
        assert np.allclose(got, want, rtol=1e-12, atol=0)


def test_user_primitives_get_plain_arrays(x):
    types = []

    @gpuad.primitive
    def cube(x):
        types.append(type(x))
        return x**3

    def rule(g, ans, x):
        types.extend(map(type, (g, x)))
        return 3 * g * x**2

    gpuad.defvjp(cube, rule)
    g = grad(lambda x: gnp.sum(cube(gnp.sin(x)) * 2.0))(x)
    assert set(types) == {np.ndarray}
    assert np.allclose(g, 6.0 * np.sin(x) ** 2 * np.cos(x))

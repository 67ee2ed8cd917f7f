"""Products of a long matrix with a narrow one, in C of our own."""

from __future__ import annotations

import numpy as np
import pytest

from gpuad import jit, value_and_grad
from gpuad.core.box import make_spec
from gpuad.fused import compiler, host
from gpuad.native import narrow

rng = np.random.default_rng(11)


@pytest.fixture
def in_c(monkeypatch):
    if compiler.unavailable():
        pytest.skip(f"no C: {compiler.unavailable()}")
    monkeypatch.setattr(narrow, "WORTH_COMPILING", 1)
    monkeypatch.setattr(narrow, "TASK", 1 << 16)

    def product(dtype, columns):
        return narrow.Product(np.dtype(dtype), columns)

    return product


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [2, 3, 8, 10, 16])
@pytest.mark.parametrize(("rows", "width"), [(2000, 37), (1029, 600), (513, 1), (7, 5), (1, 1)])
def test_both_ways(in_c, dtype, columns, rows, width):
    x, w, g = (rng.normal(size=shape).astype(dtype) for shape in ((rows, width), (width, columns), (rows, columns)))
    f = in_c(dtype, columns)
    eps = np.finfo(dtype).eps
    for a, b in ((x, w), (x.T, g), (x, np.asfortranarray(w)), (x.T, np.asfortranarray(g))):
        exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
        bound = 4 * eps * (np.abs(a).astype(np.longdouble) @ np.abs(b)) * max(a.shape[1], 16) ** 0.5
        got = f(a, b)
        assert f.library.ready(0) is not None
        assert got.dtype == dtype
        assert (np.abs(got - exact) <= bound).all()
        out = np.full(exact.shape, np.nan, dtype)
        assert f(a, b, out) is out
        np.testing.assert_array_equal(out, got)


def test_infinities_and_nan_stay_in_their_rows(in_c):
    x, w = np.ones((100, 50)), np.ones((50, 3))
    x[17, 3], x[55, 7] = np.inf, np.nan
    got = in_c(np.float64, 3)(x, w)
    assert np.isinf(got[17]).all()
    assert np.isnan(got[55]).all()
    assert np.isfinite(np.delete(got, [17, 55], 0)).all()


def test_the_number_of_threads_changes_nothing(in_c, monkeypatch):
    x, w, g = rng.normal(size=(3000, 70)), rng.normal(size=(70, 10)), rng.normal(size=(3000, 10))
    f = in_c(np.float64, 10)
    monkeypatch.setattr(host, "threads", lambda: 1)
    alone = f(x, w), f(x.T, g)
    monkeypatch.setattr(host, "threads", lambda: 4)
    for _ in range(3):
        np.testing.assert_array_equal(f(x, w), alone[0])
        np.testing.assert_array_equal(f(x.T, g), alone[1])


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(host, "threads", lambda: 2)

    def work(k):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        host.spread(work, 8)


def test_numpy_does_it_where_there_is_no_compiler(in_c, monkeypatch):
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")
    x, w = rng.normal(size=(300, 20)), rng.normal(size=(20, 5))
    f = in_c(np.float64, 5)
    np.testing.assert_array_equal(f(x, w), x @ w)
    assert f.library.ready(0) is None


def test_which_products():
    def fits(x, y, dtype=np.float64, other=np.float64):
        strides = np.empty(x, dtype).strides
        return narrow.fits(make_spec(x, np.dtype(dtype)), make_spec(y, np.dtype(other)), strides)

    assert fits((20000, 784), (784, 10))
    assert fits((20000, 784), (784, 10), np.float32, np.float32)
    assert not fits((20000, 784), (784, 1))
    assert not fits((20000, 784), (784, 64))
    assert not fits((256, 512), (512, 10))  # short: BLAS is as fast
    assert not fits((20000, 784), (784, 10), np.float32)
    assert not fits((20000, 784), (784, 10), np.complex128, np.complex128)
    assert not fits((700, 1400), (1400, 10))
    assert not fits((3, 700, 700), (700, 10))
    x = np.empty((784, 2000)).T
    assert not narrow.fits(make_spec(x.shape, x.dtype), make_spec((784, 10), x.dtype), x.strides)
    x = np.empty((2000, 784)).T
    assert narrow.fits(make_spec(x.shape, x.dtype), make_spec((2000, 10), x.dtype), x.strides)


def test_in_a_program(monkeypatch):
    monkeypatch.setattr(narrow, "WORTH_COMPILING", 1)
    calls = []
    real = narrow.Product.__call__

    def counted(self, *args):
        calls.append(args[0].shape)
        return real(self, *args)

    monkeypatch.setattr(narrow.Product, "__call__", counted)
    x, y, w = rng.normal(size=(3000, 200)), rng.normal(size=(3000, 5)), rng.normal(size=(200, 5))

    def loss(w):
        return np.sum((np.tanh(x @ w) - y) ** 2)

    f = value_and_grad(loss)
    jitted = jit(f)
    for scale in (1.0, 0.5, 1.0):
        del calls[:]
        value, g = jitted(w * scale)
        want, g_want = f(w * scale)
        np.testing.assert_allclose(value, want, rtol=1e-12)
        np.testing.assert_allclose(g, g_want, rtol=1e-9, atol=1e-9)
    assert calls == [(3000, 200), (200, 3000)]

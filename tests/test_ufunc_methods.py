"""The methods of NumPy's ufuncs: ``numpy.maximum.accumulate`` and the like."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import grad, vjp
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

X = np.array([[1.2, 0.7, 1.9, 0.6, 1.1], [0.9, 1.6, 0.8, 1.3, 0.5], [1.7, 1.05, 0.55, 1.4, 1.95]])
REDUCING = "add multiply maximum minimum fmax fmin logaddexp logaddexp2 hypot".split()
ALL = [*REDUCING, "subtract", "divide"]


def checked(f, *args):
    """Values and dtype as NumPy's, gradients to second order as central differences."""
    want = f(*args)
    got = vjp(f, *args)[0]
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-12)
    check_grads(f, args, order=2)


@pytest.mark.parametrize("name", ALL)
def test_reduce(name):
    ufunc = getattr(np, name)
    checked(lambda x: ufunc.reduce(x), X)
    checked(lambda x: ufunc.reduce(x, axis=-1, keepdims=True), X)
    checked(lambda x: ufunc.reduce(x, 1, initial=1.3), X)
    assert grad(lambda x: ufunc.reduce(x, axis=None))(X[0].astype("float32")).dtype == "float32"


@pytest.mark.parametrize("name", REDUCING)
def test_reduce_along_several_axes(name):
    ufunc = getattr(np, name)
    checked(lambda x: ufunc.reduce(x, axis=None), X)
    checked(lambda x: ufunc.reduce(x.reshape(3, 5, 1), axis=(0, 2)), X)


@pytest.mark.parametrize("name", "add multiply maximum minimum fmax fmin".split())
def test_reduce_where(name):
    ufunc = getattr(np, name)
    checked(lambda x: ufunc.reduce(x, axis=1, initial=0.95, where=X > 1.0), X)


@pytest.mark.parametrize("name", ALL)
def test_accumulate_reduceat_and_outer(name):
    ufunc = getattr(np, name)
    checked(lambda x: ufunc.accumulate(x), X)
    checked(lambda x: ufunc.accumulate(x, axis=1), X)
    checked(lambda x: ufunc.accumulate(x[:, :1], axis=1), X)
    checked(lambda x: ufunc.reduceat(x, [0, 3, 1, 4], axis=1), X)
    checked(lambda x: ufunc.reduceat(x, [2]), X)
    checked(lambda x: ufunc.reduceat(x, [], axis=1), X)
    checked(lambda x, y: ufunc.outer(x, y), X[0], X[1:, :2])
    checked(lambda y: ufunc.outer([1.0, 2.0], y), X[0])


def test_what_is_infinite():
    x = np.array([0.5, -np.inf, 1.0])
    np.testing.assert_allclose(grad(lambda x: np.logaddexp.reduce(x))(x), [0.37754067, 0, 0.62245933])
    nothing = np.full(2, -np.inf)
    assert vjp(lambda x: np.logaddexp.reduce(x), nothing)[0] == -np.inf
    np.testing.assert_array_equal(grad(lambda x: np.logaddexp.reduce(x))(nothing), [0, 0])
    assert vjp(lambda x: np.logaddexp.reduce(x[:0]), x)[0] == -np.inf
    assert grad(lambda x: np.logaddexp2.reduce(x))(np.array([1e4, 0.0]))[0] == 1


def test_what_has_no_derivative():
    found = []

    def f(x):
        found.append((np.less.outer(x, x), np.logical_and.reduce(x), np.logical_or.accumulate(x > 1)))
        return np.sum(x)

    grad(f)(X[0])
    np.testing.assert_array_equal(found[0][0], np.less.outer(X[0], X[0]))
    assert found[0][1]
    np.testing.assert_array_equal(found[0][2], np.logical_or.accumulate(X[0] > 1))


def test_what_is_refused():
    for f in (np.power.reduce, np.arctan2.accumulate, lambda x: np.hypot.reduce(x, where=x > 1)):
        with pytest.raises(UnsupportedError, match="traced"):
            grad(lambda x, f=f: np.sum(f(x)))(X[0])
    with pytest.raises(ValueError, match="one axis"):
        grad(lambda x: np.subtract.reduce(x, axis=None))(X)
    with pytest.raises(IndexError, match="reduceat"):
        grad(lambda x: np.sum(np.add.reduceat(x, [0, 5])))(X[0])


def test_on_a_device(backend):
    x = backend.asarray(X)
    for name in ALL:
        ufunc = getattr(np, name)
        for call in (
            ufunc.reduce,
            ufunc.accumulate,
            lambda x, u=ufunc: u.outer(x, x),
            lambda x, u=ufunc: u.reduceat(x, [0, 2]),
        ):
            value, pullback = gpuad.vjp(call, x)
            np.testing.assert_allclose(backend.to_numpy(value), call(X), rtol=1e-12)
            (g,) = pullback(value)
            assert backend.owns(type(g))

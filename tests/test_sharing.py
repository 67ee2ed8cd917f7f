"""Which arrays share memory, and which don't: function by function and layout by layout as NumPy has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, value_and_grad
from gpuad.errors import UnsupportedError

X = np.arange(1.0, 13.0)


def written_into_by_a_transpose(np, x):
    a = np.zeros_like(x.reshape(3, 4))
    a[...] = x.reshape(4, 3).T
    return a


LAYOUTS = {
    "C": lambda np, x: x.reshape(3, 4) * 1.0,
    "F": lambda np, x: (x.reshape(4, 3) * 1.0).T,
    "columns": lambda np, x: (np.outer(x, [1.0, 2.0]) * 1.0).reshape(3, 8)[:, ::2],
    "rows": lambda np, x: (np.outer(x, [1.0, 2.0]) * 1.0).reshape(6, 4)[::2],
    "backwards": lambda np, x: (x.reshape(3, 4) * 1.0)[::-1, ::-1],
    "vector": lambda np, x: x * 1.0,
    "steps": lambda np, x: np.outer(x, [1.0, 2.0]).reshape(-1)[::2],
    "axes in another order": lambda np, x: (x.reshape(2, 3, 2) * 1.0).transpose(2, 0, 1),
    "copy of a transpose": lambda np, x: x.reshape(3, 4).T.copy(),
    "np.copy of a transpose": lambda np, x: np.copy(x.reshape(3, 4).T),
    "copy in F's order": lambda np, x: x.reshape(3, 4).copy(order="F"),
    "astype": lambda np, x: x.reshape(3, 4).T[:, :2].astype(float),
    "zeros_like": lambda np, x: np.zeros_like(x.reshape(3, 4).T) + 0 * x[0],
    "ones_like": lambda np, x: np.ones_like(x.reshape(3, 4).T, order="C"),
    "full_like": lambda np, x: np.full_like(x.reshape(3, 4), 1.5, order="F"),
    "written into": written_into_by_a_transpose,
    "sum": lambda np, x: x.reshape(3, 4) + x.reshape(4, 3).T,
    "product": lambda np, x: (x.reshape(4, 3).T @ x.reshape(4, 3)).T,
    "take": lambda np, x: np.take(x.reshape(3, 4), [0, 1, 3], axis=1),
    "columns by number": lambda np, x: x.reshape(3, 4)[:, [0, 1, 3]],
    "sort": lambda np, x: np.sort(x.reshape(3, 4).T, axis=0),
    "tile": lambda np, x: np.tile(x, (2, 1)),
    "meshgrid": lambda np, x: np.meshgrid(x[:3], x[:4])[0],
    "insert": lambda np, x: np.insert(x.reshape(3, 4), 1, 5.0, axis=1),
    "delete": lambda np, x: np.delete(x.reshape(3, 4), 1, axis=1),
}
FUNCTIONS = {
    "reshape": lambda np, a: a.reshape(-1),
    "reshape F": lambda np, a: np.reshape(a, -1, order="F"),
    "reshape A": lambda np, a: np.reshape(a, -1, order="A"),
    "reshape to another": lambda np, a: np.reshape(a, a.shape[::-1]),
    "ravel": lambda np, a: a.ravel(),
    "ravel F": lambda np, a: np.ravel(a, order="F"),
    "ravel K": lambda np, a: np.ravel(a, order="K"),
    "flatten": lambda np, a: a.flatten(),
    "T": lambda np, a: a.T,
    "flip": lambda np, a: np.flip(a),
    "ravel flipped": lambda np, a: a[::-1].ravel(),
    "part of T": lambda np, a: a.T[1:].reshape(-1),
    "rows": lambda np, a: a[1:].reshape(-1),
    "asarray": lambda np, a: np.asarray(a),
    "asarray C": lambda np, a: np.asarray(a, order="C"),
    "ascontiguousarray": lambda np, a: np.ascontiguousarray(a),
    "asfortranarray": lambda np, a: np.asfortranarray(a),
    "array": lambda np, a: np.array(a),
    "astype": lambda np, a: a.astype(float),
    "astype, no copy": lambda np, a: a.astype(float, copy=False),
    "astype C, no copy": lambda np, a: a.astype(float, order="C", copy=False),
    "sum": lambda np, a: np.sum(a[None], axis=0),
}
WEIGHTS = np.cos(np.arange(1.0, 40.0))


def weigh(a):
    return sum(a[i] * w for i, w in zip(np.ndindex(a.shape), WEIGHTS, strict=False))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_is_seen_where_numpy_sees_it(layout):
    for name, (earlier, into) in itertools.product(FUNCTIONS, itertools.product((False, True), repeat=2)):

        def f(np, x, name=name, earlier=earlier, into=into):
            a = LAYOUTS[layout](np, x)
            if earlier:
                a[..., 0] = a[..., 0] * 1.5
            b = FUNCTIONS[name](np, a)
            if into:
                b[...] = b * 2.0 + 1.0
            else:
                a[...] = a * 2.0 + 1.0
            return weigh(a) + 2.5 * weigh(b)

        value = value_and_grad(lambda x, f=f: f(gnp, x))(X)[0]
        np.testing.assert_allclose(value, f(np, X), rtol=1e-11, err_msg=f"{name}, {earlier=}, {into=}")


def test_an_argument_that_lies_scattered():
    """What is a copy of it stays one after it was written into."""

    def f(x):
        x[0] = x[1] * 2.0
        for flat in (x.reshape(-1), x.ravel(), x[::-1].reshape(-1)):
            flat[2] = 10.0
        return weigh(x * x)

    wide = np.outer(X, [1.0, 2.0, 3.0])
    scattered = [wide[:, :2], wide[::2, 1:], wide[:, ::2], wide[::-1], wide.T[:, ::3], wide[:, :1], wide[:6, ::-1].T]
    scattered += [wide[:, ::2].reshape(2, 6, 2), wide.reshape(2, 6, 3)[:, ::2], wide.reshape(2, 6, 3)[:, :, 1].T]
    for a in scattered:
        value = value_and_grad(f)(a)[0]
        np.testing.assert_allclose(value, f(a))  # which writes into a


def test_arrays_of_shape_0():
    def f(np, x):
        a = np.array(x[0])
        b = a
        a += x[1]
        a[...] = a * x[2]
        a[()] *= 2.0
        np.add(a, b, out=a)
        c = np.zeros(())
        c += a * a
        np.sum(x, out=b)
        return a * x[0] + c

    x = X[:3]
    want = [(f(np, x + h) - f(np, x - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(grad(lambda x: f(gnp, x))(x), want, rtol=1e-8)
    np.testing.assert_allclose(gpuad.jvp(lambda x: f(gnp, x), (x,), (X[3:6],))[1], X[3:6] @ want, rtol=1e-8)
    curved = grad(lambda x: grad(lambda x: f(gnp, x))(x) @ X[3:6])(x)
    np.testing.assert_allclose(gpuad.jvp(grad(lambda x: f(gnp, x)), (x,), (X[3:6],))[1], curved, rtol=1e-12)


def test_a_plain_array_that_would_not_see_what_is_written():
    def f(x, keep):
        a = gnp.zeros(3)
        plain = np.asarray(a)
        total = plain.sum()
        if not keep:
            del plain
        a[0] = 2.0
        return x * a.sum() + total

    with pytest.raises(UnsupportedError, match=r"numpy\.asarray"):
        grad(f)(1.0, True)
    assert grad(f)(1.0, False) == 2.0
    assert grad(lambda x: x * np.array(gnp.zeros(3)).sum())(1.0) == 0.0

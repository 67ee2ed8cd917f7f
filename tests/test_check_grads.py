"""check_grads finds what is wrong, and says where."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gpuad
from gpuad.core import batch
from gpuad.test_util import check_grads

X = np.array([[0.3, -0.7, 1.2], [0.5, 0.1, -0.4]])


def wrong_at(k, order=1):
    """A cube whose derivative is wrong in entry number ``k``, or whose second is."""

    @gpuad.primitive
    def cube(x):
        return x**3

    off = np.zeros(X.size)
    off[k] = 0.125
    off = off.reshape(X.shape)

    @gpuad.primitive
    def square(x):
        return 3.0 * x**2

    gpuad.defvjp(square, lambda g, ans, x: g * (6.0 * x + (off if order == 2 else 0.0)))
    gpuad.defvjp(cube, lambda g, ans, x: g * (square(x) + (off if order == 1 else 0.0)))
    return cube


def test_what_is_right_passes():
    for how in ({}, {"complex_step": True}, {"modes": ["fwd", "rev", "batched"]}, {"order": 3}):
        check_grads(lambda x, p: np.sin(x) * p["k"] + np.exp(p["y"][0]), [X, {"k": 2.0, "y": (X,)}], **how)
    check_grads(lambda z: np.exp(z) * z, [X + 1j * X[::-1]])
    check_grads(lambda x: np.tanh(x), [X.astype(np.float32)], complex_step=True)


def test_the_worst_entry_by_reverse_mode():
    with pytest.raises(AssertionError) as caught:
        check_grads(lambda p, y: wrong_at(4)(p["x"]) * y, [{"x": X}, 2.0], modes=["rev"])
    message = str(caught.value)
    assert "reverse mode" in message and "the central difference" in message
    assert "argument 0['x'] at [1, 1]" in message
    exact, numeric = map(float, re.search(r"1\]: (\S+), where the reference gives (\S+)", message).groups())
    u_times_2 = numeric / (3 * X[1, 1] ** 2)
    np.testing.assert_allclose(exact, u_times_2 * (3 * X[1, 1] ** 2 + 0.125), rtol=1e-6)


def test_the_worst_entry_by_forward_mode():
    with pytest.raises(AssertionError, match=r"forward mode.*output\['y'\] at \[0, 2\]"):
        check_grads(lambda x: {"z": x, "y": wrong_at(2)(x)}, [X], modes=["fwd"])


def test_the_worst_entry_of_the_second_derivative():
    with pytest.raises(AssertionError, match=r"vjp of .*argument 0 at \[1, 2\]"):
        check_grads(wrong_at(5, order=2), [X], modes=["rev"])
    check_grads(wrong_at(5, order=2), [X], order=1)


def test_the_worst_entry_of_a_complex_gradient():
    @gpuad.primitive
    def square(z):
        return z**2

    gpuad.defvjp(square, lambda g, ans, z: g * 2.0 * z * np.array([1.0, 1.0, 1.0j]))
    z = X[0] + 1j * X[1]
    with pytest.raises(AssertionError, match=r"argument 0 at \[2\]"):
        check_grads(lambda z: np.real(square(z)) + np.imag(z), [z], modes=["rev"])


def test_the_worst_of_many_entries():
    x = np.linspace(0.5, 1.0, 5000)

    @gpuad.primitive
    def cube(x):
        return x**3

    off = np.zeros(5000)
    off[4321] = 1e4
    gpuad.defvjp(cube, lambda g, ans, x: g * (3.0 * x**2 + off))
    with pytest.raises(AssertionError, match=r"at \[4321\]"):
        check_grads(cube, [x], modes=["rev"], order=1)


def test_the_complex_step_sees_what_differences_cannot():
    @gpuad.primitive
    def f(x):
        return x**3

    gpuad.defvjp(f, lambda g, ans, x: g * 3.0 * x**2 * (1.0 + 1e-9))
    check_grads(f, [X], order=1)
    with pytest.raises(AssertionError, match="the complex step"):
        check_grads(f, [X], order=1, complex_step=True)
    with pytest.raises(ValueError, match="real numbers"):
        check_grads(np.exp, [X + 1j], complex_step=True)


def test_batches_are_compared_with_their_examples(monkeypatch):
    monkeypatch.setattr(batch, "_warned", set())

    @gpuad.primitive
    def f(x):
        return x**2

    calls = []

    def rule(g, ans, x):
        calls.append(1)
        return g * 2.0 * x * (1.0 if len(calls) < 3 else 1.5)

    gpuad.defvjp(f, rule)
    with pytest.warns(RuntimeWarning), pytest.raises(AssertionError, match="under vmap: example"):
        check_grads(f, [X], modes=["batched"], order=1)
    with pytest.raises(ValueError, match="modes"):
        check_grads(f, [X], modes=["backwards"])


# -- sparse -----------------------------------------------------------------------------------------------
def differences_of(p):
    return {"d": np.diff(p["x"].reshape(-1)) ** 2 * p["k"], "s": p["x"][0] * 3.0}


def test_sparse_derivatives_that_are_right_pass():
    check_grads(differences_of, [{"x": X, "k": 2.0}], modes=["sparse"])
    check_grads(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), [X.reshape(-1)], modes=["sparse", "rev"])
    check_grads(lambda x, y: np.sum(x[1:] * np.exp(x[:-1] * y)), [X[0], 1.5], modes=["sparse"], complex_step=True)
    check_grads(lambda x: np.tanh(x) * x[:, ::-1], [X.astype(np.float32)], modes=["sparse"])
    with pytest.raises(ValueError, match="real numbers"):
        check_grads(np.exp, [X + 1j], modes=["sparse"])


def test_the_worst_entry_of_a_sparse_jacobian():
    with pytest.raises(AssertionError) as caught:
        check_grads(lambda p: {"y": wrong_at(4)(p["x"])}, [{"x": X}], modes=["sparse"], order=1)
    message = str(caught.value)
    assert "sparse Jacobian" in message
    assert "of output['y'] at [1, 1] and argument 0['x'] at [1, 1]" in message
    got, want = map(float, re.search(r"is (\S+), but the central difference gives (\S+)", message).groups())
    np.testing.assert_allclose([got, want], [3 * X[1, 1] ** 2 + 0.125, 3 * X[1, 1] ** 2], rtol=1e-6)


def test_the_worst_entry_of_a_sparse_hessian():
    with pytest.raises(AssertionError, match=r"sparse Hessian.*argument 0 at \[1, 2\] and argument 0 at \[1, 2\]"):
        check_grads(lambda x: np.sum(wrong_at(5, order=2)(x)), [X], modes=["sparse"])


def test_a_pattern_that_misses_an_entry(monkeypatch):
    from gpuad.transforms import sparse

    detect = sparse.jacobian_sparsity

    def without_one(f, argnum=0):
        def found(x):
            pattern = detect(f, argnum)(x).pattern.tolil()
            pattern[2, 3] = False
            return sparse.Sparsity(pattern.tocsr())

        return found

    monkeypatch.setattr(sparse, "jacobian_sparsity", without_one)
    with pytest.raises(AssertionError, match=r"output at \[2\] and argument 0 at \[3\], isn't in the detected pattern"):
        check_grads(np.diff, [X.reshape(-1)], modes=["sparse"], order=1)

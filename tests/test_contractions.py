"""Products and norms, beyond what the samples say: corners, options, errors, dtypes, memory."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, vjp
from gpuad.backend.numpy_backend import _where
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads


def traced(f, *shapes):
    """Run ``f`` on traced arrays of ones."""
    return vjp(f, *(np.ones(s) for s in shapes))[0]


@pytest.mark.parametrize("norm", [np.linalg.norm, lambda x: np.linalg.norm(x, 3), lambda x: np.linalg.vector_norm(x)])
def test_the_gradient_of_a_norm_at_zero_is_zero(norm):
    np.testing.assert_array_equal(grad(norm)(np.zeros(3)), np.zeros(3))


def test_a_norm_of_rows_of_which_one_is_zero():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(x), [[0.6, 0.8], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("f", "error", "says"),
    [
        (lambda x: np.linalg.norm(x, "abc"), ValueError, "abc"),
        (lambda x: np.linalg.norm(x, axis=7), np.exceptions.AxisError, "axis 7"),
        (lambda x: np.linalg.norm(x, axis=(0, 0)), ValueError, "twice"),
        (lambda x: np.linalg.norm(x[None], 1), ValueError, "3 axes"),
        (lambda x: x @ np.ones((5, 2)), ValueError, "mismatch"),
        (lambda x: x @ 2.0, ValueError, "dimensions"),
        (lambda x: np.matmul(x, x, out=np.zeros((3, 3))), UnsupportedError, "plain array"),
        (lambda x: np.einsum("ij,jk->ik", x, np.ones((5, 2))), ValueError, "does not match"),
        (lambda x: np.einsum("ij->ik", x), ValueError, "k"),
        (lambda x: np.einsum("ijk->ik", x), ValueError, "subscript"),
        (lambda x: np.einsum("ij,jk", x), ValueError, "operands"),
        (lambda x: np.einsum("...j,...j->j", x, x), ValueError, "ellipsis"),
        (lambda x: np.einsum(x, ["a", 1]), TypeError, "axis list"),
        (lambda x: np.tensordot(x, np.ones((5, 2)), 1), ValueError, r"\(5, 2\)"),
        (lambda x: np.cross(x[0], np.ones(5)), ValueError, "2 or 3"),
        (lambda x: np.convolve(x[0], x[0], "some"), ValueError, "mode"),
        (lambda x: np.linalg.multi_dot([x]), ValueError, "two"),
        (lambda x: np.linalg.multi_dot([x, x[0], x]), np.linalg.LinAlgError, "array 1"),
        (lambda x: np.linalg.outer(x, x), ValueError, "two vectors"),
    ],
)
def test_errors_say_what_is_wrong(f, error, says):
    with pytest.raises(error, match=says):
        traced(f, (3, 3))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x @ [[1.0, 2.0], [3.0, 4.0]],
        lambda x: np.matmul([[1.0, 2.0], [3.0, 4.0]], x),
        lambda x: np.matmul(np.array([[1, 2], [3, 4]]), x),
        lambda x: np.dot([1.0, 2.0], x),
        lambda x: np.einsum("ij,jk", [[1.0, 2.0]], x),
        lambda x: gnp.matmul([[x[0, 0], 2.0], [x[1, 1], 3.0]], x),
        lambda x: x.dot(x),
    ],
)
def test_lists_integers_and_lists_of_traced_numbers(f):
    check_grads(f, (np.array([[0.5, -1.0], [2.0, 0.3]]),), order=2)


def test_a_gradient_has_the_dtype_of_its_argument():
    x, y = np.ones((2, 3), "float32"), np.ones((3, 2))
    value, pullback = vjp(np.matmul, x, y)
    assert value.dtype == np.float64
    assert [g.dtype for g in pullback(value)] == [np.float32, np.float64]
    z = 1j * np.ones((3, 2))
    value, pullback = vjp(lambda x: x @ z, x)
    assert pullback(value)[0].dtype == np.float32  # the real part, for x has no other


def test_the_gradient_of_a_matrix_product_copies_nothing(monkeypatch):
    """Its two products get views of what the forward pass had."""
    seen = []
    matmul = gpuad.ops.contract.matmul
    monkeypatch.setattr(matmul, "forward", lambda xp, x, y: seen.append((x, y)) or xp.matmul(x, y))
    monkeypatch.setattr(matmul, "_run", {})
    x, y = np.ones((80, 90)), np.ones((90, 100))  # small arguments of a derivative are copied
    g = np.ones((80, 100))
    vjp(np.matmul, x, y)[1](g)
    assert len(seen) == 3
    arguments = [a for pair in seen[1:] for a in pair if a is not g]
    assert all(np.shares_memory(a, x) or np.shares_memory(a, y) for a in arguments)


def test_a_diagonal_that_meets_infinity():
    """Zero off the diagonal, also where the cotangent is infinite."""
    _, pullback = vjp(lambda x: np.einsum("ii->i", x), np.ones((2, 2)))
    np.testing.assert_array_equal(pullback(np.array([np.inf, 1.0]))[0], [[np.inf, 0.0], [0.0, 1.0]])


def test_functions_that_a_backend_lacks_are_written_with_what_it_has(backend):
    x = np.arange(6.0).reshape(2, 3)
    d = backend.asarray(x)
    for name, args in [("vecdot", (d, d)), ("linalg.multi_dot", ([d, d.T, d],)), ("linalg.vector_norm", (d,))]:
        ours, numpys = gnp, np
        for part in name.split("."):
            ours, numpys = getattr(ours, part), getattr(numpys, part)
        plain = [[backend.to_numpy(a) for a in arg] if isinstance(arg, list) else x for arg in args]
        np.testing.assert_allclose(backend.to_numpy(ours(*args)), numpys(*plain))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "complex64"])
def test_where_of_many_is_numpys_to_the_bit(dtype):
    rng = np.random.default_rng(0)
    shape = (150, 150)
    condition = rng.random(shape) < 0.5
    x, y = ((9 * rng.normal(size=shape)).astype(dtype) for _ in range(2))
    if dtype.startswith("float"):
        x[0, :3] = np.nan, np.inf, -0.0
    others = [x, y.T, x[:, 0], x[:, :1], np.asfortranarray(y), x[0, 0], x.real.astype("float64")]
    others += [0.0, -0.0, 1.5, 1, True, float("nan"), np.float32(2), np.array(2, dtype)]
    for c in (condition, condition.T, condition[::-1]):
        for a in others:
            for b in others:
                want, got = np.where(c, a, b), _where(c, a, b)
                assert (want.dtype, want.shape) == (got.dtype, got.shape)
                assert want.tobytes() == got.tobytes()


@pytest.mark.parametrize(
    "f", [np.vdot, lambda x, y: np.einsum("i,j->", x, y), lambda x, y: np.linalg.norm(x - 2.0 * y)]
)
def test_a_python_number_is_a_cotangent_of_a_scalar(f, backend):
    x, y = (backend.asarray(np.array([1.0, 2.0, k])) for k in (3.0, 4.0))
    value, pullback = vjp(lambda x, y: f(x, y), x, y)
    for got, want in zip(pullback(2.0), pullback(2.0 * value / value), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(got), backend.to_numpy(want))


@pytest.mark.parametrize(
    "subscripts", ["ij,ljk->kli", "jik,lkj,j->lik", "lik,ik->li", "ij,jk->ik", "ij,jk->ki", "ljk,ki,kj->kjil"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_einsum_lies_in_memory_as_numpys(subscripts, order):
    """Seen by writing into a reshape of it, which is a view or a copy by that."""
    sizes = dict(zip("ijkl", (2, 3, 4, 5), strict=True))
    rng = np.random.default_rng(1)
    shapes = [[sizes[i] for i in term] for term in subscripts.partition("->")[0].split(",")]
    arrays = [np.array(rng.normal(size=shape), order=order) for shape in shapes]

    def f(*arrays):
        y = np.einsum(subscripts, *arrays)
        y.reshape(-1)[1:] = 0.0
        return y

    value, _ = vjp(f, *arrays)
    np.testing.assert_allclose(value, f(*arrays))

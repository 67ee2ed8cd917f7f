"""What programs put beside traced arrays: lists, numbers and arrays of other kinds. Nothing may be lost in silence."""

import array
import collections
import decimal
import fractions
import math

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import checkpoint, elementwise_grad, grad, jit, jvp, value_and_grad, vjp, vmap

X = np.array([1.0, 2.0, 3.0])


class WithUnits(np.ndarray):
    """An array whose operations mean something else."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [x.view(np.ndarray) if isinstance(x, WithUnits) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **kwargs) * (2 if ufunc is np.multiply else 1)


class Foreign:
    """An array of a library that gpuad doesn't know, which NumPy would calculate with."""

    dtype, shape = "float", (3,)
    __array_priority__ = 100

    def __array__(self, dtype=None, copy=None):
        return np.ones(3)

    def __rmul__(self, other):
        return "an array of that library"


# -- lists ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f", [np.power, np.arctan2, np.hypot, np.maximum, np.logaddexp, np.remainder, np.multiply, np.divide, np.fmax]
)
@pytest.mark.parametrize("other", [[0.5, 1.5, 2.5], (2, 3, 4), [[0.5], [1.5]]])
def test_lists_are_arrays(f, other):
    for swapped in (False, True):
        once = grad(lambda x, y, s=swapped: np.sum(f(y, x) if s else f(x, y)))
        twice = grad(lambda x, y, once=once: np.sum(once(x, y) * x))
        for g in (once, twice):
            assert np.array_equal(g(X, other), g(X, np.array(other)))


@pytest.mark.parametrize("index", [array.array("i", [0, 0, 1]), collections.deque([0, 0, 1]), range(2)], ids=str)
def test_an_index_of_any_kind_may_name_an_entry_twice(index):
    expected = grad(lambda x: np.sum(x[np.array(index)] ** 2))(X)
    assert np.array_equal(grad(lambda x: np.sum(x[index] ** 2))(X), expected)


def test_an_index_of_another_library():
    class Index:
        def __array__(self, dtype=None, copy=None):
            return np.array([0, 0, 1])

    assert np.array_equal(grad(lambda x: np.sum(x[Index()]))(X), [2.0, 1.0, 0.0])


@pytest.mark.parametrize("index", ["w", 1.5, object()])
def test_what_is_no_index_is_refused_as_numpy_does(index):
    with pytest.raises(IndexError, match="only integers"):
        grad(lambda x: x[index])(X)


# -- what NumPy would calculate with, but in a way of its own ------------------------------------------
@pytest.mark.parametrize(
    "other",
    [
        np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
        fractions.Fraction(1, 3),
        decimal.Decimal(1),
        Foreign(),
        np.ones(3).view(WithUnits),
        "text",
        None,
    ],
    ids=lambda other: type(other).__name__,
)
@pytest.mark.parametrize(
    "f",
    [
        lambda x, other: np.sum(x * other),
        lambda x, other: np.sum(gnp.maximum(other, x)),
        lambda x, other: np.sum(gnp.where(x > 1, x, other)) if other is not None else x * other,
        lambda x, other: grad(lambda y: np.sum(y * x * other))(x),
    ],
)
def test_other_kinds_of_values_are_refused_by_name(f, other):
    with pytest.raises(TypeError, match=f"{type(other).__name__}, which is no array of any backend, nor a number"):
        grad(f)(X, other)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrices_and_masked_arrays_are_no_arguments():
    for other in (np.matrix([[1.0, 2.0]]), np.ma.array([1.0, 2.0]), np.array([1.0, 2.0]).view(WithUnits)):
        with pytest.raises(gpuad.errors.NotDifferentiableError, match=type(other).__name__):
            grad(lambda x: np.sum(x * x))(other)
        assert gnp.sum(other) == 3.0  # on plain values gpuad.numpy is NumPy


@pytest.mark.parametrize("other", [np.array([1.0, 2.0, 3.0], dtype=object), np.array([1, 2, 3], "m8[s]")])
def test_a_result_without_derivatives_is_refused(other):
    for f in (lambda x: np.sum(x * other), lambda x: np.sum(gnp.multiply(other, x))):
        with pytest.raises(gpuad.errors.NotDifferentiableError, match="lost in silence"):
            grad(f)(X)


def test_a_primitive_of_ones_own_takes_anything():
    @gpuad.primitive
    def where(x, choice, table):  # a name that the backend has, too
        return x * table[choice]

    gpuad.defvjp(where, lambda g, ans, x, choice, table: g * table[choice], None, None)
    assert grad(where)(2.0, "a", {"a": 3.0}) == 3.0


def test_bfloat16_has_derivatives():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    g = grad(lambda x: np.sum(x * x))(X.astype(bfloat16))
    assert g.dtype == bfloat16
    assert np.array_equal(g.astype(float), 2 * X)
    assert np.array_equal(grad(lambda x: np.sum((x.astype(bfloat16) * 2).astype(float)))(X), [2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 0.5,
        lambda x: 2 - x,
        lambda x: x + 0.0,
        lambda x: 1.0 / x,
        lambda x: np.maximum(np.tanh(x), 0.25),
        lambda x: x**2,
        lambda x: x * np.float32(0.5),
    ],
)
def test_bfloat16_and_a_number_is_what_numpy_makes_of_it(f):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.array([1.0, 2.0, 3.5]).astype(bfloat16)
    value, pullback = vjp(f, x)
    for found in (value, jvp(f, (x,), (x,))[0], jit(f)(x), vmap(f)(x), checkpoint(f)(x)):
        assert found.dtype == f(x).dtype
        np.testing.assert_array_equal(found, f(x))
    g = pullback(np.ones_like(value))[0]
    assert g.dtype == bfloat16
    np.testing.assert_array_equal(grad(lambda x: np.sum(checkpoint(f)(x)))(x), g)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.mean(x**2),
        lambda x: np.max(x),
        lambda x: np.sum(np.log1p(x * x)),
        lambda x: np.sum(np.cumsum(x) ** 2),
        lambda x: np.sum(np.maximum(x, 0.25) * x) + np.sum(np.clip(x, -0.5, 0.5)),
        lambda x: np.sum(np.tanh(x) * np.exp(-x * x)),
        lambda x: np.var(x) + np.linalg.norm(x),
        lambda x: np.sum((x[1:] - x[:-1]) ** 2) + np.sum(x[np.array([0, 1, 1])]),
        lambda x: np.sum(x.reshape(8, -1) @ x.reshape(-1, 8)),
    ],
)
def test_derivatives_of_bfloat16_are_bfloat16(f):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.random.default_rng(0).normal(size=64).astype(bfloat16)
    want = grad(f)(x.astype(np.float32))
    recorded, batched = jit(grad(f)), vmap(grad(f))(np.stack([x, x]))
    recorded(x)
    for g in (grad(f)(x), recorded(x), batched[0]):
        assert g.dtype == bfloat16
        np.testing.assert_allclose(g.astype(float), want, rtol=0.05, atol=0.05 * np.abs(want).max())
    value, tangent = jvp(f, (x,), (x,))
    assert tangent.dtype == value.dtype
    np.testing.assert_allclose(float(tangent), np.sum(want * x.astype(float)), rtol=0.1)


# -- dtypes and values are NumPy's ---------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.select([x > 2, x > 1], [x, 2.0], 1),
        lambda x: np.select([x > 2, x > 1], [x, [True, False, True]], 1),
        lambda x: np.select([x > 2, x > 1], [x, np.float64(2.0)]),
        lambda x: np.linspace(0.0, x, 4),
        lambda x: np.linspace(x, 2, 4),
        lambda x: np.linspace(x, np.float64(2), 4),
        lambda x: np.angle(x - 2),
        lambda x: np.convolve(x, np.float32(2)),
        lambda x: np.einsum("i,j,k->", x, x / 3, np.linspace(0, 1, 3)),
    ],
)
def test_dtype_and_value_are_those_of_numpy(f):
    x = X.astype(np.float32)
    value, _ = gpuad.vjp(f, x)
    assert value.dtype == f(x).dtype
    assert np.allclose(value, f(x), rtol=4 * np.finfo(value.dtype).eps, atol=0)


@pytest.mark.skipif(not hasattr(np, "vecmat"), reason="NumPy is older than 2.2")
def test_products_of_vectors_do_not_broadcast_what_they_sum():
    for name, shape in [("vecdot", (1,)), ("matvec", (3,)), ("vecmat", (3,))]:
        other = np.ones(shape)
        for f in (getattr(np, name), getattr(gnp, name)):
            with pytest.raises(ValueError, match=name):
                grad(lambda x, f=f, other=other: np.sum(f(x, other)))(X)


def test_a_traced_number_is_rounded_as_a_number():
    assert grad(lambda x: round(x) * x + round(x, 1) * x)(2.34) == 2 + 2.3


def test_the_flat_array_can_be_indexed():
    assert np.array_equal(grad(lambda x: x.flat[2] ** 2 + sum(x.flat))(np.ones((2, 2))), [[1.0, 1.0], [3.0, 1.0]])


def test_softened_maxima_of_infinite_numbers():
    x = np.array([math.inf, math.inf, 1.0, -math.inf, -math.inf])
    y = np.array([0.0, -math.inf, math.inf, 0.0, -math.inf])
    for f in (np.logaddexp, np.logaddexp2):
        assert np.array_equal(elementwise_grad(f)(x, y), [1.0, 1.0, 0.0, 0.0, 0.0])


def test_large_arrays_with_a_second_argument_of_integers():
    x = np.ones(500_000)
    for exponent in (3, np.int64(3), np.full(x.shape, 3)):
        value, g = value_and_grad(lambda x, k=exponent: np.sum(np.ldexp(x, k)))(x)
        assert value == 8.0 * x.size
        assert np.all(g == 8.0)


# -- what is written into --------------------------------------------------------------------------------
def test_writing_a_traced_array_says_what_to_write_instead():
    def add_in_place(x):
        a = np.zeros(3)
        a += x
        return np.sum(a)

    def write_entry(x):
        a = np.zeros(3)
        a[0] = x[0]
        return np.sum(a)

    with pytest.raises(gpuad.errors.UnsupportedError, match=r"gpuad\.numpy"):
        grad(add_in_place)(X)
    with pytest.raises(ValueError) as error:  # NumPy's, of an error of ours
        grad(write_entry)(X)
    assert "gpuad.numpy.zeros" in str(error.value.__cause__)
    with pytest.raises(gpuad.errors.UnsupportedError, match="stack"):
        grad(lambda x: np.sum(np.array([x[0], x[1]])))(X)


def test_argnums_of_other_kinds():
    assert grad(lambda x, y: x * y * y, np.int64(1))(2.0, 3.0) == 12.0
    assert elementwise_grad(lambda x, y: x * y * y, tuple(np.arange(2)))(2.0, 3.0) == (9.0, 12.0)
    with pytest.raises(TypeError, match="argnums is the number of a positional argument"):
        grad(lambda x, y: x * y, "y")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_median_of_nothing_keeps_its_axis():
    for shape, axis in [((0, 3), 0), ((2, 0, 3), (0, 1)), ((3, 0), 1)]:
        value, pullback = gpuad.vjp(lambda x, i=axis: np.median(x, axis=i, keepdims=True), np.zeros(shape))
        assert value.shape == np.median(np.zeros(shape), axis=axis, keepdims=True).shape
        assert np.all(np.isnan(value))
        assert pullback(value)[0].shape == shape


def test_the_checks_are_there_without_an_import_of_their_own():
    gpuad.test_util.check_grads(np.tanh, [X])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, n: np.arctan2(x, n),
        lambda x, n: np.arctan2(n, x),
        lambda x, n: np.hypot(x, n),
        lambda x, n: x / n + n / x,
        lambda x, n: n**x,
        lambda x, n: x ** (n / 100),
        lambda x, n: np.logaddexp(x, n / 50),
        lambda x, n: np.where(n > 60, x * n, x),
        lambda x, n: np.maximum(n, 70 * x) * n,
        lambda x, n: n @ (x * n),
        lambda x, n: np.fmod(n, x) + np.remainder(n, x),
    ],
)
def test_rules_do_not_calculate_in_the_dtype_of_a_small_constant(f, dtype):
    x, n = np.array([0.7, 1.3, 1.9]), np.array([100, 50, 90], dtype)
    exact = grad(lambda x: np.sum(f(x, n.astype(float))))(x)
    np.testing.assert_allclose(grad(lambda x: np.sum(f(x, n)))(x), exact, rtol=1e-12)
    single = grad(lambda x: np.sum(f(x, n)))(x.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, rtol=1e-4)

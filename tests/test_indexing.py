"""What the samples of shape and index can't show: cost, views, errors, lists of traced arrays, functions CuPy lacks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, vjp
from gpuad.core.box import Box
from gpuad.errors import UnsupportedError
from gpuad.ops.declare import registry
from gpuad.test_util import check_grads


def pulled(f, x, g=None):
    """The cotangent of ``x`` from that of ``f(x)``."""
    value, pullback = vjp(f, x)
    return pullback(np.ones_like(value) if g is None else g)[0]


# -- cost -------------------------------------------------------------------------------------------
def add_up(x):
    y = 0.0
    for i in range(x.shape[0]):
        y = y + x[i] * x[i]
    return y


def add_up_slices(x):
    y = 0.0
    for i in range(x.shape[0] - 2):
        y = y + x[i : i + 3] * x[i : i + 3]
    return gnp.sum(y)


def add_up_iterated(x):
    y = 0.0
    for entry in x:
        y = y + entry * entry
    return y


def add_up_stacked(x):
    return gnp.sum(gnp.stack([x[i] * x[i] for i in range(x.shape[0])]))


def add_up_joined(x):
    return gnp.sum(gnp.concatenate([part * part for part in gnp.split(x, x.shape[0] // 2)]))


def second(f):
    return lambda x: vjp(grad(f), x)[1](np.ones_like(x))[0]


@pytest.fixture
def scattered(monkeypatch):
    """The sizes of all arrays that cotangents of entries were added up in."""
    sizes = []
    prim = registry["scatter_add"]
    evaluate = prim.evaluate

    def counting(args, params):
        result = evaluate(args, params)
        sizes.append(result.size)
        return result

    monkeypatch.setattr(prim, "evaluate", counting)
    return sizes


@pytest.mark.unfused  # what waits is counted twice
@pytest.mark.parametrize("f", [add_up, add_up_slices, add_up_iterated, add_up_stacked, add_up_joined])
@pytest.mark.parametrize("order", [1, 2])
def test_reading_entries_in_a_loop_makes_few_arrays(f, order, scattered):
    """n reads must not make n arrays of n entries. What it costs in seconds is measured in bench/."""
    n = 400
    g = grad(f) if order == 1 else second(f)
    g(np.linspace(0.0, 1.0, n))
    assert scattered
    assert sum(scattered) <= 12 * n


@pytest.mark.parametrize("f", [add_up, add_up_slices, add_up_iterated, add_up_stacked, add_up_joined])
def test_loops_have_the_right_derivatives(f):
    x = np.random.default_rng(0).normal(size=50)
    check_grads(f, (x,), order=2)


def test_one_entry_read_many_times():
    def f(x):
        y = 0.0
        for _ in range(1000):
            y = y + x[1]
        return y

    assert grad(f)(np.ones(3)).tolist() == [0.0, 1000.0, 0.0]


# -- views ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [
        lambda x: gnp.reshape(x, (3, 2)),
        lambda x: gnp.ravel(x),
        lambda x: x.T,
        lambda x: gnp.swapaxes(x, 0, 1),
        lambda x: gnp.moveaxis(x, 0, 1),
        lambda x: gnp.expand_dims(x, 0),
        lambda x: gnp.flip(x),
        lambda x: gnp.rot90(x),
        lambda x: gnp.pad(x, 1),
        lambda x: gnp.concatenate([x, np.ones((2, 3))]),
        lambda x: gnp.stack([x, np.ones((2, 3))], axis=1),
    ],
)
def test_cotangents_are_views(f):
    x = np.ones((2, 3))
    seen = []

    @gpuad.primitive
    def watch(x):
        return x.copy()

    gpuad.defvjp(watch, lambda g, ans, x: seen.append(g) or g)
    value, pullback = vjp(lambda x: f(watch(x)), x)
    g = np.ones_like(value)
    pullback(g)
    assert np.shares_memory(seen[0], g)


def test_gradients_own_their_memory():
    x = np.ones((2, 3))
    value, pullback = vjp(lambda x: x.T, x)
    g = np.ones_like(value)
    (found,) = pullback(g)
    found[...] = 7.0
    assert g.sum() == 6.0
    assert x.sum() == 6.0


# -- indices ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("index", "found"),
    [
        (np.array(1), [0, 1, 0]),
        (np.int32(-1), [0, 0, 1]),
        (np.uint8(1), [0, 1, 0]),
        ((np.int64(0),), [1, 0, 0]),
        (range(2), [1, 1, 0]),
        (np.array([], int), [0, 0, 0]),
        (np.array([1, 1, 1]), [0, 3, 0]),
        (np.array([[0, 1], [1, 0]]), [2, 2, 0]),
        (np.array([True, False, True]), [1, 0, 1]),
        ((np.array([0, -1, 2]),), [1, 0, 2]),
        (np.True_, [1, 1, 1]),
        ((None, [0, 0]), [2, 0, 0]),
    ],
)
def test_kinds_of_indices(index, found):
    assert pulled(lambda x: x[index], np.zeros(3)).tolist() == found
    assert np.array_equal(vjp(lambda x: x[index], np.arange(3.0))[0], np.arange(3.0)[index])


def test_object_with_index_method():
    class Two:
        def __index__(self):
            return 2

    assert grad(lambda x: x[Two()])(np.zeros(3)).tolist() == [0, 0, 1]


def test_repeated_rows_of_a_table():
    table, rows = np.zeros((5, 3), "float32"), np.array([[1, 1], [4, -1]])
    g = np.arange(12, dtype="float32").reshape(2, 2, 3)
    expected = np.zeros((5, 3), "float32")
    np.add.at(expected, rows, g)
    found = pulled(lambda x: x[rows], table, g)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("index", ["a", 1.0, np.float64(1), (0, 0, 0), 5, slice("a"), {}])
def test_errors_of_indices_are_those_of_numpy(index):
    x = np.zeros((2, 3))
    with pytest.raises(Exception) as theirs:
        x[index]
    with pytest.raises(type(theirs.value)) as ours:
        vjp(lambda x: x[index], x)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("index", [lambda x: x, lambda x: (0, x[0]), lambda x: [x[0], x[1]]])
def test_traced_indices_are_refused(index):
    with pytest.raises(IndexError, match="no derivative"):
        grad(lambda x: gnp.sum(x[index(x)]))(np.zeros(3))


# -- lists of traced arrays, and creation -----------------------------------------------------------
def test_array_of_traced_numbers():
    def f(x, y):
        a = gnp.array([x, y, 2.0])
        return gnp.sum(a * a * a)

    assert grad(f, (0, 1))(2.0, 3.0) == (12.0, 27.0)
    assert grad(lambda x: grad(f)(x, 1.0))(2.0) == 12.0


def test_nested_lists_of_traced_numbers():
    def rotation(t):
        return gnp.array([[gnp.cos(t), -gnp.sin(t)], [gnp.sin(t), gnp.cos(t)]])

    value, pullback = vjp(rotation, 0.3)
    assert np.allclose(value, [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    assert np.isclose(pullback(np.eye(2))[0], -2 * np.sin(0.3))


def test_lists_go_wherever_arrays_go():
    def f(x):
        return gnp.sum(gnp.reshape([x, [1.0, 2.0]], 4)) + gnp.sum(gnp.transpose([x, x]) * np.array([1.0, 3.0]))

    assert grad(f)(np.ones(2)).tolist() == [5.0, 5.0]


def test_array_options():
    def f(x):
        y = gnp.array(x, dtype="float64", ndmin=3)
        assert y.shape == (1, 1, 2)
        assert y.dtype == np.float64
        assert type(gnp.asarray(x, dtype=int)) is np.ndarray
        assert gnp.ascontiguousarray(x[0]).shape == (1,)
        assert gnp.asarray(x) is x
        return gnp.sum(y)

    g = grad(f)(np.ones(2, "float32"))
    assert g.dtype == np.float32


def test_ragged_lists_are_an_error():
    with pytest.raises(ValueError, match="same shape"):
        grad(lambda x: gnp.sum(gnp.array([x, x[:1]])))(np.ones(2))


def test_astype():
    def f(x):
        assert type(x.astype(int)) is np.ndarray
        assert type(x.astype(bool)) is np.ndarray
        assert gnp.astype(x, "float64").dtype == np.float64
        assert np.astype(x, "float64").dtype == np.float64
        assert x.astype("float32") is not x  # a copy, which may be written into
        assert gnp.astype(x, "float32", copy=False) is x
        return gnp.sum(x.astype("float64") ** 2.0)

    g = grad(f)(np.arange(3, dtype="float32"))
    assert g.dtype == np.float32
    assert g.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(TypeError, match="Cannot cast"):
        grad(lambda x: gnp.sum(x.astype("float32", casting="safe")))(np.ones(2))


def test_full_with_a_traced_value():
    assert grad(lambda x: gnp.sum(gnp.full((2, 3), x)))(2.0) == 6.0
    assert grad(lambda x: gnp.sum(gnp.full_like(np.ones(4), x)))(2.0) == 4.0
    assert grad(lambda x: gnp.sum(gnp.full((2, 3), x)))(np.ones(3)).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like"])
def test_arrays_like_a_traced_one_take_traced_writes(name, backend):
    def f(x):
        for namespace in (np, gnp):
            made = getattr(namespace, name)(x)
            assert (made.shape, made.dtype) == (x.shape, x.dtype)
            made[:] = x
            x = made
        made = getattr(gnp, name)(x, dtype="int32", shape=2)
        assert (made.shape, made.dtype) == ((2,), np.int32)
        assert backend.owns(type(made))
        return (x * x)[0]

    assert backend.to_numpy(grad(f)(backend.asarray(np.ones(3, "float32")))).tolist() == [2.0, 0.0, 0.0]


def test_new_arrays_follow_the_switch(backend):
    with gpuad.use(backend.name):
        for made in [
            gnp.zeros(3), gnp.ones((2, 3)), gnp.empty(2), gnp.full(3, 2.0), gnp.eye(2), gnp.identity(2),
            gnp.arange(3), gnp.linspace(0.0, 1.0, 3), gnp.array([1.0, 2.0]), gnp.asarray([1.0]),
        ]:  # fmt: skip
            assert backend.owns(type(made))


def test_random_numbers_follow_the_switch():
    gnp.random.seed(0)
    np_random = np.random.RandomState(0)
    assert np.array_equal(gnp.random.standard_normal(3), np_random.standard_normal(3))
    with pytest.raises(UnsupportedError, match=r"random\.normal"):
        grad(lambda x: gnp.random.normal(x))(1.0)


@pytest.mark.parametrize("options", [{}, {"endpoint": False}, {"num": 1}, {"num": 0}, {"dtype": "float32"}])
def test_spaced_numbers(options):
    a, b = 1.5, np.array([2.0, 4.0])
    for f in (gnp.linspace, gnp.logspace, gnp.geomspace):
        value, _ = vjp(lambda a, b, f=f: f(a, b, **options), a, b)
        expected = getattr(np, f.__name__)(a, b, **options)
        assert value.dtype == expected.dtype
        assert np.allclose(value, expected)
        if "dtype" not in options:
            check_grads(lambda a, b, f=f: f(a, b, **options), (a, b), order=2)


def test_linspace_with_its_step():
    (_, step), pullback = vjp(lambda a: gnp.linspace(a, 5.0, 5, retstep=True), 1.0)
    assert step == 1.0
    assert pullback((np.zeros(5), np.float64(1.0)))[0] == -0.25


# -- questions ---------------------------------------------------------------------------------------
def test_questions_about_a_traced_array():
    def f(x):
        assert type(x) is Box
        for namespace in (np, gnp):
            assert namespace.shape(x) == (2, 3)
            assert namespace.ndim(x) == 2
            assert namespace.size(x) == 6
            assert namespace.size(x, 1) == 3
            assert not namespace.isscalar(x)
            assert not namespace.iscomplexobj(x)
            assert namespace.isrealobj(x)
            assert namespace.isreal(x).all()
            assert namespace.result_type(x, np.float16) == np.float32
            assert namespace.result_type(x, 1.0) == np.float32
            assert namespace.common_type(x) == np.float32
            assert [i.tolist() for i in namespace.tril_indices_from(x)] == [
                i.tolist() for i in np.tril_indices(2, 0, 3)
            ]
        return gnp.sum(x)

    grad(f)(np.ones((2, 3), "float32"))


# -- functions that some backends lack, or that call differently ---------------------------------------
LACKING = {
    "block": lambda n, x, y: n.block([[x, y], [2.0 * y, x[:, :2], n.ones((2, 1))]]),
    "unstack": lambda n, x, y: n.unstack(x, axis=1)[1],
    "permute_dims": lambda n, x, y: n.permute_dims(x, (1, 0)),
    "matrix_transpose": lambda n, x, y: n.matrix_transpose(x),
    "mT": lambda n, x, y: x.mT if type(x) is Box else x.T,
    "concat": lambda n, x, y: n.concat([x, y], axis=1),
    "insert": lambda n, x, y: n.insert(x, 1, y[:, 0], axis=1),
    "insert flat": lambda n, x, y: n.insert(x, 2, 3.0),
    "insert several": lambda n, x, y: n.insert(x, [0, 2, 2], y[0, :1], axis=1),
    "insert many at one place": lambda n, x, y: n.insert(x, [1], y, axis=1),
    "insert slice": lambda n, x, y: n.insert(x, slice(0, 2), 5.0, axis=1),
    "insert mask": lambda n, x, y: n.insert(x, np.flatnonzero([True, False, True]), 5.0, axis=1),
    "insert before the last": lambda n, x, y: n.insert(x, -1, y[0, 0], axis=-1),
    "delete list": lambda n, x, y: n.delete(x, [0, -1], axis=1),
    "delete mask": lambda n, x, y: n.delete(x, np.array([True, False, False]), axis=1),
    "resize": lambda n, x, y: n.resize(x, (2, 5)),
    "resize smaller": lambda n, x, y: n.resize(x, 2),
    "take clip": lambda n, x, y: n.take(x, [0, 9, -9], axis=1, mode="clip"),
    "take wrap": lambda n, x, y: n.take(x, [[0, 9]], mode="wrap"),
    "choose": lambda n, x, y: n.choose([[0, 1, 1], [1, 0, 0]], [x, 2.0]),
    "choose wrap": lambda n, x, y: n.choose([-1, 5, 0], (x, x[::-1] * y[0, 0]), mode="wrap"),
    "compress": lambda n, x, y: n.compress([False, True], x),
    "compress, the method": lambda n, x, y: (x * 1.0).compress([False, True, True], 1),
    "pad by axis": lambda n, x, y: n.pad(x, ((0, 0), (2, 1))),
    "pad wrap wide": lambda n, x, y: n.pad(x, ((1, 0), (2, 7)), mode="wrap"),
    "meshgrid of 0d": lambda n, x, y: n.meshgrid(x[0], y[0, 0], y[1], indexing="ij")[1],
    "reshape A": lambda n, x, y: n.reshape(x.T, (2, 3), order="A"),
    "select of numbers": lambda n, x, y: n.select([x > 0, x < -1], [x, -1.0]),
    "piecewise": lambda n, x, y: n.piecewise(x, [x < 0.0, x > 0.5], [lambda v: v * v, 3.0, lambda v: v * 2.0]),
    "piecewise overlap": lambda n, x, y: n.piecewise(x, [x > -1.0, x > 0.0], [lambda v: v**3.0, n.sqrt]),
}  # fmt: skip


@pytest.mark.parametrize("label", LACKING)
def test_value_and_derivative(label):
    f = LACKING[label]
    rng = np.random.default_rng(len(label))
    x, y = rng.uniform(-2, 2, (2, 3)), rng.uniform(-2, 2, (2, 2))
    for namespace in (gnp, np):
        value, _ = vjp(lambda x, y, n=namespace: f(n, x, y), x, y)
        assert np.array_equal(value, f(np, x, y))
    check_grads(lambda x, y: f(gnp, x, y), (x, y), order=2)


@pytest.mark.parametrize(
    "f",
    [
        lambda n, x: n.unstack(x)[1],
        lambda n, x: n.permute_dims(x),
        lambda n, x: n.matrix_transpose(x),
        lambda n, x: n.concat([x, x]),
        lambda n, x: n.insert(x, 1, 2.0, axis=0),
        lambda n, x: n.block([[x, x], [x, x]]),
        lambda n, x: n.astype(x, "float32"),
    ],
)
def test_what_a_backend_lacks_works_on_plain_arrays(f, backend):
    x = np.arange(6.0).reshape(2, 3)
    found = f(gnp, backend.asarray(x))
    assert backend.owns(type(found))
    assert np.array_equal(backend.to_numpy(found), f(np, x))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[0] * x[1:, None] + x[..., ::-1],
        lambda x, i: x[i] * x[:, i],
        lambda x, i: x[i[0]] + x[:1],
        lambda x, i: gnp.take(x, i, axis=1, mode="wrap"),
        lambda x, i: gnp.concatenate([gnp.stack([x, x * x]), gnp.tile(x, (2, 1, 1))], axis=1),
        lambda x, i: gnp.pad(gnp.roll(gnp.diag(gnp.diagonal(x)), 1), 2),
        lambda x, i: gnp.triu(gnp.rot90(x)) + gnp.repeat(x, 1, axis=0),
        lambda x, i: gnp.array([x[0, 0], 2.0, x[1, 1]]),
    ],
)
def test_nothing_waits_for_the_device(f, backend):
    if backend.name != "strict":
        pytest.skip("the strict stand-in counts this")
    from strict_backend import counts

    x, i = backend.asarray(np.arange(9.0).reshape(3, 3)), backend.asarray(np.array([2, 0, 0]))
    counts.clear()
    value, pullback = vjp(lambda x: f(x, i), x)
    pullback(value)
    assert (counts["sync"], counts["to_host"]) == (0, 0)


# -- options and errors -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda n, x: n.reshape(x, (4, 2)), "cannot reshape"),
        (lambda n, x: n.squeeze(x, 0), "length 1"),
        (lambda n, x: n.transpose(x, (0,)), "axes"),
        (lambda n, x: n.transpose(x, (0, 0)), "repeated axis"),
        (lambda n, x: n.swapaxes(x, 0, 2), "out of bounds"),
        (lambda n, x: n.split(x, 4, axis=1), "equal division"),
        (lambda n, x: n.vsplit(x[0], 1), "2 or more"),
        (lambda n, x: n.concatenate([x, x[0]]), "dimension"),
        (lambda n, x: n.concatenate([x[0, 0]]), "zero-dimensional"),
        (lambda n, x: n.stack([x, x[0]]), "same shape"),
        (lambda n, x: n.diag(n.expand_dims(x, 0)), "1- or 2-d"),
        (lambda n, x: n.repeat(x, -1), "negative"),
        (lambda n, x: n.broadcast_to(x, (3, 2)), "broadcast"),
    ],
)
def test_bad_input(f, error):
    for namespace in (np, gnp):
        with pytest.raises((ValueError, IndexError), match=error):
            vjp(lambda x, n=namespace: f(n, x), np.ones((2, 3)))


@pytest.mark.parametrize(
    "f",
    [
        lambda n, x: n.concatenate([x, x], out=np.ones((4, 3))),
        lambda n, x: n.take(x, [0], out=np.ones(1)),
    ],
)
def test_unsupported(f):
    with pytest.raises(UnsupportedError):
        vjp(lambda x: f(gnp, x), np.ones((2, 3)))


def test_dtypes_that_differ_keep_their_own():
    x, y = np.ones(2, "float32"), np.ones(3, "float64")
    for f in (
        lambda x, y: gnp.concatenate([x, y]),
        lambda x, y: gnp.stack([x, y[:2]]),
        lambda x, y: gnp.array([x[0], y[0]]),
    ):
        value, pullback = vjp(f, x, y)
        assert value.dtype == np.float64
        assert [g.dtype for g in pullback(np.ones_like(value))] == [np.float32, np.float64]


def test_large_arrays():
    x = np.ones((600, 400))

    def f(x):
        return gnp.sum(gnp.exp(x[::2, 1:] * 2.0)) + gnp.sum(x[5]) + gnp.sum(gnp.concatenate([x, x.T.T]))

    g = grad(f)(x)
    assert type(g) is np.ndarray
    expected = np.full((600, 400), 2.0)
    expected[::2, 1:] += 2.0 * np.exp(2.0)
    expected[5] += 1.0
    assert np.allclose(g, expected)


def test_pairs_of_rows():
    x = np.random.default_rng(0).normal(size=(5, 3))
    check_grads(lambda x: sum(gnp.sum(a * b) for a, b in pairwise(x)), (x,), order=2)

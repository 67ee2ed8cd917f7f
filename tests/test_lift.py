"""``lift``: programs that NumPy can't let anyone intercept, with their text unchanged."""

import importlib
import math

import numpy as np
import pytest
from numpy import linalg as la
from numpy import zeros

import gpuad
from gpuad import grad, lift

X = np.array([0.5, -1.0, 2.0])
calls = 0


def helper(n):
    return np.zeros(n)


@lift
def all_kinds_of_names(x):
    global calls
    calls += 1
    a, b = zeros(4), helper(4)
    for i in range(4):
        a[i] = x * i
        b[i] += a[i] ** 2
    m = np.array([[x, 1.0], [2.0, x]])

    def inner(y):
        c = np.ones(2)
        c[0] = y
        return c.sum()

    import numpy.linalg
    from numpy import concatenate as join

    return np.sum(join([a, b])) + la.det(m) + numpy.linalg.norm(m) + inner(x)


def test_names_of_the_module_of_imports_and_of_inner_functions():
    before = calls
    x = 3.0
    norm = math.sqrt(2 * x * x + 5)
    assert grad(all_kinds_of_names)(x) == pytest.approx(6 + 2 * x * 14 + 2 * x + 2 * x / norm + 1)
    assert calls == before + 1
    assert all_kinds_of_names(1.0) == pytest.approx(6 + 14 - 1 + math.sqrt(7) + 2)


def remembered(n):
    return state**n


@lift
def sets_a_global_name(x):
    global state
    state = x * 3.0
    cubed = remembered(3)
    state = x
    return np.sum(cubed * remembered(1))


def test_a_global_name_that_is_set_is_read_by_the_next_function():
    np.testing.assert_allclose(grad(sets_a_global_name)(X), 4 * 27 * X**3)


def test_the_module_itself_is_as_it_was():
    assert type(np.zeros(2)) is np.ndarray
    assert helper(2).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="sequence"):
        grad(lambda x: helper(3).__setitem__(0, x) or 0.0)(1.0)


def test_closures_defaults_and_keywords():
    def make(np, scale):
        @lift
        def f(x, *, power=2, offset=1.0):
            out = np.zeros(3)
            out[:2] = x[:2] * scale
            out[2] = offset
            return np.sum(out**power)

        return f

    f = make(np, 2.0)
    assert f.__name__ == "f"
    assert grad(f)(X).tolist() == [4.0, -8.0, 0.0]
    assert grad(lambda x: f(x, power=3))(X).tolist() == [6.0, 24.0, 0.0]


def test_recursion_and_calls_among_lifted_functions():
    @lift
    def fill(out, x, n):
        if n:
            out[n - 1] = x**n
            fill(out, x, n - 1)
        return out

    @lift
    def f(x):
        return np.sum(fill(np.zeros(3), x, 3))

    assert grad(f)(2.0) == 1 + 4 + 12


def test_methods():
    class Model:
        def __init__(self):
            self.scale = 3.0

        @lift
        def loss(self, x):
            out = np.empty(2)
            out[0], out[1] = x, self.scale
            return np.prod(out)

    model = Model()
    assert grad(model.loss)(1.0) == 3.0
    assert grad(lift(model.loss))(1.0) == 3.0


def test_a_generator():
    @lift
    def squares(x):
        for i in range(3):
            out = np.zeros(2)
            out[0] = x * i
            yield out.sum()

    assert grad(lambda x: sum(squares(x)))(2.0) == 3.0


def test_scipy_and_a_function_of_numpys_itself():
    special = pytest.importorskip("scipy.special")

    @lift
    def f(x):
        return special.logsumexp(np.array([x, 0.0]))

    assert grad(f)(0.0) == 0.5
    assert lift(np.sin) is gpuad.numpy.sin
    assert lift(special.erf) is gpuad.scipy.special.erf


@pytest.mark.parametrize("name", ["special.logsumexp", "linalg.cho_factor", "integrate.simpson", "stats.norm"])
def test_names_that_are_imported_from_scipy(name):
    """SciPy defines them in modules whose names begin with an underscore; a distribution is no function."""
    module, name = name.split(".")
    theirs = getattr(pytest.importorskip(f"scipy.{module}"), name)
    ours = getattr(importlib.import_module(f"gpuad.scipy.{module}"), name)
    assert lift(lambda: theirs)() is ours


def test_methods_of_ufuncs():
    @lift
    def f(x):
        out = np.zeros(2)
        np.add.at(out, [0, 1, 0], x)
        return np.multiply.reduce(out) + np.maximum.accumulate(x)[1] * np.add.reduce(np.ones(3))

    assert grad(f)(X).tolist() == [2.0, 2.5, -1.0]


def test_arrays_made_of_lists_and_of_chance():
    @lift
    def f(x):
        total = 0.0
        for made in (np.asarray([0.0, 1.0, 2.0]), np.random.rand(3), np.random.normal(size=3), np.tile(1.0, 3)):
            made[1:] = x[:2]
            total = total + made[1] * made[2]
        return total

    np.testing.assert_allclose(grad(f)(X), [4 * X[1], 4 * X[0], 0.0])


def test_from_entry_to_entry():
    @lift
    def f(x):
        out = np.zeros((3, 1))
        for (i, j), value in np.ndenumerate(x[:, None]):
            out[i, j] = value * (i + 1)
        return sum(a * n for (n, _), a in np.ndenumerate(out)) + sum(a for _, a in np.ndenumerate(np.ones(2)))

    assert grad(f)(X).tolist() == [0.0, 2.0, 6.0]


def test_names_that_are_not_there_are_errors_as_ever():
    @lift
    def f(x):
        return x * not_a_name  # noqa: F821

    with pytest.raises(NameError, match="not_a_name"):
        f(1.0)
    with pytest.raises(TypeError, match="lift: expected a function"):
        lift(3)


def test_on_every_backend(backend):
    @lift
    def f(x):
        out = np.zeros(3)
        out[1:] = x[:2]
        return np.sum(out * np.stack([x, out])[0])

    with gpuad.use(backend.name):
        assert backend.to_numpy(grad(f)(backend.asarray(X))).tolist() == [-1.0, 2.5, -1.0]


def test_what_cupy_lets_nobody_intercept(backend):
    if backend.name != "cupy":
        pytest.skip("needs CuPy")
    cp = backend.xp

    @lift
    def f(x):
        out = cp.zeros(3)
        out[0] = x[1] * 2
        for i in range(1, 3):
            out[i] = out[i - 1] * x[i]
        joined = cp.concatenate([out, cp.asarray(x), cp.array([x[0], 1.0, 2.0])])
        return cp.einsum("i,i->", joined, joined) + cp.matmul(x, out) + cp.sum(cp.stack([x, out]))

    def by_hand(x):
        out = np.array([x[1] * 2, x[1] ** 2 * 2, x[1] ** 2 * 2 * x[2]])
        joined = np.concatenate([out, x, [x[0], 1.0, 2.0]])
        return joined @ joined + x @ out + x.sum() + out.sum()

    x = np.array([0.5, -1.0, 2.0])
    want = [(by_hand(x + h) - by_hand(x - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    g = grad(f)(backend.asarray(x))  # without a switch: what cp makes is on the GPU
    assert backend.owns(type(g))
    np.testing.assert_allclose(backend.to_numpy(g), want, rtol=1e-7)

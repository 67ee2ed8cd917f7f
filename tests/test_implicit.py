"""Roots and fixed points by any solver, and their derivatives by the implicit function theorem."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import fixed_point, grad, hessian, hvp, jacobian, jvp, root, vmap
from gpuad.core import batch
from gpuad.core.pytree import leaves
from gpuad.errors import NotDifferentiableError, UnsupportedError

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 5.0]])
B = np.array([1.0, -2.0, 0.5])
V = np.array([0.3, 0.1, -0.7])


def cubic(x, a, b):
    return a @ x + 0.1 * x**3 - b


def bisect(g, x0):
    """A custom solver that no transformation sees through."""
    assert type(x0) is np.float64
    lo, hi = 0.0, 10.0
    for _ in range(80):
        mid = 0.5 * (lo + hi)
        lo, hi = (mid, hi) if float(g(mid)) < 0 else (lo, mid)
    return lo


def conjugate_gradients(product, b):
    x, r = np.zeros_like(b), b.copy()
    p = r.copy()
    for _ in range(100):
        q = product(p)
        if r @ r < 1e-30:
            break
        step = (r @ r) / (p @ q)
        x, new = x + step * p, r - step * q
        p, r = new + (new @ new) / (r @ r) * p, new
    return x


def all_of(f, x, v):
    return [
        f(x),
        jvp(f, (x,), (v,)),
        grad(lambda x: np.sum(f(x) ** 2))(x),
        jacobian(f)(x),
        hessian(lambda x: np.sum(f(x) ** 2))(x),
        hvp(lambda x: np.sum(f(x) ** 2))(x, v),
        grad(lambda x: np.sum(hvp(lambda x: np.sum(f(x) ** 2))(x, v) ** 2))(x),
    ]


def same(a, b, rtol=1e-9):
    for (_, x), (_, y) in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-11)


def unrolled(a, b):
    """Newton's method, differentiated through its steps."""
    x = np.zeros(3) * b
    for _ in range(25):
        x = x - np.linalg.solve(a + 0.3 * np.eye(3) * x**2, cubic(x, a, b))
    return x


@pytest.mark.parametrize("how", [{}, {"linear_solve": conjugate_gradients}], ids=["dense", "products"])
def test_a_system_as_an_unrolled_solver(how):
    same(all_of(lambda b: root(cubic, np.zeros(3), A, b, **how), B, V), all_of(lambda b: unrolled(A, b), B, V))
    s = A + A.T
    got = grad(lambda s: np.sum(root(cubic, np.zeros(3), s + s.T, B, **how) ** 2))(s)
    np.testing.assert_allclose(got, grad(lambda s: np.sum(unrolled(s + s.T, B) ** 2))(s), rtol=1e-9)


def test_what_is_read_from_around_counts():
    got = all_of(lambda b: root(lambda x: cubic(x, A, b), np.zeros(3)), B, V)
    same(got, all_of(lambda b: unrolled(A, b), B, V))


def test_a_solver_of_one_s_own():
    def f(a):
        return root(lambda x, a: x**3 - a, 1.0, a, solve=bisect)

    a = np.float64(8.0)
    found, exact = [f], [lambda a: a ** (1 / 3)]
    for _ in range(3):
        found.append(grad(found[-1]))
        exact.append(grad(exact[-1]))
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one(a), other(a), rtol=1e-10)
    np.testing.assert_allclose(jvp(grad(f), (a,), (1.0,))[1], exact[2](a), rtol=1e-10)
    np.testing.assert_allclose(grad(lambda a: jvp(f, (a,), (a,))[1])(a), exact[1](a) + a * exact[2](a), rtol=1e-10)


def test_the_solver_isn_t_recorded():
    sizes = []

    def f(x, a):
        return np.cos(x) * a

    def solve(g, x):
        for _ in range(200):
            x = g(x)
            assert type(x) is np.float64
        return x

    def loss(a):
        x = fixed_point(f, 1.0, a, solve=solve)
        sizes.append(len(a.level.records))
        return x

    grad(loss)(0.5)
    assert sizes[0] < 40


@pytest.mark.parametrize("n", [3, 600])
def test_fixed_points(n):
    b = np.linspace(0.1, 0.9, n)

    def step(x, b):
        return 0.5 * np.cos(x) * b + 0.1 * np.roll(x, 1) * x

    def iterated(b):
        x = np.zeros(n)
        for _ in range(60):
            x = step(x, b)
        return x

    def loss(f):
        return lambda b: np.sum(f(b) ** 2)

    def ours(b):
        return fixed_point(step, np.zeros(n), b)

    v = np.cos(np.arange(n))
    same(
        [ours(b), jvp(ours, (b,), (v,)), grad(loss(ours))(b), hvp(loss(ours))(b, v)],
        [iterated(b), jvp(iterated, (b,), (v,)), grad(loss(iterated))(b), hvp(loss(iterated))(b, v)],
        rtol=1e-8,
    )


def test_containers_and_complex_numbers():
    def f(x, a):
        return {"z": x["z"] ** 2 - a["z"], "y": (x["y"] * x["z"].real - a["y"],)}

    def g(x, a):
        return {"z": x["z"] ** 2 - a["z"], "y": x["y"] * np.real(x["z"]) - a["y"]}

    a = {"z": np.array([3.0 + 4.0j]), "y": np.array([2.0])}
    x = root(g, {"z": np.array([1.0 + 1.0j]), "y": np.array([1.0])}, a)
    np.testing.assert_allclose(x["z"], [2.0 + 1.0j])
    np.testing.assert_allclose(x["y"], [1.0])

    def loss(found):
        return lambda a: np.sum(np.abs(found(a)["z"]) ** 2 * found(a)["y"])

    got = grad(loss(lambda a: root(g, x, a)))(a)
    want = grad(loss(lambda a: {"z": np.sqrt(a["z"]), "y": a["y"] / np.real(np.sqrt(a["z"]))}))(a)
    same(got, want)
    assert got["z"].dtype == complex and got["y"].dtype == float


def test_float32_and_empty():
    got = grad(lambda a: np.sum(root(lambda x, a: x * x - a, np.ones(2, np.float32), a)))(np.full(2, 4.0, np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 0.25, rtol=1e-6)
    assert grad(lambda a: np.sum(root(lambda x, a: x - a, np.zeros(0), a[:0])) + a[0])(B)[0] == 1.0


def test_nested_in_each_other():
    def inner(y):
        return fixed_point(lambda x: np.cos(x) * y, 0.5)

    def outer(c):
        return root(lambda y: y - c * inner(y) - 0.2, 0.5)

    c, h = 0.7, 1e-5
    np.testing.assert_allclose(grad(outer)(c), (outer(c + h) - outer(c - h)) / (2 * h), rtol=1e-7)


def test_what_is_refused():
    with pytest.raises(UnsupportedError, match="singular"):
        grad(lambda a: root(lambda x, a: x * x - a, 1.0, a, solve=lambda g, x: 0.0))(0.0)
    with pytest.raises(UnsupportedError, match="didn't converge"):
        grad(lambda a: root(lambda x, a: x - a, 1.0, a, solve=lambda g, x: x))(5.0)
    with pytest.raises(UnsupportedError, match="linear equations"):
        exact = root(cubic, np.zeros(3), A, B)
        wrong = {"solve": lambda g, x: exact, "linear_solve": lambda product, b: 2.0 * b}
        grad(lambda b: np.sum(root(cubic, np.zeros(3), A, b, **wrong)))(B)
    with pytest.raises(RuntimeError, match="hasn't converged"):
        root(lambda x: x * x + 1.0, 1.0)
    with pytest.raises(NotDifferentiableError, match="x0"):
        root(lambda x: x, 1)
    with pytest.raises(ValueError, match="shapes"):
        root(lambda x: x[:2], np.zeros(3))


def test_autograd_s_fixed_point_stays_where_it_was():
    from gpuad.misc.fixed_points import fixed_point as autograd_s

    assert autograd_s is not gpuad.fixed_point


def test_on_every_backend(backend, xp):
    a, b, v = map(backend.asarray, (A, B, V))

    def f(x, a, b):
        return a @ x + 0.1 * x * x * x - b

    def total(b):
        return gnp.sum(root(f, xp.zeros(3), a, b) ** 2)

    same(backend.to_numpy(grad(total)(b)), grad(lambda b: np.sum(unrolled(A, b) ** 2))(B))
    same(backend.to_numpy(hvp(total)(b, v)), hvp(lambda b: np.sum(unrolled(A, b) ** 2))(B, V))

    def contraction(b):
        return gnp.sum(fixed_point(lambda x: 0.3 * gnp.tanh(x) + b, xp.zeros(3)))

    exact = 1.0 / (1.0 - 0.3 / np.cosh(fixed_point(lambda x: 0.3 * np.tanh(x) + B, np.zeros(3))) ** 2)
    np.testing.assert_allclose(backend.to_numpy(grad(contraction)(b)), exact)


# -- many at once -------------------------------------------------------------------------------------------
def _by_bisection(f, x):
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(f(middle)) < 0.0 else (low, middle)
    return low


@pytest.mark.filterwarnings("ignore:vmap. the search of:RuntimeWarning")
@pytest.mark.parametrize(
    "cube_root",
    [
        lambda a: root(lambda x: x**3 - a, 1.0),
        lambda a: root(lambda x, a: x**3 - a, 1.0, a, solve=_by_bisection),
        lambda a: root(lambda x, a: x**3 - a, 1.0, a, linear_solve=lambda product, b: b / product(np.ones(1))),
        lambda a: fixed_point(lambda x: (2.0 * x + a / x**2) / 3.0, 1.0),
    ],
)
def test_of_many_examples(cube_root):
    a = np.array([[0.5, 1.0, 2.0], [3.0, 5.0, 8.0]])
    np.testing.assert_allclose(vmap(vmap(cube_root))(a), a ** (1 / 3), rtol=1e-12)
    np.testing.assert_allclose(vmap(vmap(grad(cube_root)))(a), a ** (-2 / 3) / 3, rtol=1e-12)
    np.testing.assert_allclose(vmap(vmap(grad(grad(cube_root))))(a), -2 * a ** (-5 / 3) / 9, rtol=1e-11)
    np.testing.assert_allclose(grad(lambda a: vmap(cube_root)(a).sum())(a[0]), a[0] ** (-2 / 3) / 3, rtol=1e-12)
    slopes = jvp(vmap(cube_root), (a[1],), (np.ones(3),))[1]
    np.testing.assert_allclose(slopes, a[1] ** (-2 / 3) / 3, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:vmap. the search of:RuntimeWarning")
@pytest.mark.parametrize("solve", [None, _by_bisection])
def test_of_many_examples_at_two_levels_of_which_either_may_be_read_first(solve):
    def solution(a, b):
        return root(lambda x: x**3 + x - a * b, a, solve=solve)

    def slope(a, b):
        return b / (3.0 * solution(a, b) ** 2 + 1.0)

    a, b = np.array([1.0, 2.0, 3.0]), np.array([5.0, 15.0])
    for f, exact in ((solution, solution), (grad(solution), slope)):
        wanted = [[exact(x, y) for y in b] for x in a]
        np.testing.assert_allclose(vmap(vmap(f, (None, 0)), (0, None))(a, b), wanted, rtol=1e-10)
        np.testing.assert_allclose(vmap(vmap(f, (0, None)), (None, 0))(a, b).T, wanted, rtol=1e-10)


def test_of_many_examples_in_containers_and_from_many_starts():
    def solution(start, b):
        found = root(lambda x: {"u": x["u"] ** 2 - b[0], "v": x["v"] + x["u"] - b[1]}, {"u": start, "v": 0.0})
        return found["u"] * found["v"]

    starts, b = np.array([1.0, -1.0, 2.0]), np.array([[4.0, 1.0], [9.0, 2.0], [2.0, 0.5]])
    with pytest.warns(RuntimeWarning, match="the search of root is evaluated example by example"):
        batch._warned.discard("the search of root")
        found = vmap(grad(solution, 1))(starts, b)
    for k in range(3):
        for got, wanted in zip(found[k], grad(solution, 1)(starts[k], b[k]), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_of_no_examples():
    with pytest.raises(UnsupportedError, match="root can't be searched for in a batch of no examples"):
        vmap(lambda a: root(lambda x: x - a, 0.0))(np.zeros(0))


@pytest.mark.filterwarnings("ignore:vmap. the search of:RuntimeWarning")
def test_an_example_without_a_derivative():
    with pytest.raises(UnsupportedError, match="singular"):
        vmap(grad(lambda a: root(lambda x: a * x**2, 0.0, solve=lambda f, x: x)))(np.array([1.0, 2.0]))

"""Programs that write into arrays: their gradients are those of the same program run by NumPy alone."""

import copy
import itertools

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jit, jvp, value_and_grad, vjp
from gpuad.errors import LeakedTracerError, UnsupportedError
from gpuad.test_util import check_grads

RNG = np.random.default_rng(20)
WEIGHTS = np.cos(np.arange(1.0, 200.0))


def weigh(*arrays):
    """A number to which every entry of every array counts, each otherwise."""
    total = 0.0
    for k, a in enumerate(arrays):
        flat = a.reshape(-1)
        total = total + (flat * flat * WEIGHTS[k : k + flat.shape[0]]).sum() + (flat * WEIGHTS[: flat.shape[0]]).sum()
    return total


def differences(f, xs, step=1e-6):
    """Central differences of a program that may write into its arguments."""
    gradients = []
    for n, x in enumerate(xs):
        g = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            ends = []
            for sign in (1.0, -1.0):
                moved = [np.array(a) for a in xs]
                moved[n][i] += sign * step
                ends.append(float(f(*moved)))
            g[i] = (ends[0] - ends[1]) / (2 * step)
        gradients.append(g)
    return gradients


def check(f, *xs, tolerance=2e-7):
    """Value and gradient of ``f``; and that second derivatives and forward mode agree with the gradient."""
    xs = [np.array(x, float) for x in xs]
    before = [x.copy() for x in xs]
    argnums = tuple(range(len(xs)))
    value, gradients = value_and_grad(f, argnums)(*xs)
    for x, b in zip(xs, before, strict=True):
        assert np.array_equal(x, b), "the caller's array was written into"
    np.testing.assert_allclose(value, f(*[x.copy() for x in xs]), rtol=1e-12)
    for g, want in zip(gradients, differences(f, xs), strict=True):
        np.testing.assert_allclose(g, want, rtol=tolerance, atol=tolerance * 10)
    ts = [RNG.normal(size=x.shape) for x in xs]
    along = sum((g * t).sum() for g, t in zip(gradients, ts, strict=True))
    np.testing.assert_allclose(jvp(f, tuple(xs), tuple(ts))[1], along, rtol=1e-9, atol=1e-9)

    def slope(*xs):
        return sum((g * t).sum() for g, t in zip(grad(f, argnums)(*xs), ts, strict=True))

    for g, want in zip(grad(slope, argnums)(*xs), differences(slope, xs), strict=True):
        np.testing.assert_allclose(g, want, rtol=tolerance * 10, atol=tolerance * 100)


# -- programs, as people write them -------------------------------------------------------------------
def entry(x):
    x[1] = x[0] * 3
    return weigh(x)


def entry_by_its_neighbour(x):
    for i in range(1, len(x)):
        x[i] = x[i] * 0.5 + np.sin(x[i - 1])
    return weigh(x)


def new_array_like(x):
    out = np.zeros_like(x)
    for i in range(1, len(x)):
        out[i] = out[i - 1] * x[i] + x[i - 1]
    return weigh(out)


def mask_in_place(x):
    x[x > 0] *= 2
    x[x < -0.5] = x[0]
    return weigh(x)


def views_see_and_are_seen(x):
    front, odd = x[:4], x[1::2]
    front += 1.0
    odd[0] = front[2] * 2
    back = front[::-1]
    back[0] = x[-1] * x[0]
    return weigh(x, front, odd, back)


def rows_and_columns(x):
    m = x.reshape(2, 3)
    m[0] += m[1]
    t = m.T
    t[1] = m[0, 0]
    m[:, 2] *= t[0]
    x *= 1.5
    return weigh(x, m, t)


def overlapping(x):
    x[1:] = x[:-1]
    x[2:] += x[:-2]
    return weigh(x)


def fancy(x):
    x[[0, 2, 2]] = x[[3, 4, 5]]  # of entries named twice the last counts
    x[np.array([[0, 1], [3, 1]])] *= 2.0
    return weigh(x)


def number_into_repeated(x):
    x[[1, 1, 1]] = x[0]
    return weigh(x)


def grid(x):
    a = np.zeros_like(x, shape=(3, 4)) + 0.5
    a[np.ix_([0, 2], [1, 3])] = x[:4].reshape(2, 2)
    a[1, ...] = x[0]
    a[:, None, 0] = x[3:].reshape(3, 1)
    a[np.array([True, False, True]), 2] -= x[1]
    return weigh(a)


def augmented(x):
    y = x.copy()
    y += x
    y -= 2.0
    y *= x[0]
    y /= 1.0 + x * x
    y **= 2
    y @= np.ones((6, 6)) / 7
    return weigh(x, y)


def a_number_is_not_an_array(x):
    s = x[0]
    t = s
    s += 1.0  # numbers don't change: t is what it was
    return weigh(x) + s * t


def names_of_one_array(x):
    y = x
    y += 1.0
    y[0] = x[1]
    return weigh(x, y)


def after_use(x):
    y = x * x
    squares = y * y
    y[:] = 0.0
    y[2] = x[0]
    return weigh(squares, y)


def copies_are_copies(x):
    kept = [x.copy(), gnp.array(x), np.copy(x), x.flatten(), copy.copy(x), copy.deepcopy(x), x[[0, 1]], x + 0]
    kept += [x.astype(float), np.take(x, [0]), np.repeat(x, 1), x.reshape(2, 3).T.reshape(-1), gnp.array([x])]
    x[:] = 7.0
    return weigh(x, *kept)


def views_are_views(x):
    m = x.reshape(2, 3)
    kept = [
        x[:],
        x[...],
        m.T,
        m[None],
        m.swapaxes(0, 1),
        np.squeeze(m[:1]),
        np.flip(x),
        x.ravel(),
        np.moveaxis(m, 0, 1),
    ]
    kept += [*m, *np.split(x, 2), gnp.asarray(x), np.broadcast_to(x, (2, 6)), m.diagonal(), np.expand_dims(x, 0)]
    x[1] = x[0] * x[5]
    m[1, 2] = x[4]
    return weigh(x, *kept)


def view_of_a_view(x):
    a = x[1:]
    b = a[1:]
    c = b.reshape(2, 2)
    c[1, 0] = a[0] * 2
    a[1] = c[0, 1]
    x[2:4] = b[2:]
    return weigh(x, a, b, c)


def rows_in_a_loop(x):
    m = x.reshape(3, 2) * 1.0
    for row in m:
        row *= row[0]
    for i in range(1, 3):
        m[i] += m[i - 1] ** 2
        m[i, 0], m[i, 1] = m[i, 1], m[i, 0]
    return weigh(m, x)


def functions_that_write(x):
    a = x * 1.0
    np.add.at(a, [0, 0, 2], x[:3])
    np.subtract.at(a, [1, 1], x[0])
    np.multiply.at(a, [3, 3, 4], x[3:])
    np.negative.at(a, [5])
    np.add.at(a, 2, x[5])
    b = np.zeros_like(x)
    np.copyto(b, a)
    np.copyto(b, x, where=np.arange(6) % 2 == 0)
    np.put(b, [0, -1], a[1:3])
    np.putmask(b, np.arange(6) == 3, x)
    np.place(b, np.arange(6) > 3, x[:1])
    m = b.reshape(2, 3).copy()
    np.fill_diagonal(m, x[:2])
    np.put_along_axis(m, np.array([[1], [2]]), x[2:4].reshape(2, 1), 1)
    b.fill(x[0])
    a.sort()
    return weigh(a, b, m)


def out(x):
    a = np.zeros_like(x)
    b = np.empty_like(x)
    np.multiply(x, x, out=a)
    np.add(a, 1.0, a)
    assert np.sin(a, out=b) is b
    np.divide(x, a, out=a, where=x > 0)
    np.log(x, out=b, where=x > 0)  # is not computed elsewhere, where it would be nan
    c = np.zeros_like(x[:2])
    np.sum(x.reshape(2, 3), axis=1, out=c)
    d = np.empty_like(x, shape=(12,))
    np.concatenate([x, a], out=d)
    np.clip(x, -0.5, 0.5, out=x)
    return weigh(a, b, c, d, x)


def becomes_traced(x):
    out = np.zeros_like(x, shape=(2, 3))
    row = out[0]
    before = out * 2.0
    out[1] = 2.0
    row[1] = x[0]
    out += before
    out[0, 2] = row[1] * x[1]
    return weigh(out, row, before)


def swap(x):
    x[0], x[1] = x[1], x[0]
    x[[2, 3]] = x[[3, 2]]
    return weigh(x)


def stencil(x):
    u = x.copy()
    for _ in range(3):
        new = u.copy()
        new[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u = new
    return weigh(u)


def elimination(x):
    a = x.reshape(3, 2).T @ x.reshape(3, 2) + 3 * np.eye(2)
    b = x[:2] * 1.0
    for i in range(2):
        for j in range(i + 1, 2):
            factor = a[j, i] / a[i, i]
            a[j] -= factor * a[i]
            b[j] -= factor * b[i]
    y = np.zeros_like(b)
    for i in reversed(range(2)):
        y[i] = (b[i] - a[i, i + 1 :] @ y[i + 1 :]) / a[i, i]
    return weigh(y, a)


PROGRAMS = [
    entry, entry_by_its_neighbour, new_array_like, mask_in_place, views_see_and_are_seen, rows_and_columns, overlapping,
    fancy, number_into_repeated, grid, augmented, a_number_is_not_an_array, names_of_one_array, after_use,
    copies_are_copies, views_are_views, view_of_a_view, rows_in_a_loop, functions_that_write, out, becomes_traced, swap,
    stencil, elimination,
]  # fmt: skip
X = np.array([0.7, -1.2, 0.4, 1.1, -0.6, 0.9])


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_program(f):
    check(f, X)


# -- random programs ----------------------------------------------------------------------------------
def random_program(rng):
    """A program of views, writes and calculations, over arrays of 12 numbers and views of them."""
    steps = []
    for _ in range(rng.integers(4, 14)):
        steps.append((rng.integers(0, 12), *rng.integers(0, 1 << 16, size=4)))

    def program(x, y):
        arrays = [x, y]
        for kind, p, q, r, s in steps:
            a, b = arrays[p % len(arrays)], arrays[q % len(arrays)]
            small = b.reshape(-1)[r % b.size]
            i = r % a.shape[0] if a.ndim else 0
            if kind == 0 and a.ndim:
                arrays.append(a[i:] if s % 2 else a[:: 1 + s % 3])
            elif kind == 1:
                arrays.append(a.T)
            elif kind == 2:
                arrays.append(a.reshape(-1, 2) if a.size % 2 == 0 else a.reshape(-1))
            elif kind == 3 and a.ndim:
                arrays.append(a[::-1])
            elif kind == 4 and a.ndim:
                a[i] = small * 0.5 + s % 5
            elif kind == 5:
                a *= 0.5 + small * 0.1
            elif kind == 6:
                a += b if b.shape == a.shape else small
            elif kind == 7 and a.ndim:
                a[[i, s % a.shape[0], i]] = small + np.arange(3.0).reshape(3, *(1,) * (a.ndim - 1))
            elif kind == 8:
                a[a > 0.3] = small * 0.7
            elif kind == 9:
                arrays.append(np.sin(a) + small)
            elif kind == 10 and a.ndim and b.ndim:
                n = min(len(a), b.size)
                b = b * 1.0  # where both overlap with other strides, NumPy's own result depends on its order
                a[:n] = b.reshape(-1)[:n].reshape(n, *(1,) * (a.ndim - 1))
            elif kind == 11 and a.ndim > 1:
                arrays.append(a[:, s % a.shape[1]])
        return weigh(*arrays)

    return program


@pytest.mark.parametrize("seed", [*range(150), 2409, 3166])
def test_random_program(seed):
    rng = np.random.default_rng(seed)
    f = random_program(rng)
    x, y = rng.normal(size=12), rng.normal(size=(3, 4))
    value, gradients = value_and_grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(value, f(x.copy(), y.copy()), rtol=1e-12)
    ts = rng.normal(size=12), rng.normal(size=(3, 4))
    along = sum((g * t).sum() for g, t in zip(gradients, ts, strict=True))
    want = (f(x + 1e-6 * ts[0], y + 1e-6 * ts[1]) - f(x - 1e-6 * ts[0], y - 1e-6 * ts[1])) / 2e-6
    np.testing.assert_allclose(along, want, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(jvp(f, (x, y), ts)[1], along, rtol=1e-9, atol=1e-9)


# -- what else holds ------------------------------------------------------------------------------------
def test_on_every_backend(backend):
    xp = backend.xp

    def f(x):
        out = gnp.zeros(4)
        for i in range(1, 4):
            out[i] = out[i - 1] + x[i] * x[i - 1]
        view = out[1:]
        view *= x[0]
        out[gnp.asarray([0, 0])] = x[:2]
        out[out > 1.0] = x[3]
        return (out * out).sum()

    x = backend.asarray(X[:4])
    with gpuad.use(backend.name):
        g = backend.to_numpy(grad(f)(x))
    assert backend.owns(type(x)) and xp is not None
    with gpuad.use("numpy"):
        np.testing.assert_allclose(g, grad(f)(X[:4]), rtol=1e-12)
        np.testing.assert_allclose(g, differences(f, [X[:4]])[0], rtol=1e-6, atol=1e-7)


def test_the_pullback_of_a_function_that_writes_can_be_called_again():
    _, pullback = vjp(rows_in_a_loop, X)
    assert np.array_equal(pullback(1.0)[0], pullback(1.0)[0])


def test_float32_stays():
    def f(x):
        x[1:] *= 2.0
        x[0] = np.float64(3.0) * x[2]
        return x.sum()

    g = grad(f)(np.ones(3, "float32"))
    assert g.dtype == np.float32
    assert g.tolist() == [0.0, 2.0, 8.0]


def test_complex():
    def f(z):
        z[0] = z[1] * 1j
        z.real = z.real * 2.0
        return (z * z).real.sum() + z.imag.sum()

    z = np.array([1 + 2j, 3 - 1j])
    h = 1e-6

    def slope(step):
        return (f(z + step) - f(z - step)) / (2 * h)

    want = [slope(h * e) - 1j * slope(1j * h * e) for e in np.eye(2)]
    np.testing.assert_allclose(grad(f)(z), want, atol=1e-7)
    with pytest.raises(ValueError, match="read-only"):
        grad(lambda z: np.broadcast_to(z.real, (2, 2)).__setitem__(0, 1.0) or 0.0)(z)


HALVES = {
    "doubled": lambda z, x: double(z),
    "set": lambda z, x: setattr(z, "real", x),
    "imaginary": lambda z, x: setattr(z, "imag", x * z.real),
    "entries": lambda z, x: z.real.__setitem__(slice(0, 2), x[1:]),
    "of a part": lambda z, x: z[1:].imag.__setitem__(0, x[0] * x[1]),
    "a number": lambda z, x: setattr(z, "imag", 2),
    "kept": lambda z, x: kept_half(z, x),
}


def double(z):
    z.real *= 2
    z.imag[1:] += z.real[:-1]


def kept_half(z, x):
    part = z.imag
    z *= 2
    part *= x
    z += part


@pytest.mark.parametrize("transform", [lambda f: f, jit], ids=["plain", "jit"])
@pytest.mark.parametrize("name", HALVES)
def test_real_and_imaginary_parts(name, transform):
    """As NumPy has them, views; and gradients by JVPs and by differences."""

    def f(z, x):
        z = z * 1
        HALVES[name](z, x)
        return z

    z, x = np.array([1 + 2j, 3 - 1j, -0.5 + 0.25j]), np.array([0.5, -1.5, 2.0])
    for _ in range(2):
        value, slope = transform(lambda z, x: jvp(f, (z, x), (z[::-1], x[::-1])))(z, x)
        np.testing.assert_allclose(value, f(z, x), rtol=1e-14)
        step = 1e-6
        want = (f(z + step * z[::-1], x + step * x[::-1]) - f(z - step * z[::-1], x - step * x[::-1])) / (2 * step)
        np.testing.assert_allclose(slope, want, atol=1e-8)
    check_grads(lambda z, x: np.sum(np.abs(f(z, x)) ** 2 * x), (z, x))


def test_parts_beside_infinite_ones():
    def f(x):
        z = np.array([1 + np.inf * 1j, np.inf - 1j, np.nan + 2j]) * (1 + 0 * x)
        z.imag = np.array([np.inf, 1.0, -np.inf])
        z.real = x * 2
        return z

    with np.errstate(invalid="ignore"):
        x = np.array([1.0, -2.0, 3.0])
        value, _ = vjp(f, x)
    np.testing.assert_array_equal(value.real, 2 * x)
    np.testing.assert_array_equal(value.imag, [np.inf, 1.0, -np.inf])


def test_a_loop_of_writes_costs_what_it_touches():
    """Counted: not one copy of the whole for every write, forwards or backwards."""
    n = 3000
    sizes = []
    real_copy = np.ndarray.copy

    class Counted(np.ndarray):
        def copy(self, *args, **kwargs):
            sizes.append(self.size)
            return real_copy(self, *args, **kwargs)

    def f(x):
        out = x.reshape(-1, 2) * 1.0
        for i in range(1, len(out)):
            out[i] = out[i - 1] * 0.5 + out[i]
            out[i, 1] += 1.0
        return out.sum()

    x = np.ones(n).view(Counted)
    grad(f)(x)
    assert sum(size == n for size in sizes) <= 3
    assert sum(sizes) < 40 * n


def test_an_entry_and_the_whole_in_another_shape_are_read_after_a_write():
    def f(x):
        x[0] = x[2] * 0.5
        y = x[-1] * 3.0
        return weigh(x.reshape(2, 3)) + y * y

    check(f, X)


def test_the_diagonal_that_einsum_gives():
    def f(x):
        a = np.outer(x[:3], x[3:])
        np.einsum("ii->i", a)[1:] = x[:2] ** 2
        d = np.einsum("iji->ji", x[:4].reshape(2, 1, 2) * 1.0)
        d *= 3.0
        a += np.einsum("ii->i", a)
        return weigh(a, d, np.einsum("ii", a) * x[:1])

    check(f, X)


def test_nothing_backwards():
    def f(x):
        x[0] = 2.0
        nothing = x[:0][::-1]
        assert nothing.shape == x[1:1][::-1][1:].shape == (0,)
        return weigh(x) + nothing.sum()

    check(f, X)


def test_an_array_of_shape_0_in_another_shape():
    def f(x):
        a = gnp.array(x[0])
        a[...] = a * x[1]
        y = a.reshape(1)
        return a * a + y[0] * 2.0 + (np.sin(a) + y.reshape(())) * x[2]

    check(f, X)


def test_a_view_of_a_view_of_a_view_and_so_on():
    def f(x):
        whole = rest = x * 1.0
        while len(rest) > 1:
            rest[1] += rest[0] * 0.5
            rest = rest[1:] if len(rest) % 2 else rest[::-1][1:][::-1][:-1][::1]
        return (whole * whole).sum()

    x = np.cos(np.arange(1500.0))
    t = np.sin(np.arange(1500.0))
    want = (f(x + 1e-6 * t) - f(x - 1e-6 * t)) / 2e-6
    np.testing.assert_allclose(grad(f)(x) @ t, want, rtol=1e-6)


def test_nested_transformations():
    def f(x):
        y = x * 1.0

        def inner(z):
            z[0] *= y[1]
            return (z * z).sum()

        y[0] = x[1] * 3
        y[1:] = grad(inner)(y)[1:]
        return weigh(y)

    def by_hand(x):
        y = np.array([x[1] * 3, *x[1:]])
        z = np.array([y[0] * y[1], *y[1:]])
        return weigh(np.array([y[0], *(2 * z[1:])]))

    np.testing.assert_allclose(grad(f)(X), differences(by_hand, [X])[0], rtol=1e-6, atol=1e-7)


def test_writing_into_an_array_of_an_outer_function():
    def outer(w):
        log = w * 0.0

        def inner(x):
            log[0] = gpuad.stop_gradient(x).sum()
            return (x * w).sum()

        g = grad(inner)(w)
        return (g * log).sum()

    # log[0] is a constant, the sum of w
    np.testing.assert_allclose(grad(outer)(X), [X.sum(), 0, 0, 0, 0, 0])

    def leaking(w):
        log = w * 0.0

        def inner(x):
            log[0] = x[0]
            return (x * w).sum()

        grad(inner)(w)
        return log.sum()

    with pytest.raises(LeakedTracerError):
        grad(leaking)(X)


def test_arrays_made_inside_take_traced_writes():
    def f(x):
        made = [gnp.zeros(2), gnp.ones(2), gnp.empty(2), gnp.full(2, 0.5), gnp.array([1.0, 2.0]), gnp.arange(2.0)]
        made += [gnp.linspace(0.0, 1.0, 2), gnp.eye(2)[0], gnp.zeros_like(np.ones(2)), gnp.copy(np.ones(2))]
        for a in made:
            a[0] = x
            a[1] = 2.0
        return gnp.sum(gnp.stack(made))

    assert grad(f)(3.0) == 10.0
    assert type(gnp.zeros(2)) is np.ndarray  # outside it is the backend's own


def test_an_array_made_inside_is_an_array():
    def f(x):
        a = gnp.zeros(3)
        a[1] = 2.0
        assert float(a[1]) == 2.0
        assert a.tolist() == [0.0, 2.0, 0.0]
        assert np.asarray(a).tolist() == [0.0, 2.0, 0.0]
        assert isinstance(a, np.ndarray)
        return x * a.sum(), a

    value, aux = grad(f, has_aux=True)(1.5)
    assert value == 2.0
    assert type(aux) is np.ndarray


def test_a_plain_copy_of_an_array_that_takes_traced_values_is_not_left_behind():
    def f(x):
        a = gnp.zeros(3)
        plain = np.asarray(a)
        a[0] = x
        return plain.sum()

    with pytest.raises(UnsupportedError, match=r"gpuad\.numpy\.asarray"):
        grad(f)(1.0)


@pytest.mark.parametrize(
    ("f", "error", "words"),
    [
        (lambda x: x.__setitem__(9, 1.0), IndexError, "out of bounds"),
        (lambda x: x.__setitem__(slice(2), x), ValueError, "broadcast"),
        (lambda x: x.__iadd__(np.ones((2, 6))), ValueError, "written into"),
        (lambda x: x.astype("float32").__iadd__(1j * x), TypeError, "Cannot cast"),
        (lambda x: x[0].__setitem__(0, 1.0), TypeError, "does not support item assignment"),
        (lambda x: np.broadcast_to(x, (2, 6)).__setitem__(0, 1.0), ValueError, "read-only"),
        (lambda x: np.diagonal(x.reshape(2, 3)).fill(0.0), ValueError, "read-only"),
        (lambda x: np.zeros(6).__iadd__(x), UnsupportedError, r"gpuad\.lift"),
        (lambda x: np.copyto(np.zeros(6), x), UnsupportedError, r"gpuad\.lift"),
        (lambda x: np.add.at(np.zeros(6), [0], x[:1]), UnsupportedError, r"gpuad\.lift"),
        (lambda x: np.add(x, x, where=x > 0), UnsupportedError, "out="),
        (lambda x: np.put(x, 6, 1.0), IndexError, "out of bounds"),
        (lambda x: x.reshape(2, 3).T.flat.__setitem__(0, 1.0), ValueError, "read-only"),
    ],
)
def test_errors(f, error, words):
    with pytest.raises(error, match=words):
        grad(lambda x: f(x) or 0.0)(X)


def test_a_tangent_that_was_broadcast():
    def f(x):
        y = np.zeros((3, 4)) + gnp.sin(x)
        y[0] = 1.0
        return y

    x = np.arange(4.0)
    moved = jvp(f, (x,), (np.ones(4),))[1]
    np.testing.assert_allclose(moved, np.vstack([np.zeros(4), np.cos(x), np.cos(x)]))


def test_a_write_that_fails_leaves_the_array_as_it_was():
    def f(x):
        with pytest.raises(ValueError, match="broadcast"):
            x[:2] = x[:3]
        return (x * x).sum()

    np.testing.assert_allclose(grad(f)(X), 2 * X)


def test_every_order_of_reading_and_writing():
    """All programs of four steps out of six, on an array, a view of it and a view of that."""

    def run(order, x):
        a = x * 1.0
        b = a[1:5]
        c = b.reshape(2, 2)
        seen = []
        for step in order:
            if step == 0:
                a[2] = a[1] * 2
            elif step == 1:
                b[1:3] = b[0] * x[:2]
            elif step == 2:
                c[:, 0] += x[0]
            elif step == 3:
                seen.append(a * 1.5)
            elif step == 4:
                seen.append(c * b.reshape(2, 2))
            else:
                seen.append(b[::2])
        return weigh(a, b, c, *seen)

    for order in itertools.product(range(6), repeat=4):
        g = grad(lambda x, order=order: run(order, x))(X)
        t = np.sin(np.arange(6.0))
        want = (run(order, X + 1e-6 * t) - run(order, X - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(g @ t, want, rtol=1e-6, atol=1e-7, err_msg=str(order))


def test_floats_written_into_whole_numbers_have_no_derivative():
    def f(x, i):
        z = i.copy()
        z[...] = np.sum(x)
        return np.sum(z * 1.0 * i)

    x, i = np.array([3.7, 1.0]), np.array([5, -5, 1])
    for g in (gpuad.grad(f), gpuad.jit(gpuad.grad(f)), gpuad.grad(gpuad.jit(f))):
        for _ in range(3):
            np.testing.assert_array_equal(g(x, i), [0.0, 0.0])

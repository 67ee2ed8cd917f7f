"""Programs that say only ``import cupy as cp``: differentiated as they stand, against central differences."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

import gpuad
from gpuad import lift
from gpuad.errors import UnsupportedError

RNG = np.random.default_rng(5)
X = RNG.uniform(0.2, 1.4, (4, 3))
Y = RNG.uniform(0.3, 1.1, 3)
STEP = 1e-6


def loop(cp, x, y):
    total = 0.0
    for row in x:
        total = cp.tanh(total + cp.dot(row, y))
    return total


def newton(cp, x, y):
    root = cp.sqrt(y) * 0.5 + 1.0
    for _ in range(6):
        root = root - (root**3 - cp.sum(x, axis=0)) / (3.0 * root**2)
    return cp.sum(root)


def softmax(cp, x, y):
    z = x * y
    z = z - cp.max(z, axis=1, keepdims=True)
    p = cp.exp(z) / cp.sum(cp.exp(z), axis=1, keepdims=True)
    return -cp.mean(cp.log(p[cp.arange(4), cp.asarray([0, 2, 1, 1])]))


def layers(cp, x, y):
    h = x
    for _ in range(3):
        h = cp.maximum(h @ (x.T @ x), 0.1) * 0.3 + cp.sin(h)
    return cp.mean(h @ y)


def standardized(cp, x, y):
    z = (x - x.mean(axis=0)) / cp.sqrt(cp.var(x, axis=0) + 1e-3)
    return cp.sum(cp.square(z @ y)) + cp.std(x * y)


def branches(cp, x, y):
    s = cp.sum(x)
    if s > 2.0:
        s = s * cp.prod(y)
    while s < 20.0:
        s = s * 1.7 + cp.max(x)
    return s


def logistic_map(cp, x, y):
    state, out = x, 0.0
    for i in range(5):
        state = 2.1 * state * (1.0 - state / 2.0)
        out = out + state[i % 4, i % 3] * y[-1]
    return out


def attention(cp, x, y):
    scores = (x * y) @ x.T / cp.sqrt(3.0)
    weights = cp.exp(scores - cp.amax(scores, axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return cp.sum((weights @ x) ** 2)


def own_kernels(cp, x, y):
    squared = cp.ElementwiseKernel("T a, T b", "T c", "c = (a - b) * (a - b)", "squared_distance")
    gpuad.defvjp(
        squared, lambda g, ans, a, b: 2.0 * g * (a - b), lambda g, ans, a, b: cp.sum(-2.0 * g * (a - b), axis=0)
    )
    return cp.sum(squared(x, y)) + cp.max(x)


def own_reduction(cp, x, y):
    norm = cp.ReductionKernel("T a", "T b", "a * a", "a + b", "b = sqrt(a)", "0", "l2norm")
    length = gpuad.primitive(norm)
    gpuad.defvjp(length, lambda g, ans, a: g * a / ans)
    return length(x) * length(y)


def write(a, y):
    a[1] = y
    a[:, 0] *= 2.0
    a += a[::-1]
    return (a**2).sum()


PROGRAMS = {f.__name__: f for f in (loop, newton, softmax, layers, standardized, branches, logistic_map, attention)}
PROGRAMS |= {f.__name__: f for f in (own_kernels, own_reduction)}
PROGRAMS |= {
    "chain": lambda cp, x, y: cp.sum(cp.tanh(cp.sin(x) * 2.0 + y)),
    "exponentials": lambda cp, x, y: cp.sum(cp.exp(-x) + cp.expm1(x) * cp.log1p(y) + cp.exp2(x) - cp.log10(x)),
    "trigonometry": lambda cp, x, y: cp.sum(cp.cos(x) + cp.tan(x) * cp.arctan(y) + cp.arctan2(x, y) + cp.hypot(x, y)),
    "hyperbolic": lambda cp, x, y: cp.sum(cp.sinh(x) * cp.cosh(y) + cp.arcsinh(x) + cp.sinc(x)),
    "powers": lambda cp, x, y: cp.sum(
        x**3 + cp.power(x, y) + 2.0**x + cp.cbrt(x) + cp.reciprocal(y) + cp.float_power(x, 2)
    ),
    "constant first": lambda cp, x, y: cp.sum(cp.asarray(Y) * x - cp.ones(3) / y + (3.0 - x) * (1.0 / x)),
    "matrix product": lambda cp, x, y: cp.sum((x @ x.T) @ (x @ y)),
    "constant matrix": lambda cp, x, y: cp.sum(cp.asarray(X.T) @ x @ cp.asarray(Y)),
    "dot": lambda cp, x, y: cp.dot(x, y).sum() + x.dot(y)[0] * cp.outer(y, y)[0, 1],
    "reductions": lambda cp, x, y: cp.sum(x, axis=0)[1] + cp.mean(x) + cp.prod(y) + cp.var(x) + cp.std(y, ddof=1),
    "extrema": lambda cp, x, y: cp.max(x) * cp.min(y) + cp.sum(cp.amin(x, axis=1)) + cp.nanmax(x * x) + cp.ptp(y),
    "by condition": lambda cp, x, y: cp.sum(cp.compress(cp.asarray([True, False]), x * x, axis=0)),
    "methods": lambda cp, x, y: x.sum(axis=1).prod() + x.mean() * y.max() + x.T.ravel()[3:].cumsum()[-2] + x.std(),
    "where": lambda cp, x, y: cp.sum(cp.where(x > 0.8, x * y, cp.sqrt(x))),
    "clip": lambda cp, x, y: cp.sum(cp.clip(x, 0.4, 1.1) * y) + x.clip(0.5, 1.2).sum(),
    "comparisons": lambda cp, x, y: cp.sum((x > y) * x) + cp.sum(cp.isfinite(x) * y),
    "maximum": lambda cp, x, y: cp.sum(cp.maximum(x, y) - cp.minimum(x, 0.7) + cp.fmax(x, 0.9)),
    "slices": lambda cp, x, y: cp.sum(x[1:, ::-1] * x[:-1] + x[::2].sum(axis=0) * y[None]),
    "integer index": lambda cp, x, y: cp.sum(x[cp.asarray([0, 2, 0])] * x[[1, 1, 3]]) + y[-1],
    "mask": lambda cp, x, y: cp.sum(x[x > 0.6] ** 2) + cp.sum(x[cp.asarray(X) > 1.0]),
    "take": lambda cp, x, y: cp.sum(cp.take(x, cp.argsort(y), axis=1) * y) + cp.take(y, 1),
    "argmax": lambda cp, x, y: x.ravel()[cp.argmax(x)] * cp.sum(y) + x[cp.argmin(x[:, 0]), 2],
    "reshape": lambda cp, x, y: cp.sum(cp.reshape(x, (2, 6))[0] * cp.ravel(x)[6:]) + x.reshape(3, -1)[1, 1] * y[0],
    "transpose": lambda cp, x, y: cp.sum(cp.transpose(x)[0] * x[:, 1]) + cp.swapaxes(x, 0, 1)[2].sum() * y[0],
    "squeeze": lambda cp, x, y: cp.sum(cp.squeeze(x[None]) * x) + x[:, None, :].squeeze(1)[0] @ y,
    "flips": lambda cp, x, y: cp.sum(cp.flip(x, 0) * x + cp.fliplr(x) * y) + cp.sum(cp.rot90(x)[0]),
    "repeat": lambda cp, x, y: cp.sum(cp.repeat(y, 2)[1:5] * x.ravel()[:4]) + x.diagonal().sum() + cp.trace(x),
    "differences": lambda cp, x, y: cp.sum((x[1:] - x[:-1]) ** 2) + cp.sum(cp.abs(x - y)),
    "remainders": lambda cp, x, y: cp.sum(cp.mod(x * 3.3, 0.7) + cp.floor(x) * x + cp.modf(x * 2.2)[0] * y),
    "logarithms of sums": lambda cp, x, y: cp.sum(cp.logaddexp(x, y) * cp.log(x + y)),
    "complex": lambda cp, x, y: cp.sum(cp.abs(cp.exp(1j * x) + y * y) ** 2) + (x + 1j * y).real.sum(),
    "degrees": lambda cp, x, y: cp.sum(cp.deg2rad(x * 30.0) * cp.degrees(y) + cp.copysign(x, -y)),
    "float32": lambda cp, x, y: cp.sum((x.astype("float64") * 2.0 * y) ** 2),
    "rsqrt": lambda cp, x, y: cp.sum(importlib.import_module("cupyx").rsqrt(x) * y),
    "norm": lambda cp, x, y: cp.linalg.norm(x) + cp.sqrt(cp.sum(y * y)),
    "unpacked": lambda cp, x, y: sum(a * b for a, b in zip(*x[:2], strict=True)) + len(x) * y[0],
    "casts": lambda cp, x, y: cp.sum(cp.add(x, y, dtype="float64")) + cp.sum(cp.multiply(2, x)),
    "broadcasting": lambda cp, x, y: cp.sum(cp.broadcast_arrays(y, x)[0] * x) + cp.broadcast(y, x, 1.0).size * y[0],
    "sort": lambda cp, x, y: cp.sum(cp.sort(x, axis=0) * y),
    "writes": lambda cp, x, y: write(x * 1.0, y),
    "NumPy's names": lambda cp, x, y: np.sum(np.tanh(x) * np.concatenate([x[:2], x[2:]])) + np.mean(y),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(emulated_cupy, name):
    cp = emulated_cupy

    def f(x, y):
        return PROGRAMS[name](cp, x, y)

    x, y = cp.asarray(X), cp.asarray(Y)
    value, gradients = gpuad.value_and_grad(f, (0, 1))(x, y)
    assert float(value) == pytest.approx(float(f(x, y)), rel=1e-12)
    rng = np.random.default_rng(1)
    for _ in range(2):
        u, v = rng.normal(size=X.shape), rng.normal(size=Y.shape)
        ahead, back = (float(f(cp.asarray(X + h * u), cp.asarray(Y + h * v))) for h in (STEP, -STEP))
        along = float((gradients[0].get() * u).sum() + (gradients[1].get() * v).sum())
        assert along == pytest.approx((ahead - back) / (2 * STEP), rel=1e-6, abs=1e-7)
    assert [g.dtype for g in gradients] == [x.dtype, y.dtype]


def test_second_derivatives_through_plain_cupy(emulated_cupy):
    cp = emulated_cupy
    x = cp.asarray(Y)
    second = gpuad.grad(lambda x: cp.sum(gpuad.grad(lambda x: cp.sum(cp.sin(x) * cp.exp(x)))(x)))(x)
    np.testing.assert_allclose(second.get(), 2.0 * np.cos(Y) * np.exp(Y), rtol=1e-12)


def test_a_kernel_with_a_rule_is_a_primitive_under_its_own_name(emulated_cupy):
    cp = emulated_cupy
    cube = cp.ElementwiseKernel("T x", "T y", "y = x * x * x", "cube")
    with pytest.raises(UnsupportedError, match=r"kernel 'cube' .* gpuad.defvjp\(kernel"):
        gpuad.grad(lambda x: cp.sum(cube(x)))(cp.asarray(Y))
    gpuad.defvjp(cube, lambda g, ans, x: 3.0 * g * x * x)
    again = gpuad.grad(lambda x: cp.sum(gpuad.grad(lambda x: cp.sum(cube(x)))(x)))
    np.testing.assert_allclose(again(cp.asarray(Y)).get(), 6.0 * Y)
    np.testing.assert_allclose(cube(cp.asarray(Y)).get(), Y**3)
    with pytest.raises(UnsupportedError, match="cube can't write what is traced"):
        gpuad.grad(lambda x: cp.sum(cube(x, cp.empty(3))))(cp.asarray(Y))


@pytest.mark.parametrize("name", ["cupy_tanh", "tanh", "cupy_where", "exp"])
def test_kernels_are_known_by_identity(emulated_cupy, name):
    cp = emulated_cupy
    pretender = cp.ElementwiseKernel("T x", "T y", "y = 2 * x", name)
    with pytest.raises(UnsupportedError, match=f"the CuPy kernel '{name}'"):
        gpuad.grad(lambda x: cp.sum(pretender(x)))(cp.asarray(Y))


REFUSED = {
    "a write into a plain array": (lambda cp, x: cp.zeros(3).__setitem__(0, x[0]), "can't"),
    "a reduction kernel": (
        lambda cp, x: cp.ReductionKernel("T a", "T b", "a", "a + b", "b = a", "0", "total")(x),
        r"ReductionKernel can't .* gpuad.primitive",
    ),
    "a raw kernel": (
        lambda cp, x: cp.RawKernel('extern "C" __global__ void f(double* x) {}', "f")((1,), (1,), (x,)),
        "RawKernel can't .* gpuad.primitive",
    ),
    "a method of a plain array": (lambda cp, x: cp.asarray(Y).dot(x), r"CuPy's arrays can't .* gpuad.lift"),
    "out=": (lambda cp, x: cp.tanh(x, out=cp.zeros(3)), "a plain array can't hold a traced value"),
    "x.get()": (lambda cp, x: x.get(), "stop_gradient"),
    "asnumpy": (lambda cp, x: cp.asnumpy(x), "asnumpy can't"),
    "vectorize": (lambda cp, x: cp.vectorize(lambda a: a * 2)(x), "cupy.vectorize can't"),
    "linalg": (lambda cp, x: cp.linalg.inv(x[:, None] * x), "gpuad.numpy.linalg.inv"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cupy_lets_nobody_intercept_is_refused(emulated_cupy, what):
    call, message = REFUSED[what]
    with pytest.raises(UnsupportedError, match=message):
        gpuad.grad(lambda x: call(emulated_cupy, x) or emulated_cupy.sum(x))(emulated_cupy.asarray(Y))


def test_errors_that_are_not_of_traced_arrays_stay_what_they_are(emulated_cupy):
    cp = emulated_cupy
    for mistake, kind in (
        (lambda x: cp.matmul(cp.ones((2, 3)), cp.ones((2, 3))), ValueError),
        (lambda x: cp.sum(x @ cp.ones(5)), ValueError),
        (lambda x: {}["missing"], KeyError),
    ):
        with pytest.raises(kind) as caught:
            gpuad.grad(mistake)(cp.asarray(Y))
        assert not isinstance(caught.value, UnsupportedError)


def test_no_raw_memory_is_offered(emulated_cupy):
    def f(x):
        assert not hasattr(x, "__cuda_array_interface__")
        assert not hasattr(x, "__cupy_get_ndarray__")
        return emulated_cupy.sum(x)

    gpuad.grad(f)(emulated_cupy.asarray(Y))


def stacked(cp, x, y):
    h = cp.concatenate([cp.matmul(x, y)[:, None], cp.asarray(x)], axis=1)
    return cp.einsum("ij,ij->", h, h) + cp.sum(cp.array([y[0], y[1] * x[0, 0]])) * cp.stack([y, y])[1, 2]


def filled(cp, x, y):
    out = cp.zeros((4, 3))
    for i in range(4):
        out[i] = cp.tanh(x[i]) * y
    out[1:] += out[:-1]
    return (out**2).sum()


@pytest.mark.parametrize("program", [stacked, filled])
def test_lifted(emulated_cupy, program):
    cp = emulated_cupy
    space: dict = {"cp": cp}
    source = inspect.getsource(program).replace(f"def {program.__name__}(cp, ", f"def {program.__name__}(")
    exec(compile(source, __file__, "exec"), space)  # its cp is a global name, as in a program
    plain = space[program.__name__]
    x, y = cp.asarray(X), cp.asarray(Y)
    with pytest.raises(UnsupportedError, match="lift"):
        gpuad.grad(plain)(x, y)
    gradients = gpuad.grad(lift(plain), (0, 1))(x, y)
    u, v = np.sin(X * 7.0), np.cos(Y * 5.0)
    ahead, back = (float(plain(cp.asarray(X + h * u), cp.asarray(Y + h * v))) for h in (STEP, -STEP))
    along = float((gradients[0].get() * u).sum() + (gradients[1].get() * v).sum())
    assert along == pytest.approx((ahead - back) / (2 * STEP), rel=1e-6)

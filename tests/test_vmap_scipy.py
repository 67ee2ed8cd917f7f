"""SciPy's functions on many examples at once: values and derivatives of each example, without a warning of a loop."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest

from gpuad import grad, jit, vmap

pytest.importorskip("scipy")

import gpuad.scipy.linalg as sl
import gpuad.scipy.ndimage as nd
import gpuad.scipy.signal as sg

N = 3


def matrices(n, kind="any", seed=0):
    a = np.random.default_rng(seed).normal(size=(N, n, n)) / n
    return a + 2.0 * np.eye(n) if kind == "regular" else a


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=(N, *shape))


def points(*shape, count):
    return np.random.default_rng(2).uniform(0.3, np.array(shape)[:, None] - 1.3, size=(N, len(shape), count))


def correlate(x, w, **how):
    return nd.correlate(x, w, **how)


CASES = {
    "expm": (sl.expm, [matrices(3)]),
    "logm": (sl.logm, [matrices(3, "regular")]),
    "sqrtm": (sl.sqrtm, [matrices(3, "regular")]),
    "fractional power": (lambda a: sl.fractional_matrix_power(a, 0.3), [matrices(3, "regular")]),
    "polar": (lambda a: sl.polar(a)[0], [matrices(3, "regular")]),
    "Sylvester": (sl.solve_sylvester, [matrices(3, "regular"), matrices(2, "regular", 1), numbers(3, 2)]),
    "Sylvester, large": (sl.solve_sylvester, [matrices(9, "regular"), matrices(8, "regular", 1), numbers(9, 8)]),
    "LU": (lambda a: sl.lu(a)[1], [matrices(4, "regular")]),
    "banded": (lambda ab, b: sl.solve_banded((1, 1), ab, b), [numbers(3, 5) + 4.0, numbers(5)]),
    "Toeplitz": (sl.solve_toeplitz, [numbers(4) + np.array([5.0, 0, 0, 0]), numbers(4, seed=2)]),
    "recursive filter": (lambda a, x: sg.lfilter([1.0], a, x), [numbers(3) * 0.1 + [1.0, 0, 0], numbers(8, seed=2)]),
    **{
        f"convolve {method} {mode}": (
            functools.partial(sg.convolve, mode=mode, method=method),
            [numbers(9), numbers(4)],
        )
        for method in ("auto", "direct", "fft")
        for mode in ("full", "same", "valid")
    },
    "convolve the shorter": (sg.convolve, [numbers(3), numbers(7, seed=2)]),
    "convolve images": (functools.partial(sg.convolve2d, mode="valid"), [numbers(5, 6), numbers(2, 3, seed=2)]),
    "convolve, long": (sg.convolve, [numbers(200), numbers(150, seed=2)]),
    "convolve directly, long": (functools.partial(sg.convolve, method="direct"), [numbers(200), numbers(150, seed=2)]),
    **{
        f"correlate {mode}": (functools.partial(correlate, mode=mode, origin=(1, 0)), [numbers(6, 7), numbers(3, 2)])
        for mode in ("reflect", "mirror", "nearest", "wrap", "constant")
    },
    "correlate along an axis": (lambda x, w: nd.correlate1d(x, w, axis=0), [numbers(6, 2), numbers(3, seed=2)]),
    "correlate, large": (correlate, [numbers(14, 14), numbers(12, 12, seed=2)]),
    **{
        f"map_coordinates {order} {mode}": (
            functools.partial(nd.map_coordinates, order=order, mode=mode),
            [numbers(6, 7), points(6, 7, count=5)],
        )
        for order, mode in ((1, "nearest"), (2, "mirror"), (3, "constant"), (3, "grid-wrap"), (4, "reflect"))
    },
    "spline_filter": (nd.spline_filter, [numbers(6, 7)]),
}


@pytest.mark.parametrize("name", CASES)
def test_of_every_example(name):
    f, args = CASES[name]
    rng = np.random.default_rng(3)
    whole = np.asarray(f(*(a[0] for a in args)))
    weights = rng.normal(size=whole.shape)

    def loss(*xs):
        return np.sum(np.real(f(*xs)) * weights) ** 2

    every = tuple(range(len(args)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = vmap(f)(*args)
        for mapped in {(True,) * len(args), *(tuple(i == k for i in every) for k in every)}:
            given = [a if m else a[0] for a, m in zip(args, mapped, strict=True)]
            axes = tuple(0 if m else None for m in mapped)
            found = vmap(grad(loss, every), axes)(*given)
            for i in range(N):
                one = [a[i] if m else a for a, m in zip(given, mapped, strict=True)]
                for got, wanted in zip(found, grad(loss, every)(*one), strict=True):
                    np.testing.assert_allclose(got[i], wanted, rtol=1e-8, atol=1e-9 * np.max(np.abs(wanted)))
    for i in range(N):
        np.testing.assert_allclose(values[i], f(*(a[i] for a in args)), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["Sylvester", "convolve auto same", "correlate mirror", "map_coordinates 3 grid-wrap"])
def test_of_examples_of_examples(name):
    """Two levels of examples, of which the one goes with the first argument and the other with the last; and jit."""
    f, args = CASES[name]
    outer_only = [0] + [None] * (len(args) - 1)
    inner_only = [None] * (len(args) - 1) + [0]
    found = jit(vmap(vmap(f, tuple(inner_only)), tuple(outer_only)))(args[0], *(a[0] for a in args[1:-1]), args[-1])
    for i in range(N):
        for j in range(N):
            one = [args[0][i], *(a[0] for a in args[1:-1]), args[-1][j]]
            np.testing.assert_allclose(found[i, j], f(*one), rtol=1e-9, atol=1e-11)

    def loss(x, y):
        return np.sum(np.sin(f(x, *(a[0] for a in args[1:-1]), y)))

    both = vmap(vmap(grad(loss, (0, 1))), (0, None))(
        args[0].repeat(2, 0).reshape(N, 2, *args[0].shape[1:]), args[-1][:2]
    )
    for i in range(N):
        for j in range(2):
            for got, wanted in zip(both, grad(loss, (0, 1))(args[0][i], args[-1][j]), strict=True):
                np.testing.assert_allclose(got[i, j], wanted, rtol=1e-8, atol=1e-10)

"""Transformations of transformations, to depth 3, of random programs, against differences of differences.

The reference is the central difference of sixth order (Fornberg, Mathematics of Computation 51, 1988) in NumPy's
longest numbers, nested as the transformations are; of a batch, a loop.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpuad

N = 2
RNG = np.random.default_rng(3)
A, U, V = RNG.normal(size=(N, N)), RNG.normal(size=N), RNG.normal(size=N)
WEIGHTS = np.array([0.5, -1.0, 0.25])
AGAIN = np.array([1, 0, 1])


def written(x):
    y = np.zeros_like(x)
    y[0] = np.sin(x[1])
    y[1:] = y[:-1] * x[1:]
    y[::-1] += x
    return y


STEPS = [
    np.sin,
    lambda x: np.tanh(A @ x),
    lambda x: x * x[::-1],
    lambda x: np.exp(-x * x) + x,
    lambda x: np.cumsum(np.cos(x)),
    lambda x: np.where(x > 0.0, np.sin(x), x * x),
    lambda x: x[AGAIN].sum() * x,
    lambda x: np.outer(x, np.sin(x)) @ V,
    lambda x: np.concatenate([x[1:] * x[0], x[:1]]),
    lambda x: x / np.sqrt(1.0 + np.sum(x * x)),
    lambda x: np.einsum("i,ij,k->j", x, A, x),
    written,
]


def program(steps):
    def f(x):
        for k in steps:
            x = STEPS[k](x)
        return x

    return f


def slope(f, x):
    """The Jacobian, by differences."""
    h = np.longdouble(2e-3)
    columns = []
    for e in np.eye(N, dtype=np.longdouble):
        near, far, farthest = (f(x + k * h * e) - f(x - k * h * e) for k in (1, 2, 3))
        columns.append((45 * near - 9 * far + farthest) / (60 * h))
    return np.stack(columns, axis=-1)


def examples(x):
    return np.stack([x, 0.5 * x, np.sin(x)])


def loop(f, xs):
    return sum(w * f(x) for w, x in zip(WEIGHTS, xs, strict=True))


#: Each as gpuad has it and as it is meant, from a function of a vector to one; and how often it differentiates.
TRANSFORMATIONS = {
    "jvp": (lambda f: lambda x: gpuad.jvp(f, (x,), (V,))[1], lambda f: lambda x: slope(f, x) @ V, 1),
    "jvp along x": (
        lambda f: lambda x: gpuad.jvp(f, (x,), (np.cos(x),))[1],
        lambda f: lambda x: slope(f, x) @ np.cos(x),
        1,
    ),
    "vjp": (lambda f: lambda x: gpuad.vjp(f, x)[1](U)[0], lambda f: lambda x: U @ slope(f, x), 1),
    "grad": (lambda f: gpuad.grad(lambda x: np.sum(U * f(x))), lambda f: lambda x: U @ slope(f, x), 1),
    "linearize": (lambda f: lambda x: gpuad.linearize(f, x)[1](V), lambda f: lambda x: slope(f, x) @ V, 1),
    "jacfwd": (lambda f: lambda x: gpuad.jacfwd(f)(x) @ V, lambda f: lambda x: slope(f, x) @ V, 1),
    "jacrev": (lambda f: lambda x: U @ gpuad.jacrev(f)(x), lambda f: lambda x: U @ slope(f, x), 1),
    "hessian": (
        lambda f: lambda x: gpuad.hessian(lambda x: np.sum(U * f(x)))(x) @ V,
        lambda f: lambda x: slope(lambda x: U @ slope(f, x), x) @ V,
        2,
    ),
    "vmap": (
        lambda f: lambda x: WEIGHTS @ gpuad.vmap(f)(examples(x)),
        lambda f: lambda x: loop(f, examples(x)),
        0,
    ),
    "vmap of columns": (
        lambda f: lambda x: gpuad.vmap(f, 1, 1)(np.outer(x, WEIGHTS)) @ WEIGHTS,
        lambda f: lambda x: loop(f, np.outer(WEIGHTS, x)),
        0,
    ),
    "vmap over what is read": (
        lambda f: lambda x: np.sum(gpuad.vmap(lambda c: f(c * x))(WEIGHTS), axis=0),
        lambda f: lambda x: sum(f(c * x) for c in WEIGHTS),
        0,
    ),
    "checkpoint": (gpuad.checkpoint, lambda f: f, 0),
}


def chains():
    """Every transformation of every other, and some of three."""
    rng = np.random.default_rng(11)
    names = list(TRANSFORMATIONS)
    found = [(a, b) for a in names for b in names]
    found += [tuple(rng.choice(names, 3).tolist()) for _ in range(80)]
    return [names for names in found if sum(TRANSFORMATIONS[name][2] for name in names) <= 3]


@pytest.mark.parametrize(
    ("k", "names"), list(enumerate(chains())), ids=lambda p: " of ".join(p) if type(p) is tuple else ""
)
def test_compositions(k, names):
    rng = np.random.default_rng(k)
    f = g = program(rng.integers(0, len(STEPS), 3))
    x = rng.uniform(0.2, 1.0, N) * rng.choice([-1, 1], N)
    for name in reversed(names):
        ours, meant, _ = TRANSFORMATIONS[name]
        f, g = ours(f), meant(g)
    got, want = f(x), np.asarray(g(x.astype(np.longdouble)), float)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-7 * max(1.0, np.max(np.abs(want))))

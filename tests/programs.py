"""Programs for tests: how they are collected, and checked against themselves on plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuad import value_and_grad

RNG = np.random.default_rng(20261123)


class Programs(list[tuple[Callable[..., Any], tuple[Any, ...]]]):
    """Functions and the arguments with respect to which they are differentiated."""

    def __call__(self, *args):
        """A decorator that enters a function."""

        def enter(f):
            self.append((f, tuple(np.asarray(a, dtype=float)[()] for a in args)))
            return f

        return enter

    def names(self):
        return [f.__name__ for f, _ in self]


def slopes(f, args, k, h=1e-5):
    """Central differences with respect to the k-th argument, every entry for itself."""
    found = []
    for step in h * np.eye(args[k].size).reshape(-1, *args[k].shape):
        ends = [float(f(*args[:k], args[k] + moved, *args[k + 1 :])) for moved in (step, -step)]
        found.append((ends[0] - ends[1]) / (2 * h))
    return np.reshape(found, args[k].shape)


def normal(*shape):
    return RNG.normal(size=shape)


def between(low, high, *shape):
    return RNG.uniform(low, high, size=shape)


def check(f, args):
    """The value is that of the plain program, the gradients are central differences."""
    value, gradients = value_and_grad(f, tuple(range(len(args))))(*args)
    np.testing.assert_allclose(value, f(*args), rtol=1e-12)
    for k, g in enumerate(gradients):
        assert g.shape == args[k].shape
        want = slopes(f, args, k)
        np.testing.assert_allclose(g, want, rtol=2e-6, atol=2e-7 * max(1.0, np.abs(want).max()))
        assert np.any(want != 0)

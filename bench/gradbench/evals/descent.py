"""Gradients in either mode, and descent along them; for the programs whose derivatives are nested."""

import functools

import gpuad.numpy as np
from gpuad import grad, jacfwd

#: By the letters of GradBench's functions.
GRADIENTS = {"f": jacfwd, "r": grad}


def in_every_mode(f):
    """``f(outer, inner, ...)`` by name, with the modes that the name's letters stand for."""
    return {outer + inner: functools.partial(f, GRADIENTS[outer], GRADIENTS[inner]) for outer in "fr" for inner in "fr"}


def minimise(f, x, gradient):
    """Where ``f`` is least, from ``x`` by steps against the gradient: shorter if one fails, longer if ten don't."""
    slope = gradient(f)
    value, g = f(x), slope(x)
    rate, good = 1e-5, 0
    while length(g) > 1e-5:
        if good == 10:
            rate, good = 2 * rate, 0
        further = x - rate * g
        if length(further - x) <= 1e-5:
            break
        its_value = f(further)
        if its_value < value:
            x, value, g = further, its_value, slope(further)
            good += 1
        else:
            rate, good = rate / 2, 0
    return x


def maximise(f, x, gradient):
    return minimise(lambda x: -f(x), x, gradient)


def length(x):
    return np.sqrt(np.sum(x * x))

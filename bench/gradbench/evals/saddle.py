"""The saddle point of |a|² - |b|²: a minimum over a of maxima over b, which are found anew for every a."""

import gpuad.numpy as np

from .descent import in_every_mode, maximise, minimise


def read(given):
    return (np.array(given["start"], dtype=float),)


def f(a, b):
    return np.sum(a * a) - np.sum(b * b)


def saddle_point(outer, inner, start):
    def best(a):
        return f(a, maximise(lambda b: f(a, b), start, inner))

    a = minimise(best, start, outer)
    return np.concatenate([a, maximise(lambda b: f(a, b), start, outer)])


FUNCTIONS = in_every_mode(saddle_point)

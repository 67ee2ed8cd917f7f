"""Where a particle between two charges hits the ground, brought as near to x = 0 as one charge can be moved to do."""

import gpuad.numpy as np

from .descent import in_every_mode, minimise

TIME_STEP = 0.1


def read(given):
    return (np.array(given["w"], dtype=float),)


def squared_landing_place(w, gradient):
    charges = np.array([[10.0, 10.0 - w], [10.0, 0.0]])

    def potential(x):
        difference = x - charges
        return np.sum(1 / np.sqrt(np.sum(difference * difference, axis=1)))

    slope = gradient(potential)
    x, v = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    while True:
        force = -slope(x)
        x = x + TIME_STEP * v
        if x[1] <= 0:
            overshoot = -x[1] / v[1]
            return (x[0] + overshoot * v[0]) ** 2
        v = v + TIME_STEP * force


def best_charge(outer, inner, w):
    return minimise(lambda w: squared_landing_place(w, inner), w, outer)


FUNCTIONS = in_every_mode(best_charge)

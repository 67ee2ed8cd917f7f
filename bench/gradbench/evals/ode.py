"""y₀' = x₀, yᵢ' = xᵢ yᵢ₋₁ from y(0) = 0 to t = 2, by the classical Runge-Kutta method in s steps."""

import gpuad.numpy as np
from gpuad import grad, jit


def read(given):
    return np.array(given["x"], dtype=float), given["s"]


def primal(x, s):
    one = np.ones(1)

    def slope(y):
        return x * np.concatenate([one, y[:-1]])

    h = 2.0 / s
    y = np.zeros(len(x))
    for _ in range(s):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


FUNCTIONS = {"primal": jit(primal), "gradient": jit(grad(lambda x, s: primal(x, s)[-1]))}

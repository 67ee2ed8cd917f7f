"""The log posterior of a mixture of Gaussians with a Wishart prior, and its gradient."""

import math

import gpuad.numpy as np
from gpuad import grad, jit

PARAMETERS = "alpha", "mu", "q", "l"


def read(given):
    parameters = {name: np.array(given[name], dtype=float) for name in PARAMETERS}
    parameters["l"] = parameters["l"].reshape(given["k"], -1)  # d = 1 has none: empty rows
    return parameters, np.array(given["x"], dtype=float), given["m"], given["gamma"]


def objective(parameters, x, m, gamma):
    alpha, mu, q = parameters["alpha"], parameters["mu"], parameters["q"]
    (k, d), n = mu.shape, len(x)
    factors = triangles(q, parameters["l"])
    z = x @ np.swapaxes(factors, 1, 2) - factor_times(factors, mu)[:, None, :]  # Qₖ (xᵢ - μₖ), k × n × d
    beta = (alpha + np.sum(q, axis=1))[:, None] - 0.5 * np.sum(z**2, axis=2)
    likelihood = np.sum(logsumexp(beta)) - n * (0.5 * d * math.log(2 * math.pi) + logsumexp(alpha))
    prior = m * np.sum(q) - 0.5 * gamma**2 * np.sum(factors**2)
    return likelihood + prior + k * log_normalization(d, m, gamma)


def triangles(q, entries):
    """Lower triangular matrices: exp(q) on the diagonal, below it the entries, column by column."""
    k, d = q.shape
    columns, rows = np.triu_indices(d, 1)
    factors = np.zeros((k, d, d))
    factors[:, rows, columns] = entries
    factors[:, np.arange(d), np.arange(d)] = np.exp(q)
    return factors


def factor_times(factors, vectors):
    return (factors @ vectors[:, :, None])[:, :, 0]


def logsumexp(x):
    """Along the first axis."""
    largest = np.max(x, axis=0)
    return largest + np.log(np.sum(np.exp(x - largest), axis=0))


def log_normalization(d, m, gamma):
    """That of the Wishart prior of one component."""
    nu = d + m + 1
    log_gamma = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma((nu - j) / 2) for j in range(d))
    return nu * d * math.log(gamma / math.sqrt(2)) - log_gamma


FUNCTIONS = {"objective": jit(objective), "jacobian": jit(grad(objective))}

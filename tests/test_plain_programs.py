"""Programs that say `import numpy as np` and nothing of gpuad: learning, statistics, linear algebra.

Their values, and gradients by central differences. None writes in place; those that do are elsewhere.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from programs import RNG, Programs, between, check, normal

program = Programs()

# -- learning -----------------------------------------------------------------------------------------
DATA, TARGETS, LABELS = normal(12, 3), normal(12), RNG.integers(0, 4, 12)


@program(normal(3, 5), normal(5), normal(5, 4), normal(4))
def network_with_layer_norm(w1, b1, w2, b2):
    h = DATA @ w1 + b1
    h = (h - h.mean(axis=-1, keepdims=True)) / np.sqrt(h.var(axis=-1, keepdims=True) + 1e-5)
    h = np.where(h > 0, h, 0.1 * h)
    scores = h @ w2 + b2
    scores = scores - np.max(scores, axis=1, keepdims=True)
    logs = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(logs[np.arange(len(LABELS)), LABELS])


@program(normal(3), 0.3)
def logistic_regression(w, b):
    signs = np.sign(TARGETS)
    margins = signs * (DATA @ w + b)
    return np.mean(np.logaddexp(0, -margins)) + 0.1 * np.dot(w, w)


@program(normal(3), 0.7)
def ridge_in_closed_form(shift, penalty):
    x = DATA + shift
    w = np.linalg.solve(x.T @ x + penalty**2 * np.eye(3), x.T @ TARGETS)
    return np.sum((x @ w - TARGETS) ** 2)


@program(normal(4, 3))
def soft_k_means(centers):
    distances = np.sum((DATA[:, None, :] - centers[None, :, :]) ** 2, axis=-1)
    weights = np.exp(-distances)
    shares = weights / weights.sum(axis=1, keepdims=True)
    return (shares * distances).sum()


@program(normal(5, 4), normal(4, 4), normal(4, 4), normal(4, 4))
def self_attention(x, wq, wk, wv):
    q, k, v = (x @ w for w in (wq, wk, wv))
    scores = q @ k.T / np.sqrt(q.shape[-1])
    mask = np.tril(np.ones((len(x), len(x)), dtype=bool))
    scores = np.where(mask, scores, -1e9)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.linalg.norm((e / e.sum(-1, keepdims=True)) @ v)


@program(normal(6, 2), normal(2, 3), normal(3, 3), normal(3))
def recurrent_network(inputs, wx, wh, h):
    outputs = []
    for x in inputs:
        h = np.tanh(x @ wx + h @ wh)
        outputs.append(h)
    outputs = np.stack(outputs)
    return np.sum(outputs[-1]) + np.sum(outputs[::2, 1] ** 2)


@program(normal(4, 2), normal(12, 2), normal(12, 3))
def long_short_term_memory(inputs, wx, wh):
    def gate(z):
        return 1 / (1 + np.exp(-z))

    h = c = np.zeros(3)
    for x in inputs:
        i, f, o, g = np.split(wx @ x + wh @ h, 4)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
    return h @ c


@program(normal(6, 6), normal(2, 3, 3))
def convolution_by_shifted_slices(image, kernels):
    n = image.shape[0] - 2
    maps = [sum(k[i, j] * image[i : i + n, j : j + n] for i in range(3) for j in range(3)) for k in kernels]
    pooled = [np.maximum(m, 0).reshape(2, 2, 2, 2).max(axis=(1, 3)) for m in maps]
    return sum(np.sum(p**2) for p in pooled)


@program(normal(3, 4), normal(3, 4))
def contrastive_loss(a, b):
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    similarity = a @ b.T / 0.5
    return -np.trace(similarity - np.log(np.exp(similarity).sum(axis=1, keepdims=True)))


@dataclass
class Layer:
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, x):
        return np.arctan(x @ self.weights + self.bias)


@program(normal(3, 4), normal(4), normal(4, 2), normal(2))
def objects_with_methods(w1, b1, w2, b2):
    layers = [Layer(w1, b1), Layer(w2, b2)]
    layers.append(replace(layers[-1], weights=w2.T @ w2))
    x = functools.reduce(lambda x, layer: layer(x), layers, DATA)
    return np.std(x)


# -- statistics ---------------------------------------------------------------------------------------
@program(normal(8, 3))
def portfolio(returns):
    covariance, mean = np.cov(returns, rowvar=False), returns.mean(axis=0)
    weights = np.linalg.solve(covariance, mean)
    weights = weights / np.sum(weights)
    return weights @ mean / np.sqrt(weights @ covariance @ weights)


@program(normal(5), 0.4, 1.3)
def gaussian_process_likelihood(y, log_length, log_scale):
    x = np.linspace(0, 1, 5)
    k = np.exp(log_scale - (x[:, None] - x) ** 2 / np.exp(2 * log_length)) + 0.1 * np.eye(5)
    chol = np.linalg.cholesky(k)
    half = np.linalg.solve(chol, y)
    return 0.5 * half @ half + np.sum(np.log(np.diag(chol))) + 0.5 * len(y) * np.log(2 * np.pi)


@program(between(0.1, 1, 3, 3), between(0.1, 1, 3, 2), between(0.1, 1, 3))
def hidden_markov_model(transitions, emissions, start):
    transitions = transitions / transitions.sum(1, keepdims=True)
    emissions = emissions / emissions.sum(1, keepdims=True)
    alpha, total = start / start.sum(), 0.0
    for seen in (0, 1, 1, 0, 1):
        alpha = (alpha @ transitions) * emissions[:, seen]
        scale = alpha.sum()
        total = total + np.log(scale)
        alpha = alpha / scale
    return total


@program(normal(6), 0.8, 0.5)
def kalman_filter(observed, drift, noise):
    mean, variance, log_likelihood = 0.0, 1.0, 0.0
    for z in observed:
        mean, variance = drift * mean, drift**2 * variance + noise**2
        innovation, spread = z - mean, variance + 0.3
        log_likelihood = log_likelihood - 0.5 * (np.log(2 * np.pi * spread) + innovation**2 / spread)
        gain = variance / spread
        mean, variance = mean + gain * innovation, (1 - gain) * variance
    return log_likelihood


@program(normal(9))
def robust_location(x):
    center = np.median(x)
    spread = np.median(np.abs(x - center)) * 1.4826
    z = (x - center) / (3 * spread)
    weights = np.where(np.abs(z) < 1, (1 - z**2) ** 2, 0)
    return np.average(x, weights=weights) + np.percentile(x, 75) - np.quantile(x, [0.1, 0.3]).sum()


@program(normal(7, 2))
def explained_variance(x):
    x = x - x.mean(0)
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    return s[0] ** 2 / np.sum(s**2) + np.abs(vt[0]).sum()


@program(normal(10), normal(10))
def rank_weighted_correlation(x, y):
    order = np.argsort(x)
    weights = 1 / np.arange(1, len(x) + 1)
    xs, ys = x[order], y[order]
    xm, ym = (np.sum(weights * v) / weights.sum() for v in (xs, ys))
    top = np.sum(weights * (xs - xm) * (ys - ym))
    return top / np.sqrt(np.sum(weights * (xs - xm) ** 2) * np.sum(weights * (ys - ym) ** 2))


@program(between(0.1, 1, 5), between(0.1, 1, 5))
def divergences(p, q):
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2

    def kl(a, b):
        return np.sum(a * np.log(a / b))

    return 0.5 * kl(p, m) + 0.5 * kl(q, m) + np.sum(np.sqrt(p * q)) + np.max(np.abs(np.cumsum(p - q)))


@program(normal(3), 0.1)
def monte_carlo_option(log_prices, volatility):
    paths = np.random.default_rng(3).standard_normal((50, 3, 4))
    steps = (0.01 - volatility**2 / 2) + volatility * paths
    final = np.exp(log_prices[:, None] + np.cumsum(steps, axis=-1))
    payoff = np.maximum(final.mean(axis=(1, 2)) - 1.0, 0)
    return np.exp(-0.05) * payoff.mean()


@program(normal(4), between(0.5, 1, 4), normal(4))
def mixture_density(means, scales, logits):
    x = np.linspace(-2, 2, 6)[:, None]
    parts = logits - 0.5 * ((x - means) / scales) ** 2 - np.log(scales)
    top = parts.max(axis=1)
    return np.sum(top + np.log(np.exp(parts - top[:, np.newaxis]).sum(axis=1))) - 6 * np.logaddexp.reduce(logits)


# -- linear algebra -----------------------------------------------------------------------------------
@program(normal(4, 4))
def power_iteration(a):
    s = a @ a.T
    v = np.ones(4) / 2
    for _ in range(30):
        v = s @ v
        v = v / np.linalg.norm(v)
    return v @ s @ v


@program(normal(4, 3))
def gram_schmidt(a):
    basis = []
    for v in a.T:
        for b in basis:
            v = v - np.dot(b, v) * b
        basis.append(v / np.sqrt(np.sum(v**2)))
    q = np.column_stack(basis)
    return np.sum(q @ np.arange(1.0, 4)) + np.linalg.det(q.T @ a)


@program(normal(4, 4))
def determinant_by_recursion(a):
    def det(m):
        if m.shape == (1, 1):
            return m[0, 0]
        rest = np.delete(m, 0, axis=0)
        return sum((-1) ** j * m[0, j] * det(np.delete(rest, j, axis=1)) for j in range(m.shape[1]))

    return det(a)


@program(normal(3, 3) * 0.5)
def matrix_exponential(a):
    term = total = np.eye(3)
    for k in range(1, 15):
        term = term @ a / k
        total = total + term
    return np.sum(total * np.log(2.0)) + np.linalg.matrix_power(a, 3)[0, 2]


@program(normal(4, 4), normal(4, 4))
def strassen(a, b):
    def multiply(x, y):
        n = len(x)
        if n == 1:
            return x * y
        h = n // 2
        (a, b), (c, d) = ((x[i : i + h, j : j + h] for j in (0, h)) for i in (0, h))
        (e, f), (g, i) = ((y[p : p + h, q : q + h] for q in (0, h)) for p in (0, h))
        p1, p2, p3, p4 = multiply(a, f - i), multiply(a + b, i), multiply(c + d, e), multiply(d, g - e)
        p5, p6, p7 = multiply(a + d, e + i), multiply(b - d, g + i), multiply(a - c, e + f)
        return np.block([[p5 + p4 - p2 + p6, p1 + p2], [p3 + p4, p1 + p5 - p3 - p7]])

    return np.sum(np.sin(multiply(a, b)))


@program(normal(5), 4 + between(0, 1, 5), normal(5))
def tridiagonal_system(lower, diagonal, right):
    upper = lower[::-1]
    c, d = [upper[0] / diagonal[0]], [right[0] / diagonal[0]]
    for i in range(1, 5):
        m = diagonal[i] - lower[i] * c[-1]
        c.append(upper[i] / m)
        d.append((right[i] - lower[i] * d[-1]) / m)
    x = [d[-1]]
    for i in reversed(range(4)):
        x.insert(0, d[i] - c[i] * x[0])
    return np.sum(np.array([1.0, -1, 2, 0.5, 1]) * np.stack(x))


@program(normal(4, 4))
def spectral_functions(a):
    values, vectors = np.linalg.eigh((a + a.T) / 2)
    root = vectors * np.sqrt(values**2 + 1) @ vectors.T
    sign, logdet = np.linalg.slogdet(root)
    return sign * logdet + np.trace(np.linalg.inv(root)) + np.linalg.norm(root, "fro")


@program(normal(5, 3), normal(5))
def least_squares_by_qr(a, b):
    q, r = np.linalg.qr(a)
    x = np.linalg.solve(r, q.T @ b)
    return np.linalg.norm(a @ x - b) + x.sum()


@program(normal(2, 3, 2), normal(2, 2, 3), normal(3, 2))
def tensor_network(a, b, c):
    pairs = np.einsum("ijk,kil->jl", a, b)
    whole = np.tensordot(pairs, c, axes=([1], [0]))
    return np.einsum("ij,ij->", whole, whole) + np.kron(pairs, c).sum() + np.inner(c[0], c[1])


@program(between(0.2, 1, 4, 4))
def page_rank(links):
    columns = links / links.sum(axis=0)
    rank = np.full(4, 0.25)
    for _ in range(20):
        rank = 0.85 * columns @ rank + 0.15 / 4
    return rank[0] / rank[-1]


@program(normal(4, 3))
def sinkhorn(cost):
    u, v = np.ones(4), np.ones(3)
    k = np.exp(-(cost**2))
    for _ in range(10):
        u = (1 / 4) / (k @ v)
        v = (1 / 3) / (k.T @ u)
    return np.sum(u[:, None] * k * v * cost**2)


@pytest.mark.parametrize(("f", "args"), program, ids=program.names())
def test_program(f, args):
    check(f, args)

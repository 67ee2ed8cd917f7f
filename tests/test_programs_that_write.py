"""Programs that write into arrays, in the manner of textbooks: they say `import numpy as np`, and nothing of gpuad.

Each is lifted and run on every backend; those that make no arrays of their own run as they stand, too. Values are those
of NumPy, slopes those of central differences, to second order, forwards and backwards.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest

import gpuad
from gpuad import grad, jvp, lift, value_and_grad
from programs import RNG, Programs, between, normal

program = Programs()


# -- linear algebra, by loops -------------------------------------------------------------------------
def spread(a):
    """A number to which every entry counts, each otherwise."""
    flat = np.reshape(a, -1)
    return np.sum(flat * np.cos(np.arange(1.0, 1.0 + len(flat)))) + 0.5 * np.sum(flat * flat)


@program(normal(4, 4), normal(4))
def gauss_with_pivots(a, b):
    a = a.copy()
    n = len(b)
    for k in range(n):
        p = k + int(np.argmax(np.abs(a[k:, k])))
        if p != k:
            a[[k, p]] = a[[p, k]]
            b[k], b[p] = b[p], b[k]
        for i in range(k + 1, n):
            m = a[i, k] / a[k, k]
            a[i, k:] -= m * a[k, k:]
            b[i] -= m * b[k]
    for i in range(n - 1, -1, -1):
        b[i] = (b[i] - a[i, i + 1 :] @ b[i + 1 :]) / a[i, i]
    return spread(b)


@program(normal(4, 3))
def cholesky_by_hand(x):
    a = x.T @ x + np.eye(3)
    n = len(a)
    low = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j] - np.sum(low[i, :j] * low[j, :j])
            low[i, j] = np.sqrt(s) if i == j else s / low[j, j]
    return spread(low)


@program(normal(4, 3))
def householder(a):
    a = a.copy()
    m, n = a.shape
    q = np.eye(m)
    for k in range(n):
        v = a[k:, k].copy()
        v[0] += np.sign(v[0]) * np.sqrt(v @ v)
        v /= np.sqrt(v @ v)
        a[k:, k:] -= 2.0 * np.outer(v, v @ a[k:, k:])
        q[:, k:] -= 2.0 * np.outer(q[:, k:] @ v, v)
    return spread(a) + spread(q)


@program(normal(4, 3))
def gram_schmidt_in_place(q):
    for j in range(q.shape[1]):
        for i in range(j):
            q[:, j] -= (q[:, i] @ q[:, j]) * q[:, i]
        q[:, j] /= np.sqrt(np.sum(q[:, j] ** 2))
    return spread(q)


@program(between(0.1, 0.5, 5), between(2, 3, 6), between(0.1, 0.5, 5), normal(6))
def thomas(a, b, c, d):
    n = len(d)
    for i in range(1, n):
        w = a[i - 1] / b[i - 1]
        b[i] = b[i] - w * c[i - 1]
        d[i] = d[i] - w * d[i - 1]
    x = np.empty(n)
    x[-1] = d[-1] / b[-1]
    for i in range(n - 2, -1, -1):
        x[i] = (d[i] - c[i] * x[i + 1]) / b[i]
    return spread(x)


@program(normal(4, 4))
def lu_in_place(a):
    a += 5.0 * np.eye(4)
    for k in range(3):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= a[k + 1 :, k][:, None] * a[k, k + 1 :]
    return spread(a)


@program(normal(4, 4), normal(4))
def gauss_seidel(a, b):
    x = np.zeros_like(b)
    for _ in range(4):
        for i in range(4):
            s = b[i] - a[i] @ x + a[i, i] * x[i]
            x[i] = s / (6.0 + a[i, i])
    return spread(x)


@program(normal(4, 4))
def jacobi_rotations(a):
    a = a + a.T
    for p in range(3):
        for q in range(p + 1, 4):
            t = 0.5 * np.arctan2(2 * a[p, q], a[q, q] - a[p, p])
            c, s = np.cos(t), np.sin(t)
            rows = a[[p, q]]
            a[p], a[q] = c * rows[0] - s * rows[1], s * rows[0] + c * rows[1]
            ap, aq = a[:, p].copy(), a[:, q].copy()
            a[:, p], a[:, q] = c * ap - s * aq, s * ap + c * aq
    return spread(np.diagonal(a))


# -- differential equations ---------------------------------------------------------------------------
@program(normal(8), between(0.1, 0.3))
def heat(u, k):
    new = u.copy()
    for _ in range(6):
        new[1:-1] = u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2])
        new[0], new[-1] = new[1], new[-2]
        u[:] = new
    return spread(u)


@program(normal(6, 5))
def waves(u):
    before, c = u.copy(), 0.2
    for _ in range(4):
        after = np.zeros_like(u)
        after[1:-1, 1:-1] = 2 * u[1:-1, 1:-1] - before[1:-1, 1:-1]
        after[1:-1, 1:-1] += c * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])
        before, u = u, after
    return spread(u)


@program(normal(10), between(0.5, 1.0, 10))
def light_in_a_slab(e, medium):
    h = np.zeros(10)
    for step in range(6):
        h[:-1] += 0.5 * (e[1:] - e[:-1])
        e[1:] += 0.5 / medium[1:] * (h[1:] - h[:-1])
        e[3] += np.exp(-0.1 * (step - 3.0) ** 2)
    return spread(e) + spread(h)


@program([1.0, 0.5], [1.5, 1.0, 3.0, 1.0])
def runge_kutta_into_a_table(start, rates):
    def velocity(s, out):
        out[0] = rates[0] * s[0] - rates[1] * s[0] * s[1]
        out[1] = rates[3] * s[0] * s[1] - rates[2] * s[1]
        return out

    path, h = np.empty((8, 2)), 0.05
    path[0] = start
    k = np.zeros((4, 2))
    for n in range(7):
        velocity(path[n], k[0])
        velocity(path[n] + 0.5 * h * k[0], k[1])
        velocity(path[n] + 0.5 * h * k[1], k[2])
        velocity(path[n] + h * k[2], k[3])
        path[n + 1] = path[n] + h / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])
    return spread(path)


@program(normal(5, 2), normal(5, 2))
def particles(x, v):
    force = np.empty_like(x)
    for _ in range(3):
        force.fill(0.0)
        for i in range(5):
            for j in range(i):
                d = x[i] - x[j]
                f = d / (d @ d + 0.3) ** 1.5
                force[i] += f
                force[j] -= f
        v += 0.1 * force
        x += 0.1 * v
        hit = x < -2.0
        x[hit] = -4.0 - x[hit]
        v[hit] *= -1.0
    return spread(x) + spread(v)


@program(normal(4, 4))
def red_and_black(u):
    red = np.indices((4, 4)).sum(axis=0) % 2 == 0
    padded = np.zeros((6, 6))
    padded[1:-1, 1:-1] = u
    for colour in (red, ~red, red):
        mean = 0.25 * (padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2])
        padded[1:-1, 1:-1][colour] = mean[colour] ** 2
    return spread(padded)


# -- dynamic programming ------------------------------------------------------------------------------
@program(normal(5), normal(4))
def soft_alignment(a, b):
    cost = (a[:, None] - b[None, :]) ** 2
    table = np.full((6, 5), np.inf)
    table[0, 0] = 0.0
    for i in range(5):
        for j in range(4):
            three = np.stack([table[i, j], table[i, j + 1], table[i + 1, j]])
            low = np.min(three)
            table[i + 1, j + 1] = cost[i, j] + low - np.log(np.sum(np.exp(low - three)))
    return table[-1, -1]


@program(normal(3, 3), normal(5, 3))
def forward_algorithm(transitions, scores):
    alpha = np.zeros_like(scores)
    alpha[0] = scores[0]
    for t in range(1, len(scores)):
        for k in range(3):
            v = alpha[t - 1] + transitions[:, k]
            top = v.max()
            alpha[t, k] = scores[t, k] + top + np.log(np.sum(np.exp(v - top)))
    best = np.empty_like(scores)
    best[0] = scores[0]
    for t in range(1, 5):
        best[t] = np.max(best[t - 1][:, None] + transitions, axis=0) + scores[t]
    return spread(alpha) + best[-1].max()


@program(between(0.2, 1, 4), between(0.2, 1, 5))
def edit_distance(inserts, deletes):
    d = np.zeros((5, 6))
    d[1:, 0], d[0, 1:] = np.cumsum(inserts), np.cumsum(deletes)
    for i in range(1, 5):
        for j in range(1, 6):
            change = d[i - 1, j - 1] + (0.0 if (i * j) % 3 else 0.7 * inserts[i - 1])
            d[i, j] = min(d[i - 1, j] + inserts[i - 1], d[i, j - 1] + deletes[j - 1], change)
    return spread(d)


@program(between(0.1, 1, 6))
def memoised_partitions(w):
    memo = np.ones((7, 7))
    memo[1:, 0] = 0.0
    for n in range(1, 7):
        for k in range(1, 7):
            memo[n, k] = memo[n, k - 1] + (w[k - 1] * memo[n - k, k] if n >= k else 0.0)
    return memo[6, 6]


# -- learning and filtering ---------------------------------------------------------------------------
@program(normal(5, 2), 0.5 * normal(3, 2), 0.5 * normal(3, 3))
def network_with_states_in_a_table(inputs, wx, wh):
    states = np.zeros((6, 3))
    for t in range(5):
        states[t + 1] = np.tanh(wx @ inputs[t] + wh @ states[t])
    states[1:] -= states[1:].mean(axis=0)
    return spread(states)


@program(normal(6), between(0.5, 1), between(0.2, 1))
def kalman_with_tables(observed, a, noise):
    n = len(observed)
    mean, var, like = np.zeros(n + 1), np.ones(n + 1), np.empty(n)
    for t in range(n):
        m, p = a * mean[t], a * a * var[t] + 0.1
        s = p + noise
        like[t] = np.log(s) + (observed[t] - m) ** 2 / s
        mean[t + 1] = m + p / s * (observed[t] - m)
        var[t + 1] = p * (1 - p / s)
    return like.sum() + spread(mean)


@program(normal(3, 4))
def softmax_in_place(x):
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return spread(x)


@program(normal(4, 3), normal(3))
def momentum(data, w):
    w, velocity, rate = w.copy(), np.zeros_like(w), 0.05
    for row in data:
        slope = 2 * (row @ w - 1.0) * row
        velocity *= 0.9
        velocity -= rate * slope
        w += velocity
    return spread(w)


@program(normal(7), normal(3))
def convolution_by_loops(x, k):
    y = np.zeros(len(x) + len(k) - 1)
    for i in range(len(x)):
        for j in range(len(k)):
            y[i + j] += x[i] * k[j]
    z = np.zeros_like(y)
    for j, weight in enumerate(k):
        z[j : j + len(x)] += weight * x
    return spread(y) + spread(z * z)


@program(normal(5, 5), normal(3, 3))
def image_filter_with_a_border(image, k):
    padded = np.zeros((7, 7))
    padded[1:-1, 1:-1] = image
    padded[0], padded[-1] = padded[1], padded[-2]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    out = np.empty_like(image)
    for i in range(5):
        for j in range(5):
            out[i, j] = np.sum(padded[i : i + 3, j : j + 3] * k)
    return spread(np.maximum(out, 0))


@program(normal(9))
def recursive_filter(x):
    y = np.zeros_like(x)
    y[:2] = x[:2]
    for n in range(2, len(x)):
        y[n] = 0.3 * x[n] + 0.5 * y[n - 1] - 0.2 * y[n - 2]
    y[::-1][1:] += 0.5 * y[::-1][:-1]
    return spread(y)


@program(normal(8))
def transform_in_place(x):
    re, im = x.copy(), np.zeros(8)
    for i, j in ((1, 4), (3, 6)):
        re[[i, j]] = re[[j, i]]
    half = 1
    while half < 8:
        for start in range(0, 8, 2 * half):
            for k in range(half):
                a, b = start + k, start + k + half
                c, s = np.cos(np.pi * k / half), -np.sin(np.pi * k / half)
                tr, ti = c * re[b] - s * im[b], c * im[b] + s * re[b]
                re[b], im[b] = re[a] - tr, im[a] - ti
                re[a] += tr
                im[a] += ti
        half *= 2
    return spread(re) + spread(im) + spread(np.abs(np.fft.fft(x)) - np.sqrt(re**2 + im**2 + 1.0))


# -- indices, masks, order ----------------------------------------------------------------------------
BINS = RNG.integers(0, 4, 9).tolist()


@program(normal(9), between(0.5, 1, 9))
def histogram(x, w):
    sums, counts = np.zeros(4), np.full(4, 1e-3)
    np.add.at(sums, BINS, x * w)
    np.add.at(counts, BINS, w)
    np.subtract.at(sums, BINS[:3], 0.5)
    sums /= counts
    x -= sums[BINS]
    return spread(x) + spread(sums)


@program(normal(6, 3))
def assemble(elements):
    """Stiffness of a chain, put together of its elements."""
    k = np.zeros((7, 7))
    for n, (a, b, c) in enumerate(elements):
        place = np.ix_(np.array([n, n + 1]), np.array([n, n + 1]))
        k[place] += np.stack([np.stack([a, b]), np.stack([b, c])])
    k[0], k[:, 0], k[0, 0] = 0.0, 0.0, 1.0
    np.fill_diagonal(k[1:, 1:], 3.0 + np.diagonal(k)[1:] ** 2)
    return spread(np.linalg.solve(k, np.ones(7)))


@program(normal(10))
def masks(x):
    y = np.zeros_like(x)
    up = x > 0.2
    y[up] = np.log(x[up])
    y[~up] = x[~up] ** 2
    y[y < -1] = -1.0
    np.copyto(y, x, where=np.arange(10) % 3 == 0)
    np.putmask(y, np.arange(10) % 4 == 1, x * x)
    y[[1, 3, 1]] += x[[0, 2, 4]]
    x[up & (x > 0.5)] *= 2.0
    return spread(y) + spread(x)


@program(normal(8))
def sorting_network(x):
    n = len(x)
    for k in range(n):
        for i in range(k % 2, n - 1, 2):
            if x[i] > x[i + 1]:
                x[i], x[i + 1] = x[i + 1], x[i]
    return x @ np.arange(1.0, 9.0) ** 2


@program(normal(7))
def insertion_sort(x):
    for i in range(1, len(x)):
        key, j = x[i], i - 1
        while j >= 0 and x[j] > key:
            x[j + 1] = x[j]
            j -= 1
        x[j + 1] = key
    return spread(x) + x[0] * x[-1]


@program(normal(12))
def ring_buffer(signal):
    ring, out, total = np.zeros(4), np.zeros_like(signal), 0.0
    for n in range(12):
        total = total + signal[n] - ring[n % 4]
        ring[n % 4] = signal[n]
        out[n] = total / 4 + ring[(n - 1) % 4] ** 2
    return spread(out)


@program(normal(5), between(0, 4, 6))
def interpolation_tables(y, at):
    second = np.zeros_like(y)
    u = np.zeros_like(y)
    for i in range(1, 4):
        p = 0.5 * second[i - 1] + 2.0
        second[i] = -0.5 / p
        u[i] = (3 * (y[i + 1] - 2 * y[i] + y[i - 1]) - 0.5 * u[i - 1]) / p
    for i in range(3, 0, -1):
        second[i] = second[i] * second[i + 1] + u[i]
    found = np.empty_like(at)
    for n in range(6):
        k = min(int(at[n]), 3)
        b = at[n] - k
        a = 1 - b
        found[n] = a * y[k] + b * y[k + 1] + ((a**3 - a) * second[k] + (b**3 - b) * second[k + 1]) / 6
    return spread(found)


@program(normal(4), between(-1, 1))
def newton_divided_differences(y, at):
    c = y.copy()
    for k in range(1, 4):
        c[k:] = (c[k:] - c[k - 1 : -1]) / k
    value = c[-1]
    for k in range(2, -1, -1):
        value = value * (at - k) + c[k]
    return value**2


@program(normal(6))
def prefix_products(x):
    out = np.ones(6)
    for i in range(1, 6):
        out[i] = out[i - 1] * x[i - 1]
    right = 1.0
    for i in range(5, -1, -1):
        out[i] *= right
        right = right * x[i]
    return spread(out)


@program(normal(2, 3, 4))
def views_of_all_kinds(x):
    x.reshape(2, -1)[:, ::5] *= 2.0
    x[0].T[1] += x[1, :, 1]
    x[..., -1] = x[..., 0]
    x.swapaxes(0, 2)[1:3, 0] = 0.5
    for plane in x:
        for row in plane[1:]:
            row -= row.mean()
    flat = x.ravel()
    flat[3:6] = flat[:3] * flat[6:9]
    np.moveaxis(x, -1, 0)[0, 0] = x[1, :, 3]
    x.real[0, 0] if False else x[0, 0].sort()
    return spread(x)


@program(normal(3, 3))
def game_of_soft_life(cells):
    for _ in range(3):
        alive = 1 / (1 + np.exp(-cells))
        around = np.zeros_like(alive)
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy:
                    around += np.roll(np.roll(alive, dx, axis=0), dy, axis=1)
        cells[...] = alive * np.exp(-((around - 2.5) ** 2)) - 0.1 * cells
    return spread(cells)


# -- objects, closures, containers --------------------------------------------------------------------
@dataclass
class Tank:
    levels: np.ndarray

    def pour(self, i, j, amount):
        flow = amount * self.levels[i]
        self.levels[i] -= flow
        self.levels[j] += flow
        return flow


@program(between(0.5, 1, 4), between(0.1, 0.5, 3))
def objects_that_share_an_array(levels, valves):
    tank = Tank(levels)
    other = Tank(tank.levels[1:])
    apart = copy.deepcopy(tank)
    flows = {"all": [], "last": None}
    for k, v in enumerate(valves):
        flows["last"] = tank.pour(k, k + 1, v)
        flows["all"].append(other.pour(0, 2, v * v))
    apart.levels *= 2.0
    return spread(levels) + spread(apart.levels) + sum(flows["all"]) * flows["last"]


@program(normal(5))
def closures_and_defaults(x):
    log, state = np.zeros(6), {"n": 0}

    def note(value, into=log):
        into[state["n"]] = value
        state["n"] += 1
        return value

    def walk(n, tail=x[2:]):
        if n == 0:
            return note(tail[0])
        tail[n % 3] += 0.5 * x[n - 1]
        return walk(n - 1) + note(tail[n % 3])

    return walk(4) * spread(log) + spread(x)


@program(normal(6))
def generators_and_zips(x):
    def running(a):
        total = np.zeros(1)
        for i in range(len(a)):
            total += a[i]
            yield total * total
            a[i] = total[0]

    out = np.empty(6)
    for i, value in enumerate(running(x)):
        out[i] = value[0]
    for a, b in zip(np.split(out, 2), np.split(x, [3]), strict=True):
        a[1:], b[0] = b[:-1], a[0]
    return spread(out) + spread(x)


@program(between(0.5, 2, 4), between(0.1, 1))
def iterations_until_they_settle(x, damping):
    history, k = np.zeros((30, 4)), 0
    while k < 29:
        history[k] = x
        step = (x - 2.0 / x) * 0.5 * (0.6 + 0.3 * damping)
        x -= step
        k += 1
        if np.max(np.abs(step)) < 1e-2:
            break
    history[k:] = x
    return spread(history)


# -- and their derivatives ----------------------------------------------------------------------------
#: These write into what they are given, or into what is made of it, so that NumPy's own functions will do.
AS_THEY_STAND = [
    gauss_with_pivots, gram_schmidt_in_place, lu_in_place, gauss_seidel, jacobi_rotations, heat, waves, particles,
    forward_algorithm, softmax_in_place, momentum,
    recursive_filter, masks, sorting_network, insertion_sort, interpolation_tables, newton_divided_differences,
    views_of_all_kinds, game_of_soft_life, objects_that_share_an_array,
]  # fmt: skip


#: These go on with the number that they read from an array after they have written there.
KEEP_A_NUMBER = [gauss_with_pivots, sorting_network, insertion_sort]


def run(f, args):
    return f(*(np.array(a) for a in args))


def directions(args, seed):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=a.shape) for a in args)


def along(f, args, ts, h=1e-5):
    ahead, back = (run(f, [a + s * t for a, t in zip(args, ts, strict=True)]) for s in (h, -h))
    return (ahead - back) / (2 * h)


def inner(gs, ts):
    return sum(np.sum(g * t) for g, t in zip(gs, ts, strict=True))


@pytest.mark.parametrize(("f", "args"), program, ids=program.names())
def test_value_and_gradient(f, args, backend):
    if backend.name != "numpy" and f in KEEP_A_NUMBER:
        pytest.skip("on a device x[i] is a view, not a number, for CuPy as it is")
    value, gradients = value_and_grad(lift(f), tuple(range(len(args))))(*(backend.asarray(a) for a in args))
    with gpuad.use("numpy"):
        np.testing.assert_allclose(backend.to_numpy(value), run(f, args), rtol=1e-11)
        for seed in range(3):
            ts = directions(args, seed)
            got = inner(map(backend.to_numpy, gradients), ts)
            np.testing.assert_allclose(got, along(f, args, ts), rtol=3e-7, atol=1e-8)


@pytest.mark.parametrize(("f", "args"), program, ids=program.names())
def test_forward_mode_and_second_derivatives(f, args):
    lifted, numbers = lift(f), tuple(range(len(args)))
    ts, us = directions(args, 1), directions(args, 2)
    slope = inner(grad(lifted, numbers)(*args), ts)
    np.testing.assert_allclose(jvp(lifted, args, ts)[1], slope, rtol=1e-10)

    def first(*args):
        return inner(grad(lifted, numbers)(*args), ts)

    second = inner(grad(first, numbers)(*args), us)
    np.testing.assert_allclose(second, along(first, args, us), rtol=3e-6, atol=1e-6)
    np.testing.assert_allclose(inner(jvp(grad(lifted, numbers), args, us)[1], ts), second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("f", AS_THEY_STAND, ids=lambda f: f.__name__)
def test_as_it_stands(f):
    args = next(args for g, args in program if g is f)
    before = [np.array(a) for a in args]
    numbers = tuple(range(len(args)))
    for g, want in zip(grad(f, numbers)(*args), grad(lift(f), numbers)(*args), strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-12, atol=1e-14)
    assert all(np.array_equal(a, b) for a, b in zip(args, before, strict=True))

"""Programs that say `import numpy as np` and nothing of gpuad: simulations, signals, numerical methods, odds and ends.

Their values, and gradients by central differences. None writes in place; those that do are elsewhere.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from programs import Programs, between, check, normal

program = Programs()


# -- simulations --------------------------------------------------------------------------------------
@program([1.0, 0.5], [1.5, 1.0, 3.0, 1.0])
def predator_and_prey(start, rates):
    a, b, c, d = rates

    def velocity(s):
        x, y = s
        return np.stack([a * x - b * x * y, d * x * y - c * y])

    state, h, path = start, 0.05, []
    for _ in range(12):
        k1 = velocity(state)
        k2 = velocity(state + h / 2 * k1)
        k3 = velocity(state + h / 2 * k2)
        k4 = velocity(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(state)
    return np.trapezoid(np.vstack(path)[:, 0], dx=h)


@program(normal(4, 2), normal(4, 2), between(1, 2, 4))
def bodies_under_gravity(x, v, m):
    def acceleration(x):
        d = x[None] - x[:, None]
        r2 = (d**2).sum(-1) + 0.5
        return (m[None, :, None] * d / r2[..., None] ** 1.5).sum(1)

    for _ in range(5):
        v = v + 0.05 * acceleration(x)
        x = x + 0.1 * v
        v = v + 0.05 * acceleration(x)
    return 0.5 * np.sum(m * np.sum(v**2, axis=1)) + np.ptp(x)


@program(normal(8), 0.2)
def heat_equation(u, k):
    for _ in range(10):
        u = u + k * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
    return np.sum(u**4)


@program(normal(6, 6))
def wave_on_a_membrane(u):
    before = 0.9 * u
    for _ in range(4):
        inside = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
        u, before = 2 * u - before + 0.1 * np.pad(inside, 1), u
    return np.linalg.norm(u[1:-1, 1:-1])


@program(normal(7), 1.5)
def burgers_upwind(u, scale):
    u = scale * u
    for _ in range(6):
        back, ahead = u - np.roll(u, 1), np.roll(u, -1) - u
        u = u - 0.05 * u * np.where(u > 0, back, ahead)
    return np.abs(u).sum()


@program(0.3, 0.5, 2.1)
def damped_pendulum(angle, speed, damping):
    energies = []
    for _ in range(20):
        speed = speed - 0.1 * (np.sin(angle) + damping * speed * np.abs(speed))
        angle = angle + 0.1 * speed
        energies.append(0.5 * speed**2 + 1 - np.cos(angle))
    return max(energies) + min(energies) + sum(energies) / len(energies)


@program(normal(5, 5))
def ising_energy(spins):
    soft = np.tanh(3 * spins)
    return -sum(np.sum(soft * np.roll(soft, 1, axis=k)) for k in range(2)) + 0.1 * soft[1::2, ::2].sum()


@program(between(1, 2, 4), 0.3)
def epidemic(contacts, recovery):
    s, i, r = 0.99, 0.01, 0.0
    peak = i
    for day in range(12):
        new = contacts[day % 4] * s * i
        s, i, r = s - new, i + new - recovery * i, r + recovery * i
        peak = np.maximum(peak, i)
    return np.log(peak) + r


# -- signals ------------------------------------------------------------------------------------------
@program(normal(16))
def spectral_filter(x):
    spectrum = np.fft.rfft(x * np.hanning(16))
    spectrum = spectrum * np.exp(-0.1 * np.arange(9))
    power = np.abs(spectrum) ** 2
    return np.sum(np.fft.irfft(spectrum, 16) ** 3) + np.log(power[1:]).mean()


@program(normal(6), normal(6))
def convolution_theorem(a, b):
    n = len(a) + len(b) - 1
    product = np.fft.ifft(np.fft.fft(a, n) * np.fft.fft(b, n)).real
    return np.sum((product - np.convolve(a, b)) ** 2) + np.sum(np.tanh(product))


@program(normal(16))
def haar_wavelets(x):
    details = []
    while len(x) > 1:
        even, odd = x[::2], x[1::2]
        x, detail = (even + odd) / np.sqrt(2), (even - odd) / np.sqrt(2)
        details.append(np.sign(detail) * np.maximum(np.abs(detail) - 0.1, 0))
    for detail in reversed(details):
        x = np.stack([(x + detail), (x - detail)], axis=-1).ravel() / np.sqrt(2)
    return np.sum(x**2) + x[3]


@program(normal(8))
def fft_by_recursion(x):
    def fft(x):
        n = len(x)
        if n == 1:
            return x
        even, odd = fft(x[::2]), fft(x[1::2])
        twiddled = np.exp(-2j * np.pi * np.arange(n // 2) / n) * odd
        return np.concatenate([even + twiddled, even - twiddled])

    return np.sum(np.abs(fft(x + 0j)) * np.arange(8))


@program(normal(10), normal(3))
def autoregression(x, a):
    lagged = np.lib.stride_tricks.sliding_window_view(x, 4)
    predicted = lagged[:, :3] @ a[::-1]
    return np.mean((lagged[:, -1] - predicted) ** 2)


@program(between(0, 6, 7))
def phases(p):
    smooth = np.unwrap(np.cumsum(p))
    z = np.exp(1j * smooth)
    return np.abs(z.mean()) + np.var(np.diff(smooth)) + np.angle(z.sum())


@program(normal(5), between(0.1, 4.9, 3))
def resampling(y, at):
    x = np.arange(5.0) + 0.5
    return np.sum(np.interp(at, x, y) ** 2) + np.gradient(y, x)[2] * np.polyval(y[:3], at).sum()


@program(normal(9), normal(4))
def soft_dynamic_time_warping(a, b):
    def soft_minimum(*values):
        return -np.log(sum(np.exp(-v) for v in values))

    table = {(0, 0): 0.0}
    for i, j in itertools.product(range(len(a) + 1), range(len(b) + 1)):
        if i and j:
            steps = [table[k] for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if k in table]
            table[i, j] = (a[i - 1] - b[j - 1]) ** 2 + soft_minimum(*steps)
    return table[len(a), len(b)]


# -- numerical methods --------------------------------------------------------------------------------
@program(2.3)
def newtons_root(a):
    x = a
    while abs(x * x - a) > 1e-13:
        x = 0.5 * (x + a / x)
    return x


@program(1.3, 0.4)
def arithmetic_geometric_mean(a, b):
    for _ in range(6):
        a, b = (a + b) / 2, np.sqrt(a * b)
    return a


@program(0.7, 1.9)
def gauss_legendre(low, high):
    nodes, weights = np.polynomial.legendre.leggauss(8)
    x = (high - low) / 2 * nodes + (high + low) / 2
    return (high - low) / 2 * np.sum(weights * np.exp(-x) * np.cos(3 * x))


@program(0.7, 1.9)
def romberg(low, high):
    def area(n):
        x = np.linspace(low, high, n + 1)
        y = np.log(1 + x**2)
        return (high - low) / n * (y.sum() - (y[0] + y[-1]) / 2)

    rows = [[area(2**k)] for k in range(4)]
    for k in range(1, 4):
        for j in range(1, k + 1):
            rows[k].append(rows[k][j - 1] + (rows[k][j - 1] - rows[k - 1][j - 1]) / (4**j - 1))
    return rows[-1][-1]


@program(normal(5))
def continued_fraction(a):
    def value(k):
        return a[k] if k == len(a) - 1 else a[k] + 1 / (3 + value(k + 1) ** 2)

    return value(0)


@program(normal(6), 0.3)
def clenshaw(c, x):
    b1 = b2 = 0.0
    for k in range(len(c) - 1, 0, -1):
        b1, b2 = 2 * x * b1 - b2 + c[k], b1
    return x * b1 - b2 + c[0]


@program(normal(3))
def gradient_descent_unrolled(x):
    def slope(x):
        return 4 * x * (x**2 - 1) + 0.3 * np.roll(x, 1)

    momentum = np.zeros_like(x)
    for t in range(1, 15):
        momentum = 0.8 * momentum + slope(x)
        x = x - 0.02 / np.sqrt(t) * momentum
    return np.sum(x**3)


@program(0.3, 0.5)
def escape_of_the_mandelbrot_set(re, im):
    c = re + 1j * im
    z = 0j
    steps = 0
    while abs(z) < 4 and steps < 50:
        z = z * z + c
        steps += 1
    return steps - np.log2(np.log(np.abs(z) + 2))


@program(normal(4), normal(4))
def quaternions(p, q):
    def product(a, b):
        return np.hstack([a[0] * b[0] - a[1:] @ b[1:], a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])])

    p, q = p / np.linalg.norm(p), q / np.linalg.norm(q)
    inverse = p * np.array([1, -1, -1, -1])
    return product(product(p, q), inverse)[1:] @ np.array([1.0, 2.0, 3.0])


@program([0.3, 0.8, -0.4])
def rotations(angles):
    matrix = np.eye(3)
    for k, t in enumerate(angles):
        i, j = [n for n in range(3) if n != k]
        e = np.eye(3)
        plane = np.outer(e[i], e[i]) + np.outer(e[j], e[j])
        turn = np.cos(t) * plane + np.sin(t) * (np.outer(e[j], e[i]) - np.outer(e[i], e[j])) + np.outer(e[k], e[k])
        matrix = turn @ matrix
    return matrix[0] @ np.array([1.0, 2, 3]) + np.arctan2(matrix[2, 1], matrix[2, 2])


@program(normal(6, 2))
def area_of_a_polygon(points):
    center = points.mean(axis=0)
    shifted = points - center
    points = shifted[np.argsort(np.arctan2(shifted[:, 1], shifted[:, 0]))]
    x, y = points.T
    area = 0.5 * np.abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    perimeter = sum(np.hypot(*(b - a)) for a, b in zip(points, np.roll(points, -1, axis=0), strict=True))
    return area / perimeter**2


@program(normal(5, 2), normal(4, 2))
def distances_between_clouds(a, b):
    d = np.sqrt(((a[:, np.newaxis] - b) ** 2).sum(-1))
    nearest = np.argmin(d, axis=1)
    return np.max(np.min(d, axis=1)) + np.sum(np.take_along_axis(d, nearest[:, None], axis=1)) + d[d > 1.0].sum()


@program(normal(3, 4))
def masks_and_choices(x):
    y = np.select([x > 0.5, x < -0.5], [x**2, -x], default=0.1 * x)
    z = np.clip(y, -1, 1)[:, [0, 2, 2]]
    w = np.piecewise(x, [x < 0], [np.sin, lambda t: t * np.exp(-t)])
    return z.sum() + w[x.sum(axis=1) > 0].sum() + np.nansum(np.where(x > 1, np.nan, x))


@program(normal(12))
def segments(x):
    groups = np.array([0, 2, 1, 0, 2, 2, 1, 0, 1, 2, 0, 0])
    sums = np.bincount(groups, weights=x)
    counts = np.bincount(groups)
    means = sums / counts
    spread = np.add.reduceat((x - means[groups])[np.argsort(groups, kind="stable")] ** 2, [0, 5, 8])
    return np.sum(np.sqrt(spread)) + np.maximum.accumulate(x)[::3].sum() + np.multiply.outer(means, means).sum()


@program(normal(4, 4))
def diagonals_and_triangles(a):
    upper, lower = np.triu(a, 1), np.tril(a)
    antidiagonal = np.fliplr(a).diagonal()
    packed = a[np.triu_indices(4)]
    return (
        np.sum(upper @ lower) + antidiagonal.prod() + np.trace(a, offset=1) * np.diag(packed[:3]).sum() + packed.std()
    )


@program(between(0.5, 2, 3), normal(3))
def broadcasting_with_everything(a, b):
    grid_x, grid_y = np.meshgrid(a, b)
    stacked = np.dstack([grid_x, grid_y, grid_x**grid_y])
    tiled = np.tile(stacked.mean(axis=-1), (2, 1))
    repeated = np.repeat(tiled, [1, 0, 2], axis=1)
    rolled = np.rot90(np.moveaxis(np.expand_dims(repeated, 0), 0, -1)[..., 0])
    return np.log1p(np.square(rolled)).sum() + np.float64(0.5) * np.logspace(0, b[0], 3).sum()


@program(normal(3), normal(3))
def dictionaries_and_closures(a, b):
    parts = dict(zip("xyz", a, strict=True))
    scale = {k: (lambda t, s=v: t * s) for k, v in parts.items()}
    total = 0
    for name, value in sorted(parts.items(), reverse=True):
        total = total + scale[name](b @ b) / (1 + value**2)
    return total if total > -1e9 else -total


@program(normal(2, 3), 0.7)
def python_operators(x, c):
    y = -(+x) // 1 * 0 + x % 0.7 + abs(x) ** 1.5 - 2**x + x**-2 * 1e-2
    q, r = divmod(c, 0.3)
    return np.sum(y) + round(q, 0) * r + pow(c, 3) + (x @ x.T)[0, 1] + sum(map(np.sum, x)) + len(x) * x.size * c


@program(normal(6))
def vectorized_function(x):
    @np.vectorize
    def huber(t, delta=0.8):
        return 0.5 * t**2 if abs(t) < delta else delta * (abs(t) - 0.5 * delta)

    rows = np.apply_along_axis(lambda row: np.cumsum(row[::-1]), 1, x.reshape(2, 3))
    return np.sum(huber(x)) + np.sum(rows**2)


@program(normal(3, 3))
def iterators(a):
    total = 0.0
    for i, row in enumerate(a):
        for j, v in enumerate(row):
            if i != j:
                total = total + v * a[j, i] / (1 + i + j)
    for v in a.ravel()[::-1][:4]:
        total = total * (1 + 0.1 * v)
    first, *rest = a
    return total + np.sum(first * rest[-1]) + np.max([1.0, 2.0])


@program(normal(5), 0.5)
def elastic_net(w, rate):
    x = np.vander(np.linspace(-1, 1, 8), 5)
    for _ in range(8):
        g = x.T @ (x @ w - np.sin(np.linspace(-1, 1, 8)))
        w = w - 0.05 * g
        w = np.sign(w) * np.clip(np.abs(w) - 0.01 * rate, 0, None)
    return np.sum(w**2) + 0.1 * np.sum(np.abs(w)) + np.linalg.norm(w, 1)


@program(normal(2, 2), 0.4)
def riccati(a, r):
    b, q, p = np.array([[0.0], [1.0]]), np.eye(2), np.eye(2)
    a = 0.5 * a
    for _ in range(15):
        gain = np.linalg.inv(r**2 * np.eye(1) + b.T @ p @ b) @ b.T @ p @ a
        p = q + a.T @ p @ a - a.T @ p @ b @ gain
    return np.trace(p) + np.linalg.norm(gain)


@program(normal(4), normal(3))
def levinson(r, y):
    first = np.concatenate([[5.0], 0.3 * r])
    toeplitz = np.stack([np.concatenate([first[i:0:-1], first[: 3 - i]]) for i in range(3)])
    return np.linalg.solve(toeplitz, y) @ y


@pytest.mark.parametrize(("f", "args"), program, ids=program.names())
def test_program(f, args):
    check(f, args)

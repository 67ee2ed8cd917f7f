"""GradBench's programs once more, number by number, to compare ours with: plain loops that take complex numbers.

So their derivatives come from complex steps, Im f(x + ih) / h, which nothing cancels in (Squire and Trapp, SIAM
Review 40, 1998). Formulas are those of the benchmark's descriptions.
"""

import cmath
import math

import numpy as np

STEP = 1e-30


def complex_step(f, x):
    """The Jacobian of ``f`` at the real array ``x``, with the axes of the result first."""
    x = np.asarray(x, dtype=complex)
    columns = []
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] += 1j * STEP
        columns.append(np.imag(f(moved)) / STEP)
    return np.moveaxis(np.array(columns), 0, -1).reshape((*np.shape(columns[0]), *x.shape))


def llsq(x, n):
    total = 0.0
    for i in range(n):
        t = -1 + 2 * i / (n - 1)
        total += (np.sign(t) - sum(x[j] * t**j for j in range(len(x)))) ** 2
    return total / 2


def lse(x):
    return cmath.log(sum(cmath.exp(v) for v in x)) if np.iscomplexobj(x) else math.log(sum(map(math.exp, x)))


def ode(x, s):
    n, h = len(x), 2 / s

    def slope(y):
        return np.array([x[i] * (y[i - 1] if i else 1) for i in range(n)])

    y = np.zeros(n, dtype=np.asarray(x).dtype)
    for _ in range(s):
        a = slope(y)
        b = slope(y + h * a / 2)
        c = slope(y + h * b / 2)
        d = slope(y + h * c)
        y = y + h * (a + 2 * b + 2 * c + d) / 6
    return y


def kmeans(points, centroids):
    nearest = [min(range(len(centroids)), key=lambda j: np.sum((centroids[j] - p) ** 2)) for p in points]
    cost = sum(np.sum((centroids[j] - p) ** 2) for p, j in zip(points, nearest, strict=True))
    means = [np.mean([p for p, owner in zip(points, nearest, strict=True) if owner == j], axis=0) for j in
             range(len(centroids))]  # fmt: skip
    return cost, centroids - np.array(means)


def gmm(alpha, mu, q, lower, x, m, gamma):
    k, d = mu.shape
    n, nu = len(x), d + m + 1
    log_gamma = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma(nu / 2 + (1 - j) / 2) for j in range(1, d + 1))
    total = -n * (d / 2 * math.log(2 * math.pi) + lse(alpha)) + k * (nu * d * math.log(gamma / 2**0.5) - log_gamma)
    triangles = []
    for c in range(k):
        triangle, entries = np.diag(np.exp(q[c])).astype(np.result_type(q, lower)), iter(lower[c])
        for column in range(d):
            for row in range(column + 1, d):
                triangle[row, column] = next(entries)
        triangles.append(triangle)
        total += m * np.sum(q[c]) - gamma**2 / 2 * np.sum(triangle**2)
    for point in x:
        total += lse(np.array([
            alpha[c] + np.sum(q[c]) - 0.5 * np.sum((triangles[c] @ (point - mu[c])) ** 2) for c in range(k)
        ]))  # fmt: skip
    return total


def lstm(main, extra, state, sequence):
    layers, width, steps = len(main) // 2, sequence.shape[1], len(sequence) - 1
    hidden, cell = [state[2 * i] for i in range(layers)], [state[2 * i + 1] for i in range(layers)]
    total = 0.0
    for t in range(steps):
        x = sequence[t] * extra[0]
        for i in range(layers):
            inputs = (x, hidden[i], x, hidden[i])
            z = [v * main[2 * i, g * width : (g + 1) * width] + main[2 * i + 1, g * width : (g + 1) * width]
                 for g, v in enumerate(inputs)]  # fmt: skip
            f, g, o = (1 / (1 + np.exp(-v)) for v in z[:3])
            cell[i] = cell[i] * f + g * np.tanh(z[3])
            x = hidden[i] = o * np.tanh(cell[i])
        y = x * extra[1] + extra[2]
        total += np.sum(sequence[t + 1] * (y - np.log(2 + np.sum(np.exp(y)))))
    return -total / (width * steps)


def ba(parameters, feature):
    """The two errors of one observation; camera, point and weight one after the other."""
    camera, point, weight = parameters[:11], parameters[11:14], parameters[14]
    x = point - camera[3:6]
    if np.all(camera[:3].real == 0):
        turned = x + np.cross(camera[:3], x)
    else:
        angle = np.sqrt(np.sum(camera[:3] ** 2))
        a = camera[:3] / angle
        turned = x * np.cos(angle) + np.cross(a, x) * np.sin(angle) + a * np.sum(a * x) * (1 - np.cos(angle))
    u = turned[:2] / turned[2]
    r = np.sum(u**2)
    return weight * (camera[6] * u * (1 + camera[9] * r + camera[10] * r**2) + camera[7:9] - feature)


def ht(theta, us, model, correspondences, points):
    bones = len(model["parents"])
    angles = np.zeros((bones, 3), dtype=theta.dtype)
    rest = iter(theta[6:])
    for finger in range(5):
        for joint in range(3):
            angles[2 + 4 * finger + joint, 0] = next(rest)
            if joint == 0:
                angles[2 + 4 * finger, 1] = next(rest)
    absolute, skins = [], []
    for bone in range(bones):
        local = np.eye(4, dtype=theta.dtype)
        x, z, y = angles[bone]
        local[:3, :3] = turn(2, z) @ turn(1, y) @ turn(0, x)
        local = np.array(model["base_relatives"][bone]) @ local
        parent = model["parents"][bone]
        absolute.append(local if parent < 0 else absolute[parent] @ local)
        skins.append(absolute[bone] @ np.array(model["inverse_base_absolutes"][bone]))
    angle = np.sqrt(np.sum(theta[:3] ** 2))
    whole = np.eye(3)
    if abs(angle) >= 1e-4:
        x, y, z = theta[:3] / angle
        k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        whole = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)
    skin = []
    for position, weights in zip(model["base_positions"], model["weights"], strict=True):
        moved = sum(w * (s @ np.array(position))[:3] for w, s in zip(weights, skins, strict=True))
        skin.append(whole @ (moved * [-1 if model["is_mirrored"] else 1, 1, 1]) + theta[3:6])
    errors = []
    for i, (c, point) in enumerate(zip(correspondences, points, strict=True)):
        if us is None:
            errors.append(point - skin[c])
        else:
            a, b, c = (skin[v] for v in model["triangles"][c])
            errors.append(point - (us[i, 0] * a + us[i, 1] * b + (1 - us[i, 0] - us[i, 1]) * c))
    return np.concatenate(errors)


def turn(axis, angle):
    """The rotation about a coordinate axis."""
    matrix = np.eye(3, dtype=np.asarray(angle).dtype)
    i, j = [k for k in range(3) if k != axis]
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = (np.sin(angle), -np.sin(angle)) if axis == 1 else (-np.sin(angle), np.sin(angle))
    return matrix


def descent(f, gradient, x):
    """The benchmark's descent, in its own words."""
    rate, good = 1e-5, 0
    fx, gx = f(x), gradient(x)
    while True:
        if np.linalg.norm(gx) <= 1e-5:
            return x
        if good == 10:
            rate, good = 2 * rate, 0
            continue
        further = x - rate * gx
        if np.linalg.norm(further - x) <= 1e-5:
            return x
        if f(further) < fx:
            x, fx, gx, good = further, f(further), gradient(further), good + 1
        else:
            rate, good = rate / 2, 0


def saddle(start):
    """By hand: the maximum over b doesn't depend on a, whose gradient is 2a."""
    b = descent(lambda b: b @ b, lambda b: 2 * b, start)
    return np.concatenate([descent(lambda a: a @ a - b @ b, lambda a: 2 * a, start), b])


def landing(w):
    """The squared place where the particle lands."""
    charges = ((10.0, 10.0 - w), (10.0, 0.0))
    x, y, u, v = 0.0, 8.0, 0.75, 0.0
    while True:
        pull = [(cx - x, cy - y, ((cx - x) ** 2 + (cy - y) ** 2) ** 1.5) for cx, cy in charges]
        x, y = x + 0.1 * u, y + 0.1 * v
        if np.real(y) <= 0:
            return (x - y / v * u) ** 2
        u, v = u - 0.1 * sum(p / r for p, _, r in pull), v - 0.1 * sum(q / r for _, q, r in pull)


def particle(w):
    return descent(landing, lambda w: complex_step(landing, w), w)

"""Simulations: heat, a stencil, a fluid, bodies under gravity; the geometry of cameras; second Greeks of options."""

from __future__ import annotations

from typing import Any

from ..workload import Workload, repeat, sizes
from .chains import black_scholes, options


def _neighbours(np: Any, u: Any) -> Any:
    return np.roll(u, 1, axis=0) + np.roll(u, -1, axis=0) + np.roll(u, 1, axis=1) + np.roll(u, -1, axis=1)


def heat(np: Any, u: Any, target: Any, count: Any) -> Any:
    """The number of steps is the length of ``count``, here and below, since inputs are arrays."""
    (u,) = repeat(np, lambda t, u: (u + 0.2 * (_neighbours(np, u) - 4.0 * u),), (u,), count.shape[0])
    error = u - target
    return np.sum(error * error)


def heat_by_hand(np: Any, u: Any, target: Any, count: Any) -> tuple[Any, ...]:
    """A step is a symmetric matrix, so its adjoint is itself."""
    steps = count.shape[0]
    for _ in range(steps):
        u = u + 0.2 * (_neighbours(np, u) - 4.0 * u)
    error = u - target
    g = 2.0 * error
    for _ in range(steps):
        g = g + 0.2 * (_neighbours(np, g) - 4.0 * g)
    return np.sum(error * error), g


def _plate(rng: Any, side: int, steps: int, dtype: str = "float64") -> list[Any]:
    return [rng.normal(size=(side, side)), rng.normal(size=(side, side)), rng.integers(0, 2, steps)]


def stencil(np: Any, u: Any, count: Any) -> Any:
    """Slices; the rim is lost at every step, so the steps differ in shape and no loop of JAX's can hold them."""
    for _ in range(count.shape[0]):
        u = 0.5 * u[1:-1, 1:-1] + 0.125 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return np.sum(u * u)


def stencil_by_hand(np: Any, u: Any, count: Any) -> tuple[Any, ...]:
    sides = []
    for _ in range(count.shape[0]):
        sides.append(u.shape)
        u = 0.5 * u[1:-1, 1:-1] + 0.125 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    g = 2.0 * u
    for shape in reversed(sides):
        back = np.zeros(shape, u.dtype)
        back[1:-1, 1:-1] = 0.5 * g
        g = 0.125 * g
        back[:-2, 1:-1] += g
        back[2:, 1:-1] += g
        back[1:-1, :-2] += g
        back[1:-1, 2:] += g
        g = back
    return np.sum(u * u), g


def _grid(rng: Any, side: int, steps: int, dtype: str = "float64") -> list[Any]:
    return [rng.normal(size=(side, side)), rng.integers(0, 2, steps)]


def fluid(np: Any, vx: Any, vy: Any, smoke: Any, target: Any, count: Any) -> Any:
    """An incompressible fluid on a torus: advection by central differences, then a projection by Jacobi's method."""

    def slopes(f: Any) -> tuple[Any, Any]:
        along = 0.5 * (np.roll(f, -1, axis=0) - np.roll(f, 1, axis=0))
        return along, 0.5 * (np.roll(f, -1, axis=1) - np.roll(f, 1, axis=1))

    def advect(f: Any, vx: Any, vy: Any) -> Any:
        along, across = slopes(f)
        return f - 0.1 * (vx * along + vy * across) + 0.05 * (_neighbours(np, f) - 4.0 * f)

    def step(t: Any, vx: Any, vy: Any, smoke: Any) -> tuple[Any, Any, Any]:
        vx, vy, smoke = advect(vx, vx, vy), advect(vy, vx, vy), advect(smoke, vx, vy)
        divergence = slopes(vx)[0] + slopes(vy)[1]
        p = -0.25 * divergence
        for _ in range(8):
            p = 0.25 * (_neighbours(np, p) - divergence)
        along, across = slopes(p)
        return vx - along, vy - across, smoke

    _, _, smoke = repeat(np, step, (vx, vy, smoke), count.shape[0])
    error = smoke - target
    return np.sum(error * error)


def _fluid(rng: Any, side: int, steps: int, dtype: str = "float64") -> list[Any]:
    return [*rng.normal(size=(4, side, side)), rng.integers(0, 2, steps)]


def bodies(np: Any, x: Any, v: Any, mass: Any, count: Any) -> Any:
    """Leapfrog; the loss is how far the bodies are spread at the end."""

    def pull(x: Any) -> Any:
        d = x[None, :, :] - x[:, None, :]
        r2 = np.sum(d * d, axis=2) + 0.1
        return np.einsum("ijk,ij->ik", d, mass / (r2 * np.sqrt(r2)))

    def step(t: Any, x: Any, v: Any, a: Any) -> tuple[Any, Any, Any]:
        v = v + 0.005 * a
        x = x + 0.01 * v
        a = pull(x)
        return x, v + 0.005 * a, a

    x, _, _ = repeat(np, step, (x, v, pull(x)), count.shape[0])
    return np.sum(x * x)


def _bodies(rng: Any, n: int, steps: int, dtype: str = "float64") -> list[Any]:
    mass = rng.uniform(0.5, 1.5, n) / n
    return [rng.normal(size=(n, 3)), 0.1 * rng.normal(size=(n, 3)), mass, rng.integers(0, 2, steps)]


def bundle(np: Any, cameras: Any, points: Any, camera: Any, point: Any, seen: Any) -> Any:
    """Squared errors of projecting points into cameras: rotation vector, shift, focal length, two of distortion."""
    c, x = cameras[camera], points[point]
    w, shift, focal, k1, k2 = c[:, :3], c[:, 3:6], c[:, 6:7], c[:, 7:8], c[:, 8:9]
    angle = np.sqrt(np.sum(w * w, axis=1, keepdims=True) + 1e-12)
    axis = w / angle
    cos, sin = np.cos(angle), np.sin(angle)
    a1, a2, a3 = axis[:, 0:1], axis[:, 1:2], axis[:, 2:3]
    x1, x2, x3 = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    crossed = np.concatenate((a2 * x3 - a3 * x2, a3 * x1 - a1 * x3, a1 * x2 - a2 * x1), axis=1)
    along = np.sum(axis * x, axis=1, keepdims=True)
    turned = x * cos + crossed * sin + axis * (along * (1.0 - cos)) + shift
    flat = turned[:, :2] / turned[:, 2:3]
    r2 = np.sum(flat * flat, axis=1, keepdims=True)
    error = focal * flat * (1.0 + r2 * (k1 + k2 * r2)) - seen
    return np.sum(error * error)


def _bundle(rng: Any, cameras: int, points: int, views: int, dtype: str = "float64") -> list[Any]:
    import numpy

    parts = [rng.normal(size=(cameras, 3)), rng.normal(size=(cameras, 2)), 8 + rng.uniform(size=(cameras, 1))]
    lens = [1 + rng.uniform(size=(cameras, 1)), 0.01 * rng.normal(size=(cameras, 2))]
    where = [rng.integers(0, cameras, views), rng.integers(0, points, views)]
    return [numpy.concatenate(parts + lens, axis=1), rng.normal(size=(points, 3)), *where, rng.normal(size=(views, 2))]


def prices(np: Any, x: Any, strike: Any, rate: Any, time: Any) -> Any:
    return black_scholes(np, x[0], strike, x[1], rate, time)


def _greeks(rng: Any, n: int, dtype: str = "float64") -> list[Any]:
    """The direction is that of the price of the stock: the products are gamma and vanna of every option."""
    import numpy

    spot, strike, vol, rate, time = options(rng, n)
    direction = numpy.stack([numpy.ones(n), numpy.zeros(n)])
    return [numpy.stack([spot, vol]), strike, rate, time, direction]


_BOTH = ("float32", "float64")

WORKLOADS = [
    Workload(
        "programs", "heat equation", heat, _plate, sizes({"side": 128, "steps": 200}, dtypes=_BOTH),
        sizes({"side": 64, "steps": 20}), by_hand=heat_by_hand, loops=True,
    ),
    Workload(
        "programs", "stencil by slices", stencil, _grid, sizes({"side": 256, "steps": 20}), by_hand=stencil_by_hand,
    ),
    Workload("programs", "fluid", fluid, _fluid, sizes({"side": 64, "steps": 20}), differentiated=2, loops=True),
    Workload(
        "programs", "bodies under gravity", bodies, _bodies, sizes({"n": 64, "steps": 20}),
        sizes({"n": 32, "steps": 5}), differentiated=2, loops=True,
    ),
    Workload(
        "programs", "bundle adjustment", bundle, _bundle,
        sizes({"cameras": 50, "points": 5000, "views": 30000}), sizes({"cameras": 10, "points": 300, "views": 2000}),
        differentiated=2,
    ),
    Workload(
        "programs", "second Greeks", prices, _greeks, sizes(10**5, dtypes=_BOTH), kind="hvp", tolerances=(1e-7, 1e-2),
    ),
]  # fmt: skip

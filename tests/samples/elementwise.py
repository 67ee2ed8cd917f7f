"""Samples of the elementwise primitives."""

from __future__ import annotations

import gpuad

from . import sample

# name: (low, high) of a domain where the function is smooth
_UNARY = {
    "negative": (-2, 2), "positive": (-2, 2), "reciprocal": (0.5, 2), "square": (-2, 2), "sqrt": (0.5, 2),
    "cbrt": (0.5, 2), "exp": (-2, 2), "exp2": (-2, 2), "expm1": (-2, 2), "log": (0.5, 2), "log2": (0.5, 2),
    "log10": (0.5, 2), "log1p": (-0.4, 2), "sin": (-2, 2), "cos": (-2, 2), "tan": (-1, 1), "arcsin": (-0.8, 0.8),
    "arccos": (-0.8, 0.8), "arctan": (-2, 2), "sinh": (-2, 2), "cosh": (-2, 2), "tanh": (-2, 2), "arcsinh": (-2, 2),
    "arccosh": (1.3, 3), "arctanh": (-0.8, 0.8), "deg2rad": (-2, 2), "rad2deg": (-2, 2), "sinc": (-2, 2),
    "conjugate": (-2, 2), "absolute": (0.3, 2), "fabs": (-2, -0.3),
}  # fmt: skip
_REAL_ONLY = {"cbrt", "deg2rad", "rad2deg", "fabs", "sinc"}
_SHAPES = [(), (0,), (3,), (2, 3)]

_BINARY = {
    "add": (-2, 2), "subtract": (-2, 2), "multiply": (-2, 2), "divide": (0.5, 2), "fmod": (0.5, 0.9),
    "remainder": (0.5, 0.9), "hypot": (0.5, 2), "arctan2": (0.3, 2), "maximum": (-2, 2), "minimum": (-2, 2),
    "fmax": (-2, 2),
    "fmin": (-2, 2), "logaddexp": (-2, 2), "logaddexp2": (-2, 2), "power": (0.5, 2),
}  # fmt: skip
_COMPLEX_BINARY = {"add", "subtract", "multiply", "divide"}
_PAIRS = [((3,), (3,)), ((2, 3), (3,)), ((), (2, 2)), ((2, 1), (1, 3)), ((0, 3), (3,)), ((), ())]


def _parts(np, x, y):
    z = np.exp(x * 0.5j)
    z.real = np.real(y) * np.imag(z)
    z.imag *= 2.0
    return z * z


def _call(name):
    return lambda np, *args: getattr(np, name)(*args)


SAMPLES = [
    sample(name, _call(name), shape, low=low, high=high, complex=name not in _REAL_ONLY)
    for name, (low, high) in _UNARY.items()
    for shape in _SHAPES
]
SAMPLES += [
    sample(name, _call(name), *shapes, low=low, high=high, complex=name in _COMPLEX_BINARY)
    for name, (low, high) in _BINARY.items()
    for shapes in _PAIRS
]
# Results that are constant but for jumps: no derivative, and values as the backend gives them.
SAMPLES += [
    sample(name, _call(name), (4,), label=name)
    for name in "isfinite isinf isnan signbit floor ceil trunc rint logical_not".split()
]
SAMPLES += [
    sample(name, _call(name), (2, 3), (3,), label=name)
    for name in (
        "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor floor_divide "
        "heaviside"
    ).split()
]
SAMPLES += [
    sample("sign", lambda np, x: np.sign(x) * x, (4,), low=0.3, label="sign"),
    sample("copysign", lambda np, x, y: np.copysign(x, y), (2, 3), (3,), low=0.3),
    sample("heaviside", lambda np, x, y: np.heaviside(x - x, y) ** 2, (2, 3), (3,), label="heaviside at 0"),
    sample("nextafter", lambda np, x: np.nextafter(x, x.dtype.type(4.0)), (3,), label="nextafter"),
    sample("ldexp", lambda np, x: np.ldexp(x, 3), (2, 3)),
    sample("where", lambda np, x, y: np.where(x > y, x, y), (2, 3), (3,)),
    sample("where", lambda np, x: np.where(x > 0, x * x, 0.5), (4,), label="where-number"),
    sample("power_of_number", lambda np, x: x**3 + x**-2 + x**1.5, (2, 3), low=0.5, complex=True),
    sample("power_of_number", lambda np, x: np.power(x, 5), (3,), label="power-int"),
    sample("square sqrt reciprocal", lambda np, x: x**2 + x**0.5 + x**-1, (3,), low=0.5, label="usual-powers"),
    sample("power", lambda np, x: 2.0**x, (3,), label="number-to-power"),
    sample("real imag", lambda np, x: np.real(x) * 2.0 + np.imag(x), (3,), complex=True),
    sample("with_parts", _parts, (2, 3), (3,), complex=True),
    sample("absolute", lambda np, x: np.abs(x), (3,), low=0.5, complex=True, label="size"),
    sample("conjugate real", lambda np, x: np.real(np.conj(x) * x), (3,), complex=True, label="size-squared"),
    sample("arctan2", lambda np, x: np.angle(x), (3,), low=0.5, complex=True, label="angle"),
    sample("maximum minimum", lambda np, x: np.clip(x, -0.5, 0.7), (5,), label="clip"),
    sample("where", lambda np, x: np.nan_to_num(x), (3,), label="nan_to_num"),
    sample("rint", lambda np, x: np.round(x, 1) + x, (3,), label="round"),
    sample("remainder floor_divide", lambda np, x: x % 0.7 + np.divmod(x, 0.7)[1], (3,), low=0.1, high=0.6),
    sample("rint", lambda np, x: np.around(x, 2) + x, (3,), label="around"),
    sample("trunc", lambda np, x: np.modf(x)[0], (3,), low=0.2, high=0.8, label="modf"),
    # Its derivative is not that of its value, which is the point; test_gradients.py has that.
    sample("stop_gradient", lambda np, x: gpuad.stop_gradient(x) * x, (3,), order=0),
    sample("sum_to", lambda np, x, y: x * y, (3, 1), (2, 1, 4), label="broadcast"),
    sample("multiply", lambda np, x: x * np.ones(3, "float64"), (3,), label="promotion"),
]  # fmt: skip

"""Every function of NumPy, called with traced arrays: its gradient is right, or it says that it has none.

``test_every_numpy_function.py`` does the same for values.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad.core.box import Box
from test_every_numpy_function import FUNCTIONS

RNG = np.random.default_rng(5)
#: Well apart from each other, from whole numbers and from what rounds both ways.
M1, M2 = (RNG.permutation(np.linspace(low, low + 0.8, 9)).reshape(3, 3) for low in (0.163, 0.172))
V1, V2 = np.array([0.357, 0.813, 0.528]), np.array([0.151, 0.442, 0.774])
DIRECTIONS = [RNG.normal(size=a.shape) for a in (M1, M2, V1, V2)]
CALLS = [
    ("m",), ("m", "m"), ("m", 1), (["m", "m"],), ("m", "m", "m"), ("m", (3, 3)), ("m", [0, 1]), ("v", "v"), ("m", 0, 1),
    ("m", "v"), ("v", "m"), ("m", -1), ("v",), (["v", "v"],), ("v", 2), ("v", "v", "v"), ([1.0, 2.0, 3.0], "v"),
    (2.5, "m"), ([True, False, True], "v"), ("ij,jk->ik", "m", "m"), ([0, 1, 1], "v"), (0.2, "v", 4), ("v", 0, 1.5),
    ("m", [0.3, 0.6], 1),
]  # fmt: skip
EXCEPT = {
    "histogramdd",  # counts jump where the outermost entries are the outermost edges
    "vecdot",  # with three arguments, NumPy reads again what it has written
    "modf",  # NumPy gives one result the shape of the array for the other
}


def arguments(call, arrays):
    if isinstance(call, str):
        return arrays[call].pop(0) if call in arrays else call
    return [arguments(c, arrays) for c in call] if isinstance(call, list) else call


def total(found, k=0):
    """A sum of all floating-point numbers in a result, each with its weight."""
    if isinstance(found, (list, tuple)):
        return sum(total(f, k + i) for i, f in enumerate(found))
    if not (type(found) is Box or isinstance(found, (np.ndarray, np.generic))) or found.dtype.kind not in "fc":
        return 0.0
    weighted = found * np.cos(np.arange(found.size) + k).reshape(found.shape)
    return np.sum(np.real(weighted)) + 0.6 * np.sum(np.imag(weighted)) if found.dtype.kind == "c" else np.sum(weighted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, _ in FUNCTIONS if name not in EXCEPT])
def test_the_gradient_is_right_or_it_says_no(name):
    function = dict(FUNCTIONS)[name]
    for call in CALLS:

        def run(m1, m2, v1, v2, call=call):
            arrays = {"m": [m1, m2, m1], "v": [v1, v2, v1]}
            return total(function(*[arguments(c, arrays) for c in call]))

        def moved(t, k, run=run):
            return run(
                *(a + t * d * (i == k) for i, (a, d) in enumerate(zip((M1, M2, V1, V2), DIRECTIONS, strict=True)))
            )

        try:
            want = moved(0.0, 0)
            slopes = [(moved(1e-6, k) - moved(-1e-6, k)) / 2e-6 for k in range(4)]
        except Exception:  # not a way to call this function
            continue
        try:
            value, gradients = gpuad.value_and_grad(run, (0, 1, 2, 3))(*(a.copy() for a in (M1, M2, V1, V2)))
        except (gpuad.errors.UnsupportedError, TypeError, ValueError, IndexError):
            continue
        if not np.all(np.isfinite(want)):
            continue
        np.testing.assert_allclose(value, want, rtol=1e-9, err_msg=f"numpy.{name}{call}")
        got = [np.sum(g * d) for g, d in zip(gradients, DIRECTIONS, strict=True)]
        np.testing.assert_allclose(got, slopes, rtol=1e-4, atol=1e-5, err_msg=f"numpy.{name}{call}")

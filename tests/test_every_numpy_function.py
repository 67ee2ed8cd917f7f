"""Every function of NumPy, called with traced arrays: it is right, or it says that it isn't supported.

None may answer with something else in silence: with an object array, or with other numbers.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad.core.box import innermost
from gpuad.errors import UnsupportedError

X = np.array([[2.0, 0.5, 1.0], [0.3, 0.7, 0.2], [1.5, 0.1, 0.9]])
MODULES = {"": np, "linalg.": np.linalg, "fft.": np.fft, "lib.stride_tricks.": np.lib.stride_tricks}
#: Not about the values of an array, or not made for calling here.
EXCEPT = frozenset(
    "save savez savetxt savez_compressed load fromfile test info show_config show_runtime memmap get_include "
    "setbufsize seterr seterrcall set_printoptions printoptions bmat asmatrix empty_like from_dlpack frombuffer "
    "fromstring min_scalar_type".split()
)
FUNCTIONS = [
    (prefix + name, getattr(module, name))
    for prefix, module in MODULES.items()
    for name in sorted(dir(module))
    if not name.startswith("_") and name not in EXCEPT and callable(getattr(module, name))
    if not isinstance(getattr(module, name), type)
]
#: "m" is a matrix, "v" a vector: new ones for every call, for a second one may be taken as out=.
CALLS = (("m",), ("m", "m"), ("m", 1), (["m", "m"],), ("m", "m", "m"), ("m", (3, 3)), ("m", [0, 1]), ("v", "v"))
CALLS += (("m", 0, 1),)


def filled(call, m, v):
    """The arguments of a call."""
    if isinstance(call, str):
        return m if call == "m" else v
    return [filled(c, m, v) for c in call] if isinstance(call, list) else call


def same(got, want):
    if isinstance(want, (tuple, list)) and isinstance(got, (tuple, list)):
        return len(got) == len(want) and all(same(g, w) for g, w in zip(got, want, strict=True))
    got = innermost(got)
    got, want = np.asarray(got), np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    return np.allclose(got, want, equal_nan=True) if want.dtype.kind in "fc" else bool(np.all(got == want))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_it_is_right_or_says_no(name, function):
    for call in CALLS:
        try:
            want = function(*[filled(c, X.copy(), X[0].copy()) for c in call])
        except Exception:  # not a way to call this function
            continue
        results = []

        def run(m, v, call=call, want=want, results=results):
            result = function(*[filled(c, m.copy(), v.copy()) for c in call])
            results.append((repr(result), same(result, want)))
            return 0.0

        try:
            gpuad.grad(run, (0, 1))(X.copy(), X[0].copy())
        except UnsupportedError:
            continue
        (shown, right), *_ = results
        assert right, f"numpy.{name} called with {call}: got {shown}, want {want!r}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_it_gives_a_view_where_numpy_does_and_else_a_copy(name, function):
    """Seen by writing into the arguments afterwards."""
    for call in CALLS:
        if call.count("m") > 2 and isinstance(getattr(function, "nout", 1), int) and getattr(function, "nout", 1) > 1:
            continue  # two results into one array

        def run(m, v, call=call):
            m, v = m * 1.0, v * 1.0
            result = function(*[filled(c, m, v) for c in call])
            m[1:, :] = 0.25
            v[1:] = 0.75
            return result

        try:
            want = run(X.copy(), X[0].copy())
        except Exception:  # not a way to call this function
            continue
        results = []

        def traced(m, v, run=run, results=results, want=want):
            result = run(m, v)
            results.append((repr(result), same(result, want)))
            return 0.0

        try:
            gpuad.grad(traced, (0, 1))(X.copy(), X[0].copy())
        except UnsupportedError:
            continue
        (shown, right), *_ = results
        assert right, f"numpy.{name} called with {call}: got {shown}, want {want!r}"

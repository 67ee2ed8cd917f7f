"""Every function of CuPy, called with traced arrays: values and gradients are right, or an error says what to do."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import gpuad
from conftest import refusal
from gpuad.core.box import Box
from gpuad.errors import UnsupportedError

X = np.array([[2.1, 0.52, 1.3], [0.31, 0.74, 0.23], [1.57, 0.12, 0.93]])
ALONG = np.sin(1.0 + np.arange(9.0)).reshape(3, 3)
OTHER = np.cos(X) + 0.3
STEP = 1e-6

MODULES = ("", "linalg", "fft", "random", "cupyx", "cupyx.scipy.special", "cupyx.scipy.linalg", "cupyx.scipy.ndimage")
#: Not about the values of an array, or random, or decorators.
EXCEPT = frozenset(
    "save savez savez_compressed savetxt load loadtxt genfromtxt fromfile show_config get_array_module memoize "
    "clear_memo is_available get_default_memory_pool get_default_pinned_memory_pool fuse printoptions obj2sctype "
    "shares_memory may_share_memory permutation allow_synchronize common_type min_scalar_type empty_like "
    "empty_like_pinned zeros_like_pinned byte_bounds profile time_range errstate seterr geterr array_repr array_str "
    "array2string format_float_positional format_float_scientific".split()
)
#: Orders of these are whole numbers, and here they would be others; or both value and derivative are at the end of
#: what the function is defined for.
NOT_SO_CALLED = [("betainc", ("m", 0, 1)), *((name, ("p", x)) for name in ("expn", "yn") for x in "mv")]
#: "m" is a matrix, "v" a vector, "p" a matrix that isn't traced.
CALLS = (("m",), ("m", "m"), ("m", 1), (["m", "m"],), ("m", "m", "m"), ("m", (3, 3)), ("m", [0, 1]), ("v", "v"))
CALLS += (("m", 0, 1), ("p", "m"), ("m", "p"), ("v", "m"), ("p", "v"), ("v", "p"))


def filled(call, arguments):
    """The arguments of a call."""
    if isinstance(call, list):
        return [filled(c, arguments) for c in call]
    return arguments[call] if isinstance(call, str) else call


def functions_of(cupy, module):
    found = importlib.import_module(f"cupy.{module}".rstrip(".") if not module.startswith("cupyx") else module)
    for name in sorted(dir(found)):
        function = getattr(found, name)
        if not name.startswith("_") and name not in EXCEPT and callable(function) and not isinstance(function, type):
            yield name, function


def host(x):
    x = x.value if type(x) is Box else x
    return x.get() if type(x).__module__.startswith("cupy") else x


def same(got, want):
    if isinstance(want, (tuple, list)):
        return isinstance(got, (tuple, list)) and len(got) == len(want) and all(map(same, got, want))
    if hasattr(want, "dtype") and getattr(got, "dtype", None) != want.dtype:
        return False
    got, want = np.asarray(host(got)), np.asarray(host(want))
    if want.dtype.kind not in "biufc":
        return bool(np.all(got == want))
    return got.shape == want.shape and np.allclose(got, want, equal_nan=True)


def total(cupy, result):
    """A number that every entry of the floating-point results bears on."""
    parts = result if isinstance(result, (tuple, list)) else [result]
    sum_ = 0.0
    for part in parts:
        if isinstance(part, (Box, cupy.ndarray)) and part.dtype.kind == "f":
            weights = np.cos(np.arange(float(part.size))).reshape(part.shape)
            sum_ = sum_ + (part * cupy.asarray(weights, part.dtype)).sum()
    return sum_


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", MODULES)
def test_it_is_right_or_says_no(emulated_cupy, module):
    cp = emulated_cupy
    results = [r for name, function in functions_of(cp, module) for r in outcomes(cp, name, function)]
    wrong = [r for r in results if r != "right"]
    assert not wrong, "\n".join(wrong)
    assert module or results.count("right") > 80


def outcomes(cp, name, function):
    """What comes of each way to call a function, but for those that it refuses."""
    for call in CALLS:
        if (name, call) in NOT_SO_CALLED:
            continue

        def at(matrix, vector, call=call):
            return function(*filled(list(call), {"m": matrix, "v": vector, "p": cp.asarray(OTHER)}))

        def moved(step, at=at):
            return at(cp.asarray(X + step * ALONG), cp.asarray(X[0] + step * ALONG[0]))

        try:
            want = moved(0.0)
        except Exception:  # not a way to call this function, or not emulated
            continue
        seen = []

        def f(matrix, vector, at=at, seen=seen):
            seen.append(at(matrix, vector))
            return total(cp, seen[0])

        try:
            gradients = gpuad.grad(f, (0, 1))(cp.asarray(X), cp.asarray(X[0]))
        except UnsupportedError:
            continue
        except NotImplementedError as error:
            assert "isn't available on the cupy backend" in str(error)  # its derivative takes what CuPy lacks
            continue
        except AttributeError as error:
            if "of which no derivative could be known" not in str(error):
                yield f"{name}{call}: {error}"
            continue
        except Exception as error:
            if refusal(error) is None and "cannot be interpreted as an integer" not in str(error):
                yield f"{name}{call}: {type(error).__name__}: {error}"
            continue
        got = sum(float((g.get() * d).sum()) for g, d in zip(gradients, (ALONG, ALONG[0]), strict=True))
        slope = float(total(cp, moved(STEP)) - total(cp, moved(-STEP))) / (2 * STEP)
        if not same(seen[0], want):
            yield f"{name}{call}: got {seen[0]!r}, want {want!r}"
        elif not (abs(got - slope) <= 1e-5 * max(1.0, abs(slope)) or np.isnan(slope)):
            yield f"{name}{call}: the derivative is {got}, by differences {slope}"
        else:
            yield "right"


@pytest.mark.parametrize(
    "name",
    "matmul concatenate einsum asarray array stack cumsum median inner vdot tensordot split where mean".split(),
)
def test_the_error_names_the_function_and_what_to_do(emulated_cupy, name):
    cp = emulated_cupy
    calls = {
        "matmul": lambda x: cp.matmul(x, x),
        "concatenate": lambda x: cp.concatenate([x, x]),
        "einsum": lambda x: cp.einsum("ij->i", x),
        "stack": lambda x: cp.stack([x, x]),
        "tensordot": lambda x: cp.tensordot(x, x),
        "split": lambda x: cp.split(x, 3)[0],
        "where": lambda x: cp.where(x)[0] * x[0],
        "mean": lambda x: cp.nanmean(x),
    }
    call = calls.get(name, lambda x: getattr(cp, name)(*[x] * (2 if name in ("inner", "vdot") else 1)))
    with pytest.raises(
        UnsupportedError, match=rf"cupy\.\w*{name} can't take .* gpuad\.numpy\.\w*{name}, or gpuad\.lift"
    ):
        gpuad.grad(lambda x: total(cp, call(x)))(cp.asarray(X))

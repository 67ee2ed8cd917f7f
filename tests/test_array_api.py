"""gpuad.numpy as the namespace of the Python array API standard, of plain arrays and of traced ones."""

from __future__ import annotations

import ast
import contextlib
import inspect

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from array_api_standard import ATTRIBUTES, CONSTANTS, DTYPES, EDITION, METHODS, SIGNATURES
from conftest import refusal
from gpuad.core.box import Box
from gpuad.errors import UnsupportedError

X = np.array([[0.61, 0.25, 0.83], [0.34, 0.72, 0.17], [0.55, 0.43, 0.91]])
Y = np.array([[0.3, 0.7, 0.4], [0.9, 0.2, 0.6], [0.1, 0.8, 0.5]])
POSITIVE = X @ X.T + np.eye(3)
INTEGERS = np.array([[5, 2, 9], [1, 7, 3]])
V, W = X[0], Y[0]

#: The arguments of a call, where they aren't just a matrix for every array. The first array is traced, if it can be.
ARGUMENTS = {
    "asarray": (X,), "arange": (1.0, 5.0, 0.5), "empty": ((2, 3),), "eye": (3, 2), "from_dlpack": (X,),
    "full": ((2, 3), 1.5), "full_like": (X, 1.5), "linspace": (0.0, 1.0, 5), "meshgrid": (V, W), "ones": ((2, 3),),
    "zeros": ((2, 3),), "astype": (X, np.float32), "broadcast_arrays": (X, V), "broadcast_shapes": ((3, 1), (1, 4)),
    "broadcast_to": (V, (2, 3)), "can_cast": (np.int32, np.float64), "finfo": (np.float32,), "iinfo": (np.int8,),
    "isdtype": (np.dtype("float32"), "real floating"), "result_type": (X, np.float32, 1.0),
    "take": (V, np.array([0, 2])), "take_along_axis": (X, np.array([[0], [1], [2]])), "concat": ((X, Y),),
    "stack": ((X, Y),), "expand_dims": (X, 0), "moveaxis": (X[None], 0, 2), "permute_dims": (X[None], (1, -1, 0)),
    "repeat": (X, 2), "reshape": (X, (9,)), "roll": (X, 1), "squeeze": (X[None], 0), "tile": (X, (2, 1)),
    "searchsorted": (np.sort(V), 0.4), "where": (X > 0.5, X, Y), "cumulative_sum": (V,), "cumulative_prod": (V,),
    "acosh": (X + 1.5,), "clip": (X, 0.3, 0.8), "vecdot": (X, Y), "diff": (X,), "linalg.cholesky": (POSITIVE,),
    "linalg.eigh": (POSITIVE,), "linalg.eigvalsh": (POSITIVE,), "linalg.matrix_power": (X, 2),
    "linalg.outer": (V, W), "linalg.solve": (X, W), "fft.fftfreq": (5,), "fft.rfftfreq": (5,),
    "fft.irfft": (X.astype(complex),), "fft.hfft": (X.astype(complex),), "fft.irfftn": (X.astype(complex),),
}  # fmt: skip
BITS = [f"bitwise_{name}" for name in ("and", "or", "xor", "left_shift", "right_shift")]
ARGUMENTS |= {"bitwise_invert": (INTEGERS,)} | dict.fromkeys(BITS, (INTEGERS, INTEGERS))
#: Of these the traced array is another one than the first.
TRACED = {"where": 1}
#: Refused for traced arrays, for they have no derivative here (or none at all), and nothing that stands for it.
NOT_TRACED = {"empty", "from_dlpack"}


def parsed(signature):
    """The name of a function, how many positional arguments it has, and its keywords with their defaults."""
    name, _, arguments = signature.partition("(")
    found = ast.parse(f"def f({arguments}: pass").body[0].args
    positional = len(found.posonlyargs + found.args)
    keywords = {a.arg: ast.literal_eval(d) for a, d in zip(found.kwonlyargs, found.kw_defaults, strict=True)}
    return name, positional, keywords


def function(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def arguments_of(name, count):
    return list(ARGUMENTS.get(name, (X, Y)[:count]))


def same(got, want):
    if isinstance(want, (tuple, list)):
        assert isinstance(got, (tuple, list))
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w)
        return
    got = got.value if type(got) is Box else got
    if isinstance(want, (np.ndarray, np.generic)):
        assert np.asarray(got).dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    elif not isinstance(want, (np.finfo, np.iinfo)):
        assert got == want


@contextlib.contextmanager
def older_numpys_skipped(name):
    """What the oldest NumPy that we run on lacks, it lacks here too."""
    try:
        yield
    except (AttributeError, TypeError):
        if np.lib.NumpyVersion(np.__version__) < "2.3.0":
            pytest.skip(f"{name}: NumPy {np.__version__} is older than the standard's edition")
        raise


@pytest.mark.parametrize("signature", SIGNATURES)
def test_functions_have_the_standards_signatures(signature):
    name, count, keywords = parsed(signature)
    args = arguments_of(name, count)
    ours = function(gnp, name)
    with older_numpys_skipped(name):
        want = ours(*args)
        if name not in ("empty", "empty_like"):
            same(ours(*args, **keywords), want)
    place = TRACED.get(name, 0)
    if name in NOT_TRACED or not isinstance(args[place], np.ndarray) or args[place].dtype.kind not in "fc":
        return
    results = []

    def f(x):
        there = list(args)
        there[place] = x
        results.append(ours(*there))
        results.append(ours(*there, **keywords))
        return 0.0

    gpuad.grad(f)(args[place])
    if name != "empty_like":
        for result in results:
            same(result, want)


def test_the_arguments_are_of_functions_of_the_standard():
    names = {parsed(s)[0] for s in SIGNATURES}
    assert set(ARGUMENTS) <= names
    assert len(names) == len(SIGNATURES) == 174


@pytest.mark.parametrize("name", [*CONSTANTS, *DTYPES, "__array_api_version__"])
def test_constants_and_dtypes(name):
    assert hasattr(gnp, name)


def test_the_edition():
    assert gnp.__array_api_version__ == EDITION
    for edition in ("2021.12", "2024.12", EDITION, None):
        assert traced(lambda x, e=edition: x.__array_namespace__(api_version=e)) is gnp
    with pytest.raises(ValueError, match=r"'2019\.12'"):
        traced(lambda x: x.__array_namespace__(api_version="2019.12"))


def traced(f, x=X):
    """What ``f`` makes of a traced array."""
    return gpuad.vjp(lambda x: (gnp.sum(x), f(x)), x, has_aux=True)[2]


@pytest.mark.parametrize("name", [*METHODS, *ATTRIBUTES])
def test_traced_arrays_have_the_standards_methods(name):
    assert hasattr(Box, name)


def test_attributes():
    assert traced(lambda x: (x.shape, x.ndim, x.size, x.dtype, x.device)) == ((3, 3), 2, 9, np.dtype(float), "cpu")
    same(traced(lambda x: x.mT), X.T)
    same(traced(lambda x: x.to_device("cpu")), X)


def test_a_traced_array_stays_where_it_is():
    with pytest.raises(UnsupportedError, match="can't be moved"):
        traced(lambda x: x.to_device("cuda:0"))
    with pytest.raises(UnsupportedError, match="DLPack"):
        traced(np.from_dlpack)
    with pytest.raises(UnsupportedError, match="DLPack"):
        traced(lambda x: x.__dlpack_device__())
    with pytest.raises(UnsupportedError, match="from_dlpack"):
        traced(gnp.from_dlpack)
    np.testing.assert_array_equal(gnp.from_dlpack(X), X)


def test_inspection():
    with older_numpys_skipped("__array_namespace_info__"):
        info = gnp.__array_namespace_info__()
    assert info.default_device() == "cpu"
    assert "cpu" in info.devices()
    assert info.default_dtypes()["real floating"] == np.float64
    assert info.capabilities()["data-dependent shapes"]
    assert set(DTYPES) == set(info.dtypes())


def test_descending_sorts_are_stable_and_differentiable():
    a = np.array([[2.0, 1.0, 2.0, 3.0], [1.0, 1.0, 0.0, 5.0]])
    np.testing.assert_array_equal(gnp.argsort(a, descending=True), [[3, 0, 2, 1], [3, 0, 1, 2]])
    np.testing.assert_array_equal(gnp.sort(a, axis=0, descending=True), [[2.0, 1, 2, 5], [1, 1, 0, 3]])
    np.testing.assert_array_equal(gnp.sort(a, axis=None, descending=True), np.sort(a, axis=None)[::-1])
    weights = np.array([1.0, 2.0, 3.0])
    gradient = gpuad.grad(lambda x: gnp.sum(gnp.sort(x, descending=True) * weights))(V)
    np.testing.assert_array_equal(gradient, weights[np.argsort(np.argsort(-V))])
    np.testing.assert_array_equal(traced(lambda x: gnp.argsort(x, descending=True), V), np.argsort(-V))


def test_unique_values_are_differentiable_by_their_first_occurrences():
    x = np.array([2.0, 1.0, 2.0, 3.0])
    gradient = gpuad.grad(lambda x: gnp.sum(gnp.unique_values(x) * np.array([1.0, 10.0, 100.0])))(x)
    np.testing.assert_array_equal(gradient, [10.0, 1.0, 0.0, 100.0])
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        with older_numpys_skipped(name):
            got, want = traced(getattr(gnp, name), x), getattr(np, name)(x)
        assert got._fields == want._fields
        same(got, want)


def test_dtypes_of_frequencies():
    for name in ("fftfreq", "rfftfreq"):
        ours = getattr(gnp.fft, name)
        assert ours(4, dtype=gnp.float32, device="cpu").dtype == np.float32
        np.testing.assert_array_equal(ours(4, d=0.5), getattr(np.fft, name)(4, 0.5))


# -- programs that know no library but the one of their argument ------------------------------------------
def standardized(x):
    xp = x.__array_namespace__()
    centred = x - xp.mean(x, axis=0, keepdims=True)
    return xp.sum(xp.concat([centred / xp.std(x, axis=0, correction=1, keepdims=True), xp.square(centred)]) ** 3)


def log_likelihood(x):
    xp = x.__array_namespace__()
    z = x - xp.max(x, axis=-1, keepdims=True)
    logits = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
    labels = xp.asarray([0, 2, 1], device=x.device)
    return -xp.mean(xp.take_along_axis(logits, labels[:, None], axis=1))


def geometry(x):
    xp = x.__array_namespace__()
    gram = xp.matmul(x, xp.matrix_transpose(x)) + xp.eye(x.shape[0], dtype=x.dtype, device=x.device)
    sign, logdet = xp.linalg.slogdet(gram)
    length = xp.linalg.vector_norm(x, axis=1)
    return logdet * sign + xp.sum(xp.linalg.solve(gram, length[:, xp.newaxis])) + xp.linalg.trace(xp.linalg.inv(gram))


def rearranged(x):
    xp = x.__array_namespace__()
    rows = xp.unstack(xp.permute_dims(xp.flip(x, axis=0), (1, 0)))
    tiled = xp.tile(xp.expand_dims(xp.roll(rows[0], 1), axis=(0, 1)), (1, 2, 1))
    running = xp.cumulative_sum(xp.reshape(x, (-1,)), include_initial=True)
    return xp.sum(tiled * xp.stack(rows)[0]) * xp.sum(xp.sort(running, descending=True)[:4] ** 2)


def masked(x):
    xp = x.__array_namespace__()
    y = xp.where(x > 0.5, xp.atan2(x, xp.asarray(2.0)), xp.zeros_like(x))
    floats = xp.isdtype(x.dtype, "real floating") and xp.finfo(x.dtype).eps < 1.0
    return xp.sum(y * xp.clip(x, 0.2, 0.8)) * (2.0 if floats else 0.0) + xp.vecdot(x[0, :], x[1, :])


@pytest.mark.parametrize("program", [standardized, log_likelihood, geometry, rearranged, masked])
def test_programs_that_know_no_library(program):
    gpuad.test_util.check_grads(program_on_plain_arrays(program), [X], order=1, rtol=1e-5)


def program_on_plain_arrays(program):
    """A program that asks its argument for the namespace, and gets gpuad's whatever that is: NumPy may be too old."""

    class Plain(np.ndarray):
        def __array_namespace__(self, *, api_version=None):
            return gnp

    return lambda x: program(x if type(x) is Box else np.asarray(x).view(Plain))


def test_the_namespace_explains_itself():
    assert inspect.signature(Box.__array_namespace__).parameters["api_version"].default is None


def test_the_signatures_hold_on_every_backend(backend):
    """With arrays of the backend and all keywords; what the emulated device refuses to do is left out."""

    def there(a):
        if isinstance(a, tuple):
            return tuple(map(there, a))
        return backend.asarray(a) if isinstance(a, np.ndarray) else a

    wrong = []
    for signature in SIGNATURES:
        name, count, keywords = parsed(signature)
        args = arguments_of(name, count)
        if name in ("empty", "empty_like", "from_dlpack"):
            continue
        try:
            want = function(gnp, name)(*args)
            got = function(gnp, name)(*map(there, args), **keywords)
        except Exception as error:
            if refusal(error) is None:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if isinstance(want, np.ndarray) and not np.allclose(backend.to_numpy(got), want):
            wrong.append(f"{name}: got {got}, want {want}")
    if np.lib.NumpyVersion(np.__version__) >= "2.3.0":
        assert not wrong, "\n".join(wrong)

"""The choice of a backend, moving between them, and what happens where they meet."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
import strict_backend
from gpuad import backend as backends
from gpuad.errors import BackendError, MixedBackendError, UnsupportedError
from strict_backend import DeviceArray, StrictBackend

X = np.array([0.3, -1.2, 2.0])


@pytest.fixture
def strict():
    """The stand-in, registered, with its counts at zero."""
    if "strict" not in backends.names():
        backends.register(StrictBackend())
    strict_backend.counts.clear()
    return backends.get("strict")


def test_names_and_unknown_names(strict):
    assert {"numpy", "cupy", "strict"} <= set(backends.names())
    with pytest.raises(BackendError, match=r"unknown backend 'torch'.*'auto'.*'numpy'"):
        gpuad.use("torch")


def test_numpy_is_always_there():
    backend, why = backends.choose("numpy")
    assert backend.name == "numpy"
    assert backend.unavailable() is None
    assert why
    assert backends.choose("auto")[1]


def test_cupy_where_there_is_none_says_what_to_do():
    """In a fresh process without CuPy: the path of most people's CI."""
    code = """
import sys
sys.modules["cupy"] = None  # as if it weren't installed
import gpuad
assert gpuad.backend.choose("auto")[0].name == "numpy"
try:
    gpuad.use("cupy")
except gpuad.errors.BackendError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'cupy' can't be used" in run.stdout
    assert "pip install" in run.stdout
    assert "gpuad.use('numpy')" in run.stdout


@pytest.mark.parametrize(("value", "ok"), [("numpy", True), ("", True), ("torch", False)])
def test_environment_variable(value, ok):
    code = "import gpuad; print(type(gpuad.numpy.zeros(2)).__name__)"
    env = {**os.environ, "GPUAD_BACKEND": value}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (run.returncode == 0) is ok
    assert ("ndarray" in run.stdout) if ok else ("GPUAD_BACKEND=torch: unknown backend" in run.stderr)


def test_use_as_a_context_manager_is_of_this_thread(strict):
    with gpuad.use("numpy"):
        with gpuad.use("strict") as inside:
            assert inside is strict
            assert type(gnp.zeros(3)) is DeviceArray
            with ThreadPoolExecutor(1) as pool:
                elsewhere = pool.submit(lambda: type(gnp.zeros(3))).result()
            assert elsewhere is not DeviceArray
        assert type(gnp.zeros(3)) is np.ndarray


def test_use_as_a_call_holds_from_there_on(strict, monkeypatch):
    monkeypatch.setattr(backends, "_default", backends._default)  # put back afterwards
    token = backends._override.set(None)
    try:
        gpuad.use("strict")
        assert backends.current() is strict
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(backends.current).result() is strict
        with gpuad.use("numpy"):
            assert backends.current().name == "numpy"
        assert backends.current() is strict
    finally:
        backends._override.reset(token)


def test_the_arrays_that_go_in_decide(strict):
    x = strict.asarray(X)
    with gpuad.use("numpy"):
        value, g = gpuad.value_and_grad(lambda x: gnp.sum(gnp.tanh(x) * x))(x)
    assert type(value) is DeviceArray
    assert type(g) is DeviceArray
    want = gpuad.grad(lambda x: np.sum(np.tanh(x) * x))(X)
    np.testing.assert_allclose(strict.to_numpy(g), want, rtol=1e-14)


def test_moving(strict):
    tree = {"a": X, "b": (2.0, None), "c": strict.asarray(X)}
    there = gpuad.to_backend(tree, "strict")
    assert type(there["a"]) is DeviceArray
    assert there["b"] == (2.0, None)
    assert there["c"] is tree["c"]
    back = gpuad.to_numpy(there)
    np.testing.assert_array_equal(back["a"], X)
    assert gpuad.to_numpy(X) is X
    with pytest.raises(UnsupportedError, match="traced array can't be moved"):
        gpuad.grad(lambda x: gpuad.to_backend(x, "strict"))(1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: gnp.multiply(x, y),
        lambda x, y: x * y,
        lambda x, y: gnp.multiply(y, x),
        lambda x, y: gnp.where(gpuad.stop_gradient(x) > 0, x, y),
        lambda x, y: gnp.add(x, x) + y,
    ],
)
def test_arrays_of_two_backends_in_one_operation(f, strict):
    x, y = strict.asarray(X), X
    with pytest.raises(MixedBackendError, match=r"argument \d is on the (strict|numpy) backend .*gpuad\.to_backend"):
        gpuad.grad(lambda x: gnp.sum(f(x, y)))(x)


def test_a_cotangent_of_another_backend_is_refused(strict):
    _, pullback = gpuad.vjp(lambda x: {"a": x[::2]}, strict.asarray(X))
    with pytest.raises(MixedBackendError, match=r"cotangent\['a'\] \(1\): argument 0 is on the strict backend"):
        pullback({"a": np.ones(2)})


def test_numbers_and_numpy_scalars_go_anywhere(strict):
    x = strict.asarray(X)
    g = gpuad.grad(lambda x: gnp.sum(x * 2.0 + np.float64(3.0) * x - x * np.float32(1.0)))(x)
    np.testing.assert_allclose(strict.to_numpy(g), [4, 4, 4])


def test_a_backward_pass_waits_for_nothing_and_copies_nothing(strict):
    """What a device would pay for: synchronisations and copies, in a program of every kind of operation."""
    rng = np.random.default_rng(0)
    w, b, x = (strict.asarray(rng.normal(size=s)) for s in [(4, 3), (3,), (5, 4)])
    labels = strict.asarray(np.array([0, 2, 1, 1, 0]))
    rows = strict.asarray(np.arange(5))

    def loss(params, x):
        w, b = params
        z = x @ w + b
        z = gnp.concatenate([z[:, :1], gnp.maximum(z[:, 1:], 0.1 * z[:, 1:])], axis=1)
        m = gnp.max(z, axis=1, keepdims=True)
        logp = z - m - gnp.log(gnp.sum(gnp.exp(z - m), axis=1, keepdims=True))
        return -gnp.mean(logp[rows, labels]) + 0.1 * gnp.sum(w**2) + gnp.mean(gnp.where(z > 0, z, gnp.tanh(z)))

    strict_backend.counts.clear()
    gpuad.value_and_grad(loss)((w, b), x)
    assert strict_backend.counts["launch"] > 0
    assert strict_backend.counts["sync"] == 0
    assert strict_backend.counts["to_host"] == 0
    assert strict_backend.counts["to_device"] == 0


def test_registering_something_else_is_refused():
    with pytest.raises(TypeError, match="instance of gpuad"):
        backends.register(StrictBackend)
    with pytest.raises(ValueError, match="auto"):
        backends.register(type("B", (StrictBackend,), {"name": "auto"})())

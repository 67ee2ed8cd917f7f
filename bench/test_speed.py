"""The programs under pytest-benchmark, which compares gpuad with itself (--benchmark-autosave, --benchmark-compare)."""

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from bench import programs


@pytest.mark.parametrize("namespace", [gnp, np], ids=["gpuad.numpy", "numpy"])
def test_chain(benchmark, namespace):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=10), rng.normal(size=10)
    benchmark(gpuad.value_and_grad(lambda x, y: programs.chain(namespace, x, y), (0, 1)), x, y)


def test_network(benchmark):
    weights = programs.mlp_weights([784, 512, 512, 10])
    rng = np.random.default_rng(1)
    x = rng.normal(size=(256, 784)).astype("float32")
    onehot = np.eye(10, dtype="float32")[rng.integers(0, 10, 256)]
    benchmark(gpuad.value_and_grad(lambda w: programs.mlp_loss(gnp, w, x, onehot)), weights)


@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_gelu(benchmark, n):
    x = np.random.default_rng(2).normal(size=n)
    benchmark(gpuad.value_and_grad(lambda x: programs.gelu(gnp, x)), x)


def test_entries(benchmark):
    x = np.arange(1000.0)
    benchmark(gpuad.value_and_grad(lambda x: programs.add_entries(x, 1000)), x)

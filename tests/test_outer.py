"""Products without a sum: a compiled kernel, once there has been much to do, to the last bit as NumPy has them."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import grad, vmap
from gpuad.fused import compiler, outer

LENGTHS = {"n": 5, "i": 3, "j": 7, "k": 2}


@pytest.fixture
def at_once(monkeypatch):
    """Every such product is worth a kernel, if there is a compiler."""
    if compiler.unavailable() is not None:
        pytest.skip(compiler.unavailable())
    monkeypatch.delenv("GPUAD_CPU_EXECUTOR", raising=False)
    monkeypatch.setattr(outer, "LARGE", 0)
    monkeypatch.setattr(outer, "WORTH_COMPILING", 1)
    outer._product.cache_clear()
    yield
    outer._product.cache_clear()


def factors(subscripts, dtype):
    rng = np.random.default_rng(0)
    terms = subscripts.split("->")[0].split(",")
    return [rng.normal(size=[LENGTHS[i] for i in term]).astype(dtype) for term in terms]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("subscripts", ["ni,nj->nij", "nj,ni->nij", "i,j->ij", "ij,k->ijk", "ni,n->ni", "nik,nj->nijk"])
def test_as_numpy_has_it(at_once, subscripts, dtype):
    x, y = factors(subscripts, dtype)
    found, wanted = outer.outer(x, y, subscripts), np.einsum(subscripts, x, y)
    np.testing.assert_array_equal(found, wanted)
    assert (found.dtype, found.strides) == (wanted.dtype, wanted.strides)


def test_what_is_left_to_numpy(at_once):
    x, y = factors("ni,nj->nij", "f8")
    assert outer.outer(x, y, "ni,nj->nij") is not None
    assert outer.outer(x, x, "ni,ni->n") is None  # a sum
    assert outer.outer(x, y, "ni,nj->jni") is None
    assert outer.outer(x.astype("f4"), y, "ni,nj->nij") is None
    assert outer.outer(np.asfortranarray(x), y, "ni,nj->nij") is None  # whose result NumPy lays out otherwise
    assert outer.outer(x.astype(complex), y.astype(complex), "ni,nj->nij") is None
    with gpuad.fusion(False):
        assert outer.outer(x, y, "ni,nj->nij") is None


@pytest.mark.parametrize("row", [0, 1, 10, outer.SHORT, outer.SHORT + 1])
def test_rows_of_a_known_length(at_once, row):
    rng = np.random.default_rng(2)
    for examples in (3, 5000):  # in chunks, and with another number of rows by the same kernel
        x, y = rng.normal(size=(examples, 40)), rng.normal(size=(examples, row))
        found = outer.outer(x, y, "ni,nj->nij")
        np.testing.assert_array_equal(found, x[:, :, None] * y[:, None, :])


def test_gradients_of_every_example(at_once):
    rng = np.random.default_rng(1)
    w, v, x = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(6, 4))

    def loss(w, v, x):
        return np.sum(np.tanh(x @ w + v) ** 2)

    found = vmap(grad(loss, (0, 1)), (None, None, 0))(w, v, x)
    for k, example in enumerate(x):
        h = np.tanh(example @ w + v)
        slope = 2.0 * h * (1.0 - h * h)
        np.testing.assert_allclose(found[0][k], np.outer(example, slope), rtol=1e-13)
        np.testing.assert_allclose(found[1][k], slope, rtol=1e-13)


def test_until_there_is_much_to_do_numpy_does_it(monkeypatch):
    outer._product.cache_clear()
    monkeypatch.setattr(outer, "LARGE", 0)
    x, y = factors("ni,nj->nij", "f8")
    assert outer.outer(x, y, "ni,nj->nij") is None
    outer._product.cache_clear()

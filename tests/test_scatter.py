"""Gradients of ``x[index]`` with arrays of integers: a compiled kernel, once there has been much to do, to the last
bit as NumPy has them."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
from gpuad import grad
from gpuad.fused import compiler, scatter

RNG = np.random.default_rng(0)


@pytest.fixture
def at_once(monkeypatch):
    """Every such sum is worth a kernel, if there is a compiler."""
    if compiler.unavailable() is not None:
        pytest.skip(compiler.unavailable())
    monkeypatch.delenv("GPUAD_CPU_EXECUTOR", raising=False)
    monkeypatch.setattr(scatter, "LARGE", 0)
    monkeypatch.setattr(scatter, "WORTH_COMPILING", 1)
    scatter._adder.cache_clear()
    yield
    scatter._adder.cache_clear()


def ints(n, *shape, dtype=np.int64):
    return RNG.integers(0 if np.dtype(dtype).kind == "u" else -n, n, shape).astype(dtype)


BY_C = [
    ((50,), lambda: (ints(50, 300),)),
    ((50,), lambda: (ints(50, 20, 30, dtype=np.int32),)),
    ((20, 3), lambda: (ints(20, 100),)),
    ((20, 4, 5), lambda: (ints(20, 7, 9), ...)),
    ((20, 30), lambda: (ints(20, 300), ints(30, 300, dtype=np.uint8))),
    ((20, 30), lambda: (np.arange(20)[:, None], ints(30, 20, 6))),
    ((6, 7, 8), lambda: (slice(None), ints(7, 40))),
    ((6, 7, 8, 2), lambda: (slice(None), ints(7, 40), ints(8, 40), slice(None))),
]
BY_NUMPY = [
    ((6, 7, 8), lambda: (slice(1, None), ints(7, 40))),
    ((6, 7, 8), lambda: (ints(6, 40), slice(None), ints(8, 40))),
    ((6, 7), lambda: (ints(6, 40), 2)),
    ((6, 7), lambda: (ints(6, 40), None)),
    ((6, 7), lambda: (RNG.random(6) > 0.5,)),
    ((6, 7), lambda: (ints(6, 0),)),
]


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "f2"])
@pytest.mark.parametrize(
    ("shape", "index", "by_c"), [(*case, True) for case in BY_C] + [(*case, False) for case in BY_NUMPY]
)
def test_as_numpy_has_it(at_once, shape, index, by_c, dtype):
    index = index()
    out = RNG.normal(size=shape).astype(dtype)
    terms = RNG.normal(size=out[index].shape).astype(dtype)
    wanted = out.copy()
    if by_c and dtype != "f2":
        np.add.at(wanted, index, terms)
    assert scatter.add_at(out, index, terms) == (by_c and dtype != "f2")
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(("shape", "index"), BY_C)
def test_gradients(at_once, shape, index):
    index, x = index(), RNG.normal(size=shape)
    w = RNG.normal(size=x[index].shape)
    with gpuad.fusion(False):
        want = grad(lambda x: np.sum(np.sin(x[index]) * w))(x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.sin(x[index]) * w))(x), want)


def test_numbers_out_of_bounds_change_nothing(at_once):
    out = np.zeros((4, 3))
    for k in (4, -5):
        assert not scatter.add_at(out, (np.array([0, k]),), np.ones((2, 3)))
    assert not out.any()
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        grad(lambda x: np.sum(x[np.array([0, 4])]))(out)


def test_numpy_does_it_at_first():
    scatter._adder.cache_clear()
    assert not scatter.add_at(np.zeros(10), (ints(10, 1 << 15),), np.ones(1 << 15))


def test_without_a_compiler(at_once, monkeypatch):
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")
    assert not scatter.add_at(np.zeros(10), (ints(10, 40),), np.ones(40))


def test_rows_lie_as_numpys():
    for x in (RNG.normal(size=(5, 4)), np.asfortranarray(RNG.normal(size=(5, 4))), RNG.normal(size=(5, 8))[:, ::2]):
        value, _ = gpuad.vjp(lambda x: x[np.array([[1, -1], [0, 0]])], x)
        assert value.strides == x[np.array([[1, -1], [0, 0]])].strides

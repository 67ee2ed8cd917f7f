"""`numpy.pad` in all its modes: values as NumPy's, gradients as central differences."""

from __future__ import annotations

import numpy as np
import pytest

from gpuad import grad, vjp
from gpuad.errors import UnsupportedError
from gpuad.test_util import check_grads

A = np.random.default_rng(0).normal(size=(3, 4))
WIDTHS = [2, (1, 3), ((0, 2), (3, 1)), ((7, 9), (12, 0)), 0]


def checked(f, *args):
    value = vjp(f, *args)[0]
    np.testing.assert_allclose(value, f(*args), rtol=1e-13, atol=1e-13)
    check_grads(f, args, order=1)


@pytest.mark.parametrize("mode", "constant edge wrap reflect symmetric linear_ramp maximum minimum mean median".split())
def test_modes(mode):
    for width in WIDTHS:
        checked(lambda a, w=width: np.pad(a, w, mode), A)
    assert grad(lambda a: np.sum(np.pad(a, 1, mode)))(A.astype("float32")).dtype == "float32"


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_odd_reflections(mode):
    for width in WIDTHS:
        checked(lambda a, w=width: np.pad(a, w, mode, reflect_type="odd"), A)
    checked(lambda a: np.pad(a, ((0, 0), (2, 1)), mode, reflect_type="odd"), A[:, :1])


def test_options():
    checked(lambda a: np.pad(a, 2, "mean", stat_length=((1, 2), (3, 9))), A)
    checked(lambda a: np.pad(a, {-1: (2, 3)}, "maximum", stat_length=2), A)
    ends = A[:2, :2]
    checked(lambda a, e: np.pad(a, (2, 3), "linear_ramp", end_values=e), A, ends)
    checked(lambda a, e: np.pad(a, (2, 3), constant_values=e), A, ends)
    checked(lambda a, e: np.pad(a, 2, constant_values=e), A, np.array(1.5))


def test_empty_padding_leaves_the_array():
    value, pullback = vjp(lambda a: np.pad(a, 1, "empty"), A)
    np.testing.assert_array_equal(value[1:-1, 1:-1], A)
    np.testing.assert_array_equal(pullback(np.ones_like(value))[0], np.ones_like(A))


def test_errors():
    for options, error in [
        ({"mode": "middle"}, ValueError),
        ({"mode": "edge", "constant_values": 1}, ValueError),
        ({"mode": "maximum", "stat_length": 0}, ValueError),
        ({"mode": lambda *args: None}, UnsupportedError),
    ]:
        with pytest.raises(error, match=r"mode|stat_length"):
            grad(lambda a, o=options: np.sum(np.pad(a, 1, **o)))(A)


def test_on_a_device(backend):
    a = backend.asarray(A)
    for mode, options in [
        ("linear_ramp", {"end_values": 1.5}), ("mean", {}), ("reflect", {"reflect_type": "odd"}), ("median", {}),
    ]:  # fmt: skip
        value, pullback = vjp(lambda a, m=mode, o=options: np.pad(a, 2, m, **o), a)
        np.testing.assert_allclose(backend.to_numpy(value), np.pad(A, 2, mode, **options))
        assert backend.owns(type(pullback(value)[0]))

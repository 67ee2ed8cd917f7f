"""Numbers keep their precision: float16, float32 and complex64 through values, gradients and what lies between.

``test_ops.py`` compares the dtypes of values with NumPy's own, and those of gradients with the arguments'.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad.core.box import spec_of
from gpuad.ops import declare
from test_ops import SAMPLES, flat, inputs

NUMPY = gpuad.backend.get("numpy")
COMPLEX = pytest.mark.parametrize("s", [s for s in SAMPLES if s.complex], ids=lambda s: s.label)


def ones(values):
    return [gpuad.transforms.gradients.ones_like(v) for v in values]


@COMPLEX
def test_complex64(s):
    wide, narrow = inputs(s, NUMPY, "complex128"), inputs(s, NUMPY, "complex64")
    value, pullback = gpuad.vjp(lambda *a: flat(s.f(gnp, *a)), *narrow)
    reference = flat(s.f(np, *narrow))
    exact = gpuad.vjp(lambda *a: flat(s.f(gnp, *a)), *wide)[1](ones(flat(s.f(gnp, *wide))))
    for got, want in zip(value, reference, strict=True):
        assert got.dtype == np.asarray(want).dtype
    for g, a, e in zip(pullback(ones(value)), narrow, exact, strict=True):
        assert g.dtype == a.dtype
        np.testing.assert_allclose(
            g, e.astype("complex64"), rtol=2e-3, atol=2e-4 * max(1.0, np.max(np.abs(e), initial=0))
        )


#: Rules whose terms cancel, so that they calculate in float64 whatever they are given.
CANCELLING = ("riemann_zeta", "student")


@pytest.mark.parametrize(
    "s", [s for s in SAMPLES if s.order and not s.label.startswith(CANCELLING)], ids=lambda s: s.label
)
def test_no_rule_widens(s, monkeypatch):
    """A rule that calculates in float64 would be narrowed at its end, and cost twice the memory before."""
    args = inputs(s, NUMPY, "float32")
    narrowed = []
    astype = declare.astype

    def noted(x, *, dtype):
        narrowed.append(spec_of(x).dtype.itemsize > np.dtype(dtype).itemsize)
        return astype(x, dtype=dtype)

    monkeypatch.setattr(declare, "astype", noted)
    with np.errstate(all="ignore"):
        value, pullback = gpuad.vjp(lambda *a: flat(s.f(gnp, *a)), *args)
        if any(narrowed) or any(v.dtype.kind in "fc" and v.dtype != "float32" for v in value):
            return  # the function itself calculates in another precision, as NumPy's and SciPy's do
        pullback(ones(value))
    assert not any(narrowed)


def test_each_argument_keeps_its_own():
    x, y, z = np.ones(3, "float32"), np.full(3, 2.0), np.full(3, 0.5, "float16")
    gs = gpuad.grad(lambda x, y, z: np.sum(x * y + np.where(x > 0, z, y) + np.maximum(x, z) @ y), (0, 1, 2))(x, y, z)
    assert [g.dtype for g in gs] == ["float32", "float64", "float16"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_where_others_widen(dtype):
    x = np.linspace(0.1, 0.9, 6).astype(dtype).reshape(2, 3)
    for f in (
        np.mean, np.max, np.min, np.var, np.std, np.median, np.prod, np.ptp, np.nanmean, np.nansum, np.linalg.norm,
        lambda x: np.where(x > 0.5, x, 0.0), lambda x: np.clip(x, 0.2, 0.8), lambda x: x**2.5, lambda x: 2 * x / 3,
        lambda x: x - np.float32(1) if dtype == "float32" else x, lambda x: np.average(x, axis=0), np.cumsum, np.sinc,
        lambda x: np.quantile(x, 0.3), lambda x: np.pad(x, 1, "linear_ramp"), np.gradient, np.diff, np.logaddexp.reduce,
        lambda x: np.power(x, 2), lambda x: np.float64(2.0).item() * x, lambda x: x.reshape(-1) @ x.reshape(-1),
        lambda x: np.sort(x, axis=None)[::2], lambda x: np.einsum("ij,kj->ik", x, x), lambda x: np.trapezoid(x, dx=0.1),
    ):  # fmt: skip
        results = flat(f(x))
        value, pullback = gpuad.vjp(lambda x, f=f: flat(f(x)), x)
        assert [v.dtype for v in value] == [r.dtype for r in results] == [dtype] * len(results)
        assert pullback(ones(value))[0].dtype == dtype


#: Functions of NumPy that are made of others here, of a vector and of a matrix.
COMPOSED = {
    "vander": lambda x, m: np.vander(x),
    "vander, increasing": lambda x, m: np.vander(x, 2, increasing=True),
    "angle": lambda x, m: np.angle(x),
    "angle in degrees": lambda x, m: np.angle(x, deg=True),
    "einsum of rows": lambda x, m: np.einsum("ij->i", m),
    "einsum of a diagonal": lambda x, m: np.einsum("ii", m),
    "einsum of all": lambda x, m: np.einsum("i->", x),
    "einsum of a product": lambda x, m: np.einsum("ij,j->", m, x[:2]),
    "tensordot to a number": lambda x, m: np.tensordot(x, x, 1),
    "tensordot of matrices": lambda x, m: np.tensordot(m, m),
    "tensordot": lambda x, m: np.tensordot(m, m, 1),
    "inner": lambda x, m: np.inner(x, x),
    "polyval": lambda x, m: np.polyval(x, m),
    "polyadd": lambda x, m: np.polyadd(x, x[1:]),
    "polymul": lambda x, m: np.polymul(x, x[1:]),
    "polydiv": lambda x, m: np.polydiv(x[1:], x[2:])[0],
    "poly": lambda x, m: np.poly(x),
    "average by a mask": lambda x, m: np.average(x, weights=x > 0),
    "average by whole numbers": lambda x, m: np.average(x, weights=np.full(4, 100, np.int8)),
    "average by float32": lambda x, m: np.average(m, weights=x.astype(np.float32).reshape(2, 2), axis=0),
}


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("name", COMPOSED)
def test_whole_numbers_and_others_under_jit(name, dtype):
    """Recorded whole numbers go the way that traced arrays go: dtype, shape and kind of number are NumPy's."""
    f, x = COMPOSED[name], np.arange(4).astype(dtype)
    want = f(x, x.reshape(2, 2))
    jitted = gpuad.jit(lambda x: f(x, x.reshape(2, 2)))
    for _ in range(2):
        found = jitted(x)
        assert type(found) is type(want) and found.dtype == want.dtype
        np.testing.assert_allclose(found, want, rtol=1e-3 if dtype == "float16" else 1e-6)


def test_powers_of_infinities():
    x = np.array([np.inf, 2.0])
    np.testing.assert_array_equal(gpuad.jit(np.vander)(x), np.vander(x))


#: Reductions that are told in which dtype, of which entries.
REDUCED = {
    "sum": lambda x: np.sum(x, dtype=np.int8),
    "sum in float32": lambda x: np.sum(x, dtype=np.float32),
    "sum of all numbers": lambda x: np.sum(x, dtype=int),
    "sum of some": lambda x: np.sum(x, where=x > 1),
    "sum by a method": lambda x: x.sum(dtype=np.int16),
    "prod": lambda x: np.prod(x, dtype=np.int8),
    "prod of some": lambda x: np.prod(x, where=x > 1),
    "mean": lambda x: np.mean(x, dtype=np.float32),
    "var": lambda x: np.var(x, dtype=np.float64),
    "cumsum": lambda x: np.cumsum(x, dtype=np.int8),
    "nancumsum": lambda x: np.nancumsum(x, dtype=bool),
    "cumprod": lambda x: np.cumprod(x, dtype=np.int64),
    "trace": lambda x: np.trace(x.reshape(2, 2), dtype=np.int8),
    "add.reduce": lambda x: np.add.reduce(x, dtype=np.int8),
    "multiply.reduce": lambda x: np.multiply.reduce(x, dtype=np.float32),
    "add.accumulate": lambda x: np.add.accumulate(x, dtype=np.int8),
    "add.reduceat": lambda x: np.add.reduceat(x, [0, 2]),
    "maximum.reduce": lambda x: np.maximum.reduce(x, dtype=np.int8),
}


@pytest.mark.filterwarnings("ignore:gpuad.jit")
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "uint32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", REDUCED)
def test_reductions_in_a_dtype_under_jit(name, dtype):
    f, x = REDUCED[name], np.arange(1, 5).astype(dtype)
    want, jitted = f(x), gpuad.jit(f)
    for _ in range(2):
        found = jitted(x)
        assert type(found) is type(want) and found.dtype == want.dtype
        np.testing.assert_allclose(found, want, rtol=1e-3 if dtype == "float16" else 1e-6)


def test_whole_numbers_are_summed_up_in_wider_ones_without_leaving_the_recording():
    x = np.arange(5, dtype=np.int8)
    jitted = gpuad.jit(lambda x: (np.sum(x > 1, dtype=int), np.cumsum(x, dtype=np.int64), np.mean(x, dtype=float)))
    for _ in range(3):
        jitted(x)
    assert jitted.recordings.replayed == 2

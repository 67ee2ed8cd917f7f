"""Every primitive, on every backend: the same checks for each sample in ``samples/``."""

from __future__ import annotations

import zlib

import numpy
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad.core.box import Box, innermost
from gpuad.core.tape import Tape
from gpuad.ops.declare import registry
from gpuad.test_util import check_grads
from samples import Sample, all_samples

SAMPLES = all_samples()
EVERY = pytest.mark.parametrize("s", SAMPLES, ids=lambda s: s.label)
FLOATS = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])


def inputs(s: Sample, backend, dtype="float64"):
    """The inputs of a sample: the same on every backend, of the kind that the dtype allows."""
    rng = numpy.random.default_rng(zlib.crc32(s.label.encode()))
    arrays = []
    for shape in s.shapes:
        if s.distinct:
            n = int(numpy.prod(shape))
            values = rng.permutation(numpy.linspace(s.low, s.high, n + 2)[1:-1]).reshape(shape)
        else:
            values = rng.uniform(s.low, s.high, shape)
        if numpy.dtype(dtype).kind == "c":
            values = values + 1j * rng.uniform(-1, 1, shape)
        arrays.append(backend.asarray(numpy.asarray(values).astype(dtype)))
    return arrays


def flat(result):
    """The results of a sample, one or several, as a list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def close(backend, got, want, rtol, atol):
    got, want = (backend.to_numpy(x) if backend.owns(type(x)) else numpy.asarray(x) for x in (got, want))
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    numpy.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-10, "complex128": 1e-10}


def test_every_primitive_has_a_sample():
    missing = set(registry) - {name for s in SAMPLES for name in s.primitives}
    assert not missing, f"primitives without a sample in tests/samples: {sorted(missing)}"


def test_samples_name_primitives_that_exist():
    unknown = {name for s in SAMPLES for name in s.primitives} - set(registry)
    assert not unknown


def test_labels_are_unique():
    labels = [s.label for s in SAMPLES]
    assert len(set(labels)) == len(labels), sorted({x for x in labels if labels.count(x) > 1})


@pytest.fixture
def no_short_ways():
    """Recorders have what computes at hand; without their short ways they ask the primitive."""
    changed = [prim for prim in registry.values() if hasattr(prim, "short")]
    before = [prim.short for prim in changed]

    def restate(shorts):
        for prim, short in zip(changed, shorts, strict=True):
            prim.short = short
            for told in prim._told:
                told()

    restate([prim._no_short_way() for prim in changed])
    yield
    restate(before)


def test_samples_use_the_primitives_they_name(monkeypatch, no_short_ways):
    """A sample of a primitive that it never reaches would be a test that can't fail."""
    used: set[str] = set()
    for prim in registry.values():
        original = prim.implementation

        def implementation(backend, prim=prim, original=original):
            run = original(backend)

            def noted(*args, **params):
                used.add(prim.name)
                return run(*args, **params)

            return noted

        monkeypatch.setattr(prim, "implementation", implementation)
        monkeypatch.setattr(prim, "_run", {})
        if hasattr(prim, "impl"):
            monkeypatch.setattr(prim, "impl", type(prim.impl)(prim))
            monkeypatch.setattr(prim, "host", prim.impl[numpy.ndarray])
            prim.impl[Box] = prim.apply
    part = Tape.part  # asks raw arrays itself

    def noted_part(tape, prim, x, key):
        used.add(prim.name)
        return part(tape, prim, x, key)

    monkeypatch.setattr(Tape, "part", noted_part)
    write = Tape.write  # writes into raw arrays itself

    def noted_write(tape, x, v, place):
        used.add("write")
        return write(tape, x, v, place)

    monkeypatch.setattr(Tape, "write", noted_write)
    numpy_backend = gpuad.backend.get("numpy")
    for s in SAMPLES:
        used.clear()
        for dtype in ["float64"] + ["complex128"] * s.complex:
            args = inputs(s, numpy_backend, dtype)
            value, pullback = gpuad.vjp(lambda *a, s=s: flat(s.f(gnp, *a)), *args)
            if any(numpy.asarray(v).dtype.kind in "fc" for v in value):
                pullback([numpy.ones_like(v) for v in value])
        assert set(s.primitives) <= used, (s.label, used)


def reference(s, backend, args):
    """What the backend's own functions give; where it lacks one, or an option of it, what NumPy's give."""
    try:
        return flat(s.f(backend.xp, *args))
    except (AttributeError, TypeError, ValueError):
        return [backend.asarray(r) for r in flat(s.f(numpy, *map(backend.to_numpy, args)))]


@EVERY
@FLOATS
def test_value_and_dtype_are_those_of_the_backend(s, dtype, backend):
    args = inputs(s, backend, dtype)
    with numpy.errstate(all="ignore"):
        want = reference(s, backend, args)
        got = flat(gpuad.vjp(lambda *a: flat(s.f(gnp, *a)), *args)[0])
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert type(g) is not Box
        close(backend, g, w, TOLERANCE[dtype], TOLERANCE[dtype])


@EVERY
def test_plain_numpy_calls_are_the_same(s):
    """`numpy.f` on a traced array reaches the primitive that `gpuad.numpy.f` reaches."""
    backend = gpuad.backend.get("numpy")
    args = inputs(s, backend)
    results = []
    for namespace in (gnp, numpy):
        value, pullback = gpuad.vjp(lambda *a, n=namespace: flat(s.f(n, *a)), *args)
        results.append((value, pullback([numpy.ones_like(v) for v in value])))
    for got, want in zip(*results, strict=True):
        for g, w in zip(got, want, strict=True):
            close(backend, g, w, 0, 0)


@pytest.mark.parametrize("s", [s for s in SAMPLES if s.order], ids=lambda s: s.label)
def test_gradient_against_central_differences(s, backend):
    args = inputs(s, backend)
    check_grads(lambda *a: _differentiable(s.f(gnp, *a)), args, order=s.order)


@pytest.mark.parametrize("s", [s for s in SAMPLES if s.complex], ids=lambda s: s.label)
def test_complex_gradient_against_central_differences(s, backend):
    check_grads(lambda *a: _differentiable(s.f(gnp, *a)), inputs(s, backend, "complex128"), order=s.order)


def _differentiable(result):
    """Results that have a derivative; at least one number, for comparisons have none."""
    found = [r for r in flat(result) if type(r) is Box or getattr(r, "dtype", None) in ("float64", "complex128")]
    return found or 0.0


@EVERY
@FLOATS
def test_gradients_keep_shape_and_dtype(s, dtype, backend):
    args = inputs(s, backend, dtype)
    exact = inputs(s, backend)
    with numpy.errstate(all="ignore"):
        gradients = _pull_ones(s, args)
        reference = _pull_ones(s, exact)
    for a, g, r in zip(args, gradients, reference, strict=True):
        assert g.shape == a.shape
        assert g.dtype == a.dtype
        if dtype == "float16":
            continue  # too coarse to compare through a whole program; the dtype is what counts
        g, r = backend.to_numpy(g), backend.to_numpy(r)
        scale = max(1.0, numpy.max(numpy.abs(r), initial=0))
        numpy.testing.assert_allclose(g, r.astype(dtype), rtol=1e-3, atol=2e-4 * scale)


def _pull_ones(s, args):
    value, pullback = gpuad.vjp(lambda *a: flat(s.f(gnp, *a)), *args)
    return pullback([gpuad.transforms.gradients.ones_like(v) for v in value])


@pytest.mark.parametrize("s", [s for s in SAMPLES if any(s.shapes)], ids=lambda s: s.label)
def test_inputs_that_are_not_contiguous(s, backend):
    args = inputs(s, backend)
    strided = []
    for a in args:
        if a.ndim:
            doubled = numpy.asfortranarray(numpy.repeat(backend.to_numpy(a), 2, axis=-1))
            a = backend.asarray(doubled)[..., ::2]
        strided.append(a)
    for got, want in zip(_pull_ones(s, strided), _pull_ones(s, args), strict=True):
        close(backend, got, want, 1e-10, 1e-12)


@EVERY
def test_nothing_stays_traced(s, backend):
    args = inputs(s, backend)
    for g in _pull_ones(s, args):
        assert innermost(g) is g

"""Operations that wait to be fused give what they give one by one. Here they all wait, however small the arrays."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jvp, vjp
from gpuad.backend import numpy_backend
from gpuad.fusion import pending
from random_programs import Program


@pytest.fixture(autouse=True)
def everything_waits(monkeypatch):
    """The size from which arrays wait is set to nothing, and NumPy runs the kernels."""
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "numpy")


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, (tuple, list)) else [x]


def agree(compute, rtol=1e-9):
    """``compute()`` fused and unfused: to rounding, relative to the largest entry, or the same error."""
    found = []
    for on in (True, False):
        with gpuad.fusion(on), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(flat(compute()))
    for got, want in zip(*found, strict=True):
        assert isinstance(got, (np.ndarray, np.generic)) and not isinstance(got, pending.Pending)
        got, want = np.asarray(got), np.asarray(want)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
        got, want = (np.where(np.isfinite(a), a, 0).astype(complex) for a in (got, want))
        np.testing.assert_allclose(got, want, rtol=0, atol=rtol * (np.abs(want).max(initial=0) + 1e-3))


# -- what a program may ask of its arrays -----------------------------------------------------------------
X = np.random.default_rng(0).normal(size=(12, 12))


def test_printing_shows_the_numbers():
    shown = []

    def f(x):
        y = gnp.sin(x)
        shown.append((repr(y), str(y.sum()), f"{y.sum():.3f}"))
        return gnp.sum(y)

    for on in (True, False):
        with gpuad.fusion(on):
            grad(f)(X[0])
    assert shown[0] == shown[1]


def test_errors_that_numpy_is_told_to_raise():
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        grad(lambda x: gnp.sum(gnp.log(x - x)))(X)
    with np.errstate(over="call", call=lambda what, flag: flagged.append(what)):
        flagged = []
        grad(lambda x: gnp.sum(gnp.exp(x * 1e4)))(X)
        assert flagged


# -- what is computed again -------------------------------------------------------------------------------
def chain_with_sums(x):
    for _ in range(60):
        x = x * 0.99 + gnp.sum(x) * 1e-6
    return gnp.sum(x)


def normalised(x):
    for _ in range(60):
        x = gnp.tanh(x / gnp.sqrt(gnp.mean(x * x, axis=0) + 1))
    return gnp.sum(x)


def recurrent(x):
    h = x[0] * 0
    for row in x:
        h = gnp.tanh(h * 0.5 + row + gnp.mean(h))
    return gnp.sum(h * h)


def one_to_many(x):
    h = gnp.sin(x)
    return sum(gnp.sum(gnp.cos(h * k) * gnp.mean(h * k, axis=0)) for k in range(30))


@pytest.mark.parametrize("f", [chain_with_sums, normalised, recurrent, one_to_many])
def test_nothing_is_computed_many_times(f, monkeypatch):
    from gpuad.fusion import schedule

    most, launch = [], schedule.launch

    def counted(targets, nodes, *how):
        launch(targets, nodes, *how)
        most.append(max((x.times for x in nodes), default=0))

    monkeypatch.setattr(schedule, "launch", counted)
    agree(lambda: grad(f)(X))
    assert 1 <= max(most) <= 3


# -- threads --------------------------------------------------------------------------------------------
@pytest.fixture
def hectic():
    """Threads take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(n, work):
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(n)))


def test_a_pullback_called_in_several_threads_at_once(hectic):
    def f(x):
        h = gnp.sin(x)
        for _ in range(6):
            h = gnp.tanh(h + x) * gnp.mean(h, axis=-1, keepdims=True)
        return gnp.sum(h) * x

    with gpuad.fusion(False):
        (want,) = vjp(f, X)[1](np.ones_like(X))
    for _ in range(10):
        pullback = vjp(f, X)[1]
        for k, (got,) in enumerate(in_threads(4, lambda k, pullback=pullback: pullback(np.full_like(X, k)))):
            np.testing.assert_allclose(got, k * want, rtol=1e-9, atol=1e-12)


def test_a_program_in_several_threads(hectic):
    def f(x):
        h = gnp.tanh(x)

        def work(k):
            s = gnp.sum(gnp.sin(h * k) * h)
            return s * 2.0 if s > 1.0 else s

        return sum(in_threads(4, work))

    for _ in range(10):
        agree(lambda: grad(f)(X))


# -- random programs --------------------------------------------------------------------------------------
def second_order(p, nums, ones):
    return grad(lambda *xs: sum(gnp.sum(gnp.sin(gnp.real(g))) for g in grad(p.loss, nums)(*xs)), nums)(*p.args)


def forward_over_reverse(p, nums, ones):
    return jvp(lambda *xs: grad(p.loss, nums)(*xs), tuple(p.args), ones)


def reverse_over_forward(p, nums, ones):
    return grad(lambda *xs: gnp.real(jvp(p.loss, xs, ones)[1]), nums)(*p.args)


def batched(p, nums, ones):
    return gpuad.vmap(grad(p.loss, nums))(*[np.stack([a, a * 0.5]) for a in p.args])


HIGHER = [second_order, forward_over_reverse, reverse_over_forward, batched]


@pytest.mark.parametrize("seeds", range(0, 80, 8))
def test_random_programs(seeds):
    for seed in range(seeds, seeds + 8):
        p = Program(seed)
        nums, ones = range(len(p.args)), tuple(map(np.ones_like, p.args))
        before = [a.copy() for a in p.args]
        digits = {"float16": 0.1, "float32": 2e-3, "complex64": 2e-3}
        # Programs cast to float32 on the way.
        rtol = max(digits.get(dtype, 2e-3) for dtype in p.dtypes)
        agree(lambda p=p: vjp(lambda *xs: tuple(p(*xs)), *p.args)[0], rtol)
        agree(lambda p=p, ones=ones: jvp(p.loss, tuple(p.args), ones), rtol)
        agree(lambda p=p, nums=nums: grad(p.loss, nums)(*p.args), rtol)
        agree(lambda p=p, nums=nums, ones=ones, seed=seed: HIGHER[seed % 4](p, nums, ones), rtol)
        for a, b in zip(p.args, before, strict=True):
            np.testing.assert_array_equal(a, b)

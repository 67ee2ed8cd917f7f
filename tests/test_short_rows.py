"""Plans with rows of a few entries, written out: they give what the plan gives, by both executors of the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuad
from gpuad import value_and_grad
from gpuad.backend import numpy_backend
from gpuad.fused import blocks, c_source, compiler, host, pending, short_rows
from plan_reference import run_plan
from random_plans import random_case

TOLERANCE = {"f2": 5e-2, "f4": 2e-5, "f8": 1e-12, "c8": 2e-5, "c16": 1e-12}


def written(seeds):
    """Random plans with short rows that are written out, with calls of them."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dtype = list(TOLERANCE)[seed % 5]
        lengths = (*rng.choice([1, 2, 5, 33], size=rng.integers(1, 4)).tolist(), int(rng.choice([2, 3, 4, 7, 16])))
        case = random_case(seed, dtype, folds=True, lengths=lengths)
        found = short_rows.written_out(case.plan, lengths[-1])
        if found is not None:
            yield found, case, TOLERANCE[dtype]


def agree(run, found, case, rtol):
    call = case.call(np.copy, np.empty)
    want = run_plan(case.plan, call)
    run(found.call(call))
    for got, wanted in zip(call.outputs, want, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * (1 + np.abs(wanted).max(initial=0)))


def check_in_c(seeds, flags=("-O1",)):
    cases = list(written(seeds))
    sources = [c_source.function(found.plan, f"k{k}") for k, (found, _, _) in enumerate(cases)]
    library = compiler.shared_library(c_source.prelude() + "".join(sources), (*host.flags(), *flags))
    for k, (found, case, rtol) in enumerate(cases):
        agree(host.Kernel(found.plan, library, f"k{k}"), found, case, rtol)
    return len(cases)


@pytest.fixture
def in_c():
    if compiler.unavailable() is not None:
        pytest.skip(compiler.unavailable())


def test_random_plans_in_c(in_c):
    assert check_in_c(range(20)) > 10


def test_random_plans_in_c_cut_into_chunks(in_c, monkeypatch):
    monkeypatch.setattr(host, "CHUNK", 7)
    monkeypatch.setattr(host, "STRETCH", 7)
    check_in_c(range(20))


def test_random_plans_in_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 256)
    for found, case, rtol in written(range(200)):
        agree(blocks.compile(found.plan, numpy_backend.function), found, case, rtol)


def test_random_plans_read_and_write_nothing_else(in_c, tmp_path):
    """Under AddressSanitizer, whose library must be in the process from its beginning."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("no gcc")
    asked = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(asked):
        pytest.skip("gcc has no AddressSanitizer here")
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "LD_PRELOAD": asked,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        "GPUAD_CC": gcc,
        "GPUAD_CACHE_DIR": str(tmp_path),
        "PYTHONMALLOC": "malloc",
    }
    program = "import test_short_rows as t; t.check_in_c(range(200, 212), ('-O1', '-fsanitize=address'))"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_what_is_not_written_out():
    case = random_case(0, "f8", folds=True, lengths=(5, 4))
    assert short_rows.written_out(case.plan, 1) is None
    assert short_rows.written_out(case.plan, 17) is None
    assert short_rows.written_out(case.plan._replace(ndim=1), 4) is None


# -- programs -----------------------------------------------------------------------------------------------
def normalised(x):
    d = x - x.mean(-1, keepdims=True)
    return np.sum(np.tanh(d / np.sqrt((d**2).mean(-1, keepdims=True) + 1e-2)))


def shares(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.sum((e / e.sum(-1, keepdims=True)) ** 2)


def lengths_and_columns(x):
    return np.sum(np.sqrt(np.sum(x * x, -1) + 0.1)) + np.sum(np.sum(x * 3.0, 0) ** 2) + np.sum(np.min(x, -1))


@pytest.mark.parametrize("executor", ["numpy", "c"])
@pytest.mark.parametrize("shape", [(30, 2), (7, 3), (4, 5, 6), (9, 16), (3, 4, 2, 2)])
@pytest.mark.parametrize("f", [normalised, shares, lengths_and_columns])
def test_programs(f, shape, executor, monkeypatch):
    if executor == "c" and compiler.unavailable() is not None:
        pytest.skip(compiler.unavailable())
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", executor)
    x = np.random.default_rng(0).normal(size=shape)
    for y in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        got = value_and_grad(f)(y)
        with gpuad.fusion(False):
            want = value_and_grad(f)(y)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_row_that_is_a_number(in_c, monkeypatch):
    """NumPy's functions give scalars for it, which lie nowhere that a kernel could read."""
    monkeypatch.setitem(pending.LARGE, numpy_backend, 0)
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "c")

    def f(x):
        d = np.tanh(x - x.mean(-1, keepdims=True) * 0.3)
        return np.sum(np.max(d.reshape(-1, 15) * 2, -1) ** 2) + np.sum(np.swapaxes(d, 0, -1)[0])

    x = np.random.default_rng(0).normal(size=(1, 15))
    got = value_and_grad(f)(x)
    with gpuad.fusion(False):
        want = value_and_grad(f)(x)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)

"""How much work gradients are, as counts: the same on every machine, so that a regression can't hide in noise.

``golden_counts.json`` has what each program of the benchmark suite did when it was last written: the operations that
are recorded and swept, their multiply-adds and bytes; what of them ``jit`` leaves, and the peak memory of its plan; and
on CuPy (run on the CPU, with ``--backend cupy``) kernels, products, copies, how often the host waited, allocations from
its pool and the most bytes of it in use at a time. More than that fails; so does a tenth less, for a gain that isn't
written down could be lost unseen. After a change for the better, or of what a program is, write it anew:

    python -m pytest tests/test_counts.py [--backend cupy] --write-counts
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import cupy_on_cpu
import gpuad
from bench.suite import counting, memory
from bench.suite.adapters import Gpuad, GpuadJit
from bench.suite.workload import Case
from bench.suite.workloads import ALL

FILE = Path(__file__).parent / "golden_counts.json"
SMALL = {
    "Black-Scholes": {"n": 64, "dtype": "float32"},
    "GELU": {"n": 64, "dtype": "float64"},
    "layer norm and GELU": {"rows": 8, "columns": 16, "dtype": "float32"},
    "100 tiny operations": {"n": 10},
    "entry by entry": {"n": 20},
    "softmax regression": {"examples": 32, "features": 16, "classes": 10, "dtype": "float32"},
    "MLP": {"hidden": 16, "batch": 8, "dtype": "float32"},
    "LSTM": {"steps": 5, "hidden": 8, "batch": 4, "dtype": "float32"},
    "convolutional network": {"batch": 2, "dtype": "float32"},
    "attention": {"tokens": 8, "batch": 2, "dtype": "float32"},
    "heat equation": {"side": 8, "steps": 4},
    "stencil by slices": {"side": 16, "steps": 3},
    "bodies under gravity": {"n": 8, "steps": 3},
    "bundle adjustment": {"cameras": 3, "points": 10, "views": 30},
    "mixture of normals": {"n": 20, "d": 4, "k": 3},
    "hidden Markov model": {"steps": 5, "states": 4},
    "Jacobian of three layers": {"n": 8},
    "Hessian of Rosenbrock": {"n": 8},
    "Hessian times vector": {"n": 64},
    "gradient of each example": {"n": 4, "examples": 8},
    "a chain with checkpoints": {"n": 64, "operations": 40},
}
CASES = [Case(w, SMALL[w.name]) for w in ALL if w.name in SMALL]


@pytest.fixture
def hold(request):
    """Compares counts with those in the file, or writes them into it."""

    def compare(section, name, found):
        golden = json.loads(FILE.read_text()) if FILE.exists() else {}
        if request.config.getoption("--write-counts"):
            golden.setdefault(section, {})[name] = found
            in_order = {s: dict(sorted(golden[s].items())) for s in sorted(golden)}
            FILE.write_text(json.dumps(in_order, indent=1) + "\n")
            return
        allowed = golden[section][name]
        assert found.keys() == allowed.keys()
        other = [f"{found[k]} {k} instead of {n}" for k, n in allowed.items() if not 0.9 * n <= found[k] <= n]
        assert not other, (
            f"{name}: {', '.join(other)}; if that is meant, the top of {Path(__file__).name} says what to do"
        )

    return compare


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.workload.name)
def test_operations(case, hold):
    found = counting.work(Gpuad().prepare(case), case.inputs(0))
    assert found["operations"] > 0
    hold("operations", case.workload.name, {k: found[k] for k in ("operations", "multiply_adds", "bytes_unfused")})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.workload.name)
def test_jit(case, hold):
    cost = gpuad.jit(Gpuad().prepare(case)).cost(*case.inputs(0))
    assert cost.peak_bytes > 0
    hold("jit", case.workload.name, dataclasses.asdict(cost))


@pytest.mark.parametrize(("section", "adapted"), [("cupy", Gpuad), ("cupy, jit", GpuadJit)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.workload.name)
def test_on_a_device(case, section, adapted, hold, emulated_cupy):
    class Allocations(emulated_cupy.cuda.MemoryHook):
        name = "allocations"
        count = 0

        def malloc_preprocess(self, **about):
            self.count += 1

    adapter = adapted("gpu")
    inputs = [adapter.array(x) for x in case.inputs(0)]
    with gpuad.use("cupy"):
        call = adapter.prepare(case)
        for _ in range(3):  # the program is recorded, kernels are compiled, the pool is filled
            call(*inputs)
        with cupy_on_cpu.count() as c, Allocations() as allocations:
            call(*inputs)
        peak, _ = memory.peak(adapter, case, inputs, call)
    found = {
        name: getattr(c, name) for name in ("launches", "blas", "syncs", "h2d", "d2h", "d2d", "memsets", "mallocs")
    }
    hold(section, case.workload.name, found | {"allocations": allocations.count, "peak_bytes": peak})


def test_every_program_is_there():
    assert {case.workload.name for case in CASES} == set(SMALL)
    golden = json.loads(FILE.read_text())
    assert set(golden) == {"operations", "jit", "cupy", "cupy, jit"}
    assert all(set(section) == set(SMALL) for section in golden.values())

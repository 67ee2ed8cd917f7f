"""The suite under pytest-benchmark: ``pytest bench -k GELU``, ``--benchmark-autosave``, ``--benchmark-compare``.

Every case is a group, every contestant a test in it. All are judged before any of them is timed. Unlike
``gpuad bench``, pytest-benchmark lets one contestant finish before the next, so a slow moment of the machine hits one.
"""

from __future__ import annotations

import itertools
import time

import pytest

from bench.suite import agreement, memory
from bench.suite.adapters import NotOffered
from bench.suite.peers import ON_REQUEST, SLOW, contestants
from bench.suite.session import quiet
from bench.suite.timing import QUICK
from bench.suite.workloads import ALL


class Judged:
    """Everyone's call for one case, found right; or why there is none."""

    def __init__(self, case, adapters):
        self.inputs = case.inputs(seed=0)
        self.calls, self.reasons, results = {}, {}, {}
        with quiet():
            for a in adapters:
                try:
                    call = a.prepare(case)
                    result = call(*map(a.array, self.inputs))
                    a.wait(result)
                    self.calls[a.label], results[a.label] = call, a.to_host(result)
                except NotOffered as why:
                    self.reasons[a.label] = str(why)
            self.wrong = agreement.judge(case, self.inputs, results)


@pytest.fixture(scope="session")
def there():
    """The contestants that can take part, loaded."""
    found = [a for a in contestants() if a.missing() is None]
    for a in found:
        a.load(1)
    return found


@pytest.fixture(scope="session")
def judged(there, request):
    last = {}

    def judge(case):
        if case.name not in last:
            last.clear()  # one at a time fits into memory
            full = request.config.getoption("--full")
            last[case.name] = Judged(case, [a for a in there if full or a.name not in SLOW | ON_REQUEST])
        return last[case.name]

    return judge


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        cases = [case for workload in ALL for case in workload.cases(quick=not full)]
        adapters = [a for a in contestants() if full or a.name not in SLOW | ON_REQUEST]
        metafunc.parametrize("case", cases, ids=lambda case: case.name, scope="session")
        metafunc.parametrize("adapter", adapters, ids=lambda a: a.label)


@pytest.mark.benchmark(max_time=0.2, min_rounds=5)
def test_case(case, adapter, judged, benchmark):
    if (why := adapter.missing()) is not None:
        pytest.skip(why)
    found = judged(case)
    if adapter.label in found.reasons:
        pytest.skip(found.reasons[adapter.label])
    assert adapter.label not in found.wrong, f"{adapter.label} isn't timed: {found.wrong[adapter.label]}"
    call = found.calls[adapter.label]
    sets = itertools.cycle([[*map(adapter.array, x)] for x in (found.inputs, case.inputs(1), case.inputs(2))])

    def run():
        adapter.wait(call(*next(sets)))

    benchmark.group = case.name
    with quiet():
        end = time.process_time() + QUICK.warm
        while adapter.compiles_late and time.process_time() < end:
            run()
        benchmark(run)
        peak, by = memory.peak(adapter, case, next(sets), call)
        benchmark.extra_info |= {"peak_bytes": peak, "peak_by": by}

"""The goals beside the best of the other libraries, on the suite's own workloads.

These are the groups ``fused`` and ``jit`` of ``python -m bench.check_goals``. Each is measured by the suite
(``suite/session.py``) in a process of its own, where all libraries heed one thread, and which begins with an empty
folder of compiled kernels, so that first calls are first.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .measure import Check, Result, at_most
from .suite.adapters import Adapter, Gpuad, GpuadJit
from .suite.peers import contestants, settings
from .suite.results import best_peer, geometric_mean, ratio, timed
from .suite.timing import Plan
from .suite.workload import Case
from .suite.workloads import ALL

PEERS = ("autograd", "JAX jit", "torch", "torch.compile")
PLAN = Plan(rounds=9, turn=0.02, most=1.0, warm=0.3)
#: Seconds that a peer's first call, with compiling, may take.
LIMIT = 60.0


@dataclass(frozen=True)
class Group:
    """One way to run gpuad, and what it may take of the best peer's time, by the suite's names of cases."""

    ours: type[Adapter]
    rows: Mapping[str, float]
    #: What is allowed on top of a goal, as a factor: operation by operation, gpuad sees a part of a program at a time.
    allowed: float = 1.0
    #: Of all rows, at most.
    mean: float | None = None
    #: Seconds, with all compiling.
    first_call: float | None = None
    #: Case, and the memory at its peak in arrays of its size.
    memory: tuple[str, float] | None = None

    @property
    def cases(self) -> list[str]:
        return [*self.rows, *([self.memory[0]] if self.memory else [])]


_CHAINS = {
    "chains/Black-Scholes [n 1e6, float32]": 0.8,
    "chains/Black-Scholes [n 1e6, float64]": 0.2,
}

GROUPS = {
    "fused": Group(
        Gpuad,
        _CHAINS
        | {
            f"chains/{name} [{size}, {dtype}]": goal
            for name, size, goal in [
                ("GELU", "n 1e6", 0.6),
                ("polynomial", "n 1e6", 0.4),
                ("tanh ten times", "n 1e6", 1.0),
                ("layer norm and GELU", "rows 4096, columns 1024", 1.0),
            ]
            for dtype in ("float32", "float64")
        },
        allowed=1.5,
    ),
    "jit": Group(
        GpuadJit,
        {"overhead/100 tiny operations [n 10]": 1.0}
        | _CHAINS
        | {
            f"{name}, {dtype}]": goal
            for name, goal in [
                ("chains/layer norm and GELU [rows 4096, columns 1024", 0.8),
                ("programs/softmax regression [examples 2e4, features 784, classes 10", 1.0),
                ("programs/MLP [hidden 512, batch 256", 1.0),
                ("programs/LSTM [steps 100, hidden 32, batch 16", 1.0),
                ("programs/heat equation [side 128, steps 200", 0.7),
            ]
            for dtype in ("float32", "float64")
        }
        | {
            "programs/mixture of normals [n 1000, d 10, k 10]": 1.0,
            "programs/mixture of normals [n 1000, d 64, k 50]": 1.0,
            "programs/stencil by slices [side 256, steps 20]": 0.7,
            "transformations/Jacobian of three layers [n 100]": 1.0,
            "transformations/Hessian of Rosenbrock [n 500]": 1.0,
            "transformations/Hessian times vector [n 1e6]": 1.0,
        },
        mean=0.6,
        first_call=1.0,
        memory=("memory/a chain [n 1e6, operations 200]", 5.0),
    ),
}

CASES: dict[str, Case] = {case.name: case for workload in ALL for case in workload.cases(quick=False)}


def chosen(name: str, only: str = "") -> list[str]:
    """The cases of a group with ``only`` in their names."""
    return [case for case in GROUPS[name].cases if only.lower() in case.lower()]


def run(name: str, only: str = "") -> list[Result]:
    """Measure a group, or what of it has ``only`` in its name."""
    group, records = GROUPS[name], _measured(name, chosen(name, only))
    label = group.ours.name
    results = [_result(group, record) for record in records]
    if group.first_call is not None:
        first = {r["name"]: r["contestants"][label]["first_call_s"] for r in records if label in timed(r)}
        if first:
            slowest = max(first, key=first.__getitem__)
            check = at_most(f"slowest first call: {_short(slowest)}", first[slowest], group.first_call)
            results.append(Result(f"First calls of {label}, with compiling", "s", first, [check]))
    rows = [r for r in records if r["name"] in group.rows and label in timed(r)]
    found = {r["name"]: ratio(r, label, peer).value for r in rows if (peer := best_peer(r, gpu=False)) is not None}
    mean = geometric_mean(found.values())
    if mean is not None:
        checks = []
        if group.mean is not None and not only:
            checks.append(at_most(f"geometric mean of {len(found)} rows", mean, group.mean))
        results.append(Result(f"{label} / best peer", "", {**found, "geometric mean": mean}, checks))
    return results


def _measured(name: str, cases: list[str]) -> list[dict[str, Any]]:
    """The suite's records of these cases, from a process that begins without compiled kernels."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "results.json"
        environment = {**os.environ, **settings(1), "GPUAD_CACHE_DIR": folder}
        words = [sys.executable, "-m", __name__, name, str(target), *cases]
        subprocess.run(words, env=environment, check=True, cwd=Path(__file__).resolve().parents[1])
        records: list[dict[str, Any]] = json.loads(target.read_text())
    return records


def _measure(name: str, target: str, *cases: str) -> None:
    """What that process does."""
    from .suite.command import stay_on_one_processor
    from .suite.session import Session

    stay_on_one_processor()
    group = GROUPS[name]
    peers = [a for a in contestants() if a.name in PEERS and a.device == "cpu"]
    records: list[dict[str, Any]] = []
    # Where memory alone has a goal nobody is compared with, and peers would take minutes.
    for who, those in (peers, group.rows), ([], set(cases) - set(group.rows)):
        if them := [CASES[case] for case in cases if case in those]:
            document = Session([group.ours(), *who], PLAN, quick=True, limit=LIMIT).run(them)
            if document["interrupted"]:
                raise KeyboardInterrupt
            records += sorted(document["cases"], key=lambda record: cases.index(record["name"]))
    Path(target).write_text(json.dumps(records))


def _short(case: str) -> str:
    return case.partition("/")[2]


def _result(group: Group, record: Mapping[str, Any]) -> Result:
    name, there, label = record["name"], timed(record), group.ours.name
    milliseconds = {who: 1e3 * c["seconds"]["median"] for who, c in there.items()}
    checks = []
    remarks = [f"{who}: {c['status']}, {c['why']}" for who, c in record["contestants"].items() if "why" in c]
    if label not in there:
        checks.append(Check(f"{_short(name)}: {label} has a right result", float("nan"), "timed", False))
    elif name in group.rows:
        peer = best_peer(record, gpu=False)
        if peer is None:
            remarks.append("there is no peer here to compare with")
        else:
            checks.append(_ratio_check(group, record, peer))
    if group.memory and name == group.memory[0] and label in there:
        arrays = there[label]["peak_bytes"] / (8 * record["params"]["n"])
        checks.append(at_most(f"{_short(name)}: arrays at the peak", arrays, group.memory[1]))
    return Result(name, "ms", milliseconds, checks, remarks)


def _ratio_check(group: Group, record: Mapping[str, Any], peer: str) -> Check:
    there, label, goal = timed(record), group.ours.name, group.rows[record["name"]]
    found = ratio(record, label, peer)
    bound = group.allowed * goal
    stated = f"<= {bound:g}" + (f" ({goal:g})" if bound != goal else "")
    mine, theirs = (1e3 * there[who]["seconds"]["median"] for who in (label, peer))
    about = f"{label} {mine:.3g} ms, {peer} {theirs:.3g} ms, noise {found.noise:.0%}"
    return Check(_short(record["name"]), found.value, stated, found.value <= bound, about)


if __name__ == "__main__":
    _measure(*sys.argv[1:])

"""How long ``import gpuad`` takes beside ``import numpy``.

Goal: no more than NumPy's own time plus 30 ms. Each import is timed in a fresh process; they take
turns, so that a busy moment of the machine hits all. Python's compiled files are kept in a
temporary folder, warm from the second turn on, whatever the environment says about them.

    python bench/import_time.py
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_MS = 30
ROOT = Path(__file__).resolve().parent.parent
TIMED = """
from time import perf_counter, process_time
wall, cpu = perf_counter(), process_time()
{}
print(perf_counter() - wall, process_time() - cpu)
"""


def milliseconds(statement: str, compiled: str) -> tuple[float, float]:
    """Of one import: time that passed, and processor time."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=ROOT)
    wall, cpu = map(float, done.stdout.split())
    return 1e3 * wall, 1e3 * cpu


def main() -> None:
    parser = argparse.ArgumentParser(description="time the import of gpuad beside NumPy's")
    parser.add_argument("--runs", type=int, default=21, help="processes for each (default 21)")
    runs = parser.parse_args().runs
    statements = ["import numpy", "import gpuad", "import gpuad.numpy"]
    times: dict[str, list[tuple[float, float]]] = {statement: [] for statement in statements}
    with tempfile.TemporaryDirectory() as compiled:
        for turn in range(runs + 1):
            for statement in statements:
                took = milliseconds(statement, compiled)
                if turn:  # the first turn fills the disk cache and the folder of compiled files
                    times[statement].append(took)
    medians = {s: [statistics.median(column) for column in zip(*t, strict=True)] for s, t in times.items()}
    for statement, (wall, cpu) in medians.items():
        print(f"{statement:<20} {wall:6.1f} ms, {cpu:6.1f} ms of processor time")
    more_wall, more_cpu = (max(m) - m[0] for m in zip(*medians.values(), strict=True))
    print(
        f"gpuad adds {more_wall:.1f} ms ({more_cpu:.1f} ms of processor time); "
        f"goal: at most {GOAL_MS} ms ({runs} runs each, medians)"
    )


if __name__ == "__main__":
    main()

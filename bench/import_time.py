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
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def milliseconds(statement: str, compiled: str) -> float:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=ROOT)
    return 1e3 * float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="time the import of gpuad beside NumPy's")
    parser.add_argument("--runs", type=int, default=21, help="processes for each (default 21)")
    runs = parser.parse_args().runs
    statements = ["import numpy", "import gpuad", "import gpuad.numpy"]
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    with tempfile.TemporaryDirectory() as compiled:
        for turn in range(runs + 1):
            for statement in statements:
                took = milliseconds(statement, compiled)
                if turn:  # the first turn fills the disk cache and the folder of compiled files
                    times[statement].append(took)
    for statement in statements:
        print(f"{statement:<20} {statistics.median(times[statement]):6.1f} ms")
    numpy_time = statistics.median(times["import numpy"])
    more = max(statistics.median(times[s]) for s in statements) - numpy_time
    print(f"gpuad adds {more:.1f} ms; goal: at most {GOAL_MS} ms ({runs} runs each, medians)")


if __name__ == "__main__":
    main()

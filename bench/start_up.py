"""How soon a fresh process has results of a jitted function: recorded there, or loaded from a file.

Two programs whose recording is long: the gradient of 200 steps of the heat equation on 100 points, and of an LSTM over
100 steps with 16 numbers of state. Every run is a process of its own with one thread; they take turns. Counted is
processor time from after ``import gpuad``: up to the first result, to the second, for which a program is made of what
was recorded, and of one call after that.

    python bench/start_up.py
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = """
import sys
import numpy as np
import gpuad
from time import process_time

rng = np.random.default_rng(0)


def heat(u, rate):
    def loss(u):
        for _ in range(200):
            u = u + rate * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
        return np.sum(u**2)

    return gpuad.value_and_grad(loss)(u)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(p, xs):
    def loss(p):
        h = c = np.zeros(16)
        for x in xs:
            z = x @ p["w"] + h @ p["u"] + p["b"]
            c = sigmoid(z[:16]) * c + sigmoid(z[16:32]) * np.tanh(z[48:])
            h = sigmoid(z[32:48]) * np.tanh(c)
        return np.sum(h**2)

    return gpuad.value_and_grad(loss)(p)


net = {"w": 0.1 * rng.standard_normal((8, 64)), "u": 0.1 * rng.standard_normal((16, 64)), "b": np.zeros(64)}
f, args = {"heat": (heat, (rng.standard_normal(100), 0.1)), "lstm": (lstm, (net, rng.standard_normal((100, 8))))}[NAME]
"""
MAKE = "gpuad.jit(f).save(FILE, *args)"
TIMED = """
start = process_time()
f = {}
times = []
for _ in range(5):
    f(*args)
    times.append(process_time() - start)
print(times[0], times[1], min(b - a for a, b in zip(times[1:], times[2:])))
"""
CONTESTANTS = {"not jitted": "f", "gpuad.jit": "gpuad.jit(f)", "gpuad.load_jit": "gpuad.load_jit(FILE)"}


def run(code: str, name: str, file: Path, compiled: str) -> str:
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = {**os.environ, **alone, "GPUAD_BACKEND": "numpy", "PYTHONDONTWRITEBYTECODE": ""}
    command = [
        sys.executable,
        "-X",
        f"pycache_prefix={compiled}",
        "-c",
        f"NAME, FILE = {name!r}, {str(file)!r}\n{code}",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=ROOT).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="time the first calls of jitted functions, recorded and loaded")
    parser.add_argument("--runs", type=int, default=15, help="processes for each (default 15)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        for name in ("heat", "lstm"):
            file, compiled = Path(folder, f"{name}.gpuad"), str(Path(folder, "compiled"))
            run(PROGRAMS + MAKE, name, file, compiled)
            times: dict[str, list[list[float]]] = {c: [] for c in CONTESTANTS}
            for turn in range(runs + 1):
                for contestant, made in CONTESTANTS.items():
                    took = run(PROGRAMS + TIMED.format(made), name, file, compiled).split()
                    if turn:  # the first turn fills the disk cache and the folder of compiled files
                        times[contestant].append([1e3 * float(t) for t in took])
            print(f"{name}: a file of {file.stat().st_size / 1e3:.0f} kB; milliseconds, medians of {runs} processes")
            for contestant, took in times.items():
                first, second, later = (statistics.median(column) for column in zip(*took, strict=True))
                print(f"  {contestant:<16} first result {first:6.1f}  second {second:6.1f}  a later call {later:6.2f}")


if __name__ == "__main__":
    main()

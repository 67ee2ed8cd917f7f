"""What this was measured on, and what the machine could do at best. No names of hosts, users or folders."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .adapters import cupy, no_gpu, version

_PACKAGES = {
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy"),
    "autograd": ("autograd",),
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
    "torch": ("torch",),
}


def about(threads: int) -> dict[str, Any]:
    """Of this run: date, machine, versions, commit, settings."""
    import gpuad

    versions = {"gpuad": gpuad.__version__, "python": platform.python_version()}
    versions |= {name: found for name, names in _PACKAGES.items() if (found := version(*names))}
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "gpu": _gpu(),
        },
        "versions": versions,
        "commit": _commit(),
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    import gpuad

    return None if no_gpu() else gpuad.backend.get("cupy").device_name()


def _commit() -> str | None:
    """Of the source tree, if this is one."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):  # another project's tree, that gpuad is installed in
            return None
        root = git("rev-parse", "--show-toplevel")
        changed = git("-C", root, "status", "--porcelain", "--untracked-files=no", "--", "gpuad", "kernels", "bench")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def caches() -> int:
    """Bytes of the largest cache of a processor, or a guess."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) << {"K": 10, "M": 20}[text[-1]])
    return max(sizes, default=32 << 20)


# --- what the machine could do at best -----------------------------------------------------------


def ceilings(device: str, quick: bool, threads: int) -> dict[str, Any]:
    """Bytes per second of a copy, read and written, and operations per second of a product of matrices.

    The products are of NumPy's BLAS, or cuBLAS, in full float32 and float64; a multiply-add is two operations. The
    clock is that of the contestants: processor time, if there is one thread and no GPU.
    """
    now = time.process_time if device == "cpu" and threads == 1 else time.perf_counter
    if device == "gpu":
        xp, wait, best_of = cupy(), cupy().cuda.runtime.deviceSynchronize, 10
        entries, side = (1 << 27, 4096) if not quick else (1 << 26, 2048)
    else:
        import numpy

        xp, wait, best_of = numpy, (lambda: None), 3 if quick else 7
        entries, side = (1 << 23, 512) if quick else (1 << 25, 1024)
    source = xp.arange(entries, dtype="float32")
    target = xp.empty_like(source)
    copying = _best(lambda: xp.copyto(target, source), wait, now, best_of)
    found: dict[str, Any] = {"copy_bytes_per_s": 2 * source.nbytes / copying}
    for dtype in ("float32", "float64"):
        a = xp.asarray(xp.random.standard_normal((side, side)), dtype=dtype)
        multiplying = _best(functools.partial(xp.matmul, a, a), wait, now, best_of)
        found[f"product_{dtype}_flops_per_s"] = 2 * side**3 / multiplying
    return found


def _best(call: Callable[[], Any], wait: Callable[[], Any], now: Callable[[], float], times: int) -> float:
    call()
    wait()
    best = float("inf")
    for _ in range(times):
        start = now()
        call()
        wait()
        best = min(best, now() - start)
    return best

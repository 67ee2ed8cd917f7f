"""Runs kernels of plans under AddressSanitizer: ``python cuda_bounds.py plans``; ``mistake`` plants an error.

The kernels, and nothing else, are instrumented. Their arrays are NumPy's, whose memory is malloc's: an access one
byte beside an array ends the process. Ends with 77 where there is no AddressSanitizer.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def sanitizer() -> str | None:
    """The library that must be loaded first, if the compiler has it."""
    asked = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True)
    found = asked.stdout.strip()
    return found if os.path.isabs(found) else None


def start_again() -> None:
    library = sanitizer()
    if library is None:
        print("g++ has no AddressSanitizer")
        sys.exit(77)
    options = "detect_leaks=0:detect_stack_use_after_return=0:verify_asan_link_order=0"
    os.environ.update(LD_PRELOAD=library, ASAN_OPTIONS=options, PYTHONMALLOC="malloc")
    os.execv(sys.executable, [sys.executable, *sys.argv])


def main(what: str) -> None:
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    import cupy_on_cpu
    from cupy_on_cpu import build, kernels

    cupy_on_cpu.install()
    # Accesses to the heap alone: stacks are the fibers', and shared memory is one section. The precompiled header was
    # made without, and what CuPy's kernels need of it ours don't.
    kernels._flags += ["-fsanitize=address", "--param", "asan-stack=0", "--param", "asan-globals=0"]
    kept = build.cache() / "sanitized"
    build.cache = lambda: kept
    build.kernel_prefix = lambda folder: HERE / "cupy_on_cpu" / "kernel" / "cuda_on_cpu.h"

    import cupy
    import numpy as np

    from gpuad.fused import device
    from random_plans import random_case

    def pointers(arrays):
        return [a.__array_interface__["data"][0] for a in arrays]

    def run(case, lengths):
        call = case.call(np.array, np.empty)
        kernel = device.compile(case.plan, cupy)
        numbers = device._flat(case.numbers, case.plan.numbers)
        kernel.run(lengths, call.strides, pointers(call.arrays), numbers, pointers(call.outputs))

    if what == "mistake":
        case = random_case(0, "float32", lengths=(1000,))
        run(case, (1001,))
        return
    seeds = list(enumerate(["float32", "float64", "float16", "complex64", "float32", "float64"]))
    for seed, dtype in seeds:
        case = random_case(seed, dtype, folds=seed % 3 == 0)
        run(case, case.lengths)
    print(f"{len(seeds)} kernels checked")


if __name__ == "__main__":
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):
        start_again()
    main(sys.argv[1])

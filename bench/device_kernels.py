"""How near generated CUDA kernels come to the speed of memory: ``python -m bench.device_kernels``.

Each kernel's time is compared with that of a copy on the device that moves as many bytes, counting the fewest that
the kernel can move: every operand read once, every output written once. First each is checked against plain NumPy
on a small call. ``--entries`` sets the size, ``--dtypes`` what is tried. Needs CuPy and a GPU.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from gpuad.fused import device
from gpuad.fused.plan import Call, Operand, Output, Plan, Step
from plan_reference import run_plan

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}


def plans(dtype: Any) -> Iterator[tuple[str, Plan]]:
    """Backward passes as the sweep makes them, by name. Plans of two loops are of rows."""

    def step(text: str, *args: int, fold: str | None = None) -> Step:
        return Step(text, text, args, (dtype,) * len(args), dtype, fold)

    flat, whole, row = Operand(dtype, (1,)), Operand(dtype, (None, 1)), Operand(dtype, (0, 1))
    tanh = (step("tanh({0})", 1), step("{0} * {1}", 2, 2), step("{0} * {1}", 0, 3), step("{0} - {1}", 0, 4))
    yield "g - g tanh(x)^2", Plan(1, (flat, flat), (), tanh, (Output(5, dtype, (False,)),))
    three = (step("{0} * {1}", 0, 1), step("{0} * {1}", 0, 2), step("{0} + {1}", 3, 4))
    yield "three in, three out", Plan(1, (flat,) * 3, (), three, tuple(Output(k, dtype, (False,)) for k in (3, 4, 5)))
    yield "sum of all", Plan(1, (flat, flat), (), (step("{0} * {1}", 0, 1),), (Output(2, dtype, (True,)),))
    products = (step("{0} * {1}", 0, 2), step("{0} * {1}", 0, 1))
    bias = (Output(3, dtype, (False, False)), Output(4, dtype, (True, False)), Output(0, dtype, (True, False)))
    yield "scale and bias: dx, sums over rows", Plan(2, (whole, whole, row), (), products, bias)
    along = (Output(3, dtype, (False, False)), Output(4, dtype, (False, True)))
    yield "sums along rows", Plan(2, (whole, whole, row), (), products, along)
    softmax = (step("{0} * {1}", 0, 1), step("{0}", 2, fold="add"), step("{0} - {1}", 0, 3), step("{0} * {1}", 1, 4))
    yield "softmax backward", Plan(2, (whole, whole), (), softmax, (Output(5, dtype, (False, False)),))
    norm = (  # g, normalised x, gamma; without 1/deviation, one more row
        step("{0} * {1}", 0, 2),
        step("{0}", 3, fold="add"),
        step("{0} * {1}", 3, 1),
        step("{0}", 5, fold="add"),
        step("{0} * {1}", 1, 6),
        step("{0} - {1}", 3, 4),
        step("{0} - {1}", 8, 7),
        step("{0} * {1}", 0, 1),
    )
    outputs = (Output(9, dtype, (False, False)), Output(10, dtype, (True, False)), Output(0, dtype, (True, False)))
    yield "layer norm backward: dx, dgamma, dbeta", Plan(2, (whole, whole, row), (), norm, outputs)


def call_of(cupy: Any, plan: Plan, entries: int, columns: int) -> Call:
    lengths = (entries,) if plan.ndim == 1 else (max(1, entries // columns), columns)
    random = np.random.default_rng(0)
    arrays, strides = [], []
    for operand in plan.operands:
        own = [n for n, s in zip(lengths, operand.strides, strict=True) if s != 0]
        seed = random.uniform(-0.1, 0.1, min(math.prod(own), 1 << 20)).astype(operand.dtype)
        arrays.append(cupy.resize(cupy.asarray(seed), own))
        strides.append(tuple((columns if s is None else s) for s in operand.strides))
    outputs = []
    for output in plan.outputs:
        kept = [n for n, gone in zip(lengths, output.summed, strict=True) if not gone]
        outputs.append(cupy.full(kept, np.nan, output.dtype))
    return Call(lengths, tuple(arrays), tuple(strides), (), tuple(outputs))


def check(cupy: Any, plan: Plan, columns: int) -> None:
    """Against plain NumPy, on rows enough for several blocks to have some."""
    call = call_of(cupy, plan, 40 * columns + 3 * (plan.ndim == 1), columns)
    device.compile(plan, cupy)(call)
    on_host = call._replace(arrays=tuple(a.get() for a in call.arrays), outputs=tuple(o.get() for o in call.outputs))
    for got, want in zip(on_host.outputs, run_plan(plan, on_host), strict=True):
        tolerance = TOLERANCE[want.dtype.name]
        size = max(1.0, float(np.abs(want).max()))
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=tolerance, atol=tolerance * size)


def seconds(cupy: Any, run: Any, repeats: int) -> float:
    """The median time of a run on the device."""
    times = []
    for _ in range(repeats):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end) / 1e3)
    return statistics.median(times[len(times) // 4 :])


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--entries", type=int, default=1 << 27)
    arguments.add_argument("--columns", type=int, nargs="+", default=[1024, 4096])
    arguments.add_argument("--dtypes", nargs="+", default=["float32", "float16", "float64"])
    arguments.add_argument("--repeats", type=int, default=24)
    given = arguments.parse_args()

    import cupy

    print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    for name in given.dtypes:
        dtype = np.dtype(name)
        for columns in given.columns:
            for title, plan in plans(dtype):
                if plan.ndim == 1 and columns != given.columns[0]:
                    continue
                check(cupy, plan, columns)
                call = call_of(cupy, plan, given.entries, columns)
                moved = sum(a.nbytes for a in (*call.arrays, *call.outputs))
                half = cupy.empty(moved // 2, cupy.uint8)
                other = cupy.empty_like(half)
                copy = seconds(cupy, lambda a=half, b=other: cupy.copyto(b, a), given.repeats)
                kernel = device.compile(plan, cupy)
                took = seconds(cupy, lambda run=kernel, c=call: run(c), given.repeats)
                shape = "x".join(map(str, call.lengths))
                rate = moved / took / 1e9
                print(f"{name} {shape:16} {title:42} {rate:7.0f} GB/s, {copy / took:4.0%} of a copy", flush=True)
                del call, half, other


if __name__ == "__main__":
    main()

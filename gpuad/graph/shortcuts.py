"""Operations that are called in a shorter way than their declaration has it, as text.

A *call* is an expression; ``out`` names the array to write into, or is empty. A *filling* is the statements that put a
result into an array that is there already.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.record import Step
from ..native import narrow
from ..ops.index import ARRAY, Arrays, Region
from .waiting import compute_into

#: A segment, which gives names to values and to things.
Names = Any

#: Reductions that NumPy's functions lead to, on detours.
REDUCERS = {"sum": "add", "max": "maximum", "min": "minimum"}


def on_host(s: Names, step: Step) -> bool:
    """Whether NumPy computes it, of arrays."""
    return step.backend.name == "numpy" and all(s.values[a].strides is not None for a in step.args)


def _part(s: Names, step: Step, out: str) -> str | None:
    if s.values[step.args[0]].strides is None:
        return None
    return f"{s.name(step.args[0])}[{s.thing('k', step.params['key'])}]"


def _gather(s: Names, step: Step, out: str) -> str | None:
    if s.values[step.args[0]].strides is None:
        return None
    x, *arrays = [s.name(a) for a in step.args]
    rest = iter(arrays)
    key = step.params["key"]
    parts = [next(rest) if k is ARRAY else s.thing("k", k) for k in key]
    return f"{x}[{', '.join(parts)},]"


def _reduction(s: Names, step: Step, out: str) -> str | None:
    if not on_host(s, step) or s.values[step.args[0]].spec.dtype.kind not in "fc":
        return None
    reduce = getattr(np, REDUCERS[step.prim.name]).reduce
    axis, keepdims = step.params["axis"], step.params["keepdims"]
    return f"{s.thing('f', reduce)}({s.name(step.args[0])}, {axis}, None, {out or 'None'}, {keepdims})"


def _mean(s: Names, step: Step, out: str) -> str | None:
    """As NumPy's own function does it, which takes three times as long to arrive there."""
    (x,), (y,) = step.args, step.outs
    spec, made = s.values[x].spec, s.values[y].spec
    if not on_host(s, step) or spec.dtype.char not in "fdFD" or not made.size or not spec.size:
        return None
    axis, keepdims = step.params["axis"], step.params["keepdims"]
    count = spec.size // made.size
    total = f"{s.thing('f', np.add.reduce)}({s.name(x)}, {axis}, None, None, {keepdims})"
    if s.values[y].strides is None:
        return f"{s.thing('f', spec.dtype.type)}({total} / {count})"
    return f"{s.thing('f', np.true_divide)}({total}, {s.thing('n', np.array(count, spec.dtype))})"


def _transpose(s: Names, step: Step, out: str) -> str | None:
    if s.values[step.args[0]].strides is None:
        return None
    return f"{s.name(step.args[0])}.transpose({step.params['axes']})"


def _reshape(s: Names, step: Step, out: str) -> str | None:
    if s.values[step.args[0]].strides is None or step.params["order"] != "C":
        return None
    return f"{s.name(step.args[0])}.reshape({step.params['shape']})"


def _astype(s: Names, step: Step, out: str) -> str | None:
    return (
        f"{s.name(step.args[0])}.astype({s.thing('k', np.dtype(step.params['dtype']))})" if on_host(s, step) else None
    )


def _matmul(s: Names, step: Step, out: str) -> str | None:
    x, y = (s.name(a) for a in step.args)
    function: Any = np.matmul
    of_x, of_y = (s.values[a] for a in step.args)
    if on_host(s, step) and step.errstate is None and narrow.fits(of_x.spec, of_y.spec, of_x.strides):
        function = narrow.product(of_x.spec.dtype, of_y.spec.shape[1])
    return f"{s.thing('f', function)}({x}, {y}{', ' * bool(out)}{out})" if on_host(s, step) or out else None


def _where(s: Names, step: Step, out: str) -> str | None:
    c, *_ = (s.name(a) for a in step.args)
    return f"{s.thing('f', step.backend.function('where'))}({c}, {s.beside(step, 1)}, {s.beside(step, 2)})"


def _broadcast_to(s: Names, step: Step, out: str) -> str | None:
    return f"{s.thing('f', step.backend.function('broadcast_to'))}({s.name(step.args[0])}, {step.params['shape']})"


def _sum_to(s: Names, step: Step, out: str) -> str | None:
    (x,) = step.args
    have, want = s.values[x].spec.shape, step.params["shape"]
    extra = len(have) - len(want)
    axes = (*range(extra), *(i + extra for i, n in enumerate(want) if n == 1 and have[i + extra] != 1))
    if not on_host(s, step) or not axes or not want or s.values[x].spec.dtype.kind not in "fc":
        return None
    keepdims = not extra
    total = f"{s.thing('f', np.add.reduce)}({s.name(x)}, {axes}, None, None, {keepdims})"
    return total if keepdims or len(axes) == extra else f"{total}.reshape({want})"


def _concatenate(s: Names, step: Step, out: str) -> str | None:
    if not on_host(s, step):
        return None
    parts = ", ".join([s.name(a) for a in step.args])
    return f"{s.thing('f', np.concatenate)}(({parts},), {step.params['axis']}{', ' * bool(out)}{out})"


CALLS: dict[str, Callable[[Names, Step, str], str | None]] = {
    "broadcast_to": _broadcast_to,
    "concatenate": _concatenate,
    "matmul": _matmul,
    "part": _part,
    "where": _where,
    "gather": _gather,
    "sum": _reduction,
    "sum_to": _sum_to,
    "max": _reduction,
    "min": _reduction,
    "mean": _mean,
    "transpose": _transpose,
    "reshape": _reshape,
    "astype": _astype,
}


# -- fillings -----------------------------------------------------------------------------------------
#: Of larger arrays it isn't found out whether all entries are filled.
_COUNTED = 1 << 20


def fills(s: Names, step: Step) -> bool:
    """Whether there is a filling for a step."""
    name, params = step.prim.name, step.params
    if step.backend.name != "numpy" or any(s.values[out].strides is None for out in step.outs):
        return False
    if name == "stack":
        return True
    if name not in FILLINGS or not on_host(s, step):
        return False
    if name == "concatenate":
        return any(a in s.waiting.results for a in step.args)
    if name == "scatter_add":
        plain = not any(type(i) in (Arrays, Region) for i in params["indices"])
        return plain and 0 < params["spec"].size <= _COUNTED
    if name == "roll":
        axes = params["axes"]
        return len(axes) <= 2 and len(set(axes)) == len(axes) and s.values[step.args[0]].spec.size > 0
    return type(params["constant_values"]) in (int, float)


def _scatter_add(s: Names, step: Step, out: str) -> list[str]:
    """Each term where it belongs; all of these are parts that slices name."""
    indices = step.params["indices"]
    times = np.zeros(step.params["spec"].shape, np.int16)
    for index in indices:
        times[index] += 1
    overlap = times.max() > 1
    lines = [] if times.min() and not overlap else [f"{out}[...] = 0"]
    sign = "+=" if overlap else "="
    for a, index in zip(step.args, indices, strict=True):
        lines.append(f"{out}[{s.thing('k', index)}] {sign} {s.name(a)}")
    return lines


def _roll(s: Names, step: Step, out: str) -> list[str]:
    """The two pieces along an axis, or four along two."""
    (x,) = step.args
    shape = s.values[x].spec.shape
    pieces = []
    for shift, axis in zip(step.params["shifts"], step.params["axes"], strict=True):
        n = shape[axis]
        k = shift % n
        pieces.append([(slice(k, None), slice(None, n - k)), (slice(None, k), slice(n - k, None))][: 1 + bool(k)])
    lines = []
    for chosen in itertools.product(*pieces):
        there, here = [slice(None)] * len(shape), [slice(None)] * len(shape)
        for axis, (a, b) in zip(step.params["axes"], chosen, strict=True):
            there[axis], here[axis] = a, b
        lines.append(f"{out}[{s.thing('k', tuple(there))}] = {s.name(x)}[{s.thing('k', tuple(here))}]")
    return lines


def _pad(s: Names, step: Step, out: str) -> list[str]:
    (x,) = step.args
    shape, value = s.values[x].spec.shape, step.params["constant_values"]
    inner = tuple(slice(before, before + n) for (before, _), n in zip(step.params["widths"], shape, strict=True))
    return [f"{out}[...] = {s.thing('k', value)}", f"{out}[{s.thing('k', inner)}] = {s.name(x)}"]


def _stack(s: Names, step: Step, out: str) -> list[str]:
    along = (slice(None),) * step.params["axis"]
    return [f"{out}[{s.thing('k', (*along, k))}] = {s.name(a)}" for k, a in enumerate(step.args)]


def _joined(s: Names, step: Step, out: str) -> list[str]:
    """Each array where it belongs; what waits is computed there."""
    along, starts = (slice(None),) * step.params["axis"], step.params["starts"]
    lines = []
    for a, (start, stop) in zip(step.args, itertools.pairwise(starts), strict=True):
        there = f"{out}[{s.thing('k', (*along, slice(start, stop)))}]"
        if a in s.waiting.results and a not in s.settled and step.args.count(a) == 1 and s.is_last_use(step, a):
            lines.append(f"{s.thing('f', compute_into)}({there}, {s.names[a]})")
        else:
            lines.append(f"{there} = {s.name(a)}")
    return lines


FILLINGS: dict[str, Callable[[Names, Step, str], list[str]]] = {
    "concatenate": _joined,
    "pad": _pad,
    "roll": _roll,
    "scatter_add": _scatter_add,
    "stack": _stack,
}

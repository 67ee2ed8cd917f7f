"""Statements that are done one entry after another, as functions in C: indices that are arrays, and running sums."""

from __future__ import annotations

from ..fused.c_types import load, memory_type, value_type
from .loops import Text
from .program import Indexed, Program, Ref, Running


def text_of(statement: Indexed | Running, program: Program) -> Text:
    """The function of such a statement, as of ``loops.text_of``."""
    lines = _indexed(statement, program) if isinstance(statement, Indexed) else _running(statement, program)
    refs = [statement.out, *statement.reads]
    head = []
    for k, ref in enumerate(refs):
        const = "const " if k else ""
        head.append(f"{const}{memory_type(program.dtype(ref))} *const p{k} = (void *)p[{k}];")
    text = "\n".join([f"    {line}" for line in [*head, *lines]])
    return Text(text, tuple([(ref.storage, ref.offset) for ref in refs]))


def _at(ref: Ref) -> str:
    """Where in its memory an entry is."""
    terms = [f"i{k} * {s}" for k, (s, n) in enumerate(zip(ref.strides, ref.shape, strict=True)) if s and n != 1]
    return " + ".join(terms) or "0"


def _loops(ref: Ref) -> list[int]:
    """The axes with more than one entry, as they lie in memory."""
    return sorted([k for k, n in enumerate(ref.shape) if n != 1], key=lambda k: -abs(ref.strides[k]))


def _indexed(s: Indexed, program: Program) -> list[str]:
    # What is written twice, or added up, is so in NumPy's order.
    loops = _loops(s.out) if s.how == "read" else [k for k, n in enumerate(s.out.shape) if n != 1]
    depths = [max((d + 1 for d, k in enumerate(loops) if at.numbers.strides[k]), default=0) for at in s.at]
    lines = []
    for d in range(len(loops) + 1):
        if d:
            k = loops[d - 1]
            lines.append(f"for (int64_t i{k} = 0; i{k} < {s.out.shape[k]}; ++i{k}) {{")
        for j, at in enumerate(s.at):
            if depths[j] == d:
                index = load(f"p{j + 2}[{_at(at.numbers)}]", program.dtype(at.numbers))
                lines.append(f"const int64_t at{j} = gpuad_place({index}, {at.length}, {at.axis}) * {at.step};")
    moved = " + ".join([f"at{j}" for j in range(len(s.at))])
    here, there = f"p1[{_at(s.x)}]", f"p0[{_at(s.out)}]"
    if s.how == "read":
        here = f"p1[{_at(s.x)} + {moved}]"
    else:
        there = f"p0[{_at(s.out)} + {moved}]"
    lines.append(f"{there} {'+=' if s.how == 'add' else '='} {load(here, program.dtype(s.x))};")
    return [*lines, "}" * len(loops)]


def _running(s: Running, program: Program) -> list[str]:
    dtype = program.dtype(s.out)
    loops = _loops(s.out)
    inputs = [load(f"p{k + 1}[{_at(ref)}]", dtype) for k, ref in enumerate(s.ins)]
    n, axis = s.out.shape[s.axis], f"i{s.axis}"
    step = s.out.strides[s.axis] if n > 1 else 0
    lines = [f"for (int64_t i{k} = 0; i{k} < {s.out.shape[k]}; ++i{k}) {{" for k in loops]
    if loops and loops[-1] == s.axis:  # the entry before is in a variable
        lines.insert(-1, f"{value_type(dtype)} y = 0;")
        before = "y"
    else:
        before = load(f"p0[{_at(s.out)} - {step}]", dtype)
        if n > 1:
            lines.insert(-1, "#pragma omp simd")
    made = f"{axis} ? {s.scalar.format(before, *inputs)} : {inputs[0]}" if n > 1 else inputs[0]
    store = f"p0[{_at(s.out)}] = {made};" if before != "y" else f"p0[{_at(s.out)}] = y = {made};"
    return [*lines, store, "}" * len(loops)]

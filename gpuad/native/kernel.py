"""A program compiled, and called with arrays.

Nests that have the same text are one function, whatever they work on: a loop of the user's that was recorded step by
step becomes few functions, and a list of calls of them. So compiling takes as long for ten rounds as for a thousand.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..fused import compiler
from ..fused.c_types import key_of
from ..fused.host import flags, head
from . import blas, loops, sequences
from .nests import Nests
from .program import DType, Indexed, Product, Program, Ref, Running, ends, rows

#: What a place of a nest lies in, as kernels/host_program.h numbers it.
_IN_INNER, _IN_CONSTANTS, _IN_NUMBERS, _IN_ARRAYS = range(4)
#: How a number is packed into 16 bytes.
_NUMBERS = {"?": "?15x", "f": "f12x", "d": "d8x", "F": "ff8x", "D": "dd"}
_NUMBERS |= {f"i{n}": f"{code}{16 - n}x" for n, code in zip((1, 2, 4, 8), "bhiq", strict=True)}
_NUMBERS |= {f"u{n}": f"{code}{16 - n}x" for n, code in zip((1, 2, 4, 8), "BHIQ", strict=True)}

#: Rows of a small array may be short: what is left of one after whole vectors is done in smaller ones.
_SHORT_ROWS = "--param=vect-epilogues-nomask=1"


def _flags() -> tuple[str, ...]:
    return (*flags(), _SHORT_ROWS) if compiler.is_gcc() else flags()


class Signature(NamedTuple):
    """What a program is given and what it returns: views of whole arrays, dtypes, and whether results are numbers."""

    arrays: Sequence[Ref]
    numbers: Sequence[DType]
    results: Sequence[Ref]
    are_numbers: Sequence[bool]


class Source:
    """The C text of a program; and its code, which says what is run, and on what."""

    def __init__(self, program: Program, signature: Signature) -> None:
        nests = Nests(program)
        offsets, self.inner_bytes = nests.offsets()
        functions: dict[str, int] = {}
        code: list[int] = []
        most = 1
        for nest in nests.nests:
            first = nest.statements[0]
            if isinstance(first, Product):
                text = blas.text_of(first, program)
            elif isinstance(first, Indexed | Running):
                text = sequences.text_of(first, program)
            else:
                text = loops.text_of(nest, program, nests.variables)
            code += [functions.setdefault(text.body, len(functions)), len(text.places)]
            most = max(most, len(text.places))
            for number, offset in text.places:
                storage = program.storages[number]
                at = offset * storage.dtype.itemsize
                if storage.kind == "inner":
                    code += [_IN_INNER, at + offsets[number]]
                elif storage.kind == "constant":
                    code += [_IN_CONSTANTS, at + storage.index]
                elif storage.kind == "number":
                    code += [_IN_NUMBERS, at + 16 * storage.index]
                elif storage.kind == "array":
                    code += [_IN_ARRAYS + storage.index, at]
                else:
                    code += [_IN_ARRAYS + len(signature.arrays) + storage.index, at]
        self.calls, self.functions = len(nests.nests), len(functions)
        self.code = np.array(code, np.int64)
        #: Whether it tells if an index was outside of its axis.
        self.checks = any(isinstance(statement, Indexed) for statement in program.statements)
        gives, run = ("int64_t", "return gpuad_checked") if self.checks else ("void", "gpuad_run")
        self.text = "\n".join(
            [
                f"#define GPUAD_HEAD {head()}",
                f"#define GPUAD_BLAS_INT int{blas.bits()}_t",
                '#include "host_program.h"',
                *[f"static void nest{k}(char **p) {{\n{body}\n}}" for body, k in functions.items()],
                f"static const gpuad_nest nests[] = {{{', '.join([f'nest{k}' for k in range(len(functions))])}}};",
                f"{gives} program(const gpuad_slot *frame) {{ {run}(frame, nests, {most}); }}",
                "",
            ]
        )


class Kernel:
    """A compiled program. ``call(*arrays, *numbers)`` returns a tuple of new arrays, and of numbers."""

    def __init__(self, program: Program, signature: Signature) -> None:
        import ctypes

        if head() is None:
            raise compiler.CompilerUnavailable("this interpreter doesn't keep arrays as CPython does")
        self.source = Source(program, signature)
        library = compiler.shared_library(self.source.text, _flags())
        known = blas.find()
        if known is not None:
            library.gpuad_set_blas(ctypes.c_void_p(known.double), ctypes.c_void_p(known.single))
        run = library.program
        run.argtypes, run.restype = [ctypes.c_char_p], ctypes.c_int64 if self.source.checks else None
        library.gpuad_fault.restype = ctypes.POINTER(ctypes.c_int64)
        self._fault = library.gpuad_fault
        #: Kept alive: the code that is run refers to them.
        self.constants, at = _aligned(len(program.constants))
        self.constants[at - self.constants.ctypes.data :][: len(program.constants)] = np.frombuffer(
            bytes(program.constants), np.uint8
        )
        self.call = self._written(program, signature, run, at)

    def _written(self, program: Program, signature: Signature, run: Any, constants: int) -> Callable[..., Any]:
        """The function in Python: of a small program, its lines take as long as all of C."""
        arrays, numbers, results, are_numbers = signature
        code, inner = self.source.code, self.source.inner_bytes
        count = len(arrays) + len(results)
        packing = struct.Struct(f"=qqqqq{count}q{''.join([_NUMBERS[key_of(dtype)] for dtype in numbers])}")
        env: dict[str, Any] = {"pack": packing.pack, "run": run, "empty": np.empty, "lying": lying, "pool": []}
        env["new"] = functools.partial(_aligned, inner)
        given = [f"x{k}" for k in range(len(arrays))]
        lines = [f"def call({', '.join([*given, *[f'n{k}' for k in range(len(numbers))]])}):"]
        for k, ref in enumerate(arrays):
            itemsize = program.dtype(ref).itemsize
            env[f"s{k}"] = tuple([s * itemsize for s in ref.strides])
            lines.append(f"    if x{k}.strides != s{k}: x{k} = lying(x{k}, s{k})")
        for k, ref in enumerate(results):
            env[f"d{k}"] = program.dtype(ref)
            lines.append(f"    r{k} = {_new(ref, f'd{k}')}")
        if inner:
            lines += ["    try: inner, at = pool.pop()", "    except IndexError: inner, at = new()"]
        slots = [f"{code.ctypes.data}, {len(code)}, {'at' if inner else 0}, {constants}, {count}"]
        slots += [f"id({name})" for name in (*given, *[f"r{k}" for k in range(len(results))])]
        slots += [f"n{k}.real, n{k}.imag" if dtype.kind == "c" else f"n{k}" for k, dtype in enumerate(numbers)]
        lines.append(f"    failed = run(pack({', '.join(slots)}))")
        if inner:
            lines.append("    pool.append((inner, at))")
        if self.source.checks:
            env["outside"] = self._outside
            lines.append("    if failed: raise outside()")
        returned = [f"r{k}[()]" if is_number else f"r{k}" for k, is_number in enumerate(are_numbers)]
        lines.append(f"    return {', '.join(returned)},")
        exec(compile("\n".join(lines), "<gpuad.native>", "exec"), env)
        return env["call"]  # type: ignore[no-any-return]

    def _outside(self) -> IndexError:
        """What NumPy says of an index outside of its axis."""
        index, axis, length = self._fault()[:3]
        return IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")


def _new(ref: Ref, dtype: str) -> str:
    """The text that makes an array which lies in memory as the view does."""
    if ref.has_strides(rows(ref.shape)):
        return f"empty({ref.shape}, {dtype})"
    order = sorted(range(len(ref.shape)), key=lambda k: -ref.strides[k])
    back = tuple([order.index(k) for k in range(len(order))])
    return f"empty({tuple([ref.shape[k] for k in order])}, {dtype}).transpose({back})"


def _aligned(size: int) -> tuple[Any, int]:
    """Memory, and where in it so many bytes may begin: at a line of the cache."""
    memory = np.empty(size + 64, np.uint8)
    return memory, memory.ctypes.data + -memory.ctypes.data % 64


def lying(x: Any, strides: tuple[int, ...]) -> Any:
    """A copy of ``x`` with these strides, in bytes."""
    first, last = ends(x.shape, strides)
    made = np.ndarray(x.shape, x.dtype, np.empty(last - first + x.itemsize, np.uint8), -first, strides)
    made[...] = x
    return made

"""Compiles the CUDA source of a kernel with g++, in place of CuPy's call to NVRTC."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from . import build

#: How many kernels this process has compiled, and for how many seconds. Cached ones don't count.
compiled = 0
compile_seconds = 0.0

_folder: Path
_flags: list[str]


def compile_with(folder: Path) -> None:
    """From now on CuPy compiles its kernels here, with what was built in ``folder``."""
    global _folder, _flags
    from cupy.cuda import compiler

    _folder, _flags = folder, build.kernel_flags()
    compiler._compile_with_cache_cuda = _compile_module


def _compile_module(
    source: str,
    options: tuple[str, ...],
    arch: str | None,
    extra_source: str | None = None,
    backend: str = "nvrtc",
    enable_cooperative_groups: bool = False,
    name_expressions: tuple[str, ...] | None = None,
    log_stream: Any = None,
    cache_in_memory: bool = False,
    jitify: bool = False,
    to_ltoir: bool = False,
) -> Any:
    """Takes the arguments of the function of CuPy whose place it takes."""
    from cupy.cuda import compiler, function

    asked = {"cooperative groups": enable_cooperative_groups, "jitify": jitify, "LTO": to_ltoir}
    if refused := [what for what, wanted in asked.items() if wanted]:
        raise NotImplementedError(f"{refused[0]}: not emulated on the CPU")
    symbols = {expression: f"on_cpu_expression_{i}" for i, expression in enumerate(name_expressions or ())}
    text = as_cpp(source, symbols)
    library = _library(text, _user_options(options))
    if isinstance(library, str):
        raise compiler.CompileException(library, text, "kernel.cu", options, "g++")
    module = function.Module()
    module.load(b"on_cpu:" + os.fsencode(library) + b"\0")
    module._set_mapping(symbols)
    return module


def _user_options(options: tuple[str, ...]) -> list[str]:
    """Definitions and include folders; the rest is NVRTC's, or in our flags already."""
    ours = set(_flags)
    return [o for o in options if o.startswith(("-D", "-U", "-I")) and o not in ours and not _is_cuda(o)]


def _is_cuda(option: str) -> bool:
    """Whether it names the folder of CUDA's own headers. CuPy passes it; g++ can't read them as CUDA."""
    return option.startswith("-I") and (Path(option[2:]) / "cuda_runtime.h").exists()


# --- the source ----------------------------------------------------------------------------------
_ATTRIBUTE = r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*|(?:void|static|inline|const)\s+"
_TOKEN = re.compile(
    rf"""
      (?P<skipped> //[^\n]* | /\*.*?\*/ | "(?!C")(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+' )
    | (?P<c_block> extern\s*"C"\s*\{{ )
    | (?P<c_kernel> extern\s*"C"\s*)?  (?:{_ATTRIBUTE})*
      __global__\s+ (?:{_ATTRIBUTE})* (?P<name>\w+)\s*\(
    | (?P<open>\{{) | (?P<close>\}})
    """,
    re.VERBOSE | re.DOTALL,
)
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?([^;\[\]]+?)\s+"
    r"(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?(\w+)\s*\[\s*\]\s*;"
)


def c_kernels(source: str) -> list[str]:
    """The names of the kernels with C linkage: those that can be asked for by their plain name."""
    names: list[str] = []
    c_block_ends_at: list[int] = []
    depth = 0
    for token in _TOKEN.finditer(source):
        if token["c_block"]:
            c_block_ends_at.append(depth)
            depth += 1
        elif token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
            if c_block_ends_at and c_block_ends_at[-1] == depth:
                c_block_ends_at.pop()
        elif token["name"] and (token["c_kernel"] or c_block_ends_at) and token["name"] not in names:
            names.append(token["name"])
    return names


def as_cpp(source: str, symbols: dict[str, str]) -> str:
    """The source with what makes its kernels known to the device behind it."""
    exports = {f"on_cpu_kernel_{name}": name for name in c_kernels(source)}
    exports |= {f"on_cpu_kernel_{symbol}": expression for expression, symbol in symbols.items()}
    # An array without a size gets its size at launch.
    body = _DYNAMIC_SHARED.sub(r"\1* const \2 = (\1*)on_cpu_dynamic_shared;", source)
    lines = [f"ON_CPU_EXPORT({symbol}, {kernel})" for symbol, kernel in exports.items()]
    return '#line 1 "kernel.cu"\n' + body + "\n" + "\n".join(lines) + "\n"


# --- compiling -----------------------------------------------------------------------------------
def _library(text: str, options: list[str]) -> Path | str:
    """The compiled source, from the cache if it is there; the compiler's messages if it fails."""
    global compiled, compile_seconds
    # The folder's name stands for compiler, flags and headers.
    key = hashlib.sha256("\0".join([_folder.name, text, *options]).encode()).hexdigest()[:24]
    library = build.cache() / "kernels" / key[:2] / f"{key}.so"
    if library.exists():
        return library
    start = time.perf_counter()
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        made = Path(scratch) / "kernel.so"
        (Path(scratch) / "kernel.cpp").write_text(text)
        # Without -nostdlib the linker looks through libraries for 15 ms; the device has loaded them.
        command = ["g++", *_flags, *options, "-shared", "-nostdlib", "-include", str(build.kernel_prefix(_folder))]
        command += ["-o", "kernel.so", "kernel.cpp"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        os.replace(made, library)
    compiled += 1
    compile_seconds += time.perf_counter() - start
    return library

"""The system's C compiler: source in, loaded library out; kept in memory and on disk.

A compiler that is missing, broken or slow is found out once, and not asked again in this process. One that fails
for a single source is asked for others as long as it compiles a function of one line.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import kernel_sources
from . import library_cache

if TYPE_CHECKING:
    import ctypes
    import subprocess

#: Seconds that a compiler has for a kernel, of which most take a tenth of one, and for a line or its own name.
PATIENCE = 20.0
PATIENCE_FOR_LITTLE = 5.0

_USUAL_NAMES = ("cc", "gcc", "clang")
_PROBE = "int gpuad_probe(void) { return 42; }\n"

_libraries: dict[str, ctypes.CDLL] = {}  # never unloaded: nobody knows who holds a function of one
_refused: dict[str, str] = {}  # why a source has none, by the same key
_broken: dict[tuple[Compiler, tuple[str, ...]], str] = {}  # why a compiler makes nothing at all with such flags
_lock = threading.Lock()


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)  # a thread that isn't there any more may have held it


class CompilerUnavailable(RuntimeError):
    """There is no library of a source: no compiler, or it failed, or it gave no answer in time.

    ``reason`` says which, in words to be put after a colon.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Failed(Exception):
    """One attempt to compile or load something. The text says why."""


class _NoAnswer(_Failed):
    """It took too long."""


class Compiler(NamedTuple):
    """A C compiler, and all that its results depend on but the source and the flags."""

    path: str
    version: str
    identity: str


def shared_library(source: str, flags: tuple[str, ...]) -> ctypes.CDLL:
    """The library that the C program ``source`` makes when compiled with ``flags``.

    The headers of ``kernels/`` can be included. Whoever asks for the same again in this process gets the same
    library; in a later one it is loaded from ``cache_folder()/kernels``, unless the compiler, its version, the
    processor's features, the C library, the headers or gpuad's version have changed.

    Raises ``CompilerUnavailable``. A failure is remembered: asking again costs nothing.

    >>> library = shared_library("double twice(double x) { return 2 * x; }", ("-O2",))  # doctest: +SKIP
    """
    compiler = _compiler()
    key = _key(compiler, source, flags)
    with _lock:
        if (library := _libraries.get(key)) is not None:
            return library
        reason = _refused.get(key) or _broken.get((compiler, flags))
        if reason is not None:
            raise CompilerUnavailable(reason)
        library = _from_disk(key)
        if library is None:
            library = _compile(compiler, source, flags, key)
        _libraries[key] = library
        return library


def unavailable() -> str | None:
    """Why nothing can be compiled here, as far as is known without trying; ``None`` if it may work."""
    try:
        compiler = _compiler()
    except CompilerUnavailable as none:
        return none.reason
    return next((why for (broken, _), why in _broken.items() if broken == compiler), None)


def is_gcc() -> bool:
    """Whether the compiler is GCC, by any name, and takes flags that others don't know. Raises as above."""
    return "Free Software Foundation" in _compiler().identity


def describe() -> str:
    """The compiler and its version, or why there is none: a line."""
    reason = unavailable()
    if reason is not None:
        return f"none: {reason}"
    compiler = _compiler()
    return f"{compiler.path}, {compiler.version}"


# -- which compiler ------------------------------------------------------------------------------------
def _compiler() -> Compiler:
    found = _look_up(os.environ.get("GPUAD_CC", ""), os.environ.get("PATH", ""))
    if isinstance(found, str):
        raise CompilerUnavailable(found)
    return found


@functools.lru_cache(8)
def _look_up(asked: str, search_path: str) -> Compiler | str:
    """The compiler, or why there is none."""
    import shutil

    for name in (asked,) if asked else _USUAL_NAMES:
        found = shutil.which(name, path=search_path)
        if found is not None:
            return _examine(os.path.abspath(found))
    if asked:
        return f"GPUAD_CC={asked} names no program that can be run"
    return f"no C compiler is found: none of {', '.join(_USUAL_NAMES)} is on the PATH"


def _examine(path: str) -> Compiler | str:
    try:
        version = _run([path, "--version"], PATIENCE_FOR_LITTLE)
        features = _processor() or _run(
            [path, "-march=native", "-dM", "-E", "-x", "c", os.devnull], PATIENCE_FOR_LITTLE
        )
        found = os.stat(path)
        headers = "\0".join(kernel_sources.read(file.name) for file in sorted(kernel_sources.folder().glob("*.h")))
    except (_Failed, OSError) as failure:
        return f"{path} doesn't work: {failure}"
    from .. import __version__

    c_library = os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else ""
    parts = (path, version, found.st_mtime_ns, found.st_size, features, c_library, headers, __version__)
    return Compiler(path, version.partition("\n")[0].strip(), "\0".join(map(str, parts)))


def _processor() -> str:
    """What ``-march=native`` goes by, of the first processor; empty where the system doesn't say."""
    telling = ("vendor_id", "cpu family", "model", "flags", "features", "cpu implementer", "cpu variant", "cpu part")
    lines: list[str] = []
    try:
        # Processors are written out as they are read: with hundreds of them that takes long.
        with open("/proc/cpuinfo") as file:
            for line in file:
                if not line.strip() and lines:
                    break
                if line.partition(":")[0].strip().lower() in telling:
                    lines.append(line)
    except OSError:
        return ""
    return "".join(lines) and os.uname().machine + "".join(lines)


def _key(compiler: Compiler, source: str, flags: tuple[str, ...]) -> str:
    import hashlib

    text = "\0".join((compiler.identity, str(len(flags)), *flags, source))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# -- compiling and loading -----------------------------------------------------------------------------
def _from_disk(key: str) -> ctypes.CDLL | None:
    path = library_cache.find(key)
    if path is None:
        return None
    try:
        return _load(path)
    except _Failed:  # removed in between, say, or on a file system that nothing is run from: make it anew
        return None


def _compile(compiler: Compiler, source: str, flags: tuple[str, ...], key: str) -> ctypes.CDLL:
    """Compile where libraries are kept; if that fails for the place's sake, in a folder of this process's own."""
    why: Exception | None = None
    for place in library_cache.places():
        try:
            with library_cache.making(place) as work:
                return _load(library_cache.keep(_build(compiler, source, flags, work, PATIENCE), key, place))
        except OSError as failure:  # of the place: the compiler's own come as _Failed
            why = failure
        except _Failed as failure:
            why = failure
            if _works(compiler, flags, place):
                _refused[key] = f"{compiler.path} refuses a kernel: {why}"
                raise CompilerUnavailable(_refused[key]) from None
            if isinstance(why, _NoAnswer):
                break
    reason = f"{compiler.path} doesn't work: {why or 'there is no folder that can be written'}"
    _broken[compiler, flags] = reason
    raise CompilerUnavailable(reason)


def _works(compiler: Compiler, flags: tuple[str, ...], place: Path) -> bool:
    """Whether the compiler makes anything at all in that place with these flags."""
    try:
        with library_cache.making(place) as work:
            library = _load(_build(compiler, _PROBE, flags, work, PATIENCE_FOR_LITTLE))
            return bool(library.gpuad_probe() == 42)
    except (_Failed, OSError):
        return False


def _build(compiler: Compiler, source: str, flags: tuple[str, ...], work: Path, patience: float) -> Path:
    # The compiler's own files go into `work` as well, so that nothing is left of one that is killed.
    (work / "kernel.c").write_text(source, encoding="utf-8")
    include = str(kernel_sources.folder())
    command = [compiler.path, "-shared", "-fPIC", "-I", include, "kernel.c", "-o", "kernel.so", *flags]
    _run(command, patience, work)
    return work / "kernel.so"


def _load(path: Path) -> ctypes.CDLL:
    import ctypes

    try:
        return ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise _Failed(f"what it made can't be loaded: {error}") from None


def _run(command: list[str], patience: float, work: Path | None = None) -> str:
    """What a command prints. It and all that it has started are ended when its time is up."""
    import subprocess

    environment = {**os.environ, "LC_ALL": "C"}
    if work is not None:
        environment["TMPDIR"] = str(work)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=work,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise _Failed(f"it can't be run: {error.strerror}") from None
    try:
        printed = process.communicate(timeout=patience)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        _end(process)
        raise _NoAnswer(f"it gave no answer in {patience:g} seconds") from None
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        raise _Failed(_gist(printed) or f"it ended with status {process.returncode} and said nothing")
    return printed


def _end(process: subprocess.Popen[bytes]) -> None:
    import signal

    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError):  # a system without groups of processes, or it has just ended
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _gist(printed: str) -> str:
    """The line of a compiler's complaint that names the error."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")[:300]

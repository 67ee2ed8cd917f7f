"""Builds CuPy's runtime module against the emulated device.

The result stays in the user's cache folder, in a folder named by everything it was made from. Two
processes may build at once: one waits for the other, and a folder appears under its name only when it
is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
WHEEL = "cupy-cuda13x"
#: The versions of CuPy that this was made for, with the SHA-256 of their source distributions.
SOURCES = {"14.2.0": "cfed725e612178cfbdbf62f4a3a598b60edecbbca718c0d4580c21a16ae4a62c"}
CUDA_VERSION = "13000"

Say = Callable[[str], None]


class Unavailable(Exception):
    """CuPy can't be run on the CPU here; the message says why, in one line."""


def library(folder: Path) -> Path:
    """The emulated driver, runtime and cuBLAS, under the name by which CuPy asks for the driver."""
    return folder / "libcuda.so.1"


def math_libraries(folder: Path) -> dict[str, Path]:
    return {"cublas": folder / "libcublas.so.13", "curand": folder / "libcurand.so.10"}


def runtime_module(folder: Path) -> Path:
    return folder / f"runtime{sysconfig.get_config_var('EXT_SUFFIX')}"


def kernel_prefix(folder: Path) -> Path:
    """The header put in front of every kernel; its compiled form lies beside it."""
    return folder / "prefix.h"


def cache() -> Path:
    """Where gpuad's cache is too. Asked of the environment, as this doesn't need gpuad to be importable."""
    chosen = os.environ.get("GPUAD_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME", "")
    users = Path(user) if os.path.isabs(user) else Path.home() / ".cache"
    return (Path(chosen).expanduser() if chosen else users / "gpuad") / "cupy-on-cpu"


def build(say: Say = lambda line: None) -> Path:
    """The folder with everything that was built; built now if it isn't there yet."""
    version, headers = _check_requirements()
    folder = cache() / f"{version}-{sys.implementation.cache_tag}-{_fingerprint()}"
    if folder.exists():
        return folder
    with _only_one_process(cache() / "lock"):
        if not folder.exists():
            start = time.perf_counter()
            say(f"building CuPy {version} for the CPU in {folder}")
            with tempfile.TemporaryDirectory(dir=cache(), prefix="build-") as scratch:
                product = Path(scratch) / "product"
                product.mkdir()
                _build_all(version, headers, Path(scratch), product, say)
                product.rename(folder)
            say(f"done in {time.perf_counter() - start:.0f} s")
    return folder


def kernel_flags() -> list[str]:
    """g++'s flags for kernels and for the precompiled header, which must be the same."""
    found = importlib.util.find_spec("cupy")
    assert found is not None and found.origin is not None
    include = Path(found.origin).parent / "_core" / "include"
    return [
        *("-std=c++17", "-fPIC", "-w", "-fvisibility=hidden", "-fno-strict-aliasing", *OPTIMISATION),
        # CUDA contracts a * b + c into one operation unless told otherwise.
        *("-march=native", "-ffp-contract=fast"),
        # setjmp and longjmp switch between the threads of a block; fortified ones refuse that.
        "-U_FORTIFY_SOURCE",
        f"-D__CUDACC_VER_MAJOR__={CUDA_VERSION[:2]}",
        *(f"-I{HERE / 'kernel' / 'include'}", f"-I{HERE / 'kernel'}", f"-I{include}"),
        *(f"-I{include}/cupy/_cccl/{part}" for part in ("libcudacxx", "cub", "thrust")),
    ]


#: Measured over CuPy's own kernels: -O0 compiles one in 60 ms, -O1 in 67, -O2 in 76. -O1 runs them
#: 2.3 times as fast as -O0, and -O2 hardly faster than -O1.
OPTIMISATION = ("-O1",)


# --- what has to be there ------------------------------------------------------------------------
def _check_requirements() -> tuple[str, Path]:
    """The version of CuPy and the folder of CUDA's headers; ``Unavailable`` if anything is missing."""
    if sys.platform != "linux":
        raise Unavailable("running CuPy on the CPU works on Linux only")
    if shutil.which("g++") is None:
        raise Unavailable("there is no g++")
    version = _installed(WHEEL)
    if version not in SOURCES:
        raise Unavailable(f"{WHEEL} {version} is installed, this needs {' or '.join(SOURCES)}")
    if not _installed("Cython").startswith("3.2."):
        raise Unavailable(f"Cython {_installed('Cython')} is installed, CuPy {version} needs 3.2")
    nvidia = importlib.util.find_spec("nvidia")
    for place in nvidia.submodule_search_locations or () if nvidia else ():
        headers = Path(place) / "cu13" / "include"
        if all((headers / name).exists() for name in ("cuda_runtime.h", "crt", "cuda_profiler_api.h")):
            return version, headers
    raise Unavailable(f"CUDA's headers aren't installed ({_how_to_install()})")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise Unavailable(f"{name} isn't installed ({_how_to_install()})") from None


def _how_to_install() -> str:
    return "pip install -r tests/cupy_on_cpu/requirements.txt"


def _fingerprint() -> str:
    """Of our sources, the compiler and the kind of processor it compiles for."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(HERE.glob("device/*")), *sorted(HERE.rglob("kernel/**/*.h"))):
        digest.update(path.read_bytes())
    compiler = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    digest.update(compiler)
    digest.update("\0".join([platform.machine(), *kernel_flags()]).encode())
    with contextlib.suppress(OSError):
        cpu = Path("/proc/cpuinfo").read_text()
        digest.update("".join(re.findall(r"^(?:flags|Features)\s*:.*$", cpu, re.M)[:1]).encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _only_one_process(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- CuPy's source -------------------------------------------------------------------------------
def _fetch_source(version: str, scratch: Path, say: Say) -> Path:
    """CuPy's source distribution, kept in the cache folder and verified each time."""
    name = f"cupy-{version}.tar.gz"
    kept = cache() / name
    if not kept.exists():
        say(f"fetching the source distribution of CuPy {version}")
        os.replace(_download(version, scratch) / name, kept)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != SOURCES[version]:
        kept.unlink()
        raise Unavailable(f"the source distribution of CuPy {version} isn't the one expected (SHA-256)")
    return kept


def _download(version: str, scratch: Path) -> Path:
    """pip asks a source distribution for its metadata by running its build backend, and CuPy's fails
    where there is no CUDA toolkit. So pip is given a backend of the same name that only answers that
    one question. Nothing of the archive is run before its hash is known.
    """
    backend = scratch / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(_METADATA_BACKEND.format(version=version))
    target = scratch / "source"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", str(target)]
    environment = {**os.environ, "PYTHONPATH": str(backend.parent)}
    done = subprocess.run([*pip, f"cupy=={version}"], capture_output=True, text=True, env=environment)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = errors[0].removeprefix("ERROR: ") if errors else "pip failed"
        raise Unavailable(f"the source distribution of CuPy {version} can't be fetched: {why}")
    return target


_METADATA_BACKEND = """
import os

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    name = "cupy-{version}.dist-info"
    os.mkdir(os.path.join(directory, name))
    with open(os.path.join(directory, name, "METADATA"), "w") as f:
        f.write("Metadata-Version: 2.1\\nName: cupy\\nVersion: {version}\\n")
    return name
"""


# --- compiling -----------------------------------------------------------------------------------
def _build_all(version: str, headers: Path, scratch: Path, product: Path, say: Say) -> None:
    source = scratch / f"cupy-{version}"
    with tarfile.open(_fetch_source(version, scratch, say)) as archive:
        wanted = [m for m in archive if m.name.startswith(f"{source.name}/cupy_backends/")]
        archive.extractall(scratch, wanted, filter="data")

    say("translating CuPy's runtime module with Cython")
    runtime = source / "cupy_backends" / "cuda" / "api" / "runtime.pyx"
    directives = "binding=False,c_api_binop_methods=True,warn.deprecated.IF=False"
    known = {"CUPY_CUDA_VERSION": CUDA_VERSION, "CUPY_HIP_VERSION": "0", "CUPY_USE_CUDA_PYTHON": "0"}
    cython = [sys.executable, "-m", "cython", "-3", "--cplus", "-X", directives]
    for name, value in known.items():
        cython += ["-E", f"{name}={value}"]
    _run([*cython, "-o", "runtime.cpp", str(runtime)], source)

    say("compiling it, the emulated device and the header of all kernels")
    prefix = kernel_prefix(product)
    prefix.write_text(_PREFIX)
    python = f"-I{sysconfig.get_paths()['include']}"
    common = ["g++", "-std=c++17", "-fPIC", "-U_FORTIFY_SOURCE", f"-I{headers}"]
    include = ["-I", str(runtime.parent), "-I", str(source)]
    jobs = [[*common, "-O1", "-w", python, *include, "-c", "runtime.cpp", "-o", "runtime.o"]]
    gch = f"{prefix}.gch"
    jobs += [["g++", *kernel_flags(), "-x", "c++-header", str(prefix), "-o", gch]]
    parts = sorted((HERE / "device").glob("*.cpp"))
    fast = ["-O3", "-march=native", "-fcx-limited-range", "-Wall", "-Wextra", "-Werror"]
    jobs += [[*common, *fast, "-c", str(part), "-o", f"{part.stem}.o"] for part in parts]
    _run_in_parallel(jobs, source)

    say("linking")
    objects = [f"{part.stem}.o" for part in parts]
    asked = {
        "cuda": _symbols(["-u", "runtime.o"], source),
        "cu": _driver_calls(runtime.parent / "_driver_extern.pxi"),
    }
    for name in math_libraries(product):
        asked[name] = _symbols(["-D", "-u", str(_module_of_wheel(name))], source)
    provided = _symbols(["--defined-only", *objects], source)
    (source / "refused.cpp").write_text(_refusals(asked, provided))
    link = ["g++", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-Wl,-Bsymbolic"]
    _run([*link, "-o", str(library(product)), *objects, "refused.cpp", "-ldl"], source)
    # CuPy's modules ask for libraries of these names. Being empty, they find their functions in ours.
    for path in math_libraries(product).values():
        empty = ["g++", "-shared", f"-Wl,-soname,{path.name}", "-Wl,-rpath,$ORIGIN", "-Wl,--no-as-needed"]
        _run([*empty, "-o", str(path), str(library(product))], source)
    _run(["g++", "-shared", "-o", str(runtime_module(product)), "runtime.o"], source)


#: What every kernel of CuPy includes. Missing here it would be read again for each kernel.
_PREFIX = """\
#include "cuda_on_cpu.h"
#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
"""


def _refusals(asked: dict[str, set[str]], provided: set[str]) -> str:
    """C++ in which every call that CuPy may make and we don't provide refuses, naming itself."""
    refuse = {
        "cuda": 'extern "C" int {name}() {{ return on_cpu_refuse_runtime("{name}"); }}',
        "cublas": 'extern "C" int {name}() {{ return 15; }} // CUBLAS_STATUS_NOT_SUPPORTED',
        "curand": 'extern "C" int {name}() {{ return 204; }} // CURAND_STATUS_ARCH_MISMATCH',
        "cu": 'extern "C" int {name}() {{ return on_cpu_refuse_driver("{name}"); }}',
    }
    lines = [f'extern "C" int on_cpu_refuse_{what}(const char *);' for what in ("runtime", "driver")]
    for prefix, names in asked.items():
        missing = sorted(n for n in names - provided if re.match(prefix + "[A-Z]", n))
        lines += [refuse[prefix].format(name=name) for name in missing]
    return "\n".join(lines) + "\n"


def _driver_calls(declarations: Path) -> set[str]:
    """The driver's functions that CuPy looks up by name when it loads."""
    found = re.findall(r"_L\.get\(f?'(\w+)(\{version\})?'\)", declarations.read_text())
    return {"cu" + name + ("_v2" if versioned else "") for name, versioned in found}


def _module_of_wheel(name: str) -> Path:
    files = importlib.metadata.distribution(WHEEL).files or ()
    (found,) = (f for f in files if re.search(rf"cuda/libs/{name}\..*\.so$", str(f)))
    return Path(str(found.locate()))


def _symbols(options: list[str], folder: Path) -> set[str]:
    lines = _run(["nm", *options], folder).splitlines()
    return {line.split()[-1].partition("@")[0] for line in lines if len(line.split()) > 1}


def _run(command: list[str], folder: Path) -> str:
    return _finish(command, _start(command, folder))


def _run_in_parallel(commands: list[list[str]], folder: Path) -> None:
    """At most as many at a time as there are processors."""
    at_once = len(os.sched_getaffinity(0))
    running: list[tuple[list[str], subprocess.Popen[str]]] = []
    for command in commands:
        if len(running) == at_once:
            _finish(*running.pop(0))
        running.append((command, _start(command, folder)))
    for command, process in running:
        _finish(command, process)


def _start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def _finish(command: list[str], process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate()
    if process.returncode:
        log = cache() / "build.log"
        log.write_text(" ".join(command) + "\n" + output + errors)
        first = next((line for line in errors.splitlines() if "error" in line.lower()), "no message")
        raise Unavailable(f"{Path(command[0]).name} failed: {first.strip()} (all of it is in {log})")
    return output

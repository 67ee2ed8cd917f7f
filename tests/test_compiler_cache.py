"""C becomes a library, is kept, found again, and never loaded where another user could have written it.

What can go wrong is made to go wrong: compilers that fail, hang or are killed, full and read-only disks, files cut
short, files of other users, several processes at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gpuad
from command_line import environment, run_gpuad
from gpuad import kernel_sources
from gpuad.backend import numpy_backend
from gpuad.errors import BackendError
from gpuad.fused import compiler, executors, launch, library_cache, switch
from gpuad.fused.compiler import CompilerUnavailable, shared_library
from gpuad.fused.plan import Operand, Output, Plan, Step

PACKAGE = sys.modules["gpuad.fused"]  # whatever gpuad itself calls by that name
REAL = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners, modes and signals of POSIX")
needs_compiler = pytest.mark.skipif(REAL is None, reason="no C compiler on the PATH")
is_root = hasattr(os, "geteuid") and os.geteuid() == 0

SOURCE = "int number(void) { return %d; }\n"
FLAGS = ("-O1",)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache and a process that has compiled nothing; the folder of the kernels."""
    monkeypatch.setenv("GPUAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("GPUAD_CC", raising=False)
    monkeypatch.delenv("GPUAD_CPU_EXECUTOR", raising=False)
    forget(monkeypatch)
    yield tmp_path / "cache" / "kernels"
    compiler._look_up.cache_clear()
    executors._compiled.cache_clear()


def forget(monkeypatch):
    """As in a new process."""
    for name in ("_libraries", "_refused", "_broken"):
        monkeypatch.setattr(compiler, name, {})
    monkeypatch.setattr(executors, "_warned", False)
    compiler._look_up.cache_clear()
    executors._compiled.cache_clear()


class FakeCompiler:
    """A script that writes down what it is asked for, does ``body``, then calls the real compiler."""

    def __init__(self, folder: Path, body: str) -> None:
        self.log = folder / "calls"
        self.path = folder / "fakecc"
        self.path.write_text(
            f'#!/bin/sh\necho "$@" >> {self.log}\n[ "$1" = --version ] && echo "fake 1.0" && exit 0\n'
            f'{body}\nexec {REAL} "$@"\n'
        )
        self.path.chmod(0o755)

    def compilations(self) -> int:
        return sum("kernel.c" in line for line in self.log.read_text().splitlines())


@pytest.fixture
def fake(monkeypatch, tmp_path):
    def make(body=""):
        made = FakeCompiler(tmp_path, body)
        monkeypatch.setenv("GPUAD_CC", str(made.path))
        return made

    return make


PROGRAM = """
import sys
from pathlib import Path
from gpuad.fused import compiler, library_cache
try:
    print(compiler.shared_library(sys.argv[1], ("-O1",)).number())
except compiler.CompilerUnavailable as unavailable:
    print("unavailable:", unavailable.reason)
print("private", library_cache._private and library_cache._private[1])
"""


def start(source, before="", **variables):
    """Another process that compiles ``source`` and prints its number, or why not."""
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, source],
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    number, _, private = printed.rpartition("private ")
    return number.strip(), private.strip()


# -- what it is for --------------------------------------------------------------------------------
@needs_compiler
def test_a_library_is_compiled_once_in_a_process(fake):
    fake_compiler = fake()
    library = shared_library(SOURCE % 3, FLAGS)
    assert library.number() == 3
    assert shared_library(SOURCE % 3, FLAGS) is library
    assert fake_compiler.compilations() == 1


@needs_compiler
def test_another_process_finds_it_on_disk(fake, cache):
    fake_compiler = fake()
    assert [finish(start(SOURCE % 3)) for _ in range(2)] == [("3", "None")] * 2
    assert fake_compiler.compilations() == 1
    assert len(os.listdir(cache)) == 1
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700


@needs_compiler
def test_the_headers_of_the_kernels_can_be_included(monkeypatch, tmp_path):
    (tmp_path / "number.h").write_text("#define NUMBER 5\n")
    monkeypatch.setattr(kernel_sources, "folder", lambda: tmp_path)
    monkeypatch.setattr(kernel_sources, "read", lambda name: (tmp_path / name).read_text())
    source = '#include "number.h"\nint number(void) { return NUMBER; }\n'
    assert shared_library(source, FLAGS).number() == 5
    (tmp_path / "number.h").write_text("#define NUMBER 6\n")
    forget(monkeypatch)
    assert shared_library(source, FLAGS).number() == 6


@needs_compiler
@pytest.mark.parametrize("what", ["flags", "version of gpuad", "processor", "compiler's version", "compiler's date"])
def test_what_a_library_depends_on_is_in_its_key(monkeypatch, cache, fake, what):
    fake_compiler = fake()
    flags = FLAGS
    shared_library(SOURCE % 3, flags)
    forget(monkeypatch)
    shared_library(SOURCE % 3, flags)
    assert len(os.listdir(cache)) == 1  # nothing has changed yet
    forget(monkeypatch)
    if what == "flags":
        flags = ("-O2",)
    elif what == "version of gpuad":
        monkeypatch.setattr(gpuad, "__version__", "another")
    elif what == "processor":
        monkeypatch.setattr(compiler, "_processor", lambda: "flags: avx1024")
    elif what == "compiler's version":
        script = fake_compiler.path.read_text().replace("fake 1.0", "fake 1.1")
        at = fake_compiler.path.stat()
        fake_compiler.path.write_text(script)
        os.utime(fake_compiler.path, ns=(at.st_atime_ns, at.st_mtime_ns))
    else:
        os.utime(fake_compiler.path, (1.0, 1.0))
    assert shared_library(SOURCE % 3, flags).number() == 3
    assert fake_compiler.compilations() == 2
    assert len({name.partition("-")[0] for name in os.listdir(cache)}) == 2


@needs_compiler
def test_a_processor_that_says_nothing_of_itself_is_asked_through_the_compiler(monkeypatch):
    monkeypatch.setattr(compiler, "_processor", lambda: "")
    assert "#define __" in compiler._compiler().identity


# -- several processes -----------------------------------------------------------------------------
@needs_compiler
def test_processes_that_compile_the_same_at_once(fake, cache, tmp_path):
    fake_compiler = fake(f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done")
    processes = [start(SOURCE % 7) for _ in range(3)]
    wait_until(lambda: fake_compiler.log.exists() and fake_compiler.compilations() == 3)
    (tmp_path / "go").touch()
    assert [finish(p) for p in processes] == [("7", "None")] * 3
    assert fake_compiler.compilations() == 3  # really at once
    assert len([name for name in os.listdir(cache) if name.endswith(".so")]) == 1
    assert not [name for name in os.listdir(cache) if name.startswith("making-")]


def wait_until(happened, patience=30):
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


@needs_compiler
def test_a_process_killed_while_compiling(monkeypatch, fake, cache, tmp_path):
    # The first time, half a library is written, and no more comes.
    half = "echo half | tee $TMPDIR/own > kernel.so"
    fake_compiler = fake(f"[ -e {tmp_path}/pid ] || {{ {half}; echo $$ > {tmp_path}/pid; exec sleep 60; }}")
    process = start(SOURCE % 7)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.kill()
    process.communicate()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    (left,) = cache.iterdir()
    assert (left / "kernel.so").read_text() == (left / "own").read_text() == "half\n"
    assert finish(start(SOURCE % 7)) == ("7", "None")
    assert fake_compiler.compilations() == 2
    assert left.exists()  # it may still be at work, as far as anybody knows
    os.utime(left, (1.0, 1.0))
    shared_library(SOURCE % 8, FLAGS)
    assert not left.exists()


FORKS = """
import os, threading
import numpy as np
from gpuad import grad
from gpuad.core import constants
from gpuad.fused import compiler

x = np.linspace(-1, 1, 200_000)
cube = lambda x: np.sum(x * x * x)
held = threading.Event()

def hold():
    with constants._locking:
        held.set()
        threading.Event().wait(0.2)

for work in (hold, lambda: grad(cube)(x)):
    other = threading.Thread(target=work)
    other.start()
    if work is hold:
        held.wait()
    while work is not hold and not compiler._lock.locked():
        assert other.is_alive()
    child = os.fork()
    if not child:
        same = np.allclose(grad(lambda x: np.sum(x * x))(x), 2 * x)
        if work is not hold:  # else it would be on disk before the other thread asks for it
            same = same and np.allclose(grad(cube)(x), 3 * x * x)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    other.join()
"""


@needs_compiler
def test_a_child_is_forked_while_another_thread_plans_and_compiles(fake):
    """It hasn't that thread, which would never give back what it holds."""
    slow = fake("sleep 0.3")
    variables = {"GPUAD_CPU_EXECUTOR": "c", "GPUAD_CC": str(slow.path)}
    done = subprocess.run(
        [sys.executable, "-c", FORKS], env=environment(variables), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert slow.compilations() >= 2


# -- compilers that don't --------------------------------------------------------------------------
def test_there_is_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerUnavailable, match="no C compiler is found") as caught:
        shared_library(SOURCE % 3, FLAGS)
    assert compiler.unavailable() == caught.value.reason
    assert compiler.describe() == f"none: {caught.value.reason}"
    monkeypatch.setenv("GPUAD_CC", "frobnicate")
    with pytest.raises(CompilerUnavailable, match="GPUAD_CC=frobnicate names no program"):
        shared_library(SOURCE % 3, FLAGS)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'x: warning: y'; echo 'cc1: fatal error: no licence' >&2; exit 1", "cc1: fatal error: no licence"),
        ("exit 7", "status 7"),
        ("exit 0", "can't be loaded|No such file"),
        ("echo nonsense > kernel.so; exit 0", "can't be loaded"),
    ],
)
def test_a_compiler_that_fails_is_not_asked_again(fake, cache, body, reason):
    fake_compiler = fake(body)
    with pytest.raises(CompilerUnavailable, match=reason) as caught:
        shared_library(SOURCE % 3, FLAGS)
    calls = fake_compiler.compilations()
    assert 1 <= calls <= 4  # the source and the probe, in the cache and in a folder of our own
    for number in (3, 4):
        with pytest.raises(CompilerUnavailable, match=reason):
            shared_library(SOURCE % number, FLAGS)
    assert fake_compiler.compilations() == calls
    assert compiler.unavailable() == caught.value.reason


def test_a_compiler_that_does_not_even_tell_its_version(monkeypatch, tmp_path):
    script = tmp_path / "dumb"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/calls\nsleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("GPUAD_CC", str(script))
    monkeypatch.setattr(compiler, "PATIENCE_FOR_LITTLE", 0.2)
    for _ in range(2):
        with pytest.raises(CompilerUnavailable, match=r"dumb doesn't work: it gave no answer in 0\.2 seconds"):
            shared_library(SOURCE % 3, FLAGS)
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_compiler_that_is_no_program(monkeypatch, tmp_path):
    script = tmp_path / "picture"
    script.write_bytes(b"\x89PNG\r\n")
    script.chmod(0o755)
    monkeypatch.setenv("GPUAD_CC", str(script))
    with pytest.raises(CompilerUnavailable, match="picture doesn't work: it can't be run"):
        shared_library(SOURCE % 3, FLAGS)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_compiler_that_hangs_is_ended_with_all_it_has_started(monkeypatch, fake, cache, tmp_path):
    fake_compiler = fake(f"sleep 60 & echo $! >> {tmp_path}/pids; wait")
    monkeypatch.setattr(compiler, "PATIENCE", 0.3)
    monkeypatch.setattr(compiler, "PATIENCE_FOR_LITTLE", 0.3)
    with pytest.raises(CompilerUnavailable, match="no answer in"):
        shared_library(SOURCE % 3, FLAGS)
    assert fake_compiler.compilations() == 2  # the source, then the probe, and no other folder
    with pytest.raises(CompilerUnavailable, match="no answer in"):
        shared_library(SOURCE % 4, FLAGS)
    assert fake_compiler.compilations() == 2
    assert not os.listdir(cache)
    for pid in (tmp_path / "pids").read_text().split():
        wait_until(lambda pid=pid: not is_running(pid), 5)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@needs_compiler
def test_a_source_that_is_refused_says_nothing_of_others(fake):
    fake_compiler = fake()
    for _ in range(2):
        with pytest.raises(CompilerUnavailable, match=r"refuses a kernel: .*error.*'nonsense'"):
            shared_library("int number(void) { return nonsense; }", FLAGS)
    assert fake_compiler.compilations() == 2  # it, and the probe
    assert shared_library(SOURCE % 3, FLAGS).number() == 3
    assert compiler.unavailable() is None


# -- disks that don't ------------------------------------------------------------------------------
@needs_compiler
def test_a_cache_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    number, private = finish(start(SOURCE % 3, GPUAD_CACHE_DIR=str(tmp_path / "file" / "cache")))
    assert number == "3"
    assert private not in ("", "None")
    assert not os.path.exists(private)  # removed when the process ended
    assert os.listdir(tmp_path) == ["file"]


@needs_compiler
def test_a_cache_that_cannot_be_written(monkeypatch, cache):
    import tempfile

    shared_library(SOURCE % 3, FLAGS)
    really = tempfile.mkdtemp

    def read_only(prefix=None, dir=None):
        if dir is not None and Path(dir) == cache:
            raise OSError(30, "Read-only file system")
        return really(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    monkeypatch.setattr(os, "utime", lambda *a, **k: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    forget(monkeypatch)
    monkeypatch.setattr(compiler, "_compile", None)
    assert shared_library(SOURCE % 3, FLAGS).number() == 3  # what is there is used
    monkeypatch.undo()
    monkeypatch.setenv("GPUAD_CACHE_DIR", str(cache.parent))
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    assert shared_library(SOURCE % 4, FLAGS).number() == 4
    private = library_cache._private_folder()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert len(os.listdir(cache)) == 1


@needs_compiler
@pytest.mark.skipif(is_root, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    assert shared_library(SOURCE % 3, FLAGS).number() == 3
    assert os.listdir(tmp_path / "cache") == []


@contextlib.contextmanager
def small_disk(folder, options):
    """A file system of 8 KiB, where that can be had; a library takes 15."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not (is_root and shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0):
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_compiler
@pytest.mark.parametrize("options", ["size=8k,mode=700", "ro,mode=700", "noexec,mode=700"])
def test_a_disk_that_is_full_or_read_only_or_not_run_from(tmp_path, options):
    with small_disk(tmp_path / "cache", options):
        number, private = finish(start(SOURCE % 3))
        assert number == "3"
        assert private != "None"
        assert not [name for name in os.listdir(tmp_path / "cache") if name.startswith("making-")]


@needs_compiler
def test_a_full_disk_as_the_compiler_sees_it(fake, cache):
    fake_compiler = fake(f'case "$PWD" in {cache}/*) echo "error: No space left on device" >&2; exit 1;; esac')
    assert shared_library(SOURCE % 3, FLAGS).number() == 3
    assert shared_library(SOURCE % 4, FLAGS).number() == 4
    assert os.listdir(cache) == []
    assert fake_compiler.compilations() <= 6


@needs_compiler
def test_no_file_can_grow(cache):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    number, private = finish(start(SOURCE % 3, limit))
    assert number.startswith("unavailable: ")
    assert os.listdir(cache) == []
    assert not os.path.exists(private)


# -- files that aren't what they were --------------------------------------------------------------
def the_library(cache):
    (path,) = cache.glob("*.so")
    return path


@needs_compiler
@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "a folder", "a link"])
def test_a_damaged_file_is_made_anew(monkeypatch, cache, tmp_path, damage):
    assert finish(start(SOURCE % 3)) == ("3", "None")
    path = the_library(cache)
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.touch()
    elif damage == "one bit":
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    elif damage == "a folder":
        path.mkdir()
    else:
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    assert library_cache.find(path.name.partition("-")[0]) is None
    assert shared_library(SOURCE % 3, FLAGS).number() == 3
    if damage != "a folder":  # which nothing removes: the library is then this process's own
        assert the_library(cache).read_bytes() == content


@pytest.fixture
def planted(monkeypatch, cache, tmp_path):
    """A library of another number under the name of the right one, checksum and all; it, and who would load it."""
    shared_library(SOURCE % 3, FLAGS)
    right = the_library(cache)
    monkeypatch.setenv("GPUAD_CACHE_DIR", str(tmp_path / "other"))
    shared_library(SOURCE % 666, FLAGS)
    content = the_library(tmp_path / "other" / "kernels").read_bytes()
    monkeypatch.setenv("GPUAD_CACHE_DIR", str(cache.parent))
    forget(monkeypatch)
    right.unlink()
    path = cache / f"{right.name.partition('-')[0]}-{library_cache._checksum(content)}.so"
    path.write_bytes(content)
    path.chmod(0o700)
    return path


@needs_compiler
def test_the_planted_library_would_be_loaded(planted):
    assert shared_library(SOURCE % 3, FLAGS).number() == 666


@needs_compiler
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_file_that_others_may_write(planted, mode):
    planted.chmod(mode)
    assert shared_library(SOURCE % 3, FLAGS).number() == 3
    assert not planted.exists()


@needs_compiler
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_folder_that_others_may_write(planted, mode, level):
    folder = planted.parents[level]
    folder.chmod(mode)
    # Further up, where a folder is sticky, others can't replace what is ours.
    expected = 666 if level and mode & stat.S_ISVTX else 3
    try:
        assert shared_library(SOURCE % 3, FLAGS).number() == expected
        if expected == 3:
            assert f"{folder} may be written by others (mode {mode:o})" in str(gpuad.info()["cache"])
            assert planted.exists()  # nothing there was touched
    finally:
        folder.chmod(0o700)


@needs_compiler
@pytest.mark.skipif(not is_root, reason="only root can give files away")
@pytest.mark.parametrize("level", ["file", 0, 1, 2])
def test_a_file_or_folder_of_someone_else(planted, level):
    what = planted if level == "file" else planted.parents[level]
    os.chown(what, 65534, -1)
    assert shared_library(SOURCE % 3, FLAGS).number() == 3


@needs_compiler
def test_all_belongs_to_someone_else(monkeypatch, planted):
    """As the user sees it whose number isn't that of the files."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"belongs to user {owner}" in library_cache.untrusted(planted.parent)
    assert library_cache.find(planted.name.partition("-")[0]) is None
    assert planted.parent not in list(library_cache.places())


@needs_compiler
def test_a_link_to_the_cache_is_followed_once(monkeypatch, cache, tmp_path):
    shared_library(SOURCE % 3, FLAGS)
    (tmp_path / "link").symlink_to(cache.parent)
    monkeypatch.setenv("GPUAD_CACHE_DIR", str(tmp_path / "link"))
    assert library_cache.folder() == Path(os.path.realpath(cache))


@needs_compiler
def test_what_the_umask_lets_the_group_write_is_kept_all_the_same(cache):
    wide = "import os; os.umask(0o002)\n"
    assert finish(start(SOURCE % 3, wide)) == ("3", "None")
    assert stat.S_IMODE(the_library(cache).stat().st_mode) == 0o700
    assert library_cache.find(the_library(cache).name.partition("-")[0]) is not None


@needs_compiler
def test_a_forked_child_leaves_its_parents_folder_alone(tmp_path):
    (tmp_path / "file").touch()
    fork = """
import os, pathlib
from gpuad.fused import compiler, library_cache
ours = library_cache._private_folder()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert ours.is_dir()
else:
    assert library_cache._private_folder() != ours
    raise SystemExit(0)
"""
    number, private = finish(start(SOURCE % 3, fork, GPUAD_CACHE_DIR=str(tmp_path / "file" / "cache")))
    assert number == "3"
    assert not os.path.exists(private)


# -- how much is kept ------------------------------------------------------------------------------
def test_what_was_used_least_recently_goes_first(monkeypatch, cache):
    monkeypatch.setattr(library_cache, "BOUND", 3500)

    def keep(key, when):
        place = next(iter(library_cache.places()))
        with library_cache.making(place) as work:
            (work / "kernel.so").write_bytes(key.encode() * 1000)
            path = library_cache.keep(work / "kernel.so", key, place)
        os.utime(path, (when, when))

    def kept():
        return "".join(sorted(name[0] for name in os.listdir(cache)))

    for when, key in enumerate("abc"):
        keep(key, 1000.0 + when)
    assert kept() == "abc"
    assert library_cache.find("a") is not None  # used now
    keep("d", 2000.0)
    assert kept() == "acd"
    monkeypatch.setattr(library_cache, "BOUND", 10)
    keep("e", 3000.0)
    assert kept() == "e"  # what was just made is never removed


# -- who runs a plan -------------------------------------------------------------------------------
F8 = np.dtype(np.float64)
PLAN = Plan(1, (Operand(F8, (1,)),), (), (Step("exp", "exp({0})", (0,), (F8,), F8),), (Output(1, F8, (False,)),))


class Host:
    """In place of ``gpuad.fused.host``."""

    def __init__(self, error=None):
        self.asked, self.error = 0, error

    def compile(self, plan):
        self.asked += 1
        if self.error:
            raise self.error
        return "in C"


class Blocks:
    def compile(self, plan, namespace):
        assert namespace("exp") is np.exp
        return "in blocks"


@pytest.fixture
def host(monkeypatch):
    def install(error=None):
        made = Host(error)
        monkeypatch.setattr(PACKAGE, "host", made, raising=False)
        monkeypatch.setattr(PACKAGE, "blocks", Blocks(), raising=False)
        return made

    return install


SMALL, LARGE = executors.WORTH_COMPILING - 1, executors.WORTH_COMPILING


def test_much_work_is_done_in_c(host):
    asked = host()
    assert executors.compile_host(PLAN, SMALL) == "in blocks"
    assert executors.compile_host(PLAN, LARGE) == "in C"
    assert executors.compile_host(PLAN, LARGE) == "in C"
    assert asked.asked == 1


def test_costly_functions_are_compiled_sooner(host):
    """By how often they have been run, the same in every run of a program."""
    asked = host()
    calls = {}
    for text in ("{0} * {0}", "exp({0})", "erf({0})"):
        step = Step(text, text, (0,), (F8,), F8)
        kernel = launch.Kernel(numpy_backend, PLAN._replace(steps=(step,)), None)
        calls[text] = 1
        while kernel.on_host(1 << 22) == "in blocks":
            calls[text] += 1
        assert kernel.on_host(1 << 22) == "in C"
    assert calls == {"{0} * {0}": 32, "exp({0})": 5, "erf({0})": 2}
    assert asked.asked == 3


@pytest.mark.parametrize(("asked", "expected"), [("c", "in C"), ("numpy", "in blocks")])
def test_the_environment_forces_an_executor(monkeypatch, host, asked, expected):
    host()
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", asked)
    assert {executors.compile_host(PLAN, work) for work in (SMALL, LARGE)} == {expected}
    assert executors.enabled()


def test_the_environment_switches_it_off(monkeypatch):
    assert executors.enabled()
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "none")
    assert not executors.enabled()
    assert executors.host_executor() == "none"


def test_the_environment_says_nonsense(monkeypatch, host):
    host()
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "fortran")
    for call in (executors.enabled, executors.host_executor, lambda: executors.compile_host(PLAN, LARGE)):
        with pytest.raises(BackendError, match="GPUAD_CPU_EXECUTOR=fortran: expected c, numpy or none"):
            call()


def test_without_a_compiler_numpy_does_it_and_says_so_once(host):
    asked = host(CompilerUnavailable("cc doesn't work: no licence"))
    with pytest.warns(RuntimeWarning, match=r"cc doesn't work: no licence.*GPUAD_CPU_EXECUTOR=numpy"):
        assert executors.compile_host(PLAN, LARGE) == "in blocks"
    assert executors.compile_host(PLAN, LARGE) == "in blocks"  # a second warning would be an error
    assert executors.compile_host(PLAN._replace(ndim=1, numbers=(F8,)), LARGE) == "in blocks"
    assert asked.asked == 2


def test_what_c_cannot_do_numpy_does_silently(host):
    host(NotImplementedError("long double"))
    assert executors.compile_host(PLAN, LARGE) == "in blocks"


# -- seeing it -------------------------------------------------------------------------------------
def test_info_says_who_runs_kernels_and_why(monkeypatch, cache, tmp_path):
    found = gpuad.info()
    assert found["executor"] == (
        "c; NumPy does what isn't worth compiling" if REAL else f"numpy; {compiler.unavailable()}"
    )
    assert found["fusion"] == "on"
    assert int(found["threads"]) >= 1
    assert f"executor {found['executor']}" in str(found).splitlines()
    assert repr(found) == str(found)
    assert not cache.exists()
    monkeypatch.setenv("GPUAD_CPU_EXECUTOR", "none")
    found = gpuad.info()
    assert (found["fusion"], found["executor"]) == ("off", "none; asked for by GPUAD_CPU_EXECUTOR=none")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GPUAD_CPU_EXECUTOR")
    assert gpuad.info()["executor"].startswith("numpy; no C compiler is found")
    with switch.fusion(False):
        assert gpuad.info()["fusion"] == "off"


def test_the_command_line_says_the_same(cache):
    done = run_gpuad("info", "--backend", "numpy")
    assert done.returncode == 0, done.stderr
    assert f"compiler {compiler.describe()}" in done.stdout.splitlines()
    done = run_gpuad("info", env={"GPUAD_CPU_EXECUTOR": "fortran"})
    assert done.returncode == 1
    assert done.stderr.startswith("gpuad: error: GPUAD_CPU_EXECUTOR=fortran")

"""The command line behaves as a user of command lines expects."""

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import gpuad
import gpuad.cli
from command_line import COMMAND, ROOT, environment, run_gpuad

# --- the usual -----------------------------------------------------------------------------------


def test_help():
    done = run_gpuad("--help")
    assert done.returncode == 0
    for word in ("usage: gpuad", "demo", "info", "--backend", "--seed", "--epochs", "--save"):
        assert word in done.stdout
    assert done.stderr == ""


def test_version():
    done = run_gpuad("--version")
    assert (done.returncode, done.stdout) == (0, f"gpuad {gpuad.__version__}\n")


def test_console_script_is_the_same_program():
    from importlib.metadata import PackageNotFoundError, entry_points, version

    try:
        version("gpuad")
    except PackageNotFoundError:
        pytest.skip("gpuad is not installed here, so it has no console script")
    (script,) = entry_points(group="console_scripts", name="gpuad")
    assert script.load() is gpuad.cli.main


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["--backend", "abacus"], "invalid choice: 'abacus'"),
        (["--back=numpy"], "unrecognized arguments: --back=numpy"),
        (["--epochs", "0"], "0 is less than 1"),
        (["--epochs", "many"], "invalid whole number value: 'many'"),
        (["--seed", "-1"], "-1 is less than 0"),
        (["--save"], "expected one argument"),
        (["info", "--epochs", "3"], "--epochs belongs to the demonstration"),
    ],
)
def test_wrong_usage(argument, message):
    done = run_gpuad(*argument)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: gpuad")
    assert message in done.stderr


# --- info ----------------------------------------------------------------------------------------


def test_info(tmp_path):
    folder = tmp_path / "kernels of mine"
    done = run_gpuad("info", "--backend", "numpy", env={"GPUAD_CACHE_DIR": str(folder)})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"gpuad    {gpuad.__version__}" in lines
    assert f"python   {sys.version.split()[0]}" in lines
    assert f"numpy    {np.__version__}" in lines
    assert any(line.startswith("cupy ") for line in lines)
    assert "  numpy  available on CPU" in lines
    assert any(line.startswith("  cupy ") for line in lines)
    assert f"cache    {folder} (writable, not made yet)" in lines
    assert "chosen   numpy; asked for by name" in lines
    assert not folder.exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG folders are for other systems")
@pytest.mark.parametrize(
    ("xdg", "expected"),
    [("/somewhere/caches", "/somewhere/caches/gpuad"), ("relative", "{home}/.cache/gpuad")],
)
def test_cache_folder_follows_xdg(tmp_path, xdg, expected):
    env = {"GPUAD_CACHE_DIR": "", "XDG_CACHE_HOME": xdg, "HOME": str(tmp_path)}
    done = run_gpuad("info", env=env)
    assert f"cache    {expected.format(home=tmp_path)} " in done.stdout


def test_info_says_when_the_cache_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    done = run_gpuad("info", env={"GPUAD_CACHE_DIR": str(tmp_path / "file" / "cache")})
    assert "(NOT writable, not made yet)" in done.stdout


# --- backends ------------------------------------------------------------------------------------


@pytest.fixture
def no_cupy(tmp_path):
    """An environment in which importing CuPy fails as it does where it isn't installed."""
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


@pytest.mark.parametrize("command", ["demo", "info"])
@pytest.mark.parametrize("by", ["option", "environment"])
def test_cupy_where_there_is_none(no_cupy, command, by):
    if by == "option":
        done = run_gpuad(command, "--backend", "cupy", env=no_cupy)
    else:
        done = run_gpuad(command, env={**no_cupy, "GPUAD_BACKEND": "cupy"})
    assert done.returncode == 1
    message = "gpuad: error: backend 'cupy' can't be used: CuPy isn't installed"
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert ("cupy     not installed" in done.stdout) == (command == "info")


def test_auto_without_cupy_says_why_numpy(no_cupy):
    done = run_gpuad("info", env={**no_cupy, "GPUAD_BACKEND": ""})
    assert done.returncode == 0
    assert "chosen   numpy; CuPy can't be used: CuPy isn't installed" in done.stdout


def test_unknown_backend_in_the_environment():
    done = run_gpuad("info", env={"GPUAD_BACKEND": "abacus"})
    assert done.returncode == 1
    assert "unknown backend 'abacus'" in done.stderr
    assert done.stderr.count("\n") == 1


# --- --save --------------------------------------------------------------------------------------


def test_save(tmp_path):
    path = tmp_path / "weights.npz"
    done = run_gpuad("--backend", "numpy", "--epochs", "1", "--save", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"saved      {path}\n")
    with np.load(path) as weights:
        shapes = {name: weights[name].shape for name in weights}
    assert shapes == {"w1": (64, 128), "b1": (128,), "w2": (128, 10), "b2": (10,)}
    assert os.listdir(tmp_path) == ["weights.npz"]


def unwritable_targets(tmp_path):
    (tmp_path / "file").touch()
    yield tmp_path / "file" / "w.npz", "Not a directory"
    yield tmp_path / "missing" / "w.npz", "No such file or directory"
    yield tmp_path, "exists and is not a file"
    if hasattr(os, "geteuid") and os.geteuid() != 0:  # root may write anywhere
        locked = tmp_path / "locked"
        locked.mkdir()
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
        yield locked / "w.npz", "Permission denied"


@pytest.mark.skipif(sys.platform == "win32", reason="the system words these errors differently")
def test_save_that_cannot_work_fails_before_training(tmp_path):
    for target, reason in unwritable_targets(tmp_path):
        done = run_gpuad("--backend", "numpy", "--save", str(target))
        assert done.returncode == 1
        assert done.stderr == f"gpuad: error: --save {target}: {reason}\n"
        assert done.stdout == ""  # not a line of the demonstration


def test_failed_write_leaves_the_old_file(monkeypatch, tmp_path, capsys):
    from gpuad import cli

    path = tmp_path / "weights.npz"
    path.write_bytes(b"what was there before")

    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    assert cli.main(["--backend", "numpy", "--epochs", "1", "--save", str(path)]) == 1
    assert capsys.readouterr().err == f"gpuad: error: --save {path}: No space left on device\n"
    assert path.read_bytes() == b"what was there before"
    assert os.listdir(tmp_path) == ["weights.npz"]


# --- terminals, pipes, signals -------------------------------------------------------------------


posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes and signals")


def heed_interrupts():
    """A shell has what it runs in the background ignore them, and that is handed down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*args, **options):
    return subprocess.Popen(
        [*COMMAND, *args], env=environment(), cwd="/", stderr=subprocess.PIPE, preexec_fn=heed_interrupts, **options
    )


@posix_only
@pytest.mark.parametrize("command", ["--help", "info", "demo"])
def test_reader_that_goes_away(command):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(command, "--backend", "numpy", stdout=writing)
    os.close(writing)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (141, b"")


@posix_only
def test_output_that_cannot_be_written():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        process = start("info", "--backend", "numpy", stdout=full)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.startswith(b"gpuad: error: ")
    assert error.count(b"\n") == 1


@posix_only
def test_interrupt(tmp_path):
    target = tmp_path / "w.npz"
    process = start("--backend", "numpy", "--epochs", "100000", "--save", str(target), stdout=subprocess.PIPE)
    for line in process.stdout:
        if line.startswith(b"gradient"):  # training starts now
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == b"\ngpuad: interrupted\n"
    assert os.listdir(tmp_path) == []


@posix_only
def test_terminal_gets_one_line_that_is_rewritten():
    import pty

    ours, theirs = pty.openpty()
    process = start("--backend", "numpy", "--epochs", "3", stdout=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux reports the closed terminal so
            break
        if not part:
            break
        text += part
    os.close(ours)
    process.communicate(timeout=60)
    assert process.returncode == 0
    progress = text[text.index(b"\rtraining   epoch 1/3") : text.index(b"accuracy")]
    assert progress.count(b"\rtraining   epoch") == 3
    assert progress.count(b"\n") == 1

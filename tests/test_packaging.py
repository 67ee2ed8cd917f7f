"""Every kind of install finds its kernel sources and its data."""

import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNELS = sorted(path.name for path in (ROOT / "kernels").iterdir() if path.is_file())

# Runs where gpuad was installed, from a folder that has nothing to do with it.
PROBE = """
import sys
from pathlib import Path
import gpuad
from gpuad import demo, kernel_sources
assert Path(gpuad.__file__).is_relative_to(sys.argv[1]), gpuad.__file__
folder = kernel_sources.folder()
assert folder.is_relative_to(sys.argv[1]), folder
for name in sys.argv[2:]:
    assert kernel_sources.read(name)
assert demo.load_digits()[0].shape == (1797, 64)
print(folder)
"""

needs_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="hatchling is not installed, so no package can be built (it is in the extra 'test')",
)
needs_tree = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="not run from a source tree")


def python(*args, cwd, path=None):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, *args], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def build(function, folder):
    """Build a package with hatchling, as pip would, but with no network and no isolation."""
    code = f"import sys; from hatchling.build import {function}; print({function}(sys.argv[1]))"
    name = python("-c", code, str(folder), cwd=ROOT).splitlines()[-1]
    return folder / name


@needs_hatchling
@needs_tree
def test_wheel_installed_elsewhere(tmp_path):
    wheel = build("build_wheel", tmp_path)
    site = tmp_path / "site"
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    pip += ["--disable-pip-version-check", "--target", str(site), str(wheel)]
    python(*pip, cwd=tmp_path)
    found = python("-c", PROBE, str(site), *KERNELS, cwd=tmp_path, path=site)
    assert Path(found) == site / "gpuad" / "kernels"


@needs_hatchling
@needs_tree
def test_wheel_holds_the_package_and_nothing_else(tmp_path):
    with zipfile.ZipFile(build("build_wheel", tmp_path)) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"gpuad", "gpuad-0.1.0.dist-info"}
    assert {f"gpuad/kernels/{name}" for name in KERNELS} <= set(names)
    assert {"gpuad/py.typed", "gpuad/demo/digits.npz", "gpuad/demo/DIGITS.md"} <= set(names)
    assert {"gpuad/bench/command.py", "gpuad/bench/workloads/chains.py"} <= set(names)
    assert "gpuad-0.1.0.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]


@needs_hatchling
@needs_tree
def test_source_distribution_holds_what_builds_and_tests_it(tmp_path):
    with tarfile.open(build("build_sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {f"kernels/{name}" for name in KERNELS} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "gpuad/__init__.py"} <= names
    assert "tests/test_packaging.py" in names


@needs_hatchling
@needs_tree
def test_editable_install(tmp_path):
    """What `pip install -e` puts into the environment leads to the sources where they stand."""
    wheel = build("build_editable", tmp_path)
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    use_path_files = f"import site; site.addsitedir({str(site)!r})\n"
    found = python("-c", use_path_files + PROBE, str(ROOT), *KERNELS, cwd=tmp_path)
    assert Path(found) == ROOT / "kernels"


@needs_tree
def test_source_tree(tmp_path):
    found = python("-c", PROBE, str(ROOT), *KERNELS, cwd=tmp_path, path=ROOT)
    assert Path(found) == ROOT / "kernels"


def test_missing_source_is_named():
    from gpuad import kernel_sources

    with pytest.raises(FileNotFoundError) as caught:
        kernel_sources.read("no_such_kernel.cu")
    message = str(caught.value)
    assert "'no_such_kernel.cu'" in message
    assert str(ROOT / "kernels") in message
    assert str(ROOT / "gpuad" / "kernels") in message


@needs_tree
def test_version_is_the_same_everywhere():
    import tomllib

    import gpuad

    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == gpuad.__version__

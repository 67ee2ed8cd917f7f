"""On which backends the tests run: ``--backend numpy``, ``cupy``, ``strict`` or ``all``, repeatable.

A test that asks for the fixture ``backend`` or ``xp`` runs once on each. Without the option that is NumPy
and the strict stand-in for a device, and CuPy where a GPU answers. ``--backend cupy`` without a GPU runs
CuPy on the CPU (``cupy_on_cpu``). What can't be tested here is skipped, and the end of the run says why.

``--fused``: operations on arrays of any size wait to be fused, as otherwise on large ones alone, and kernels are run by
blocked NumPy, which needs no compiler. Tests marked ``unfused`` are about work that is done at once.
"""

from __future__ import annotations

import os

# Matrices in the tests are tiny: threads would only wait for each other. NumPy reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import contextlib
import ctypes
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import cupy_on_cpu

NAMES = ("numpy", "cupy", "strict")
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
#: How every refusal of the emulated device reads; of cuBLAS, CuPy passes on the status alone.
NOT_EMULATED = ("emulated on the CPU", "CUBLAS_STATUS_NOT_SUPPORTED")

#: How gpuad says that a backend lacks a function, and CuPy that it lacks an option or a dtype.
MISSING_IN_CUPY = (
    "isn't available on", "have been implemented", "method is not yet supported", "isn't supported with zi",
    "Only complex Hermitian and real symmetric", "eig() takes 1 positional argument", "argument 'radius'",
    "(dtype('complex128'),)) of arguments for cupyx_scipy_special",
)  # fmt: skip

#: Functions that the oldest NumPy we run on hasn't; what they mean is tested with newer ones.
NEWER_THAN_NUMPY_2_0 = frozenset({"unstack", "cumulative_sum", "cumulative_prod", "matvec", "vecmat"})


class Choice:
    """The backends of this run, and why some of them can't be tested."""

    def __init__(self, asked: list[str]) -> None:
        self.names = [n for n in NAMES if n in asked or "all" in asked]
        self.emulation_failed: str | None = None
        if not asked:
            self.names = [n for n in NAMES if n != "cupy" or gpu_answers()]
        elif "cupy" in self.names and not gpu_answers():
            self._emulate_cupy()
        self._reasons: dict[str, str | None] = {}

    def _emulate_cupy(self) -> None:
        try:
            cupy_on_cpu.install(say=lambda line: print(f"cupy_on_cpu: {line}", file=sys.stderr, flush=True))
        except cupy_on_cpu.Unavailable as why:
            self.emulation_failed = f"no CUDA device answers, and CuPy can't be run on the CPU: {why}"

    def why_not(self, name: str) -> str | None:
        """Why a backend can't be tested; ``None`` if it can."""
        if name not in self._reasons:
            self._reasons[name] = self._find_out(name)
        return self._reasons[name]

    def _find_out(self, name: str) -> str | None:
        import gpuad

        if name == "cupy" and self.emulation_failed:
            return self.emulation_failed
        if name == "strict" and "strict" not in gpuad.backend.names():
            from strict_backend import StrictBackend

            gpuad.backend.register(StrictBackend())
        return gpuad.backend.get(name).unavailable()

    def describe(self, name: str) -> str:
        import gpuad

        if name == "cupy" and cupy_on_cpu.installed():
            return cupy_on_cpu.describe()
        backend = gpuad.backend.get(name)
        title = {"numpy": "NumPy", "cupy": "CuPy", "strict": "strict stand-in for a device, NumPy"}[name]
        return f"{title} {backend.version()} on {backend.device_name()}"


def gpu_answers() -> bool:
    """Asks the driver itself: CuPy, once imported, can't be replaced by the emulation any more."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


CHOICE = pytest.StashKey[Choice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=[*NAMES, "all"],
        help="run the tests on this backend (repeatable); cupy without a GPU is run on the CPU",
    )
    parser.addoption("--write-counts", action="store_true", help="write what test_counts.py counts to its file")
    parser.addoption("--fused", action="store_true", help="operations on NumPy arrays of any size are fused")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "unfused: about operations that are done at once, with --fused too")
    config.stash[CHOICE] = Choice(config.getoption("backend") or [])
    if config.getoption("fused"):
        os.environ.setdefault("GPUAD_CPU_EXECUTOR", "numpy")
        from gpuad.backend import numpy_backend
        from gpuad.fused import pending

        pending.LARGE[numpy_backend] = 0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    choice = metafunc.config.stash[CHOICE]
    cases = []
    for name in choice.names:
        reason = choice.why_not(name)
        marks = [] if reason is None else [pytest.mark.skip(reason=f"backend {name}: {reason}")]
        cases.append(pytest.param(name, marks=marks))
    metafunc.parametrize("backend", cases, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec and callspec.params.get("backend") in NAMES:
            # Reports carry it to the summary.
            item.user_properties.append(("backend", callspec.params["backend"]))


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The backend under test; new arrays are made on it."""
    import gpuad

    with gpuad.use(request.param):
        yield gpuad.backend.get(request.param)


@pytest.fixture(autouse=True)
def numpy_by_default(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that names no backend makes its arrays with NumPy, whatever devices there are."""
    import gpuad

    with contextlib.nullcontext() if "backend" in request.fixturenames else gpuad.use("numpy"):
        yield


@pytest.fixture(autouse=True)
def one_by_one(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked ``unfused`` is about operations that are done when they are called."""
    import gpuad

    with gpuad.fusion(False) if request.node.get_closest_marker("unfused") else contextlib.nullcontext():
        yield


@pytest.fixture
def xp(backend: Any) -> Any:
    """The array namespace of the backend under test."""
    return backend.xp


@pytest.fixture
def emulated_cupy(request: pytest.FixtureRequest) -> Any:
    """CuPy, if this run has it on the CPU."""
    choice = request.config.stash[CHOICE]
    if choice.emulation_failed:
        pytest.skip(choice.emulation_failed)
    if not cupy_on_cpu.installed():
        pytest.skip("a GPU answers" if "cupy" in choice.names else "not asked for with --backend cupy")
    import cupy

    return cupy


@pytest.fixture
def cupy(request: pytest.FixtureRequest) -> Any:
    """CuPy, on a GPU or on the CPU; new arrays are made on it."""
    import gpuad

    choice = request.config.stash[CHOICE]
    reason = choice.why_not("cupy") if "cupy" in choice.names else "not asked for with --backend cupy"
    if reason:
        pytest.skip(reason)
    import cupy

    with gpuad.use("cupy"):
        yield cupy


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """What the emulated device refuses to do, or CuPy has no function for, can't be tested: such a test is skipped."""
    try:
        return (yield)
    except Exception as error:
        on_cupy = dict(item.user_properties).get("backend") == "cupy"
        if on_cupy and (reason := refusal(error)):
            pytest.skip(f"backend cupy: {reason}")
        if on_cupy and any(words in str(error) for words in MISSING_IN_CUPY):
            pytest.skip(f"backend cupy: {error}")
        if isinstance(error, AttributeError) and error.name in NEWER_THAN_NUMPY_2_0:
            pytest.skip(f"{error} of this version")
        raise


def refusal(error: BaseException | None) -> str | None:
    """What the emulated device said, if it is why this error was raised."""
    while error is not None:
        if cupy_on_cpu.installed() and any(words in str(error) for words in NOT_EMULATED):
            return str(error).splitlines()[0]
        if cupy_on_cpu.installed() and "void cupyx_" in getattr(error, "source", ""):
            return "a kernel of CuPy's own that g++ doesn't compile"
        error = error.__cause__ or error.__context__
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    choice = config.stash[CHOICE]
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    for outcome in OUTCOMES:
        for report in terminalreporter.getreports(outcome):
            name = dict(getattr(report, "user_properties", ())).get("backend")  # a failed collection has none
            if name in outcomes:
                outcomes[name][outcome] += 1
    terminalreporter.section("backends")
    for name in NAMES:
        try:
            line = _line(choice, name, outcomes[name])
        except Exception as error:  # gpuad can't be imported, say; the tests have said more of it
            line = f"unknown: {error}"
        terminalreporter.line(f"{name}: {line}")


def _line(choice: Choice, name: str, outcomes: Counter[str]) -> str:
    if name not in choice.names:
        return "not tested (no GPU answers, and it was not asked for)" if name == "cupy" else "not asked for"
    if reason := choice.why_not(name):
        return f"SKIPPED: {reason}"
    counted = ", ".join(f"{outcomes[o]} {o}" for o in OUTCOMES if outcomes[o])
    return f"{counted or 'no tests'}; {choice.describe(name)}"

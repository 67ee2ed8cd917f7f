"""Jitted functions in files: the same results in another process, and no harm from files that aren't in order."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pickle
import pkgutil
import re
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
import gpuad.ops
from gpuad import grad, hessian, jit, jvp, load_jit, value_and_grad, vmap
from gpuad.backend import numpy_backend
from gpuad.errors import NotRecordedError, SavedFileError, UnsupportedError
from gpuad.graph import saved_file
from gpuad.graph.data import name_of, operation
from gpuad.ops.declare import registry
from samples import all_samples
from test_jit import assert_same, normal
from test_jit_samples import RANDOM, program_of
from test_ops import inputs

# -- programs -----------------------------------------------------------------------------------------


def mlp_step(p, x, y, rate):
    def loss(p):
        return np.mean((np.tanh(x @ p["in"]["w"] + p["in"]["b"]) @ p["out"] - y) ** 2)

    value, g = value_and_grad(loss)(p)
    return {"in": {k: v - rate * g["in"][k] for k, v in p["in"].items()}, "out": p["out"] - rate * g["out"]}, value


def branching(x):
    return grad(lambda x: np.sum(np.sin(x)) if x.sum() > 0 else np.sum(x**3))(x)


def newton(a):
    x, n = 1.0 + 0.0 * a, 0
    while abs(x * x - a) > 1e-12:
        x, n = 0.5 * (x + a / x), n + 1
    return x, n


def lstm(p, xs):
    def loss(p):
        h = c = np.zeros(4)
        for x in xs:
            z = x @ p["w"] + h @ p["u"] + p["b"]
            i, f, o = (1.0 / (1.0 + np.exp(-z[k : k + 4])) for k in (0, 4, 8))
            c = f * c + i * np.tanh(z[12:])
            h = o * np.tanh(c)
        return np.sum(h**2)

    return value_and_grad(loss)(p)


def with_aux(w, x):
    def loss(w):
        r = x @ w
        return np.sum(r**2), {"residual": r, "name": "squares", "count": 3}

    return value_and_grad(loss, has_aux=True)(w)


def complex_valued(z):
    return np.fft.fft(z * np.exp(1j * z.real)), grad(lambda z: np.sum(np.abs(z) ** 2))(z)


def in_place(x):
    def loss(x):
        y = gnp.zeros(6)
        y[:3] = x
        y[3:] += np.sin(y[2::-1])
        y[y > 0.5] *= 2.0
        return np.sum(y**2)

    return value_and_grad(loss)(x)


def indexed(x, i):
    return grad(lambda x: np.sum(x[np.array([0, 2, 2]), [1, 1, 0]] ** 2) + np.sum(x[i]))(x), np.sort(x, axis=0)


def rosenbrock(x):
    return hessian(lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))(x)


def algebra(a, b):
    return (
        np.linalg.solve(a @ a.T + np.eye(3), b),
        jvp(np.linalg.det, (a,), (b,))[1],
        np.linalg.inv(a + 5.0 * np.eye(3)),
    )


def static(x, power, mode="plain"):
    return x**power if mode == "plain" else -(x**power)


AROUND = {"scale": normal(3), "names": ["a"], "shift": 2.0}


def reads_around(x):
    return AROUND["scale"] * x + AROUND["shift"] + np.array([1.0, 2.0, 3.0])


def vectorized(a, x):
    return vmap(grad(lambda a, x: np.sum(np.cos(a * x)), 1), (None, 0))(a, x)


def single(x):
    return value_and_grad(lambda x: np.sum(np.log1p(np.exp(x))))(x)


def params(*sizes):
    return {"w": normal(3, 16), "u": 0.3 * normal(4, 16), "b": normal(16)}


F32 = normal(5).astype(np.float32)
NET = {"in": {"w": normal(3, 5), "b": normal(5)}, "out": normal(5, 2)}
#: Programs, and calls of which all are recorded before it is saved.
PROGRAMS = {
    "mlp": (mlp_step, [(NET, normal(8, 3), normal(8, 2), 0.1), (NET, normal(8, 3), normal(8, 2), 0.2)]),
    "branch": (branching, [(np.ones(3),), (-np.ones(3),), (normal(3),)]),
    "newton": (newton, [(2.0,), (9.0,), (np.float64(100.0),)]),
    "lstm": (lstm, [(params(), normal(7, 3))]),
    "aux": (with_aux, [(normal(3), normal(4, 3))]),
    "float32": (single, [(F32,), (F32[:3].copy(),), (F32.astype(float),)]),
    "complex": (complex_valued, [(normal(4) + 1j * normal(4),)]),
    "in place": (in_place, [(np.abs(normal(3)),)]),
    "indexed": (indexed, [(normal(3, 2), np.array([1, 0])), (np.asfortranarray(normal(3, 2)), np.array([1, 0]))]),
    "hessian": (rosenbrock, [(normal(6),)]),
    "algebra": (algebra, [(normal(3, 3), normal(3, 3))]),
    "static": (static, [(normal(3), 2), (normal(3), 3, "negated")]),
    "around": (reads_around, [(normal(3),)]),
    "vmap": (vectorized, [(0.5, normal(4, 3))]),
    "no arguments": (lambda: np.sum(AROUND["scale"]), [()]),
    "one array twice": (lambda x, y: x - y, [(AROUND["scale"],) * 2, (normal(3), normal(3))]),
}
STATIC = {"static": ("power", "mode")}

OTHER_PROCESS = """
import pickle, sys
import gpuad

found = {}
for name, path, calls in pickle.load(sys.stdin.buffer):
    f = gpuad.load_jit(path)
    found[name] = [[f(*args) for args in calls] for _ in range(2)]
    found[name].append((f.recordings.recorded, f.recordings.replayed))
assert not any(module.startswith("test_") for module in sys.modules)
sys.stdout.buffer.write(pickle.dumps(found))
"""


def run_elsewhere(code, given, **environment):
    env = {**os.environ, "PYTHONPATH": str(Path(gpuad.__file__).parent.parent), **environment}
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(given), capture_output=True, env=env)
    assert not done.returncode, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The programs' files, and what another process makes of them, that has neither the programs nor a compiler."""
    folder = tmp_path_factory.mktemp("saved")
    given = []
    for name, (f, calls) in PROGRAMS.items():
        jitted = jit(f, static_argnums=(1,) if name == "static" else (), static_argnames=STATIC.get(name, ()))
        path = folder / f"{name}.gpuad"
        with gpuad.use("numpy"):
            for args in calls:
                jitted(*args)
            jitted.save(path)
        given.append((name, str(path), calls))
    none = {"GPUAD_CACHE_DIR": str(folder / "empty"), "GPUAD_CC": "/nonexistent", "CC": "/nonexistent", "PATH": ""}
    return folder, pickle.loads(run_elsewhere(OTHER_PROCESS, given, **none))


@pytest.mark.parametrize("name", PROGRAMS)
def test_another_process_gives_the_same(files, name):
    f, calls = PROGRAMS[name]
    first, second, (recorded, replayed) = files[1][name]
    for got in (first, second):
        for args, found in zip(calls, got, strict=True):
            assert_same(found, f(*args))
    assert recorded <= len(calls) <= replayed


def saved(tmp_path, f, *calls, **how):
    jitted = jit(f, **how)
    for args in calls:
        jitted(*args)
    path = tmp_path / "f.gpuad"
    jitted.save(path)
    return path


SOLVERS = ("scipy.integrate.quad", "scipy.integrate.odeint", "scipy.integrate.solve_ivp")  # which call the program


@pytest.mark.parametrize("s", all_samples()[::9], ids=lambda s: s.label)
def test_samples_of_primitives(s, tmp_path):
    if s.label.startswith((*RANDOM, *SOLVERS)):
        pytest.skip("isn't recorded")
    args = inputs(s, numpy_backend)
    plain = program_of(s, args)
    path = tmp_path / "f"
    jit(plain).save(path, *args)
    loaded = load_jit(path)
    for _ in range(2):
        assert_same(loaded(*[x.copy() for x in args]), plain(*[x.copy() for x in args]), rtol=1e-9)


def test_every_operation_is_found_by_its_name():
    """In a process that has none of the modules yet which are imported when they are needed."""
    for module in pkgutil.iter_modules(gpuad.ops.__path__):
        importlib.import_module(f"gpuad.ops.{module.name}")
    names = [name for name, prim in registry.items() if name not in ("quad", "adjoint_ode")]
    code = "import pickle, sys; from gpuad.graph import data; list(map(data.operation, pickle.load(sys.stdin.buffer)))"
    run_elsewhere(code, names)
    for name in names:
        assert name_of(operation(name)) == name


@pytest.mark.parametrize("which", [0, 1])
def test_other_backends(backend, which, tmp_path):
    weights, rows = backend.asarray(normal(3)), backend.asarray(np.array([0, 2]))
    f = [
        lambda x: value_and_grad(lambda x: (gnp.tanh(x) * weights + gnp.array([1.0, 2.0, 3.0])).sum())(x),
        lambda x: (x[rows] if x.sum() > 0 else -x, x.T @ x),
    ][which]
    x = backend.asarray(normal(5, 3))
    with gpuad.use(backend.name):
        jitted, path = jit(f), tmp_path / "f"
        for call in (x, -x):
            jitted(call)
        jitted.save(path)
        loaded = load_jit(path)
        for call in (x, -x, x + x, x):
            for a, b in zip(loaded(call), f(call), strict=True):
                assert type(a) is type(b)
                np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=1e-12)
    assert loaded.recordings.replayed


# -- saving -------------------------------------------------------------------------------------------
def test_arguments_given_to_save_are_recorded(tmp_path):
    path = tmp_path / "f.gpuad"
    jit(lambda x, y: x * y).save(path, np.ones(2), y=3.0)
    np.testing.assert_array_equal(load_jit(path)(np.array([1.0, 2.0]), y=5.0), [5.0, 10.0])
    with pytest.raises(UnsupportedError, match="nothing is recorded"):
        jit(lambda x: x).save(path)


def test_keywords_come_in_any_order(tmp_path):
    path = tmp_path / "f.gpuad"
    jit(lambda x, a, b: x * a - b, static_argnames="b").save(path, np.ones(2), a=np.ones(2), b=3)
    f = load_jit(path)
    for _ in range(2):
        for keywords in ({"a": np.full(2, 5.0), "b": 3}, {"b": 3, "a": np.full(2, 5.0)}):
            np.testing.assert_array_equal(f(np.ones(2), **keywords), [2.0, 2.0])
    with pytest.raises(NotRecordedError, match="a=float64"):
        f(np.ones(2), b=4, a=np.ones(2))


def test_whole_numbers_that_became_inputs(tmp_path):
    f = load_jit(saved(tmp_path, lambda x, n: x * n, *[(np.ones(2), n) for n in range(8)]))
    assert f.kinds == ["(float64[2], an int)"]
    np.testing.assert_array_equal(f(np.ones(2), 99), [99.0, 99.0])


def test_large_arrays_and_threads(tmp_path):
    def f(x):
        return value_and_grad(lambda x: np.sum(np.tanh(x) * np.exp(-(x**2))))(x)

    x = normal(1 << 18)
    loaded, found = load_jit(saved(tmp_path, f, (x,))), []
    threads = [threading.Thread(target=lambda: found.extend(loaded(x) for _ in range(3))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 9
    for got in found:
        assert_same(got, f(x), rtol=1e-9)


def test_equal_recordings_make_equal_files(tmp_path):
    jitted = jit(mlp_step)
    jitted(*PROGRAMS["mlp"][1][0])
    for name in ("a", "b"):
        jitted.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrays_around_are_saved_with_the_values_that_they_have(tmp_path):
    w = np.array([1.0, 2.0])
    jitted = jit(lambda x: x * w)
    jitted(np.ones(2))
    w[...] = 7.0
    jitted.save(tmp_path / "f")
    w[...] = 0.0
    np.testing.assert_array_equal(load_jit(tmp_path / "f")(np.ones(2)), [7.0, 7.0])


def test_layouts_of_constants(tmp_path):
    a = normal(3, 4)

    def f(x):
        row = np.broadcast_to(a[0].copy(), (2, 4))
        constants = [a.T.copy().T, a.copy()[::2, ::-1], row, a[:0].copy(), np.array(2.5), np.array([True, False])]
        return [x * c for c in constants]

    path = saved(tmp_path, f, (2.0,))
    assert_same(load_jit(path)(3.0), f(3.0))


Pair = namedtuple("Pair", "a b")


def test_what_a_file_cant_hold_is_named(tmp_path):
    @gpuad.primitive
    def mine(x):
        return x + 1.0

    for f, args, match in [
        (mine, (np.ones(2),), "mine is an operation of the program's own"),
        (lambda p: p.a + p.b, (Pair(np.ones(2), 2.0),), "a container of type Pair among the arguments"),
        (lambda x: Pair(x, x), (np.ones(2),), "a container of type Pair in the result"),
        (lambda x, s: x, (np.ones(2), object()), "an object of type object"),
    ]:
        with pytest.raises(UnsupportedError, match=match):
            jit(f).save(tmp_path / "f", *args)
    assert not list(tmp_path.iterdir())


def test_containers_that_check_what_they_hold_are_recorded():
    class Checked:
        def __init__(self, x):
            if not isinstance(x, np.ndarray):
                raise TypeError(x)
            self.x = x

    gpuad.register_container(Checked, lambda c: ([c.x], None), lambda _, parts: Checked(*parts))
    f = jit(lambda c: c.x * 2.0)
    for _ in range(3):
        np.testing.assert_array_equal(f(Checked(np.ones(2))), [2.0, 2.0])
    assert f.recordings.replayed


def test_what_isnt_replayed_cant_be_saved(tmp_path):
    with pytest.warns(RuntimeWarning, match="random"), pytest.raises(UnsupportedError, match="random"):
        jit(lambda x: x + np.random.normal()).save(tmp_path / "f", 1.0)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = saved(tmp_path, lambda x: x + 1.0, (1.0,))
    before = path.read_bytes()
    monkeypatch.setattr(saved_file.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        jit(lambda x: x + 2.0).save(path, 1.0)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# -- calling ------------------------------------------------------------------------------------------
def test_calls_of_other_kinds_say_what_there_is(tmp_path):
    f = load_jit(saved(tmp_path, lambda p, x: p["w"] * x, ({"w": np.ones((2, 3))}, 1.5)))
    assert f.kinds == ["({'w': float64[2, 3]}, a float)"]
    for args in [({"w": np.ones((3, 2))}, 1.5), ({"w": np.ones((2, 3))}, 1), ({"w": np.ones((2, 3), np.float32)}, 1.5)]:
        with pytest.raises(NotRecordedError, match=r"float64\[2, 3\]\}, a float"):
            f(*args)
    with pytest.raises(NotRecordedError, match=r"with strides \(8, 16\)"):
        f({"w": np.ones((3, 2)).T}, 1.5)


def test_ways_that_werent_recorded(tmp_path):
    f = load_jit(saved(tmp_path, branching, (np.ones(3),)))
    f(np.ones(3))
    with pytest.raises(NotRecordedError, match=r"the bool .*line \d+ of test_jit_saved.py.* False now, and True"):
        f(-np.ones(3))


def test_error_states_and_fusion_of_the_caller(tmp_path):
    f = load_jit(saved(tmp_path, lambda x: 1.0 / x, (np.ones(2),)))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as caught:
        f(np.zeros(2))
    assert "test_jit_saved.py" in caught.value.__notes__[0]
    with gpuad.fusion(False), np.errstate(all="ignore"):
        assert np.isinf(f(np.zeros(2))).all()


def test_other_transformations_are_refused(tmp_path):
    f = load_jit(saved(tmp_path, np.sin, (1.0,)))
    for transformed, x in ((grad(f), 1.0), (vmap(f), np.ones(2))):
        with pytest.raises(UnsupportedError, match="save jit"):
            transformed(x)
    with pytest.warns(RuntimeWarning, match="save jit"):  # which calls it as it is
        assert jit(lambda x: f(x))(1.0) == np.sin(1.0)


def test_lower_and_cost_of_a_loaded_function(tmp_path):
    jitted, args = jit(mlp_step), PROGRAMS["mlp"][1][0]
    jitted(*args)
    jitted.save(tmp_path / "f")
    loaded = load_jit(tmp_path / "f")
    assert str(loaded.lower(*args)) == str(jitted.lower(*args))
    assert loaded.cost(*args) == jitted.cost(*args)
    assert loaded.__name__ == "mlp_step"


# -- files that aren't as they should be --------------------------------------------------------------
@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    path = tmp_path_factory.mktemp("intact") / "f.gpuad"
    with gpuad.use("numpy"):
        jit(in_place).save(path, np.array([0.3, 0.6, 0.9]))
    return path.read_bytes()


def rewritten(content, change):
    """The file with a program that ``change`` has changed, and a checksum that agrees."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        program, block = json.loads(archive.read("program.json")), archive.read("arrays.bin")
    program = change(program) or program
    return program, [block]


def test_damage_is_noticed(tmp_path, intact):
    path = tmp_path / "f"
    rng = np.random.default_rng(0)
    places = {*rng.integers(0, len(intact), 150).tolist(), *range(12), *range(len(intact) - 110, len(intact))}
    for at in places:
        content = bytearray(intact)
        content[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.raises(SavedFileError, match=re.escape(str(path))):
            load_jit(path)
    for length in (0, 1, 3, 100, len(intact) // 2, len(intact) - 1):
        path.write_bytes(intact[:length])
        with pytest.raises(SavedFileError):
            load_jit(path)
    path.write_bytes(intact + b"more")
    with pytest.raises(SavedFileError):
        load_jit(path)
    with pytest.raises(FileNotFoundError):
        load_jit(tmp_path / "nothing")


def places_of(x, at=()):
    """All places in JSON, as ways to them."""
    yield at
    parts = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
    for k, part in parts:
        yield from places_of(part, (*at, k))


OTHERS = [
    None,
    True,
    -1,
    0,
    1,
    10**6,
    10**30,
    0.5,
    "",
    "axis",
    "__import__('os')",
    [],
    ["tuple"],
    ["array", 0],
    {},
    [[]],
]


def test_programs_that_somebody_else_has_written(tmp_path, intact):
    """Whatever stands there, it is refused, or it is a program that raises what operations may raise, or gives some
    result."""
    path = tmp_path / "f"
    rng = np.random.default_rng(1)
    original, _ = rewritten(intact, lambda p: p)
    every = list(places_of(original))[1:]
    refused = 0
    for k in rng.permutation(len(every))[:200]:
        program, block = rewritten(intact, lambda p: p)
        *way, last = every[k]
        there = program
        for step in way:
            there = there[step]
        there[last] = OTHERS[rng.integers(len(OTHERS))]
        saved_file.write(path, program, block)
        try:
            f = load_jit(path)
        except SavedFileError:
            refused += 1
            continue
        with np.errstate(all="ignore"):
            for _ in range(2):
                # Others would be a mistake in reading what stands there.
                with contextlib.suppress(SavedFileError, NotRecordedError, ValueError, IndexError, ArithmeticError):
                    f(np.array([0.3, 0.6, 0.9]))
    assert refused > 100


def test_what_no_other_numbers_explain_is_said_of_the_file(tmp_path):
    """A program that was recorded can't ask an operation for what it doesn't do."""
    jit(lambda x: np.sum(x, axis=0) * 2.0).save(tmp_path / "f", np.ones((2, 3)))

    def change(program):
        for pairs in program["tables"]["parameters"]:
            for pair in pairs:
                if pair[0] == "axis":
                    pair[1] = 0.5

    saved_file.write(tmp_path / "f", *rewritten((tmp_path / "f").read_bytes(), change))
    with pytest.raises(SavedFileError, match=r"isn't as gpuad writes it: sum, recorded of .* raises TypeError"):
        load_jit(tmp_path / "f")(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: p["tables"]["specs"].__setitem__(0, 0), "isn't described as an array"),
        (lambda p: p["kinds"][0]["stretches"][0]["constants"][0].__setitem__(1, "axis"), "no array of any backend"),
        (lambda p: p.update(gpuad="9.9"), "saved by gpuad 9.9, and this is gpuad"),
        (lambda p: p["tables"]["operations"].__setitem__(0, "os.system"), "no operation 'os.system'"),
        (lambda p: p["arrays"][0].update(at=10**9), "longer than the file"),
        (lambda p: p["arrays"][0].update(dtype="|O8"), "no dtype of numbers"),
        (lambda p: p["kinds"][0]["stretches"][0]["args"].__setitem__(0, 77), "read that isn't there"),
        (lambda p: p["kinds"][0]["stretches"][0]["outs"].__setitem__(0, 0), "out of bounds"),
        (lambda p: p["kinds"][0]["stretches"][0]["arity"].append(1), "different numbers"),
        (lambda p: [1], "isn't as gpuad writes it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, intact, change, match):
    saved_file.write(tmp_path / "f", *rewritten(intact, change))
    with pytest.raises(SavedFileError, match=match):
        load_jit(tmp_path / "f")


def test_no_text_of_a_file_becomes_code(tmp_path):
    """Shapes and such become a part of a function's text: a text in their place is refused."""
    jitted = jit(lambda x: np.sum(x, axis=0, keepdims=True).reshape(3, 1).transpose(1, 0))
    path = tmp_path / "f"
    jitted.save(path, np.ones((2, 3)))
    content = path.read_bytes()
    program, _ = rewritten(content, lambda p: p)
    trace = tmp_path / "was here"
    tried = 0
    for k, pairs in enumerate(program["tables"]["parameters"]):
        for i, (name, _) in enumerate(pairs):
            code = f"__import__('os').mkdir({str(trace)!r})"
            for pair in ([name, code], [name, ["tuple", code]], [f"{name}={code}, x", 0]):
                changed, block = rewritten(content, lambda p: p)
                changed["tables"]["parameters"][k][i] = pair
                saved_file.write(path, changed, block)
                with pytest.raises((SavedFileError, ValueError)):
                    f = load_jit(path)
                    for _ in range(2):
                        f(np.ones((2, 3)))
                tried += 1
    assert tried >= 12 and not trace.exists()


def test_no_memory_is_read_that_isnt_the_arrays(tmp_path):
    jitted = jit(lambda x: gnp.lib.stride_tricks.as_strided(x, (3, 2), (8, 8)) * 1.5)
    path = tmp_path / "f"
    jitted.save(path, np.arange(4.0))
    assert_same(load_jit(path)(np.arange(4.0)), jitted(np.arange(4.0)))

    def change(program):
        for pairs in program["tables"]["parameters"]:
            for pair in pairs:
                if pair[0] == "steps":
                    pair[1] = ["tuple", 10**6, 1]

    saved_file.write(path, *rewritten(path.read_bytes(), change))
    with pytest.raises(ValueError, match="lead out of"):
        load_jit(path)(np.arange(4.0))


def test_a_shape_that_may_vary_is_asked_for(tmp_path):
    """What comes of a mask is of another length at another call: no program is made that doesn't look."""
    path = saved(tmp_path, lambda x: np.sin(x[x > 0.0]), (np.array([1.0, -1.0]),), (np.ones(2),))
    f = load_jit(path)
    for x in (np.ones(2), np.array([-1.0, 1.0]), np.ones(2)):
        assert_same(f(x), np.sin(x[x > 0.0]))
    with pytest.raises(NotRecordedError, match="the shape of a value"):
        f(-np.ones(2))

    def change(program):
        first, *others = program["kinds"][0]["stretches"]
        (then,) = [s for s in others if "result" in s][:1]
        assert not first["several"] + then["several"]
        both = {k: first[k] + then[k] for k in then if k != "result"}
        program["kinds"][0]["stretches"] = [{**both, "result": then["result"]}]

    saved_file.write(path, *rewritten(path.read_bytes(), change))
    with pytest.raises(SavedFileError, match="a shape that may vary"):
        load_jit(path)(np.ones(2))


def test_operations_that_give_something_else_than_before(tmp_path, intact):
    def change(program):
        for spec in program["tables"]["specs"]:
            spec[2] = "<f4"

    saved_file.write(tmp_path / "f", *rewritten(intact, change))
    with pytest.raises(SavedFileError, match=r"gives .*float64.* here, and gave float32"):
        load_jit(tmp_path / "f")(np.array([0.3, 0.6, 0.9]))

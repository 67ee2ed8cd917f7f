"""jit: programs that a recording might get wrong in silence. They do what they do without, to their arguments too."""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
import os
import subprocess
import sys
import time
import types
import warnings

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import jit
from gpuad.core.box import Box

X = np.array([0.5, -1.5, 2.5])
scale, names = 2.0, [1, 2]
fresh, ticked = np.random.default_rng, time.perf_counter


@dataclasses.dataclass
class Layer:
    w: object
    name: str = "a"

    def forward(self, x):
        return self.w * x * scale


def difference(a, b, path=""):
    """In words, or nothing."""
    if type(a) is not type(b):
        return f"{path}: {type(a)}, {type(b)}"
    if isinstance(b, (np.ndarray, np.generic)):
        alike = a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, rtol=1e-10, atol=1e-12, equal_nan=True)
        return "" if alike and (np.signbit(a.real) == np.signbit(b.real)).all() else f"{path}: {a!r}, {b!r}"
    if isinstance(b, dict):
        if list(a) != list(b):
            return f"{path}: {list(a)}, {list(b)}"
        return next(filter(None, [difference(a[k], b[k], f"{path}[{k!r}]") for k in b]), "")
    if isinstance(b, (list, tuple)):
        if len(a) != len(b):
            return f"{path}: {a}, {b}"
        return next(
            filter(None, [difference(p, q, f"{path}[{i}]") for i, (p, q) in enumerate(zip(a, b, strict=True))]), ""
        )
    if hasattr(b, "__dict__"):
        return difference(vars(a), vars(b), f"{path}.")
    return "" if a == b or (a != a and b != b) else f"{path}: {a!r}, {b!r}"


def attempt(f, args):
    try:
        return f(*args)
    except Exception as error:
        return type(error).__name__


def faithful(f, *calls, before=lambda k: None, warns=None, replays=None, **options):
    """``jit(f)`` is ``f`` at these calls, results and arguments. ``before(k)`` is called before the k-th of them."""
    jitted = jit(f, **options)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k, args in enumerate(calls):
            before(k)
            given, plain = copy.deepcopy(args), copy.deepcopy(args)
            assert not difference(attempt(jitted, given), attempt(f, plain)), f"call {k}"
            assert not difference(list(given), list(plain)), f"the arguments of call {k}"
    said = [str(w.message) for w in seen if "gpuad.jit" in str(w.message)]
    assert len(said) == bool(warns), said
    assert not said or warns in said[0]
    assert replays is None or jitted.recordings.replayed == replays
    return jitted


def three(x=X):
    return [(x + k,) for k in range(3)]


# -- plain arrays that the program writes into --------------------------------------------------------------
def test_constants_count_as_they_were_when_they_were_used():
    def unit_vectors(x):
        e, total = np.zeros(3), 0.0
        for i in range(3):
            e[i] = i + 1.0
            total = total + x * e
            e[i] = 0.0
        e[:] = 7.0
        return total

    def indices(x):
        i = np.array([0, 1])
        y = x[i]
        i += 1
        return y + x[i]

    faithful(unit_vectors, *three(), replays=2)
    faithful(indices, *three(), replays=2)


def test_large_ones_are_refused():
    def f(x):
        c = np.ones(9000)
        y = x * c
        c[0] = 5.0
        return y

    faithful(f, *three(np.ones(9000)), warns="writes into a plain array that an operation has used before")


# -- arguments that the program changes ---------------------------------------------------------------------
CHANGES = {
    "a key": (lambda p: p.__setitem__("y", p["x"] * 2), {"x": X}),
    "one replaced": (lambda p: p.__setitem__("x", p["x"] * 2), {"x": X}),
    "a list": (lambda p: p.append(p[0] * 2), [X]),
    "pop": (lambda p: p.pop("x"), {"x": X, "n": 1}),
    "inside": (lambda p: p["in"].append(1), {"x": X, "in": []}),
    "a field": (lambda p: setattr(p, "w", p.w * 2), Layer(X)),
    "an attribute": (lambda p: setattr(p, "more", 1), Layer(X)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_containers(name):
    change, p = CHANGES[name]

    def f(p):
        change(p)
        return 1.0

    faithful(f, (p,), (p,), warns="changes a container that it was given")


WRITES = {
    "+=": lambda x: operator.iadd(x, 1),
    "@=": lambda x: operator.imatmul(x, x),
    "**=": lambda x: operator.ipow(x, 2),
    "out": lambda x: np.add(x, 1, out=x),
    "clip": lambda x: np.clip(x, 0, 1, out=x),
    "cumsum": lambda x: np.cumsum(x, 0, out=x),
    "mask": lambda x: operator.setitem(x, x > 1, 0.0),
    "shape": lambda x: setattr(x, "shape", (4,)),
    "row": lambda x: operator.iadd(x[0], 1),
    "asarray": lambda x: operator.setitem(np.asarray(x), 0, 7.0),
    "ascontiguousarray": lambda x: operator.setitem(np.ascontiguousarray(x), 0, 7.0),
    "conj": lambda x: operator.setitem(x.conj(), 0, 7.0),
    "astype": lambda x: operator.setitem(x.astype(float, copy=False), 0, 7.0),
}


@pytest.mark.parametrize("name", WRITES)
def test_arguments_written_into(name):
    def f(x):
        WRITES[name](x)
        return np.sum(x)

    x = np.arange(4.0).reshape(2, 2)
    jitted = jit(f)
    for k in range(3):
        given, plain = x + k, x + k
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert f(plain) == jitted(given)
        assert not difference(given, plain)
        assert len(seen) == (k == 0)


# -- what a call is like ------------------------------------------------------------------------------------
def test_static_arguments_with_other_types_and_signs():
    faithful(lambda x, s: x * s[0], *[(np.arange(3), (n,)) for n in (1, 1.0, True)], static_argnums=1)
    faithful(np.copysign, *[(X, s) for s in (0.0, -0.0)], static_argnums=1)


def test_one_array_given_twice():
    jitted = jit(lambda x, y: x * 2 if x is y else x * 3)
    for other in (X, X + 0.0, X):
        np.testing.assert_array_equal(jitted(X, other), X * (2 if other is X else 3))
    assert jitted.recordings.replayed == 1


class Table(dict):
    pass


class Poly:
    def __init__(self, coefficients, power):
        self.coefficients, self.power = coefficients, power


gpuad.register_container(Poly, lambda p: ([p.coefficients], p.power), lambda power, parts: Poly(*parts, power))


def with_attribute(container, value):
    container.more = value
    return container


def test_what_containers_have_besides_their_parts():
    faithful(lambda p: p.w * p.more, *[(with_attribute(Layer(X), v),) for v in (1.0, 2.0, 1.0)], replays=1)
    faithful(lambda p: p["a"] * p.more, *[(with_attribute(Table(a=X), v),) for v in (1.0, 2.0, 1.0)], replays=1)
    faithful(lambda p: p.coefficients**p.power, *[(Poly(X, n),) for n in (1, 2, 1)], replays=1)


# -- what is around the function ------------------------------------------------------------------------------
class Vector:
    def __init__(self, x):
        self.x = x

    def __mul__(self, other):
        return Vector(self.x * other.x * scale)

    def __getitem__(self, i):
        return self.x[i] * scale

    def __getattr__(self, name):
        return scale

    def __enter__(self):
        return scale

    def __exit__(self, *error):
        pass


class Base:
    k = 1.0

    def forward(self, x):
        return x * scale * self.k


class Derived(Base):
    pass


MODULE = types.ModuleType("a_module_of_the_test")
MODULE.s = 2.0
exec("def helper(x): return x * s", MODULE.__dict__)


def in_a_context(x):
    with Vector(x) as s:
        return x * s


def importing(x):
    import a_module_of_the_test

    return a_module_of_the_test.helper(x)


def importing_from(x):
    from a_module_of_the_test import helper, s

    return helper(x) + s


vector, derived = Vector(X), Derived()
READERS = [
    lambda x: (Vector(x) * Vector(x)).x,
    lambda x: Vector(x)[1] + vector[0],
    lambda x: x * vector.nothing,
    lambda x: derived.forward(x),
    lambda x: Derived().forward(x),
    lambda x: Layer(x).forward(x),
    lambda x: np.copysign(x, names[0]) * names[1],
    in_a_context,
    importing,
    importing_from,
]


@pytest.mark.parametrize("f", READERS, ids=range(len(READERS)))
def test_what_is_read_by_methods_bases_and_imports(f, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_module_of_the_test", MODULE)

    def before(k):
        global scale, names
        scale = (2.0, 2.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0)[k]
        Base.k = (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0)[k]
        MODULE.s = (2.0, 2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0)[k]
        if k == 6:
            Derived.k = 7.0
        names[:] = [[0.0, 1]] * 7 + [[-0.0, 1.0]] if k < 0 else [-0.0 if k == 7 else 0.0, 1.0 if k == 8 else 1]

    try:
        jitted = faithful(f, *[(np.arange(3),)] * 9, before=before)
        assert jitted.recordings.replayed >= 3
    finally:
        del Derived.k


def test_methods_of_arguments():
    def before(k):
        global scale
        scale = (2.0, 2.0, 3.0)[k]

    faithful(lambda layer, x: layer.forward(x), *[(Layer(X), X + k) for k in range(3)], before=before, replays=1)


def test_functions_that_are_edited():
    def g(x):
        return x * 2

    def before(k):
        g.__code__ = (lambda x: x * 3).__code__ if k == 1 else (lambda x: x * 2).__code__

    faithful(lambda x: g(x), *three(), before=before)


def test_programs_that_may_read_anything():
    faithful(lambda x: x * globals()["scale"], *three(), warns="calls globals")


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: x[np.random.default_rng().integers(0, 1000)],
        lambda x: np.roll(x, int(np.random.default_rng().integers(0, 1000)))[0],
        lambda x: (x * 2, time.perf_counter())[1],
        lambda x: x[fresh().integers(0, 1000)],
        lambda x: (x * 2, ticked())[1],
        functools.partial(lambda ticks, x: x[0] + next(ticks), (k for k in range(99))),
    ],
)
def test_what_is_another_at_every_call(draw):
    jitted, x = jit(draw), np.arange(1000.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert len({float(jitted(x)) for _ in range(8)}) >= 5


def test_functions_that_cython_made():
    faithful(lambda x: x + fresh(3).normal(size=3), *three())


# -- errors that the program catches ---------------------------------------------------------------------------
def test_errors_that_are_caught():
    def factor(a):
        try:
            return np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return a * 0.0 - 1.0

    def quotient(x, r):
        try:
            return x / (1 / r)
        except ZeroDivisionError:
            return x * 7

    def entry(x):
        try:
            return x[int(x[0])]
        except ValueError:
            return x[2]

    good, bad = np.eye(2), -np.eye(2)
    for calls in ([good, 2 * good, bad, good], [bad, good, 2 * good, bad, bad]):
        assert faithful(factor, *[(a,) for a in calls]).recordings.replayed
    for calls in ([1.0, 2.0, 0.0, 3.0], [0.0, 2.0, 0.0, 3.0]):
        assert faithful(quotient, *[(X, r) for r in calls]).recordings.replayed
    faithful(entry, *[(np.array([r, 5.0, 6.0]),) for r in (np.nan, 1.0, 1.0, np.nan)])


# -- what is kept of a call ---------------------------------------------------------------------------------------
def test_no_traced_array_stays_behind():
    class Slotted:
        __slots__ = ("last",)

    kept, slotted = [], Slotted()
    slotted.last = None

    def deep(x):
        kept.append({"m": [x * 2], "layer": Layer(x * 3), "pair": (x, 1)})
        return x

    def slot(x):
        slotted.last = x * 2
        return x

    for f in (deep, slot):
        jitted = jit(f)
        with pytest.warns(RuntimeWarning, match="changes the variable"):
            jitted(X)
        jitted(X + 1)
    assert [type(k["m"][0]) for k in kept] == [type(k["layer"].w) for k in kept] == [np.ndarray] * 2
    assert type(kept[0]["pair"][0]) is np.ndarray and type(slotted.last) is not Box
    np.testing.assert_array_equal(slotted.last, (X + 1) * 2)


def test_objects_that_hold_arrays_in_attributes_arent_returned():
    faithful(lambda x: with_attribute(Layer(x), x * 2), *three(), warns="in attributes that aren't fields")


def test_the_warning_is_given_where_the_program_calls():
    with pytest.warns(RuntimeWarning, match="assigns to") as seen:
        jit(assigning)(X)
    assert seen[0].filename == __file__


def assigning(x):
    global names
    names = [1, 2]
    return x


def test_written_parts_of_zeros():
    faithful(gpuad.lift(lambda x: operator.iadd(gnp.zeros(3), x)), *three(), replays=2)


def test_error_states_are_kinds_of_calls_in_every_context():
    jitted = jit(lambda x: 1 / x)
    for state in ("ignore", "raise", "ignore", "raise"):
        with np.errstate(all=state):
            if state == "raise":
                with pytest.raises(FloatingPointError):
                    jitted(np.zeros(2))
            else:
                assert np.isinf(jitted(np.zeros(2))).all()
    before = np.seterr(divide="raise")
    try:
        with pytest.raises(FloatingPointError):
            jitted(np.zeros(2))
    finally:
        np.seterr(**before)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        jitted(np.zeros(2))


# -- Python's numbers, and NumPy's --------------------------------------------------------------------------------
NUMBERS = {
    "operators": lambda r: (r * 2, 1 / r, r**0.5, r**2, r**3, -r, abs(r), r - 1, r + True, +r, r.real, r.conjugate()),
    "comparisons": lambda r: (r == 0.5, r != 2, not r, isinstance(r, float), [r] * 2, bool(r)),
    "functions": lambda r: (
        np.sqrt(r),
        np.square(r),
        np.negative(r),
        np.abs(r),
        gnp.sqrt(r),
        np.add(r, 1),
        np.power(r, 2),
    ),
    "more functions": lambda r: (np.divide(1, r), np.reciprocal(r), np.multiply(r, 2), gnp.add(r, 1), np.maximum(r, 1)),
    "beside an array": lambda r: (np.ones(2, np.float32) * r, np.ones(2, np.float32) * np.sqrt(r), gnp.asarray(r) * 1),
    "order": lambda r: (r < 0.3, 0 < r < 1, min(r, 0.3), r // 0.3, r % 0.3, divmod(r, 0.3), (r > 0) + (r < 1)),
    "as text": lambda r: (str(r), f"{r:.2f}"),
    "whole": lambda r: (
        r & 3,
        r | 1,
        r ^ 5,
        r << 70,
        r >> 1,
        ~r,
        2**r,
        r * 10**18,
        [0] * r,
        r * (1,),
        r % 3 == 0,
        r**30,
    ),
}
VALUES = {
    float: [0.5, 0.25, -0.5, 2.0, 0.5],
    int: [1, 2, 3, 4, 5, 6, 7, 5],
    complex: [0.5j, 1 + 2j, -1 + 0j],
    np.float64: [np.float64(v) for v in (0.5, -0.5, 2.0)],
    np.float32: [np.float32(v) for v in (0.5, -0.5, 2.0)],
    np.int64: [np.int64(v) for v in (1, -2, 5)],
}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_pythons_or_numpys_as_they_are_without(name, kind):
    if name == "whole" and kind is not int:
        return
    with np.errstate(all="ignore"):
        faithful(NUMBERS[name], *[(v,) for v in VALUES[kind]])


def test_powers_of_whole_numbers():
    for x in (np.arange(1, 5), np.arange(4) > 1, np.arange(5, dtype=np.int8)):
        faithful(lambda x: (x**2, x**3.0, x**0.5, x**2.0, x**3), (x,), (x,))
    faithful(lambda x: x**-1, (np.arange(1, 3),), (np.arange(1, 3),))


WHOLE = {
    "round": lambda x: (np.round(x), np.round(x, 1), np.round(x, -1)),
    "norm": lambda x: (np.linalg.norm(x), np.linalg.norm(x, 1), np.linalg.norm(x, np.inf)),
    "quantiles": lambda x: (np.percentile(x, 30), np.quantile(x, [0.2, 0.9]), np.median(x), np.median(x[:3])),
    "histogram": lambda x: np.histogram(x, 3),
    "without nan": lambda x: (np.nansum(x, axis=0), np.nanprod(x), np.nancumsum(x), np.nancumprod(x), np.nanmean(x)),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", ["i1", "u1", "i8"])
def test_functions_of_whole_numbers(name, dtype):
    x = np.array([3, 11, 2, 5], dtype)
    faithful(WHOLE[name], (x,), (x[::-1].copy(),))


# -- other things around a function -------------------------------------------------------------------------------
def test_what_is_read_through_contexts_and_views():
    import contextvars

    context, table = contextvars.ContextVar("a factor", default=2.0), {"a": 2.0}
    view, raw, masked = types.MappingProxyType(table), bytearray(b"\x02"), np.ma.array([2.0, 3.0], mask=[False, True])
    memory = memoryview(raw)

    def before(k):
        context.set((2.0, 2.0, 3.0)[k])
        table["a"] = (2.0, 2.0, 3.0)[k]
        raw[0] = (2, 2, 3)[k]
        masked[0] = (2.0, 2.0, 3.0)[k]

    for f in (
        lambda x: x * context.get(),
        lambda x: x * view["a"],
        lambda x: x * memory[0],
        lambda x: x * 2 if masked[0] > 2.5 else x * 3,
    ):
        before(0)
        faithful(f, *three(), before=before, replays=1)


WEIGHTS = np.array([1.0, -2.0, 0.5])


def zeros_that_hold(x):
    z = np.zeros(3)
    z[1:] = x[:2]
    return z


def lifted_with_an_array_around(x):
    return np.sum(zeros_that_hold(x * WEIGHTS) ** 3 * WEIGHTS)


def test_a_lifted_function_that_reads_an_array_around_it(monkeypatch):
    f = gpuad.lift(lifted_with_an_array_around)
    for weights in (WEIGHTS, WEIGHTS[::-1].copy()):
        monkeypatch.setitem(globals(), "WEIGHTS", weights)
        want = np.append(3 * (X * weights)[:2] ** 2 * weights[1:] * weights[:2], 0.0)
        jitted = jit(gpuad.grad(f))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                np.testing.assert_allclose(jitted(X), want, rtol=1e-14)
                np.testing.assert_allclose(jit(f)(X), lifted_with_an_array_around(X), rtol=1e-14)
        assert jitted.recordings.replayed == 2


def test_random_numbers_are_drawn_once_where_a_function_is_called_again():
    rng = np.random.default_rng(0)

    def f(p):
        p["y"] = p["x"] + np.random.normal(size=3) + rng.normal(size=3)
        return p["y"] * 2

    def g(x):
        x += np.random.normal(size=3) + rng.normal(size=3)
        return x * 2

    for function, make in ((f, lambda: {"x": X}), (g, X.copy)):
        results = []
        for call in (function, jit(function)):
            rng.bit_generator.state = np.random.default_rng(0).bit_generator.state
            np.random.seed(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                results.append([call(make()) for _ in range(3)])
        np.testing.assert_array_equal(*results)


def test_infinite_complex_numbers():
    x = np.array([complex(np.inf, 0.0), 1 - 2j])
    with np.errstate(all="ignore"):
        for f in (lambda x: x * 1.0, lambda x: x / 1.0, lambda x: 1 * x, lambda x: x - 0.0):
            jitted = jit(f)
            jitted(x)
            np.testing.assert_array_equal(jitted(x), f(x))


FORKS = """
import os, signal, threading, time
import numpy as np
from gpuad import jit
from gpuad.graph.tree import Tree

held, add = threading.Event(), Tree.add

def slowly(*args):
    held.set()
    time.sleep(0.3)
    add(*args)

f = jit(lambda x: np.sin(x) * 2)
Tree.add = slowly
other = threading.Thread(target=f, args=(np.ones(2),))
other.start()
held.wait()
child = os.fork()
signal.alarm(20)
if not child:
    Tree.add = add
    x = np.arange(3.0)
    os._exit(0 if all(np.array_equal(f(x), np.sin(x) * 2) for _ in range(3)) else 1)
assert os.waitpid(child, 0)[1] == 0
other.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_is_forked_while_another_thread_records():
    """It hasn't that thread, which would never give back what it holds."""
    folder = os.path.dirname(os.path.dirname(gpuad.__file__))
    environment = {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

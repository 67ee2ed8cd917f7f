"""jit: random programs with all that Python has, on arguments and surroundings that change between calls.

A program is a text: branches and loops on data, helpers, closures, objects, globals, writes into local arrays and their
views, errors that are caught. Jitted and plain it must give the same results, in the same containers and dtypes, and
leave its arguments alone; and no replay may raise an error that the program doesn't raise.
"""

from __future__ import annotations

import copy
import functools
import random
import warnings

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jit, value_and_grad
from gpuad.core.pytree import leaves
from gpuad.errors import UnsupportedError
from gpuad.graph.tree import Tree

AROUND = """
factor = 1.5
weights = np.array([0.5])
config = {"s": 0.5, "flag": True, "m": np.array([1.0])}
class Model:
    def __init__(self):
        self.g, self.w = 0.7, np.array([0.3])
    @property
    def twice(self):
        return self.g * 2
    def __call__(self, t):
        return t * self.twice + self.w + self.help(t)
    @staticmethod
    def help(t):
        return t * factor
model = Model()
def h1(a, b):
    return a * 0.5 + b * factor
def h2(a, s=0.5, cache=config):
    return np.tanh(a) * s + cache["m"]
"""

#: {a}, {b}: arrays of one length; {c}: a number; {i}: 0 to 3.
ARRAYS = """
np.sin({a})|np.tanh({a}) * {c}|{a} + {b}|{a} * {b}|{a} / (1.0 + np.abs({b}))|-{a}|np.exp(-np.abs({a}))|{a} ** 2
{a} ** 3 * 0.1|np.maximum({a}, {b})|np.minimum({a}, {c})|np.where({a} > {c}, {a}, {b})|np.where({a} > {b}, {c}, 0.5)
np.clip({a}, -1, {c} + 1)|{a}[::-1]|np.roll({a}, {i})|np.cumsum({a}) * 0.1|np.sort({a})|{a}[np.argsort({b})]
np.concatenate([{a}[1:], {b}[:1]])|{a}.reshape(2, -1).T.reshape(-1)|np.repeat({a}[::2], 2)|{a}.astype(np.float32)
np.floor({a})|({a} > 0) * {b}|np.outer({a}, {b}).sum(axis=0)|np.outer({a}, {b}) @ {a} * 0.1|{a} * 1|1 * {a}|{a} - 0.0
{a} + 0.0|{a} / 1|--{a}|np.stack([{a}, {b}], axis=1).max(axis=1)|np.broadcast_to({a}[:1], {a}.shape)|{a} * {b}[0]
{a}[{b}.argmax()] * {a}|h1({a}, {b})|h2({a}, {c})|(lambda t: t * {c} + {b})({a})|factor * {a}|{a} + weights|model({a})
config["s"] * {a}|sum([{a}, {b}])|functools.reduce(lambda p, q: p * 0.5 + q, [{a}, {b}, {a}])|np.diff({a}, append=0.0)
np.searchsorted(np.sort({a}), {b}) * 1.0|np.linalg.norm({a}) * {b}|np.fft.rfft({a}).real.sum() * {b}|np.var({a}) + {b}
np.einsum("i,j->i", {a}, {b}) * 0.1|np.select([{a} > 1, {b} < 0], [{a}, {b}], 0.25)|np.arange(len({a})) * {a}
gnp.zeros_like({a}) + {b}|{a}[[0, 1]].sum() + {b}|np.take({a}, [{i}, 0, {i}]).sum() * {b}|{a}.T.conj()|np.real({a})
"""
NUMBERS = """
{a}.sum()|np.mean({a})|{a}.max()|{a}[{i}]|{c} * 0.5|{c} + 1|{c} ** 2 * 0.1|abs({c})|np.sin({c})|np.sqrt(np.abs({c}))
min({c}, 1.0)|np.float64({c}) * 0.5|k * 0.1|{a} @ {b} * 0.01|-{c}|float(k)|({c} if {c} > 0 else 0.25)|{c} / (1 + {c})
"""
CONDITIONS = """
{a}.sum() > 0|{c} > 0.3|k % 2 == 0|{a}[0] > {b}[1]|np.any({a} > 1)|bool({c} < 0.5)|len({a}) > 4|int(np.argmax({a})) == 1
config["flag"]|isinstance({c}, float)|{a}.dtype == np.float64|not {c} > 0|({a} > 0).sum() > 2|{c} > 0 and {a}[1] < 1
"""
#: On an array {n} that the program has made just now.
WRITES = """
{n}[1:][:] = {c}|{n}[::2] += 0.5|{n}[::-1][0] *= 2.0|{n}[{i}] = {b}[1]|{n}[{i}] -= {c}|{n}[{n} > {c}] = 0.0|{n} *= {c}
{n} += {b}|{n}[1:] = {b}[:-1]|{n}[[0, 2]] += {b}[:2]|{n}.sort()|np.add.at({n}, [0, 1, 0], 0.5)
{n}.reshape(2, -1)[1] = {c}
"""
RESULTS = """
{a}|{c}|{a}[:2]|{a}[::-1]|x|p["w"]|None|"s"|k|[{a}, {c}]|{{"a": {a}}}|np.float64(1.5)|{a} > 0|({a} > 0).any()|p|x.shape
"""
ARRAYS, NUMBERS, CONDITIONS, WRITES, RESULTS = (
    [part for line in text.strip().split("\n") for part in line.split("|")]
    for text in (ARRAYS, NUMBERS, CONDITIONS, WRITES, RESULTS)
)


class Program:
    def __init__(self, draw):
        self.draw, self.lines, self.count = draw, ["def f(x, y, r, k, p):", "    z = x * 0.5"], 0
        self.arrays, self.numbers = ["x", "y", "z", 'p["w"]', 'p["l"][0]'], ["r"]
        for _ in range(draw.randint(3, 12)):
            self.statement(1)
        everything = self.arrays if draw.random() < 0.7 else []
        self.emit(1, f"return {self.some(RESULTS)}, {self.some(RESULTS)}, {', '.join([*everything, *self.numbers])}")
        self.text = "\n".join(self.lines)

    def some(self, of, **names):
        a, b = self.draw.choice(self.arrays), self.draw.choice(self.arrays)
        return self.draw.choice(of).format(
            a=a, b=b, c=self.draw.choice(self.numbers), i=self.draw.randint(0, 3), **names
        )

    def emit(self, depth, text):
        self.lines.append("    " * depth + text)

    def made(self, depth, text, kind="arrays"):
        self.count += 1
        self.emit(depth, f"v{self.count} = {text}")
        getattr(self, kind).append(f"v{self.count}")
        return f"v{self.count}"

    def inner(self, depth, changed):
        known = list(self.arrays), list(self.numbers)
        for _ in range(self.draw.randint(0, 2)):
            self.statement(depth)
        self.emit(depth, f"{changed} = {self.some(ARRAYS)}")
        self.arrays, self.numbers = known

    def statement(self, depth):
        kind = self.draw.random()
        if kind < 0.45:
            self.made(depth, self.some(ARRAYS))
        elif kind < 0.6:
            self.made(depth, self.some(NUMBERS), "numbers")
        elif kind < 0.7 and depth < 3:
            changed = self.made(depth, self.some(ARRAYS))
            self.emit(depth, f"if {self.some(CONDITIONS)}:")
            self.inner(depth + 1, changed)
            self.emit(depth, "else:")
            self.inner(depth + 1, changed)
        elif kind < 0.77 and depth < 3:
            n, often = self.made(depth, self.some(["{a} * 1.0"])), self.some(["3", "k", "int(np.abs({c}) * 2) % 4"])
            self.emit(depth, f"for i in range({often}):")
            self.emit(depth + 1, f"{n} = " + self.some(["np.sin({n}) + {a}", "{n} * 0.5 + i", "{n} + {a}[i]"], n=n))
            self.emit(depth + 1, f"if {n}.sum() > 3: break")
        elif kind < 0.81 and depth < 3:
            n = self.made(depth, self.some(["{a} * 1.0"]))
            self.emit(depth, f"while np.abs({n}).max() > 1.0: {n} = {n} * 0.5")
        elif kind < 0.9:
            n = self.made(depth, self.some(["{a}.copy()", "{a} * 1.0", "gnp.array({a})"]))
            self.emit(depth, self.some(WRITES, n=n))
        elif kind < 0.94:
            self.emit(depth, f"e = np.zeros(len(x)); e[{self.draw.randint(0, 3)}] = 1.0")
            self.made(depth, self.some(["{a} * e"]))
            self.emit(depth, "e[:] = 3.0")
        elif kind < 0.97:
            self.emit(depth, f"t = {self.some(ARRAYS)}")
            self.emit(depth, "try: t = " + self.some(["{a}[int(np.abs({c}) * 3)] * {b}"]))
            self.emit(depth, "except IndexError: t = t * 0.25")
            self.made(depth, "t")
        elif depth == 1:
            self.emit(depth, f"if {self.some(CONDITIONS)}: return {self.some(RESULTS)}, {self.some(RESULTS)}")


def array(draw, n, dtype, layout):
    x = np.array([draw.gauss(0, 1) for _ in range(n)], dtype)
    if layout == "reversed":
        return x[::-1].copy()[::-1]
    return np.repeat(x, 2)[::2] if layout == "strided" else x


def attempt(f, args):
    try:
        return f(*args), None
    except Exception as error:
        return None, error


def assert_same(got, want, rounding):
    got, want = list(leaves(got)), list(leaves(want))
    assert [(path, type(x)) for path, x in got] == [(path, type(x)) for path, x in want]
    for (path, a), (_, b) in zip(got, want, strict=True):
        if isinstance(b, (np.ndarray, np.generic)):
            assert a.dtype == b.dtype and a.shape == b.shape, path
            largest = np.abs(b[np.isfinite(b)]).max(initial=1.0) if b.dtype.kind == "f" else 1
            np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding * largest)
        else:
            assert a == b or (isinstance(b, float) and (a == pytest.approx(b) or b != b)), path


def changed(draw, env):
    """Some of what is around the program."""
    for name, value in (("factor", draw.choice([1.5, 2.5, 1])), ("weights", np.array([draw.gauss(0, 1)]))):
        if draw.random() < 0.3:
            env[name] = value
    if draw.random() < 0.3:
        env["weights"][:] = draw.gauss(0, 1)
        env["config"]["m"][:] = draw.gauss(0, 1)
        env["model"].w[:] = draw.gauss(0, 1)
    if draw.random() < 0.2:
        env["config"]["s"], env["config"]["flag"] = draw.choice([0.5, 0.75]), draw.random() < 0.5
        env["model"].g = draw.choice([0.7, 0.9])


def loss(f):
    def total(x, y, r, k, p):
        arrays = [v for v in f(x, y, r, k, p) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
        return sum([(v * v).sum() for v in arrays], 0.0)

    return total


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, monkeypatch):
    draw = random.Random(seed)
    env = {"np": np, "gnp": gnp, "functools": functools, "__name__": "a_random_program"}
    exec(AROUND, env)
    text = Program(draw).text
    exec(compile(text, "<program>.py", "exec"), env)
    f = gpuad.lift(env["f"]) if draw.random() < 0.15 else env["f"]
    derived = draw.random() < 0.2
    if derived:
        f = draw.choice([value_and_grad(loss(f), (0, 1)), value_and_grad(loss(f), 2), grad(loss(f), 4)])
    jitted, raised = jit(f), []
    run = Tree.run

    def watched(self, inputs):
        try:
            return run(self, inputs)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(Tree, "run", watched)
    n, dtype, layout = 4, np.float64, "plain"
    for k in range(7):
        if k in (0, 5):
            n, dtype = draw.choice([4, 4, 6]), draw.choice([np.float64, np.float64, np.float32])
            layout = draw.choice(["plain", "plain", "reversed", "strided"])
        x, y, w = array(draw, n, dtype, layout), array(draw, n, dtype, "plain"), array(draw, n, np.float64, "plain")
        args = (
            x,
            x if draw.random() < 0.05 else y,
            draw.gauss(0, 1),
            draw.choice([1, 2, 3]),
            {"w": w, "l": [y * 2, None]},
        )
        changed(draw, env)
        kept = copy.deepcopy(args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            raised.clear()
            (want, error), (got, other), (again, _) = [attempt(function, args) for function in (f, jitted, jitted)]
        if error is not None:
            # A derivative that plain NumPy would lose may be known to a recording.
            assert type(other) is type(error) or (derived and isinstance(error, (UnsupportedError, ValueError))), text
            continue
        assert other is None and not raised, (text, other, raised)
        try:
            assert_same(got, want, 1e-4 if dtype is np.float32 else 1e-8)
            assert_same(again, want, 1e-4 if dtype is np.float32 else 1e-8)
        except AssertionError as difference:
            raise AssertionError(f"call {k} of\n{text}") from difference
        for (_, a), (_, b) in zip(leaves(args), leaves(kept), strict=True):
            assert np.array_equal(a, b) if isinstance(b, np.ndarray) else a == b

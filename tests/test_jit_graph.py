"""What jit makes of a recorded program: which steps are left, where results are written, what they cost."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad, jit
from gpuad.errors import UnsupportedError
from gpuad.graph.buffers import Plan

x10 = np.linspace(0.5, 2.0, 10)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0, 5e-324])


def steps_of(f, *args):
    """The names of the operations that are left."""
    found = []
    for line in str(jit(f).lower(*args)).split("\n"):
        call = line.partition(" = ")[2]
        if "(" in call and not call.startswith(("argument", "from around")):
            found.append(call.partition("(")[0])
    return found


@pytest.mark.parametrize(
    ("f", "left"),
    [
        (lambda x: x * 1, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1, []),
        (lambda x: x - 0.0, []),
        (lambda x: x + (-0.0), []),
        (lambda x: x + 0.0, ["add"]),  # -0.0 + 0.0 is 0.0
        (lambda x: x - (-0.0), ["subtract"]),
        (lambda x: 0.0 - x, ["subtract"]),
        (lambda x: x * 0.0, ["multiply"]),  # infinities and NaN
        (lambda x: np.negative(-x), []),
        (lambda x: -np.negative(-x), ["negative"]),
        (lambda x: x + -np.sin(x), ["sin", "subtract"]),
        (lambda x: x - -np.sin(x), ["sin", "add"]),
        (lambda x: -(2 * x), ["multiply"]),
        (lambda x: -(x / 3) + -(3 / x), ["divide", "divide", "add"]),
        (lambda x: -x * 2.0, ["multiply"]),
        (lambda x: 2 / -x, ["divide"]),
        (lambda x: -x * -np.cos(x), ["cos", "multiply"]),
        (lambda x: -x / -np.cos(x), ["cos", "divide"]),
        (lambda x: -(x * 0.0), ["multiply", "negative"]),  # a zero keeps its sign
        (lambda x: -(x - 1.0), ["subtract", "negative"]),  # where it is zero, its sign is another
        (lambda x: -(x * x), ["multiply", "negative"]),
        (lambda x: -(x * -2.0) + x * 2.0, ["multiply", "add"]),  # equal numbers are one
        (lambda x: x**3, ["multiply", "multiply"]),
        (lambda x: np.sin(x) * np.sin(x), ["sin", "multiply"]),
        (lambda x: x * np.exp(x) + np.exp(x) * x, ["exp", "multiply", "add"]),
        (lambda x: np.sin(x) if np.cos(x).size else x, ["sin"]),
        (lambda x: x.astype(float).reshape(8).conj().real, []),
        (lambda x: x.reshape(2, 4).T.T.reshape(8) + 1, ["reshape", "reshape", "add"]),
        (lambda x: x * np.ones(8), []),
        (lambda x: x * np.broadcast_to(np.float64(2.0), 8), ["multiply"]),
        (lambda x: np.broadcast_to(x[:1], (8,)) * x, ["part", "multiply"]),
        (lambda x: gnp.where(x > 0, x, x * 1), ["greater", "where"]),
    ],
)
def test_what_is_left(f, left):
    with np.errstate(all="ignore"):
        assert steps_of(f, SPECIAL) == left
        jitted = jit(f)
        for _ in range(2):
            got, want = jitted(SPECIAL), f(SPECIAL)
            assert (np.signbit(got) == np.signbit(want))[~np.isnan(want)].all()
            np.testing.assert_array_equal(got, want)


def test_steps_of_a_gradient():
    assert steps_of(grad(lambda x: np.sum(x * x)), x10) == ["add"]
    assert steps_of(grad(lambda x: np.mean(np.tanh(x))), x10)[0] == "tanh"
    assert "sum" not in steps_of(grad(lambda x: np.sum(np.sin(x))), x10)


def test_equal_steps_under_other_error_states_are_two():
    def f(x):
        with np.errstate(all="ignore"):
            y = np.log(x)
        return y + np.log(x)

    assert steps_of(f, x10) == ["log", "log", "add"]


def test_what_a_program_draws_from_its_users_operations_is_called_every_time():
    calls = []

    @gpuad.primitive
    def noisy(x):
        calls.append(1)
        return x + len(calls)

    jitted = jit(lambda x: noisy(x) + noisy(x))
    for k in range(1, 4):
        np.testing.assert_array_equal(jitted(np.zeros(2)), np.full(2, 4.0 * k - 1))


def tree_of(f):
    (recording,) = next(iter(f.recordings.known.values()))
    return recording.tree


def plan_of(f, *args) -> Plan:
    jitted = jit(f)
    jitted(*args)
    jitted(*args)
    return tree_of(jitted).root.segment.plan


@pytest.mark.unfused  # what waits needs no buffers
def test_buffers_are_used_again():
    def chain(x):
        for _ in range(50):
            x = np.sin(x) * 0.5 + x
        return np.sum(x)

    big = np.linspace(0, 1, 4096)
    plan = plan_of(chain, big)
    assert len(plan.sizes) == 2 and plan.nbytes == 2 * big.nbytes
    backward = plan_of(grad(chain), big)
    assert len(backward.sizes) <= 53  # the residuals of 50 steps, and two to work with
    assert plan_of(chain, x10).sizes == []  # NumPy allocates small arrays as fast


def test_a_buffer_isnt_taken_while_a_view_of_it_is_needed():
    def f(x):
        y = np.sin(x)
        view = y[::2]
        z = np.cos(x)
        w = np.exp(z) * z
        return w[::2] + view, np.sum(w)

    jitted, big = jit(f), np.linspace(0, 1, 5000)
    for k in range(3):
        for got, want in zip(jitted(big + k), f(big + k), strict=True):
            np.testing.assert_array_equal(got, want)


def test_copies_in_another_order_are_steps():
    def f(x):
        y = np.sin(x)
        flat = y.copy(order="F").reshape(-1)
        again = np.asfortranarray(np.cos(x)).reshape(-1, order="F")
        number = gnp.array(np.sum(y))
        number[...] = 3.0
        for _ in range(5):
            y = np.exp(-y) * y + 1.0
        return flat + again, y.strides, number

    jitted, big = jit(f), np.linspace(0, 1, 6000).reshape(60, 100)
    for k in range(3):
        for got, want in zip(jitted(big + k), f(big + k), strict=True):
            np.testing.assert_array_equal(got, want)


def test_writes_go_into_the_array_where_nobody_sees_it():
    def f(x):
        out = gnp.zeros(300)
        for i in range(300):
            out[i] = x[i] * 2
        kept = out * 1.0
        early = out[:2] + 0.0
        out[0] = 5.0
        return out, kept, early

    jitted, x = jit(f), np.arange(300.0)
    jitted(x)
    for got, want in zip(jitted(x), f(x), strict=True):
        np.testing.assert_array_equal(got, want)
    text = tree_of(jitted).root.segment.text
    assert text.count(".put(") == 299  # but not the first, into the zeros, nor the last, for `kept` is `out` until then


@pytest.mark.parametrize("fused", [True, False])
def test_large_arrays_that_wait_while_others_are_written_into(fused):
    def f(x, w):
        out = gnp.zeros(70_000)
        out[:100] = (w @ w)[0]
        part = out[10:]
        z = np.exp(-part) + 1
        out[20] = 5.0
        y = np.tanh(x) * x
        total = np.sum(y)
        if total > 0:
            y = y - total
        return z * 2, out, y, np.mean(y * x), y[::2], x * 1

    x, w = np.linspace(0, 1, 70_000), np.linspace(-1, 1, 10_000).reshape(100, 100)
    with gpuad.fusion(fused):
        jitted, slope = jit(f), jit(grad(lambda x: f(x, w)[3]))
        for k in range(4):
            held = jitted(x - k, w), f(x - k, w)
            for got, want in zip(*held, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
            assert not any(np.may_share_memory(a, b) for i, a in enumerate(held[0]) for b in (*held[0][:i], x))
            np.testing.assert_allclose(slope(x - k), grad(lambda x: f(x, w)[3])(x - k), rtol=1e-9, atol=1e-12)


def test_lower_names_the_lines_of_the_program():
    w = np.ones((3, 3))

    def f(p, x, *, scale):
        y = np.tanh(x @ w) * p["a"]
        if y.sum() > 0:
            return np.sum(y**3) * scale
        return y

    lowered = jit(f).lower({"a": np.ones(3)}, np.ones((4, 3)), scale=2.0)
    lines = str(lowered).split("\n")
    first = f.__code__.co_firstlineno
    assert lines[0] == "%0 = argument[0]['a'] float64[3]"
    assert "%2 = argument scale float64[]" in lines and "%3 = from around: float64[3, 3]" in lines
    assert any(line.startswith("%4 = matmul(%1, %3)  float64[4, 3]") and f"py:{first + 1} f" in line for line in lines)
    assert any(line.startswith("ask bool(") and line.endswith(f"py:{first + 2} f") for line in lines)
    assert lines[-1].startswith("return %")
    assert "def replay" in lowered.source


@pytest.mark.unfused  # what waits counts as an array
def test_cost():
    x, w = np.ones((32, 100)), np.ones((100, 10))
    cost = jit(lambda w: np.sum((x @ w) ** 2)).cost(w)
    assert cost.steps == 3 and cost.multiply_adds == 32_000
    assert cost.bytes_moved == x.nbytes + w.nbytes + 3 * 32 * 10 * 8
    assert jit(grad(lambda w: np.sum((x @ w) ** 2))).cost(w).multiply_adds == 64_000
    big = np.ones(1 << 15)
    assert jit(lambda x: np.sum(np.sin(np.sin(np.sin(x))))).cost(big).peak_bytes == big.nbytes


def test_there_is_nothing_to_show_of_what_isnt_replayed():
    f = jit(lambda x: x + np.random.normal())
    with pytest.raises(UnsupportedError, match="draws random numbers"), pytest.warns(RuntimeWarning):
        f.lower(np.ones(2))
    with pytest.raises(UnsupportedError, match="traced"):
        grad(lambda x: f.cost(x))(1.0)


def test_no_shape_of_results_that_varies_is_taken_for_granted():
    def f(x, mask):
        return x[mask] * 2, np.flatnonzero(x > 1)

    jitted = jit(f)
    for k in range(5):
        mask = np.arange(10) % (k + 1) == 0
        for got, want in zip(jitted(x10 - k / 4, mask), f(x10 - k / 4, mask), strict=True):
            np.testing.assert_array_equal(got, want)


def test_what_a_rewrite_added_may_be_read_after_a_question():
    def f(x):
        y = x**3  # becomes two products, of which the first is needed again
        return x**4 * 2 if np.sum(y) > 0 else x**3 + 1

    jitted = jit(f)
    for k in (1.0, -1.0, 1.0, -1.0):
        np.testing.assert_allclose(jitted(k * x10), f(k * x10), rtol=1e-14)
    assert jitted.recordings.replayed == 2
    assert "s[-1]" in jitted.lower(x10).source

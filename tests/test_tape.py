"""The tape and the sweep: what is recorded, what is kept and for how long, and what it costs."""

from __future__ import annotations

import dis
import gc
import operator
import weakref

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad.core.box import Box, make_spec, spec_of
from gpuad.core.constants import SMALL
from gpuad.core.primitive import ANS, EVERYTHING, reads
from gpuad.core.sweep import sweep
from gpuad.core.tape import Tape
from gpuad.ops.declare import fit, registry


def record(f, *args):
    """The tape of a program, its inputs and its result."""
    tape = Tape()
    inputs = [tape.watch(a) for a in args]
    return tape, inputs, f(*inputs)


# -- which values a rule reads ------------------------------------------------------------------------
def test_reads_are_those_of_the_rule():
    assert reads(lambda g, ans, x, y: g * y) == {1}
    assert reads(lambda g, ans, x: g * ans) == {ANS}
    assert reads(lambda g, ans, x, y: g) == frozenset()
    assert reads(lambda g, ans, x, y: (lambda: x)() + g) == {0}
    assert reads(lambda g, ans, x, y: [y for _ in (g,)]) == {1}


def test_a_variable_of_its_own_does_not_hide_what_a_rule_reads():
    def rule(g, ans, x, y):
        doubled = g * 2
        return doubled * y  # a store and a load side by side, which newer interpreters make one instruction

    def overwriting(g, ans, x, y):
        x = g
        return x

    assert reads(rule) == {1}
    assert reads(overwriting) <= {0}


def test_reads_are_those_that_the_disassembler_names():
    """Of every rule: interpreters differ in their instructions, some of which name two variables."""

    def named(rule):
        code = rule.__code__
        names = code.co_varnames[1 : code.co_argcount]
        found = set()
        for instruction in dis.get_instructions(code):
            if instruction.opcode in (*dis.haslocal, *dis.hasfree) and instruction.opname != "STORE_FAST":
                found |= set(instruction.argval if type(instruction.argval) is tuple else (instruction.argval,))
        return {ANS + k for k, name in enumerate(names) if name in found}

    rules = [rule for prim in registry.values() for rule in prim.vjps if rule is not None]
    plain = [rule for rule in rules if hasattr(rule, "__code__") and reads(rule) is not EVERYTHING]
    assert len(plain) > 100
    for rule in plain:
        assert reads(rule) == named(rule)


def test_rules_that_cannot_be_looked_into_read_everything():
    class Rule:
        def __call__(self, g, ans, x):
            return g

    assert reads(Rule()) >= {ANS, 0, 1}
    assert reads(lambda *args: args[0]) >= {ANS, 0, 1}
    assert reads(min) >= {ANS, 0, 1}


def test_known_primitives_keep_what_they_need_and_no_more():
    kept = {name: registry[name].reads for name in ("tanh", "sin", "multiply", "add", "divide", "sum")}
    assert kept["tanh"] == (frozenset({ANS}),)
    assert kept["sin"] == (frozenset({0}),)
    assert kept["multiply"] == (frozenset({1}), frozenset({0}))
    assert kept["add"] == (frozenset(), frozenset())
    assert kept["divide"] == (frozenset({1}), frozenset({ANS, 1}))
    assert kept["sum"] == (frozenset(),)


# -- records -------------------------------------------------------------------------------------------
def test_constants_are_not_recorded():
    tape, _, _ = record(lambda x: gnp.sin(2.0 * x) * (gnp.sin(np.ones(3)) + 3.0), np.ones(3))
    assert len(tape.records) == 3


SUMS = [lambda x: x + 2.0, lambda x: 2.0 + x, lambda x: x - np.ones(3), lambda x: np.ones(3) + x]


@pytest.mark.parametrize("f", SUMS)
def test_a_constant_summand_leaves_no_record(f):
    """The cotangents of both are one, so the sum takes the place of its argument."""
    tape, (x,), y = record(f, np.ones(3))
    assert not tape.records
    assert y is not x
    np.testing.assert_array_equal(gpuad.vjp(f, np.ones(3))[1](np.arange(3.0))[0], [0, 1, 2])
    both = gpuad.vjp(lambda x: (x * 3, f(x), f(f(x)) * x), np.ones(3))[1]
    ones = np.ones(3)
    expected = 3 + 1 + f(f(ones)) + ones
    np.testing.assert_array_equal(both((ones, ones, ones))[0], expected)
    tape.close()
    with pytest.raises(gpuad.errors.LeakedTracerError):
        f(x)


def test_a_constant_summand_that_broadcasts_or_promotes_is_recorded():
    for constant in (np.ones((2, 3)), np.ones(3, complex)):
        tape, _, _ = record(lambda x, c=constant: x + c, np.ones(3))
        assert len(tape.records) == 1


def test_a_sum_of_two_traced_arrays_is_one_record():
    tape, _, _ = record(lambda x, y: x + y, np.ones(3), np.ones(3))
    assert len(tape.records) == 1
    # Cotangents that add up: of an argument that is both summands, and of ones that are used again.
    got = gpuad.grad(lambda x, y: np.sum((x + x) * (y + x) + x), (0, 1))(np.arange(3.0), np.full(3, 2.0))
    np.testing.assert_array_equal(got, [4 * np.arange(3) + 5, 2 * np.arange(3.0)])
    second = gpuad.grad(gpuad.grad(lambda x: (x + x) * (x + x) * x))(3.0)
    assert second == 72.0


@pytest.mark.parametrize(("name", "operation"), [("sin", gnp.sin), ("multiply", lambda x: x * 2.0)])
def test_a_rule_that_is_stated_anew_holds_from_then_on(name, operation):
    prim = registry[name]
    before = prim.vjps
    try:
        gpuad.defvjp(prim, *[lambda g, ans, *args: g * 7.0] * len(before))
        assert gpuad.grad(operation)(0.5) == 7.0
    finally:
        prim.define_vjps(before, plain=True, finish=fit)
    assert gpuad.grad(gnp.sin)(0.5) == np.cos(0.5)
    assert gpuad.grad(lambda x: x * 2.0)(0.5) == 2.0


def test_cotangents_that_are_no_arrays_meet_those_that_are():
    """A tape knows beforehand whether there can be any: of parts, of several results, of ``where`` and of writes."""
    x = np.array([0.5, -1.0, 2.0])

    def writing(x):
        y = x * 1.0
        y[1] = 0.0
        return y

    for f in [
        lambda x: np.sin(x)[1] * x,
        lambda x: np.where(x > 0, np.sin(x), x) * x,
        lambda x: np.split(np.sin(x), [1])[0] * 3.0,
        lambda x: np.sin(writing(x)),
        lambda x: np.sin(x)[[0, 0, 2]],
    ]:
        gpuad.test_util.check_grads(lambda x, f=f: np.sum(f(x)), (x,))


def test_only_arguments_that_lead_to_an_input_are_recorded():
    tape, _, y = record(lambda x: x * gpuad.stop_gradient(x), np.ones(3))
    assert len(tape.records) == 1
    assert type(y) is Box


def test_results_without_a_derivative_are_plain():
    _, _, results = record(lambda x: (x > 0, gnp.floor(x), x.astype(int), gnp.argmax(x)), np.ones(3))
    assert all(type(r) is not Box for r in results)


def test_equal_specs_are_one_object():
    assert spec_of(np.ones((2, 3))) is spec_of(np.zeros((2, 3)))
    assert make_spec((), np.dtype("float32")) is spec_of(np.float32(1))
    _, (x,), y = record(lambda x: gnp.tanh(x * 2.0) + x, np.ones(3))
    assert y.spec is x.spec


def test_numbers_keep_the_sign_of_zero():
    x = np.array([1.0, -1.0])
    for _ in range(2):
        for zero in (0.0, -0.0):
            value, _ = gpuad.vjp(lambda x, z=zero: x * z, x)
            np.testing.assert_array_equal(np.signbit(value), np.signbit(x * zero))


# -- lifetimes -----------------------------------------------------------------------------------------
class Tracked(np.ndarray):
    """An array whose death can be seen."""


def tracked(n=4):
    a = np.ones(n).view(Tracked)
    return a, weakref.ref(a)


def test_a_residual_that_no_rule_reads_is_not_kept():
    for operation, kept in ((operator.add, False), (operator.mul, True)):
        constant, alive = tracked(SMALL)  # of a smaller one a copy is kept
        tape = Tape()
        y = operation(tape.watch(np.ones(SMALL)), constant)
        del constant
        assert (alive() is not None) is kept
        assert type(y) is Box


def test_the_sweep_frees_residuals_as_it_goes():
    """When the rule of the first operation runs, the residual of a later one must be gone."""
    late, alive = tracked()
    seen = []

    @gpuad.primitive
    def first(x):
        return x * 1.0

    def rule(g, ans, x):
        seen.append(alive() is None)
        return g

    gpuad.defvjp(first, rule)

    def program(x, residual):
        return gnp.sum(first(x) * residual.pop())

    box = [late]
    del late
    gpuad.grad(lambda x: program(x, box))(np.ones(4))
    assert seen == [True]


def test_nothing_is_left_in_cycles():
    """All memory of a gradient goes by reference counts, not when the collector happens to run."""

    def gradients(constant):
        gpuad.grad(lambda x: gnp.sum(gnp.sin(x * constant) @ np.ones(4)))(np.ones(4))
        gpuad.vjp(lambda x: x * constant, np.ones(4))

    constant, alive = tracked()
    gc.disable()
    try:
        gradients(constant)
        del constant
        assert alive() is None
    finally:
        gc.enable()


# -- the sweep -------------------------------------------------------------------------------------------
def test_sums_of_cotangents_are_exact_and_leave_shared_arrays_alone():
    x = np.array([1.0, 2.0])

    def f(x):
        y = x * 1.0
        a = y + 0.0  # the three get one and the same cotangent array
        b = y + 0.0
        c = y + 0.0
        return (a + b) + (c + y)

    _, pullback = gpuad.vjp(f, x)
    seed = np.ones(2)
    for _ in range(3):
        np.testing.assert_array_equal(pullback(seed)[0], [4, 4])
    np.testing.assert_array_equal(seed, 1)


def test_a_tape_can_be_swept_again_unless_it_was_the_last_time():
    tape, (x,), y = record(lambda x: gnp.sin(x), np.ones(2))
    first = sweep(tape, {y.index: np.ones(2)}, [x.index], last=False)
    second = sweep(tape, {y.index: np.ones(2)}, [x.index], last=True)
    np.testing.assert_array_equal(first[0], second[0])
    assert not tape.records


def test_unreachable_branches_cost_no_rule():
    calls = []

    @gpuad.primitive
    def counted(x):
        return x * 1.0

    gpuad.defvjp(counted, lambda g, ans, x: calls.append(1) or g)
    gpuad.grad(lambda x: (counted(x), counted(x), counted(x))[1])(1.0)
    assert calls == [1]

"""gpuad.primitive and gpuad.defvjp: operations of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import grad
from gpuad.core.box import Box
from gpuad.errors import MissingRuleError, RuleError, UnsupportedError
from gpuad.ops.declare import fit
from gpuad.test_util import check_grads

X = np.array([0.3, -1.2, 2.0])


def make_scale():
    @gpuad.primitive
    def scale(x, k, *, power=1):
        "x times k to a power"
        assert type(x) is not Box
        assert type(k) is not Box
        return x * k**power

    return scale


def test_a_primitive_sees_plain_arrays_and_its_rules_are_used_at_every_order():
    scale = make_scale()
    gpuad.defvjp(
        scale,
        lambda g, ans, x, k, *, power=1: scale(g, k, power=power),
        lambda g, ans, x, k, *, power=1: gnp.sum(g * x) * power * k ** (power - 1),
    )
    assert scale(2.0, 3.0) == 6.0
    assert scale.__doc__ == "x times k to a power"
    check_grads(lambda x, k: scale(x, k, power=3), [X, 2.0], order=2)


def test_none_is_no_derivative_and_argnums_name_arguments():
    scale = make_scale()
    gpuad.defvjp(scale, lambda g, ans, x, k: g * k, None)
    np.testing.assert_array_equal(grad(lambda k: np.sum(scale(X, k)))(2.0), 0)
    other = make_scale()
    gpuad.defvjp(other, lambda g, ans, x, k: gnp.sum(g * x), argnums=[1])
    assert grad(lambda k: np.sum(other(X, k)))(2.0) == pytest.approx(X.sum())
    with pytest.raises(MissingRuleError, match="argument 0"):
        grad(lambda x: np.sum(other(x, 2.0)))(X)
    gpuad.defvjp(other, lambda g, ans, x, k: g * k, argnums=[0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(other(x, 2.0)))(X), [2, 2, 2])


def test_a_primitive_without_a_rule_is_an_error_when_it_is_recorded():
    scale = make_scale()
    reached = []

    def f(x):
        y = scale(x, 2.0)
        reached.append(y)
        return np.sum(y)

    with pytest.raises(MissingRuleError, match=r"scale has no derivative rule for argument 0.*gpuad\.defvjp\(scale"):
        grad(f)(X)
    assert not reached
    assert grad(lambda x: scale(gpuad.stop_gradient(x), 2.0) + x)(1.0) == 1.0


def test_rules_that_cannot_be_right_are_refused():
    scale = make_scale()
    gpuad.defvjp(scale, lambda g, ans, x, k: np.ones(7), lambda g, ans, x, k: "no")
    with pytest.raises(RuleError, match=r"scale: the VJP of argument 0 returned shape \(7,\).*\(3,\)"):
        grad(lambda x: np.sum(scale(x, 2.0)))(X)
    with pytest.raises(RuleError, match="returned str"):
        grad(lambda k: np.sum(scale(X, k)))(2.0)


def test_the_cotangent_of_a_float32_argument_is_float32_whatever_the_rule_returns():
    scale = make_scale()
    gpuad.defvjp(scale, lambda g, ans, x, k: np.asarray(g, "float64") * k)
    assert grad(lambda x: np.sum(scale(x, 2.0)))(X.astype("float32")).dtype == np.float32


def test_a_traced_keyword_is_refused():
    scale = make_scale()
    gpuad.defvjp(scale, lambda g, ans, x, k: g * k)
    with pytest.raises(UnsupportedError, match="power= is a traced array"):
        grad(lambda p: np.sum(scale(X, 2.0, power=p)))(2.0)


def test_several_results():
    @gpuad.primitive
    def both(x):
        return np.sin(x), np.cos(x)

    def rule(g, ans, x):
        gs, gc = g
        total = 0.0 * x
        if gs is not None:
            total = total + gs * np.cos(x)
        if gc is not None:
            total = total - gc * np.sin(x)
        return total

    gpuad.defvjp(both, rule)
    check_grads(lambda x: both(x), [X], order=2)
    np.testing.assert_allclose(grad(lambda x: np.sum(both(x)[1]))(X), -np.sin(X))
    np.testing.assert_allclose(grad(lambda x: both(x)[0] * both(x)[0] + both(x)[1])(0.4), np.sin(0.8) - np.sin(0.4))


def test_rules_of_gpuads_own_primitives_can_be_stated_anew():
    prim = gnp.tanh.primitive
    before = prim.vjps
    try:
        gpuad.defvjp(gnp.tanh, lambda g, ans, x: g * 100.0)
        assert grad(np.tanh)(0.0) == 100.0
    finally:
        prim.define_vjps(before, plain=True, finish=fit)
    assert grad(np.tanh)(0.0) == 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gpuad.primitive(3), "expected a function"),
        (lambda: gpuad.defvjp(np.sin, lambda g, ans, x: g), "expected a primitive"),
        (lambda: gpuad.defvjp(make_scale(), 3), "must be a function or None"),
        (lambda: gpuad.defvjp(make_scale(), None, argnums=[0, 1]), "1 rules for 2 argnums"),
    ],
)
def test_wrong_declarations_are_refused(call, words):
    with pytest.raises(TypeError, match=words):
        call()

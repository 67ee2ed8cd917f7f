"""defbatch, and what vmap does with users' own primitives and with rules stated as in JAX."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gpuad
from gpuad import defbatch, grad, hessian, jvp, vmap
from gpuad.core import batch
from gpuad.errors import RuleError, UnsupportedError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4))
W = RNG.normal(size=4)

no_loops = pytest.mark.filterwarnings("error:vmap")


def same(got, want):
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-10, atol=1e-12)


def weighted_sum(seen):
    """A primitive of vectors and of stacks of them, with a rule that notes what it was given."""

    @gpuad.primitive
    def total(x, w):
        return np.sum(np.sin(x) * w, axis=-1)

    gpuad.defvjp(
        total,
        lambda g, ans, x, w: g[..., None] * np.cos(x) * w,
        lambda g, ans, x, w: g[..., None] * np.sin(x) + 0 * w,
    )

    def rule(axis_size, in_batched, x, w):
        seen.append((axis_size, in_batched))
        stacked = [a if b else np.stack([a] * axis_size) for a, b in zip((x, w), in_batched, strict=True)]
        return total(*stacked), True

    defbatch(total, rule)
    return total


@no_loops
def test_a_rule_serves_every_nesting():
    seen = []
    total = weighted_sum(seen)

    def plain(x, w):
        return np.sum(np.sin(x) * w)

    same(vmap(total, (0, None))(X, W), [plain(x, W) for x in X])
    assert seen == [(3, [True, False])]
    for f in (plain, total):
        found = [
            vmap(grad(f, (0, 1)), (0, None))(X, W)[1],
            grad(lambda w: np.sum(vmap(f, (0, None))(X, w) ** 2))(W),  # noqa: B023
            grad(lambda x: np.sum(vmap(lambda a: f(a, a * W))(x) ** 2))(X),  # noqa: B023
            jvp(lambda w: vmap(f, (0, None))(X, w), (W,), (W,))[1],  # noqa: B023
            vmap(hessian(f), (0, None))(X, W),
            vmap(lambda x: vmap(f, (None, 0))(x, X))(X),  # noqa: B023
        ]
        if f is plain:
            want = found
    for g, w in zip(found, want, strict=True):
        same(g, w)


@no_loops
def test_containers_constants_and_several_results():
    seen = []

    @gpuad.primitive
    def f(params, how):
        x = params["x"][0]
        return {"sum": np.sum(x, axis=-1) * params["k"], "same": how, "shape": params["flag"]}

    gpuad.defvjp(f, lambda g, ans, p, how: {"x": [g["sum"][..., None] * np.ones_like(p["x"][0])], "k": 0.0, "flag": 0})

    def rule(n, in_batched, params, how):
        seen.append(in_batched)
        return f(params, how), {"sum": True, "same": False, "shape": False}

    defbatch(f, rule)
    out = vmap(lambda x: f({"x": [x], "k": 2.0, "flag": True}, "how"))
    with pytest.raises(TypeError, match="output"):  # a result of vmap is an array
        out(X)
    got = vmap(
        lambda x: f({"x": [x], "k": 2.0, "flag": True}, 7)["sum"] * f({"x": [x], "k": 1.0, "flag": 0}, 7)["same"]
    )
    same(got(X), 14 * X.sum(1))
    assert seen[-1] == [{"x": [True], "k": False, "flag": False}, False]
    same(vmap(grad(lambda x: f({"x": [x], "k": 1.0, "flag": 0}, 7)["sum"]))(X), np.ones_like(X))


@pytest.mark.filterwarnings("ignore:vmap")
def test_whole_numbers_among_results_are_those_of_each_example():
    @gpuad.primitive
    def f(x):
        return 2.0 * x, int(np.argmax(x)), np.argsort(x), "name", 5

    gpuad.defvjp(f, lambda g, ans, x: 2.0 * g[0])

    def use(x):
        doubled, best, order, name, five = f(x)
        assert (name, five) == ("name", 5)
        return doubled, best, order

    for got, want in zip(vmap(use)(X), (2 * X, X.argmax(1), X.argsort(1)), strict=True):
        np.testing.assert_array_equal(got, want)
    same(vmap(grad(lambda x: f(x)[0][f(x)[1]]))(X), 2.0 * (np.arange(4) == X.argmax(1)[:, None]))
    shown = gpuad.primitive(lambda x: (x, repr(x)))
    gpuad.defvjp(shown, lambda g, ans, x: g[0])
    with pytest.raises(UnsupportedError, match="differs from example to example"):
        vmap(lambda x: shown(x)[0])(X)
    longer = gpuad.primitive(lambda x: x[x > 0])
    with pytest.raises(UnsupportedError, match="shapes that differ"):
        vmap(longer)(np.array([[1.0, -1.0], [1.0, 1.0]]))
    with pytest.raises(UnsupportedError, match="no examples"):
        vmap(longer)(np.zeros((0, 2)))


def test_the_warning_says_how_to_state_a_rule(monkeypatch):
    monkeypatch.setattr(batch, "_warned", set())
    with pytest.warns(RuntimeWarning, match="gpuad.defbatch"):
        vmap(gpuad.primitive(lambda x: x))(X)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda n, b, x: x, "must return"),
        (lambda n, b, x: (x, "yes"), "True or False"),
        (lambda n, b, x: (x, [True, True]), "True or False"),
        (lambda n, b, x: (x[:2], True), "first axis must be that of the 3 examples"),
    ],
)
def test_what_a_rule_returns_is_checked(rule, message):
    f = gpuad.primitive(lambda x: x)
    defbatch(f, rule)
    with pytest.raises(RuleError, match=message):
        vmap(f)(X)


def test_what_has_no_rules():
    with pytest.raises(TypeError, match="expected a primitive"):
        defbatch(np.add.reduce, lambda n, b, x: (x, True))
    with pytest.raises(TypeError, match="expected a function"):
        defbatch(gpuad.primitive(lambda x: x), 3)


# -- custom_vjp, custom_jvp -------------------------------------------------------------------------------
def by_vjp():
    @gpuad.custom_vjp
    def f(w, d):
        return np.sin(w * d["x"]) * 2.0, d["x"]

    def back(residuals, g):
        w, x = residuals
        slope = g[0] * 3.0 * np.cos(w * x)  # which isn't the derivative, so that a test can tell
        return slope * x, {"x": slope * w + g[1]}

    f.defvjp(lambda w, d: (f(w, d), (w, d["x"])), back)
    return lambda w, x: f(w, {"x": x})[0] ** 2 * f(w, {"x": x})[1]


def by_jvp():
    @gpuad.custom_jvp
    def f(w, x):
        return np.sin(w * x) * 2.0

    f.defjvp(lambda p, t: (f(*p), (t[0] * p[1] + t[1] * p[0]) * 3.0 * np.cos(p[0] * p[1])))
    return lambda w, x: f(w, x) ** 2


@no_loops
@pytest.mark.parametrize("made", [by_vjp, by_jvp])
def test_stated_derivatives_are_those_of_every_example(made):
    f = made()

    def looped(w, xs):
        return np.sum(np.stack([f(w, x) for x in xs]))

    def batched(w, xs):
        return np.sum(vmap(f, (None, 0))(w, xs))

    with warnings.catch_warnings():
        for transformed in (
            lambda h: h(W, X),
            lambda h: grad(h)(W, X),
            lambda h: grad(h, 1)(W, X),
            lambda h: hessian(h)(W, X),
            lambda h: jvp(h, (W, X), (X[0], X))[1],
        ):
            same(transformed(batched), transformed(looped))
        same(vmap(grad(lambda x: np.sum(f(W, x))))(X), [grad(lambda x: np.sum(f(W, x)))(x) for x in X])
        same(vmap(hessian(lambda x: np.sum(f(W, x))))(X), [hessian(lambda x: np.sum(f(W, x)))(x) for x in X])
        same(vmap(vmap(f, (0, None)), (None, 0))(X, X), [[f(w, x) for w in X] for x in X])

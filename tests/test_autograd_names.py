"""What programs import from autograd, under gpuad's name: ``sed s/autograd/gpuad/`` ports them."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
import weakref

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from command_line import environment
from gpuad.autograd_names import checks
from gpuad.builtins import isinstance as traced_isinstance
from gpuad.builtins import type as traced_type
from gpuad.core import JVPNode, VJPNode, backward_pass, make_jvp, make_vjp, primitive_jvps, primitive_vjps, vspace
from gpuad.errors import MissingRuleError, ModifiedConstantError, NotDifferentiableError, RuleError, UnsupportedError
from gpuad.extend import (
    Box,
    SparseObject,
    VSpace,
    def_linear,
    defjvp,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
    register_notrace,
)
from gpuad.misc import const_graph, flatten
from gpuad.misc.fixed_points import fixed_point
from gpuad.misc.flatten import flatten_func
from gpuad.misc.optimizers import adam, rmsprop, sgd
from gpuad.misc.tracers import full_graph
from gpuad.ops.declare import fit
from gpuad.test_util import check_grads
from gpuad.tracer import Node, getval, isbox, trace

X = np.array([0.3, -1.2, 2.0])


@pytest.fixture(autouse=True)
def the_same_directions_every_time():
    np.random.seed(42)  # which is what vector spaces draw from, as autograd's do


NAMES = {
    "": "grad multigrad_dict elementwise_grad value_and_grad grad_and_aux hessian_tensor_product hessian checkpoint "
    "hessian_vector_product jacobian tensor_jacobian_product vector_jacobian_product grad_named make_vjp make_jvp "
    "make_ggnvp make_hvp deriv holomorphic_grad isinstance type tuple list dict primitive",
    "extend": "primitive defvjp defjvp defvjp_argnum defvjp_argnums defjvp_argnum defjvp_argnums def_linear vspace "
    "VSpace SparseObject Box VJPNode JVPNode notrace_primitive register_notrace",
    "core": "make_vjp make_jvp vspace VSpace defvjp defjvp VJPNode JVPNode primitive_vjps primitive_jvps getval isbox "
    "Node Box trace toposort subval subvals func SparseObject sum_outgrads backward_pass def_linear primitive",
    "tracer": "trace Node Box isbox getval primitive notrace_primitive register_notrace subvals toposort",
    "builtins": "isinstance type tuple list dict SequenceBox DictBox container_take make_sequence",
    "differential_operators": "make_vjp make_jvp make_jvp_reversemode grad elementwise_grad deriv jacobian hessian "
    "holomorphic_grad grad_named make_hvp hessian_tensor_product make_ggnvp value_and_grad grad_and_aux checkpoint",
    "wrap_util": "unary_to_nary wraps wrap_nary_f get_name get_doc",
    "util": "subvals subval func toposort quick_grad_check",
    "misc": "flatten const_graph",
    "misc.flatten": "flatten flatten_func",
    "misc.optimizers": "adam sgd rmsprop unflatten_optimizer",
    "misc.fixed_points": "fixed_point",
    "misc.tracers": "const_graph const_graph_unary full_graph",
    "test_util": "check_grads check_vjp check_jvp check_equivalent combo_check scalar_close make_numerical_jvp",
    "numpy": "linalg fft random array where make_diagonal r_ c_ row_stack",
    "numpy.numpy_boxes": "ArrayBox",
    "numpy.numpy_vspaces": "ArrayVSpace ComplexArrayVSpace",
    "numpy.numpy_wrapper": "wrap_namespace array_from_args concatenate_args metadata sin",
    "numpy.numpy_vjps": "unbroadcast unbroadcast_f balanced_eq replace_zero match_complex",
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_where_autograd_has_it(module):
    found = importlib.import_module(f"gpuad.{module}" if module else "gpuad")
    missing = [name for name in NAMES[module].split() if not hasattr(found, name)]
    assert not missing
    for name in NAMES[module].split():
        exec(f"from gpuad{module and '.' + module} import {name}")


def test_a_name_that_is_a_module_here_and_a_decorator_there():
    from gpuad.core import primitive as decorator
    from gpuad.core.primitive import Primitive

    assert decorator is primitive
    assert isinstance(gnp.sin.primitive, Primitive)


def test_nothing_of_it_is_imported_before_it_is_asked_for():
    code = "import gpuad, sys; print(*[name for name in sys.modules if 'autograd' in name or '.misc' in name])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gpuad.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gpuad.core.nothing  # noqa: B018


# -- rules in curried form --------------------------------------------------------------------------
def make_product():
    @primitive
    def product(x, y, *, scale=1.0):
        "x times y"
        assert not isinstance(x, gpuad.core.Box)
        return scale * x * y

    return product


def test_a_rule_is_called_with_the_result_first_and_the_cotangent_later():
    product = make_product()
    defvjp(
        product,
        lambda ans, x, y, *, scale=1.0: lambda g: product(g, y, scale=scale),
        lambda ans, x, y, *, scale=1.0: lambda g: product(g, x, scale=scale),
    )
    assert product.__name__ == "product"
    assert product.__doc__ == "x times y"
    assert product(2.0, 3.0) == 6.0
    check_grads(lambda x, y: product(x, y, scale=2.0), (0, 1))(X, X + 1)
    gpuad.test_util.check_grads(lambda x, y: product(x, y), [X, X])


def test_none_argnums_and_what_was_never_stated():
    product = make_product()
    defvjp(product, None, argnums=[1])
    np.testing.assert_array_equal(gpuad.grad(lambda y: np.sum(product(X, y)))(X), 0)
    with pytest.raises(NotImplementedError, match="argument 0"):
        gpuad.grad(lambda x: np.sum(product(x, X)))(X)
    with pytest.raises(MissingRuleError):
        gpuad.deriv(make_product())(1.0, 2.0)
    defvjp(product, lambda ans, x, y: lambda g: g * y)
    np.testing.assert_array_equal(gpuad.grad(lambda x: np.sum(product(x, X)))(X), X)


def test_rules_of_several_arguments_together_are_called_once():
    product, calls = make_product(), []

    def maker(argnums, ans, args, kwargs):
        calls.append(argnums)

        def vjp(g):
            calls.append("g")
            return [g * args[1 - argnum] for argnum in argnums]

        return vjp

    defvjp_argnums(product, maker)
    gx, gy = gpuad.grad(lambda x, y: np.sum(product(x, y)), (0, 1))(X, X + 1)
    np.testing.assert_array_equal([gx, gy], [X + 1, X])
    assert calls == [(0, 1), "g"]
    one = make_product()
    defvjp_argnum(one, lambda argnum, ans, args, kwargs: lambda g: g * args[1 - argnum])
    check_grads(one, (0, 1), modes=["rev"])(X, X + 1)


def test_a_rule_keeps_only_what_it_closes_over():
    refs = []

    @primitive
    def shifted(x):
        return x + 1.0

    def maker(ans, x):
        refs.append(weakref.ref(ans))
        return lambda g: g

    defvjp(shifted, maker)

    def f(x):
        y = shifted(x * 2.0)
        y = y * 3.0  # whose rule needs no value of y
        assert refs[0]() is None
        return np.sum(y)

    np.testing.assert_array_equal(gpuad.grad(f)(X), 6)


@pytest.mark.parametrize("size", [3, 10_000])
@pytest.mark.parametrize("where", ["argument", "list", "beside a traced one"])
def test_constants_of_a_primitive_that_are_written_into_before_the_sweep(size, where):
    @primitive
    def dot(x, *rest):
        return sum(np.sum(x * y) for y in leaves_of(rest))

    def leaves_of(tree):
        return [tree] if not isinstance(tree, (list, tuple)) else [leaf for part in tree for leaf in leaves_of(part)]

    defvjp(dot, lambda ans, x, *rest: lambda g: g * sum(leaves_of(rest)))
    pair = primitive(lambda xs: np.sum(xs[0] * xs[1]))
    defvjp(pair, lambda ans, xs: lambda g: [g * xs[1], np.zeros(size)])
    c = np.ones(size)

    def f(x):
        found = pair([x, c]) if where == "beside a traced one" else dot(x, [c] if where == "list" else c)
        c[:] = 7.0
        return found

    if size == 3:
        np.testing.assert_array_equal(gpuad.grad(f)(np.zeros(size)), 1.0)
    else:
        with pytest.raises(ModifiedConstantError):
            gpuad.grad(f)(np.zeros(size))


def test_primitives_take_and_give_containers_and_anything_else():
    @primitive
    def layer(params, x, activation, options=()):
        (w, b), name = params["layer"], params["name"]
        assert name == "first"
        y = activation(w * x + b)
        return {"y": y, "sum": [y.sum(), "text"], "n": 3}

    def maker(ans, params, x, activation, options=()):
        def vjp(g):
            h = (g["y"] + g["sum"][0]) * (1 - ans["y"] ** 2)
            return {"layer": (gnp.sum(h * x), h), "name": None}

        return vjp

    calls = []
    defvjp(layer, lambda *a: calls.append(1) or maker(*a), None, None)
    params = {"layer": (0.7, X), "name": "first"}

    def f(w, b):
        out = layer({"layer": (w, b), "name": "first"}, X, np.tanh)
        assert out["sum"][1] == "text"
        assert out["n"] == 3
        return np.sum(out["y"] ** 2) + out["sum"][0]

    with pytest.raises(RuleError, match="containers"):
        gpuad.grad(f, (0, 1))(0.7, X)  # None is no cotangent of a string
    calls.clear()
    defvjp(
        layer,
        lambda *a: calls.append(1) or (lambda g: maker(*a)(g) | {"name": "first"}),
        None,
        None,
    )

    def plain(w, b):
        y = np.tanh(w * X + b)
        return np.sum(y**2) + np.sum(y)

    for got, want in zip(gpuad.grad(f, (0, 1))(0.7, X), gpuad.grad(plain, (0, 1))(0.7, X), strict=True):
        np.testing.assert_allclose(got, want)
    assert len(calls) == 1
    assert layer(params, X, np.tanh)["n"] == 3
    np.testing.assert_allclose(gpuad.jvp(f, (0.7, X), (1.0, X))[1], gpuad.jvp(plain, (0.7, X), (1.0, X))[1])
    assert gpuad.test_util.check_grads(f, [0.7, X], order=2) is None


def test_a_primitive_may_be_a_method():
    class Model:
        def __init__(self, w):
            self.w = w

        @primitive
        def __call__(self, x):
            return self.w * x

    defvjp(Model.__call__, lambda ans, model, x: lambda g: g * model.w, argnums=(1,))
    assert gpuad.grad(Model(3.0))(2.0) == 3.0


def test_a_primitive_that_closes_over_a_traced_array_is_refused():
    def f(x):
        inner = primitive(lambda y: x * y)
        defvjp(inner, lambda ans, y: lambda g: g)
        return inner(x)

    with pytest.raises(UnsupportedError, match="isn't among its arguments"):
        gpuad.grad(f)(1.0)
    with pytest.raises(UnsupportedError, match="positional"):
        gpuad.grad(lambda x: make_product()(1.0, 1.0, scale=[x]))(1.0)


def test_rules_of_forward_mode():
    calls = []
    product = make_product()
    defjvp(product, lambda g, ans, x, y: calls.append(0) or g * y, lambda g, ans, x, y: calls.append(1) or g * x)
    assert gpuad.make_jvp(product, (0, 1))(2.0, 3.0)((1.0, 10.0)) == (6.0, 23.0)
    assert calls == [0, 1]
    same = make_product()
    defjvp(same, "same", None)
    assert gpuad.make_jvp(same, (0, 1))(2.0, 3.0)((1.0, 10.0)) == (6.0, 3.0)
    linear = make_product()
    def_linear(linear)
    assert gpuad.deriv(linear)(2.0, 3.0) == 3.0
    together = make_product()
    defjvp_argnums(
        together, lambda argnums, gs, ans, args, kwargs: sum(g * args[1 - k] for k, g in zip(argnums, gs, strict=True))
    )
    assert gpuad.make_jvp(together, (0, 1))(2.0, 3.0)((1.0, 10.0)) == (6.0, 23.0)
    several = primitive(lambda d: {"a": d["x"] * 2.0, "b": d["x"] + d["y"]})
    defjvp(several, lambda g, ans, d: {"a": g["x"] * 2.0, "b": g["x"] + g["y"]})
    value, moved = gpuad.make_jvp(lambda x: several({"x": x, "y": 5.0}))(3.0)(1.0)
    assert (value, moved) == ({"a": 6.0, "b": 8.0}, {"a": 2.0, "b": 1.0})
    with pytest.raises(RuleError, match="containers"):
        wrong = primitive(lambda x: (x, x))
        defjvp(wrong, lambda g, ans, x: g)
        gpuad.make_jvp(lambda x: wrong(x)[0])(3.0)(1.0)


def test_constants_by_declaration():
    floor = notrace_primitive(np.floor)
    assert gpuad.grad(lambda x: x * floor(x))(2.5) == 2.0
    steps = primitive(np.floor)
    register_notrace(VJPNode, steps)
    assert gpuad.grad(lambda x: x * steps(x))(2.5) == 2.0
    assert gpuad.jvp(lambda x: x * steps(x), (2.5,), (1.0,))[1] == 2.0
    with pytest.raises(TypeError, match="expected a primitive"):
        register_notrace(VJPNode, np.floor)


def test_what_autograd_stated_before_2018():
    product = make_product()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        product.defvjp(lambda g, ans, vs, gvs, x, y: y * g)
        product.defgrad(lambda ans, x, y: lambda g: x * g, argnum=1)
    assert len(caught) == 2
    check_grads(product, (0, 1), modes=["rev"])(X, X + 1)
    with pytest.warns(UserWarning, match="deprecated"):
        product.defvjp_is_zero([0])
    np.testing.assert_array_equal(gpuad.grad(lambda x: np.sum(product(x, X)))(X), 0)


def test_sparse_cotangents():
    @primitive
    def take(x, i):
        return x[i]

    @primitive
    def untake(g, i, vs):
        def mut_add(x):
            np.add.at(x, i, g)
            return x

        return SparseObject(vs, mut_add)

    defvjp(take, lambda ans, x, i: lambda g: untake(g, i, vspace(x)))
    defvjp(untake, lambda ans, g, i, vs: lambda gg: take(gg, i))
    index = np.array([0, 2, 0])
    check_grads(lambda x: np.sin(take(x, index)), modes=["rev"])(X)


def test_rules_of_gpuads_own_functions_can_be_stated_anew():
    prim = gnp.tanh.primitive
    before = prim.vjps
    try:
        defvjp(gnp.tanh, lambda ans, x: lambda g: g * 100.0)
        assert gpuad.grad(np.tanh)(0.0) == 100.0
    finally:
        prim.define_vjps(before, plain=True, finish=fit)
    assert gpuad.grad(np.tanh)(0.0) == 1.0


def test_rules_of_ordinary_functions_have_no_effect():
    def f(x):
        return x * 2.0

    with pytest.warns(UserWarning, match="isn't a primitive"):
        defvjp(f, lambda ans, x: lambda g: g * 100.0)
    with pytest.warns(UserWarning, match="isn't a primitive"):
        defjvp(f, "same")
    assert gpuad.grad(f)(1.0) == 2.0
    with pytest.raises(TypeError, match="expected a primitive"):
        defvjp(3, None)
    with pytest.raises(TypeError, match="@primitive"):
        defvjp_argnums(f, lambda *a: None)


def test_tables_of_rules():
    assert gnp.sin in primitive_vjps
    assert gnp.sin in primitive_jvps
    assert np.iscomplex not in primitive_vjps
    assert gnp.floor not in primitive_vjps
    assert list(primitive_vjps[gnp.multiply]((0, 1), 6.0, (2.0, 3.0), {})(1.0)) == [3.0, 2.0]
    assert primitive_jvps[gnp.multiply]((0,), (1.0,), 6.0, (2.0, 3.0), {}) == 3.0
    product = make_product()
    assert product not in primitive_vjps
    primitive_vjps[product] = lambda argnums, ans, args, kwargs: lambda g: [g * 7.0 for _ in argnums]
    assert gpuad.grad(product)(1.0, 1.0) == 7.0
    del primitive_vjps[product]
    with pytest.raises(MissingRuleError):
        gpuad.grad(product)(1.0, 1.0)


# -- operators ------------------------------------------------------------------------------------------
def test_argnum_by_either_name():
    f = lambda x, y: np.sum(x * y**2)  # noqa: E731
    for which in ({"argnum": 1}, {"argnums": 1}):
        np.testing.assert_allclose(gpuad.grad(f, **which)(X, X), 2 * X**2)
        np.testing.assert_allclose(gpuad.value_and_grad(f, **which)(X, X)[1], 2 * X**2)
        np.testing.assert_allclose(gpuad.elementwise_grad(lambda x, y: x * y**2, **which)(X, X), 2 * X**2)
        np.testing.assert_allclose(gpuad.jacobian(lambda x, y: x * y, **which)(X, X), np.diag(X))
    assert type(gpuad.grad(f, argnum=[1, 0])(X, X)) is tuple
    assert gpuad.grad(f, 1).__name__.startswith("grad_of_<lambda>_wrt_argnum_1")


def test_a_result_that_holds_one_number_has_a_gradient_and_a_truth_value_has_none():
    np.testing.assert_allclose(gpuad.grad(lambda x: np.sum(np.sin(x), keepdims=True))(X), np.cos(X))
    with pytest.raises(NotDifferentiableError, match="truth value"):
        gpuad.grad(lambda x: np.all(x > 0))(X)
    assert gpuad.grad(lambda xs: 1.0)([]) == []


def test_vjps_may_be_called_again_and_results_be_anything():
    pull, value = make_vjp(lambda d: ("name", d["x"] * 2.0, 3, True), {"x": X})
    assert value[0] == "name"
    for scale in (1.0, 2.0):
        g = pull(("name", scale * np.ones(3), 0.0, 1.0))
        np.testing.assert_array_equal(g["x"], 2.0 * scale)
    pull, value = make_vjp(lambda x: x > 0.5, 1.0)
    assert bool(value) is True
    assert pull(1.0) == 0.0
    pull, _ = gpuad.make_vjp(lambda x, y: x * y, (1, 0))(2.0, 3.0)
    assert pull(1.0) == (2.0, 3.0)
    assert make_jvp(np.sin, 0.0)(2.0) == (0.0, 2.0)
    assert gpuad.differential_operators.make_jvp_reversemode(np.sin)(0.0)(2.0) == 2.0


def test_derivatives_of_all_kinds():
    f = lambda x: np.sum(x**3) * x[0]  # noqa: E731
    hessian = gpuad.hessian(f)(X)
    v = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(hessian, hessian.T)
    np.testing.assert_allclose(gpuad.hvp(f)(X, v), hessian @ v)
    np.testing.assert_allclose(gpuad.hessian_vector_product(f)(X, v), hessian @ v)
    product, gradient = gpuad.make_hvp(f)(X)
    np.testing.assert_allclose(product(v), hessian @ v)
    np.testing.assert_allclose(gradient, gpuad.grad(f)(X))
    g = lambda x: gnp.array([x[0] * x[1], np.sin(x[2])])  # noqa: E731
    jacobian = gpuad.jacobian(g)(X)
    assert jacobian.shape == (2, 3)
    np.testing.assert_allclose(gpuad.vector_jacobian_product(g)(X, np.array([2.0, 3.0])), [2.0, 3.0] @ jacobian)
    np.testing.assert_allclose(gpuad.make_ggnvp(g)(X)(v), jacobian.T @ jacobian @ v)
    inner = lambda y: np.sum(y**4)  # noqa: E731
    np.testing.assert_allclose(gpuad.make_ggnvp(g, inner)(X)(v), jacobian.T @ gpuad.hessian(inner)(g(X)) @ jacobian @ v)
    assert gpuad.deriv(lambda x: x**3)(2.0) == 12.0
    np.testing.assert_allclose(gpuad.holomorphic_grad(lambda z: z**2 * 1j)(1.0 + 2.0j), 2j * (1.0 + 2.0j))
    gradient, aux = gpuad.grad_and_aux(lambda x: [np.sum(x**2), {"x": x}])(X)
    np.testing.assert_array_equal(gradient, 2 * X)
    np.testing.assert_array_equal(aux["x"], X)
    assert gpuad.grad_named(lambda a, b: a * b**2, "b")(2.0, 3.0) == 12.0
    found = gpuad.multigrad_dict(lambda a, b=3.0, *rest, **more: a * b**2 * rest[0] * more["c"])(2.0, 3.0, 5.0, c=7.0)
    assert found == {"a": 315.0, "b": 420.0, "rest": (126.0,), "more": {"c": 90.0}}


def test_jacobians_of_containers():
    def f(params, x):
        return {"y": params["w"] * x, "s": np.sum(params["w"])}

    params = {"w": X, "b": np.ones((2, 2))}
    found = gpuad.jacobian(f)(params, 2.0)
    np.testing.assert_array_equal(found["y"]["w"], 2.0 * np.eye(3))
    np.testing.assert_array_equal(found["s"]["w"], np.ones(3))
    assert found["y"]["b"].shape == (3, 2, 2)
    by_both = gpuad.jacobian(f, (1, 0))(params, 2.0)
    np.testing.assert_array_equal(by_both["y"][0], X)
    np.testing.assert_array_equal(by_both["y"][1]["w"], 2.0 * np.eye(3))
    second = gpuad.hessian(lambda x, y: np.sum(x * x) * y, (0, 1))(X, 2.0)
    np.testing.assert_allclose(second[0][0], 4.0 * np.eye(3))
    np.testing.assert_allclose(second[0][1], 2.0 * X)
    assert second[1][1] == 0.0
    pushed = gpuad.hvp(lambda p: np.sum(p["a"] ** 2) * p["b"])({"a": X, "b": 2.0}, {"a": X, "b": 1.0})
    np.testing.assert_allclose(pushed["a"], 4.0 * X + 2.0 * X)
    assert gpuad.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert gpuad.jacobian(lambda x: x * np.ones(2, "float32"))(np.float32(2)).dtype == np.float32
    with pytest.raises(NotDifferentiableError, match="complex"):
        gpuad.jacobian(lambda x: x * 1j)(X)


def test_a_checkpointed_function_is_computed_again_on_the_way_back():
    calls = []

    def f(x, params, *, power=2):
        calls.append(isbox(x))
        return np.sin(x) ** power * params["w"]

    loss = lambda g: lambda x, w: np.sum(g(x, {"w": w}, power=3))  # noqa: E731
    want = gpuad.grad(loss(f), (0, 1))(X, 2.0)
    calls.clear()
    got = gpuad.grad(loss(gpuad.checkpoint(f)), (0, 1))(X, 2.0)
    assert calls == [True, True]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b)
    check_grads(gpuad.checkpoint(lambda x: np.sin(x) * x), modes=["rev"])(X)


# -- containers, types, traces --------------------------------------------------------------------------
def test_types_of_traced_values():
    def f(x, xs):
        assert traced_isinstance(x, np.ndarray)
        assert traced_type(x) is np.ndarray
        assert traced_isinstance(xs, gpuad.list)
        assert isinstance(x, Box)
        assert isinstance(x, gnp.numpy_boxes.ArrayBox)
        assert isbox(x)
        assert isbox(xs)
        assert not isbox(X)
        assert type(x._value) is np.ndarray
        np.testing.assert_array_equal(getval(xs)[0], X)
        return np.sum(x) + np.sum(gpuad.tuple(xs)[0])

    np.testing.assert_array_equal(gpuad.grad(f, (0, 1))(X, [X])[1][0], 1)


def test_traces_into_nodes_of_ones_own():
    class Name(Node):
        def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
            args = list(args)
            for k, parent in zip(parent_argnums, parents, strict=True):
                args[k] = parent
            self.text = f"{fun.__name__}({', '.join(getattr(a, 'text', repr(a)) for a in args)})"

        def initialize_root(self, text):
            self.text = text

    process = primitive(lambda x, n: (x * n, x))
    value, node = trace(Name.new_root("x"), lambda x: np.sin(x) + x * 2.0, 0.0)
    assert value == 0.0
    assert node.text.startswith("add(sin(x), multiply(x, ")
    value, node = trace(Name.new_root("d"), lambda d: process(d["a"][0], 2)[0] + 1.0, {"a": [3.0]})
    assert value == 7.0
    assert "container_take(d, 'a')" in node.text
    _, node = trace(Name.new_root("x"), lambda x: 1.0, 2.0)
    assert node is None
    _, node = trace(Name.new_root("x"), lambda x: [x, {"y": x * 1.0}], 2.0)
    assert node.text.startswith("make_sequence(x, ")
    _, node = trace(Name.new_root("x"), gpuad.grad(np.sin), 2.0)
    assert "cos(x)" in node.text
    with pytest.raises(TypeError, match="can't trace"):
        trace(Name.new_root("x"), lambda x: x, 2)


def test_autograds_own_nodes():
    end_value, end_node = trace(VJPNode.new_root(), lambda x: np.sin(x) * x + x, 2.0)
    assert end_value == np.sin(2.0) * 2.0 + 2.0
    np.testing.assert_allclose(backward_pass(1.0, end_node), np.cos(2.0) * 2.0 + np.sin(2.0) + 1.0)
    _, end_node = trace(JVPNode.new_root(3.0), lambda x: np.sin(x) * x, 2.0)
    np.testing.assert_allclose(end_node.g, 3.0 * (np.cos(2.0) * 2.0 + np.sin(2.0)))


def test_graphs_recorded_once():
    calls = []

    def f(x, y, *, k):
        calls.append(k)
        return gpuad.grad(lambda z: np.sum(np.sin(z) * y))(x * y) * k

    cached = const_graph(f, k=2.0)
    for x in (0.5, -0.5, 1.5):
        np.testing.assert_allclose(cached(x, 3.0), f(x, 3.0, k=2.0))
    assert len(calls) == 4
    node = full_graph(lambda x: np.sin(x) + 1.0, 2.0)
    assert node.recipe[0].__name__ == "add"
    with pytest.raises(ValueError, match="doesn't depend"):
        const_graph(lambda x: 1.0)(2.0)


# -- vector spaces ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        2.0,
        X,
        np.ones((2, 1)) * 1j,
        np.ones(2, "float32"),
        [1.0, X],
        (1j, {"a": X, "b": [0.0]}),
        np.linalg.slogdet(np.eye(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_vector_spaces(value):
    vs = vspace(value)
    x, y, z = vs.randn(), vs.randn(), vs.randn()
    assert vspace(x) == vs == vspace(vs.zeros()) == vspace(vs.ones())
    basis = list(vs.standard_basis())
    assert len(basis) == vs.size
    gram = np.array([[vs.inner_prod(a, b) for b in basis] for a in basis])
    np.testing.assert_array_equal(gram, np.eye(vs.size))
    np.testing.assert_allclose(vs.inner_prod(z, vs.add(x, y)), vs.inner_prod(z, x) + vs.inner_prod(z, y), rtol=1e-5)
    np.testing.assert_allclose(vs.inner_prod(vs.scalar_mul(x, 2.0), y), 2.0 * vs.inner_prod(x, y), rtol=1e-5)
    assert vs.inner_prod(x, x) > 0
    assert vs.inner_prod(vs.mut_add(None, x), y) == vs.inner_prod(x, y)
    total = basis[0]
    for b in basis[1:]:
        total = vs.add(total, b)
    np.testing.assert_allclose(vs.inner_prod(total, z), vs.inner_prod(vs.ones(), z), rtol=1e-5)
    assert vs != vspace(np.ones((7, 7)))


def test_what_is_in_no_vector_space_is_refused():
    with pytest.raises(TypeError, match="vector space"):
        vspace("text")
    with pytest.raises(TypeError, match="vector space"):
        vspace(3)


def test_values_of_types_of_ones_own():
    class Poly:
        def __init__(self, terms):
            self.terms = terms

        @primitive
        def __call__(self, x):
            return sum(c * x**k for k, c in self.terms.items())

    defvjp(Poly.__call__, lambda ans, p, x: lambda g: Poly({k: g * x**k for k in p.terms}), None)

    class PolyBox(Box, Poly):
        @property
        def degree(self):
            return max(self._value.terms)

    PolyBox.register(Poly)

    class PolySpace(VSpace):
        def __init__(self, value):
            pass

        def zeros(self):
            return Poly({})

        def _add(self, p, q):
            return Poly({k: p.terms.get(k, 0.0) + q.terms.get(k, 0.0) for k in {**p.terms, **q.terms}})

    PolySpace.register(Poly)
    seen = []

    def f(p, scale):
        seen.append(type(p))
        assert p.degree == 2
        return (p(2.0) + 3.0 * p(1.0)) * scale

    p = Poly({0: 1.0, 2: 1.0})
    g, by_scale = gpuad.grad(f, (0, 1))(p, 10.0)
    assert seen == [PolyBox]
    assert g.terms == {0: 40.0, 2: 70.0}
    assert by_scale == 11.0
    assert gpuad.grad(lambda p: 1.0)(p).terms == {}
    assert vspace(p) == PolySpace(p)


# -- misc ---------------------------------------------------------------------------------------------
def test_flatten_and_back():
    value = {"b": [X, 2.0], "a": (np.ones((2, 2), "float32"), 1j)}
    flat, unflatten = flatten(value)
    np.testing.assert_array_equal(flat, [1, 1, 1, 1, 1j, *X, 2.0])  # by sorted keys
    again = unflatten(flat)
    assert list(again) == ["b", "a"]
    assert again["a"][0].dtype == np.float32
    np.testing.assert_array_equal(again["b"][0], X)
    assert again["b"][1] == 2.0
    flat, unflatten = flatten(([], X, ()))
    assert unflatten(flat)[0] == []
    assert flatten([])[0].shape == (0,)
    assert gpuad.grad(lambda x, y: np.sum(flatten([x, {"y": y}])[0] ** 2), (0, 1))(1.0, 2.0) == (2.0, 4.0)
    func, unflatten, flat = flatten_func(lambda d: {"s": d["x"] * 2.0}, {"x": X})
    np.testing.assert_array_equal(func(flat), 2 * X)


@pytest.mark.parametrize("optimizer", [sgd, rmsprop, adam])
def test_optimizers(optimizer):
    target = {"a": X, "b": (3.0,)}
    steps = []

    def gradient(params, i):
        return {"a": 2 * (params["a"] - X), "b": (2 * (params["b"][0] - 3.0),)}

    start = {"a": np.zeros(3), "b": (0.0,)}
    found = optimizer(gradient, start, lambda x, i, g: steps.append((i, x["b"][0], g["b"][0])), 2000, 0.01)
    np.testing.assert_allclose(found["a"], target["a"], atol=2e-2)
    np.testing.assert_allclose(found["b"][0], 3.0, atol=2e-2)
    assert steps[0] == (0, 0.0, -6.0)
    assert len(steps) == 2000

    def after(step_size):
        return optimizer(gradient, start, None, 3, step_size)["b"][0]

    h = 1e-6
    np.testing.assert_allclose(gpuad.grad(after)(0.01), (after(0.01 + h) - after(0.01 - h)) / (2 * h), rtol=1e-5)


def test_fixed_points_are_implicit_functions():
    def sqrt(a):
        return fixed_point(lambda a: lambda x: 0.5 * (x + a / x), a, 10.0, lambda x, y: np.abs(x - y), 1e-12)

    np.testing.assert_allclose(sqrt(2.0), np.sqrt(2.0))
    np.testing.assert_allclose(gpuad.grad(sqrt)(2.0), 0.5 / np.sqrt(2.0), rtol=1e-8)
    np.testing.assert_allclose(gpuad.grad(gpuad.grad(sqrt))(2.0), -0.25 * 2.0**-1.5, rtol=1e-6)


# -- checks -------------------------------------------------------------------------------------------
def test_check_grads_in_both_forms():
    check_grads(np.tanh)(X)
    check_grads(lambda x, y: x * y, (0, 1), ["rev"], 1)(X, X)
    check_grads(lambda x, y: x * y, argnum=1, modes=["fwd"], order=1)(X, X)
    check_grads(np.tanh, [X], 1)
    check_grads(np.tanh, [X], modes=["fwd"])
    with pytest.raises(ValueError, match="modes"):
        check_grads(np.tanh, [X], modes=["backwards"])

    wrong = primitive(lambda x: x * 2.0)
    wrong.__name__ = "wrong"
    defvjp(wrong, lambda ans, x: lambda g: g * 3.0)
    for modes, word in ((["rev"], r"\(VJP\) check of wrong"), (["fwd"], "Value mismatch")):
        with pytest.raises(AssertionError, match=word):
            check_grads(wrong, modes=modes)(1.0)
    with pytest.raises(AssertionError, match="reverse mode of wrong"):
        check_grads(wrong, [1.0], modes=["rev"])
    with pytest.raises(AssertionError, match="forward mode of wrong"):
        check_grads(wrong, [1.0], modes=["fwd"])
    with pytest.raises(AssertionError, match="check of vjp_right"):
        right = primitive(lambda x: x * 2.0)
        right.__name__ = "right"
        defvjp(right, lambda ans, x: lambda g: wrong(g))
        check_grads(right, modes=["rev"])(1.0)
    checks.check_equivalent([X, 1.0], [X, 1.0])
    with pytest.raises(AssertionError, match="VSpace mismatch"):
        checks.check_equivalent([X, 1.0], [X])
    checks.combo_check(lambda x, y, k=1: x * y * k, (0, 1), order=1)([X, 2.0], [X, 3.0], k=[1, 2])
    with pytest.warns(UserWarning, match="deprecated"):
        gpuad.util.quick_grad_check(lambda x, y: x**2 + y, 1.0, (2.0,))


# -- numpy's further names ------------------------------------------------------------------------------
def test_namespaces_can_be_wrapped():
    module = {"double": lambda x: 2 * x, "twice": None, "pi": 3.0, "sin": np.sin, "__doc__": "x"}
    module["twice"] = module["double"]
    new = {}
    gnp.numpy_wrapper.wrap_namespace(module, new)
    assert new["twice"] is new["double"]
    assert new["pi"] == 3.0
    assert "__doc__" not in new
    defvjp(new["double"], lambda ans, x: lambda g: 2 * g)
    assert gpuad.grad(new["double"])(1.0) == 2.0


def test_what_rules_are_written_with():
    vjps = gnp.numpy_vjps
    np.testing.assert_array_equal(
        vjps.unbroadcast_f(np.ones((3, 1)), lambda g: g)(np.ones((2, 3, 4))), 8 * np.ones((3, 1))
    )
    np.testing.assert_array_equal(
        vjps.unbroadcast(np.ones((2, 3, 4)), gnp.numpy_wrapper.metadata(np.ones(2)), -1), [12, 12]
    )
    np.testing.assert_array_equal(vjps.balanced_eq(np.array([1.0, 2.0]), 2.0, np.array([1.0, 2.0])), [0, 0.5])
    np.testing.assert_array_equal(vjps.replace_zero(np.array([0.0, 2.0]), 1.0), [1, 2])
    assert vjps.match_complex(1.0, 2.0 + 1j) == 2.0
    assert np.iscomplexobj(vjps.match_complex(1j, 2.0))


KEYS = {
    "row": lambda x: (x, 3.0, x[0], x),
    "axis": lambda x: ("0,2", x, x),
    "last": lambda x: ("-1", x, x),
    "slices": lambda x: (x, slice(0, 3), 2, slice(0, 1, 3j)),
    "list": lambda x: ([1.0, 2.0], x, [x[0], x[1]]),
    "placed": lambda x: ("0,3,1", x, x),
    "placed from the end": lambda x: ("0,3,-1", np.ones((2, 3)) * x[0], np.ones((2, 3))),
    "one": lambda x: x,
}


@pytest.mark.parametrize("name", KEYS)
def test_concatenation_by_brackets(name):
    key, x = KEYS[name], X[:2].copy()
    want = np.r_[key(x)]
    np.testing.assert_array_equal(gnp.r_[key(x)], want)
    value, _ = gpuad.vjp(lambda x: gnp.r_[key(x)], x)
    np.testing.assert_array_equal(value, want)
    check_grads(lambda x: gnp.r_[key(x)])(x)


COLUMNS = {
    "vectors": lambda x: (x, x),
    "a matrix": lambda x: (np.ones((3, 2)) * x[0], x),
    "a slice": lambda x: (x, slice(0, 3)),
    "numbers": lambda x: (x[0], 3.0),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_by_brackets(name):
    key = COLUMNS[name]
    value, _ = gpuad.vjp(lambda x: gnp.c_[key(x)], X)
    np.testing.assert_array_equal(value, np.c_[key(X)])
    check_grads(lambda x: gnp.c_[key(x)])(X)


def test_brackets_make_no_matrices():
    with pytest.raises(NotImplementedError, match="matrix"):
        gpuad.grad(lambda x: np.sum(gnp.r_["r", x]))(X)


def test_a_few_more_functions_as_autograd_has_them():
    D = np.arange(6.0).reshape(2, 3)
    made = gnp.make_diagonal(D, axis1=-1, axis2=-2)
    np.testing.assert_array_equal(np.diagonal(made, axis1=-1, axis2=-2), D)
    check_grads(lambda D: gnp.make_diagonal(D, axis1=-1, axis2=-2))(D)
    np.testing.assert_array_equal(gnp.where(condition=[True, False], x=X[:2], y=X[1:]), [X[0], X[2]])
    np.testing.assert_array_equal(gpuad.grad(lambda x: np.sum(gnp.where(X > 0, x=x, y=0.0)))(X), X > 0)
    assert gpuad.grad(lambda x: np.sum(X[np.int64(x)] * x[0]))(np.array([0.3, 1.2]))[1] == 0.0
    stacked = gpuad.jacobian(lambda x: gnp.stack(x * k for k in (1.0, 2.0)))(X)
    np.testing.assert_array_equal(stacked, [np.eye(3), 2 * np.eye(3)])
    np.testing.assert_array_equal(gnp.concatenate(map(np.cos, [X, X])), np.cos([*X, *X]))
    assert not np.iscomplexobj(gpuad.vjp(np.real_if_close, X + 0j)[0])
    assert np.iscomplexobj(gpuad.vjp(np.real_if_close, X + 1j)[0])

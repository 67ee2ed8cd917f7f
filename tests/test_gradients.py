"""grad, value_and_grad, vjp, elementwise_grad, stop_gradient: what they return and what they refuse."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import pickle
from collections import OrderedDict, namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from gpuad import elementwise_grad, grad, stop_gradient, value_and_grad, vjp
from gpuad.errors import LeakedTracerError, NotDifferentiableError, UnsupportedError

X = np.array([0.3, -1.2, 2.0])


# -- values and derivatives -------------------------------------------------------------------------
def test_gradient_of_a_number_is_a_numpy_scalar():
    g = grad(lambda x: x**3)(2.0)
    assert type(g) is np.float64
    assert g == 12.0


def test_value_and_gradient():
    value, g = value_and_grad(lambda x: np.sum(np.tanh(x)))(X)
    assert value == np.sum(np.tanh(X))
    np.testing.assert_allclose(g, 1 - np.tanh(X) ** 2, rtol=1e-14)


def test_several_arguments():
    f = lambda x, y, z: np.sum(x * y) + z  # noqa: E731
    gx, gz = grad(f, argnums=(0, 2))(X, 2 * X, 1.0)
    np.testing.assert_array_equal(gx, 2 * X)
    assert gz == 1.0
    np.testing.assert_array_equal(grad(f, argnums=-2)(X, 2 * X, 1.0), X)


def test_keyword_arguments_reach_the_function():
    def f(x, *, scale):
        return np.sum(scale * x)

    np.testing.assert_array_equal(grad(f)(X, scale=3.0), [3, 3, 3])


def test_aux():
    f = lambda x: (np.sum(x**2), {"doubled": 2 * x, "note": "kept"})  # noqa: E731
    (value, aux), g = value_and_grad(f, has_aux=True)(X)
    assert value == np.sum(X**2)
    np.testing.assert_array_equal(aux["doubled"], 2 * X)
    assert type(aux["doubled"]) is np.ndarray
    assert aux["note"] == "kept"
    g2, _ = grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(g, 2 * X)
    np.testing.assert_array_equal(g2, g)


Point = namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True)
class Layer:
    w: object
    b: object = None


def test_containers_come_back_as_they_went_in():
    params = {
        "z": [np.array([1.0, 2.0]), (3.0, None)],
        "a": Point(np.float32(2.0), np.ones((2, 2), "float32")),
        "layer": Layer(np.array(4.0)),
        "ordered": OrderedDict(k=np.array([5.0])),
    }

    def f(p):
        (u, (c, none)), point = p["z"], p["a"]
        assert none is None
        assert isinstance(point, Point)
        return np.sum(u) * c + point.x * np.sum(point.y) + p["layer"].w ** 2 + np.sum(p["ordered"]["k"])

    g = grad(f)(params)
    assert list(g) == ["z", "a", "layer", "ordered"]
    np.testing.assert_array_equal(g["z"][0], [3, 3])
    assert g["z"][1] == (3.0, None)
    assert isinstance(g["a"], Point)
    assert g["a"].x.dtype == np.float32
    assert g["a"].y.dtype == np.float32
    assert g["a"].x == 4
    assert isinstance(g["layer"], Layer)
    assert g["layer"] == Layer(8.0)
    assert isinstance(g["ordered"], OrderedDict)


def test_elementwise_grad_to_third_order():
    x = np.linspace(-1, 1, 7)
    d1 = elementwise_grad(np.tanh)
    d3 = elementwise_grad(elementwise_grad(d1))
    t = np.tanh(x)
    np.testing.assert_allclose(d1(x), 1 - t**2, rtol=1e-14)
    np.testing.assert_allclose(d3(x), -2 * (1 - t**2) * (1 - 3 * t**2), rtol=1e-12)


def test_nested_derivatives_do_not_confuse_their_perturbations():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y * y)(x))(3.0) == pytest.approx(6 * 9)
    inner = lambda x: grad(lambda y: y * stop_gradient(x))(x)  # noqa: E731
    assert grad(lambda x: inner(x) + x)(2.0) == 1.0


def test_every_order_of_nesting():
    f = math.e
    g = lambda x: np.exp(x)  # noqa: E731
    for _ in range(6):
        g = grad(g)
    assert g(1.0) == pytest.approx(f, rel=1e-14)


def test_mixed_second_derivatives():
    f = lambda x, y: np.sum(np.sin(x) * y**2)  # noqa: E731
    mixed = grad(lambda y: np.sum(grad(f)(X, y)))(X)
    np.testing.assert_allclose(mixed, 2 * np.cos(X) * X, rtol=1e-14)


def test_control_flow_is_pythons():
    def f(x):
        total = 0.0
        while x < 10:
            x = x * 2
            total = total + x if x > 3 else total - x
        return total

    # 1.5 -> 3, 6, 12: -3 + 6 + 12
    assert value_and_grad(f)(1.5) == (15.0, 10.0)


def test_output_that_does_not_depend_on_the_input_has_gradient_zero():
    np.testing.assert_array_equal(grad(lambda x: 3.0)(X), np.zeros(3))
    np.testing.assert_array_equal(grad(lambda x: np.float32(3.0))(X), np.zeros(3))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.floor(x)))(X), np.zeros(3))
    assert grad(lambda x, y: x * 1.0, argnums=1)(1.0, 2.0) == 0.0


def test_stop_gradient_cuts_every_level_and_takes_containers():
    assert grad(lambda x: x * stop_gradient(x))(3.0) == 3.0
    assert grad(lambda x: grad(lambda y: y * stop_gradient(x * y))(x))(3.0) == 0.0
    assert grad(lambda x: stop_gradient({"a": x, "b": None})["a"] * x)(3.0) == 3.0
    assert stop_gradient(3.0) == 3.0


def test_float32_stays_float32_throughout():
    x = X.astype("float32")
    value, g = value_and_grad(lambda x: np.sum(2.0 * np.tanh(x) / 3 + x**2 - 1))(x)
    assert value.dtype == np.float32
    assert g.dtype == np.float32


def test_promotion_inside_does_not_change_the_dtype_of_gradients():
    x32 = X.astype("float32")
    gx, gy = grad(lambda x, y: np.sum(x * y), (0, 1))(x32, X)
    assert gx.dtype == np.float32
    assert gy.dtype == np.float64


@pytest.mark.parametrize("f", [lambda x, y: np.sum(x + y), lambda x, y: np.sum(x - 2 * y)])
def test_gradients_can_be_written_into(f):
    """None shares memory with another, an argument, or a broadcast number."""
    x, y = X.copy(), X.copy()
    gx, gy = grad(f, (0, 1))(x, y)
    before = gy.copy()
    gx *= 0
    np.testing.assert_array_equal(gy, before)
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("f", [np.trace, lambda x: np.sum(np.diag(x)), lambda x: np.sum(x.T), lambda x: x[0, 0]])
def test_gradients_are_writeable(f):
    g = grad(f)(np.eye(3))
    g += 1.0


def test_gradient_of_the_identity_is_not_the_cotangent_itself():
    seed = np.ones(3)
    (g,) = vjp(lambda x: x, X)[1](seed)
    g += 1
    np.testing.assert_array_equal(seed, 1)


# -- complex numbers: the convention of autograd and JAX ------------------------------------------------
def test_complex_convention():
    z = 0.7 - 0.4j
    assert grad(lambda z: np.real(z))(z) == 1
    assert grad(lambda z: np.imag(z))(z) == -1j
    g = grad(lambda z: np.abs(z) ** 2)(z)  # ∂/∂x - i ∂/∂y of x² + y²
    assert g == pytest.approx(2 * 0.7 + 2j * 0.4)
    assert np.iscomplexobj(g)


def test_real_input_of_complex_computation_gets_a_real_gradient():
    g = grad(lambda x: np.abs(np.exp(1j * x) + x) ** 2)(0.3)
    h = 1e-6
    f = lambda x: abs(np.exp(1j * x) + x) ** 2  # noqa: E731
    assert not np.iscomplexobj(g)
    assert g == pytest.approx((f(0.3 + h) - f(0.3 - h)) / (2 * h), rel=1e-8)


# -- vjp --------------------------------------------------------------------------------------------------
def test_vjp_may_be_pulled_any_number_of_times_and_in_any_thread():
    value, pullback = vjp(lambda x, y: {"p": x * y, "s": x + y}, X, 2 * X)
    np.testing.assert_array_equal(value["p"], 2 * X * X)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda k: pullback({"p": np.full(3, k), "s": np.zeros(3)}), [1.0, 2.0, 3.0, 4.0]))
    for k, (gx, gy) in enumerate(results, 1):
        np.testing.assert_array_equal(gx, k * 2 * X)
        np.testing.assert_array_equal(gy, k * X)


def test_vjp_of_a_result_that_appears_twice():
    def f(x):
        y = x * 3
        return y, y

    (g,) = vjp(f, X)[1]((np.ones(3), np.ones(3)))
    np.testing.assert_array_equal(g, [6, 6, 6])


def test_vjp_checks_the_cotangent():
    _, pullback = vjp(lambda x: {"a": x}, X)
    with pytest.raises(ValueError, match=r"cotangent\['a'\] has shape \(2,\).*\(3,\)"):
        pullback({"a": np.ones(2)})
    with pytest.raises(TypeError, match="containers of the value"):
        pullback(np.ones(3))
    with pytest.raises(TypeError, match=r"complex128.*float64"):
        pullback({"a": np.ones(3) * 1j})
    _, ordered = vjp(lambda x: {"a": x, "b": 2 * x}, X)
    np.testing.assert_array_equal(ordered({"b": np.ones(3), "a": np.zeros(3)})[0], [2, 2, 2])
    (g,) = pullback({"a": np.ones(3, "float32")})
    assert g.dtype == np.float64


def test_vjp_with_aux():
    value, pullback, aux = vjp(lambda x: (x * 2, "aux"), X, has_aux=True)
    assert aux == "aux"
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [2, 2, 2])
    np.testing.assert_array_equal(value, 2 * X)


# -- threads and tasks --------------------------------------------------------------------------------------
def test_threads_do_not_disturb_each_other():
    def work(k):
        return [grad(lambda x: np.sum(np.sin(k * x)))(X) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for k, results in zip(range(8), pool.map(work, range(8)), strict=True):
            for g in results:
                np.testing.assert_allclose(g, k * np.cos(k * X), rtol=1e-13)


def test_one_trace_may_be_recorded_by_several_threads():
    def f(x):
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda k: np.sum(np.sin(k * x) * x), range(20)))

    expected = sum(k * np.cos(k * X) * X + np.sin(k * X) for k in range(20))
    for _ in range(20):
        np.testing.assert_allclose(grad(f)(X), expected, rtol=1e-12)


def test_async_tasks_do_not_disturb_each_other():
    async def work(k):
        y = grad(lambda x: x**k)(2.0)
        await asyncio.sleep(0)
        return y + grad(grad(lambda x: x**k))(2.0)

    async def run():
        return await asyncio.gather(*(work(k) for k in (2, 3, 4)))

    assert asyncio.run(run()) == [4 + 2, 12 + 12, 32 + 48]


# -- what is refused, and how -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grad(lambda x: x * 2)(X), r"real scalar, got an array of shape \(3,\).*elementwise_grad"),
        (lambda: grad(lambda x: (x, x))(2.0), "has_aux=True"),
        (lambda: grad(lambda x: "no")(2.0), "'no'"),
        (lambda: grad(lambda x: None)(2.0), "None"),
        (lambda: grad(lambda x: x)(1j), "complex"),
        (lambda: grad(lambda x: x)(3), r"argument 0 is 3, an int.*pass 3\.0"),
        (lambda: grad(lambda x: x)(True), "bool"),
        (lambda: grad(lambda x: x)(np.arange(3)), r"int64.*astype\(float\)"),
        (lambda: grad(lambda x: x)({"w": [1.0, "a"]}), r"argument 0\['w'\]\[1\] is 'a' \(str\)"),
        (lambda: grad(lambda x: x)({"w": [None, {}]}), "no array in it"),
        (lambda: grad(lambda x: x)(np.array(["a"])), "<U1"),
        (lambda: grad(lambda x: x)(object()), "not an array"),
        (lambda: vjp(lambda x: "no", X), "'no'"),
    ],
)
def test_what_has_no_gradient_is_refused(call, words):
    with pytest.raises(NotDifferentiableError, match=words):
        call()


@pytest.mark.parametrize(
    "name", ["grad", "value_and_grad", "jacobian", "hvp", "vmap", "jit", "checkpoint", "cost", "explain"]
)
def test_what_takes_a_function_refuses_its_value(name):
    with pytest.raises(TypeError, match=rf"^{name}: expected a function, got .*; write {name}\(f\)\(x\)"):
        getattr(gpuad, name)(np.ones(3))


@pytest.mark.parametrize("name", ["vjp", "linearize", "jvp", "root", "fixed_point"])
def test_what_calls_a_function_refuses_its_value(name):
    with pytest.raises(TypeError, match=f"^{name}: expected a function, got .*, not what a function has returned"):
        getattr(gpuad, name)(3, (1.0,), (1.0,))


def test_wrong_calls_are_refused():
    with pytest.raises(TypeError, match=r"write grad\(f\)\(x\)"):
        grad(3.0)
    with pytest.raises(TypeError, match=r"argnums=2, but .* 1 positional argument;"):
        grad(lambda x: x, argnums=2)(1.0)
    with pytest.raises(TypeError, match="more than once"):
        grad(lambda x: x, argnums=(0, 0))(1.0)
    with pytest.raises(TypeError, match="must return \\(output, aux\\)"):
        grad(lambda x: x, has_aux=True)(1.0)


def test_a_derivative_is_never_lost_in_silence():
    with pytest.raises(UnsupportedError, match="Python number"):
        grad(lambda x: math.sin(x))(1.0)
    with pytest.raises(UnsupportedError, match="plain NumPy array"):
        grad(lambda x: np.sum(np.asarray(x)))(X)

    def write_into_plain(x):
        out = np.zeros(3)
        out[0] = x[0]
        return np.sum(out)

    with pytest.raises(ValueError, match="setting an array element") as error:  # NumPy's words, caused by ours
        grad(write_into_plain)(X)
    assert "gpuad.numpy.zeros" in str(error.value.__cause__)


def test_a_traced_array_kept_outside_says_so():
    kept = []
    grad(lambda x: kept.append(x) or np.sum(x))(X)
    with pytest.raises(LeakedTracerError, match="after the function it belongs to had returned"):
        kept[0] * 2


def test_unsupported_functions_are_named_with_their_neighbours():
    with pytest.raises(UnsupportedError, match="gcd"):
        grad(lambda x: np.gcd(x, x))(X)


def test_an_error_in_the_function_passes_through_and_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 // 0)(1.0)
    assert grad(lambda x: x * x)(3.0) == 6.0


def test_functions_of_the_namespace_can_be_pickled():
    assert pickle.loads(pickle.dumps(gnp.tanh))(0.5) == np.tanh(0.5)


def test_names_and_docs_are_kept():
    def loss(x):
        "the doc"
        return x

    assert grad(loss, 0).__name__ == "grad_of_loss_wrt_argnum_0"
    assert value_and_grad(loss).__doc__.startswith(
        "    value_and_grad of function loss with respect to argument number 0"
    )
    assert value_and_grad(loss).__doc__.endswith("the doc")
    assert gpuad.grad.__doc__

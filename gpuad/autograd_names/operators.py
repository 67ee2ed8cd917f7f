"""autograd's operators on functions, of which gpuad has most under names of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..core.box import Box
from ..core.pytree import leaves
from ..numpy.frontend import functions
from ..transforms.forward import jvp
from ..transforms.gradients import grad, vjp
from ..transforms.jacobians import hvp, jacobian
from ..wrap_util import unary_to_nary
from .vspaces import vspace


def vjp_of(fun: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """``(vjp, value)`` of ``fun`` at ``x``: ``vjp(g)`` is the cotangent of ``x``, zero if nothing depends on it.

    ``fun`` may return anything; cotangents of what isn't traced are ignored.
    """

    def traced_parts(x: Any) -> tuple[list[Any], Any]:
        result = fun(x)
        parts = [leaf for _, leaf in leaves(result) if type(leaf) is Box]
        kept.extend(i for i, (_, leaf) in enumerate(leaves(result)) if type(leaf) is Box)
        return parts, result

    kept: list[int] = []
    _, pullback, value = vjp(traced_parts, x, has_aux=True)

    def vjp_of_fun(g: Any) -> Any:
        parts = [leaf for _, leaf in leaves(g)]
        return pullback([parts[i] for i in kept])[0]

    return vjp_of_fun, value


def jvp_of(fun: Callable[[Any], Any], x: Any) -> Callable[[Any], tuple[Any, Any]]:
    """``jvp(v)`` of ``fun`` at ``x`` is the value and the derivative along ``v``."""
    return lambda v: jvp(fun, (x,), (v,))


@unary_to_nary
def make_vjp(fun: Callable[..., Any], x: Any) -> Any:
    """The function that pulls cotangents back through ``fun``, and its value."""
    return vjp_of(fun, x)


@unary_to_nary
def make_jvp(fun: Callable[..., Any], x: Any) -> Any:
    """A function of a tangent that returns the value of ``fun`` and its derivative along it."""
    return jvp_of(fun, x)


@unary_to_nary
def make_jvp_reversemode(fun: Callable[..., Any], x: Any) -> Any:
    """The derivative of ``fun`` along a tangent, by reverse mode alone: the pullback is linear, and has its own."""
    pull, y = vjp_of(fun, x)
    return vjp_of(pull, vspace(y).zeros())[0]


@unary_to_nary
def deriv(fun: Callable[..., Any], x: Any) -> Any:
    """The derivative of ``fun`` along the direction of all ones, by forward mode."""
    return jvp_of(fun, x)(vspace(x).ones())[1]


@unary_to_nary
def holomorphic_grad(fun: Callable[..., Any], x: Any) -> Any:
    """The complex derivative of a holomorphic function."""
    return grad(lambda z: functions["real"](fun(z)))(x)


@unary_to_nary
def grad_and_aux(fun: Callable[..., Any], x: Any) -> Any:
    """The gradient of the first result of ``fun``, and the second as it is."""
    return grad(lambda y: tuple(fun(y)), has_aux=True)(x)


def grad_named(fun: Callable[..., Any], argname: str) -> Callable[..., Any]:
    """The gradient with respect to the positional argument of that name."""
    return grad(fun, list(inspect.signature(fun).parameters).index(argname))


def multigrad_dict(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The gradients with respect to all arguments, as a dict by name."""
    signature = inspect.signature(fun)

    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_arguments(arguments: dict[str, Any]) -> Any:
            call = inspect.BoundArguments(signature, arguments)
            return fun(*call.args, **call.kwargs)

        return grad(of_arguments)(dict(bound.arguments))  # type: ignore[no-any-return]

    return gradients


@unary_to_nary
def make_hvp(fun: Callable[..., Any], x: Any) -> Any:
    """The Hessian at a point as a function of a vector, which doesn't call ``fun`` again; and the gradient."""
    return vjp_of(grad(fun), x)


#: ``hessian_tensor_product(fun)(x, v)``: the Hessian times ``v``.
hessian_tensor_product = hessian_vector_product = hvp


def tensor_jacobian_product(fun: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """A function of the arguments of ``fun`` and a tensor: the tensor times the Jacobian."""

    def contracted(*args_and_tensor: Any, **kwargs: Any) -> Any:
        *args, tensor = args_and_tensor
        return functions["tensordot"](tensor, fun(*args, **kwargs), axes=functions["ndim"](tensor))

    return jacobian(contracted, argnum)


vector_jacobian_product = tensor_jacobian_product


def make_ggnvp(f: Callable[..., Any], g: Callable[[Any], Any] | None = None, f_argnum: int = 0) -> Callable[..., Any]:
    """The product of a vector with the generalized Gauss-Newton matrix of g∘f: Jᵀ H J, with J of f and H of g.

    ``g`` is half the sum of squares along the last axis, if it isn't given.
    """
    outer = g or (lambda x: functions["sum"](x**2, axis=-1) / 2.0)

    @unary_to_nary
    def product_at(f: Callable[..., Any], x: Any) -> Any:
        f_vjp, f_x = vjp_of(f, x)
        g_hvp, _ = vjp_of(grad(outer), f_x)
        return lambda v: f_vjp(g_hvp(jvp_of(f, x)(v)[1]))

    return product_at(f, f_argnum)  # type: ignore[no-any-return]

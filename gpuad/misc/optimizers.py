"""Three stochastic optimizers, for parameters in containers of arrays.

They may be differentiated through themselves, to learn step sizes and the like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..numpy.frontend import functions
from ..wrap_util import wraps
from .flatten import flatten

Gradient = Callable[[Any, int], Any]
Callback = Callable[[Any, int, Any], Any]


def unflatten_optimizer(optimize: Callable[..., Any]) -> Callable[..., Any]:
    """An optimizer of containers of arrays, from one of vectors."""

    @wraps(optimize)
    def optimize_containers(
        grad: Gradient, x0: Any, callback: Callback | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        flat_x0, unflatten = flatten(x0)

        def flat_grad(x: Any, i: int) -> Any:
            return flatten(grad(unflatten(x), i))[0]

        def flat_callback(x: Any, i: int, g: Any) -> None:
            if callback is not None:
                callback(unflatten(x), i, unflatten(g))

        return unflatten(optimize(flat_grad, flat_x0, flat_callback if callback else None, *args, **kwargs))

    return optimize_containers


@unflatten_optimizer
def sgd(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 200,
    step_size: Any = 0.1,
    mass: Any = 0.9,
) -> Any:
    """Stochastic gradient descent with momentum; ``grad(x, i)`` is the gradient at step ``i``."""
    velocity = functions["zeros_like"](x)
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        velocity = mass * velocity - (1.0 - mass) * g
        x = x + step_size * velocity
    return x


@unflatten_optimizer
def rmsprop(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: Any = 0.1,
    gamma: Any = 0.9,
    eps: Any = 1e-8,
) -> Any:
    """Steps divided by the root of a running mean of squared gradients (Tieleman and Hinton, 2012)."""
    mean_square = functions["ones_like"](x)
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        mean_square = mean_square * gamma + g**2 * (1 - gamma)
        x = x - step_size * g / (functions["sqrt"](mean_square) + eps)
    return x


@unflatten_optimizer
def adam(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: Any = 0.001,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
) -> Any:
    """Adam (Kingma and Ba, arXiv:1412.6980): running means of gradients and of their squares, without bias."""
    m = functions["zeros_like"](x)
    v = functions["zeros_like"](x)
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * (g**2) + b2 * v
        m_unbiased = m / (1 - b1 ** (i + 1))
        v_unbiased = v / (1 - b2 ** (i + 1))
        x = x - step_size * m_unbiased / (functions["sqrt"](v_unbiased) + eps)
    return x

"""Fixed points of iterations, differentiable with respect to what the iteration depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd_names.operators import make_vjp
from ..autograd_names.rules import defvjp, primitive
from ..autograd_names.vspaces import vspace


@primitive
def fixed_point(
    f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Callable[[Any, Any], Any], tol: Any
) -> Any:
    """The fixed point of ``f(a)``, by iteration from ``x0`` until a step is no longer than ``tol``.

    Its derivative with respect to ``a`` is that of the implicit function theorem, itself found by iteration.
    """
    step = f(a)
    x, x_before = step(x0), x0
    while distance(x, x_before) > tol:
        x, x_before = step(x), x
    return x


def _vjp_maker(ans: Any, f: Any, a: Any, x0: Any, distance: Any, tol: Any) -> Callable[[Any], Any]:
    # The cotangent w of the fixed point x* solves w = w ∂f/∂x + g, which is a fixed point as well.
    def backwards(params: tuple[Any, Any, Any]) -> Callable[[Any], Any]:
        a, x_star, g = params
        vjp_x, _ = make_vjp(f(a))(x_star)
        return lambda w: vspace(g).add(vjp_x(w), g)

    vjp_a, _ = make_vjp(lambda a, x: f(a)(x))(a, ans)
    return lambda g: vjp_a(fixed_point(backwards, (a, ans, g), vspace(ans).zeros(), distance, tol))


defvjp(fixed_point, None, _vjp_maker, None)

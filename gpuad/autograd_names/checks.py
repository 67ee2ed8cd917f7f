"""autograd's checks of derivatives: against central differences along random directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from ..wrap_util import get_name, unary_to_nary
from .operators import jvp_of, vjp_of
from .vspaces import vspace

TOL = 1e-6
RTOL = 1e-6
EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """The derivative of ``f`` at ``x`` as a function of the direction, by central differences."""
    x_vs, y_vs = vspace(x), vspace(f(x))

    def jvp(v: Any) -> Any:
        above = f(x_vs.add(x, x_vs.scalar_mul(v, EPS / 2)))
        below = f(x_vs.add(x, x_vs.scalar_mul(v, -EPS / 2)))
        return y_vs.scalar_mul(y_vs.add(above, y_vs.scalar_mul(below, -1.0)), 1.0 / EPS)

    return jvp


def check_vjp(f: Callable[[Any], Any], x: Any) -> None:
    """Compare reverse mode with central differences, along one random direction."""
    vjp, y = vjp_of(f, x)
    jvp = make_numerical_jvp(f, x)
    x_vs, y_vs = vspace(x), vspace(y)
    x_v, y_v = x_vs.randn(), y_vs.randn()
    vjp_y = x_vs.covector(vjp(y_vs.covector(y_v)))
    assert vspace(vjp_y) == x_vs, f"VJP of {get_name(f)}: from {vspace(vjp_y)}, but the argument is from {x_vs}"
    exact = x_vs.inner_prod(x_v, vjp_y)
    numeric = y_vs.inner_prod(y_v, jvp(x_v))
    assert scalar_close(numeric, exact), (
        f"Derivative (VJP) check of {get_name(f)} failed with arg {x}:\nanalytic: {exact}\nnumeric:  {numeric}"
    )


def check_jvp(f: Callable[[Any], Any], x: Any) -> None:
    """Compare forward mode with central differences, along one random direction."""
    v = vspace(x).randn()
    check_equivalent(jvp_of(f, x)(v)[1], make_numerical_jvp(f, x)(v))


def check_equivalent(x: Any, y: Any) -> None:
    """Whether two values are from the same space, and equal along one random direction."""
    x_vs, y_vs = vspace(x), vspace(y)
    assert x_vs == y_vs, f"VSpace mismatch:\nx: {x_vs}\ny: {y_vs}"
    v = x_vs.randn()
    assert scalar_close(x_vs.inner_prod(x, v), x_vs.inner_prod(y, v)), f"Value mismatch:\nx: {x}\ny: {y}"


@unary_to_nary
def check_grads(f: Callable[[Any], Any], x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """Compare derivatives of ``f`` up to ``order`` with central differences, each of the modes with each."""
    assert all(mode in ("fwd", "rev") for mode in modes), modes
    for mode in modes:
        if mode == "fwd":
            check_jvp(f, x)
            v = vspace(x).randn()

            def derivative(x: Any, v: Any) -> Any:
                return jvp_of(f, x)(v)[1]

            derivative.__name__ = f"jvp_{get_name(f)}"
        else:
            check_vjp(f, x)
            v = vspace(f(x)).randn()

            def derivative(x: Any, v: Any) -> Any:
                return vjp_of(f, x)[0](v)

            derivative.__name__ = f"vjp_{get_name(f)}"
        if order > 1:
            check_grads(derivative, (0, 1), modes, order=order - 1)(x, v)


def combo_check(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., None]:
    """``check_grads`` for all combinations of the arguments given."""

    def check_all(*choices: Any, **named: Any) -> None:
        keywords = [[(name, x) for x in xs] for name, xs in named.items()]
        for xs in product(*choices):
            for chosen in product(*keywords):
                check_grads(fun, *args, **kwargs)(*xs, **dict(chosen))

    return check_all

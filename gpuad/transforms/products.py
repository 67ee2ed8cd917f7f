"""Products and sums of second derivatives, without the matrices: Gauss-Newton, the Laplacian; and the divergence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..backend import backend_of
from ..core.box import sample, spec_of
from ..core.pytree import leaves, tree_map
from ..errors import NotDifferentiableError
from .forward import directions, jvp
from .gradients import Argnums, check_function, chosen, named_after, vjp
from .jacobians import hvp, of_chosen_arguments
from .vmap import vmap


def _check_real(tree: Any, name: str) -> None:
    if any(spec_of(leaf).dtype.kind == "c" for _, leaf in leaves(tree)):
        raise NotDifferentiableError(f"{name}: only for real numbers; make complex ones of their two parts")


def ggnvp(f: Callable[..., Any], loss: Callable[[Any], Any] | None = None, argnums: Argnums = 0) -> Callable[..., Any]:
    """The product of the generalized Gauss-Newton matrix of ``loss(f(...))`` with a vector, without the matrix.

    That is Jᵀ H J, with the Jacobian J of ``f`` and the Hessian H of ``loss`` at what ``f`` returns (Schraudolph,
    Neural Computation 14, 2002). Without a ``loss`` it is half the sum of squares, H = 1: Gauss and Newton's own
    matrix. The new function takes the arguments of ``f`` and then the vector, in the containers of the argument
    ``argnums`` (a tuple of such, for several), and returns the product in these. It costs about as much as two or
    three gradients.

    Fisher matrices are of this kind. Where ``loss`` is minus a log-likelihood in natural parameters, which ``f``
    returns (logits, the mean of a normal distribution), it is the Fisher matrix. Where ``f`` returns the
    log-likelihood of every example and there is no ``loss``, it is the empirical one, the sum of g gᵀ over examples.

    >>> import numpy as np
    >>> ggnvp(lambda x: np.stack([x[0] * x[1], x[1]]))(np.array([2., 3.]), np.array([1., 0.]))
    array([9., 6.])
    """
    check_function(f, "ggnvp")
    several, numbers_of = chosen(argnums, "ggnvp")

    @named_after(f, "ggnvp", argnums)
    def product(*args_and_vector: Any, **kwargs: Any) -> Any:
        *args, v = args_and_vector
        of_chosen, xs = of_chosen_arguments(f, args, kwargs, numbers_of(len(args)))
        directions("ggnvp", v, "the vector", xs if several else xs[0], "the argument")
        value, pullback = vjp(of_chosen, *xs)
        _check_real((xs, value), "ggnvp")
        _, moved = jvp(of_chosen, xs, v if several else (v,))
        gradients = pullback(moved if loss is None else hvp(loss)(value, moved))
        return gradients if several else gradients[0]

    return product


def laplacian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Laplacian of ``f``: the sum of its second derivatives, the trace of the Hessian, for every number it returns.

    It takes a run of ``f`` in forward mode for each number of the argument, many of them at once, and no matrix.

    >>> import numpy as np
    >>> laplacian(lambda x: np.sum(x ** 3))(np.array([1., 2.]))
    np.float64(18.0)
    """
    check_function(f, "laplacian")
    _, numbers_of = chosen(argnums, "laplacian")

    @named_after(f, "laplacian", argnums)
    def laplacian_of_f(*args: Any, **kwargs: Any) -> Any:
        of_chosen, xs = of_chosen_arguments(f, args, kwargs, numbers_of(len(args)))
        _check_real(xs, "laplacian")

        def second(e: Any) -> Any:
            return jvp(lambda *xs: jvp(of_chosen, xs, e)[1], xs, e)[1]

        return _summed(second, xs)

    return laplacian_of_f


def divergence(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The divergence of ``f``, the trace of its Jacobian; ``f`` returns something like its argument ``argnums``.

    It takes a run of ``f`` in forward mode for each number of the argument, many of them at once, and no matrix.

    >>> import numpy as np
    >>> divergence(lambda x: x ** 2)(np.array([1., 2.]))
    np.float64(6.0)
    """
    check_function(f, "divergence")
    several, numbers_of = chosen(argnums, "divergence")
    if several:
        raise TypeError("divergence: argnums is the number of one argument, whose containers the function returns")

    @named_after(f, "divergence", argnums)
    def divergence_of_f(*args: Any, **kwargs: Any) -> Any:
        of_chosen, xs = of_chosen_arguments(f, args, kwargs, numbers_of(len(args)))
        _check_real(xs, "divergence")
        has, wants = [[spec_of(leaf).shape for _, leaf in leaves(x)] for x in (of_chosen(*xs), xs[0])]
        if has != wants:
            raise ValueError(f"divergence: the function must return what is like its argument, {wants}; got {has}")

        def diagonal(e: Any) -> Any:
            moved = jvp(of_chosen, xs, e)[1]
            pairs = zip(leaves(moved), leaves(e[0]), strict=True)
            return functools.reduce(lambda a, b: a + b, [(m * unit).sum() for (_, m), (_, unit) in pairs])

        return _summed(diagonal, xs)

    return divergence_of_f


#: So many numbers are worked on at once.
_AT_ONCE = 1 << 16


def _summed(f: Callable[[Any], Any], xs: Any) -> Any:
    """The sum of ``f(e)`` over the unit vectors ``e`` of the space that ``xs`` is from."""
    n = sum(spec_of(leaf).size for _, leaf in leaves(xs))
    if not n:
        return tree_map(lambda y: y * 0.0, f(xs))
    step = max(1, _AT_ONCE // n)
    total = None
    for start in range(0, n, step):
        part = tree_map(lambda y: y.sum(axis=0), vmap(f)(_units(xs, start, min(start + step, n))))
        rest = iter([leaf for _, leaf in leaves(part)])
        total = part if total is None else tree_map(lambda y: y + next(rest), total)  # noqa: B023 - called at once
    return total


def _units(tree: Any, start: int, stop: int) -> Any:
    """The unit vectors number ``start`` to ``stop``, along a first axis."""
    first = 0

    def part(leaf: Any) -> Any:
        nonlocal first
        spec = spec_of(leaf)
        ones = backend_of((sample(leaf),)).xp.eye(stop - start, spec.size, start - first, dtype=spec.dtype)
        first += spec.size
        return ones.reshape((stop - start, *spec.shape))

    return tree_map(part, tree)

"""Whole Jacobians and Hessians, and Hessians times a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backend import backend_of
from ..core.box import sample, spec_of
from ..core.filled import zeros_like
from ..core.pytree import is_leaf, leaves, tree_map
from ..errors import NotDifferentiableError
from ..numpy.shapes import reshape, stack
from .forward import jvp
from .gradients import Argnums, check_function, chosen, grad, named_after, vjp


def jacobian(f: Callable[..., Any], argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``f`` with respect to the argument ``argnums``.

    For an argument of shape ``(in1, in2, ...)`` and a result of shape ``(out1, out2, ...)`` the Jacobian has
    shape ``(out1, out2, ..., in1, in2, ...)``. For several ``argnums`` it is a tuple with one for each;
    for containers of arrays, the containers of the result with those of the argument in place of each array.
    It takes one reverse sweep for each number of the result.

    >>> import numpy as np
    >>> jacobian(lambda x: x * x[0])(np.array([2., 3.]))
    array([[4., 0.],
           [3., 2.]])
    """
    check_function(f, "jacobian")
    argnums = argnums if argnum is None else argnum
    several, numbers_of = chosen(argnums, "jacobian")

    @named_after(f, "jacobian", argnums)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        of_chosen, xs = _of_chosen(f, args, kwargs, numbers_of(len(args)))
        value, pullback = vjp(of_chosen, *xs)
        outputs = [leaf for _, leaf in leaves(value)]
        zeros = [zeros_like(y) for y in outputs]
        blocks = []
        for i, y in enumerate(outputs):
            if spec_of(y).dtype.kind == "c":
                raise NotDifferentiableError(
                    "jacobian: the function must return real numbers, got complex ones. Take the Jacobians of the "
                    "real and of the imaginary part"
                )
            rows = []
            for e in _basis(y):
                cotangents = iter([*zeros[:i], e, *zeros[i + 1 :]])
                gradients = pullback(tree_map(lambda _: next(cotangents), value))  # noqa: B023 - called at once
                rows.append(gradients if several else gradients[0])
            blocks.append(_stacked(rows, xs if several else xs[0], spec_of(y).shape))
        return blocks[0] if is_leaf(value) else tree_map(lambda _: blocks.pop(0), value)

    return jacobian_of_f


def _of_chosen(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], numbers: Sequence[int]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """``f`` as a function of the arguments with these numbers alone, and these arguments."""

    def of_chosen(*xs: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, xs, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    return of_chosen, tuple(args[i] for i in numbers)


def _basis(y: Any) -> Any:
    """The unit vectors of the space that ``y`` is from."""
    spec = spec_of(y)
    xp = backend_of((sample(y),)).xp
    for i in range(spec.size):
        e = xp.zeros(spec.size, spec.dtype)
        e[i] = 1
        yield e.reshape(spec.shape)


def _stacked(rows: list[Any], x: Any, shape: tuple[int, ...]) -> Any:
    """Gradients with respect to ``x``, one for every entry of a result of this shape, as one array (in containers)."""
    columns = [[leaf for _, leaf in leaves(row)] for row in rows]
    inputs = iter(range(sum(1 for _ in leaves(x))))

    def put(leaf: Any) -> Any:
        i = next(inputs)
        whole = (*shape, *spec_of(leaf).shape)
        if not columns:
            return backend_of((sample(leaf),)).xp.zeros(whole, spec_of(leaf).dtype)
        return reshape(stack([c[i] for c in columns]), whole)

    return tree_map(put, x)


def hessian(f: Callable[..., Any], argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Callable[..., Any]:
    """A function that returns the Hessian of ``f``: the Jacobian of its Jacobian.

    For an argument of shape ``s`` and a scalar result it has shape ``s + s``.

    >>> import numpy as np
    >>> hessian(lambda x: np.sum(x ** 3))(np.array([1., 2.]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    which = argnums if argnum is None else argnum
    return jacobian(jacobian(f, which), which)


def hvp(f: Callable[..., Any], argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Callable[..., Any]:
    """The product of the Hessian of ``f`` with a vector, without the Hessian.

    The new function takes the arguments of ``f`` and then the vector, in the containers and shapes of the
    argument ``argnums`` (a tuple of such, for several), and returns the product in these. It costs about as
    much as a few gradients.

    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x ** 3))(np.array([1., 2.]), np.array([1., 1.]))
    array([ 6., 12.])
    """
    check_function(f, "hvp")
    argnums = argnums if argnum is None else argnum
    several, numbers_of = chosen(argnums, "hvp")

    @named_after(f, "hvp", argnums)
    def product(*args_and_vector: Any, **kwargs: Any) -> Any:
        *args, v = args_and_vector
        of_chosen, xs = _of_chosen(f, args, kwargs, numbers_of(len(args)))
        gradient = grad(of_chosen, tuple(range(len(xs))))
        _, moved = jvp(gradient, xs, v if several else (v,))
        return moved if several else moved[0]

    return product

"""Whole Jacobians and Hessians, and Hessians times a vector."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..backend import backend_of
from ..core.box import Box, sample, spec_of
from ..core.pytree import leaves, tree_map
from ..core.record import of_units
from ..errors import NotDifferentiableError
from ..numpy.shapes import concatenate, moveaxis, reshape
from .forward import directions, jvp
from .gradients import Argnums, check_function, chosen, grad, named_after, vjp
from .vmap import vmap

#: So many rows are computed at once, though the arrays be too large for the cache, unless they fill the memory.
_FEW, _TOO_LARGE = 16, 1 << 24


def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    mode: str = "auto",
    holomorphic: bool = False,
    sparsity: Any = None,
    argnum: Argnums | None = None,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``f`` with respect to the argument ``argnums``.

    For an argument of shape ``(in1, in2, ...)`` and a result of shape ``(out1, out2, ...)`` the Jacobian has
    shape ``(out1, out2, ..., in1, in2, ...)``. For several ``argnums`` it is a tuple with one for each;
    for containers of arrays, the containers of the result with those of the argument in place of each array.

    ``mode="reverse"`` computes all rows in one reverse sweep, ``mode="forward"`` all columns in one run forwards;
    ``"auto"`` takes what there are fewer of. A complex result needs ``holomorphic=True``, and a Jacobian forwards
    with respect to complex arguments, too; without it the rows of complex arguments are as ``grad`` has them.

    With ``sparsity="detect"`` it is a sparse matrix, SciPy's (CuPy's) ``csr_array``, with a row for each number of
    the result and a column for each of the argument, in C order. Which entries may differ from zero is found at
    every call; those are computed by as few products as hold them apart. ``sparsity`` may also say which they are,
    for all calls: a sparse or boolean matrix, or what ``jacobian_sparsity`` returns. One argument and one result,
    real arrays of any shape.

    >>> import numpy as np
    >>> jacobian(lambda x: x * x[0])(np.array([2., 3.]))
    array([[4., 0.],
           [3., 2.]])
    >>> jacobian(np.diff, sparsity="detect")(np.zeros(1000)).nnz
    1998
    """
    if sparsity is not None:
        if mode != "auto" or holomorphic:
            raise TypeError(
                "jacobian: sparsity= finds the products to compute by itself; leave out mode=, holomorphic="
            )
        return _sparse(f, argnums if argnum is None else argnum, sparsity, of_gradient=False)
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"jacobian: mode must be 'auto', 'forward' or 'reverse', got {mode!r}")
    return _jacobian(f, argnums if argnum is None else argnum, mode, holomorphic, "jacobian")


def _sparse(f: Callable[..., Any], argnums: Argnums, sparsity: Any, *, of_gradient: bool) -> Callable[..., Any]:
    from .sparse import sparse_derivative  # needs SciPy

    return sparse_derivative(f, argnums, sparsity, of_gradient=of_gradient)


def jacrev(f: Callable[..., Any], argnums: Argnums = 0, *, holomorphic: bool = False) -> Callable[..., Any]:
    """``jacobian``, row by row: all rows in one reverse sweep.

    >>> import numpy as np
    >>> jacrev(lambda x: np.sum(x ** 2))(np.array([1., 2.]))
    array([2., 4.])
    """
    return _jacobian(f, argnums, "reverse", holomorphic, "jacrev")


def jacfwd(f: Callable[..., Any], argnums: Argnums = 0, *, holomorphic: bool = False) -> Callable[..., Any]:
    """``jacobian``, column by column: all columns in one run of ``f`` in forward mode.

    >>> import numpy as np
    >>> jacfwd(lambda t: np.array([1., 2.]) * t ** 2)(3.0)
    array([ 6., 12.])
    """
    return _jacobian(f, argnums, "forward", holomorphic, "jacfwd")


def _jacobian(f: Callable[..., Any], argnums: Argnums, mode: str, holomorphic: bool, name: str) -> Callable[..., Any]:
    check_function(f, name)
    several, numbers_of = chosen(argnums, name)

    @named_after(f, name, argnums)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        of_chosen, xs = of_chosen_arguments(f, args, kwargs, numbers_of(len(args)))
        x = xs if several else xs[0]
        if mode == "forward":
            return _columns(of_chosen, xs, x, holomorphic, name)
        value, pullback = vjp(of_chosen, *xs)
        if mode == "auto" and _size(value) > _size(xs) and not _is_complex(xs):
            return _columns(of_chosen, xs, x, holomorphic, name)
        return _rows(value, pullback, xs, x, holomorphic, name)

    return jacobian_of_f


def _arrays(tree: Any) -> list[Any]:
    return [leaf for _, leaf in leaves(tree)]


def _size(tree: Any) -> int:
    return sum(spec_of(leaf).size for leaf in _arrays(tree))


def _is_complex(tree: Any) -> bool:
    return any(spec_of(leaf).dtype.kind == "c" for leaf in _arrays(tree))


def _rows(value: Any, pullback: Callable[..., Any], xs: Any, x: Any, holomorphic: bool, name: str) -> Any:
    """The Jacobian from the pullback: one cotangent for every number of the result, pulled back all at once."""
    if _is_complex(value) and not holomorphic:
        raise NotDifferentiableError(
            f"{name}: the function must return real numbers, got complex ones. Take the Jacobians of the real and of "
            "the imaginary part; or say holomorphic=True if its derivative is a complex number"
        )
    marked = of_units.set(True)
    try:
        rows = _batched(lambda seed: pullback(seed) if x is xs else pullback(seed)[0], value, x)
    finally:
        of_units.reset(marked)
    starts = _starts(value)

    def block(y: Any) -> Any:
        start, spec = next(starts), spec_of(y)

        def part(g: Any) -> Any:
            mine = g if spec_of(g).shape[0] == spec.size else g[start : start + spec.size]
            return reshape(mine, (*spec.shape, *spec_of(g).shape[1:]))

        return tree_map(part, rows)

    return tree_map(block, value)


def _columns(f: Callable[..., Any], xs: Any, x: Any, holomorphic: bool, name: str) -> Any:
    """The Jacobian from the JVP: one direction for every number of the arguments, pushed forward all at once."""
    if _is_complex(xs) and not holomorphic:
        raise NotDifferentiableError(
            f"{name}: the derivative with respect to a complex argument isn't one column for each of its numbers, "
            "unless the function is holomorphic: say holomorphic=True, or use jacrev"
        )
    columns = _batched(lambda tangents: jvp(f, xs, tangents)[1], xs, None)

    def block(moved: Any) -> Any:
        starts = _starts(x)
        last = moveaxis(moved, 0, -1)

        def part(leaf: Any) -> Any:
            start, spec = next(starts), spec_of(leaf)
            return reshape(last[..., start : start + spec.size], (*spec_of(moved).shape[1:], *spec.shape))

        return tree_map(part, x)

    return tree_map(block, columns)


def _starts(tree: Any) -> Iterator[int]:
    """Where the numbers of each array begin, when those of all are numbered through."""
    start = 0
    for leaf in _arrays(tree):
        yield start
        start += spec_of(leaf).size


def _batched(linear: Callable[[Any], Any], tree: Any, other: Any) -> Any:
    """The linear function of the space that ``tree`` is from, of every unit vector, along a first axis.

    They go in all at once, or as many of them as are best worked on together; ``other`` is like the results.
    """
    n = _size(tree)
    arrays = [*_arrays(tree), *_arrays(other)]
    largest = max([1, *(spec_of(leaf).size for leaf in arrays)])
    at_once = backend_of([sample(leaf) for leaf in arrays]).at_once
    step = max(1, at_once // largest, min(_FEW, _TOO_LARGE // largest))
    if not n and other is not None:
        xp = backend_of([sample(leaf) for leaf in arrays]).xp
        return tree_map(lambda x: xp.zeros((0, *spec_of(x).shape), spec_of(x).dtype), other)
    if n == 1:  # no batch is needed
        result = linear(tree_map(lambda e: e[0], _units(tree, 0, 1)))
        return tree_map(lambda g: reshape(g, (1, *spec_of(g).shape)), result)
    if n <= step:
        return vmap(linear)(_units(tree, 0, n))
    pieces = (vmap(linear)(_units(tree, start, min(start + step, n))) for start in range(0, n, step))
    return _joined(pieces, n)


def _joined(pieces: Iterator[Any], n: int) -> Any:
    """``pieces`` one after the other along their first axis, which is ``n`` long in all."""
    first = next(pieces)
    if any(type(leaf) is Box for leaf in _arrays(first)):
        columns = iter(list(zip(*map(_arrays, [first, *pieces]), strict=True)))
        return tree_map(lambda _: concatenate(list(next(columns))), first)
    # Written into the result one after the other, all of them can use the same memory.
    whole = tree_map(lambda leaf: backend_of((leaf,)).xp.empty((n, *leaf.shape[1:]), leaf.dtype), first)
    places = _arrays(whole)
    pieces = itertools.chain([first], pieces)
    del first
    for piece in pieces:
        found = _arrays(piece)
        count = len(found[0]) if found else 0
        for k, (out, part) in enumerate(zip(places, found, strict=True)):
            out[:count] = part
            places[k] = out[count:]
    return whole


def _units(tree: Any, start: int, stop: int) -> Any:
    """The unit vectors number ``start`` to ``stop`` of the space that ``tree`` is from."""
    first = _starts(tree)

    def part(leaf: Any) -> Any:
        spec = spec_of(leaf)
        xp = backend_of((sample(leaf),)).xp
        ones = xp.eye(stop - start, spec.size, start - next(first), dtype=spec.dtype)
        return ones.reshape((stop - start, *spec.shape))

    return tree_map(part, tree)


def of_chosen_arguments(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], numbers: Sequence[int]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """``f`` as a function of the arguments with these numbers alone, and these arguments."""

    def of_chosen(*xs: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, xs, strict=True):
            full[i] = x
        return f(*full, **kwargs)

    return of_chosen, tuple(args[i] for i in numbers)


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, *, sparsity: Any = None, argnum: Argnums | None = None
) -> Callable[..., Any]:
    """A function that returns the Hessian of ``f``: the Jacobian of its Jacobian, both row by row.

    For an argument of shape ``s`` and a scalar result it has shape ``s + s``. With ``sparsity=`` it is a sparse
    matrix, as that of ``jacobian`` is; see ``hessian_sparsity`` for a pattern to be used again.

    >>> import numpy as np
    >>> hessian(lambda x: np.sum(x ** 3))(np.array([1., 2.]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    >>> hessian(lambda x: np.sum(x[1:] * x[:-1] ** 2), sparsity="detect")(np.ones(1000)).nnz
    2997
    """
    which = argnums if argnum is None else argnum
    if sparsity is not None:
        return _sparse(f, which, sparsity, of_gradient=True)
    return jacrev(jacrev(f, which), which)


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
        if len(args_and_vector) < 2:
            raise TypeError("hvp: the vector is missing: it comes last, as in hvp(f)(x, v)")
        *args, v = args_and_vector
        of_chosen, xs = of_chosen_arguments(f, args, kwargs, numbers_of(len(args)))
        directions("hvp", v, "the vector", xs if several else xs[0], "the argument")
        gradient = grad(of_chosen, tuple(range(len(xs))))
        _, moved = jvp(gradient, xs, v if several else (v,))
        return moved if several else moved[0]

    return product

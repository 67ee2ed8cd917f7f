"""Jacobians and Hessians that are mostly zeros, as sparse matrices, from as many products as their pattern needs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..backend import Backend, backend_of
from ..core.box import Box, sample, spec_of
from ..core.pytree import is_leaf
from ..core.untraced import settled
from ..errors import NotDifferentiableError, UnsupportedError
from ..numpy.shapes import concatenate, reshape
from .forward import jvp
from .gradients import Run, check_function, chosen, describe, grad, input_spec, named_after, refuse_input, vjp
from .vmap import vmap

try:
    from scipy.sparse import csr_array, issparse

    from ..core.pattern import Dependence
    from ..ops import dependence as _dependence  # noqa: F401 - its rules
    from .colouring import Plan, plan_general, plan_symmetric
except ModuleNotFoundError as error:
    raise ImportError("sparse Jacobians and Hessians need SciPy: pip install scipy") from error


class Sparsity:
    """Where a Jacobian or Hessian may differ from zero, and how few products find what is there.

    ``pattern`` is a ``scipy.sparse.csr_array`` of booleans, with a row for each number of the result and a column
    for each of the argument, in C order; ``products`` is how many products it takes. Given as ``sparsity=`` to
    ``jacobian`` or ``hessian`` it is used for every call. It must hold whatever can differ from zero in any of them,
    which is checked at the first.

    ``Sparsity(pattern)`` makes one of any sparse or boolean matrix; with ``symmetric``, for a Hessian, one triangle
    is enough, and fewer products do.
    """

    def __init__(self, pattern: Any, symmetric: bool = False) -> None:
        self.pattern = _boolean(pattern)
        self.symmetric = symmetric
        if symmetric:
            rows, columns = self.pattern.shape
            if rows != columns:
                raise ValueError(f"the pattern of a Hessian must be square, got {rows}×{columns}")
            self.pattern = _boolean(self.pattern + self.pattern.T)

    @functools.cached_property
    def plan(self) -> Plan:
        return (plan_symmetric if self.symmetric else plan_general)(self.pattern)

    @property
    def products(self) -> int:
        return self.plan.products

    def __repr__(self) -> str:
        rows, columns = self.pattern.shape
        kind = "Hessian" if self.symmetric else "Jacobian"
        return f"<sparsity of a {rows}×{columns} {kind}: {self.pattern.nnz} entries from {self.products} products>"


def _boolean(pattern: Any) -> Any:
    """A pattern as a ``csr_array`` of booleans in order, without stored zeros."""
    if not issparse(pattern) and getattr(pattern, "ndim", None) != 2:
        raise TypeError(
            f"sparsity: expected 'detect', a matrix of SciPy's, or an array with what isn't zero, got "
            f"{describe(pattern)}"
        )
    boolean = csr_array(pattern, dtype=bool)
    boolean.eliminate_zeros()
    boolean.sum_duplicates()
    return boolean


def jacobian_sparsity(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Sparsity]:
    """A function that finds where the Jacobian of ``f`` with respect to the argument ``argnum`` may differ from zero.

    It follows which inputs every number depends on through one call of ``f``. What depends on values (branches,
    sorting, indices) is as in that call, and a constant factor's zeros count as zeros; both branches of ``where``
    and ``maximum`` count. Of an operation that isn't known to be sparse every result depends on every argument.

    >>> import numpy as np
    >>> jacobian_sparsity(np.diff)(np.zeros(4)).pattern.toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    return _detector(f, argnum, "jacobian", False)


def hessian_sparsity(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Sparsity]:
    """A function that finds where the Hessian of ``f`` may differ from zero: as ``jacobian_sparsity`` of its gradient.

    Such a pattern can be used again and again:

    >>> import numpy as np, gpuad
    >>> f = lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2)
    >>> sparsity = gpuad.hessian_sparsity(f)(np.zeros(1000))
    >>> sparsity
    <sparsity of a 1000×1000 Hessian: 2998 entries from 3 products>
    >>> H = gpuad.hessian(f, sparsity=sparsity)
    >>> H(np.ones(1000)).shape, H(np.zeros(1000)).nnz
    ((1000, 1000), 2998)
    """
    return _detector(f, argnum, "hessian", True)


def _detector(f: Callable[..., Any], argnum: int, name: str, symmetric: bool) -> Callable[..., Sparsity]:
    check_function(f, f"{name}_sparsity")
    of_one = _of_one(f, argnum, name)

    @named_after(f, f"{name}_sparsity", argnum)
    def sparsity_of_f(*args: Any, **kwargs: Any) -> Sparsity:
        f_of_x, x = of_one(args, kwargs)
        return _detected(grad(f_of_x) if symmetric else f_of_x, x, name, symmetric)

    return sparsity_of_f


def _detected(f: Callable[..., Any], x: Any, name: str, symmetric: bool) -> Sparsity:
    level = Dependence()
    with Run(level):
        result = settled(f(level.watch(x)))
    size = _output_size(result, name)
    if type(result) is Box and result.level is level:
        return Sparsity(result.index, symmetric)
    return Sparsity(csr_array((size, spec_of(x).size), dtype=bool), symmetric)


def _output_size(result: Any, name: str) -> int:
    if not is_leaf(result):
        raise UnsupportedError(
            f"{name}: with sparsity= the function must return a single array, got {describe(result)}; "
            "concatenate what it returns"
        )
    spec = spec_of(result)
    if spec.dtype.kind == "c":
        raise NotDifferentiableError(
            f"{name}: with sparsity= the function must return real numbers, got complex ones. Take the Jacobians of "
            "the real and of the imaginary part"
        )
    return spec.size


def _of_one(f: Callable[..., Any], argnum: Any, name: str) -> Callable[..., tuple[Callable[..., Any], Any]]:
    """From the arguments of a call, ``f`` as a function of the one to differentiate, and this one."""
    several, numbers_of = chosen(argnum, name)
    if several:
        raise UnsupportedError(
            f"{name}: with sparsity= the derivative is with respect to one argument, got argnums={argnum!r}"
        )

    def of_one(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Callable[..., Any], Any]:
        (i,) = numbers_of(len(args))
        x = args[i]
        if not is_leaf(x):
            raise UnsupportedError(
                f"{name}: with sparsity= argument {i} must be a single array, got {describe(x)}; write the function "
                "as one of a long vector, and take the parts from it"
            )
        spec = input_spec(x)
        if spec is None:
            refuse_input(x, f"argument {i}", name)
        if spec.dtype.kind == "c":
            raise UnsupportedError(
                f"{name}: with sparsity= argument {i} must be real, got an array of {spec.dtype}; take the real and "
                "the imaginary part as two columns"
            )
        if type(x) is Box:
            raise UnsupportedError(
                f"{name}: a sparse matrix can't be traced, so with sparsity= argument {i} must not be: inside a "
                "function that is being differentiated leave out sparsity="
            )
        return lambda y: f(*args[:i], y, *args[i + 1 :], **kwargs), x

    return of_one


def sparse_derivative(
    f: Callable[..., Any], argnums: Any, sparsity: Any, *, of_gradient: bool = False
) -> Callable[..., Any]:
    """What ``jacobian`` and ``hessian`` return when they are given ``sparsity``."""
    name = "hessian" if of_gradient else "jacobian"
    check_function(f, name)
    of_one = _of_one(f, argnums, name)
    detect = isinstance(sparsity, str) and sparsity == "detect"
    given = None if detect else sparsity if isinstance(sparsity, Sparsity) else Sparsity(sparsity, of_gradient)
    unchecked = given is not None

    @named_after(f, name, argnums)
    def derivative_of_f(*args: Any, **kwargs: Any) -> Any:
        nonlocal unchecked
        f_of_x, x = of_one(args, kwargs)
        g = grad(f_of_x) if of_gradient else f_of_x
        used = given or _detected(g, x, name, of_gradient)
        numbers = _entries(g, x, used, name)
        if unchecked:
            _check(g, x, used.pattern, numbers, name)
            unchecked = False
        return _matrix(backend_of((x,)), numbers, used.pattern)

    return derivative_of_f


def _entries(f: Callable[..., Any], x: Any, sparsity: Sparsity, name: str) -> Any:
    """The numbers at the places of the pattern."""
    backend, spec = backend_of((x,)), spec_of(x)
    shape = sparsity.pattern.shape
    if spec.size != shape[1]:
        raise ValueError(f"{name}: the pattern has {shape[1]} columns, but the argument {spec.size} numbers")
    products = _products(f, x, sparsity, name)
    numbers = products[backend.asarray(sparsity.plan.places)]
    if type(numbers) is Box:
        raise UnsupportedError(
            f"{name}: the function depends on a traced array beside its arguments, and a sparse matrix can't be "
            "traced: leave out sparsity="
        )
    return numbers


def _check(f: Callable[..., Any], x: Any, pattern: Any, numbers: Any, name: str) -> None:
    """An error if there is something outside of a pattern that a user gave: one product more shows it."""
    backend, spec = backend_of((x,)), spec_of(x)
    xp = backend.xp
    v = backend.asarray(np.random.default_rng(0).uniform(1.0, 2.0, spec.size).astype(spec.dtype))
    found = xp.reshape(xp.asarray(jvp(f, (x,), (xp.reshape(v, spec.shape),))[1]), -1)
    rows = backend.asarray(np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)))
    terms = numbers * v[backend.asarray(pattern.indices)]
    sums, sizes = xp.zeros_like(found), xp.zeros_like(found)
    backend.add_at(sums, rows, terms)
    backend.add_at(sizes, rows, xp.abs(terms))
    eps = float(np.finfo(spec.dtype).eps)
    # What differs by less may be rounding.
    outside = xp.abs(found - sums) > eps**0.25 * sizes + eps**0.5 * (xp.max(sizes) if sizes.size else 0.0)
    if outside.any():
        row = int(backend.to_numpy(xp.argmax(outside)))
        raise ValueError(
            f"{name}: there are entries outside of the given pattern, in row {row} for one; sparsity='detect' finds a "
            "pattern that holds them all"
        )


def _matrix(backend: Backend, numbers: Any, pattern: Any) -> Any:
    try:
        csr = backend.function("scipy.sparse.csr_array")
    except AttributeError:  # CuPy before 14
        csr = backend.function("scipy.sparse.csr_matrix")
    places = [backend.asarray(part) for part in (pattern.indices, pattern.indptr)]
    return csr((numbers, *places), shape=pattern.shape)


def _products(f: Callable[..., Any], x: Any, sparsity: Sparsity, name: str) -> Any:
    """The numbers of all products of the plan, one after the other."""
    plan = sparsity.plan
    found = []
    if plan.forward:
        seeds = _seeds(x, plan.columns, plan.forward)
        found += [_checked(vmap(lambda t: jvp(f, (x,), (t,))[1])(s), len(s), sparsity, name) for s in seeds]
    if plan.backward or not plan.forward:
        value, pullback = vjp(f, x)
        _checked(value, 1, sparsity, name)
        seeds = _seeds(value, plan.rows, plan.backward)
        found += [vmap(lambda g: pullback(g)[0])(s) for s in seeds]
    return concatenate([reshape(p, -1) for p in found] or [backend_of((x,)).xp.zeros(0, spec_of(x).dtype)])


def _checked(result: Any, times: int, sparsity: Sparsity, name: str) -> Any:
    """What ``f`` gave, so many times, if it is what the pattern is for."""
    size, rows = _output_size(result, name) // times, sparsity.pattern.shape[0]
    if size != rows:
        raise ValueError(f"{name}: the pattern has {rows} rows, but the function returned {size} numbers")
    return result


def _seeds(like: Any, colours: Any, count: int) -> Iterator[Any]:
    """Arrays with ones where a colour is, for every colour: as many at once as memory has room for."""
    backend, spec = backend_of((sample(like),)), spec_of(like)
    colours = backend.asarray(colours)
    step = max(1, AT_ONCE // max(spec.size, 1))
    for first in range(0, count, step):
        these = backend.xp.arange(first, min(first + step, count))
        yield (colours == these[:, None]).astype(spec.dtype).reshape(-1, *spec.shape)


#: How many numbers: 64 MB of float64.
AT_ONCE = 1 << 23

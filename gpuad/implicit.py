"""Solutions of equations, as the functions that they are of what the equations read.

By the implicit function theorem the solution x0 of F(x, θ) = 0 moves by dx = -(∂F/∂x)⁻¹ (∂F/∂θ) dθ (Griewank &
Walther, Evaluating Derivatives, 2nd ed., ch. 15), whatever way it was found. F may read θ as an argument or from
around it, so we don't ask for θ but let F lead to it: of the steps

    x ← x - J⁻¹ (F(x) - F(x0)),    J = ∂F/∂x at x0, a constant,

with traced operations, none changes the value of x, the first makes its first derivative right, and each
further one the next higher derivative: the error is multiplied by 1 - J⁻¹ ∂F/∂x, which vanishes at θ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import backend_of
from .core.batch import looped, stack_alike, warn_of_loop
from .core.box import Box, sample, spec_of
from .core.closure import Closure
from .core.pytree import leaves, tree_map
from .custom import defjvp, defvjp
from .custom_calls import Application, UserPrimitive
from .errors import UnsupportedError
from .numpy.frontend import functions
from .transforms.forward import jvp, linearize
from .transforms.gradients import check_function, describe, input_spec, refuse_input, vjp
from .values import stop_gradient

Function = Callable[..., Any]
#: ``inverse(f, x0, name)`` gives the function that takes r to the d with J d = r, J being the Jacobian of f at x0.
Inverse = Callable[[Function, Any, str], Function]


# -- roots and fixed points -------------------------------------------------------------------------------
def root(f: Function, x0: Any, *args: Any, solve: Function | None = None, linear_solve: Function | None = None) -> Any:
    """The solution x of ``f(x, *args) = 0``, differentiable in ``args`` and in all else that ``f`` reads.

    ``x0``, where the search starts, is an array or a container of arrays; ``f`` returns one with as many numbers.
    ``solve(g, x0)`` finds the root of ``g``, which is ``f`` as a function of x alone, in any way: it is run with plain
    values, and isn't differentiated. Without one it is Newton's method. The derivatives are those of the exact
    solution, by the implicit function theorem, of any order, in forward and in reverse mode; ``x0`` is a constant.
    Under ``vmap`` the search is for each example's root by itself, the derivatives are of all together.

    They need the Jacobian of ``f`` at the root, n × n for n unknowns. For large n, ``linear_solve(product, b)`` is
    used instead: it returns the vector d with ``product(d) = b``, for vectors of n numbers, and where ``product``
    multiplies with the Jacobian or its transpose.

    >>> import gpuad
    >>> gpuad.grad(lambda a: gpuad.root(lambda x, a: x ** 2 - a, 1.0, a))(4.0)
    np.float64(0.25)
    """
    check_function(f, "root", curried=False)
    inverse = dense if linear_solve is None else by_products(linear_solve)
    problem = Problem("root", lambda x: f(x, *args), x0)
    if solve is None:
        found = solved("root", lambda g, x: _newton(g, x, inverse), problem.residual, problem.start)
    else:
        found = problem.vector(solved("root", solve, problem.f, problem.restore(problem.start)))
    return problem.restore(follow(problem.residual, found, "root", converged=False, inverse=inverse))


def fixed_point(
    f: Function, x0: Any, *args: Any, solve: Function | None = None, linear_solve: Function | None = None
) -> Any:
    """The solution x of ``x = f(x, *args)``, differentiable in ``args`` and in all else that ``f`` reads.

    ``solve(g, x0)`` finds it as for ``root``, where the other arguments are explained; without one ``f`` is iterated
    until x stays. For many unknowns derivatives are found by iteration as well, unless ``linear_solve`` is given.

    >>> import numpy as np, gpuad
    >>> newton = lambda x, a: 0.5 * (x + a / x)
    >>> gpuad.grad(lambda a: gpuad.fixed_point(newton, 1.0, a))(4.0)
    np.float64(0.25)
    """
    check_function(f, "fixed_point", curried=False)
    problem = Problem("fixed_point", lambda x: f(x, *args), x0)
    if linear_solve is None:
        inverse = dense if len(problem.start) <= _DENSE else by_products(_by_iteration)
    else:
        inverse = by_products(linear_solve)
    start = problem.restore(problem.start)
    found = problem.vector(solved("fixed_point", _iterate if solve is None else solve, problem.f, start))
    return problem.restore(
        follow(lambda v: v - problem.residual(v), found, "fixed_point", converged=False, inverse=inverse)
    )


#: Up to so many unknowns the derivative of a fixed point is by its Jacobian.
_DENSE = 512


class Problem:
    """A function of containers of arrays, as one of vectors of real numbers."""

    def __init__(self, name: str, f: Function, x0: Any) -> None:
        self.name, self.f = name, f
        for path, leaf in leaves(x0):
            if input_spec(leaf) is None:
                refuse_input(leaf, f"x0{path}", name)
        self.like = tree_map(lambda leaf: spec_of(leaf), x0)
        self.start = self.vector(stop_gradient(x0))

    def vector(self, tree: Any) -> Any:
        """The numbers in a container that is like x0; of complex ones the real and the imaginary parts."""
        wants, has = [leaf for _, leaf in leaves(self.like)], [leaf for _, leaf in leaves(tree)]
        if [spec.shape for spec in wants] != [spec_of(leaf).shape for leaf in has]:
            raise ValueError(
                f"{self.name}: a function or solver returned {describe(tree) if len(has) == 1 else len(has)}"
                f"{'' if len(has) == 1 else ' arrays'}, but x0 has the shapes {[spec.shape for spec in wants]}"
            )
        parts = []
        for spec, leaf in zip(wants, has, strict=True):
            leaf = functions["asarray"](leaf) if isinstance(leaf, (float, int, complex)) else leaf
            halves = [functions["real"](leaf), functions["imag"](leaf)] if spec.dtype.kind == "c" else [leaf]
            parts += [functions["reshape"](half, (-1,)) for half in halves]
        return functions["concatenate"](parts) if len(parts) != 1 else parts[0]

    def restore(self, v: Any) -> Any:
        """The container with these numbers."""
        at = 0

        def take(spec: Any) -> Any:
            nonlocal at
            at += spec.size
            part = v[at - spec.size : at]
            if spec.dtype.kind == "c":
                at += spec.size
                part = part + 1j * v[at - spec.size : at]
            return functions["reshape"](part, spec.shape)[()]

        return tree_map(take, self.like)

    def residual(self, v: Any) -> Any:
        return self.vector(self.f(self.restore(v)))


def constant(f: Function, take: Function = stop_gradient) -> Function:
    """``f`` with plain values, whatever traced values it reads from around it; nothing of that is recorded."""

    def plain(x: Any) -> Any:
        level = Closure(-1, take)
        try:
            return tree_map(level.result, f(tree_map(level.watch, x)))
        finally:
            level.closed = True

    return plain


class _Differs(Exception):
    """A solver's function differs from example to example of this level."""

    def __init__(self, level: Any) -> None:
        self.level = level


def solved(name: str, solve: Function, f: Function, start: Any) -> Any:
    """What ``solve(g, start)`` finds, where g is ``f`` with plain values; under ``vmap`` for one example at a time."""

    def of_each(levels: list[Any], example: dict[Any, int]) -> Any:
        """For all examples of ``levels``, the outermost first; of others ``example`` has the number of one."""

        def take(x: Any) -> Any:
            x = stop_gradient(x)
            while _batched(x):
                if x.level not in example:
                    raise _Differs(x.level)
                x = x.value[example[x.level]]
            return x

        if not levels:
            return solve(constant(f, take), tree_map(take, start))
        *outer, level = levels
        found = [of_each(outer, {**example, level: i}) for i in range(level.size)]
        each = zip(*([leaf for _, leaf in leaves(tree)] for tree in found), strict=True)
        columns = [stack_alike(name, column) for column in each]
        return tree_map(lambda _: level.watch(columns.pop(0)), found[0])

    levels: list[Any] = []
    while True:  # once more for every level that turns up: the search may read the outermost first
        try:
            return of_each(levels, {})
        except _Differs as differs:
            if not differs.level.size:
                raise UnsupportedError(f"vmap: {name} can't be searched for in a batch of no examples") from None
            warn_of_loop(f"the search of {name}")
            levels = sorted([*levels, differs.level], key=lambda level: level.depth)


def _batched(x: Any) -> bool:
    return type(x) is Box and x.level.batched


def _every(condition: Any) -> bool:
    """Whether it holds, of all examples."""
    while _batched(condition):
        condition = functions["all"](condition.value)
    return bool(condition)


def _largest(v: Any) -> Any:
    return functions["max"](functions["abs"](v)) if spec_of(v).size else 0.0


def _size(v: Any) -> float:
    return float(_largest(v))


def _precision(v: Any) -> float:
    return 32.0 * float(np.finfo(spec_of(v).dtype).eps)


def _newton(f: Function, x: Any, inverse: Inverse) -> Any:
    """Newton's method, with steps halved while they don't lead closer."""
    f = constant(f)
    residual = f(x)
    for _ in range(100 if len(x) else 0):
        try:
            step = inverse(f, x, "root")(residual)
        except UnsupportedError:  # where the Jacobian is singular there is no step
            break
        for _ in range(40):
            there = f(x - step)
            if _size(there) <= _size(residual):
                break
            step = 0.5 * step
        x, residual = x - step, there
        if _size(step) <= _precision(x) * (1.0 + _size(x)):
            return x
    if not len(x):
        return x
    raise RuntimeError(
        f"root: Newton's method hasn't converged; |f(x)| is {_size(residual):.3g} where it stopped. Start closer to "
        "the root, or pass another solver as solve="
    )


def _iterate(f: Function, x: Any) -> Any:
    for _ in range(100_000):
        before, x = x, f(x)
        pairs = [(a, b) for (_, a), (_, b) in zip(leaves(x), leaves(before), strict=True)]
        if all(_size(a - b) <= _precision(a) * (1.0 + _size(a)) for a, b in pairs):
            return x
    raise RuntimeError("fixed_point: the iteration hasn't converged in 100,000 steps; pass another solver as solve=")


def _by_iteration(product: Function, b: Any) -> Any:
    """d with J d = b for the J = 1 - ∂f/∂x of a fixed point: the sum of the powers of ∂f/∂x, times b."""
    d = b
    for _ in range(100_000):
        step = b - product(d)
        d = d + step
        if not _size(step) > _precision(b) * _size(d):
            break
    return d


# -- the implicit function --------------------------------------------------------------------------------
def follow(f: Function, x0: Any, name: str, *, converged: bool, inverse: Inverse | None = None) -> Any:
    """The root ``x0`` of ``f``, a plain vector, as the function that it is of traced values that ``f`` reads.

    ``converged`` is what the solver says; if it doesn't, ``x0`` must be close to a root nevertheless.
    """
    value = f(x0)
    order = _levels(value)
    if not order or not spec_of(x0).size:
        return x0
    at_start = stop_gradient(value)
    correction = (inverse or dense)(f, x0, name)
    if not converged and not _every(_largest(correction(at_start)) <= 1e-3 * (1.0 + _largest(x0))):
        raise UnsupportedError(
            f"{name}: the solver didn't converge, and what it stopped at has no derivative. Look at the result with "
            "gpuad.stop_gradient(...) of what the functions read"
        )
    x = x0
    for _ in range(order):
        x = x - correction(f(x) - at_start)
    return x


def _levels(x: Any) -> int:
    """How many transformations trace ``x``, which is the highest order of a derivative that can be asked for."""
    count = 0
    while type(x) is Box:
        count += x.level.depth >= 0 and not x.level.recorded
        x = x.value
    return count


def dense(f: Function, x0: Any, name: str) -> Function:
    """By the Jacobian."""
    matrix = stop_gradient(jacobian(f, x0))
    if matrix.shape[0] != matrix.shape[1]:
        raise UnsupportedError(f"{name}: {matrix.shape[0]} equations for {matrix.shape[1]} unknowns have no derivative")
    if not _every(functions["all"](functions["isfinite"](matrix))):
        raise _singular(name)
    singular_values = functions["linalg.svd"](matrix, compute_uv=False)
    if not _every(singular_values[-1] > 1e-14 * singular_values[0]):
        raise _singular(name)
    return lambda residual: functions["linalg.solve"](matrix, residual)


def elementwise(f: Function, x0: Any, name: str) -> Function:
    """Where entry by entry is an equation of its own."""
    slopes = stop_gradient(slope(f, x0))
    if not (np.all(slopes != 0) and np.all(np.isfinite(slopes))):
        raise _singular(name)
    return lambda residual: residual / slopes


def _singular(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"{name}: the solution has no derivative, for it isn't determined by its equations: their Jacobian (of a "
        "minimum, the Hessian) is singular there. gpuad.stop_gradient(...) of what the functions read makes it a "
        "constant"
    )


class _Solver(UserPrimitive):
    """A user's solver, which knows of one right-hand side at a time."""

    def application(self, slots: list[Any], kwargs: dict[str, Any]) -> Application:
        made = super().application(slots, kwargs)
        made.batch = looped
        return made


def by_products(linear_solve: Function) -> Inverse:
    """By a solver that multiplies with the Jacobian or its transpose, but doesn't see it."""

    def inverse(f: Function, x0: Any, name: str) -> Function:
        plain = constant(f)
        if _batched(plain(x0)):  # the solver knows one example
            return dense(f, x0, name)
        _, product = linearize(plain, x0)
        _, pullback = vjp(plain, x0)

        def solved(product: Function, b: Any) -> Any:
            scale = _size(b)
            if not scale:
                return b
            b = b / scale  # a solver's tolerance may be absolute
            d = linear_solve(product, b)
            if not _size(product(d) - b) <= 1e-3:
                raise UnsupportedError(
                    f"{name}: the linear equations for the derivative weren't solved. The Jacobian may be singular at "
                    "the solution; else pass a linear_solve that fits it"
                )
            return d * scale

        forth = _Solver(lambda b: solved(product, b))
        back = _Solver(lambda b: solved(lambda u: pullback(u)[0], b))
        for one, other in ((forth, back), (back, forth)):
            one.name = f"linear_solve of {name}"
            defvjp(one, lambda g, ans, b, other=other: other(g))
            defjvp(one, lambda t, ans, b, one=one: one(t))
        return forth

    return inverse


# -- derivatives ------------------------------------------------------------------------------------------
def jacobian(f: Function, x: Any) -> Any:
    """The Jacobian of a function from vectors to vectors, by the rows or columns that are fewer."""
    value, pullback = vjp(f, x)
    rows, columns = len(value), len(x)
    if rows <= columns:
        return _stack([pullback(e)[0] for e in _basis(value)], (rows, columns), 0)
    return _stack([jvp(f, (x,), (e,))[1] for e in _basis(x)], (rows, columns), 1)


def _basis(x: Any) -> Any:
    return backend_of((sample(x),)).xp.eye(len(x), dtype=spec_of(x).dtype)


def _stack(parts: Sequence[Any], shape: tuple[int, int], axis: int) -> Any:
    return functions["stack"](parts, axis) if parts else np.zeros(shape)


def slope(f: Function, x: Any) -> Any:
    """The derivative of a function that works element by element."""
    return jvp(f, (x,), (np.ones_like(x),))[1]

"""``minimize`` and ``minimize_scalar``: derivatives by gpuad, and minima that are differentiable themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize as theirs

from ...errors import UnsupportedError
from ...implicit import follow, jacobian
from ...numpy.frontend import functions, is_traced
from ...transforms.forward import jvp
from ...transforms.gradients import grad, value_and_grad
from ...values import stop_gradient
from .plainly import Function, Unknowns, Watched, as_tuple, scalar, traced_result, vector

_WITHOUT_GRADIENT = frozenset({"nelder-mead", "powell", "cobyla", "cobyqa"})
_WITH_HESSIAN_PRODUCTS = frozenset({"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"})
_WITH_HESSIAN = frozenset({"dogleg", "trust-exact"})


class Limits(NamedTuple):
    """lower ≤ c(x) ≤ upper, entry by entry; equal ones are an equation."""

    c: Function
    lower: Any  # an array or a list with one for each entry, or one number for all
    upper: Any


def minimize(
    fun: Function,
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """As :func:`scipy.optimize.minimize`, with derivatives by gpuad, and differentiable.

    Where ``jac`` is ``None``, gradients are computed together with the value; so are the products with the
    Hessian, or the Hessian, for the methods that use them, and the Jacobians of constraints. For finite
    differences say ``jac="2-point"``. ``x0`` may be a container of arrays (dict, …); then so is ``result.x``.

    Where ``args`` or ``bounds`` are traced, or anything else that ``fun`` and the constraints read,
    ``result.x``, ``result.fun`` and ``result.jac`` are traced: their derivatives of any order are those of the
    exact minimum, as accurate as it was found (``tol``). Entries that would be constants by mistake, such as
    ``hess_inv``, are left out of such a result. A start ``x0`` that is traced counts as a constant, since the
    minimum doesn't vary with it. Where the minimum has no derivative ``UnsupportedError`` is raised. The way
    there is solved for with the Hessian as a matrix, which takes as many sweeps as there are unknowns.

    >>> import numpy as np, gpuad
    >>> nearest = lambda c: minimize(lambda x: np.sum((x - c) ** 4 + (x - c) ** 2), np.zeros(2)).x[0]
    >>> gpuad.grad(nearest)(np.array([1., 2.])).round(6) + 0.0
    array([1., 0.])
    """
    args = as_tuple(args)
    given = [constraints] if isinstance(constraints, dict) or hasattr(constraints, "lb") else list(constraints)
    watched = Watched("minimize", args, bounds, [c.get("args", ()) for c in given if isinstance(c, dict)])
    unknowns = Unknowns(x0, watched)
    how = method.lower() if isinstance(method, str) else ""

    def value(x: Any, *args: Any) -> Any:
        result = fun(unknowns.restore(x), *args)
        return scalar(result[0] if jac is True else result)

    if jac is None and how not in _WITHOUT_GRADIENT:
        gradient: Any = True
        objective = value_and_grad(value)
        if hess is None and hessp is None:
            if how in _WITH_HESSIAN_PRODUCTS:
                hessp = lambda x, p, *args: jvp(lambda x: grad(value)(x, *args), (x,), (p,))[1]  # noqa: E731
            elif how in _WITH_HESSIAN:
                hess = lambda x, *args: jacobian(lambda x: grad(value)(x, *args), x)  # noqa: E731
    else:
        gradient = jac
        if callable(jac):
            gradient = watched(lambda x, *args: unknowns.vector(jac(unknowns.restore(x), *args)))
        objective = value
        if jac is True:

            def objective(x: Any, *args: Any) -> Any:
                result, g = fun(unknowns.restore(x), *args)
                return result, unknowns.vector(g)

    result = theirs.minimize(
        watched(objective),
        unknowns.start,
        args=watched.held(args),
        method=method,
        jac=gradient,
        hess=watched(hess) if callable(hess) else hess,
        hessp=watched(hessp) if callable(hessp) else hessp,
        bounds=stop_gradient(bounds),
        constraints=[_for_scipy(c, unknowns, watched) for c in given],
        tol=tol,
        callback=callback,
        options=options,
    )
    if watched.traced:
        n = len(result.x)
        limits = [limit for c in given for limit in _limits(c, unknowns)]
        if bounds is not None:
            limits.append(Limits(lambda x: x, *lower_and_upper(bounds, n)))
        result = solution(lambda x: value(x, *args), result, limits, "minimize")
        result.jac = unknowns.restore(result.jac)
    if unknowns.tree is not None:
        result.x = unknowns.restore(result.x)
    return result


# -- constraints ----------------------------------------------------------------------------------------
def _for_scipy(c: Any, unknowns: Unknowns, watched: Watched) -> Any:
    """A constraint with its Jacobian."""
    if isinstance(c, theirs.LinearConstraint):
        return c
    fun = c["fun"] if isinstance(c, dict) else c.fun

    def values(x: Any, *args: Any) -> Any:
        return vector(fun(unknowns.restore(x), *args))

    def rows(x: Any, *args: Any) -> Any:
        return jacobian(lambda x: values(x, *args), x)

    if isinstance(c, dict):
        theirs_or_ours = c.get("jac") or rows
        return c | {"fun": watched(values), "jac": watched(theirs_or_ours), "args": watched.held(c.get("args", ()))}
    return theirs.NonlinearConstraint(
        watched(values),
        c.lb,
        c.ub,
        jac=watched(rows) if c.jac == "2-point" else c.jac,  # which is what it is if nothing was said
        hess=c.hess,
        keep_feasible=c.keep_feasible,
        finite_diff_rel_step=c.finite_diff_rel_step,
        finite_diff_jac_sparsity=c.finite_diff_jac_sparsity,
    )


def _limits(c: Any, unknowns: Unknowns) -> list[Limits]:
    if isinstance(c, theirs.LinearConstraint):
        matrix = np.atleast_2d(c.A.toarray() if hasattr(c.A, "toarray") else c.A)
        return [Limits(lambda x: functions["matmul"](matrix, x), c.lb, c.ub)]
    if not isinstance(c, dict):
        return [_nonlinear(c.fun, (), c.lb, c.ub, unknowns)]
    return [_nonlinear(c["fun"], c.get("args", ()), 0.0, 0.0 if c["type"].lower() == "eq" else np.inf, unknowns)]


def _nonlinear(fun: Function, args: Any, lower: Any, upper: Any, unknowns: Unknowns) -> Limits:
    return Limits(lambda x: vector(fun(unknowns.restore(x), *as_tuple(args))), lower, upper)


def lower_and_upper(bounds: Any, n: int) -> tuple[list[Any], list[Any]]:
    """Of SciPy's bounds in any of their forms, those of every unknown, traced ones as they are."""
    if isinstance(bounds, theirs.Bounds):
        return list(np.broadcast_to(bounds.lb, (n,))), list(np.broadcast_to(bounds.ub, (n,)))
    pairs = [tuple(pair) for pair in bounds]
    if len(pairs) == 1:
        pairs = pairs * n
    lower = [-np.inf if a is None else a for a, _ in pairs]
    return lower, [np.inf if b is None else b for _, b in pairs]


# -- the minimum as an implicit function ------------------------------------------------------------------
def solution(f: Function, result: Any, limits: Sequence[Limits], name: str, **more: Any) -> Any:
    """SciPy's result with the minimum as a function of what ``f`` and ``limits`` trace."""
    x = minimum(f, np.asarray(result.x), limits, name, converged=bool(result.success))
    return traced_result(result, x=x, fun=f(x), jac=grad(f)(x))


def minimum(f: Function, x: Any, limits: Sequence[Limits], name: str, *, converged: bool) -> Any:
    """The minimum ``x`` of ``f`` between ``limits``, as a function of what these trace.

    Limits that hold the minimum back are equations, with multipliers λ as further unknowns: the gradient of
    f - λ·(c - limit) vanishes (Nocedal & Wright, Numerical Optimization, 2nd ed., theorem 12.1).
    """
    gradient = grad(f)
    held = _holding(stop_gradient(gradient(x)), x, limits, name)
    if not held:
        return follow(gradient, x, name, converged=converged)
    n = len(x)

    def excess(x: Any) -> Any:
        parts = []
        for limit, rows, at in held:
            parts.append(limit.c(x)[rows] - (functions["stack"](at) if is_traced(at) else np.array(at)))
        return functions["concatenate"](parts)

    def conditions(z: Any) -> Any:
        x, multipliers = z[:n], z[n:]
        balance = grad(lambda x: f(x) - (multipliers * excess(x)).sum())(x)
        return functions["concatenate"]([balance, excess(x)])

    normals = stop_gradient(jacobian(excess, x))
    multipliers = np.linalg.lstsq(normals.T, stop_gradient(gradient(x)), rcond=None)[0]
    return follow(conditions, np.concatenate([x, multipliers]), name, converged=converged)[:n]


def _holding(g: Any, x: Any, limits: Sequence[Limits], name: str) -> list[tuple[Limits, list[int], list[Any]]]:
    """The limits that hold the minimum back: their rows, and the limit of each."""
    near = []  # (number among limits, row, side, distance); the side is 0 for an equation
    normals = []
    for number, (c, lower, upper) in enumerate(limits):
        values, rows = stop_gradient(vector(c(x))), stop_gradient(jacobian(c, x))
        for i, v in enumerate(values):
            low, high = (float(stop_gradient(_entry(b, i))) for b in (lower, upper))
            side = 0 if low == high else 1 if v - low <= high - v else -1
            distance = abs(v - (high if side < 0 else low))
            if side == 0 or distance <= _NEAR * (1.0 + abs(v)):
                near.append((number, i, side, distance))
                normals.append(rows[i])
    if not near:
        return []
    pressure = np.linalg.lstsq(np.array(normals).T, g, rcond=None)[0]
    found: dict[int, tuple[Limits, list[int], list[Any]]] = {}
    for (number, i, side, distance), multiplier in zip(near, pressure, strict=True):
        push = side * multiplier  # positive where the limit holds the minimum back
        if side and max(push, distance) <= _UNDECIDED * (1.0 + np.max(np.abs(g))):
            raise UnsupportedError(
                f"{name}: the minimum lies on a bound or constraint that doesn't hold it back; it has a kink there, "
                "and no derivative"
            )
        if side == 0 or push > distance:
            limit = limits[number]
            _, rows, at = found.setdefault(number, (limit, [], []))
            rows.append(i)
            at.append(_entry(limit.upper if side < 0 else limit.lower, i))
    return list(found.values())


def _entry(limit: Any, i: int) -> Any:
    if type(limit) is not list:
        limit = np.ravel(limit)
    return limit[i if len(limit) > 1 else 0]


_NEAR, _UNDECIDED = 1e-3, 1e-7


def minimize_scalar(
    fun: Function,
    bracket: Any = None,
    bounds: Any = None,
    args: Any = (),
    method: Any = None,
    tol: Any = None,
    options: Any = None,
) -> Any:
    """As :func:`scipy.optimize.minimize_scalar`, and differentiable: see ``minimize``."""
    args = as_tuple(args)
    watched = Watched("minimize_scalar", args, bounds)
    result = theirs.minimize_scalar(
        watched(fun),
        bracket=watched.held(bracket),
        bounds=watched.held(bounds),
        args=watched.held(args),
        method=method,
        tol=tol,
        options=options,
    )
    if not watched.traced:
        return result
    limits = [] if bounds is None else [Limits(lambda x: x, [bounds[0]], [bounds[1]])]
    x = minimum(
        lambda x: scalar(fun(x[0], *args)),
        np.reshape(result.x, (1,)),
        limits,
        "minimize_scalar",
        converged=bool(result.success),
    )[0]
    return traced_result(result, x=x, fun=fun(x, *args))

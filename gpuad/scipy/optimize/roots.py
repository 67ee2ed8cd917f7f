"""Roots and fixed points: Jacobians by gpuad, and solutions that are differentiable themselves."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
from scipy import optimize as theirs

from ...core.box import spec_of
from ...implicit import elementwise, follow, jacobian, slope
from .plainly import Function, Unknowns, Watched, as_tuple, traced_result, vector


# -- of systems -----------------------------------------------------------------------------------------
def root(
    fun: Function,
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """As :func:`scipy.optimize.root`, with Jacobians by gpuad, and differentiable.

    The methods ``"hybr"`` and ``"lm"`` get the Jacobian unless one is given. ``x0`` may be a container of arrays,
    ``fun`` then returns one whose arrays have as many entries. Where ``args`` are traced, or anything else that
    ``fun`` reads, ``result.x`` is traced, with derivatives of any order by the implicit function theorem.

    >>> import numpy as np, gpuad
    >>> gpuad.grad(lambda a: root(lambda x: x ** 2 - a, [1.0]).x[0])(4.0).round(12)
    np.float64(0.25)
    """
    args = as_tuple(args)
    watched = Watched("root", args)
    unknowns = Unknowns(x0, watched)

    def values(x: Any, *args: Any) -> Any:
        result = fun(unknowns.restore(x), *args)
        return vector(unknowns.vector(result[0] if jac is True else result))

    given, derivative = values, watched(jac) if callable(jac) else jac
    if jac is None and method in ("hybr", "lm"):
        derivative = watched(lambda x, *args: jacobian(lambda x: values(x, *args), x))
    elif jac is True:
        given = fun
    result = theirs.root(
        watched(given),
        unknowns.start,
        args=watched.held(args),
        method=method,
        jac=derivative,
        tol=tol,
        callback=callback,
        options=options,
    )
    if watched.traced:
        start = np.asarray(result.x)
        x = follow(
            lambda x: values(x.reshape(start.shape), *args), start.reshape(-1), "root", converged=bool(result.success)
        )
        # The residual is what it is, wherever the root moves.
        result = traced_result(result, x=x.reshape(start.shape), fun=result.fun)
    if unknowns.tree is not None:
        result.x = unknowns.restore(result.x)
    return result


def fsolve(
    func: Function,
    x0: Any,
    args: Any = (),
    fprime: Any = None,
    full_output: Any = False,
    col_deriv: Any = False,
    **options: Any,
) -> Any:
    """As :func:`scipy.optimize.fsolve`, with the Jacobian by gpuad, and differentiable: see ``root``."""
    args = as_tuple(args)
    watched = Watched("fsolve", args)
    if fprime is None:
        fprime, col_deriv = lambda x, *args: jacobian(lambda x: vector(func(x, *args)), x), False
    x, info, status, message = theirs.fsolve(
        watched(func),
        watched.held(x0),
        args=watched.held(args),
        fprime=watched(fprime),
        full_output=True,
        col_deriv=col_deriv,
        **options,
    )
    if watched.traced:
        x = follow(lambda x: vector(func(x, *args)), x, "fsolve", converged=status == 1)
        info = {"nfev": info["nfev"], "njev": info.get("njev"), "fvec": info["fvec"]}
    elif not full_output and status != 1:  # it says nothing itself when asked for its full output
        import warnings

        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return (x, info, status, message) if full_output else x


def fixed_point(
    func: Function, x0: Any, args: Any = (), xtol: float = 1e-8, maxiter: int = 500, method: str = "del2"
) -> Any:
    """As :func:`scipy.optimize.fixed_point`, and differentiable: see ``root``."""
    args = as_tuple(args)
    watched = Watched("fixed_point", args)
    x = theirs.fixed_point(
        watched(func), watched.held(x0), args=watched.held(args), xtol=xtol, maxiter=maxiter, method=method
    )
    if not watched.traced:
        return x
    x = np.asarray(x)
    return follow(
        lambda v: v - vector(func(v.reshape(x.shape), *args)), x.reshape(-1), "fixed_point", converged=True
    ).reshape(x.shape)


# -- of one unknown, or of many that are independent ------------------------------------------------------
def root_scalar(
    f: Function,
    args: Any = (),
    method: Any = None,
    bracket: Any = None,
    fprime: Any = None,
    fprime2: Any = None,
    x0: Any = None,
    x1: Any = None,
    xtol: Any = None,
    rtol: Any = None,
    maxiter: Any = None,
    options: Any = None,
) -> Any:
    """As :func:`scipy.optimize.root_scalar`, with derivatives by gpuad where Newton's or Halley's method needs them.

    Differentiable: see ``root``.
    """
    args = as_tuple(args)
    watched = Watched("root_scalar", args)
    together = fprime is True  # SciPy: the function returns its derivatives, too
    value = (lambda *a: f(*a)[0]) if together else f
    wanted = method in ("newton", "halley") or (method is None and bracket is None and x1 is None)
    if wanted and fprime is None:
        fprime = _slope_of(value)
    if method == "halley" and fprime2 is None and not together:
        fprime2 = _slope_of(fprime)
    result = theirs.root_scalar(
        watched(f),
        args=watched.held(args),
        method=method,
        bracket=watched.held(bracket),
        fprime=watched(fprime) if callable(fprime) else fprime,
        fprime2=watched(fprime2) if callable(fprime2) else fprime2,
        x0=watched.held(x0),
        x1=watched.held(x1),
        xtol=xtol,
        rtol=rtol,
        maxiter=maxiter,
        options=options,
    )
    return _moving(value, args, result, watched) if watched.traced else result


def _slope_of(f: Function) -> Function:
    return lambda x, *args: slope(lambda x: f(x, *args), x if spec_of(x).differentiable else np.asarray(x, float))


def _moving(f: Function, args: tuple[Any, ...], result: Any, watched: Watched) -> Any:
    """SciPy's ``RootResults`` with the root as a function of what is traced."""
    result = copy.copy(result)
    result.root = follow(
        lambda x: f(x, *args),
        np.asarray(result.root)[()],
        watched.name,
        converged=bool(np.all(result.converged)),
        inverse=elementwise,
    )
    return result


def newton(
    func: Function,
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Any = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """As :func:`scipy.optimize.newton`, with the derivative by gpuad unless ``x1`` asks for the secant method.

    Differentiable: see ``root``.
    """
    args = as_tuple(args)
    watched = Watched("newton", args)
    if fprime is None and x1 is None:
        fprime = _slope_of(func)
    found = theirs.newton(
        watched(func),
        watched.held(x0),
        fprime=fprime and watched(fprime),
        args=watched.held(args),
        tol=tol,
        maxiter=maxiter,
        fprime2=fprime2 and watched(fprime2),
        x1=watched.held(x1),
        rtol=rtol,
        full_output=full_output,
        disp=disp,
    )
    if not watched.traced:
        return found
    x = np.asarray(found[0] if full_output else found)[()]
    moving = follow(lambda x: func(x, *args), x, "newton", converged=True, inverse=elementwise)
    if not full_output:
        return moving
    if np.ndim(x):
        return found._replace(root=moving)
    report = copy.copy(found[1])
    report.root = moving
    return moving, report


def _bracketing(name: str) -> Function:
    theirs_ = getattr(theirs, name)

    @functools.wraps(theirs_)
    def function(f: Function, a: Any, b: Any, args: Any = (), *rest: Any, **options: Any) -> Any:
        args = as_tuple(args)
        watched = Watched(name, args)
        held = watched.held
        found = theirs_(watched(f), held(a), held(b), held(args), *rest, **options)
        if not watched.traced:
            return found
        x = found[0] if isinstance(found, tuple) else found
        moving = follow(lambda x: f(x, *args), np.float64(x), name, converged=True, inverse=elementwise)
        if not isinstance(found, tuple):
            return moving
        report = copy.copy(found[1])
        report.root = moving
        return moving, report

    function.__doc__ = f"As :func:`scipy.optimize.{name}`, and differentiable: see ``root``."
    return function


bisect, brenth, brentq, ridder, toms748 = map(_bracketing, ("bisect", "brenth", "brentq", "ridder", "toms748"))

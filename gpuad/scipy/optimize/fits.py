"""``least_squares`` and ``curve_fit``: Jacobians by gpuad, and fits that are differentiable themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize as theirs

from ...errors import UnsupportedError
from ...implicit import jacobian
from ...numpy.frontend import functions, is_traced
from ...ops.elementwise import where
from ...transforms.gradients import grad
from .minima import Limits, lower_and_upper, minimum
from .plainly import Function, Unknowns, Watched, as_tuple, traced_result, vector


def _huber(z: Any) -> Any:
    return where(z <= 1.0, z, 2.0 * np.sqrt(np.maximum(z, 1.0)) - 1.0)


#: ρ(z) of the squared residuals z, by SciPy's names.
_LOSSES: dict[str, Function] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2.0 * (np.sqrt(1.0 + z) - 1.0),
    "huber": _huber,
    "cauchy": np.log1p,
    "arctan": np.arctan,
}


def least_squares(
    fun: Function,
    x0: Any,
    jac: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: Any = 1e-8,
    xtol: Any = 1e-8,
    gtol: Any = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: Any = 1.0,
    diff_step: Any = None,
    tr_solver: Any = None,
    tr_options: Any = None,
    jac_sparsity: Any = None,
    max_nfev: Any = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Any = None,
    **more: Any,
) -> Any:
    """As :func:`scipy.optimize.least_squares`, with the Jacobian by gpuad unless ``jac`` is given; differentiable.

    Where ``args``, ``kwargs`` or ``bounds`` are traced, or anything else that ``fun`` reads, the entries ``x``,
    ``fun``, ``cost``, ``grad`` and, for the linear ``loss``, ``jac`` of the result are: see ``minimize``.
    """
    args, kwargs = as_tuple(args), kwargs or {}
    bounds = bounds if isinstance(bounds, theirs.Bounds) else tuple(bounds)
    watched = Watched("least_squares", args, kwargs, bounds, f_scale)
    unknowns = Unknowns(x0, watched)

    def residuals(x: Any, *args: Any, **kwargs: Any) -> Any:
        return vector(fun(unknowns.restore(x), *args, **kwargs))

    if jac is None:
        jac = lambda x, *args, **kwargs: jacobian(lambda x: residuals(x, *args, **kwargs), x)  # noqa: E731
    held = watched.held
    result = theirs.least_squares(
        watched(residuals),
        unknowns.start,
        jac=watched(jac) if callable(jac) else jac,
        bounds=held(bounds),
        method=method,
        ftol=ftol,
        xtol=xtol,
        gtol=gtol,
        loss=watched(loss) if callable(loss) else loss,
        f_scale=held(f_scale),
        diff_step=diff_step,
        tr_solver=tr_solver,
        tr_options=tr_options,
        jac_sparsity=jac_sparsity,
        max_nfev=max_nfev,
        verbose=verbose,
        args=held(args),
        kwargs=held(kwargs),
        **more | ({} if x_scale is None else {"x_scale": x_scale}),  # whose default differs between versions
    )
    if watched.traced:
        rho: Function = (lambda z: loss(z)[0]) if callable(loss) else _LOSSES[loss]

        def here(x: Any) -> Any:
            return residuals(x, *args, **kwargs)

        def cost(x: Any) -> Any:
            return 0.5 * f_scale**2 * rho((here(x) / f_scale) ** 2).sum()

        limits = Limits(lambda x: x, *_box(bounds, len(result.x)))
        x = minimum(cost, result.x, [limits], "least_squares", converged=bool(result.success))
        more = {"jac": jacobian(here, x)} if loss == "linear" else {}  # with another it is SciPy's way to the Hessian
        result = traced_result(result, x=x, fun=here(x), cost=cost(x), grad=grad(cost)(x), **more)
    if unknowns.tree is not None:
        result.x = unknowns.restore(result.x)
    return result


def _box(bounds: Any, n: int) -> tuple[list[Any], list[Any]]:
    if isinstance(bounds, theirs.Bounds):
        return lower_and_upper(bounds, n)
    lower, upper = (list(np.broadcast_to(vector(b), (n,))) for b in bounds)
    return lower, upper


def curve_fit(
    f: Function,
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: Any = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    nan_policy: Any = None,
    **kwargs: Any,
) -> Any:
    """As :func:`scipy.optimize.curve_fit`, with the Jacobian by gpuad unless ``jac`` is given; differentiable.

    Where ``xdata``, ``ydata``, ``sigma`` or ``bounds`` are traced, or anything else that ``f`` reads, the
    parameters and their covariance are: see ``minimize``.
    """
    bounds = bounds if isinstance(bounds, theirs.Bounds) else tuple(bounds)
    watched = Watched("curve_fit", xdata, ydata, sigma, bounds)
    if jac is None:
        jac = lambda xdata, *p: jacobian(lambda p: vector(f(xdata, *p)), np.array(p))  # noqa: E731
    held = watched.held
    found = theirs.curve_fit(
        watched(f),
        held(xdata),
        held(ydata),
        p0=held(p0),
        sigma=held(sigma),
        absolute_sigma=absolute_sigma,
        check_finite=check_finite,
        bounds=held(bounds),
        method=method,
        jac=watched(jac) if callable(jac) else jac,
        full_output=full_output,
        nan_policy=nan_policy,
        **kwargs,
    )
    if not watched.traced:
        return found
    if nan_policy == "omit":
        raise UnsupportedError("curve_fit: nan_policy='omit' with traced data; leave the entries out before")
    xdata, ydata, sigma = map(_as_scipy_does, (xdata, ydata, sigma))
    p, covariance = _traced_fit(f, xdata, ydata, sigma, absolute_sigma, bounds, *found[:2])
    return (p, covariance, {"nfev": found[2]["nfev"]}, *found[3:]) if full_output else (p, covariance)


def _as_scipy_does(data: Any) -> Any:
    """Lists and integers as arrays of floating-point numbers."""
    if isinstance(data, (list, tuple)):
        data = functions["asarray"](data) if is_traced([data]) else np.asarray(data)
    return data.astype(float) if isinstance(data, np.ndarray) and data.dtype.kind in "iu" else data


def _traced_fit(
    f: Function, xdata: Any, ydata: Any, sigma: Any, absolute_sigma: bool, bounds: Any, p0: Any, covariance: Any
) -> tuple[Any, Any]:
    """The parameters and their covariance as functions of what is traced."""

    def weighted(r: Any) -> Any:
        """The inverse of the covariance of the data, times residuals or columns of them."""
        if sigma is None:
            return r
        if len(np.shape(sigma)) == 2:
            return functions["linalg.solve"](sigma, r)
        return (r.T / np.square(sigma)).T

    def residuals(p: Any) -> Any:
        return vector(f(xdata, *p)) - vector(ydata)

    def cost(p: Any) -> Any:
        r = residuals(p)
        return 0.5 * (r * weighted(r)).sum()

    limits = Limits(lambda p: p, *_box(bounds, len(p0)))
    p = minimum(cost, p0, [limits], "curve_fit", converged=True)
    freedom = np.size(ydata) - len(p0)
    if not (absolute_sigma or freedom > 0):
        return p, covariance  # which is infinite
    slopes = jacobian(residuals, p)
    covariance = functions["linalg.inv"](slopes.T @ weighted(slopes))
    if not absolute_sigma:
        covariance = covariance * (2.0 * cost(p) / freedom)
    return p, covariance

"""Initial value problems: SciPy's ``odeint`` and ``solve_ivp``, and the two ways to differentiate them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ...backend import numpy_backend
from ...core.box import Box, innermost, spec_of
from ...core.pytree import leaves, tree_map
from ...errors import UnsupportedError
from ...numpy.creation import as_array, as_arrays, convert, home
from ...numpy.frontend import functions, is_traced
from . import adjoint
from .plainly import ReadsTraced, opened, plainly
from .runge_kutta import TABLEAUS, Control, Rhs, Step, solution_at, solution_at_traced, steps, stretched


def odeint(
    func: Callable[..., Any], y0: Any, t: Any, args: Any = (), Dfun: Any = None, col_deriv: Any = 0,
    full_output: Any = 0, ml: Any = None, mu: Any = None, rtol: Any = None, atol: Any = None, tcrit: Any = None,
    h0: float = 0.0, hmax: float = 0.0, hmin: float = 0.0, ixpr: Any = 0, mxstep: int = 0, mxhnil: Any = 0,
    mxordn: int = 12, mxords: int = 5, printmessg: Any = 0, tfirst: bool = False, *, gradient: str = "direct",
) -> Any:  # fmt: skip
    """As :func:`scipy.integrate.odeint`; differentiable by ``y0``, ``t``, ``args``, and what ``func`` reads.

    ``gradient="direct"`` solves by Dormand and Prince's Runge-Kutta method, on any backend, and
    differentiates its steps. ``"adjoint"`` solves by SciPy's LSODA, which is made for stiff equations
    too, and differentiates by the adjoint equation; ``func`` may then read traced arrays only from its
    arguments. The tolerances are those of the solution, and of the adjoint one.
    """
    y0, t, args = opened((y0, t, args if isinstance(args, tuple) else (args,)))
    options = {"rtol": rtol, "atol": atol, "tcrit": tcrit, "h0": h0, "hmax": hmax, "hmin": hmin, "mxstep": mxstep}
    orders = {"mxhnil": mxhnil, "mxordn": mxordn, "mxords": mxords, "ixpr": ixpr}
    if not _any_traced(y0, t, args) and home(y0) is numpy_backend:
        import scipy.integrate as theirs

        try:
            return theirs.odeint(
                plainly(func), y0, t, args, Dfun, col_deriv, full_output, ml, mu,
                printmessg=printmessg, tfirst=tfirst, **options, **orders,
            )  # fmt: skip
        except ReadsTraced:
            pass
    if full_output:
        raise UnsupportedError("odeint: there is no full_output of a traced solution")
    _check_choice(gradient)
    y0, t = as_array(y0), as_array(t)  # plain times may be on the host, where they steer
    y0 = _state(functions["ravel"](y0) if len(spec_of(y0).shape) == 0 else y0)

    def by_time(t: Any, y: Any, *args: Any) -> Any:
        return _slope(func(t, y, *args) if tfirst else func(y, t, *args), y)

    default = 1.49012e-8  # that of LSODA
    control = Control(
        default if rtol is None else rtol, default if atol is None else atol, h0 or None, hmax or math.inf, hmin,
        (mxstep or 10_000) * spec_of(t).shape[0],
    )  # fmt: skip
    if gradient == "adjoint":

        def lsoda(f: Rhs, y0: Any, times: Sequence[float], t_eval: Any) -> Any:
            import scipy.integrate as theirs

            least = {"rtol": _least(control.rtol), "atol": _least(control.atol)}  # the adjoint state is longer
            lengths = {"first_step": h0 or None, "max_step": hmax or math.inf, "min_step": hmin}
            return _solved(theirs.solve_ivp(f, (times[0], times[-1]), y0, "LSODA", t_eval, **least, **lengths))

        def solver(f: Rhs, y0: Any, times: Sequence[float]) -> Any:
            if home(y0) is not numpy_backend:
                return functions["stack"](solution_at(f, y0, times, TABLEAUS["RK45"], control))
            return lsoda(f, y0, times, times).y.T

        def places(f: Rhs, y0: Any, times: Sequence[float]) -> Any:
            if home(y0) is not numpy_backend:
                return [step.t for step, _ in steps(f, times[0], y0, times[-1], TABLEAUS["RK45"], control)]
            return lsoda(f, y0, times, None).t

        t = _state(_beside(y0, t))
        return adjoint.solution(lambda y, t, *args: by_time(t, y, *args), y0, t, args, solver, places)
    return functions["stack"](_at_times(lambda t, y: by_time(t, y, *args), y0, t, TABLEAUS["RK45"], control))


class OdeResult(dict[str, Any]):
    """What ``solve_ivp`` returns: entries that are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the result of solve_ivp has no {name!r}") from None


def solve_ivp(
    fun: Callable[..., Any], t_span: Any, y0: Any, method: Any = "RK45", t_eval: Any = None,
    dense_output: bool = False, events: Any = None, vectorized: bool = False, args: Any = None, *,
    gradient: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """As :func:`scipy.integrate.solve_ivp`; differentiable by times, ``y0``, ``args``, and what ``fun`` reads.

    ``gradient="direct"`` differentiates the steps of the solver, on any backend; it knows the methods
    RK45 and RK23, whose default it is. ``"adjoint"`` solves by SciPy's solver of any method, and
    differentiates by the adjoint equation; ``fun`` may then read traced arrays only from its arguments.

    Examples of :func:`gpuad.vmap` would each need steps of their own, which is refused: solve them as one ``y0``.
    """
    t_span, y0, t_eval, args = opened((t_span, y0, t_eval, () if args is None else tuple(args)))
    name = method if isinstance(method, str) else getattr(method, "__name__", "")
    untraced = not _any_traced(t_span, y0, t_eval, args)
    if untraced and home(y0) is numpy_backend:
        import scipy.integrate as theirs

        watched = [plainly(e) for e in (events if isinstance(events, (list, tuple)) else [events] if events else [])]
        try:
            return theirs.solve_ivp(
                plainly(fun), t_span, y0, method, t_eval, dense_output, watched or None, vectorized, args or None,
                **options,
            )  # fmt: skip
        except ReadsTraced:
            pass
    if events is not None:
        raise UnsupportedError(
            "solve_ivp: events of a traced solution aren't differentiated. Find the time of the event with plain "
            "arrays, and take y(t) at it; or leave events= away"
        )
    gradient = gradient or ("direct" if name in TABLEAUS else "adjoint")
    _check_choice(gradient)
    y0, ends = _state(as_array(y0)), as_arrays(t_span)
    t = None if t_eval is None else as_array(t_eval)
    if t is not None and _outside(ends, t):
        raise ValueError("Values in `t_eval` are not within `t_span`, or not properly sorted.")
    if gradient == "adjoint":
        if dense_output:
            raise UnsupportedError("solve_ivp: dense_output needs gradient='direct'; or give t_eval=")
        return _by_adjoint(fun, ends, y0, method, t, args, options)
    if name not in TABLEAUS:
        raise UnsupportedError(
            f"solve_ivp: the steps of method {name!r} can't be differentiated. Say gradient='adjoint', or take one out "
            f"of {', '.join(TABLEAUS)}"
        )
    control = Control(
        options.get("rtol", 1e-3), options.get("atol", 1e-6), options.get("first_step"),
        options.get("max_step", math.inf),
    )  # fmt: skip
    return _by_steps(lambda t, y: _slope(fun(t, y, *args), y), ends, y0, name, t, dense_output, control)


def _outside(ends: list[Any], t: Any) -> bool:
    """Whether times aren't strictly on the way from one end to the other."""
    first, last = (float(innermost(x)) for x in ends)
    times = _numbers(t) if first <= last else [-time for time in _numbers(t)]
    first, last = (first, last) if first <= last else (-first, -last)
    return any(map(operator.ge, times, times[1:])) or any(not first <= time <= last for time in times)


def _by_steps(f: Rhs, ends: list[Any], y0: Any, name: str, t: Any, dense_output: bool, control: Control) -> OdeResult:
    tableau = TABLEAUS[name]
    moving = _any_traced(ends, t)
    if dense_output and moving:
        raise UnsupportedError("solve_ivp: dense_output with traced times isn't supported; give the times as t_eval=")
    if t is not None and not dense_output:
        t_all = functions["concatenate"]([_beside(t, functions["ravel"](ends[0])), t])
        found = _at_times(f, y0, t_all, tableau, control)[1:]
        return _result(t, found)
    start, end = ends if moving else [float(x) for x in ends]
    if moving:
        span = abs(float(innermost(end)) - float(innermost(start)))
        first = control.first_step
        control = control._replace(first_step=first and first / span, max_step=control.max_step / span)
        taken = [step for step, _ in steps(stretched(f, start, end), 0.0, y0, 1.0, tableau, control)]
        times = functions["stack"]([start + s * (end - start) for s in (0.0, *[step.t for step in taken])])
    else:
        taken = [step for step, _ in steps(f, start, y0, end, tableau, control)]
        times = home(y0).asarray([start, *[step.t for step in taken]])
    sol = Solution(start, y0, taken) if dense_output else None
    if t is not None and sol is not None:
        return _result(t, [sol(v) for v in _numbers(t)], sol)
    return _result(times, [y0, *[step.y for step in taken]], sol)


def _result(t: Any, ys: list[Any], sol: Any = None) -> OdeResult:
    y = functions["stack"](ys, axis=-1)
    message = "The solver successfully reached the end of the integration interval."
    return OdeResult(
        t=t, y=y, sol=sol, t_events=None, y_events=None, status=0, message=message, success=True
    )  # fmt: skip


class Solution:
    """The solution as a function of time, interpolated between steps."""

    def __init__(self, start: float, y0: Any, taken: list[Step]) -> None:
        self.start, self.y0, self.taken = start, y0, taken

    def __call__(self, t: Any) -> Any:
        if is_traced([t]):
            raise UnsupportedError(
                "the interpolated solution of an ODE isn't differentiated by time; give the times as t_eval="
            )
        t = as_array(t)
        if spec_of(t).shape:
            return functions["stack"]([self(v) for v in _numbers(t)], axis=-1)
        t = float(t)
        for step in self.taken:
            if (t <= step.t) if step.t > step.t_old else (t >= step.t):
                return step.at(t)
        return self.taken[-1].at(t) if self.taken else self.y0


def _by_adjoint(
    fun: Callable[..., Any],
    ends: list[Any],
    y0: Any,
    method: Any,
    t: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> OdeResult:
    import scipy.integrate as theirs

    if home(y0) is not numpy_backend:
        raise UnsupportedError(f"solve_ivp: there is no {method} on the {home(y0).name} backend; RK45 and RK23 are")

    def solve(f: Rhs, y0: Any, times: Sequence[float], t_eval: Any, **options: Any) -> Any:
        return _solved(theirs.solve_ivp(f, (times[0], times[-1]), y0, method, t_eval, **options))

    # What is told of the equation or its state isn't true of the adjoint one, that is longer.
    general = {k: _least(v) for k, v in options.items() if k not in ("jac", "jac_sparsity", "lband", "uband")}

    def slope(y: Any, t: Any, *args: Any) -> Any:
        return _slope(fun(t, y, *args), y)

    def solver(f: Rhs, y0: Any, times: Sequence[float]) -> Any:
        return solve(f, y0, times, times, **general).y.T

    def places(f: Rhs, y0: Any, times: Sequence[float]) -> Any:
        return solve(f, y0, times, None, **general).t

    if t is not None:
        t_all = functions["concatenate"]([functions["ravel"](ends[0]), t])
        return _result(t, list(adjoint.solution(slope, y0, _state(t_all), args, solver, places))[1:])
    first, last = (float(innermost(x)) for x in ends)
    raw = tree_map(innermost, args)
    t = places(lambda t, y: innermost(slope(y, t, *raw)), innermost(y0), (first, last))
    if _any_traced(ends):
        t = ends[0] + (t - first) / (last - first) * (ends[1] - ends[0])
    return _result(t, list(adjoint.solution(slope, y0, _state(t), args, solver)))


def _solved(found: Any) -> Any:
    if not found.success:
        raise RuntimeError(f"the solution of an ODE, or of its adjoint, failed: {found.message}")
    return found


# -- what both need -----------------------------------------------------------------------------------
def _any_traced(*things: Any) -> bool:
    return any(type(leaf) is Box for _, leaf in leaves(things))


def _check_choice(gradient: str) -> None:
    if gradient not in ("direct", "adjoint"):
        raise ValueError(f"gradient must be 'direct' or 'adjoint', got {gradient!r}")


def _state(y: Any) -> Any:
    """A vector in double precision, in which SciPy computes too."""
    spec = spec_of(y)
    if spec.ndim != 1:
        raise ValueError(f"expected a vector (an array of one axis), got shape {spec.shape}")
    return convert(y, "complex128" if spec.dtype.kind == "c" else "float64")


def _slope(slope: Any, y: Any) -> Any:
    """What a right-hand side returned, as a vector like ``y``."""
    want, slope = spec_of(y), as_array(opened(slope), home(y))
    have = spec_of(slope)
    if have.dtype != want.dtype:
        slope = convert(slope, want.dtype)
    if have.shape == want.shape:
        return slope
    if have.size == want.size:
        return functions["reshape"](slope, want.shape)
    return functions["broadcast_to"](slope, want.shape)


def _beside(y: Any, t: Any) -> Any:
    return t if home(t) is home(y) else home(y).asarray(t)


def _numbers(t: Any) -> list[float]:
    return home(t).to_numpy(innermost(t)).tolist()  # type: ignore[no-any-return]


def _at_times(f: Rhs, y0: Any, t: Any, tableau: Any, control: Control) -> list[Any]:
    if _any_traced(t):
        return solution_at_traced(f, y0, [t[i] for i in range(spec_of(t).shape[0])], tableau, control)
    return solution_at(f, y0, _numbers(t), tableau, control)


def _least(option: Any) -> Any:
    return min(option) if isinstance(option, (list, tuple)) or getattr(option, "ndim", 0) > 0 else option

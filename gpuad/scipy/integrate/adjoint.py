"""The gradient of an ODE's solution by the adjoint equation, which is solved backwards in time.

L. S. Pontryagin and others, 1962; in this form R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural
Ordinary Differential Equations, NeurIPS 2018 (arXiv:1806.07366), appendix C. Any solver will do. The state is
integrated backwards too, which in a damped system soon loses what was forgotten: so it is taken from the forward
solution anew at each of the solver's steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...backend import backend_of
from ...core.box import Box, Spec, innermost, spec_of
from ...core.pytree import leaves, tree_map
from ...errors import UnsupportedError
from ...numpy.creation import convert
from ...numpy.frontend import functions, is_traced
from ...ops.declare import operation
from ...transforms.gradients import vjp
from .plainly import opened

#: (f(t, y), y0, times) -> the solution at the times, one row each
Solver = Callable[[Callable[[Any, Any], Any], Any, Sequence[float]], Any]
#: (f(t, y), y0, times) -> the times of the steps that the solver takes from the first to the last
Steps = Callable[[Callable[[Any, Any], Any], Any, Sequence[float]], Iterable[float]]


class Problem:
    """y' = func(y, t, *args), and where in one vector the state, the times and the traced leaves of args are."""

    specs: tuple[Spec, ...]

    def __init__(self, func: Callable[..., Any], args: Any, solver: Solver) -> None:
        self.func, self.args, self.solver = func, args, solver

    def parts(self, flat: Any) -> list[Any]:
        """The arrays that ``flat`` was made of."""
        found, at = [], 0
        for spec in self.specs:
            found.append(functions["reshape"](flat[at : at + spec.size], spec.shape))
            at += spec.size
        return found

    def slope(self, y: Any, t: Any, *traced: Any) -> Any:
        rest = iter(traced)
        return self.func(y, t, *tree_map(lambda leaf: next(rest) if type(leaf) is Box else leaf, self.args))

    def right_hand_side(self, traced: Sequence[Any]) -> Callable[[Any, Any], Any]:
        """f(t, y), for raw arrays in the place of the traced ones."""

        def f(t: Any, y: Any) -> Any:
            slope = opened(self.slope(y, t, *traced))
            if is_traced([slope]):
                raise UnsupportedError(
                    "the right-hand side of an ODE reads a traced array that isn't among its arguments, and the "
                    "adjoint method would lose its derivative. Pass it in args=, or say gradient='direct' (of "
                    "solve_ivp with method='RK45')"
                )
            return slope

        return f

    def solve(self, flat: Any) -> Any:
        """The solution for raw arrays."""
        y0, t, *traced = self.parts(flat)
        times = _numbers(t)
        distinct = list(dict.fromkeys(times))
        found = self.solver(self.right_hand_side(traced), y0, distinct) if len(distinct) > 1 else y0[None]
        return found[[distinct.index(time) for time in times]] if len(distinct) < len(times) else found


def _numbers(t: Any) -> list[float]:
    t = innermost(t)
    return backend_of((t,)).to_numpy(t).tolist()  # type: ignore[no-any-return]


def solution(func: Callable[..., Any], y0: Any, t: Any, args: Any, solver: Solver, steps: Steps | None = None) -> Any:
    """The solution of y' = func(y, t, *args) at times ``t``, one row each; ``y0`` and ``t`` are vectors."""
    together = [y0, t, *[leaf for _, leaf in leaves(args) if type(leaf) is Box]]
    if any(spec_of(x).dtype.kind == "c" for x in together):
        raise UnsupportedError("the adjoint method knows real ODEs only; say gradient='direct'")
    # In double precision as the state: single precision would make the adjoint equation rough.
    y0, t, *traced = [convert(x, "float64") for x in together]
    problem, rows = Problem(func, args, solver), None
    if steps is not None:
        raw = [innermost(x) for x in traced]
        t, rows = _with_steps(t, steps(problem.right_hand_side(raw), innermost(y0), _numbers(t)))
    together = [y0, t, *traced]
    problem.specs = tuple([spec_of(x) for x in together])
    found = adjoint_ode(functions["concatenate"]([functions["ravel"](x) for x in together]), problem=problem)
    return found if rows is None else found[rows]


def _with_steps(t: Any, steps: Iterable[float]) -> tuple[Any, list[int]]:
    """The times ``t`` and those of the steps between them, in order, and where the former are among them."""
    times = _numbers(t)
    between = sorted(set(steps).difference(times))
    together = np.array([*times, *between])
    order = np.argsort(together if times[0] <= times[-1] else -together, kind="stable")
    merged = functions["concatenate"]([t, backend_of((innermost(t),)).asarray(np.array(between, float))])
    return merged[order.tolist()], np.argsort(order)[: len(times)].tolist()


def _vjp(g: Any, ans: Any, flat: Any, *, problem: Problem) -> Any:
    _, t, *traced = problem.parts(flat)
    n, count = spec_of(ans).shape[1], spec_of(ans).shape[0]
    ravel, concatenate = functions["ravel"], functions["concatenate"]
    times = _numbers(t)

    def slopes(z: Any, t: Any, *traced: Any) -> Any:
        """Of the state, its cotangent, and the cotangents of the time and the arguments."""
        y, a = z[:n], z[n : 2 * n]
        dy, pull = vjp(problem.slope, y, (y[:1] * 0.0).sum() + t, *traced)
        return concatenate([dy, *map(ravel, pull(-a))])

    t_bars = [None] * count
    a, rest = g[-1], flat[n + count - 1 :] * 0.0  # the cotangents of the first time and of the arguments
    for i in range(count - 1, 0, -1):
        t_bars[i] = (problem.slope(ans[i], t[i], *traced) * g[i]).sum()
        rest = concatenate([rest[:1] - t_bars[i], rest[1:]])
        if times[i] != times[i - 1]:
            z = concatenate([ans[i], a, rest])
            z = solution(slopes, z, t[i - 1 : i + 1][::-1], tuple(traced), problem.solver)[-1]
            a, rest = z[n : 2 * n], z[2 * n :]
        a = a + g[i - 1]
    return concatenate([a, rest[:1], *[ravel(b) for b in t_bars[1:]], rest[1:]])


adjoint_ode = operation("adjoint_ode", lambda xp, flat, *, problem: problem.solve(flat), _vjp)

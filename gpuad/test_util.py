"""Checking gradients: of your own primitives, or of a program.

The reference is the central difference of fourth order, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h
(Fornberg, Mathematics of Computation 51, 1988), along random directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import numpy_backend, owner_of_type
from .core.box import spec_of
from .core.pytree import leaves, tree_map
from .transforms.forward import jvp
from .transforms.gradients import vjp

_FROM_AUTOGRAD = frozenset(
    "EPS RTOL TOL check_equivalent check_jvp check_vjp combo_check make_numerical_jvp scalar_close".split()
)


def __getattr__(name: str) -> Any:
    if name in _FROM_AUTOGRAD:
        from .autograd_names import checks

        return getattr(checks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_grads(
    f: Callable[..., Any],
    args: Any = 0,
    order: Any = 2,
    *more: Any,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    seed: int = 0,
    argnum: Any = None,
) -> Any:
    """Compare the derivatives of ``f`` at ``args``, up to ``order``, with central differences.

    ``args`` are arrays (numbers, containers of arrays), all of which are differentiated; ``f`` returns
    an array or a container of arrays. For each order, one random direction ``v`` and one random
    cotangent ``u`` are drawn: by reverse mode ⟨vjp(u), v⟩ must be ⟨u, ∂f·v⟩, and by forward mode
    ⟨u, jvp(v)⟩. Tolerances and the step default to what the dtype allows (float64: 1e-6 relative).
    Raises ``AssertionError`` with both numbers.

    Without ``args``, or with numbers of arguments in their place, it is autograd's function of this name:
    ``check_grads(f, argnum=0, modes=["fwd", "rev"], order=2)(*args)``, with autograd's tolerances.

    >>> import numpy as np
    >>> check_grads(np.tanh, [np.array([0.1, 0.2])])
    >>> check_grads(np.tanh)(np.array([0.1, 0.2]))
    """
    argnum = args if argnum is None else argnum
    if isinstance(argnum, int) or (len(argnum) > 0 and all(type(i) is int for i in argnum)):
        from .autograd_names import checks

        if not isinstance(order, int):  # which comes after the modes there
            modes, order = order, (*more, 2)[0]
        return checks.check_grads(f, argnum, modes, order)
    if order < 1:
        raise ValueError(f"check_grads: order must be 1 or more, got {order}")
    if not modes or not {"fwd", "rev"}.issuperset(modes):
        raise ValueError(f'check_grads: modes are "fwd" and "rev", got {modes!r}')
    rng = np.random.default_rng(seed)
    args = tuple(args)
    value, pullback = vjp(f, *args)
    u = _random_like(value, rng)
    v = _random_like(args, rng)
    precision = max(float(np.finfo(np.asarray(_host(leaf)).dtype).eps) for _, leaf in leaves((args, value)))
    h = precision**0.25 if eps is None else eps
    f_at = [_inner(u, f(*_moved(args, v, s * h))) for s in (2, 1, -1, -2)]
    numeric = (8 * (f_at[1] - f_at[2]) - (f_at[0] - f_at[3])) / (12 * h)
    relative = max(4 * precision**0.375, 1e-12) if rtol is None else rtol
    absolute = relative * max(1.0, _size(u)) if atol is None else atol
    name = getattr(f, "__name__", repr(f))
    for mode in modes:
        if mode == "rev":
            exact, what = _inner(pullback(u), v), "reverse mode of {}: <vjp(u), v>"
        else:
            exact, what = _inner(u, jvp(f, args, v)[1]), "forward mode of {}: <u, jvp(v)>"
        if not abs(numeric - exact) <= absolute + relative * abs(numeric):
            raise AssertionError(
                f"check_grads: {what.format(name)} = {exact!r}, but central differences "
                f"give {numeric!r} (difference {abs(numeric - exact):.3g}, step {h:.3g})"
            )
    if order > 1:

        def gradient(*args: Any) -> Any:
            return vjp(f, *args)[1](u)

        gradient.__name__ = f"vjp of {name}"
        check_grads(gradient, args, order - 1, modes=modes, rtol=rtol, atol=atol, eps=eps, seed=seed + 1)
    return None


def _host(x: Any) -> Any:
    owner = owner_of_type(type(x))
    return x if owner is None else owner.to_numpy(x)


def _random_like(tree: Any, rng: np.random.Generator) -> Any:
    def draw(leaf: Any) -> Any:
        spec = spec_of(leaf)
        values = np.asarray(rng.uniform(0.5, 1.5, spec.shape) * rng.choice([-1, 1], spec.shape))
        if spec.dtype.kind == "c":
            values = values + 1j * rng.uniform(-1, 1, spec.shape)
        owner = owner_of_type(type(leaf)) or numpy_backend
        return owner.asarray(values.astype(spec.dtype))

    return tree_map(draw, tree)


def _moved(args: Any, v: Any, step: float) -> Any:
    directions = iter([leaf for _, leaf in leaves(v)])
    return tree_map(lambda leaf: leaf + step * next(directions), args)


def _inner(u: Any, w: Any) -> float:
    """Re Σ u·w, in float64: how a cotangent acts, by the convention for complex numbers."""
    total = 0.0
    for (_, a), (_, b) in zip(leaves(u), leaves(w), strict=True):
        a, b = (np.asarray(_host(x)) for x in (a, b))
        total += float(np.sum(a.astype(np.result_type(a, np.float64)) * b).real)
    return total


def _size(u: Any) -> float:
    return float(sum(np.sum(np.abs(np.asarray(_host(leaf)))) for _, leaf in leaves(u)))

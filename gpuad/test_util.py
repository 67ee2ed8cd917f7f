"""Checking gradients: of your own primitives, or of a program.

The reference is the central difference of fourth order, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h
(Fornberg, Mathematics of Computation 51, 1988), along random directions; or the complex step, Im f(x + ih) / h,
which is exact to rounding where f is analytic (Squire & Trapp, SIAM Review 40, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import numpy_backend, owner_of_type
from .core.box import spec_of
from .core.pytree import leaves, tree_map
from .numpy.frontend import functions
from .transforms.forward import jvp
from .transforms.gradients import vjp
from .transforms.vmap import vmap

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
    complex_step: bool = False,
    argnum: Any = None,
) -> Any:
    """Compare the derivatives of ``f`` at ``args``, up to ``order``, with central differences.

    ``args`` are arrays (numbers, containers of arrays), all of which are differentiated; ``f`` returns
    an array or a container of arrays. For each order, one random direction ``v`` and one random
    cotangent ``u`` are drawn: by reverse mode ⟨vjp(u), v⟩ must be ⟨u, ∂f·v⟩, and by forward mode
    ⟨u, jvp(v)⟩. With ``"batched"`` among the ``modes``, gradients under ``vmap`` must be those of the examples.
    With ``"sparse"`` the pattern that ``jacobian_sparsity`` detects must hold every entry of the dense Jacobian by
    differences, and the entries that ``jacobian(sparsity="detect")`` computes be those; if ``f`` returns a single
    number and ``order`` is 2 or more, the same of its Hessian. Real numbers alone, and not many: it takes four calls
    for each.
    Tolerances and the step default to what the dtype allows (float64: 1e-6 relative). Raises ``AssertionError``
    with both numbers, and with the entry that is most wrong, its index, and both values of it.

    ``complex_step=True`` compares with the complex step instead, which is right to rounding (float64: 1e-12
    relative). All must be real then, and ``f`` analytic: it is called with complex numbers, so no ``abs``, no
    ``real``, no comparisons.

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
    if not modes or not {"fwd", "rev", "batched", "sparse"}.issuperset(modes):
        raise ValueError(f'check_grads: modes are "fwd", "rev", "batched" and "sparse", got {modes!r}')
    rng = np.random.default_rng(seed)
    args = tuple(args)
    value, pullback = vjp(f, *args)
    u = _random_like(value, rng)
    v = _random_like(args, rng)
    precision = max(float(np.finfo(np.asarray(_host(leaf)).dtype).eps) for _, leaf in leaves((args, value)))
    step = precision**0.25 if eps is None else eps

    def reference_for(f: Callable[..., Any], args: Any) -> Differences | ComplexStep:
        return ComplexStep(f, args) if complex_step else Differences(f, args, step)

    reference = reference_for(f, args)
    relative = max(reference.tolerance(precision), 1e-12) if rtol is None else rtol
    absolute = relative * max(1.0, _size(u)) if atol is None else atol
    name = getattr(f, "__name__", repr(f))
    slopes = reference.along(v)
    numeric = _inner(u, slopes)
    for mode in modes:
        if mode == "batched":
            _check_batched(f, args, u, v, name)
            continue
        if mode == "sparse":
            _check_sparse(f, args, value, order, reference_for, relative, name)
            continue
        moved = pullback(u) if mode == "rev" else jvp(f, args, v)[1]
        exact = _inner(moved, v) if mode == "rev" else _inner(u, moved)
        if not abs(numeric - exact) <= absolute + relative * abs(numeric):
            what = "reverse mode of {}: <vjp(u), v>" if mode == "rev" else "forward mode of {}: <u, jvp(v)>"
            raise AssertionError(
                f"check_grads: {what.format(name)} = {exact!r}, but {reference.name} gives {numeric!r} (difference "
                f"{abs(numeric - exact):.3g}, step {reference.step:.3g}). "
                + (_worst_of_gradient(moved, u, args, reference) if mode == "rev" else _worst_of_tangent(moved, slopes))
            )
    if order > 1:

        def gradient(*args: Any) -> Any:
            return vjp(f, *args)[1](u)

        gradient.__name__ = f"vjp of {name}"
        more_of_it: dict[str, Any] = {
            "modes": modes,
            "rtol": rtol,
            "atol": atol,
            "eps": eps,
            "complex_step": complex_step,
        }
        check_grads(gradient, args, order - 1, seed=seed + 1, **more_of_it)
    return None


# -- references ---------------------------------------------------------------------------------------
class Differences:
    """Derivatives of ``f`` along a direction, by central differences."""

    name = "the central difference"

    def __init__(self, f: Callable[..., Any], args: Any, step: float) -> None:
        self.f, self.args, self.step = f, args, step

    def tolerance(self, precision: float) -> float:
        return 4.0 * precision**0.375  # type: ignore[no-any-return]

    def along(self, v: Any) -> Any:
        h = self.step
        at = [_wide(self.f(*_moved(self.args, v, s * h))) for s in (2, 1, -1, -2)]
        rest = [iter([leaf for _, leaf in leaves(y)]) for y in at[1:]]

        def slope(y: Any) -> Any:
            b, c, d = (next(r) for r in rest)
            return (8.0 * (b - c) - (y - d)) / (12.0 * h)

        return tree_map(slope, at[0])


class ComplexStep:
    """The same by a step along the imaginary axis, which nothing is cancelled in."""

    name = "the complex step"
    step = 1e-20

    def __init__(self, f: Callable[..., Any], args: Any) -> None:
        self.f, self.args = f, args
        if any(spec_of(leaf).dtype.kind == "c" for _, leaf in leaves((args, f(*args)))):
            raise ValueError("check_grads: complex_step=True is for functions from real numbers to real numbers")

    def tolerance(self, precision: float) -> float:
        return precision**0.75  # type: ignore[no-any-return]

    def along(self, v: Any) -> Any:
        return tree_map(lambda y: y.imag / self.step, _wide(self.f(*_moved(self.args, v, 1j * self.step))))


def _wide(tree: Any) -> Any:
    """The arrays on the host, with the precision that differences are taken in."""

    def wide(leaf: Any) -> Any:
        y = np.asarray(_host(leaf))
        return y.astype(np.result_type(y, np.float64))

    return tree_map(wide, tree)


# -- the worst entry ----------------------------------------------------------------------------------
#: Of more entries than this, the largest and some others are compared.
_COMPARED = 2000


def _worst_of_tangent(moved: Any, slopes: Any) -> str:
    """Where the tangent of the result is most wrong."""
    found = []
    for (path, a), (_, b) in zip(leaves(_wide(moved)), leaves(slopes), strict=True):
        found += [(a[i], b[i], path, i) for i in np.ndindex(a.shape)]
    return _said(found, lambda path, i: f"output{path}{_index(i)}")


def _worst_of_gradient(gradient: Any, u: Any, args: Any, reference: Any) -> str:
    """Where the gradient of <u, f> is most wrong; each entry is a derivative along a direction of its own."""
    flat = [leaf for _, leaf in leaves(_wide(gradient))]
    entries = [(k, i) for k, g in enumerate(flat) for i in np.ndindex(g.shape)]
    if len(entries) > _COMPARED:
        entries.sort(key=lambda entry: -abs(flat[entry[0]][entry[1]]))
        some = np.random.default_rng(0).choice(np.arange(_COMPARED // 2, len(entries)), _COMPARED // 2, replace=False)
        entries = entries[: _COMPARED // 2] + [entries[j] for j in some]
    paths = [path for path, _ in leaves(args)]
    found = []
    for k, i in entries:
        numeric: complex = _inner(u, reference.along(_unit(args, k, i, 1.0)))
        if flat[k].dtype.kind == "c":  # the gradient is df/dx - i df/dy
            numeric = numeric - 1j * _inner(u, reference.along(_unit(args, k, i, 1j)))
        found.append((flat[k][i], numeric, paths[k], i))
    return _said(found, lambda path, i: f"argument {path[1:].replace(']', '', 1)}{_index(i)}")


def _said(found: list[tuple[Any, Any, str, Any]], place: Callable[[str, Any], str]) -> str:
    if not found:
        return "There are no entries"
    exact, numeric, path, i = max(found, key=lambda e: np.nan_to_num(abs(e[0] - e[1]), nan=np.inf))
    return f"The worst entry is {place(path, i)}: {exact:.10g}, where the reference gives {numeric:.10g}"


def _index(i: tuple[int, ...]) -> str:
    return f" at {list(i)}" if i else ""


def _unit(args: Any, k: int, i: Any, one: complex) -> Any:
    """The direction of the entry ``i`` of the leaf number ``k``."""
    numbers = iter(range(k + 1))

    def part(leaf: Any) -> Any:
        spec = spec_of(leaf)
        e = np.zeros(spec.shape, spec.dtype)
        if next(numbers, None) == k:
            e[i] = one
        return (owner_of_type(type(leaf)) or numpy_backend).asarray(e)

    return tree_map(part, args)


def _check_batched(f: Callable[..., Any], args: Any, u: Any, v: Any, name: str) -> None:
    """Gradients of two examples at once, against those of each."""

    def gradient(*args: Any) -> Any:
        return vjp(f, *args)[1](u)

    examples = [_moved(args, v, 0.0), _moved(args, v, 2.0**-10)]
    one_by_one = [[leaf for _, leaf in leaves(_wide(gradient(*x)))] for x in examples]
    rest = iter([leaf for _, leaf in leaves(examples[1])])
    together = tree_map(lambda x: functions["stack"]([x, next(rest)]), examples[0])
    batched = [leaf for _, leaf in leaves(_wide(vmap(gradient)(*together)))]
    for (path, like), *three in zip(leaves(args), batched, *one_by_one, strict=True):
        tolerance = 64.0 * float(np.finfo(spec_of(like).dtype).eps) ** 0.875
        for n, one in enumerate(three[1:]):
            worst = np.abs(three[0][n] - one) - tolerance * (1.0 + np.abs(one))
            if not np.all(worst <= 0):
                i = np.unravel_index(np.argmax(worst), worst.shape)
                raise AssertionError(
                    f"check_grads: {name} under vmap: example {n}, argument {path[1:].replace(']', '', 1)}"
                    f"{_index(tuple(map(int, i)))}: {three[0][n][i]!r}, but by itself it has {one[i]!r}"
                )


# -- sparse Jacobians and Hessians --------------------------------------------------------------------
def _check_sparse(
    f: Callable[..., Any], args: Any, value: Any, order: int, reference_for: Any, relative: float, name: str
) -> None:
    """Detected patterns and what is computed by them, against all entries by differences."""
    from .transforms.jacobians import hessian, jacobian
    from .transforms.sparse import hessian_sparsity, jacobian_sparsity

    if any(spec_of(leaf).dtype.kind == "c" for _, leaf in leaves((args, value))):
        raise ValueError('check_grads: the mode "sparse" is for real numbers; leave it out')
    concatenate, reshape = functions["concatenate"], functions["reshape"]
    inputs, outputs = _numbered(args), _numbered(value)

    def flat(tree: Any) -> Any:
        return concatenate([reshape(leaf, -1) for _, leaf in leaves(tree)])

    def of_vector(x: Any) -> Any:
        ends = iter(np.cumsum([0, *(spec_of(leaf).size for _, leaf in leaves(args))]).tolist())
        start = next(ends)

        def part(leaf: Any) -> Any:
            nonlocal start
            first, start = start, next(ends)
            return reshape(x[first:start], spec_of(leaf).shape)

        return flat(f(*tree_map(part, args)))

    x = flat(tree_map(functions["asarray"], args))
    derivatives = [("Jacobian", of_vector, jacobian_sparsity(of_vector), jacobian(of_vector, sparsity="detect"))]
    if order > 1 and len(outputs) == 1:

        def scalar(x: Any) -> Any:
            return of_vector(x)[0]

        def gradient(x: Any) -> Any:  # of complex numbers, too
            return vjp(scalar, x)[1](1.0)[0]

        derivatives.append(("Hessian", gradient, hessian_sparsity(scalar), hessian(scalar, sparsity="detect")))
    for what, g, sparsity, compressed in derivatives:
        reference = reference_for(g, (x,))
        units = np.eye(len(inputs), dtype=spec_of(x).dtype)
        backend = owner_of_type(type(x)) or numpy_backend
        want = np.stack([np.asarray(reference.along((backend.asarray(e),))) for e in units], axis=1)
        inside = sparsity(x).pattern.toarray()
        tolerance = relative * max(1.0, float(np.max(np.abs(want), initial=0.0)))
        got = np.asarray(_host(compressed(x).toarray()))
        for wrong, found in (
            (np.where(inside, 0.0, np.abs(want)), "isn't in the detected pattern"),
            (np.abs(got - want), "is {:.10g}"),
        ):
            if not np.all(wrong <= tolerance):
                i, j = map(int, np.unravel_index(np.argmax(np.nan_to_num(wrong, nan=np.inf)), wrong.shape))
                row = outputs[i] if what == "Jacobian" else inputs[i]
                raise AssertionError(
                    f"check_grads: sparse {what} of {name}: the worst entry, of {row} and {inputs[j]}, "
                    f"{found.format(got[i, j])}, but {reference.name} gives {want[i, j]:.10g}"
                )


def _numbered(tree: Any) -> list[str]:
    """What to call each number in the leaves of ``args`` or of a value."""
    several = isinstance(tree, tuple)
    return [
        (f"argument {path[1:].replace(']', '', 1)}" if several else f"output{path}") + _index(i)
        for path, leaf in leaves(tree)
        for i in np.ndindex(spec_of(leaf).shape)
    ]


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


def _moved(args: Any, v: Any, step: complex) -> Any:
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

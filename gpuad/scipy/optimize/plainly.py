"""What SciPy's solvers are given, and what the user gets: they are run with plain numbers.

The solution is differentiated as an implicit function: see ``gpuad.implicit``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from ...backend import numpy_backend, owner_of_type
from ...core.box import Box
from ...core.pytree import is_leaf, leaves, tree_map
from ...core.untraced import settled
from ...errors import UnsupportedError
from ...numpy.frontend import functions, is_traced
from ...values import stop_gradient

Function = Callable[..., Any]


# -- what SciPy is given ------------------------------------------------------------------------------
class Watched:
    """Makes functions return plain numbers to SciPy, and remembers whether any was traced.

    ``given`` are values that belong to the problem; ``watched.held(x)`` has them as plain ones.
    """

    def __init__(self, name: str, *given: Any) -> None:
        self.name = name
        self.traced = any(type(settled(leaf)) is Box for _, leaf in leaves(given))

    def held(self, x: Any) -> Any:
        for _, leaf in leaves(x):
            self._check(leaf)
        return stop_gradient(x)

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            for _, leaf in leaves(result):
                self.traced |= type(settled(leaf)) is Box
                self._check(leaf)
            return stop_gradient(result)

        return plain

    def _check(self, leaf: Any) -> None:
        backend = owner_of_type(type(leaf))
        if backend is not None and backend is not numpy_backend and not isinstance(leaf, np.generic):
            raise UnsupportedError(
                f"{self.name}: SciPy's solvers run on the host, and this is an array of the {backend.name} backend, "
                "which CuPy has no such function for. Pass gpuad.to_numpy(x), or write the iteration with arrays"
            )


class Unknowns:
    """The start of a solver, which may be a container of arrays where SciPy knows vectors alone."""

    def __init__(self, x0: Any, watched: Watched) -> None:
        x0 = watched.held(x0)
        self.tree = x0 if _is_container(x0) else None
        self.shapes = [np.shape(leaf) for _, leaf in leaves(x0)] if self.tree is not None else []
        self.start = x0 if self.tree is None else self.vector(x0)

    def vector(self, tree: Any) -> Any:
        """What belongs to the unknowns, such as a gradient, in SciPy's form."""
        if self.tree is None:
            return tree
        return functions["concatenate"]([vector(leaf) for _, leaf in leaves(tree)])

    def restore(self, x: Any) -> Any:
        """The unknowns in the form in which they were given."""
        if self.tree is None:
            return x
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = iter([x[i - int(np.prod(s)) : i].reshape(s) for i, s in zip(ends.tolist(), self.shapes, strict=True)])
        return tree_map(lambda _: next(parts), self.tree)


def _is_container(x0: Any) -> bool:
    if is_leaf(x0):
        return False
    if not isinstance(x0, (list, tuple)) or hasattr(x0, "_fields"):
        return True
    try:
        np.asarray(x0, float)
    except ValueError:  # of parts that don't go together to one array
        return True
    return False


def vector(x: Any) -> Any:
    """What a function returned, be it a list of traced numbers, as a vector."""
    return (functions["asarray"](x) if is_traced([x]) else np.asarray(x)).reshape(-1)


def scalar(x: Any) -> Any:
    """What an objective returned as a number; SciPy takes arrays with one entry too."""
    return x if np.shape(x) == () else vector(x).reshape(())


def as_tuple(args: Any) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


# -- what the user gets --------------------------------------------------------------------------------
class TracedResult(OptimizeResult):  # type: ignore[misc]
    """A result of SciPy's whose numbers are traced, or left out where they would be constants by mistake."""

    def __missing__(self, key: str) -> Any:
        raise KeyError(
            f"{key!r} of a solution that is traced has no derivative in gpuad, and is left out; there are "
            f"{', '.join(self)}"
        )


def traced_result(result: Any, **traced: Any) -> TracedResult:
    """``result`` with ``traced`` entries, and of the others those that are counts, flags and words."""
    kept = {k: v for k, v in result.items() if isinstance(v, (int, str)) or _whole(v)}
    return TracedResult(kept | traced)


def _whole(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biu"

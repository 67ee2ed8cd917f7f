"""Values between worlds: from traced to constant, from one backend to another."""

from __future__ import annotations

from typing import Any

from . import backend as backends
from .backend import owner_of_type
from .core.box import Box, apart
from .core.pytree import tree_map
from .errors import UnsupportedError
from .ops import elementwise


def stop_gradient(x: Any) -> Any:
    """The values of ``x`` (an array, or a container of arrays) as constants for every derivative.

    >>> from gpuad import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return tree_map(lambda leaf: apart(elementwise.stop_gradient(leaf)) if type(leaf) is Box else leaf, x)


def to_backend(x: Any, name: str) -> Any:
    """``x`` (an array, or a container of arrays) with its arrays moved to the backend of that name.

    An array that is there already is returned as it is; numbers and other leaves stay as they are.
    Raises ``BackendError`` if the backend can't be used, ``UnsupportedError`` for a traced array.
    """
    target, _ = backends.choose(name)

    def move(leaf: Any) -> Any:
        if type(leaf) is Box:
            raise UnsupportedError(
                "to_backend: a traced array can't be moved; move the arguments before differentiating"
            )
        owner = owner_of_type(type(leaf))
        if owner is None or owner is target or backends.goes_anywhere(leaf):
            return leaf
        return target.asarray(owner.to_numpy(leaf))

    return tree_map(move, x)


def to_numpy(x: Any) -> Any:
    """``x`` (an array, or a container of arrays) with its arrays as NumPy arrays."""
    return to_backend(x, "numpy")

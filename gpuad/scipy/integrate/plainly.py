"""Calling SciPy's integrators with a function that may, unknown to its caller, read traced arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ...core.pytree import tree_map
from ...core.untraced import settled
from ...numpy.frontend import is_traced


class ReadsTraced(Exception):
    """A function that was called with plain numbers returned a traced array."""


def opened(tree: Any) -> Any:
    """``tree`` with arrays that are to take traced writes, but didn't, as the plain ones they are so far."""
    return tree_map(settled, tree)


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which raises ``ReadsTraced`` instead of returning what is traced."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = opened(function(*args, **kwargs))
        if is_traced([result]):
            raise ReadsTraced
        return result

    for option in ("terminal", "direction"):  # of an event; maybe the attribute of a class, which wraps doesn't see
        if hasattr(function, option):
            setattr(checked, option, getattr(function, option))
    return checked

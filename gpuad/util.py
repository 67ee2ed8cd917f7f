"""Small functions under autograd's ``util``, for programs that import them there."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def subvals(x: Iterable[Any], pairs: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """``x`` as a tuple with entry ``i`` replaced by ``v``, for every pair ``(i, v)``."""
    new = list(x)
    for i, v in pairs:
        new[i] = v
    return tuple(new)


def subval(x: Iterable[Any], i: int, v: Any) -> tuple[Any, ...]:
    """``x`` as a tuple with entry ``i`` replaced by ``v``."""
    return subvals(x, [(i, v)])


def func(f: Any) -> Any:
    """``f`` itself: what an unbound method was in Python 2."""
    return f


def toposort(end_node: Any, parents: Callable[[Any], Iterable[Any]] = operator.attrgetter("parents")) -> Iterator[Any]:
    """The nodes that lead to ``end_node``, each before its parents."""
    children: dict[Any, int] = {}
    stack = [end_node]
    while stack:
        node = stack.pop()
        if node in children:
            children[node] += 1
        else:
            children[node] = 1
            stack.extend(parents(node))
    ready = [end_node]
    while ready:
        node = ready.pop()
        yield node
        for parent in parents(node):
            children[parent] -= 1
            if not children[parent]:
                ready.append(parent)


def quick_grad_check(
    fun: Callable[..., Any],
    arg0: Any,
    extra_args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    verbose: bool = True,
    eps: float = 1e-4,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    rs: Any = None,
) -> None:
    """What ``check_grads`` was called once; tolerances and the rest are ignored, as in autograd."""
    import warnings

    from .test_util import check_grads

    warnings.warn("quick_grad_check is deprecated: use gpuad.test_util.check_grads", stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)

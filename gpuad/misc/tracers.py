"""Graphs of operations, recorded once and evaluated again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..autograd_names.nodes import Node, trace
from ..util import subvals, toposort
from ..wrap_util import wraps


class ConstGraphNode(Node):
    """An operation that can be done again with other values of its parents."""

    __slots__ = ("parents", "partial_fun")

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        args = subvals(args, [(i, None) for i in parent_argnums])
        self.parents = parents
        self.partial_fun = lambda values: fun(*subvals(args, zip(parent_argnums, values, strict=True)), **kwargs)

    def initialize_root(self) -> None:
        self.parents = ()


def const_graph_unary(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``fun``, called once: from the second call on its operations are done again in the same order."""
    graph: list[Any] = []
    waiting = [fun]  # let go of after the first call

    def maybe_cached(x: Any) -> Any:
        if not graph:
            end_value, end_node = trace(ConstGraphNode.new_root(), waiting.pop(), x)
            if end_node is None:
                raise ValueError("const_graph: the output doesn't depend on the input")
            graph.extend(reversed(list(toposort(end_node))))
            return end_value
        values = {graph[0]: x}
        for node in graph[1:]:
            values[node] = node.partial_fun([values[parent] for parent in node.parents])
        return values[graph[-1]]

    return maybe_cached


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """``fun`` with these arguments fixed, called once: later calls repeat its operations for other arguments.

    Right for a function whose operations don't depend on the values of its arguments.
    """
    partial_fun = partial(fun, *args, **kwargs)
    maybe_cached = const_graph_unary(lambda xs: partial_fun(*xs))

    @wraps(fun)
    def cached(*xs: Any) -> Any:
        return maybe_cached(xs)

    return cached


class FullGraphNode(Node):
    """An operation with all that it was called with."""

    __slots__ = ("recipe", "value")

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        self.value = value
        self.recipe = (fun, args, kwargs, list(zip(parent_argnums, parents, strict=True)))

    def initialize_root(self) -> None:
        self.value = None
        self.recipe = (lambda x: x, (), {}, [])


def full_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The node of the result of ``fun(*args, **kwargs)``, which leads to all others."""
    _, end_node = trace(FullGraphNode.new_root(), lambda xs: fun(*xs, **kwargs), args)
    return end_node

"""Tracing a function into nodes of one's own making, as autograd's ``tracer`` does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from ..core import box as core
from ..core import pytree
from ..core.box import make_box, spec_of
from ..core.foreign import Foreign
from ..core.level import Level
from ..core.primitive import Primitive
from ..core.pytree import children, is_leaf, leaves, rebuild, tree_map
from ..custom_calls import Application, UserPrimitive, holds_traced
from ..errors import NotDifferentiableError
from ..ops.declare import registry
from ..util import toposort
from . import operators, rules
from .vspaces import vspace


class _BoxType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return (cls is Box and type(instance) is core.Box) or type.__instancecheck__(cls, instance)


class Box(metaclass=_BoxType):
    """What every traced array is an instance of.

    A subclass, once it is registered, is what functions meet in place of a traced value of a type of one's
    own. That type must be registered with a ``VSpace``, and what is done with its values be primitives.
    """

    _node: Any

    @property
    def _value(self) -> Any:
        """The value that is traced."""
        return _of_foreign(type(self))(self, [self._node.value])

    @classmethod
    def register(cls, value_type: type) -> None:
        """Let this class stand for traced values of ``value_type``, a type that gpuad doesn't trace by itself."""
        if issubclass(value_type, (list, tuple, dict)):
            return  # traced as they are
        pytree.register(value_type, lambda value: [Foreign(value, vspace(value))], _of_foreign(cls))
        pytree.register(cls, lambda box: [box._node], _of_foreign(cls))


def _of_foreign(cls: type[Box]) -> Callable[[Any, list[Any]], Any]:
    """Puts a value back together: the value itself, or a box if it is traced."""

    def rebuild(like: Any, parts: list[Any]) -> Any:
        (part,) = parts
        if type(part) is Foreign:
            return part.value
        box = cls.__new__(cls)
        box._node = part
        return box

    return rebuild


class SequenceBox(Box):
    """Nothing is an instance of this: a traced tuple or list is one of traced arrays."""


class DictBox(Box):
    """Nothing is an instance of this: a traced dict is one of traced arrays."""


def isbox(x: Any) -> bool:
    """Whether ``x`` is a traced array, or a container of some."""
    return holds_traced(x)


class Node:
    """What a trace makes of every operation. A subclass says what is kept."""

    __slots__ = ()

    def __init__(
        self,
        value: Any,
        fun: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parent_argnums: tuple[int, ...],
        parents: tuple[Any, ...],
    ) -> None:
        raise NotImplementedError

    def initialize_root(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    @classmethod
    def new_root(cls, *args: Any, **kwargs: Any) -> Any:
        root = cls.__new__(cls)
        root.initialize_root(*args, **kwargs)
        return root


def container_take(container: Any, key: Any) -> Any:
    """A part of a container: the operation that leads to the node of the part."""
    return getattr(container, key) if isinstance(key, str) and not isinstance(container, dict) else container[key]


class _Nodes(Level):
    """Evaluates primitives one level further out, and makes a node of each."""

    __slots__ = ("make", "nodes")

    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        self.make = make
        self.nodes: list[Any] = []

    def watch(self, value: Any, node: Any) -> Any:
        """A stand-in for ``value``, which may be a container, that leads to ``node``."""
        parts = children(value)
        if parts is not None:
            keys = value if isinstance(value, dict) else range(len(parts))
            parts_by_key = zip(keys, parts, strict=True)
            return rebuild(
                value,
                [
                    self.watch(part, self.make(part, container_take, (value, key), {}, (0,), (node,)))
                    for key, (_, part) in parts_by_key
                ],
            )
        spec = spec_of(value)
        if not spec.differentiable:
            raise NotDifferentiableError(f"trace: can't trace {value!r}, an {type(value).__name__}")
        self.nodes.append(node)
        return make_box(value, self, len(self.nodes) - 1, spec)

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values = self.opened(args)
        ans = prim(*values, **params)
        if prim.piecewise_constant:
            return ans
        ours = [k for k, a in enumerate(args) if type(a) is core.Box and a.level is self]
        fun: Any = prim
        if isinstance(prim, Application):
            ans = prim.rebuilt(ans)
            if prim.is_flat:
                fun = prim.user
        node = self.make(ans, fun, tuple(values), params, tuple(ours), tuple(self.nodes[args[k].index] for k in ours))
        if isinstance(prim, Application) and not is_leaf(ans):
            return [self.watch(leaf, node) for _, leaf in leaves(ans)]
        return self.watch(ans, node) if not is_leaf(ans) or spec_of(ans).differentiable else ans

    def opened_tree(self, tree: Any) -> Any:
        return tree_map(lambda x: x.value if type(x) is core.Box and x.level is self else x, tree)

    def node_of(self, result: Any) -> Any:
        """The node that a result leads to; ``None`` if it doesn't depend on the input."""
        if type(result) is core.Box:
            return self.nodes[result.index] if result.level is self else None
        parts = [leaf for _, leaf in leaves(result)]
        ours = [k for k, leaf in enumerate(parts) if type(leaf) is core.Box and leaf.level is self]
        if not ours:
            return None

        def make_sequence(*values: Any) -> Any:
            new = iter(values)
            return tree_map(lambda _: next(new), result)

        values = tuple(self.opened_tree(parts))
        nodes = tuple(self.nodes[parts[k].index] for k in ours)
        return self.make(self.opened_tree(result), make_sequence, values, {}, tuple(ours), nodes)


def trace(start_node: Any, fun: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """The value of ``fun(x)``, and its node: every operation on the way makes a node of the kind of ``start_node``.

    A node is made as ``Kind(value, fun, args, kwargs, parent_argnums, parents)``, with the value of
    ``fun(*args, **kwargs)``, and the nodes of the arguments that depend on ``x``. The second result is
    ``None`` if nothing depends on ``x``.
    """
    level = _Nodes(type(start_node))
    result = fun(level.watch(x, start_node))
    return level.opened_tree(result), level.node_of(result)


class VJPNode(Node):
    """A node that knows how to take a cotangent back to its parents."""

    __slots__ = ("parents", "vjp")

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        self.parents = parents
        self.vjp = operators.make_vjp(fun, parent_argnums)(*args, **kwargs)[0]

    def initialize_root(self) -> None:
        self.parents = ()
        self.vjp = lambda g: ()


def backward_pass(g: Any, end_node: VJPNode) -> Any:
    """The cotangent of the root of a trace into ``VJPNode``, from that of its end."""
    cotangents = {end_node: g}
    for node in toposort(end_node):
        g = cotangents.pop(node)
        for parent, h in zip(node.parents, node.vjp(g), strict=True):
            before = cotangents.get(parent)
            cotangents[parent] = h if before is None else vspace(h).add(before, h)
    return g


class JVPNode(Node):
    """A node that has the tangent of its value, ``g``."""

    __slots__ = ("g",)

    def __init__(self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: Any, parents: Any) -> None:
        self.g = operators.make_jvp(fun, parent_argnums)(*args, **kwargs)(tuple(parent.g for parent in parents))[1]

    def initialize_root(self, g: Any) -> None:
        self.g = g


class _Rules(MutableMapping[Any, Callable[..., Any]]):
    """autograd's tables of rules, by primitive: read off what gpuad knows of it, and written through to it."""

    def __init__(self, get: Callable[..., Any], put: Callable[..., None], names: tuple[str, str]) -> None:
        self.get_rule = get
        self.put_rule = put
        self.names = names  # of what a primitive of the user's has

    def __getitem__(self, fun: Any) -> Callable[..., Any]:
        prim = getattr(fun, "primitive", fun)
        if isinstance(prim, UserPrimitive):
            known = any(getattr(prim, name) for name in self.names)
        else:
            known = isinstance(prim, Primitive) and not prim.piecewise_constant
        if not known:
            raise KeyError(fun)
        return functools.partial(self.get_rule, fun)

    def __setitem__(self, fun: Any, maker: Callable[..., Any]) -> None:
        self.put_rule(fun, maker)

    def __delitem__(self, fun: Any) -> None:
        if not isinstance(fun, UserPrimitive):
            raise KeyError(fun)
        by_argument, of_all = self.names
        setattr(fun, by_argument, {})
        setattr(fun, of_all, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(registry.values())

    def __len__(self) -> int:
        return len(registry)


def _vjp_rule(fun: Any, argnums: Any, ans: Any, args: Any, kwargs: Any) -> Any:
    return operators.make_vjp(fun, argnums)(*args, **kwargs)[0]


def _jvp_rule(fun: Any, argnums: Any, gs: Any, ans: Any, args: Any, kwargs: Any) -> Any:
    return operators.make_jvp(fun, argnums)(*args, **kwargs)(tuple(gs))[1]


primitive_vjps = _Rules(_vjp_rule, rules.defvjp_argnums, ("vjps", "vjp_of_all"))
primitive_jvps = _Rules(_jvp_rule, rules.defjvp_argnums, ("jvps", "jvp_of_all"))

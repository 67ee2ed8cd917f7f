"""What primitives do with arrays that aren't computed yet: they wait too, or have them computed.

To the primitives this is a backend of its own, over that which computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import numpy_backend, owner_of_type, register_lazy
from ..backend.interface import Backend
from . import memory_order
from .pending import (
    Apply,
    DevicePending,
    HostPending,
    Pending,
    View,
    apply,
    backwards,
    is_row,
    large,
    leaf,
    lift,
    on_guard,
    running,
    settle,
    total,
    viewed,
)

_WEAK = (float, int, bool, complex)


class Lazy(Backend):
    """The backend of pending arrays."""

    eager: Backend

    def __init__(self, kind: type[Pending]) -> None:
        self.kind = kind
        self.eager = kind.backend
        self.name = kind.backend.name
        self.array_types = (kind,)
        self.lends_its_class = kind.backend.lends_its_class

    @property
    def xp(self) -> Any:
        return self.eager.xp

    @property
    def scipy(self) -> Any:
        return self.eager.scipy

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        return self.eager.asarray(x, dtype)

    def to_numpy(self, x: Any) -> Any:
        return self.eager.to_numpy(settle(x))

    def settle(self, x: Any) -> Any:
        return settle(x)

    def implementation(self, prim: Any) -> Callable[..., Any]:
        """What a primitive does with pending arrays."""
        slowly = functools.partial(_staged, self, prim)
        if prim.scalar is None or prim.deferred is not None:
            return slowly
        return _unary(self.kind, prim, slowly) if getattr(prim, "nin", 0) == 1 else _binary(self.kind, prim, slowly)


for _kind in (HostPending, DevicePending):
    register_lazy(Lazy(_kind))


def _staged(lazy: Lazy, prim: Any, *args: Any, **params: Any) -> Any:
    stage = prim.deferred or (_elementwise if prim.scalar is not None else None)
    if stage is not None and not (lazy.kind is HostPending and on_guard()):
        found = stage(lazy, prim, [settle(a) if isinstance(a, Pending) and a.small else a for a in args], params)
        if found is not NotImplemented:
            return found
    ans = prim.evaluate([settle(a) if isinstance(a, Pending) else a for a in args], params)
    return tuple(map(lift, ans)) if type(ans) is tuple or type(ans) is list else lift(ans)


# -- elementwise operations --------------------------------------------------------------------------------
def _unary(kind: type[Pending], prim: Any, slowly: Callable[..., Any]) -> Callable[..., Any]:
    """An elementwise primitive of one argument, in little time."""
    operations = prim.operations

    def wait(x: Any) -> Any:
        op = operations.get((x.dtype,))
        return slowly(x) if op is None or x.small or on_guard() else apply(op, kind, (x,), x.shape)

    return wait


def _binary(kind: type[Pending], prim: Any, slowly: Callable[..., Any]) -> Callable[..., Any]:
    """The same of two arguments, where both have one shape or one is a Python number."""
    operations = prim.operations

    def wait(*args: Any) -> Any:
        if len(args) != 2:
            return slowly(*args)
        x, y = args
        if type(x) is kind and not x.small:
            shape = x.shape
            if type(y) is kind and y.shape == shape and not y.small:
                op = operations.get((x.dtype, y.dtype))
            elif type(y) is float:
                op = operations.get((x.dtype, float))
            else:
                return slowly(x, y)
        elif type(y) is kind and type(x) is float and not y.small:
            shape = y.shape
            op = operations.get((float, y.dtype))
        else:
            return slowly(x, y)
        return slowly(x, y) if op is None or on_guard() else apply(op, kind, args, shape)

    return wait


def _elementwise(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    tokens: list[Any] = []
    shapes = set()
    for i, a in enumerate(args):
        if isinstance(a, Pending):
            tokens.append(a.dtype)
            shapes.add(a.shape)
        elif type(a) in _WEAK:
            tokens.append(type(a))
        else:
            a = args[i] = _operand(lazy, a)
            if a is None:
                return NotImplemented
            if isinstance(a, Pending):
                tokens.append(a.dtype)
                shapes.add(a.shape)
            else:
                tokens.append(a[1])
                args[i] = a[0]
    if not shapes:
        return NotImplemented
    key = tuple(tokens)
    try:
        op = prim.operations[key]
    except KeyError:
        op = prim.operations[key] = operation_on(prim, key)
    if op is None:
        return NotImplemented
    if len(shapes) == 1:
        (shape,) = shapes
    else:
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            return NotImplemented  # the library says it in its own words
    return apply(op, lazy.kind, tuple(args), shape)


def _operand(lazy: Lazy, a: Any) -> Any:
    """An array of the program's: as ``(number, dtype)`` if it is one, else pending, as it is now."""
    if isinstance(a, (np.generic, np.ndarray)) and a.ndim == 0:
        return (a.item(), a.dtype) if a.dtype.kind in "fciub" else None
    if owner_of_type(type(a)) is not lazy.eager or a.dtype.kind not in "fciub" or not a.size:
        return None
    if type(a) is np.ndarray and backwards.on and not running.on:
        return leaf(lazy.kind, a)  # into which nobody can write before it is read
    return snapshot(lazy.kind, a)


def snapshot(kind: type[Pending], a: Any) -> Pending:
    """A raw array as a pending one, copied where somebody may still write into it."""
    if type(a) is np.ndarray and a.base is None and not a.flags.writeable:
        return leaf(kind, a)
    if 0 in a.strides:
        once = a[tuple([slice(0, 1) if n == 0 else slice(None) for n in a.strides])]
        return leaf(kind, kind.backend.functions.broadcast_to(once.copy(), a.shape))
    return leaf(kind, a.copy(order="K"))


_KINDS_OF_NUMBERS = frozenset("fciub")


def operation_on(prim: Any, tokens: tuple[Any, ...]) -> Apply | None:
    """What the primitive does with operands of these dtypes, or with Python numbers; ``None`` if no kernel can."""
    try:
        if prim.name == "where":
            chosen = np.result_type(*[t if isinstance(t, np.dtype) else t() for t in tokens[1:]])
            types: tuple[Any, ...] = (np.dtype(bool), chosen, chosen, chosen)
        elif prim.name == "real":
            types = (np.dtype(tokens[0]), np.empty(0, tokens[0]).real.dtype)
        elif isinstance(ufunc := prim.implementation(numpy_backend), np.ufunc):
            types = ufunc.resolve_dtypes((*[np.dtype(bool) if t is bool else t for t in tokens], None))
        else:
            return None
    except TypeError:
        return None
    if any(t.kind not in _KINDS_OF_NUMBERS or t.char in "gG" for t in types):
        return None
    return Apply(prim.name, prim.scalar, tuple(types[:-1]), types[-1])


# -- others ------------------------------------------------------------------------------------------------
def _arithmetic(name: str, scalar: str, lazy: Lazy, x: Pending, y: Any) -> Pending:
    return apply(Apply(name, scalar, (x.dtype, x.dtype), x.dtype), lazy.kind, (x, y), x.shape)


def staged_power(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``power_of_number``."""
    (x,), exponent = args, params["exponent"]
    if not isinstance(x, Pending) or type(exponent) not in (int, float):
        return NotImplemented
    if exponent in (3, 4):
        y = _arithmetic("multiply", "{0} * {1}", lazy, x, x)
        return _arithmetic("multiply", "{0} * {1}", lazy, y, x if exponent == 3 else y)
    return _arithmetic("power", "power({0}, {1})", lazy, x, exponent)


def staged_cast(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``astype``."""
    (x,), dtype = args, np.dtype(params["dtype"])
    if (
        not isinstance(x, Pending)
        or dtype.kind not in "fc"
        or dtype.char in "gG"
        or (x.dtype.kind, dtype.kind) == ("c", "f")
    ):
        return NotImplemented
    return x if x.dtype == dtype else apply(Apply("astype", "{0}", (dtype,), dtype), lazy.kind, (x,), x.shape)


def staged_view(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of what makes an array of shape ``shape`` from another at no cost."""
    (x,) = args
    if not isinstance(x, Pending) or x.value is not None:
        return NotImplemented
    shape, axis = params["shape"], params.get("axis")
    if axis is None:
        aligned = (1,) * (len(shape) - x.ndim) + x.shape
    else:
        aligned = tuple([1 if i in axis else n for i, n in enumerate(shape)])

    def look(raw: Any) -> Any:
        found = prim.evaluate((raw,), params)
        return found.value if isinstance(found, Pending) else found

    return viewed(x, View(look, aligned), shape)


#: To compute an array in another shape than its own takes some 10 µs per operation more. So it is worth it for those
#: that are so many times as large as others that wait.
_WORTH_REARRANGING = 1.5


def _is_worth_rearranging(x: Any) -> bool:
    waits = isinstance(x, Pending) and x.value is None
    return waits and x.nbytes >= max(_WORTH_REARRANGING * large(x.backend), 1)


def staged_reshape(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``reshape``. Whether it is a view or a copy must be known, for the program may write into it."""
    (x,), shape = args, params["shape"]
    if not _is_worth_rearranging(x) or params["order"] != "C":
        return NotImplemented
    size, given = x.size, 1
    for n in shape:
        given *= n
    if given < 0 and size % given == 0:
        shape = tuple([size // -given if n < 0 else n for n in shape])
    elif given != size:
        return NotImplemented
    alike = [n for n in shape if n != 1] == [n for n in x.shape if n != 1]
    if not (alike or (backwards.on and not running.on) or _lies_in_order(x)):
        return NotImplemented
    return viewed(x, View(lambda raw: raw.reshape(shape), rearranges=True), shape)


def _lies_in_order(x: Pending) -> bool:
    """Whether what waits would be C-contiguous in a program that computes it at once."""
    stack, seen = [x], {id(x)}
    while stack:
        y = stack.pop()
        if type(y.op) is View and (y.op.axes is not None or not y.op.rearranges):
            return False
        for a in y.args:
            if isinstance(a, Pending) and id(a) not in seen:
                seen.add(id(a))
                if a.value is None:
                    stack.append(a)
                elif not memory_order.in_c_order(a.value):
                    return False
    return True


def staged_part(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``part``."""
    (x,) = args
    return x[params["key"]] if isinstance(x, Pending) and x.value is None else NotImplemented


def staged_transpose(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``transpose``."""
    (x,), axes = args, params["axes"]
    if not _is_worth_rearranging(x):
        return NotImplemented
    order = tuple(range(x.ndim))[::-1] if axes is None else axes
    return viewed(
        x, View(lambda raw: raw.transpose(order), rearranges=True, axes=order), tuple([x.shape[i] for i in order])
    )


def staged_sum(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``sum``: with what is summed up not computed yet, both are done in one kernel."""
    (x,), axis, keepdims = args, params["axis"], params["keepdims"]
    if not isinstance(x, Pending) or x.dtype.kind not in "fc":
        return NotImplemented
    axes = tuple(range(x.ndim)) if axis is None else axis
    if x.value is not None and (len(axes) == x.ndim or x.ndim - 1 not in axes):
        return NotImplemented  # nothing to gain
    kept = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
    return total(x, axes, tuple(kept))


def staged_mean(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``mean``. That of float16 overflows on the way."""
    (x,) = args
    if not isinstance(x, Pending) or x.dtype.char == "e":
        return NotImplemented
    y = staged_sum(lazy, prim, args, params)
    return y if y is NotImplemented else _arithmetic("divide", "{0} / {1}", lazy, y, x.size / max(y.size, 1))


def staged_extremum(how: str) -> Callable[..., Any]:
    """Of ``max`` and ``min``, along rows; ``how`` is that of ``Sum``."""

    def stage(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
        (x,), axis, keepdims = args, params["axis"], params["keepdims"]
        if not isinstance(x, Pending) or x.dtype.kind != "f" or axis is None or not is_row(axis, x.shape, x.backend):
            return NotImplemented
        kept = x.shape[: -len(axis)]
        return total(x, axis, kept + (1,) * len(axis) if keepdims else kept, how)

    return stage


def staged_count(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``count``: the sum of ones, which is exact."""
    (x,), dtype = args, np.dtype(params["dtype"])
    if not isinstance(x, Pending) or x.value is not None or x.shape != params["shape"] or dtype.char not in "fd":
        return NotImplemented
    # Compilers make vectors of a choice, but not of what converts a truth value.
    choice = Apply("where", "{0} ? {1} : {2}", (np.dtype(bool), dtype, dtype), dtype)
    return staged_sum(lazy, prim, [apply(choice, lazy.kind, (x, 1.0, 0.0), x.shape)], params)


def composed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of what is made of other primitives, ``function(x, **params)``, where its axes are a row."""

    def stage(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
        (x,), axis = args, params["axis"]
        waits = (
            isinstance(x, Pending) and x.dtype.char in "fd" and axis is not None and is_row(axis, x.shape, x.backend)
        )
        return function(x, **params) if waits else NotImplemented

    return stage


def staged_sum_to(lazy: Lazy, prim: Any, args: list[Any], params: dict[str, Any]) -> Any:
    """Of ``sum_to``."""
    (x,), shape = args, params["shape"]
    if not isinstance(x, Pending) or x.value is not None or x.dtype.kind not in "fc":
        return NotImplemented
    extra = x.ndim - len(shape)
    axes = tuple(i for i, n in enumerate(x.shape) if i < extra or (shape[i - extra] == 1 and n != 1))
    return total(x, axes, shape) if axes else viewed(x, View(lambda raw: raw.reshape(shape), rearranges=True), shape)

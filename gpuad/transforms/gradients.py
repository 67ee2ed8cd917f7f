"""Reverse mode: vjp, grad, value_and_grad, elementwise_grad."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..array_api import explain
from ..backend import backend_of, owner_of_type
from ..core.box import Box, Spec, apart, make_spec, sample, spec_of
from ..core.constants import Arguments
from ..core.cotangent import add
from ..core.filled import ones_like, zeros_like
from ..core.foreign import Foreign
from ..core.level import running
from ..core.pytree import children, is_leaf, leaves, tree_map
from ..core.sweep import sweep
from ..core.tape import Tape
from ..core.untraced import settled
from ..errors import NotDifferentiableError
from ..fused import pool
from ..fused.pending import Apply, Pending, apply, backwards, lift, settle, settle_all
from ..ops.declare import astype

Argnums = int | Sequence[int]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_NUMBERS = (float, complex)


class Run:
    """``with Run(level):`` a program runs under a transformation, which is closed afterwards. Errors are explained."""

    def __init__(self, level: Any) -> None:
        self.level = level

    def __enter__(self) -> None:
        self.token = running.set(True)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if isinstance(error, Exception):
                explain(error)
        finally:
            running.reset(self.token)
            self.level.close()
            pool.drain()


class Trace:
    """One run of a function under a tape: what went in, what came out, and the way back."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int],
        has_aux: bool,
        name: str,
    ) -> None:
        self.name = name
        self.tape = Tape()
        #: The leaves of the arguments, and the places of their cotangents. The program may write into their boxes.
        self.primals: list[Any] = []
        self.places: list[int] = []
        self.contained = False  # whether there are containers among the arguments
        self.foreign_dtypes = False  # whether there are arguments of dtypes that aren't NumPy's, such as bfloat16
        self.args = [args[i] for i in argnums]
        self.raw = Arguments(name)
        traced = list(args)
        for i in argnums:
            traced[i] = self._watch(args[i], i)
        token = running.set(True)
        try:
            if self.raw.entered:
                with self.raw:
                    result = f(*traced)
            else:
                result = f(*traced)
            if has_aux:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise TypeError(
                        f"{name}: with has_aux=True the function must return (output, aux), got {describe(result)}"
                    )
                result, aux = result
                self.aux = tree_map(lambda x: self._value(settled(x)), aux)
            self.result = settled(result) if type(result) is Box else tree_map(settled, result)
        except BaseException as error:
            pool.drain()
            explain(error)
            raise
        finally:
            running.reset(token)
            self.tape.close()

    def _watch(self, arg: Any, argnum: int) -> Any:
        if is_leaf(arg):
            return self._watch_leaf(arg, argnum, arg, 0)
        found, self.contained = len(self.primals), True
        traced = tree_map(lambda leaf: self._watch_leaf(leaf, argnum, arg, found), arg)
        if len(self.primals) == found and (arg is None or children(arg)):
            raise NotDifferentiableError(
                f"{self.name}: argument {argnum} is {describe(arg)}, with no array in it to differentiate"
            )
        return traced

    def _watch_leaf(self, leaf: Any, argnum: int, arg: Any, found: int) -> Box:
        """A box for a leaf of ``arg``, whose first leaf is input number ``found``."""
        spec = input_spec(leaf)
        if spec is None:
            path = "" if leaf is arg else [path for path, _ in leaves(arg)][len(self.primals) - found]
            refuse_input(leaf, f"argument {argnum}{path}", self.name)
        value = leaf.level.constant(leaf) if type(leaf) is Box else lift(self.raw.enter(leaf, argnum))
        box = self.tape.watch(value, spec)
        self.foreign_dtypes |= spec.dtype.kind == "V"
        self.primals.append(value)
        self.places.append(box.index)
        return box

    def is_ours(self, x: Any) -> bool:
        return type(x) is Box and x.level is self.tape

    def _value(self, x: Any) -> Any:
        return settle(x.value if self.is_ours(x) else x)

    def value(self) -> Any:
        return self._value(self.result) if type(self.result) is Box else tree_map(self._value, self.result)

    def pull(self, seeds: Sequence[Any], *, last: bool) -> tuple[Any, ...]:
        """The cotangents of the arguments, in their containers, from those of the result's leaves.

        What wasn't computed yet is now, and the result with it if this is the ``last`` time.
        """
        outputs, primals = self._outputs(), self.primals
        table = self._seeded(outputs, seeds)
        found = self._swept(table, last, [leaf.value for leaf in outputs if self.is_ours(leaf)] if last else [])
        taken = set(map(id, map(owner, (*seeds, *primals))))
        gradients = [zeros_like(x) if g is None else own(g, taken) for g, x in zip(found, primals, strict=True)]
        if not self.contained:
            return tuple(gradients)
        results = iter(gradients)
        return tuple([tree_map(lambda _: next(results), arg) for arg in self.args])

    def hand_over(self, seeds: list[Any]) -> list[Any]:
        """``pull`` for the last time, of arguments without containers, where memory counts: the result is forgotten,
        and the cotangents are taken out of ``seeds``. Nobody may write into what is returned."""
        table = self._seeded(self._outputs(), [_waiting(seed) for seed in seeds])
        seeds.clear()
        self.result = None
        found = self._swept(table, True, [])
        return [zeros_like(x) if g is None else settle(g) for g, x in zip(found, self.primals, strict=True)]

    def _outputs(self) -> list[Any]:
        return [self.result] if type(self.result) is Box else [leaf for _, leaf in leaves(self.result)]

    def _seeded(self, outputs: list[Any], seeds: Sequence[Any]) -> dict[int, Any]:
        """The cotangents that the sweep starts with, by their places."""
        table: dict[int, Any] = {}
        for leaf, seed in zip(outputs, seeds, strict=True):
            if self.is_ours(leaf):
                i, seed = leaf.index, followed(seed, leaf.value)
                table[i] = add(table[i], seed, False)[0] if i in table else seed
        return table

    def _swept(self, table: dict[int, Any], last: bool, values: list[Any]) -> list[Any]:
        """The cotangents of the inputs; they and ``values`` are computed now if they are yet to be."""
        places = self.places
        self.tape.constants.check()
        token = backwards.set(True)
        try:
            found = sweep(self.tape, table, places, last=last) if table else [None] * len(places)
            if self.foreign_dtypes:
                found = [g if g is None else of_dtype(g, x) for g, x in zip(found, self.primals, strict=True)]
            settle_all([*found, *values])
        finally:
            backwards.reset(token)
            pool.drain()
        return found


def _waiting(x: Any) -> Any:
    """A large array as one yet to be copied: all that is computed from it is then one kernel, with its sums.

    Operations on arrays that are there belong together only where something else connects them.
    """
    x = lift(x)
    return apply(Apply("astype", "{0}", (x.dtype,), x.dtype), type(x), (x,), x.shape) if isinstance(x, Pending) else x


def followed(seed: Any, value: Any) -> Any:
    """The cotangent or tangent that a derivative starts with, as ``cost`` sees it where that follows the value."""
    while type(value) is Box:
        follow = getattr(value.level, "follow", None)
        if follow is not None:
            seed = follow(seed)
        value = value.value
    return seed


def of_dtype(g: Any, x: Any) -> Any:
    """A derivative in the dtype of ``x``. NumPy makes float32 or float64 of bfloat16 and a Python number."""
    dtype = spec_of(x).dtype
    return g if spec_of(g).dtype == dtype else astype(g, dtype=dtype)


def owner(x: Any) -> Any:
    """The array whose memory ``x`` is, or is a part of."""
    while (base := getattr(x, "base", None)) is not None:
        x = base
    return x


def own(g: Any, taken: set[int]) -> Any:
    """A gradient whose memory is its own, none of ``taken``, so that a user may write into it."""
    if type(g) is np.ndarray and g.base is None and id(g) not in taken:
        taken.add(id(g))
        return g
    g = settle(g)
    if owner_of_type(type(g)) is None or isinstance(g, np.generic):
        return g
    base = owner(g)
    if id(base) in taken or 0 in g.strides or not getattr(getattr(g, "flags", None), "writeable", True):
        return g.copy()
    taken.add(id(base))
    return g


def input_spec(leaf: Any) -> Spec | None:
    """The spec of a floating-point number or an array of them; ``None`` for what can't be differentiated."""
    if type(leaf) is np.ndarray:
        spec = make_spec(leaf.shape, leaf.dtype)
        return spec if spec.differentiable else None
    foreign = type(sample(leaf)) is Foreign
    if not (foreign or type(leaf) is Box or owner_of_type(type(leaf)) is not None or isinstance(leaf, _NUMBERS)):
        return None
    spec = spec_of(leaf)
    return spec if spec.differentiable or foreign else None


def refuse_input(leaf: Any, where: str, name: str) -> NoReturn:
    """An error that says where it is, and why it can't be differentiated."""
    if type(leaf) is Box or owner_of_type(type(leaf)) is not None:
        raise NotDifferentiableError(
            f"{name}: {where} is an array of {spec_of(leaf).dtype}; derivatives are with respect to floating-point "
            "numbers: convert it with x.astype(float)"
        )
    if isinstance(leaf, int):
        raise NotDifferentiableError(
            f"{name}: {where} is {leaf!r}, an {type(leaf).__name__}; derivatives are with respect to "
            f"floating-point numbers: pass {float(leaf)!r}"
        )
    raise NotDifferentiableError(
        f"{name}: {where} is {describe(leaf)}, not an array or a floating-point number. "
        "Differentiate only what holds arrays (argnums=), and pass the rest as another argument"
    )


def describe(x: Any) -> str:
    if type(x) is Box or owner_of_type(type(x)) is not None:
        return f"an array of shape {spec_of(x).shape} and dtype {spec_of(x).dtype}"
    shown = repr(x)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({type(x).__name__})"


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``f(*primals)``, and the function that pulls cotangents back through it.

    Returns ``(value, pullback)``, with ``has_aux`` ``(value, pullback, aux)`` for an ``f`` that returns
    ``(value, aux)``. ``pullback(cotangent)`` takes a cotangent in the containers, shapes and dtypes of
    the value, and returns a tuple with the cotangent of every primal, in theirs. It may be called any
    number of times.

    >>> import numpy as np
    >>> value, pullback = vjp(lambda x, y: x * y, np.array([1., 2.]), np.array([3., 4.]))
    >>> pullback(np.array([1., 1.]))
    (array([3., 4.]), array([1., 2.]))
    """
    check_function(f, "vjp", curried=False)
    trace = Trace(f, primals, range(len(primals)), has_aux, "vjp")
    for primal in trace.primals:
        trace.tape.constants.watch(settle(primal))
    value = trace.value()
    for path, leaf in leaves(value):
        if type(leaf) is not Box and not isinstance(leaf, (*_NUMBERS, int)) and owner_of_type(type(leaf)) is None:
            raise NotDifferentiableError(
                f"vjp: the function returned {describe(leaf)} at output{path}, which is not an array"
            )

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        return trace.pull(matching("vjp", cotangent, "the cotangent", value, "the value"), last=False)

    given, aux = tree_map(apart, value), tree_map(apart, trace.aux) if has_aux else None
    pool.drain()  # nobody knows when the way back will be gone
    return (given, pullback, aux) if has_aux else (given, pullback)


def matching(name: str, given: Any, what: str, value: Any, whose: str) -> list[Any]:
    """The leaves of a cotangent (or tangent), checked against the value that it belongs to."""
    wants, has = dict(leaves(value)), dict(leaves(given))
    if wants.keys() != has.keys():
        raise TypeError(
            f"{name}: {what} must have the containers of {whose}, whose leaves are "
            f"{[path or 'the value itself' for path in wants]}; got {[path or 'a single array' for path in has]}"
        )
    checked = []
    for path, want in wants.items():
        c = has[path]
        spec, got = spec_of(want), spec_of(c)
        backend_of((sample(want), sample(c)), f"{name}, of {whose}{path} (0) and {what}{path} (1)")
        if spec.shape != got.shape:
            raise ValueError(f"{name}: {what}{path} has shape {got.shape}, but {whose}{path} has {spec.shape}")
        if got.dtype != spec.dtype and not np.can_cast(got.dtype, spec.dtype, "same_kind"):
            raise TypeError(f"{name}: {what}{path} is of {got.dtype}, but {whose}{path} of {spec.dtype}")
        if type(c) in (int, float, complex, bool):
            c = ones_like(want) * spec.dtype.type(c)  # rules are given arrays, and of the value's backend
        elif got.dtype != spec.dtype:
            c = astype(c, dtype=spec.dtype)
        checked.append(c)
    return checked


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None
) -> Callable[..., Any]:
    """A function that returns the value of ``f`` and its gradient.

    ``f`` must return a real scalar (or an array that holds a single number). The gradient is with respect
    to the positional argument ``argnums`` (autograd's name for it, ``argnum``, does as well), or a tuple
    with one per argument for several; an argument may be an array, a number, or a container of them (dict,
    list, tuple, namedtuple, dataclass), and its gradient has the same containers, shapes and dtypes. For a
    complex argument it is ∂f/∂x - i ∂f/∂y, as in autograd and JAX. With ``has_aux``, ``f`` returns
    ``(value, aux)`` and so does the new function, as ``((value, aux), gradient)``.

    Raises ``NotDifferentiableError`` for an output that isn't a real scalar and for an input that isn't
    floating-point.

    >>> import numpy as np
    >>> value_and_grad(lambda x: np.sum(x ** 2))(np.array([1., 2.]))
    (np.float64(5.0), array([2., 4.]))
    """
    check_function(f, "value_and_grad")
    argnums = argnums if argnum is None else argnum
    several, numbers_of = chosen(argnums, "value_and_grad")

    @named_after(f, "value_and_grad", argnums)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        numbers = numbers_of(len(args))
        trace = Trace(functools.partial(f, **kwargs) if kwargs else f, args, numbers, has_aux, "grad")
        gradients = trace.pull([_seed(trace.result)], last=True)
        value = trace.value()
        out = (value, trace.aux) if has_aux else value
        return out, gradients if several else gradients[0]

    return value_and_gradient


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None
) -> Callable[..., Any]:
    """
    Returns a function which computes the gradient of ``f``; see ``value_and_grad``.

    With ``has_aux`` it returns ``(gradient, aux)``.

    >>> import numpy as np
    >>> grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> grad(grad(np.sin))(np.pi / 2)
    np.float64(-1.0)
    """
    check_function(f, "grad")
    argnums = argnums if argnum is None else argnum
    both = value_and_grad(f, argnums, has_aux)

    @named_after(f, "grad", argnums)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def elementwise_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, argnum: Argnums | None = None
) -> Callable[..., Any]:
    """The derivative of a function that works element by element, at every element at once.

    For other functions it is the sum of the Jacobian's rows: the gradient of ``sum(f(x))``.

    >>> import numpy as np
    >>> elementwise_grad(np.sin)(np.zeros(3))
    array([1., 1., 1.])
    """
    check_function(f, "elementwise_grad")
    argnums = argnums if argnum is None else argnum
    several, numbers_of = chosen(argnums, "elementwise_grad")

    @named_after(f, "elementwise_grad", argnums)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        numbers = numbers_of(len(args))
        trace = Trace(
            functools.partial(f, **kwargs) if kwargs else f,
            args,
            numbers,
            False,
            "elementwise_grad",
        )
        gradients = trace.pull([ones_like(leaf) for _, leaf in leaves(trace.result)], last=True)
        return gradients if several else gradients[0]

    return derivative


def check_function(f: Any, name: str, curried: bool = True) -> None:
    """Refuse what can't be called. ``curried``: whether ``name`` is given a function alone, and returns another."""
    if not callable(f):
        hint = f"; write {name}(f)(x), not {name}(f(x))" if curried else ", not what a function has returned"
        raise TypeError(f"{name}: expected a function, got {describe(f)}{hint}")


def named_after(f: Callable[..., Any], operator_name: str, argnums: Any) -> Decorator:
    """Name a function after the operator and the function that it comes from, as autograd does."""
    name = getattr(f, "__name__", "[unknown name]")
    doc = (
        f"    {operator_name} of function {name} with respect to argument number {argnums}. Takes the\n"
        f"    same arguments as {name} but returns the {operator_name}.\n\n{getattr(f, '__doc__', None) or ''}"
    )

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(function, f)
        function.__name__ = f"{operator_name}_of_{name}_wrt_argnum_{argnums}"
        function.__doc__ = doc
        return function

    return put


def chosen(argnums: Any, name: str) -> tuple[bool, Callable[[int], list[int]]]:
    """Whether several arguments are named; and their numbers, for a call with so many arguments."""
    several = not hasattr(argnums, "__index__")
    try:
        numbers = tuple(map(operator.index, argnums)) if several else (operator.index(argnums),)
        return several, functools.cache(functools.partial(_positive, numbers))
    except TypeError:
        raise TypeError(
            f"{name}: argnums is the number of a positional argument or a tuple of such numbers, got {argnums!r}"
        ) from None


def _positive(argnums: Sequence[int], count: int) -> list[int]:
    """``argnums`` counted from the front, each once and each among the ``count`` positional arguments."""
    for i in argnums:
        if not -count <= i < count:
            raise TypeError(
                f"grad: argnums={i}, but the function was called with {count} positional argument{'s' * (count != 1)}; "
                "an argument to differentiate must be positional"
            )
    numbers = [i % count for i in argnums]
    if len(set(numbers)) < len(numbers):
        raise TypeError(f"grad: argnums={tuple(argnums)} names an argument more than once")
    return numbers


def _seed(result: Any) -> Any:
    """The error signal of the output, v̄ₙ = 1; an error if the output has no gradient."""
    if type(result) is Box and isinstance(result.value, np.floating):
        return result.spec.dtype.type(1)  # the common case at once
    if children(result) is not None or (
        type(result) is not Box and not isinstance(result, (*_NUMBERS, int)) and owner_of_type(type(result)) is None
    ):
        hint = "; with a second result, say has_aux=True" if isinstance(result, tuple) and len(result) == 2 else ""
        raise NotDifferentiableError(f"grad: the function must return a real scalar, got {describe(result)}{hint}")
    spec = spec_of(result)
    if spec.dtype.kind == "b":
        raise NotDifferentiableError("grad: the function must return a real scalar, got a truth value")
    if spec.size != 1:
        raise NotDifferentiableError(
            f"grad: the function must return a real scalar, got an array of shape {spec.shape}. "
            "Sum it up, or use gpuad.elementwise_grad or gpuad.vjp"
        )
    if spec.dtype.kind == "c":
        raise NotDifferentiableError(
            "grad: the function must return a real scalar, got a complex one. Take its real part, or its absolute value"
        )
    return ones_like(result)

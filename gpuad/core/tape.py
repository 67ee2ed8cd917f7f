"""The tape: what reverse mode writes down while a program runs.

One record per argument that leads to a differentiated input, in the order of the calls. That order is
topological, so the sweep only has to read it backwards. A record is a plain tuple,

    (rule, out, parent, ans, x, y)

with the rule to call, the places of result and argument in the table of cotangents, and the values the
rule reads. A unary rule has ``UNARY`` for y. A rule of any other arity finds all it needs packed in x. The sum of two
arguments is one record, with the place of the second instead of ans.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from numpy import ndarray

from ..backend import backend_of
from ..errors import LeakedTracerError, NotDifferentiableError
from ..fused.pending import Pending, lift, settle
from .box import Box, Spec, make_box, make_spec, sample, spec_of, twin
from .constants import Constants
from .cotangent import Indexed, Parts
from .level import Level, innermost_level
from .memory import exclusive
from .primitive import Binary, Primitive, Unary, passes
from .untraced import UNTRACED, written

UNARY: Any = type("UNARY", (), {"__repr__": lambda self: "UNARY"})()
#: Stands for y in the record of an array that was written into: the rule is told whether it owns the cotangent.
REWRITTEN: Any = type("REWRITTEN", (), {"__repr__": lambda self: "REWRITTEN"})()

Record = tuple[Any, int, int, Any, Any, Any]


class Tape(Level):
    """Records the primitives that a program applies to the boxes of this level."""

    __slots__ = ("constants", "free", "plain", "records", "unused")

    def __init__(self) -> None:
        super().__init__()
        #: The records of one result lie side by side, also where threads of the program share the tape.
        self.records: list[Record] = []
        #: The places in the table of cotangents that aren't taken, as an iterator.
        self.free = itertools.count()
        #: The same while the tape is open. Without it an operation goes the long way, where it is refused.
        self.unused: Any = self.free
        #: Whether every cotangent will be an array, and nothing else of ``core.cotangent``.
        self.plain = True
        self.constants = Constants()

    def watch(self, value: Any, spec: Spec | None = None) -> Box:
        """A traced stand-in for ``value``, whose cotangent the sweep will find."""
        return make_box(value, self, next(self.free), spec or spec_of(value))

    def close(self) -> None:
        """From here on, an operation on a box of this tape is an error."""
        self.unused = None

    def add(self, *records: Record) -> None:
        """Append the records of one result. On a closed tape that is an error."""
        if self.unused is None:
            leaked()
        else:
            self.records.extend(records)

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if len(args) == 1 and prim.single is not None:
            return self.process_one(prim, args[0], params)
        values = self.opened(args)
        return self.record(prim, args, values, params, prim(*values, **params))

    def record(
        self, prim: Primitive, args: tuple[Any, ...], values: list[Any], params: dict[str, Any], ans: Any
    ) -> Any:
        """Write down that ``prim`` made ``ans`` of ``args``; ``values`` are these with our boxes opened."""
        if prim.piecewise_constant:
            return settle(ans)
        index, found, keep = None, [], self.constants.keep
        for k, a in enumerate(args):
            if type(a) is Box and a.level is self:
                pull = prim.pull(k)
                if pull is not None:
                    if index is None:
                        index = next(self.free)
                    kept_ans, kept = prim.residuals(k, ans, args, values, keep)
                    found.append((pull, index, a.index, kept_ans, (kept, params, k, a.spec), UNARY))
        if index is None:
            return settle(ans)
        if not prim.plain_vjps:
            self.plain = False
        self.add(*found)
        return self.boxed(ans, index)

    def process_one(self, prim: Primitive, x: Box, params: dict[str, Any]) -> Any:
        """``process`` in half the time, for an operation of one argument: reductions, changes of shape."""
        value = x.value
        ans = prim(value, **params) if type(value) is Box else prim.evaluate((value,), params)
        pull, reads_ans, reads_x = prim.single  # type: ignore[misc]
        kept = value if reads_x else x.spec
        if not prim.plain_vjps:
            self.plain = False
        index = next(self.free)
        self.add((pull, index, x.index, ans if reads_ans else None, ((kept,), params, 0, x.spec), UNARY))
        return self.boxed(ans, index)

    def boxed(self, ans: Any, index: int) -> Any:
        """What an operation returned, as boxes whose cotangents come to ``index``."""
        if type(ans) is tuple or type(ans) is list:
            return self._unpack(ans, index)
        spec = spec_of(ans)
        return make_box(lift(ans), self, index, spec) if spec.differentiable else without_derivative(ans, spec)

    def _unpack(self, ans: Any, index: int) -> tuple[Any, ...]:
        """Boxes for the results of an operation that has several."""
        specs = tuple(spec_of(a) for a in ans)
        boxes = []
        self.plain = False
        for k, (a, spec) in enumerate(zip(ans, specs, strict=True)):
            place = next(self.free)
            self.add((Parts.one, place, index, k, specs, UNARY))
            boxes.append(make_box(a, self, place, spec))
        return tuple(boxes)

    def part(self, prim: Primitive, x: Box, key: Any) -> Any:
        value, whole = x.value, x.spec
        ans = value[key]
        if type(key) is int:
            spec = whole.item
            if spec is None:
                spec = whole.item = make_spec(whole.shape[1:], whole.dtype)
        else:
            spec = spec_of(ans)
        if type(value) is not ndarray:
            ans = lift(ans)
        index = next(self.free)
        self.plain = False
        self.add((Indexed, index, x.index, whole, key, spec.size))
        box = Box()
        box.value = ans
        box.level = self
        box.index = index
        box.spec = spec
        return box

    def write(self, x: Box, v: Any, place: Any) -> None:
        if self.unused is None:
            leaked()
        ours, theirs = x.level is self, type(v) is Box and v.level is self
        content = exclusive(x) if ours or x.level is UNTRACED else twin(x)
        v_index, v_spec = (v.index, v.spec) if theirs else (0, None)
        content = written(content, self.opened((v,))[0], place)
        self.plain = False
        index, place = next(self.free), place.keeping(self.constants.keep)
        # The second is read first: it needs the cotangent as it is, before the first clears the place.
        found: list[Record] = []
        if ours:
            found.append((place, index, x.index, None, None, REWRITTEN))
        if theirs:
            found.append((place.take, index, v_index, None, (place, v_spec), UNARY))
        self.add(*found)
        x.value, x.level, x.index = content, self, index


# What a program of small arrays spends its time on is spelled out below: the short way of `process` and `make_box`
# for an elementwise operation whose result has the shape and dtype of its argument. A method that is looked up on an
# instance costs CPython as much as the rest of a line, hence `next(unused)`.
def unary_recorder(prim: Unary, otherwise: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A function that applies ``prim`` to a box; what isn't one, or comes with options, goes to ``otherwise``."""
    otherwise, host, impl = otherwise or prim, prim.host, prim.impl
    rule = reads_ans = reads_x = None

    def restate() -> None:
        nonlocal rule, reads_ans, reads_x
        ((rule, reads_ans, reads_x),) = prim.short

    prim.whenever_stated(restate)

    def apply(x: Any, /, *out: Any, **options: Any) -> Any:
        if type(x) is not Box or out or options:
            return otherwise(x, *out, **options)
        tape: Any = x.level
        unused = tape.unused
        if unused is None or rule is None:
            return tape.process(prim, (x,), {})
        value = x.value
        ans = host(value) if type(value) is ndarray else impl[type(value)](value)
        index = next(unused)
        tape.records.append((rule, index, x.index, ans if reads_ans else None, value if reads_x else None, UNARY))
        box = Box()
        box.value = ans
        box.level = tape
        box.index = index
        box.spec = x.spec
        return box

    return apply


def binary_recorder(prim: Binary) -> Callable[[Any, Any], Any]:
    """A function that applies ``prim`` to two arguments, of which one or both are boxes."""
    of_first, of_second = operators(prim, yields=False)

    def apply(x: Any, y: Any) -> Any:
        return of_first(x, y) if type(x) is Box else of_second(y, x)

    return apply


def operators(prim: Binary, *, yields: bool = True) -> tuple[Callable[[Box, Any], Any], Callable[[Box, Any], Any]]:
    """``x op y`` for a box ``x``, and ``y op x`` for a box ``x`` where ``y`` isn't one.

    Where the other argument is of a class that knows how to do it they leave it the work, if they are to (``yields``).
    """
    host, impl = prim.host, prim.impl
    rule1 = ans1 = first1 = second1 = shares1 = None
    rule2 = ans2 = first2 = second2 = shares2 = None

    def restate() -> None:
        nonlocal rule1, ans1, first1, second1, shares1, rule2, ans2, first2, second2, shares2
        (rule1, ans1, first1, second1), (rule2, ans2, first2, second2) = prim.short
        shares1, shares2 = rule1 is passes, rule2 is passes

    prim.whenever_stated(restate)

    def of_first(x: Box, y: Any) -> Any:
        tape: Any = x.level
        unused = tape.unused
        if unused is None or rule1 is None:
            return process(x, y)
        xv, spec, kind = x.value, x.spec, type(y)
        if kind is Box:
            if y.level is not tape:
                return process(x, y)
            yv = y.value
            ans = host(xv, yv) if type(xv) is ndarray is type(yv) else prim(xv, yv)
            if y.spec is not spec:  # one of them was broadcast or promoted, which its rule knows nothing of
                return tape.record(prim, (x, y), [xv, yv], {}, ans)
            index = next(unused)
            if shares1 and shares2:
                tape.records.append((passes, index, x.index, y.index, None, None))
            else:
                tape.records += (
                    (rule1, index, x.index, ans if ans1 else None, xv if first1 else None, yv if second1 else None),
                    (
                        rule2, index, y.index,
                        ans if ans2 else None, xv if first2 else None, yv if second2 else None,
                    ),
                )  # fmt: skip
        else:
            if kind is float or kind is int:
                if type(xv) is ndarray:
                    try:
                        y = spec.numbers[y]
                    except KeyError:
                        if spec.dtype.kind == "V":  # NumPy makes something else of bfloat16 and a number
                            return process(x, y)
                        y = spec.number(y)
                    ans = host(xv, y)
                else:
                    ans = impl[type(xv)](xv, y)
            elif kind is list or kind is tuple:
                return process(x, y)
            else:
                if kind is ndarray and isinstance(xv, Pending):
                    y = tape.constants.copied(y)
                try:
                    ans = prim(xv, y)
                except TypeError:
                    if yields and _takes_over(y):
                        return NotImplemented
                    raise
                if spec_of(ans) is not spec:
                    return tape.record(prim, (x, y), [xv, y], {}, ans)
                if second1:
                    y = tape.constants.keep(y)
            if shares1:
                index = x.index  # the cotangents of x and of x + constant are one: they share a place, without a record
            else:
                index = next(unused)
                tape.records.append(
                    (rule1, index, x.index, ans if ans1 else None, xv if first1 else None, y if second1 else None)
                )
        box = Box()
        box.value = ans
        box.level = tape
        box.index = index
        box.spec = spec
        return box

    def of_second(y: Box, x: Any) -> Any:
        tape: Any = y.level
        unused = tape.unused
        kind = type(x)
        if unused is None or rule2 is None or kind is list or kind is tuple:
            return process(x, y)
        yv, spec = y.value, y.spec
        if kind is float or kind is int:
            if type(yv) is ndarray:
                try:
                    x = spec.numbers[x]
                except KeyError:
                    if spec.dtype.kind == "V":
                        return process(x, y)
                    x = spec.number(x)
                ans = host(x, yv)
            else:
                ans = impl[type(yv)](x, yv)
        else:
            if kind is ndarray and isinstance(yv, Pending):
                x = tape.constants.copied(x)
            ans = prim(x, yv)
            if spec_of(ans) is not spec:
                return tape.record(prim, (x, y), [x, yv], {}, ans)
            if first2:
                x = tape.constants.keep(x)
        if shares2:
            index = y.index
        else:
            index = next(unused)
            tape.records.append(
                (rule2, index, y.index, ans if ans2 else None, x if first2 else None, yv if second2 else None)
            )
        box = Box()
        box.value = ans
        box.level = tape
        box.index = index
        box.spec = spec
        return box

    def process(x: Any, y: Any) -> Any:
        if yields and prim.name == "multiply":
            number, sequence = (x, y) if type(x) is Box else (y, x)
            if type(sequence) in (list, tuple) and type(number.value) is int:
                return sequence * number.__index__()  # type: ignore[union-attr]  # a number that `jit` records
        if type(x) is not Box:
            x = beside(y, x)
        elif type(y) is not Box:
            y = beside(x, y)
        level = innermost_level((x, y))
        assert level is not None
        try:
            return level.process(prim, (x, y), {})
        except TypeError:
            if yields and _takes_over(y):
                return NotImplemented
            raise

    return of_first, of_second


def _takes_over(y: Any) -> bool:
    """Whether ``y`` is of a class that applies ufuncs in its own way, to what it holds: xarray's, for one."""
    cls = type(y)
    return cls is not Box and not issubclass(cls, ndarray) and getattr(cls, "__array_ufunc__", None) is not None


def beside(x: Box, y: Any) -> Any:
    """``y``, and what is a list as an array of the backend that ``x`` is on: rules calculate with it."""
    return backend_of((sample(x),)).asarray(y) if type(y) is list or type(y) is tuple else y


def without_derivative(ans: Any, spec: Spec) -> Any:
    """What an operation gave that isn't floating-point; an error if that isn't whole numbers either."""
    if spec.dtype.kind in "biu":
        return ans
    raise NotDifferentiableError(
        f"an operation on a traced array gave {spec.dtype}, whose derivative would be lost in silence; make its "
        "other arguments floating-point numbers or arrays of them, as with numpy.asarray(x, float)"
    )


#: Whether a function is being run again that belongs to transformations which may have ended: see ``core.closure``.
rerunning: ContextVar[bool] = ContextVar("a function is run again", default=False)


def leaked(record: Record | None = None) -> None:
    if rerunning.get():
        return
    raise LeakedTracerError(
        "a traced array was used after the function it belongs to had returned: it was kept in a variable outside. "
        "Return it from the function (has_aux=True), or keep gpuad.stop_gradient(x) instead"
    )

"""Fewer steps with the same result: equal ones merged, those that do nothing dropped, constants computed.

Only what is exact is done, for zeros with a sign, infinities and NaN too: ``x * 1`` and ``x - 0.0`` are ``x``, but
``x + 0.0`` isn't, where ``x`` is -0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..core.box import Spec, c_strides, make_spec, spec_of
from ..core.memory import View
from ..core.primitive import Elementwise, Primitive
from ..core.record import PythonOperator, Step, Value
from ..ops.contract import matmul
from ..ops.declare import broadcast_to, registry
from ..ops.elementwise import multiply, subtract
from ..ops.shape import reshape, transpose
from . import signs
from .stretches import scatter_in_stretches
from .zeros import Zeros, scaled_rows

_COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or"})
#: A constant of more entries isn't looked at.
_LOOKED_AT = 1 << 20
#: What is computed beforehand is kept: no more than so many bytes.
_KEPT = 1 << 16


class Simplifier:
    """Goes through steps in their order. ``values`` are known to it by number; what it adds has negative numbers."""

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}
        #: What stands for a value, where that isn't itself.
        self.same: dict[int, int] = {}
        #: The step that made a value; and the results of a step, by what it does.
        self.made: dict[int, Step] = {}
        self.table: dict[Any, tuple[int, ...]] = {}
        #: Of constants, the number that all entries are, once that was asked.
        self.numbers: dict[int, Any] = {}
        #: Python's numbers among the constants.
        self.pythons: dict[Any, int] = {}
        #: What is known of arrays that are mostly zero.
        self.zeros = Zeros(self)
        self.next = -1
        self.steps: list[Step] = []
        #: The stretch of the program that it went through last.
        self.tip: Any = None

    def fork(self, bound: int, next: int) -> Simplifier:
        """Another one that knows what this one knew when values had numbers between these."""
        other = Simplifier()
        other.values = {k: v for k, v in self.values.items() if next < k < bound}
        other.same = {k: v for k, v in self.same.items() if next < k < bound}
        other.made = {k: v for k, v in self.made.items() if next < k < bound}
        other.table = {k: v for k, v in self.table.items() if all(next < out < bound for out in v)}
        other.pythons = {k: v for k, v in self.pythons.items() if next < v < bound}
        other.zeros = self.zeros.fork(other, bound, next)
        other.next = next
        return other

    def take(self, steps: Iterable[Step]) -> list[Step]:
        """What is left of them."""
        self.steps = []
        for step in steps:
            self.add(step)
        return self.steps

    def _as_known(self, place: int) -> int:
        """The same, or of a Python number the constant that was met first."""
        raw = self.values[place].raw
        return self.pythons.setdefault((type(raw), repr(raw)), place) if type(raw) in (int, float) else place

    def find(self, place: int) -> int:
        return self.same.get(place, place)

    def add(self, step: Step) -> None:
        """Take a recorded step."""
        args = tuple([self._as_known(self.find(a)) for a in step.args])
        if args != step.args:
            step = _with(step, args)
        if len(step.outs) == 1 and not step.several:
            known = self._is_operand(step)
            if known is not None and self._alike(known, step.outs[0]):
                self.same[step.outs[0]] = known
                return
            rewrite = _REWRITES.get(step.prim.name) if isinstance(step.prim, Primitive) else None
            if rewrite is not None and rewrite(self, step):
                return
            if isinstance(step.prim, Primitive) and self.zeros.add(step):
                return
            if step.prim.__class__ is not PythonOperator and step.prim.elementwise:
                step = self.without_broadcasts(step)
        self.put(step)

    def step(self, prim: Any, args: tuple[int, ...], like: Step, value: Value, **params: Any) -> int:
        """One step more, where ``like`` was; returns the number of its result."""
        out = self.new(value)
        self.put(Step(prim, args, params, (out,), False, like.backend, like.errstate, like.line, like.units))
        return self.find(out)

    def new(self, value: Value) -> int:
        """A number for one value more."""
        out = self.next
        self.next -= 1
        self.values[out] = value
        return out

    def constant(self, raw: Any) -> int:
        if type(raw) in (int, float):
            known = self.pythons.get((type(raw), repr(raw)))
            if known is None:
                known = self.pythons[type(raw), repr(raw)] = self.new(Value(spec_of(raw), None, (), raw))
            return known
        return self.new(Value(spec_of(raw), getattr(raw, "strides", None), (), raw))

    def put(self, step: Step) -> None:
        key = self._key(step) if is_pure(step.prim) else None
        if key is not None:
            known = self.table.get(key)
            if known is not None:
                self.same.update(zip(step.outs, known, strict=True))
                return
            self.table[key] = step.outs
            if all(self._constant(a) is not None for a in step.args) and not step.several and self._fold(step):
                return
        for out in step.outs:
            self.made[out] = step
        self.steps.append(step)

    def _key(self, step: Step) -> Any:
        args = step.args
        if step.prim.name in _COMMUTATIVE and len(args) == 2:
            args = tuple(sorted(args))
        errors = tuple(sorted(step.errstate.items())) if step.errstate else None
        return step.prim, args, tuple([(k, hashed(v)) for k, v in step.params.items()]), errors

    def _fold(self, step: Step) -> bool:
        if type(step.prim) is PythonOperator or self.values[step.outs[0]].spec.size * 16 > _KEPT:
            return False
        raw = step.prim.evaluate([self.values[a].raw for a in step.args], step.params)
        (out,) = step.outs
        if spec_of(raw) is not self.values[out].spec:
            return False
        self.values[out] = self.values[out]._replace(raw=raw, shares=())
        return True

    # -- what is known of values --
    def spec(self, place: int) -> Spec:
        return self.values[place].spec

    def _constant(self, place: int) -> Any:
        return self.values[place].raw

    def number(self, place: int) -> Any:
        """The number that all entries of a constant are; ``None`` if it isn't a constant, or they differ."""
        known = self.numbers.get(place, self)
        if known is self:
            known = self.numbers[place] = self._number(place)
        return known

    def _number(self, place: int) -> Any:
        value = self.values[place]
        raw = value.raw
        if raw is None or value.spec.dtype.kind not in "fciu":
            return None
        if type(raw) in (int, float, complex):
            return raw
        if isinstance(raw, np.generic):
            return raw
        if not isinstance(raw, np.ndarray) or not raw.size:
            return None
        if not any(raw.strides):
            return raw[(0,) * raw.ndim]
        if raw.size > _LOOKED_AT:
            return None
        rows = np.ascontiguousarray(raw).reshape(-1, 1).view(np.uint8)
        return raw.flat[0] if (rows == rows[0]).all() else None

    def _alike(self, known: int, out: int) -> bool:
        """Whether the value ``known`` may stand for ``out``."""
        a, b = self.values[known], self.values[out]
        return a.spec is b.spec and (a.strides is None) == (b.strides is None) and self._kind(known) == self._kind(out)

    def _kind(self, place: int) -> bool:
        return type(self.values[place].raw) in (int, float, complex, bool)

    def _is_operand(self, step: Step) -> int | None:
        """The operand that the result of a step is, if it is one."""
        if not isinstance(step.prim, Primitive) or registry.get(step.prim.name) is not step.prim:
            return None
        name, args = step.prim.name, step.args
        x = args[0]
        if name in _NOTHING:
            return x
        if name in ("reshape", "broadcast_to", "sum_to", "spread"):
            return x if self.spec(x).shape == step.params["shape"] else None
        if name == "conjugate" or name == "real":
            return x if self.spec(x).dtype.kind in "fiu" else None
        if name == "astype":
            return x
        if name == "transpose":
            axes, ndim = step.params["axes"], self.spec(x).ndim
            order = tuple(range(ndim))[::-1] if axes is None else axes
            return self._under(x, "transpose", order) if order != tuple(range(ndim)) else x
        if name == "negative":
            made = self.made.get(x)
            return made.args[0] if made is not None and made.prim is step.prim else None
        if len(args) == 2:
            y = args[1]
            by_one = self.spec(step.outs[0]).dtype.kind != "c"  # infinity times 1 + 0j has a part that is NaN
            if by_one and name == "multiply" and self._is(x, 1):
                return y
            if by_one and name in ("multiply", "divide") and self._is(y, 1):
                return x
            if self.spec(x).dtype.kind == "f":
                if (name == "subtract" and self._is_zero(y, 1.0)) or (name == "add" and self._is_zero(y, -1.0)):
                    return x
                if name == "add" and self._is_zero(x, -1.0):
                    return y
        return None

    def _is(self, place: int, number: float) -> bool:
        found = self.number(place)
        return found is not None and bool(found == number)

    def _is_zero(self, place: int, sign: float) -> bool:
        found = self.number(place)
        if found is None or type(found) is complex or np.iscomplexobj(found):
            return False
        return bool(found == 0) and float(np.copysign(1.0, found)) == sign

    def _under(self, x: int, name: str, order: tuple[int, ...]) -> int | None:
        """What was transposed to ``x`` before, if this transposes it back."""
        made = self.made.get(x)
        if made is None or made.prim.name != name:
            return None
        axes = made.params["axes"]
        before = tuple(range(len(order)))[::-1] if axes is None else axes
        return made.args[0] if [before[i] for i in order] == list(range(len(order))) else None

    # -- broadcasting is what elementwise operations do by themselves --
    def without_broadcasts(self, step: Step) -> Step:
        shape = self.spec(step.outs[0]).shape
        if not shape:
            return step
        args = list(step.args)
        for k, a in enumerate(args):
            narrow = self._before_broadcast(a)
            if narrow is None:
                continue
            shapes = [self.spec(b).shape for b in (*args[:k], narrow, *args[k + 1 :])]
            if np.broadcast_shapes(*shapes) == shape:
                args[k] = narrow
        return step if tuple(args) == step.args else _with(step, tuple(args))

    def _before_broadcast(self, place: int) -> int | None:
        made = self.made.get(place)
        if made is not None and made.prim is broadcast_to:
            return made.args[0]
        raw = self.values[place].raw
        number = self.number(place) if isinstance(raw, np.ndarray) and raw.ndim else None
        if number is None:
            return None
        return self.constant(np.array(number))


_NOTHING = frozenset({"positive", "stop_gradient"})


def _with(step: Step, args: tuple[int, ...]) -> Step:
    return Step(
        step.prim, args, step.params, step.outs, step.several, step.backend, step.errstate, step.line, step.units
    )


def is_pure(prim: Any) -> bool:
    """Whether an operation does nothing but to compute its result, always the same. That of a user may do more."""
    kind = type(prim)
    if kind is PythonOperator:
        return True
    if registry.get(prim.name) is prim or isinstance(prim, (Elementwise, View)):
        return True
    return kind is Primitive and prim.name in _INNER


_INNER = frozenset("bitwise_and bitwise_or bitwise_xor invert left_shift right_shift scatter_at copied".split())


def hashed(x: Any) -> Any:
    """Something hashable that stands for a parameter."""
    kind = type(x)
    if kind is tuple or kind is list:
        return kind, tuple(map(hashed, x))
    if kind is slice:
        return kind, hashed(x.start), hashed(x.stop), hashed(x.step)
    if kind is float or kind is complex:
        return kind, repr(x)
    if kind in (int, str, bool, type(None)) or isinstance(x, np.dtype):
        return kind, x
    return _ById(x)


class _ById:
    """Equal to itself alone, and keeps what it is about."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is _ById and other.x is self.x

    def __hash__(self) -> int:
        return id(self.x)


# -- steps that become others ---------------------------------------------------------------------------
def _power_of_number(s: Simplifier, step: Step) -> bool:
    """The products that such a power is."""
    exponent = step.params["exponent"]
    (x,), (out,) = step.args, step.outs
    if exponent not in (3, 4) or s.values[out].strides is None:
        return False
    value = s.values[out]._replace(shares=())
    square = s.step(multiply, (x, x), step, value)
    s.same[out] = s.step(multiply, (square, x if exponent == 3 else square), step, value)
    return True


def _spread(s: Simplifier, step: Step) -> bool:
    """Axes of length 1, along which it is broadcast then."""
    shape, axis = step.params["shape"], step.params["axis"]
    (y,), (out,) = step.args, step.outs
    kept = tuple(1 if i in axis else n for i, n in enumerate(shape)) if axis is not None else None
    if kept is not None and len(axis) < len(shape) and s.spec(y).shape != kept:
        if s.values[y].strides is None:
            return False
        spec = make_spec(kept, s.spec(y).dtype)
        y = s.step(reshape, (y,), step, Value(spec, c_strides(spec), (y,)), shape=kept, order="C")
    if s.values[out].strides is not None:
        s.put(Step(broadcast_to, (y,), {"shape": shape}, (out,), False, step.backend, step.errstate, step.line))
        s.values[out] = s.values[out]._replace(shares=(y,))
        return True
    return False


def _sum_to(s: Simplifier, step: Step) -> bool:
    """The sum of what was broadcast before: so many times the same."""
    (x,), (out,) = step.args, step.outs
    made = s.made.get(x)
    if made is None or made.prim is not broadcast_to:
        return False
    y = made.args[0]
    if s.spec(y) is not s.spec(out) or s.values[y].strides is None or s.spec(y).dtype.kind not in "fc":
        return False
    if not s.spec(out).size:
        return False
    count = float(s.spec(x).size // s.spec(out).size)
    s.put(_replaced(step, multiply, (y, s.constant(count))))
    return True


def _add(s: Simplifier, step: Step) -> bool:
    """``x + (-y)`` is ``x - y``, to the last bit."""
    x, y = step.args
    for a, b in ((x, y), (y, x)):
        made = s.made.get(b)
        if made is not None and made.prim.name == "negative" and made.prim is registry["negative"]:
            if s.spec(b).dtype.kind != "f" or s.spec(a).dtype.kind != "f" or made.errstate != step.errstate:
                return False
            s.put(s.without_broadcasts(_replaced(step, subtract, (a, made.args[0]))))
            return True
    return False


def _matrix_product(s: Simplifier, step: Step) -> bool:
    """The rows of a matrix, scaled, where the other is diagonal; and an ``einsum`` of two matrices as their product."""
    if scaled_rows(s.zeros, step):
        return True
    if step.prim is matmul:
        return False
    a, b, c = step.params["subscripts"].replace("->", ",").split(",")
    if len(a) != 2 or len(b) != 2 or len(c) != 2 or len({*a, *b}) != 3 or {*c} != {*a} ^ {*b}:
        return False
    if c[0] not in a or any(s.values[x].strides is None for x in (*step.args, *step.outs)):
        return False
    x, y = step.args
    if a[0] != c[0]:
        x = s.step(transpose, (x,), step, _transposed(s.values[x], x), axes=None)
    if b[1] != c[1]:
        y = s.step(transpose, (y,), step, _transposed(s.values[y], y), axes=None)
    s.put(_replaced(step, matmul, (x, y)))
    return True


def _transposed(value: Value, place: int) -> Value:
    spec, strides = value.spec, value.strides or ()
    return Value(make_spec(spec.shape[::-1], spec.dtype), strides[::-1], (place,))


def _replaced(step: Step, prim: Primitive, args: tuple[int, ...]) -> Step:
    return Step(prim, args, {}, step.outs, False, step.backend, step.errstate, step.line, step.units)


_REWRITES: dict[str, Callable[[Simplifier, Step], bool]] = {
    "power_of_number": _power_of_number,
    "spread": _spread,
    "sum_to": _sum_to,
    "add": _add,
    "negative": signs.negated,
    "multiply": signs.product,
    "divide": signs.product,
    "subtract": signs.difference,
    "matmul": _matrix_product,
    "einsum": _matrix_product,
    "scatter_add": scatter_in_stretches,
}

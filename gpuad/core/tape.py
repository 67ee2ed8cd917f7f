"""The tape: what reverse mode writes down while a program runs.

One record per argument that leads to a differentiated input, in the order of the calls. That order is
topological, so the sweep only has to read it backwards. A record is a plain tuple,

    (rule, out, parent, ans, x, y)

with the rule to call, the places of result and argument in the table of cotangents, and the values the
rule reads. A unary rule has ``UNARY`` for y. A rule of any other arity finds all it needs packed in x.
"""

from __future__ import annotations

import itertools
from typing import Any, NoReturn

from numpy import ndarray

from ..backend.recycle import recyclable
from ..errors import LeakedTracerError
from .box import Box, Spec, make_spec, spec_of
from .cotangent import Indexed, Parts
from .level import Level
from .primitive import Binary, Primitive, Unary

UNARY: Any = type("UNARY", (), {"__repr__": lambda self: "UNARY"})()

Record = tuple[Any, int, int, Any, Any, Any]

_new = object.__new__


class Tape(Level):
    """Records the primitives that a program applies to the boxes of this level."""

    __slots__ = ("append", "new_index", "records")

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.append: Any = self.records.append
        self.new_index: Any = itertools.count().__next__

    def watch(self, value: Any) -> Box:
        """A traced stand-in for ``value``, whose cotangent the sweep will find."""
        return self.box(value, self.new_index(), spec_of(value))

    def box(self, value: Any, index: int, spec: Spec) -> Box:
        box = _new(Box)
        box.value = value
        box.level = self
        box.index = index
        box.spec = spec
        return box

    def close(self) -> None:
        """From here on, an operation on a box of this tape is an error."""
        self.append = _leaked

    def process(self, prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        traced = [type(a) is Box and a.level is self for a in args]
        values = [a.value if t else a for a, t in zip(args, traced, strict=True)]
        ans = prim(*values, **params)
        if prim.piecewise_constant:
            return recyclable(ans)
        index = None
        for k, a in enumerate(args):
            if traced[k]:
                pull = prim.pull(k)
                if pull is not None:
                    if index is None:
                        index = self.new_index()
                    kept_ans, kept = prim.residuals(k, ans, values, traced)
                    self.append((pull, index, a.index, kept_ans, (kept, params, k, a.spec), UNARY))
        if index is None:
            return ans
        if type(ans) is tuple or type(ans) is list:
            return self._unpack(ans, index)
        spec = spec_of(ans)
        return self.box(recyclable(ans), index, spec) if spec.dtype.kind in "fc" else ans

    def _unpack(self, ans: Any, index: int) -> tuple[Any, ...]:
        """Boxes for the results of an operation that has several."""
        specs = tuple(spec_of(a) for a in ans)
        boxes = []
        for k, (a, spec) in enumerate(zip(ans, specs, strict=True)):
            place = self.new_index()
            self.append((Parts.one, place, index, k, specs, UNARY))
            boxes.append(self.box(a, place, spec))
        return tuple(boxes)

    # The three short ways spell out what `box` and `process` do: they are what a program of small arrays
    # spends its time on.
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
            ans = recyclable(ans)
        index = self.new_index()
        self.append((Indexed, index, x.index, whole, key, spec.size))
        box = _new(Box)
        box.value = ans
        box.level = self
        box.index = index
        box.spec = spec
        return box

    def unary(self, prim: Unary, x: Box) -> Any:  # type: ignore[override]
        if not prim.plain:
            return self.process(prim, (x,), {})
        value = x.value
        ans = prim.impl[type(value)](value)
        index = self.new_index()
        self.append(
            (
                prim.vjp,
                index,
                x.index,
                ans if prim.keeps_ans else None,
                value if prim.keeps_x else None,
                UNARY,
            )
        )
        box = _new(Box)
        box.value = ans
        box.level = self
        box.index = index
        box.spec = x.spec
        return box

    def binary(self, prim: Binary, x: Any, y: Any) -> Any:  # type: ignore[override]
        if not prim.plain:
            return self.process(prim, (x, y), {})
        # Of two boxes, the caller asks the level of the first; the innermost level is to decide.
        if type(x) is Box and x.level is self:
            xv, spec = x.value, x.spec
            kind = type(y)
            if kind is float or kind is int:
                if type(xv) is ndarray:
                    y = spec.numbers[y] if y in spec.numbers else spec.number(y)
                ans = prim.impl[type(xv)](xv, y)
                index = self.new_index()
                a, b, c = prim.keeps_for_x
                self.append(
                    (
                        prim.vjp_x,
                        index,
                        x.index,
                        ans if a else None,
                        xv if b else None,
                        y if c else None,
                    )
                )
            elif kind is Box and y.spec is spec and y.level is self:
                yv = y.value
                ans = prim.impl[type(xv)](xv, yv) if type(xv) is type(yv) else prim(xv, yv)
                index = self.new_index()
                a, b, c = prim.keeps_for_x
                self.append(
                    (
                        prim.vjp_x,
                        index,
                        x.index,
                        ans if a else None,
                        xv if b else None,
                        yv if c else None,
                    )
                )
                a, b, c = prim.keeps_for_y
                self.append(
                    (
                        prim.vjp_y,
                        index,
                        y.index,
                        ans if a else None,
                        xv if b else None,
                        yv if c else None,
                    )
                )
            elif kind is Box and y.level.depth > self.depth:
                return y.level.binary(prim, x, y)
            else:
                return self.process(prim, (x, y), {})
        elif type(x) is float or type(x) is int:
            yv, spec = y.value, y.spec
            if type(yv) is ndarray:
                x = spec.numbers[x] if x in spec.numbers else spec.number(x)
            ans = prim.impl[type(yv)](x, yv)
            index = self.new_index()
            a, b, c = prim.keeps_for_y
            self.append(
                (
                    prim.vjp_y,
                    index,
                    y.index,
                    ans if a else None,
                    x if b else None,
                    yv if c else None,
                )
            )
        else:
            return self.process(prim, (x, y), {})
        box = _new(Box)
        box.value = ans
        box.level = self
        box.index = index
        box.spec = spec
        return box


def _leaked(record: Record) -> NoReturn:
    raise LeakedTracerError(
        "a traced array was used after the function it belongs to had returned: it was kept in a variable outside. "
        "Return it from the function (has_aux=True), or keep gpuad.stop_gradient(x) instead"
    )

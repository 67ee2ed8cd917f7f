"""The reverse sweep: from the error signal of the output back to the inputs.

v̄ₙ is given; then, backwards through the records, every operation adds (∂vⱼ/∂vᵢ)ᵀ v̄ⱼ to its argument's v̄ᵢ.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

from numpy import ndarray

from .box import spec_of
from .cotangent import LAZY, Chosen, Lazy, Parts, add
from .memory import View
from .primitive import passes
from .tape import REWRITTEN, UNARY, Tape

#: By how many a cotangent is referred to that only the sweep has: its variable, and the argument.
_ALONE = 2


def sweep(tape: Tape, seeds: dict[int, Any], inputs: list[int], *, last: bool) -> list[Any]:
    """The cotangents of ``inputs``, ``None`` where nothing of the seeds arrives.

    ``seeds`` are the cotangents of outputs, by index; they are taken out. ``last``: the tape won't be swept again,
    so its records go as they are read, and with them the memory of the residuals.
    """
    unary, plain = UNARY, tape.plain
    table: list[Any] = [None] * next(tape.free)
    owned = [False] * len(table)  # which cotangents are buffers of our own, that may be added into
    while seeds:
        index, table[index] = seeds.popitem()
    records = tape.records if last else tape.records.copy()
    pop = records.pop
    current, g, chosen = -1, None, False
    while records:
        rule, out, parent, ans, x, y = pop()
        if out != current:
            # A result's records lie side by side, so here its cotangent has all its parts.
            current = out
            g = table[out]
            if g is None:
                continue
            table[out] = None
            if not plain:
                chosen = False
                if type(g) in LAZY and rule is not Parts.one:
                    if type(g) is Chosen:
                        chosen = True
                    else:
                        g, owned[out] = g.dense(), True
        elif g is None:
            continue
        if rule is passes:
            h = g
            if ans is not None:  # the place of the other argument, to which it passes as well
                c = table[ans]
                if c is None:
                    table[ans] = g
                elif owned[ans] and type(c) is ndarray and type(g) is ndarray:
                    c += g
                else:
                    table[ans], owned[ans] = add(c, g, owned[ans])
        elif plain:
            h = rule(g, ans, x) if y is unary else rule(g, ans, x, y)
        elif y is REWRITTEN:
            # What waits may be going to read it.
            h = _of_rewritten(g, rule) if chosen else rule(g, owned[out] and getrefcount(g) <= _ALONE)
            if table[parent] is None:
                table[parent], owned[parent] = h, True
                continue
        elif chosen:
            h = _of_chosen(g, rule, ans, x, y)
        else:
            h = rule(g, ans, x) if y is unary else rule(g, ans, x, y)
        c = table[parent]
        if c is None:
            table[parent] = h
        elif owned[parent] and type(c) is ndarray and type(h) is ndarray:
            c += h
        else:
            table[parent], owned[parent] = add(c, h, owned[parent])
    return [g.dense() if isinstance(g, Lazy) else g for g in map(table.__getitem__, inputs)]


def _of_chosen(g: Chosen, rule: Any, ans: Any, x: Any, y: Any) -> Any:
    """What a rule makes of a cotangent that counts in chosen entries only."""
    if getattr(rule, "entrywise", False):
        return g.become(rule(g.array, ans, x) if y is UNARY else rule(g.array, ans, x, y))
    prim = getattr(rule, "primitive", None)
    if prim is not None and prim.elementwise:
        args, params, k, spec = x
        h = g.become(prim.vjps[k](g.array, ans, *args, **params))
        same = spec_of(h.array).shape == spec.shape
        fitted = h.array if same else h.dense()
        if rule.finish is not None:
            fitted = rule.finish(fitted, spec, prim, k)
        return h.become(fitted) if same else fitted
    if prim is not None and isinstance(prim, View) and prim.rearranges:
        _, params, k, spec = x
        undo = prim.vjps[k]
        return Chosen(undo(g.array, None, spec, **params), undo(g.condition, None, spec, **params), g.when, g.clear)
    h = rule(g.dense(), ans, x) if y is UNARY else rule(g.dense(), ans, x, y)
    return h.narrow(g) if type(h) is Chosen else h


def _of_rewritten(g: Chosen, rule: Any) -> Chosen:
    """The cotangent of what had been there before something was written: what wasn't chosen still doesn't count."""
    h = rule(g.dense(), not g.clear)
    return h.narrow(g) if type(h) is Chosen else Chosen(h, g.condition, g.when)

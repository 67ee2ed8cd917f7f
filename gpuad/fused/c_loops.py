"""Loops along a row as functions of their own in C, where a plan has so many that compilers would take seconds.

What takes long is the hundredth sine as much as the first, and one function of ten thousand instructions more than a
hundred of a hundred. So every loop becomes a function that isn't put in place of its calls, and loops that have the
same text but for the names of what they read and write, as those of a repeated layer, are one.
"""

from __future__ import annotations

import re

from .c_types import memory_type, sum_type, value_type
from .plan import Plan

#: What loops name beside their index: places in arrays and buffers, numbers, values at a point, and their bounds.
_NAME = re.compile(r"\b(?:(at|row|part|to_out|to_sum|block_?|v|wide|stride|pitch|from|to)(\d+)\w*|start|stop)\b")
#: The names that a loop defines.
_OWN = re.compile(r"\b((?:v|wide)\d+) = ")


class Loops:
    """The loops of one kernel, ``name``, that are functions: what they are called, by their text."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan, self._name = plan, name
        self._known: dict[tuple[str, str, str], str] = {}

    def call(self, lines: list[str], returns: str = "void") -> str:
        """A call, in C, of the function of the type ``returns`` that has these lines. They change no variable that
        they don't define, but memory."""
        body = "\n".join(f"    {line}" for line in lines)
        names: dict[str, str] = {}  # as they are in the function
        for found in _NAME.finditer(body):
            names.setdefault(found[0], f"{found[1] or found[0]}{len(names)}")
        own = set(_OWN.findall(body))
        given = [name for name in names if name not in own]
        head = ", ".join(f"{self._type_of(name)}{names[name]}" for name in given)
        body = _NAME.sub(lambda found: names[found[0]], body)
        called = self._known.setdefault((returns, head, body), f"{self._name}_loop{len(self._known)}")
        return f"{called}({', '.join(given)})"

    def functions(self) -> list[str]:
        """What is called, to stand before the kernel."""
        return [
            f"static __attribute__((noinline)) {returns} {name}({head}) {{\n{body}\n}}"
            for (returns, head, body), name in self._known.items()
        ]

    def _type_of(self, name: str) -> str:
        """The type of what a function is given, as it stands before the name."""
        found = _NAME.fullmatch(name)
        assert found is not None
        kind, number = found[1], int(found[2] or 0)
        if kind == "v":
            return f"{value_type(self._plan.dtype_of(number))} "
        if kind == "at":
            return f"const {memory_type(self._plan.operands[number].dtype)} *"
        if kind in ("row", "part"):
            return f"{value_type(self._plan.dtype_of(number))} *"
        if kind == "to_out":
            return f"{memory_type(self._plan.outputs[number].dtype)} *"
        if kind == "to_sum":
            return f"{sum_type(self._plan.outputs[number].dtype)} *"
        return "double *" if kind in ("block", "block_") else "int64_t "

"""What the code of a function says about what it reads from around it, and assigns to."""

from __future__ import annotations

import dis
import functools
import types
from typing import Any

from ..core.record import Refused

#: Words in code by which a program gets what is another at every call,
_CHANGING = frozenset(
    "default_rng Generator RandomState SeedSequence SystemRandom urandom random time time_ns perf_counter monotonic "
    "now today environ getenv open input load loadtxt genfromtxt fromfile read next id".split()
)
#: and by which it may read anything.
_UNKNOWABLE = frozenset({"globals", "eval", "exec"})


@functools.lru_cache(maxsize=4096)
def _instructions(code: types.CodeType) -> tuple[frozenset[str], ...]:
    """Of a function's code and that of those within it: the names of globals read, attributes, globals assigned to,
    variables of closures assigned to, and modules imported."""
    read, attributes, assigned, outer, imported = set(), set(), set(), set(), set()
    before: list[Any] = [None, None]
    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            read.add(i.argval)
        elif i.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            attributes.add(i.argval)
        elif i.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            assigned.add(i.argval)
        elif i.opname in ("STORE_DEREF", "DELETE_DEREF") and i.argval in code.co_freevars:
            outer.add(i.argval)
        elif i.opname == "IMPORT_NAME":  # on the stack: how many dots, and the names to take
            imported.add("." * (before[0] or 0) + i.argval)
        before = [before[1], i.argval]
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more = _instructions(inner)
            read |= more[0]
            attributes |= more[1]
            assigned |= more[2]
            outer |= more[3] & set(code.co_freevars)
            imported |= more[4]
    return tuple(map(frozenset, (read, attributes, assigned, outer, imported)))


def globals_read(code: types.CodeType) -> list[str]:
    """Names of variables of the module, and of what is built in."""
    return sorted(_instructions(code)[0])


def attributes_read(code: types.CodeType) -> list[str]:
    """Names of attributes, whosever they are."""
    return sorted(_instructions(code)[1])


def imports(code: types.CodeType) -> list[str]:
    """Names of modules, with dots before those that are relative."""
    return sorted(_instructions(code)[4])


def is_doubtful(code: types.CodeType) -> bool:
    """Whether it may get what is another at every call."""
    read, attributes, *_ = _instructions(code)
    return not _CHANGING.isdisjoint(read | attributes)


def is_called_so(x: Any) -> bool:
    """Whether the own name of a function or class is such a word, whatever the program calls it."""
    name = getattr(x, "__name__", None)
    return isinstance(name, str) and name in _CHANGING


def check_code(code: types.CodeType) -> None:
    """Refuse what assigns to variables around it, or may read anything."""
    read, _, assigned, outer, _ = _instructions(code)
    for word in sorted(_UNKNOWABLE & read):
        raise Refused(f"{code.co_name} calls {word}, and so may read anything")
    for name in sorted(assigned | outer):
        raise Refused(f"{code.co_name} assigns to the variable {name!r}, which isn't its own")

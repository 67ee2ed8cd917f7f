"""What a function reads from around it: variables of enclosing functions and of its module, and what hangs on them.

They are found without running it, in its code and closure, and in those of the functions that it calls, through
containers and objects. Arrays in variables, and in containers there, become inputs of the recorded program: the
function is rebuilt with traced arrays in their place. Arrays in attributes of objects are compared, by a fingerprint,
at every call, and so are numbers, texts and whatever else there is, mostly by identity. Libraries aren't looked into.
"""

from __future__ import annotations

import array
import collections
import contextvars
import copy
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..backend import owner_of_type
from ..core.box import Box
from ..core.constants import fingerprint
from ..core.pytree import rebuild
from ..core.record import Record, Refused
from .bytecode import attributes_read, check_code, globals_read, imports, is_called_so, is_doubtful
from .contents import NUMBERS, content, differs, is_library, same, slots_of, without_boxes
from .draws import GENERATORS, is_generator

_a_cache = functools.cache(lambda: None)
#: A function with more around it isn't compiled.
_MOST = 20_000
_DEEPEST = 24
_UNREAD = frozenset({"__repr__", "_fields", "_field_defaults", "_make", "_replace", "_asdict"})
_CONTAINERS = (list, tuple, dict, types.MappingProxyType, collections.deque)
_METHODS = (types.FunctionType, property, staticmethod, classmethod)


class Traced(Exception):
    """There is a traced array around the function: it belongs to a transformation that is running."""


class _Function:
    """A function that was met, and whether it has to be rebuilt: for an array, or a function that has to be."""

    def __init__(self, f: types.FunctionType) -> None:
        self.f = f
        self.reads_arrays = False
        self.calls: set[int] = set()


class Surroundings:
    """What ``f`` reads from around it. ``extra`` are arguments that count as constant, by what leads to them."""

    def __init__(self, f: Callable[..., Any], extra: dict[str, Any]) -> None:
        self.f = f
        #: What leads to each array or generator that becomes an input, and that.
        self.arrays: list[tuple[str, Any]] = []
        #: Identities of the arrays whose content is compared at every call.
        self.watched: set[int] = set()
        self.generators: list[Any] = []
        self._caches: list[Any] = []
        #: Whether the code has words in it by which a program gets what is another at every call.
        self.doubtful = False
        #: Whether a module will be imported that isn't there yet.
        self.incomplete = False
        self._checks: list[str] = []
        self._env: dict[str, Any] = {"same": same, "fingerprint": fingerprint}
        self._names: dict[int, str] = {}
        self._functions: dict[int, _Function] = {}
        self._seen: set[tuple[int, bool]] = set()
        self._containers: list[Any] = []
        self._objects: list[Any] = []
        self._copies: list[tuple[Any, list[Any]]] = []
        self._count = 0
        root = _Function(lambda: None)  # type: ignore[arg-type]
        self._walk(f, self._name(f), "the function", True, root, 0)
        for label, x in extra.items():
            self._walk(x, self._name(x), label, False, root, 0)
        self._rebuilt = self._to_rebuild()
        self.read = self._compile()

    def _name(self, thing: Any) -> str:
        name = self._names.get(id(thing))
        if name is None:
            name = self._names[id(thing)] = f"e{len(self._names)}"
            self._env[name] = thing
        return name

    # -- finding --
    def _walk(self, x: Any, access: str, label: str, replaceable: bool, owner: _Function, depth: int) -> None:
        """Look at ``x``, to which the expression ``access`` leads; in words it is ``label``."""
        self._count += 1
        if self._count > _MOST or depth > _DEEPEST:
            raise Refused("it reads too much from around it to be watched")
        kind = type(x)
        if kind is Box:
            raise Traced
        if isinstance(x, NUMBERS):
            self._check(f"v is not {self._name(x)} and not same(v, {self._name(x)})", access, label)
        elif owner_of_type(kind) is not None:
            self._array(x, access, label, replaceable, owner)
        elif isinstance(x, (set, frozenset, bytearray, array.array)):
            self._check(f"v != {self._name(copy.copy(x))}", access, label)
        elif isinstance(x, memoryview):
            self._check(f"v.tobytes() != {self._name(x.tobytes())}", access, label)
        elif isinstance(x, contextvars.ContextVar):
            self._is(x, access, label)
            self._walk(x.get(None), f"{access}.get(None)", label, False, owner, depth + 1)
        elif isinstance(x, np.ma.MaskedArray):
            self._walk(x.data, f"{access}.data", label, False, owner, depth + 1)
            self._walk(x.mask, f"{access}.mask", label, False, owner, depth + 1)
        elif isinstance(x, _CONTAINERS) and not _is_ours(kind.__module__):
            self._container(x, access, label, replaceable, owner, depth)
        elif is_generator(x):
            self.generators.append(x)
            if replaceable and kind in GENERATORS:
                self._input(x, "", access, label, owner)
            else:
                self._is(x, access, label)
        elif kind.__module__.startswith("cupy.random"):
            raise Refused(f"{label} is a random generator of CuPy's, which can't be put back to draw again")
        elif isinstance(x, types.ModuleType):
            self._is(x, access, label)
        else:
            self._is(x, access, label)
            self._look_into(x, access, label, replaceable, owner, depth)

    def _check(self, fails: str, access: str, label: str) -> None:
        self._checks.append(f"    v = {access}\n    if {fails}: return {label!r}")

    def _is(self, x: Any, access: str, label: str) -> None:
        if access != self._names.get(id(x)):
            self._check(f"v is not {self._name(x)}", access, label)

    def _array(self, x: Any, access: str, label: str, replaceable: bool, owner: _Function) -> None:
        if replaceable:
            differs = f" or v.shape != {x.shape} or v.dtype != {self._name(x.dtype)} or v.strides != {x.strides}"
            self._input(x, differs, access, label, owner)
        elif isinstance(x, np.ndarray):
            self.watched.add(id(x))
            self._check(
                f"type(v) is not {self._name(type(x))} or v.shape != {x.shape} or v.dtype != {self._name(x.dtype)} "
                f"or fingerprint(v) != {self._name(fingerprint(x))}",
                access, label,
            )  # fmt: skip
        else:
            raise Refused(f"{label} is an array on a device, in an object: pass it as an argument")

    def _input(self, x: Any, differs: str, access: str, label: str, owner: _Function) -> None:
        """An array or generator that may be another one at every call, unless it ``differs``."""
        owner.reads_arrays = True
        k = len(self.arrays)
        self.arrays.append((access, x))
        twice = next((j for j, (_, y) in enumerate(self.arrays[:k]) if y is x), None)
        again = f" or v is not a{twice}" if twice is not None else ""
        self._check(f"type(v) is not {self._name(type(x))}{differs}{again}", access, label)
        self._checks.append(f"    a{k} = v")

    def _container(self, x: Any, access: str, label: str, replaceable: bool, owner: _Function, depth: int) -> None:
        kind = type(x)
        self._containers.append(x)
        if kind is list and all(type(v) in (int, float, bool, str) for v in x):
            texts = f" or repr(v) != {repr(x)!r}" if 0 in x else ""  # of zeros with signs
            kinds = self._name(list(map(type, x)))
            self._check(f"v != {self._name(list(x))} or [*map(type, v)] != {kinds}{texts}", access, label)
            return
        named = isinstance(x, (dict, types.MappingProxyType))
        parts = list(x.items()) if named else list(enumerate(x))
        alike = f"list(v) != {self._name([k for k, _ in parts])}" if named else f"len(v) != {len(parts)}"
        self._check(f"type(v) is not {self._name(kind)} or {alike}", access, label)
        exact = kind in (list, tuple, dict) or hasattr(kind, "_fields")
        for k, part in parts:
            self._walk(part, f"{access}[{self._name(k)}]", f"{label}[{k!r}]", replaceable and exact, owner, depth + 1)

    def _look_into(self, x: Any, access: str, label: str, replaceable: bool, owner: _Function, depth: int) -> None:
        if isinstance(x, types.FunctionType):
            owner.calls.add(id(x))
        if (id(x), replaceable) in self._seen:
            return
        self._seen.add((id(x), replaceable))
        self.doubtful = self.doubtful or is_called_so(x)
        if isinstance(x, types.FunctionType):
            self._function(x, label, replaceable, depth)
        elif isinstance(x, functools.partial):
            for attribute in ("func", "args", "keywords"):
                self._walk(getattr(x, attribute), f"{access}.{attribute}", label, replaceable, owner, depth + 1)
        elif isinstance(x, types.MethodType):
            self._walk(x.__func__, f"{access}.__func__", label, replaceable, owner, depth + 1)
            self._walk(x.__self__, f"{access}.__self__", label, False, owner, depth + 1)
        elif isinstance(x, (staticmethod, classmethod)):
            self._walk(x.__func__, f"{access}.__func__", label, False, owner, depth + 1)
        elif isinstance(x, property):
            self._walk(x.fget, f"{access}.fget", label, False, owner, depth + 1)
        elif isinstance(x, type):
            self._class(x, access, label, owner, depth)
        else:
            self._object(x, access, label, owner, depth)

    def _class(self, x: type, access: str, label: str, owner: _Function, depth: int) -> None:
        """What is in a class and its bases, as it is found in the class: a subclass may be given what hides it."""
        for k, cls in enumerate(x.__mro__):
            if is_library(cls.__module__) or _is_ours(cls.__module__):
                continue
            where = f"vars({access}.__mro__[{k}])" if k else f"vars({access})"
            for name, part in list(vars(cls).items()):
                special = name.startswith("__") and name.endswith("__")
                if name not in _UNREAD and not _is_generated(cls, part) and (not special or isinstance(part, _METHODS)):
                    plain = name.isidentifier() and getattr(x, name, None) is part
                    way = f"{access}.{name}" if plain else f"{where}[{name!r}]"
                    self._walk(part, way, f"{label}.{name}", False, owner, depth + 1)

    def _object(self, x: Any, access: str, label: str, owner: _Function, depth: int) -> None:
        cls = type(x)
        # The function of a user's operation is called at every replay, and sees for itself what has changed.
        called_again = ("function", "__wrapped__") if hasattr(cls, "application") else ()
        wrapped = getattr(x, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType) and not called_again:  # what functools.cache returned, for one
            self._walk(wrapped, f"{access}.__wrapped__", label, False, owner, depth + 1)
            if isinstance(x, type(_a_cache)):
                self._caches.append(x)
        if getattr(cls, "holds_recordings", False):
            return
        self.doubtful = self.doubtful or hasattr(cls, "__next__")  # it may go on at every call
        ours = _is_ours(cls.__module__)
        if not ours and not is_library(cls.__module__):
            self._objects.append(x)
        found = dict(getattr(x, "__dict__", {}))
        if not ours and hasattr(x, "__dict__"):
            self._containers.append(x.__dict__)
            self._check(f"len(v) != {len(found)}", f"vars({access})", label)
        for base in cls.__mro__:
            for name in slots_of(base):
                if hasattr(x, name):
                    found[name] = getattr(x, name)
        for name, part in found.items():
            if name in called_again:
                continue
            if not ours or isinstance(part, (types.FunctionType, types.MethodType, functools.partial)):
                self._walk(part, f"{access}.{name}", f"{label}.{name}", False, owner, depth + 1)
        if not ours and not is_library(cls.__module__):
            self._walk(cls, f"type({access})", cls.__qualname__, False, owner, depth + 1)

    def _function(self, f: types.FunctionType, label: str, replaceable: bool, depth: int) -> None:
        if is_library(f.__module__):
            return
        here = self._functions.setdefault(id(f), _Function(f))
        ours = _is_ours(f.__module__)
        name, code = self._name(f), f.__code__
        if not ours:
            check_code(code)
            self._check(f"v is not {self._name(code)}", f"{name}.__code__", label)
            self.doubtful = self.doubtful or is_doubtful(code)
        for variable, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            where = f"the variable {variable!r}" if not ours else label
            self._walk(content, f"{self._name(cell)}.cell_contents", where, replaceable, here, depth + 1)
        if f.__defaults__:
            for i, value in enumerate(f.__defaults__):
                self._walk(
                    value, f"{name}.__defaults__[{i}]", f"a default of {f.__name__}", replaceable, here, depth + 1
                )
        for key, value in (f.__kwdefaults__ or {}).items():
            self._walk(
                value, f"{name}.__kwdefaults__[{key!r}]", f"a default of {f.__name__}", replaceable, here, depth + 1
            )
        if ours:
            return
        names = _names_of(f)
        for variable in globals_read(code):
            if variable in names:
                access = f"{self._name(names)}[{variable!r}]"
                content = names[variable]
                if isinstance(content, types.ModuleType):
                    self._module(content, access, variable, code, here, depth)
                else:
                    self._walk(content, access, f"the variable {variable!r}", replaceable, here, depth + 1)
        for module_name in imports(code):
            self._imported(f, module_name, here, depth)

    def _imported(self, f: types.FunctionType, name: str, owner: _Function, depth: int) -> None:
        """What a function takes from a module that it imports itself; ``name`` begins with dots if it is relative."""
        if name.startswith("."):
            import importlib.util

            name = importlib.util.resolve_name(name, f.__globals__.get("__package__"))
        if is_library(name) or _is_ours(name):
            return
        module = sys.modules.get(name)
        if module is None:
            self.incomplete = True
        else:
            self._module(module, f"{self._name(sys.modules)}[{name!r}]", name, f.__code__, owner, depth)

    def _module(
        self, module: types.ModuleType, access: str, label: str, code: types.CodeType, owner: _Function, depth: int
    ) -> None:
        """Of a module of the program's own: what the code takes from it."""
        if is_library(module.__name__) or _is_ours(module.__name__):
            return
        self._is(module, access, label)
        for name in attributes_read(code):
            if name in vars(module):
                part = vars(module)[name]
                if isinstance(part, types.ModuleType):
                    self._module(part, f"{access}.{name}", f"{label}.{name}", code, owner, depth + 1)
                else:
                    self._walk(part, f"{access}.{name}", f"{label}.{name}", False, owner, depth + 1)

    # -- replacing --
    def _to_rebuild(self) -> set[int]:
        found = {k for k, f in self._functions.items() if f.reads_arrays}
        while more := {k for k, f in self._functions.items() if k not in found and not found.isdisjoint(f.calls)}:
            found |= more
        return found

    def inside(self, watch: Callable[[Any], Any]) -> Callable[..., Any]:
        """The function, with ``watch(x)`` in place of every array and generator that is an input."""
        if not self._rebuilt:
            return self.f
        boxes: dict[int, Any] = {}
        for _, x in self.arrays:
            box = watch(x)  # each, for inputs are numbered by the way that leads to them
            boxes.setdefault(id(x), box)
        return self._replaced(self.f, boxes, {}, {})  # type: ignore[no-any-return]

    def _replaced(self, x: Any, boxes: dict[int, Any], functions: dict[int, Any], names: dict[int, Any]) -> Any:
        kind = type(x)
        if id(x) in boxes:
            return boxes[id(x)]
        if kind is types.FunctionType:
            if id(x) not in self._rebuilt:
                return x
            return functions.get(id(x)) or self._new_function(x, boxes, functions, names)
        if kind in (list, tuple, dict) or (isinstance(x, tuple) and hasattr(kind, "_fields")):
            parts = list(x.values()) if kind is dict else list(x)
            new = [self._replaced(p, boxes, functions, names) for p in parts]
            if all(a is b for a, b in zip(parts, new, strict=True)):
                return x
            copied = rebuild(x, new)
            self._copies.append((copied, content(copied)))
            return copied
        if kind is functools.partial:
            new = [self._replaced(p, boxes, functions, names) for p in (x.func, x.args, x.keywords)]
            return (
                x if new[0] is x.func and new[1] is x.args and new[2] is x.keywords else kind(new[0], *new[1], **new[2])
            )
        if kind is types.MethodType:
            new_function = self._replaced(x.__func__, boxes, functions, names)
            return x if new_function is x.__func__ else kind(new_function, x.__self__)
        return x

    def _new_function(self, f: Any, boxes: Any, functions: dict[int, Any], names: dict[int, Any]) -> Any:
        ours = _is_ours(f.__module__)
        theirs = _names_of(f)
        scope = theirs if ours else names.get(id(theirs))
        fresh = scope is None
        if fresh:
            scope = names[id(theirs)] = dict(theirs)
        cells = tuple([types.CellType() for _ in f.__closure__ or ()])
        seen: Any = scope if theirs is f.__globals__ else f.__globals__.instead(scope)
        new = types.FunctionType(f.__code__, seen, f.__name__, None, cells)
        functions[id(f)] = new  # it may find itself in what follows
        new.__kwdefaults__ = f.__kwdefaults__ and {
            k: self._replaced(v, boxes, functions, names) for k, v in f.__kwdefaults__.items()
        }
        new.__defaults__ = f.__defaults__ and tuple(
            [self._replaced(v, boxes, functions, names) for v in f.__defaults__]
        )
        new.__dict__.update(f.__dict__)
        new.__module__, new.__qualname__ = f.__module__, f.__qualname__
        for cell, old in zip(cells, f.__closure__ or (), strict=True):
            try:
                content = old.cell_contents
            except ValueError:
                continue
            cell.cell_contents = self._replaced(content, boxes, functions, names)
        if not ours:
            for variable in globals_read(f.__code__):
                if variable in theirs and not isinstance(theirs[variable], types.ModuleType):
                    scope[variable] = self._replaced(theirs[variable], boxes, functions, names)  # type: ignore[index]
        return new

    # -- comparing --
    def _compile(self) -> Callable[[], Any]:
        """A function that returns the arrays as they are now, or in words what has changed."""
        arrays = "".join(f"a{k}, " for k in range(len(self.arrays)))
        lines = [line for check in self._checks for line in check.split("\n")]
        body = "\n".join("    " + line for line in lines)
        end = f"        return ({arrays})\n    except _ERRORS as e: return str(e)\n"
        text = f"def read():\n    try:\n        pass\n{body}\n{end}"
        self._env["_ERRORS"] = (KeyError, IndexError, AttributeError, TypeError, ValueError)
        exec(compile(text, "<jit reads>", "exec"), self._env)
        return self._env["read"]  # type: ignore[no-any-return]

    def cached(self) -> Iterator[Any]:
        """The arrays that functions under ``functools.cache`` keep."""
        import gc

        stack, seen = list(self._caches), set[int]()
        while stack:
            x = stack.pop()
            if id(x) not in seen and len(seen) < _MOST:
                seen.add(id(x))
                for a in gc.get_referents(x):
                    if isinstance(a, np.ndarray):
                        yield a
                    elif isinstance(a, (dict, list, tuple)) or type(a).__name__ == "_lru_list_elem":
                        stack.append(a)

    def wrote_into_copies(self) -> bool:
        """Whether the rebuilt function changed a container that it was given in place of another."""
        return any(differs(container, before) for container, before in self._copies)

    def restore(self, record: Record) -> None:
        """Put plain arrays where the function has left traced ones."""
        seen: set[int] = set()
        for x in (*self._containers, *self._objects):
            without_boxes(x, record, seen)


def _is_generated(cls: type, part: Any) -> bool:
    """Whether a class has it of ``dataclass``, ``namedtuple`` or ``__slots__``, and not of the program."""
    function = getattr(part, "__wrapped__", part)
    if isinstance(function, types.FunctionType) and (function.__name__.startswith("__")):
        container = hasattr(cls, "__dataclass_fields__") or hasattr(cls, "_fields")
        return container and function.__code__.co_filename == "<string>"
    return isinstance(part, types.MemberDescriptorType) or type(part).__name__ == "_tuplegetter"


def _is_ours(module: Any) -> bool:
    return isinstance(module, str) and (module == "gpuad" or module.startswith("gpuad."))


def _names_of(f: types.FunctionType) -> dict[str, Any]:
    """Its module's variables; those of a function under ``lift`` are behind a dict of their own."""
    return getattr(f.__globals__, "names", f.__globals__)

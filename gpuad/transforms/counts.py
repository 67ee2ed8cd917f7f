"""What a program did, as numbers: by primitive, by line, forward and backward; and as a table to be printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Line(NamedTuple):
    """A line of a program: the file, its number there, and the function that it is in."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """What the line says, where its file can be read."""
        import linecache

        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        name = self.file.replace("\\", "/").rpartition("/")[2]
        return f"{name}:{self.number} {self.text or self.function}"


class Part(NamedTuple):
    """The calls of one primitive that one line made, on the way there or on the way back."""

    line: Line
    primitive: str
    backward: bool


@dataclass
class Tally:
    """``multiply_adds`` is ``None`` for a primitive that does none."""

    calls: int = 0
    multiply_adds: int | None = None
    bytes: int = 0

    def add(self, multiply_adds: int | None, moved: int) -> None:
        self.calls += 1
        self.bytes += moved
        if multiply_adds is not None:
            self.multiply_adds = (self.multiply_adds or 0) + multiply_adds


@dataclass(repr=False)
class Cost:
    """What a call did, exactly. ``print`` shows it as a table.

    ``multiply_adds``: a product of an m×k with a k×n matrix is m·k·n of them. ``bytes``: what the operations read and
    wrote, each by itself. ``calls``: how many operations there were. ``forward`` and ``backward`` are the costs of the
    way there and of the way back, ``by_line`` has the cost of each line of the program.
    """

    parts: dict[Part, Tally] = field(default_factory=dict)

    @property
    def multiply_adds(self) -> int:
        return sum(t.multiply_adds or 0 for t in self.parts.values())

    @property
    def bytes(self) -> int:
        return sum(t.bytes for t in self.parts.values())

    @property
    def calls(self) -> int:
        return sum(t.calls for t in self.parts.values())

    @property
    def by_primitive(self) -> dict[str, int]:
        """The multiply-adds of each primitive that does any."""
        return self._sums(lambda t: t.multiply_adds)

    @property
    def bytes_by_primitive(self) -> dict[str, int]:
        return self._sums(lambda t: t.bytes)

    @property
    def by_line(self) -> dict[Line, Cost]:
        """The cost of each line, in the order of the program's text."""
        lines = sorted({part.line for part in self.parts})
        return {line: self._only(lambda part, line=line: part.line == line) for line in lines}  # type: ignore[misc]

    @property
    def forward(self) -> Cost:
        return self._only(lambda part: not part.backward)

    @property
    def backward(self) -> Cost:
        return self._only(lambda part: part.backward)

    def tally(self, part: Part) -> Tally:
        """Of the calls of this kind, to be added to."""
        found = self.parts.get(part)
        if found is None:
            found = self.parts[part] = Tally()
        return found

    def _only(self, wanted: Callable[[Part], bool]) -> Cost:
        return Cost({part: t for part, t in self.parts.items() if wanted(part)})

    def _sums(self, of: Callable[[Tally], int | None]) -> dict[str, int]:
        found: dict[str, int] = {}
        for part, t in self.parts.items():
            n = of(t)
            if n is not None:
                found[part.primitive] = found.get(part.primitive, 0) + n
        return found

    def __repr__(self) -> str:
        return f"<Cost: {self.multiply_adds:,} multiply-adds, {self.bytes:,} bytes, {self.calls:,} calls>"

    def __str__(self) -> str:
        rows = list(_rows(self))
        width = min(max(len(name) for name, *_ in rows), _NAMES)
        numbers = [[f"{n:,}" if n or row is rows[-1] else "" for n in row[1:]] for row in rows]
        widths = [max(map(len, column)) for column in zip(_HEADINGS, *numbers, strict=True)]
        both = sum(widths[:2]) + 2

        def line(name: str, cells: list[str]) -> str:
            padded = "  ".join(cell.rjust(w) for cell, w in zip(cells, widths, strict=True))
            name = name if len(name) <= width else name[: width - 3] + "..."
            return f"{name:<{width}}  {padded}".rstrip()

        return "\n".join(
            [
                f"{'':<{width}}  {'forward':>{both}}  {'backward':>{sum(widths[2:]) + 2}}",
                line("", _HEADINGS),
                *[line(name, cells) for (name, *_), cells in zip(rows, numbers, strict=True)],
            ]
        )


_HEADINGS = ["multiply-adds", "bytes", "multiply-adds", "bytes"]
_NAMES = 60  # what stands in front of the numbers is cut there


def _rows(cost: Cost) -> Iterator[tuple[str, int, int, int, int]]:
    """A heading for every line of the program, its primitives in the order in which they came, and the sums."""

    def row(name: str, of: Cost) -> tuple[str, int, int, int, int]:
        there, back = of.forward, of.backward
        return name, there.multiply_adds, there.bytes, back.multiply_adds, back.bytes

    for line, of_line in cost.by_line.items():
        yield row(str(line), of_line)
        for name in dict.fromkeys(part.primitive for part in of_line.parts):
            yield row(f"  {name}", of_line._only(lambda part, name=name: part.primitive == name))  # type: ignore[misc]
    yield row("in all", cost)

"""What the device was asked to do, exactly, and in which order it runs threads."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

# In the order of `Counter` in device/state.h.
_NAMES = (
    *("launches", "graph_kernels", "mallocs", "frees", "h2d", "d2h", "d2d", "memsets"),
    *("syncs", "events", "graph_launches", "blas", "random"),
)
_ORDERS = ("forward", "reverse", "shuffle")

_device: ctypes.CDLL


def count_on(device: ctypes.CDLL) -> None:
    global _device
    _device = device
    device.on_cpu_begin_log.restype = ctypes.c_size_t
    device.on_cpu_launch_names.restype = ctypes.c_char_p
    device.on_cpu_launch_names.argtypes = [ctypes.c_size_t]
    device.on_cpu_set_order.argtypes = [ctypes.c_int, ctypes.c_ulonglong]


class Counts:
    """How often something happened since counting began, until it ended.

    ``launches``: kernels launched by a call of their own. A launch that is captured isn't counted;
    ``graph_kernels`` counts it each time its graph runs. The other counts include what graphs do.

    ``mallocs``, ``frees``: device memory. CuPy's pool keeps what it has, so a second run allocates less.

    ``h2d``, ``d2h``, ``d2d``, ``memsets``: copies between host and device, by direction, and fills.

    ``syncs``: the host waited for the device.

    ``events``: events recorded. ``graph_launches``: CUDA graphs launched. ``blas``: products made by cuBLAS.
    ``random``: arrays filled by cuRAND.

    ``log``: the names of the kernels, in the order in which they ran.
    """

    launches: int
    graph_kernels: int
    mallocs: int
    frees: int
    h2d: int
    d2h: int
    d2d: int
    memsets: int
    syncs: int
    events: int
    graph_launches: int
    blas: int
    random: int

    def __init__(self) -> None:
        self._start = _read()
        self._log_start = _device.on_cpu_begin_log()
        self._final: tuple[dict[str, int], list[str]] | None = None

    def _now(self) -> tuple[dict[str, int], list[str]]:
        if self._final is not None:
            return self._final
        names = _device.on_cpu_launch_names(self._log_start).decode().split()
        return {name: n - self._start[name] for name, n in _read().items()}, names

    def __getattr__(self, name: str) -> int:
        if name in _NAMES:
            return self._now()[0][name]
        raise AttributeError(name)

    @property
    def log(self) -> list[str]:
        return self._now()[1]

    def __repr__(self) -> str:
        seen = {name: n for name, n in self._now()[0].items() if n}
        return f"<counts: {', '.join(f'{n} {name}' for name, n in seen.items()) or 'nothing'}>"

    def _end(self) -> None:
        self._final = self._now()
        _device.on_cpu_end_log()


@contextlib.contextmanager
def count() -> Iterator[Counts]:
    """``with count() as c:`` counts what happens inside; read it inside or afterwards."""
    counts = Counts()
    try:
        yield counts
    finally:
        counts._end()


@contextlib.contextmanager
def order(name: str, seed: int = 0) -> Iterator[None]:
    """Inside, threads run in this order between barriers: ``"forward"``, ``"reverse"``, ``"shuffle"``.

    A result that depends on the order shows a missing barrier or a race inside a block.
    """
    _device.on_cpu_set_order(_ORDERS.index(name), seed)
    try:
        yield
    finally:
        _device.on_cpu_set_order(0, 0)


def _read() -> dict[str, int]:
    values = (ctypes.c_ulonglong * len(_NAMES))()
    _device.on_cpu_read_counters(values)
    return dict(zip(_NAMES, values, strict=True))

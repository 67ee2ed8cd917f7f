"""Single operations: the forward pass alone, and with the way back of a given cotangent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..workload import Params, Workload, sizes


class Operation(NamedTuple):
    """``f(np, *inputs)``; ``back(np, g, ans, *inputs)`` is what one writes by hand for its cotangents."""

    name: str
    f: Callable[..., Any]
    back: Callable[..., Any]
    inputs: Callable[..., Any]
    sizes: tuple[Params, ...]
    differentiated: int = 1
    quick: bool = False


_BOTH = ("float32", "float64")
_ELEMENTS = sizes({"n": 10**4, "dtype": "float64"}, *sizes(10**6, dtypes=_BOTH))
_SIDES = sizes({"side": 100, "dtype": "float64"}, *sizes(1000, dtypes=_BOTH, name="side"))
_SYSTEMS = sizes(100, 400, name="side")
_LITTLE = sizes(10**5, dtypes=("float32",))
_LITTLE_SIDE = sizes(256, dtypes=("float32",), name="side")


def _one(rng: Any, n: int, dtype: str = "") -> Any:
    return [rng.normal(size=n)]


def _positive(rng: Any, n: int, dtype: str = "") -> Any:
    return [rng.uniform(0.5, 2.0, n)]


def _two(rng: Any, n: int, dtype: str = "") -> Any:
    return [rng.normal(size=n), rng.uniform(0.5, 2.0, n)]


def _both_positive(rng: Any, n: int, dtype: str = "") -> Any:
    return rng.uniform(0.5, 2.0, (2, n))


def _matrix(rng: Any, side: int, dtype: str = "") -> Any:
    return [rng.normal(size=(side, side))]


def _matrices(rng: Any, side: int, dtype: str = "") -> Any:
    return rng.normal(size=(2, side, side))


def _matrix_and_row(rng: Any, side: int, dtype: str = "") -> Any:
    return [rng.normal(size=(side, side)), rng.normal(size=side)]


def _gathered(rng: Any, n: int, dtype: str = "") -> Any:
    return [rng.normal(size=n), rng.integers(0, n, n)]


def _stack(rng: Any, side: int, dtype: str = "") -> Any:
    return rng.normal(size=(2, side, 16, 16))


def _solvable(rng: Any, side: int, dtype: str = "") -> Any:
    import numpy

    a = rng.normal(size=(side, side))
    return [a @ a.T / side + numpy.eye(side), rng.normal(size=(side, 4))]


def _scatter(np: Any, g: Any, x: Any, index: Any) -> Any:
    out = np.zeros_like(x)
    np.add.at(out, index, g)
    return out


def _window(np: Any, g: Any, x: Any) -> Any:
    out = np.zeros_like(x)
    out[1:-1] = g
    return out


def _where_largest(np: Any, g: Any, ans: Any, x: Any) -> Any:
    return np.where(x == ans[:, None], g[:, None], 0.0)


def _solve_back(np: Any, g: Any, ans: Any, a: Any, b: Any) -> Any:
    back = np.linalg.solve(a.T, g)
    return -back @ ans.T, back


def _power_back(np: Any, g: Any, ans: Any, x: Any, y: Any) -> Any:
    return g * y * x ** (y - 1.0), g * ans * np.log(x)


def _softmax(np: Any, x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


OPERATIONS = [
    Operation("add", lambda np, x, y: x + y, lambda np, g, a, x, y: (+g, +g), _two, _ELEMENTS, 2),
    Operation("multiply", lambda np, x, y: x * y, lambda np, g, a, x, y: (g * y, g * x), _two, _ELEMENTS, 2, True),
    Operation("divide", lambda np, x, y: x / y, lambda np, g, a, x, y: (g / y, -g * a / y), _two, _ELEMENTS, 2),
    Operation("power", lambda np, x, y: x**y, _power_back, _both_positive, _ELEMENTS, 2),
    Operation("exp", lambda np, x: np.exp(x), lambda np, g, a, x: g * a, _one, _ELEMENTS),
    Operation("log", lambda np, x: np.log(x), lambda np, g, a, x: g / x, _positive, _ELEMENTS),
    Operation("sin", lambda np, x: np.sin(x), lambda np, g, a, x: g * np.cos(x), _one, _ELEMENTS),
    Operation("tanh", lambda np, x: np.tanh(x), lambda np, g, a, x: g * (1.0 - a * a), _one, _ELEMENTS, 1, True),
    Operation("sqrt", lambda np, x: np.sqrt(x), lambda np, g, a, x: 0.5 * g / a, _positive, _ELEMENTS),
    Operation("abs", lambda np, x: np.abs(x), lambda np, g, a, x: g * np.sign(x), _one, _ELEMENTS),
    Operation(
        "where", lambda np, x, y: np.where(x > 0.0, x, y),
        lambda np, g, a, x, y: (np.where(x > 0.0, g, 0.0), np.where(x > 0.0, 0.0, g)), _two, _ELEMENTS, 2,
    ),
    Operation(
        "add a row", lambda np, x, y: x + y, lambda np, g, a, x, y: (+g, np.sum(g, axis=0)), _matrix_and_row, _SIDES, 2,
    ),
    Operation("sum", lambda np, x: np.sum(x), lambda np, g, a, x: np.full_like(x, g), _one, _ELEMENTS),
    Operation(
        "sum of rows", lambda np, x: np.sum(x, axis=1),
        lambda np, g, a, x: np.repeat(g[:, None], x.shape[1], axis=1), _matrix, _SIDES, 1, True,
    ),
    Operation(
        "sum of columns", lambda np, x: np.sum(x, axis=0),
        lambda np, g, a, x: np.repeat(g[None, :], x.shape[0], axis=0), _matrix, _SIDES,
    ),
    Operation("largest of rows", lambda np, x: np.max(x, axis=1), _where_largest, _matrix, _SIDES),
    Operation(
        "softmax", _softmax, lambda np, g, a, x: a * (g - np.sum(g * a, axis=1, keepdims=True)), _matrix, _SIDES,
    ),
    Operation(
        "cumulative sum", lambda np, x: np.cumsum(x, axis=0), lambda np, g, a, x: np.cumsum(g[::-1], axis=0)[::-1],
        _one, _ELEMENTS,
    ),
    Operation(
        "transpose and add", lambda np, x: x.T + x, lambda np, g, a, x: g.T + g, _matrix, _SIDES,
    ),
    Operation("slice", lambda np, x: 2.0 * x[1:-1], lambda np, g, a, x: _window(np, 2.0 * g, x), _one, _ELEMENTS),
    Operation(
        "gather", lambda np, x, index: x[index], lambda np, g, a, x, index: _scatter(np, g, x, index),
        _gathered, _ELEMENTS, 1, True,
    ),
    Operation(
        "concatenate", lambda np, x, y: np.concatenate((x, y), axis=0),
        lambda np, g, a, x, y: (g[: len(x)].copy(), g[len(x) :].copy()), _two, _ELEMENTS, 2,
    ),
    Operation(
        "matmul", lambda np, x, y: x @ y, lambda np, g, a, x, y: (g @ y.T, x.T @ g), _matrices, _SIDES, 2, True,
    ),
    Operation(
        "matmul of many", lambda np, x, y: x @ y,
        lambda np, g, a, x, y: (g @ np.swapaxes(y, 1, 2), np.swapaxes(x, 1, 2) @ g), _stack, _SIDES, 2,
    ),
    Operation("solve", lambda np, a, b: np.linalg.solve(a, b), _solve_back, _solvable, _SYSTEMS, 2),
]  # fmt: skip


def _pullback_by_hand(operation: Operation) -> Callable[..., Any]:
    def by_hand(np: Any, *inputs: Any) -> tuple[Any, ...]:
        *arrays, g = inputs
        ans = operation.f(np, *arrays)
        found = operation.back(np, g, ans, *arrays)
        return ans, *(found if isinstance(found, tuple) else (found,))

    return by_hand


def _workloads(op: Operation) -> list[Workload]:
    quick = () if not op.quick else _LITTLE_SIDE if "side" in op.sizes[0] else _LITTLE
    forward = Workload(
        "primitives", f"{op.name}, forward", op.f, op.inputs, op.sizes, kind="forward",
        by_hand=lambda np, *inputs: (op.f(np, *inputs),), differentiated=op.differentiated,
    )  # fmt: skip
    back = Workload(
        "primitives", f"{op.name}, with pullback", op.f, op.inputs, op.sizes, quick, kind="pullback",
        by_hand=_pullback_by_hand(op), differentiated=op.differentiated,
    )  # fmt: skip
    return [forward, back]


WORKLOADS = [workload for op in OPERATIONS for workload in _workloads(op)]

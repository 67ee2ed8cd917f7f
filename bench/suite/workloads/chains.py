"""Elementwise chains: what moves through memory once if it is fused, and dozens of times if it isn't."""

from __future__ import annotations

from typing import Any

from ..workload import Workload, sizes

# NumPy has no erf, so no library gets to use its own: this is within 2e-4 of the normal distribution function.
_A, _B = 0.7978845608, 0.7978845608 * 0.044715


def normal_cdf(np: Any, x: Any) -> Any:
    return 0.5 + 0.5 * np.tanh(x * (_A + _B * x * x))


def _normal_cdf_and_slope(np: Any, x: Any) -> tuple[Any, Any]:
    xx = x * x
    t = np.tanh(x * (_A + _B * xx))
    return 0.5 + 0.5 * t, 0.5 * (1.0 - t * t) * (_A + 3.0 * _B * xx)


def black_scholes(np: Any, spot: Any, strike: Any, vol: Any, rate: Any, time: Any) -> Any:
    """The sum of the prices of many call options."""
    spread = vol * np.sqrt(time)
    d1 = (np.log(spot / strike) + (rate + 0.5 * vol * vol) * time) / spread
    d2 = d1 - spread
    return np.sum(spot * normal_cdf(np, d1) - strike * np.exp(-rate * time) * normal_cdf(np, d2))


def black_scholes_by_hand(np: Any, spot: Any, strike: Any, vol: Any, rate: Any, time: Any) -> tuple[Any, ...]:
    """The distribution function is an approximation, so the usual cancellations in the Greeks don't hold exactly."""
    root = np.sqrt(time)
    spread = vol * root
    d1 = (np.log(spot / strike) + (rate + 0.5 * vol * vol) * time) / spread
    d2 = d1 - spread
    n1, p1 = _normal_cdf_and_slope(np, d1)
    n2, p2 = _normal_cdf_and_slope(np, d2)
    discounted = strike * np.exp(-rate * time)
    value = np.sum(spot * n1 - discounted * n2)
    by_d1, by_d2 = spot * p1, -discounted * p2
    g_d1 = by_d1 + by_d2
    scaled = g_d1 / spread
    g_spread = -by_d2 - scaled * d1
    g_spot = n1 + scaled / spot
    g_strike = -discounted * n2 / strike - scaled / strike
    g_vol = scaled * vol * time + g_spread * root
    g_rate = scaled * time + discounted * n2 * time
    g_time = scaled * (rate + 0.5 * vol * vol) + discounted * n2 * rate + g_spread * vol * 0.5 / root
    return value, g_spot, g_strike, g_vol, g_rate, g_time


def options(rng: Any, n: int, dtype: str = "float64") -> list[Any]:
    return [rng.uniform(*ends, n) for ends in ((80, 120), (80, 120), (0.1, 0.5), (0.01, 0.05), (0.25, 2))]


def gelu(np: Any, x: Any) -> Any:
    return np.sum(0.5 * x * (1.0 + np.tanh(x * (_A + _B * x * x))))


def gelu_by_hand(np: Any, x: Any) -> tuple[Any, ...]:
    xx = x * x
    t = np.tanh(x * (_A + _B * xx))
    half = 0.5 * (1.0 + t)
    return np.sum(x * half), half + 0.5 * x * (1.0 - t * t) * (_A + 3.0 * _B * xx)


def polynomial(np: Any, x: Any) -> Any:
    y = x
    for k in range(10):
        y = y * x + 1.0 / (k + 1)
    return np.sum(y)


def polynomial_by_hand(np: Any, x: Any) -> tuple[Any, ...]:
    y, slope = x, np.ones_like(x)
    for k in range(10):
        slope = slope * x + y
        y = y * x + 1.0 / (k + 1)
    return np.sum(y), slope


def tanh_chain(np: Any, x: Any) -> Any:
    for _ in range(10):
        x = np.tanh(1.1 * x + 0.1)
    return np.sum(x)


def tanh_chain_by_hand(np: Any, x: Any) -> tuple[Any, ...]:
    slope = np.ones_like(x)
    for _ in range(10):
        x = np.tanh(1.1 * x + 0.1)
        slope = slope * (1.1 - 1.1 * x * x)
    return np.sum(x), slope


def layernorm_gelu(np: Any, x: Any, gain: Any, bias: Any, weight: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    scale = 1.0 / np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    h = centred * scale * gain + bias
    return np.sum(weight * (0.5 * h * (1.0 + np.tanh(h * (_A + _B * h * h)))))


def layernorm_gelu_by_hand(np: Any, x: Any, gain: Any, bias: Any, weight: Any) -> tuple[Any, ...]:
    centred = x - np.mean(x, axis=1, keepdims=True)
    scale = 1.0 / np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    normal = centred * scale
    h = normal * gain + bias
    hh = h * h
    t = np.tanh(h * (_A + _B * hh))
    half = 0.5 * (1.0 + t)
    value = np.sum(weight * h * half)
    g = weight * (half + 0.5 * h * (1.0 - t * t) * (_A + 3.0 * _B * hh))
    g_gain, g_bias = np.sum(g * normal, axis=0), np.sum(g, axis=0)
    g = g * gain
    g = g - np.mean(g, axis=1, keepdims=True) - normal * np.mean(g * normal, axis=1, keepdims=True)
    return value, g * scale, g_gain, g_bias


def _rows(rng: Any, rows: int, columns: int, dtype: str = "float64") -> list[Any]:
    normal = rng.normal
    return [normal(size=(rows, columns)), normal(size=columns), normal(size=columns), normal(size=(rows, columns))]


def _numbers(rng: Any, n: int, dtype: str = "float64") -> list[Any]:
    return [rng.normal(size=n)]


def _fractions(rng: Any, n: int, dtype: str = "float64") -> list[Any]:
    return [rng.uniform(-1, 1, n)]


_BOTH = ("float32", "float64")
_LARGE = (*sizes(10**6, dtypes=_BOTH), *sizes(10**7, dtypes=("float32",)))
_SMALL = sizes(10**5, dtypes=("float32",))

WORKLOADS = [
    Workload(
        "chains", "Black-Scholes", black_scholes, options, _LARGE, sizes(10**5, dtypes=_BOTH), differentiated=5,
        by_hand=black_scholes_by_hand,
    ),
    Workload("chains", "GELU", gelu, _numbers, _LARGE, sizes(10**6, dtypes=("float32",)), by_hand=gelu_by_hand),
    Workload("chains", "polynomial", polynomial, _fractions, _LARGE, _SMALL, by_hand=polynomial_by_hand),
    Workload("chains", "tanh ten times", tanh_chain, _numbers, _LARGE, _SMALL, by_hand=tanh_chain_by_hand),
    Workload(
        "chains", "layer norm and GELU", layernorm_gelu, _rows,
        sizes({"rows": 4096, "columns": 1024}, dtypes=_BOTH), sizes({"rows": 256, "columns": 512}, dtypes=("float32",)),
        differentiated=3, by_hand=layernorm_gelu_by_hand,
    ),
]  # fmt: skip

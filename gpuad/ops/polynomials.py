"""The roots of polynomials."""

from __future__ import annotations

from typing import Any

from ..core.primitive import Primitive
from .batching import looped
from .declare import fit, operation
from .reduce import sum_
from .shape import stack


def _roots_vjp(g: Any, ans: Any, p: Any) -> Any:
    # p(r) = 0 stays so: p'(r) dr + Σ dpₖ r^(n-k) = 0.
    n = p.shape[0] - 1
    powers = [ans * 0.0 + 1.0]
    for _ in range(n):
        powers.append(powers[-1] * ans)
    slope = sum((float(n - k) * p[k] * powers[n - k - 1] for k in range(n)), start=ans * 0.0)
    return sum_(stack(*(powers[n - k] * (-g / slope) for k in range(n + 1)), axis=0), axis=(1,), keepdims=False)


#: The roots of the polynomial with coefficients ``p``, the highest power first.
roots: Primitive = operation("roots", lambda xp, p: xp.roots(p), _roots_vjp, finish=fit, batch=looped)

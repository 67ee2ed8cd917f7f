"""Samples of functions of sampled curves, and of polynomials."""

from __future__ import annotations

from . import sample


def _knots(np, x):
    """Places in ascending order, well apart."""
    return np.cumsum(x * x + 0.5)


def _wide(c):
    """In a precision in which NumPy knows eigenvalues."""
    return c.astype("float32") if c.dtype == "float16" else c


SAMPLES = [
    sample("subtract", lambda np, x: np.diff(x, axis=0) * np.sum(x), (3, 2), label="diff"),
    sample("concatenate", lambda np, x, a: np.diff(x, 2, prepend=a, append=x[:1]), (4,), (), label="diff with ends"),
    sample("concatenate", lambda np, x, a: np.ediff1d(x * x, to_end=a, to_begin=a), (2, 2), (2,), label="ediff1d"),
    sample("sum", lambda np, x: np.trapezoid(x, dx=0.5, axis=0), (4, 2), label="trapezoid"),
    sample("sum", lambda np, y, x: np.trapezoid(y, x), (2, 4), (4,), label="trapezoid x"),
    sample("concatenate", lambda np, f: np.gradient(f * f), (5,), label="gradient"),
    sample("concatenate", lambda np, f, h: np.gradient(f, h, edge_order=2), (4,), (), low=0.5, label="gradient h"),
    sample("concatenate", lambda np, f, x: np.gradient(f, _knots(np, x), axis=1), (2, 4), (4,), label="gradient x"),
    sample(
        "concatenate", lambda np, f, x: np.gradient(f, _knots(np, x), edge_order=2), (4,), (4,), label="gradient edge 2"
    ),
    sample("concatenate", lambda np, f: np.gradient(f), (3, 2), complex=True, label="gradient of a matrix"),
    sample("cumsum", lambda np, p: np.unwrap(p * 4.0), (6,), label="unwrap"),
    sample("cumsum", lambda np, p: np.unwrap(p * p * 2.0, axis=0, period=1.5), (5, 2), label="unwrap axis=0"),
    sample("gather", lambda np, x, xp, fp: np.interp(x, _knots(np, xp), fp), (5,), (4,), (4,), label="interp"),
    sample("gather", lambda np, x, fp: np.interp(x, np.asarray([0.0, 1.0, 3.0]), fp, left=7.0, right=fp[0]), (2, 3),
           (3,), label="interp ends"),
    sample("gather", lambda np, x, fp: np.interp(x, np.asarray([0.0, 0.5, 1.1]), fp, period=1.5), (5,), (3,),
           label="interp period"),
    sample("where", lambda np, x, fp: np.interp(x * x, np.asarray([0.0, 5.0]), fp), (), (2,), label="interp 0d"),
    # polynomials
    sample("add", lambda np, c, x: np.polyval(c, x), (4,), (2, 3), complex=True, label="polyval"),
    sample("add", lambda np, c, x: np.polyval(c, x), (1,), (), label="polyval constant"),
    sample("pad", lambda np, a, b: np.polyadd(a, b) * np.polysub(b, a), (2,), (4,), label="polyadd"),
    sample("convolve", lambda np, a, b: np.polymul(a, b), (2,), (4,), complex=True, label="polymul"),
    sample("divide", lambda np, a, b: np.polydiv(a, b), (5,), (3,), low=0.5, label="polydiv"),
    sample("multiply", lambda np, c: np.polyder(c * c, 2), (5,), label="polyder"),
    sample("concatenate", lambda np, c, k: np.polyint(c * c, 2, k), (3,), (2,), label="polyint"),
    sample("stack", lambda np, x: np.vander(x), (3,), complex=True, label="vander"),
    sample("stack", lambda np, x: np.vander(x, 2, increasing=True), (3,), label="vander increasing"),
    sample("roots", lambda np, c: np.roots(_wide(c)), (4,), complex=True),
    sample("roots", lambda np, c: np.abs(np.roots(np.concatenate([_wide(c), _wide(c[:1]) * 0.0]))) ** 2, (3,),
           label="roots and 0"),
    sample("frexp ldexp", lambda np, x: np.frexp(x)[0], (4,), label="frexp"),
    sample("gather", lambda np, x: np.unique(x) ** 2, (2, 3), distinct=True, label="unique"),
]  # fmt: skip

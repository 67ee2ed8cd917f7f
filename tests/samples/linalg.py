"""Samples of linear systems and determinants; their matrices are far from singular."""

from __future__ import annotations

from gpuad.ops import determinants

from . import sample


def _known(x):
    """LAPACK knows no float16."""
    return x.astype("float32") if x.dtype == "float16" else x


def _regular(np, x):
    """``x`` with 4 added on the diagonal, by what every namespace has."""
    n = np.arange(x.shape[-1])
    return _known(x + np.where(n[:, None] == n, 4.0, 0.0).astype(x.dtype))


def _on_regular(name):
    return lambda np, a, *rest: getattr(np.linalg, name)(_regular(np, a), *map(_known, rest))


def _logarithm(np, a):
    return np.linalg.slogdet(_regular(np, a))[1]


def _sign(np, a):
    return np.linalg.slogdet(_regular(np, a))[0] * _known(a)


def _cofactors(np, a):
    """Those of a matrix that is nearly singular."""
    a = _regular(np, a)
    a = a * np.asarray([1.0, 1.0, 1e-5], a.dtype)
    return determinants.cofactors(a, determinants.det(a))


_SQUARE = [(2, 3, 3), (0, 2, 2)]
_SOLVE = [
    [(3, 3), (3,)],
    [(2, 3, 3), (3,)],
    [(2, 3, 3), (2, 3, 1)],
    [(3, 3), (2, 3, 2)],
]

SAMPLES = [sample("inv", _on_regular("inv"), shape, complex=True) for shape in _SQUARE]
SAMPLES += [sample("det cofactors", _on_regular("det"), shape, complex=True) for shape in [*_SQUARE, (1, 1)]]
SAMPLES += [sample("slogdet", _logarithm, shape, complex=True) for shape in _SQUARE]
SAMPLES += [
    sample("cofactors left_out", _cofactors, (3, 3), complex=True),
    sample("slogdet", _sign, (2, 2), label="slogdet sign"),
    sample(
        "inv", lambda np, a: np.linalg.matrix_power(_regular(np, a), -3), (2, 2), complex=True, label="matrix_power -3"
    ),
]
SAMPLES += [sample("solve", _on_regular("solve"), *shapes, complex=True) for shapes in _SOLVE]

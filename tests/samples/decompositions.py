"""Samples of decompositions. Where vectors are known up to a phase only, programs that don't depend on it."""

from __future__ import annotations

import gpuad.numpy.decompositions  # noqa: F401 - otherwise imported when it is used

from . import sample
from .linalg import _known, _regular


def _definite(np, x):
    """A Hermitian matrix made of ``x``, far from singular."""
    x = _known(x)
    return _regular(np, x @ np.swapaxes(np.conj(x), -1, -2))


def _weights(np, x):
    """Numbers for the entries of ``x``, so that sums of them see every entry, and which is which."""
    n = 1
    for k in x.shape:
        n *= k
    return np.arange(1, n + 1).reshape(x.shape).astype(x.real.dtype) / 8


def _cholesky(np, a):
    return np.linalg.cholesky(_definite(np, a))


def _eigh(np, a):
    w, v = np.linalg.eigh(_spread(np, a), "U")
    return w, v * v if a.dtype.kind != "c" else (v * np.conj(v)).real


def _spread(np, a):
    """A matrix whose eigenvalues and singular values are apart."""
    a = _known(a)
    n = np.arange(a.shape[-1])
    rows = np.arange(a.shape[-2])
    return a + np.where(rows[:, None] == n, 5 * rows[:, None] + 4, 0).astype(a.dtype)


def _eigenvalues(np, a):
    return np.linalg.eigvalsh(_spread(np, a))


def _eig(np, a):
    w, v = np.linalg.eig(_spread(np, a))
    return w * 1.0, v * 1.0


def _svd(full):
    def f(np, a):
        u, s, vh = np.linalg.svd(_spread(np, a), full)
        k = s.shape[-1]
        u, vh = u[..., :k], vh[..., :k, :]
        if a.dtype.kind != "c":
            return u * u, s, vh * vh
        return (u * np.conj(u)).real, s, (u * np.exp(-s)[..., None, :]) @ vh

    return f


def _qr(mode):
    def f(np, a):
        q, r = np.linalg.qr(_spread(np, a), mode)
        return q[..., : min(a.shape)] if mode == "complete" else q, r

    return f


_SQUARE = [(2, 3, 3), (0, 2, 2)]
_SHAPES = [(2, 4), (2, 3, 2), (0, 3, 2)]

SAMPLES = [sample("cholesky", _cholesky, shape, complex=True) for shape in _SQUARE]
SAMPLES += [
    sample(
        "cholesky",
        lambda np, a: np.linalg.cholesky(_known(a) + 5 * np.eye(3, dtype=_known(a).dtype)),
        (3, 3),
        label="one triangle",
    ),
    sample(
        "cholesky", lambda np, a: np.linalg.cholesky(_definite(np, a), upper=True), (3, 3), complex=True, label="upper"
    ),
]
SAMPLES += [sample("eigh repeats undecided defined", _eigh, shape, complex=True) for shape in _SQUARE]
SAMPLES += [sample("eigh", _eigenvalues, shape, complex=True, label="eigvalsh") for shape in [(1, 1), (0, 0)]]
SAMPLES += [sample("eig largest", _eig, shape, complex=True) for shape in _SQUARE]
SAMPLES += [sample("eig", lambda np, a: np.linalg.eigvals(_spread(np, a)) * 1.0, (3, 3), complex=True, label="eigvals")]
SAMPLES += [sample("svd", _svd(False), shape, complex=True) for shape in [(3, 3), *_SHAPES]]
SAMPLES += [
    sample("svd vanish unknown_columns turns matters", _svd(True), shape, complex=True, label="full svd")
    for shape in [(4, 2), (2, 4)]
]
SAMPLES += [
    sample(
        "svd",
        lambda np, a, ord=ord: np.linalg.norm(_spread(np, a), ord, axis=(0, -1), keepdims=True),
        (3, 2, 2),
        label=f"norm {ord}",
    )
    for ord in (2, -2, "nuc")
]
SAMPLES += [sample("svd", lambda np, a: np.linalg.cond(_spread(np, a), -2), (3, 3), label="cond")]
SAMPLES += [sample("qr", _qr("reduced"), shape, complex=True) for shape in _SHAPES]
SAMPLES += [sample("qr", _qr("complete"), (4, 2), complex=True, label="complete qr")]
SAMPLES += [sample("qr", lambda np, a: np.linalg.qr(_spread(np, a), "r") * 1.0, (2, 4), label="qr r")]
SAMPLES += [
    sample("pinv stein", lambda np, a: np.linalg.pinv(_spread(np, a), 1e-6), shape, complex=True) for shape in _SHAPES
]
SAMPLES += [
    sample("pinv stein", lambda np, a: np.linalg.pinv(_spread(np, a), 0.6), shape, complex=True, label="cut off")
    for shape in [(2, 4), (2, 3, 2)]
]
SAMPLES += [
    sample(
        "pinv svd",
        lambda np, a, b: [np.linalg.lstsq(_spread(np, a), _known(b), 1e-6)[k] for k in (0, 1, 3)],
        (4, 2),
        (4, 3),
        complex=True,
        label="lstsq",
    ),
    sample(
        "inv",
        lambda np, a: np.linalg.tensorinv(_regular(np, a.reshape(6, 6)).reshape(a.shape)),
        (2, 3, 6),
        label="tensorinv",
    ),
    sample(
        "solve",
        lambda np, a, b: np.linalg.tensorsolve(_regular(np, a.reshape(6, 6)).reshape(a.shape), _known(b)),
        (2, 3, 3, 2),
        (2, 3),
        label="tensorsolve",
    ),
]

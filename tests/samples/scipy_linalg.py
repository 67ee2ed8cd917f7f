"""Samples of ``scipy.linalg``."""

from __future__ import annotations

from gpuad.scipy import linalg

from . import sample
from .decompositions import _definite, _spread
from .linalg import _known, _regular

SAMPLES = []


def _add(primitives, f, *shapes, complex=True, **options):
    SAMPLES.append(sample(primitives, f, *shapes, complex=complex, **options))


# -- systems ------------------------------------------------------------------------------------------
def _triangular(**options):
    return lambda np, a, b: linalg.solve_triangular(_regular(np, a), _known(b), **options)


for shapes in [[(3, 3), (3,)], [(3, 3), (3, 2)]]:
    _add("solve_triangular", _triangular(), *shapes)
_add("solve_triangular", _triangular(lower=True, trans=1), (3, 3), (3, 2), label="trans 1")
_add("solve_triangular", _triangular(unit_diagonal=True, trans="C"), (3, 3), (3,), label="unit, trans C")
for kind in ("sym", "her", "upper triangular", "tridiagonal"):
    _add(
        "solve",
        lambda np, a, b, kind=kind: linalg.solve(_regular(np, a), _known(b), assume_a=kind),
        (4, 4),
        (4,),
        label=f"solve {kind}",
    )
_add("inv", lambda np, a: linalg.inv(_regular(np, a)), (3, 3), label="scipy inv")
_add(
    "solve",
    lambda np, a, b: linalg.solve(_regular(np, a), _known(b), transposed=True),
    (3, 3),
    (3, 2),
    complex=False,
    label="solve transposed",
)
for lower in (False, True):
    _add(
        "cholesky solve_triangular",
        lambda np, a, b, lower=lower: linalg.cho_solve(linalg.cho_factor(_definite(np, a), lower), _known(b)),
        (3, 3),
        (3, 2),
        label=f"cho_solve {lower}",
    )
for shape in [(4, 2), (2, 4)]:
    _add("lu", lambda np, a: linalg.lu(_spread(np, a), permute_l=True), shape)
_add("lu", lambda np, a: linalg.lu(_spread(np, a)[..., ::-1], p_indices=True)[1:], (3, 3), label="lu p_indices")
for trans in (0, 1, 2):
    _add(
        "lu lu_pivots row_order solve_triangular",
        lambda np, a, b, trans=trans: linalg.lu_solve(linalg.lu_factor(_spread(np, a)[..., ::-1]), _known(b), trans),
        (3, 3),
        (3, 2),
        order=1,
        label=f"lu_solve {trans}",
    )
for bands, shapes in {(1, 2): [(4, 5), (5,)], (2, 0): [(3, 4), (4, 2)], (3, 3): [(7, 3), (3,)]}.items():
    _add(
        "solve_banded",
        lambda np, ab, b, bands=bands: linalg.solve_banded(bands, _heavy(np, ab, bands[1]), _known(b)),
        *shapes,
        order=1 if bands == (3, 3) else 2,
        label=f"solve_banded {bands}",
    )
for lower in (False, True):
    _add(
        "solve_banded",
        lambda np, ab, b, lower=lower: linalg.solveh_banded(_heavy(np, ab, 0 if lower else 2), _known(b), lower=lower),
        (3, 5),
        (5, 2),
        order=1,
        label=f"solveh_banded {lower}",
    )
_add("solve_toeplitz", lambda np, c, b: linalg.solve_toeplitz(_heavy(np, c[None], 0)[0], _known(b)), (4,), (4,))
_add(
    "solve_toeplitz",
    lambda np, c, r, b: linalg.solve_toeplitz((_heavy(np, c[None], 0)[0], _known(r)), _known(b)),
    (4,),
    (4,),
    (4, 2),
)
_add("pinv", lambda np, a: linalg.pinv(_spread(np, a)), (4, 2), label="scipy pinv")
_add(
    "pinv svd",
    lambda np, a, b: [linalg.lstsq(_spread(np, a), _known(b))[k] for k in (0, 1, 3)],
    (4, 2),
    (4,),
    order=1,
    label="scipy lstsq",
)


def _heavy(np, ab, row):
    """Diagonals, of which the main one is in that row, and makes the matrix regular."""
    return _known(ab) + np.where(np.arange(ab.shape[0]) == row, 9.0, 0.0).astype(ab.real.dtype)[:, None].astype(
        _known(ab).dtype
    )


# -- decompositions -----------------------------------------------------------------------------------
def _size(np, v):
    return v * v if v.dtype.kind != "c" else (v * np.conj(v)).real


def _eigh(**options):
    def f(np, a):
        w, v = linalg.eigh(_spread(np, a), **options)
        return w, _size(np, v)

    return f


def _eig(np, a):
    w, v = linalg.eig(_spread(np, a))
    return w, _size(np, v)


def _eigh_pair(np, a, b):
    w, v = linalg.eigh(_spread(np, a), _definite(np, b), lower=False)
    return w, _size(np, v)


_add("scipy.linalg.eigh", _eigh(), (3, 3))
_add("scipy.linalg.eigh", _eigh(lower=False, subset_by_index=[0, 1]), (3, 3), label="eigh subset")
_add("eigh_pair", _eigh_pair, (3, 3), (3, 3))
_add("eig_pair", lambda np, a, b: linalg.eigvals(_spread(np, a), _regular(np, b)), (3, 3), (3, 3))
_add("scipy.linalg.eig", _eig, (3, 3))
_add(
    "qr qr_pivots",
    lambda np, a: linalg.qr(_spread(np, a), mode="economic", pivoting=True)[:2],
    (4, 3),
    label="qr pivoting",
)
for shape, mode in [((3, 3), "full"), ((2, 4), "economic"), ((4, 2), "r")]:
    _add("qr", lambda np, a, mode=mode: linalg.rq(_spread(np, a), mode=mode), shape, label=f"rq {mode}")
for shape, side in [((3, 3), "right"), ((2, 4), "right"), ((4, 2), "left")]:
    _add(
        "unitary_factor singular",
        lambda np, a, side=side: linalg.polar(_spread(np, a), side),
        shape,
        label=f"polar {side}",
    )
_add("svd", lambda np, a: linalg.orth(_spread(np, a)) ** 2, (4, 2), complex=False, label="orth")


# -- functions and equations --------------------------------------------------------------------------
for shape in [(3, 3), (2, 2, 2)]:
    _add("scipy.linalg.expm size", lambda np, a: linalg.expm(_known(a)), shape)
_add(
    "scipy.linalg.expm",
    lambda np, a, e: linalg.expm_frechet(_known(a), _known(e)),
    (2, 2),
    (2, 2),
    label="expm_frechet",
)


def _double(a):
    """In single precision, SciPy's logarithm warns of its rounding."""
    return a.astype("complex128" if a.dtype.kind == "c" else "float64")


for name in ("logm", "sqrtm"):
    _add(
        f"scipy.linalg.{name}",
        lambda np, a, name=name: getattr(linalg, name)(_double(_definite(np, a) + _known(a) / 4)),
        (2, 2),
    )
_add(
    "scipy.linalg.fractional_matrix_power",
    lambda np, a: linalg.fractional_matrix_power(_definite(np, a) + _known(a) / 4, 0.3),
    (2, 2),
)
for name in ("tanm", "tanhm"):  # of sine and cosine
    _add(
        "scipy.linalg.expm", lambda np, a, name=name: getattr(linalg, name)(_known(a) / 2), (2, 2), order=1, label=name
    )
_add(
    "scipy.linalg.solve_sylvester",
    lambda np, a, b, q: linalg.solve_sylvester(_regular(np, a), _regular(np, b), _known(q)),
    (3, 3),
    (2, 2),
    (3, 2),
)
_add(
    "scipy.linalg.solve_sylvester",
    lambda np, a, q: linalg.solve_continuous_lyapunov(_regular(np, a), _known(q)),
    (3, 3),
    (3, 3),
    label="lyapunov",
)
for method in ("direct", "bilinear"):
    _add(
        "scipy.linalg.solve_discrete_lyapunov",
        lambda np, a, q, method=method: linalg.solve_discrete_lyapunov(_known(a) / 8, _known(q), method),
        (3, 3),
        (3, 3),
        label=f"discrete {method}",
    )
for name in ("continuous", "discrete"):
    solver = getattr(linalg, f"solve_{name}_are")
    _add(
        f"scipy.linalg.solve_{name}_are",
        lambda np, a, b, q, r, solver=solver: solver(_known(a), _known(b), _definite(np, q), _definite(np, r)),
        (3, 3),
        (3, 2),
        (3, 3),
        (2, 2),
        low=-1.0,
        high=1.0,
    )
    _add(
        f"scipy.linalg.solve_{name}_are",
        lambda np, a, e, s, solver=solver: solver(
            _known(a),
            np.eye(2, dtype=_known(a).dtype),
            np.eye(2, dtype=_known(a).dtype) * 9,
            np.eye(2, dtype=_known(a).dtype),
            _regular(np, e),
            _known(s),
        ),
        (2, 2),
        (2, 2),
        (2, 2),
        low=-1.0,
        high=1.0,
        order=1,
        label=f"{name} are with e and s",
    )


# -- special matrices ---------------------------------------------------------------------------------
for name, shapes in {
    "toeplitz": [(3,)],
    "circulant": [(3,)],
    "hankel": [(3,)],
    "companion": [(4,)],
    "block_diag": [(2, 3), (1, 1), (2,)],
    "khatri_rao": [(2, 3), (4, 3)],
}.items():
    _add("multiply", lambda np, *xs, name=name: getattr(linalg, name)(*xs) * 2.0, *shapes, label=name, low=1.0)
for name in ("toeplitz", "hankel"):
    _add("gather", lambda np, c, r, name=name: getattr(linalg, name)(c, r), (3,), (4,), label=f"{name} of two")

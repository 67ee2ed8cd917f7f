"""Matrix products: small ones as loops, others by the BLAS that NumPy uses itself."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from .loops import Text
from .program import Product, Program, Ref

#: Products of so many multiply-adds are loops of our own, which take 0.5 to 0.8 of OpenBLAS's time.
SMALL = 1 << 18
#: So many where no BLAS is found; larger ones are NumPy's.
LARGEST = 1 << 18


class Blas(NamedTuple):
    """``dgemm`` and ``sgemm`` in the C interface: their addresses, and the bits of their whole numbers."""

    double: int
    single: int
    bits: int


#: Names with which NumPy's wheels and distributions have it, and the bits of whole numbers.
_NAMES = (
    ("scipy_cblas_{}gemm64_", 64),
    ("cblas_{}gemm64_", 64),
    ("scipy_cblas_{}gemm", 32),
    ("cblas_{}gemm", 32),
)


@functools.cache
def find() -> Blas | None:
    """That of the library which NumPy is linked with: its symbols are found through the module that needs them."""
    import ctypes

    try:
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError):
        return None
    for name, bits in _NAMES:
        try:
            double, single = (getattr(library, name.format(kind)) for kind in "ds")
        except AttributeError:
            continue
        found = [ctypes.cast(f, ctypes.c_void_p).value for f in (double, single)]
        if all(found):
            return Blas(found[0] or 0, found[1] or 0, bits)
    return None


def bits() -> int:
    """Those of its whole numbers, if there is one."""
    known = find()
    return known.bits if known is not None else 64


def is_known(x: Ref, y: Ref, out: Ref) -> bool:
    """Whether there is a way to do this product."""
    work = math.prod(x.shape[-2:]) * out.shape[-1]
    if _in_loops(x.shape[-2], work, out.shape[-1]):
        return True
    # NumPy computes one half of a matrix times itself.
    return find() is not None and not (x.storage == y.storage and work > SMALL)


def wants_rows(x: Ref, y: Ref) -> bool:
    """Whether ``y`` had better lie in rows: going through it in columns takes twice to five times as long."""
    (m, k), n = x.shape[-2:], y.shape[-1]
    return y.strides[-1] != 1 and min(m, n) >= 4 and m * k * n <= SMALL


def _in_loops(m: int, work: int, n: int) -> bool:
    return work <= SMALL or 1 in (m, n) or (find() is None and work <= LARGEST)


def fits(ref: Ref) -> bool:
    """Whether BLAS can take the matrices as they lie, in rows or in columns."""
    return _in_rows(ref) or _in_rows(_transposed(ref))


def _in_rows(ref: Ref) -> bool:
    (m, n), (s, t) = ref.shape[-2:], ref.strides[-2:]
    return (t == 1 or n == 1) and (s >= n or m == 1)


def _transposed(ref: Ref) -> Ref:
    """As to the last two axes."""
    (m, n), (s, t) = ref.shape[-2:], ref.strides[-2:]
    return ref._replace(shape=(*ref.shape[:-2], n, m), strides=(*ref.strides[:-2], t, s))


def text_of(product: Product, program: Program) -> Text:
    """The function of a matrix product, as of ``loops.text_of``."""
    x, _, out = product
    m, k, n = x.shape[-2], x.shape[-1], out.shape[-1]
    bits = 8 * program.dtype(out).itemsize
    at = [" + ".join([f"i{j} * {s}" for j, s in enumerate(ref.strides[:-2]) if s]) or "0" for ref in product]
    places = f"(stored_f{bits} *)p[0] + {at[0]}, (stored_f{bits} *)p[1] + {at[1]}, (stored_f{bits} *)p[2] + {at[2]}"
    lines = [f"for (int64_t i{j} = 0; i{j} < {length}; ++i{j})" for j, length in enumerate(out.shape[:-2])]
    strides = [ref.strides[-2:] for ref in product]
    if _in_loops(m, m * k * n, n):
        # Along rows of y where it has rows, else along what is summed over.
        dots = strides[0][1] == 1 and strides[1][0] == 1 and (n == 1 or strides[1][1] != 1)
        flat = ", ".join([str(s) for pair in strides for s in pair])
        lines.append(f"gpuad_{'dots' if dots else 'rows'}_f{bits}({m}, {k}, {n}, {places}, {flat});")
    else:
        order = _ROWS if strides[2][1] == 1 or n == 1 else _COLUMNS
        (flag_x, apart_x), (flag_y, apart_y), (_, apart) = (_lying(ref, order) for ref in product)
        flat = f"{flag_x}, {apart_x}, {flag_y}, {apart_y}, {apart}"
        lines.append(f"gpuad_large_f{bits}({order}, {m}, {k}, {n}, {places}, {flat});")
    return Text("\n".join([f"    {line}" for line in lines]), tuple([(ref.storage, ref.offset) for ref in product]))


#: What the C interface calls matrices in rows and in columns, and as they are and transposed.
_ROWS, _COLUMNS, _PLAIN, _TRANSPOSED = 101, 102, 111, 112


def _lying(ref: Ref, order: int) -> tuple[int, int]:
    """Whether a matrix is to be transposed, and how far apart its rows, or columns, are."""
    (m, n), (s, t) = ref.shape[-2:], ref.strides[-2:]
    if order == _ROWS:
        return (_PLAIN, max(s, n)) if _in_rows(ref) else (_TRANSPOSED, max(t, m))
    return (_PLAIN, max(t, m)) if _in_rows(_transposed(ref)) else (_TRANSPOSED, max(s, n))

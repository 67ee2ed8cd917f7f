"""Samples of the products: matmul, einsum and what is written with them, and norms."""

from __future__ import annotations

import functools
import math

import numpy

from . import sample


def _call(name, *options, **more):
    """``np.name(*arrays, ...)`` for a dotted name."""

    def f(np, *arrays):
        for part in name.split("."):
            np = getattr(np, part)
        return np(*arrays, *options, **more)

    return f


def _new(name, otherwise):
    """A function that older or other namespaces lack: there, what it stands for."""

    def f(np, *arrays):
        function = np
        for part in name.split("."):
            function = getattr(function, part, None)
        return otherwise(np, *arrays) if function is None else function(*arrays)

    return f


_MATMUL = [
    [(2, 3), (3, 4)], [(3,), (3,)], [(2, 3), (3,)], [(3,), (3, 2)], [(1, 1), (1, 1)], [(2, 0), (0, 3)],
    [(0, 3), (3, 2)], [(0,), (0,)], [(2, 2, 3), (2, 3, 2)], [(2, 2, 3), (3, 2)], [(2, 3), (2, 3, 2)],
    [(3,), (2, 3, 2)], [(2, 2, 3), (3,)], [(1, 2, 3), (2, 3, 2)], [(2, 1, 2, 3), (3, 3, 1)], [(0, 2, 3), (3, 2)],
]  # fmt: skip
_EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 2)),
    ("ij,kj", (2, 3), (4, 3)),
    ("Ba,aA", (2, 3), (3, 4)),
    ("i,i->", (3,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,j->ji", (2,), (3,)),
    (",->", (), ()),
    (",i->i", (), (3,)),
    ("ij,->", (2, 3), ()),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    ("ib,jb->bij", (2, 3), (2, 3)),
    ("bi,bi->b", (2, 3), (2, 3)),
    ("abcd,bdef->acfe", (2, 3, 1, 2), (3, 2, 2, 1)),
    ("...ij,...jk->...ik", (3, 1, 2, 3), (2, 3, 2)),
    ("...ij,...jk", (2, 2, 3), (3, 2)),
    ("i...,i...->...", (2, 3), (2, 3)),
    ("ii,ij->j", (2, 2), (2, 3)),
    ("ii,jj->ij", (2, 2), (3, 3)),
    ("iij,kjk->ik", (2, 2, 3), (2, 3, 2)),
    ("ij,kl->", (2, 3), (2, 2)),
    ("ij,j->i", (2, 1), (3,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]
_EINSUM_OF_MORE = [
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,ik,il->jkl", (2, 3), (2, 2), (2, 3)),
    ("ij,ij,kj->k", (1, 3), (2, 3), (2, 1)),
    ("...i,i...,i", (2, 3), (3, 2), (3,)),
]
_FOLD = [
    ("ii", (3, 3)), ("iij->", (2, 2, 3)), ("iij->j", (2, 2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("ijk->kj", (2, 3, 2)), ("i...->...", (2, 3)), ("ij->i", (2, 0)),
]  # fmt: skip
_DIAGONALS = [("ii->i", (3, 3)), ("iji->ji", (2, 3, 2)), ("iii->i", (2, 2, 2)), ("ii->i", (0, 0))]
_TURN = [("ijk->kij", (2, 3, 2)), ("ba", (2, 3)), ("...i->i...", (2, 3, 2)), ("->", ())]


def _multi_dot(np, *arrays):
    return np.linalg.multi_dot(arrays) if hasattr(np.linalg, "multi_dot") else functools.reduce(np.matmul, arrays)


def _label(name, options):
    return name + "".join(f" {k}={v}" for k, v in options.items())


def _einsum(subscripts, **options):
    return lambda np, *arrays: np.einsum(subscripts, *arrays, **options)


def _matrix_norm(p, options):
    return lambda np, x: np.linalg.norm(x**3, p, **options)


def _squared(f):
    """For operations that are linear, so that second derivatives have something to say."""
    return lambda np, *arrays: f(np, *arrays) ** 2


SAMPLES = [sample("matmul", _call("matmul"), *shapes, complex=True) for shapes in _MATMUL]
SAMPLES += [sample("matmul", lambda np, x, y: x @ y, *shapes, label="@") for shapes in _MATMUL[:4]]
SAMPLES += [sample("einsum", _einsum(s), *shapes, complex=True, label=f"einsum {s} ") for s, *shapes in _EINSUM]
SAMPLES += [sample("einsum", _einsum(s), *shapes, complex=True, label=f"einsum {s} ") for s, *shapes in _EINSUM_OF_MORE]
SAMPLES += [
    sample("fold unfold", _squared(_einsum(s)), shape, complex=True, label=f"einsum {s} ") for s, shape in _FOLD
]
SAMPLES += [
    sample("diagonals unfold", _squared(_einsum(s)), shape, complex=True, label=f"einsum {s} ")
    for s, shape in _DIAGONALS
]
SAMPLES += [sample("transpose", _squared(_einsum(s)), shape, complex=True, label=f"einsum {s} ") for s, shape in _TURN]
SAMPLES += [
    sample("einsum", _einsum("ij,jk,kl->il", optimize=how), (2, 3), (3, 4), (4, 2), label=f"einsum optimize={how} ")
    for how in (True, "optimal", ["einsum_path", (1, 2), (0, 1)])
]
SAMPLES += [
    sample("einsum", lambda np, x, y: np.einsum(x, (0, 1), y, (1, 2), (0, 2)), (2, 3), (3, 2), label="einsum lists"),
    sample("einsum", lambda np, x, y: np.einsum(x, (2, 1), y, (1, 0)), (2, 3), (3, 2), label="einsum lists implicit"),
    sample(
        "einsum", lambda np, x, y: np.einsum(x, (..., 0), y, (..., 0), (...,)), (2, 3), (3,), label="einsum lists ..."
    ),
]
SAMPLES += [sample("matmul", _call("dot"), *shapes, complex=True, label="dot") for shapes in _MATMUL[:4]]
SAMPLES += [
    sample("einsum", _call("dot"), (2, 2, 3), (3,), complex=True, label="dot"),
    sample("einsum", _call("dot"), (2, 2, 3), (2, 3, 2), complex=True, label="dot"),
    sample("multiply", _call("dot"), (), (2, 3), label="dot"),
    sample("matmul", _call("vdot"), (3,), (3,), complex=True, label="vdot"),
    sample("matmul", _call("vdot"), (2, 3), (2, 3), complex=True, label="vdot"),
    sample("einsum", _call("inner"), (3,), (3,), complex=True, label="inner"),
    sample("einsum", _call("inner"), (2, 3), (4, 3), complex=True, label="inner"),
    sample("einsum", _call("inner"), (2, 2, 3), (3,), label="inner"),
    sample("einsum", _call("outer"), (3,), (2,), complex=True, label="outer"),
    sample("einsum", _call("outer"), (2, 2), (3,), label="outer"),
    sample("einsum", _call("outer"), (), (0,), label="outer"),
    sample("einsum", _call("kron"), (2, 3), (3, 2), complex=True, label="kron"),
    sample("einsum", _call("kron"), (3,), (2, 2), label="kron"),
    sample("einsum", _call("kron"), (2, 1, 2), (2,), label="kron"),
    sample("einsum", _call("tensordot"), (2, 3, 4), (3, 4, 2), complex=True, label="tensordot"),
    sample("einsum", _call("tensordot", 0), (2, 3), (2,), label="tensordot 0"),
    sample("einsum", _call("tensordot", ([0, -1], [1, 0])), (2, 3, 4), (4, 2, 2), label="tensordot lists"),
    sample("einsum", _call("tensordot", axes=(-1, 0)), (2, 3), (3,), label="tensordot axes"),
    sample("einsum", _call("tensordot", 1), (2, 0), (0, 3), label="tensordot 1"),
    sample(
        "einsum",
        _new("vecdot", lambda np, x, y: np.einsum("...i,...i->...", np.conj(x), y)),
        (2, 2, 3),
        (2, 3),
        complex=True,
        label="vecdot",
    ),
    sample(
        "matmul" if hasattr(numpy, "matvec") else "einsum",
        _new("matvec", lambda np, x, y: np.einsum("...ij,...j->...i", x, y)),
        (2, 2, 3),
        (3,),
        label="matvec",
    ),
    sample(
        "matmul" if hasattr(numpy, "vecmat") else "einsum",
        _new("vecmat", lambda np, x, y: np.einsum("...i,...ij->...j", np.conj(x), y)),
        (2, 3),
        (2, 3, 2),
        complex=True,
        label="vecmat",
    ),
    sample("cross", _call("cross"), (3,), (3,), complex=True),
    sample("cross", _call("cross"), (2, 3), (3,)),
    sample("cross", _call("cross", axis=0), (3, 2), (3, 2), label="cross axis"),
    sample("cross", _call("cross", 0, 1, 0), (3, 4), (4, 3), label="cross axes"),
    sample("diagonal", _squared(_call("trace")), (3, 3), complex=True, label="trace"),
    sample("diagonal", _squared(_call("trace", 1, -1, 0)), (3, 2, 4), label="trace axes"),
    sample("matmul", _call("linalg.matrix_power", 3), (2, 2), complex=True, label="matrix_power 3"),
    sample("matmul", _call("linalg.matrix_power", 5), (2, 2, 2), label="matrix_power 5"),
    sample("matmul", _multi_dot, (2, 3), (3, 4), (4, 2), complex=True, label="multi_dot"),
    sample("matmul", _multi_dot, (3,), (3, 2), (2, 4), (4,), label="multi_dot"),
]
SAMPLES += [
    sample("convolve", _call(name, mode), *shapes, complex=True, label=f"{name} {mode} ")
    for name in ("convolve", "correlate")
    for mode in ("full", "same", "valid")
    for shapes in [((5,), (3,)), ((2,), (5,)), ((1,), (4,))]
]
_AXES = [((3,), {}), ((), {}), ((2, 3), {}), ((2, 3), {"axis": 0}), ((2, 3), {"axis": -1, "keepdims": True})]
_AXES += [((2, 3, 2), {"axis": (0, -1)}), ((2, 3, 2), {"axis": (2, 1), "keepdims": True}), ((2, 2, 2), {})]
_AXES += [((2, 3), {"keepdims": True})]
SAMPLES += [
    sample("euclidean_norm", _call("linalg.norm", **o), shape, low=0.3, complex=True, label=_label("norm", o))
    for shape, o in _AXES
]
SAMPLES += [
    sample(
        name, _call("linalg.norm", ord=p, axis=1), (2, 3), low=0.3, distinct=True, complex=True, label=f"norm ord={p} "
    )
    for p, name in [(1, "sum"), (3, "sum"), (2.5, "sum"), (math.inf, "max"), (-math.inf, "min")]
]
SAMPLES += [
    # Cubed, for the sums of evenly spaced numbers may be equal.
    sample("absolute", _matrix_norm(p, o), (2, 3), low=0.3, distinct=True, label=f"norm ord={p}{o}")
    for p in (1, -1, math.inf, -math.inf)
    for o in ({}, {"axis": (1, 0), "keepdims": True})
]
SAMPLES += [
    sample("not_equal", lambda np, x: np.linalg.norm(x, 0) * x, (3,), label="norm ord=0"),
    sample("euclidean_norm", _call("linalg.norm", "fro"), (2, 3), low=0.3, label="norm fro"),
]

"""Samples of the primitives that rearrange: each is undone by another one, so they are linear and work for complex."""

from __future__ import annotations

from . import sample


def _linear(primitives, call, *shapes, label):
    """``call(np, *arrays)``, and the square of it, whose second derivative isn't zero."""
    return [
        sample(primitives, call, *shapes, complex=True, label=label),
        sample(primitives, lambda np, *a: _squares(call(np, *a)), *shapes, label=f"{label} squared"),
    ]


def _squares(found):
    return [r * r for r in found] if isinstance(found, (list, tuple)) else found * found


SAMPLES = []
for _primitives, _label, _call, *_shapes in [
    # another shape
    ("reshape", "reshape", lambda np, x: np.reshape(x, (3, 2)), (2, 3)),
    ("reshape", "reshape -1", lambda np, x: np.reshape(x, -1), (2, 3)),
    ("reshape", "reshape F", lambda np, x: np.reshape(x, (3, -1), order="F"), (2, 3)),
    ("reshape", "reshape 0d", lambda np, x: np.reshape(x, (1, 1)), ()),
    ("reshape", "reshape empty", lambda np, x: np.reshape(x, (3, 0)), (0, 2)),
    ("reshape", "x.reshape", lambda np, x: x.reshape(3, 2) + x.reshape((3, 2), order="F"), (2, 3)),
    ("reshape", "ravel", lambda np, x: np.ravel(x), (2, 3)),
    ("reshape", "ravel F", lambda np, x: np.ravel(x, order="F"), (2, 3)),
    ("reshape transpose", "ravel K", lambda np, x: np.ravel(x.T, order="K"), (2, 3)),
    ("reshape", "flatten", lambda np, x: x.flatten() + x.ravel(), (2, 3)),
    ("reshape", "expand_dims", lambda np, x: np.expand_dims(x, -1), (2, 3)),
    ("reshape", "expand_dims of several", lambda np, x: np.expand_dims(x, (0, -2)), (2, 3)),
    ("reshape", "squeeze", lambda np, x: np.squeeze(x), (1, 2, 1)),
    ("reshape", "squeeze axis", lambda np, x: x.squeeze(axis=-1), (1, 2, 1)),
    ("reshape", "squeeze axes", lambda np, x: np.squeeze(x, (0, -1)), (1, 2, 1)),
    ("reshape", "atleast_1d", lambda np, x: np.atleast_1d(x), ()),
    ("reshape", "atleast_2d", lambda np, x: np.atleast_2d(x), (3,)),
    ("reshape", "atleast_3d", lambda np, x, y, z: np.atleast_3d(x, y, z), (), (2,), (2, 3)),
    ("broadcast_to", "broadcast_to", lambda np, x: np.broadcast_to(x, (2, 3)), (3,)),
    ("broadcast_to", "broadcast_to middle", lambda np, x: np.broadcast_to(x, (4, 2, 3)), (2, 1)),
    ("broadcast_to", "broadcast_to of 0d", lambda np, x: np.broadcast_to(x, (2,)), ()),
    ("broadcast_to", "broadcast_to empty", lambda np, x: np.broadcast_to(x, (0, 3)), (3,)),
    ("broadcast_to", "broadcast_arrays", lambda np, x, y: np.broadcast_arrays(x, y), (3,), (2, 1)),
    # another order
    ("transpose", "transpose", lambda np, x: np.transpose(x), (2, 3, 4)),
    ("transpose", "T", lambda np, x: x.T, (2, 3)),
    ("transpose", "transpose axes", lambda np, x: np.transpose(x, (1, -1, 0)), (2, 3, 4)),
    ("transpose", "x.transpose", lambda np, x: x.transpose(2, 0, 1), (2, 3, 4)),
    ("transpose", "transpose 0d", lambda np, x: np.transpose(x), ()),
    ("transpose", "swapaxes", lambda np, x: np.swapaxes(x, 0, -1), (2, 3, 4)),
    ("transpose", "moveaxis", lambda np, x: np.moveaxis(x, 0, -1), (2, 3, 4)),
    ("transpose", "moveaxis of several", lambda np, x: np.moveaxis(x, (0, 1), (-1, -2)), (2, 3, 4)),
    ("transpose", "rollaxis", lambda np, x: np.rollaxis(x, 2), (2, 3, 4)),
    ("transpose", "rollaxis start", lambda np, x: np.rollaxis(x, 0, 2), (2, 3, 4)),
    ("flip", "flip", lambda np, x: np.flip(x), (2, 3)),
    ("flip", "flip axis", lambda np, x: np.flip(x, -1), (2, 3)),
    ("flip", "flip axes", lambda np, x: np.flip(x, (0, 2)), (2, 3, 2)),
    ("flip", "fliplr", lambda np, x: np.fliplr(x) + np.flipud(x), (2, 3)),
    ("flip", "rot90", lambda np, x: np.rot90(x), (2, 3)),
    ("flip", "rot90 twice", lambda np, x: np.rot90(x, 2), (2, 3)),
    ("flip", "rot90 back", lambda np, x: np.rot90(x, -1, axes=(0, 2)), (2, 3, 2)),
    ("roll", "roll", lambda np, x: np.roll(x, 1), (2, 3)),
    ("roll", "roll axis", lambda np, x: np.roll(x, -4, axis=-1), (2, 3)),
    ("roll", "roll axes", lambda np, x: np.roll(x, (1, 2), axis=(0, 1)), (2, 3)),
    ("roll", "roll empty", lambda np, x: np.roll(x, 1), (0,)),
    # joining
    ("concatenate", "concatenate", lambda np, x, y: np.concatenate([x, y]), (2,), (3,)),
    ("concatenate", "concatenate axis", lambda np, x, y: np.concatenate((x, y, x), axis=-1), (2, 1), (2, 3)),
    ("concatenate reshape", "concatenate flat", lambda np, x, y: np.concatenate([x, y], axis=None), (2, 2), (3,)),
    ("concatenate", "concatenate empty", lambda np, x, y: np.concatenate([x, y]), (0, 2), (1, 2)),
    ("concatenate", "concatenate rows", lambda np, x: np.concatenate(list(x)), (2, 3)),
    ("stack", "stack", lambda np, x, y: np.stack([x, y]), (3,), (3,)),
    ("stack", "stack axis", lambda np, x, y: np.stack([x, y], axis=-1), (2, 3), (2, 3)),
    ("stack", "stack of 0d", lambda np, x, y: np.stack([x, y, x]), (), ()),
    ("concatenate", "vstack", lambda np, x, y: np.vstack([x, y]), (3,), (2, 3)),
    ("concatenate", "hstack", lambda np, x, y: np.hstack([x, y]), (2,), (3,)),
    ("concatenate", "hstack of matrices", lambda np, x, y: np.hstack([x, y]), (2, 1), (2, 2)),
    ("concatenate", "dstack", lambda np, x, y: np.dstack([x, y]), (2,), (2,)),
    ("concatenate", "column_stack", lambda np, x, y: np.column_stack([x, y]), (2,), (2, 2)),
    ("concatenate", "append", lambda np, x, y: np.append(x, y), (2, 2), (3,)),
    ("concatenate", "append axis", lambda np, x, y: np.append(x, y, axis=1), (2, 2), (2, 1)),
    # splitting
    ("part", "split", lambda np, x: np.split(x, 3), (6,)),
    ("part", "split at", lambda np, x: np.split(x, (1, 3), axis=-1), (2, 4)),
    ("part", "array_split", lambda np, x: np.array_split(x, 3, axis=1), (2, 5)),
    ("part", "hsplit", lambda np, x: np.hsplit(x, 2), (4,)),
    ("part", "hsplit of a matrix", lambda np, x: np.hsplit(x, 2), (2, 4)),
    ("part", "vsplit", lambda np, x: np.vsplit(x, 2), (4, 2)),
    ("part", "dsplit", lambda np, x: np.dsplit(x, (1,)), (2, 1, 3)),
    # repeating
    ("broadcast_to reshape", "tile", lambda np, x: np.tile(x, 2), (2, 3)),
    ("broadcast_to reshape", "tile more axes", lambda np, x: np.tile(x, (2, 1, 3)), (3,)),
    ("broadcast_to reshape", "tile fewer", lambda np, x: np.tile(x, (0,)), (2, 3)),
    ("broadcast_to reshape", "repeat", lambda np, x: np.repeat(x, 2), (2, 3)),
    ("broadcast_to reshape", "repeat axis", lambda np, x: x.repeat(3, axis=-2), (2, 3)),
    ("gather", "repeat each", lambda np, x: np.repeat(x, (2, 0, 1), axis=1), (2, 3)),
    # padding and deleting
    ("pad", "pad", lambda np, x: np.pad(x, 1), (2, 3)),
    ("pad", "pad values", lambda np, x: np.pad(x, ((0, 2), (1, 0)), constant_values=1.5), (2, 3)),
    ("extend_edges", "pad edge", lambda np, x: np.pad(x, (2, 1), mode="edge"), (3,)),
    ("extend_edges", "pad reflect", lambda np, x: np.pad(x, ((1, 4), (0, 1)), mode="reflect"), (3, 2)),
    ("extend_edges", "pad symmetric", lambda np, x: np.pad(x, 2, mode="symmetric"), (3, 2)),
    ("extend_edges", "pad wrap", lambda np, x: np.pad(x, (2, 1), mode="wrap"), (3,)),
    ("gather", "delete", lambda np, x: np.delete(x, 1), (2, 3)),
    ("gather", "delete axis", lambda np, x: np.delete(x, slice(0, 2), axis=-1), (2, 3)),
    # diagonals and triangles
    ("diagonal", "diagonal", lambda np, x: np.diagonal(x), (2, 3)),
    ("diagonal", "diagonal offset", lambda np, x: x.diagonal(-1, 2, 0), (2, 3, 4)),
    ("diagonal", "diagonal outside", lambda np, x: np.diagonal(x, offset=3), (2, 3)),
    ("diagonal", "diag of a matrix", lambda np, x: np.diag(x, 1), (3, 3)),
    ("from_diagonal", "diag", lambda np, x: np.diag(x), (3,)),
    ("from_diagonal", "diag below", lambda np, x: np.diag(x, -2), (2,)),
    ("from_diagonal", "diag empty", lambda np, x: np.diag(x), (0,)),
    ("from_diagonal", "diagflat", lambda np, x: np.diagflat(x, 1), (2, 2)),
    ("triu", "triu", lambda np, x: np.triu(x, 1), (3, 3)),
    ("triu", "triu stacked", lambda np, x: np.triu(x, -1), (2, 3, 2)),
    ("tril", "tril", lambda np, x: np.tril(x), (2, 3)),
    ("tril", "tril of a vector", lambda np, x: np.tril(x), (3,)),
    # choosing
    ("gather", "take", lambda np, x: np.take(x, np.array([0, 0, 5])), (2, 3)),
    ("gather", "take axis", lambda np, x: x.take(np.array([[0, 2], [2, -1]]), axis=1), (2, 3)),
    ("part", "take one", lambda np, x: np.take(x, 1, axis=-1), (2, 3)),
    ("gather", "take_along_axis", lambda np, x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0), (3, 2)),
    ("gather", "compress", lambda np, x: np.compress(np.array([True, False, True]), x, axis=1), (2, 3)),
    ("gather", "extract", lambda np, x: np.extract(x == x, x), (2, 2)),
    ("where", "select", lambda np, x: np.select([x > 1.0, x < 0.5], [x * x, x * 3.0], 0.5), (7,)),
    # making
    ("astype", "astype", lambda np, x: x.astype("complex128"), (3,)),
    ("broadcast_to", "meshgrid", lambda np, x, y: np.meshgrid(x, y), (2,), (3,)),
    ("broadcast_to", "meshgrid ij", lambda np, x, y, z: np.meshgrid(x, y, z, indexing="ij"), (2,), (1,), (3,)),
    ("reshape", "meshgrid sparse", lambda np, x, y: np.meshgrid(x, y, sparse=True), (2,), (3,)),
    ("add", "linspace", lambda np, x, y: np.linspace(x, y, 5), (), ()),
    ("transpose", "linspace open", lambda np, x, y: np.linspace(x, y, 4, endpoint=False, axis=-1), (2,), (3, 1)),
]:  # fmt: skip
    SAMPLES += _linear(_primitives, _call, *_shapes, label=_label)

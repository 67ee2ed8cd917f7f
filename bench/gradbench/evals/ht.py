"""Hand tracking: how far the points of a hand lie from a model of it, and the dense Jacobian by the pose."""

from dataclasses import dataclass
from typing import Any

import gpuad.numpy as np
from gpuad import jacfwd, jit, jvp

#: Every finger has three joints that bend, the first of which turns sideways, too: angles (bone, axis) in order.
JOINTS = [(2 + 4 * finger + joint, axis) for finger in range(5) for joint, axis in ((0, 0), (0, 1), (1, 0), (2, 0))]


@dataclass
class Hand:
    """The model: bones in their resting position, and how far each vertex of the skin goes along with each."""

    parents: list[int]
    base_relatives: Any
    inverse_base_absolutes: Any
    base_positions: Any
    weights: Any
    triangles: Any
    is_mirrored: bool


def read(given):
    data = given["data"]
    model = data["model"]
    floats = ("base_relatives", "inverse_base_absolutes", "base_positions", "weights")
    hand = Hand(
        parents=model["parents"],
        triangles=np.array(model["triangles"], dtype=int),
        is_mirrored=model["is_mirrored"],
        **{name: np.array(model[name], dtype=float) for name in floats},
    )
    us = np.array(given["us"], dtype=float) if given["us"] else None
    correspondences, points = np.array(data["correspondences"], dtype=int), np.array(data["points"], dtype=float)
    return np.array(given["theta"], dtype=float), us, hand, correspondences, points


def vertices(theta, hand):
    """Where the skin is in pose ``theta``: rotation and place of the hand, and the angles of the fingers."""
    bones, axes = np.array(JOINTS).T
    angles = np.zeros((len(hand.parents), 3))
    angles[bones, axes] = theta[6:]
    transforms = np.zeros((len(hand.parents), 4, 4))
    transforms[:, :3, :3] = rotations(angles[:, 0], angles[:, 2], angles[:, 1])
    transforms[:, 3, 3] = 1.0
    skins = absolutes(hand.base_relatives @ transforms, hand.parents) @ hand.inverse_base_absolutes
    moved = np.einsum("vb,vj,bij->vi", hand.weights, hand.base_positions, skins[:, :3])
    if hand.is_mirrored:
        moved = moved * np.array([-1.0, 1.0, 1.0])
    return moved @ rotation(theta[:3]).T + theta[3:6]


def rotations(x, y, z):
    """The matrices of turns about x, then y, then z by these angles, of each bone."""
    (cx, cy, cz), (sx, sy, sz) = (tuple(f(angle) for angle in (x, y, z)) for f in (np.cos, np.sin))
    rows = [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def absolutes(relatives, parents):
    found = []
    for relative, parent in zip(relatives, parents, strict=True):
        found.append(relative if parent < 0 else found[parent] @ relative)
    return np.stack(found)


def rotation(vector):
    """The matrix of a turn about ``vector`` by as many radians as that is long."""
    squared = np.sum(vector**2)
    if squared < 1e-8:  # asked of the square, for the root has no derivative at zero
        return np.eye(3)
    angle = np.sqrt(squared)
    x, y, z = vector / angle
    zero = 0.0 * x
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def objective(theta, us, hand, correspondences, points):
    skin = vertices(theta, hand)
    if us is None:
        return (points - skin[correspondences]).ravel()
    return (points - places(us, skin[hand.triangles[correspondences]])).ravel()


def places(us, corners):
    """Points in triangles, by two of their barycentric coordinates."""
    u, v = us[:, :1], us[:, 1:]
    return u * corners[:, 0] + v * corners[:, 1] + (1 - u - v) * corners[:, 2]


def jacobian(theta, us, hand, correspondences, points):
    of_pose = jacfwd(objective)(theta, us, hand, correspondences, points)
    if us is None:
        return of_pose
    # A point's error depends on its own coordinates alone, so those of all points go forward together.
    of_us = [
        jvp(lambda us: objective(theta, us, hand, correspondences, points), (us,), (direction,))[1][:, None]
        for direction in (np.array([1.0, 0.0]) * np.ones(us.shape), np.array([0.0, 1.0]) * np.ones(us.shape))
    ]
    return np.concatenate([*of_us, of_pose], axis=1)


FUNCTIONS = {"objective": jit(objective), "jacobian": jit(jacobian)}

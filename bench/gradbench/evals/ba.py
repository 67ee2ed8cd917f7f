"""Bundle adjustment: where cameras see points, and the sparse Jacobian of the errors.

The program states one observation; ``vmap`` runs it on all of them.
"""

import gpuad.numpy as np
from gpuad import jacobian, jit, vmap


def read(given):
    cameras, points, weights, features = (
        np.array([given[name]] * given[count], dtype=float)
        for name, count in (("cam", "n"), ("x", "m"), ("w", "p"), ("feat", "p"))
    )
    observations = np.arange(given["p"])
    return cameras, points, weights, features, observations % given["n"], observations % given["m"]


def reprojection_error(camera, point, weight, feature):
    """Between where a camera sees a point and where it should: rotation, centre, focal length, principal point, and
    radial distortion make a camera."""
    seen = rotate(point - camera[3:6], camera[:3])
    u = seen[:2] / seen[2]
    rho = np.sum(u**2)
    distortion = 1 + camera[9] * rho + camera[10] * rho**2
    return weight * (camera[6] * distortion * u + camera[7:9] - feature)


def rotate(x, vector):
    """``x`` turned about ``vector`` by as many radians as that is long (Rodrigues' formula)."""
    squared = np.sum(vector**2)
    turns = squared > 0
    angle = np.sqrt(np.where(turns, squared, 1.0))
    axis = vector / angle
    c, s = np.cos(angle), np.sin(angle)
    turned = x * c + np.cross(axis, x) * s + axis * (np.dot(axis, x) * (1 - c))
    return np.where(turns, turned, x + np.cross(vector, x))


def objective(cameras, points, weights, features, camera_of, point_of):
    errors = vmap(reprojection_error)(cameras[camera_of], points[point_of], weights, features)
    return errors, 1 - weights**2


def sparse_jacobian(cameras, points, weights, features, camera_of, point_of):
    """Row pointers, columns and values of the Jacobian by cameras, points and weights, row by row."""
    p = len(weights)
    blocks = vmap(jacobian(reprojection_error, (0, 1, 2)))(cameras[camera_of], points[point_of], weights, features)
    values = np.concatenate([block.reshape(2 * p, -1) for block in blocks], axis=1)
    first_point, first_weight = cameras.size, cameras.size + points.size
    columns = np.concatenate(
        [
            11 * camera_of[:, None] + np.arange(11),
            first_point + 3 * point_of[:, None] + np.arange(3),
            first_weight + np.arange(p)[:, None],
        ],
        axis=1,
    )
    return (
        np.concatenate([np.arange(0, 30 * p, 15), np.arange(30 * p, 31 * p + 1)]),
        np.concatenate([np.repeat(columns, 2, axis=0).ravel(), first_weight + np.arange(p)]),
        np.concatenate([values.ravel(), -2 * weights]),
    )


def write(result):
    if len(result) == 3:
        return {name: ends(x) for name, x in zip(("rows", "cols", "vals"), result, strict=True)}
    errors, weight_errors = result
    return {
        "reproj_error": {"elements": errors[0], "repeated": len(errors)},
        "w_err": {"element": weight_errors[0], "repeated": len(weight_errors)},
    }


def ends(x):
    """The first thirty entries and the last."""
    return np.concatenate([x[:30], x[-1:]])


FUNCTIONS = {"objective": jit(objective), "jacobian": jit(sparse_jacobian)}

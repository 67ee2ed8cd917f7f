"""Samples of filters of images."""

from __future__ import annotations

import gpuad.scipy.ndimage as ndimage

from . import sample
from .linalg import _known

_MODES = ("reflect", "mirror", "nearest", "wrap", "constant")


def _call(name, *args, **options):
    return lambda np, *arrays: getattr(ndimage, name)(*map(_known, arrays), *args, **options)


SAMPLES = [
    *(
        sample(
            "scipy.ndimage.correlate extend_edges" + " fold_edges" * (mode != "constant"),
            _call("correlate", mode=mode, origin=(-1, 0)),
            *((3, 4), (2, 3)),
            complex=True,
            label=f"correlate {mode}",
        )
        for mode in _MODES
    ),
    *(
        sample(
            "scipy.ndimage.correlate",
            _call("convolve", mode=mode, cval=1.5),
            *((2, 2), (5, 1)),
            label=f"convolve {mode}",
        )
        for mode in _MODES
    ),
    *(
        sample(
            "scipy.ndimage.correlate",
            _call("convolve1d", mode=mode, axis=0, origin=1),
            *((3, 2), (4,)),
            complex=True,
            label=f"convolve1d {mode}",
        )
        for mode in _MODES
    ),
    sample("scipy.ndimage.correlate", _call("gaussian_filter", 0.6, (0, 1)), (4, 3), label="gaussian_filter"),
    sample(
        "scipy.ndimage.correlate",
        lambda np, x, sigma: ndimage.gaussian_filter1d(_known(x), _known(sigma), order=2, radius=2),
        *((5,), ()),
        low=0.5,
        label="gaussian_filter1d",
    ),
    sample("scipy.ndimage.correlate", _call("uniform_filter", (2, 3), mode="wrap"), (3, 4), label="uniform_filter"),
    sample("scipy.ndimage.correlate", _call("sobel", 0), (3, 2, 2), label="sobel"),
    sample("scipy.ndimage.correlate", _call("gaussian_laplace", 0.5), (3, 4), label="gaussian_laplace"),
    *(
        sample(
            "scipy.ndimage.map_coordinates" + " spline_spread" + " scipy.ndimage.spline_filter1d" * (order > 1),
            _call("map_coordinates", order=order, mode=mode),
            *((4, 3), (2, 5)),
            low=0.55,
            high=1.45,
            distinct=True,
            label=f"map_coordinates {order} {mode}",
        )
        for order, mode in [(1, "constant"), (2, "mirror"), (3, "nearest"), (4, "wrap"), (5, "grid-wrap")]
    ),
    *(
        sample(
            "scipy.ndimage.spline_filter1d",
            _call("spline_filter1d", order, axis, mode=mode),
            shape,
            label=f"spline_filter1d {order} {mode}",
        )
        for order, axis, mode, shape in [
            (3, 0, "mirror", (4, 2)),
            (2, -1, "reflect", (3, 4)),
            (5, 0, "grid-wrap", (5,)),
            (3, 0, "reflect", (40,)),
            (3, 1, "mirror", (2, 1)),
        ]
    ),
    sample("scipy.ndimage.map_coordinates", _call("shift", (0.31, -0.42)), (4, 5), label="shift"),
]

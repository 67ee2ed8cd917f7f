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
]

"""Samples of convolutions and recursive filters."""

from __future__ import annotations

import gpuad.scipy.signal as signal

from . import sample
from .linalg import _known

_SIZES = [((5,), (3,)), ((3, 4), (2, 3)), ((2, 3), (4, 5)), ((3, 2, 2), (2, 1, 2))]


def _call(name, *args, **options):
    return lambda np, *arrays: getattr(signal, name)(*map(_known, arrays), *args, **options)


def _stable(np, b, a, *rest):
    """With a denominator that is 2 and little else."""
    a = _known(a) * 0.2 + (np.arange(a.shape[0]) == 0).astype(_known(a).dtype) * 2.0
    return (_known(b), a, *map(_known, rest))


SAMPLES = [
    *(
        sample("scipy.signal.convolve", _call(name, mode, **options), *shapes, complex=True, label=f"{name} {mode}")
        for shapes in _SIZES
        for mode in ("full", "same", "valid")
        for name, options in (("convolve", {"method": "direct"}), ("correlate", {"method": "fft"}))
    ),
    sample("scipy.signal.convolve", _call("convolve"), (2, 3), (2, 2), label="convolve auto"),
    sample("scipy.signal.convolve", _call("fftconvolve", axes=1), (1, 5), (4, 3), complex=True, label="fftconvolve"),
    sample("scipy.signal.convolve", _call("oaconvolve", "same", 0), (12, 2), (3, 1), label="oaconvolve"),
    *(
        sample("scipy.signal.convolve", _call(name, mode, boundary), (4, 3), (2, 3), label=f"{name} {mode} {boundary}")
        for name in ("convolve2d", "correlate2d")
        for mode, boundary in [("same", "fill"), ("full", "wrap"), ("same", "symm"), ("valid", "fill")]
    ),
    *(
        sample("sliding_products", _call("convolve", axes, dot, mode), *shapes, complex=True, label=f"stacks {mode}")
        for mode in ("full", "valid", "same")
        for shapes, axes, dot in [
            (((2, 3, 4), (3, 2, 2)), [(2,), (2,)], [(1,), (0,)]),
            (((3, 2, 2), (2, 3, 3, 2)), [(1, 2), (3, 2)], [(), ()]),
            (((2, 3), (2, 2)), [(1,), (1,)], [(0,), (0,)]),
        ]
    ),
    *(
        sample(
            "recursive_filter",
            lambda np, *arrays, axis=axis: signal.lfilter(*_stable(np, *arrays), axis=axis),
            *shapes,
            complex=True,
            label="lfilter",
        )
        for shapes, axis in [(((3,), (3,), (6,)), -1), (((1,), (4,), (5, 2)), 0), (((4,), (2,), (2, 3)), 1)]
    ),
    sample(
        "recursive_filter",
        lambda np, b, a, x, zi: signal.lfilter(*_stable(np, b, a, x), 1, _known(zi)),
        *((2,), (4,), (2, 5), (2, 3)),
        label="lfilter with a state",
    ),
    sample(
        "scipy.ndimage.correlate",
        lambda np, b, a, x, zi: signal.lfilter(*_stable(np, b, a, x), 0, _known(zi)),
        *((3,), (1,), (4, 2), (2, 2)),
        label="lfilter without recursion",
    ),
]

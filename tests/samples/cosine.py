"""Samples of cosine and sine transforms."""

from __future__ import annotations

import gpuad.scipy.fft as fft

from . import sample


def _transform(name, **options):
    # SciPy gives single precision for float16
    return lambda np, x: getattr(fft, name)(x.astype("float32") if x.dtype == "float16" else x, **options)


SAMPLES = [
    *(
        sample(
            "cosine_transform",
            _transform(name, type=type, norm=norm),
            (2, 4),
            complex=norm is None,
            label=f"{name} {type} {norm}",
        )
        for name in ("dct", "dst")
        for type in (1, 2, 3, 4)
        for norm in (None, "ortho")
    ),
    sample("cosine_transform", _transform("idct", n=6, axis=0), (4, 2), label="idct"),
    sample("cosine_transform", _transform("idctn", s=(2, 6), axes=(1, 0)), (4, 3), label="idctn"),
    sample("cosine_transform", _transform("dstn", type=3, norm="forward"), (1, 3), label="dstn"),
    sample("cosine_transform", _transform("dct"), (0, 3)),
]

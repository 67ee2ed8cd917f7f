"""Samples of Fourier transforms."""

from __future__ import annotations

from . import sample


def _complex(name, **options):
    return lambda np, x: getattr(np.fft, name)(x, **options)


def _of_spectrum(name, **options):
    """A transform of half a spectrum, made of a real array."""
    return lambda np, x: getattr(np.fft, name)(x * (0.5 + 1j * np.cos(x)), **options)


def _parts(f):
    """A complex result as two real ones: no float16 is a complex number."""
    return lambda np, x: (np.real(z := f(np, x)), np.imag(z))


SAMPLES = [
    *(
        sample("fft.fftn", _complex(name, **options), shape, complex=True, label=f"{name} {options}")
        for name, options, shape in [
            ("fft", {}, (5,)),
            ("fft", {}, (2, 1)),
            ("fft", {"n": 3, "axis": 0, "norm": "ortho"}, (5, 2)),
            ("fft", {"n": 7, "axis": -2, "norm": "forward"}, (2, 5, 2)),
            ("fft", {}, (0, 3)),
            ("fft2", {}, (3, 4)),
            ("fftn", {"s": (3, 5), "axes": (2, 0), "norm": "ortho"}, (4, 2, 3)),
            ("fftn", {"s": (3, 5), "axes": (0, 0)}, (4, 2)),
        ]
    ),
    *(
        sample("fft.ifftn", _complex(name, **options), shape, complex=True, label=f"{name} {options}")
        for name, options, shape in [
            ("ifft", {}, (4,)),
            ("ifft", {"n": 3, "norm": "forward"}, (2, 4)),
            ("ifftn", {"s": (6, 1), "axes": (-1, 0), "norm": "ortho"}, (2, 3, 4)),
            ("ifft2", {}, (2, 3, 3)),
        ]
    ),
    *(
        sample(primitives, _parts(_complex(name, **options)), shape, label=f"{name} {options}")
        for primitives, name, options, shape in [
            ("fft.rfft", "rfft", {}, (6,)),
            ("fft.rfft", "rfft", {}, (5,)),
            ("fft.rfft", "rfft", {}, (3, 1)),
            ("fft.rfft", "rfft", {"n": 2, "axis": 0, "norm": "ortho"}, (4, 3)),
            ("fft.rfft weigh_ends", "rfft", {"n": 9, "norm": "forward"}, (4,)),
            ("fft.rfft fft.fftn", "rfft2", {}, (3, 4)),
            ("fft.rfft fft.fftn", "rfftn", {"s": (3, 4), "axes": (1, 0), "norm": "ortho"}, (3, 2, 2)),
            ("fft.rfft fft.fftn", "rfftn", {"axes": (0, 1, 1)}, (2, 3)),
            ("fft.rfft", "ihfft", {"norm": "ortho"}, (5,)),
            ("fft.rfft", "ihfft", {"n": 6, "axis": 0}, (4, 2)),
        ]
    ),
    *(
        sample(primitives, _of_spectrum(name, **options), shape, label=f"{name} {options}")
        for primitives, name, options, shape in [
            ("fft.irfft weigh_ends", "irfft", {}, (4,)),
            ("fft.irfft", "irfft", {"n": 5}, (2, 3)),
            ("fft.irfft", "irfft", {"n": 1}, (1,)),
            ("fft.irfft", "irfft", {"n": 4, "axis": 0, "norm": "ortho"}, (5, 2)),
            ("fft.irfft", "irfft", {"n": 9, "norm": "forward"}, (3,)),
            ("fft.irfft fft.ifftn", "irfft2", {}, (3, 3)),
            ("fft.irfft fft.ifftn", "irfftn", {"s": (2, 5), "axes": (1, 0), "norm": "ortho"}, (3, 3, 2)),
            ("fft.irfft fft.ifftn", "irfftn", {"axes": (0, 0, 1)}, (2, 3)),
            ("fft.irfft", "hfft", {"norm": "ortho"}, (4,)),
            ("fft.irfft", "hfft", {"n": 5, "axis": 0}, (3, 2)),
        ]
    ),
    *(
        sample("fft.irfft", _complex("irfft", **options), shape, complex=True, label=f"irfft of any {options}")
        for options, shape in [({}, (4,)), ({"n": 5, "axis": 0, "norm": "ortho"}, (3, 2)), ({"n": 3}, (4,))]
    ),
    sample("roll", lambda np, x: np.fft.fftshift(x) * np.fft.ifftshift(x, axes=-1), (3, 4), label="fftshift"),
]

"""Discrete Fourier transforms.

The matrix of a complex transform is symmetric, so what undoes the transform is the transform itself, not
its inverse. That of real numbers keeps half of the spectrum: it is undone by the other way's, with the
entries that stand for two halved or doubled.
"""

from __future__ import annotations

from typing import Any

from ..core.box import spec_of
from ..core.primitive import Primitive
from .batching import over_axes, over_axis
from .declare import fit, operation
from .elementwise import conjugate
from .index import getitem
from .shape import pad

#: By which norm the transform the other way is scaled as that one is: ``"forward"`` leaves the inverse unscaled.
OTHER_WAY = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def resize(x: Any, lengths: dict[int, int]) -> Any:
    """``x`` with its axes cut or filled with zeros at the end, to these lengths."""
    have = spec_of(x).shape
    if any(have[axis] > n for axis, n in lengths.items()):
        x = getitem(x, tuple(slice(lengths.get(axis, n)) for axis, n in enumerate(have)))
    if any(have[axis] < n for axis, n in lengths.items()):
        x = pad(x, widths=tuple((0, max(lengths.get(k, n) - n, 0)) for k, n in enumerate(have)), constant_values=0.0)
    return x


def weighed_ends(xp: Any, x: Any, *, axis: int, first: float, inner: float, last: float) -> Any:
    """On raw arrays: ``x`` times ``first`` at the beginning of an axis, ``last`` at its end, and ``inner`` between."""
    out = x * inner
    before = (slice(None),) * axis
    out[(*before, slice(-1, None))] = x[(*before, slice(-1, None))] * last
    out[(*before, slice(1))] = x[(*before, slice(1))] * first
    return out


weigh_ends: Primitive = operation(
    "weigh_ends", weighed_ends, lambda g, ans, x, **weights: weigh_ends(g, **weights), linear=True, batch=over_axis
)


# -- complex ------------------------------------------------------------------------------------------
def _complex_transform(name: str) -> Primitive:
    def vjp(g: Any, ans: Any, x: Any, *, s: tuple[int, ...], axes: tuple[int, ...], norm: str | None) -> Any:
        return resize(prim(g, s=s, axes=axes, norm=norm), {axis: x.shape[axis] for axis in axes})

    def forward(xp: Any, x: Any, *, s: tuple[int, ...], axes: tuple[int, ...], norm: str | None) -> Any:
        if len(axes) == 1:  # which costs less to say in one dimension
            return getattr(xp.fft, name[:-1])(x, s[0], axes[0], norm)
        return getattr(xp.fft, name)(x, s=s, axes=axes, norm=norm)

    prim = operation(
        f"fft.{name}",
        forward,
        vjp,
        linear=True,
        finish=fit,
        batch=over_axes,
    )
    return prim


#: Along ``axes``, all different and counted from the front, each cut or filled to its length in ``s``.
fftn = _complex_transform("fftn")
ifftn = _complex_transform("ifftn")


# -- real ---------------------------------------------------------------------------------------------
def _weigh_pairs(z: Any, n: int, axis: int, weight: float) -> Any:
    """Half a spectrum, with the entries that stand for two weighed: all but those of frequency 0 and n / 2."""
    return weigh_ends(z, axis=axis, first=1.0, inner=weight, last=weight if n % 2 else 1.0)


def _rfft_vjp(g: Any, ans: Any, x: Any, *, n: int, axis: int, norm: str | None) -> Any:
    # Re Σ g[k] exp(-iωk), which irfft gives of the conjugate, once of each pair
    z = _weigh_pairs(conjugate(g), n, axis, 0.5)
    return resize(irfft(z, n=n, axis=axis, norm=OTHER_WAY[norm]), {axis: x.shape[axis]})


def _irfft_vjp(g: Any, ans: Any, z: Any, *, n: int, axis: int, norm: str | None) -> Any:
    h = _weigh_pairs(conjugate(rfft(g, n=n, axis=axis, norm=OTHER_WAY[norm])), n, axis, 2.0)
    return resize(h, {axis: z.shape[axis]})


rfft: Primitive = operation(
    "fft.rfft",
    lambda xp, x, *, n, axis, norm: xp.fft.rfft(x, n=n, axis=axis, norm=norm),
    _rfft_vjp,
    linear=True,
    finish=fit,
    batch=over_axis,
)
irfft: Primitive = operation(
    "fft.irfft",
    lambda xp, z, *, n, axis, norm: xp.fft.irfft(z, n=n, axis=axis, norm=norm),
    _irfft_vjp,
    linear=True,
    finish=fit,
    batch=over_axis,
)

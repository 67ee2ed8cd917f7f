"""Samples of what ``gpuad.scipy.integrate`` is made of."""

from __future__ import annotations

import gpuad.numpy as gnp
from gpuad.ops.weighted_sum import weighted_sum
from gpuad.scipy import integrate

from . import sample


def _wave(x, k):
    return gnp.sin(k.astype("float64") * x).sum()


def _oscillator(y, t, k):
    return gnp.stack([y[1], -k * y[0] + t])


SAMPLES = [
    sample("weighted_sum", lambda np, x: weighted_sum(x, weights=(0.5,)), ()),
    sample("weighted_sum", lambda np, x, y: weighted_sum(x, y, weights=(0.5, -2.0)), (2, 3), (2, 3), complex=True),
    sample("weighted_sum", lambda np, x, y: weighted_sum(x, y, weights=(1.0, -1.0)), (0,), (0,)),
    sample("quad", lambda np, a, b, k: integrate.quad(_wave, a, b, (k,))[0], (), (), ()),
    sample("quad", lambda np, k: integrate.quad(_wave, 0.0, 1.0, (k,))[0], (3,)),
    sample(
        "adjoint_ode",
        lambda np, y, k: integrate.odeint(
            _oscillator, y, [0.0, 0.3], (k,), gradient="adjoint", rtol=1e-11, atol=1e-12
        ),
        (2,),
        (),
    ),
]  # fmt: skip

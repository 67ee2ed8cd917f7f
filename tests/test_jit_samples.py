"""Every primitive under jit: the values and pullbacks of its samples, recorded and replayed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gpuad.numpy as gnp
from gpuad import jit, vjp
from gpuad.backend import numpy_backend
from gpuad.core.pytree import leaves, tree_map
from samples import all_samples
from test_ops import inputs

#: SciPy estimates norms with random vectors for these.
RANDOM = ("scipy.linalg.logm", "scipy.linalg.fractional_matrix_power")


def is_derived(s, f, args):
    if not s.order:
        return False
    try:
        vjp(f, *args)
    except Exception:
        return False
    return True


def program_of(s, args):
    """What a sample computes, with its pullback if it has one."""

    def value(*args):
        return s.f(gnp, *args)

    def pullback(*args):
        found, pull = vjp(value, *args)
        return found, pull(tree_map(np.ones_like, found))

    return pullback if is_derived(s, value, args) else value


@pytest.mark.parametrize("s", all_samples(), ids=lambda s: s.label)
def test_samples(s):
    args = inputs(s, numpy_backend)
    plain = program_of(s, args)
    jitted = jit(plain)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore" if s.label.startswith(RANDOM) else "error", "gpuad.jit")
        for factor in (1.0, 1.0, 0.97):
            call = [x * factor for x in args]
            got, want = (list(leaves(f(*[x.copy() for x in call]))) for f in (jitted, plain))
            assert [path for path, _ in got] == [path for path, _ in want]
            for (_, a), (_, b) in zip(got, want, strict=True):
                assert type(a) is type(b)
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * (1 + np.abs(b).max(initial=0.0)))
                assert not isinstance(b, np.ndarray) or a.dtype == b.dtype
    assert jitted.recordings.replayed or s.label.startswith(RANDOM)

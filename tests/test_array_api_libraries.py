"""Functions of SciPy and scikit-learn that are written for the array API standard, differentiated as they stand.

SciPy looks at ``SCIPY_ARRAY_API`` when it is imported, so they run in a process of their own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys, warnings
import numpy as np
import gpuad
import gpuad.numpy as gnp

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, ALONG, OTHER = rng.uniform(0.2, 0.9, (5, 4)), rng.normal(size=(5, 4)), rng.uniform(size=(5, 4))
CASES = {}

def case(library, name):
    def put(f):
        CASES[library + " " + name] = f
        return f
    return put

def summed(library, functions):
    for name, f in functions.items():
        case(library, name)(lambda x, f=f: np.sum(f(x) ** 3))

from scipy import fft, integrate, special, stats
from scipy.cluster.vq import whiten
summed("scipy", {
    "logsumexp": lambda x: special.logsumexp(x, axis=1),
    "softmax": lambda x: special.softmax(x, axis=0),
    "log_softmax": lambda x: special.log_softmax(x, axis=1),
    "zscore": stats.zscore, "skew": stats.skew, "kurtosis": stats.kurtosis, "gmean": stats.gmean, "hmean": stats.hmean,
    "pmean": lambda x: stats.pmean(x, 3), "sem": stats.sem, "moment": lambda x: stats.moment(x, 3),
    "trim_mean": lambda x: stats.trim_mean(x, 0.2), "circmean": stats.circmean, "whiten": whiten,
    "trapezoid": integrate.trapezoid, "cumulative_trapezoid": integrate.cumulative_trapezoid,
    "fft": lambda x: abs(fft.fft(x)), "rfft2": lambda x: abs(fft.rfft2(x)),
    "zscore of a constant": lambda x: stats.zscore(gnp.array(OTHER) * x),
})

if sys.argv[1] == "sklearn":
    import sklearn
    from sklearn import decomposition, metrics, preprocessing
    sklearn.set_config(array_api_dispatch=True)
    pairwise = metrics.pairwise
    summed("sklearn", {
        "cosine_similarity": pairwise.cosine_similarity, "rbf_kernel": pairwise.rbf_kernel,
        "euclidean_distances": lambda x: pairwise.euclidean_distances(x, gnp.array(OTHER)),
        "polynomial_kernel": pairwise.polynomial_kernel,
        "MinMaxScaler": lambda x: preprocessing.MinMaxScaler().fit_transform(x),
        "normalize": preprocessing.normalize,
        "PCA": lambda x: decomposition.PCA(2, svd_solver="full").fit_transform(x) ** 2,
    })

results = {}
for name, f in CASES.items():
    try:
        want = float(f(X + 1e-6 * ALONG) - f(X - 1e-6 * ALONG)) / 2e-6
        results[name] = [float(np.sum(gpuad.grad(f)(X) * ALONG)), want]
    except Exception as error:
        results[name] = f"{type(error).__name__}: {error}"
try:
    gpuad.grad(lambda x: np.sum(stats.zmap(x, OTHER)))(X)
except gpuad.errors.UnsupportedError as error:
    results["mixed"] = str(error)
print(json.dumps(results))
"""


def differentiated(library):
    """For each case its derivative, and that by differences; or the error."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, library],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_functions_that_ask_for_the_namespace():
    scipy = pytest.importorskip("scipy", minversion="1.15", reason="SciPy by the array API standard")
    installed = importlib.util.find_spec("sklearn") is not None
    results = differentiated("sklearn" if installed else scipy.__name__)
    assert "gpuad.numpy.array(...)" in results.pop("mixed")
    wrong = {k: v for k, v in results.items() if isinstance(v, str) or v[0] != pytest.approx(v[1], rel=1e-5, abs=1e-7)}
    assert not wrong
    assert len(results) >= 18

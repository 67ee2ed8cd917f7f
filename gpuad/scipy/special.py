"""``scipy.special``, differentiable as far as it is; the rest works on plain arrays unchanged.

Orders and parameters with respect to which no accurate derivative is known say so when one is asked for.
"""

from __future__ import annotations

import math
from typing import Any

from ..core.box import spec_of
from ..errors import UnsupportedError
from ..numpy.creation import as_array, as_arrays
from ..numpy.elementwise import no_options
from ..numpy.frontend import find, functions, numpy_function, plain_backend
from ..numpy.reductions import axes_of
from ..numpy.ufuncs import apply
from ..ops import elementwise as e
from ..ops import reduce as r
from ..ops import special_bessel as bessel
from ..ops import special_distributions as distributions
from ..ops import special_entropy as entropy
from ..ops import special_error as error
from ..ops import special_gamma as gammas
from ..ops import special_incomplete as incomplete
from ..ops import special_integrals as integrals
from ..ops import special_logistic as logistic
from ..ops.declare import real
from ..ops.student import student_cdf, student_ppf


def __getattr__(name: str) -> Any:
    found = globals()[name] = find("scipy.special.", "scipy.special", name)
    return found


def __dir__() -> list[str]:
    import scipy.special

    return list(scipy.special.__all__)


# -- ufuncs -----------------------------------------------------------------------------------------
_UFUNCS: dict[Any, str] = {
    error: "erf erfc erfi erfinv erfcinv erfcx dawsn wofz ndtr log_ndtr ndtri ndtri_exp",
    logistic: "expit log_expit logit",
    entropy: (
        "cbrt exp2 exp10 expm1 log1p cosm1 sindg cosdg tandg cotdg round powm1 exprel xlogy xlog1py entr rel_entr "
        "kl_div huber pseudo_huber boxcox boxcox1p inv_boxcox inv_boxcox1p"
    ),
    gammas: "psi gamma gammaln loggamma gammasgn rgamma beta betaln binom poch",
    incomplete: ("gammainc gammaincc gammaincinv gammainccinv betainc betaincc betaincinv betainccinv"),
    distributions: "chdtr chdtrc chdtri gdtr gdtrc pdtr pdtrc fdtr fdtrc fdtri nbdtr nbdtrc",
    bessel: (
        "jv yv yn iv kv kn hankel1 hankel2 jve yve ive kve hankel1e hankel2e j0 j1 y0 y1 i0 i1 k0 k1 i0e i1e k0e k1e "
        "airy struve modstruve"
    ),
    integrals: (
        "exp1 expi expn sici shichi fresnel spence wrightomega ellipk ellipkm1 ellipe ellipkinc ellipeinc elliprd "
        "ellipj hyp0f1 hyp1f1 hyp2f1 hyperu"
    ),
}


def _ufunc(name: str, primitive: Any) -> None:
    # airy, sici and the like have one rule; a constant has none, but takes one argument too.
    count = max(1, len(primitive.vjps))

    @numpy_function(f"scipy.special.{name}")
    def traced(*args: Any, **options: Any) -> Any:
        if options or len(args) > count:
            import scipy.special

            ufunc, out = getattr(scipy.special, name), args[count:]
            if out:
                options["out"] = out + (None,) * (ufunc.nout - len(out))
            return apply(ufunc, "__call__", args[:count], options)
        return primitive(*(as_arrays(args) if any(type(a) in (list, tuple) for a in args) else args))


for _module, _names in _UFUNCS.items():
    for _name in _names.split():
        _ufunc(_name, getattr(_module, {"round": "round_", "log1p": "log1p_"}.get(_name, _name)))
_ufunc("stdtr", student_cdf)
_ufunc("stdtrit", student_ppf)
for _alias, _name in {"digamma": "psi", "jn": "jv"}.items():
    functions[f"scipy.special.{_alias}"] = functions[f"scipy.special.{_name}"]
functions["scipy.special.sinc"] = functions["sinc"]


# -- gamma and zeta ---------------------------------------------------------------------------------
def _polygamma(n: Any, x: Any) -> Any:
    return gammas.polygamma(n, as_array(x))


# CuPy's own takes no plain number n.
polygamma = numpy_function("scipy.special.polygamma", on_plain=_polygamma)(_polygamma)


@numpy_function("scipy.special.multigammaln")
def multigammaln(a: Any, d: Any) -> Any:
    return gammas.multigammaln(as_array(a), d=int(d))


def _zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    no_options("zeta", out=out)
    return gammas.riemann_zeta(as_array(x)) if q is None else gammas.zeta(*as_arrays((x, q)))


def _plain_zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    # CuPy's own takes two arguments, always.
    return _zeta(x, q) if out is None else plain_backend("zeta", (x, q)).function("scipy.special.zeta")(x, q, out)


zeta = numpy_function("scipy.special.zeta", on_plain=_plain_zeta)(_zeta)


def _counted(name: str, exact: Any, function: Any, known: Any, *args: Any) -> Any:
    """``function(*args)`` where ``known`` is true, else 0, constantly: SciPy's numbers of possibilities."""
    if exact:
        raise UnsupportedError(f"scipy.special.{name} with exact=True counts with integers, which have no derivative")
    return e.where(known, function(*(e.where(known, a, 1.0) for a in args)), 0.0)


def _possible(N: Any, k: Any) -> Any:
    return e.logical_and(k <= N, e.logical_and(N >= 0, k >= 0))


@numpy_function("scipy.special.comb")
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    N, k = as_arrays((N, k))
    if repetition:
        N = N + k - 1.0
    return _counted("comb", exact, gammas.binom, _possible(N, k), N, k)


@numpy_function("scipy.special.perm")
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    N, k = as_arrays((N, k))
    return _counted("perm", exact, lambda N, k: gammas.poch(N - k + 1.0, k), _possible(N, k), N, k)


@numpy_function("scipy.special.factorial")
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    n = as_array(n)
    known = n >= 0 if extend == "zero" else True
    return _counted("factorial", exact, lambda n: gammas.gamma(n + 1.0), known, n)


# -- Bessel and Lambert -------------------------------------------------------------------------------
def _spherical(name: str) -> None:
    primitive, slope = bessel.spherical[name]

    @numpy_function(f"scipy.special.{name}")
    def traced(n: Any, z: Any, derivative: bool = False) -> Any:
        return slope(n, as_array(z)) if derivative else primitive(n, as_array(z))


for _name in bessel.spherical:
    _spherical(_name)


@numpy_function("scipy.special.lambertw")
def lambertw(z: Any, k: Any = 0, tol: float = 1e-8) -> Any:
    return integrals.lambertw(as_array(z), k, tol=float(tol))


# The ufuncs that SciPy's functions of these names call.
functions["scipy.special._zeta"] = functions["scipy.special._riemann_zeta"] = zeta
functions["scipy.special._lambertw"] = lambertw


# -- sums of exponentials -------------------------------------------------------------------------------
@numpy_function("scipy.special.logsumexp")
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """As :func:`scipy.special.logsumexp`; differentiable in ``a`` and ``b``.

    Infinite terms share the derivative; where all are -inf it is taken to be zero.
    """
    a, b = (as_array(a), None) if b is None else functions["broadcast_arrays"](*as_arrays((a, b)))
    spec = spec_of(a)
    axes = axes_of(axis, len(spec.shape))
    if b is None and not return_sign and spec.dtype.kind != "c":
        return logistic.logsumexp(a, axis=axes, keepdims=keepdims)
    size = real(e.stop_gradient(a)) if spec.dtype.kind == "c" else e.stop_gradient(a)
    top = r.max_(size if b is None else e.where(e.equal(b, 0), -math.inf, size), axis=axes, keepdims=True)
    top = e.where(e.isfinite(top), top, 0.0)
    terms = e.exp(a - top)
    if b is not None:
        terms = e.where(e.logical_and(e.equal(b, 0), e.isinf(terms)), 0.0, b * terms)
    total = r.sum_(terms, axis=axes, keepdims=keepdims)
    top = top if keepdims else functions["squeeze"](top, axis=axes)
    return (e.log(e.absolute(total)) + top, e.sign(total)) if return_sign else e.log(total) + top


@numpy_function("scipy.special.softmax")
def softmax(x: Any, axis: Any = None) -> Any:
    x = as_array(x)
    return logistic.softmax(x, axis=axes_of(axis, len(spec_of(x).shape)))


@numpy_function("scipy.special.log_softmax")
def log_softmax(x: Any, axis: Any = None) -> Any:
    x = as_array(x)
    return logistic.log_softmax(x, axis=axes_of(axis, len(spec_of(x).shape)))


@numpy_function("scipy.special.softplus")
def softplus(x: Any, **options: Any) -> Any:
    no_options("softplus", **options)
    return e.logaddexp(x, 0.0)

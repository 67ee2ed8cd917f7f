"""Samples of SciPy's special functions; those that CuPy has apart from those that only SciPy has."""

from __future__ import annotations

import gpuad.scipy.special as s

from . import sample


def _weighted(names, *orders):
    """The functions of these names, of the same arguments, each with another weight."""

    def f(np, *args):
        results = [getattr(s, name.rpartition(".")[2])(*orders, *args) for name in names]
        parts = [p for r in results for p in (r if isinstance(r, tuple) else (r,))]
        return sum((0.5 + 0.25 * k) * p for k, p in enumerate(parts))

    return f


def _group(names, *shapes, orders=(), through="", **how):
    """One sample of several functions. ``through``: the primitives that their derivatives are made of."""
    names = names.split()
    primitives = " ".join(f"scipy.special.{name}" for name in names) + " " + through
    return sample(primitives, _weighted(names, *orders), *shapes, label=f"special-{names[0]}", **how)


#: Functions of one argument: names, and what their derivatives are made of; low and high.
_UNARY = [
    ("erf erfc erfcx ndtr log_ndtr expit log_expit", "normal_hazard", -2.0, 2.0),
    ("exp2 exp10 expm1 cosm1 cbrt exprel", "exprel_moment", 0.3, 1.5),
    ("sindg cosdg tandg cotdg", "", 20.0, 70.0),
    ("erfinv erfcinv ndtri logit entr log1p", "", 0.1, 0.9),
    ("gamma gammaln loggamma rgamma psi", "scipy.special.zeta", 0.3, 3.0),
    ("j0 j1 y0 y1 i0 i1 k0 k1", "bessel_quotient", 0.5, 4.0),
    ("i0e i1e k0e k1e", "bessel_quotient", 1.0, 4.0),
    ("exp1 expi sici shichi", "scipy.special.exprel", 0.5, 3.0),
    ("ellipk ellipkm1 ellipe", "", 0.2, 0.8),
    # of SciPy alone
    ("erfi dawsn", "", -2.0, 2.0),
    ("ndtri_exp", "normal_hazard", -3.0, -0.2),
    ("spence wrightomega fresnel airy", "", 0.5, 2.0),
]
#: Functions of two arguments.
_BINARY = [
    ("xlogy xlog1py rel_entr kl_div", "log_quotient", 0.3, 2.0),
    ("huber pseudo_huber", "", 0.5, 2.0),
    ("boxcox boxcox1p inv_boxcox inv_boxcox1p", "exprel_moment", 0.3, 2.0),
    ("beta betaln poch", "psi_rise", 0.5, 3.0),
    ("zeta", "", 2.1, 4.0),
    ("powm1", "", 0.5, 2.0),
]
_PAIR = ((2, 3), (3,))

SAMPLES = [_group(names, (2, 3), through=t, low=low, high=high) for names, t, low, high in _UNARY]
SAMPLES += [_group(names, *_PAIR, through=t, low=low, high=high) for names, t, low, high in _BINARY]
SAMPLES += [
    _group("binom", (3,), (3,), low=1.0, high=3.0),
    _group("gammainc gammaincc", *_PAIR, through="gamma_density gamma_slope", low=0.3, high=4.0, order=1),
    _group("gammaincinv gammainccinv", *_PAIR, low=0.2, high=0.9, order=1),
    _group("betainc betaincc", (3,), (2, 1), (2, 3), through="beta_density beta_slope", low=0.2, high=0.9, order=1),
    _group("betaincinv betainccinv", (3,), (3,), (2, 3), low=0.2, high=0.8, order=1),
    sample("scipy.special.gammainc", lambda np, x: s.gammainc(2.5, x), (3,), low=0.3, high=4.0, label="gammainc-x"),
    sample("scipy.special.betainc", lambda np, x: s.betainc(2.5, 1.5, x), (3,), low=0.3, high=0.9, label="betainc-x"),
    _group("chdtr chdtrc chdtri", *_PAIR, low=0.3, high=0.9, order=1),
    _group("gdtr gdtrc fdtr fdtrc fdtri", *_PAIR, (3,), low=0.3, high=0.9, order=1),
    _group("pdtr pdtrc", (3,), orders=(2,), low=0.5, high=3.0),
    _group("nbdtr nbdtrc", (3,), orders=(2, 5), low=0.2, high=0.8),
    # of a fixed order
    _group("jv yv iv kv", (2, 3), orders=(1,), low=0.5, high=4.0),
    _group("jve yve ive kve struve modstruve", (2, 3), orders=(1.5,), low=0.5, high=4.0),
    _group("hankel1 hankel2 hankel1e hankel2e", (3,), orders=(1,), low=0.5, high=4.0),
    _group("expn yn", (2, 3), orders=(2,), low=0.5, high=3.0),
    _group("kn", (2, 3), orders=(0,), low=0.5, high=3.0),
    _group("spherical_yn", (2, 3), orders=(2,), low=0.5, high=4.0),
    _group("spherical_jn spherical_in spherical_kn", (2, 3), orders=(2,), low=0.5, high=4.0),
    _group("polygamma", (2, 3), orders=(1,), low=0.5, high=3.0),
    _group("hyp0f1", (3,), orders=(1.5,), low=-1.0),
    _group("hyp1f1", (3,), orders=(0.5, 1.5), low=-1.0),
    _group("hyp2f1", (3,), orders=(0.5, 1.5, 2.5), low=-1.0, high=0.5),
    _group("hyperu", (3,), orders=(0.5, 1.5), low=0.5),
    _group("ellipkinc ellipeinc", *_PAIR, through="scipy.special.elliprd", low=0.2, high=0.8, order=1),
    sample("scipy.special.ellipkinc", lambda np, x: s.ellipkinc(x, 0.5), (3,), label="ellipkinc-x"),
    _group("ellipj", *_PAIR, low=0.2, high=0.8, order=1),
    sample("scipy.special.multigammaln", lambda np, a: s.multigammaln(a, 3), (2, 3), low=1.5, high=4.0),
    sample("riemann_zeta", lambda np, x: s.zeta(x), (3,), low=1.5, high=4.0),
    sample("scipy.special.gammasgn scipy.special.round", lambda np, x: s.gammasgn(x) * x + s.round(x), (3,), low=0.3),
    # complex
    _group("wofz", (3,), complex=True),
    sample("scipy.special.gamma", lambda np, z: s.gamma(z), (3,), low=0.5, complex=True, order=1, label="gamma-c"),
    sample(
        "scipy.special.erf scipy.special.erfcx", lambda np, z: s.erf(z) * s.erfcx(z), (3,), complex=True, label="erf-c"
    ),
    sample("scipy.special.jv", lambda np, z: s.jv(1, z), (3,), low=0.5, complex=True, label="jv-c"),
    sample("scipy.special.lambertw", lambda np, z: np.real(s.lambertw(z)), (3,), low=0.5, complex=True),
    # along axes
    *(
        sample(
            f"scipy.special.{name}" + " shares" * (name == "logsumexp"),
            lambda np, x, name=name, axis=axis: getattr(s, name)(x, axis=axis),
            shape,
            label=f"{name}-{axis}",
        )
        for name in ("logsumexp", "softmax", "log_softmax")
        for shape, axis in (((2, 3), None), ((2, 3, 2), (0, -1)), ((0, 3), 1))
    ),
    sample("scipy.special.logsumexp", lambda np, x: s.logsumexp(x), (), label="logsumexp-0d"),
    sample("scipy.special.logsumexp", lambda np, x: s.logsumexp(x, 1, keepdims=True), (2, 3), label="logsumexp-kept"),
    sample("exp log", lambda np, x, b: s.logsumexp(x, 1, b), (2, 3), (3,), low=0.5, complex=True, label="logsumexp-b"),
    sample(
        "exp log", lambda np, x: s.logsumexp(x, b=np.asarray([1.0, -3.0, 0.0], x.dtype), return_sign=True), (3,),
        label="logsumexp-sign",
    ),
]  # fmt: skip

// Special functions, of float and double, under the names that the library's `scalar` texts have for them.
//
// Values are SciPy's, at poles and for infinities, too. Errors in units in the last place, beside those of
// CUDA's own functions that they rest on (erf 2, erfc 5, erfcx 4, erfinv 5, erfcinv 6, lgamma 6, tgamma 10,
// normcdf 5, normcdfinv 8, as the CUDA C++ Programming Guide has them; float less):
//   digamma 4 for positive x, down to the root included; for negative x, 8 of the larger of its two terms
//   log_ndtr 8, logit 4, expit 3, log_expit 3, xlogy 3, xlog1py 3, entr 3
#ifndef GPUAD_SPECIAL_MATH
#define GPUAD_SPECIAL_MATH

#include "complex.cuh"

namespace gpuad {

using ::erf;
using ::erfc;
using ::erfcinv;
using ::erfinv;

// --- the normal distribution ---------------------------------------------------------------------
template <typename T>
GPUAD_FUNCTION T ndtr(T x) {
    return ::normcdf(x);
}
template <typename T>
GPUAD_FUNCTION T ndtri(T x) {
    return ::normcdfinv(x);
}
// log(ndtr(x)). To the left by the scaled function, as ndtr itself underflows.
template <typename T>
GPUAD_FUNCTION T log_ndtr(T x) {
    if (x < T(-1)) return log(T(0.5) * ::erfcx(T(-0.70710678118654752440) * x)) - T(0.5) * x * x;
    return log1p(-::normcdf(-x));
}

// --- the gamma function --------------------------------------------------------------------------
template <typename T>
GPUAD_FUNCTION T gamma(T x) {
    return ::tgamma(x);
}
template <typename T>
GPUAD_FUNCTION T gammaln(T x) {
    return isinf(x) ? x : ::lgamma(x); // C has +inf for -inf
}

// The derivative of gammaln for x > 0. On [1, 2] a polynomial times (x - root), from which it is brought
// elsewhere by psi(x + 1) = psi(x) + 1/x (DLMF 5.5.2); from 10 on the series of DLMF 5.11.2. The polynomial
// interpolates psi(x) / (x - root) at 23 Chebyshev points, its own error is 5e-17.
GPUAD_FUNCTION double digamma_of_positive(double x) {
    if (x >= 10.0) {
        const double s = 1.0 / (x * x);
        const double series =
            s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * (691.0 / 32760 - s / 12))))));
        return log(x) - 0.5 / x - series;
    }
    const double root = 1.4616321449683622, rest = 9.549995429965697e-17;
    const double coefficients[] = {
        2.832706668021759e-11,   -8.498137230186096e-11,  9.206434499177992e-11,   -2.7619635330317715e-10,
        1.2358072433984831e-09,  -3.7075072647122386e-09, 1.0542687624027994e-08,  -3.163020268955334e-08,
        9.542050972688906e-08,   -2.86315275846934e-07,   8.589127353033379e-07,   -2.57809436305308e-06,
        7.741232223504057e-06,   -2.325824239445257e-05,  6.995018873950506e-05,   -0.00021074841140458636,
        0.0006368880303257201,   -0.0019350666648590097,  0.005936795278305649,    -0.018550615381735115,
        0.060135621060196744,    -0.2118137106407303,     0.9510558760318328};
    double brought = 0.0;
    for (; x > 2.0; x -= 1.0) brought += 1.0 / (x - 1.0);
    if (x < 1.0) brought = -1.0 / x, x += 1.0;
    const double t = 2.0 * x - 3.0;
    double factor = 0.0;
    for (double c : coefficients) factor = factor * t + c;
    return brought + ((x - root) - rest) * factor;
}

// psi, in double for float as well.
template <typename T>
GPUAD_FUNCTION T digamma(T value) {
    const double x = value, pi = 3.14159265358979323846;
    if (x > 0.0) return (T)digamma_of_positive(x);
    if (x == 0.0) return T(-1) / value;
    if (x != x || x == ::floor(x)) return (value - value) / (value - value); // NaN
    // DLMF 5.5.4; the tangent of a fraction of a period, which keeps its digits next to a pole.
    const double fraction = x - ::rint(x);
    return (T)(digamma_of_positive(1.0 - x) - pi / ::tan(pi * fraction));
}

// --- the logistic function -----------------------------------------------------------------------
template <typename T>
GPUAD_FUNCTION T expit(T x) {
    return sigmoid(x);
}
template <typename T>
GPUAD_FUNCTION T log_expit(T x) {
    return x < T(0) ? x - log1p(exp(x)) : -log1p(exp(-x));
}
// log(x / (1 - x)); in the middle by how far the quotient is from 1, which is exact there.
template <typename T>
GPUAD_FUNCTION T logit(T x) {
    if (x > T(0.25) && x < T(0.75)) return log1p((T(2) * x - T(1)) / (T(1) - x));
    return log(x / (T(1) - x));
}

// --- entropy -------------------------------------------------------------------------------------
template <typename T>
GPUAD_FUNCTION T xlogy(T x, T y) {
    return x == T(0) && !isnan(y) ? T(0) : x * log(y);
}
template <typename T>
GPUAD_FUNCTION T xlog1py(T x, T y) {
    return x == T(0) && !isnan(y) ? T(0) : x * log1p(y);
}
template <typename T>
GPUAD_FUNCTION complex<T> xlogy(complex<T> x, complex<T> y) {
    return !x && !isnan(y) ? x : x * log(y);
}
template <typename T>
GPUAD_FUNCTION complex<T> xlog1py(complex<T> x, complex<T> y) {
    return !x && !isnan(y) ? x : x * log1p(y);
}
template <typename T>
GPUAD_FUNCTION T entr(T x) {
    if (x > T(0)) return -x * log(x);
    return x == T(0) ? T(0) : x < T(0) ? log(T(0)) : x;
}

} // namespace gpuad

#endif

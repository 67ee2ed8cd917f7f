// Complex numbers, and the functions of them that NumPy has.
//
// Values and branch cuts are NumPy's. The arithmetic is NumPy's too: products as they are multiplied out,
// quotients by Smith's method (Comm. ACM 5, 1962, p. 435). Formulas of the inverse functions: W. Kahan,
// "Branch cuts for complex elementary functions", 1987. Error, away from overflow, of either part: at most
// 16 eps of the modulus.
#ifndef GPUAD_COMPLEX
#define GPUAD_COMPLEX

#include "scalar_math.cuh"

namespace gpuad {

template <typename T>
struct alignas(2 * sizeof(T)) complex {
    T re, im;
    __device__ explicit operator bool() const { return re != T(0) || im != T(0); }
};

#define GPUAD_COMPLEX_FUNCTION(result)                                                                                 \
    template <typename T>                                                                                              \
    GPUAD_FUNCTION result

// --- arithmetic ----------------------------------------------------------------------------------
GPUAD_COMPLEX_FUNCTION(complex<T>) operator+(complex<T> x, complex<T> y) { return {x.re + y.re, x.im + y.im}; }
GPUAD_COMPLEX_FUNCTION(complex<T>) operator-(complex<T> x, complex<T> y) { return {x.re - y.re, x.im - y.im}; }
GPUAD_COMPLEX_FUNCTION(complex<T>) operator-(complex<T> x) { return {-x.re, -x.im}; }
GPUAD_COMPLEX_FUNCTION(complex<T>) operator*(complex<T> x, complex<T> y) {
    return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) operator/(complex<T> x, complex<T> y) {
    const T re = ::fabs(y.re), im = ::fabs(y.im);
    if (re >= im) {
        if (re == T(0) && im == T(0)) return {x.re / re, x.im / re};
        const T ratio = y.im / y.re, scale = T(1) / (y.re + y.im * ratio);
        return {(x.re + x.im * ratio) * scale, (x.im - x.re * ratio) * scale};
    }
    const T ratio = y.re / y.im, scale = T(1) / (y.im + y.re * ratio);
    return {(x.re * ratio + x.im) * scale, (x.im * ratio - x.re) * scale};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) operator/(int x, complex<T> y) { return complex<T>{T(x), T(0)} / y; }
GPUAD_COMPLEX_FUNCTION(complex<T>) operator*(T x, complex<T> y) { return {x * y.re, x * y.im}; }
GPUAD_COMPLEX_FUNCTION(complex<T> &) operator+=(complex<T> &x, complex<T> y) { return x = x + y; }

// By the real part, then by the imaginary part.
GPUAD_COMPLEX_FUNCTION(bool) operator==(complex<T> x, complex<T> y) { return x.re == y.re && x.im == y.im; }
GPUAD_COMPLEX_FUNCTION(bool) operator!=(complex<T> x, complex<T> y) { return x.re != y.re || x.im != y.im; }
GPUAD_COMPLEX_FUNCTION(bool) operator<(complex<T> x, complex<T> y) {
    return (x.re < y.re && x.im == x.im && y.im == y.im) || (x.re == y.re && x.im < y.im);
}
GPUAD_COMPLEX_FUNCTION(bool) operator<=(complex<T> x, complex<T> y) {
    return (x.re < y.re && x.im == x.im && y.im == y.im) || (x.re == y.re && x.im <= y.im);
}
GPUAD_COMPLEX_FUNCTION(bool) operator>(complex<T> x, complex<T> y) { return y < x; }
GPUAD_COMPLEX_FUNCTION(bool) operator>=(complex<T> x, complex<T> y) { return y <= x; }

GPUAD_COMPLEX_FUNCTION(bool) isnan(complex<T> x) { return isnan(x.re) || isnan(x.im); }
GPUAD_COMPLEX_FUNCTION(bool) isinf(complex<T> x) { return isinf(x.re) || isinf(x.im); }
GPUAD_COMPLEX_FUNCTION(bool) isfinite(complex<T> x) { return isfinite(x.re) && isfinite(x.im); }

GPUAD_COMPLEX_FUNCTION(T) real(complex<T> x) { return x.re; }
GPUAD_COMPLEX_FUNCTION(T) imag(complex<T> x) { return x.im; }
GPUAD_COMPLEX_FUNCTION(complex<T>) conjugate(complex<T> x) { return {x.re, -x.im}; }
GPUAD_COMPLEX_FUNCTION(T) absolute(complex<T> x) { return ::hypot(x.re, x.im); }
GPUAD_COMPLEX_FUNCTION(complex<T>) rint(complex<T> x) { return {rint(x.re), rint(x.im)}; }

GPUAD_COMPLEX_FUNCTION(complex<T>) times_i(complex<T> x) { return {-x.im, x.re}; }
GPUAD_COMPLEX_FUNCTION(complex<T>) times_minus_i(complex<T> x) { return {x.im, -x.re}; }

// --- exponentials, logarithms, roots -------------------------------------------------------------
GPUAD_COMPLEX_FUNCTION(complex<T>) exp(complex<T> x) {
    if (x.im == T(0)) return {exp(x.re), x.im};
    if (!isfinite(x.im)) {
        if (isinf(x.re)) return x.re < T(0) ? complex<T>{T(0), T(0)} : complex<T>{x.re, x.im - x.im};
        return {x.im - x.im, x.im - x.im};
    }
    const T c = cos(x.im), s = sin(x.im), size = exp(x.re);
    if (isfinite(x.re) && isinf(size)) { // the parts may be finite all the same
        const T root = exp(T(0.5) * x.re);
        return {root * c * root, root * s * root};
    }
    return {size * c, size * s};
}

GPUAD_COMPLEX_FUNCTION(T) log_of_modulus(T re, T im) {
    const T size = ::hypot(re, im), a = ::fabs(re), b = ::fabs(im);
    const T larger = a > b ? a : b, smaller = a > b ? b : a;
    // Near the unit circle the logarithm of the modulus has lost its digits.
    if (size > T(0.5) && size < T(2)) return T(0.5) * log1p((larger - T(1)) * (larger + T(1)) + smaller * smaller);
    if (isinf(size) && isfinite(larger)) return log(::hypot(T(0.5) * re, T(0.5) * im)) + T(0.69314718055994530942);
    return log(size);
}
GPUAD_COMPLEX_FUNCTION(complex<T>) log(complex<T> x) { return {log_of_modulus(x.re, x.im), ::atan2(x.im, x.re)}; }
GPUAD_COMPLEX_FUNCTION(complex<T>) log2(complex<T> x) { return T(1.44269504088896340736) * log(x); }
GPUAD_COMPLEX_FUNCTION(complex<T>) log10(complex<T> x) { return T(0.43429448190325182765) * log(x); }
GPUAD_COMPLEX_FUNCTION(complex<T>) log1p(complex<T> x) {
    const bool near = ::fabs(x.re) < T(0.5) && ::fabs(x.im) < T(0.5);
    const T size = near ? T(0.5) * log1p(x.re * (T(2) + x.re) + x.im * x.im) : log_of_modulus(x.re + T(1), x.im);
    return {size, ::atan2(x.im, x.re + T(1))};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) exp2(complex<T> x) { return exp(T(0.69314718055994530942) * x); }
GPUAD_COMPLEX_FUNCTION(complex<T>) expm1(complex<T> x) {
    const T half = sin(T(0.5) * x.im);
    return {expm1(x.re) * cos(x.im) - T(2) * half * half, exp(x.re) * sin(x.im)};
}

GPUAD_COMPLEX_FUNCTION(complex<T>) sqrt(complex<T> x) {
    if (x.re == T(0) && x.im == T(0)) return {T(0), x.im};
    if (isinf(x.im)) return {::fabs(x.im), x.im};
    if (isinf(x.re)) {
        const T other = isnan(x.im) ? x.im : T(0);
        return x.re > T(0) ? complex<T>{x.re, ::copysign(other, x.im)} : complex<T>{other, ::copysign(x.re, x.im)};
    }
    T scale = T(1);
    const T larger = ::fabs(x.re) > ::fabs(x.im) ? ::fabs(x.re) : ::fabs(x.im);
    if (larger > T(1e30)) x = T(0.0625) * x, scale = T(4); // else the modulus could overflow,
    if (larger < T(1e-30)) x = T(268435456) * x, scale = T(1) / T(16384); // or lose its digits
    const T root = sqrt(T(0.5) * (::fabs(x.re) + ::hypot(x.re, x.im))), other = x.im / (T(2) * root);
    if (x.re >= T(0)) return {scale * root, scale * other};
    return {scale * ::fabs(other), scale * ::copysign(root, x.im)};
}

// Small whole exponents as products, others as an exponential.
GPUAD_COMPLEX_FUNCTION(complex<T>) power(complex<T> x, complex<T> y) {
    if (y.re == T(0) && y.im == T(0)) return {T(1), T(0)};
    if (x.re == T(0) && x.im == T(0)) {
        const T nan = x.re / x.re;
        return y.re > T(0) ? complex<T>{T(0), T(0)} : complex<T>{nan, nan};
    }
    if (y.im == T(0) && y.re == rint(y.re) && ::fabs(y.re) < T(100)) {
        complex<T> product = {T(1), T(0)};
        for (int n = (int)::fabs(y.re); n; n >>= 1) {
            if (n & 1) product = product * x;
            x = x * x;
        }
        return y.re < T(0) ? 1 / product : product;
    }
    return exp(y * log(x));
}

// --- trigonometric and hyperbolic ----------------------------------------------------------------
GPUAD_COMPLEX_FUNCTION(complex<T>) sinh(complex<T> x) {
    if (x.im == T(0)) return {sinh(x.re), x.im};
    const T c = cos(x.im), s = sin(x.im);
    return {x.re == T(0) ? x.re : sinh(x.re) * c, cosh(x.re) * s};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) cosh(complex<T> x) {
    if (x.im == T(0)) return {cosh(x.re), isnan(x.re) ? x.im : ::copysign(T(1), x.re) * x.im};
    const T c = cos(x.im), s = sin(x.im);
    return {cosh(x.re) * c, x.re == T(0) ? x.re * s : sinh(x.re) * s};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) tanh(complex<T> x) {
    if (x.im == T(0)) return {tanh(x.re), x.im};
    if (::fabs(x.re) > T(22)) {
        const T twist = isfinite(x.im) ? T(4) * sin(x.im) * cos(x.im) * exp(T(-2) * ::fabs(x.re)) : T(0);
        return {::copysign(T(1), x.re), ::copysign(twist, isfinite(x.im) ? twist : x.im)};
    }
    const T t = tan(x.im), beta = T(1) + t * t, s = sinh(x.re), rho = sqrt(T(1) + s * s);
    if (isinf(t)) return {rho / s, T(1) / t};
    const T scale = T(1) / (T(1) + beta * s * s);
    return {x.re == T(0) ? x.re : beta * rho * s * scale, t * scale};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) sin(complex<T> x) { return times_minus_i(sinh(times_i(x))); }
GPUAD_COMPLEX_FUNCTION(complex<T>) cos(complex<T> x) { return cosh(times_i(x)); }
GPUAD_COMPLEX_FUNCTION(complex<T>) tan(complex<T> x) { return times_minus_i(tanh(times_i(x))); }

GPUAD_COMPLEX_FUNCTION(complex<T>) asin(complex<T> x) {
    const complex<T> below = sqrt(complex<T>{T(1) - x.re, -x.im}), above = sqrt(complex<T>{T(1) + x.re, x.im});
    return {::atan2(x.re, (below * above).re), asinh((conjugate(below) * above).im)};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) acos(complex<T> x) {
    const complex<T> below = sqrt(complex<T>{T(1) - x.re, -x.im}), above = sqrt(complex<T>{T(1) + x.re, x.im});
    return {T(2) * ::atan2(below.re, above.re), asinh((conjugate(above) * below).im)};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) acosh(complex<T> x) {
    const complex<T> below = sqrt(complex<T>{x.re - T(1), x.im}), above = sqrt(complex<T>{x.re + T(1), x.im});
    return {asinh((conjugate(below) * above).re), T(2) * ::atan2(below.im, above.re)};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) asinh(complex<T> x) { return times_minus_i(asin(times_i(x))); }
GPUAD_COMPLEX_FUNCTION(complex<T>) atanh(complex<T> x) {
    // (log(1 + x) - log(1 - x)) / 2, whose real part is a log1p of a quotient.
    const T a = ::fabs(x.re), b = ::fabs(x.im);
    T re, im;
    if (a > T(1e8) || b > T(1e8)) { // 1 / x, to rounding
        re = isinf(a) || isinf(b) ? T(0) : (1 / complex<T>{a, b}).re;
        im = T(1.57079632679489661923);
    } else {
        const T gap = T(1) - a, square = b * b;
        re = T(0.25) * log1p(T(4) * a / (gap * gap + square));
        im = T(0.5) * ::atan2(T(2) * b, gap * (T(1) + a) - square);
    }
    return {::copysign(re, x.re), ::copysign(im, x.im)};
}
GPUAD_COMPLEX_FUNCTION(complex<T>) atan(complex<T> x) { return times_minus_i(atanh(times_i(x))); }

#undef GPUAD_COMPLEX_FUNCTION

} // namespace gpuad

#endif

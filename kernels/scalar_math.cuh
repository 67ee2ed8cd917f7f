// Functions of single real numbers: those that CUDA lacks, and those to which NumPy gives a meaning for
// every dtype.
//
// Each gives what NumPy gives for the same input, NaN, infinities and signed zeros included. T is float
// or double where nothing else is said; float16 and bfloat16 compute in float. What neither this file
// nor special_math.cuh has is CUDA's own, whose errors are in the CUDA C++ Programming Guide.
//
// The file compiles as CUDA (nvcc, or NVRTC without any host header) and as plain C++, which is
// how the tests compare it with NumPy on a machine without a GPU.
#ifndef GPUAD_SCALAR_MATH
#define GPUAD_SCALAR_MATH

#ifdef __CUDACC__
#define GPUAD_FUNCTION __device__ __forceinline__
#else
#include <math.h> // the C++ one: exp, log1p and sin take float and double
#ifndef __device__
#define __device__
#endif
#define GPUAD_FUNCTION inline __device__
#endif

namespace gpuad {

// Names that have more overloads further down, or in complex.cuh.
using ::acos;
using ::acosh;
using ::asin;
using ::asinh;
using ::atan;
using ::atanh;
using ::cos;
using ::cosh;
using ::exp;
using ::exp2;
using ::expm1;
using ::log;
using ::log10;
using ::log1p;
using ::log2;
using ::rint;
using ::sin;
using ::sinh;
using ::sqrt;
using ::tan;
using ::tanh;

// --- any real dtype: whole numbers and truth values as well --------------------------------------
template <typename T>
GPUAD_FUNCTION bool isnan(T x) {
    return x != x;
}
template <typename T>
GPUAD_FUNCTION bool isfinite(T x) {
    return x - x == T(0); // NaN for what isn't
}
template <typename T>
GPUAD_FUNCTION bool isinf(T x) {
    return x == x && x - x != T(0);
}

template <typename T>
GPUAD_FUNCTION T real(T x) {
    return x;
}
template <typename T>
GPUAD_FUNCTION T imag(T) {
    return T(0);
}
template <typename T>
GPUAD_FUNCTION T conjugate(T x) {
    return x;
}

// -1, 0 or 1; NaN stays NaN. Both zeros give +0.
template <typename T>
GPUAD_FUNCTION T sign(T x) {
    if (x > T(0)) return T(1);
    if (x < T(0)) return T(-1);
    return x == T(0) ? T(0) : x;
}

template <typename T>
GPUAD_FUNCTION T absolute(T x) {
    return x < T(0) ? T(-x) : x;
}
GPUAD_FUNCTION float absolute(float x) { return ::fabs(x); } // of -0, too
GPUAD_FUNCTION double absolute(double x) { return ::fabs(x); }

template <typename T>
GPUAD_FUNCTION T floor(T x) {
    return x;
}
GPUAD_FUNCTION float floor(float x) { return ::floor(x); }
GPUAD_FUNCTION double floor(double x) { return ::floor(x); }
template <typename T>
GPUAD_FUNCTION T ceil(T x) {
    return x;
}
GPUAD_FUNCTION float ceil(float x) { return ::ceil(x); }
GPUAD_FUNCTION double ceil(double x) { return ::ceil(x); }
template <typename T>
GPUAD_FUNCTION T trunc(T x) {
    return x;
}
GPUAD_FUNCTION float trunc(float x) { return ::trunc(x); }
GPUAD_FUNCTION double trunc(double x) { return ::trunc(x); }

// The larger and the smaller one. NaN wins in the first two, and loses in the others.
template <typename T>
GPUAD_FUNCTION T maximum(T x, T y) {
    return x >= y || isnan(x) ? x : y;
}
template <typename T>
GPUAD_FUNCTION T minimum(T x, T y) {
    return x <= y || isnan(x) ? x : y;
}
template <typename T>
GPUAD_FUNCTION T fmax(T x, T y) {
    return x >= y || isnan(y) ? x : y;
}
template <typename T>
GPUAD_FUNCTION T fmin(T x, T y) {
    return x <= y || isnan(y) ? x : y;
}

// --- division ------------------------------------------------------------------------------------
// Of whole numbers. NumPy gives 0 where the divisor is 0, and wraps around where the quotient is too large.
template <typename T>
GPUAD_FUNCTION bool is_minus_one(T x) {
    return T(-1) < T(0) && x == T(-1);
}
template <typename T>
GPUAD_FUNCTION T fmod(T x, T y) {
    return y == T(0) || is_minus_one(y) ? T(0) : T(x % y);
}
template <typename T>
GPUAD_FUNCTION T floor_divide(T x, T y) {
    if (y == T(0)) return T(0);
    if (is_minus_one(y)) return T(T(0) - x);
    const T q = T(x / y);
    return T(x % y) != T(0) && (x < T(0)) != (y < T(0)) ? T(q - T(1)) : q;
}
template <typename T>
GPUAD_FUNCTION T modulo(T x, T y) {
    const T r = fmod(x, y);
    return r != T(0) && (r < T(0)) != (y < T(0)) ? T(r + y) : r;
}

// Of floats: the remainder has the sign of the divisor, and the quotient is a whole number that fits it.
template <typename T>
GPUAD_FUNCTION T float_modulo(T x, T y) {
    const T r = ::fmod(x, y);
    if (y == T(0) || isnan(r)) return r;
    if (r == T(0)) return ::copysign(T(0), y);
    return (r < T(0)) != (y < T(0)) ? r + y : r;
}
template <typename T>
GPUAD_FUNCTION T float_floor_divide(T x, T y) {
    if (y == T(0)) return x / y;
    const T r = ::fmod(x, y);
    T q = (x - r) / y;
    if (r != T(0) && (r < T(0)) != (y < T(0))) q -= T(1);
    if (q == T(0)) return ::copysign(T(0), x / y);
    const T whole = ::floor(q);
    return q - whole > T(0.5) ? whole + T(1) : whole; // the division has rounded
}
GPUAD_FUNCTION float fmod(float x, float y) { return ::fmod(x, y); }
GPUAD_FUNCTION double fmod(double x, double y) { return ::fmod(x, y); }
GPUAD_FUNCTION float modulo(float x, float y) { return float_modulo(x, y); }
GPUAD_FUNCTION double modulo(double x, double y) { return float_modulo(x, y); }
GPUAD_FUNCTION float floor_divide(float x, float y) { return float_floor_divide(x, y); }
GPUAD_FUNCTION double floor_divide(double x, double y) { return float_floor_divide(x, y); }

// --- powers, exponentials, logarithms ------------------------------------------------------------
// Of whole numbers, modulo the range of T. A negative exponent, which NumPy refuses, rounds towards 0 as on CuPy.
template <typename T>
GPUAD_FUNCTION T power(T x, T y) {
    if (y < T(0)) return x == T(1) || (is_minus_one(x) && !(y & T(1))) ? T(1) : is_minus_one(x) ? x : T(0);
    T product = T(1);
    for (; y != T(0); y = T(y >> 1)) {
        if (y & T(1)) product = T(product * x);
        x = T(x * x);
    }
    return product;
}
GPUAD_FUNCTION float power(float x, float y) { return ::pow(x, y); }
GPUAD_FUNCTION double power(double x, double y) { return ::pow(x, y); }

// log(exp(x) + exp(y)), with no overflow. Equal arguments have a branch of their own because
// inf - inf is NaN where the answer is inf.
template <typename T>
GPUAD_FUNCTION T logaddexp(T x, T y) {
    if (x == y) return x + T(0.69314718055994530942);
    const T gap = x - y;
    if (gap > T(0)) return x + log1p(exp(-gap));
    if (gap <= T(0)) return y + log1p(exp(gap));
    return gap; // NaN
}

// log2(2^x + 2^y), likewise.
template <typename T>
GPUAD_FUNCTION T logaddexp2(T x, T y) {
    const T log2_e = T(1.44269504088896340736);
    if (x == y) return x + T(1);
    const T gap = x - y;
    if (gap > T(0)) return x + log2_e * log1p(exp2(-gap));
    if (gap <= T(0)) return y + log2_e * log1p(exp2(gap));
    return gap; // NaN
}

// 1 / (1 + exp(-x)). The exponential is always of a negative number, so it cannot overflow, and
// small values keep their digits. NaN takes the second branch and stays NaN.
template <typename T>
GPUAD_FUNCTION T sigmoid(T x) {
    if (x >= T(0)) return T(1) / (T(1) + exp(-x));
    const T e = exp(x);
    return e / (T(1) + e);
}

// --- others --------------------------------------------------------------------------------------
// sin(pi x) / (pi x), and 1 at 0.
template <typename T>
GPUAD_FUNCTION T sinc(T x) {
    const T pi_x = T(3.14159265358979323846) * x;
    return x == T(0) ? T(1) : sin(pi_x) / pi_x;
}

// 0 for negative x, 1 for positive, y at 0.
template <typename T>
GPUAD_FUNCTION T heaviside(T x, T y) {
    if (x == T(0)) return y;
    return x < T(0) ? T(0) : x > T(0) ? T(1) : x;
}

template <typename T>
GPUAD_FUNCTION T deg2rad(T x) {
    return x * T(3.14159265358979323846 / 180.0);
}
template <typename T>
GPUAD_FUNCTION T rad2deg(T x) {
    return x * T(180.0 / 3.14159265358979323846);
}

} // namespace gpuad

#endif

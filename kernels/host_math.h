// Scalar functions that the generated kernels for the CPU call: the same words as in kernels for CUDA, for every
// dtype that they make sense for, told apart by _Generic. C11, any machine.
//
// Values are NumPy's and SciPy's, with nan, infinities, signed zeros and denormal numbers. What stands in loops most is
// written without branches, so that compilers make vector instructions of it.
#ifndef GPUAD_HOST_MATH
#define GPUAD_HOST_MATH

#include <complex.h>
#include <math.h>
#include <stdint.h>

#include "host_special.h"

// -- what differs by the type of a number alone ---------------------------------------------------
// Each of these is written once, for T with the suffix S of its functions in C's library.
#define GPUAD_FOR_REALS(T, N, S) \
    GPUAD_INLINE T gpuad_maximum_##N(T x, T y) { return x > y || x != x ? x : y; } \
    GPUAD_INLINE T gpuad_minimum_##N(T x, T y) { return x < y || x != x ? x : y; } \
    GPUAD_INLINE T gpuad_fmax_##N(T x, T y) { return x >= y || y != y ? x : y; } \
    GPUAD_INLINE T gpuad_fmin_##N(T x, T y) { return x <= y || y != y ? x : y; } \
    GPUAD_INLINE T gpuad_sign_##N(T x) { return x > 0 ? (T)1 : x < 0 ? (T)-1 : x == 0 ? (T)0 : x; } \
    GPUAD_INLINE T gpuad_heaviside_##N(T x, T y) { return x != x ? x : x == 0 ? y : x < 0 ? (T)0 : (T)1; } \
    /* The remainder has the sign of the divisor, a zero one too (numpy.remainder). */ \
    GPUAD_INLINE T gpuad_modulo_##N(T x, T y) { \
        T r = fmod##S(x, y); \
        if (r != 0) return (r < 0) != (y < 0) ? r + y : r; \
        return y != y || r != r ? r : copysign##S(0, y); \
    } \
    GPUAD_INLINE T gpuad_floor_divide_##N(T x, T y) { \
        if (y == 0) return x / y; \
        T r = fmod##S(x, y), quotient = (x - r) / y; \
        if (r != 0 && (r < 0) != (y < 0)) quotient -= 1; \
        if (quotient == 0) return copysign##S(0, x / y); \
        T down = floor##S(quotient); \
        return quotient - down > (T)0.5 ? down + 1 : down; \
    } \
    GPUAD_INLINE T gpuad_deg2rad_##N(T x) { return x * (T)(3.14159265358979323846 / 180.0); } \
    GPUAD_INLINE T gpuad_rad2deg_##N(T x) { return x * (T)(180.0 / 3.14159265358979323846); }
GPUAD_FOR_REALS(float, f32, f)
GPUAD_FOR_REALS(double, f64, )

// Division by zero gives 0, as in NumPy. The smallest number divided by -1 would stop the program.
#define GPUAD_FOR_INTEGERS(T, N, NEGATIVE) \
    GPUAD_INLINE T gpuad_maximum_##N(T x, T y) { return x > y ? x : y; } \
    GPUAD_INLINE T gpuad_minimum_##N(T x, T y) { return x < y ? x : y; } \
    GPUAD_INLINE T gpuad_sign_##N(T x) { return (T)((x > 0) - NEGATIVE(x < 0)); } \
    GPUAD_INLINE T gpuad_absolute_##N(T x) { return NEGATIVE(x < 0) ? (T)-x : x; } \
    GPUAD_INLINE T gpuad_fmod_##N(T x, T y) { return y == 0 || NEGATIVE(y == (T)-1) ? 0 : (T)(x % y); } \
    GPUAD_INLINE T gpuad_modulo_##N(T x, T y) { \
        T r = gpuad_fmod_##N(x, y); \
        return r != 0 && NEGATIVE((r < 0) != (y < 0)) ? r + y : r; \
    } \
    GPUAD_INLINE T gpuad_floor_divide_##N(T x, T y) { \
        if (y == 0) return 0; \
        if (NEGATIVE(y == (T)-1)) return (T)-x; \
        return x / y - (T)NEGATIVE(x % y != 0 && (x < 0) != (y < 0)); \
    }
#define GPUAD_SIGNED(condition) (condition)
#define GPUAD_UNSIGNED(condition) 0
GPUAD_FOR_INTEGERS(int64_t, i64, GPUAD_SIGNED)
GPUAD_FOR_INTEGERS(uint64_t, u64, GPUAD_UNSIGNED)

// -- what C's library has, or the processor -------------------------------------------------------
#define GPUAD_FROM_LIBRARY(T, N, S) \
    GPUAD_INLINE T gpuad_absolute_##N(T x) { return fabs##S(x); } \
    GPUAD_INLINE T gpuad_cbrt_##N(T x) { return cbrt##S(x); } \
    GPUAD_INLINE T gpuad_ceil_##N(T x) { return ceil##S(x); } \
    GPUAD_INLINE T gpuad_copysign_##N(T x, T y) { return copysign##S(x, y); } \
    GPUAD_INLINE T gpuad_floor_##N(T x) { return floor##S(x); } \
    GPUAD_INLINE T gpuad_fmod_##N(T x, T y) { return fmod##S(x, y); } \
    GPUAD_INLINE T gpuad_nextafter_##N(T x, T y) { return nextafter##S(x, y); } \
    GPUAD_INLINE T gpuad_rint_##N(T x) { return rint##S(x); } \
    GPUAD_INLINE T gpuad_sqrt_##N(T x) { return sqrt##S(x); } \
    GPUAD_INLINE T gpuad_trunc_##N(T x) { return trunc##S(x); } \
    GPUAD_INLINE T gpuad_conjugate_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_real_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_imag_##N(T x) { return (void)x, 0; } \
    GPUAD_INLINE int gpuad_isnan_##N(T x) { return x != x; } \
    GPUAD_INLINE int gpuad_isinf_##N(T x) { return fabs##S(x) == (T)INFINITY; } \
    GPUAD_INLINE int gpuad_isfinite_##N(T x) { return fabs##S(x) < (T)INFINITY; } \
    GPUAD_INLINE int gpuad_signbit_##N(T x) { return copysign##S(1, x) < 0; }
GPUAD_FROM_LIBRARY(float, f32, f)
GPUAD_FROM_LIBRARY(double, f64, )

#define GPUAD_WHOLE(T, N) \
    GPUAD_INLINE T gpuad_ceil_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_floor_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_rint_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_trunc_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_conjugate_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_real_##N(T x) { return x; } \
    GPUAD_INLINE T gpuad_imag_##N(T x) { return (void)x, 0; } \
    GPUAD_INLINE T gpuad_fmax_##N(T x, T y) { return x > y ? x : y; } \
    GPUAD_INLINE T gpuad_fmin_##N(T x, T y) { return x < y ? x : y; } \
    GPUAD_INLINE int gpuad_isnan_##N(T x) { return (void)x, 0; } \
    GPUAD_INLINE int gpuad_isinf_##N(T x) { return (void)x, 0; } \
    GPUAD_INLINE int gpuad_isfinite_##N(T x) { return (void)x, 1; }
GPUAD_WHOLE(int64_t, i64)
GPUAD_WHOLE(uint64_t, u64)

#define GPUAD_OF_COMPLEX(T, N, S, R, M) \
    /* Compilers have CMPLX only where the library does. */ \
    GPUAD_INLINE T gpuad_pair_##N(R re, R im) { \
        union { \
            R parts[2]; \
            T whole; \
        } z = {{re, im}}; \
        return z.whole; \
    } \
    GPUAD_INLINE R gpuad_absolute_##N(T z) { return gpuad_hypot_##M(creal##S(z), cimag##S(z)); } \
    GPUAD_INLINE T gpuad_conjugate_##N(T z) { return conj##S(z); } \
    GPUAD_INLINE R gpuad_real_##N(T z) { return creal##S(z); } \
    GPUAD_INLINE R gpuad_imag_##N(T z) { return cimag##S(z); } \
    /* As NumPy's: a product doesn't ask whether NaN should have been infinite, a quotient is R. L. Smith's. */ \
    GPUAD_INLINE T gpuad_times_##N(T x, T y) { \
        const R a = creal##S(x), b = cimag##S(x), c = creal##S(y), d = cimag##S(y); \
        return gpuad_pair_##N(a * c - b * d, a * d + b * c); \
    } \
    GPUAD_INLINE T gpuad_quotient_##N(T x, T y) { \
        const R a = creal##S(x), b = cimag##S(x), c = creal##S(y), d = cimag##S(y); \
        const int flat = fabs##S(c) >= fabs##S(d); \
        const R ratio = flat ? d / c : c / d, scale = 1 / (flat ? c + d * ratio : c * ratio + d); \
        if (c == 0 && d == 0) return gpuad_pair_##N(a / fabs##S(c), b / fabs##S(c)); \
        return gpuad_pair_##N((flat ? a + b * ratio : a * ratio + b) * scale, (flat ? b - a * ratio : b * ratio - a) * scale); \
    } \
    /* Small whole exponents by products, as NumPy takes them: the logarithm loses digits. */ \
    GPUAD_INLINE T gpuad_power_##N(T x, T y) { \
        const R n = creal##S(y); \
        if (cimag##S(y) != 0 || n != rint##S(n) || fabs##S(n) >= 100) \
            return x == 0 ? gpuad_pair_##N(n > 0 ? 0 : (R)NAN, n > 0 ? 0 : (R)NAN) : cpow##S(x, y); \
        T result = 1, square = x; \
        for (int left = (int)fabs##S(n); left; left >>= 1, square = gpuad_times_##N(square, square)) \
            if (left & 1) result = gpuad_times_##N(result, square); \
        return n < 0 ? gpuad_quotient_##N(1, result) : result; \
    } \
    GPUAD_INLINE int gpuad_isnan_##N(T z) { return z != z; } \
    GPUAD_INLINE int gpuad_isinf_##N(T z) { \
        return fabs##S(creal##S(z)) == (R)INFINITY || fabs##S(cimag##S(z)) == (R)INFINITY; \
    } \
    GPUAD_INLINE int gpuad_isfinite_##N(T z) { \
        return fabs##S(creal##S(z)) < (R)INFINITY && fabs##S(cimag##S(z)) < (R)INFINITY; \
    }
GPUAD_OF_COMPLEX(float _Complex, c64, f, float, f32)
GPUAD_OF_COMPLEX(double _Complex, c128, , double, f64)

// -- the words ------------------------------------------------------------------------------------
// Whole numbers and truth values come as int64 or uint64 where nothing else is said.
#define GPUAD_REAL(f, x) _Generic((x), float: gpuad_##f##_f32, default: gpuad_##f##_f64)
#define GPUAD_REAL_2(f, x, y) _Generic((x) + (y), float: gpuad_##f##_f32, default: gpuad_##f##_f64)
#define GPUAD_NUMBER(f, x) \
    _Generic((x), float: gpuad_##f##_f32, double: gpuad_##f##_f64, uint64_t: gpuad_##f##_u64, default: gpuad_##f##_i64)
#define GPUAD_COMPLEX(name, x) \
    _Generic((x), float: gpuad_##name##_f32, float _Complex: c##name##f, double _Complex: c##name, \
        default: gpuad_##name##_f64)
#define GPUAD_ANY(f, x) \
    _Generic((x), float: gpuad_##f##_f32, double: gpuad_##f##_f64, float _Complex: gpuad_##f##_c64, \
        double _Complex: gpuad_##f##_c128, uint64_t: gpuad_##f##_u64, default: gpuad_##f##_i64)
#define GPUAD_NUMBER_2(f, x, y) GPUAD_NUMBER(f, (x) + (y))

#undef isfinite
#undef isinf
#undef isnan
#undef signbit

#define absolute(x) GPUAD_ANY(absolute, x)(x)
#define acos(x) GPUAD_COMPLEX(acos, x)(x)
#define acosh(x) GPUAD_COMPLEX(acosh, x)(x)
#define asin(x) GPUAD_COMPLEX(asin, x)(x)
#define asinh(x) GPUAD_COMPLEX(asinh, x)(x)
#define atan(x) GPUAD_COMPLEX(atan, x)(x)
#define atan2(y, x) GPUAD_REAL_2(atan2, y, x)(y, x)
#define atanh(x) GPUAD_COMPLEX(atanh, x)(x)
#define cbrt(x) GPUAD_REAL(cbrt, x)(x)
#define ceil(x) GPUAD_NUMBER(ceil, x)(x)
#define conjugate(x) GPUAD_ANY(conjugate, x)(x)
#define copysign(x, y) GPUAD_REAL_2(copysign, x, y)(x, y)
#define cos(x) GPUAD_COMPLEX(cos, x)(x)
#define cos_of_any(x) \
    _Generic((x), float: gpuad_cos_of_any_f32, float _Complex: ccosf, double _Complex: ccos, default: gpuad_cos_of_any_f64)(x)
#define cosh(x) GPUAD_COMPLEX(cosh, x)(x)
#define deg2rad(x) GPUAD_REAL(deg2rad, x)(x)
#define digamma(x) GPUAD_REAL(digamma, x)(x)
#define entr(x) GPUAD_REAL(entr, x)(x)
#define erf(x) GPUAD_REAL(erf, x)(x)
#define erfc(x) GPUAD_REAL(erfc, x)(x)
#define erfcinv(x) GPUAD_REAL(erfcinv, x)(x)
#define erfinv(x) GPUAD_REAL(erfinv, x)(x)
#define exp(x) GPUAD_COMPLEX(exp, x)(x)
#define exp2(x) GPUAD_REAL(exp2, x)(x)
#define expit(x) GPUAD_REAL(expit, x)(x)
#define expm1(x) GPUAD_REAL(expm1, x)(x)
#define fabs(x) GPUAD_REAL(absolute, x)(x)
#define floor(x) GPUAD_NUMBER(floor, x)(x)
#define floor_divide(x, y) GPUAD_NUMBER_2(floor_divide, x, y)(x, y)
#define fmax(x, y) GPUAD_NUMBER_2(fmax, x, y)(x, y)
#define fmin(x, y) GPUAD_NUMBER_2(fmin, x, y)(x, y)
#define fmod(x, y) GPUAD_NUMBER_2(fmod, x, y)(x, y)
#define gamma(x) GPUAD_REAL(gamma, x)(x)
#define gammaln(x) GPUAD_REAL(gammaln, x)(x)
#define heaviside(x, y) GPUAD_REAL_2(heaviside, x, y)(x, y)
#define has_wide_angle(x) GPUAD_REAL(is_wide, x)(x)
#define hypot(x, y) GPUAD_REAL_2(hypot, x, y)(x, y)
#define imag(x) GPUAD_ANY(imag, x)(x)
#define isfinite(x) GPUAD_ANY(isfinite, x)(x)
#define isinf(x) GPUAD_ANY(isinf, x)(x)
#define isnan(x) GPUAD_ANY(isnan, x)(x)
#define log(x) GPUAD_COMPLEX(log, x)(x)
#define log10(x) GPUAD_REAL(log10, x)(x)
#define log1p(x) GPUAD_REAL(log1p, x)(x)
#define log2(x) GPUAD_REAL(log2, x)(x)
#define log_expit(x) GPUAD_REAL(log_expit, x)(x)
#define log_ndtr(x) GPUAD_REAL(log_ndtr, x)(x)
#define logaddexp(x, y) GPUAD_REAL_2(logaddexp, x, y)(x, y)
#define logaddexp2(x, y) GPUAD_REAL_2(logaddexp2, x, y)(x, y)
#define logit(x) GPUAD_REAL(logit, x)(x)
#define maximum(x, y) GPUAD_NUMBER_2(maximum, x, y)(x, y)
#define minimum(x, y) GPUAD_NUMBER_2(minimum, x, y)(x, y)
#define modulo(x, y) GPUAD_NUMBER_2(modulo, x, y)(x, y)
#define ndtr(x) GPUAD_REAL(ndtr, x)(x)
#define ndtri(x) GPUAD_REAL(ndtri, x)(x)
#define nextafter(x, y) GPUAD_REAL_2(nextafter, x, y)(x, y)
#define power(x, y) \
    _Generic((x) + (y), float: gpuad_power_f32, float _Complex: gpuad_power_c64, double _Complex: gpuad_power_c128, \
        default: gpuad_power_f64)(x, y)
#define quotient(x, y) _Generic((x) + (y), float _Complex: gpuad_quotient_c64, default: gpuad_quotient_c128)(x, y)
#define rad2deg(x) GPUAD_REAL(rad2deg, x)(x)
#define real(x) GPUAD_ANY(real, x)(x)
#define rint(x) GPUAD_NUMBER(rint, x)(x)
#define sign(x) GPUAD_NUMBER(sign, x)(x)
#define signbit(x) GPUAD_REAL(signbit, x)(x)
#define sin(x) GPUAD_COMPLEX(sin, x)(x)
#define sinc(x) GPUAD_REAL(sinc, x)(x)
#define sinc_of_any(x) GPUAD_REAL(sinc_of_any, x)(x)
#define sin_of_any(x) \
    _Generic((x), float: gpuad_sin_of_any_f32, float _Complex: csinf, double _Complex: csin, default: gpuad_sin_of_any_f64)(x)
#define sinh(x) GPUAD_COMPLEX(sinh, x)(x)
#define sqrt(x) GPUAD_COMPLEX(sqrt, x)(x)
#define tan(x) GPUAD_COMPLEX(tan, x)(x)
#define tan_of_any(x) \
    _Generic((x), float: gpuad_tan_of_any_f32, float _Complex: ctanf, double _Complex: ctan, default: gpuad_tan_of_any_f64)(x)
#define tanh(x) GPUAD_COMPLEX(tanh, x)(x)
#define times(x, y) _Generic((x) + (y), float _Complex: gpuad_times_c64, default: gpuad_times_c128)(x, y)
#define trunc(x) GPUAD_NUMBER(trunc, x)(x)
#define xlog1py(x, y) GPUAD_REAL_2(xlog1py, x, y)(x, y)
#define xlogy(x, y) GPUAD_REAL_2(xlogy, x, y)(x, y)

#endif

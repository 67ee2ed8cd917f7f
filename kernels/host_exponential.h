// Exponentials, logarithms and powers, and what is made of them, for float (f32) and double (f64).
//
// Bounds are the largest errors seen over millions of arguments of all sizes (tests/test_host_math.py holds a sample to
// them), rounded up, in units of the last place (ulp) of the exact value, for denormal ones of the smallest normal:
//   1 ulp  log, log2, log10;   1.05 ulp  power (1.2 without fused multiply-adds);   1.25 ulp  exp, exp2;
//   1.5 ulp  log1p, cosh;   2 ulp  log_expit, entr;   2.5 ulp  expm1, expit, asinh, acosh, atanh, logit_f64;
//   3 ulp  sinh, tanh;   3.5 ulp  logit_f32;   logaddexp, logaddexp2: 2 ulp of the largest of arguments and result
//
// Method, as in W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980): an argument is brought
// into a small interval by a multiple of log 2 that is subtracted in two parts, and there a polynomial is taken. The
// logarithm goes by s = (m-1)/(m+1), an identity of K. C. Ng (FreeBSD's msun) keeps its digits near 1. Coefficients
// are our own: minimax for the relative error of the function, by Remez' exchange in 50 digits (mpmath), rounded.
#ifndef GPUAD_HOST_EXPONENTIAL
#define GPUAD_HOST_EXPONENTIAL

#include <math.h>
#include <stdint.h>

// A loop becomes vector instructions only if nothing is called in it, however long it gets.
#define GPUAD_INLINE static inline __attribute__((always_inline))

// One rounding where the processor has an instruction for it, else two. No function below needs the one.
#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
#define GPUAD_HAS_FMA 1
#define GPUAD_FMA_F64(a, b, c) __builtin_fma(a, b, c)
#define GPUAD_FMA_F32(a, b, c) __builtin_fmaf(a, b, c)
#else
#define GPUAD_HAS_FMA 0
#define GPUAD_FMA_F64(a, b, c) ((a) * (b) + (c))
#define GPUAD_FMA_F32(a, b, c) ((a) * (b) + (c))
#endif

GPUAD_INLINE uint64_t gpuad_bits_f64(double x) {
    uint64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}
GPUAD_INLINE double gpuad_of_bits_f64(uint64_t bits) {
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}
GPUAD_INLINE uint32_t gpuad_bits_f32(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}
GPUAD_INLINE float gpuad_of_bits_f32(uint32_t bits) {
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

// Added to a number not too large, these round it to a whole one, k: in the lowest bits of the sum there is k and twice
// the bias of exponents.
#define GPUAD_EXPONENT_F64 0x1.80000000007fep52
#define GPUAD_EXPONENT_F32 0x1.8001fcp23f

// 2^k for k = rounded - GPUAD_EXPONENT, -1022 <= k <= 1024 (-126 and 128); infinite at the upper end.
GPUAD_INLINE double gpuad_power_of_two_f64(double rounded) {
    return gpuad_of_bits_f64((gpuad_bits_f64(rounded) - 1023) << 52);
}
GPUAD_INLINE float gpuad_power_of_two_f32(float rounded) {
    return gpuad_of_bits_f32((gpuad_bits_f32(rounded) - 127) << 23);
}

// y 2^k, as large or small as may be: in two factors, so it is rounded once.
GPUAD_INLINE double gpuad_scale_f64(double y, double rounded) {
    const uint64_t half = gpuad_bits_f64(rounded) >> 1, other = gpuad_bits_f64(rounded) - half;
    return y * gpuad_of_bits_f64(half << 52) * gpuad_of_bits_f64(other << 52);
}
GPUAD_INLINE float gpuad_scale_f32(float y, float rounded) {
    const uint32_t half = gpuad_bits_f32(rounded) >> 1, other = gpuad_bits_f32(rounded) - half;
    return y * gpuad_of_bits_f32(half << 23) * gpuad_of_bits_f32(other << 23);
}

// exp(r) - 1 for |r| <= log(2) / 2. Terms in pairs, here and below: a processor looks some hundred instructions ahead,
// and where each of them waits for the one before, that isn't far.
GPUAD_INLINE double gpuad_expm1_near_0_f64(double r) {
    const double rr = r * r, fourth = rr * rr;
    const double a = GPUAD_FMA_F64(r, 0x1.555555555555cp-3, 0x1.0000000000005p-1);
    const double b = GPUAD_FMA_F64(r, 0x1.111111110e822p-7, 0x1.555555555237ep-5);
    const double c = GPUAD_FMA_F64(r, 0x1.a01a01b56fa9ap-13, 0x1.6c16c17eb355fp-10);
    const double d = GPUAD_FMA_F64(r, 0x1.71ddeadedb0d2p-19, 0x1.a019a7d44e5e6p-16);
    const double e = GPUAD_FMA_F64(r, 0x1.af756982cbfadp-26, 0x1.28a189749d7d4p-22);
    const double high = GPUAD_FMA_F64(fourth, e, GPUAD_FMA_F64(rr, d, c));
    return GPUAD_FMA_F64(rr, GPUAD_FMA_F64(fourth, high, GPUAD_FMA_F64(rr, b, a)), r);
}
GPUAD_INLINE float gpuad_expm1_near_0_f32(float r) {
    const float rr = r * r, a = GPUAD_FMA_F32(r, 0x1.5554b2p-3f, 0.5f);
    const float b = GPUAD_FMA_F32(r, 0x1.1226f8p-7f, 0x1.55548ap-5f);
    return GPUAD_FMA_F32(rr, GPUAD_FMA_F32(rr, GPUAD_FMA_F32(rr, 0x1.6d977ep-10f, b), a), r);
}

// x as k log(2) + r: returns r, and k + GPUAD_EXPONENT.
GPUAD_INLINE double gpuad_reduce_exp_f64(double x, double *rounded) {
    *rounded = GPUAD_FMA_F64(x, 0x1.71547652b82fep+0, GPUAD_EXPONENT_F64);
    const double k = *rounded - GPUAD_EXPONENT_F64;
    return GPUAD_FMA_F64(k, -0x1.a39ef35793c76p-33, GPUAD_FMA_F64(k, -0x1.62e42feep-1, x));
}
GPUAD_INLINE float gpuad_reduce_exp_f32(float x, float *rounded) {
    *rounded = GPUAD_FMA_F32(x, 0x1.715476p+0f, GPUAD_EXPONENT_F32);
    const float k = *rounded - GPUAD_EXPONENT_F32;
    return GPUAD_FMA_F32(k, -0x1.7f7d1cp-20f, GPUAD_FMA_F32(k, -0x1.62e4p-1f, x));
}

GPUAD_INLINE double gpuad_exp_f64(double x) {
    x = fabs(x) > 800.0 ? copysign(800.0, x) : x; // NaN stays NaN
    double rounded;
    const double r = gpuad_reduce_exp_f64(x, &rounded);
    return gpuad_scale_f64(1.0 + gpuad_expm1_near_0_f64(r), rounded);
}
GPUAD_INLINE float gpuad_exp_f32(float x) {
    x = fabsf(x) > 110.0f ? copysignf(110.0f, x) : x;
    float rounded;
    const float r = gpuad_reduce_exp_f32(x, &rounded);
    return gpuad_scale_f32(1.0f + gpuad_expm1_near_0_f32(r), rounded);
}

GPUAD_INLINE double gpuad_exp2_f64(double x) {
    x = fabs(x) > 1100.0 ? copysign(1100.0, x) : x;
    const double rounded = x + GPUAD_EXPONENT_F64, r = (x - (rounded - GPUAD_EXPONENT_F64)) * 0x1.62e42fefa39efp-1;
    return gpuad_scale_f64(1.0 + gpuad_expm1_near_0_f64(r), rounded);
}
GPUAD_INLINE float gpuad_exp2_f32(float x) {
    x = fabsf(x) > 160.0f ? copysignf(160.0f, x) : x;
    const float rounded = x + GPUAD_EXPONENT_F32, r = (x - (rounded - GPUAD_EXPONENT_F32)) * 0x1.62e430p-1f;
    return gpuad_scale_f32(1.0f + gpuad_expm1_near_0_f32(r), rounded);
}

// exp(x) - 1 for |x| < 710; and for |x| < 710.5 (89.4) p and 2^(k-2), by which exp(x) = 2^k (1 + p).
GPUAD_INLINE double gpuad_expm1_below_f64(double x, double *quarter, double *p) {
    double rounded;
    *p = gpuad_expm1_near_0_f64(gpuad_reduce_exp_f64(x, &rounded));
    const double s = *quarter = gpuad_power_of_two_f64(rounded - 2.0);
    return s == 0.25 ? *p : 4.0 * GPUAD_FMA_F64(s, *p, s - 0.25);
}
GPUAD_INLINE float gpuad_expm1_below_f32(float x, float *quarter, float *p) {
    float rounded;
    *p = gpuad_expm1_near_0_f32(gpuad_reduce_exp_f32(x, &rounded));
    const float s = *quarter = gpuad_power_of_two_f32(rounded - 2.0f);
    return s == 0.25f ? *p : 4.0f * GPUAD_FMA_F32(s, *p, s - 0.25f);
}

// Once for T with the suffix S of C's library: what reads the same for both. MOST: from where on exp(x) is infinite;
// TWICE: exp(x) / 2; ONE: from where on exp(x) - 1, exp(-x) + 1 and the like are rounded to one term.
#define GPUAD_OF_EXPONENTIALS(T, N, U, S, MOST, TWICE, ONE) \
    GPUAD_INLINE T gpuad_expm1_##N(T x) { \
        T y = (T)MOST < x ? (T)MOST : x, s, p; \
        y = -(T)(2 * ONE) > y ? -(T)(2 * ONE) : y; \
        y = gpuad_expm1_below_##N(y, &s, &p); \
        return x == 0 ? x : y; \
    } \
    GPUAD_INLINE T gpuad_tanh_##N(T x) { \
        T y = fabs##S(x), rounded; \
        y = (T)ONE < y ? (T)ONE : y; \
        const T p = gpuad_expm1_near_0_##N(gpuad_reduce_exp_##N(2 * y, &rounded)); \
        const T s = gpuad_power_of_two_##N(rounded), t = GPUAD_FMA_##U(s, p, s - 1); \
        return copysign##S(t / (t + 2), x); \
    } \
    GPUAD_INLINE T gpuad_cosh_##N(T x) { \
        T y = fabs##S(x), s, p; \
        y = (T)TWICE < y ? (T)TWICE : y; \
        gpuad_expm1_below_##N(y, &s, &p); \
        y = 2 * (s * (1 + p)); \
        return y + (T)0.25 / y; \
    } \
    /* Near 0 of t = exp(x) - 1, as (t + t/(t+1)) / 2. */ \
    GPUAD_INLINE T gpuad_sinh_##N(T x) { \
        T y = fabs##S(x), s, p; \
        y = (T)TWICE < y ? (T)TWICE : y; \
        const int near = y < 1; \
        const T t = gpuad_expm1_below_##N(y, &s, &p), half = 2 * (s * (1 + p)); \
        const T quotient = (near ? t : (T)-0.25) / (near ? t + 1 : half); \
        return copysign##S(near ? (T)0.5 * (t + quotient) : half + quotient, x); \
    } \
    GPUAD_INLINE T gpuad_expit_##N(T x) { \
        const T e = gpuad_exp_##N(-fabs##S(x)); \
        return (x < 0 ? e : (T)1) / (1 + e); \
    }
GPUAD_OF_EXPONENTIALS(float, f32, F32, f, 88.73, 89.42, 10)
GPUAD_OF_EXPONENTIALS(double, f64, F64, , 709.79, 710.48, 20)

// -- logarithms -----------------------------------------------------------------------------------
// x = 2^k m with m in [sqrt(1/2), sqrt(2)), for positive normal x. `biased` is k + 1023 (127).
GPUAD_INLINE double gpuad_split_f64(double x, uint64_t *biased) {
    const uint64_t bits = gpuad_bits_f64(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    *biased = bits >> 52;
    return gpuad_of_bits_f64((bits & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
}
GPUAD_INLINE float gpuad_split_f32(float x, uint32_t *biased) {
    const uint32_t bits = gpuad_bits_f32(x) + (0x3f800000u - 0x3f3504f3u);
    *biased = bits >> 23;
    return gpuad_of_bits_f32((bits & 0x007fffffu) + 0x3f3504f3u);
}
// The whole number as a floating-point one.
GPUAD_INLINE double gpuad_unbias_f64(uint64_t biased) {
    return gpuad_of_bits_f64(biased | 0x4330000000000000u) - (0x1p52 + 1023);
}
GPUAD_INLINE float gpuad_unbias_f32(uint32_t biased) { return (float)((int32_t)biased - 127); }

// log(1 + f) = f - (f^2/2 - t) for 1 + f in that interval; returns t.
GPUAD_INLINE double gpuad_log_term_f64(double f) {
    const double s = f / (2.0 + f), z = s * s, zz = z * z;
    const double a = GPUAD_FMA_F64(z, 0x1.999999998486ap-2, 0x1.5555555555581p-1);
    const double b = GPUAD_FMA_F64(z, 0x1.c71c548e2df56p-3, 0x1.2492493e6e2d4p-2);
    const double c = GPUAD_FMA_F64(z, 0x1.39accf66e6879p-3, 0x1.7465c74ddcf65p-3);
    const double q = GPUAD_FMA_F64(zz, GPUAD_FMA_F64(zz, GPUAD_FMA_F64(zz, 0x1.2e9d8391d7dc4p-3, c), b), a);
    return s * GPUAD_FMA_F64(q, z, 0.5 * f * f);
}
GPUAD_INLINE float gpuad_log_term_f32(float f) {
    const float s = f / (2.0f + f), z = s * s;
    const float a = GPUAD_FMA_F32(z, 0x1.999a70p-2f, 0x1.555556p-1f);
    const float b = GPUAD_FMA_F32(z, 0x1.e2a78ap-3f, 0x1.243b3ap-2f);
    return s * GPUAD_FMA_F32(GPUAD_FMA_F32(z * z, b, a), z, 0.5f * f * f);
}

// Written once. B: whole numbers of T's length; HI, LO: log 2, of which products with small whole numbers are exact,
// and the rest; TINY: the smallest normal number; BITS: the exponent's shift by which denormal ones are made normal;
// INV: 1/log(2), and TEN: 1/log(10), in two parts, the first short; TWO: log10(2) likewise; MASK: clears what makes a
// product with those inexact.
#define GPUAD_LOGARITHMS(T, N, U, S, B, HI, LO, TINY, BITS, UP, INV, INV_LO, TEN, TEN_LO, TWO, TWO_LO, MASK, LAST) \
    GPUAD_INLINE T gpuad_log_sum_##N(T k, T f) { \
        const T square = (T)0.5 * f * f; \
        return GPUAD_FMA_##U(k, (T)HI, f - (square - GPUAD_FMA_##U(k, (T)LO, gpuad_log_term_##N(f)))); \
    } \
    /* The logarithm of x: y, if that is a positive finite number. */ \
    GPUAD_INLINE T gpuad_log_domain_##N(T x, T y) { \
        y = gpuad_of_bits_##N(gpuad_bits_##N(y) | -(B)!(x >= 0)); /* all bits: NaN */ \
        y = x == 0 ? -(T)INFINITY : y; \
        return x == (T)INFINITY ? x : y; \
    } \
    /* k and m, of denormal numbers too. */ \
    GPUAD_INLINE T gpuad_split_any_##N(T x, T *k) { \
        B biased; \
        const T m = gpuad_split_##N(x < (T)TINY ? x * (T)UP : x, &biased); \
        *k = gpuad_unbias_##N(biased) - (x < (T)TINY ? (T)BITS : (T)0); \
        return m; \
    } \
    GPUAD_INLINE T gpuad_log_##N(T x) { \
        T k; \
        const T m = gpuad_split_any_##N(x, &k); \
        return gpuad_log_domain_##N(x, gpuad_log_sum_##N(k, m - 1)); \
    } \
    /* log(1 + x) for finite x > -1: what 1 + x lacks is added to f. */ \
    GPUAD_INLINE T gpuad_log1p_inside_##N(T x) { \
        const T u = 1 + x; \
        B biased; \
        const T m = gpuad_split_##N(u, &biased), k = gpuad_unbias_##N(biased); \
        const B down = LAST - (biased < LAST ? biased : LAST); \
        const T lost = x < 1 ? x - (u - 1) : 1 - (u - x); \
        const T f = k == 0 ? x : (m - 1) + lost * gpuad_of_bits_##N(down << (sizeof(T) == 4 ? 23 : 52)); \
        return gpuad_log_sum_##N(k, f); \
    } \
    GPUAD_INLINE T gpuad_log1p_##N(T x) { \
        const T y = gpuad_log1p_inside_##N(x); \
        return x == 0 ? x : gpuad_log_domain_##N(1 + x, y); \
    } \
    /* log(m) as a short number and the rest, to be multiplied. */ \
    GPUAD_INLINE T gpuad_log_pair_##N(T m, T *low) { \
        const T f = m - 1, square = (T)0.5 * f * f; \
        const T high = gpuad_of_bits_##N(gpuad_bits_##N(f - square) & MASK); \
        *low = ((f - high) - square) + gpuad_log_term_##N(f); \
        return high; \
    } \
    GPUAD_INLINE T gpuad_log2_##N(T x) { \
        T k, low; \
        const T high = gpuad_log_pair_##N(gpuad_split_any_##N(x, &k), &low); \
        const T first = high * (T)INV, sum = k + first; \
        const T rest = ((k - sum) + first) + ((low + high) * (T)INV_LO + low * (T)INV); \
        return gpuad_log_domain_##N(x, sum + rest); \
    } \
    GPUAD_INLINE T gpuad_log10_##N(T x) { \
        T k, low; \
        const T high = gpuad_log_pair_##N(gpuad_split_any_##N(x, &k), &low); \
        const T first = high * (T)TEN, of_two = k * (T)TWO, sum = of_two + first; \
        const T rest = ((of_two - sum) + first) + ((low + high) * (T)TEN_LO + low * (T)TEN + k * (T)TWO_LO); \
        return gpuad_log_domain_##N(x, sum + rest); \
    }
GPUAD_LOGARITHMS(float, f32, F32, f, uint32_t, 0x1.62e4p-1, 0x1.7f7d1cf79abcap-20, 0x1p-126, 25, 0x1p25, //
    0x1.714p+0, 0x1.47652b82fe177p-12, 0x1.bcap-2, 0x1.7b1526e50e32ap-14, 0x1.344p-2, 0x1.3509f79fef312p-18, //
    0xfffff000u, 254u)
GPUAD_LOGARITHMS(double, f64, F64, , uint64_t, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33, 0x1p-1022, 54, 0x1p54, //
    0x1.71547p+0, 0x1.94ae0bf85ddf4p-22, 0x1.bcb7bp-2, 0x1.526e50e32a6abp-26, 0x1.34413p-2, 0x1.427de7fbcc47cp-24, //
    0xffffffff00000000u, 2046u)

// -- sums of exponentials, and what is made of logarithms -----------------------------------------
#define GPUAD_OF_LOGARITHMS(T, N, S, LARGE) \
    /* log(exp(x) + exp(y)); equal arguments may be infinite, whose difference is NaN. */ \
    GPUAD_INLINE T gpuad_logaddexp_##N(T x, T y) { \
        const T gap = -fabs##S(x - y), larger = x > y ? x : y; \
        const T sum = larger + gpuad_log1p_inside_##N(gpuad_exp_##N(gap)); \
        return x == y ? x + (T)0x1.62e42fefa39efp-1 : sum; \
    } \
    GPUAD_INLINE T gpuad_logaddexp2_##N(T x, T y) { \
        const T gap = -fabs##S(x - y), larger = x > y ? x : y; \
        const T sum = larger + gpuad_log1p_inside_##N(gpuad_exp2_##N(gap)) * (T)0x1.71547652b82fep+0; \
        return x == y ? x + 1 : sum; \
    } \
    GPUAD_INLINE T gpuad_log_expit_##N(T x) { \
        const T y = gpuad_log1p_inside_##N(gpuad_exp_##N(-fabs##S(x))); \
        return -(y - (x < 0 ? x : (T)0)); \
    } \
    /* Near 1/2 of the difference of numerator and denominator, which is exact there. */ \
    GPUAD_INLINE T gpuad_logit_##N(T x) { \
        const int near = x > (T)0.25 && x < (T)0.75; \
        const T y = gpuad_log1p_inside_##N(near ? (2 * x - 1) / (1 - x) : (T)0); \
        return near ? y : gpuad_log_##N(x / (1 - x)); \
    } \
    GPUAD_INLINE T gpuad_entr_##N(T x) { \
        return x > 0 ? -x * gpuad_log_##N(x) : x == 0 ? (T)0 : x < 0 ? -(T)INFINITY : x; \
    } \
    GPUAD_INLINE T gpuad_xlogy_##N(T x, T y) { \
        const T product = x * gpuad_log_##N(y); \
        return x == 0 && y == y ? (T)0 : product; \
    } \
    GPUAD_INLINE T gpuad_xlog1py_##N(T x, T y) { \
        const T product = x * gpuad_log1p_##N(y); \
        return x == 0 && y == y ? (T)0 : product; \
    } \
    GPUAD_INLINE T gpuad_asinh_##N(T x) { \
        const T y = fabs##S(x); \
        const int large = y > (T)LARGE; \
        const T square = y * y, t = large ? y - 1 : y + square / (1 + sqrt##S(1 + square)); \
        const T sum = gpuad_log1p_inside_##N(t) + (large ? (T)0x1.62e42fefa39efp-1 : (T)0); \
        return x == 0 || y == (T)INFINITY ? x : copysign##S(sum, x); \
    } \
    GPUAD_INLINE T gpuad_acosh_##N(T x) { \
        const T y = x - 1; \
        const int large = x > (T)LARGE; \
        const T t = large ? y : y + sqrt##S(2 * y + y * y); \
        const T sum = gpuad_log1p_inside_##N(t) + (large ? (T)0x1.62e42fefa39efp-1 : (T)0); \
        return x >= 1 ? (x == (T)INFINITY ? x : sum) : (T)NAN; \
    } \
    GPUAD_INLINE T gpuad_atanh_##N(T x) { \
        const T y = fabs##S(x); \
        return x == 0 ? x : copysign##S((T)0.5 * gpuad_log1p_##N(2 * y / (1 - y)), x); \
    }
GPUAD_OF_LOGARITHMS(float, f32, f, 0x1p13)
GPUAD_OF_LOGARITHMS(double, f64, , 0x1p27)

// -- powers ---------------------------------------------------------------------------------------
// The product, and what it lacks (T. J. Dekker, Numer. Math. 18 (1971), where there is no fused multiply-add).
GPUAD_INLINE double gpuad_product(double a, double b, double *low) {
    const double high = a * b;
#if GPUAD_HAS_FMA
    *low = __builtin_fma(a, b, -high);
#else
    const double a1 = gpuad_of_bits_f64(gpuad_bits_f64(a) & 0xfffffffff8000000u), a2 = a - a1;
    const double b1 = gpuad_of_bits_f64(gpuad_bits_f64(b) & 0xfffffffff8000000u), b2 = b - b1;
    *low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
    return high;
}
// a b - c for a c near a b, rounded once.
GPUAD_INLINE double gpuad_product_less_f64(double a, double b, double c) {
#if GPUAD_HAS_FMA
    return __builtin_fma(a, b, -c);
#else
    double low;
    const double high = gpuad_product(a, b, &low);
    return (high - c) + low;
#endif
}
GPUAD_INLINE float gpuad_product_less_f32(float a, float b, float c) {
#if GPUAD_HAS_FMA
    return __builtin_fmaf(a, b, -c);
#else
    return (float)((double)a * b - c);
#endif
}

// By how many quarters m, between sqrt(1/2) and sqrt(2), is made smaller so that it is near 1. Doubles come within 1/6
// of it, without comparisons, which cost more; for the precision that floats need they are near enough.
GPUAD_INLINE double gpuad_quarters_f64(double m) { return rint(GPUAD_FMA_F64(m, 3.43, -3.5)); }
GPUAD_INLINE float gpuad_quarters_f32(float m) { return (void)m, 0.0f; }

// (log2(1+f) log(2) / (2 s) - 1 - z/3) / z^2 times 2 / log(2) for s = f / (2+f), z = s^2; and
// (2^r - 1 - r log(2)) / r^2 for |r| <= 1/2. Terms in pairs, so that no long chain of them waits for the one before.
GPUAD_INLINE double gpuad_log2_tail_f64(double z, double zz) {
    const double low = GPUAD_FMA_F64(z, 0x1.a61762a5059c9p-2, 0x1.2776c50ef9f2bp-1);
    const double high = GPUAD_FMA_F64(z, 0x1.0c934703cf4bbp-2, 0x1.484b1a48dcc6fp-2);
    return GPUAD_FMA_F64(zz, GPUAD_FMA_F64(zz, 0x1.ce39ec38989cep-3, high), low);
}
GPUAD_INLINE float gpuad_log2_tail_f32(float z, float zz) {
    return GPUAD_FMA_F32(zz, 0x1.59f79ep-2f, GPUAD_FMA_F32(z, 0x1.a5bb80p-2f, 0x1.27770ep-1f));
}
GPUAD_INLINE double gpuad_exp2_bend_f64(double r, double rr) {
    const double a = GPUAD_FMA_F64(r, 0x1.c6b08d704a0d4p-5, 0x1.ebfbdff82c59cp-3);
    const double b = GPUAD_FMA_F64(r, 0x1.5d87fe78b3b9dp-10, 0x1.3b2ab6fba1118p-7);
    const double c = GPUAD_FMA_F64(r, 0x1.ffcbfbf90b8f6p-17, 0x1.4309130c2881fp-13);
    const double d = GPUAD_FMA_F64(r, 0x1.b5260c94855ddp-24, 0x1.62bfcd8392c4fp-20);
    const double e = GPUAD_FMA_F64(r, 0x1.e8111a872a0f7p-32, 0x1.e612336a9cbafp-28), fourth = rr * rr;
    const double high = GPUAD_FMA_F64(fourth, e, GPUAD_FMA_F64(rr, d, c));
    return GPUAD_FMA_F64(fourth, high, GPUAD_FMA_F64(rr, b, a));
}
GPUAD_INLINE float gpuad_exp2_bend_f32(float r, float rr) {
    const float a = GPUAD_FMA_F32(r, 0x1.c6af88p-5f, 0x1.ebfbdcp-3f);
    const float b = GPUAD_FMA_F32(r, 0x1.5f03a4p-10f, 0x1.3b2e02p-7f);
    return GPUAD_FMA_F32(rr, GPUAD_FMA_F32(rr, 0x1.41552cp-13f, b), a);
}

// TWO, THIRD: 2 / log(2), and a third of it, in two parts; ODD, EVEN: half the difference of log2(4/3) and log2(4/5),
// and half their sum, the first parts short; OUTSIDE: the bits of infinity less 1; 2^MOST is infinite, 2^-MOST is 0.
#define GPUAD_POWER( \
    T, N, U, S, MOST, OUTSIDE, TWO, TWO_LO, THIRD, THIRD_LO, ODD, ODD_LO, EVEN, EVEN_LO) \
    /* log2(x) for x >= 0, with some 12 binary digits more than T has. */ \
    GPUAD_INLINE T gpuad_long_log2_##N(T x, T *low) { \
        T k; \
        /* x = 2^k m, and m (1 - by/4) = 1 + f, exactly. */ \
        const T m = gpuad_split_any_##N(x, &k), by = gpuad_quarters_##N(m); \
        const T f = gpuad_product_less_##N(m, GPUAD_FMA_##U(by, (T)-0.25, (T)1), 1); \
        const T base = GPUAD_FMA_##U(by, GPUAD_FMA_##U(by, (T)EVEN, (T)ODD), k); \
        const T sum = f + 2, s = f / sum, z = s * s, zz = z * z, term = z * (T)THIRD, t = (T)TWO + term; \
        const T high = s * t, total = base + high; \
        /* log2(1 + f) = s (TWO + z THIRD + z^2 tail). All that `total` lacks of it: what sums and products lack; \
         * what s does, its product with 2 + f less f, by 1 / (2 + f) = (1 - s) / 2, times the slope by s. */ \
        const T s_lacks = GPUAD_FMA_##U(s, f - (sum - 2), gpuad_product_less_##N(s, sum, f)); \
        const T s_low = s_lacks * GPUAD_FMA_##U((T)0.5, s, (T)-0.5), slope = t + 2 * term; \
        const T z_low = gpuad_product_less_##N(s, s, z), term_lacks = gpuad_product_less_##N(z, (T)THIRD, term); \
        const T term_low = GPUAD_FMA_##U(z_low, (T)THIRD, GPUAD_FMA_##U(z, (T)THIRD_LO, term_lacks)); \
        const T t_low = (((T)TWO - t) + term) + (term_low + (T)TWO_LO); \
        const T base_low = by * GPUAD_FMA_##U(by, (T)EVEN_LO, (T)ODD_LO); \
        const T sum_low = (high - (total - base)) + (gpuad_product_less_##N(s, t, high) + base_low); \
        const T tail = GPUAD_FMA_##U(zz, gpuad_log2_tail_##N(z, zz), t_low); \
        *low = GPUAD_FMA_##U(s, tail, GPUAD_FMA_##U(s_low, slope, sum_low)); \
        /* -inf for 0, infinity and NaN as they are; `low` means nothing then. */ \
        return gpuad_bits_##N(x) - 1 >= OUTSIDE ? (x - 1) * (T)INFINITY : total; \
    } \
    /* C's pow, which is NumPy's: what y does to 0, to infinity and to negative x is in C11, F.10.4.4. */ \
    GPUAD_INLINE T gpuad_power_##N(T x, T y) { \
        T low; \
        const T size_x = fabs##S(x), log_x = gpuad_long_log2_##N(size_x, &low), product = y * log_x; \
        const T rest = GPUAD_FMA_##U(y, low, gpuad_product_less_##N(y, log_x, product)); \
        const int far = fabs##S(product) >= (T)MOST; \
        const T high = far ? copysign##S((T)MOST, product) : product, more = far ? (T)0 : rest; \
        const T rounded = (high + more) + GPUAD_EXPONENT_##U, r = (high - (rounded - GPUAD_EXPONENT_##U)) + more; \
        const T rr = r * r, part = GPUAD_FMA_##U(r, (T)0x1.62e42fefa39efp-1, rr * gpuad_exp2_bend_##N(r, rr)); \
        const T size = gpuad_scale_##N(1 + part, rounded); \
        const T by_2 = y * (T)0.5; \
        const int whole = rint##S(y) == y, odd = whole & (rint##S(by_2) != by_2); \
        const T of_size = (y == 0) | (size_x == 1) ? (T)1 : size; \
        const T real = (x < 0) & (x > -(T)INFINITY) & !whole ? (T)NAN : of_size; \
        return odd ? copysign##S(real, x) : real; \
    }
GPUAD_POWER(float, f32, F32, f, 160, 0x7f7fffffu, 0x1.715476p+1, 0x1.4ae0cp-25, //
    0x1.ec709ep-1, -0x1.e2fe02p-28, 0, 0, 0, 0)
GPUAD_POWER(double, f64, F64, , 1100, 0x7fefffffffffffffu, //
    0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55, 0x1.ec709dc3a03fdp-1, 0x1.d27f05548af0cp-55, //
    0x1.79538dea7p-2, 0x1.2f48b3094993ep-42, 0x1.7d60496dp-5, -0x1.12ce6312ebb82p-43)

#endif

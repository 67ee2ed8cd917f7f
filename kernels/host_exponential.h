// Exponentials, logarithms and powers, and what is made of them, for float (f32) and double (f64).
//
// Bounds are the largest errors seen over millions of arguments of all sizes (tests/test_host_math.py holds a sample to
// them), rounded up, in units of the last place (ulp) of the exact value, for denormal ones of the smallest normal:
//   0.6 ulp  power_f32;   1 ulp  log, log2, log10;   1.25 ulp  exp, exp2, power_f64;   1.5 ulp  log1p, cosh;
//   2 ulp  log_expit, entr;   2.5 ulp  expm1, expit, asinh, acosh, atanh, logit_f64;   3 ulp  sinh, tanh;
//   3.5 ulp  logit_f32;   logaddexp, logaddexp2: 2 ulp of the largest of arguments and result
//
// Method, as in W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980): an argument is brought
// into a small interval by a multiple of log 2 that is subtracted in two parts, and there a polynomial is taken. The
// logarithm goes by s = (m-1)/(m+1), an identity of K. C. Ng (FreeBSD's msun) keeps its digits near 1. Coefficients
// are our own: minimax for the relative error of the function, by Remez' exchange in 50 digits (mpmath), rounded.
#ifndef GPUAD_HOST_EXPONENTIAL
#define GPUAD_HOST_EXPONENTIAL

#include <math.h>
#include <stdint.h>
#include <string.h>

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
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
GPUAD_INLINE double gpuad_of_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
GPUAD_INLINE uint32_t gpuad_bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
GPUAD_INLINE float gpuad_of_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Added to a number not too large, these round it to a whole one, which stands in the lowest bits of the sum.
#define GPUAD_ROUND_F64 0x1.8p52
#define GPUAD_ROUND_F32 0x1.8p23f

// 2^k for the k in the lowest bits, -1022 <= k <= 1024 (-126 and 128); infinite at the upper end.
GPUAD_INLINE double gpuad_power_of_two_f64(uint64_t k) { return gpuad_of_bits_f64((k + 1023) << 52); }
GPUAD_INLINE float gpuad_power_of_two_f32(uint32_t k) { return gpuad_of_bits_f32((k + 127) << 23); }

// y 2^k for k = rounded - GPUAD_ROUND, as large or small as may be: in two factors, so it is rounded once.
GPUAD_INLINE double gpuad_scale_f64(double y, double rounded) {
    const double half = (rounded - GPUAD_ROUND_F64) * 0.5 + GPUAD_ROUND_F64;
    const uint64_t k = gpuad_bits_f64(half);
    return y * gpuad_power_of_two_f64(k) * gpuad_power_of_two_f64(gpuad_bits_f64(rounded) - k);
}
GPUAD_INLINE float gpuad_scale_f32(float y, float rounded) {
    const float half = (rounded - GPUAD_ROUND_F32) * 0.5f + GPUAD_ROUND_F32;
    const uint32_t k = gpuad_bits_f32(half);
    return y * gpuad_power_of_two_f32(k) * gpuad_power_of_two_f32(gpuad_bits_f32(rounded) - k);
}

// exp(r) - 1 for |r| <= log(2) / 2.
GPUAD_INLINE double gpuad_expm1_near_0_f64(double r) {
    double q = 0x1.af756982cbfadp-26;
    q = GPUAD_FMA_F64(q, r, 0x1.28a189749d7d4p-22);
    q = GPUAD_FMA_F64(q, r, 0x1.71ddeadedb0d2p-19);
    q = GPUAD_FMA_F64(q, r, 0x1.a019a7d44e5e6p-16);
    q = GPUAD_FMA_F64(q, r, 0x1.a01a01b56fa9ap-13);
    q = GPUAD_FMA_F64(q, r, 0x1.6c16c17eb355fp-10);
    q = GPUAD_FMA_F64(q, r, 0x1.111111110e822p-7);
    q = GPUAD_FMA_F64(q, r, 0x1.555555555237ep-5);
    q = GPUAD_FMA_F64(q, r, 0x1.555555555555cp-3);
    q = GPUAD_FMA_F64(q, r, 0x1.0000000000005p-1);
    return GPUAD_FMA_F64(r * r, q, r);
}
GPUAD_INLINE float gpuad_expm1_near_0_f32(float r) {
    float q = 0x1.6d977ep-10f;
    q = GPUAD_FMA_F32(q, r, 0x1.1226f8p-7f);
    q = GPUAD_FMA_F32(q, r, 0x1.55548ap-5f);
    q = GPUAD_FMA_F32(q, r, 0x1.5554b2p-3f);
    q = GPUAD_FMA_F32(q, r, 0.5f);
    return GPUAD_FMA_F32(r * r, q, r);
}

// x as k log(2) + r: returns r, and k + GPUAD_ROUND.
GPUAD_INLINE double gpuad_reduce_exp_f64(double x, double *rounded) {
    *rounded = GPUAD_FMA_F64(x, 0x1.71547652b82fep+0, GPUAD_ROUND_F64);
    const double k = *rounded - GPUAD_ROUND_F64;
    return GPUAD_FMA_F64(k, -0x1.a39ef35793c76p-33, GPUAD_FMA_F64(k, -0x1.62e42feep-1, x));
}
GPUAD_INLINE float gpuad_reduce_exp_f32(float x, float *rounded) {
    *rounded = GPUAD_FMA_F32(x, 0x1.715476p+0f, GPUAD_ROUND_F32);
    const float k = *rounded - GPUAD_ROUND_F32;
    return GPUAD_FMA_F32(k, -0x1.7f7d1cp-20f, GPUAD_FMA_F32(k, -0x1.62e4p-1f, x));
}

// exp(x + low), for a |low| much smaller than 1.
GPUAD_INLINE double gpuad_exp_of_pair(double x, double low) {
    x = 720.0 < x ? 720.0 : x;
    x = -800.0 > x ? -800.0 : x;
    double rounded;
    const double r = gpuad_reduce_exp_f64(x, &rounded) + low;
    return gpuad_scale_f64(1.0 + gpuad_expm1_near_0_f64(r), rounded);
}

GPUAD_INLINE double gpuad_exp_f64(double x) {
    x = 720.0 < x ? 720.0 : x; // NaN stays NaN
    x = -800.0 > x ? -800.0 : x;
    double rounded;
    const double r = gpuad_reduce_exp_f64(x, &rounded);
    return gpuad_scale_f64(1.0 + gpuad_expm1_near_0_f64(r), rounded);
}
GPUAD_INLINE float gpuad_exp_f32(float x) {
    x = 90.0f < x ? 90.0f : x;
    x = -110.0f > x ? -110.0f : x;
    float rounded;
    const float r = gpuad_reduce_exp_f32(x, &rounded);
    return gpuad_scale_f32(1.0f + gpuad_expm1_near_0_f32(r), rounded);
}

GPUAD_INLINE double gpuad_exp2_f64(double x) {
    x = 1040.0 < x ? 1040.0 : x;
    x = -1100.0 > x ? -1100.0 : x;
    const double rounded = x + GPUAD_ROUND_F64, r = (x - (rounded - GPUAD_ROUND_F64)) * 0x1.62e42fefa39efp-1;
    return gpuad_scale_f64(1.0 + gpuad_expm1_near_0_f64(r), rounded);
}
GPUAD_INLINE float gpuad_exp2_f32(float x) {
    x = 130.0f < x ? 130.0f : x;
    x = -160.0f > x ? -160.0f : x;
    const float rounded = x + GPUAD_ROUND_F32, r = (x - (rounded - GPUAD_ROUND_F32)) * 0x1.62e430p-1f;
    return gpuad_scale_f32(1.0f + gpuad_expm1_near_0_f32(r), rounded);
}

// exp(x) - 1 for |x| < 710; and for |x| < 710.5 (89.4) p and 2^(k-2), by which exp(x) = 2^k (1 + p).
GPUAD_INLINE double gpuad_expm1_below_f64(double x, double *quarter, double *p) {
    double rounded;
    *p = gpuad_expm1_near_0_f64(gpuad_reduce_exp_f64(x, &rounded));
    const double s = gpuad_power_of_two_f64(gpuad_bits_f64(rounded) - 2);
    *quarter = s;
    return s == 0.25 ? *p : 4.0 * GPUAD_FMA_F64(s, *p, s - 0.25);
}
GPUAD_INLINE float gpuad_expm1_below_f32(float x, float *quarter, float *p) {
    float rounded;
    *p = gpuad_expm1_near_0_f32(gpuad_reduce_exp_f32(x, &rounded));
    const float s = gpuad_power_of_two_f32(gpuad_bits_f32(rounded) - 2);
    *quarter = s;
    return s == 0.25f ? *p : 4.0f * GPUAD_FMA_F32(s, *p, s - 0.25f);
}

// Once for T with the suffix S of C's library: what reads the same for both. MOST: from where on exp(x) is infinite;
// TWICE: exp(x) / 2; ONE: from where on exp(x) - 1, exp(-x) + 1 and the like are rounded to one term.
#define GPUAD_OF_EXPONENTIALS(T, N, S, MOST, TWICE, ONE) \
    GPUAD_INLINE T gpuad_expm1_##N(T x) { \
        T y = (T)MOST < x ? (T)MOST : x, s, p; \
        y = -(T)(2 * ONE) > y ? -(T)(2 * ONE) : y; \
        y = gpuad_expm1_below_##N(y, &s, &p); \
        return x == 0 ? x : y; \
    } \
    GPUAD_INLINE T gpuad_tanh_##N(T x) { \
        T y = fabs##S(x), s, p; \
        y = (T)ONE < y ? (T)ONE : y; \
        y = gpuad_expm1_below_##N(2 * y, &s, &p); \
        return copysign##S(y / (y + 2), x); \
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
GPUAD_OF_EXPONENTIALS(float, f32, f, 88.73, 89.42, 10)
GPUAD_OF_EXPONENTIALS(double, f64, , 709.79, 710.48, 20)

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
    const double s = f / (2.0 + f), z = s * s;
    double q = 0x1.2e9d8391d7dc4p-3;
    q = GPUAD_FMA_F64(q, z, 0x1.39accf66e6879p-3);
    q = GPUAD_FMA_F64(q, z, 0x1.7465c74ddcf65p-3);
    q = GPUAD_FMA_F64(q, z, 0x1.c71c548e2df56p-3);
    q = GPUAD_FMA_F64(q, z, 0x1.2492493e6e2d4p-2);
    q = GPUAD_FMA_F64(q, z, 0x1.999999998486ap-2);
    q = GPUAD_FMA_F64(q, z, 0x1.5555555555581p-1);
    return s * GPUAD_FMA_F64(q, z, 0.5 * f * f);
}
GPUAD_INLINE float gpuad_log_term_f32(float f) {
    const float s = f / (2.0f + f), z = s * s;
    float q = 0x1.e2a78ap-3f;
    q = GPUAD_FMA_F32(q, z, 0x1.243b3ap-2f);
    q = GPUAD_FMA_F32(q, z, 0x1.999a70p-2f);
    q = GPUAD_FMA_F32(q, z, 0x1.555556p-1f);
    return s * GPUAD_FMA_F32(q, z, 0.5f * f * f);
}

// Written once. HI, LO: log 2, of which products with small whole numbers are exact, and the rest; TINY: the smallest
// normal number; BITS: the exponent's shift by which denormal ones are made normal; INV: 1/log(2), and TEN: 1/log(10),
// in two parts, the first short; TWO: log10(2) likewise; MASK: clears what makes a product with those inexact.
#define GPUAD_LOGARITHMS(T, N, S, U, HI, LO, TINY, BITS, UP, INV, INV_LO, TEN, TEN_LO, TWO, TWO_LO, MASK, LAST) \
    GPUAD_INLINE T gpuad_log_sum_##N(T k, T f, T low) { \
        const T square = (T)0.5 * f * f; \
        return k * (T)HI - ((square - (gpuad_log_term_##N(f) + (k * (T)LO + low))) - f); \
    } \
    /* The logarithm of what isn't a positive finite number, or y. */ \
    GPUAD_INLINE T gpuad_log_domain_##N(T x, T y) { \
        const T other = x == 0 ? -(T)INFINITY : (T)NAN; \
        return x > 0 ? (x < (T)INFINITY ? y : x) : other; \
    } \
    /* k and m, of denormal numbers too. */ \
    GPUAD_INLINE T gpuad_split_any_##N(T x, T *k) { \
        U biased; \
        const T m = gpuad_split_##N(x < (T)TINY ? x * (T)UP : x, &biased); \
        *k = gpuad_unbias_##N(biased) - (x < (T)TINY ? (T)BITS : (T)0); \
        return m; \
    } \
    GPUAD_INLINE T gpuad_log_##N(T x) { \
        T k; \
        const T m = gpuad_split_any_##N(x, &k); \
        return gpuad_log_domain_##N(x, gpuad_log_sum_##N(k, m - 1, 0)); \
    } \
    /* log(1 + x) for finite x > -1: what 1 + x lacks is added to f. */ \
    GPUAD_INLINE T gpuad_log1p_inside_##N(T x) { \
        const T u = 1 + x; \
        U biased; \
        const T m = gpuad_split_##N(u, &biased), k = gpuad_unbias_##N(biased); \
        const U down = LAST - (biased < LAST ? biased : LAST); \
        const T lost = x < 1 ? x - (u - 1) : 1 - (u - x); \
        const T f = k == 0 ? x : (m - 1) + lost * gpuad_of_bits_##N(down << (sizeof(T) == 4 ? 23 : 52)); \
        return gpuad_log_sum_##N(k, f, 0); \
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
GPUAD_LOGARITHMS(float, f32, f, uint32_t, 0x1.62e4p-1, 0x1.7f7d1cf79abcap-20, 0x1p-126, 25, 0x1p25, //
    0x1.714p+0, 0x1.47652b82fe177p-12, 0x1.bcap-2, 0x1.7b1526e50e32ap-14, 0x1.344p-2, 0x1.3509f79fef312p-18, //
    0xfffff000u, 254u)
GPUAD_LOGARITHMS(double, f64, , uint64_t, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33, 0x1p-1022, 54, 0x1p54, //
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

// log(x) for x > 0, with some 12 digits more than a double has; -inf for 0.
GPUAD_INLINE double gpuad_long_log(double x, double *low) {
    double k;
    const double f = gpuad_split_any_f64(x, &k) - 1.0;
    // s = f / (2 + f) in two parts
    const double sum = 2.0 + f, sum_low = f - (sum - 2.0), inverse = 1.0 / sum, s = f * inverse;
    double error;
    const double back = gpuad_product(s, sum, &error), s_low = (((f - back) - error) - s * sum_low) * inverse;
    double z_low;
    const double z = gpuad_product(s, s, &z_low);
    z_low += 2.0 * s * s_low;
    double q = 0x1.e7870f9787c5ep-4;
    q = GPUAD_FMA_F64(q, z, 0x1.dea89c9303e00p-4);
    q = GPUAD_FMA_F64(q, z, 0x1.111d95359f5b8p-3);
    q = GPUAD_FMA_F64(q, z, 0x1.3b13796708872p-3);
    q = GPUAD_FMA_F64(q, z, 0x1.745d17d4bc83bp-3);
    q = GPUAD_FMA_F64(q, z, 0x1.c71c71c658e5ap-3);
    q = GPUAD_FMA_F64(q, z, 0x1.249249249283cp-2);
    q = GPUAD_FMA_F64(q, z, 0x1.9999999999999p-2);
    // log(m) = 2 s + s z (2/3 + z q), in two parts from here on
    const double tail = z * q, c = 0x1.5555555555555p-1 + tail;
    const double c_low = (0x1.5555555555555p-1 - c) + tail + 0x1.5555555555555p-55;
    double zc_low, szc_low;
    const double zc = gpuad_product(z, c, &zc_low);
    zc_low += z * c_low + z_low * c;
    const double szc = gpuad_product(s, zc, &szc_low);
    szc_low += s * zc_low + s_low * zc;
    const double log_m = 2.0 * s + szc, log_m_low = ((2.0 * s - log_m) + szc) + (2.0 * s_low + szc_low);
    const double big = k * 0x1.62e42fefa38p-1, high = big + log_m;
    // What a sum lacks, of two numbers of which none need be the larger (Knuth).
    const double part = high - big, lacks = (big - (high - part)) + (log_m - part);
    const double rest = lacks + (log_m_low + k * 0x1.ef35793c7673p-45), total = high + rest;
    *low = x > 0 && x < INFINITY ? (high - total) + rest : 0.0;
    return gpuad_log_domain_f64(x, total);
}

// C's pow, which is NumPy's: what y does to 0, to infinity and to negative x is in C11, F.10.4.4.
#define GPUAD_POWER_SPECIAL(T, S) \
    const T half = y * (T)0.5; \
    const int whole = floor##S(y) == y, odd = whole && floor##S(half) != half; \
    const int undefined = x < 0 && !whole && x > -(T)INFINITY; \
    const int one = y == 0 || x == 1 || (x == -1 && fabs##S(y) == (T)INFINITY); \
    const T with_sign = odd ? copysign##S(size, x) : size; \
    return one ? (T)1 : undefined ? (T)NAN : with_sign;
GPUAD_INLINE double gpuad_power_f64(double x, double y) {
    double low, error;
    const double log_x = gpuad_long_log(fabs(x), &low);
    // Beyond this any y is as good as infinite, and the parts of the product below might overflow.
    double bounded = 0x1p70 < y ? 0x1p70 : y;
    bounded = -0x1p70 > bounded ? -0x1p70 : bounded;
    const double high = gpuad_product(log_x, bounded, &error), rest = error + low * bounded;
    const double size = gpuad_exp_of_pair(high, fabs(high) < 800.0 ? rest : 0.0);
    GPUAD_POWER_SPECIAL(double, )
}
GPUAD_INLINE float gpuad_power_f32(float x, float y) {
    const float size = (float)gpuad_exp_f64((double)y * gpuad_log_f64(fabs((double)x)));
    GPUAD_POWER_SPECIAL(float, f)
}

#endif

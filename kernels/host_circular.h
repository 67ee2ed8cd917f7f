// Trigonometric functions and their inverses, for float (f32) and double (f64).
//
// Bounds, as in host_exponential.h:
//   1 ulp  sin_f64, cos_f64;   1.5 ulp  sin_f32, cos_f32, acos, hypot;   2 ulp  atan;   2.5 ulp  asin, atan2, tan_f64;
//   3 ulp  tan_f32;   sinc: 2 ulp more than NumPy's, which rounds the product with pi, too
//
// sin and its kin take arguments up to GPUAD_ANGLE, from which pi/2 is subtracted in four parts (Cody and Waite, as
// FreeBSD's msun does it, but always in full). Kernels see to it that larger ones go to the functions `..._of_any`.
#ifndef GPUAD_HOST_CIRCULAR
#define GPUAD_HOST_CIRCULAR

#include "host_exponential.h"

// Added to a number not too large, this rounds it to a whole one, which stands in the lowest bits of the sum.
#define GPUAD_ROUND_F64 0x1.8p52

#define GPUAD_ANGLE 0x1p20

// x as k pi/2 + r + low with |r| <= pi/4; returns r and, in the lowest bits, k.
GPUAD_INLINE double gpuad_reduce_angle(double x, double *low, uint64_t *quadrant) {
    const double rounded = x * 0x1.45f306dc9c883p-1 + GPUAD_ROUND_F64, k = rounded - GPUAD_ROUND_F64;
    *quadrant = gpuad_bits_f64(rounded);
    // Each part has 33 bits, so the products are exact; what the differences lack is carried on.
    const double a = x - k * 0x1.921fb544p+0;
    const double second = k * 0x1.0b4611a6p-34, b = a - second, b_part = b - a;
    const double b_lacks = (a - (b - b_part)) - (second + b_part);
    const double rest = b_lacks - k * 0x1.3198a2ep-69, r = b + rest;
    *low = ((b - r) + rest) - k * 0x1.b839a252049c1p-104;
    return r;
}

GPUAD_INLINE double gpuad_sin_near_0(double r, double low) {
    const double z = r * r;
    double q = 0x1.5d9d9708f820cp-33;
    q = GPUAD_FMA_F64(q, z, -0x1.ae5e8ef0a88fdp-26);
    q = GPUAD_FMA_F64(q, z, 0x1.71de35b2cea96p-19);
    q = GPUAD_FMA_F64(q, z, -0x1.a01a019c61323p-13);
    q = GPUAD_FMA_F64(q, z, 0x1.111111110fb82p-7);
    q = GPUAD_FMA_F64(q, z, -0x1.555555555554bp-3);
    return r + GPUAD_FMA_F64(r * z, q, low * (1.0 - 0.5 * z));
}
GPUAD_INLINE double gpuad_cos_near_0(double r, double low) {
    const double z = r * r, half = 0.5 * z, one = 1.0 - half;
    double q = -0x1.9000fcf2467d7p-37;
    q = GPUAD_FMA_F64(q, z, 0x1.1eea93f34da44p-29);
    q = GPUAD_FMA_F64(q, z, -0x1.27e4f91048af5p-22);
    q = GPUAD_FMA_F64(q, z, 0x1.a01a019e3521ep-16);
    q = GPUAD_FMA_F64(q, z, -0x1.6c16c16c1621ep-10);
    q = GPUAD_FMA_F64(q, z, 0x1.5555555555554p-5);
    return one + (((1.0 - one) - half) + GPUAD_FMA_F64(z * z, q, -r * low));
}

// The sign of y changed where the bit is set.
GPUAD_INLINE double gpuad_change_sign_f64(double y, uint64_t bit) {
    return gpuad_of_bits_f64(gpuad_bits_f64(y) ^ (bit << 63));
}
GPUAD_INLINE float gpuad_change_sign_f32(float y, uint32_t bit) {
    return gpuad_of_bits_f32(gpuad_bits_f32(y) ^ (bit << 31));
}

GPUAD_INLINE double gpuad_sin_f64(double x) {
    double low;
    uint64_t k;
    const double r = gpuad_reduce_angle(x, &low, &k);
    const double s = gpuad_sin_near_0(r, low), c = gpuad_cos_near_0(r, low);
    return x == 0 ? x : gpuad_change_sign_f64(k & 1 ? c : s, k >> 1 & 1);
}
GPUAD_INLINE double gpuad_cos_f64(double x) {
    double low;
    uint64_t k;
    const double r = gpuad_reduce_angle(x, &low, &k);
    const double s = gpuad_sin_near_0(r, low), c = gpuad_cos_near_0(r, low);
    return gpuad_change_sign_f64(k & 1 ? s : c, (k + 1) >> 1 & 1);
}
GPUAD_INLINE double gpuad_tan_f64(double x) {
    double low;
    uint64_t k;
    const double r = gpuad_reduce_angle(x, &low, &k);
    const double s = gpuad_sin_near_0(r, low), c = gpuad_cos_near_0(r, low);
    return x == 0 ? x : gpuad_change_sign_f64((k & 1 ? c : s) / (k & 1 ? s : c), k & 1);
}

// A float is reduced in double, and the rest is small enough to be a float.
GPUAD_INLINE float gpuad_reduce_angle_f32(float x, uint32_t *quadrant) {
    const double rounded = (double)x * 0x1.45f306dc9c883p-1 + GPUAD_ROUND_F64, k = rounded - GPUAD_ROUND_F64;
    *quadrant = (uint32_t)gpuad_bits_f64(rounded);
    return (float)(((double)x - k * 0x1.921fb544p+0) - k * 0x1.0b4611a626331p-34);
}
GPUAD_INLINE float gpuad_sin_near_0_f32(float r) {
    const float z = r * r;
    float q = -0x1.995d9cp-13f;
    q = GPUAD_FMA_F32(q, z, 0x1.110798p-7f);
    q = GPUAD_FMA_F32(q, z, -0x1.555546p-3f);
    return GPUAD_FMA_F32(r * z, q, r);
}
GPUAD_INLINE float gpuad_cos_near_0_f32(float r) {
    const float z = r * r, half = 0.5f * z, one = 1.0f - half;
    float q = 0x1.9a6280p-16f;
    q = GPUAD_FMA_F32(q, z, -0x1.6c0e0ep-10f);
    q = GPUAD_FMA_F32(q, z, 0x1.55554ep-5f);
    return one + GPUAD_FMA_F32(z * z, q, (1.0f - one) - half);
}
GPUAD_INLINE float gpuad_sin_f32(float x) {
    uint32_t k;
    const float r = gpuad_reduce_angle_f32(x, &k), s = gpuad_sin_near_0_f32(r), c = gpuad_cos_near_0_f32(r);
    return x == 0 ? x : gpuad_change_sign_f32(k & 1 ? c : s, k >> 1 & 1);
}
GPUAD_INLINE float gpuad_cos_f32(float x) {
    uint32_t k;
    const float r = gpuad_reduce_angle_f32(x, &k), s = gpuad_sin_near_0_f32(r), c = gpuad_cos_near_0_f32(r);
    return gpuad_change_sign_f32(k & 1 ? s : c, (k + 1) >> 1 & 1);
}
GPUAD_INLINE float gpuad_tan_f32(float x) {
    uint32_t k;
    const float r = gpuad_reduce_angle_f32(x, &k), s = gpuad_sin_near_0_f32(r), c = gpuad_cos_near_0_f32(r);
    return x == 0 ? x : gpuad_change_sign_f32((k & 1 ? c : s) / (k & 1 ? s : c), k & 1);
}

// -- inverses -------------------------------------------------------------------------------------
// (f(t) - t) / t^3 for f = atan, |t| <= tan(pi/8), by t^2; and for f = asin, |t| <= 1/2.
GPUAD_INLINE double gpuad_atan_tail_f64(double z) {
    double q = -0x1.26b2529dc163ep-6;
    q = GPUAD_FMA_F64(q, z, 0x1.3875fbd3e15c3p-5);
    q = GPUAD_FMA_F64(q, z, -0x1.9d16a2faf87bdp-5);
    q = GPUAD_FMA_F64(q, z, 0x1.df1f99d54b0a9p-5);
    q = GPUAD_FMA_F64(q, z, -0x1.10ecf0f2edeafp-4);
    q = GPUAD_FMA_F64(q, z, 0x1.3b11375d9f28ep-4);
    q = GPUAD_FMA_F64(q, z, -0x1.745cfac10f381p-4);
    q = GPUAD_FMA_F64(q, z, 0x1.c71c70f91f629p-4);
    q = GPUAD_FMA_F64(q, z, -0x1.24924922e5d9ap-3);
    q = GPUAD_FMA_F64(q, z, 0x1.999999999632cp-3);
    return GPUAD_FMA_F64(q, z, -0x1.5555555555543p-2);
}
GPUAD_INLINE float gpuad_atan_tail_f32(float z) {
    float q = -0x1.f2ff72p-5f;
    q = GPUAD_FMA_F32(q, z, 0x1.b22936p-4f);
    q = GPUAD_FMA_F32(q, z, -0x1.23b9e4p-3f);
    q = GPUAD_FMA_F32(q, z, 0x1.9991e2p-3f);
    return GPUAD_FMA_F32(q, z, -0x1.55554ap-2f);
}
GPUAD_INLINE double gpuad_asin_tail_f64(double z) {
    double q = 0x1.04fbfaea54acfp-5;
    q = GPUAD_FMA_F64(q, z, -0x1.08486ecd26a0dp-6);
    q = GPUAD_FMA_F64(q, z, 0x1.3eca2118d3263p-6);
    q = GPUAD_FMA_F64(q, z, 0x1.add4469364f86p-8);
    q = GPUAD_FMA_F64(q, z, 0x1.8e7c20081bda7p-7);
    q = GPUAD_FMA_F64(q, z, 0x1.c70a9a74338a4p-7);
    q = GPUAD_FMA_F64(q, z, 0x1.1c6b1a106e97cp-6);
    q = GPUAD_FMA_F64(q, z, 0x1.6e8a044c273efp-6);
    q = GPUAD_FMA_F64(q, z, 0x1.f1c72b65a9ce4p-6);
    q = GPUAD_FMA_F64(q, z, 0x1.6db6db45b8c13p-5);
    q = GPUAD_FMA_F64(q, z, 0x1.3333333367dd1p-4);
    return GPUAD_FMA_F64(q, z, 0x1.55555555553e2p-3);
}
GPUAD_INLINE float gpuad_asin_tail_f32(float z) {
    float q = 0x1.598e44p-5f;
    q = GPUAD_FMA_F32(q, z, 0x1.8c153cp-6f);
    q = GPUAD_FMA_F32(q, z, 0x1.747d72p-5f);
    q = GPUAD_FMA_F32(q, z, 0x1.330218p-4f);
    return GPUAD_FMA_F32(q, z, 0x1.5555c6p-3f);
}

// PI_2, PI_4: the number, and what it lacks, as its two halves. SCALE: exponents at which sums and squares are safe.
#define GPUAD_INVERSES(T, N, S, PI_2, PI_2_LO, LARGE, SMALL, DOWN, UP) \
    /* atan(a / b) for 0 <= a <= b, b > 0: by (a - b) / (a + b) where the quotient is above tan(pi/8). */ \
    GPUAD_INLINE T gpuad_atan_below_1_##N(T a, T b, T *low) { \
        const int upper = a > (T)0.41421356237309503 * b; \
        const T t = a == b ? (T)0 : (upper ? a - b : a) / (upper ? a + b : b); \
        const T z = t * t, tail = t * z * gpuad_atan_tail_##N(z); \
        const T base = upper ? (T)PI_2 / 2 : (T)0, base_low = upper ? (T)PI_2_LO / 2 : (T)0; \
        const T sum = base + t; \
        *low = ((base - sum) + t) + (tail + base_low); \
        return sum; \
    } \
    GPUAD_INLINE T gpuad_atan_##N(T x) { \
        const T y = fabs##S(x); \
        const int above = y > 1; \
        T low; \
        const T r = gpuad_atan_below_1_##N(above ? (T)1 : y, above ? y : (T)1, &low); \
        const T q = above ? ((T)PI_2 - r) + ((T)PI_2_LO - low) : r + low; \
        return copysign##S(q, x); \
    } \
    GPUAD_INLINE T gpuad_atan2_##N(T y, T x) { \
        const T a = fabs##S(y), b = fabs##S(x); \
        const int swapped = a > b, unordered = a != a || b != b; \
        const T small = swapped ? b : a, large = swapped ? a : b; \
        const T scale = large > (T)LARGE ? (T)DOWN : large < (T)SMALL ? (T)UP : (T)1; \
        T low; /* equal ones may both be 0 or infinite */ \
        const T r = gpuad_atan_below_1_##N( \
            a == b ? (a == 0 ? (T)0 : (T)1) : small * scale, a == b ? (T)1 : large * scale, &low); \
        /* pi/2 - r and pi - r, of r or of pi/2 - r, as one sum */ \
        const int left = copysign##S(1, x) < 0; \
        const T from = swapped ? (T)PI_2 : left ? 2 * (T)PI_2 : (T)0; \
        const T from_low = swapped ? (T)PI_2_LO : left ? 2 * (T)PI_2_LO : (T)0; \
        const T way = swapped != left ? (T)-1 : (T)1; \
        const T q = (from + way * r) + (from_low + way * low); \
        return unordered ? x + y : copysign##S(q, y); \
    } \
    GPUAD_INLINE T gpuad_asin_##N(T x) { \
        const T y = fabs##S(x); \
        const int upper = y > (T)0.5; \
        const T z = upper ? (1 - y) * (T)0.5 : y * y, t = upper ? sqrt##S(z) : y; \
        const T tail = t * z * gpuad_asin_tail_##N(z); \
        const T q = upper ? (T)PI_2 - (2 * (t + tail) - (T)PI_2_LO) : t + tail; \
        return copysign##S(q, x); \
    } \
    GPUAD_INLINE T gpuad_acos_##N(T x) { \
        const T y = fabs##S(x); \
        const int upper = y > (T)0.5; \
        const T z = upper ? (1 - y) * (T)0.5 : y * y, t = upper ? sqrt##S(z) : x; \
        const T tail = t * z * gpuad_asin_tail_##N(z), twice = 2 * (t + tail); \
        const T far = x < 0 ? 2 * (T)PI_2 - (twice - 2 * (T)PI_2_LO) : twice; \
        return upper ? far : (T)PI_2 - (t - ((T)PI_2_LO - tail)); \
    } \
    /* The larger one is brought near 1, lest squares overflow or lose digits. */ \
    GPUAD_INLINE T gpuad_hypot_##N(T x, T y) { \
        const T a = fabs##S(x), b = fabs##S(y), large = a > b ? a : b; \
        const T scale = large > (T)LARGE ? (T)DOWN : large < (T)SMALL ? (T)UP : (T)1; \
        const T back = large > (T)LARGE ? (T)UP : large < (T)SMALL ? (T)DOWN : (T)1; \
        const T p = a * scale, q = b * scale, size = sqrt##S(p * p + q * q) * back; \
        return a == (T)INFINITY || b == (T)INFINITY ? (T)INFINITY : size; \
    }
GPUAD_INVERSES(float, f32, f, 0x1.921fb6p+0, -0x1.777a5cp-25, 0x1p60, 0x1p-40, 0x1p-70, 0x1p70)
GPUAD_INVERSES(double, f64, , 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, 0x1p500, 0x1p-400, 0x1p-600, 0x1p600)

// -- arguments of any size ------------------------------------------------------------------------
#define GPUAD_OF_ANY_ANGLE(T, N, S) \
    GPUAD_INLINE int gpuad_is_wide_##N(T x) { return fabs##S(x) > (T)(GPUAD_ANGLE / 4) && fabs##S(x) < (T)INFINITY; } \
    /* numpy.sinc: the product with pi is rounded. */ \
    GPUAD_INLINE T gpuad_sinc_##N(T x) { \
        const T y = (T)3.14159265358979323846 * x; \
        return x == 0 ? (T)1 : gpuad_sin_##N(y) / y; \
    } \
    GPUAD_INLINE T gpuad_sin_of_any_##N(T x) { return sin##S(x); } \
    GPUAD_INLINE T gpuad_cos_of_any_##N(T x) { return cos##S(x); } \
    GPUAD_INLINE T gpuad_tan_of_any_##N(T x) { return tan##S(x); } \
    GPUAD_INLINE T gpuad_sinc_of_any_##N(T x) { \
        const T y = (T)3.14159265358979323846 * x; \
        return x == 0 ? (T)1 : sin##S(y) / y; \
    }
GPUAD_OF_ANY_ANGLE(float, f32, f)
GPUAD_OF_ANY_ANGLE(double, f64, )

#endif

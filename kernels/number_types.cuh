// float16 and bfloat16 as they are stored, conversions between all dtypes, and the types that sums are
// taken in.
//
// A value of a stored type is a float that has been rounded to it: arithmetic is done in float. CUDA's
// own headers for the two types aren't needed, which saves most of the time that a kernel compiles.
#ifndef GPUAD_NUMBER_TYPES
#define GPUAD_NUMBER_TYPES

#include "complex.cuh"

namespace gpuad {

struct float16 {
    unsigned short bits;
};
struct bfloat16 {
    unsigned short bits;
};

#ifdef __CUDACC__
GPUAD_FUNCTION float value_of(float16 x) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
    return result;
}
GPUAD_FUNCTION void store(float16 &to, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x)); }
GPUAD_FUNCTION void store(float16 &to, double x) { asm("cvt.rn.f16.f64 %0, %1;" : "=h"(to.bits) : "d"(x)); }
GPUAD_FUNCTION unsigned bits_of(float x) { return __float_as_uint(x); }
GPUAD_FUNCTION float from_bits(unsigned x) { return __uint_as_float(x); }
#else
template <typename To, typename From>
GPUAD_FUNCTION To same_bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "");
    To result;
    __builtin_memcpy(&result, &x, sizeof(To));
    return result;
}
GPUAD_FUNCTION float value_of(float16 x) { return (float)same_bits<_Float16>(x.bits); }
GPUAD_FUNCTION void store(float16 &to, float x) { to.bits = same_bits<unsigned short>((_Float16)x); }
GPUAD_FUNCTION void store(float16 &to, double x) { to.bits = same_bits<unsigned short>((_Float16)x); }
GPUAD_FUNCTION unsigned bits_of(float x) { return same_bits<unsigned>(x); }
GPUAD_FUNCTION float from_bits(unsigned x) { return same_bits<float>(x); }
#endif

GPUAD_FUNCTION float value_of(bfloat16 x) { return from_bits((unsigned)x.bits << 16); }
// The upper half of a float, rounded to nearest, ties to even.
GPUAD_FUNCTION void store(bfloat16 &to, float x) {
    const unsigned bits = bits_of(x);
    to.bits = x != x ? 0x7fc0 : (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
GPUAD_FUNCTION void store(bfloat16 &to, double x) { store(to, (float)x); }

template <typename T>
GPUAD_FUNCTION T value_of(T x) {
    return x;
}
template <typename T>
GPUAD_FUNCTION void store(T &to, T x) {
    to = x;
}

// The float that is left when x is stored as T.
template <typename T, typename From>
GPUAD_FUNCTION float rounded(From x) {
    T stored;
    store(stored, x);
    return value_of(stored);
}

// NumPy's astype: of a complex number the real part, unless a truth value is asked for.
template <typename To, typename From>
struct Cast {
    static GPUAD_FUNCTION To of(From x) { return (To)x; }
};
template <typename To, typename From>
struct Cast<complex<To>, From> {
    static GPUAD_FUNCTION complex<To> of(From x) { return {(To)x, To(0)}; }
};
template <typename To, typename From>
struct Cast<To, complex<From>> {
    static GPUAD_FUNCTION To of(complex<From> x) { return (To)x.re; }
};
template <typename From>
struct Cast<bool, complex<From>> {
    static GPUAD_FUNCTION bool of(complex<From> x) { return (bool)x; }
};
template <typename To, typename From>
struct Cast<complex<To>, complex<From>> {
    static GPUAD_FUNCTION complex<To> of(complex<From> x) { return {(To)x.re, (To)x.im}; }
};
template <typename To, typename From>
GPUAD_FUNCTION To cast(From x) {
    return Cast<To, From>::of(x);
}

} // namespace gpuad

#endif

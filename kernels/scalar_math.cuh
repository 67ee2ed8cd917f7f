// Scalar functions that the generated kernels call where CUDA has none of its own.
//
// Every function gives what NumPy gives for the same input, NaN, infinities and signed zeros
// included. T is float or double; half-precision kernels compute in float.
//
// The file compiles as CUDA (nvcc, or NVRTC without any host header) and as plain C++, which is
// how the tests compare it with NumPy on a machine without a GPU.
#ifndef GPUAD_SCALAR_MATH
#define GPUAD_SCALAR_MATH

#ifdef __CUDACC__
#define GPUAD_FUNCTION static __device__ __forceinline__
#else
#include <math.h> // the C++ one: exp, log1p and sin take float and double
#ifndef __device__
#define __device__
#endif
#define GPUAD_FUNCTION static inline __device__
#endif

namespace gpuad {

// -1, 0 or 1; NaN stays NaN. Both zeros give +0.
template <typename T>
GPUAD_FUNCTION T sign(T x) {
    if (x > T(0)) return T(1);
    if (x < T(0)) return T(-1);
    return x == T(0) ? T(0) : x;
}

// sin(pi x) / (pi x), and 1 at 0.
template <typename T>
GPUAD_FUNCTION T sinc(T x) {
    const T pi_x = T(3.14159265358979323846) * x;
    return x == T(0) ? T(1) : sin(pi_x) / pi_x;
}

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

// 1 / (1 + exp(-x)). The exponential is always of a negative number, so it cannot overflow, and
// small values keep their digits. NaN takes the second branch and stays NaN.
template <typename T>
GPUAD_FUNCTION T sigmoid(T x) {
    if (x >= T(0)) return T(1) / (T(1) + exp(-x));
    const T e = exp(x);
    return e / (T(1) + e);
}

} // namespace gpuad

#endif

// How the fused kernels reach arrays: places in them, many entries at a time, and sums over threads.
//
// Kernels state how many of their blocks a multiprocessor shall hold at least, 1 or 2. Unasked, the compiler
// goes for more of them and spills a few registers (seen with CUDA 13.5, sm_80 and sm_100).
#ifndef GPUAD_MEMORY
#define GPUAD_MEMORY

#include "number_types.cuh"

namespace gpuad {

// --- places --------------------------------------------------------------------------------------
// Division by a number that is known before the launch: a product and a shift. The quotient of n below
// 2^31 (2^63) is (high half of n * multiplier + n) >> shift, where 2^shift >= divisor and multiplier is
// 2^32 (2^64) * (2^shift - divisor) / divisor + 1, rounded down (Granlund and Montgomery, "Division by
// invariant integers using multiplication", PLDI 1994).
template <typename Count>
struct Divider {
    Count multiplier, shift, divisor;
};
GPUAD_FUNCTION unsigned quotient(unsigned n, Divider<unsigned> by) {
    return (__umulhi(n, by.multiplier) + n) >> by.shift;
}
GPUAD_FUNCTION unsigned long long quotient(unsigned long long n, Divider<unsigned long long> by) {
    return (__umul64hi(n, by.multiplier) + n) >> by.shift;
}

// --- several entries at a time -------------------------------------------------------------------
// Entries that lie side by side, moved by one instruction where they have 16 bytes or fewer.
template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
    T v[N];
};

// Of fewer than N entries the first stands for those that aren't there; nothing is read of none.
template <int N, typename T>
GPUAD_FUNCTION Vector<T, N> load(const T *from, int count) {
    if (count >= N) return *(const Vector<T, N> *)from;
    Vector<T, N> result = {};
#pragma unroll
    for (int j = 0; j < N; ++j)
        if (count > 0) result.v[j] = from[j < count ? j : 0];
    return result;
}
template <int N, typename T, typename Index>
GPUAD_FUNCTION Vector<T, N> gather(const T *from, Index stride, int count) {
    Vector<T, N> result = {};
#pragma unroll
    for (int j = 0; j < N; ++j)
        if (count > 0) result.v[j] = from[j < count ? j * stride : 0];
    return result;
}
template <int N, typename T>
GPUAD_FUNCTION void save(T *to, const Vector<T, N> &x, int count) {
    if (count >= N) {
        *(Vector<T, N> *)to = x;
        return;
    }
#pragma unroll
    for (int j = 0; j < N; ++j)
        if (j < count) to[j] = x.v[j];
}

// --- over the threads of a block -----------------------------------------------------------------
struct Add {
    template <typename T>
    static GPUAD_FUNCTION T of(T x, T y) {
        return x + y;
    }
};
struct Maximum {
    template <typename T>
    static GPUAD_FUNCTION T of(T x, T y) {
        return maximum(x, y);
    }
};
struct Minimum {
    template <typename T>
    static GPUAD_FUNCTION T of(T x, T y) {
        return minimum(x, y);
    }
};

// What any entry is larger (smaller) than: where a fold of one kind or the other starts.
template <typename T>
struct Extreme {
    static GPUAD_FUNCTION T smallest() { return is_signed() ? T(T(1) << (8 * sizeof(T) - 1)) : T(0); }
    static GPUAD_FUNCTION T largest() { return is_signed() ? T(~smallest()) : T(-1); }
    static GPUAD_FUNCTION bool is_signed() { return T(-1) < T(0); }
};
template <>
struct Extreme<float> {
    static GPUAD_FUNCTION float smallest() { return -1.0f / 0.0f; }
    static GPUAD_FUNCTION float largest() { return 1.0f / 0.0f; }
};
template <>
struct Extreme<double> {
    static GPUAD_FUNCTION double smallest() { return -1.0 / 0.0; }
    static GPUAD_FUNCTION double largest() { return 1.0 / 0.0; }
};
template <typename T>
struct Extreme<complex<T>> {
    static GPUAD_FUNCTION complex<T> smallest() { return {Extreme<T>::smallest(), Extreme<T>::smallest()}; }
    static GPUAD_FUNCTION complex<T> largest() { return {Extreme<T>::largest(), Extreme<T>::largest()}; }
};

// Shared memory for what one thread holds.
struct alignas(16) Slot {
    char bytes[16];
};

template <typename T>
GPUAD_FUNCTION T from_lane(T x, int distance) {
    return __shfl_xor_sync(0xffffffffu, x, distance);
}
template <typename T>
GPUAD_FUNCTION complex<T> from_lane(complex<T> x, int distance) {
    return {from_lane(x.re, distance), from_lane(x.im, distance)};
}

// Of the threads with the same threadIdx.y, whose number is a power of two. All of them get it, and in
// whatever order they run it is made of the same additions. `shared` has a slot for each warp.
template <typename Operation, typename T>
GPUAD_FUNCTION T over_x(T x, Slot *shared) {
    for (int distance = (blockDim.x < 32 ? blockDim.x : 32) / 2; distance; distance /= 2)
        x = Operation::of(x, from_lane(x, distance));
    const int warps = blockDim.x / 32;
    if (warps > 1) {
        T *parts = (T *)shared;
        const int thread = threadIdx.y * blockDim.x + threadIdx.x;
        if (thread % 32 == 0) parts[thread / 32] = x;
        __syncthreads();
        x = parts[threadIdx.y * warps];
        for (int warp = 1; warp < warps; ++warp) x = Operation::of(x, parts[threadIdx.y * warps + warp]);
        __syncthreads();
    }
    return x;
}

// The sum over the threads with the same threadIdx.x, whose number is a power of two. The first of them
// gets it. `shared` has a slot for each thread.
template <typename T>
GPUAD_FUNCTION T over_y(T x, Slot *shared) {
    T *parts = (T *)shared + threadIdx.x;
    parts[threadIdx.y * blockDim.x] = x;
    __syncthreads();
    for (int half = blockDim.y / 2; half; half /= 2) {
        if (threadIdx.y < half)
            parts[threadIdx.y * blockDim.x] = parts[threadIdx.y * blockDim.x] + parts[(threadIdx.y + half) * blockDim.x];
        __syncthreads();
    }
    x = parts[0];
    __syncthreads();
    return x;
}

} // namespace gpuad

#endif

// What whole small programs are made of: the calls of their nests of loops, one after another, and matrix products.
// The generated source defines GPUAD_BLAS_INT, the whole numbers of the BLAS that it is given, and GPUAD_HEAD, the bytes
// of a Python object before the address of an array's entries.
#ifndef GPUAD_HOST_PROGRAM
#define GPUAD_HOST_PROGRAM

#include "host_math.h"
#include "host_kernel.h"

// -- the order of things ---------------------------------------------------------------------------
// A nest of loops gets the addresses that it works on.
typedef void (*gpuad_nest)(char **places);

// The frame of a call: the code and how long it is, inner memory, constants, how many arrays; then the arrays, which are
// Python objects, and the numbers, 16 bytes for each. The code is, for each nest: its number, how many places it has,
// and for each of these what it lies in (inner memory, constants, numbers, then arrays) and the bytes from there.
static void gpuad_run(const gpuad_slot *frame, const gpuad_nest *nests, int64_t most) {
    const int64_t *code = frame[0].p, *const end = code + frame[1].i;
    const int64_t arrays = frame[4].i;
    char *bases[arrays + 3], *places[most];
    bases[0] = frame[2].p;
    bases[1] = frame[3].p;
    bases[2] = (char *)(frame + 5 + arrays);
    for (int64_t k = 0; k < arrays; ++k) bases[3 + k] = *(char **)((char *)frame[5 + k].p + GPUAD_HEAD);
    while (code < end) {
        const gpuad_nest nest = nests[code[0]];
        const int64_t n = code[1];
        code += 2;
        for (int64_t k = 0; k < n; ++k, code += 2) places[k] = bases[code[0]] + code[1];
        nest(places);
    }
}

// -- indices -----------------------------------------------------------------------------------------
// The first index outside of its axis: that number, the axis, and how long it is; 0 if there was none.
static _Thread_local int64_t gpuad_outside[3];

const int64_t *gpuad_fault(void) { return gpuad_outside; }

static __attribute__((noinline, cold)) int64_t gpuad_note_outside(int64_t i, int64_t n, int64_t axis) {
    if (!gpuad_outside[2]) gpuad_outside[0] = i, gpuad_outside[1] = axis, gpuad_outside[2] = n;
    return 0;
}

// Where the index i of an axis with n entries is; some place in it if it isn't there at all.
static inline int64_t gpuad_place(int64_t i, int64_t n, int64_t axis) {
    const int64_t k = i < 0 ? i + n : i;
    return __builtin_expect((uint64_t)k < (uint64_t)n, 1) ? k : gpuad_note_outside(i, n, axis);
}

static int64_t gpuad_checked(const gpuad_slot *frame, const gpuad_nest *nests, int64_t most) {
    gpuad_outside[2] = 0;
    gpuad_run(frame, nests, most);
    return gpuad_outside[2];
}

// -- matrix products ---------------------------------------------------------------------------------
// Small ones: of m x k and k x n entries, with any strides, which are constants where these are called.
#ifdef __FP_FAST_FMA
#define GPUAD_FMA_f64(a, b, c) __builtin_fma(a, b, c)
#define GPUAD_FMA_f32(a, b, c) __builtin_fmaf(a, b, c)
#else
#define GPUAD_FMA_f64(a, b, c) ((a) * (b) + (c))
#define GPUAD_FMA_f32(a, b, c) ((a) * (b) + (c))
#endif

#define GPUAD_ALWAYS_INLINE static inline __attribute__((always_inline))

// Four rows of the result by W columns are kept in registers, so that an entry that is read is used more than once.
#define GPUAD_PRODUCTS(T, S, W) \
    GPUAD_ALWAYS_INLINE void gpuad_four_rows_##S( \
        int64_t k, int64_t width, const stored_##S *restrict x, const stored_##S *restrict y, stored_##S *restrict z, \
        int64_t x0, int64_t x1, int64_t y0, int64_t y1, int64_t z0, int64_t z1) { \
        T a[W] = {0}, b[W] = {0}, c[W] = {0}, d[W] = {0}; \
        for (int64_t l = 0; l < k; ++l) { \
            const stored_##S *const at = x + l * x1; \
            const T p = at[0], q = at[x0], r = at[2 * x0], s = at[3 * x0]; \
            _Pragma("omp simd") for (int64_t j = 0; j < width; ++j) { \
                const T t = y[l * y0 + j * y1]; \
                a[j] = GPUAD_FMA_##S(p, t, a[j]), b[j] = GPUAD_FMA_##S(q, t, b[j]); \
                c[j] = GPUAD_FMA_##S(r, t, c[j]), d[j] = GPUAD_FMA_##S(s, t, d[j]); \
            } \
        } \
        for (int64_t j = 0; j < width; ++j) { \
            z[j * z1] = a[j], z[z0 + j * z1] = b[j]; \
            z[2 * z0 + j * z1] = c[j], z[3 * z0 + j * z1] = d[j]; \
        } \
    } \
    GPUAD_ALWAYS_INLINE void gpuad_one_row_##S( \
        int64_t k, int64_t width, const stored_##S *restrict x, const stored_##S *restrict y, stored_##S *restrict z, \
        int64_t x1, int64_t y0, int64_t y1, int64_t z1) { \
        T a[W] = {0}; \
        for (int64_t l = 0; l < k; ++l) { \
            const T p = x[l * x1]; \
            _Pragma("omp simd") for (int64_t j = 0; j < width; ++j) a[j] = GPUAD_FMA_##S(p, y[l * y0 + j * y1], a[j]); \
        } \
        for (int64_t j = 0; j < width; ++j) z[j * z1] = a[j]; \
    } \
    GPUAD_ALWAYS_INLINE void gpuad_columns_##S( \
        int64_t m, int64_t k, int64_t width, const stored_##S *restrict x, const stored_##S *restrict y, \
        stored_##S *restrict z, int64_t x0, int64_t x1, int64_t y0, int64_t y1, int64_t z0, int64_t z1) { \
        int64_t i = 0; \
        for (; i + 4 <= m; i += 4) gpuad_four_rows_##S(k, width, x + i * x0, y, z + i * z0, x0, x1, y0, y1, z0, z1); \
        for (; i < m; ++i) gpuad_one_row_##S(k, width, x + i * x0, y, z + i * z0, x1, y0, y1, z1); \
    } \
    GPUAD_ALWAYS_INLINE void gpuad_rows_##S( \
        int64_t m, int64_t k, int64_t n, const stored_##S *restrict x, const stored_##S *restrict y, \
        stored_##S *restrict z, int64_t x0, int64_t x1, int64_t y0, int64_t y1, int64_t z0, int64_t z1) { \
        int64_t j = 0; \
        for (; j + W <= n; j += W) gpuad_columns_##S(m, k, W, x, y + j * y1, z + j * z1, x0, x1, y0, y1, z0, z1); \
        if (n % W) gpuad_columns_##S(m, k, n % W, x, y + j * y1, z + j * z1, x0, x1, y0, y1, z0, z1); \
    } \
    GPUAD_ALWAYS_INLINE void gpuad_dots_##S( \
        int64_t m, int64_t k, int64_t n, const stored_##S *restrict x, const stored_##S *restrict y, \
        stored_##S *restrict z, int64_t x0, int64_t x1, int64_t y0, int64_t y1, int64_t z0, int64_t z1) { \
        for (int64_t i = 0; i < m; ++i) \
            for (int64_t j = 0; j < n; ++j) { \
                T sum = 0; \
                _Pragma("omp simd reduction(+:sum)") for (int64_t l = 0; l < k; ++l) \
                    sum = GPUAD_FMA_##S(x[i * x0 + l * x1], y[l * y0 + j * y1], sum); \
                z[i * z0 + j * z1] = sum; \
            } \
    }
GPUAD_PRODUCTS(double, f64, 8)
GPUAD_PRODUCTS(float, f32, 16)

// Larger ones: those of the BLAS that NumPy uses, in its C interface.
#define GPUAD_GEMM(T, S) \
    typedef void (*gpuad_gemm_type_##S)( \
        int, int, int, GPUAD_BLAS_INT, GPUAD_BLAS_INT, GPUAD_BLAS_INT, T, const stored_##S *, GPUAD_BLAS_INT, \
        const stored_##S *, GPUAD_BLAS_INT, T, stored_##S *, GPUAD_BLAS_INT); \
    static gpuad_gemm_type_##S gpuad_gemm_##S; \
    GPUAD_ALWAYS_INLINE void gpuad_large_##S( \
        int order, int64_t m, int64_t k, int64_t n, const stored_##S *x, const stored_##S *y, stored_##S *z, \
        int flag_x, int64_t ld_x, int flag_y, int64_t ld_y, int64_t ld_z) { \
        gpuad_gemm_##S(order, flag_x, flag_y, m, n, k, 1, x, ld_x, y, ld_y, 0, z, ld_z); \
    }
GPUAD_GEMM(double, f64)
GPUAD_GEMM(float, f32)

void gpuad_set_blas(void *f64, void *f32) {
    gpuad_gemm_f64 = f64;
    gpuad_gemm_f32 = f32;
}

#endif

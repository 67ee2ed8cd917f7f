// What the generated kernels for the CPU are made of, beside the functions of host_math.h. What compilers have built in
// needs no header, which they would take as long to read as all of ours.
#ifndef GPUAD_HOST_KERNEL
#define GPUAD_HOST_KERNEL

#include <stdint.h>

// A call is an array of these: lengths, strides, pointers, numbers.
typedef union {
    int64_t i;
    uint64_t u;
    double d;
    void *p;
} gpuad_slot;

#define GPUAD_MIN(a, b) ((a) < (b) ? (a) : (b))

// A row is gone through in blocks of this many entries, and where loops hand values of a type on to one another in
// shorter ones. All that is handed on stays in the nearest cache then, and while some loops wait for memory others
// compute. Shorter still, a loop would end before its first result is there.
#define GPUAD_BLOCK 256
#define GPUAD_BLOCK_OF(type) GPUAD_MIN(GPUAD_BLOCK, 512 / (int64_t)sizeof(type))

// Sums of doubles: each place in a block has its own, over this many blocks, and then these are added up in pairs. A sum
// so has at most 16 + 8 roundings to a place, in the same order on every processor.
#define GPUAD_BLOCKS 16
#define GPUAD_ENDS_BLOCKS(end, block) ((end) % (GPUAD_BLOCKS * (block)) == 0)

// The sum of n lanes, which are cleared.
static double gpuad_sum_lanes(double *lanes, int64_t n) {
    int64_t left = n;
    while (left > 1) {
        const int64_t half = (left + 1) / 2;
#pragma omp simd
        for (int64_t i = 0; i < left - half; ++i) lanes[i] += lanes[i + half];
        left = half;
    }
    const double sum = n ? lanes[0] : 0.0;
    __builtin_memset(lanes, 0, (uint64_t)n * sizeof(double));
    return sum;
}

// Sums of blocks are added up with the error of each addition kept beside (Knuth's two-sum, TAOCP vol. 2, 4.2.2): so the
// error of a sum doesn't grow with its length.
#define GPUAD_ADD_BLOCK(sum, error, x) \
    do { \
        const __typeof__((sum) + (x)) gpuad_x = (x), gpuad_new = (sum) + gpuad_x, gpuad_part = gpuad_new - (sum); \
        (error) += ((sum) - (gpuad_new - gpuad_part)) + (gpuad_x - gpuad_part); \
        (sum) = gpuad_new; \
    } while (0)

// Where the sum is infinite, its error is NaN and means nothing.
#define GPUAD_TOTAL(sum, error) ((error) == (error) ? (sum) + (error) : (sum))

// What lies in arrays. Views of packed records may begin anywhere, and memory may be read as another type.
#define GPUAD_STORED(type, name) typedef type __attribute__((aligned(1), may_alias)) stored_##name
GPUAD_STORED(unsigned char, bool);
GPUAD_STORED(float, f32);
GPUAD_STORED(double, f64);
GPUAD_STORED(float _Complex, c64);
GPUAD_STORED(double _Complex, c128);
GPUAD_STORED(int8_t, i8);
GPUAD_STORED(int16_t, i16);
GPUAD_STORED(int32_t, i32);
GPUAD_STORED(int64_t, i64);
GPUAD_STORED(uint8_t, u8);
GPUAD_STORED(uint16_t, u16);
GPUAD_STORED(uint32_t, u32);
GPUAD_STORED(uint64_t, u64);

// float16 is a way to store: a value of it is a float, rounded.
#ifdef __FLT16_MAX__
GPUAD_STORED(_Float16, f16);
#define GPUAD_HALF(x) ((float)(_Float16)(x))
#endif

#endif

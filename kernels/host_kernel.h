// What the generated kernels for the CPU are made of, beside the functions of host_math.h.
#ifndef GPUAD_HOST_KERNEL
#define GPUAD_HOST_KERNEL

#include <stdint.h>
#include <stdlib.h>

// A call is an array of these: lengths, strides, pointers, numbers.
typedef union {
    int64_t i;
    uint64_t u;
    double d;
    void *p;
} gpuad_slot;

// Entries are added up in plain sums of this many, and those with the error of each addition kept beside
// (Knuth's two-sum, TAOCP vol. 2, 4.2.2): so the error of a sum doesn't grow with its length.
#define GPUAD_BLOCK 256

#define GPUAD_ADD_BLOCK(sum, error, x) \
    do { \
        const __typeof__((sum) + (x)) gpuad_new = (sum) + (x), gpuad_part = gpuad_new - (sum); \
        (error) += ((sum) - (gpuad_new - gpuad_part)) + ((x) - gpuad_part); \
        (sum) = gpuad_new; \
    } while (0)

// Where the sum is infinite, its error is NaN and means nothing.
#define GPUAD_TOTAL(sum, error) ((error) == (error) ? (sum) + (error) : (sum))

#define GPUAD_MIN(a, b) ((a) < (b) ? (a) : (b))

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

// Products of a long matrix x, of `rows` by `width` in C order, with a narrow one of COLUMNS columns: of entries of
// type ENTRY. What is read from memory is x, once; the narrow matrices are padded with zeros to vectors, and stay in
// the cache. Included once per library, with ENTRY and COLUMNS defined.

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef ENTRY vector __attribute__((vector_size(VECTOR_BYTES)));

enum {
    LANES = VECTOR_BYTES / sizeof(ENTRY),
    VECTORS = (COLUMNS + LANES - 1) / LANES,
    PADDED = VECTORS * LANES,
    // So many rows of x at a time: their sums, or their columns of the other matrix, are held in registers.
    BLOCK = (VECTORS > 2 ? 4 : 8) >> (VECTOR_BYTES < 64 && VECTORS > 1),
    // After so many terms a sum is added to that of the terms before, so that errors grow slowly.
    STRETCH = 512,
};

// How many entries a row of a padded matrix has.
int64_t padded(void) { return PADDED; }

static inline vector load(const ENTRY *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(ENTRY *to, vector v) { memcpy(to, &v, sizeof v); }

// out[rows, COLUMNS] = x @ w, with w[width, PADDED].
void times(const ENTRY *x, const ENTRY *w, ENTRY *out, int64_t rows, int64_t width) {
    int64_t i = 0;
    for (; i + BLOCK <= rows; i += BLOCK) {
        const ENTRY *const at = x + i * width;
        vector totals[BLOCK][VECTORS] = {{{0}}};
        for (int64_t first = 0; first < width; first += STRETCH) {
            const int64_t last = first + STRETCH < width ? first + STRETCH : width;
            vector sums[BLOCK][VECTORS] = {{{0}}};
            for (int64_t j = first; j < last; ++j)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; ++v) {
                    const vector column = load(w + j * PADDED + v * LANES);
#pragma GCC unroll 8
                    for (int r = 0; r < BLOCK; ++r) sums[r][v] += at[r * width + j] * column;
                }
            for (int r = 0; r < BLOCK; ++r)
                for (int v = 0; v < VECTORS; ++v) totals[r][v] += sums[r][v];
        }
        for (int r = 0; r < BLOCK; ++r) memcpy(out + (i + r) * COLUMNS, totals[r], COLUMNS * sizeof(ENTRY));
    }
    for (; i < rows; ++i) {
        vector totals[VECTORS] = {{0}};
        for (int64_t first = 0; first < width; first += STRETCH) {
            const int64_t last = first + STRETCH < width ? first + STRETCH : width;
            vector sums[VECTORS] = {{0}};
            for (int64_t j = first; j < last; ++j)
                for (int v = 0; v < VECTORS; ++v) sums[v] += x[i * width + j] * load(w + j * PADDED + v * LANES);
            for (int v = 0; v < VECTORS; ++v) totals[v] += sums[v];
        }
        memcpy(out + i * COLUMNS, totals, COLUMNS * sizeof(ENTRY));
    }
}

// out[width, PADDED] = x.T @ g, with g[rows, COLUMNS]; `some` has room for as much as `out`, which is zero at first.
void transposed_times(
    const ENTRY *x, const ENTRY *g, ENTRY *restrict some, ENTRY *restrict out, int64_t rows, int64_t width
) {
    for (int64_t first = 0; first < rows; first += STRETCH) {
        const int64_t last = first + STRETCH < rows ? first + STRETCH : rows;
        memset(some, 0, width * PADDED * sizeof(ENTRY));
        for (int64_t i = first; i < last; i += BLOCK) {
            vector columns[BLOCK][VECTORS] = {{{0}}};
            const int64_t count = last - i < BLOCK ? last - i : BLOCK;
            for (int r = 0; r < count; ++r) memcpy(columns[r], g + (i + r) * COLUMNS, COLUMNS * sizeof(ENTRY));
            const ENTRY *const at = x + i * width;
            if (count < BLOCK) {
                for (int64_t j = 0; j < width; ++j)
                    for (int v = 0; v < VECTORS; ++v) {
                        vector sum = load(some + j * PADDED + v * LANES);
                        for (int r = 0; r < count; ++r) sum += at[r * width + j] * columns[r][v];
                        store(some + j * PADDED + v * LANES, sum);
                    }
                continue;
            }
            for (int64_t j = 0; j < width; ++j)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; ++v) {
                    vector sum = load(some + j * PADDED + v * LANES);
#pragma GCC unroll 8
                    for (int r = 0; r < BLOCK; ++r) sum += at[r * width + j] * columns[r][v];
                    store(some + j * PADDED + v * LANES, sum);
                }
        }
        for (int64_t j = 0; j < width * PADDED; j += LANES) store(out + j, load(out + j) + load(some + j));
    }
}

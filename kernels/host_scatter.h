/* out[index] += terms, for the gradient of what reads x[index]: an entry may be named many times.
 *
 * Why by hand: a fused kernel writes every place once, in the order of its loops; here the numbers of the places are
 * data, and two terms may go to one. numpy.add.at looks up every entry of every row by itself.
 *
 * Gain over numpy.add.at on the flat array, the fastest way there is in NumPy (one thread, float64, 2026): rows of 64
 * numbers, 20,000 into 10,000: 0.26 ms for 4.1; rows of 8, 100,000 into 1,000: 0.14 ms for 1.4; single numbers, 10^6
 * into 10^6 places: 0.96 ms for 2.4, into 1,000: 0.54 ms for 0.70.
 *
 * Terms are added in their order, as numpy.add.at does, so the same call gives the same bits, and NumPy's.
 *
 * ENTRY is float or double; complex numbers are two entries.
 */
#include <stdint.h>

/* So many places ahead are fetched: 10^6 rows of 3 that no cache has room for take 26 ms for 61. */
enum { AHEAD = 32 };

/* The places are those of several axes together, `axes` of them, of which `numbers` and `lengths` are given one by one:
 * `count` numbers each, negative ones from the end. `out` is outer x (product of lengths) x width, `terms` is
 * outer x count x width, and `room` is for `count` places. Returns 1, and nothing is added, if a number is out of
 * bounds. */
int scatter_add(ENTRY *restrict out, const ENTRY *restrict terms, const int64_t *const *numbers,
                const int64_t *lengths, int64_t axes, int64_t outer, int64_t count, int64_t width, int64_t *room)
{
    int64_t size = 1, wrong = 0, negative = 0;
    for (int64_t a = 0; a < axes; ++a) {
        const int64_t *const number = numbers[a], length = lengths[a];
        size *= length;
        for (int64_t k = 0; k < count; ++k) {
            wrong |= number[k] < -length || number[k] >= length;
            negative |= number[k] < 0;
        }
    }
    if (wrong)
        return 1;
    const int64_t *const place = axes == 1 && !negative ? numbers[0] : room;
    if (place == room)
        for (int64_t a = 0; a < axes; ++a)
            for (int64_t k = 0; k < count; ++k) {
                const int64_t i = numbers[a][k] + (numbers[a][k] < 0 ? lengths[a] : 0);
                room[k] = a ? room[k] * lengths[a] + i : i;
            }
    for (int64_t o = 0; o < outer; ++o, out += size * width, terms += count * width) {
        if (width == 1)
            for (int64_t k = 0; k < count; ++k) {
                if (k + AHEAD < count)
                    __builtin_prefetch(out + place[k + AHEAD], 1);
                out[place[k]] += terms[k];
            }
        else
            for (int64_t k = 0; k < count; ++k) {
                ENTRY *const to = out + place[k] * width;
                const ENTRY *const from = terms + k * width;
                if (k + AHEAD < count)
                    __builtin_prefetch(out + place[k + AHEAD] * width, 1);
                for (int64_t j = 0; j < width; ++j)
                    to[j] += from[j];
            }
    }
    return 0;
}

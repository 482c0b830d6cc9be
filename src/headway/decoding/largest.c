/* The largest numbers of rows. headway/decoding/largest.py calls what is here. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Numbers that are looked at together. */
enum { LANES = 8, STREAMS = 4, CHUNK = STREAMS * LANES };
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Truths __attribute__((vector_size(4 * LANES)));

/* Puts one among the best, of which the worst goes; of equal ones the first stays before. */
static void put_in(float value, int64_t place, float *values, int64_t *places, int64_t count) {
    int64_t at = count - 1;
    for (; at > 0 && values[at - 1] < value; at--) {
        values[at] = values[at - 1];
        places[at] = places[at - 1];
    }
    values[at] = value;
    places[at] = place;
}

static void of_row(const float *x, int64_t width, int64_t count, float *values, int64_t *places) {
    for (int64_t i = 0; i < count; i++) values[i] = -INFINITY, places[i] = 0;
    int64_t i = 0;
    for (; i + CHUNK <= width; i += CHUNK) {
        Truths any = {0};
        for (int s = 0; s < STREAMS; s++) any |= *(const Lanes *)(x + i + s * LANES) > values[count - 1];
        int64_t found[LANES / 2];
        memcpy(found, &any, sizeof found);
        if (!(found[0] | found[1] | found[2] | found[3])) continue;
        for (int64_t j = i; j < i + CHUNK; j++)
            if (x[j] > values[count - 1]) put_in(x[j], j, values, places, count);
    }
    for (; i < width; i++)
        if (x[i] > values[count - 1]) put_in(x[i], i, values, places, count);
}

/* The `count` largest numbers of each row, best first, and their places; -inf at 0 where there are fewer. */
void largest(
    const float *x, int64_t rows, int64_t width, int64_t count, float *values, int64_t *places, int64_t threads
) {
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) of_row(x + r * width, width, count, values + r * count, places + r * count);
}

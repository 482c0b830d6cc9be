/* Products of rows with a matrix, y = x Wᵀ + b. A matrix lies output by output, as nn.Linear has it; the vectors of
   several rows lie one behind the other.

   With a few rows the time goes into reading the matrix, which is read once, as it lies. With more of them it goes
   into the sums: a panel of outputs is turned, input by input, and then each number of a row meets all of them. */

#include <stdint.h>

enum { LANES = 8, OUTPUTS = 4, ROWS = 3 };
/* Outputs of a panel, rows that meet it together, and from how many rows on it is worth its making. */
#ifdef __AVX512F__
enum { WIDE = 16, TOGETHER = 12 };
#else
enum { WIDE = LANES, TOGETHER = 6 };
#endif
enum { PANEL = 2 * LANES, SIDES = PANEL / WIDE, SEVERAL = 24 };
typedef float Wide __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float Sums __attribute__((vector_size(4 * OUTPUTS)));

/* A missing bias is NULL. */
typedef struct { const float *weight, *bias; int64_t inputs, outputs; } Linear;

#define INLINE static inline __attribute__((always_inline))

/* A value that stays in a register: GCC would rather read it from memory again for each use. */
#if defined __x86_64__ && defined __AVX__
#define HELD(value) __asm__("" : "+x"(value))
#else
#define HELD(value)
#endif

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE __builtin_shufflevector
#endif
#endif

INLINE Lanes lanes(const float *from) {
    Lanes value = *(const Lanes *)from;
    HELD(value);
    return value;
}

/* The sum of each of four. */
INLINE Sums totals(Lanes a, Lanes b, Lanes c, Lanes d) {
#ifdef SHUFFLE
    Lanes ab = SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
    Lanes cd = SHUFFLE(c, d, 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLE(c, d, 4, 5, 6, 7, 12, 13, 14, 15);
    Lanes acbd = SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) + SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    return SHUFFLE(acbd, acbd, 0, 4, 2, 6) + SHUFFLE(acbd, acbd, 1, 5, 3, 7);
#else
    Sums sums = {0};
    for (int i = 0; i < LANES; i++) sums += (Sums){a[i], b[i], c[i], d[i]};
    return sums;
#endif
}

/* Products of each of some rows x with four vectors, so far apart. How many rows is constant where this is called,
   so that sums stay in registers. Memory is read fastest in a few streams that lie in different pages. */
INLINE void products(const float *w, int64_t apart, const float *x, int64_t size, int rows, Sums *found) {
    Lanes sums[OUTPUTS][ROWS] = {0};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) {
        Lanes x0 = lanes(x + i), x1 = x0, x2 = x0;
        if (rows > 1) x1 = lanes(x + size + i);
        if (rows > 2) x2 = lanes(x + 2 * size + i);
        for (int s = 0; s < OUTPUTS; s++) {
            Lanes of_w = lanes(w + s * apart + i);
            sums[s][0] += of_w * x0;
            if (rows > 1) sums[s][1] += of_w * x1;
            if (rows > 2) sums[s][2] += of_w * x2;
        }
    }
    for (int r = 0; r < rows; r++) found[r] = totals(sums[0][r], sums[1][r], sums[2][r], sums[3][r]);
    for (; i < size; i++)
        for (int r = 0; r < rows; r++)
            for (int s = 0; s < OUTPUTS; s++) found[r][s] += w[s * apart + i] * x[r * size + i];
}

INLINE float dot(const float *a, const float *b, int64_t size) {
    Sums found;
    products(a, 0, b, size, 1, &found);
    return found[0];
}

/* y = x Wᵀ for the outputs from `first` up to `last`, which are read once. */
static void multiply_few(const Linear *m, const float *x, float *y, int64_t rows, int64_t first, int64_t last) {
    const int64_t inputs = m->inputs, outputs = m->outputs, apart = (last - first) / OUTPUTS;
    for (int64_t output = first; output < first + apart; output++)
        for (int64_t r = 0; r < rows; r += ROWS) {
            const float *w = m->weight + output * inputs, *from = x + r * inputs;
            int64_t jump = apart * inputs, count = rows - r < ROWS ? rows - r : ROWS;
            Sums found[ROWS];
            if (count == 1) products(w, jump, from, inputs, 1, found);
            else if (count == 2) products(w, jump, from, inputs, 2, found);
            else products(w, jump, from, inputs, ROWS, found);
            for (int64_t i = 0; i < count; i++)
                for (int s = 0; s < OUTPUTS; s++) y[(r + i) * outputs + output + s * apart] = found[i][s];
        }
    for (int64_t output = first + apart * OUTPUTS; output < last; output++)
        for (int64_t r = 0; r < rows; r++)
            y[r * outputs + output] = dot(m->weight + output * inputs, x + r * inputs, inputs);
}

#ifdef SHUFFLE
/* Eight numbers of each of eight vectors, so far apart: number by number, so many places from each other. */
INLINE void turn(const float *from, int64_t apart, float *to, int64_t places) {
    Lanes a[LANES], b[LANES];
    for (int i = 0; i < LANES; i++) a[i] = *(const Lanes *)(from + i * apart);
    for (int i = 0; i < LANES; i += 2) {
        b[i] = SHUFFLE(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        b[i + 1] = SHUFFLE(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < LANES; i++) {
        int one = i & ~2, two = i | 2;
        a[i] = i & 2 ? SHUFFLE(b[one], b[two], 2, 3, 10, 11, 6, 7, 14, 15)
                     : SHUFFLE(b[one], b[two], 0, 1, 8, 9, 4, 5, 12, 13);
    }
    for (int i = 0; i < LANES / 2; i++) {
        *(Lanes *)(to + i * places) = SHUFFLE(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(Lanes *)(to + (i + 4) * places) = SHUFFLE(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Some rows with a panel, which lies input by input. */
INLINE void meet_panel(const float *panel, const float *x, float *y, int64_t inputs, int64_t outputs) {
    Wide sums[TOGETHER][SIDES] = {0};
    for (int64_t i = 0; i < inputs; i++)
        for (int r = 0; r < TOGETHER; r++)
            for (int side = 0; side < SIDES; side++)
                sums[r][side] += *(const Wide *)(panel + i * PANEL + side * WIDE) * x[r * inputs + i];
    for (int r = 0; r < TOGETHER; r++)
        for (int side = 0; side < SIDES; side++) *(Wide *)(y + r * outputs + side * WIDE) = sums[r][side];
}

/* The same as `multiply_few`, panel by panel; returns the first output that none holds. `panel` is room for one. */
static int64_t multiply_panels(
    const Linear *m, const float *x, float *y, int64_t rows, int64_t first, int64_t last, float *panel
) {
    for (; first + PANEL <= last; first += PANEL) {
        const float *w = m->weight + first * m->inputs;
        int64_t i = 0;
        for (; i + LANES <= m->inputs; i += LANES)
            for (int side = 0; side < PANEL; side += LANES)
                turn(w + side * m->inputs + i, m->inputs, panel + i * PANEL + side, PANEL);
        for (; i < m->inputs; i++)
            for (int output = 0; output < PANEL; output++) panel[i * PANEL + output] = w[output * m->inputs + i];
        for (int64_t r = 0; r < rows; r += TOGETHER) {
            int64_t from = r + TOGETHER <= rows ? r : rows - TOGETHER; /* the last ones meet some rows again */
            meet_panel(panel, x + from * m->inputs, y + from * m->outputs + first, m->inputs, m->outputs);
        }
    }
    return first;
}
#endif

/* y = x Wᵀ + b for the outputs from `first` up to `last`; `panel` is room for PANEL vectors of inputs. */
static void multiply_outputs(
    const Linear *m, const float *x, float *y, int64_t rows, int64_t first, int64_t last, float *panel
) {
    int64_t rest = first;
#ifdef SHUFFLE
    if (rows >= SEVERAL) rest = multiply_panels(m, x, y, rows, first, last, panel);
#else
    (void)panel;
#endif
    multiply_few(m, x, y, rows, rest, last);
    if (m->bias)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = first; i < last; i++) y[r * m->outputs + i] += m->bias[i];
}

/* One token more for a few rows: what a stack of decoder layers computes, in one pass over its matrices.

   With so few rows the time goes into reading matrices from memory and into calls. Here each thread fetches its
   share of a matrix once for all rows, and the layers follow without a call.
   headway/decoding/few_rows.py says the same structures in Python.

   A matrix lies output by output, as nn.Linear has it; the vectors of several rows lie one behind the other. */

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { LANES = 8, STREAMS = 4, ROWS = 3, PATIENCE = 10000 };
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

enum { RELU, GELU, GELU_TANH, SILU };

/* A missing matrix, norm or bias is NULL. */
typedef struct { const float *weight, *bias; int64_t inputs, outputs; } Linear;
typedef struct { const float *weight, *bias; } Norm;
typedef struct { Linear query, key, value, output; Norm query_norm, key_norm; } Attention;
typedef struct {
    Attention own, memory;
    Linear inner, gate, result;
    Norm own_norm, memory_norm, forward_norm;
} Layer;
typedef struct {
    const Layer *layers;
    Norm last;
    int64_t num_layers, d_model, d_ff, heads, kv_heads, d_key, d_value;
    int64_t activation, norm_first, centred;
    float epsilon;
} Stack;

/* Keys or values of a cache; the numbers are distances in memory, those of one head lie together. */
typedef struct { float *start; int64_t row, head, position; } Store;
typedef struct {
    Store keys, values, memory_keys, memory_values;
    const float *cos, *sin; /* of each row; NULL where nothing is turned */
    int64_t window;         /* how far back a token sees; negative: however far */
} Seen;
typedef struct {
    int64_t rows, threads, copies, memory_length;
    const int64_t *lengths;        /* of each row, without the new token */
    const int64_t *memory_lengths; /* of each row of the memory; NULL where all are memory_length */
} Rows;

/* Where threads wait for each other. Who waits stays awake: to be woken takes longer than a sub-layer, and far
   longer where other programs are at work. */
typedef struct { atomic_int arrived, turn; } Meeting;

/* One thread's part of the work, with memory of its own. */
typedef struct { int64_t id, of; Meeting *meeting; float *x, *normed, *scores; } Worker;

#define INLINE static inline __attribute__((always_inline))

INLINE float dot(const float *a, const float *b, int64_t size) {
    Lanes sums = {0};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) sums += *(const Lanes *)(a + i) * *(const Lanes *)(b + i);
    float sum = 0;
    for (int j = 0; j < LANES; j++) sum += sums[j];
    for (; i < size; i++) sum += a[i] * b[i];
    return sum;
}

/* Several outputs, so far apart from each other, for some rows. How many is constant where this is called, so that
   sums stay in registers. Memory is read fastest in a few streams that lie in different pages. */
INLINE void tile(const Linear *m, int64_t output, int64_t apart, const float *x, float *y, int streams, int rows) {
    const int64_t inputs = m->inputs, jump = apart * inputs;
    const float *w = m->weight + output * inputs;
    Lanes sums[STREAMS][ROWS] = {0};
    int64_t i = 0;
    for (; i + LANES <= inputs; i += LANES)
        for (int s = 0; s < streams; s++) {
            Lanes weights = *(const Lanes *)(w + s * jump + i);
            for (int r = 0; r < rows; r++) sums[s][r] += weights * *(const Lanes *)(x + r * inputs + i);
        }
    for (int s = 0; s < streams; s++)
        for (int r = 0; r < rows; r++) {
            float sum = m->bias ? m->bias[output + s * apart] : 0;
            for (int j = 0; j < LANES; j++) sum += sums[s][r][j];
            for (int64_t rest = i; rest < inputs; rest++) sum += w[s * jump + rest] * x[r * inputs + rest];
            y[r * m->outputs + output + s * apart] = sum;
        }
}

/* y = x Wᵀ + b for this worker's share of the outputs. */
static void multiply(const Linear *m, const float *x, float *y, int64_t rows, const Worker *worker) {
    int64_t first = m->outputs * worker->id / worker->of, last = m->outputs * (worker->id + 1) / worker->of;
    int64_t apart = (last - first) / STREAMS, rest = first + apart * STREAMS;
    for (int64_t output = first; output < first + apart; output++)
        for (int64_t r = 0; r < rows; r += ROWS) {
            const float *from = x + r * m->inputs;
            float *to = y + r * m->outputs;
            if (rows - r == 1) tile(m, output, apart, from, to, STREAMS, 1);
            else if (rows - r == 2) tile(m, output, apart, from, to, STREAMS, 2);
            else tile(m, output, apart, from, to, STREAMS, ROWS);
        }
    for (int64_t output = rest; output < last; output++)
        for (int64_t r = 0; r < rows; r++) tile(m, output, 0, x + r * m->inputs, y + r * m->outputs, 1, 1);
}

static void normalize(const Norm *norm, int64_t centred, float epsilon, const float *x, float *y, int64_t size) {
    float mean = 0, squares = 0;
    if (centred) {
        for (int64_t i = 0; i < size; i++) mean += x[i];
        mean /= size;
    }
    for (int64_t i = 0; i < size; i++) squares += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / sqrtf(squares / size + epsilon);
    for (int64_t i = 0; i < size; i++) y[i] = (x[i] - mean) * scale * norm->weight[i];
    if (norm->bias)
        for (int64_t i = 0; i < size; i++) y[i] += norm->bias[i];
}

static void normalize_rows(const Stack *s, const Norm *norm, const float *x, float *y, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        normalize(norm, s->centred, s->epsilon, x + r * s->d_model, y + r * s->d_model, s->d_model);
}

/* What a sub-layer reads: norm(x) where the norm comes first. */
static const float *enter(const Stack *s, const Norm *norm, const Worker *worker, int64_t rows) {
    if (!s->norm_first || !norm->weight) return worker->x;
    normalize_rows(s, norm, worker->x, worker->normed, rows);
    return worker->normed;
}

/* Adds what a sub-layer found; the norm follows where it does not come first. */
static void leave(const Stack *s, const Norm *norm, const Worker *worker, const float *found, int64_t rows) {
    for (int64_t i = 0; i < rows * s->d_model; i++) worker->x[i] += found[i];
    if (!s->norm_first) normalize_rows(s, norm, worker->x, worker->x, rows);
}

/* Norm of a head and turn by its position: pairs are (i, i + size / 2). */
static void prepare(const Stack *s, const Norm *norm, const Seen *seen, int64_t row, float *head) {
    int64_t half = s->d_key / 2;
    if (norm->weight) normalize(norm, 0, s->epsilon, head, head, s->d_key);
    if (!seen->cos) return;
    for (int64_t i = 0; i < half; i++) {
        float a = head[i], b = head[half + i], cos = seen->cos[row * half + i], sin = seen->sin[row * half + i];
        head[i] = a * cos - b * sin;
        head[half + i] = b * cos + a * sin;
    }
}

/* softmax(q kᵀ / √d_key) v over the positions from `first` up to `last`. */
static void attend(
    const Stack *s, const float *query, const float *keys, int64_t key_step, const float *values,
    int64_t value_step, int64_t first, int64_t last, float *scores, float *out
) {
    float scale = 1 / sqrtf((float)s->d_key), largest = -INFINITY, sum = 0;
    for (int64_t i = first; i < last; i++) {
        scores[i] = scale * dot(query, keys + i * key_step, s->d_key);
        largest = fmaxf(largest, scores[i]);
    }
    memset(out, 0, sizeof(float) * s->d_value);
    for (int64_t i = first; i < last; i++) {
        float weight = expf(scores[i] - largest);
        sum += weight;
        for (int64_t j = 0; j < s->d_value; j++) out[j] += weight * values[i * value_step + j];
    }
    for (int64_t j = 0; j < s->d_value; j++) out[j] /= sum;
}

static float activate(int64_t kind, float x) {
    switch (kind) {
        case RELU: return x > 0 ? x : 0;
        case GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
        case GELU_TANH: return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
        default: return x / (1 + expf(-x));
    }
}

/* What all threads read that one has written: each is filled again only after they have met twice. */
typedef struct { float *query, *key, *value, *heads, *inner, *gate, *found; } Shared;

static void meet(const Worker *worker) {
    Meeting *m = worker->meeting;
    int turn = atomic_load(&m->turn);
    if (atomic_fetch_add(&m->arrived, 1) == worker->of - 1) {
        atomic_store(&m->arrived, 0);
        atomic_store(&m->turn, turn + 1);
    } else
        for (int64_t looks = 0; atomic_load(&m->turn) == turn; looks++)
            if (looks >= PATIENCE) sched_yield();
}

static void look_at_self(
    const Stack *s, const Layer *layer, const Seen *seen, const Rows *rows, const Shared *b, const Worker *worker
) {
    const float *x = enter(s, &layer->own_norm, worker, rows->rows);
    multiply(&layer->own.query, x, b->query, rows->rows, worker);
    multiply(&layer->own.key, x, b->key, rows->rows, worker);
    multiply(&layer->own.value, x, b->value, rows->rows, worker);
    meet(worker);
    int64_t group = s->heads / s->kv_heads;
    for (int64_t item = worker->id; item < rows->rows * s->kv_heads; item += worker->of) {
        int64_t row = item / s->kv_heads, end = rows->lengths[row];
        const Store *k = &seen->keys, *v = &seen->values;
        float *keys = k->start + row * k->row + item % s->kv_heads * k->head;
        float *values = v->start + row * v->row + item % s->kv_heads * v->head;
        float *key = b->key + item * s->d_key;
        prepare(s, &layer->own.key_norm, seen, row, key);
        memcpy(keys + end * k->position, key, sizeof(float) * s->d_key);
        memcpy(values + end * v->position, b->value + item * s->d_value, sizeof(float) * s->d_value);
        int64_t first = seen->window < 0 || end < seen->window ? 0 : end - seen->window;
        for (int64_t head = item * group; head < (item + 1) * group; head++) {
            float *query = b->query + head * s->d_key, *out = b->heads + head * s->d_value;
            prepare(s, &layer->own.query_norm, seen, row, query);
            attend(s, query, keys, k->position, values, v->position, first, end + 1, worker->scores, out);
        }
    }
    meet(worker);
    multiply(&layer->own.output, b->heads, b->found, rows->rows, worker);
    meet(worker);
    leave(s, &layer->own_norm, worker, b->found, rows->rows);
}

static void look_at_memory(
    const Stack *s, const Layer *layer, const Seen *seen, const Rows *rows, const Shared *b, const Worker *worker
) {
    static const Seen unturned = {0};
    const float *x = enter(s, &layer->memory_norm, worker, rows->rows);
    multiply(&layer->memory.query, x, b->query, rows->rows, worker);
    meet(worker);
    for (int64_t item = worker->id; item < rows->rows * s->heads; item += worker->of) {
        int64_t source = item / s->heads / rows->copies, head = item % s->heads * s->kv_heads / s->heads;
        const Store *k = &seen->memory_keys, *v = &seen->memory_values;
        float *query = b->query + item * s->d_key;
        prepare(s, &layer->memory.query_norm, &unturned, 0, query);
        attend(
            s, query, k->start + source * k->row + head * k->head, k->position,
            v->start + source * v->row + head * v->head, v->position, 0,
            rows->memory_lengths ? rows->memory_lengths[source] : rows->memory_length, worker->scores,
            b->heads + item * s->d_value
        );
    }
    meet(worker);
    multiply(&layer->memory.output, b->heads, b->found, rows->rows, worker);
    meet(worker);
    leave(s, &layer->memory_norm, worker, b->found, rows->rows);
}

static void feed_forward(
    const Stack *s, const Layer *layer, const Rows *rows, const Shared *b, const Worker *worker
) {
    const float *x = enter(s, &layer->forward_norm, worker, rows->rows);
    multiply(&layer->inner, x, b->inner, rows->rows, worker);
    if (layer->gate.weight) multiply(&layer->gate, x, b->gate, rows->rows, worker);
    int64_t first = s->d_ff * worker->id / worker->of, last = s->d_ff * (worker->id + 1) / worker->of;
    for (int64_t r = 0; r < rows->rows; r++)
        for (int64_t i = r * s->d_ff + first; i < r * s->d_ff + last; i++)
            b->inner[i] = layer->gate.weight ? b->inner[i] * activate(s->activation, b->gate[i])
                                             : activate(s->activation, b->inner[i]);
    meet(worker);
    multiply(&layer->result, b->inner, b->found, rows->rows, worker);
    meet(worker);
    leave(s, &layer->forward_norm, worker, b->found, rows->rows);
}

static float *take(float **rest, int64_t size) {
    float *taken = *rest;
    *rest += size;
    return taken;
}

/* Appends one token to each row: x [rows, d_model] becomes the stack's output, and the cache has keys and
   values of the new tokens. Returns 0, or 1 if there is no memory. */
int step(const Stack *s, const Seen *seen, const Rows *rows, float *x) {
    int64_t width = rows->rows * s->d_model, longest = rows->memory_length;
    for (int64_t r = 0; r < rows->rows; r++)
        if (rows->lengths[r] >= longest) longest = rows->lengths[r] + 1;
    int64_t heads = rows->rows * s->heads * (s->d_key > s->d_value ? s->d_key : s->d_value);
    int64_t common = 4 * heads + 2 * rows->rows * s->d_ff + width, own = 2 * width + longest;
    float *memory = malloc(sizeof(float) * (common + rows->threads * own)), *rest = memory;
    if (!memory) return 1;
    Shared shared = {0};
    float **of_heads[] = {&shared.query, &shared.key, &shared.value, &shared.heads};
    for (int i = 0; i < 4; i++) *of_heads[i] = take(&rest, heads);
    shared.inner = take(&rest, rows->rows * s->d_ff);
    shared.gate = take(&rest, rows->rows * s->d_ff);
    shared.found = take(&rest, width);
    Meeting meeting = {0};
#pragma omp parallel num_threads(rows->threads)
    {
        Worker worker = {.id = 0, .of = 1, .meeting = &meeting};
#ifdef _OPENMP
        worker.id = omp_get_thread_num();
        worker.of = omp_get_num_threads();
#endif
        worker.x = rest + worker.id * own;
        worker.normed = worker.x + width;
        worker.scores = worker.normed + width;
        memcpy(worker.x, x, sizeof(float) * width);
        for (int64_t i = 0; i < s->num_layers; i++) {
            look_at_self(s, &s->layers[i], &seen[i], rows, &shared, &worker);
            if (seen[i].memory_keys.start) look_at_memory(s, &s->layers[i], &seen[i], rows, &shared, &worker);
            feed_forward(s, &s->layers[i], rows, &shared, &worker);
        }
        if (worker.id == 0) {
            if (s->last.weight) normalize_rows(s, &s->last, worker.x, x, rows->rows);
            else memcpy(x, worker.x, sizeof(float) * width);
        }
    }
    free(memory);
    return 0;
}

/* y [rows, outputs] = x Wᵀ + b. */
void product(const Linear *matrix, const float *x, float *y, int64_t rows, int64_t threads) {
#pragma omp parallel num_threads(threads)
    {
        Worker worker = {.id = 0, .of = 1};
#ifdef _OPENMP
        worker.id = omp_get_thread_num();
        worker.of = omp_get_num_threads();
#endif
        multiply(matrix, x, y, rows, &worker);
    }
}

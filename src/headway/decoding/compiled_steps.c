/* What a stack of layers computes: of an encoder's rows, or of the newest tokens of a decoder's, most often one each.

   In a decoder's steps most of the time goes into calls and, with a few rows, into reading matrices from memory.
   Here layers follow each other without a call. A few rows are computed by all threads together, of which each reads
   its share of a matrix once for all rows; of many rows each thread has its own and waits for nobody.
   headway/decoding/compiled_steps.py says the same structures in Python. */

#include "products.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* From so many rows a thread on, each thread has rows of its own, of which so many go through the layers together:
   what they need at a time fits into a processor's own cache. */
enum { OWN = 8, BLOCK = 96 };
/* So often a thread looks whether the others are there before it lets other programs work. */
enum { PATIENCE = 10000 };

enum { RELU, GELU, GELU_TANH, SILU };

/* A missing matrix, norm or bias is NULL. */
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
    Store keys, values, memory_keys, memory_values; /* where nothing is kept of a row, keys and values are NULL */
    const float *cos, *sin;                         /* of each token; NULL where nothing is turned */
    int64_t window;                                 /* how far a token sees; negative: however far */
} Seen;
typedef struct {
    int64_t rows, length, threads, copies, memory_length;
    const int64_t *before;         /* tokens of each row that are kept; NULL where nothing is, and all see all */
    const int64_t *real;           /* tokens of each row that are no padding; NULL where all are real, or kept */
    const int64_t *memory_lengths; /* of each row of the memory; NULL where all are memory_length */
} Rows;

/* Where threads wait for each other. Who waits stays awake: to be woken takes longer than a sub-layer, and far
   longer where other programs are at work. */
typedef struct { atomic_int arrived, turn; } Meeting;

/* What a worker computes in. From `query` on it is common to those who share rows, and each vector is filled again
   only after they have met twice. */
typedef struct { float *x, *normed, *scores, *panel, *query, *key, *value, *heads, *inner, *gate, *found; } Buffers;

/* One thread's part of the work: the tokens of some rows from `first` on, which it shares with `of` workers. */
typedef struct { int64_t id, of, first, tokens; Meeting *meeting; Buffers in; } Worker;

INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* y = x Wᵀ + b for this worker's share of the outputs. */
static void multiply(const Linear *m, const float *x, float *y, const Worker *worker) {
    int64_t first = m->outputs * worker->id / worker->of, last = m->outputs * (worker->id + 1) / worker->of;
    multiply_outputs(m, x, y, worker->tokens, first, last, worker->in.panel);
}

static void normalize(const Norm *norm, int64_t centred, float epsilon, const float *x, float *y, int64_t size) {
    float mean = 0, squares = 0;
    if (centred) {
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < size; i++) mean += x[i];
        mean /= size;
    }
#pragma omp simd reduction(+ : squares)
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
static const float *enter(const Stack *s, const Norm *norm, const Worker *worker) {
    if (!s->norm_first || !norm->weight) return worker->in.x;
    normalize_rows(s, norm, worker->in.x, worker->in.normed, worker->tokens);
    return worker->in.normed;
}

/* Adds what a sub-layer found; the norm follows where it does not come first. */
static void leave(const Stack *s, const Norm *norm, const Worker *worker) {
    float *x = worker->in.x;
    for (int64_t i = 0; i < worker->tokens * s->d_model; i++) x[i] += worker->in.found[i];
    if (!s->norm_first) normalize_rows(s, norm, x, x, worker->tokens);
}

/* Norm of a head and turn by its position: pairs are (i, i + size / 2). */
static void prepare(const Stack *s, const Norm *norm, const Seen *seen, int64_t token, float *head) {
    int64_t half = s->d_key / 2;
    if (norm->weight) normalize(norm, 0, s->epsilon, head, head, s->d_key);
    if (!seen->cos) return;
    for (int64_t i = 0; i < half; i++) {
        float a = head[i], b = head[half + i], cos = seen->cos[token * half + i], sin = seen->sin[token * half + i];
        head[i] = a * cos - b * sin;
        head[half + i] = b * cos + a * sin;
    }
}

/* Σ weights[i] · values[i] over the positions from `first` up to `last`, whose vectors are so far apart. */
INLINE void mix(
    const float *weights, const float *values, int64_t apart, int64_t first, int64_t last, int64_t size, float *out
) {
    int64_t j = 0;
    for (; j + OUTPUTS * LANES <= size; j += OUTPUTS * LANES) {
        Lanes sums[OUTPUTS] = {0};
        for (int64_t i = first; i < last; i++)
            for (int s = 0; s < OUTPUTS; s++) sums[s] += weights[i] * lanes(values + i * apart + j + s * LANES);
        for (int s = 0; s < OUTPUTS; s++) *(Lanes *)(out + j + s * LANES) = sums[s];
    }
    for (; j < size; j++) {
        out[j] = 0;
        for (int64_t i = first; i < last; i++) out[j] += weights[i] * values[i * apart + j];
    }
}

/* softmax(q kᵀ / √d_key) v over the positions from `first` up to `last`. */
static void attend(
    const Stack *s, const float *query, const float *keys, int64_t key_step, const float *values,
    int64_t value_step, int64_t first, int64_t last, float *scores, float *out
) {
    float scale = 1 / sqrtf((float)s->d_key), largest = -INFINITY, sum = 0;
    int64_t several = first;
    for (; several + OUTPUTS <= last; several += OUTPUTS) {
        Sums found;
        products(keys + several * key_step, key_step, query, s->d_key, 1, &found);
        for (int i = 0; i < OUTPUTS; i++) scores[several + i] = found[i];
    }
    for (int64_t i = several; i < last; i++) scores[i] = dot(query, keys + i * key_step, s->d_key);
    for (int64_t i = first; i < last; i++) largest = scores[i] > largest ? scores[i] : largest;
    for (int64_t i = first; i < last; i++) sum += scores[i] = expf(scale * (scores[i] - largest));
    mix(scores, values, value_step, first, last, s->d_value, out);
    for (int64_t j = 0; j < s->d_value; j++) out[j] /= sum;
}

static void activate(int64_t kind, float *x, int64_t size) {
    switch (kind) {
        case RELU: for (int64_t i = 0; i < size; i++) x[i] = x[i] > 0 ? x[i] : 0; break;
        case GELU: for (int64_t i = 0; i < size; i++) x[i] *= 0.5f * (1 + erff(x[i] * 0.70710678f)); break;
        case GELU_TANH:
            for (int64_t i = 0; i < size; i++)
                x[i] *= 0.5f * (1 + tanhf(0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
            break;
        default: for (int64_t i = 0; i < size; i++) x[i] /= 1 + expf(-x[i]);
    }
}

static void meet(const Worker *worker) {
    if (worker->of == 1) return;
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
    const Stack *s, const Layer *layer, const Seen *seen, const Rows *rows, const Worker *worker
) {
    const Buffers *b = &worker->in;
    const float *x = enter(s, &layer->own_norm, worker);
    multiply(&layer->own.query, x, b->query, worker);
    multiply(&layer->own.key, x, b->key, worker);
    multiply(&layer->own.value, x, b->value, worker);
    meet(worker);
    int64_t group = s->heads / s->kv_heads, length = rows->length, top = 0;
    Store k = {b->key, length * s->kv_heads * s->d_key, s->d_key, s->kv_heads * s->d_key};
    Store v = {b->value, length * s->kv_heads * s->d_value, s->d_value, s->kv_heads * s->d_value};
    if (rows->before) k = seen->keys, v = seen->values, top = worker->first;
    for (int64_t item = worker->id; item < worker->tokens * s->kv_heads; item += worker->of) {
        int64_t token = item / s->kv_heads, head = item % s->kv_heads, row = worker->first + token / length;
        float *key = b->key + item * s->d_key;
        prepare(s, &layer->own.key_norm, seen, worker->first * length + token, key);
        if (!rows->before) continue;
        int64_t place = rows->before[row] + token % length;
        float *kept_key = k.start + row * k.row + head * k.head + place * k.position;
        float *kept_value = v.start + row * v.row + head * v.head + place * v.position;
        memcpy(kept_key, key, sizeof(float) * s->d_key);
        memcpy(kept_value, b->value + item * s->d_value, sizeof(float) * s->d_value);
    }
    if (length > 1) meet(worker);
    for (int64_t item = worker->id; item < worker->tokens * s->kv_heads; item += worker->of) {
        int64_t token = item / s->kv_heads, kv_head = item % s->kv_heads, row = token / length;
        int64_t place = token % length + (rows->before ? rows->before[worker->first + row] : 0);
        int64_t last = rows->before ? place + 1 : rows->real ? rows->real[worker->first + row] : length;
        int64_t window = seen->window < 0 ? last + place : seen->window;
        last = smaller(last, place + window + 1);
        int64_t first = larger(0, smaller(place - window, last - 1)); /* padding too sees something */
        float *keys = k.start + (top + row) * k.row + kv_head * k.head;
        float *values = v.start + (top + row) * v.row + kv_head * v.head;
        for (int64_t head = item * group; head < (item + 1) * group; head++) {
            float *query = b->query + head * s->d_key, *out = b->heads + head * s->d_value;
            prepare(s, &layer->own.query_norm, seen, worker->first * length + token, query);
            attend(s, query, keys, k.position, values, v.position, first, last, b->scores, out);
        }
    }
    meet(worker);
    multiply(&layer->own.output, b->heads, b->found, worker);
    meet(worker);
    leave(s, &layer->own_norm, worker);
}

static void look_at_memory(
    const Stack *s, const Layer *layer, const Seen *seen, const Rows *rows, const Worker *worker
) {
    static const Seen unturned = {0};
    const Buffers *b = &worker->in;
    const float *x = enter(s, &layer->memory_norm, worker);
    multiply(&layer->memory.query, x, b->query, worker);
    meet(worker);
    for (int64_t item = worker->id; item < worker->tokens * s->heads; item += worker->of) {
        int64_t source = (worker->first + item / s->heads / rows->length) / rows->copies;
        int64_t head = item % s->heads * s->kv_heads / s->heads;
        const Store *k = &seen->memory_keys, *v = &seen->memory_values;
        float *query = b->query + item * s->d_key;
        prepare(s, &layer->memory.query_norm, &unturned, 0, query);
        attend(
            s, query, k->start + source * k->row + head * k->head, k->position,
            v->start + source * v->row + head * v->head, v->position, 0,
            rows->memory_lengths ? rows->memory_lengths[source] : rows->memory_length, b->scores,
            b->heads + item * s->d_value
        );
    }
    meet(worker);
    multiply(&layer->memory.output, b->heads, b->found, worker);
    meet(worker);
    leave(s, &layer->memory_norm, worker);
}

static void feed_forward(const Stack *s, const Layer *layer, const Worker *worker) {
    const Buffers *b = &worker->in;
    const float *x = enter(s, &layer->forward_norm, worker);
    multiply(&layer->inner, x, b->inner, worker);
    if (layer->gate.weight) multiply(&layer->gate, x, b->gate, worker);
    int64_t first = s->d_ff * worker->id / worker->of, size = s->d_ff * (worker->id + 1) / worker->of - first;
    for (int64_t r = 0; r < worker->tokens; r++) {
        float *inner = b->inner + r * s->d_ff + first, *gate = b->gate + r * s->d_ff + first;
        activate(s->activation, layer->gate.weight ? gate : inner, size);
        if (layer->gate.weight)
            for (int64_t i = 0; i < size; i++) inner[i] *= gate[i];
    }
    meet(worker);
    multiply(&layer->result, b->inner, b->found, worker);
    meet(worker);
    leave(s, &layer->forward_norm, worker);
}

/* The worker's rows through all layers: x [rows, length, d_model] of all rows becomes the stack's output. */
static void work_through(const Stack *s, const Seen *seen, const Rows *rows, float *x, const Worker *worker) {
    float *mine = x + worker->first * rows->length * s->d_model;
    memcpy(worker->in.x, mine, sizeof(float) * worker->tokens * s->d_model);
    for (int64_t i = 0; i < s->num_layers; i++) {
        look_at_self(s, &s->layers[i], &seen[i], rows, worker);
        if (seen[i].memory_keys.start) look_at_memory(s, &s->layers[i], &seen[i], rows, worker);
        feed_forward(s, &s->layers[i], worker);
    }
    if (worker->id > 0) return;
    if (s->last.weight) normalize_rows(s, &s->last, worker->in.x, mine, worker->tokens);
    else memcpy(mine, worker->in.x, sizeof(float) * worker->tokens * s->d_model);
}

/* Room for so many numbers. */
static float *take(float **rest, int64_t size) {
    float *taken = *rest;
    *rest += size;
    return taken;
}

static Worker this_thread(Meeting *meeting) {
    Worker worker = {.id = 0, .of = 1, .meeting = meeting};
#ifdef _OPENMP
    worker.id = omp_get_thread_num();
    worker.of = omp_get_num_threads();
#endif
    return worker;
}

/* x [rows, length, d_model] becomes the stack's output, and what is kept of rows has keys and values of the new
   tokens. Returns 0, or 1 if there is no memory. */
int go(const Stack *s, const Seen *seen, const Rows *rows, float *x) {
    int64_t all = rows->rows, are_many = all >= OWN * rows->threads, longest = larger(rows->memory_length, rows->length);
    for (int64_t r = 0; rows->before && r < all; r++) longest = larger(longest, rows->before[r] + rows->length);
    int64_t block = larger(1, BLOCK / rows->length), tokens;
    if (are_many) block = smaller(block, (all - 1) / rows->threads + 1);
    block = smaller(block, all);
    tokens = block * rows->length;
    int64_t width = tokens * s->d_model, heads = s->heads * larger(s->d_key, s->d_value);
    int64_t panel = PANEL * larger(larger(s->d_model, s->d_ff), heads);
    int64_t own = 2 * width + panel + longest, common = width + tokens * (4 * heads + 2 * s->d_ff);
    float *memory = malloc(sizeof(float) * (own + common) * rows->threads);
    if (!memory) return 1;
    Meeting meeting = {0};
#pragma omp parallel num_threads(rows->threads)
    {
        Worker worker = this_thread(&meeting);
        Buffers *b = &worker.in;
        float *mine = memory + (own + common) * worker.id, *ours = (are_many ? mine : memory) + own;
        float **of_heads[] = {&b->query, &b->key, &b->value, &b->heads};
        b->x = take(&mine, width);
        b->normed = take(&mine, width);
        b->panel = take(&mine, panel);
        b->scores = take(&mine, longest);
        for (int i = 0; i < 4; i++) *of_heads[i] = take(&ours, tokens * heads);
        b->inner = take(&ours, tokens * s->d_ff);
        b->gate = take(&ours, tokens * s->d_ff);
        b->found = take(&ours, width);
        int64_t last = all;
        if (are_many) {
            worker.first = all * worker.id / worker.of;
            last = all * (worker.id + 1) / worker.of;
            worker.id = 0;
            worker.of = 1;
        }
        for (; worker.first < last; worker.first += block) {
            worker.tokens = smaller(block, last - worker.first) * rows->length;
            work_through(s, seen, rows, x, &worker);
        }
    }
    free(memory);
    return 0;
}

/* y [rows, outputs] = x Wᵀ + b. Returns 0, or 1 if there is no memory. */
int product(const Linear *matrix, const float *x, float *y, int64_t rows, int64_t threads) {
    int64_t size = PANEL * matrix->inputs;
    float *memory = malloc(sizeof(float) * size * threads);
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        Worker worker = this_thread(NULL);
        worker.tokens = rows;
        worker.in.panel = memory + size * worker.id;
        multiply(matrix, x, y, &worker);
    }
    free(memory);
    return 0;
}

#include <mm/model/decode.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { GRAIN = 16 }; // rows of weights that a worker's part is a multiple of: a cache line of the result

// What one worker has to itself.
typedef struct decode_worker {
    float *norm;    // rows x hidden
    float *rstd;    // rows x heads
    float *gate_up; // rows x 2 intermediate: its part of both, side by side
    float *scores;  // positions, rounded up to MM_LANES
    float *room;    // GEMM's
} decode_worker;

struct mm_decoder {
    const mm_model *model;
    int64_t positions;
    int64_t rows; // most that go together
    mm_arena arena;
    float *keys, *values; // layers x kv_heads x positions x head_dim
    float *x;             // rows x hidden: the residual
    float *mid;           // rows x hidden: after attention
    float *q;             // rows x heads * head_dim
    float *o;             // the same
    float *h;             // rows x intermediate
    float *logits;        // vocab
    decode_worker *workers;
    int worker_count;
};

static float *take(mm_arena *arena, int64_t rows, int64_t columns) {
    return mm_arena_take(arena, (size_t)rows * (size_t)columns, sizeof(float));
}

static void place_worker(const mm_decoder *d, decode_worker *worker, mm_arena *arena) {
    const mm_config *c = &d->model->config;
    *worker = (decode_worker){.norm = take(arena, d->rows, c->hidden),
                              .rstd = take(arena, d->rows, c->heads),
                              .gate_up = take(arena, d->rows, 2 * (int64_t)c->intermediate),
                              .scores = take(arena, 1, (d->positions + MM_LANES - 1) / MM_LANES * MM_LANES),
                              .room = take(arena, 1, (int64_t)mm_gemm_room(d->model->gemm))};
}

static void place(mm_decoder *d, mm_arena *arena) {
    const mm_config *c = &d->model->config;
    int64_t hd = c->head_dim, cached = (int64_t)c->layers * c->kv_heads * hd;
    d->keys = take(arena, d->positions, cached);
    d->values = take(arena, d->positions, cached);
    d->x = take(arena, d->rows, c->hidden);
    d->mid = take(arena, d->rows, c->hidden);
    d->q = take(arena, d->rows, c->heads * hd);
    d->o = take(arena, d->rows, c->heads * hd);
    d->h = take(arena, d->rows, c->intermediate);
    d->logits = take(arena, 1, c->vocab);
    for (int w = 0; w < d->worker_count; w++) place_worker(d, &d->workers[w], arena);
}

mm_status mm_decoder_open(const mm_model *model, int64_t positions, int workers, mm_decoder **out,
                          mm_error *error) {
    assert(positions >= 1 && positions <= model->positions && workers >= 1);
    mm_decoder *d = *out = calloc(1, sizeof *d);
    if (!d) return mm_trouble(error, "decoder: out of memory");
    *d = (mm_decoder){.model = model, .positions = positions, .worker_count = workers};
    d->rows = positions < MM_DECODE_ROWS ? positions : MM_DECODE_ROWS;
    d->workers = calloc((size_t)workers, sizeof *d->workers);
    mm_status status = d->workers ? MM_OK : mm_trouble(error, "decoder: out of memory");
    if (!status) {
        mm_arena measure = mm_arena_measure();
        place(d, &measure);
        status = mm_arena_open(&d->arena, measure.used, error);
    }
    if (status) {
        mm_decoder_close(d);
        *out = NULL;
        return status;
    }
    place(d, &d->arena);
    return MM_OK;
}

void mm_decoder_close(mm_decoder *d) {
    if (!d) return;
    mm_arena_close(&d->arena);
    free(d->workers);
    free(d);
}

// One worker's way through the model with `rows` ids at `position` onwards.
typedef struct decode_pass {
    mm_decoder *d;
    const mm_team *team;
    int worker;
    int64_t position, rows;
} decode_pass;

static const float *weight_at(const decode_pass *p, int index) {
    return p->d->model->weights + p->d->model->parameters.offsets[index];
}

static void slice(const decode_pass *p, int64_t n, int64_t grain, int64_t *begin, int64_t *end) {
    long first, last;
    mm_par_slice((long)n, (long)grain, p->worker, p->team->workers, &first, &last);
    *begin = first;
    *end = last;
}

// y[rows x out] = x[rows x in] w^T, with rows of y ldy apart.
static void linear(const decode_pass *p, float *y, int64_t ldy, const float *x, const float *w, int64_t out,
                   int64_t in) {
    const mm_model *m = p->d->model;
    if (out == 0) return;
    if (p->rows == 1)
        m->kernels->gemv->run(y, w, x, out, in);
    else
        mm_gemm_run(m->gemm, false, true, p->rows, out, in, 1, x, in, w, in, MM_GEMM_SET, y, ldy,
                    p->d->workers[p->worker].room);
}

// Each worker norms for itself: it costs less than waiting for the others.
static const float *norm_rows(const decode_pass *p, const float *x, int weights, int64_t rows) {
    const mm_model *m = p->d->model;
    decode_worker *own = &p->d->workers[p->worker];
    int64_t hidden = m->config.hidden;
    m->kernels->rmsnorm->forward(own->norm, hidden, x, hidden, weight_at(p, weights), own->rstd, rows, 1,
                                 hidden, (float)m->config.rms_norm_eps);
    return own->norm;
}

static void embed(const decode_pass *p, const int32_t *ids) {
    const mm_model *m = p->d->model;
    int64_t begin, end, hidden = m->config.hidden;
    slice(p, p->rows, 1, &begin, &end);
    m->kernels->embedding->forward(p->d->x + begin * hidden, weight_at(p, m->parameters.embedding),
                                   ids + begin, end - begin, hidden);
    mm_team_wait(p->team);
}

// Where a head's keys (or values) of this layer begin.
static float *cached(const decode_pass *p, float *cache, int layer, int kv_head) {
    const mm_config *c = &p->d->model->config;
    return cache + ((int64_t)layer * c->kv_heads + kv_head) * p->d->positions * c->head_dim;
}

// Norm and rope of one head's queries or keys, in place.
static void turn_head(const decode_pass *p, float *x, int64_t ld, int norm) {
    const mm_model *m = p->d->model;
    const mm_config *c = &m->config;
    int64_t table = p->position * c->head_dim / 2;
    if (norm >= 0)
        m->kernels->rmsnorm->forward(x, ld, x, ld, weight_at(p, norm), p->d->workers[p->worker].rstd, p->rows,
                                     1, c->head_dim, (float)c->rms_norm_eps);
    m->kernels->rope->forward(x, ld, p->rows, 1, c->head_dim, m->cosine + table, m->sine + table);
}

// One head's projection, which is a query's, a key's or a value's: `weights` and `bias` (-1: none) are those
// of all its kind, `head` its number among them.
static void project_head(const decode_pass *p, float *y, int64_t ld, const float *x, int weights, int bias,
                         int head) {
    const mm_model *m = p->d->model;
    int64_t hd = m->config.head_dim, hidden = m->config.hidden;
    linear(p, y, ld, x, weight_at(p, weights) + head * hd * hidden, hd, hidden);
    if (bias >= 0) m->kernels->bias->forward(y, ld, weight_at(p, bias) + head * hd, p->rows, hd);
}

// Queries to q, keys and values to the cache, cut by heads, so that who projects one may norm and turn it.
static void project(const decode_pass *p, int layer) {
    mm_decoder *d = p->d;
    const mm_config *c = &d->model->config;
    const mm_layer_parameters *l = &d->model->parameters.layers[layer];
    const float *x = norm_rows(p, d->x, l->input_norm, p->rows);
    int64_t begin, end, hd = c->head_dim;
    slice(p, c->heads + 2 * (int64_t)c->kv_heads, 1, &begin, &end);
    for (int i = (int)begin; i < end; i++) {
        int key = i - c->heads, value = key - c->kv_heads;
        if (key < 0) {
            float *q = d->q + i * hd;
            project_head(p, q, c->heads * hd, x, l->q, l->q_bias, i);
            turn_head(p, q, c->heads * hd, l->q_norm);
        } else if (value < 0) {
            float *k = cached(p, d->keys, layer, key) + p->position * hd;
            project_head(p, k, hd, x, l->k, l->k_bias, key);
            turn_head(p, k, hd, l->k_norm);
        } else {
            project_head(p, cached(p, d->values, layer, value) + p->position * hd, hd, x, l->v, l->v_bias,
                         value);
        }
    }
    mm_team_wait(p->team);
}

static void attend(const decode_pass *p, int layer) {
    mm_decoder *d = p->d;
    const mm_config *c = &d->model->config;
    int64_t begin, end, hd = c->head_dim, width = c->heads * hd;
    float scale = 1.0f / sqrtf((float)c->head_dim);
    slice(p, c->heads, 1, &begin, &end);
    for (int64_t head = begin; head < end; head++) {
        int kv_head = (int)head / (c->heads / c->kv_heads);
        const float *k = cached(p, d->keys, layer, kv_head), *v = cached(p, d->values, layer, kv_head);
        for (int64_t row = 0; row < p->rows; row++) {
            int64_t at = row * width + head * hd;
            d->model->kernels->attention_query->forward(d->o + at, d->q + at, k, v, p->position + row + 1,
                                                        c->head_dim, scale, d->workers[p->worker].scores);
        }
    }
    mm_team_wait(p->team);
}

// y = x w^T + bias + residual, on rows of the hidden size.
static void project_out(const decode_pass *p, float *y, const float *x, int weights, int bias, int64_t in,
                        const float *residual) {
    const mm_model *m = p->d->model;
    int64_t begin, end, hidden = m->config.hidden;
    slice(p, hidden, GRAIN, &begin, &end);
    linear(p, y + begin, hidden, x, weight_at(p, weights) + begin * in, end - begin, in);
    if (bias >= 0)
        m->kernels->bias->forward(y + begin, hidden, weight_at(p, bias) + begin, p->rows, end - begin);
    for (int64_t at = begin; at < p->rows * hidden; at += hidden)
        m->kernels->dropout->apply(y + at, y + at, residual + at, NULL, 0, 0, 1, end - begin);
    mm_team_wait(p->team);
}

static void feed_forward(const decode_pass *p, int layer) {
    mm_decoder *d = p->d;
    const mm_model *m = d->model;
    const mm_layer_parameters *l = &m->parameters.layers[layer];
    const float *x = norm_rows(p, d->mid, l->post_norm, p->rows);
    float *gate_up = d->workers[p->worker].gate_up;
    int64_t begin, end, hidden = m->config.hidden, width = m->config.intermediate;
    slice(p, width, GRAIN, &begin, &end);
    int64_t n = end - begin;
    linear(p, gate_up, 2 * n, x, weight_at(p, l->gate) + begin * hidden, n, hidden);
    linear(p, gate_up + n, 2 * n, x, weight_at(p, l->up) + begin * hidden, n, hidden);
    for (int64_t row = 0; row < p->rows; row++)
        m->kernels->swiglu->forward(d->h + row * width + begin, gate_up + row * 2 * n, 1, n);
    mm_team_wait(p->team);
}

static void run_layer(const decode_pass *p, int layer) {
    mm_decoder *d = p->d;
    const mm_config *c = &d->model->config;
    const mm_layer_parameters *l = &d->model->parameters.layers[layer];
    project(p, layer);
    attend(p, layer);
    project_out(p, d->mid, d->o, l->o, l->o_bias, (int64_t)c->heads * c->head_dim, d->x);
    feed_forward(p, layer);
    project_out(p, d->x, d->h, l->down, -1, c->intermediate, d->mid);
}

static void head(const decode_pass *p) {
    mm_decoder *d = p->d;
    const mm_model *m = d->model;
    int64_t begin, end, hidden = m->config.hidden;
    const float *x = norm_rows(p, d->x + (p->rows - 1) * hidden, m->parameters.final_norm, 1);
    slice(p, m->config.vocab, GRAIN, &begin, &end);
    m->kernels->gemv->run(d->logits + begin, weight_at(p, m->parameters.head) + begin * hidden, x,
                          end - begin, hidden);
    mm_team_wait(p->team);
}

const float *mm_decoder_run(mm_decoder *d, const mm_team *team, int worker, int64_t position,
                            const int32_t *ids, int64_t count) {
    assert(count >= 1 && position >= 0 && count <= d->positions - position &&
           team->workers <= d->worker_count);
    decode_pass p = {.d = d, .team = team, .worker = worker, .position = position};
    for (int64_t done = 0; done < count; done += p.rows, p.position += p.rows) {
        p.rows = count - done < d->rows ? count - done : d->rows;
        embed(&p, ids + done);
        for (int layer = 0; layer < d->model->config.layers; layer++) run_layer(&p, layer);
    }
    head(&p);
    return d->logits;
}

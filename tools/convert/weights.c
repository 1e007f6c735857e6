#include "weights.h"

#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A matrix of the .vit file: rows [first_row, first_row + rows) of one or two matrices in the
   checkpoint (two: each row is a row of the first, then one of the second), times scale and gamma. */
typedef struct matrix {
    const tensor *weight[2]; /* [..][cols]; [1] NULL: one alone; [0] NULL: the identity */
    const tensor *bias[2];   /* [..]; NULL: zeros */
    const tensor *gamma;     /* [rows]; NULL: ones */
    size_t first_row, rows, cols;
    size_t first_bias; /* where the bias begins in its tensor */
    float scale;
} matrix;

/* Rows from several tensors, one tensor after the other. */
typedef struct stack {
    const tensor *tensors[3]; /* NULL: zeros */
    size_t rows[3];
    size_t cols;
} stack;

static float row_factor(const matrix *x, size_t row) {
    float gamma = 1;
    if (x->gamma != NULL) tensor_read(x->gamma, row, 1, &gamma);
    return gamma * x->scale;
}

static void read_matrix_row(const void *source, size_t row, float *values) {
    const matrix *x = source;
    float factor = row_factor(x, row);
    if (x->weight[0] == NULL) {
        memset(values, 0, x->cols * sizeof(float));
        values[row] = factor;
    }
    for (int i = 0; i < 2 && x->weight[i] != NULL; i++, values += x->cols) {
        tensor_read(x->weight[i], (x->first_row + row) * x->cols, x->cols, values);
        for (size_t c = 0; c < x->cols; c++) values[c] *= factor;
    }
}

static float *read_biases(const matrix *x) {
    float *biases = allocate(x->rows, sizeof(float)), value;
    for (int i = 0; i < 2; i++) {
        if (x->bias[i] == NULL) continue;
        for (size_t row = 0; row < x->rows; row++) {
            tensor_read(x->bias[i], x->first_bias + row, 1, &value);
            biases[row] += value * row_factor(x, row);
        }
    }
    return biases;
}

static void read_stack_row(const void *source, size_t row, float *values) {
    const stack *x = source;
    int i = 0;
    while (row >= x->rows[i]) row -= x->rows[i++];
    if (x->tensors[i] != NULL) tensor_read(x->tensors[i], row * x->cols, x->cols, values);
    else memset(values, 0, x->cols * sizeof(float));
}

static void write_matrix(model_writer *w, const matrix *x) {
    if (w == NULL) return;
    float *biases = read_biases(x);
    const char *name = x->weight[0] != NULL ? x->weight[0]->name : "proj";
    model_writer_add(w, name, read_matrix_row, x, biases);
    free(biases);
}

static void write_stack(model_writer *w, const stack *x, const char *name) {
    if (w != NULL) model_writer_add(w, name, read_stack_row, x, NULL);
}

/* A bias that block 0 has has to be in all blocks. */
static const tensor *find_bias(const model *m, part p, int block, size_t rows) {
    if (block > 0 && layout_find_bias(m, p, 0, rows) != NULL)
        return layout_need_bias(m, p, block, rows);
    return block > 0 ? NULL : layout_find_bias(m, p, 0, rows);
}

static matrix find_matrix(const model *m, part p, int block, size_t rows, size_t cols) {
    matrix x = {{NULL, NULL}, {NULL, NULL}, NULL, 0, rows, cols, 0, 1};
    x.weight[0] = layout_need(m, p, block, (shape){2, {rows, cols}});
    x.bias[0] = find_bias(m, p, block, rows);
    return x;
}

/* A matrix whose output goes to the residual stream, with LayerScale folded in. */
static void write_branch(const model *m, model_writer *w, part p, part layer_scale, int block,
                         size_t cols) {
    size_t dim = (size_t)m->config.embed_dim;
    matrix x = {{NULL, NULL}, {NULL, NULL}, NULL, 0, dim, cols, 0, 1};
    if (m->layout->family != FAMILY_LUCIDRAINS || layout_has(m, p) || cols != dim)
        x = find_matrix(m, p, block, dim, cols); /* only there it may be missing, with one head */
    else if (w != NULL && block == 0)
        note("there is no to_out: attention's output is added as it is");
    shape gammas = {1, {dim}};
    if (layout_has(m, layer_scale)) x.gamma = layout_need(m, layer_scale, block, gammas);
    write_matrix(w, &x);
}

/* A LayerNorm of so many numbers. */
static void write_norm_of(const model *m, model_writer *w, part p, int block, size_t dim) {
    stack x = {{NULL}, {1, 1, 0}, dim};
    x.tensors[0] = layout_need(m, p, block, (shape){1, {dim}});
    x.tensors[1] = layout_need_bias(m, p, block, dim); /* a LayerNorm has one */
    write_stack(w, &x, x.tensors[0]->name);
}

static void write_norm(const model *m, model_writer *w, part p, int block) {
    write_norm_of(m, w, p, block, (size_t)m->config.embed_dim);
}

/* The part of q, k or v, the i-th, of one matrix, or its own. */
static matrix find_qkv(const model *m, int block, int i) {
    size_t dim = (size_t)m->config.embed_dim, inner = (size_t)m->inner;
    int fused = m->layout->names[PART_QKV][0] != NULL && !layout_has(m, PART_Q);
    matrix x = fused ? find_matrix(m, PART_QKV, block, 3 * inner, dim)
                     : find_matrix(m, (part)(PART_Q + i), block, inner, dim);
    x.first_row = x.first_bias = fused ? (size_t)i * inner : 0;
    x.rows = inner;
    return x;
}

static void check_qkv_bias(const model *m, const matrix *x) {
    if (m->qkv_bias == 1 && x->bias[0] == NULL)
        fail("%s: %s: its bias is missing", x->weight[0]->file, x->weight[0]->name);
    if (m->qkv_bias == 0 && x->bias[0] != NULL)
        fail("%s: %s: qkv_bias is false", x->bias[0]->file, x->bias[0]->name);
}

/* BEiT's: of q and v, in tensors of their own. */
static void find_bias_apart(const model *m, int block, int i, matrix *x) {
    if (x->bias[0] != NULL)
        fail("%s: %s: a bias beside q_bias and v_bias", x->bias[0]->file, x->bias[0]->name);
    if (i == 1) return;
    part p = i == 0 ? PART_Q_BIAS : PART_V_BIAS;
    x->bias[0] = layout_need(m, p, block, (shape){1, {x->rows}});
    x->first_bias = 0;
}

static void write_qkv(const model *m, model_writer *w, int block) {
    for (int i = 0; i < 3; i++) {
        matrix x = find_qkv(m, block, i);
        if (layout_biases_apart(m)) find_bias_apart(m, block, i, &x);
        if (!layout_biases_apart(m) || m->qkv_bias == 0) check_qkv_bias(m, &x);
        write_matrix(w, &x);
    }
}

static void write_block(const model *m, model_writer *w, int block) {
    const vit_config *c = &m->config;
    size_t dim = (size_t)c->embed_dim, hidden = (size_t)c->mlp_dim;
    size_t gates = c->act == VIT_ACT_SWIGLU ? 2 : 1;
    write_norm(m, w, PART_NORM1, block);
    write_qkv(m, w, block);
    for (int i = 0; c->qk_norm && i < 2; i++)
        write_norm_of(m, w, (part)(PART_Q_NORM + i), block, (size_t)c->head_dim);
    write_branch(m, w, PART_PROJ, PART_LAYER_SCALE1, block, (size_t)m->inner);
    write_norm(m, w, PART_NORM2, block);
    matrix fc1 = find_matrix(m, PART_FC1, block, gates * hidden, dim);
    write_matrix(w, &fc1);
    write_branch(m, w, PART_FC2, PART_LAYER_SCALE2, block, hidden);
}

static void write_patch_embed(const model *m, model_writer *w) {
    const vit_config *c = &m->config;
    size_t dim = (size_t)c->embed_dim, chans = (size_t)c->in_chans;
    size_t height = (size_t)c->patch_size[0], width = (size_t)c->patch_size[1];
    shape convolution = {4, {dim, chans, height, width}}, flat = {2, {dim, chans * height * width}};
    matrix x = {{NULL, NULL}, {NULL, NULL}, NULL, 0, dim, flat.sizes[1], 0, 1};
    x.weight[0] = layout_need(m, PART_PATCH_EMBED, 0, m->flat_patch_embed ? flat : convolution);
    x.bias[0] = layout_find_bias(m, PART_PATCH_EMBED, 0, dim);
    write_matrix(w, &x);
}

static void write_prefix_tokens(const model *m, model_writer *w) {
    static const part parts[3] = {PART_CLASS_TOKEN, PART_DIST_TOKEN, PART_REG_TOKEN};
    stack x = {{NULL}, {0}, (size_t)m->config.embed_dim};
    size_t left = (size_t)m->config.prefix_tokens;
    for (int i = 0; i < 3; i++) {
        if (!layout_has(m, parts[i])) continue;
        x.rows[i] = i < 2 ? 1 : left;
        x.tensors[i] = layout_need(m, parts[i], 0, (shape){3, {1, x.rows[i], x.cols}});
        left -= x.rows[i];
    }
    if (m->config.prefix_tokens > 0) write_stack(w, &x, "the tokens in front of the patches");
}

/* Vaswani et al. 2017, 3.5: sines and cosines alternate. Row 0 is the class token's. */
static void read_sincos1d_row(const void *source, size_t row, float *values) {
    const model *m = source;
    int dim = m->config.embed_dim;
    for (int i = 0; i < dim; i++) {
        double angle = (double)row / pow(10000, (double)(i / 2 * 2) / dim);
        values[i] = (float)(i % 2 == 0 ? sin(angle) : cos(angle));
    }
}

/* Half of a row: the sines, then the cosines of one coordinate. */
static void sincos_half(double position, int count, float *values) {
    for (int i = 0; i < count; i++) {
        double angle = position / pow(10000, (double)i / count);
        values[i] = (float)sin(angle);
        values[count + i] = (float)cos(angle);
    }
}

/* MAE: the column's half first. MoCo v3: the row's half first. Zeros for the prefix tokens. */
static void read_sincos2d_row(const void *source, size_t row, float *values) {
    const model *m = source;
    const vit_config *c = &m->config;
    size_t prefix = (size_t)c->prefix_tokens, across = (size_t)(c->img_size[1] / c->patch_size[1]);
    memset(values, 0, (size_t)c->embed_dim * sizeof(float));
    if (row < prefix) return;
    int rows_first = strcmp(m->pos_embed, "sincos2d-moco") == 0, quarter = c->embed_dim / 4;
    double x = (double)((row - prefix) % across), y = (double)((row - prefix) / across);
    sincos_half(rows_first ? y : x, quarter, values);
    sincos_half(rows_first ? x : y, quarter, values + 2 * quarter);
}

static void write_computed_positions(const model *m, model_writer *w) {
    int one = strcmp(m->pos_embed, "sincos1d") == 0;
    if (m->config.embed_dim % (one ? 2 : 4) != 0)
        fail("--pos-embed %s: embed_dim is not a multiple of %d", m->pos_embed, one ? 2 : 4);
    if (w != NULL)
        model_writer_add(w, m->pos_embed, one ? read_sincos1d_row : read_sincos2d_row, m, NULL);
}

/* Rows of prefix tokens that the checkpoint has, zeros for the others, and rows of patches: from the
   checkpoint, or resampled. */
typedef struct positions {
    const tensor *tensor;
    size_t prefix, zeros, dim;
    const float *resampled; /* NULL: as they are */
} positions;

static void read_position_row(const void *source, size_t row, float *values) {
    const positions *x = source;
    if (row >= x->prefix && row < x->prefix + x->zeros) {
        memset(values, 0, x->dim * sizeof(float));
        return;
    }
    if (row >= x->prefix) row -= x->zeros;
    if (row < x->prefix || x->resampled == NULL)
        tensor_read(x->tensor, row * x->dim, x->dim, values);
    else memcpy(values, x->resampled + (row - x->prefix) * x->dim, x->dim * sizeof(float));
}

/* The patches' positions for the model's grid, to be freed; NULL where the file keeps theirs. */
static float *resample(const model *m, const positions *x) {
    const vit_config *c = &m->config;
    const int size[2] = {c->img_size[0] / c->patch_size[0], c->img_size[1] / c->patch_size[1]};
    size_t count = (size_t)m->pos_grid[0] * (size_t)m->pos_grid[1] * x->dim;
    if (c->pos_size[0] > 0 || (m->pos_grid[0] == size[0] && m->pos_grid[1] == size[1])) return NULL;
    float *grid = allocate(count, sizeof(float));
    tensor_read(x->tensor, x->prefix * x->dim, count, grid);
    float *rows = model_resample(grid, m->pos_grid, size, c->embed_dim, c->pos_resample);
    free(grid);
    return rows;
}

static void write_position_rows(const model *m, model_writer *w, const tensor *t) {
    size_t prefix = (size_t)m->pos_prefix;
    positions x = {t, prefix, (size_t)m->config.prefix_tokens - prefix, (size_t)m->config.embed_dim,
                   NULL};
    if (w == NULL) return;
    float *resampled = resample(m, &x);
    x.resampled = resampled;
    model_writer_add(w, t->name, read_position_row, &x, NULL);
    free(resampled);
}

static void write_positions(const model *m, model_writer *w) {
    if (m->pos_embed != NULL) {
        write_computed_positions(m, w);
        return;
    }
    size_t rows = (size_t)layout_pos_rows(m), dim = (size_t)m->config.embed_dim;
    const tensor *t = layout_need(m, PART_POS_EMBED, 0, (shape){3, {1, rows, dim}});
    write_position_rows(m, w, t);
}

static matrix find_head(const model *m, part p) {
    const vit_config *c = &m->config;
    size_t cols = (size_t)(c->pre_logits > 0 ? c->pre_logits : c->embed_dim);
    if (c->pre_logits == 0 && c->head_tokens == 1 && c->head_avg) cols *= 2;
    return find_matrix(m, p, 0, (size_t)c->num_classes, cols);
}

/* Two heads whose logits are averaged become one head that reads both tokens, with half the weights. */
static void write_head(const model *m, model_writer *w) {
    matrix x = find_head(m, PART_HEAD);
    if (m->config.head_tokens == 2) {
        matrix other = find_head(m, PART_HEAD_DIST);
        x.weight[1] = other.weight[0];
        x.bias[1] = other.bias[0];
        x.scale = 0.5f;
    }
    write_matrix(w, &x);
}

static void read_text_row(const void *source, size_t row, float *values) {
    const texts *x = source;
    size_t width = (size_t)x->width;
    for (size_t i = 0; i < width; i++) values[i] = x->scale * x->rows[row * width + i];
}

/* The checkpoint's head projects, and the texts classify. */
static void write_texts(const model *m, model_writer *w) {
    const vit_config *c = &m->config;
    matrix x = find_matrix(m, PART_HEAD, 0, (size_t)c->pre_logits, (size_t)c->embed_dim);
    write_matrix(w, &x);
    if (w != NULL) model_writer_add(w, "the texts", read_text_row, &m->texts, NULL);
}

/* The layer in front of the head, and the head. */
static void write_classifier(const model *m, model_writer *w) {
    const vit_config *c = &m->config;
    if (m->texts.rows != NULL) {
        write_texts(m, w);
        return;
    }
    if (c->pre_logits > 0) {
        size_t width = (size_t)c->pre_logits, dim = (size_t)c->embed_dim;
        matrix x = find_matrix(m, PART_PRE_LOGITS, 0, width, dim);
        write_matrix(w, &x);
    }
    if (c->num_classes > 0) write_head(m, w);
}

void weights_write(const model *m, model_writer *w) {
    const vit_config *c = &m->config;
    write_patch_embed(m, w);
    write_prefix_tokens(m, w);
    write_positions(m, w);
    if (c->norm_pre) write_norm(m, w, PART_NORM_PRE, 0);
    for (int block = 0; block < c->depth; block++) write_block(m, w, block);
    if (c->final_norm != VIT_FINAL_NORM_NONE)
        write_norm(m, w, layout_has(m, PART_FC_NORM) ? PART_FC_NORM : PART_NORM, 0);
    write_classifier(m, w);
    size_t pixels = (size_t)(c->in_chans * c->patch_size[0] * c->patch_size[1]);
    if (c->patch_norm) write_norm_of(m, w, PART_PATCH_NORM, 0, pixels);
    if (c->embed_norm) write_norm(m, w, PART_EMBED_NORM, 0);
}

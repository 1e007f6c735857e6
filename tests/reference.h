/* A Vision Transformer written plainly in double, for any config: no padding, no tiles, no panels,
   one token after the other. The library is compared with it where golden data has no case. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "test_util.h"

/* The integers of a row for the blocks' matrices, 0 to this: 7 bits, or with int8x 8. */
static inline int reference_row_range(const vit_model *model) {
    return vit_model_dtype(model) == VIT_INT8X ? 254 : 127;
}

/* A row as the product of integers takes it: 0 to range, with a scale and a zero of its own. */
static inline void reference_quantize(double *x, int count, int range) {
    double low = 0, high = 0;
    for (int i = 0; i < count; i++) low = fmin(low, x[i]), high = fmax(high, x[i]);
    double scale = high > low ? (high - low) / range : 1, zero = nearbyint(-low / scale);
    for (int i = 0; i < count; i++)
        x[i] = scale * (fmin(range, fmax(0, nearbyint(x[i] / scale) + zero)) - zero);
}

/* Whether the products of a model of bf16 take rows of bf16 here. */
static inline int takes_bf16(vit__dtype dtype) {
#ifdef VIT__MULTIPLIES_BF16
    const vit__kernels *kernels = vit__kernels_for_dtype(vit__kernels_of(vit_best_isa()), VIT_BF16);
    return dtype == VIT__BF16 && kernels->operands[VIT__OPERAND_BF16].multiply != NULL;
#else
    (void)dtype;
    return 0;
#endif
}

/* A row as the product of bf16 takes it: 8 binary digits, halves to even. */
static inline void reference_round_bf16(double *x, int count) {
    for (int i = 0; i < count; i++) {
        int exponent;
        double digits = frexp(x[i], &exponent);
        x[i] = ldexp(nearbyint(ldexp(digits, 8)), exponent - 8);
    }
}

/* As reference_quantize, as the weights' place in such a product takes it, for keys and values: -range to range. */
static inline void reference_quantize_weights(double *x, int count, int stride, int range) {
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs(x[i * stride]));
    for (int i = 0; i < count && most > 0; i++)
        x[i * stride] = nearbyint(x[i * stride] / most * range) * most / range;
}

/* y [rows][outputs] = x [rows][inputs] times a matrix, plus bias. Returned, to be freed. */
static inline double *reference_linear(const vit_model *model, vit__role role, int block,
                                       const double *x, int rows) {
    vit__tensor t = vit__tensor_of(&model->config, role, block);
    const unsigned char *entry =
        vit__entry(model->data, vit__tensor_index(&model->config, role, block));
    const unsigned char *data = model->data + vit__u64(entry + 32);
    vit__dtype dtype = (vit__dtype)vit__u32(entry + 8);
    int outputs = t.rows * t.rows_repeat, inputs = t.cols * t.cols_repeat;
    double *y = (double *)allocate((size_t)rows * (size_t)outputs * sizeof(double));
    double *row = (double *)allocate((size_t)inputs * sizeof(double));
    for (int r = 0; r < rows; r++) {
        memcpy(row, x + r * inputs, (size_t)inputs * sizeof(double));
        if (dtype == VIT__INT8 && role >= VIT__Q && role <= VIT__FC2)
            reference_quantize(row, inputs, reference_row_range(model));
        if (takes_bf16(dtype) && role >= VIT__Q && role <= VIT__FC2)
            reference_round_bf16(row, inputs);
        for (int n = 0; n < outputs; n++) {
            double sum = (double)stored_bias(data, &t, dtype, n);
            for (int k = 0; k < inputs; k++) sum += row[k] * stored_weight(data, &t, dtype, n, k);
            y[r * outputs + n] = sum;
        }
    }
    free(row);
    return y;
}

/* LayerNorm of rows [rows][dim]; returned, to be freed. */
static inline double *reference_norm_of(const vit_model *model, vit__role role, int block,
                                        const double *x, int rows, int dim) {
    const float *weight = vit__tensor_data(model, role, block);
    const float *bias = weight + (dim + 15) / 16 * 16;
    double *y = (double *)allocate((size_t)rows * (size_t)dim * sizeof(double));
    for (int r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < dim; i++) mean += x[r * dim + i] / dim;
        for (int i = 0; i < dim; i++)
            variance += (x[r * dim + i] - mean) * (x[r * dim + i] - mean) / dim;
        double scale = 1 / sqrt(variance + (double)model->config.norm_eps);
        for (int i = 0; i < dim; i++)
            y[r * dim + i] = (x[r * dim + i] - mean) * scale * (double)weight[i] + (double)bias[i];
    }
    return y;
}

static inline double *reference_norm(const vit_model *model, vit__role role, int block,
                                     const double *x, int rows) {
    return reference_norm_of(model, role, block, x, rows, model->config.embed_dim);
}

/* In place, if the model has that norm. */
static inline void reference_norm_in_place(const vit_model *model, int has, vit__role role,
                                           int block, double *x, int rows, int dim) {
    if (!has) return;
    double *y = reference_norm_of(model, role, block, x, rows, dim);
    memcpy(x, y, (size_t)(rows * dim) * sizeof(double));
    free(y);
}

/* What a branch reads: x, normalised unless that follows it. To be freed. */
static inline double *reference_branch(const vit_model *model, vit__role role, int block,
                                       const double *x, int rows) {
    size_t count = (size_t)(rows * model->config.embed_dim);
    if (!model->config.post_norm) return reference_norm(model, role, block, x, rows);
    double *y = (double *)allocate(count * sizeof(double));
    memcpy(y, x, count * sizeof(double));
    return y;
}

/* One query of one head: out [head_dim]. q, k, v: [tokens][stride], at the head's first number. With
   integers, weights are multiples of 1/4095 of the largest. */
static inline void reference_attend(const double *q, const double *k, const double *v, int tokens,
                                    int head_dim, int stride, int integers, double *out) {
    double *weights = (double *)allocate((size_t)tokens * sizeof(double));
    double sum = 0, most = -1e300;
    for (int t = 0; t < tokens; t++) {
        double score = 0;
        for (int i = 0; i < head_dim; i++) score += q[i] * k[t * stride + i];
        weights[t] = score / sqrt(head_dim);
        most = fmax(most, weights[t]);
    }
    for (int t = 0; t < tokens; t++) {
        weights[t] = exp(weights[t] - most);
        if (integers) weights[t] = nearbyint(4095 * weights[t]);
        sum += weights[t];
    }
    for (int i = 0; i < head_dim; i++) {
        out[i] = 0;
        for (int t = 0; t < tokens; t++) out[i] += weights[t] / sum * v[t * stride + i];
    }
    free(weights);
}

/* x [tokens][embed_dim] += proj(attention(norm1(x))), or x = norm1(x + proj(attention(x))) */
static inline void reference_attention(const vit_model *model, int block, double *x, int tokens) {
    const vit_config *c = &model->config;
    int stride = c->num_heads * c->head_dim;
    double *rows = reference_branch(model, VIT__NORM1, block, x, tokens);
    double *q = reference_linear(model, VIT__Q, block, rows, tokens);
    double *k = reference_linear(model, VIT__K, block, rows, tokens);
    double *v = reference_linear(model, VIT__V, block, rows, tokens);
    double *y = (double *)allocate((size_t)tokens * (size_t)stride * sizeof(double));
    const vit_dtype dtype = vit_model_dtype(model);
    int integers = dtype == VIT_INT8 || dtype == VIT_INT8X, heads = tokens * c->num_heads;
    reference_norm_in_place(model, c->qk_norm, VIT__Q_NORM, block, q, heads, c->head_dim);
    reference_norm_in_place(model, c->qk_norm, VIT__K_NORM, block, k, heads, c->head_dim);
    for (int i = 0; integers && i < tokens * c->num_heads; i++) {
        reference_quantize(q + i * c->head_dim, c->head_dim, reference_row_range(model));
        reference_quantize_weights(k + i * c->head_dim, c->head_dim, 1,
                                   dtype == VIT_INT8 ? 63 : 127);
    }
    for (int i = 0; integers && i < stride; i++)
        reference_quantize_weights(v + i, tokens, stride, 127);
    for (int t = 0; t < tokens; t++) {
        for (int at = 0; at < stride; at += c->head_dim)
            reference_attend(q + t * stride + at, k + at, v + at, tokens, c->head_dim, stride,
                             integers, y + t * stride + at);
    }
    double *out = reference_linear(model, VIT__PROJ, block, y, tokens);
    for (int i = 0; i < tokens * c->embed_dim; i++) x[i] += out[i];
    reference_norm_in_place(model, c->post_norm, VIT__NORM1, block, x, tokens, c->embed_dim);
    free(rows), free(q), free(k), free(v), free(y), free(out);
}

static inline double reference_act(vit_act act, double x) {
    const double pi = 3.14159265358979323846;
    if (act == VIT_ACT_GELU) return x / 2 * (1 + erf(x / sqrt(2)));
    if (act == VIT_ACT_QUICK_GELU) return x / (1 + exp(-1.702 * x));
    if (act == VIT_ACT_SWIGLU) return x / (1 + exp(-x));
    if (act == VIT_ACT_RELU) return x < 0 ? 0 : x;
    return x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
}

/* [rows][mlp_dim] of fc1's outputs, in place: with SwiGLU from [rows][2][mlp_dim], the gate first. */
static inline void reference_hidden(const vit_config *c, double *hidden, int rows) {
    int gated = c->act == VIT_ACT_SWIGLU, dim = c->mlp_dim;
    for (int r = 0; r < rows; r++) {
        const double *in = hidden + r * dim * (1 + gated);
        for (int i = 0; i < dim; i++)
            hidden[r * dim + i] = reference_act(c->act, in[i]) * (gated ? in[dim + i] : 1);
    }
}

/* x [tokens][embed_dim] += fc2(act(fc1(norm2(x)))), or x = norm2(x + fc2(act(fc1(x)))) */
static inline void reference_mlp(const vit_model *model, int block, double *x, int tokens) {
    const vit_config *c = &model->config;
    double *rows = reference_branch(model, VIT__NORM2, block, x, tokens);
    double *hidden = reference_linear(model, VIT__FC1, block, rows, tokens);
    reference_hidden(c, hidden, tokens);
    double *out = reference_linear(model, VIT__FC2, block, hidden, tokens);
    for (int i = 0; i < tokens * c->embed_dim; i++) x[i] += out[i];
    reference_norm_in_place(model, c->post_norm, VIT__NORM2, block, x, tokens, c->embed_dim);
    free(rows), free(hidden), free(out);
}

/* The patches of pixels [in_chans][height][width]: rows [patches][in_chans * patch height * patch
   width]. To be freed. */
static inline double *reference_patches(const vit_config *c, const float *pixels) {
    int down = c->img_size[0] / c->patch_size[0], across = c->img_size[1] / c->patch_size[1];
    size_t size = (size_t)(c->in_chans * c->patch_size[0] * c->patch_size[1]);
    double *rows = (double *)allocate((size_t)(down * across) * size * sizeof(double)), *out = rows;
    for (int patch = 0; patch < down * across; patch++) {
        int top = patch / across * c->patch_size[0], left = patch % across * c->patch_size[1];
        for (int channel = 0; channel < c->in_chans; channel++) {
            for (int y = top; y < top + c->patch_size[0]; y++) {
                for (int x = left; x < left + c->patch_size[1]; x++)
                    *out++ = (double)pixels[(channel * c->img_size[0] + y) * c->img_size[1] + x];
            }
        }
    }
    return rows;
}

/* Tokens [prefix + patches][embed_dim] with their positions. To be freed. */
static inline double *reference_embed(const vit_model *model, const float *pixels, int *tokens) {
    const vit_config *c = &model->config;
    int dim = c->embed_dim, prefix = c->prefix_tokens;
    int patches = c->img_size[0] / c->patch_size[0] * (c->img_size[1] / c->patch_size[1]);
    int stride = (dim + 15) / 16 * 16;
    const float *token = vit__tensor_data(model, VIT__PREFIX_TOKENS, 0);
    const float *pos = vit__tensor_data(model, VIT__POS_EMBED, 0);
    double *rows = reference_patches(c, pixels);
    reference_norm_in_place(model, c->patch_norm, VIT__PATCH_NORM, 0, rows, patches,
                            c->in_chans * c->patch_size[0] * c->patch_size[1]);
    double *embedded = reference_linear(model, VIT__PATCH_EMBED, 0, rows, patches);
    reference_norm_in_place(model, c->embed_norm, VIT__EMBED_NORM, 0, embedded, patches, dim);
    *tokens = prefix + patches;
    double *x = (double *)allocate((size_t)(*tokens * dim) * sizeof(double));
    for (int t = 0; t < *tokens; t++) {
        for (int i = 0; i < dim; i++) {
            x[t * dim + i] =
                t < prefix ? (double)token[t * stride + i] : embedded[(t - prefix) * dim + i];
            x[t * dim + i] += (double)pos[t * stride + i];
        }
    }
    reference_norm_in_place(model, c->norm_pre, VIT__NORM_PRE, 0, x, *tokens, dim);
    free(rows), free(embedded);
    return x;
}

/* What the head reads, of rows x [tokens][embed_dim]: head_tokens rows, then the mean of the
   patches or of all. To be freed. */
static inline double *reference_pool(const vit_config *c, const double *x, int tokens) {
    int dim = c->embed_dim, kept = c->head_tokens * dim;
    int from = c->head_avg == 2 ? 0 : c->prefix_tokens;
    double *pooled = (double *)allocate((size_t)(kept + dim) * sizeof(double));
    for (int i = 0; i < kept; i++) pooled[i] = x[i];
    for (int i = 0; i < dim; i++) {
        pooled[kept + i] = 0;
        for (int t = from; t < tokens; t++) pooled[kept + i] += x[t * dim + i] / (tokens - from);
    }
    return pooled;
}

/* What the head reads, normalised before or after. To be freed. */
static inline double *reference_features(const vit_model *model, double *x, int tokens) {
    const vit_config *c = &model->config;
    int pooled_tokens = c->head_tokens + (c->head_avg > 0);
    reference_norm_in_place(model, c->final_norm == VIT_FINAL_NORM_TOKENS, VIT__NORM, 0, x, tokens,
                            c->embed_dim);
    double *pooled = reference_pool(c, x, tokens);
    reference_norm_in_place(model, c->final_norm == VIT_FINAL_NORM_POOLED, VIT__NORM, 0, pooled,
                            pooled_tokens, c->embed_dim);
    return pooled;
}

static inline void reference_pre_logits(const vit_config *c, double *x) {
    double sum = 0;
    for (int i = 0; i < c->pre_logits; i++) sum += x[i] * x[i];
    double length = sqrt(sum) > 1e-12 ? sqrt(sum) : 1e-12;
    for (int i = 0; i < c->pre_logits; i++) x[i] = c->pre_logits_l2 ? x[i] / length : tanh(x[i]);
}

/* Final norm, pooling, pre-logits and head; without a head what it would read. To be freed. */
static inline double *reference_head(const vit_model *model, double *x, int tokens) {
    const vit_config *c = &model->config;
    double *pooled = reference_features(model, x, tokens);
    if (c->num_classes == 0) return pooled;
    if (c->pre_logits > 0) {
        double *hidden = reference_linear(model, VIT__PRE_LOGITS, 0, pooled, 1);
        reference_pre_logits(c, hidden);
        free(pooled);
        pooled = hidden;
    }
    double *logits = reference_linear(model, VIT__HEAD, 0, pooled, 1);
    free(pooled);
    return logits;
}

/* pixels [in_chans][height][width] -> logits [vit_output_count] */
static inline void reference_forward(const vit_model *model, const float *pixels, float *logits) {
    int tokens = 0;
    double *x = reference_embed(model, pixels, &tokens);
    for (int block = 0; block < model->config.depth; block++) {
        reference_attention(model, block, x, tokens);
        reference_mlp(model, block, x, tokens);
    }
    double *result = reference_head(model, x, tokens);
    for (size_t i = 0; i < vit_output_count(model, NULL); i++) logits[i] = (float)result[i];
    free(x), free(result);
}

#endif

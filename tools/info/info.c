/* vit-info: shows what is in a .vit file. Exit status 1 if the file is damaged. */
#define VIT_STATIC
#define VIT_NO_THREADS
#define VIT_IMPLEMENTATION
#include "tools/plans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_config(const vit_config *c) {
    static const char *const acts[VIT_ACT_COUNT] = {"gelu", "gelu_tanh"};
    printf("architecture   %s\n", c->architecture);
    printf("img_size       %d x %d\n", c->img_size[0], c->img_size[1]);
    printf("patch_size     %d x %d, %d patches\n", c->patch_size[0], c->patch_size[1],
           vit__num_patches(c));
    printf("in_chans       %d\n", c->in_chans);
    printf("num_classes    %d\n", c->num_classes);
    printf("embed_dim      %d\n", c->embed_dim);
    printf("depth          %d\n", c->depth);
    printf("num_heads      %d, head_dim %d\n", c->num_heads, c->head_dim);
    printf("mlp_dim        %d, %s\n", c->mlp_dim, acts[c->act]);
    printf("prefix_tokens  %d\n", c->prefix_tokens);
    printf("norm_eps       %g\n", (double)c->norm_eps);
}

/* What the head reads, and what comes before it. */
static void print_head(const vit_config *c) {
    printf("head           ");
    if (c->head_tokens == 1) printf("token 0");
    if (c->head_tokens > 1) printf("tokens 0 to %d", c->head_tokens - 1);
    if (c->head_avg) printf("%sthe mean of the patch tokens", c->head_tokens > 0 ? " and " : "");
    printf(", %s", c->fc_norm ? "normalised after pooling" : "normalised before pooling");
    if (c->pre_logits > 0) printf(", pre_logits %d", c->pre_logits);
    printf("\n");
}

static void print_recipe(const vit_config *c) {
    static const char *const resizes[VIT_RESIZE_COUNT] = {"none", "short side to", "exactly to"};
    static const char *const interpolations[VIT_INTERPOLATION_COUNT] = {"bilinear", "bicubic"};
    static const char *const crops[VIT_CROP_COUNT] = {"torchvision", "floor"};
    const vit_preprocess_config *p = &c->preprocess;
    printf("resize         %s", resizes[p->resize]);
    if (p->resize != VIT_RESIZE_NONE)
        printf(" %d x %d, %s", p->resize_size[0], p->resize_size[1],
               interpolations[p->interpolation]);
    printf("\ncrop           %d x %d, %s\n", c->img_size[0], c->img_size[1], crops[p->crop]);
    printf("rescale        %.9g\nmean, std      ", (double)p->rescale);
    for (int i = 0; i < vit__min(c->in_chans, 4); i++)
        printf("%s%g, %g", i > 0 ? "; " : "", (double)p->mean[i], (double)p->std[i]);
    printf("\n");
}

static void print_labels(const vit_model *model) {
    const char *first = vit_model_label(model, 0);
    if (first == NULL) printf("labels         none\n");
    else
        printf("labels         %s, ..., %s\n", first,
               vit_model_label(model, model->config.num_classes - 1));
}

/* The dtype that a tensor is stored in. */
static vit_dtype dtype_at(const vit_model *model, int index) {
    const unsigned char *entry = vit__entry(model->data, index);
    return vit__dtype_of((vit__dtype)vit__u32(entry + 8), (int)vit__u32(entry + 24));
}

/* Weights and biases, without padding. */
static unsigned long long parameters_of(const vit__tensor *t) {
    unsigned long long rows = (unsigned long long)t->rows * (unsigned)t->rows_repeat;
    unsigned long long cols = (unsigned long long)t->cols * (unsigned)t->cols_repeat;
    return rows * cols + (t->order == VIT__PANELS ? rows : 0);
}

/* One line; returns whether the checksum is right. */
static int print_tensor(const vit_model *model, int index) {
    static const char *const roles[] = {
        "patch_embed", "prefix_tokens", "pos_embed", "norm1", "q",    "k",          "v",
        "proj",        "norm2",         "fc1",       "fc2",   "norm", "pre_logits", "head"};
    const unsigned char *entry = vit__entry(model->data, index);
    vit__tensor t = vit__tensor_at(&model->config, index);
    unsigned long long offset = vit__u64(entry + 32), size = vit__u64(entry + 40);
    uint32_t checksum = vit__u32(entry + 28);
    int right = vit__xxh32(model->data + offset, (size_t)size) == checksum;
    char name[32];
    if (t.role >= VIT__NORM1 && t.role <= VIT__FC2)
        snprintf(name, sizeof(name), "%d.%s", t.block, roles[t.role]);
    else snprintf(name, sizeof(name), "%s", roles[t.role]);
    printf("  %-14s %7d x %-7d %-5s %-7s %12llu %10llu  %08lx %s\n", name, t.rows * t.rows_repeat,
           t.cols * t.cols_repeat, vit_dtype_name(dtype_at(model, index)),
           t.order == VIT__PANELS ? "panels" : "rows", offset, size, (unsigned long)checksum,
           right ? "ok" : "DAMAGED");
    return right;
}

/* Returns whether every checksum is right. */
static int print_tensors(const vit_model *model) {
    int count = vit__tensor_count(&model->config), right = 1;
    printf("tensors        %d\n", count);
    printf("  %-14s %7s x %-7s %-13s %12s %10s  checksum\n", "", "rows", "cols", "", "offset",
           "bytes");
    for (int i = 0; i < count; i++) right &= print_tensor(model, i);
    return right;
}

/* The parameters by dtype, with the bits that each takes, including scales and padding. */
static void print_dtypes(const vit_model *model) {
    unsigned long long parameters[VIT_DTYPE_COUNT] = {0}, bytes[VIT_DTYPE_COUNT] = {0}, sum = 0;
    for (int i = 0; i < vit__tensor_count(&model->config); i++) {
        vit__tensor t = vit__tensor_at(&model->config, i);
        vit_dtype dtype = dtype_at(model, i);
        parameters[dtype] += parameters_of(&t);
        bytes[dtype] += vit__u64(vit__entry(model->data, i) + 40);
        sum += parameters_of(&t);
    }
    printf("parameters     %llu\n", sum);
    for (int i = 0; i < VIT_DTYPE_COUNT; i++) {
        if (bytes[i] > 0)
            printf("  %-12s %12llu, %12llu bytes, %.2f bits each\n", vit_dtype_name((vit_dtype)i),
                   parameters[i], bytes[i], 8.0 * (double)bytes[i] / (double)parameters[i]);
    }
}

/* What vit_forward needs for one image. */
static void print_workspaces(const vit_model *model) {
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        if (plans[i].name == NULL) printf("workspace      ");
        else printf("  %-12s ", plans[i].name);
        printf("%llu bytes\n", (unsigned long long)vit_workspace_size(model, &plans[i].options, 1));
    }
}

int main(int argc, char **argv) {
    const vit_load_options options = {1, 0, NULL}; /* checksums are checked one by one below */
    vit_model model;
    if (argc != 2 || strcmp(argv[1], "--help") == 0) {
        fprintf(argc == 2 ? stdout : stderr, "usage: vit-info FILE.vit\n");
        return argc == 2 ? 0 : 2;
    }
    vit_status status = vit_model_load(&model, argv[1], &options);
    if (status != VIT_OK) {
        fprintf(stderr, "vit-info: %s: %s\n", argv[1], vit_status_string(status));
        return 1;
    }
    printf("%s: %llu bytes\n", argv[1], (unsigned long long)model.size);
    print_config(&model.config);
    printf("dtype          %s\n", vit_dtype_name(vit_model_dtype(&model)));
    print_head(&model.config);
    print_recipe(&model.config);
    print_labels(&model);
    print_workspaces(&model);
    if (!print_tensors(&model)) status = VIT_ERROR_CHECKSUM;
    print_dtypes(&model);
    if (status == VIT_OK) status = vit_model_verify(&model); /* the chunks, too */
    vit_model_close(&model);
    if (status != VIT_OK) fprintf(stderr, "vit-info: %s: %s\n", argv[1], vit_status_string(status));
    return status == VIT_OK ? 0 : 1;
}

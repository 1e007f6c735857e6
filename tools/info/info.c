/* vit-info: shows what is in a .vit file. Exit status 1 if the file is damaged. */
#define VIT_STATIC
#define VIT_NO_THREADS
#define VIT_IMPLEMENTATION
#include "tools/convert/report.h"
#include "tools/open_model.h"
#include "tools/plans.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: vit-info FILE.vit\n"
    "\n"
    "Show what is in a .vit file: the model's sizes and layers, how a picture becomes its input,\n"
    "what its output is, the memory that a forward pass takes, and each tensor with its type,\n"
    "place and checksum, which is compared.\n"
    "\n"
    "  -h, --help          show this\n"
    "      --version       show the version\n"
    "\n"
    "Exit status: 0 success; 1 the file is damaged or cannot be read; 2 wrong usage.\n";

/* Norms that not every model has. */
static void print_norms(const vit_config *c) {
    const struct {
        const char *name;
        int there;
    } norms[] = {{"norm_pre", c->norm_pre},
                 {"qk_norm", c->qk_norm},
                 {"post_norm", c->post_norm},
                 {"patch_norm", c->patch_norm},
                 {"embed_norm", c->embed_norm}};
    const char *before = "norms          ";
    for (size_t i = 0; i < sizeof(norms) / sizeof(norms[0]); i++) {
        if (!norms[i].there) continue;
        printf("%s%s", before, norms[i].name);
        before = ", ";
    }
    if (before[0] == ',') putchar('\n');
}

static void print_config(const vit_config *c) {
    static const char *const acts[VIT_ACT_COUNT] = {"gelu", "gelu_tanh", "quick_gelu", "swiglu",
                                                    "relu"};
    int down = c->img_size[0] / c->patch_size[0], across = c->img_size[1] / c->patch_size[1];
    printf("architecture   %s\n", c->architecture);
    printf("img_size       %d x %d\n", c->img_size[0], c->img_size[1]);
    printf("patch_size     %d x %d, %d patches\n", c->patch_size[0], c->patch_size[1],
           down * across);
    printf("in_chans       %d\n", c->in_chans);
    printf("num_classes    %d\n", c->num_classes);
    printf("embed_dim      %d\n", c->embed_dim);
    printf("depth          %d\n", c->depth);
    printf("num_heads      %d, head_dim %d\n", c->num_heads, c->head_dim);
    printf("mlp_dim        %d, %s\n", c->mlp_dim, acts[c->act]);
    printf("prefix_tokens  %d\n", c->prefix_tokens);
    printf("norm_eps       %g\n", (double)c->norm_eps);
    print_norms(c);
    if (c->pos_size[0] > 0)
        printf("pos_size       %d x %d, resampled\n", c->pos_size[0], c->pos_size[1]);
}

/* What the head reads, and what comes before it. */
static void print_head(const vit_config *c) {
    static const char *const means[] = {"", "the mean of the patch tokens",
                                        "the mean of all tokens"};
    static const char *const norms[VIT_FINAL_NORM_COUNT] = {
        "normalised before pooling", "normalised after pooling", "not normalised"};
    printf("head           ");
    if (c->head_tokens == 1) printf("token 0");
    if (c->head_tokens > 1) printf("tokens 0 to %d", c->head_tokens - 1);
    printf("%s%s", c->head_tokens > 0 && c->head_avg ? " and " : "", means[c->head_avg]);
    printf(", %s", norms[c->final_norm]);
    if (c->pre_logits > 0)
        printf(", pre_logits %d%s", c->pre_logits, c->pre_logits_l2 ? " of length 1" : "");
    printf("\noutput         %s\n", vit_output_name(c->output));
    if (c->reject_below > 0)
        printf("reject_below   %.9g: none of these where the first score is lower\n",
               (double)c->reject_below);
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
    for (int i = 0; i < c->in_chans && i < 4; i++)
        printf("%s%g, %g", i > 0 ? "; " : "", (double)p->mean[i], (double)p->std[i]);
    printf("\n");
}

static void print_labels(const vit_model *model) {
    const char *first = vit_model_label(model, 0);
    if (first == NULL) printf("labels         none\n");
    else
        printf("labels         %s, ..., %s\n", first,
               vit_model_label(model, vit_model_config(model)->num_classes - 1));
}

/* Weights and biases, without padding. */
static unsigned long long parameters_of(const vit_tensor *t) {
    unsigned long long rows = (unsigned)t->rows, cols = (unsigned)t->cols;
    return rows * cols + (t->is_matrix ? rows : 0);
}

/* One line; returns what vit_model_verify_tensor does. */
static vit_status print_tensor(const vit_model *model, int index, const vit_tensor *t) {
    vit_status status = vit_model_verify_tensor(model, index);
    char name[32];
    if (t->block >= 0) snprintf(name, sizeof(name), "%d.%s", t->block, t->name);
    else snprintf(name, sizeof(name), "%s", t->name);
    printf("  %-14s %7d x %-7d %-5s %-7s %12llu %10llu  %08lx %s\n", name, t->rows, t->cols,
           vit_dtype_name(t->dtype), t->is_matrix ? "panels" : "rows",
           (unsigned long long)t->offset, (unsigned long long)t->size, (unsigned long)t->checksum,
           status == VIT_OK            ? "ok"
           : status == VIT_ERROR_RANGE ? "OUT OF RANGE"
                                       : "DAMAGED");
    return status;
}

/* Returns VIT_OK, or the first error in a tensor. */
static vit_status print_tensors(const vit_model *model) {
    vit_status first = VIT_OK;
    vit_tensor t;
    printf("tensors        %d\n", vit_model_tensor_count(model));
    printf("  %-14s %7s x %-7s %-13s %12s %10s  checksum\n", "", "rows", "cols", "", "offset",
           "bytes");
    for (int i = 0; vit_model_tensor(model, i, &t) == VIT_OK; i++) {
        vit_status status = print_tensor(model, i, &t);
        if (first == VIT_OK) first = status;
    }
    return first;
}

/* The parameters by dtype, with the bits that each takes, including scales and padding. */
static void print_dtypes(const vit_model *model) {
    unsigned long long parameters[VIT_DTYPE_COUNT] = {0}, bytes[VIT_DTYPE_COUNT] = {0}, sum = 0;
    vit_tensor t;
    for (int i = 0; vit_model_tensor(model, i, &t) == VIT_OK; i++) {
        parameters[t.dtype] += parameters_of(&t);
        bytes[t.dtype] += t.size;
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

/* Returns what is wrong with the model, or VIT_OK. */
static vit_status print_model(const vit_model *model) {
    const vit_config *config = vit_model_config(model);
    print_config(config);
    printf("dtype          %s\n", vit_dtype_name(vit_model_dtype(model)));
    print_head(config);
    print_recipe(config);
    print_labels(model);
    print_workspaces(model);
    vit_status status = print_tensors(model);
    print_dtypes(model);
    return status == VIT_OK ? vit_model_verify(model) : status; /* the chunks, too */
}

/* The file to show. */
static const char *parse_arguments(int argc, char **argv) {
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') show(usage);
        else if (option == 'v') show_version();
        else wrong_usage(usage); /* getopt_long has printed the error */
    }
    if (optind != argc - 1) wrong_usage(usage);
    return argv[optind];
}

int main(int argc, char **argv) {
    const vit_load_options options = {.no_verify = 1}; /* tensors are verified one by one */
    report_program = "vit-info";
    const char *path = parse_arguments(argc, argv);
    struct stat file;
    vit_model model = open_model(path, &options);
    if (stat(path, &file) == 0) printf("%s: %lld bytes\n", path, (long long)file.st_size);
    vit_status status = print_model(&model);
    vit_model_close(&model);
    if (status != VIT_OK) fail("%s: %s", path, vit_status_string(status));
    if (fflush(stdout) != 0 || ferror(stdout)) fail("the output: %s", strerror(errno));
    return 0;
}

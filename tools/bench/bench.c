/* vit-bench: how long a forward pass takes, compared with the most that the processor could do.

   gflops is the rate of the median pass. It counts the arithmetic that has to be done: all products,
   the last block for the head's tokens alone, without padding, softmax and GELU. peak_gflops is what
   independent fused multiply-adds in registers reach on the same number of threads, measured in the
   same run between the passes; 0 where this program has no such loop for the instruction set.
   With several threads distance_ns is how far apart two processors were at the end (distance.h): compare
   only figures of one distance. --profile, for a batch of 1, adds the mean time of each step. */

static void profile_step(const char *step);

#define VIT_PROFILE(step) profile_step(step)
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "clock.h"
#include "distance.h"
#include "peak.h"
#include "random_model.h"
#include "tools/convert/report.h"
#include "tools/open_model.h"

#include <cjson/cJSON.h>
#include <getopt.h>

static const char usage[] =
    "usage: vit-bench (-m MODEL.vit | --random SIZE [--dtype NAME]) [options]\n"
    "\n"
    "Measure how long a forward pass takes, beside the most that the processor could do.\n"
    "\n"
    "  -m, --model FILE    the model\n"
    "      --random SIZE   instead of it one of random weights: ti, s, b or l (ViT-Ti to ViT-L)\n"
    "      --dtype NAME    type of the random weights: f32 (as without it), f16, bf16, int8,\n"
    "                      int8x or int4\n"
    "  -t, --threads N     threads to compute with (1)\n"
    "  -b, --batch N       pictures in a pass (1)\n"
    "  -n, --runs N        passes to measure, after two to warm up (20)\n"
    "      --isa NAME      instruction set: portable, dsp, mve, neon, neon-dotprod, neon-i8mm,\n"
    "                      neon-bf16, simd128, rvv, sse4.1, avx2, avx2-vnni, avx512,\n"
    "                      avx512-vnni, avx512-bf16 or amx (the best there is)\n"
    "      --size N        pictures of N x N pixels (the size of the model)\n"
    "      --low-memory    the smaller workspace\n"
    "      --merge R       pairs of tokens that each block merges (0)\n"
    "      --json          one JSON object\n"
    "      --profile       the time of each step, for a batch of 1\n"
    "  -h, --help          show this\n"
    "      --version       show the version\n"
    "\n"
    "Exit status: 0 success; 1 an error; 2 wrong usage.\n";

typedef struct settings {
    const char *model_path, *random;
    int threads, batch, runs, size, low_memory, merge, json, profile;
    vit_isa isa;
    vit_dtype dtype;
} settings;

typedef struct bench {
    vit_model model;
    vit_config config; /* with img_size as it is used */
    vit_pool *pool;
    vit_options options;
    float *pixels, *logits;
    void *workspace;
    size_t workspace_size;
    double *milliseconds; /* [runs] */
    double *peaks;        /* [runs] GFLOP/s */
} bench;

static int parse_number(const char *text, long least) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != 0 || value < least || value > 1000000) fail("not a count");
    return (int)value;
}

static int parse_count(const char *text) {
    return parse_number(text, 1);
}

static vit_isa parse_isa(const char *name) {
    vit_isa isa = vit_isa_find(name);
    if (isa == VIT_ISA_COUNT) fail("there is no such instruction set");
    return isa;
}

static vit_dtype parse_dtype(const char *name) {
    vit_dtype dtype = vit_dtype_find(name);
    if (dtype == VIT_DTYPE_COUNT) fail("there is no such type of weights");
    return dtype;
}

enum {
    OPTION_RANDOM = 256,
    OPTION_DTYPE,
    OPTION_ISA,
    OPTION_SIZE,
    OPTION_LOW_MEMORY,
    OPTION_MERGE,
    OPTION_JSON,
    OPTION_PROFILE,
    OPTION_VERSION
};

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"threads", required_argument, NULL, 't'},
    {"batch", required_argument, NULL, 'b'},
    {"runs", required_argument, NULL, 'n'},
    {"random", required_argument, NULL, OPTION_RANDOM},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"isa", required_argument, NULL, OPTION_ISA},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"low-memory", no_argument, NULL, OPTION_LOW_MEMORY},
    {"merge", required_argument, NULL, OPTION_MERGE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"profile", no_argument, NULL, OPTION_PROFILE},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static settings parse_options(int argc, char **argv) {
    settings s = {NULL, NULL, 1, 1, 20, 0, 0, 0, 0, 0, VIT_ISA_BEST, VIT_F32};
    int option, typed = 0;
    while ((option = getopt_long(argc, argv, "m:t:b:n:h", options, NULL)) != -1) {
        if (option == 'm') s.model_path = optarg;
        else if (option == 't') s.threads = parse_count(optarg);
        else if (option == 'b') s.batch = parse_count(optarg);
        else if (option == 'n') s.runs = parse_count(optarg);
        else if (option == 'h') show(usage);
        else if (option == OPTION_RANDOM) s.random = optarg;
        else if (option == OPTION_DTYPE) typed = 1, s.dtype = parse_dtype(optarg);
        else if (option == OPTION_ISA) s.isa = parse_isa(optarg);
        else if (option == OPTION_SIZE) s.size = parse_count(optarg);
        else if (option == OPTION_LOW_MEMORY) s.low_memory = 1;
        else if (option == OPTION_MERGE) s.merge = parse_number(optarg, 0);
        else if (option == OPTION_JSON) s.json = 1;
        else if (option == OPTION_PROFILE) s.profile = 1;
        else if (option == OPTION_VERSION) show_version();
        else wrong_usage(usage); /* getopt_long has printed the error */
    }
    if ((s.model_path == NULL) == (s.random == NULL) || optind != argc ||
        (typed && s.model_path != NULL) || (s.profile && (s.batch > 1 || s.json)))
        wrong_usage(usage);
    return s;
}

/* ---- the model and what it needs ---- */

/* By way of a temporary file, which is read into memory. */
static void open_random(vit_model *model, const char *name, vit_dtype dtype) {
    static const struct {
        const char *name;
        int embed_dim, depth, num_heads;
    } sizes[] = {{"ti", 192, 12, 3}, {"s", 384, 12, 6}, {"b", 768, 12, 12}, {"l", 1024, 24, 16}};
    const vit_load_options unmapped = {.no_verify = 1, .no_map = 1};
    char path[] = "/tmp/vit-bench-XXXXXX";
    size_t i = 0, count = sizeof(sizes) / sizeof(sizes[0]);
    while (i < count && strcmp(sizes[i].name, name) != 0) i++;
    if (i == count) fail("there is no such size");
    int file = mkstemp(path);
    if (file < 0) fail("no temporary file in /tmp");
    close(file);
    random_model_write(path, sizes[i].embed_dim, sizes[i].depth, sizes[i].num_heads, dtype);
    vit_status status = vit_model_load(model, path, &unmapped);
    unlink(path);
    if (status != VIT_OK) fail("%s", vit_status_string(status));
}

static void prepare(bench *b, const settings *s) {
    if (s->random == NULL) b->model = open_model(s->model_path, NULL);
    else open_random(&b->model, s->random, s->dtype);
    uint32_t state = 1;
    b->config = *vit_model_config(&b->model);
    b->pool = vit_pool_create(s->threads, NULL);
    b->options.threads = vit_pool_threads(b->pool);
    b->options.parallel_for = vit_pool_parallel_for;
    b->options.parallel_user = b->pool;
    b->options.isa = s->isa == VIT_ISA_BEST ? vit_best_isa() : s->isa;
    b->options.low_memory = s->low_memory;
    b->options.merge = s->merge;
    for (int i = 0; s->size > 0 && i < 2; i++)
        b->options.img_size[i] = b->config.img_size[i] = s->size;
    size_t count = (size_t)s->batch * vit_pixels_count(&b->model, &b->options);
    b->workspace_size = vit_workspace_size(&b->model, &b->options, s->batch);
    if (b->workspace_size == 0) fail("this batch is not possible here");
    b->workspace = allocate(b->workspace_size, 1);
    b->pixels = (float *)allocate(count, sizeof(float));
    b->logits = (float *)allocate((size_t)s->batch * (size_t)b->config.num_classes, sizeof(float));
    b->milliseconds = (double *)allocate((size_t)s->runs, sizeof(double));
    b->peaks = (double *)allocate((size_t)s->runs, sizeof(double));
    for (size_t i = 0; i < count; i++) b->pixels[i] = 2 * random_float(&state);
}

/* ---- the steps of a pass ---- */

#define MAX_STEPS 16

typedef struct profile {
    int on, count;
    double last; /* when the step before ended */
    struct {
        const char *name;
        double seconds;
    } steps[MAX_STEPS];
} profile;

static profile profiled;

/* vit_forward calls this after each step; with a batch of 1 always on this thread. */
static void profile_step(const char *name) {
    double now;
    int i = 0;
    if (!profiled.on) return;
    now = seconds();
    while (i < profiled.count && strcmp(profiled.steps[i].name, name) != 0) i++;
    if (i == MAX_STEPS) fail("too many steps");
    if (i == profiled.count) profiled.steps[profiled.count++].name = name;
    profiled.steps[i].seconds += now - profiled.last;
    profiled.last = now;
}

/* ---- the arithmetic of a pass ---- */

/* GFLOP of a step (named as in VIT_PROFILE) for an image, 0 without products; of all for NULL. */
static double gflop_of(const vit_config *c, const char *step) {
    double down = c->img_size[0] / c->patch_size[0], across = c->img_size[1] / c->patch_size[1];
    double patches = down * across, tokens = c->prefix_tokens + patches;
    double dim = c->embed_dim, mlp = c->mlp_dim;
    double inner = (double)c->num_heads * c->head_dim;
    double rows = c->head_avg ? tokens : c->head_tokens; /* of the last block */
    double all = tokens * (c->depth - 1) + rows;         /* rows of all blocks together */
    double pooled = (c->head_tokens + (c->head_avg > 0)) * dim, classes = c->num_classes;
    double patch = (double)c->in_chans * c->patch_size[0] * c->patch_size[1];
    double head = c->pre_logits > 0 ? (pooled + classes) * c->pre_logits : pooled * classes;
    const struct {
        const char *step;
        double products;
    } steps[] = {{"embed", patches * patch * dim},
                 {"q, k, v", (all + 2 * tokens * c->depth) * dim * inner},
                 {"attention", all * 2 * tokens * inner},
                 {"proj", all * dim * inner},
                 {"fc1, act", all * dim * mlp * (c->act == VIT_ACT_SWIGLU ? 2 : 1)},
                 {"fc2", all * dim * mlp},
                 {"head", head}};
    double sum = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (step == NULL || strcmp(step, steps[i].step) == 0) sum += steps[i].products;
    }
    return 2e-9 * sum;
}

/* ---- the runs ---- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(bench *b, const settings *s) {
    for (int i = -2; i < s->runs; i++) { /* two to warm up */
        double begin = profiled.last = seconds();
        profiled.on = s->profile && i >= 0;
        vit_status status = vit_forward(&b->model, &b->options, b->pixels, s->batch, b->logits,
                                        b->workspace, b->workspace_size);
        double time = seconds() - begin;
        if (status != VIT_OK) fail("%s", vit_status_string(status));
        /* after vit_forward, which has checked that the instruction set is there */
        double peak = measure_peak(&b->options);
        if (i < 0) continue;
        b->milliseconds[i] = time * 1e3;
        b->peaks[i] = peak;
    }
    qsort(b->milliseconds, (size_t)s->runs, sizeof(double), compare);
    qsort(b->peaks, (size_t)s->runs, sizeof(double), compare);
}

/* For each step, milliseconds and the share of the peak. */
static void report_profile(const bench *b, const settings *s, double peak) {
    double sum = 0;
    for (int i = 0; i < profiled.count; i++) sum += profiled.steps[i].seconds;
    for (int i = 0; i < profiled.count; i++) {
        double time = profiled.steps[i].seconds / s->runs;
        double rate = gflop_of(&b->config, profiled.steps[i].name) / time;
        printf("  %-10s %8.3f ms %5.1f %%", profiled.steps[i].name, time * 1e3,
               100 * profiled.steps[i].seconds / sum);
        if (peak > 0 && rate > 0) printf(", %.1f %% of the FMA peak", 100 * rate / peak);
        puts("");
    }
}

static void report(const bench *b, const settings *s) {
    double median = b->milliseconds[s->runs / 2], peak = b->peaks[s->runs / 2];
    double gflops = gflop_of(&b->config, NULL) * s->batch / median * 1e3;
    double share = peak > 0 ? gflops / peak : 0;
    double distance = b->options.threads > 1 ? processor_distance() : 0;
    const char *dtype = vit_dtype_name(vit_model_dtype(&b->model));
    if (!s->json) {
        printf("%s, %s, %d thread%s, batch %d: median %.2f ms, minimum %.2f ms, %.1f GFLOP/s",
               vit_isa_name(b->options.isa), dtype, b->options.threads,
               b->options.threads > 1 ? "s" : "", s->batch, median, b->milliseconds[0], gflops);
        if (peak > 0) printf(", %.1f %% of the FMA peak (%.1f)", share * 100, peak);
        printf(", workspace %.2f MB", (double)b->workspace_size / 1e6);
        if (distance > 0) printf(", processors %.0f ns apart", distance);
        putchar('\n');
        if (s->profile) report_profile(b, s, peak);
        return;
    }
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "isa", vit_isa_name(b->options.isa));
    cJSON_AddStringToObject(line, "dtype", dtype);
    cJSON_AddNumberToObject(line, "threads", b->options.threads);
    cJSON_AddNumberToObject(line, "batch", s->batch);
    cJSON_AddNumberToObject(line, "median_ms", median);
    cJSON_AddNumberToObject(line, "min_ms", b->milliseconds[0]);
    cJSON_AddNumberToObject(line, "gflops", gflops);
    cJSON_AddNumberToObject(line, "peak_gflops", peak);
    cJSON_AddNumberToObject(line, "share", share);
    cJSON_AddNumberToObject(line, "workspace_bytes", (double)b->workspace_size);
    if (distance > 0) cJSON_AddNumberToObject(line, "distance_ns", distance);
    char *text = cJSON_PrintUnformatted(line);
    if (text != NULL) puts(text);
    cJSON_free(text);
    cJSON_Delete(line);
}

int main(int argc, char **argv) {
    report_program = "vit-bench";
    settings s = parse_options(argc, argv);
    bench b;
    memset(&b, 0, sizeof(b));
    prepare(&b, &s);
    run(&b, &s);
    report(&b, &s);
    vit_pool_destroy(b.pool);
    vit_model_close(&b.model);
    free(b.workspace);
    free(b.pixels);
    free(b.logits);
    free(b.milliseconds);
    free(b.peaks);
    return 0;
}

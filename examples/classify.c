/* vit-classify: what is in these pictures? See usage() for the options.

   The program follows the data: options, model, input (a picture or a tensor), inference, then a
   table for people or JSON for programs. */

#define VIT_IMPLEMENTATION
#include "vit.h"

#include "heatmap.h"
#include "picture.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef VIT_MODEL_DIR /* where `make install` puts the model that ships */
#define VIT_MODEL_DIR "/usr/local/share/vit"
#endif
#define DEFAULT_MODEL "fashion-mnist.vit"
#define MAX_THREADS 1024
#define BAR_LENGTH 30
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

enum { EXIT_BAD_INPUT = 1, EXIT_USAGE = 2 };

static void usage(FILE *file) {
    fputs(
        "usage: vit-classify [-m MODEL.vit] [-k 5] [-t THREADS] [--json] [--logits] IMAGE...\n"
        "\n"
        "Classify pictures with a Vision Transformer. IMAGE is a JPEG, PNG, BMP, PPM or PGM file,\n"
        "or - for standard input. EXIF orientation is applied, transparency is ignored.\n"
        "\n"
        "  -m, --model FILE    the model; without it the one that ships, which knows clothes\n"
        "  -k, --top N         how many classes to show (5)\n"
        "  -t, --threads N     threads to compute with (those processors that\n"
        "                      this process may use)\n"
        "      --isa NAME      instruction set: portable, dsp, mve, neon, simd128, avx2, "
        "avx2-vnni,\n"
        "                      avx512, avx512-vnni, avx512-bf16 or amx (the best there is, or "
        "what\n"
        "                      the environment variable VIT_ISA says)\n"
        "      --json          a JSON object for each image, on a line of its own\n"
        "      --logits        the model's raw output for all classes, too\n"
        "      --pixels FILE   classify a tensor, before the images: the model's input as\n"
        "                      float32 [channels][height][width], little-endian\n"
        "      --size SIZE     look at the picture in another size: N or HxW pixels, or native, "
        "the\n"
        "                      picture's own aspect ratio with as many patches as usual\n"
        "      --heatmap DIR   write what the model looked at over each picture, as a PNG into\n"
        "                      DIR: attention rollout over all blocks (Abnar and Zuidema 2020)\n"
        "      --head B:H      the attention of head H in block B instead, both from 0\n"
        "  -h, --help          show this\n"
        "      --version       show the version\n"
        "\n"
        "JSON: {\"file\", \"output\", \"top\": [{\"index\", \"label\", \"score\"}...],\n"
        "\"logits\": [...]}, best class first, or {\"file\", \"error\"}. output says what\n"
        "score is, as the model has it: softmax or sigmoid, a probability, or number, a plain\n"
        "number. label is null where the model has no names. A model with a threshold (vit-teach\n"
        "--reject) adds \"none_of_these\": true where the best score is below it. A model without\n"
        "classes has output \"embedding\", and \"embedding\": [...] instead of top.\n"
        "\n"
        "Exit status: 0 success, 1 an image or the model could not be used, or the output is not\n"
        "a number (the other images are still classified), 2 wrong usage.\n",
        file);
}

/* ---- options ---- */

typedef struct settings {
    const char *model_path; /* NULL: the one that ships */
    const char *pixels_path;
    int top;
    int threads; /* 0: as vit_pool_create chooses */
    vit_isa isa;
    int json;
    int logits;
    int img_size[2];         /* 0: the model's own */
    int native;              /* 1: of each picture's aspect ratio */
    const char *heatmap_dir; /* NULL: none */
    heatmap_source heatmap_source;
} settings;

/* A decimal number in [1, max]; ends the program if it is anything else. */
static int parse_count(const char *option, const char *text, long max) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > max) {
        fprintf(stderr, "vit-classify: %s takes a number from 1 to %ld, not '%s'\n", option, max,
                text);
        exit(EXIT_USAGE);
    }
    return (int)value;
}

/* VIT_ISA_BEST for NULL; ends the program if the name is unknown. */
static vit_isa parse_isa(const char *name) {
    if (name == NULL) return VIT_ISA_BEST;
    vit_isa isa = vit_isa_find(name);
    if (isa == VIT_ISA_COUNT) {
        fprintf(stderr, "vit-classify: there is no instruction set '%s'\n", name);
        exit(EXIT_USAGE);
    }
    return isa;
}

/* BLOCK:HEAD; ends the program if it is anything else. */
static heatmap_source parse_head(const char *text) {
    heatmap_source source;
    char rest;
    if (sscanf(text, "%d:%d%c", &source.block, &source.head, &rest) == 2 && source.block >= 0 &&
        source.head >= 0)
        return source;
    fprintf(stderr, "vit-classify: --head takes BLOCK:HEAD, both from 0, not '%s'\n", text);
    exit(EXIT_USAGE);
}

/* N, HxW or native; ends the program if it is anything else. */
static void parse_size(settings *s, const char *text) {
    char rest;
    int count = sscanf(text, "%dx%d%c", &s->img_size[0], &s->img_size[1], &rest);
    s->native = strcmp(text, "native") == 0;
    if (count == 1 && strspn(text, "0123456789") == strlen(text)) s->img_size[1] = s->img_size[0];
    else if (count != 2 && !s->native) s->img_size[0] = 0;
    if (s->native || (s->img_size[0] > 0 && s->img_size[1] > 0)) return;
    fprintf(stderr, "vit-classify: --size takes N, HxW or native, not '%s'\n", text);
    exit(EXIT_USAGE);
}

enum {
    OPTION_ISA = 256,
    OPTION_JSON,
    OPTION_LOGITS,
    OPTION_PIXELS,
    OPTION_SIZE,
    OPTION_HEATMAP,
    OPTION_HEAD,
    OPTION_VERSION
};

static void parse_option(settings *s, int option, const char *text) {
    switch (option) {
    case 'm':
        s->model_path = text;
        break;
    case 'k':
        s->top = parse_count("-k", text, 1 << 20);
        break;
    case 't':
        s->threads = parse_count("-t", text, MAX_THREADS);
        break;
    case OPTION_ISA:
        s->isa = parse_isa(text);
        break;
    case OPTION_JSON:
        s->json = 1;
        break;
    case OPTION_LOGITS:
        s->logits = 1;
        break;
    case OPTION_PIXELS:
        s->pixels_path = text;
        break;
    case OPTION_SIZE:
        parse_size(s, text);
        break;
    case OPTION_HEATMAP:
        s->heatmap_dir = text;
        break;
    case OPTION_HEAD:
        s->heatmap_source = parse_head(text);
        break;
    case OPTION_VERSION:
        puts("vit-classify " TEXT(VIT_VERSION_MAJOR) "." TEXT(VIT_VERSION_MINOR) "." TEXT(
            VIT_VERSION_PATCH));
        exit(EXIT_SUCCESS);
    case 'h':
        usage(stdout);
        exit(EXIT_SUCCESS);
    default:
        usage(stderr);
        exit(EXIT_USAGE);
    }
}

/* Fills in s; optind is left at the first IMAGE. */
static void parse_options(settings *s, int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"top", required_argument, NULL, 'k'},
        {"threads", required_argument, NULL, 't'},
        {"isa", required_argument, NULL, OPTION_ISA},
        {"json", no_argument, NULL, OPTION_JSON},
        {"logits", no_argument, NULL, OPTION_LOGITS},
        {"pixels", required_argument, NULL, OPTION_PIXELS},
        {"size", required_argument, NULL, OPTION_SIZE},
        {"heatmap", required_argument, NULL, OPTION_HEATMAP},
        {"head", required_argument, NULL, OPTION_HEAD},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option;
    s->isa = parse_isa(getenv("VIT_ISA"));
    while ((option = getopt_long(argc, argv, "m:k:t:h", options, NULL)) != -1)
        parse_option(s, option, optarg);
    if (optind == argc && s->pixels_path == NULL) {
        usage(stderr);
        exit(EXIT_USAGE);
    }
    if (s->heatmap_dir == NULL && s->heatmap_source.block >= 0) {
        fputs("vit-classify: --head is of no use without --heatmap\n", stderr);
        exit(EXIT_USAGE);
    }
}

/* ---- the model ---- */

/* The folder of this program. */
static const char *program_dir(const char *argv0) {
    static char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length < 0) length = snprintf(path, sizeof(path), "%s", argv0);
    if ((size_t)length >= sizeof(path)) return ".";
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) return ".";
    *slash = '\0';
    return path;
}

/* The model that ships: from this program's installation, its checkout, or VIT_MODEL_DIR. NULL: not
   found. */
static const char *find_default_model(const char *argv0) {
    static char path[4096 + 64];
    static const char *const folders[] = {"/../share/vit/", "/../examples/models/"};
    const char *dir = program_dir(argv0);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s%s%s", dir, folders[i], DEFAULT_MODEL);
        if (access(path, R_OK) == 0) return path;
    }
    snprintf(path, sizeof(path), "%s/%s", VIT_MODEL_DIR, DEFAULT_MODEL);
    return access(path, R_OK) == 0 ? path : NULL;
}

/* Tells a user who named no model which classes this one knows. */
static void introduce(const char *path, const vit_model *model) {
    enum { SHOWN = 20 };
    int classes = vit_model_config(model)->num_classes;
    fprintf(stderr, "vit-classify: no -m, so using %s, which knows %d classes and nothing else",
            path, classes);
    for (int i = 0; i < classes && i < SHOWN && vit_model_label(model, i) != NULL; i++)
        fprintf(stderr, "%s%s", i == 0 ? ": " : ", ", vit_model_label(model, i));
    fprintf(stderr, "%s\n", classes > SHOWN ? ", ..." : "");
}

/* ---- inference ---- */

typedef struct classifier {
    vit_model model;
    vit_options options;
    vit_pool *pool;
    float *pixels; /* [in_chans][height][width] */
    int count;     /* of logits: the model's classes, or the numbers of its embedding */
    float *logits; /* [count] */
    float *scores; /* [count] */
    int *top;      /* [top_count] */
    int top_count; /* 0 where there are no classes */
    const char *heatmap_dir;
    heatmap_source heatmap_source;
    float *heat; /* [tokens] */
    int native;  /* whether each picture has its own size */
    unsigned char *workspace;
    size_t workspace_size;
} classifier;

/* Where the time went, in milliseconds. */
typedef struct timing {
    double decode, preprocess, inference;
} timing;

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Makes the workspace at least this large. A size of 0 is an error of the size functions. */
static int reserve(classifier *c, size_t size) {
    if (size == 0) return 0;
    if (size <= c->workspace_size) return 1;
    free(c->workspace);
    c->workspace = (unsigned char *)malloc(size);
    c->workspace_size = c->workspace == NULL ? 0 : size;
    return c->workspace != NULL;
}

/* Whether the output describes the picture, instead of classes. */
static int is_embedding(const vit_model *model) {
    return vit_model_config(model)->output == VIT_OUTPUT_EMBEDDING;
}

static size_t forward_size(const classifier *c) {
    if (c->heatmap_dir == NULL) return vit_workspace_size(&c->model, &c->options, 1);
    return heatmap_workspace_size(&c->model, &c->options, c->heatmap_source);
}

static vit_status forward(classifier *c) {
    if (c->heatmap_dir == NULL)
        return vit_forward(&c->model, &c->options, c->pixels, 1, c->logits, c->workspace,
                           c->workspace_size);
    return heatmap_forward(&c->model, &c->options, c->heatmap_source, c->pixels, c->logits, c->heat,
                           c->workspace, c->workspace_size);
}

/* Makes room for pictures of a size; 0: the model's own. */
static const char *set_size(classifier *c, const int img_size[2]) {
    memcpy(c->options.img_size, img_size, sizeof(c->options.img_size));
    size_t count = vit_pixels_count(&c->model, &c->options);
    if (count == 0) return "--size: smaller than a patch, or too large";
    free(c->pixels);
    free(c->heat);
    c->pixels = (float *)malloc(count * sizeof(float));
    c->heat = (float *)malloc((size_t)vit_token_count(&c->model, &c->options) * sizeof(float));
    if (c->pixels == NULL || c->heat == NULL || !reserve(c, forward_size(c)))
        return "out of memory";
    return NULL;
}

/* The size that pictures have now. */
static const int *size_now(const classifier *c) {
    return c->options.img_size[0] > 0 ? c->options.img_size : vit_model_config(&c->model)->img_size;
}

static const char *start(classifier *c, const settings *s, const char *model_path) {
    vit_status status = vit_model_load(&c->model, model_path, NULL);
    if (status != VIT_OK) return vit_status_string(status);

    c->count = (int)vit_output_count(&c->model, NULL);
    if (!is_embedding(&c->model)) c->top_count = s->top < c->count ? s->top : c->count;
    c->logits = (float *)malloc((size_t)c->count * sizeof(float));
    c->scores = (float *)malloc((size_t)c->count * sizeof(float));
    c->top = (int *)malloc((size_t)(c->top_count + 1) * sizeof(int));
    c->pool = vit_pool_create(s->threads, NULL);
    c->options.parallel_for = c->pool == NULL ? NULL : vit_pool_parallel_for;
    c->options.parallel_user = c->pool;
    c->options.isa = s->isa;
    c->heatmap_dir = s->heatmap_dir, c->heatmap_source = s->heatmap_source;
    if (c->logits == NULL || c->scores == NULL || c->top == NULL) return "out of memory";
    if (!heatmap_source_is_valid(&c->model, s->heatmap_source))
        return "--head: there is no such block or head in this model";
    c->native = s->native;
    return set_size(c, s->img_size);
}

static void stop(classifier *c) {
    vit_pool_destroy(c->pool);
    vit_model_close(&c->model);
    free(c->pixels);
    free(c->logits);
    free(c->scores);
    free(c->heat);
    free(c->top);
    free(c->workspace);
}

static const char *pixels_from_tensor(classifier *c, const char *path, timing *t) {
    unsigned char *bytes;
    size_t size, expected = vit_pixels_count(&c->model, &c->options) * sizeof(float);
    double begin = milliseconds();
    const char *error = picture_read_file(path, &bytes, &size);
    if (error != NULL) return error;
    if (size == expected) memcpy(c->pixels, bytes, expected);
    free(bytes);
    t->decode = milliseconds() - begin;
    return size == expected ? NULL : "not the size of the model's input in float32";
}

static const char *pixels_from_picture(classifier *c, const char *path, timing *t) {
    picture pic;
    double begin = milliseconds();
    const char *error = picture_load(&pic, path);
    if (error != NULL) return error;
    double decoded = milliseconds();

    vit_status status = VIT_ERROR_MEMORY;
    int native[2];
    if (c->native && vit_native_img_size(&c->model, &pic.image, native) == VIT_OK)
        error = set_size(c, native);
    if (error != NULL) {
        picture_free(&pic);
        return error;
    }
    size_t size = vit_preprocess_workspace_size(&c->model, &c->options, &pic.image);
    if (size == 0 || reserve(c, size)) /* if it is 0, vit_preprocess says why */
        status = vit_preprocess(&c->model, &c->options, &pic.image, c->pixels, c->workspace,
                                c->workspace_size);
    picture_free(&pic);
    t->decode = decoded - begin;
    t->preprocess = milliseconds() - decoded;
    return status == VIT_OK ? NULL : vit_status_string(status);
}

static const char *classify(classifier *c, timing *t) {
    double begin = milliseconds();
    vit_status status = forward(c);
    if (status != VIT_OK) return vit_status_string(status);
    t->inference = milliseconds() - begin;

    for (int i = 0; i < c->count; i++)
        if (!isfinite(c->logits[i])) return "the model's output is not a number";
    vit_scores(&c->model, c->logits, c->scores);
    vit_top_k(c->logits, c->count, c->top_count, c->top);
    return NULL;
}

/* Returns whether the folder is there then. */
static int make_folder(const char *path) {
    struct stat status;
    int error = mkdir(path, 0777) == 0 ? 0 : errno;
    if (error == EEXIST && stat(path, &status) == 0) error = S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error != 0) fprintf(stderr, "vit-classify: %s: %s\n", path, strerror(error));
    return error == 0;
}

/* DIR/FILE.png, with _ for the / in FILE, and without . and / at its beginning. */
static const char *write_heatmap(const classifier *c, const char *file) {
    const vit_config *config = vit_model_config(&c->model);
    file += strspn(file, "./");
    size_t size = strlen(c->heatmap_dir) + strlen(file) + sizeof("/.png");
    char *path = (char *)malloc(size);
    if (path == NULL) return "out of memory";
    int length = snprintf(path, size, "%s/", c->heatmap_dir);
    snprintf(path + length, size - (size_t)length, "%s.png", file);
    for (char *p = path + length; *p != '\0'; p++)
        if (*p == '/') *p = '_';
    const char *error =
        heatmap_write(path, config, size_now(c), c->pixels, c->heat + config->prefix_tokens);
    free(path);
    return error;
}

/* ---- a table for people ---- */

static int utf8_width(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* The label, or "class N" put into buffer. */
static const char *class_name(const vit_model *model, int index, char buffer[32]) {
    const char *label = vit_model_label(model, index);
    if (label != NULL) return label;
    snprintf(buffer, 32, "class %d", index);
    return buffer;
}

/* A probability with a bar, or a plain number. */
static void print_score(float score, vit_output output) {
    if (output == VIT_OUTPUT_NUMBER) {
        printf("%12.6g\n", (double)score);
        return;
    }
    printf("%6.2f %%  ", (double)score * 100);
    for (int bar = 0; (float)bar + 0.5f < score * BAR_LENGTH; bar++) putchar('#');
    putchar('\n');
}

static void print_table(const classifier *c, const char *file, const timing *t, int logits) {
    char buffer[32];
    int widest = 0;
    for (int i = 0; i < c->top_count; i++) {
        int width = utf8_width(class_name(&c->model, c->top[i], buffer));
        if (width > widest) widest = width;
    }
    printf("%s   (decode %.1f ms, preprocess %.1f ms, inference %.1f ms)\n", file, t->decode,
           t->preprocess, t->inference);
    if (is_embedding(&c->model))
        printf("  an embedding of %d numbers (--logits shows them)\n", c->count);
    else if (vit_answer(&c->model, c->scores) < 0) printf("  none of these\n");
    for (int i = 0; i < c->top_count; i++) {
        const char *name = class_name(&c->model, c->top[i], buffer);
        printf("  %s%*s  ", name, widest - utf8_width(name), "");
        print_score(c->scores[c->top[i]], vit_model_config(&c->model)->output);
    }
    if (!logits) return;
    printf(is_embedding(&c->model) ? "  embedding" : "  logits");
    for (int i = 0; i < c->count; i++) printf(" %.9g", (double)c->logits[i]);
    putchar('\n');
}

/* ---- JSON for programs ---- */

/* Length of the UTF-8 character that text starts with; 0 if it starts with none (RFC 3629). */
static size_t utf8_length(const unsigned char *text) {
    unsigned char first = text[0], low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4) return 0;
    if (first == 0xE0) low = 0xA0;  /* shorter forms exist */
    if (first == 0xED) high = 0x9F; /* surrogates */
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F; /* above U+10FFFF */
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF)
        if (text[i] < low || text[i] > high) return 0;
    return length;
}

/* File names may hold any bytes, JSON only UTF-8: U+FFFD replaces the bytes that are not. */
static cJSON *json_text(const char *text) {
    const unsigned char *in = (const unsigned char *)text;
    char *clean = (char *)malloc(strlen(text) * 3 + 1), *out = clean;
    if (clean == NULL) return NULL;
    while (*in != '\0') {
        size_t length = utf8_length(in);
        memcpy(out, length > 0 ? (const char *)in : "\xEF\xBF\xBD", length > 0 ? length : 3);
        out += length > 0 ? length : 3;
        in += length > 0 ? length : 1;
    }
    *out = '\0';
    cJSON *string = cJSON_CreateString(clean);
    free(clean);
    return string;
}

/* With enough digits to read the same float back. Not for infinity and NaN, which JSON lacks. */
static cJSON *json_float(float x) {
    char digits[32];
    snprintf(digits, sizeof(digits), "%.9g", (double)x);
    return cJSON_CreateRaw(digits);
}

static cJSON *json_top(const classifier *c) {
    cJSON *top = cJSON_CreateArray();
    for (int i = 0; i < c->top_count; i++) {
        const char *label = vit_model_label(&c->model, c->top[i]);
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "index", c->top[i]);
        cJSON_AddItemToObject(entry, "label", label ? json_text(label) : cJSON_CreateNull());
        cJSON_AddItemToObject(entry, "score", json_float(c->scores[c->top[i]]));
        cJSON_AddItemToArray(top, entry);
    }
    return top;
}

static cJSON *json_logits(const classifier *c) {
    cJSON *logits = cJSON_CreateArray();
    for (int i = 0; i < c->count; i++) cJSON_AddItemToArray(logits, json_float(c->logits[i]));
    return logits;
}

/* error: NULL if the result is in the classifier. */
static void print_json(const classifier *c, const char *file, const char *error, int logits) {
    cJSON *line = cJSON_CreateObject();
    cJSON_AddItemToObject(line, "file", json_text(file));
    if (error != NULL) {
        cJSON_AddItemToObject(line, "error", json_text(error));
    } else {
        vit_output output = vit_model_config(&c->model)->output;
        cJSON_AddStringToObject(line, "output", vit_output_name(output));
        if (c->options.img_size[0] > 0)
            cJSON_AddItemToObject(line, "img_size", cJSON_CreateIntArray(c->options.img_size, 2));
        if (vit_model_config(&c->model)->reject_below > 0)
            cJSON_AddBoolToObject(line, "none_of_these", vit_answer(&c->model, c->scores) < 0);
        if (is_embedding(&c->model)) cJSON_AddItemToObject(line, "embedding", json_logits(c));
        else cJSON_AddItemToObject(line, "top", json_top(c));
        if (logits && !is_embedding(&c->model))
            cJSON_AddItemToObject(line, "logits", json_logits(c));
    }
    char *text = cJSON_PrintUnformatted(line);
    puts(text != NULL ? text : "{\"error\":\"out of memory\"}");
    cJSON_free(text);
    cJSON_Delete(line);
}

/* ---- one input after the other ---- */

typedef const char *(*read_pixels)(classifier *c, const char *path, timing *t);

/* Returns whether it went well. */
static int process(classifier *c, const settings *s, const char *file, read_pixels read) {
    timing t = {0, 0, 0};
    const char *error = read(c, file, &t);
    if (error == NULL) error = classify(c, &t);
    if (error == NULL && s->heatmap_dir != NULL) error = write_heatmap(c, file);
    if (s->json) print_json(c, file, error, s->logits);
    else if (error == NULL) print_table(c, file, &t, s->logits);
    else fprintf(stderr, "vit-classify: %s: %s\n", file, error);
    fflush(stdout);
    return error == NULL;
}

int main(int argc, char **argv) {
    settings s = {.top = 5, .heatmap_source = {-1, 0}};
    classifier c = {0};
    parse_options(&s, argc, argv);

    const char *path = s.model_path != NULL ? s.model_path : find_default_model(argv[0]);
    if (path == NULL) {
        fprintf(stderr, "vit-classify: %s is not installed; name a model with -m\n", DEFAULT_MODEL);
        return EXIT_BAD_INPUT;
    }
    const char *error = start(&c, &s, path);
    if (error != NULL) {
        fprintf(stderr, "vit-classify: %s: %s\n", path, error);
        stop(&c);
        return EXIT_BAD_INPUT;
    }
    if (s.model_path == NULL) introduce(path, &c.model);

    if (s.heatmap_dir != NULL && !make_folder(s.heatmap_dir)) {
        stop(&c);
        return EXIT_BAD_INPUT;
    }

    int good = 1;
    if (s.pixels_path != NULL) good &= process(&c, &s, s.pixels_path, pixels_from_tensor);
    for (int i = optind; i < argc; i++) good &= process(&c, &s, argv[i], pixels_from_picture);
    stop(&c);
    return good && !ferror(stdout) ? EXIT_SUCCESS : EXIT_BAD_INPUT;
}

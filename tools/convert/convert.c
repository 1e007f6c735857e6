/* vit-convert: makes a .vit file of a checkpoint of timm, Hugging Face transformers or
   torchvision. */
#include "c_array.h"
#include "calibrate.h"
#include "container.h"
#include "folder.h"
#include "json.h"
#include "keys.h"
#include "labels.h"
#include "lapack.h"
#include "layouts.h"
#include "list.h"
#include "names.h"
#include "report.h"
#include "rewrite.h"
#include "settings.h"
#include "texts.h"
#include "torch.h"
#include "weights.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: vit-convert [options] IN OUT.vit\n"
    "       vit-convert --list [--key NAME] [--prefix PREFIX] [--names FILE] IN\n"
    "       vit-convert --c-array NAME.c [--section SECTION] FILE.vit\n"
    "\n"
    "IN is a file of safetensors, PyTorch (.pth, .pt, .bin, .ckpt), NumPy (.npz) or\n"
    "vit.cpp, or a folder with one or with shards and their index, beside config.json and\n"
    "preprocessor_config.json. The tensors are those of a Vision Transformer with a\n"
    "classification head in timm, Hugging Face transformers (ViT, DeiT) or torchvision.\n"
    "Or it is a .vit file, to which --labels gives other names of its classes and --dtype,\n"
    "if its weights are float32, another type.\n"
    "\n";

static const char options_usage[] =
    "The options replace what the config files say, or what is assumed without them:\n"
    "  --heads N            attention heads in a block\n"
    "  --eps X              epsilon of the LayerNorms\n"
    "  --act NAME           activation: gelu, gelu_tanh, quick_gelu or relu (SwiGLU shows in the\n"
    "                       tensors)\n"
    "  --pool NAME          what the head reads: token (the class token), avg (the mean of the\n"
    "                       patches), all (of all tokens) or token_avg (both)\n"
    "  --post-norm          norms come after attention and MLP (norm_first=False in torch.nn)\n"
    "  --size N|HxW         picture size of the model (img_size); position embeddings of another\n"
    "                       size are resampled\n"
    "  --pos-resample NAME  how: bicubic-antialias (as timm does it), bicubic (Hugging Face),\n"
    "                       bicubic-aligned (torchvision), bicubic-offset (DINOv2's own code)\n"
    "                       or bilinear (Google's .npz); without it, as IN's library does it\n"
    "  --resize N|HxW|none  resize the short side to N, or exactly to HxW\n"
    "  --crop-pct X         resize to size / X\n"
    "  --interpolation NAME bilinear or bicubic\n"
    "  --mean A,B,C         mean and standard deviation of each channel, of pixels from\n"
    "  --std A,B,C          0 to 1; one number stands for all channels\n"
    "  --output NAME        what the outputs are: softmax, sigmoid (a probability for each\n"
    "                       class by itself) or number (regression)\n"
    "  --reject-below X     score of the best class, 0 to 1, below which none is meant\n"
    "  --head FILE          the head is in this file: one matrix, and its bias (DINOv2's linear\n"
    "                       classifiers)\n"
    "  --classes FILE       the classes are what these texts say (CLIP): an array (.npy) of\n"
    "                       text embeddings, [classes][width] or [classes][prompts][width],\n"
    "                       and their names by --labels\n"
    "  --logit-scale X      what their cosines with the picture are multiplied by, 100 in\n"
    "                       CLIP; without it, as the checkpoint says\n"
    "  --ignore-key NAME    take the config files without this key, which is not supported\n"
    "  --labels FILE        names of the classes: one a line, or JSON: a list, or an object\n"
    "                       from class to name or [synset, name], also within a config.json;\n"
    "                       imagenet-1k, cifar-10, cifar-100: the names that they have\n"
    "  --key NAME           take the tensors from this key of a PyTorch file (outer/inner\n"
    "                       for one in another); without it, from the first of those\n"
    "                       below that has any, or else the dict with most of them\n"
    "  --prefix PREFIX      take the tensors whose names begin with PREFIX, and drop it; without\n"
    "                       it, one that all names of a known model have is dropped\n"
    "  --names FILE         what the tensors are in timm's words (see below)\n"
    "  --list               print the tensors of IN and whose names they are; if nobody's, the\n"
    "                       beginning of a file for --names\n"
    "  --pos-embed NAME     compute the position embeddings, which IN lacks:\n"
    "                       sincos1d (Vaswani et al. 2017, row 0 is the class token),\n"
    "                       sincos2d (MAE) or sincos2d-moco (MoCo v3: rows before columns)\n"
    "  --dtype NAME         type of the weights: f32 (as without it), f16, bf16, int8,\n"
    "                       int8x (half the error of int8, as fast with VNNI and on\n"
    "                       ARM, else slower) or int4\n"
    "  --calibrate FOLDER   round the integers of int8, int8x or int4 by what these give\n"
    "                       each matrix as input (GPTQ): a folder of some dozens of pictures\n"
    "                       like those that the model is for. It needs LAPACK (libopenblas0\n"
    "                       or liblapack3)\n"
    "  --c-array NAME.c     write OUT.vit, or an existing FILE.vit, as the C array NAME into\n"
    "                       NAME.c and NAME.h, for firmware to link\n"
    "  --section SECTION    the linker's section for that array\n"
    "  --help               show this\n"
    "  --version            show the version\n";

enum { MAX_IGNORED = 64 };

typedef struct arguments {
    const char *in, *out; /* in is NULL where out exists already */
    const char *ignored[MAX_IGNORED];
    int ignored_count;
    const char *labels, *key, *prefix, *names, *head, *classes;
    double logit_scale; /* 0: as the checkpoint says */
    const char *c_array, *section;
    const char *calibrate; /* photos; NULL: none */
    vit_dtype dtype;
    int described; /* whether an option describes a checkpoint */
    int typed;     /* whether --dtype is given */
    int list;      /* whether IN is to be listed */
} arguments;

/* The number that a text consists of; with rest, the one that it begins with, and what follows. */
static double parse_number(const char *option, const char *text, char **rest) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || (rest == NULL && *end != 0) || !isfinite((float)value))
        fail("--%s: %s is not a number", option, text);
    if (rest != NULL) *rest = end;
    return value;
}

static double parse_positive(const char *option, const char *text) {
    double value = parse_number(option, text, NULL);
    if (!(value > 0)) fail("--%s: %s is not positive", option, text);
    return value;
}

static int parse_count(const char *option, const char *text, char **rest) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || (rest == NULL && *end != 0) || value < 1 || value > MODEL_MAX_SIZE)
        fail("--%s: %s is not a size", option, text);
    if (rest != NULL) *rest = end;
    return (int)value;
}

/* N for both, or HxW. Returns whether it is the latter. */
static int parse_size(const char *option, const char *text, int size[2]) {
    char *end;
    size[0] = size[1] = parse_count(option, text, &end);
    if (*end == 0) return 0;
    if (*end != 'x') fail("--%s: %s is neither N nor HxW", option, text);
    size[1] = parse_count(option, end + 1, NULL);
    return 1;
}

static void parse_resize(settings *s, const char *text) {
    if (strcmp(text, "none") == 0) {
        s->resize = VIT_RESIZE_NONE;
        return;
    }
    s->resize = parse_size("resize", text, s->resize_size) ? VIT_RESIZE_EXACT : VIT_RESIZE_SHORTEST;
}

static int parse_channels(const char *option, const char *text, float values[4]) {
    char *end = NULL;
    for (int count = 0; count < 4; text = end + 1) {
        values[count++] = (float)parse_number(option, text, &end);
        if (*end == 0) return count;
        if (*end != ',') break;
    }
    fail("--%s: not one to four numbers with commas between them", option);
}

/* 0 for the first name, 1 for the second; any other is an error. */
static int parse_choice(const char *option, const char *text, const char *first,
                        const char *second) {
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
        fail("--%s: %s is neither %s nor %s", option, text, first, second);
    return strcmp(text, second) == 0;
}

static const char *parse_pos_embed(const char *text) {
    if (strcmp(text, "sincos1d") != 0 && strcmp(text, "sincos2d") != 0 &&
        strcmp(text, "sincos2d-moco") != 0)
        fail("--pos-embed: %s is none of sincos1d, sincos2d and sincos2d-moco", text);
    return text;
}

static int parse_act(const char *text) {
    static const char *const names[VIT_ACT_COUNT] = {"gelu", "gelu_tanh", "quick_gelu", "", "relu"};
    for (int act = 0; act < VIT_ACT_COUNT; act++) {
        if (act != VIT_ACT_SWIGLU && strcmp(names[act], text) == 0) return act;
    }
    fail("--act: %s is none of gelu, gelu_tanh, quick_gelu and relu", text);
}

static pooling parse_pooling(const char *text) {
    pooling p = pooling_find(text);
    if (p == POOLING_UNKNOWN) fail("--pool: %s is none of token, avg, all and token_avg", text);
    return p;
}

static int parse_pos_resample(const char *text) {
    vit_pos_resample method = pos_resample_find(text);
    if (method == VIT_POS_RESAMPLE_COUNT)
        fail("--pos-resample: %s is none of bicubic-antialias, bicubic, bicubic-aligned, "
             "bicubic-offset and bilinear",
             text);
    return (int)method;
}

static int parse_output(const char *text) {
    vit_output output = vit_output_find(text);
    if (output == VIT_OUTPUT_COUNT)
        fail("--output: %s is none of softmax, sigmoid, number and embedding", text);
    return (int)output;
}

static vit_dtype parse_dtype(const char *text) {
    vit_dtype dtype = vit_dtype_find(text);
    if (dtype == VIT_DTYPE_COUNT)
        fail("--dtype: %s is none of f32, f16, bf16, int8, int8x and int4", text);
    return dtype;
}

enum {
    OPTION_HEADS = 256,
    OPTION_EPS,
    OPTION_ACT,
    OPTION_POOL,
    OPTION_POST_NORM,
    OPTION_SIZE,
    OPTION_POS_RESAMPLE,
    OPTION_RESIZE,
    OPTION_CROP_PCT,
    OPTION_INTERPOLATION,
    OPTION_MEAN,
    OPTION_STD,
    OPTION_OUTPUT,
    OPTION_REJECT_BELOW,
    OPTION_HEAD,
    OPTION_CLASSES,
    OPTION_LOGIT_SCALE,
    OPTION_IGNORE_KEY,
    OPTION_LABELS,
    OPTION_KEY,
    OPTION_PREFIX,
    OPTION_NAMES,
    OPTION_LIST,
    OPTION_POS_EMBED,
    OPTION_DTYPE,
    OPTION_CALIBRATE,
    OPTION_C_ARRAY,
    OPTION_SECTION,
    OPTION_HELP,
    OPTION_VERSION
};

static void show_usage(void) {
    printf("%s%s\n%s", usage, options_usage, names_usage);
    printf("\nKeys of PyTorch files whose tensors are taken, in this order:\n");
    for (size_t i = 0; torch_keys[i] != NULL; i++)
        printf("%s%s%s", i % 6 == 0 ? "  " : "", torch_keys[i],
               torch_keys[i + 1] == NULL ? "\n"
               : i % 6 == 5              ? ",\n"
                                         : ", ");
    exit(fflush(stdout) == 0 ? 0 : 1);
}

/* An option that says something about a checkpoint's model; returns whether it is one. */
static int parse_setting(int option, const char *text, settings *s) {
    switch (option) {
    case OPTION_HEADS:
        s->num_heads = parse_count("heads", text, NULL);
        return 1;
    case OPTION_EPS:
        s->norm_eps = parse_positive("eps", text);
        return 1;
    case OPTION_ACT:
        s->act = parse_act(text), s->act_given = 1;
        return 1;
    case OPTION_POOL:
        s->pooling = parse_pooling(text);
        return 1;
    case OPTION_POST_NORM:
        s->post_norm = 1;
        return 1;
    case OPTION_SIZE:
        parse_size("size", text, s->img_size), s->sized = 1;
        return 1;
    case OPTION_POS_RESAMPLE:
        s->pos_resample = parse_pos_resample(text);
        return 1;
    case OPTION_RESIZE:
        parse_resize(s, text);
        return 1;
    case OPTION_CROP_PCT:
        s->crop_pct = parse_positive("crop-pct", text);
        return 1;
    case OPTION_INTERPOLATION:
        s->interpolation = parse_choice("interpolation", text, "bilinear", "bicubic");
        return 1;
    case OPTION_MEAN:
        s->means = parse_channels("mean", text, s->mean);
        return 1;
    case OPTION_STD:
        s->stds = parse_channels("std", text, s->std);
        return 1;
    case OPTION_OUTPUT:
        s->output = parse_output(text);
        return 1;
    case OPTION_REJECT_BELOW:
        s->reject_below = parse_positive("reject-below", text);
        if (s->reject_below > 1) fail("--reject-below: %s is more than 1", text);
        return 1;
    case OPTION_POS_EMBED:
        s->pos_embed = parse_pos_embed(text);
        return 1;
    default:
        return 0;
    }
}

static void parse_option(int option, const char *text, arguments *a) {
    switch (option) {
    case OPTION_HEAD:
        a->head = text, a->described = 1;
        break;
    case OPTION_CLASSES:
        a->classes = text, a->described = 1;
        break;
    case OPTION_LOGIT_SCALE:
        a->logit_scale = parse_positive("logit-scale", text), a->described = 1;
        break;
    case OPTION_IGNORE_KEY:
        if (a->ignored_count == MAX_IGNORED) fail("--ignore-key: more than %d keys", MAX_IGNORED);
        a->ignored[a->ignored_count++] = text, a->described = 1;
        break;
    case OPTION_LABELS:
        a->labels = text;
        break;
    case OPTION_KEY:
        a->key = text, a->described = 1;
        break;
    case OPTION_PREFIX:
        a->prefix = text, a->described = 1;
        break;
    case OPTION_NAMES:
        a->names = text, a->described = 1;
        break;
    case OPTION_LIST:
        a->list = 1;
        break;
    case OPTION_DTYPE:
        a->dtype = parse_dtype(text), a->typed = 1;
        break;
    case OPTION_CALIBRATE:
        a->calibrate = text;
        break;
    case OPTION_C_ARRAY:
        a->c_array = text;
        break;
    case OPTION_SECTION:
        a->section = text;
        break;
    case OPTION_HELP:
        show_usage();
        break;
    case OPTION_VERSION:
        show_version();
        break;
    default:
        wrong_usage(usage); /* getopt_long has printed the error */
    }
}

static const struct option options[] = {
    {"heads", 1, NULL, OPTION_HEADS},
    {"eps", 1, NULL, OPTION_EPS},
    {"act", 1, NULL, OPTION_ACT},
    {"pool", 1, NULL, OPTION_POOL},
    {"post-norm", 0, NULL, OPTION_POST_NORM},
    {"size", 1, NULL, OPTION_SIZE},
    {"pos-resample", 1, NULL, OPTION_POS_RESAMPLE},
    {"resize", 1, NULL, OPTION_RESIZE},
    {"crop-pct", 1, NULL, OPTION_CROP_PCT},
    {"interpolation", 1, NULL, OPTION_INTERPOLATION},
    {"mean", 1, NULL, OPTION_MEAN},
    {"std", 1, NULL, OPTION_STD},
    {"output", 1, NULL, OPTION_OUTPUT},
    {"reject-below", 1, NULL, OPTION_REJECT_BELOW},
    {"head", 1, NULL, OPTION_HEAD},
    {"classes", 1, NULL, OPTION_CLASSES},
    {"logit-scale", 1, NULL, OPTION_LOGIT_SCALE},
    {"ignore-key", 1, NULL, OPTION_IGNORE_KEY},
    {"labels", 1, NULL, OPTION_LABELS},
    {"key", 1, NULL, OPTION_KEY},
    {"prefix", 1, NULL, OPTION_PREFIX},
    {"names", 1, NULL, OPTION_NAMES},
    {"list", 0, NULL, OPTION_LIST},
    {"pos-embed", 1, NULL, OPTION_POS_EMBED},
    {"dtype", 1, NULL, OPTION_DTYPE},
    {"calibrate", 1, NULL, OPTION_CALIBRATE},
    {"c-array", 1, NULL, OPTION_C_ARRAY},
    {"section", 1, NULL, OPTION_SECTION},
    {"help", 0, NULL, OPTION_HELP},
    {"version", 0, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* IN and OUT.vit; with --c-array OUT.vit alone, if it is there already; with --list IN alone. */
static void parse_paths(int count, char **paths, arguments *a) {
    if (count != 2 - a->list && (count != 1 || a->c_array == NULL)) wrong_usage(usage);
    if (count == 2 || a->list) a->in = paths[0];
    if (!a->list) a->out = paths[count - 1];
    if (a->in == NULL && (a->described || a->typed || a->calibrate != NULL || a->labels != NULL))
        fail("%s: nothing is converted without an OUT.vit", a->out);
}

static void parse_arguments(int argc, char **argv, arguments *a, settings *s) {
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_setting(option, optarg, s)) a->described = 1;
        else parse_option(option, optarg, a);
    }
    if (s->resize >= 0 && s->crop_pct > 0) fail("--resize and --crop-pct exclude each other");
    if (a->classes != NULL && a->labels == NULL) fail("--classes: --labels has to name them");
    if (a->classes == NULL && a->logit_scale > 0)
        fail("--logit-scale is of no use without --classes");
    if (a->section != NULL && a->c_array == NULL) fail("--section is of no use without --c-array");
    if (a->list && (a->typed || a->labels != NULL || a->c_array != NULL || a->calibrate != NULL))
        fail("--list converts nothing: --dtype, --calibrate, --labels and --c-array are of no use");
    if (a->calibrate != NULL && !calibrate_has(a->dtype))
        fail("--calibrate is for --dtype int8, int8x and int4, not for %s",
             vit_dtype_name(a->dtype));
    parse_paths(argc - optind, argv + optind, a);
    if (a->described && a->in != NULL && !a->list && container_is_vit(a->in))
        fail("%s: a .vit file takes no option but --dtype, --calibrate and --labels", a->in);
}

/* A config file of the folder; absent where IN is a file. needed: a note says where it is not there. */
static json open_config(const char *in, const char *name, int needed) {
    json absent = {name, NULL};
    if (!folder_is(in)) return absent;
    char *path = format_text("%s/%s", in, name);
    json config = json_read(path);
    if (config.node == NULL && needed) note("%s is not there", path);
    if (config.node != NULL && !cJSON_IsObject(config.node)) fail("%s: not an object", path);
    config.file = name;
    free(path);
    return config;
}

/* The last part of the path, without what tells the kind of file. */
static char *name_of(const char *path) {
    static const char *const endings[] = {".safetensors", ".pth.tar", ".pth", ".pt",
                                          ".bin",         ".ckpt",    ".npz", ".npy"};
    size_t end = strlen(path), start;
    while (end > 0 && path[end - 1] == '/') end--;
    for (start = end; start > 0 && path[start - 1] != '/';) start--;
    char *name = format_text("%.*s", (int)(end - start), path + start);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *suffix = strstr(name, endings[i]);
        if (suffix == NULL || suffix == name) continue;
        *suffix = 0;
        break;
    }
    return name;
}

/* config.json of the folder; where there is none, what the checkpoint itself says. */
static json find_config(const arguments *a, checkpoint *weights) {
    json own = {weights->file, weights->config};
    if (weights->config == NULL) return open_config(a->in, "config.json", 1);
    weights->config = NULL;
    return own;
}

static void ignore_keys(const arguments *a, json config, json processor) {
    for (int i = 0; i < a->ignored_count; i++) {
        int found = keys_ignore(config, a->ignored[i]) + keys_ignore(processor, a->ignored[i]);
        if (found == 0) fail("--ignore-key: no config file has the key %s", a->ignored[i]);
    }
}

/* The checkpoint with the names that the options give it. */
static checkpoint open_checkpoint(const arguments *a, settings *s) {
    checkpoint weights = checkpoint_open(a->in, a->key);
    if (a->prefix != NULL) names_drop_prefix(&weights, a->prefix, 1);
    if (a->names != NULL) s->shape_heads = names_apply(&weights, a->names, s->num_heads);
    s->renamed = a->names != NULL;
    return weights;
}

/* The two tensors of a head, whatever they are called, as "weight" and "bias". */
static checkpoint open_head(const char *path) {
    checkpoint head = checkpoint_open(path, NULL);
    size_t matrices = 0;
    for (size_t i = 0; i < head.count; i++) {
        tensor *t = &head.tensors[i];
        int matrix = tensor_count(t) > 0 && t->rank == 2;
        matrices += (size_t)matrix;
        t->original = t->name;
        t->name = format_text("%s", matrix ? "weight" : "bias");
    }
    if (matrices != 1 || head.count > 2)
        fail("%s: %zu tensors, %zu of them matrices: --head takes a matrix and its bias", path,
             head.count, matrices);
    checkpoint_sort(&head);
    return head;
}

static void list(const arguments *a, settings *s) {
    if (container_is_vit(a->in)) fail("%s: a .vit file: vit-info shows what is in it", a->in);
    checkpoint weights = open_checkpoint(a, s);
    list_checkpoint(&weights);
    checkpoint_close(&weights);
}

/* The model of a checkpoint, of a type, at `out`. */
static void convert(const arguments *a, settings *s, const char *out, vit_dtype dtype) {
    texts t = {NULL, 0, 0, 0};
    if (a->classes != NULL) t = texts_read(a->classes);
    checkpoint weights = open_checkpoint(a, s);
    float own_scale = texts_find_scale(&weights);
    json config = find_config(a, &weights);
    model m;
    model_writer writer;
    size_t labels_size = 0;
    char *name = name_of(a->in);

    memset(&m, 0, sizeof(m));
    checkpoint head;
    if (a->head != NULL) head = open_head(a->head), m.head = &head;
    int heads = s->num_heads;
    layout_recognise(&m, &weights, &heads);
    if (s->shape_heads == 0 && heads != s->num_heads) s->shape_heads = heads;
    json processor =
        open_config(a->in, "preprocessor_config.json", family_is_hugging_face(m.layout->family));
    ignore_keys(a, config, processor);
    settings_read(s, &m, config, processor);
    settings_apply(s, &m, name);
    if (t.rows != NULL) texts_apply(&t, a->logit_scale > 0 ? (float)a->logit_scale : own_scale, &m);
    if (m.config.reject_below > 0 && m.config.output > VIT_OUTPUT_SIGMOID)
        fail("--reject-below: the output (%s) has no scores from 0 to 1",
             vit_output_name(m.config.output));
    int classes = m.config.output == VIT_OUTPUT_EMBEDDING ? 0 : m.config.num_classes;
    if (classes == 0 && a->labels != NULL) fail("--labels: an embedding has no classes");
    char *labels = classes > 0 ? labels_read(a->labels, config, classes, &labels_size) : NULL;
    weights_write(&m, NULL);
    layout_check_rest(&m);

    model_writer_begin(&writer, out, &m.config, dtype, labels, labels_size);
    weights_write(&m, &writer);
    model_writer_end(&writer);

    free(labels);
    free(name);
    texts_free(&t);
    if (m.head != NULL) checkpoint_close(&head);
    cJSON_Delete(processor.node);
    cJSON_Delete(config.node);
    checkpoint_close(&weights);
}

/* The model of a .vit file. */
static void convert_model(const arguments *a) {
    if (a->labels != NULL && !a->typed) rewrite_labels(a->in, a->out, a->labels);
    else rewrite(a->in, a->out, a->dtype, a->labels);
}

/* Weights that photos say how to round: of a checkpoint, those of a file of float32, which has lost its
   name once it is open. */
static void convert_calibrated(const arguments *a, settings *s) {
    const rounder by = {calibrate, a->calibrate};
    const int is_vit = container_is_vit(a->in);
    char *path =
        is_vit ? format_text("%s", a->in) : format_text("%s.f32.%ld.tmp", a->out, (long)getpid());
    lapack_open();
    if (!is_vit) convert(a, s, path, VIT_F32);
    file_map map = file_map_open(path);
    if (!is_vit) remove(path);
    rewrite_map(&map, a->out, a->dtype, is_vit ? a->labels : NULL, &by);
    file_map_close(&map);
    free(path);
}

int main(int argc, char **argv) {
    arguments a;
    settings s;
    memset(&a, 0, sizeof(a)); /* VIT_F32 is 0 */
    settings_clear(&s);
    parse_arguments(argc, argv, &a, &s);
    if (a.list) list(&a, &s);
    else if (a.in != NULL && a.calibrate != NULL) convert_calibrated(&a, &s);
    else if (a.in != NULL && container_is_vit(a.in)) convert_model(&a);
    else if (a.in != NULL) convert(&a, &s, a.out, a.dtype);
    if (a.c_array != NULL) c_array_write(a.out, a.c_array, a.section);
    return 0;
}

#include "settings.h"

#include "say.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 1024
#define USUAL_TOP 5
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const char usage[] =
    "usage: vit-classify [-m MODEL.vit] [options] PICTURE...\n"
    "\n"
    "Classify pictures with a Vision Transformer. PICTURE is a JPEG, PNG, BMP, PPM or PGM file,\n"
    "- for one on standard input, or a folder, of which all pictures are taken, also those in\n"
    "folders within, or @LIST, a file with a name of these on each line, or @- for such a list\n"
    "on standard input (./@NAME is a picture called so). EXIF orientation is applied, "
    "transparency\n"
    "is ignored. Results are in the order of the pictures.\n"
    "\n"
    "  -m, --model FILE    the model; without it the one that ships, which knows\n"
    "                      ten things: airplane, automobile, bird, cat, ... truck\n"
    "  -k, --top N         how many classes, or similar pictures, to show (5)\n"
    "  -j, --jobs N        pictures at a time, each computed by one thread (the processors that\n"
    "                      this process may use; with -t, or for a picture alone, 1)\n"
    "  -t, --threads N     threads to compute each picture with (with -j 1 the processors that\n"
    "                      this process may use, else 1)\n"
    "  -0, --null          names in lists end with NUL, as find -print0 writes them; without\n"
    "                      PICTURE the list is on standard input\n"
    "      --isa NAME      instruction set: portable, dsp, mve, neon, neon-dotprod, neon-i8mm,\n"
    "                      neon-bf16, simd128, rvv, sse4.1, avx2, avx2-vnni, avx512,\n"
    "                      avx512-vnni, avx512-bf16 or amx (the best there is, or what the\n"
    "                      environment variable VIT_ISA says)\n"
    "      --json          a JSON object for each picture, on a line of its own\n"
    "      --csv           a line of comma-separated values for each picture, after their names\n"
    "      --table         a line for each picture: the best class, or with -k N the best N\n"
    "      --resume FILE   write JSON lines to FILE, without the pictures that have a line there.\n"
    "                      Half a line at its end is cut off\n"
    "      --logits        the model's raw output for all classes, too\n"
    "      --pixels FILE   classify a tensor, before the pictures: the model's input as\n"
    "                      float32 [channels][height][width], little-endian\n"
    "      --size SIZE     look at the picture in another size: N or HxW pixels, or native, the\n"
    "                      picture's own aspect ratio with as many patches as usual\n"
    "      --merge R       merge R pairs of like tokens in each block (ToMe, Bolya et al. 2023):\n"
    "                      faster, a little less exact; 8 is moderate for 197 tokens\n"
    "      --heatmap DIR   write what the model looked at over each picture, as a PNG into\n"
    "                      DIR: attention rollout over all blocks (Abnar and Zuidema 2020)\n"
    "      --head B:H      the attention of head H in block B instead, both from 0\n"
    "      --embed OUT.npy write the pictures' embeddings, what the model's head reads, instead\n"
    "                      of classes: float32, a row for each picture that can be read. OUT.txt\n"
    "                      has the pictures' names, a line for each row\n"
    "      --similar WHERE show which pictures of WHERE are most like each PICTURE, by the cosine\n"
    "                      of their embeddings, instead of classes. WHERE is a folder, or an .npy\n"
    "                      that --embed wrote, with the .txt beside it\n"
    "      --draft         decode JPEGs at 1/2, 1/4 or 1/8 where that is as large as the model "
    "needs:\n"
    "                      faster, a little less exact (needs a build with make JPEG=turbo)\n"
    "      --max-memory MB refuse pictures that take more memory to decode, by their size and "
    "number\n"
    "                      of colours (256)\n"
    "      --max-scans N   refuse JPEGs of more scans: many empty ones take long (64)\n"
    "      --max-input MB  refuse more than that on standard input (64)\n"
    "  -h, --help          show this\n"
    "      --version       show the version\n"
    "\n";

static const char usage_notes[] =
    "JSON: {\"file\", \"model\", \"width\", \"height\", \"output\", \"top\": [{\"index\", "
    "\"label\",\n"
    "\"score\"}...], \"logits\": [...]}, best class first, or {\"file\", \"model\", \"error\"}. "
    "output\n"
    "says what score is, as the model has it: softmax or sigmoid, a probability, or number, a\n"
    "plain number. label is null where the model has no names. A model with a threshold\n"
    "(vit-teach --reject) adds \"none_of_these\": true where the best score is below it. A model\n"
    "without classes has output \"embedding\", and \"embedding\": [...] instead of top. With\n"
    "--similar it is \"similar\": [{\"file\", \"cosine\"}...] instead, the most similar first.\n"
    "examples/classify/line.schema.json is its JSON Schema.\n"
    "\n"
    "On a terminal there are colours, unless NO_COLOR is set, and a bar that tells how far it is.\n"
    "^C ends with the results that are there, and --resume goes on after them.\n"
    "\n"
    "Exit status: 0 success, 1 a picture or the model could not be used, or the output is not\n"
    "a number (the other pictures are still classified), 2 wrong usage, 130 ended by ^C.\n";

static const char short_usage[] = "usage: vit-classify [options] PICTURE...\n"
                                  "vit-classify --help lists the options\n";

static void wrong_usage(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void wrong_usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("vit-classify: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n%s", short_usage);
    va_end(arguments);
    exit(EXIT_USAGE);
}

static void show(const char *text, const char *more) {
    if (fputs(text, stdout) < 0 || fputs(more, stdout) < 0 || fflush(stdout) != 0)
        fail("standard output: %s", strerror(errno));
    exit(EXIT_SUCCESS);
}

/* A decimal number in [1, max]; ends the program if it is anything else. */
static int parse_count(const char *option, const char *text, long max) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > max)
        wrong_usage("%s takes a number from 1 to %ld, not '%s'", option, max, text);
    return (int)value;
}

/* Megabytes, up to a terabyte, or what a pointer can reach; in bytes. */
static size_t parse_megabytes(const char *option, const char *text) {
    return (size_t)parse_count(option, text, sizeof(size_t) > 4 ? 1 << 20 : 1 << 11) << 20;
}

/* VIT_ISA_BEST for NULL; ends the program if the name is unknown. */
static vit_isa parse_isa(const char *name) {
    if (name == NULL) return VIT_ISA_BEST;
    vit_isa isa = vit_isa_find(name);
    if (isa == VIT_ISA_COUNT) wrong_usage("there is no instruction set '%s'", name);
    return isa;
}

/* BLOCK:HEAD; ends the program if it is anything else. */
static heatmap_source parse_head(const char *text) {
    heatmap_source source;
    char rest;
    if (sscanf(text, "%d:%d%c", &source.block, &source.head, &rest) != 2 || source.block < 0 ||
        source.head < 0)
        wrong_usage("--head takes BLOCK:HEAD, both from 0, not '%s'", text);
    return source;
}

/* N, HxW or native; ends the program if it is anything else. */
static void parse_size(settings *s, const char *text) {
    char rest;
    int count = sscanf(text, "%dx%d%c", &s->img_size[0], &s->img_size[1], &rest);
    s->native = strcmp(text, "native") == 0;
    if (count == 1 && strspn(text, "0123456789") == strlen(text)) s->img_size[1] = s->img_size[0];
    else if (count != 2 && !s->native) s->img_size[0] = 0;
    if (!s->native && (s->img_size[0] <= 0 || s->img_size[1] <= 0))
        wrong_usage("--size takes N, HxW or native, not '%s'", text);
}

/* The name that is written to has to have room for .npy to become .txt. */
static const char *parse_embed(const char *text) {
    size_t length = strlen(text);
    if (length <= 4 || strcmp(text + length - 4, ".npy") != 0)
        wrong_usage("--embed takes a file that ends with .npy, not '%s'", text);
    return text;
}

static void set_layout(settings *s, layout new) {
    if (s->layout != LAYOUT_LIST && s->layout != new)
        wrong_usage("--json, --csv and --table are one or the other; --resume is --json");
    s->layout = new;
}

enum {
    OPTION_ISA = 256,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_TABLE,
    OPTION_RESUME,
    OPTION_LOGITS,
    OPTION_PIXELS,
    OPTION_SIZE,
    OPTION_MERGE,
    OPTION_HEATMAP,
    OPTION_HEAD,
    OPTION_EMBED,
    OPTION_SIMILAR,
    OPTION_DRAFT,
    OPTION_MAX_MEMORY,
    OPTION_MAX_SCANS,
    OPTION_MAX_INPUT,
    OPTION_VERSION
};

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"top", required_argument, NULL, 'k'},
    {"threads", required_argument, NULL, 't'},
    {"jobs", required_argument, NULL, 'j'},
    {"isa", required_argument, NULL, OPTION_ISA},
    {"null", no_argument, NULL, '0'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"table", no_argument, NULL, OPTION_TABLE},
    {"resume", required_argument, NULL, OPTION_RESUME},
    {"logits", no_argument, NULL, OPTION_LOGITS},
    {"pixels", required_argument, NULL, OPTION_PIXELS},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"merge", required_argument, NULL, OPTION_MERGE},
    {"heatmap", required_argument, NULL, OPTION_HEATMAP},
    {"head", required_argument, NULL, OPTION_HEAD},
    {"embed", required_argument, NULL, OPTION_EMBED},
    {"similar", required_argument, NULL, OPTION_SIMILAR},
    {"draft", no_argument, NULL, OPTION_DRAFT},
    {"max-memory", required_argument, NULL, OPTION_MAX_MEMORY},
    {"max-scans", required_argument, NULL, OPTION_MAX_SCANS},
    {"max-input", required_argument, NULL, OPTION_MAX_INPUT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
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
    case 'j':
        s->jobs = parse_count("-j", text, MAX_THREADS);
        break;
    case OPTION_ISA:
        s->isa = parse_isa(text);
        break;
    case '0':
        s->separator = '\0';
        break;
    case OPTION_JSON:
        set_layout(s, LAYOUT_JSON);
        break;
    case OPTION_CSV:
        set_layout(s, LAYOUT_CSV);
        break;
    case OPTION_TABLE:
        set_layout(s, LAYOUT_TABLE);
        break;
    case OPTION_RESUME:
        s->resume_path = text;
        set_layout(s, LAYOUT_JSON);
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
    case OPTION_MERGE:
        s->merge = parse_count("--merge", text, 1 << 20);
        break;
    case OPTION_HEATMAP:
        s->heatmap_dir = text;
        break;
    case OPTION_HEAD:
        s->heatmap_source = parse_head(text);
        break;
    case OPTION_EMBED:
        s->embed_path = parse_embed(text);
        break;
    case OPTION_SIMILAR:
        s->similar_path = text;
        break;
    case OPTION_DRAFT:
        s->draft = 1;
        break;
    case OPTION_MAX_MEMORY:
        s->limits.memory = parse_megabytes("--max-memory", text);
        break;
    case OPTION_MAX_SCANS:
        s->limits.scans = parse_count("--max-scans", text, 1 << 30);
        break;
    case OPTION_MAX_INPUT:
        s->limits.stream = parse_megabytes("--max-input", text);
        break;
    case OPTION_VERSION:
        show("vit-classify " TEXT(VIT_VERSION_MAJOR) "." TEXT(VIT_VERSION_MINOR) "." TEXT(
                 VIT_VERSION_PATCH),
             "\n");
        break;
    case 'h':
        show(usage, usage_notes);
        break;
    default: /* getopt_long has printed the error */
        fputs(short_usage, stderr);
        exit(EXIT_USAGE);
    }
}

/* Options that would do nothing beside each other are refused. */
static void check(const settings *s) {
    const char *task = s->embed_path != NULL ? "--embed" : "--similar";
    if (s->picture_count == 0 && s->pixels_path == NULL) wrong_usage("no picture is named");
    if (s->draft && !picture_has_draft())
        wrong_usage("--draft needs libjpeg-turbo: build with make clean, make JPEG=turbo");
    if (s->heatmap_dir == NULL && s->heatmap_source.block >= 0)
        wrong_usage("--head is of no use without --heatmap");
    if (s->heatmap_dir != NULL && s->merge > 0)
        wrong_usage("merged tokens have no places to draw: leave out --merge or --heatmap");
    if (s->embed_path == NULL && s->similar_path == NULL) return;
    if (s->embed_path != NULL && s->similar_path != NULL)
        wrong_usage("--embed and --similar are two runs: --similar takes what --embed wrote");
    if (s->logits) wrong_usage("%s computes no logits: leave out --logits", task);
    if (s->heatmap_dir != NULL) wrong_usage("%s draws no heatmaps: leave out --heatmap", task);
    if (s->embed_path != NULL && s->resume_path != NULL)
        wrong_usage("--embed writes a file of its own: leave out --resume");
    if (s->embed_path != NULL && s->layout != LAYOUT_LIST)
        wrong_usage("--embed prints nothing: leave out --json, --csv and --table");
    if (s->embed_path != NULL && s->top > 0) wrong_usage("--embed shows nothing: leave out -k");
}

/* With -0 and without a picture, names come from standard input. */
static void find_pictures(settings *s, int argc, char **argv) {
    static char list[] = "@-";
    static char *const lists[] = {list};
    int lists_named = 0;
    s->pictures = argv + optind;
    s->picture_count = argc - optind;
    if (s->separator == '\0' && s->picture_count == 0) s->pictures = lists, s->picture_count = 1;
    for (int i = 0; i < s->picture_count; i++) lists_named += s->pictures[i][0] == '@';
    if (s->separator == '\0' && lists_named == 0)
        wrong_usage("-0 is of no use without a list, as @- is");
}

/* https://no-color.org */
static int wants_colours(void) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

settings settings_parse(int argc, char **argv) {
    settings s = {.separator = '\n', .heatmap_source = {-1, 0}};
    int option;
    s.isa = parse_isa(getenv("VIT_ISA"));
    while ((option = getopt_long(argc, argv, "m:k:t:j:0h", options, NULL)) != -1)
        parse_option(&s, option, optarg);
    find_pictures(&s, argc, argv);
    check(&s);
    if (s.top == 0) s.top = s.layout == LAYOUT_TABLE ? 1 : USUAL_TOP;
    s.colours = s.layout == LAYOUT_LIST && wants_colours();
    return s;
}

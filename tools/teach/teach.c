/* vit-teach: classes of one's own, from folders of pictures. A backbone that stays as it is gives their
   features; a head is fitted to them. */
#include "embed.h"
#include "fit.h"
#include "head.h"
#include "photos.h"
#include "tell.h"
#include "validate.h"

#include "tools/convert/model_writer.h"
#include "tools/convert/report.h"
#include "tools/convert/rewrite.h"
#include "tools/open_model.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: vit-teach -m BACKBONE.vit [options] PHOTOS -o MINE.vit\n"
    "\n"
    "Teach a Vision Transformer classes of your own. PHOTOS is a folder with a folder of\n"
    "pictures for each class, whose name is the class's label. The backbone is any .vit\n"
    "file for pictures; its weights stay as they are, and MINE.vit gets a new head.\n"
    "\n"
    "  -m, --model FILE    the backbone\n"
    "  -o, --output FILE   the model to write\n"
    "      --test FOLDER   also tell how the model does on these pictures, which it does not\n"
    "                      learn from; the folders are named as in PHOTOS\n"
    "      --reject SHARE  store a score below which the answer is \"none of these\", by which\n"
    "                      SHARE of the right answers are kept, such as 0.95\n"
    "      --recipe NAME   how a picture becomes the model's input: own, as the backbone has it,\n"
    "                      whole, all of it squeezed to the input's size, or best, the better of\n"
    "                      both on held-out pictures (as without it)\n"
    "      --dtype NAME    type of the weights, if the backbone's are float32: f32, f16, bf16,\n"
    "                      int8, int8x or int4\n"
    "      --cache FILE    where the pictures' features are, which memory does not hold, for this\n"
    "                      run and the next (MINE.vit.features)\n"
    "  -j, --jobs N        pictures at a time (the processors that this process may use)\n"
    "  -h, --help          show this\n"
    "      --version       show the version\n"
    "\n"
    "Each picture is seen mirrored, too. What the head reads (token 0, the mean of the patches,\n"
    "or both), the recipe and the regularisation are those that are best on held-out pictures\n"
    "(cross-validation in 5 folds, by the likelihood of the right class). The probabilities of\n"
    "those tell the accuracy to expect, and calibrate the model's.\n"
    "\n"
    "Exit status: 0 success; 1 an error, or a picture was left out; 2 wrong usage.\n";

enum { FEW = 10 };

static const unsigned own_views = 1u | 1u << VIEW_MIRRORED;
static const unsigned whole_views = 1u << VIEW_WHOLE | 1u << (VIEW_WHOLE | VIEW_MIRRORED);

typedef struct arguments {
    const char *model, *output, *photos, *test, *cache;
    vit_dtype dtype; /* VIT_DTYPE_COUNT: the backbone's */
    double reject;   /* 0: no threshold */
    unsigned views;
    int jobs;
} arguments;

/* ---- arguments ------------------------------------------------------------------------------ */

enum {
    OPTION_TEST = 256,
    OPTION_REJECT,
    OPTION_RECIPE,
    OPTION_DTYPE,
    OPTION_CACHE,
    OPTION_VERSION
};

static const struct option options[] = {
    {"model", 1, NULL, 'm'},
    {"output", 1, NULL, 'o'},
    {"jobs", 1, NULL, 'j'},
    {"help", 0, NULL, 'h'},
    {"test", 1, NULL, OPTION_TEST},
    {"reject", 1, NULL, OPTION_REJECT},
    {"recipe", 1, NULL, OPTION_RECIPE},
    {"dtype", 1, NULL, OPTION_DTYPE},
    {"cache", 1, NULL, OPTION_CACHE},
    {"version", 0, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static double parse_share(const char *text) {
    char *end;
    double share = strtod(text, &end);
    if (end == text || *end != 0 || !(share > 0 && share < 1))
        fail("--reject: %s is not between 0 and 1", text);
    return share;
}

static int parse_jobs(const char *text) {
    char *end;
    long jobs = strtol(text, &end, 10);
    if (end == text || *end != 0 || jobs < 1 || jobs > 1024)
        fail("-j: %s is not a number from 1 to 1024", text);
    return (int)jobs;
}

static unsigned parse_recipe(const char *text) {
    if (strcmp(text, "own") == 0) return own_views;
    if (strcmp(text, "whole") == 0) return whole_views;
    if (strcmp(text, "best") != 0) fail("--recipe: %s is none of own, whole and best", text);
    return own_views | whole_views;
}

static vit_dtype parse_dtype(const char *text) {
    vit_dtype dtype = vit_dtype_find(text);
    if (dtype == VIT_DTYPE_COUNT)
        fail("--dtype: %s is none of f32, f16, bf16, int8, int8x and int4", text);
    return dtype;
}

static void parse_option(arguments *a, int option, const char *text) {
    switch (option) {
    case 'm':
        a->model = text;
        break;
    case 'o':
        a->output = text;
        break;
    case 'j':
        a->jobs = parse_jobs(text);
        break;
    case OPTION_TEST:
        a->test = text;
        break;
    case OPTION_REJECT:
        a->reject = parse_share(text);
        break;
    case OPTION_RECIPE:
        a->views = parse_recipe(text);
        break;
    case OPTION_DTYPE:
        a->dtype = parse_dtype(text);
        break;
    case OPTION_CACHE:
        a->cache = text;
        break;
    case OPTION_VERSION:
        show_version();
        break;
    case 'h':
        show(usage);
        break;
    default:
        wrong_usage(usage); /* getopt_long has printed the error */
    }
}

static arguments parse_arguments(int argc, char **argv) {
    arguments a = {NULL, NULL, NULL, NULL, NULL, VIT_DTYPE_COUNT, 0, own_views | whole_views, 0};
    int option;
    while ((option = getopt_long(argc, argv, "m:o:j:h", options, NULL)) != -1)
        parse_option(&a, option, optarg);
    if (a.model == NULL || a.output == NULL || optind != argc - 1) wrong_usage(usage);
    a.photos = argv[optind];
    if (a.jobs == 0) a.jobs = vit_processor_count();
    return a;
}

/* Before any work is done for it: a file to be written has to be a regular one, in a folder that can be
   written to. */
static void check_writable(const char *path) {
    struct stat status;
    const char *slash = strrchr(path, '/');
    int length = slash == NULL || slash == path ? 1 : (int)(slash - path);
    char *folder = format_text("%.*s", length, slash == NULL ? "." : path);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) fail("%s: not a regular file", path);
    if (access(folder, W_OK) != 0) fail("%s: %s", path, strerror(errno));
    free(folder);
}

/* ---- the pictures' features ----------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

/* Pictures that could be read. */
typedef struct pictures {
    const photos *photos;
    const record **records; /* [count] */
    int *classes;           /* [count] */
    const char **paths;     /* [count] */
    size_t count;
} pictures;

static int has_views(const record *r, unsigned views) {
    for (int view = 0; view < VIEW_COUNT; view++)
        if (views >> view & 1 && r->views[view] == NULL) return 0;
    return 1;
}

/* Those of the cache that have these views. */
static pictures find_pictures(const cache *c, const photos *p, unsigned views) {
    pictures q = {p, NULL, NULL, NULL, 0};
    q.records = allocate(p->count, sizeof(record *));
    q.classes = allocate(p->count, sizeof(int));
    q.paths = allocate(p->count, sizeof(char *));
    for (size_t i = 0; i < p->count; i++) {
        const photo *file = &p->list[i];
        const record *r = cache_find(c, file->path, file->size, file->mtime);
        if (r == NULL || !has_views(r, views)) continue;
        q.records[q.count] = r;
        q.classes[q.count] = file->class;
        q.paths[q.count++] = file->path;
    }
    return q;
}

static void free_pictures(pictures *q) {
    free(q->records);
    free(q->classes);
    free(q->paths);
}

/* ---- are they fit to learn from? ------------------------------------------------------------- */

static size_t count_of(const pictures *q, int class) {
    size_t count = 0;
    for (size_t i = 0; i < q->count; i++) count += q->classes[i] == class;
    return count;
}

static void check_counts(const pictures *q) {
    for (int class = 0; class < q->photos->classes; class ++) {
        size_t count = count_of(q, class);
        const char *label = q->photos->labels[class];
        if (count == 0) fail("%s: none of its pictures can be read", label);
        if (count < FEW) note("%s: few pictures, %zu: %d or more are better", label, count, FEW);
    }
}

/* A picture, by what its features are. */
typedef struct print {
    uint64_t hash;
    size_t index;
} print;

static int compare_prints(const void *a, const void *b) {
    const print *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The hash of a view that all have. */
static print *sorted_prints(const pictures *q, unsigned views, const cache *c) {
    print *prints = allocate(q->count, sizeof(print));
    int view = views & 1 ? 0 : VIEW_WHOLE;
    for (size_t i = 0; i < q->count; i++) {
        prints[i].hash = cache_hash(q->records[i]->views[view], c->dim * sizeof(float));
        prints[i].index = i;
        cache_was_read(c, i, i + 1);
    }
    if (q->count > 1) qsort(prints, q->count, sizeof(print), compare_prints);
    return prints;
}

/* Leaves out the pictures of these flags. */
static void leave_out(pictures *q, const char *repeated) {
    size_t kept = 0;
    for (size_t i = 0; i < q->count; i++) {
        if (repeated[i]) continue;
        q->records[kept] = q->records[i];
        q->classes[kept] = q->classes[i];
        q->paths[kept++] = q->paths[i];
    }
    if (kept < q->count)
        note("pictures that are there twice in a class are taken once: %zu", q->count - kept);
    q->count = kept;
}

/* The same picture, whatever its file's format, has the same features: in one class it is taken once, in
   two it is an error. */
static void check_repeated(pictures *q, unsigned views, const cache *c) {
    print *prints = sorted_prints(q, views, c);
    char *repeated = allocate(q->count, 1);
    size_t contradictions = 0;
    for (size_t i = 1; i < q->count; i++) {
        size_t a = prints[i - 1].index, b = prints[i].index;
        if (prints[i].hash != prints[i - 1].hash) continue;
        repeated[b] = 1;
        if (q->classes[a] == q->classes[b]) continue;
        note("%s is the same picture as %s", q->paths[b], q->paths[a]);
        contradictions++;
    }
    if (contradictions > 0)
        fail("the same picture in two classes, %zu times: remove one of each two", contradictions);
    leave_out(q, repeated);
    free(repeated);
    free(prints);
}

/* Says how many pictures to test on are among those that are learned. */
static void check_test(const pictures *test, const pictures *learn, unsigned views,
                       const cache *c) {
    print *prints = sorted_prints(learn, views, c), *tested = sorted_prints(test, views, c);
    size_t shared = 0, j = 0;
    for (size_t i = 0; i < test->count; i++) {
        while (j < learn->count && prints[j].hash < tested[i].hash) j++;
        shared += j < learn->count && prints[j].hash == tested[i].hash;
    }
    if (shared > 0)
        note("--test: pictures that are among those to learn from, and prove nothing: %zu", shared);
    free(prints);
    free(tested);
}

/* ---- the model ------------------------------------------------------------------------------ */

static void read_weights(const void *source, size_t row, float *values) {
    const linear *head = source;
    for (size_t j = 0; j < head->dim; j++) values[j] = (float)head->weights[row * head->dim + j];
}

static char *join_labels(const photos *p, size_t *size) {
    *size = 0;
    for (int i = 0; i < p->classes; i++) *size += strlen(p->labels[i]) + 1;
    char *labels = allocate(*size, 1), *next = labels;
    for (int i = 0; i < p->classes; i++) {
        size_t length = strlen(p->labels[i]) + 1;
        memcpy(next, p->labels[i], length);
        next += length;
    }
    return labels;
}

static void write_model(const char *path, const vit_model *backbone, const vit_config *config,
                        const photos *p, const linear *head) {
    model_writer w;
    vit_tensor t;
    size_t size;
    char *labels = join_labels(p, &size);
    float *bias = allocate((size_t)p->classes, sizeof(float));
    for (int c = 0; c < p->classes; c++) bias[c] = (float)head->bias[c];
    model_writer_begin_from(&w, path, config, backbone, labels, size);
    while (model_writer_next(&w, &t)) {
        if (strcmp(t.name, "head") == 0) model_writer_add(&w, "head", read_weights, head, bias);
        else model_writer_copy(&w);
    }
    model_writer_end(&w);
    free(labels);
    free(bias);
}

/* The backbone in another type. It is a file that has lost its name once it is open. */
static void retype(vit_model *backbone, const arguments *a) {
    char *path = format_text("%s.backbone.%ld.tmp", a->output, (long)getpid());
    vit_model_close(backbone);
    rewrite(a->model, path, a->dtype, NULL);
    vit_status status = vit_model_load(backbone, path, NULL);
    remove(path);
    if (status != VIT_OK) fail("%s: %s", path, vit_status_string(status));
    free(path);
}

static vit_model open_backbone(const arguments *a) {
    vit_model backbone = open_model(a->model, NULL);
    if (a->dtype != VIT_DTYPE_COUNT && a->dtype != vit_model_dtype(&backbone)) retype(&backbone, a);
    return backbone;
}

/* ---- learning ------------------------------------------------------------------------------- */

/* Two rows are views of one picture. */
static void rows_were_read(const void *owner, size_t begin, size_t end) {
    cache_was_read(owner, begin / 2, end / 2);
}

static lessons lessons_of(const pictures *q, const embedder *e, const arguments *a) {
    lessons l = {q->records,
                 q->classes,
                 q->count,
                 q->photos->classes,
                 (size_t)e->model.config.embed_dim,
                 e->class_token,
                 a->jobs,
                 {rows_were_read, &e->cache}};
    return l;
}

static answers answers_of(const pictures *q, const double *logits, double factor) {
    answers a = {logits, q->classes, q->paths, q->count, q->photos->classes, q->photos->labels,
                 factor};
    return a;
}

static void tell_choice(const choice *c) {
    static const char *const readings[] = {"token 0", "the mean of the patches",
                                           "token 0 and the mean of the patches"};
    const reading *r = &c->reading;
    printf("the head reads %s, of %s; L2 %.6g\n",
           readings[r->tokens + r->average == 2 ? 2 : r->average],
           r->view & VIEW_WHOLE ? "the whole picture" : "the picture by the backbone's own recipe",
           c->l2);
}

/* What the held-out answers say. Returns them, calibrated. */
static answers tell_held_out(const pictures *q, const choice *c) {
    answers a = answers_of(q, c->logits, 1);
    tell_accuracy("right on held-out pictures", &a);
    double before = tell_calibration_error(&a);
    a.factor = tell_best_factor(&a);
    printf(
        "calibration error: %.1f %%, and %.1f %% with the temperature %.4f, which the head has\n",
        100 * before, 100 * tell_calibration_error(&a), 1 / a.factor);
    tell_confusion(&a);
    tell_mislabelled(&a);
    return a;
}

/* How the head does on other pictures. */
static void tell_test(const pictures *q, const lessons *l, const choice *c, const linear *head,
                      double threshold) {
    double *logits = allocate(q->count * (size_t)q->photos->classes, sizeof(double));
    for (size_t i = 0; i < q->count; i++) {
        linear_apply(head, q->records[i]->views[c->reading.view] + reading_offset(l, &c->reading),
                     logits + i * (size_t)q->photos->classes);
        l->store.was_read(l->store.owner, 2 * i, 2 * i + 2);
    }
    answers a = answers_of(q, logits, 1);
    tell_accuracy("right on the pictures of --test", &a);
    printf("calibration error: %.1f %%\n", 100 * tell_calibration_error(&a));
    tell_confusion(&a);
    if (threshold > 0) tell_rejected(&a, threshold);
    free(logits);
}

/* Fits and writes the model; tells about it. */
static void teach(const arguments *a, const vit_model *backbone, const embedder *e,
                  const pictures *learn, const pictures *test) {
    lessons l = lessons_of(learn, e, a);
    choice c = validate(&l, a->views);
    tell_choice(&c);
    answers held_out = tell_held_out(learn, &c);
    double threshold = a->reject > 0 ? tell_threshold(&held_out, a->reject) : 0;
    if (threshold > 0) tell_rejected(&held_out, threshold);
    linear head = head_fit(&l, &c, held_out.factor);
    vit_config config = head_config(backbone, &c.reading, l.class_count, threshold);
    write_model(a->output, backbone, &config, learn->photos, &head);
    printf("%s: written\n", a->output);
    if (test != NULL) tell_test(test, &l, &c, &head, threshold);
    linear_free(&head);
    free(c.logits);
}

/* The views of test pictures: as they are. */
static unsigned unmirrored(unsigned views) {
    return views & (1u | 1u << VIEW_WHOLE);
}

static size_t count_new(const pictures *q) {
    size_t count = 0;
    for (size_t i = 0; i < q->count; i++) count += (size_t)q->records[i]->is_new;
    return count;
}

static void tell_pictures(const pictures *learn, const pictures *test, double seconds) {
    printf("%zu pictures of %d classes, %zu of them new", learn->count, learn->photos->classes,
           count_new(learn));
    if (test != NULL) printf(", %zu to test on", test->count);
    printf("; their features took %.1f s\n", seconds);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Puts the features of all pictures in the cache. Returns how many there are. */
static size_t embed(embedder *e, const photos *learn, const photos *test, unsigned views) {
    void (*before)(int) = signal(SIGINT, interrupt);
    signal(SIGXFSZ, SIG_IGN); /* a limit of a file's size is an error of writing */
    size_t good = embed_photos(e, learn, views);
    if (test->count > 0) good += embed_photos(e, test, unmirrored(views));
    signal(SIGINT, before);
    cache_read_added(&e->cache);
    return good;
}

/* Returns whether nothing was left out. */
static int run(const arguments *a, const vit_model *backbone, embedder *e) {
    photos learn_photos = photos_find(a->photos, NULL), test_photos = {NULL, 0, NULL, 0};
    if (a->test != NULL) test_photos = photos_find(a->test, &learn_photos);
    double begin = seconds_now();
    size_t good = embed(e, &learn_photos, &test_photos, a->views);
    pictures learn = find_pictures(&e->cache, &learn_photos, a->views);
    pictures test = find_pictures(&e->cache, &test_photos, unmirrored(a->views));
    if (learn.count + test.count != good) fail("%s: was changed by another program", a->cache);
    check_counts(&learn);
    check_repeated(&learn, a->views, &e->cache);
    if (a->test != NULL && test.count == 0) fail("%s: no picture can be read", a->test);
    if (a->test != NULL) check_test(&test, &learn, a->views, &e->cache);
    tell_pictures(&learn, a->test != NULL ? &test : NULL, seconds_now() - begin);
    teach(a, backbone, e, &learn, a->test != NULL ? &test : NULL);
    free_pictures(&learn);
    free_pictures(&test);
    photos_free(&learn_photos);
    photos_free(&test_photos);
    return good == learn_photos.count + test_photos.count;
}

int main(int argc, char **argv) {
    embedder e;
    report_program = "vit-teach";
    arguments a = parse_arguments(argc, argv);
    char *beside = format_text("%s.features", a.output);
    if (a.cache == NULL) a.cache = beside;
    check_writable(a.output);
    check_writable(a.cache);
    vit_model backbone = open_backbone(&a);
    embed_begin(&e, &backbone, a.cache, a.jobs);
    e.stop = &interrupted;
    int good = run(&a, &backbone, &e);
    embed_end(&e);
    vit_model_close(&backbone);
    free(beside);
    if (fflush(stdout) != 0) fail("the report cannot be written");
    return good ? 0 : 1;
}

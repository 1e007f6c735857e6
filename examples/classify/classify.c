/* vit-classify: what is in these pictures? settings.c has its options.

   The program follows the data: settings, the model, inputs (files, folders, lists), a crew of
   classifiers that look at them, reports. */

#define VIT_IMPLEMENTATION
#include "vit.h"

#include "classifier.h"
#include "crew.h"
#include "embeddings.h"
#include "progress.h"
#include "report.h"
#include "resume.h"
#include "say.h"
#include "settings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef VIT_MODEL_DIR /* where `make install` puts the model that ships */
#define VIT_MODEL_DIR "/usr/local/share/vit"
#endif
#define DEFAULT_MODEL "cifar10.vit"

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

/* Why a file is no model, with the way out where there is one. */
static void fail_model(const char *path, vit_status status) {
    static const char pointer[] = "version https://git-lfs";
    char begin[sizeof(pointer)] = "";
    errno = 0;
    FILE *file = fopen(path, "rb");
    size_t got = file == NULL ? 0 : fread(begin, 1, sizeof(begin) - 1, file);
    if (file == NULL && errno == ENOENT)
        fail("%s: %s (vit-convert makes a .vit file of a checkpoint that was downloaded)", path,
             strerror(errno));
    if (file == NULL || (got == 0 && errno != 0)) fail("%s: %s", path, strerror(errno));
    fclose(file);
    if (got == 0) fail("%s: the file is empty", path);
    if (strcmp(begin, pointer) == 0)
        fail("%s: a git-lfs pointer: the model itself was not fetched (git lfs pull)", path);
    if (status == VIT_ERROR_MAGIC)
        fail("%s: %s; vit-convert makes one of a checkpoint", path, vit_status_string(status));
    if (status == VIT_ERROR_SIZE || status == VIT_ERROR_CHECKSUM)
        fail("%s: %s: fetch or convert it again", path, vit_status_string(status));
    fail("%s: %s", path, vit_status_string(status));
}

/* The threads compute the checksums of the weights. */
static vit_status load_model(vit_model *model, const char *path, int threads) {
    vit_pool *pool = threads == 1 ? NULL : vit_pool_create(threads, NULL);
    const vit_load_options options = {.parallel_for = pool == NULL ? NULL : vit_pool_parallel_for,
                                      .parallel_user = pool};
    vit_status status = vit_model_load(model, path, &options);
    vit_pool_destroy(pool);
    return status;
}

static vit_model open_model(settings *s, const char *argv0) {
    vit_model model;
    const char *path = s->model_path != NULL ? s->model_path : find_default_model(argv0);
    if (path == NULL) fail("%s is not installed; name a model with -m", DEFAULT_MODEL);
    const char *slash = strrchr(path, '/');
    s->model_name = slash != NULL ? slash + 1 : path;
    vit_status status = load_model(&model, path, s->jobs > 1 ? s->jobs : s->threads);
    if (status != VIT_OK) fail_model(path, status);
    if (s->model_path == NULL) introduce(path, &model);
    return model;
}

/* ---- a run ---- */

static volatile sig_atomic_t interrupted; /* 0, or by which signal */

static void interrupt(int signal_number) {
    interrupted = signal_number;
}

/* The first ^C ends the run in good order, the second at once. A closed pipe is an error in writing. */
static void handle_signals(void) {
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

typedef struct run {
    const settings *settings;
    struct desk *desks; /* [jobs] */
    int jobs;
    gallery gallery;          /* with --similar */
    int gathers;              /* whether what is looked at goes there */
    embeddings_writer writer; /* with --embed */
    resume resume;            /* with --resume */
    FILE *out;                /* where lines go */
    const char *out_name;
    progress progress;
    size_t errors;
} run;

/* What a worker works with. */
typedef struct desk {
    classifier classifier;
    const run *run;
    float *cosines; /* [gallery.count] */
    int *indices;   /* [settings.top] */
} desk;

static int is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Whether there is but one thing to look at, so that its threads may as well share that. */
static int is_single(const settings *s) {
    if (s->similar_path != NULL && is_folder(s->similar_path)) return 0;
    if (s->picture_count + (s->pixels_path != NULL) > 1) return 0;
    return s->picture_count == 0 || (s->pictures[0][0] != '@' && !is_folder(s->pictures[0]));
}

static int count_jobs(const settings *s) {
    if (s->jobs > 0) return s->jobs;
    return s->threads > 0 || is_single(s) ? 1 : vit_processor_count();
}

static void set_desks(run *r, const vit_model *model) {
    const settings *s = r->settings;
    int threads = s->threads > 0 ? s->threads : r->jobs == 1 ? 0 : 1;
    r->desks = (desk *)allocate((size_t)r->jobs, sizeof(desk));
    for (int i = 0; i < r->jobs; i++) {
        const char *error = classifier_start(&r->desks[i].classifier, model, s, threads);
        if (error != NULL) fail("%s", error);
        r->desks[i].run = r;
    }
}

static void clear_desks(run *r) {
    for (int i = 0; i < r->jobs; i++) {
        classifier_stop(&r->desks[i].classifier);
        free(r->desks[i].cosines);
        free(r->desks[i].indices);
    }
    free(r->desks);
}

/* ---- what a worker does with an input ---- */

static float *copy_row(const classifier *c) {
    float *row = (float *)allocate((size_t)c->count, sizeof(float));
    memcpy(row, c->output, (size_t)c->count * sizeof(float));
    return row;
}

static void report(desk *d, FILE *out) {
    const gallery *g = &d->run->gallery;
    if (d->run->settings->similar_path == NULL) {
        report_answer(out, &d->classifier);
        return;
    }
    gallery_find(g, d->classifier.output, d->classifier.similar_count, d->cosines, d->indices);
    report_similar(out, &d->classifier, g, d->cosines, d->indices);
}

static void look(void *worker, const input *in, outcome *out) {
    desk *d = (desk *)worker;
    int embeds = d->run->gathers || d->run->settings->embed_path != NULL;
    out->error = classifier_look(&d->classifier, in);
    if (embeds && out->error == NULL) out->error = embeddings_refuse(in->path);
    if (embeds && out->error == NULL) out->row = copy_row(&d->classifier);
    if (embeds) return;
    FILE *text = open_memstream(&out->text, &out->text_size);
    if (text == NULL) fail("out of memory");
    if (out->error == NULL) report(d, text);
    else report_error(text, &d->classifier, out->error);
    if (fclose(text) != 0) fail("out of memory");
}

/* ---- what becomes of it ---- */

/* Returns whether it went well. */
static int print(const run *r, const char *text, size_t size) {
    if (fwrite(text, 1, size, r->out) == size && fflush(r->out) == 0) return 1;
    note("%s: %s", r->out_name, strerror(errno));
    return 0;
}

static int put(void *user, const outcome *out) {
    run *r = (run *)user;
    int is_told = r->settings->layout != LAYOUT_JSON && r->settings->layout != LAYOUT_CSV;
    r->errors += out->error != NULL;
    if (out->text_size > 0 || out->error != NULL) progress_hide(&r->progress);
    if (out->error != NULL && (is_told || r->gathers))
        note("%s: %s", out->in.path != NULL ? out->in.path : "?", out->error);
    if (out->row != NULL && r->gathers) gallery_add(&r->gallery, out->in.path, out->row);
    if (out->row != NULL && !r->gathers) embeddings_add(&r->writer, out->in.path, out->row);
    int good = out->text_size == 0 || print(r, out->text, out->text_size);
    r->errors += !good;
    progress_step(&r->progress, out->error != NULL);
    return good;
}

static void look_at_all(run *r, inputs *all) {
    crew c = {.inputs = all, .work = look, .put = put, .user = r};
    void **workers = (void **)allocate((size_t)r->jobs, sizeof(void *));
    for (int i = 0; i < r->jobs; i++) workers[i] = &r->desks[i];
    progress_begin(&r->progress, progress_is_wanted() ? inputs_count(all) : 0);
    crew_run(&c, workers, r->jobs);
    progress_hide(&r->progress);
    free(workers);
    inputs_close(all);
    if (all->left_out > 0)
        note("files in folders that are no pictures by their names are left out: %zu",
             all->left_out);
    if (interrupted) note("interrupted after %zu pictures", r->progress.done);
}

/* The lines' file, and what precedes them. Returns whether it went well. */
static int begin_lines(run *r) {
    const settings *s = r->settings;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) fail("out of memory");
    report_begin(memory, &r->desks[0].classifier);
    if (fclose(memory) != 0) fail("out of memory");
    if (s->resume_path != NULL) r->resume = resume_open(s->resume_path, s->model_name);
    r->out = s->resume_path != NULL ? r->resume.file : stdout;
    r->out_name = s->resume_path != NULL ? s->resume_path : "standard output";
    r->errors += r->resume.errors;
    int good = print(r, text, size);
    r->errors += !good;
    free(text);
    return good;
}

static int has_line(const void *user, const char *path) {
    return resume_has((const resume *)user, path);
}

/* ---- what is asked for ---- */

static void open_gallery(run *r) {
    const settings *s = r->settings;
    size_t columns = (size_t)r->desks[0].classifier.count, length = strlen(s->similar_path);
    char *folder = strdup(s->similar_path);
    inputs all = {.names = &folder, .count = 1, .stop = &interrupted};
    if (!is_folder(s->similar_path)) {
        if (length <= 4 || strcmp(s->similar_path + length - 4, ".npy") != 0)
            fail("--similar: %s: neither a folder nor an .npy file", s->similar_path);
        r->gallery = gallery_read(s->similar_path, columns);
    } else {
        r->gallery.columns = columns;
        r->gathers = 1;
        look_at_all(r, &all);
        r->gathers = 0;
    }
    free(folder);
    if (interrupted) return;
    if (r->gallery.count == 0) fail("--similar: %s: there is no picture in it", s->similar_path);
    for (int i = 0; i < r->jobs; i++) {
        int all_count = (int)r->gallery.count;
        r->desks[i].classifier.similar_count = s->top < all_count ? s->top : all_count;
        r->desks[i].cosines = (float *)allocate(r->gallery.count, sizeof(float));
        r->desks[i].indices = (int *)allocate((size_t)s->top, sizeof(int));
    }
}

static void embed_all(run *r, inputs *all) {
    const char *path = r->settings->embed_path;
    embeddings_begin(&r->writer, path, (size_t)r->desks[0].classifier.count);
    look_at_all(r, all);
    embeddings_end(&r->writer);
    note("%s: %zu embeddings of %zu numbers", path, r->writer.rows, r->writer.columns);
}

static void look_at_pictures(run *r) {
    const settings *s = r->settings;
    inputs all = {.tensor = s->pixels_path,
                  .names = s->pictures,
                  .count = s->picture_count,
                  .separator = s->separator,
                  .stop = &interrupted};
    if (s->embed_path != NULL) {
        embed_all(r, &all);
        return;
    }
    if (s->similar_path != NULL) open_gallery(r);
    if (interrupted || !begin_lines(r)) return;
    if (s->resume_path != NULL) all.is_done = has_line, all.user = &r->resume;
    look_at_all(r, &all);
    resume_close(&r->resume);
}

static void make_folder(const char *path) {
    struct stat status;
    int error = mkdir(path, 0777) == 0 ? 0 : errno;
    if (error == EEXIST && stat(path, &status) == 0) error = S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error != 0) fail("%s: %s", path, strerror(error));
}

int main(int argc, char **argv) {
    settings s = settings_parse(argc, argv);
    run r = {.settings = &s, .jobs = count_jobs(&s)};
    vit_model model = open_model(&s, argv[0]);
    set_desks(&r, &model);
    if (s.heatmap_dir != NULL) make_folder(s.heatmap_dir);
    handle_signals();
    look_at_pictures(&r);
    clear_desks(&r);
    gallery_free(&r.gallery);
    vit_model_close(&model);
    if (interrupted) return 128 + interrupted;
    return r.errors == 0 ? EXIT_SUCCESS : EXIT_BAD_INPUT;
}

#define VIT_IMPLEMENTATION
#include "embed.h"

#include "head.h"

#include "examples/picture.h"
#include "tools/convert/report.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { SECONDS_BETWEEN_WRITES = 30, BAR_LENGTH = 40 };

/* ---- the features of a picture --------------------------------------------------------------- */

/* What one thread works with. */
typedef struct desk {
    const embedder *e;
    float *pixels;
    void *workspace;
    size_t workspace_size;
} desk;

static const vit_options features = {.features = VIT_FEATURES_POOLED};

static void reserve(desk *d, size_t size) {
    if (size <= d->workspace_size) return;
    free(d->workspace);
    d->workspace = allocate(size, 1);
    d->workspace_size = size;
}

static vit_image mirrored(vit_image image) {
    if (image.pixel_stride == 0) image.pixel_stride = 3;
    if (image.row_stride == 0) image.row_stride = image.width * image.pixel_stride;
    image.data += (image.width - 1) * image.pixel_stride;
    image.pixel_stride = -image.pixel_stride;
    return image;
}

/* The features of a view, in memory of their own; NULL and why if that is not possible. */
static float *embed_view(desk *d, vit_image image, int view, const char **why) {
    vit_model model = d->e->model;
    if (view & VIEW_MIRRORED) image = mirrored(image);
    if (view & VIEW_WHOLE) model.config.preprocess = head_whole_recipe(&model.config);
    reserve(d, vit_preprocess_workspace_size(&model, NULL, &image));
    vit_status status =
        vit_preprocess(&model, NULL, &image, d->pixels, d->workspace, d->workspace_size);
    if (status != VIT_OK) {
        *why = vit_status_string(status);
        return NULL;
    }
    float *output = allocate(d->e->cache.dim, sizeof(float));
    reserve(d, vit_workspace_size(&model, &features, 1));
    status = vit_forward(&model, &features, d->pixels, 1, output, d->workspace, d->workspace_size);
    if (status != VIT_OK) *why = vit_status_string(status);
    for (size_t i = 0; i < d->e->cache.dim && status == VIT_OK; i++) {
        if (!vit__is_finite(output[i])) *why = "its features are not numbers";
    }
    return output;
}

static void copy_views(record *to, const record *from, size_t dim) {
    to->content = from->content;
    for (int i = 0; i < VIEW_COUNT; i++) {
        if (from->views[i] == NULL) continue;
        to->views[i] = allocate(dim, sizeof(float));
        memcpy(to->views[i], from->views[i], dim * sizeof(float));
    }
}

static unsigned views_of(const record *r) {
    unsigned views = 0;
    for (int i = 0; i < VIEW_COUNT; i++) views |= (unsigned)(r->views[i] != NULL) << i;
    return views;
}

static void drop_views(record *r) {
    for (int i = 0; i < VIEW_COUNT; i++) {
        free(r->views[i]);
        r->views[i] = NULL;
    }
}

/* The views that the cache lacks, from the file's bytes. Returns NULL, or what is wrong. */
static const char *embed_bytes(desk *d, const unsigned char *bytes, size_t size, unsigned views,
                               record *r) {
    picture p;
    const char *why = picture_decode(&p, bytes, size);
    r->is_new = 1;
    if (why != NULL) return why;
    for (int i = 0; i < VIEW_COUNT && why == NULL; i++) {
        if (views >> i & 1 && r->views[i] == NULL) r->views[i] = embed_view(d, p.image, i, &why);
    }
    picture_free(&p);
    return why;
}

/* Fills a record. Returns NULL, or what is wrong; then it has no views. */
static const char *embed_photo(desk *d, const photo *file, unsigned views, record *r) {
    const embedder *e = d->e;
    const record *old = cache_find(&e->cache, file->path, file->size, file->mtime);
    unsigned char *bytes;
    size_t size;
    if (old != NULL) copy_views(r, old, e->cache.dim);
    if ((views & ~views_of(r)) == 0) return NULL;
    const char *why = picture_read_file(file->path, &bytes, &size);
    if (why != NULL) return why;
    r->content = cache_hash(bytes, size);
    old = old != NULL ? NULL : cache_find_content(&e->cache, size, r->content);
    if (old != NULL) copy_views(r, old, e->cache.dim);
    if ((views & ~views_of(r)) != 0) why = embed_bytes(d, bytes, size, views, r);
    free(bytes);
    if (why != NULL) drop_views(r);
    return why;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What the threads share. */
typedef struct work {
    embedder *e;
    const photos *photos;
    unsigned views;
    record *records;
    size_t next, finished, good;
    double written; /* when the cache was, in seconds */
    pthread_mutex_t lock;
} work;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void draw_bar(const work *w) {
    size_t count = w->photos->count, length = w->finished * BAR_LENGTH / count;
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r[%.*s%*s] %zu of %zu", (int)length,
            "########################################", BAR_LENGTH - (int)length, "", w->finished,
            count);
    if (w->finished == count) fprintf(stderr, "\r%*s\r", BAR_LENGTH + 32, "");
}

static void write_cache(work *w) {
    cache *c = &w->e->cache;
    const char *why = cache_write(c, w->e->done, w->e->done_count);
    if (why != NULL && !c->failed) note("%s: the features cannot be kept: %s", c->path, why);
    c->failed = why != NULL;
    w->written = seconds();
}

/* The index of the next picture, or the count after the last or an interrupt. */
static size_t take_next(work *w) {
    pthread_mutex_lock(&w->lock);
    size_t index = *w->e->stop ? w->photos->count : w->next;
    if (index < w->photos->count) w->next++;
    pthread_mutex_unlock(&w->lock);
    return index;
}

static void put_done(work *w, size_t index, const char *why) {
    pthread_mutex_lock(&w->lock);
    if (why != NULL) note("%s: left out: %s", w->photos->list[index].path, why);
    w->good += why == NULL;
    w->finished++;
    w->e->done[w->e->done_count++] = &w->records[index];
    draw_bar(w);
    if (seconds() > w->written + SECONDS_BETWEEN_WRITES) write_cache(w);
    pthread_mutex_unlock(&w->lock);
}

/* A vit_task: what one thread does. */
static void embed_some(void *arg, int index) {
    work *w = arg;
    desk d = {w->e, allocate(vit_pixels_count(&w->e->model, NULL), sizeof(float)), NULL, 0};
    (void)index;
    for (size_t i; (i = take_next(w)) < w->photos->count;) {
        const photo *file = &w->photos->list[i];
        record new = {file->path, file->size, file->mtime, 0, {NULL}, 0};
        w->records[i] = new;
        put_done(w, i, embed_photo(&d, file, w->views, &w->records[i]));
    }
    free(d.pixels);
    free(d.workspace);
}

/* Room among the embedder's records for `count` more. */
static void make_room(embedder *e, size_t count) {
    record **larger = allocate(e->done_count + count, sizeof(record *));
    if (e->done_count > 0) memcpy(larger, e->done, e->done_count * sizeof(record *));
    free(e->done);
    e->done = larger;
}

size_t embed_photos(embedder *e, const photos *p, unsigned views, record *records) {
    work w = {e, p, views, records, 0, 0, 0, seconds(), PTHREAD_MUTEX_INITIALIZER};
    make_room(e, p->count);
    vit_pool *pool = vit_pool_create(e->threads, NULL);
    vit_pool_parallel_for(pool, vit_pool_threads(pool), embed_some, &w);
    vit_pool_destroy(pool);
    write_cache(&w);
    if (*e->stop)
        fail("interrupted: %zu of %zu pictures are in %s", w.finished, p->count, e->cache.path);
    return w.good;
}

void embed_begin(embedder *e, const vit_model *backbone, const char *cache_path, int threads) {
    const vit_config *config = vit_model_config(backbone);
    e->done = NULL, e->done_count = 0;
    if (config->in_chans != 1 && config->in_chans != 3)
        fail("the backbone takes %d channels: %s", config->in_chans,
             vit_status_string(VIT_ERROR_CHANNELS));
    e->model = *backbone; /* what a head reads is no matter of the tensors in front of it */
    e->class_token = config->prefix_tokens > 0;
    e->model.config.head_tokens = e->class_token;
    e->model.config.head_avg = 1;
    e->threads = threads;
    uint64_t key = cache_hash(backbone->data, vit__u32(backbone->data + 16));
    e->cache = cache_open(cache_path, key, vit_output_count(&e->model, &features));
}

int embed_is_kept(const embedder *e) {
    return !e->cache.failed;
}

void embed_end(embedder *e) {
    cache_close(&e->cache);
    free(e->done);
}

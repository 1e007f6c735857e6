#define VIT_IMPLEMENTATION
#include "embed.h"

#include "head.h"

#include "examples/picture.h"
#include "tools/convert/report.h"

#include <pthread.h>
#include <stdio.h>

enum { BAR_LENGTH = 40 };

/* ---- the features of a picture --------------------------------------------------------------- */

/* What one thread works with. */
typedef struct desk {
    const embedder *e;
    float *pixels;
    float *views[VIEW_COUNT];
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

/* Puts the features of a view at the desk. Returns NULL, or what is wrong. */
static const char *embed_view(desk *d, vit_image image, int view) {
    vit_model model = d->e->model;
    float *output = d->views[view];
    if (view & VIEW_MIRRORED) image = mirrored(image);
    if (view & VIEW_WHOLE) model.config.preprocess = head_whole_recipe(&model.config);
    reserve(d, vit_preprocess_workspace_size(&model, NULL, &image));
    vit_status status =
        vit_preprocess(&model, NULL, &image, d->pixels, d->workspace, d->workspace_size);
    if (status != VIT_OK) return vit_status_string(status);
    reserve(d, vit_workspace_size(&model, &features, 1));
    status = vit_forward(&model, &features, d->pixels, 1, output, d->workspace, d->workspace_size);
    if (status != VIT_OK) return vit_status_string(status);
    for (size_t i = 0; i < d->e->cache.dim; i++)
        if (!vit__is_finite(output[i])) return "its features are not numbers";
    return NULL;
}

/* Those of a set that a record (NULL: none) lacks. */
static unsigned missing(const record *r, unsigned views) {
    for (int i = 0; r != NULL && i < VIEW_COUNT; i++)
        if (r->views[i] != NULL) views &= ~(1u << i);
    return views;
}

/* Gives a record these views, from the file's bytes. Returns NULL, or what is wrong. */
static const char *embed_bytes(desk *d, const unsigned char *bytes, size_t size, unsigned views,
                               record *r) {
    picture p;
    const char *why = picture_decode(&p, bytes, size);
    if (why != NULL) return why;
    for (int i = 0; i < VIEW_COUNT && why == NULL; i++) {
        if (!(views >> i & 1)) continue;
        why = embed_view(d, p.image, i);
        r->views[i] = d->views[i];
    }
    picture_free(&p);
    return why;
}

/* What the cache is to have of a file, if `add` says so. Returns NULL, or what is wrong. */
static const char *embed_photo(desk *d, const photo *file, unsigned views, record *r, int *add) {
    const cache *c = &d->e->cache;
    unsigned char *bytes;
    size_t size;
    *add = 0;
    if (missing(cache_find(c, file->path, file->size, file->mtime), views) == 0) return NULL;
    const char *why = picture_read_file(file->path, &bytes, &size);
    if (why != NULL) return why;
    r->path = file->path, r->size = file->size, r->mtime = file->mtime;
    r->content = cache_hash(bytes, size);
    views = missing(cache_find_content(c, file->size, r->content), views);
    if (views != 0) why = embed_bytes(d, bytes, size, views, r);
    free(bytes);
    *add = why == NULL;
    return why;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What the threads share. */
typedef struct work {
    embedder *e;
    const photos *photos;
    unsigned views;
    size_t next, finished, good;
    pthread_mutex_t lock;
} work;

static void draw_bar(const work *w) {
    size_t count = w->photos->count, length = w->finished * BAR_LENGTH / count;
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r[%.*s%*s] %zu of %zu", (int)length,
            "########################################", BAR_LENGTH - (int)length, "", w->finished,
            count);
    if (w->finished == count) fprintf(stderr, "\r%*s\r", BAR_LENGTH + 32, "");
}

/* The index of the next picture, or the count after the last or an interrupt. */
static size_t take_next(work *w) {
    pthread_mutex_lock(&w->lock);
    size_t index = *w->e->stop ? w->photos->count : w->next;
    if (index < w->photos->count) w->next++;
    pthread_mutex_unlock(&w->lock);
    return index;
}

/* new: what is to be kept, or NULL. */
static void put_done(work *w, const photo *file, const record *new, const char *why) {
    pthread_mutex_lock(&w->lock);
    if (why != NULL) note("%s: left out: %s", file->path, why);
    if (new != NULL) cache_add(&w->e->cache, new);
    w->good += why == NULL;
    w->finished++;
    draw_bar(w);
    pthread_mutex_unlock(&w->lock);
}

/* A vit_task: what one thread does. */
static void embed_some(void *arg, int index) {
    work *w = arg;
    desk d = {w->e, allocate(vit_pixels_count(&w->e->model, NULL), sizeof(float)), {NULL}, NULL, 0};
    (void)index;
    for (int i = 0; i < VIEW_COUNT; i++) d.views[i] = allocate(w->e->cache.dim, sizeof(float));
    for (size_t i; (i = take_next(w)) < w->photos->count;) {
        const photo *file = &w->photos->list[i];
        record new = {NULL, 0, 0, 0, {NULL}, 0, 0};
        int add;
        const char *why = embed_photo(&d, file, w->views, &new, &add);
        put_done(w, file, add ? &new : NULL, why);
    }
    for (int i = 0; i < VIEW_COUNT; i++) free(d.views[i]);
    free(d.pixels);
    free(d.workspace);
}

size_t embed_photos(embedder *e, const photos *p, unsigned views) {
    work w = {e, p, views, 0, 0, 0, PTHREAD_MUTEX_INITIALIZER};
    vit_pool *pool = vit_pool_create(e->threads, NULL);
    vit_pool_parallel_for(pool, vit_pool_threads(pool), embed_some, &w);
    vit_pool_destroy(pool);
    if (*e->stop)
        fail("interrupted: %zu of %zu pictures are in %s", w.finished, p->count, e->cache.path);
    return w.good;
}

void embed_begin(embedder *e, const vit_model *backbone, const char *cache_path, int threads) {
    const vit_config *config = vit_model_config(backbone);
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

void embed_end(embedder *e) {
    cache_close(&e->cache);
}

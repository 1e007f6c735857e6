/* With an implementation of vit.h of its own, whose layers it runs one after the other: what comes before
   a matrix is rounded already when its inputs are looked at. */
struct vit__pass;
static void look(const struct vit__pass *pass, const char *step);
#define VIT_PROFILE(step) look(pass, step)
#define VIT_STATIC
#define VIT_IMPLEMENTATION
#include "calibrate.h"

#include "dtypes.h"
#include "gptq.h"
#include "lapack.h"
#include "report.h"

#include "examples/classify/inputs.h"
#include "examples/picture.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FEW_PHOTOS = 16, MOST_PHOTOS = 256 };

/* The residual streams of all photos, and what they pass through. */
typedef struct calibration {
    vit_model model; /* in memory of its own: matrices are replaced by what they are rounded to */
    unsigned char *memory; /* its data */
    vit_dtype dtype;
    vit_options options;
    vit_pool *pool;
    vit__pass pass;
    unsigned char *workspace;
    int photos, at_once;
    int rows_per_photo; /* of x in use */
    size_t photo_size;  /* floats of x of a photo, all tokens */
    float *x;           /* [photos][rows][D] */
    rounded *all;       /* [tensors] */

    const char *step; /* after which the rows are looked at; NULL: none */
    size_t width;     /* of the rows */
    double *squares;  /* [width][width]: the sum of x x^T over them */
    float *some;      /* the same over some of them */
    float *rows;      /* [ROWS][width]: these */
} calibration;

/* ---- what a matrix is given ------------------------------------------------------------------ */

enum { ROWS = 1024 };

static void begin_squares(calibration *c, size_t width) {
    c->width = width;
    c->squares = allocate(width * width, sizeof(double));
    c->some = allocate(width * width, sizeof(float));
    c->rows = allocate(ROWS * width, sizeof(float));
}

static void end_squares(calibration *c) {
    free(c->squares);
    free(c->some);
    free(c->rows);
}

static void add_rows(calibration *c, vit__table table, size_t count) {
    for (size_t first = 0, some; first < count; first += some) {
        some = vit__smaller(ROWS, count - first);
        for (size_t r = 0; r < some; r++)
            memcpy(c->rows + r * c->width, table.data + (first + r) * table.stride,
                   c->width * sizeof(float));
        lapack_square(c->some, c->width, c->rows, some);
        for (size_t i = 0; i < c->width * c->width; i++) c->squares[i] += (double)c->some[i];
    }
}

/* Called after each step of a pass. */
static void look(const vit__pass *pass, const char *step) {
    calibration *c = (calibration *)pass->options->on_block_user;
    size_t rows = (size_t)vit__rows_in_use(pass);
    if (c->step == NULL || strcmp(step, c->step) != 0) return;
    if (strcmp(step, "attention") == 0) add_rows(c, pass->queries, rows);
    else if (strcmp(step, "fc1, act") == 0) add_rows(c, pass->hidden, rows);
    else add_rows(c, pass->normalized, rows);
}

/* ---- the photos' way through the model ------------------------------------------------------- */

/* Some photos' x, [images][rows][D], to where a pass has it, or back. */
static float *x_of(const calibration *c, int photo) {
    return c->x + (size_t)photo * c->photo_size;
}

static void load_x(calibration *c, int first, int images) {
    size_t size = (size_t)c->rows_per_photo * c->pass.dim;
    c->pass.images = images, c->pass.rows_per_image = c->rows_per_photo;
    vit__carve_images(&c->pass);
    for (int i = 0; i < images; i++)
        memcpy(c->pass.x.data + (size_t)i * size, x_of(c, first + i), size * sizeof(float));
}

static void store_x(calibration *c, int first, int images) {
    size_t size = (size_t)c->pass.rows_per_image * c->pass.dim;
    for (int i = 0; i < images; i++)
        memcpy(x_of(c, first + i), c->pass.x.data + (size_t)i * size, size * sizeof(float));
}

typedef enum branch { ATTENTION, MLP } branch;

/* All photos through a branch of a block. The rows are looked at after `step`; if that is NULL, x becomes
   what comes out. */
static void run_branch(calibration *c, branch which, int block, const char *step) {
    int rows = c->rows_per_photo;
    c->step = step;
    for (int first = 0, images; first < c->photos; first += images) {
        images = vit__min(c->at_once, c->photos - first);
        load_x(c, first, images);
        if (which == ATTENTION) vit__attention_branch(&c->pass, block);
        else vit__mlp_branch(&c->pass, block);
        if (step == NULL) store_x(c, first, images);
        rows = c->pass.rows_per_image;
    }
    if (step == NULL) c->rows_per_photo = rows;
}

/* ---- matrices -------------------------------------------------------------------------------- */

/* A matrix of the model as the tool may write it, [N / 16][K][16]. */
static float *panels_of(const calibration *c, const vit__matrix *m) {
    return (float *)(void *)(c->memory + (m->weights - c->memory));
}

/* panels -> weights [K][N], or back. */
static void copy_weights(const vit__matrix *m, float *panels, double *weights, int back) {
    for (size_t k = 0; k < m->inputs; k++) {
        for (size_t n = 0; n < m->outputs; n++) {
            float *w = panels + (n / VIT__PANEL * m->inputs + k) * VIT__PANEL + n % VIT__PANEL;
            double *value = weights + k * m->outputs + n;
            if (back) *w = (float)*value;
            else *value = (double)*w;
        }
    }
}

static void round_matrix(calibration *c, vit__role role, int block) {
    vit__matrix m = vit__matrix_of(&c->model, role, block);
    vit__tensor t = vit__tensor_of(&c->model.config, role, block);
    int index = vit__tensor_index(&c->model.config, role, block);
    int range = stored_dtype_of(c->dtype, &t).range;
    size_t scales = range == 8 ? vit__groups(m.inputs) : 1;
    double *weights = allocate(m.inputs * m.outputs, sizeof(double));
    rounded *r = &c->all[index];
    assert(m.inputs == c->width);
    r->integers = allocate(m.inputs * m.outputs, 1);
    r->scales = allocate(m.outputs * scales, sizeof(float));
    copy_weights(&m, panels_of(c, &m), weights, 0);
    if (!gptq_round(c->squares, weights, m.outputs, m.inputs, range, r))
        fail("block %d: some weights are too large for %s", block, vit_dtype_name(c->dtype));
    copy_weights(&m, panels_of(c, &m), weights, 1);
    free(weights);
}

/* Matrices of a block that are given the same rows. */
static void round_matrices(calibration *c, branch which, int block, const char *step,
                           vit__role first, vit__role last, size_t width) {
    begin_squares(c, width);
    run_branch(c, which, block, step);
    if (!gptq_prepare(c->squares, width)) fail("block %d: values are not finite", block);
    for (int role = (int)first; role <= (int)last; role++) round_matrix(c, (vit__role)role, block);
    end_squares(c);
}

static void calibrate_block(calibration *c, int block) {
    size_t dim = c->pass.dim, hidden = vit__round16(c->model.config.mlp_dim);
    round_matrices(c, ATTENTION, block, "norm1", VIT__Q, VIT__V, dim);
    round_matrices(c, ATTENTION, block, "attention", VIT__PROJ, VIT__PROJ, c->pass.inner);
    run_branch(c, ATTENTION, block, NULL);
    round_matrices(c, MLP, block, "norm2", VIT__FC1, VIT__FC1, dim);
    round_matrices(c, MLP, block, "fc1, act", VIT__FC2, VIT__FC2, hidden);
    run_branch(c, MLP, block, NULL);
}

/* ---- photos ---------------------------------------------------------------------------------- */

/* pixels -> the x of the first block */
static void embed(calibration *c, const float *pixels, float *x) {
    vit__pass *pass = &c->pass;
    c->step = NULL;
    pass->images = 1, pass->rows_per_image = pass->tokens;
    vit__carve_images(pass);
    vit__embed(pass, pixels);
    if (c->model.config.norm_pre)
        vit__layer_norm(pass, VIT__NORM_PRE, 0, pass->x, pass->tokens, pass->x, VIT__HEAD);
    memcpy(x, pass->x.data, c->photo_size * sizeof(float));
}

/* The x of one photo more. Returns NULL, or what is wrong with it. */
static const char *embed_photo(calibration *c, const char *path) {
    picture p;
    float *x = x_of(c, c->photos);
    const char *why = picture_load(&p, path);
    if (why != NULL) return why;
    size_t size = vit_preprocess_workspace_size(&c->model, NULL, &p.image);
    float *pixels = allocate(vit_pixels_count(&c->model, NULL), sizeof(float));
    void *workspace = allocate(size, 1);
    vit_status status = vit_preprocess(&c->model, NULL, &p.image, pixels, workspace, size);
    if (status == VIT_OK) embed(c, pixels, x);
    free(workspace);
    free(pixels);
    picture_free(&p);
    return status == VIT_OK ? NULL : vit_status_string(status);
}

/* Whether picture `index` of `count` is one of MOST_PHOTOS that are spread over them. */
static int is_taken(size_t index, size_t count) {
    return count <= MOST_PHOTOS || index * MOST_PHOTOS / count != (index + 1) * MOST_PHOTOS / count;
}

/* The x of each photo that can be read. */
static void embed_photos(calibration *c, const char *photos) {
    static const volatile sig_atomic_t never = 0;
    char *names[] = {format_text("%s", photos)};
    inputs all = {NULL, names, 1, '\n', NULL, NULL, &never, 0, NULL, NULL};
    const size_t count = inputs_count(&all), size = c->photo_size * sizeof(float);
    size_t capacity = 0, left_out = 0;
    input in;
    for (size_t i = 0; inputs_next(&all, &in); i++, free(in.path)) {
        const char *why = in.error;
        if (why == NULL && !is_taken(i, count)) continue;
        c->x = make_room_for_one(c->x, (size_t)c->photos, &capacity, size);
        if (why == NULL) why = embed_photo(c, in.path);
        if (why != NULL) note("%s: left out: %s", in.path, why);
        left_out += why != NULL, c->photos += why == NULL;
    }
    inputs_close(&all);
    free(names[0]);
    if (c->photos == 0) fail("--calibrate: %s: no picture that can be read", photos);
    if (count > MOST_PHOTOS) note("%d of %zu pictures are enough", MOST_PHOTOS, count);
    note("calibrated by %d pictures, %zu left out%s", c->photos, left_out,
         c->photos < FEW_PHOTOS ? ": some dozens give better weights" : "");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void begin(calibration *c, const vit_model *model, vit_dtype dtype) {
    memset(c, 0, sizeof(*c));
    c->dtype = dtype;
    c->memory = allocate(model->size, 1);
    memcpy(c->memory, model->data, model->size);
    vit_status status = vit_model_open(&c->model, c->memory, model->size);
    if (status == VIT_OK && model->config.in_chans != 1 && model->config.in_chans != 3)
        status = VIT_ERROR_CHANNELS;
    if (status != VIT_OK) fail("--calibrate: %s", vit_status_string(status));
    c->pool = vit_pool_create(0, NULL);
    c->at_once = vit_pool_threads(c->pool);
    c->options.parallel_for = vit_pool_parallel_for;
    c->options.parallel_user = c->pool;
    c->options.on_block_user = c;
    c->options.all_tokens = 1; /* a photo's one row of the last block would be too little */
    status = vit__pass_plan(&c->pass, &c->model, &c->options, c->at_once);
    if (status != VIT_OK) fail("--calibrate: %s", vit_status_string(status));
    c->workspace = allocate(vit__workspace_size(&c->pass), 1);
    vit__arena arena = vit__arena_make(c->workspace);
    vit__pass_carve(&c->pass, &arena);
    c->rows_per_photo = c->pass.tokens;
    c->photo_size = (size_t)c->pass.tokens * c->pass.x.stride;
    c->all = allocate((size_t)vit_model_tensor_count(&c->model), sizeof(rounded));
}

static void end(calibration *c) {
    vit_pool_destroy(c->pool);
    free(c->workspace);
    free(c->memory);
    free(c->x);
}

int calibrate_has(vit_dtype dtype) {
    return dtype == VIT_INT8 || dtype == VIT_INT8X || dtype == VIT_INT4;
}

rounded *calibrate(const vit_model *model, vit_dtype dtype, const char *photos) {
    calibration c;
    lapack_open();
    begin(&c, model, dtype);
    embed_photos(&c, photos);
    for (int block = 0; block < c.model.config.depth; block++) {
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\rblock %d of %d \r", block + 1, c.model.config.depth);
        calibrate_block(&c, block);
    }
    end(&c);
    return c.all;
}

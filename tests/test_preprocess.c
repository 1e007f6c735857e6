/* Preprocessing, bit for bit: against Pillow and torchvision, against a plain resize at random
   sizes, in every memory layout of a picture, and at the ends of the ranges. */
#include "test_util.h"

/* ---- golden cases ---- */

typedef struct golden_case {
    char name[32];
    int width, height, channels;
    vit_config config;
} golden_case;

/* A model that does nothing but preprocess. */
static vit_config preprocess_config(void) {
    vit_config c = tiny_config();
    c.architecture = "preprocess";
    return c;
}

static int read_case(FILE *file, golden_case *g) {
    vit_preprocess_config *p = &g->config.preprocess;
    int resize = 0, interpolation = 0, crop = 0;
    g->config = preprocess_config();
    if (fscanf(file, "%31s%d%d%d%d%d%d%d%d%d%d%d%f", g->name, &g->width, &g->height, &g->channels,
               &g->config.in_chans, &g->config.img_size[0], &g->config.img_size[1], &resize,
               &p->resize_size[0], &p->resize_size[1], &interpolation, &crop, &p->rescale) != 13)
        return 0;
    for (int i = 0; i < 4; i++) assert_int_equal(fscanf(file, "%f", &p->mean[i]), 1);
    for (int i = 0; i < 4; i++) assert_int_equal(fscanf(file, "%f", &p->std[i]), 1);
    p->resize = (vit_resize)resize;
    p->interpolation = (vit_interpolation)interpolation;
    p->crop = (vit_crop)crop;
    g->config.patch_size[0] = g->config.img_size[0];
    g->config.patch_size[1] = g->config.img_size[1];
    return 1;
}

/* A case with its model, its picture and what PyTorch makes of it. */
typedef struct case_rig {
    golden_case g;
    vit_model model;
    model_file file;
    unsigned char *picture;
    float *want;
    size_t count; /* of want */
} case_rig;

static void case_open(case_rig *rig) {
    char name[64];
    size_t size = 0;
    rig->file = model_make_open(&rig->g.config, 40, &rig->model);
    rig->count = vit_pixels_count(&rig->model, NULL);
    snprintf(name, sizeof(name), GOLDEN "%s_in.u8", rig->g.name);
    rig->picture = read_file(name, &size);
    assert_int_equal(size, rig->g.width * rig->g.height * rig->g.channels);
    snprintf(name, sizeof(name), "%s_out.f32", rig->g.name);
    rig->want = golden_floats(name, rig->count);
}

static void case_close(case_rig *rig) {
    free(rig->want);
    free(rig->picture);
    model_free(&rig->file);
}

/* Call f with every case of preprocess.txt. */
static void for_each_case(void (*f)(case_rig *rig)) {
    FILE *file = fopen(GOLDEN "preprocess.txt", "r");
    case_rig rig;
    int cases = 0;
    assert_non_null(file);
    for (; read_case(file, &rig.g); cases++) {
        case_open(&rig);
        f(&rig);
        case_close(&rig);
    }
    assert_int_equal(cases, 14);
    fclose(file);
}

static vit_image packed_image(const case_rig *rig) {
    vit_image image = {rig->picture, rig->g.width, rig->g.height, 0, 0, 0};
    if (rig->g.channels == 1) image.pixel_stride = 1;
    return image;
}

/* vit_preprocess with an exact and dirty workspace that begins `shift` behind a multiple of 64. */
static void check_image(const case_rig *rig, const vit_image *image, size_t shift) {
    size_t need = vit_preprocess_workspace_size(&rig->model, NULL, image);
    guarded work = guarded_make(need, shift);
    guarded out = guarded_make(rig->count * sizeof(float), 0);
    float *pixels = (float *)(void *)out.bytes;
    assert_true(need > 0);
    assert_status(vit_preprocess(&rig->model, NULL, image, pixels, work.bytes, need), VIT_OK,
                  rig->g.name);
    assert_same_bits(pixels, rig->want, rig->count);
    guarded_free(&work);
    guarded_free(&out);
}

static void check_case(case_rig *rig) {
    vit_image image = packed_image(rig);
    check_image(rig, &image, 0);
}

static void test_every_golden_case_equals_pillow_to_the_bit(void **state) {
    (void)state;
    for_each_case(check_case);
}

/* ---- layouts ---- */

typedef struct layout {
    const char *name;
    int pixel, first,
        channel; /* bytes of a pixel, place of red in it, from one channel to the next */
    int margin;  /* pixels of something else around the picture */
    int flip_rows, flip_columns;
} layout;

static const layout layouts[] = {
    {"RGB", 3, 0, 1, 0, 0, 0},
    {"BGR", 3, 2, -1, 0, 0, 0},
    {"RGBA", 4, 0, 1, 0, 0, 0},
    {"ARGB", 4, 1, 1, 0, 0, 0},
    {"ABGR", 4, 3, -1, 0, 0, 0},
    {"every other byte", 7, 1, 2, 0, 0, 0},
    {"bottom-up", 3, 0, 1, 0, 1, 0},
    {"mirrored", 3, 0, 1, 0, 0, 1},
    {"upside down BGRA", 4, 2, -1, 0, 1, 1},
    {"part of a larger picture", 3, 0, 1, 5, 0, 0},
    {"part of a larger bottom-up BGRA", 4, 2, -1, 3, 1, 0},
    {"planar", 1, 0, 0, 0, 0, 0},
    {"part of a larger planar", 1, 0, 0, 4, 1, 1},
};

/* The picture in another layout, in memory of exactly its size, which goes to *memory. Channel 0
   in the table stands for planes. A grey picture becomes one of three equal channels. */
static vit_image lay_out_picture(const case_rig *rig, const layout *l, unsigned char **memory) {
    int width = rig->g.width, height = rig->g.height, channels = rig->g.channels;
    int columns = width + 2 * l->margin, rows = height + 2 * l->margin;
    ptrdiff_t row = (ptrdiff_t)columns * l->pixel, plane = row * rows;
    ptrdiff_t start = row * l->margin + l->pixel * l->margin + l->first;
    vit_image image = {NULL, width, height, row, l->pixel, l->channel ? l->channel : plane};
    if (l->flip_rows) start += row * (height - 1), image.row_stride = -row;
    if (l->flip_columns) start += (ptrdiff_t)l->pixel * (width - 1), image.pixel_stride = -l->pixel;
    size_t size = (size_t)(l->channel ? plane : 3 * plane);
    *memory = (unsigned char *)allocate(size);
    memset(*memory, 0xA5, size);
    for (int i = 0; i < width * height * 3; i++) {
        int c = i % 3, x = i / 3 % width, y = i / 3 / width;
        (*memory)[start + y * image.row_stride + x * image.pixel_stride +
                  c * image.channel_stride] =
            rig->picture[(y * width + x) * channels + (channels == 1 ? 0 : c)];
    }
    image.data = *memory + start;
    return image;
}

static void check_layouts(case_rig *rig) {
    for (size_t i = 0; i < COUNT_OF(layouts); i++) {
        unsigned char *memory;
        vit_image image = lay_out_picture(rig, &layouts[i], &memory);
        check_image(rig, &image, 0);
        free(memory);
    }
}

static void test_every_layout_gives_the_same_bits(void **state) {
    (void)state;
    for_each_case(check_layouts);
}

static void check_default_strides(case_rig *rig) {
    unsigned char *memory;
    vit_image image = lay_out_picture(rig, &layouts[2], &memory);
    image.row_stride = image.channel_stride = 0;
    check_image(rig, &image, 0);
    free(memory);
    image = packed_image(rig);
    image.pixel_stride = rig->g.channels;
    image.row_stride = rig->g.width * rig->g.channels;
    check_image(rig, &image, 0);
}

static void test_strides_of_zero_mean_packed_rows(void **state) {
    (void)state;
    for_each_case(check_default_strides);
}

/* ---- the workspace ---- */

static void check_every_alignment(case_rig *rig) {
    vit_image image = packed_image(rig);
    for (size_t shift = 0; shift < 64; shift++) check_image(rig, &image, shift);
}

static void test_workspace_may_lie_anywhere_be_dirty_and_exact(void **state) {
    (void)state;
    for_each_case(check_every_alignment);
}

static void check_small_workspace(case_rig *rig) {
    vit_image image = packed_image(rig);
    size_t need = vit_preprocess_workspace_size(&rig->model, NULL, &image);
    float *pixels = allocate_floats(rig->count);
    guarded work = guarded_make(need - 1, 0);
    assert_int_equal(vit_preprocess(&rig->model, NULL, &image, pixels, work.bytes, need - 1),
                     VIT_ERROR_WORKSPACE);
    assert_int_equal(vit_preprocess(&rig->model, NULL, &image, pixels, work.bytes, 0),
                     VIT_ERROR_WORKSPACE);
    guarded_free(&work);
    free(pixels);
}

static void test_a_workspace_one_byte_too_small_is_refused(void **state) {
    (void)state;
    for_each_case(check_small_workspace);
}

/* ---- a plain resize, for random sizes ---- */

static double plain_filter(int bicubic, double x) {
    x = fabs(x);
    if (!bicubic) return x < 1 ? 1 - x : 0;
    if (x < 1) return ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/* One line of n bytes, step apart, to m bytes: as the text of Pillow's Resample.c does it. */
static void plain_resize(int bicubic, const unsigned char *in, int n, int step, unsigned char *out,
                         int m, int out_step) {
    double scale = (double)n / m, stretch = scale < 1 ? 1 : scale;
    double support = (bicubic ? 2 : 1) * stretch;
    for (int x = 0; x < m; x++) {
        double center = (x + 0.5) * scale, total = 0;
        int low = (int)(center - support + 0.5), high = (int)(center + support + 0.5);
        int sum = 1 << 21;
        if (low < 0) low = 0;
        if (high > n) high = n;
        for (int i = low; i < high; i++)
            total += plain_filter(bicubic, (i - center + 0.5) * (1 / stretch));
        for (int i = low; i < high; i++) {
            double w = plain_filter(bicubic, (i - center + 0.5) * (1 / stretch)) / total;
            sum += in[i * step] * (int)(w * 4194304 + (w < 0 ? -0.5 : 0.5));
        }
        out[x * out_step] = (unsigned char)(sum < 0 ? 0 : sum >> 22 > 255 ? 255 : sum >> 22);
    }
}

/* One channel [h][w] to [H][W]. To be freed. */
static unsigned char *plain_resize_channel(int bicubic, const unsigned char *in, int h, int w,
                                           int out_h, int out_w) {
    unsigned char *across = (unsigned char *)allocate((size_t)(h * out_w));
    unsigned char *out = (unsigned char *)allocate((size_t)(out_h * out_w));
    for (int y = 0; y < h; y++)
        plain_resize(bicubic, in + y * w * 3, w, 3, across + y * out_w, out_w, 1);
    for (int x = 0; x < out_w; x++)
        plain_resize(bicubic, across + x, h, out_w, out + x, out_h, out_w);
    free(across);
    return out;
}

static int plain_crop_start(vit_crop crop, int d) {
    if (crop == VIT_CROP_FLOOR) return (int)floor(d / 2.0);
    return (int)(d < 0 ? ceil(d / 2.0) : rint(d / 2.0));
}

static void check_plain(const vit_model *model, const vit_image *image, const float *got) {
    const vit_config *c = &model->config;
    const vit_preprocess_config *p = &c->preprocess;
    int h = c->img_size[0], w = c->img_size[1], H = p->resize_size[0], W = p->resize_size[1];
    int top = plain_crop_start(p->crop, H - h), left = plain_crop_start(p->crop, W - w);
    for (int channel = 0; channel < 3; channel++) {
        unsigned char *resized =
            plain_resize_channel(p->interpolation == VIT_INTERPOLATION_BICUBIC,
                                 image->data + channel, image->height, image->width, H, W);
        for (int i = 0; i < h * w; i++, got++) {
            int y = i / w + top, x = i % w + left;
            int inside = y >= 0 && y < H && x >= 0 && x < W;
            float want = (float)(inside ? resized[y * W + x] : 0) / p->rescale;
            want = (want - p->mean[channel]) / p->std[channel];
            assert_same_bits(got, &want, 1);
        }
        free(resized);
    }
}

static int between(uint32_t *random, int low, int high) {
    return low + random_below(random, high - low + 1);
}

static void test_any_size_equals_a_plain_resize_to_the_bit(void **state) {
    uint32_t random = 41;
    (void)state;
    for (int i = 0; i < 300; i++) {
        vit_config c = preprocess_config();
        vit_preprocess_config *p = &c.preprocess;
        p->resize = VIT_RESIZE_EXACT;
        for (int k = 0; k < 2; k++) {
            c.img_size[k] = c.patch_size[k] = between(&random, 1, 20);
            p->resize_size[k] = between(&random, 1, 30);
        }
        p->interpolation = (vit_interpolation)random_below(&random, VIT_INTERPOLATION_COUNT);
        p->crop = (vit_crop)random_below(&random, VIT_CROP_COUNT);
        vit_model model;
        model_file file = model_make_open(&c, 42, &model);
        vit_image image = {NULL, between(&random, 1, 90), between(&random, 1, 90), 0, 0, 0};
        size_t bytes = (size_t)(3 * image.width * image.height);
        unsigned char *picture = (unsigned char *)allocate(bytes);
        random_bytes(&random, picture, bytes);
        image.data = picture;
        size_t need = vit_preprocess_workspace_size(&model, NULL, &image);
        guarded work = guarded_make(need, 0);
        float *pixels = allocate_floats(vit_pixels_count(&model, NULL));
        assert_status(vit_preprocess(&model, NULL, &image, pixels, work.bytes, need), VIT_OK,
                      "random");
        check_plain(&model, &image, pixels);
        guarded_free(&work);
        free(pixels), free(picture);
        model_free(&file);
    }
}

/* ---- every instruction set, where there are kernels for this ---- */

#ifdef VIT__PIXEL_ROWS

/* A picture somewhere in memory that has not a byte more than it. To be freed: memory. */
static vit_image random_layout(uint32_t *random, unsigned char **memory) {
    const layout *l = &layouts[random_below(random, (int)COUNT_OF(layouts))];
    case_rig rig;
    memset(&rig, 0, sizeof(rig));
    rig.g.channels = 3;
    rig.g.width = between(random, 1, random_below(random, 4) == 0 ? 400 : 40);
    rig.g.height = between(random, 1, random_below(random, 4) == 0 ? 400 : 40);
    size_t bytes = (size_t)(3 * rig.g.width * rig.g.height);
    rig.picture = (unsigned char *)allocate(bytes);
    random_bytes(random, rig.picture, bytes);
    vit_image image = lay_out_picture(&rig, l, memory);
    free(rig.picture);
    return image;
}

static vit_config random_recipe(uint32_t *random) {
    vit_config c = preprocess_config();
    vit_preprocess_config *p = &c.preprocess;
    c.in_chans = random_below(random, 4) == 0 ? 1 : 3;
    p->resize = (vit_resize)random_below(random, VIT_RESIZE_COUNT);
    p->interpolation = (vit_interpolation)random_below(random, VIT_INTERPOLATION_COUNT);
    p->crop = (vit_crop)random_below(random, VIT_CROP_COUNT);
    p->rescale = random_below(random, 2) == 0 ? 255.0f : 127.5f;
    for (int k = 0; k < 2; k++) {
        c.img_size[k] = c.patch_size[k] = between(random, 1, 40);
        p->resize_size[k] = between(random, 1, 60);
    }
    for (int k = 0; k < 3; k++) {
        p->mean[k] = (float)between(random, 0, 100) / 128;
        p->std[k] = (float)between(random, 1, 100) / 97;
    }
    return c;
}

/* The pixels by an instruction set, or by the best for VIT_ISA_BEST, or its status. */
static vit_status preprocess_by(const vit_model *model, const vit_image *image, int isa,
                                float *pixels) {
    vit_options options;
    memset(&options, 0, sizeof(options));
    options.isa = (vit_isa)isa;
    size_t need = vit_preprocess_workspace_size(model, &options, image);
    if (need == 0) return vit_preprocess_check(model, &options, image);
    guarded work = guarded_make(need, (size_t)isa);
    guarded out = guarded_make(vit_pixels_count(model, NULL) * sizeof(float), 0);
    vit_status status =
        vit_preprocess(model, &options, image, (float *)(void *)out.bytes, work.bytes, need);
    memcpy(pixels, out.bytes, vit_pixels_count(model, NULL) * sizeof(float));
    guarded_free(&work);
    guarded_free(&out);
    return status;
}

static void check_every_isa(const vit_model *model, const vit_image *image, int *vectors) {
    size_t count = vit_pixels_count(model, NULL);
    float *want = allocate_floats(count), *got = allocate_floats(count);
    vit_status status = preprocess_by(model, image, VIT_ISA_PORTABLE, want);
    assert_status(status, VIT_OK, "portable");
    for (int isa = VIT_ISA_BEST; isa < VIT_ISA_COUNT; isa++) {
        const int here = isa == VIT_ISA_BEST || vit__kernels_of((vit_isa)isa) != NULL;
        status = preprocess_by(model, image, isa, got);
        assert_status(status, here ? VIT_OK : VIT_ERROR_ISA, vit_isa_name((vit_isa)isa));
        if (here) assert_same_bits(got, want, count);
        if (isa != VIT_ISA_BEST && here) *vectors += vit__kernels_of((vit_isa)isa)->pixels.rows > 0;
    }
    free(want), free(got);
}

static void test_every_instruction_set_gives_the_same_bits(void **state) {
    (void)state;
    uint32_t random = 48;
    int vectors = 0;
    for (int i = 0; i < 400; i++) {
        unsigned char *memory;
        vit_model model;
        vit_config c = random_recipe(&random);
        model_file file = model_make_open(&c, 49, &model);
        vit_image image = random_layout(&random, &memory);
        check_every_isa(&model, &image, &vectors);
        free(memory);
        model_free(&file);
    }
    if (vectors == 0) skip();
}
#else
static void test_every_instruction_set_gives_the_same_bits(void **state) {
    (void)state;
    skip();
}
#endif

/* ---- pictures of one colour, of any shape ---- */

static void check_one_colour(const vit_config *config, int width, int height) {
    vit_model model;
    model_file file = model_make_open(config, 43, &model);
    size_t bytes = (size_t)width * (size_t)height * 3, plane = vit_pixels_count(&model, NULL) / 3;
    unsigned char *picture = (unsigned char *)allocate(bytes);
    vit_image image = {picture, width, height, 0, 0, 0};
    for (size_t i = 0; i < bytes; i++) picture[i] = (unsigned char)(100 + 77 * (i % 3));
    size_t need = vit_preprocess_workspace_size(&model, NULL, &image);
    guarded work = guarded_make(need, 0);
    float *pixels = allocate_floats(3 * plane);
    assert_status(vit_preprocess(&model, NULL, &image, pixels, work.bytes, need), VIT_OK,
                  "one colour");
    for (size_t i = 0; i < 3 * plane; i++) {
        int c = (int)(i / plane);
        float want = vit__normalize(&config->preprocess, c, (unsigned char)(100 + 77 * c));
        assert_same_bits(pixels + i, &want, 1);
    }
    guarded_free(&work);
    free(pixels), free(picture);
    model_free(&file);
}

static void test_one_colour_stays_so_in_pictures_of_any_shape(void **state) {
    static const int sizes[][2] = {{1, 1}, {1, 4000}, {3000, 1}, {2, 3}, {4000, 3}, {640, 480}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes) * 4; i++) {
        vit_config c = preprocess_config();
        c.img_size[0] = c.patch_size[0] = 9, c.img_size[1] = c.patch_size[1] = 12;
        c.preprocess.resize = i & 1 ? VIT_RESIZE_EXACT : VIT_RESIZE_SHORTEST;
        c.preprocess.interpolation = i & 2 ? VIT_INTERPOLATION_BICUBIC : VIT_INTERPOLATION_BILINEAR;
        c.preprocess.resize_size[0] = c.preprocess.resize_size[1] = 13;
        check_one_colour(&c, sizes[i / 4][0], sizes[i / 4][1]);
    }
}

/* ---- grey ---- */

/* Every red with every green, and some blue, as in Pillow's Convert.c. */
static void test_colours_become_grey_by_the_formula_of_pillow(void **state) {
    enum { SIDE = 256 };
    static unsigned char picture[SIDE * SIDE * 3];
    vit_config c = preprocess_config();
    uint32_t random = 46;
    (void)state;
    c.in_chans = 1;
    c.img_size[0] = c.patch_size[0] = c.img_size[1] = c.patch_size[1] = SIDE;
    c.preprocess.resize = VIT_RESIZE_NONE;
    vit_model model;
    model_file file = model_make_open(&c, 47, &model);
    for (int i = 0; i < SIDE * SIDE; i++) {
        picture[3 * i] = (unsigned char)(i / SIDE);
        picture[3 * i + 1] = (unsigned char)(i % SIDE);
        picture[3 * i + 2] = (unsigned char)random_below(&random, 256);
    }
    const vit_image image = {picture, SIDE, SIDE, 0, 0, 0};
    size_t need = vit_preprocess_workspace_size(&model, NULL, &image);
    guarded work = guarded_make(need, 0);
    float *pixels = allocate_floats(SIDE * SIDE);
    assert_status(vit_preprocess(&model, NULL, &image, pixels, work.bytes, need), VIT_OK, "grey");
    for (int i = 0; i < SIDE * SIDE; i++) {
        const unsigned char *p = picture + 3 * i;
        int grey = (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16;
        float want = vit__normalize(&c.preprocess, 0, (unsigned char)grey);
        assert_same_bits(&pixels[i], &want, 1);
    }
    guarded_free(&work);
    free(pixels);
    model_free(&file);
}

/* ---- sizes and offsets ---- */

static void test_offset_of_the_crop_is_rounded_as_the_recipe_says(void **state) {
    (void)state;
    for (int d = -101; d <= 101; d++) {
        for (int crop = 0; crop < VIT_CROP_COUNT; crop++)
            assert_int_equal(vit__crop_start((vit_crop)crop, d),
                             plain_crop_start((vit_crop)crop, d));
    }
    assert_int_equal(vit__crop_start(VIT_CROP_TORCHVISION, 1), 0);
    assert_int_equal(vit__crop_start(VIT_CROP_TORCHVISION, 3), 2);
    assert_int_equal(vit__crop_start(VIT_CROP_TORCHVISION, 5), 2);
    assert_int_equal(vit__crop_start(VIT_CROP_TORCHVISION, -3), -1);
    assert_int_equal(vit__crop_start(VIT_CROP_FLOOR, 3), 1);
    assert_int_equal(vit__crop_start(VIT_CROP_FLOOR, -3), -2);
}

static void test_size_of_the_resized_picture(void **state) {
    static const struct {
        vit_resize resize;
        int to[2], from[2], want[2]; /* height, width */
    } cases[] = {
        {VIT_RESIZE_NONE, {0, 0}, {375, 500}, {375, 500}},
        {VIT_RESIZE_EXACT, {224, 192}, {375, 500}, {224, 192}},
        {VIT_RESIZE_SHORTEST, {256, 256}, {375, 500}, {256, 341}},
        {VIT_RESIZE_SHORTEST, {256, 256}, {500, 375}, {341, 256}},
        {VIT_RESIZE_SHORTEST, {248, 248}, {333, 500}, {248, 372}},
        {VIT_RESIZE_SHORTEST, {256, 256}, {256, 256}, {256, 256}},
        {VIT_RESIZE_SHORTEST, {256, 256}, {1, 1}, {256, 256}},
        {VIT_RESIZE_SHORTEST, {224, 224}, {1, 1048576}, {224, 234881024}},
        {VIT_RESIZE_SHORTEST, {100, 50}, {200, 200}, {100, 100}}, /* the smallest that covers */
        {VIT_RESIZE_SHORTEST, {50, 100}, {200, 200}, {100, 100}},
        {VIT_RESIZE_SHORTEST, {4, 6}, {10, 25}, {4, 10}},
        {VIT_RESIZE_SHORTEST, {4, 6}, {10, 27}, {4, 11}}, /* 10.8, 11.2, and halves to even */
        {VIT_RESIZE_SHORTEST, {4, 6}, {10, 28}, {4, 11}},
        {VIT_RESIZE_SHORTEST, {4, 6}, {8, 21}, {4, 10}},
        {VIT_RESIZE_SHORTEST, {4, 6}, {8, 23}, {4, 12}},
        {VIT_RESIZE_SHORTEST, {6, 4}, {27, 10}, {11, 4}},
        {VIT_RESIZE_SHORTEST, {6, 4}, {21, 8}, {10, 4}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        vit_preprocess_config recipe = preprocess_config().preprocess;
        int got[2] = {0, 0};
        recipe.resize = cases[i].resize;
        memcpy(recipe.resize_size, cases[i].to, sizeof(recipe.resize_size));
        assert_int_equal(vit__resized_size(&recipe, cases[i].from[0], cases[i].from[1], got), 1);
        if (got[0] != cases[i].want[0] || got[1] != cases[i].want[1])
            fail_msg("case %zu: %d x %d", i, got[0], got[1]);
    }
}

/* ---- what is refused ---- */

static vit_status try_image(const vit_config *config, const vit_image *image) {
    vit_model model;
    float pixels[16], workspace[1024];
    model_file file = model_make_open(config, 44, &model);
    int possible = vit_preprocess_workspace_size(&model, NULL, image) > 0;
    vit_status status = vit_preprocess(&model, NULL, image, pixels, workspace, sizeof(workspace));
    assert_int_equal(possible, status == VIT_OK || status == VIT_ERROR_WORKSPACE);
    model_free(&file);
    return status;
}

static void test_models_of_neither_1_nor_3_channels_take_no_picture(void **state) {
    static const unsigned char pixel[3] = {1, 2, 3};
    const vit_image image = {pixel, 1, 1, 0, 0, 0};
    vit_config config = preprocess_config();
    (void)state;
    for (int chans = 1; chans <= 6; chans++) {
        config.in_chans = chans;
        assert_int_equal(try_image(&config, &image),
                         chans == 1 || chans == 3 ? VIT_OK : VIT_ERROR_CHANNELS);
    }
}

static void test_impossible_pictures_are_refused(void **state) {
    static const unsigned char pixel[3] = {1, 2, 3};
    static const int sizes[][2] = {{0, 1},       {1, 0},         {-1, 1},       {1, -1},
                                   {1048577, 1}, {1, INT32_MAX}, {INT32_MIN, 1}};
    vit_config config = preprocess_config();
    vit_image image = {NULL, 1, 1, 0, 0, 0};
    (void)state;
    assert_int_equal(try_image(&config, NULL), VIT_ERROR_ARGUMENT);
    assert_int_equal(try_image(&config, &image), VIT_ERROR_ARGUMENT);
    image.data = pixel;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        image.width = sizes[i][0], image.height = sizes[i][1];
        assert_int_equal(try_image(&config, &image), VIT_ERROR_ARGUMENT);
    }
}

/* 2^20 x 1 pixels enlarged to 2^40 x 2^20. */
static void test_a_picture_that_would_become_too_long_is_refused(void **state) {
    static const unsigned char pixel[3] = {1, 2, 3};
    const vit_image wide = {pixel, 1 << 20, 1, 0, 0, 0}, tall = {pixel, 1, 1 << 20, 0, 0, 0};
    vit_config config = preprocess_config();
    (void)state;
    config.preprocess.resize = VIT_RESIZE_SHORTEST;
    config.preprocess.resize_size[0] = config.preprocess.resize_size[1] = 1 << 20;
    assert_int_equal(try_image(&config, &wide), VIT_ERROR_ARGUMENT);
    assert_int_equal(try_image(&config, &tall), VIT_ERROR_ARGUMENT);
    config.preprocess.resize_size[0] = (1 << 20) - 1;
    assert_int_equal(try_image(&config, &wide), VIT_ERROR_ARGUMENT);
}

/* 10^9 pixels at most, in either direction. */
static void test_the_length_of_the_resized_picture_has_a_limit(void **state) {
    vit_preprocess_config recipe = preprocess_config().preprocess;
    int size[2];
    (void)state;
    recipe.resize = VIT_RESIZE_SHORTEST;
    recipe.resize_size[0] = recipe.resize_size[1] = 1000;
    assert_true(vit__resized_size(&recipe, 1, 1000000, size));
    assert_int_equal(size[1], 1000000000);
    assert_true(vit__resized_size(&recipe, 1000000, 1, size));
    assert_int_equal(size[0], 1000000000);
    recipe.resize_size[0] = recipe.resize_size[1] = 1001;
    assert_false(vit__resized_size(&recipe, 1, 999001, size)); /* one more */
    assert_false(vit__resized_size(&recipe, 999001, 1, size));
}

/* 2^20 pixels at most, in either direction. */
static void test_the_sides_of_a_picture_have_a_limit(void **state) {
    static const unsigned char pixel[3] = {1, 2, 3};
    vit_config config = preprocess_config();
    vit_model model;
    config.preprocess.resize = VIT_RESIZE_EXACT;
    model_file file = model_make_open(&config, 48, &model);
    (void)state;
    for (int more = 0; more < 2; more++) {
        const vit_image wide = {pixel, (1 << 20) + more, 1, 0, 0, 0};
        const vit_image tall = {pixel, 1, (1 << 20) + more, 0, 0, 0};
        const vit_status want = more ? VIT_ERROR_ARGUMENT : VIT_OK;
        assert_status(vit_preprocess_check(&model, NULL, &wide), want, "wide");
        assert_status(vit_preprocess_check(&model, NULL, &tall), want, "tall");
    }
    model_free(&file);
}

static void test_null_arguments_are_refused(void **state) {
    static const unsigned char pixel[3] = {1, 2, 3};
    const vit_image image = {pixel, 1, 1, 0, 0, 0};
    vit_config config = preprocess_config();
    vit_model model, closed;
    float out[3], work[1024];
    model_file file = model_make_open(&config, 45, &model);
    (void)state;
    memset(&closed, 0, sizeof(closed));
    assert_int_equal(vit_preprocess_workspace_size(NULL, NULL, &image), 0);
    assert_int_equal(vit_preprocess_workspace_size(&closed, NULL, &image), 0);
    assert_int_equal(vit_preprocess(NULL, NULL, &image, out, work, sizeof(work)),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess(&closed, NULL, &image, out, work, sizeof(work)),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess(&model, NULL, &image, NULL, work, sizeof(work)),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess(&model, NULL, &image, out, NULL, sizeof(work)),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess(&model, NULL, &image, out, work, sizeof(work)), VIT_OK);
    model_free(&file);
}

static void test_halves_are_rounded_to_even(void **state) {
    static const double x[] = {0, 0.5, 0.51, 1.5, 2.5, 2.49, 3.5, 7};
    static const double want[] = {0, 0, 1, 2, 2, 2, 4, 7};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(x); i++) assert_true(vit__round_half_even(x[i]) == want[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_golden_case_equals_pillow_to_the_bit),
        cmocka_unit_test(test_every_layout_gives_the_same_bits),
        cmocka_unit_test(test_strides_of_zero_mean_packed_rows),
        cmocka_unit_test(test_workspace_may_lie_anywhere_be_dirty_and_exact),
        cmocka_unit_test(test_a_workspace_one_byte_too_small_is_refused),
        cmocka_unit_test(test_any_size_equals_a_plain_resize_to_the_bit),
        cmocka_unit_test(test_every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(test_one_colour_stays_so_in_pictures_of_any_shape),
        cmocka_unit_test(test_colours_become_grey_by_the_formula_of_pillow),
        cmocka_unit_test(test_offset_of_the_crop_is_rounded_as_the_recipe_says),
        cmocka_unit_test(test_size_of_the_resized_picture),
        cmocka_unit_test(test_models_of_neither_1_nor_3_channels_take_no_picture),
        cmocka_unit_test(test_impossible_pictures_are_refused),
        cmocka_unit_test(test_a_picture_that_would_become_too_long_is_refused),
        cmocka_unit_test(test_the_length_of_the_resized_picture_has_a_limit),
        cmocka_unit_test(test_the_sides_of_a_picture_have_a_limit),
        cmocka_unit_test(test_null_arguments_are_refused),
        cmocka_unit_test(test_halves_are_rounded_to_even),
    };
    return cmocka_run_group_tests_name("preprocess", tests, NULL, NULL);
}

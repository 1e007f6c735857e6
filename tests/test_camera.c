/* Frames of cameras: their colours beside ITU-R BT.601 in floats, the pictures that they become beside
   vit_preprocess, and what camera_begin refuses. */
#include "test_util.h"

#include "examples/camera.h"

/* ---- frames ---- */

typedef struct frame {
    camera_format format;
    int width, height;
    size_t row_size; /* in bytes */
    unsigned char *bytes, *rgb;
} frame;

static int is_yuv(camera_format format) {
    return format == CAMERA_YUYV || format == CAMERA_YUYV_FULL;
}

static unsigned char nearest(float x) {
    return (unsigned char)(x < 0 ? 0 : x > 255 ? 255 : lrintf(x));
}

/* Y' Cb Cr as BT.601 defines it: Kr = 0.299, Kb = 0.114. */
static void yuv_to_rgb(const unsigned char yuv[3], int is_full, unsigned char rgb[3]) {
    float y = is_full ? yuv[0] : (yuv[0] - 16) * 255.0f / 219;
    float cb = (yuv[1] - 128) * (is_full ? 1 : 255.0f / 224);
    float cr = (yuv[2] - 128) * (is_full ? 1 : 255.0f / 224);
    float red = y + 2 * (1 - 0.299f) * cr, blue = y + 2 * (1 - 0.114f) * cb;
    rgb[0] = nearest(red);
    rgb[1] = nearest((y - 0.299f * red - 0.114f * blue) / (1 - 0.299f - 0.114f));
    rgb[2] = nearest(blue);
}

/* The pixel of a frame as RGB. */
static void frame_pixel(const frame *f, int x, int y, unsigned char rgb[3]) {
    const unsigned char *row = f->bytes + (size_t)y * f->row_size, *p = row + 2 * x;
    if (f->format == CAMERA_GREY) {
        rgb[0] = rgb[1] = rgb[2] = row[x];
    } else if (is_yuv(f->format)) {
        const unsigned char yuv[3] = {p[0], row[x / 2 * 4 + 1], row[x / 2 * 4 + 3]};
        yuv_to_rgb(yuv, f->format == CAMERA_YUYV_FULL, rgb);
    } else {
        int high_first = f->format == CAMERA_RGB565_HIGH_FIRST;
        unsigned value = p[!high_first] * 256u + p[high_first];
        rgb[0] = nearest((float)(value / 2048) * 255 / 31);
        rgb[1] = nearest((float)(value / 32 % 64) * 255 / 63);
        rgb[2] = nearest((float)(value % 32) * 255 / 31);
    }
}

static frame frame_make(camera_format format, int width, int height, uint32_t seed) {
    frame f = {format, width, height, 0, NULL, NULL};
    f.row_size = (size_t)width * (format == CAMERA_GREY ? 1 : 2);
    f.bytes = (unsigned char *)allocate(f.row_size * (size_t)height);
    f.rgb = (unsigned char *)allocate((size_t)width * (size_t)height * 3);
    random_bytes(&seed, f.bytes, f.row_size * (size_t)height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            frame_pixel(&f, x, y, f.rgb + 3 * ((size_t)y * (size_t)width + (size_t)x));
    return f;
}

static void frame_free(frame *f) {
    free(f->bytes);
    free(f->rgb);
}

/* ---- models, and what they see ---- */

/* A model that does nothing but preprocess, and whose pixels are numbers from 0 to 255. */
static vit_config seeing(int channels, int height, int width) {
    vit_config c = tiny_config();
    c.in_chans = channels;
    c.img_size[0] = c.patch_size[0] = height;
    c.img_size[1] = c.patch_size[1] = width;
    c.preprocess.resize = VIT_RESIZE_NONE;
    c.preprocess.rescale = 1;
    for (int i = 0; i < 4; i++) c.preprocess.mean[i] = 0, c.preprocess.std[i] = 1;
    return c;
}

/* The picture by the camera, row for row, in memory of the exact size. For free(). */
static unsigned char *see(const vit_model *model, const frame *f) {
    camera c;
    size_t size = vit_pixels_count(model, NULL);
    guarded memory = guarded_make(camera_memory_size(model, f->format, f->width, f->height), 4);
    guarded picture = guarded_make(size, 1);
    assert_status(camera_begin(&c, model, f->format, f->width, f->height, memory.bytes, memory.size,
                               picture.bytes),
                  VIT_OK, "camera_begin");
    int is_complete = 0;
    for (int y = 0; y < f->height; y++)
        is_complete = camera_row(&c, f->bytes + (size_t)y * f->row_size);
    assert_true(is_complete);
    assert_true(camera_row(&c, NULL)); /* which is not read */
    unsigned char *result = (unsigned char *)allocate(size);
    memcpy(result, picture.bytes, size);
    guarded_free(&memory);
    guarded_free(&picture);
    return result;
}

/* The same by vit_preprocess, from the frame as RGB: [height][width][channels]. For free(). */
static unsigned char *preprocess(const vit_model *model, const frame *f) {
    const vit_image image = {f->rgb, f->width, f->height, 0, 0, 0};
    const vit_config *c = vit_model_config(model);
    size_t count = vit_pixels_count(model, NULL), plane = count / (size_t)c->in_chans;
    size_t size = vit_preprocess_workspace_size(model, NULL, &image);
    float *pixels = allocate_floats(count);
    void *workspace = allocate(size);
    unsigned char *result = (unsigned char *)allocate(count);
    assert_status(vit_preprocess(model, NULL, &image, pixels, workspace, size), VIT_OK,
                  "vit_preprocess");
    for (size_t i = 0; i < count; i++)
        result[i % plane * (size_t)c->in_chans + i / plane] = (unsigned char)pixels[i];
    free(workspace);
    free(pixels);
    return result;
}

/* How far the camera's picture is from that of vit_preprocess, at most. */
static int distance(const vit_config *config, const frame *f) {
    vit_model model;
    model_file file = model_make_open(config, 1, &model);
    unsigned char *got = see(&model, f), *want = preprocess(&model, f);
    int largest = 0;
    for (size_t i = 0; i < vit_pixels_count(&model, NULL); i++) {
        int difference = got[i] > want[i] ? got[i] - want[i] : want[i] - got[i];
        if (difference > largest) largest = difference;
    }
    free(got);
    free(want);
    model_free(&file);
    return largest;
}

/* ---- tests ---- */

static void test_colours_are_those_of_the_formats_definition(void **state) {
    (void)state;
    for (int i = 0; i < CAMERA_FORMAT_COUNT; i++) {
        frame f = frame_make((camera_format)i, 200, 150, 1);
        vit_config colour = seeing(3, 150, 200), grey = seeing(1, 150, 200);
        /* whole numbers round a half to the other side now and then */
        assert_in_range(distance(&colour, &f), 0, is_yuv(f.format));
        assert_in_range(distance(&grey, &f), 0, is_yuv(f.format));
        frame_free(&f);
    }
}

/* Recipes of every kind, frames of every shape: within 1 of vit_preprocess. */
static void test_any_frame_becomes_what_vit_preprocess_makes_of_it(void **state) {
    static const camera_format exact[] = {CAMERA_GREY, CAMERA_RGB565, CAMERA_RGB565_HIGH_FIRST};
    uint32_t seed = 2;
    int differ = 0;
    (void)state;
    for (int i = 0; i < 600; i++) {
        int height = 1 + random_below(&seed, 40), width = 1 + random_below(&seed, 40);
        vit_config c = seeing(i % 2 ? 3 : 1, height, i % 3 ? height : width);
        vit_preprocess_config *p = &c.preprocess;
        p->resize = (vit_resize)random_below(&seed, VIT_RESIZE_COUNT);
        p->resize_size[0] = 1 + random_below(&seed, 60);
        p->resize_size[1] = i % 4 ? p->resize_size[0] : 1 + random_below(&seed, 60);
        p->interpolation = (vit_interpolation)(i / 2 % 2);
        p->crop = (vit_crop)random_below(&seed, VIT_CROP_COUNT);
        int frame_height = 1 + random_below(&seed, 120), frame_width = 1 + random_below(&seed, 120);
        frame f = frame_make(exact[i % 3], frame_width, frame_height, seed);
        int far = distance(&c, &f);
        assert_in_range(far, 0, 1);
        differ += far;
        frame_free(&f);
    }
    assert_in_range(differ, 0, 60); /* most are equal */
}

static void test_a_frame_of_a_real_camera_for_a_model_of_its_own_recipe(void **state) {
    size_t size;
    vit_model model;
    unsigned char *file = read_file("examples/models/fashion-mnist.vit", &size);
    (void)state;
    assert_status(vit_model_open(&model, file, size), VIT_OK, "vit_model_open");
    vit_config c = seeing(1, model.config.img_size[0], model.config.img_size[1]);
    c.preprocess.resize = model.config.preprocess.resize;
    memcpy(c.preprocess.resize_size, model.config.preprocess.resize_size,
           sizeof(c.preprocess.resize_size));
    frame f = frame_make(CAMERA_RGB565, 320, 240, 3);
    assert_in_range(distance(&c, &f), 0, 1);
    assert_in_range(camera_memory_size(&model, CAMERA_RGB565, 320, 240), 1, 8000);
    frame_free(&f);
    free(file);
}

static void test_impossible_frames_are_refused(void **state) {
    vit_config c = seeing(3, 8, 8), two = seeing(2, 8, 8);
    vit_model model, of_two;
    model_file file = model_make_open(&c, 1, &model), other = model_make_open(&two, 1, &of_two);
    unsigned char picture[8 * 8 * 3];
    camera eye;
    size_t size = camera_memory_size(&model, CAMERA_YUYV, 16, 16);
    int32_t *memory = (int32_t *)allocate(size + 4);
    (void)state;
    assert_int_equal(camera_begin(&eye, &of_two, CAMERA_GREY, 16, 16, memory, size, picture),
                     VIT_ERROR_CHANNELS);
    assert_int_equal(camera_begin(&eye, &model, CAMERA_YUYV, 16, 16, memory, size - 1, picture),
                     VIT_ERROR_WORKSPACE);
    assert_int_equal(
        camera_begin(&eye, &model, CAMERA_YUYV, 16, 16, (unsigned char *)memory + 1, size, picture),
        VIT_ERROR_ARGUMENT);
    assert_int_equal(camera_memory_size(&model, CAMERA_YUYV, 15, 16), 0);
    assert_int_equal(camera_memory_size(&model, CAMERA_FORMAT_COUNT, 16, 16), 0);
    assert_int_equal(camera_memory_size(&model, CAMERA_GREY, CAMERA_MAX_SIDE + 1, 16), 0);
    assert_int_equal(camera_memory_size(&model, CAMERA_GREY, 16, 0), 0);
    assert_int_equal(camera_memory_size(NULL, CAMERA_GREY, 16, 16), 0);
    assert_int_equal(camera_begin(&eye, &model, CAMERA_YUYV, 16, 16, memory, size, picture),
                     VIT_OK);
    free(memory);
    model_free(&file);
    model_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours_are_those_of_the_formats_definition),
        cmocka_unit_test(test_any_frame_becomes_what_vit_preprocess_makes_of_it),
        cmocka_unit_test(test_a_frame_of_a_real_camera_for_a_model_of_its_own_recipe),
        cmocka_unit_test(test_impossible_frames_are_refused),
    };
    return cmocka_run_group_tests_name("camera", tests, NULL, NULL);
}

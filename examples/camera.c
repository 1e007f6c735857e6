#include "camera.h"

enum { WEIGHT_BITS = 22 }; /* of the fixed-point weights of a resize, as in Pillow */

static int at_most(int x, int limit) {
    return x < limit ? x : limit;
}

static int at_least(int x, int limit) {
    return x > limit ? x : limit;
}

/* ---- what is resized and cropped to what ---------------------------------------------------- */

/* Offset of a centre crop, d = resized size - wanted size: see vit_crop. */
static int crop_start(vit_crop crop, int d) {
    if (crop == VIT_CROP_FLOOR) return d >= 0 ? d / 2 : -((1 - d) / 2);
    if (d < 0) return -(-d / 2);
    int half = d / 2;
    return d % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

static camera_axis make_axis(const vit_preprocess_config *recipe, int in, int out, int size) {
    camera_axis axis;
    axis.in = in, axis.out = out, axis.size = size;
    axis.start = crop_start(recipe->crop, out - size);
    axis.reach = recipe->interpolation == VIT_INTERPOLATION_BICUBIC ? 2 : 1;
    axis.taps = at_most(in, 2 * (axis.reach * at_least(in, out) / out + 1) + 1);
    return axis;
}

/* a * b / divisor, to the nearest, halves to even. */
static int64_t scaled(int a, int b, int divisor) {
    int64_t product = (int64_t)a * b, whole = product / divisor, rest = product % divisor * 2;
    return whole + (rest > divisor || (rest == divisor && whole % 2 != 0));
}

/* The size that a frame is resized to, as vit_resize says. */
static void resized_size(const vit_preprocess_config *recipe, int height, int width,
                         int64_t out[2]) {
    const int *size = recipe->resize_size;
    out[0] = height, out[1] = width;
    if (recipe->resize == VIT_RESIZE_EXACT) {
        out[0] = size[0], out[1] = size[1];
    } else if (recipe->resize == VIT_RESIZE_SHORTEST && size[0] == size[1]) {
        int longer = height > width ? 0 : 1;
        out[longer] = (int64_t)size[0] * (longer ? width : height) / (longer ? height : width);
        out[1 - longer] = size[0];
    } else if (recipe->resize == VIT_RESIZE_SHORTEST) {
        int by_height = (int64_t)height * size[1] < (int64_t)width * size[0];
        out[0] = by_height ? size[0] : scaled(height, size[1], width);
        out[1] = by_height ? scaled(width, size[0], height) : size[1];
    }
    for (int i = 0; i < 2; i++)
        if (out[i] < 1) out[i] = 1;
}

static vit_status plan(camera *c, const vit_model *model, camera_format format, int width,
                       int height) {
    int64_t resized[2];
    if (model == NULL || model->data == NULL || (unsigned)format >= CAMERA_FORMAT_COUNT ||
        width < 1 || width > CAMERA_MAX_SIDE || height < 1 || height > CAMERA_MAX_SIDE ||
        (format >= CAMERA_YUYV && width % 2 != 0))
        return VIT_ERROR_ARGUMENT;
    const vit_config *config = vit_model_config(model);
    if (config->in_chans != 1 && config->in_chans != 3) return VIT_ERROR_CHANNELS;
    resized_size(&config->preprocess, height, width, resized);
    if (resized[0] > CAMERA_MAX_SIDE || resized[1] > CAMERA_MAX_SIDE) return VIT_ERROR_ARGUMENT;
    c->format = format;
    c->channels = config->in_chans;
    c->down = make_axis(&config->preprocess, height, (int)resized[0], config->img_size[0]);
    c->across = make_axis(&config->preprocess, width, (int)resized[1], config->img_size[1]);
    return VIT_OK;
}

/* The bytes that the buffers take, those of larger elements first. */
static size_t carve(camera *c, unsigned char *memory) {
    size_t width = (size_t)c->across.size, channels = (size_t)c->channels;
    size_t sizes[] = {width * sizeof(camera_span), width * (size_t)c->across.taps * sizeof(int32_t),
                      (size_t)c->down.taps * sizeof(int32_t), (size_t)c->across.in * channels,
                      (size_t)c->down.taps * width * channels};
    size_t used = 0;
    unsigned char *buffers[5];
    for (int i = 0; i < 5; used += sizes[i++]) buffers[i] = memory == NULL ? NULL : memory + used;
    c->columns = (camera_span *)(void *)buffers[0];
    c->column_weights = (int32_t *)(void *)buffers[1];
    c->row_weights = (int32_t *)(void *)buffers[2];
    c->source = buffers[3];
    c->rows = buffers[4];
    return used;
}

size_t camera_memory_size(const vit_model *model, camera_format format, int width, int height) {
    camera c;
    return plan(&c, model, format, width, height) == VIT_OK ? carve(&c, NULL) : 0;
}

/* ---- weights -------------------------------------------------------------------------------- */

/* Pillow's filters: a triangle, and a cubic with a = -0.5. */
static float filter(int reach, float x) {
    float t = x < 0 ? -x : x;
    if (reach == 1) return t < 1 ? 1 - t : 0;
    if (t < 1) return (1.5f * t - 2.5f) * t * t + 1;
    if (t < 2) return (((t - 5) * t + 8) * t - 4) * -0.5f;
    return 0;
}

/* The input pixels of output pixel x of the resized axis, and their weights. Pillow,
   src/libImaging/Resample.c, in whole numbers: x has its centre at (2 x + 1) in / (2 out), and the filter
   is max(in, out) / out times as wide. */
static camera_span weigh(const camera_axis *axis, int x, int32_t *weights) {
    camera_span span = {0, 0};
    if (x < 0 || x >= axis->out) return span;
    const int wide = at_least(axis->in, axis->out);
    int32_t center = (2 * x + 1) * axis->in, reach = 2 * axis->reach * wide;
    float sum = 0;
    span.first = at_least(0, (center - reach + axis->out) / (2 * axis->out));
    span.count = at_most(axis->in, (center + reach + axis->out) / (2 * axis->out)) - span.first;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < span.count; i++) {
            int32_t distance = (2 * (span.first + i) + 1) * axis->out - center;
            float w = filter(axis->reach, (float)distance / (float)(2 * wide));
            if (pass == 0) {
                sum += w;
                continue;
            }
            w = w / sum * (1 << WEIGHT_BITS);
            weights[i] = (int32_t)(w < 0 ? w - 0.5f : w + 0.5f);
        }
    }
    return span;
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* A number in fixed point, one half included, rounded and clamped to a byte. */
static unsigned char to_byte(int32_t x, int bits) {
    return (unsigned char)(x < 0 ? 0 : at_most(x >> bits, 255));
}

/* 5 and 6 bits spread over 8: x * 255 / 31 and x * 255 / 63, to the nearest. */
static void from_565(unsigned value, int rgb[3]) {
    rgb[0] = (int)((value >> 11) * 527 + 23) >> 6;
    rgb[1] = (int)((value >> 5 & 63) * 259 + 33) >> 6;
    rgb[2] = (int)((value & 31) * 527 + 23) >> 6;
}

/* ITU-R BT.601, with 16 bits after the point. */
static void from_yuv(int y, int u, int v, int is_full, int rgb[3]) {
    int luma = (is_full ? y * 65536 : (y - 16) * 76309) + 32768;
    u -= 128, v -= 128;
    rgb[0] = to_byte(luma + v * (is_full ? 91881 : 104597), 16);
    rgb[1] = to_byte(luma - u * (is_full ? 22554 : 25675) - v * (is_full ? 46802 : 53279), 16);
    rgb[2] = to_byte(luma + u * (is_full ? 116130 : 132201), 16);
}

static void read_pixel(camera_format format, const unsigned char *row, int x, int rgb[3]) {
    const unsigned char *two = row + 2 * x, *four = row + 4 * (x / 2);
    switch (format) {
    case CAMERA_RGB565:
        from_565(two[0] | (unsigned)two[1] << 8, rgb);
        break;
    case CAMERA_RGB565_HIGH_FIRST:
        from_565(two[1] | (unsigned)two[0] << 8, rgb);
        break;
    case CAMERA_YUYV:
        from_yuv(two[0], four[1], four[3], 0, rgb);
        break;
    case CAMERA_YUYV_FULL:
        from_yuv(two[0], four[1], four[3], 1, rgb);
        break;
    default:
        rgb[0] = rgb[1] = rgb[2] = row[x];
    }
}

/* A row of the frame in the picture's channels; grey by Pillow's formula. */
static void read_row(const camera *c, const unsigned char *row) {
    unsigned char *out = c->source;
    for (int x = 0; x < c->across.in; x++) {
        int rgb[3];
        read_pixel(c->format, row, x, rgb);
        if (c->channels == 1)
            *out++ =
                (unsigned char)((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
        for (int i = 0; c->channels == 3 && i < 3; i++) *out++ = (unsigned char)rgb[i];
    }
}

/* The row that was read, resized, into its place in the ring. */
static void resize_row(const camera *c) {
    unsigned char *out = c->rows + c->rows_seen % c->down.taps * c->across.size * c->channels;
    for (int x = 0; x < c->across.size; x++) {
        const int32_t *weights = c->column_weights + x * c->across.taps;
        for (int i = 0; i < c->channels; i++) {
            const unsigned char *in = c->source + c->columns[x].first * c->channels + i;
            int32_t sum = 1 << (WEIGHT_BITS - 1);
            for (int k = 0; k < c->columns[x].count; k++, in += c->channels)
                sum += *in * weights[k];
            *out++ = to_byte(sum, WEIGHT_BITS);
        }
    }
}

/* A line of the picture, of the rows in the ring. */
static void make_line(const camera *c) {
    const int width = c->across.size * c->channels;
    unsigned char *out = c->picture + c->line * width;
    for (int x = 0; x < width; x++) {
        int32_t sum = 1 << (WEIGHT_BITS - 1);
        for (int k = 0; k < c->span.count; k++)
            sum += c->rows[(c->span.first + k) % c->down.taps * width + x] * c->row_weights[k];
        *out++ = to_byte(sum, WEIGHT_BITS);
    }
}

/* ---- a frame -------------------------------------------------------------------------------- */

static void begin_line(camera *c) {
    c->span = weigh(&c->down, c->down.start + c->line, c->row_weights);
}

vit_status camera_begin(camera *c, const vit_model *model, camera_format format, int width,
                        int height, void *memory, size_t memory_size, unsigned char *picture) {
    if (c == NULL || memory == NULL || (uintptr_t)memory % 4 != 0 || picture == NULL)
        return VIT_ERROR_ARGUMENT;
    vit_status status = plan(c, model, format, width, height);
    if (status != VIT_OK) return status;
    if (memory_size < carve(c, (unsigned char *)memory)) return VIT_ERROR_WORKSPACE;
    for (int x = 0; x < c->across.size; x++)
        c->columns[x] =
            weigh(&c->across, c->across.start + x, c->column_weights + x * c->across.taps);
    c->picture = picture;
    c->rows_seen = c->line = 0;
    begin_line(c);
    return VIT_OK;
}

int camera_row(camera *c, const void *row) {
    if (c->rows_seen < c->down.in && c->line < c->down.size) {
        if (c->rows_seen >= c->span.first) {
            read_row(c, (const unsigned char *)row);
            resize_row(c);
        }
        c->rows_seen++;
        while (c->line < c->down.size && c->span.first + c->span.count <= c->rows_seen) {
            make_line(c);
            c->line++;
            begin_line(c);
        }
    }
    return c->line == c->down.size;
}

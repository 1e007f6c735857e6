#define VIT_STATIC
#define VIT_NO_THREADS
#define VIT_IMPLEMENTATION
#include "vit_writer.h"

#include "report.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

static const char *volatile unfinished; /* file to be removed when the program ends */

static void remove_unfinished(void) {
    if (unfinished != NULL) remove(unfinished);
}

static void remove_and_die(int signal_number) {
    if (unfinished != NULL) unlink(unfinished);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void remove_when_ended(void) {
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    atexit(remove_unfinished);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], remove_and_die);
}

static void put_u32(unsigned char *p, size_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_int(unsigned char *p, int value) {
    put_u32(p, (size_t)value);
}

static void put_u64(unsigned char *p, uint64_t value) {
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_f32(unsigned char *p, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_u32(p, bits);
}

static void put_config(unsigned char *h, const vit_config *c) {
    for (int i = 0; i < 2; i++) {
        put_int(h + 64 + 4 * i, c->img_size[i]);
        put_int(h + 72 + 4 * i, c->patch_size[i]);
    }
    put_int(h + 80, c->in_chans);
    put_int(h + 84, c->num_classes);
    put_int(h + 88, c->embed_dim);
    put_int(h + 92, c->depth);
    put_int(h + 96, c->num_heads);
    put_int(h + 100, c->head_dim);
    put_int(h + 104, c->mlp_dim);
    put_int(h + 108, c->prefix_tokens);
    put_int(h + 112, c->head_tokens);
    put_int(h + 116, c->head_avg);
    put_int(h + 120, c->fc_norm);
    put_int(h + 124, c->pre_logits);
    put_int(h + 128, (int)c->act);
    put_f32(h + 132, c->norm_eps);
    memcpy(h + 192, c->architecture, strlen(c->architecture)); /* at most 63 bytes */
}

static void put_recipe(unsigned char *h, const vit_preprocess_config *p) {
    put_int(h + 136, (int)p->resize);
    put_int(h + 140, p->resize_size[0]);
    put_int(h + 144, p->resize_size[1]);
    put_int(h + 148, (int)p->interpolation);
    put_int(h + 152, (int)p->crop);
    put_f32(h + 156, p->rescale);
    for (int i = 0; i < 4; i++) {
        put_f32(h + 160 + 4 * i, p->mean[i]);
        put_f32(h + 176 + 4 * i, p->std[i]);
    }
}

/* The head but for its checksum and those of the tensors. */
static void put_layout(unsigned char *h, const vit_config *c, size_t head_size,
                       size_t labels_size) {
    size_t count = (size_t)vit__tensor_count(c),
           labels = VIT__HEADER_SIZE + count * VIT__ENTRY_SIZE;
    uint64_t offset = head_size;
    memcpy(h, vit__magic, sizeof(vit__magic));
    put_u32(h + 8, VIT__FORMAT_VERSION);
    put_u32(h + 16, head_size);
    put_u32(h + 20, VIT__HEADER_SIZE);
    put_u32(h + 36, VIT__ENTRY_SIZE);
    put_u32(h + 40, count);
    put_u32(h + 44, VIT__HEADER_SIZE);
    put_u32(h + 48, labels_size > 0 ? labels : 0);
    put_u32(h + 52, labels_size);
    for (size_t i = 0; i < count; i++) {
        unsigned char *entry = h + VIT__HEADER_SIZE + i * VIT__ENTRY_SIZE;
        vit__tensor t = vit__tensor_at(c, (int)i);
        put_int(entry, (int)t.role);
        put_int(entry + 4, t.block);
        put_int(entry + 12, (int)t.order);
        put_int(entry + 16, t.rows * t.rows_repeat);
        put_int(entry + 20, t.cols * t.cols_repeat);
        put_u64(entry + 32, offset);
        put_u64(entry + 40, vit__round_up(t.size, VIT__ALIGN));
        offset += vit__round_up(t.size, VIT__ALIGN);
    }
    put_u64(h + 24, offset);
}

/* The head, with the config checked as a reader will check it before any size is computed from
   it. */
static void make_head(vit_writer *w, const vit_config *config, const char *labels,
                      size_t labels_size) {
    unsigned char header[VIT__HEADER_SIZE] = {0};
    put_config(header, config);
    put_recipe(header, &config->preprocess);
    vit__read_config(header, &w->config);
    if (!vit__config_is_valid(&w->config))
        fail("%s: a size or a number of the recipe is out of the format's range", w->path);
    size_t before_labels = VIT__HEADER_SIZE + (size_t)vit__tensor_count(config) * VIT__ENTRY_SIZE;
    w->head_size = vit__round_up(vit__add(before_labels, labels_size), VIT__ALIGN);
    if (w->head_size > UINT32_MAX) fail("%s: the labels are too long", w->path);
    w->head = allocate(w->head_size, 1);
    memcpy(w->head, header, sizeof(header));
    put_layout(w->head, &w->config, w->head_size, labels_size);
    if (labels_size > 0) memcpy(w->head + before_labels, labels, labels_size);
    w->config.architecture = (const char *)w->head + 192;
}

static void make_buffers(vit_writer *w) {
    size_t largest = 0, longest = 0;
    for (int i = 0; i < vit__tensor_count(&w->config); i++) {
        vit__tensor t = vit__tensor_at(&w->config, i);
        if (t.size > largest) largest = t.size;
        if (t.padded_cols > longest) longest = t.padded_cols;
    }
    w->tensor = allocate(vit__round_up(largest, VIT__ALIGN), 1);
    w->row = allocate(longest, sizeof(float));
}

/* A new file beside the one to be written, which must not be a folder or a device. */
static void open_temporary(vit_writer *w) {
    struct stat status;
    if (stat(w->path, &status) == 0 && !S_ISREG(status.st_mode))
        fail("%s: not a regular file", w->path);
    w->temporary = format_text("%s.%ld.tmp", w->path, (long)getpid());
    int file = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (file < 0) fail("%s: %s", w->temporary, strerror(errno));
    unfinished = w->temporary;
    remove_when_ended();
    w->file = fdopen(file, "wb");
    if (w->file == NULL) fail("%s: %s", w->temporary, strerror(errno));
}

static void write_bytes(vit_writer *w, const void *data, size_t size) {
    if (fwrite(data, 1, size, w->file) != size) fail("%s: %s", w->temporary, strerror(errno));
}

void vit_writer_begin(vit_writer *w, const char *path, const vit_config *config, const char *labels,
                      size_t labels_size) {
    memset(w, 0, sizeof(*w));
    w->path = path;
    if (!vit__is_little_endian()) fail("%s", vit_status_string(VIT_ERROR_BYTE_ORDER));
    make_head(w, config, labels, labels_size);
    make_buffers(w);
    open_temporary(w);
    write_bytes(w, w->head, w->head_size); /* room for it */
}

static void fill_rows(vit_writer *w, const vit__tensor *t, vit_row_reader read_row,
                      const void *source) {
    for (size_t r = 0; r < (size_t)t->rows; r++)
        read_row(source, r, w->tensor + r * t->padded_cols);
}

/* Spread the weights of output n, [cols_repeat][cols], over its panel, [K][16]. */
static void fill_panel_column(vit_writer *w, const vit__tensor *t, size_t n) {
    float *panel = w->tensor + n / VIT__PANEL * t->padded_cols * VIT__PANEL + n % VIT__PANEL;
    const float *value = w->row;
    for (size_t part = 0; part < (size_t)t->cols_repeat; part++) {
        float *to = panel + part * vit__round16(t->cols) * VIT__PANEL;
        for (int c = 0; c < t->cols; c++, to += VIT__PANEL) *to = *value++;
    }
}

static void fill_panels(vit_writer *w, const vit__tensor *t, vit_row_reader read_row,
                        const void *source, const float *bias) {
    float *biases = w->tensor + t->padded_rows * t->padded_cols;
    for (size_t row = 0; row < (size_t)t->rows * (size_t)t->rows_repeat; row++) {
        size_t part = row / (size_t)t->rows,
               n = part * vit__round16(t->rows) + row % (size_t)t->rows;
        read_row(source, row, w->row);
        fill_panel_column(w, t, n);
        if (bias != NULL) biases[n] = bias[row];
    }
}

int vit_writer_add(vit_writer *w, vit_row_reader read_row, const void *source, const float *bias) {
    vit__tensor t = vit__tensor_at(&w->config, w->index);
    size_t size = vit__round_up(t.size, VIT__ALIGN);
    int finite = 1;
    memset(w->tensor, 0, size);
    if (t.order == VIT__ROWS) fill_rows(w, &t, read_row, source);
    else fill_panels(w, &t, read_row, source, bias);
    for (size_t i = 0; i < t.size / sizeof(float); i++) finite &= vit__is_finite(w->tensor[i]);
    write_bytes(w, w->tensor, size);
    put_u32(w->head + VIT__HEADER_SIZE + (size_t)w->index++ * VIT__ENTRY_SIZE + 28,
            vit__xxh32(w->tensor, size));
    return finite;
}

void vit_writer_end(vit_writer *w) {
    assert(w->index == vit__tensor_count(&w->config));
    put_u32(w->head + 12, vit__xxh32(w->head + 16, w->head_size - 16));
    if (fseek(w->file, 0, SEEK_SET) != 0) fail("%s: %s", w->temporary, strerror(errno));
    write_bytes(w, w->head, w->head_size);
    if (fclose(w->file) != 0) fail("%s: %s", w->temporary, strerror(errno));
    if (rename(w->temporary, w->path) != 0) fail("%s: %s", w->path, strerror(errno));
    unfinished = NULL;
    free(w->temporary);
    free(w->head);
    free(w->tensor);
    free(w->row);
}

int vit_text_is_valid(const char *text) {
    return vit__strings_are_valid((const unsigned char *)text, strlen(text) + 1, 1);
}

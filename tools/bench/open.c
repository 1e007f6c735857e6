/* bench-open: what it costs to open a ViT-B/16 of 344 MB, as a mapped file, without verification.

   The weights are a hole in a temporary file: opening must not look at them. Prints the median of
   101 runs of vit_model_load and of vit_model_open, and counts what they allocate. */

static int allocations;

#include <stdlib.h>
static void *count_malloc(size_t size) {
    allocations++;
    return malloc(size);
}

#define VIT_MALLOC(context, size) ((void)(context), count_malloc(size))
#define VIT_FREE(context, pointer) ((void)(context), free(pointer))
#define VIT_IMPLEMENTATION
#include "vit.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 101 };

static void put_u32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_u64(unsigned char *p, uint64_t value) {
    put_u32(p, (uint32_t)value);
    put_u32(p + 4, (uint32_t)(value >> 32));
}

static void put_f32(unsigned char *p, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_u32(p, bits);
}

/* The header of timm's vit_base_patch16_224: see THE .vit FORMAT in vit.h. */
static void put_config(unsigned char *head) {
    const uint32_t counts[] = {224, 224, 16, 16, 3, 1000, 768, 12, 12, 64, 3072, 1, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        put_u32(head + 64 + 4 * i, counts[i]);
    put_f32(head + 132, 1e-6f);
    put_u32(head + 136, VIT_RESIZE_SHORTEST);
    put_u32(head + 140, 248);
    put_u32(head + 144, 248);
    put_u32(head + 148, VIT_INTERPOLATION_BICUBIC);
    put_f32(head + 156, 255);
    for (size_t i = 0; i < 4; i++) put_f32(head + 176 + 4 * i, 1);
}

/* The directory; returns the size of the whole file. */
static uint64_t put_directory(unsigned char *head, uint32_t head_size, const vit_config *config) {
    uint64_t offset = head_size;
    for (int i = 0; i < vit__tensor_count(config); i++) {
        unsigned char *entry = head + VIT__HEADER_SIZE + (size_t)i * VIT__ENTRY_SIZE;
        vit__tensor t = vit__tensor_at(config, i);
        put_u32(entry, (uint32_t)t.role);
        put_u32(entry + 4, (uint32_t)t.block);
        put_u32(entry + 12, (uint32_t)t.order);
        put_u32(entry + 16, (uint32_t)(t.rows * t.rows_repeat));
        put_u32(entry + 20, (uint32_t)(t.cols * t.cols_repeat));
        put_u64(entry + 32, offset);
        put_u64(entry + 40, vit__round_up(t.size, VIT__ALIGN));
        offset += vit__round_up(t.size, VIT__ALIGN);
    }
    return offset;
}

/* A file with a whole head and no weights; 0 on failure. */
static int write_file(int file) {
    static unsigned char head[1 << 16];
    vit_config config;
    put_config(head);
    vit__read_config(head, &config);
    uint32_t count = (uint32_t)vit__tensor_count(&config);
    uint32_t head_size =
        (uint32_t)vit__round_up(VIT__HEADER_SIZE + count * VIT__ENTRY_SIZE, VIT__ALIGN);
    uint64_t file_size = put_directory(head, head_size, &config);
    memcpy(head, vit__magic, sizeof(vit__magic));
    put_u32(head + 8, VIT__FORMAT_VERSION);
    put_u32(head + 16, head_size);
    put_u32(head + 20, VIT__HEADER_SIZE);
    put_u64(head + 24, file_size);
    put_u32(head + 36, VIT__ENTRY_SIZE);
    put_u32(head + 40, count);
    put_u32(head + 44, VIT__HEADER_SIZE);
    put_u32(head + 12, vit__xxh32(head + 16, head_size - 16));
    return write(file, head, head_size) == (ssize_t)head_size &&
           ftruncate(file, (off_t)file_size) == 0;
}

static double microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    char path[] = "/tmp/bench-open-XXXXXX";
    double load[RUNS], open_[RUNS];
    vit_load_options options = {1, 0, NULL};
    vit_model model, view;
    size_t size = 0;
    int file = mkstemp(path);
    if (file < 0 || !write_file(file)) return fprintf(stderr, "cannot write %s\n", path), 1;
    close(file);
    for (int i = 0; i < RUNS; i++) {
        double begin = microseconds();
        vit_status status = vit_model_load(&model, path, &options);
        load[i] = microseconds() - begin;
        if (status != VIT_OK) return fprintf(stderr, "%s\n", vit_status_string(status)), 1;
        size = model.size;
        begin = microseconds();
        vit_model_open(&view, model.data, model.size);
        open_[i] = microseconds() - begin;
        vit_model_close(&model);
    }
    unlink(path);
    qsort(load, RUNS, sizeof(load[0]), compare);
    qsort(open_, RUNS, sizeof(open_[0]), compare);
    printf("ViT-B/16, %.1f MB: vit_model_load without verification %.1f us, vit_model_open %.1f us "
           "(medians of %d), %d allocations\n",
           (double)size / 1e6, load[RUNS / 2], open_[RUNS / 2], RUNS, allocations);
    return 0;
}

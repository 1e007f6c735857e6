/* As convert-pth-to-ggml.py of https://github.com/staghado/vit.cpp writes it. All numbers are int32,
   little-endian: the magic, the numbers of `header`, labels (count; each index, length, text), tensors
   to the end (rank, length of the name, type, dimensions from the last to the first, name, data). */
#include "ggml.h"

#include "bytes.h"
#include "report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x67676d6c
#define MAX_LABELS (1 << 20)

typedef struct header {
    int hidden_size, layers, heads, classes, patch_size, img_size, type;
} header;

/* What is left of the file. */
typedef struct reader {
    const file_map *file;
    size_t at;
} reader;

int ggml_starts(const file_map *file) {
    return file->size >= 4 && read_u32(file->data) == MAGIC;
}

static const unsigned char *take(reader *r, size_t size) {
    if (size > r->file->size - r->at)
        fail("%s: a file of vit.cpp that is cut short at byte %zu", r->file->path, r->at);
    r->at += size;
    return r->file->data + r->at - size;
}

static int take_int(reader *r, const char *what, int most) {
    uint32_t value = read_u32(take(r, 4));
    if (value > (uint32_t)most)
        fail("%s: %s: %lu is out of range", r->file->path, what, (unsigned long)value);
    return (int)value;
}

static header read_header(reader *r) {
    header h;
    h.hidden_size = take_int(r, "hidden_size", INT_MAX);
    h.layers = take_int(r, "num_hidden_layers", INT_MAX);
    h.heads = take_int(r, "num_attention_heads", INT_MAX);
    h.classes = take_int(r, "num_classes", MAX_LABELS);
    h.patch_size = take_int(r, "patch_size", INT_MAX);
    h.img_size = take_int(r, "img_size", INT_MAX);
    h.type = take_int(r, "ftype", INT_MAX);
    if (h.type > 1)
        fail("%s: quantized weights (ftype %d of vit.cpp): give its file of f32 or f16",
             r->file->path, h.type);
    return h;
}

/* The labels as an object from index to name, as Hugging Face's id2label. */
static cJSON *read_labels(reader *r) {
    int count = take_int(r, "the number of labels", MAX_LABELS);
    cJSON *labels = count > 0 ? cJSON_CreateObject() : NULL;
    for (int i = 0; i < count; i++) {
        int index = take_int(r, "a label's class", MAX_LABELS);
        size_t length = (size_t)take_int(r, "a label's length", INT_MAX);
        const char *text = (const char *)take(r, length);
        char *name = format_text("%.*s", (int)length, text), *key = format_text("%d", index);
        if (strlen(name) != length) fail("%s: label %d has a zero byte", r->file->path, index);
        cJSON_AddItemToObject(labels, key, cJSON_CreateString(name));
        free(name);
        free(key);
    }
    return labels;
}

/* What heads and labels are, in the words of timm's config.json; the rest is in the tensors. */
static cJSON *make_config(const header *h, cJSON *labels) {
    cJSON *config = cJSON_CreateObject(), *args = cJSON_AddObjectToObject(config, "model_args");
    cJSON_AddNumberToObject(args, "num_heads", h->heads);
    cJSON_AddNumberToObject(args, "img_size", h->img_size);
    cJSON_AddNumberToObject(args, "embed_dim", h->hidden_size);
    cJSON_AddNumberToObject(args, "depth", h->layers);
    cJSON_AddNumberToObject(args, "patch_size", h->patch_size);
    cJSON_AddNumberToObject(config, "num_classes", h->classes);
    if (labels != NULL) cJSON_AddItemToObject(config, "id2label", labels);
    return config;
}

/* The bias of the patch embedding is written as [1, D, 1, 1]. */
static void flatten_bias(tensor *t) {
    if (strcmp(t->name, "patch_embed.proj.bias") != 0 || t->rank != 4) return;
    if (t->shape[0] != 1 || t->shape[2] != 1 || t->shape[3] != 1) return;
    t->shape[0] = t->shape[1];
    t->rank = 1;
}

static void read_tensor(checkpoint *c, reader *r) {
    int lengths[4], rank = take_int(r, "a tensor's dimensions", 4);
    size_t name_length = (size_t)take_int(r, "a tensor's name", 1 << 16);
    int type = take_int(r, "a tensor's type", INT_MAX);
    for (int i = rank - 1; i >= 0; i--) lengths[i] = take_int(r, "a dimension", INT_MAX);
    const char *name = (const char *)take(r, name_length);
    tensor *t = checkpoint_add(c, r->file, format_text("%.*s", (int)name_length, name));
    if (type > 1)
        fail("%s: %s is quantized (type %d of ggml): give the file of f32 or f16", t->file, t->name,
             type);
    tensor_set_type(t, type == 1 ? "F16" : "F32");
    for (int i = 0; i < rank; i++) {
        if (!tensor_add_dimension(t, (size_t)lengths[i]))
            fail("%s: %s: the shape is too large", t->file, t->name);
    }
    t->data = take(r, tensor_count(t) * t->element_size);
    flatten_bias(t);
    tensor_set_strides(t, 0);
}

void ggml_read(checkpoint *c, const file_map *file) {
    reader r = {file, 4};
    header h = read_header(&r);
    cJSON *labels = read_labels(&r);
    if (c->config == NULL) c->config = make_config(&h, labels);
    else cJSON_Delete(labels);
    while (r.at < file->size) read_tensor(c, &r);
}

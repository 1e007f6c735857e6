#include "labels.h"

#include "file_map.h"
#include "imagenet_labels.h"
#include "report.h"
#include "model_writer.h"

#include <stdlib.h>
#include <string.h>

/* The names by class, and the file that they come from. */
typedef struct labels {
    const char *file;
    const char **names; /* [count]; NULL: not seen yet */
    int count;
} labels;

static void set_name(labels *l, double index, const char *name) {
    if (!(index >= 0 && index < l->count))
        fail("%s: there are more labels than classes, which are %d", l->file, l->count);
    if (l->names[(int)index] != NULL) fail("%s: two labels for class %d", l->file, (int)index);
    if (!text_is_valid(name))
        fail("%s: label %d is not UTF-8, or has control characters", l->file, (int)index);
    l->names[(int)index] = name;
}

static const char *text_of(const labels *l, const cJSON *node) {
    if (!cJSON_IsString(node)) fail("%s: a label is not a string", l->file);
    return node->valuestring;
}

static void set_list(labels *l, const cJSON *list) {
    const cJSON *node;
    int index = 0;
    cJSON_ArrayForEach(node, list) set_name(l, index++, text_of(l, node));
}

/* An object from class to name, in any order. */
static void set_object(labels *l, const cJSON *object) {
    const cJSON *node;
    cJSON_ArrayForEach(node, object) {
        size_t length = strlen(node->string);
        if (length == 0 || strspn(node->string, "0123456789") != length)
            fail("%s: '%s' is not the number of a class", l->file, node->string);
        set_name(l, strtod(node->string, NULL), text_of(l, node));
    }
}

static void set_json(labels *l, const cJSON *node) {
    if (cJSON_IsArray(node)) set_list(l, node);
    else if (cJSON_IsObject(node)) set_object(l, node);
    else fail("%s: the labels are neither a list nor an object", l->file);
}

/* One name a line, possibly after a byte order mark; text is cut into lines. */
static void set_lines(labels *l, char *text) {
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    for (int index = 0; *text != 0; index++) {
        size_t length = strcspn(text, "\n");
        char *next = text + length + (text[length] != 0);
        text[length] = 0;
        if (length > 0 && text[length - 1] == '\r') text[length - 1] = 0;
        set_name(l, index, text);
        text = next;
    }
}

/* All names one after the other, each ended by NUL. */
static char *join(const labels *l, size_t *size) {
    *size = 0;
    for (int i = 0; i < l->count; i++) {
        if (l->names[i] == NULL) fail("%s: no label for class %d of %d", l->file, i, l->count);
        *size += strlen(l->names[i]) + 1;
    }
    char *joined = allocate(*size, 1), *p = joined;
    for (int i = 0; i < l->count; i++) {
        size_t length = strlen(l->names[i]) + 1;
        memcpy(p, l->names[i], length);
        p += length;
    }
    return joined;
}

static char *read_file(labels *l, size_t *size) {
    file_map map = file_map_open(l->file);
    char *text = allocate(map.size + 1, 1);
    if (map.size > 0) memcpy(text, map.data, map.size);
    if (strlen(text) != map.size) fail("%s: a NUL among the labels", l->file);
    json root = {l->file, NULL};
    if (text[strspn(text, " \t\r\n")] == '[') {
        root = json_parse(l->file, map.data, map.size);
        set_json(l, root.node);
    } else {
        set_lines(l, text);
    }
    char *joined = join(l, size);
    cJSON_Delete(root.node);
    free(text);
    file_map_close(&map);
    return joined;
}

/* timm has label_names, in older files labels, in the recipe or at the top level; Hugging Face has
   id2label. */
static json find_labels(json config) {
    json recipe = json_get(config, "pretrained_cfg");
    const json found[] = {json_get(config, "id2label"), json_get(config, "label_names"),
                          json_get(config, "labels"), json_get(recipe, "label_names"),
                          json_get(recipe, "labels")};
    size_t i = 0;
    while (i < sizeof(found) / sizeof(found[0]) - 1 && found[i].node == NULL) i++;
    return found[i];
}

char *labels_read(const char *from, json config, int count, size_t *size) {
    labels l = {from, allocate((size_t)count, sizeof(char *)), count};
    json found = find_labels(config);
    char *joined = NULL;
    *size = 0;
    if (from != NULL && strcmp(from, "imagenet-1k") == 0) {
        for (int i = 0; i < 1000; i++) set_name(&l, i, imagenet_labels[i]);
        joined = join(&l, size);
    } else if (from != NULL) {
        joined = read_file(&l, size);
    } else if (found.node != NULL) {
        l.file = found.file;
        set_json(&l, found.node);
        joined = join(&l, size);
    } else {
        note("no config names the classes: they have numbers only (--labels)");
    }
    free(l.names);
    return joined;
}

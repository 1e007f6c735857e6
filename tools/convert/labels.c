#include "labels.h"

#include "cifar_labels.h"
#include "file_map.h"
#include "imagenet_labels.h"
#include "report.h"
#include "model_writer.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The names by class, and the file that they come from. */
typedef struct labels {
    const char *file;
    const char **names; /* [count]; NULL: not seen yet */
    int count;
    int lines; /* whether each is a line, the first of which is line 1 */
} labels;

static const struct {
    const char *name;
    const char *const *labels;
    int count;
} known[] = {
    {"imagenet-1k", imagenet_labels, COUNT_OF(imagenet_labels)},
    {"cifar-10", cifar10_labels, COUNT_OF(cifar10_labels)},
    {"cifar-100", cifar100_labels, COUNT_OF(cifar100_labels)},
};

/* Where a name stands, as text to be freed. */
static char *place_of(const labels *l, double index) {
    return l->lines ? format_text("line %.0f", index + 1) : format_text("label %.0f", index);
}

/* A name is UTF-8 without control characters. */
static void check_name(const labels *l, int index, const char *name) {
    size_t good = text_valid_length(name);
    const unsigned char *p = (const unsigned char *)name + good;
    if (*p == 0) return;
    char *place = place_of(l, index);
    if (*p == '\t')
        fail("%s: %s: a tab (byte %zu): the names alone are wanted, in the order of the classes",
             l->file, place, good + 1);
    if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0))
        fail("%s: %s: a control character, U+%04X, at byte %zu", l->file, place,
             *p == 0xC2 ? p[1] : *p, good + 1);
    fail("%s: %s: not UTF-8 at byte %zu, which is 0x%02X", l->file, place, good + 1, *p);
}

static void set_name(labels *l, double index, const char *name) {
    if (!(index >= 0 && index < l->count)) {
        char *place = place_of(l, index);
        fail("%s: %s ('%.40s'): too many names: the classes are %d", l->file, place, name,
             l->count);
    }
    if (l->names[(int)index] != NULL) fail("%s: two labels for class %d", l->file, (int)index);
    check_name(l, (int)index, name);
    l->names[(int)index] = name;
}

/* A name, or [synset, name]. */
static const char *text_of(const labels *l, const cJSON *node, double index) {
    if (cJSON_IsArray(node) && cJSON_GetArraySize(node) == 2) node = node->child->next;
    if (!cJSON_IsString(node))
        fail("%s: label %.0f is neither a string nor [synset, name]", l->file, index);
    return node->valuestring;
}

static void set_list(labels *l, const cJSON *list) {
    const cJSON *node;
    int index = 0;
    cJSON_ArrayForEach(node, list) {
        set_name(l, index, text_of(l, node, index));
        index++;
    }
}

/* An object from class to name, in any order. */
static void set_object(labels *l, const cJSON *object) {
    const cJSON *node;
    cJSON_ArrayForEach(node, object) {
        size_t length = strlen(node->string);
        if (length == 0 || strspn(node->string, "0123456789") != length)
            fail("%s: '%s' is not the number of a class", l->file, node->string);
        double index = strtod(node->string, NULL);
        set_name(l, index, text_of(l, node, index));
    }
}

static void set_json(labels *l, const cJSON *node) {
    if (cJSON_IsArray(node)) set_list(l, node);
    else if (cJSON_IsObject(node)) set_object(l, node);
    else fail("%s: the labels are neither a list nor an object", l->file);
}

/* Where the last line that is not blank ends. */
static size_t end_of_lines(const char *text) {
    size_t end = strlen(text);
    while (end > 0 && strchr(" \t\r\n", text[end - 1]) != NULL) end--;
    return end + strcspn(text + end, "\r\n");
}

/* One name a line, possibly after a byte order mark; text is cut into lines. */
static void set_lines(labels *l, char *text) {
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    text[end_of_lines(text)] = 0;
    l->lines = 1;
    for (int index = 0; *text != 0; index++) {
        size_t length = strcspn(text, "\n");
        char *next = text + length + (text[length] != 0);
        text[length] = 0;
        if (length > 0 && text[length - 1] == '\r') text[length - 1] = 0;
        set_name(l, index, text);
        if (text[0] == 0)
            note("%s: line %d is empty, and so is the name of class %d", l->file, index + 1, index);
        text = next;
    }
}

static void check_complete(const labels *l) {
    int seen = 0, first = l->count;
    for (int i = l->count - 1; i >= 0; i--) {
        seen += l->names[i] != NULL;
        if (l->names[i] == NULL) first = i;
    }
    if (first == l->count) return;
    if (l->lines)
        fail("%s: too few names: %d lines for %d classes, so there is no label for class %d",
             l->file, seen, l->count, first);
    fail("%s: too few names: %d for %d classes; there is no label for class %d", l->file, seen,
         l->count, first);
}

/* All names one after the other, each ended by NUL. */
static char *join(const labels *l, size_t *size) {
    check_complete(l);
    *size = 0;
    for (int i = 0; i < l->count; i++) *size += strlen(l->names[i]) + 1;
    char *joined = allocate(*size, 1), *p = joined;
    for (int i = 0; i < l->count; i++) {
        size_t length = strlen(l->names[i]) + 1;
        memcpy(p, l->names[i], length);
        p += length;
    }
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

/* The file's bytes as a string. */
static char *read_text(const char *file) {
    file_map map = file_map_open(file);
    char *text = allocate(map.size + 1, 1);
    if (map.size > 0) memcpy(text, map.data, map.size);
    if (map.size >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        fail("%s: UTF-16: save it as UTF-8", file);
    size_t length = strlen(text), line = 1;
    for (size_t i = 0; i < length; i++) line += text[i] == '\n';
    if (length != map.size) fail("%s: line %zu: a NUL among the labels", file, line);
    file_map_close(&map);
    return text;
}

static char *read_file(labels *l, size_t *size) {
    char *text = read_text(l->file);
    size_t start = strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    json root = {l->file, NULL};
    start += strspn(text + start, " \t\r\n");
    if (text[start] == '[' || text[start] == '{') {
        root = json_parse(l->file, text + start, strlen(text + start));
        json inner = find_labels(root); /* of a config.json */
        set_json(l, inner.node != NULL ? inner.node : root.node);
    } else {
        set_lines(l, text);
    }
    char *joined = join(l, size);
    cJSON_Delete(root.node);
    free(text);
    return joined;
}

/* Sets the labels that come with the program; returns whether those are meant. */
static int set_known(labels *l) {
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(l->file, known[i].name) != 0) continue;
        if (known[i].count != l->count)
            fail("--labels %s: it has %d classes, the model %d classes", l->file, known[i].count,
                 l->count);
        for (int j = 0; j < l->count; j++) set_name(l, j, known[i].labels[j]);
        return 1;
    }
    return 0;
}

/* Classes without names, and the names that would fit by their number. */
static void note_missing(int count) {
    for (int i = 0; i < COUNT_OF(known); i++) {
        if (known[i].count != count) continue;
        note(
            "no config names the classes: they have numbers only (--labels FILE, or --labels %s if "
            "they are those)",
            known[i].name);
        return;
    }
    note("no config names the classes: they have numbers only (--labels FILE)");
}

char *labels_read(const char *from, json config, int count, size_t *size) {
    labels l = {from, allocate((size_t)count, sizeof(char *)), count, 0};
    json found = find_labels(config);
    char *joined = NULL;
    *size = 0;
    if (from != NULL) {
        joined = set_known(&l) ? join(&l, size) : read_file(&l, size);
    } else if (found.node != NULL) {
        l.file = found.file;
        set_json(&l, found.node);
        joined = join(&l, size);
    } else {
        note_missing(count);
    }
    free(l.names);
    return joined;
}

#include "c_array.h"

#include "file_map.h"
#include "new_file.h"
#include "report.h"
#include "tools/plans.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the two files, to be finished and put in its place. */
static new_file open_source(const char *stem, const char *suffix) {
    char *path = format_text("%s%s", stem, suffix);
    new_file o = new_file_open(path);
    free(path);
    return o;
}

/* The path without .c. */
static char *stem_of(const char *path) {
    size_t length = strlen(path);
    if (length < 3 || strcmp(path + length - 2, ".c") != 0)
        fail("--c-array: %s does not end with .c", path);
    return format_text("%.*s", (int)(length - 2), path);
}

/* The array's name: the last part of the path. */
static const char *name_of(const char *stem) {
    const char *slash = strrchr(stem, '/'), *name = slash == NULL ? stem : slash + 1;
    int valid = !isdigit((unsigned char)name[0]) && name[0] != 0;
    for (const char *p = name; *p != 0; p++) valid &= isalnum((unsigned char)*p) || *p == '_';
    if (!valid) fail("--c-array: %s is not a name in C", name);
    return name;
}

static void check_section(const char *section) {
    for (const char *p = section; p != NULL && *p != 0; p++) {
        if (!isgraph((unsigned char)*p) || *p == '"' || *p == '\\')
            fail("--section: %s is not a section's name", section);
    }
}

/* A name in capitals, for macros. */
static char *capitals_of(const char *name) {
    char *capitals = format_text("%s", name);
    for (char *p = capitals; *p != 0; p++) *p = (char)toupper((unsigned char)*p);
    return capitals;
}

static void write_workspaces(FILE *file, const char *capitals, const vit_model *model) {
    fprintf(file, "\n/* vit_workspace_size of one image; the name's ending is the option that it "
                  "needs. */\n");
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        char *option = capitals_of(plans[i].name == NULL ? "" : plans[i].name);
        fprintf(file, "#define %s_WORKSPACE_SIZE%s%s %zuu\n", capitals, *option != 0 ? "_" : "",
                option, vit_workspace_size(model, &plans[i].options, 1));
        free(option);
    }
}

static void write_header(FILE *file, const char *name, const vit_model *model, size_t size) {
    const vit_config *c = vit_model_config(model);
    char *capitals = capitals_of(name);
    fprintf(file, "/* Made by vit-convert: a model of %d x %d x %d pixels, %d classes, %s. */\n",
            c->img_size[0], c->img_size[1], c->in_chans, c->num_classes,
            vit_dtype_name(vit_model_dtype(model)));
    fprintf(file, "#ifndef %s_H\n#define %s_H\n\n", capitals, capitals);
    fprintf(file, "#define %s_SIZE %zuu\n", capitals, size);
    fprintf(file, "#define %s_PIXELS_COUNT %zuu\n", capitals, vit_pixels_count(model, NULL));
    fprintf(file, "#define %s_NUM_CLASSES %d\n", capitals, c->num_classes);
    write_workspaces(file, capitals, model);
    fprintf(file, "\n#ifdef __cplusplus\nextern \"C\"\n#endif\n");
    fprintf(file, "extern const unsigned char %s[%s_SIZE];\n\n#endif\n", name, capitals);
    free(capitals);
}

/* Aligned to 64 bytes, which is fastest for vit_model_open. */
static void write_definition(FILE *file, const char *name, const char *section) {
    char *capitals = capitals_of(name);
    fprintf(file, "#if defined(__GNUC__) || defined(__clang__)\n");
    if (section == NULL)
        fprintf(file, "__attribute__((aligned(64)))\n"
                      "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n"
                      "_Alignas(64)\n");
    else fprintf(file, "__attribute__((aligned(64), section(\"%s\")))\n", section);
    fprintf(file, "#else\n#error \"say here how this compiler places an array\"\n#endif\n");
    fprintf(file, "const unsigned char %s[%s_SIZE] = {\n", name, capitals);
    free(capitals);
}

#define BYTES_IN_A_LINE 24

static void write_bytes(FILE *file, const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        fprintf(file, "%d,%s", bytes[i], i % BYTES_IN_A_LINE == BYTES_IN_A_LINE - 1 ? "\n" : "");
    fprintf(file, "};\n");
}

void c_array_write(const char *vit, const char *path, const char *section) {
    file_map map = file_map_open(vit);
    char *stem = stem_of(path);
    const char *name = name_of(stem);
    vit_model model;
    check_section(section);
    vit_status status = vit_model_open(&model, map.data, map.size);
    if (status == VIT_OK) status = vit_model_verify(&model);
    if (status != VIT_OK) fail("%s: %s", vit, vit_status_string(status));

    new_file header = open_source(stem, ".h"), array = open_source(stem, ".c");
    write_header(header.file, name, &model, map.size);
    fprintf(array.file, "#include \"%s.h\"\n\n", name);
    write_definition(array.file, name, section);
    write_bytes(array.file, map.data, map.size);
    new_file_finish(&header);
    new_file_finish(&array);
    new_file_commit(&header);
    new_file_commit(&array);

    free(stem);
    file_map_close(&map);
}

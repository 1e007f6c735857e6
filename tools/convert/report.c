#include "report.h"

#include "vit.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *report_program = "vit-convert";

static void say(const char *kind, const char *format, va_list arguments) {
    char line[1024];
    vsnprintf(line, sizeof(line), format, arguments);
    for (char *p = line; *p != 0; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    }
    fprintf(stderr, "%s: %s%s\n", report_program, kind, line);
}

void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("note: ", format, arguments);
    va_end(arguments);
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("error: ", format, arguments);
    va_end(arguments);
    exit(1);
}

/* "timm/vit_tiny_patch16_224": two parts that begin with a letter or digit, and no ending of a file. */
static int is_hub_name(const char *path) {
    const char *slash = strchr(path, '/');
    return isalnum((unsigned char)path[0]) && slash != NULL && strchr(slash + 1, '/') == NULL &&
           isalnum((unsigned char)slash[1]) && strstr(slash, ".vit") == NULL;
}

void fail_open(const char *path) {
    if (errno == ENOENT && is_hub_name(path))
        fail("%s: %s. If it is the name of a model on Hugging Face's hub, download its files first "
             "(huggingface-cli download %s --local-dir FOLDER)",
             path, strerror(errno), path);
    fail("%s: %s", path, strerror(errno));
}

void show(const char *text) {
    fputs(text, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

void show_version(void) {
    show(format_text("%s %d.%d.%d\n", report_program, VIT_VERSION_MAJOR, VIT_VERSION_MINOR,
                     VIT_VERSION_PATCH));
}

void wrong_usage(const char *usage) {
    const char *end = strstr(usage, "\n\n");
    fprintf(stderr, "%.*s\nFor more: %s --help\n", end == NULL ? 0 : (int)(end - usage), usage,
            report_program);
    exit(2);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) fail("out of memory (%zu times %zu bytes)", count, size);
    return memory;
}

void *make_room_for_one(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return array;
    *capacity = count > 0 ? count * 2 : 16;
    void *larger = allocate(*capacity, size);
    if (count > 0) memcpy(larger, array, count * size);
    free(array);
    return larger;
}

char *format_text(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) fail("text too long");
    char *text = allocate((size_t)length + 1, 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

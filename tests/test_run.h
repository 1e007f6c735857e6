/* Runs the programs in a folder of its own, as a user does. */
#ifndef TEST_RUN_H
#define TEST_RUN_H

#include "test_util.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <sys/wait.h>

static char folder[] = "/tmp/vit-test-XXXXXX";

static inline int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static inline int remove_folder(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

/* The path of a file in the folder, in one of a few static buffers. */
static inline const char *in_folder(const char *name) {
    static char buffers[4][128];
    static int next;
    char *buffer = buffers[next++ % 4];
    int length = snprintf(buffer, sizeof(buffers[0]), "%s/%s", folder, name);
    assert_in_range(length, 0, sizeof(buffers[0]) - 1);
    return buffer;
}

/* Runs BUILD/command by the shell, to which the folder is $T; what it prints goes to files there.
   Returns its exit status. */
static inline int run(const char *command) {
    char line[2048];
    snprintf(line, sizeof(line), "T=%s; %s/%s >$T/out 2>$T/err", folder, BUILD, command);
    int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What the last command printed, as a string to be freed. */
static inline char *printed(const char *stream) {
    size_t size;
    unsigned char *bytes = read_file(in_folder(stream), &size);
    char *string = (char *)allocate(size + 1);
    memcpy(string, bytes, size);
    string[size] = 0;
    free(bytes);
    return string;
}

static inline void assert_printed(const char *stream, const char *part) {
    char *output = printed(stream);
    if (strstr(output, part) == NULL) fail_msg("\"%s\" is not in: %s", part, output);
    free(output);
}

/* Line n of what was printed, as JSON. */
static inline cJSON *json_line(int n) {
    char *output = printed("out"), *line = output;
    while (n-- > 0 && line != NULL) {
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    assert_non_null(line);
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    free(output);
    return json;
}

static inline void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The number of entries of the folder whose names begin with this. */
static inline int count_files(const char *prefix) {
    DIR *entries = opendir(folder);
    int count = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(entries);
    return count;
}

#endif

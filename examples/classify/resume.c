#include "resume.h"

#include "json.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a set of names, by their hashes ---- */

/* FNV-1a of 64 bits; never 0. Two of 100,000 names are the same with a probability of 3e-10. */
static uint64_t hash_of(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name != 0; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001B3u;
    return hash != 0 ? hash : 1;
}

/* Where a hash is, or would be. */
static size_t place_of(const resume *r, uint64_t hash) {
    size_t place = (size_t)hash & (r->room - 1);
    while (r->hashes[place] != 0 && r->hashes[place] != hash) place = (place + 1) & (r->room - 1);
    return place;
}

static void grow(resume *r) {
    resume larger = {.room = r->room * 2};
    larger.hashes = (uint64_t *)allocate(larger.room, sizeof(uint64_t));
    for (size_t i = 0; i < r->room; i++)
        if (r->hashes[i] != 0) larger.hashes[place_of(&larger, r->hashes[i])] = r->hashes[i];
    free(r->hashes);
    r->hashes = larger.hashes;
    r->room = larger.room;
}

static void add(resume *r, const char *name) {
    uint64_t hash = hash_of(name);
    size_t place = place_of(r, hash);
    if (r->hashes[place] == hash) return;
    r->hashes[place] = hash;
    if (++r->count > r->room / 2) grow(r);
}

int resume_has(const resume *r, const char *path) {
    uint64_t hash = hash_of(path);
    return json_is_utf8(path) && r->hashes[place_of(r, hash)] == hash;
}

/* ---- the file ---- */

static const char beginning[] = "{\"file\":";

/* What the lines of this program begin with; of a half line, as much as there is. */
static int begins_well(const char *line, size_t length) {
    size_t least = sizeof(beginning) - 1 < length ? sizeof(beginning) - 1 : length;
    return memcmp(line, beginning, least) == 0;
}

static void read_line(resume *r, const char *path, size_t number, const char *line,
                      const char *model_name) {
    cJSON *json = cJSON_Parse(line);
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(json, "file"));
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItem(json, "model"));
    if (file == NULL || model == NULL)
        fail("--resume: %s: line %zu is not vit-classify's", path, number);
    if (strcmp(model, model_name) != 0)
        fail("--resume: %s: line %zu is of the model %s, not %s: name another file", path, number,
             model, model_name);
    r->errors += cJSON_HasObjectItem(json, "error") != 0;
    add(r, file);
    cJSON_Delete(json);
}

/* Reads all whole lines; returns where they end. */
static off_t read_lines(resume *r, const char *path, const char *model_name) {
    char *line = NULL;
    size_t room = 0, number = 0;
    off_t end = 0;
    for (ssize_t length; (length = getline(&line, &room, r->file)) > 0; end += length) {
        number++;
        if (!begins_well(line, (size_t)length))
            fail("--resume: %s: line %zu is not vit-classify's", path, number);
        if (line[length - 1] != '\n') {
            note("--resume: %s: half a line at its end is cut off", path);
            break;
        }
        read_line(r, path, number, line, model_name);
    }
    if (ferror(r->file)) fail("--resume: %s: %s", path, strerror(errno));
    free(line);
    return end;
}

resume resume_open(const char *path, const char *model_name) {
    resume r = {.room = 1024};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(path, O_RDWR | O_CREAT, 0666);
    if (file < 0 || (r.file = fdopen(file, "r+")) == NULL)
        fail("--resume: %s: %s", path, strerror(errno));
    if (fcntl(file, F_SETLK, &lock) != 0)
        fail("--resume: %s: another vit-classify writes to it", path);
    r.hashes = (uint64_t *)allocate(r.room, sizeof(uint64_t));
    off_t end = read_lines(&r, path, model_name);
    if (fseeko(r.file, end, SEEK_SET) != 0 || ftruncate(file, end) != 0)
        fail("--resume: %s: %s", path, strerror(errno));
    return r;
}

void resume_close(resume *r) {
    if (r->file != NULL) fclose(r->file); /* each line has been flushed */
    free(r->hashes);
}

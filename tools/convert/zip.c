/* APPNOTE.TXT of PKWARE, version 6.3: https://pkware.cachefly.net/webdocs/APPNOTE/ */
#include "zip.h"

#include "bytes.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define END_SIZE 22        /* of the record at the end of the directory, without its comment */
#define COMMENT_MAX 65535  /* bytes after it */
#define LOCATOR_SIZE 20    /* of what tells where zip64's record is, in front of that one */
#define END64_SIZE 56      /* of zip64's record */
#define DIRECTORY_SIZE 46  /* of an entry in the directory, without name, extra field, comment */
#define LOCAL_SIZE 30      /* of what is in front of an entry's bytes, without name, extra field */
#define MAX_ENTRIES 100000 /* a checkpoint has hundreds */
#define MAX_UNPACKED (256u << 20) /* bytes of an entry; of all, if they are that much more: */
#define MAX_RATIO 100             /* than the file has; weights hardly shrink at all */
#define MAX_KEPT (40u << 20)      /* bytes of unpacked entries at a time, unless one has more */

/* What the record at the end says. */
typedef struct directory {
    uint64_t count, size, offset;
} directory;

int zip_starts(const file_map *file) {
    return file->size >= END_SIZE &&
           (memcmp(file->data, "PK\3\4", 4) == 0 || memcmp(file->data, "PK\5\6", 4) == 0);
}

static size_t find_end(const file_map *file) {
    size_t most = file->size - END_SIZE, least = most > COMMENT_MAX ? most - COMMENT_MAX : 0;
    for (size_t i = most + 1; i-- > least;) {
        const unsigned char *p = file->data + i;
        if (memcmp(p, "PK\5\6", 4) == 0 && read_u16(p + 20) == most - i) return i;
    }
    fail("%s: a zip archive that is cut short, or has bytes after its end: there is no directory",
         file->path);
}

/* zip64's record, where there is one, says what does not fit in the other. */
static directory read_end(const file_map *file) {
    size_t end = find_end(file);
    const unsigned char *p = file->data + end;
    directory d = {read_u16(p + 10), read_u32(p + 12), read_u32(p + 16)};
    if (end < LOCATOR_SIZE || memcmp(p - LOCATOR_SIZE, "PK\6\7", 4) != 0) return d;
    uint64_t at = read_u64(p - LOCATOR_SIZE + 8);
    if (end - LOCATOR_SIZE < END64_SIZE || at > end - LOCATOR_SIZE - END64_SIZE ||
        memcmp(file->data + at, "PK\6\6", 4) != 0)
        fail("%s: a damaged zip archive: its zip64 record is not where it should be", file->path);
    p = file->data + at;
    d.count = read_u64(p + 32), d.size = read_u64(p + 40), d.offset = read_u64(p + 48);
    return d;
}

/* zip64's extra field holds those of size, packed size and offset that are all ones elsewhere. */
static void read_extra(const unsigned char *p, size_t size, uint64_t *values[3]) {
    while (size >= 4) {
        size_t length = read_u16(p + 2), used = 0;
        if (length > size - 4) return;
        for (int i = 0; read_u16(p) == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX || length - used < 8) continue;
            *values[i] = read_u64(p + 4 + used);
            used += 8;
        }
        p += 4 + length, size -= 4 + length;
    }
}

/* An entry's bytes start after its local header, whose extra field may differ from the directory's. */
static void find_data(zip_entry *e, const file_map *file, size_t limit) {
    const unsigned char *p = file->data + e->header;
    if (limit < LOCAL_SIZE || e->header > limit - LOCAL_SIZE || memcmp(p, "PK\3\4", 4) != 0)
        fail("%s: %s: its header is not where it should be", file->path, e->name);
    size_t skip = LOCAL_SIZE + read_u16(p + 26) + (size_t)read_u16(p + 28),
           left = limit - e->header;
    if (skip > left || e->packed_size > left - skip)
        fail("%s: %s: its bytes are outside the file", file->path, e->name);
    e->data = p + skip;
}

static void check_entry(const zip_entry *e, const char *file, unsigned flags) {
    if (flags & 1) fail("%s: %s is encrypted", file, e->name);
    if (e->method != 0 && e->method != 8)
        fail("%s: %s: compression method %d: only stored and deflated entries are read", file,
             e->name, e->method);
    if (e->method == 0 && e->packed_size != e->size)
        fail("%s: %s: a stored entry of two sizes", file, e->name);
}

/* Reads the directory's entry at p; returns its size. */
static size_t read_entry(zip_entry *e, const file_map *file, const unsigned char *p, size_t left,
                         size_t limit) {
    if (left < DIRECTORY_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        fail("%s: a damaged zip archive: its directory has fewer entries than it says", file->path);
    size_t name = read_u16(p + 28), extra = read_u16(p + 30), comment = read_u16(p + 32);
    uint64_t packed = read_u32(p + 20), size = read_u32(p + 24), header = read_u32(p + 42);
    uint64_t *large[3] = {&size, &packed, &header};
    if (name + extra + comment > left - DIRECTORY_SIZE)
        fail("%s: a damaged zip archive: its directory is cut short", file->path);
    e->name = format_text("%.*s", (int)name, (const char *)p + DIRECTORY_SIZE);
    if (strlen(e->name) != name) fail("%s: an entry's name has a zero byte", file->path);
    read_extra(p + DIRECTORY_SIZE + name, extra, large);
    if (header > file->size || packed > file->size || size > SIZE_MAX)
        fail("%s: %s: its bytes are outside the file", file->path, e->name);
    e->header = (size_t)header, e->packed_size = (size_t)packed, e->size = (size_t)size;
    e->method = read_u16(p + 10), e->crc = read_u32(p + 16);
    check_entry(e, file->path, read_u16(p + 8));
    find_data(e, file, limit);
    return DIRECTORY_SIZE + name + extra + comment;
}

static int by_place(const void *a, const void *b) {
    const zip_entry *x = a, *y = b;
    return (x->header > y->header) - (x->header < y->header);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const zip_entry *)a)->name, ((const zip_entry *)b)->name);
}

static void check_entries(zip *z) {
    const char *file = z->file->path;
    uint64_t unpacked = 0;
    qsort(z->entries, z->count, sizeof(*z->entries), by_place);
    for (size_t i = 0; i < z->count; i++) {
        const zip_entry *e = &z->entries[i];
        const unsigned char *end = e->data + e->packed_size;
        if (i + 1 < z->count && end > z->file->data + e[1].header)
            fail("%s: %s and %s overlap", file, e->name, e[1].name);
        if (e->method == 8) unpacked += e->size;
    }
    if (unpacked > MAX_UNPACKED && unpacked / MAX_RATIO > z->file->size)
        fail("%s: its entries would take %llu bytes unpacked, over %d times the file: write it "
             "without compression",
             file, (unsigned long long)unpacked, MAX_RATIO);
    qsort(z->entries, z->count, sizeof(*z->entries), by_name);
    for (size_t i = 1; i < z->count; i++) {
        if (by_name(&z->entries[i - 1], &z->entries[i]) == 0)
            fail("%s: %s is there twice", file, z->entries[i].name);
    }
}

zip *zip_open(const file_map *file) {
    zip *z = allocate(1, sizeof(*z));
    directory d = read_end(file);
    if (d.offset > file->size || d.size > file->size - d.offset)
        fail("%s: a zip archive that is cut short: its directory is outside the file", file->path);
    if (d.count > MAX_ENTRIES || d.count > d.size / DIRECTORY_SIZE)
        fail("%s: a zip archive of %llu entries is no checkpoint", file->path,
             (unsigned long long)d.count);
    const unsigned char *p = file->data + d.offset;
    size_t left = (size_t)d.size;
    z->file = file;
    z->entries = allocate((size_t)d.count, sizeof(*z->entries));
    for (; z->count < d.count; z->count++) {
        zip_entry *e = &z->entries[z->count];
        size_t size = read_entry(e, file, p, left, (size_t)d.offset);
        e->archive = z;
        p += size, left -= size;
    }
    check_entries(z);
    return z;
}

void zip_close(zip *z) {
    for (size_t i = 0; i < z->count; i++) {
        free(z->entries[i].name);
        free(z->entries[i].unpacked);
    }
    free(z->entries);
    free(z);
}

zip_entry *zip_find(const zip *z, const char *name) {
    size_t low = 0, high = z->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(z->entries[middle].name, name);
        if (order == 0) return &z->entries[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* ---- an entry's bytes ---- */

/* Unpacks the first `size` bytes. Returns how many there are; fewer also where it is damaged. */
static size_t unpack(const zip_entry *e, unsigned char *bytes, size_t size) {
    z_stream stream;
    size_t done = 0, given = 0;
    int status = Z_OK;
    memset(&stream, 0, sizeof(stream));
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("out of memory (zlib)");
    while (status == Z_OK && done < size) {
        size_t in = e->packed_size - given, out = size - done;
        stream.next_in = (z_const Bytef *)(uintptr_t)(e->data + given);
        stream.avail_in = in > UINT_MAX ? UINT_MAX : (uInt)in;
        stream.next_out = bytes + done;
        stream.avail_out = out > UINT_MAX ? UINT_MAX : (uInt)out;
        uInt in_before = stream.avail_in, out_before = stream.avail_out;
        status = inflate(&stream, Z_NO_FLUSH);
        given += in_before - stream.avail_in;
        done += out_before - stream.avail_out;
    }
    inflateEnd(&stream);
    return done;
}

size_t zip_begin(const zip_entry *e, unsigned char *bytes, size_t size) {
    if (size > e->size) size = e->size;
    if (e->method == 8) return unpack(e, bytes, size);
    if (size > 0) memcpy(bytes, e->data, size);
    return size;
}

static uint32_t checksum(const unsigned char *p, size_t size) {
    uLong crc = crc32(0, NULL, 0);
    while (size > 0) {
        uInt part = size > 1u << 30 ? 1u << 30 : (uInt)size;
        crc = crc32(crc, p, part);
        p += part, size -= part;
    }
    return (uint32_t)crc;
}

/* Lets go of what was used longest ago until there is room. */
static void make_room(zip *z, size_t size) {
    while (z->kept > 0 && z->kept + size > MAX_KEPT) {
        zip_entry *oldest = NULL;
        for (size_t i = 0; i < z->count; i++) {
            zip_entry *e = &z->entries[i];
            if (e->unpacked != NULL && (oldest == NULL || e->last_use < oldest->last_use))
                oldest = e;
        }
        if (oldest == NULL) return;
        free(oldest->unpacked);
        oldest->unpacked = NULL;
        z->kept -= oldest->size;
    }
}

const unsigned char *zip_bytes(zip_entry *e) {
    const unsigned char *bytes = e->method == 0 ? e->data : e->unpacked;
    const char *file = e->archive->file->path;
    e->last_use = ++e->archive->uses;
    if (bytes == NULL && e->size > MAX_UNPACKED)
        fail("%s: %s would take %zu bytes unpacked: write the file without compression", file,
             e->name, e->size);
    if (bytes == NULL) {
        make_room(e->archive, e->size);
        bytes = e->unpacked = allocate(e->size, 1);
        e->archive->kept += e->size;
        if (unpack(e, e->unpacked, e->size) != e->size)
            fail("%s: %s does not unpack: the file is damaged", file, e->name);
    }
    if (!e->checked && checksum(bytes, e->size) != e->crc)
        fail("%s: %s does not have its checksum: the file is damaged", file, e->name);
    e->checked = 1;
    return bytes;
}

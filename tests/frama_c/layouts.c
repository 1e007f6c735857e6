/* The reader's checks of where the parts of a file are, on layouts one after the other: every byte that is
   read is one of the file's, which ends where its memory does. Eva keeps no relation between numbers, so
   sizes and offsets are given; all other bytes are unknown. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "__fc_builtin.h"

enum { HEAD = VIT__HEADER_SIZE, AFTER = 12 * 64, MOST = HEAD + AFTER };
static unsigned char memory[MOST] __attribute__((aligned(64)));

static void put(unsigned char *p, unsigned value) {
    p[0] = (unsigned char)(value & 255), p[1] = (unsigned char)(value >> 8 & 255);
    p[2] = (unsigned char)(value >> 16 & 255), p[3] = (unsigned char)(value >> 24);
}

/* A file of that size at the end of the memory, with the sizes of its head and header. */
static unsigned char *make_file(unsigned size, unsigned head_size, unsigned header_size) {
    unsigned char *file = memory + MOST - size;
    Frama_C_make_unknown((char *)memory, MOST);
    if (size >= HEAD) put(file + 16, head_size), put(file + 20, header_size);
    return file;
}

/* Files too short for a header. */
static void check_starts(void) {
    for (unsigned size = 0; size < HEAD; size++) vit__check_head(make_file(size, 0, 0), size);
}

/* Heads of all sizes that there is room for, and somewhat more. */
static void check_heads(void) {
    for (unsigned size = HEAD; size <= HEAD + 192; size += 32) {
        for (unsigned head = 0; head <= size + 64; head += 32) {
            vit__check_head(make_file(size, head, HEAD), size);
            vit__check_head(make_file(size, head, head), size);
            vit__check_head(make_file(size, head, head + 1), size);
        }
        vit__check_head(make_file(size, 0xFFFFFFC0u, HEAD), size);
    }
}

/* Labels at any place in and about the head, with any number of classes. */
static void check_labels(void) {
    enum { ROOM = 16 };
    vit_config c;
    memset(&c, 0, sizeof(c));
    c.num_classes = Frama_C_interval(0, VIT__MAX_COUNT);
    for (unsigned offset = HEAD - 1; offset <= HEAD + ROOM + 1; offset++) {
        for (unsigned size = 0; size <= ROOM + 2; size++) {
            unsigned char *file = make_file(HEAD + ROOM, HEAD + ROOM, HEAD);
            put(file + 48, offset), put(file + 52, size);
            vit__check_labels(file, &c);
        }
    }
}

static void check_directory(unsigned offset, unsigned count, unsigned entry_size) {
    size_t end;
    unsigned char *file = make_file(MOST, MOST, HEAD);
    vit_config c;
    put(file + 36, entry_size), put(file + 40, count), put(file + 44, offset);
    if (vit__read_config(file, &c) == VIT_OK) vit__check_tensors(file, MOST, &c, &end);
}

/* Directories at any place in and about the head, of about the fewest tensors that a model has, 10. */
static void check_directories(void) {
    for (unsigned offset = HEAD - 8; offset <= MOST + 8; offset += 8) {
        for (unsigned count = 9; count <= 12; count++) {
            check_directory(offset, count, VIT__ENTRY_SIZE);
            check_directory(offset, count, VIT__ENTRY_SIZE + 8);
        }
    }
    check_directory(HEAD, 10, VIT__ENTRY_SIZE - 8), check_directory(HEAD + 1, 10, VIT__ENTRY_SIZE);
    check_directory(HEAD, 10, 0xFFFFFFF8u), check_directory(HEAD, 0xFFFFFFFFu, VIT__ENTRY_SIZE);
    check_directory(0xFFFFFFF8u, 10, VIT__ENTRY_SIZE), check_directory(0, 10, VIT__ENTRY_SIZE);
}

/* Chunks at any place in and about the head, where the tensors end anywhere. */
static void check_chunks(void) {
    enum { ROOM = 3 * VIT__CHUNK_SIZE };
    for (unsigned offset = HEAD - 8; offset <= HEAD + ROOM + 8; offset += 4) {
        for (unsigned count = 0; count <= 4; count++) {
            unsigned char *file = make_file(HEAD + ROOM, HEAD + ROOM, HEAD);
            put(file + 56, count), put(file + 60, offset);
            vit__check_chunks(file, HEAD + ROOM, (size_t)Frama_C_interval(0, HEAD + ROOM));
        }
    }
}

int main(void) {
    check_starts(), check_heads(), check_labels(), check_directories(), check_chunks();
    return 0;
}

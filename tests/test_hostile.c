/* Pictures made to cost time or memory: vit-classify refuses each in one line, within 2 s of processor's
   time and 300 MB, and options raise the bounds. A program of its own, so that no other has added to the
   memory that its children took. */
#include "test_run.h"

#include <sys/resource.h>

#define MODEL "examples/models/fashion-mnist.vit"

/* The address sanitizer's memory is not the program's. */
#if defined(__SANITIZE_ADDRESS__)
#define MOST_KB (4 << 20)
#else
#define MOST_KB (300 << 10)
#endif

enum { MOST_SECONDS = 2 };

/* ---- pictures ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size, capacity;
} bytes;

static void append(bytes *b, const void *data, size_t size) {
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size);
        b->data = (unsigned char *)realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void append_u32be(bytes *b, uint32_t value) {
    const unsigned char p[] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                               (unsigned char)(value >> 8), (unsigned char)value};
    append(b, p, 4);
}

static void write_bytes(const char *name, bytes *b) {
    write_file(in_folder(name), b->data, b->size);
    free(b->data);
    b->data = NULL, b->size = b->capacity = 0;
}

static void append_segment(bytes *b, int marker, const void *data, size_t size) {
    const unsigned char head[] = {0xFF, (unsigned char)marker, (unsigned char)((size + 2) >> 8),
                                  (unsigned char)(size + 2)};
    append(b, head, sizeof(head));
    append(b, data, size);
}

/* A progressive JPEG of tiny scans, all the same after the first. */
static void write_jpeg(const char *name, int side, int components, int scans) {
    const unsigned char adobe[] = "Adobe\0d\0\0\0\0", high = (unsigned char)(side >> 8);
    const unsigned char low = (unsigned char)side, count = (unsigned char)components;
    unsigned char table[65], frame[6 + 3 * 4] = {8, high, low, high, low, count};
    unsigned char scan[4 + 2 * 4] = {count};
    const unsigned char dc[18] = {0, 1}, ac[18] = {0x10, 1, [17] = 0xE0};
    const unsigned char empty[] = {1, 1, 0, 1, 63, 0};
    bytes b = {NULL, 0, 0};
    memset(table, 1, sizeof(table));
    table[0] = 0;
    for (int i = 0; i < components; i++) {
        frame[6 + 3 * i] = scan[1 + 2 * i] = (unsigned char)(i + 1);
        frame[7 + 3 * i] = 0x11;
    }
    append(&b, "\xFF\xD8", 2);
    if (components == 4) append_segment(&b, 0xEE, adobe, sizeof(adobe));
    append_segment(&b, 0xDB, table, sizeof(table));
    append_segment(&b, 0xC2, frame, 6 + 3 * (size_t)components);
    append_segment(&b, 0xC4, dc, sizeof(dc));
    append_segment(&b, 0xC4, ac, sizeof(ac));
    append_segment(&b, 0xDA, scan, 4 + 2 * (size_t)components);
    for (int i = 1; i < scans; i++) append_segment(&b, 0xDA, empty, sizeof(empty));
    append(&b, "\xFF\xD9", 2);
    write_bytes(name, &b);
}

static void append_chunk(bytes *b, const char *type, const void *data, size_t size) {
    append_u32be(b, (uint32_t)size);
    append(b, type, 4);
    append(b, data, size);
    append_u32be(b, 0); /* the checksum, which nobody checks */
}

/* Bits of deflate, of which each byte takes the lowest first. */
static void append_bits(bytes *b, size_t *used, const char *bits) {
    for (; *bits != 0; bits++, ++*used) {
        if (*used % 8 == 0) append(b, "", 1);
        b->data[b->size - 1] |= (unsigned char)((*bits - '0') << *used % 8);
    }
}

/* So many zeros, deflated: one, and repetitions of 258 with fixed codes (RFC 1951). */
static void append_zeros(bytes *b, size_t count) {
    size_t used = 0;
    append(b, "\x78\x01", 2);
    append_bits(b, &used,
                "110"
                "00110000");
    for (size_t i = 0; i < count / 258; i++)
        append_bits(b, &used,
                    "11000101"
                    "00000");
    append_bits(b, &used, "0000000");
    append_u32be(b, 0); /* the checksum, which nobody checks */
}

/* A PNG that says it has this size, and so many zeros as pixels. */
static void write_png(const char *name, uint32_t side, int bits, int colour, int interlaced,
                      size_t zeros) {
    const unsigned char rest[] = {(unsigned char)bits, (unsigned char)colour, 0, 0,
                                  (unsigned char)interlaced};
    bytes b = {NULL, 0, 0}, head = {NULL, 0, 0}, pixels = {NULL, 0, 0};
    append_u32be(&head, side);
    append_u32be(&head, side);
    append(&head, rest, sizeof(rest));
    append_zeros(&pixels, zeros);
    append(&b, "\x89PNG\r\n\x1A\n", 8);
    append_chunk(&b, "IHDR", head.data, head.size);
    append_chunk(&b, "IDAT", pixels.data, pixels.size);
    append_chunk(&b, "IEND", "", 0);
    free(head.data);
    free(pixels.data);
    write_bytes(name, &b);
}

/* ---- attacks ---- */

static double child_seconds(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The most that a child has taken so far: none may. */
static void assert_little_memory(const char *what) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    if (usage.ru_maxrss > MOST_KB) fail_msg("%s: %ld KB", what, usage.ru_maxrss);
}

static void assert_one_line(void) {
    char *err = printed("err");
    if (strchr(err, '\n') != err + strlen(err) - 1) fail_msg("not one line: %s", err);
    free(err);
}

static void assert_stopped(const char *arguments, const char *message) {
    char command[512];
    double begin = child_seconds();
    snprintf(command, sizeof(command), "vit-classify -m " MODEL " %s", arguments);
    if (run(command) != 1) fail_msg("%s is not refused", arguments);
    double seconds = child_seconds() - begin;
    if (seconds > MOST_SECONDS) fail_msg("%s: %g s", arguments, seconds);
    assert_little_memory(arguments);
    assert_printed("err", message);
    assert_one_line();
}

static void test_jpegs_of_many_scans_are_refused(void **state) {
    (void)state;
    write_jpeg("scans.jpg", 16384, 1, 100001);
    assert_stopped("$T/scans.jpg", "more scans than --max-scans says");
    write_jpeg("small.jpg", 100, 1, 300);
    assert_stopped("$T/small.jpg", "more scans than --max-scans says");
    assert_int_equal(run("vit-classify -m " MODEL " --max-scans 300 $T/small.jpg"), 0);
    assert_stopped("--max-scans 299 $T/small.jpg", "more scans than --max-scans says");
}

static void test_pictures_that_claim_to_be_large_are_refused(void **state) {
    const char *const message = "takes more memory to decode than --max-memory says";
    (void)state;
    write_jpeg("cmyk.jpg", 16384, 4, 1);
    assert_stopped("$T/cmyk.jpg", message);
    write_jpeg("rgb.jpg", 16384, 3, 1);
    assert_stopped("$T/rgb.jpg", message);
    write_jpeg("grey.jpg", 16384, 1, 1);
    assert_stopped("$T/grey.jpg", message);
    write_png("deep.png", 16384, 16, 6, 1, 65535);
    assert_stopped("$T/deep.png", message);
    write_file(in_folder("huge.ppm"), "P6 16384 16384 255 ", 19);
    assert_stopped("$T/huge.ppm", message);
}

/* A picture as large as is allowed keeps within the bounds, too. */
static void test_the_largest_picture_that_is_allowed(void **state) {
    double begin = child_seconds();
    (void)state;
    write_jpeg("largest.jpg", 6600, 1, 64);
    assert_int_equal(run("vit-classify -m " MODEL " -t 1 $T/largest.jpg"), 0);
    assert_true(child_seconds() - begin < MOST_SECONDS || MOST_KB > 300 << 10);
    assert_little_memory("largest.jpg");
}

/* More pixels than its head says, as deflate can make of very few bytes. */
static void test_pixels_beyond_the_head_take_no_memory(void **state) {
    (void)state;
    write_png("bomb.png", 8, 8, 0, 0, (size_t)1 << 30);
    assert_stopped("$T/bomb.png", "bomb.png: ");
    write_png("sound.png", 8, 8, 0, 0, 258);
    assert_int_equal(run("vit-classify -m " MODEL " $T/sound.png"), 0);
}

static void test_standard_input_is_bounded(void **state) {
    (void)state;
    assert_stopped("- </dev/zero", "more bytes on standard input than --max-input says");
    assert_stopped("--max-input 1 - </dev/zero", "--max-input");
    assert_stopped("--pixels - </dev/zero", "--max-input");
}

static void test_options_raise_the_bounds(void **state) {
    (void)state;
    write_jpeg("middle.jpg", 1000, 1, 2);
    assert_int_equal(run("vit-classify -m " MODEL " $T/middle.jpg"), 0);
    assert_stopped("--max-memory 5 $T/middle.jpg", "--max-memory");
    assert_int_equal(run("vit-classify -m " MODEL " --max-memory 7 $T/middle.jpg"), 0);
    assert_int_equal(run("vit-classify --max-memory 0 $T/middle.jpg"), 2);
    assert_int_equal(run("vit-classify --max-scans x $T/middle.jpg"), 2);
    assert_int_equal(run("vit-classify --help"), 0);
    assert_printed("out", "--max-memory MB");
    assert_printed("out", "--max-scans N");
    assert_printed("out", "--max-input MB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpegs_of_many_scans_are_refused),
        cmocka_unit_test(test_pictures_that_claim_to_be_large_are_refused),
        cmocka_unit_test(test_the_largest_picture_that_is_allowed),
        cmocka_unit_test(test_pixels_beyond_the_head_take_no_memory),
        cmocka_unit_test(test_standard_input_is_bounded),
        cmocka_unit_test(test_options_raise_the_bounds),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

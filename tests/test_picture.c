/* examples/picture.c: EXIF, orientation by strides, formats against Pillow, damaged files.
   tests/golden/make_pictures.py made the files. */

#include "test_util.h"

#include "examples/picture.c"

/* ---- EXIF ---- */

typedef struct exif_entry {
    unsigned tag, type;
    uint32_t count, value; /* value: a u16 in the first two bytes for SHORT, else a u32 */
} exif_entry;

static void put(byte *p, int order, int bytes, uint32_t value) {
    for (int i = 0; i < bytes; i++)
        p[order == 'I' ? i : bytes - 1 - i] = (byte)(value >> (8 * i) & 255);
}

/* A directory of these entries at offset 8; order is 'I' or 'M'. The result has just its size, so
   that the address sanitizer sees a read behind it. */
static byte *exif_make(int order, const exif_entry *entries, size_t count, size_t *size) {
    *size = 8 + 2 + count * 12 + 4;
    byte *exif = (byte *)allocate(*size);
    memset(exif, 0, *size);
    exif[0] = exif[1] = (byte)order;
    put(exif + 2, order, 2, 42);
    put(exif + 4, order, 4, 8);
    put(exif + 8, order, 2, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        byte *p = exif + 10 + i * 12;
        put(p, order, 2, entries[i].tag);
        put(p + 2, order, 2, entries[i].type);
        put(p + 4, order, 4, entries[i].count);
        put(p + 8, order, entries[i].type == 3 ? 2 : 4, entries[i].value);
    }
    return exif;
}

static int orientation_of(int order, const exif_entry *entries, size_t count) {
    size_t size;
    byte *exif = exif_make(order, entries, count, &size);
    int orientation = picture_exif_orientation(exif, size);
    free(exif);
    return orientation;
}

static void test_exif_orientation(void **state) {
    (void)state;
    for (uint32_t o = 1; o <= 8; o++) {
        const exif_entry as_short = {0x0112, 3, 1, o}, as_long = {0x0112, 4, 1, o};
        const exif_entry among_others[] = {{0x010F, 2, 40, 9999}, as_short, {0x011A, 5, 1, 9999}};
        assert_int_equal(orientation_of('I', &as_short, 1), o);
        assert_int_equal(orientation_of('M', &as_short, 1), o);
        assert_int_equal(orientation_of('I', &as_long, 1), o);
        assert_int_equal(orientation_of('M', &as_long, 1), o);
        assert_int_equal(orientation_of('I', among_others, 3), o);
        assert_int_equal(orientation_of('M', among_others, 3), o);
    }
}

static void test_exif_without_orientation(void **state) {
    (void)state;
    const exif_entry wrong[] = {
        {0x0112, 3, 1, 0},    {0x0112, 3, 1, 9},          {0x0112, 3, 1, 65535},
        {0x0112, 3, 0, 6},    {0x0112, 1, 1, 6},          {0x0112, 2, 1, 6},
        {0x0112, 5, 1, 6},    {0x0112, 99, 1, 6},         {0x0113, 3, 1, 6},
        {0x0112, 3, 1000, 6}, {0x0112, 4, 1, 0x00060000}, {0x0112, 4, 1, 1u << 31},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(orientation_of('I', &wrong[i], 1), 1);
        assert_int_equal(orientation_of('M', &wrong[i], 1), 1);
    }
    assert_int_equal(orientation_of('I', NULL, 0), 1);
}

/* Two of them: the last counts, as with Pillow. */
static void test_exif_repeated(void **state) {
    (void)state;
    const exif_entry twice[] = {{0x0112, 3, 1, 3}, {0x0112, 3, 1, 6}};
    assert_int_equal(orientation_of('I', twice, 2), 6);
}

static void test_exif_cut_short(void **state) {
    (void)state;
    const exif_entry entry = {0x0112, 3, 1, 6};
    for (size_t kept = 0; kept < 26; kept++) {
        size_t size;
        byte *exif = exif_make('M', &entry, 1, &size);
        byte *part = (byte *)allocate(kept);
        memcpy(part, exif, kept);
        assert_int_equal(picture_exif_orientation(part, kept), kept < 22 ? 1 : 6);
        free(exif);
        free(part);
    }
}

static void test_exif_bad_header(void **state) {
    (void)state;
    const exif_entry entry = {0x0112, 3, 1, 6};
    const struct {
        size_t at;
        int bytes;
        uint32_t value;
    } damage[] = {{0, 2, 0x5858}, {2, 2, 43}, {4, 4, 0xFFFFFFFF}, {4, 4, 0x7FFFFFFF}, {4, 4, 25},
                  {4, 4, 24},     {4, 4, 23}, {4, 4, 0},          {8, 2, 0}};
    for (size_t i = 0; i < COUNT_OF(damage); i++) {
        size_t size;
        byte *exif = exif_make('I', &entry, 1, &size);
        put(exif + damage[i].at, 'I', damage[i].bytes, damage[i].value);
        assert_int_equal(picture_exif_orientation(exif, size), 1);
        free(exif);
    }
}

/* It claims 65535 entries but has one: Pillow takes what is there. */
static void test_exif_claims_too_much(void **state) {
    (void)state;
    size_t size;
    const exif_entry entry = {0x0112, 3, 1, 6};
    byte *exif = exif_make('I', &entry, 1, &size);
    put(exif + 8, 'I', 2, 65535);
    assert_int_equal(picture_exif_orientation(exif, size), 6);
    free(exif);
}

/* ---- orientation by strides ---- */

static void test_orient(void **state) {
    (void)state;
    static const char *const upright[] = {NULL,       "abc def",  "cba fed",  "fed cba", "def abc",
                                          "ad be cf", "da eb fc", "fc eb da", "cf be ad"};
    byte rgb[18];
    for (int i = 0; i < 18; i++) rgb[i] = (byte)("abcdef"[i / 3] + 32 * (i % 3));
    for (int o = 0; o <= 9; o++) {
        vit_image image = {rgb, 3, 2, 9, 3, 1};
        const char *want = upright[o >= 1 && o <= 8 ? o : 1];
        picture_orient(&image, o);
        for (int y = 0; y < image.height; y++, want++) {
            for (int x = 0; x < image.width; x++, want++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.data[y * image.row_stride + x * image.pixel_stride + c],
                                     *want + 32 * c);
            assert_int_equal(*want, y + 1 < image.height ? ' ' : '\0');
        }
    }
}

/* ---- formats ---- */

typedef struct golden_picture {
    const char *name;
    int tolerance; /* levels of 255: JPEG decoders round differently */
} golden_picture;

static const golden_picture golden_pictures[] = {
    {"rgb.png", 0},        {"rgba.png", 0},      {"grey.png", 0},        {"grey_alpha.png", 0},
    {"one_bit.png", 0},    {"two_bits.png", 0},  {"palette.png", 0},     {"rgb16.png", 0},
    {"grey16.png", 0},     {"rgb.bmp", 0},       {"palette.bmp", 0},     {"rgb.ppm", 0},
    {"grey.pgm", 0},       {"six.ppm", 0},       {"deep.ppm", 0},        {"exif_before.png", 0},
    {"exif_after.png", 0}, {"exif.jpg", 3},      {"progressive.jpg", 3}, {"cmyk.jpg", 3},
    {"ycck.jpg", 3},       {"core8.bmp", 0},     {"core1.bmp", 0},       {"palette24.bmp", 0},
    {"gap.jpg", 3},        {"no_tables.jpg", 3}, {"exif_text.png", 0},   {"exif_ztext.png", 0},
};

static byte *read_golden(const char *name, const char *suffix, size_t *size) {
    char path[256];
    snprintf(path, sizeof(path), GOLDEN "picture/%s%s", name, suffix);
    return read_file(path, size);
}

static void check_pixels(const vit_image *image, const byte *want, const golden_picture *golden) {
    for (int y = 0; y < image->height; y++) {
        for (int x = 0; x < image->width; x++) {
            for (int c = 0; c < 3; c++) {
                int got = image->data[y * image->row_stride + x * image->pixel_stride +
                                      c * image->channel_stride];
                if (abs(got - *want) > golden->tolerance)
                    fail_msg("%s: y %d, x %d, channel %d: got %d, want %d", golden->name, y, x, c,
                             got, *want);
                want++;
            }
        }
    }
}

static void test_formats(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_pictures); i++) {
        size_t size, want_size;
        byte *bytes = read_golden(golden_pictures[i].name, "", &size);
        byte *want = read_golden(golden_pictures[i].name, ".rgb", &want_size);
        picture pic;
        const char *error = picture_decode(&pic, bytes, size);
        if (error != NULL) fail_msg("%s: %s", golden_pictures[i].name, error);
        assert_int_equal(pic.image.width, read_u16le(want));
        assert_int_equal(pic.image.height, read_u16le(want + 2));
        assert_int_equal(want_size, 4 + 3 * pic.image.width * pic.image.height);
        check_pixels(&pic.image, want + 4, &golden_pictures[i]);
        picture_free(&pic);
        free(bytes);
        free(want);
    }
}

static void test_load(void **state) {
    (void)state;
    picture pic;
    assert_null(picture_load(&pic, GOLDEN "picture/exif_before.png"));
    assert_int_equal(pic.image.width, 5);
    assert_int_equal(pic.image.height, 7);
    picture_free(&pic);
    assert_string_equal(picture_load(&pic, GOLDEN "picture/none.png"), "No such file or directory");
    assert_string_equal(picture_load(&pic, GOLDEN "picture"), "Is a directory");
}

/* Sixteen bits of grey, scaled: Pillow clips them. */
static void test_deep_pgm(void **state) {
    (void)state;
    static const byte file[] = "P5 5 1 65535\n\0\0\0\x80\x01\0\x80\0\xFF\xFF";
    static const byte want[] = {0, 0, 1, 128, 255};
    picture pic;
    assert_null(picture_decode(&pic, file, sizeof(file) - 1));
    for (size_t i = 0; i < 15; i++) assert_int_equal(pic.rgb[i], want[i / 3]);
    picture_free(&pic);
}

/* ---- files that are refused ---- */

static void assert_refused(const byte *bytes, size_t size, const char *reason) {
    picture pic;
    byte *exact = (byte *)allocate(size);
    memcpy(exact, bytes, size);
    const char *error = picture_decode(&pic, exact, size);
    assert_non_null(error);
    if (reason != NULL) assert_string_equal(error, reason);
    free(exact);
}

static void assert_refused_text(const char *text, const char *reason) {
    assert_refused((const byte *)text, strlen(text), reason);
}

static void test_refused(void **state) {
    (void)state;
    const char *const unknown = "not a JPEG, PNG, BMP, PPM (P6) or PGM (P5) file";
    assert_refused_text("", "the file is empty");
    assert_refused_text("P", unknown);
    assert_refused_text("\xFF\xD8", unknown);
    assert_refused_text("\xFF\xD8\xFF\xC9", CUT_SHORT);
    assert_refused_text("\xFF\xD8\xFF\xC9\x01\x02", CUT_SHORT);
    assert_refused_text("\xFF\xD8\xFF\xC9\x01\x01", CUT_SHORT);
    assert_refused_text("\xFF\xD8\xFF\xD9", CUT_SHORT);
    assert_refused_text("\x89PNG\r\n\x1A\n", CUT_SHORT);
    assert_refused_text("BM", CUT_SHORT);
}

/* What is no picture that is read is called by its name. */
static void test_refused_kinds(void **state) {
    static const struct {
        const char *bytes, *name;
    } kinds[] = {
        {"RIFF\x10\x20\x30\x40WEBPVP8 ", "WebP"},
        {"\1\1\1\x18"
         "ftypheic",
         "HEIC"},
        {"\1\1\1\x18"
         "ftypavif",
         "AVIF"},
        {"GIF89a", "GIF"},
        {"II*", "TIFF"},
        {"P3 1 1 255 1 2 3", "PPM in text"},
        {"version https://git-lfs.github.com/spec/v1\n", "git-lfs"},
        {"<!DOCTYPE html>", "web page"},
        {"%PDF-1.4", "PDF"},
        {"\x89VIT\r\n", ".vit file"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        picture pic;
        const char *error =
            picture_decode(&pic, (const byte *)kinds[i].bytes, strlen(kinds[i].bytes) + 1);
        assert_non_null(error);
        if (strstr(error, kinds[i].name) == NULL) fail_msg("%s: %s", kinds[i].name, error);
    }
}

static void test_refused_pnm(void **state) {
    (void)state;
    const char *const corrupt = "Corrupt PPM or PGM";
    assert_refused_text("P6", corrupt);
    assert_refused_text("P6 #", corrupt);
    assert_refused_text("P6 1 1", corrupt);
    assert_refused_text("P6 1 1 255", corrupt);
    assert_refused_text("P6 1 1 0 abc", corrupt);
    assert_refused_text("P6 1 1 65536 abcabc", corrupt);
    assert_refused_text("P6 -1 1 255 abc", corrupt);
    assert_refused_text("P6 1x1 255 abc", corrupt);
    assert_refused_text("P6 99999999999999999999 1 255 abc", corrupt);
    assert_refused_text("P6 0 1 255 abc", "the picture has no pixels");
    assert_refused_text("P6 1 0 255 abc", "the picture has no pixels");
    assert_refused_text("P6 65536 65536 255 abc", "the picture is too large");
    assert_refused_text("P6 1 1 255 ab", CUT_SHORT);
    assert_refused_text("P6 1 1 256 abcab", CUT_SHORT);
}

/* A golden file with `size` bytes changed at `at`. */
static void assert_change_refused(const char *name, size_t at, const char *change, size_t size,
                                  const char *reason) {
    size_t file_size;
    byte *bytes = read_golden(name, "", &file_size);
    memcpy(bytes + at, change, size);
    assert_refused(bytes, file_size, reason);
    free(bytes);
}

static void test_refused_sizes(void **state) {
    (void)state;
    enum { PNG_WIDTH = 16, BMP_WIDTH = 18, BMP_HEIGHT = 22, BMP_BITS = 28 };
    const char *const too_large = "the picture is too large";
    assert_change_refused("rgb.png", PNG_WIDTH, "\0\1\x86\xA0\0\1\x86\xA0", 8, too_large);
    assert_change_refused("rgb.png", PNG_WIDTH, "\x7F\xFF\xFF\xFF", 4, too_large);
    assert_change_refused("rgb.png", PNG_WIDTH, "\xFF\xFF\xFF\xFF", 4, "Corrupt PNG");
    assert_change_refused("rgb.png", PNG_WIDTH, "\0\0\0\0", 4, "the picture has no pixels");
    assert_change_refused("rgb.png", PNG_WIDTH - 4, "JUNK", 4, "the picture has no pixels");
    assert_change_refused("rgb.png", PNG_WIDTH - 4, "CgBI", 4,
                          "PNG in Apple's own format for iPhones");
    assert_change_refused("rgb.bmp", BMP_WIDTH, "\0\0\1\0", 4, CUT_SHORT);
    assert_change_refused("rgb.bmp", BMP_WIDTH, "\xFF\xFF\xFF\xFF", 4, "Corrupt BMP");
    assert_change_refused("rgb.bmp", BMP_HEIGHT, "\0\0\0\x80", 4, "Corrupt BMP");
    assert_change_refused("rgb.bmp", BMP_HEIGHT, "\0\0\0\0", 4, "the picture has no pixels");
    assert_change_refused("rgb.bmp", BMP_BITS, "\xFF\xFF", 2, "Corrupt BMP");
}

/* Each marker's segment: two bytes of 0xFF and its kind, two of length. */
static size_t find_marker(const byte *bytes, size_t size, byte kind) {
    for (size_t i = 0; i + 1 < size; i++)
        if (bytes[i] == 0xFF && bytes[i + 1] == kind) return i;
    fail_msg("no marker %02X", kind);
    return 0;
}

static void test_refused_jpeg(void **state) {
    (void)state;
    size_t size, unmarked_size;
    byte *bytes = read_golden("exif.jpg", "", &size);
    size_t sof = find_marker(bytes, size, 0xC0), dht = find_marker(bytes, size, 0xC4);
    free(bytes);
    const char *const kind = "arithmetic-coded, lossless and hierarchical JPEG are not supported";
    assert_change_refused("exif.jpg", sof + 1, "\xC9", 1, kind);
    assert_change_refused("exif.jpg", sof + 4, "\x0C", 1, NULL); /* twelve bits */
    assert_change_refused("exif.jpg", sof + 5, "\0\0", 2, "the picture has no pixels");
    assert_change_refused("exif.jpg", sof + 5, "\xFF\xFF\xFF\xFF", 4, "the picture is too large");
    assert_change_refused("exif.jpg", dht + 5, "\xFF\xFF\xFF\xFF", 4, "Corrupt JPEG");
    assert_change_refused("exif.jpg", dht + 2, "\0\1", 2, "Corrupt JPEG");
    assert_change_refused("exif.jpg", dht + 2, "\xFF\xFF", 2, CUT_SHORT);

    bytes = read_golden("cmyk_unmarked.jpg", "", &unmarked_size);
    assert_refused(bytes, unmarked_size,
                   "CMYK JPEG without an Adobe marker that tells its colours");
    free(bytes);
}

/* A restart marker amid pixels that have none: Pillow decodes what is before it, and so does
   libjpeg-turbo here; stb_image does not go on after it, which is said. */
static void test_damaged_pixels(void **state) {
    (void)state;
    size_t size;
    picture pic;
    byte *bytes = read_golden("exif.jpg", "", &size);
    size_t scan = find_marker(bytes, size, 0xDA), middle = (scan + size) / 2;
    bytes[middle - 1] = 0; /* or it could end in FF */
    memcpy(bytes + middle, "\xFF\xD0", 2);
    const char *error = picture_decode(&pic, bytes, size);
    if (HAS_TURBO) {
        assert_null(error);
        picture_free(&pic);
    } else {
        assert_non_null(error);
        assert_non_null(strstr(error, "pixels are damaged"));
    }
    free(bytes);
}

/* However much of a file is missing, it is noticed. */
static void test_cut_short(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_pictures); i++) {
        size_t size;
        byte *bytes = read_golden(golden_pictures[i].name, "", &size);
        for (size_t kept = 0; kept < size; kept++) assert_refused(bytes, kept, NULL);
        free(bytes);
    }
}

/* One byte changed: any answer will do, but no crash. */
static void test_damaged(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < COUNT_OF(golden_pictures); i++) {
        size_t size;
        byte *bytes = read_golden(golden_pictures[i].name, "", &size);
        for (int round = 0; round < 300; round++) {
            picture pic;
            int at = random_below(&seed, (int)size);
            byte before = bytes[at];
            bytes[at] = (byte)(random_u32(&seed) >> 7 & 255);
            if (picture_decode(&pic, bytes, size) == NULL) picture_free(&pic);
            bytes[at] = before;
        }
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exif_orientation),
        cmocka_unit_test(test_exif_without_orientation),
        cmocka_unit_test(test_exif_repeated),
        cmocka_unit_test(test_exif_cut_short),
        cmocka_unit_test(test_exif_bad_header),
        cmocka_unit_test(test_exif_claims_too_much),
        cmocka_unit_test(test_orient),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_deep_pgm),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_kinds),
        cmocka_unit_test(test_refused_pnm),
        cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_refused_jpeg),
        cmocka_unit_test(test_damaged_pixels),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pictures of other people, which are not part of the repository: the environment variable
   VIT_TEST_DATA names their folder. Without it these tests are skipped, and say so.

   exif/  NAME_K.jpg: the same picture stored in each EXIF orientation K; 0 and 1 are upright
   bad/   JPEG files that crashed or confused decoders */
#include "test_util.h"

#include "examples/picture.c"

#include <dirent.h>

/* The path of a folder of the data; skips the test where there is none. */
static const char *data_folder(const char *name) {
    static char path[1024];
    const char *data = getenv("VIT_TEST_DATA");
    if (data == NULL) {
        print_message("VIT_TEST_DATA is not set: %s/ is not tested\n", name);
        skip();
    }
    snprintf(path, sizeof(path), "%s/%s", data, name);
    return path;
}

static picture load(const char *folder, const char *name, int number) {
    char path[2048];
    picture p;
    snprintf(path, sizeof(path), "%s/%s_%d.jpg", folder, name, number);
    const char *error = picture_load(&p, path);
    if (error != NULL) fail_msg("%s: %s", path, error);
    return p;
}

/* The mean difference of two pictures of one size, channel by channel. */
static double mean_difference(const vit_image *a, const vit_image *b) {
    double sum = 0;
    for (int y = 0; y < a->height; y++) {
        for (int x = 0; x < a->width; x++) {
            for (int c = 0; c < 3; c++)
                sum += abs(a->data[y * a->row_stride + x * a->pixel_stride + c] -
                           b->data[y * b->row_stride + x * b->pixel_stride + c]);
        }
    }
    return sum / (3.0 * a->width * a->height);
}

/* Each was compressed anew, so the pixels are close, not the same; turned the wrong way they would
   be tens of levels off. */
static void test_every_exif_orientation_comes_out_upright(void **state) {
    static const char *const names[] = {"Landscape", "Portrait"};
    const char *folder = data_folder("exif");
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        picture upright = load(folder, names[i], 1);
        for (int number = 0; number <= 8; number++) {
            picture p = load(folder, names[i], number);
            assert_int_equal(p.image.width, upright.image.width);
            assert_int_equal(p.image.height, upright.image.height);
            if (!(mean_difference(&p.image, &upright.image) < 5))
                fail_msg("%s_%d is %.1f levels off", names[i], number,
                         mean_difference(&p.image, &upright.image));
            picture_free(&p);
        }
        picture_free(&upright);
    }
}

static void test_a_bad_file_is_decoded_or_refused(void **state) {
    const char *folder = data_folder("bad");
    DIR *entries = opendir(folder);
    int decoded = 0, refused = 0;
    (void)state;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[2048];
        picture p;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        const char *error = picture_load(&p, path);
        if (error != NULL) refused++;
        else decoded++, picture_free(&p);
    }
    closedir(entries);
    print_message("bad/: %d decoded, %d refused\n", decoded, refused);
    assert_true(decoded + refused > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_exif_orientation_comes_out_upright),
        cmocka_unit_test(test_a_bad_file_is_decoded_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

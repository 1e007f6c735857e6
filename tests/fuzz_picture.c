/* No file may make the loading of pictures crash, leak or hang.

   clang -g -O1 -I. -fwrapv -fsanitize=fuzzer,address,undefined -fno-sanitize=shift \
       -o build/fuzz_picture tests/fuzz_picture.c examples/picture.c -lm
   mkdir -p build/corpus
   build/fuzz_picture -rss_limit_mb=4096 build/corpus tests/golden/picture */

#include "examples/picture.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    picture pic;
    volatile unsigned sum = 0;
    if (picture_decode(&pic, data, size) != NULL) return 0;
    for (int y = 0; y < pic.image.height; y++)
        for (int x = 0; x < pic.image.width; x++)
            sum += pic.image.data[y * pic.image.row_stride + x * pic.image.pixel_stride];
    (void)sum;
    picture_free(&pic);
    return 0;
}

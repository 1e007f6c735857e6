/* No file may make the loading of pictures, or of the EXIF in them, crash, leak or hang. How to run it: see
   fuzz.h. */
#include "examples/picture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    picture pic;
    volatile unsigned sum = 0;
    int orientation = picture_exif_orientation(data, size);
    if (orientation < 1 || orientation > 8) abort();
    if (picture_decode(&pic, data, size) != NULL) return 0;
    for (int y = 0; y < pic.image.height; y++)
        for (int x = 0; x < pic.image.width; x++)
            sum += pic.image.data[y * pic.image.row_stride + x * pic.image.pixel_stride];
    (void)sum;
    picture_free(&pic);
    return 0;
}

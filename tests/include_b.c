/* The other file of the program: it has the implementation, and includes it twice. */
#define VIT_IMPLEMENTATION
#include "vit.h"
#include "vit.h"

#include "include_b.h"

const char *status_of_b(int status) {
    return vit_status_string((vit_status)status);
}

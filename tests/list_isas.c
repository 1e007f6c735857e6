/* Prints the instruction sets that are there, the best first, so that the tests can be run with each
   of them; on stderr it prints those that are not, so that nobody thinks that they were tested. */
#define VIT_IMPLEMENTATION
#include "vit.h"

int main(void) {
    puts(vit_isa_name(vit_best_isa()));
    for (int isa = VIT_ISA_COUNT - 1; isa >= VIT_ISA_PORTABLE; isa--) {
        int there = vit__kernels_of((vit_isa)isa) != NULL;
        if (isa == (int)vit_best_isa()) continue;
        if (there) puts(vit_isa_name((vit_isa)isa));
        else fprintf(stderr, "not here, so not tested: %s\n", vit_isa_name((vit_isa)isa));
    }
    return 0;
}

/* The library, for the board: which parts are left out is said where it is compiled. */
#define VIT_IMPLEMENTATION
#include "vit.h"

/* The library. The Makefile's macros say which parts of it a board leaves out. */
#define VIT_IMPLEMENTATION
#include "vit.h"

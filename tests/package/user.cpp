#include "user.c" /* NOLINT: the same program, by a compiler of C++ */

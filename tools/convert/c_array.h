/* A .vit file as C source, for firmware to link. */
#ifndef C_ARRAY_H
#define C_ARRAY_H

/* Write the file vit as an array into the file at path, NAME.c, and NAME.h in the same folder, which
   has the array's declaration, its size and what a program has to reserve for one image. section:
   the linker's section for the array, or NULL. Ends the program where that is not possible. */
void c_array_write(const char *vit, const char *path, const char *section);

#endif

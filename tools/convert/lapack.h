/* The routines of BLAS and LAPACK that gptq.c needs, of whatever library is installed: the reference
   (liblapack3) or OpenBLAS. It is opened when it is asked for, since nothing else of vit-convert needs
   one. Matrices are column by column, symmetric ones in their lower triangle. */
#ifndef LAPACK_H
#define LAPACK_H

#include <stddef.h>

/* Has to come first. Ends the program, and says what to install, if there is no such library. */
void lapack_open(void);

/* h [n][n] = the sum of x x^T over count rows x [n], in single precision. */
void lapack_square(float *h, size_t n, const float *rows, size_t count);

/* h, positive definite, becomes the Cholesky factor L of its inverse, L L^T, whose element in row k and
   column j <= k is h[j * n + k]. Returns 0 if h is not positive definite. */
int lapack_factor_inverse(double *h, size_t n);

/* c [columns][rows] -= a [inner][rows] times b [inner][columns], of which each row starts b_stride after
   the one before. */
void lapack_subtract_product(double *c, const double *a, const double *b, size_t b_stride,
                             size_t rows, size_t columns, size_t inner);

#endif

/* GPTQ: Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
   Transformers", arXiv:2210.17323. The weights of a matrix are rounded one input after the other, and
   those of the inputs that follow make up for what that changed, as far as the inputs go together. */
#ifndef GPTQ_H
#define GPTQ_H

#include <stddef.h>

/* A matrix of integers, padded as in the file. */
typedef struct rounded {
    signed char *integers; /* [outputs][inputs] */
    float *scales;         /* [outputs], of int4 [outputs][groups of 32 inputs] */
} rounded;

/* squares [inputs][inputs], the sum of x x^T over what a matrix was given as x, becomes what gptq_round
   needs: with a tenth of its mean diagonal added to its diagonal, the Cholesky factor of its inverse.
   Returns 0 if numbers are not finite. */
int gptq_prepare(double *squares, size_t inputs);

/* weights [inputs][outputs], which are finite, become integers times scales, and are replaced by these
   products. range: 8 for int4, or the largest integer of int8. Returns 0 if a scale is beyond f16. */
int gptq_round(const double *factor, double *weights, size_t outputs, size_t inputs, int range,
               rounded *out);

#endif

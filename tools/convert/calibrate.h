/* Integer weights that are rounded by what photos give each matrix as input. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "gptq.h"
#include "vit.h"

/* Whether a type of weights can be calibrated. */
int calibrate_has(vit_dtype dtype);

/* The integers of a model of float32 for a dtype, [tensors], as a rounder gives them. photos: a folder of pictures, a picture, or @ and a list of them. One that cannot be read is noted;
   an error ends the program. */
rounded *calibrate(const vit_model *model, vit_dtype dtype, const char *photos);

#endif

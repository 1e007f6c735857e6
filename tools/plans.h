/* The ways of computing one image that differ in memory: the tools report the size for each. */
#ifndef PLANS_H
#define PLANS_H

#include "vit.h"

typedef struct plan {
    const char *name; /* the option of vit_options that makes it; NULL: none */
    vit_options options;
} plan;

static const plan plans[] = {{NULL, {0}}, {"low_memory", {.low_memory = 1}}};

#define PLAN_COUNT (sizeof(plans) / sizeof(plans[0]))

#endif

/*
 * carve.h: arrays of integers out of one block.
 */
#ifndef DISSEVER_CARVE_H
#define DISSEVER_CARVE_H

#include <stddef.h>
#include <stdint.h>

/* The next n entries of a block, which must have room for them; *block moves behind them. */
static inline int32_t *carve(int32_t **block, size_t n)
{
    int32_t *carved = *block;
    *block += n;
    return carved;
}

#endif

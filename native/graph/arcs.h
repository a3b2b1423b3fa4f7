/*
 * arcs.h: what the files of this folder share.
 */
#ifndef DISSEVER_GRAPH_ARCS_H
#define DISSEVER_GRAPH_ARCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph.h"

#define NO_VERTEX UINT32_MAX
#define KIND_BITS 3
#define BIT(kind) (UINT32_C(1) << (kind))

static inline uint32_t arc_of(uint32_t source, uint32_t kind)
{
    return source << KIND_BITS | kind;
}

static inline uint32_t arc_source(uint32_t arc)
{
    return arc >> KIND_BITS;
}

static inline uint32_t arc_kind(uint32_t arc)
{
    return arc & (BIT(KIND_BITS) - 1);
}

/* graph_build for edges that are sound. */
int32_t graph_index(struct graph *graph, const struct graph_edges *edges, uint32_t operations,
                    uint32_t vertices);

#endif

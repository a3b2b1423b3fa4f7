/*
 * put.h: one edge more, where graph_reserve has made room.
 */
#ifndef DISSEVER_GRAPH_PUT_H
#define DISSEVER_GRAPH_PUT_H

#include "graph.h"

static inline void graph_put(struct graph_edges *edges, uint32_t from, uint32_t to,
                             enum graph_kind kind, int32_t key)
{
    int64_t place = edges->n++;
    edges->from[place] = from;
    edges->to[place] = to;
    edges->kind[place] = (uint8_t)kind;
    edges->key[place] = key;
}

#endif

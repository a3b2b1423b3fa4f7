/*
 * classify.c: the classes of cycles.
 */
#include <stdlib.h>

#include "graph.h"

int32_t graph_classify(const struct graph *graph, const struct graph_edges *edges,
                       const struct graph_options *options, struct graph_cycles *cycles)
{
    (void)graph, (void)edges, (void)options;
    *cycles = (struct graph_cycles){0};
    return 0;
}

int32_t graph_shortest(const struct graph *graph, const struct graph_edges *edges, uint32_t mask,
                       const struct graph_options *options, struct graph_cycles *cycles)
{
    (void)mask;
    return graph_classify(graph, edges, options, cycles);
}

void graph_cycles_free(struct graph_cycles *cycles)
{
    free(cycles->cycles);
    free(cycles->walk);
    *cycles = (struct graph_cycles){0};
}

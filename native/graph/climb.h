/*
 * climb.h: what finds and names cycles, in the part of a graph that has some.
 *
 * The part is made of all components with more than one vertex, and the edges inside of them. Its
 * vertices are numbered anew, in the order of the graph. It differs from the graph in three ways:
 *
 * - An edge of data into an auxiliary vertex is replaced by those that it stands for, one for each
 *   operation that it leads to. So each of these has a class of its own. Where they were more than
 *   8 times the edges and a million, the edge is left: its class is the least of theirs.
 * - Where an operation has an edge of PROCESS or SESSION to another one, a vertex is added behind
 *   all others: the edge leads there, and on by GRAPH_LINK to the other operation and its vertex. So a
 *   run of such edges is one edge.
 * - Of two edges between the same two vertices, ww replaces wr and rw, and wr replaces rw.
 */
#ifndef DISSEVER_GRAPH_CLIMB_H
#define DISSEVER_GRAPH_CLIMB_H

#include "arcs.h"

struct part {
    struct graph_edges edges; /* its key is the vertex of the graph that the edge enters there, or -1 */
    struct graph graph;       /* of these edges */
    uint32_t *out_first;      /* vertices + 1 */
    uint32_t *out;            /* by vertex the edges that leave it, by target */
    uint32_t *global;         /* by vertex that of the graph; NO_VERTEX for one that was added */
};

/*
 * The part of `graph` by the edges of a mask. An empty one (no vertices) where there is no cycle.
 * Free with part_free, also after an error. Returns 0 or GRAPH_MEMORY.
 */
int32_t part_cut(struct part *part, const struct graph *graph, uint32_t mask);

void part_free(struct part *part);

/* A search for closed walks in a part; all arrays are by state: vertex * 2 + (arrived by rw?). */
struct walker {
    const struct part *part;
    uint32_t mask;
    bool is_layered; /* no rw after rw */
    uint32_t stamp;
    uint32_t *seen, *distance, *parent, *via, *now, *next;
    uint64_t steps; /* edges looked at, in all */
};

int32_t walker_open(struct walker *walker, const struct part *part);
void walker_close(struct walker *walker);

/*
 * The length of a shortest closed walk of the mask through edge `closing`, in steps; 0 if it is not
 * below `below`. With is_layered no two rw of it follow each other. The way back is in via and
 * parent: from `from[closing] * 2` until parent is the state itself.
 */
int32_t walker_close_walk(struct walker *walker, uint32_t closing, int32_t below);

struct reach_query {
    uint32_t edge;
    uint32_t source, target; /* components: is there a path? */
    int8_t answer;           /* 1, 0, or -1: the budget ran out */
};

/*
 * Which components reach which, by the edges of a mask whose components and order graph_sort gave.
 * Takes a vector for each edge between the first source and the last target of 512 sources at a
 * time, up to *vectors_max in all, of which *vectors are used up. Queries are sorted by source.
 * Returns 0 or GRAPH_MEMORY.
 */
int32_t reach_answer(const struct graph *graph, uint32_t mask, const uint32_t *component,
                     const uint32_t *order, struct reach_query *queries, int64_t n,
                     uint64_t vectors_max, uint64_t *vectors);

/*
 * Put the walk that walker_close_walk found behind the others. `entered` grows with cycles->walk:
 * by step the vertex of the graph which the edge enters, or NO_VERTEX.
 */
int32_t report_walk(struct walker *walker, uint32_t closing, struct graph_cycle cycle,
                    struct graph_cycles *cycles, uint32_t **entered);

/* Look up the keys of all steps, and sort the cycles. */
int32_t report_finish(const struct graph *graph, const struct graph_edges *edges,
                      struct graph_cycles *cycles, const uint32_t *entered);

#endif

/*
 * graph.h: the graph of dependencies between operations, its cycles, and an order without them.
 *
 * Vertices 0 to operations - 1 are the operations. Those from there to vertices - 1 are auxiliary:
 * the tail of a key, the barriers of real time. The edge that enters an auxiliary vertex carries
 * the kind, and the edges that leave it are GRAPH_LINK. A path from one operation to the next
 * through auxiliary vertices counts as one edge of that kind, and is returned as one. So no such path
 * may lead back to the operation that it left: it would be a cycle.
 *
 * What names a cycle (an anomaly) is a rung and a level:
 *   rung   G0             ww alone
 *          G1c            ww, and at least one wr
 *          G-single       ww and wr, and exactly one rw
 *          G-nonadjacent  two or more rw, no two of them one after the other
 *          G2             two or more rw, some of them one after the other
 *   level  data           no other edges
 *          process        and at least one edge of PROCESS
 *          realtime       and at least one of REALTIME, perhaps of PROCESS too
 * The rungs and the levels are ordered as listed. What an edge is on decides: an edge closes at
 * (rung, level) if a closed walk of that rung and level contains it, and none does whose rung and
 * level are both the same or lower, and one of them lower. A class is reported in a component if a
 * ww (G0), wr (G1c) or rw edge (the other rungs) closes at it. So every class that is reported has
 * an edge that no cycle of a stronger kind explains, and every closed walk contains edges that are
 * reported, at its class or at one below. This is exact, but for the budget of G-single.
 *
 * A closed walk of G-nonadjacent may visit an operation twice; all other witnesses are cycles.
 * Of two edges from one operation to another, ww replaces wr and rw, and wr replaces rw. A run of
 * edges of PROCESS, or of SESSION, is one edge.
 *
 * Everything is deterministic and independent of the machine. Nothing recurs. Time of graph_build
 * and graph_sort: O(vertices + edges). Memory: 13 bytes an edge in struct graph_edges, 4 bytes a
 * vertex and 4 an edge in struct graph, 13 a vertex in graph_sort.
 *
 * Sources: Adya, "Weak consistency" (1999); Cerone and Gotsman, "Analysing snapshot isolation"
 * (2016), for (ww or wr) then at most one rw; Elle (Kingsbury and Alvaro 2020) for the names;
 * Pearce, "A space-efficient algorithm for finding strongly connected components" (2016).
 */
#ifndef DISSEVER_GRAPH_H
#define DISSEVER_GRAPH_H

#include <stdint.h>

#define GRAPH_VERTICES_MAX 536870911
#define GRAPH_EDGES_MAX 4294967294
#define GRAPH_NO_KEY (-1)

#define GRAPH_MEMORY (-1)
#define GRAPH_MALFORMED (-2)

enum graph_kind {
    GRAPH_WW = 0,
    GRAPH_WR = 1,
    GRAPH_RW = 2,
    GRAPH_PROCESS = 3,
    GRAPH_REALTIME = 4,
    GRAPH_SESSION = 5, /* of weak models alone; no rung knows them */
    GRAPH_COMMIT = 6,
    GRAPH_LINK = 7
};

/* Masks: the bit of a kind is 1 << kind. A mask always contains GRAPH_LINK. */
#define GRAPH_MASK_DATA 7
#define GRAPH_MASK_PROCESS 15
#define GRAPH_MASK_REALTIME 31
#define GRAPH_MASK_ALL 255

enum graph_rung {
    GRAPH_G0 = 0,
    GRAPH_G1C = 1,
    GRAPH_G_SINGLE = 2,
    GRAPH_G_NONADJACENT = 3,
    GRAPH_G2 = 4,
    GRAPH_CYCLE = 5 /* of graph_shortest: any */
};
#define GRAPH_RUNGS 5

enum graph_level { GRAPH_DATA = 0, GRAPH_WITH_PROCESS = 1, GRAPH_WITH_REALTIME = 2 };
#define GRAPH_LEVELS 3

/* Edges in the order in which they were put. All zero is no edges. Free with graph_edges_free. */
struct graph_edges {
    int64_t n, capacity;
    uint32_t *from, *to;
    uint8_t *kind; /* a graph_kind */
    int32_t *key;  /* of the data, for people; GRAPH_NO_KEY where there is none */
};

/* Room for `more` edges behind those there are: 0, or GRAPH_MEMORY with the edges as they were. */
int32_t graph_reserve(struct graph_edges *edges, int64_t more);

/* One edge more: 0 or GRAPH_MEMORY. put.h has graph_put, without a call, after graph_reserve. */
int32_t graph_add(struct graph_edges *edges, uint32_t from, uint32_t to, uint8_t kind, int32_t key);

void graph_edges_free(struct graph_edges *edges);

/* By vertex the edges that enter it: source << 3 | kind, in the order in which they were put. */
struct graph {
    uint32_t operations, vertices, edges;
    uint32_t *first; /* vertices + 1 places in arc */
    uint32_t *arc;
};

/*
 * Index the edges. Free with graph_free, also after an error.
 *
 * Returns 0, GRAPH_MEMORY, or GRAPH_MALFORMED: a vertex that does not exist, an edge from a vertex
 * to itself, an unknown kind, a GRAPH_LINK that leaves an operation or another kind that leaves an
 * auxiliary vertex, or more than GRAPH_VERTICES_MAX vertices or GRAPH_EDGES_MAX edges.
 */
int32_t graph_build(struct graph *graph, const struct graph_edges *edges, int64_t operations,
                    int64_t vertices);

void graph_free(struct graph *graph);

/*
 * Strongly connected components by the edges of a mask, in topological order.
 *
 * roots: which vertices are taken first, e.g. operations by completion; NULL for the order of
 * numbers. After them come all others by number. Each vertex is placed as soon as its turn comes,
 * right behind those of its predecessors that are not placed yet. So without cycles `order` is a
 * topological order near to that of the roots.
 * component: by vertex a number, which grows along every edge. May be NULL.
 * order: `vertices` entries: the vertices, component by component. May be NULL.
 *
 * Returns how many components there are: as many as vertices exactly when there is no cycle; or
 * GRAPH_MEMORY, or GRAPH_MALFORMED for a root that does not exist.
 */
int64_t graph_sort(const struct graph *graph, uint32_t mask, const uint32_t *roots, int64_t roots_n,
                   uint32_t *component, uint32_t *order);

struct graph_options {
    int32_t cycles_max;   /* witnesses of each class; the rest is counted */
    int32_t level;        /* the highest graph_level that is asked for; lower ones are too */
    uint64_t vectors_max; /* vectors of 512 bits moved to tell G-single from G-nonadjacent */
    uint64_t steps_max;   /* edges looked at to make witnesses the shortest */
};

struct graph_step {
    uint32_t from, to; /* operations */
    int32_t kind;      /* a graph_kind; never GRAPH_LINK */
    int32_t key;
};

struct graph_cycle {
    int32_t rung, level;
    uint32_t component;  /* cycles of one level with one number are in one component of that level */
    int32_t length;      /* steps */
    int64_t first;       /* its place in the steps */
    int64_t closing;     /* edges of the component that close at this class */
    int32_t is_shortest; /* of the closed walks with such an edge; 0: the budget ran out before */
    int32_t is_simple;   /* visits no operation twice */
    int32_t is_certain;  /* 0: a G-nonadjacent of which G-single is undetermined */
};

struct graph_cycles {
    int64_t components; /* of the highest level, with more than one vertex */
    int64_t largest;    /* vertices of the largest, auxiliary ones too */
    int64_t counts[15]; /* by level * GRAPH_RUNGS + rung: components with an edge of that class */
    int64_t undetermined; /* rw edges that close at G-single or G-nonadjacent: the budget of vectors
                             ran out before it was known which */
    uint64_t vectors, steps; /* what was spent */
    int64_t n, capacity;
    struct graph_cycle *cycles; /* by level, rung, least operation of the component */
    int64_t steps_n, steps_capacity;
    struct graph_step *walk; /* the first step of a cycle leaves its least operation */
};

/*
 * Name every class of cycles that there is, with a shortest one of each in each component.
 *
 * `graph` is of `edges`. Free with graph_cycles_free, also after an error. Returns 0 or
 * GRAPH_MEMORY.
 */
int32_t graph_classify(const struct graph *graph, const struct graph_edges *edges,
                       const struct graph_options *options, struct graph_cycles *cycles);

/*
 * A shortest cycle of the edges of a mask in each component, up to cycles_max of them: the rung is
 * GRAPH_CYCLE and counts[0] how many components have one. Otherwise as graph_classify.
 */
int32_t graph_shortest(const struct graph *graph, const struct graph_edges *edges, uint32_t mask,
                       const struct graph_options *options, struct graph_cycles *cycles);

void graph_cycles_free(struct graph_cycles *cycles);

#endif

/*
 * part.c: the part of a graph that has cycles.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "climb.h"
#include "pages.h"
#include "put.h"

/* States of walks, two a vertex, and two helpers a member, are numbered as vertices are. */
#define MEMBERS_MAX (GRAPH_VERTICES_MAX / 6)
#define EXPANDED_MIN (1 << 20)

#define NO_ENTRY GRAPH_NO_KEY

struct cutter {
    const struct graph *graph;
    struct part *part;
    uint32_t mask;
    uint32_t *component; /* by vertex of the graph */
    uint32_t *local;     /* by vertex of the graph, its number in the part or NO_VERTEX */
    uint32_t *helper;    /* by vertex of the part and kind (PROCESS, SESSION): the one added */
    uint32_t operations, members, vertices; /* of the part; vertices: with those that were added */
};

/* Number the vertices that are in a component with others. */
static int32_t number(struct cutter *c)
{
    size_t n = c->graph->vertices;
    c->component = pages_allocate(n * sizeof *c->component);
    if (c->component == NULL)
        return GRAPH_MEMORY;
    int64_t components = graph_sort(c->graph, c->mask, NULL, 0, c->component, NULL);
    if (components < 0 || components == (int64_t)n)
        return components < 0 ? GRAPH_MEMORY : 0;
    size_t bytes = (size_t)components;
    uint8_t *size = pages_zeroed(bytes); /* by component: 0, 1 or more */
    c->local = pages_allocate(n * sizeof *c->local);
    if (size == NULL || c->local == NULL) {
        pages_release(size, bytes);
        return GRAPH_MEMORY;
    }
    for (size_t v = 0; v < n; v++)
        size[c->component[v]] = (uint8_t)(size[c->component[v]] == 0 ? 1 : 2);
    for (uint32_t v = 0; v < n; v++) {
        bool is_in = size[c->component[v]] > 1;
        c->local[v] = is_in ? c->members++ : NO_VERTEX;
        c->operations += is_in && v < c->graph->operations;
    }
    pages_release(size, bytes);
    if (c->members > MEMBERS_MAX)
        return GRAPH_MEMORY;
    c->vertices = c->members;
    c->part->global = pages_allocate(3 * (size_t)c->members * sizeof *c->part->global);
    if (c->part->global == NULL)
        return GRAPH_MEMORY;
    for (uint32_t v = 0; v < n; v++)
        if (c->local[v] != NO_VERTEX)
            c->part->global[c->local[v]] = v;
    return 0;
}

/* Copy the edges inside of components, each with the vertex of the graph that it enters. */
static int32_t copy(struct cutter *c)
{
    const struct graph *graph = c->graph;
    for (uint32_t v = 0; v < c->members; v++) {
        uint32_t to = c->part->global[v];
        if (graph_reserve(&c->part->edges, graph->first[to + 1] - graph->first[to]) != 0)
            return GRAPH_MEMORY;
        for (uint32_t i = graph->first[to]; i < graph->first[to + 1]; i++) {
            uint32_t kind = arc_kind(graph->arc[i]), from = arc_source(graph->arc[i]);
            if ((c->mask & BIT(kind)) != 0 && c->component[from] == c->component[to])
                graph_put(&c->part->edges, c->local[from], v, kind, (int32_t)to);
        }
    }
    return 0;
}

/* By vertex the numbers of edges, in their order: of those that leave it, or that enter it. */
static int32_t index_edges(const struct graph_edges *edges, const uint32_t *end, uint32_t vertices,
                           uint32_t **first, uint32_t **numbers)
{
    size_t places = (size_t)vertices + 2;
    *first = pages_allocate(places * sizeof **first);
    *numbers = pages_allocate((size_t)edges->n * sizeof **numbers);
    if (*first == NULL || *numbers == NULL)
        return GRAPH_MEMORY;
    memset(*first, 0, places * sizeof **first);
    for (int64_t e = 0; e < edges->n; e++)
        (*first)[end[e] + 2]++;
    for (size_t v = 2; v < places; v++)
        (*first)[v] += (*first)[v - 1];
    for (int64_t e = 0; e < edges->n; e++)
        (*numbers)[(*first)[end[e] + 1]++] = (uint32_t)e;
    return 0;
}

/* Whether an edge of data leads to an auxiliary vertex. */
static bool is_spread(const struct cutter *c, const struct graph_edges *edges, int64_t e)
{
    return (GRAPH_MASK_DATA & BIT(edges->kind[e])) != 0 && edges->to[e] >= c->operations;
}

struct spread {
    uint32_t *first, *out; /* edges by the vertex that they leave */
    uint32_t *seen;        /* by vertex, the last edge that came by */
    uint32_t *stack;
    struct graph_edges edges;
    int64_t left; /* of the limit */
};

/* Put edge e once for each operation that it leads to. */
static int32_t spread_one(struct cutter *c, struct spread *s, uint32_t e)
{
    const struct graph_edges *edges = &c->part->edges;
    uint32_t from = edges->from[e], depth = 0;
    s->stack[depth++] = edges->to[e];
    s->seen[edges->to[e]] = e + 1;
    while (depth > 0) {
        uint32_t v = s->stack[--depth];
        if (v < c->operations) {
            if (graph_add(&s->edges, from, v, edges->kind[e], edges->key[e]) != 0)
                return GRAPH_MEMORY;
            continue;
        }
        for (uint32_t i = s->first[v]; i < s->first[v + 1]; i++) {
            uint32_t to = edges->to[s->out[i]];
            s->left--;
            if (s->seen[to] != e + 1) {
                s->seen[to] = e + 1;
                s->stack[depth++] = to;
            }
        }
    }
    return 0;
}

/* Replace edges of data into auxiliary vertices by those that they stand for, up to a limit. */
static int32_t spread(struct cutter *c)
{
    struct graph_edges *edges = &c->part->edges;
    int64_t spreads = 0;
    for (int64_t e = 0; e < edges->n; e++)
        spreads += is_spread(c, edges, e);
    if (spreads == 0)
        return 0;
    struct spread s = {.left = 8 * edges->n + EXPANDED_MIN};
    int32_t error = index_edges(edges, edges->from, c->vertices, &s.first, &s.out);
    s.seen = pages_zeroed(c->vertices * sizeof *s.seen);
    s.stack = pages_allocate(c->vertices * sizeof *s.stack);
    if (s.seen == NULL || s.stack == NULL)
        error = GRAPH_MEMORY;
    for (uint32_t e = 0; e < edges->n && error == 0 && s.left >= 0; e++) {
        if (is_spread(c, edges, e))
            error = spread_one(c, &s, e);
        else
            error = graph_add(&s.edges, edges->from[e], edges->to[e], edges->kind[e],
                              edges->key[e]);
    }
    if (error == 0 && s.left >= 0) {
        struct graph_edges before = *edges;
        *edges = s.edges;
        s.edges = before;
    }
    graph_edges_free(&s.edges);
    free(s.first);
    free(s.out);
    free(s.stack);
    pages_release(s.seen, c->vertices * sizeof *s.seen);
    return error;
}

/* Whether an edge is one of a run, which is transitive. */
static bool is_run(const struct cutter *c, const struct graph_edges *edges, int64_t e)
{
    return (edges->kind[e] == GRAPH_PROCESS || edges->kind[e] == GRAPH_SESSION) &&
           edges->to[e] < c->operations;
}

static uint32_t *helper_of(const struct cutter *c, uint32_t v, uint32_t kind)
{
    return &c->helper[2 * (size_t)v + (kind == GRAPH_SESSION)];
}

/* Lead runs over vertices of their own. */
static int32_t lead_runs(struct cutter *c)
{
    struct graph_edges *edges = &c->part->edges;
    int64_t n = edges->n;
    size_t bytes = 2 * (size_t)c->operations * sizeof *c->helper;
    c->helper = pages_allocate(bytes);
    if (c->helper == NULL)
        return GRAPH_MEMORY;
    memset(c->helper, 0xff, bytes);
    for (int64_t e = 0; e < n; e++) {
        uint32_t *helper = is_run(c, edges, e) ? helper_of(c, edges->from[e], edges->kind[e]) : NULL;
        if (helper == NULL || *helper != NO_VERTEX)
            continue;
        *helper = c->vertices;
        c->part->global[c->vertices] = NO_VERTEX;
        if (graph_add(edges, edges->from[e], c->vertices++, edges->kind[e], NO_ENTRY) != 0)
            return GRAPH_MEMORY;
    }
    for (int64_t e = 0; e < n; e++) {
        if (!is_run(c, edges, e))
            continue;
        uint32_t from = *helper_of(c, edges->from[e], edges->kind[e]);
        uint32_t on = *helper_of(c, edges->to[e], edges->kind[e]);
        edges->from[e] = from;
        edges->kind[e] = GRAPH_LINK;
        if (on != NO_VERTEX && graph_add(edges, from, on, GRAPH_LINK, NO_ENTRY) != 0)
            return GRAPH_MEMORY;
    }
    return 0;
}

/* What is left of the kinds of parallel edges. */
static uint32_t strongest(uint32_t kinds)
{
    if (kinds & BIT(GRAPH_WW))
        return kinds & ~(BIT(GRAPH_WR) | BIT(GRAPH_RW));
    return kinds & BIT(GRAPH_WR) ? kinds & ~BIT(GRAPH_RW) : kinds;
}

/* Sort the edges by target, and keep of parallel ones the strongest, each once. */
static int32_t tidy(struct cutter *c)
{
    struct graph_edges *edges = &c->part->edges;
    struct graph_edges kept = {0};
    uint32_t *first = NULL, *in = NULL;
    uint8_t *kinds = pages_zeroed(c->vertices); /* by vertex, of its edges to the one at hand */
    int32_t error = index_edges(edges, edges->to, c->vertices, &first, &in);
    if (kinds == NULL || graph_reserve(&kept, edges->n) != 0)
        error = GRAPH_MEMORY;
    for (uint32_t v = 0; v < c->vertices && error == 0; v++) {
        for (uint32_t i = first[v]; i < first[v + 1]; i++)
            kinds[edges->from[in[i]]] |= (uint8_t)BIT(edges->kind[in[i]]);
        for (uint32_t i = first[v]; i < first[v + 1]; i++) {
            uint32_t from = edges->from[in[i]], kind = edges->kind[in[i]];
            kinds[from] = (uint8_t)strongest(kinds[from]);
            if (kinds[from] & BIT(kind))
                graph_put(&kept, from, v, kind, edges->key[in[i]]);
            kinds[from] &= (uint8_t)~BIT(kind);
        }
    }
    free(first);
    free(in);
    pages_release(kinds, c->vertices);
    graph_edges_free(edges);
    *edges = kept;
    return error;
}

int32_t part_cut(struct part *part, const struct graph *graph, uint32_t mask)
{
    *part = (struct part){0};
    struct cutter c = {.graph = graph, .part = part, .mask = mask | BIT(GRAPH_LINK)};
    int32_t error = number(&c);
    if (error != 0 || c.members == 0)
        goto done;
    error = copy(&c);
    if (error == 0)
        error = spread(&c);
    if (error == 0)
        error = lead_runs(&c);
    if (error == 0)
        error = tidy(&c);
    if (error == 0)
        error = graph_index(&part->graph, &part->edges, c.operations, c.vertices);
    if (error == 0)
        error = index_edges(&part->edges, part->edges.from, c.vertices, &part->out_first,
                            &part->out);
done:
    free(c.component);
    free(c.local);
    free(c.helper);
    return error;
}

void part_free(struct part *part)
{
    graph_edges_free(&part->edges);
    graph_free(&part->graph);
    free(part->out_first);
    free(part->out);
    free(part->global);
    *part = (struct part){0};
}

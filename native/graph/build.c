/*
 * build.c: edges as a list, and by the vertex that they enter (a counting sort).
 */
#define _DEFAULT_SOURCE
#include <string.h>

#include "graph.h"
#include "arcs.h"
#include "pages.h"
#include "put.h"

static int32_t grow(void **array, size_t size, int64_t n, int64_t capacity)
{
    void *larger = pages_allocate((size_t)capacity * size);
    if (larger == NULL)
        return GRAPH_MEMORY;
    if (n > 0)
        memcpy(larger, *array, (size_t)n * size);
    free(*array);
    *array = larger;
    return 0;
}

int32_t graph_reserve(struct graph_edges *edges, int64_t more)
{
    if (more <= edges->capacity - edges->n)
        return 0;
    if (more < 0 || more > GRAPH_EDGES_MAX - edges->n)
        return GRAPH_MEMORY;
    int64_t capacity = edges->capacity + edges->capacity / 2;
    capacity = capacity < edges->n + more ? edges->n + more : capacity;
    capacity = capacity < 64 ? 64 : capacity;
    if (grow((void **)&edges->from, sizeof *edges->from, edges->n, capacity) != 0 ||
        grow((void **)&edges->to, sizeof *edges->to, edges->n, capacity) != 0 ||
        grow((void **)&edges->kind, sizeof *edges->kind, edges->n, capacity) != 0 ||
        grow((void **)&edges->key, sizeof *edges->key, edges->n, capacity) != 0)
        return GRAPH_MEMORY;
    edges->capacity = capacity;
    return 0;
}

int32_t graph_add(struct graph_edges *edges, uint32_t from, uint32_t to, uint8_t kind, int32_t key)
{
    if (graph_reserve(edges, 1) != 0)
        return GRAPH_MEMORY;
    graph_put(edges, from, to, (enum graph_kind)kind, key);
    return 0;
}

void graph_edges_free(struct graph_edges *edges)
{
    free(edges->from);
    free(edges->to);
    free(edges->kind);
    free(edges->key);
    *edges = (struct graph_edges){0};
}

/* Whether every edge is one. */
static bool is_sound(const struct graph_edges *edges, uint32_t operations, uint32_t vertices)
{
    uint32_t bad = 0;
    for (int64_t e = 0; e < edges->n; e++) {
        uint32_t from = edges->from[e], to = edges->to[e], kind = edges->kind[e];
        bad |= (from >= vertices) | (to >= vertices) | (from == to) | (kind > GRAPH_LINK) |
               ((kind == GRAPH_LINK) != (from >= operations));
    }
    return !bad;
}

int32_t graph_index(struct graph *graph, const struct graph_edges *edges, uint32_t operations,
                    uint32_t vertices)
{
    size_t places = (size_t)vertices + 2;
    *graph = (struct graph){operations, vertices, (uint32_t)edges->n, NULL, NULL};
    graph->first = pages_allocate(places * sizeof *graph->first);
    graph->arc = pages_allocate((size_t)edges->n * sizeof *graph->arc);
    if (graph->first == NULL || graph->arc == NULL)
        return GRAPH_MEMORY;
    /* first[v + 1] is where the edges into v begin, until filling moves it to where they end. */
    memset(graph->first, 0, places * sizeof *graph->first);
    for (int64_t e = 0; e < edges->n; e++)
        graph->first[edges->to[e] + 2]++;
    for (size_t v = 2; v < places; v++)
        graph->first[v] += graph->first[v - 1];
    for (int64_t e = 0; e < edges->n; e++)
        graph->arc[graph->first[edges->to[e] + 1]++] = arc_of(edges->from[e], edges->kind[e]);
    return 0;
}

int32_t graph_build(struct graph *graph, const struct graph_edges *edges, int64_t operations,
                    int64_t vertices)
{
    *graph = (struct graph){0};
    if (operations < 0 || vertices < operations || vertices > GRAPH_VERTICES_MAX ||
        edges->n < 0 || edges->n > GRAPH_EDGES_MAX ||
        !is_sound(edges, (uint32_t)operations, (uint32_t)vertices))
        return GRAPH_MALFORMED;
    return graph_index(graph, edges, (uint32_t)operations, (uint32_t)vertices);
}

void graph_free(struct graph *graph)
{
    free(graph->first);
    free(graph->arc);
    *graph = (struct graph){0};
}

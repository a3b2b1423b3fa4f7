/*
 * reach.c: reachability between components, 512 sources at a time.
 *
 * Components are numbered so that every edge leads to a greater one. So a pass looks at the
 * components from its first source to its last target alone.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "climb.h"
#include "pages.h"

#define WORDS 8
#define SOURCES_MAX (WORDS * 64)
#define WIDTH_MAX ((size_t)1 << 22) /* components of a pass: 256 MiB of vectors */

struct vector {
    uint64_t words[WORDS];
};

struct reacher {
    const struct graph *graph;
    uint32_t mask;
    const uint32_t *component, *order;
    uint32_t *start; /* by component its place in order; one more at the end */
    struct vector *vectors; /* by component from the first one of the pass on */
    size_t width;
};

static int32_t find_starts(struct reacher *r)
{
    uint32_t n = r->graph->vertices;
    r->start = pages_allocate(((size_t)n + 1) * sizeof *r->start);
    if (r->start == NULL)
        return GRAPH_MEMORY;
    uint32_t components = 0;
    for (uint32_t place = 0; place < n; place++)
        if (place == 0 || r->component[r->order[place]] != r->component[r->order[place - 1]])
            r->start[components++] = place;
    r->start[components] = n;
    return 0;
}

/* How many edges enter the components from `first` to `last`. */
static uint64_t edges_between(const struct reacher *r, uint32_t first, uint32_t last)
{
    uint64_t edges = 0;
    for (uint32_t place = r->start[first]; place < r->start[last + 1]; place++) {
        uint32_t v = r->order[place];
        edges += r->graph->first[v + 1] - r->graph->first[v];
    }
    return edges;
}

/* Which sources reach component c, when that is known of all before it. */
static void gather(struct reacher *r, uint32_t first, uint32_t c)
{
    struct vector *own = &r->vectors[c - first];
    for (uint32_t place = r->start[c]; place < r->start[c + 1]; place++) {
        uint32_t v = r->order[place];
        for (uint32_t i = r->graph->first[v]; i < r->graph->first[v + 1]; i++) {
            uint32_t from = r->component[arc_source(r->graph->arc[i])];
            if ((r->mask & BIT(arc_kind(r->graph->arc[i]))) == 0 || from < first)
                continue;
            const struct vector *before = &r->vectors[from - first];
            for (int word = 0; word < WORDS; word++)
                own->words[word] |= before->words[word];
        }
    }
}

/* Answer the n queries, which have at most SOURCES_MAX sources and need the given range. */
static void pass(struct reacher *r, struct reach_query *queries, int64_t n, uint32_t last)
{
    uint32_t first = queries[0].source, sources = 0;
    memset(r->vectors, 0, (size_t)(last - first + 1) * sizeof *r->vectors);
    for (int64_t q = 0; q < n; q++) {
        sources += q > 0 && queries[q].source != queries[q - 1].source;
        r->vectors[queries[q].source - first].words[sources / 64] |= UINT64_C(1) << sources % 64;
    }
    for (uint32_t c = first; c <= last; c++)
        gather(r, first, c);
    sources = 0;
    for (int64_t q = 0; q < n; q++) {
        sources += q > 0 && queries[q].source != queries[q - 1].source;
        uint64_t word = r->vectors[queries[q].target - first].words[sources / 64];
        queries[q].answer = (int8_t)(word >> sources % 64 & 1);
    }
}

static int32_t widen(struct reacher *r, size_t width)
{
    if (width <= r->width)
        return 0;
    free(r->vectors);
    r->width = width;
    r->vectors = pages_allocate(width * sizeof *r->vectors);
    return r->vectors == NULL ? GRAPH_MEMORY : 0;
}

int32_t reach_answer(const struct graph *graph, uint32_t mask, const uint32_t *component,
                     const uint32_t *order, struct reach_query *queries, int64_t n,
                     uint64_t vectors_max, uint64_t *vectors)
{
    struct reacher r = {graph, mask | BIT(GRAPH_LINK), component, order, NULL, NULL, 0};
    int32_t error = find_starts(&r);
    int64_t end = 0;
    for (int64_t begin = 0; begin < n && error == 0; begin = end) {
        uint32_t sources = 1, last = queries[begin].target;
        for (end = begin + 1; end < n; end++) {
            bool is_new = queries[end].source != queries[end - 1].source;
            if (is_new && sources == SOURCES_MAX)
                break;
            sources += is_new;
            last = queries[end].target > last ? queries[end].target : last;
        }
        size_t width = (size_t)last - queries[begin].source + 1;
        uint64_t edges = width > WIDTH_MAX ? vectors_max
                                           : edges_between(&r, queries[begin].source, last);
        if (width > WIDTH_MAX || edges > vectors_max - *vectors) {
            for (int64_t q = begin; q < end; q++)
                queries[q].answer = -1;
            continue;
        }
        *vectors += edges;
        error = widen(&r, width);
        if (error == 0)
            pass(&r, &queries[begin], end - begin, last);
    }
    free(r.start);
    free(r.vectors);
    return error;
}

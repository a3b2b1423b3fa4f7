/*
 * sort.c: strongly connected components in topological order, by Pearce's PEA_FIND_SCC3.
 *
 * It follows edges backwards, so a component is complete after all that lead to it. What waits for
 * its component and the path to the vertex at hand are two stacks in one array, from both ends.
 */
#define _DEFAULT_SOURCE
#include <string.h>

#include "graph.h"
#include "arcs.h"
#include "pages.h"

struct sorter {
    const struct graph *graph;
    uint32_t mask;
    uint32_t *index;   /* 0 unseen; order of the visit; at last the component, from above */
    uint32_t *stack;   /* the path from the left end, those that wait from the right end */
    uint32_t *next;    /* by depth: the arc to look at */
    uint8_t *is_root;  /* by vertex: no edge to an earlier visit was seen */
    uint32_t *order;
    uint32_t placed, waiting, visits, component;
};

static void place(struct sorter *s, uint32_t v)
{
    s->index[v] = s->component;
    if (s->order != NULL)
        s->order[s->placed] = v;
    s->placed++;
}

/* Vertex v has no edge left: it completes its component, or waits for it. */
static void leave(struct sorter *s, uint32_t v)
{
    if (!s->is_root[v]) {
        s->stack[--s->waiting] = v;
        return;
    }
    uint32_t index = s->index[v];
    s->visits--;
    place(s, v);
    while (s->waiting < s->graph->vertices && index <= s->index[s->stack[s->waiting]]) {
        s->visits--;
        place(s, s->stack[s->waiting++]);
    }
    s->component--;
}

static void visit(struct sorter *s, uint32_t root)
{
    const uint32_t *first = s->graph->first, *arc = s->graph->arc;
    uint32_t depth = 0, v = root, i = first[root];
    s->index[v] = ++s->visits;
    s->is_root[v] = 1;
    for (;;) {
        uint32_t end = first[v + 1];
        for (; i < end; i++) {
            uint32_t w = arc_source(arc[i]);
            if ((s->mask & BIT(arc_kind(arc[i]))) == 0)
                continue;
            if (s->index[w] == 0)
                break;
            if (s->index[w] < s->index[v]) {
                s->index[v] = s->index[w];
                s->is_root[v] = 0;
            }
        }
        if (i < end) { /* descend; the arc is looked at again afterwards */
            s->stack[depth] = v;
            s->next[depth++] = i;
            v = arc_source(arc[i]);
            i = first[v];
            s->index[v] = ++s->visits;
            s->is_root[v] = 1;
            continue;
        }
        leave(s, v);
        if (depth == 0)
            return;
        v = s->stack[--depth];
        i = s->next[depth];
    }
}

int64_t graph_sort(const struct graph *graph, uint32_t mask, const uint32_t *roots, int64_t roots_n,
                   uint32_t *component, uint32_t *order)
{
    size_t n = graph->vertices;
    size_t bytes = n * sizeof(uint32_t);
    struct sorter s = {.graph = graph, .mask = mask | BIT(GRAPH_LINK), .order = order};
    /* Visits count from 1 up, components from 2^32 - 2 down: n is below 2^29. */
    uint32_t greatest = UINT32_MAX - 1;
    int64_t answer = GRAPH_MEMORY;
    s.index = component != NULL ? component : pages_allocate(bytes);
    s.stack = pages_allocate(bytes);
    s.next = pages_allocate(bytes);
    s.is_root = pages_allocate(n);
    if (s.index == NULL || s.stack == NULL || s.next == NULL || s.is_root == NULL)
        goto done;
    memset(s.index, 0, bytes);
    s.component = greatest;
    s.waiting = graph->vertices;
    for (int64_t i = 0; roots != NULL && i < roots_n; i++) {
        if (roots[i] >= graph->vertices) {
            answer = GRAPH_MALFORMED;
            goto done;
        }
        if (s.index[roots[i]] == 0)
            visit(&s, roots[i]);
    }
    for (uint32_t v = 0; v < graph->vertices; v++)
        if (s.index[v] == 0)
            visit(&s, v);
    for (size_t v = 0; component != NULL && v < n; v++)
        component[v] = greatest - component[v];
    answer = (int64_t)greatest - s.component;
done:
    if (component == NULL)
        free(s.index);
    free(s.stack);
    free(s.next);
    free(s.is_root);
    return answer;
}

/*
 * report.c: walks as steps between operations, with the keys of their edges.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "climb.h"
#include "pages.h"

static int32_t make_room(struct graph_cycles *cycles, int64_t steps, uint32_t **entered)
{
    if (cycles->n == cycles->capacity) {
        int64_t capacity = cycles->capacity == 0 ? 16 : 2 * cycles->capacity;
        void *larger = realloc(cycles->cycles, (size_t)capacity * sizeof *cycles->cycles);
        if (larger == NULL)
            return GRAPH_MEMORY;
        cycles->cycles = larger;
        cycles->capacity = capacity;
    }
    if (cycles->steps_n + steps <= cycles->steps_capacity)
        return 0;
    int64_t capacity = 2 * (cycles->steps_n + steps);
    void *walk = realloc(cycles->walk, (size_t)capacity * sizeof *cycles->walk);
    if (walk != NULL)
        cycles->walk = walk;
    void *places = realloc(*entered, (size_t)capacity * sizeof **entered);
    if (places != NULL)
        *entered = places;
    if (walk == NULL || places == NULL)
        return GRAPH_MEMORY;
    cycles->steps_capacity = capacity;
    return 0;
}

/* The edge of a walk before the one that leads to *state; moves *state to where it leaves. */
static uint32_t step_back(const struct walker *walker, uint32_t *state)
{
    uint32_t edge = walker->via[*state];
    *state = walker->parent[*state];
    return edge;
}

/* Write the walk's steps from `into` on, the last first, then the closing edge at place 0. */
static void write_steps(const struct walker *walker, uint32_t closing, int32_t length,
                        struct graph_step *into, uint32_t *entered)
{
    const struct part *part = walker->part;
    uint32_t state = 2 * part->edges.from[closing];
    uint32_t to = part->global[state / 2];
    int32_t place = length - 1;
    for (bool is_closing = false; !is_closing;) {
        is_closing = walker->parent[state] == state;
        uint32_t edge = is_closing ? closing : step_back(walker, &state);
        if (part->edges.kind[edge] == GRAPH_LINK)
            continue;
        uint32_t from = part->global[part->edges.from[edge]];
        entered[place] = (uint32_t)part->edges.key[edge];
        into[place--] =
            (struct graph_step){from, to, (int32_t)part->edges.kind[edge], GRAPH_NO_KEY};
        to = from;
    }
}

static void reverse(struct graph_step *steps, uint32_t *entered, int64_t begin, int64_t end)
{
    for (; begin < --end; begin++) {
        struct graph_step step = steps[begin];
        uint32_t place = entered[begin];
        steps[begin] = steps[end];
        entered[begin] = entered[end];
        steps[end] = step;
        entered[end] = place;
    }
}

static int compare_words(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Whether no operation is left twice; `scratch` has room for as many as there are steps. */
static bool is_simple(const struct graph_step *steps, int32_t length, uint32_t *scratch)
{
    for (int32_t i = 0; i < length; i++)
        scratch[i] = steps[i].from;
    qsort(scratch, (size_t)length, sizeof *scratch, compare_words);
    for (int32_t i = 1; i < length; i++)
        if (scratch[i] == scratch[i - 1])
            return false;
    return true;
}

int32_t report_walk(struct walker *walker, uint32_t closing, struct graph_cycle cycle,
                    struct graph_cycles *cycles, uint32_t **entered)
{
    if (make_room(cycles, cycle.length, entered) != 0)
        return GRAPH_MEMORY;
    struct graph_step *steps = cycles->walk + cycles->steps_n;
    uint32_t *places = *entered + cycles->steps_n;
    write_steps(walker, closing, cycle.length, steps, places);
    int32_t least = 0, rw = 0;
    for (int32_t i = 0; i < cycle.length; i++) {
        least = steps[i].from < steps[least].from ? i : least;
        rw += steps[i].kind == GRAPH_RW;
    }
    /* Turned to the left by `least`. */
    reverse(steps, places, 0, least);
    reverse(steps, places, least, cycle.length);
    reverse(steps, places, 0, cycle.length);
    if (!cycle.is_certain && rw == 1) {
        cycle.rung = GRAPH_G_SINGLE;
        cycle.is_certain = 1;
    }
    cycle.is_simple = is_simple(steps, cycle.length, walker->now);
    cycle.first = cycles->steps_n;
    cycles->steps_n += cycle.length;
    cycles->cycles[cycles->n++] = cycle;
    return 0;
}

/* Give each step the key of the first edge that is the same. */
static int32_t find_keys(const struct graph *graph, const struct graph_edges *edges,
                         struct graph_cycles *cycles, const uint32_t *entered)
{
    size_t bytes = (size_t)graph->operations * sizeof(uint32_t);
    uint32_t *last = pages_allocate(bytes); /* by operation 1 + the last step that leaves it */
    uint32_t *before = malloc(((size_t)cycles->steps_n + 1) * sizeof *before);
    int32_t error = last == NULL || before == NULL ? GRAPH_MEMORY : 0;
    if (error == 0)
        memset(last, 0, bytes);
    for (uint32_t i = 0; error == 0 && i < cycles->steps_n; i++) {
        before[i] = last[cycles->walk[i].from];
        last[cycles->walk[i].from] = i + 1;
    }
    for (int64_t e = edges->n; error == 0 && e-- > 0;) {
        if (edges->from[e] >= graph->operations)
            continue;
        for (uint32_t i = last[edges->from[e]]; i > 0; i = before[i - 1])
            if (entered[i - 1] == edges->to[e] && cycles->walk[i - 1].kind == edges->kind[e])
                cycles->walk[i - 1].key = edges->key[e];
    }
    free(last);
    free(before);
    return error;
}

static int in_order(const void *a, const void *b)
{
    const struct graph_cycle *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->rung != y->rung)
        return x->rung < y->rung ? -1 : 1;
    return x->component < y->component ? -1 : x->component > y->component;
}

int32_t report_finish(const struct graph *graph, const struct graph_edges *edges,
                      struct graph_cycles *cycles, const uint32_t *entered)
{
    if (cycles->n == 0)
        return 0;
    qsort(cycles->cycles, (size_t)cycles->n, sizeof *cycles->cycles, in_order);
    return find_keys(graph, edges, cycles, entered);
}

void graph_cycles_free(struct graph_cycles *cycles)
{
    free(cycles->cycles);
    free(cycles->walk);
    *cycles = (struct graph_cycles){0};
}

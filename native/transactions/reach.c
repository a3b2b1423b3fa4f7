/*
 * reach.c: paths of ww and wr edges between the writers of a key (see reach.h).
 *
 * Each sweep carries the bits of 512 of them along a topological order, from the first of them to
 * the last of the key. What one key costs is that part of the history, by every 512 writers.
 */
#include <stdlib.h>
#include <string.h>

#include "reach.h"

#define WORDS 8
#define SOURCES (64 * WORDS)
#define WRITERS_MAX 8192 /* of a key: a matrix of 8 MiB */
#define DATA_MASK ((1u << GRAPH_WW) | (1u << GRAPH_WR) | (1u << GRAPH_LINK))

struct bits {
    uint64_t word[WORDS];
};

struct reach {
    struct engine *engine;
    struct graph graph;
    uint32_t *order;    /* operations in topological order */
    uint32_t *position; /* by operation */
    struct bits *bits;  /* by position: the sources from which it is reached */
    bool is_acyclic;
    uint64_t spent;     /* vectors */

    int32_t n;
    int64_t row_words;
    uint64_t *rows;     /* n rows of n bits */
    uint64_t *covered;
    int64_t words_capacity;
};

struct reach *reach_open(struct engine *engine)
{
    int64_t n = engine->operations;
    struct reach *reach = calloc(1, sizeof *reach);
    if (reach == NULL)
        return NULL;
    reach->engine = engine;
    reach->order = engine_zeros(engine, n, sizeof *reach->order);
    reach->position = engine_zeros(engine, n, sizeof *reach->position);
    reach->bits = engine_zeros(engine, n, sizeof *reach->bits);
    if (reach->order == NULL || reach->position == NULL || reach->bits == NULL ||
        graph_build(&reach->graph, &engine->edges, n, n) != 0) {
        reach_close(reach);
        return NULL;
    }
    int64_t components = graph_sort(&reach->graph, DATA_MASK, NULL, 0, NULL, reach->order);
    if (components < 0) {
        reach_close(reach);
        return NULL;
    }
    reach->is_acyclic = components == n;
    for (int64_t i = 0; i < n; i++)
        reach->position[reach->order[i]] = (uint32_t)i;
    return reach;
}

void reach_close(struct reach *reach)
{
    if (reach == NULL)
        return;
    int64_t n = reach->engine->operations;
    engine_release(reach->engine, reach->order, n, sizeof *reach->order);
    engine_release(reach->engine, reach->position, n, sizeof *reach->position);
    engine_release(reach->engine, reach->bits, n, sizeof *reach->bits);
    graph_free(&reach->graph);
    free(reach->rows);
    free(reach);
}

static uint32_t position_of(const struct reach *reach, int32_t entry)
{
    return reach->position[reach->engine->entries[entry].operation];
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

/* In topological order, with `keys` as room for n numbers. */
static void sort_entries(const struct reach *reach, int32_t *entries, int32_t n, uint64_t *keys)
{
    for (int32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)position_of(reach, entries[i]) << 32 | (uint32_t)entries[i];
    qsort(keys, (size_t)n, sizeof *keys, compare_numbers);
    for (int32_t i = 0; i < n; i++)
        entries[i] = (int32_t)(uint32_t)keys[i];
}

/* Room for a matrix of n rows and one row more. */
static bool make_room(struct reach *reach, int32_t n)
{
    reach->n = n;
    reach->row_words = ((int64_t)n + 63) / 64;
    int64_t words = (n + 1) * reach->row_words;
    if (words > reach->words_capacity) {
        void *more = realloc(reach->rows, (size_t)words * sizeof *reach->rows);
        if (more == NULL)
            return false;
        reach->rows = more;
        reach->words_capacity = words;
    }
    reach->covered = reach->rows + n * reach->row_words;
    return true;
}

/* Carry the bits of up to SOURCES writers, which are marked, from position `first` to `last`. */
static void sweep(struct reach *reach, uint32_t first, uint32_t last)
{
    const struct graph *graph = &reach->graph;
    for (uint32_t at = first; at <= last; at++) {
        struct bits *here = &reach->bits[at];
        uint32_t vertex = reach->order[at];
        for (uint32_t a = graph->first[vertex]; a < graph->first[vertex + 1]; a++) {
            uint32_t from = reach->position[graph->arc[a] >> 3];
            if (from < first || (graph->arc[a] & 7) > GRAPH_WR)
                continue;
            for (int word = 0; word < WORDS; word++)
                here->word[word] |= reach->bits[from].word[word];
        }
        reach->spent += 1 + graph->first[vertex + 1] - graph->first[vertex];
    }
}

static void find_some(struct reach *reach, const int32_t *entries, int32_t base, int32_t some)
{
    uint32_t first = position_of(reach, entries[base]);
    uint32_t last = position_of(reach, entries[reach->n - 1]);
    memset(reach->bits + first, 0, ((size_t)last - first + 1) * sizeof *reach->bits);
    for (int32_t i = 0; i < some; i++)
        reach->bits[position_of(reach, entries[base + i])].word[i / 64] |= (uint64_t)1 << (i % 64);
    sweep(reach, first, last);
    for (int32_t j = base + 1; j < reach->n; j++) {
        const struct bits *there = &reach->bits[position_of(reach, entries[j])];
        for (int32_t i = 0; i < some && base + i < j; i++)
            if (there->word[i / 64] >> (i % 64) & 1)
                reach->rows[(base + i) * reach->row_words + j / 64] |= (uint64_t)1 << (j % 64);
    }
}

bool reach_find(struct reach *reach, int32_t *entries, int32_t n)
{
    if (!reach->is_acyclic || n < 2 || n > WRITERS_MAX || !make_room(reach, n))
        return false;
    uint64_t *keys = malloc((size_t)n * sizeof *keys);
    if (keys == NULL)
        return false;
    sort_entries(reach, entries, n, keys);
    free(keys);
    memset(reach->rows, 0, (size_t)(n * reach->row_words) * sizeof *reach->rows);
    for (int32_t base = 0; base < n; base += SOURCES) {
        if (reach->spent > reach->engine->options->graph.vectors_max)
            return false;
        find_some(reach, entries, base, n - base < SOURCES ? n - base : SOURCES);
    }
    return true;
}

bool reach_holds(const struct reach *reach, int32_t i, int32_t j)
{
    return reach->rows[i * reach->row_words + j / 64] >> (j % 64) & 1;
}

void reach_clear(struct reach *reach)
{
    memset(reach->covered, 0, (size_t)reach->row_words * sizeof *reach->covered);
}

void reach_cover(struct reach *reach, int32_t chosen)
{
    const uint64_t *row = reach->rows + chosen * reach->row_words;
    for (int64_t word = 0; word < reach->row_words; word++)
        reach->covered[word] |= row[word];
}

bool reach_is_covered(const struct reach *reach, int32_t j)
{
    return reach->covered[j / 64] >> (j % 64) & 1;
}

/*
 * paths.c: paths of ww and wr edges between the writers of a key (see paths.h).
 *
 * Each sweep carries the bits of 512 of them along a topological order, from the first of them to
 * the last of the key. What one key costs is that part of the history, by every 512 writers.
 */
#include <stdlib.h>
#include <string.h>

#include "paths.h"

#define WORDS 8
#define SOURCES (64 * WORDS)
#define WRITERS_MAX 8192 /* of a key: a matrix of 8 MiB */
#define DATA_MASK ((1u << GRAPH_WW) | (1u << GRAPH_WR) | (1u << GRAPH_LINK))

struct bits {
    uint64_t word[WORDS];
};

struct paths {
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

struct paths *paths_open(struct engine *engine)
{
    int64_t n = engine->operations;
    struct paths *paths = calloc(1, sizeof *paths);
    if (paths == NULL)
        return NULL;
    paths->engine = engine;
    paths->order = engine_zeros(engine, n, sizeof *paths->order);
    paths->position = engine_zeros(engine, n, sizeof *paths->position);
    paths->bits = engine_zeros(engine, n, sizeof *paths->bits);
    if (paths->order == NULL || paths->position == NULL || paths->bits == NULL ||
        graph_build(&paths->graph, &engine->edges, n, n) != 0) {
        paths_close(paths);
        return NULL;
    }
    int64_t components = graph_sort(&paths->graph, DATA_MASK, NULL, 0, NULL, paths->order);
    if (components < 0) {
        paths_close(paths);
        return NULL;
    }
    paths->is_acyclic = components == n;
    for (int64_t i = 0; i < n; i++)
        paths->position[paths->order[i]] = (uint32_t)i;
    return paths;
}

void paths_close(struct paths *paths)
{
    if (paths == NULL)
        return;
    int64_t n = paths->engine->operations;
    engine_release(paths->engine, paths->order, n, sizeof *paths->order);
    engine_release(paths->engine, paths->position, n, sizeof *paths->position);
    engine_release(paths->engine, paths->bits, n, sizeof *paths->bits);
    graph_free(&paths->graph);
    free(paths->rows);
    free(paths);
}

static uint32_t position_of(const struct paths *paths, int32_t entry)
{
    return paths->position[paths->engine->entries[entry].operation];
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

/* In topological order, with `keys` as room for n numbers. */
static void sort_entries(const struct paths *paths, int32_t *entries, int32_t n, uint64_t *keys)
{
    for (int32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)position_of(paths, entries[i]) << 32 | (uint32_t)entries[i];
    qsort(keys, (size_t)n, sizeof *keys, compare_numbers);
    for (int32_t i = 0; i < n; i++)
        entries[i] = (int32_t)(uint32_t)keys[i];
}

/* Room for a matrix of n rows and one row more. */
static bool make_room(struct paths *paths, int32_t n)
{
    paths->n = n;
    paths->row_words = ((int64_t)n + 63) / 64;
    int64_t words = (n + 1) * paths->row_words;
    if (words > paths->words_capacity) {
        void *more = realloc(paths->rows, (size_t)words * sizeof *paths->rows);
        if (more == NULL)
            return false;
        paths->rows = more;
        paths->words_capacity = words;
    }
    paths->covered = paths->rows + n * paths->row_words;
    return true;
}

/* Carry the bits of up to SOURCES writers, which are marked, from position `first` to `last`. */
static void sweep(struct paths *paths, uint32_t first, uint32_t last)
{
    const struct graph *graph = &paths->graph;
    for (uint32_t at = first; at <= last; at++) {
        struct bits *here = &paths->bits[at];
        uint32_t vertex = paths->order[at];
        for (uint32_t a = graph->first[vertex]; a < graph->first[vertex + 1]; a++) {
            uint32_t from = paths->position[graph->arc[a] >> 3];
            if (from < first || (graph->arc[a] & 7) > GRAPH_WR)
                continue;
            for (int word = 0; word < WORDS; word++)
                here->word[word] |= paths->bits[from].word[word];
        }
        paths->spent += 1 + graph->first[vertex + 1] - graph->first[vertex];
    }
}

static void find_some(struct paths *paths, const int32_t *entries, int32_t base, int32_t some)
{
    uint32_t first = position_of(paths, entries[base]);
    uint32_t last = position_of(paths, entries[paths->n - 1]);
    memset(paths->bits + first, 0, ((size_t)last - first + 1) * sizeof *paths->bits);
    for (int32_t i = 0; i < some; i++)
        paths->bits[position_of(paths, entries[base + i])].word[i / 64] |= (uint64_t)1 << (i % 64);
    sweep(paths, first, last);
    for (int32_t j = base + 1; j < paths->n; j++) {
        const struct bits *there = &paths->bits[position_of(paths, entries[j])];
        for (int32_t i = 0; i < some && base + i < j; i++)
            if (there->word[i / 64] >> (i % 64) & 1)
                paths->rows[(base + i) * paths->row_words + j / 64] |= (uint64_t)1 << (j % 64);
    }
}

bool paths_find(struct paths *paths, int32_t *entries, int32_t n)
{
    if (!paths->is_acyclic || n < 2 || n > WRITERS_MAX || !make_room(paths, n))
        return false;
    uint64_t *keys = malloc((size_t)n * sizeof *keys);
    if (keys == NULL)
        return false;
    sort_entries(paths, entries, n, keys);
    free(keys);
    memset(paths->rows, 0, (size_t)(n * paths->row_words) * sizeof *paths->rows);
    for (int32_t base = 0; base < n; base += SOURCES) {
        if (paths->spent > paths->engine->options->graph.vectors_max)
            return false;
        find_some(paths, entries, base, n - base < SOURCES ? n - base : SOURCES);
    }
    return true;
}

bool paths_holds(const struct paths *paths, int32_t i, int32_t j)
{
    return paths->rows[i * paths->row_words + j / 64] >> (j % 64) & 1;
}

void paths_clear(struct paths *paths)
{
    memset(paths->covered, 0, (size_t)paths->row_words * sizeof *paths->covered);
}

void paths_cover(struct paths *paths, int32_t chosen)
{
    const uint64_t *row = paths->rows + chosen * paths->row_words;
    for (int64_t word = 0; word < paths->row_words; word++)
        paths->covered[word] |= row[word];
}

bool paths_is_covered(const struct paths *paths, int32_t j)
{
    return paths->covered[j / 64] >> (j % 64) & 1;
}

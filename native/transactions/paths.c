/*
 * paths.c: paths between the transactions of versions of a key (see paths.h).
 *
 * Each sweep carries the bits of 512 versions along a topological order, over the part of it in
 * which the transactions of the key are. That is what a key costs, for every 512 versions.
 */
#include <stdlib.h>
#include <string.h>

#include "paths.h"

#define WORDS 8
#define SOURCES (64 * WORDS)
#define BLOCKS_MAX 8192 /* of a key: a matrix of 8 MiB */

struct bits {
    uint64_t word[WORDS];
};

struct paths {
    struct engine *engine;
    struct graph graph;
    uint32_t mask;
    int64_t vertices;
    uint32_t *order;    /* vertices in topological order */
    uint32_t *position; /* by vertex */
    struct bits *bits;  /* by position: the sources from which it is reached */
    bool is_acyclic;

    int32_t n;
    int64_t row_words;
    uint64_t *rows;     /* n rows of n bits */
    uint64_t *covered;
    int64_t words_capacity;
};

struct paths *paths_open(struct engine *engine, uint32_t mask)
{
    int64_t n = engine->vertices;
    struct paths *paths = calloc(1, sizeof *paths);
    if (paths == NULL)
        return NULL;
    paths->engine = engine;
    paths->mask = mask;
    paths->vertices = n;
    paths->order = engine_zeros(engine, n, sizeof *paths->order);
    paths->position = engine_zeros(engine, n, sizeof *paths->position);
    paths->bits = engine_zeros(engine, n, sizeof *paths->bits);
    int64_t components = GRAPH_MEMORY;
    if (paths->order != NULL && paths->position != NULL && paths->bits != NULL &&
        graph_build(&paths->graph, &engine->edges, engine->operations, n) == 0)
        components = graph_sort(&paths->graph, mask, NULL, 0, NULL, paths->order);
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
    engine_release(paths->engine, paths->order, paths->vertices, sizeof *paths->order);
    engine_release(paths->engine, paths->position, paths->vertices, sizeof *paths->position);
    engine_release(paths->engine, paths->bits, paths->vertices, sizeof *paths->bits);
    graph_free(&paths->graph);
    free(paths->rows);
    free(paths);
}

bool paths_is_acyclic(const struct paths *paths)
{
    return paths->is_acyclic;
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

bool paths_sort(struct paths *paths, int32_t *entries, int32_t n)
{
    uint64_t *keys = malloc((size_t)n * sizeof *keys + 1);
    if (keys == NULL)
        return false;
    for (int32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)position_of(paths, entries[i]) << 32 | (uint32_t)entries[i];
    qsort(keys, (size_t)n, sizeof *keys, compare_numbers);
    for (int32_t i = 0; i < n; i++)
        entries[i] = (int32_t)(uint32_t)keys[i];
    free(keys);
    return true;
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

/* Add the sources from which a vertex is reached by a path of one edge or more, from `first` on. */
static void gather(struct paths *paths, uint32_t vertex, uint32_t first, struct bits *into)
{
    const struct graph *graph = &paths->graph;
    for (uint32_t a = graph->first[vertex]; a < graph->first[vertex + 1]; a++) {
        uint32_t from = paths->position[graph->arc[a] >> 3];
        if (from < first || (paths->mask >> (graph->arc[a] & 7) & 1) == 0)
            continue;
        for (int word = 0; word < WORDS; word++)
            into->word[word] |= paths->bits[from].word[word];
    }
    paths->engine->vectors += 1 + graph->first[vertex + 1] - graph->first[vertex];
}

/* The blocks of one key. */
struct blocks {
    const int32_t *first, *members;
    int32_t n;
    uint32_t lowest, highest; /* positions of their operations */
};

/* Paths from the blocks `base` to `base + some`, of at most SOURCES, to all. */
static void find_some(struct paths *paths, const struct blocks *blocks, int32_t base, int32_t some)
{
    memset(paths->bits + blocks->lowest, 0,
           ((size_t)blocks->highest - blocks->lowest + 1) * sizeof *paths->bits);
    for (int32_t i = 0; i < some; i++)
        for (int32_t m = blocks->first[base + i]; m < blocks->first[base + i + 1]; m++)
            paths->bits[paths->position[blocks->members[m]]].word[i / 64] |= (uint64_t)1 << (i % 64);
    for (uint32_t at = blocks->lowest; at <= blocks->highest; at++)
        gather(paths, paths->order[at], blocks->lowest, &paths->bits[at]);
    for (int32_t j = 0; j < blocks->n; j++) {
        struct bits all = {{0}};
        for (int32_t m = blocks->first[j]; m < blocks->first[j + 1]; m++)
            gather(paths, (uint32_t)blocks->members[m], blocks->lowest, &all);
        for (int32_t i = 0; i < some; i++)
            if (base + i != j && all.word[i / 64] >> (i % 64) & 1)
                paths->rows[(base + i) * paths->row_words + j / 64] |= (uint64_t)1 << (j % 64);
    }
}

bool paths_find(struct paths *paths, const int32_t *first, const int32_t *members, int32_t n)
{
    struct blocks blocks = {first, members, n, UINT32_MAX, 0};
    if (!paths->is_acyclic || n < 2 || n > BLOCKS_MAX || !make_room(paths, n))
        return false;
    for (int32_t m = first[0]; m < first[n]; m++) {
        uint32_t position = paths->position[members[m]];
        blocks.lowest = position < blocks.lowest ? position : blocks.lowest;
        blocks.highest = position > blocks.highest ? position : blocks.highest;
    }
    memset(paths->rows, 0, (size_t)(n * paths->row_words) * sizeof *paths->rows);
    for (int32_t base = 0; base < n; base += SOURCES) {
        if (paths->engine->vectors > paths->engine->options->graph.vectors_max)
            return false;
        find_some(paths, &blocks, base, n - base < SOURCES ? n - base : SOURCES);
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

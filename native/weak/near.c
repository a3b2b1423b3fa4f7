/*
 * near.c: a commit order near to the order in which transactions completed.
 *
 * The order keeps all edges, so whoever is visible to a reader comes before it. It is a commit
 * order iff nobody who wrote x between t1 and a reader of x from t1 is visible to the reader. Only
 * those are looked at: they are few where reads are fresh. For each that is visible the edge that
 * is missing is put, and the edges are put in order again. After some rounds it is given up, and
 * nothing is known.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "pages.h"

#define ROUNDS 6
#define LOOKS 8 /* at writers in all rounds, for each micro-operation */

struct guess {
    struct weak *weak;
    int64_t *first;   /* key -> its first place in `writers`; keys + 1 */
    int64_t *end;     /* key -> behind the last writer so far */
    int32_t *writers; /* by key, in the order at hand: places in `line` */
    int32_t *met;     /* operation -> the last reader that read from it; not for causal */
    struct clocks clocks; /* for causal */
    int64_t looks; /* that are left */
    int32_t rounds;
};

static bool open_guess(struct guess *guess)
{
    const struct weak *weak = guess->weak;
    size_t keys = (size_t)weak->micro->keys_n, writes = (size_t)weak->wrote[weak->n];
    guess->first = calloc(keys + 1, sizeof *guess->first);
    guess->end = malloc((keys + 1) * sizeof *guess->end);
    guess->writers = pages_allocate((writes + 1) * sizeof *guess->writers);
    guess->met = malloc(((size_t)weak->n + 1) * sizeof *guess->met);
    guess->looks = LOOKS * weak->micro->n;
    if (guess->first == NULL || guess->end == NULL || guess->writers == NULL || guess->met == NULL)
        return false;
    for (size_t i = 0; i < writes; i++)
        guess->first[weak->wrote_key[i] + 1]++;
    for (size_t key = 0; key < keys; key++)
        guess->first[key + 1] += guess->first[key];
    return clocks_open(&guess->clocks, weak, weak->sessions_n);
}

static void close_guess(struct guess *guess)
{
    clocks_close(&guess->clocks);
    free(guess->first);
    free(guess->end);
    free(guess->writers);
    free(guess->met);
}

/* Whether a transaction that comes before the reader is visible to it. */
static bool is_visible(const struct guess *guess, int32_t place, int32_t reader)
{
    const struct weak *weak = guess->weak;
    int32_t level = weak->options->level, session = guess->clocks.session_of[place];
    bool is_own = session == guess->clocks.session_of[weak->line_place[reader]];
    if (is_own && !weak->options->no_sessions)
        return true;
    if (level == WEAK_CAUSAL)
        return clock_of(&guess->clocks, weak, reader)[session] >
               place - weak->session_first[session];
    return guess->met[weak->line[place]] == reader;
}

/* Put the edges that a read demands and the order does not keep. False without memory. */
static bool demand(struct guess *guess, int32_t reader, int64_t at)
{
    struct weak *weak = guess->weak;
    int32_t key = weak->micro->key[at], source = weak->source[at];
    for (int64_t i = guess->end[key]; i-- > guess->first[key];) {
        int32_t place = guess->writers[i], writer = weak->line[place];
        if (writer == source)
            return true;
        if (guess->looks-- <= 0)
            return true;
        if (is_visible(guess, place, reader) &&
            (!weak_put(weak, writer, source, GRAPH_COMMIT, key) ||
             (source == weak->n && !weak_put(weak, source, writer, GRAPH_SESSION, GRAPH_NO_KEY))))
            return false;
    }
    return true;
}

/* The next transaction of the order. */
static bool step(struct guess *guess, int32_t i)
{
    struct weak *weak = guess->weak;
    int64_t from = weak->micro->first[i], to = weak->micro->first[i + 1];
    bool is_fine = true;
    if (weak->options->level == WEAK_CAUSAL && guess->rounds == 0)
        clocks_tick(&guess->clocks, weak, i);
    for (int64_t at = from; at < to; at++)
        if (weak_is_outer(weak, at))
            guess->met[weak->source[at]] = i;
    for (int64_t at = from; is_fine && at < to; at++)
        if (weak_is_outer(weak, at))
            is_fine = demand(guess, i, at);
    for (int64_t w = weak->wrote[i]; w < weak->wrote[i + 1]; w++)
        guess->writers[guess->end[weak->wrote_key[w]]++] = weak->line_place[i];
    return is_fine;
}

/* All of an order. False without memory. */
static bool try_order(struct guess *guess, const uint32_t *order)
{
    const struct weak *weak = guess->weak;
    int64_t vertices = weak_vertices(weak);
    bool is_fine = true;
    memcpy(guess->end, guess->first, ((size_t)weak->micro->keys_n + 1) * sizeof *guess->end);
    memset(guess->met, 0xFF, ((size_t)weak->n + 1) * sizeof *guess->met);
    for (int64_t v = 0; is_fine && guess->looks > 0 && v < vertices; v++)
        if (order[v] < (uint32_t)weak->n && weak->line_place[order[v]] != NONE)
            is_fine = step(guess, (int32_t)order[v]);
    guess->rounds++;
    return is_fine;
}

/* Whether the edges have an order; it is near to that of the roots. */
static int32_t sort(const struct weak *weak, const uint32_t *roots, uint32_t *order,
                    bool *has_order)
{
    struct graph graph = {0};
    int64_t vertices = weak_vertices(weak), components = NONE;
    if (graph_build(&graph, &weak->edges, weak->n + 1, vertices) == 0)
        components = graph_sort(&graph, GRAPH_MASK_ALL, roots, weak->n + 1, NULL, order);
    graph_free(&graph);
    *has_order = components == vertices;
    return components < 0 ? WEAK_MEMORY : WEAK_VALID;
}

/* Returns WEAK_VALID, with or without an order, or WEAK_MEMORY. */
static int32_t guessed(struct guess *guess, const uint32_t *roots, uint32_t *order)
{
    struct weak *weak = guess->weak;
    for (bool has_order = true; guess->rounds < ROUNDS;) {
        int64_t edges = weak->edges.n;
        if (sort(weak, roots, order, &has_order) != WEAK_VALID)
            return WEAK_MEMORY;
        if (!has_order)
            return WEAK_VALID;
        if (!try_order(guess, order))
            return WEAK_MEMORY;
        if (guess->looks <= 0)
            return WEAK_VALID;
        weak->is_ordered = weak->edges.n == edges;
        if (weak->is_ordered)
            return WEAK_VALID;
    }
    return WEAK_VALID;
}

int32_t weak_guess(struct weak *weak, const uint32_t *roots, uint32_t *order)
{
    struct guess guess = {.weak = weak};
    int64_t clocks = (int64_t)weak->n * weak->sessions_n, edges = weak->edges.n;
    int32_t level = weak->options->level;
    if (level == WEAK_READ_COMMITTED) /* its rule costs less */
        return WEAK_VALID;
    if (level == WEAK_CAUSAL && (clocks > weak->options->steps_max ||
                                 clocks > CLOCKS_BYTES / (int64_t)sizeof *guess.clocks.of))
        return WEAK_VALID;
    int32_t verdict = open_guess(&guess) ? guessed(&guess, roots, order) : WEAK_MEMORY;
    close_guess(&guess);
    if (!weak->is_ordered)
        weak->edges.n = edges; /* the rule of the level puts all that it demands */
    return verdict;
}

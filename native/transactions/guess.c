/*
 * guess.c: a serial order where the order of versions is not known everywhere.
 *
 * Transactions are taken one by one, first who completed first, as soon as all that must come
 * before has been taken. A transaction that writes a key waits until all have been taken that read
 * what the key holds. So what is taken replays, and no order of versions needs to be known beforehand. It
 * fails when nobody can be taken: of two writers, the wrong one went first.
 */
#include <stdlib.h>

#include "registers.h"

#define POPS_FACTOR 32 /* who waits is looked at so often, on average */

struct guess {
    struct engine *engine;
    const uint32_t *rank; /* by vertex: least first; those of auxiliary ones are 0 */
    uint32_t *first;      /* by vertex: its edges in `next` */
    uint32_t *next;
    uint32_t *waits_for;  /* by vertex: edges from others that are not taken */
    int32_t *by_micro;    /* by micro-operation: its entry */
    int32_t *readers;     /* by entry of a version, then by key for nil: readers not taken */
    int32_t *held;        /* by key: the version that it holds */
    int32_t *waiting;     /* by key: the first operation that waits for it, or NOBODY */
    int32_t *waiting_next;
    uint32_t *heap;       /* vertices to look at */
    int64_t heap_n;
};

static int64_t vertices_of(const struct guess *guess)
{
    return guess->engine->vertices;
}

static bool is_less(const struct guess *guess, uint32_t a, uint32_t b)
{
    return guess->rank[a] != guess->rank[b] ? guess->rank[a] < guess->rank[b] : a < b;
}

static void push(struct guess *guess, uint32_t vertex)
{
    int64_t at = guess->heap_n++;
    for (; at > 0 && is_less(guess, vertex, guess->heap[(at - 1) / 2]); at = (at - 1) / 2)
        guess->heap[at] = guess->heap[(at - 1) / 2];
    guess->heap[at] = vertex;
}

static uint32_t pop(struct guess *guess)
{
    uint32_t top = guess->heap[0];
    uint32_t last = guess->heap[--guess->heap_n];
    int64_t at = 0;
    for (int64_t child = 1; child < guess->heap_n; child = 2 * at + 1) {
        if (child + 1 < guess->heap_n && is_less(guess, guess->heap[child + 1], guess->heap[child]))
            child++;
        if (!is_less(guess, guess->heap[child], last))
            break;
        guess->heap[at] = guess->heap[child];
        at = child;
    }
    guess->heap[at] = last;
    return top;
}

/* Where the readers of a version of a key are counted. */
static int32_t *readers_of(struct guess *guess, int32_t version, int32_t key)
{
    int64_t n = guess->engine->micro->n;
    return &guess->readers[version == INITIAL_VERSION ? n + key : version];
}

/* The key that an operation may not write yet, or NOBODY. */
static int32_t blocked_by(struct guess *guess, int32_t operation)
{
    const struct engine *engine = guess->engine;
    const struct micro *micro = engine->micro;
    for (int64_t at = micro->first[operation]; at < micro->first[operation + 1]; at++) {
        int32_t e = guess->by_micro[at];
        int32_t key = micro->key[at];
        if (engine->version[e] != e)
            continue;
        int32_t left = *readers_of(guess, guess->held[key], key);
        for (int32_t own = e - 1; own >= engine->key_first[key] &&
                                  engine->entries[own].operation == operation; own--)
            left -= engine->version[own] == guess->held[key];
        if (left > 0)
            return key;
    }
    return NOBODY;
}

static void wake(struct guess *guess, int32_t key)
{
    if (*readers_of(guess, guess->held[key], key) > 1)
        return;
    for (int32_t one = guess->waiting[key]; one != NOBODY; one = guess->waiting_next[one])
        push(guess, (uint32_t)one);
    guess->waiting[key] = NOBODY;
}

/* Let the keys hold what an operation leaves behind. */
static void apply(struct guess *guess, int32_t operation)
{
    const struct engine *engine = guess->engine;
    const struct micro *micro = engine->micro;
    for (int64_t at = micro->first[operation]; at < micro->first[operation + 1]; at++) {
        int32_t e = guess->by_micro[at];
        if (engine->version[e] == e)
            guess->held[micro->key[at]] = e;
        else if (engine->version[e] != NO_VERSION)
            --*readers_of(guess, engine->version[e], micro->key[at]);
    }
    for (int64_t at = micro->first[operation]; at < micro->first[operation + 1]; at++)
        wake(guess, micro->key[at]);
}

static bool take_all(struct guess *guess, uint32_t *order)
{
    struct engine *engine = guess->engine;
    int64_t taken = 0;
    int64_t pops = 0;
    while (guess->heap_n > 0 && pops++ < POPS_FACTOR * vertices_of(guess)) {
        uint32_t vertex = pop(guess);
        if (vertex < (uint32_t)engine->operations && engine->counts[vertex]) {
            int32_t key = blocked_by(guess, (int32_t)vertex);
            if (key != NOBODY) {
                guess->waiting_next[vertex] = guess->waiting[key];
                guess->waiting[key] = (int32_t)vertex;
                continue;
            }
            apply(guess, (int32_t)vertex);
        }
        order[taken++] = vertex;
        for (uint32_t i = guess->first[vertex]; i < guess->first[vertex + 1]; i++)
            if (--guess->waits_for[guess->next[i]] == 0)
                push(guess, guess->next[i]);
    }
    return taken == vertices_of(guess);
}

/* Edges by where they begin. */
static void index_edges(struct guess *guess, uint32_t mask)
{
    const struct graph_edges *edges = &guess->engine->edges;
    int64_t n = vertices_of(guess);
    for (int64_t i = 0; i < edges->n; i++)
        if (mask >> edges->kind[i] & 1) {
            guess->first[edges->from[i] + 1]++;
            guess->waits_for[edges->to[i]]++;
        }
    for (int64_t v = 0; v < n; v++)
        guess->first[v + 1] += guess->first[v];
    for (int64_t i = 0; i < edges->n; i++)
        if (mask >> edges->kind[i] & 1)
            guess->next[guess->first[edges->from[i]]++] = edges->to[i];
    for (int64_t v = n; v > 0; v--)
        guess->first[v] = guess->first[v - 1];
    guess->first[0] = 0;
}

static void begin(struct guess *guess, uint32_t mask)
{
    struct engine *engine = guess->engine;
    index_edges(guess, mask);
    for (int64_t e = 0; e < engine->micro->n; e++) {
        int32_t micro = engine->entries[e].micro;
        guess->by_micro[micro] = (int32_t)e;
        if (engine->version[e] != NO_VERSION && engine->version[e] != e)
            ++*readers_of(guess, engine->version[e], engine->micro->key[micro]);
    }
    for (int32_t key = 0; key < engine->keys_n; key++) {
        guess->held[key] = INITIAL_VERSION;
        guess->waiting[key] = NOBODY;
    }
    for (int64_t v = 0; v < vertices_of(guess); v++)
        if (guess->waits_for[v] == 0)
            push(guess, (uint32_t)v);
}

int32_t guess_order(struct engine *engine, uint32_t mask, uint32_t *order)
{
    int64_t v = engine->vertices, n = engine->micro->n, keys = engine->keys_n;
    uint32_t *rank = engine_zeros(engine, v, sizeof *rank);
    struct guess guess = {.engine = engine, .rank = rank};
    int32_t status = -1;
    guess.first = engine_zeros(engine, v + 1, sizeof *guess.first);
    guess.next = engine_zeros(engine, engine->edges.n, sizeof *guess.next);
    guess.waits_for = engine_zeros(engine, v, sizeof *guess.waits_for);
    guess.by_micro = engine_zeros(engine, n, sizeof *guess.by_micro);
    guess.readers = engine_zeros(engine, n + keys, sizeof *guess.readers);
    guess.held = engine_zeros(engine, keys, sizeof *guess.held);
    guess.waiting = engine_zeros(engine, keys, sizeof *guess.waiting);
    guess.waiting_next = engine_zeros(engine, engine->operations, sizeof *guess.waiting_next);
    guess.heap = engine_zeros(engine, v, sizeof *guess.heap);
    if (rank != NULL && guess.first != NULL && guess.next != NULL && guess.waits_for != NULL &&
        guess.by_micro != NULL && guess.readers != NULL && guess.held != NULL &&
        guess.waiting != NULL && guess.waiting_next != NULL && guess.heap != NULL) {
        for (int32_t i = 0; i < engine->operations; i++)
            rank[i] = UINT32_MAX; /* open ones last */
        for (int64_t i = 0; i < engine->completed_n; i++)
            rank[engine->completed[i]] = (uint32_t)i + 1;
        begin(&guess, mask);
        status = take_all(&guess, order);
    }
    engine_release(engine, rank, v, sizeof *rank);
    engine_release(engine, guess.first, v + 1, sizeof *guess.first);
    engine_release(engine, guess.next, engine->edges.n, sizeof *guess.next);
    engine_release(engine, guess.waits_for, v, sizeof *guess.waits_for);
    engine_release(engine, guess.by_micro, n, sizeof *guess.by_micro);
    engine_release(engine, guess.readers, n + keys, sizeof *guess.readers);
    engine_release(engine, guess.held, keys, sizeof *guess.held);
    engine_release(engine, guess.waiting, keys, sizeof *guess.waiting);
    engine_release(engine, guess.waiting_next, engine->operations, sizeof *guess.waiting_next);
    engine_release(engine, guess.heap, v, sizeof *guess.heap);
    return status;
}

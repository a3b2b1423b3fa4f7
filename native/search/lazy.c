/*
 * lazy.c: states that are known only when the search first comes to them.
 *
 * The caller is asked once for each distinct pair of a state and a transition; a hash table keeps
 * the answers. What a whole table tells is not known here, so it is replaced by what is safe: pure
 * is what the caller promises, and a crashed operation can matter until the end. Rule (d) (kinds.c)
 * asks for the last return that is enabled in a state by a transition that is not total and
 * constant: of a state that was not reached yet it is unknown, and asking about all states would
 * make the whole table. Rule (h) (cursor.c) asks for two states at hand, and holds here too.
 *
 * Limits: LAZY_PAIRS_MAX answers. Memory: 24 bytes an answer, doubled when half is used.
 */
#include "problem.h"

#define LAZY_PAIRS_MAX (UINT64_C(1) << 31)

#define LAZY_FREE UINT64_MAX

static uint64_t lazy_place(const struct lazy *lazy, uint64_t pair)
{
    uint64_t hash = pair * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t place = (hash ^ (hash >> 29)) & (lazy->capacity - 1);
    while (lazy->pairs[place] != pair && lazy->pairs[place] != LAZY_FREE)
        place = (place + 1) & (lazy->capacity - 1);
    return place;
}

static void *lazy_allocate(struct lazy *lazy, uint64_t bytes)
{
    uint64_t limit = lazy->account->limit;
    lazy->account->limit = lazy->max_bytes;
    void *memory = account_resize(lazy->account, NULL, 0, bytes);
    lazy->account->limit = limit;
    return memory;
}

void lazy_free(struct lazy *lazy)
{
    if (lazy->capacity == 0)
        return;
    account_free(lazy->account, lazy->pairs, sizeof(uint64_t) * lazy->capacity);
    account_free(lazy->account, lazy->after, sizeof(int32_t) * lazy->capacity);
    lazy->capacity = 0;
}

/* Twice the room. Returns 0, or -1 past the limit, with all as it was. */
static int lazy_grow(struct lazy *lazy)
{
    struct lazy grown = *lazy;
    grown.capacity = lazy->capacity == 0 ? 1024 : 2 * lazy->capacity;
    if (grown.capacity > LAZY_PAIRS_MAX)
        return -1;
    grown.pairs = lazy_allocate(lazy, sizeof(uint64_t) * grown.capacity);
    if (grown.pairs == NULL)
        return -1;
    grown.after = lazy_allocate(lazy, sizeof(int32_t) * grown.capacity);
    if (grown.after == NULL) {
        account_free(lazy->account, grown.pairs, sizeof(uint64_t) * grown.capacity);
        return -1;
    }
    for (uint64_t i = 0; i < grown.capacity; i++)
        grown.pairs[i] = LAZY_FREE;
    for (uint64_t i = 0; i < lazy->capacity; i++) {
        if (lazy->pairs[i] == LAZY_FREE)
            continue;
        uint64_t place = lazy_place(&grown, lazy->pairs[i]);
        grown.pairs[place] = lazy->pairs[i];
        grown.after[place] = lazy->after[i];
    }
    lazy_free(lazy);
    *lazy = grown;
    return 0;
}

int32_t lazy_next(struct lazy *lazy, int32_t state, int32_t transition)
{
    uint64_t pair = (uint64_t)(uint32_t)state << 32 | (uint32_t)transition;

    if (lazy->failure != SEARCH_PAUSED)
        return -1;
    if (2 * (lazy->count + 1) > lazy->capacity && lazy_grow(lazy) != 0) {
        lazy->failure = SEARCH_MEMORY;
        return -1;
    }
    uint64_t place = lazy_place(lazy, pair);
    if (lazy->pairs[place] == pair)
        return lazy->after[place];
    int32_t after = lazy->ask(lazy->context, state, transition);
    if (after < -1) {
        lazy->failure = SEARCH_RAISED;
        return -1;
    }
    lazy->pairs[place] = pair;
    lazy->after[place] = after;
    lazy->count++;
    return after;
}

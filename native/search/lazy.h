/*
 * lazy.h: states that are known only when the search first comes to them.
 *
 * The caller is asked once for each distinct pair of a state and a transition; a hash table keeps
 * the answers. What a whole table tells is not known here, so it is replaced by what is safe: pure
 * is what the caller promises, and a crashed operation can matter until the end. Rule (d) (kinds.c)
 * asks for the last return that is enabled in a state by a transition that is not total and
 * constant: of a state that was not reached yet it is unknown, and asking about all states would
 * make the whole table. Rule (h) (cursor.h) asks for two states at hand, and holds here too.
 *
 * Ownership: `context` belongs to the caller of search_open_lazy; the table belongs to `lazy` until
 * lazy_free. Limits: LAZY_PAIRS_MAX answers. Memory: 24 bytes an answer, doubled when half is used.
 */
#ifndef DISSEVER_LAZY_H
#define DISSEVER_LAZY_H

#include "account.h"
#include "search.h"

#define LAZY_PAIRS_MAX (UINT64_C(1) << 31)

struct lazy {
    search_step *ask;
    void *context;
    struct account *account;
    uint64_t max_bytes; /* of the whole search: answers are never given back to a stage */
    uint64_t *pairs;    /* state << 32 | transition, or LAZY_FREE */
    int32_t *after;
    uint64_t capacity;  /* a power of two, at most half used */
    uint64_t count;
    enum search_status failure; /* why answers are made up from now on, or SEARCH_PAUSED */
};

/*
 * The state after `transition`, or -1: it is refused, or `failure` says why there is no answer.
 * Asks the caller at most once for each pair. After a failure it asks no more.
 */
int32_t lazy_next(struct lazy *lazy, int32_t state, int32_t transition);

void lazy_free(struct lazy *lazy);

#endif

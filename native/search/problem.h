/*
 * problem.h: a history prepared for the search: what it holds.
 *
 * Time is counted in returns: return e is the e-th completion of an ok operation. An open ok
 * operation holds the lowest free slot (a bit of the mask) from its invocation to its return.
 * Crashed operations of one transition are interchangeable: a kind holds a count from its first
 * invocation until nothing can need it any more.
 *
 * Ownership: the arrays that say "the caller's" must outlive the problem; all others are given back
 * by problem_free. Limits: SEARCH_OPEN_MAX slots, SEARCH_KINDS_MAX slots of kinds.
 */
#ifndef DISSEVER_PROBLEM_H
#define DISSEVER_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "memo.h"
#include "search.h"

#define PROBLEM_BLOCKS_MAX 48

/* States that are known only when the search first comes to them (lazy.c). */
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

struct problem {
    struct account *account;   /* that all of it is counted in */
    const int32_t *transition; /* by operation; the caller's */
    const int32_t *next;       /* the caller's; NULL for a register: */
    const int32_t *want;       /* by transition, the caller's: the state it is enabled in, or -1 */
    const int32_t *make;       /* by transition, the caller's: the state after it, or -1: no other */
    struct lazy *lazy;         /* instead of all these, or NULL */
    const uint8_t *lazy_pure;  /* by transition, the caller's: changes no state */
    int32_t n_operations;
    int32_t n_states;
    int32_t n_transitions;
    int32_t initial;

    int32_t n_returns;
    int32_t *return_operation; /* by return */
    int32_t *calls_start;      /* by return, one more: the calls between it and the one before */
    int32_t *calls;            /* ok operations by invocation */
    int32_t *slot;             /* by operation; -1 for a crashed one */
    int32_t *slot_before;      /* by operation: who held its slot before, or -1 */
    int32_t *birth;            /* by operation: the first return after its invocation */
    int32_t *crashed;          /* crashed operations by invocation */
    int32_t n_crashed;
    int32_t n_slots;

    uint8_t *pure;  /* by transition: leaves every state in which it is enabled as it is */
    int32_t *need;  /* by state: the last return that may tell it from another, or -1 */

    int32_t n_kinds;
    int32_t *kind_transition; /* by kind, in order of first birth, as all that follows */
    int32_t *kind_start;      /* one more: its operations in kind_operations, oldest first */
    int32_t *kind_operations;
    int32_t *kind_expiry; /* the last return at which it can matter */
    int32_t *kind_slot;
    int32_t *kind_before; /* who held its slot before, or -1 */
    int32_t *kinds_start; /* by return, one more: the kinds born at it */
    int32_t n_kind_slots;
    struct cover cover;
    uint8_t *weight; /* by transition: 2 for what covers another, else 1 */
    bool is_capped; /* some crashed operations were left out: COUNT_MAX */

    uint32_t mask_words;
    uint32_t width; /* words in a block */
    void *owned[PROBLEM_BLOCKS_MAX];
    uint64_t owned_bytes[PROBLEM_BLOCKS_MAX];
    uint32_t n_owned;
    unsigned char *block; /* what is left of the one that small arrays share */
    uint64_t block_left;
};

/*
 * Fill all that is neither the caller's nor left to problem_crashes, which must follow, from
 * positions as search_problem has them, which are checked. Returns a search_error; on an error,
 * too, problem_free must follow. Time: O(n + states * transitions) for a table, O(n + states +
 * transitions) for lazy states.
 */
int problem_prepare(struct problem *problem, const int32_t *inv, const int32_t *ret);

/*
 * The same for a register, from events in order, as search_problem has them, which are not
 * checked. Time: O(n + states + transitions).
 */
int problem_prepare_register(struct problem *problem, const int32_t *at, int32_t n_positions);

/*
 * Check the caller's arrays and table. Fills `at`, zeros by position, with operation + 1 where one
 * is invoked and -(operation + 1) where it returns. Returns SEARCH_OK or SEARCH_MALFORMED.
 */
int problem_positions(const struct problem *problem, const int32_t *inv, const int32_t *ret,
                      int32_t *at);

/*
 * Fill `pure`, `need`, `weight`, `cover` and all that is by kind, and add the words of its counts to
 * `width`. Returns a search_error: SEARCH_WIDE with too many kinds at one time. Time: see kinds.c.
 */
int problem_crashes(struct problem *problem);

/* Zeros for n entries of `size` bytes, given back by problem_free. NULL past the limit. */
void *problem_allocate(struct problem *problem, int64_t n, uint64_t size);

/* Give back all that problem_allocate gave. */
void problem_free(struct problem *problem);

/* An empty memo for configurations of a problem. */
static inline struct memo problem_memo(const struct problem *problem)
{
    return (struct memo){.account = problem->account, .cover = &problem->cover,
                         .width = problem->width, .key_words = 1 + problem->mask_words};
}

/*
 * The state after `transition`, or -1: it is refused, or `failure` says why there is no answer.
 * Asks the caller at most once for each pair. After a failure it asks no more.
 */
int32_t lazy_next(struct lazy *lazy, int32_t state, int32_t transition);

void lazy_free(struct lazy *lazy);

/* The state after a transition, or -1 where it is refused. O(1); may ask the caller (lazy.c). */
static inline int32_t problem_next(const struct problem *problem, int32_t state, int32_t transition)
{
    if (problem->want != NULL) {
        int32_t want = problem->want[transition], make = problem->make[transition];
        if (want >= 0 && want != state)
            return -1;
        return make < 0 ? state : make;
    }
    if (problem->lazy != NULL)
        return lazy_next(problem->lazy, state, transition);
    return problem->next[(size_t)state * (size_t)problem->n_transitions + (size_t)transition];
}

/* The last return that may tell a state from another: for lazy states, the last of all. */
static inline int32_t problem_need(const struct problem *problem, int32_t state)
{
    return problem->lazy != NULL ? problem->n_returns - 1 : problem->need[state];
}

#endif

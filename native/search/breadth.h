/*
 * breadth.h: the breadth-first search over antichains (Lowe 2017, with dominance).
 *
 * Between two returns it holds the configurations that survived the first, only minimal counts for
 * each state and mask. A configuration weighs as much as it used crashed operations; the lightest
 * is expanded first, so that what dominates comes before what it dominates, and a round that keeps
 * but `width` survivors keeps the lightest. Better than depth first on invalid histories, worse on
 * long valid ones. A trail of steps remembers how each configuration was reached; those that lead
 * to no survivor are dropped when they are the greater part.
 *
 * Ownership: the growing arrays and the memo belong to the search until breadth_free; the other
 * arrays to the problem. Limits: STEPS_MAX entries in each array.
 */
#ifndef DISSEVER_BREADTH_H
#define DISSEVER_BREADTH_H

#include "cursor.h"

/* A growing array. */
struct growing {
    void *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t size; /* bytes in an item */
};

struct breadth {
    struct cursor cursor;
    struct memo memo;         /* the configurations at the next return, in order of discovery */
    struct growing entries;   /* by configuration */
    struct growing queues;    /* by weight above `lightest`: what is to be expanded */
    struct growing steps;
    struct growing survivors; /* blocks past the next return, lightest first */
    struct growing survivor_entries;
    uint64_t *child;
    uint64_t *parent;
    int32_t *absorbed;
    uint32_t lightest;   /* the least weight at this return */
    uint32_t queue;      /* the first that is not empty */
    uint32_t position;   /* the next branch of its first configuration */
    uint32_t width;      /* survivors that are kept */
    uint32_t final_step; /* of the longest order known */
    uint32_t steps_limit; /* past it, steps that lead nowhere are dropped */
    bool has_dropped;    /* some that may have survived were not kept */
    bool has_begun;
};

/*
 * Begin, from a problem that is prepared; all survivors are kept. Returns SEARCH_OK or
 * SEARCH_NO_MEMORY.
 */
int breadth_open(struct breadth *breadth, struct problem *problem, struct account *account);

/* Begin again, and keep at most `width` survivors at each return. */
void breadth_restart(struct breadth *breadth, const struct problem *problem, uint32_t width);

/*
 * Explore until `*configurations` reaches `limit`. SEARCH_INVALID is a proof only where
 * `has_dropped` is false.
 */
enum search_status breadth_run(struct breadth *breadth, const struct problem *problem,
                               struct account *account, uint64_t *configurations,
                               uint64_t limit);

/* Write the longest order known. Returns its length. */
int32_t breadth_order(const struct breadth *breadth, int32_t *operations);

/* May be called again. */
void breadth_free(struct breadth *breadth, struct account *account);

#endif
